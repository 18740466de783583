"""What an endpoint reads and which problems it may raise, found by reading its code and the code that it uses.

So that nobody has to keep a list: whatever of ours is named in a function, and in what that names in turn, counts
as used. That errs towards too much, never too little; what is not seen is a method of an object that is only known at
run time (`request.json`, which is looked for by name).
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from autodoctor.db import Database
from autodoctor.errors import Problem
from autodoctor.web.schemas import RequestBody

_OURS: Final = ("autodoctor.", "handler_")
_BASES: Final = ("autodoctor.db", "autodoctor.web.http", "autodoctor.observability", "autodoctor.web.schemas")
"""Modules that every route uses: what they raise is the same for all of them."""


@dataclass
class Reach:
    """What an endpoint comes to.

    Attributes:
        problems: what it may raise.
        bodies: the models it reads its request's body as.
        query: names of the query parameters.
        headers: names of the request's headers, in lower case.
        database: whether it asks the database.
    """

    problems: set[type[Problem]] = field(default_factory=set)
    bodies: set[type[RequestBody]] = field(default_factory=set)
    query: set[str] = field(default_factory=set)
    headers: set[str] = field(default_factory=set)
    database: bool = False


def reach(endpoint: Callable[..., object]) -> Reach:
    """Read an endpoint and everything of ours that it uses."""
    found = Reach()
    waiting: list[object] = [endpoint]
    seen: set[int] = set()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Database):
            found.database = True
        elif isinstance(thing, type) and issubclass(thing, Problem):
            found.problems.add(thing)
        elif isinstance(thing, FunctionType):
            waiting += _read(thing, found)
        else:
            waiting += _parts(thing)
    return found


def _parts(thing: object) -> Iterator[object]:
    """What else counts as used with a thing that is no function."""
    if isinstance(thing, MethodType):
        yield thing.__func__
    elif isinstance(thing, type):
        if thing.__module__.startswith(_OURS) and thing.__module__ not in _BASES:
            yield from (each for each in vars(thing).values() if isinstance(each, FunctionType))
    elif isinstance(thing, Mapping):
        yield from thing.values()
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from thing
    elif type(thing).__module__.startswith(_OURS):
        yield type(thing)


def _read(function: FunctionType, found: Reach) -> Iterator[object]:
    """Note what a function reads of the request; yield what of ours it names."""
    function = inspect.unwrap(function)
    if not function.__module__.startswith(_OURS) or function.__module__ in _BASES or _was_generated(function):
        return
    scope = _scope(function)
    for node in _nodes(_tree(function)):
        if isinstance(node, ast.Call):
            _note_read(node, scope, found)
        elif isinstance(node, ast.Name | ast.Attribute):
            thing = _resolve(node, scope)
            if thing is not None and not isinstance(thing, ModuleType):
                yield thing


def _was_generated(function: FunctionType) -> bool:
    """Whether it has no source of its own, as the methods that a dataclass gets."""
    return function.__code__.co_filename.startswith("<")


def _note_read(call: ast.Call, scope: Mapping[str, Any], found: Reach) -> None:
    """Note `request.json(Model)`, `query.get("name")` and `request.headers.get("name")`."""
    if not isinstance(call.func, ast.Attribute) or not call.args:
        return
    first, owner = call.args[0], ast.unparse(call.func.value).rpartition(".")[2]
    if call.func.attr == "json" and owner == "request":
        found.bodies.add(_resolve(first, scope))
    elif call.func.attr == "get" and owner in ("query", "headers"):
        names = found.query if owner == "query" else found.headers
        names.add(str(ast.literal_eval(first)))


def _scope(function: FunctionType) -> dict[str, Any]:
    return {**function.__globals__, **inspect.getclosurevars(function).nonlocals}


@cache
def _tree(function: FunctionType) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs: neither annotations, nor decorators, nor the types of `except`, and of `a.b` not `a` once more."""
    skipped = {"annotation", "returns", "decorator_list"}
    for name, value in ast.iter_fields(tree):
        if name in skipped or (isinstance(tree, ast.ExceptHandler) and name == "type"):
            continue
        children: Iterable[object] = value if isinstance(value, list) else [value]
        for child in children:
            if isinstance(child, ast.AST):
                yield child
                yield from _nodes(child)


def _resolve(node: ast.AST, scope: Mapping[str, Any]) -> Any:  # noqa: ANN401 (anything that can be named)
    """What a name, or names with dots, stand for; None where only a run would tell."""
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolve(node.value, scope)
        return None if owner is None else inspect.getattr_static(owner, node.attr, None)
    return None
