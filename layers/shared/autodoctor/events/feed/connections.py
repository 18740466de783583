"""Open WebSocket connections: a ticket opens one, and when one closes a party may have left its session."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.errors import Unauthenticated, Unprocessable
from autodoctor.events.feed.tickets import ticket_hash

# API Gateway ends a connection after two hours.
LONGEST_MINUTES: Final = 125
_DIGITS: Final = 19

_CONNECT: Final[LiteralString] = """
WITH ticket AS (
  DELETE FROM realtime_tickets WHERE ticket_hash = %(ticket_hash)s AND expires_at > clock_timestamp()
  RETURNING user_id, groups
)
INSERT INTO realtime_connections (connection_id, user_id, groups, mechanic_id, workshop_id, since, expires_at)
SELECT %(connection_id)s, t.user_id, t.groups, m.id, m.workshop_id,
       CASE WHEN %(feed)s <> feed_id() THEN -1 ELSE coalesce(%(since)s, (SELECT seq FROM feed_head)) END,
       clock_timestamp() + make_interval(mins => %(longest_minutes)s)
  FROM ticket t LEFT JOIN mechanics m ON m.user_id = t.user_id AND 'mechanics' = ANY (t.groups)
RETURNING connection_id
"""

_OWED: Final[LiteralString] = """
SELECT c.since, c.ready, c.since NOT BETWEEN h.pruned_through AND h.seq AS lost,
       extract(epoch FROM clock_timestamp() - c.connected_at)::float AS age_seconds,
       ARRAY(SELECT o.connection_id FROM realtime_connections o
              WHERE o.user_id = c.user_id AND o.expires_at > now()
              ORDER BY o.connected_at DESC, o.connection_id DESC OFFSET sockets_per_user()) AS surplus
  FROM realtime_connections c, feed_head h
 WHERE c.connection_id = %(connection_id)s AND c.expires_at > now()
"""

_READY: Final[LiteralString] = """
UPDATE realtime_connections SET ready = true WHERE connection_id = %(connection_id)s
"""

_EXPIRED: Final[LiteralString] = "SELECT connection_id FROM realtime_connections WHERE expires_at <= now() LIMIT 1000"

_ALL_READY: Final[LiteralString] = "SELECT connection_id FROM realtime_connections WHERE ready AND expires_at > now()"

_FORGET: Final[LiteralString] = "SELECT forget_connection(%(connection_id)s) AS was_in"

_KNOWN: Final[LiteralString] = "SELECT 1 FROM realtime_connections WHERE connection_id = %(connection_id)s"

_HEARD: Final[LiteralString] = """
UPDATE realtime_connections SET heard_at = clock_timestamp()
 WHERE connection_id = %(connection_id)s AND room IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Owed:
    """The messages that a new connection gets first.

    Attributes:
        since: it gets those with a greater seq.
        lost: whether some of them are already deleted, or `since` is not a seq of this feed.
        age_seconds: how long ago the connection was opened.
        surplus: the oldest connections of its user, beyond as many as a user may have; perhaps itself.
    """

    since: int
    lost: bool
    age_seconds: float
    surplus: Sequence[str]


def heard(database: Database, connection_id: str) -> None:
    """Note that a connection's client has said something; it counts where the connection is in a room."""
    database.execute(_HEARD, {"connection_id": connection_id})


def connect(
    database: Database, connection_id: str, ticket: str | None, since: str | None, feed: str | None = None
) -> None:
    """Register a connection that a ticket opens; the ticket is used up.

    Args:
        connection_id: API Gateway's.
        ticket: from the query string.
        since: the last seq that the client has, from the query string; None: it starts afresh.
        feed: the feed that `since` is of, likewise; the client of another feed is told to fetch everything anew.

    Raises:
        Unauthenticated: no ticket, or one that is unknown, used or too old.
        Unprocessable: `since` is not a number of the feed, or `feed` no id of one.
    """
    if since is not None and not (
        since.isascii() and since.isdecimal() and len(since) <= _DIGITS and int(since) < 1 << 63
    ):
        raise Unprocessable(("/since", "must be the seq of a message"))
    parameters = {
        "ticket_hash": ticket_hash(ticket or ""),
        "connection_id": connection_id,
        "since": None if since is None else int(since),
        "feed": None if feed is None else _feed_id(feed),
        "longest_minutes": LONGEST_MINUTES,
    }
    # _KNOWN recognises our own work after an attempt whose commit was not seen.
    if database.one(_CONNECT, parameters) is None and database.one(_KNOWN, parameters) is None:
        raise Unauthenticated("A ticket that is unused and not older than a minute is required.")


def _feed_id(feed: str) -> UUID:
    try:
        return UUID(feed)
    except ValueError:
        raise Unprocessable(("/feed", "must be the feed of a message")) from None


def owed(database: Database, connection_id: str) -> Owed | None:
    """The messages that a connection gets first; None if it has closed or has got them."""
    row = database.one(_OWED, {"connection_id": connection_id})
    if row is None or row["ready"]:
        return None
    return Owed(row["since"], row["lost"], row["age_seconds"], row["surplus"])


def ready(database: Database, connection_id: str) -> bool:
    """Send a connection every new message from now on; returns False where it has just closed."""
    return database.execute(_READY, {"connection_id": connection_id}) == 1


def all_ready(database: Database) -> list[str]:
    """Every connection that gets new messages."""
    return [row["connection_id"] for row in database.all(_ALL_READY, {})]


def drop(database: Database, connection_ids: Sequence[str]) -> list[UUID]:
    """Delete closed connections; returns the sessions whose rooms they were in, which their users have left."""
    left = []
    for connection_id in connection_ids:
        row = database.one(_FORGET, {"connection_id": connection_id})
        if row is not None and row["was_in"] is not None:
            left.append(row["was_in"])
    return left


def drop_expired(database: Database) -> None:
    """Delete connections past API Gateway's limit, for which no `$disconnect` came."""
    drop(database, [row["connection_id"] for row in database.all(_EXPIRED, {})])
