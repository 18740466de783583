"""Repair restores the original or leaves everything as it is; it never invents history.

Each corruption is seeded in a copy of the sample data, repaired by the real command's code, and compared row by row
with the healthy original. Instants may differ as much as two clock readings of one transaction: a lost audit row was
written microseconds before or after the rows from which it is restored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

import psycopg
import pytest
from psycopg.rows import dict_row, tuple_row

from autodoctor.integrity.repair.run import NotPossible, Operator, Repaired, repair
from autodoctor.integrity.verify import verify
from integrity.test_verify import UNGUARDED
from localcloud.database.postgres import PostgresServer
from support.integrity.corruptions import ROWS, Corruption
from support.integrity.sample_data import SampleData

SAME: Final = timedelta(seconds=1)

# What history consists of. Audit rows count by what they tell: ids and actors of those written again are new.
KEPT: Final[dict[str, LiteralString]] = {
    "sessions": "SELECT id::text AS key, * FROM sessions",
    "session_assignments": "SELECT id::text AS key, * FROM session_assignments",
    "session_participants": (
        "SELECT concat_ws(' ', session_id, role, coalesce(mechanic_id, customer_id),"
        " row_number() OVER (PARTITION BY session_id, role ORDER BY since, until)) AS key, * FROM session_participants"
    ),
    "settlements": "SELECT session_id::text AS key, * FROM settlements",
    "settlements_due": "SELECT session_id::text AS key, session_id FROM settlements_due",
    "payouts": "SELECT id::text AS key, * FROM payouts",
    "refunds": "SELECT id::text AS key, * FROM refunds",
    "ledger_transfer": "SELECT id::text AS key, * FROM ledger_transfer",
    "session_events": (
        "SELECT concat_ws(' ', session_id, from_status, '>', to_status, row_number() OVER"
        " (PARTITION BY session_id, from_status, to_status ORDER BY id)) AS key, occurred_at FROM session_events"
    ),
    "session_assignment_events": (
        "SELECT concat_ws(' ', assignment_id, from_status, '>', to_status, row_number() OVER"
        " (PARTITION BY assignment_id, from_status, to_status ORDER BY id)) AS key, occurred_at"
        " FROM session_assignment_events"
    ),
}

C: Final = "completed by card"
ONE_ANSWER: Final[dict[str, Corruption]] = {
    "its end was moved forward": ("UPDATE sessions SET ended_at = ended_at + interval '1 hour' WHERE id = '{C}'",),
    "its end was moved into the future": ("UPDATE sessions SET ended_at = now() + interval '3 days' WHERE id = '{C}'",),
    "its start was moved": ("UPDATE sessions SET started_at = started_at - interval '1 hour' WHERE id = '{C}'",),
    "its start was moved into the future": (
        "UPDATE sessions SET started_at = now() + interval '1 day' WHERE id = '{C}'",
    ),
    "the end of a session whose parties had parted": (
        "UPDATE sessions SET ended_at = ended_at + interval '1 day' WHERE id = '{abandoned}'",
    ),
    "the end of a session past its maximum": (
        "UPDATE sessions SET ended_at = ended_at + interval '1 hour' WHERE id = '{past its maximum}'",
    ),
    "a no-show's end": ("UPDATE sessions SET ended_at = ended_at - interval '1 day' WHERE id = '{no show of both}'",),
    "marked cancelled in its row alone": (
        "UPDATE sessions SET status = 'cancelled', end_reason = 'too_short' WHERE id = '{C}'",
    ),
    "marked expired in its row": (
        "UPDATE sessions SET status = 'expired', end_reason = 'expired', started_at = NULL WHERE id = '{C}'",
        "UPDATE session_assignments SET status = 'expired' WHERE session_id = '{C}'",
    ),
    "too short, marked completed in its row": (
        (
            "UPDATE sessions SET status = 'completed', end_reason = 'billable', ended_at = ended_at + interval '1 hour'"
            " WHERE id = '{too short}'"
        ),
    ),
    "somebody else absent": ("UPDATE sessions SET absent = 'customer' WHERE id = '{no show of both}'",),
    "an assignment that is open again": (
        "UPDATE session_assignments SET status = 'accepted', ended_at = NULL WHERE session_id = '{C}'",
    ),
    "an assignment that never followed": (
        "UPDATE session_assignments SET status = 'accepted', ended_at = NULL WHERE session_id = '{C}'",
        "DELETE FROM session_assignment_events WHERE session_id = '{C}' AND to_status = 'completed'",
    ),
    "an assignment that ended otherwise": (
        "UPDATE session_assignments SET status = 'cancelled' WHERE session_id = '{C}'",
    ),
    "no row of the acceptance": (
        "DELETE FROM session_assignment_events WHERE session_id = '{C}' AND to_status = 'accepted'",
    ),
    "no row of waiting": ("DELETE FROM session_events WHERE session_id = '{C}' AND to_status = 'waiting'",),
    "no row of the start": ("DELETE FROM session_events WHERE session_id = '{C}' AND to_status = 'live'",),
    "no row of the end": ("DELETE FROM session_events WHERE session_id = '{C}' AND to_status = 'completed'",),
    "no row of an end long after they parted": (
        "DELETE FROM session_events WHERE session_id = '{abandoned}' AND from_status = 'live'",
    ),
    "no row of a creation": (
        "DELETE FROM session_events WHERE session_id = '{withdrawn before its time}' AND from_status IS NULL",
    ),
    "no row of a release": (
        "DELETE FROM session_events WHERE session_id = '{withdrawn after a lapsed offer}' AND from_status = 'waiting'",
    ),
    "no row of a lapsed offer": (
        (
            "DELETE FROM session_assignment_events WHERE session_id = '{withdrawn after a lapsed offer}'"
            " AND from_status = 'offered'"
        ),
    ),
    "no row of a decline": (
        (
            "DELETE FROM session_assignment_events WHERE session_id = '{declined, released, completed}'"
            " AND to_status = 'declined'"
        ),
    ),
    "nobody is to settle it": ("DELETE FROM settlements_due WHERE session_id = '{just ended}'",),
}
_AUDIT_OF_END: Final = "WHERE session_id = '{C}' AND to_status = 'completed'"
NO_ANSWER: Final[dict[str, Corruption]] = {
    "the end's audit row lies in the future": (
        f"UPDATE session_events SET occurred_at = now() + interval '3 days' {_AUDIT_OF_END}",
    ),
    "the end's audit row is an hour late": (
        f"UPDATE session_events SET occurred_at = occurred_at + interval '1 hour' {_AUDIT_OF_END}",
    ),
    "the end's audit row is early": (
        f"UPDATE session_events SET occurred_at = occurred_at - interval '30 seconds' {_AUDIT_OF_END}",
    ),
    "all audit rows lie in the future": (
        "UPDATE session_events SET occurred_at = occurred_at + interval '3 days' WHERE session_id = '{C}'",
    ),
    "no evidence of the mechanic": ("DELETE FROM session_presence WHERE session_id = '{C}' AND role = 'mechanic'",),
    "no evidence of the mechanic, nor in the row": (
        "DELETE FROM session_presence WHERE session_id = '{C}' AND role = 'mechanic'",
        "UPDATE sessions SET mechanic_joined_at = NULL, mechanic_present = false WHERE id = '{C}'",
    ),
    "no evidence of anybody, free": (
        "DELETE FROM session_presence WHERE session_id = '{long}'",
        (
            "UPDATE sessions SET mechanic_joined_at = NULL, mechanic_present = false, customer_joined_at = NULL,"
            " customer_present = false WHERE id = '{long}'"
        ),
    ),
    "the joins lie a minute later": (
        (
            "UPDATE session_presence SET since = since + interval '40 seconds', until = until + interval '40 seconds'"
            " WHERE session_id = '{C}'"
        ),
    ),
    "they left earlier, says one row": (
        (
            "UPDATE session_presence SET until = greatest(since, until - interval '95 seconds')"
            " WHERE session_id = '{abandoned}'"
        ),
    ),
    "another mechanic in its row": (
        "UPDATE sessions SET mechanic_id = (SELECT max(id::text)::uuid FROM mechanics) WHERE id = '{C}'",
    ),
    "no mechanic in its row": ("UPDATE sessions SET mechanic_id = NULL WHERE id = '{C}'",),
    "another threshold": ("UPDATE sessions SET min_billable_seconds = 90000 WHERE id = '{long}'",),
    "a lower threshold": ("UPDATE sessions SET min_billable_seconds = 10 WHERE id = '{too short}'",),
    "another longest duration": ("UPDATE intakes SET max_minutes = 1 WHERE id = '{long}'",),
    "a longer longest duration": ("UPDATE intakes SET max_minutes = 9999 WHERE id = '{past its maximum}'",),
    "a row tells that it was shown unsigned": (
        (
            "UPDATE session_assignment_events SET to_status = 'queued' WHERE session_id = '{expired unsigned}'"
            " AND to_status = 'expired'"
        ),
    ),
    "it is settled otherwise, and marked so": (
        (
            "UPDATE sessions SET status = 'cancelled', end_reason = 'too_short',"
            " ended_at = started_at + interval '30 s' WHERE id = '{C}'"
        ),
        "UPDATE session_assignments SET status = 'cancelled' WHERE session_id = '{C}'",
        "UPDATE settlements SET outcome = 'refund' WHERE session_id = '{C}'",
    ),
    "a row tells of a move that was none": (
        (
            "UPDATE session_events SET to_status = 'live' WHERE session_id = '{cancelled by card}'"
            " AND to_status = 'cancelled'"
        ),
    ),
    "a row tells of a mechanic who never was": (
        (
            "UPDATE session_events SET from_status = 'waiting' WHERE session_id = '{cancelled by card}'"
            " AND to_status = 'cancelled'"
        ),
    ),
    "a row tells of an offer that never was": (
        (
            "UPDATE session_assignment_events SET from_status = 'offered' WHERE session_id = '{C}'"
            " AND to_status = 'accepted'"
        ),
    ),
    "a row tells of a time that was never agreed": (
        "UPDATE session_events SET from_status = 'scheduled' WHERE session_id = '{C}' AND from_status IS NULL",
    ),
    "a row tells of a start where nobody met": (
        (
            "UPDATE session_events SET to_status = 'live' WHERE session_id = '{no show of both}'"
            " AND to_status = 'cancelled'"
        ),
    ),
    "a row tells of an acceptance by nobody": (
        (
            "UPDATE session_assignment_events SET to_status = 'accepted' WHERE session_id = '{cancelled by card}'"
            " AND to_status = 'cancelled'"
        ),
    ),
    "a row tells of a release in place of the end": (
        (
            "UPDATE session_events SET to_status = 'pending' WHERE session_id = '{expired waiting}'"
            " AND to_status = 'expired'"
        ),
    ),
    "a row tells of an offer in place of the end": (
        (
            "UPDATE session_assignment_events SET to_status = 'offered' WHERE session_id = '{cancelled by card}'"
            " AND to_status = 'cancelled'"
        ),
    ),
    "cancelled, and expired in its status alone": (
        "UPDATE sessions SET status = 'expired' WHERE id = '{cancelled by card}'",
    ),
    "created a day earlier, and no row of it": (
        "UPDATE sessions SET created_at = created_at - interval '1 day' WHERE id = '{C}'",
        "DELETE FROM session_events WHERE session_id = '{C}' AND from_status IS NULL",
    ),
    "a completed session without its accepted assignment": (
        "UPDATE session_participants SET mechanic_id = NULL WHERE session_id = '{C}' AND role = 'mechanic'",
        "UPDATE session_assignments SET status = 'pending_waiver' WHERE session_id = '{C}'",
    ),
    "over in its row alone": (
        (
            "UPDATE sessions SET status = 'cancelled', end_reason = 'no_show', ended_at = now(),"
            " ended_by = 'customer', min_billable_seconds = 60, min_messages_each = 1, late_minutes = 10"
            " WHERE id = '{waiting}'"
        ),
    ),
    "expired in its row alone": (
        "UPDATE sessions SET status = 'expired', end_reason = 'expired' WHERE id = '{cancelled by card}'",
    ),
    "a declined offer that nobody followed": (
        "UPDATE session_assignments SET status = 'declined', ended_at = now() WHERE session_id = '{offered}'",
    ),
    "the acceptance is told by two, differently": (
        "DELETE FROM session_assignment_events WHERE session_id = '{long}' AND to_status = 'accepted'",
        "UPDATE sessions SET accepted_at = accepted_at + interval '20 seconds' WHERE id = '{long}'",
        (
            "UPDATE session_events SET occurred_at = occurred_at + interval '30 seconds' WHERE session_id = '{long}'"
            " AND to_status = 'live'"
        ),
        "UPDATE session_presence SET since = since + interval '30 seconds' WHERE session_id = '{long}'",
    ),
    "two rows in succession are gone": (
        "DELETE FROM session_events WHERE session_id = '{C}' AND to_status IN ('waiting', 'live')",
    ),
    "the decision is gone, its payout is not": ("DELETE FROM settlements WHERE session_id = '{C}'",),
    "unsettled, and over in its row alone": (
        (
            "UPDATE sessions SET status = 'completed', end_reason = 'billable', ended_at = now(),"
            " ended_by = 'customer', min_billable_seconds = 60, min_messages_each = 1, late_minutes = 10"
            " WHERE id = '{live}'"
        ),
    ),
}


@dataclass
class Vandal:
    """A superuser of a copy of the sample data whom nothing holds up; what they do is rolled back."""

    connection: psycopg.Connection[Any]
    ids: dict[str, str]
    healthy: dict[str, dict[str, dict[str, Any]]]

    def spoil(self, corruption: Corruption) -> None:
        """Change rows past everything."""
        self.connection.execute("SET LOCAL session_replication_role = replica")
        for statement in corruption:
            assert self.connection.execute(statement.format(**self.ids)).rowcount != 0, statement
        self.connection.execute("SET LOCAL session_replication_role = origin")

    def repair(self) -> list[Repaired | NotPossible]:
        """One run that changes what it can."""
        return [*repair(self.connection, self.connection, Operator.here())]

    def found(self) -> set[str]:
        """The findings of verify, without those about the schema, which was corrupted beforehand."""
        return {slug for slug in verify(self.connection).tallies if not slug.startswith("schema")}


@pytest.fixture(scope="module")
def copy(postgres_server: PostgresServer, sample_data: SampleData) -> Iterator[Vandal]:
    """Give a copy without constraints."""
    sample_data.renew()
    ids = {name: str(session_id) for name, session_id in sample_data.sessions.items()}
    with (
        postgres_server.temporary_database("unwitnessed", template="sample_data") as database,
        psycopg.connect(database.superuser_url) as superuser,
    ):
        superuser.execute(UNGUARDED)
        superuser.commit()
        yield Vandal(superuser, ids | {"C": ids[C]}, history(superuser))


@pytest.fixture
def vandal(copy: Vandal) -> Iterator[Vandal]:
    """Give them for one test."""
    copy.connection.rollback()
    yield copy
    copy.connection.rollback()


def history(connection: psycopg.Connection[Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """All that happened, by table and key."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {table: {row.pop("key"): row for row in cursor.execute(query)} for table, query in KEPT.items()}


