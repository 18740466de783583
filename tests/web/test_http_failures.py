"""The router between API Gateway's events and the layer: problems, unexpected errors, log lines, metrics."""

import io
import json

import psycopg
import pytest

from autodoctor.aws.errors import ServiceRefused, ServiceUnreachable
from autodoctor.errors import AssignmentUnavailable, Problem, Retired, SessionBusy
from autodoctor.observability import logger, metrics
from autodoctor.web.http import Request, Router
from autodoctor.web.schemas import RequestBody, ResponseModel
from support.http.lambda_event import REQUEST_ID, USER, Answer, call, claims, event

WISH = "POST /wishes"
PUBLIC = "GET /public"
FAILS = "POST /fails"
READS = "POST /reads"


class Wish(RequestBody):
    """A request."""

    wished_for: str | None = None


class Stated(RequestBody):
    """Input that a route declares but does not read."""


class Done(ResponseModel):
    """The answer of this test's routes."""


router = Router()
failures: list[Exception] = []


@router.route(WISH, groups=["customers"], body=Wish, headers=["idempotency-key"], status=201)
def grant(request: Request) -> Done:
    request.json(Wish)
    return Done()


@router.route(PUBLIC, groups=[])
def public(_request: Request) -> Done:
    return Done()


@router.route(READS, groups=[], body=Stated, query=["stated"])
def read(request: Request) -> Done:
    if request.query.get("body"):
        raise AssertionError("the route does not state this parameter")
    request.json(Wish)
    raise AssertionError("the route does not state this body")


@router.route(FAILS, groups=["customers"])
def fail(_request: Request) -> Done:
    raise failures[-1]


handler = router.handler()


