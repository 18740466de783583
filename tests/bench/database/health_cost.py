"""Rows: pages that an operator's routes touch, with no, many and very many ended sessions behind it.

They count what is open and what happened in 24 hours, so both are made the same before each reading: 200 in the
queue, nobody accepted, no mechanic on duty. What differs is the history alone.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final, LiteralString

from autodoctor.db import database
from autodoctor.ids import new_id
from bench.http.server import BenchServer
from bench.http.walks import Walks
from bench.measure.judge import Row, Target
from bench.measure.meter import Buffers, Meter
from bench.measure.reading import Reading

ROUTES: Final = ("session-health", "analytics", "sessions")
ROUNDS: Final = 5
PER_INDEX: Final = 2
_FORGET: Final[tuple[LiteralString, ...]] = (
    """
CREATE TEMPORARY TABLE taken ON COMMIT DROP AS SELECT id FROM sessions WHERE ended_at IS NULL AND status <> 'pending'
""",
    "DELETE FROM session_events WHERE session_id IN (SELECT id FROM taken)",
    "DELETE FROM session_assignment_events WHERE session_id IN (SELECT id FROM taken)",
    "DELETE FROM session_presence WHERE session_id IN (SELECT id FROM taken)",
    "DELETE FROM session_messages WHERE session_id IN (SELECT id FROM taken)",
    "DELETE FROM rooms WHERE session_id IN (SELECT id FROM taken)",
    "DELETE FROM session_participants WHERE session_id IN (SELECT id FROM taken)",
    "DELETE FROM session_assignments WHERE session_id IN (SELECT id FROM taken)",
    "DELETE FROM waivers WHERE session_id IN (SELECT id FROM taken)",
    "DELETE FROM sessions WHERE id IN (SELECT id FROM taken)",
    "UPDATE mechanics SET available_until = NULL WHERE available_until IS NOT NULL",
)


type Readings = dict[str, Reading]


def readings(server: BenchServer, walks: Walks, meter: Meter, ended: int) -> Readings:
    """The pages of some calls of each route, after what other readings left behind is gone."""
    with server.superuser.transaction():
        server.superuser.execute("SET LOCAL session_replication_role = replica")
        for statement in _FORGET:
            server.superuser.execute(statement)
    server.superuser.execute("VACUUM ANALYZE")
    database().close()
    admin = new_id()
    made: Readings = {}
    for name in ROUTES:
        walks.api.operator(name, admin)
        rounds: list[Buffers] = [meter.buffers(partial(walks.api.operator, name, admin)) for _ in range(ROUNDS)]
        made[name] = Reading(ended, rounds)
    return made


def rows(levels: list[Readings]) -> Iterator[Row]:
    """The comparison with no history."""
    for name in ROUTES:
        none, last = levels[0][name], levels[-1][name]
        # A tree gains two levels, and the planner, too, looks at the ends of the indexes that it might join by.
        yield Row(
            name=f"buffers: {name}, more with {last.ended:,} ended sessions than with none",
            unit="pages",
            measured=last.pages - none.pages,
            target=Target(PER_INDEX * last.searches, on_ratio=False),
            gated=True,
            cause=f"{last.pages:.0f} instead of {none.pages:.0f}; {last.indexes} indexes, {last.searches} searches",
            samples={f"{level[name].ended} ended": [each.total for each in level[name].rounds] for level in levels},
        )
