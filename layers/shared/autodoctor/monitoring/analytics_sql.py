"""The statements of the analytics, each within the application role's time-out.

All but the funnel are about the sessions that began in the window, found through the index of beginnings; the depth of
the queue adds whoever was in it when the window began. Rows are looked up one by one (LIMIT 1, OFFSET 0), so that no
plan reads the history. Buckets are of UTC: weeks begin on Monday.
"""

from typing import Final, LiteralString

_BEGUN: Final[LiteralString] = """
WITH begun AS MATERIALIZED (
  SELECT e.session_id AS id, e.occurred_at AS at, date_trunc(%(bucket)s, e.occurred_at, 'UTC') AS period
    FROM session_events e
   WHERE e.from_status IS NULL
     AND e.occurred_at >= %(since)s AND e.occurred_at < %(until)s
)
"""

CREATED: Final[LiteralString] = (
    _BEGUN
    + """
SELECT b.period AS period_start, i.funding, i.plan_code AS plan, i.session_type, count(*) AS sessions
  FROM begun b CROSS JOIN LATERAL (SELECT * FROM intakes r WHERE r.id = b.id LIMIT 1) AS i
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
)

_TIMES: Final[LiteralString] = """
  SELECT b.period, b.at, s.status, s.ended_at, s.started_at, s.accepted_at, a.queued_at, w.signed_at,
         s.together_seconds * interval '1 second' AS together
    FROM begun b
         CROSS JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = b.id LIMIT 1) AS s
         CROSS JOIN LATERAL (SELECT * FROM session_assignments r WHERE r.id = s.current_assignment_id LIMIT 1) AS a
         LEFT JOIN LATERAL (SELECT * FROM waivers r WHERE r.session_id = b.id LIMIT 1) AS w ON true
"""

DURATIONS: Final[LiteralString] = (
    _BEGUN
    + ", times AS ("
    + _TIMES
    + """), taken AS (
  SELECT t.period, m.measure, greatest(floor(extract(epoch FROM m.time)), 0)::integer AS seconds
    FROM times t CROSS JOIN LATERAL (VALUES
           ('time_to_waiver', t.signed_at - t.at), ('time_to_accept', t.accepted_at - t.queued_at),
           ('time_to_join', t.started_at - t.accepted_at), ('handle_time', t.together)
         ) AS m (measure, time)
   WHERE m.time IS NOT NULL
)
SELECT t.period AS period_start, t.measure, count(*) AS sessions,
       percentile_disc(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY t.seconds) AS percentiles
  FROM taken t GROUP BY GROUPING SETS ((t.measure, t.period), (t.measure)) ORDER BY t.measure, t.period NULLS FIRST
"""
)

STAGES: Final[LiteralString] = (
    _BEGUN
    + ", times AS ("
    + _TIMES
    + """), spent AS (
  SELECT x.stage, extract(epoch FROM x.until - x.since) AS seconds, x.lost
    FROM times t
         CROSS JOIN LATERAL (SELECT coalesce(t.ended_at, now()) AS at) AS over
         CROSS JOIN LATERAL (VALUES
           ('waiver', t.at, coalesce(t.signed_at, over.at), t.ended_at IS NOT NULL AND t.signed_at IS NULL),
           ('queue', t.queued_at, coalesce(t.accepted_at, over.at), t.ended_at IS NOT NULL AND t.accepted_at IS NULL),
           ('join', t.accepted_at, coalesce(t.started_at, over.at), t.ended_at IS NOT NULL AND t.started_at IS NULL)
         ) AS x (stage, since, until, lost)
   WHERE x.since <= x.until
)
SELECT s.stage, count(*) AS sessions, sum(s.seconds)::bigint AS total_seconds,
       avg(s.seconds)::integer AS average_seconds, count(*) FILTER (WHERE s.lost) AS lost
  FROM spent s GROUP BY s.stage ORDER BY sum(s.seconds) DESC, s.stage
