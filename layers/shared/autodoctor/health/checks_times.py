"""Timestamps: nothing in the future, everything in the order in which it must have happened."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from autodoctor.health.checks import Check, Finding, Section
from autodoctor.health.checks_record import Record

_IN_TIMESTAMPS = Section.TIMESTAMPS
FUTURE: Final = Check("in_the_future", _IN_TIMESTAMPS, "something happened in the future")
DISORDER: Final = Check("out_of_order", _IN_TIMESTAMPS, "its instants are not in the order of what happened")
TRAIL_DISORDER: Final = Check(
    "trail_out_of_order", _IN_TIMESTAMPS, "audit rows are not in the order of their instants", 7
)
UNLIKE_TRAIL: Final = Check("unlike_its_trail", _IN_TIMESTAMPS, "an instant is not that of its audit row", 7)

CHECKS: Final = (FUTURE, DISORDER, TRAIL_DISORDER, UNLIKE_TRAIL)

_SLACK: Final = timedelta(seconds=10)
"""Between two clock readings of one transaction; also a replica's or restored server's clock against the primary's."""
_CLOSED: Final = frozenset({"declined", "completed", "cancelled", "expired"})


def check(record: Record, now: datetime) -> Iterator[Finding]:
    """What is wrong with the instants of a session.

    Args:
        record: of the session.
        now: by the database's clock.
    """
    session = record.session
    if session is None:
        return
    steps = [session.created_at, session.accepted_at, session.started_at, session.ended_at]
    happened = [each for each in steps if each is not None]
    instants = [*happened, *(each.occurred_at for each in record.everything)]
    if latest := max((each for each in instants if each > now + _SLACK), default=None):
        yield FUTURE.of(session.id, f"{latest}")
    if any(later < earlier - _SLACK for earlier, later in pairwise(happened)):
        yield DISORDER.of(session.id, " > ".join(map(str, happened)))
    for trail in (
        [each.occurred_at for each in record.events],
        [each.occurred_at for each in record.assignment_events],
    ):
        if any(later < earlier for earlier, later in pairwise(trail)):
            yield TRAIL_DISORDER.of(session.id, "a later row tells of an earlier instant")
    yield from _like_trail(record)


def _like_trail(record: Record) -> Iterator[Finding]:
    session = record.session
    if session is None:
        return
    accepted = [each.occurred_at for each in record.transitions if each.to_status == "waiting"]
    if session.accepted_at is not None and accepted and abs(session.accepted_at - accepted[-1]) > _SLACK:
        yield UNLIKE_TRAIL.of(session.id, f"accepted at {session.accepted_at}, its audit row says {accepted[-1]}")
    for assignment in record.assignments:
        ended = [
            each.occurred_at
            for each in record.assignment_events
            if each.assignment_id == assignment.id and each.to_status in _CLOSED and not each.repaired
        ]
        if assignment.ended_at is not None and ended and abs(assignment.ended_at - ended[-1]) > _SLACK:
            detail = f"assignment {assignment.id} ended at {assignment.ended_at}, its audit row says {ended[-1]}"
            yield UNLIKE_TRAIL.of(session.id, detail)
