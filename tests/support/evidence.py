"""Evidence that a test plants as the owner, and reads back from the audit trail."""

from typing import Any, Literal
from uuid import UUID

from support.world import Mechanic, World


def plant(
    world: World,
    session_id: UUID,
    kind: Literal["joined", "left"],
    seconds_ago: float,
    mechanic: Mechanic | None = None,
) -> None:
    """Add a join or leave that the session's row knows nothing of: of this mechanic, or of the customer."""
    world.owner.execute(
        "INSERT INTO session_events (session_id, type, role, mechanic_id, actor, occurred_at)"
        " VALUES (%s, %s, %s, %s, 'planted', now() - make_interval(secs => %s))",
        [session_id, kind, "mechanic" if mechanic else "customer", mechanic and mechanic.id, seconds_ago],
    )


def plant_meeting(world: World, session_id: UUID, mechanic: Mechanic, seconds: str) -> None:
    """Add joins of both an hour ago and, exactly `seconds` later, the leave of the customer."""
    world.owner.execute(
        "INSERT INTO session_events (session_id, type, role, mechanic_id, actor, occurred_at)"
        " SELECT %s, kind, role, CASE role WHEN 'mechanic' THEN %s::uuid END, 'planted', now() - interval '1 h' + later"
        " FROM (VALUES ('joined', 'customer', interval '0'), ('joined', 'mechanic', interval '0'),"
        "              ('left', 'customer', make_interval(secs => %s))) AS planted (kind, role, later)",
        [session_id, mechanic.id, float(seconds)],
    )


def events(world: World, session_id: UUID) -> list[str]:
    """The session's audit trail in a few words: each move's target, each join and leave with its role."""
    rows = world.owner.execute(
        "SELECT coalesce(to_status, role || ' ' || type) AS event FROM session_events"
        " WHERE session_id = %s ORDER BY id",
        [session_id],
    )
    return [row["event"] for row in rows]


def last_event(world: World, session_id: UUID) -> dict[str, Any]:
    """The newest row of the session's audit trail."""
    row = world.owner.execute(
        "SELECT * FROM session_events WHERE session_id = %s ORDER BY id DESC LIMIT 1", [session_id]
    ).fetchone()
    assert row is not None
    return row


def assignments(world: World, session_id: UUID) -> list[str]:
    """The status of each of the session's assignments, oldest first."""
    rows = world.owner.execute(
        "SELECT status FROM session_assignments WHERE session_id = %s ORDER BY attempt", [session_id]
    )
    return [row["status"] for row in rows]


def column(world: World, session_id: UUID, name: str) -> Any:  # noqa: ANN401 (any column)
    """One column of the session's row."""
    row = world.owner.execute("SELECT * FROM sessions WHERE id = %s", [session_id]).fetchone()
    assert row is not None
    return row[name]


def stretches(world: World, session_id: UUID) -> list[str]:
    """The evidence of presence, oldest first: `customer room` for each stretch, with `...` while it lasts."""
    rows = world.owner.execute(
        "SELECT role || ' ' || source || CASE WHEN until IS NULL THEN '...' ELSE '' END AS stretch"
        "  FROM session_presence WHERE session_id = %s ORDER BY id",
        [session_id],
    )
    return [row["stretch"] for row in rows]
