-- What must hold at commit, what is never removed, and what a suspension does.

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
      UPDATE session_assignments
         SET status = 'expired',
             actor = CASE NEW.status WHEN 'suspended' THEN 'system:mechanic-suspended' ELSE 'system:mechanic-left' END
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
