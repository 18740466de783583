"""Presence as the old system recorded it, in the form that our verdict reads."""

from datetime import datetime
from typing import Final, Literal, NamedTuple, cast

from autodoctor.domain.ending import Presence
from autodoctor.legacy.names import OVER, Meaning
from autodoctor.legacy.old import Old, Visit

_ROLES: Final = ("customer", "mechanic")


class Meeting(NamedTuple):
    """Joins and leaves, and the first instant at which both were present, if any.

    Attributes:
        presence: oldest first, per role a leave after each join; open ends only where nothing was recorded.
        since: when both were there first.
        parted: the last such instant; None while both still are, or never were.
        accepted_at: when the mechanic took it; None without a mechanic.
    """

    presence: tuple[Presence, ...]
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
        event
        for role, earliest in (("customer", old.created_at), ("mechanic", accepted_at or old.created_at))
        for event in _alternating(
            role, [each for each in visits if each.role == role], earliest, ended if over else None
        )
    ]
    presence.sort(key=lambda event: (event.at, event.kind == "left"))
    since, parted = _together(presence)
    return Meeting(tuple(presence), since, parted, accepted_at)


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


def _alternating(role: str, visits: list[Visit], earliest: datetime, closed_at: datetime | None) -> list[Presence]:
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
    who = cast("Literal['customer', 'mechanic']", role)
    found = []
    for since, until in merged:
        found.append(Presence(who, "joined", since))
        if until is not None:
            found.append(Presence(who, "left", until))
    return found


def _together(presence: list[Presence]) -> tuple[datetime | None, datetime | None]:
    here: set[str] = set()
    since: datetime | None = None
    parted: datetime | None = None
    for event in presence:
        if len(here) == len(_ROLES) and event.kind == "left":
            parted = event.at
        (here.add if event.kind == "joined" else here.discard)(event.role)
        if len(here) == len(_ROLES):
            since, parted = since or event.at, None
    return since, parted
