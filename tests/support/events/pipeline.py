"""The running account and its faults: the bus, its processes, its queues, and their delays."""

import math
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import httpx

from autodoctor.db import Row
from localcloud.database.postgres import PostgresServer
from localcloud.messaging.bus_faults import BusFaults
from localcloud.messaging.message_file import FILE
from localcloud.messaging.redrive import local_account
from support.account import Account, running_account
from support.account_settings import AccountSettings
from support.cloud.dev_process import descendants, eventually
from support.world import World

PATIENCE_SECONDS = 90.0
STALLED_SECONDS = 2.0
PAUSED_SECONDS = 11
"""Longer than a publisher leaves everything to the relay after a failure, and than an event is left to its call."""


_PUBLISHERS = ("intake", "accept", "presence", "end_session", "waiver")
_NOTICED_SECONDS = 0.1
NOTIFIED: LiteralString = """
SELECT s.id, (SELECT count(*) FROM notifications n WHERE n.session_id = s.id) AS told,
       (SELECT count(*) FROM session_events e
         WHERE e.session_id = s.id
           AND (e.from_status IS NULL OR e.to_status IN ('waiting', 'completed', 'cancelled', 'expired'))) AS due
  FROM sessions s
"""


def workers(root: int, function: str) -> list[int]:
    """The processes below `root` that run a function, named by its folder."""
    found = []
    for pid in _family(root):
        with suppress(OSError):
            if (Path("/proc") / str(pid) / "cwd").readlink().name == function:
                found.append(pid)
    return found


def _family(root: int) -> set[int]:
    """Every process below `root`; one that ends while we look makes us look again."""
    while True:
        with suppress(FileNotFoundError, ProcessLookupError):
            return descendants(root)


def kill_workers(root: int, function: str) -> int:
    """SIGKILL every process below `root` that runs a function; return how many."""
    killed = 0
    for pid in workers(root, function):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def waiting_messages(data_dir: Path) -> dict[str, int]:
    """The number of messages in each queue, and of events that wait for their delivery (`bus`)."""
    with closing(sqlite3.connect(data_dir / FILE, timeout=10)) as file:
        held = dict(file.execute("SELECT queue, count(*) FROM message GROUP BY queue").fetchall())
        (deliveries,) = file.execute("SELECT count(*) FROM delivery").fetchone()
    return {**held, **({"bus": deliveries} if deliveries else {})}


def let_queues_wait(data_dir: Path, tries: int = 0) -> None:
    """Let as much time pass as a message that was not handled waits for its next delivery, or for so many more."""
    with closing(sqlite3.connect(data_dir / FILE, timeout=10)) as file:
        file.execute(
            "UPDATE message SET visible_at = ?, receive_count = receive_count + ? WHERE visible_at > ?",
            (time.time(), tries, time.time()),
        )
        file.execute("UPDATE delivery SET due_at = ? WHERE due_at > ?", (time.time(), time.time()))
        file.commit()


