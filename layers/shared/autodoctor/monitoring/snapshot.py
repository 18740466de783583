"""The state of this minute: the queue, mechanics, recent offers, and money that is stuck."""

from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.web.schemas import ResponseModel, Utc

OFFER_MINUTES: Final = 15

_NOW: Final[LiteralString] = """
WITH active AS MATERIALIZED (
  SELECT s.status, s.accepted_at, s.mechanic_id FROM sessions s WHERE s.ended_at IS NULL
), queue AS MATERIALIZED (
  SELECT a.session_id, a.status, a.queued_at, a.urgent
    FROM session_assignments a WHERE a.status IN ('queued', 'offered') AND a.available_at <= now()
), duty AS (
  SELECT count(*) FILTER (WHERE b.mechanic_id IS NULL) AS free
    FROM mechanics_on_duty d
    LEFT JOIN (SELECT DISTINCT a.mechanic_id FROM active a WHERE a.mechanic_id IS NOT NULL) AS b ON b.mechanic_id = d.id
), oldest AS (
  SELECT jsonb_build_object('sessionId', q.session_id, 'since', q.queued_at, 'urgent', q.urgent, 'status', q.status,
                            'seconds', floor(extract(epoch FROM now() - q.queued_at)),
                            'customerName', (SELECT i.customer_name FROM intakes i WHERE i.id = q.session_id)) AS is
    FROM queue q ORDER BY q.queued_at, q.session_id LIMIT 1
), offer AS (
  SELECT e.to_status FROM session_assignment_events e
   WHERE e.from_status = 'offered' AND e.to_status IN ('accepted', 'declined', 'expired')
     AND e.occurred_at >= now() - %(minutes)s * interval '1 minute'
)
SELECT (SELECT o.is FROM oldest o) AS oldest_waiting,
       (SELECT count(*) FROM queue WHERE status = 'queued') AS waiting,
       (SELECT count(*) FROM queue WHERE status = 'offered') AS offered,
       count(*) FILTER (WHERE a.status = 'waiting') AS accepted,
       count(*) FILTER (WHERE a.status = 'live') AS live,
       count(*) FILTER (WHERE a.status = 'scheduled') AS scheduled,
       count(*) FILTER (WHERE a.status = 'pending') AS pending,
       duty.free AS mechanics_available,
       count(DISTINCT a.mechanic_id) AS mechanics_in_session,
       (SELECT count(*) FROM offer WHERE to_status = 'accepted') AS offers_accepted,
       (SELECT count(*) FROM offer WHERE to_status = 'declined') AS offers_declined,
       (SELECT count(*) FROM offer WHERE to_status = 'expired') AS offers_lapsed
  FROM duty LEFT JOIN active a ON true GROUP BY duty.free
"""

_MONEY: Final[LiteralString] = """
SELECT 'payouts_failed' AS kind, count(*), coalesce(sum(p.amount_cents), 0)::bigint AS cents, min(p.created_at) AS since
  FROM payouts p WHERE p.state = 'failed'
UNION ALL
SELECT 'payouts_waiting', count(*), coalesce(sum(p.amount_cents), 0)::bigint, min(p.created_at)
  FROM payouts p WHERE p.state IN ('due', 'held', 'sending')
UNION ALL
SELECT 'refunds_failed', count(*), coalesce(sum(r.amount_cents), 0)::bigint, min(r.created_at)
  FROM refunds r WHERE r.state = 'failed'
UNION ALL
SELECT 'refunds_waiting', count(*), coalesce(sum(r.amount_cents), 0)::bigint, min(r.created_at)
  FROM refunds r WHERE r.state IN ('due', 'held', 'sending')
UNION ALL
SELECT 'reversals_failed', count(DISTINCT p.session_id), coalesce(sum(r.amount_cents), 0)::bigint, min(r.created_at)
  FROM payout_reversals r JOIN payouts p ON p.id = r.payout_id WHERE r.state = 'failed'
UNION ALL
SELECT 'receivables', count(*), coalesce(sum(o.cents), 0)::bigint, min(o.since) FROM receivables o
UNION ALL
SELECT 'settlements_waiting', count(*), NULL, min(d.ended_at) FROM settlements_due d
"""


class OldestWaiting(ResponseModel):
    """The customer who has waited longest in the queue, urgent or not."""

    session_id: UUID
    customer_name: str
    since: Utc
    seconds: int
    urgent: bool
    status: str


class Offers(ResponseModel):
    """The answers to offers in the last minutes."""

    minutes: int = OFFER_MINUTES
    accepted: int
    declined: int
    lapsed: int


class Snapshot(ResponseModel):
    """This minute.

    Attributes:
        waiting: requests in the queue that any mechanic they are shown to may take.
        offered: requests that are offered to one mechanic.
        accepted: sessions that a mechanic accepted and that have not begun.
        pending: sessions without a mechanic, also those whose waiver is not signed.
        mechanics_available: on duty and without a session.
        mechanics_in_session: with a waiting or live session, on duty or not.
    """

    oldest_waiting: OldestWaiting | None
    waiting: int
    offered: int
    accepted: int
    live: int
    scheduled: int
    pending: int
    mechanics_available: int
    mechanics_in_session: int
    offers: Offers


class MoneyStuck(ResponseModel):
    """Money that has not moved; `list` is the route that lists its sessions. Cents are None while undecided."""

    kind: str
    count: int
    cents: int | None
    since: Utc | None
    list: str


def snapshot(database: Database) -> Snapshot:
    """What is going on this minute."""
    row = database.only(_NOW, {"minutes": OFFER_MINUTES})
    offers = Offers(**{name: row[f"offers_{name}"] for name in ("accepted", "declined", "lapsed")})
    return Snapshot.model_validate({**row, "offers": offers})


def money_stuck(database: Database) -> list[MoneyStuck]:
    """What failed or waits to be paid out, back or taken back, what mechanics owe, and sessions not settled yet."""
    return [MoneyStuck(**row, list=f"/api/admin/sessions?money={row['kind']}") for row in database.all(_MONEY, ())]
