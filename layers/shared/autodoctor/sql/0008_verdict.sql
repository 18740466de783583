-- The verdict on a session, and the moves that callers make in one trip to the database.

-- The verdict on a session, from recorded evidence alone, and the end that follows from it.
--
-- judge() decides: finish_session() and the sweep end with its verdict, and follow_end() holds every other UPDATE to it.
-- autodoctor.domain.ending is the same rule in Python, with which verify and the tests check the verdicts.

-- VOLATILE, so that its query takes a snapshot of its own: it sees rows that were committed while the caller waited
-- for the session's lock, although the caller's statement began before.
CREATE FUNCTION together(session sessions, present timestamptz,
                         OUT since timestamptz, OUT until timestamptz, OUT absent text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  e record;
  customer_here boolean := false;
  mechanic_here boolean := false;
  customer_came boolean := false;
  mechanic_came boolean := false;
BEGIN
  FOR e IN
    SELECT x.role, x.type = 'joined' AS comes, x.occurred_at AS at FROM session_events x
     WHERE x.session_id = session.id AND x.type IN ('joined', 'left')
       AND (x.role = 'customer' OR x.mechanic_id = session.mechanic_id AND x.id > coalesce(
         (SELECT max(r.id) FROM session_events r WHERE r.session_id = session.id AND r.from_status = 'waiting'
             AND r.to_status = 'pending'), 0)) -- a mechanic who released it and accepted again must join again
     ORDER BY x.id
  LOOP
    IF customer_here AND mechanic_here AND NOT e.comes THEN
      until := e.at;
    END IF;
    IF e.role = 'customer' THEN
      customer_here := e.comes;
      customer_came := customer_came OR e.comes;
    ELSE
      mechanic_here := e.comes;
      mechanic_came := mechanic_came OR e.comes;
    END IF;
    IF customer_here AND mechanic_here THEN
      since := coalesce(since, e.at);
    END IF;
  END LOOP;
  IF customer_here AND mechanic_here THEN
    until := present;
  END IF;
  absent := CASE WHEN customer_came = mechanic_came THEN 'both' WHEN customer_came THEN 'mechanic' ELSE 'customer' END;
END
$$;
COMMENT ON FUNCTION together(sessions, timestamptz) IS
  'From the evidence: the first and the last instant at which both were present (the last is the given present while they still are), and the party that never joined (both, if each joined but they never met).';

CREATE FUNCTION judge(session sessions, present timestamptz,
                      OUT status text, OUT reason text, OUT started_at timestamptz, OUT ended_at timestamptz, OUT absent text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  met record;
BEGIN
  status := 'cancelled';
  ended_at := present;
  IF session.mechanic_id IS NULL THEN
    reason := 'withdrawn';
    RETURN;
  END IF;
  met := together(session, present);
  started_at := coalesce(session.started_at, met.since);
  IF started_at IS NULL THEN
    reason := 'no_show';
    absent := met.absent;
    RETURN;
  END IF;
  SELECT least(greatest(met.until, started_at), started_at + make_interval(mins => i.max_minutes)) INTO STRICT ended_at
    FROM intakes i WHERE i.id = session.id;
  reason := 'too_short';
  IF ended_at - started_at >= make_interval(secs => min_billable_seconds()) THEN
    status := 'completed';
    reason := 'billable';
  END IF;
END
$$;
COMMENT ON FUNCTION judge(sessions, timestamptz) IS
  'The outcome of a session that is ended at the given present: withdrawn if nobody has accepted; a no-show if it never started; otherwise completed if it lasted long enough, from the recorded or derived start to the last instant both were present, but no longer than its plan allows. The caller has locked the session''s row.';

-- This completes a hand-typed UPDATE, or one of the table's constraints refuses it.
CREATE FUNCTION follow_end(was sessions, INOUT row_now sessions, at timestamptz) LANGUAGE plpgsql AS $$
DECLARE
  verdict record;
BEGIN
  row_now.started_at := was.started_at;
  row_now.min_billable_seconds := min_billable_seconds();
  IF row_now.status = 'expired' THEN
    row_now.ended_at := least(row_now.ended_at, at);
    row_now.end_reason := coalesce(row_now.end_reason, 'expired');
    RETURN;
  END IF;
  -- if this transaction judged it a moment ago, that instant counts
  verdict := judge(was, CASE WHEN row_now.ended_at BETWEEN transaction_timestamp() AND at THEN row_now.ended_at ELSE at END);
  IF verdict.started_at IS DISTINCT FROM was.started_at THEN
    RAISE EXCEPTION 'by its evidence session % has started, but it was never live', was.id USING ERRCODE = 'AD001';
  END IF;
  row_now.ended_at := CASE WHEN was.started_at IS NULL THEN least(row_now.ended_at, verdict.ended_at) ELSE verdict.ended_at END;
  row_now.end_reason := coalesce(row_now.end_reason, verdict.reason);
  row_now.absent := coalesce(row_now.absent, verdict.absent);
END
$$;
COMMENT ON FUNCTION follow_end(sessions, sessions, timestamptz) IS
  'The row of a session that ends, with the times, the reason and the absent party that follow from the verdict.';

CREATE FUNCTION conclude_session(session sessions, by_actor text, by_id uuid) RETURNS sessions
LANGUAGE plpgsql AS $$
DECLARE
  present timestamptz := clock_timestamp();
  verdict record := judge(session, present);
  concluded sessions;
BEGIN
  IF verdict.started_at IS NOT NULL AND session.status = 'waiting' THEN -- imported evidence
    UPDATE sessions SET status = 'live', actor = by_actor, actor_id = by_id, change_data = '{"derived": true}'
     WHERE id = session.id;
  END IF;
  UPDATE sessions
     SET status = verdict.status, ended_at = present, actor = by_actor, actor_id = by_id
   WHERE id = session.id
  RETURNING * INTO STRICT concluded;
  RETURN concluded;
END
$$;
COMMENT ON FUNCTION conclude_session(sessions, text, uuid) IS
  'Ends an active session with the verdict; returns its row afterwards. The caller has locked the row.';

CREATE FUNCTION finish_session(of_session uuid, by_user uuid, any_session boolean, by_actor text, notes text)
RETURNS TABLE (session_id uuid, status text, reason text, started_at timestamptz, ended_at timestamptz,
               already_ended boolean, unpublished json)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  as_customer uuid := (SELECT id FROM customers WHERE user_id = by_user);
  as_mechanic uuid := (SELECT id FROM mechanics WHERE user_id = by_user);
BEGIN
  SELECT * INTO session FROM sessions s
   WHERE s.id = of_session AND (any_session OR s.customer_id = as_customer OR s.mechanic_id = as_mechanic)
     FOR NO KEY UPDATE NOWAIT; -- nothing waits here while holding a connection
  IF NOT FOUND THEN
    RETURN;
  END IF;
  already_ended := session.ended_at IS NOT NULL;
  IF notes <> '' AND session.mechanic_id = as_mechanic
     -- whoever ended it first: words that were saved since are newer
     AND NOT (already_ended AND EXISTS (SELECT FROM session_notes n WHERE n.session_id = of_session
                                           AND n.mechanic_id = as_mechanic AND n.text <> '')) THEN
    PERFORM save_notes(of_session, by_user, notes, NULL, false);
  END IF;
  IF NOT already_ended THEN
    session := conclude_session(session,
      CASE WHEN by_user IS NULL THEN by_actor WHEN session.customer_id = as_customer THEN 'customer'
           WHEN session.mechanic_id = as_mechanic THEN 'mechanic' ELSE 'admin' END, by_user);
    unpublished := unpublished_events(of_session);
  END IF;
  RETURN QUERY SELECT session.id, session.status, session.end_reason, session.started_at, session.ended_at,
                      already_ended, unpublished;
END
$$;
COMMENT ON FUNCTION finish_session(uuid, uuid, boolean, text, text) IS
  'Ends a session with the verdict, for one of its parties or for a user who may end any session. Returns its outcome with its unpublished events; the same outcome with already_ended if it is over; no row if it is not this user''s. Raises 55P03 if another transaction has locked it.';

-- The moves that callers make in one trip to the database, with their events.

CREATE FUNCTION accept_assignment(by_user uuid, of_assignment uuid)
RETURNS TABLE (assignment_id uuid, session_id uuid, session_status text, unpublished json)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
BEGIN
  -- The session's row is the lock; its trigger moves the assignment too, checking it again with a fresh snapshot.
  UPDATE sessions s
     SET status = 'waiting', mechanic_id = m.id, actor = 'mechanic', actor_id = by_user
    FROM mechanics m, session_assignments a
   WHERE m.user_id = by_user AND m.status = 'active'
     AND a.id = of_assignment AND s.id = a.session_id AND s.current_assignment_id = a.id AND s.status = 'pending'
     AND visible_now(a, m.id, m.workshop_id)
     AND NOT EXISTS (SELECT FROM paused_mechanics p WHERE p.mechanic_id = m.id)
  RETURNING a.id, s.id, s.status INTO assignment_id, session_id, session_status;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  unpublished := unpublished_events(session_id);
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION accept_assignment(uuid, uuid) IS
  'Gives the session of an assignment to the mechanic of this user, and returns its unpublished events; no row if the mechanic does not see it, or it is no longer available.';

-- Joining and ending return the events too: one trip to the database less, and cached plans.
CREATE FUNCTION record_join(of_session uuid, by_user uuid, by_connection text)
RETURNS TABLE (session_id uuid, session_status text, started_at timestamptz, bound boolean, unpublished json)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  role text;
  before text;
BEGIN
  IF by_connection IS NOT NULL THEN
    RETURN QUERY SELECT e.session_id, e.session_status, e.started_at, e.bound, e.unpublished
                   FROM sessions s, enter_room(s.id, by_user, by_connection) AS e
                  WHERE s.id = of_session AND s.status IN ('pending', 'waiting', 'live')
                    AND e.session_status IN ('pending', 'waiting', 'live');
    RETURN;
  END IF;
  SELECT * INTO session FROM sessions s
   WHERE s.id = of_session AND s.status IN ('pending', 'waiting', 'live') AND may_come(s, by_user)
     FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  role := role_of(session, by_user);
  before := session.status;
  IF NOT is_witnessed(session, role, by_user) THEN -- a claim replaces no witness
    PERFORM open_presence(session.id, role, CASE role WHEN 'mechanic' THEN session.mechanic_id END, 'claim', NULL,
                          clock_timestamp());
    session := set_presence(session, role, by_user, true);
  END IF;
  session_id := session.id;
  session_status := session.status;
  started_at := session.started_at;
  bound := false;
  unpublished := CASE WHEN session.status = before THEN '[]' ELSE unpublished_events(of_session) END;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION record_join(uuid, uuid, text) IS
  'Records that a party of an open session is there: by a connection of theirs, as enter_room() does, or by their own word, which counts nothing where a witness says it already. Returns the session with its unpublished events; no row if the user is no party who may come, or the session is not open.';

CREATE FUNCTION record_leave(of_session uuid, by_user uuid, by_connection text)
RETURNS TABLE (session_id uuid, session_status text, started_at timestamptz)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  role text;
BEGIN
  SELECT * INTO session FROM sessions s
   WHERE s.id = of_session AND role_of(s, by_user) IS NOT NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  role := role_of(session, by_user);
  IF session.ended_at IS NULL THEN
    PERFORM leave_room(c.connection_id) FROM realtime_connections c
      WHERE c.user_id = by_user AND c.room = of_session AND (by_connection IS NULL OR c.connection_id = by_connection);
    IF by_connection IS NULL THEN
      -- what the medium saw of a customer is not theirs to take back
      PERFORM close_presence(of_session, role, CASE role WHEN 'customer' THEN '{claim}'::text[]
                                                    ELSE '{claim,medium,mutual}' END, NULL, clock_timestamp());
      SELECT * INTO STRICT session FROM sessions s WHERE s.id = of_session;
      session := set_presence(session, role, by_user, false);
    END IF;
  END IF;
  RETURN QUERY SELECT session.id, session.status, session.started_at;
END
$$;
COMMENT ON FUNCTION record_leave(uuid, uuid, text) IS
  'Takes back the presence that a connection of the party stands for, or all of it. Returns the session; no row if the user is no party. After the end it changes nothing.';
