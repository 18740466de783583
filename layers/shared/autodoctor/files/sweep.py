"""The sweep of what is kept for a while: uploads that never came, old files and messages, and the files' objects."""

from collections.abc import Callable
from typing import Final, LiteralString

from autodoctor.db import Database
from autodoctor.deadline import SecondsLeft
from autodoctor.web.schemas import ResponseModel

BATCH: Final = 200
MARGIN_SECONDS: Final = 8.0
"""For the deletion that is under way when time runs short."""

type Remove = Callable[[str], None]
"""Deletes an object by its key; one that is not there counts as deleted."""

_LATE: Final[LiteralString] = "SELECT forget_late_uploads(%(batch)s) AS changed"
_OLD: Final[LiteralString] = "SELECT forget_old_files(%(batch)s) AS changed"
_OLD_MESSAGES: Final[LiteralString] = "SELECT forget_old_messages(%(batch)s) AS changed"
_UNWANTED: Final[LiteralString] = """
SELECT id, object_key FROM attachments
 WHERE removed_at IS NULL AND state IN ('refused', 'gone') ORDER BY state_since LIMIT %(batch)s
"""
_REMOVED: Final[LiteralString] = """
UPDATE attachments SET removed_at = clock_timestamp() WHERE id = %(id)s AND removed_at IS NULL
"""
_UNSCANNED: Final[LiteralString] = """
SELECT count(*) AS files FROM attachments WHERE state = 'scanning' AND state_since < now() - interval '15 minutes'
"""


class FilesSwept(ResponseModel):
    """How many files of each kind were dealt with.

    Attributes:
        emptied: rooms whose words were deleted, as they are too old.
        unscanned: files that came more than 15 minutes ago and were not checked; nothing was done about them.
    """

    late: int
    old: int
    emptied: int
    removed: int
    unscanned: int


def sweep_files(database: Database, remove: Remove, seconds_left: SecondsLeft) -> FilesSwept:
    """End promises that nobody kept, files and words past their time, then delete the objects from the bucket.

    A row says that its object is deleted only after it is, so a run that dies is made good by the next one. Safe to
    run twice, and in parallel.

    Raises:
        AwsError: S3 refused a deletion, or did not answer; the next run goes on.
    """
    late = _in_batches(database, _LATE, seconds_left)
    old = _in_batches(database, _OLD, seconds_left)
    emptied = _in_batches(database, _OLD_MESSAGES, seconds_left)
    removed = 0
    while seconds_left() > MARGIN_SECONDS and (unwanted := database.all(_UNWANTED, {"batch": BATCH})):
        for each in unwanted:
            if seconds_left() <= MARGIN_SECONDS:
                break
            remove(each["object_key"])
            removed += database.execute(_REMOVED, {"id": each["id"]})
    unscanned: int = database.all(_UNSCANNED, {})[0]["files"]
    return FilesSwept(late=late, old=old, emptied=emptied, removed=removed, unscanned=unscanned)


def _in_batches(database: Database, statement: LiteralString, seconds_left: SecondsLeft) -> int:
    total = 0
    while seconds_left() > MARGIN_SECONDS:
        changed: int = database.all(statement, {"batch": BATCH})[0]["changed"]
        total += changed
        if changed < BATCH:
            break
    return total
