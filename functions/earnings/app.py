"""GET /api/mechanic/earnings and /api/mechanic/referral-code"""

from autodoctor.db import database
from autodoctor.http import Request, Router
from autodoctor.payments.earnings import Earnings, earnings
from autodoctor.payments.referrals import Referral, referral_code

router = Router()
db = database()


@router.route("GET /api/mechanic/earnings", groups=["mechanics"])
def fetch(request: Request) -> Earnings:
    return earnings(db, request.caller.user_id, request.query.get("limit"), request.query.get("cursor"))


@router.route("GET /api/mechanic/referral-code", groups=["mechanics"])
def code(request: Request) -> Referral:
    return referral_code(db, request.caller.user_id)


handler = router.handler()
