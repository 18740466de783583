"""The waiver: the first signature shows the session to the mechanics; a second one changes nothing."""

import json
from uuid import UUID

import pytest

from autodoctor.errors import SessionEnded, SessionNotFound, Unprocessable
from autodoctor.ids import new_id
from autodoctor.intake.waiver import WaiverRequest, WaiverSigned, sign_waiver
from autodoctor.sessions.queue import fetch_queue
from support.sessions.evidence import assignments
from support.world import Mechanic, World


def sign(world: World, customer: UUID, session_id: UUID, **fields: str) -> WaiverSigned:
    body = {"sessionId": str(session_id), "signedName": "Cora", **fields}
    return sign_waiver(world.app, customer, WaiverRequest.model_validate_json(json.dumps(body)))


def signature(world: World) -> tuple[str, str]:
    row = world.owner.execute("SELECT signed_name, version FROM waivers").fetchone()
    assert row is not None
    return row["signed_name"], row["version"]


def sees(world: World, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(world.app, mechanic.user_id).assignments]


def test_signing_queues_the_session(world: World) -> None:
    created, mechanic = world.pending(customer := new_id()), world.mechanic()
    assert sees(world, mechanic) == []
    signed = sign(world, customer, created.session_id)
    assert signed == WaiverSigned(
        session_id=created.session_id,
        assignment_id=created.assignment_id,
        assignment_status="queued",
        preferred_mechanic=None,
    )
    assert sees(world, mechanic) == [created.session_id]


def test_the_place_in_the_queue_counts_from_the_signature(world: World) -> None:
    created = world.pending(customer := new_id())
    world.let_time_pass(600)
    sign(world, customer, created.session_id)
    waits = world.one("SELECT extract(epoch FROM clock_timestamp() - queued_at)::float FROM session_assignments")
    assert waits < 60


def test_signing_offers_the_session_to_the_preferred_mechanic(world: World) -> None:
    mechanic, other = world.mechanic(), world.mechanic()
    created = world.pending(customer := new_id(), preferredMechanicId=mechanic.id)
    assert sign(world, customer, created.session_id).assignment_status == "offered"
    assert (sees(world, mechanic), sees(world, other)) == ([created.session_id], [])


@pytest.mark.parametrize("state", ["status = 'suspended'", "available_until = NULL", "available_until = now()"])
def test_a_mechanic_who_became_unavailable_meanwhile_is_passed_over(world: World, state: str) -> None:
    created = world.pending(customer := new_id(), preferredMechanicId=world.mechanic().id)
    world.owner.execute(f"UPDATE mechanics SET {state}")
    assert sign(world, customer, created.session_id).assignment_status == "queued"


def test_a_workshop_that_lost_its_mechanics_meanwhile_makes_the_request_general(world: World) -> None:
    anybody, workshop = world.mechanic(), world.workshop()
    only = world.mechanic(workshop)
    created = world.pending(customer := new_id(), workshopId=workshop)
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [only.id])
    sign(world, customer, created.session_id)
    assert sees(world, anybody) == [created.session_id]


def test_signing_again_is_the_same_answer_and_the_first_signature_stands(world: World) -> None:
    created = world.pending(customer := new_id())
    first = sign(world, customer, created.session_id, signedName="Cora")
    assert sign(world, customer, created.session_id, signedName="Somebody Else") == first
    assert signature(world) == ("Cora", "1.0")
    assert assignments(world, created.session_id) == ["queued"]


def test_signing_again_says_where_the_assignment_stands_now(world: World) -> None:
    created = world.pending(customer := new_id())
    sign(world, customer, created.session_id)
    world.accept(world.mechanic(), created)
    assert sign(world, customer, created.session_id).assignment_status == "accepted"


def test_signing_after_a_waiver_in_the_intake_is_signing_again(world: World) -> None:
    created = world.queued(customer := new_id())
    assert sign(world, customer, created.session_id).assignment_status == "queued"
    assert signature(world)[0] == "Cora Castillo"


def test_a_session_that_ended_cannot_be_signed(world: World) -> None:
    for created in (world.pending(one := new_id()), world.queued(two := new_id())):
        customer = one if created.next == "sign_waiver" else two
        world.end(customer, created.session_id)
        with pytest.raises(SessionEnded) as refused:
            sign(world, customer, created.session_id)
        assert (refused.value.slug, refused.value.extras) == ("session-ended", {"sessionStatus": "cancelled"})


def test_an_unknown_version_is_refused(world: World) -> None:
    created = world.pending(customer := new_id())
    with pytest.raises(Unprocessable) as refused:
        sign(world, customer, created.session_id, waiverVersion="0.9")
    assert refused.value.extras["errors"] == [{"pointer": "/waiverVersion", "detail": "is not a version of the waiver"}]
    assert assignments(world, created.session_id) == ["pending_waiver"]


def test_any_known_version_may_be_signed_and_the_last_is_the_default(world: World) -> None:
    world.owner.execute("UPDATE settings SET value = '1.0 1.1 2.0' WHERE key = 'waiver_versions'")
    versions = []
    for fields in ({"waiverVersion": "1.1"}, {}):
        created = world.pending(customer := new_id())
        sign(world, customer, created.session_id, **fields)
        versions.append(world.one("SELECT version FROM waivers WHERE session_id = %s", created.session_id))
    assert versions == ["1.1", "2.0"]


def test_nobody_signs_for_another(world: World) -> None:
    created = world.pending()
    world.pending(stranger := new_id())
    for user in (stranger, new_id(), world.mechanic().user_id):
        with pytest.raises(SessionNotFound):
            sign(world, user, created.session_id)


def test_there_is_nothing_to_sign_without_a_session(world: World) -> None:
    world.pending(customer := new_id())
    with pytest.raises(SessionNotFound):
        sign(world, customer, new_id())


def test_a_scheduled_session_is_signed_before_it_comes_due(world: World, next_week: str) -> None:
    created, mechanic = world.pending(customer := new_id(), scheduledFor=next_week), world.mechanic()
    assert sign(world, customer, created.session_id).assignment_status == "queued"
    assert (world.status(created.session_id), sees(world, mechanic)) == ("scheduled", [])


def test_an_offer_of_a_scheduled_session_lasts_from_when_it_is_shown(world: World, next_week: str) -> None:
    created = world.pending(customer := new_id(), scheduledFor=next_week, preferredMechanicId=world.mechanic().id)
    assert sign(world, customer, created.session_id).assignment_status == "offered"
    seconds = "SELECT extract(epoch FROM offer_expires_at - available_at)::integer FROM session_assignments"
    assert world.one(seconds) == 120
