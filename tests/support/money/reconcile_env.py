"""Every flow of money on one database and one stand-in, one step at a time."""

from collections import Counter as Tally
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import stripe

from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated
from autodoctor.payments.checkout.checkout import PackRequest, buy_pack
from autodoctor.payments.ledger.fees import sweep_fees
from autodoctor.payments.losses.losses import sweep_losses
from autodoctor.payments.outgoing.payouts import sweep_payouts
from autodoctor.payments.outgoing.refunds import sweep_refunds
from autodoctor.payments.outgoing.reversals import sweep_reversals
from autodoctor.payments.reconcile import Difference, Report, reconcile
from autodoctor.payments.settlement import settle
from support.money.checkout_env import CheckoutEnv
from support.money.payout_env import PayoutEnv
from support.money.purchases import SIGNED, complete
from support.money.stripe_shop import client_of, order
from support.world import Mechanic

NOW = timedelta()
MINUTE = 60.0


@dataclass
class ReconcileEnv:
    """A `CheckoutEnv` where customers pay, a `PayoutEnv` that sends money, and a comparison of both with the books."""

    checkout_env: CheckoutEnv
    payout_env: PayoutEnv
    client: stripe.StripeClient
    delivered: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, checkout_env: CheckoutEnv) -> "ReconcileEnv":
        """One for the same database and stand-in."""
        client = client_of(checkout_env.stripe)
        return cls(checkout_env, PayoutEnv(checkout_env.world, checkout_env.stripe, client), client)

    # What people do

    def opened(self, customer: UUID) -> str:
        """The page where an intake of a customer's is paid."""
        return self.checkout_env.page(self.checkout_env.ask(customer, None, **SIGNED))

    def paid(self, customer: UUID | None = None) -> tuple[UUID, SessionCreated, str]:
        """A session that a customer of its own paid by card: who, which, and the charge."""
        customer = customer or new_id()
        page = self.opened(customer)
        self.checkout_env.stripe.pay(page)
        self.hear()
        return customer, self.checkout_env.session(), self.charge_of(page)

    def charge_of(self, page: str) -> str:
        """Stripe's id of what was paid at a page."""
        intent = self.client.v1.checkout.sessions.retrieve(page, {"expand": ["payment_intent"]}).payment_intent
        assert isinstance(intent, stripe.PaymentIntent)
        return str(intent.latest_charge)

    def earned(self, mechanic: Mechanic) -> tuple[SessionCreated, str]:
        """A session that was paid by card and completed, and is settled: which, and the charge."""
        customer, created, charge = self.paid()
        complete(self.checkout_env.world, created, customer, mechanic)
        assert settle(self.checkout_env.world.app, created.session_id)
        return created, charge

    def cancelled(self) -> tuple[SessionCreated, str]:
        """A session that was paid by card and cancelled, and is settled: which, and the charge."""
        customer, created, charge = self.paid()
        self.checkout_env.world.end(customer, created.session_id)
        assert settle(self.checkout_env.world.app, created.session_id)
        return created, charge

    def pack(self, customer: UUID) -> str:
        """The page where a customer buys five credits."""
        bought = buy_pack(self.checkout_env.world.app, customer, PackRequest(pack="five"))
        query = "SELECT stripe_session_id FROM checkouts WHERE id = %s"
        found: str = self.checkout_env.one(query, bought.checkout_id)
        return found

    def mechanic(self) -> Mechanic:
        """A mechanic who can be paid."""
        mechanic = self.checkout_env.world.mechanic()
        self.payout_env.onboarded(mechanic)
        self.hear()
        return mechanic

    def other_business(self) -> str:
        """A charge of the same account that has nothing to do with us."""
        page = self.client.v1.checkout.sessions.create(params=order(500))
        self.checkout_env.stripe.pay(page.id)
        return self.charge_of(page.id)

    # What functions do

    def hear(self) -> None:
        """Take every event of Stripe's that was not taken yet."""
        for event in self.checkout_env.stripe.events():
            if event["id"] not in self.delivered:
                self.delivered.add(event["id"])
                endpoint = "connect" if "account" in event else "platform"
                answer = self.checkout_env.deliver(self.checkout_env.stripe.signed(event["id"]), endpoint)
                assert answer.status == 200, answer

    def send(self) -> None:
        """Send what is due, book fees and losses."""
        for _ in range(3):
            self.payout_env.later()
            app = self.checkout_env.world.app
            sweep_losses(app, lambda: MINUTE)
            sweep_refunds(app, self.client, lambda: MINUTE)
            sweep_payouts(app, self.client, lambda: MINUTE)
            sweep_reversals(app, self.client, lambda: MINUTE)
            sweep_fees(app, self.client, lambda: MINUTE)
            self.hear()

    def compared(self) -> Report:
        """One comparison of everything, also of what has only just happened."""
        report = reconcile(self.checkout_env.world.app, self.client, grace=NOW, fee_grace=NOW)
        assert report.finished
        return report

    def fees_booked(self) -> None:
        """Book the fees, so that nothing but what a test does is left."""
        sweep_fees(self.checkout_env.world.app, self.client, lambda: MINUTE)


def kinds(differences: Iterable[Difference]) -> dict[str, int]:
    """The count of each kind."""
    return dict(Tally(each.kind for each in differences))
