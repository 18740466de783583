"""The sweep of what is kept for a while: uploads that never came, old files and messages, and the files' objects."""

from collections.abc import Callable
from typing import Final, LiteralString
from uuid import UUID  # noqa: TC003 - annotates a local variable

from autodoctor.aws.errors import AwsError
from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.web.schemas import ResponseModel

BATCH: Final = 200
MARGIN_SECONDS: Final = 8.0
"""For the deletion that is under way when time runs short."""
MOST_FAILURES: Final = 3
"""So many deletions in a run may fail before it stops asking S3."""

type Remove = Callable[[str], None]
"""Deletes an object by its key; one that is not there counts as deleted."""

_LATE: Final[LiteralString] = "SELECT forget_late_uploads(%(batch)s) AS changed"
_OLD: Final[LiteralString] = "SELECT forget_old_files(%(batch)s) AS changed"
_OLD_MESSAGES: Final[LiteralString] = "SELECT forget_old_messages(%(batch)s) AS changed"
_UNWANTED: Final[LiteralString] = """
SELECT id, object_key FROM attachments
 WHERE removed_at IS NULL AND state IN ('refused', 'gone') AND id <> ALL (%(failed)s::uuid[])
 ORDER BY state_since LIMIT %(batch)s
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
        ExceptionGroup: S3 refused deletions, or did not answer; the others were made, the next run tries these again.
    """
    late = _in_batches(database, _LATE, seconds_left)
    old = _in_batches(database, _OLD, seconds_left)
    emptied = _in_batches(database, _OLD_MESSAGES, seconds_left)
    removed = _remove_unwanted(database, remove, seconds_left)
    unscanned: int = database.all(_UNSCANNED, {})[0]["files"]
    return FilesSwept(late=late, old=old, emptied=emptied, removed=removed, unscanned=unscanned)


def _remove_unwanted(database: Database, remove: Remove, seconds_left: SecondsLeft) -> int:
    failures: dict[UUID, AwsError] = {}
    removed = 0

    def unwanted() -> list[Row]:
        enough = seconds_left() <= MARGIN_SECONDS or len(failures) >= MOST_FAILURES
        return [] if enough else database.all(_UNWANTED, {"batch": BATCH, "failed": list(failures)})

    while rows := unwanted():
        for row in rows:
            if seconds_left() <= MARGIN_SECONDS or len(failures) >= MOST_FAILURES:
                break
            try:
                remove(row["object_key"])
            except AwsError as failure:  # of this object, perhaps: it must not hold up the others
                failures[row["id"]] = failure
            else:
                removed += database.execute(_REMOVED, {"id": row["id"]})
    if failures:
        raise ExceptionGroup(f"{len(failures)} files were not deleted", list(failures.values()))
    return removed


def _in_batches(database: Database, statement: LiteralString, seconds_left: SecondsLeft) -> int:
    total = 0
    while seconds_left() > MARGIN_SECONDS:
        changed: int = database.all(statement, {"batch": BATCH})[0]["changed"]
        total += changed
        if changed < BATCH:
            break
    return total
