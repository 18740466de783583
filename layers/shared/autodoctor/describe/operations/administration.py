"""Operations of admins."""

from collections.abc import Mapping
from typing import Final

from autodoctor.admin.mechanics import AVAILABILITIES
from autodoctor.admin.payouts import STATES
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
                "Only mechanics who could take a request now, or only those with a session.",
                {"type": "string", "enum": list(AVAILABILITIES)},
            )
        },
    ),
    "GET /api/admin/mechanics/{mechanicId}": Operation("getMechanic", "See a mechanic", "Administration"),
    "POST /api/admin/mechanics": Operation(
        "addMechanic",
        "Make a user a mechanic",
        "Administration",
        "Also puts the user into the group `mechanics` of the stack's user pool; from their next sign-in or refresh "
        "their tokens say so. Where tokens come from an issuer of your own, that group is yours to give.",
    ),
    "PATCH /api/admin/mechanics/{mechanicId}": Operation(
        "changeMechanic",
        "Change or suspend a mechanic",
        "Administration",
        "Fields that are left out keep their values. Suspending withdraws the offers to them, queues a session again "
        "that waits for them, and holds what they are owed, in the same moment.",
    ),
    "GET /api/admin/payouts": Operation(
        "listPayouts",
        "List payouts",
        "Administration",
        "Newest first, with what holds them.",
        query={"state": ("Only payouts in this state.", {"type": "string", "enum": list(STATES)})},
    ),
    "POST /api/admin/sessions/{sessionId}/decide": Operation(
        "decideSettlement",
        "Decide about the money of a held session",
        "Administration",
        "For a session whose evidence, with what came after its verdict, demands another outcome: the outcome stands, "
        "and its money is settled within a minute as you decide. The decision is final and audited.",
    ),
    "POST /api/admin/sessions/{sessionId}/contest/decide": Operation(
        "decideContest",
        "Decide about a contested session",
        "Administration",
        "About all that was paid for it: its price, and the minutes that were added and used. `keep`: nothing changes. "
        "`part`: as many cents and credits as you say go back, of each price in proportion; each bears their share. "
        "`all`: everything goes back. Both parties are told, with your note. The decision is final and audited.",
    ),
    "GET /api/admin/cases": Operation(
        "listCases",
        "List what waits for a decision",
        "Administration",
        "Contests, sessions whose evidence came late, shares of quotes to release, disputes to answer; oldest first.",
    ),
    "GET /api/admin/disputes/{evidenceId}": Operation(
        "getDispute",
        "See a dispute and its evidence",
        "Administration",
        "What the record says of the disputed payment, as it is staged at Stripe, and what the record does not have. "
        "With `document` one of the evidence's documents, as PDF.",
        query={"document": ("The document's `field`.", {"type": "string"})},
        content={"application/pdf": {"type": "string", "format": "binary"}},
    ),
    "POST /api/admin/disputes/{evidenceId}/evidence": Operation(
        "writeEvidence",
        "Edit or send the evidence of a dispute",
        "Administration",
        "Replaces all texts of the version that was read. It is staged at Stripe within minutes; with `send` the bank "
        "gets it, once and for good. Both are audited, without the words.",
    ),
    "GET /api/admin/cases/{sessionId}": Operation(
        "getCase",
        "See the money of a session",
        "Administration",
        "Everything that a decision rests on, beside the session's evidence and messages: contest, late evidence, "
        "its payments and those of its extensions with their disputes, payouts with their holds, refunds, what goes "
        "back of each after a contest, and the rows of the ledger; with the ids of "
        "Stripe's objects, and where its dashboard shows them.",
    ),
    "POST /api/admin/payouts/{payoutId}/hold": Operation(
        "holdPayout",
        "Hold a payout",
        "Administration",
        "It is not sent until it is released. One that is being sent at this moment is held only if that fails.",
    ),
    "POST /api/admin/payouts/{payoutId}/release": Operation(
        "releasePayout",
        "Release a payout",
        "Administration",
        "Ends everything that holds it, also a suspension or a dispute: it is sent within minutes.",
    ),
    "POST /api/admin/mechanics/{mechanicId}/renew-account": Operation(
        "renewAccount",
        "Replace a mechanic's account at Stripe",
        "Administration",
        "For an account that Stripe rejected or closed: the mechanic does the onboarding again, and unpaid earnings "
        "are sent to the new account.",
    ),
    "GET /api/admin/workshops": Operation(
        "listWorkshops", "List workshops", "Administration", "In the order in which they joined."
    ),
    "POST /api/admin/workshops": Operation("addWorkshop", "Add a workshop", "Administration"),
    "PATCH /api/admin/workshops/{workshopId}": Operation(
        "changeWorkshop", "Change a workshop", "Administration", "Fields that are left out keep their values."
    ),
    "GET /api/admin/plans": Operation("listAllPlans", "List plans with their terms", "Administration"),
    "POST /api/admin/plans": Operation(
        "addPlan", "Add a plan", "Administration", "Prices in cents of usd, the mechanic's share in basis points."
    ),
    "PATCH /api/admin/plans/{code}": Operation(
        "changePlan",
        "Change a plan",
        "Administration",
        "Fields that are left out keep their values. Sessions that were started keep the terms they were started with.",
    ),
    "GET /api/admin/credit-packs": Operation(
        "listAllCreditPacks", "List packs of credits", "Administration", "Also those that are not sold."
    ),
    "POST /api/admin/credit-packs": Operation("addCreditPack", "Add a pack of credits", "Administration"),
    "PATCH /api/admin/credit-packs/{code}": Operation(
        "changeCreditPack", "Change or withdraw a pack", "Administration", "Fields that are left out keep their values."
    ),
    "POST /api/admin/credits": Operation(
        "grantCredits", "Give a customer credits", "Administration", "The same `key` grants once, however often sent."
    ),
    "GET /api/admin/session-health": Operation(
        "getSessionHealth",
        "See the health of the service",
        "Administration",
        "Score, metrics, alerts, and the cost of refunds and cancellations, over a window of time.",
    ),
    "GET /api/admin/sessions": Operation(
        "findSessions",
        "Find sessions",
        "Administration",
        "The list behind each number of the dashboard; at most one of status, reason, alert, offer and money. Past "
        "sessions are those of the last 24 hours unless `from` and `to` say otherwise, newest first; open ones are "
        "listed in full, oldest first.",
        query={
            "status": ("Sessions with this status.", _WORD),
            "reason": ("Sessions that ended for this reason.", _WORD),
            "alert": ("Sessions with this alert.", _WORD),
            "offer": ("Sessions whose offer was accepted, declined or lapsed.", _WORD),
            "money": ("Sessions whose money is in this state.", _WORD),
            **{name: QUERY[name] for name in ("from", "to", "limit", "cursor")},
        },
    ),
    "POST /api/admin/sessions/search": Operation(
        "searchSessions",
        "Search sessions by people and payments",
        "Administration",
        "By a name, an e-mail address, a telephone number, one of Stripe's ids, a receipt's number, or an id of ours; "
        "`soughtBy` says what the text was taken for. Newest first. Who searched, and what was shown, is recorded; the "
        "text is not.",
    ),
    "POST /api/admin/sessions/{sessionId}/contact": Operation(
        "seeContact", "See how to reach a customer", "Administration", "That it was shown is recorded."
    ),
    "POST /api/admin/sessions/{sessionId}/message": Operation(
        "writeAsOperator",
        "Write into a session's room",
        "Administration",
        "Both parties read it as from the operator. It is recorded that you wrote, not what.",
    ),
    "POST /api/admin/sessions/{sessionId}/offer": Operation(
        "offerToMechanic",
        "Offer a waiting request to a mechanic",
        "Administration",
        "As if the customer had asked for them: it is theirs to accept or decline for a while, also where they are "
        "away, then it goes back to the queue. Recorded.",
    ),
    "GET /api/admin/analytics": Operation(
        "getAnalytics",
        "See statistics of sessions over time",
        "Administration",
        "Sessions created, the duration of each step, accepts and declines, bottlenecks, and the outcome of "
        "intakes. With `format=csv`, or `Accept: text/csv`, the same numbers as a file, one a line.",
        content={"text/csv": {"type": "string"}},
    ),
    "GET /api/admin/dead-letters": Operation(
        "listDeadLetters",
        "List dead letters",
        "Administration",
        "Every dead-letter queue with its count and up to ten dead letters, oldest first: ids and kinds, not the "
        "content. Listing them leaves them in the queue.",
    ),
    "POST /api/admin/dead-letters/{queue}/redrive": Operation(
        "redriveDeadLetters",
        "Send dead letters again",
        "Administration",
        "They go to the queue or function that they were meant for; one that fails again comes back as a new one. "
        "Where SQS moves them, it goes on after the answer; if it is moving them already, `sending` counts those left.",
    ),
    "GET /api/admin/changes": Operation(
        "listChanges",
        "See what admins did",
        "Administration",
        "To one session (and its payouts) or to one mechanic, newest first; also who looked the session up.",
        query={
            "sessionId": ("Of this session.", {"type": "string", "format": "uuid"}),
            "mechanicId": ("Of this mechanic.", {"type": "string", "format": "uuid"}),
        },
    ),
    "GET /api/admin/verify": Operation(
        "listVerifications",
        "List verification runs",
        "Administration",
        "The newest of the hourly runs that check the invariants on live data, with the first findings of each check. "
        "A check of everything may take several runs; each report counts the findings of the runs before it too.",
    ),
    "GET /api/admin/reconcile": Operation(
        "listReconciliations",
        "List reconciliation runs",
        "Administration",
        "The newest of the daily comparisons of the ledger with Stripe, with every difference.",
    ),
}
