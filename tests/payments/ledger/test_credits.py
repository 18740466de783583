"""Credits: granted once, spent once at intake, and never the same one by two intakes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString

import psycopg
import pytest

from autodoctor.db import Database
from autodoctor.errors import (
    ActiveSessionExists,
    IdempotencyKeyReused,
    InsufficientCredits,
    Problem,
    Unprocessable,
)
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from autodoctor.intake.funded import start_funded_intake
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.credits import credits_of
from autodoctor.payments.settlement import settle
from support.database.cutting_proxy import cutting_proxy
from support.money.purchases import balance, buy, buy_on, give, rows, spendable, take_free
from support.world import World, intake_request

CUSTOMER = new_id()


def test_an_intake_takes_the_plans_price_in_credits(world: World) -> None:
    give(world, CUSTOMER, 7)
    created = buy(world, CUSTOMER, "standard")
    assert (created.session_status, created.assignment_status, created.next) == ("pending", "queued", "wait")
    assert spendable(world, CUSTOMER) == 4
    assert balance(world, accounts.session_credits(created.session_id)) == 3
    assert rows(world, "SELECT funding, credits, price_cents FROM intakes") == [("credit", 3, 2999)]


def test_the_price_is_the_one_of_the_intake(world: World) -> None:
    give(world, CUSTOMER, 7)
    created = buy(world, CUSTOMER, "standard")
    world.owner.execute("UPDATE plans SET credits = 1, price_cents = 1 WHERE code = 'standard'")
    world.end(CUSTOMER, created.session_id)
    settle(world.app, created.session_id)
    assert spendable(world, CUSTOMER) == 7


@pytest.mark.parametrize("given", [0, 2])
def test_who_has_too_few_gets_nothing_and_pays_nothing(world: World, given: int) -> None:
    if given:
        give(world, CUSTOMER, given)
    with pytest.raises(InsufficientCredits) as refused:
        buy(world, CUSTOMER, "standard", key="key")
    assert (refused.value.status, refused.value.slug) == (402, "insufficient-credits")
    assert refused.value.extras == {"balance": given, "price": 3}
    tables: tuple[LiteralString, ...] = ("intakes", "sessions", "customers", "idempotency_keys", "outbox")
    for table in tables:
        assert rows(world, "SELECT 1 FROM " + table) == []
    assert spendable(world, CUSTOMER) == given


def test_who_got_more_meanwhile_can_use_the_same_key(world: World) -> None:
    with pytest.raises(InsufficientCredits):
        buy(world, CUSTOMER, key="key")
    give(world, CUSTOMER, 1)
    assert buy(world, CUSTOMER, key="key").session_status == "pending"
    assert spendable(world, CUSTOMER) == 0


def test_the_same_key_takes_credits_once(world: World) -> None:
    give(world, CUSTOMER, 1)
    first = buy(world, CUSTOMER, key="key")
    assert buy(world, CUSTOMER, key="key") == first
    with pytest.raises(IdempotencyKeyReused):
        buy(world, CUSTOMER, key="key", concern="Smoke")
    assert (spendable(world, CUSTOMER), world.one("SELECT count(*) FROM sessions")) == (0, 1)


def test_an_active_session_is_what_is_said_also_to_who_has_no_credits_left(world: World) -> None:
    give(world, CUSTOMER, 1)
    buy(world, CUSTOMER)
    with pytest.raises(ActiveSessionExists):
        buy(world, CUSTOMER)


@pytest.mark.parametrize("key", [None, "key"])
def test_an_intake_that_committed_unseen_answers_its_own_session_and_paid_once(world: World, key: str | None) -> None:
    give(world, CUSTOMER, 1)
    with cutting_proxy(world.urls.app_url) as proxy:
        warm = Database(lambda: proxy.url)
        warm.one("SELECT 1", ())
        proxy.lose_next_commit()
        created = buy_on(warm, CUSTOMER, "quick", key)
        warm.close()
    assert proxy.cuts == 1
    assert created.session_id == world.one("SELECT id FROM sessions")
    assert spendable(world, CUSTOMER) == 0


def test_a_plan_without_a_price_in_credits_is_not_sold_for_them(world: World) -> None:
    give(world, CUSTOMER, 5)
    with pytest.raises(Unprocessable) as refused:
        start_funded_intake(world.app, CUSTOMER, intake_request(payWith="credit"))
    assert refused.value.extras["errors"] == [{"pointer": "/payWith", "detail": "this plan is not sold for credits"}]


def test_two_intakes_at_once_cannot_spend_the_same_credit(world: World) -> None:
    """One user, many tries: whoever loses, credits and sessions agree."""
    give(world, CUSTOMER, 1)
    start = threading.Barrier(6)

    def one(_number: int) -> SessionCreated | Problem:
        with world.elsewhere() as app:
            start.wait()
            try:
                return buy_on(app, CUSTOMER, "quick")
            except Problem as problem:
                return problem

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(one, range(6)))
    assert sum(isinstance(result, SessionCreated) for result in results) == 1
    assert (spendable(world, CUSTOMER), world.one("SELECT count(*) FROM sessions")) == (0, 1)


def test_the_last_credit_is_spent_once_also_without_the_rule_of_one_session(world: World) -> None:
    """The balance's own row is what holds: the ledger is written to directly, by many at once."""
    give(world, CUSTOMER, 3)
    start = threading.Barrier(8)

    def one(number: int) -> bool:
        with world.elsewhere() as app:
            start.wait()
            try:
                app.execute(
                    "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
                    " VALUES (%s, %s, 'credits_spent', 1, 'credit', 'correction')",
                    [f"k{number}", accounts.customer_credits(CUSTOMER)],
                )
            except psycopg.errors.CheckViolation:
                return False
            else:
                return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) == 3
    assert spendable(world, CUSTOMER) == 0


