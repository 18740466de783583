"""The WebSocket APIs of a template: routes, stages, and the addresses they have on one machine.

A deployed API has a host of its own; here each has a path on the gateway's port.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localcloud.stack.cloudformation import Resolver, TemplateError, Value, mapping, text

API_TYPE = "AWS::ApiGatewayV2::Api"
PREFIX = "/_ws"
CONNECT, DISCONNECT, DEFAULT = "$connect", "$disconnect", "$default"
_DEFAULT_SELECTION = "$request.body.action"
_LONGEST_INTEGRATION_MS = 29_000
_FUNCTION_OF_URI = re.compile(r"/functions/([^/]+)/invocations$")
_SELECTION = re.compile(r"^\$\{?request\.body\.([\w.]+)\}?$")


@dataclass(frozen=True)
class SocketTarget:
    """A route's function, and the gateway's time-out for it."""

    function: str
    timeout_seconds: float


@dataclass(frozen=True)
class SocketApi:
    """One stage of a WebSocket API.

    `selection` is the path to the route's name in a JSON message; `stage_id` is the stage's logical id, the value
    of `Ref` in the resolved template.
    """

    logical_id: str
    stage: str
    stage_id: str
    routes: Mapping[str, SocketTarget]
    selection: tuple[str, ...]

    @property
    def path(self) -> str:
        """The path for clients, on the gateway's port."""
        return f"{PREFIX}/{self.logical_id}/{self.stage}"


def read_socket_apis(resources: Mapping[str, Mapping[str, Value]], resolver: Resolver) -> tuple[SocketApi, ...]:
    """Read the WebSocket APIs among the resources, one item per stage. Raises TemplateError."""
    found = []
    for api, properties in _of_type(resources, resolver, API_TYPE):
        if text(properties.get("ProtocolType")) != "WEBSOCKET":
            continue
        selection = _selection(api, text(properties.get("RouteSelectionExpression", _DEFAULT_SELECTION)))
        routes = _routes(api, resources, resolver)
        for stage_id, stage in _of_type(resources, resolver, "AWS::ApiGatewayV2::Stage"):
            if text(stage.get("ApiId")) == api:
                found.append(SocketApi(api, text(stage.get("StageName")), stage_id, routes, selection))
    return tuple(found)


def localized(value: str, apis: Iterable[SocketApi], base_url: str) -> str:
    """Return `value` with every address of a WebSocket API replaced by one under `base_url` (an HTTP origin)."""
    origin = base_url.partition("://")[2]
    for api in apis:
        host = rf"(wss|https)://{re.escape(api.logical_id)}\.execute-api\.[\w.-]+"
        stage = rf"(?:/(?:{re.escape(api.stage)}|{re.escape(api.stage_id)})\b)?"

        def local(match: re.Match[str], path: str = api.path) -> str:
            scheme = "ws" if match.group(1) == "wss" else "http"
            return f"{scheme}://{origin}{path}"

        value = re.sub(host + stage, local, value)
    return value


def _of_type(
    resources: Mapping[str, Mapping[str, Value]], resolver: Resolver, kind: str
) -> list[tuple[str, dict[str, Value]]]:
    return [
        (name, mapping(resolver.resolve(resource.get("Properties")), name))
        for name, resource in resources.items()
        if resource.get("Type") == kind
    ]


def _selection(api: str, expression: str) -> tuple[str, ...]:
    match = _SELECTION.match(expression)
    if match is None:
        raise TemplateError(f"{api}: route selection {expression} is not supported, only $request.body.NAME")
    return tuple(match.group(1).split("."))


def _routes(api: str, resources: Mapping[str, Mapping[str, Value]], resolver: Resolver) -> dict[str, SocketTarget]:
    integrations = dict(_of_type(resources, resolver, "AWS::ApiGatewayV2::Integration"))
    routes = {}
    for name, route in _of_type(resources, resolver, "AWS::ApiGatewayV2::Route"):
        if text(route.get("ApiId")) != api:
            continue
        integration = text(route.get("Target")).removeprefix("integrations/")
        if integration not in integrations:
            raise TemplateError(f"{name}: no integration {integration!r} in the template")
        routes[text(route.get("RouteKey"))] = _target(integration, integrations[integration], resources)
    return routes


def _target(name: str, integration: Mapping[str, Value], resources: Mapping[str, Mapping[str, Value]]) -> SocketTarget:
    match = _FUNCTION_OF_URI.search(text(integration.get("IntegrationUri")))
    if text(integration.get("IntegrationType")) != "AWS_PROXY" or match is None:
        raise TemplateError(f"{name}: only AWS_PROXY integrations of a function are supported")
    function = match.group(1).rpartition(":")[2]
    if function not in resources:
        raise TemplateError(f"{name}: no function {function} in the template")
    milliseconds = float(text(integration.get("TimeoutInMillis", _LONGEST_INTEGRATION_MS)))
    return SocketTarget(function, milliseconds / 1000)
