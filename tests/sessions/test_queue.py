"""The queue: who sees which request, in which order, page by page."""

import base64
import json
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest

from autodoctor.errors import MechanicNotActive, Unprocessable
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from autodoctor.intake.funded import start_funded_intake
from autodoctor.sessions.accept import decline
from autodoctor.sessions.presence import release
from autodoctor.sessions.queue import Queue, fetch_queue
from autodoctor.sessions.queue_position import queue_positions
from autodoctor.web.schemas import now
from support.world import Mechanic, World, intake_request


def sees(world: World, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(world.app, mechanic.user_id).assignments]


# --- every kind of mechanic times every kind of request ------------------------------------------


@dataclass(frozen=True)
class People:
    """One mechanic of each kind, and the workshop of one of them."""

    workshop: UUID
    independent: Mechanic
    employed: Mechanic
    elsewhere: Mechanic
    asked_for: Mechanic
    suspended: Mechanic


@pytest.fixture
def people(world: World) -> People:
    workshop = world.workshop()
    people = People(
        workshop=workshop,
        independent=world.mechanic(),
        employed=world.mechanic(workshop),
        elsewhere=world.mechanic(world.workshop()),
        asked_for=world.mechanic(workshop),
        suspended=world.mechanic(workshop),
    )
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [people.suspended.id])
    return people


def request_of(world: World, people: People, kind: str, next_week: str) -> SessionCreated:
    """A request of one kind."""
    asked_for, workshop = people.asked_for.id, people.workshop
    kinds: dict[str, dict[str, object]] = {
        "general": {},
        "unsigned": {},
        "of the workshop": {"workshopId": workshop},
        "offered": {"preferredMechanicId": asked_for},
        "offered within the workshop": {"preferredMechanicId": asked_for, "workshopId": workshop},
        "offer lapsed, not swept": {"preferredMechanicId": asked_for},
        "declined": {"preferredMechanicId": asked_for},
        "declined within the workshop": {"preferredMechanicId": asked_for, "workshopId": workshop},
        "scheduled, before its lead": {"scheduledFor": next_week},
        "scheduled, within its lead": {"scheduledFor": next_week},
        "accepted": {},
        "ended": {},
    }
    customer = new_id()
    created = (world.pending if kind == "unsigned" else world.queued)(customer, **kinds[kind])
    if kind.startswith("declined"):
        decline(world.app, people.asked_for.user_id, created.assignment_id)
    elif kind == "offer lapsed, not swept":
        world.let_time_pass(121)
    elif kind == "scheduled, within its lead":
        world.let_time_pass(7 * 86_400 - 14 * 60)
    elif kind == "accepted":
        world.accept(people.independent, created)
    elif kind == "ended":
        world.end(customer, created.session_id)
    return created


@pytest.mark.parametrize(
    ("kind", "seen_by"),
    [
        ("general", {"independent", "employed", "elsewhere", "asked_for"}),
        ("unsigned", set()),
        ("of the workshop", {"employed", "asked_for"}),
        ("offered", {"asked_for"}),
        ("offered within the workshop", {"asked_for"}),
        ("offer lapsed, not swept", set()),
        ("declined", {"independent", "employed", "elsewhere"}),
        ("declined within the workshop", {"employed"}),
        ("scheduled, before its lead", set()),
        ("scheduled, within its lead", {"independent", "employed", "elsewhere", "asked_for"}),
        ("accepted", set()),
        ("ended", set()),
    ],
)
def test_who_sees_what(world: World, people: People, next_week: str, kind: str, seen_by: set[str]) -> None:
    request_of(world, people, kind, next_week)
    active = ("independent", "employed", "elsewhere", "asked_for")
    assert {name for name in active if sees(world, getattr(people, name))} == seen_by
    with pytest.raises(MechanicNotActive):
        sees(world, people.suspended)


def test_who_is_no_mechanic_is_not_active(world: World) -> None:
    with pytest.raises(MechanicNotActive):
        fetch_queue(world.app, new_id())


def test_nobody_sees_their_own_request(world: World) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    created = world.queued(mechanic.user_id)
    assert (sees(world, mechanic), sees(world, other)) == ([], [created.session_id])


def test_a_busy_mechanic_still_sees_the_queue(world: World) -> None:
    mechanic = world.mechanic()
    world.waiting(mechanic)
    created = world.queued()
    assert sees(world, mechanic) == [created.session_id]


