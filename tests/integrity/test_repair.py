"""Repair makes the only correct repair, audited, and leaves findings alone that have no single one."""

import json
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from typer.testing import CliRunner

from autodoctor.integrity.repair.run import NotPossible, Operator, Repaired, repair
from autodoctor.integrity.verify import Outcome, reader, verify
from autodoctor.payments.settlement import settle
from localcloud.cli import app
from localcloud.database.postgres import Database, PostgresServer
from support.integrity.sample_data import SampleData
from support.world import World

WRONGLY_CANCELLED = (
    (
        "UPDATE sessions SET status = 'cancelled', end_reason = 'too_short', ended_at = started_at + interval '30 s',"
        " together_seconds = 30 WHERE id = '{}'"
    ),
    "UPDATE session_assignments SET status = 'cancelled' WHERE session_id = '{}'",
    "UPDATE session_events SET to_status = 'cancelled' WHERE session_id = '{}' AND to_status = 'completed'",
    "UPDATE session_assignment_events SET to_status = 'cancelled' WHERE session_id = '{}' AND to_status = 'completed'",
)


@pytest.fixture
def copy(postgres_server: PostgresServer, sample_data: SampleData) -> Iterator[Database]:
    """Give a copy of the sample data to spoil and to repair."""
    sample_data.renew()
    with postgres_server.temporary_database("to_repair", template="sample_data") as copy:
        yield copy


@pytest.fixture
def world(copy: Database) -> Iterator[World]:
    """Give what reads and writes there."""
    world = World(copy)
    yield world
    world.close()


def spoil(world: World, session_id: object, *statements: str) -> None:
    """Change rows past every guard."""
    with world.without_triggers() as superuser:
        for statement in statements:
            assert superuser.execute(sql.SQL(statement.format(session_id))).rowcount > 0, statement


def repaired(world: World, *, apply: bool = True) -> list[Repaired | NotPossible]:
    """One run as the owner."""
    with (
        reader(world.urls.owner_url, "repair") as reading,
        psycopg.connect(world.urls.owner_url, autocommit=True) as writing,
    ):
        return [*repair(reading, writing if apply else None, Operator.here())]


def left(world: World) -> dict[str, int]:
    """The findings of verify, without those about the schema, which repair ignores."""
    with reader(world.urls.app_url, "verify") as connection:
        outcome: Outcome = verify(connection)
    return {slug: tally.count for slug, tally in outcome.tallies.items() if not slug.startswith("schema")}


def audit(world: World) -> list[dict[str, Any]]:
    """The audit of repairs."""
    with psycopg.connect(world.urls.owner_url, row_factory=dict_row) as owner:
        return owner.execute("SELECT * FROM repairs ORDER BY id").fetchall()


def slugs(steps: list[Repaired | NotPossible]) -> list[str]:
    """The checks repaired, and the reason for each finding left alone."""
    return [step.change.check.slug if isinstance(step, Repaired) else f"left: {step.why}" for step in steps]


def assert_left_to_a_person(steps: list[Repaired | NotPossible]) -> None:
    """Nothing was put right, and it was said so."""
    assert [type(step) for step in steps] == [NotPossible]
    assert "needs a person" in slugs(steps)[0]


def test_a_healthy_database_stays_as_it_is(world: World) -> None:
    assert repaired(world) == []
    assert audit(world) == []


def test_a_stuck_assignment_ends_as_its_session_did(world: World, sample_data: SampleData) -> None:
    session_id = sample_data.sessions["completed"]
    spoil(
        world,
        session_id,
        "UPDATE session_assignments SET status = 'accepted', ended_at = NULL WHERE session_id = '{}'",
        "DELETE FROM session_assignment_events WHERE session_id = '{}' AND to_status = 'completed'",
    )
    assert slugs(repaired(world, apply=False)) == ["stuck_assignment"]
    assert left(world) == {"stuck_assignment": 1, "not_followed": 1}  # a dry run changes nothing
    assert slugs(repaired(world)) == ["stuck_assignment"]
    assert left(world) == {}
    (row,) = audit(world)
    assert (row["finding"], row["previous"], row["now"]) == (
        "stuck_assignment",
        {"status": "accepted"},
        {"status": "completed"},
    )
    assert row["actor"].startswith("operator:")
    assert row["reason"]
    assert repaired(world) == []


def test_an_assignment_that_was_reopened_by_hand_ends_when_its_trail_says(
    world: World, sample_data: SampleData
) -> None:
    session_id = sample_data.sessions["completed"]
    ended = "SELECT ended_at FROM session_assignments WHERE session_id = %s"
    trail = "SELECT count(*) FROM session_assignment_events WHERE session_id = %s"
    before, rows = world.one(ended, session_id), world.one(trail, session_id)
    spoil(
        world,
        session_id,
        "UPDATE session_assignments SET status = 'accepted', ended_at = NULL WHERE session_id = '{}'",
    )
    assert slugs(repaired(world, apply=False)) == slugs(repaired(world)) == ["stuck_assignment"]
    assert left(world) == {}
    assert (world.one(ended, session_id), world.one(trail, session_id)) == (before, rows)


