"""Rows: pages touched by a queue page, an accept and its publishing, with no, many and very many ended sessions.

Pages are those of tables and indexes, from PostgreSQL's own counters around the whole call of the handler: with
triggers, foreign keys and the checks at commit, which EXPLAIN of the statement would not show.
"""

import statistics
from collections.abc import Callable, Iterator
from typing import Any, Final

from autodoctor.db import database
from bench.database import health_cost, history
from bench.http.server import BenchServer
from bench.http.walks import Walks
from bench.measure.judge import Row, Target
from bench.measure.meter import Buffers, Meter
from bench.measure.reading import Reading

WAITING: Final = 200
ROUNDS: Final = 15
LARGE, SMALL = 1_000_000, 100_000
AT_MOST: Final = 1.10
PER_INDEX: Final = 2
UNVACUUMED: Final = 10_000
PUBLISHING: Final = "publishing after accept"


type Readings = dict[str, Reading]


def rows(server: BenchServer, walks: Walks, meter: Meter, ended: int, progress: Callable[[int], None]) -> Iterator[Row]:
    """Load `ended` sessions, in steps, measure at each, and compare."""
    history.load(server.superuser, 0, 0, progress)  # the mechanics: only ended sessions shall make a difference
    levels = [_vacuumed(server, walks, meter, 0)]
    pages = [health_cost.readings(server, walks, meter, 0)]
    loaded = 0
    for goal in (SMALL, ended) if ended > SMALL else (ended,):
        history.load(server.superuser, loaded, goal - UNVACUUMED, progress)
        history.load(server.superuser, goal - UNVACUUMED, goal, progress, through_queue=True)
        server.superuser.execute("ANALYZE")
        unvacuumed = measure(walks, meter, goal)
        levels.append(_vacuumed(server, walks, meter, goal))
        pages.append(health_cost.readings(server, walks, meter, goal))
        loaded = goal
    for name in levels[0]:
        yield from _compared(name, [level[name] for level in levels], unvacuumed[name])
    yield from health_cost.rows(pages)


def _vacuumed(server: BenchServer, walks: Walks, meter: Meter, ended: int) -> Readings:
    walks.fill_queue(WAITING)
    server.superuser.execute("VACUUM ANALYZE")
    return measure(walks, meter, ended)


def measure(walks: Walks, meter: Meter, ended: int) -> Readings:
    """The pages of a queue page, an accept and its publishing, some rounds of each, as things are now."""
    database().close()  # plans that triggers keep were made for another size of table
    walks.fill_queue(WAITING)
    mechanic = walks.mechanic()
    made: dict[str, list[Buffers]] = {"queue page": [], "accept": [], PUBLISHING: []}
    walks.api.queue(mechanic)
    for _ in range(ROUNDS):
        made["queue page"].append(meter.buffers(lambda: walks.api.queue(mechanic)))
    for _ in range(ROUNDS):
        taken = walks.queued()
        with walks.api.unpublished():
            made["accept"].append(
                meter.buffers(lambda taken=taken: walks.api.accept(taken.mechanic, taken.assignment_id))  # type: ignore[misc]
            )
        made[PUBLISHING].append(meter.buffers(walks.api.publish))
    return {name: Reading(ended, rounds) for name, rounds in made.items()}


def _compared(name: str, levels: list[Reading], unvacuumed: Reading) -> Iterator[Row]:
    none, last = levels[0], levels[-1]
    yield _growth(name, levels)
    # A tree gains two levels. Publishing searches the same few trees again for every event, the others each once.
    allowed = PER_INDEX * (last.searches if name == PUBLISHING else last.indexes)
    yield Row(
        name=f"buffers: {name}, more with {last.ended:,} ended sessions than with none",
        unit="pages",
        measured=last.pages - none.pages,
        target=Target(allowed, on_ratio=False),
        gated=True,
        cause=f"{last.pages:.0f} instead of {none.pages:.0f}; {last.indexes} indexes, {last.searches} searches; "
        + _what_grew(none, last),
        samples=_samples(levels),
    )
    first = unvacuumed.rounds[0].total
    yield Row(
        name=f"buffers: {name}, {UNVACUUMED:,} gone through the queue since the last vacuum",
        unit="pages",
        measured=unvacuumed.pages,
        reference=last.pages,
        reference_name="vacuumed",
        cause=f"the first call after: {first} pages",
    )


def _growth(name: str, levels: list[Reading]) -> Row:
    last = levels[-1]
    if len(levels) < 3 or last.ended < LARGE:
        return Row(
            name=f"buffers: {name}, from {SMALL:,} to {LARGE:,} ended sessions",
            unit="pages",
            measured=last.pages,
            target=Target(AT_MOST),
            refused=f"needs --rows {LARGE}",
        )
    before = levels[-2]
    return Row(
        name=f"buffers: {name}, from {before.ended:,} to {last.ended:,} ended sessions",
        unit="pages",
        measured=last.pages,
        reference=before.pages,
        reference_name=f"at {before.ended:,}",
        target=Target(AT_MOST),
        gated=True,
        cause=_what_grew(before, last),
    )


def _what_grew(before: Reading, after: Reading) -> str:
    """The relations whose pages grew most, as the cause of a miss."""
    grown: dict[str, float] = {}
    for kind in ("heap", "index"):
        for name in {name for each in after.rounds for name in getattr(each, kind)}:
            grown[name] = _median(after, kind, name) - _median(before, kind, name)
    most = sorted(grown.items(), key=lambda item: -item[1])[:4]
    return ", ".join(f"{name} +{pages:.0f}" for name, pages in most if pages > 0)


def _median(reading: Reading, kind: str, name: str) -> float:
    pages: list[float] = [getattr(each, kind).get(name, 0) for each in reading.rounds]
    return statistics.median(pages)


def _samples(levels: list[Reading]) -> dict[str, Any]:
    return {f"{level.ended} ended": [each.total for each in level.rounds] for level in levels}
