"""The environment of chaos: database, stand-in and functions, and their clocks, which the test moves."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.errors import DeadlockDetected
from psycopg.rows import dict_row

from autodoctor.db import Row
from localcloud.database.postgres import Database
from support.chaos.pool import Pool, running_functions
from support.chaos.stand_in import RemoteStripe, running_stand_in
from support.world import Mechanic, World

PROCESSES: Final = 10
MIN_BILLABLE_SECONDS: Final = 1

_SETTINGS: Final[tuple[LiteralString, ...]] = (
    """
INSERT INTO settings (key, value) VALUES ('min_billable_seconds', '1')
ON CONFLICT (key) DO UPDATE SET value = excluded.value
""",
    # nobody holds sockets while processes are killed: what the parties say counts, and settlement waits for nothing
    """
INSERT INTO settings (key, value)
VALUES ('evidence', 'claimed'), ('evidence_grace_seconds', '0'), ('payout_hold_hours', '0')
ON CONFLICT (key) DO UPDATE SET value = excluded.value
""",
    "UPDATE plans SET mechanic_fixed_pay_cents = 250 WHERE code = 'free'",
    "UPDATE limits SET most = 1000000",  # a handful of people do in minutes what others do in years
    "INSERT INTO settings (key, value) VALUES ('withdrawn_payments_per_day', '1000000')",
)
# A lease of 300 s with less than 275 left was taken more than 25 s ago: by a process that was killed, or is about to
# give up, whom being overtaken must not harm either. What is locked now is left alone: it moves by itself.
_SOON: Final[LiteralString] = """
UPDATE stripe_jobs SET next_attempt_at = clock_timestamp() WHERE id IN (
  SELECT id FROM stripe_jobs
   WHERE next_attempt_at > clock_timestamp()
     AND (state IN ('due', 'held') OR state = 'sending' AND next_attempt_at < clock_timestamp() + interval '275 s')
     FOR NO KEY UPDATE SKIP LOCKED)
"""
_TIME_PASSES: Final[tuple[LiteralString, ...]] = (
    _SOON,
    """
UPDATE checkouts SET checked_at = checked_at - interval '2 minutes' WHERE id IN (
  SELECT id FROM checkouts WHERE status IN ('open', 'processing') FOR NO KEY UPDATE SKIP LOCKED)
""",
    """
UPDATE checkouts SET fee_due_at = NULL WHERE id IN (
  SELECT id FROM checkouts WHERE fee_booked_at IS NULL AND fee_due_at IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED)
""",
    """
UPDATE stripe_disputes SET fees_due_at = created_at WHERE id IN (
  SELECT id FROM stripe_disputes WHERE fees_due_at IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED)
""",
    """
UPDATE settlements_due SET retry_at = retry_at - interval '10 minutes' WHERE session_id IN (
  SELECT session_id FROM settlements_due FOR UPDATE SKIP LOCKED)
""",
)
_THREE_HOURS_LATER: Final[LiteralString] = """
UPDATE sessions SET created_at = created_at - interval '3 hours', accepted_at = accepted_at - interval '3 hours',
                    released_at = released_at - interval '3 hours'
 WHERE id = %s
"""
_OF_SESSION: Final[LiteralString] = """
SELECT set_config('chaos.session', %s, true), set_config('chaos.seconds', %s, true)
"""
_LASTED: Final[LiteralString] = """
DO $$
DECLARE
  older record;
BEGIN
  FOR older IN
    SELECT c.table_name AS name, CASE c.table_name WHEN 'sessions' THEN 'id' ELSE 'session_id' END AS key,
           string_agg(format('%1$I = %1$I - make_interval(secs => current_setting(''chaos.seconds'')::integer)',
                             c.column_name), ', ') AS sets
      FROM information_schema.columns c JOIN information_schema.tables USING (table_schema, table_name)
     WHERE c.table_schema = 'public' AND table_type = 'BASE TABLE' AND c.data_type = 'timestamp with time zone'
       AND c.is_generated = 'NEVER'
       AND c.table_name IN ('sessions', 'session_assignments', 'session_assignment_events', 'session_events',
                            'session_extensions', 'session_messages', 'session_participants', 'session_presence')
     GROUP BY c.table_name ORDER BY c.table_name DESC
  LOOP
    EXECUTE format('UPDATE %I SET %s WHERE %I = current_setting(''chaos.session'')::uuid',
                   older.name, older.sets, older.key);
  END LOOP;
