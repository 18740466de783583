"""A request is routed as API Gateway would route it."""

import pytest

from localcloud.gateway.routing import Router
from localcloud.stack.http_api import Route

KEYS = (
    "ANY /pets/{proxy+}",
    "GET /pets/{id}",
    "GET /pets/dog",
    "ANY /pets/dog",
    "GET /pets/dog/1",
    "GET /pets/dog/{id}",
    "POST /pets/{id}/toys/{toy}",
    "$default",
)


def route(key: str) -> Route:
    method, _, path = key.rpartition(" ")
    return Route(method or "ANY", path, "F", None, (), 30.0, None)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/dog", "GET /pets/dog", {}),
        ("PUT", "/pets/dog", "ANY /pets/dog", {}),
        ("GET", "/pets/cat", "GET /pets/{id}", {"id": "cat"}),
        ("PUT", "/pets/cat", "ANY /pets/{proxy+}", {"proxy": "cat"}),
        ("GET", "/pets/cat/1/2", "ANY /pets/{proxy+}", {"proxy": "cat/1/2"}),
        ("POST", "/pets/1/toys/2", "POST /pets/{id}/toys/{toy}", {"id": "1", "toy": "2"}),
        ("GET", "/pets/a%2Fb%20c", "GET /pets/{id}", {"id": "a/b c"}),
        ("GET", "/pets/", "ANY /pets/{proxy+}", {"proxy": ""}),
        ("GET", "/pets", "$default", {}),
        ("GET", "/", "$default", {}),
        ("GET", "/Pets/dog", "$default", {}),
    ],
)
def test_picks_the_most_specific_route(method: str, path: str, key: str, parameters: dict[str, str]) -> None:
    match = Router(map(route, KEYS)).find(method, path)
    assert match is not None
    assert (match.route.key, match.parameters) == (key, parameters)


@pytest.mark.parametrize(("method", "path"), [("GET", "/other"), ("POST", "/pets/dog"), ("GET", "/pets/dog/")])
def test_finds_nothing_where_nothing_fits(method: str, path: str) -> None:
    assert Router([route("GET /pets/dog"), route("GET /pets/{id}")]).find(method, path) is None
