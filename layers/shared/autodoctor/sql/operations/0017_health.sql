-- Health: limits, alerts and schedules.

-- Conditions that need an operator: limits and alerts, and the state of the monitor and the schedules.
--
-- Nothing here walks the history: the present is found through the indexes of open rows, the past through indexes of the
-- audit trail by time, and the caller bounds every window. The audit rows never change, so an index on them costs one
-- entry, at its right end, for each session that begins or ends. LIMIT 1 and OFFSET 0 in a LATERAL keep the planner from
-- reading a whole table where it expects that to be cheaper than looking rows up.

CREATE FUNCTION percentage(part bigint, whole bigint) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT round(100.0 * part / nullif(whole, 0), 1)
$$;
COMMENT ON FUNCTION percentage(bigint, bigint) IS 'Per cent with one decimal; null if the whole is zero.';

CREATE FUNCTION sessions_ended_between(since timestamptz, until timestamptz)
RETURNS TABLE (session_id uuid, decided_at timestamptz, status text, end_reason text, absent text, mechanic_id uuid,
               started_at timestamptz, ended_at timestamptz, together_seconds numeric, created_at timestamptz,
               funding text, plan_code text, session_type text, price_cents integer, credits integer,
               mechanic_share_bp integer, max_minutes integer, at_stake boolean)
LANGUAGE sql STABLE AS $$
  SELECT s.id, e.occurred_at, s.status, s.end_reason, s.absent, s.mechanic_id, s.started_at, s.ended_at,
         s.together_seconds, s.created_at, i.funding, i.plan_code, i.session_type, i.price_cents, i.credits,
         i.mechanic_share_bp, i.max_minutes, i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0
    FROM session_events e
         CROSS JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = e.session_id LIMIT 1) AS s
         CROSS JOIN LATERAL (SELECT * FROM intakes r WHERE r.id = e.session_id LIMIT 1) AS i
   WHERE is_terminal(e.to_status) AND is_terminal(e.from_status) IS NOT TRUE
     AND e.occurred_at >= since AND e.occurred_at < until
$$;
COMMENT ON FUNCTION sessions_ended_between(timestamptz, timestamptz) IS
  'Sessions whose end was decided from since on and before until; at_stake: there is something to settle.';

CREATE FUNCTION wrongly_marked_between(since timestamptz, until timestamptz)
RETURNS TABLE (session_id uuid, decided_at timestamptz, status text, end_reason text, expected text)
LANGUAGE sql STABLE AS $$
  SELECT x.session_id, x.decided_at, x.status, x.end_reason,
         CASE WHEN x.status = 'expired' AND judged.started_at IS NULL THEN 'expired' ELSE judged.status END
    FROM sessions_ended_between(since, until) AS x
         CROSS JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = x.session_id LIMIT 1) AS s
         CROSS JOIN LATERAL judge_again(s, x.decided_at, x.decided_at) AS judged
   WHERE x.status <> CASE WHEN x.status = 'expired' AND judged.started_at IS NULL THEN 'expired' ELSE judged.status END
      OR judged.started_at IS NOT NULL AND x.end_reason IN ('no_show', 'withdrawn')
$$;
COMMENT ON FUNCTION wrongly_marked_between(timestamptz, timestamptz) IS
  'Sessions that ended in this time whose evidence of presence contradicts their outcome: completed ones that were too short, cancelled or expired ones that were long enough, no-shows whose parties met.';

CREATE TABLE health_alerts (
  id                   uuid PRIMARY KEY DEFAULT new_id(),
  alert                text NOT NULL,
  subject              text NOT NULL,
  severity             text NOT NULL CHECK (severity IN ('warning', 'critical')),
  since                timestamptz NOT NULL,
  facts                jsonb NOT NULL,
  opened_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  cleared_at           timestamptz,
  opened_notified_at   timestamptz,
  cleared_notified_at  timestamptz,
  claimed_until        timestamptz,
  CONSTRAINT health_alerts_cleared_before_notified CHECK (cleared_notified_at IS NULL OR cleared_at IS NOT NULL),
  CONSTRAINT health_alerts_opening_notified_first CHECK (cleared_notified_at IS NULL OR opened_notified_at IS NOT NULL)
);
CREATE UNIQUE INDEX health_alerts_open ON health_alerts (alert, subject) WHERE cleared_at IS NULL;
CREATE INDEX health_alerts_unnotified ON health_alerts (id)
  WHERE opened_notified_at IS NULL OR (cleared_at IS NOT NULL AND cleared_notified_at IS NULL);
