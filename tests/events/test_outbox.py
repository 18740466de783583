"""One event per transition, in its transaction: when one is written, when not, and that it never changes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from psycopg.rows import dict_row

from autodoctor.db import Row
from autodoctor.domain.lifecycle import ASSIGNMENT_MOVES, SESSION_MOVES
from autodoctor.errors import Problem
from autodoctor.events import outbox
from autodoctor.events.model import AssignmentEvent, SessionEvent, detail, event_of
from autodoctor.events.relay import relay
from autodoctor.ids import new_id
from autodoctor.sessions.accept import decline
from autodoctor.sessions.notes import NotesRequest, save_notes
from autodoctor.sessions.presence import release
from autodoctor.sessions.queue import fetch_queue
from autodoctor.web.schemas import now
from concurrency.test_state_machine import Consultations
from support.events.scripted_bus import ScriptedBus, scripted_bus
from support.world import World

PERSONAL = {"name": "Cora Castillo", "email": "cora@example.com", "phone": "+49 30 1234567", "vin": "1HGCM82633A004352"}

UNAUDITED = """
SELECT (SELECT count(*) FROM (
          SELECT session_id, id FROM session_events
          UNION ALL SELECT session_id, id FROM session_assignment_events) AS audited
          FULL JOIN (SELECT subject_id, id FROM outbox WHERE type IS NULL) AS o
            ON o.subject_id = audited.session_id AND o.id = audited.id
         WHERE o.id IS NULL OR audited.id IS NULL)