def failing_with(failure: Exception) -> Answer:
    failures.append(failure)
    return call(handler, event(FAILS, caller=claims()))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The lines that the function writes to its log."""
    lines = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", lines)
    return lines


def test_an_error_is_a_problem_document() -> None:
    answer = failing_with(AssignmentUnavailable(USER))
    assert (answer.status, answer.headers["content-type"]) == (409, "application/problem+json")
    assert answer.json == {
        "type": "/problems/assignment-unavailable",
        "title": "Assignment unavailable",
        "status": 409,
        "detail": "This request is no longer available.",
        "assignmentId": str(USER),
    }


def test_a_problem_brings_its_own_headers() -> None:
    assert failing_with(SessionBusy()).headers["retry-after"] == "1"
    gone = failing_with(Retired("/api/intake/start"))
    assert (gone.status, gone.headers["link"]) == (410, '</api/intake/start>; rel="successor-version"')


def test_what_a_route_does_not_state_it_does_not_get(log: io.StringIO) -> None:
    assert call(handler, event(READS, {}, query={"stated": "1", "body": "1"}, headers={"accept": "*/*"})).status == 500
    assert json.loads(log.getvalue().splitlines()[0])["error"] == "Unstated"


def test_an_unexpected_error_is_a_bare_500(log: io.StringIO) -> None:
    answer = failing_with(KeyError("cora@example.com"))
    assert answer.status == 500
    assert answer.json == {"type": "about:blank", "status": 500, "requestId": REQUEST_ID}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == REQUEST_ID
    line = json.loads(log.getvalue().splitlines()[0])
    assert (line["level"], line["message"], line["error"]) == ("ERROR", "unexpected", "KeyError")
    assert any("test_http_failures.py" in frame for frame in line["frames"])


@pytest.mark.parametrize(
    ("failure", "message", "facts"),
    [
        (psycopg.OperationalError("no route"), "database unavailable", None),
        (
            ServiceRefused("sqs", "SendMessage", 400, "QueueDoesNotExist"),
            "service unavailable",
            {"service": "sqs", "action": "SendMessage", "status": 400, "code": "QueueDoesNotExist"},
        ),
        (ServiceUnreachable("lambda"), "service unavailable", {"service": "lambda"}),
    ],
)
def test_the_log_says_what_was_unavailable(
    log: io.StringIO, failure: Exception, message: str, facts: dict[str, object] | None
) -> None:
    answer = failing_with(failure)
    assert (answer.status, answer.slug, answer.headers["retry-after"]) == (503, "service-unavailable", "2")
    line = json.loads(log.getvalue().splitlines()[0])
    assert (line["message"], line["error"]) == (message, type(failure).__name__)
    assert line.get("aws") == facts


def test_another_error_of_the_system_is_unexpected(log: io.StringIO) -> None:
    assert failing_with(FileNotFoundError("a file of ours")).status == 500
    assert json.loads(log.getvalue().splitlines()[0])["message"] == "unexpected"


def test_the_message_of_an_exception_is_not_logged(log: io.StringIO) -> None:
    failing_with(ValueError("cora@example.com lives at 5 Elm Street"))
    assert "cora" not in log.getvalue()
    assert "Elm" not in log.getvalue()


def test_one_line_a_request_with_its_correlation_id(log: io.StringIO) -> None:
    call(handler, event(WISH, {"wishedFor": "secret wish"}, caller=claims(), headers={"idempotency-key": "secret key"}))
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert (line["message"], line["route"], line["status"]) == ("request", WISH, 201)
    assert line["correlation_id"] == REQUEST_ID
    assert line["timestamp"].endswith("+00:00")
    assert "secret" not in log.getvalue()
    assert str(USER) not in log.getvalue()


def test_what_one_request_logs_does_not_stick_to_the_next(log: io.StringIO) -> None:
    call(handler, event(WISH, {}, caller=claims()))
    call(handler, {**event(PUBLIC), "requestContext": {"requestId": "second"}})
    first, second = map(json.loads, log.getvalue().splitlines())
    assert (first["correlation_id"], second["correlation_id"]) == (REQUEST_ID, "second")


def test_a_success_is_counted_and_a_refusal_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    counted = Router()
    counted.route(WISH, groups=["customers"], body=Wish, metric="Wishes")(grant)
    call(counted.handler(), event(WISH, caller=claims("[mechanics]")))
    assert "_aws" not in capsys.readouterr().out
    call(counted.handler(), event(WISH, caller=claims()))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [line["Wishes"] for line in lines] == [[1.0]]


def test_what_cannot_be_counted_has_been_done(monkeypatch: pytest.MonkeyPatch, log: io.StringIO) -> None:
    counted = Router()
    counted.route(WISH, groups=["customers"], body=Wish, metric="Wishes", status=201)(grant)
    monkeypatch.setattr(metrics, "namespace", None)
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE", raising=False)
    assert call(counted.handler(), event(WISH, caller=claims())).status == 201
    metrics.clear_metrics()
    failure, _request = map(json.loads, log.getvalue().splitlines())
    assert (failure["message"], failure["error"]) == ("not counted", "SchemaValidationError")


def problems(kind: type[Problem]) -> list[type[Problem]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in problems(child))]


def test_every_problem_has_a_slug_of_its_own() -> None:
    named = [kind for kind in problems(Problem)[1:] if "slug" in vars(kind)]
    slugs = [kind.slug for kind in named]
    assert len(set(slugs)) == len(slugs)
    assert all(400 <= kind.status < 600 and kind.title for kind in named)


@pytest.mark.parametrize("key", ["$default", "GET /api/nowhere"])
def test_a_route_that_the_function_does_not_have_is_not_found(key: str) -> None:
    answer = call(router.handler(), {**event("GET /api/nowhere"), "routeKey": key})
    assert (answer.status, answer.json["type"]) == (404, "/problems/not-found")


def test_every_answer_asks_for_https_and_is_what_it_says() -> None:
    answer = call(router.handler(), event(PUBLIC))
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["x-content-type-options"] == "nosniff"
