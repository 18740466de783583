"""`autodoctor event` and `autodoctor sam-env`: what `sam local invoke` needs beside the template."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from autodoctor.operations.console import Refusal
from localcloud.commands.dev import TEMPLATE
from localcloud.compute.environment import Databases, launch_of
from localcloud.gateway.authorizer import Authorization, flat
from localcloud.gateway.http_payload import HttpRequest, event_of
from localcloud.gateway.routing import Match, Router
from localcloud.gateway.websocket_api import with_local_addresses
from localcloud.host.datadir import RunningServer
from localcloud.host.ports import LOOPBACK
from localcloud.identity.issuer import PATH as ISSUER_PATH
from localcloud.identity.issuer import access_claims
from localcloud.identity.roster import ROSTER, Person
from localcloud.stack.template import read_stack

DOCKER_HOST: Final = "host.docker.internal"
"""The name by which a container reaches the machine it runs on."""
_API: Final = "api.example.com"
_SECONDS: Final = 12 * 3600


class NoSuchRoute(Refusal):
    """The template has no such route."""

    def __init__(self, route: str) -> None:
        super().__init__(f"the template has no route for {route}; a route is METHOD /path, such as GET /api/plans")


class Unfilled(Refusal):
    """The path still has the name of a variable in place of its value."""

    def __init__(self, route: str) -> None:
        super().__init__(f"put a value in place of what is in braces: {route}")


class Protected(Refusal):
    """A caller is needed, and none or an unknown one was named."""

    def __init__(self, route: str) -> None:
        super().__init__(f"{route} needs --as with one of {', '.join(person.key for person in ROSTER)}")


def gateway_event(route: str, caller: str | None, body: bytes) -> dict[str, object]:
    """Return the event that API Gateway makes of a request (HTTP API, payload 2.0).

    Args:
        route: method and path, with a query if there is one.
        caller: whom of the roster the token belongs to; needed unless the route is public.
        body: as the client sends it, JSON.

    Raises:
        NoSuchRoute, Unfilled, Protected: what is asked does not fit the template.
    """
    method, _, target = route.strip().partition(" ")
    address = urlsplit(target.strip())
    if "{" in address.path:
        raise Unfilled(route)
    match = Router(read_stack(TEMPLATE, {}).routes).find(method.upper(), address.path)
    if match is None:
        raise NoSuchRoute(route)
    headers = [("Host", _API), ("Accept", "*/*"), ("User-Agent", "autodoctor")]
    if body:
        headers.append(("Content-Type", "application/json"))
    request = HttpRequest(
        request_id="JKJaXmPLvHcESHA=",
        method=method.upper(),
        path=address.path,
        query=address.query,
        headers=headers,
        body=body,
        source_ip="203.0.113.7",
        protocol="HTTP/1.1",
        port=443,
    )
    return event_of(request, match, _authorization(match, caller))


def _authorization(match: Match, caller: str | None) -> Authorization | None:
    """The authorizer's part of the event: none on a public route, whoever calls."""
    if match.route.authorizer is None:
        return None
    person = _person(caller)
    if person is None:
        raise Protected(match.route.key)
    claims = access_claims(str(person.sub), [person.group], issuer=f"https://{_API}", client_id="sam", seconds=_SECONDS)
    return Authorization({name: flat(value) for name, value in claims.items()}, None)


def _person(key: str | None) -> Person | None:
    return next((person for person in ROSTER if person.key == key), None)


def container_environment(
    server: RunningServer, stripe: Mapping[str, str], host: str = DOCKER_HOST
) -> dict[str, dict[str, str]]:
    """Return the variables of every function for `sam local --env-vars`, on the database of a running server.

    Only variables that the template declares: the SAM CLI drops all others without a word.

    Args:
        server: a running `autodoctor dev`.
        stripe: its keys of Stripe.
        host: where a container reaches this machine.
    """
    stack = with_local_addresses(read_stack(TEMPLATE, {}), server.api_url)
    issuers = {each.issuer: server.api_url + ISSUER_PATH for each in stack.authorizers.values()}
    databases = Databases(server.app_url, server.owner_url)
    found = {}
    with tempfile.TemporaryDirectory() as packages:  # of an import path, which the SAM CLI makes itself
        for name, spec in stack.functions.items():
            launch = launch_of(spec, databases, Path(packages), server.api_url).with_addresses(issuers)
            here = {**launch.environment, **stripe}
            found[name] = {each: here[each].replace(LOOPBACK, host) for each in spec.environment}
    return found
