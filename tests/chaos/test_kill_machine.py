"""Random steps of money, with the function's process killed between any two of them: at rest the books add up.

A function dies before its N-th statement, commit or call of Stripe's, which hypothesis chooses, shrinks and repeats.
Talks are extended and contested on the way.
Invariants 1 to 11 are checked after every step of the walk, everything else at its end.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from localcloud.database.postgres import Database
from support.chaos import contests, money_talks
from support.chaos.audit import Audit
from support.chaos.background import come_to_rest
from support.chaos.chaos_env import ChaosEnv, running_chaos_env
from support.chaos.money_driver import MoneyDriver
from support.invariants.sessions import violations

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
PAYS = st.sampled_from(["card", "credit"])
REGRETS = st.sampled_from(["refund", "refund a part", "dispute", "dispute won", "dispute lost"])


class Killing(RuleBasedStateMachine):
    """Three customers and two mechanics of their own for each walk, in a world that goes on."""

    env: ChaosEnv
    money: MoneyDriver

    @initialize()
    def open(self) -> None:
        self.money = MoneyDriver(self.env)
        self.money.open()
        first, second, third = self.money.customers
        self.money.whole(first, self.money.mechanics[1], "card", "completed")
        self.have_a_long_talk(0, 1, "card", "credit", used=True)
        self.contest(0, None)
        self.money.whole(second, self.money.mechanics[1], "card", "withdrawn")
        self.money.ask(third, "standard", "card", None)
        self.money.at_page(self.money.pages[-1], "pay")

    @rule(who=WHO, by=st.integers(0, 1), ending=ENDINGS, way=WAYS)
    def have_a_session(self, who: int, by: int, ending: str, way: str) -> None:
        self.money.whole(self.money.customers[who], self.money.mechanics[by], way, ending)

    @rule(who=WHO, by=st.integers(0, 1), way=PAYS, pay_with=PAYS, used=st.booleans())
    def have_a_long_talk(self, who: int, by: int, way: str, pay_with: str, *, used: bool) -> None:
        customer, mechanic = self.money.customers[who], self.money.mechanics[by]
        money_talks.whole_talk(self.money, customer, mechanic, way=way, pay_with=pay_with, used=used)
        self.money.go_on(customer, mechanic, "completed", None)
        self.money.settle(random.Random(1), None)

    @rule(who=WHO, by=st.integers(0, 1))
    def begin_to_talk(self, who: int, by: int) -> None:
        self.money.begin_talk(self.money.customers[who], self.money.mechanics[by])

    @rule(who=WHO, pay_with=PAYS, die=DIES)
    def ask_for_more(self, who: int, pay_with: str, die: int | None) -> None:
        money_talks.ask_for_more(self.money, self.money.customers[who], pay_with, die)

    @rule(who=WHO, agrees=st.sampled_from([True, True, True, False]), die=DIES)
    def answer(self, who: int, die: int | None, *, agrees: bool) -> None:
        money_talks.answer(self.money, self.money.customers[who], agrees=agrees, die_before=die)

    @rule(who=WHO)
    def talk_on(self, who: int) -> None:
        money_talks.talk_on(self.money, self.money.customers[who])

    @rule(who=WHO, die=DIES)
    def contest(self, who: int, die: int | None) -> None:
        for over in money_talks.settled(self.money, self.money.customers[who])[-1:]:
            money_talks.contest(self.money, self.money.customers[who], over["id"], die)

    @rule(who=WHO, die=DIES)
    def answer_contest(self, who: int, die: int | None) -> None:
        for over in money_talks.settled(self.money, self.money.customers[who])[-1:]:
            money_talks.answer_contest(self.money, over["mechanic_user"], over["id"], die)

    @rule(who=WHO, shuffle=SHUFFLE, die=DIES)
    def decide(self, who: int, shuffle: random.Random, die: int | None) -> None:
        for over in money_talks.settled(self.money, self.money.customers[who]):
            if contests.is_open(self.env, over["id"]):
                contests.decide(self.env, over["id"], shuffle, die)

    @rule(die=st.integers(0, 16))
    def be_killed_while_sending(self, die: int) -> None:
        self.money.sweep("payouts", die)

    @rule(who=WHO, plan=PLANS, die=DIES, way=WAYS, referred=st.booleans())
    def ask(self, who: int, plan: str, die: int | None, way: str, *, referred: bool) -> None:
        code = self.env.codes[-1] if referred else None
        self.money.ask(self.money.customers[who], "free" if way == "free" else plan, way, die, code)

    @rule(who=WHO, die=DIES)
    def buy_credits(self, who: int, die: int | None) -> None:
        self.money.buy_credits(self.money.customers[who], die)

    @rule(pick=PICK, choice=CHOICES)
    def be_at_a_page(self, pick: int, choice: str) -> None:
        self.money.at_page(self.money.pages[-1 - pick % len(self.money.pages)], choice)

    @rule(who=WHO, by=st.integers(0, 1), ending=ENDINGS, die=DIES)
    def go_on(self, who: int, by: int, ending: str, die: int | None) -> None:
        self.money.go_on(self.money.customers[who], self.money.mechanics[by], ending, die)

    @rule(die=DIES)
    def hire(self, die: int | None) -> None:
        self.money.mechanics[0] = self.env.new_mechanic(die)
        self.env.stripe.ask("onboard", account=self.env.accounts[-1])

    @rule(most=st.integers(1, 12), shuffle=SHUFFLE, die=DIES)
    def tell(self, most: int, shuffle: random.Random, die: int | None) -> None:
        self.money.tell(most, shuffle, die)

    @rule(shuffle=SHUFFLE, die=DIES)
    def settle(self, shuffle: random.Random, die: int | None) -> None:
        self.money.settle(shuffle, die)

    @rule(name=FUNCTIONS, die=DIES)
    def sweep(self, name: str, die: int | None) -> None:
        self.money.sweep(name, die)

    @rule(mode=MODES, path=PATHS, times=st.integers(1, 2))
    def break_something(self, mode: str, path: str, times: int) -> None:
        self.env.stripe.ask("fail", mode=mode, path=path, times=times)

    @rule(pick=PICK, how=REGRETS)
    def take_back(self, pick: int, how: str) -> None:
        self.money.take_back(self.money.pages[-1 - pick % len(self.money.pages)], how)

    @rule()
    def restrict(self) -> None:
        self.env.stripe.ask("restrict", account=self.env.accounts[-1])

    @invariant()
    def nothing_is_violated(self) -> None:
        assert violations(self.env.world.owner) == []

    def teardown(self) -> None:
        come_to_rest(self.env)
        assert Audit(self.env).findings() == []


@pytest.fixture
def env(database: Database, tmp_path: Path) -> Iterator[ChaosEnv]:
    """One world for all walks of a test, so that a walk costs no start; each comes to rest before the next."""
    with running_chaos_env(database, tmp_path, 0, processes=2) as env:
        yield env


def walk(env: ChaosEnv, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        type("Killing", (Killing,), {"env": env}),
        settings=settings(max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck)),
    )


def test_a_function_may_die_between_any_two_steps(env: ChaosEnv) -> None:
    walk(env, 6, 15)
    assert env.pool.kills["itself"] > 0
    assert env.by_hand("SELECT id FROM session_extensions WHERE status = 'running'")
    assert env.by_hand("SELECT session_id FROM contests WHERE outcome IS NOT NULL")


@pytest.mark.slow
def test_a_function_may_die_between_any_two_steps_for_a_long_time(env: ChaosEnv) -> None:
    walk(env, 10, 25)
