"""Finds the request that caused a call of a service, by X-Ray's tracing header, made here of the request's id.

Lambda's runtime client puts the header of an invocation into the function's environment, and SDKs pass it on.
"""

import hashlib
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

HEADER: Final = "X-Amzn-Trace-Id"
_ROOT: Final = re.compile(r"Root=1-[0-9a-f]{8}-([0-9a-f]{24})")

CAUSE: ContextVar[str] = ContextVar("CAUSE", default="")
"""The key of the request that caused the present call; empty when it is unknown."""

TRACE_HEADER: ContextVar[str] = ContextVar("TRACE_HEADER", default="")
"""The header of the present call, which SQS keeps with a message; empty when there is none, or it is invalid."""


def key_of(trace: str) -> str:
    """The 24 hexadecimal digits that stand for a request's id in the header."""
    return hashlib.sha256(trace.encode()).hexdigest()[:24]


def header_of(trace: str) -> str:
    """The header's value for a request's id."""
    return f"Root=1-00000000-{key_of(trace)};Sampled=1"


def noted(headers: Mapping[str, str]) -> str:
    """Set CAUSE and TRACE_HEADER for the rest of this task from these headers, and return the key."""
    given = headers.get(HEADER, "")
    found = _ROOT.search(given)
    key = found.group(1) if found else ""
    CAUSE.set(key)
    TRACE_HEADER.set(given if found else "")
    return key
