"""GET /api/admin/dead-letters, POST /api/admin/dead-letters/{queue}/redrive"""

from autodoctor.db import database
from autodoctor.events.dead_letters import queues
from autodoctor.events.dead_letters import redrive as redriving
from autodoctor.settings import required
from autodoctor.web.http import Request, Router

required("DEAD_LETTER_QUEUES")
router = Router()
db = database()


@router.route("GET /api/admin/dead-letters", groups=["admins"])
def list_dead_letters(_request: Request) -> queues.DeadLetterQueues:
    return queues.dead_letters()


@router.route(
    "POST /api/admin/dead-letters/{queue}/redrive", groups=["admins"], raises=[redriving.DeadLetterQueueNotFound]
)
def redrive(request: Request) -> redriving.Redriven:
    return redriving.redrive(db, request.caller.user_id, request.path["queue"])


handler = router.handler()
