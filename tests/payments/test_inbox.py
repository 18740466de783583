"""The webhook inbox, through the function's own handler with real signatures: each event takes effect once at most."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from stripe import WebhookSignature

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import STRIPE, session_held
from integration.actors import Stage
from localcloud.stripe.pages.control import SignedEvent
from payments.counter import SIGNED, Counter
from payments.purse import balance

DONE = "checkout.session.completed"


def paid(counter: Counter, **fields: object) -> SignedEvent:
    """An intake that was paid, and the delivery that says so."""
    counter.stripe.pay(counter.page(counter.ask(new_id(), None, **fields)))
    return counter.stripe.signed(counter.last(DONE))


def changed(counter: Counter, **changes: object) -> SignedEvent:
    """What was paid, with other members of the Checkout Session, signed for real."""
    document = json.loads(paid(counter).payload)
    document["data"]["object"].update(changes)
    return counter.sign(json.dumps(document).encode())


def event_row(counter: Counter) -> dict[str, Any]:
    """The one row of the inbox."""
    (row,) = counter.stage.owner.execute("SELECT * FROM stripe_events").fetchall()
    return row


# --- what the signature vouches for ---------------------------------------------------------------


def test_a_signed_body_is_taken_also_where_it_comes_encoded(counter: Counter) -> None:
    answer = counter.deliver(paid(counter), encoded=True)
    assert (answer.status, answer.json) == (200, {"received": True, "outcome": "fulfilled"})


def test_the_bytes_are_signed_and_not_what_they_mean(counter: Counter) -> None:
    signed = paid(counter)
    written_again = SignedEvent(json.dumps(json.loads(signed.payload)).encode(), signed.signature)
    assert written_again.payload != signed.payload
    answer = counter.deliver(written_again)
    assert (answer.status, answer.slug) == (400, "bad-signature")
    assert counter.one("SELECT count(*) FROM stripe_events") == 0


@pytest.mark.parametrize("header", ["", "t=1", "v1=abc", "t=x,v1=abc", "t=1,t=2,v1=abc", "t=\u00b2,v1=abc", ",,,="])
def test_what_is_no_signature_is_refused(counter: Counter, header: str) -> None:
    assert counter.deliver(SignedEvent(paid(counter).payload, header)).slug == "bad-signature"


def test_another_endpoints_secret_does_not_open_this_one(counter: Counter) -> None:
    assert counter.deliver(paid(counter), endpoint="connect").slug == "bad-signature"


def test_an_empty_secret_signs_nothing(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = paid(counter).payload
    for secrets in ([], [""]):
        monkeypatch.setenv("STRIPE_SECRETS", json.dumps({"apiKey": "sk_test_1", "webhookSecrets": secrets}))
        forged = WebhookSignature.generate_signature_header(payload.decode(), "")
        assert counter.deliver(SignedEvent(payload, forged)).slug == "bad-signature"


def test_either_secret_will_do_during_a_rotation(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = paid(counter)
    event_id = counter.last(DONE)
    (old,) = counter.stripe.secrets("platform")
    new = counter.stripe.rotate_secret("platform")
    both = counter.stripe.signed(event_id)
    assert both.signature.count("v1=") == 2
    assert counter.deliver(both).status == 200  # the function still knows the old one only
    for name, value in counter.stripe.environment().items():
        monkeypatch.setenv(name, value)
    assert [counter.deliver(counter.stripe.signed(event_id, secret)).status for secret in (old, new)] == [200, 200]
    counter.stripe.retire_secrets("platform")
    for name, value in counter.stripe.environment().items():
        monkeypatch.setenv(name, value)
    assert counter.deliver(counter.stripe.signed(event_id, old)).status == 400
    assert counter.deliver(signed).status == 400


@pytest.mark.parametrize(("seconds", "status"), [(-290, 200), (290, 200), (-310, 400), (310, 400), (10**9, 400)])
def test_a_delivery_is_of_now_neither_replayed_nor_of_the_future(counter: Counter, seconds: int, status: int) -> None:
    assert counter.deliver(counter.sign(paid(counter).payload, seconds=seconds)).status == status


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"null", b"{}", b'{"object": "v2.core.event", "id": "evt_1"}', b"[" * 100_000],
)
def test_a_signed_body_that_is_no_event_is_refused(counter: Counter, body: bytes) -> None:
    answer = counter.deliver(counter.sign(body))
    assert (answer.status, answer.slug) == (400, "malformed-json")


# --- once -----------------------------------------------------------------------------------------


def test_an_event_that_comes_again_does_nothing(counter: Counter) -> None:
    signed = paid(counter)
    assert [counter.deliver(signed).json["outcome"] for _ in range(3)] == ["fulfilled", "duplicate", "duplicate"]
    row = event_row(counter)
    assert (row["type"], row["outcome"], row["account"], row["livemode"]) == (DONE, "fulfilled", None, False)
    assert row["handled_at"] is not None
    assert counter.one("SELECT count(*) FROM sessions") == 1
    assert counter.one("SELECT count(*) FROM ledger_transfer") == 1


def test_another_event_of_the_same_payment_does_nothing(counter: Counter) -> None:
    """The event's id alone does not cover `completed` and `async_payment_succeeded`."""
    signed = paid(counter)
    document = json.loads(signed.payload) | {"id": "evt_other", "type": "checkout.session.async_payment_succeeded"}
    assert counter.deliver(signed).json["outcome"] == "fulfilled"
    assert counter.deliver(counter.sign(json.dumps(document).encode())).json["outcome"] == "unchanged"
    assert counter.one("SELECT count(*) FROM ledger_transfer") == 1


