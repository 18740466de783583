"""Meetings of sessions that are over: closed at once after the end, and by a sweep where that failed."""

import json
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.aws.errors import AwsError
from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.media.call import token_of
from autodoctor.media.chime import ChimeExit
from autodoctor.web.schemas import ResponseModel

MARGIN_SECONDS: Final = 12.0
"""For the meeting that is being closed when time runs short: both calls may take their whole time."""
MOST_FAILURES: Final = 3

_GHOSTS: Final[LiteralString] = "SELECT * FROM meetings_to_close(%(session_id)s)"
_MADE: Final[LiteralString] = """
SELECT meeting_made(%(session_id)s, %(attempt)s, %(number)s, %(meeting)s::jsonb)
"""
_OVER: Final[LiteralString] = "SELECT meeting_is_over(%(meeting_id)s)"
_UNHEARD: Final[LiteralString] = "SELECT unheard_meetings() AS meetings"


class MeetingsSwept(ResponseModel):
    """What there was of meetings.

    Attributes:
        closed: of sessions that are over.
        unheard: running ones in which the pages hear each other, and of which the medium says nothing.
    """

    closed: int
    unheard: int


def close_meetings(
    database: Database, medium: ChimeExit, seconds_left: SecondsLeft, session_id: UUID | None = None
) -> int:
    """Close the meetings of sessions that are over, or that their mechanic gave back; returns how many.

    Args:
        session_id: only this session's; None: all.

    Raises:
        ExceptionGroup: the medium refused, or did not answer; the others were closed, the next run tries these again.
    """
    failures: list[AwsError] = []
    closed = 0
    for ghost in database.all(_GHOSTS, {"session_id": session_id}):
        if seconds_left() <= MARGIN_SECONDS or len(failures) >= MOST_FAILURES:
            break
        try:
            _close(database, medium, ghost)
        except AwsError as failure:
            failures.append(failure)
        else:
            closed += 1
    if failures:
        raise ExceptionGroup(f"{len(failures)} meetings were not closed", failures)
    return closed


def sweep_meetings(database: Database, medium: ChimeExit, seconds_left: SecondsLeft) -> MeetingsSwept:
    """Close what is to be closed, and count the meetings whose events have stopped. Errors as of `close_meetings`."""
    closed = close_meetings(database, medium, seconds_left)
    found = database.one(_UNHEARD, {})
    return MeetingsSwept(closed=closed, unheard=found["meetings"] if found else 0)


def _close(database: Database, medium: ChimeExit, ghost: Row) -> None:
    meeting_id = ghost["meeting_id"]
    if meeting_id is None:  # asked for, and then the function died: the same token finds it, or makes one to be closed
        meeting = medium.open(ghost["session_id"], token_of(ghost["session_id"], ghost["attempt"], ghost["number"]))
        database.one(_MADE, {**ghost, "meeting": json.dumps(meeting)})
        meeting_id = meeting["MeetingId"]
    medium.close(meeting_id)
    database.one(_OVER, {"meeting_id": meeting_id})
