"""The first attempt committed but its answer was lost: the second attempt recognises its own work."""

import pytest
from pydantic import BaseModel

from autodoctor.db import Database
from autodoctor.intake.create import start_intake
from support.concurrency.conflicts import OPERATIONS, Scenario
from support.concurrency.stepper import Operation
from support.database.cutting_proxy import cutting_proxy
from support.invariants.sessions import violations
from support.world import World, intake_request


def answer_after_unseen_commit(world: World, operation: Operation) -> object:
    """The operation's answer when the server's answer to its commit is lost."""
    with cutting_proxy(world.urls.app_url) as proxy:
        warm = Database(lambda: proxy.url)
        warm.one("SELECT 1", ())
        proxy.lose_next_commit()
        answer = operation.call(warm)
        warm.close()
    assert proxy.cuts == 1
    assert violations(world.owner) == []
    return answer


def without_ids_and_times(answer: object) -> dict[str, object]:
    assert isinstance(answer, BaseModel)
    # An end that is asked for again says so, also to the one who ended it.
    return {
        name: value
        for name, value in answer.model_dump(mode="json").items()
        if not name.endswith(("_id", "_at")) and name != "already_ended"
    }


@pytest.mark.parametrize(
    ("state", "operation"),
    [
        ("nobody", "intake"),
        ("unsigned", "sign"),
        ("queued", "accept"),
        ("offered", "accept"),
        ("scheduled", "accept"),
        ("offered", "decline"),
        ("queued", "join"),
        ("waiting", "join as mechanic"),
        ("live", "leave"),
        ("waiting", "release"),
        ("queued", "withdraw"),
        ("waiting", "end"),
        ("live", "end"),
    ],
)
def test_an_unseen_commit_gets_the_answer_it_would_have_got(world: World, state: str, operation: str) -> None:
    usual = OPERATIONS[operation](Scenario(world, state)).call(world.app)
    again = answer_after_unseen_commit(world, OPERATIONS[operation](Scenario(world, state)))
    assert without_ids_and_times(again) == without_ids_and_times(usual)


@pytest.mark.parametrize("key", [None, "key-1"])
def test_an_intake_that_committed_unseen_answers_its_own_session(world: World, key: str | None) -> None:
    scenario = Scenario(world, "nobody")
    intake = intake_request()
    created = answer_after_unseen_commit(
        world, Operation(lambda app: start_intake(app, scenario.customer, intake, key))
    )
    assert isinstance(created, BaseModel)
    assert created.model_dump()["session_id"] == world.one("SELECT id FROM sessions")
