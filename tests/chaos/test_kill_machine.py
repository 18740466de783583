"""Random steps of money, with the function's process killed between any two of its own: at rest all of it adds up.

A function dies before its N-th statement, commit or call of Stripe's, which hypothesis chooses, shrinks and repeats.
Invariants 1 to 11 are looked at after every step of the walk, everything else at its end.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from chaos.audit import Audit
from chaos.bank import Bank
from chaos.clockwork import come_to_rest
from chaos.world import World, running_world
from integration.invariants import violations
from localcloud.database.postgres import Database

WHO = st.integers(0, 2)
PICK = st.integers(0, 9)
DIES = st.none() | st.integers(0, 16)
SHUFFLE = st.randoms(use_true_random=False)
WAYS = st.sampled_from(["card", "card", "credit", "free"])
PLANS = st.sampled_from(["quick", "standard", "diagnostic"])
ENDINGS = st.sampled_from(["completed", "completed", "withdrawn", "no_show", "expired"])
CHOICES = st.sampled_from(["pay", "pay", "pay", "fail", "pay_later", "bank pays", "bank refuses"])
FUNCTIONS = st.sampled_from(["payouts", "checkout", "settle", "expire_orphans"])
MODES = st.sampled_from(["error", "error_after", "unavailable", "rate_limit", "cut", "cut_after"])
PATHS = st.sampled_from(["/v1/transfers*", "/v1/refunds*", "/v1/checkout/*", "/v1/accounts*", "*"])
REGRETS = st.sampled_from(["refund", "refund a part", "dispute", "dispute won", "dispute lost"])


class Killing(RuleBasedStateMachine):
    """Three customers and two mechanics of their own for each walk, in a world that goes on."""

    world: World
    bank: Bank

    @initialize()
    def open(self) -> None:
        self.bank = Bank(self.world)
        self.bank.open()
        first, second, third = self.bank.customers
        self.bank.whole(first, self.bank.mechanics[1], "card", "completed")
        self.bank.whole(second, self.bank.mechanics[1], "card", "withdrawn")
        self.bank.ask(third, "standard", "card", None)
        self.bank.at_page(self.bank.pages[-1], "pay")

    @rule(who=WHO, by=st.integers(0, 1), ending=ENDINGS, way=WAYS)
    def have_a_session(self, who: int, by: int, ending: str, way: str) -> None:
        self.bank.whole(self.bank.customers[who], self.bank.mechanics[by], way, ending)

    @rule(die=st.integers(0, 16))
    def be_killed_while_sending(self, die: int) -> None:
        self.bank.sweep("payouts", die)

    @rule(who=WHO, plan=PLANS, die=DIES, way=WAYS, referred=st.booleans())
    def ask(self, who: int, plan: str, die: int | None, way: str, *, referred: bool) -> None:
        code = self.world.codes[-1] if referred else None
        self.bank.ask(self.bank.customers[who], "free" if way == "free" else plan, way, die, code)

    @rule(who=WHO, die=DIES)
    def buy_credits(self, who: int, die: int | None) -> None:
        self.bank.buy_credits(self.bank.customers[who], die)

    @rule(pick=PICK, choice=CHOICES)
    def be_at_a_page(self, pick: int, choice: str) -> None:
        self.bank.at_page(self.bank.pages[-1 - pick % len(self.bank.pages)], choice)

    @rule(who=WHO, by=st.integers(0, 1), ending=ENDINGS, die=DIES)
    def go_on(self, who: int, by: int, ending: str, die: int | None) -> None:
        self.bank.go_on(self.bank.customers[who], self.bank.mechanics[by], ending, die)

    @rule(die=DIES)
    def hire(self, die: int | None) -> None:
        self.bank.mechanics[0] = self.world.new_mechanic(die)
        self.world.stripe.ask("onboard", account=self.world.accounts[-1])

    @rule(most=st.integers(1, 12), shuffle=SHUFFLE, die=DIES)
    def tell(self, most: int, shuffle: random.Random, die: int | None) -> None:
        self.bank.tell(most, shuffle, die)

    @rule(shuffle=SHUFFLE, die=DIES)
    def settle(self, shuffle: random.Random, die: int | None) -> None:
        self.bank.settle(shuffle, die)

    @rule(name=FUNCTIONS, die=DIES)
    def sweep(self, name: str, die: int | None) -> None:
        self.bank.sweep(name, die)

    @rule(mode=MODES, path=PATHS, times=st.integers(1, 2))
    def break_something(self, mode: str, path: str, times: int) -> None:
        self.world.stripe.ask("fail", mode=mode, path=path, times=times)

    @rule(pick=PICK, how=REGRETS)
    def take_back(self, pick: int, how: str) -> None:
        self.bank.take_back(self.bank.pages[-1 - pick % len(self.bank.pages)], how)

    @rule()
    def restrict(self) -> None:
        self.world.stripe.ask("restrict", account=self.world.accounts[-1])

    @invariant()
    def nothing_is_violated(self) -> None:
        assert violations(self.world.stage.owner) == []

    def teardown(self) -> None:
        come_to_rest(self.world)
        assert Audit(self.world).findings() == []


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    """One world for all walks of a test, so that a walk costs no start; each comes to rest before the next."""
    with running_world(database, tmp_path, 0, processes=2) as world:
        yield world


def walk(world: World, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        type("Killing", (Killing,), {"world": world}),
        settings=settings(max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck)),
    )


def test_a_function_may_die_between_any_two_steps(world: World) -> None:
    walk(world, 6, 15)
    assert world.pool.kills["itself"] > 0


@pytest.mark.slow
def test_a_function_may_die_between_any_two_steps_for_a_long_time(world: World) -> None:
    walk(world, 10, 25)
