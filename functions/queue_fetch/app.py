"""GET /api/mechanic/queue"""

from autodoctor.db import database
from autodoctor.errors import MechanicNotActive
from autodoctor.sessions.queue import Queue, fetch_queue
from autodoctor.web.http import Request, Router

router = Router()
db = database()


@router.route("GET /api/mechanic/queue", groups=["mechanics"], query=["cursor", "limit"], raises=[MechanicNotActive])
def fetch(request: Request) -> Queue:
    return fetch_queue(db, request.caller.user_id, request.query.get("limit"), request.query.get("cursor"))


handler = router.handler()
