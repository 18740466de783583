"""POST /api/sessions/{sessionId}/end, PUT .../notes; POST /api/admin/sessions/{sessionId}/message, /offer"""

from autodoctor.admin.operator_help import (
    NotOffered,
    OfferRequest,
    OperatorMessage,
    OperatorMessageRequest,
    OperatorOffer,
    offer,
    write,
)
from autodoctor.db import database
from autodoctor.errors import NotesChanged, NotesClosed, SessionBusy, SessionEnded, SessionNotFound
from autodoctor.events.publish import Publisher
from autodoctor.sessions.end import Ended, Ender, EndRequest, end_session, explain_end
from autodoctor.sessions.notes import NotesRequest, NotesSaved, save_notes
from autodoctor.web.http import Request, Router

router = Router()
db = database()
publish = Publisher(db)


@router.route(
    "POST /api/sessions/{sessionId}/end",
    groups=["customers", "mechanics", "admins"],
    body=EndRequest,
    raises=[SessionBusy, SessionNotFound],
    metric="EndRequests",
    after=publish,
)
def end(request: Request) -> Ended:
    session_id = request.id("sessionId", SessionNotFound)
    ender = Ender(request.caller.user_id, any_session=request.caller.is_admin)
    body = request.json(EndRequest)
    ended = end_session(db, ender, session_id, body.mechanic_notes)
    if body.explanation is not None:
        explain_end(db, ender, session_id, body.explanation)
    return ended


@router.route(
    "PUT /api/sessions/{sessionId}/notes",
    groups=["mechanics"],
    body=NotesRequest,
    raises=[NotesChanged, NotesClosed, SessionBusy, SessionNotFound],
    metric="NotesSaved",
    after=publish,
)
def notes(request: Request) -> NotesSaved:
    session_id = request.id("sessionId", SessionNotFound)
    return save_notes(db, request.caller.user_id, session_id, request.json(NotesRequest))


def publish_help(helped: OperatorMessage | OperatorOffer) -> None:
    publish.publish(helped.session_id)


@router.route(
    "POST /api/admin/sessions/{sessionId}/message",
    groups=["admins"],
    body=OperatorMessageRequest,
    raises=[SessionBusy, SessionEnded, SessionNotFound],
    after=publish_help,
)
def message(request: Request) -> OperatorMessage:
    session_id = request.id("sessionId", SessionNotFound)
    return write(db, request.caller.user_id, session_id, request.json(OperatorMessageRequest))


@router.route(
    "POST /api/admin/sessions/{sessionId}/offer",
    groups=["admins"],
    body=OfferRequest,
    raises=[NotOffered, SessionBusy, SessionNotFound],
    after=publish_help,
)
def offer_by_name(request: Request) -> OperatorOffer:
    session_id = request.id("sessionId", SessionNotFound)
    return offer(db, request.caller.user_id, session_id, request.json(OfferRequest))


handler = router.handler()
