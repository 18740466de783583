"""POST /api/sessions/{sessionId}/call: the one meeting of a session, made at the first press, and a place in it."""

import json
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

from pydantic import Field

from autodoctor.db import Database, Row
from autodoctor.errors import MechanicNotActive, ServiceUnavailable, SessionNotFound, SessionNotOpen
from autodoctor.media.chime import ChimeEntrance, MeetingGone
from autodoctor.media.errors import CallOver, NoVideo
from autodoctor.web.schemas import ResponseModel

TRIES: Final = 2
"""A meeting that Chime ended meanwhile is followed by another one, once."""

_ENTER: Final[LiteralString] = "SELECT * FROM enter_call(%(session_id)s, %(user_id)s)"
_MADE: Final[LiteralString] = """
SELECT meeting_made(%(session_id)s, %(attempt)s, %(number)s, %(meeting)s::jsonb) AS meeting
"""
_OVER: Final[LiteralString] = "SELECT meeting_is_over(%(meeting_id)s)"


class EnteredCall(ResponseModel):
    """The meeting, and the caller's place in it, as the medium's own client takes them.

    Attributes:
        meeting: Chime's `Meeting`.
        session_id: never part of the JSON.
        attendee: Chime's `Attendee`; its `JoinToken` is a secret of the caller's.
    """

    session_id: UUID = Field(exclude=True, repr=False)
    provider: Literal["chime"] = "chime"
    meeting: dict[str, Any]
    attendee: dict[str, Any]


def call(database: Database, medium: ChimeEntrance, user_id: UUID, session_id: UUID) -> EnteredCall:
    """Let a party into the meeting of a session.

    Args:
        medium: who carries sound and picture.
        user_id: `sub` of the customer or the mechanic.

    Raises:
        SessionNotFound: not a party of such a session.
        SessionNotOpen: no mechanic has accepted it.
        NoVideo: its plan has none.
        CallOver: the session is over.
        MechanicNotActive: its mechanic, who is suspended, and it is not live.
        TooManyRequests: pressed too often of late.
        ServiceUnavailable: the medium ends every meeting at once.
        AwsError: the medium refuses, or does not answer.
    """
    for _ in range(TRIES):
        entered = database.one(_ENTER, {"session_id": session_id, "user_id": user_id})
        if entered is None:
            raise SessionNotFound
        _refuse(entered)
        meeting = entered["meeting"] or _made(database, medium, session_id, entered)
        try:
            attendee = medium.admit(meeting["MeetingId"], entered["participant_id"])
        except MeetingGone:
            database.all(_OVER, {"meeting_id": meeting["MeetingId"]})
        else:
            return EnteredCall(session_id=session_id, meeting=meeting, attendee=attendee)
    raise ServiceUnavailable


def token_of(session_id: UUID, attempt: int, number: int) -> str:
    """What Chime knows a meeting by before it exists: asked for twice, also by the two parties at once, it is one."""
    return f"{session_id}-{attempt}-{number}"


def _made(database: Database, medium: ChimeEntrance, session_id: UUID, entered: Row) -> dict[str, Any]:
    meeting = medium.open(session_id, token_of(session_id, entered["attempt"], entered["number"]))
    kept = database.one(_MADE, {**entered, "session_id": session_id, "meeting": json.dumps(meeting)})
    made: dict[str, Any] = kept["meeting"] if kept else meeting
    return made


def _refuse(entered: Row) -> None:
    match entered["outcome"]:
        case "over":
            raise CallOver(entered["session_status"])
        case "not_open":
            raise SessionNotOpen(entered["session_status"])
        case "no_video":
            raise NoVideo
        case "suspended":
            raise MechanicNotActive
