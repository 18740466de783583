"""What a mechanic hands to a workshop, and what becomes of it."""

from collections.abc import Mapping
from typing import Final

from autodoctor.describe.operation import Operation

_STATUS: Final = {"type": "string", "enum": ["requested", "given", "approved", "declined", "superseded"]}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "POST /api/sessions/{sessionId}/escalate": Operation(
        "escalateSession",
        "Hand a session to a workshop",
        "Quotes",
        "By its mechanic, once it is live or completed. Again for the same workshop: the same quote.",
    ),
    "POST /api/quotes/{quoteId}/amount": Operation(
        "giveQuoteAmount",
        "Name an amount",
        "Quotes",
        "By a mechanic of the workshop that was asked. May be changed until the customer decides.",
    ),
    "POST /api/quotes/{quoteId}/approve": Operation(
        "approveQuote",
        "Approve a quote",
        "Quotes",
        "By the customer. With `amountCents`, only the amount that was shown is approved. The mechanic who escalated "
        "earns a share of it; other quotes of the session are superseded. Again: the same answer.",
    ),
    "POST /api/quotes/{quoteId}/decline": Operation(
        "declineQuote", "Decline a quote", "Quotes", "By the customer. Again: the same answer."
    ),
    "GET /api/quotes/{quoteId}": Operation(
        "getQuote", "See a quote", "Quotes", "For the customer, the mechanic who escalated, the workshop, and admins."
    ),
    "GET /api/sessions/{sessionId}/quotes": Operation(
        "listSessionQuotes",
        "List the quotes of a session",
        "Quotes",
        "For those who may see the session, oldest first.",
    ),
    "GET /api/mechanic/quotes": Operation(
        "listMechanicQuotes",
        "List my quotes as a mechanic",
        "Quotes",
        "Those I asked for, and those my workshop was asked for; newest first.",
        query={"status": ("Only those that are so.", _STATUS)},
    ),
    "GET /api/mechanic/workshops": Operation(
        "listWorkshopsToAsk", "List the workshops to hand a session to", "Quotes", "In the order in which they joined."
    ),
}
