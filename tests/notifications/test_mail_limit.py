"""Nobody can flood an address by typing it into our forms."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from autodoctor.notifications.notify import MOST_A_DAY, MOST_AN_HOUR
from autodoctor.notifications.sender import NotSent
from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, open_mail_env, payout

VICTIM = "victim@example.org"


@pytest.fixture
def mail_env(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailEnv]:
    with open_mail_env(database, monkeypatch) as mail_env:
        yield mail_env


def ask(mail_env: MailEnv, user_id: UUID, address: str = VICTIM) -> str | None:
    """Ask for a session and take it back, and return why there was no mail about the end; None: there was one."""
    created = mail_env.queued(user_id, email=address)
    mail_env.end(user_id, created.session_id)
    mail_env.tell(mail_env.event(created.session_id, "session.ended"))
    reason: str | None = mail_env.deliveries()[-1]["error"]
    return reason


def had(mail_env: MailEnv, count: int, ago: LiteralString, user_id: UUID, address: str = VICTIM) -> None:
    """Have that many mails sent that long ago."""
    mail_env.owner.execute(
        "INSERT INTO mail_deliveries (event_id, user_id, claim_id, claimed_at, kind, state, message_id, address_hash,"
        " settled_at) SELECT new_id(), %s, new_id(), now() - %s::interval, 'session_cancelled', 'sent', 'm',"
        " address_hash(%s), now() FROM generate_series(1, %s)",
        [user_id, ago, address, count],
    )


def test_a_loop_of_requests_is_a_few_mails(mail_env: MailEnv, capsys: pytest.CaptureFixture[str]) -> None:
    customer, loops = new_id(), MOST_AN_HOUR + 3
    reasons = [ask(mail_env, customer) for _ in range(loops)]
    assert reasons == [None] * MOST_AN_HOUR + ["too_many"] * 3
    assert mail_env.ses.recipients == [VICTIM] * MOST_AN_HOUR
    assert mail_env.noted() == ["session_cancelled"] * loops
    assert capsys.readouterr().out.count('"MailSuppressed":[1.0]') == 3
    assert [row["address_hash"] for row in mail_env.deliveries()[-3:]] == [None] * 3


def test_other_users_do_not_help_nor_does_the_case(mail_env: MailEnv) -> None:
    had(mail_env, MOST_AN_HOUR, "1 minute", new_id())
    assert ask(mail_env, new_id(), VICTIM.upper()) == "too_many"
    assert ask(mail_env, new_id(), "cora@example.com") is None


def test_nor_do_other_addresses(mail_env: MailEnv) -> None:
    customer = new_id()
    for number in range(MOST_AN_HOUR):
        had(mail_env, 1, "1 minute", customer, f"victim{number}@example.org")
    assert ask(mail_env, customer) == "too_many"
    assert ask(mail_env, new_id()) is None


@pytest.mark.parametrize(
    ("count", "ago", "reason"),
    [
        (MOST_AN_HOUR - 1, "59 minutes", None),
        (MOST_AN_HOUR, "59 minutes", "too_many"),
        (MOST_AN_HOUR, "61 minutes", None),
        (MOST_A_DAY - 1, "23 hours", None),
        (MOST_A_DAY, "23 hours", "too_many"),
        (MOST_A_DAY, "25 hours", None),
    ],
)
def test_an_hour_and_a_day_end(mail_env: MailEnv, count: int, ago: LiteralString, reason: str | None) -> None:
    had(mail_env, count, ago, new_id())
    assert ask(mail_env, new_id()) == reason


def test_what_was_not_sent_does_not_count(mail_env: MailEnv) -> None:
    customer = new_id()
    had(mail_env, MOST_AN_HOUR - 1, "1 minute", customer)
    mail_env.ses.script[:] = ["throttle"]
    with pytest.raises(NotSent):
        ask(mail_env, customer)
    assert ask(mail_env, customer) is None


def test_a_mail_that_is_tried_again_is_counted_then(mail_env: MailEnv) -> None:
    customer = new_id()
    created = mail_env.queued(customer, email=VICTIM)
    event = mail_env.event(created.session_id, "session.created")
    mail_env.ses.script[:] = ["throttle"]
    with pytest.raises(NotSent):
        mail_env.tell(event)
    had(mail_env, MOST_AN_HOUR, "1 minute", customer)
    for _ in range(2):
        mail_env.tell(event)
    assert mail_env.states()[-1] == ("request_received", "suppressed", "too_many")
    assert mail_env.noted() == ["request_received"]


def test_payouts_are_told_however_many_and_do_not_count(mail_env: MailEnv) -> None:
    mechanic, customer = mail_env.mechanic(), new_id()
    mail_env.address(mechanic, VICTIM)
    session_id = mail_env.completed(mechanic, customer, email="cora@example.com")
    for _ in range(MOST_AN_HOUR + 2):
        mail_env.tell(payout("payout.sent", mechanic, session_id))
    assert mail_env.ses.recipients == [VICTIM] * (MOST_AN_HOUR + 2)
    assert ask(mail_env, new_id()) is None


def test_as_many_as_notify_at_once_may_go_beyond_and_no_more(mail_env: MailEnv, database: Database) -> None:
    """Claims of the same instant do not see each other; later ones do."""
    workers, customers = 4, [new_id() for _ in range(MOST_AN_HOUR + 10)]
    events = []
    for customer in customers:
        created = mail_env.queued(customer, email=VICTIM)
        events.append(mail_env.event(created.session_id, "session.created"))
    others = [MailEnv(database, mail_env.ses) for _ in range(workers)]

    def work(number: int) -> None:
        for event in events[number::workers]:
            others[number].tell(event)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    for other in others:
        other.close()
    assert MOST_AN_HOUR <= len(mail_env.ses.asked) < MOST_AN_HOUR + workers
