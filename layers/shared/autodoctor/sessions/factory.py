"""The one factory: every session is created here, whatever pays for it.

It is a chain of CTEs that starts from a row of `intakes` and ends with a session that has its
assignment, its customer as participant and, where it was signed at once, its waiver; the audit rows
come from triggers. One statement, so all of it commits or none does.
"""

from typing import Final, LiteralString

OFFER_SECONDS: Final = 120
LEAD_MINUTES: Final = 15

FACTORY_CTES: Final[LiteralString] = """
, opening AS MATERIALIZED (
  -- needs: intake (the row of intakes) and the parameters assignment_id, signed_name, waiver_version, actor, actor_id
  SELECT i.*,
         CASE WHEN i.scheduled_for IS NULL THEN 'pending' ELSE 'scheduled' END AS session_status,
         CASE WHEN %(signed_name)s::text IS NULL THEN 'pending_waiver'
              WHEN preferred.id IS NULL THEN 'queued' ELSE 'offered' END AS assignment_status,
         CASE WHEN %(signed_name)s::text IS NOT NULL THEN preferred.id END AS offered_to,
         coalesce(i.scheduled_for - make_interval(mins => %(lead_minutes)s), clock_timestamp()) AS available_at
    FROM intake i
    LEFT JOIN mechanics preferred
      ON preferred.id = i.preferred_mechanic_id AND preferred.status = 'active' AND preferred.available
     AND NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = preferred.id AND b.ended_at IS NULL)
), session AS (
  INSERT INTO sessions (id, customer_id, current_assignment_id, status, scheduled_for, actor, actor_id)
  SELECT o.id, o.customer_id, %(assignment_id)s, o.session_status, o.scheduled_for, %(actor)s, %(actor_id)s
    FROM opening o
  RETURNING id
), assignment AS (
  INSERT INTO session_assignments
    (id, session_id, status, mechanic_id, workshop_id, urgent, available_at, offer_expires_at, actor, actor_id)
  SELECT %(assignment_id)s, o.id, o.assignment_status, o.offered_to, o.workshop_id, o.urgent, o.available_at,
         CASE WHEN o.offered_to IS NOT NULL
              THEN greatest(o.available_at, clock_timestamp()) + make_interval(secs => %(offer_seconds)s) END,
         %(actor)s, %(actor_id)s
    FROM opening o JOIN session ON session.id = o.id
), participant AS (
  INSERT INTO session_participants (session_id, role, customer_id)
  SELECT o.id, 'customer', o.customer_id FROM opening o
), signature AS (
  INSERT INTO waivers (session_id, signed_name, version)
  SELECT o.id, %(signed_name)s, coalesce(%(waiver_version)s, current_waiver_version()) FROM opening o
   WHERE %(signed_name)s::text IS NOT NULL
)
"""
"""Continues a WITH that ends in `intake`; offers `opening` and `session` to what follows."""
