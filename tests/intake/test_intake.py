"""Intake: accepted requests, refusals with their fields, and the same answer for the same key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from autodoctor.errors import (
    ActiveSessionExists,
    CustomerErased,
    OwnSession,
    Unprocessable,
)
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated, start_intake
from autodoctor.sessions.queue import fetch_queue
from support.sessions.evidence import column, events
from support.world import Mechanic, World, intake_request

SIGNED = {"waiver": {"signedName": "Cora Castillo"}}


def states(created: SessionCreated) -> tuple[str, str, str]:
    return created.session_status, created.assignment_status, created.next


def pointers(refused: pytest.ExceptionInfo[Unprocessable]) -> list[str]:
    errors = refused.value.extras["errors"]
    assert isinstance(errors, list)
    return [error["pointer"] for error in errors]


def wrong_fields(**fields: Any) -> list[str]:  # noqa: ANN401 (any JSON)
    """The fields for which the model refuses an intake, as pointers."""
    with pytest.raises(ValidationError) as refused:
        intake_request(**fields)
    return ["/" + "/".join(map(str, error["loc"])) for error in refused.value.errors()]


def refused_at(world: World, **fields: Any) -> list[str]:  # noqa: ANN401 (any JSON)
    """The fields for which the database refuses an intake that the model accepted."""
    with pytest.raises(Unprocessable) as refused:
        world.pending(**fields)
    assert world.one("SELECT count(*) FROM intakes") == 0
    return pointers(refused)


def offered_to(world: World, created: SessionCreated) -> object:
    return world.one("SELECT mechanic_id FROM session_assignments WHERE id = %s", created.assignment_id)


# --- what becomes a session -----------------------------------------------------------------------


def test_an_unsigned_intake_waits_for_its_waiver(world: World) -> None:
    created = world.pending()
    assert states(created) == ("pending", "pending_waiver", "sign_waiver")
    assert column(world, created.session_id, "current_assignment_id") == created.assignment_id


def test_a_waiver_signed_in_the_same_call_goes_straight_to_the_queue(world: World) -> None:
    created = world.queued()
    assert states(created) == ("pending", "queued", "wait")
    assert world.one("SELECT version FROM waivers WHERE session_id = %s", created.session_id) == "1.0"


def test_a_session_comes_with_its_customer_and_its_audit_rows(world: World) -> None:
    created = world.pending(customer := new_id())
    taking_part = "SELECT c.user_id FROM session_participants p JOIN customers c ON c.id = p.customer_id"
    assert world.one(taking_part) == customer
    assert events(world, created.session_id) == ["pending"]
    moves = world.one("SELECT array_agg(actor || ' ' || to_status) FROM session_assignment_events")
    assert moves == ["customer pending_waiver"]


def test_the_intake_keeps_what_was_asked_and_the_price_of_that_moment(world: World) -> None:
    vehicle = {"year": 2020, "make": " VW ", "model": "Golf", "vin": "wvwzzz1jz3w386752", "odometerKm": 90_000}
    created = world.pending(vehicle=vehicle, urgent=True, phone="+49 1234", unknown="ignored")
    row = world.owner.execute("SELECT * FROM intakes WHERE id = %s", [created.session_id]).fetchone()
    assert row is not None
    assert row["vehicle"] == {**vehicle, "make": "VW", "vin": "WVWZZZ1JZ3W386752"}
    assert (row["price_cents"], row["mechanic_share_bp"], row["max_minutes"], row["urgent"]) == (0, 0, 180, True)


def test_the_customers_data_is_what_was_last_given(world: World) -> None:
    customer = new_id()
    world.end(customer, world.pending(customer).session_id)
    world.pending(customer, name="Cora C.", email="c@example.com", phone="555 0100")
    row = world.owner.execute("SELECT name, email, phone FROM customers").fetchall()
    assert row == [{"name": "Cora C.", "email": "c@example.com", "phone": "555 0100"}]


# --- one active session ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["scheduled", "pending", "waiting", "live"])
def test_a_second_session_is_refused_and_the_first_is_named(world: World, status: str, next_week: str) -> None:
    customer, mechanic = new_id(), world.mechanic()
    first = {
        "scheduled": lambda: world.pending(customer, scheduledFor=next_week),
        "pending": lambda: world.pending(customer),
        "waiting": lambda: world.waiting(mechanic, customer),
        "live": lambda: world.live(mechanic, customer),
    }[status]()
    with pytest.raises(ActiveSessionExists) as refused:
        world.pending(customer)
    assert refused.value.extras == {"activeSession": {"sessionId": str(first.session_id), "status": status}}
    assert world.one("SELECT count(*) FROM intakes") == 1


def test_of_two_intakes_at_once_one_is_refused(world: World) -> None:
    customer = new_id()

    def start(_number: int) -> object:
        with world.elsewhere() as database:
            try:
                return start_intake(database, customer, intake_request()).session_id
            except ActiveSessionExists as refused:
                return refused.extras["activeSession"]

    with ThreadPoolExecutor(2) as pool:
        first, second = sorted(pool.map(start, range(2)), key=lambda answer: isinstance(answer, dict))
    assert second == {"sessionId": str(first), "status": "pending"}


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", ["quick", "standard", "diagnostic"])
def test_free_is_only_what_costs_nothing(world: World, plan: str) -> None:
    kind = {"quick": "chat", "standard": "video", "diagnostic": "diagnostic"}[plan]
    assert refused_at(world, plan=plan, sessionType=kind) == ["/payWith"]


@pytest.mark.parametrize("session_type", ["chat", "video", "diagnostic"])
def test_the_free_plan_allows_any_type(world: World, session_type: str) -> None:
    assert world.pending(sessionType=session_type).session_status == "pending"


def test_a_type_outside_the_plan_is_refused(world: World) -> None:
    assert refused_at(world, plan="quick", sessionType="video") == ["/payWith", "/sessionType"]


def test_unknown_references_are_refused_where_they_stand(world: World) -> None:
    unknown = str(new_id())
    assert refused_at(world, plan="gold") == ["/plan"]
    assert refused_at(world, workshopId=unknown) == ["/workshopId"]
    assert refused_at(world, preferredMechanicId=unknown) == ["/preferredMechanicId"]
    assert refused_at(world, waiver={"signedName": "C", "waiverVersion": "0.9"}) == ["/waiver/waiverVersion"]
    assert refused_at(world, plan="gold", workshopId=unknown) == ["/plan", "/workshopId"]


def test_a_preferred_mechanic_outside_the_workshop_is_refused(world: World) -> None:
    workshop, other = world.workshop(), world.workshop()
    for mechanic in (world.mechanic(), world.mechanic(other)):
        fields = {"workshopId": workshop, "preferredMechanicId": mechanic.id}
        assert refused_at(world, **fields) == ["/preferredMechanicId"]


def test_nobody_can_ask_for_themselves(world: World) -> None:
    mechanic = world.mechanic()
    with pytest.raises(OwnSession):
        world.pending(mechanic.user_id, preferredMechanicId=mechanic.id)


def test_an_erased_customer_cannot_start_a_session(world: World) -> None:
    customer = new_id()
    world.end(customer, world.pending(customer).session_id)
    world.owner.execute("UPDATE customers SET erased_at = now(), name = '', email = ''")
    with pytest.raises(CustomerErased):
        world.pending(customer)
    assert world.one("SELECT name FROM customers") == ""


def test_a_refused_intake_leaves_nothing_behind(world: World) -> None:
    refused_at(world, plan="gold")
    for table in ("customers", "intakes", "sessions", "session_assignments", "session_events", "idempotency_keys"):
        assert world.owner.execute(f"SELECT count(*) AS rows FROM {table}").fetchone() == {"rows": 0}


# --- the fields -----------------------------------------------------------------------------------

VEHICLE = {"year": 2019, "make": "VW", "model": "Golf"}
THIS_YEAR = datetime.now(UTC).year


@pytest.mark.parametrize(
    "fields",
    [
        {"vehicle": {**VEHICLE, "year": 1886}},
        {"vehicle": {**VEHICLE, "year": THIS_YEAR + 1}},
        {"vehicle": {**VEHICLE, "vin": "1HGCM82633A004352"}},
        {"vehicle": {**VEHICLE, "odometerKm": 0}},
        {"name": "x" * 200, "concern": "x" * 4000},
        {"name": " x ", "concern": "\n😀\n"},
        {"phone": None, "preferredMechanicId": None, "workshopId": None, "scheduledFor": None, "waiver": None},
        {"urgent": True},
    ],
)
def test_good_values_are_taken(fields: dict[str, Any]) -> None:
    assert intake_request(**fields).plan == "free"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"vehicle": {**VEHICLE, "year": 1885}}, "/vehicle/year"),
        ({"vehicle": {**VEHICLE, "year": THIS_YEAR + 2}}, "/vehicle/year"),
        ({"vehicle": {**VEHICLE, "year": "2019"}}, "/vehicle/year"),
        ({"vehicle": {**VEHICLE, "year": 2019.5}}, "/vehicle/year"),
        ({"vehicle": {**VEHICLE, "year": 10**400}}, "/vehicle/year"),
        ({"vehicle": {**VEHICLE, "vin": "1HGCM82633A00435"}}, "/vehicle/vin"),
        ({"vehicle": {**VEHICLE, "vin": "1HGCM82633A0043522"}}, "/vehicle/vin"),
        ({"vehicle": {**VEHICLE, "vin": "IHGCM82633A004352"}}, "/vehicle/vin"),
        ({"vehicle": {**VEHICLE, "vin": "OHGCM82633A004352"}}, "/vehicle/vin"),
        ({"vehicle": {**VEHICLE, "vin": "QHGCM82633A004352"}}, "/vehicle/vin"),
        ({"vehicle": {**VEHICLE, "vin": "1HGCM82633A004352\n"}}, "/vehicle/vin"),
        ({"vehicle": {**VEHICLE, "vin": "iHGCM82633A004352"}}, "/vehicle/vin"),
        ({"vehicle": {**VEHICLE, "vin": "1HGCM82633A00435\uff12"}}, "/vehicle/vin"),
        ({"vehicle": {**VEHICLE, "odometerKm": -1}}, "/vehicle/odometerKm"),
        ({"vehicle": {**VEHICLE, "make": " "}}, "/vehicle/make"),
        ({"vehicle": {"year": 2019, "make": "VW"}}, "/vehicle/model"),
        ({"vehicle": None}, "/vehicle"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"concern": " "}, "/concern"),
        ({"concern": "x" * 4001}, "/concern"),
        ({"email": "cora"}, "/email"),
        ({"email": "cora@localhost"}, "/email"),
        ({"phone": ""}, "/phone"),
        ({"payWith": "cash"}, "/payWith"),
        ({"sessionType": "phone"}, "/sessionType"),
        ({"plan": None}, "/plan"),
        ({"urgent": "yes"}, "/urgent"),
        ({"preferredMechanicId": "Mia"}, "/preferredMechanicId"),
        ({"workshopId": 5}, "/workshopId"),
        ({"waiver": {}}, "/waiver/signedName"),
        ({"waiver": {"signedName": "x" * 201}}, "/waiver/signedName"),
        ({"scheduledFor": "tomorrow"}, "/scheduledFor"),
        ({"scheduledFor": "2026-12-01T10:00:00"}, "/scheduledFor"),
        ({"scheduledFor": 1_795_392_000}, "/scheduledFor"),
        ({"scheduledFor": "99999-12-01T10:00:00Z"}, "/scheduledFor"),
    ],
)
def test_bad_values_are_pointed_at(fields: dict[str, Any], pointer: str) -> None:
    assert wrong_fields(**fields) == [pointer]


# --- scheduled sessions ---------------------------------------------------------------------------


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def test_a_scheduled_session_waits_until_15_minutes_before(world: World, next_week: str) -> None:
    created = world.queued(scheduledFor=next_week)
    assert states(created) == ("scheduled", "queued", "wait")
    lead = world.one(
        "SELECT s.scheduled_for - a.available_at FROM sessions s JOIN session_assignments a ON a.session_id = s.id"
    )
    assert lead == timedelta(minutes=15)


@pytest.mark.parametrize("days", [-1, -0.001, 30.01, 4000])
def test_a_schedule_lies_in_the_future_and_within_30_days(world: World, days: float) -> None:
    assert refused_at(world, scheduledFor=in_days(days)) == ["/scheduledFor"]


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "1969-01-01T00:00:00Z"]
)
def test_the_ends_of_time_are_out_of_reach(world: World, at: str) -> None:
    assert refused_at(world, scheduledFor=at) == ["/scheduledFor"]


@pytest.mark.parametrize("days", [0.001, 29.99])
def test_the_next_minute_and_the_30th_day_are_within_reach(world: World, days: float) -> None:
    assert world.pending(scheduledFor=in_days(days)).session_status == "scheduled"


# --- preferred mechanics and workshops ------------------------------------------------------------


def test_a_preferred_mechanic_is_offered_the_session_for_120_seconds(world: World) -> None:
    mechanic = world.mechanic()
    created = world.queued(preferredMechanicId=mechanic.id)
    assert states(created) == ("pending", "offered", "wait")
    assert offered_to(world, created) == mechanic.id
    lasts = world.one("SELECT offer_expires_at - queued_at FROM session_assignments")
    assert abs(lasts - timedelta(seconds=120)) < timedelta(seconds=1)


@pytest.mark.parametrize("state", ["status = 'suspended'", "available_until = NULL", "available_until = now()"])
def test_a_suspended_or_unavailable_mechanic_is_passed_over(world: World, state: str) -> None:
    mechanic = world.mechanic()
    world.owner.execute(f"UPDATE mechanics SET {state}")
    created = world.queued(preferredMechanicId=mechanic.id)
    assert (states(created), offered_to(world, created)) == (("pending", "queued", "wait"), None)


def test_a_busy_mechanic_is_passed_over(world: World) -> None:
    mechanic = world.mechanic()
    world.waiting(mechanic)
    assert world.queued(preferredMechanicId=mechanic.id).assignment_status == "queued"


def test_a_preferred_mechanic_of_the_workshop_is_offered_it(world: World) -> None:
    workshop = world.workshop()
    mechanic = world.mechanic(workshop)
    created = world.queued(workshopId=workshop, preferredMechanicId=mechanic.id)
    assert (created.assignment_status, offered_to(world, created)) == ("offered", mechanic.id)


def sees(world: World, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(world.app, mechanic.user_id).assignments]


def test_a_request_to_a_workshop_without_mechanics_becomes_general(world: World) -> None:
    anybody, workshop = world.mechanic(), world.workshop()
    created = world.queued(workshopId=workshop)
    assert sees(world, anybody) == [created.session_id]


def test_a_request_to_a_workshop_whose_mechanics_are_suspended_becomes_general(world: World) -> None:
    anybody, workshop = world.mechanic(), world.workshop()
    suspended = world.mechanic(workshop)
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [suspended.id])
    created = world.queued(workshopId=workshop)
    assert sees(world, anybody) == [created.session_id]


def test_a_request_of_a_workshops_only_mechanic_to_it_becomes_general(world: World) -> None:
    anybody, workshop = world.mechanic(), world.workshop()
    alone = world.mechanic(workshop)
    created = world.queued(alone.user_id, workshopId=workshop)
    assert sees(world, anybody) == [created.session_id]


def test_an_empty_waiver_version_is_no_version(world: World) -> None:
    assert refused_at(world, waiver={"signedName": "Cora", "waiverVersion": ""}) == ["/waiver/waiverVersion"]
