"""GET /api/mechanic/earnings and /api/mechanic/referral-code; POST /api/mechanic/netting"""

from autodoctor.db import database
from autodoctor.errors import MechanicNotActive, TooManyRequests
from autodoctor.payments.ledger.earnings import Earnings, earnings
from autodoctor.payments.ledger.netting_consents import Netting, NettingRequest, agree
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


@router.route(
    "POST /api/mechanic/netting",
    groups=["mechanics"],
    body=NettingRequest,
    raises=[MechanicNotActive, TooManyRequests],
)
def decide(request: Request) -> Netting:
    return agree(db, request.caller.user_id, request.json(NettingRequest))


handler = router.handler()
