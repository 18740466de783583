"""A mechanic who lets offers lapse is set away and told; who answers one begins anew."""

from uuid import UUID

import pytest

from autodoctor.events.model import AwayEvent, event_of
from autodoctor.ids import new_id
from autodoctor.sessions.accept import accept, decline
from autodoctor.sessions.availability import AvailabilityRequest, set_availability
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.presence import release
from support.events.mail_env import MailEnv
from support.world import Mechanic


def offer(mail_env: MailEnv, mechanic: Mechanic) -> UUID:
    """An offer to the mechanic; returns its assignment."""
    created = mail_env.queued(new_id(), preferredMechanicId=str(mechanic.id))
    assert created.assignment_status == "offered"
    return created.assignment_id


def lapse(mail_env: MailEnv, *assignment_ids: UUID) -> None:
    """Let the time of offers pass, and the sweep see it."""
    with mail_env.without_triggers() as owner:
        owner.execute(
            "UPDATE session_assignments SET offer_expires_at = clock_timestamp() WHERE id = ANY (%s)",
            [list(assignment_ids)],
        )
    assert mail_env.one("SELECT expire_lapsed_offers()") == len(assignment_ids)


def miss(mail_env: MailEnv, mechanic: Mechanic) -> None:
    lapse(mail_env, offer(mail_env, mechanic))


def available(mail_env: MailEnv, mechanic: Mechanic) -> bool:
    is_so: bool = mail_env.one("SELECT is_available(id, available_until) FROM mechanics WHERE id = %s", mechanic.id)
    return is_so


def away(mail_env: MailEnv) -> list[AwayEvent]:
    rows = mail_env.owner.execute("SELECT * FROM outbox_events WHERE type = 'mechanic.set_away' ORDER BY id")
    return [event for row in rows if isinstance(event := event_of(row), AwayEvent)]


def test_three_in_a_row_set_a_mechanic_away_who_is_told(mail_env: MailEnv, mechanic: Mechanic) -> None:
    miss(mail_env, mechanic)
    miss(mail_env, mechanic)
    assert (available(mail_env, mechanic), away(mail_env)) == (True, [])
    miss(mail_env, mechanic)
    assert not available(mail_env, mechanic)
    (event,) = away(mail_env)
    assert (event.mechanic_id, event.missed) == (mechanic.id, 3)
    for _ in range(2):
        mail_env.tell(event)
    assert (mail_env.ses.kinds, mail_env.noted()) == (["set_away"], ["set_away"])
    assert mail_env.ses.recipients == ["mia@example.com"]


def test_who_comes_back_begins_anew(mail_env: MailEnv, mechanic: Mechanic) -> None:
    for _ in range(3):
        miss(mail_env, mechanic)
    mail_env.owner.execute("UPDATE mechanics SET available_until = 'infinity'")
    miss(mail_env, mechanic)
    assert available(mail_env, mechanic)


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_an_answer_begins_anew(mail_env: MailEnv, mechanic: Mechanic, answer: str) -> None:
    miss(mail_env, mechanic)
    miss(mail_env, mechanic)
    answered = offer(mail_env, mechanic)
    if answer == "decline":
        decline(mail_env.app, mechanic.user_id, answered)
    else:
        session_id = accept(mail_env.app, mechanic.user_id, answered).session_id
        end_session(mail_env.app, Ender(mechanic.user_id), session_id)
    miss(mail_env, mechanic)
    assert available(mail_env, mechanic)


def test_offers_that_lapse_during_a_talk_are_not_missed(mail_env: MailEnv, mechanic: Mechanic) -> None:
    """Whoever names a mechanic who works, with accounts that pay nothing, sends nobody away."""
    asked_for = [offer(mail_env, mechanic) for _ in range(3)]
    accept(mail_env.app, mechanic.user_id, mail_env.queued(new_id()).assignment_id)
    for each in asked_for:
        lapse(mail_env, each)
    assert available(mail_env, mechanic)
    assert mail_env.one("SELECT count(*) FROM missed_offers") == 0


def test_who_takes_a_request_from_the_queue_begins_anew(mail_env: MailEnv, mechanic: Mechanic) -> None:
    miss(mail_env, mechanic)
    miss(mail_env, mechanic)
    taken = accept(mail_env.app, mechanic.user_id, mail_env.queued(new_id()).assignment_id)
    end_session(mail_env.app, Ender(mechanic.user_id), taken.session_id)
    miss(mail_env, mechanic)
    assert available(mail_env, mechanic)


def test_offers_that_stood_at_once_are_missed_once(mail_env: MailEnv, mechanic: Mechanic) -> None:
    lapse(mail_env, *(offer(mail_env, mechanic) for _ in range(5)))
    assert available(mail_env, mechanic)
    assert mail_env.one("SELECT in_a_row FROM missed_offers") == 1


@pytest.mark.parametrize("why", ["away", "paused"])
def test_who_takes_nothing_now_misses_nothing(mail_env: MailEnv, mechanic: Mechanic, why: str) -> None:
    offered = offer(mail_env, mechanic)
    if why == "away":
        set_availability(mail_env.app, mechanic.user_id, AvailabilityRequest(available=False))
    else:
        mail_env.owner.execute("INSERT INTO settings (key, value) VALUES ('releases_per_hour', '1')")
        mail_env.accept(mechanic, given_back := mail_env.queued(new_id()))
        release(mail_env.app, mechanic.user_id, given_back.session_id)
    lapse(mail_env, offered)
    assert mail_env.one("SELECT count(*) FROM missed_offers") == 0


def test_an_offer_that_the_customer_gave_up_is_not_missed(mail_env: MailEnv, mechanic: Mechanic) -> None:
    customer = new_id()
    created = mail_env.queued(customer, preferredMechanicId=str(mechanic.id))
    end_session(mail_env.app, Ender(customer), created.session_id)
    assert mail_env.one("SELECT count(*) FROM missed_offers") == 0


def test_how_many_is_a_setting(mail_env: MailEnv, mechanic: Mechanic) -> None:
    mail_env.owner.execute("INSERT INTO settings (key, value) VALUES ('missed_offers_most', '1')")
    miss(mail_env, mechanic)
    assert not available(mail_env, mechanic)
