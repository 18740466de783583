"""Participants, their presence, and what the session's row says about them."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from autodoctor.domain.medium import Said, fold
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.record import Record, Session
from autodoctor.plural import counted

_IN_EVIDENCE = Section.EVIDENCE
CUSTOMER_MISSING: Final = Check("customer_missing", _IN_EVIDENCE, "its customer is not its one customer participant", 5)
MECHANIC_MISSING: Final = Check("mechanic_missing", _IN_EVIDENCE, "its mechanic does not take part, or another does", 5)
PARTICIPATION: Final = Check(
    "participation_differs", _IN_EVIDENCE, "accepted more or less often than mechanics took part", 5
)
STRETCHES: Final = Check("stretches_broken", _IN_EVIDENCE, "was there until before they came, or beyond the end", 7)
STRANGER: Final = Check("stranger_joined", _IN_EVIDENCE, "a mechanic joined who never held it", 7)
PRESENCE: Final = Check("presence_differs", _IN_EVIDENCE, "says who is present, its evidence does not", 7)
MEDIUM: Final = Check("medium_differs", _IN_EVIDENCE, "its evidence is not what the medium said", 7)
FIRST_JOINS: Final = Check("first_joins_differ", _IN_EVIDENCE, "says when they first joined, its evidence does not", 7)

MOST: Final = 1000
"""Stretches of one party in a session by one source; beyond that the session's row alone says who is there."""

CHECKS: Final = (CUSTOMER_MISSING, MECHANIC_MISSING, PARTICIPATION, STRETCHES, STRANGER, PRESENCE, MEDIUM, FIRST_JOINS)


def check(record: Record) -> Iterator[Finding]:
    """What is wrong with the participants of a session and the evidence of their presence."""
    session = record.session
    if session is None:
        return
    yield from _participants(record, session)
    yield from _stretches(record, session)
    yield from _medium(record, session)
    yield from _first_joins(record, session)


def _participants(record: Record, session: Session) -> Iterator[Finding]:
    customers = [each for each in record.participants if each.role == "customer"]
    mechanics = [each for each in record.participants if each.role == "mechanic"]
    if [(each.customer_id, each.until) for each in customers] != [(session.customer_id, None)]:
        yield CUSTOMER_MISSING.of(session.id, f"customer participants: {len(customers)}")
    present = {each.mechanic_id for each in mechanics if each.until is None}
    if present != ({session.mechanic_id} - {None}):
        yield MECHANIC_MISSING.of(session.id, f"mechanic {session.mechanic_id}, takes part: {_names(present)}")
    accepted = sum(each.to_status == "accepted" for each in record.assignment_events)
    if accepted != len(mechanics):
        yield PARTICIPATION.of(
            session.id, f"accepted {counted(accepted, 'time')}, mechanics who took part: {len(mechanics)}"
        )


def _stretches(record: Record, session: Session) -> Iterator[Finding]:
    held = {each.mechanic_id for each in record.participants if each.role == "mechanic"}
    for each in record.presence:
        if each.role == "mechanic" and each.mechanic_id not in held:
            yield STRANGER.of(session.id, f"stretch {each.id}: mechanic {each.mechanic_id}")
        if each.until is not None and (each.until < each.since or (each.closed_at or each.until) < each.until):
            yield STRETCHES.of(session.id, f"stretch {each.id}: from {each.since} to {each.until}")
        if session.ended_at is not None and each.source == "claim" and each.until is None:
            yield STRETCHES.of(session.id, f"stretch {each.id}: a claim that outlasts the session")
    # the medium's are bounded in its inbox, and the row follows that
    by_budget = Counter(
        (each.role, each.mechanic_id, each.source) for each in record.presence if each.source in {"room", "claim"}
    )
    if session.ended_at is not None or any(count >= MOST for count in by_budget.values()):
        return
    here = {each.role for each in record.standing if each.until is None and each.source != "mutual"}
    says = {
        role
        for role, present in (("customer", session.customer_present), ("mechanic", session.mechanic_present))
        if present
    }
    if says != here:
        detail = f"{', '.join(sorted(says)) or 'nobody'}; evidence: {', '.join(sorted(here)) or 'nobody'}"
        yield PRESENCE.of(session.id, f"it says present: {detail}")


def _medium(record: Record, session: Session) -> Iterator[Finding]:
    """Compare the medium's evidence with the fold of all that it said; what names no attendee was imported."""
    stored: defaultdict[str, set[object]] = defaultdict(set)
    for each in record.standing:
        if each.source == "medium" and "/" in (each.witness or "") and each.since != each.until:
            stored[each.witness or ""].add((each.since, each.until))
    said: dict[str, set[object]] = {}
    for meeting, attendee in sorted({(each.meeting, each.attendee) for each in record.said if each.attendee}):
        about = (each for each in record.said if each.meeting == meeting and each.attendee in {attendee, ""})
        folded = fold(Said(each.occurred_at, each.kind == "joined", each.kind == "ended") for each in about)
        said[f"{meeting}/{attendee}"] = set(folded)
    for witness in sorted(stored.keys() | said.keys()):
        if stored.get(witness, set()) != said.get(witness, set()):
            detail = f"{len(stored.get(witness, ()))} stretches stored, {len(said.get(witness, ()))} said, or others"
            yield MEDIUM.of(session.id, f"attendee {witness}: {detail}")


def _first_joins(record: Record, session: Session) -> Iterator[Finding]:
    # an instant that the medium told late, or otherwise at first, moves no first join; a window of a page is none
    if any(each.source in {"medium", "mutual"} for each in record.presence):
        return
    came = record.presence
    customer_at = min((each.since for each in came if each.role == "customer"), default=None)
    mechanic_at = min(
        (
            each.since
            for each in came
            if each.mechanic_id is not None
            and each.mechanic_id == session.mechanic_id
            and (session.accepted_at is None or each.since >= session.accepted_at)
        ),
        default=None,
    )
    if (session.customer_joined_at, session.mechanic_joined_at) != (customer_at, mechanic_at):
        detail = f"{session.customer_joined_at} and {session.mechanic_joined_at}"
        yield FIRST_JOINS.of(session.id, f"it says {detail}, its evidence {customer_at} and {mechanic_at}")


def _names(ids: set[UUID | None]) -> str:
    return ", ".join(map(str, ids)) or "nobody"
