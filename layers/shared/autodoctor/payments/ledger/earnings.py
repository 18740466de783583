"""GET /api/mechanic/earnings: what a mechanic has earned, amount by amount and in total."""

from typing import Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.ids import LAST
from autodoctor.payments.ledger.netting_consents import Netting, netting_of
from autodoctor.web.paging import id_of, page_size
from autodoctor.web.schemas import ResponseModel, Utc

_PAGE: Final[LiteralString] = """
WITH page AS MATERIALIZED (
  SELECT p.* FROM payouts p
   WHERE p.mechanic_id = (SELECT m.id FROM mechanics m WHERE m.user_id = %(user_id)s) AND p.id < %(before)s
   ORDER BY p.id DESC LIMIT %(limit)s + 1
), mine AS (
  SELECT p.state, p.kind, p.amount_cents, p.amount_cents - p.withheld_cents AS left_cents, p.netted_cents
    FROM payouts p WHERE p.mechanic_id = (SELECT m.id FROM mechanics m WHERE m.user_id = %(user_id)s)
), total AS (
  SELECT coalesce(sum(left_cents - netted_cents) FILTER (WHERE state IN ('due', 'held', 'sending')), 0)::bigint
           AS pending_cents,
         coalesce(sum(CASE state WHEN 'sent' THEN left_cents WHEN 'reversed' THEN 0 ELSE netted_cents END), 0)::bigint
           AS paid_cents,
         coalesce(sum(left_cents - netted_cents) FILTER (WHERE state = 'failed'), 0)::bigint AS failed_cents,
         coalesce(sum(CASE state WHEN 'reversed' THEN amount_cents ELSE amount_cents - left_cents END), 0)::bigint
           AS reversed_cents,
         coalesce(sum(left_cents) FILTER (WHERE kind IN ('session', 'extension') AND state <> 'reversed'), 0)::bigint
           AS session_cents,
         coalesce(sum(left_cents) FILTER (WHERE kind = 'referral' AND state <> 'reversed'), 0)::bigint
           AS referral_cents,
         coalesce(sum(left_cents) FILTER (WHERE kind = 'escalation' AND state <> 'reversed'), 0)::bigint
           AS escalation_cents,
         coalesce(sum(left_cents) FILTER (WHERE kind = 'returned' AND state <> 'reversed'), 0)::bigint
           AS returned_cents
    FROM mine
)
SELECT total.*,
       (SELECT jsonb_build_object('since', m.suspended_at, 'reason', m.suspension_reason)
          FROM mechanics m WHERE m.user_id = %(user_id)s AND m.status = 'suspended') AS suspension,
       page.id AS payout_id, page.session_id, page.kind, page.amount_cents, page.netted_cents, page.currency,
       page.created_at,
       CASE page.state WHEN 'sent' THEN 'paid' WHEN 'failed' THEN 'failed' WHEN 'reversed' THEN 'reversed'
                       WHEN 'cancelled' THEN CASE WHEN page.netted_cents > 0 THEN 'netted' ELSE 'reversed' END
                       ELSE CASE page.waits_for WHEN 'release' THEN 'held' ELSE 'pending' END END AS status
  FROM total LEFT JOIN page ON true
 ORDER BY page.id DESC
"""

type EarningStatus = Literal["pending", "held", "paid", "failed", "reversed", "netted"]


class Earning(ResponseModel):
    """One amount that was earned: by holding a session, by referring its customer, or by escalating it.

    Attributes:
        kind: returned: netted or taken back earlier, for a debt that was none in the end.
        netted_cents: the part that paid off what the mechanic owed.
        status: held: it is not sent before the operator, or the end of what held it, releases it; netted: nothing of it
            was left to send.
    """

    payout_id: UUID
    session_id: UUID
    kind: Literal["session", "extension", "referral", "escalation", "returned"]
    amount_cents: int
    netted_cents: int
    currency: str
    status: EarningStatus
    created_at: Utc


class EarningTotals(ResponseModel):
    """Cents over all earnings, including those of other pages: by status, and by what they are for.

    Attributes:
        pending_cents: owed and not sent, what is held included.
        paid_cents: sent, or netted.
        reversed_cents: taken back after they were sent, or never sent because the customer got them back.
        session_cents: for sessions held. Without what was reversed, like the next three, so that the four add up to
            pending, paid and failed.
        referral_cents: for customers referred.
        escalation_cents: for sessions escalated.
        returned_cents: netted or taken back earlier, for debts that were none in the end.
    """

    pending_cents: int
    paid_cents: int
    failed_cents: int
    reversed_cents: int
    session_cents: int
    referral_cents: int
    escalation_cents: int
    returned_cents: int


class Suspension(ResponseModel):
    """That a mechanic gets no requests: since when, and why in the admin's words, where these were given."""

    since: Utc | None
    reason: str | None


class Earnings(ResponseModel):
    """One page, newest first, and the totals.

    Attributes:
        netting: what is owed, and whether it may be withheld from payouts; null for somebody who is not a mechanic.
        suspension: null while the mechanic is active.
    """

    earnings: list[Earning]
    totals: EarningTotals
    netting: Netting | None
    suspension: Suspension | None
    next_cursor: str | None


def earnings(database: Database, user_id: UUID, limit: str | None = None, cursor: str | None = None) -> Earnings:
    """What a mechanic has earned; suspended mechanics may see it too.

    Args:
        user_id: the mechanic's `sub`; somebody who is not a mechanic has earned nothing.
        limit: earnings per page, 1 to 100; 20 where absent.
        cursor: `nextCursor` of the page before.

    Raises:
        Unprocessable: limit or cursor is not one of ours.
    """
    size = page_size(limit)
    before = id_of(cursor, LAST)
    rows = database.all(_PAGE, {"user_id": user_id, "limit": size, "before": before})
    shown = [row for row in rows[:size] if row["payout_id"] is not None]
    return Earnings(
        earnings=[Earning(**row) for row in shown],
        totals=EarningTotals(**rows[0]),
        netting=netting_of(database, user_id),
        suspension=rows[0]["suspension"],
        next_cursor=str(shown[-1]["payout_id"]) if len(rows) > size else None,
    )
