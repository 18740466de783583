-- The first reply: a customer whose mechanic accepted and then neither wrote nor came may ask for another one.

CREATE FUNCTION first_reply_time() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('first_reply_seconds', 180)
$$;
COMMENT ON FUNCTION first_reply_time() IS 'How long a mechanic who accepted may leave a customer in the room without a word.';

-- plpgsql, so that each call has a snapshot of its own: the caller may have waited for the room's lock.
CREATE FUNCTION reply_due_at(session sessions) RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF session.status <> 'waiting' OR session.mechanic_present OR session.customer_joined_at IS NULL
     OR EXISTS (SELECT FROM rooms r WHERE r.session_id = session.id AND r.mechanic_written > 0) THEN
    RETURN NULL;
  END IF;
  RETURN greatest(session.accepted_at, session.scheduled_for, session.customer_joined_at, (
           SELECT max(p.until) FROM session_presence p
            WHERE p.session_id = session.id AND p.role = 'mechanic' AND p.mechanic_id = session.mechanic_id
              AND p.until >= session.accepted_at AND p.replaced_at IS NULL)) + first_reply_time();
END
$$;
COMMENT ON FUNCTION reply_due_at(sessions) IS
  'Until when the mechanic of a waiting session has to write or come: first_reply_time() after the accept, the scheduled time, the customer''s first join, or the last instant the mechanic was there, whichever is last. Null where nobody waits for that: another status, the mechanic is there or has written, or the customer never joined.';

CREATE FUNCTION needs_first_reply(session sessions) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT i.evidence = 'witnessed' AND coalesce(reply_due_at(session) <= clock_timestamp(), false)
    FROM intakes i WHERE i.id = session.id
$$;
COMMENT ON FUNCTION needs_first_reply(sessions) IS
  'Whether the mechanic of a session with witnesses is overdue: from then on their own word is no coming, so that it cannot keep the customer from another mechanic.';

CREATE FUNCTION replace_mechanic(of_session uuid, by_user uuid)
RETURNS TABLE (session_id uuid, session_status text, replaced boolean, due_at timestamptz, unpublished json)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  session sessions;
BEGIN
  SELECT s.* INTO session FROM sessions s JOIN customers c ON c.id = s.customer_id
   WHERE s.id = of_session AND c.user_id = by_user
     FOR NO KEY UPDATE OF s;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM FROM rooms r WHERE r.session_id = of_session FOR NO KEY UPDATE; -- after a message that is being written
  session_id := session.id;
  session_status := session.status;
  due_at := CASE WHEN session.customer_present THEN reply_due_at(session) END; -- who is not there waits for nobody
  replaced := coalesce(due_at <= clock_timestamp(), false);
  IF replaced THEN
    UPDATE sessions s SET status = 'pending', actor = 'customer', actor_id = by_user WHERE s.id = of_session
    RETURNING s.status INTO STRICT session_status;
    unpublished := unpublished_events(of_session);
  ELSIF session.status = 'pending' THEN
    -- the same request again, until another mechanic accepts
    replaced := coalesce((SELECT e.actor = 'customer' FROM session_events e
                           WHERE e.session_id = of_session AND e.from_status = 'waiting' AND e.to_status = 'pending'
                           ORDER BY e.id DESC LIMIT 1), false);
    unpublished := '[]';
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION replace_mechanic(uuid, uuid) IS
  'Queues a customer''s session again whose mechanic''s first reply is overdue, so that this mechanic does not see it any more. Returns its state, whether it was replaced now or before, and when that may be asked for; no row if the session is not this customer''s.';

CREATE TABLE late_replies (
  assignment_id  uuid PRIMARY KEY REFERENCES session_assignments (id),
  told_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE late_replies IS 'Accepted assignments whose customer was told that the first reply is overdue: once each.';
COMMENT ON COLUMN late_replies.told_at IS 'When the event was written.';
GRANT SELECT ON late_replies TO autodoctor_app;

CREATE FUNCTION tell_late_replies(batch integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  session sessions;
  told integer := 0;
BEGIN
  FOR session IN
    SELECT s.* FROM sessions s
     WHERE s.ended_at IS NULL AND s.status = 'waiting' AND s.customer_present AND reply_due_at(s) <= now()
       AND NOT EXISTS (SELECT FROM late_replies l WHERE l.assignment_id = s.current_assignment_id)
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED
  LOOP
    INSERT INTO late_replies (assignment_id) VALUES (session.current_assignment_id) ON CONFLICT DO NOTHING;
    IF FOUND THEN
      PERFORM room_note(session.id, 'reply_late');
      PERFORM emit_event('reply.late', jsonb_build_object(
                'sessionId', session.id, 'assignmentId', session.current_assignment_id,
                'customerId', session.customer_id, 'mechanicId', session.mechanic_id), session.id);
      told := told + 1;
    END IF;
  END LOOP;
  RETURN told;
END
$$;
COMMENT ON FUNCTION tell_late_replies(integer) IS
  'Tells up to batch customers who are in the room that their mechanic''s first reply is overdue, each once; returns how many.';
