"""Facts of the schema: the same states and moves as in Python, comments, settings."""

import re
from datetime import timedelta
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Final, LiteralString

import psycopg
import pytest
from psycopg import sql

from autodoctor.domain.ending import Absent
from autodoctor.domain.lifecycle import (
    ACTIVE_SESSION,
    ASSIGNMENT_MOVES,
    SESSION_MOVES,
    TERMINAL,
    AssignmentStatus,
    EndReason,
    SessionStatus,
)
from autodoctor.domain.money import share_of
from autodoctor.legacy import target_state
from localcloud.database.postgres import Database
from support.world import World

SPEC: Final = Path(__file__).parents[2] / "SPEC.md"

CONSTRAINT = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s"
INDEX = "SELECT pg_get_indexdef(%s::regclass)"


def quoted(text: str) -> set[str]:
    """The string literals of an SQL expression."""
    return set(re.findall(r"'([^']*)'", text))


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("sessions_status_known", SessionStatus),
        ("session_assignments_status_known", AssignmentStatus),
        ("sessions_absent_known", Absent),
    ],
)
def test_the_database_knows_the_same_values_as_python(world: World, constraint: str, values: type[StrEnum]) -> None:
    assert quoted(world.one(CONSTRAINT, constraint)) == set(values)


def test_the_database_knows_the_same_reasons_as_python(world: World) -> None:
    assert quoted(world.one(CONSTRAINT, "sessions_reason_fits_status")) == {
        *EndReason, *(status for status, moves in SESSION_MOVES.items() if not moves)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("function", "statuses", "moves"),
    [
        ("session_may_move", SessionStatus, SESSION_MOVES),
        ("assignment_may_move", AssignmentStatus, ASSIGNMENT_MOVES),
    ],
)
def test_the_database_allows_the_same_moves_as_python(
    world: World, function: str, statuses: type[StrEnum], moves: dict[StrEnum, frozenset[StrEnum]]
) -> None:
    """Every pair, also of a status with itself."""
    pairs = list(product(statuses, repeat=2))
    rows = world.owner.execute(
        f"SELECT source, target FROM unnest(%s::text[], %s::text[]) AS pair (source, target) "
        f"WHERE {function}(source, target)",
        [[source for source, _ in pairs], [target for _, target in pairs]],
    )
    allowed = {(row["source"], row["target"]) for row in rows}
    assert allowed == {(source, target) for source, targets in moves.items() for target in targets}


def test_the_unique_indexes_cover_what_python_calls_active(world: World) -> None:
    """They say `ended_at IS NULL`, which a constraint holds equal to being active."""
    assert quoted(world.one(CONSTRAINT, "sessions_end_is_complete")) == set(SessionStatus) - ACTIVE_SESSION
    for index in ("uq_active_session_per_customer", "uq_busy_session_per_mechanic"):
        assert "(ended_at IS NULL)" in world.one(INDEX, index)


def test_what_is_over_has_one_meaning(world: World) -> None:
    """Constraints and indexes spell it out; the functions and Python ask."""
    rows = world.owner.execute(
        "SELECT status FROM unnest(%s::text[]) AS status WHERE is_terminal(status)", [[*SessionStatus]]
    )
    assert {row["status"] for row in rows} == TERMINAL
    assert quoted(world.one(CONSTRAINT, "session_assignments_end_is_stamped")) == TERMINAL | {"declined"}
    assert quoted(world.one(INDEX, "session_events_ended")) == TERMINAL


@pytest.mark.parametrize(
    ("limit", "key", "otherwise"),
    [
        ("lead_time", "lead_seconds", 15 * 60),
        ("offer_time", "offer_seconds", 120),
        ("orphan_age", "orphan_seconds", 2 * 60 * 60),
        ("absence_limit", "absence_seconds", 10 * 60),
        ("parting_limit", "parting_seconds", 10 * 60),
    ],
)
def test_a_time_limit_is_a_setting(world: World, limit: LiteralString, key: str, otherwise: int) -> None:
    assert world.one(f"SELECT {limit}()") == timedelta(seconds=otherwise)
    world.owner.execute("INSERT INTO settings (key, value) VALUES (%s, '7')", [key])
    assert world.one(f"SELECT {limit}()") == timedelta(seconds=7)
    with pytest.raises(psycopg.errors.CheckViolation, match="settings_time_limits_are_seconds"):
        world.owner.execute("UPDATE settings SET value = 'soon' WHERE key = %s", [key])


