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
