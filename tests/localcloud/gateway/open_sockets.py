"""The open WebSocket connections, kept in the data folder for the next start after a kill.

AWS fires `$disconnect` for every connection, whatever ends it. When the local cloud itself ends, its connections end
with it, so the next start reads them here and fires `$disconnect` for each.

    sockets/lock        held by the cloud that serves the folder's connections
    sockets/open.jsonl  one line per opened connection, and one per connection whose `$disconnect` was fired
"""

import contextlib
import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from localcloud.gateway.socket_events import Link
from localcloud.host.private_file import private

_MANY_DEAD_LINES = 2000


class OpenSockets:
    """The durable list. A second cloud on the same folder (`autodoctor invoke`) keeps no list."""

    def __init__(self, data_dir: Path) -> None:
        folder = data_dir / "sockets"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._file = folder / "open.jsonl"
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._journal: TextIO | None = None
        self._open: dict[str, Link] = {}
        self._dead_lines = 0

    def take_over(self) -> list[Link]:
        """Begin to keep the list, and return the connections that the last cloud left; none if one is still running."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return []
        links = self.listed()
        self._rewrite()
        return links

    def listed(self) -> list[Link]:
        """Return the open connections from the file, which another cloud may be writing."""
        with contextlib.suppress(FileNotFoundError):
            self._read(self._file.read_text(encoding="utf-8"))
        return list(self._open.values())

    def opened(self, link: Link) -> None:
        """Remember a connection."""
        self._open[link.connection_id] = link
        self._write({"opened": asdict(link)})

    def seen_off(self, link: Link) -> None:
        """Forget a connection: its `$disconnect` was fired, or it never opened."""
        if self._open.pop(link.connection_id, None) is None:
            return
        self._write({"seen_off": link.connection_id})
        self._dead_lines += 2
        if self._dead_lines > max(_MANY_DEAD_LINES, len(self._open)):
            self._rewrite()

    def close(self) -> None:
        """Stop keeping the list; it stays for the next start."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        os.close(self._lock)

    def _write(self, entry: dict[str, object]) -> None:
        if self._journal is not None:
            self._journal.write(json.dumps(entry) + "\n")
            self._journal.flush()

    def _read(self, journal: str) -> None:
        for line in journal.splitlines():
            try:
                self._take_in(json.loads(line))
            except (ValueError, TypeError):  # cut off by a kill, or written by another version
                continue

    def _take_in(self, entry: dict[str, Any]) -> None:
        if "opened" in entry:
            link = Link(**entry["opened"])
            self._open[link.connection_id] = link
        else:
            self._open.pop(entry["seen_off"], None)

    def _rewrite(self) -> None:
        if self._journal is not None:
            self._journal.close()
        fresh = self._file.with_suffix(".new")
        with open(fresh, "w", encoding="utf-8", opener=private) as whole:
            whole.writelines(json.dumps({"opened": asdict(link)}) + "\n" for link in self._open.values())
        fresh.replace(self._file)
        self._journal = self._file.open("a", encoding="utf-8")
        self._dead_lines = 0
