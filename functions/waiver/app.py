"""POST /api/waiver/submit"""

from autodoctor.db import database
from autodoctor.errors import SessionBusy, SessionEnded, SessionNotFound
from autodoctor.events.publish import Publisher
from autodoctor.intake.waiver import WaiverRequest, WaiverSigned, sign_waiver
from autodoctor.web.http import Request, Router

router = Router()
db = database()
publish = Publisher(db)


@router.route(
    "POST /api/waiver/submit",
    groups=["customers"],
    body=WaiverRequest,
    raises=[SessionBusy, SessionEnded, SessionNotFound],
    metric="WaiversSigned",
    after=publish,
)
def submit(request: Request) -> WaiverSigned:
    return sign_waiver(db, request.caller.user_id, request.json(WaiverRequest))


handler = router.handler()
