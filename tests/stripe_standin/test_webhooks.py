"""Webhooks: signatures, endpoints, retries, and what a test can do to their delivery."""

import json
import time

import pytest
import stripe

from localcloud.stripe.pages.control import NotQuiet
from stripe_standin.till import Mailbox, Till

DONE = "checkout.session.completed"


def verified(body: bytes, signature: str, secret: str) -> stripe.Event:
    """Read an event as our webhook does. Raises SignatureVerificationError."""
    event = stripe.Webhook.construct_event(body, signature, secret)
    assert isinstance(event, stripe.Event)
    return event


def test_an_event_is_signed_and_carries_the_object(till: Till, box: Mailbox) -> None:
    session = till.session()
    till.control.pay(session.id)
    till.control.quiet()
    ((path, body, signature),) = box.got
    assert path == "/platform"
    (secret,) = till.control.secrets("platform")
    event = verified(body, signature, secret)
    assert (event.type, event.livemode, event.api_version) == (DONE, False, "2026-10-28.endive")
    shown = json.loads(body)["data"]["object"]
    assert (shown["id"], shown["payment_status"], shown["metadata"]) == (session.id, "paid", {"intakeId": "intake-1"})
    assert not [key for key in shown if key.startswith("_")]
    with pytest.raises(stripe.SignatureVerificationError):
        verified(json.dumps(json.loads(body)).encode(), signature, secret)
    with pytest.raises(stripe.SignatureVerificationError):
        verified(body, signature, till.control.secrets("connect")[0])


def test_events_of_accounts_go_to_the_other_endpoint(till: Till, box: Mailbox) -> None:
    account = till.mechanic()
    till.control.quiet()
    assert box.kinds("/connect") == ["account.updated", "account.updated"]
    assert box.kinds("/platform") == []
    _path, body, signature = box.got[0]
    event = verified(body, signature, till.control.secrets("connect")[0])
    assert event.account == account.id


def test_secrets_rotate_with_several_active(till: Till, box: Mailbox) -> None:
    (old,) = till.control.secrets("platform")
    new = till.control.rotate_secret("platform")
    assert till.control.secrets("platform") == [new, old]
    till.paid()
    till.control.quiet()
    _path, body, signature = box.got[0]
    assert verified(body, signature, old).id == verified(body, signature, new).id
    till.control.retire_secrets("platform")
    till.paid()
    till.control.quiet()
    _path, body, signature = box.got[1]
    verified(body, signature, new)
    with pytest.raises(stripe.SignatureVerificationError):
        verified(body, signature, old)


def test_a_delivery_is_tried_again_until_it_is_taken(till: Till, box: Mailbox) -> None:
    box.status = 500
    till.paid()
    with pytest.raises(NotQuiet):
        till.control.quiet(0.4)
    assert len(box.got) >= 3
    assert len({body for _path, body, _signature in box.got}) == 1
    assert till.client.v1.events.list(params={"type": DONE}).data[0].pending_webhooks == 1
    box.status = 200
    till.control.quiet()
    assert till.client.v1.events.list(params={"type": DONE}).data[0].pending_webhooks == 0


def test_a_delivery_is_given_up_in_the_end(till: Till, box: Mailbox) -> None:
    till.control.set_retries(first=0.02, longest=0.02, attempts=3)
    box.status = 404
    till.paid()
    till.control.quiet()
    assert len(box.got) == 3
    box.status = 200
    event = till.control.events(DONE)[0]
    assert till.control.resend(event["id"]).status == 200
    assert len(box.got) == 4


def test_nobody_there_is_no_answer(till: Till) -> None:
    till.control.disturb(held=True)
    till.control.configure_endpoint("platform", url="http://127.0.0.1:9/platform")
    till.paid()
    assert [each.status for each in till.control.release()] == [0]
    assert till.control.pending_webhooks() == 1


def test_webhooks_come_in_any_order_and_more_than_once(till: Till, box: Mailbox) -> None:
    till.control.disturb(held=True, copies=2)
    for _sale in range(3):
        till.control.refund(till.paid().id)
    assert till.control.pending_webhooks() == 18
    assert box.got == []
    till.control.release("reversed")
    assert box.kinds()[:6] == [*["charge.refunded"] * 2, *["refund.created"] * 2, DONE, DONE]
    assert len(box.got) == 18
    assert till.control.pending_webhooks() == 0
    till.control.disturb(spread_seconds=0.2)
    till.paid()
    till.control.quiet()
    assert len(box.got) == 19


def test_webhooks_come_late(till: Till, box: Mailbox) -> None:
    till.control.disturb(delay_seconds=3600)
    till.paid()
    with pytest.raises(NotQuiet):
        till.control.quiet(0.1)
    till.control.advance(3601)
    till.control.quiet()
    assert box.kinds() == [DONE]
    _path, body, signature = box.got[0]
    verified(body, signature, till.control.secrets("platform")[0])
    assert time.time() - json.loads(body)["created"] > 3500


def test_webhooks_are_dropped_but_listed(till: Till, box: Mailbox) -> None:
    till.control.disturb(drop=("checkout.*",))
    charge = till.paid()
    till.control.refund(charge.id)
    till.control.quiet()
    assert sorted(box.kinds()) == ["charge.refunded", "refund.created"]
    dropped = till.client.v1.events.list(params={"delivery_success": False}).data
    assert [each.type for each in dropped] == [DONE]
    till.control.clear_faults()
    till.control.resend(dropped[0].id)
    assert box.kinds()[2:] == [DONE]


def test_an_endpoint_hears_only_of_what_it_asked_for(till: Till, box: Mailbox) -> None:
    till.control.configure_endpoint("platform", events=("*",))
    till.paid()
    till.control.quiet()
    assert sorted(box.kinds()) == sorted(till.kinds())
    till.control.emit("invoice.paid", {"id": "in_1", "object": "invoice"})
    till.control.quiet()
    assert box.kinds()[-1] == "invoice.paid"


def test_an_event_can_be_had_without_a_delivery(till: Till) -> None:
    till.paid()
    event = till.control.events(DONE)[0]
    usual = till.control.signed(event["id"])
    assert verified(usual.payload, usual.signature, till.control.secrets("platform")[0]).id == event["id"]
    odd = till.control.signed(event["id"], secret="whsec_other", timestamp=1)
    assert odd.signature.startswith("t=1,v1=")
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        verified(odd.payload, odd.signature, "whsec_other")
