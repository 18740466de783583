"""The routes of a room: POST and GET /api/sessions/{sessionId}/messages, and POST .../messages/read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, LiteralString
from uuid import UUID

from pydantic import Field, StringConstraints

from autodoctor.db import Database, Row
from autodoctor.errors import SessionEnded, SessionNotFound, SessionNotOpen, Unprocessable
from autodoctor.web.paging import fitting, page_size
from autodoctor.web.schemas import VISIBLE, RequestBody, ResponseModel, Utc

MOST_TEXT: Final = 4000
HIGHEST: Final = (1 << 31) - 1
"""The highest `seq` that there can be."""

type Kind = Literal["text", "file", "system"]
type Writer = Literal["customer", "mechanic", "system"]
type Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_TEXT), VISIBLE]
type Seq = Annotated[int, Field(ge=0, le=HIGHEST)]

_POST: Final[LiteralString] = """
SELECT * FROM post_message(%(session_id)s, %(user_id)s, %(client_id)s, %(text)s, %(attachment_id)s)
"""
_READ: Final[LiteralString] = "SELECT * FROM mark_read(%(session_id)s, %(user_id)s, %(seq)s)"
_LIST: Final[LiteralString] = """
SELECT * FROM read_room(%(session_id)s, %(user_id)s, %(any_session)s, %(after)s, %(before)s, %(limit)s)
"""


class MessageRequest(RequestBody):
    """A message to write.

    Attributes:
        client_id: chosen by the client; sending the same again is the same message.
        text: may be absent where there is an attachment.
        attachment_id: of the same session, uploaded by the same party.
    """

    client_id: UUID
    text: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_TEXT), VISIBLE] | None
    ) = None
    attachment_id: UUID | None = None


class ReadRequest(RequestBody):
    """How far the caller has read.

    Attributes:
        seq: of the last message that was seen.
    """

    seq: Seq


class MessageAttachment(ResponseModel):
    """The picture or document of a message.

    Attributes:
        name: as its sender gave it; `[gone]` once the file is gone.
        bytes: its length.
        state: promised or scanning: to come; clean: may be read; refused or gone: not any more.
    """

    attachment_id: UUID
    name: str
    content_type: str
    bytes: int
    state: Literal["promised", "scanning", "clean", "refused", "gone"]


class Message(ResponseModel):
    """One line of a room.

    Attributes:
        seq: 1, 2, 3 and so on within the session, without gaps.
        role: who wrote it.
        kind: a file has an attachment; what the system says has a `note`.
        text: the words; empty once they were erased, null for a file without words.
        note: what a system message says, as a code for other words than `text`; null for the others.
        at: when it was written.
        client_id: as its writer gave it; null for the system.
    """

    seq: int
    role: Writer
    kind: Kind
    text: str | None
    note: str | None = None
    attachment: MessageAttachment | None
    at: Utc
    client_id: UUID | None


class ReadMarks(ResponseModel):
    """How far each party has read: the `seq` of the last message that they have seen; 0 for none."""

    customer: int
    mechanic: int


class Messages(ResponseModel):
    """A part of a room, in order.

    Attributes:
        latest: the `seq` of the last message of the room; 0 for none.
    """

    messages: list[Message]
    read: ReadMarks
    latest: int


@dataclass(frozen=True, slots=True)
class Told:
    """What the connections of a room have to hear.

    Attributes:
        session_id: whose room it is.
        connections: those of the other side first.
        other_is_there: whether the first one is of the other side.
        message: the message, where it is one.
        event: its row of the outbox, as `outbox.prefetched` takes it, where it has one.
    """

    session_id: UUID
    connections: list[str]
    other_is_there: bool = False
    message: Message | None = None
    event: dict[str, Any] | None = None


class Posted(ResponseModel):
    """The message is written."""

    seq: int
    at: Utc
    told: Told | None = Field(default=None, exclude=True, repr=False)


class Marked(ResponseModel):
    """How far each party has read now."""

    read: ReadMarks
    told: Told | None = Field(default=None, exclude=True, repr=False)


def post(database: Database, user_id: UUID, session_id: UUID, request: MessageRequest) -> Posted:
    """Write a message of a party, in one statement.

    Args:
        user_id: the party's `sub`.

    Returns:
        Its number; the same for the same `client_id`, also after the end.

    Raises:
        SessionNotFound: not a party of such a session.
        SessionNotOpen: scheduled, and not due yet.
        SessionEnded: it is over, and what was said stays.
        TooManyRequests: the party has used up the limit `messages`; a repetition counts too, as it is told again.
        Unprocessable: neither words nor an attachment, or one that cannot be sent.
    """
    if request.text is None and request.attachment_id is None:
        raise Unprocessable(("/text", "is required where there is no attachmentId"))
    parameters = {"session_id": session_id, "user_id": user_id, **request.model_dump()}
    row = database.one(_POST, parameters)
    if row is None:
        raise SessionNotFound
    match row["outcome"]:
        case "ended":
            raise SessionEnded(row["session_status"])
        case "not_open":
            raise SessionNotOpen(row["session_status"])
        case "no_attachment":
            raise Unprocessable(("/attachmentId", "is no attachment of yours in this session that can be sent"))
    return Posted(**row, told=_told(session_id, request, row))


def _told(session_id: UUID, request: MessageRequest, row: Row) -> Told:
    if row["written"] is not None:  # a repetition: what stands, not what this request says
        return Told(session_id, row["connections"], message=Message.model_validate(row["written"]))
    message = Message(
        **row,
        kind="text" if request.attachment_id is None else "file",
        text=request.text,
        attachment=row["attached"],
        client_id=request.client_id,
    )
    payload = {
        "sessionId": session_id,
        "seq": message.seq,
        "role": message.role,
        "kind": message.kind,
        "occurredAt": message.at,
    }
    event = {"subject_id": str(row["subject_id"]), "id": row["event_id"], "type": "message.posted", "payload": payload}
    return Told(session_id, row["connections"], row["other_is_there"], message, event)


def mark(database: Database, user_id: UUID, session_id: UUID, seq: int) -> Marked:
    """Record how far a party has read; a mark only grows, and not beyond the last message.

    Raises:
        SessionNotFound: not a party of such a session.
    """
    row = database.one(_READ, {"session_id": session_id, "user_id": user_id, "seq": seq})
    if row is None:
        raise SessionNotFound
    told = None if row["connections"] is None else Told(session_id, row["connections"])
    return Marked(read=_marks(row), told=told)


def listed(
    database: Database, user_id: UUID, session_id: UUID, query: Mapping[str, str], *, any_session: bool = False
) -> Messages:
    """A part of a room: the messages after a number, or the last ones (before a number); fewer where they are long.

    Args:
        user_id: who asks.
        query: `after`, `before` and `limit` (1 to 100; 20 where absent), as text.
        any_session: whether it may be a session of others (admins).

    Raises:
        SessionNotFound: no such session of this caller.
        Unprocessable: a parameter is no number, or out of its range.
    """
    parameters = {
        "session_id": session_id,
        "user_id": user_id,
        "any_session": any_session,
        "after": _number("after", query),
        "before": _number("before", query),
        "limit": page_size(query.get("limit")),
    }
    row = database.one(_LIST, parameters)
    if row is None:
        raise SessionNotFound
    messages = [Message.model_validate(each) for each in row["messages"]]
    shown = fitting(reversed(messages))[::-1] if parameters["after"] is None else fitting(messages)
    return Messages(messages=shown, read=_marks(row), latest=row["latest"])


def _marks(row: Row) -> ReadMarks:
    return ReadMarks(customer=row["customer_read"], mechanic=row["mechanic_read"])


def _number(name: str, query: Mapping[str, str]) -> int | None:
    given = query.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) <= len(str(HIGHEST)) and int(given) <= HIGHEST):
        raise Unprocessable((f"/{name}", f"must be a whole number from 0 to {HIGHEST}"))
    return int(given)
