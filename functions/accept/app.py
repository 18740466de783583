"""POST /api/mechanic/assignments/{assignmentId}/accept and /decline"""

from autodoctor.db import database
from autodoctor.errors import (
    AssignmentNotFound,
    AssignmentUnavailable,
    MechanicBusy,
    MechanicNotActive,
    OwnSession,
    SessionBusy,
    TooManyRequests,
)
from autodoctor.events.publish import Publisher
from autodoctor.sessions import accept as use_case
from autodoctor.web.http import Request, Router
from autodoctor.web.schemas import EmptyBody

router = Router()
db = database()
publish = Publisher(db)


@router.route(
    "POST /api/mechanic/assignments/{assignmentId}/accept",
    groups=["mechanics"],
    body=EmptyBody,
    raises=[
        AssignmentNotFound,
        AssignmentUnavailable,
        MechanicBusy,
        MechanicNotActive,
        OwnSession,
        SessionBusy,
        TooManyRequests,
    ],
    metric="Accepted",
    after=publish,
)
def accept(request: Request) -> use_case.Accepted:
    assignment_id = request.id("assignmentId", AssignmentNotFound)
    request.json(EmptyBody)
    return use_case.accept(db, request.caller.user_id, assignment_id)


@router.route(
    "POST /api/mechanic/assignments/{assignmentId}/decline",
    groups=["mechanics"],
    body=use_case.DeclineRequest,
    raises=[AssignmentNotFound, AssignmentUnavailable, MechanicNotActive, SessionBusy],
    metric="Declined",
    after=publish,
)
def decline(request: Request) -> use_case.Declined:
    assignment_id = request.id("assignmentId", AssignmentNotFound)
    reason = request.json(use_case.DeclineRequest).reason
    return use_case.decline(db, request.caller.user_id, assignment_id, reason)


handler = router.handler()
