"""The first attempt committed, its answer was lost with the connection: the second one recognises its own work."""

import pytest
from pydantic import BaseModel

from autodoctor.db import Database
from autodoctor.intake.create import start_intake
from integration.actors import Stage, intake_request
from integration.conflicts import OPERATIONS, Scene
from integration.cutting_proxy import cutting_proxy
from integration.invariants import violations
from integration.stepper import Operation


def answer_after_unseen_commit(stage: Stage, operation: Operation) -> object:
    """What the operation answers when the server's answer to its commit is lost."""
    with cutting_proxy(stage.urls.app_url) as proxy:
        warm = Database(lambda: proxy.url)
        warm.one("SELECT 1", ())
        proxy.lose_next_commit()
        answer = operation.call(warm)
        warm.close()
    assert proxy.cuts == 1
    assert violations(stage.owner) == []
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
def test_an_unseen_commit_gets_the_answer_it_would_have_got(stage: Stage, state: str, operation: str) -> None:
    usual = OPERATIONS[operation](Scene(stage, state)).call(stage.app)
    again = answer_after_unseen_commit(stage, OPERATIONS[operation](Scene(stage, state)))
    assert without_ids_and_times(again) == without_ids_and_times(usual)


@pytest.mark.parametrize("key", [None, "key-1"])
def test_an_intake_that_committed_unseen_answers_its_own_session(stage: Stage, key: str | None) -> None:
    scene = Scene(stage, "nobody")
    intake = intake_request()
    created = answer_after_unseen_commit(stage, Operation(lambda app: start_intake(app, scene.customer, intake, key)))
    assert isinstance(created, BaseModel)
    assert created.model_dump()["session_id"] == stage.one("SELECT id FROM sessions")
