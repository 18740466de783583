"""Intake: what becomes a session, what is refused and at which field, and the same answer for the same key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from autodoctor.errors import (
    ActiveSessionExists,
    CustomerErased,
    FundingUnavailable,
    OwnSession,
    Unprocessable,
)
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated, start_intake
from autodoctor.sessions.queue import fetch_queue
from integration.actors import Mechanic, Stage, intake_request
from integration.evidence import column, events

SIGNED = {"waiver": {"signedName": "Cora Castillo"}}


def states(created: SessionCreated) -> tuple[str, str, str]:
    return created.session_status, created.assignment_status, created.next


def pointers(refused: pytest.ExceptionInfo[Unprocessable]) -> list[str]:
    errors = refused.value.extras["errors"]
    assert isinstance(errors, list)
    return [error["pointer"] for error in errors]


def wrong_fields(**fields: Any) -> list[str]:  # noqa: ANN401 (any JSON)
    """Where the model refuses an intake, as pointers."""
    with pytest.raises(ValidationError) as refused:
        intake_request(**fields)
    return ["/" + "/".join(map(str, error["loc"])) for error in refused.value.errors()]


def refused_at(stage: Stage, **fields: Any) -> list[str]:  # noqa: ANN401 (any JSON)
    """Where the database refuses an intake that the model let through."""
    with pytest.raises(Unprocessable) as refused:
        stage.pending(**fields)
    assert stage.one("SELECT count(*) FROM intakes") == 0
    return pointers(refused)


def offered_to(stage: Stage, created: SessionCreated) -> object:
    return stage.one("SELECT mechanic_id FROM session_assignments WHERE id = %s", created.assignment_id)


# --- what becomes a session -----------------------------------------------------------------------


def test_an_unsigned_intake_waits_for_its_waiver(stage: Stage) -> None:
    created = stage.pending()
    assert states(created) == ("pending", "pending_waiver", "sign_waiver")
    assert column(stage, created.session_id, "current_assignment_id") == created.assignment_id


def test_a_waiver_signed_in_the_same_call_goes_straight_to_the_queue(stage: Stage) -> None:
    created = stage.queued()
    assert states(created) == ("pending", "queued", "wait")
    assert stage.one("SELECT version FROM waivers WHERE session_id = %s", created.session_id) == "1.0"


def test_a_session_comes_with_its_customer_and_its_audit_rows(stage: Stage) -> None:
    created = stage.pending(customer := new_id())
    taking_part = "SELECT c.user_id FROM session_participants p JOIN customers c ON c.id = p.customer_id"
    assert stage.one(taking_part) == customer
    assert events(stage, created.session_id) == ["pending"]
    moves = stage.one("SELECT array_agg(actor || ' ' || to_status) FROM session_assignment_events")
    assert moves == ["customer pending_waiver"]


def test_the_intake_keeps_what_was_asked_and_the_price_of_that_moment(stage: Stage) -> None:
    vehicle = {"year": 2020, "make": " VW ", "model": "Golf", "vin": "wvwzzz1jz3w386752", "odometerKm": 90_000}
    created = stage.pending(vehicle=vehicle, urgent=True, phone="+49 1234", unknown="ignored")
    row = stage.owner.execute("SELECT * FROM intakes WHERE id = %s", [created.session_id]).fetchone()
    assert row is not None
    assert row["vehicle"] == {**vehicle, "make": "VW", "vin": "WVWZZZ1JZ3W386752"}
    assert (row["price_cents"], row["mechanic_share_bp"], row["max_minutes"], row["urgent"]) == (0, 0, 180, True)


def test_the_customers_data_is_what_was_last_given(stage: Stage) -> None:
    customer = new_id()
    stage.end(customer, stage.pending(customer).session_id)
    stage.pending(customer, name="Cora C.", email="c@example.com", phone="555 0100")
    row = stage.owner.execute("SELECT name, email, phone FROM customers").fetchall()
    assert row == [{"name": "Cora C.", "email": "c@example.com", "phone": "555 0100"}]


# --- one active session ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["scheduled", "pending", "waiting", "live"])
def test_a_second_session_is_refused_and_the_first_is_named(stage: Stage, status: str, next_week: str) -> None:
    customer, mechanic = new_id(), stage.mechanic()
    first = {
        "scheduled": lambda: stage.pending(customer, scheduledFor=next_week),
        "pending": lambda: stage.pending(customer),
        "waiting": lambda: stage.waiting(mechanic, customer),
        "live": lambda: stage.live(mechanic, customer),
    }[status]()
    with pytest.raises(ActiveSessionExists) as refused:
        stage.pending(customer)
    assert refused.value.extras == {"activeSession": {"sessionId": str(first.session_id), "status": status}}
    assert stage.one("SELECT count(*) FROM intakes") == 1


def test_of_two_intakes_at_once_one_is_refused(stage: Stage) -> None:
    customer = new_id()

    def start(_number: int) -> object:
        with stage.elsewhere() as database:
            try:
                return start_intake(database, customer, intake_request()).session_id
            except ActiveSessionExists as refused:
                return refused.extras["activeSession"]

    with ThreadPoolExecutor(2) as pool:
        first, second = sorted(pool.map(start, range(2)), key=lambda answer: isinstance(answer, dict))
    assert second == {"sessionId": str(first), "status": "pending"}


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("funding", ["card", "credit"])
def test_card_and_credit_are_not_there_yet(stage: Stage, funding: str) -> None:
    with pytest.raises(FundingUnavailable) as refused:
        stage.pending(payWith=funding, plan="quick")
    assert (refused.value.slug, pointers(refused)) == ("funding-unavailable", ["/payWith"])


@pytest.mark.parametrize("plan", ["quick", "standard", "diagnostic"])
def test_free_is_only_what_costs_nothing(stage: Stage, plan: str) -> None:
    kind = {"quick": "chat", "standard": "video", "diagnostic": "diagnostic"}[plan]
    assert refused_at(stage, plan=plan, sessionType=kind) == ["/payWith"]


@pytest.mark.parametrize("session_type", ["chat", "video", "diagnostic"])
def test_the_free_plan_allows_any_type(stage: Stage, session_type: str) -> None:
    assert stage.pending(sessionType=session_type).session_status == "pending"


def test_a_type_outside_the_plan_is_refused(stage: Stage) -> None:
    assert refused_at(stage, plan="quick", sessionType="video") == ["/payWith", "/sessionType"]


def test_unknown_references_are_refused_where_they_stand(stage: Stage) -> None:
    unknown = str(new_id())
    assert refused_at(stage, plan="gold") == ["/plan"]
    assert refused_at(stage, workshopId=unknown) == ["/workshopId"]
    assert refused_at(stage, preferredMechanicId=unknown) == ["/preferredMechanicId"]
    assert refused_at(stage, waiver={"signedName": "C", "waiverVersion": "0.9"}) == ["/waiver/waiverVersion"]
    assert refused_at(stage, plan="gold", workshopId=unknown) == ["/plan", "/workshopId"]


def test_a_preferred_mechanic_outside_the_workshop_is_refused(stage: Stage) -> None:
    workshop, other = stage.workshop(), stage.workshop()
    for mechanic in (stage.mechanic(), stage.mechanic(other)):
        fields = {"workshopId": workshop, "preferredMechanicId": mechanic.id}
        assert refused_at(stage, **fields) == ["/preferredMechanicId"]


def test_nobody_can_ask_for_themselves(stage: Stage) -> None:
    mechanic = stage.mechanic()
    with pytest.raises(OwnSession):
        stage.pending(mechanic.user_id, preferredMechanicId=mechanic.id)


def test_an_erased_customer_cannot_start_a_session(stage: Stage) -> None:
    customer = new_id()
    stage.end(customer, stage.pending(customer).session_id)
    stage.owner.execute("UPDATE customers SET erased_at = now(), name = '', email = ''")
    with pytest.raises(CustomerErased):
        stage.pending(customer)
    assert stage.one("SELECT name FROM customers") == ""


def test_a_refused_intake_leaves_nothing_behind(stage: Stage) -> None:
    refused_at(stage, plan="gold")
    for table in ("customers", "intakes", "sessions", "session_assignments", "session_events", "idempotency_keys"):
        assert stage.owner.execute(f"SELECT count(*) AS rows FROM {table}").fetchone() == {"rows": 0}


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


def test_a_scheduled_session_waits_until_15_minutes_before(stage: Stage, next_week: str) -> None:
    created = stage.queued(scheduledFor=next_week)
    assert states(created) == ("scheduled", "queued", "wait")
    lead = stage.one(
        "SELECT s.scheduled_for - a.available_at FROM sessions s JOIN session_assignments a ON a.session_id = s.id"
    )
    assert lead == timedelta(minutes=15)


@pytest.mark.parametrize("days", [-1, -0.001, 30.01, 4000])
def test_a_schedule_lies_in_the_future_and_within_30_days(stage: Stage, days: float) -> None:
    assert refused_at(stage, scheduledFor=in_days(days)) == ["/scheduledFor"]


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "1969-01-01T00:00:00Z"]
)
def test_the_ends_of_time_are_out_of_reach(stage: Stage, at: str) -> None:
    assert refused_at(stage, scheduledFor=at) == ["/scheduledFor"]


@pytest.mark.parametrize("days", [0.001, 29.99])
def test_the_next_minute_and_the_30th_day_are_within_reach(stage: Stage, days: float) -> None:
    assert stage.pending(scheduledFor=in_days(days)).session_status == "scheduled"


# --- preferred mechanics and workshops ------------------------------------------------------------


def test_a_preferred_mechanic_is_offered_the_session_for_120_seconds(stage: Stage) -> None:
    mechanic = stage.mechanic()
    created = stage.queued(preferredMechanicId=mechanic.id)
    assert states(created) == ("pending", "offered", "wait")
    assert offered_to(stage, created) == mechanic.id
    lasts = stage.one("SELECT offer_expires_at - queued_at FROM session_assignments")
    assert abs(lasts - timedelta(seconds=120)) < timedelta(seconds=1)


@pytest.mark.parametrize("state", ["status = 'suspended'", "available_until = NULL", "available_until = now()"])
def test_a_suspended_or_unavailable_mechanic_is_passed_over(stage: Stage, state: str) -> None:
    mechanic = stage.mechanic()
    stage.owner.execute(f"UPDATE mechanics SET {state}")
    created = stage.queued(preferredMechanicId=mechanic.id)
    assert (states(created), offered_to(stage, created)) == (("pending", "queued", "wait"), None)


def test_a_busy_mechanic_is_passed_over(stage: Stage) -> None:
    mechanic = stage.mechanic()
    stage.waiting(mechanic)
    assert stage.queued(preferredMechanicId=mechanic.id).assignment_status == "queued"


def test_a_preferred_mechanic_of_the_workshop_is_offered_it(stage: Stage) -> None:
    workshop = stage.workshop()
    mechanic = stage.mechanic(workshop)
    created = stage.queued(workshopId=workshop, preferredMechanicId=mechanic.id)
    assert (created.assignment_status, offered_to(stage, created)) == ("offered", mechanic.id)


def sees(stage: Stage, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(stage.app, mechanic.user_id).assignments]


def test_a_request_to_a_workshop_without_mechanics_becomes_general(stage: Stage) -> None:
    anybody, workshop = stage.mechanic(), stage.workshop()
    created = stage.queued(workshopId=workshop)
    assert sees(stage, anybody) == [created.session_id]


def test_a_request_to_a_workshop_whose_mechanics_are_suspended_becomes_general(stage: Stage) -> None:
    anybody, workshop = stage.mechanic(), stage.workshop()
    suspended = stage.mechanic(workshop)
    stage.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [suspended.id])
    created = stage.queued(workshopId=workshop)
    assert sees(stage, anybody) == [created.session_id]


def test_a_request_of_a_workshops_only_mechanic_to_it_becomes_general(stage: Stage) -> None:
    anybody, workshop = stage.mechanic(), stage.workshop()
    alone = stage.mechanic(workshop)
    created = stage.queued(alone.user_id, workshopId=workshop)
    assert sees(stage, anybody) == [created.session_id]


def test_an_empty_waiver_version_is_no_version(stage: Stage) -> None:
    assert refused_at(stage, waiver={"signedName": "Cora", "waiverVersion": ""}) == ["/waiver/waiverVersion"]
