"""Admins add and change mechanics and workshops: the changes, their audit, and two changes at once."""

from collections import Counter
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from autodoctor.admin.audit import changes_of
from autodoctor.admin.mechanics import (
    Mechanic,
    MechanicExists,
    MechanicNotFound,
    MechanicPatch,
    Mechanics,
    NewMechanic,
    mechanic,
    mechanics,
    see_mechanic,
)
from autodoctor.admin.workshops import (
    NewWorkshop,
    WorkshopNotFound,
    WorkshopPatch,
    add_workshop,
    change_workshop,
    workshops,
)
from autodoctor.errors import AssignmentUnavailable, MechanicNotActive, Unprocessable
from autodoctor.ids import new_id
from autodoctor.monitoring.session_lookup import SearchRequest, customer_contact, find_sessions
from autodoctor.payments.ledger.earnings import earnings
from autodoctor.sessions.accept import Accepted, accept
from support.admin_changes import ADMIN, at_once, body, changes, new_mechanic, patch_mechanic
from support.invariants.sessions import violations
from support.world import World

RACES = 20


def names(page: Mechanics) -> list[str]:
    return [each.name for each in page.mechanics]


# --- adding ---------------------------------------------------------------------------------------


def test_a_new_mechanic_is_active_and_not_available_before_saying_so(world: World) -> None:
    workshop = world.workshop()
    added = new_mechanic(world.app, workshopId=workshop)
    assert (added.status, added.available, added.workshop_id, added.session_id) == ("active", False, workshop, None)
    assert (added.name, added.email, added.workshop_name) == ("Mona Marsh", "mona@example.com", "Wheelhouse")
    assert mechanic(world.app, added.mechanic_id) == added


def test_who_added_whom_is_written_down_without_personal_data(world: World) -> None:
    added = new_mechanic(world.app)
    (change,) = changes(world)
    assert (change["actor_id"], change["kind"]) == (ADMIN, "mechanic.added")
    assert (change["subject"], change["before"]) == (str(added.mechanic_id), {})
    assert {"name", "email", "user_id", "status"} <= set(change["changed"])
    assert (change["after"]["user_id"], change["after"]["status"]) == (str(added.user_id), "active")
    assert "Mona" not in str(change)
    assert "mona@" not in str(change)


def test_a_user_is_one_mechanic(world: World) -> None:
    added = new_mechanic(world.app)
    with pytest.raises(MechanicExists) as refused:
        new_mechanic(world.app, userId=added.user_id, name="Another")
    assert refused.value.extras == {"mechanicId": str(added.mechanic_id)}
    assert mechanic(world.app, added.mechanic_id) == added
    assert len(changes(world)) == 1


def test_an_unknown_workshop_is_refused(world: World) -> None:
    known = new_mechanic(world.app)
    with pytest.raises(Unprocessable):
        new_mechanic(world.app, workshopId=new_id())
    with pytest.raises(Unprocessable):
        patch_mechanic(world.app, known.mechanic_id, workshopId=new_id(), name="Another")
    assert mechanic(world.app, known.mechanic_id) == known
    assert len(changes(world)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        *({}, {"userId": "x", "name": "Mona"}, {"userId": new_id()}, {"userId": new_id(), "name": " "}),
        *({"userId": new_id(), "name": "Mona", "email": "mona"}, {"userId": new_id(), "name": 5}),
    ],
)
def test_what_is_no_mechanic_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        body(NewMechanic, fields)


# --- changing -------------------------------------------------------------------------------------


def test_what_a_patch_leaves_out_stays(world: World) -> None:
    added = new_mechanic(world.app, workshopId=world.workshop())
    renamed = patch_mechanic(world.app, added.mechanic_id, name="Mona Miller")
    assert renamed == added.model_copy(update={"name": "Mona Miller"})
    independent = patch_mechanic(world.app, added.mechanic_id, workshopId=None, email=None)
    expected = {"workshop_id": None, "workshop_name": None, "email": None}
    assert independent == renamed.model_copy(update=expected)
    assert mechanic(world.app, added.mechanic_id) == independent


