"""Reconciling, on our database and the stand-in's books: whatever healthy flows do, both say the same."""

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.reconcile import books, internal
from payments.auditor import Auditor
from payments.counter import Counter
from payments.purse import buy, complete, give


@pytest.fixture
def auditor(counter: Counter) -> Auditor:
    """Give the test books with nothing in them."""
    return Auditor.of(counter)


def every_flow(auditor: Auditor) -> None:
    """Sessions paid by card, with credits and with nothing, and everything that Stripe can do to them afterwards."""
    stage, stripe = auditor.counter.stage, auditor.counter.stripe
    stripe.add_funds(100_000)
    mechanic = auditor.mechanic()
    auditor.earned(mechanic)
    auditor.cancelled()
    _, refunded_by_hand = auditor.earned(mechanic)
    _, lost_after_payout = auditor.earned(mechanic)
    _, won = auditor.earned(mechanic)
    auditor.send()
    stripe.refund(refunded_by_hand, 500)
    lost = stripe.open_dispute(lost_after_payout)["id"]
    opened = stripe.open_dispute(won)["id"]
    auditor.hear()
    stripe.close_dispute(lost, won=False)
    stripe.close_dispute(opened, won=True)
    auditor.hear()
    auditor.send()
    _, came_back = auditor.earned(mechanic)
    auditor.send()
    stripe.fail_refund(stripe.refund(came_back)["id"])
    _, still_open = auditor.earned(mechanic)
    auditor.send()
    stripe.open_dispute(still_open)
    auditor.earned(mechanic)
    auditor.send()
    stripe.reverse(stripe.objects("transfer")[-1]["id"], 100)
    customer = new_id()
    stripe.pay(auditor.pack(customer))
    auditor.hear()
    session = buy(stage, customer, "quick")
    complete(stage, session, customer, mechanic)
    paid_back = new_id()
    page = auditor.pack(paid_back)
    stripe.pay(page)
    auditor.hear()
    stripe.refund(auditor.charge_of(page))
    busy = new_id()
    page = auditor.opened(busy)
    stage.queued(busy)
    stripe.pay(page)  # the customer has another session by now
    auditor.other_business()
    stripe.refund(auditor.other_business(), 100)
    give(stage, new_id(), 3)
    auditor.hear()
    auditor.send()


def test_healthy_books_agree_to_the_cent(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    every_flow(auditor)
    report = auditor.compared()
    assert report.differences == ()
    totals = report.totals
    assert totals.ledger == totals.ours - totals.fees
    assert totals.stripe_balance == totals.statement == totals.ours - totals.fees + totals.others
    assert totals.disputed > 0
    assert report.movements > 20
    again = auditor.compared()
    assert (again.differences, again.movements) == ((), report.movements)
    for part in (books, internal):
        monkeypatch.setattr(part, "PAGE", 2)  # so that everything is on some page that is not the last
    assert auditor.compared().model_dump(exclude={"as_of"}) == again.model_dump(exclude={"as_of"})
