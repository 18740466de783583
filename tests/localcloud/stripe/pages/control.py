"""The actions of a test, or of a person at the dashboard. Every method may be called from any thread."""

import asyncio
import json
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Final

from localcloud.stripe.http.errors import ApiError, Json
from localcloud.stripe.http.faults import Fault, Faults, WebhookFaults
from localcloud.stripe.objects import checkout, connect, disputes, files, funds, payouts, refunds, transfers
from localcloud.stripe.objects.balance import DEFAULT_CURRENCY
from localcloud.stripe.objects.checkout import Choice
from localcloud.stripe.objects.disputes import Claim, DisputeEnd
from localcloud.stripe.objects.payments import AVAILABLE_AFTER, BUSINESS_DAYS, FIRST_DAYS, Payer
from localcloud.stripe.state import books
from localcloud.stripe.state.state import Call, State
from localcloud.stripe.state.webhooks import Delivered, Name, Order, Retries, Webhooks, signature

_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True)
class SignedEvent:
    """A delivery as it is sent: `payload` is the raw body, `signature` the Stripe-Signature header."""

    payload: bytes
    signature: str


class NotQuiet(Exception):
    """Webhooks are still pending."""

    def __init__(self, pending: int) -> None:
        super().__init__(f"{pending} webhooks are still pending")


