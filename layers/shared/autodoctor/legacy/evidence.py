"""Presence as the old system recorded it, in the form that our verdict reads."""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from autodoctor.domain.ending import Party, Stretch, first_together, last_together
from autodoctor.legacy.names import OVER, Meaning
from autodoctor.legacy.old import Old, Visit

_ROLES: Final[tuple[Party, Party]] = ("customer", "mechanic")
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


class Meeting(NamedTuple):
    """Who was there when, and the first instant at which both were, if any.

    Attributes:
        presence: oldest first, per role without overlaps; open ends only where nothing was recorded.
        since: when both were there first.
        parted: the last such instant; None while both still are, or never were.
        accepted_at: when the mechanic took it; None without a mechanic.
    """

    presence: tuple[Stretch, ...]
    since: datetime | None
    parted: datetime | None
    accepted_at: datetime | None


def meeting(old: Old, *, has_mechanic: bool) -> Meeting:
    """The evidence in the old rows.

    Recorded joins and leaves count first. Where a party has none, the old server's own start and end stand for them: it
    set the start when both had joined, whatever its client said later. A start without an end lasted as long as the
    row's duration says.

    Args:
        old: the consultation.
        has_mechanic: whether somebody can be named who held it; else no mechanic can have been there.
    """
    started, ended = _span(old)
    visits = [visit for visit in old.visits if has_mechanic or visit.role == "customer"]
    if started is not None and has_mechanic:
        recorded = {visit.role for visit in visits}
        visits += [Visit(role, started, None) for role in _ROLES if role not in recorded]
    accepted_at = _accepted(old, visits, started) if has_mechanic else None
    over = old.meaning in OVER
    presence = [
        stretch
        for role, earliest in zip(_ROLES, (old.created_at, accepted_at or old.created_at), strict=True)
        for stretch in _merged(role, [each for each in visits if each.role == role], earliest, ended if over else None)
    ]
    presence.sort(key=lambda stretch: stretch.since)
    found = tuple(presence)
    parted = last_together(found, _LATEST)
    return Meeting(found, first_together(found, _LATEST), None if parted == _LATEST else parted, accepted_at)


def _span(old: Old) -> tuple[datetime | None, datetime | None]:
    started, ended = old.started_at, old.ended_at
    if started is None and ended is not None and old.lasted is not None and old.meaning is Meaning.COMPLETED:
        started = max(ended - old.lasted, old.created_at)
    if started is not None and ended is None and old.meaning in OVER:
        ended = started + old.lasted if old.lasted is not None else old.updated_at
    if started is not None and ended is not None and ended < started:
        ended = started
    return started, ended


def _accepted(old: Old, visits: list[Visit], started: datetime | None) -> datetime:
    """When the mechanic accepted: not before the request, not after they joined."""
    came = [visit.since for visit in visits if visit.role == "mechanic"]
    latest = min([*came, *([started] if started else [])], default=None)
    said = old.accepted_at or latest or old.ended_at or old.updated_at or old.created_at
    return max(min(said, latest or said), old.created_at)


def _merged(role: Party, visits: list[Visit], earliest: datetime, closed_at: datetime | None) -> list[Stretch]:
    """Merge overlapping visits, cut to the time between `earliest` and `closed_at`."""
    merged: list[tuple[datetime, datetime | None]] = []
    for visit in sorted(visits, key=lambda each: each.since):
        since = max(visit.since, earliest)
        until = visit.until if visit.until is not None else closed_at
        until = None if until is None else max(until, since)
        if merged and (merged[-1][1] is None or merged[-1][1] >= since):
            before = merged[-1]
            ends = None if before[1] is None or until is None else max(before[1], until)
            merged[-1] = (before[0], ends)
        else:
            merged.append((since, until))
    return [Stretch(role, "claim", since, until) for since, until in merged]
