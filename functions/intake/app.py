"""POST /api/intake/start"""

from autodoctor.db import database
from autodoctor.events.publish import Publisher
from autodoctor.funded_intake import start_funded_intake
from autodoctor.http import Request, Router
from autodoctor.sessions.intake import IntakeRequest, SessionCreated

router = Router()
db = database()
publish = Publisher(db)


@router.route("POST /api/intake/start", groups=["customers"], status=201, metric="SessionsCreated", after=publish)
def start(request: Request) -> SessionCreated:
    intake = request.json(IntakeRequest)
    return start_funded_intake(db, request.caller.user_id, intake, request.headers.get("idempotency-key"))


handler = router.handler()
