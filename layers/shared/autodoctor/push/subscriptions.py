"""The browsers that call a user: GET and POST /api/push/subscriptions, ending one, and POST /api/push/test."""

import base64
import binascii
from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

from pydantic import AfterValidator, Field

from autodoctor.db import Database
from autodoctor.errors import NotFound
from autodoctor.ids import new_id
from autodoctor.notifications.words import FALLBACK
from autodoctor.push.encryption import BadKey, browser_key
from autodoctor.push.endpoints import MOST_CHARACTERS, NotAPushService, endpoint_of
from autodoctor.push.service import PushOutcome, PushSender, subscription_of
from autodoctor.push.vapid import Vapid
from autodoctor.push.words import trial
from autodoctor.web.schemas import RequestBody, ResponseModel, Utc

_POINT: Final = 65
_SECRET: Final = 16

_LIST: Final[LiteralString] = """
SELECT p.id AS subscription_id, p.endpoint, p.made_at, p.called_at FROM push_subscriptions p
 WHERE p.user_id = %(user_id)s ORDER BY p.made_at DESC, p.id DESC
"""
# A browser has one subscription, whoever is signed in: it calls the last one who asked.
_SUBSCRIBE: Final[LiteralString] = """
INSERT INTO push_subscriptions AS p (user_id, endpoint, public_key, secret)
SELECT %(user_id)s, %(endpoint)s, %(public_key)s, %(secret)s
 WHERE count_against('push_subscriptions', %(user_id)s)
ON CONFLICT (endpoint) DO UPDATE
  SET user_id = excluded.user_id, public_key = excluded.public_key, secret = excluded.secret,
      made_at = clock_timestamp()
RETURNING p.id AS subscription_id
"""
_END: Final[LiteralString] = """
DELETE FROM push_subscriptions WHERE id = %(subscription_id)s AND user_id = %(user_id)s RETURNING id
"""
_TO_TRY: Final[LiteralString] = """
SELECT p.id AS subscription_id, p.endpoint, p.public_key, p.secret,
       (SELECT l.locale FROM notification_locales l WHERE l.user_id = %(user_id)s) AS locale
  FROM push_subscriptions p
 WHERE p.user_id = %(user_id)s AND count_against('push_tests', %(user_id)s)
"""
_FORGET: Final[LiteralString] = "DELETE FROM push_subscriptions WHERE id = ANY (%(ids)s)"
_CALLED: Final[LiteralString] = "UPDATE push_subscriptions SET called_at = clock_timestamp() WHERE id = ANY (%(ids)s)"


def _plain_bytes(text: str, length: int) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != length:
        raise ValueError(f"must be {length} bytes in base64url")
    return data


def _callable(address: str) -> str:
    try:
        endpoint_of(address)
    except NotAPushService:
        raise ValueError("must be the address of a browser's push service that is called here") from None
    return address


def _a_point(text: str) -> str:
    try:
        browser_key(_plain_bytes(text, _POINT))
    except BadKey:
        raise ValueError("must be a point of P-256") from None
    return text


def _a_secret(text: str) -> str:
    _plain_bytes(text, _SECRET)
    return text


class SubscriptionKeys(RequestBody):
    """The browser's keys, in base64url."""

    p256dh: Annotated[str, Field(max_length=100, alias="p256dh"), AfterValidator(_a_point)]
    auth: Annotated[str, Field(max_length=50), AfterValidator(_a_secret)]


class SubscriptionRequest(RequestBody):
    """What a browser's `PushSubscription` says of itself as JSON."""

    endpoint: Annotated[str, Field(max_length=MOST_CHARACTERS), AfterValidator(_callable)]
    keys: SubscriptionKeys


class CalledBrowser(ResponseModel):
    """A browser of the user's.

    Attributes:
        service: the host of its push service.
        made_at: when it was last asked for.
        called_at: when its push service last took a message; null: never.
    """

    subscription_id: UUID
    service: str
    made_at: Utc
    called_at: Utc | None


class CalledBrowsers(ResponseModel):
    """The browsers that are called, the newest first.

    Attributes:
        public_key: the `applicationServerKey` to subscribe with; a browser that has another one has to ask anew.
    """

    public_key: str
    subscriptions: list[CalledBrowser]


class Subscribed(ResponseModel):
    """The browser is called from now on."""

    subscription_id: UUID


class SubscriptionEnded(ResponseModel):
    """The browser is not called any more."""

    subscription_id: UUID
    ended: Literal[True] = True


class Tried(ResponseModel):
    """What the push services said of a trial call.

    Attributes:
        sent: how many took it.
        gone: how many have no such browser any more; these are forgotten.
        failed: how many refused it, or did not answer.
    """

    sent: int
    gone: int
    failed: int


class SubscriptionNotFound(NotFound):
    """The user has no such subscription; somebody else's gets the same answer."""

    def __init__(self) -> None:
        super().__init__("There is no such subscription.")


def browsers(database: Database, vapid: Vapid, user_id: UUID) -> CalledBrowsers:
    """The browsers that call this user."""
    rows = database.all(_LIST, {"user_id": user_id})
    return CalledBrowsers(
        public_key=vapid.public_key,
        subscriptions=[CalledBrowser(**row, service=_service(row["endpoint"])) for row in rows],
    )


def subscribe(database: Database, user_id: UUID, request: SubscriptionRequest) -> Subscribed:
    """Call this user in this browser; again is the same. One browser too many takes the place of the oldest.

    Raises:
        TooManyRequests: the user has asked too often of late.
    """
    row: Any = database.one(
        _SUBSCRIBE,
        {
            "user_id": user_id,
            "endpoint": request.endpoint,
            "public_key": _plain_bytes(request.keys.p256dh, _POINT),
            "secret": _plain_bytes(request.keys.auth, _SECRET),
        },
    )
    return Subscribed(**row)


def end_subscription(database: Database, user_id: UUID, subscription_id: UUID) -> SubscriptionEnded:
    """Do not call this browser any more.

    Raises:
        SubscriptionNotFound: the user has no such subscription.
    """
    if database.one(_END, {"subscription_id": subscription_id, "user_id": user_id}) is None:
        raise SubscriptionNotFound
    return SubscriptionEnded(subscription_id=subscription_id)


def try_out(database: Database, sender: PushSender, user_id: UUID) -> Tried:
    """Call every browser of the user, so that they see whether it works.

    Raises:
        TooManyRequests: the user has tried too often of late.
    """
    rows = database.all(_TO_TRY, {"user_id": user_id})
    message = trial(rows[0]["locale"] or FALLBACK, new_id()) if rows else None
    called = [subscription_of(row) for row in rows]
    outcomes = sender.send([(each, message) for each in called if message])
    record(database, {each.id: outcome for each, outcome in zip(called, outcomes, strict=True)})
    counts = {outcome: outcomes.count(outcome) for outcome in PushOutcome}
    return Tried(
        sent=counts[PushOutcome.SENT],
        gone=counts[PushOutcome.GONE],
        failed=counts[PushOutcome.REFUSED] + counts[PushOutcome.AWAY],
    )


def record(database: Database, outcomes: dict[UUID, PushOutcome]) -> None:
    """Forget the browsers that are gone, and note when the others were called."""
    for statement, wanted in ((_FORGET, PushOutcome.GONE), (_CALLED, PushOutcome.SENT)):
        ids = [each for each, outcome in outcomes.items() if outcome is wanted]
        if ids:
            database.execute(statement, {"ids": ids})


def _service(address: str) -> str:
    try:
        return endpoint_of(address).host
    except NotAPushService:
        return "not called any more"
