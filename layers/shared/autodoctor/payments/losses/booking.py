"""The ledger rows of a loss, as accounts.py lays them down, and what they do to the payout of its session.

Each function returns the new `booked` and `part` of the loss's row; None if the booking has to wait.
"""

from typing import Final, LiteralString

import psycopg

from autodoctor.db import Row
from autodoctor.domain.loss_shares import credits_of, shared
from autodoctor.domain.money import share_of
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import DISPUTED, PLATFORM_REVENUE, STRIPE, Account, TransferKind
from autodoctor.payments.ledger.credit_debts import hold_customer, repaid_for
from autodoctor.payments.ledger.transfers import Transfer, book

BOOKED: Final = ("held", "split")
"""The values of `booked` of a loss that is in the ledger."""

_PAYOUT: Final[LiteralString] = """
SELECT id, session_id, intake_id, mechanic_id, amount_cents, withheld_cents, sent_cents, reversed_cents, state,
       amount_cents - withheld_cents - netted_cents - sent_cents + reversed_cents AS in_hand
  FROM payouts WHERE intake_id = %(intake_id)s AND kind IN ('session', 'extension') FOR NO KEY UPDATE
"""
_WITHHOLD: Final[LiteralString] = """
UPDATE payouts SET withheld_cents = withheld_cents + %(cents)s WHERE id = %(id)s
"""
_NOTHING_TO_SEND: Final[LiteralString] = """
UPDATE payouts SET state = 'cancelled', next_attempt_at = NULL, waits_for = NULL, last_error = NULL
 WHERE id = %(id)s AND state IN ('due', 'held', 'failed') AND withheld_cents + netted_cents = amount_cents
"""
_GIVE_FREE: Final[LiteralString] = """
UPDATE payouts SET withheld_cents = withheld_cents + %(cents)s,
                   state = CASE state WHEN 'cancelled' THEN 'due' ELSE state END,
                   attempts = CASE state WHEN 'cancelled' THEN 0 ELSE attempts END,
                   next_attempt_at = CASE state WHEN 'cancelled' THEN clock_timestamp() ELSE next_attempt_at END
 WHERE id = %(id)s
"""
_TAKE_BACK: Final[LiteralString] = """
INSERT INTO payout_reversals (payout_id, dispute_id, booking, amount_cents)
VALUES (%(payout_id)s, %(id)s, %(bookings)s, %(cents)s)
"""
_CANCEL_REVERSAL: Final[LiteralString] = """
UPDATE payout_reversals SET state = 'cancelled', next_attempt_at = NULL
 WHERE dispute_id = %(id)s AND state IN ('due', 'failed')
"""
_OWED: Final[LiteralString] = """
SELECT coalesce(sum(CASE WHEN debit_account = %(account)s THEN amount ELSE -amount END), 0)::bigint AS cents
  FROM ledger_transfer WHERE intake_id = %(intake_id)s AND %(account)s IN (debit_account, credit_account)
"""
_RETURNABLE: Final[LiteralString] = "SELECT returnable(%(mechanic_id)s, %(intake_id)s) AS cents"
_RETURN: Final[LiteralString] = "SELECT return_netted(%(mechanic_id)s, %(session_id)s, %(cents)s)"
# What came back for a debt that is none by now: all that is here, less what was reversed by hand without one.
_RETURN_TAKEN_BACK: Final[LiteralString] = """
SELECT return_reversed(%(id)s, %(in_hand)s - %(reversed_cents)s + coalesce(sum(t.amount), 0)::bigint) AS returned
  FROM ledger_transfer t
 WHERE t.intake_id = %(intake_id)s AND t.kind = 'receivable' AND t.key LIKE 'reversal:%%:owed'
   AND t.debit_account = %(payable)s
"""
_HELD: Final[LiteralString] = """
SELECT greatest(coalesce(sum(CASE WHEN credit_account = %(account)s THEN amount ELSE -amount END), 0), 0)::bigint
         AS cents
  FROM ledger_transfer WHERE intake_id = %(intake_id)s AND %(account)s IN (debit_account, credit_account)
"""
_BOOKED_AS: Final[LiteralString] = "SELECT amount FROM ledger_transfer WHERE key = %(key)s"
_CREDITS_LEFT: Final[LiteralString] = """
SELECT coalesce((SELECT balance FROM credit_balances WHERE user_id = %(user_id)s), 0) AS credits
"""
_BOOKED_FOR_PACK: Final[LiteralString] = """
SELECT key, debit_account, credit_account, amount, currency FROM ledger_transfer WHERE key = ANY (%(keys)s)
"""


def payout_of(connection: psycopg.Connection[Row], payment: Row) -> Row | None:
    """The payout of the session or extension that was paid for, locked; `in_hand` is how much of it we still have."""
    return connection.execute(_PAYOUT, payment).fetchone()


