"""/api/admin/mechanics: adds mechanics, moves them between workshops, suspends them."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import Field

from autodoctor.admin.changes import ABSENT, OWN, audited, columns
from autodoctor.admin.user_pool import add_to_mechanics
from autodoctor.db import Database, Refused, Row
from autodoctor.errors import Conflict, NotFound, Unprocessable
from autodoctor.ids import FIRST
from autodoctor.web.paging import id_of, page_size
from autodoctor.web.schemas import EmailAddress, Name, Reason, RequestBody, ResponseModel, Utc, unstorable

MOST_TOLD_AT_ONCE: Final = 5
"""Sessions of a suspended mechanic that are published with the answer; more are left to the relay."""

AVAILABILITIES: Final = ("available", "in_session")
"""The filters that find the mechanics that GET /api/admin/session-health counts."""

ERASED: Final = "AD011"
"""SQLSTATE of a change of a mechanic whose data was erased."""

_LONGEST_SEARCH: Final = 200

_SHOWN: Final[LiteralString] = """
       m.id AS mechanic_id, m.user_id, m.name, m.email, m.workshop_id,
       (SELECT w.name FROM workshops w WHERE w.id = m.workshop_id) AS workshop_name,
       m.status, m.suspended_at, m.suspension_reason,
       m.status = 'active' AND is_available(m.id, m.available_until) AS available,
       (SELECT s.id FROM sessions s WHERE s.mechanic_id = m.id AND s.ended_at IS NULL) AS session_id, m.created_at
"""

# By id, which is the order in which they joined: a name in the cursor would be personal data in an address.
_PAGE: Final[LiteralString] = (
    "SELECT "
    + _SHOWN
    + """
  FROM mechanics m
 WHERE m.id > %(after)s
   AND (%(status)s::text IS NULL OR m.status = %(status)s)
   AND (%(workshop_id)s::uuid IS NULL OR m.workshop_id = %(workshop_id)s)
   AND (%(search)s::text IS NULL OR starts_with(lower(m.name), lower(%(search)s)))
   AND CASE %(availability)s::text
         WHEN 'available' THEN m.id IN (SELECT d.id FROM mechanics_on_duty d)
                               AND NOT EXISTS (SELECT FROM sessions s WHERE s.mechanic_id = m.id AND s.ended_at IS NULL)
         WHEN 'in_session' THEN EXISTS (SELECT FROM sessions s WHERE s.mechanic_id = m.id AND s.ended_at IS NULL)
         ELSE true
       END
 ORDER BY m.id LIMIT %(limit)s + 1
"""
)

# Whom a suspension would touch: the sessions that they hold, and the requests that wait for their answer.
_AFFECTED: Final[LiteralString] = """
SELECT s.id AS session_id, s.status, i.customer_name FROM sessions s JOIN intakes i ON i.id = s.id
 WHERE s.mechanic_id = %(mechanic_id)s AND s.ended_at IS NULL
 UNION ALL
(SELECT a.session_id, a.status, i.customer_name FROM session_assignments a JOIN intakes i ON i.id = a.session_id
  WHERE a.status = 'offered' AND a.mechanic_id = %(mechanic_id)s
  ORDER BY a.offer_expires_at LIMIT 20)
"""

_ONE: Final[LiteralString] = "SELECT " + _SHOWN + " FROM mechanics m WHERE m.id = %(mechanic_id)s"

_ADD: Final[LiteralString] = (
    """
INSERT INTO mechanics AS m (user_id, name, email, workshop_id, change_id, changed_by)
VALUES (%(user_id)s, %(name)s, %(email)s, %(workshop_id)s, %(change_id)s, %(actor_id)s)
ON CONFLICT (user_id) DO NOTHING
RETURNING """
    + _SHOWN
)

_OF_USER: Final[LiteralString] = "SELECT " + _SHOWN + ", " + OWN + " FROM mechanics m WHERE m.user_id = %(user_id)s"

# Their offers and their waiting session are read before the trigger queues them again.
_CHANGE: Final[LiteralString] = (
    """
