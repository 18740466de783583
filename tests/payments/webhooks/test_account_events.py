"""Stripe reports an account in any order: the newest event counts, and a contradiction makes us ask Stripe."""

import itertools
import json
from typing import Any

import pytest

from autodoctor.payments.stripe.client import stripe_client
from autodoctor.payments.stripe.connect import OnboardingStatus, onboarding, start_onboarding
from support.money.checkout_env import CheckoutEnv
from support.world import Mechanic

STATES = ("new", "onboarded", "restricted")
ORDERS = list(itertools.permutations(STATES))
STATUS: dict[str, OnboardingStatus] = {"new": "pending", "onboarded": "complete", "restricted": "restricted"}


@pytest.fixture
def mechanic(checkout_env: CheckoutEnv) -> Mechanic:
    """Give a mechanic who began onboarding, went through it and was restricted: Stripe has reported none of it yet."""
    mechanic = checkout_env.world.mechanic()
    start_onboarding(checkout_env.world.app, stripe_client(), mechanic.user_id)
    (account,) = checkout_env.stripe.objects("account")
    checkout_env.stripe.onboard(account["id"])
    checkout_env.stripe.restrict(account["id"])
    return mechanic


def account_updates(checkout_env: CheckoutEnv, apart: int) -> dict[str, dict[str, Any]]:
    """Stripe's reports, with the given seconds between them."""
    updates = dict(zip(STATES, checkout_env.stripe.events("account.updated"), strict=True))
    first = updates["new"]["created"] - 10
    return {name: each | {"created": first + apart * place} for place, (name, each) in enumerate(updates.items())}


def reported(checkout_env: CheckoutEnv, kind: str, created: int) -> dict[str, Any]:
    """Stripe's report of something else about the mechanic's account."""
    account = checkout_env.one("SELECT stripe_account_id FROM mechanic_accounts")
    emitted = checkout_env.stripe.emit(kind, {"id": "po_1", "object": "payout"}, account=account)
    event = next(each for each in checkout_env.stripe.events(kind) if each["id"] == emitted)
    return event | {"created": created}


def refusal(checkout_env: CheckoutEnv, created: int) -> dict[str, Any]:
    """Stripe's report when the mechanic's bank refuses a payout."""
    return reported(checkout_env, "payout.failed", created)


def deliver(checkout_env: CheckoutEnv, event: dict[str, Any]) -> str:
    """Deliver an event, and return what it did."""
    answer = checkout_env.deliver(checkout_env.sign(json.dumps(event).encode(), "connect"), "connect")
    assert answer.status == 200
    return str(answer.json["outcome"])


def doubtful(checkout_env: CheckoutEnv) -> bool:
    return bool(checkout_env.one("SELECT doubtful FROM mechanic_accounts"))


def nobody() -> Any:  # noqa: ANN401 (never returns)
    """Stand in for a client of Stripe that may not be asked for."""
    raise AssertionError("Stripe was asked, though nothing is doubtful")


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_the_newest_counts_in_whatever_order_it_comes(
    checkout_env: CheckoutEnv, mechanic: Mechanic, order: tuple[str, ...]
) -> None:
    updates = account_updates(checkout_env, apart=1)
    newest = ""
    for name in order:
        outdated = bool(newest) and updates[name]["created"] < updates[newest]["created"]
        assert deliver(checkout_env, updates[name]) == ("outdated" if outdated else "account_updated")
        newest = newest if outdated else name
        assert onboarding(checkout_env.world.app, nobody, mechanic.user_id).status == STATUS[newest]
    assert newest == "restricted"


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_of_one_second_no_order_is_known_and_stripe_is_asked(
    checkout_env: CheckoutEnv, mechanic: Mechanic, order: tuple[str, ...]
) -> None:
    updates = account_updates(checkout_env, apart=0)
    for name in order:
        assert deliver(checkout_env, updates[name]) == "account_updated"
    assert doubtful(checkout_env)
    assert onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).status == "restricted"
    assert not doubtful(checkout_env)
    assert onboarding(checkout_env.world.app, nobody, mechanic.user_id).status == "restricted"
    late = updates[order[0]] | {"id": "evt_late"}
    assert deliver(checkout_env, late) == "outdated", "Stripe was asked since"


