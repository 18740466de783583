"""Buying by card: one page for one intake, closed for another, and nothing half-made where Stripe is down."""

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
from integration.actors import intake_request
from payments.counter import Counter
from payments.purse import balance, give, spendable, take_free


def test_an_intake_by_card_gives_a_page_that_carries_our_ids(counter: Counter) -> None:
    opened = counter.ask(new_id())
    (page,) = counter.stripe.objects("checkout.session")
    assert opened.checkout_url.endswith(page["id"])
    assert (page["amount_total"], page["currency"], page["mode"]) == (999, "usd", "payment")
    assert page["metadata"]["intakeId"] == str(opened.intake_id)
    assert counter.one("SELECT count(*) FROM sessions") == 0


def test_asking_again_while_it_is_open_gives_the_same(counter: Counter) -> None:
    customer = new_id()
    first, second = counter.ask(customer), counter.ask(customer)
    assert first == second
    assert len(counter.stripe.objects("checkout.session")) == 1


def test_asking_for_something_else_closes_the_first_page(counter: Counter) -> None:
    customer = new_id()
    first = counter.ask(customer)
    second = counter.ask(customer, plan="standard", sessionType="video")
    assert first.intake_id != second.intake_id
    assert [page["status"] for page in counter.stripe.objects("checkout.session")] == ["expired", "open"]
    assert (counter.status(first.intake_id), counter.status(second.intake_id)) == ("expired", "open")


def test_a_page_that_is_being_paid_is_not_replaced(counter: Counter) -> None:
    """Whether Stripe's word on it has come or not."""
    customer = new_id()
    opened = counter.ask(customer)
    counter.stripe.pay(counter.page(opened), "pay_later")
    with pytest.raises(PaymentProcessing):
        counter.ask(customer, concern="Something else")
    assert counter.tell("checkout.session.completed").json["outcome"] == "processing"
    for concern in ("Squeals when braking", "Something else"):
        with pytest.raises(PaymentProcessing):
            counter.ask(customer, concern=concern)


@pytest.mark.parametrize(
    "asked", [{"plan": "free", "payWith": "free"}, {"plan": "quick", "payWith": "credit", "sessionType": "chat"}]
)
def test_what_is_being_paid_is_waited_for_also_by_who_could_go_without_a_card(
    counter: Counter, asked: dict[str, object]
) -> None:
    customer = new_id()
    give(counter.stage, customer, 3)
    counter.stripe.pay(counter.page(opened := counter.ask(customer)), "pay_later")
    counter.tell("checkout.session.completed")
    request = intake_request(**asked)
    with pytest.raises(PaymentProcessing):
        start_funded_intake(counter.stage.app, customer, request)
    assert counter.one("SELECT count(*) FROM sessions") == 0
    assert spendable(counter.stage, customer) == 3
    counter.stripe.bank_answers(counter.page(opened), paid=False)
    counter.tell("checkout.session.async_payment_failed")
    assert isinstance(start_funded_intake(counter.stage.app, customer, request), SessionCreated)


def test_a_page_of_who_has_a_session_by_now_is_closed(counter: Counter) -> None:
    customer, other = new_id(), new_id()
    left, wanted = counter.ask(customer), counter.ask(other)
    take_free(counter.stage, customer)
    assert counter.status(left.intake_id) == "open"
    assert counter.sweep().closed == 1
    assert (counter.status(left.intake_id), counter.status(wanted.intake_id)) == ("expired", "open")
    assert [page["status"] for page in counter.stripe.objects("checkout.session")] == ["expired", "open"]
    assert counter.sweep().closed == 0


def test_a_page_that_is_paid_before_it_is_closed_is_paid_back(counter: Counter) -> None:
    customer = new_id()
    left = counter.ask(customer)
    take_free(counter.stage, customer)
    counter.stripe.pay(counter.page(left))
    swept = sweep_checkouts(counter.stage.app, lambda: 60.0, lambda _subject: None)  # too young to be looked up
    assert (swept.asked, swept.closed, counter.status(left.intake_id)) == (0, 0, "open")
    assert counter.tell("checkout.session.completed").json["outcome"] == "unfulfillable"
    assert counter.one("SELECT amount_cents FROM refunds") == 999


