"""An ended session's money: settled once and rightly, paid out or refunded once, never both (SPEC.md#invariant-9).

These checks need only the database; `autodoctor reconcile` compares with Stripe. The worth of an outcome is computed
from the intake's own figures with the pure functions that settled it (domain.money).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.domain.money import Split, share_of, split
from autodoctor.integrity.checks import times as checks_times
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.now import findings_of
from autodoctor.integrity.checks.record import rows
from autodoctor.plural import counted

_IN_MONEY = Section.MONEY
NOT_DUE: Final = Check(
    "settlement_missing", _IN_MONEY, "over with money at stake, neither settled nor due", 9, repairable=True
)
LATE: Final = Check("settlement_late", _IN_MONEY, "due for more than an hour and not settled", 9)
DUE_WRONGLY: Final = Check("due_wrongly", _IN_MONEY, "due though it is settled, not over, or nothing is at stake", 9)
SETTLED_OTHERWISE: Final = Check("settled_otherwise", _IN_MONEY, "settled as its outcome does not demand", 9)
PAYOUT: Final = Check("payout_differs", _IN_MONEY, "the mechanic's payout is not the one it earned, once", 9)
REFERRAL: Final = Check("referral_differs", _IN_MONEY, "the referrer's payout is not the one it earned, once", 9)
ESCALATION: Final = Check("escalation_differs", _IN_MONEY, "an escalation is not paid for its approved quote, once", 9)
REFUND: Final = Check("refund_differs", _IN_MONEY, "the refund is not the price, once", 9)
BOTH: Final = Check("paid_and_refunded", _IN_MONEY, "a payout and a refund were both started", 9)
CONTEST: Final = Check("contest_differs", _IN_MONEY, "what goes back after a contest is not what was decided, once", 9)
CREDITS: Final = Check("credits_differ", _IN_MONEY, "credits were not held, spent or returned as it ended", 9)
CHARGE: Final = Check("charge_differs", Section.INBOX, "a card session whose price was not taken in exactly once", 11)
HELD: Final = Check("held_differs", _IN_MONEY, "what is still held for it is not what its outcome left", 10)
SHARES: Final = Check("shares_differ", _IN_MONEY, "what is booked of it is not what its outcome gave whom", 10)
CHECKS: Final = (
    NOT_DUE,
    LATE,
    DUE_WRONGLY,
    SETTLED_OTHERWISE,
    PAYOUT,
    REFERRAL,
    ESCALATION,
    REFUND,
    BOTH,
    CONTEST,
    CREDITS,
    CHARGE,
    HELD,
    SHARES,
)

_MONEY: Final[LiteralString] = """
SELECT i.id, s.id IS NOT NULL AS is_session, s.status, s.mechanic_id, s.ended_at IS NOT NULL AS is_over, i.funding,
       EXISTS (SELECT FROM session_extensions x WHERE x.session_id = i.id AND x.status = 'running') AS is_extended,
       i.price_cents, i.credits, i.mechanic_share_bp, i.mechanic_fixed_pay_cents, i.referrer_id,
       coalesce(i.referral_bp, 0) AS referral_bp, st.outcome, st.facts ->> 'status' AS settled_as,
       h.outcome AS decided, h.session_id IS NOT NULL AS is_held, h.demanded,
       d.session_id IS NOT NULL AS is_due, d.ended_at < now() - interval '1 hour'
         AND NOT (h.session_id IS NOT NULL AND h.outcome IS NULL) AS is_late,
       p.session AS paid, p.session_to AS paid_to, p.referral AS referred, p.referral_to AS referred_to,
       p.escalation AS escalated, q.amount_cents AS quoted, q.escalation_bp,
       r.session AS refunded, coalesce(r.times, 0) AS refunds, r.contest AS contest_refunded,
       k.cents AS refund_cents, k.credits AS refund_credits, coalesce(t.contest_credits, 0) AS contest_credits,
       coalesce(t.contest_cents, 0) AS contest_cents,
       coalesce(t.charged, 0) AS charged, coalesce(t.charges, 0) AS charges, coalesce(t.held, 0) AS held,
       coalesce(t.credits_held, 0) AS credits_held, coalesce(t.holds, 0) AS holds, coalesce(t.spends, 0) AS spends,
       coalesce(t.returns, 0) AS returns, t.shares
  FROM intakes i
  LEFT JOIN sessions s ON s.id = i.id
  LEFT JOIN settlements st ON st.session_id = i.id
  LEFT JOIN settlements_due d ON d.session_id = i.id
  LEFT JOIN settlement_holds h ON h.session_id = i.id
  LEFT JOIN contest_parts k ON k.intake_id = i.id
  LEFT JOIN quotes q ON q.approved_session_id = i.id
  LEFT JOIN (
    SELECT session_id, array_agg(amount_cents) FILTER (WHERE kind = 'session') AS session,
           (array_agg(mechanic_id) FILTER (WHERE kind = 'session'))[1] AS session_to,
           array_agg(amount_cents) FILTER (WHERE kind = 'referral') AS referral,
           (array_agg(mechanic_id) FILTER (WHERE kind = 'referral'))[1] AS referral_to,
           array_agg(amount_cents) FILTER (WHERE kind = 'escalation') AS escalation
      FROM payouts WHERE session_id > %(after)s AND session_id <= %(upto)s GROUP BY session_id
  ) AS p ON p.session_id = i.id
  LEFT JOIN (
    SELECT intake_id, array_agg(amount_cents) FILTER (WHERE kind = 'session') AS session,
           array_agg(amount_cents) FILTER (WHERE kind = 'contest') AS contest,
           count(*) FILTER (WHERE kind <> 'contest') AS times
      FROM refunds WHERE intake_id > %(after)s AND intake_id <= %(upto)s GROUP BY intake_id
  ) AS r ON r.intake_id = i.id
  LEFT JOIN (
    SELECT intake_id, count(*) FILTER (WHERE kind = 'charge') AS charges,
           (sum(amount) FILTER (WHERE kind = 'charge'))::bigint AS charged,
           count(*) FILTER (WHERE kind = 'credit_hold') AS holds,
           count(*) FILTER (WHERE kind = 'credit_spend') AS spends,
           count(*) FILTER (WHERE kind = 'credit_return') AS returns,
           (sum(amount) FILTER (WHERE kind = 'contest' AND currency = 'credit'))::bigint AS contest_credits,
           (sum(amount) FILTER (WHERE kind = 'contest' AND currency = 'usd'))::bigint AS contest_cents,
           ARRAY[coalesce(sum(amount) FILTER (WHERE kind IN ('earning', 'fixed_pay')), 0),
                 coalesce(sum(amount) FILTER (WHERE kind = 'referral'), 0),
                 coalesce(sum(amount) FILTER (WHERE kind = 'platform_share'), 0)]::bigint[] AS shares,
           sum(CASE WHEN credit_account = 'session:' || intake_id || ':held' THEN amount
                    WHEN debit_account = 'session:' || intake_id || ':held' THEN -amount ELSE 0 END)::bigint AS held,
           sum(CASE WHEN credit_account = 'session:' || intake_id || ':credits' THEN amount
                    WHEN debit_account = 'session:' || intake_id || ':credits' THEN -amount ELSE 0
               END)::bigint AS credits_held
      FROM ledger_transfer WHERE intake_id > %(after)s AND intake_id <= %(upto)s GROUP BY intake_id
  ) AS t ON t.intake_id = i.id
 WHERE i.id > %(after)s AND i.id <= %(upto)s
