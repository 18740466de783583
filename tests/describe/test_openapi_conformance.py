"""The check that every answer of the account goes through refuses a problem that the route does not state."""

from uuid import UUID

import pytest

from autodoctor.errors import AssignmentUnavailable, PaymentsUnavailable, Problem, SessionEnded, SessionNotFound
from autodoctor.web.http import Request, Router
from autodoctor.web.schemas import ResponseModel
from support import openapi_conformance
from support.lambda_event import Answer, call, claims, event

ACCEPT = "POST /api/mechanic/assignments/{assignmentId}/accept"
ASSIGNMENT = UUID(int=7)


def answered(problem: Problem) -> Answer:
    """What a function answers whose route of that key raises a problem."""
    router = Router()

    @router.route(ACCEPT, groups=["mechanics"])
    def accept(_request: Request) -> ResponseModel:
        raise problem

    return call(router.handler(), event(ACCEPT, caller=claims("[mechanics]")))


def check(answer: Answer) -> None:
    openapi_conformance.check(
        "POST", f"/api/mechanic/assignments/{ASSIGNMENT}/accept", answer.status, answer.headers, answer.text
    )


def test_a_problem_that_the_route_states_passes() -> None:
    check(answered(AssignmentUnavailable(ASSIGNMENT)))
    check(answered(SessionNotFound()))  # of the same type as AssignmentNotFound


@pytest.mark.parametrize("problem", [SessionEnded("completed"), PaymentsUnavailable()])
def test_another_problem_of_a_status_that_it_may_answer_fails(problem: Problem) -> None:
    with pytest.raises(AssertionError, match=f"-> {problem.status}: .*{problem.slug}"):
        check(answered(problem))


def test_a_problem_of_a_status_that_it_does_not_answer_fails() -> None:
    gone = answered(type("Lost", (SessionNotFound,), {"status": 410})())
    with pytest.raises(AssertionError, match="410 is not described"):
        check(gone)
