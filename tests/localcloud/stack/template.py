"""The deployment as data: functions, routes, schedules and limits, read from template.yaml.

Works for the template in the repository and for the one that `sam build` writes, which points at built folders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.stack.buckets import NO_STORAGE, Storage, read_storage
from localcloud.stack.cloudformation import (
    STAND_IN,
    Resolver,
    TemplateError,
    Value,
    load,
    mapping,
    number,
    references,
    sequence,
    text,
)
from localcloud.stack.events import EventSource, EventStack, event_source, read_events
from localcloud.stack.http_api import API_TYPE, Cors, JwtAuthorizer, Route, read_authorizers, read_cors, read_route
from localcloud.stack.sockets import SocketApi, read_socket_apis

FUNCTION_TYPE = "AWS::Serverless::Function"
LAYER_TYPE = "AWS::Serverless::LayerVersion"
_FUNCTION_PROPERTIES = frozenset(
    {
        "CodeUri",
        "DeadLetterQueue",
        "Environment",
        "EventInvokeConfig",
        "Handler",
        "Layers",
        "LoggingConfig",
        "MemorySize",
        "ReservedConcurrentExecutions",
        "Runtime",
        "Timeout",
    }
)
_DEFAULT_TIMEOUT_SECONDS = 3
_DEFAULT_MEMORY_MB = 128


@dataclass(frozen=True)
class LayerSpec:
    """A layer: the folder of its packages, and the pins to install them from when it is not built."""

    logical_id: str
    packages: Path
    requirements: Path | None
    built: bool = False


@dataclass(frozen=True)
class AsyncPolicy:
    """The handling of failed asynchronous events: number of retries, maximum age, dead-letter queue.

    None: the template does not set it.
    """

    retries: int | None = None
    max_age_seconds: int | None = None
    dead_letter: str | None = None


@dataclass(frozen=True)
class FunctionSpec:
    """A function. `references` maps each variable of `environment` to the template's names in it."""

    logical_id: str
    code: Path
    handler: str
    runtime: str
    timeout_seconds: float
    memory_mb: int
    log_level: str | None
    environment: Mapping[str, str]
    references: Mapping[str, frozenset[str]]
    layers: tuple[LayerSpec, ...]
    reserved_concurrency: int | None
    failures: AsyncPolicy


@dataclass(frozen=True)
class Schedule:
    """A schedule of EventBridge (`source` aws.events) or of its Scheduler (aws.scheduler)."""

    name: str
    function: str
    expression: str
    timezone: str
    input: str | None
    source: str
    failures: AsyncPolicy


@dataclass(frozen=True)
class Stack:
    """Everything that the local cloud runs."""

    functions: Mapping[str, FunctionSpec]
    routes: tuple[Route, ...]
    schedules: tuple[Schedule, ...]
    authorizers: Mapping[str, JwtAuthorizer]
    cors: Cors | None
    events: EventStack
    sockets: tuple[SocketApi, ...] = ()
    storage: Storage = NO_STORAGE


def read_stack(template: Path, overrides: Mapping[str, str]) -> Stack:
    """Read the template under the given parameter values. Raises TemplateError."""
    document = load(template)
    return _Reader(template, document, Resolver(document, overrides)).stack()


