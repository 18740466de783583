"""GET /api/customer/active-session, /api/mechanic/active-session, /api/sessions/{sessionId}, and both histories"""

from autodoctor.db import database
from autodoctor.errors import SessionNotFound
from autodoctor.http import Request, Router
from autodoctor.sessions import active

router = Router()


@router.route("GET /api/customer/active-session", groups=["customers"])
def customer(request: Request) -> active.ActiveSession:
    return active.customer_active_session(database(), request.caller.user_id)


@router.route("GET /api/mechanic/active-session", groups=["mechanics"])
def mechanic(request: Request) -> active.ActiveSession:
    return active.mechanic_active_session(database(), request.caller.user_id)


@router.route("GET /api/sessions/{sessionId}", groups=["customers", "mechanics", "admins"])
def detail(request: Request) -> active.SessionDetail:
    session_id = request.id("sessionId", SessionNotFound)
    caller = request.caller
    return active.session_detail(database(), caller.user_id, session_id, any_session=caller.is_admin)


@router.route("GET /api/customer/sessions", groups=["customers"])
def customer_history(request: Request) -> active.History:
    query = request.query
    return active.history(database(), "customer", request.caller.user_id, query.get("limit"), query.get("cursor"))


@router.route("GET /api/mechanic/sessions", groups=["mechanics"])
def mechanic_history(request: Request) -> active.History:
    query = request.query
    return active.history(database(), "mechanic", request.caller.user_id, query.get("limit"), query.get("cursor"))


handler = router.handler()
