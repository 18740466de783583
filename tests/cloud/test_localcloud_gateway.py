"""The HTTP API as API Gateway runs it: events in format 2.0, answers, limits, and its own refusals."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from support.cloud.engine import Engine, wait_until_printed

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{15}=")


def event_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    event = answer.json()["event"]
    assert isinstance(event, dict)
    return event


def message(answer: httpx.Response) -> tuple[int, object]:
    assert REQUEST_ID.fullmatch(answer.headers["apigw-requestid"])
    return answer.status_code, answer.json()


def test_builds_the_event_of_a_request(engine: Engine) -> None:
    answer = engine.http.post(
        "/public/a/b%20c?x=1&y=%C3%A9&x=2&empty=",
        headers=[("X-Twice", "one"), ("x-twice", "two"), ("Cookie", "a=1; b=2"), ("User-Agent", "test/1")],
        json={"do": "nothing"},
    )
    event = event_of(answer)
    context = event["requestContext"]
    assert event["version"] == "2.0"
    assert event["routeKey"] == context["routeKey"] == "ANY /public/{proxy+}"
    assert event["rawPath"] == "/public/a/b c"
    assert event["rawQueryString"] == "x=1&y=%C3%A9&x=2&empty="
    assert event["queryStringParameters"] == {"x": "1,2", "y": "é", "empty": ""}
    assert event["pathParameters"] == {"proxy": "a/b c"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-twice"] == "one,two"
    assert "cookie" not in event["headers"]
    assert json.loads(event["body"]) == {"do": "nothing"}
    assert event["isBase64Encoded"] is False
    assert context["requestId"] == answer.headers["apigw-requestid"]
    assert context["http"] == {
        "method": "POST",
        "path": "/public/a/b c",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "test/1",
    }
    assert context["stage"] == "$default"
    assert abs(context["timeEpoch"] / 1000 - time.time()) < 60
    assert "authorizer" not in context


def test_leaves_out_what_a_request_does_not_have(engine: Engine) -> None:
    event = event_of(engine.http.get("/public/x"))
    assert not {"body", "cookies", "queryStringParameters"} & set(event)


def test_hands_bytes_over_as_base64(engine: Engine) -> None:
    headers = {"content-type": "application/octet-stream"}
    event = event_of(engine.http.post("/public/x", content=b"\x00\xff", headers=headers))
    assert (event["body"], event["isBase64Encoded"]) == ("AP8=", True)


def answer_with(engine: Engine, answer: object) -> httpx.Response:
    return engine.http.post("/public/x", json={"do": "answer", "answer": answer})


def test_passes_an_answer_through_untouched(engine: Engine) -> None:
    answer = answer_with(
        engine,
        {
            "statusCode": 418,
            "headers": {"Content-Type": "text/x", "X-Number": 5, "Content-Length": "999"},
            "cookies": ["a=1", "b=2; HttpOnly"],
            "body": "aGk=",
            "isBase64Encoded": True,
        },
    )
    assert (answer.status_code, answer.content) == (418, b"hi")
    assert answer.headers["content-type"] == "text/x"
    assert answer.headers["x-number"] == "5"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2; HttpOnly"]


@pytest.mark.parametrize(("given", "body"), [({"a": 1}, {"a": 1}), ([1], [1]), (None, None)])
def test_infers_a_whole_answer_as_json(engine: Engine, given: object, body: object) -> None:
    answer = answer_with(engine, given)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == body


@pytest.mark.parametrize(
    "given",
    [
        {"statusCode": "many"},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "***", "isBase64Encoded": True},
        {"statusCode": 200, "headers": {"x": "a\r\ninjected: b"}},
    ],
)
def test_answers_500_for_an_answer_it_cannot_send(engine: Engine, given: object) -> None:
    assert message(answer_with(engine, given)) == (500, {"message": "Internal Server Error"})


@pytest.mark.parametrize(
    "order", [{"do": "raise", "message": "secret"}, {"do": "exit", "code": 1}], ids=["exception", "crash"]
)
def test_answers_500_when_the_function_fails(engine: Engine, order: object) -> None:
    assert message(engine.http.post("/public/x", json=order)) == (500, {"message": "Internal Server Error"})


def test_answers_500_when_the_function_cannot_start(engine: Engine) -> None:
    assert message(engine.http.get("/broken")) == (500, {"message": "Internal Server Error"})


@pytest.mark.parametrize("path", ["/single", "/hasty"], ids=["the function's limit", "the route's limit"])
def test_answers_503_when_the_function_is_too_slow(engine: Engine, path: str) -> None:
    answer = engine.http.post(path, json={"do": "sleep", "seconds": 5})
    assert message(answer) == (503, {"message": "Service Unavailable"})


def test_answers_503_when_the_function_is_throttled(engine: Engine) -> None:
    with ThreadPoolExecutor(1) as thread:
        told = "the only process of /single is at work"
        at_work = {"do": "sleep", "seconds": 0.5, "text": told}
        slow = thread.submit(engine.http.post, "/single", json=at_work)
        wait_until_printed(engine.lines, told)
        refused = engine.http.post("/single", json={})
        assert message(refused) == (503, {"message": "Service Unavailable"})
        assert slow.result().status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere"), ("GET", "/private/x"), ("GET", "/public"), ("POST", "/broken/")],
)
def test_answers_404_where_there_is_no_route(engine: Engine, method: str, path: str) -> None:
    assert message(engine.http.request(method, path)) == (404, {"message": "Not Found"})


def test_answers_413_above_10_mb(engine: Engine) -> None:
    answer = engine.http.post("/public/x", content=b"x" * (10 * 1024 * 1024 + 1))
    assert message(answer) == (413, {"message": "Request Entity Too Large"})


def test_answers_431_above_10_kb_of_headers(engine: Engine) -> None:
    answer = engine.http.get("/public/x", headers={"x-long": "x" * 10_300})
    assert message(answer) == (431, {"message": "Request Header Fields Too Large"})


def test_answers_429_above_the_routes_limit(engine: Engine) -> None:
    answers = [engine.http.get("/throttled") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert message(answers[2]) == (429, {"message": "Too Many Requests"})


def test_answers_a_preflight_request_itself(engine: Engine) -> None:
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    answer = engine.http.options("/private/x", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert answer.headers["access-control-allow-methods"] == "GET,POST"
    assert answer.headers["access-control-max-age"] == "600"


def test_tells_other_origins_nothing(engine: Engine) -> None:
    headers = {"Origin": "https://evil.example.com", "Access-Control-Request-Method": "POST"}
    for answer in (
        engine.http.options("/public/x", headers=headers),
        engine.http.get("/public/x", headers=headers),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_adds_cors_headers_also_to_its_own_refusals(engine: Engine) -> None:
    answer = engine.http.post("/private/x", headers={"Origin": "https://app.example.com"})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert answer.headers["access-control-expose-headers"] == "apigw-requestid"


def test_logs_a_line_per_hop_that_names_the_request_and_tells_no_secret(engine: Engine) -> None:
    token = engine.cloud.issuer.token("someone", ["customers"])
    answer = engine.http.post(
        "/private/x?query=secret", json={"do": "print", "text": "work"}, headers={"authorization": token}
    )
    own = [line for line in engine.lines if line.request_id == answer.headers["apigw-requestid"]]
    assert [line.kind for line in own] == ["log", "invoke", "request"]
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} request  POST /private/x 200 \d+ ms  \S{16}", str(own[-1]))
    assert not any(secret in str(line) for line in own for secret in (token, "secret"))
