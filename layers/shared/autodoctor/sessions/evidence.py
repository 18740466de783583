"""What a party may see of a session's evidence: who says that somebody was there, and when."""

from typing import Annotated, Final, Literal, LiteralString

from pydantic import Field

from autodoctor.web.schemas import ResponseModel, Utc


class Interval(ResponseModel):
    """One stretch of a party's presence.

    Attributes:
        source: who says so: a live socket in the room, the medium, both pages of each other, or the party itself.
        until: null while it lasts.
    """

    role: Literal["customer", "mechanic"]
    source: Literal["room", "medium", "mutual", "claim"]
    since: Annotated[Utc, Field(alias="from")]
    until: Utc | None


class SessionEvidence(ResponseModel):
    """What is known of both having been there.

    Attributes:
        evidence_class: what counts: what witnesses saw, or what the parties say.
        together_seconds: how long they were together so far, as far as it counts.
        intervals: the newest hundred, oldest first.
    """

    evidence_class: Annotated[Literal["witnessed", "claimed"], Field(alias="class")]
    together_seconds: int
    intervals: list[Interval]


# Of the evidence the newest stretches: an answer does not grow with it. What came after the end is none. Windows of the
# pages that follow on one another are one stretch.
RECENT: Final[LiteralString] = """
WITH newest AS MATERIALIZED (
  SELECT p.* FROM session_presence p
   WHERE p.session_id = %(session_id)s AND p.replaced_at IS NULL ORDER BY p.id DESC LIMIT 500),
seen AS (
  SELECT n.session_id, n.id, n.role, n.mechanic_id, n.source, n.since, n.until FROM newest n WHERE n.source <> 'mutual'
  UNION ALL
  SELECT w.session_id, w.id, w.role, w.mechanic_id, 'mutual', lower(span), upper(span)
    FROM (SELECT n.session_id, max(n.id) AS id, n.role, n.mechanic_id, range_agg(tstzrange(n.since, n.until)) AS spans
            FROM newest n WHERE n.source = 'mutual' GROUP BY n.session_id, n.role, n.mechanic_id) AS w,
         unnest(w.spans) AS span),
ended AS MATERIALIZED (
  SELECT coalesce(max(l.occurred_at), 'infinity') AS over_at
    FROM sessions s CROSS JOIN LATERAL (SELECT e.occurred_at FROM session_events e WHERE e.session_id = s.id
                                         ORDER BY e.id DESC LIMIT 10) AS l
   WHERE s.id = %(session_id)s AND s.ended_at IS NOT NULL),
recent AS MATERIALIZED (
  SELECT p.*, x.over_at FROM seen p, ended x ORDER BY p.id DESC, p.since DESC LIMIT 100)
"""

EVIDENCE: Final[LiteralString] = """
       jsonb_build_object(
         'class', i.evidence,
         'togetherSeconds', floor(coalesce(s.together_seconds, CASE s.status
           WHEN 'live' THEN (judge(s, clock_timestamp())).together_seconds END, 0))::integer,
         'intervals', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                         'role', p.role, 'source', p.source, 'from', p.since,
                         'until', nullif(least(p.until, p.over_at), 'infinity')) ORDER BY p.since, p.id), '[]')
                         FROM recent p WHERE p.since < p.over_at))
"""

# As many of each kind as anybody reads: a request may be queued again and again.
TIMELINE: Final[LiteralString] = """
       (SELECT jsonb_agg(jsonb_build_object('at', e.at, 'event', e.event, 'actor', e.actor,
                                            'assignmentId', e.assignment_id) ORDER BY e.at, e.part, e.id,
                         e.event)
          FROM (SELECT c.at, 0 AS part, NULL::bigint AS id, NULL::uuid AS assignment_id, v.role AS actor,
                       v.role || c.kind AS event
                  FROM (SELECT p.role, p.over_at, unnest(range_agg(tstzrange(p.since, p.until, '[]'))) AS span
                          FROM recent p GROUP BY p.role, p.mechanic_id, p.over_at) AS v
                       CROSS JOIN LATERAL (VALUES (lower(v.span), '.joined'), (upper(v.span), '.left')) AS c (at, kind)
                 WHERE c.at < v.over_at
                UNION ALL
                (SELECT occurred_at, 1, id, NULL::uuid, split_part(actor, ':', 1), 'session.' || to_status
                   FROM session_events WHERE session_id = s.id ORDER BY id DESC LIMIT 500)
                UNION ALL
                (SELECT occurred_at, 2, id, assignment_id, split_part(actor, ':', 1), 'assignment.' || to_status
                   FROM session_assignment_events WHERE session_id = s.id ORDER BY id DESC LIMIT 500)) AS e)
"""
