"""What admins do."""

from collections.abc import Mapping
from typing import Final

from autodoctor.admin.mechanics import STANDINGS
from autodoctor.describe.operation import Operation
from autodoctor.describe.parameters import QUERY

_WORD: Final = {"type": "string"}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "GET /api/admin/mechanics": Operation(
        "listMechanics",
        "List mechanics",
        "Administration",
        "In the order in which they joined.",
        query={
            "standing": (
                "Only those who could take a request now, or who have a session.",
                {"type": "string", "enum": list(STANDINGS)},
            )
        },
    ),
    "GET /api/admin/mechanics/{mechanicId}": Operation("getMechanic", "See a mechanic", "Administration"),
    "POST /api/admin/mechanics": Operation(
        "addMechanic",
        "Make a user a mechanic",
        "Administration",
        "The user also has to be in the group `mechanics` of the user pool.",
    ),
    "PATCH /api/admin/mechanics/{mechanicId}": Operation(
        "changeMechanic",
        "Change or suspend a mechanic",
        "Administration",
        "What is left out stays. Suspending withdraws the offers to them in the same moment.",
    ),
    "POST /api/admin/mechanics/{mechanicId}/renew-account": Operation(
        "renewAccount",
        "Give up a mechanic's account at Stripe",
        "Administration",
        "For one that Stripe rejected or that is gone: the mechanic goes through onboarding anew, and what they are "
        "owed is sent to the new account.",
    ),
    "GET /api/admin/workshops": Operation(
        "listWorkshops", "List workshops", "Administration", "In the order in which they joined."
    ),
    "POST /api/admin/workshops": Operation("addWorkshop", "Add a workshop", "Administration"),
    "PATCH /api/admin/workshops/{workshopId}": Operation(
        "changeWorkshop", "Change a workshop", "Administration", "What is left out stays."
    ),
    "GET /api/admin/plans": Operation("listAllPlans", "List plans with their terms", "Administration"),
    "POST /api/admin/plans": Operation(
        "addPlan", "Sell a new plan", "Administration", "Prices in cents of usd, the mechanic's share in basis points."
    ),
    "PATCH /api/admin/plans/{code}": Operation(
        "changePlan",
        "Change a plan",
        "Administration",
        "What is left out stays. Sessions that were started keep the terms they were started with.",
    ),
    "GET /api/admin/credit-packs": Operation(
        "listAllCreditPacks", "List packs of credits", "Administration", "Also those that are not sold."
    ),
    "POST /api/admin/credit-packs": Operation("addCreditPack", "Sell a new pack of credits", "Administration"),
    "PATCH /api/admin/credit-packs/{code}": Operation(
        "changeCreditPack", "Change or withdraw a pack", "Administration", "What is left out stays."
    ),
    "POST /api/admin/credits": Operation(
        "grantCredits", "Give a customer credits", "Administration", "The same `key` grants once, however often sent."
    ),
    "GET /api/admin/session-health": Operation(
        "getSessionHealth",
        "See how the service does",
        "Administration",
        "Score, metrics, alerts, and what refunds and cancellations cost, over a window of time.",
    ),
    "GET /api/admin/sessions": Operation(
        "findSessions",
        "Find sessions",
        "Administration",
        "The list behind each number of the dashboard; at most one of status, reason, alert, offer and money. What "
        "happened in a time is of the last 24 hours unless `from` and `to` say otherwise, newest first; what is open "
        "is all of it, oldest first.",
        query={
            "status": ("Sessions that are so, or ended so.", _WORD),
            "reason": ("Sessions that ended for this reason.", _WORD),
            "alert": ("Sessions with this alert.", _WORD),
            "offer": ("Sessions whose offer was answered so: accepted, declined or lapsed.", _WORD),
            "money": ("Sessions whose money stands so.", _WORD),
            **{name: QUERY[name] for name in ("from", "to", "limit", "cursor")},
        },
    ),
    "GET /api/admin/analytics": Operation(
        "getAnalytics",
        "See how sessions went over time",
        "Administration",
        "What was created, how long each step took, who accepted and declined, where it jams, and what became of "
        "intakes. With `format=csv`, or `Accept: text/csv`, the same numbers as a file, one a line.",
        content={"text/csv": {"type": "string"}},
    ),
    "GET /api/admin/dead-letters": Operation(
        "listDeadLetters",
        "See what could not be delivered",
        "Administration",
        "Every dead-letter queue with its count and up to ten letters, oldest first. A letter is told by its ids and "
        "kinds; what it says is not shown. Looking leaves it where it is.",
    ),
    "POST /api/admin/dead-letters/{queue}/redrive": Operation(
        "redriveDeadLetters",
        "Send dead letters again",
        "Administration",
        "Back to where they were meant to go; what fails again comes back as a new letter. `sending` goes on after "
        "the answer where SQS moves them. While it moves them already, the answer says so by counting what is left.",
    ),
    "GET /api/admin/verify": Operation(
        "listVerifications",
        "See whether the data is as it must be",
        "Administration",
        "The newest of the hourly runs that prove the invariants on live data, with the first findings of each check. "
        "A run that could not look at everything goes on in the next one of the same walk; its report counts what the "
        "runs before it found.",
    ),
    "GET /api/admin/reconcile": Operation(
        "listReconciliations",
        "See whether the ledger agrees with Stripe",
        "Administration",
        "The newest runs of the daily comparison, with each difference.",
    ),
}