class StripeControl:
    """Controls the stand-in. Methods that name an object raise ApiError when it is unknown or in another state."""

    def __init__(self, state: State, faults: Faults, webhooks: Webhooks, loop: asyncio.AbstractEventLoop) -> None:
        self.faults = faults
        self._state = state
        self._webhooks = webhooks
        self._loop = loop

    @property
    def url(self) -> str:
        """The value for `base_addresses={"api": ...}` of a StripeClient."""
        return self._state.public_url

    @property
    def api_key(self) -> str:
        """The one secret key that is accepted."""
        return self._state.api_key

    @property
    def platform_account(self) -> str:
        """The id of the platform's own account."""
        return self._state.platform

    def environment(self) -> dict[str, str]:
        """Return the variables that direct a worker here; production has the same JSON in Secrets Manager."""
        secret = {
            "apiKey": self.api_key,
            "webhookSecrets": self.secrets("platform"),
            "connectWebhookSecrets": self.secrets("connect"),
        }
        return {"STRIPE_API_BASE": self.url, "STRIPE_SECRETS": json.dumps(secret)}

    # Customers

    def pay(self, session_id: str, choice: Choice = "pay", email: str | None = None, name: str | None = None) -> Json:
        """Press a button of the checkout page, as a customer would. Raises checkout.NotOpen."""
        with self._state.store.transaction():
            return self._shown(checkout.choose(self._state, session_id, choice, Payer(email, name)))

    def bank_answers(self, session_id: str, *, paid: bool = True) -> Json:
        """Let the bank answer a delayed payment. Raises checkout.NotOpen."""
        with self._state.store.transaction():
            return self._shown(checkout.answer_of_bank(self._state, session_id, paid=paid))

    def open_dispute(self, charge: str, **claim: object) -> Json:
        """Let a customer's bank take a charge back (by charge or PaymentIntent): fields of `disputes.Claim`."""
        made = Claim(**claim)  # type: ignore[arg-type] # also from JSON
        with self._state.store.transaction():
            return self._shown(disputes.open_dispute(self._state, self._charge(charge), made))

    def close_dispute(
        self, dispute: str, *, won: bool = False, status: DisputeEnd | None = None, reinstated: int | None = None
    ) -> Json:
        """Let the bank decide a dispute, or prevent it by giving in; `reinstated` cents come back, all if won."""
        ends = status or ("won" if won else "lost")
        with self._state.store.transaction():
            return self._shown(disputes.close_dispute(self._state, dispute, ends, reinstated))

    def take_more(self, dispute: str, cents: int) -> Json:
        """Take more for a dispute, open or closed."""
        with self._state.store.transaction():
            return self._shown(disputes.take_more(self._state, dispute, cents))

    def reinstate(self, dispute: str, cents: int) -> Json:
        """Give back a part of what was taken for a dispute, open or closed."""
        with self._state.store.transaction():
            return self._shown(disputes.reinstate(self._state, dispute, cents))

    def file(self, file_id: str) -> bytes:
        """Return the content of an uploaded file."""
        return files.content_of(self._state, file_id)

    # The dashboard

    def refund(self, charge: str, amount: int | None = None, told: Json | None = None) -> Json:
        """Refund a charge (by charge or PaymentIntent) by hand: the whole rest, or so many cents.

        Args:
            charge: or its PaymentIntent.
            amount: in cents of our balance's currency.
            told: `amount` and `currency`, where Stripe tells of it in another currency.
        """
        params: Json = {"charge": self._charge(charge), **({} if amount is None else {"amount": amount})}
        params["_told"] = told or {}
        with self._state.store.transaction():
            return self._shown(refunds.create_refund(self._state, Call(params)))

    def left_of(self, charge: str) -> int:
        """Return the unrefunded cents of a charge (by charge or PaymentIntent)."""
        found = self._state.require("charge", self._charge(charge))
        return int(found["amount"]) - int(found["amount_refunded"])

    def refunds_need_balance(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 (also from JSON)
        """Let refunds be refused while the available balance is short, as for a platform that may not go below zero."""
        self._state.store.settle(refunds.NEED_BALANCE, int(on))

    def refunds_stay_pending(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 (also from JSON)
        """Let future refunds stay pending until they are settled or fail."""
        self._state.store.settle(refunds.STAY_PENDING, int(on))

    def settle_refund(self, refund: str) -> Json:
        """Let a pending refund succeed."""
        with self._state.store.transaction():
            return self._shown(refunds.settle_refund(self._state, refund))

    def fail_refund(self, refund: str) -> Json:
        """Let the customer's bank refuse a refund."""
        with self._state.store.transaction():
            return self._shown(refunds.fail_refund(self._state, refund))

    def reverse(self, transfer: str, amount: int | None = None) -> Json:
        """Reverse a transfer by hand: the whole rest, or so many cents."""
        params: Json = {} if amount is None else {"amount": amount}
        with self._state.store.transaction():
            return self._shown(transfers.create_reversal(self._state, Call(params, (transfer,))))

    def add_funds(self, amount: int, currency: str = DEFAULT_CURRENCY) -> Json:
        """Add cents of the platform's own money to its available balance."""
        with self._state.store.transaction():
            return self._shown(funds.add_funds(self._state, amount, currency))

    # Connected accounts

    def onboard(self, account: str) -> Json:
        """Finish an account's onboarding, or lift its restriction: it can receive transfers and pay out."""
        with self._state.store.transaction():
            return self._shown(connect.put_standing(self._state, account, "onboarded"))

    def restrict(self, account: str) -> Json:
        """Let an account's checks fail: no more transfers to it, no payouts."""
        with self._state.store.transaction():
            return self._shown(connect.put_standing(self._state, account, "restricted"))

    def close_account(self, account: str) -> None:
        """Let an account's owner close it, or disconnect it from us."""
        with self._state.store.transaction():
            connect.close_account(self._state, account)

    def pay_out(self, account: str, amount: int | None = None) -> Json:
        """Send an account's available balance (or so many cents) to its bank."""
        with self._state.store.transaction():
            return self._shown(payouts.pay_out(self._state, account, amount))

    def arrive(self, payout: str) -> Json:
        """Let a payout arrive."""
        with self._state.store.transaction():
            return self._shown(payouts.arrive(self._state, payout))

    def fail_payout(self, payout: str) -> Json:
        """Let the bank refuse a payout."""
        with self._state.store.transaction():
            return self._shown(payouts.fail_payout(self._state, payout))

    # Time

    def advance(self, seconds: float) -> None:
        """Let everything become so many seconds older: sessions expire, balances become available, keys lapse.

        Callers' clocks stay right: existing objects are shown with earlier times.
        """
        with self._state.store.transaction():
            self._state.advance(seconds)
            checkout.expire_due(self._state)
        self._webhooks.wake()

    def available_after(self, seconds: float) -> None:
        """Let future charges become available after so many seconds (by default two days)."""
        self._state.store.settle(AVAILABLE_AFTER, seconds)

    def available_in(self, business_days: int = 2, first_days: int = 14) -> None:
        """Let charges become available after business days, and the first ones of the account after so many days."""
        self._state.store.settle(BUSINESS_DAYS, business_days)
        self._state.store.settle(FIRST_DAYS, first_days)

    # Webhooks

    def secrets(self, endpoint: Name) -> list[str]:
        """Return the active secrets of an endpoint, the newest first."""
        return list(self._webhooks.endpoint(endpoint).secrets)

    def rotate_secret(self, endpoint: Name) -> str:
        """Add a secret, which from now on signs in addition to the others; workers learn it when they start."""
        return self._webhooks.rotate(endpoint)

    def retire_secrets(self, endpoint: Name) -> None:
        """Let only the newest secret sign."""
        self._webhooks.retire(endpoint)

    def configure_endpoint(self, endpoint: Name, url: str | None = None, events: tuple[str, ...] | None = None) -> None:
        """Change an endpoint's URL, or the types that it gets, with `*` as wildcard."""
        before = self._webhooks.endpoint(endpoint)
        self._webhooks.configure(
            replace(before, url=url or before.url, events=before.events if events is None else tuple(events))
        )

    def set_retries(self, **retries: float) -> None:
        """Change how failed deliveries are retried: fields of `webhooks.Retries`."""
        self._webhooks.retries = replace(Retries(), **retries)  # type: ignore[arg-type] # attempts is whole anyway

    def pending_webhooks(self) -> int:
        """Count the deliveries that are still to come."""
        return self._webhooks.pending()

    def quiet(self, within_seconds: float = 60.0) -> None:
        """Wait until every webhook is delivered, given up or dropped. Raises NotQuiet."""
        give_up = time.monotonic() + within_seconds
        while pending := self.pending_webhooks():
            if time.monotonic() > give_up:
                raise NotQuiet(pending)
            time.sleep(_POLL_SECONDS)

    def release(self, order: Order = "as_made") -> list[Delivered]:
        """Deliver all that is pending now, one after the other, also while held; failed ones are retried later."""
        return self._wait(self._webhooks.release(order, self.faults.chance))

    def resend(self, event_id: str) -> Delivered:
        """Deliver an event once more, even one that was dropped."""
        return self._wait(self._webhooks.resend(event_id))

    def signed(self, event_id: str, secret: str | None = None, timestamp: int | None = None) -> SignedEvent:
        """Return an event as a delivery would have it now, for a test that calls the handler itself.

        `secret`, and `timestamp` in seconds since the epoch, stand in for the endpoint's own and for now.
        """
        event = self._event(event_id)
        name: Name = "connect" if "account" in event else "platform"
        payload = self._webhooks.payload(event)
        keys = self.secrets(name) if secret is None else [secret]
        return SignedEvent(payload.encode(), signature(payload, keys, timestamp))

    def emit(self, kind: str, about: Json, account: str | None = None) -> str:
        """Make an event of any type about any object, and return its id."""
        with self._state.store.transaction():
            event = self._state.emit(kind, about, account=account)
        return str(event["id"])

    def events(self, kind: str | None = None) -> list[Json]:
        """Return events, the oldest first, of one type or all; also those of connected accounts."""
        found = self._state.store.everything("event")
        return [self._shown(each) for each in found if kind in (None, each["type"])]

    # Faults

    def fail(self, **fault: object) -> Fault:
        """Let calls fail: fields of `faults.Fault`. Returns the fault, which counts how often it struck."""
        made = Fault(**fault)  # type: ignore[arg-type] # also from JSON
        self.faults.calls.append(made)
        return made

    def disturb(self, **webhooks: object) -> None:
        """Let webhooks misbehave: fields of `faults.WebhookFaults`; the others are reset."""
        self.faults.webhooks = WebhookFaults(**webhooks)  # type: ignore[arg-type] # also from JSON
        self._webhooks.wake()

    def clear_faults(self) -> None:
        """Switch off all faults."""
        self.faults.calls.clear()
        self.disturb()

    # Books

    def books(self) -> books.Books:
        """Return the totals of the books."""
        with self._state.store.transaction():
            return books.books(self._state)

    def imbalances(self) -> list[str]:
        """Return a line for every balance that does not add up; there should never be one."""
        with self._state.store.transaction():
            return books.imbalances(self._state)

    def objects(self, kind: str) -> list[Json]:
        """Return all objects of a kind (`charge`, `checkout.session`, ...), the oldest first, of all accounts."""
        return [self._shown(each) for each in self._state.store.everything(kind)]

    def _charge(self, charge: str) -> str:
        if not charge.startswith("pi_"):
            return charge
        return str(self._state.require("payment_intent", charge)["latest_charge"])

    def _event(self, event_id: str) -> Json:
        found = self._state.store.get(event_id)
        if found is None:
            raise ApiError(f"No such event: '{event_id}'", status=404, code="resource_missing")
        return found[1]

    def _shown(self, body: Json) -> Json:
        return self._state.shown(body)

    def _wait[T](self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