@pytest.mark.parametrize("name", ["declined, released, completed", "live", "no show of both"])
def test_each_audit_row_that_is_missing_is_written_again(world: World, sample_data: SampleData, name: str) -> None:
    """Any one of a session, and any one of an assignment."""
    session_id = sample_data.sessions[name]
    for table in ("session_events", "session_assignment_events"):
        query = f"SELECT id, from_status, to_status FROM {table} WHERE session_id = %s ORDER BY id"
        rows = world.owner.execute(query, [session_id]).fetchall()
        for row in rows:
            spoil(world, session_id, f"DELETE FROM {table} WHERE session_id = '{{}}' AND id = {row['id']}")
            (step,) = slugs(repaired(world))
            assert step in {"missing_audit", "missing_assignment_audit"}
            assert left(world) == {}
            told = world.owner.execute(query, [session_id]).fetchall()
            assert [(each["from_status"], each["to_status"]) for each in told] == [
                (each["from_status"], each["to_status"]) for each in rows
            ]
    assert world.one("SELECT count(*) FROM outbox WHERE subject_id = %s", session_id) == 0  # no news


def test_two_missing_rows_in_succession_have_no_one_answer(world: World, sample_data: SampleData) -> None:
    session_id = sample_data.sessions["completed"]
    spoil(world, session_id, "DELETE FROM session_events WHERE session_id = '{}' AND to_status IN ('waiting', 'live')")
    assert_left_to_a_person(repaired(world))
    assert "missing_audit" in left(world)


def test_a_wrongly_marked_session_gets_the_outcome_of_its_evidence(world: World, sample_data: SampleData) -> None:
    """Both trails were marked wrongly; its money was not: what was settled stays."""
    session_id = sample_data.sessions["completed by card"]
    spoil(world, session_id, *WRONGLY_CANCELLED)
    before = world.owner.execute("SELECT * FROM settlements").fetchall()
    assert slugs(repaired(world)) == ["wrongly_marked", "ended_differently"]
    assert world.status(session_id) == "completed"
    assert world.owner.execute("SELECT * FROM settlements").fetchall() == before
    assert left(world) == {}
    (row, _) = audit(world)
    assert row["subject"] == str(session_id)
    assert (row["previous"]["status"], row["now"]["status"]) == ("cancelled", "completed")
    event = "SELECT data ->> 'repair' FROM session_events WHERE session_id = %s AND from_status = 'cancelled'"
    assert world.one(event, session_id) == str(row["run_id"])


def test_an_outcome_that_money_followed_is_a_persons_to_change(world: World, sample_data: SampleData) -> None:
    session_id = sample_data.sessions["cancelled by card"]
    mechanic = world.mechanic().id
    started = "(SELECT created_at FROM sessions WHERE id = '{0}')"
    spoil(
        world,
        session_id,
        # it was completed in truth, and whoever marked it cancelled had it refunded
        "UPDATE session_events SET from_status = 'live' WHERE session_id = '{0}' AND to_status = 'cancelled'",
        f"INSERT INTO session_events (session_id, id, occurred_at, actor, actor_id, from_status, to_status)"
        f" SELECT '{{0}}', min(e.id) - 9 + n, {started} + n * interval '1 ms', 'customer', new_id(), v.source, v.target"
        f"  FROM session_events e, (VALUES (1, 'pending', 'waiting'), (3, 'waiting', 'live')) AS v (n, source, target)"
        f" WHERE e.session_id = '{{0}}' AND e.to_status = 'cancelled' GROUP BY n, v.source, v.target",
        f"INSERT INTO session_presence (session_id, role, mechanic_id, source, witness, since, recorded_at)"
        f" SELECT '{{0}}', role, CASE role WHEN 'mechanic' THEN uuid '{mechanic}' END, 'room', role, at, at"
        f"  FROM (SELECT role, {started} + n * interval '1 ms' AS at"
        f"          FROM (VALUES ('customer', 2), ('mechanic', 3)) AS party (role, n)) AS came",
        f"INSERT INTO session_participants (session_id, role, mechanic_id) VALUES ('{{0}}', 'mechanic', '{mechanic}')",
        f"UPDATE sessions SET mechanic_id = '{mechanic}', end_reason = 'too_short', accepted_at = created_at,"
        f" started_at = created_at + interval '3 ms', customer_joined_at = created_at + interval '2 ms',"
        f" mechanic_joined_at = created_at + interval '3 ms', ended_at = created_at + interval '30 s',"
        f" together_seconds = 29.997"
        f" WHERE id = '{{0}}'",
        f"UPDATE session_assignments SET mechanic_id = '{mechanic}' WHERE session_id = '{{0}}'",
        "UPDATE session_events SET occurred_at = occurred_at + interval '200 s'"
        " WHERE session_id = '{0}' AND to_status = 'cancelled'",
    )
    assert_left_to_a_person(repaired(world))
    assert world.status(session_id) == "cancelled"
    assert "wrongly_marked" in left(world)
    assert world.one("SELECT outcome FROM settlements WHERE session_id = %s", session_id) == "refund"
    assert world.one("SELECT count(*) FROM payouts WHERE session_id = %s", session_id) == 0
    assert world.one("SELECT count(*) FROM settlements_due WHERE session_id = %s", session_id) == 0
    assert not settle(world.app, session_id)  # not a second one
    before = left(world)
    accept = ["repair", "--accept", "wrongly_marked", str(session_id), "--database-url", world.urls.owner_url]
    assert CliRunner().invoke(app, accept).exit_code == 2  # without a reason
    decided = CliRunner().invoke(app, [*accept, "--reason", "The mechanic was paid by bank transfer."])
    assert decided.exit_code == 0, decided.output
    assert left(world) == {slug: count for slug, count in before.items() if slug != "wrongly_marked"}
    assert audit(world)[-1]["reason"] == "The mechanic was paid by bank transfer."