def test_a_change_says_what_was_and_what_is_but_not_of_people(world: World) -> None:
    added = new_mechanic(world.app, workshopId=(workshop := world.workshop()))
    patch_mechanic(world.app, added.mechanic_id, other := new_id(), name="Moritz", status="suspended", workshopId=None)
    change = changes(world)[-1]
    assert (change["actor_id"], change["kind"]) == (other, "mechanic.changed")
    assert change["changed"] == ["name", "status", "suspended_at", "workshop_id"]
    assert change["before"] == {"status": "active", "suspended_at": None, "workshop_id": str(workshop)}
    assert change["after"].pop("suspended_at") is not None
    assert change["after"] == {"status": "suspended", "workshop_id": None}


def test_what_changes_nothing_leaves_no_row(world: World) -> None:
    added = new_mechanic(world.app)
    assert patch_mechanic(world.app, added.mechanic_id, name=added.name, status="active") == added
    assert patch_mechanic(world.app, added.mechanic_id, price=5) == added
    assert [change["kind"] for change in changes(world)] == ["mechanic.added"]


@pytest.mark.parametrize("fields", [{"name": None}, {"status": None}, {"status": "gone"}, {"email": "x"}, {"name": ""}])
def test_what_is_no_patch_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        body(MechanicPatch, fields)


def test_there_is_nothing_to_see_or_change_of_an_unknown_one(world: World) -> None:
    with pytest.raises(MechanicNotFound):
        mechanic(world.app, new_id())
    with pytest.raises(MechanicNotFound):
        patch_mechanic(world.app, new_id(), name="Nobody")
    assert changes(world) == []


# --- suspending -----------------------------------------------------------------------------------


def test_suspending_queues_an_offer_again_and_names_its_session(world: World) -> None:
    held = world.mechanic()
    created = world.queued(preferredMechanicId=held.id)
    suspended = patch_mechanic(world.app, held.id, status="suspended")
    assert (suspended.status, suspended.available, suspended.offered) == ("suspended", False, (created.session_id,))
    assert "offered" not in suspended.model_dump_json()
    assert world.one(
        "SELECT array_agg(status ORDER BY attempt) FROM session_assignments WHERE session_id = %s", created.session_id
    ) == ["expired", "queued"]
    assert violations(world.owner) == []


def test_suspending_is_an_event_and_ends_no_session(world: World) -> None:
    busy, customer = world.mechanic(), new_id()
    created = world.live(busy, customer)
    suspended = patch_mechanic(world.app, busy.id, status="suspended")
    assert (suspended.session_id, world.status(created.session_id)) == (created.session_id, "live")
    assert world.one("SELECT type FROM outbox WHERE subject_id = %s", busy.id) == "mechanic.availability_changed"
    assert world.end(busy.user_id, created.session_id).status == "cancelled"
    again = patch_mechanic(world.app, busy.id, status="active")
    assert (again.status, again.available, again.session_id) == ("active", True, None)


def test_who_leaves_a_workshop_leaves_its_requests(world: World) -> None:
    workshop = world.workshop()
    only = world.mechanic(workshop)
    created = world.queued(workshopId=workshop, preferredMechanicId=only.id)
    assert patch_mechanic(world.app, only.id, workshopId=None).offered == (created.session_id,)
    assert world.accept_current(world.mechanic(), created.session_id).session_status == "waiting"
    assert violations(world.owner) == []


# --- the list -------------------------------------------------------------------------------------


def test_the_list_is_paged_in_the_order_of_joining(world: World) -> None:
    for name in ("C", "A", "B", "D", "E"):
        new_mechanic(world.app, name=name)
    found: list[str] = []
    cursor: str | None = None
    for size in (2, 2, 1):
        page = mechanics(world.app, {"limit": "2"} | ({"cursor": cursor} if cursor else {}))
        assert len(page.mechanics) == size
        found, cursor = found + names(page), page.next_cursor
    assert (found, cursor) == (["C", "A", "B", "D", "E"], None)