def test_a_page_that_cannot_be_closed_is_not_in_the_way_of_the_others(counter: Counter) -> None:
    for _ in range(3):
        counter.ask(customer := new_id())
        take_free(counter.stage, customer)
    counter.stripe.fail(path="/v1/checkout/sessions/*/expire", mode="error", times=1)
    with pytest.raises(ExceptionGroup):
        sweep_checkouts(counter.stage.app, lambda: 60.0, lambda _subject: None)
    assert counter.one("SELECT count(*) FROM checkouts WHERE status = 'open'") == 1
    assert sweep_checkouts(counter.stage.app, lambda: 60.0, lambda _subject: None).closed == 1


def test_a_page_that_was_never_made_is_closed_without_stripe(counter: Counter) -> None:
    customer = new_id()
    counter.stripe.fail(path="/v1/checkout/sessions", mode="error", times=None)
    with pytest.raises(PaymentsUnavailable):
        counter.ask(customer, "key")
    take_free(counter.stage, customer)
    assert counter.sweep().closed == 1
    assert counter.one("SELECT count(*) FROM idempotency_keys") == 0


def test_a_key_gives_its_first_page_again_and_takes_no_other_request(counter: Counter) -> None:
    customer = new_id()
    opened = counter.ask(customer, "key")
    assert counter.ask(customer, "key") == opened
    with pytest.raises(IdempotencyKeyReused):
        counter.ask(customer, "key", concern="Something else")
    counter.stripe.pay(counter.page(opened))
    counter.tell("checkout.session.completed")
    assert counter.ask(customer, "key") == opened


def test_who_has_a_session_does_not_pay_for_another(counter: Counter) -> None:
    customer = new_id()
    counter.stage.pending(customer)
    with pytest.raises(ActiveSessionExists):
        counter.ask(customer)
    assert counter.one("SELECT count(*) FROM checkouts") == 0


def test_a_free_plan_is_not_paid_by_card(counter: Counter) -> None:
    with pytest.raises(Unprocessable) as refused:
        counter.ask(new_id(), plan="free")
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
def test_where_stripe_fails_nothing_is_half_made_and_a_retry_works(counter: Counter, fault: dict[str, object]) -> None:
    customer = new_id()
    counter.stripe.fail(path="/v1/checkout/sessions", **fault)
    with pytest.raises(PaymentsUnavailable) as refused:
        counter.ask(customer, "key")
    assert refused.value.headers["Retry-After"]
    counter.stripe.clear_faults()
    counter.stripe.disturb(held=True)
    opened = counter.ask(customer, "key")
    assert opened.checkout_url
    assert counter.one("SELECT count(*) FROM checkouts") == 1


def test_a_page_behind_an_error_expires_without_an_alarm(counter: Counter) -> None:
    counter.stripe.fail(path="/v1/checkout/sessions", mode="error_after", times=3)
    with pytest.raises(PaymentsUnavailable):
        counter.ask(customer := new_id())
    counter.stripe.clear_faults()
    opened = counter.ask(customer)
    unseen = next(
        each for each in counter.stripe.objects("checkout.session") if each["id"] not in str(opened.checkout_url)
    )
    event_id = counter.stripe.emit("checkout.session.expired", {**unseen, "status": "expired"})
    assert counter.deliver(counter.stripe.signed(event_id)).json["outcome"] == "unchanged"
    assert counter.status(opened.intake_id) == "open"


@pytest.mark.parametrize("mode", ["cut_after", "timeout_after"])
def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_key(counter: Counter, mode: str) -> None:
    counter.stripe.fail(path="/v1/checkout/sessions", mode=mode, seconds=0.5)
    assert counter.ask(new_id()).checkout_url
    assert len(counter.stripe.objects("checkout.session")) == 1


