"""What goes on beside the people: the relay, the schedules, the passing of time, and the weather at Stripe."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from uuid import UUID

from autodoctor.db import Row
from autodoctor.events.model import detail, event_of
from autodoctor.events.outbox import claim, mark
from chaos.pool import FunctionFailed
from chaos.stand_in import RemoteRefused
from chaos.world import World

SENDERS: Final = 4
NEVER_TOLD: Final = 0.1
_ENDS: Final = frozenset({"session.ended", "session.expired"})
_FIRST: Final = UUID(int=0)


@contextmanager
def at_work(world: World) -> Iterator[None]:
    """Do all of it in the background for the length of a `with` block; what fails is the world's trouble."""
    over = threading.Event()

    def every(seconds: float, work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                while not over.wait(seconds):
                    work()
            except BaseException as failure:  # noqa: BLE001 (reported by whoever waits for us)
                world.trouble.append(failure)

        return threading.Thread(target=run, daemon=True)

    relay = Relay(world)
    threads = [
        every(0.05, world.watch),
        every(0.1, relay.run),
        every(1.0, world.let_time_pass),
        every(1.0, Weather(world).change),
        every(1.0, lambda: world.pool.invoke("settle", {})),
        every(0.5, lambda: look_up(world)),
        every(1.0, lambda: world.pool.invoke("expire_orphans", {})),
        *(every(0.3, lambda: world.pool.invoke("payouts", {})) for _ in range(SENDERS)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def look_up(world: World) -> None:
    """Sweep checkouts; that Stripe did not answer about some of them is what the function says by failing."""
    try:
        world.pool.invoke("checkout", {})
    except FunctionFailed as failed:
        if "could not be looked up" not in str(failed):
            raise
        world.pool.answers["sweep of checkouts: Stripe failed"] += 1


class Relay:
    """Hands the ends of sessions to the settlement: some never, some twice, in any order."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("relay")
        self._database = world.stage.app
        self._bag: list[dict[str, Any]] = []

    def run(self) -> None:
        """One round."""
        for row in self._taken():
            made = event_of(row)
            if made.type in _ENDS and self._chance.random() >= NEVER_TOLD:
                told = {"detail-type": made.type, "detail": json.loads(detail(made))}
                record = {"messageId": str(made.event_id), "body": json.dumps(told)}
                self._bag += [record] * self._chance.choice((1, 1, 2))
        self._chance.shuffle(self._bag)
        while len(self._bag) > 10 or (self._bag and self._chance.random() < 0.5):
            batch, self._bag = self._bag[:10], self._bag[10:]
            answer = self._world.pool.invoke("settle", {"Records": batch})
            if answer is None or answer["batchItemFailures"]:
                self._bag += batch  # a queue gives what was not done again

    def _taken(self) -> list[Row]:
        def take(connection: Any) -> list[Row]:  # noqa: ANN401
            rows = claim(connection, _FIRST, 100, 20, 0)
            mark(connection, rows)
            return rows

        return self._database.transaction(take)


class Weather:
    """Mechanics whom Stripe restricts and lets go again, some who finish onboarding late."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance: random.Random = world.chance("weather")

    def change(self) -> None:
        """Change the standing of one account."""
        if self._world.accounts and self._chance.random() < 0.3:
            account = self._chance.choice(self._world.accounts)
            with suppress(RemoteRefused):
                self._world.stripe.ask(self._chance.choice(("onboard", "onboard", "restrict")), account=account)


def come_to_rest(world: World) -> int:
    """Let nothing fail any more, and everything that is due be done; how many rounds that took.

    Raises TimeoutError where it never ends.
    """
    world.pool.kill_every(0)
    world.stripe.ask("clear_faults")
    for account in world.accounts:
        world.stripe.ask("onboard", account=account)
    world.stripe.ask("advance", seconds=4 * 24 * 3600)  # pages that nobody paid are over, balances available
    relay = Relay(world)
    for number in range(1, 100):
        world.stripe.ask("quiet", within_seconds=100)
        world.let_time_pass()
        world.let_leases_end()
        world.try_again()
        for name in ("expire_orphans", "settle", "checkout", "payouts"):
            world.pool.invoke(name, {})
        relay.run()
        if not _left(world) and world.stripe.ask("pending_webhooks") == 0:
            return number
        time.sleep(0.1)
    raise TimeoutError(f"never at rest: {_left(world)}")


def _left(world: World) -> list[Row]:
    """What is still to be done, by kind and state."""
    return world.by_hand(
        "SELECT 'payout' AS what, state, waits_for, count(*) FROM payouts WHERE state NOT IN ('sent', 'reversed')"
        " GROUP BY 2, 3"
        " UNION ALL SELECT 'refund', state, waits_for, count(*) FROM refunds WHERE state NOT IN ('sent', 'returned')"
        " GROUP BY 2, 3"
        " UNION ALL SELECT 'checkout', status, NULL, count(*) FROM checkouts WHERE status IN ('open', 'processing')"
        " GROUP BY 2"
        " UNION ALL SELECT 'session', status, NULL, count(*) FROM sessions WHERE ended_at IS NULL GROUP BY 2"
        " UNION ALL SELECT 'settlement', 'due', NULL, count(*) FROM settlements_due HAVING count(*) > 0"
    )
