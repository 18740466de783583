"""Every function that moves money, with its process killed before each of its steps, one by one.

test_kill_machine.py walks at random; this leaves nothing out. A step is a statement, a commit, a call of Stripe's or
the answer, and after every death the caller tries again, as customers, Stripe and schedules do.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from localcloud.database.postgres import PostgresServer
from support.chaos.audit import Audit
from support.chaos.background import come_to_rest
from support.chaos.chaos_env import running_chaos_env
from support.chaos.money_driver import MoneyDriver

MOST_STEPS = 60

type Scenario = Callable[[MoneyDriver, UUID], Callable[[int | None], object]]
"""Sets the scenario up for a new customer, and gives what is done in it, by a process that dies before a step."""


def intake_by_card(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    return lambda die: money.ask(customer, "standard", "card", die)


def another_page(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.ask(customer, "quick", "card", None)
    return lambda die: money.ask(customer, "standard", "card", die)


def pack(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    return lambda die: money.buy_credits(customer, die)


def intake_by_credit(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.have_credits(customer)
    return lambda die: money.ask(customer, "standard", "credit", die)


def news_of_a_payment(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.ask(customer, "standard", "card", None)
    money.at_page(money.pages[-1], "pay")
    return lambda die: money.tell(100, CALM, die)


def news_of_a_pack(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.buy_credits(customer, None)
    money.at_page(money.pages[-1], "pay")
    return lambda die: money.tell(100, CALM, die)


def news_of_a_payment_too_many(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.ask(customer, "standard", "card", None)
    money.ask(customer, "free", "free", None)
    money.at_page(money.pages[-1], "pay")
    return lambda die: money.tell(100, CALM, die)


def look_up_of_a_payment(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.ask(customer, "standard", "card", None)
    money.at_page(money.pages[-1], "pay")
    return lambda die: money.sweep("checkout", die)


def end_of_a_session(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.have_credits(customer)
    money.ask(customer, "standard", "credit", None)
    return lambda die: money.go_on(customer, money.mechanics[1], "completed", die)


def settlement_that_pays(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.whole(customer, money.mechanics[1], "card", "completed", settled=False)
    return lambda die: money.settle(CALM, die)


def settlement_that_returns(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.whole(customer, money.mechanics[1], "credit", "withdrawn", settled=False)
    return lambda die: money.settle(CALM, die)


def payout(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.whole(customer, money.mechanics[1], "card", "completed")
    return lambda die: money.sweep("payouts", die)


def payout_from_the_balance(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    """No charge bounds what is sent for it."""
    money.whole(customer, money.mechanics[1], "credit", "completed")
    return lambda die: money.sweep("payouts", die)


def refund(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.whole(customer, money.mechanics[1], "card", "withdrawn")
    return lambda die: money.sweep("payouts", die)


def reversal(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.whole(customer, money.mechanics[1], "card", "completed")
    money.sweep("payouts", None)
    money.take_back(money.pages[-1], "dispute lost")
    money.tell(100, CALM, None)
    return lambda die: money.sweep("payouts", die)


def news_of_a_lost_dispute(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.whole(customer, money.mechanics[1], "card", "completed")
    money.take_back(money.pages[-1], "dispute lost")
    return lambda die: money.tell(100, CALM, die)


def approval_of_a_quote(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    money.whole(customer, money.mechanics[1], "card", "completed")
    (row,) = money.env.by_hand(
        "SELECT s.id FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE c.user_id = %s", customer
    )
    quote_id = money.env.quoted(row["id"], money.mechanics[1], 10_000)
    return lambda die: money.env.approve(quote_id, customer, die)


def onboarding(money: MoneyDriver, _customer: UUID) -> Callable[[int | None], object]:
    return money.env.new_mechanic


CALM = random.Random(0)
SCENARIOS: dict[Scenario, int] = {
    intake_by_card: 5,
    another_page: 7,
    pack: 4,
    intake_by_credit: 2,
    news_of_a_payment: 7,
    news_of_a_pack: 7,
    news_of_a_payment_too_many: 7,
    look_up_of_a_payment: 7,
    end_of_a_session: 2,
    settlement_that_pays: 5,
    settlement_that_returns: 5,
    payout: 10,
    payout_from_the_balance: 8,
    refund: 10,
    reversal: 10,
    news_of_a_lost_dispute: 7,
    approval_of_a_quote: 2,
    onboarding: 6,
}
"""Each with how many steps it has at least: were they not counted, nothing would die."""


@pytest.fixture(scope="module")
def money(
    postgres_server: PostgresServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MoneyDriver]:
    """One world for all of it, which comes to rest after each."""
    folder = tmp_path_factory.mktemp("every_step")
    with (
        postgres_server.temporary_database("every_step", template_database) as database,
        running_chaos_env(database, folder, 0, processes=2) as env,
    ):
        money = MoneyDriver(env)
        money.open()
        money.tell(100, CALM, None)
        yield money


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_death_before_any_step_changes_nothing_in_the_end(money: MoneyDriver, scenario: Scenario) -> None:
    for step in itertools.count():
        assert step < MOST_STEPS
        customer = new_id()
        money.customers.append(customer)
        money.tell(100, CALM, None)
        act = scenario(money, customer)
        before = money.env.pool.dropped
        act(step)
        if money.env.pool.dropped == before:
            break
        act(None)
    assert step >= SCENARIOS[scenario]
    come_to_rest(money.env)
    money.env.stripe.ask("disturb", held=True)
    assert Audit(money.env).findings() == []
