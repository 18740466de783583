"""Who pays, buys credits or gets money back is told once, with number, amount and a link to the document."""

from collections.abc import Iterator

import pytest

from autodoctor.events.model import ReceiptEvent, event_of
from autodoctor.ids import new_id
from autodoctor.notifications.inbox import notifications
from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, open_mail_env
from support.money.refund_env import RefundEnv


@pytest.fixture
def post(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailEnv]:
    """Give the test the mails about the payments of `refund_env`."""
    with open_mail_env(database, monkeypatch) as mail_env:
        yield mail_env


def told(post: MailEnv) -> list[ReceiptEvent]:
    """Tell of every document, each three times."""
    rows = post.owner.execute("SELECT * FROM outbox_events WHERE type = 'receipt.issued' ORDER BY id").fetchall()
    events = [made for row in rows if isinstance(made := event_of(row), ReceiptEvent)]
    for each in events:
        for _ in range(3):
            post.tell(each)
    return events


def texts(post: MailEnv) -> list[str]:
    return [each["Content"]["Simple"]["Body"]["Text"]["Data"] for each in post.ses.asked]


def test_a_payment_and_its_refund_are_told_of_once_each(refund_env: RefundEnv, post: MailEnv) -> None:
    session_id = refund_env.cancelled()
    refund_env.refunds()
    paid, back = told(post)
    assert post.ses.kinds == ["payment_received", "refund_sent"]
    for event, text in zip((paid, back), texts(post), strict=True):
        assert event.number in text
        assert "$9.99" in text
        assert f"/receipts/{event.receipt_id}" in text
    shown = notifications(post.app, refund_env.customer(session_id)).notifications
    assert {paid.number, back.number} == {
        number for each in shown for number in (paid.number, back.number) if number in each.text
    }


def test_a_pack_is_told_of_in_the_application_where_no_address_is_known(refund_env: RefundEnv, post: MailEnv) -> None:
    customer = new_id()
    refund_env.pack(customer)
    (event,) = told(post)
    assert post.ses.kinds == []
    (shown,) = notifications(post.app, customer).notifications
    assert (shown.kind, event.number in shown.text) == ("credits_bought", True)


def test_a_lost_dispute_is_told_of_by_the_bank(refund_env: RefundEnv, post: MailEnv) -> None:
    refund_env.decide(refund_env.dispute(refund_env.earned()), won=False)
    assert [each.cause for each in told(post)] == ["session", "dispute"]
    assert post.ses.kinds == ["payment_received"]
