"""The calls of AWS that each function's code can make, found by following its names from the handler on.

A name leads to the names that its code mentions: functions, classes with all their methods, and what other modules of
the layer give. Where a name makes a call, CALLS says which; a module that reaches AWS and has no entry is an error.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
LAYER: Final = ROOT / "layers" / "shared"

type Name = tuple[str, str]
"""A module of the layer (or a function's own), and a name at its top level."""

CALLS: Final[Mapping[Name, frozenset[str]]] = {
    ("autodoctor.admin.user_pool", "add_to_mechanics"): frozenset({"cognito-idp:AdminAddUserToGroup"}),
    ("autodoctor.aws.secrets", "secret_json"): frozenset({"secretsmanager:GetSecretValue"}),
    ("autodoctor.aws.sqs", "SqsQueue"): frozenset(
        {
            *("sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"),
            *("sqs:SendMessage", "sqs:ListDeadLetterSourceQueues"),
            *("sqs:ListMessageMoveTasks", "sqs:StartMessageMoveTask"),
        }
    ),
    ("autodoctor.events.bus", "_Bus"): frozenset({"events:DescribeEventBus", "events:PutEvents"}),
    ("autodoctor.events.dead_letters.redrive", "_is_sent"): frozenset({"lambda:InvokeFunction"}),
    ("autodoctor.events.redelivery", "_connection"): frozenset({"sqs:ChangeMessageVisibility"}),
    ("autodoctor.events.feed.push", "_Pool"): frozenset({"execute-api:ManageConnections"}),
    ("autodoctor.events.feed.queue", "_connection"): frozenset({"sqs:SendMessage"}),
    ("autodoctor.files.bucket", "upload_form"): frozenset({"s3:PutObject"}),
    ("autodoctor.files.bucket", "read_url"): frozenset({"s3:GetObject"}),
    ("autodoctor.files.bucket", "Remover"): frozenset({"s3:DeleteObject"}),
    ("autodoctor.media.chime", "_Chime"): frozenset({"chime:CreateMeeting"}),
    ("autodoctor.media.chime", "ChimeEntrance"): frozenset({"chime:CreateAttendee"}),
    ("autodoctor.media.chime", "ChimeExit"): frozenset({"chime:DeleteMeeting"}),
    ("autodoctor.monitoring.topic", "_Topic"): frozenset({"sns:Publish"}),
    ("autodoctor.notifications.sender", "_client"): frozenset({"ses:SendEmail"}),
    ("post_confirmation", "cognito"): frozenset({"cognito-idp:AdminAddUserToGroup"}),
}
_WAYS_TO_AWS: Final = ("autodoctor.aws.boto", "autodoctor.aws.client", "boto3")
_PLUMBING: Final = ("autodoctor.aws.", "autodoctor.operations.")


@dataclass(frozen=True)
class Module:
    """A module's top-level names: what each is made of, and where an imported one comes from.

    Attributes:
        own_name: as it is imported; of a function's own module, its folder or file.
        nodes: the statements that make each name.
        imported: module and member of each imported name; no member where it is the module itself.
        rest: what stands outside every definition, and runs when the module is imported.
    """

    own_name: str
    nodes: Mapping[str, list[ast.stmt]]
    imported: Mapping[str, tuple[str, str | None]]
    rest: list[ast.stmt]


def calls_of(folder: str) -> frozenset[str]:
    """Return the IAM actions of the calls that a function, named by its folder, can make."""
    return frozenset(action for name in reached(folder) for action in CALLS.get(name, ()))


def reached(folder: str) -> set[Name]:
    """Return every name that a handler can come to."""
    files = {folder: ROOT / "functions" / folder / "app.py"}
    files |= {file.stem: file for file in (ROOT / "functions" / folder).glob("*.py") if file.stem != "app"}
    found: set[Name] = set()
    waiting = [(folder, name) for name in _parsed(files[folder]).nodes]
    waiting += [(folder, "")]  # what stands outside every definition
    while waiting:
        module, name = place = waiting.pop()
        if place in found:
            continue
        found.add(place)
        file = files.get(module) or _file(module)
        if file is not None:
            waiting += _mentioned(_parsed(file), name)
    return found


def modules_that_reach_aws() -> set[str]:
    """Return the layer's modules that import a way to AWS, but for the ways themselves and operators' commands."""
    found = set()
    for file in (LAYER / "autodoctor").rglob("*.py"):
        name = ".".join(file.relative_to(LAYER).with_suffix("").parts).removesuffix(".__init__")
        text = ast.parse(file.read_text(encoding="utf-8"))
        if name.startswith(_PLUMBING[1]) or name in ("autodoctor.aws.boto", "autodoctor.aws.client"):
            continue
        if {each for node in ast.walk(text) for each in _imports(node)} & set(_WAYS_TO_AWS):
            found.add(name)
    return found


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module


def _mentioned(module: Module, name: str) -> Iterator[Name]:
    """Yield where the code of one name leads, as places of other modules or of its own."""
    for statement in module.nodes.get(name, []) if name else module.rest:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                yield from _leads(module, node.id, None)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                yield from _leads(module, node.value.id, node.attr)
    yield (module.own_name, "")


def _leads(module: Module, name: str, attribute: str | None) -> Iterator[Name]:
    if name in module.nodes:
        yield (module.own_name, name)
    elif name in module.imported:
        source, member = module.imported[name]
        if member is None:
            if attribute:
                yield (source, attribute)
        elif _file(f"{source}.{member}"):
            if attribute:
                yield (f"{source}.{member}", attribute)
        else:
            yield (source, member)


@cache
def _file(module: str) -> Path | None:
    if not module.startswith("autodoctor"):
        return None
    path = LAYER.joinpath(*module.split("."))
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


@cache
def _parsed(file: Path) -> Module:
    body = ast.parse(file.read_text(encoding="utf-8"))
    imported: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(body):  # also imports inside functions
        if isinstance(node, ast.Import):
            imported |= {each.asname or each.name.partition(".")[0]: (each.name, None) for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {each.asname or each.name: (node.module, each.name) for each in node.names}
    nodes: dict[str, list[ast.stmt]] = {}
    rest: list[ast.stmt] = []
    for statement in body.body:
        names = set(_made_by(statement))
        for name in names:
            nodes.setdefault(name, []).append(statement)
        if not names and not isinstance(statement, ast.Import | ast.ImportFrom):
            rest.append(statement)
    return Module(_own_name(file), nodes, imported, rest)


def _made_by(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _own_name(file: Path) -> str:
    if file.is_relative_to(LAYER):
        return ".".join(file.relative_to(LAYER).with_suffix("").parts).removesuffix(".__init__")
    return file.parent.name if file.stem == "app" else file.stem
