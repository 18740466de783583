"""GET /api/mechanic/earnings and /api/mechanic/referral-code"""

from autodoctor.db import database
from autodoctor.errors import MechanicNotActive
from autodoctor.payments.ledger.earnings import Earnings, earnings
from autodoctor.payments.ledger.referrals import Referral, referral_code
from autodoctor.web.http import Request, Router

router = Router()
db = database()


@router.route("GET /api/mechanic/earnings", groups=["mechanics"], query=["cursor", "limit"])
def fetch(request: Request) -> Earnings:
    return earnings(db, request.caller.user_id, request.query.get("limit"), request.query.get("cursor"))


@router.route("GET /api/mechanic/referral-code", groups=["mechanics"], raises=[MechanicNotActive])
def code(request: Request) -> Referral:
    return referral_code(db, request.caller.user_id)


handler = router.handler()
