"""Checks parameters against the typed dictionaries of Stripe's own SDK.

The first request loads the SDK, in its own thread.
"""

import functools
import sys
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from localcloud.stripe.http.errors import Json, invalid
from localcloud.stripe.http.sdk import sdk

_STRIPE_OBJECT = "StripeObject"


@functools.cache
def load(name: str) -> Any:  # noqa: ANN401 (a TypedDict class)
    """Return a typed dictionary of the SDK, like `checkout._session_create_params.SessionCreateParams`."""
    module, _, class_name = name.rpartition(".")
    return getattr(sdk(f"stripe.params.{module}"), class_name)


def checked(name: str, given: Mapping[str, object]) -> Json:
    """Return the parameters with their types: numbers as int, switches as bool.

    Raises ApiError for a parameter that is unknown, missing or of another type.
    """
    return _object(load(name), given, "")


@functools.cache
def _fields(declared: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the types of a typed dictionary's fields, without the options that are headers."""
    options: frozenset[str] = frozenset()
    if any(base.__name__ == "RequestOptions" for base in getattr(declared, "__orig_bases__", ())):
        options = frozenset(sdk("stripe._request_options").RequestOptions.__annotations__)
    scope = vars(sys.modules[declared.__module__])
    wanted = {key: each for key, each in declared.__annotations__.items() if key not in options}
    return get_type_hints(types.SimpleNamespace(__annotations__=wanted), scope)


def _object(declared: Any, given: Mapping[str, object], path: str) -> Json:  # noqa: ANN401
    fields = _fields(declared)
    found: Json = {}
    for key, value in given.items():
        where = f"{path}[{key}]" if path else key
        if key not in fields:
            raise invalid(f"Received unknown parameter: {where}", where, "parameter_unknown")
        found[key] = _value(fields[key], value, where)
    for key in declared.__required_keys__:
        if key in fields and key not in given:
            where = f"{path}[{key}]" if path else key
            raise invalid(f"Missing required param: {where}.", where, "parameter_missing")
    return found


def _value(declared: Any, value: object, path: str) -> object:  # noqa: ANN401
    if get_origin(declared) in (Union, types.UnionType):
        return _one_of(get_args(declared), value, path)
    if get_origin(declared) is Literal:
        return _choice(get_args(declared), value, path)
    if _is_object(declared):
        return _object(declared, _mapping(value, path), path)
    if get_origin(declared) is list:
        (item,) = get_args(declared)
        if not isinstance(value, list):
            raise invalid("Invalid array", path)
        return [_value(item, each, f"{path}[{number}]") for number, each in enumerate(value)]
    if get_origin(declared) is dict:
        return {key: _text(each, f"{path}[{key}]") for key, each in _mapping(value, path).items()}
    return value if declared is Any else _leaf(declared, value, path)


def _one_of(declared: tuple[Any, ...], value: object, path: str) -> object:
    """Use the first type that fits. The SDK adds `str` to every choice, but Stripe's server takes no other string."""
    choices = [choice for each in declared if get_origin(each) is Literal for choice in get_args(each)]
    if value == "" and "" in choices:
        return value
    objects = [each for each in declared if _is_object(each) or get_origin(each) in (dict, list)]
    if isinstance(value, (dict, list)):
        if not objects:
            raise invalid("Invalid value: an object was not expected", path)
        return _value(objects[0], value, path)
    if any(choices) and not any(each is int for each in declared):
        return _choice(tuple(choices), value, path)
    plain = [each for each in declared if isinstance(each, type) and _STRIPE_OBJECT not in each.__name__]
    leaves = [each for each in plain if each in (int, bool, float, str)]
    if not leaves:
        raise invalid("Invalid object", path)
    return _leaf(leaves[0], value, path)


def _is_object(declared: Any) -> bool:  # noqa: ANN401
    """Say whether this is a typed dictionary; the SDK's are not of the standard library."""
    return hasattr(declared, "__required_keys__")


def _choice(choices: tuple[Any, ...], value: object, path: str) -> object:
    if value not in choices:
        known = ", ".join(map(str, choices))
        raise invalid(f"Invalid {path}: must be one of {known}", path)
    return value


def _mapping(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise invalid("Invalid object", path)
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise invalid("Invalid string", path)
    return value


def _leaf(declared: Any, value: object, path: str) -> object:  # noqa: ANN401
    text = _text(value, path)
    if declared is int:
        if not text.removeprefix("-").isdecimal() or not text.isascii():
            raise invalid(f"Invalid integer: {text}", path, "parameter_invalid_integer")
        return int(text)
    if declared is bool:
        if text not in ("true", "false"):
            raise invalid(f"Invalid boolean: {text}", path)
        return text == "true"
    return text
