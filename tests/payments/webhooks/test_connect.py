"""Onboarding at Stripe: one account per mechanic, whatever fails in between, and Stripe's reports about it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from autodoctor.errors import MechanicNotActive, PaymentsUnavailable
from autodoctor.ids import new_id
from autodoctor.payments.stripe.connect import account_updated, onboarding, start_onboarding
from support.money.payout_env import PayoutEnv
from support.world import Mechanic

DAY = 24 * 3600


def test_a_mechanic_goes_through_onboarding(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    assert onboarding(payout_env.world.app, payout_env.call, mechanic.user_id).status == "not_started"
    link = start_onboarding(payout_env.world.app, payout_env.client, mechanic.user_id)
    assert onboarding(payout_env.world.app, payout_env.call, mechanic.user_id).status == "pending"
    with httpx.Client(trust_env=False) as browser:
        back = browser.post(link.url, data={"action": "finish"}).headers["location"]
    assert back.endswith("/mechanic/onboarding/done")
    (account,) = payout_env.control.objects("account")
    assert account["metadata"] == {"mechanicId": str(mechanic.id)}
    assert payout_env.tell(account["id"]) == "account_updated"
    done = onboarding(payout_env.world.app, payout_env.call, mechanic.user_id)
    assert (done.status, done.payouts_enabled) == ("complete", True)
    payout_env.control.restrict(account["id"])
    assert payout_env.tell(account["id"]) == "account_updated"
    assert onboarding(payout_env.world.app, payout_env.call, mechanic.user_id).status == "restricted"


def test_another_link_is_for_the_same_account(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    first = start_onboarding(payout_env.world.app, payout_env.client, mechanic.user_id)
    assert start_onboarding(payout_env.world.app, payout_env.client, mechanic.user_id).url != first.url
    assert len(payout_env.control.objects("account")) == 1


def test_who_is_no_mechanic_has_no_onboarding(payout_env: PayoutEnv) -> None:
    with pytest.raises(MechanicNotActive):
        start_onboarding(payout_env.world.app, payout_env.client, new_id())
    with pytest.raises(MechanicNotActive):
        onboarding(payout_env.world.app, payout_env.call, new_id())
    assert payout_env.control.objects("account") == []


@pytest.mark.parametrize("mode", ["timeout", "timeout_after", "cut_after", "error", "error_after", "rate_limit"])
@pytest.mark.parametrize("seconds", [0, 2 * DAY])
def test_an_account_is_made_once_whatever_fails(
    payout_env: PayoutEnv, mechanic: Mechanic, mode: str, seconds: int
) -> None:
    """Also days later, when Stripe has forgotten the key; before that, an answer of 500 is repeated."""
    with payout_env.hanging(mode, "/v1/accounts"), pytest.raises(PaymentsUnavailable):
        start_onboarding(payout_env.world.app, payout_env.client, mechanic.user_id)
    payout_env.later(seconds)
    if mode == "error" and not seconds:
        with pytest.raises(PaymentsUnavailable):
            start_onboarding(payout_env.world.app, payout_env.client, mechanic.user_id)
        payout_env.later(DAY)
    assert start_onboarding(payout_env.world.app, payout_env.client, mechanic.user_id).url
    (account,) = payout_env.control.objects("account")
    assert payout_env.account(mechanic)["stripe_account_id"] == account["id"]


def test_two_at_once_make_one_account(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    def ask(_number: int) -> str:
        with payout_env.world.elsewhere() as own:
            try:
                return start_onboarding(own, payout_env.client, mechanic.user_id).url
            except PaymentsUnavailable:  # its key is at work for the other one
                return ""

    with ThreadPoolExecutor(4) as pool:
        assert any(pool.map(ask, range(4)))
    assert len(payout_env.control.objects("account")) == 1


def test_accounts_that_are_not_ours_change_nothing(payout_env: PayoutEnv) -> None:
    now = datetime.now(UTC)
    told = payout_env.world.app.transaction(lambda connection: account_updated(connection, {"id": "acct_other"}, now))
    assert told == "not_ours"
