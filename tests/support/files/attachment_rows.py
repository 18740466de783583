"""Attachments as rows, without their files, for tests of what the database alone decides."""

from typing import Final, LiteralString
from uuid import UUID

from autodoctor.ids import new_id
from support.world import Mechanic, World

_INSERT: Final[LiteralString] = """
INSERT INTO attachments (id, user_id, role, mechanic_id, session_id, place, object_key, content_type, bytes, expires_at,
                         state, removed_at, name, sha256)
VALUES (%(id)s, %(user)s, CASE WHEN %(mechanic)s::uuid IS NULL THEN 'customer' ELSE 'mechanic' END, %(mechanic)s,
        %(session)s, %(place)s, 'uploads/' || %(id)s::uuid || '.png', 'image/png', 1,
        clock_timestamp() + interval '10 minutes', %(state)s,
        CASE WHEN %(state)s IN ('refused', 'gone') THEN clock_timestamp() END, %(name)s, sha256('x'))
"""


def attachment(  # noqa: PLR0913 (what there is to say of one)
    world: World,
    by: UUID | Mechanic,
    *,
    session: UUID | None = None,
    place: int | None = None,
    state: str = "clean",
    name: str = "brake disc.png",
) -> UUID:
    """An attachment of a customer (the `sub`) or a mechanic; one with a place was named by the session's intake."""
    mechanic = by if isinstance(by, Mechanic) else None
    made = new_id()
    facts = {
        "id": made,
        "user": by.user_id if isinstance(by, Mechanic) else by,
        "mechanic": mechanic and mechanic.id,
        "session": session,
        "place": place,
        "state": state,
        "name": name,
    }
    world.owner.execute(_INSERT, facts)
    return made
