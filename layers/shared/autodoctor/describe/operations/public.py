"""Routes without a token: plans, Stripe's webhooks, the descriptions, the console, and the retired ones."""

from collections.abc import Mapping
from typing import Final

from autodoctor.describe.operation import Operation

_STRIPE_EVENT: Final = {"type": "object", "description": "The event, byte for byte as Stripe signed it."}
_PAGE: Final = {"text/html": {"type": "string"}}
_FILE: Final = {"*/*": {"type": "string", "description": "The file as it was deployed."}}
_DOCUMENT: Final = {"application/json": {"type": "object"}}
_TO_CONSOLE: Final = {302: "Redirects to /console/index.html."}
_KEPT: Final = {
    200: "The file.",
    302: "Redirects to /console/index.html when the path names no file, and a browser whose page is not there to "
    "/console/lost.html.",
    304: "Your copy is up to date.",
}
_GONE: Final = "Belonged to the system that this one replaced. Every method answers 410 with the successor."

OPERATIONS: Final[Mapping[str, Operation]] = {
    "GET /api/plans": Operation("listPlans", "List the plans and credit packs for sale", "Payments", "Cheapest first."),
    "POST /api/stripe/webhook": Operation(
        "receiveStripeEvent",
        "Receive an event of the platform's account",
        "Webhooks",
        "An event takes effect at most once; unknown types are recorded.",
        body=_STRIPE_EVENT,
    ),
    "POST /api/stripe/connect-webhook": Operation(
        "receiveStripeConnectEvent",
        "Receive an event of a connected account",
        "Webhooks",
        "Works like the other endpoint, with a signing secret of its own.",
        body=_STRIPE_EVENT,
    ),
    "GET /api/openapi.json": Operation(
        "getOpenApi",
        "Get this document",
        "Meta",
        "OpenAPI 3.1.",
        content=_DOCUMENT,
        statuses={200: "The OpenAPI document."},
    ),
    "GET /api/asyncapi.json": Operation(
        "getAsyncApi",
        "Get the document of the events",
        "Meta",
        "AsyncAPI 3.0: bus and feed.",
        content=_DOCUMENT,
        statuses={200: "The AsyncAPI document."},
    ),
    "GET /api/docs": Operation(
        "getDocs", "Read both documents", "Meta", content=_PAGE, statuses={200: "Both documents, as one page."}
    ),
    "GET /problems": Operation(
        "listProblems",
        "Read about every type of problem",
        "Meta",
        content=_PAGE,
        statuses={200: "A page that lists every type of problem."},
    ),
    "GET /problems/{slug}": Operation(
        "getProblem",
        "Read about one type of problem",
        "Meta",
        "The page that a problem's `type` leads to: its meaning, and what to do.",
        content=_PAGE,
        statuses={200: "The page.", 404: "There is no such type."},
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
