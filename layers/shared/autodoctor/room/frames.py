"""What a connection of a room gets, as JSON: at most 32 KB each, which is what API Gateway carries in one frame.

These messages have no `seq` of the feed: a client counts the `seq` of the room's messages instead, which has no gaps.
"""

from typing import Literal
from uuid import UUID

from autodoctor.room.messages import Message, ReadMarks
from autodoctor.web.schemas import ResponseModel


class MessagePushed(ResponseModel):
    """A message was written in the room. They may overtake each other: order them by `seq`, and ask for a gap."""

    type: Literal["message"] = "message"
    session_id: UUID
    message: Message


class ReadPushed(ResponseModel):
    """A party has read on."""

    type: Literal["read"] = "read"
    session_id: UUID
    read: ReadMarks


def frame(pushed: ResponseModel) -> bytes:
    """The JSON that a client gets."""
    return pushed.model_dump_json(by_alias=True).encode()
