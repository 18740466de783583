"""The stand-in for Stripe in a process of its own, and a client that controls it over HTTP.

`python stand_in.py FOLDER` prints its URL and runs until its standard input ends.
"""

import http.client
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from localcloud.stripe.http.service import PREFIX as SERVICE
from localcloud.stripe.http.service import running_stripe
from localcloud.stripe.pages.control_api import PREFIX
from localcloud.stripe.state.store import FILE

_SELF: Final = Path(__file__)
_PATIENCE_SECONDS: Final = 120.0

# Each strikes on its own, so that of all calls one in five goes wrong. A time-out hangs up before the client does,
# so that a run does not consist of waiting; one in fifty lets the client give up.
ONE_IN_FIVE: Final = 0.2
_MODES: Final[tuple[Mapping[str, Any], ...]] = (
    {"mode": "error"},
    {"mode": "error_after"},
    {"mode": "unavailable"},
    {"mode": "rate_limit"},
    {"mode": "cut"},
    {"mode": "cut_after"},
    {"mode": "timeout", "seconds": 0.2},
    {"mode": "timeout_after", "seconds": 0.2},
)


class RemoteRefused(Exception):
    """The stand-in does not do that now."""


class RemoteStripe:
    """StripeControl in another process."""

    def __init__(self, url: str, folder: Path) -> None:
        parts = urlsplit(url)
        self.url = url
        self._file = folder / FILE
        self._address = (parts.hostname or "", parts.port or 0)

    def ask(self, name: str, **arguments: object) -> Any:  # noqa: ANN401 (any JSON)
        """Call a method of StripeControl. Raises RemoteRefused."""
        connection = http.client.HTTPConnection(*self._address, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("POST", f"{SERVICE}{PREFIX}{name}", json.dumps(arguments))
            answer = connection.getresponse()
            document = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise RemoteRefused(f"{name}: {answer.status} {document}")
        return document

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        found: list[dict[str, Any]] = self.ask("objects", kind=kind)
        return found

    def events_after(self, sequence: int) -> list[tuple[int, str, str]]:
        """Number, id and type of events that are newer than a number, from the file of the books."""
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as file:
            return file.execute(
                "SELECT sequence, id, json_extract(body, '$.type') FROM object"
                " WHERE kind = 'event' AND sequence > ? ORDER BY sequence",
                [sequence],
            ).fetchall()

    def fail_calls(self, odds: float) -> None:
        """Let calls of the API go wrong, this often in all, in every way that there is."""
        each = 1 - (1 - odds) ** (1 / len(_MODES))
        for mode in _MODES:
            self.ask("fail", times=None, odds=each, **mode)
        self.ask("fail", times=None, odds=odds / 50, mode="timeout_after", seconds=3.5)


@contextmanager
def running_stand_in(folder: Path, webhooks_to: str) -> Iterator[RemoteStripe]:
    """Run a stand-in with its books in a folder."""
    command = [sys.executable, str(_SELF), str(folder), webhooks_to]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield RemoteStripe(process.stdout.readline().strip(), folder)
        process.stdin.close()


def main() -> None:
    """Run it until nobody holds our standard input."""
    with running_stripe(Path(sys.argv[1]), webhooks_to=sys.argv[2]) as control:
        sys.stdout.write(f"{control.url.removesuffix(SERVICE)}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
