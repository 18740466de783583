-- The rules for every writer: moves, presence, assignments in step, audit rows, consistency at commit.
--
-- Our errors have SQLSTATE class AD, so that no caller has to read their text:
-- AD001 no such move, AD002 assignment unavailable, AD003 mechanic and customer are the same user,
-- AD004 a fixed value was changed or a kept row deleted, AD005 session and assignments disagree at commit,
-- AD006 a customer has used up a plan, AD007 a user has used up a limit, AD010 a customer with an open session or payment cannot be erased.
--
-- pg_temp is last in their search path: if it were not named it would come first, and a caller's temporary table of
-- the same name would catch the audit rows.

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

-- Not by way of set_presence(): typed by hand, or with a release, which has ended it already.
CREATE FUNCTION claim_by_hand(was sessions, INOUT row_now sessions, at timestamptz) LANGUAGE plpgsql AS $$
DECLARE
  of_mechanic uuid := coalesce(row_now.mechanic_id, was.mechanic_id);
  here record;
BEGIN
  row_now.customer_claims := row_now.customer_present;
  row_now.mechanic_claims := row_now.mechanic_present;
  FOR here IN VALUES ('customer', NULL::uuid, was.customer_present, row_now.customer_present),
                     ('mechanic', of_mechanic, was.mechanic_present, row_now.mechanic_present) LOOP
    IF here.column4 AND NOT here.column3 THEN
      PERFORM open_presence(was.id, here.column1, here.column2, 'claim', NULL, at);
    ELSIF here.column3 AND NOT here.column4 THEN
      PERFORM leave_medium(was.id, here.column1, at);
      PERFORM close_presence(was.id, here.column1, '{room,claim}', NULL, at);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION claim_by_hand(sessions, sessions, timestamptz) IS 'Presence that is typed by hand is a claim like any other.';

-- A change of presence, and the start that follows from it: live as soon as both are present.
CREATE FUNCTION track_presence(was sessions, INOUT row_now sessions, at timestamptz) LANGUAGE plpgsql AS $$
DECLARE
  since timestamptz := least(at, (row_now.change_data ->> 'at')::timestamptz); -- the witness's instant
  seen record;
BEGIN
  IF row_now.change_data ->> 'at' IS NULL THEN
    row_now := claim_by_hand(was, row_now, at);
  END IF;
  IF row_now.customer_present AND NOT was.customer_present THEN
    row_now.customer_joined_at := coalesce(row_now.customer_joined_at, since);
  END IF;
  IF row_now.mechanic_present AND NOT was.mechanic_present THEN
    row_now.mechanic_joined_at := coalesce(row_now.mechanic_joined_at, since);
  END IF;
  IF row_now.customer_present AND row_now.mechanic_present THEN
    row_now.parted_at := NULL;
    IF row_now.status = 'waiting' THEN
      seen := presence_of(row_now, 'infinity', 'infinity');
      row_now.status := 'live';
      row_now.started_at := coalesce(row_now.started_at, lower(seen.customer * seen.mechanic), since);
    END IF;
  ELSIF was.customer_present AND was.mechanic_present AND row_now.status = was.status THEN
    row_now.parted_at := greatest(since, was.started_at);
  END IF;
END
$$;
COMMENT ON FUNCTION track_presence(sessions, sessions, timestamptz) IS 'The row with the join times, start and parting time that follow from the presence.';

-- The consequences of a move within the row itself.
CREATE FUNCTION follow_move(was sessions, INOUT row_now sessions, at timestamptz) LANGUAGE plpgsql AS $$
DECLARE
  seen record;
BEGIN
  IF row_now.status = was.status THEN
    row_now := follow_end(was, row_now, at);
  ELSIF row_now.status = 'pending' AND was.status = 'scheduled' THEN
    row_now.released_at := coalesce(row_now.released_at, at);
  ELSIF row_now.status = 'waiting' THEN
    row_now.accepted_at := at;
    row_now.mechanic_present := false;
    row_now.mechanic_claims := false;
    row_now.mechanic_joined_at := NULL;
    IF EXISTS (SELECT FROM mechanics m JOIN customers c ON c.user_id = m.user_id
               WHERE m.id = row_now.mechanic_id AND c.id = row_now.customer_id) THEN
      RAISE EXCEPTION 'mechanic and customer of a session are the same user' USING ERRCODE = 'AD003';
    END IF;
  ELSIF row_now.status = 'pending' THEN
    PERFORM end_presence_of_mechanic(was, at);
    row_now.mechanic_id := NULL;
    row_now.mechanic_present := false;
    row_now.mechanic_claims := false;
    row_now.mechanic_joined_at := NULL;
    row_now.accepted_at := NULL;
    row_now.parted_at := NULL;
  ELSIF row_now.status = 'live' THEN
    seen := presence_of(was, at, 'infinity');
    row_now.started_at := lower(seen.customer * seen.mechanic);
    IF row_now.started_at IS NULL THEN
      RAISE EXCEPTION 'no evidence that both were present in session %', was.id USING ERRCODE = 'AD001';
    END IF;
    -- Imported evidence has left no trace in the row.
    row_now.customer_joined_at := coalesce(row_now.customer_joined_at, row_now.started_at);
    row_now.mechanic_joined_at := coalesce(row_now.mechanic_joined_at, row_now.started_at);
  ELSE
    row_now := follow_end(was, row_now, at);
  END IF;
