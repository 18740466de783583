"""The webhook inbox, through the function's own handler with real signatures: each event takes effect once at most."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from stripe import WebhookSignature

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import STRIPE, session_held
from localcloud.stripe.pages.control import SignedEvent
from support.money.checkout_env import SIGNED, CheckoutEnv
from support.money.purchases import balance
from support.world import World

DONE = "checkout.session.completed"


def paid(checkout_env: CheckoutEnv, **fields: object) -> SignedEvent:
    """An intake that was paid, and the delivery that says so."""
    checkout_env.stripe.pay(checkout_env.page(checkout_env.ask(new_id(), None, **fields)))
    return checkout_env.stripe.signed(checkout_env.last(DONE))


def changed(checkout_env: CheckoutEnv, **changes: object) -> SignedEvent:
    """The webhook of a payment, with other members of the Checkout Session, really signed."""
    document = json.loads(paid(checkout_env).payload)
    document["data"]["object"].update(changes)
    return checkout_env.sign(json.dumps(document).encode())


def event_row(checkout_env: CheckoutEnv) -> dict[str, Any]:
    """The one row of the inbox."""
    (row,) = checkout_env.world.owner.execute("SELECT * FROM stripe_events").fetchall()
    return row


# --- what the signature vouches for ---------------------------------------------------------------


def test_a_signed_body_is_taken_also_where_it_comes_encoded(checkout_env: CheckoutEnv) -> None:
    answer = checkout_env.deliver(paid(checkout_env), encoded=True)
    assert (answer.status, answer.json) == (200, {"received": True, "outcome": "fulfilled"})


def test_the_bytes_are_signed_and_not_what_they_mean(checkout_env: CheckoutEnv) -> None:
    signed = paid(checkout_env)
    written_again = SignedEvent(json.dumps(json.loads(signed.payload)).encode(), signed.signature)
    assert written_again.payload != signed.payload
    answer = checkout_env.deliver(written_again)
    assert (answer.status, answer.slug) == (400, "bad-signature")
    assert checkout_env.one("SELECT count(*) FROM stripe_events") == 0


@pytest.mark.parametrize("header", ["", "t=1", "v1=abc", "t=x,v1=abc", "t=1,t=2,v1=abc", "t=\u00b2,v1=abc", ",,,="])
def test_what_is_no_signature_is_refused(checkout_env: CheckoutEnv, header: str) -> None:
    assert checkout_env.deliver(SignedEvent(paid(checkout_env).payload, header)).slug == "bad-signature"


def test_another_endpoints_secret_does_not_open_this_one(checkout_env: CheckoutEnv) -> None:
    assert checkout_env.deliver(paid(checkout_env), endpoint="connect").slug == "bad-signature"


@pytest.mark.parametrize("secrets", [[], [""], ["none"], ["sk_test_1"]])
def test_what_stripe_did_not_issue_signs_nothing(
    checkout_env: CheckoutEnv, monkeypatch: pytest.MonkeyPatch, secrets: list[str]
) -> None:
    """A placeholder that stands until the endpoint is made would be a key that everybody knows."""
    payload = paid(checkout_env).payload
    monkeypatch.setenv("STRIPE_SECRETS", json.dumps({"apiKey": "sk_test_1", "webhookSecrets": secrets}))
    for guess in {"", *secrets}:
        forged = WebhookSignature.generate_signature_header(payload.decode(), guess)
        assert checkout_env.deliver(SignedEvent(payload, forged)).slug == "bad-signature"


def test_either_secret_will_do_during_a_rotation(checkout_env: CheckoutEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = paid(checkout_env)
    event_id = checkout_env.last(DONE)
    (old,) = checkout_env.stripe.secrets("platform")
    new = checkout_env.stripe.rotate_secret("platform")
    both = checkout_env.stripe.signed(event_id)
    assert both.signature.count("v1=") == 2
    assert checkout_env.deliver(both).status == 200  # the function still knows the old one only
    for name, value in checkout_env.stripe.environment().items():
        monkeypatch.setenv(name, value)
    assert [checkout_env.deliver(checkout_env.stripe.signed(event_id, secret)).status for secret in (old, new)] == [
        200,
        200,
    ]
    checkout_env.stripe.retire_secrets("platform")
    for name, value in checkout_env.stripe.environment().items():
        monkeypatch.setenv(name, value)
    assert checkout_env.deliver(checkout_env.stripe.signed(event_id, old)).status == 400
    assert checkout_env.deliver(signed).status == 400


@pytest.mark.parametrize(("seconds", "status"), [(-290, 200), (290, 200), (-310, 400), (310, 400), (10**9, 400)])
def test_a_delivery_is_of_now_neither_replayed_nor_of_the_future(
    checkout_env: CheckoutEnv, seconds: int, status: int
) -> None:
    assert checkout_env.deliver(checkout_env.sign(paid(checkout_env).payload, seconds=seconds)).status == status


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"null", b"{}", b'{"object": "v2.core.event", "id": "evt_1"}', b"[" * 100_000],
)
def test_a_signed_body_that_is_no_event_is_refused(checkout_env: CheckoutEnv, body: bytes) -> None:
    answer = checkout_env.deliver(checkout_env.sign(body))
    assert (answer.status, answer.slug) == (400, "malformed-json")


# --- once -----------------------------------------------------------------------------------------


def test_an_event_that_comes_again_does_nothing(checkout_env: CheckoutEnv) -> None:
    signed = paid(checkout_env)
    assert [checkout_env.deliver(signed).json["outcome"] for _ in range(3)] == ["fulfilled", "duplicate", "duplicate"]
    row = event_row(checkout_env)
    assert (row["type"], row["outcome"], row["account"], row["livemode"]) == (DONE, "fulfilled", None, False)
    assert row["handled_at"] is not None
    assert checkout_env.one("SELECT count(*) FROM sessions") == 1
    assert checkout_env.one("SELECT count(*) FROM ledger_transfer") == 1


def test_another_event_of_the_same_payment_does_nothing(checkout_env: CheckoutEnv) -> None:
    """The event's id alone does not cover `completed` and `async_payment_succeeded`."""
    signed = paid(checkout_env)
    document = json.loads(signed.payload) | {"id": "evt_other", "type": "checkout.session.async_payment_succeeded"}
    assert checkout_env.deliver(signed).json["outcome"] == "fulfilled"
    assert checkout_env.deliver(checkout_env.sign(json.dumps(document).encode())).json["outcome"] == "unchanged"
    assert checkout_env.one("SELECT count(*) FROM ledger_transfer") == 1


