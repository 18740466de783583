"""POST /api/sessions/{sessionId}/call: the meeting of a session; /call/report: what a page heard of the other"""

from autodoctor.db import database
from autodoctor.errors import (
    MechanicNotActive,
    SessionBusy,
    SessionNotFound,
    SessionNotOpen,
    TooManyRequests,
)
from autodoctor.events.publish import Publisher
from autodoctor.media.call import EnteredCall, call
from autodoctor.media.chime import ChimeEntrance
from autodoctor.media.errors import CallOver, NoVideo
from autodoctor.media.report import Heard, HeardRequest, report
from autodoctor.web.http import Request, Router
from autodoctor.web.schemas import EmptyBody

router = Router()
db = database()
medium = ChimeEntrance()
publish = Publisher(db)


@router.route(
    "POST /api/sessions/{sessionId}/call",
    groups=["customers", "mechanics"],
    body=EmptyBody,
    raises=[CallOver, MechanicNotActive, NoVideo, SessionBusy, SessionNotFound, SessionNotOpen, TooManyRequests],
    metric="CallsEntered",
    after=publish,
)
def enter(request: Request) -> EnteredCall:
    session_id = request.id("sessionId", SessionNotFound)
    request.json(EmptyBody)
    return call(db, medium, request.caller.user_id, session_id)


@router.route(
    "POST /api/sessions/{sessionId}/call/report",
    groups=["customers", "mechanics"],
    body=HeardRequest,
    raises=[CallOver, SessionBusy, SessionNotFound, SessionNotOpen, TooManyRequests],
    metric="WindowsReported",
)
def heard(request: Request) -> Heard:
    session_id = request.id("sessionId", SessionNotFound)
    return report(db, request.caller.user_id, session_id, request.json(HeardRequest))


handler = router.handler()