# --- what is shown --------------------------------------------------------------------------------


def test_a_request_is_shown_with_what_a_mechanic_needs_to_know(world: World) -> None:
    workshop = world.workshop()
    mechanic = world.mechanic(workshop)
    created = world.queued(
        workshopId=workshop, preferredMechanicId=mechanic.id, urgent=True, sessionType="video", name="Cora"
    )
    (shown,) = fetch_queue(world.app, mechanic.user_id).assignments
    assert shown.model_dump(exclude={"queued_at", "offer_expires_at"}) == {
        "assignment_id": created.assignment_id,
        "session_id": created.session_id,
        "status": "offered",
        "session_type": "video",
        "plan": "free",
        "customer_name": "Cora",
        "vehicle_summary": "2019 Volvo V60",
        "concern": "Squeals when braking",
        "picture_id": None,
        "pays_cents": 0,
        "currency": "usd",
        "included_minutes": 5,
        "urgent": True,
        "scheduled_for": None,
        "workshop_id": workshop,
    }
    assert shown.offer_expires_at is not None
    assert 119 < (shown.offer_expires_at - shown.queued_at).total_seconds() <= 121


def test_a_general_request_has_neither_workshop_nor_deadline(world: World) -> None:
    world.queued()
    (shown,) = fetch_queue(world.app, world.mechanic().user_id).assignments
    assert (shown.status, shown.workshop_id, shown.offer_expires_at) == ("queued", None, None)


def test_an_empty_queue_is_an_empty_page(world: World) -> None:
    assert fetch_queue(world.app, world.mechanic().user_id) == Queue(assignments=[], next_cursor=None)


# --- order and pages ------------------------------------------------------------------------------


def test_urgent_first_then_longest_waiting(world: World) -> None:
    calm_old, urgent_old = world.queued(), world.urgent()
    world.let_time_pass(60)
    calm_new, urgent_new = world.queued(), world.urgent()
    expected = [urgent_old, urgent_new, calm_old, calm_new]
    assert sees(world, world.mechanic()) == [created.session_id for created in expected]


def test_a_fresh_account_that_pays_nothing_displaces_nobody(world: World) -> None:
    honest = [world.queued() for _ in range(2)]
    ring = [world.queued(urgent=True) for _ in range(10)]
    expected = [*honest, *ring]
    assert sees(world, world.mechanic()) == [created.session_id for created in expected]
    assert [shown.session_id for shown in queue_positions(world.app)][:2] == [one.session_id for one in honest]


def test_urgent_and_paid_comes_before_urgent_of_a_known_customer_before_all_others(
    world: World,
) -> None:
    known, mechanic = new_id(), world.mechanic()
    before = world.live(mechanic, known)
    world.let_time_pass(61)
    world.end(known, before.session_id)
    calm, free = world.queued(), world.queued(known, urgent=True)
    credited = new_id()
    world.owner.execute(
        "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, actor_id, reason)"
        " VALUES ('test', 'credits_issued', %s, 1, 'credit', 'credit_grant', %s, 'a test')",
        [f"customer:{credited}:credits", new_id()],
    )
    request = intake_request(plan="quick", payWith="credit", urgent=True, waiver={"signedName": "Cora"})
    paid = start_funded_intake(world.app, credited, request)
    assert isinstance(paid, SessionCreated)
    assert sees(world, mechanic) == [each.session_id for each in (paid, free, calm)]
    world.end(known, free.session_id)
    world.queued(known, urgent=True)  # the second one in a day
    assert world.one("SELECT array_agg(precedence ORDER BY id) FROM session_assignments") == [2, 2, 1, 0, 2]


def test_a_request_keeps_its_precedence_when_it_is_given_back(world: World) -> None:
    mechanic, created = world.mechanic(), world.urgent()
    calm = world.queued()
    world.accept(mechanic, created)
    release(world.app, mechanic.user_id, created.session_id)
    assert sees(world, world.mechanic()) == [created.session_id, calm.session_id]


def test_a_request_for_later_says_so(world: World) -> None:
    soon = now() + timedelta(minutes=10)
    world.queued(scheduledFor=soon.isoformat())
    world.queued()
    shown = fetch_queue(world.app, world.mechanic().user_id).assignments
    assert [assignment.scheduled_for for assignment in shown] == [None, soon] or [
        assignment.scheduled_for for assignment in shown
    ] == [soon, None]