"""


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedBus]:
    with scripted_bus(monkeypatch) as bus:
        yield bus


def waiting(world: World, session_id: UUID | None = None) -> list[Row]:
    """The unpublished events of one session or of all, in order."""
    return world.owner.execute(
        "SELECT * FROM outbox_events WHERE %(id)s::uuid IS NULL OR subject_id = %(id)s ORDER BY subject_id, id",
        {"id": session_id},
    ).fetchall()


def types(rows: list[Row]) -> list[str]:
    """The detail-types of rows."""
    return [event_of(row).type for row in rows]


def test_a_consultation_is_one_event_a_transition_numbered_without_a_gap(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.end(customer, session_id)
    rows = waiting(world, session_id)
    assert types(rows) == [
        "session.created",
        "assignment.queued",
        "session.waiting",
        "assignment.accepted",
        "session.live",
        "session.ended",
        "assignment.cancelled",
    ]
    assert [row["session_seq"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("commit", [True, False])
def test_an_event_is_there_exactly_if_its_transaction_committed(world: World, *, commit: bool) -> None:
    created = world.queued()
    before = len(waiting(world, created.session_id))
    with psycopg.connect(world.urls.owner_url) as connection:
        connection.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [created.session_id])
        assert len(waiting(world, created.session_id)) == before, "seen before the commit"
        if not commit:
            connection.rollback()
    after = types(waiting(world, created.session_id))[before:]
    assert after == (["session.ended", "assignment.cancelled"] if commit else [])


def test_a_call_that_is_refused_writes_no_event(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    created = world.live(mechanic, customer)
    before = waiting(world)
    for refused in (
        lambda: world.queued(customer),
        lambda: world.accept(world.mechanic(), created),
        lambda: release(world.app, mechanic.user_id, created.session_id),
        lambda: decline(world.app, mechanic.user_id, created.assignment_id),
    ):
        with pytest.raises(Problem):
            refused()
    assert waiting(world) == before


def test_what_is_no_change_of_state_is_no_event(world: World) -> None:
    customer = new_id()
    created = world.waiting(world.mechanic(), customer)
    before = waiting(world)
    world.sign(customer, created.session_id)
    world.one("SELECT expire_orphaned_sessions()")
    world.owner.execute("UPDATE sessions SET customer_present = true WHERE id = %s", [created.session_id])
    assert waiting(world) == before
    assert world.one("SELECT count(*) FROM session_presence WHERE source = 'claim'") == 1, "evidence is audited"


def test_transactions_that_commit_out_of_order_lose_nothing(world: World, bus: ScriptedBus) -> None:
    early, late = world.queued(), world.queued()
    relay(world.app, lambda: 60.0, grace_seconds=0)
    put = len(bus.taken)
    with (
        psycopg.connect(world.urls.owner_url, autocommit=True) as first,
        psycopg.connect(world.urls.owner_url) as second,
    ):
        with first.transaction():
            first.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [early.session_id])
            second.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [late.session_id])
            second.commit()  # drew its numbers later, is seen earlier
            relay(world.app, lambda: 60.0, grace_seconds=0)
            assert {entry.session_id for entry in bus.taken[put:]} == {late.session_id}
        relay(world.app, lambda: 60.0, grace_seconds=0)
    for created in (early, late):
        assert bus.of(created.session_id) == [1, 2, 3, 4]
    sequences = [entry.detail["sequence"] for entry in bus.taken[put:]]
    assert sequences != sorted(sequences), "the later numbers were committed first"


def test_an_event_is_the_same_however_late_it_is_read(world: World) -> None:
    """It is given back, taken by another, joined, ended, paused and renamed after each event was first read."""
    first, second, customer = world.mechanic(world.workshop()), world.mechanic(), new_id()
    session_id = world.queued(customer, preferredMechanicId=first.id, urgent=True).session_id
    read: dict[int, str] = {}

    def look() -> None:
        for row in waiting(world, session_id):
            assert read.setdefault(row["id"], detail(event_of(row))) == detail(event_of(row))

    for step in (
        lambda: decline(world.app, first.user_id, world.one("SELECT id FROM session_assignments")),
        lambda: world.accept_current(second, session_id),
        lambda: world.owner.execute("UPDATE sessions SET status = 'pending' WHERE id = %s", [session_id]),
        lambda: world.accept_current(second, session_id),
        lambda: world.end(customer, session_id),
        lambda: world.owner.execute("UPDATE mechanics SET workshop_id = NULL, name = 'Moe', status = 'suspended'"),
    ):
        look()
        step()
    look()
    assert len(read) == len(waiting(world, session_id)) > 10


def test_a_duplicate_is_the_same_event(world: World) -> None:
    session_id = world.queued().session_id
    first, again = (outbox.pending(world.app, session_id) for _ in range(2))
    assert [event_of(row).event_id for row in first] == [event_of(row).event_id for row in again]
    ids = [event_of(row).event_id for row in first]
    assert len(set(ids)) == len(ids)


def test_no_event_holds_personal_data(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    world.owner.execute("UPDATE mechanics SET name = 'Mia Moreno', email = 'mia@example.com'")
    created = world.live(
        mechanic,
        customer,
        name=PERSONAL["name"],
        email=PERSONAL["email"],
        phone=PERSONAL["phone"],
        vehicle={"year": 2019, "make": "Volvo", "model": "V60", "vin": PERSONAL["vin"]},
        concern="Call me on the landline",
    )
    world.end(mechanic.user_id, created.session_id)
    notes = NotesRequest(text="Spoke to Cora", version=1, confirmed=True)
    save_notes(world.app, mechanic.user_id, created.session_id, notes)
    bus = " ".join(detail(event_of(row)) for row in waiting(world))
    # nor the sub of anybody's token
    words = [*PERSONAL.values(), "Cora", "Volvo", "landline", "Mia", "mia@", str(customer), str(mechanic.user_id)]
    assert [word for word in words if word in bus] == []


def test_a_workshop_s_request_that_becomes_general_is_an_event(world: World) -> None:
    workshop = world.workshop()
    only, other = world.mechanic(workshop), world.mechanic()
    session_id = world.queued(workshopId=workshop, preferredMechanicId=only.id).session_id
    decline(world.app, only.user_id, world.one("SELECT id FROM session_assignments"))
    shown = fetch_queue(world.app, other.user_id).assignments
    events = [event_of(row) for row in waiting(world, session_id)]
    told = [each for each in events if isinstance(each, AssignmentEvent) and each.status == "queued"]
    assert [each.session_id for each in shown] == [session_id]
    assert told[-1].workshop_id is None


def test_every_state_there_is_has_an_event() -> None:
    """Each move of the lifecycle, built as its outbox row would be."""
    facts: dict[str, Any] = {
        **dict.fromkeys(("type", "payload", "data", "mechanic_id", "workshop_id")),
        "subject_id": new_id(),
        "id": 1,
        "session_seq": 1,
        "actor": "customer",
        "occurred_at": now(),
        "customer_id": new_id(),
        "urgent": False,
    }
    for moves, assignment_id, kind in (
        (SESSION_MOVES, None, SessionEvent),
        (ASSIGNMENT_MOVES, new_id(), AssignmentEvent),
    ):
        for previous, nexts in moves.items():
            for status in nexts:
                row = {**facts, "assignment_id": assignment_id, "previous_status": previous, "status": status}
                assert isinstance(event_of(row), kind)


def test_an_event_that_is_no_transition_goes_the_same_way(world: World, bus: ScriptedBus) -> None:
    session_id, mechanic = world.queued().session_id, world.mechanic()
    facts = {
        "sessionId": str(session_id),
        "payoutId": str(new_id()),
        "mechanicId": str(mechanic.id),
        "amountCents": 2099,
        "currency": "usd",
    }
    world.one("SELECT emit_event('payout.sent', %s::jsonb, %s)", json.dumps(facts), session_id)
    relay(world.app, lambda: 60.0, grace_seconds=0)
    assert [entry.type for entry in bus.taken] == ["session.created", "assignment.queued", "payout.sent"]
    assert bus.taken[-1].detail["amountCents"] == 2099
    assert bus.taken[-1].detail["payoutId"] == facts["payoutId"]


class Audited(Consultations):
    """The random people of the state machine, whose every transition has to be in the outbox, and stay as it was."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.first_read: dict[tuple[UUID, int], str] = {}

    @invariant()
    def nothing_is_violated(self) -> None:
        """Leaves invariants 1 to 8 to the other machine."""

    @invariant()
    def each_transition_has_its_event(self) -> None:
        assert self.world.one(UNAUDITED) == 0

    @invariant()
    def events_are_numbered_without_a_gap_and_never_change(self) -> None:
        by_session: dict[UUID, list[int]] = {}
        for row in self.world.owner.cursor(row_factory=dict_row).execute("SELECT * FROM outbox_events ORDER BY id"):
            event = event_of(row)
            if row["type"] is None:
                by_session.setdefault(row["subject_id"], []).append(row["session_seq"])
            # the machine turns the clocks of everything back
            content = detail(event.model_copy(update={"occurred_at": datetime.min.replace(tzinfo=UTC)}))
            first = self.first_read.setdefault((row["subject_id"], row["id"]), content)
            assert content == first
        for numbers in by_session.values():
            assert numbers == list(range(1, len(numbers) + 1))


def explore(world: World, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: Audited(world),  # type: ignore[arg-type]  # it is called, and nothing else
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_people_do_each_transition_has_one_event_in_order(world: World) -> None:
    explore(world, examples=15, steps=40)


@pytest.mark.slow
def test_whatever_many_people_do_each_transition_has_one_event_in_order(world: World) -> None:
    explore(world, examples=100, steps=80)
