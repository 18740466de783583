"""The verdict on an ended session, from its evidence alone, as the schema's `judge()` gives it (SPEC.md#verdict).

Sessions are ended by the schema; this says the same of plain values, for whoever checks or reconstructs an outcome:
verify, repair, the import of the old system, and the tests, which compare the two. It goes through the instants one by
one, where the schema calculates with ranges, so that one proves the other.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, Literal

from autodoctor.domain.lifecycle import EndReason, SessionStatus

type Party = Literal["customer", "mechanic"]
type Source = Literal["room", "medium", "mutual", "claim"]
type EvidenceClass = Literal["witnessed", "claimed"]

_NOTHING: Final = timedelta()


class Absent(StrEnum):
    """The party that was not there while the other waited."""

    CUSTOMER = "customer"
    MECHANIC = "mechanic"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of presence.

    Attributes:
        role: the party.
        source: who says so.
        since: the start, which belongs to it.
        until: the end, which does not; None while it lasts.
    """

    role: Party
    source: Source
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a session.

    Attributes:
        accepted_at: when its present mechanic accepted it; None where nobody holds it.
        started_at: the recorded start, if there is one.
        stretches: of the customer, and of this mechanic since they accepted; in any order.
        words: how many messages the customer and the mechanic wrote.
        kind: what counts, as its intake says.
        wanted_at: when it was wanted, if for later.
    """

    accepted_at: datetime | None
    started_at: datetime | None
    stretches: tuple[Stretch, ...]
    words: tuple[int, int] = (0, 0)
    kind: EvidenceClass = "witnessed"
    wanted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What an outcome is measured by.

    Attributes:
        minimum: how long they must have been together for it to be completed; exactly that long is enough.
        maximum: the plan's longest duration, from the start.
        messages_each: how many messages each must have written for the room to count.
        late: how long one waits for the other before it is a no-show.
    """

    minimum: timedelta
    maximum: timedelta
    messages_each: int = 1
    late: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a session.

    Attributes:
        status: completed or cancelled.
        reason: why.
        started_at: recorded or derived start; None if it never started.
        ended_at: the last instant at which both were there, within the longest duration; the instant of the request
            if it never started.
        together: how long they were together, as far as it counts; None if it never started.
        absent: the party that was not there, if the reason is no_show.
    """

    status: SessionStatus
    reason: EndReason
    started_at: datetime | None
    ended_at: datetime
    together: timedelta | None = None
    absent: Absent | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    """Between two instants at which anybody came or went: who was there, and who says so."""

    since: datetime
    until: datetime
    seen: frozenset[tuple[Party, Source]]

    @property
    def here(self) -> set[str]:
        return {role for role, _ in self.seen}

    def both(self, source: Source) -> bool:
        return {("customer", source), ("mechanic", source)} <= self.seen

    def within(self, since: datetime, until: datetime) -> timedelta:
        return max(_NOTHING, min(self.until, until) - max(self.since, since))


def verdict(evidence: Evidence, now: datetime, limits: Limits, *, by_system: bool = False) -> Verdict:
    """Judge a session that somebody asks to end.

    Args:
        evidence: what is known of it.
        now: the database's clock, after the session was locked.
        limits: what it is measured by.
        by_system: whether a sweep ends it, which then is no change of mind.

    Returns:
        completed, if they were together for long enough; otherwise cancelled with the reason.
    """
    if evidence.accepted_at is None:
        return Verdict(SessionStatus.CANCELLED, EndReason.WITHDRAWN, None, now)
    spans = list(_spans(evidence.stretches, now))
    met = [span for span in spans if len(span.here) == 2]  # noqa: PLR2004 (customer and mechanic)
    started_at = evidence.started_at or (met[0].since if met else None)
    if started_at is None:
        absent = _absent(evidence, spans, now, limits.late, by_system=by_system)
        reason = EndReason.WITHDRAWN if absent is None else EndReason.NO_SHOW
        return Verdict(SessionStatus.CANCELLED, reason, None, now, absent=absent)
    ended_at = min(max(met[-1].until if met else started_at, started_at), started_at + limits.maximum)

    def measured(chosen: Sequence[_Span]) -> timedelta:
        return sum((span.within(started_at, ended_at) for span in chosen), _NOTHING)

    talked = min(evidence.words) >= limits.messages_each
    counted = met if evidence.kind == "claimed" else [span for span in met if _counts(span, talked=talked)]
    together = measured(counted)
    if together >= limits.minimum:
        return Verdict(SessionStatus.COMPLETED, EndReason.BILLABLE, started_at, ended_at, together)
    heard = [
        words > 0 or any(span.within(started_at, ended_at) for span in spans if _sounds(span, role))
        for words, role in zip(evidence.words, ("customer", "mechanic"), strict=True)
    ]
    silent = measured(met) >= limits.minimum and not all(heard)
    return Verdict(
        SessionStatus.CANCELLED, EndReason.NO_TALK if silent else EndReason.TOO_SHORT, started_at, ended_at, together
    )


def first_together(stretches: tuple[Stretch, ...], now: datetime) -> datetime | None:
    """The first instant at which both were there."""
    return next((span.since for span in _spans(stretches, now) if len(span.here) == 2), None)  # noqa: PLR2004


def last_together(stretches: tuple[Stretch, ...], now: datetime) -> datetime | None:
    """The last instant at which both were there; `now` while they still are."""
    return max((span.until for span in _spans(stretches, now) if len(span.here) == 2), default=None)  # noqa: PLR2004


def heard_only(stretches: tuple[Stretch, ...], now: datetime) -> tuple[Stretch, ...]:
    """Of the medium's stretches only what a page of either party has heard; all, where no page said anything."""
    if not any(each.source == "mutual" for each in stretches):
        return stretches
    sure = [each for each in stretches if each.source != "medium"]
    for span in _spans(stretches, now):
        if any(source == "mutual" for _, source in span.seen):
            sure += [
                Stretch(role, "medium", span.since, span.until)
                for role, source in sorted(span.seen)
                if source == "medium"
            ]
    return tuple(sure)


