"""The background of a run: relay, schedules, the passing of time, and faults at Stripe that come and go."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.db import Row
from autodoctor.events.model import detail, event_of
from autodoctor.events.outbox import claim, mark
from support.chaos.chaos_env import ChaosEnv
from support.chaos.contests import decide_all
from support.chaos.pool import FunctionFailed
from support.events.sqs_records import sqs_record

DAY_SECONDS: Final = 24 * 3600
MOST_MINUTES: Final = 180
PATIENCE_SECONDS: Final = 90.0
LOST: Final = 0.1
RESTRICTED: Final = 0.3
SENDERS: Final = 6
NEVER_TOLD: Final = 0.1
TIMED_OUT: Final = ("LockNotAvailable 55P03", "QueryCanceled 57014")
_ENDS: Final = frozenset({"session.ended", "session.expired"})
_FIRST: Final = UUID(int=0)
_RELEASE: Final[LiteralString] = """
UPDATE payout_holds SET released_at = clock_timestamp()
 WHERE released_at IS NULL AND reason <> 'contest' RETURNING payout_id
"""
_LEFT: Final[LiteralString] = """
SELECT what, state, count(*) FROM (
  SELECT 'payout' AS what, state FROM payouts WHERE state NOT IN ('sent', 'reversed', 'cancelled')
  UNION ALL SELECT 'refund', state FROM refunds WHERE state NOT IN ('sent', 'returned')
  UNION ALL SELECT 'reversal', state FROM payout_reversals WHERE state NOT IN ('done', 'cancelled')
  UNION ALL SELECT 'evidence', state FROM dispute_evidence WHERE state IN ('due', 'sending', 'failed')
  UNION ALL SELECT 'contest', reason FROM contests WHERE outcome IS NULL
  UNION ALL SELECT 'checkout', status FROM checkouts WHERE status IN ('open', 'processing')
  UNION ALL SELECT 'fee', status FROM checkouts WHERE status IN ('paid', 'unfulfillable') AND fee_booked_at IS NULL
  UNION ALL SELECT 'fee', status FROM stripe_disputes WHERE fees_due_at IS NOT NULL
  UNION ALL SELECT 'loss', booked FROM losses WHERE behind
  UNION ALL SELECT 'session', status FROM sessions WHERE ended_at IS NULL
  UNION ALL SELECT 'settlement', 'due' FROM settlements_due
) AS open GROUP BY what, state ORDER BY what, state
"""


@contextmanager
def at_work(env: ChaosEnv) -> Iterator[None]:
    """Do all of it in the background for the length of a `with` block; what fails is the world's trouble."""
    over = threading.Event()

    def every(seconds: float, work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                while not over.wait(seconds):
                    work()
            except BaseException as failure:  # noqa: BLE001 (reported by whoever waits for us)
                env.trouble.append(failure)

        return threading.Thread(target=run, daemon=True)

    relay = Relay(env)
    threads = [
        every(0.05, env.watch),
        every(0.1, relay.run),
        every(1.0, env.let_time_pass),
        every(1.0, FaultSchedule(env).change),
        every(1.0, lambda: run(env, "settle")),
        every(0.5, lambda: look_up(env)),
        every(1.0, lambda: run(env, "expire_orphans")),
        *(every(0.3, lambda: run(env, "payouts")) for _ in range(SENDERS)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def run(env: ChaosEnv, name: str) -> None:
    """Run a schedule; on a machine with too much to do PostgreSQL's time-outs end it, and the next run goes on."""
    try:
        env.pool.invoke(name, {})
    except FunctionFailed as failed:
        if not any(code in str(failed) for code in TIMED_OUT):
            raise
        env.pool.answers[f"{name}: timed out in the database"] += 1


def look_up(env: ChaosEnv, die_before: int | None = None) -> None:
    """Sweep checkouts; that Stripe did not answer about some of them is what the function says by failing."""
    try:
        env.pool.invoke("checkout", {}, die_before)
    except FunctionFailed as failed:
        if "could not be looked up" not in str(failed):
            raise
        env.pool.answers["sweep of checkouts: Stripe failed"] += 1


def told_ends(env: ChaosEnv) -> list[dict[str, Any]]:
    """The unpublished ends of sessions, as records of the queue behind the bus's rule."""

    def take(connection: psycopg.Connection[Row]) -> list[Row]:
        rows = claim(connection, _FIRST, 100, 20, 0)
        mark(connection, rows)
        return rows

    made = [event_of(row) for row in env.world.app.transaction(take)]
    return [
        sqs_record({"detail-type": each.type, "detail": json.loads(detail(each))}, str(each.event_id))
        for each in made
        if each.type in _ENDS
    ]


class Relay:
    """The bus: hands the ends of sessions to the settlement, some never, some twice, in any order."""

    def __init__(self, env: ChaosEnv) -> None:
        self._world = env
        self._chance = env.chance("relay")
        self._bag: list[dict[str, Any]] = []

    def run(self) -> None:
        """One round."""
        for record in told_ends(self._world):
            if self._chance.random() >= NEVER_TOLD:
                self._bag += [record] * self._chance.choice((1, 1, 2))
        self._chance.shuffle(self._bag)
        while len(self._bag) > 10 or (self._bag and self._chance.random() < 0.5):
            batch, self._bag = self._bag[:10], self._bag[10:]
            answer = self._world.pool.invoke("settle", {"Records": batch})
            if answer is None or answer["batchItemFailures"]:
                self._bag += batch  # a queue gives what was not done again


class FaultSchedule:
    """Stripe's own actions: mechanics are restricted and released again, and now and then webhooks are lost.

    Lost are only those for which there is a sweep.
    """

    def __init__(self, env: ChaosEnv) -> None:
        self._world = env
        self._chance = env.chance("fault schedule")

    def change(self) -> None:
        """Change the standing of an account, and what is lost for the next moment."""
        lost = ["checkout.session.*", "account.*"] if self._chance.random() < LOST else []
        self._world.stripe.ask("disturb", copies=2, spread_seconds=1.0, drop=lost)
        if self._chance.random() < RESTRICTED:
            account = self._chance.choice(self._world.accounts)
            self._world.stripe.ask(self._chance.choice(("onboard", "onboard", "restrict")), account=account)


def come_to_rest(env: ChaosEnv) -> None:
    """Let nothing fail any more, and everything that is due be done.

    Raises TimeoutError where what is left does not become less any more.
    """
    env.pool.kill_every(0)
    env.stripe.ask("clear_faults")
    for account in env.accounts:
        env.stripe.ask("onboard", account=account)
    chance = env.chance("courts")
    for dispute in env.stripe.objects("dispute"):
        if dispute["status"] == "needs_response":
            env.stripe.ask("close_dispute", dispute=dispute["id"], won=chance.random() < 0.5)
    env.let_days_pass(4 * DAY_SECONDS)
    relay = Relay(env)
    fewest, moved = 1_000_000_000, time.monotonic()
    while time.monotonic() - moved < PATIENCE_SECONDS:
        env.stripe.ask("quiet", within_seconds=100)
        env.let_time_pass()
        env.let_leases_end()
        env.try_again()
        for session in env.by_hand("SELECT id, status FROM sessions WHERE ended_at IS NULL"):
            if session["status"] == "live":
                env.let_talk_last(session["id"], MOST_MINUTES * 60)  # both fell asleep
            else:
                env.outlive(session["id"])  # nobody comes any more
        for name in ("expire_orphans", "settle", "checkout"):
            env.pool.invoke(name, {})
        relay.run()
        decide_all(env, chance)
        env.by_hand(_RELEASE)  # an admin looks at what is held, and agrees
        with ThreadPoolExecutor(SENDERS) as senders:
            list(senders.map(lambda _: env.pool.invoke("payouts", {}), range(SENDERS)))
        left = _left(env)
        if not left and env.stripe.ask("pending_webhooks") == 0:
            return
        if (number := sum(row["count"] for row in left)) < fewest:
            fewest, moved = number, time.monotonic()
        time.sleep(0.1)
    raise TimeoutError(f"never at rest: {left}")


def _left(env: ChaosEnv) -> list[Row]:
    """The work that is left, by kind and state."""
    return env.by_hand(_LEFT)