END
$$;
COMMENT ON FUNCTION follow_move(sessions, sessions, timestamptz) IS 'The row with the times, the reason and the absent party that follow from its new status.';

CREATE FUNCTION sessions_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  -- A BEFORE ROW trigger runs once the row is locked, so this instant is after any wait for the lock.
  at timestamptz := clock_timestamp();
  source text;
  comes_or_goes boolean;
BEGIN
  NEW.actor := coalesce(NEW.actor, 'db:' || session_user);
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('pending', 'scheduled') OR NEW.customer_present OR NEW.mechanic_present
       OR NEW.customer_claims OR NEW.mechanic_claims THEN
      RAISE EXCEPTION 'a session starts pending or scheduled, with nobody present' USING ERRCODE = 'AD001';
    END IF;
  ELSE
    source := OLD.status;
    IF NEW.id <> OLD.id OR NEW.customer_id <> OLD.customer_id THEN
      RAISE EXCEPTION 'the id and the customer of session % are fixed', OLD.id USING ERRCODE = 'AD004';
    ELSIF NEW.status <> source AND NOT session_may_move(source, NEW.status) THEN
      RAISE EXCEPTION 'session % cannot go from % to %', OLD.id, source, NEW.status USING ERRCODE = 'AD001';
    ELSIF NEW.started_at > at THEN
      RAISE EXCEPTION 'session % cannot have started in the future', OLD.id USING ERRCODE = 'AD004';
    ELSIF NEW.mechanic_id IS DISTINCT FROM OLD.mechanic_id AND source NOT IN ('pending', 'waiting') THEN
      RAISE EXCEPTION 'the mechanic of session % is fixed', OLD.id USING ERRCODE = 'AD004';
    ELSIF is_terminal(source)
       AND (NEW.started_at, NEW.ended_at, NEW.end_reason, NEW.absent, NEW.ended_by, NEW.together_seconds,
            NEW.min_billable_seconds, NEW.min_messages_each, NEW.late_minutes)
           IS DISTINCT FROM (OLD.started_at, OLD.ended_at, OLD.end_reason, OLD.absent, OLD.ended_by, OLD.together_seconds,
                             OLD.min_billable_seconds, OLD.min_messages_each, OLD.late_minutes) THEN
      RAISE EXCEPTION 'the outcome of session % is fixed', OLD.id USING ERRCODE = 'AD004';
    END IF;
    comes_or_goes := (NEW.customer_present, NEW.mechanic_present) <> (OLD.customer_present, OLD.mechanic_present);
    IF comes_or_goes AND (NEW.status <> source OR is_terminal(source)) THEN
      RAISE EXCEPTION 'presence in session % cannot change with its status or after its end', OLD.id USING ERRCODE = 'AD001';
    END IF;
    IF NEW.status <> source OR OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL THEN
      NEW := follow_move(OLD, NEW, at);
      comes_or_goes := NEW.mechanic_present <> OLD.mechanic_present; -- with a release, or a new mechanic
    END IF;
    IF comes_or_goes THEN
      NEW := track_presence(OLD, NEW, at);
    END IF;
  END IF;
  IF NEW.status IS DISTINCT FROM source THEN
    INSERT INTO session_events (session_id, occurred_at, from_status, to_status, actor, actor_id, data)
    VALUES (NEW.id, at, source, NEW.status, NEW.actor, NEW.actor_id,
            nullif((coalesce(NEW.change_data, '{}') - 'at') || jsonb_strip_nulls(jsonb_build_object(
              'reason', NEW.end_reason, 'absent', NEW.absent, 'endedBy', NEW.ended_by)), '{}'));
  END IF;
  NEW.actor := NULL;
  NEW.actor_id := NULL;
  NEW.change_data := NULL;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION sessions_guard() IS 'Refuses moves that do not exist, fills in the consequences of a move, writes the audit row.';
