"""GET /api/admin/dead-letters, POST /api/admin/dead-letters/{queue}/redrive"""

from autodoctor.db import database
from autodoctor.events import dead_letters, redriving
from autodoctor.http import Request, Router
from autodoctor.settings import required

required("DEAD_LETTER_QUEUES")
router = Router()
db = database()


@router.route("GET /api/admin/dead-letters", groups=["admins"])
def look(_request: Request) -> dead_letters.DeadLetterQueues:
    return dead_letters.dead_letters()


@router.route("POST /api/admin/dead-letters/{queue}/redrive", groups=["admins"])
def redrive(request: Request) -> redriving.Redriven:
    return redriving.redrive(db, request.caller.user_id, request.path["queue"])


handler = router.handler()
