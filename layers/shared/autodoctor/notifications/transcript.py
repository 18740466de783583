"""What was said in a session's room, as the mail after it shows it."""

from itertools import accumulate
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.notifications.kinds import TranscriptLine

MOST_LINES: Final = 200
MOST_CHARACTERS: Final = 40_000
"""The longest transcript of a mail, which mail programs still show whole; the room has the rest."""

_TRANSCRIPT: Final[LiteralString] = """
SELECT x.at, CASE x.role WHEN 'mechanic' THEN m.name END AS mechanic, x.text
  FROM session_messages x LEFT JOIN mechanics m ON m.id = x.mechanic_id
 WHERE x.session_id = %(session_id)s AND x.role <> 'system' AND (x.text <> '') IS NOT FALSE
 ORDER BY x.seq DESC LIMIT %(most)s + 1
"""


def transcript_of(database: Database, session_id: UUID) -> tuple[tuple[TranscriptLine, ...], bool]:
    """What the parties said in a session's room, oldest first; and whether earlier messages had to be left out."""
    rows = database.all(_TRANSCRIPT, {"session_id": session_id, "most": MOST_LINES})
    lengths = accumulate(len(row["text"] or "") for row in rows)
    newest = [
        TranscriptLine(**row)
        for row, length in zip(rows[:MOST_LINES], lengths, strict=False)
        if length <= MOST_CHARACTERS
    ]
    return tuple(reversed(newest)), len(newest) < len(rows)
