"""Rows: what a message in a room writes to the log, and the pages it touches in a short room and in a long one."""

from collections.abc import Iterator
from typing import Final, LiteralString

from autodoctor.db import database
from bench.database.wal import CALLS, WalMeter
from bench.http.server import BenchServer
from bench.http.walks import Consultation, Walks
from bench.measure.judge import Row, Target
from bench.measure.meter import Meter

SHORT, LONG = 10, 100_000
ROUNDS: Final = 9
MORE: Final = 2
"""Pages that a message in the long room may touch beyond one in the short room: a page that was just filled."""

_FILL: Final[LiteralString] = """
WITH written AS (
  INSERT INTO session_messages (session_id, seq, client_id, role, kind, text)
  SELECT r.session_id, r.latest + n, gen_random_uuid(), 'customer', 'text', 'It squeals when I brake.'
    FROM rooms r, generate_series(1, %s) AS n WHERE r.session_id = %s RETURNING 1)
UPDATE rooms SET latest = latest + (SELECT count(*) FROM written),
                 customer_written = customer_written + (SELECT count(*) FROM written)
 WHERE session_id = %s
"""


def rows(server: BenchServer, walks: Walks, meter: Meter) -> Iterator[Row]:
    """Bytes and pages per message."""
    server.superuser.execute("UPDATE limits SET most = 1000000 WHERE name = 'messages'")
    short, long = _room(server, walks, SHORT), _room(server, walks, LONG)
    server.superuser.execute("VACUUM ANALYZE session_messages, rooms")
    database().close()  # plans that functions keep were made for another size of table
    wal = WalMeter(server)
    server.superuser.execute("CHECKPOINT")
    for _ in range(2):  # the first round writes the page images
        with walks.api.unpublished():
            said = wal.written(lambda: [_say(walks, short) for _ in range(CALLS)], CALLS)
        published = wal.written(walks.api.publish, CALLS)
    yield Row(
        "WAL: a message, its counters and its event",
        "bytes",
        said.changes,
        cause=f"{said.outbox:.0f} of it the outbox; + {said.images:.0f} of page images, not counted",
    )
    yield Row("WAL: a message's event, published and so out of the outbox", "bytes", published.changes)
    pages = {name: _pages(walks, meter, room) for name, room in (("short", short), ("long", long))}
    yield Row(
        name=f"buffers: a message in a room of {LONG:,}, more than in one of {SHORT}",
        unit="pages",
        measured=pages["long"] - pages["short"],
        target=Target(MORE, on_ratio=False),
        gated=True,
        cause=f"{pages['long']} instead of {pages['short']}",
    )


def _room(server: BenchServer, walks: Walks, messages: int) -> Consultation:
    room = walks.live()
    server.superuser.execute(_FILL, [messages, room.session_id, room.session_id])
    return room


def _say(walks: Walks, room: Consultation) -> object:
    return walks.api.say(room.customer, "customers", room.session_id)


def _pages(walks: Walks, meter: Meter, room: Consultation) -> int:
    with walks.api.unpublished():
        counted = [meter.buffers(lambda: _say(walks, room)).total for _ in range(ROUNDS)]
    walks.api.publish()
    return sorted(counted)[ROUNDS // 2]
