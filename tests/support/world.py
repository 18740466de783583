"""People in a test's database, and the shortest way to each state of a session through the real use cases."""

import functools
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from autodoctor.db import Database, Row
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated, start_intake
from autodoctor.intake.request import IntakeRequest
from autodoctor.intake.waiver import WaiverRequest, WaiverSigned, sign_waiver
from autodoctor.sessions.accept import Accepted, accept
from autodoctor.sessions.end import Ended, Ender, end_session
from autodoctor.sessions.presence import join
from localcloud.database.postgres import Database as DatabaseUrls
from support.database.tables import tables

PATIENCE_SECONDS = 60.0
_SENT: LiteralString = """
SELECT FROM pg_stat_activity
 WHERE datname = current_database() AND usename = 'autodoctor_app' AND query LIKE '%%' || %s || '%%'
"""
_SAY: LiteralString = "SELECT outcome FROM post_message(%s, %s, %s, %s, NULL)"
_SOCKET: LiteralString = """
INSERT INTO realtime_connections (connection_id, user_id, groups, mechanic_id, workshop_id, since, expires_at)
SELECT %(connection_id)s, %(user_id)s, CASE WHEN m.id IS NULL THEN '{customers}'::text[] ELSE '{mechanics}' END,
       m.id, m.workshop_id, 0, clock_timestamp() + interval '30 days'
  FROM (SELECT) AS one LEFT JOIN mechanics m ON m.user_id = %(user_id)s
"""


# Of some hundred tables a test fills a dozen.
_INSTANTS: Final[LiteralString] = """
SELECT c.relname AS name, array_agg(a.attname::text) AS columns
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%s) AND pg_relation_size(c.oid) > 0
   AND a.atttypid = 'timestamptz'::regtype AND a.attnum > 0 AND NOT a.attisdropped
 GROUP BY c.relname ORDER BY c.relname
"""


@dataclass(frozen=True, slots=True)
class Mechanic:
    """A mechanic: the row's id, and the `sub` of their token."""

    id: UUID
    user_id: UUID


def intake_request(**fields: object) -> IntakeRequest:
    """A valid intake for a free chat; `fields` are those of the wire, in camelCase, and win."""
    body: dict[str, object] = {
        "plan": "free",
        "payWith": "free",
        "sessionType": "chat",
        "name": "Cora Castillo",
        "email": "cora@example.com",
        "vehicle": {"year": 2019, "make": "Volvo", "model": "V60"},
        "concern": "Squeals when braking",
        **fields,
    }
    return IntakeRequest.model_validate_json(json.dumps(body, default=str))


