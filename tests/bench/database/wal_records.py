"""The table or index that a write-ahead log record belongs to, read from the output of pg_waldump."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_RECORD: Final = re.compile(r"^rmgr: (\S+)\s+len \(rec/tot\):\s*\d+/\s*(\d+),.* desc: (\S+)")
_RELATION: Final = re.compile(r"blkref #\d+: rel \d+/\d+/(\d+)")
_IMAGE: Final = re.compile(r"hole: offset: \d+, length: (\d+)")
_PAGE: Final = 8192
_ALIGNMENT: Final = 8


@dataclass(frozen=True)
class LogRecord:
    """One record.

    Attributes:
        kind: as `Heap INSERT`.
        file: the file number of the relation it changes; empty for a commit.
        length: bytes in the log, without images of whole pages.
        images: bytes of such images.
    """

    kind: str
    file: str
    length: int
    images: int


def records(printed: str) -> list[LogRecord]:
    """What `pg_waldump --bkp-details` prints, record by record."""
    made: list[LogRecord] = []
    lines: list[str] = []
    for line in [*printed.splitlines(), "rmgr:"]:
        if line.startswith("rmgr:") and lines:
            made.append(_record(lines))
            lines = []
        lines.append(line)
    return made


def bytes_of(files: Mapping[str, str], read: Iterable[LogRecord]) -> dict[str, int]:
    """Bytes by relation, without images; `files` names relations by file number, what has none counts as ``."""
    total: dict[str, int] = {}
    for record in read:
        name = files.get(record.file, "")
        total[name] = total.get(name, 0) + record.length
    return total


def _record(lines: list[str]) -> LogRecord:
    head = _RECORD.match(lines[0])
    if head is None:
        raise RuntimeError(f"pg_waldump printed {lines[0]}")
    text = "\n".join(lines)
    files = _RELATION.findall(text)
    images = sum(_PAGE - int(hole) for hole in _IMAGE.findall(text))
    whole = -(-int(head[2]) // _ALIGNMENT) * _ALIGNMENT
    return LogRecord(f"{head[1]} {head[3]}", files[0] if files else "", whole - images, images)
