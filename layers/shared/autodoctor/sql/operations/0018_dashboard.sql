-- The operators' dashboard: the score, the hours, and the cost of sessions that went wrong.

CREATE FUNCTION health_score(completion numeric, no_show numeric, alerts bigint, sessions bigint)
RETURNS numeric LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN sessions > 0 THEN 100
    - least(40, greatest(0, health_setting('completion_percent_min') - completion))
    - least(30, greatest(0, no_show - health_setting('no_show_percent_max')))
    - least(30, round(100.0 * alerts / sessions, 1)) END
$$;
COMMENT ON FUNCTION health_score(numeric, numeric, bigint, bigint) IS
  '0 to 100: 100, less a point for each per cent of completion below health_completion_percent_min (40 at most), less a point for each per cent of no-shows above health_no_show_percent_max (30 at most), less a point for each per cent of the sessions that have an alert (30 at most). Null if there is no session; a null percentage costs no points.';

CREATE FUNCTION health_status(score numeric) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN score IS NULL THEN 'no_data' WHEN score >= 95 THEN 'excellent' WHEN score >= 85 THEN 'good'
              WHEN score >= 70 THEN 'fair' WHEN score >= 50 THEN 'poor' ELSE 'critical' END
$$;
COMMENT ON FUNCTION health_status(numeric) IS
  'The word for a score: excellent from 95, good from 85, fair from 70, poor from 50, else critical; no_data without one.';

CREATE FUNCTION calculate_session_health_score(
  since timestamptz DEFAULT date_trunc('hour', now(), 'UTC') - interval '23 hours', until timestamptz DEFAULT now())
RETURNS TABLE (period_start timestamptz, created bigint, ended bigint, completed bigint, cancelled bigint, expired bigint,
               accepted bigint, no_shows bigint, wrongly_marked bigint, unsettled bigint, average_seconds integer,
               completion_percent numeric, no_show_percent numeric, score numeric, status text)
LANGUAGE sql STABLE AS $$
  WITH hour AS (
    SELECT generate_series(date_trunc('hour', since, 'UTC'), until - interval '1 microsecond', interval '1 hour') AS at
  ), begun AS (
    SELECT date_trunc('hour', e.occurred_at, 'UTC') AS at, count(*) AS created
      FROM session_events e
     WHERE e.from_status IS NULL AND e.occurred_at >= since AND e.occurred_at < until
     GROUP BY 1
  ), wrong AS (
    SELECT date_trunc('hour', w.decided_at, 'UTC') AS at, count(*) AS wrongly_marked
      FROM wrongly_marked_between(since, until) AS w GROUP BY 1
  ), outcome AS (
    SELECT date_trunc('hour', x.decided_at, 'UTC') AS at, count(*) AS ended,
           count(*) FILTER (WHERE x.status = 'completed') AS completed,
           count(*) FILTER (WHERE x.status = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE x.status = 'expired') AS expired,
           count(*) FILTER (WHERE x.mechanic_id IS NOT NULL) AS accepted,
           count(*) FILTER (WHERE x.end_reason = 'no_show') AS no_shows,
           avg(x.together_seconds) FILTER (WHERE x.status = 'completed') AS average_seconds,
           count(*) FILTER (WHERE x.status = 'completed' AND x.at_stake
             AND x.decided_at < now() - (SELECT health_setting('settlement_seconds_max')) * interval '1 second'
             AND NOT EXISTS (SELECT FROM settlements t WHERE t.session_id = x.session_id OFFSET 0)) AS unsettled
      FROM sessions_ended_between(since, until) AS x GROUP BY 1
  ), counted AS (
    SELECT h.at, coalesce(b.created, 0) AS created, coalesce(o.ended, 0) AS ended, coalesce(o.completed, 0) AS completed,
           coalesce(o.cancelled, 0) AS cancelled, coalesce(o.expired, 0) AS expired, coalesce(o.accepted, 0) AS accepted,
           coalesce(o.no_shows, 0) AS no_shows, coalesce(w.wrongly_marked, 0) AS wrongly_marked,
           coalesce(o.unsettled, 0) AS unsettled, o.average_seconds::integer AS average_seconds,
           percentage(o.completed, o.ended) AS completion, percentage(o.no_shows, o.accepted) AS no_show
      FROM hour h LEFT JOIN begun b USING (at) LEFT JOIN outcome o USING (at) LEFT JOIN wrong w USING (at)
  )
  SELECT c.at, c.created, c.ended, c.completed, c.cancelled, c.expired, c.accepted, c.no_shows, c.wrongly_marked,
         c.unsettled, c.average_seconds, c.completion, c.no_show, p.points, health_status(p.points)
    FROM counted c
         CROSS JOIN LATERAL (SELECT health_score(c.completion, c.no_show, c.wrongly_marked + c.unsettled, c.ended)) AS p (points)
   ORDER BY c.at
