"""A mechanic, a customer and a workshop's mechanic who are one person, and what their quotes earn them."""

from uuid import UUID

from autodoctor.ids import new_id
from autodoctor.payments.settlement import settle
from autodoctor.quotes import quotes
from autodoctor.quotes.quotes import AmountRequest, ApprovalRequest, EscalationRequest
from support.money.purchases import buy, complete, give, pay_by_card, rows
from support.world import World

STATES = "SELECT state FROM payouts WHERE kind = 'escalation' ORDER BY id"
GRANTED = (
    "UPDATE ledger_transfer SET kind = 'credit_issue', actor_id = NULL, change_id = NULL WHERE kind = 'credit_grant'"
)


class Ring:
    """A mechanic, a customer, and a mechanic of a workshop, who are one person."""

    def __init__(self, world: World) -> None:
        self.world, self.customer, self.mechanic = world, new_id(), world.mechanic()
        self.workshop = world.workshop()
        self.foreman = world.mechanic(self.workshop)

    def quoted(self, session_id: UUID, cents: int, customer: UUID | None = None) -> None:
        """Escalate a session, name an amount, and approve it."""
        app = self.world.app
        asked = EscalationRequest.model_validate({"workshopId": self.workshop})
        quote = quotes.escalate(app, self.mechanic.user_id, session_id, asked)
        quotes.give_amount(
            app, self.foreman.user_id, quote.quote_id, AmountRequest.model_validate({"amountCents": cents})
        )
        quotes.approve(app, customer or self.customer, quote.quote_id, ApprovalRequest())

    def held_session(self, paid: str, cents: int, customer: UUID | None = None) -> UUID:
        """A completed and settled session of 90 seconds, whose quote of so many cents was approved."""
        customer = customer or self.customer
        if paid == "credit":
            give(self.world, customer, 1)
            with self.world.without_triggers() as connection:  # as if the customer had bought them
                connection.execute(GRANTED)
        if paid == "gift":
            give(self.world, customer, 1)
        made = {"card": pay_by_card, "credit": buy, "gift": buy}
        created = self.world.queued(customer) if paid == "free" else made[paid](self.world, customer)
        complete(self.world, created, customer, self.mechanic)
        settle(self.world.app, created.session_id)
        self.quoted(created.session_id, cents, customer)
        return created.session_id

    def states(self) -> list[str]:
        """The state of every share, oldest first."""
        return [state for (state,) in rows(self.world, STATES)]
