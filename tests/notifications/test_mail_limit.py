"""Nobody can have us mail an address that is not shown to be theirs, nor keep anybody's mails from them."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from autodoctor.errors import NotFound
from autodoctor.ids import new_id
from autodoctor.notifications.confirmation import ConfirmationRequest, confirm_address
from autodoctor.notifications.notify import MOST_A_DAY, MOST_AN_HOUR
from autodoctor.notifications.sender import NotSent
from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, open_mail_env, payout

VICTIM = "victim@example.org"
ADVERTISEMENT = "Cheap pills at https://evil.example\n\n" * 20


@pytest.fixture
def mail_env(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailEnv]:
    """Nobody's sign-in verifies addresses here."""
    with open_mail_env(database, monkeypatch) as mail_env:
        mail_env.verifies_addresses = False
        yield mail_env


def ask(mail_env: MailEnv, user_id: UUID | None = None, address: str = VICTIM, **fields: object) -> str | None:
    """Ask for a session; returns why there was no mail about that, None where there was a confirmation."""
    created = mail_env.queued(user_id or new_id(), email=address, **fields)
    mail_env.tell(mail_env.event(created.session_id, "session.created"))
    reason: str | None = mail_env.deliveries()[-1]["error"]
    return reason


def token_of(mail_env: MailEnv) -> str:
    """The token in the last mail."""
    text: str = mail_env.ses.asked[-1]["Content"]["Simple"]["Body"]["Text"]["Data"]
    return text.partition("?token=")[2].split()[0]


def test_an_unconfirmed_address_gets_a_link_and_no_words_of_the_sender(mail_env: MailEnv) -> None:
    customer = new_id()
    created = mail_env.queued(customer, email=VICTIM, concern=ADVERTISEMENT, name="Buy\nnow")
    for each in mail_env.events(created.session_id):
        mail_env.tell(each)
    mail_env.end(customer, created.session_id)
    mail_env.tell(mail_env.event(created.session_id, "session.ended"))
    assert (mail_env.ses.recipients, mail_env.ses.kinds) == ([VICTIM], ["confirm_address"])
    sent = str(mail_env.ses.asked)
    assert not any(word in sent for word in ("evil", "pills", "Buy", "now"))
    assert mail_env.states()[-1] == ("session_cancelled", "suppressed", "unconfirmed")
    assert mail_env.noted() == ["request_received", "session_cancelled"]


def test_who_follows_the_link_gets_every_mail_however_many(mail_env: MailEnv) -> None:
    customer = new_id()
    ask(mail_env, customer)
    request = ConfirmationRequest(token=token_of(mail_env))
    with pytest.raises(NotFound):
        confirm_address(mail_env.app, new_id(), request)  # the owner of the mailbox is not who asked
    for _ in range(2):
        assert confirm_address(mail_env.app, customer, request).confirmed
    session = mail_env.one("SELECT id FROM sessions")
    mail_env.end(customer, session)
    mail_env.tell(mail_env.event(session, "session.ended"))
    for _ in range(5):
        created = mail_env.queued(customer, email=VICTIM.upper())
        mail_env.tell(mail_env.event(created.session_id, "session.created"))
        mail_env.end(customer, created.session_id)
    assert mail_env.ses.kinds == ["confirm_address", "session_cancelled", *["request_received"] * 5]


def test_an_old_link_is_not_good(mail_env: MailEnv) -> None:
    customer = new_id()
    ask(mail_env, customer)
    mail_env.let_time_pass(8 * 24 * 3600)
    with pytest.raises(NotFound):
        confirm_address(mail_env.app, customer, ConfirmationRequest(token=token_of(mail_env)))


def test_a_verified_address_needs_no_link_and_another_one_does(mail_env: MailEnv) -> None:
    mail_env.verifies_addresses = True
    customer = new_id()
    ask(mail_env, customer, "cora@example.com")
    session = mail_env.one("SELECT id FROM sessions")
    mail_env.end(customer, session)
    mail_env.verifies_addresses = False
    ask(mail_env, customer)
    assert mail_env.ses.kinds == ["request_received", "confirm_address"]


def test_nobody_is_silenced_by_what_others_ask_for(mail_env: MailEnv) -> None:
    """Six requests with a victim's address, and the victim's own mechanic comes."""
    for _ in range(6):
        ask(mail_env)
    mail_env.verifies_addresses = True
    mechanic, victim = mail_env.mechanic(), new_id()
    created = mail_env.waiting(mechanic, victim, email=VICTIM)
    mail_env.tell(mail_env.event(created.session_id, "session.waiting"))
    assert mail_env.states()[-1] == ("mechanic_assigned", "sent", None)


def test_one_mailbox_gets_one_confirmation_an_hour_and_three_a_day_whoever_asks(mail_env: MailEnv) -> None:
    sub_addresses = [VICTIM, *(f"victim+{n}@example.org" for n in range(20)), VICTIM.upper()]
    assert [ask(mail_env, address=each) for each in sub_addresses] == [None, *["too_many"] * 21]
    for _ in range(5):
        mail_env.let_time_pass(3601)
        ask(mail_env, address="victim+again@example.org")
    assert mail_env.ses.kinds == ["confirm_address"] * MOST_A_DAY == ["confirm_address"] * (MOST_AN_HOUR + 2)
    assert ask(mail_env, address="other@example.org") is None


def test_a_confirmation_that_was_not_sent_is_sent_again_and_counts_once(mail_env: MailEnv) -> None:
    customer = new_id()
    created = mail_env.queued(customer, email=VICTIM)
    event = mail_env.event(created.session_id, "session.created")
    mail_env.ses.script[:] = ["throttle"]
    with pytest.raises(NotSent):
        mail_env.tell(event)
    mail_env.tell(event)
    assert mail_env.states() == [("confirm_address", "sent", None)]
    confirm_address(mail_env.app, customer, ConfirmationRequest(token=token_of(mail_env)))


def test_a_mechanic_s_address_was_entered_by_an_admin(mail_env: MailEnv) -> None:
    mechanic, customer = mail_env.mechanic(), new_id()
    mail_env.address(mechanic, VICTIM)
    session_id = mail_env.completed(mechanic, customer, email="cora@example.com")
    for _ in range(12):
        mail_env.tell(payout("payout.sent", mechanic, session_id))
    assert mail_env.ses.recipients == [VICTIM] * 12
