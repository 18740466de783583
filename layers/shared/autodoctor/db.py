"""One PostgreSQL connection per execution environment, without pool, ping or session state.

The rules: SPEC.md#connections.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, LiteralString

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from autodoctor.aws.secrets import check_database, database_url
from autodoctor.limits import USED_UP, too_many_requests

type Row = dict[str, Any]
type Parameters = Mapping[str, object] | Sequence[object]

CONNECT_TIMEOUT_SECONDS = 3
# A host that vanished in a failover sends no reset: without this the call would wait for the Lambda's time-out.
UNANSWERED_MILLISECONDS = 3000


class Refused(Exception):
    """A rule of the schema said no.

    Attributes:
        code: its SQLSTATE, of our own class AD (SPEC.md#invariants lists them).
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"refused by the schema: {code}")
        self.code = code


class Database:
    """A connection that is opened at first use and opened again after it was lost.

    Every operation of ours is idempotent or recognises its own work, so a statement or transaction
    whose connection died is simply run once more on a new one.

    A rule of the schema that says no is raised as Refused, a user's limit (autodoctor.limits) as TooManyRequests.

    Args:
        url: called for every new connection, so that a rotated password is followed.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self._connection: psycopg.Connection[Row] | None = None

    def one(self, query: LiteralString, parameters: Parameters) -> Row | None:
        """Run one statement in a transaction of its own and return its first row, if it has one."""
        return self._run(lambda connection: connection.execute(query, parameters).fetchone())

    def only(self, query: LiteralString, parameters: Parameters) -> Row:
        """Run one statement that always has a row in a transaction of its own, and return that.

        Raises:
            RuntimeError: it gave none.
        """
        row = self.one(query, parameters)
        if row is None:
            raise RuntimeError("a statement of one row gave none")
        return row

    def all(self, query: LiteralString, parameters: Parameters) -> list[Row]:
        """Run one statement in a transaction of its own and return its rows."""
        return self._run(lambda connection: connection.execute(query, parameters).fetchall())

    def execute(self, query: LiteralString, parameters: Parameters) -> int:
        """Run one statement in a transaction of its own and return how many rows it changed."""
        return self._run(lambda connection: connection.execute(query, parameters).rowcount)

    def transaction[T](self, work: Callable[[psycopg.Connection[Row]], T]) -> T:
        """Run `work` in one transaction: committed when it returns, rolled back when it raises.

        `work` may run twice, on two connections, when the first one is lost.
        """

        def in_transaction(connection: psycopg.Connection[Row]) -> T:
            with connection.transaction():
                return work(connection)

        return self._run(in_transaction)

    def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run[T](self, work: Callable[[psycopg.Connection[Row]], T]) -> T:
        connection = self._usable()
        try:
            try:
                return work(connection)
            except psycopg.Error:
                # Ending a connection that idled in a transaction is an InternalError, not an OperationalError.
                if not connection.broken:
                    raise  # the server answered: a refusal, a time-out or a full disk, not a dead socket
            self.close()
            return work(self._usable())
        except psycopg.DatabaseError as failure:
            if failure.sqlstate == USED_UP:
                raise too_many_requests(failure) from failure
            if failure.sqlstate is not None and failure.sqlstate.startswith("AD"):
                raise Refused(failure.sqlstate) from failure
            raise

    def _usable(self) -> psycopg.Connection[Row]:
        """The connection, without asking the server whether it is alive."""
        if self._connection is not None and (
            self._connection.closed or self._connection.info.transaction_status is not TransactionStatus.IDLE
        ):
            self.close()
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url(),
                autocommit=True,
                prepare_threshold=None,  # a named statement would pin the connection of RDS Proxy
                row_factory=dict_row,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                tcp_user_timeout=UNANSWERED_MILLISECONDS,
                application_name="autodoctor",
            )
        return self._connection


@cache
def database() -> Database:
    """The database of this execution environment; handlers take it when they are imported.

    Raises:
        SettingMissing: the deployment does not say where the database is.
    """
    check_database()
    return Database(database_url)
