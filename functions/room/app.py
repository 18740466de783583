"""POST and GET /api/sessions/{sessionId}/messages, POST /api/sessions/{sessionId}/messages/read"""

from autodoctor.db import database
from autodoctor.errors import (
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    SessionNotOpen,
    TooManyRequests,
)
from autodoctor.room import messages
from autodoctor.room.tell import Teller
from autodoctor.web.http import Request, Router

router = Router()
db = database()
teller = Teller(db)


@router.route(
    "POST /api/sessions/{sessionId}/messages",
    groups=["customers", "mechanics"],
    body=messages.MessageRequest,
    raises=[SessionBusy, SessionEnded, SessionNotFound, SessionNotOpen, TooManyRequests],
    status=201,
    metric="MessagesPosted",
    after=teller.posted,
)
def post(request: Request) -> messages.Posted:
    session_id = request.id("sessionId", SessionNotFound)
    return messages.post(db, request.caller.user_id, session_id, request.json(messages.MessageRequest))


@router.route(
    "GET /api/sessions/{sessionId}/messages",
    groups=["customers", "mechanics", "admins"],
    query=["after", "before", "limit"],
    raises=[SessionNotFound],
)
def read(request: Request) -> messages.Messages:
    session_id = request.id("sessionId", SessionNotFound)
    caller = request.caller
    return messages.listed(db, caller.user_id, session_id, request.query, any_session=caller.is_admin)


@router.route(
    "POST /api/sessions/{sessionId}/messages/read",
    groups=["customers", "mechanics"],
    body=messages.ReadRequest,
    raises=[SessionBusy, SessionNotFound],
    after=teller.marked,
)
def mark(request: Request) -> messages.Marked:
    session_id = request.id("sessionId", SessionNotFound)
    return messages.mark(db, request.caller.user_id, session_id, request.json(messages.ReadRequest).seq)


handler = router.handler()
