"""A mechanic's availability: a lease that lapses by itself, and that an open feed keeps."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import ValidationError

from autodoctor.errors import MechanicNotActive
from autodoctor.events.model import MechanicEvent, SuspensionEvent, event_of
from autodoctor.events.outbox import pending
from autodoctor.ids import new_id
from autodoctor.sessions.availability import Availability, AvailabilityRequest, availability, set_availability
from support.world import Mechanic, World

HOUR = 3600


@pytest.fixture
def mechanic(world: World) -> Mechanic:
    return world.mechanic(available_until=None)


def post(world: World, mechanic: Mechanic, *, available: bool = True, minutes: int = 60) -> Availability:
    return set_availability(world.app, mechanic.user_id, AvailabilityRequest(available=available, minutes=minutes))


def get(world: World, mechanic: Mechanic) -> Availability:
    return availability(world.app, mechanic.user_id)


def offered(world: World, mechanic: Mechanic) -> bool:
    """Whether a new request for this mechanic is offered, by the answer and in fact; it is withdrawn again."""
    created = world.queued(customer := new_id(), preferredMechanicId=mechanic.id)
    world.end(customer, created.session_id)
    assert (created.preferred_mechanic == "offered") == (created.assignment_status == "offered")
    return created.assignment_status == "offered"


def open_feed(world: World, mechanic: Mechanic, connection_id: str = "feed", seconds: int = 2 * HOUR) -> str:
    world.owner.execute(
        "INSERT INTO realtime_connections (connection_id, user_id, groups, mechanic_id, since, expires_at)"
        " VALUES (%s, %s, '{mechanics}', %s, 0, clock_timestamp() + make_interval(secs => %s))",
        [connection_id, mechanic.user_id, mechanic.id, seconds],
    )
    return connection_id


def close_feed(world: World, connection_id: str = "feed") -> None:
    world.owner.execute("DELETE FROM realtime_connections WHERE connection_id = %s", [connection_id])


def seconds_left(shown: Availability) -> float:
    assert shown.available_until is not None
    return (shown.available_until - datetime.now(UTC)).total_seconds()


# --- the lease ------------------------------------------------------------------------------------


def test_who_never_said_so_is_not_available(world: World, mechanic: Mechanic) -> None:
    assert get(world, mechanic) == Availability(
        mechanic_id=mechanic.id, available=False, available_until=None, kept_alive_by_feed=False
    )
    assert not offered(world, mechanic)


@pytest.mark.parametrize(("body", "minutes"), [('{"available": true}', 60), ('{"available": true, "minutes": 5}', 5)])
def test_a_lease_lasts_as_long_as_asked_for(world: World, mechanic: Mechanic, body: str, minutes: int) -> None:
    taken = set_availability(world.app, mechanic.user_id, AvailabilityRequest.model_validate_json(body))
    assert (taken.available, taken.kept_alive_by_feed) == (True, False)
    assert -1 < minutes * 60 - seconds_left(taken) < 60
    assert get(world, mechanic) == taken
    assert offered(world, mechanic)


def test_a_lease_lapses_by_itself(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=5)
    world.let_time_pass(299)
    assert offered(world, mechanic)
    world.let_time_pass(2)
    assert (get(world, mechanic).available, get(world, mechanic).available_until) == (False, None)
    assert not offered(world, mechanic)


def test_a_lease_is_given_back(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic)
    assert not post(world, mechanic, available=False).available
    assert not offered(world, mechanic)


def test_a_new_lease_replaces_the_old_one(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=720)
    assert seconds_left(post(world, mechanic, minutes=1)) <= 60


def test_a_standing_lease_has_no_end(world: World) -> None:
    standing = world.mechanic()
    assert (get(world, standing).available, get(world, standing).available_until) == (True, None)


@pytest.mark.parametrize(
    "body",
    [
        *('{"available": true, "minutes": 0}', '{"available": true, "minutes": 721}', "{}"),
        *('{"available": "yes"}', '{"available": true, "minutes": 1.5}', '{"available": null}'),
    ],
)
def test_what_is_no_lease_is_refused(body: str) -> None:
    with pytest.raises(ValidationError):
        AvailabilityRequest.model_validate_json(body)


@pytest.mark.parametrize("kind", ["suspended", "unknown"])
def test_who_is_no_active_mechanic_has_no_availability(world: World, mechanic: Mechanic, kind: str) -> None:
    world.owner.execute("UPDATE mechanics SET status = 'suspended'")
    caller = mechanic if kind == "suspended" else Mechanic(new_id(), new_id())
    with pytest.raises(MechanicNotActive):
        get(world, caller)
    with pytest.raises(MechanicNotActive):
        post(world, caller)


def test_a_mechanic_with_a_session_is_passed_over_although_available(world: World) -> None:
    mechanic = world.mechanic()
    world.waiting(mechanic)
    assert get(world, mechanic).available
    assert not offered(world, mechanic)


# --- kept by the feed -----------------------------------------------------------------------------


def test_an_open_feed_keeps_a_lease(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=5)
    open_feed(world, mechanic)
    world.let_time_pass(HOUR)
    shown = get(world, mechanic)
    assert (shown.available, shown.kept_alive_by_feed) == (True, True)
    assert abs(seconds_left(shown) - 60) < 5  # should it close now
    assert offered(world, mechanic)


def test_a_lease_taken_with_the_feed_open_is_kept_too(world: World, mechanic: Mechanic) -> None:
    open_feed(world, mechanic)
    assert post(world, mechanic, minutes=5).kept_alive_by_feed
    world.let_time_pass(HOUR)
    assert offered(world, mechanic)


def test_a_feed_alone_makes_nobody_available(world: World, mechanic: Mechanic) -> None:
    open_feed(world, mechanic)
    assert not get(world, mechanic).available
    close_feed(world)
    assert not get(world, mechanic).available


def test_a_feed_revives_no_lapsed_lease(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=5)
    world.let_time_pass(301)
    open_feed(world, mechanic)
    assert not offered(world, mechanic)
    close_feed(world)
    assert not offered(world, mechanic)


def test_a_lease_given_back_ends_with_the_feed_open(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic)
    open_feed(world, mechanic)
    post(world, mechanic, available=False)
    assert not offered(world, mechanic)
    close_feed(world)
    assert not offered(world, mechanic)


def test_a_lease_outlasts_its_feed_by_a_minute(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=5)
    open_feed(world, mechanic)
    world.let_time_pass(HOUR)
    close_feed(world)
    shown = get(world, mechanic)
    assert (shown.available, shown.kept_alive_by_feed) == (True, False)
    world.let_time_pass(50)
    assert offered(world, mechanic)
    world.let_time_pass(11)
    assert not offered(world, mechanic)


def test_a_closing_feed_shortens_no_lease(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=60)
    open_feed(world, mechanic)
    close_feed(world)
    assert seconds_left(get(world, mechanic)) > HOUR - 60


def test_a_page_loaded_again_keeps_the_lease_for_hours(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=5)
    for _ in range(3):
        open_feed(world, mechanic)
        world.let_time_pass(HOUR)
        close_feed(world)
        world.let_time_pass(50)
        assert offered(world, mechanic)


@pytest.mark.parametrize("first", ["old", "new"])
def test_of_two_feeds_either_may_close_first(world: World, mechanic: Mechanic, first: str) -> None:
    post(world, mechanic, minutes=5)
    open_feed(world, mechanic, "old")
    world.let_time_pass(HOUR)
    open_feed(world, mechanic, "new")
    world.let_time_pass(600)
    close_feed(world, first)
    world.let_time_pass(600)
    assert get(world, mechanic).kept_alive_by_feed
    assert offered(world, mechanic)


def test_a_feed_left_behind_keeps_no_lease_for_ever(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=5)
    open_feed(world, mechanic)
    world.let_time_pass(2 * HOUR - 5)
    assert offered(world, mechanic)
    world.let_time_pass(10)
    assert not offered(world, mechanic)
    world.let_time_pass(600)
    close_feed(world)  # swept away at last
    assert not offered(world, mechanic)


def test_another_s_feed_keeps_nothing(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=5)
    open_feed(world, world.mechanic())
    world.let_time_pass(HOUR)
    assert not offered(world, mechanic)


def test_on_duty_is_who_is_available_and_active(world: World) -> None:
    """The view that counts mechanics says what `is_available()` says of each."""
    leases = {"standing": "infinity", "never": None, "lapsed": "-infinity"}
    people = {name: world.mechanic(available_until=lease) for name, lease in leases.items()}
    people |= {
        name: world.mechanic(available_until=None) for name in ("leased", "fed", "away", "suspended", "twice fed")
    }
    for name in ("fed", "away", "twice fed"):
        post(world, people[name], minutes=5)
        open_feed(world, people[name], name, HOUR if name == "away" else 2 * HOUR)
    open_feed(world, people["twice fed"], "again")
    world.let_time_pass(HOUR + 1)
    for name in ("leased", "suspended"):
        post(world, people[name])
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [people["suspended"].id])
    on_duty = [row["id"] for row in world.owner.execute("SELECT id FROM mechanics_on_duty").fetchall()]
    assert sorted(on_duty) == sorted(people[name].id for name in ("standing", "leased", "fed", "twice fed"))
    rows = world.owner.execute("SELECT id, status, is_available(id, available_until) AS available FROM mechanics")
    assert set(on_duty) == {row["id"] for row in rows if row["available"] and row["status"] == "active"}


# --- what it tells others -------------------------------------------------------------------------


def announced(world: World, mechanic: Mechanic) -> list[bool]:
    """The contents of this mechanic's events, oldest first."""
    events = [event_of(row) for row in pending(world.app, mechanic.id)]
    assert all(
        isinstance(event, MechanicEvent | SuspensionEvent) and event.mechanic_id == mechanic.id for event in events
    )
    return [event.available for event in events if isinstance(event, MechanicEvent)]


