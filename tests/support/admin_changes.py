"""Shared by tests of the admin routes: an admin's changes, the rows they leave, and two at once."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from autodoctor.admin.mechanics import Mechanic, MechanicPatch, NewMechanic, add_mechanic, change_mechanic
from autodoctor.admin.plans import AdminPlan, NewPlan, PlanPatch, add_plan, change_plan
from autodoctor.db import Database
from autodoctor.errors import Problem
from autodoctor.ids import new_id
from autodoctor.web.schemas import RequestBody
from support.world import World

ADMIN = new_id()
NEW_PLAN: dict[str, object] = {
    "code": "gold",
    "name": "Gold",
    "sessionTypes": ["video", "chat"],
    "priceCents": 9999,
    "credits": 9,
    "includedMinutes": 90,
    "mechanicShareBp": 6500,
}


def body[Body: RequestBody](model: type[Body], fields: dict[str, object]) -> Body:
    """A request as it comes over the wire."""
    return model.model_validate_json(json.dumps(fields, default=str))


def new_mechanic(database: Database, admin: UUID = ADMIN, **fields: object) -> Mechanic:
    """Add one; `fields` are those of the wire."""
    given = {"userId": new_id(), "name": "Mona Marsh", "email": "mona@example.com", **fields}
    return add_mechanic(database, admin, body(NewMechanic, given))


def patch_mechanic(database: Database, mechanic_id: UUID, admin: UUID = ADMIN, **fields: object) -> Mechanic:
    """Change one; `fields` are those of the wire."""
    return change_mechanic(database, admin, mechanic_id, body(MechanicPatch, fields))


def new_plan(database: Database, **fields: object) -> AdminPlan:
    """Add one; `fields` are those of the wire."""
    return add_plan(database, ADMIN, body(NewPlan, {**NEW_PLAN, **fields}))


def patch_plan(database: Database, code: str, **fields: object) -> AdminPlan:
    """Change one; `fields` are those of the wire."""
    return change_plan(database, ADMIN, code, body(PlanPatch, fields))


def changes(world: World) -> list[dict[str, Any]]:
    """Every row of admin_changes, oldest first."""
    return world.owner.execute("SELECT * FROM admin_changes ORDER BY at").fetchall()


def at_once(world: World, *moves: Callable[[Database], object]) -> list[object]:
    """Run the moves at the same instant, each on a connection of its own; a Problem counts as an answer."""
    barrier = threading.Barrier(len(moves))

    def run(move: Callable[[Database], object]) -> object:
        with world.elsewhere() as database:
            barrier.wait(timeout=30)
            try:
                return move(database)
            except Problem as problem:
                return problem

    with ThreadPoolExecutor(len(moves)) as threads:
        return list(threads.map(run, moves))
