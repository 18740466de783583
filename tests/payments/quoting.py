"""What tests of quotes share: a live session with its parties and a workshop, and the steps of a quote."""

from dataclasses import dataclass
from uuid import UUID

from autodoctor.db import Database
from autodoctor.events.model import event_of
from autodoctor.events.outbox import pending
from autodoctor.ids import new_id
from autodoctor.quotes import quotes
from autodoctor.quotes.quotes import AmountRequest, ApprovalRequest, EscalationRequest
from autodoctor.quotes.views import Quote
from integration.actors import Mechanic, Stage

OWED = "SELECT session_id, mechanic_id, kind, amount_cents, state FROM payouts ORDER BY id"


@dataclass
class Case:
    """A live session, its parties, and a workshop with somebody who quotes."""

    stage: Stage
    customer: UUID
    mechanic: Mechanic
    session_id: UUID
    workshop_id: UUID
    foreman: Mechanic

    def escalate(self, workshop_id: UUID | None = None, note: str | None = None, app: Database | None = None) -> Quote:
        """Ask the workshop, or another one."""
        asked = EscalationRequest.model_validate({"workshopId": workshop_id or self.workshop_id, "note": note})
        return quotes.escalate(app or self.stage.app, self.mechanic.user_id, self.session_id, asked)

    def give(self, asked: Quote, cents: int, text: str | None = None, app: Database | None = None) -> Quote:
        """Have the workshop's mechanic name an amount."""
        given = AmountRequest.model_validate({"amountCents": cents, "description": text})
        return quotes.give_amount(app or self.stage.app, self.foreman.user_id, asked.quote_id, given)

    def approve(self, asked: Quote, seen: int | None = None, app: Database | None = None) -> Quote:
        """Have the customer approve it."""
        approval = ApprovalRequest.model_validate({"amountCents": seen})
        return quotes.approve(app or self.stage.app, self.customer, asked.quote_id, approval)

    def decline(self, asked: Quote, app: Database | None = None) -> Quote:
        """Have the customer decline it."""
        return quotes.decline(app or self.stage.app, self.customer, asked.quote_id)

    def events(self, asked: Quote) -> list[str]:
        """The types of its events that the bus does not have, oldest first."""
        return [event_of(row).type for row in pending(self.stage.app, asked.quote_id)]

    def status(self, asked: Quote) -> str:
        """Its status."""
        found: str = self.stage.one("SELECT status FROM quotes WHERE id = %s", asked.quote_id)
        return found


def live_case(stage: Stage) -> Case:
    """A live session that its mechanic may escalate."""
    customer, mechanic, workshop_id = new_id(), stage.mechanic(), stage.workshop()
    session_id = stage.live(mechanic, customer).session_id
    return Case(stage, customer, mechanic, session_id, workshop_id, stage.mechanic(workshop_id))
