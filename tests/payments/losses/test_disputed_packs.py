"""Packs whose payment is disputed: what is left of them is frozen, and what their credits paid for is held."""

from uuid import UUID

import pytest

from autodoctor.admin.payouts import payouts, release
from autodoctor.errors import InsufficientCredits
from autodoctor.ids import new_id
from autodoctor.payments.ledger.credits import credits_of
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.lease import Sent
from support.integrity.findings import findings
from support.money.purchases import buy, complete, give
from support.money.refund_env import RefundEnv


def spent(refund_env: RefundEnv, customer: UUID) -> UUID:
    """A completed and settled session of one credit."""
    created = buy(refund_env.checkout_env.world, customer)
    complete(refund_env.checkout_env.world, created, customer, refund_env.mechanic)
    assert settle(refund_env.checkout_env.world.app, created.session_id)
    return created.session_id


def disputed(refund_env: RefundEnv, intent: str) -> str:
    """The customer's bank takes back the payment of a pack; Stripe's id of the dispute."""
    made = refund_env.checkout_env.stripe.open_dispute(intent)
    refund_env.tell()
    return str(made["id"])


def held(refund_env: RefundEnv) -> list[UUID]:
    """The sessions whose payouts are held for it."""
    found = payouts(refund_env.checkout_env.world.app, {"state": "held"}).payouts
    return [each.session_id for each in found if [hold.reason for hold in each.holds] == ["disputed_credits"]]


def test_what_is_left_cannot_be_spent_until_it_is_won(refund_env: RefundEnv) -> None:
    customer = new_id()
    dispute = disputed(refund_env, refund_env.pack(customer))
    app = refund_env.checkout_env.world.app
    with pytest.raises(InsufficientCredits) as refused:
        buy(refund_env.checkout_env.world, customer)
    assert refused.value.extras["balance"] == 0
    assert (credits_of(app, customer).balance, credits_of(app, customer).frozen) == (5, 5)
    give(refund_env.checkout_env.world, customer, 1)
    spent(refund_env, customer)  # the gift, and no more
    with pytest.raises(InsufficientCredits):
        buy(refund_env.checkout_env.world, customer)
    refund_env.decide(dispute, won=True)
    assert credits_of(app, customer).frozen == 0
    buy(refund_env.checkout_env.world, customer)


def test_what_its_credits_paid_for_is_held_and_sent_when_it_is_won(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    refund_env.checkout_env.stripe.add_funds(10_000)
    customer = new_id()
    intent = refund_env.pack(customer)
    first = spent(refund_env, customer)
    dispute = disputed(refund_env, intent)
    assert held(refund_env) == [first]
    refund_env.later()
    assert refund_env.payouts() == Sent()
    assert findings(refund_env.checkout_env.world) == {}
    refund_env.decide(dispute, won=True)
    assert refund_env.payouts() == Sent(sent=1)
    refund_env.balanced()


def test_what_another_pack_released_is_held_again_when_that_is_disputed_too(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    refund_env.checkout_env.stripe.add_funds(10_000)
    customer = new_id()
    first = refund_env.pack(customer)
    session_id = spent(refund_env, customer)
    disputed(refund_env, first)
    second = refund_env.pack(customer)
    assert held(refund_env) == []
    disputed(refund_env, second)
    assert held(refund_env) == [session_id]
    refund_env.later()
    assert refund_env.payouts() == Sent()
    assert findings(refund_env.checkout_env.world) == {}


def test_a_session_that_goes_on_is_held_when_it_is_settled(refund_env: RefundEnv) -> None:
    customer = new_id()
    intent = refund_env.pack(customer)
    created = buy(refund_env.checkout_env.world, customer)
    disputed(refund_env, intent)
    complete(refund_env.checkout_env.world, created, customer, refund_env.mechanic)
    settle(refund_env.checkout_env.world.app, created.session_id)
    assert held(refund_env) == [created.session_id]


def test_credits_from_elsewhere_hold_nothing(refund_env: RefundEnv) -> None:
    customer = new_id()
    give(refund_env.checkout_env.world, customer, 1)
    spent(refund_env, customer)
    disputed(refund_env, refund_env.pack(customer))
    assert held(refund_env) == []


def test_when_it_is_lost_an_admin_decides(refund_env: RefundEnv) -> None:
    """The customer owes for what was spent, and may be the mechanic."""
    refund_env.onboard()
    refund_env.checkout_env.stripe.add_funds(10_000)
    customer = new_id()
    intent = refund_env.pack(customer)
    session_id = spent(refund_env, customer)
    refund_env.decide(disputed(refund_env, intent), won=False)
    assert held(refund_env) == [session_id]
    app = refund_env.checkout_env.world.app
    release(app, new_id(), payouts(app, {}).payouts[0].payout_id)
    disputed_again = "SELECT hold_disputed_credits(%s)"
    refund_env.checkout_env.one(disputed_again, customer)
    assert (held(refund_env), refund_env.payouts()) == ([], Sent(sent=1))
    refund_env.balanced()
