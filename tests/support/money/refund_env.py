"""Refunds: sessions and packs bought at the stand-in, its events through the handler, and all books."""

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal
from uuid import UUID

import stripe

from autodoctor.db import Row
from autodoctor.ids import FIRST, LAST, new_id
from autodoctor.integrity.checks.money import packs
from autodoctor.integrity.checks.now import findings_of
from autodoctor.payments.checkout.checkout import PackRequest, buy_pack
from autodoctor.payments.ledger.accounts import DISPUTED, STRIPE, Account, mechanic_payable, mechanic_receivable
from autodoctor.payments.ledger.fees import SweptFees, sweep_fees
from autodoctor.payments.losses.losses import sweep_losses
from autodoctor.payments.losses.refund_lookups import LookedUp, sweep_refund_lookups
from autodoctor.payments.outgoing.payouts import sweep_payouts
from autodoctor.payments.outgoing.refunds import sweep_refunds
from autodoctor.payments.outgoing.reversals import sweep_reversals
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.connect import start_onboarding
from autodoctor.payments.stripe.lease import Sent
from localcloud.stripe.state.webhooks import EVENTS
from support.invariants.sessions import violations
from support.money.checkout_env import SIGNED, CheckoutEnv
from support.money.payout_env import DUE_NOW, OLDER
from support.money.purchases import balance, complete
from support.money.stripe_shop import client_of
from support.world import Mechanic

type Order = Literal["as_made", "backwards", "shuffled"]

PRICE = 999
SHARE = 699
DISPUTE_FEE = 1500