@dataclass
class Backlog:
    """The work that a system has left, and a way to hurry it: once nothing moves any more, time passes.

    `relay` publishes what is left; None where a schedule does.
    """

    world: World
    data_dir: Path
    api_url: str
    relay: Callable[[], object] | None = None

    def left(self) -> dict[str, int]:
        """The work that is left, by place; empty when all is done."""
        tables = {
            "outbox": self.world.one("SELECT count(*) FROM outbox"),
            "mails": self.world.one("SELECT count(*) FROM mail_deliveries WHERE state IN ('claimed', 'failed')"),
            "feed": self.world.one("SELECT count(*) FROM feed WHERE sent_at IS NULL"),
        }
        return {**waiting_messages(self.data_dir), **{name: count for name, count in tables.items() if count}}

    def work_off(self, *, dead_letters: bool = True) -> None:
        """Wait until nothing is left, dead letters included, which are sent again where asked."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        before: dict[str, int] = {}
        since = time.monotonic()
        while left := self.left():
            assert time.monotonic() < deadline, f"still waiting: {left}"
            if left != before:
                before, since = left, time.monotonic()
            elif time.monotonic() - since > STALLED_SECONDS:
                since = time.monotonic()
                self.world.let_time_pass(PAUSED_SECONDS)
                # whoever claimed a mail and died has done so long ago
                self.world.owner.execute(
                    "UPDATE mail_deliveries SET claimed_at = claimed_at - interval '1 minute' WHERE state = 'claimed'"
                )
                if self.relay and "outbox" in left:
                    self.relay()
                if dead_letters:
                    self.redrive()
                let_queues_wait(self.data_dir)
            time.sleep(0.05)

    def redrive(self) -> int:
        """Do as `autodoctor redrive` does for each dead-letter queue; return how many messages there were."""
        account = local_account(self.api_url)
        return sum(account.redrive(queue).sent for queue in account.dead_letter_queues() if queue.depth)


@dataclass(frozen=True)
class Pipeline:
    """A running account and its faults."""

    account: Account
    data_dir: Path

    @property
    def faults(self) -> BusFaults:
        """The faults of the bus."""
        return self.account.cloud.bus_faults

    @property
    def world(self) -> World:
        """The database behind it."""
        return self.account.world

    @property
    def backlog(self) -> Backlog:
        """The work that it has left."""
        return Backlog(self.world, self.data_dir, self.account.cloud.api_url, self.relay)

    def relay(self) -> dict[str, Any]:
        """One run of the schedule that publishes what is left, when calls have given up on it; its answer."""
        self.world.let_time_pass(PAUSED_SECONDS)
        result = self.account.cloud.invoke("RelayFunction", {})
        assert result.error is None, result
        assert isinstance(result.payload, dict)
        return result.payload

    def forgive(self) -> None:
        """Let the processes of calls that met a broken bus be gone, so that the next ones publish at once."""
        for function in _PUBLISHERS:
            self.kill(function)
        # Their end has to be noticed, or the next call is given to one that is dead and gets a 500.
        root = os.getpid()
        assert eventually(lambda: not any(workers(root, each) for each in _PUBLISHERS), within=10)
        time.sleep(_NOTICED_SECONDS)

    def kill(self, function: str) -> int:
        """SIGKILL the processes of a function, named by its folder."""
        return kill_workers(os.getpid(), function)

    def outbox(self, session_id: str | UUID) -> int:
        """The number of a session's unpublished events."""
        count: int = self.world.one("SELECT count(*) FROM outbox WHERE subject_id = %s", session_id)
        return count

    def reaches_the_bus(self, session_id: str | UUID) -> bool:
        """Whether the bus gets all events of a session: by its call, or by the relay where that had too little time.

        A call gives the bus 0.3 s, which on a machine that does other things too may be over before it is asked.
        """

        def taken() -> bool:
            if left := self.outbox(session_id):
                self.account.cloud.invoke("RelayFunction", {})
            return not left

        return eventually(taken, within=PATIENCE_SECONDS)

    def notified(self, user_id: UUID) -> list[str]:
        """The kinds of what a user was told in the application, in the order it happened."""
        rows = self.world.owner.execute(
            "SELECT kind FROM notifications WHERE user_id = %s ORDER BY created_at, id", [user_id]
        )
        return [row["kind"] for row in rows]

    def mails(self) -> list[dict[str, Any]]:
        """Every mail that SES took."""
        return sent_mails(self.account.http)

    def repair(self) -> None:
        """Take every fault away."""
        self.faults.mode = "works"
        self.faults.refuse_entry = lambda _entry: False
        self.faults.copies, self.faults.spread_seconds = 1, 0.0
        self.faults.undeliverable = frozenset()


def sent_mails(http: httpx.Client) -> list[dict[str, Any]]:
    """Every mail that SES took, oldest first."""
    mails: list[dict[str, Any]] = http.get("/_dev/mail.json").json()["mails"]
    return mails[::-1]


@contextmanager
def running_pipeline(server: PostgresServer, template: str, name: str, data_dir: Path) -> Iterator[Pipeline]:
    """Run the account on a database of its own, which is named; tests see to it themselves that time passes."""
    with (
        server.temporary_database(name, template) as database,
        running_account(
            database, data_dir, AccountSettings(longest_redelivery_seconds=math.inf, relayed=False)
        ) as account,
    ):
        pipeline = Pipeline(account, data_dir)
        yield pipeline
        pipeline.repair()


def untold(world: World) -> list[str]:
    """Transitions whose effects are missing or not single: a sentence each, as of a system that has nothing to do."""
    wrong = [
        _sentence("transitions to be told of, and notifications, of", row)
        for row in world.owner.execute(NOTIFIED)
        if row["due"] != row["told"]
    ]
    wrong += [
        _sentence("notified without a word on its mail", row)
        for row in world.owner.execute("""
            SELECT n.session_id, n.kind FROM notifications n
              LEFT JOIN mail_deliveries d USING (event_id, user_id)
             WHERE d.state IS NULL OR d.state IN ('claimed', 'failed')
        """)
    ]
    wrong += [
        _sentence("the feed's last word is not", row)
        for row in world.owner.execute("""
            SELECT s.id, s.status, (SELECT f.status FROM feed f
                      WHERE f.session_id = s.id AND f.type = 'session_updated'
                      ORDER BY f.session_seq DESC, f.seq DESC LIMIT 1) AS told
              FROM sessions s
        """)
        if row["status"] != row["told"]
    ]
    return wrong


def _sentence(what: str, row: Mapping[str, Any] | Row) -> str:
    return f"{what} {', '.join(map(str, row.values()))}"