"""


@dataclass(frozen=True, slots=True)
class Money:
    """The money of a session and where it went, in cents or credits; a list where exactly one entry is expected."""

    id: UUID
    is_session: bool
    status: str | None
    mechanic_id: UUID | None
    is_over: bool
    funding: str
    price_cents: int
    credits: int
    is_extended: bool
    mechanic_share_bp: int
    mechanic_fixed_pay_cents: int
    referrer_id: UUID | None
    referral_bp: int
    outcome: str | None
    settled_as: str | None
    decided: str | None
    is_held: bool
    demanded: str | None
    is_due: bool
    is_late: bool | None
    paid: list[int] | None
    paid_to: UUID | None
    referred: list[int] | None
    referred_to: UUID | None
    escalated: list[int] | None
    quoted: int | None
    escalation_bp: int | None
    refunded: list[int] | None
    refunds: int
    contest_refunded: list[int] | None
    refund_cents: int | None
    refund_credits: int | None
    contest_credits: int
    contest_cents: int
    charged: int
    charges: int
    held: int
    credits_held: int
    holds: int
    spends: int
    returns: int
    shares: list[int] | None

    @property
    def is_at_stake(self) -> bool:
        """Whether its end moves money or credits."""
        return self.funding != "free" or self.mechanic_fixed_pay_cents > 0

    @property
    def demands(self) -> str:
        """The settlement that its outcome demands."""
        if (self.status == "completed" and self.decided != "refund") or self.decided == "pay":
            return "pay" if self.is_at_stake else "nothing"
        return {"card": "refund", "credit": "return"}.get(self.funding, "nothing")

    @property
    def earned(self) -> Split:
        """The parts of its settlement, by recipient."""
        if self.outcome != "pay":
            return Split(0, 0, 0)
        if self.funding == "free":
            return Split(self.mechanic_fixed_pay_cents, 0, 0)
        return split(self.price_cents, self.mechanic_share_bp, self.referral_bp if self.referrer_id else 0)


def check(connection: psycopg.Connection[Any], after: UUID, upto: UUID) -> Iterator[Finding]:
    """What is wrong with the money of the intakes with `after` < id <= `upto`.

    Args:
        connection: in a transaction with one snapshot.
        after: not included.
        upto: included.
    """
    for money in rows(connection, Money, _MONEY, {"after": after, "upto": upto}):
        if money.is_session:
            yield from _settled(money)
            yield from _moved(money)
            yield from _shared(money)
            yield from _credits(money)
        yield from _contested(money)
        yield from _taken_in(money)
    yield from findings_of(connection, checks_times.OF_SESSIONS, after=after, upto=upto)


def _settled(money: Money) -> Iterator[Finding]:
    state = f"it is {money.status}, paid by {money.funding}"
    at_stake = money.is_at_stake or money.is_extended
    is_open = money.is_over and at_stake and money.outcome is None
    if is_open and not money.is_due:
        yield NOT_DUE.of(money.id, state)
    may_be_due = money.is_over and money.outcome is None and (at_stake or money.quoted is not None)
    if money.is_due and not may_be_due:
        yield DUE_WRONGLY.of(money.id, f"{state}, settled as {money.outcome}")
    elif money.is_late:
        yield LATE.of(money.id, state)
    if money.outcome is not None and (not money.is_over or money.outcome != money.demands):
        yield SETTLED_OTHERWISE.of(money.id, f"{state}: settled as {money.outcome} when it was {money.settled_as}")


def _moved(money: Money) -> Iterator[Finding]:
    earned = money.earned
    if (money.paid or []) != [earned.mechanic] * bool(earned.mechanic) or (
        money.paid and money.paid_to != money.mechanic_id
    ):
        yield PAYOUT.of(money.id, f"earned {earned.mechanic} cents, payouts {money.paid or 'none'}")
    if (money.referred or []) != [earned.referral] * bool(earned.referral) or (
        money.referred and money.referred_to != money.referrer_id
    ):
        yield REFERRAL.of(money.id, f"earned {earned.referral} cents, payouts {money.referred or 'none'}")
    escalation = share_of(money.quoted or 0, money.escalation_bp or 0) if money.status == "completed" else 0
    not_yet = money.is_due and money.escalated is None
    if not not_yet and (money.escalated or []) != [escalation] * bool(escalation):
        yield ESCALATION.of(money.id, f"earned {escalation} cents, payouts {money.escalated or 'none'}")
    refund = [money.price_cents] if money.outcome == "refund" else []
    if (money.refunded or []) != refund:
        yield REFUND.of(money.id, f"to pay back {refund or 'nothing'}, refunds {money.refunded or 'none'}")
    if money.refunds and (money.paid or money.referred):
        yield BOTH.of(money.id, f"{counted(money.refunds, 'refund')}, payouts {money.paid or money.referred}")
    if money.held < 0 or (money.outcome == "pay" and money.held != 0):
        yield HELD.of(money.id, f"{money.held} cents, settled as {money.outcome}")


def _shared(money: Money) -> Iterator[Finding]:
    earned = money.earned
    wanted = [earned.mechanic, earned.referral, earned.platform + earned.referral]  # the referrer's is out of the rest
    if (money.shares or [0, 0, 0]) != wanted:
        yield SHARES.of(money.id, f"booked for mechanic, referrer and platform {money.shares}, earned {wanted}")


def _credits(money: Money) -> Iterator[Finding]:
    by_credit = money.funding == "credit"
    expected = (int(by_credit), int(by_credit and money.outcome == "pay"), int(by_credit and money.outcome == "return"))
    left = money.credits if by_credit and money.outcome is None else 0
    if (money.holds, money.spends, money.returns) != expected or money.credits_held != left:
        detail = f"times held {money.holds}, spent {money.spends}, returned {money.returns}, left {money.credits_held}"
        yield CREDITS.of(money.id, f"{detail}; settled as {money.outcome}")


def _contested(money: Money) -> Iterator[Finding]:
    back = [money.refund_cents] if money.refund_cents is not None else []
    credits_ = money.refund_credits or 0
    worth = share_of(money.price_cents, credits_, money.credits) if credits_ else 0
    if ((money.contest_refunded or []), money.contest_credits, money.contest_cents) != (back, credits_, worth):
        found = (
            f"refunds {money.contest_refunded or 'none'}, {money.contest_credits} credits, {money.contest_cents} cents"
        )
        yield CONTEST.of(money.id, f"decided: {back or 'no'} cents, {credits_} credits; {found}")


def _taken_in(money: Money) -> Iterator[Finding]:
    if money.funding == "card" and money.is_session:
        wanted = {(1, money.price_cents)}
    elif money.funding == "card":
        wanted = {(0, 0), (1, money.charged)}  # not paid, or paid and not given: what came may be another amount
    else:
        wanted = {(0, 0)}
    if (money.charges, money.charged) not in wanted:
        yield CHARGE.of(money.id, f"{counted(money.charges, 'charge')}, {money.charged} of {money.price_cents} cents")