def test_two_deliveries_at_once_fulfil_once(checkout_env: CheckoutEnv) -> None:
    signed = paid(checkout_env)
    again = checkout_env.sign(json.dumps(json.loads(signed.payload) | {"id": "evt_other"}).encode())
    worlds = [World(checkout_env.world.urls) for _ in range(3)]
    from autodoctor.payments.webhooks import receive  # noqa: PLC0415 (three connections, so not through the one handler)

    def deliver(world: World, delivery: SignedEvent) -> str:
        return receive(world.app, "platform", delivery.payload, delivery.signature).outcome

    with ThreadPoolExecutor(3) as pool:
        outcomes = sorted(pool.map(deliver, worlds, (signed, signed, again)))
    for world in worlds:
        world.close()
    assert outcomes.count("fulfilled") == 1
    assert set(outcomes) <= {"fulfilled", "duplicate", "unchanged"}
    assert checkout_env.one("SELECT count(*) FROM sessions") == 1


def test_what_fails_is_rolled_back_and_works_when_it_comes_again(checkout_env: CheckoutEnv) -> None:
    signed = paid(checkout_env)
    checkout_env.world.owner.execute("ALTER TABLE ledger_transfer ADD CONSTRAINT closed CHECK (false) NOT VALID")
    assert checkout_env.deliver(signed).status == 500
    assert checkout_env.one("SELECT count(*) FROM stripe_events") == 0
    checkout_env.world.owner.execute("ALTER TABLE ledger_transfer DROP CONSTRAINT closed")
    assert checkout_env.deliver(signed).json["outcome"] == "fulfilled"


# --- what it does -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "status"), [({}, "pending_waiver"), (SIGNED, "queued")])
def test_a_payment_becomes_a_session_and_is_held(
    checkout_env: CheckoutEnv, fields: dict[str, object], status: str
) -> None:
    assert checkout_env.deliver(paid(checkout_env, **fields)).json["outcome"] == "fulfilled"
    assert checkout_env.one("SELECT status FROM session_assignments") == status
    intake = checkout_env.one("SELECT id FROM sessions")
    assert (checkout_env.status(intake), balance(checkout_env.world, session_held(intake))) == ("paid", 999)
    assert checkout_env.one("SELECT stripe_payment_intent_id FROM checkouts").startswith("pi_")


