"""Which request a call of a service came from: the header by which X-Ray follows a request, made of its id here.

Lambda's runtime client puts the header of an invocation into the function's environment, and SDKs send it on.
"""

import hashlib
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

HEADER: Final = "X-Amzn-Trace-Id"
_ROOT: Final = re.compile(r"Root=1-[0-9a-f]{8}-([0-9a-f]{24})")

CAUSE: ContextVar[str] = ContextVar("CAUSE", default="")
"""Of the call that is being served: the key of the request behind it, empty where none is known."""


def key_of(trace: str) -> str:
    """The 24 hexadecimal digits that stand for a request's id in the header."""
    return hashlib.sha256(trace.encode()).hexdigest()[:24]


def header_of(trace: str) -> str:
    """The header's value for a request's id."""
    return f"Root=1-00000000-{key_of(trace)};Sampled=1"


def noted(headers: Mapping[str, str]) -> str:
    """Note for the rest of this task which request these headers came from; returns its key."""
    found = _ROOT.search(headers.get(HEADER, ""))
    key = found.group(1) if found else ""
    CAUSE.set(key)
    return key