COMMENT ON TABLE health_alerts IS
  'Every alert that the monitor saw, and its notifications. Stored before anybody is notified, so that none is lost.';
COMMENT ON COLUMN health_alerts.alert IS 'As in sessions_needing_review and health_limits_passed().';
COMMENT ON COLUMN health_alerts.subject IS 'The session''s or mechanic''s id, or all.';
COMMENT ON COLUMN health_alerts.severity IS 'The present severity, warning or critical; a change is not notified.';
COMMENT ON COLUMN health_alerts.since IS 'When the condition began; for limits, when it was first seen.';
COMMENT ON COLUMN health_alerts.facts IS 'Further facts, no personal data.';
COMMENT ON COLUMN health_alerts.opened_at IS 'When the monitor first saw it.';
COMMENT ON COLUMN health_alerts.cleared_at IS 'When the monitor no longer saw it; if it comes back, it gets another row.';
COMMENT ON COLUMN health_alerts.opened_notified_at IS 'When the topic took the message that it opened.';
COMMENT ON COLUMN health_alerts.cleared_notified_at IS 'When the topic took the message that it cleared.';
COMMENT ON COLUMN health_alerts.claimed_until IS 'Until then one run is sending its notification; if that run dies, the next one takes over.';
GRANT SELECT,
      INSERT (alert, subject, severity, since, facts),
      UPDATE (severity, facts, cleared_at, opened_notified_at, cleared_notified_at, claimed_until)
  ON health_alerts TO autodoctor_app;

