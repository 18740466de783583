"""GET /api/customer/active-session, /api/mechanic/active-session, /api/sessions/{sessionId}, and both histories"""

from autodoctor.db import database
from autodoctor.errors import SessionNotFound
from autodoctor.sessions import active
from autodoctor.settings import session_base_url
from autodoctor.web.http import Request, Router

router = Router()
db = database()
session_base_url()  # a deployment without it fails here, not at the first session


@router.route("GET /api/customer/active-session", groups=["customers"])
def customer(request: Request) -> active.ActiveSession:
    return active.customer_active_session(db, request.caller.user_id)


@router.route("GET /api/mechanic/active-session", groups=["mechanics"])
def mechanic(request: Request) -> active.ActiveSession:
    return active.mechanic_active_session(db, request.caller.user_id)


@router.route("GET /api/sessions/{sessionId}", groups=["customers", "mechanics", "admins"], raises=[SessionNotFound])
def detail(request: Request) -> active.SessionDetail:
    session_id = request.id("sessionId", SessionNotFound)
    caller = request.caller
    return active.session_detail(db, caller.user_id, session_id, any_session=caller.is_admin)


@router.route("GET /api/customer/sessions", groups=["customers"], query=["cursor", "limit"])
def customer_history(request: Request) -> active.History:
    query = request.query
    return active.history(db, "customer", request.caller.user_id, query.get("limit"), query.get("cursor"))


@router.route("GET /api/mechanic/sessions", groups=["mechanics"], query=["cursor", "limit"])
def mechanic_history(request: Request) -> active.History:
    query = request.query
    return active.history(db, "mechanic", request.caller.user_id, query.get("limit"), query.get("cursor"))


handler = router.handler()