END
$$
"""
_NOBODY_IS_AT_WORK: Final[tuple[LiteralString, ...]] = (
    "UPDATE stripe_jobs SET next_attempt_at = clock_timestamp() WHERE state IN ('due', 'held', 'sending')",
)
_DAYS_PASS: Final[tuple[LiteralString, ...]] = (
    "UPDATE stripe_jobs SET keyed_at = keyed_at - make_interval(secs => %s)",
    "UPDATE mechanic_accounts SET keyed_at = keyed_at - make_interval(secs => %s)",
    """
UPDATE checkouts SET created_at = created_at - make_interval(secs => %s)
 WHERE status = 'open' AND stripe_session_id IS NULL  -- whose page was never made, and nobody asks any more
""",
)
_GIVEN_UP: Final[tuple[LiteralString, ...]] = (
    "SELECT count(*) FROM (SELECT retry_stripe_job(id) FROM stripe_jobs WHERE state = 'failed') AS again",
)
_SEEN: Final[LiteralString] = """
SELECT coalesce(c.intake_id, c.id) AS id, c.status, c.stripe_payment_intent_id AS intent, s.current_assignment_id
  FROM checkouts c LEFT JOIN sessions s ON s.id = c.intake_id
 WHERE c.status NOT IN ('open', 'processing') AND (c.id = ANY (%s) OR c.intake_id = ANY (%s))
"""


type Rewire = Callable[[dict[str, str]], dict[str, str]]


class Abandoned(Exception):
    """Something else has gone wrong, which the run reports."""


@dataclass
class ChaosEnv:
    """Everything there is.

    Attributes:
        seed: of all chance in it.
        trouble: what threads of the test ran into; they stop then.
    """

    world: World
    stripe: RemoteStripe
    pool: Pool
    seed: int
    hand: psycopg.Connection[Row]
    trouble: list[BaseException] = field(default_factory=list)
    mechanics: list[Mechanic] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    workshops: list[tuple[UUID, Mechanic]] = field(default_factory=list)
    _watched: dict[UUID, Row | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def chance(self, of: object) -> random.Random:
        """Chance for one part of the world, the same for the same seed."""
        return random.Random(f"{self.seed} {of}")

    def by_hand(self, statement: LiteralString, *values: object) -> list[Row]:
        """A statement of a superuser's, whom no trigger stops."""

        def executed() -> list[Row]:
            cursor = self.hand.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

        return self._in_the_end(executed)

    def let_time_pass(self) -> None:
        """Let back-offs, graces and the leases of the dead be over."""
        for statement in _TIME_PASSES:
            self.by_hand(statement)

    def let_leases_end(self) -> None:
        """The same for all leases, once no function runs."""
        for statement in _NOBODY_IS_AT_WORK:
            self.by_hand(statement)

    def let_days_pass(self, seconds: int) -> None:
        """Let so much time have passed here and at Stripe: keys lapse, pages are over, balances are there."""
        self.stripe.ask("advance", seconds=seconds)
        for statement in _DAYS_PASS:
            self.by_hand(statement, seconds)

    def try_again(self) -> int:
        """Give what was given up another chance, as an operator does; how much that was."""
        return sum(self.by_hand(statement)[0]["count"] for statement in _GIVEN_UP)

    def outlive(self, session_id: UUID) -> None:
        """Let a session have been there for hours, so that the next sweep lets it expire."""
        self.by_hand(_THREE_HOURS_LATER, session_id)

    def let_talk_last(self, session_id: UUID, seconds: int) -> None:
        """Make everything that is recorded of a session so much older, and nothing else."""

        def lasted() -> None:
            with self.hand.transaction():
                self.hand.execute(_OF_SESSION, (str(session_id), str(seconds)))
                self.hand.execute(_LASTED)

        self._in_the_end(lasted)

    def _in_the_end[Result](self, work: Callable[[], Result]) -> Result:
        """Do it again where it and a function wait for each other, and the database has this one give way."""
        with self._lock:
            while True:
                try:
                    return work()
                except DeadlockDetected:
                    continue

    def new_mechanic(self, die_before: int | None = None) -> Mechanic:
        """A mechanic who began onboarding, and did not finish it; the first call's process may die."""
        mechanic, route = self.world.mechanic(), "POST /api/mechanic/onboarding"
        status, _link = self.pool.call("connect", route, mechanic.user_id, "mechanics", die_before=die_before)
        assert status == 200
        (account,) = self.by_hand("SELECT * FROM mechanic_accounts WHERE mechanic_id = %s", mechanic.id)
        self.mechanics.append(mechanic)
        self.accounts.append(account["stripe_account_id"])
        (known,) = self.by_hand("SELECT referral_code FROM mechanics WHERE id = %s", mechanic.id)
        self.codes.append(known["referral_code"])
        return mechanic

    def workshop(self) -> tuple[UUID, Mechanic]:
        """The one workshop, and its mechanic."""
        if not self.workshops:
            workshop_id = self.world.workshop()
            self.workshops.append((workshop_id, self.world.mechanic(workshop_id)))
        return self.workshops[0]

    def quoted(self, session_id: UUID, mechanic: Mechanic, cents: int) -> str:
        """Have a mechanic's session escalated to the workshop, which names an amount; the quote's id."""
        workshop_id, foreman = self.workshop()
        _, asked = self.pool.call(
            "quotes",
            "POST /api/sessions/{sessionId}/escalate",
            mechanic.user_id,
            "mechanics",
            body={"workshopId": str(workshop_id)},
            path={"sessionId": str(session_id)},
        )
        status, given = self.pool.call(
            "quotes",
            "POST /api/quotes/{quoteId}/amount",
            foreman.user_id,
            "mechanics",
            body={"amountCents": cents},
            path={"quoteId": asked["quoteId"]},
        )
        assert status == 200, given
        return str(given["quoteId"])

    def approve(self, quote_id: str, customer: UUID, die_before: int | None = None) -> None:
        """Have the customer approve a quote."""
        status, approved = self.pool.call(
            "quotes",
            "POST /api/quotes/{quoteId}/approve",
            customer,
            "customers",
            path={"quoteId": quote_id},
            die_before=die_before,
        )
        assert (status, approved.get("status")) == (200, "approved"), approved

    def paid_for(self, subject: UUID, within_seconds: float = 900.0) -> Row:
        """Wait until a checkout (by its intake, or a pack's by its id) has come to its end, and return it.

        Raises TimeoutError.
        """
        with self._lock:
            self._watched[subject] = None
        give_up = time.monotonic() + within_seconds
        while (found := self._watched[subject]) is None:
            if self.trouble:
                raise Abandoned
            if time.monotonic() > give_up:
                raise TimeoutError(f"checkout of {subject}")
            time.sleep(0.05)
        with self._lock:
            del self._watched[subject]
        return found

    def watch(self) -> None:
        """Look what has become of the checkouts that somebody waits for."""
        with self._lock:
            waited = [subject for subject, found in self._watched.items() if found is None]
        if waited:
            for row in self.by_hand(_SEEN, waited, waited):
                self._watched[row["id"]] = row


