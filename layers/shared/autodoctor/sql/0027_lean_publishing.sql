-- What publishing costs a call: the same events from a third less work, and marks that no call waits for.

-- One branch for each kind of audit row instead of a join with both, of which one never finds anything.
CREATE OR REPLACE VIEW outbox_events AS
  SELECT o.subject_id, o.id, o.type, o.payload, o.attempts,
         coalesce(t.occurred_at, (o.payload ->> 'occurredAt')::timestamptz) AS occurred_at,
         t.actor, t.data, t.from_status AS previous_status, t.to_status AS status,
         t.assignment_id, t.workshop_id, t.urgent, s.customer_id,
         -- at that moment, whatever happened since: who accepts is audited right after the session's move
         CASE WHEN t.assignment_id IS NOT NULL THEN
                CASE WHEN t.to_status NOT IN ('pending_waiver', 'queued') THEN t.mechanic_id END
              WHEN t.to_status = 'waiting' OR t.from_status IN ('waiting', 'live') THEN (
                SELECT a.mechanic_id FROM session_assignment_events y JOIN session_assignments a ON a.id = y.assignment_id
                 WHERE y.session_id = o.subject_id AND y.to_status = 'accepted'
                   AND CASE t.to_status WHEN 'waiting' THEN y.id > o.id ELSE y.id < o.id END
                 ORDER BY abs(y.id - o.id) LIMIT 1) END AS mechanic_id,
         (SELECT count(*) FROM session_events y
           WHERE y.session_id = o.subject_id AND y.id <= o.id AND y.type = 'transition')
         + (SELECT count(*) FROM session_assignment_events y
             WHERE y.session_id = o.subject_id AND y.id <= o.id) AS session_seq
    FROM outbox o
    LEFT JOIN LATERAL (
      SELECT e.occurred_at, e.actor, e.data, e.from_status, e.to_status,
             NULL::uuid AS assignment_id, NULL::uuid AS workshop_id, NULL::boolean AS urgent, NULL::uuid AS mechanic_id
        FROM session_events e WHERE e.session_id = o.subject_id AND e.id = o.id
      UNION ALL
      SELECT x.occurred_at, x.actor, x.data, x.from_status, x.to_status,
             x.assignment_id, a.workshop_id, a.urgent, a.mechanic_id
        FROM session_assignment_events x JOIN session_assignments a ON a.id = x.assignment_id
       WHERE x.session_id = o.subject_id AND x.id = o.id) AS t ON true
    LEFT JOIN sessions s ON s.id = o.subject_id;

-- A mark that a crash of the server loses only has its event published once more, so nobody waits until it is on disk.
CREATE OR REPLACE FUNCTION mark_published(subjects uuid[], ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
DECLARE
  marked integer;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  DELETE FROM outbox o USING unnest(subjects, ids) AS d (subject_id, id)
   WHERE o.subject_id = d.subject_id AND o.id = d.id;
  GET DIAGNOSTICS marked = ROW_COUNT;
  RETURN marked;
END
$$;

CREATE FUNCTION mark_published_of(subject uuid, ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
DECLARE
  marked integer;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  DELETE FROM outbox o WHERE o.subject_id = subject AND o.id = ANY (ids);
  GET DIAGNOSTICS marked = ROW_COUNT;
  RETURN marked;
END
$$;
COMMENT ON FUNCTION mark_published_of(uuid, bigint[]) IS
  'mark_published() of one subject, which is what a call publishes. Raises 55P03 where another holds them.';

CREATE FUNCTION unpublished_events(subject uuid) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(json_agg(v), '[]')
            FROM (SELECT o.* FROM outbox_events o WHERE o.subject_id = subject ORDER BY o.id LIMIT 10) AS v);
END
$$;
COMMENT ON FUNCTION unpublished_events(uuid) IS 'What pending_events() returns, as JSON.';

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

-- The one predicate of the queue, the feed and accept; PostgreSQL puts its text in the place of the call, so indexes
-- serve it as before.
CREATE FUNCTION assignment_visible(status text, available_at timestamptz, workshop uuid, declined_by uuid[],
                                   offered_to uuid, offer_expires_at timestamptz,
                                   to_mechanic uuid, of_workshop uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT available_at <= now()
         AND CASE status
               WHEN 'queued' THEN (workshop IS NULL OR workshop = of_workshop)
                                  AND to_mechanic = ANY (declined_by) IS NOT TRUE
               WHEN 'offered' THEN offered_to = to_mechanic AND offer_expires_at > now()
               ELSE false END
$$;
COMMENT ON FUNCTION assignment_visible(text, timestamptz, uuid, uuid[], uuid, timestamptz, uuid, uuid) IS
  'Whether an assignment with these columns is shown to this mechanic of this workshop.';

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
     AND assignment_visible(a.status, a.available_at, a.workshop_id, a.declined_by, a.mechanic_id, a.offer_expires_at,
                            m.id, m.workshop_id)
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
