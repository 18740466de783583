"""What each party sees of their sessions: the active one, one in detail, and the history."""

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
from integration.actors import Mechanic, Stage
from integration.evidence import column


@pytest.fixture
def mechanic(stage: Stage) -> Mechanic:
    return stage.mechanic()


@pytest.fixture
def customer() -> UUID:
    return new_id()


def of_customer(stage: Stage, user_id: UUID) -> SessionSummary:
    session = customer_active_session(stage.app, user_id).session
    assert session is not None
    return session


def of_mechanic(stage: Stage, user_id: UUID) -> SessionSummary:
    session = mechanic_active_session(stage.app, user_id).session
    assert session is not None
    return session


def detail(stage: Stage, user_id: UUID, session_id: UUID) -> SessionDetail:
    return session_detail(stage.app, user_id, session_id)


# --- active session -------------------------------------------------------------------------------


def test_without_a_session_there_is_none(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    for user_id in (customer, mechanic.user_id):
        assert customer_active_session(stage.app, user_id).session is None
        assert mechanic_active_session(stage.app, user_id).session is None


def test_a_pending_session_has_no_counterpart_yet(stage: Stage, customer: UUID) -> None:
    created = stage.queued(customer)
    session = of_customer(stage, customer)
    assert (session.session_id, session.status, session.plan) == (created.session_id, "pending", "free")
    assert (session.counterpart_name, session.started_at, session.scheduled_for) == (None, None, None)
    assert abs((datetime.now(UTC) - session.created_at).total_seconds()) < 60


def test_each_party_sees_the_other(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    created = stage.live(mechanic, customer, name="Cora")
    ours, theirs = of_customer(stage, customer), of_mechanic(stage, mechanic.user_id)
    assert (ours.session_id, theirs.session_id) == (created.session_id, created.session_id)
    assert (ours.counterpart_name, theirs.counterpart_name) == ("Mia", "Cora")
    assert (ours.status, ours.started_at) == ("live", column(stage, created.session_id, "started_at"))


def test_a_scheduled_session_is_active(stage: Stage, customer: UUID, next_week: str) -> None:
    stage.queued(customer, scheduledFor=next_week)
    session = of_customer(stage, customer)
    assert (session.status, session.scheduled_for) == ("scheduled", datetime.fromisoformat(next_week))


@pytest.mark.parametrize(("session_type", "medium"), [("chat", "chat"), ("video", "video"), ("diagnostic", "video")])
def test_the_session_url_leads_to_the_medium(stage: Stage, customer: UUID, session_type: str, medium: str) -> None:
    created = stage.pending(customer, sessionType=session_type)
    expected = f"https://sessions.example/{medium}/{created.session_id}"
    assert of_customer(stage, customer).session_url == expected


def test_an_ended_session_is_no_longer_active(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    stage.end(customer, stage.live(mechanic, customer).session_id)
    assert customer_active_session(stage.app, customer).session is None
    assert mechanic_active_session(stage.app, mechanic.user_id).session is None


def test_a_released_session_is_the_mechanics_no_more(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    created = stage.waiting(mechanic, customer)
    release(stage.app, mechanic.user_id, created.session_id)
    assert mechanic_active_session(stage.app, mechanic.user_id).session is None
    assert of_customer(stage, customer).status == "pending"


# --- detail ---------------------------------------------------------------------------------------


def test_both_parties_see_everything_of_their_session(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    created = stage.live(mechanic, customer, name="Cora", urgent=True)
    ours, theirs = (detail(stage, user, created.session_id) for user in (customer, mechanic.user_id))
    assert (ours.counterpart_name, theirs.counterpart_name) == ("Mia", "Cora")
    assert ours.model_copy(update={"counterpart_name": "Cora"}) == theirs
    assert (ours.funding, ours.concern, ours.urgent) == ("free", "Squeals when braking", True)
    assert ours.vehicle == {"year": 2019, "make": "Volvo", "model": "V60"}
    assert (ours.assignment_id, ours.assignment_status) == (created.assignment_id, "accepted")


def test_participants_are_shown_with_their_presence(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    session_id = stage.live(mechanic, customer, name="Cora").session_id
    leave(stage.app, customer, session_id)
    shown = [(one.role, one.name, one.present) for one in detail(stage, customer, session_id).participants]
    assert shown == [("customer", "Cora", False), ("mechanic", "Mia", True)]
    assert all(one.joined_at for one in detail(stage, customer, session_id).participants)


def test_the_timeline_tells_the_whole_story_in_order(stage: Stage, customer: UUID) -> None:
    first, second = stage.mechanic(), stage.mechanic()
    created = stage.pending(customer, preferredMechanicId=first.id)
    stage.sign(customer, created.session_id)
    decline(stage.app, first.user_id, created.assignment_id)
    accept(stage.app, second.user_id, column(stage, created.session_id, "current_assignment_id"))
    for user in (customer, second.user_id):
        join(stage.app, user, created.session_id)
    stage.end(customer, created.session_id)
    timeline = detail(stage, customer, created.session_id).timeline
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


def test_the_timeline_gives_nobodys_user_id_away(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    session_id = stage.live(mechanic, customer).session_id
    shown = detail(stage, customer, session_id).model_dump_json(by_alias=True)
    assert str(mechanic.user_id) not in shown
    assert str(mechanic.id) not in shown


def test_an_ended_session_shows_its_outcome(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    session_id = stage.live(mechanic, customer).session_id
    stage.let_time_pass(75)
    ended = stage.end(customer, session_id)
    shown = detail(stage, customer, session_id)
    assert (shown.status, shown.reason, shown.duration_seconds) == ("completed", "billable", 75)
    assert (shown.started_at, shown.ended_at) == (ended.started_at, ended.ended_at)
    assert not any(one.present for one in shown.participants)


def test_a_session_of_others_is_not_found(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    session_id = stage.waiting(mechanic, customer).session_id
    stage.pending(other := new_id())
    for user in (other, new_id(), stage.mechanic().user_id):
        with pytest.raises(SessionNotFound):
            detail(stage, user, session_id)
    with pytest.raises(SessionNotFound):
        detail(stage, customer, new_id())


def test_an_admin_sees_any_session(stage: Stage, mechanic: Mechanic) -> None:
    session_id = stage.waiting(mechanic).session_id
    assert session_detail(stage.app, new_id(), session_id, any_session=True).status == "waiting"


def test_it_is_all_json(stage: Stage, customer: UUID, next_week: str) -> None:
    created = stage.queued(customer, scheduledFor=next_week)
    shown = json.loads(detail(stage, customer, created.session_id).model_dump_json(by_alias=True))
    assert shown["scheduledFor"].endswith("Z")
    assert shown["timeline"][0].keys() == {"at", "event", "actor", "assignmentId"}
    assert shown["participants"][0].keys() == {"role", "name", "joinedAt", "present"}


# --- history --------------------------------------------------------------------------------------


def ended(stage: Stage, mechanic: Mechanic, customer: UUID) -> UUID:
    session_id = stage.live(mechanic, customer).session_id
    stage.end(customer, session_id)
    return session_id


def test_a_history_is_newest_first_and_includes_the_active_one(
    stage: Stage, mechanic: Mechanic, customer: UUID
) -> None:
    first, second = ended(stage, mechanic, customer), ended(stage, mechanic, customer)
    active = stage.waiting(mechanic, customer).session_id
    for page in (history(stage.app, "customer", customer), history(stage.app, "mechanic", mechanic.user_id)):
        assert [session.session_id for session in page.sessions] == [active, second, first]
        assert page.next_cursor is None


def test_a_past_session_shows_its_outcome(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    session_id = stage.live(mechanic, customer, name="Cora").session_id
    stage.let_time_pass(75)
    stage.end(customer, session_id)
    (seen,) = history(stage.app, "mechanic", mechanic.user_id).sessions
    assert (seen.status, seen.reason, seen.duration_seconds) == ("completed", "billable", 75)
    assert (seen.counterpart_name, seen.ended_at) == ("Cora", column(stage, session_id, "ended_at"))
    (theirs,) = history(stage.app, "customer", customer).sessions
    assert theirs.mechanic_id == mechanic.id


@pytest.mark.parametrize("limit", ["1", "2", "5"])
def test_pages_of_a_history_show_everything_once(stage: Stage, mechanic: Mechanic, customer: UUID, limit: str) -> None:
    expected = [ended(stage, mechanic, customer) for _ in range(5)][::-1]
    shown: list[UUID] = []
    cursor = None
    for _ in range(6):
        page = history(stage.app, "mechanic", mechanic.user_id, limit, cursor)
        shown += [session.session_id for session in page.sessions]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert shown == expected


def test_a_history_is_ones_own(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    ended(stage, mechanic, customer)
    assert history(stage.app, "customer", new_id()).sessions == []
    assert history(stage.app, "mechanic", customer).sessions == []
    assert history(stage.app, "mechanic", stage.mechanic().user_id).sessions == []


def test_what_a_mechanic_gave_back_is_not_their_history(stage: Stage, mechanic: Mechanic, customer: UUID) -> None:
    created = stage.waiting(mechanic, customer)
    release(stage.app, mechanic.user_id, created.session_id)
    assert history(stage.app, "mechanic", mechanic.user_id).sessions == []


def test_what_a_mechanic_gave_back_and_took_again_is_shown_once(
    stage: Stage, mechanic: Mechanic, customer: UUID
) -> None:
    created = stage.waiting(mechanic, customer)
    release(stage.app, mechanic.user_id, created.session_id)
    accept(stage.app, mechanic.user_id, column(stage, created.session_id, "current_assignment_id"))
    assert [session.session_id for session in history(stage.app, "mechanic", mechanic.user_id).sessions] == [
        created.session_id
    ]


@pytest.mark.parametrize("cursor", ["", "5", "\x00", "\ud800", "x" * 36])
def test_a_bad_cursor_is_refused(stage: Stage, customer: UUID, cursor: str) -> None:
    with pytest.raises(Unprocessable):
        history(stage.app, "customer", customer, None, cursor)


@pytest.mark.parametrize("limit", ["0", "101", "", "x"])
def test_a_bad_limit_is_refused(stage: Stage, customer: UUID, limit: str) -> None:
    with pytest.raises(Unprocessable):
        history(stage.app, "mechanic", customer, limit)