$$;
COMMENT ON FUNCTION calculate_session_health_score(timestamptz, timestamptz) IS
  'One row for each hour (UTC), by default of the last 24 hours: the sessions that began, the outcomes of those whose end was decided then, and health_score(), counting as alerts the sessions wrongly marked or not settled. accepted: ended with a mechanic.';

CREATE VIEW metric_completion AS
  SELECT h.period_start, h.ended, h.completed, h.completion_percent,
         h.completion_percent < health_setting('completion_percent_min') AS below_limit
    FROM calculate_session_health_score() AS h;
COMMENT ON VIEW metric_completion IS 'The percentage of completed sessions among those that ended in each hour.';
GRANT SELECT ON metric_completion TO autodoctor_app;

CREATE VIEW metric_no_show AS
  SELECT h.period_start, h.accepted, h.no_shows, h.no_show_percent,
         h.no_show_percent > health_setting('no_show_percent_max') AS above_limit
    FROM calculate_session_health_score() AS h;
COMMENT ON VIEW metric_no_show IS 'The percentage that never started among the sessions with a mechanic that ended in each hour.';
GRANT SELECT ON metric_no_show TO autodoctor_app;

CREATE VIEW metric_duration AS
  SELECT date_trunc('hour', x.decided_at, 'UTC') AS period_start, count(*) AS completed,
         avg(d.seconds)::integer AS average_seconds,
         percentile_disc(0.5) WITHIN GROUP (ORDER BY d.seconds) AS median_seconds,
         percentile_disc(0.9) WITHIN GROUP (ORDER BY d.seconds) AS p90_seconds, max(d.seconds) AS longest_seconds
    FROM sessions_ended_between(date_trunc('hour', now(), 'UTC') - interval '23 hours', 'infinity') AS x
         CROSS JOIN LATERAL (SELECT floor(x.together_seconds)::integer) AS d (seconds)
   WHERE x.status = 'completed' GROUP BY 1;
COMMENT ON VIEW metric_duration IS 'The duration of the sessions completed in each hour; no row for an hour without any.';
GRANT SELECT ON metric_duration TO autodoctor_app;

CREATE FUNCTION revenue_impact(since timestamptz, until timestamptz)
RETURNS TABLE (end_reason text, sessions bigint, card_cents bigint, platform_cents bigint, credits bigint,
               refunded_cents bigint, refunds_waiting_cents bigint, refunds_failed_cents bigint)
