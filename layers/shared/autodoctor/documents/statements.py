"""GET /api/mechanic/statements and /api/mechanic/statements/{month}: what a mechanic earned, was sent and owes.

A statement is read from the ledger whenever it is asked for: every row of the mechanic's two accounts in the period is
one line, so opening balance and lines are the closing balance. Months and years are of UTC.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.documents import words
from autodoctor.documents.receipts import DEFAULT_ISSUER
from autodoctor.documents.statement_words import (
    EARNED,
    GROUPS,
    WAITS,
    LineGroup,
    UnsentPayout,
    WaitReason,
    group_of,
    why,
    words_of,
)
from autodoctor.errors import StatementNotFound
from autodoctor.ids import FIRST
from autodoctor.web.paging import MOST_BYTES, fitting, id_of, unknown_cursor
from autodoctor.web.schemas import ResponseModel, Utc

_PERIOD: Final = re.compile(r"(20[0-9]{2})(?:-(0[1-9]|1[0-2]))?")

_ROWS: Final[LiteralString] = """
WITH me AS (
  SELECT m.id, 'mechanic:' || m.id || ':payable' AS payable, 'mechanic:' || m.id || ':receivable' AS receivable
    FROM mechanics m WHERE m.user_id = %(user_id)s
), mine AS (
  SELECT t.id, t.created_at, t.kind, t.key, t.intake_id,
         CASE me.payable WHEN t.credit_account THEN t.amount WHEN t.debit_account THEN -t.amount ELSE 0
         END AS payable_cents,
         CASE me.receivable WHEN t.debit_account THEN t.amount WHEN t.credit_account THEN -t.amount ELSE 0
         END AS owed_cents
    FROM me JOIN ledger_transfer t
      ON t.debit_account IN (me.payable, me.receivable) OR t.credit_account IN (me.payable, me.receivable)
)
"""
_MONTHS: Final[LiteralString] = (
    _ROWS
    + """
SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month, kind, count(*) AS lines,
       sum(payable_cents)::bigint AS payable_cents, sum(owed_cents)::bigint AS owed_cents
  FROM mine GROUP BY 1, 2 ORDER BY 1
"""
)
_BEFORE: Final[LiteralString] = (
    _ROWS
    + """
SELECT m.name AS mechanic_name, clock_timestamp() AS issued_at,
       (SELECT s.value FROM settings s WHERE s.key = 'receipt_issuer') AS issuer,
       (SELECT coalesce(sum(payable_cents), 0)::bigint FROM mine WHERE created_at < %(starts_at)s) AS payable_cents,
       (SELECT coalesce(sum(owed_cents), 0)::bigint FROM mine WHERE created_at < %(starts_at)s) AS owed_cents
  FROM mechanics m WHERE m.user_id = %(user_id)s
"""
)
_LINES: Final[LiteralString] = (
    _ROWS
    + """
SELECT l.id AS line_id, l.created_at AS booked_at, l.kind, l.payable_cents, l.owed_cents, s.id AS session_id,
       pl.name AS plan, x.minutes AS more_minutes, s.ended_at,
       CASE l.kind WHEN 'transfer' THEN p.stripe_transfer_id WHEN 'reversal' THEN split_part(l.key, ':', 2)
       END AS transfer_id
  FROM mine l
  LEFT JOIN intakes i ON i.id = l.intake_id
  LEFT JOIN session_extensions x ON x.id = l.intake_id
  LEFT JOIN sessions s ON s.id = coalesce(x.session_id, l.intake_id)
  LEFT JOIN plans pl ON pl.code = i.plan_code
  LEFT JOIN payouts p ON p.id = CASE l.kind WHEN 'transfer' THEN split_part(l.key, ':', 2)::uuid END
 WHERE l.created_at >= %(starts_at)s AND l.created_at < %(ends_at)s
 ORDER BY l.created_at, l.id
"""
)
_UNSENT: Final[LiteralString] = """
SELECT p.id AS payout_id, p.session_id, p.kind, p.created_at AS earned_at, p.state, p.waits_for, p.next_attempt_at,
       p.amount_cents - p.withheld_cents - p.netted_cents - p.sent_cents + p.reversed_cents AS amount_cents,
       p.created_at + payout_hold() AS leaves_at,
       CASE WHEN destination_is_new(p.mechanic_id) THEN a.destination_changed_at + destination_hold()
       END AS destination_until,
       ARRAY(SELECT h.reason FROM payout_holds h WHERE h.payout_id = p.id AND h.released_at IS NULL
              ORDER BY h.held_at, h.reason) AS holds
  FROM mechanics m JOIN payouts p ON p.mechanic_id = m.id LEFT JOIN mechanic_accounts a ON a.mechanic_id = m.id
 WHERE m.user_id = %(user_id)s AND p.created_at < %(ends_at)s
   AND p.amount_cents - p.withheld_cents - p.netted_cents - p.sent_cents + p.reversed_cents > 0
 ORDER BY p.id
