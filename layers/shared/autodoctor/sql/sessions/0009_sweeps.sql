-- The sweeps finish whatever was left behind. The schedule calls each, and so can anybody with psql, even concurrently.
--
-- Each takes a bounded batch: it locks sessions first, skips those that others have locked, and checks the state again
-- in the UPDATE. The order is that of the index of active sessions, so that no plan walks the history.

CREATE FUNCTION sweep_each(ids uuid[], change text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  one uuid;
  changed integer := 0;
  moved integer;
BEGIN
  FOREACH one IN ARRAY coalesce(ids, '{}') LOOP
    BEGIN
      EXECUTE change USING one;
      GET DIAGNOSTICS moved = ROW_COUNT;
      SET CONSTRAINTS ALL IMMEDIATE; -- what would be refused at commit is refused here
      SET CONSTRAINTS ALL DEFERRED;
      changed := changed + moved;
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'a sweep left % behind: % %', one, SQLSTATE, SQLERRM; -- alerts and verify find it
    END;
  END LOOP;
  RETURN changed;
END
$$;
COMMENT ON FUNCTION sweep_each(uuid[], text) IS
  'Runs a statement, whose $1 is an id, for each id by itself: one that fails is left behind with a warning and keeps no other from being swept. Returns how many rows changed.';

CREATE FUNCTION orphaned_since(session sessions) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE session.status WHEN 'waiting' THEN session.accepted_at
                             WHEN 'pending' THEN coalesce(session.released_at, session.created_at) END
$$;
COMMENT ON FUNCTION orphaned_since(sessions) IS
  'Since when a session has been waiting for somebody: a pending one since it was asked for or came due, a waiting one since the accept. Null: it waits for nobody.';

CREATE FUNCTION expire_orphaned_sessions(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT s.id FROM sessions s
     WHERE s.ended_at IS NULL AND orphaned_since(s) < now() - orphan_age()
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED),
    $sweep$ UPDATE sessions s SET status = 'expired', actor = 'system:expire-orphans'
             WHERE s.id = $1 AND orphaned_since(s) < now() - orphan_age() $sweep$);
END
$$;
COMMENT ON FUNCTION expire_orphaned_sessions(integer) IS
  'Expires up to batch sessions that were pending or waiting for longer than orphan_age(); returns how many. Safe to call by hand and concurrently.';

CREATE FUNCTION expire_lapsed_offers(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT a.id FROM session_assignments a JOIN sessions s ON s.id = a.session_id
     WHERE a.status = 'offered' AND a.offer_expires_at <= now()
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE OF s SKIP LOCKED),
    $sweep$ UPDATE session_assignments a SET status = 'expired', actor = 'system:expire-orphans'
             WHERE a.id = $1 AND a.status = 'offered' AND a.offer_expires_at <= now() $sweep$);
END
$$;
COMMENT ON FUNCTION expire_lapsed_offers(integer) IS 'Ends up to batch offers past their deadline, which queues their sessions for the others; returns how many.';

CREATE FUNCTION bring_due_sessions(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT s.id FROM sessions s
     WHERE s.ended_at IS NULL AND s.status = 'scheduled' AND s.scheduled_for <= now() + lead_time()
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED),
    $sweep$ UPDATE sessions s SET status = 'pending', actor = 'system:expire-orphans'
             WHERE s.id = $1 AND s.status = 'scheduled' $sweep$);
END
$$;
COMMENT ON FUNCTION bring_due_sessions(integer) IS 'Makes up to batch scheduled sessions pending, lead_time() ahead of their time; returns how many.';

CREATE FUNCTION deserted_since(session sessions) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN session.status = 'waiting' AND NOT session.mechanic_present THEN greatest(
    session.accepted_at, session.scheduled_for,
    (SELECT max(p.until) FROM session_presence p
      WHERE p.session_id = session.id AND p.mechanic_id = session.mechanic_id AND p.since >= session.accepted_at
        AND p.replaced_at IS NULL)) END
$$;
COMMENT ON FUNCTION deserted_since(sessions) IS
  'Since when a waiting session has been without its mechanic: the accept, the time it is wanted for, or when they were last there. Null: the mechanic is there, or nobody waits.';

