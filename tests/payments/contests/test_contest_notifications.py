"""A contest is told to its mechanic, and its decision to both, by mail and in the application, once."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from autodoctor.contests.contests import ContestRequest, contest
from autodoctor.contests.decide import DecideContestRequest, decide_contest
from autodoctor.events.model import ContestEvent
from autodoctor.ids import new_id
from autodoctor.notifications.inbox import notifications
from autodoctor.payments.settlement import settle
from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, open_mail_env
from support.money.purchases import buy, complete, give


@pytest.fixture
def mail_env(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailEnv]:
    with open_mail_env(database, monkeypatch) as mail_env:
        yield mail_env


def test_both_are_told(mail_env: MailEnv) -> None:
    customer, mechanic = new_id(), mail_env.mechanic()
    mail_env.address(mechanic, "mia@example.com")
    give(mail_env, customer, 3)
    created = buy(mail_env, customer, "standard")
    complete(mail_env, created, customer, mechanic)
    settle(mail_env.app, created.session_id)
    contest(mail_env.app, customer, created.session_id, ContestRequest(reason="other", text="It squeals."))
    deliver(mail_env, created.session_id)
    decision = {"outcome": "part", "refundCredits": 1, "note": "The talk was cut short."}
    decide_contest(mail_env.app, new_id(), created.session_id, DecideContestRequest.model_validate(decision))
    deliver(mail_env, created.session_id)
    assert sorted(zip(mail_env.ses.kinds, mail_env.ses.recipients, strict=True)) == [
        ("contest_decided", "mia@example.com"),
        ("contest_opened", "mia@example.com"),
    ]
    (shown, *_) = notifications(mail_env.app, customer).notifications
    assert shown.text == "We looked at your video consultation. You get 1 credit back of what you paid."
    kept = str(mail_env.one("SELECT string_agg(data::text, ' ') FROM notifications"))
    assert not any(word in kept for word in ("squeals", "cut short"))


def deliver(mail_env: MailEnv, session_id: UUID) -> None:
    """Deliver every event of the contest, twice."""
    for event in mail_env.events(session_id):
        if isinstance(event, ContestEvent):
            for _ in range(2):
                mail_env.tell(event)
