"""Whatever is signed ends in 200 or 400: Stripe disables an endpoint that answers 500 for days."""

import json
from typing import Any

import pytest

from autodoctor.ids import new_id
from autodoctor.payments.stripe.lease import Sent
from localcloud.stripe.pages.control import SignedEvent
from localcloud.stripe.state.webhooks import signature
from support.http.lambda_event import Answer
from support.money.checkout_env import SIGNED, CheckoutEnv
from support.money.refund_env import SHARE, RefundEnv

SHAPES: list[Any] = [
    {},
    {"id": 7},
    {"id": "x", "amount": 10**30, "currency": "usd", "payment_intent": "pi_1", "status": "lost"},
    {"id": "x" * 300, "amount": 5, "amount_refunded": 5, "currency": "usd", "payment_intent": "pi_1", "status": "won"},
    {"id": "x", "amount": 5, "currency": "usd", "payment_intent": "p" * 300, "status": "s" * 100},
    {"id": "x", "reversals": None, "capabilities": None, "balance_transactions": 3, "amount": "5"},
]
PLATFORM = (
    *("checkout.session.completed", "refund.created", "refund.updated", "refund.failed", "charge.refunded"),
    *("charge.dispute.created", "charge.dispute.closed", "transfer.reversed", "nobody.knows.it"),
)
CONNECT = ("account.updated", "account.application.deauthorized", "payout.failed", "payout.paid")


def told(checkout_env: CheckoutEnv, kind: str, about: object, account: str | None = None, **event: object) -> Answer:
    """Deliver an event of any type about anything, really signed."""
    whole = {"object": "event", "id": f"evt_{new_id()}", "type": kind, "livemode": False, "created": 1_700_000_000}
    body = json.dumps({**whole, **({"account": account} if account else {}), "data": {"object": about}, **event})
    endpoint = "connect" if account else "platform"
    return checkout_env.deliver(checkout_env.sign(body.encode(), endpoint), endpoint)


@pytest.mark.parametrize("kind", PLATFORM)
def test_an_object_of_another_shape_is_400_and_leaves_nothing(checkout_env: CheckoutEnv, kind: str) -> None:
    for shape in SHAPES:
        assert told(checkout_env, kind, shape).status in (200, 400), shape
    assert checkout_env.one("SELECT count(*) FROM stripe_events WHERE handled_at IS NULL") == 0


@pytest.mark.parametrize("kind", CONNECT)
def test_so_is_one_of_a_connected_account(checkout_env: CheckoutEnv, kind: str) -> None:
    for shape in (*SHAPES, {"id": "acct_1"}, {"id": "acct_1", "capabilities": [1]}):
        assert told(checkout_env, kind, shape, account="acct_1").status in (200, 400), shape


def test_a_transfer_that_comes_back_proves_that_a_payout_was_sent(refund_env: RefundEnv) -> None:
    """Its answer was lost, the look-ups failed, and it was given up: then somebody reverses it by hand."""
    refund_env.onboard()
    refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    (transfer,) = refund_env.checkout_env.stripe.objects("transfer")
    with refund_env.checkout_env.world.without_triggers() as connection:
        connection.execute(
            "UPDATE payouts SET state = 'failed', stripe_transfer_id = NULL, sent_at = NULL, sent_cents = 0"
        )
        connection.execute("DELETE FROM ledger_transfer WHERE kind = 'transfer'")
    refund_env.checkout_env.stripe.reverse(transfer["id"], 100)
    assert refund_env.tell() == ["reversed"]
    payout = refund_env.payout()
    assert (payout["state"], payout["sent_cents"], payout["reversed_cents"]) == ("reversed", SHARE, 100)
    refund_env.balanced()


def test_a_transfer_of_more_than_the_payout_is_for_a_person(refund_env: RefundEnv) -> None:
    refund_env.earned()
    about = {
        "id": "tr_other",
        "amount": SHARE + 1,
        "currency": "usd",
        "transfer_group": str(refund_env.payout()["id"]),
        "reversals": {"data": [{"id": "trr_1", "amount": 1}]},
    }
    answer = told(refund_env.checkout_env, "transfer.reversed", about)
    assert (answer.status, answer.json["outcome"]) == (200, "mismatch")
    assert refund_env.payout()["state"] == "due"


@pytest.mark.parametrize("reversals", [[SHARE + 1], [400, 400]])
@pytest.mark.parametrize("sent", [True, False])
def test_more_reversed_than_was_sent_is_for_a_person(
    refund_env: RefundEnv, capsys: pytest.CaptureFixture[str], reversals: list[int], *, sent: bool
) -> None:
    refund_env.onboard()
    refund_env.earned()
    if sent:
        assert refund_env.payouts() == Sent(sent=1)
    payout = refund_env.payout()
    about = {
        "id": payout["stripe_transfer_id"] or "tr_1",
        "amount": SHARE,
        "currency": "usd",
        "transfer_group": str(payout["id"]),
        "reversals": {"data": [{"id": f"trr_{n}", "amount": cents} for n, cents in enumerate(reversals)]},
    }
    answer = told(refund_env.checkout_env, "transfer.reversed", about)
    assert (answer.status, answer.json["outcome"]) == (200, "mismatch")
    assert "PaymentMismatch" in capsys.readouterr().out
    assert refund_env.payout() == payout
    refund_env.balanced()


