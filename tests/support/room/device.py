"""A device as a page keeps its room: by number, without gaps, each message once, whatever the network does."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass
class Device:
    """One device of a user, and the network to it.

    Attributes:
        connection_id: its WebSocket; None while it has none.
        wire: frames on their way, oldest first.
        shown: the texts that its user has seen, by `seq`, in the order in which they were shown.
        wants: whether it has noticed that it misses something.
    """

    user_id: UUID
    connection_id: str | None = None
    wire: list[bytes] = field(default_factory=list)
    shown: dict[int, str | None] = field(default_factory=dict)
    wants: bool = True
    _early: dict[int, str | None] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The last number that it has without a gap before it."""
        return max(self.shown, default=0)

    def take(self, sent: bytes) -> None:
        """Take a frame as it comes: late, again, or before an earlier one."""
        message: dict[str, Any] = json.loads(sent)
        if message["type"] == "room":
            self._keep(message["messages"])
            self.wants = not message["complete"] or self.last < message["latest"]
        elif message["type"] == "message":
            self._keep([message["message"]])
            self.wants = self.wants or self.last < message["message"]["seq"]

    def _keep(self, messages: list[dict[str, Any]]) -> None:
        self._early.update({each["seq"]: each["text"] for each in messages if each["seq"] > self.last})
        while (following := self.last + 1) in self._early:
            self.shown[following] = self._early.pop(following)
