"""Every parameter that a route reads, by name: in the path, in the query, in a header."""

from collections.abc import Mapping
from typing import Any, Final

_UUID: Final = {"type": "string", "format": "uuid"}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_CODE: Final = {"type": "string", "pattern": r"^[a-z][a-z0-9_-]{0,39}$"}
_SEQ: Final = {"type": "integer", "minimum": 0, "maximum": 2147483647}

PATH: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "assignmentId": ("From the queue, the feed or the answer to an intake.", _UUID),
    "sessionId": ("From the answer to an intake, the feed or the active session.", _UUID),
    "attachmentId": ("From a promise, a request of the queue (`pictureId`) or a message.", _UUID),
    "intakeId": ("From the answer to an intake that is paid by card.", _UUID),
    "receiptId": ("From the list of receipts, or a mail.", _UUID),
    "month": (
        "A month in UTC (`2026-11`), or a year (`2026`).",
        {"type": "string", "pattern": "^20[0-9]{2}(-(0[1-9]|1[0-2]))?$"},
    ),
    "quoteId": ("From the answer to an escalation, or a list of quotes.", _UUID),
    "mechanicId": ("The mechanic's own id, which is not the `sub` of their token.", _UUID),
    "workshopId": ("The workshop.", _UUID),
    "extensionId": ("From the session (`minutes.extensions`), or from asking for it.", _UUID),
    "payoutId": ("From the list of payouts.", _UUID),
    "evidenceId": ("From the list of cases.", _UUID),
    "notificationId": ("From the list of notifications.", _UUID),
    "subscriptionId": ("From the list of browsers, or from subscribing.", _UUID),
    "code": ("The code of the plan or pack.", _CODE),
    "queue": ("Its name, from the list.", {"type": "string", "pattern": "^[A-Za-z0-9]+$"}),
    "slug": ("Last part of a problem's `type`.", {"type": "string", "pattern": "^[a-z0-9-]+$"}),
    "file": ("Its path, which may have slashes.", {"type": "string"}),
    "proxy": ("Anything below.", {"type": "string"}),
}

QUERY: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "limit": ("The most items to return.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
    "cursor": ("`nextCursor` of the page before; opaque.", {"type": "string"}),
    "after": ("Only messages with a greater `seq`, from the first one on.", _SEQ),
    "before": ("Only messages with a smaller `seq`; without `after`, the last of these.", _SEQ),
    "status": ("Only items with this status.", {"type": "string", "enum": ["active", "suspended"]}),
    "workshopId": ("Only mechanics of this workshop.", _UUID),
    "mechanicId": ("Only of this mechanic.", _UUID),
    "search": ("The beginning of a name, in any case.", {"type": "string", "maxLength": 200}),
    "from": ("Beginning of the window, ISO 8601 with an offset.", _INSTANT),
    "to": ("End of the window, not included; by default now.", _INSTANT),
    "bucket": ("The length of each period.", {"type": "string", "enum": ["hour", "day", "week", "month"]}),
    "format": ("The answer's format; by default, the one in Accept.", {"type": "string", "enum": ["json", "csv"]}),
    "unread": ("`true`: only unread ones.", {"type": "string", "enum": ["true", "false"]}),
}

_KEY: Final = (
    "Any text of yours, new for each new request. The same key and body within 24 hours give the first answer again; "
    "the same key with another body is refused. Only successes are kept."
)
BY_HTTP: Final = frozenset({"accept", "accept-encoding"})
"""Headers that OpenAPI describes elsewhere: Accept is the media types of the answers."""

HEADERS: Final[Mapping[str, tuple[str, str, bool, dict[str, Any]]]] = {
    "idempotency-key": (
        "Idempotency-Key",
        _KEY,
        False,
        {"type": "string", "minLength": 1, "maxLength": 255},
    ),
    "if-none-match": ("If-None-Match", "ETag of the copy you have.", False, {"type": "string"}),
    "stripe-signature": (
        "Stripe-Signature",
        "Time and signature over the raw body, as Stripe writes them.",
        True,
        {"type": "string"},
    ),
}
"""By the name in lower case: the name as written, its purpose, whether it is required, and its schema."""