def test_the_list_is_filtered(world: World) -> None:
    workshop = world.workshop()
    new_mechanic(world.app, name="Anna_1", workshopId=workshop)
    patch_mechanic(world.app, new_mechanic(world.app, name="anna").mechanic_id, status="suspended")
    new_mechanic(world.app, name="Bert % Anna", workshopId=workshop)
    assert names(mechanics(world.app, {"search": "ANN"})) == ["Anna_1", "anna"]
    assert names(mechanics(world.app, {"search": "Anna_"})) == ["Anna_1"]
    assert names(mechanics(world.app, {"search": "%"})) == []
    assert names(mechanics(world.app, {"status": "suspended"})) == ["anna"]
    assert names(mechanics(world.app, {"workshopId": str(workshop), "status": "active"})) == ["Anna_1", "Bert % Anna"]
    assert names(mechanics(world.app, {"workshopId": str(new_id())})) == []


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": "0"}, {"limit": "101"}, {"cursor": "x"}, {"status": "gone"}, {"workshopId": "x"}),
        *({"search": "\x00"}, {"search": "\ud800"}, {"search": "x" * 201}),
    ],
)
def test_what_is_no_query_is_refused(world: World, query: dict[str, str]) -> None:
    with pytest.raises(Unprocessable) as refused:
        mechanics(world.app, query)
    assert refused.value.extras["errors"][0]["pointer"] == f"/{next(iter(query))}"  # type: ignore[index]


# --- at once --------------------------------------------------------------------------------------


def test_of_two_admins_who_add_one_user_one_is_told_that_there_is_one(world: World) -> None:
    for _ in range(RACES):
        user = new_id()
        answers = at_once(world, *(lambda db, user=user: new_mechanic(db, userId=user),) * 2)
        assert sorted(type(answer).__name__ for answer in answers) == ["Mechanic", "MechanicExists"]
        (added,) = (answer for answer in answers if isinstance(answer, Mechanic))
        (refused,) = (answer for answer in answers if isinstance(answer, MechanicExists))
        assert refused.extras == {"mechanicId": str(added.mechanic_id)}
    assert world.one("SELECT count(*) FROM mechanics") == RACES
    assert [change["kind"] for change in changes(world)] == ["mechanic.added"] * RACES


def test_two_admins_who_change_different_things_undo_nothing_of_each_other(world: World) -> None:
    workshop = world.workshop()
    held = world.mechanic()
    for _ in range(RACES):
        at_once(
            world,
            lambda db: patch_mechanic(db, held.id, status="suspended"),
            lambda db: patch_mechanic(db, held.id, workshopId=workshop),
        )
        shown = mechanic(world.app, held.id)
        assert (shown.status, shown.workshop_id) == ("suspended", workshop)
        patch_mechanic(world.app, held.id, status="active", workshopId=None)
    told = Counter(tuple(change["changed"]) for change in changes(world))
    both = ("status", "suspended_at")
    assert told == {both: RACES, ("workshop_id",): RACES, (*both, "workshop_id"): RACES}


def test_two_admins_who_change_the_same_thing_each_say_what_they_found(world: World) -> None:
    """The second change replaces the first one's value, not the original."""
    shops = [world.workshop() for _ in range(2)]
    held = world.mechanic()
    for _ in range(RACES):
        at_once(world, *(lambda db, to=shop: patch_mechanic(db, held.id, workshopId=to) for shop in shops))
        patch_mechanic(world.app, held.id, workshopId=None)
    chain = changes(world)
    moves: list[tuple[Any, Any]] = [(each["before"]["workshop_id"], each["after"]["workshop_id"]) for each in chain]
    assert len(moves) == 3 * RACES
    assert moves[0][0] is None
    assert all(left[1] == right[0] for left, right in pairwise(moves))


