"""POST /api/sessions/{sessionId}/join, /leave, /release and /replace"""

from autodoctor.db import database
from autodoctor.errors import (
    MechanicNotActive,
    ReplyNotDue,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    SessionNotOpen,
    SessionNotReleasable,
    SessionNotReplaceable,
)
from autodoctor.room.tell import Teller
from autodoctor.sessions import presence
from autodoctor.sessions.first_reply import Replaced, replace_mechanic
from autodoctor.web.http import Request, Router
from autodoctor.web.schemas import EmptyBody

router = Router()
db = database()
teller = Teller(db)


@router.route(
    "POST /api/sessions/{sessionId}/join",
    groups=["customers", "mechanics"],
    body=presence.PresenceRequest,
    raises=[MechanicNotActive, SessionBusy, SessionEnded, SessionNotFound, SessionNotOpen],
    metric="Joined",
    after=teller.came,
)
def join(request: Request) -> presence.PresenceRecorded:
    session_id = request.id("sessionId", SessionNotFound)
    connection_id = request.json(presence.PresenceRequest).connection_id
    return presence.join(db, request.caller.user_id, session_id, connection_id)


@router.route(
    "POST /api/sessions/{sessionId}/leave",
    groups=["customers", "mechanics"],
    body=presence.PresenceRequest,
    raises=[SessionBusy, SessionNotFound],
    metric="Left",
    after=teller.came,
)
def leave(request: Request) -> presence.PresenceRecorded:
    session_id = request.id("sessionId", SessionNotFound)
    connection_id = request.json(presence.PresenceRequest).connection_id
    return presence.leave(db, request.caller.user_id, session_id, connection_id)


@router.route(
    "POST /api/sessions/{sessionId}/release",
    groups=["mechanics"],
    body=EmptyBody,
    raises=[SessionBusy, SessionEnded, SessionNotFound, SessionNotReleasable],
    metric="Released",
    after=teller.came,
)
def release(request: Request) -> presence.Released:
    session_id = request.id("sessionId", SessionNotFound)
    request.json(EmptyBody)
    return presence.release(db, request.caller.user_id, session_id)


@router.route(
    "POST /api/sessions/{sessionId}/replace",
    groups=["customers"],
    body=EmptyBody,
    raises=[ReplyNotDue, SessionBusy, SessionEnded, SessionNotFound, SessionNotReplaceable],
    metric="MechanicReplaced",
    after=teller.came,
)
def replace(request: Request) -> Replaced:
    session_id = request.id("sessionId", SessionNotFound)
    request.json(EmptyBody)
    return replace_mechanic(db, request.caller.user_id, session_id)


handler = router.handler()