def test_a_waiver_was_signed_with_the_intake_and_not_when_the_money_came(checkout_env: CheckoutEnv) -> None:
    signed = paid(checkout_env, **SIGNED)
    checkout_env.world.owner.execute("UPDATE checkouts SET created_at = created_at - interval '3 days'")
    assert checkout_env.deliver(signed).json["outcome"] == "fulfilled"
    assert checkout_env.one("SELECT signed_at = c.created_at FROM waivers, checkouts c")


def test_money_that_comes_later_is_waited_for(checkout_env: CheckoutEnv) -> None:
    opened = checkout_env.ask(new_id())
    checkout_env.stripe.pay(checkout_env.page(opened), "pay_later")
    assert checkout_env.tell(DONE).json["outcome"] == "processing"
    assert checkout_env.one("SELECT count(*) FROM sessions") == 0
    checkout_env.stripe.bank_answers(checkout_env.page(opened))
    assert checkout_env.tell("checkout.session.async_payment_succeeded").json["outcome"] == "fulfilled"
    assert checkout_env.tell(DONE).json["outcome"] == "duplicate"
    assert checkout_env.status(opened.intake_id) == "paid"


def test_money_that_never_comes_closes_the_intake_also_out_of_order(checkout_env: CheckoutEnv) -> None:
    opened = checkout_env.ask(new_id())
    checkout_env.stripe.pay(checkout_env.page(opened), "pay_later")
    checkout_env.stripe.bank_answers(checkout_env.page(opened), paid=False)
    assert checkout_env.tell("checkout.session.async_payment_failed").json["outcome"] == "failed"
    assert checkout_env.tell(DONE).json["outcome"] == "unchanged"
    assert checkout_env.status(opened.intake_id) == "failed"


def test_a_page_whose_time_is_over_closes_the_intake(checkout_env: CheckoutEnv) -> None:
    opened = checkout_env.ask(new_id())
    checkout_env.stripe.advance(3700)
    assert checkout_env.tell("checkout.session.expired").json["outcome"] == "expired"
    assert checkout_env.status(opened.intake_id) == "expired"


def test_the_expiry_of_what_was_paid_is_late_news(checkout_env: CheckoutEnv) -> None:
    signed = paid(checkout_env)
    checkout_env.deliver(signed)
    document = json.loads(signed.payload) | {"id": "evt_late", "type": "checkout.session.expired"}
    document["data"]["object"].update(status="expired", payment_status="unpaid")
    assert checkout_env.deliver(checkout_env.sign(json.dumps(document).encode())).json["outcome"] == "unchanged"
    assert checkout_env.one("SELECT status FROM checkouts") == "paid"


