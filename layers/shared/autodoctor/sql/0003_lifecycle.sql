-- The rules that hold whoever writes: moves, presence, assignments in step, audit rows, consistency at commit.
--
-- Errors of our own have SQLSTATE class AD, so that no caller has to read their text:
-- AD001 no such move, AD002 assignment unavailable, AD003 mechanic and customer are the same user,
-- AD004 a fixed column was changed, AD005 session and assignments disagree at commit.

CREATE FUNCTION session_may_move(source text, target text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (source, target) IN (
    ('scheduled', 'pending'), ('scheduled', 'cancelled'), ('scheduled', 'expired'),
    ('pending', 'waiting'), ('pending', 'cancelled'), ('pending', 'expired'),
    ('waiting', 'live'), ('waiting', 'pending'), ('waiting', 'cancelled'), ('waiting', 'expired'),
    ('live', 'completed'), ('live', 'cancelled'))
$$;
COMMENT ON FUNCTION session_may_move(text, text) IS 'Whether a session may go from one status to the other; autodoctor.domain.lifecycle says the same.';

CREATE FUNCTION assignment_may_move(source text, target text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (source, target) IN (
    ('pending_waiver', 'queued'), ('pending_waiver', 'offered'),
    ('queued', 'offered'), ('queued', 'accepted'),
    ('offered', 'accepted'), ('offered', 'declined'),
    ('accepted', 'completed'))
    OR (source IN ('pending_waiver', 'queued', 'offered', 'accepted') AND target IN ('cancelled', 'expired'))
$$;
COMMENT ON FUNCTION assignment_may_move(text, text) IS 'Whether an assignment may go from one status to the other; autodoctor.domain.lifecycle says the same.';

-- A change of presence, and the start that follows from it: live as soon as both are present.
CREATE FUNCTION track_presence(was sessions, INOUT row_now sessions) LANGUAGE plpgsql AS $$
BEGIN
  IF row_now.customer_present AND NOT was.customer_present THEN
    row_now.customer_joined_at := coalesce(row_now.customer_joined_at, row_now.changed_at);
  END IF;
  IF row_now.mechanic_present AND NOT was.mechanic_present THEN
    row_now.mechanic_joined_at := coalesce(row_now.mechanic_joined_at, row_now.changed_at);
  END IF;
  IF row_now.customer_present AND row_now.mechanic_present THEN
    row_now.parted_at := NULL;
    IF row_now.status = 'waiting' THEN
      row_now.status := 'live';
      row_now.started_at := coalesce(row_now.started_at, row_now.changed_at);
    END IF;
  ELSIF was.customer_present AND was.mechanic_present THEN
    row_now.parted_at := row_now.changed_at;
  END IF;
END
$$;
COMMENT ON FUNCTION track_presence(sessions, sessions) IS 'The row with join times, start and parting time that follow from who is present.';

CREATE FUNCTION sessions_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.actor IS NULL AND NEW.change_data IS NOT DISTINCT FROM OLD.change_data THEN
    NEW.change_data := NULL; -- a statement that does not name its actor says nothing of the last change either
  END IF;
  NEW.last_actor := coalesce(NEW.actor, 'db:' || session_user);
  NEW.actor := NULL;
  -- A BEFORE ROW trigger runs when the row is locked, so this instant is after any wait for it.
  NEW.changed_at := clock_timestamp();
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('pending', 'scheduled') THEN
      RAISE EXCEPTION 'a session starts pending or scheduled, not %', NEW.status USING ERRCODE = 'AD001';
    END IF;
    RETURN NEW;
  END IF;
  IF NEW.id <> OLD.id OR NEW.customer_id <> OLD.customer_id THEN
    RAISE EXCEPTION 'the id and the customer of session % are fixed', OLD.id USING ERRCODE = 'AD004';
  END IF;
  IF NEW.status <> OLD.status AND NOT session_may_move(OLD.status, NEW.status) THEN
    RAISE EXCEPTION 'session % cannot go from % to %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'AD001';
  END IF;
  IF NEW.mechanic_id IS DISTINCT FROM OLD.mechanic_id AND OLD.status NOT IN ('pending', 'waiting') THEN
    RAISE EXCEPTION 'the mechanic of session % is fixed', OLD.id USING ERRCODE = 'AD004';
  END IF;

  IF NEW.status = 'pending' AND OLD.status = 'scheduled' THEN
    NEW.released_at := coalesce(NEW.released_at, NEW.changed_at);
  ELSIF NEW.status = 'waiting' AND OLD.status = 'pending' THEN
    NEW.accepted_at := NEW.changed_at;
    NEW.mechanic_present := false;
    NEW.mechanic_joined_at := NULL;
    IF EXISTS (SELECT FROM mechanics m JOIN customers c ON c.user_id = m.user_id
               WHERE m.id = NEW.mechanic_id AND c.id = NEW.customer_id) THEN
      RAISE EXCEPTION 'nobody is mechanic and customer of one session' USING ERRCODE = 'AD003';
    END IF;
  ELSIF NEW.status = 'pending' AND OLD.status = 'waiting' THEN
    NEW.mechanic_id := NULL;
    NEW.mechanic_present := false;
    NEW.mechanic_joined_at := NULL;
    NEW.accepted_at := NULL;
    NEW.parted_at := NULL;
  ELSIF NEW.status = 'live' AND OLD.status = 'waiting' THEN
    -- A start claimed by hand stands only where evidence proves that both came.
    NEW.customer_joined_at := coalesce(NEW.customer_joined_at, (SELECT min(e.occurred_at) FROM session_events e
      WHERE e.session_id = NEW.id AND e.type = 'joined' AND e.role = 'customer'));
    NEW.mechanic_joined_at := coalesce(NEW.mechanic_joined_at, (SELECT min(e.occurred_at) FROM session_events e
      WHERE e.session_id = NEW.id AND e.type = 'joined' AND e.mechanic_id = NEW.mechanic_id));
  END IF;

  IF (NEW.customer_present, NEW.mechanic_present) <> (OLD.customer_present, OLD.mechanic_present) THEN
    IF OLD.status IN ('completed', 'cancelled', 'expired') THEN
      RAISE EXCEPTION 'session % is over', OLD.id USING ERRCODE = 'AD001';
    END IF;
    NEW := track_presence(OLD, NEW);
  END IF;

  IF NEW.status IN ('completed', 'cancelled', 'expired') AND NEW.status <> OLD.status THEN
    NEW.ended_at := coalesce(NEW.ended_at, NEW.changed_at);
    NEW.min_billable_seconds := coalesce(NEW.min_billable_seconds, min_billable_seconds());
    NEW.end_reason := coalesce(NEW.end_reason, CASE
      WHEN NEW.status = 'completed' THEN 'billable'
      WHEN NEW.status = 'expired' THEN 'expired'
      WHEN NEW.started_at IS NOT NULL THEN 'too_short'
      WHEN NEW.mechanic_id IS NOT NULL THEN 'no_show'
      ELSE 'withdrawn' END);
    IF NEW.end_reason = 'no_show' AND NEW.absent IS NULL THEN
      NEW.absent := CASE
        WHEN NEW.customer_joined_at IS NULL AND NEW.mechanic_joined_at IS NULL THEN 'both'
        WHEN NEW.mechanic_joined_at IS NULL THEN 'mechanic'
        WHEN NEW.customer_joined_at IS NULL THEN 'customer'
        ELSE 'both' END;
    END IF;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION sessions_guard() IS 'Refuses moves that do not exist and fills in what follows from a move: times, presence, reason.';
CREATE TRIGGER sessions_guard BEFORE INSERT OR UPDATE ON sessions
  FOR EACH ROW EXECUTE FUNCTION sessions_guard();

CREATE FUNCTION assignments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.actor IS NULL AND NEW.change_data IS NOT DISTINCT FROM OLD.change_data THEN
    NEW.change_data := NULL;
  END IF;
  NEW.last_actor := coalesce(NEW.actor, 'db:' || session_user);
  NEW.actor := NULL;
  NEW.changed_at := clock_timestamp();
  IF NEW.status IN ('queued', 'offered') THEN
    NEW.queued_at := coalesce(NEW.queued_at, NEW.changed_at);
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('pending_waiver', 'queued', 'offered') THEN
      RAISE EXCEPTION 'an assignment starts pending_waiver, queued or offered, not %', NEW.status USING ERRCODE = 'AD001';
    END IF;
    RETURN NEW;
  END IF;
  IF NEW.id <> OLD.id OR NEW.session_id <> OLD.session_id OR NEW.attempt <> OLD.attempt THEN
    RAISE EXCEPTION 'the identity of assignment % is fixed', OLD.id USING ERRCODE = 'AD004';
  END IF;
  IF NEW.status = OLD.status THEN
    IF NEW.mechanic_id IS DISTINCT FROM OLD.mechanic_id THEN
      RAISE EXCEPTION 'the mechanic of assignment % changes with its status only', OLD.id USING ERRCODE = 'AD004';
    END IF;
    RETURN NEW;
  END IF;
  IF NOT assignment_may_move(OLD.status, NEW.status) THEN
    RAISE EXCEPTION 'assignment % cannot go from % to %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'AD001';
  END IF;
  IF OLD.status = 'offered' THEN
    IF NEW.mechanic_id IS DISTINCT FROM OLD.mechanic_id THEN
      RAISE EXCEPTION 'assignment % is offered to another mechanic', OLD.id USING ERRCODE = 'AD002';
    END IF;
    IF NEW.status IN ('accepted', 'declined') AND OLD.offer_expires_at <= NEW.changed_at THEN
      RAISE EXCEPTION 'the offer of assignment % has lapsed', OLD.id USING ERRCODE = 'AD002';
    END IF;
  ELSIF OLD.status = 'queued' AND NEW.status = 'accepted' AND NEW.mechanic_id = ANY (OLD.declined_by) THEN
    RAISE EXCEPTION 'assignment % was declined by this mechanic', OLD.id USING ERRCODE = 'AD002';
  END IF;
  IF NEW.status IN ('declined', 'completed', 'cancelled', 'expired') THEN
    NEW.ended_at := NEW.changed_at;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION assignments_guard() IS 'Refuses moves of an assignment that do not exist, foreign and lapsed offers; stamps its times.';
CREATE TRIGGER assignments_guard BEFORE INSERT OR UPDATE ON session_assignments
  FOR EACH ROW EXECUTE FUNCTION assignments_guard();

-- What follows a session's move elsewhere: the assignment goes with it, the mechanic becomes a participant.
CREATE FUNCTION assignment_follows_session(was text, row_now sessions) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF row_now.status = 'waiting' THEN
    UPDATE session_assignments
       SET status = 'accepted', mechanic_id = row_now.mechanic_id, actor = row_now.last_actor, change_data = NULL
     WHERE id = row_now.current_assignment_id AND status IN ('queued', 'offered');
    IF NOT FOUND THEN
      RAISE EXCEPTION 'assignment % cannot be accepted any more', row_now.current_assignment_id USING ERRCODE = 'AD002';
    END IF;
    INSERT INTO session_participants (session_id, role, since, mechanic_id)
    VALUES (row_now.id, 'mechanic', row_now.changed_at, row_now.mechanic_id);
  ELSIF row_now.status = 'pending' AND was = 'waiting' THEN
    UPDATE session_participants SET until = row_now.changed_at
     WHERE session_id = row_now.id AND role = 'mechanic' AND until IS NULL;
    UPDATE session_assignments SET status = 'expired', actor = row_now.last_actor, change_data = row_now.change_data
     WHERE id = row_now.current_assignment_id AND status = 'accepted';
    IF NOT FOUND THEN
      RAISE EXCEPTION 'session % has no accepted assignment to release', row_now.id USING ERRCODE = 'AD005';
    END IF;
  ELSIF row_now.status IN ('completed', 'cancelled', 'expired') THEN
    UPDATE session_assignments SET status = row_now.status, actor = row_now.last_actor, change_data = NULL
     WHERE id = row_now.current_assignment_id
       AND status IN ('pending_waiver', 'queued', 'offered', 'accepted');
    IF NOT FOUND THEN
      RAISE EXCEPTION 'session % has no open assignment', row_now.id USING ERRCODE = 'AD005';
    END IF;
  END IF;
END
$$;
COMMENT ON FUNCTION assignment_follows_session(text, sessions) IS 'Moves the current assignment as the session moved, whoever moved it.';

CREATE FUNCTION sessions_record() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  facts jsonb := NEW.change_data;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.customer_present <> OLD.customer_present THEN
      INSERT INTO session_events (session_id, type, role, actor, occurred_at, data)
      VALUES (NEW.id, CASE WHEN NEW.customer_present THEN 'joined' ELSE 'left' END, 'customer',
              NEW.last_actor, NEW.changed_at, facts);
    END IF;
    IF NEW.mechanic_present <> OLD.mechanic_present THEN
      INSERT INTO session_events (session_id, type, role, mechanic_id, actor, occurred_at, data)
      VALUES (NEW.id, CASE WHEN NEW.mechanic_present THEN 'joined' ELSE 'left' END, 'mechanic',
              coalesce(NEW.mechanic_id, OLD.mechanic_id), NEW.last_actor, NEW.changed_at, facts);
    END IF;
    IF NEW.status = OLD.status THEN
      RETURN NULL;
    END IF;
    IF NEW.end_reason IS NOT NULL THEN
      facts := coalesce(facts, '{}') || jsonb_build_object('reason', NEW.end_reason)
               || CASE WHEN NEW.absent IS NULL THEN '{}' ELSE jsonb_build_object('absent', NEW.absent) END;
    END IF;
  END IF;
  INSERT INTO session_events (session_id, type, from_status, to_status, actor, occurred_at, data)
  VALUES (NEW.id, 'transition', CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status,
          NEW.last_actor, NEW.changed_at, facts);
  IF TG_OP = 'UPDATE' THEN
    PERFORM assignment_follows_session(OLD.status, NEW);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION sessions_record() IS 'Writes the audit rows and the evidence of a change, then moves the assignment along.';
CREATE TRIGGER sessions_record_insert AFTER INSERT ON sessions
  FOR EACH ROW EXECUTE FUNCTION sessions_record();
CREATE TRIGGER sessions_record_update AFTER UPDATE ON sessions
  FOR EACH ROW WHEN (OLD.status <> NEW.status OR OLD.customer_present <> NEW.customer_present
                     OR OLD.mechanic_present <> NEW.mechanic_present)
  EXECUTE FUNCTION sessions_record();

-- After a decline, a lapsed offer or a release the customer keeps their place in the queue.
CREATE FUNCTION open_next_assignment(ended session_assignments) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  refused uuid[] := ended.declined_by;
  next_id uuid;
BEGIN
  IF ended.status = 'declined' THEN
    refused := refused || ended.mechanic_id;
  END IF;
  INSERT INTO session_assignments
    (session_id, attempt, status, workshop_id, urgent, available_at, queued_at, declined_by, actor)
  VALUES
    (ended.session_id, ended.attempt + 1, CASE WHEN ended.queued_at IS NULL THEN 'pending_waiver' ELSE 'queued' END,
     -- a workshop's request that none of its mechanics can still take becomes general
     (SELECT m.workshop_id FROM mechanics m
       WHERE m.workshop_id = ended.workshop_id AND m.status = 'active' AND m.id <> ALL (refused) LIMIT 1),
     ended.urgent, ended.available_at, ended.queued_at, refused, ended.last_actor)
  RETURNING id INTO next_id;
  UPDATE sessions SET current_assignment_id = next_id, actor = ended.last_actor, change_data = NULL
   WHERE id = ended.session_id AND current_assignment_id = ended.id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'assignment % is not the current one of its session', ended.id USING ERRCODE = 'AD005';
  END IF;
END
$$;
COMMENT ON FUNCTION open_next_assignment(session_assignments) IS 'Queues the session again for the others, with the old queued_at.';

CREATE FUNCTION assignments_record() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
  INSERT INTO session_assignment_events (session_id, assignment_id, from_status, to_status, actor, occurred_at, data)
  VALUES (NEW.session_id, NEW.id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status,
          NEW.last_actor, NEW.changed_at, NEW.change_data);
  IF TG_OP = 'UPDATE' AND NEW.status IN ('declined', 'expired')
     AND EXISTS (SELECT FROM sessions s WHERE s.id = NEW.session_id AND s.status IN ('pending', 'scheduled')) THEN
    PERFORM open_next_assignment(NEW);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION assignments_record() IS 'Writes the audit row of a change; a declined or lapsed assignment is followed by the next in the same transaction.';
CREATE TRIGGER assignments_record_insert AFTER INSERT ON session_assignments
  FOR EACH ROW EXECUTE FUNCTION assignments_record();
CREATE TRIGGER assignments_record_update AFTER UPDATE ON session_assignments
  FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION assignments_record();

-- Invariants 2, 3 and 5, judged on what the transaction is about to commit.
CREATE FUNCTION check_session(checked uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s record;
BEGIN
  SELECT x.status, x.mechanic_id, a.session_id AS assigned_session, a.status AS assignment, a.mechanic_id AS assigned_to,
         (SELECT count(*) FROM session_assignments o WHERE o.session_id = x.id
             AND o.status IN ('pending_waiver', 'queued', 'offered', 'accepted')) AS open_assignments,
         x.mechanic_id IS NULL OR EXISTS (
           SELECT FROM session_participants p WHERE p.session_id = x.id AND p.role = 'mechanic'
              AND p.mechanic_id = x.mechanic_id AND p.until IS NULL) AS takes_part
    INTO s
    FROM sessions x LEFT JOIN session_assignments a ON a.id = x.current_assignment_id
   WHERE x.id = checked;
  IF NOT FOUND THEN
    RETURN; -- deleted again in this transaction
  END IF;
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
  PERFORM check_session(CASE WHEN TG_OP = 'DELETE' THEN OLD.session_id ELSE NEW.session_id END);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION assignments_consistent() IS 'At commit: check_session() for the session whose assignment was written.';
CREATE CONSTRAINT TRIGGER assignments_consistent
  AFTER INSERT OR UPDATE OF status, mechanic_id OR DELETE ON session_assignments
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION assignments_consistent();

CREATE FUNCTION participants_consistent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM check_session(OLD.session_id);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION participants_consistent() IS 'At commit: check_session() for the session whose participant was changed or removed.';
CREATE CONSTRAINT TRIGGER participants_consistent
  AFTER UPDATE OR DELETE ON session_participants
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION participants_consistent();

-- The audit trail is append-only, also for the owner's careless hand.
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'AD004';
END
$$;
COMMENT ON FUNCTION audit_is_append_only() IS 'Refuses UPDATE, DELETE and TRUNCATE of audit rows.';
CREATE TRIGGER session_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON session_events
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER session_assignment_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON session_assignment_events
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- A suspended mechanic's offers go back to the queue, and what only they could have taken becomes general.
CREATE FUNCTION mechanics_requeue() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  held record;
BEGIN
  FOR held IN
    SELECT a.id, a.status, a.mechanic_id, a.declined_by, a.workshop_id
      FROM session_assignments a JOIN sessions s ON s.id = a.session_id
     WHERE (a.status = 'offered' AND a.mechanic_id = NEW.id)
        OR (a.status IN ('queued', 'offered') AND a.workshop_id = OLD.workshop_id)
     ORDER BY s.id
       FOR NO KEY UPDATE OF s -- sessions first, as everywhere
  LOOP
    IF held.mechanic_id = NEW.id AND (NEW.status = 'suspended' OR held.workshop_id IS NOT NULL) THEN
      UPDATE session_assignments SET status = 'expired', actor = 'system:mechanic-suspended', change_data = NULL
       WHERE id = held.id AND status = 'offered';
    ELSIF held.status = 'queued' AND NOT EXISTS (
        SELECT FROM mechanics m WHERE m.workshop_id = held.workshop_id AND m.status = 'active'
           AND m.id <> ALL (held.declined_by)) THEN
      UPDATE session_assignments SET workshop_id = NULL, actor = 'system:workshop-unavailable', change_data = NULL
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

CREATE FUNCTION session_evidence(wanted uuid) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  -- VOLATILE, so that this query takes its own snapshot: rows committed while the caller waited for
  -- the session's lock are seen, although the caller's statement began before.
  RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_array(e.role, e.type, e.occurred_at) ORDER BY e.id), '[]')
      FROM session_events e JOIN sessions s ON s.id = e.session_id
     WHERE e.session_id = wanted AND e.type IN ('joined', 'left')
       AND (e.role = 'customer' OR e.mechanic_id = s.mechanic_id));
END
$$;
COMMENT ON FUNCTION session_evidence(uuid) IS 'Joins and leaves of the customer and the present mechanic, oldest first: [[role, type, at], ...].';

CREATE FUNCTION expire_orphaned_sessions(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  expired integer;
BEGIN
  WITH orphan AS MATERIALIZED (
    SELECT id FROM sessions
     WHERE status IN ('pending', 'waiting') AND coalesce(released_at, created_at) < now() - interval '2 hours'
     ORDER BY id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE sessions s SET status = 'expired', actor = 'system:expire-orphans', change_data = NULL
    FROM orphan WHERE s.id = orphan.id AND s.status IN ('pending', 'waiting')
     AND coalesce(s.released_at, s.created_at) < now() - interval '2 hours';
  GET DIAGNOSTICS expired = ROW_COUNT;
  RETURN expired;
END
$$;
COMMENT ON FUNCTION expire_orphaned_sessions(integer) IS
  'Expires up to batch sessions that were pending or waiting for more than 2 hours; returns how many. Safe to call by hand and at once.';
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO autodoctor_app;
