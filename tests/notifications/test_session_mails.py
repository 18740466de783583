"""What both parties are told when a mechanic is gone again, and the summary with notes and transcript."""

from contextlib import closing
from uuid import UUID

import pytest

from autodoctor.db import Database as Connection
from autodoctor.events.model import ReplyEvent
from autodoctor.ids import new_id
from autodoctor.notifications.transcript import MOST_CHARACTERS, MOST_LINES, transcript_of
from autodoctor.operations.privacy import erase_customer
from autodoctor.sessions.end import Ender, end_session, explain_end
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.first_reply import replace_mechanic
from autodoctor.sessions.notes import NotesRequest, save_notes
from autodoctor.sessions.presence import join, release
from support.events.mail_env import MailEnv
from support.world import Mechanic

SPANISH = "INSERT INTO notification_locales (user_id, locale) VALUES (%s, 'es')"


def mails(mail_env: MailEnv) -> list[tuple[str, str, str]]:
    """Recipient, kind and text of each mail."""
    texts = [each["Content"]["Simple"]["Body"]["Text"]["Data"] for each in mail_env.ses.asked]
    return list(zip(mail_env.ses.recipients, mail_env.ses.kinds, texts, strict=True))


def write(mail_env: MailEnv, session_id: UUID, *lines: tuple[Mechanic | None, str | None]) -> None:
    """Have more messages in the room, one a minute from half past nine on: of a mechanic, or (None) of the customer."""
    latest: int = mail_env.one("SELECT coalesce(max(seq), 0) FROM session_messages WHERE session_id = %s", session_id)
    for minute, (mechanic, text) in enumerate(lines, start=1):
        mail_env.owner.execute(
            "INSERT INTO session_messages"
            " (session_id, seq, at, client_id, mechanic_id, attachment_id, role, kind, text)"
            " VALUES (%(session)s, %(seq)s, '2026-03-01 09:30Z'::timestamptz + make_interval(mins => %(minute)s),"
            " new_id(), %(mechanic)s, CASE WHEN %(text)s::text IS NULL THEN new_id() END,"
            " CASE WHEN %(mechanic)s::uuid IS NULL THEN 'customer' ELSE 'mechanic' END,"
            " CASE WHEN %(text)s::text IS NULL THEN 'file' ELSE 'text' END, %(text)s)",
            {
                "session": session_id,
                "seq": latest + minute,
                "minute": minute,
                "mechanic": mechanic and mechanic.id,
                "text": text,
            },
        )


# --- back in the queue ----------------------------------------------------------------------------


def test_both_are_told_that_the_mechanic_did_not_come(mail_env: MailEnv, customer: UUID, mechanic: Mechanic) -> None:
    session_id = mail_env.waiting(mechanic, customer).session_id
    mail_env.let_time_pass(601)
    assert sweep(mail_env.app, lambda: 60.0).released == 1
    mail_env.tell(mail_env.event(session_id, "session.pending"))
    (to_mechanic, to_customer) = mails(mail_env)
    assert to_customer[:2] == ("cora@example.com", "back_in_queue")
    assert "Mia accepted your request and did not come." in to_customer[2]
    assert f"https://sessions.example/chat/{session_id}" in to_customer[2]
    assert to_mechanic[:2] == ("mia@example.com", "session_taken_back")
    assert "You accepted a chat and did not join in time." in to_mechanic[2]


def test_only_the_customer_is_told_of_what_the_mechanic_did(
    mail_env: MailEnv, customer: UUID, mechanic: Mechanic
) -> None:
    session_id = mail_env.waiting(mechanic, customer).session_id
    mail_env.owner.execute(SPANISH, [customer])
    release(mail_env.app, mechanic.user_id, session_id)
    mail_env.tell(mail_env.event(session_id, "session.pending"))
    ((address, kind, text),) = mails(mail_env)
    assert (address, kind) == ("cora@example.com", "back_in_queue")
    assert "Mia ha devuelto su solicitud." in text


def test_an_operator_who_gives_it_back_is_named_to_nobody(
    mail_env: MailEnv, customer: UUID, mechanic: Mechanic
) -> None:
    session_id = mail_env.waiting(mechanic, customer).session_id
    mail_env.owner.execute("UPDATE sessions SET status = 'pending', actor = 'operator:ada'")
    mail_env.tell(mail_env.event(session_id, "session.pending"))
    assert sorted(mail_env.ses.kinds) == ["back_in_queue", "session_taken_back"]
    assert not [text for _, _, text in mails(mail_env) if "ada" in text]


