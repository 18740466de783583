"""Verify finds nothing wrong in data that the product made, and every kind of fault that it names."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from autodoctor.domain.invariants import INVARIANTS
from autodoctor.ids import new_id
from autodoctor.integrity.checks import schema as checks_schema
from autodoctor.integrity.checks.base import Section
from autodoctor.integrity.checks.schema import expected, present
from autodoctor.integrity.checks.session import STUCK_ASSIGNMENT
from autodoctor.integrity.report import VerifyReport
from autodoctor.integrity.verify import ALL_CHECKS, Outcome, Place, reader, verify
from autodoctor.operations.commands.verify import print_report
from autodoctor.payments.settlement import settle
from localcloud.database.expected_schema import WHOLE, dumped
from localcloud.database.postgres import APP_ROLE, Database, PostgresServer
from support.integrity.bulk_copy import multiply, size
from support.integrity.corruptions import ROWS, Corruption
from support.integrity.sample_data import SampleData
from support.integrity.schema_corruptions import SCHEMA
from support.invariants.sessions import violations
from support.world import World

WRITE_ANEW = "after a change of autodoctor/sql: uv run python -m localcloud.database.expected_schema"
# What a superuser takes away first: it stands for years of hands, restores and older releases.
UNGUARDED = """
DO $$
DECLARE
  each record;
BEGIN
  FOR each IN SELECT conname, conrelid::regclass AS on_table FROM pg_constraint
               WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'u', 'f')
               ORDER BY contype <> 'f', coninhcount -- an inherited one goes with its parent's
  LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', each.on_table, each.conname);
  END LOOP;
  DROP INDEX uq_active_session_per_customer, uq_busy_session_per_mechanic, uq_open_assignment_per_session;
