"""Sweeps in tests: one that has time for everything, what it did, and what a mechanic is shown afterwards."""

from uuid import UUID

from autodoctor.db import Database
from autodoctor.sessions.expiry import Swept, sweep
from autodoctor.sessions.queue import fetch_queue
from support.world import Mechanic, World


def swept_all(database: Database) -> Swept:
    """Sweep with a minute left, and give every count."""
    return sweep(database, lambda: 60.0)


def swept(world: World) -> dict[str, int]:
    """The counts of a sweep, without the zeros and without the counters of limits, which each intake has."""
    counts = swept_all(world.app).model_dump(exclude={"forgotten_counters"})
    return {name: count for name, count in counts.items() if count}


def sees(world: World, mechanic: Mechanic) -> list[UUID]:
    """The sessions in a mechanic's queue, in its order."""
    return [shown.session_id for shown in fetch_queue(world.app, mechanic.user_id).assignments]
