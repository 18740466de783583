"""`autodoctor room`: talk in the room of a session from a terminal.

It does what every client has to: says by HTTP, again under the same id until there is an answer; hears by WebSocket;
counts the messages, and asks for those that are missing, after every reconnect too.
"""

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection

from autodoctor.operations.console import Refusal
from autodoctor.printable import printable
from localcloud.host.datadir import NoServer
from localcloud.host.supervise import ToldToStop
from localcloud.talk.user_api import PING_SECONDS, CallRefused, UserApi, reason

_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.2
_PARTING_SECONDS = 5.0
_INDENT = " " * 9


class RoomRefused(Refusal):
    """The user may not enter this room."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the room cannot be entered: {printable(detail)}")


@dataclass
class Room:
    """One user in the room of one session.

    Attributes:
        show: gets the lines of the talk.
        note: gets those about the connection and about who is there.
        stay_seconds: leaves so long after its own last word, or after both had come if that was later; the other may
            not come at all. None: stays until interrupted.
    """

    user: UserApi
    session_id: UUID
    show: Callable[[str], None]
    note: Callable[[str], None]
    stay_seconds: float | None = None
    refusal: Refusal | None = field(default=None, init=False)
    entered: threading.Event = field(default_factory=threading.Event, init=False)
    _connection_id: str | None = field(default=None, init=False)
    _messages: dict[int, dict[str, Any]] = field(default_factory=dict, init=False)
    _shown: int = field(default=0, init=False)
    _present: object = field(default=None, init=False)
    _since: float | None = field(default=None, init=False)
    _said: bool = field(default=False, init=False)

    def say_all(self, lines: Iterable[str]) -> None:
        """Write each line as a message, in order, once the room is entered; lines without a word are left out.

        One that may not be written ends the talk: it is the `refusal`, and the lines after it are not written.
        """
        self.entered.wait()
        try:
            for line in lines:
                if text := line.strip():
                    self._say({"clientId": str(uuid4()), "text": text})
        except CallRefused as refusal:
            self.refusal = refusal
        self._said, self._since = True, time.monotonic()

    def _over(self) -> bool:
        if self.refusal is not None:
            return True
        if self.stay_seconds is None or not self._said or self._since is None:
            return False
        return time.monotonic() >= self._since + self.stay_seconds

    def _say(self, message: dict[str, str]) -> None:
        while True:
            try:
                self.user.call("POST", f"/api/sessions/{self.session_id}/messages", message)
            except (httpx.HTTPError, NoServer) as failure:  # perhaps it is written: the same id is the same message
                self.note(f"not sent yet: {_first_line(failure)}")
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def listen(self) -> None:
        """Show what is said until interrupted, or until it is over, and then leave; reconnects.

        Raises:
            RoomRefused: the user is no party of the session.
            CallRefused: the user gets no connection.
            NoServer: none runs at the start.
        """
        connected = False
        while not self._over():
            try:
                with self.user.socket() as connection:
                    self._connection_id = None
                    connection.send(json.dumps({"action": "identify"}))
                    self._enter(connection)
                    connected = True
                    try:
                        self._hear(connection)
                    except ToldToStop:
                        self._leave(connection)
                        raise
                    self._leave(connection)
            except (ConnectionClosed, InvalidHandshake, httpx.HTTPError, OSError, NoServer) as lost:
                if not connected:
                    raise
                self.note(f"lost: {_first_line(lost)}; trying again")
                time.sleep(random.uniform(_PAUSE_SECONDS / 2, _PAUSE_SECONDS))  # spreads load, protects nothing

    def _enter(self, connection: ClientConnection) -> None:
        wanted = {"action": "room", "sessionId": str(self.session_id)}
        connection.send(json.dumps({**wanted, "after": self._shown} if self._shown else wanted))

    def _leave(self, connection: ClientConnection) -> None:
        """Leave with this connection alone; one that only ended would be told as lost. Nothing waits for it long."""
        give_up_at = time.monotonic() + _PARTING_SECONDS
        with contextlib.suppress(CallRefused, ConnectionClosed, httpx.HTTPError, NoServer, TimeoutError):
            while self._connection_id is None:
                self._identified(json.loads(connection.recv(timeout=max(0.0, give_up_at - time.monotonic()))))
            path = f"/api/sessions/{self.session_id}/leave"
            self.user.call("POST", path, {"connectionId": self._connection_id})

    def _identified(self, frame: dict[str, Any]) -> None:
        if frame.get("type") == "connected":
            self._connection_id = frame["payload"]["connectionId"]

    def _hear(self, connection: ClientConnection) -> None:
        next_ping = time.monotonic() + PING_SECONDS
        while not self._over():
            try:
                text = connection.recv(timeout=_LOOK_SECONDS)
            except TimeoutError:
                if time.monotonic() > next_ping:
                    connection.send(json.dumps({"action": "ping"}))
                    next_ping = time.monotonic() + PING_SECONDS
                continue
            frame = json.loads(text)
            self._identified(frame)
            if frame.get("sessionId") == str(self.session_id) and self._take(frame):
                self._enter(connection)

    def _take(self, frame: dict[str, Any]) -> bool:
        """Show what a frame brings; returns whether something is missing before it."""
        match frame["type"]:
            case "refused":
                raise RoomRefused(str(frame["problem"].get("detail")))
            case "room":
                first = min((each["seq"] for each in frame["messages"]), default=0)
                self._shown = self._shown or max(0, first - 1)  # the beginning of a long talk is not shown
                self._keep(*frame["messages"])
                self._who(frame["present"])
                self.entered.set()
                return bool(frame["complete"] and self._shown < frame["latest"])
            case "message":
                self._keep(frame["message"])
                return bool(self._shown < frame["message"]["seq"])
            case "typing":
                self.note(f"{_INDENT}{frame['role']} is typing")
            case "present":
                self._who(frame["present"])
        return False

    def _keep(self, *messages: dict[str, Any]) -> None:
        self._messages.update({each["seq"]: each for each in messages if each["seq"] > self._shown})
        while (following := self._messages.pop(self._shown + 1, None)) is not None:
            self._shown += 1
            self.show(_line(following))

    def _who(self, present: dict[str, bool]) -> None:
        if present != self._present:
            there = [role for role, is_there in present.items() if is_there]
            self.note(f"{_INDENT}here: {' and '.join(there) or 'nobody'}")
            self._present = present
            if all(present.values()):
                self._since = time.monotonic()


def talk(room: Room, lines: Iterable[str]) -> None:
    """Say the lines while listening; ends as `Room.listen` does, or with the first refusal of either.

    Raises:
        Refusal: as of `say_all` and `listen`.
    """
    threading.Thread(target=room.say_all, args=(lines,), name="speaker", daemon=True).start()
    room.listen()
    if room.refusal is not None:
        raise room.refusal


def _line(message: dict[str, Any]) -> str:
    at = datetime.fromisoformat(message["at"]).astimezone()
    text = printable(message["text"] or "").replace("\n", "\n" + _INDENT)
    if (attachment := message["attachment"]) is not None:
        text = f"[{printable(attachment['name'])}] {text}".rstrip()
    who = "*" if message["role"] == "system" else f"{message['role']}:"
    return f"{at:%H:%M:%S} {who} {text}"


def _first_line(failure: Exception) -> str:
    if isinstance(failure, httpx.HTTPStatusError):
        return HTTPStatus(failure.response.status_code).phrase
    return printable(reason(failure).partition("\n")[0].partition(";")[0])
