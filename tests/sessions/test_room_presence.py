"""The room as a witness: sockets that are bound to it, what ends their presence, and how much evidence there may be."""

from contextlib import nullcontext
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from autodoctor.errors import SessionEnded, SessionNotFound, Unprocessable
from autodoctor.events.feed.connections import drop
from autodoctor.ids import new_id
from autodoctor.sessions.presence import join, leave, release
from support.integrity.findings import findings
from support.sessions.evidence import column, stretches
from support.world import Mechanic, World

MOST = 1000


@pytest.fixture
def session_id(world: World, mechanic: Mechanic, customer: UUID) -> UUID:
    """A session that this mechanic has accepted from this customer."""
    return world.waiting(mechanic, customer).session_id


def present(world: World, session_id: UUID) -> tuple[bool, bool]:
    """Whether the customer is there, and whether the mechanic is."""
    return column(world, session_id, "customer_present"), column(world, session_id, "mechanic_present")


def test_a_socket_is_there_until_it_closes(world: World, customer: UUID, mechanic: Mechanic, session_id: UUID) -> None:
    mine, theirs = world.socket(customer), world.socket(mechanic.user_id)
    join(world.app, customer, session_id, mine)
    assert join(world.app, mechanic.user_id, session_id, theirs).session_status == "live"
    assert stretches(world, session_id) == ["customer room...", "mechanic room..."]
    drop(world.app, [mine])
    assert stretches(world, session_id) == ["customer room", "mechanic room..."]
    assert present(world, session_id) == (False, True)


@pytest.mark.parametrize("whose", ["nobody's", "another's", "an ended one", "one that is past its time"])
def test_a_connection_that_is_not_the_callers_and_live_is_refused(
    world: World, customer: UUID, session_id: UUID, whose: str
) -> None:
    named = "L0SM9cOFvHcCIhw="
    if whose == "another's":
        named = world.socket(new_id())
    elif whose != "nobody's":
        named = world.socket(customer)
        if whose == "an ended one":
            drop(world.app, [named])
        else:
            world.owner.execute("UPDATE realtime_connections SET expires_at = clock_timestamp()")
    with pytest.raises(Unprocessable) as refused:
        join(world.app, customer, session_id, named)
    assert "'pointer': '/connectionId'" in str(refused.value.extras)
    assert (stretches(world, session_id), present(world, session_id)) == ([], (False, False))


def test_who_may_not_enter_another_room_stays_in_their_own(world: World, customer: UUID, session_id: UUID) -> None:
    others = world.waiting(world.mechanic(), new_id()).session_id
    join(world.app, customer, session_id, socket := world.socket(customer))
    for refused in (others, new_id()):
        with pytest.raises(SessionNotFound):
            join(world.app, customer, refused, socket)
    assert (stretches(world, session_id), present(world, session_id)) == (["customer room..."], (True, False))


def test_a_claim_gives_way_to_a_witness(world: World, customer: UUID, session_id: UUID) -> None:
    """Who joins before their feed says `connected`, and once more with its id, leaves when the socket closes."""
    join(world.app, customer, session_id)
    join(world.app, customer, session_id, socket := world.socket(customer))
    assert stretches(world, session_id) == ["customer claim", "customer room..."]
    drop(world.app, [socket])
    assert present(world, session_id) == (False, False)


def test_a_later_claim_replaces_no_witness(world: World, customer: UUID, session_id: UUID) -> None:
    join(world.app, customer, session_id, socket := world.socket(customer))
    join(world.app, customer, session_id)
    assert stretches(world, session_id) == ["customer room..."]
    drop(world.app, [socket])
    assert present(world, session_id) == (False, False)


@pytest.mark.parametrize(("ago", "refused"), [(1.0, False), (2.0, True)])
def test_a_flap_that_was_in_time_goes_on_although_its_statement_took_a_moment(
    world: World, customer: UUID, session_id: UUID, *, ago: float, refused: bool
) -> None:
    join(world.app, customer, session_id, socket := world.socket(customer))
    leave(world.app, customer, session_id, socket)
    world.let_time_pass(ago)
    with pytest.raises(psycopg.DatabaseError) if refused else nullcontext():
        world.owner.execute("UPDATE session_presence SET until = NULL, closed_at = NULL")
    assert stretches(world, session_id) == ["customer room" if refused else "customer room..."]


def test_of_two_devices_one_may_leave(world: World, customer: UUID, session_id: UUID) -> None:
    phone, laptop = world.socket(customer), world.socket(customer)
    join(world.app, customer, session_id, phone)
    join(world.app, customer, session_id, laptop)
    leave(world.app, customer, session_id, phone)
    assert stretches(world, session_id) == ["customer room", "customer room..."]
    assert present(world, session_id) == (True, False)
    leave(world.app, customer, session_id, laptop)
    assert present(world, session_id) == (False, False)


def test_a_bare_leave_takes_back_all_of_the_callers(
    world: World, customer: UUID, mechanic: Mechanic, session_id: UUID
) -> None:
    join(world.app, mechanic.user_id, session_id, world.socket(mechanic.user_id))
    for _ in range(2):
        join(world.app, customer, session_id, world.socket(customer))
    leave(world.app, customer, session_id)
    assert stretches(world, session_id) == ["mechanic room...", "customer room", "customer room"]
    assert present(world, session_id) == (False, True)
    assert world.one("SELECT count(*) FROM realtime_connections WHERE room = %s", session_id) == 1


