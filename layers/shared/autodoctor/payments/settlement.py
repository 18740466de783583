"""Settlement: where the money of an ended session goes, decided once and booked in one transaction.

Whoever inserts the session's row of `settlements` first decides and books; later calls find the row and do nothing.
Nothing is sent from here: what is owed becomes a row of `payouts` or `refunds` in state `due`.
"""

from dataclasses import dataclass
from typing import Final, Literal, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from autodoctor.db import Database, Refused, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.domain.money import Split, split
from autodoctor.payments.extensions import settle_extensions
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import TransferKind
from autodoctor.payments.ledger.credit_debts import hold_customer, repay
from autodoctor.payments.ledger.escalations import owe_escalation
from autodoctor.payments.ledger.transfers import Transfer, book
from autodoctor.payments.losses.losses import book_losses_of, lock_payment_of
from autodoctor.web.schemas import ResponseModel

type SettlementOutcome = Literal["pay", "refund", "return", "nothing"]

NOBODY: Final = Split(0, 0, 0)
BATCH: Final = 20
MARGIN_SECONDS: Final = 5.0
LATE_SECONDS: Final = 600
"""After this nothing should be left to settle."""

_WAITS: Final = frozenset({"early", "held"})

_FACTS: Final[LiteralString] = """
SELECT s.id, s.status, s.mechanic_id, c.user_id AS customer_user_id,
       i.funding, i.price_cents, i.currency, i.credits, i.mechanic_share_bp, i.mechanic_fixed_pay_cents,
       i.referrer_id, i.referral_bp, settlement_gate(s.id) AS gate
  FROM sessions s JOIN intakes i ON i.id = s.id JOIN customers c ON c.id = s.customer_id
 WHERE s.id = %(session_id)s AND s.ended_at IS NOT NULL
"""

_DECIDE: Final[LiteralString] = """
INSERT INTO settlements (session_id, outcome, facts) VALUES (%(session_id)s, %(outcome)s, %(facts)s)
ON CONFLICT DO NOTHING
"""

_OWE_MECHANIC: Final[LiteralString] = """
INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents, currency)
VALUES (%(session_id)s, %(mechanic_id)s, 'session', %(amount_cents)s, %(currency)s)
"""

_OWE_REFERRER: Final[LiteralString] = """
INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents, currency)
VALUES (%(session_id)s, %(referrer_id)s, 'referral', %(amount_cents)s, %(currency)s)
"""

_OWE_CUSTOMER: Final[LiteralString] = """
INSERT INTO refunds (intake_id, kind, amount_cents, currency)
VALUES (%(session_id)s, 'session', %(amount_cents)s, %(currency)s)
"""

_NO_LONGER_DUE: Final[LiteralString] = "DELETE FROM settlements_due WHERE session_id = %(session_id)s"

_MISSED: Final[LiteralString] = """
SELECT c.session_id, c.ended_at < clock_timestamp() - make_interval(secs => %(late_seconds)s) AS late
  FROM claim_missed_settlements(%(batch)s, coalesce(make_interval(secs => %(grace_seconds)s), evidence_grace())) AS c
"""

_AS_DECIDED: Final = {"pay": "completed", "refund": "cancelled"}


class SessionNotOver(Exception):
    """There is no such session, or it has not ended: the event is not genuine, or came too early and is retried."""

    def __init__(self, session_id: UUID) -> None:
        super().__init__(f"session {session_id} has not ended")


