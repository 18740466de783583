"""The stepper itself: it tries every order, goes on when one side waits, and names a deadlock."""

import time
from typing import LiteralString

import psycopg
import pytest

from autodoctor.db import Row
from support.concurrency.stepper import HANG_SECONDS, Operation, Stepper, Stuck
from support.world import World


def changes(*names: str) -> Operation:
    """One transaction that changes these workshops, one statement each."""
    statement: LiteralString = "UPDATE workshops SET created_at = now() WHERE name = %s"

    def work(connection: psycopg.Connection[Row]) -> None:
        for name in names:
            connection.execute(statement, (name,))

    return Operation(lambda app: app.transaction(work))


@pytest.fixture
def workshops(world: World) -> World:
    """Two rows to fight for."""
    world.owner.execute("INSERT INTO workshops (name) VALUES ('one'), ('two')")
    world.owner.execute("GRANT UPDATE ON workshops TO autodoctor_app")
    return world


def test_every_order_of_independent_steps_comes_once(workshops: World) -> None:
    with Stepper(workshops.urls) as stepper:
        orders = [
            tuple(decision.chosen for decision in run.decisions)
            for run in stepper.every_interleaving(lambda: [changes("one"), changes("two")])
        ]
    assert len(orders) == len(set(orders)) == 6  # of 2 + 2 steps
    assert all(sum(order) == 2 for order in orders)


def test_begin_counts_where_it_is_asked_for(workshops: World) -> None:
    with Stepper(workshops.urls, begin_is_a_step=True) as stepper:
        runs = list(stepper.every_interleaving(lambda: [changes("one"), changes("two")]))
    assert len(runs) == 20  # of 3 + 3 steps


def test_who_waits_for_a_lock_goes_on_after_the_other_has_ended(workshops: World) -> None:
    with Stepper(workshops.urls) as stepper:
        runs = list(stepper.every_interleaving(lambda: [changes("one"), changes("one")]))
    waits = [run for run in runs if not run.is_serial]
    assert len(waits) == 2  # one each way; the other two are serial
    for run in waits:
        waiting = next(number for number, step in enumerate(run.steps) if "waits" in step)
        assert "COMMIT" in run.steps[waiting + 1]
        assert run.steps[waiting + 1].split()[0] != run.steps[waiting].split()[0]


def test_a_deadlock_is_named_and_unwound(workshops: World) -> None:
    begin = time.monotonic()
    with Stepper(workshops.urls) as stepper, pytest.raises(Stuck, match="deadlock"):
        list(stepper.every_interleaving(lambda: [changes("one", "two"), changes("two", "one")]))
    assert time.monotonic() - begin < HANG_SECONDS


def test_an_error_of_a_side_is_its_outcome(world: World) -> None:
    with Stepper(world.urls) as stepper:
        refused = Operation(lambda app: app.one("DELETE FROM workshops", ()))
        runs = list(stepper.every_interleaving(lambda: [refused, refused]))
    assert all(isinstance(outcome, psycopg.errors.InsufficientPrivilege) for run in runs for outcome in run.outcomes)
