"""The functions' statements, read from PostgreSQL's log, and those that would pin a connection of RDS Proxy.

A pinned connection serves one client until that client goes away, so one such statement per environment
undoes the proxy. The list is AWS's ("Avoiding pinning an RDS Proxy", PostgreSQL), with LISTEN's companions.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from localcloud.database.postgres import APP_ROLE

LOG_LINE_PREFIX = "%m [%p] %q%u@%d/%a "
"""Tells the functions' own connections, which all say who they are, from those of tests."""

FUNCTIONS = "autodoctor"
_ENTRY = re.compile(
    rf"\S+ \S+ \S+ \[\d+\] {APP_ROLE}@[^/]+/(?P<application>\S*) LOG:  "
    r"(?:statement|execute (?P<name>[^:]+)): (?P<text>.*)",
    re.DOTALL,
)
_CONTINUES = "\t"
_UNNAMED = "<unnamed>"

_PINS = {
    "session setting": r"(^|;)\s*(SET|RESET|DISCARD|LOAD)\b|\bset_config\s*\(",
    "statement prepared by name": r"(^|;)\s*(PREPARE|EXECUTE|DEALLOCATE)\b",
    "notification": r"(^|;)\s*(LISTEN|UNLISTEN|NOTIFY)\b|\bpg_notify\s*\(",
    "session lock": r"\bpg_(try_)?advisory_(un)?lock\w*\s*\(",
    "temporary table": r"\b(CREATE|INTO)\s+(LOCAL\s+|GLOBAL\s+)?TEMP(ORARY)?\b",
    "cursor": r"(^|;)\s*DECLARE\b",
    "sequence": r"\b(nextval|setval|currval|lastval)\s*\(",
}
_PIN_PATTERNS = {why: re.compile(pattern, re.IGNORECASE) for why, pattern in _PINS.items()}


@dataclass(frozen=True)
class Statement:
    """A statement as the server got it; `name` is the prepared statement's, where it had one."""

    text: str
    name: str | None


def statements(log: Iterable[str], application: str = FUNCTIONS) -> Iterator[Statement]:
    """The statements of an application under the functions' role, in order, from a log written with LOG_LINE_PREFIX."""
    for entry in _entries(log):
        found = _ENTRY.match(entry)
        if found and found["application"] == application:
            name = found["name"]
            yield Statement(found["text"].rstrip("\n"), None if name == _UNNAMED else name)


def pinning(sent: Iterable[Statement]) -> list[str]:
    """Why a proxy would pin the connection, a sentence for each different statement that makes it."""
    return [f"{why}: {statement.text}" for statement in sorted(set(sent), key=str) for why in _reasons(statement)]


def _reasons(statement: Statement) -> Iterator[str]:
    if statement.name is not None:
        yield f"prepared by the name of {statement.name}"
    yield from (why for why, pattern in _PIN_PATTERNS.items() if pattern.search(statement.text))


def _entries(log: Iterable[str]) -> Iterator[str]:
    """The entries of a log, whose further lines begin with a tab."""
    entry = ""
    for line in log:
        if line.startswith(_CONTINUES):
            entry += line[1:]
        else:
            yield entry
            entry = line
    yield entry