def owed_of(connection: psycopg.Connection[Row], payout: Row) -> int:
    """Cents of this session that the mechanic has to give back."""
    account = accounts.mechanic_receivable(payout["mechanic_id"])
    row = connection.execute(_OWED, {"account": account, "intake_id": payout["intake_id"]}).fetchone()
    return 0 if row is None else int(row["cents"])


def withhold(connection: psycopg.Connection[Row], payout: Row, cents: int) -> None:
    """Withhold cents of a payout, or give them free again where negative; a payout with nothing left is cancelled."""
    values = {**payout, "cents": cents}
    if connection.execute(_WITHHOLD if cents > 0 else _GIVE_FREE, values).rowcount != 1:
        raise RuntimeError(f"payout {payout['id']} is gone")
    connection.execute(_NOTHING_TO_SEND, values)


def book_held(connection: psycopg.Connection[Row], payment: Row, loss: Row) -> Row:
    """Take a loss from what is held for the session, which nobody has earned; what is above that is the platform's."""
    held, intake_id = accounts.session_held(payment["intake_id"]), payment["intake_id"]
    row = connection.execute(_HELD, {"account": held, "intake_id": intake_id}).fetchone()
    own = min(loss["cents"], 0 if row is None else row["cents"])
    excess = f"{_base(loss)}:excess"
    book(
        connection,
        [
            Transfer(_kind(loss), _held_key(loss), held, _target(loss), own, intake_id),
            Transfer(_kind(loss), excess, PLATFORM_REVENUE, _target(loss), loss["cents"] - own, intake_id),
        ],
    )
    return {"booked": "held", "part": 0}


def book_split(connection: psycopg.Connection[Row], payment: Row, loss: Row, losses: list[Row]) -> Row | None:
    """Split the loss as the earning was split. Take the mechanic's part from the unsent payout first.

    A loss that was taken from what is held, before the session was settled, is put back there.
    """
    payout = payout_of(connection, payment)
    if payout is not None and payout["state"] == "sending":
        return None
    earlier = [each for each in losses if each["booked"] == "split"]
    before, borne = sum(each["booked_cents"] for each in earlier), sum(each["part"] for each in earlier)
    earned = 0 if payout is None else payout["amount_cents"]
    lost = _taken_from_held(connection, loss) if loss["booked"] == "held" else loss["cents"]
    parts = shared(lost, payment["price_cents"], earned, before, borne)
    credit = accounts.session_held(payment["intake_id"]) if loss["booked"] == "held" else _target(loss)
    base, intake_id = _base(loss), payment["intake_id"]
    book(connection, [Transfer(_kind(loss), f"{base}:platform", PLATFORM_REVENUE, credit, parts.rest, intake_id)])
    if payout is not None and parts.mechanic:
        own = min(parts.mechanic, payout["in_hand"])
        owed = parts.mechanic - own
        payable = accounts.mechanic_payable(payout["mechanic_id"])
        receivable = accounts.mechanic_receivable(payout["mechanic_id"])
        mechanics = Transfer(_kind(loss), f"{base}:mechanic", payable, credit, own, intake_id)
        book(
            connection,
            [mechanics, Transfer(TransferKind.RECEIVABLE, f"{base}:receivable", receivable, credit, owed, intake_id)],
        )
        if own:
            withhold(connection, payout, own)
        if owed and loss["kind"] == "dispute":
            connection.execute(_TAKE_BACK, {**loss, "payout_id": payout["id"], "cents": owed})
    return {"booked": "split", "part": parts.mechanic}


def book_pack(connection: psycopg.Connection[Row], payment: Row, loss: Row, losses: list[Row]) -> Row:
    """Reverse as much of the sale as was paid back: credits that are left are withdrawn, used ones become a debt."""
    earlier = [each for each in losses if each["booked"] == "split"]
    before, taken = sum(each["booked_cents"] for each in earlier), sum(each["part"] for each in earlier)
    wanted = credits_of(loss["cents"], payment["price_cents"], payment["credits"], before, taken)
    hold_customer(connection, payment["user_id"])
    row = connection.execute(_CREDITS_LEFT, payment).fetchone()
    left = min(wanted, 0 if row is None else row["credits"])
    owed = min(loss["cents"], share_of(payment["price_cents"], wanted - left, payment["credits"]))
    base, user_id = _base(loss), payment["user_id"]
    sale = base if loss["kind"] == "refund" else f"{base}:sale"
    kind = TransferKind.PACK_REFUND if loss["kind"] == "refund" else TransferKind.DISPUTE_LOST
    spendable, debt = accounts.customer_credits(user_id), accounts.customer_receivable(user_id)
    withdrawn = (TransferKind.CREDIT_WITHDRAWAL, f"{base}:credits", spendable, accounts.CREDITS_ISSUED, left)
    sold = Transfer(kind, sale, accounts.CREDIT_SALES, _target(loss), loss["cents"])
    used = Transfer(TransferKind.RECEIVABLE, f"{base}:receivable", debt, accounts.CREDIT_SALES, owed)
    book(connection, [sold, Transfer(*withdrawn, currency="credit"), used])
    return {"booked": "split", "part": wanted}