def test_where_stripe_never_made_the_page_another_intake_is_made_later(counter: Counter) -> None:
    """Stripe wants half an hour between the page and its end, which is fixed; the key goes with the first intake."""
    customer = new_id()
    counter.stripe.fail(path="/v1/checkout/sessions", mode="error", times=None)
    with pytest.raises(PaymentsUnavailable):
        counter.ask(customer, "key")
    counter.stripe.clear_faults()
    counter.stripe.disturb(held=True)
    counter.stage.owner.execute("UPDATE checkouts SET created_at = created_at - interval '26 minutes'")
    opened = counter.ask(customer, "key")
    assert counter.status(opened.intake_id) == "open"
    assert counter.one("SELECT count(*) FROM checkouts WHERE status = 'failed'") == 1


def test_where_stripe_never_answers_nothing_is_made_and_asking_again_works(counter: Counter) -> None:
    customer = new_id()
    counter.stripe.fail(path="/v1/checkout/sessions", mode="timeout", times=3, seconds=0.5)
    with pytest.raises(PaymentsUnavailable):
        counter.ask(customer)
    assert counter.ask(customer).checkout_url
    assert len(counter.stripe.objects("checkout.session")) == 1


def test_a_page_whose_time_is_over_is_not_given_again(counter: Counter) -> None:
    """Also before an event or the sweep has said so; unless it was paid at the last moment."""
    customer, late = new_id(), new_id()
    first, paid = counter.ask(customer), counter.ask(late)
    counter.stripe.pay(counter.page(paid))
    counter.stage.owner.execute("UPDATE checkouts SET expires_at = clock_timestamp()")
    second = counter.ask(customer)
    assert (counter.status(first.intake_id), counter.status(second.intake_id)) == ("expired", "open")
    with pytest.raises(PaymentProcessing):
        counter.ask(late)


def test_two_intakes_at_once_make_one_page(counter: Counter) -> None:
    customer = new_id()
    urls = counter.stage.urls

    def ask(_number: int) -> str:
        other = Counter(type(counter.stage)(urls), counter.stripe, counter.handler)
        try:
            return other.ask(customer).checkout_url
        finally:
            other.stage.close()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(ask, range(2))
    assert first == second
    assert counter.one("SELECT count(*) FROM checkouts") == 1


def test_only_its_customer_sees_an_intake(counter: Counter) -> None:
    customer = new_id()
    opened = counter.ask(customer)
    app = counter.stage.app
    assert intake_status(app, customer, opened.intake_id).status == "open"
    with pytest.raises(IntakeNotFound):
        intake_status(app, new_id(), opened.intake_id)


def test_a_pack_is_paid_once_and_gives_its_credits_once(counter: Counter) -> None:
    customer = new_id()
    bought = buy_pack(counter.stage.app, customer, PackRequest(pack="five"))
    assert buy_pack(counter.stage.app, customer, PackRequest(pack="five")) == bought
    page = counter.one("SELECT stripe_session_id FROM checkouts WHERE id = %s", bought.checkout_id)
    counter.stripe.pay(page)
    assert [counter.tell("checkout.session.completed").json["outcome"] for _ in range(2)] == ["fulfilled", "duplicate"]
    assert counter.sweep().fulfilled == 0
    assert spendable(counter.stage, customer) == 5
    assert (balance(counter.stage, STRIPE), balance(counter.stage, CREDIT_SALES)) == (-4499, 4499)


def test_only_packs_that_are_sold_can_be_bought(counter: Counter) -> None:
    counter.stage.owner.execute("UPDATE credit_packs SET active = false WHERE code = 'five'")
    for pack in ("five", "million"):
        with pytest.raises(Unprocessable):
            buy_pack(counter.stage.app, new_id(), PackRequest(pack=pack))