WITH offered AS MATERIALIZED (
  SELECT s.id AS session_id FROM sessions s
   WHERE s.mechanic_id = %(mechanic_id)s AND s.ended_at IS NULL AND s.status = 'waiting'
  UNION ALL
  (SELECT a.session_id FROM session_assignments a
    WHERE a.status = 'offered' AND a.mechanic_id = %(mechanic_id)s
    ORDER BY a.offer_expires_at LIMIT %(most)s)
)
UPDATE mechanics m
   SET (name, email, workshop_id, status, suspension_reason, change_id, changed_by) = (
         SELECT n.name, n.email, n.workshop_id, n.status, n.suspension_reason, %(change_id)s, %(actor_id)s::uuid
           FROM jsonb_populate_record(m, %(columns)s) AS n)
 WHERE m.id = %(mechanic_id)s AND m IS DISTINCT FROM jsonb_populate_record(m, %(columns)s)
RETURNING """
    + _SHOWN
    + ", ARRAY(SELECT offered.session_id FROM offered) AS offered"
)


class NewMechanic(RequestBody):
    """A user who becomes a mechanic; `user_id` is the `sub` of their token."""

    user_id: Annotated[UUID, Field(strict=False)]
    name: Name
    email: EmailAddress | None = None
    workshop_id: Annotated[UUID, Field(strict=False)] | None = None


class MechanicPatch(RequestBody):
    """The changes; omitted members stay. A `workshop_id` of null makes them independent.

    Attributes:
        suspension_reason: for the mechanic, who reads it, with the status `suspended`; it is forgotten with its end.
    """

    name: Name = ABSENT
    email: EmailAddress | None = None
    workshop_id: Annotated[UUID, Field(strict=False)] | None = None
    status: Literal["active", "suspended"] = ABSENT
    suspension_reason: Reason | None = None


class Mechanic(ResponseModel):
    """A mechanic as admins see them.

    Attributes:
        suspended_at: since when they are suspended, where that was recorded.
        available: whether requests for them are offered.
        session_id: the session they are waiting for or in.
        offered: the sessions that were offered to them, or waited for them, before the change; not on the wire.
    """

    mechanic_id: UUID
    user_id: UUID
    name: str
    email: str | None
    workshop_id: UUID | None
    workshop_name: str | None
    status: str
    suspended_at: Utc | None
    suspension_reason: str | None
    available: bool
    session_id: UUID | None
    created_at: Utc
    offered: tuple[UUID, ...] = Field(default=(), exclude=True)


class AffectedSession(ResponseModel):
    """A session that a mechanic holds, or a request that waits for their answer (`offered`)."""

    session_id: UUID
    status: Literal["scheduled", "waiting", "live", "offered"]
    customer_name: str


class MechanicSeen(Mechanic):
    """One mechanic, with whom a suspension would affect now."""

    affected: list[AffectedSession]


class Mechanics(ResponseModel):
    """One page, in the order in which they joined."""

    mechanics: list[Mechanic]
    next_cursor: str | None


class MechanicNotFound(NotFound):
    """No such mechanic."""

    def __init__(self) -> None:
        super().__init__("There is no such mechanic.")


class MechanicErased(Conflict):
    """The mechanic's data was erased on request."""

    slug, title = "mechanic-erased", "Mechanic erased"

    def __init__(self) -> None:
        super().__init__("This mechanic's data was erased on request; nothing of them changes any more.")


class MechanicExists(Conflict):
    """This user is a mechanic already."""

    slug, title = "mechanic-exists", "Mechanic exists"

    def __init__(self, mechanic_id: UUID) -> None:
        super().__init__("This user is a mechanic already.", mechanicId=str(mechanic_id))


def mechanics(database: Database, query: Mapping[str, str]) -> Mechanics:
    """A page of all mechanics.

    Args:
        database: as the application role.
        query: of the URL: limit (1 to 100; 20 if absent), cursor, status, workshopId, search (the beginning of a name,
            in any case), and standing: available (they could take a request now) or in_session.

    Raises:
        Unprocessable: one of them is invalid.
    """
    size = page_size(query.get("limit"))
    parameters = {
        "after": id_of(query.get("cursor"), FIRST),
        "limit": size,
        "status": _status(query.get("status")),
        "workshop_id": _workshop(query.get("workshopId")),
        "search": _search(query.get("search")),
        "availability": _availability(query.get("standing")),
    }
    rows = database.all(_PAGE, parameters)
    return Mechanics(
        mechanics=[Mechanic(**row) for row in rows[:size]],
        next_cursor=str(rows[size - 1]["mechanic_id"]) if len(rows) > size else None,
    )


