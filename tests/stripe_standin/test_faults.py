"""Every fault that a test can inject into the API, as a client experiences it."""

import time

import pytest
import stripe

from support.money.stripe_shop import StripeShop, client_of, order
from support.wait import wait_until


@pytest.mark.parametrize(
    ("mode", "error", "acted"),
    [
        ("error", stripe.APIError, 0),
        ("error_after", stripe.APIError, 1),
        ("unavailable", stripe.APIError, 0),
        ("rate_limit", stripe.RateLimitError, 0),
        ("cut", stripe.APIConnectionError, 0),
        ("cut_after", stripe.APIConnectionError, 1),
        ("timeout", stripe.APIConnectionError, 0),
        ("timeout_after", stripe.APIConnectionError, 1),
    ],
)
def test_a_call_fails_with_or_without_having_acted(
    stripe_shop: StripeShop, mode: str, error: type[stripe.StripeError], acted: int
) -> None:
    stripe_shop.session()
    client = client_of(stripe_shop.control, retries=0, impatient=True)
    fault = stripe_shop.control.fail(mode=mode, path="/v1/checkout/*", seconds=60)
    with pytest.raises(error):
        client.v1.checkout.sessions.create(params=order())
    wait_until(lambda: fault.waiting == ("timeout" in mode))
    assert len(stripe_shop.control.objects("checkout.session")) == 1 + acted
    stripe_shop.client.v1.checkout.sessions.create(params=order())
    assert stripe_shop.control.imbalances() == []


def test_the_sdks_own_retries_get_over_a_cut_and_do_not_act_twice(stripe_shop: StripeShop) -> None:
    stripe_shop.control.fail(mode="cut_after")
    stripe_shop.session()
    assert len(stripe_shop.control.objects("checkout.session")) == 1


def test_the_sdk_tries_again_when_stripe_was_unavailable(stripe_shop: StripeShop) -> None:
    fault = stripe_shop.control.fail(mode="unavailable", times=2)
    stripe_shop.session()
    assert fault.struck == 2


def test_a_slow_answer_is_an_answer(stripe_shop: StripeShop) -> None:
    stripe_shop.session()
    stripe_shop.control.fail(mode="slow", seconds=0.3)
    began = time.monotonic()
    stripe_shop.session()
    assert time.monotonic() - began >= 0.3


def test_faults_strike_every_so_manieth_matching_call(stripe_shop: StripeShop) -> None:
    stripe_shop.control.fail(mode="unavailable", method="GET", path="/v1/balance", every=3, times=None)
    client = client_of(stripe_shop.control, retries=0)

    def works() -> bool:
        try:
            client.v1.balance.retrieve()
        except stripe.APIError:
            return False
        return True

    assert [works() for _call in range(7)] == [True, True, False, True, True, False, True]
    assert client.v1.charges.list().data == []
    stripe_shop.control.clear_faults()
    assert all(works() for _call in range(4))


def test_odds_are_repeatable(stripe_shop: StripeShop) -> None:
    client = client_of(stripe_shop.control, retries=0)
    fault = stripe_shop.control.fail(mode="unavailable", times=None, odds=0.2)
    for _call in range(50):
        try:
            client.v1.balance.retrieve()
        except stripe.APIError:
            continue
    assert fault.struck == 4
