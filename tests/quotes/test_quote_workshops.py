"""The workshops that mechanics may hand a session to, page by page."""

import pytest

from autodoctor.errors import MechanicNotActive, Unprocessable
from autodoctor.ids import new_id
from autodoctor.quotes.workshops import askable_workshops
from support.world import World


def test_every_workshop_is_on_one_page(world: World) -> None:
    mechanic = world.mechanic()
    made = sorted(world.workshop() for _ in range(3))
    first = askable_workshops(world.app, mechanic.user_id, "2")
    assert [each.workshop_id for each in first.workshops] == made[:2]
    rest = askable_workshops(world.app, mechanic.user_id, "2", first.next_cursor)
    assert [each.workshop_id for each in rest.workshops] == made[2:]
    assert rest.next_cursor is None


def test_there_may_be_none(world: World) -> None:
    found = askable_workshops(world.app, world.mechanic().user_id)
    assert (found.workshops, found.next_cursor) == ([], None)


def test_only_active_mechanics_ask(world: World) -> None:
    mechanic = world.mechanic()
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [mechanic.id])
    for user_id in (mechanic.user_id, new_id()):
        with pytest.raises(MechanicNotActive):
            askable_workshops(world.app, user_id)
    with pytest.raises(Unprocessable):
        askable_workshops(world.app, world.mechanic().user_id, cursor="x")
