"""Runs every interleaving of two use cases, each on a connection of its own, one step at a time.

A step is a statement or the end of a transaction. Each use case runs in a thread that stops before each
of its steps until the stepper lets it go, so that exactly one of the two moves at a time. If a step has to
wait for a lock of the other side, pg_blocking_pids() says so, and the other side goes on. Schedules are walked
depth first: after each run, the last decision that had an alternative is reversed.

Two things shorten the walk without leaving out an outcome. BEGIN takes neither lock nor snapshot (READ
COMMITTED), so it goes with the first statement unless asked for. And a side that NOWAIT refused tries again
only after the other side has ended a transaction: before that it would be refused the same way.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString, Self

import psycopg
from psycopg.rows import dict_row

from autodoctor.db import Database, Parameters, Row
from localcloud.database.postgres import APP_ROLE
from localcloud.database.postgres import Database as ScratchDatabase

HANG_SECONDS = 20.0
POLL_SECONDS = 0.004


class Stuck(Exception):
    """Neither side can move: they wait for each other, or one does not come back."""


class Unrepeatable(Exception):
    """The same decisions led elsewhere than the last time."""


class _Abandoned(BaseException):
    """Unwinds a side whose schedule was given up."""


@dataclass(frozen=True)
class Operation:
    """One use case as a side of a conflict.

    `watch` is what a statement must contain to be a step; the other statements of the use case go along with
    the step before or after them.
    """

    call: Callable[[Database], object]
    watch: str = ""


@dataclass(frozen=True)
class Decision:
    """The sides that could have moved, and the one that did."""

    enabled: tuple[int, ...]
    chosen: int


@dataclass
class Run:
    """One interleaving and what came of it: per side its value or its error."""

    decisions: list[Decision] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    outcomes: list[object] = field(default_factory=list)

    @property
    def is_serial(self) -> bool:
        """Whether one side had ended before the other began."""
        moves = [decision.chosen for decision in self.decisions]
        return moves in (sorted(moves), sorted(moves, reverse=True))

    def __str__(self) -> str:
        return "\n".join([*self.steps, *(f"=> {outcome!r}" for outcome in self.outcomes)])


class _Side:
    """A thread that stops at each step, and what the stepper knows of it."""

    def __init__(self, name: str, *, begin_is_a_step: bool) -> None:
        self.name = name
        self.begin_is_a_step = begin_is_a_step
        self.watch = ""
        self.label = ""
        self.refused = False
        self.done = True
        self.arrived = threading.Event()
        self.outcome: object = None
        self._go = threading.Semaphore(0)
        self._abandoned = False

    def start(self, operation: Operation, database: Database) -> None:
        self.watch, self.refused, self.done, self.outcome = operation.watch, False, False, None
        self.arrived.clear()
        threading.Thread(target=self._work, args=(operation, database), daemon=True).start()

    def _work(self, operation: Operation, database: Database) -> None:
        try:
            self.outcome = operation.call(database)
        except _Abandoned:
            self.outcome = "abandoned"
        except Exception as error:  # noqa: BLE001 (whatever it is, the test judges it)
            self.outcome = error
        self.label = "done"
        self.done = True
        self.arrived.set()

    def pause(self, label: str) -> None:
        self.label = label
        self.arrived.set()
        self._go.acquire()
        if self._abandoned:
            raise _Abandoned

    def advance(self) -> None:
        self.arrived.clear()
        self._go.release()

    def abandon(self) -> None:
        self._abandoned = True
        self._go.release()

    @property
    def ready(self) -> bool:
        return self.arrived.is_set() and not self.done


class SteppedConnection(psycopg.Connection[Row]):
    """A connection that stops before each statement and before the end of each transaction."""

    side: _Side
    _steps = 0

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[Row]:  # noqa: ANN401
        text = " ".join(str(query).split())
        if self.side.watch in text:
            self._steps += 1
            self.side.pause(text[:60])
        try:
            return super().execute(query, params, **options)
        except psycopg.errors.LockNotAvailable:
            self.side.refused = True
            raise

    @contextmanager
    def transaction(
        self,
        savepoint_name: str | None = None,
        force_rollback: bool = False,  # noqa: FBT001, FBT002 (psycopg's signature)
    ) -> Iterator[psycopg.Transaction]:
        self._steps = 0
        if self.side.begin_is_a_step and not self.side.watch:
            self.side.pause("BEGIN")
        with super().transaction(savepoint_name, force_rollback) as transaction:
            try:
                yield transaction
            except Exception:
                # A failed first statement holds nothing that another could be waiting for.
                if self._steps > 1 and not self.side.refused:
                    self.side.pause("ROLLBACK")
                raise
            if self._steps:
                self.side.pause("COMMIT")


class SteppedDatabase(Database):
    """The database given to a use case: every statement runs in a transaction whose end is a step, too."""

    def __init__(self, connection: SteppedConnection) -> None:
        super().__init__(lambda: "")
        self._stepped = connection

    def one(self, query: LiteralString, parameters: Parameters) -> Row | None:
        return self.transaction(lambda connection: connection.execute(query, parameters).fetchone())

    def all(self, query: LiteralString, parameters: Parameters) -> list[Row]:
        return self.transaction(lambda connection: connection.execute(query, parameters).fetchall())

    def _usable(self) -> psycopg.Connection[Row]:
        return self._stepped


class Stepper:
    """Two connections of the application role to one database, and a third that watches them."""

    def __init__(self, database: ScratchDatabase, *, begin_is_a_step: bool = False) -> None:
        self._monitor = psycopg.connect(database.superuser_url, autocommit=True)
        # A side may wait at a step for longer than any request would.
        for setting in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            self._monitor.execute(f"ALTER ROLE {APP_ROLE} IN DATABASE {database.name} SET {setting} = '60s'")
        self._sides = [_Side(name, begin_is_a_step=begin_is_a_step) for name in ("left", "right")]
        self._connections = [
            SteppedConnection.connect(
                database.app_url,
                autocommit=True,
                prepare_threshold=None,
                row_factory=dict_row,
                application_name="autodoctor",
            )
            for _ in self._sides
        ]
        for side, connection in zip(self._sides, self._connections, strict=True):
            connection.side = side

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what is still running and close the connections."""
        for side, connection in zip(self._sides, self._connections, strict=True):
            if not side.done:
                side.abandon()
                self._monitor.execute("SELECT pg_cancel_backend(%s)", (connection.info.backend_pid,))
                side.arrived.wait(HANG_SECONDS)
            connection.close()
        self._monitor.close()

    def every_interleaving(self, prepare: Callable[[], Sequence[Operation]]) -> Iterator[Run]:
        """Run every schedule of two operations; `prepare` makes a fresh conflict of the same kind each time.

        Raises Stuck where the two sides wait for each other, Unrepeatable where a schedule depends on more
        than its decisions.
        """
        prefix: list[int] = []
        while True:
            run = self.run(prepare(), prefix)
            yield run
            decisions = list(run.decisions)
            while decisions and decisions[-1].chosen == decisions[-1].enabled[-1]:
                decisions.pop()
            if not decisions:
                return
            prefix = [decision.chosen for decision in decisions[:-1]] + [decisions[-1].enabled[-1]]

    def run(self, operations: Sequence[Operation], prefix: Sequence[int]) -> Run:
        """Run one schedule: the decisions of `prefix`, then the left side first wherever it can move."""
        run = Run()
        for side, connection, operation in zip(self._sides, self._connections, operations, strict=True):
            side.start(operation, SteppedDatabase(connection))
            self._settle([side], run)
        while enabled := self._enabled():
            depth = len(run.decisions)
            chosen = prefix[depth] if depth < len(prefix) else enabled[0]
            if chosen not in enabled:
                raise Unrepeatable(f"{prefix}:\n{run}")
            run.decisions.append(Decision(enabled, chosen))
            self._step(chosen, run)
        if not all(side.done for side in self._sides):
            raise Stuck(f"a deadlock after:\n{run}")
        run.outcomes = [side.outcome for side in self._sides]
        return run

    def _enabled(self) -> tuple[int, ...]:
        return tuple(
            number
            for number, side in enumerate(self._sides)
            if side.ready and not (side.refused and not self._sides[1 - number].done)
        )

    def _step(self, chosen: int, run: Run) -> None:
        side, other = self._sides[chosen], self._sides[1 - chosen]
        run.steps.append(f"{side.name:5} {side.label}")
        if side.label in {"COMMIT", "ROLLBACK"}:
            other.refused = False
        side.refused = False
        side.advance()
        self._settle([side, other], run)  # in this order: what this one gives free lets the other go on

    def _settle(self, sides: Sequence[_Side], run: Run) -> None:
        """Wait until each has come to its next step, is done, or waits for a lock of the other side."""
        deadline = time.monotonic() + HANG_SECONDS
        for side in sides:
            while not side.arrived.wait(POLL_SECONDS):
                if self._waits_for_the_other(self._sides.index(side)):
                    run.steps.append(f"{side.name:5} waits for a lock")
                    break
                if time.monotonic() > deadline:
                    raise Stuck(f"{side.name} does not come back after:\n{run}")

    def _waits_for_the_other(self, number: int) -> bool:
        pids = [connection.info.backend_pid for connection in self._connections]
        row = self._monitor.execute(
            "SELECT %s = ANY (pg_blocking_pids(%s))", (pids[1 - number], pids[number])
        ).fetchone()
        return row is not None and row[0] is True
