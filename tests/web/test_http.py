"""The router between API Gateway's events and the layer: identity, bodies, headers."""

import base64
import json
from typing import Annotated, Any

import pytest
from pydantic import Field

from autodoctor.errors import SessionNotFound
from autodoctor.web.http import Content, Request, Router
from autodoctor.web.schemas import RequestBody
from autodoctor.web.schemas import ResponseModel as Model
from support.http.lambda_event import REQUEST_ID, USER, Answer, call, claims, event

WISH = "POST /wishes/{wishId}"
PUBLIC = "GET /public"
PAGE = "GET /page"
EITHER = "GET /either"


class Wheel(RequestBody):
    """Part of a request."""

    size_inch: Annotated[int, Field(ge=10)]


class Wish(RequestBody):
    """A request."""

    wished_for: str | None = None
    wheels: tuple[Wheel, ...] = ()


class Granted(Model):
    """The answer of this test's routes: the input they were given."""

    user_id: str
    groups: list[str]
    wished_for: str | None
    key: str | None


class Promised(Model):
    """The other answer of a route that has two."""


router = Router()


@router.route(WISH, groups=["customers", "admins"], body=Wish, headers=["idempotency-key"], status=201)
def grant(request: Request) -> Granted:
    request.id("wishId", SessionNotFound)
    return Granted(
        user_id=str(request.caller.user_id),
        groups=sorted(request.caller.groups),
        wished_for=request.json(Wish).wished_for,
        key=request.headers.get("idempotency-key"),
    )


@router.route(PUBLIC, groups=[])
def public(request: Request) -> Granted:
    return Granted(user_id=str(request.caller.user_id), groups=[], wished_for=None, key=None)


@router.route(PAGE, groups=[], query=["missing"])
def page(request: Request) -> Content:
    status = 404 if request.query.get("missing") else None
    return Content("<p>a page", "text/html; charset=utf-8", status, {"Content-Security-Policy": "default-src 'none'"})


@router.route(EITHER, groups=[], query=["later"], status={Granted: 201, Promised: 202})
def either(request: Request) -> Granted | Promised:
    granted = Granted(user_id=str(request.caller.user_id), groups=[], wished_for=None, key=None)
    return Promised() if request.query.get("later") else granted


handler = router.handler()
WISH_ID = {"wishId": "0197d3a5-0000-7000-8000-000000000001"}


def wish(body: object = None, **parts: Any) -> Answer:  # noqa: ANN401 (as `event` takes them)
    return call(handler, event(WISH, body, **{"caller": claims(), "path": WISH_ID, **parts}))


# --- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"wheels": 5}, {"wishedFor": "\x00"}])
def test_every_answer_has_no_store_and_the_request_id(body: object) -> None:
    answer = wish(body)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"] == REQUEST_ID


def test_success_is_json() -> None:
    answer = wish({"wishedFor": "a Volvo"})
    assert (answer.status, answer.headers["content-type"]) == (201, "application/json")
    assert answer.json == {"userId": str(USER), "groups": ["customers"], "wishedFor": "a Volvo", "key": None}


def test_each_model_has_its_status() -> None:
    assert call(handler, event(EITHER)).status == 201
    assert call(handler, event(EITHER, query={"later": "1"})).status == 202


def test_a_page_is_sent_as_it_is_with_its_own_headers_and_ours() -> None:
    answer = call(handler, event(PAGE))
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    assert answer.headers["cache-control"] == "no-store"
    assert call(handler, event(PAGE, query={"missing": "1"})).status == 404


def test_a_query_that_cannot_be_stored_is_refused_with_its_name() -> None:
    answer = call(handler, event(PAGE, query={"missing": "a\x00", "ignored": "\x00"}))
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/missing")
    assert call(handler, event(PAGE, query={"ignored": "\x00"})).status == 200


# --- who calls ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("[customers]", ["customers"]),
        ("[customers admins]", ["admins", "customers"]),
        ("[[admins] customers]", ["[admins]", "customers"]),
        ("customers", ["customers"]),
    ],
)
def test_groups_come_flattened_into_one_string(groups: str, expected: list[str]) -> None:
    assert wish(caller=claims(groups)).json["groups"] == expected


def test_a_comma_is_part_of_a_groups_name() -> None:
    assert wish(caller=claims("[foo,customers]")).status == 403


@pytest.mark.parametrize(
    "groups", ["[mechanics]", "[]", "", "[customersx]", "[xcustomers mechanics]", "[[customers]]", None]
)
def test_a_caller_outside_the_routes_groups_is_refused(groups: str | None) -> None:
    answer = wish(caller=claims(groups))
    assert (answer.status, answer.slug) == (403, "forbidden")


@pytest.mark.parametrize("token_use", ["id", "refresh", "", "ACCESS", None])
def test_only_an_access_token_is_a_login(token_use: str | None) -> None:
    answer = wish(caller=claims(token_use=token_use))
    assert (answer.status, answer.slug) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("sub", ["", "somebody", "1234", "c0000000-0000-4000-8000-00000000000", None])
def test_a_subject_that_is_no_uuid_is_not_a_login(sub: str | None) -> None:
    assert wish(caller=claims(sub=sub)).status == 401