def test_each_change_is_an_event_and_a_longer_lease_is_none(world: World, mechanic: Mechanic) -> None:
    for available in (True, True, False, False, True):
        post(world, mechanic, available=available)
    assert announced(world, mechanic) == [True, False, True]


def test_a_feed_is_no_event(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic, minutes=5)
    open_feed(world, mechanic, "old")
    world.let_time_pass(HOUR)
    open_feed(world, mechanic, "new")
    close_feed(world, "old")
    close_feed(world, "new")
    assert announced(world, mechanic) == [True]


def test_a_suspension_is_an_event(world: World) -> None:
    mechanic = world.mechanic()
    for status in ("suspended", "active"):
        world.owner.execute("UPDATE mechanics SET status = %s WHERE id = %s", [status, mechanic.id])
    assert announced(world, mechanic) == [False, True]
    types = [event_of(row).type for row in pending(world.app, mechanic.id)]
    assert types.count("mechanic.suspended") == 1


# --- a wish for a mechanic ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lease", "said", "status"),
    [("infinity", "offered", "offered"), (None, "unavailable", "queued")],
)
def test_the_customer_is_told_what_became_of_their_wish(
    world: World, lease: str | None, said: str, status: str
) -> None:
    mechanic = world.mechanic(available_until=lease)
    at_once = world.queued(at_once_customer := new_id(), preferredMechanicId=mechanic.id)
    assert (at_once.preferred_mechanic, at_once.assignment_status) == (said, status)
    world.end(at_once_customer, at_once.session_id)
    later = world.pending(customer := new_id(), preferredMechanicId=mechanic.id)
    assert later.preferred_mechanic is None  # not decided before the waiver is signed
    signed = world.signed(customer, later.session_id)
    assert (signed.preferred_mechanic, signed.assignment_status) == (said, status)
    assert world.signed(customer, later.session_id) == signed


