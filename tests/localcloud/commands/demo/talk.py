"""How the people of a demo talk: a socket in the room, and words both ways."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from localcloud.commands.demo.people import Caller, DemoStopped
from localcloud.commands.demo.video import hold_call

TALK_SECONDS: Final = 3
_WITHIN_SECONDS: Final = 30.0
_WORDS: Final = ("It squeals whenever I brake.", "Since when? Show me the front pads.")


def talk(customer: Caller, mechanic: Caller, session: str, say: Callable[[str], None], *, video: bool) -> None:
    """Both come into the room by a socket each, and write to each other for TALK_SECONDS, or hold a call.

    Args:
        session: the path of a session that the mechanic has accepted.

    Raises:
        DemoStopped: the server does not let them.
    """
    with contextlib.ExitStack() as stack:
        for caller in (customer, mechanic):
            caller.call("POST", f"{session}/join", {"connectionId": stack.enter_context(_socket(caller))})
        if video:
            hold_call(customer, mechanic, session, say)
        else:
            _write(customer, mechanic, session, say)
        # confirmed, so that the summary goes out at the end and not a quarter of an hour later
        notes = {"text": "New brake pads, soon.", "version": 1, "confirmed": True}
        mechanic.call("PUT", f"{session}/notes", notes)
        mechanic.call("POST", f"{session}/end")


def _write(customer: Caller, mechanic: Caller, session: str, say: Callable[[str], None]) -> None:
    for caller, words in zip((customer, mechanic), _WORDS, strict=True):
        say(f'  {caller.person.name} writes: "{words}"')
        caller.call("POST", f"{session}/messages", {"clientId": str(uuid4()), "text": words})
    say(f"  ... they talk for {TALK_SECONDS} s ...")
    time.sleep(TALK_SECONDS)


def evidence(session: dict[str, Any]) -> Iterator[str]:
    """Lines about who was seen when, in seconds since the session began."""
    began = datetime.fromisoformat(session["createdAt"])

    def seconds(at: str | None) -> str:
        return "still there" if at is None else f"{(datetime.fromisoformat(at) - began).total_seconds():7.3f}"

    seen = session["evidence"]
    yield f"\nEvidence ({seen['class']}): {seen['togetherSeconds']} s together"
    for each in seen["intervals"]:
        yield f"  {each['role']:<10}{each['source']:<8}{seconds(each['from'])} to {seconds(each['until'])}"


@contextlib.contextmanager
def _socket(caller: Caller) -> Iterator[str]:
    """An open socket of the caller; gives the id that a join names."""
    ticket = caller.call("POST", "/api/realtime/ticket")
    try:
        with connect(f"{ticket['url']}?ticket={ticket['ticket']}", proxy=None, compression=None) as socket:
            socket.send(json.dumps({"action": "identify"}))
            deadline = time.monotonic() + _WITHIN_SECONDS
            while (message := json.loads(socket.recv(timeout=deadline - time.monotonic())))["type"] != "connected":
                pass
            yield message["payload"]["connectionId"]
    except (InvalidHandshake, TimeoutError) as error:
        raise DemoStopped(f"{caller.person.name} got no socket: {error}") from error