CREATE TABLE schedule_runs (
  name         text PRIMARY KEY,
  started_at   timestamptz NOT NULL,
  finished_at  timestamptz,
  failed       boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE schedule_runs IS 'The last run of each scheduled function, recorded by the run itself.';
COMMENT ON COLUMN schedule_runs.name IS 'The name of the schedule, without the stack''s.';
COMMENT ON COLUMN schedule_runs.started_at IS 'When the last run began.';
COMMENT ON COLUMN schedule_runs.finished_at IS 'When it finished; null while it runs, and for a run that was cut short.';
COMMENT ON COLUMN schedule_runs.failed IS 'Whether it raised.';
GRANT SELECT, INSERT, UPDATE (started_at, finished_at, failed) ON schedule_runs TO autodoctor_app;

CREATE VIEW alert_wrongly_marked AS
  SELECT w.session_id, 'critical'::text AS severity, w.decided_at AS since, w.status, w.end_reason, w.expected
    FROM wrongly_marked_between(now() - interval '24 hours', 'infinity') AS w
  UNION -- a reported alert stays until it is repaired, however long that takes
  SELECT w.session_id, 'critical', w.decided_at, w.status, w.end_reason, w.expected
    FROM health_alerts h CROSS JOIN LATERAL wrongly_marked_between(h.since, h.since + interval '1 microsecond') AS w
   WHERE h.alert = 'wrongly_marked' AND h.cleared_at IS NULL AND h.subject = w.session_id::text;
COMMENT ON VIEW alert_wrongly_marked IS
  'Sessions whose evidence contradicts their outcome: ended in the last 24 hours, or alerted earlier and not repaired since. Always critical: money follows the outcome.';
GRANT SELECT ON alert_wrongly_marked TO autodoctor_app;

CREATE VIEW alert_stuck_live AS
  SELECT s.id AS session_id,
         CASE WHEN o.at < now() - 6 * (SELECT health_setting('overdue_seconds_max')) * interval '1 second'
              THEN 'critical' ELSE 'warning' END AS severity,
         o.at AS since, s.started_at, s.parted_at, i.max_minutes
    FROM sessions s CROSS JOIN LATERAL (SELECT * FROM intakes r WHERE r.id = s.id LIMIT 1) AS i
         CROSS JOIN LATERAL (SELECT least(s.parted_at + parting_limit(), (session_minutes(s)).grace_ends_at,
                                          s.started_at + make_interval(mins => i.max_minutes)) AS at) AS o
   WHERE s.ended_at IS NULL AND s.status = 'live'
     AND o.at < now() - (SELECT health_setting('overdue_seconds_max')) * interval '1 second';
COMMENT ON VIEW alert_stuck_live IS
  'Live sessions that the sweep should have ended (parting_limit() after the parties left, after their minutes and the grace, or at the plan''s longest duration) longer ago than health_overdue_seconds_max; since is when it should have. Critical from 6 times that limit on.';
GRANT SELECT ON alert_stuck_live TO autodoctor_app;

CREATE VIEW alert_completed_without_settlement AS
  WITH missed AS (
    SELECT d.session_id, d.ended_at AS since FROM settlements_due d
     WHERE (SELECT s.status FROM sessions s WHERE s.id = d.session_id) = 'completed'
    UNION -- and sessions without a row that says they are due
    SELECT x.session_id, x.decided_at FROM sessions_ended_between(now() - interval '24 hours', 'infinity') AS x
     WHERE x.status = 'completed' AND x.at_stake
       AND NOT EXISTS (SELECT FROM settlements t WHERE t.session_id = x.session_id OFFSET 0)
       AND NOT EXISTS (SELECT FROM settlements_due d WHERE d.session_id = x.session_id)
    UNION
    SELECT h.subject::uuid, h.since FROM health_alerts h
     WHERE h.alert = 'completed_without_settlement' AND h.cleared_at IS NULL
       AND NOT EXISTS (SELECT FROM settlements t WHERE t.session_id = h.subject::uuid)
       AND NOT EXISTS (SELECT FROM settlements_due d WHERE d.session_id = h.subject::uuid)
  )
  SELECT m.session_id,
         CASE WHEN m.since < now() - 4 * (SELECT health_setting('settlement_seconds_max')) * interval '1 second'
              THEN 'critical' ELSE 'warning' END AS severity,
         m.since, i.funding, i.price_cents, i.credits
    FROM missed m CROSS JOIN LATERAL (SELECT * FROM intakes r WHERE r.id = m.session_id LIMIT 1) AS i
   WHERE m.since < now() - (SELECT health_setting('settlement_seconds_max')) * interval '1 second';
COMMENT ON VIEW alert_completed_without_settlement IS
  'Sessions that completed with something to settle longer ago than health_settlement_seconds_max and are not settled; of those not even recorded as due, the ones of the last 24 hours and those alerted then. Critical from 4 times that limit on.';
GRANT SELECT ON alert_completed_without_settlement TO autodoctor_app;

CREATE VIEW alert_waiting_too_long AS
  SELECT a.session_id,
         CASE WHEN a.queued_at < now() - 3 * (SELECT health_setting('waiting_seconds_max')) * interval '1 second'
              THEN 'critical' ELSE 'warning' END AS severity,
         a.queued_at AS since, a.status AS assignment_status, a.urgent, a.workshop_id
    FROM session_assignments a
   WHERE a.status IN ('queued', 'offered') AND a.available_at <= now()
     -- once, not for each who waits
     AND a.queued_at < now() - (SELECT health_setting('waiting_seconds_max')) * interval '1 second';
COMMENT ON VIEW alert_waiting_too_long IS 'Sessions queued or offered for longer than health_waiting_seconds_max; since is when the customer began to wait. Critical from 3 times that limit on.';
GRANT SELECT ON alert_waiting_too_long TO autodoctor_app;

CREATE VIEW sessions_needing_review AS
  SELECT 'wrongly_marked'::text AS alert, a.severity, a.session_id, a.since,
         jsonb_build_object('status', a.status, 'reason', a.end_reason, 'expected', a.expected) AS facts
    FROM alert_wrongly_marked a
  UNION ALL
  SELECT 'stuck_live', a.severity, a.session_id, a.since,
         jsonb_build_object('startedAt', a.started_at, 'partedAt', a.parted_at, 'maxMinutes', a.max_minutes)
    FROM alert_stuck_live a
  UNION ALL
  SELECT 'completed_without_settlement', a.severity, a.session_id, a.since,
         jsonb_build_object('funding', a.funding, 'priceCents', a.price_cents, 'credits', a.credits)
    FROM alert_completed_without_settlement a
  UNION ALL
  SELECT 'waiting_too_long', a.severity, a.session_id, a.since,
         jsonb_build_object('assignmentStatus', a.assignment_status, 'urgent', a.urgent)
    FROM alert_waiting_too_long a;
COMMENT ON VIEW sessions_needing_review IS 'The sessions of the four alert views; one with two alerts appears twice.';
GRANT SELECT ON sessions_needing_review TO autodoctor_app;

CREATE FUNCTION mechanic_health(since timestamptz, until timestamptz)
RETURNS TABLE (mechanic_id uuid, sessions bigint, completed bigint, too_short bigint, no_shows bigint, given_back bigint,
               completion_percent numeric, no_show_percent numeric)
LANGUAGE sql STABLE AS $$
  WITH part AS (
    SELECT x.mechanic_id, x.end_reason, x.end_reason = 'no_show' AND x.absent <> 'customer' AS missed, false AS gave_back
      FROM sessions_ended_between(since, until) AS x
     WHERE x.mechanic_id IS NOT NULL AND (x.end_reason = 'withdrawn' OR x.end_reason = 'no_show' AND x.absent = 'customer') IS NOT TRUE
    UNION ALL
    -- the sweep takes a session from a mechanic who does not come, so most of their no-shows do not end a session
    SELECT p.mechanic_id, NULL, e.actor LIKE 'system:%', e.actor NOT LIKE ALL ('{system:%,operator:mechanic-suspended}')
      FROM session_participants p
           CROSS JOIN LATERAL (SELECT v.actor FROM session_events v
                                WHERE v.session_id = p.session_id AND v.from_status = 'waiting' AND v.to_status = 'pending'
                                  AND v.occurred_at <= p.until ORDER BY v.id DESC LIMIT 1) AS e
     WHERE p.until >= mechanic_health.since AND p.until < mechanic_health.until AND p.mechanic_id IS NOT NULL
  )
  SELECT c.*, percentage(c.completed, c.sessions), percentage(c.no_shows, c.sessions)
    FROM (SELECT part.mechanic_id, count(*) FILTER (WHERE NOT part.gave_back) AS sessions,
                 count(*) FILTER (WHERE part.end_reason = 'billable') AS completed,
                 count(*) FILTER (WHERE part.end_reason = 'too_short') AS too_short,
                 count(*) FILTER (WHERE part.missed) AS no_shows, count(*) FILTER (WHERE part.gave_back) AS given_back
            FROM part GROUP BY part.mechanic_id) AS c
$$;
COMMENT ON FUNCTION mechanic_health(timestamptz, timestamptz) IS 'Each mechanic''s sessions that ended in this time, or were taken from them because they did not come (also a no-show). Sessions that only the customer missed are not counted; those that the mechanic released are counted separately.';

CREATE FUNCTION health_limits_passed()
RETURNS TABLE (alert text, severity text, mechanic_id uuid, percent numeric, passed integer, sessions bigint)
LANGUAGE sql STABLE AS $$
  WITH everything AS (
    SELECT count(*) AS ended, count(*) FILTER (WHERE x.status = 'completed') AS completed,
           count(*) FILTER (WHERE x.mechanic_id IS NOT NULL) AS accepted,
           count(*) FILTER (WHERE x.end_reason = 'no_show') AS no_shows
      FROM sessions_ended_between(now() - interval '24 hours', 'infinity') AS x
  ), measured AS (
    SELECT 'completion_low' AS alert, NULL::uuid AS mechanic_id, percentage(e.completed, e.ended) AS percent, e.ended AS sessions,
           health_setting('completion_percent_min') AS low, NULL::integer AS high FROM everything e
    UNION ALL
    SELECT 'no_show_high', NULL, percentage(e.no_shows, e.accepted), e.accepted, NULL, health_setting('no_show_percent_max')
      FROM everything e
    UNION ALL
    SELECT v.alert, m.mechanic_id, v.percent, m.sessions, v.low, v.high
      FROM mechanic_health(now() - interval '24 hours', 'infinity') AS m
           CROSS JOIN LATERAL (VALUES
             ('mechanic_completion_low', m.completion_percent, health_setting('mechanic_completion_percent_min'), NULL::integer),
             ('mechanic_no_show_high', m.no_show_percent, NULL, health_setting('mechanic_no_show_percent_max'))
           ) AS v (alert, percent, low, high)
  )
  SELECT m.alert, CASE WHEN m.mechanic_id IS NULL THEN 'critical' ELSE 'warning' END, m.mechanic_id, m.percent,
         coalesce(m.low, m.high), m.sessions
    FROM measured m
   WHERE m.sessions >= coalesce(health_setting('sample_min'), 1) AND (m.percent < m.low OR m.percent > m.high)
$$;
COMMENT ON FUNCTION health_limits_passed() IS
  'The percentages of the last 24 hours that are beyond a limit of the settings table: critical for all sessions, a warning for one mechanic''s.';

-- What a person has to look at: who draws more than usual, and money that waits for ours.
CREATE VIEW alert_money AS
  SELECT 'escalations_to_release'::text AS alert, p.mechanic_id::text AS subject, 'warning'::text AS severity,
         min(h.held_at) AS since, jsonb_build_object('payouts', count(*), 'cents', sum(p.amount_cents)) AS facts
    FROM payouts p JOIN payout_holds h ON h.payout_id = p.id AND h.reason = 'escalation' AND h.released_at IS NULL
   WHERE p.state = 'held'
   GROUP BY p.mechanic_id
  UNION ALL
  SELECT 'mechanic_escalations_high', p.mechanic_id::text, 'critical', min(p.created_at),
         jsonb_build_object('payouts', count(*), 'cents', sum(p.amount_cents),
                            'limit', health_setting('mechanic_escalations_max'))
    FROM payouts p
   WHERE p.kind = 'escalation' AND p.created_at > now() - interval '24 hours'
   GROUP BY p.mechanic_id HAVING count(*) > health_setting('mechanic_escalations_max')
  UNION ALL
  SELECT 'customer_withdrawals_high', g.customer_id::text, 'warning', min(g.at),
         jsonb_build_object('payments', count(*), 'limit', number_setting('withdrawn_payments_per_day', 3))
    FROM (SELECT s.customer_id, s.ended_at AS at
            FROM sessions_ended_between(now() - interval '24 hours', 'infinity') AS x JOIN sessions s ON s.id = x.session_id
           WHERE x.funding = 'card' AND customer_gave_up(s)
          UNION ALL -- minutes that were not used, what came late, and what could not begin
          SELECT i.customer_id, r.created_at
            FROM refunds r JOIN checkouts k ON k.intake_id = r.intake_id JOIN intakes i ON i.id = r.intake_id
           WHERE r.kind IN ('extension', 'unfulfillable') AND r.created_at > now() - interval '24 hours'
             AND (k.kind = 'extension' OR k.late_since IS NULL OR k.late_answer = 'give_back')) AS g
   GROUP BY g.customer_id HAVING count(*) >= number_setting('withdrawn_payments_per_day', 3)
  UNION ALL
  SELECT 'money_waits_for_balance', 'all', CASE WHEN min(j.created_at) < now() - interval '1 day' THEN 'critical' ELSE 'warning' END,
         min(j.created_at), jsonb_build_object('payouts', count(*) FILTER (WHERE j.job = 'payout'),
                                               'refunds', count(*) FILTER (WHERE j.job = 'refund'))
    FROM stripe_jobs j WHERE j.state = 'due' AND j.waits_for = 'balance' HAVING count(*) > 0;
COMMENT ON VIEW alert_money IS
  'Mechanics whose shares of quotes wait for an admin''s release, and those who earned more of them in 24 hours than health_mechanic_escalations_max: subject is the mechanic''s id. Customers who got back so many payments by card in 24 hours, of requests that they gave up or that could not begin, minutes that were not used and money that came late, as withdrawn_payments_per_day allows: subject is the customer''s id. Payouts and refunds that wait for our balance at Stripe: subject is all, critical from one day on; top it up.';
GRANT SELECT ON alert_money TO autodoctor_app;
