"""Stripe tells of an account in no order: the newest counts, and where two contradict each other it is asked."""

import itertools
import json
from typing import Any

import pytest

from autodoctor.payments.stripe.client import stripe_client
from autodoctor.payments.stripe.connect import OnboardingStatus, onboarding, start_onboarding
from integration.actors import Mechanic
from payments.counter import Counter

STANDINGS = ("new", "onboarded", "restricted")
ORDERS = list(itertools.permutations(STANDINGS))
STATUS: dict[str, OnboardingStatus] = {"new": "pending", "onboarded": "complete", "restricted": "restricted"}


@pytest.fixture
def mechanic(counter: Counter) -> Mechanic:
    """Give a mechanic who began onboarding, went through it and was restricted: Stripe has told none of it yet."""
    mechanic = counter.stage.mechanic()
    start_onboarding(counter.stage.app, stripe_client(), mechanic.user_id)
    (account,) = counter.stripe.objects("account")
    counter.stripe.onboard(account["id"])
    counter.stripe.restrict(account["id"])
    return mechanic


def news(counter: Counter, apart: int) -> dict[str, dict[str, Any]]:
    """What Stripe has to tell, so many seconds apart."""
    told = dict(zip(STANDINGS, counter.stripe.events("account.updated"), strict=True))
    first = told["new"]["created"] - 10
    return {name: each | {"created": first + apart * place} for place, (name, each) in enumerate(told.items())}


def refusal(counter: Counter, created: int) -> dict[str, Any]:
    """What Stripe tells where the mechanic's bank refuses a payout."""
    account = counter.one("SELECT stripe_account_id FROM mechanic_accounts")
    emitted = counter.stripe.emit("payout.failed", {"id": "po_1", "object": "payout"}, account=account)
    told = next(each for each in counter.stripe.events("payout.failed") if each["id"] == emitted)
    return told | {"created": created}


def deliver(counter: Counter, event: dict[str, Any]) -> str:
    """Deliver an event, and return what it did."""
    told = counter.deliver(counter.sign(json.dumps(event).encode(), "connect"), "connect")
    assert told.status == 200
    return str(told.json["outcome"])


def doubtful(counter: Counter) -> bool:
    return bool(counter.one("SELECT doubtful FROM mechanic_accounts"))


def nobody() -> Any:  # noqa: ANN401 (never returns)
    """Stand in for a client of Stripe that may not be asked for."""
    raise AssertionError("Stripe was asked, though nothing is doubtful")


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_the_newest_counts_in_whatever_order_it_comes(
    counter: Counter, mechanic: Mechanic, order: tuple[str, ...]
) -> None:
    told = news(counter, apart=1)
    newest = ""
    for name in order:
        outdated = bool(newest) and told[name]["created"] < told[newest]["created"]
        assert deliver(counter, told[name]) == ("outdated" if outdated else "account_updated")
        newest = newest if outdated else name
        assert onboarding(counter.stage.app, nobody, mechanic.user_id).status == STATUS[newest]
    assert newest == "restricted"


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_of_one_second_no_order_is_known_and_stripe_is_asked(
    counter: Counter, mechanic: Mechanic, order: tuple[str, ...]
) -> None:
    told = news(counter, apart=0)
    for name in order:
        assert deliver(counter, told[name]) == "account_updated"
    assert doubtful(counter)
    assert onboarding(counter.stage.app, stripe_client, mechanic.user_id).status == "restricted"
    assert not doubtful(counter)
    assert onboarding(counter.stage.app, nobody, mechanic.user_id).status == "restricted"
    late = told[order[0]] | {"id": "evt_late"}
    assert deliver(counter, late) == "outdated", "Stripe was asked since"


def test_who_says_the_same_twice_in_a_second_does_not_contradict(counter: Counter, mechanic: Mechanic) -> None:
    told = news(counter, apart=0)["onboarded"]
    for event_id in ("evt_1", "evt_2"):
        assert deliver(counter, told | {"id": event_id}) == "account_updated"
    assert onboarding(counter.stage.app, nobody, mechanic.user_id).status == "complete"


def test_newer_news_end_a_doubt(counter: Counter, mechanic: Mechanic) -> None:
    told = news(counter, apart=0)
    for name in ("onboarded", "new"):
        deliver(counter, told[name])
    assert deliver(counter, told["restricted"] | {"created": told["new"]["created"] + 1}) == "account_updated"
    assert onboarding(counter.stage.app, nobody, mechanic.user_id).status == "restricted"


def test_while_stripe_does_not_answer_what_it_told_last_is_shown(counter: Counter, mechanic: Mechanic) -> None:
    told = news(counter, apart=0)
    for name in ("onboarded", "new"):
        deliver(counter, told[name])
    counter.stripe.fail(mode="error", method="GET", path="/v1/accounts/*", times=10)
    assert onboarding(counter.stage.app, stripe_client, mechanic.user_id).status == "pending"
    assert doubtful(counter)
    counter.stripe.clear_faults()
    assert onboarding(counter.stage.app, stripe_client, mechanic.user_id).status == "restricted"


def test_a_refused_payout_counts_though_older_news_of_the_account_come_after_it(
    counter: Counter, mechanic: Mechanic
) -> None:
    told = news(counter, apart=2)
    deliver(counter, told["new"])
    assert deliver(counter, refusal(counter, told["onboarded"]["created"] + 1)) == "bank_refused"
    assert deliver(counter, told["onboarded"]) == "outdated"
    assert not onboarding(counter.stage.app, nobody, mechanic.user_id).payouts_enabled


def test_a_restriction_that_a_refused_payout_overtook_is_not_lost(counter: Counter, mechanic: Mechanic) -> None:
    """The refusal says nothing of the rest of the account."""
    told = news(counter, apart=2)
    deliver(counter, told["onboarded"])
    assert deliver(counter, refusal(counter, told["restricted"]["created"] + 1)) == "bank_refused"
    assert onboarding(counter.stage.app, nobody, mechanic.user_id).status == "complete"
    assert deliver(counter, told["restricted"]) == "outdated"
    assert onboarding(counter.stage.app, stripe_client, mechanic.user_id).status == "restricted"
