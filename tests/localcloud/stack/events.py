"""A deployment's queues, rules and event source mappings as data, read from template.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from localcloud.stack.cloudformation import ACCOUNT, REGION, Resolver, TemplateError, Value, mapping, sequence, text
from localcloud.stack.event_pattern import Matcher, compiled

QUEUE_TYPE = "AWS::SQS::Queue"
BUS_TYPE = "AWS::Events::EventBus"
RULE_TYPE = "AWS::Events::Rule"
DEFAULT_BUS = "default"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"

_RULE_ATTEMPTS = 185
_RULE_AGE_SECONDS = 86_400
_VISIBILITY_SECONDS = 30.0
_RETENTION_SECONDS = 345_600.0
_LARGEST_MESSAGE_BYTES = 1_048_576
_LARGEST_FIFO_BATCH = 10


@dataclass(frozen=True)
class Redrive:
    """The queue for messages that were received `max_receives` times, by name."""

    dead_letters: str
    max_receives: int


@dataclass(frozen=True)
class QueueSpec:
    """An SQS queue. Its name is the logical id when the template gives none."""

    logical_id: str
    name: str
    fifo: bool = False
    content_deduplication: bool = False
    visibility_seconds: float = _VISIBILITY_SECONDS
    delay_seconds: float = 0.0
    retention_seconds: float = _RETENTION_SECONDS
    wait_seconds: float = 0.0
    largest_bytes: int = _LARGEST_MESSAGE_BYTES
    redrive: Redrive | None = None

    @property
    def arn(self) -> str:
        """The queue's ARN."""
        return QUEUE_ARN + self.name


@dataclass(frozen=True)
class RuleTarget:
    """A rule's target, and the queue for events that cannot be delivered to it.

    `given` is a constant in place of the event, `path` the dotted way to the part of it that is sent;
    `dead_letters` names a queue.
    """

    target_id: str
    arn: str
    group: str | None = None
    retries: int = _RULE_ATTEMPTS
    max_age_seconds: float = _RULE_AGE_SECONDS
    dead_letters: str | None = None
    given: str | None = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A rule on a bus, which `bus` names."""

    name: str
    bus: str
    matches: Matcher
    targets: tuple[RuleTarget, ...]

    @property
    def arn(self) -> str:
        """The rule's ARN."""
        name = self.name if self.bus == DEFAULT_BUS else f"{self.bus}/{self.name}"
        return f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"


@dataclass(frozen=True)
class EventSource:
    """An event source mapping: the queue that feeds a function, and how.

    `partial` says that the function's answer names the messages that failed.
    """

    function: str
    queue: str
    batch_size: int
    window_seconds: float
    partial: bool
    max_concurrency: int | None


@dataclass(frozen=True)
class EventStack:
    """A template's queues (by name), rules and event source mappings."""

    queues: Mapping[str, QueueSpec] = field(default_factory=dict)
    buses: frozenset[str] = frozenset({DEFAULT_BUS})
    rules: tuple[Rule, ...] = ()
    sources: tuple[EventSource, ...] = ()


def queue_named_by(arn: str) -> str | None:
    """Return the name in a queue's ARN; None for anything else."""
    return arn.removeprefix(QUEUE_ARN) if arn.startswith(QUEUE_ARN) else None


def read_events(
    resources: Mapping[str, Mapping[str, Value]], resolver: Resolver, sources: tuple[EventSource, ...]
) -> EventStack:
    """Read buses, rules and queues out of a template's resources. Raises TemplateError."""
    found: dict[str, list[tuple[str, dict[str, Value]]]] = {QUEUE_TYPE: [], BUS_TYPE: [], RULE_TYPE: []}
    for name, resource in resources.items():
        if (kind := resource.get("Type")) in found:
            properties = mapping(resolver.resolve(resource.get("Properties")), name)
            found[str(kind)].append((name, properties))
    queues = [_queue(name, resolver, properties) for name, properties in found[QUEUE_TYPE]]
    stack = EventStack(
        queues={queue.name: queue for queue in queues},
        buses=frozenset({DEFAULT_BUS, *(text(properties.get("Name")) for _, properties in found[BUS_TYPE])}),
        rules=tuple(
            rule for name, properties in found[RULE_TYPE] if (rule := _rule(name, properties)) and rule.targets
        ),
        sources=sources,
    )
    _check(stack)
    return stack


def event_source(function: str, event: Mapping[str, Value]) -> list[EventSource]:
    """Read a function's event of type SQS: one mapping, or none when it is switched off. Raises TemplateError."""
    if text(event.get("Enabled", "true")) == "false":
        return []
    queue = queue_named_by(text(event.get("Queue")))
    if queue is None:
        raise TemplateError(f"{function}: {event.get('Queue')!r} is not the ARN of a queue")
    types = [text(item) for item in sequence(event.get("FunctionResponseTypes"), function)]
    scaling = mapping(event.get("ScalingConfig"), function).get("MaximumConcurrency")
    return [
        EventSource(
            function=function,
            queue=queue,
            batch_size=int(text(event.get("BatchSize", "10"))),
            window_seconds=float(text(event.get("MaximumBatchingWindowInSeconds", "0"))),
            partial="ReportBatchItemFailures" in types,
            max_concurrency=None if scaling is None else int(text(scaling)),
        )
    ]


