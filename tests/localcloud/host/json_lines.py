"""The entries of a local service (mails, alerts), one line of JSON each, in a file of the data folder."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.host.private_file import private

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class JsonLines[Entry: "DataclassInstance"]:
    """Entries, newest last, in a file that its owner alone may read."""

    def __init__(self, file: Path, made: Callable[..., Entry]) -> None:
        """`made` makes an entry from its JSON fields."""
        self._file = file
        self._made = made

    def add(self, entry: Entry) -> None:
        """Add an entry."""
        with open(self._file, "a", encoding="utf-8", opener=private) as lines:
            lines.write(json.dumps(asdict(entry)) + "\n")

    def all(self) -> list[Entry]:
        """Every entry; a line that a killed process left unfinished is ignored."""
        if not self._file.exists():
            return []
        return [found for line in self._file.read_text(encoding="utf-8").splitlines() if (found := self._read(line))]

    def forget(self) -> None:
        """Drop every entry, also while a server runs: it opens the file for each entry."""
        self._file.unlink(missing_ok=True)

    def _read(self, line: str) -> Entry | None:
        try:
            fields = json.loads(line)
        except ValueError:
            return None
        return self._made(**fields)
