"""The rows that take time instead of counting: never gating, and refused where the machine is not quiet."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bench.cold import coldstart
from bench.database import accept_parts, acceptcost, claims, held_snapshot, race
from bench.events import eventcost, feed, relaying, rooms
from bench.measure.judge import Row

PARTS: Final[Mapping[str, Callable[[], Iterator[Row]]]] = {
    "accepts a second": claims.rows,
    "an accept taken apart": accept_parts.rows,
    "the race for one assignment": race.rows,
    "cold starts": coldstart.rows,
    "an accept's events": acceptcost.rows,
    "events on against off": eventcost.rows,
    "the relay": relaying.rows,
    "the feed": feed.rows,
    "the room": rooms.rows,
    "a held snapshot": held_snapshot.rows,
}
COMPASS: Final = (
    "accepts a second",
    "cold starts",
    "an accept's events",
    "events on against off",
    "the feed",
    "the room",
)
"""Those that have a target: where the product stands against what it is compared with."""
