"""Refunds that Stripe keeps pending are booked and no difference; and a repair names what it could not book."""

from datetime import timedelta

from autodoctor.payments.reconcile import Report, reconcile
from autodoctor.payments.reconcile.repair import repair
from autodoctor.payments.reconcile.report import Difference
from autodoctor.payments.stripe.lease import Sent
from support.money.refund_env import RefundEnv


def compared(refund_env: RefundEnv) -> Report:
    """Compare everything, however young."""
    app = refund_env.checkout_env.world.app
    return reconcile(app, refund_env.client, grace=timedelta(), fee_grace=timedelta())


def test_a_refund_that_stays_pending_is_shown_as_such(refund_env: RefundEnv) -> None:
    refund_env.checkout_env.stripe.refunds_stay_pending()
    refund_env.cancelled()
    assert refund_env.refunds() == Sent(sent=1)
    refund_env.tell()
    refund_env.fees()
    report = compared(refund_env)
    assert (report.counts(), report.pending) == ({}, 1)
    (refund,) = refund_env.checkout_env.stripe.objects("refund")
    refund_env.checkout_env.stripe.settle_refund(refund["id"])
    refund_env.tell()
    report = compared(refund_env)
    assert (report.counts(), report.pending) == ({}, 0)
    refund_env.balanced()


def test_a_pending_refund_that_fails_is_owed_again(refund_env: RefundEnv) -> None:
    refund_env.checkout_env.stripe.refunds_stay_pending()
    refund_env.cancelled()
    refund_env.refunds()
    refund_env.tell()
    (refund,) = refund_env.checkout_env.stripe.objects("refund")
    refund_env.checkout_env.stripe.fail_refund(refund["id"])
    refund_env.tell()
    assert refund_env.refund_row()["state"] == "failed"
    refund_env.fees()
    assert compared(refund_env).counts() == {}


def test_a_repair_names_what_it_tried_and_could_not_book(refund_env: RefundEnv) -> None:
    """Such as a refund of a payment that was never booked."""
    session_id = refund_env.buy()
    refund_env.refund(session_id, 300, delivered=False)
    refund_env.fees()
    report = compared(refund_env)
    (refund,) = refund_env.checkout_env.stripe.objects("refund")
    assert report.counts() == {"refund_unbooked": 1}
    with refund_env.checkout_env.world.without_triggers() as connection:
        connection.execute("DELETE FROM ledger_transfer WHERE kind = 'charge'")
    wanted = Difference(
        kind="refund_unbooked", subject=f"refund:{refund['id']}", stripe_id=refund["id"], repairable=True
    )
    repairs = repair(refund_env.checkout_env.world.app, refund_env.client, [wanted])
    assert repairs.keys == ()
    assert [subject for subject, _ in repairs.left] == [wanted.subject]
