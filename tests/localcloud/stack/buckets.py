"""A deployment's buckets and malware protection plans as data, read from template.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.stack.cloudformation import Resolver, TemplateError, Value, mapping, sequence, text

BUCKET_TYPE = "AWS::S3::Bucket"
POLICY_TYPE = "AWS::S3::BucketPolicy"
PLAN_TYPE = "AWS::GuardDuty::MalwareProtectionPlan"
_TAG_CONDITION = "s3:ExistingObjectTag/"


@dataclass(frozen=True)
class CorsRule:
    """Which pages may use a bucket from a browser, and how."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age_seconds: int


@dataclass(frozen=True)
class BucketSpec:
    """A bucket.

    Attributes:
        notifies: whether its events go to the account's default bus.
        readable_if: tags, by name, without which its policy denies everybody to read an object.
    """

    name: str
    arn: str
    cors: tuple[CorsRule, ...]
    notifies: bool
    readable_if: Mapping[str, str]


@dataclass(frozen=True)
class ScanPlan:
    """GuardDuty's plan to scan what is uploaded to a bucket under one of the prefixes; perhaps it tags the result."""

    arn: str
    bucket: str
    prefixes: tuple[str, ...]
    tags: bool


@dataclass(frozen=True)
class Storage:
    """A template's buckets by name, and its plans."""

    buckets: Mapping[str, BucketSpec]
    plans: tuple[ScanPlan, ...]


NO_STORAGE = Storage({}, ())


def read_storage(resources: Mapping[str, Mapping[str, Value]], resolver: Resolver) -> Storage:
    """Read buckets, their policies and plans out of a template's resources. Raises TemplateError."""
    found: dict[str, dict[str, dict[str, Value]]] = {BUCKET_TYPE: {}, POLICY_TYPE: {}, PLAN_TYPE: {}}
    for name, resource in resources.items():
        if (kind := text(resource.get("Type"))) in found:
            found[kind][name] = mapping(resolver.resolve(resource.get("Properties")), name)
    tags: dict[str, dict[str, str]] = {}
    for name, policy in found[POLICY_TYPE].items():
        tags.setdefault(text(policy.get("Bucket")), {}).update(_tags_to_read(policy, name))
    buckets = [_bucket(name, resolver, properties, tags) for name, properties in found[BUCKET_TYPE].items()]
    plans = tuple(_plan(name, resolver, properties) for name, properties in found[PLAN_TYPE].items())
    named = {bucket.name: bucket for bucket in buckets}
    for plan in plans:
        if plan.bucket not in named:
            raise TemplateError(f"{plan.arn}: bucket {plan.bucket} is not in the template")
    return Storage(named, plans)


def _bucket(
    logical_id: str, resolver: Resolver, properties: Mapping[str, Value], tags: Mapping[str, Mapping[str, str]]
) -> BucketSpec:
    name = text(resolver.resolve({"Ref": logical_id}))
    cors = mapping(properties.get("CorsConfiguration"), logical_id)
    notifications = mapping(properties.get("NotificationConfiguration"), logical_id)
    bridge = mapping(notifications.get("EventBridgeConfiguration"), logical_id)
    return BucketSpec(
        name=name,
        arn=text(resolver.resolve({"Fn::GetAtt": [logical_id, "Arn"]})),
        cors=tuple(_cors(mapping(rule, logical_id)) for rule in sequence(cors.get("CorsRules"), logical_id)),
        notifies=bool(bridge) and text(bridge.get("EventBridgeEnabled", "true")) == "true",
        readable_if=tags.get(name, {}),
    )


def _cors(rule: Mapping[str, Value]) -> CorsRule:
    def texts(key: str) -> tuple[str, ...]:
        return tuple(text(item) for item in sequence(rule.get(key), key))

    return CorsRule(
        origins=texts("AllowedOrigins"),
        methods=texts("AllowedMethods"),
        headers=tuple(each.lower() for each in texts("AllowedHeaders")),
        exposed=texts("ExposedHeaders"),
        max_age_seconds=int(text(rule.get("MaxAge", 0))),
    )


def _tags_to_read(policy: Mapping[str, Value], place: str) -> dict[str, str]:
    """The tags without which a statement denies reading; its other conditions exempt principals that are not here."""
    found: dict[str, str] = {}
    document = mapping(policy.get("PolicyDocument"), place)
    for each in sequence(document.get("Statement"), place):
        statement = mapping(each, place)
        actions = statement.get("Action")
        denied = actions if isinstance(actions, list) else [actions]
        if statement.get("Effect") != "Deny" or "s3:GetObject" not in denied:
            continue
        wanted = mapping(mapping(statement.get("Condition"), place).get("StringNotEquals"), place)
        found.update(
            {key.removeprefix(_TAG_CONDITION): text(value) for key, value in wanted.items() if _TAG_CONDITION in key}
        )
    return found


def _plan(logical_id: str, resolver: Resolver, properties: Mapping[str, Value]) -> ScanPlan:
    bucket = mapping(mapping(properties.get("ProtectedResource"), logical_id).get("S3Bucket"), logical_id)
    tagging = mapping(mapping(properties.get("Actions"), logical_id).get("Tagging"), logical_id)
    return ScanPlan(
        arn=text(resolver.resolve({"Fn::GetAtt": [logical_id, "Arn"]})),
        bucket=text(bucket.get("BucketName")),
        prefixes=tuple(text(item) for item in sequence(bucket.get("ObjectPrefixes"), logical_id)) or ("",),
        tags=text(tagging.get("Status")) == "ENABLED",
    )
