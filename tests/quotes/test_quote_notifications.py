"""Notifications of a quote: to the workshop that is asked, the customer who decides, the mechanic who earned."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from autodoctor.events.model import PayoutEvent, QuoteEvent
from autodoctor.ids import new_id
from autodoctor.notifications.inbox import notifications
from autodoctor.notifications.sender import NotSent
from autodoctor.web.schemas import now
from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, open_mail_env
from support.money.quote_case import QuoteCase, live_quote_case


@pytest.fixture
def mail_env(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailEnv]:
    with open_mail_env(database, monkeypatch) as mail_env:
        yield mail_env


@pytest.fixture
def case(mail_env: MailEnv) -> QuoteCase:
    """Give a live session whose mechanic and workshop can be written to."""
    case = live_quote_case(mail_env)
    mail_env.address(case.mechanic, "mia@example.com")
    mail_env.address(case.foreman, "foreman@example.com")
    return case


def deliver(mail_env: MailEnv, quote_id: UUID) -> list[str]:
    """Deliver the events of a quote in order, each twice; the types."""
    events = [each for each in mail_env.events(quote_id) if isinstance(each, QuoteEvent)]
    for event in events:
        for _ in range(2):
            mail_env.tell(event)
    return [event.type for event in events]


def test_each_step_is_told_to_whoever_it_concerns_once(mail_env: MailEnv, case: QuoteCase) -> None:
    asked = case.escalate(note="Discs")
    deliver(mail_env, asked.quote_id)
    case.give(asked, 48_000)
    deliver(mail_env, asked.quote_id)
    case.approve(asked)
    assert deliver(mail_env, asked.quote_id) == ["quote.requested", "quote.given", "quote.approved"]
    assert mail_env.ses.recipients == ["foreman@example.com", "cora@example.com", "mia@example.com"]
    assert mail_env.ses.kinds == ["quote_requested", "quote_given", "quote_approved"]
    (shown,) = notifications(mail_env.app, case.customer).notifications
    assert (shown.session_id, shown.title) == (case.session_id, "Quote received")
    assert "$480.00" in shown.text
    kept = str(mail_env.one("SELECT string_agg(data::text, ' ') FROM notifications"))
    assert not any(word in kept for word in ("Wheelhouse", "Mia", "Volvo", "Discs"))


def test_all_of_the_workshop_are_asked_but_not_the_customer(mail_env: MailEnv, case: QuoteCase) -> None:
    colleague, away = mail_env.mechanic(case.workshop_id), mail_env.mechanic(case.workshop_id)
    mail_env.mechanic(case.workshop_id, case.customer)
    mail_env.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [away.id])
    deliver(mail_env, case.escalate().quote_id)
    told_to = [row["user_id"] for row in mail_env.owner.execute("SELECT user_id FROM notifications").fetchall()]
    assert sorted(told_to) == sorted([case.foreman.user_id, colleague.user_id])


def test_one_who_cannot_be_told_keeps_nobody_else_from_it(mail_env: MailEnv, case: QuoteCase) -> None:
    mail_env.address(mail_env.mechanic(case.workshop_id), "colleague@example.com")
    asked = case.escalate()
    (event,) = mail_env.events(asked.quote_id)
    mail_env.ses.script = ["throttle"]
    with pytest.raises(NotSent):
        mail_env.tell(event)
    mail_env.tell(event)
    assert len(mail_env.ses.recipients) == 3
    assert sorted(set(mail_env.ses.recipients)) == ["colleague@example.com", "foreman@example.com"]


def test_an_amount_that_changed_or_was_decided_on_is_not_mailed_any_more(mail_env: MailEnv, case: QuoteCase) -> None:
    asked = case.escalate()
    case.give(asked, 48_000)
    case.give(asked, 45_000)
    case.decline(asked)
    deliver(mail_env, asked.quote_id)
    assert {error for _, _, error in mail_env.states()} == {"superseded"}
    assert mail_env.ses.asked == []


def test_a_payout_says_what_it_is_for(mail_env: MailEnv, case: QuoteCase) -> None:
    asked = case.escalate()
    case.give(asked, 48_000)
    case.approve(asked)
    case.complete()
    payout_id = mail_env.one("SELECT id FROM payouts")
    told_of = PayoutEvent(
        type="payout.sent", event_id=new_id(), sequence=1, occurred_at=now(), payout_id=payout_id,
        session_id=case.session_id, mechanic_id=case.mechanic.id, amount_cents=2_400, currency="usd",
    )  # fmt: skip
    mail_env.tell(told_of)
    (mail,) = (each["Content"]["Simple"] for each in mail_env.ses.asked)
    assert "$24.00 for the quote of a session that you escalated" in mail["Body"]["Text"]["Data"].replace("\n", " ")


def test_after_an_erasure_nothing_is_said_of_the_car(mail_env: MailEnv, case: QuoteCase) -> None:
    asked = case.escalate()
    case.give(asked, 48_000)
    case.approve(asked)
    mail_env.owner.execute("UPDATE intakes SET vehicle = '{}'")
    mail_env.owner.execute("UPDATE customers SET erased_at = now(), user_id = %s", [new_id()])
    deliver(mail_env, asked.quote_id)
    assert mail_env.ses.asked == []