def test_what_nobody_would_settle_is_settled_as_it_ended(world: World, sample_data: SampleData) -> None:
    session_id = sample_data.sessions["just ended"]
    spoil(world, session_id, "DELETE FROM settlements_due WHERE session_id = '{}'")
    assert slugs(repaired(world)) == ["settlement_missing"]
    assert left(world) == {}
    assert settle(world.app, session_id)
    assert left(world) == {}


def test_evidence_that_contradicts_itself_proves_nothing(world: World, sample_data: SampleData) -> None:
    session_id = sample_data.sessions["completed"]
    spoil(
        world,
        session_id,
        *WRONGLY_CANCELLED,
        "UPDATE session_presence SET mechanic_id = new_id() WHERE session_id = '{}' AND role = 'mechanic'",
    )
    assert_left_to_a_person(repaired(world))


def test_guards_are_back_afterwards(world: World, sample_data: SampleData) -> None:
    spoil(world, sample_data.sessions["long"], *WRONGLY_CANCELLED)
    assert slugs(repaired(world)) == ["wrongly_marked", "ended_differently"]
    with pytest.raises(psycopg.DatabaseError, match="cannot go"):
        world.owner.execute("UPDATE sessions SET status = 'live' WHERE id = %s", [sample_data.sessions["long"]])


def test_the_application_may_not_repair(world: World, sample_data: SampleData) -> None:
    spoil(world, sample_data.sessions["long"], *WRONGLY_CANCELLED)
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with (
        reader(world.urls.app_url, "repair") as reading,
        refused,
        psycopg.connect(world.urls.app_url, autocommit=True) as writing,
    ):
        assert [*repair(reading, writing, Operator.here())]


def test_the_commands_say_what_they_found_and_did(world: World, sample_data: SampleData) -> None:
    url = ["--database-url", world.urls.owner_url]
    spoil(
        world,
        sample_data.sessions["completed"],
        "UPDATE session_assignments SET status = 'accepted', ended_at = NULL WHERE session_id = '{}'",
        "DELETE FROM session_assignment_events WHERE session_id = '{}' AND to_status = 'completed'",
    )
    runner = CliRunner()
    shown = runner.invoke(app, ["verify", *url])
    assert shown.exit_code == 1
    assert "stuck_assignment" in shown.stdout
    assert str(sample_data.sessions["completed"]) in shown.stdout
    report = json.loads(runner.invoke(app, ["verify", "--json", *url]).stdout)
    assert (report["findings"], report["complete"]) == (2, True)
    (sessions,) = [each for each in report["sections"] if each["section"] == "sessions"]
    assert [found["check"] for found in sessions["found"]] == ["stuck_assignment"]
    dry = runner.invoke(app, ["repair", *url])
    assert (dry.exit_code, "would put right: stuck_assignment" in dry.stdout) == (1, True)
    done = runner.invoke(app, ["repair", "--apply", *url])
    assert (done.exit_code, "nothing is wrong" in done.stdout) == (0, True), done.stdout
    assert runner.invoke(app, ["verify", *url]).exit_code == 0
    nowhere = ["verify", "--database-url", f"postgresql://{os.getpid()}@127.0.0.1:1/nowhere"]
    assert runner.invoke(app, nowhere).exit_code == 2
