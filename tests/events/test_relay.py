"""The relay: publishes leftover events, in order per session, once, whatever the bus and other relays do."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from autodoctor.aws.errors import ServiceUnreachable
from autodoctor.events.publish import PAUSE_SECONDS, Publisher, publish_subject
from autodoctor.events.relay import MARGIN_SECONDS, MOST_ATTEMPTS, Relayed, relay
from autodoctor.ids import new_id
from autodoctor.observability import metrics
from autodoctor.sessions.presence import join
from support.events.scripted_bus import Entry, ScriptedBus, scripted_bus
from support.wait import PATIENCE_SECONDS, wait_until
from support.world import World

MANY = 10_000
SESSIONS = 400
RELAY = """
from autodoctor.db import database
from autodoctor.events import relay
relay.PUT_SECONDS = 30.0  # it waits for the bus as long as the test does
print("ready", flush=True)
input()
print(relay.relay(database(), lambda: 60.0, grace_seconds=0).published)
"""
FILL = """
WITH audit AS (
  INSERT INTO session_events (session_id, from_status, to_status, actor)
  SELECT (array(SELECT id FROM sessions))[1 + n %% (SELECT count(*) FROM sessions)], 'pending', 'pending', 'system:test'
    FROM generate_series(1, %s) AS n RETURNING 1
) SELECT count(*) FROM audit
"""


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedBus]:
    with scripted_bus(monkeypatch) as bus:
        yield bus


def relayed(world: World, seconds: float = 60.0) -> Relayed:
    """One run that leaves no event to the call that wrote it."""
    return relay(world.app, lambda: seconds, grace_seconds=0)


def left(world: World) -> int:
    """How many events the bus does not have."""
    depth: int = world.one("SELECT count(*) FROM outbox")
    return depth


def other_relays(world: World, count: int = 1) -> list[subprocess.Popen[str]]:
    """Other relays, each in an execution environment of its own, which begin once all have started."""
    environment = {**os.environ, "DATABASE_URL": world.urls.app_url}
    command, pipe = [sys.executable, "-c", RELAY], subprocess.PIPE
    runs = [subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(count)]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("\n")
        run.stdin.flush()
    return runs


def published(run: subprocess.Popen[str]) -> int:
    """How many events another relay published, at its end."""
    said, _ = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 0
    return int(said.splitlines()[-1])


def consultation(world: World) -> UUID:
    """A session with seven events, in whose room nobody writes."""
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.waiting(mechanic, customer).session_id
    for user_id in (customer, mechanic.user_id):
        join(world.app, user_id, session_id)
    world.end(customer, session_id)
    return session_id


def test_what_is_left_is_published_in_order_and_once(world: World, bus: ScriptedBus) -> None:
    sessions = [consultation(world) for _ in range(3)]
    assert relayed(world).published == 21
    for session_id in sessions:
        assert bus.of(session_id) == [1, 2, 3, 4, 5, 6, 7]
    assert bus.calls == [10, 10, 1]
    again = relayed(world)
    assert (again.published, again.depth, again.age_seconds, again.failed) == (0, 0, 0.0, False)


def test_what_a_call_is_about_to_publish_is_left_to_it(world: World, bus: ScriptedBus) -> None:
    young = world.queued()
    answer = relay(world.app, lambda: 60.0)
    assert (answer.published, answer.depth) == (0, 2)
    world.let_time_pass(6)
    late = world.queued()
    assert relay(world.app, lambda: 60.0).published == 2
    assert bus.of(young.session_id) == [1, 2]
    assert bus.of(late.session_id) == []


def test_a_bus_that_is_down_keeps_everything_until_it_is_back(world: World, bus: ScriptedBus) -> None:
    session_id = consultation(world)
    bus.status = 500
    world.let_time_pass(120)
    answer = relayed(world)
    assert (answer.failed, answer.published, answer.set_aside, answer.depth) == (True, 0, 0, 7)
    assert 120 < answer.age_seconds < 180
    for _ in range(MOST_ATTEMPTS):
        assert relayed(world).poison == 0, "a bus that is down refuses no event"
    bus.status = 200
    assert relayed(world).published == 7
    assert bus.of(session_id) == [1, 2, 3, 4, 5, 6, 7]


def test_only_refused_entries_stay_and_what_follows_them_in_their_session(world: World, bus: ScriptedBus) -> None:
    stuck, fine = consultation(world), consultation(world)

    def refused(entry: Entry) -> bool:
        return entry.session_id == stuck and entry.detail["sessionSeq"] == 3

    bus.refuse = refused
    first = relayed(world)
    assert first.refused == 1
    assert bus.of(fine) == [1, 2, 3, 4, 5, 6, 7]
    assert world.one("SELECT count(*) FROM outbox WHERE subject_id = %s", fine) == 0
    assert world.one("SELECT (attempts, error) FROM outbox WHERE attempts IS NOT NULL")
    bus.refuse = lambda _entry: False
    put = len(bus.taken)
    relayed(world)
    assert left(world) == 0
    assert sorted(set(bus.of(stuck))) == [1, 2, 3, 4, 5, 6, 7]
    assert bus.taken[put].detail["sessionSeq"] == 3, "the refused one comes first"


def test_an_event_the_bus_always_refuses_is_set_aside_and_can_be_retried(world: World, bus: ScriptedBus) -> None:
    session_id = consultation(world)
    bus.refuse = lambda entry: entry.detail["sessionSeq"] == 2
    runs = [relayed(world) for _ in range(MOST_ATTEMPTS)]
    assert [run.set_aside for run in runs] == [0, 0, 0, 0, 1]
    relayed(world)
    assert left(world) == 0, "the others do not wait for it for ever"
    assert world.one("SELECT error FROM outbox_poison") == "ThrottlingException"
    assert relayed(world).poison == 1
    bus.refuse = lambda _entry: False
    assert relayed(world).published == 0
    assert world.one("SELECT requeue_poison()") == 1
    assert world.one("SELECT requeue_poison()") == 0
    assert relayed(world).published == 1
    assert sorted(set(bus.of(session_id))) == [1, 2, 3, 4, 5, 6, 7]
    assert relayed(world).poison == 0


def test_an_event_that_cannot_be_built_is_set_aside_at_once_and_holds_nobody_up(world: World, bus: ScriptedBus) -> None:
    session_id = consultation(world)
    world.one("SELECT emit_event('payout.sent', '{}', %s)", session_id)
    answer = relayed(world)
    assert (answer.set_aside, answer.poison, answer.published) == (1, 1, 7)
    assert bus.of(session_id) == [1, 2, 3, 4, 5, 6, 7]
    assert world.one("SELECT type FROM outbox_poison") == "payout.sent"


def test_two_relays_at_once_publish_each_event_once(world: World, bus: ScriptedBus) -> None:
    sessions = [world.queued().session_id for _ in range(60)]
    bus.answers.clear()
    runs = other_relays(world, 2)
    wait_until(lambda: len(bus.calls) == 2)  # both are at work
    bus.answers.set()
    assert sum(published(run) for run in runs) == 120
    assert left(world) == 0
    assert [bus.of(session_id) for session_id in sessions] == [[1, 2]] * 60


def test_a_relay_passes_over_sessions_that_another_holds(world: World, bus: ScriptedBus) -> None:
    held, free = world.queued(), world.queued()
    with psycopg.connect(world.urls.owner_url) as other:
        other.execute("SELECT FROM outbox WHERE subject_id = %s ORDER BY id LIMIT 1 FOR UPDATE", [held.session_id])
        assert relayed(world).published == 2
        assert bus.of(free.session_id) == [1, 2]
        assert bus.of(held.session_id) == []
    assert relayed(world).published == 2


def test_a_relay_killed_before_its_mark_puts_the_same_event_again(world: World, bus: ScriptedBus) -> None:
    world.queued()
    bus.answers.clear()
    (run,) = other_relays(world)
    wait_until(lambda: len(bus.taken) == 2)
    run.kill()
    run.communicate()
    bus.answers.set()
    assert left(world) == 2
    relayed(world)
    ids = [entry.detail["eventId"] for entry in bus.taken]
    assert ids[:2] == ids[2:]
    assert left(world) == 0


def test_time_that_runs_short_ends_a_run_with_everything_marked_that_was_put(world: World, bus: ScriptedBus) -> None:
    for _ in range(45):
        world.queued()
    answer = relay(world.app, lambda: 60.0 if len(bus.taken) < 50 else MARGIN_SECONDS, grace_seconds=0)
    assert 0 < answer.published < 90
    assert answer.published + answer.depth == 90
    assert len(bus.taken) == answer.published
    relayed(world)
    assert len(bus.taken) == 90


def test_a_backlog_of_many_thousands_is_worked_off(world: World, bus: ScriptedBus) -> None:
    for _ in range(SESSIONS):
        world.queued()
    relayed(world)
    put = len(bus.taken)
    assert world.one(FILL, MANY) == MANY
    assert left(world) == MANY
    assert relayed(world).published == MANY
    assert len(bus.taken) - put == MANY
    by_session: dict[UUID, list[int]] = {}
    for entry in bus.taken:
        by_session.setdefault(entry.session_id, []).append(entry.detail["sessionSeq"])
    assert all(numbers == list(range(1, 3 + MANY // SESSIONS)) for numbers in by_session.values())


# --- what follows a call's commit ---------------------------------------------------------------------------------


def test_a_call_publishes_its_own_session_s_events_and_no_other_s(world: World, bus: ScriptedBus) -> None:
    mine, other = world.queued(), world.queued()
    Publisher(world.app)(mine)
    assert bus.of(mine.session_id) == [1, 2]
    assert bus.of(other.session_id) == []
    assert left(world) == 2


def test_a_bus_that_fails_costs_one_call_its_budget_and_the_next_ones_nothing(world: World, bus: ScriptedBus) -> None:
    publish = Publisher(world.app)
    bus.answers.clear()
    began = time.monotonic()
    publish(world.queued())
    first = time.monotonic() - began
    calls = len(bus.calls)
    for _ in range(5):
        publish(world.queued())
    assert len(bus.calls) == calls == 1, f"asked again within {PAUSE_SECONDS} s"
    assert first < 25
    bus.answers.set()
    assert left(world) == 12
    relayed(world)
    assert left(world) == 0


def test_a_failure_that_cannot_even_be_counted_is_not_the_caller_s(
    world: World, bus: ScriptedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.refuse = lambda _entry: True
    monkeypatch.setattr(metrics, "namespace", None)
    Publisher(world.app)(world.queued())
    metrics.clear_metrics()
    assert left(world) == 2


def test_entries_refused_to_a_call_stay_for_the_relay(world: World, bus: ScriptedBus) -> None:
    created = world.queued()
    bus.refuse = lambda entry: entry.type == "session.created"
    Publisher(world.app)(created)
    assert world.one("SELECT array_agg(attempts) FROM outbox") == [None], "only relays count"
    bus.refuse = lambda _entry: False
    relayed(world)
    assert sorted(bus.of(created.session_id)) == [1, 2]


def test_a_call_and_a_relay_at_once_lose_nothing_and_wait_for_nobody(world: World, bus: ScriptedBus) -> None:
    created = world.queued()
    bus.answers.clear()
    (run,) = other_relays(world)
    wait_until(lambda: len(bus.calls) == 1)
    with pytest.raises(ServiceUnreachable):
        publish_subject(world.app, created.session_id, 0.3)
    bus.answers.set()
    published(run)
    publish_subject(world.app, created.session_id, 5)
    assert left(world) == 0
    assert set(bus.of(created.session_id)) == {1, 2}


def test_events_that_a_relay_holds_are_published_by_a_call_and_marked_by_the_relay(
    world: World, bus: ScriptedBus
) -> None:
    publish, created, other = Publisher(world.app), world.queued(), world.queued()
    with psycopg.connect(world.urls.app_url) as holding:
        holding.execute("SELECT * FROM claim_events('00000000-0000-0000-0000-000000000000', 1, '0 s')")
        publish(created)
    assert bus.of(created.session_id) == [1, 2]
    assert left(world) == 4
    publish(other)
    assert left(world) == 2, "the bus was well, so nothing is paused"
    relayed(world)
    assert left(world) == 0


def test_what_a_lost_bus_held_can_be_published_again_as_the_same_events(world: World, bus: ScriptedBus) -> None:
    created = world.queued()
    relayed(world)
    first = {entry.detail["eventId"] for entry in bus.taken}
    bus.taken.clear()
    assert world.one("SELECT republish_events(now() + interval '1 minute')") == 0
    assert world.one("SELECT republish_events(now() - interval '1 minute')") == 2
    relayed(world)
    assert {entry.detail["eventId"] for entry in bus.taken} == first
    assert bus.of(created.session_id) == [1, 2]


def test_a_subject_with_a_long_backlog_keeps_nobody_waiting(world: World, bus: ScriptedBus) -> None:
    busy = UUID(int=1)  # before every session
    world.owner.execute(
        "SELECT emit_event('mechanic.availability_changed',"
        " jsonb_build_object('mechanicId', %s::uuid, 'available', true), %s) FROM generate_series(1, 500)",
        [busy, busy],
    )
    created = world.queued()
    relay(world.app, lambda: MARGIN_SECONDS + (1 if len(bus.taken) < 60 else 0), grace_seconds=0)
    about = [entry for entry in bus.taken if entry.detail.get("sessionId") == str(created.session_id)]
    assert len(about) == 2, "after one turn of the other"
    assert 0 < left(world) <= 450, "what was put before time ran out is marked"
    assert relayed(world).depth == 0
    sequences = [entry.detail["sequence"] for entry in bus.taken if entry.type == "mechanic.availability_changed"]
    assert sequences == sorted(sequences)
    assert len(set(sequences)) == 500
    assert len(bus.calls) < 80, "500 events and a turn or two that are not full"
