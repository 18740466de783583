"""Sending payouts: each is one transfer to the mechanic's connected account, found again by its `transfer_group`."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.ledger.accounts import STRIPE, Kind, mechanic_payable
from autodoctor.payments.ledger.transfers import Transfer, book
from autodoctor.payments.losses.disputes import OPEN, behind, disputes_of, note_dispute
from autodoctor.payments.losses.losses import book_losses_of, lock_payment, lock_payment_of
from autodoctor.payments.stripe.calls import NotDone, Unknown, asked
from autodoctor.payments.stripe.connect import look_up_account
from autodoctor.payments.stripe.lease import WAIT, Ending, Sent, is_last, put_off, sweep_due, wait_after

if TYPE_CHECKING:
    import stripe
    from stripe.params import TransferCreateParams

_BALANCE_SHORT: Final = frozenset({"balance_insufficient", "insufficient_funds"})
_CANNOT_TAKE: Final = frozenset({"insufficient_capabilities_for_transfer", "account_invalid"})

# Whether an attempt was made before is read from the row as it was: Stripe is asked for the transfer then.
_CLAIM: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT p.id, p.asked_at IS NOT NULL AS asked_before,
         p.idempotency_key IS NULL OR p.keyed_at < clock_timestamp() - make_interval(hours => %(key_hours)s) AS new_key
    FROM payouts p
   WHERE p.state IN ('due', 'held', 'sending') AND p.next_attempt_at <= clock_timestamp()
   ORDER BY p.next_attempt_at LIMIT 1
     FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
  UPDATE payouts p
     SET state = 'sending', lease_id = new_id(), attempts = p.attempts + 1,
         next_attempt_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s),
         asked_at = coalesce(p.asked_at, clock_timestamp()),
         idempotency_key = CASE WHEN due.new_key THEN 'payout:' || p.id || ':' || new_id() ELSE p.idempotency_key END,
         keyed_at = CASE WHEN due.new_key THEN clock_timestamp() ELSE p.keyed_at END
    FROM due WHERE p.id = due.id AND p.state IN ('due', 'held', 'sending')
  RETURNING p.*, due.asked_before
)
SELECT c.id, c.session_id, c.mechanic_id, c.kind, c.amount_cents - c.withheld_cents AS amount_cents, c.currency,
       c.attempts, c.lease_id,
       c.idempotency_key, c.asked_before, c.last_error,
       a.stripe_account_id, coalesce(a.transfers_enabled, false) AS transfers_enabled,
       i.funding = 'card' AND c.kind <> 'escalation' AS by_card,
       ch.stripe_payment_intent_id
  FROM claimed c
  JOIN intakes i ON i.id = c.session_id
  LEFT JOIN checkouts ch ON ch.intake_id = c.session_id
  LEFT JOIN mechanic_accounts a ON a.mechanic_id = c.mechanic_id
"""

_SENT: Final[LiteralString] = """
UPDATE payouts SET state = 'sent', stripe_transfer_id = %(transfer_id)s, sent_at = clock_timestamp(),
                   sent_cents = %(amount_cents)s,
                   next_attempt_at = NULL, waits_for = NULL, last_error = NULL
 WHERE id = %(id)s AND state NOT IN ('sent', 'reversed')
"""

_SENT_AS: Final[LiteralString] = "SELECT stripe_transfer_id FROM payouts WHERE id = %(id)s"

# A key under which Stripe refused is forgotten: it would repeat the refusal for a day.
_NOT_SENT: Final[LiteralString] = """
UPDATE payouts SET state = CASE WHEN %(waits_for)s = 'dispute' THEN 'held' ELSE 'due' END,
                   waits_for = %(waits_for)s, last_error = %(error)s,
                   attempts = attempts - %(free)s::integer, next_attempt_at = clock_timestamp() + %(after)s,
                   idempotency_key = NULL, keyed_at = NULL
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_NOT_KNOWN: Final[LiteralString] = """
UPDATE payouts SET waits_for = 'retry', last_error = %(error)s, next_attempt_at = clock_timestamp() + %(after)s
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_FAILED: Final[LiteralString] = """
UPDATE payouts SET state = 'failed', waits_for = NULL, last_error = %(error)s, next_attempt_at = NULL,
                   idempotency_key = NULL, keyed_at = NULL
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_EMIT: Final[LiteralString] = "SELECT emit_event(%(type)s, %(facts)s, %(id)s)"


class PaidTwice(Exception):
    """Stripe has two transfers for one payout: the books and the mechanic's account differ."""

    def __init__(self, payout_id: UUID) -> None:
        super().__init__(f"payout {payout_id} was sent as two transfers")


