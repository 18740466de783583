"""Books what Stripe proves: writes new rows of the ledger, and makes no call that moves money.

A flow that was never booked is booked by the code that should have done so, under its own key, so that a late event
finds it done. For a payout that also stores that it was sent, or a second transfer would follow. A flow that is booked
with another amount than Stripe's gets a row of kind correction under `correction:SUBJECT:NUMBER`. What Stripe does not
have is left to a person: an object's absence from a list proves nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Database, Refused, Row
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import Account, TransferKind
from autodoctor.payments.losses.dashboard_refunds import refund_reported
from autodoctor.payments.losses.disputes import dispute_reported
from autodoctor.payments.losses.losses import book_losses
from autodoctor.payments.outgoing.payouts import PaidTwice, note_sent
from autodoctor.payments.outgoing.transfer_events import TransferNotStored, transfer_reversed
from autodoctor.payments.reconcile.report import Difference
from autodoctor.payments.stripe.calls import OutcomeUnknown, StripeRefused, call_stripe

if TYPE_CHECKING:
    import stripe

type Step = Callable[[psycopg.Connection[Row]], object]

_REASON: Final = "reconcile: Stripe's statement has it"
_ORDER: Final = ("charge", "transfer", "reversal", "refund", "dispute", "fee")
"""A flow comes before those that take it back."""

_BOOK: Final[LiteralString] = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id, reason)
VALUES (%(key)s, %(debit)s, %(credit)s, %(amount)s, 'usd', %(kind)s, %(intake_id)s, %(reason)s)
ON CONFLICT (key) DO NOTHING
"""
# All sums are of the account `stripe`; positive is what came in.
_SUMS: Final[LiteralString] = """
SELECT CASE WHEN %(subject)s LIKE 'fee:%%'
            THEN (SELECT -m.fee FROM stripe_movements m WHERE m.id = substr(%(subject)s, 5))
            ELSE (SELECT coalesce(sum(m.amount), 0) FROM stripe_movements m WHERE m.subject = %(subject)s)
       END::bigint AS at_stripe,
       (SELECT coalesce(sum(CASE WHEN t.debit_account = 'stripe' THEN t.amount ELSE -t.amount END), 0)
          FROM ledger_transfer t WHERE statement_subject(t.key) = %(subject)s
           AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe'))::bigint AS booked,
       (SELECT count(*) FROM ledger_transfer t WHERE statement_subject(t.key) = %(subject)s
           AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe') AND t.kind = 'correction') AS corrections,
       (SELECT coalesce(sum(CASE WHEN t.debit_account = 'disputed' THEN t.amount ELSE -t.amount END), 0)
          FROM ledger_transfer t WHERE statement_subject(t.key) = %(subject)s
           AND (t.debit_account = 'disputed' OR t.credit_account = 'disputed'))::bigint AS disputed
"""
_KEYS: Final[LiteralString] = """
SELECT t.key FROM ledger_transfer t
 WHERE statement_subject(t.key) = %(subject)s AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe')
"""
_MOVEMENT: Final[LiteralString] = """
SELECT m.source, m.amount, m.payment_intent_id, m.transfer_id, m.payout_id,
       c.kind AS checkout_kind, coalesce(c.intake_id, m.intake_id) AS intake_id
  FROM stripe_movements m
  LEFT JOIN LATERAL (
    SELECT * FROM checkouts c WHERE c.stripe_payment_intent_id = m.payment_intent_id OR c.id = m.checkout_id
     ORDER BY c.id = m.checkout_id DESC NULLS LAST LIMIT 1) AS c ON true
 WHERE m.subject = %(subject)s ORDER BY m.happened_at, m.id LIMIT 1
"""
_PAYOUT: Final[LiteralString] = """
SELECT id, session_id, intake_id, mechanic_id, kind, currency, state, stripe_transfer_id
  FROM payouts WHERE id = %(payout_id)s
"""
_REVERSAL_LOST: Final[LiteralString] = """
SELECT p.intake_id, p.mechanic_id FROM payouts p
 WHERE p.stripe_transfer_id = %(transfer_id)s
   AND p.reversed_cents >= %(amount)s + (
     SELECT coalesce(sum(t.amount), 0) FROM stripe_movements m JOIN ledger_transfer t ON t.key = 'reversal:' || m.source
      WHERE m.transfer_id = %(transfer_id)s AND m.flow = 'reversal')
"""
_BOOKED_AS: Final[LiteralString] = """
SELECT booked FROM stripe_refunds WHERE id = %(stripe_id)s
UNION ALL SELECT booked FROM stripe_disputes WHERE id = %(stripe_id)s
"""