def test_a_grant_counts_once_however_often_it_is_sent(world: World) -> None:
    first = give(world, CUSTOMER, 5, "gift")
    assert (first.customer_id, first.credits, first.balance) == (CUSTOMER, 5, 5)
    assert give(world, CUSTOMER, 5, "gift") == first
    with pytest.raises(Unprocessable) as refused:
        give(world, CUSTOMER, 6, "gift")
    assert refused.value.extras["errors"] == [{"pointer": "/key", "detail": "was used for another grant"}]
    assert spendable(world, CUSTOMER) == 5
    assert world.one("SELECT num_nonnulls(actor_id, reason) FROM ledger_transfer") == 2
    assert world.one("SELECT count(*) FROM admin_changes WHERE kind = 'credits.granted'") == 1


def test_a_grant_may_name_the_row_of_a_customer_too(world: World) -> None:
    world.pending(CUSTOMER)
    row = world.one("SELECT id FROM customers")
    assert give(world, row, 2).customer_id == CUSTOMER
    assert spendable(world, CUSTOMER) == 2


def test_a_customer_sees_balance_and_history_page_by_page(world: World) -> None:
    assert credits_of(world.app, CUSTOMER).model_dump() == {
        "balance": 0,
        "frozen": 0,
        "history": [],
        "next_cursor": None,
    }
    give(world, CUSTOMER, 9)
    for _ in range(2):
        created = buy(world, CUSTOMER, "standard")
        world.end(CUSTOMER, created.session_id)
        settle(world.app, created.session_id)
    seen: list[tuple[str, int]] = []
    cursor: str | None = None
    while True:
        page = credits_of(world.app, CUSTOMER, "2", cursor)
        assert page.balance == 9
        seen += [(each.movement, each.credits) for each in page.history]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == [("returned", 3), ("spent", -3), ("returned", 3), ("spent", -3), ("granted", 9)]
    assert credits_of(world.app, new_id()).history == []


@pytest.mark.parametrize("query", [{"cursor": "x"}, {"limit": "0"}, {"limit": "x"}])
def test_a_bad_page_is_refused(world: World, query: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable):
        credits_of(world.app, CUSTOMER, **query)


# --- plans with a limit ---------------------------------------------------------------------------


@pytest.fixture
def twice(world: World) -> None:
    """Let each customer have two free sessions."""
    world.owner.execute("UPDATE plans SET uses_per_customer = 2 WHERE code = 'free'")


def use(world: World) -> None:
    mechanic = world.mechanic()
    created = world.live(mechanic, CUSTOMER)
    world.let_time_pass(90)
    world.end(mechanic.user_id, created.session_id)


@pytest.mark.usefixtures("twice")
def test_a_plan_may_be_used_so_often_and_not_more(world: World) -> None:
    use(world)
    use(world)
    for key in (None, "key"):
        with pytest.raises(Unprocessable) as refused:
            take_free(world, CUSTOMER, key)
        assert refused.value.extras["errors"] == [{"pointer": "/plan", "detail": "was used as often as a customer may"}]
    assert world.pending(new_id()).session_status == "pending"
    assert world.one("SELECT count(*) FROM idempotency_keys") == 0


@pytest.mark.usefixtures("twice")
def test_what_was_cancelled_was_no_use(world: World) -> None:
    for _ in range(3):
        world.end(CUSTOMER, world.queued(CUSTOMER).session_id)
    use(world)
    assert take_free(world, CUSTOMER, "key").session_status == "pending"


@pytest.mark.usefixtures("twice")
def test_the_last_use_is_one_session_that_answers_its_key_again(world: World) -> None:
    use(world)
    first = take_free(world, CUSTOMER, "key")
    assert take_free(world, CUSTOMER, "key") == first
    with pytest.raises(ActiveSessionExists):
        take_free(world, CUSTOMER)