def test_a_suspension_and_an_accept_at_once_leave_nobody_waiting_for_ever(world: World) -> None:
    outcomes = Counter[str]()
    for _ in range(RACES):
        held = world.mechanic()
        created = world.queued(preferredMechanicId=held.id)
        accepted, suspended = at_once(
            world,
            partial(accept, user_id=held.user_id, assignment_id=created.assignment_id),
            partial(patch_mechanic, mechanic_id=held.id, status="suspended"),
        )
        assert isinstance(suspended, Mechanic)
        assert isinstance(accepted, Accepted | AssignmentUnavailable | MechanicNotActive)
        assert world.status(created.session_id) == "pending", "a suspension takes an accepted request back"
        outcomes[type(accepted).__name__] += 1
    assert violations(world.owner) == [], outcomes


# --- workshops ------------------------------------------------------------------------------------


def test_workshops_are_added_renamed_and_listed(world: World) -> None:
    first, second = (add_workshop(world.app, ADMIN, NewWorkshop(name=name)) for name in ("Piston", "Gear"))
    new_mechanic(world.app, workshopId=first.workshop_id)
    renamed = change_workshop(world.app, ADMIN, first.workshop_id, WorkshopPatch(name="Pistons"))
    assert (renamed.name, renamed.mechanic_count) == ("Pistons", 1)
    page = workshops(world.app, limit="1")
    assert page.workshops == [renamed]
    assert workshops(world.app, cursor=page.next_cursor).workshops == [second]
    said = [(change["kind"], change["subject"], change["after"].get("name")) for change in changes(world)]
    assert [kind for kind in said if kind[0].startswith("workshop")] == [
        ("workshop.added", str(first.workshop_id), "Piston"),
        ("workshop.added", str(second.workshop_id), "Gear"),
        ("workshop.changed", str(first.workshop_id), "Pistons"),
    ]


def test_an_unknown_workshop_has_no_name_to_change(world: World) -> None:
    with pytest.raises(WorkshopNotFound):
        change_workshop(world.app, ADMIN, new_id(), WorkshopPatch(name="Nowhere"))


# --- suspending, with a reason ----------------------------------------------------------------------


def test_a_mechanic_reads_why_until_the_suspension_ends(world: World) -> None:
    suspended = world.mechanic()
    held = world.waiting(suspended, name="Wanda Waits")
    (affected,) = see_mechanic(world.app, suspended.id).affected
    assert (affected.session_id, affected.status, affected.customer_name) == (held.session_id, "waiting", "Wanda Waits")
    patch_mechanic(world.app, suspended.id, status="suspended", suspensionReason="You came late three times.")
    told = earnings(world.app, suspended.user_id).suspension
    assert told is not None
    assert told.since is not None
    assert told.reason == "You came late three times."
    page = changes_of(world.app, {"mechanicId": str(suspended.id)})
    assert [(each.kind, each.actor_id, each.after["status"]) for each in page.changes] == [
        ("mechanic.changed", ADMIN, "suspended")
    ]
    assert "suspension_reason" in page.changes[0].changed
    assert "late" not in str(page)
    patch_mechanic(world.app, suspended.id, status="active")
    assert earnings(world.app, suspended.user_id).suspension is None
    assert mechanic(world.app, suspended.id).suspension_reason is None


def test_a_reason_needs_a_suspension(world: World) -> None:
    active = world.mechanic()
    with pytest.raises(Unprocessable):
        patch_mechanic(world.app, active.id, suspensionReason="Late.")
    with pytest.raises(Unprocessable):
        patch_mechanic(world.app, active.id, suspensionReason="Late.", status="active")
    assert changes(world) == []


def test_what_was_done_to_a_session_is_of_it_and_its_payouts(world: World) -> None:
    session = world.queued().session_id
    customer_contact(world.app, ADMIN, session)
    find_sessions(world.app, ADMIN, SearchRequest(text=str(session)))
    page = changes_of(world.app, {"sessionId": str(session), "limit": "1"})
    assert [each.kind for each in page.changes] == ["lookup.id"]
    rest = changes_of(world.app, {"sessionId": str(session), "cursor": str(page.next_cursor)})
    assert [(each.kind, each.subject) for each in rest.changes] == [("lookup.contact", str(session))]
    for query in ({}, {"sessionId": "x"}, {"sessionId": str(session), "mechanicId": str(session)}):
        with pytest.raises(Unprocessable):
            changes_of(world.app, query)
