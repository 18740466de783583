"""GET /api/mechanic/earnings"""

from autodoctor.db import database
from autodoctor.http import Request, Router
from autodoctor.payments.earnings import Earnings, earnings

router = Router()
db = database()


@router.route("GET /api/mechanic/earnings", groups=["mechanics"])
def fetch(request: Request) -> Earnings:
    return earnings(db, request.caller.user_id, request.query.get("limit"), request.query.get("cursor"))


handler = router.handler()