def _counts(span: _Span, *, talked: bool) -> bool:
    """Whether witnesses saw both: the medium, each page, or the room in which both wrote enough."""
    return span.both("medium") or span.both("mutual") or (talked and span.both("room"))


def _sounds(span: _Span, role: str) -> bool:
    return (role, "medium") in span.seen or span.both("mutual")


def _spans(stretches: tuple[Stretch, ...], now: datetime) -> Iterator[_Span]:
    """The time up to now, cut at every instant at which somebody came or went."""
    changes: list[tuple[datetime, int, tuple[Party, Source]]] = []
    for each in stretches:
        until = now if each.until is None else min(each.until, now)
        if each.since < until:
            changes += [(each.since, 1, (each.role, each.source)), (until, -1, (each.role, each.source))]
    changes.sort(key=lambda change: change[0])
    seen: Counter[tuple[Party, Source]] = Counter()
    for (since, step, who), (until, _, _) in pairwise(changes):
        seen[who] += step
        if since < until:
            yield _Span(since, until, frozenset(key for key, count in seen.items() if count))


def _absent(
    evidence: Evidence, spans: Sequence[_Span], now: datetime, late: timedelta, *, by_system: bool
) -> Absent | None:
    """Who kept the other waiting for too long; a sweep asks only who came. None: it was a change of mind."""
    since = max(filter(None, (evidence.accepted_at, evidence.wanted_at)))
    alone = {
        role: sum((span.within(since, now) for span in spans if span.here == {role}), _NOTHING)
        for role in ("customer", "mechanic")
    }
    waited = {role for role, time in alone.items() if time >= max(late, timedelta(microseconds=1))}
    if by_system and not waited:
        waited = {role for span in spans for role in span.here} or {"customer", "mechanic"}
    if not waited:
        return None
    if len(waited) > 1:
        return Absent.BOTH
    return Absent.MECHANIC if waited == {"customer"} else Absent.CUSTOMER
