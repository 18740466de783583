"""The one factory: every session is created here, whatever pays for it.

It is a chain of CTEs that starts from a row of `intakes` and ends with a session that has its
assignment, its customer as participant and, where it was signed at once, its waiver; the audit rows
come from triggers. One statement, so all of it commits or none does.
"""

from typing import Final, Literal, LiteralString

type PreferredMechanic = Literal["offered", "unavailable"]
"""The wish for a mechanic: offered to them, or queued as they were unavailable. None: no wish, or not signed yet."""

FACTORY_CTES: Final[LiteralString] = """
, opening AS MATERIALIZED (
  -- needs: intake (the row of intakes) and the parameters assignment_id, signed_name, waiver_version, signed_at (null:
  -- now), actor, actor_id
  SELECT i.*,
         CASE WHEN i.scheduled_for IS NULL THEN 'pending' ELSE 'scheduled' END AS session_status,
         CASE WHEN %(signed_name)s::text IS NULL THEN 'pending_waiver'
              WHEN i.preferred_mechanic_id IS NOT NULL
                   AND may_be_offered(i.preferred_mechanic_id, i.workshop_id, i.available_at) THEN 'offered'
              ELSE 'queued' END AS assignment_status
    FROM (SELECT intake.*, CASE WHEN intake.scheduled_for IS NULL THEN clock_timestamp()
                                ELSE intake.scheduled_for - lead_time() END AS available_at
            FROM intake) AS i
), session AS (
  INSERT INTO sessions (id, customer_id, current_assignment_id, status, scheduled_for, actor, actor_id)
  SELECT o.id, o.customer_id, %(assignment_id)s, o.session_status, o.scheduled_for, %(actor)s, %(actor_id)s
    FROM opening o
  RETURNING id
), assignment AS (
  INSERT INTO session_assignments
    (id, session_id, status, mechanic_id, workshop_id, urgent, available_at, offer_expires_at, actor, actor_id)
  SELECT %(assignment_id)s, o.id, o.assignment_status,
         CASE o.assignment_status WHEN 'offered' THEN o.preferred_mechanic_id END,
         o.workshop_id, o.urgent, o.available_at,
         CASE o.assignment_status WHEN 'offered'
              THEN greatest(o.available_at, clock_timestamp()) + offer_time() END,
         %(actor)s, %(actor_id)s
    FROM opening o JOIN session ON session.id = o.id
  RETURNING session_id
), participant AS (
  INSERT INTO session_participants (session_id, role, customer_id)
  SELECT o.id, 'customer', o.customer_id FROM opening o
), signature AS (
  INSERT INTO waivers (session_id, signed_name, version, signed_at)
  SELECT o.id, %(signed_name)s, coalesce(%(waiver_version)s, current_waiver_version()),
         coalesce(%(signed_at)s::timestamptz, clock_timestamp())
    FROM opening o
   WHERE %(signed_name)s::text IS NOT NULL
)
"""
"""Continues a WITH that ends in `intake`; offers `opening`, `session` and `assignment` to the rest of the statement.

What joins `assignment` is computed after both have been written, and their events with them.
"""