def test_two_deliveries_at_once_fulfil_once(counter: Counter) -> None:
    signed = paid(counter)
    again = counter.sign(json.dumps(json.loads(signed.payload) | {"id": "evt_other"}).encode())
    stages = [Stage(counter.stage.urls) for _ in range(3)]
    from autodoctor.payments.stripe.inbox import receive  # noqa: PLC0415 (three connections, so not through the one handler)

    def deliver(stage: Stage, delivery: SignedEvent) -> str:
        return receive(stage.app, "platform", delivery.payload, delivery.signature).outcome

    with ThreadPoolExecutor(3) as pool:
        outcomes = sorted(pool.map(deliver, stages, (signed, signed, again)))
    for stage in stages:
        stage.close()
    assert outcomes.count("fulfilled") == 1
    assert set(outcomes) <= {"fulfilled", "duplicate", "unchanged"}
    assert counter.one("SELECT count(*) FROM sessions") == 1


def test_what_fails_is_rolled_back_and_works_when_it_comes_again(counter: Counter) -> None:
    signed = paid(counter)
    counter.stage.owner.execute("ALTER TABLE ledger_transfer ADD CONSTRAINT closed CHECK (false) NOT VALID")
    assert counter.deliver(signed).status == 500
    assert counter.one("SELECT count(*) FROM stripe_events") == 0
    counter.stage.owner.execute("ALTER TABLE ledger_transfer DROP CONSTRAINT closed")
    assert counter.deliver(signed).json["outcome"] == "fulfilled"


# --- what it does -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "status"), [({}, "pending_waiver"), (SIGNED, "queued")])
def test_a_payment_becomes_a_session_and_is_held(counter: Counter, fields: dict[str, object], status: str) -> None:
    assert counter.deliver(paid(counter, **fields)).json["outcome"] == "fulfilled"
    assert counter.one("SELECT status FROM session_assignments") == status
    intake = counter.one("SELECT id FROM sessions")
    assert (counter.status(intake), balance(counter.stage, session_held(intake))) == ("paid", 999)
    assert counter.one("SELECT stripe_payment_intent_id FROM checkouts").startswith("pi_")