CREATE TRIGGER sessions_guard BEFORE INSERT OR UPDATE ON sessions
  FOR EACH ROW EXECUTE FUNCTION sessions_guard();

CREATE FUNCTION check_assignment_move(was session_assignments, row_now session_assignments, at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF row_now.id <> was.id OR row_now.session_id <> was.session_id OR row_now.attempt <> was.attempt THEN
    RAISE EXCEPTION 'the identity of assignment % is fixed', was.id USING ERRCODE = 'AD004';
  ELSIF row_now.status = was.status THEN
    IF row_now.mechanic_id IS DISTINCT FROM was.mechanic_id THEN
      RAISE EXCEPTION 'the mechanic of assignment % changes only with its status', was.id USING ERRCODE = 'AD004';
    ELSIF row_now.decline_reason <> coalesce(was.decline_reason, '') THEN
      RAISE EXCEPTION 'the reason of assignment % is said as it is declined, or erased', was.id USING ERRCODE = 'AD004';
    END IF;
  ELSIF NOT assignment_may_move(was.status, row_now.status) THEN
    RAISE EXCEPTION 'assignment % cannot go from % to %', was.id, was.status, row_now.status USING ERRCODE = 'AD001';
  ELSIF was.status IN ('offered', 'accepted') AND row_now.mechanic_id IS DISTINCT FROM was.mechanic_id THEN
    RAISE EXCEPTION 'assignment % belongs to another mechanic', was.id USING ERRCODE = 'AD002';
  ELSIF was.status = 'offered' AND row_now.status IN ('accepted', 'declined') AND was.offer_expires_at <= at THEN
    RAISE EXCEPTION 'the offer of assignment % has lapsed', was.id USING ERRCODE = 'AD002';
  ELSIF row_now.status = 'offered' AND NOT EXISTS (
      SELECT FROM mechanics m WHERE m.id = row_now.mechanic_id AND m.status = 'active') THEN
    RAISE EXCEPTION 'assignment % cannot be offered to a mechanic who is not active', was.id USING ERRCODE = 'AD002';
  ELSIF row_now.status = 'accepted' AND row_now.mechanic_id = ANY (was.declined_by) THEN
    RAISE EXCEPTION 'assignment % was declined by this mechanic', was.id USING ERRCODE = 'AD002';
  END IF;
END
$$;
COMMENT ON FUNCTION check_assignment_move(session_assignments, session_assignments, timestamptz) IS
  'Refuses moves that do not exist, other mechanics'' offers, lapsed offers, and a mechanic who declined before.';

CREATE FUNCTION assignments_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := clock_timestamp();
  source text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('pending_waiver', 'queued', 'offered') THEN
      RAISE EXCEPTION 'an assignment starts pending_waiver, queued or offered, not %', NEW.status USING ERRCODE = 'AD001';
    END IF;
    IF NEW.attempt = 1 THEN
      NEW.precedence := queue_precedence(NEW.session_id);
    END IF;
  ELSE
    source := OLD.status;
    PERFORM check_assignment_move(OLD, NEW, at);
  END IF;
  IF NEW.status IS DISTINCT FROM source THEN
    IF NEW.status IN ('queued', 'offered') THEN
      NEW.queued_at := coalesce(NEW.queued_at, greatest(at, NEW.available_at)); -- a scheduled customer waits from the lead time on
      IF NEW.workshop_id IS NOT NULL THEN
        -- a workshop's request becomes general once none of its mechanics can take it
        NEW.workshop_id := reachable_workshop(NEW.workshop_id, NEW.declined_by, NEW.session_id);
      END IF;
    ELSIF NEW.status = 'declined' OR is_terminal(NEW.status) THEN
      NEW.ended_at := at;
    END IF;
    INSERT INTO session_assignment_events
      (session_id, occurred_at, assignment_id, from_status, to_status, actor, actor_id)
    VALUES (NEW.session_id, at, NEW.id, source, NEW.status, coalesce(NEW.actor, 'db:' || session_user), NEW.actor_id);
  END IF;
  NEW.actor := NULL;
  NEW.actor_id := NULL;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION assignments_guard() IS 'Refuses what check_assignment_move() refuses, sets times, opens a request that nobody could take, writes the audit row.';
CREATE TRIGGER assignments_guard BEFORE INSERT OR UPDATE ON session_assignments
  FOR EACH ROW EXECUTE FUNCTION assignments_guard();

-- The consequences of a session's move elsewhere: the assignment moves with it, the mechanic becomes a participant.
CREATE FUNCTION sessions_follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  cause record;
  target text := CASE NEW.status WHEN 'waiting' THEN 'accepted' WHEN 'pending' THEN 'expired' ELSE NEW.status END;
BEGIN
  IF OLD.status = 'scheduled' AND NEW.status = 'pending' THEN
    -- A session brought forward by hand is shown at once; on time this changes nothing.
    UPDATE session_assignments SET available_at = clock_timestamp(), queued_at = least(queued_at, clock_timestamp())
     WHERE id = NEW.current_assignment_id AND available_at > clock_timestamp();
    RETURN NULL;
  END IF;
  SELECT e.actor, e.actor_id INTO STRICT cause FROM session_events e
   WHERE e.session_id = NEW.id ORDER BY e.id DESC LIMIT 1;
  UPDATE session_assignments a
     SET status = target, mechanic_id = CASE target WHEN 'accepted' THEN NEW.mechanic_id ELSE a.mechanic_id END,
         actor = cause.actor, actor_id = cause.actor_id
   WHERE a.id = NEW.current_assignment_id AND assignment_may_move(a.status, target);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'assignment % cannot follow its session to %', NEW.current_assignment_id, NEW.status
      USING ERRCODE = CASE target WHEN 'accepted' THEN 'AD002' ELSE 'AD005' END;
  END IF;
  IF NEW.status = 'waiting' THEN
    INSERT INTO session_participants (session_id, role, since, mechanic_id)
    VALUES (NEW.id, 'mechanic', NEW.accepted_at, NEW.mechanic_id);
  ELSIF NEW.status = 'pending' THEN
    UPDATE session_participants SET until = clock_timestamp()
     WHERE session_id = NEW.id AND role = 'mechanic' AND until IS NULL;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION sessions_follow() IS 'Moves the current assignment and the participants with the session, whoever moved it.';
CREATE TRIGGER sessions_follow AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.status <> NEW.status AND NEW.status <> 'live')
  EXECUTE FUNCTION sessions_follow();

