"""Buying a session by card, over HTTP: a customer on Stripe's page, webhooks and their faults, the queue."""

from collections.abc import Iterator
from typing import Any

import pytest

from autodoctor.payments.ledger.accounts import session_held
from localcloud.commands.samples import INTAKE, INTAKE_WITH_WAIVER
from localcloud.stripe.pages.control import StripeControl
from support.account import Account, Caller
from support.money.purchases import balance

BY_CARD = {**INTAKE_WITH_WAIVER, "plan": "quick", "payWith": "card"}


@pytest.fixture
def stripe(account: Account) -> Iterator[StripeControl]:
    """The Stripe of the account, as it should be before and after."""
    control = account.cloud.stripe
    control.set_retries(first=0.1, longest=0.5)
    yield control
    control.clear_faults()
    control.quiet()


def bought(customer: Caller, **fields: object) -> tuple[str, str]:
    """An intake by card: its id, and Stripe's id of the page."""
    asked = customer.post("/api/intake/start", {**BY_CARD, **fields}, 202)
    assert asked["next"] == "pay"
    assert set(asked) == {"intakeId", "checkoutUrl", "next"}
    return asked["intakeId"], asked["checkoutUrl"].rpartition("/")[2]


def standing(customer: Caller, intake_id: str) -> tuple[str, str | None]:
    """How far the intake is."""
    found = customer.get(f"/api/intakes/{intake_id}")
    return found["status"], found["sessionId"]


def queued(account: Account, session_id: str) -> list[dict[str, Any]]:
    """The session where a mechanic sees it."""
    shown = account.mechanic().get("/api/mechanic/queue", limit="100")["assignments"]
    return [each for each in shown if each["sessionId"] == session_id]


def test_a_session_is_bought_and_reaches_the_queue(account: Account, stripe: StripeControl) -> None:
    intake_id, page = bought(customer := account.customer())
    assert standing(customer, intake_id) == ("open", None)
    stripe.pay(page)
    stripe.quiet()
    assert standing(customer, intake_id) == ("paid", intake_id)
    assert queued(account, intake_id)
    assert account.world.one("SELECT count(*) FROM ledger_transfer WHERE intake_id = %s", intake_id) == 1


def test_a_card_that_is_refused_may_be_tried_again(account: Account, stripe: StripeControl) -> None:
    intake_id, page = bought(customer := account.customer())
    stripe.pay(page, "fail")
    stripe.quiet()
    assert standing(customer, intake_id) == ("open", None)
    assert customer.post("/api/intake/start", BY_CARD, 202)["intakeId"] == intake_id
    stripe.pay(page)
    stripe.quiet()
    assert standing(customer, intake_id)[0] == "paid"


@pytest.mark.parametrize(("paid", "status"), [(True, "paid"), (False, "failed")])
def test_who_pays_later_waits(account: Account, stripe: StripeControl, paid: bool, status: str) -> None:  # noqa: FBT001
    intake_id, page = bought(customer := account.customer())
    stripe.pay(page, "pay_later")
    stripe.quiet()
    assert standing(customer, intake_id) == ("processing", None)
    refused = customer.send("POST", "/api/intake/start", {**BY_CARD, "concern": "Another one"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/payment-processing")
    stripe.bank_answers(page, paid=paid)
    stripe.quiet()
    assert standing(customer, intake_id)[0] == status


def test_who_asks_for_something_else_pays_for_that_only(account: Account, stripe: StripeControl) -> None:
    first, _page = bought(customer := account.customer())
    second, page = bought(customer, plan="standard", sessionType="video")
    stripe.pay(page)
    stripe.quiet()
    assert (standing(customer, first)[0], standing(customer, second)[0]) == ("expired", "paid")


def test_events_that_come_twice_and_in_any_order_count_once(account: Account, stripe: StripeControl) -> None:
    stripe.disturb(copies=3, spread_seconds=0.5)
    customers = [account.customer() for _ in range(4)]
    intakes = [bought(customer) for customer in customers]
    for number, (_intake_id, page) in enumerate(intakes):
        stripe.pay(page, "pay_later" if number % 2 else "pay")
        if number % 2:
            stripe.bank_answers(page)
    stripe.quiet()
    for customer, (intake_id, _page) in zip(customers, intakes, strict=True):
        assert standing(customer, intake_id) == ("paid", intake_id)
        assert account.world.one("SELECT count(*) FROM ledger_transfer WHERE intake_id = %s", intake_id) == 1


def test_what_no_webhook_tells_of_is_found_by_the_sweep(account: Account, stripe: StripeControl) -> None:
    stripe.disturb(drop=("checkout.session.*",))
    intake_id, page = bought(customer := account.customer())
    stripe.pay(page)
    stripe.quiet()
    assert standing(customer, intake_id) == ("open", None)
    account.sql("UPDATE checkouts SET checked_at = checked_at - interval '3 minutes' WHERE intake_id = %s", intake_id)
    account.cloud.invoke("CheckoutFunction", {})
    assert standing(customer, intake_id) == ("paid", intake_id)


def test_where_stripe_is_down_the_caller_is_told_and_a_retry_works(account: Account, stripe: StripeControl) -> None:
    stripe.fail(path="/v1/checkout/sessions", mode="unavailable", times=None)
    refused = (customer := account.customer()).send("POST", "/api/intake/start", BY_CARD)
    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/payments-unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    stripe.clear_faults()
    assert bought(customer)


def test_who_took_a_free_session_meanwhile_is_owed_the_money(account: Account, stripe: StripeControl) -> None:
    intake_id, page = bought(customer := account.customer())
    free = customer.post("/api/intake/start", INTAKE, 201)["sessionId"]
    stripe.pay(page)
    stripe.quiet()
    assert standing(customer, intake_id) == ("unfulfillable", None)
    assert customer.get("/api/customer/active-session")["session"]["sessionId"] == free
    owed = account.world.one("SELECT amount_cents FROM refunds WHERE intake_id = %s", intake_id)
    refused = account.http.post("/api/stripe/webhook", content=b"{}")
    assert (owed, refused.status_code) == (999, 400)


def test_credits_are_bought_and_spent(account: Account, stripe: StripeControl) -> None:
    customer = account.customer()
    page = customer.post("/api/customer/credits/checkout", {"pack": "five"}, 202)["checkoutUrl"].rpartition("/")[2]
    stripe.pay(page)
    stripe.quiet()
    shown = customer.get("/api/customer/credits")
    assert (shown["balance"], [each["movement"] for each in shown["history"]]) == (5, ["bought"])
    session = customer.post("/api/intake/start", {**BY_CARD, "payWith": "credit"}, 201)["sessionId"]
    assert (customer.get("/api/customer/credits")["balance"], balance(account.world, session_held(session))) == (4, 0)
