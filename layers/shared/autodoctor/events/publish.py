"""After a call has committed, its events go to the bus at once; if that fails, the relay publishes them."""

import time
from typing import Any, Final, Protocol
from uuid import UUID

import psycopg

from autodoctor.db import Database
from autodoctor.observability import count, log_failure
from autodoctor.prefetched import WithEvents
from autodoctor.settings import required

BUDGET_SECONDS: Final = 0.3
PAUSE_SECONDS: Final = 10.0
"""For this long after a failure the calls of this environment leave publishing to the relay."""


class AboutSession(Protocol):
    """An answer that names the session it changed."""

    @property
    def session_id(self) -> UUID:
        """Which session."""


class Publisher:
    """Publishes the events that a call has just written; a failure is counted, and the caller never sees it.

    Raises:
        SettingMissing: the deployment names no bus.
    """

    def __init__(self, database: Database) -> None:
        required("EVENT_BUS_NAME")
        self._database = database
        self._paused_until = 0.0

    def __call__(self, answer: AboutSession) -> None:
        """Publish the events of the session that an answer is about."""
        self.publish(answer.session_id, answer.unpublished if isinstance(answer, WithEvents) else None)

    def publish(self, subject_id: UUID, prefetched: list[dict[str, Any]] | None = None) -> None:
        """Publish the events about one row; they are fetched unless they are given."""
        if prefetched == []:
            return
        if time.monotonic() < self._paused_until:
            count("PublishDeferred")
            return
        try:
            publish_subject(self._database, subject_id, BUDGET_SECONDS, prefetched)
        except Exception as failure:  # noqa: BLE001 (the call has committed: logged, counted, and left to the relay)
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            log_failure("not published", failure)
            count("PublishFailed")


def publish_subject(
    database: Database, subject_id: UUID, budget_seconds: float, prefetched: list[dict[str, Any]] | None = None
) -> None:
    """Publish the oldest events of one subject, and mark those that the bus took.

    Args:
        subject_id: the row that the events are about.
        budget_seconds: for the bus, not counting what a cold start still has to load.
        prefetched: the events; None: they are fetched.
    """
    from autodoctor.events import outbox  # noqa: PLC0415 (needed only after the commit, so it must not delay the call)
    from autodoctor.events.bus import put_events  # noqa: PLC0415
    from autodoctor.events.model import event_of  # noqa: PLC0415

    rows = outbox.pending(database, subject_id) if prefetched is None else outbox.prefetched(prefetched)
    if not rows:
        return
    errors = put_events([event_of(row) for row in rows], timeout_seconds=budget_seconds)
    taken = [row for row, error in zip(rows, errors, strict=True) if error is None]
    if taken:
        try:
            outbox.mark_of(database, subject_id, taken)
        except psycopg.errors.LockNotAvailable:
            count("MarkingLeft")  # to the relay that holds these events, and publishes them once more
    if len(taken) < len(rows):
        count("EntriesRefused", len(rows) - len(taken))