def alike(one: object, other: object) -> bool:
    """Whether two values are the same, or instants of one transaction."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        return abs(one - other) <= SAME
    return one == other


def like(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Whether two rows tell the same."""
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())


def unlike(
    one: dict[str, dict[str, dict[str, Any]]], other: dict[str, dict[str, dict[str, Any]]]
) -> list[tuple[str, str, Any, Any]]:
    """The rows that differ."""
    return [
        (table, key, one[table].get(key), other[table].get(key))
        for table in one
        for key in one[table].keys() | other[table].keys()
        if not like(one[table].get(key), other[table].get(key))
    ]


@pytest.mark.parametrize("corruption", ONE_ANSWER.values(), ids=ONE_ANSWER)
def test_what_has_one_right_answer_is_as_it_was(vandal: Vandal, corruption: Corruption) -> None:
    vandal.spoil(corruption)
    assert vandal.found()
    steps = vandal.repair()
    assert steps
    assert all(isinstance(step, Repaired) for step in steps), steps
    assert unlike(vandal.healthy, history(vandal.connection)) == []
    assert vandal.found() == set()
    assert vandal.repair() == []


@pytest.mark.parametrize("corruption", NO_ANSWER.values(), ids=NO_ANSWER)
def test_what_witnesses_contradict_is_left_and_stays_reported(vandal: Vandal, corruption: Corruption) -> None:
    vandal.spoil(corruption)
    before, found = history(vandal.connection), vandal.found()
    steps = vandal.repair()
    assert all(isinstance(step, NotPossible) and "needs a person" in step.why for step in steps), steps
    assert history(vandal.connection) == before
    assert vandal.found() == found != set()
    with vandal.connection.cursor(row_factory=tuple_row) as cursor:
        assert cursor.execute("SELECT count(*) FROM repairs").fetchone() == (0,)


@pytest.mark.slow  # every corruption that there is
def test_whatever_is_spoilt_no_row_becomes_what_it_never_was(vandal: Vandal) -> None:
    """All corruptions that verify is tested with: each row stays as it was spoilt, or becomes as it was."""
    for slug, corruptions in ROWS.items():
        for corruption in corruptions:
            vandal.spoil(corruption)
            spoilt = history(vandal.connection)
            vandal.repair()
            repaired = history(vandal.connection)
            changed = unlike(repaired, spoilt)
            invented = [each for each in changed if not like(each[2], vandal.healthy[each[0]].get(each[1]))]
            assert invented == [], (slug, corruption)
            vandal.connection.rollback()
