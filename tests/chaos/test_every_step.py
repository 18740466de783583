"""Each thing that a function does to money, with its process killed before each single step of it, one by one.

Where test_kill_machine.py walks at random, nothing is left out here: a step is a statement, a commit, a call of
Stripe's or the answer, and after every death somebody comes again, as customers, Stripe and schedules do.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from chaos.audit import Audit
from chaos.bank import Bank
from chaos.clockwork import come_to_rest
from chaos.world import running_world
from localcloud.database.postgres import PostgresServer

MOST_STEPS = 60

type Scene = Callable[[Bank, UUID], Callable[[int | None], object]]
"""Sets the scene for a new customer, and gives what is done in it, by a process that dies before a step."""


def intake_by_card(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    return lambda die: bank.ask(customer, "standard", "card", die)


def another_page(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.ask(customer, "quick", "card", None)
    return lambda die: bank.ask(customer, "standard", "card", die)


def pack(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    return lambda die: bank.buy_credits(customer, die)


def intake_by_credit(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.have_credits(customer)
    return lambda die: bank.ask(customer, "standard", "credit", die)


def news_of_a_payment(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.ask(customer, "standard", "card", None)
    bank.at_page(bank.pages[-1], "pay")
    return lambda die: bank.tell(100, CALM, die)


def news_of_a_pack(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.buy_credits(customer, None)
    bank.at_page(bank.pages[-1], "pay")
    return lambda die: bank.tell(100, CALM, die)


def news_of_a_payment_too_many(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.ask(customer, "standard", "card", None)
    bank.ask(customer, "free", "free", None)
    bank.at_page(bank.pages[-1], "pay")
    return lambda die: bank.tell(100, CALM, die)


def look_up_of_a_payment(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.ask(customer, "standard", "card", None)
    bank.at_page(bank.pages[-1], "pay")
    return lambda die: bank.sweep("checkout", die)


def end_of_a_session(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.have_credits(customer)
    bank.ask(customer, "standard", "credit", None)
    return lambda die: bank.go_on(customer, bank.mechanics[1], "completed", die)


def settlement_that_pays(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.whole(customer, bank.mechanics[1], "card", "completed", settled=False)
    return lambda die: bank.settle(CALM, die)


def settlement_that_returns(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.whole(customer, bank.mechanics[1], "credit", "withdrawn", settled=False)
    return lambda die: bank.settle(CALM, die)


def payout(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.whole(customer, bank.mechanics[1], "card", "completed")
    return lambda die: bank.sweep("payouts", die)


def payout_from_the_balance(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    """No charge bounds what is sent for it."""
    bank.whole(customer, bank.mechanics[1], "credit", "completed")
    return lambda die: bank.sweep("payouts", die)


def refund(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.whole(customer, bank.mechanics[1], "card", "withdrawn")
    return lambda die: bank.sweep("payouts", die)


def reversal(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.whole(customer, bank.mechanics[1], "card", "completed")
    bank.sweep("payouts", None)
    bank.take_back(bank.pages[-1], "dispute lost")
    bank.tell(100, CALM, None)
    return lambda die: bank.sweep("payouts", die)


def news_of_a_lost_dispute(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.whole(customer, bank.mechanics[1], "card", "completed")
    bank.take_back(bank.pages[-1], "dispute lost")
    return lambda die: bank.tell(100, CALM, die)


def approval_of_a_quote(bank: Bank, customer: UUID) -> Callable[[int | None], object]:
    bank.whole(customer, bank.mechanics[1], "card", "completed")
    (row,) = bank.world.by_hand(
        "SELECT s.id FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE c.user_id = %s", customer
    )
    quote_id = bank.world.quoted(row["id"], bank.mechanics[1], 10_000)
    return lambda die: bank.world.approve(quote_id, customer, die)


def onboarding(bank: Bank, _customer: UUID) -> Callable[[int | None], object]:
    return bank.world.new_mechanic


CALM = random.Random(0)
SCENES: dict[Scene, int] = {
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
def bank(
    postgres_server: PostgresServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bank]:
    """One world for all of it, which comes to rest after each."""
    folder = tmp_path_factory.mktemp("every_step")
    with (
        postgres_server.temporary_database("every_step", template_database) as database,
        running_world(database, folder, 0, processes=2) as world,
    ):
        bank = Bank(world)
        bank.open()
        bank.tell(100, CALM, None)
        yield bank


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_death_before_any_step_changes_nothing_in_the_end(bank: Bank, scene: Scene) -> None:
    for step in itertools.count():
        assert step < MOST_STEPS
        customer = new_id()
        bank.customers.append(customer)
        bank.tell(100, CALM, None)
        act = scene(bank, customer)
        before = bank.world.pool.dropped
        act(step)
        if bank.world.pool.dropped == before:
            break
        act(None)
    assert step >= SCENES[scene]
    come_to_rest(bank.world)
    bank.world.stripe.ask("disturb", held=True)
    assert Audit(bank.world).findings() == []
