"""What needs no token: what can be bought, Stripe's webhooks, the description itself, and what is retired."""

from collections.abc import Mapping
from typing import Final

from autodoctor.describe.operation import Operation

_STRIPE_EVENT: Final = {"type": "object", "description": "The event, byte for byte as Stripe signed it."}
_PAGE: Final = {"text/html": {"type": "string"}}
_FILE: Final = {"*/*": {"type": "string", "description": "As it lies there."}}
_DOCUMENT: Final = {"application/json": {"type": "object"}}
_TO_CONSOLE: Final = {302: "To /console/index.html."}
_KEPT: Final = {
    200: "The file.",
    302: "To /console/index.html, where no file is named.",
    304: "The copy you have is still it.",
}
_GONE: Final = "Belonged to the system that this one replaced. Every method answers 410 with the successor."

OPERATIONS: Final[Mapping[str, Operation]] = {
    "GET /api/plans": Operation("listPlans", "See what can be bought", "Payments", "Cheapest first."),
    "POST /api/stripe/webhook": Operation(
        "receiveStripeEvent",
        "Take an event of the platform's account",
        "Webhooks",
        "An event takes effect at most once; unknown types are recorded.",
        body=_STRIPE_EVENT,
    ),
    "POST /api/stripe/connect-webhook": Operation(
        "receiveStripeConnectEvent",
        "Take an event of a connected account",
        "Webhooks",
        "As the other endpoint, with a secret of its own.",
        body=_STRIPE_EVENT,
    ),
    "GET /api/openapi.json": Operation("getOpenApi", "Get this document", "Meta", "OpenAPI 3.1.", content=_DOCUMENT),
    "GET /api/asyncapi.json": Operation(
        "getAsyncApi",
        "Get the document of the events",
        "Meta",
        "AsyncAPI 3.0: bus and feed.",
        content=_DOCUMENT,
    ),
    "GET /api/docs": Operation("getDocs", "Read both documents", "Meta", content=_PAGE),
    "GET /problems": Operation("listProblems", "Read about all types of problems", "Meta", content=_PAGE),
    "GET /problems/{slug}": Operation(
        "getProblem",
        "Read about one type of problem",
        "Meta",
        "What it means and what to do. This is the page that a problem's `type` leads to; 404, also as a page, where "
        "there is no such type.",
        content=_PAGE,
        statuses={200: "The page.", 404: "There is no such type: a page that says so."},
    ),
    "GET /": Operation("redirectToConsole", "Go to the console", "Console", content=_FILE, statuses=_TO_CONSOLE),
    "GET /console": Operation(
        "redirectToConsoleFolder", "Go to the console", "Console", content=_FILE, statuses=_TO_CONSOLE
    ),
    "GET /console/{file+}": Operation(
        "getConsoleFile", "Get a file of the console", "Console", content=_FILE, statuses=_KEPT
    ),
    "ANY /api/mechanics/requests": Operation("retiredMechanicsRequests", "Retired", "Meta", _GONE),
    "ANY /api/mechanics/requests/{proxy+}": Operation("retiredMechanicsRequest", "Retired", "Meta", _GONE),
    "ANY /api/mechanic/accept": Operation("retiredMechanicAccept", "Retired", "Meta", _GONE),
    "ANY /api/requests": Operation("retiredRequests", "Retired", "Meta", _GONE),
    "ANY /api/requests/{proxy+}": Operation("retiredRequest", "Retired", "Meta", _GONE),
    "ANY /api/cron/expire-requests": Operation("retiredCronExpireRequests", "Retired", "Meta", _GONE),
}