def test_without_a_wish_there_is_nothing_to_tell(world: World, mechanic: Mechanic) -> None:
    post(world, mechanic)
    assert world.queued().preferred_mechanic is None
    created = world.pending(customer := new_id())
    assert world.signed(customer, created.session_id).preferred_mechanic is None


def test_signing_again_still_says_what_became_of_the_wish(world: World) -> None:
    asked, other = world.mechanic(), world.mechanic()
    created = world.queued(customer := new_id(), preferredMechanicId=asked.id)
    world.let_time_pass(121)
    world.one("SELECT expire_lapsed_offers()")
    assert world.signed(customer, created.session_id).preferred_mechanic == "offered"
    world.accept_current(other, created.session_id)
    assert world.signed(customer, created.session_id).preferred_mechanic == "offered"


def test_a_wish_for_a_day_to_come_is_offered_whoever_is_away_now(
    world: World, mechanic: Mechanic, next_week: str
) -> None:
    created = world.queued(preferredMechanicId=mechanic.id, scheduledFor=next_week)
    assert created.preferred_mechanic == "offered"


def index_scans(world: World, query: str, *parameters: object) -> str:
    plan = world.owner.execute(f"EXPLAIN (COSTS OFF) {query}", parameters).fetchall()
    return "\n".join(row["QUERY PLAN"] for row in plan)


def test_nobody_walks_all_mechanics(world: World) -> None:
    world.owner.execute("INSERT INTO mechanics (user_id, name) SELECT new_id(), 'Max' FROM generate_series(1, 5000)")
    world.mechanic()
    world.owner.execute("ANALYZE mechanics")
    plan = index_scans(world, "SELECT * FROM mechanics_on_duty")
    assert "Seq Scan on mechanics" not in plan
    assert "mechanics_by_lease" in plan


def test_an_answer_is_json(world: World, mechanic: Mechanic) -> None:
    shown = post(world, mechanic).model_dump(mode="json", by_alias=True)
    assert set(shown) == {"mechanicId", "available", "availableUntil", "keptAliveByFeed"}
    assert UUID(shown["mechanicId"]) == mechanic.id
    assert timedelta(minutes=59) < datetime.fromisoformat(shown["availableUntil"]) - datetime.now(UTC)
