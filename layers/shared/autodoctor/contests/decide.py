"""POST /api/admin/sessions/{sessionId}/contest/decide: what becomes of what was paid for a contested session.

That is its own price and those of the extensions that were used; the schema divides what goes back among them
(contest_parts). What goes back to a card is a refund like any other, one for each payment; when Stripe has it, it is
shared as the price was (payments/losses). Credits go back at once, and their price with them, to where it was taken
from.
"""

from typing import Annotated, Final, LiteralString
from uuid import UUID

import psycopg
from pydantic import Field

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
from autodoctor.web.schemas import Reason, RequestBody


class DecideContestRequest(RequestBody):
    """The decision, and the reason, which both parties read; without personal data.

    Attributes:
        outcome: keep: nothing changes; part: what `refundCents` and `refundCredits` say goes back; all: all of it.
        refund_cents: for part, what the customer shall have back of payments by card, with what went back before.
        refund_credits: the same of what was paid with credits.
    """

    outcome: ContestOutcome
    refund_cents: Annotated[int, Field(ge=1)] | None = None
    refund_credits: Annotated[int, Field(ge=1)] | None = None
    note: Reason


_FACTS: Final[LiteralString] = """
SELECT k.session_id, k.outcome, k.refund_cents, k.refund_credits, c.user_id, p.paid_cents, p.paid_credits
  FROM sessions s JOIN customers c ON c.id = s.customer_id
  LEFT JOIN contests k ON k.session_id = s.id
  CROSS JOIN LATERAL (
    SELECT (sum(price_cents) FILTER (WHERE funding = 'card'))::bigint AS paid_cents,
           (sum(credits) FILTER (WHERE funding = 'credit'))::bigint AS paid_credits
      FROM contested_prices(s.id)) AS p
 WHERE s.id = %(session_id)s
"""
_DECIDE: Final[LiteralString] = """
UPDATE contests SET outcome = %(outcome)s, refund_cents = %(refund_cents)s, refund_credits = %(refund_credits)s,
       note = %(note)s, decided_by = %(actor_id)s, change_id = %(change_id)s
 WHERE session_id = %(session_id)s AND outcome IS NULL
"""
_GIVE_BACK: Final[LiteralString] = """
INSERT INTO refunds (intake_id, kind, amount_cents)
SELECT intake_id, 'contest', cents FROM contest_parts WHERE session_id = %(session_id)s AND cents IS NOT NULL
"""
_CREDITS_BACK: Final[LiteralString] = """
SELECT d.intake_id, d.credits AS back, i.credits, i.price_cents
  FROM contest_parts d JOIN intakes i ON i.id = d.intake_id
 WHERE d.session_id = %(session_id)s AND d.credits IS NOT NULL ORDER BY d.intake_id
"""


def decide_contest(
    database: Database, admin_id: UUID, session_id: UUID, request: DecideContestRequest
) -> SessionContest:
    """Decide once what becomes of what was paid for a contested session; the same decision again stands.

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
        if row["paid_credits"] is not None:
            hold_customer(connection, row["user_id"])
        if connection.execute(_DECIDE, {**values, **wanted}).rowcount == 1:
            _move(connection, row)
            return
        row = connection.execute(_FACTS, values).fetchone() or row  # somebody decided meanwhile
    if any(row[name] != value for name, value in wanted.items()):
        raise ContestDecided(row["outcome"])


def _given_back(row: Row, request: DecideContestRequest) -> dict[str, int | None]:
    """What goes back, in the units in which it was paid.

    Raises:
        Unprocessable: a part has no amount, or none that is a part of what was paid; or anything else has one.
    """
    paid: dict[str, int | None] = {"refund_cents": row["paid_cents"], "refund_credits": row["paid_credits"]}
    asked: dict[str, int | None] = {unit: getattr(request, unit) for unit in paid}
    pointer = {"refund_cents": "/refundCents", "refund_credits": "/refundCredits"}
    for unit, amount in asked.items():
        if amount is not None and (most := paid[unit]) is None:
            raise Unprocessable((pointer[unit], "is not how anything of this session was paid"))
        if amount is not None and request.outcome != "part":
            raise Unprocessable((pointer[unit], "goes with the outcome part only"))
        if amount is not None and amount > (most or 0):
            raise Unprocessable((pointer[unit], f"must be at most {most}"))
    if request.outcome != "part":
        return paid if request.outcome == "all" else dict.fromkeys(paid)
    wanted = next(unit for unit, whole in paid.items() if whole is not None)
    if not any(asked.values()):
        raise Unprocessable((pointer[wanted], "is required"))
    if asked == paid:
        raise Unprocessable((pointer[wanted], "is all of it: then the outcome is all"))
    return asked


def _move(connection: psycopg.Connection[Row], contest: Row) -> None:
    """What follows from a decision: refunds that are due, and credits that are back."""
    connection.execute(_GIVE_BACK, contest)
    for part in connection.execute(_CREDITS_BACK, contest).fetchall():
        _give_credits_back(connection, contest["user_id"], part)


def _give_credits_back(connection: psycopg.Connection[Row], user_id: UUID, part: Row) -> None:
    """Return credits, and take their price back from those who got it: the mechanic's part from what is not sent."""
    intake_id, credits_ = part["intake_id"], part["back"]
    payout = payout_of(connection, part)
    if payout is not None and payout["state"] == "sending":
        raise SessionBusy
    cents = share_of(part["price_cents"], credits_, part["credits"])
    earned = 0 if payout is None else payout["amount_cents"]
    parts = shared(cents, part["price_cents"], earned, 0, 0)
    spendable = accounts.customer_credits(user_id)
    back = Transfer(
        TransferKind.CONTEST,
        f"contest:{intake_id}:credits",
        accounts.CREDITS_SPENT,
        spendable,
        credits_,
        intake_id,
        "credit",
    )
    bookings = [back, _taken(intake_id, "platform", accounts.PLATFORM_REVENUE, parts.rest)]
    own = 0
    if payout is not None:
        own = min(parts.mechanic, payout["in_hand"])
        receivable = accounts.mechanic_receivable(payout["mechanic_id"])
        bookings += [
            _taken(intake_id, "mechanic", accounts.mechanic_payable(payout["mechanic_id"]), own),
            _taken(intake_id, "receivable", receivable, parts.mechanic - own),
        ]
    book(connection, bookings)
    if payout is not None and own:
        withhold(connection, payout, own)
    repay(connection, user_id, intake_id, credits_)


def _taken(intake_id: UUID, part: str, debit: accounts.Account, cents: int) -> Transfer:
    key = f"contest:{intake_id}:{part}"
    return Transfer(TransferKind.CONTEST, key, debit, accounts.CREDIT_SALES, cents, intake_id)
