"""What each function may do on AWS beside what its code can call, as a document: functions/PERMISSIONS.md.

Written anew by `uv run python -m localcloud.stack.permissions`; a test says when it is out of date.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from localcloud.stack.aws_calls import ROOT, calls_of
from localcloud.stack.cloudformation import load

DOCUMENT: Final = ROOT / "functions" / "PERMISSIONS.md"
TEMPLATE: Final = ROOT / "template.yaml"
LOGS: Final = frozenset({"logs:CreateLogStream", "logs:PutLogEvents"})
CONSUME: Final = frozenset({"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"})
_ASYNCHRONOUS: Final = frozenset({"Schedule", "ScheduleV2"})
_OPENING: Final = """# Permissions

What each function may do on AWS, from template.yaml, beside what its code can call (found by following its names) and
what Lambda does in its name: reading its queue, leaving what failed in a queue. Every function may also write its log
and send traces; in a VPC, Lambda attaches it to the network, which its own code may not. Written by
`uv run python -m localcloud.stack.permissions`; `tests/template/test_least_privilege.py` fails on a right that nothing
uses, and on a call without a right.

| function | action | on | used by |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Function:
    """A function: its folder, its grants (actions with their resources), and what uses a right."""

    name: str
    folder: str
    grants: Mapping[str, tuple[str, ...]]
    calls: frozenset[str]
    lambdas: frozenset[str]

    @property
    def unused(self) -> set[str]:
        """Rights that neither its code nor Lambda in its name makes use of."""
        return set(self.grants) - LOGS - self.calls - self.lambdas

    @property
    def missing(self) -> set[str]:
        """What its code calls, or Lambda does in its name, without a right."""
        return set(LOGS | self.calls | self.lambdas) - set(self.grants)


def functions() -> Iterator[Function]:
    """Yield every function of template.yaml, in order of their names."""
    resources: Any = load(TEMPLATE)["Resources"]
    for name, resource in sorted(resources.items()):
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        properties = resource["Properties"]
        role = properties["Role"]["Fn::GetAtt"][0]
        folder = properties["CodeUri"].strip("/").rpartition("/")[2]
        kinds = {event["Type"] for event in properties.get("Events", {}).values()}
        consumes = CONSUME if "SQS" in kinds else frozenset()
        leaves = frozenset({"sqs:SendMessage"}) if kinds & _ASYNCHRONOUS else frozenset()
        yield Function(name, folder, _grants(resources, role), calls_of(folder), consumes | leaves)


def document() -> str:
    """Return the document as it should be."""
    return _OPENING + "".join(
        f"| {function.name} | `{action}` | {', '.join(on)} | {_used_by(function, action)} |\n"
        for function in functions()
        for action, on in sorted(function.grants.items())
        if action not in LOGS
    )


def _used_by(function: Function, action: str) -> str:
    users = {"its code": action in function.calls, "Lambda": action in function.lambdas}
    return " and ".join(user for user, uses in users.items() if uses) or "nothing"


def _grants(resources: Mapping[str, Any], role: str) -> dict[str, tuple[str, ...]]:
    documents = [policy["PolicyDocument"] for policy in resources[role]["Properties"].get("Policies", [])]
    documents += [
        each["Properties"]["PolicyDocument"]
        for each in resources.values()
        if each["Type"] == "AWS::IAM::Policy" and {"Ref": role} in each["Properties"].get("Roles", [])
    ]
    found: dict[str, list[str]] = {}
    for document in documents:
        for statement in document["Statement"]:
            on = [_shown(each) for each in _several(statement["Resource"])]
            for action in _several(statement["Action"]):
                found.setdefault(action, []).extend(each for each in on if each not in found.get(action, []))
    return {action: tuple(on) for action, on in found.items()}


def _several(value: Any) -> list[Any]:  # noqa: ANN401 (IAM takes a value or a list of them)
    return value if isinstance(value, list) else [value]


def _shown(resource: object) -> str:
    """A resource as a reader knows it: names of the template in place of intrinsic functions."""
    match resource:
        case {"Ref": name} | {"Fn::GetAtt": [name, *_]}:
            return str(name)
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), *_]}:
            tail = re.sub(r"^arn:.*?\$\{AWS::AccountId\}:", "", text)
            return "`" + re.sub(r"\$\{(\w+)(?:\.Arn)?\}", r"\1", tail) + "`"
        case {"Fn::If": [_, first, second]}:
            shown = [_shown(each) for each in (first, second) if each != {"Ref": "AWS::NoValue"}]
            return " or ".join(shown)
        case _:
            return json.dumps(resource)


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