def mechanic(database: Database, mechanic_id: UUID) -> Mechanic:
    """One mechanic.

    Raises:
        MechanicNotFound: there is none with this id.
    """
    row = database.one(_ONE, {"mechanic_id": mechanic_id})
    if row is None:
        raise MechanicNotFound
    return Mechanic(**row)


def see_mechanic(database: Database, mechanic_id: UUID) -> MechanicSeen:
    """One mechanic, and whom a suspension would affect.

    Raises:
        MechanicNotFound: there is none with this id.
    """
    found = mechanic(database, mechanic_id)
    rows = database.all(_AFFECTED, {"mechanic_id": mechanic_id})
    return MechanicSeen(**dict(found), affected=[AffectedSession(**row) for row in rows])


def add_mechanic(database: Database, actor_id: UUID, new: NewMechanic) -> Mechanic:
    """Make a user a mechanic, active, and away until they set themselves available.

    The group comes first: in it without a row nobody may do anything, and whoever asks again gets both.

    Args:
        database: as the application role.
        actor_id: the admin's `sub`.
        new: the user, name and workshop.

    Raises:
        AwsError: the user pool did not take them into its group; nothing was stored.
        MechanicExists: the user is one already.
        Unprocessable: no such workshop, or no such user.
    """
    add_to_mechanics(new.user_id)
    parameters = {**new.model_dump(), **audited(actor_id)}
    row = _of_a_known_workshop(database, _ADD, parameters)
    if row is None:
        row = database.one(_OF_USER, parameters)
        if row is None:
            raise RuntimeError("the existing mechanic was not found")
        if not row["own"]:
            raise MechanicExists(row["mechanic_id"])
    return Mechanic(**row)


def _of_a_known_workshop(database: Database, statement: LiteralString, parameters: Row) -> Row | None:
    """Run a statement that names a workshop. Raises Unprocessable when there is none with this id."""
    try:
        return database.one(statement, parameters)
    except psycopg.errors.ForeignKeyViolation:
        raise Unprocessable(("/workshopId", "there is no such workshop")) from None


def change_mechanic(database: Database, actor_id: UUID, mechanic_id: UUID, patch: MechanicPatch) -> Mechanic:
    """Change a mechanic; repeating it changes nothing.

    A suspended mechanic keeps a session that is live; their offers and a session that waits for them are queued again
    in the same transaction, and what they are owed is held until they are active again. A workshop's offers are also
    queued again when the mechanic leaves it.

    Args:
        database: as the application role.
        actor_id: the admin's `sub`.
        mechanic_id: the mechanic.
        patch: the changes.

    Raises:
        MechanicErased: their data was erased.
        MechanicNotFound: there is none with this id.
        Unprocessable: no such workshop, or a reason without a suspension.
    """
    if patch.suspension_reason is not None and patch.status != "suspended":
        raise Unprocessable(("/suspensionReason", "is only for the status suspended"))
    parameters = {
        "mechanic_id": mechanic_id,
        "columns": columns(patch),
        "most": MOST_TOLD_AT_ONCE,
        **audited(actor_id),
    }
    try:
        row = _of_a_known_workshop(database, _CHANGE, parameters) or database.one(_ONE, parameters)  # nothing changed
    except Refused as refused:
        if refused.code != ERASED:
            raise
        raise MechanicErased from refused
    if row is None:
        raise MechanicNotFound
    return Mechanic(**row)


def _status(status: str | None) -> str | None:
    if status not in (None, "active", "suspended"):
        raise Unprocessable(("/status", "must be active or suspended"))
    return status


def _availability(value: str | None) -> str | None:
    if value not in (None, *AVAILABILITIES):
        raise Unprocessable(("/standing", f"must be {' or '.join(AVAILABILITIES)}"))
    return value


def _workshop(workshop_id: str | None) -> UUID | None:
    try:
        return None if workshop_id is None else UUID(workshop_id)
    except ValueError:
        raise Unprocessable(("/workshopId", "must be a UUID")) from None


def _search(search: str | None) -> str | None:
    if search is not None and (len(search) > _LONGEST_SEARCH or unstorable(search) is not None):
        raise Unprocessable(("/search", f"must be at most {_LONGEST_SEARCH} characters of a name"))
    return search
