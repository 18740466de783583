"""Shared by tests of quotes: a live session with its parties and a workshop, and the steps of a quote."""

from dataclasses import dataclass
from uuid import UUID

from autodoctor.db import Database
from autodoctor.events.model import event_of
from autodoctor.events.outbox import pending
from autodoctor.ids import new_id
from autodoctor.payments.settlement import settle
from autodoctor.quotes import quotes
from autodoctor.quotes.quotes import AmountRequest, ApprovalRequest, EscalationRequest
from autodoctor.quotes.views import Quote
from support.world import Mechanic, World

OWED = "SELECT session_id, mechanic_id, kind, amount_cents, state FROM payouts ORDER BY id"


@dataclass
class QuoteCase:
    """A live session, its parties, and a workshop with somebody who quotes."""

    world: World
    customer: UUID
    mechanic: Mechanic
    session_id: UUID
    workshop_id: UUID
    foreman: Mechanic

    def escalate(self, workshop_id: UUID | None = None, note: str | None = None, app: Database | None = None) -> Quote:
        """Ask the workshop, or another one."""
        asked = EscalationRequest.model_validate({"workshopId": workshop_id or self.workshop_id, "note": note})
        return quotes.escalate(app or self.world.app, self.mechanic.user_id, self.session_id, asked)

    def give(self, asked: Quote, cents: int, text: str | None = None, app: Database | None = None) -> Quote:
        """Have the workshop's mechanic name an amount."""
        given = AmountRequest.model_validate({"amountCents": cents, "description": text})
        return quotes.give_amount(app or self.world.app, self.foreman.user_id, asked.quote_id, given)

    def approve(self, asked: Quote, seen: int | None = None, app: Database | None = None) -> Quote:
        """Have the customer approve it."""
        approval = ApprovalRequest.model_validate({"amountCents": seen})
        return quotes.approve(app or self.world.app, self.customer, asked.quote_id, approval)

    def decline(self, asked: Quote, app: Database | None = None) -> Quote:
        """Have the customer decline it."""
        return quotes.decline(app or self.world.app, self.customer, asked.quote_id)

    def complete(self, app: Database | None = None) -> None:
        """Hold the session for long enough, end it, and settle it."""
        self.world.let_time_pass(90)
        assert self.world.end(self.customer, self.session_id).status == "completed"
        settle(app or self.world.app, self.session_id)

    def events(self, asked: Quote) -> list[str]:
        """The types of its events that the bus does not have, oldest first."""
        return [event_of(row).type for row in pending(self.world.app, asked.quote_id)]

    def status(self, asked: Quote) -> str:
        """Its status."""
        found: str = self.world.one("SELECT status FROM quotes WHERE id = %s", asked.quote_id)
        return found


def live_quote_case(world: World) -> QuoteCase:
    """A live session that its mechanic may escalate."""
    customer, mechanic, workshop_id = new_id(), world.mechanic(), world.workshop()
    session_id = world.live(mechanic, customer).session_id
    return QuoteCase(world, customer, mechanic, session_id, workshop_id, world.mechanic(workshop_id))
