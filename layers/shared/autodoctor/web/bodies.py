"""JSON that a client sends, over HTTP or a WebSocket, as the model that it has to be."""

import json
from typing import Final, NoReturn

from pydantic import ValidationError

from autodoctor.errors import MalformedBody, Unprocessable
from autodoctor.web.schemas import RequestBody, unstorable
from autodoctor.web.validation_messages import unprocessable

UNSTORABLE: Final = "contains U+0000 or a lone surrogate"
_NOT_JSON: Final = "The body is not valid JSON, or nested too deeply."


def read[Body: RequestBody](model: type[Body], raw: bytes) -> Body:
    """Read a body, and check what pydantic does not: no NaN (RFC 8259), U+0000 (PostgreSQL) or lone surrogate (UTF-8).

    Raises:
        MalformedBody: not JSON, not UTF-8, or nested too deeply.
        Unprocessable: it is JSON, but not a valid `model`, or has text that cannot be stored.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        offender = unstorable(json.loads(raw.decode(), parse_constant=refuse))
    except (ValueError, RecursionError):
        raise MalformedBody(_NOT_JSON) from None
    if offender is not None:
        raise Unprocessable((offender, UNSTORABLE))
    try:
        return model.model_validate_json(raw)
    except ValidationError as invalid:
        if invalid.errors()[0]["type"] == "json_invalid":  # nested more than 200 deep
            raise MalformedBody(_NOT_JSON) from None
        raise unprocessable(invalid) from None
