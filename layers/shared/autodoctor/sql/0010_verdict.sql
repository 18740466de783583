-- The verdict on a session, from recorded evidence alone.

-- VOLATILE, so that its query takes a snapshot of its own: rows committed while the caller waited for the
-- session's lock are seen, although the caller's statement began before.
CREATE FUNCTION session_evidence(wanted uuid) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
BEGIN
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

CREATE FUNCTION together(wanted uuid, present timestamptz, OUT since timestamptz, OUT until timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  e record;
  customer_here boolean := false;
  mechanic_here boolean := false;
BEGIN
  FOR e IN SELECT x ->> 0 AS role, x ->> 1 AS type, (x ->> 2)::timestamptz AS at
             FROM jsonb_array_elements(session_evidence(wanted)) WITH ORDINALITY AS t (x, n) ORDER BY n
  LOOP
    IF customer_here AND mechanic_here AND e.type = 'left' THEN
      until := e.at;
    END IF;
    customer_here := CASE e.role WHEN 'customer' THEN e.type = 'joined' ELSE customer_here END;
    mechanic_here := CASE e.role WHEN 'mechanic' THEN e.type = 'joined' ELSE mechanic_here END;
    IF customer_here AND mechanic_here THEN
      since := coalesce(since, e.at);
    END IF;
  END LOOP;
  IF customer_here AND mechanic_here THEN
    until := present;
  END IF;
END
$$;
COMMENT ON FUNCTION together(uuid, timestamptz) IS
  'The first and the last instant at which both were present, by the evidence; the last is the given present while they still are. autodoctor.domain.ending says the same.';

CREATE FUNCTION latest_end(wanted uuid, started_at timestamptz, present timestamptz) RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$
  SELECT least(coalesce(greatest((together(wanted, present)).until, started_at), started_at),
               started_at + make_interval(mins => i.max_minutes))
    FROM intakes i WHERE i.id = wanted
$$;
COMMENT ON FUNCTION latest_end(uuid, timestamptz, timestamptz) IS
  'When a started session ended: the last instant both were present, but not past the plan''s longest duration.';

CREATE FUNCTION finish_session(of_session uuid, was text, becomes text, why text, at timestamptz, who_was_absent text,
                               notes text, by_actor text, by_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE sessions
     SET status = becomes, end_reason = why, ended_at = at, absent = who_was_absent, mechanic_notes = notes,
         actor = by_actor, actor_id = by_id
   WHERE id = of_session AND status = was;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  RETURN unpublished_events(of_session);
END
$$;
COMMENT ON FUNCTION finish_session(uuid, text, text, text, timestamptz, text, text, text, uuid) IS
  'Ends a session that is in the given state, with a verdict, and returns its events that the bus does not have; null where it is not in that state.';
