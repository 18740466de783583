"""Evidence that a test plants as the owner, and reads back from the audit trail."""

from typing import Any, Literal
from uuid import UUID

from support.world import Mechanic, World


def plant(  # noqa: PLR0913, PLR0917 (a row)
    world: World,
    session_id: UUID,
    seconds_ago: float,
    lasted: float | None = None,
    mechanic: Mechanic | None = None,
    source: Literal["room", "medium", "mutual", "claim"] = "medium",
) -> None:
    """Add a stretch that the session's row knows nothing of: of this mechanic, or of the customer; None: it lasts."""
    world.owner.execute(
        "INSERT INTO session_presence (session_id, role, mechanic_id, source, witness, since, recorded_at, until,"
        " closed_at) SELECT %(session)s, %(role)s, %(mechanic)s, %(source)s,"
        " CASE %(source)s WHEN 'claim' THEN NULL ELSE 'planted' END, since, since, until, until"
        "  FROM (SELECT now() - make_interval(secs => %(ago)s) AS since,"
        "               now() - make_interval(secs => %(ago)s - %(lasted)s) AS until) AS stretch",
        {
            "session": session_id,
            "role": "mechanic" if mechanic else "customer",
            "mechanic": mechanic and mechanic.id,
            "source": source,
            "ago": seconds_ago,
            "lasted": lasted,
        },
    )


def plant_meeting(world: World, session_id: UUID, mechanic: Mechanic, seconds: str) -> None:
    """Add that both came an hour ago, and that exactly `seconds` later the customer left; all else is an hour older."""
    world.let_time_pass(3600)  # the accept is older
    at = world.one("SELECT now() - interval '1 h' + interval '1 s'")
    for role, who, lasted in (("customer", None, float(seconds)), ("mechanic", mechanic.id, None)):
        world.owner.execute(
            "INSERT INTO session_presence (session_id, role, mechanic_id, source, witness, since, recorded_at, until,"
            " closed_at) SELECT %(session)s, %(role)s, %(who)s, 'medium', 'planted', %(at)s, %(at)s, until, until"
            "   FROM (SELECT %(at)s + make_interval(secs => %(lasted)s) AS until) AS stretch",
            {"session": session_id, "role": role, "who": who, "at": at, "lasted": lasted},
        )


def events(world: World, session_id: UUID) -> list[str]:
    """The session's audit trail and presence in a few words: each move's target, each party's coming and going."""
    rows = world.owner.execute(
        "SELECT event FROM ("
        " SELECT occurred_at AS at, 1 AS part, id, to_status AS event FROM session_events WHERE session_id = %(id)s"
        " UNION ALL SELECT since, 0, id, role || ' joined' FROM session_presence WHERE session_id = %(id)s"
        " UNION ALL SELECT until, 0, id, role || ' left' FROM session_presence"
        "  WHERE session_id = %(id)s AND until IS NOT NULL) AS e ORDER BY at, part, id",
        {"id": session_id},
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
