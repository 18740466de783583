"""POST /api/realtime/ticket"""

from autodoctor.db import database
from autodoctor.errors import TooManyRequests
from autodoctor.events.feed.tickets import Ticket, issue_ticket
from autodoctor.settings import required
from autodoctor.web.http import Request, Router
from autodoctor.web.schemas import EmptyBody

required("WEBSOCKET_URL")
router = Router()
db = database()


@router.route(
    "POST /api/realtime/ticket",
    groups=["customers", "mechanics", "admins"],
    body=EmptyBody,
    raises=[TooManyRequests],
    metric="Tickets",
)
def ticket(request: Request) -> Ticket:
    request.json(EmptyBody)
    return issue_ticket(db, request.caller.user_id, request.caller.groups)


handler = router.handler()