END
$$
"""


@pytest.fixture(scope="module")
def vandal(postgres_server: PostgresServer, sample_data: SampleData) -> Iterator[psycopg.Connection[Any]]:
    """Give a superuser of a copy of it whom nothing holds up; what they do has to be rolled back."""
    sample_data.renew()
    with (
        postgres_server.temporary_database("unguarded", template="sample_data") as copy,
        psycopg.connect(copy.superuser_url) as superuser,
    ):
        superuser.execute(UNGUARDED)
        superuser.commit()
        yield superuser


def found(outcome: Outcome) -> dict[str, list[str]]:
    """The subjects found, by check."""
    return {slug: [sample.subject for sample in tally.samples] for slug, tally in outcome.tallies.items()}


def wrong_with_rows(outcome: Outcome) -> dict[str, list[str]]:
    """The same without the schema, which has a test of its own: one is enough to say that a migration was added."""
    of_schema = {check.slug for check in checks_schema.CHECKS}
    return {slug: subjects for slug, subjects in found(outcome).items() if slug not in of_schema}


def of_database(url: str) -> Outcome:
    """Look at a whole database."""
    with reader(url, "verify") as connection:
        return verify(connection)


def spoilt(superuser: psycopg.Connection[Any], sample_data: SampleData, corruption: Corruption) -> Outcome:
    """The findings of verify in a corrupted database, which is restored afterwards."""
    ids = {name: str(session_id) for name, session_id in sample_data.sessions.items()}
    try:
        superuser.execute("SET LOCAL session_replication_role = replica")
        for statement in corruption:
            assert superuser.execute(statement.format(**ids)).rowcount != 0, statement
        return verify(superuser)
    finally:
        superuser.rollback()


def test_a_marketplace_that_went_through_everything_raises_no_alarm(sample_data: SampleData) -> None:
    sample_data.renew()
    outcome = of_database(sample_data.world.urls.app_url)
    assert wrong_with_rows(outcome) == {}
    assert outcome.stopped_at is None
    assert outcome.examined["sessions"] == sample_data.world.one("SELECT count(*) FROM sessions")
    assert outcome.looked_at == {check.slug for check in ALL_CHECKS}
    assert violations(sample_data.world.owner) == []  # the other checker says so too


def test_nor_does_it_where_an_hour_of_tests_lies_in_between(sample_data: SampleData) -> None:
    sample_data.world.let_time_pass(3600)
    sample_data.filled_at -= 3600
    sample_data.renew()
    assert wrong_with_rows(of_database(sample_data.world.urls.app_url)) == {}


def test_every_check_has_its_corruptions() -> None:
    assert sorted(check.slug for check in ALL_CHECKS) == sorted([*ROWS, *SCHEMA])
    assert {check.invariant for check in ALL_CHECKS} - {None} == set(range(1, 13))
    assert {check.section for check in ALL_CHECKS} == set(Section)


def variants(corruptions: Mapping[str, list[Corruption]]) -> Iterator[object]:
    """The first way to spoil each; the others only in the long run."""
    for slug, ways in corruptions.items():
        for number, way in enumerate(ways):
            marks = [pytest.mark.slow] if number else []
            yield pytest.param(slug, way, id=f"{slug}-{number}", marks=marks)


@pytest.mark.parametrize(("slug", "corruption"), [*variants(ROWS)])
def test_what_was_spoilt_is_found(
    sample_data: SampleData, vandal: psycopg.Connection[Any], slug: str, corruption: Corruption
) -> None:
    outcome = spoilt(vandal, sample_data, corruption)
    assert slug in found(outcome)
    (check,) = [each for each in ALL_CHECKS if each.slug == slug]
    assert slug in [tally.check.slug for tally in outcome.of(check.section)]


@pytest.mark.parametrize(("slug", "corruption"), [*variants(SCHEMA)])
def test_drift_of_the_schema_is_found(sample_data: SampleData, slug: str, corruption: Corruption) -> None:
    with psycopg.connect(sample_data.world.urls.superuser_url) as superuser:
        assert slug in found(spoilt(superuser, sample_data, corruption))


def test_nothing_is_lost_between_windows_nor_between_runs(vandal: psycopg.Connection[Any]) -> None:
    """However small the windows, and however often the time is over."""
    vandal.execute("SET LOCAL session_replication_role = replica")
    vandal.execute("UPDATE sessions SET customer_joined_at = now() WHERE status = 'completed'")
    whole = verify(vandal)
    place: Place | None = None
    sessions, findings = 0, 0
    for _ in range(1000):
        part = verify(vandal, start=place, seconds_left=lambda: 0.0, window=7)
        sessions += part.examined.get("sessions", 0)
        findings += part.tallies["first_joins_differ"].count if "first_joins_differ" in part.tallies else 0
        place = part.stopped_at
        if place is None:
            break
    vandal.rollback()
    assert (sessions, findings) == (whole.examined["sessions"], whole.tallies["first_joins_differ"].count)
    assert findings > len(whole.tallies["first_joins_differ"].samples) == 5


def test_it_reads_and_no_more(sample_data: SampleData, database: Database) -> None:
    """As on a replica, which refuses every write and every temporary table."""
    with psycopg.connect(sample_data.world.urls.superuser_url, autocommit=True) as superuser:
        superuser.execute("ALTER ROLE autodoctor_app SET default_transaction_read_only = on")
        try:
            outcome = of_database(sample_data.world.urls.app_url)
            assert wrong_with_rows(outcome) == {"role_setting": [APP_ROLE]}, "the one of this test"
        finally:
            superuser.execute("ALTER ROLE autodoctor_app RESET default_transaction_read_only")
    refused = pytest.raises(psycopg.errors.ReadOnlySqlTransaction)
    with reader(database.app_url, "verify") as connection, refused, connection.transaction():
        connection.execute("INSERT INTO outbox_poison (subject_id, id, error) VALUES (%s, 1, 'x')", [UUID(int=1)])


@pytest.mark.parametrize("rows", [5_000, pytest.param(1_000_000, marks=pytest.mark.chaos)])
def test_healthy_rows_raise_no_alarm(postgres_server: PostgresServer, sample_data: SampleData, rows: int) -> None:
    """Random sessions of everybody, many times over."""
    sample_data.renew()
    with postgres_server.temporary_database("crowd", template="sample_data") as crowd:
        with psycopg.connect(crowd.superuser_url, autocommit=True) as superuser:
            multiply(superuser, rows // size(superuser))
            assert size(superuser) >= rows
        outcome = of_database(crowd.app_url)
    assert wrong_with_rows(outcome) == {}


def test_the_expected_schema_is_what_the_migrations_make(database: Database) -> None:
    with psycopg.connect(database.app_url) as connection:
        made = present(connection)
    assert made == expected(), WRITE_ANEW


def test_schema_sql_shows_what_the_migrations_make(database: Database) -> None:
    assert dumped(database.owner_url) == WHOLE.read_text(encoding="utf-8"), WRITE_ANEW


@pytest.mark.parametrize(
    "corruption",
    [
        ("DROP TABLE repairs CASCADE",),
        ("ALTER TABLE payouts DROP COLUMN withheld_cents CASCADE",),
        ("DROP FUNCTION account_currency(text) CASCADE",),
        ("ALTER TABLE waivers RENAME TO signatures",),
        ("ALTER TABLE sessions OWNER TO postgres", "SET LOCAL ROLE autodoctor_owner"),
    ],
)
def test_a_schema_that_cannot_be_read_is_said_and_nothing_else(
    sample_data: SampleData, capsys: pytest.CaptureFixture[str], corruption: Corruption
) -> None:
    with psycopg.connect(sample_data.world.urls.superuser_url) as superuser:
        outcome = spoilt(superuser, sample_data, corruption)
    assert outcome.unreadable
    assert {tally.check.section for tally in outcome.tallies.values()} == {Section.SCHEMA}
    report = VerifyReport.of(outcome)
    assert not report.complete
    seen = {section.section for section in report.sections if section.findings is not None}
    unmade = {check.section for check in ALL_CHECKS if check.slug not in outcome.looked_at}
    assert seen == set(Section) - unmade
    assert unmade
    print_report(report)
    assert capsys.readouterr().out.count("not looked at") == len(Section) - len(seen)


def test_the_report_says_in_words_which_invariant_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    recent = dict.fromkeys(("created", "completed", "notCompleted", "active"), 0)
    outcome = Outcome(datetime.now(UTC), recent=recent)
    outcome.add([STUCK_ASSIGNMENT.of(new_id(), "queued")])
    print_report(VerifyReport.of(outcome))
    assert f"breaks invariant 3: {INVARIANTS[3]}" in " ".join(capsys.readouterr().out.split())


def test_a_foreign_database_is_not_looked_at_but_for_its_schema(postgres_server: PostgresServer) -> None:
    with postgres_server.temporary_database("foreign") as foreign:
        report = VerifyReport.of(of_database(foreign.superuser_url))
    assert [section.section for section in report.sections if section.findings is not None] == [Section.SCHEMA]
    assert report.findings > 0
    assert not report.complete
    assert report.examined == {}


def test_who_may_not_read_is_no_drift(sample_data: SampleData) -> None:
    with psycopg.connect(sample_data.world.urls.superuser_url) as superuser:
        superuser.execute("CREATE ROLE stranger")
        superuser.execute("SET LOCAL ROLE stranger")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            verify(superuser)
        superuser.rollback()


def test_nothing_looks_wrong_while_it_moves(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each window is one snapshot: what is half done elsewhere is not seen half done."""
    monkeypatch.setenv("SESSION_BASE_URL", "https://sessions.example")
    stop = threading.Event()
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE limits SET most = 1000000")

    def consult() -> None:
        world = World(database)
        mechanic = world.mechanic()
        while not stop.is_set():
            customer = new_id()  # nobody may start that many
            created = world.live(mechanic, customer)
            world.end(customer, created.session_id)
            settle(world.app, created.session_id)
        world.close()

    with ThreadPoolExecutor(2) as people:
        parties = [people.submit(consult) for _ in range(2)]
        outcomes = [of_database(database.app_url) for _ in range(10)]
        stop.set()
        for party in parties:
            party.result()
    assert [wrong_with_rows(outcome) for outcome in outcomes] == [{}] * 10
    assert outcomes[-1].examined["sessions"] > outcomes[0].examined["sessions"]


def test_an_empty_database_is_healthy(database: Database) -> None:
    assert wrong_with_rows(of_database(database.app_url)) == {}