def test_without_any_claims_nobody_is_logged_in() -> None:
    assert wish(caller=None).status == 401
    assert wish(caller={}).status == 401


def test_who_is_not_let_in_learns_nothing_of_the_body() -> None:
    assert wish(raw="{", caller=None).status == 401
    assert wish(raw="{", caller=claims("[mechanics]")).status == 403


def test_a_public_route_asks_for_nothing() -> None:
    answer = call(handler, event(PUBLIC))
    assert (answer.status, answer.json["userId"]) == (200, "00000000-0000-0000-0000-000000000000")


# --- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [None, "", " \n\t"])
def test_an_empty_body_is_an_empty_object(raw: str | None) -> None:
    assert wish(raw=raw).status == 201


def test_a_body_may_come_base64_encoded() -> None:
    raw = base64.b64encode('{"wishedFor": "Škoda"}'.encode()).decode()
    assert wish(raw=raw, base64=True).json["wishedFor"] == "Škoda"


@pytest.mark.parametrize("raw", ["e30=e", "****", "{}", "Škoda"])
def test_a_body_that_only_claims_to_be_base64_is_malformed(raw: str) -> None:
    answer = wish(raw=raw, base64=True)
    assert (answer.status, answer.slug) == (400, "malformed-json")


@pytest.mark.parametrize(
    "raw",
    [
        "{",
        "}",
        "wish",
        "{'wishedFor': 1}",
        '{"wishedFor": "a" "b"}',
        '{"wishedFor": NaN}',
        '{"anything": Infinity}',
        '{"anything": [-Infinity]}',
        '{"wishedFor": "a"} x',
        '{"wishedFor": "line\nbreak"}',
        '{"wishedFor": "\\ud8"}',
        '{"number": 1' + "0" * 5000 + "}",
        "\ufeff{}",
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
    ],
    ids=range(15),
)
def test_what_is_not_json_is_malformed(raw: str) -> None:
    answer = wish(raw=raw)
    assert (answer.status, answer.slug) == (400, "malformed-json")
    assert answer.json["title"] == "Malformed JSON"


@pytest.mark.parametrize("depth", [100, 190, 210, 500, 980, 3000])
def test_nesting_is_either_ignored_or_malformed(depth: int) -> None:
    answer = wish(raw='{"unknown": ' + "[" * depth + "]" * depth + "}")
    assert answer.status in {201, 400}


@pytest.mark.parametrize("encoded", [b'{"wishedFor": "\xff"}', b"\xed\xa0\x80", '{"a": 1}'.encode("utf-16")])
def test_what_is_not_utf_8_is_malformed(encoded: bytes) -> None:
    assert wish(raw=base64.b64encode(encoded).decode(), base64=True).status == 400


@pytest.mark.parametrize("body", [None, True, 5, "wish", [], [{}]])
def test_json_that_is_no_object_is_invalid(body: object) -> None:
    answer = wish(raw=json.dumps(body))
    assert (answer.status, answer.slug, answer.pointers) == (422, "validation", [""])


def test_unknown_fields_are_ignored() -> None:
    assert wish({"wishedFor": "a", "status": "completed", "user_id": 5}).status == 201


def test_an_invalid_value_is_pointed_at() -> None:
    answer = wish({"wishedFor": 5, "wheels": [{"sizeInch": 17}, {"sizeInch": 3}, {}]})
    assert answer.status == 422
    assert answer.pointers == ["/wishedFor", "/wheels/1/sizeInch", "/wheels/2/sizeInch"]
    assert all(error["detail"] for error in answer.json["errors"])


def test_types_are_not_coerced() -> None:
    answer = wish({"wheels": [{"sizeInch": "17"}, {"sizeInch": True}, {"sizeInch": 17.0}]})
    assert answer.status == 422
    assert [pointer for pointer in answer.pointers if pointer.endswith("sizeInch")] == answer.pointers


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ('{"wishedFor": "a\\u0000b"}', "/wishedFor"),
        ('{"wishedFor": "\\ud83d"}', "/wishedFor"),
        ('{"wishedFor": "\\ude00\\ud83d"}', "/wishedFor"),
        ('{"unknown": "\\u0000"}', "/unknown"),
        ('{"unknown": {"deep": ["", "\\udfff"]}}', "/unknown/deep/1"),
        ('{"a/b": {"c~d": "\\u0000"}}', "/a~1b/c~0d"),
        ('{"\\u0000": 1}', ""),
        ('{"wheels": [{"\\ud800": 1}]}', "/wheels/0"),
    ],
)
def test_text_that_cannot_be_stored_is_invalid_wherever_it_stands(raw: str, pointer: str) -> None:
    answer = wish(raw=raw)
    assert (answer.status, answer.pointers) == (422, [pointer])


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert wish(raw='{"wishedFor": "\\ud83d\\ude00"}').json["wishedFor"] == "😀"


@pytest.mark.parametrize("wish_id", ["5", "", "x" * 36, "\x00", "0197d3a5-0000-7000-8000-00000000000g"])
def test_an_id_that_is_none_is_not_found(wish_id: str) -> None:
    answer = wish(path={"wishId": wish_id})
    assert (answer.status, answer.slug) == (404, "not-found")
