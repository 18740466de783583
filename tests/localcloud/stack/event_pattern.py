"""EventBridge's event patterns: which events a rule matches.

As in EventBridge, a list matches if one of its entries does, a field that holds a list matches if one of its elements
does, and a missing field matches nothing but `{exists: false}`. That and `prefix` are the only operators here; the
others are refused, so that no rule matches an event here that it would not match on AWS.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from localcloud.stack.cloudformation import TemplateError, Value

_ABSENT: Final = {"exists": False}

type Fields = Mapping[str, object]
type Matcher = Callable[[Fields], bool]
type _Test = Callable[[object], bool]


def compiled(pattern: Value, place: str) -> Matcher:
    """Turn an event pattern into a function of an event's envelope. Raises TemplateError naming `place`."""
    if not isinstance(pattern, dict) or not pattern:
        raise TemplateError(f"{place}: an event pattern is a mapping that is not empty, found {pattern!r}")
    matchers = [_field(name, entry, f"{place}.{name}") for name, entry in pattern.items()]
    return lambda event: all(matches(event) for matches in matchers)


def _field(name: str, wanted: Value, place: str) -> Matcher:
    if name.startswith("$"):
        raise TemplateError(f"{place}: the local cloud does not know {name}")
    if isinstance(wanted, list) and _ABSENT in wanted:
        others = [entry for entry in wanted if entry != _ABSENT]
        present = _one_of(others, place) if others else lambda _value: False
        return lambda event: name not in event or any(present(item) for item in _elements(event[name]))
    test = _object(wanted, place) if isinstance(wanted, dict) else _one_of(wanted, place)
    return lambda event: name in event and any(test(item) for item in _elements(event[name]))


def _object(pattern: Value, place: str) -> _Test:
    inner = compiled(pattern, place)
    return lambda value: isinstance(value, dict) and inner(value)


def _one_of(wanted: Value, place: str) -> _Test:
    if not isinstance(wanted, list) or not wanted:
        raise TemplateError(f"{place}: expected a list of values, found {wanted!r}")
    tests = [_test(entry, place) for entry in wanted]
    return lambda value: any(test(value) for test in tests)


def _elements(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else [value]


def _test(entry: Value, place: str) -> _Test:
    if not isinstance(entry, dict):
        return _equals(entry)
    prefix = entry.get("prefix")
    if set(entry) != {"prefix"} or not isinstance(prefix, str):
        raise TemplateError(
            f"{place}: the local cloud knows values, {{prefix: text}} and {{exists: false}}, not {entry!r}"
        )
    return lambda value: isinstance(value, str) and value.startswith(prefix)


def _equals(wanted: object) -> _Test:
    """Equal and of one kind: in Python, True equals 1."""
    return lambda value: value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