class _Reader:
    def __init__(self, template: Path, document: Mapping[str, Value], resolver: Resolver) -> None:
        self._folder = template.resolve().parent
        self._resolver = resolver
        self._globals = mapping(document.get("Globals"), "Globals")
        self._resources = {
            name: resource
            for name, raw in mapping(document["Resources"], "Resources").items()
            if self._exists(resource := mapping(raw, name))
        }

    def _exists(self, resource: Mapping[str, Value]) -> bool:
        name = resource.get("Condition")
        return name is None or self._resolver.condition(text(name))

    def stack(self) -> Stack:
        functions = {name: self._function(name) for name in self._of_type(FUNCTION_TYPE)}
        api = self._api()
        routes: list[Route] = []
        schedules: list[Schedule] = []
        sources: list[EventSource] = []
        for function in functions:
            for name, event in self._events(function):
                properties = mapping(event.get("Properties"), name)
                kind = text(event.get("Type"))
                if kind == "HttpApi":
                    routes.append(read_route(function, properties, api))
                elif kind in ("Schedule", "ScheduleV2"):
                    schedules.extend(_schedule(f"{function}{name}", function, kind, properties))
                elif kind == "SQS":
                    sources.extend(event_source(function, properties))
                elif kind in ("CloudWatchEvent", "EventBridgeRule"):
                    raise TemplateError(f"{function}: {name} is a rule; here a queue stands between rule and function")
        events = read_events(self._resources, self._resolver, tuple(sources))
        sockets = read_socket_apis(self._resources, self._resolver)
        storage = read_storage(self._resources, self._resolver)
        return Stack(
            functions, tuple(routes), tuple(schedules), read_authorizers(api), read_cors(api), events, sockets, storage
        )

    def _of_type(self, kind: str) -> list[str]:
        return [name for name, resource in self._resources.items() if resource.get("Type") == kind]

    def _raw_properties(self, name: str, section: str) -> dict[str, Value]:
        """A resource's properties combined with the Globals of its kind: mappings merge, lists are joined."""
        common = mapping(self._globals.get(section), f"Globals.{section}")
        return _merged(common, mapping(self._resources[name].get("Properties"), name))

    def _function(self, name: str) -> FunctionSpec:
        raw = self._raw_properties(name, "Function")
        variables = mapping(mapping(raw.get("Environment"), name).get("Variables"), name)
        wanted = {key: item for key, item in raw.items() if key in _FUNCTION_PROPERTIES}
        properties = mapping(self._resolver.resolve(wanted), name)
        for required in ("CodeUri", "Handler", "Runtime"):
            if required not in properties:
                raise TemplateError(f"{name}: no {required}")
        environment = mapping(mapping(properties.get("Environment"), name).get("Variables"), name)
        reserved = properties.get("ReservedConcurrentExecutions")
        return FunctionSpec(
            logical_id=name,
            code=self._folder / text(properties["CodeUri"]),
            handler=text(properties["Handler"]),
            runtime=text(properties["Runtime"]),
            timeout_seconds=float(text(properties.get("Timeout", _DEFAULT_TIMEOUT_SECONDS))),
            memory_mb=int(text(properties.get("MemorySize", _DEFAULT_MEMORY_MB))),
            log_level=_log_level(mapping(properties.get("LoggingConfig"), name)),
            environment={key: text(value) for key, value in environment.items()},
            references={key: references(value) for key, value in variables.items()},
            layers=self._layers(name, sequence(properties.get("Layers"), name)),
            reserved_concurrency=None if reserved is None else int(text(reserved)),
            failures=_invoke_policy(properties),
        )

    def _layers(self, function: str, names: list[Value]) -> tuple[LayerSpec, ...]:
        """The function's own layers; one given by ARN, directly or by a parameter, has no files here."""
        found = []
        for name in map(text, names):
            if name.startswith(("arn:", STAND_IN)):
                continue
            if name not in self._of_type(LAYER_TYPE):
                raise TemplateError(f"{function}: layer {name} is not in the template")
            found.append(self._layer(name))
        return tuple(filter(None, found))

    def _layer(self, name: str) -> LayerSpec | None:
        """A layer's files; None where only `sam build` makes them."""
        properties = mapping(self._resolver.resolve(self._resources[name].get("Properties")), name)
        content = self._folder / text(properties.get("ContentUri"))
        if (content / "python").is_dir():
            return LayerSpec(name, content / "python", None, built=True)
        if mapping(self._resources[name].get("Metadata") or {}, name).get("BuildMethod") == "makefile":
            return None
        requirements = content / "requirements.txt"
        return LayerSpec(name, content, requirements if requirements.is_file() else None)

    def _api(self) -> dict[str, Value]:
        names = self._of_type(API_TYPE)
        if len(names) > 1:
            raise TemplateError(f"one HTTP API is supported, found {', '.join(names)}")
        raw = (
            self._raw_properties(names[0], "HttpApi")
            if names
            else mapping(self._globals.get("HttpApi"), "Globals.HttpApi")
        )
        return mapping(self._resolver.resolve(raw), API_TYPE)

    def _events(self, function: str) -> list[tuple[str, dict[str, Value]]]:
        properties = mapping(self._resources[function].get("Properties"), function)
        events = mapping(self._resolver.resolve(properties.get("Events")), function)
        return [(name, mapping(event, name)) for name, event in events.items()]


def _merged(common: Mapping[str, Value], own: Mapping[str, Value]) -> dict[str, Value]:
    result = dict(common)
    for key, value in own.items():
        before = result.get(key)
        if isinstance(before, dict) and isinstance(value, dict) and not _is_intrinsic(value):
            result[key] = _merged(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            result[key] = before + value
        else:
            result[key] = value
    return result


def _is_intrinsic(value: Mapping[str, Value]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::"))


def _log_level(config: Mapping[str, Value]) -> str | None:
    """The level by which Lambda filters lines of JSON; it tells the function so."""
    return text(config.get("ApplicationLogLevel", "INFO")) if config.get("LogFormat") == "JSON" else None


def _invoke_policy(properties: Mapping[str, Value]) -> AsyncPolicy:
    config = mapping(properties.get("EventInvokeConfig"), "EventInvokeConfig")
    destinations = mapping(config.get("DestinationConfig"), "DestinationConfig")
    failure = mapping(destinations.get("OnFailure"), "OnFailure")
    queue = mapping(properties.get("DeadLetterQueue"), "DeadLetterQueue")
    target = failure.get("Destination") or queue.get("TargetArn") or failure.get("Type")
    return AsyncPolicy(
        retries=number(config.get("MaximumRetryAttempts")),
        max_age_seconds=number(config.get("MaximumEventAgeInSeconds")),
        dead_letter=text(target) if target else None,
    )


def _schedule(name: str, function: str, kind: str, event: Mapping[str, Value]) -> list[Schedule]:
    """One schedule; none when it is switched off."""
    if text(event.get("State", "ENABLED")) == "DISABLED" or text(event.get("Enabled", "true")) == "false":
        return []
    retry = mapping(event.get("RetryPolicy"), name)
    dead_letter = mapping(event.get("DeadLetterConfig"), name)
    target = dead_letter.get("Arn") or dead_letter.get("Type")
    given = event.get("Input")
    return [
        Schedule(
            name=text(event.get("Name", name)),
            function=function,
            expression=text(event.get("ScheduleExpression", event.get("Schedule"))),
            timezone=text(event.get("ScheduleExpressionTimezone", "UTC")),
            input=None if given is None else text(given),
            source="aws.scheduler" if kind == "ScheduleV2" else "aws.events",
            failures=AsyncPolicy(
                retries=number(retry.get("MaximumRetryAttempts")),
                max_age_seconds=number(retry.get("MaximumEventAgeInSeconds")),
                dead_letter=text(target) if target else None,
            ),
        )
    ]
