"""Ended sessions at chosen instants, written past the triggers, with the evidence they would leave."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import psycopg

from autodoctor.ids import new_id
from support.world import Mechanic, World

NOON: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
"""A Monday."""

type Reason = Literal["billable", "too_short", "no_talk", "no_show", "withdrawn", "expired"]

STATUS: Final[dict[Reason, str]] = {
    "billable": "completed",
    "too_short": "cancelled",
    "no_talk": "cancelled",
    "no_show": "cancelled",
    "withdrawn": "cancelled",
    "expired": "expired",
}


@dataclass(frozen=True)
class Story:
    """The course of a session; times are seconds after its creation, None for steps that did not happen."""

    reason: Reason = "billable"
    signed: float | None = 10
    accepted: float | None = 60
    joined: float | None = 80
    parted: float = 680
    absent: str | None = None
    plan: str = "standard"
    funding: Literal["free", "credit", "card"] = "card"
    session_type: str = "video"
    evidence: bool = True


def free(**fields: Any) -> Story:  # noqa: ANN401 (those of Story)
    """One with nothing to settle."""
    return Story(plan="free", funding="free", session_type="chat", **fields)


def withdrawn(after: float = 30, **fields: Any) -> Story:  # noqa: ANN401 (those of Story)
    """A customer who left the queue."""
    return Story("withdrawn", accepted=None, joined=None, parted=after, **fields)


def no_show(absent: str = "customer", after: float = 400, **fields: Any) -> Story:  # noqa: ANN401
    """One that was accepted and never began."""
    return Story("no_show", joined=None, parted=after, absent=absent, **fields)


def id_of(at: datetime) -> UUID:
    """A UUIDv7 of that instant."""
    return UUID(int=int(at.timestamp() * 1000) << 80 | new_id().int & ((1 << 80) - 1))


class PastSessions:
    """Writes ended sessions into one database."""

    def __init__(self, world: World) -> None:
        self.world = world

    def session(self, at: datetime, story: Story | None = None, mechanic: Mechanic | None = None) -> UUID:
        """A session that was created then; its end was decided `story.parted` seconds later."""
        story = story or Story()
        who = (mechanic or self.world.mechanic()) if story.accepted is not None else None
        session_id = id_of(at)
        with self.world.without_triggers() as connection:
            _write(connection, session_id, at, story, who)
        return session_id

    def sessions(self, count: int, at: datetime, story: Story | None = None, mechanic: Mechanic | None = None) -> None:
        """So many, a second apart."""
        for n in range(count):
            self.session(at + timedelta(seconds=n), story, mechanic)


def _write(
    connection: psycopg.Connection[Any], session_id: UUID, at: datetime, story: Story, who: Mechanic | None
) -> None:
    customer_id, assignment_id = new_id(), new_id()

    def moment(seconds: float | None) -> datetime | None:
        return None if seconds is None else at + timedelta(seconds=seconds)

    facts: dict[str, object] = {
        "id": session_id,
        "customer": customer_id,
        "sub": new_id(),
        "assignment": assignment_id,
        "mechanic": who.id if who else None,
        "at": at,
        "signed": moment(story.signed),
        "accepted": moment(story.accepted),
        "joined": moment(story.joined),
        "ended": at + timedelta(seconds=story.parted),
        "reason": story.reason,
        "absent": story.absent,
        "status": STATUS[story.reason],
        "plan": story.plan,
        "funding": story.funding,
        "type": story.session_type,
    }
    for statement in _ROWS:
        connection.execute(statement, facts)
    if who is not None:
        connection.execute(_MECHANIC_TAKES_PART, facts)
    for row in _session_events(story, facts):
        connection.execute(_EVENT, {**facts, **row})
    if story.joined is not None and story.evidence:
        connection.execute(_PRESENCE, facts)
    for source, target, when in _assignment_moves(story, facts):
        connection.execute(_ASSIGNMENT_EVENT, {**facts, "source": source, "target": target, "when": when})


def _session_events(story: Story, facts: dict[str, object]) -> list[dict[str, object]]:
    def event(when: object, **fields: object) -> dict[str, object]:
        return {"when": when, "source": None, "target": None} | fields

    found = [event(facts["at"], target="pending")]
    source = "pending"
    if story.accepted is not None:
        found.append(event(facts["accepted"], source="pending", target="waiting"))
        source = "waiting"
    if story.joined is not None:
        found.append(event(facts["joined"], source="waiting", target="live"))
        source = "live"
    return [*found, event(facts["ended"], source=source, target=facts["status"])]


def _assignment_moves(story: Story, facts: dict[str, object]) -> list[tuple[str | None, object, object]]:
    moves: list[tuple[str | None, object, object]] = [(None, "pending_waiver", facts["at"])]
    source = "pending_waiver"
    if story.signed is not None:
        moves.append((source, "queued", facts["signed"]))
        source = "queued"
    if story.accepted is not None:
        moves.append((source, "accepted", facts["accepted"]))
        source = "accepted"
    return [*moves, (source, facts["status"], facts["ended"])]


_ROWS: Final = (
    """
