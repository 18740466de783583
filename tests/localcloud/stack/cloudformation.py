"""Reads a CloudFormation template and evaluates its intrinsic functions, as far as one machine can.

Values that only a deployment knows get a readable placeholder: a resource's `Ref` is its logical id, an attribute is
`LogicalId.Attribute` (an ARN for `Arn`), and a parameter without default or override is `local-<Name>`. Queues, event
buses and buckets get values like AWS's, since the local services answer to them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml

type Value = str | int | float | bool | list[Value] | dict[str, Value] | None

REGION = "eu-central-1"
ACCOUNT = "123456789012"
STAND_IN = "local-"
QUEUES_URL = f"https://sqs.{REGION}.amazonaws.com/"

_NO_VALUE = "AWS::NoValue"
_FOR_EACH = "Fn::ForEach::"
_PSEUDO: Mapping[str, str] = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "autodoctor-local",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/autodoctor-local/local",
}
_SUB_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class TemplateError(Exception):
    """The template has something that we cannot read; the message names the place."""


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short tags."""


def _short_tag(loader: _Loader, suffix: str, node: yaml.Node) -> Value:
    value: Value
    if isinstance(node, yaml.ScalarNode):
        value = str(loader.construct_scalar(node))
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = {str(key): item for key, item in loader.construct_mapping(node, deep=True).items()}
    else:
        raise TemplateError(f"!{suffix}: not a scalar, sequence or mapping")
    if suffix == "GetAtt" and isinstance(value, str):
        value = list(value.split(".", 1))
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_tag)


def load(path: Path) -> dict[str, Value]:
    """Parse the template at `path`, with short tags in their long form and loops expanded.

    Raises:
        TemplateError: it cannot be parsed, has no Resources, or has a loop that we cannot expand.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - derives from CSafeLoader
    except (OSError, yaml.YAMLError) as error:
        raise TemplateError(f"{path}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise TemplateError(f"{path}: not a template, it has no Resources")
    document["Resources"] = _written_out(document["Resources"])
    return document


def _written_out(resources: Mapping[str, Value]) -> dict[str, Value]:
    """Replace every Fn::ForEach among the resources by its expansion."""
    found: dict[str, Value] = {}
    for key, value in resources.items():
        made = _iterations(key, value) if key.startswith(_FOR_EACH) else {key: value}
        if twice := sorted(found.keys() & made):
            raise TemplateError(f"{key}: there is a {', '.join(twice)} already")
        found |= made
    return found


def _iterations(place: str, loop: Value) -> dict[str, Value]:
    parts = sequence(loop, place)
    if len(parts) != 3:
        raise TemplateError(f"{place}: expected an identifier, a list of values, and what to make of each")
    identifier, body = text(parts[0]), mapping(parts[2], place)
    values = [text(value) for value in sequence(parts[1], place)]
    made = {
        key.replace(f"${{{identifier}}}", value): _iteration(template, identifier, value, place)
        for value in values
        for key, template in body.items()
    }
    if len(made) < len(values) * len(body):
        raise TemplateError(f"{place}: one name twice; is ${{{identifier}}} in each name, and each value there once?")
    return made


def _iteration(template: Value, identifier: str, value: str, place: str) -> Value:
    """Expand `template` for one value of the loop."""
    if isinstance(template, list):
        return [_iteration(item, identifier, value, place) for item in template]
    if isinstance(template, dict):
        if template == {"Ref": identifier}:
            return value
        sub = template.get("Fn::Sub")
        if isinstance(sub, str):
            filled = sub.replace(f"${{{identifier}}}", value)
            return {"Fn::Sub": filled} if _SUB_VARIABLE.search(filled) else filled
        if any(key.startswith(_FOR_EACH) for key in template):
            raise TemplateError(f"{place}: a loop inside a loop is not supported here")
        return {key: _iteration(item, identifier, value, place) for key, item in template.items()}
    if isinstance(template, str) and f"{{{identifier}}}" in template:
        raise TemplateError(f"{place}: {template!r}: only a Ref, and a Fn::Sub that is one text, see {identifier} here")
    return template


def mapping(value: Value, place: str) -> dict[str, Value]:
    """Return `value` as a mapping; None counts as empty. Raises TemplateError naming `place`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateError(f"{place}: expected a mapping, found {value!r}")
    return value


