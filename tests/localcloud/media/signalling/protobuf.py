"""As much of protobuf's wire format as Chime's signalling takes: whole numbers and bytes, by field number.

protobuf.dev/programming-guides/encoding says all of it. The types are written by hand in chime_frames.py: the schema
belongs to the client, which npm brings, and the library would want it compiled.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_VARINT: Final = 0
_EIGHT_BYTES: Final = 1
_BYTES: Final = 2
_FOUR_BYTES: Final = 5
_FIXED: Final = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_LONGEST_VARINT: Final = 10
_BITS: Final = 7
_MORE: Final = 0x80

type Field = int | str | bytes
type Fields = Mapping[int, Sequence[int | bytes]]
"""What came, by field number; a field that may be repeated has several values."""


def encoded(fields: Iterable[tuple[int, Field]]) -> bytes:
    """Write a message: numbers as varints, everything else with its length."""
    written = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            written += _varint(number << 3 | _VARINT) + _varint(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            written += _varint(number << 3 | _BYTES) + _varint(len(content)) + content
    return bytes(written)


def decoded(content: bytes) -> Fields:
    """Read a message. Raises ValueError where it is none, or is cut short."""
    found: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(content):
        tag, at = _number(content, at)
        kind = tag & 0b111
        value: int | bytes
        if kind == _VARINT:
            value, at = _number(content, at)
        else:
            length, at = _number(content, at) if kind == _BYTES else (_FIXED.get(kind, -1), at)
            if length < 0 or at + length > len(content):
                raise ValueError("not a protobuf message")
            value, at = content[at : at + length], at + length
        found.setdefault(tag >> 3, []).append(value)
    return found


def number(fields: Fields, field: int, otherwise: int = 0) -> int:
    """The last value of a number."""
    value = fields.get(field, [otherwise])[-1]
    return value if isinstance(value, int) else otherwise


def text(fields: Fields, field: int) -> str:
    """The last value of a text. Raises ValueError where it is not UTF-8."""
    value = fields.get(field, [b""])[-1]
    return value.decode() if isinstance(value, bytes) else ""


def messages(fields: Fields, field: int) -> list[Fields]:
    """Every value of a field that holds messages. Raises ValueError."""
    return [decoded(value) for value in fields.get(field, []) if isinstance(value, bytes)]


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= _MORE:
        written.append(value & (_MORE - 1) | _MORE)
        value >>= _BITS
    written.append(value)
    return bytes(written)


def _number(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(content[at : at + _LONGEST_VARINT]):
        value |= (byte & (_MORE - 1)) << _BITS * place
        if byte < _MORE:
            return value, at + place + 1
    raise ValueError("not a protobuf message")