def _queue(logical_id: str, resolver: Resolver, properties: Mapping[str, Value]) -> QueueSpec:
    fifo = text(properties.get("FifoQueue")) == "true"
    name = text(resolver.resolve({"Fn::GetAtt": [logical_id, "QueueName"]}))
    if fifo != name.endswith(".fifo"):
        raise TemplateError(f"{logical_id}: a FIFO queue, and no other, has a name that ends in .fifo; found {name}")

    def number(key: str, default: float) -> float:
        return float(text(properties.get(key, default)))

    return QueueSpec(
        logical_id=logical_id,
        name=name,
        fifo=fifo,
        content_deduplication=text(properties.get("ContentBasedDeduplication")) == "true",
        visibility_seconds=number("VisibilityTimeout", _VISIBILITY_SECONDS),
        delay_seconds=number("DelaySeconds", 0.0),
        retention_seconds=number("MessageRetentionPeriod", _RETENTION_SECONDS),
        wait_seconds=number("ReceiveMessageWaitTimeSeconds", 0.0),
        largest_bytes=int(number("MaximumMessageSize", _LARGEST_MESSAGE_BYTES)),
        redrive=_redrive(logical_id, mapping(properties.get("RedrivePolicy"), logical_id)),
    )


def _redrive(logical_id: str, policy: Mapping[str, Value]) -> Redrive | None:
    if not policy:
        return None
    return Redrive(
        _dead_letters(logical_id, policy.get("deadLetterTargetArn")), int(text(policy.get("maxReceiveCount")))
    )


def _dead_letters(place: str, arn: Value) -> str:
    name = queue_named_by(text(arn))
    if name is None:
        raise TemplateError(f"{place}: its dead-letter queue {arn!r} is not the ARN of a queue")
    return name


def _rule(logical_id: str, properties: Mapping[str, Value]) -> Rule | None:
    """One rule; none when it is switched off or is a schedule."""
    if text(properties.get("State", "ENABLED")) == "DISABLED" or "EventPattern" not in properties:
        return None
    bus = text(properties.get("EventBusName", DEFAULT_BUS)).rpartition("/")[2]
    targets = [mapping(item, logical_id) for item in sequence(properties.get("Targets"), logical_id)]
    return Rule(
        name=text(properties.get("Name", logical_id)),
        bus=bus,
        matches=compiled(properties["EventPattern"], f"{logical_id}.EventPattern"),
        targets=tuple(_target(logical_id, target) for target in targets),
    )


def _target(rule: str, target: Mapping[str, Value]) -> RuleTarget:
    arn = text(target.get("Arn"))
    if queue_named_by(arn) is None:
        raise TemplateError(f"{rule}: only queues are targets here, found {arn}")
    if "InputTransformer" in target:
        raise TemplateError(f"{rule}: InputTransformer is not supported here")
    retry = mapping(target.get("RetryPolicy"), rule)
    dead_letters = mapping(target.get("DeadLetterConfig"), rule).get("Arn")
    group = mapping(target.get("SqsParameters"), rule).get("MessageGroupId")
    given, path = target.get("Input"), text(target.get("InputPath", "$"))
    return RuleTarget(
        target_id=text(target.get("Id")),
        arn=arn,
        group=None if group is None else text(group),
        retries=int(text(retry.get("MaximumRetryAttempts", _RULE_ATTEMPTS))),
        max_age_seconds=float(text(retry.get("MaximumEventAgeInSeconds", _RULE_AGE_SECONDS))),
        dead_letters=None if dead_letters is None else _dead_letters(rule, dead_letters),
        given=None if given is None else text(given),
        path=tuple(part for part in path.removeprefix("$").split(".") if part),
    )


def _check(stack: EventStack) -> None:
    """Refuse a stack that a deployment would refuse, or that would silently lose messages. Raises TemplateError."""
    for queue in stack.queues.values():
        if queue.redrive is None:
            continue
        letters = stack.queues.get(queue.redrive.dead_letters)
        if letters is None or letters.fifo != queue.fifo:
            raise TemplateError(f"{queue.logical_id}: its dead-letter queue must be in the template and of its kind")
    for source in stack.sources:
        declared = stack.queues.get(source.queue)
        if declared is None:
            raise TemplateError(f"{source.function}: queue {source.queue} is not in the template")
        if declared.fifo and source.batch_size > _LARGEST_FIFO_BATCH:
            raise TemplateError(f"{source.function}: a FIFO queue gives batches of {_LARGEST_FIFO_BATCH} at most")
    for rule in stack.rules:
        for target in rule.targets:
            letters = stack.queues.get(target.dead_letters or "")
            if target.dead_letters and (letters is None or letters.fifo):
                raise TemplateError(f"{rule.name}: a rule's dead-letter queue is a standard queue of the template")
