"""What moves money: each scenario is set up for a new customer, and then done by a function that may fail."""

import random
from collections.abc import Callable, Mapping
from uuid import UUID

from autodoctor.db import Row
from support.chaos import money_talks
from support.chaos.contests import decide_as
from support.chaos.money_driver import MoneyDriver
from support.world import Mechanic

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


def _talking(money: MoneyDriver, customer: UUID, way: str, pay_with: str, *, used: bool = False) -> Mechanic:
    """A talk that was extended, with a mechanic who has no other; it is live."""
    mechanic = money.env.new_mechanic()
    money.env.stripe.ask("onboard", account=money.env.accounts[-1])
    money_talks.whole_talk(money, customer, mechanic, way=way, pay_with=pay_with, used=used)
    return mechanic


def _over(money: MoneyDriver, customer: UUID, pay_with: str, *, used: bool = True) -> Row:
    """A talk that was paid for by card, extended and settled; its id, and its mechanic's user."""
    mechanic = _talking(money, customer, "card", pay_with, used=used)
    money.go_on(customer, mechanic, "completed", None)
    money.settle(CALM, None)
    return money_talks.settled(money, customer)[-1]


def asking_for_minutes(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    _talking(money, customer, "card", "card")
    return lambda die: money_talks.ask_for_more(money, customer, "card", die)


def page_of_an_extension(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    asking_for_minutes(money, customer)(None)
    money_talks.answer(money, customer)
    return lambda die: money_talks.ask_for_more(money, customer, "card", die)


def agreement_that_takes_credits(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    _talking(money, customer, "card", "credit")
    money_talks.ask_for_more(money, customer, "credit")
    return lambda die: money_talks.answer(money, customer, die_before=die)


def news_of_an_extension(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    page_of_an_extension(money, customer)(None)
    money.at_page(money.pages[-1], "pay")
    return lambda die: money.tell(100, CALM, die)


def news_of_an_extension_of_what_is_over(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    page_of_an_extension(money, customer)(None)
    money.at_page(money.pages[-1], "pay")
    money.go_on(customer, money.mechanics[1], "completed", None)
    return lambda die: money.tell(100, CALM, die)


def look_up_of_an_extension(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    page_of_an_extension(money, customer)(None)
    money.at_page(money.pages[-1], "pay")
    return lambda die: money.sweep("checkout", die)


def settlement_of_minutes_that_were_used(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    mechanic = _talking(money, customer, "credit", "card", used=True)
    money.go_on(customer, mechanic, "completed", None)
    return lambda die: money.settle(CALM, die)


def settlement_of_minutes_that_were_not(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    mechanic = _talking(money, customer, "card", "credit")
    money.go_on(customer, mechanic, "completed", None)
    return lambda die: money.settle(CALM, die)


def payouts_of_an_extension(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    _over(money, customer, "card")
    return lambda die: money.sweep("payouts", die)


def refund_of_an_extension(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    _over(money, customer, "card", used=False)
    return lambda die: money.sweep("payouts", die)


def contesting(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    over = _over(money, customer, "card")
    return lambda die: money_talks.contest(money, customer, over["id"], die)


def answer_to_a_contest(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    over = _contested(money, customer)
    return lambda die: money_talks.answer_contest(money, over["mechanic_user"], over["id"], die)


def _contested(money: MoneyDriver, customer: UUID) -> Row:
    """Both parts of what it is about: cents and credits."""
    over = _over(money, customer, "credit")
    money_talks.contest(money, customer, over["id"])
    return over


def _decision(outcome: str, part: Mapping[str, int], *, sent: bool = False) -> Scenario:
    def scenario(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
        if sent:
            over = _over(money, customer, "credit")
            money.sweep("payouts", None)
            money_talks.contest(money, customer, over["id"])
        else:
            over = _contested(money, customer)
        return lambda die: decide_as(money.env, over["id"], {"outcome": outcome, **part}, die)

    scenario.__name__ = f"decision_{outcome}{'_of_what_was_sent' if sent else ''}"
    return scenario


def refund_of_a_contest(money: MoneyDriver, customer: UUID) -> Callable[[int | None], object]:
    over = _contested(money, customer)
    decide_as(money.env, over["id"], {"outcome": "part", "refundCents": 1_000})
    return lambda die: money.sweep("payouts", die)


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
    asking_for_minutes: 3,
    page_of_an_extension: 5,
    agreement_that_takes_credits: 3,
    news_of_an_extension: 7,
    news_of_an_extension_of_what_is_over: 7,
    look_up_of_an_extension: 7,
    settlement_of_minutes_that_were_used: 5,
    settlement_of_minutes_that_were_not: 5,
    payouts_of_an_extension: 10,
    refund_of_an_extension: 10,
    contesting: 3,
    answer_to_a_contest: 3,
    _decision("keep", {}): 4,
    _decision("part", {"refundCents": 1_000, "refundCredits": 1}): 4,
    _decision("all", {}): 4,
    _decision("all", {}, sent=True): 4,
    refund_of_a_contest: 10,
}
"""Each with how many steps it has at least: were they not counted, nothing would die."""
