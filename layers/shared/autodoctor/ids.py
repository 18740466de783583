"""Ids that sort by time (UUIDv7, RFC 9562), for rows whose id must be known before they are written."""

import secrets
import time
from typing import Final
from uuid import UUID

FIRST: Final = UUID(int=0)
"""Before every id."""

LAST: Final = UUID(int=(1 << 128) - 1)
"""Beyond every id."""

_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62


def new_id() -> UUID:
    """A UUIDv7; the database's `new_id()` makes the same kind."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    high, low = random >> 62, random & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | high << 64 | low | _VERSION_AND_VARIANT)
