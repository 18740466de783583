"""GET /api/admin/session-health, /api/admin/sessions; POST /api/admin/sessions/search, /{sessionId}/contact"""

from autodoctor.db import database
from autodoctor.errors import SessionNotFound
from autodoctor.monitoring.dashboard import SessionHealth, session_health
from autodoctor.monitoring.session_lookup import (
    CustomerContact,
    FoundByPeople,
    SearchRequest,
    customer_contact,
    find_sessions,
)
from autodoctor.monitoring.session_search import FoundSessions, Query, search
from autodoctor.web.http import Request, Router

router = Router()
db = database()


@router.route("GET /api/admin/session-health", groups=["admins"], query=["from", "to"])
def health(request: Request) -> SessionHealth:
    return session_health(db, request.query.get("from"), request.query.get("to"))


@router.route(
    "GET /api/admin/sessions",
    groups=["admins"],
    query=["status", "reason", "alert", "offer", "money", "from", "to", "limit", "cursor"],
)
def sessions(request: Request) -> FoundSessions:
    names = {"from": "since", "to": "until"}
    known = {names.get(name, name): value for name, value in request.query.items()}
    return search(db, Query(**{name: known.get(name) for name in Query.__dataclass_fields__}))


@router.route("POST /api/admin/sessions/search", groups=["admins"], body=SearchRequest)
def by_people(request: Request) -> FoundByPeople:
    return find_sessions(db, request.caller.user_id, request.json(SearchRequest))


@router.route("POST /api/admin/sessions/{sessionId}/contact", groups=["admins"], raises=[SessionNotFound])
def contact(request: Request) -> CustomerContact:
    return customer_contact(db, request.caller.user_id, request.id("sessionId", SessionNotFound))


handler = router.handler()
