"""Events delivered to consumers any number of times in any order: each effect once, and a correct final state."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString
from uuid import uuid4

import pytest

from localcloud.messaging.redrive import local_account
from support.account import Caller
from support.cloud.dev_process import eventually
from support.events.feed_client import FeedClient, feeds
from support.events.pipeline import Pipeline, let_queues_wait, untold, waiting_messages
from support.invariants.sessions import violations

CUSTOMERS = 6
WITHIN = 30.0
ORDER = ["pending", "waiting", "live", "cancelled"]


def consultation(pipeline: Pipeline, customer: Caller, mechanic: Caller, address: str) -> str:
    """A session from its intake to its end over HTTP; returns its id."""
    intake = pipeline.account.queued(customer, email=address)
    session = f"/api/sessions/{intake['sessionId']}"
    mechanic.post(f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    customer.post(f"{session}/join")
    mechanic.post(f"{session}/join")
    mechanic.post(f"{session}/end")
    return str(intake["sessionId"])


def told_once_and_in_order(feed: FeedClient, session_id: str) -> None:
    """No number twice, no state after a later one, and the last word is the end."""
    feed.wait_for(lambda frame: frame.type == "session_updated" and frame.payload["status"] == ORDER[-1])
    seqs = [frame.seq for frame in feed.received if frame.seq is not None]
    assert seqs == sorted(set(seqs))
    statuses = [
        frame.payload["status"] for frame in feed.of_type("session_updated") if frame.payload["sessionId"] == session_id
    ]
    assert statuses == sorted(statuses, key=ORDER.index)
    assert statuses[-1] == ORDER[-1]


def test_every_event_three_times_and_shuffled_takes_effect_once(pipeline: Pipeline) -> None:
    customers = [pipeline.account.customer() for _ in range(CUSTOMERS)]
    mechanics = [pipeline.account.mechanic() for _ in range(CUSTOMERS)]
    addresses = [f"{uuid4()}@example.com" for _ in customers]
    with feeds(*customers) as theirs, feeds(*mechanics[:2]) as of_mechanics:
        pipeline.faults.copies, pipeline.faults.spread_seconds = 3, 2.0
        sessions = [consultation(pipeline, *three) for three in zip(customers, mechanics, addresses, strict=True)]
        pipeline.backlog.work_off()
        for feed, session_id in zip(theirs, sessions, strict=True):
            told_once_and_in_order(feed, session_id)
        for feed in of_mechanics:
            seqs = [frame.seq for frame in feed.received]
            assert len(set(seqs)) == len(seqs)
    assert untold(pipeline.world) == []
    for customer in customers:
        assert pipeline.notified(customer.user_id) == ["request_received", "mechanic_assigned", "session_cancelled"]
    mails = Counter((mail["to"][0], mail["kind"]) for mail in pipeline.mails())
    assert set(mails.values()) == {1}
    assert all(mails[address, "session_cancelled"] == 1 for address in addresses)
    assert violations(pipeline.world.owner) == []


# The table it cannot do without, and how many events of a new session go to it.
CONSUMERS: dict[str, tuple[LiteralString, int]] = {"Notify": ("notifications", 1), "Feed": ("feed_head", 2)}


@contextmanager
def broken(pipeline: Pipeline, table: LiteralString) -> Iterator[None]:
    """Keep a consumer from its table for the length of a `with` block."""
    pipeline.world.owner.execute(f"ALTER TABLE {table} RENAME TO broken")
    try:
        yield
    finally:
        pipeline.world.owner.execute(f"ALTER TABLE broken RENAME TO {table}")


def give_up(pipeline: Pipeline, queue: str) -> None:
    """Wait, at no time's cost, until a queue has given its messages up."""
    deadline = time.monotonic() + WITHIN
    while held := [name for name in waiting_messages(pipeline.data_dir) if name.startswith(queue)]:
        assert time.monotonic() < deadline, held
        eventually(lambda: pipeline.account.cloud.depth(queue).visible == 0, within=1)
        time.sleep(0.3)
        let_queues_wait(pipeline.data_dir, tries=20)


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_a_redriven_dead_letter_takes_effect_once(pipeline: Pipeline, consumer: str) -> None:
    table, events = CONSUMERS[consumer]
    customer, address = pipeline.account.customer(), f"{uuid4()}@example.com"
    queue, letters = f"{consumer}Queue", f"{consumer}DeadLetterQueue"
    with FeedClient.of(customer) as feed:
        pipeline.backlog.work_off()
        with broken(pipeline, table):
            intake = pipeline.account.queued(customer, email=address)
            assert pipeline.reaches_the_bus(intake["sessionId"]), "a call does not know of it"
            give_up(pipeline, queue)
        assert pipeline.account.cloud.depth(letters).visible == events
        account = local_account(pipeline.account.cloud.api_url)
        assert account.redrive(account.dead_letter_queue(letters)).sent == events
        pipeline.backlog.work_off()
        feed.wait_for_type("session_updated")  # the queue is empty a moment before the frame is here
        assert [frame.payload["status"] for frame in feed.of_type("session_updated")] == ["pending"]
    assert pipeline.notified(customer.user_id) == ["request_received"]
    kinds = Counter(mail["kind"] for mail in pipeline.mails() if mail["to"] == [address])
    assert kinds == {"request_received": 1}
    assert untold(pipeline.world) == []


def test_consumers_killed_at_work_do_it_once_all_the_same(pipeline: Pipeline) -> None:
    dice = random.Random(3)
    customers = [pipeline.account.customer() for _ in range(CUSTOMERS)]
    killed = 0
    with feeds(*customers) as theirs:
        pipeline.faults.spread_seconds = 1.0
        for customer in customers:
            consultation(pipeline, customer, pipeline.account.mechanic(), f"{uuid4()}@example.com")
            killed += pipeline.kill(dice.choice(["broadcast", "notify"]))
        pipeline.backlog.work_off()
        for feed in theirs:
            feed.wait_for(lambda frame: frame.type == "session_updated" and frame.payload["status"] == "cancelled")
            frames = {(frame.seq, frame.text) for frame in feed.received}
            assert len({seq for seq, _ in frames}) == len(frames), "what is sent again is the same"
            assert feed.of_type("session_updated")[-1].payload["status"] == "cancelled"
    assert killed
    assert untold(pipeline.world) == []
    mails = Counter((mail["to"][0], mail["kind"]) for mail in pipeline.mails())
    assert set(mails.values()) == {1}
