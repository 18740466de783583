"""A party's view of their sessions: the active one, one in detail, and the history."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from autodoctor.errors import SessionNotFound, Unprocessable
from autodoctor.ids import new_id
from autodoctor.sessions.accept import accept, decline
from autodoctor.sessions.active import (
    SessionDetail,
    SessionSummary,
    customer_active_session,
    history,
    mechanic_active_session,
    session_detail,
)
from autodoctor.sessions.presence import join, leave, release
from support.sessions.evidence import column
from support.world import Mechanic, World


def of_customer(world: World, user_id: UUID) -> SessionSummary:
    session = customer_active_session(world.app, user_id).session
    assert session is not None
    return session


def of_mechanic(world: World, user_id: UUID) -> SessionSummary:
    session = mechanic_active_session(world.app, user_id).session
    assert session is not None
    return session


def detail(world: World, user_id: UUID, session_id: UUID) -> SessionDetail:
    return session_detail(world.app, user_id, session_id)


# --- active session -------------------------------------------------------------------------------


def test_without_a_session_there_is_none(world: World, mechanic: Mechanic, customer: UUID) -> None:
    for user_id in (customer, mechanic.user_id):
        assert customer_active_session(world.app, user_id).session is None
        assert mechanic_active_session(world.app, user_id).session is None


def test_a_pending_session_has_no_counterpart_yet(world: World, customer: UUID) -> None:
    created = world.queued(customer)
    session = of_customer(world, customer)
    assert (session.session_id, session.status, session.plan) == (created.session_id, "pending", "free")
    assert (session.counterpart_name, session.started_at, session.scheduled_for) == (None, None, None)
    assert abs((datetime.now(UTC) - session.created_at).total_seconds()) < 60


def test_each_party_sees_the_other(world: World, mechanic: Mechanic, customer: UUID) -> None:
    created = world.live(mechanic, customer, name="Cora")
    ours, theirs = of_customer(world, customer), of_mechanic(world, mechanic.user_id)
    assert (ours.session_id, theirs.session_id) == (created.session_id, created.session_id)
    assert (ours.counterpart_name, theirs.counterpart_name) == ("Mia", "Cora")
    assert (ours.status, ours.started_at) == ("live", column(world, created.session_id, "started_at"))


def test_a_scheduled_session_is_active(world: World, customer: UUID, next_week: str) -> None:
    world.queued(customer, scheduledFor=next_week)
    session = of_customer(world, customer)
    assert (session.status, session.scheduled_for) == ("scheduled", datetime.fromisoformat(next_week))


@pytest.mark.parametrize(("session_type", "medium"), [("chat", "chat"), ("video", "video"), ("diagnostic", "video")])
def test_the_session_url_leads_to_the_medium(world: World, customer: UUID, session_type: str, medium: str) -> None:
    created = world.pending(customer, sessionType=session_type)
    expected = f"https://sessions.example/{medium}/{created.session_id}"
    assert of_customer(world, customer).session_url == expected


def test_an_ended_session_is_no_longer_active(world: World, mechanic: Mechanic, customer: UUID) -> None:
    world.end(customer, world.live(mechanic, customer).session_id)
    assert customer_active_session(world.app, customer).session is None
    assert mechanic_active_session(world.app, mechanic.user_id).session is None


def test_a_released_session_is_the_mechanics_no_more(world: World, mechanic: Mechanic, customer: UUID) -> None:
    created = world.waiting(mechanic, customer)
    release(world.app, mechanic.user_id, created.session_id)
    assert mechanic_active_session(world.app, mechanic.user_id).session is None
    assert of_customer(world, customer).status == "pending"


# --- detail ---------------------------------------------------------------------------------------


def test_the_terms_are_those_of_the_intake(world: World, customer: UUID) -> None:
    created = world.queued(customer)
    world.owner.execute("UPDATE plans SET max_minutes = 90 WHERE code = 'free'")
    terms = detail(world, customer, created.session_id).terms
    assert (terms.price_cents, terms.currency, terms.credits) == (0, "usd", 0)
    assert (terms.included_minutes, terms.max_minutes, terms.min_billable_seconds) == (5, 180, 60)


def test_what_counts_is_what_was_in_force_when_it_ended(world: World, mechanic: Mechanic, customer: UUID) -> None:
    created = world.live(mechanic, customer)
    world.owner.execute("INSERT INTO settings VALUES ('min_billable_seconds', '30')")
    world.end(customer, created.session_id)
    world.owner.execute("UPDATE settings SET value = '90' WHERE key = 'min_billable_seconds'")
    assert detail(world, customer, created.session_id).terms.min_billable_seconds == 30


def test_both_parties_see_everything_of_their_session(world: World, mechanic: Mechanic, customer: UUID) -> None:
    created = world.live(mechanic, customer, name="Cora", urgent=True)
    ours, theirs = (detail(world, user, created.session_id) for user in (customer, mechanic.user_id))
    assert (ours.counterpart_name, theirs.counterpart_name) == ("Mia", "Cora")
    assert ours.model_copy(update={"counterpart_name": "Cora", "notes": theirs.notes}) == theirs
    assert (ours.funding, ours.concern, ours.urgent) == ("free", "Squeals when braking", True)
    assert ours.vehicle == {"year": 2019, "make": "Volvo", "model": "V60"}
    assert (ours.assignment_id, ours.assignment_status) == (created.assignment_id, "accepted")


def test_participants_are_shown_with_their_presence(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.live(mechanic, customer, name="Cora").session_id
    leave(world.app, customer, session_id)
    shown = [(one.role, one.name, one.present) for one in detail(world, customer, session_id).participants]
    assert shown == [("customer", "Cora", False), ("mechanic", "Mia", True)]
    assert all(one.joined_at for one in detail(world, customer, session_id).participants)


def test_the_timeline_tells_the_whole_story_in_order(world: World, customer: UUID) -> None:
    first, second = world.mechanic(), world.mechanic()
    created = world.pending(customer, preferredMechanicId=first.id)
    world.sign(customer, created.session_id)
    decline(world.app, first.user_id, created.assignment_id)
    accept(world.app, second.user_id, column(world, created.session_id, "current_assignment_id"))
    for user in (customer, second.user_id):
        join(world.app, user, created.session_id)
    world.end(customer, created.session_id)
    timeline = detail(world, customer, created.session_id).timeline
    assert [f"{event.actor}: {event.event}" for event in timeline] == [
        "customer: session.pending",
        "customer: assignment.pending_waiver",
        "customer: assignment.offered",
        "mechanic: assignment.declined",
        "mechanic: assignment.queued",
        "mechanic: session.waiting",
        "mechanic: assignment.accepted",
        "customer: customer.joined",
        "mechanic: mechanic.joined",
        "mechanic: session.live",
        "customer: session.cancelled",
        "customer: assignment.cancelled",
    ]
    assert [event.at for event in timeline] == sorted(event.at for event in timeline)


def test_who_fell_silent_at_once_came_before_they_left(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.waiting(mechanic, customer).session_id
    socket = world.socket(customer, "phone")
    join(world.app, customer, session_id, socket)
    world.app.one("SELECT lose_room(%s, clock_timestamp() - interval '1 hour')", [socket])
    events = [each.event for each in detail(world, customer, session_id).timeline]
    assert [each for each in events if each.startswith("customer.")] == ["customer.joined", "customer.left"]


def test_the_timeline_gives_nobodys_user_id_away(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.live(mechanic, customer).session_id
    shown = detail(world, customer, session_id).model_dump_json(by_alias=True)
    assert str(mechanic.user_id) not in shown
    assert str(mechanic.id) not in shown


def test_an_ended_session_shows_its_outcome(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(75)
    ended = world.end(customer, session_id)
    shown = detail(world, customer, session_id)
    assert (shown.status, shown.reason, shown.duration_seconds) == ("completed", "billable", ended.duration_seconds)
    assert shown.duration_seconds in range(75, 100)
    assert (shown.started_at, shown.ended_at) == (ended.started_at, ended.ended_at)
    assert not any(one.present for one in shown.participants)


def test_a_session_of_others_is_not_found(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.waiting(mechanic, customer).session_id
    world.pending(other := new_id())
    for user in (other, new_id(), world.mechanic().user_id):
        with pytest.raises(SessionNotFound):
            detail(world, user, session_id)
    with pytest.raises(SessionNotFound):
        detail(world, customer, new_id())


def test_an_admin_sees_any_session(world: World, mechanic: Mechanic) -> None:
    session_id = world.waiting(mechanic).session_id
    assert session_detail(world.app, new_id(), session_id, any_session=True).status == "waiting"


def test_it_is_all_json(world: World, customer: UUID, next_week: str) -> None:
    created = world.queued(customer, scheduledFor=next_week)
    shown = json.loads(detail(world, customer, created.session_id).model_dump_json(by_alias=True))
    assert shown["scheduledFor"].endswith("Z")
    assert shown["timeline"][0].keys() == {"at", "event", "actor", "assignmentId"}
    assert shown["participants"][0].keys() == {"role", "name", "joinedAt", "present"}


# --- history --------------------------------------------------------------------------------------


def ended(world: World, mechanic: Mechanic, customer: UUID) -> UUID:
    session_id = world.live(mechanic, customer).session_id
    world.end(customer, session_id)
    return session_id


def test_a_history_is_newest_first_and_includes_the_active_one(
    world: World, mechanic: Mechanic, customer: UUID
) -> None:
    first, second = ended(world, mechanic, customer), ended(world, mechanic, customer)
    active = world.waiting(mechanic, customer).session_id
    for page in (history(world.app, "customer", customer), history(world.app, "mechanic", mechanic.user_id)):
        assert [session.session_id for session in page.sessions] == [active, second, first]
        assert page.next_cursor is None


def test_a_past_session_shows_its_outcome(world: World, mechanic: Mechanic, customer: UUID) -> None:
    session_id = world.live(mechanic, customer, name="Cora").session_id
    world.let_time_pass(75)
    world.end(customer, session_id)
    (seen,) = history(world.app, "mechanic", mechanic.user_id).sessions
    assert (seen.status, seen.reason) == ("completed", "billable")
    assert seen.duration_seconds in range(75, 100)
    assert (seen.counterpart_name, seen.ended_at) == ("Cora", column(world, session_id, "ended_at"))
    (theirs,) = history(world.app, "customer", customer).sessions
    assert theirs.mechanic_id == mechanic.id


@pytest.mark.parametrize("limit", ["1", "2", "5"])
def test_pages_of_a_history_show_everything_once(world: World, mechanic: Mechanic, customer: UUID, limit: str) -> None:
    expected = [ended(world, mechanic, customer) for _ in range(5)][::-1]
    shown: list[UUID] = []
    cursor = None
    for _ in range(6):
        page = history(world.app, "mechanic", mechanic.user_id, limit, cursor)
        shown += [session.session_id for session in page.sessions]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert shown == expected


def test_a_history_is_ones_own(world: World, mechanic: Mechanic, customer: UUID) -> None:
    ended(world, mechanic, customer)
    assert history(world.app, "customer", new_id()).sessions == []
    assert history(world.app, "mechanic", customer).sessions == []
    assert history(world.app, "mechanic", world.mechanic().user_id).sessions == []


def test_what_a_mechanic_gave_back_is_not_their_history(world: World, mechanic: Mechanic, customer: UUID) -> None:
    created = world.waiting(mechanic, customer)
    release(world.app, mechanic.user_id, created.session_id)
    assert history(world.app, "mechanic", mechanic.user_id).sessions == []


def test_what_a_mechanic_gave_back_and_took_again_is_shown_once(
    world: World, mechanic: Mechanic, customer: UUID
) -> None:
    created = world.waiting(mechanic, customer)
    world.owner.execute("UPDATE sessions SET status = 'pending' WHERE id = %s", [created.session_id])  # an operator's
    accept(world.app, mechanic.user_id, column(world, created.session_id, "current_assignment_id"))
    assert [session.session_id for session in history(world.app, "mechanic", mechanic.user_id).sessions] == [
        created.session_id
    ]


@pytest.mark.parametrize("cursor", ["", "5", "\x00", "\ud800", "x" * 36])
def test_a_bad_cursor_is_refused(world: World, customer: UUID, cursor: str) -> None:
    with pytest.raises(Unprocessable):
        history(world.app, "customer", customer, None, cursor)


@pytest.mark.parametrize("limit", ["0", "101", "", "x"])
def test_a_bad_limit_is_refused(world: World, customer: UUID, limit: str) -> None:
    with pytest.raises(Unprocessable):
        history(world.app, "mechanic", customer, limit)
