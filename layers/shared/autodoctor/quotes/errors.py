"""The errors of escalations and quotes."""

from uuid import UUID

from autodoctor.errors import Conflict, NotFound, OwnSession


class QuoteNotFound(NotFound):
    """There is no such quote, or it is not the caller's: both look the same."""

    def __init__(self) -> None:
        super().__init__("There is no such quote.")


class OwnQuote(OwnSession):
    """Nobody quotes for their own car, or for a session that they escalated: they would earn a share of the amount."""

    def __init__(self) -> None:
        super().__init__("You cannot quote for your own session, nor for one that you escalated.")


class SessionNotEscalatable(Conflict):
    """Its mechanic has not looked at the car: the session is neither live nor completed."""

    slug, title = "session-not-escalatable", "Session not escalatable"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"Only a live or completed session can be escalated; this one is {status}.", sessionStatus=status
        )


class QuoteApproved(Conflict):
    """The customer has approved a quote: no other workshop is asked."""

    slug, title = "quote-approved", "Quote approved"

    def __init__(self, quote_id: UUID) -> None:
        super().__init__("The customer has approved a quote for this session.", quoteId=str(quote_id))


class QuoteNotGiven(Conflict):
    """The workshop has not named an amount."""

    slug, title = "quote-not-given", "Quote not given"

    def __init__(self) -> None:
        super().__init__("The workshop has not named an amount yet.")


class QuoteDecided(Conflict):
    """An approved, declined or superseded quote does not change any more."""

    slug, title = "quote-decided", "Quote decided"

    def __init__(self, status: str) -> None:
        super().__init__(f"This quote cannot change any more: it was {status}.", quoteStatus=status)


class QuoteChanged(Conflict):
    """The amount is no longer the one that the customer saw."""

    slug, title = "quote-changed", "Quote changed"

    def __init__(self, amount_cents: int) -> None:
        super().__init__("The workshop has changed the amount; look at it again.", amountCents=amount_cents)
