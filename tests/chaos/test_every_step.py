"""Every function that moves money, with its process killed before each of its steps, one by one.

test_kill_machine.py walks at random; this leaves nothing out. A step is a statement, a commit, a call of Stripe's or
the answer, and after every death the caller tries again, as customers, Stripe and schedules do.
"""

import itertools
from collections.abc import Iterator

import pytest

from autodoctor.ids import new_id
from localcloud.database.postgres import PostgresServer
from support.chaos.audit import Audit
from support.chaos.background import come_to_rest
from support.chaos.chaos_env import running_chaos_env
from support.chaos.money_driver import MoneyDriver
from support.chaos.scenarios import CALM, SCENARIOS, Scenario

MOST_STEPS = 120


@pytest.fixture(scope="module")
def money(
    postgres_server: PostgresServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MoneyDriver]:
    """One world for all of it, which comes to rest after each."""
    folder = tmp_path_factory.mktemp("every_step")
    with (
        postgres_server.temporary_database("every_step", template_database) as database,
        running_chaos_env(database, folder, 0, processes=2) as env,
    ):
        money = MoneyDriver(env)
        money.open()
        money.tell(10_000, CALM, None)
        yield money


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_death_before_any_step_changes_nothing_in_the_end(money: MoneyDriver, scenario: Scenario) -> None:
    for step in itertools.count():
        assert step < MOST_STEPS
        customer = new_id()
        money.customers.append(customer)
        money.tell(10_000, CALM, None)
        act = scenario(money, customer)
        before = money.env.pool.dropped
        act(step)
        if money.env.pool.dropped == before:
            break
        act(None)
    assert step >= SCENARIOS[scenario]
    come_to_rest(money.env)
    money.env.stripe.ask("disturb", held=True)
    assert Audit(money.env).findings() == []
