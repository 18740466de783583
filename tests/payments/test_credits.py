"""Credits: granted once, spent once at intake, and never two intakes the same one."""

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
from autodoctor.payments.ledger.settlement import settle
from integration.actors import Stage, intake_request
from integration.cutting_proxy import cutting_proxy
from payments.purse import balance, buy, buy_on, give, rows, spendable, take_free

CUSTOMER = new_id()


def test_an_intake_takes_the_plans_price_in_credits(stage: Stage) -> None:
    give(stage, CUSTOMER, 7)
    created = buy(stage, CUSTOMER, "standard")
    assert (created.session_status, created.assignment_status, created.next) == ("pending", "queued", "wait")
    assert spendable(stage, CUSTOMER) == 4
    assert balance(stage, accounts.session_credits(created.session_id)) == 3
    assert rows(stage, "SELECT funding, credits, price_cents FROM intakes") == [("credit", 3, 2999)]


def test_the_price_is_the_one_of_the_intake(stage: Stage) -> None:
    give(stage, CUSTOMER, 7)
    created = buy(stage, CUSTOMER, "standard")
    stage.owner.execute("UPDATE plans SET credits = 1, price_cents = 1 WHERE code = 'standard'")
    stage.end(CUSTOMER, created.session_id)
    settle(stage.app, created.session_id)
    assert spendable(stage, CUSTOMER) == 7


@pytest.mark.parametrize("given", [0, 2])
def test_who_has_too_few_gets_nothing_and_pays_nothing(stage: Stage, given: int) -> None:
    if given:
        give(stage, CUSTOMER, given)
    with pytest.raises(InsufficientCredits) as refused:
        buy(stage, CUSTOMER, "standard", key="key")
    assert (refused.value.status, refused.value.slug) == (402, "insufficient-credits")
    assert refused.value.extras == {"balance": given, "price": 3}
    tables: tuple[LiteralString, ...] = ("intakes", "sessions", "customers", "idempotency_keys", "outbox")
    for table in tables:
        assert rows(stage, "SELECT 1 FROM " + table) == []
    assert spendable(stage, CUSTOMER) == given


def test_who_got_more_meanwhile_can_use_the_same_key(stage: Stage) -> None:
    with pytest.raises(InsufficientCredits):
        buy(stage, CUSTOMER, key="key")
    give(stage, CUSTOMER, 1)
    assert buy(stage, CUSTOMER, key="key").session_status == "pending"
    assert spendable(stage, CUSTOMER) == 0


def test_the_same_key_takes_credits_once(stage: Stage) -> None:
    give(stage, CUSTOMER, 1)
    first = buy(stage, CUSTOMER, key="key")
    assert buy(stage, CUSTOMER, key="key") == first
    with pytest.raises(IdempotencyKeyReused):
        buy(stage, CUSTOMER, key="key", concern="Smoke")
    assert (spendable(stage, CUSTOMER), stage.one("SELECT count(*) FROM sessions")) == (0, 1)


def test_an_active_session_is_what_is_said_also_to_who_has_no_credits_left(stage: Stage) -> None:
    give(stage, CUSTOMER, 1)
    buy(stage, CUSTOMER)
    with pytest.raises(ActiveSessionExists):
        buy(stage, CUSTOMER)


@pytest.mark.parametrize("key", [None, "key"])
def test_an_intake_that_committed_unseen_answers_its_own_session_and_paid_once(stage: Stage, key: str | None) -> None:
    give(stage, CUSTOMER, 1)
    with cutting_proxy(stage.urls.app_url) as proxy:
        warm = Database(lambda: proxy.url)
        warm.one("SELECT 1", ())
        proxy.lose_next_commit()
        created = buy_on(warm, CUSTOMER, "quick", key)
        warm.close()
    assert proxy.cuts == 1
    assert created.session_id == stage.one("SELECT id FROM sessions")
    assert spendable(stage, CUSTOMER) == 0


def test_a_plan_without_a_price_in_credits_is_not_sold_for_them(stage: Stage) -> None:
    give(stage, CUSTOMER, 5)
    with pytest.raises(Unprocessable) as refused:
        start_funded_intake(stage.app, CUSTOMER, intake_request(payWith="credit"))
    assert refused.value.extras["errors"] == [{"pointer": "/payWith", "detail": "this plan is not sold for credits"}]