@dataclass(frozen=True, slots=True)
class Repairs:
    """The result of a repair.

    Attributes:
        keys: of the new rows that move money of account `stripe`.
        left: subjects that were tried and not booked, or not wholly, each with the reason.
    """

    keys: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()


def repair(database: Database, client: "stripe.StripeClient", differences: Iterable[Difference]) -> Repairs:
    """Book the differences that are repairable, except those that were booked meanwhile, so repeating it is harmless.

    Args:
        client: of Stripe; it only retrieves the refund or dispute that has to be booked.
        differences: those of a report.
    """
    todo = sorted((each for each in differences if each.repairable), key=lambda each: _ORDER.index(_flow(each)))
    keys: list[str] = []
    left: list[tuple[str, str]] = []
    for difference in todo:
        before = _keys(database, difference)
        try:
            for step in _steps(database, client, difference):
                database.transaction(step)
        except (psycopg.Error, Refused, StripeRefused, OutcomeUnknown, TransferNotStored, PaidTwice) as failure:
            left.append((difference.subject, _reason(failure)))
        else:
            if _still_differs(database, difference):
                left.append((difference.subject, "it still differs: what Stripe has of it could not be booked"))
        keys += sorted(_keys(database, difference) - before)
    return Repairs(tuple(keys), tuple(left))


def _steps(database: Database, client: "stripe.StripeClient", difference: Difference) -> Iterable[Step]:
    """The transactions that repair a difference: the flow's own code first, then a correction of what is left."""
    if difference.kind.endswith(("_unbooked", "_failed")) and (flow := _flow(difference)) in _FLOWS:
        yield _FLOWS[flow](database, client, difference)
    if not difference.kind.endswith(("_unbooked", "_failed")) or _is_booked(database, difference):
        yield partial(_correct, difference=difference)


def _is_booked(database: Database, difference: Difference) -> bool:
    """Whether the flow's own code considers it booked, or does not handle it: then nobody else will book it."""
    if _flow(difference) == "fee":
        return True
    row = database.one(_BOOKED_AS, {"stripe_id": difference.stripe_id})
    return row is not None and row["booked"] != "nothing"


def _still_differs(database: Database, difference: Difference) -> bool:
    sums: Any = database.one(_SUMS, {"subject": difference.subject})
    if difference.kind == "dispute_end_unbooked":
        return bool(sums["disputed"])
    return bool(sums["at_stripe"] != sums["booked"])


def _charge(database: Database, _client: "stripe.StripeClient", difference: Difference) -> Step:
    moved = _movement(database, difference)
    if moved["checkout_kind"] == "pack":
        return partial(_book, difference=difference, kind=TransferKind.PACK_SALE, other=accounts.CREDIT_SALES)
    held = accounts.session_held(moved["intake_id"])
    return partial(_book, difference=difference, kind=TransferKind.CHARGE, other=held, intake_id=moved["intake_id"])


def _transfer(database: Database, _client: "stripe.StripeClient", difference: Difference) -> Step:
    moved = _movement(database, difference)
    payout: Any = database.one(_PAYOUT, moved)
    if payout["state"] not in ("sent", "reversed"):
        return partial(note_sent, payout={**payout, "amount_cents": -moved["amount"]}, transfer_id=moved["source"])
    payable = accounts.mechanic_payable(payout["mechanic_id"])
    return partial(
        _book, difference=difference, kind=TransferKind.TRANSFER, other=payable, intake_id=payout["intake_id"]
    )


def _reversal(database: Database, _client: "stripe.StripeClient", difference: Difference) -> Step:
    moved = _movement(database, difference)
    lost = database.one(_REVERSAL_LOST, moved)
    if lost is not None:  # the payout's row counts it already
        payable = accounts.mechanic_payable(lost["mechanic_id"])
        return partial(
            _book, difference=difference, kind=TransferKind.REVERSAL, other=payable, intake_id=lost["intake_id"]
        )
    listed = {"id": moved["source"], "amount": moved["amount"], "currency": "usd"}
    transfer = {
        "id": moved["transfer_id"],
        "currency": "usd",
        "transfer_group": None,
        "reversals": {"data": [listed]},
    }
    return lambda connection: transfer_reversed(connection, transfer)