CREATE FUNCTION release_absent_mechanics(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT s.id FROM sessions s
     WHERE s.ended_at IS NULL AND s.status = 'waiting' AND s.accepted_at <= now() - absence_limit()
       AND deserted_since(s) <= now() - absence_limit()
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED),
    $sweep$ UPDATE sessions s SET status = 'pending', actor = 'system:expire-orphans'
             WHERE s.id = $1 AND deserted_since(s) <= now() - absence_limit() $sweep$);
END
$$;
COMMENT ON FUNCTION release_absent_mechanics(integer) IS 'Queues up to batch sessions again whose mechanic has not been there for absence_limit() since the accept (or the scheduled time, or their last leaving); returns how many.';

-- Minutes that count: a talk has the minutes that were paid for, a grace, and then the sweep ends it by the verdict.
--
-- They count from the start, the first instant at which both were there, and go on whatever follows: one clock that both
-- parties can read. An intake keeps them, like its price. One from before has none, and is ended at its plan's maximum.

CREATE FUNCTION minutes_grace() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('minutes_grace_seconds', 60)
$$;
COMMENT ON FUNCTION minutes_grace() IS 'How long a talk goes on once its minutes are over: the settings table (minutes_grace_seconds), then 60 seconds.';

CREATE FUNCTION payment_grace() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('payment_grace_seconds', 300)
$$;
COMMENT ON FUNCTION payment_grace() IS
  'How long a talk goes on once its minutes are over while more are being paid for by card: the settings table (payment_grace_seconds), then 5 minutes.';

-- plpgsql, so that each call has a snapshot of its own: the caller may have waited for the session's lock.
CREATE FUNCTION session_minutes(session sessions, OUT included integer, OUT extended integer, OUT ends_at timestamptz,
                                OUT grace_ends_at timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  longest timestamptz;
  is_being_paid boolean;
BEGIN
  SELECT i.included_minutes, session.started_at + make_interval(mins => i.max_minutes) INTO included, longest
    FROM intakes i WHERE i.id = session.id;
  SELECT coalesce(sum(x.minutes) FILTER (WHERE x.status = 'running'), 0),
         coalesce(bool_or(x.status = 'agreed' AND EXISTS (
           SELECT FROM checkouts c WHERE c.intake_id = x.id AND c.status IN ('open', 'processing'))), false)
    INTO extended, is_being_paid
    FROM session_extensions x WHERE x.session_id = session.id;
  IF included IS NOT NULL THEN
    ends_at := least(session.started_at + make_interval(mins => included + extended), longest);
    grace_ends_at := least(ends_at + CASE WHEN is_being_paid THEN greatest(minutes_grace(), payment_grace()) ELSE minutes_grace() END,
                           longest);
  END IF;
END
$$;
COMMENT ON FUNCTION session_minutes(sessions) IS
  'The minutes of a session that were included, and those that were paid for in addition; when they are over, and when the grace after them is, which is longer while a card payment for more is under way. Never past its plan''s longest duration; no instants before it has started, or where no minutes were agreed.';

CREATE FUNCTION end_abandoned_sessions(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
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

CREATE FUNCTION open_unreachable_requests(batch integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  opened integer;
BEGIN
  -- A suspension and an intake that commit at the same moment do not see each other.
  WITH hidden AS MATERIALIZED (
    SELECT a.id FROM session_assignments a JOIN sessions s ON s.id = a.session_id
     WHERE a.status = 'queued' AND a.workshop_id IS NOT NULL
       AND reachable_workshop(a.workshop_id, a.declined_by, a.session_id) IS NULL
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE OF s SKIP LOCKED)
  UPDATE session_assignments a SET workshop_id = NULL, actor = 'system:workshop-unavailable'
    FROM hidden WHERE a.id = hidden.id AND a.status = 'queued';
  GET DIAGNOSTICS opened = ROW_COUNT;
  RETURN opened;
END
$$;
COMMENT ON FUNCTION open_unreachable_requests(integer) IS
  'Makes up to batch queued requests general that no mechanic of their workshop can take; returns how many.';

CREATE FUNCTION forget_idempotency_keys(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  changed integer;
BEGIN
  WITH old AS MATERIALIZED (
    SELECT user_id, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
     LIMIT batch
       FOR UPDATE SKIP LOCKED)
  DELETE FROM idempotency_keys k USING old WHERE k.user_id = old.user_id AND k.key = old.key;
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;
COMMENT ON FUNCTION forget_idempotency_keys(integer) IS 'Deletes up to batch Idempotency-Keys older than 24 hours; returns how many.';
