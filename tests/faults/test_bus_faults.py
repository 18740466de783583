"""The bus is down, hangs, refuses some events, is missing, or dies between the answer and the mark."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from localcloud.messaging.bus_faults import Mode
from localcloud.services.invocation import InvokeResult
from support.account import Caller
from support.cloud.dev_process import eventually
from support.events.feed_client import FeedClient
from support.events.pipeline import Pipeline, kill_workers, workers

# The budget is 0.3 s; the rest is what two shared cores need for a cold start or two.
A_CALL_SECONDS = 25.0
WITHIN = 30.0
RELAY = """
from autodoctor.db import database
from autodoctor.events.relay import relay
print(relay(database(), lambda: 60.0, grace_seconds=0).model_dump_json())
"""


def statuses(feed: FeedClient, session_id: str) -> list[str]:
    """The states of a session that a party received, in order; one repeated for a new queue position counts once."""
    told = [
        frame.payload["status"] for frame in feed.of_type("session_updated") if frame.payload["sessionId"] == session_id
    ]
    return [status for before, status in zip([None, *told], told, strict=False) if status != before]


def timed(call: Any, *arguments: Any, **fields: Any) -> tuple[float, Any]:  # noqa: ANN401 (any call)
    """How many seconds a call took, and its answer."""
    began = time.monotonic()
    answer = call(*arguments, **fields)
    return time.monotonic() - began, answer


def arrived(pipeline: Pipeline, customer: Caller, *kinds: str) -> bool:
    """Whether these are what a customer was told in the application."""
    return eventually(lambda: pipeline.notified(customer.user_id) == list(kinds), within=WITHIN)


@pytest.mark.parametrize("mode", ["refuses", "cuts"])
def test_calls_succeed_while_the_bus_is_down_and_events_follow_in_order(pipeline: Pipeline, mode: Mode) -> None:
    customer, mechanic = pipeline.account.customer(), pipeline.account.mechanic()
    with FeedClient.of(customer) as feed:
        pipeline.faults.mode = mode
        session = pipeline.account.live(customer, mechanic)
        session_id = session.rpartition("/")[2]
        assert pipeline.outbox(session_id) == 5
        assert pipeline.relay()["failed"]
        assert pipeline.outbox(session_id) == 5
        assert feed.of_type("session_updated") == []
        pipeline.repair()
        customer.post(f"{session}/end")  # another process: it may publish at once, and what came before
        answer = pipeline.relay()
        assert (answer["failed"], answer["depth"]) == (False, 0)
        assert arrived(pipeline, customer, "request_received", "mechanic_assigned", "session_cancelled")
        feed.wait_for(lambda frame: frame.payload.get("status") == "cancelled", WITHIN)
        assert statuses(feed, session_id) == ["pending", "waiting", "live", "cancelled"]
    pipeline.backlog.work_off()


def test_a_bus_that_hangs_costs_one_call_the_budget_and_the_next_ones_nothing(pipeline: Pipeline) -> None:
    customers = [pipeline.account.customer() for _ in range(6)]
    pipeline.account.queued(pipeline.account.customer())  # a process is warm
    pipeline.faults.mode = "hangs"
    took = [timed(pipeline.account.queued, customer)[0] for customer in customers]
    assert max(took) < A_CALL_SECONDS
    deferred = [line for line in pipeline.account.lines if "PublishDeferred=1" in line.text]
    assert len(deferred) >= 3, "one failure an environment, of which there are two"
    pipeline.repair()
    assert pipeline.relay()["depth"] == 0
    assert all(arrived(pipeline, customer, "request_received") for customer in customers)


def test_refused_entries_alone_stay_and_what_follows_them_in_their_session_waits(pipeline: Pipeline) -> None:
    pipeline.faults.mode = "refuses"
    stuck, fine = (pipeline.account.queued(pipeline.account.customer())["sessionId"] for _ in range(2))
    pipeline.repair()

    def refused(entry: dict[str, Any]) -> bool:
        return stuck in entry["Detail"] and entry["DetailType"] == "session.created"

    pipeline.faults.refuse_entry = refused
    answer = pipeline.relay()
    assert answer["refused"] == 1
    assert pipeline.outbox(fine) == 0
    assert pipeline.world.one("SELECT min(attempts) FROM outbox WHERE subject_id = %s", stuck) == 1
    for _ in range(4):
        answer = pipeline.relay()
    assert (answer["poison"], answer["depth"]) == (1, 0), "set aside, and reported from then on"
    assert any("PoisonEvents=1" in line.text for line in pipeline.account.lines)
    pipeline.repair()
    assert pipeline.world.one("SELECT requeue_poison()") == 1
    assert pipeline.relay()["poison"] == 0
    pipeline.backlog.work_off()
    assert pipeline.world.one("SELECT count(*) FROM notifications WHERE session_id = %s", stuck) == 1


def test_a_relay_killed_before_its_mark_loses_and_repeats_nothing(
    pipeline: Pipeline,
) -> None:
    customer = pipeline.account.customer()
    with FeedClient.of(customer) as feed:
        pipeline.faults.mode = "refuses"
        session_id = pipeline.account.queued(customer)["sessionId"]
        pipeline.repair()
        killed: list[int] = []

        def kill(_entry: dict[str, Any]) -> bool:
            """The entry is taken after this, and nobody is left who could mark it."""
            killed.append(kill_workers(os.getpid(), "relay"))
            return False

        pipeline.faults.refuse_entry = kill
        pipeline.world.let_time_pass(10)
        assert pipeline.account.cloud.invoke("RelayFunction", {}).error == "Runtime.ExitError"
        assert sum(killed) >= 1
        assert pipeline.outbox(session_id) == 2, "what was put is not marked"
        assert arrived(pipeline, customer, "request_received"), "it had arrived"
        pipeline.repair()
        assert pipeline.relay()["published"] == 2
        pipeline.backlog.work_off()
        assert pipeline.notified(customer.user_id) == ["request_received"]
        feed.wait_for_type("session_updated")
        seqs = [frame.seq for frame in feed.received if frame.type == "session_updated"]
        assert len(set(seqs)) == len(seqs) == 1


def test_events_take_effect_once_when_the_bus_s_answer_is_lost(
    pipeline: Pipeline,
) -> None:
    customer = pipeline.account.customer()
    pipeline.faults.mode = "cuts_after_taking"
    session_id = pipeline.account.queued(customer)["sessionId"]
    assert pipeline.outbox(session_id) == 2
    pipeline.repair()
    assert pipeline.relay()["published"] >= 2
    pipeline.backlog.work_off()
    assert pipeline.notified(customer.user_id) == ["request_received"]


def test_two_relays_at_once_are_two_processes_and_leave_nothing(pipeline: Pipeline) -> None:
    pipeline.faults.mode = "refuses"
    customers = [pipeline.account.customer() for _ in range(30)]
    for customer in customers:
        pipeline.account.queued(customer)
    pipeline.repair()
    pipeline.world.let_time_pass(10)
    both = threading.Barrier(2)

    def relay(_number: int) -> InvokeResult:
        both.wait()
        return pipeline.account.cloud.invoke("RelayFunction", {})

    with ThreadPoolExecutor(2) as threads:
        runs = list(threads.map(relay, range(2)))
    assert len(workers(os.getpid(), "relay")) == 2
    payloads = [run.payload for run in runs]
    assert all(isinstance(payload, dict) for payload in payloads)
    assert sum(payload["published"] for payload in payloads if isinstance(payload, dict)) == 60
    pipeline.backlog.work_off()


def test_a_consumer_that_cannot_keep_up_never_slows_a_call_down(pipeline: Pipeline) -> None:
    """The mails' table is locked, so that every process of notify hangs, and the feed's, for the broadcast."""
    with pipeline.world.owner.transaction():
        pipeline.world.owner.execute("LOCK TABLE notifications, feed_head IN EXCLUSIVE MODE")
        calls = [timed(pipeline.account.queued, pipeline.account.customer()) for _ in range(5)]
        assert all(pipeline.reaches_the_bus(intake["sessionId"]) for _, intake in calls), "all the same"
    assert max(took for took, _ in calls) < A_CALL_SECONDS
    pipeline.backlog.work_off()


def test_a_rule_whose_queue_takes_nothing_is_retried_until_it_does(pipeline: Pipeline) -> None:
    customer = pipeline.account.customer()
    pipeline.faults.undeliverable = frozenset({"NotifyQueue"})
    session_id = pipeline.account.queued(customer)["sessionId"]
    assert pipeline.reaches_the_bus(session_id)
    assert eventually(lambda: pipeline.backlog.left().get("bus", 0) > 0, within=WITHIN)
    assert pipeline.notified(customer.user_id) == []
    pipeline.repair()
    pipeline.backlog.work_off()
    assert pipeline.notified(customer.user_id) == ["request_received"]


def test_nobody_waits_for_a_stranger_s_events(pipeline: Pipeline) -> None:
    """A subject whose row another holds locked is left out, and the call that it belongs to does not wait for it."""
    customer, mechanic = pipeline.account.customer(), pipeline.account.mechanic()
    pipeline.faults.mode = "refuses"
    intake = pipeline.account.queued(customer)
    pipeline.repair()
    pipeline.forgive()
    with pipeline.world.owner.transaction():
        pipeline.world.owner.execute("SELECT FROM outbox WHERE subject_id = %s FOR UPDATE", [intake["sessionId"]])
        took, _ = timed(mechanic.post, f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    assert took < A_CALL_SECONDS
    pipeline.backlog.work_off()
    assert pipeline.notified(customer.user_id) == ["request_received", "mechanic_assigned"]


def test_a_bus_that_does_not_exist_is_noticed_and_nothing_is_lost_on_it(pipeline: Pipeline) -> None:
    """PutEvents takes events for such a bus, and drops them."""
    pipeline.faults.mode = "refuses"
    session_id = pipeline.account.queued(pipeline.account.customer())["sessionId"]
    pipeline.repair()
    elsewhere = {
        "EVENT_BUS_NAME": "nowhere",
        "AWS_ENDPOINT_URL_EVENTBRIDGE": f"{pipeline.account.cloud.api_url}/_aws/events",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "DATABASE_URL": pipeline.world.urls.app_url,
    }
    run = subprocess.run(
        [sys.executable, "-c", RELAY], env={**os.environ, **elsewhere}, capture_output=True, text=True, check=True
    )
    said = json.loads(run.stdout.splitlines()[-1])
    assert (said["failed"], said["published"]) == (True, 0)
    assert pipeline.outbox(session_id) == 2
    pipeline.backlog.work_off()
