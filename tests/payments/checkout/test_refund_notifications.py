"""A refund that failed in the end: the customer was told that it goes back in full, and is told that it did not."""

from collections.abc import Iterator

import pytest

from autodoctor.events.model import PaymentEvent, event_of
from autodoctor.payments.stripe.lease import BACK_OFF, Sent
from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, open_mail_env
from support.money.refund_env import RefundEnv

OF_REFUNDS = "SELECT * FROM outbox_events WHERE type = 'payment.refund_failed' ORDER BY id"


@pytest.fixture
def post(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailEnv]:
    """Give the test the mails about the refunds of `refund_env`."""
    with open_mail_env(database, monkeypatch) as mail_env:
        yield mail_env


def told(post: MailEnv) -> list[PaymentEvent]:
    """Every event about a failed refund, oldest first."""
    events = [event_of(row) for row in post.owner.execute(OF_REFUNDS).fetchall()]
    return [event for event in events if isinstance(event, PaymentEvent)]


def test_whose_bank_refuses_the_refund_is_told_once(refund_env: RefundEnv, post: MailEnv) -> None:
    refund_env.cancelled()
    assert refund_env.refunds() == Sent(sent=1)
    refund_env.tell()
    (refund,) = refund_env.checkout_env.stripe.objects("refund")
    refund_env.checkout_env.stripe.fail_refund(refund["id"])
    refund_env.tell(times=2)
    (event,) = told(post)
    assert (event.reason, event.amount_cents) == ("bank_refused", 999)
    post.tell(event)
    assert post.ses.kinds == ["refund_failed"]
    text = post.ses.asked[0]["Content"]["Simple"]["Body"]["Text"]["Data"]
    assert "Your refund of $9.99" in text
    assert "retry_stripe_job" in refund_env.refund_row()["last_error"]


def test_a_refund_that_was_given_up_is_told_too(refund_env: RefundEnv, post: MailEnv) -> None:
    refund_env.cancelled()
    refund_env.checkout_env.world.owner.execute("UPDATE checkouts SET stripe_payment_intent_id = 'pi_gone'")
    for _ in BACK_OFF:
        refund_env.refunds()
        refund_env.later()
    assert [event.reason for event in told(post)] == ["given_up"]


def test_one_that_is_on_its_way_again_is_not_mailed(refund_env: RefundEnv, post: MailEnv) -> None:
    refund_env.cancelled()
    refund_env.refunds()
    refund_env.tell()
    (refund,) = refund_env.checkout_env.stripe.objects("refund")
    refund_env.checkout_env.stripe.fail_refund(refund["id"])
    refund_env.tell()
    assert refund_env.checkout_env.one("SELECT retry_stripe_job(id) FROM refunds")
    post.tell(*told(post))
    assert post.ses.kinds == []
