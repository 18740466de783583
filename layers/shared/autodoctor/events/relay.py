"""The relay: publishes the events that calls left in the outbox, subject by subject and in order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Final
from uuid import UUID

import psycopg
from pydantic import ValidationError

from autodoctor.aws.errors import AwsError
from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.events import outbox
from autodoctor.events.bus import MOST_ENTRIES, put_events
from autodoctor.events.model import Event, event_of
from autodoctor.observability import log_failure
from autodoctor.web.schemas import ResponseModel

GRACE_SECONDS: Final = 5.0
"""Younger events are about to be published by the call that wrote them."""
MOST_ATTEMPTS: Final = 5
SUBJECTS: Final = 20
EACH: Final = 50
"""Events of one subject per turn, so that one with a long backlog does not hold up the others."""
MARGIN_SECONDS: Final = 6.0
PUT_SECONDS: Final = 2.0
_BEFORE_ALL: Final = UUID(int=0)


class Relayed(ResponseModel):
    """The work of one run, and the events it left in the outbox.

    Attributes:
        published: events the bus took.
        refused: events it did not take; they stay for the next run.
        set_aside: events that were refused too often, or cannot be built.
        failed: whether the bus did not answer at all, which ended the run.
        depth: events that are left.
        age_seconds: of the oldest of them.
        poison: events set aside so far.
    """

    published: int
    refused: int
    set_aside: int
    failed: bool
    depth: int
    age_seconds: float
    poison: int


class _Run:
    """The tally of one run, which goes on while there is time and the bus answers."""

    def __init__(self, seconds_left: SecondsLeft, grace_seconds: float) -> None:
        self.published = self.refused = self.set_aside = 0
        self.failed = False
        self._seconds_left = seconds_left
        self._grace_seconds = grace_seconds
        self._after = _BEFORE_ALL
        self._more = False

    @property
    def goes_on(self) -> bool:
        """Whether there is time for another batch."""
        return not self.failed and self._seconds_left() > MARGIN_SECONDS

    def once_through(self, database: Database) -> bool:
        """Give every subject a turn; returns whether one has more events than its turn took."""
        self._after, self._more = _BEFORE_ALL, False
        while self.goes_on and database.transaction(self.subjects) == SUBJECTS:
            pass
        return self._more

    def subjects(self, connection: psycopg.Connection[Row]) -> int:
        """Publish the next subjects, in the transaction that locks them; return how many there were.

        A bus that fails half-way, or time that runs out, ends the run; what was taken before is marked.
        """
        rows = outbox.claim(connection, self._after, SUBJECTS, EACH, self._grace_seconds)
        stuck: set[UUID] = set()
        for batch in batched(self._built(connection, rows, stuck), MOST_ENTRIES, strict=False):
            if not self.goes_on:
                break
            # The events after a refused one of the same subject wait for it.
            ready = [(row, event) for row, event in batch if row["subject_id"] not in stuck]
            try:
                self._put(connection, ready, stuck)
            except AwsError as failure:
                log_failure("bus unavailable", failure)
                self.failed = True
                break
        found = Counter(row["subject_id"] for row in rows)
        if found:
            self._after = max(found)
            self._more |= any(count == EACH and subject not in stuck for subject, count in found.items())
        return len(found)

    def _built(
        self, connection: psycopg.Connection[Row], rows: Sequence[Row], stuck: set[UUID]
    ) -> Iterator[tuple[Row, Event]]:
        for row in rows:
            if row["subject_id"] in stuck:
                continue
            try:
                yield row, event_of(row)
            except ValidationError as invalid:
                log_failure("event cannot be built", invalid)
                outbox.refuse(connection, row, "cannot be built", most_attempts=1)
                self.set_aside += 1

    def _put(self, connection: psycopg.Connection[Row], batch: Sequence[tuple[Row, Event]], stuck: set[UUID]) -> None:
        if not batch:
            return
        errors = put_events([event for _, event in batch], timeout_seconds=PUT_SECONDS)
        taken = []
        for (row, _), error in zip(batch, errors, strict=True):
            if error is None:
                taken.append(row)
            elif outbox.refuse(connection, row, error, MOST_ATTEMPTS):
                self.set_aside += 1
            else:
                stuck.add(row["subject_id"])
                self.refused += 1
        outbox.mark(connection, taken)
        self.published += len(taken)


def relay(database: Database, seconds_left: SecondsLeft, grace_seconds: float = GRACE_SECONDS) -> Relayed:
    """Publish the events left in the outbox, turn by turn, until it is empty or time runs short.

    Several may run at once, since a subject belongs to one relay at a time. A relay that is killed between the bus's
    answer and its commit has published events that the next one publishes again.

    Args:
        grace_seconds: younger events are left to the call that wrote them.

    Returns:
        What was done. `failed` is not an error here: the alarm on the outbox's age reports a bus that stays away.
    """
    run = _Run(seconds_left, grace_seconds)
    try:
        while run.goes_on and run.once_through(database):
            pass
    except psycopg.errors.LockNotAvailable as busy:
        log_failure("events held by another", busy)  # they are published again by the next run
    return Relayed(
        published=run.published,
        refused=run.refused,
        set_aside=run.set_aside,
        failed=run.failed,
        **outbox.backlog(database),
    )