def stated_settings() -> list[str]:
    """The keys in SPEC.md's table of settings."""
    table = SPEC.read_text(encoding="utf-8").partition("| key | default | meaning |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [key for row in rows for key in re.findall(r"`([a-z_]+)`", row)]


@pytest.mark.parametrize("key", sorted({*stated_settings()} - {"waiver_versions", "receipt_issuer"}))
def test_a_setting_that_is_no_text_takes_no_words(world: World, key: str) -> None:
    """Whoever reads it would fail, for everybody."""
    for nonsense in ("five", "", "-1", "1 min", "99999999999"):
        with pytest.raises(psycopg.errors.CheckViolation):
            world.owner.execute(
                "INSERT INTO settings (key, value) VALUES (%s, %s)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [key, nonsense],
            )


def test_the_import_knows_the_same_time_limits(world: World) -> None:
    """It judges what the old system left behind by the rules that the sweeps follow afterwards."""
    assert world.one("SELECT ARRAY[lead_time(), orphan_age(), absence_limit(), parting_limit()]") == [
        target_state.LEAD,
        target_state.ORPHANED,
        target_state.DESERTED,
        target_state.DESERTED,
    ]


def test_a_share_is_rounded_as_python_rounds_it(world: World) -> None:
    pairs = [*product((*range(120), 999, 2_999, 12_350, 10**9), (*range(0, 10_001, 125), 1, 6_667, 9_999))]
    rows = world.owner.execute(
        "SELECT share_of(amount, part) AS share"
        " FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS pair (amount, part, n) ORDER BY n",
        [[amount for amount, _ in pairs], [part for _, part in pairs]],
    )
    assert [row["share"] for row in rows] == [share_of(amount, part) for amount, part in pairs]
    assert world.one("SELECT share_of(7, 3, 14)") == share_of(7, 3, 14) == 2  # 1.5


def test_every_table_and_function_says_what_it_is_for(world: World) -> None:
    silent = world.owner.execute(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        "   AND relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL "
        "UNION ALL "
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        "   AND obj_description(oid, 'pg_proc') IS NULL"
    )
    assert silent.fetchall() == []


def test_every_column_that_its_name_does_not_explain_has_a_comment(world: World) -> None:
    """Keys and references explain themselves, a snapshot its neighbours, and an inherited column has its parent's."""
    rows = world.owner.execute(
        "SELECT c.oid::regclass || '.' || a.attname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
        "   AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0 AND col_description(c.oid, a.attnum) IS NULL"
        "   AND a.attname !~ '(^|_)id$'"
    )
    explained_by_a_neighbour = {
        *(f"intakes.{name}" for name in ("currency", "credits", "mechanic_share_bp", "max_minutes")),
        *(f"intakes.{name}" for name in ("plan_code", "session_type", "customer_name", "created_at")),
        "session_assignment_events.to_status",
    }
    assert {row["name"] for row in rows} <= explained_by_a_neighbour


def store_threshold(database: Database, value: str) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("ALTER DATABASE {} SET app.min_billable_seconds = {}").format(sql.Identifier(database.name), value)
        )


def test_the_threshold_comes_from_the_table_then_the_database_then_60(world: World) -> None:
    assert world.one("SELECT min_billable_seconds()") == 60
    store_threshold(world.urls, "90")
    assert world.one("SELECT min_billable_seconds()") == 90
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('min_billable_seconds', '30')")
    assert world.one("SELECT min_billable_seconds()") == 30
    with pytest.raises(psycopg.errors.CheckViolation):
        world.owner.execute("UPDATE settings SET value = 'soon' WHERE key = 'min_billable_seconds'")


@pytest.mark.parametrize("nonsense", ["60.5", "-5", "soon", ""])
def test_a_stored_setting_that_is_no_count_of_seconds_counts_as_not_set(world: World, nonsense: str) -> None:
    """Otherwise nobody could end a session."""
    store_threshold(world.urls, nonsense)
    assert world.one("SELECT min_billable_seconds()") == 60


@pytest.mark.parametrize("threshold", ["0", "999999"])
def test_no_connection_chooses_its_threshold(database: Database, threshold: str) -> None:
    """Anybody may SET a name with a dot, or connect with it; to store it for a role takes a superuser."""
    with psycopg.connect(database.app_url, options=f"-c app.min_billable_seconds={threshold}") as thief:
        assert thief.execute("SHOW app.min_billable_seconds").fetchone() == (threshold,)
        assert thief.execute("SELECT min_billable_seconds()").fetchone() == (60,)
        thief.execute(sql.SQL("SET app.min_billable_seconds = {}").format(threshold))
        assert thief.execute("SELECT min_billable_seconds()").fetchone() == (60,)


def test_a_waiver_has_a_version_also_without_its_setting(world: World) -> None:
    world.owner.execute("DELETE FROM settings WHERE key = 'waiver_versions'")
    assert world.one("SELECT waiver_versions()") == ["1.0"]
    assert world.one("SELECT current_waiver_version()") == "1.0"
    with pytest.raises(psycopg.errors.CheckViolation):
        world.owner.execute("INSERT INTO settings (key, value) VALUES ('waiver_versions', '')")
