"""/api/admin: mechanics, workshops, plans, packs, payouts, cases, disputes, changes; runs of reconcile and verify"""

from typing import Final

from autodoctor.admin import audit, mechanics, packs, payouts, plans, settlements, workshops
from autodoctor.admin.changes import code_of
from autodoctor.contests import cases, decide
from autodoctor.contests.contests import SessionContest
from autodoctor.contests.errors import ContestDecided, ContestNotFound
from autodoctor.db import database
from autodoctor.disputes import cases as disputes
from autodoctor.disputes.errors import EvidenceBusy, EvidenceChanged, EvidenceNotFound, EvidenceOver
from autodoctor.errors import SessionBusy, SessionNotFound
from autodoctor.events.publish import Publisher
from autodoctor.integrity import runs as verify_runs
from autodoctor.payments.reconcile.runs import Runs, newest_runs
from autodoctor.web.http import Content, Group, Request, Router

ADMINS: Final[tuple[Group, ...]] = ("admins",)

router = Router()
db = database()
publisher = Publisher(db)


def publish(changed: mechanics.Mechanic) -> None:
    for subject_id in (changed.mechanic_id, *changed.offered):
        publisher.publish(subject_id)


@router.route(
    "GET /api/admin/mechanics", groups=ADMINS, query=["cursor", "limit", "search", "standing", "status", "workshopId"]
)
def list_mechanics(request: Request) -> mechanics.Mechanics:
    return mechanics.mechanics(db, request.query)


@router.route("GET /api/admin/mechanics/{mechanicId}", groups=ADMINS, raises=[mechanics.MechanicNotFound])
def see_mechanic(request: Request) -> mechanics.MechanicSeen:
    return mechanics.see_mechanic(db, request.id("mechanicId", mechanics.MechanicNotFound))


@router.route(
    "POST /api/admin/mechanics",
    groups=ADMINS,
    body=mechanics.NewMechanic,
    raises=[mechanics.MechanicExists, SessionBusy],
    status=201,
)
def add_mechanic(request: Request) -> mechanics.Mechanic:
    return mechanics.add_mechanic(db, request.caller.user_id, request.json(mechanics.NewMechanic))


@router.route(
    "PATCH /api/admin/mechanics/{mechanicId}",
    groups=ADMINS,
    body=mechanics.MechanicPatch,
    raises=[mechanics.MechanicErased, mechanics.MechanicNotFound, SessionBusy],
    after=publish,
)
def change_mechanic(request: Request) -> mechanics.Mechanic:
    mechanic_id = request.id("mechanicId", mechanics.MechanicNotFound)
    return mechanics.change_mechanic(db, request.caller.user_id, mechanic_id, request.json(mechanics.MechanicPatch))


@router.route("GET /api/admin/workshops", groups=ADMINS, query=["cursor", "limit"])
def list_workshops(request: Request) -> workshops.Workshops:
    return workshops.workshops(db, request.query.get("limit"), request.query.get("cursor"))


@router.route("POST /api/admin/workshops", groups=ADMINS, body=workshops.NewWorkshop, status=201)
def add_workshop(request: Request) -> workshops.Workshop:
    return workshops.add_workshop(db, request.caller.user_id, request.json(workshops.NewWorkshop))


@router.route(
    "PATCH /api/admin/workshops/{workshopId}",
    groups=ADMINS,
    body=workshops.WorkshopPatch,
    raises=[SessionBusy, workshops.WorkshopNotFound],
)
def change_workshop(request: Request) -> workshops.Workshop:
    workshop_id = request.id("workshopId", workshops.WorkshopNotFound)
    return workshops.change_workshop(db, request.caller.user_id, workshop_id, request.json(workshops.WorkshopPatch))


@router.route("GET /api/admin/plans", groups=ADMINS)
def list_plans(_request: Request) -> plans.AdminPlans:
    return plans.all_plans(db)


@router.route(
    "POST /api/admin/plans", groups=ADMINS, body=plans.NewPlan, raises=[plans.PlanExists, SessionBusy], status=201
)
def add_plan(request: Request) -> plans.AdminPlan:
    return plans.add_plan(db, request.caller.user_id, request.json(plans.NewPlan))


@router.route(
    "PATCH /api/admin/plans/{code}", groups=ADMINS, body=plans.PlanPatch, raises=[plans.PlanNotFound, SessionBusy]
)
def change_plan(request: Request) -> plans.AdminPlan:
    code = code_of(request.path, plans.PlanNotFound)
    return plans.change_plan(db, request.caller.user_id, code, request.json(plans.PlanPatch))


@router.route("GET /api/admin/credit-packs", groups=ADMINS)
def list_packs(_request: Request) -> packs.CreditPacks:
    return packs.all_packs(db)


