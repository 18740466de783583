"""A payment that comes long after its customer left asks them first: start now, or have it back; a day is enough."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from autodoctor.errors import IntakeNotFound, PaymentNotLate, PaymentProcessing, PaymentsUnavailable, WithdrawnTooOften
from autodoctor.ids import new_id
from autodoctor.intake.card import CheckoutOpened, IntakeStatus, intake_status
from autodoctor.intake.late import LatePaymentAnswer, answer_late_payment
from autodoctor.integrity.report import VerifyReport
from autodoctor.integrity.verify import reader, verify
from support.money.checkout_env import SIGNED, CheckoutEnv
from support.money.reconcile_env import ReconcileEnv, kinds
from support.world import World

PAID = "checkout.session.async_payment_succeeded"


def left(checkout_env: CheckoutEnv, customer: UUID, **fields: object) -> CheckoutOpened:
    """An intake whose customer has paid by bank debit and gone."""
    opened = checkout_env.ask(customer, None, **SIGNED, **fields)
    checkout_env.stripe.pay(checkout_env.page(opened), "pay_later")
    assert checkout_env.tell("checkout.session.completed").json["outcome"] == "processing"
    return opened


def wait(checkout_env: CheckoutEnv, hours: float) -> None:
    """Let so much time pass for what is being paid."""
    waited = {"waited": timedelta(hours=hours)}
    checkout_env.world.owner.execute("UPDATE intakes SET created_at = created_at - %(waited)s", waited)
    checkout_env.world.owner.execute(
        "UPDATE checkouts SET processing_since = processing_since - %(waited)s, late_since = late_since - %(waited)s,"
        "                     created_at = created_at - %(waited)s, expires_at = expires_at - %(waited)s",
        waited,
    )


def came(checkout_env: CheckoutEnv, customer: UUID, hours: float, **fields: object) -> tuple[CheckoutOpened, str]:
    """A payment that took so long, and what Stripe was answered."""
    opened = left(checkout_env, customer, **fields)
    wait(checkout_env, hours)
    checkout_env.stripe.bank_answers(checkout_env.page(opened), paid=True)
    return opened, checkout_env.tell(PAID).json["outcome"]


def say(checkout_env: CheckoutEnv, customer: UUID, opened: CheckoutOpened, answer: str) -> IntakeStatus:
    body = LatePaymentAnswer.model_validate({"answer": answer})
    return answer_late_payment(checkout_env.world.app, customer, opened.intake_id, body, lambda _subject: None)


def sessions(checkout_env: CheckoutEnv) -> int:
    found: int = checkout_env.one("SELECT count(*) FROM sessions")
    return found


def owed(checkout_env: CheckoutEnv) -> list[int]:
    rows = checkout_env.world.owner.execute("SELECT amount_cents FROM refunds WHERE kind = 'unfulfillable'").fetchall()
    return [row["amount_cents"] for row in rows]


def found(checkout_env: CheckoutEnv) -> set[str]:
    """What verify finds."""
    with reader(checkout_env.world.urls.owner_url, "test") as connection:
        report = VerifyReport.of(verify(connection))
    return {each.check for section in report.sections for each in section.found}


def test_a_bank_that_answers_within_the_hour_starts_the_session(checkout_env: CheckoutEnv, customer: UUID) -> None:
    _opened, outcome = came(checkout_env, customer, 0.9)
    assert (outcome, sessions(checkout_env)) == ("fulfilled", 1)


def test_four_days_later_the_customer_is_asked(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened, outcome = came(checkout_env, customer, 96)
    seen = intake_status(checkout_env.world.app, customer, opened.intake_id)
    assert (outcome, seen.status, seen.session_id, sessions(checkout_env)) == ("late", "processing", None, 0)
    asked_at = checkout_env.one("SELECT late_since FROM checkouts")
    assert seen.answer_until == asked_at + timedelta(hours=24)
    assert checkout_env.tell(PAID).json["outcome"] == "duplicate"
    assert checkout_env.sweep().fulfilled == 0
    assert checkout_env.one("SELECT count(*) FROM outbox_events WHERE type = 'payment.late'") == 1
    with pytest.raises(PaymentProcessing):
        checkout_env.ask(customer, concern="Something else")


def test_start_puts_it_into_the_queue(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened, _ = came(checkout_env, customer, 96)
    started = say(checkout_env, customer, opened, "start")
    assert (started.status, started.session_id, started.answer_until) == ("paid", opened.intake_id, None)
    assert say(checkout_env, customer, opened, "start") == started, "the same answer again is no error"
    with pytest.raises(PaymentNotLate):
        say(checkout_env, customer, opened, "give_back")
    assert (sessions(checkout_env), owed(checkout_env)) == (1, [])


def test_give_back_owes_all_of_it(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened, _ = came(checkout_env, customer, 96)
    assert say(checkout_env, customer, opened, "give_back").status == "unfulfillable"
    with pytest.raises(PaymentNotLate):
        say(checkout_env, customer, opened, "start")
    assert (sessions(checkout_env), owed(checkout_env)) == (0, [999])


def test_no_answer_for_a_day_gives_it_back(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened, _ = came(checkout_env, customer, 96)
    wait(checkout_env, 23.9)
    checkout_env.sweep()
    assert owed(checkout_env) == []
    wait(checkout_env, 0.2)
    with pytest.raises(PaymentNotLate):
        say(checkout_env, customer, opened, "start")
    checkout_env.sweep()
    checkout_env.sweep()
    assert (checkout_env.status(opened.intake_id), owed(checkout_env)) == ("unfulfillable", [999])
    reasons = checkout_env.world.owner.execute(
        "SELECT payload ->> 'reason' AS reason FROM outbox_events WHERE type = 'payment.unfulfillable'"
    ).fetchall()
    assert [row["reason"] for row in reasons] == ["unanswered"]


def test_a_webhook_that_never_came_asks_too(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened = checkout_env.ask(customer, None, **SIGNED)
    checkout_env.stripe.pay(checkout_env.page(opened))
    wait(checkout_env, 3)
    assert checkout_env.sweep().fulfilled == 0
    seen = intake_status(checkout_env.world.app, customer, opened.intake_id)
    assert seen.status == "processing"
    assert seen.answer_until is not None


def test_money_after_a_refusal_asks_too(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened = left(checkout_env, customer)
    wait(checkout_env, 96)
    checkout_env.world.owner.execute("UPDATE checkouts SET status = 'failed'")
    checkout_env.stripe.bank_answers(checkout_env.page(opened), paid=True)
    assert checkout_env.tell(PAID).json["outcome"] == "late"
    assert say(checkout_env, customer, opened, "start").status == "paid"


def test_who_wants_it_for_later_is_not_asked(checkout_env: CheckoutEnv, customer: UUID, next_week: str) -> None:
    _opened, outcome = came(checkout_env, customer, 96, scheduledFor=next_week)
    assert outcome == "fulfilled"


def test_who_has_a_session_by_then_is_paid_back_at_once(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened = checkout_env.ask(customer, None, **SIGNED)
    checkout_env.stripe.pay(checkout_env.page(opened))
    checkout_env.world.pending(customer)
    wait(checkout_env, 5)
    assert checkout_env.tell("checkout.session.completed").json["outcome"] == "unfulfillable"


def test_only_its_customer_answers_and_only_what_was_asked(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened, _ = came(checkout_env, customer, 96)
    with pytest.raises(IntakeNotFound):
        say(checkout_env, new_id(), opened, "give_back")
    other = new_id()
    in_time = left(checkout_env, other)
    with pytest.raises(PaymentNotLate):
        say(checkout_env, other, in_time, "start")


def test_giving_back_counts_as_giving_up(checkout_env: CheckoutEnv, customer: UUID) -> None:
    """It costs the platform Stripe's fee each time."""
    for _time in range(3):
        opened, _outcome = came(checkout_env, customer, 2)
        say(checkout_env, customer, opened, "give_back")
    with pytest.raises(WithdrawnTooOften):
        checkout_env.ask(customer)


