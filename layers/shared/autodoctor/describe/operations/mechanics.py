"""Operations of mechanics."""

from collections.abc import Mapping
from typing import Final

from autodoctor.describe.operation import Operation

OPERATIONS: Final[Mapping[str, Operation]] = {
    "GET /api/mechanic/queue": Operation(
        "getQueue",
        "List the queue",
        "Mechanics",
        "By precedence (whom a mechanic left waiting, urgent and paid for, urgent of known customers, all others), "
        "then the oldest. General requests are shown to every mechanic, a workshop's own to its mechanics, an offer to "
        "the mechanic that it is made to.",
    ),
    "POST /api/mechanic/assignments/{assignmentId}/accept": Operation(
        "acceptAssignment",
        "Accept a request",
        "Mechanics",
        "If several try at once, one gets it. Repeating it gives that mechanic the same answer.",
    ),
    "POST /api/mechanic/assignments/{assignmentId}/decline": Operation(
        "declineAssignment",
        "Decline an offer",
        "Mechanics",
        "The session is queued for the others, at its old place. Repeating it gives the same answer.",
    ),
    "POST /api/sessions/{sessionId}/release": Operation(
        "releaseSession",
        "Give a session back before it is live",
        "Mechanics",
        "The session is queued for the others, at its old place.",
    ),
    "PUT /api/sessions/{sessionId}/notes": Operation(
        "saveNotes",
        "Save my notes for the customer",
        "Mechanics",
        "All of them, while they are typed and for 24 hours after the end, whoever ended it. A greater `version` "
        "replaces a smaller one, so that a request that comes late overwrites nothing. With `confirmed` the customer "
        "gets the summary at once; otherwise 15 minutes after the end.",
    ),
    "GET /api/mechanic/active-session": Operation(
        "getMechanicActiveSession", "See my active session as a mechanic", "Sessions", "`session` is null without one."
    ),
    "GET /api/mechanic/sessions": Operation(
        "listMechanicSessions", "List my sessions as a mechanic", "Sessions", "Newest first."
    ),
    "GET /api/mechanic/availability": Operation(
        "getAvailability", "See my availability", "Mechanics", "Whether requests are offered to me."
    ),
    "POST /api/sessions/{sessionId}/extend/{extensionId}/answer": Operation(
        "answerExtension",
        "Agree to more minutes, or decline",
        "Sessions",
        "What the customer pays by credits is taken at once, and its minutes are added. The same answer again changes "
        "nothing.",
    ),
    "POST /api/mechanic/availability": Operation(
        "setAvailability",
        "Set my availability",
        "Mechanics",
        "Availability lapses after `minutes`, unless an open feed keeps it.",
    ),
    "GET /api/mechanic/earnings": Operation(
        "getEarnings", "See my earnings", "Payments", "One page, newest first; the totals are of all pages."
    ),
    "GET /api/mechanic/statements": Operation(
        "listStatements",
        "List my statements",
        "Payments",
        "The months, in UTC, in which something was earned, sent, taken back or became owed; newest first.",
    ),
    "GET /api/mechanic/statements/{month}": Operation(
        "getStatement",
        "See my statement of a month or a year",
        "Payments",
        "Every row of the ledger that changes what I am owed or owe is one line: opening balance and lines are the "
        "closing balance. `waiting` says what is not sent now, why, and until when. A year is for tax. As JSON, CSV, "
        "printable HTML or PDF, as Accept or `format` says; as JSON in pages of lines, with the sums of all.",
        query={
            "format": (
                "The answer's format; by default, the one in Accept.",
                {"type": "string", "enum": ["json", "csv", "html", "pdf"]},
            )
        },
        content={
            "text/csv": {"type": "string"},
            "text/html": {"type": "string"},
            "application/pdf": {"type": "string", "format": "binary"},
        },
    ),
    "POST /api/mechanic/netting": Operation(
        "agreeToNetting",
        "Agree to netting, or withdraw that",
        "Payments",
        "With `agreed`, what I owe is withheld from payouts that are not sent yet, oldest debt first. Time and words "
        "are recorded. Withdrawing keeps what was netted. Repeating it gives the same answer.",
    ),
    "GET /api/mechanic/referral-code": Operation(
        "getReferralCode",
        "Get my referral code",
        "Payments",
        "Customers name it at their first intake; it does not change.",
    ),
    "GET /api/mechanic/onboarding": Operation(
        "getOnboarding", "See my onboarding at Stripe", "Payments", "Payouts need it to be complete."
    ),
    "POST /api/mechanic/onboarding": Operation(
        "startOnboarding",
        "Get a link to Stripe's onboarding",
        "Payments",
        "The link is good for one visit. Earlier earnings are paid out once Stripe allows it.",
    ),
}