def test_a_transfer_that_names_another_payout_is_the_one_that_it_was(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    refund_env.earned()
    checkout_env = refund_env.checkout_env
    checkout_env.world.owner.execute("SELECT hold_payout(id, 'operator') FROM payouts")
    refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    about = {
        "id": checkout_env.one("SELECT stripe_transfer_id FROM payouts WHERE state = 'sent'"),
        "amount": SHARE,
        "currency": "usd",
        "transfer_group": checkout_env.one("SELECT id::text FROM payouts WHERE state = 'held'"),
        "reversals": {"data": [{"id": "trr_1", "amount": 1}]},
    }
    answer = told(checkout_env, "transfer.reversed", about)
    assert (answer.status, answer.json["outcome"]) == (200, "reversed")
    assert checkout_env.one("SELECT reversed_cents FROM payouts WHERE state = 'reversed'") == 1


def test_a_payment_that_paid_another_checkout_is_for_a_person(
    checkout_env: CheckoutEnv, capsys: pytest.CaptureFixture[str]
) -> None:
    first = checkout_env.ask(new_id(), None, **SIGNED)
    checkout_env.stripe.pay(checkout_env.page(first))
    assert checkout_env.tell("checkout.session.completed").json["outcome"] == "fulfilled"
    intent = checkout_env.one("SELECT stripe_payment_intent_id FROM checkouts")
    second = checkout_env.ask(new_id(), None, **SIGNED)
    checkout_env.stripe.pay(checkout_env.page(second))
    document = json.loads(checkout_env.stripe.signed(checkout_env.last("checkout.session.completed")).payload)
    for changes in ({}, {"payment_status": "unpaid", "status": "complete"}, {"payment_status": "no_payment_required"}):
        body = {**document, "id": f"evt_{new_id()}"}
        body["data"] = {"object": {**document["data"]["object"], "payment_intent": intent, **changes}}
        answer = checkout_env.deliver(checkout_env.sign(json.dumps(body).encode()))
        assert (answer.status, answer.json["outcome"]) == (200, "mismatch")
    assert "PaymentMismatch" in capsys.readouterr().out
    assert checkout_env.status(second.intake_id) == "open"
    assert checkout_env.tell("checkout.session.completed").json["outcome"] == "fulfilled"


def test_a_page_sold_for_nothing_lets_its_customer_go_on(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    opened = checkout_env.ask(customer, None, **SIGNED)
    checkout_env.stripe.pay(checkout_env.page(opened))
    document = json.loads(checkout_env.stripe.signed(checkout_env.last("checkout.session.completed")).payload)
    document["data"]["object"].update(payment_status="no_payment_required", amount_total=0, payment_intent=None)
    answer = checkout_env.deliver(checkout_env.sign(json.dumps(document).encode()))
    assert (answer.status, answer.json["outcome"]) == (200, "mismatch")
    assert checkout_env.status(opened.intake_id) == "failed"
    assert checkout_env.ask(customer).intake_id != opened.intake_id


@pytest.mark.parametrize("kept", [["none"], "none", [], [""], ["whsec_"], ["whsec_short"], "whsec_" + "a" * 32])
@pytest.mark.parametrize("key", ["none", "n", "", "w", "whsec_", "whsec_short"])
def test_what_is_not_a_secret_of_stripes_signs_nothing(
    checkout_env: CheckoutEnv, monkeypatch: pytest.MonkeyPatch, kept: object, key: str
) -> None:
    """Such as the `["none"]` of a first deployment, which is a key that everybody knows."""
    secret = {"apiKey": "sk_test_1", "webhookSecrets": kept, "connectWebhookSecrets": kept}
    monkeypatch.setenv("STRIPE_SECRETS", json.dumps(secret))
    body = json.dumps({"object": "event", "id": "evt_1", "type": "x", "livemode": False, "created": 1, "data": {}})
    signed = SignedEvent(body.encode(), signature(body, [key]))
    for endpoint in ("platform", "connect"):
        answer = checkout_env.deliver(signed, endpoint)
        assert (answer.status, answer.slug) == (400, "bad-signature")


def test_test_events_at_a_live_endpoint_of_connected_accounts_ring_nobody(
    checkout_env: CheckoutEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe sends them there as a matter of course; in every other place a wrong mode is an alarm."""
    about = {"id": "acct_1", "object": "account"}
    assert told(checkout_env, "account.updated", about, "acct_1", livemode=True).json["outcome"] == "other_mode"
    secrets = json.loads(checkout_env.stripe.environment()["STRIPE_SECRETS"])
    monkeypatch.setenv("STRIPE_SECRETS", json.dumps({**secrets, "apiKey": "sk_live_1"}))
    assert told(checkout_env, "account.updated", about, "acct_1").json["outcome"] == "ignored"
    assert told(checkout_env, "refund.created", {"id": "re_1"}).json["outcome"] == "other_mode"