INSERT INTO customers (id, user_id, name, email) VALUES (%(customer)s, %(sub)s, 'Cora Castillo', 'cora@example.com')
""",
    """
INSERT INTO intakes (id, customer_id, plan_code, funding, session_type, price_cents, currency, credits,
                     mechanic_share_bp, max_minutes, customer_name, vehicle, concern, urgent, evidence, created_at)
SELECT %(id)s::uuid, %(customer)s::uuid, p.code, %(funding)s::text, %(type)s::text, p.price_cents, 'usd', p.credits,
       p.mechanic_share_bp, p.max_minutes, 'Cora Castillo', '{"year": 2019, "make": "Volvo", "model": "V60"}',
       'Squeals', false, 'claimed', %(at)s::timestamptz
  FROM plans p WHERE p.code = %(plan)s
""",
    """
INSERT INTO sessions (id, customer_id, current_assignment_id, created_at, customer_present, mechanic_present, status,
                      mechanic_id, accepted_at, customer_joined_at, mechanic_joined_at, started_at, ended_at,
                      end_reason, absent, ended_by, together_seconds, min_billable_seconds, min_messages_each,
                      late_minutes)
VALUES (%(id)s, %(customer)s, %(assignment)s, %(at)s, %(joined)s::timestamptz IS NOT NULL,
        %(joined)s::timestamptz IS NOT NULL, %(status)s, %(mechanic)s, %(accepted)s, %(joined)s, %(joined)s,
        %(joined)s, %(ended)s, %(reason)s, %(absent)s,
        CASE WHEN %(reason)s IN ('billable', 'too_short', 'no_talk') THEN 'customer' ELSE 'system' END,
        extract(epoch FROM %(ended)s::timestamptz - %(joined)s::timestamptz), 60, 1, 10)
""",
    """
INSERT INTO session_assignments (id, session_id, available_at, queued_at, status, mechanic_id, ended_at)
VALUES (%(assignment)s, %(id)s, %(at)s, %(signed)s, %(status)s, %(mechanic)s, %(ended)s)
""",
    """
INSERT INTO session_participants (session_id, role, since, customer_id)
VALUES (%(id)s, 'customer', %(at)s, %(customer)s)
""",
    """
INSERT INTO waivers (session_id, signed_name, version, signed_at)
SELECT %(id)s::uuid, 'Cora Castillo', '1.0', %(signed)s::timestamptz WHERE %(signed)s::timestamptz IS NOT NULL
""",
)
_MECHANIC_TAKES_PART: Final = """
INSERT INTO session_participants (session_id, role, since, mechanic_id)
VALUES (%(id)s, 'mechanic', %(accepted)s, %(mechanic)s)
"""
_EVENT: Final = """
INSERT INTO session_events (session_id, occurred_at, actor, from_status, to_status)
VALUES (%(id)s, %(when)s, 'customer', %(source)s, %(target)s)
"""
_PRESENCE: Final = """
INSERT INTO session_presence (session_id, role, mechanic_id, source, since, recorded_at, until, closed_at)
SELECT %(id)s, role, CASE role WHEN 'mechanic' THEN %(mechanic)s::uuid END, 'claim', %(joined)s, %(joined)s,
       %(ended)s, %(ended)s
  FROM unnest('{customer,mechanic}'::text[]) AS role
"""
_ASSIGNMENT_EVENT: Final = """
INSERT INTO session_assignment_events (session_id, occurred_at, assignment_id, actor, from_status, to_status)
VALUES (%(id)s, %(when)s, %(assignment)s, 'customer', %(source)s, %(target)s)
"""