@contextmanager
def running_chaos_env(
    database: Database, folder: Path, seed: int, processes: int = PROCESSES, *, rewire: Rewire = dict
) -> Iterator[ChaosEnv]:
    """Run all of it on a migrated database; logs and the stand-in's books are in the folder.

    `rewire` gives the functions another environment, such as one whose addresses are those of proxies.
    """
    with (
        closing(World(database)) as world,
        psycopg.connect(database.superuser_url, autocommit=True, row_factory=dict_row) as hand,
        running_stand_in(folder, "") as stripe,
    ):
        hand.execute("SET session_replication_role = replica")
        for statement in _SETTINGS:
            world.owner.execute(statement)
        environment = rewire({**stripe.ask("environment"), **_environment(database.app_url)})
        with running_functions(environment, processes, seed, folder / "functions.log") as pool:
            for endpoint in ("platform", "connect"):
                stripe.ask("configure_endpoint", endpoint=endpoint, url=f"{pool.url}/stripe/{endpoint}")
            stripe.ask("set_retries", first=0.1, longest=1.0, attempts=1000, answer_within=15.0)
            yield ChaosEnv(world, stripe, pool, seed, hand)


def _environment(app_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": app_url,
        "SESSION_BASE_URL": "https://sessions.example",
        "EVENT_BUS_NAME": "chaos",
        "WEBSOCKET_ENDPOINT": "http://127.0.0.1:1",  # nobody has a socket: it is never asked
        "POWERTOOLS_METRICS_NAMESPACE": "AutoDoctor",
        "POWERTOOLS_SERVICE_NAME": "chaos",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
        "AWS_REGION": "test",
        "AWS_DEFAULT_REGION": "test",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:1",  # nobody listens: events go by the relay of the test
        "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1",  # and what failed comes again by it too
    }