def reverse_booking(connection: psycopg.Connection[Row], payment: Row, loss: Row) -> Row | None:
    """Book the money back to where it was taken from, by new rows: the refund failed, or the dispute was won."""
    base = _base(loss)
    outcome = {"booked": "reversed", "part": 0}
    if payment["kind"] == "pack":
        hold_customer(connection, payment["user_id"])
        keys = [base, *(f"{base}:{part}" for part in ("sale", "credits", "receivable"))]
        booked = connection.execute(_BOOKED_FOR_PACK, {"keys": keys}).fetchall()
        repaid = repaid_for(connection, payment["user_id"], base)
        book(connection, [_mirrored(row) for row in (*booked, *repaid)])
        return outcome
    intake_id = payment["intake_id"]
    if loss["booked"] == "held":
        held, own = accounts.session_held(intake_id), _taken_from_held(connection, loss)
        excess = _correction(loss, ":excess", PLATFORM_REVENUE, loss["booked_cents"] - own, payment)
        book(connection, [_correction(loss, "", held, own, payment), excess])
        return outcome
    payout = payout_of(connection, payment)
    if payout is not None and payout["state"] == "sending":
        return None
    platform = loss["booked_cents"]
    if payout is not None:
        owed = min(loss["part"], max(0, owed_of(connection, payout)))
        netted = _give_back_netted(connection, payout, loss["part"] - owed)
        kept = min(loss["part"] - owed - netted, payout["withheld_cents"])
        platform -= (
            owed + netted + kept
        )  # what is left of it includes debts of the mechanic that the platform wrote off
        receivable = accounts.mechanic_receivable(payout["mechanic_id"])
        payable = accounts.mechanic_payable(payout["mechanic_id"])
        back = [
            _correction(loss, ":receivable", receivable, owed, payment),
            _correction(loss, ":netting", payable, netted, payment),
            _correction(loss, ":mechanic", payable, kept, payment),
        ]
        book(connection, back)
        if kept:
            withhold(connection, payout, -kept)
        connection.execute(_CANCEL_REVERSAL, loss)
    book(connection, [_correction(loss, ":platform", PLATFORM_REVENUE, platform, payment)])
    return outcome


def return_taken_back(connection: psycopg.Connection[Row], payment: Row) -> None:
    """Owe the mechanic, as another payout, what was taken back of one for losses that are smaller, or none, by now."""
    payout = payout_of(connection, payment)
    if payout is not None and payout["state"] == "reversed":
        payable = accounts.mechanic_payable(payout["mechanic_id"])
        connection.execute(_RETURN_TAKEN_BACK, {**payout, "payable": payable})


def _give_back_netted(connection: psycopg.Connection[Row], payout: Row, most: int) -> int:
    """Owe the mechanic again what other payouts paid for a debt that is none; as a payout, so that it is sent."""
    row = connection.execute(_RETURNABLE, payout).fetchone()
    cents = min(most, 0 if row is None else row["cents"])
    if cents > 0:
        connection.execute(_RETURN, {**payout, "cents": cents})
    return max(0, cents)


def _base(loss: Row) -> str:
    """The beginning of the keys of its present booking, as in the view `losses`."""
    first = f"refund:{loss['id']}" if loss["kind"] == "refund" else f"dispute:{loss['id']}:lost"
    return first if loss["bookings"] <= 1 else f"{first}:{loss['bookings']}"


def _held_key(loss: Row) -> str:
    return _base(loss) if loss["kind"] == "refund" else f"{_base(loss)}:held"


def _taken_from_held(connection: psycopg.Connection[Row], loss: Row) -> int:
    """Cents of a loss that were taken from what was held."""
    row = connection.execute(_BOOKED_AS, {"key": _held_key(loss)}).fetchone()
    return 0 if row is None else int(row["amount"])


def _kind(loss: Row) -> TransferKind:
    return TransferKind.REFUND if loss["kind"] == "refund" else TransferKind.DISPUTE_LOST


def _target(loss: Row) -> Account:
    """The account to credit: Stripe, or where it holds what it has taken for the dispute already."""
    return STRIPE if loss["kind"] == "refund" else DISPUTED


def _correction(loss: Row, part: str, to: Account, cents: int, payment: Row) -> Transfer:
    key = f"{_base(loss)}:undone{part}"
    return Transfer(TransferKind.CORRECTION, key, _target(loss), to, cents, payment["intake_id"])


def _mirrored(row: Row) -> Transfer:
    debit, credit = Account(row["credit_account"]), Account(row["debit_account"])
    return Transfer(
        TransferKind.CORRECTION, f"{row['key']}:undone", debit, credit, row["amount"], None, row["currency"]
    )
