"""GET and POST /api/push/subscriptions, POST /api/push/subscriptions/{subscriptionId}/end, POST /api/push/test"""

from typing import Final

from autodoctor.db import database
from autodoctor.errors import SessionBusy, TooManyRequests
from autodoctor.push import subscriptions
from autodoctor.push.service import PushSender
from autodoctor.push.vapid import check_vapid, vapid
from autodoctor.settings import required
from autodoctor.web.http import Group, Request, Router
from autodoctor.web.schemas import EmptyBody

EVERYBODY: Final[tuple[Group, ...]] = ("customers", "mechanics", "admins")

check_vapid()
required("PUSH_HOSTS")
router = Router()
db = database()
sender = PushSender(vapid)


@router.route("GET /api/push/subscriptions", groups=EVERYBODY)
def browsers(request: Request) -> subscriptions.CalledBrowsers:
    return subscriptions.browsers(db, vapid(), request.caller.user_id)


@router.route(
    "POST /api/push/subscriptions",
    groups=EVERYBODY,
    body=subscriptions.SubscriptionRequest,
    status=201,
    raises=[TooManyRequests, SessionBusy],
)
def subscribe(request: Request) -> subscriptions.Subscribed:
    return subscriptions.subscribe(db, request.caller.user_id, request.json(subscriptions.SubscriptionRequest))


@router.route(
    "POST /api/push/subscriptions/{subscriptionId}/end",
    groups=EVERYBODY,
    body=EmptyBody,
    raises=[subscriptions.SubscriptionNotFound, SessionBusy],
)
def end(request: Request) -> subscriptions.SubscriptionEnded:
    subscription_id = request.id("subscriptionId", subscriptions.SubscriptionNotFound)
    request.json(EmptyBody)
    return subscriptions.end_subscription(db, request.caller.user_id, subscription_id)


@router.route("POST /api/push/test", groups=EVERYBODY, body=EmptyBody, raises=[TooManyRequests, SessionBusy])
def test(request: Request) -> subscriptions.Tried:
    request.json(EmptyBody)
    return subscriptions.try_out(db, sender, request.caller.user_id)


handler = router.handler()
