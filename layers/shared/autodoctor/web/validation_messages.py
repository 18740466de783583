"""Messages about wrong values for the person at the form; pydantic's own are for programmers."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from autodoctor.errors import Unprocessable

_ID: Final = "is not an id, which looks like 0199d3a5-7c00-7a10-8000-0000000000a1"
_INSTANT: Final = "must be a date and time with its offset, such as 2026-11-21T10:15:00Z"
_WHOLE: Final = "must be a whole number"

_MESSAGES: Final[Mapping[str, str]] = {
    "missing": "is required",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have no more than {max_length} characters",
    "string_pattern_mismatch": "does not have the required form",
    "bool_type": "must be true or false",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _WHOLE),
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    **dict.fromkeys(("literal_error", "enum"), "must be {expected}"),
    **dict.fromkeys(("uuid_type", "uuid_parsing", "uuid_version"), _ID),
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "timezone_aware"), _INSTANT),
    "model_type": "must be an object",
    "json_invalid": "must be JSON",
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list"),
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have no more than {max_length} entries",
    "value_error": "{error}",
}


def unprocessable(invalid: ValidationError) -> Unprocessable:
    """The 422 for a model that does not fit, which names each wrong value by its JSON pointer."""
    return Unprocessable(*((_pointer(error["loc"]), validation_message(error)) for error in invalid.errors()))


def _pointer(location: tuple[int | str, ...]) -> str:
    """A pydantic error location as JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)


def validation_message(error: ErrorDetails) -> str:
    """The message that makes a sentence with the field's name before it, such as "must be 1886 or more".

    Args:
        error: one of `ValidationError.errors()`.
    """
    context = error.get("ctx", {})
    if error["type"] == "string_too_short" and context.get("min_length") == 1:
        return _MESSAGES["missing"]
    message = _MESSAGES.get(error["type"])
    return error["msg"] if message is None else message.format_map(context)
