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