"""
_UNDECIDED: Final[LiteralString] = """
SELECT s.id AS session_id, s.ended_at AS earned_at
  FROM mechanics m JOIN sessions s ON s.mechanic_id = m.id JOIN settlement_holds h ON h.session_id = s.id
 WHERE m.user_id = %(user_id)s AND h.outcome IS NULL AND s.ended_at < %(ends_at)s
 ORDER BY s.id
"""


class StatementBalance(ResponseModel):
    """What was open between the mechanic and us.

    Attributes:
        payable_cents: earned and not sent.
        owed_cents: sent, and to be given back.
    """

    payable_cents: int
    owed_cents: int


class StatementLine(ResponseModel):
    """One row of the ledger.

    Attributes:
        kind: what it is summed up with.
        text: what happened.
        payable_cents: what it changes of what the mechanic is owed; negative for what was sent or went back.
        owed_cents: what it changes of what the mechanic has to give back.
        session_id: the session that it is about.
        transfer_id: Stripe's id of the transfer, or of its reversal.
    """

    line_id: UUID
    booked_at: Utc
    kind: LineGroup
    text: str
    payable_cents: int
    owed_cents: int
    session_id: UUID | None
    transfer_id: str | None


class StatementTotal(ResponseModel):
    """The lines of one kind together."""

    kind: LineGroup
    text: str
    lines: int
    payable_cents: int
    owed_cents: int


class WaitingReason(ResponseModel):
    """Why something is not sent; `until`: null where only what happens ends it."""

    reason: WaitReason
    text: str
    until: Utc | None


class StatementWaiting(ResponseModel):
    """Something that is not sent, now.

    Attributes:
        payout_id: null for a session whose money is not decided about.
        kind: what it was earned by.
        amount_cents: what of it is still here; null where that is not decided.
    """

    payout_id: UUID | None
    session_id: UUID
    kind: str
    amount_cents: int | None
    earned_at: Utc
    reasons: list[WaitingReason]


class Statement(ResponseModel):
    """A month or a year of a mechanic's money.

    Attributes:
        period: 2026-11, or 2026.
        ends_at: not included.
        is_final: whether the period is over; before that, lines are added.
        issuer: who pays: name and address, in lines.
        lines: oldest first; with `opening` they add up to `closing`. As JSON so many as fit into an answer.
        totals: all lines by kind.
        waiting: what was earned by the end of the period and is not sent at `issued_at`, as JSON the first of it.
        waiting_count: how much that is.
        next_cursor: of the lines after these; null where there are none.
    """

    period: str
    starts_at: Utc
    ends_at: Utc
    issued_at: Utc
    is_final: bool
    issuer: str
    mechanic_name: str
    currency: str = "usd"
    opening: StatementBalance
    closing: StatementBalance
    totals: list[StatementTotal]
    lines: list[StatementLine]
    waiting: list[StatementWaiting]
    waiting_count: int
    next_cursor: str | None = None


class StatementMonth(ResponseModel):
    """A month in which something happened.

    Attributes:
        earned_cents: for sessions, referrals and approved quotes.
        paid_out_cents: sent, less what was taken back.
        closing: what was open at its end.
    """

    month: str
    lines: int
    earned_cents: int
    paid_out_cents: int
    closing: StatementBalance


class Statements(ResponseModel):
    """The months in which something happened, newest first, and the years they are of."""

    statements: list[StatementMonth]
    years: list[str]


@dataclass(frozen=True, slots=True)
class Period:
    """A month or a year, in UTC."""

    name: str
    starts_at: datetime
    ends_at: datetime


def period_of(name: str) -> Period:
    """The month (2026-11) or the year (2026) of a name.

    Raises:
        StatementNotFound: it is neither.
    """
    found = _PERIOD.fullmatch(name)
    if found is None:
        raise StatementNotFound
    year, month = int(found[1]), int(found[2] or 0)
    after = (year + 1, 1) if month in (0, 12) else (year, month + 1)
    return Period(name, datetime(year, month or 1, 1, tzinfo=UTC), datetime(*after, 1, tzinfo=UTC))


def statements_of(database: Database, user_id: UUID) -> Statements:
    """The months in which something happened to a mechanic's money.

    Args:
        user_id: the mechanic's `sub`; somebody who is not a mechanic has none.
    """
    months: dict[str, list[Row]] = {}
    for row in database.all(_MONTHS, {"user_id": user_id}):
        months.setdefault(row["month"], []).append(row)
    made: list[StatementMonth] = []
    balance = StatementBalance(payable_cents=0, owed_cents=0)
    for month, rows in months.items():
        balance = _added(balance, rows)
        made.append(
            StatementMonth(
                month=month,
                lines=sum(row["lines"] for row in rows),
                earned_cents=sum(row["payable_cents"] for row in rows if group_of(row["kind"]) in EARNED),
                paid_out_cents=-sum(
                    row["payable_cents"] for row in rows if group_of(row["kind"]) in ("payout", "taken_back")
                ),
                closing=balance,
            )
        )
    return Statements(statements=made[::-1], years=sorted({each[:4] for each in months}, reverse=True))


def statement(database: Database, user_id: UUID, name: str) -> Statement:
    """A month or a year of a mechanic's money; suspended mechanics may see it too.

    Args:
        user_id: the mechanic's `sub`.
        name: 2026-11, or 2026.

    Raises:
        StatementNotFound: no mechanic, no month or year, or one that has not begun.
    """
    period = period_of(name)
    asked = {"user_id": user_id, "starts_at": period.starts_at, "ends_at": period.ends_at}
    before = database.one(_BEFORE, asked)
    if before is None or before["issued_at"] < period.starts_at:
        raise StatementNotFound
    lines = [_line(row) for row in database.all(_LINES, asked)]
    opening = StatementBalance(**before)
    now: datetime = before["issued_at"]
    waiting = [
        *(_waiting(row, now) for row in database.all(_UNSENT, asked)),
        *(_undecided(row) for row in database.all(_UNDECIDED, asked)),
    ]
    return Statement(
        period=period.name,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        issued_at=now,
        is_final=now >= period.ends_at,
        issuer=before["issuer"] or DEFAULT_ISSUER,
        mechanic_name=before["mechanic_name"],
        opening=opening,
        closing=_added(opening, [each.model_dump() for each in lines]),
        totals=_totals(lines),
        lines=lines,
        waiting=waiting,
        waiting_count=len(waiting),
    )


def page_of_statement(whole: Statement, cursor: str | None) -> Statement:
    """As much of a statement as fits into an answer: its lines after the cursor, and with the first ones what waits.

    Args:
        whole: what documents show.
        cursor: from the request, if it has one; the sums are the whole statement's on every page.

    Raises:
        Unprocessable: not a cursor of this statement.
    """
    after = id_of(cursor, FIRST)
    begin = next((number for number, line in enumerate(whole.lines, 1) if line.line_id == after), 0)
    if cursor is not None and not begin:
        raise unknown_cursor()
    lines = fitting(whole.lines[begin:], MOST_BYTES * 2 // 3)
    more = begin + len(lines) < len(whole.lines)
    return whole.model_copy(
        update={
            "lines": lines,
            "waiting": [] if begin else fitting(whole.waiting, MOST_BYTES // 3),
            "next_cursor": str(lines[-1].line_id) if more else None,
        }
    )


def _added(balance: StatementBalance, rows: Iterable[Row]) -> StatementBalance:
    rows = list(rows)
    return StatementBalance(
        payable_cents=balance.payable_cents + sum(row["payable_cents"] for row in rows),
        owed_cents=balance.owed_cents + sum(row["owed_cents"] for row in rows),
    )


def _line(row: Row) -> StatementLine:
    said = words_of(row["kind"], row["payable_cents"], row["owed_cents"])
    more = row["more_minutes"] and f"{row['more_minutes']} more minutes"
    about = [row["plan"], more, f"session of {words.day(row['ended_at'])}"] if row["ended_at"] is not None else []
    text = f"{said}: {', '.join(each for each in about if each)}" if about else said
    return StatementLine.model_validate({**row, "kind": group_of(row["kind"]), "text": text})


def _totals(lines: list[StatementLine]) -> list[StatementTotal]:
    of = {group: [line for line in lines if line.kind == group] for group in GROUPS}
    return [
        StatementTotal(
            kind=group,
            text=GROUPS[group],
            lines=len(each),
            payable_cents=sum(line.payable_cents for line in each),
            owed_cents=sum(line.owed_cents for line in each),
        )
        for group, each in of.items()
        if each
    ]


def _waiting(row: Row, now: datetime) -> StatementWaiting:
    unsent = UnsentPayout(
        state=row["state"],
        waits_for=row["waits_for"],
        holds=tuple(row["holds"]),
        destination_until=row["destination_until"],
        leaves_at=row["leaves_at"],
        next_attempt_at=row["next_attempt_at"],
    )
    reasons = [WaitingReason(reason=each, text=WAITS[each], until=until) for each, until in why(unsent, now)]
    return StatementWaiting.model_validate({**row, "reasons": reasons})


def _undecided(row: Row) -> StatementWaiting:
    reason = WaitingReason(reason="late_evidence", text=WAITS["late_evidence"], until=None)
    return StatementWaiting.model_validate(
        {**row, "payout_id": None, "kind": "session", "amount_cents": None, "reasons": [reason]}
    )
