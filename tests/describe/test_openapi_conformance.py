"""Every answer is checked against openapi.json, which refuses a problem that its route does not declare."""

from uuid import UUID

import pytest

from autodoctor.errors import AssignmentUnavailable, PaymentsUnavailable, Problem, SessionEnded, SessionNotFound
from autodoctor.web.http import Request, Router
from autodoctor.web.schemas import ResponseModel
from support.http.lambda_event import Answer, call, claims, event

ACCEPT = "POST /api/mechanic/assignments/{assignmentId}/accept"


def answered(problem: Problem) -> Answer:
    """The answer of a function whose route of that key raises a problem."""
    router = Router()

    @router.route(ACCEPT, groups=["mechanics"])
    def accept(_request: Request) -> ResponseModel:
        raise problem

    return call(router.handler(), event(ACCEPT, caller=claims("[mechanics]")))


def test_a_problem_that_the_route_states_passes() -> None:
    assert answered(AssignmentUnavailable(UUID(int=7))).status == 409
    assert answered(SessionNotFound()).status == 404  # of the same type as AssignmentNotFound


@pytest.mark.parametrize("problem", [SessionEnded("completed"), PaymentsUnavailable()])
def test_another_problem_of_a_status_that_it_may_answer_fails(problem: Problem) -> None:
    with pytest.raises(AssertionError, match=f"-> {problem.status}: .*{problem.slug}"):
        answered(problem)


def test_a_problem_of_a_status_that_it_does_not_answer_fails() -> None:
    with pytest.raises(AssertionError, match="410 is not described"):
        answered(type("Lost", (SessionNotFound,), {"status": 410})())
