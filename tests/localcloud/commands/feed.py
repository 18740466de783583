"""`autodoctor feed`: a user's realtime feed, one line per message; it reconnects when the connection is lost.

It does what every client has to: get a ticket over HTTPS, open a WebSocket with it, keep the last `seq` for the next
time, and ping, because API Gateway closes a connection that is silent for ten minutes.
"""

import json
import random
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection

from autodoctor.printable import printable
from localcloud.host.datadir import NoServer
from localcloud.talk.user_api import PING_SECONDS, UserApi, reason

_PING = json.dumps({"action": "ping"})
_IDENTIFY = json.dumps({"action": "identify"})
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass
class Feed:
    """One user's feed.

    `show` gets the lines about messages, `note` those about the connection. `since` is the last seq the user
    has seen; None starts with the next message.
    """

    user: UserApi
    show: Callable[[str], None]
    note: Callable[[str], None]
    since: int | None = None
    as_json: bool = False
    _feed: str | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _connected_before: bool = field(default=False, init=False)

    def run(self) -> None:
        """Show messages until interrupted. Raises CallRefused, and NoServer when none runs at the start."""
        while True:
            try:
                with self.user.socket(since=self.since, feed=self._feed) as connection:
                    connection.send(_IDENTIFY)  # the answer has a seq to continue from after a lost connection
                    self._note_connected()
                    self._listen(connection)
            except (ConnectionClosed, InvalidHandshake, httpx.HTTPError, OSError) as lost:
                self._pause(reason(lost))
            except NoServer as absent:
                if not self._connected_before:
                    raise
                self._pause(str(absent).partition(";")[0])

    def _note_connected(self) -> None:
        again = "again " if self._connected_before else ""
        self._note(f"connected {again}as {self.user.group.removesuffix('s')} {self.user.sub}; Ctrl-C ends")
        if self._connected_before and self.since is None:
            self._resync()  # without a seq nothing is replayed
        self._connected_before, self._failures = True, 0

    def _listen(self, connection: ClientConnection) -> None:
        next_ping = time.monotonic() + PING_SECONDS
        while True:
            try:
                text = connection.recv(timeout=max(0.0, next_ping - time.monotonic()))
            except TimeoutError:
                connection.send(_PING)
                next_ping = time.monotonic() + PING_SECONDS
            else:
                self._message(json.loads(text))

    def _message(self, message: dict[str, Any]) -> None:
        self._show(message)
        if (feed := (message.get("payload") or {}).get("feed", self._feed)) != self._feed:
            self.since, self._feed = None, feed  # numbers of another history
        if isinstance(seq := message.get("seq"), int):
            self.since = max(seq, self.since or 0)
        if message.get("type") == "resync":
            self._resync()

    def _resync(self) -> None:
        """Show the current state, as a client does when messages may be missing."""
        if self.user.group == "mechanics":
            assignments = self.user.call("GET", "/api/mechanic/queue")["assignments"]
            self._note(f"the queue holds {len(assignments)}")
            for assignment in assignments:
                self._show({"type": "queue", "payload": assignment})
        elif self.user.group == "customers":
            session = self.user.call("GET", "/api/customer/active-session")["session"]
            self._show({"type": "active_session", "payload": session or {}})

    def _note(self, text: str) -> None:
        self.note(f"{datetime.now().astimezone():%H:%M:%S.%f}"[:-3] + f" {'-':>6} {text}")

    def _show(self, message: dict[str, Any]) -> None:
        now = datetime.now().astimezone()
        if self.as_json:
            self.show(json.dumps({"at": now.isoformat(timespec="milliseconds"), **message}))
            return
        facts = " ".join(f"{name}={_word(value)}" for name, value in (message.get("payload") or {}).items())
        seq, kind = message.get("seq", "-"), message.get("type") or message.get("message", "?")
        self.show(f"{now:%H:%M:%S.%f}"[:-3] + f" {seq:>6} {kind:<20} {facts}".rstrip())

    def _pause(self, why: str) -> None:
        """Wait before the next attempt: longer each time, and at random, so that clients do not all return at once."""
        longest = min(_LONGEST_PAUSE_SECONDS, 0.5 * 2**self._failures)
        self._failures += 1
        seconds = random.uniform(longest / 2, longest)  # spreads load, protects nothing
        self._note(f"lost: {why}; again in {seconds:.1f} s")
        time.sleep(seconds)


def _word(value: object) -> str:
    """Return a fact as one word of a line: quoted as a shell would, `-` for null."""
    if value is None:
        return "-"
    return printable(shlex.quote(value if isinstance(value, str) else json.dumps(value)).replace("\n", " "))