def test_who_waits_longest_counts_from_the_signature(world: World) -> None:
    slow = world.pending(customer := new_id())
    world.let_time_pass(60)
    quick = world.queued()
    world.sign(customer, slow.session_id)
    assert sees(world, world.mechanic()) == [quick.session_id, slow.session_id]


@pytest.mark.parametrize("limit", ["1", "2", "3", "7", "100"])
def test_pages_show_everything_once_and_in_order(world: World, limit: str) -> None:
    mechanic = world.mechanic()
    for number in range(7):
        (world.urgent if number % 3 == 0 else world.queued)()
    # Ties: all of them have waited for exactly as long as each other.
    world.owner.execute("UPDATE session_assignments SET queued_at = '2026-11-21T10:00:00Z'")
    expected = sees(world, mechanic)
    shown: list[UUID] = []
    cursor = None
    for _ in range(8):
        page = fetch_queue(world.app, mechanic.user_id, limit, cursor)
        assert len(page.assignments) <= int(limit)
        shown += [assignment.session_id for assignment in page.assignments]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert (shown, len(shown)) == (expected, 7)


def test_a_page_goes_on_after_what_was_taken_meanwhile(world: World) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    created = [world.queued() for _ in range(3)]
    first = fetch_queue(world.app, mechanic.user_id, "1")
    world.accept(other, created[0])
    second = fetch_queue(world.app, mechanic.user_id, "1", first.next_cursor)
    assert [shown.session_id for shown in second.assignments] == [created[1].session_id]


def test_twenty_a_page_unless_asked_otherwise(world: World) -> None:
    mechanic = world.mechanic()
    for _ in range(21):
        world.queued()
    assert len(fetch_queue(world.app, mechanic.user_id).assignments) == 20
    page = fetch_queue(world.app, mechanic.user_id, "21")
    assert (len(page.assignments), page.next_cursor) == (21, None)


def refused_at(world: World, limit: str | None = None, cursor: str | None = None) -> object:
    with pytest.raises(Unprocessable) as refused:
        fetch_queue(world.app, world.mechanic().user_id, limit, cursor)
    errors = refused.value.extras["errors"]
    assert isinstance(errors, list)
    return [error["pointer"] for error in errors]


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "", " 5", "5.0", "1e1", "five", "1000000000000", "\u0665", "\u00b2", "1,2", "\x00"]
)
def test_a_limit_is_a_whole_number_from_1_to_100(world: World, limit: str) -> None:
    assert refused_at(world, limit=limit) == ["/limit"]


def encoded(position: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


GOOD_ID = "0197d3a5-0000-7000-8000-000000000001"
NO_POSITIONS: tuple[object, ...] = ([], {}, None, "abc", 5, [True], [[[]]], [True] * 3, [True] * 4)
BAD_CURSORS = [
    *("", "x", "=", "null", "%00", "\x00", "\ud800", "ä", "AAAA", "e30=", GOOD_ID),
    *map(encoded, NO_POSITIONS),
    encoded([True, "2026-11-21T10:00:00+00:00", GOOD_ID]),
    encoded([3, "2026-11-21T10:00:00+00:00", GOOD_ID]),
    encoded([1, "2026-11-21T10:00:00", GOOD_ID]),
    encoded([1, "yesterday", GOOD_ID]),
    encoded([1, "2026-11-21T10:00:00Z", "1"]),
    encoded([1, "2026-11-21T10:00:00Z", None]),
    encoded([1, None, GOOD_ID]),
    encoded([1, 10**20, GOOD_ID]),
    encoded([1, "99999-11-21T10:00:00Z", GOOD_ID]),
    encoded([1, "2026-11-21T10:00:00+99:00", GOOD_ID]),
    base64.urlsafe_b64encode(b"[" * 5000).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
]


@pytest.mark.parametrize("cursor", BAD_CURSORS, ids=range(len(BAD_CURSORS)))
def test_a_cursor_of_somebody_elses_making_is_refused(world: World, cursor: str) -> None:
    assert refused_at(world, cursor=cursor) == ["/cursor"]


@pytest.mark.parametrize(
    "at",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-21T10:00:00+00:00:30.000001"],
)
def test_a_forged_cursor_at_the_ends_of_time_is_no_error_of_ours(world: World, at: str) -> None:
    cursor = encoded([True, at, GOOD_ID])
    try:
        page = fetch_queue(world.app, world.mechanic().user_id, None, cursor)
    except Unprocessable:
        return
    assert page.assignments == []
