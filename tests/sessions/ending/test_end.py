"""Ending a session: the server decides from recorded evidence, whoever asks, whatever they claim, however often."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from autodoctor.errors import SessionNotFound
from autodoctor.ids import new_id
from autodoctor.sessions.active import session_detail
from autodoctor.sessions.end import Ended, Ender, EndRequest, end_session, explain_end
from autodoctor.sessions.presence import join, leave, release
from support.sessions.evidence import assignments, column, events, last_event, plant_meeting
from support.world import World


def outcome(ended: Ended) -> tuple[str, str, int | None]:
    return ended.status, ended.reason, ended.duration_seconds


# --- the six scenarios ----------------------------------------------------------------------------


def test_both_joined_and_long_enough(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(61)
    ended = world.end(customer, session_id)
    assert (ended.status, ended.reason) == ("completed", "billable")
    assert ended.duration_seconds in range(61, 90)
    assert not ended.already_ended
    assert assignments(world, session_id) == ["completed"]


def test_never_started(world: World) -> None:
    customer = new_id()
    session_id = world.waiting(world.mechanic(), customer).session_id
    world.let_time_pass(600)
    ended = world.end(customer, session_id)
    assert outcome(ended) == ("cancelled", "withdrawn", None)
    assert ended.started_at is None
    assert assignments(world, session_id) == ["cancelled"]
    assert column(world, session_id, "absent") is None


def test_too_short(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(50)
    ended = world.end(mechanic.user_id, session_id)
    assert ended.duration_seconds is not None
    assert (ended.status, ended.reason) == ("cancelled", "too_short")
    assert 50 <= ended.duration_seconds < 60


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [("60", ("completed", "billable", 60)), ("59.999", ("cancelled", "too_short", 59))],
)
def test_exactly_the_threshold(world: World, seconds: str, expected: tuple[str, str, int]) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.waiting(mechanic, customer).session_id
    world.let_time_pass(100)
    world.meet(session_id, customer, mechanic)
    left = leave(world.app, customer, session_id)
    assert left.started_at is not None
    with world.without_triggers() as connection:
        both = {"lasted": timedelta(seconds=float(seconds)), "id": session_id}
        connection.execute("UPDATE sessions SET started_at = parted_at - %(lasted)s WHERE id = %(id)s", both)
        connection.execute(
            "UPDATE session_presence p SET since = s.started_at FROM sessions s WHERE s.id = p.session_id", both
        )
    assert outcome(world.end(customer, session_id)) == expected


def test_ended_twice(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(90)
    first = world.end(customer, session_id)
    trail = events(world, session_id)
    for user in (customer, mechanic.user_id):
        again = world.end(user, session_id)
        assert again == first.model_copy(update={"already_ended": True})
    assert events(world, session_id) == trail


def test_ended_by_two_callers_at_once(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(90)
    barrier = threading.Barrier(2)

    def end(user_id: UUID) -> Ended:
        with world.elsewhere() as database:
            barrier.wait()
            return end_session(database, Ender(user_id), session_id)

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(end, [customer, mechanic.user_id]))
    assert sorted(ended.already_ended for ended in both) == [False, True]
    assert both[0].model_copy(update={"already_ended": True}) == both[1].model_copy(update={"already_ended": True})
    assert events(world, session_id).count("completed") == 1


# --- what counts as evidence ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [("60", ("completed", "billable", 60)), ("59.999", ("cancelled", "too_short", 59))],
)
def test_a_start_that_nobody_recorded_is_derived(world: World, seconds: str, expected: tuple[str, str, int]) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.waiting(mechanic, customer).session_id
    plant_meeting(world, session_id, mechanic, seconds)
    ended = world.end(customer, session_id)
    assert outcome(ended) == expected
    assert column(world, session_id, "started_at") == ended.started_at
    assert set(events(world, session_id)[-3:]) == {"customer left", "live", expected[0]}


def test_evidence_of_another_mechanic_is_none(world: World) -> None:
    mechanic, other, customer = world.mechanic(), world.mechanic(), new_id()
    session_id = world.waiting(mechanic, customer).session_id
    plant_meeting(world, session_id, other, "600")
    assert outcome(world.end(customer, session_id)) == ("cancelled", "no_show", None)
    assert column(world, session_id, "absent") == "mechanic"


@pytest.mark.parametrize(("who", "absent"), [("customer", "mechanic"), ("mechanic", "customer")])
def test_who_never_came_is_recorded(world: World, who: str, absent: str) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.waiting(mechanic, customer).session_id
    join(world.app, customer if who == "customer" else mechanic.user_id, session_id)
    world.let_time_pass(600)
    assert world.end(customer, session_id).reason == "no_show"
    assert column(world, session_id, "absent") == absent
    assert last_event(world, session_id)["data"] == {"reason": "no_show", "absent": absent, "endedBy": "customer"}


def test_a_change_of_mind_is_nobodys_no_show(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.waiting(mechanic, customer).session_id
    join(world.app, mechanic.user_id, session_id)
    ended = world.end(customer, session_id)
    assert (ended.reason, ended.ended_by, column(world, session_id, "absent")) == ("withdrawn", "customer", None)


def test_a_meeting_that_ended_long_ago_counts_until_its_end(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(70)
    leave(world.app, mechanic.user_id, session_id)
    together = column(world, session_id, "parted_at") - column(world, session_id, "started_at")
    world.let_time_pass(3600)
    assert outcome(world.end(customer, session_id)) == ("completed", "billable", together // timedelta(seconds=1))
    assert timedelta(seconds=70) <= together < timedelta(seconds=3600)


def test_a_session_never_lasts_longer_than_its_plan_allows(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(200 * 60)
    assert outcome(world.end(customer, session_id)) == ("completed", "billable", 180 * 60)


def test_a_backdated_start_is_no_time_together(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.owner.execute("UPDATE sessions SET started_at = started_at - interval '60 s' WHERE id = %s", [session_id])
    assert world.end(customer, session_id).reason == "too_short"


def test_time_apart_does_not_count(world: World) -> None:
    """Both in, the mechanic away for a minute, back for the end: they were together for seconds."""
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    leave(world.app, mechanic.user_id, session_id)
    world.let_time_pass(62)
    join(world.app, mechanic.user_id, session_id)
    assert outcome(world.end(mechanic.user_id, session_id))[:2] == ("cancelled", "too_short")


def test_what_the_client_claims_is_ignored() -> None:
    claim = '{"status": "cancelled", "endedAt": "2020-01-01T00:00:00Z", "startedAt": null, "mechanicNotes": "Brakes"}'
    assert EndRequest.model_validate_json(claim).model_dump(exclude_none=True) == {"mechanic_notes": "Brakes"}


# --- the threshold --------------------------------------------------------------------------------


def test_the_settings_table_sets_the_threshold_and_the_session_keeps_it(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('min_billable_seconds', '30')")
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(30)
    assert world.end(customer, session_id).status == "completed"
    world.owner.execute("UPDATE settings SET value = '300' WHERE key = 'min_billable_seconds'")
    assert column(world, session_id, "min_billable_seconds") == 30
    assert world.end(customer, session_id).status == "completed"


def test_a_setting_of_the_database_reaches_new_connections(world: World) -> None:
    with psycopg.connect(world.urls.superuser_url, autocommit=True) as superuser:
        superuser.execute(f'ALTER DATABASE "{world.urls.name}" SET app.min_billable_seconds = 5')
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.let_time_pass(5)
    ended = world.end(customer, session_id)
    assert (ended.status, ended.reason) == ("completed", "billable")
    assert ended.duration_seconds in range(5, 30)


def test_the_settings_table_wins_over_the_databases_setting(world: World) -> None:
    with psycopg.connect(world.urls.superuser_url, autocommit=True) as superuser:
        superuser.execute(f'ALTER DATABASE "{world.urls.name}" SET app.min_billable_seconds = 5')
    world.owner.execute("INSERT INTO settings (key, value) VALUES ('min_billable_seconds', '20')")
    assert world.app.one("SELECT min_billable_seconds() AS minimum", ()) == {"minimum": 20}


# --- who ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [True, False])
def test_a_customer_withdraws_while_nobody_has_accepted(world: World, *, signed: bool) -> None:
    customer = new_id()
    created = world.queued(customer) if signed else world.pending(customer)
    assert outcome(world.end(customer, created.session_id)) == ("cancelled", "withdrawn", None)
    assert assignments(world, created.session_id) == ["cancelled"]
    assert world.pending(customer).session_status == "pending"


def test_a_customer_withdraws_a_scheduled_session(world: World, next_week: str) -> None:
    customer = new_id()
    created = world.queued(customer, scheduledFor=next_week)
    assert outcome(world.end(customer, created.session_id)) == ("cancelled", "withdrawn", None)


def test_who_is_no_party_does_not_find_the_session(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    world.pending(stranger := new_id())
    for user in (new_id(), stranger, world.mechanic().user_id):
        with pytest.raises(SessionNotFound):
            world.end(user, session_id)
    with pytest.raises(SessionNotFound):
        world.end(customer, new_id())
    assert world.status(session_id) == "live"


def test_a_mechanic_who_gave_it_back_is_no_party(world: World) -> None:
    mechanic = world.mechanic()
    session_id = world.waiting(mechanic).session_id
    release(world.app, mechanic.user_id, session_id)
    with pytest.raises(SessionNotFound):
        world.end(mechanic.user_id, session_id)


def test_a_suspended_mechanic_may_still_end(world: World) -> None:
    mechanic = world.mechanic()
    session_id = world.live(mechanic, new_id()).session_id
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [mechanic.id])
    world.let_time_pass(60)
    assert world.end(mechanic.user_id, session_id).status == "completed"


@pytest.mark.parametrize(
    ("ender", "actor"),
    [
        (Ender(UUID(int=5), any_session=True), ("admin", UUID(int=5))),
        (Ender(any_session=True, actor="operator:sam"), ("operator:sam", None)),
        (Ender(any_session=True), ("system:unnamed", None)),
    ],
)
def test_an_admin_or_an_operator_may_end_any_session(
    world: World, ender: Ender, actor: tuple[str, UUID | None]
) -> None:
    session_id = world.live(world.mechanic(), new_id()).session_id
    assert end_session(world.app, ender, session_id).reason == "too_short"
    event = last_event(world, session_id)
    assert (event["actor"], event["actor_id"]) == actor


@pytest.mark.parametrize("role", ["customer", "mechanic"])
def test_the_audit_row_names_the_party(world: World, role: str) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session_id = world.live(mechanic, customer).session_id
    user_id = customer if role == "customer" else mechanic.user_id
    world.end(user_id, session_id)
    event = last_event(world, session_id)
    assert (event["actor"], event["actor_id"], event["from_status"]) == (role, user_id, "live")


def test_only_the_mechanic_leaves_notes(world: World) -> None:
    def noted(user: str) -> object:
        mechanic, customer = world.mechanic(), new_id()
        session_id = world.live(mechanic, customer).session_id
        user_id = customer if user == "customer" else mechanic.user_id
        end_session(world.app, Ender(user_id), session_id, "New pads")
        return world.one("SELECT text FROM session_notes WHERE session_id = %s", session_id)

    assert (noted("mechanic"), noted("customer")) == ("New pads", None)


def test_an_expired_session_says_so(world: World) -> None:
    customer = new_id()
    session_id = world.queued(customer).session_id
    world.let_time_pass(7201)
    world.owner.execute("SELECT expire_orphaned_sessions()")
    ended = world.end(customer, session_id)
    assert (*outcome(ended), ended.already_ended) == ("expired", "expired", None, True)


def test_both_are_free_for_the_next_session(world: World) -> None:
    mechanic, customer = world.mechanic(), new_id()
    world.end(customer, world.live(mechanic, customer).session_id)
    again = world.live(mechanic, customer)
    assert world.status(again.session_id) == "live"


# --- an operator's words --------------------------------------------------------------------------


def explanation(world: World, user_id: UUID, session_id: UUID) -> str | None:
    return session_detail(world.app, user_id, session_id).explanation


def test_what_an_operator_says_of_the_end_is_read_by_both(world: World) -> None:
    mechanic, customer, admin = world.mechanic(), new_id(), Ender(new_id(), any_session=True)
    session_id = world.live(mechanic, customer).session_id
    end_session(world.app, admin, session_id)
    for words in ("The line was down.", "Something else."):
        explain_end(world.app, admin, session_id, words)
    assert {explanation(world, user, session_id) for user in (customer, mechanic.user_id)} == {"The line was down."}


def test_only_who_ended_it_as_an_operator_explains(world: World) -> None:
    customer, admin = new_id(), Ender(new_id(), any_session=True)
    session_id = world.live(world.mechanic(), customer).session_id
    explain_end(world.app, admin, session_id, "Not yet.")
    end_session(world.app, Ender(customer), session_id)
    explain_end(world.app, Ender(customer), session_id, "I had to go.")
    explain_end(world.app, admin, session_id, "It was not me.")
    assert explanation(world, customer, session_id) is None