class World:
    """One database with people in it.

    Attributes:
        app: what the functions use, as the application role.
        owner: an autocommit connection of the owner, for statements typed by hand.
        urls: of the database, for connections of a test's own.
        verifies_addresses: whether everybody's sign-in has verified the address of their requests.
    """

    verifies_addresses = False

    def __init__(self, urls: DatabaseUrls) -> None:
        self.urls = urls
        self.app = Database(lambda: urls.app_url)

    @functools.cached_property
    def owner(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self.urls.owner_url, autocommit=True, row_factory=dict_row)

    @functools.cached_property
    def _superuser(self) -> psycopg.Connection[Row]:
        return psycopg.connect(self.urls.superuser_url, autocommit=True, row_factory=dict_row)

    def close(self) -> None:
        """Close every connection; it may be used again."""
        self.app.close()
        for name in ("owner", "_superuser"):
            connection: psycopg.Connection[Row] | None = self.__dict__.pop(name, None)
            if connection is not None:
                connection.close()

    @contextmanager
    def elsewhere(self) -> Iterator[Database]:
        """A second function's `app`, over a connection of its own that is already open."""
        database = Database(lambda: self.urls.app_url)
        try:
            database.one("SELECT 1", ())
            yield database
        finally:
            database.close()

    def wait_until_sent(self, words: str) -> None:
        """Wait until the last statement of one of the application's connections is one with these words."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._superuser.execute(_SENT, [words]).fetchone() is None:
            assert time.monotonic() < deadline, f"nothing was sent with {words!r}"
            time.sleep(0.01)

    def one(self, query: LiteralString, *parameters: object) -> Any:  # noqa: ANN401 (whatever type the column has)
        """The first column of the first row of an owner's query."""
        row = self.owner.execute(query, parameters).fetchone()
        return None if row is None else next(iter(row.values()))

    # --- who there is -----------------------------------------------------------------------------

    def workshop(self) -> UUID:
        """A new workshop."""
        workshop_id: UUID = self.one("INSERT INTO workshops (name) VALUES ('Wheelhouse') RETURNING id")
        return workshop_id

    def mechanic(
        self, workshop_id: UUID | None = None, user_id: UUID | None = None, available_until: str | None = "infinity"
    ) -> Mechanic:
        """A new active mechanic, independent or of a workshop, available until then; None: never said so."""
        user_id = user_id or new_id()
        mechanic_id: UUID = self.one(
            "INSERT INTO mechanics (user_id, name, workshop_id, available_until)"
            " VALUES (%s, 'Mia', %s, %s) RETURNING id",
            user_id,
            workshop_id,
            available_until,
        )
        return Mechanic(mechanic_id, user_id)

    # --- the shortest way to each state; `customer` is the `sub` of a customer, a new one by default ----

    def pending(self, customer: UUID | None = None, **fields: object) -> SessionCreated:
        """A session whose waiver is not signed."""
        request = intake_request(**fields)
        verified = request.email if self.verifies_addresses else None
        return start_intake(self.app, customer or new_id(), request, verified_email=verified)

    def queued(self, customer: UUID | None = None, **fields: object) -> SessionCreated:
        """A session in the queue, or offered where `fields` name a preferredMechanicId."""
        return self.pending(customer, **{"waiver": {"signedName": "Cora Castillo"}, **fields})

    def urgent(self, customer: UUID | None = None, **fields: object) -> SessionCreated:
        """A queued session that is urgent, and counts as such: as if it had been paid for."""
        created = self.queued(customer, urgent=True, **fields)
        self.owner.execute("UPDATE session_assignments SET precedence = 0 WHERE session_id = %s", [created.session_id])
        return created

    def waiting(self, mechanic: Mechanic, customer: UUID | None = None, **fields: object) -> SessionCreated:
        """A session that this mechanic accepted."""
        created = self.queued(customer, **fields)
        self.accept(mechanic, created)
        return created

    def live(self, mechanic: Mechanic, customer: UUID, **fields: object) -> SessionCreated:
        """A session in whose room both are and have written."""
        created = self.waiting(mechanic, customer, **fields)
        self.meet(created.session_id, customer, mechanic)
        return created

    def come(self, user_id: UUID, session_id: UUID, words: str = "Hello.") -> str:
        """Enter the room by a new socket, and say a word; returns the socket's connection id."""
        socket = self.socket(user_id)
        join(self.app, user_id, session_id, socket)
        self.say(user_id, session_id, words)
        return socket

    def meet(self, session_id: UUID, customer: UUID, mechanic: Mechanic) -> tuple[str, str]:
        """Both come into the room and talk; returns the connection ids of customer and mechanic."""
        return self.come(customer, session_id), self.come(mechanic.user_id, session_id)

    # --- sockets ----------------------------------------------------------------------------------

    def socket(self, user_id: UUID, connection_id: str | None = None) -> str:
        """A connection that this user has open, as far as the database knows; returns its id."""
        connection_id = connection_id or f"{secrets.token_urlsafe(11)[:15]}="
        self.app.execute(_SOCKET, {"connection_id": connection_id, "user_id": user_id})
        return connection_id

    def say(self, user_id: UUID, session_id: UUID, words: str) -> None:
        """Write a message into the room."""
        said = self.app.one(
            "SELECT outcome FROM post_message(%s, %s, %s, %s, NULL)", (session_id, user_id, new_id(), words)
        )
        assert said is not None
        assert said["outcome"] == "posted"

    # --- single steps -----------------------------------------------------------------------------

    def sign(self, customer: UUID, session_id: UUID) -> str:
        """Sign the waiver; returns the assignment's status."""
        return self.signed(customer, session_id).assignment_status

    def signed(self, customer: UUID, session_id: UUID) -> WaiverSigned:
        """Sign the waiver."""
        body = json.dumps({"sessionId": str(session_id), "signedName": "Cora Castillo"})
        return sign_waiver(self.app, customer, WaiverRequest.model_validate_json(body))

    def accept(self, mechanic: Mechanic, created: SessionCreated) -> Accepted:
        """Accept the session's first assignment."""
        return accept(self.app, mechanic.user_id, created.assignment_id)

    def accept_current(self, mechanic: Mechanic, session_id: UUID) -> Accepted:
        """Accept whichever assignment of the session is the current one."""
        current: UUID = self.one("SELECT current_assignment_id FROM sessions WHERE id = %s", session_id)
        return accept(self.app, mechanic.user_id, current)

    def end(self, user_id: UUID, session_id: UUID) -> Ended:
        """End it as one of its parties."""
        return end_session(self.app, Ender(user_id), session_id)

    def status(self, session_id: UUID) -> str:
        """The session's status."""
        status: str = self.one("SELECT status FROM sessions WHERE id = %s", session_id)
        return status

    # --- what only a test does --------------------------------------------------------------------

    def lift_limits(self) -> None:
        """Let everybody do everything as often as they like."""
        self.owner.execute("UPDATE limits SET most = 1000000")
        self.owner.execute(
            "INSERT INTO settings (key, value) VALUES ('withdrawn_payments_per_day', '1000000') ON CONFLICT DO NOTHING"
        )

    def let_time_pass(self, seconds: float) -> None:
        """Make everything that is recorded, evidence included, `seconds` older."""
        shifted = False
        while not shifted:
            with suppress(psycopg.errors.DeadlockDetected):  # functions at work lock tables in another order
                self._make_older(seconds)
                shifted = True

    def _make_older(self, seconds: float) -> None:
        with self.without_triggers() as connection:
            updates = [
                sql.SQL("UPDATE ONLY {} SET {}").format(
                    sql.Identifier(row["name"]),
                    sql.SQL(", ").join(
                        sql.SQL("{0} = {0} - make_interval(secs => {1})").format(sql.Identifier(column), seconds)
                        for column in row["columns"]
                    ),
                )
                for row in connection.execute(_INSTANTS, [self._tables])
            ]
            connection.execute(sql.SQL("; ").join(updates))

    def clear(self) -> None:
        """Empty every table but those that the schema itself fills, such as plans and settings."""
        deletes = sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(sql.Identifier(each)) for each in self._tables)
        with self.without_triggers() as connection:
            connection.execute(deletes)

    @functools.cached_property
    def _tables(self) -> list[str]:
        return tables(self._superuser)

    @contextmanager
    def without_triggers(self) -> Iterator[psycopg.Connection[Row]]:
        """A superuser's transaction in which neither triggers nor foreign keys act."""
        with self._superuser.transaction():
            self._superuser.execute("SET LOCAL session_replication_role = replica")
            yield self._superuser