def test_leaving_with_a_connection_that_is_not_in_the_room_changes_nothing(
    world: World, customer: UUID, mechanic: Mechanic, session_id: UUID
) -> None:
    join(world.app, mechanic.user_id, session_id, theirs := world.socket(mechanic.user_id))
    join(world.app, customer, session_id, world.socket(customer))
    for named in (theirs, world.socket(customer), "L0SM9cOFvHcCIhw="):
        leave(world.app, customer, session_id, named)
    assert present(world, session_id) == (True, True)


def test_who_gives_a_session_back_leaves_its_room(world: World, mechanic: Mechanic, session_id: UUID) -> None:
    join(world.app, mechanic.user_id, session_id, socket := world.socket(mechanic.user_id))
    release(world.app, mechanic.user_id, session_id)
    assert stretches(world, session_id) == ["mechanic room"]
    assert world.one("SELECT room FROM realtime_connections WHERE connection_id = %s", socket) is None


def test_a_socket_is_in_one_room_at_a_time(world: World, customer: UUID, mechanic: Mechanic, session_id: UUID) -> None:
    join(world.app, customer, session_id, socket := world.socket(customer))
    world.end(customer, session_id)
    other = world.waiting(mechanic, customer).session_id
    join(world.app, customer, other, socket)
    assert (stretches(world, session_id), stretches(world, other)) == (["customer room"], ["customer room..."])


def test_after_the_end_a_socket_may_read_and_is_no_evidence(world: World, customer: UUID, session_id: UUID) -> None:
    world.end(customer, session_id)
    socket = world.socket(customer)
    entered = world.app.one("SELECT * FROM enter_room(%s, %s, %s)", (session_id, customer, socket))
    assert entered is not None
    assert (entered["bound"], entered["session_status"], entered["customer_present"]) == (True, "cancelled", False)
    assert stretches(world, session_id) == []
    with pytest.raises(SessionEnded):
        join(world.app, customer, session_id, socket)


def test_a_customer_waits_in_the_room_before_the_accept(world: World, mechanic: Mechanic, customer: UUID) -> None:
    created = world.queued(customer)
    join(world.app, customer, created.session_id, world.socket(customer))
    world.accept(mechanic, created)
    socket = world.socket(mechanic.user_id)
    assert join(world.app, mechanic.user_id, created.session_id, socket).session_status == "live"


def test_flaps_within_a_second_write_nothing(world: World, customer: UUID, session_id: UUID) -> None:
    socket = world.socket(customer)
    for _ in range(50):
        join(world.app, customer, session_id, socket)
        leave(world.app, customer, session_id, socket)
        join(world.app, customer, session_id)
        leave(world.app, customer, session_id)
    assert sorted(stretches(world, session_id)) == ["customer claim", "customer room"]


def test_evidence_is_bounded_and_presence_stays_right(
    world: World, customer: UUID, mechanic: Mechanic, session_id: UUID
) -> None:
    world.owner.execute(
        "INSERT INTO session_presence (session_id, role, source, witness, since, until, closed_at)"
        " SELECT %s, 'customer', 'room', 'old-' || n, now() - interval '1 h', now() - interval '1 h', now()"
        "   FROM generate_series(1, %s) AS n",
        [session_id, MOST],
    )
    join(world.app, mechanic.user_id, session_id, world.socket(mechanic.user_id))
    join(world.app, customer, session_id, socket := world.socket(customer))
    assert (len(stretches(world, session_id)), present(world, session_id)) == (MOST + 1, (True, True))
    drop(world.app, [socket])
    assert (len(stretches(world, session_id)), present(world, session_id)) == (MOST + 1, (False, True))
    join(world.app, customer, session_id)
    assert (len(stretches(world, session_id)), present(world, session_id)) == (MOST + 2, (True, True))
    assert "presence_differs" not in findings(world)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE session_presence SET since = since - interval '1 h'",
        "UPDATE session_presence SET until = until - interval '1 s'",
        "UPDATE session_presence SET until = NULL, closed_at = NULL",
        "UPDATE session_presence SET role = 'mechanic', mechanic_id = (SELECT id FROM mechanics LIMIT 1)",
    ],
)
def test_what_a_witness_saw_is_not_rewritten(
    world: World, customer: UUID, session_id: UUID, change: LiteralString
) -> None:
    join(world.app, customer, session_id, socket := world.socket(customer))
    drop(world.app, [socket])
    world.let_time_pass(2)
    with pytest.raises(psycopg.Error) as refused:
        world.owner.execute(change)
    assert refused.value.sqlstate == "AD004"
    with pytest.raises(psycopg.Error):
        world.owner.execute("DELETE FROM session_presence")


def test_the_application_cannot_write_evidence(world: World, session_id: UUID) -> None:
    for statement in (
        "UPDATE session_presence SET until = NULL",
        "INSERT INTO session_presence (session_id, role, source, since) VALUES (%(id)s, 'customer', 'claim', now())",
        "UPDATE sessions SET customer_present = true WHERE id = %(id)s",
        "UPDATE realtime_connections SET room = %(id)s",
        "SELECT open_presence(%(id)s, 'customer', NULL, 'claim', NULL, now())",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            world.app.execute(statement, {"id": session_id})
