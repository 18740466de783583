"""Webhooks: signatures, endpoints, retries, and the faults that a test can inject into their delivery."""

import json
import time

import pytest
import stripe

from localcloud.stripe.pages.control import NotQuiet
from support.money.stripe_shop import StripeShop, WebhookReceiver

DONE = "checkout.session.completed"


def verified(body: bytes, signature: str, secret: str) -> stripe.Event:
    """Read an event as our webhook does. Raises SignatureVerificationError."""
    event = stripe.Webhook.construct_event(body, signature, secret)
    assert isinstance(event, stripe.Event)
    return event


def test_an_event_is_signed_and_carries_the_object(stripe_shop: StripeShop, receiver: WebhookReceiver) -> None:
    session = stripe_shop.session()
    stripe_shop.control.pay(session.id)
    stripe_shop.control.quiet()
    ((path, body, signature),) = receiver.got
    assert path == "/platform"
    (secret,) = stripe_shop.control.secrets("platform")
    event = verified(body, signature, secret)
    assert (event.type, event.livemode, event.api_version) == (DONE, False, "2026-10-28.endive")
    shown = json.loads(body)["data"]["object"]
    assert (shown["id"], shown["payment_status"], shown["metadata"]) == (session.id, "paid", {"intakeId": "intake-1"})
    assert not [key for key in shown if key.startswith("_")]
    with pytest.raises(stripe.SignatureVerificationError):
        verified(json.dumps(json.loads(body)).encode(), signature, secret)
    with pytest.raises(stripe.SignatureVerificationError):
        verified(body, signature, stripe_shop.control.secrets("connect")[0])


def test_events_of_accounts_go_to_the_other_endpoint(stripe_shop: StripeShop, receiver: WebhookReceiver) -> None:
    account = stripe_shop.mechanic()
    stripe_shop.control.quiet()
    assert receiver.kinds("/connect") == ["account.updated", "account.updated"]
    assert receiver.kinds("/platform") == []
    _path, body, signature = receiver.got[0]
    event = verified(body, signature, stripe_shop.control.secrets("connect")[0])
    assert event.account == account.id


def test_secrets_rotate_with_several_active(stripe_shop: StripeShop, receiver: WebhookReceiver) -> None:
    (old,) = stripe_shop.control.secrets("platform")
    new = stripe_shop.control.rotate_secret("platform")
    assert stripe_shop.control.secrets("platform") == [new, old]
    stripe_shop.paid()
    stripe_shop.control.quiet()
    _path, body, signature = receiver.got[0]
    assert verified(body, signature, old).id == verified(body, signature, new).id
    stripe_shop.control.retire_secrets("platform")
    stripe_shop.paid()
    stripe_shop.control.quiet()
    _path, body, signature = receiver.got[1]
    verified(body, signature, new)
    with pytest.raises(stripe.SignatureVerificationError):
        verified(body, signature, old)


def test_a_delivery_is_tried_again_until_it_is_taken(stripe_shop: StripeShop, receiver: WebhookReceiver) -> None:
    receiver.status = 500
    stripe_shop.paid()
    with pytest.raises(NotQuiet):
        stripe_shop.control.quiet(0.4)
    assert len(receiver.got) >= 3
    assert len({body for _path, body, _signature in receiver.got}) == 1
    assert stripe_shop.client.v1.events.list(params={"type": DONE}).data[0].pending_webhooks == 1
    receiver.status = 200
    stripe_shop.control.quiet()
    assert stripe_shop.client.v1.events.list(params={"type": DONE}).data[0].pending_webhooks == 0


def test_a_delivery_is_given_up_in_the_end(stripe_shop: StripeShop, receiver: WebhookReceiver) -> None:
    stripe_shop.control.set_retries(first=0.02, longest=0.02, attempts=3)
    receiver.status = 404
    stripe_shop.paid()
    stripe_shop.control.quiet()
    assert len(receiver.got) == 3
    receiver.status = 200
    event = stripe_shop.control.events(DONE)[0]
    assert stripe_shop.control.resend(event["id"]).status == 200
    assert len(receiver.got) == 4


def test_nobody_there_is_no_answer(stripe_shop: StripeShop) -> None:
    stripe_shop.control.disturb(held=True)
    stripe_shop.control.configure_endpoint("platform", url="http://127.0.0.1:9/platform")
    stripe_shop.paid()
    assert [each.status for each in stripe_shop.control.release()] == [0]
    assert stripe_shop.control.pending_webhooks() == 1


def test_webhooks_come_in_any_order_and_more_than_once(stripe_shop: StripeShop, receiver: WebhookReceiver) -> None:
    stripe_shop.control.disturb(held=True, copies=2)
    for _sale in range(3):
        stripe_shop.control.refund(stripe_shop.paid().id)
    assert stripe_shop.control.pending_webhooks() == 18
    assert receiver.got == []
    stripe_shop.control.release("reversed")
    assert receiver.kinds()[:6] == [*["charge.refunded"] * 2, *["refund.created"] * 2, DONE, DONE]
    assert len(receiver.got) == 18
    assert stripe_shop.control.pending_webhooks() == 0
    stripe_shop.control.disturb(spread_seconds=0.2)
    stripe_shop.paid()
    stripe_shop.control.quiet()
    assert len(receiver.got) == 19


def test_webhooks_come_late(stripe_shop: StripeShop, receiver: WebhookReceiver) -> None:
    stripe_shop.control.disturb(delay_seconds=3600)
    stripe_shop.paid()
    with pytest.raises(NotQuiet):
        stripe_shop.control.quiet(0.1)
    stripe_shop.control.advance(3601)
    stripe_shop.control.quiet()
    assert receiver.kinds() == [DONE]
    _path, body, signature = receiver.got[0]
    verified(body, signature, stripe_shop.control.secrets("platform")[0])
    assert time.time() - json.loads(body)["created"] > 3500


def test_webhooks_are_dropped_but_listed(stripe_shop: StripeShop, receiver: WebhookReceiver) -> None:
    stripe_shop.control.disturb(drop=("checkout.*",))
    charge = stripe_shop.paid()
    stripe_shop.control.refund(charge.id)
    stripe_shop.control.quiet()
    assert sorted(receiver.kinds()) == ["charge.refunded", "refund.created"]
    dropped = stripe_shop.client.v1.events.list(params={"delivery_success": False}).data
    assert [each.type for each in dropped] == [DONE]
    stripe_shop.control.clear_faults()
    stripe_shop.control.resend(dropped[0].id)
    assert receiver.kinds()[2:] == [DONE]


def test_an_endpoint_hears_only_of_what_it_asked_for(stripe_shop: StripeShop, receiver: WebhookReceiver) -> None:
    stripe_shop.control.configure_endpoint("platform", events=("*",))
    stripe_shop.paid()
    stripe_shop.control.quiet()
    assert sorted(receiver.kinds()) == sorted(stripe_shop.kinds())
    stripe_shop.control.emit("invoice.paid", {"id": "in_1", "object": "invoice"})
    stripe_shop.control.quiet()
    assert receiver.kinds()[-1] == "invoice.paid"


def test_an_event_can_be_had_without_a_delivery(stripe_shop: StripeShop) -> None:
    stripe_shop.paid()
    event = stripe_shop.control.events(DONE)[0]
    usual = stripe_shop.control.signed(event["id"])
    assert verified(usual.payload, usual.signature, stripe_shop.control.secrets("platform")[0]).id == event["id"]
    odd = stripe_shop.control.signed(event["id"], secret="whsec_other", timestamp=1)
    assert odd.signature.startswith("t=1,v1=")
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        verified(odd.payload, odd.signature, "whsec_other")
