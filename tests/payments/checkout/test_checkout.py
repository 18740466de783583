"""Buying by card: one page per intake, closed for another intake, and nothing half-made when Stripe is down."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from autodoctor.errors import (
    ActiveSessionExists,
    IdempotencyKeyReused,
    IntakeNotFound,
    PaymentProcessing,
    PaymentsUnavailable,
    Unprocessable,
)
from autodoctor.ids import new_id
from autodoctor.intake.card import intake_status
from autodoctor.intake.create import SessionCreated
from autodoctor.intake.funded import start_funded_intake
from autodoctor.payments.checkout.checkout import PackRequest, buy_pack
from autodoctor.payments.checkout.sweep import sweep_checkouts
from autodoctor.payments.ledger.accounts import CREDIT_SALES, STRIPE
from support.money.checkout_env import CheckoutEnv
from support.money.purchases import balance, give, spendable, take_free
from support.world import intake_request


def test_an_intake_by_card_gives_a_page_that_carries_our_ids(checkout_env: CheckoutEnv) -> None:
    opened = checkout_env.ask(new_id())
    (page,) = checkout_env.stripe.objects("checkout.session")
    assert opened.checkout_url.endswith(page["id"])
    assert (page["amount_total"], page["currency"], page["mode"]) == (999, "usd", "payment")
    assert page["metadata"]["intakeId"] == str(opened.intake_id)
    assert checkout_env.one("SELECT count(*) FROM sessions") == 0


def test_asking_again_while_it_is_open_gives_the_same(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    first, second = checkout_env.ask(customer), checkout_env.ask(customer)
    assert first == second
    assert len(checkout_env.stripe.objects("checkout.session")) == 1


def test_asking_for_something_else_closes_the_first_page(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    first = checkout_env.ask(customer)
    second = checkout_env.ask(customer, plan="standard", sessionType="video")
    assert first.intake_id != second.intake_id
    assert [page["status"] for page in checkout_env.stripe.objects("checkout.session")] == ["expired", "open"]
    assert (checkout_env.status(first.intake_id), checkout_env.status(second.intake_id)) == ("expired", "open")


def test_a_page_that_is_being_paid_is_not_replaced(checkout_env: CheckoutEnv) -> None:
    """Whether Stripe's word on it has come or not."""
    customer = new_id()
    opened = checkout_env.ask(customer)
    checkout_env.stripe.pay(checkout_env.page(opened), "pay_later")
    with pytest.raises(PaymentProcessing):
        checkout_env.ask(customer, concern="Something else")
    assert checkout_env.tell("checkout.session.completed").json["outcome"] == "processing"
    for concern in ("Squeals when braking", "Something else"):
        with pytest.raises(PaymentProcessing):
            checkout_env.ask(customer, concern=concern)


@pytest.mark.parametrize(
    "asked", [{"plan": "free", "payWith": "free"}, {"plan": "quick", "payWith": "credit", "sessionType": "chat"}]
)
def test_what_is_being_paid_is_waited_for_also_by_who_could_go_without_a_card(
    checkout_env: CheckoutEnv, asked: dict[str, object]
) -> None:
    customer = new_id()
    give(checkout_env.world, customer, 3)
    checkout_env.stripe.pay(checkout_env.page(opened := checkout_env.ask(customer)), "pay_later")
    checkout_env.tell("checkout.session.completed")
    request = intake_request(**asked)
    with pytest.raises(PaymentProcessing):
        start_funded_intake(checkout_env.world.app, customer, request)
    assert checkout_env.one("SELECT count(*) FROM sessions") == 0
    assert spendable(checkout_env.world, customer) == 3
    checkout_env.stripe.bank_answers(checkout_env.page(opened), paid=False)
    checkout_env.tell("checkout.session.async_payment_failed")
    assert isinstance(start_funded_intake(checkout_env.world.app, customer, request), SessionCreated)


def test_a_page_of_who_has_a_session_by_now_is_closed(checkout_env: CheckoutEnv) -> None:
    customer, other = new_id(), new_id()
    left, wanted = checkout_env.ask(customer), checkout_env.ask(other)
    take_free(checkout_env.world, customer)
    assert checkout_env.status(left.intake_id) == "open"
    assert checkout_env.sweep().closed == 1
    assert (checkout_env.status(left.intake_id), checkout_env.status(wanted.intake_id)) == ("expired", "open")
    assert [page["status"] for page in checkout_env.stripe.objects("checkout.session")] == ["expired", "open"]
    assert checkout_env.sweep().closed == 0