def test_nobody_is_mailed_that_it_is_queued_once_the_next_mechanic_has_it(
    mail_env: MailEnv, customer: UUID, mechanic: Mechanic
) -> None:
    session_id = mail_env.waiting(mechanic, customer).session_id
    release(mail_env.app, mechanic.user_id, session_id)
    event = mail_env.event(session_id, "session.pending")
    mail_env.accept_current(mail_env.mechanic(), session_id)
    mail_env.tell(event)
    assert mail_env.states() == [("back_in_queue", "suppressed", "superseded")]
    assert mail_env.noted() == ["back_in_queue"]


def test_a_scheduled_session_that_comes_due_is_not_back(mail_env: MailEnv, customer: UUID) -> None:
    soon = mail_env.one("SELECT now() + interval '1 hour'").isoformat()
    session_id = mail_env.queued(customer, scheduledFor=soon).session_id
    mail_env.let_time_pass(3000)
    assert sweep(mail_env.app, lambda: 60.0).came_due == 1
    mail_env.tell(mail_env.event(session_id, "session.pending"))
    assert mail_env.deliveries() == []


# --- the first reply ------------------------------------------------------------------------------


def late(mail_env: MailEnv, mechanic: Mechanic, customer: UUID) -> UUID:
    """A session whose customer has been in the room for three minutes without a word from the mechanic."""
    session_id = mail_env.waiting(mechanic, customer).session_id
    join(mail_env.app, customer, session_id)
    mail_env.let_time_pass(180)
    assert sweep(mail_env.app, lambda: 60.0).late_replies == 1
    return session_id


def reply_late(mail_env: MailEnv, session_id: UUID) -> ReplyEvent:
    (event,) = [each for each in mail_env.events(session_id) if isinstance(each, ReplyEvent)]
    return event


def test_a_customer_learns_that_they_may_ask_for_another_mechanic(
    mail_env: MailEnv, customer: UUID, mechanic: Mechanic
) -> None:
    mail_env.tell(reply_late(mail_env, late(mail_env, mechanic, customer)))
    ((address, kind, text),) = mails(mail_env)
    assert (address, kind) == ("cora@example.com", "first_reply_late")
    assert "ask for another mechanic: you keep your place" in text
    assert mail_env.noted() == ["first_reply_late"]


def test_not_by_mail_once_the_mechanic_is_there(mail_env: MailEnv, customer: UUID, mechanic: Mechanic) -> None:
    session_id = late(mail_env, mechanic, customer)
    join(mail_env.app, mechanic.user_id, session_id, mail_env.socket(mechanic.user_id))
    mail_env.tell(reply_late(mail_env, session_id))
    assert mail_env.states() == [("first_reply_late", "suppressed", "superseded")]


def test_the_mechanic_who_was_replaced_is_told_why(mail_env: MailEnv, customer: UUID, mechanic: Mechanic) -> None:
    session_id = late(mail_env, mechanic, customer)
    replace_mechanic(mail_env.app, customer, session_id)
    mail_env.tell(mail_env.event(session_id, "session.pending"))
    ((address, kind, text),) = mails(mail_env)  # the customer asked for it, and has seen the answer
    assert (address, kind) == ("mia@example.com", "session_taken_back")
    assert "waited for a word from you, and asked for another mechanic" in text


# --- ended by an operator -------------------------------------------------------------------------


@pytest.mark.parametrize("words", [None, "We are sorry: the line was down."])
def test_both_are_told_that_an_operator_ended_it_and_why(
    mail_env: MailEnv, customer: UUID, mechanic: Mechanic, words: str | None
) -> None:
    session_id, admin = mail_env.live(mechanic, customer).session_id, Ender(new_id(), any_session=True)
    end_session(mail_env.app, admin, session_id)
    if words:
        explain_end(mail_env.app, admin, session_id, words)
    mail_env.tell(mail_env.event(session_id, "session.ended"))
    (to_mechanic, to_customer) = mails(mail_env)
    assert to_mechanic[:2] == ("mia@example.com", "session_closed")
    assert to_customer[:2] == ("cora@example.com", "session_cancelled")
    assert "An operator ended the session." in to_customer[2]
    for _, _, text in (to_mechanic, to_customer):
        assert ("What they say of it: We are sorry" in text) == (words is not None)


def test_a_session_that_a_party_ended_names_no_operator(mail_env: MailEnv, customer: UUID, mechanic: Mechanic) -> None:
    session_id = mail_env.live(mechanic, customer).session_id
    mail_env.end(customer, session_id)
    mail_env.tell(mail_env.event(session_id, "session.ended"))
    ((_, kind, text),) = mails(mail_env)
    assert kind == "session_cancelled"
    assert "operator" not in text


