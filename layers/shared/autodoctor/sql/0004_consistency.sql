-- What must hold at commit, what is never removed, and what suspensions and sweeps do.

-- Invariants 2, 3 and 5, judged on what the transaction is about to commit.
CREATE FUNCTION check_session(checked uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  s record;
BEGIN
  SELECT x.status, x.mechanic_id, a.session_id AS assigned_session, a.status AS assignment, a.mechanic_id AS assigned_to,
         (SELECT count(*) FROM session_assignments o WHERE o.session_id = x.id AND o.ended_at IS NULL) AS open_assignments,
         x.mechanic_id IS NULL OR EXISTS (
           SELECT FROM session_participants p WHERE p.session_id = x.id AND p.role = 'mechanic'
              AND p.mechanic_id = x.mechanic_id AND p.until IS NULL) AS takes_part
    INTO s
    FROM sessions x LEFT JOIN session_assignments a ON a.id = x.current_assignment_id
   WHERE x.id = checked;
  IF s.assigned_session IS DISTINCT FROM checked THEN
    RAISE EXCEPTION 'session % has no assignment of its own', checked USING ERRCODE = 'AD005';
  ELSIF s.open_assignments <> (s.status IN ('scheduled', 'pending', 'waiting', 'live'))::integer THEN
    RAISE EXCEPTION 'session % is % and has % open assignments', checked, s.status, s.open_assignments USING ERRCODE = 'AD005';
  ELSIF NOT (CASE s.status
      WHEN 'scheduled' THEN s.assignment IN ('pending_waiver', 'queued', 'offered')
      WHEN 'pending' THEN s.assignment IN ('pending_waiver', 'queued', 'offered')
      WHEN 'waiting' THEN s.assignment = 'accepted'
      WHEN 'live' THEN s.assignment = 'accepted'
      ELSE s.assignment = s.status END) THEN
    RAISE EXCEPTION 'session % is % and its assignment %', checked, s.status, s.assignment USING ERRCODE = 'AD005';
  ELSIF s.mechanic_id IS NOT NULL AND (s.assigned_to IS DISTINCT FROM s.mechanic_id OR NOT s.takes_part) THEN
    RAISE EXCEPTION 'session % and its assignment name different mechanics', checked USING ERRCODE = 'AD005';
  END IF;
END
$$;
COMMENT ON FUNCTION check_session(uuid) IS 'Raises AD005 where a session and its assignments do not agree.';

CREATE FUNCTION sessions_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM check_session(NEW.id);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION sessions_consistent() IS 'At commit: check_session() for the session that was written.';
CREATE CONSTRAINT TRIGGER sessions_consistent
  AFTER INSERT OR UPDATE OF status, mechanic_id, current_assignment_id ON sessions
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sessions_consistent();

CREATE FUNCTION assignments_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM check_session(NEW.session_id);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION assignments_consistent() IS 'At commit: check_session() for the session whose assignment was written.';
-- Inside a trigger the session's row changes too, and brings its own check.
CREATE CONSTRAINT TRIGGER assignments_consistent
  AFTER INSERT OR UPDATE OF status, mechanic_id ON session_assignments
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION assignments_consistent();

CREATE FUNCTION participants_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM check_session(OLD.session_id);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION participants_consistent() IS 'At commit: check_session() for the session whose participant was changed or removed.';
CREATE CONSTRAINT TRIGGER participants_consistent
  AFTER UPDATE OR DELETE ON session_participants
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION participants_consistent();

-- The audit trail is append-only and no session is deleted, also by the owner's careless hand.
CREATE FUNCTION rows_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused: its rows are kept', TG_OP, TG_TABLE_NAME USING ERRCODE = 'AD004';
END
$$;
COMMENT ON FUNCTION rows_are_kept() IS 'Refuses the statement it is a trigger of.';
CREATE TRIGGER session_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON session_events
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER session_assignment_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON session_assignment_events
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER sessions_are_kept BEFORE DELETE OR TRUNCATE ON sessions
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER session_assignments_are_kept BEFORE DELETE OR TRUNCATE ON session_assignments
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

-- A suspended mechanic's offers go back to the queue, and what only they could have taken becomes general.
CREATE FUNCTION mechanics_requeue() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  held record;
BEGIN
  FOR held IN
    SELECT a.id, a.session_id, a.status, a.mechanic_id, a.declined_by, a.workshop_id
      FROM session_assignments a JOIN sessions s ON s.id = a.session_id
     WHERE (a.status = 'offered' AND a.mechanic_id = NEW.id)
        OR (a.status IN ('queued', 'offered') AND a.workshop_id = OLD.workshop_id)
     ORDER BY s.id
       FOR NO KEY UPDATE OF s -- sessions first, as everywhere
  LOOP
    IF held.mechanic_id = NEW.id AND (NEW.status = 'suspended' OR held.workshop_id IS NOT NULL) THEN
      UPDATE session_assignments SET status = 'expired', actor = 'system:mechanic-suspended'
       WHERE id = held.id AND status = 'offered';
    ELSIF held.status = 'queued'
       AND reachable_workshop(held.workshop_id, held.declined_by, held.session_id) IS NULL THEN
      UPDATE session_assignments SET workshop_id = NULL, actor = 'system:workshop-unavailable'
       WHERE id = held.id AND status = 'queued';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION mechanics_requeue() IS 'Runs when a mechanic is suspended or leaves a workshop.';
CREATE TRIGGER mechanics_requeue AFTER UPDATE OF status, workshop_id ON mechanics
  FOR EACH ROW WHEN ((OLD.status = 'active' AND NEW.status = 'suspended') OR OLD.workshop_id IS DISTINCT FROM NEW.workshop_id)
  EXECUTE FUNCTION mechanics_requeue();

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
  'Opens up to batch queued requests to every mechanic that none of their workshop''s can take; returns how many.';

CREATE FUNCTION session_evidence(wanted uuid) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  -- VOLATILE, so that this query takes its own snapshot: rows committed while the caller waited for
  -- the session's lock are seen, although the caller's statement began before.
  RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_array(e.role, e.type, e.occurred_at) ORDER BY e.id), '[]')
      FROM session_events e JOIN sessions s ON s.id = e.session_id
     WHERE e.session_id = wanted AND e.type IN ('joined', 'left')
       AND (e.role = 'customer' OR e.mechanic_id = s.mechanic_id AND e.id > coalesce(
         (SELECT max(r.id) FROM session_events r WHERE r.session_id = wanted AND r.from_status = 'waiting'
             AND r.to_status = 'pending'), 0))); -- who gave it back and took it again has to come again
END
$$;
COMMENT ON FUNCTION session_evidence(uuid) IS 'Joins and leaves of the customer and the present mechanic, oldest first: [[role, type, at], ...].';

CREATE FUNCTION expire_orphaned_sessions(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  expired integer;
BEGIN
  WITH orphan AS MATERIALIZED (
    SELECT id FROM sessions
     WHERE ended_at IS NULL AND status IN ('pending', 'waiting')
       AND coalesce(released_at, created_at) < now() - interval '2 hours'
     ORDER BY customer_id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE sessions s SET status = 'expired', actor = 'system:expire-orphans'
    FROM orphan WHERE s.id = orphan.id AND s.status IN ('pending', 'waiting')
     AND coalesce(s.released_at, s.created_at) < now() - interval '2 hours';
  GET DIAGNOSTICS expired = ROW_COUNT;
  RETURN expired;
END
$$;
COMMENT ON FUNCTION expire_orphaned_sessions(integer) IS
  'Expires up to batch sessions that were pending or waiting for more than 2 hours; returns how many. Safe to call by hand and at once.';
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO autodoctor_app;