def test_who_says_the_same_twice_in_a_second_does_not_contradict(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    updates = account_updates(checkout_env, apart=0)["onboarded"]
    for event_id in ("evt_1", "evt_2"):
        assert deliver(checkout_env, updates | {"id": event_id}) == "account_updated"
    assert onboarding(checkout_env.world.app, nobody, mechanic.user_id).status == "complete"


def test_a_newer_update_ends_a_doubt(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    updates = account_updates(checkout_env, apart=0)
    for name in ("onboarded", "new"):
        deliver(checkout_env, updates[name])
    newest = updates["restricted"] | {"created": updates["new"]["created"] + 1}
    assert deliver(checkout_env, newest) == "account_updated"
    assert onboarding(checkout_env.world.app, nobody, mechanic.user_id).status == "restricted"


def test_while_stripe_does_not_answer_what_it_told_last_is_shown(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    updates = account_updates(checkout_env, apart=0)
    for name in ("onboarded", "new"):
        deliver(checkout_env, updates[name])
    checkout_env.stripe.fail(mode="error", method="GET", path="/v1/accounts/*", times=10)
    assert onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).status == "pending"
    assert doubtful(checkout_env)
    checkout_env.stripe.clear_faults()
    assert onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).status == "restricted"


def test_a_refused_payout_counts_though_an_older_update_comes_after_it(
    checkout_env: CheckoutEnv, mechanic: Mechanic
) -> None:
    updates = account_updates(checkout_env, apart=2)
    deliver(checkout_env, updates["new"])
    assert deliver(checkout_env, refusal(checkout_env, updates["onboarded"]["created"] + 1)) == "bank_refused"
    assert deliver(checkout_env, updates["onboarded"]) == "outdated"
    assert not onboarding(checkout_env.world.app, nobody, mechanic.user_id).payouts_enabled


def test_a_restriction_that_a_refused_payout_overtook_is_not_lost(
    checkout_env: CheckoutEnv, mechanic: Mechanic
) -> None:
    """The refusal says nothing of the rest of the account."""
    updates = account_updates(checkout_env, apart=2)
    deliver(checkout_env, updates["onboarded"])
    assert deliver(checkout_env, refusal(checkout_env, updates["restricted"]["created"] + 1)) == "bank_refused"
    assert onboarding(checkout_env.world.app, nobody, mechanic.user_id).status == "complete"
    assert deliver(checkout_env, updates["restricted"]) == "outdated"
    assert onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).status == "restricted"


@pytest.mark.parametrize("apart", [2, 0])
def test_an_update_of_before_does_not_open_a_closed_account(
    checkout_env: CheckoutEnv, mechanic: Mechanic, apart: int
) -> None:
    """One of the same second makes us ask Stripe, which does not know the account any more."""
    updates = account_updates(checkout_env, apart)
    deliver(checkout_env, updates["new"])
    account = checkout_env.one("SELECT stripe_account_id FROM mechanic_accounts")
    checkout_env.stripe.close_account(account)
    closing = reported(checkout_env, "account.application.deauthorized", updates["onboarded"]["created"] + apart)
    assert deliver(checkout_env, closing) == "account_closed"
    assert deliver(checkout_env, updates["onboarded"]) == ("outdated" if apart else "account_updated")
    assert onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).status == "closed"


def test_an_account_that_was_opened_after_it_was_closed_stays_open(
    checkout_env: CheckoutEnv, mechanic: Mechanic
) -> None:
    updates = account_updates(checkout_env, apart=2)
    closing = reported(checkout_env, "account.application.deauthorized", updates["onboarded"]["created"] - 1)
    deliver(checkout_env, updates["onboarded"])
    assert deliver(checkout_env, closing) == "unchanged"
    assert onboarding(checkout_env.world.app, nobody, mechanic.user_id).status == "complete"


@pytest.mark.parametrize("apart", [1, 0])
def test_a_payout_that_arrived_after_one_was_refused_counts_in_either_order(
    checkout_env: CheckoutEnv, mechanic: Mechanic, apart: int
) -> None:
    updates = account_updates(checkout_env, apart=1)
    deliver(checkout_env, updates["onboarded"])
    checkout_env.stripe.onboard(checkout_env.one("SELECT stripe_account_id FROM mechanic_accounts"))
    second = updates["onboarded"]["created"] + 5
    assert deliver(checkout_env, reported(checkout_env, "payout.paid", second + apart)) == "unchanged"
    assert deliver(checkout_env, refusal(checkout_env, second)) == ("unchanged" if apart else "bank_refused")
    assert onboarding(checkout_env.world.app, stripe_client, mechanic.user_id).payouts_enabled


def test_a_payout_that_arrived_before_one_was_refused_changes_nothing(
    checkout_env: CheckoutEnv, mechanic: Mechanic
) -> None:
    updates = account_updates(checkout_env, apart=1)
    deliver(checkout_env, updates["onboarded"])
    assert deliver(checkout_env, refusal(checkout_env, updates["onboarded"]["created"] + 5)) == "bank_refused"
    older = reported(checkout_env, "payout.paid", updates["onboarded"]["created"] + 3)
    assert deliver(checkout_env, older) == "unchanged"
    assert not onboarding(checkout_env.world.app, nobody, mechanic.user_id).payouts_enabled


def test_an_update_of_before_a_payout_arrived_still_counts(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    updates = account_updates(checkout_env, apart=2)
    deliver(checkout_env, updates["onboarded"])
    deliver(checkout_env, reported(checkout_env, "payout.paid", updates["restricted"]["created"] + 1))
    assert deliver(checkout_env, updates["restricted"]) == "account_updated"
    assert onboarding(checkout_env.world.app, nobody, mechanic.user_id).status == "restricted"