def sequence(value: Value, place: str) -> list[Value]:
    """Return `value` as a list; None counts as empty. Raises TemplateError naming `place`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise TemplateError(f"{place}: expected a list, found {value!r}")
    return value


def text(value: Value) -> str:
    """Return a scalar the way CloudFormation hands it to a resource: booleans in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        raise TemplateError(f"expected a scalar, found {value!r}")
    return "" if value is None else str(value)


def number(value: Value) -> int | None:
    """Return a whole number, which a template may also write as text; None where there is none."""
    return None if value is None else int(text(value))


def references(value: Value) -> frozenset[str]:
    """Return every parameter, resource and condition that an unresolved value names."""
    return frozenset(_mentions(value))


def _mentions(value: Value) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _mentions(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str):
                yield item
            elif key == "Fn::Sub":
                template = item[0] if isinstance(item, list) else item
                yield from (name.split(".")[0] for _, name in _SUB_VARIABLE.findall(text(template)))
            elif key == "Fn::GetAtt" and isinstance(item, list):
                yield text(item[0])
            yield from _mentions(item)


class Resolver:
    """Evaluates intrinsic functions of one template under given parameter values."""

    def __init__(self, document: Mapping[str, Value], overrides: Mapping[str, str]) -> None:
        self._parameters = mapping(document.get("Parameters"), "Parameters")
        self._conditions = mapping(document.get("Conditions"), "Conditions")
        self._mappings = mapping(document.get("Mappings"), "Mappings")
        self._resources = mapping(document.get("Resources"), "Resources")
        self._overrides = overrides
        unknown = sorted(set(overrides) - set(self._parameters))
        if unknown:
            raise TemplateError(f"the template has no parameter {', '.join(unknown)}")
        self._functions: dict[str, Callable[[Value], Value]] = {
            "Ref": self._ref,
            "Fn::Sub": self._sub,
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Equals": self._equals,
            "Fn::EachMemberEquals": self._each_member_equals,
            "Fn::And": lambda value: all(self._truth(item) for item in sequence(value, "Fn::And")),
            "Fn::Or": lambda value: any(self._truth(item) for item in sequence(value, "Fn::Or")),
            "Fn::Not": lambda value: not self._truth(sequence(value, "Fn::Not")[0]),
            "Condition": lambda value: self.condition(text(value)),
        }

    def resolve(self, value: Value) -> Value:
        """Return `value` with every intrinsic evaluated; entries that are AWS::NoValue disappear."""
        if isinstance(value, list):
            resolved = [self.resolve(item) for item in value]
            return [item for item in resolved if item != _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(key, argument)] = value.items()
            if key in self._functions:
                return self._functions[key](argument)
            if key.startswith("Fn::"):
                raise TemplateError(f"{key} is not supported here")
        entries = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in entries.items() if item != _NO_VALUE}

    def condition(self, name: str) -> bool:
        """Say whether the condition `name` of the template holds."""
        if name not in self._conditions:
            raise TemplateError(f"condition {name} is not declared")
        return self._truth(self._conditions[name])

    def _truth(self, value: Value) -> bool:
        resolved = self.resolve(value)
        if not isinstance(resolved, bool):
            raise TemplateError(f"not a condition: {value!r}")
        return resolved

    def _ref(self, value: Value) -> Value:
        name = text(value)
        if name == _NO_VALUE:
            return _NO_VALUE
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self._parameters:
            return self._parameter(name)
        if name in self._resources:
            return self._identity(name)
        raise TemplateError(f"Ref {name}: no such parameter or resource")

    def _identity(self, logical_id: str) -> str:
        """The value of `Ref`: a queue's URL, a bus's name, a topic's ARN."""
        kind = text(mapping(self._resources[logical_id], logical_id).get("Type"))
        if kind == "AWS::SQS::Queue":
            return f"{QUEUES_URL}{ACCOUNT}/{self._name(logical_id, kind)}"
        if kind == "AWS::Events::EventBus":
            return self._name(logical_id, kind).removeprefix("event-bus/")
        if kind == "AWS::S3::Bucket":
            return self._name(logical_id, kind)
        if kind == "AWS::SNS::Topic":
            return f"arn:aws:sns:{REGION}:{ACCOUNT}:{logical_id}"
        return logical_id

    def _name(self, logical_id: str, kind: str) -> str:
        """The end of a resource's ARN."""
        properties = mapping(mapping(self._resources[logical_id], logical_id).get("Properties"), logical_id)
        if kind == "AWS::Events::EventBus":
            return f"event-bus/{text(self.resolve(properties.get('Name', logical_id)))}"
        if kind == "AWS::S3::Bucket":
            return text(self.resolve(properties.get("BucketName", logical_id.lower())))
        if kind != "AWS::SQS::Queue":
            return logical_id
        name = self.resolve(properties.get("QueueName", _NO_VALUE))
        if name != _NO_VALUE:
            return text(name)
        return logical_id + (".fifo" if text(self.resolve(properties.get("FifoQueue"))) == "true" else "")

    def _parameter(self, name: str) -> Value:
        declared = mapping(self._parameters[name], name)
        value = self._overrides.get(name)
        if value is None:
            value = text(declared["Default"]) if "Default" in declared else f"{STAND_IN}{name}"
        kind = text(declared.get("Type"))
        if kind == "CommaDelimitedList" or kind.startswith("List<"):
            return [item.strip() for item in value.split(",") if item.strip()]
        return value

    def _sub(self, value: Value) -> str:
        parts = value if isinstance(value, list) else [value]
        own = mapping(parts[1], "Fn::Sub") if len(parts) > 1 else {}

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in own:
                return text(self.resolve(own[name]))
            if "." in name:
                return self._get_att(list(name.split(".", 1)))
            return text(self._ref(name))

        return _SUB_VARIABLE.sub(replace, text(parts[0]))

    def _get_att(self, value: Value) -> str:
        logical_id, attribute = (text(self.resolve(item)) for item in sequence(value, "Fn::GetAtt"))
        if logical_id not in self._resources:
            raise TemplateError(f"GetAtt {logical_id}.{attribute}: no such resource")
        if attribute == "Arn":
            kind = text(mapping(self._resources[logical_id], logical_id).get("Type"))
            if kind == "AWS::S3::Bucket":
                return f"arn:aws:s3:::{self._name(logical_id, kind)}"
            service = kind.split("::")[1].lower() if kind.count("::") == 2 else "local"
            return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{self._name(logical_id, kind)}"
        if attribute == "QueueName":
            return self._name(logical_id, "AWS::SQS::Queue")
        return f"{logical_id}.{attribute}"

    def _if(self, value: Value) -> Value:
        name, then, otherwise = sequence(value, "Fn::If")
        return self.resolve(then if self.condition(text(name)) else otherwise)

    def _join(self, value: Value) -> str:
        separator, items = sequence(value, "Fn::Join")
        return text(separator).join(text(item) for item in sequence(self.resolve(items), "Fn::Join"))

    def _select(self, value: Value) -> Value:
        index, items = sequence(self.resolve(value), "Fn::Select")
        return sequence(items, "Fn::Select")[int(text(index))]

    def _split(self, value: Value) -> Value:
        separator, whole = sequence(self.resolve(value), "Fn::Split")
        return list(text(whole).split(text(separator)))

    def _find_in_map(self, value: Value) -> Value:
        name, first, second = (text(item) for item in sequence(self.resolve(value), "Fn::FindInMap"))
        table = mapping(self._mappings.get(name), name)
        row = mapping(table.get(first), f"{name}.{first}")
        if second not in row:
            raise TemplateError(f"FindInMap {name}.{first}.{second}: no such entry")
        return row[second]

    def _each_member_equals(self, value: Value) -> bool:
        """Whether every string of a list is this one; a list without any counts as such."""
        members, wanted = sequence(self.resolve(value), "Fn::EachMemberEquals")
        return all(text(member) == text(wanted) for member in sequence(members, "Fn::EachMemberEquals"))

    def _equals(self, value: Value) -> bool:
        left, right = sequence(self.resolve(value), "Fn::Equals")
        return text(left) == text(right)