def _refund(_database: Database, client: "stripe.StripeClient", difference: Difference) -> Step:
    refund = call_stripe(
        lambda: client.v1.refunds.retrieve(difference.stripe_id or "", params={"expand": ["balance_transaction"]})
    ).to_dict()
    return partial(_paid_back, reported=refund, handle=refund_reported)


def _dispute(_database: Database, client: "stripe.StripeClient", difference: Difference) -> Step:
    dispute = call_stripe(lambda: client.v1.disputes.retrieve(difference.stripe_id or "")).to_dict()
    return partial(_paid_back, reported=dispute, handle=dispute_reported)


_FLOWS: Final[Mapping[str, Callable[[Database, "stripe.StripeClient", Difference], Step]]] = {
    "charge": _charge,
    "transfer": _transfer,
    "reversal": _reversal,
    "refund": _refund,
    "dispute": _dispute,
}


def _paid_back(
    connection: psycopg.Connection[Row],
    reported: Mapping[str, Any],
    handle: Callable[[psycopg.Connection[Row], Mapping[str, Any]], object],
) -> None:
    """Do what the webhook would have done, even if the refund or dispute is stored already and only not booked."""
    handle(connection, reported)
    book_losses(connection, reported["payment_intent"])


def _book(
    connection: psycopg.Connection[Row],
    difference: Difference,
    kind: TransferKind,
    other: Account,
    intake_id: object = None,
) -> None:
    """Book a flow's own row, with the amount that Stripe has."""
    came = difference.at_stripe or 0
    _insert(connection, difference.subject, came, other, {"kind": kind, "intake_id": intake_id})


def _correct(connection: psycopg.Connection[Row], difference: Difference) -> None:
    """Book a correction by what the ledger has too little or too much."""
    is_fee = _flow(difference) == "fee"
    sums: Any = connection.execute(_SUMS, {"subject": difference.subject}).fetchone()
    missing: int = sums["at_stripe"] - sums["booked"]
    if missing == 0:
        return
    if is_fee and difference.kind == "fee_unbooked":
        _insert(
            connection, difference.subject, missing, accounts.STRIPE_FEES, {"kind": TransferKind.FEE, "intake_id": None}
        )
        return
    key = f"correction:{difference.subject}:{sums['corrections'] + 1}"
    other, intake_id = (accounts.STRIPE_FEES, None) if is_fee else _bears(connection, difference)
    _insert(connection, key, missing, other, {"kind": TransferKind.CORRECTION, "intake_id": intake_id})


def _bears(connection: psycopg.Connection[Row], difference: Difference) -> tuple[Account, UUID | None]:
    """The account that bears a correction, and the session that it is about.

    A mechanic who was sent too much owes it; a session whose money is still held has less; else the platform bears it.
    """
    if difference.kind == "transfer_duplicate":
        payout: Any = connection.execute(_PAYOUT, {"payout_id": difference.subject.split(":")[1]}).fetchone()
        return accounts.mechanic_receivable(payout["mechanic_id"]), payout["intake_id"]
    stored = connection.execute(_BOOKED_AS, {"stripe_id": difference.stripe_id}).fetchone()
    if stored is not None and stored["booked"] == "held":
        moved: Any = connection.execute(_MOVEMENT, {"subject": difference.subject}).fetchone()
        return accounts.session_held(moved["intake_id"]), moved["intake_id"]
    return accounts.PLATFORM_REVENUE, None


def _insert(connection: psycopg.Connection[Row], key: str, came: int, other: Account, facts: Row) -> None:
    """Book what came in at Stripe (positive) or went out, against the other account."""
    debit, credit = (accounts.STRIPE, other) if came > 0 else (other, accounts.STRIPE)
    values = {"key": key, "debit": debit, "credit": credit, "amount": abs(came), "reason": _REASON, **facts}
    connection.execute(_BOOK, values)


def _flow(difference: Difference) -> str:
    return difference.kind.partition("_")[0]


def _movement(database: Database, difference: Difference) -> Row:
    row = database.one(_MOVEMENT, {"subject": difference.subject})
    if row is None:
        raise StripeRefused("", "its movement is not in the copy of the statement")
    return row


def _keys(database: Database, difference: Difference) -> set[str]:
    return {row["key"] for row in database.all(_KEYS, {"subject": difference.subject})}


def _reason(failure: Exception) -> str:
    """The reason, without the row that PostgreSQL repeats in its message."""
    if isinstance(failure, psycopg.Error):
        return f"{type(failure).__name__} {failure.diag.constraint_name or failure.sqlstate or ''}".strip()
    return str(failure) or type(failure).__name__
