"""The part that all jobs for Stripe share: claim, lease, back-off, waiting for others, giving up.

Payouts, refunds and reversals are rows of tables that inherit from `stripe_jobs`, so each statement here serves all
three; what is sent, and how it is booked, is each kind's own. A job is claimed in one transaction, Stripe is called
outside any, and the outcome is stored in another. A worker that dies in between leaves the job `sending`; once its
lease is over the next attempt asks Stripe what became of it. Any number of sweeps may therefore run, or die, at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.observability import logger
from autodoctor.payments.stripe.calls import OutcomeUnknown, StripeRefused
from autodoctor.payments.stripe.connect import KEY_HOURS
from autodoctor.web.schemas import ResponseModel

if TYPE_CHECKING:
    import stripe

LEASE_SECONDS: Final = 300
"""Longer than a worker can live (its function's time-out), so that no two ever hold the same job."""

MARGIN_SECONDS: Final = 40.0
"""With less time left nothing is claimed: its calls might not end in time (harmless, but they would be repeated)."""

PARK: Final = timedelta(hours=6)
"""When to look again at a job that waits for somebody else; a webhook usually ends the wait sooner."""

BALANCE_SHORT: Final = frozenset({"balance_insufficient", "insufficient_funds"})
"""Stripe's codes where our balance does not have the money yet."""

BALANCE_WAIT: Final = timedelta(hours=1)
"""Money of charges becomes available in business days, for a new platform after up to two weeks."""

BACK_OFF: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 120, 240, 480, 720, 1440, 1440))
"""The wait after each counted attempt. The tenth refusal gives up, after 2.1 days; a job whose outcome is unknown is
looked up once more a day later, when Stripe has forgotten an answer of 500 under its key."""

type JobName = Literal["payout", "refund", "reversal", "evidence"]
type AttemptOutcome = Literal["sent", "waiting", "failed", "lost_lease", "netted"]


class LostLease(Exception):
    """Another attempt holds the job by now."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """An attempt that certainly moved no money, and when to make the next one.

    Attributes:
        waits_for: as in `stripe_jobs`; `dispute` holds the job until the dispute is over.
        error: what to store as its last error.
        uncounted: it waits for somebody else, which costs no attempt and never leads to giving up.
        after: until the next attempt; None for PARK where uncounted, else for the back-off.
    """

    waits_for: str | None
    error: str | None = None
    uncounted: bool = False
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class JobKind:
    """One kind of job.

    Attributes:
        name: which.
        read: the statement that reads, by `id`, what an attempt has to know beyond the lease.
        attempt: looks up what earlier attempts did, sends what is left, and books it. Returns what became of the job,
            or why nothing was sent. Raises OutcomeUnknown, LostLease.
        give_up: marks a job as failed, and books what follows from that.
    """

    name: JobName
    read: LiteralString
    attempt: "Callable[[Database, stripe.StripeClient, Row], AttemptOutcome | NotYet]"
    give_up: Callable[[psycopg.Connection[Row], Row, str], AttemptOutcome]


class Sent(ResponseModel):
    """How many jobs came to which end in one sweep.

    Attributes:
        lost_lease: another attempt had decided by then.
        netted: nothing is left to do, as it paid off, or was paid off by, what the mechanic owed.
    """

    sent: int = 0
    waiting: int = 0
    failed: int = 0
    lost_lease: int = 0
    netted: int = 0


class Unsent(ResponseModel):
    """Jobs that are not done, for the alarms.

    Attributes:
        failed: payouts, refunds, reversals and evidence of disputes that were given up.
        age_seconds: since when the oldest payout or refund that could be sent is owed; those that wait for a mechanic's
            onboarding, for the end of a dispute or for their time are not counted.
        onboarding: payouts that wait for a mechanic's onboarding.
        disputed: payouts and refunds that wait for the end of a dispute.
        balance: payouts and refunds that wait for our balance.
        held: payouts with a hold, which an admin releases, or the end of its reason.
    """

    failed: int = 0
    age_seconds: int = 0
    onboarding: int = 0
    disputed: int = 0
    balance: int = 0
    held: int = 0


# A key older than a day is dropped, as Stripe may have forgotten it; what it was used for is looked up.
_CLAIM: Final[LiteralString] = """
WITH next AS MATERIALIZED (
  SELECT id, coalesce(keyed_at < clock_timestamp() - make_interval(hours => %(key_hours)s), false) AS key_is_old
    FROM stripe_jobs
   WHERE job = %(job)s AND state IN ('due', 'held', 'sending') AND next_attempt_at <= clock_timestamp()
   ORDER BY next_attempt_at LIMIT 1
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE stripe_jobs j
   SET state = 'sending', lease_id = new_id(), attempts = j.attempts + 1,
       next_attempt_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s),
       idempotency_key = CASE WHEN NOT next.key_is_old THEN j.idempotency_key END,
       keyed_at = CASE WHEN NOT next.key_is_old THEN j.keyed_at END,
       asked_cents = CASE WHEN NOT next.key_is_old THEN j.asked_cents END
  FROM next WHERE j.id = next.id AND j.job = %(job)s AND j.state IN ('due', 'held', 'sending')