def test_two_intakes_at_once_cannot_spend_the_same_credit(stage: Stage) -> None:
    """One user, many tries: whoever loses, credits and sessions agree."""
    give(stage, CUSTOMER, 1)
    start = threading.Barrier(6)

    def one(_number: int) -> SessionCreated | Problem:
        with stage.elsewhere() as app:
            start.wait()
            try:
                return buy_on(app, CUSTOMER, "quick")
            except Problem as problem:
                return problem

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(one, range(6)))
    assert sum(isinstance(result, SessionCreated) for result in results) == 1
    assert (spendable(stage, CUSTOMER), stage.one("SELECT count(*) FROM sessions")) == (0, 1)


def test_the_last_credit_is_spent_once_also_without_the_rule_of_one_session(stage: Stage) -> None:
    """The balance's own row is what holds: the ledger is written to directly, by many at once."""
    give(stage, CUSTOMER, 3)
    start = threading.Barrier(8)

    def one(number: int) -> bool:
        with stage.elsewhere() as app:
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
    assert spendable(stage, CUSTOMER) == 0


def test_a_grant_counts_once_however_often_it_is_sent(stage: Stage) -> None:
    first = give(stage, CUSTOMER, 5, "gift")
    assert (first.customer_id, first.credits, first.balance) == (CUSTOMER, 5, 5)
    assert give(stage, CUSTOMER, 5, "gift") == first
    with pytest.raises(Unprocessable) as refused:
        give(stage, CUSTOMER, 6, "gift")
    assert refused.value.extras["errors"] == [{"pointer": "/key", "detail": "was used for another grant"}]
    assert spendable(stage, CUSTOMER) == 5
    assert stage.one("SELECT num_nonnulls(actor_id, reason) FROM ledger_transfer") == 2


def test_a_grant_may_name_the_row_of_a_customer_too(stage: Stage) -> None:
    stage.pending(CUSTOMER)
    row = stage.one("SELECT id FROM customers")
    assert give(stage, row, 2).customer_id == CUSTOMER
    assert spendable(stage, CUSTOMER) == 2


def test_a_customer_sees_balance_and_history_page_by_page(stage: Stage) -> None:
    assert credits_of(stage.app, CUSTOMER).model_dump() == {"balance": 0, "history": [], "next_cursor": None}
    give(stage, CUSTOMER, 9)
    for _ in range(2):
        created = buy(stage, CUSTOMER, "standard")
        stage.end(CUSTOMER, created.session_id)
        settle(stage.app, created.session_id)
    seen: list[tuple[str, int]] = []
    cursor: str | None = None
    while True:
        page = credits_of(stage.app, CUSTOMER, "2", cursor)
        assert page.balance == 9
        seen += [(each.movement, each.credits) for each in page.history]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == [("returned", 3), ("spent", -3), ("returned", 3), ("spent", -3), ("granted", 9)]
    assert credits_of(stage.app, new_id()).history == []


@pytest.mark.parametrize("query", [{"cursor": "x"}, {"limit": "0"}, {"limit": "x"}])
def test_a_bad_page_is_refused(stage: Stage, query: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable):
        credits_of(stage.app, CUSTOMER, **query)


# --- plans with a limit ---------------------------------------------------------------------------


@pytest.fixture
def twice(stage: Stage) -> None:
    """Let each customer have two free sessions."""
    stage.owner.execute("UPDATE plans SET uses_per_customer = 2 WHERE code = 'free'")


def use(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.live(mechanic, CUSTOMER)
    stage.let_time_pass(90)
    stage.end(mechanic.user_id, created.session_id)


@pytest.mark.usefixtures("twice")
def test_a_plan_may_be_used_so_often_and_not_more(stage: Stage) -> None:
    use(stage)
    use(stage)
    for key in (None, "key"):
        with pytest.raises(Unprocessable) as refused:
            take_free(stage, CUSTOMER, key)
        assert refused.value.extras["errors"] == [{"pointer": "/plan", "detail": "was used as often as a customer may"}]
    assert stage.pending(new_id()).session_status == "pending"
    assert stage.one("SELECT count(*) FROM idempotency_keys") == 0


@pytest.mark.usefixtures("twice")
def test_what_was_cancelled_was_no_use(stage: Stage) -> None:
    for _ in range(3):
        stage.end(CUSTOMER, stage.queued(CUSTOMER).session_id)
    use(stage)
    assert take_free(stage, CUSTOMER, "key").session_status == "pending"


@pytest.mark.usefixtures("twice")
def test_the_last_use_is_one_session_that_answers_its_key_again(stage: Stage) -> None:
    use(stage)
    first = take_free(stage, CUSTOMER, "key")
    assert take_free(stage, CUSTOMER, "key") == first
    with pytest.raises(ActiveSessionExists):
        take_free(stage, CUSTOMER)
