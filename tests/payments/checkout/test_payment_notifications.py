"""A customer is notified of an unfulfillable payment: by e-mail and in the application, once each."""

import json
from collections.abc import Iterator
from uuid import UUID

import pytest

from autodoctor.events.model import PaymentEvent, event_of
from autodoctor.intake.card import CheckoutOpened
from autodoctor.notifications.inbox import notifications
from autodoctor.notifications.notify import MOST_AN_HOUR
from autodoctor.notifications.preferences import PreferencesRequest, choose
from autodoctor.payments.checkout.checkout import PackRequest, buy_pack
from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, open_mail_env
from support.money.checkout_env import CheckoutEnv

DONE = "checkout.session.completed"
REFUSED = "checkout.session.async_payment_failed"


@pytest.fixture
def post(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailEnv]:
    """Give the test the mails about the sessions of `checkout_env`."""
    with open_mail_env(database, monkeypatch) as mail_env:
        yield mail_env


def payment_events(post: MailEnv) -> list[PaymentEvent]:
    """Every event about a payment, oldest first."""
    rows = post.owner.execute("SELECT * FROM outbox_events WHERE type LIKE 'payment.%' ORDER BY id").fetchall()
    events = [event_of(row) for row in rows]
    assert all(isinstance(event, PaymentEvent) for event in events)
    return [event for event in events if isinstance(event, PaymentEvent)]


def overtaken(checkout_env: CheckoutEnv, customer: UUID) -> CheckoutOpened:
    """An intake that is paid after its customer took a free session."""
    opened = checkout_env.ask(customer)
    checkout_env.stripe.pay(checkout_env.page(opened))
    checkout_env.world.pending(customer)
    assert checkout_env.tell(DONE).json["outcome"] == "unfulfillable"
    return opened


def refused(checkout_env: CheckoutEnv, page: str) -> None:
    """A page whose bank takes its time, and refuses."""
    checkout_env.stripe.pay(page, "pay_later")
    checkout_env.tell(DONE)
    checkout_env.stripe.bank_answers(page, paid=False)
    assert checkout_env.tell(REFUSED).json["outcome"] == "failed"


def test_who_has_another_session_by_then_is_told_of_the_refund_once_each_way(
    checkout_env: CheckoutEnv, post: MailEnv, customer: UUID
) -> None:
    opened = overtaken(checkout_env, customer)
    (event,) = payment_events(post)
    for _ in range(3):
        post.tell(event)
    assert (post.noted(), post.ses.kinds) == (["payment_unfulfillable"], ["payment_unfulfillable"])
    body = post.ses.asked[0]["Content"]["Simple"]["Body"]
    for part in (body["Text"]["Data"], body["Html"]["Data"]):
        assert "you already had an active session" in part
        assert "$9.99 is refunded in full" in part
    (shown,) = notifications(post.app, customer).notifications
    assert (shown.session_id, shown.intake_id) == (None, opened.intake_id)
    assert "$9.99 is refunded in full" in shown.text


def test_it_is_told_in_the_customer_s_language(checkout_env: CheckoutEnv, post: MailEnv, customer: UUID) -> None:
    choose(post.app, customer, PreferencesRequest(locale="es", preferences=()))
    overtaken(checkout_env, customer)
    post.tell(*payment_events(post))
    assert "Se le devuelve" in post.ses.asked[0]["Content"]["Simple"]["Body"]["Text"]["Data"]
    assert "Se le devuelve" in notifications(post.app, customer).notifications[0].text


def test_money_we_had_is_told_of_also_to_an_address_that_had_many_mails(
    checkout_env: CheckoutEnv, post: MailEnv, customer: UUID
) -> None:
    overtaken(checkout_env, customer)
    for _ in range(MOST_AN_HOUR):
        post.owner.execute(
            "INSERT INTO mail_deliveries"
            "  (event_id, user_id, claim_id, kind, state, message_id, settled_at, address_hash)"
            "VALUES (new_id(), %s, new_id(), 'request_received', 'sent', 'x', now(), address_hash('cora@example.com'))",
            [customer],
        )
    post.tell(*payment_events(post))
    assert post.ses.kinds == ["payment_unfulfillable"]


def test_what_is_not_paid_back_by_itself_is_not_said_to_be(
    checkout_env: CheckoutEnv, post: MailEnv, customer: UUID
) -> None:
    """Another currency is in no account of ours: a person looks at it."""
    checkout_env.stripe.pay(checkout_env.page(checkout_env.ask(customer)))
    document = json.loads(checkout_env.stripe.signed(checkout_env.last(DONE)).payload)
    document["data"]["object"]["currency"] = "eur"
    assert checkout_env.deliver(checkout_env.sign(json.dumps(document).encode())).json["outcome"] == "mismatch"
    post.tell(*payment_events(post))
    text = post.ses.asked[0]["Content"]["Simple"]["Body"]["Text"]["Data"]
    assert "looking into your payment of 9.99 EUR" in text
    assert "refunded" not in text


def test_whose_bank_refuses_later_is_told(checkout_env: CheckoutEnv, post: MailEnv, customer: UUID) -> None:
    refused(checkout_env, checkout_env.page(checkout_env.ask(customer)))
    (event,) = payment_events(post)
    assert (event.type, event.reason, event.amount_cents) == ("payment.failed", "refused", 999)
    post.tell(event)
    assert "Nothing was charged" in post.ses.asked[0]["Content"]["Simple"]["Body"]["Text"]["Data"]
    assert "$9.99 for a chat" in notifications(post.app, customer).notifications[0].text


def test_a_refusal_that_was_no_end_is_not_mailed_any_more(
    checkout_env: CheckoutEnv, post: MailEnv, customer: UUID
) -> None:
    opened = checkout_env.ask(customer)
    refused(checkout_env, checkout_env.page(opened))
    document = json.loads(checkout_env.stripe.signed(checkout_env.last(DONE)).payload)
    document["id"] = "evt_paid_after_all"
    document["data"]["object"]["payment_status"] = "paid"
    assert checkout_env.deliver(checkout_env.sign(json.dumps(document).encode())).json["outcome"] == "fulfilled"
    post.tell(*payment_events(post))
    assert post.states() == [("payment_failed", "suppressed", "superseded")]


def test_who_bought_credits_before_any_intake_is_told_in_the_application(
    checkout_env: CheckoutEnv, post: MailEnv, customer: UUID
) -> None:
    """Nobody knows their address yet."""
    bought = buy_pack(checkout_env.world.app, customer, PackRequest(pack="five"))
    refused(checkout_env, checkout_env.one("SELECT stripe_session_id FROM checkouts WHERE id = %s", bought.checkout_id))
    post.tell(*payment_events(post))
    assert post.states() == [("payment_failed", "suppressed", "no_address")]
    (shown,) = notifications(post.app, customer).notifications
    assert (shown.session_id, shown.intake_id) == (None, None)
    assert "for a pack of credits" in shown.text


def test_a_page_that_expired_is_seen_and_no_mail(checkout_env: CheckoutEnv, post: MailEnv, customer: UUID) -> None:
    """A customer who left it open knows that they did not pay."""
    opened = checkout_env.ask(customer)
    checkout_env.stripe.advance(3700)
    assert checkout_env.tell("checkout.session.expired").json["outcome"] == "expired"
    assert (checkout_env.status(opened.intake_id), payment_events(post)) == ("expired", [])
