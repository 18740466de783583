"""Fixtures of the tests of money: a stand-in for Stripe, and what is bought, sent and paid back there."""

from collections.abc import Iterator

import pytest

from localcloud.stripe.http.service import running_stripe
from support.money.checkout_env import CheckoutEnv, open_checkout
from support.money.payout_env import PayoutEnv
from support.money.refund_env import RefundEnv
from support.money.stripe_shop import client_of
from support.world import World


@pytest.fixture
def checkout_env(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[CheckoutEnv]:
    """Give the test a stand-in for Stripe, and the function that takes its webhooks."""
    with open_checkout(world, monkeypatch) as checkout_env:
        yield checkout_env


@pytest.fixture
def payout_env(world: World) -> Iterator[PayoutEnv]:
    """Give the test what sends money: a stand-in with empty books, and a client that asks once."""
    with running_stripe() as control:
        yield PayoutEnv(world, control, client_of(control, retries=0))


@pytest.fixture
def refund_env(checkout_env: CheckoutEnv) -> RefundEnv:
    """Give the test a `CheckoutEnv`, and everything that happens to the money after it."""
    return RefundEnv(checkout_env)