def sweep_payouts(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> Sent:
    """Send the payouts that are due, until none is left or time runs short.

    Args:
        database: where.
        client: of Stripe.
        seconds_left: how many seconds this run still has.

    Raises:
        PaidTwice: never, unless somebody sent money by hand under our transfer_group.
    """
    return sweep_due(database, client, seconds_left, _CLAIM, _attempt)


def _attempt(database: Database, client: "stripe.StripeClient", payout: Row) -> Ending:
    try:
        transfer_id = _found(client, payout) if payout["asked_before"] else None
        if transfer_id is None:
            if is_last(payout["attempts"]):
                return _give_up(database, payout, payout["last_error"] or "no attempt succeeded")
            disputes = _disputes(client, payout)
            if _went_back(database, payout, disputes):
                return _put_back(database, payout)
            if waits_for := _obstacle(database, client, payout, disputes):
                return _wait(database, payout, waits_for, free=waits_for != "payment")
            transfer_id = _transfer(client, payout, disputes)
    except NotDone as refused:
        return _refused(database, client, payout, refused)
    except Unknown as unknown:
        return put_off(database, _NOT_KNOWN, payout, error=unknown.reason, after=wait_after(payout["attempts"]))
    return _sent(database, payout, transfer_id)


def _found(client: "stripe.StripeClient", payout: Row) -> str | None:
    """The transfer that an earlier attempt made.

    Raises:
        Unknown: Stripe does not say, or refuses to (a key that was replaced): the payout stays on its way, as what is
            refunded meanwhile would be withheld from one that is not.
    """
    try:
        listed = asked(lambda: client.v1.transfers.list(params={"transfer_group": str(payout["id"]), "limit": 2}))
    except NotDone as refused:
        raise Unknown(refused.reason) from refused
    match listed.data:
        case []:
            return None
        case [transfer]:
            return transfer.id
        case _:
            raise PaidTwice(payout["id"])


def _disputes(client: "stripe.StripeClient", payout: Row) -> "list[stripe.Dispute]":
    known = payout["by_card"] and payout["stripe_payment_intent_id"] is not None
    return disputes_of(client, payout["stripe_payment_intent_id"]) if known else []


def _went_back(database: Database, payout: Row, disputes: "list[stripe.Dispute]") -> bool:
    """Whether some of the payment is gone that this payout does not know of: it shrinks before it is sent."""
    intent = payout["stripe_payment_intent_id"]
    if intent is None:
        return False

    def noted(connection: psycopg.Connection[Row]) -> bool:
        lock_payment(connection, intent)
        for each in disputes:
            note_dispute(connection, each.to_dict())
        return behind(connection, intent)

    return database.transaction(noted)


def _put_back(database: Database, payout: Row) -> Ending:
    """Surely not sent: what went back is booked, and what is left is sent by the next attempt."""

    def put_back(connection: psycopg.Connection[Row]) -> Ending:
        lock_payment_of(connection, payout["session_id"])
        values = {**payout, "waits_for": None, "error": None, "free": True, "after": timedelta(minutes=1)}
        if connection.execute(_NOT_SENT, values).rowcount == 0:
            return "overtaken"
        book_losses_of(connection, payout["session_id"])
        return "waiting"

    return database.transaction(put_back)


def _obstacle(
    database: Database, client: "stripe.StripeClient", payout: Row, disputes: "list[stripe.Dispute]"
) -> str | None:
    """What it has to wait for before Stripe is asked to send it."""
    account_id = payout["stripe_account_id"]
    if account_id is None:
        return "onboarding"
    if not payout["transfers_enabled"] and not look_up_account(database, client, account_id):
        return "onboarding"
    if payout["by_card"] and payout["stripe_payment_intent_id"] is None:
        return "payment"
    return "dispute" if any(each.status in OPEN for each in disputes) else None


def _transfer(client: "stripe.StripeClient", payout: Row, disputes: "list[stripe.Dispute]") -> str:
    params: TransferCreateParams = {
        "amount": payout["amount_cents"],
        "currency": payout["currency"],
        "destination": payout["stripe_account_id"],
        "transfer_group": str(payout["id"]),
        "metadata": {"payoutId": str(payout["id"]), "sessionId": str(payout["session_id"])},
    }
    if payout["by_card"] and all(each.status != "lost" for each in disputes):
        # Without it the transfer would have to wait until the customer's money is available, days later.
        intent = asked(lambda: client.v1.payment_intents.retrieve(payout["stripe_payment_intent_id"]))
        params["source_transaction"] = str(intent.latest_charge)
    options: stripe.RequestOptions = {"idempotency_key": payout["idempotency_key"]}
    return asked(lambda: client.v1.transfers.create(params=params, options=options)).id


def _refused(database: Database, client: "stripe.StripeClient", payout: Row, refused: NotDone) -> Ending:
    """Nothing moved: wait for what is missing, or try again later."""
    if refused.code in _BALANCE_SHORT:
        return _wait(database, payout, "balance", refused.reason)
    if refused.code in _CANNOT_TAKE and payout["stripe_account_id"] is not None:
        try:
            if not look_up_account(database, client, payout["stripe_account_id"]):
                return _wait(database, payout, "onboarding", refused.reason, free=True)
        except (NotDone, Unknown):  # the account is gone, or Stripe is: an attempt like any other
            return _wait(database, payout, "retry", refused.reason)
    return _wait(database, payout, "retry", refused.reason)


def _wait(database: Database, payout: Row, waits_for: str, error: str | None = None, *, free: bool = False) -> Ending:
    """Try again later; `free`: after six hours, or when a webhook says so, and without counting as an attempt."""
    if not free and is_last(payout["attempts"] + 1):
        return _give_up(database, payout, error or f"waited for {waits_for}")
    after = WAIT if free else wait_after(payout["attempts"])
    return put_off(database, _NOT_SENT, payout, waits_for=waits_for, error=error, free=free, after=after)


def _sent(database: Database, payout: Row, transfer_id: str) -> Ending:
    return database.transaction(partial(note_sent, payout=payout, transfer_id=transfer_id))


def note_sent(connection: psycopg.Connection[Row], payout: Row, transfer_id: str) -> Ending:
    """Note that Stripe has a payout's transfer, and book it, once.

    Args:
        connection: in a transaction of its own.
        payout: id, session_id, mechanic_id, kind and currency of its row; amount_cents is the transfer's.
        transfer_id: Stripe's.

    Raises:
        PaidTwice: it was sent as another transfer.
    """
    lock_payment_of(connection, payout["session_id"])
    values = {**payout, "transfer_id": transfer_id}
    if connection.execute(_SENT, values).rowcount == 0:
        stored = connection.execute(_SENT_AS, values).fetchone()
        if stored is None or stored["stripe_transfer_id"] != transfer_id:
            raise PaidTwice(payout["id"])
        return "overtaken"
    payable = mechanic_payable(payout["mechanic_id"])
    key = f"payout:{payout['id']}:transfer"
    book(connection, [Transfer(Kind.TRANSFER, key, payable, STRIPE, payout["amount_cents"], payout["session_id"])])
    book_losses_of(connection, payout["session_id"])  # what went back while it was on its way
    _emit(connection, "payout.sent", payout)
    return "sent"


def _give_up(database: Database, payout: Row, reason: str) -> Ending:
    return database.transaction(partial(_mark_failed, payout=payout, reason=reason))


def _mark_failed(connection: psycopg.Connection[Row], payout: Row, reason: str) -> Ending:
    lock_payment_of(connection, payout["session_id"])
    if connection.execute(_FAILED, {**payout, "error": reason}).rowcount == 0:
        return "overtaken"
    book_losses_of(connection, payout["session_id"])
    _emit(connection, "payout.failed", payout, reason)
    return "failed"


def _emit(connection: psycopg.Connection[Row], event_type: str, payout: Row, reason: str | None = None) -> None:
    facts = {
        "payoutId": str(payout["id"]),
        "sessionId": str(payout["session_id"]),
        "mechanicId": str(payout["mechanic_id"]),
        "amountCents": payout["amount_cents"],
        "currency": payout["currency"],
        "reason": reason,
    }
    connection.execute(_EMIT, {"type": event_type, "facts": Jsonb(facts), "id": payout["id"]})
