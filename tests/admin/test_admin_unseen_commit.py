"""An admin's change whose answer was lost with the connection: the second attempt recognises its own work."""

from collections.abc import Callable
from functools import partial

import pytest
from pydantic import BaseModel

from autodoctor.admin.packs import NewCreditPack, add_pack
from autodoctor.admin.workshops import NewWorkshop, add_workshop
from autodoctor.db import Database
from support.admin_changes import ADMIN, body, changes, new_mechanic, new_plan, patch_mechanic, patch_plan
from support.database.cutting_proxy import cutting_proxy
from support.world import World

PACK = body(NewCreditPack, {"code": "two", "name": "Two", "credits": 2, "priceCents": 1900})
ADDITIONS: dict[str, Callable[[Database], BaseModel]] = {
    "mechanic": new_mechanic,
    "workshop": partial(add_workshop, actor_id=ADMIN, new=NewWorkshop(name="Piston")),
    "plan": new_plan,
    "credit pack": partial(add_pack, actor_id=ADMIN, new=PACK),
}


def with_unseen_commit(world: World, change: Callable[[Database], BaseModel]) -> BaseModel:
    """The answer when the server's answer to the commit is lost."""
    with cutting_proxy(world.urls.app_url) as proxy:
        warm = Database(lambda: proxy.url)
        warm.one("SELECT 1", ())
        proxy.lose_next_commit()
        answer = change(warm)
        warm.close()
    assert proxy.cuts == 1
    return answer


@pytest.mark.parametrize("what", ADDITIONS)
def test_what_was_added_unseen_is_added_once(world: World, what: str) -> None:
    added = with_unseen_commit(world, ADDITIONS[what])
    (change,) = changes(world)
    assert change["kind"] == f"{what.replace(' ', '_')}.added"
    assert change["subject"] in added.model_dump_json()


def test_what_was_changed_unseen_is_changed_once(world: World) -> None:
    held = world.mechanic()
    suspended = with_unseen_commit(world, partial(patch_mechanic, mechanic_id=held.id, status="suspended"))
    dearer = with_unseen_commit(world, partial(patch_plan, code="quick", priceCents=1299))
    assert [change["kind"] for change in changes(world)] == ["mechanic.changed", "plan.changed"]
    assert '"suspended"' in suspended.model_dump_json()
    assert "1299" in dearer.model_dump_json()