@dataclass
class RefundEnv:
    """A `CheckoutEnv`, and everything that happens to the money after it; Stripe sends no events of `unasked` types."""

    checkout_env: CheckoutEnv
    retries: int = 2
    delivered: set[str] = field(default_factory=set)
    unasked: frozenset[str] = frozenset()
    mechanic: Mechanic = field(init=False)

    def __post_init__(self) -> None:
        """One mechanic."""
        self.mechanic = self.checkout_env.world.mechanic()

    @property
    def client(self) -> stripe.StripeClient:
        """A client of the stand-in."""
        return client_of(self.checkout_env.stripe, retries=self.retries)

    # --- what people do -----------------------------------------------------------------------------

    def onboard(self) -> str:
        """The mechanic goes through onboarding; Stripe's id of the account."""
        start_onboarding(self.checkout_env.world.app, self.client, self.mechanic.user_id)
        account_id: str = self.checkout_env.one("SELECT stripe_account_id FROM mechanic_accounts")
        self.checkout_env.stripe.onboard(account_id)
        self.tell()
        return account_id

    def buy(self, customer: UUID | None = None, *, delivered: bool = True) -> UUID:
        """An intake that was paid for: its id, which is that of its session."""
        opened = self.checkout_env.ask(customer or new_id(), None, **SIGNED)
        self.checkout_env.stripe.pay(self.checkout_env.page(opened))
        if delivered:
            self.tell()
        return opened.intake_id

    def customer(self, session_id: UUID) -> UUID:
        """The customer of the session."""
        query = "SELECT c.user_id FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE s.id = %s"
        found: UUID = self.checkout_env.one(query, session_id)
        return found

    def complete(self, session_id: UUID) -> None:
        """The session is held, and settled."""
        complete(self.checkout_env.world, self.checkout_env.session(), self.customer(session_id), self.mechanic)
        assert settle(self.checkout_env.world.app, session_id)

    def cancel(self, session_id: UUID) -> None:
        """The session is cancelled, and settled."""
        self.checkout_env.world.end(self.customer(session_id), session_id)
        assert settle(self.checkout_env.world.app, session_id)

    def earned(self) -> UUID:
        """A session that is paid for, completed and settled."""
        session_id = self.buy()
        self.complete(session_id)
        return session_id

    def cancelled(self) -> UUID:
        """A session that is paid for, cancelled and settled."""
        session_id = self.buy()
        self.cancel(session_id)
        return session_id

    def pack(self, customer: UUID, code: str = "five") -> str:
        """A pack of credits that was paid for: Stripe's id of the payment."""
        buy_pack(self.checkout_env.world.app, customer, PackRequest.model_validate({"pack": code}))
        page: str = self.checkout_env.one("SELECT stripe_session_id FROM checkouts ORDER BY created_at DESC LIMIT 1")
        self.checkout_env.stripe.pay(page)
        self.tell()
        found: str = self.checkout_env.one(
            "SELECT stripe_payment_intent_id FROM checkouts ORDER BY created_at DESC LIMIT 1"
        )
        return found

    def intent(self, session_id: UUID) -> str:
        """The PaymentIntent of a session's payment, also before its webhook."""
        query = "SELECT stripe_session_id FROM checkouts WHERE intake_id = %s"
        page = self.checkout_env.one(query, session_id)
        (found,) = [each for each in self.checkout_env.stripe.objects("checkout.session") if each["id"] == page]
        return str(found["payment_intent"])

    def refund(self, session_id: UUID, cents: int | None = None, *, delivered: bool = True) -> str:
        """Somebody pays back by hand in the dashboard; Stripe's id of the refund."""
        made = self.checkout_env.stripe.refund(self.intent(session_id), cents)
        if delivered:
            self.tell()
        return str(made["id"])

    def dispute(self, session_id: UUID, **claim: object) -> str:
        """The customer's bank takes the payment back; Stripe's id of the dispute."""
        made = self.checkout_env.stripe.open_dispute(self.intent(session_id), **claim)
        self.tell()
        return str(made["id"])

    def decide(self, dispute_id: str, **how: Any) -> None:  # noqa: ANN401 (as the control has it)
        """The bank decides."""
        self.checkout_env.stripe.close_dispute(dispute_id, **how)
        self.tell()

    # --- what machines do ---------------------------------------------------------------------------

    def tell(self, order: Order = "as_made", times: int = 1) -> list[str]:
        """Deliver every event that was not delivered yet; what each did."""
        made = self.checkout_env.stripe.events()
        new = [each for each in made if each["id"] not in self.delivered and self.wants(each)]
        self.delivered |= {each["id"] for each in new}
        events = new * times
        if order == "backwards":
            events.reverse()
        elif order == "shuffled":
            random.Random(len(self.delivered)).shuffle(events)
        answers = [self.deliver(each) for each in events]
        assert {each.status for each in answers} <= {200}
        return [str(each.json["outcome"]) for each in answers]

    def wants(self, event: dict[str, Any]) -> bool:
        """Whether the endpoint asks for an event."""
        kinds = EVENTS["connect" if "account" in event else "platform"]
        return event["type"] not in self.unasked and any(fnmatchcase(event["type"], each) for each in kinds)

    def deliver(self, event: dict[str, Any]) -> Any:  # noqa: ANN401 (the handler's answer)
        """Deliver one event."""
        endpoint = "connect" if "account" in event else "platform"
        return self.checkout_env.deliver(self.checkout_env.stripe.signed(event["id"]), endpoint)

    def payouts(self) -> Sent:
        """One sweep of payouts."""
        return sweep_payouts(self.checkout_env.world.app, self.client, lambda: 60.0)

    def refunds(self) -> Sent:
        """One sweep of refunds."""
        return sweep_refunds(self.checkout_env.world.app, self.client, lambda: 60.0)

    def lookups(self) -> LookedUp:
        """One sweep of the refunds that Stripe said were more than we know."""
        return sweep_refund_lookups(self.checkout_env.world.app, self.client, lambda: 60.0)

    def reversals(self) -> Sent:
        """One sweep of reversals."""
        return sweep_reversals(self.checkout_env.world.app, self.client, lambda: 60.0)

    def fees(self) -> SweptFees:
        """One sweep of fees."""
        return sweep_fees(self.checkout_env.world.app, self.client, lambda: 60.0)

    def later(self, seconds: float = 0) -> None:
        """Let the waiting time of everything be over, so many seconds from now."""
        for statement in OLDER:
            self.checkout_env.world.owner.execute(statement, [seconds])
        for statement in DUE_NOW:
            self.checkout_env.world.owner.execute(statement)
        if seconds:
            self.checkout_env.stripe.advance(seconds)

    # --- the books ----------------------------------------------------------------------------------

    def payout(self) -> Row:
        """The one payout."""
        (row,) = self.checkout_env.world.owner.execute("SELECT * FROM payouts").fetchall()
        return row

    def refund_row(self) -> Row:
        """The one refund of ours."""
        (row,) = self.checkout_env.world.owner.execute("SELECT * FROM refunds").fetchall()
        return row

    def has(self, account: Account) -> int:
        """The balance of an account of the ledger."""
        return balance(self.checkout_env.world, account)

    def of_mechanic(self) -> tuple[int, int]:
        """The amounts owed to and by the mechanic, in cents."""
        return self.has(mechanic_payable(self.mechanic.id)), -self.has(mechanic_receivable(self.mechanic.id))

    def sent(self) -> list[int]:
        """The cents of every transfer at Stripe."""
        return [each["amount"] for each in self.checkout_env.stripe.objects("transfer")]

    def balanced(self) -> None:
        """Everything is told and its fees are booked: the ledger and Stripe's books say the same, to the cent."""
        self.tell()
        self.lookups()
        sweep_losses(self.checkout_env.world.app, lambda: 60.0)
        self.fees()
        books = self.checkout_env.stripe.books()
        (own,) = [sums for owner, sums in books.balances.items() if owner == self.checkout_env.stripe.platform_account]
        assert -self.has(STRIPE) == sum(own.get("usd", (0, 0))) - books.topups[1]
        assert -self.has(DISPUTED) == books.disputes_open[1]
        assert self.checkout_env.stripe.imbalances() == []
        owner = self.checkout_env.world.owner
        assert violations(owner) == []
        assert list(findings_of(owner, (packs.OF_LEDGER, packs.OF_CHECKOUTS), after=FIRST, upto=LAST)) == []