"""
)

_ANSWERS: Final[LiteralString] = (
    _BEGUN
    + """, answer AS (
  SELECT a.mechanic_id, m.workshop_id, a.offer_expires_at IS NOT NULL AS offered, a.status, x.accepted,
         x.accepted AND s.current_assignment_id = a.id AND s.status = 'completed' AS completed
    FROM begun b
         CROSS JOIN LATERAL (SELECT * FROM session_assignments r WHERE r.session_id = b.id OFFSET 0) AS a
         CROSS JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = b.id LIMIT 1) AS s
         CROSS JOIN LATERAL (SELECT EXISTS (
           SELECT FROM session_assignment_events e
            WHERE e.session_id = b.id AND e.assignment_id = a.id AND e.to_status = 'accepted' OFFSET 0) AS accepted
           OFFSET 0) AS x
    JOIN mechanics m ON m.id = a.mechanic_id
), counted AS (
  SELECT y.mechanic_id, y.workshop_id, grouping(y.mechanic_id) = 1 AS of_workshop,
         count(*) FILTER (WHERE y.offered AND y.accepted) AS offers_accepted,
         count(*) FILTER (WHERE y.status = 'declined') AS offers_declined,
         count(*) FILTER (WHERE y.offered AND y.status = 'expired' AND NOT y.accepted) AS offers_lapsed,
         count(*) FILTER (WHERE y.accepted AND NOT y.offered) AS taken_from_queue,
         count(*) FILTER (WHERE y.completed) AS completed
    FROM answer y GROUP BY GROUPING SETS ((y.mechanic_id, y.workshop_id), (y.workshop_id))
)
"""
)

ANSWERS: Final[LiteralString] = (
    _ANSWERS
    + """
SELECT c.*, m.name AS mechanic_name, w.name AS workshop_name,
       percentage(c.offers_accepted, c.offers_accepted + c.offers_declined + c.offers_lapsed) AS acceptance_percent,
       percentage(c.offers_declined, c.offers_accepted + c.offers_declined + c.offers_lapsed) AS decline_percent
  FROM counted c LEFT JOIN mechanics m ON m.id = c.mechanic_id LEFT JOIN workshops w ON w.id = c.workshop_id
 ORDER BY c.of_workshop, c.offers_accepted + c.taken_from_queue DESC, c.mechanic_id, c.workshop_id
 LIMIT 2000
