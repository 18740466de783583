-- Minutes that count: a talk has the minutes that were paid for, a grace, and then the sweep ends it by the verdict.
--
-- They count from the start, the first instant at which both were there, and go on whatever follows: one clock that both
-- parties can read. An intake keeps them, like its price. One from before has none, and is ended at its plan's maximum.

ALTER TABLE intakes ADD COLUMN included_minutes integer;
ALTER TABLE intakes ADD CONSTRAINT intakes_include_what_may_be CHECK (included_minutes BETWEEN 1 AND max_minutes);
COMMENT ON COLUMN intakes.included_minutes IS
  'The plan''s at that moment: after that many minutes the talk ends, unless it is extended. Null: only max_minutes ends it, as of intakes from before this was kept.';

CREATE FUNCTION minutes_grace() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('minutes_grace_seconds', 60)
$$;
COMMENT ON FUNCTION minutes_grace() IS 'How long a talk goes on once its minutes are over: the settings table (minutes_grace_seconds), then 60 seconds.';

CREATE FUNCTION session_minutes(session sessions, OUT included integer, OUT ends_at timestamptz, OUT grace_ends_at timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  longest timestamptz;
BEGIN
  SELECT i.included_minutes, session.started_at + make_interval(mins => i.max_minutes) INTO included, longest
    FROM intakes i WHERE i.id = session.id;
  ends_at := least(session.started_at + make_interval(mins => included), longest);
  IF included IS NULL THEN
    ends_at := NULL;
  END IF;
  grace_ends_at := CASE WHEN ends_at IS NOT NULL THEN least(ends_at + minutes_grace(), longest) END;
END
$$;
COMMENT ON FUNCTION session_minutes(sessions) IS
  'The minutes of a session, when they are over and when the grace after them is; never past its plan''s longest duration. No instants before it has started, nothing where no minutes were agreed.';

CREATE OR REPLACE FUNCTION end_abandoned_sessions(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT s.id FROM sessions s JOIN intakes i ON i.id = s.id
     WHERE s.ended_at IS NULL AND s.status = 'live'
       AND (s.parted_at <= now() - parting_limit()
            OR s.started_at <= now() - make_interval(mins => i.max_minutes)
            OR (session_minutes(s)).grace_ends_at <= now())
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE OF s SKIP LOCKED),
    $sweep$ SELECT conclude_session(s, 'system:expire-orphans', NULL) FROM sessions s JOIN intakes i ON i.id = s.id
             WHERE s.id = $1 AND s.status = 'live'
               AND (s.parted_at <= now() - parting_limit()
                    OR s.started_at <= now() - make_interval(mins => i.max_minutes)
                    OR (session_minutes(s)).grace_ends_at <= now()) $sweep$);
END
$$;
COMMENT ON FUNCTION end_abandoned_sessions(integer) IS
  'Ends up to batch live sessions whose parties have not been together for parting_limit(), whose minutes and the grace after them are over, or that are past their plan''s longest duration; returns how many.';

CREATE OR REPLACE VIEW alert_stuck_live AS
  SELECT s.id AS session_id,
         CASE WHEN o.at < now() - 6 * health_setting('overdue_seconds_max') * interval '1 second'
              THEN 'critical' ELSE 'warning' END AS severity,
         o.at AS since, s.started_at, s.parted_at, i.max_minutes
    FROM sessions s CROSS JOIN LATERAL (SELECT * FROM intakes r WHERE r.id = s.id LIMIT 1) AS i
         CROSS JOIN LATERAL (SELECT least(s.parted_at + parting_limit(), (session_minutes(s)).grace_ends_at,
                                          s.started_at + make_interval(mins => i.max_minutes)) AS at) AS o
   WHERE s.ended_at IS NULL AND s.status = 'live'
     AND o.at < now() - health_setting('overdue_seconds_max') * interval '1 second';
COMMENT ON VIEW alert_stuck_live IS
  'Live sessions that the sweep should have ended (parting_limit() after the parties left, after their minutes and the grace, or at the plan''s longest duration) longer ago than health_overdue_seconds_max; since is when it should have. Critical from 6 times that limit on.';

