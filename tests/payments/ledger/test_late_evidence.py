"""Settlement waits for late evidence, judges again, and leaves to a person what it cannot decide."""

from typing import Any
from uuid import UUID

import psycopg
import pytest

from autodoctor.admin.settlements import DecideRequest, SettlementNotHeld, decide_settlement
from autodoctor.errors import SessionNotFound
from autodoctor.events.feed.connections import drop
from autodoctor.ids import new_id
from autodoctor.integrity.report import VerifyReport
from autodoctor.integrity.verify import reader, verify
from autodoctor.payments.settlement import settle, sweep
from support.invariants.sessions import violations
from support.money.purchases import buy, give
from support.sessions.evidence import column
from support.world import Mechanic, World


@pytest.fixture
def customer(world: World) -> UUID:
    customer = new_id()
    give(world, customer, 10)
    return customer


def talked(world: World, customer: UUID, mechanic: Mechanic, seconds: float) -> tuple[UUID, str]:
    """An ended session in whose room both wrote and sat for so long; and the customer's socket."""
    created = buy(world, customer, "standard")
    world.accept(mechanic, created)
    socket, _ = world.meet(created.session_id, customer, mechanic)
    world.let_time_pass(seconds)
    world.end(mechanic.user_id, created.session_id)
    return created.session_id, socket


def lost_at_once(world: World, session_id: UUID, socket: str) -> None:
    """Learn only now that the customer's socket was silent from its first second on."""
    row: Any = world.one("SELECT min(since) FROM session_presence WHERE session_id = %s", session_id)
    world.owner.execute("SELECT leave_room(%s, %s + interval '1 s')", [socket, row])


def settled_as(world: World, session_id: UUID) -> str | None:
    outcome: str | None = world.one("SELECT outcome FROM settlements WHERE session_id = %s", session_id)
    return outcome


def found(world: World) -> VerifyReport:
    with reader(world.urls.owner_url, "test") as connection:
        return VerifyReport.of(verify(connection))


def slugs(report: VerifyReport) -> set[str]:
    return {each.check for section in report.sections for each in section.found}


def test_the_money_of_a_session_waits_for_late_evidence(world: World, customer: UUID, mechanic: Mechanic) -> None:
    world.owner.execute("UPDATE settings SET value = '90' WHERE key = 'evidence_grace_seconds'")
    session_id, _ = talked(world, customer, mechanic, 70)
    assert not settle(world.app, session_id)
    assert sweep(world.app, lambda: 60.0).settled == 0
    world.let_time_pass(91)
    swept = sweep(world.app, lambda: 60.0)
    assert (swept.settled, swept.late, settled_as(world, session_id)) == (1, 0, "pay")
    assert violations(world.owner) == []


def test_what_nobody_had_accepted_is_paid_back_at_once(world: World, customer: UUID) -> None:
    world.owner.execute("UPDATE settings SET value = '90' WHERE key = 'evidence_grace_seconds'")
    session_id = buy(world, customer, "standard").session_id
    world.end(customer, session_id)
    assert settle(world.app, session_id)
    assert settled_as(world, session_id) == "return"


def test_late_evidence_that_changes_nothing_is_listed(world: World, customer: UUID, mechanic: Mechanic) -> None:
    session_id, socket = talked(world, customer, mechanic, 200)
    world.owner.execute("SELECT leave_room(%s, clock_timestamp() - interval '20 s')", [socket])
    assert settle(world.app, session_id)
    report = found(world)
    assert slugs(report) == set()
    assert [(late.session_id, late.stretches) for late in report.late_evidence] == [(session_id, 1)]


@pytest.mark.parametrize(("outcome", "settled"), [("pay", "pay"), ("refund", "return")])
def test_a_session_that_late_evidence_contradicts_is_held_and_decided_once(
    world: World, customer: UUID, mechanic: Mechanic, outcome: str, settled: str
) -> None:
    session_id, socket = talked(world, customer, mechanic, 70)
    lost_at_once(world, session_id, socket)
    assert not settle(world.app, session_id)
    assert sweep(world.app, lambda: 60.0).settled == 0
    assert column(world, session_id, "status") == "completed"
    assert slugs(found(world)) == {"settlement_held"}
    request = DecideRequest.model_validate({"outcome": outcome, "note": "The transcript shows a talk."})
    decided = decide_settlement(world.app, admin := new_id(), session_id, request)
    assert (decided.session_status, decided.demanded, decided.outcome) == ("completed", "cancelled", outcome)
    assert decide_settlement(world.app, new_id(), session_id, request) == decided
    other = DecideRequest.model_validate({"outcome": "refund" if outcome == "pay" else "pay", "note": "No."})
    with pytest.raises(SettlementNotHeld):
        decide_settlement(world.app, admin, session_id, other)
    notes = "SELECT array_agg(note ORDER BY seq DESC) FROM session_messages WHERE session_id = %s AND role = 'system'"
    assert world.one(notes, session_id)[0] == f"decided_{outcome}"
    assert sweep(world.app, lambda: 60.0).settled == 1
    assert settled_as(world, session_id) == settled
    assert slugs(found(world)) == set()
    audit = world.owner.execute(
        "SELECT actor_id, kind, subject FROM admin_changes WHERE kind = 'settlement.decided'"
    ).fetchall()
    assert [(row["actor_id"], row["kind"], row["subject"]) for row in audit] == [
        (admin, "settlement.decided", str(session_id))
    ]


def test_evidence_that_came_in_time_and_was_ignored_is_found(world: World, customer: UUID, mechanic: Mechanic) -> None:
    session_id, socket = talked(world, customer, mechanic, 70)
    lost_at_once(world, session_id, socket)
    settle(world.app, session_id)
    with world.without_triggers() as connection:
        connection.execute("DELETE FROM settlement_holds")
        connection.execute(
            "INSERT INTO settlements (session_id, outcome, facts) VALUES (%s, 'pay', '{\"status\": \"completed\"}')",
            [session_id],
        )
    assert "late_evidence_ignored" in slugs(found(world))


def test_only_what_is_held_can_be_decided(world: World, customer: UUID, mechanic: Mechanic) -> None:
    session_id, socket = talked(world, customer, mechanic, 70)
    drop(world.app, [socket])
    settle(world.app, session_id)
    request = DecideRequest.model_validate({"outcome": "refund", "note": "I would rather not."})
    with pytest.raises(SettlementNotHeld):
        decide_settlement(world.app, new_id(), session_id, request)
    with pytest.raises(SessionNotFound):
        decide_settlement(world.app, new_id(), new_id(), request)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.app.execute("INSERT INTO settlement_holds (session_id) VALUES (%(id)s)", {"id": session_id})
