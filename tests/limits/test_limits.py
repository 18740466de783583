"""Limits for one user: so many at once, then one after the other; counted with what they limit, and swept."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Final
from uuid import UUID

import psycopg
import pytest

from autodoctor.db import Database, Refused
from autodoctor.errors import ActiveSessionExists, TooManyRequests
from autodoctor.events.feed.tickets import issue_ticket
from autodoctor.ids import new_id
from autodoctor.intake.create import start_intake
from autodoctor.sessions.expiry import sweep
from localcloud.database.postgres import PostgresServer
from support.database.statement_log import statements
from support.world import World, intake_request

ROOT: Final = Path(__file__).parents[2]
COUNTED: Final = re.compile(r"count_against\('([a-z_]+)'")


def use(database: Database, user: UUID, limit: str = "errands") -> None:
    database.one("SELECT count_against(%s, %s)", (limit, user))


def seconds_to_wait(database: Database, user: UUID) -> int:
    with pytest.raises(TooManyRequests) as refused:
        use(database, user)
    assert refused.value.body()["limit"] == "errands"
    assert refused.value.headers == {"Retry-After": str(refused.value.extras["retryAfterSeconds"])}
    seconds: object = refused.value.extras["retryAfterSeconds"]
    assert isinstance(seconds, int)
    return seconds


@pytest.fixture
def limited(world: World) -> World:
    """Five errands at once, and another each twelve seconds."""
    world.owner.execute("INSERT INTO limits (name, most, seconds) VALUES ('errands', 5, 60)")
    return world


def test_so_many_at_once_and_then_one_after_the_other(limited: World) -> None:
    user = new_id()
    for _ in range(5):
        use(limited.app, user)
    assert seconds_to_wait(limited.app, user) in range(8, 13)
    limited.let_time_pass(13)
    use(limited.app, user)
    assert seconds_to_wait(limited.app, user) in range(8, 13)
    limited.let_time_pass(61)
    for _ in range(5):
        use(limited.app, user)


def test_a_limit_is_each_user_s_own(limited: World) -> None:
    mine, another = new_id(), new_id()
    for _ in range(5):
        use(limited.app, mine)
    use(limited.app, another)
    assert seconds_to_wait(limited.app, mine) > 0


def test_a_refusal_does_not_make_the_wait_longer(limited: World) -> None:
    user = new_id()
    for _ in range(5):
        use(limited.app, user)
    first = seconds_to_wait(limited.app, user)
    assert max(seconds_to_wait(limited.app, user) for _ in range(20)) <= first


def test_what_is_rolled_back_was_not_counted(limited: World) -> None:
    user = new_id()

    def fail(connection: psycopg.Connection[dict[str, object]]) -> None:
        connection.execute("SELECT count_against('errands', %s)", (user,))
        raise Refused("AD001")

    for _ in range(9):
        with pytest.raises(Refused):
            limited.app.transaction(fail)
    for _ in range(5):
        use(limited.app, user)


def test_an_operator_changes_or_removes_a_limit(limited: World) -> None:
    user = new_id()
    limited.owner.execute("UPDATE limits SET most = 1 WHERE name = 'errands'")
    use(limited.app, user)
    assert seconds_to_wait(limited.app, user) in range(50, 61)
    limited.owner.execute("DELETE FROM limits WHERE name = 'errands'")
    use(limited.app, user)


def test_two_at_once_do_not_pass_together(limited: World) -> None:
    user, barrier = new_id(), Barrier(2)
    limited.owner.execute("UPDATE limits SET most = 1 WHERE name = 'errands'")

    def at_once(_: int) -> bool:
        with limited.elsewhere() as database:
            barrier.wait()
            try:
                use(database, user)
            except TooManyRequests:
                return False
            return True

    with ThreadPoolExecutor() as pool:
        assert sorted(pool.map(at_once, range(2))) == [False, True]


def test_the_counters_do_not_grow_with_history(limited: World) -> None:
    users = [new_id() for _ in range(3)]
    for user in users * 4:
        use(limited.app, user)
    assert limited.one("SELECT count(*) FROM limit_counters") == 3
    swept = sweep(limited.app, lambda: 60.0)
    assert (swept.forgotten_counters, limited.one("SELECT count(*) FROM limit_counters")) == (0, 3)
    limited.let_time_pass(61)
    assert sweep(limited.app, lambda: 60.0).forgotten_counters == 3
    assert limited.one("SELECT count(*) FROM limit_counters") == 0


@pytest.mark.parametrize("statement", ["DELETE FROM limit_counters", "UPDATE limits SET most = 1000000"])
def test_the_application_sets_no_counter_back(world: World, statement: str) -> None:
    with psycopg.connect(world.urls.app_url) as thief, pytest.raises(psycopg.errors.InsufficientPrivilege):
        thief.execute(statement.encode())


def test_every_limit_is_counted_and_documented() -> None:
    """A limit without a row is not checked, so a misspelt one would limit nobody."""
    layer = ROOT / "layers/shared/autodoctor"
    schema = (layer / "sql/0001_foundation.sql").read_text(encoding="utf-8")
    seeded = schema.partition("INSERT INTO limits")[2].partition(";")[0]
    rows = {match[1]: (match[2], match[3]) for match in re.finditer(r"\('([a-z_]+)', (\d+), (\d+)\)", seeded)}
    sources = [*layer.rglob("*.py"), *layer.rglob("*.sql")]
    counted = {name for file in sources for name in COUNTED.findall(file.read_text(encoding="utf-8"))} - {"NAME"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    documented = {
        match[1]: (match[2], match[3]) for match in re.finditer(r"\| `([a-z_]+)` \| ([\d,]+) in ([\d,]+) s \|", readme)
    }
    assert counted == set(rows)
    assert {name: tuple(part.replace(",", "") for part in pair) for name, pair in documented.items()} == rows


# --- what is limited ------------------------------------------------------------------------------


def test_a_customer_starts_ten_sessions_at_once(world: World) -> None:
    """What is refused for another reason, or repeated, is not counted."""
    customer = new_id()
    for n in range(10):
        created = start_intake(world.app, customer, intake_request(), f"key {n}")
        assert start_intake(world.app, customer, intake_request(), f"key {n}") == created
        with pytest.raises(ActiveSessionExists):
            start_intake(world.app, customer, intake_request())
        world.end(customer, created.session_id)
    rows = world.one("SELECT count(*) FROM intakes")
    with pytest.raises(TooManyRequests):
        start_intake(world.app, customer, intake_request())
    assert world.one("SELECT count(*) FROM intakes") == rows == 10
    assert start_intake(world.app, customer, intake_request(), "key 9").session_id == created.session_id
    assert world.queued().session_status == "pending"


def test_the_limit_of_intakes_costs_no_trip_to_the_database(world: World, postgres_server: PostgresServer) -> None:
    world.pending()  # the connection is open
    with postgres_server.log_file.open(errors="replace") as log:
        log.seek(0, os.SEEK_END)
        world.pending()
        (sent,) = statements(log)
    assert "count_against('intakes'" in sent.text


def test_a_user_has_sixty_tickets_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSOCKET_URL", "wss://feed.example")
    user = new_id()
    for _ in range(60):
        issue_ticket(world.app, user, frozenset({"customers"}))
    with pytest.raises(TooManyRequests):
        issue_ticket(world.app, user, frozenset({"customers"}))
    assert world.one("SELECT count(*) FROM realtime_tickets") == 60
