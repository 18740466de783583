"""GET and POST /api/mechanic/availability"""

from autodoctor.db import database
from autodoctor.errors import MechanicNotActive, SessionBusy, TooManyRequests
from autodoctor.events.publish import Publisher
from autodoctor.sessions import availability as use_case
from autodoctor.sessions.availability import Availability, AvailabilityRequest
from autodoctor.web.http import Request, Router

router = Router()
db = database()
publisher = Publisher(db)


def publish(changed: Availability) -> None:
    publisher.publish(changed.mechanic_id)


@router.route("GET /api/mechanic/availability", groups=["mechanics"], raises=[MechanicNotActive])
def fetch(request: Request) -> Availability:
    return use_case.availability(db, request.caller.user_id)


@router.route(
    "POST /api/mechanic/availability",
    groups=["mechanics"],
    body=AvailabilityRequest,
    raises=[MechanicNotActive, SessionBusy, TooManyRequests],
    after=publish,
)
def change(request: Request) -> Availability:
    return use_case.set_availability(db, request.caller.user_id, request.json(AvailabilityRequest))


handler = router.handler()