def test_who_has_another_session_by_then_is_paid_back_and_told(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    opened = checkout_env.ask(customer)
    checkout_env.stripe.pay(checkout_env.page(opened))
    checkout_env.world.pending(customer)
    assert checkout_env.tell(DONE).json["outcome"] == "unfulfillable"
    assert checkout_env.tell(DONE).json["outcome"] == "duplicate"
    (refund,) = checkout_env.world.owner.execute("SELECT * FROM refunds").fetchall()
    assert (refund["intake_id"], refund["kind"], refund["amount_cents"], refund["state"]) == (
        *(opened.intake_id, "unfulfillable", 999, "due"),
    )
    assert balance(checkout_env.world, session_held(opened.intake_id)) == 999
    told = checkout_env.one("SELECT payload FROM outbox WHERE type = 'payment.unfulfillable'")
    assert (told["intakeId"], told["amountCents"], told["reason"]) == (str(opened.intake_id), 999, "active_session")
    assert checkout_env.status(opened.intake_id) == "unfulfillable"


@pytest.mark.parametrize(("changes", "owed"), [({"amount_total": 998}, 998), ({"currency": "eur"}, None)])
def test_what_is_not_what_was_asked_for_is_never_fulfilled(
    checkout_env: CheckoutEnv, changes: dict[str, object], owed: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = checkout_env.deliver(changed(checkout_env, **changes))
    assert (answer.status, answer.json["outcome"]) == (200, "mismatch")
    assert checkout_env.one("SELECT count(*) FROM sessions") == 0
    assert checkout_env.one("SELECT amount_cents FROM refunds") == owed
    assert balance(checkout_env.world, STRIPE) == -(owed or 0)
    assert (
        checkout_env.one("SELECT payload ->> 'reason' FROM outbox WHERE type = 'payment.unfulfillable'") == "mismatch"
    )
    assert "PaymentMismatch" in capsys.readouterr().out


def test_another_mode_is_recorded_and_never_acted_on(checkout_env: CheckoutEnv) -> None:
    document = json.loads(paid(checkout_env).payload) | {"livemode": True}
    assert checkout_env.deliver(checkout_env.sign(json.dumps(document).encode())).json["outcome"] == "other_mode"
    assert checkout_env.deliver(changed(checkout_env, livemode=True)).json["outcome"] == "mismatch"
    assert checkout_env.one("SELECT count(*) FROM sessions") == 0


def test_an_account_that_is_not_ours_pays_nothing_here(checkout_env: CheckoutEnv) -> None:
    document = json.loads(paid(checkout_env).payload) | {"account": "acct_other"}
    assert checkout_env.deliver(checkout_env.sign(json.dumps(document).encode())).json["outcome"] == "other_endpoint"
    ours = checkout_env.sign(paid(checkout_env).payload, "connect")
    assert checkout_env.deliver(ours, "connect").json["outcome"] == "other_endpoint"
    assert checkout_env.one("SELECT count(*) FROM sessions") == 0


def test_a_page_that_is_not_ours_is_left_alone(checkout_env: CheckoutEnv) -> None:
    for metadata in ({}, None, {"checkoutId": "7"}, {"checkoutId": str(new_id())}):
        document = json.loads(paid(checkout_env).payload)
        document["data"]["object"]["metadata"] = metadata
        assert checkout_env.deliver(checkout_env.sign(json.dumps(document).encode())).json["outcome"] == "not_ours"


def test_an_unknown_type_is_recorded_and_ignored(checkout_env: CheckoutEnv) -> None:
    event_id = checkout_env.stripe.emit("tax.settings.updated", {"id": "tax_1", "object": "tax.settings"})
    assert checkout_env.deliver(checkout_env.stripe.signed(event_id)).json == {"received": True, "outcome": "ignored"}
    assert (event_row(checkout_env)["object_id"], event_row(checkout_env)["outcome"]) == ("tax_1", "ignored")


def test_no_personal_data_is_kept_of_an_event(checkout_env: CheckoutEnv) -> None:
    checkout_env.stripe.pay(checkout_env.page(checkout_env.ask(new_id())), "pay", "cora@example.com", "Cora Castillo")
    checkout_env.tell(DONE)
    assert "cora" not in checkout_env.one("SELECT json_agg(e)::text FROM stripe_events e").lower()


# --- where no webhook comes -----------------------------------------------------------------------


def test_the_sweep_fulfils_what_no_event_told_of(checkout_env: CheckoutEnv) -> None:
    signed = paid(checkout_env, **SIGNED)
    assert checkout_env.sweep().fulfilled == 1
    assert checkout_env.one("SELECT status FROM session_assignments") == "queued"
    assert checkout_env.deliver(signed).json["outcome"] == "unchanged"
    assert checkout_env.sweep().asked == 0


def test_the_sweep_closes_what_is_over(checkout_env: CheckoutEnv) -> None:
    expired, refused, later = (checkout_env.ask(new_id()) for _ in range(3))
    for opened in (refused, later):
        checkout_env.stripe.pay(checkout_env.page(opened), "pay_later")
    checkout_env.stripe.bank_answers(checkout_env.page(refused), paid=False)
    checkout_env.stripe.advance(3700)
    assert checkout_env.sweep().asked == 3
    assert [checkout_env.status(each.intake_id) for each in (expired, refused, later)] == [
        "expired",
        "failed",
        "processing",
    ]


def test_the_sweep_goes_on_where_one_cannot_be_looked_up(checkout_env: CheckoutEnv) -> None:
    for _ in range(3):
        paid(checkout_env)
    checkout_env.stripe.fail(
        path="/v1/checkout/sessions/*", mode="error", times=3
    )  # two of them are the library's retries
    with pytest.raises(ExceptionGroup):
        checkout_env.sweep()
    assert checkout_env.one("SELECT count(*) FROM sessions") == 2


def test_what_was_paid_stays_paid(checkout_env: CheckoutEnv) -> None:
    checkout_env.deliver(paid(checkout_env))
    with pytest.raises(psycopg.errors.CheckViolation):
        checkout_env.world.owner.execute("UPDATE checkouts SET status = 'expired'")
