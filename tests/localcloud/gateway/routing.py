"""Finds the HTTP API's route for a request, by API Gateway's rules of priority."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from localcloud.stack.http_api import Route

# Smaller is more specific; compared segment by segment from the left.
_LITERAL, _PARAMETER, _GREEDY, _DEFAULT = range(4)


@dataclass(frozen=True)
class Match:
    """A route, and the values of its variables in this request, percent-decoded."""

    route: Route
    parameters: Mapping[str, str]


class Router:
    """Finds routes. Literal segments come before variables, greedy ones last, a method before ANY."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, route.path.split("/")[1:]) for route in sorted(routes, key=_specificity)]

    def find(self, method: str, path: str) -> Match | None:
        """Return the most specific route for a raw path, or None."""
        given = path.split("/")[1:]
        for route, segments in self._routes:
            if route.method not in (method, "ANY"):
                continue
            if route.path == "$default":
                return Match(route, {})
            parameters = _parameters(segments, given)
            if parameters is not None:
                return Match(route, parameters)
        return None


def _specificity(route: Route) -> tuple[list[int], bool]:
    if route.path == "$default":
        return [_DEFAULT], True
    return [_kind(segment) for segment in route.path.split("/")[1:]], route.method == "ANY"


def _kind(segment: str) -> int:
    if not segment.startswith("{"):
        return _LITERAL
    return _GREEDY if segment.endswith("+}") else _PARAMETER


def _parameters(pattern: list[str], given: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for index, segment in enumerate(pattern):
        if index >= len(given):
            return None
        kind = _kind(segment)
        if kind == _GREEDY:
            # also the slash alone, which no route may end with: storacha/w3infra#166
            return {**found, segment[1:-2]: unquote("/".join(given[index:]))}
        if kind == _PARAMETER:
            if not given[index]:
                return None
            found[segment[1:-1]] = unquote(given[index])
        elif segment != given[index]:
            return None
    return found if len(pattern) == len(given) else None
