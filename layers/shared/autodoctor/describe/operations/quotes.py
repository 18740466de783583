"""Operations that follow a session: escalations, quotes and contests."""

from collections.abc import Mapping
from typing import Final

from autodoctor.describe.operation import Operation

_STATUS: Final = {"type": "string", "enum": ["requested", "given", "approved", "declined", "superseded"]}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "POST /api/sessions/{sessionId}/escalate": Operation(
        "escalateSession",
        "Hand a session to a workshop",
        "Quotes",
        "By its mechanic, once it is live or completed. Repeating it for the same workshop gives the same quote.",
    ),
    "POST /api/quotes/{quoteId}/amount": Operation(
        "giveQuoteAmount",
        "Give the amount of a quote",
        "Quotes",
        "For mechanics of the quote's workshop. They may change the amount until the customer decides.",
    ),
    "POST /api/quotes/{quoteId}/approve": Operation(
        "approveQuote",
        "Approve a quote",
        "Quotes",
        "By the customer. With `amountCents`, only the amount that was shown is approved. The mechanic who escalated "
        "earns a share of it; other quotes of the session are superseded. Repeating it gives the same answer.",
    ),
    "POST /api/quotes/{quoteId}/decline": Operation(
        "declineQuote", "Decline a quote", "Quotes", "By the customer. Repeating it gives the same answer."
    ),
    "GET /api/quotes/{quoteId}": Operation(
        "getQuote", "See a quote", "Quotes", "For the customer, the mechanic who escalated, the workshop, and admins."
    ),
    "GET /api/sessions/{sessionId}/quotes": Operation(
        "listSessionQuotes",
        "List the quotes of a session",
        "Quotes",
        "For everybody who may see the session. Oldest first.",
    ),
    "GET /api/mechanic/quotes": Operation(
        "listMechanicQuotes",
        "List my quotes as a mechanic",
        "Quotes",
        "Quotes that I asked for, and those that my workshop was asked for; newest first.",
        query={"status": ("Only quotes with this status.", _STATUS)},
    ),
    "GET /api/mechanic/workshops": Operation(
        "listWorkshopsToAsk", "List the workshops to hand a session to", "Quotes", "In the order in which they joined."
    ),
    "GET /api/sessions/{sessionId}/contest": Operation(
        "getContest",
        "See whether a session is contested",
        "Contests",
        "For its parties and admins: the contest, or until when its customer may make one.",
    ),
    "POST /api/sessions/{sessionId}/contest": Operation(
        "contestSession",
        "Contest a session",
        "Contests",
        "By its customer, for 72 hours from its settlement on, once, with the minutes that were added to it: what of "
        "their prices is not sent is held until an admin has decided. Repeating it gives the same answer.",
    ),
    "POST /api/sessions/{sessionId}/contest/answer": Operation(
        "answerContest",
        "Answer a contest",
        "Contests",
        "By the session's mechanic, once, before it is decided. Repeating it gives the same answer.",
    ),
}
