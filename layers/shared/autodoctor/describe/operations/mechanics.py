"""What mechanics do."""

from collections.abc import Mapping
from typing import Final

from autodoctor.describe.operation import Operation

OPERATIONS: Final[Mapping[str, Operation]] = {
    "GET /api/mechanic/queue": Operation(
        "getQueue",
        "See who is waiting",
        "Mechanics",
        "Urgent ones first, then who waits longest. General requests for every mechanic, a workshop's own only for its "
        "mechanics, an offer only for the one it is offered to.",
    ),
    "POST /api/mechanic/assignments/{assignmentId}/accept": Operation(
        "acceptAssignment",
        "Take a request",
        "Mechanics",
        "Of many who try at once, one gets it. Again for the same mechanic: the same answer.",
    ),
    "POST /api/mechanic/assignments/{assignmentId}/decline": Operation(
        "declineAssignment",
        "Decline an offer",
        "Mechanics",
        "The session is queued again for the others, where it was. Again: the same answer.",
    ),
    "POST /api/sessions/{sessionId}/release": Operation(
        "releaseSession",
        "Give a session back before it is live",
        "Mechanics",
        "It goes back to its place in the queue, for the others.",
    ),
    "GET /api/mechanic/active-session": Operation(
        "getMechanicActiveSession", "See my active session as a mechanic", "Sessions", "`session` is null without one."
    ),
    "GET /api/mechanic/sessions": Operation(
        "listMechanicSessions", "List my sessions as a mechanic", "Sessions", "Newest first."
    ),
    "GET /api/mechanic/availability": Operation(
        "getAvailability", "See whether I am available", "Mechanics", "Whether requests for me are offered to me."
    ),
    "POST /api/mechanic/availability": Operation(
        "setAvailability",
        "Say whether I am available",
        "Mechanics",
        "It lapses by itself after `minutes`, unless an open feed keeps it.",
    ),
    "GET /api/mechanic/earnings": Operation(
        "getEarnings", "See what I earned", "Payments", "One page, newest first; the totals are over all of them."
    ),
    "GET /api/mechanic/referral-code": Operation(
        "getReferralCode",
        "Get my referral code",
        "Payments",
        "Customers name it at their first intake; it does not change.",
    ),
    "GET /api/mechanic/onboarding": Operation(
        "getOnboarding", "See whether I can be paid", "Payments", "How far Stripe's onboarding is."
    ),
    "POST /api/mechanic/onboarding": Operation(
        "startOnboarding",
        "Get a link to Stripe's onboarding",
        "Payments",
        "The link is good for one visit. What was earned before is sent once Stripe can pay it out.",
    ),
}
