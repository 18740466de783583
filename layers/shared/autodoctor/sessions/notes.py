"""PUT /api/sessions/{sessionId}/notes: the mechanic's notes, saved while they are typed, and confirmed once."""

from typing import Annotated, Final, LiteralString
from uuid import UUID

from pydantic import Field, StringConstraints

from autodoctor.db import Database
from autodoctor.errors import NotesChanged, NotesClosed, SessionNotFound
from autodoctor.prefetched import WithEvents
from autodoctor.web.schemas import RequestBody, Utc

MOST_VERSIONS: Final = 1_000_000_000
"""Far below what the column holds: words given with `end` take the next version."""


class NotesRequest(RequestBody):
    """All of the notes, not a part of them.

    Attributes:
        text: empty where there is nothing to say.
        version: greater than that of the notes that were read or saved last; the writer counts.
        confirmed: that they are complete, so that the customer gets them now; it cannot be taken back.
    """

    text: Annotated[str, StringConstraints(max_length=4000)]
    version: Annotated[int, Field(ge=1, le=MOST_VERSIONS)]
    confirmed: bool = False


class NotesSaved(WithEvents):
    """What is stored now; `closesAt` is until when the notes may be completed, null before the end."""

    session_id: UUID
    version: int
    saved_at: Utc
    confirmed_at: Utc | None
    closes_at: Utc | None


_SAVE: Final[LiteralString] = """
SELECT * FROM save_notes(%(session_id)s, %(user_id)s, %(text)s, %(version)s, %(confirmed)s)
"""


def save_notes(database: Database, user_id: UUID, session_id: UUID, request: NotesRequest) -> NotesSaved:
    """Save the notes of a session's mechanic; the same request again changes nothing.

    Args:
        user_id: the mechanic's `sub`.

    Raises:
        SessionNotFound: not this mechanic's session, or the mechanic's data was erased.
        NotesChanged: other words with this version, or newer ones, are stored.
        NotesClosed: it ended more than 24 hours ago, or its customer's data was erased.
    """
    row = database.one(_SAVE, {"session_id": session_id, "user_id": user_id, **request.model_dump()})
    if row is None:
        raise SessionNotFound
    if not row["open"]:
        raise NotesClosed
    if not row["saved"]:
        raise NotesChanged(row["version"])
    # only a confirmation is an event, which would otherwise be looked for at each save
    return NotesSaved(**row, unpublished=None if request.confirmed else [])
