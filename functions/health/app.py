"""GET /api/admin/session-health, /api/admin/sessions"""

from autodoctor.db import database
from autodoctor.monitoring.dashboard import SessionHealth, session_health
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


handler = router.handler()