-- What the system says.

CREATE OR REPLACE FUNCTION note_words(what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE what
    WHEN 'accepted'          THEN 'A mechanic has accepted the request.'
    WHEN 'released'          THEN 'The mechanic gave the request back. It is in the queue again, at its old place.'
    WHEN 'replaced'          THEN 'The customer asked for another mechanic. The request is at the head of the queue.'
    WHEN 'reply_late'        THEN 'The mechanic has not written yet. The customer may wait, or ask for another mechanic.'
    WHEN 'mechanic_absent'   THEN 'The mechanic did not come. The request is in the queue again, at its old place.'
    WHEN 'customer_joined'   THEN 'The customer is here.'
    WHEN 'mechanic_joined'   THEN 'The mechanic is here.'
    WHEN 'customer_left'     THEN 'The customer has left.'
    WHEN 'mechanic_left'     THEN 'The mechanic has left.'
    WHEN 'customer_lost'     THEN 'The customer''s connection was lost.'
    WHEN 'mechanic_lost'     THEN 'The mechanic''s connection was lost.'
    WHEN 'started'           THEN 'Both are here. The consultation has begun.'
    WHEN 'call_began'        THEN 'The call has begun.'
    WHEN 'call_ended'        THEN 'The call is over.'
    WHEN 'minutes_5'         THEN 'Less than five minutes are left.'
    WHEN 'minutes_1'         THEN 'Less than a minute is left. A minute after that the consultation ends by itself.'
    WHEN 'ended_by_customer' THEN 'The customer ended the consultation.'
    WHEN 'ended_by_mechanic' THEN 'The mechanic ended the consultation.'
    WHEN 'ended_by_admin'    THEN 'An operator ended the consultation.'
    WHEN 'ended_by_system'   THEN 'The consultation was ended, as one side was away for too long or its time was over.'
    WHEN 'expired'           THEN 'The request has expired: no mechanic could take it in time.'
  END
$$;

CREATE TABLE minute_words (
  session_id  uuid NOT NULL REFERENCES sessions (id),
  minutes     integer NOT NULL CHECK (minutes IN (5, 1)),
  ends_at     timestamptz NOT NULL,
  told_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (session_id, minutes, ends_at)
);
COMMENT ON TABLE minute_words IS 'What the system said of the minutes that are left in a talk: once for each instant at which they would be over.';
COMMENT ON COLUMN minute_words.minutes IS 'How many were left, at most.';
COMMENT ON COLUMN minute_words.ends_at IS 'When the minutes would be over: another instant once the talk was extended.';
COMMENT ON COLUMN minute_words.told_at IS 'When it was said.';
GRANT SELECT ON minute_words TO autodoctor_app;

CREATE FUNCTION tell_minutes(batch integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  due record;
  told integer := 0;
BEGIN
  FOR due IN
    SELECT s.id, w.minutes, m.ends_at
      FROM sessions s CROSS JOIN LATERAL session_minutes(s) AS m
           CROSS JOIN LATERAL (SELECT CASE WHEN m.ends_at <= now() + interval '1 minute' THEN 1 ELSE 5 END AS minutes) AS w
     WHERE s.ended_at IS NULL AND s.status = 'live'
       AND m.ends_at > now() AND m.ends_at <= now() + interval '5 minutes'
       AND m.ends_at > s.started_at + make_interval(mins => w.minutes) -- at the start nobody needs to be told
       AND NOT EXISTS (SELECT FROM minute_words t
                        WHERE t.session_id = s.id AND t.minutes = w.minutes AND t.ends_at = m.ends_at)
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE OF s SKIP LOCKED
  LOOP
    INSERT INTO minute_words (session_id, minutes, ends_at) VALUES (due.id, due.minutes, due.ends_at)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
      PERFORM room_note(due.id, 'minutes_' || due.minutes);
      told := told + 1;
    END IF;
  END LOOP;
  RETURN told;
END
$$;
COMMENT ON FUNCTION tell_minutes(integer) IS
  'Says in up to batch rooms that five minutes, or one, are left at most, each once; returns in how many.';