LANGUAGE sql STABLE AS $$
  SELECT x.end_reason, count(*),
         coalesce(sum(x.price_cents) FILTER (WHERE x.funding = 'card'), 0)::bigint,
         coalesce(sum(x.price_cents - share_of(x.price_cents, x.mechanic_share_bp)) FILTER (WHERE x.funding = 'card'), 0)::bigint,
         coalesce(sum(x.credits) FILTER (WHERE x.funding = 'credit'), 0)::bigint,
         coalesce(sum(r.amount_cents) FILTER (WHERE r.state IN ('sent', 'returned')), 0)::bigint,
         coalesce(sum(r.amount_cents) FILTER (WHERE r.state IN ('due', 'held', 'sending')), 0)::bigint,
         coalesce(sum(r.amount_cents) FILTER (WHERE r.state = 'failed'), 0)::bigint
    FROM sessions_ended_between(since, until) AS x
    LEFT JOIN LATERAL (SELECT * FROM refunds f WHERE f.intake_id = x.session_id AND f.kind = 'session' LIMIT 1) AS r ON true
   WHERE x.status IN ('cancelled', 'expired')
   GROUP BY x.end_reason
  UNION ALL
  -- the ledger's ids are in the order of time (UUIDv7)
  SELECT s.end_reason, count(DISTINCT s.id), 0, 0, 0, sum(l.amount)::bigint, 0, 0
    FROM ledger_transfer l CROSS JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = l.intake_id LIMIT 1) AS s
   WHERE l.id >= (lpad(to_hex(floor(extract(epoch FROM since - interval '1 minute') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
     AND l.created_at >= since AND l.created_at < until AND s.status = 'completed'
     AND l.kind IN ('refund', 'receivable', 'dispute_lost') AND l.credit_account IN ('stripe', 'disputed')
   GROUP BY s.end_reason
$$;
COMMENT ON FUNCTION revenue_impact(timestamptz, timestamptz) IS
  'The cost of sessions that were cancelled or expired in this time, by reason: their card prices in cents, the part that would have been the platform''s, the credits that go back, and the progress of their refunds. billable: the amounts refunded by hand or lost in disputes in this time for completed sessions.';

CREATE FUNCTION session_health_dashboard()
RETURNS TABLE (section text, metric text, value numeric, unit text, status text) LANGUAGE sql STABLE AS $$
  WITH hours AS MATERIALIZED (SELECT * FROM calculate_session_health_score()), day AS (
    SELECT sum(h.ended)::bigint AS ended, sum(h.completed)::bigint AS completed, sum(h.accepted)::bigint AS accepted,
           sum(h.no_shows)::bigint AS no_shows, sum(h.created)::bigint AS created,
           sum(h.wrongly_marked + h.unsettled)::bigint AS broken FROM hours h
  ), alert AS MATERIALIZED (SELECT r.alert, r.severity, r.session_id FROM sessions_needing_review r
  ), active AS (SELECT s.status, count(*) AS n FROM sessions s WHERE s.ended_at IS NULL GROUP BY s.status
  ), total AS (
    SELECT percentage(d.completed, d.ended) AS completion, percentage(d.no_shows, d.accepted) AS no_show,
           d.broken + (SELECT count(*) FROM alert a WHERE a.alert IN ('stuck_live', 'waiting_too_long')) AS alerts,
           d.ended + (SELECT coalesce(sum(a.n), 0)::bigint FROM active a) AS sessions, d.* FROM day d
  ), points AS (SELECT health_score(t.completion, t.no_show, t.alerts, t.sessions) AS score FROM total t)
  SELECT 'score', 'score', p.score, 'points', health_status(p.score) FROM points p
  UNION ALL
  SELECT 'metric', m.* FROM total t CROSS JOIN LATERAL (VALUES
    ('created', t.created::numeric, 'sessions', NULL), ('ended', t.ended::numeric, 'sessions', NULL),
    ('completion', t.completion, 'per cent', CASE WHEN t.completion < health_setting('completion_percent_min') THEN 'low' ELSE 'ok' END),
    ('no_show', t.no_show, 'per cent', CASE WHEN t.no_show > health_setting('no_show_percent_max') THEN 'high' ELSE 'ok' END)
  ) AS m (metric, value, unit, status)
  UNION ALL SELECT 'alert', a.alert, count(*)::numeric, 'sessions', min(a.severity) FROM alert a GROUP BY a.alert -- critical before warning
  UNION ALL SELECT 'active', a.status, a.n::numeric, 'sessions', NULL FROM active a
  UNION ALL
  SELECT 'revenue', r.end_reason, r.card_cents::numeric, 'cents', NULL FROM revenue_impact(now() - interval '24 hours', now()) AS r
$$;
COMMENT ON FUNCTION session_health_dashboard() IS 'The last 24 hours, for readers in psql; GET /api/admin/session-health has more.';
