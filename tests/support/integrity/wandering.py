"""Sample data by chance: customers and mechanics with whom anything may happen."""

import functools
import random
from collections.abc import Callable  # noqa: TC003 - annotates local variables
from datetime import UTC, datetime, timedelta
from uuid import UUID

from autodoctor.ids import new_id
from autodoctor.sessions.accept import decline
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.presence import join, leave, release
from support.concurrency.queue_machine import attempt
from support.money.purchases import buy, give
from support.money.refund_env import RefundEnv
from support.world import Mechanic, World


def wander(world: World, refund_env: RefundEnv, count: int, seed: int) -> None:
    """So many more customers, with whom anything may happen; each session is ended."""
    chance = random.Random(seed)
    mechanics = [world.mechanic() for _ in range(3)]
    for _ in range(count):
        customer = new_id()
        give(world, customer, 5)
        created = attempt(functools.partial(_asked, world, refund_env, customer, chance, mechanics))
        if created is not None:
            for _ in range(chance.randint(1, 12)):
                _something(world, customer, created, mechanics, chance)
            if world.one("SELECT ended_at FROM sessions WHERE id = %s", created) is None:
                world.end(customer, created)


def _asked(
    world: World, refund_env: RefundEnv, customer: UUID, chance: random.Random, mechanics: list[Mechanic]
) -> UUID:
    wishes: list[dict[str, object]] = [{}, {"urgent": True}, {"preferredMechanicId": chance.choice(mechanics).id}]
    wish = chance.choice(wishes)
    match chance.choice(["free", "credit", "card", "unsigned", "scheduled"]):
        case "free":
            return world.queued(customer, **wish).session_id
        case "credit":
            return buy(world, customer, chance.choice(["quick", "standard"]), None, **wish).session_id
        case "card":
            return refund_env.buy(customer)
        case "unsigned":
            return world.pending(customer, **wish).session_id
        case _:
            soon = datetime.now(UTC) + timedelta(minutes=chance.randint(1, 60))
            return world.queued(customer, scheduledFor=soon, **wish).session_id


def _something(
    world: World, customer: UUID, session_id: UUID, mechanics: list[Mechanic], chance: random.Random
) -> None:
    mechanic, app = chance.choice(mechanics), world.app
    current = "SELECT current_assignment_id FROM sessions WHERE id = %s"
    ways: list[Callable[[], object]] = [
        lambda: world.accept_current(mechanic, session_id),
        lambda: world.accept_current(mechanic, session_id),
        lambda: decline(app, mechanic.user_id, world.one(current, session_id)),
        lambda: join(app, customer, session_id),
        *([functools.partial(join, app, one.user_id, session_id) for one in mechanics] * 2),
        lambda: leave(app, chance.choice([customer, mechanic.user_id]), session_id),
        lambda: release(app, mechanic.user_id, session_id),
        lambda: world.sign(customer, session_id),
        lambda: world.let_time_pass(chance.choice([1, 30, 60, 150, 700])),
        lambda: sweep(app, lambda: 60.0),
        lambda: world.end(chance.choice([customer, mechanic.user_id]), session_id),
    ]
    weights = [4, 4, 1, 4, *[3] * (2 * len(mechanics)), 1, 1, 3, 4, 1, 1]
    attempt(chance.choices(ways, weights)[0])
