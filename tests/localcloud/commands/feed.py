"""`autodoctor feed`: a user's realtime feed, one line per message; it reconnects when the connection is lost.

It does what every client has to: get a ticket over HTTPS, open a WebSocket with it, keep the last `seq` for the next
time, and ping, because API Gateway closes a connection that is silent for ten minutes.
"""

import json
import random
import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from autodoctor.operations.console import Refusal
from autodoctor.printable import printable
from localcloud.commands import access
from localcloud.host.datadir import DataDir, NoServer
from localcloud.identity.roster import Group

PING_SECONDS = 300.0
_PING = json.dumps({"action": "ping"})
_IDENTIFY = json.dumps({"action": "identify"})
_TOKEN_SECONDS = 300.0
_LONGEST_PAUSE_SECONDS = 5.0
_TIMEOUT_SECONDS = 30.0


class FeedRefused(Refusal):
    """The server does not let this user have a feed."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"the server refused the feed with {status}: {detail}")


@dataclass
class Feed:
    """One user's feed.

    `show` gets the lines about messages, `note` those about the connection. `since` is the last seq the user
    has seen; None starts with the next message.
    """

    data_dir: DataDir
    sub: str
    group: Group
    show: Callable[[str], None]
    note: Callable[[str], None]
    since: int | None = None
    as_json: bool = False
    _feed: str | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _connected_before: bool = field(default=False, init=False)

    def run(self) -> None:
        """Show messages until interrupted. Raises FeedRefused, and NoServer when none runs at the start."""
        while True:
            try:
                with self._connection() as connection:
                    connection.send(_IDENTIFY)  # the answer has a seq to continue from after a lost connection
                    self._note_connected()
                    self._listen(connection)
            except (ConnectionClosed, InvalidHandshake, httpx.HTTPError, OSError) as lost:
                self._pause(_reason(lost))
            except NoServer as absent:
                if not self._connected_before:
                    raise
                self._pause(str(absent).partition(";")[0])

    def _connection(self) -> AbstractContextManager[ClientConnection]:
        ticket = self._call("POST", "/api/realtime/ticket")
        wanted = {"ticket": ticket["ticket"], "since": self.since, "feed": self._feed}
        query = {name: value for name, value in wanted.items() if value is not None}
        return connect(
            f"{ticket['url']}?{urlencode(query)}", proxy=None, compression=None, open_timeout=_TIMEOUT_SECONDS
        )

    def _call(self, method: str, path: str) -> dict[str, Any]:
        """Make one API call. Raises FeedRefused, NoServer or httpx.HTTPError."""
        server = self.data_dir.server()
        token = access.token(self.data_dir, self.sub, self.group, _TOKEN_SECONDS)
        response = httpx.request(
            method,
            server.api_url + path,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise FeedRefused(response.status_code, response.text)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def _note_connected(self) -> None:
        again = "again " if self._connected_before else ""
        self._note(f"connected {again}as {self.group.removesuffix('s')} {self.sub}; Ctrl-C ends")
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
        if self.group == "mechanics":
            assignments = self._call("GET", "/api/mechanic/queue")["assignments"]
            self._note(f"the queue holds {len(assignments)}")
            for assignment in assignments:
                self._show({"type": "queue", "payload": assignment})
        elif self.group == "customers":
            session = self._call("GET", "/api/customer/active-session")["session"]
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

    def _pause(self, reason: str) -> None:
        """Wait before the next attempt: longer each time, and at random, so that clients do not all return at once."""
        longest = min(_LONGEST_PAUSE_SECONDS, 0.5 * 2**self._failures)
        self._failures += 1
        seconds = random.uniform(longest / 2, longest)  # spreads load, protects nothing
        self._note(f"lost: {reason}; again in {seconds:.1f} s")
        time.sleep(seconds)


def _reason(lost: Exception) -> str:
    if isinstance(lost, ConnectionClosed):
        close = lost.rcvd
        return f"closed with {close.code} {close.reason}".rstrip() if close else "cut off"
    return str(lost) or type(lost).__name__


def _word(value: object) -> str:
    """Return a fact as one word of a line: quoted as a shell would, `-` for null."""
    if value is None:
        return "-"
    return printable(shlex.quote(value if isinstance(value, str) else json.dumps(value)).replace("\n", " "))
