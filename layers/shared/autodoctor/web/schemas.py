"""The bases of all models of requests and answers: camelCase in JSON, UTC times, text that PostgreSQL can store."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from autodoctor.printable import is_visible

_NO_ADDRESS: Final = "must be an address that mail can be sent to"
# RFC 5321 without quoting: atoms between single dots.
_LOCAL_PART: Final = re.compile(r"(?=.{1,64}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]")


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999 of UTC") from None


type Utc = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""An instant; written as ISO 8601 with Z. One without an offset is refused."""


def _visible(text: str) -> str:
    """Refuse what a reader would see as nothing: a signature, a name or a concern has to show something."""
    if not is_visible(text):
        raise ValueError("must have a visible character")
    return text


VISIBLE: Final = AfterValidator(_visible)
"""For text that people write, in Annotated."""

type Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), VISIBLE]
type Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), VISIBLE]
"""Why an operator did something, for those who read it later."""


def _mailable(address: str) -> str:
    """The address as SES takes it, its domain in ASCII (RFC 3492); refuse one that no mail can be sent to."""
    local, _, domain = address.rpartition("@")
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError:
        raise ValueError(_NO_ADDRESS) from None
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise ValueError(_NO_ADDRESS)
    return f"{local}@{domain}"


type EmailAddress = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$"),
    AfterValidator(_mailable),
]


class RequestBody(BaseModel):
    """A JSON request: types are not coerced, unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, frozen=True, extra="ignore")


class ResponseModel(BaseModel):
    """A JSON answer, built from rows with snake_case columns."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="ignore")


class EmptyBody(RequestBody):
    """A request without fields; a body that is sent nevertheless must be valid JSON."""


def unstorable(value: object, pointer: str = "") -> str | None:
    """Find text that PostgreSQL cannot store: U+0000 or a lone surrogate.

    Args:
        value: decoded JSON.
        pointer: JSON pointer of `value`.

    Returns:
        The JSON pointer of the first such text (of its parent, where it is a key), or None.
    """
    if isinstance(value, str):
        return pointer if _is_unstorable(value) else None
    if isinstance(value, dict):
        for key, member in value.items():
            if _is_unstorable(key):
                return pointer
            if (found := unstorable(member, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")) is not None:
                return found
    if isinstance(value, list):
        for index, member in enumerate(value):
            if (found := unstorable(member, f"{pointer}/{index}")) is not None:
                return found
    return None


def _is_unstorable(text: str) -> bool:
    return "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text)


def wire(at: datetime | None) -> str | None:
    """An instant as models write it, where JSON is made without one."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def now() -> datetime:
    """The present instant in UTC, for checks of input; the database's clock decides everything else."""
    return datetime.now(UTC)
