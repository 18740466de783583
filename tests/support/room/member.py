"""One device of a party in a room: says by HTTP, hears by WebSocket."""

from typing import Any, Self

from autodoctor.ids import new_id
from support.account import Caller
from support.events.feed_client import FeedClient, Received


class Member:
    """A party's device, in the room of a session.

    Args:
        caller: the party.
        session: the path of the session.
        after: the `seq` of the last message that it has; None: it has none.
    """

    def __init__(self, caller: Caller, session: str, after: int | None = None) -> None:
        self.caller = caller
        self.session = session
        self.session_id = session.rpartition("/")[2]
        self.feed = FeedClient.of(caller)
        self.enter(after)

    def enter(self, after: int | None = None) -> dict[str, Any]:
        """Enter the room, perhaps again; returns the last frame of the answer."""
        before = len(self.feed.received)
        wanted = {"action": "room", "sessionId": self.session_id}
        self.feed.send(wanted if after is None else {**wanted, "after": after})

        def answers(frame: Received) -> bool:
            whole = frame.type == "room" and frame.message["complete"]
            return (whole or frame.type == "refused") and frame in self.feed.received[before:]

        return self.feed.wait_for(answers).message

    def say(self, text: str, client_id: str | None = None) -> int:
        """Write a message; returns its `seq`."""
        body = {"clientId": client_id or str(new_id()), "text": text}
        seq: int = self.caller.post(f"{self.session}/messages", body, 201)["seq"]
        return seq

    def hears(self, text: str) -> dict[str, Any]:
        """Wait for the push of a message with these words; returns the message."""
        heard = self.feed.wait_for(lambda frame: frame.type == "message" and frame.message["message"]["text"] == text)
        message: dict[str, Any] = heard.message["message"]
        return message

    def pushed(self, kind: str) -> list[dict[str, Any]]:
        """What came of one type so far."""
        return [frame.message for frame in self.feed.of_type(kind)]

    def sees_present(self, *, customer: bool, mechanic: bool) -> None:
        """Wait until it was told that these are there."""
        wanted = {"customer": customer, "mechanic": mechanic}
        self.feed.wait_for(lambda frame: frame.type in ("present", "room") and frame.message["present"] == wanted)

    @property
    def texts(self) -> dict[int, str]:
        """What it has heard or been given, by `seq`; a number that came with other words fails."""
        known: dict[int, str] = {}
        for frame in self.feed.received:
            for message in [*frame.message.get("messages", []), frame.message.get("message")]:
                if isinstance(message, dict):
                    assert known.setdefault(message["seq"], message["text"]) == message["text"]
        return known

    @property
    def given(self) -> list[str]:
        """What it was given as it entered, in order; what was pushed meanwhile may be older (SPEC.md#room)."""
        return [each["text"] for frame in self.pushed("room") for each in frame["messages"]]

    def close(self) -> None:
        """Leave, as a page that is closed does."""
        self.feed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
