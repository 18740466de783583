"""POST /api/admin/sessions/{sessionId}/contest/decide: what becomes of a contested session's price.

What goes back to a card is a refund like any other; when Stripe has it, it is shared as the price was
(payments/losses). Credits go back at once, and their price with them, to where it was taken from.
"""

from typing import Annotated, Final, LiteralString
from uuid import UUID

import psycopg
from pydantic import Field, StringConstraints

from autodoctor.admin.changes import audited
from autodoctor.contests.contests import ContestOutcome, SessionContest, session_contest
from autodoctor.contests.errors import ContestDecided, ContestNotFound
from autodoctor.db import Database, Row
from autodoctor.domain.loss_shares import shared
from autodoctor.domain.money import share_of
from autodoctor.errors import SessionBusy, SessionNotFound, Unprocessable
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import TransferKind
from autodoctor.payments.ledger.credit_debts import hold_customer, repay
from autodoctor.payments.ledger.transfers import Transfer, book
from autodoctor.payments.losses.booking import payout_of, withhold
from autodoctor.web.schemas import RequestBody


class DecideContestRequest(RequestBody):
    """The decision, and the reason, which both parties read; without personal data.

    Attributes:
        outcome: keep: nothing changes; part: what `refundCents` or `refundCredits` says goes back; all: all of it.
        refund_cents: for part, what the customer shall have back of a card payment, with what went back before.
        refund_credits: the same of a session that was paid with credits.
    """

    outcome: ContestOutcome
    refund_cents: Annotated[int, Field(ge=1)] | None = None
    refund_credits: Annotated[int, Field(ge=1)] | None = None
    note: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


_FACTS: Final[LiteralString] = """
SELECT k.session_id, k.outcome, k.refund_cents, k.refund_credits, i.funding, i.price_cents, i.credits, c.user_id
  FROM sessions s JOIN intakes i ON i.id = s.id JOIN customers c ON c.id = s.customer_id
  LEFT JOIN contests k ON k.session_id = s.id
 WHERE s.id = %(session_id)s
"""
_DECIDE: Final[LiteralString] = """
UPDATE contests SET outcome = %(outcome)s, refund_cents = %(refund_cents)s, refund_credits = %(refund_credits)s,
       note = %(note)s, decided_by = %(actor_id)s, change_id = %(change_id)s
 WHERE session_id = %(session_id)s AND outcome IS NULL
"""
_GIVE_BACK: Final[LiteralString] = """
INSERT INTO refunds (intake_id, kind, amount_cents) VALUES (%(session_id)s, 'contest', %(refund_cents)s)
"""


def decide_contest(
    database: Database, admin_id: UUID, session_id: UUID, request: DecideContestRequest
) -> SessionContest:
    """Decide once what becomes of a contested session's price; the same decision again stands.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        session_id: the session.
        request: the decision.

    Raises:
        SessionNotFound: there is none with this id.
        ContestNotFound: it is not contested.
        ContestDecided: it was decided otherwise.
        Unprocessable: the amount is none, or not a part of what was paid.
        SessionBusy: its payout is being sent at this moment.
    """
    values = {**audited(admin_id), "session_id": session_id, "note": request.note}
    database.transaction(lambda connection: _decide(connection, values, request))
    return session_contest(database, admin_id, session_id, any_session=True)


def _decide(connection: psycopg.Connection[Row], values: Row, request: DecideContestRequest) -> None:
    row = connection.execute(_FACTS, values).fetchone()
    if row is None:
        raise SessionNotFound
    if row["session_id"] is None:
        raise ContestNotFound
    wanted = {"outcome": request.outcome, **_given_back(row, request)}
    if row["outcome"] is None:
        if row["funding"] == "credit":
            hold_customer(connection, row["user_id"])
        if connection.execute(_DECIDE, {**values, **wanted}).rowcount == 1:
            _move(connection, {**row, **wanted})
            return
        row = connection.execute(_FACTS, values).fetchone() or row  # somebody decided meanwhile
    if any(row[name] != value for name, value in wanted.items()):
        raise ContestDecided(row["outcome"])


def _given_back(row: Row, request: DecideContestRequest) -> dict[str, int | None]:
    """What goes back, in the unit in which it was paid.

    Raises:
        Unprocessable: a part has no amount, or one that is not a part; anything else has one.
    """
    unit, other = ("refund_cents", "refund_credits") if row["funding"] == "card" else ("refund_credits", "refund_cents")
    paid: int = row["price_cents"] if row["funding"] == "card" else row["credits"]
    asked: int | None = getattr(request, unit)
    pointer = {"refund_cents": "/refundCents", "refund_credits": "/refundCredits"}
    if getattr(request, other) is not None:
        raise Unprocessable((pointer[other], f"is not how this session was paid: by {row['funding']}"))
    if request.outcome == "part" and (asked is None or asked >= paid):
        raise Unprocessable((pointer[unit], f"must be less than {paid}" if asked else "is required"))
    if request.outcome != "part" and asked is not None:
        raise Unprocessable((pointer[unit], "goes with the outcome part only"))
    return {unit: {"keep": None, "part": asked, "all": paid}[request.outcome], other: None}


def _move(connection: psycopg.Connection[Row], contest: Row) -> None:
    """What follows from a decision: a refund that is due, or credits that are back."""
    if contest["refund_cents"] is not None:
        connection.execute(_GIVE_BACK, contest)
    elif contest["refund_credits"] is not None:
        _give_credits_back(connection, contest)


def _give_credits_back(connection: psycopg.Connection[Row], contest: Row) -> None:
    """Return credits, and take their price back from those who got it: the mechanic's part from what is not sent."""
    session_id, credits_ = contest["session_id"], contest["refund_credits"]
    payout = payout_of(connection, {"intake_id": session_id})
    if payout is not None and payout["state"] == "sending":
        raise SessionBusy
    cents = share_of(contest["price_cents"], credits_, contest["credits"])
    earned = 0 if payout is None else payout["amount_cents"]
    parts = shared(cents, contest["price_cents"], earned, 0, 0)
    spendable = accounts.customer_credits(contest["user_id"])
    back = Transfer(
        TransferKind.CONTEST,
        f"contest:{session_id}:credits",
        accounts.CREDITS_SPENT,
        spendable,
        credits_,
        session_id,
        "credit",
    )
    bookings = [back, _taken(session_id, "platform", accounts.PLATFORM_REVENUE, parts.rest)]
    own = 0
    if payout is not None:
        own = min(parts.mechanic, payout["in_hand"])
        receivable = accounts.mechanic_receivable(payout["mechanic_id"])
        bookings += [
            _taken(session_id, "mechanic", accounts.mechanic_payable(payout["mechanic_id"]), own),
            _taken(session_id, "receivable", receivable, parts.mechanic - own),
        ]
    book(connection, bookings)
    if payout is not None and own:
        withhold(connection, payout, own)
    repay(connection, contest["user_id"], session_id, credits_)


def _taken(session_id: UUID, part: str, debit: accounts.Account, cents: int) -> Transfer:
    key = f"contest:{session_id}:{part}"
    return Transfer(TransferKind.CONTEST, key, debit, accounts.CREDIT_SALES, cents, session_id)