RETURNING j.id, j.job, j.lease_id, j.attempts, j.last_error, j.asked_at IS NOT NULL AS asked_before
"""

# An earlier key that may still count keeps its amount: with another one Stripe would refuse the key.
_INTEND: Final[LiteralString] = """
UPDATE stripe_jobs
   SET idempotency_key = coalesce(idempotency_key, job || ':' || id || ':' || new_id()),
       keyed_at = coalesce(keyed_at, clock_timestamp()), asked_at = coalesce(asked_at, clock_timestamp()),
       asked_cents = coalesce(asked_cents, %(cents)s)
 WHERE id = %(id)s AND job = %(job)s AND state = 'sending' AND lease_id = %(lease_id)s
   AND NOT (job = 'payout' AND NOT may_leave(id))
RETURNING idempotency_key, asked_cents
"""

# A key under which Stripe refused is forgotten: it would repeat the refusal for a day.
_NOT_YET: Final[LiteralString] = """
UPDATE stripe_jobs
   SET state = CASE WHEN %(waits_for)s = 'dispute' THEN 'held' ELSE 'due' END,
       waits_for = %(waits_for)s, last_error = %(error)s, attempts = attempts - %(uncounted)s::integer,
       next_attempt_at = clock_timestamp() + %(after)s,
       idempotency_key = NULL, keyed_at = NULL, asked_cents = NULL
 WHERE id = %(id)s AND job = %(job)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_NOT_KNOWN: Final[LiteralString] = """
UPDATE stripe_jobs SET waits_for = 'retry', last_error = %(error)s, next_attempt_at = clock_timestamp() + %(after)s
 WHERE id = %(id)s AND job = %(job)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

_FAILED: Final[LiteralString] = """
UPDATE stripe_jobs
   SET state = 'failed', waits_for = NULL, last_error = %(error)s, next_attempt_at = NULL,
       idempotency_key = NULL, keyed_at = NULL, asked_cents = NULL
 WHERE id = %(id)s AND job = %(job)s AND state = 'sending' AND lease_id = %(lease_id)s
"""

# A second look after PARK, should the webhook that ends the dispute never come: the attempt asks Stripe then.
_HOLD: Final[LiteralString] = """
UPDATE stripe_jobs SET state = 'held', waits_for = 'dispute', next_attempt_at = clock_timestamp() + %(park)s
 WHERE state = 'due' AND id IN (
   SELECT id FROM payouts WHERE intake_id = %(intake_id)s AND kind <> 'escalation'
   UNION ALL SELECT id FROM refunds WHERE intake_id = %(intake_id)s)
"""
_RELEASE: Final[LiteralString] = """
UPDATE stripe_jobs SET state = 'due', waits_for = NULL, next_attempt_at = clock_timestamp()
 WHERE state = 'held' AND id IN (
   SELECT id FROM payouts WHERE intake_id = %(intake_id)s
   UNION ALL SELECT id FROM refunds WHERE intake_id = %(intake_id)s)
"""

_UNSENT: Final[LiteralString] = """
SELECT count(*) FILTER (WHERE state = 'failed') AS failed,
       coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (
         WHERE job IN ('payout', 'refund') AND state IN ('due', 'sending')
           AND coalesce(waits_for, '') NOT IN ('onboarding', 'dispute', 'time'))), 0)::bigint AS age_seconds,
       count(*) FILTER (WHERE state = 'due' AND waits_for = 'onboarding') AS onboarding,
       count(*) FILTER (WHERE waits_for = 'dispute') AS disputed,
       count(*) FILTER (WHERE state = 'due' AND waits_for = 'balance') AS balance,
       count(*) FILTER (WHERE state = 'held' AND waits_for = 'release') AS held
  FROM stripe_jobs WHERE state IN ('due', 'held', 'sending', 'failed')
