"""GET /api/notifications and /api/notifications/preferences, and the routes that change them"""

from typing import Final

from autodoctor.db import database
from autodoctor.errors import SessionBusy
from autodoctor.notifications import confirmation, inbox, preferences
from autodoctor.web.http import Group, Request, Router
from autodoctor.web.schemas import EmptyBody

EVERYBODY: Final[tuple[Group, ...]] = ("customers", "mechanics", "admins")

router = Router()
db = database()


@router.route("GET /api/notifications", groups=EVERYBODY, query=["cursor", "limit", "unread"])
def fetch(request: Request) -> inbox.Notifications:
    query = request.query
    return inbox.notifications(db, request.caller.user_id, query.get("limit"), query.get("cursor"), query.get("unread"))


@router.route(
    "POST /api/notifications/{notificationId}/read",
    groups=EVERYBODY,
    body=EmptyBody,
    raises=[inbox.NotificationNotFound, SessionBusy],
)
def read(request: Request) -> inbox.MarkedAsRead:
    notification_id = request.id("notificationId", inbox.NotificationNotFound)
    request.json(EmptyBody)
    return inbox.mark_as_read(db, request.caller.user_id, notification_id)


@router.route("POST /api/notifications/read-all", groups=EVERYBODY, body=EmptyBody, raises=[SessionBusy])
def read_all(request: Request) -> inbox.AllMarkedAsRead:
    request.json(EmptyBody)
    return inbox.mark_all_as_read(db, request.caller.user_id)


@router.route("GET /api/notifications/preferences", groups=EVERYBODY)
def chosen(request: Request) -> preferences.Preferences:
    return preferences.preferences(db, request.caller.user_id)


@router.route(
    "PUT /api/notifications/preferences", groups=EVERYBODY, body=preferences.PreferencesRequest, raises=[SessionBusy]
)
def choose(request: Request) -> preferences.Preferences:
    return preferences.choose(db, request.caller.user_id, request.json(preferences.PreferencesRequest))


@router.route(
    "POST /api/notifications/confirm-address",
    groups=EVERYBODY,
    body=confirmation.ConfirmationRequest,
    raises=[confirmation.ConfirmationNotFound, SessionBusy],
)
def confirm(request: Request) -> confirmation.AddressConfirmed:
    wish = request.json(confirmation.ConfirmationRequest)
    return confirmation.confirm_address(db, request.caller.user_id, wish)


handler = router.handler()
