"""What payouts and refunds share on their way to Stripe: when the next attempt is, and the loop of a sweep.

A row is claimed in a transaction of its own, which stores the intent; Stripe is called without one; the outcome is
stored in another. Whoever is killed in between leaves the row `sending`, and when its lease is over the next sweep asks
Stripe what became of it. So several sweeps at once, and sweeps that die, are safe.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, LiteralString

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.observability import logger
from autodoctor.payments.stripe.connect import KEY_HOURS
from autodoctor.web.schemas import ResponseModel

if TYPE_CHECKING:
    import stripe

LEASE_SECONDS: Final = 300
"""Longer than any worker lives that claimed a row (its function's time-out), so that two never hold one."""

MARGIN_SECONDS: Final = 40.0
"""With less time left no row is claimed: its calls might not end in time (harmless, but they would be repeated)."""

WAIT: Final = timedelta(hours=6)
"""Until what waits for somebody else is looked at again; the webhook that ends the wait comes first."""

BACK_OFF: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 120, 240, 480, 720, 1440, 1440))
"""After each attempt that counts; three days in all, longer than Stripe keeps an answer of 500 under a key."""

type Ending = Literal["sent", "waiting", "failed", "overtaken"]


class Overtaken(Exception):
    """Another attempt holds the row by now."""


class Sent(ResponseModel):
    """How many rows came to which end in one sweep; overtaken: another attempt had decided by then."""

    sent: int = 0
    waiting: int = 0
    failed: int = 0
    overtaken: int = 0


class Waiting(ResponseModel):
    """What is not sent.

    Attributes:
        failed: payouts, refunds and reversals that were given up.
        age_seconds: since when the oldest one that could be sent is owed; those that wait for a mechanic's onboarding
            or for the end of a dispute are not counted.
        onboarding: payouts that wait for a mechanic's onboarding.
        disputed: payouts and refunds that wait for the end of a dispute.
    """

    failed: int = 0
    age_seconds: int = 0
    onboarding: int = 0
    disputed: int = 0


_WAITING: Final[LiteralString] = """
WITH owed AS (
  SELECT state, waits_for, created_at FROM payouts WHERE state IN ('due', 'held', 'sending', 'failed')
  UNION ALL
  SELECT state, waits_for, created_at FROM refunds WHERE state IN ('due', 'held', 'sending', 'failed')
  UNION ALL
  SELECT 'failed', NULL, created_at FROM payout_reversals WHERE state = 'impossible'
)
SELECT count(*) FILTER (WHERE state = 'failed') AS failed,
       coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (
         WHERE state IN ('due', 'sending') AND coalesce(waits_for, '') NOT IN ('onboarding', 'dispute'))), 0)::bigint
         AS age_seconds,
       count(*) FILTER (WHERE state = 'due' AND waits_for = 'onboarding') AS onboarding,
       count(*) FILTER (WHERE state = 'held' OR state = 'due' AND waits_for = 'dispute') AS disputed
  FROM owed
"""


def sweep_due(
    database: Database,
    client: "stripe.StripeClient",
    seconds_left: SecondsLeft,
    claim: LiteralString,
    attempt: Callable[[Database, "stripe.StripeClient", Row], Ending],
) -> Sent:
    """Claim rows that are due, one by one, and attempt to send each, until none is left or time runs short.

    Args:
        database: where.
        client: of Stripe.
        seconds_left: how many seconds this run still has.
        claim: the statement that claims one row.
        attempt: sends it, or finds out why not.
    """
    counts = dict.fromkeys(Sent.model_fields, 0)
    while seconds_left() > MARGIN_SECONDS:
        row = database.one(claim, {"lease_seconds": LEASE_SECONDS, "key_hours": KEY_HOURS})
        if row is None:
            break
        ending = attempt(database, client, row)
        counts[ending] += 1
        logger.info("attempted to send", extra={"row": str(row["id"]), "kind": row["kind"], "ending": ending})
    return Sent(**counts)


def put_off(database: Database, statement: LiteralString, row: Row, **values: object) -> Ending:
    """Write down that a row waits, and why, unless another attempt holds it by now.

    Args:
        database: where.
        statement: changes the row while this attempt's lease holds it.
        row: as it was claimed.
        values: what else the statement takes.
    """
    return "waiting" if database.execute(statement, {**row, **values}) else "overtaken"


def is_last(attempts: int) -> bool:
    """Whether there is no attempt after this one."""
    return attempts > len(BACK_OFF)


def wait_after(attempts: int) -> timedelta:
    """How long to wait after the so-manieth attempt."""
    return BACK_OFF[min(attempts, len(BACK_OFF)) - 1]


def waiting(database: Database) -> Waiting:
    """What is not sent, for the alarms."""
    row = database.one(_WAITING, ())
    return Waiting(**row) if row is not None else Waiting()
