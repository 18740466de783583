"""Every call that changes a session or moves money, with a fault at each of its steps and messages, one by one.

It is killed before a step, or its wire to the database or to Stripe fails at a message (support.faults.wire). After
each the caller comes again, as clients, SQS, EventBridge and Stripe do. When nothing is due any more, every invariant
holds and the books are Stripe's to the cent, so every effect happened once. `-s` shows how many points were tried and
what really fired; `FAULTS_SEED` chooses which faults other than cuts are tried where.
"""

import itertools
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pytest

from autodoctor.ids import new_id
from localcloud.database.postgres import PostgresServer
from support.chaos.audit import Audit
from support.chaos.background import come_to_rest
from support.chaos.calls import CALLS
from support.chaos.chaos_env import running_chaos_env
from support.chaos.money_driver import MoneyDriver
from support.chaos.pool import FunctionFailed
from support.chaos.scenarios import CALM, SCENARIOS, Scenario
from support.faults.wire import Fault, Wire, through, wire_to
from support.invariants.sessions import violations

MOST_POINTS: Final = 250
LAMBDA_SECONDS: Final = 0.5
"""After which a process that waits in vain is killed."""

CUTS: Final = 0.8
"""So many of the faults on a wire are cuts, which a seed decides."""

QUICK: Final = {"accept", "release", "intake_by_credit", "intake_by_card"}
"""Those of the default run."""

ALL: Final = SCENARIOS | CALLS

type Place = Literal["process", "database", "stripe"]


@dataclass
class Points:
    """The world, its wires, and how often each fault fired at each place."""

    money: MoneyDriver
    wires: dict[str, Wire]
    chance: random.Random
    fired: Counter[str] = field(default_factory=Counter)
    tried: int = 0
    survived: int = 0

    def strike(self, scenario: Scenario, place: Place, number: int) -> bool:
        """Do a scenario for a new customer with one fault, and then again without; whether the fault fired."""
        customer = new_id()
        self.money.customers.append(customer)
        self.money.tell(10_000, CALM, None)
        act = scenario(self.money, customer)
        if place == "process":
            before = self.money.env.pool.dropped
            act(number)
            name = "process: killed" if self.money.env.pool.dropped > before else None
        else:
            fault: Fault = "cut" if self.chance.random() < CUTS else self.chance.choice(["delay", "swallow"])
            self.wires[place].fail_at(number, fault)
            with suppress(FunctionFailed), self._lambda_time_out() if fault == "swallow" else ExitStack():
                act(None)
            name = None if self.wires[place].relent() else f"{place}: {fault}"
        act(None)
        if name is not None:
            self.fired[name] += 1
        return name is not None

    @contextmanager
    def _lambda_time_out(self) -> Iterator[None]:
        timer = threading.Timer(LAMBDA_SECONDS, lambda: self.money.env.pool.kill_every(LAMBDA_SECONDS / 10))
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            self.money.env.pool.kill_every(0)


@pytest.fixture(scope="module")
def points(
    postgres_server: PostgresServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Points]:
    """One world for all of it, which comes to rest after each scenario."""
    seed = int(os.environ.get("FAULTS_SEED", "1"))
    wires: dict[str, Wire] = {}
    with ExitStack() as stack:
        database = stack.enter_context(postgres_server.temporary_database("every_message", template_database))

        def rewire(environment: dict[str, str]) -> dict[str, str]:
            for name, variable in (("database", "DATABASE_URL"), ("stripe", "STRIPE_API_BASE")):
                wires[name] = stack.enter_context(wire_to(environment[variable]))
                environment[variable] = through(wires[name], environment[variable])
            environment["DATABASE_URL"] += "?sslmode=disable&gssencmode=disable"
            return environment

        folder = tmp_path_factory.mktemp("every_message")
        env = stack.enter_context(running_chaos_env(database, folder, seed, processes=1, rewire=rewire))
        money = MoneyDriver(env)
        money.open()
        money.tell(10_000, CALM, None)
        points = Points(money, wires, random.Random(seed))
        yield points
        print(
            f"\nFAULTS_SEED={seed} points tried {points.tried}, survived {points.survived}; fired {dict(points.fired)}"
        )


def cases() -> Iterator[Any]:
    """Each scenario with each place where something can fail in it."""
    for scenario in ALL:
        for place in ("process", "database", "stripe"):
            if place != "stripe" or scenario not in CALLS:
                marks = () if scenario.__name__ in QUICK else pytest.mark.slow
                yield pytest.param(scenario, place, marks=marks, id=f"{scenario.__name__}-{place}")


@pytest.mark.parametrize(("scenario", "place"), list(cases()))
def test_a_fault_at_any_point_changes_nothing_in_the_end(points: Points, scenario: Scenario, place: Place) -> None:
    number = next(number for number in itertools.count() if not points.strike(scenario, place, number))
    points.tried += number
    assert number < MOST_POINTS
    assert number >= ALL[scenario] or place != "process"
    assert number > 1 or place != "database"
    come_to_rest(points.money.env)
    points.money.env.stripe.ask("disturb", held=True)
    assert violations(points.money.env.world.owner) == []
    assert Audit(points.money.env).findings() == []
    points.survived += number
