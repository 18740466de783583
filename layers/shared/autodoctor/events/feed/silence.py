"""The sweep that asks API Gateway about every socket in a room: one that is gone, or silent, is evidence no more.

A phone that lost its network says nothing, and `$disconnect` may come minutes later, or never. So each socket that
stands for somebody's presence is asked about once a minute, and its stretch ends when it was last active.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.events.feed.push import AT_ONCE, call

SILENT_SECONDS: Final = 90.0
"""A page in a room says something at least every minute."""
FAREWELL_SECONDS: Final = 3.0
"""A `$disconnect` that is on its way knows the end more exactly."""
MARGIN_SECONDS: Final = 5.0
MOST: Final = 5000

_IN_ROOMS: Final[LiteralString] = """
SELECT c.connection_id, least(c.heard_at, coalesce(c.seen_at, c.connected_at)) AS seen_at, c.heard_at,
       clock_timestamp() AS now
  FROM realtime_connections c JOIN sessions s ON s.id = c.room
 WHERE s.ended_at IS NULL OR s.ended_at > now() - interval '10 minutes'
 ORDER BY c.seen_at NULLS FIRST, c.connection_id LIMIT %(most)s
"""

_SEEN: Final[LiteralString] = """
UPDATE realtime_connections c SET seen_at = seen.at
  FROM unnest(%(ids)s::text[], %(instants)s::timestamptz[]) AS seen (id, at) WHERE c.connection_id = seen.id
"""

_LOSE: Final[LiteralString] = "SELECT lose_room(%(connection_id)s, %(at)s) AS room"
_FORGET: Final[LiteralString] = "SELECT forget_connection(%(connection_id)s, %(at)s) AS room"


@dataclass(frozen=True)
class AskedSockets:
    """How many sockets were asked about, and how many of them had ended or said nothing for too long.

    Attributes:
        rooms: the sessions that one of those was in, whose rooms are still to be told.
    """

    asked: int
    gone: int
    silent: int
    rooms: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class _Answer:
    connection_id: str
    status: int
    active_at: datetime | None


def ask_sockets(
    database: Database,
    seconds_left: SecondsLeft,
    silent_seconds: float = SILENT_SECONDS,
    farewell_seconds: float = FAREWELL_SECONDS,
) -> AskedSockets:
    """Ask about the sockets in the rooms of open and just ended sessions.

    A socket that is gone ends its stretch when it was last known to be active, a silent one when it last was; the
    silent one is closed too, so that its page, if there still is one, connects and enters the room again. What gives no
    answer is asked again by the next run.

    Args:
        database: as the application role.
        seconds_left: how much of the function's time is left.
        silent_seconds: how long a socket may say nothing.
        farewell_seconds: how long a `$disconnect` that is on its way may take.
    """
    rows = database.all(_IN_ROOMS, {"most": MOST})
    seen = {row["connection_id"]: row for row in rows}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = [answer for answer in threads.map(lambda row: _ask(row, seconds_left), rows) if answer is not None]
    active = [each for each in answers if each.active_at is not None]
    database.execute(
        _SEEN, {"ids": [each.connection_id for each in active], "instants": [each.active_at for each in active]}
    )
    silent = [each for each in active if _is_silent(each, seen[each.connection_id], silent_seconds)]
    left = []
    for each in silent:
        left.append(database.one(_LOSE, {"connection_id": each.connection_id, "at": each.active_at}))
        call("DELETE", each.connection_id, b"")
    gone = [each.connection_id for each in answers if each.status == HTTPStatus.GONE]
    if gone:
        time.sleep(farewell_seconds)
    left += [database.one(_FORGET, {"connection_id": each, "at": seen[each]["seen_at"]}) for each in gone]
    rooms = frozenset(row["room"] for row in left if row is not None and row["room"] is not None)
    return AskedSockets(asked=len(answers), gone=len(gone), silent=len(silent), rooms=rooms)


def _ask(row: Row, seconds_left: SecondsLeft) -> _Answer | None:
    if seconds_left() < MARGIN_SECONDS:
        return None
    response = call("GET", row["connection_id"], b"")
    if response is None:
        return None
    active_at = None
    if response.status == HTTPStatus.OK:
        active_at = datetime.fromisoformat(json.loads(response.body)["lastActiveAt"])
        if row["heard_at"] is not None:  # what the other side has pushed to it keeps nobody present
            active_at = min(active_at, row["heard_at"])
    return _Answer(row["connection_id"], response.status, active_at)


def _is_silent(answer: _Answer, row: Row, silent_seconds: float) -> bool:
    asked_at: datetime = row["now"]
    return answer.active_at is not None and asked_at - answer.active_at >= timedelta(seconds=silent_seconds)
