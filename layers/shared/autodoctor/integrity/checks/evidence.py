"""Participants, joins and leaves, and what the session's row says about them."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.checks.record import Record, Session
from autodoctor.plural import counted

_IN_EVIDENCE = Section.EVIDENCE
CUSTOMER_MISSING: Final = Check("customer_missing", _IN_EVIDENCE, "its customer is not its one customer participant", 5)
MECHANIC_MISSING: Final = Check("mechanic_missing", _IN_EVIDENCE, "its mechanic does not take part, or another does", 5)
PARTICIPATION: Final = Check(
    "participation_differs", _IN_EVIDENCE, "accepted more or less often than mechanics took part", 5
)
VISITS: Final = Check("visits_broken", _IN_EVIDENCE, "joined twice, or left without having joined", 7)
STRANGER: Final = Check("stranger_joined", _IN_EVIDENCE, "a mechanic joined who never held it", 7)
PRESENCE: Final = Check("presence_differs", _IN_EVIDENCE, "says who is present, its evidence does not", 7)
FIRST_JOINS: Final = Check("first_joins_differ", _IN_EVIDENCE, "says when they first joined, its evidence does not", 7)

CHECKS: Final = (CUSTOMER_MISSING, MECHANIC_MISSING, PARTICIPATION, VISITS, STRANGER, PRESENCE, FIRST_JOINS)


def check(record: Record) -> Iterator[Finding]:
    """What is wrong with the participants of a session and the evidence of their presence."""
    session = record.session
    if session is None:
        return
    yield from _participants(record, session)
    yield from _visits(record, session)
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


def _visits(record: Record, session: Session) -> Iterator[Finding]:
    last: dict[tuple[str | None, UUID | None], str] = {}
    held = {each.mechanic_id for each in record.participants if each.role == "mechanic"}
    for event in record.events:
        if event.type == "transition":
            continue
        who = (event.role, event.mechanic_id)
        if event.type == last.get(who, "left"):
            yield VISITS.of(session.id, f"event {event.id}: {event.role} {event.type} again")
        last[who] = event.type
        if event.role == "mechanic" and event.mechanic_id not in held:
            yield STRANGER.of(session.id, f"event {event.id}: mechanic {event.mechanic_id}")
    here = {who for who, kind in last.items() if kind == "joined"}
    says = {
        who
        for who, present in (
            (("customer", None), session.customer_present),
            (("mechanic", session.mechanic_id), session.mechanic_present),
        )
        if present
    }
    if says != here:
        detail = f"customer {session.customer_present}, mechanic {session.mechanic_present}"
        yield PRESENCE.of(session.id, f"it says present: {detail}; evidence: {', '.join(str(who[0]) for who in here)}")


def _first_joins(record: Record, session: Session) -> Iterator[Finding]:
    came = [each for each in record.events if each.type == "joined"]
    customer_at = min((each.occurred_at for each in came if each.role == "customer"), default=None)
    mechanic_at = min(
        (
            each.occurred_at
            for each in came
            if each.mechanic_id is not None
            and each.mechanic_id == session.mechanic_id
            and (session.accepted_at is None or each.occurred_at >= session.accepted_at)
        ),
        default=None,
    )
    if (session.customer_joined_at, session.mechanic_joined_at) != (customer_at, mechanic_at):
        detail = f"{session.customer_joined_at} and {session.mechanic_joined_at}"
        yield FIRST_JOINS.of(session.id, f"it says {detail}, its evidence {customer_at} and {mechanic_at}")


def _names(ids: set[UUID | None]) -> str:
    return ", ".join(map(str, ids)) or "nobody"
