"""GET /api/customer/credits and POST /api/admin/credits"""

from autodoctor.db import database
from autodoctor.errors import SessionBusy
from autodoctor.payments.ledger import credits as credit_account
from autodoctor.web.http import Request, Router

router = Router()
db = database()


@router.route("GET /api/customer/credits", groups=["customers"], query=["cursor", "limit"])
def fetch(request: Request) -> credit_account.Credits:
    query = request.query
    return credit_account.credits_of(db, request.caller.user_id, query.get("limit"), query.get("cursor"))


@router.route(
    "POST /api/admin/credits",
    groups=["admins"],
    body=credit_account.GrantRequest,
    raises=[SessionBusy],
    metric="CreditsGranted",
)
def grant(request: Request) -> credit_account.CreditsGranted:
    return credit_account.grant_credits(db, request.caller.user_id, request.json(credit_account.GrantRequest))


handler = router.handler()
