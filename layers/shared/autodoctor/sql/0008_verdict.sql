-- The verdict on a session and the moves that callers make in one trip to the database.

-- The verdict on a session, from recorded evidence alone, and the end that follows from it.
--
-- judge() decides: finish_session() and the sweep end with what it says, and follow_end() holds every other UPDATE to it.
-- autodoctor.domain.ending says the same in Python, by which verify and the tests check what was decided here.

-- VOLATILE, so that its query takes a snapshot of its own: rows committed while the caller waited for the session's
-- lock are seen, although the caller's statement began before.
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
             AND r.to_status = 'pending'), 0)) -- who gave it back and took it again has to come again
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
  'By the evidence: the first and the last instant at which both were present, the last being the given present while they still are; and who never joined (both, where each came and neither met the other).';

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
  'What a session ends as that is ended at the given present: withdrawn while nobody has accepted; a no-show where it never started; else completed where it lasted long enough, from the recorded or derived start to the last instant both were present, but no longer than its plan allows. The caller holds the session''s row.';

-- A hand-typed UPDATE is right by this, or one of the table's constraints refuses it.
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
  -- who judged it an instant ago, in this transaction, says at which present
  verdict := judge(was, CASE WHEN row_now.ended_at BETWEEN transaction_timestamp() AND at THEN row_now.ended_at ELSE at END);
  IF verdict.started_at IS DISTINCT FROM was.started_at THEN
    RAISE EXCEPTION 'session % has started, by its evidence, and was never live', was.id USING ERRCODE = 'AD001';
  END IF;
  row_now.ended_at := CASE WHEN was.started_at IS NULL THEN least(row_now.ended_at, verdict.ended_at) ELSE verdict.ended_at END;
  row_now.end_reason := coalesce(row_now.end_reason, verdict.reason);
  row_now.absent := coalesce(row_now.absent, verdict.absent);
END
$$;
COMMENT ON FUNCTION follow_end(sessions, sessions, timestamptz) IS
  'The row of a session that ends, with the times, the reason and the absent party that follow from the verdict.';

CREATE FUNCTION conclude_session(session sessions, by_actor text, by_id uuid, notes text) RETURNS sessions
LANGUAGE plpgsql AS $$
DECLARE
  present timestamptz := clock_timestamp();
  verdict record := judge(session, present);
  concluded sessions;
BEGIN
  IF verdict.started_at IS NOT NULL AND session.status = 'waiting' THEN -- evidence that moved in from elsewhere
    UPDATE sessions SET status = 'live', actor = by_actor, actor_id = by_id, change_data = '{"derived": true}'
     WHERE id = session.id;
  END IF;
  UPDATE sessions
     SET status = verdict.status, ended_at = present, mechanic_notes = coalesce(notes, mechanic_notes),
         actor = by_actor, actor_id = by_id
   WHERE id = session.id
  RETURNING * INTO STRICT concluded;
  RETURN concluded;
END
$$;
COMMENT ON FUNCTION conclude_session(sessions, text, uuid, text) IS
  'Ends an active session, whose row the caller holds, with the verdict; returns the row as it is then.';

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
  IF session.mechanic_id IS DISTINCT FROM as_mechanic OR as_mechanic IS NULL THEN
    notes := NULL;
  END IF;
  already_ended := session.ended_at IS NOT NULL;
  IF NOT already_ended THEN
    session := conclude_session(session,
      CASE WHEN by_user IS NULL THEN by_actor WHEN session.customer_id = as_customer THEN 'customer'
           WHEN session.mechanic_id = as_mechanic THEN 'mechanic' ELSE 'admin' END, by_user, notes);
    unpublished := unpublished_events(of_session);
  ELSIF notes <> '' THEN -- the customer was quicker; notes already kept stay
    UPDATE sessions SET mechanic_notes = notes WHERE id = of_session AND mechanic_notes IS NULL;
  END IF;
  RETURN QUERY SELECT session.id, session.status, session.end_reason, session.started_at, session.ended_at,
                      already_ended, unpublished;
END
$$;
COMMENT ON FUNCTION finish_session(uuid, uuid, boolean, text, text) IS
  'Ends a session with the verdict for a party, or for whoever may end any session, and returns its outcome with its events that the bus does not have; the same outcome, already_ended, where it is over; no row where it is not this user''s. Raises 55P03 where another holds it.';

-- The moves that callers make in one trip to the database, with the events that came of them.

CREATE FUNCTION accept_assignment(by_user uuid, of_assignment uuid)
RETURNS TABLE (assignment_id uuid, session_id uuid, session_status text, unpublished json)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
BEGIN
  -- The session's row is the lock; its trigger takes the assignment along, judging it again with a fresh snapshot.
  UPDATE sessions s
     SET status = 'waiting', mechanic_id = m.id, actor = 'mechanic', actor_id = by_user
    FROM mechanics m, session_assignments a
   WHERE m.user_id = by_user AND m.status = 'active'
     AND a.id = of_assignment AND s.id = a.session_id AND s.current_assignment_id = a.id AND s.status = 'pending'
     AND visible_now(a, m.id, m.workshop_id)
  RETURNING a.id, s.id, s.status INTO assignment_id, session_id, session_status;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  unpublished := unpublished_events(session_id);
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION accept_assignment(uuid, uuid) IS
  'Gives the session of an assignment to the mechanic of this user, with its events that the bus does not have; no row where they do not see it, or it is no longer to be had.';

-- What starts and ends a talk brings its events along: one trip to the database less, and plans that are kept.
CREATE FUNCTION record_join(of_session uuid, by_user uuid, by_connection text, details jsonb)
RETURNS TABLE (session_id uuid, session_status text, started_at timestamptz, unpublished json)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
BEGIN
  -- One row holds the presence of both, so that of two joins at once the second sees the first.
  UPDATE sessions s
     SET customer_present = s.customer_present OR s.customer_id IS NOT DISTINCT FROM party.customer_id,
         mechanic_present = s.mechanic_present OR s.mechanic_id = party.mechanic_id IS TRUE,
         actor = CASE WHEN s.customer_id = party.customer_id THEN 'customer' ELSE 'mechanic' END, actor_id = by_user,
         change_data = details
    FROM (SELECT (SELECT id FROM customers WHERE user_id = by_user) AS customer_id,
                 (SELECT id FROM mechanics WHERE user_id = by_user) AS mechanic_id) AS party
   WHERE s.id = of_session AND s.status IN ('pending', 'waiting', 'live')
     AND (s.customer_id = party.customer_id OR s.mechanic_id = party.mechanic_id)
  RETURNING s.id, s.status, s.started_at INTO session_id, session_status, started_at;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  UPDATE realtime_connections c SET joined = of_session WHERE c.connection_id = by_connection AND c.user_id = by_user;
  unpublished := '[]';
  IF session_status = 'live' THEN  -- else the join moved nothing
    unpublished := unpublished_events(of_session);
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION record_join(uuid, uuid, text, jsonb) IS
  'Records that a party of a session is present, by which connection if by one; no row where they are none, or the session is not open. The session is live as soon as both are, and its events that the bus does not have come along.';