def test_a_page_that_is_paid_before_it_is_closed_is_paid_back(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    left = checkout_env.ask(customer)
    take_free(checkout_env.world, customer)
    checkout_env.stripe.pay(checkout_env.page(left))
    swept = sweep_checkouts(checkout_env.world.app, lambda: 60.0, lambda _subject: None)  # too young to be looked up
    assert (swept.asked, swept.closed, checkout_env.status(left.intake_id)) == (0, 0, "open")
    assert checkout_env.tell("checkout.session.completed").json["outcome"] == "unfulfillable"
    assert checkout_env.one("SELECT amount_cents FROM refunds") == 999


def test_a_page_that_cannot_be_closed_is_not_in_the_way_of_the_others(checkout_env: CheckoutEnv) -> None:
    for _ in range(3):
        checkout_env.ask(customer := new_id())
        take_free(checkout_env.world, customer)
    checkout_env.stripe.fail(path="/v1/checkout/sessions/*/expire", mode="error", times=1)
    with pytest.raises(ExceptionGroup):
        sweep_checkouts(checkout_env.world.app, lambda: 60.0, lambda _subject: None)
    assert checkout_env.one("SELECT count(*) FROM checkouts WHERE status = 'open'") == 1
    assert sweep_checkouts(checkout_env.world.app, lambda: 60.0, lambda _subject: None).closed == 1


def test_a_page_that_was_never_made_is_closed_without_stripe(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    checkout_env.stripe.fail(path="/v1/checkout/sessions", mode="error", times=None)
    with pytest.raises(PaymentsUnavailable):
        checkout_env.ask(customer, "key")
    take_free(checkout_env.world, customer)
    assert checkout_env.sweep().closed == 1
    assert checkout_env.one("SELECT count(*) FROM idempotency_keys") == 0


def test_a_key_gives_its_first_page_again_and_takes_no_other_request(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    opened = checkout_env.ask(customer, "key")
    assert checkout_env.ask(customer, "key") == opened
    with pytest.raises(IdempotencyKeyReused):
        checkout_env.ask(customer, "key", concern="Something else")
    checkout_env.stripe.pay(checkout_env.page(opened))
    checkout_env.tell("checkout.session.completed")
    assert checkout_env.ask(customer, "key") == opened


def test_who_has_a_session_does_not_pay_for_another(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    checkout_env.world.pending(customer)
    with pytest.raises(ActiveSessionExists):
        checkout_env.ask(customer)
    assert checkout_env.one("SELECT count(*) FROM checkouts") == 0


def test_a_free_plan_is_not_paid_by_card(checkout_env: CheckoutEnv) -> None:
    with pytest.raises(Unprocessable) as refused:
        checkout_env.ask(new_id(), plan="free")
    assert refused.value.extras["errors"] == [{"pointer": "/payWith", "detail": "this plan is free"}]


@pytest.mark.parametrize(
    "fault",
    [
        {"mode": "error", "times": None},
        {"mode": "error_after", "times": None},
        {"mode": "rate_limit", "times": None},
        {"mode": "cut", "times": None},
    ],
)
def test_where_stripe_fails_nothing_is_half_made_and_a_retry_works(
    checkout_env: CheckoutEnv, fault: dict[str, object]
) -> None:
    customer = new_id()
    checkout_env.stripe.fail(path="/v1/checkout/sessions", **fault)
    with pytest.raises(PaymentsUnavailable) as refused:
        checkout_env.ask(customer, "key")
    assert refused.value.headers["Retry-After"]
    checkout_env.stripe.clear_faults()
    checkout_env.stripe.disturb(held=True)
    opened = checkout_env.ask(customer, "key")
    assert opened.checkout_url
    assert checkout_env.one("SELECT count(*) FROM checkouts") == 1


def test_a_page_behind_an_error_expires_without_an_alarm(checkout_env: CheckoutEnv) -> None:
    checkout_env.stripe.fail(path="/v1/checkout/sessions", mode="error_after", times=3)
    with pytest.raises(PaymentsUnavailable):
        checkout_env.ask(customer := new_id())
    checkout_env.stripe.clear_faults()
    opened = checkout_env.ask(customer)
    unseen = next(
        each for each in checkout_env.stripe.objects("checkout.session") if each["id"] not in str(opened.checkout_url)
    )
    event_id = checkout_env.stripe.emit("checkout.session.expired", {**unseen, "status": "expired"})
    assert checkout_env.deliver(checkout_env.stripe.signed(event_id)).json["outcome"] == "unchanged"
    assert checkout_env.status(opened.intake_id) == "open"


@pytest.mark.parametrize("mode", ["cut_after", "timeout_after"])
def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_key(checkout_env: CheckoutEnv, mode: str) -> None:
    checkout_env.stripe.fail(path="/v1/checkout/sessions", mode=mode, seconds=0.5)
    assert checkout_env.ask(new_id()).checkout_url
    assert len(checkout_env.stripe.objects("checkout.session")) == 1


def test_where_stripe_never_made_the_page_another_intake_is_made_later(checkout_env: CheckoutEnv) -> None:
    """Stripe wants half an hour between the page and its end, which is fixed; the key goes with the first intake."""
    customer = new_id()
    checkout_env.stripe.fail(path="/v1/checkout/sessions", mode="error", times=None)
    with pytest.raises(PaymentsUnavailable):
        checkout_env.ask(customer, "key")
    checkout_env.stripe.clear_faults()
    checkout_env.stripe.disturb(held=True)
    checkout_env.world.owner.execute("UPDATE checkouts SET created_at = created_at - interval '26 minutes'")
    opened = checkout_env.ask(customer, "key")
    assert checkout_env.status(opened.intake_id) == "open"
    assert checkout_env.one("SELECT count(*) FROM checkouts WHERE status = 'failed'") == 1


def test_where_stripe_never_answers_nothing_is_made_and_asking_again_works(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    checkout_env.stripe.fail(path="/v1/checkout/sessions", mode="timeout", times=3, seconds=0.5)
    with pytest.raises(PaymentsUnavailable):
        checkout_env.ask(customer)
    assert checkout_env.ask(customer).checkout_url
    assert len(checkout_env.stripe.objects("checkout.session")) == 1


def test_a_page_whose_time_is_over_is_not_given_again(checkout_env: CheckoutEnv) -> None:
    """Also before an event or the sweep has said so; unless it was paid at the last moment."""
    customer, late = new_id(), new_id()
    first, paid = checkout_env.ask(customer), checkout_env.ask(late)
    checkout_env.stripe.pay(checkout_env.page(paid))
    checkout_env.world.owner.execute("UPDATE checkouts SET expires_at = clock_timestamp()")
    second = checkout_env.ask(customer)
    assert (checkout_env.status(first.intake_id), checkout_env.status(second.intake_id)) == ("expired", "open")
    with pytest.raises(PaymentProcessing):
        checkout_env.ask(late)


def test_two_intakes_at_once_make_one_page(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    urls = checkout_env.world.urls

    def ask(_number: int) -> str:
        other = CheckoutEnv(type(checkout_env.world)(urls), checkout_env.stripe, checkout_env.handler)
        try:
            return other.ask(customer).checkout_url
        finally:
            other.world.close()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(ask, range(2))
    assert first == second
    assert checkout_env.one("SELECT count(*) FROM checkouts") == 1


def test_only_its_customer_sees_an_intake(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    opened = checkout_env.ask(customer)
    app = checkout_env.world.app
    assert intake_status(app, customer, opened.intake_id).status == "open"
    with pytest.raises(IntakeNotFound):
        intake_status(app, new_id(), opened.intake_id)


def test_a_pack_is_paid_once_and_gives_its_credits_once(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    bought = buy_pack(checkout_env.world.app, customer, PackRequest(pack="five"))
    assert buy_pack(checkout_env.world.app, customer, PackRequest(pack="five")) == bought
    page = checkout_env.one("SELECT stripe_session_id FROM checkouts WHERE id = %s", bought.checkout_id)
    checkout_env.stripe.pay(page)
    assert [checkout_env.tell("checkout.session.completed").json["outcome"] for _ in range(2)] == [
        "fulfilled",
        "duplicate",
    ]
    assert checkout_env.sweep().fulfilled == 0
    assert spendable(checkout_env.world, customer) == 5
    assert (balance(checkout_env.world, STRIPE), balance(checkout_env.world, CREDIT_SALES)) == (-4499, 4499)


def test_only_packs_that_are_sold_can_be_bought(checkout_env: CheckoutEnv) -> None:
    checkout_env.world.owner.execute("UPDATE credit_packs SET active = false WHERE code = 'five'")
    for pack in ("five", "million"):
        with pytest.raises(Unprocessable):
            buy_pack(checkout_env.world.app, new_id(), PackRequest(pack=pack))
