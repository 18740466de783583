"""The waiver: signed once, it puts the session before the mechanics; signed again, it changes nothing."""

import json
from uuid import UUID

import pytest

from autodoctor.errors import SessionEnded, SessionNotFound, Unprocessable
from autodoctor.ids import new_id
from autodoctor.intake.waiver import WaiverRequest, WaiverSigned, sign_waiver
from autodoctor.sessions.queue import fetch_queue
from integration.actors import Mechanic, Stage
from integration.evidence import assignments


def sign(stage: Stage, customer: UUID, session_id: UUID, **fields: str) -> WaiverSigned:
    body = {"sessionId": str(session_id), "signedName": "Cora", **fields}
    return sign_waiver(stage.app, customer, WaiverRequest.model_validate_json(json.dumps(body)))


def signature(stage: Stage) -> tuple[str, str]:
    row = stage.owner.execute("SELECT signed_name, version FROM waivers").fetchone()
    assert row is not None
    return row["signed_name"], row["version"]


def sees(stage: Stage, mechanic: Mechanic) -> list[UUID]:
    return [shown.session_id for shown in fetch_queue(stage.app, mechanic.user_id).assignments]


def test_signing_queues_the_session(stage: Stage) -> None:
    created, mechanic = stage.pending(customer := new_id()), stage.mechanic()
    assert sees(stage, mechanic) == []
    signed = sign(stage, customer, created.session_id)
    assert signed == WaiverSigned(
        session_id=created.session_id,
        assignment_id=created.assignment_id,
        assignment_status="queued",
        preferred_mechanic=None,
    )
    assert sees(stage, mechanic) == [created.session_id]


def test_the_place_in_the_queue_counts_from_the_signature(stage: Stage) -> None:
    created = stage.pending(customer := new_id())
    stage.let_time_pass(600)
    sign(stage, customer, created.session_id)
    waits = stage.one("SELECT extract(epoch FROM clock_timestamp() - queued_at)::float FROM session_assignments")
    assert waits < 60


def test_signing_offers_the_session_to_the_preferred_mechanic(stage: Stage) -> None:
    mechanic, other = stage.mechanic(), stage.mechanic()
    created = stage.pending(customer := new_id(), preferredMechanicId=mechanic.id)
    assert sign(stage, customer, created.session_id).assignment_status == "offered"
    assert (sees(stage, mechanic), sees(stage, other)) == ([created.session_id], [])


@pytest.mark.parametrize("state", ["status = 'suspended'", "available_until = NULL", "available_until = now()"])
def test_a_mechanic_who_became_unavailable_meanwhile_is_passed_over(stage: Stage, state: str) -> None:
    created = stage.pending(customer := new_id(), preferredMechanicId=stage.mechanic().id)
    stage.owner.execute(f"UPDATE mechanics SET {state}")
    assert sign(stage, customer, created.session_id).assignment_status == "queued"


def test_a_workshop_that_lost_its_mechanics_meanwhile_makes_the_request_general(stage: Stage) -> None:
    anybody, workshop = stage.mechanic(), stage.workshop()
    only = stage.mechanic(workshop)
    created = stage.pending(customer := new_id(), workshopId=workshop)
    stage.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [only.id])
    sign(stage, customer, created.session_id)
    assert sees(stage, anybody) == [created.session_id]


def test_signing_again_is_the_same_answer_and_the_first_signature_stands(stage: Stage) -> None:
    created = stage.pending(customer := new_id())
    first = sign(stage, customer, created.session_id, signedName="Cora")
    assert sign(stage, customer, created.session_id, signedName="Somebody Else") == first
    assert signature(stage) == ("Cora", "1.0")
    assert assignments(stage, created.session_id) == ["queued"]


def test_signing_again_says_where_the_assignment_stands_now(stage: Stage) -> None:
    created = stage.pending(customer := new_id())
    sign(stage, customer, created.session_id)
    stage.accept(stage.mechanic(), created)
    assert sign(stage, customer, created.session_id).assignment_status == "accepted"


def test_signing_after_a_waiver_in_the_intake_is_signing_again(stage: Stage) -> None:
    created = stage.queued(customer := new_id())
    assert sign(stage, customer, created.session_id).assignment_status == "queued"
    assert signature(stage)[0] == "Cora Castillo"


def test_a_session_that_ended_cannot_be_signed(stage: Stage) -> None:
    for created in (stage.pending(one := new_id()), stage.queued(two := new_id())):
        customer = one if created.next == "sign_waiver" else two
        stage.end(customer, created.session_id)
        with pytest.raises(SessionEnded) as refused:
            sign(stage, customer, created.session_id)
        assert (refused.value.slug, refused.value.extras) == ("session-ended", {"sessionStatus": "cancelled"})


def test_an_unknown_version_is_refused(stage: Stage) -> None:
    created = stage.pending(customer := new_id())
    with pytest.raises(Unprocessable) as refused:
        sign(stage, customer, created.session_id, waiverVersion="0.9")
    assert refused.value.extras["errors"] == [{"pointer": "/waiverVersion", "detail": "is not a version of the waiver"}]
    assert assignments(stage, created.session_id) == ["pending_waiver"]


def test_any_known_version_may_be_signed_and_the_last_is_the_default(stage: Stage) -> None:
    stage.owner.execute("UPDATE settings SET value = '1.0 1.1 2.0' WHERE key = 'waiver_versions'")
    versions = []
    for fields in ({"waiverVersion": "1.1"}, {}):
        created = stage.pending(customer := new_id())
        sign(stage, customer, created.session_id, **fields)
        versions.append(stage.one("SELECT version FROM waivers WHERE session_id = %s", created.session_id))
    assert versions == ["1.1", "2.0"]


def test_nobody_signs_for_another(stage: Stage) -> None:
    created = stage.pending()
    stage.pending(stranger := new_id())
    for user in (stranger, new_id(), stage.mechanic().user_id):
        with pytest.raises(SessionNotFound):
            sign(stage, user, created.session_id)


def test_there_is_nothing_to_sign_without_a_session(stage: Stage) -> None:
    stage.pending(customer := new_id())
    with pytest.raises(SessionNotFound):
        sign(stage, customer, new_id())


def test_a_scheduled_session_is_signed_before_it_comes_due(stage: Stage, next_week: str) -> None:
    created, mechanic = stage.pending(customer := new_id(), scheduledFor=next_week), stage.mechanic()
    assert sign(stage, customer, created.session_id).assignment_status == "queued"
    assert (stage.status(created.session_id), sees(stage, mechanic)) == ("scheduled", [])


def test_an_offer_of_a_scheduled_session_lasts_from_when_it_is_shown(stage: Stage, next_week: str) -> None:
    created = stage.pending(customer := new_id(), scheduledFor=next_week, preferredMechanicId=stage.mechanic().id)
    assert sign(stage, customer, created.session_id).assignment_status == "offered"
    seconds = "SELECT extract(epoch FROM offer_expires_at - available_at)::integer FROM session_assignments"
    assert stage.one(seconds) == 120