class SweptSettlements(ResponseModel):
    """How many sessions were settled whose time for late evidence was over, and how many of them long ago.

    Attributes:
        late: ended more than ten minutes ago; something kept them from being settled.
    """

    settled: int
    late: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Where an ended session's money goes.

    Attributes:
        outcome: as in the table `settlements`.
        split: the price between mechanic, referrer and platform, in cents; all 0 unless the outcome is pay.
        refund_cents: what is paid back to the card.
        bookings: the rows of the ledger.
    """

    outcome: SettlementOutcome
    split: Split = NOBODY
    refund_cents: int = 0
    bookings: tuple[Transfer, ...] = ()

    def facts(self, session: Row) -> dict[str, object]:
        """What the decision was made from, and the amounts; stored with it."""
        return {
            "status": session["status"],
            "funding": session["funding"],
            "priceCents": session["price_cents"],
            "credits": session["credits"],
            "mechanicCents": self.split.mechanic,
            "referralCents": self.split.referral,
            "platformCents": self.split.platform,
            "refundCents": self.refund_cents,
        }


def settle(database: Database, session_id: UUID) -> bool:
    """Settle an ended session, unless it is settled already, late evidence may still come, or it is held.

    Its evidence is judged again with all there is by now. Where that demands another outcome, its money waits for an
    admin's decision (autodoctor.admin.settlements), and is settled as that says.

    Args:
        session_id: an ended session.

    Returns:
        Whether this call settled it.

    Raises:
        SessionNotOver: there is no such ended session.
    """
    return database.transaction(lambda connection: _settle(connection, session_id))


def sweep(database: Database, seconds_left: SecondsLeft, grace_seconds: float | None = None) -> SweptSettlements:
    """Settle the sessions that are not settled yet, until none is left or time runs short.

    A session that cannot be settled does not delay the others.

    Args:
        grace_seconds: those that ended more recently are left alone; None: as long as late evidence may come.

    Raises:
        ExceptionGroup: what failed, after all had their turn.
    """
    failures: list[Exception] = []
    settled = late = 0
    parameters = {"batch": BATCH, "grace_seconds": grace_seconds, "late_seconds": LATE_SECONDS}
    while seconds_left() > MARGIN_SECONDS:
        missed = database.all(_MISSED, parameters)
        for row in missed:
            try:
                if settle(database, row["session_id"]):
                    settled += 1
                    late += row["late"]
            except (psycopg.Error, Refused, SessionNotOver, ValueError) as failure:
                failures.append(failure)
        if len(missed) < BATCH:
            break
    if failures:
        raise ExceptionGroup(f"{len(failures)} sessions could not be settled", failures)
    return SweptSettlements(settled=settled, late=late)


def _settle(connection: psycopg.Connection[Row], session_id: UUID) -> bool:
    session = connection.execute(_FACTS, {"session_id": session_id}).fetchone()
    if session is None:
        raise SessionNotOver(session_id)
    stands = session["gate"]
    if stands in _WAITS:
        return False
    status = _AS_DECIDED[stands] if stands in _AS_DECIDED else session["status"]
    decision = decide({**session, "status": status})
    parameters = {
        **session,
        "session_id": session_id,
        "outcome": decision.outcome,
        "facts": Jsonb({**decision.facts(session), "decided": stands if stands in _AS_DECIDED else None}),
    }
    if session["funding"] == "card":
        lock_payment_of(connection, session_id)
    if decision.outcome == "return":
        hold_customer(connection, session["customer_user_id"])
    first = connection.execute(_DECIDE, parameters).rowcount == 1
    if first:
        book(connection, decision.bookings)
        if decision.outcome == "return":
            repay(connection, session["customer_user_id"], session_id, session["credits"])
        _owe(connection, decision, parameters)
        settle_extensions(connection, session_id, status, decide)
        owe_escalation(connection, session_id)
        connection.execute(_NO_LONGER_DUE, parameters)
        if session["funding"] == "card":
            book_losses_of(connection, session_id)  # what the customer got back before it was settled
    return first


def _owe(connection: psycopg.Connection[Row], decision: Decision, parameters: Row) -> None:
    """Make what is owed due."""
    for statement, cents in (
        (_OWE_MECHANIC, decision.split.mechanic),
        (_OWE_REFERRER, decision.split.referral),
        (_OWE_CUSTOMER, decision.refund_cents),
    ):
        if cents:
            connection.execute(statement, {**parameters, "amount_cents": cents})


def decide(session: Row) -> Decision:
    """Decide where an ended session's money goes: a pure function of how the intake was sold and how it ended.

    Args:
        session: id, status, mechanic_id and the intake's funding, price, credits, share, fixed pay and referrer.
    """
    completed = session["status"] == "completed"
    match session["funding"], completed:
        case "card", True:
            return _paid(session, accounts.session_held(session["id"]))
        case "credit", True:
            spent = _credits(session, TransferKind.CREDIT_SPEND, accounts.CREDITS_SPENT)
            return _paid(session, accounts.CREDIT_SALES, spent)
        case "card", False:
            # The ledger follows when Stripe has paid it back: until then the money is still held.
            return Decision("refund", refund_cents=session["price_cents"])
        case "credit", False:
            back = accounts.customer_credits(session["customer_user_id"])
            return Decision("return", bookings=(_credits(session, TransferKind.CREDIT_RETURN, back),))
        case "free", True if session["mechanic_fixed_pay_cents"]:
            return _paid_free(session)
        case "free", _:
            return Decision("nothing")
        case unknown:
            raise ValueError(f"session {session['id']} is paid by {unknown}")


def _paid(session: Row, source: accounts.Account, *before: Transfer) -> Decision:
    """Split the price, from the account that holds it; the referrer's part comes out of the platform's share."""
    parts = split(session["price_cents"], session["mechanic_share_bp"], session["referral_bp"] or 0)
    kept = parts.platform + parts.referral
    bookings = (
        *before,
        _booking(session, TransferKind.EARNING, source, _mechanic(session), parts.mechanic),
        _booking(session, TransferKind.PLATFORM_SHARE, source, accounts.PLATFORM_REVENUE, kept),
    )
    if parts.referral:
        referrer = accounts.mechanic_payable(session["referrer_id"])
        bookings += (_booking(session, TransferKind.REFERRAL, accounts.PLATFORM_REVENUE, referrer, parts.referral),)
    return Decision("pay", parts, bookings=bookings)


def _paid_free(session: Row) -> Decision:
    """The customer paid nothing: the platform pays the mechanic the plan's fixed pay."""
    pay = session["mechanic_fixed_pay_cents"]
    earned = _booking(session, TransferKind.FIXED_PAY, accounts.FREE_SESSIONS, _mechanic(session), pay)
    return Decision("pay", Split(pay, 0, 0), bookings=(earned,))


def _mechanic(session: Row) -> accounts.Account:
    return accounts.mechanic_payable(session["mechanic_id"])


def _credits(session: Row, kind: TransferKind, to: accounts.Account) -> Transfer:
    session_id = session["id"]
    held = accounts.session_credits(session_id)
    return Transfer(kind, f"session:{session_id}:{kind}", held, to, session["credits"], session_id, "credit")


def _booking(
    session: Row, kind: TransferKind, debit: accounts.Account, credit: accounts.Account, amount: int
) -> Transfer:
    session_id = session["id"]
    return Transfer(kind, f"session:{session_id}:{kind}", debit, credit, amount, session_id)
