"""Reconciling our database with the stand-in's books: after any healthy flow, both agree."""

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.reconcile import books, internal
from support.money.checkout_env import CheckoutEnv
from support.money.purchases import buy, complete, give
from support.money.reconcile_env import ReconcileEnv


@pytest.fixture
def reconcile_env(checkout_env: CheckoutEnv) -> ReconcileEnv:
    """Give the test books with nothing in them."""
    return ReconcileEnv.of(checkout_env)


def every_flow(reconcile_env: ReconcileEnv) -> None:
    """Sessions paid by card, with credits and with nothing, and everything that Stripe can do to them afterwards."""
    world, stripe = reconcile_env.checkout_env.world, reconcile_env.checkout_env.stripe
    stripe.add_funds(100_000)
    mechanic = reconcile_env.mechanic()
    reconcile_env.earned(mechanic)
    reconcile_env.cancelled()
    _, refunded_by_hand = reconcile_env.earned(mechanic)
    _, lost_after_payout = reconcile_env.earned(mechanic)
    _, won = reconcile_env.earned(mechanic)
    reconcile_env.send()
    stripe.refund(refunded_by_hand, 500)
    lost = stripe.open_dispute(lost_after_payout)["id"]
    opened = stripe.open_dispute(won)["id"]
    reconcile_env.hear()
    stripe.close_dispute(lost, won=False)
    stripe.close_dispute(opened, won=True)
    reconcile_env.hear()
    reconcile_env.send()
    _, came_back = reconcile_env.earned(mechanic)
    reconcile_env.send()
    stripe.fail_refund(stripe.refund(came_back)["id"])
    _, still_open = reconcile_env.earned(mechanic)
    reconcile_env.send()
    stripe.open_dispute(still_open)
    reconcile_env.earned(mechanic)
    reconcile_env.send()
    stripe.reverse(stripe.objects("transfer")[-1]["id"], 100)
    customer = new_id()
    stripe.pay(reconcile_env.pack(customer))
    reconcile_env.hear()
    session = buy(world, customer, "quick")
    complete(world, session, customer, mechanic)
    paid_back = new_id()
    page = reconcile_env.pack(paid_back)
    stripe.pay(page)
    reconcile_env.hear()
    stripe.refund(reconcile_env.charge_of(page))
    busy = new_id()
    page = reconcile_env.opened(busy)
    world.queued(busy)
    stripe.pay(page)  # the customer has another session by now
    reconcile_env.other_business()
    stripe.refund(reconcile_env.other_business(), 100)
    give(world, new_id(), 3)
    reconcile_env.hear()
    reconcile_env.send()


def test_healthy_books_agree_to_the_cent(reconcile_env: ReconcileEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    every_flow(reconcile_env)
    report = reconcile_env.compared()
    assert report.differences == ()
    totals = report.totals
    assert totals.ledger == totals.ours - totals.fees
    assert totals.stripe_balance == totals.statement == totals.ours - totals.fees + totals.others
    assert totals.disputed > 0
    assert report.movements > 20
    again = reconcile_env.compared()
    assert (again.differences, again.movements) == ((), report.movements)
    for part in (books, internal):
        monkeypatch.setattr(part, "PAGE", 2)  # so that everything is on some page that is not the last
    assert reconcile_env.compared().model_dump(exclude={"as_of"}) == again.model_dump(exclude={"as_of"})
