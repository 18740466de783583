"""Shared by tests of payouts: the stand-in, sessions paid there, and sweeps as long as a worker's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import stripe

from autodoctor.db import Row
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from autodoctor.payments.ledger.accounts import STRIPE, session_held
from autodoctor.payments.outgoing.payouts import sweep_payouts
from autodoctor.payments.outgoing.refunds import sweep_refunds
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.connect import account_updated, start_onboarding
from autodoctor.payments.stripe.lease import Sent
from localcloud.stripe.pages.control import StripeControl
from support.money.purchases import ask_by_card, balance, charge, complete
from support.money.stripe_shop import client_of, order
from support.wait import wait_until
from support.world import Mechanic, World

CHECKOUT = (
    "INSERT INTO checkouts (id, kind, user_id, intake_id, title, amount_cents, currency, request_hash,"
    "                       idempotency_key, stripe_session_id, stripe_payment_intent_id, status) "
    "SELECT new_id(), 'intake', c.user_id, i.id, 'Session', i.price_cents, 'usd', '\\x00', i.id::text, %s, %s, 'paid'"
    "  FROM intakes i JOIN customers c ON c.id = i.customer_id WHERE i.id = %s"
)
DUE_NOW = (
    "UPDATE stripe_jobs SET next_attempt_at = clock_timestamp() WHERE state IN ('due', 'held', 'sending')",
    "UPDATE checkouts SET refunds_due_at = clock_timestamp() WHERE refunds_due_at IS NOT NULL",
)
OLDER = (
    "UPDATE stripe_jobs SET keyed_at = keyed_at - make_interval(secs => %s)",
    "UPDATE mechanic_accounts SET keyed_at = keyed_at - make_interval(secs => %s)",
)


@dataclass
class PayoutEnv:
    """Our database, the stand-in, and a client that asks once."""

    world: World
    control: StripeControl
    client: stripe.StripeClient

    def paid(self, customer: UUID, plan: str = "standard") -> SessionCreated:
        """A session whose price the stand-in has."""
        created = ask_by_card(self.world, customer, plan)
        price = self.world.one("SELECT price_cents FROM intakes WHERE id = %s", created.session_id)
        page = self.client.v1.checkout.sessions.create(params=order(price))
        self.control.pay(page.id)
        intent = self.client.v1.checkout.sessions.retrieve(page.id).payment_intent
        self.world.owner.execute(CHECKOUT, [page.id, intent, created.session_id])
        charge(self.world, created.session_id)
        return created

    def intent(self, created: SessionCreated) -> str:
        """The PaymentIntent of a session."""
        query = "SELECT stripe_payment_intent_id FROM checkouts WHERE intake_id = %s"
        found: str = self.world.one(query, created.session_id)
        return found

    def earned(self, mechanic: Mechanic, plan: str = "standard") -> SessionCreated:
        """A completed session that a customer of its own paid by card, settled."""
        customer = new_id()
        created = self.paid(customer, plan)
        complete(self.world, created, customer, mechanic)
        assert settle(self.world.app, created.session_id)
        return created

    def cancelled(self, plan: str = "standard") -> SessionCreated:
        """A cancelled session that a customer of its own paid by card, settled."""
        customer = new_id()
        created = self.paid(customer, plan)
        self.world.end(customer, created.session_id)
        assert settle(self.world.app, created.session_id)
        return created

    def onboarded(self, mechanic: Mechanic) -> str:
        """The account of a mechanic who went through onboarding, which no webhook has told us yet."""
        start_onboarding(self.world.app, self.client, mechanic.user_id)
        account_id: str = self.account(mechanic)["stripe_account_id"]
        self.control.onboard(account_id)
        self.later()
        return account_id

    @contextmanager
    def hanging(self, mode: str, path: str) -> Iterator[None]:
        """Let the one POST there go wrong; where it hangs, the client gives up, and it is over at the end."""
        fault = self.control.fail(mode=mode, method="POST", path=path, seconds=60)
        patient, hangs = self.client, mode.startswith("timeout")
        if hangs:
            self.client = client_of(self.control, retries=0, impatient=True)
        try:
            yield
        finally:
            self.client = patient
        assert fault.struck == 1
        if hangs:
            wait_until(lambda: fault.waiting == 1)
        fault.let_go()
        wait_until(lambda: fault.waiting == 0)

    def call(self) -> stripe.StripeClient:
        """The client, as the functions ask for it."""
        return self.client

    def account(self, mechanic: Mechanic) -> Row:
        """The row of a mechanic's account."""
        query = "SELECT * FROM mechanic_accounts WHERE mechanic_id = %s"
        (row,) = self.world.owner.execute(query, [mechanic.id]).fetchall()
        return row

    def tell(self, account_id: str) -> str:
        """Hand over the newest event of an account, and return what it did."""
        told = [each for each in self.control.events("account.updated") if each["account"] == account_id][-1]
        account, stripe_as_of = told["data"]["object"], datetime.fromtimestamp(told["created"], UTC)
        return self.world.app.transaction(lambda connection: account_updated(connection, account, stripe_as_of))

    def payouts(self) -> Sent:
        """One sweep of payouts."""
        return sweep_payouts(self.world.app, self.client, lambda: 60.0)

    def pay_first(self) -> None:
        """Send the payout that was earned first, and no other."""
        left = iter((60.0, 0.0))
        assert sweep_payouts(self.world.app, self.client, lambda: next(left)) == Sent(sent=1)

    def refunds(self) -> Sent:
        """One sweep of refunds."""
        return sweep_refunds(self.world.app, self.client, lambda: 60.0)

    def later(self, seconds: float = 0) -> None:
        """Let the waiting time of everything be over, so many seconds from now."""
        for statement in OLDER:
            self.world.owner.execute(statement, [seconds])
        for statement in DUE_NOW:
            self.world.owner.execute(statement)
        if seconds:
            self.control.advance(seconds)

    def payout(self) -> Row:
        """The one payout."""
        (row,) = self.world.owner.execute("SELECT * FROM payouts").fetchall()
        return row

    def refund(self) -> Row:
        """The one refund."""
        (row,) = self.world.owner.execute("SELECT * FROM refunds").fetchall()
        return row

    def held(self, intake_id: UUID) -> int:
        """Cents held for an intake."""
        return balance(self.world, session_held(intake_id))

    def transfers(self) -> list[int]:
        """The cents of every transfer that the stand-in made."""
        return [each["amount"] for each in self.control.objects("transfer")]

    def refunded(self) -> list[int]:
        """The cents of every refund that the stand-in made."""
        return [each["amount"] for each in self.control.objects("refund")]

    def at_stripe(self) -> int:
        """Cents that the ledger says Stripe keeps for us, fees apart."""
        return -balance(self.world, STRIPE)

    def agrees(self) -> bool:
        """Whether the ledger's account at Stripe says what the stand-in's books do, fees apart."""
        charges = sum(int(each["amount"]) for each in self.control.objects("charge"))
        assert self.control.imbalances() == []
        return self.at_stripe() == charges - sum(self.transfers()) - sum(self.refunded())