"""


def sweep_jobs(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft, kind: JobKind) -> Sent:
    """Claim the jobs that are due, one by one, and attempt each, until none is left or time runs short.

    Args:
        client: of Stripe.
        kind: which jobs.
    """
    counts = dict.fromkeys(Sent.model_fields, 0)
    values = {"job": kind.name, "lease_seconds": LEASE_SECONDS, "key_hours": KEY_HOURS}
    while seconds_left() > MARGIN_SECONDS and (claimed := database.one(_CLAIM, values)) is not None:
        outcome = _attempt(database, client, kind, claimed)
        counts[outcome] += 1
        logger.info("attempted to send", extra={"row": str(claimed["id"]), "kind": kind.name, "outcome": outcome})
    return Sent(**counts)


def _attempt(database: Database, client: "stripe.StripeClient", kind: JobKind, claimed: Row) -> AttemptOutcome:
    # After the claim, in a statement of its own: the claim's snapshot may be older than what was booked before it.
    facts = database.one(kind.read, claimed)
    if facts is None:
        raise RuntimeError(f"{kind.name} {claimed['id']} is gone")
    job = {**claimed, **facts}
    try:
        ended = kind.attempt(database, client, job)
    except OutcomeUnknown as unknown:
        values = {**job, "error": unknown.reason, "after": wait_after(job["attempts"])}
        return "waiting" if database.execute(_NOT_KNOWN, values) else "lost_lease"
    except LostLease:
        return "lost_lease"
    if not isinstance(ended, NotYet):
        return ended
    if not ended.uncounted and job["attempts"] >= len(BACK_OFF):
        reason = ended.error or f"waited for {ended.waits_for}"
        return database.transaction(lambda connection: kind.give_up(connection, job, reason))
    return database.transaction(lambda connection: reschedule(connection, job, ended))


def until_there_is_money(refused: StripeRefused) -> NotYet:
    """Wait for our balance, which is the platform's to fill: so it costs no attempt, and is never given up.

    Operators are told (the alert `money_waits_for_balance`), and nobody else.
    """
    return NotYet("balance", refused.reason, uncounted=True, after=BALANCE_WAIT)


def after_the_last(job: Row) -> NotYet | None:
    """Why a job that had its last attempt is not sent again; None if it may be. Attempts ask before they send.

    Args:
        job: as it was claimed.
    """
    return NotYet("retry", job["last_error"] or "no attempt succeeded") if job["attempts"] > len(BACK_OFF) else None


def intend(database: Database, job: Row, cents: int | None) -> Row:
    """Store what Stripe is about to be asked for, and give the `idempotency_key` and `asked_cents` to ask with.

    Args:
        job: as it was claimed.
        cents: what is left to send; an earlier call that may still have acted is repeated with its own amount. None for
            evidence, which moves nothing.

    Raises:
        LostLease: another attempt holds the job, or somebody has just held the payout.
    """
    return database.transaction(lambda connection: intend_within(connection, job, cents))


def intend_within(connection: psycopg.Connection[Row], job: Row, cents: int | None) -> Row:
    """The same in a transaction that found out how many cents those are."""
    stored = connection.execute(_INTEND, {**job, "cents": cents}).fetchone()
    if stored is None:
        raise LostLease
    return stored


def reschedule(connection: psycopg.Connection[Row], job: Row, not_yet: NotYet) -> AttemptOutcome:
    """Have a job attempted again later, unless another attempt holds it by now.

    Args:
        connection: in a transaction.
        job: as it was claimed.
        not_yet: why, and when.
    """
    after = not_yet.after or (PARK if not_yet.uncounted else wait_after(job["attempts"]))
    values = {
        **job,
        "waits_for": not_yet.waits_for,
        "error": not_yet.error,
        "uncounted": not_yet.uncounted,
        "after": after,
    }
    return "waiting" if connection.execute(_NOT_YET, values).rowcount else "lost_lease"


def give_up(connection: psycopg.Connection[Row], job: Row, reason: str) -> AttemptOutcome:
    """Mark a job as failed, unless another attempt holds it by now; an operator may have it tried again.

    Args:
        connection: in a transaction.
        job: as it was claimed.
        reason: what to store as its last error.
    """
    return "failed" if connection.execute(_FAILED, {**job, "error": reason}).rowcount else "lost_lease"


def hold(connection: psycopg.Connection[Row], intake_id: UUID) -> None:
    """Keep back what is due of a disputed payment: its refund, and its payouts except for what a quote earned."""
    connection.execute(_HOLD, {"intake_id": intake_id, "park": PARK})


def release(connection: psycopg.Connection[Row], intake_id: UUID) -> None:
    """Have sent what was held, as no dispute of its payment is open any more."""
    connection.execute(_RELEASE, {"intake_id": intake_id})


def wait_after(attempts: int) -> timedelta:
    """How long to wait after the nth attempt."""
    return BACK_OFF[min(attempts, len(BACK_OFF)) - 1]


def unsent(database: Database) -> Unsent:
    """Count the jobs that are not done, for the alarms."""
    row = database.one(_UNSENT, ())
    return Unsent(**row) if row is not None else Unsent()
