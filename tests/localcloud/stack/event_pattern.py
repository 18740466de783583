"""EventBridge's event patterns: whether a rule matches an event.

As in EventBridge, a list matches when one of its entries does, a field with a list matches when one of its elements
does, and a missing field matches nothing but `{"exists": false}`.
"""

import ipaddress
import operator
import re
from collections.abc import Callable, Iterable, Mapping

from localcloud.stack.cloudformation import TemplateError, Value

type Fields = Mapping[str, object]
type Matcher = Callable[[Fields], bool]
type _Test = Callable[[object], bool]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compiled(pattern: Value, place: str) -> Matcher:
    """Turn an event pattern into a function of an event's envelope. Raises TemplateError naming `place`."""
    if not isinstance(pattern, dict) or not pattern:
        raise TemplateError(f"{place}: an event pattern is a mapping that is not empty, found {pattern!r}")
    matchers = [
        _any_of(entry, f"{place}.$or") if name == "$or" else _field(name, entry, f"{place}.{name}")
        for name, entry in pattern.items()
    ]
    return lambda event: all(matches(event) for matches in matchers)


def _any_of(patterns: Value, place: str) -> Matcher:
    if not isinstance(patterns, list) or not patterns:
        raise TemplateError(f"{place}: expected a list of patterns, found {patterns!r}")
    matchers = [compiled(pattern, place) for pattern in patterns]
    return lambda event: any(matches(event) for matches in matchers)


def _field(name: str, wanted: Value, place: str) -> Matcher:
    if isinstance(wanted, dict):
        inner = compiled(wanted, place)
        absent_matches = inner({})  # it only requires that something be missing
        return lambda event: (
            any(inner(item) for item in _elements(event[name]) if isinstance(item, dict))
            if name in event
            else absent_matches
        )
    if not isinstance(wanted, list) or not wanted:
        raise TemplateError(f"{place}: expected a list of values, found {wanted!r}")
    tests = [_test(entry, place) for entry in wanted if not _is_existence(entry)]
    existence = [entry["exists"] for entry in wanted if isinstance(entry, dict) and _is_existence(entry)]
    for value in existence:
        if not isinstance(value, bool):
            raise TemplateError(f"{place}: exists takes true or false, found {value!r}")

    def matches(event: Fields) -> bool:
        # `exists` is about leaves only
        present = name in event and not isinstance(event[name], dict)
        return present in existence or (
            name in event and any(test(item) for item in _elements(event[name]) for test in tests)
        )

    return matches


def _is_existence(entry: Value) -> bool:
    return isinstance(entry, dict) and set(entry) == {"exists"}


def _elements(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else [value]


def _test(entry: Value, place: str) -> _Test:
    if not isinstance(entry, dict):
        return _equals(entry)
    if len(entry) != 1:
        raise TemplateError(f"{place}: one operator at a time, found {entry!r}")
    [(name, argument)] = entry.items()
    if name not in _OPERATORS:
        raise TemplateError(f"{place}: the operator {name} is not supported here")
    return _OPERATORS[name](argument, place)


def _equals(wanted: object) -> _Test:
    """Equal and of one kind: in Python, True equals 1."""
    return lambda value: value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _text(argument: Value, place: str) -> str:
    if not isinstance(argument, str):
        raise TemplateError(f"{place}: expected a string, found {argument!r}")
    return argument


def _affix(argument: Value, place: str, holds: Callable[[str, str], bool]) -> _Test:
    if isinstance(argument, dict) and set(argument) == {"equals-ignore-case"}:
        folded = _text(argument["equals-ignore-case"], place).casefold()
        return lambda value: isinstance(value, str) and holds(value.casefold(), folded)
    wanted = _text(argument, place)
    return lambda value: isinstance(value, str) and holds(value, wanted)


def _prefix(argument: Value, place: str) -> _Test:
    return _affix(argument, place, str.startswith)


def _suffix(argument: Value, place: str) -> _Test:
    return _affix(argument, place, str.endswith)


def _ignoring_case(argument: Value, place: str) -> _Test:
    wanted = _text(argument, place).casefold()
    return lambda value: isinstance(value, str) and value.casefold() == wanted


def _wildcard(argument: Value, place: str) -> _Test:
    r"""`*` stands for any characters, `\*` and `\\` for themselves."""
    parts = re.split(r"(\\[*\\]|\*)", _text(argument, place))
    source = "".join(".*" if part == "*" else re.escape(part.removeprefix("\\") or "\\") for part in parts if part)
    expression = re.compile(source, re.DOTALL)
    return lambda value: isinstance(value, str) and expression.fullmatch(value) is not None


def _numeric(argument: Value, place: str) -> _Test:
    if not isinstance(argument, list) or len(argument) not in (2, 4):
        raise TemplateError(f"{place}: numeric takes one or two comparisons, found {argument!r}")
    comparisons: list[tuple[Callable[[float, float], bool], float]] = []
    for name, bound in zip(argument[::2], argument[1::2], strict=True):
        if name not in _COMPARISONS or isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise TemplateError(f"{place}: not a comparison: {name!r} {bound!r}")
        comparisons.append((_COMPARISONS[str(name)], bound))
    return lambda value: (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and all(compare(value, bound) for compare, bound in comparisons)
    )


def _cidr(argument: Value, place: str) -> _Test:
    try:
        network = ipaddress.ip_network(_text(argument, place))
    except ValueError as error:
        raise TemplateError(f"{place}: {error}") from error

    def within(value: object) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return within


def _anything_but(argument: Value, place: str) -> _Test:
    if isinstance(argument, dict):
        [(name, refused)] = argument.items() if len(argument) == 1 else [("", None)]
        if name not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise TemplateError(f"{place}: anything-but does not take {argument!r}")
        tests = [_OPERATORS[name](each, place) for each in (refused if isinstance(refused, list) else [refused])]
    else:
        tests = [_equals(each) for each in (argument if isinstance(argument, list) else [argument])]
    return lambda value: not any(test(value) for test in tests)


_OPERATORS: Mapping[str, Callable[[Value, str], _Test]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "equals-ignore-case": _ignoring_case,
    "numeric": _numeric,
    "prefix": _prefix,
    "suffix": _suffix,
    "wildcard": _wildcard,
}
