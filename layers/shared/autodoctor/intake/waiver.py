"""POST /api/waiver/submit: the signature that puts a session into the queue."""

from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database, Refused
from autodoctor.domain.lifecycle import TERMINAL
from autodoctor.errors import SessionBusy, SessionEnded, SessionNotFound, Unprocessable
from autodoctor.sessions.factory import PreferredMechanic
from autodoctor.web.schemas import Name, RequestBody, ResponseModel


class WaiverRequest(RequestBody):
    """The signature of a waiver."""

    session_id: UUID
    signed_name: Name
    waiver_version: str | None = None


class WaiverSigned(ResponseModel):
    """The session's present state."""

    session_id: UUID
    assignment_id: UUID
    assignment_status: str
    preferred_mechanic: PreferredMechanic | None


# The session is locked first (lock order), the assignment's own state is judged by the guarded UPDATE.
_SIGN: Final[LiteralString] = """
WITH session AS MATERIALIZED (
  SELECT s.id, s.current_assignment_id, i.preferred_mechanic_id, i.workshop_id
    FROM sessions s JOIN intakes i ON i.id = s.id
   WHERE s.id = %(session_id)s AND s.status IN ('scheduled', 'pending', 'waiting', 'live')
     AND s.customer_id = (SELECT id FROM customers WHERE user_id = %(user_id)s)
     AND coalesce(%(waiver_version)s::text = ANY (waiver_versions()), true)
     FOR NO KEY UPDATE OF s
), wanted AS MATERIALIZED (
  SELECT session.preferred_mechanic_id AS id
    FROM session JOIN session_assignments a ON a.id = session.current_assignment_id
   WHERE session.preferred_mechanic_id IS NOT NULL
     AND may_be_offered(session.preferred_mechanic_id, session.workshop_id, a.available_at)
), assignment AS (
  UPDATE session_assignments a
     SET status = CASE WHEN EXISTS (SELECT FROM wanted) THEN 'offered' ELSE 'queued' END,
         mechanic_id = (SELECT id FROM wanted),
         offer_expires_at = (SELECT greatest(a.available_at, clock_timestamp()) + offer_time() FROM wanted),
         actor = 'customer', actor_id = %(user_id)s
    FROM session
   WHERE a.id = session.current_assignment_id AND a.status = 'pending_waiver'
  RETURNING a.session_id, a.id AS assignment_id, a.status AS assignment_status,
            CASE WHEN session.preferred_mechanic_id IS NOT NULL
                 THEN CASE a.status WHEN 'offered' THEN 'offered' ELSE 'unavailable' END END AS preferred_mechanic
), signature AS (
  INSERT INTO waivers (session_id, signed_name, version)
  -- also where an operator queued the session by hand, without a signature
  SELECT id, %(signed_name)s, coalesce(%(waiver_version)s, current_waiver_version()) FROM session
  ON CONFLICT (session_id) DO NOTHING
)
SELECT * FROM assignment
"""

_LOOKUP: Final[LiteralString] = """
SELECT s.id AS session_id, s.status, a.id AS assignment_id, a.status AS assignment_status,
       EXISTS (SELECT FROM waivers w WHERE w.session_id = s.id) AS signed,
       coalesce(%(waiver_version)s::text = ANY (waiver_versions()), true) AS version_known,
       CASE WHEN i.preferred_mechanic_id IS NOT NULL AND first.queued_at IS NOT NULL
            THEN CASE WHEN first.offer_expires_at IS NULL THEN 'unavailable' ELSE 'offered' END
       END AS preferred_mechanic
  FROM sessions s
  JOIN intakes i ON i.id = s.id
  JOIN session_assignments first ON first.session_id = s.id AND first.attempt = 1
  JOIN customers c ON c.id = s.customer_id
  JOIN session_assignments a ON a.id = s.current_assignment_id
 WHERE s.id = %(session_id)s AND c.user_id = %(user_id)s
"""


def sign_waiver(database: Database, user_id: UUID, waiver: WaiverRequest) -> WaiverSigned:
    """Sign, and queue the session or offer it to the mechanic the customer asked for.

    Args:
        user_id: the customer's `sub`.
        waiver: the signature.

    Returns:
        The assignment's state, and the answer to the wish for a mechanic; signing again changes nothing, as the
        first signature counts.

    Raises:
        SessionNotFound: no such session of this customer.
        SessionEnded: it is over.
        Unprocessable: there is no such version of the waiver.
    """
    parameters = {
        **waiver.model_dump(),
        "user_id": user_id,
    }
    try:
        signed = database.one(_SIGN, parameters)
    except Refused as refused:
        if refused.code != "AD002":
            raise
        signed = database.one(_SIGN, parameters)  # the mechanic was suspended just now: this attempt queues it
    if signed is not None:
        return WaiverSigned(**signed)
    found = database.one(_LOOKUP, parameters)
    if found is None:
        raise SessionNotFound
    if not found["version_known"]:
        raise Unprocessable(("/waiverVersion", "is not a version of the waiver"))
    if found["status"] in TERMINAL:
        raise SessionEnded(found["status"])
    if not found["signed"]:
        raise SessionBusy
    return WaiverSigned(**found)