@router.route(
    "POST /api/admin/credit-packs",
    groups=ADMINS,
    body=packs.NewCreditPack,
    raises=[packs.CreditPackExists, SessionBusy],
    status=201,
)
def add_pack(request: Request) -> packs.AdminCreditPack:
    return packs.add_pack(db, request.caller.user_id, request.json(packs.NewCreditPack))


@router.route(
    "PATCH /api/admin/credit-packs/{code}",
    groups=ADMINS,
    body=packs.CreditPackPatch,
    raises=[packs.CreditPackNotFound, SessionBusy],
)
def change_pack(request: Request) -> packs.AdminCreditPack:
    code = code_of(request.path, packs.CreditPackNotFound)
    return packs.change_pack(db, request.caller.user_id, code, request.json(packs.CreditPackPatch))


@router.route(
    "POST /api/admin/sessions/{sessionId}/decide",
    groups=ADMINS,
    body=settlements.DecideRequest,
    raises=[SessionNotFound, settlements.SettlementNotHeld],
)
def decide_settlement(request: Request) -> settlements.DecidedSettlement:
    session_id = request.id("sessionId", SessionNotFound)
    body = request.json(settlements.DecideRequest)
    return settlements.decide_settlement(db, request.caller.user_id, session_id, body)


def publish_contest(decided: SessionContest) -> None:
    publisher.publish(decided.session_id)


@router.route(
    "POST /api/admin/sessions/{sessionId}/contest/decide",
    groups=ADMINS,
    body=decide.DecideContestRequest,
    raises=[ContestDecided, ContestNotFound, SessionBusy, SessionNotFound],
    after=publish_contest,
)
def decide_contest(request: Request) -> SessionContest:
    session_id = request.id("sessionId", SessionNotFound)
    body = request.json(decide.DecideContestRequest)
    return decide.decide_contest(db, request.caller.user_id, session_id, body)


@router.route("GET /api/admin/cases", groups=ADMINS, query=["cursor", "limit"])
def list_cases(request: Request) -> cases.Cases:
    return cases.cases(db, request.query)


@router.route("GET /api/admin/cases/{sessionId}", groups=ADMINS, raises=[SessionNotFound])
def see_case(request: Request) -> cases.SessionCase:
    return cases.session_case(db, request.caller.user_id, request.id("sessionId", SessionNotFound))


@router.route("GET /api/admin/disputes/{evidenceId}", groups=ADMINS, query=["document"], raises=[EvidenceNotFound])
def see_dispute(request: Request) -> disputes.DisputeCase | Content[bytes]:
    evidence_id = request.id("evidenceId", EvidenceNotFound)
    field = request.query.get("document")
    return disputes.dispute_case(db, evidence_id) if field is None else disputes.document(db, evidence_id, field)


@router.route(
    "POST /api/admin/disputes/{evidenceId}/evidence",
    groups=ADMINS,
    body=disputes.EvidenceRequest,
    raises=[EvidenceBusy, EvidenceChanged, EvidenceNotFound, EvidenceOver],
)
def write_evidence(request: Request) -> disputes.DisputeCase:
    evidence_id = request.id("evidenceId", EvidenceNotFound)
    return disputes.write_evidence(db, request.caller.user_id, evidence_id, request.json(disputes.EvidenceRequest))


@router.route("GET /api/admin/payouts", groups=ADMINS, query=["cursor", "limit", "mechanicId", "state"])
def list_payouts(request: Request) -> payouts.AdminPayouts:
    return payouts.payouts(db, request.query)


@router.route(
    "POST /api/admin/payouts/{payoutId}/hold",
    groups=ADMINS,
    body=payouts.HoldRequest,
    raises=[payouts.PayoutNotFound, payouts.PayoutOver, SessionBusy],
)
def hold_payout(request: Request) -> payouts.AdminPayout:
    payout_id = request.id("payoutId", payouts.PayoutNotFound)
    return payouts.hold(db, request.caller.user_id, payout_id, request.json(payouts.HoldRequest))


@router.route("POST /api/admin/payouts/{payoutId}/release", groups=ADMINS, raises=[payouts.PayoutNotFound, SessionBusy])
def release_payout(request: Request) -> payouts.AdminPayout:
    return payouts.release(db, request.caller.user_id, request.id("payoutId", payouts.PayoutNotFound))


@router.route("GET /api/admin/changes", groups=ADMINS, query=["cursor", "limit", "mechanicId", "sessionId"])
def list_changes(request: Request) -> audit.AdminChanges:
    return audit.changes_of(db, request.query)


@router.route("GET /api/admin/verify", groups=ADMINS, query=["limit"])
def list_verifications(request: Request) -> verify_runs.VerifyRuns:
    return verify_runs.newest_runs(db, request.query.get("limit"))


@router.route("GET /api/admin/reconcile", groups=ADMINS, query=["limit"])
def list_reconciliations(request: Request) -> Runs:
    return newest_runs(db, request.query.get("limit"))


handler = router.handler()