-- After a decline, a lapsed offer or a release the customer keeps their place in the queue.
CREATE FUNCTION open_next_assignment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  cause record;
  refused uuid[] := NEW.declined_by;
  next_id uuid := new_id();
BEGIN
  IF NOT EXISTS (SELECT FROM sessions s WHERE s.id = NEW.session_id AND s.status IN ('pending', 'scheduled')) THEN
    RETURN NULL; -- it ended with its session
  END IF;
  SELECT e.actor, e.actor_id INTO STRICT cause FROM session_assignment_events e
   WHERE e.session_id = NEW.session_id ORDER BY e.id DESC LIMIT 1;
  IF NEW.status = 'declined' OR (OLD.status = 'accepted' AND cause.actor IN ('mechanic', 'customer')) THEN
    refused := refused || NEW.mechanic_id;
  END IF;
  INSERT INTO session_assignments
    (id, session_id, attempt, status, workshop_id, urgent, precedence, available_at, queued_at, declined_by, actor,
     actor_id)
  VALUES
    (next_id, NEW.session_id, NEW.attempt + 1,
     CASE WHEN NEW.queued_at IS NULL THEN 'pending_waiver' ELSE 'queued' END,
     NEW.workshop_id, NEW.urgent, CASE WHEN OLD.status = 'accepted' AND cause.actor = 'customer' THEN -1 ELSE NEW.precedence END,
     NEW.available_at, NEW.queued_at, refused, cause.actor, cause.actor_id);
  UPDATE sessions SET current_assignment_id = next_id WHERE id = NEW.session_id AND current_assignment_id = NEW.id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'assignment % is not the current one of its session', NEW.id USING ERRCODE = 'AD005';
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION open_next_assignment() IS 'Queues a session for the others with the old queued_at, after a decline, a lapsed offer or a release; at the head of the queue where the customer asked for another mechanic.';
CREATE TRIGGER open_next_assignment AFTER UPDATE ON session_assignments FOR EACH ROW
  WHEN (OLD.status <> NEW.status AND NEW.status IN ('declined', 'expired'))
  EXECUTE FUNCTION open_next_assignment();

-- SPEC.md#invariants 2, 3 and 5, checked on the rows that the transaction is about to commit.
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
COMMENT ON FUNCTION check_session(uuid) IS 'Raises AD005 if a session and its assignments do not agree.';

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
-- Inside a trigger the session's row changes too, and has its own check.
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