def test_an_answer_counts_although_stripe_is_away(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened, _ = came(checkout_env, customer, 96)
    checkout_env.stripe.fail(path="/v1/checkout/sessions/*", mode="error", times=None)
    with pytest.raises(PaymentsUnavailable):
        say(checkout_env, customer, opened, "start")
    checkout_env.stripe.clear_faults()
    checkout_env.stripe.disturb(held=True)
    assert checkout_env.sweep().fulfilled == 1
    assert checkout_env.status(opened.intake_id) == "paid"


def test_answers_at_once_from_two_devices_have_one_effect(checkout_env: CheckoutEnv, customer: UUID) -> None:
    opened, _ = came(checkout_env, customer, 96)

    def answer(choice: str) -> str:
        device = CheckoutEnv(World(checkout_env.world.urls), checkout_env.stripe, checkout_env.handler)
        try:
            return say(device, customer, opened, choice).status
        except PaymentNotLate:
            return "refused"
        finally:
            device.world.close()

    with ThreadPoolExecutor(4) as devices:
        said = list(devices.map(answer, ["start", "give_back"] * 2))
    status = checkout_env.status(opened.intake_id)
    assert set(said) <= {status, "refused", "processing"}
    assert (sessions(checkout_env), owed(checkout_env)) == ((1, []) if status == "paid" else (0, [999]))


@pytest.mark.parametrize("answer", ["start", "give_back", None])
def test_the_books_agree_at_each_step(checkout_env: CheckoutEnv, customer: UUID, answer: str | None) -> None:
    books = ReconcileEnv.of(checkout_env)
    opened, _ = came(checkout_env, customer, 96)
    books.hear()
    assert kinds(books.compared().differences) == {}
    assert found(checkout_env) == set()
    if answer is not None:
        say(checkout_env, customer, opened, answer)
    else:
        wait(checkout_env, 25)
        checkout_env.sweep()
    books.send()
    assert kinds(books.compared().differences) == {}
    assert found(checkout_env) == set()
    assert checkout_env.stripe.imbalances() == []
