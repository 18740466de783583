"""Taking back what was sent of a payout whose payment's dispute was lost; what Stripe cannot take back stays owed.

As with payouts and refunds: the intent is stored before the call, and what an earlier attempt did is looked up first.
"""

from functools import partial
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.outgoing.transfer_events import book_reversals
from autodoctor.payments.stripe.calls import NotDone, Unknown, asked
from autodoctor.payments.stripe.lease import Ending, Overtaken, Sent, is_last, put_off, sweep_due, wait_after

if TYPE_CHECKING:
    import stripe

_CLAIM: Final[LiteralString] = """
WITH due AS MATERIALIZED (
  SELECT r.id, r.keyed_at < clock_timestamp() - make_interval(hours => %(key_hours)s) AS key_is_old
    FROM payout_reversals r
   WHERE r.state IN ('due', 'sending') AND r.next_attempt_at <= clock_timestamp()
   ORDER BY r.next_attempt_at LIMIT 1
     FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
  UPDATE payout_reversals r
     SET state = 'sending', lease_id = new_id(), attempts = r.attempts + 1,
         next_attempt_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s),
         idempotency_key = CASE WHEN due.key_is_old THEN NULL ELSE r.idempotency_key END,
         keyed_at = CASE WHEN due.key_is_old THEN NULL ELSE r.keyed_at END,
         asked_cents = CASE WHEN due.key_is_old THEN NULL ELSE r.asked_cents END
    FROM due WHERE r.id = due.id AND r.state IN ('due', 'sending')
  RETURNING r.*
)
SELECT c.id, 'reversal' AS kind, c.payout_id, c.dispute_id, c.amount_cents, c.attempts, c.lease_id, c.last_error,
       p.stripe_transfer_id
  FROM claimed c JOIN payouts p ON p.id = c.payout_id
"""

# An earlier key that may still count keeps its amount: under another one Stripe would refuse the key.
_INTEND: Final[LiteralString] = """
UPDATE payout_reversals
   SET idempotency_key = coalesce(idempotency_key, 'reversal:' || id || ':' || new_id()),
       keyed_at = coalesce(keyed_at, clock_timestamp()), asked_cents = coalesce(asked_cents, %(cents)s)
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s RETURNING idempotency_key, asked_cents
"""

_DONE: Final[LiteralString] = """
UPDATE payout_reversals SET state = 'done', stripe_reversal_id = %(reversal_id)s, done_at = clock_timestamp(),
                            next_attempt_at = NULL, last_error = NULL
 WHERE id = %(id)s AND state <> 'done'
"""

# A key under which Stripe refused is forgotten: it would repeat the refusal for a day.
_NOT_DONE: Final[LiteralString] = """
UPDATE payout_reversals SET state = %(state)s, last_error = %(error)s, idempotency_key = NULL, keyed_at = NULL,
                            asked_cents = NULL, next_attempt_at = clock_timestamp() + %(after)s
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_NOT_KNOWN: Final[LiteralString] = """
UPDATE payout_reversals SET last_error = %(error)s, next_attempt_at = clock_timestamp() + %(after)s
 WHERE id = %(id)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_PAYOUT: Final[LiteralString] = """
SELECT id, session_id, mechanic_id, state, kind FROM payouts WHERE id = %(payout_id)s FOR NO KEY UPDATE
"""


def sweep_reversals(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> Sent:
    """Take back what is due, until none is left or time runs short; `failed` are those that are impossible.

    Args:
        database: where.
        client: of Stripe.
        seconds_left: how many seconds this run still has.
    """
    return sweep_due(database, client, seconds_left, _CLAIM, _attempt)


def _attempt(database: Database, client: "stripe.StripeClient", reversal: Row) -> Ending:
    try:
        return _take_back(database, client, reversal)
    except NotDone as refused:
        return _refused(database, reversal, refused.reason)
    except Unknown as unknown:
        return put_off(database, _NOT_KNOWN, reversal, error=unknown.reason, after=wait_after(reversal["attempts"]))
    except Overtaken:
        return "overtaken"


def _take_back(database: Database, client: "stripe.StripeClient", reversal: Row) -> Ending:
    """Look at what was taken back, by us or by hand, and take back the rest."""
    transfer_id: str = reversal["stripe_transfer_id"]
    listed = asked(lambda: client.v1.transfers.reversals.list(transfer_id, params={"limit": 100})).data
    transfer = asked(lambda: client.v1.transfers.retrieve(transfer_id))
    left = transfer.amount - transfer.amount_reversed
    if left == 0 or any(_is_ours(each, reversal) for each in listed):
        return _done(database, reversal, listed)
    if is_last(reversal["attempts"]):
        return _refused(database, reversal, reversal["last_error"] or "no attempt succeeded")
    intent = database.one(_INTEND, {**reversal, "cents": min(left, reversal["amount_cents"])})
    if intent is None:
        raise Overtaken
    made = asked(
        lambda: client.v1.transfers.reversals.create(
            transfer_id,
            params={"amount": intent["asked_cents"], "metadata": {"reversalId": str(reversal["id"])}},
            options={"idempotency_key": intent["idempotency_key"]},
        )
    )
    return _done(database, reversal, [*listed, made])


def _is_ours(made: "stripe.TransferReversal", reversal: Row) -> bool:
    return made.metadata is not None and made.metadata.to_dict().get("reversalId") == str(reversal["id"])


def _refused(database: Database, reversal: Row, reason: str) -> Ending:
    """Nothing moved: try again later, or after the last attempt leave it as what the mechanic owes."""
    last = is_last(reversal["attempts"] + 1)
    after = None if last else wait_after(reversal["attempts"])
    values = {**reversal, "state": "impossible" if last else "due", "error": reason, "after": after}
    if database.execute(_NOT_DONE, values) == 0:
        return "overtaken"
    return "failed" if last else "waiting"


def _done(database: Database, reversal: Row, made: "list[stripe.TransferReversal]") -> Ending:
    return database.transaction(partial(_mark_done, reversal=reversal, made=made))


def _mark_done(connection: psycopg.Connection[Row], reversal: Row, made: "list[stripe.TransferReversal]") -> Ending:
    """Book what was taken back, whoever hears of it first, the webhook or we."""
    payout = connection.execute(_PAYOUT, reversal).fetchone()
    if payout is None:
        raise RuntimeError(f"payout {reversal['payout_id']} is gone")
    book_reversals(connection, payout, {each.id: each.amount for each in made})
    ours = next((each.id for each in made if _is_ours(each, reversal)), None)
    return "sent" if connection.execute(_DONE, {**reversal, "reversal_id": ours}).rowcount else "overtaken"