def test_a_waiver_was_signed_with_the_intake_and_not_when_the_money_came(counter: Counter) -> None:
    signed = paid(counter, **SIGNED)
    counter.stage.owner.execute("UPDATE checkouts SET created_at = created_at - interval '3 days'")
    assert counter.deliver(signed).json["outcome"] == "fulfilled"
    assert counter.one("SELECT signed_at = c.created_at FROM waivers, checkouts c")


def test_money_that_comes_later_is_waited_for(counter: Counter) -> None:
    opened = counter.ask(new_id())
    counter.stripe.pay(counter.page(opened), "pay_later")
    assert counter.tell(DONE).json["outcome"] == "processing"
    assert counter.one("SELECT count(*) FROM sessions") == 0
    counter.stripe.bank_answers(counter.page(opened))
    assert counter.tell("checkout.session.async_payment_succeeded").json["outcome"] == "fulfilled"
    assert counter.tell(DONE).json["outcome"] == "duplicate"
    assert counter.status(opened.intake_id) == "paid"


def test_money_that_never_comes_closes_the_intake_also_out_of_order(counter: Counter) -> None:
    opened = counter.ask(new_id())
    counter.stripe.pay(counter.page(opened), "pay_later")
    counter.stripe.bank_answers(counter.page(opened), paid=False)
    assert counter.tell("checkout.session.async_payment_failed").json["outcome"] == "failed"
    assert counter.tell(DONE).json["outcome"] == "unchanged"
    assert counter.status(opened.intake_id) == "failed"


def test_a_page_whose_time_is_over_closes_the_intake(counter: Counter) -> None:
    opened = counter.ask(new_id())
    counter.stripe.advance(3700)
    assert counter.tell("checkout.session.expired").json["outcome"] == "expired"
    assert counter.status(opened.intake_id) == "expired"


def test_the_expiry_of_what_was_paid_is_late_news(counter: Counter) -> None:
    signed = paid(counter)
    counter.deliver(signed)
    document = json.loads(signed.payload) | {"id": "evt_late", "type": "checkout.session.expired"}
    document["data"]["object"].update(status="expired", payment_status="unpaid")
    assert counter.deliver(counter.sign(json.dumps(document).encode())).json["outcome"] == "unchanged"
    assert counter.one("SELECT status FROM checkouts") == "paid"


def test_who_has_another_session_by_then_is_paid_back_and_told(counter: Counter) -> None:
    customer = new_id()
    opened = counter.ask(customer)
    counter.stripe.pay(counter.page(opened))
    counter.stage.pending(customer)
    assert counter.tell(DONE).json["outcome"] == "unfulfillable"
    assert counter.tell(DONE).json["outcome"] == "duplicate"
    (refund,) = counter.stage.owner.execute("SELECT * FROM refunds").fetchall()
    assert (refund["intake_id"], refund["kind"], refund["amount_cents"], refund["state"]) == (
        *(opened.intake_id, "unfulfillable", 999, "due"),
    )
    assert balance(counter.stage, session_held(opened.intake_id)) == 999
    told = counter.one("SELECT payload FROM outbox WHERE type = 'payment.unfulfillable'")
    assert (told["intakeId"], told["amountCents"], told["reason"]) == (str(opened.intake_id), 999, "active_session")
    assert counter.status(opened.intake_id) == "unfulfillable"