"""
)

# The depth goes up by 1 when somebody enters and down when they are accepted or give up. Whoever waits when the window
# begins began a little earlier, ends in it or soon after, or is still there: nobody waits longer than 2 hours, but who
# booked ahead began up to 30 days before.
DEPTH: Final[LiteralString] = """
WITH bounds AS (
  SELECT %(since)s::timestamptz AS since, least(%(until)s::timestamptz, now()) AS until
), seen AS MATERIALIZED (
  SELECT e.session_id AS id FROM session_events e
   WHERE e.from_status IS NULL
     AND e.occurred_at >= %(since)s::timestamptz - interval '3 hours' AND e.occurred_at < %(until)s
  UNION
  SELECT e.session_id FROM session_events e
   WHERE is_terminal(e.to_status) AND is_terminal(e.from_status) IS NOT TRUE
     AND e.occurred_at >= %(since)s AND e.occurred_at < %(until)s::timestamptz + interval '6 hours'
  UNION
  SELECT s.id FROM sessions s WHERE s.ended_at IS NULL
), queued AS MATERIALIZED (
  SELECT s.id, a.queued_at, s.ended_at, s.mechanic_id
    FROM seen
         CROSS JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = seen.id LIMIT 1) AS s
         CROSS JOIN LATERAL (SELECT * FROM session_assignments r WHERE r.id = s.current_assignment_id LIMIT 1) AS a
   WHERE a.queued_at <= coalesce(s.ended_at, now())
), delta AS (
  SELECT q.queued_at AS at, 1 AS step, 1 AS entered, 0 AS accepted, 0 AS lost FROM queued q
  UNION ALL
  SELECT q.ended_at, -1, 0, 0, 1 FROM queued q WHERE q.ended_at IS NOT NULL AND q.mechanic_id IS NULL
  UNION ALL
  SELECT d.at, d.step, 0, d.accepted, 0
    FROM queued q
         CROSS JOIN LATERAL (SELECT * FROM session_participants r
                              WHERE r.session_id = q.id AND r.role = 'mechanic' OFFSET 0) AS p
         CROSS JOIN LATERAL (VALUES (p.since, -1, 1), (p.until, 1, 0)) AS d (at, step, accepted)
   WHERE d.at IS NOT NULL
  UNION ALL
  SELECT greatest(h.at, b.since), 0, 0, 0, 0
    FROM bounds b, generate_series(date_trunc('hour', b.since, 'UTC'), b.until, interval '1 hour') AS h (at)
), level AS (
  SELECT greatest(d.at, b.since) AS at, d.at >= b.since AS within, d.entered, d.accepted, d.lost,
         sum(d.step) OVER (ORDER BY greatest(d.at, b.since)) AS depth,
         extract(epoch FROM lead(greatest(d.at, b.since), 1, b.until) OVER (ORDER BY greatest(d.at, b.since))
                            - greatest(d.at, b.since)) AS seconds
    FROM bounds b JOIN delta d ON d.at < b.until
)
SELECT date_trunc(%(bucket)s, l.at, 'UTC') AS period_start, extract(hour FROM l.at AT TIME ZONE 'UTC')::integer AS hour,
       round(sum(l.depth * l.seconds) / nullif(sum(l.seconds), 0), 2) AS average_depth,
       coalesce(max(l.depth) FILTER (WHERE l.seconds > 0), 0)::integer AS max_depth,
       coalesce(sum(l.entered) FILTER (WHERE l.within), 0)::bigint AS entered,
       coalesce(sum(l.accepted) FILTER (WHERE l.within), 0)::bigint AS accepted,
       coalesce(sum(l.lost) FILTER (WHERE l.within), 0)::bigint AS lost
  FROM level l
 GROUP BY GROUPING SETS ((date_trunc(%(bucket)s, l.at, 'UTC')), (extract(hour FROM l.at AT TIME ZONE 'UTC')::integer))
 ORDER BY 1, 2
"""

# An intake's id is in the order of time (UUIDv7), and there is no index of their times.
FUNNEL: Final[LiteralString] = """
WITH bounds AS (
  SELECT (lpad(to_hex(floor(extract(epoch FROM %(since)s::timestamptz - interval '1 minute') * 1000)::bigint), 12, '0')
          || repeat('0', 20))::uuid AS first,
         (lpad(to_hex(floor(extract(epoch FROM %(until)s::timestamptz + interval '1 minute') * 1000)::bigint), 12, '0')
          || repeat('0', 20))::uuid AS last
), reached AS (
  SELECT i.funding, s.id IS NOT NULL AS session, w.session_id IS NOT NULL AS signed,
         EXISTS (SELECT FROM session_participants p
                  WHERE p.session_id = i.id AND p.role = 'mechanic' OFFSET 0) AS accepted,
         s.started_at IS NOT NULL AS started, s.status = 'completed' AS completed
    FROM intakes i
         LEFT JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = i.id LIMIT 1) AS s ON true
         LEFT JOIN LATERAL (SELECT * FROM waivers r WHERE r.session_id = i.id LIMIT 1) AS w ON true
   WHERE i.id >= (SELECT b.first FROM bounds b) AND i.id < (SELECT b.last FROM bounds b)
     AND i.created_at >= %(since)s AND i.created_at < %(until)s
)
SELECT r.funding, count(*) AS intakes, count(*) FILTER (WHERE r.session) AS sessions,
       count(*) FILTER (WHERE r.signed) AS signed, count(*) FILTER (WHERE r.accepted) AS accepted,
       count(*) FILTER (WHERE r.started) AS started, count(*) FILTER (WHERE r.completed) AS completed,
       percentage(count(*) FILTER (WHERE r.completed), count(*)) AS conversion_percent
  FROM reached r GROUP BY GROUPING SETS ((r.funding), ()) ORDER BY r.funding NULLS FIRST
"""