def test_the_summary_of_a_session_that_an_operator_ended_says_so(
    mail_env: MailEnv, customer: UUID, mechanic: Mechanic
) -> None:
    session_id, admin = mail_env.live(mechanic, customer).session_id, Ender(actor="operator:ada", any_session=True)
    mail_env.let_time_pass(3600)
    end_session(mail_env.app, admin, session_id)
    explain_end(mail_env.app, admin, session_id, "Your time was up.")
    mail_env.let_time_pass(900)
    sweep(mail_env.app, lambda: 60.0)
    mail_env.tell(mail_env.events(session_id)[-1])
    text = mails(mail_env)[-1][2]
    assert "An operator ended the session.\nWhat they say of it: Your time was up." in text
    assert "ada" not in text


# --- the summary ----------------------------------------------------------------------------------


def test_the_summary_has_what_was_said(mail_env: MailEnv, customer: UUID) -> None:
    first, second = mail_env.mechanic(), mail_env.mechanic()
    mail_env.owner.execute("UPDATE mechanics SET name = 'Max' WHERE id = %s", [second.id])
    session_id = mail_env.completed(second, customer, notes="Front pads")
    write(mail_env, session_id, (first, "Wait."), (None, "It squeals <b>"), (None, None), (second, "Show\nme."))
    for event in mail_env.events(session_id):
        mail_env.tell(event)
    text = mails(mail_env)[-1][2]
    lines = ["09:31 Mia: Wait.", "09:32 You: It squeals <b>", "09:33 You: (a picture or document: see the session)"]
    assert "\n".join([*lines, "09:34 Max: Show", "me."]) in text
    assert "Front pads" in text
    assert "Price: free" in text
    html = mail_env.ses.asked[-1]["Content"]["Simple"]["Body"]["Html"]["Data"]
    assert "<strong>You:</strong> It squeals &lt;b&gt;" in html


def test_what_was_erased_is_not_in_it(mail_env: MailEnv, customer: UUID) -> None:
    session_id = mail_env.completed(mail_env.mechanic(), customer)
    write(mail_env, session_id, (None, "Call 555 0100"))
    mail_env.owner.execute("SELECT blank_room(%s)", [session_id])
    assert transcript_of(mail_env.app, session_id) == ((), False)


def test_who_is_erased_before_the_events_come_is_told_nothing(mail_env: MailEnv, customer: UUID) -> None:
    session_id = mail_env.completed(mail_env.mechanic(), customer)
    with closing(Connection(lambda: mail_env.urls.owner_url)) as owner:
        erase_customer(owner, customer, "ann")
    for event in mail_env.events(session_id):
        mail_env.tell(event)
    assert mail_env.noted() == []
    assert {(state, error) for _, state, error in mail_env.states()} == {("suppressed", "erased")}


def test_a_long_talk_is_cut_to_its_newest_messages(mail_env: MailEnv, customer: UUID) -> None:
    session_id = mail_env.completed(mail_env.mechanic(), customer)
    write(mail_env, session_id, *((None, str(number)) for number in range(MOST_LINES + 1)))
    said, cut = transcript_of(mail_env.app, session_id)
    assert (len(said), said[0].text, said[-1].text, cut) == (MOST_LINES, "1", str(MOST_LINES), True)


def test_and_to_so_many_characters(mail_env: MailEnv, customer: UUID) -> None:
    session_id = mail_env.completed(mail_env.mechanic(), customer)
    count = MOST_CHARACTERS // 4000
    write(mail_env, session_id, *((None, "x" * 4000) for _ in range(count + 1)))
    assert (len(transcript_of(mail_env.app, session_id)[0]), transcript_of(mail_env.app, session_id)[1]) == (
        count,
        True,
    )


def test_a_summary_waits_no_longer_than_a_quarter_of_an_hour(
    mail_env: MailEnv, customer: UUID, mechanic: Mechanic
) -> None:
    session_id = mail_env.live(mechanic, customer).session_id
    mail_env.let_time_pass(3600)
    mail_env.end(customer, session_id)
    mail_env.tell(mail_env.event(session_id, "session.ended"))
    assert mail_env.deliveries() == []
    mail_env.let_time_pass(900)
    sweep(mail_env.app, lambda: 60.0)
    mail_env.tell(mail_env.events(session_id)[-1])
    assert mail_env.states() == [("session_completed", "sent", None)]
    save_notes(mail_env.app, mechanic.user_id, session_id, NotesRequest(text="New pads.", version=1, confirmed=True))
    mail_env.tell(mail_env.events(session_id)[-1])
    assert mail_env.ses.kinds == ["session_completed", "notes_added"]
    assert "After your chat, Mia wrote:\n\nNew pads." in mails(mail_env)[-1][2]