@pytest.mark.parametrize(("changes", "owed"), [({"amount_total": 998}, 998), ({"currency": "eur"}, None)])
def test_what_is_not_what_was_asked_for_is_never_fulfilled(
    counter: Counter, changes: dict[str, object], owed: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = counter.deliver(changed(counter, **changes))
    assert (answer.status, answer.json["outcome"]) == (200, "mismatch")
    assert counter.one("SELECT count(*) FROM sessions") == 0
    assert counter.one("SELECT amount_cents FROM refunds") == owed
    assert balance(counter.stage, STRIPE) == -(owed or 0)
    assert counter.one("SELECT payload ->> 'reason' FROM outbox WHERE type = 'payment.unfulfillable'") == "mismatch"
    assert "PaymentMismatch" in capsys.readouterr().out


def test_another_mode_is_recorded_and_never_acted_on(counter: Counter) -> None:
    document = json.loads(paid(counter).payload) | {"livemode": True}
    assert counter.deliver(counter.sign(json.dumps(document).encode())).json["outcome"] == "other_mode"
    assert counter.deliver(changed(counter, livemode=True)).json["outcome"] == "mismatch"
    assert counter.one("SELECT count(*) FROM sessions") == 0


def test_an_account_that_is_not_ours_pays_nothing_here(counter: Counter) -> None:
    document = json.loads(paid(counter).payload) | {"account": "acct_other"}
    assert counter.deliver(counter.sign(json.dumps(document).encode())).json["outcome"] == "other_endpoint"
    ours = counter.sign(paid(counter).payload, "connect")
    assert counter.deliver(ours, "connect").json["outcome"] == "other_endpoint"
    assert counter.one("SELECT count(*) FROM sessions") == 0


def test_a_page_that_is_not_ours_is_left_alone(counter: Counter) -> None:
    for metadata in ({}, None, {"checkoutId": "7"}, {"checkoutId": str(new_id())}):
        document = json.loads(paid(counter).payload)
        document["data"]["object"]["metadata"] = metadata
        assert counter.deliver(counter.sign(json.dumps(document).encode())).json["outcome"] == "not_ours"


def test_an_unknown_type_is_recorded_and_ignored(counter: Counter) -> None:
    event_id = counter.stripe.emit("tax.settings.updated", {"id": "tax_1", "object": "tax.settings"})
    assert counter.deliver(counter.stripe.signed(event_id)).json == {"received": True, "outcome": "ignored"}
    assert (event_row(counter)["object_id"], event_row(counter)["outcome"]) == ("tax_1", "ignored")


def test_no_personal_data_is_kept_of_an_event(counter: Counter) -> None:
    counter.stripe.pay(counter.page(counter.ask(new_id())), "pay", "cora@example.com", "Cora Castillo")
    counter.tell(DONE)
    assert "cora" not in counter.one("SELECT json_agg(e)::text FROM stripe_events e").lower()


# --- where no webhook comes -----------------------------------------------------------------------


def test_the_sweep_fulfils_what_no_event_told_of(counter: Counter) -> None:
    signed = paid(counter, **SIGNED)
    assert counter.sweep().fulfilled == 1
    assert counter.one("SELECT status FROM session_assignments") == "queued"
    assert counter.deliver(signed).json["outcome"] == "unchanged"
    assert counter.sweep().asked == 0


def test_the_sweep_closes_what_is_over(counter: Counter) -> None:
    expired, refused, later = (counter.ask(new_id()) for _ in range(3))
    for opened in (refused, later):
        counter.stripe.pay(counter.page(opened), "pay_later")
    counter.stripe.bank_answers(counter.page(refused), paid=False)
    counter.stripe.advance(3700)
    assert counter.sweep().asked == 3
    assert [counter.status(each.intake_id) for each in (expired, refused, later)] == ["expired", "failed", "processing"]


def test_the_sweep_goes_on_where_one_cannot_be_looked_up(counter: Counter) -> None:
    for _ in range(3):
        paid(counter)
    counter.stripe.fail(path="/v1/checkout/sessions/*", mode="error", times=3)  # two of them are the library's retries
    with pytest.raises(ExceptionGroup):
        counter.sweep()
    assert counter.one("SELECT count(*) FROM sessions") == 2


def test_what_was_paid_stays_paid(counter: Counter) -> None:
    counter.deliver(paid(counter))
    with pytest.raises(psycopg.errors.CheckViolation):
        counter.stage.owner.execute("UPDATE checkouts SET status = 'expired'")
