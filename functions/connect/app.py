"""POST and GET /api/mechanic/onboarding; POST /api/admin/mechanics/{mechanicId}/renew-account"""

from autodoctor.admin.accounts import AccountRenewed, renew_account
from autodoctor.admin.mechanics import MechanicNotFound
from autodoctor.db import database
from autodoctor.errors import MechanicNotActive, PaymentsUnavailable, SessionBusy, TooManyRequests
from autodoctor.payments.stripe.client import check_stripe, stripe_client
from autodoctor.payments.stripe.connect import Onboarding, OnboardingLink, onboarding, start_onboarding
from autodoctor.settings import session_base_url
from autodoctor.web.http import Request, Router

session_base_url()
check_stripe()
router = Router()
db = database()


@router.route(
    "POST /api/mechanic/onboarding",
    groups=["mechanics"],
    raises=[MechanicNotActive, PaymentsUnavailable, SessionBusy, TooManyRequests],
)
def start(request: Request) -> OnboardingLink:
    return start_onboarding(db, stripe_client(), request.caller.user_id)


@router.route("GET /api/mechanic/onboarding", groups=["mechanics"], raises=[MechanicNotActive])
def status(request: Request) -> Onboarding:
    return onboarding(db, stripe_client, request.caller.user_id)


@router.route(
    "POST /api/admin/mechanics/{mechanicId}/renew-account", groups=["admins"], raises=[MechanicNotFound, SessionBusy]
)
def renew(request: Request) -> AccountRenewed:
    return renew_account(db, request.caller.user_id, request.id("mechanicId", MechanicNotFound))


handler = router.handler()
