-- The outbox: one row per transition, written in its transaction, deleted once the bus has it.
--
-- The facts are in the audit rows, which never change; an outbox row only says "not yet published". So the row is
-- small, the hot table stays as short as the backlog, and a duplicate is built from the same facts.

CREATE TABLE outbox (
  subject_id  uuid NOT NULL,
  id          bigint NOT NULL DEFAULT nextval('event_sequence'),
  type        text,
  payload     jsonb,
  attempts    smallint,
  error       text,
  PRIMARY KEY (subject_id, id),
  CONSTRAINT outbox_type_with_payload CHECK ((type IS NULL) = (payload IS NULL))
);
-- Rows live for milliseconds: a vacuum after this many keeps the table as small as the backlog.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
                        autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0,
                        autovacuum_analyze_threshold = 20000);
COMMENT ON TABLE outbox IS 'Unpublished events. The content of a transition is in its audit row.';
COMMENT ON COLUMN outbox.subject_id IS 'The subject of the event, usually a session; order is kept within it.';
COMMENT ON COLUMN outbox.id IS 'The sequence of events; for a transition, the id of its audit row.';
COMMENT ON COLUMN outbox.type IS 'The bus''s detail-type; null for a transition.';
COMMENT ON COLUMN outbox.payload IS 'The facts; null for a transition.';
COMMENT ON COLUMN outbox.attempts IS 'How often the bus refused this entry while it took others; null: never.';
COMMENT ON COLUMN outbox.error IS 'The bus''s error code of the last refusal.';
GRANT SELECT, UPDATE (attempts, error) ON outbox TO autodoctor_app; -- with DELETE it could lock the table

CREATE TABLE outbox_poison (
  subject_id    uuid NOT NULL,
  id            bigint NOT NULL,
  type          text,
  payload       jsonb,
  error         text NOT NULL,
  set_aside_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (subject_id, id)
);
COMMENT ON TABLE outbox_poison IS 'Events set aside because the bus refuses them, or they cannot be built; requeue_poison() tries them again.';
COMMENT ON COLUMN outbox_poison.subject_id IS 'As in outbox.';
COMMENT ON COLUMN outbox_poison.id IS 'As in outbox.';
COMMENT ON COLUMN outbox_poison.type IS 'As in outbox.';
COMMENT ON COLUMN outbox_poison.payload IS 'As in outbox.';
COMMENT ON COLUMN outbox_poison.error IS 'The reason for setting it aside.';
COMMENT ON COLUMN outbox_poison.set_aside_at IS 'When it was set aside.';
GRANT SELECT ON outbox_poison TO autodoctor_app;

CREATE FUNCTION requeue_poison() RETURNS integer LANGUAGE sql AS $$
  WITH again AS (DELETE FROM outbox_poison RETURNING subject_id, id, type, payload),
       queued AS (INSERT INTO outbox (subject_id, id, type, payload) SELECT * FROM again RETURNING 1)
  SELECT count(*)::integer FROM queued
$$;
COMMENT ON FUNCTION requeue_poison() IS 'Puts every event that was set aside back into the outbox, once the cause is fixed; returns how many.';
REVOKE EXECUTE ON FUNCTION requeue_poison() FROM PUBLIC;

CREATE FUNCTION transition_to_outbox() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (subject_id, id) VALUES (NEW.session_id, NEW.id);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION transition_to_outbox() IS 'Puts an event into the outbox for every audit row of a transition.';
CREATE TRIGGER session_events_to_outbox AFTER INSERT ON session_events
  FOR EACH ROW EXECUTE FUNCTION transition_to_outbox();
CREATE TRIGGER session_assignment_events_to_outbox AFTER INSERT ON session_assignment_events
  FOR EACH ROW EXECUTE FUNCTION transition_to_outbox();

-- The status stays, but more mechanics see it now.
CREATE FUNCTION assignment_opened() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO session_assignment_events (session_id, assignment_id, from_status, to_status, actor)
  VALUES (NEW.session_id, NEW.id, NEW.status, NEW.status, 'system:workshop-unavailable');
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION assignment_opened() IS 'Audits that a workshop''s queued request became general.';
CREATE TRIGGER assignment_opened AFTER UPDATE OF workshop_id ON session_assignments FOR EACH ROW
  WHEN (OLD.status = 'queued' AND NEW.status = 'queued' AND OLD.workshop_id IS NOT NULL AND NEW.workshop_id IS NULL)
  EXECUTE FUNCTION assignment_opened();

CREATE FUNCTION emit_event(event_type text, facts jsonb, subject uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO outbox (subject_id, type, payload)
  VALUES (subject, event_type, facts || jsonb_build_object('occurredAt', clock_timestamp()))
$$;
COMMENT ON FUNCTION emit_event(text, jsonb, uuid) IS
  'Puts an event into the outbox that is not a transition: its detail-type, its facts, and its subject, within which order is kept.';
REVOKE EXECUTE ON FUNCTION emit_event(text, jsonb, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION emit_event(text, jsonb, uuid) TO autodoctor_app;

-- One branch for each kind of audit row: a join with both would always search one in vain.
CREATE VIEW outbox_events AS
  SELECT o.subject_id, o.id, o.type, o.payload, o.attempts,
         coalesce(t.occurred_at, (o.payload ->> 'occurredAt')::timestamptz) AS occurred_at,
         t.actor, t.data, t.from_status AS previous_status, t.to_status AS status,
         t.assignment_id, t.workshop_id, t.urgent, s.customer_id,
         -- the mechanic at that moment, not now: an accept is audited right after the session's move
         CASE WHEN t.assignment_id IS NOT NULL THEN
                CASE WHEN t.to_status NOT IN ('pending_waiver', 'queued') THEN t.mechanic_id END
              WHEN t.to_status = 'waiting' OR t.from_status IN ('waiting', 'live') THEN (
                SELECT a.mechanic_id FROM session_assignment_events y JOIN session_assignments a ON a.id = y.assignment_id
                 WHERE y.session_id = o.subject_id AND y.to_status = 'accepted'
                   AND CASE t.to_status WHEN 'waiting' THEN y.id > o.id ELSE y.id < o.id END
                 ORDER BY abs(y.id - o.id) LIMIT 1) END AS mechanic_id,
         (SELECT count(*) FROM session_events y
           WHERE y.session_id = o.subject_id AND y.id <= o.id)
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
COMMENT ON VIEW outbox_events IS 'Unpublished events with all their facts; the same however late they are read.';
GRANT SELECT ON outbox_events TO autodoctor_app;

-- Functions, because their plans are kept: the statements of RDS Proxy's connections cannot be prepared.
CREATE FUNCTION pending_events(subject uuid) RETURNS SETOF outbox_events LANGUAGE plpgsql STABLE ROWS 10 AS $$
BEGIN
  RETURN QUERY SELECT v.* FROM outbox_events v WHERE v.subject_id = subject ORDER BY v.id LIMIT 10;
END
$$;
COMMENT ON FUNCTION pending_events(uuid) IS 'The oldest unpublished events of a subject: as many as the bus takes at once.';

-- VOLATILE, so that it sees what the statement that calls it has written by then: an intake is one.
CREATE FUNCTION unpublished_events(subject uuid) RETURNS json LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (SELECT coalesce(json_agg(v), '[]')
            FROM (SELECT o.* FROM outbox_events o WHERE o.subject_id = subject ORDER BY o.id LIMIT 10) AS v);
END
$$;
COMMENT ON FUNCTION unpublished_events(uuid) IS 'The result of pending_events() as JSON, with what the calling statement has written so far.';

CREATE FUNCTION claim_events(after uuid, subjects integer, grace interval, each integer DEFAULT 50) RETURNS SETOF outbox_events
LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY
    WITH head AS MATERIALIZED (
      -- A lock on the oldest event of a subject locks them all, so two relays never share a subject.
      SELECT o.subject_id FROM outbox o
       WHERE o.subject_id > after
         AND NOT EXISTS (SELECT FROM outbox p WHERE p.subject_id = o.subject_id AND p.id < o.id)
         AND (SELECT v.occurred_at FROM outbox_events v WHERE v.subject_id = o.subject_id AND v.id = o.id)
             <= clock_timestamp() - grace
       ORDER BY o.subject_id LIMIT subjects
         FOR UPDATE OF o SKIP LOCKED)
    SELECT v.* FROM head CROSS JOIN LATERAL (
             SELECT e.* FROM outbox_events e WHERE e.subject_id = head.subject_id ORDER BY e.id LIMIT each) AS v
     ORDER BY v.subject_id, v.id;
END
$$;
COMMENT ON FUNCTION claim_events(uuid, integer, interval, integer) IS
  'Locks up to the given number of subjects after the given one whose oldest event is older than the grace, and returns the first events of each, up to the given number, in order. The lock lasts as long as the transaction.';

-- If a crash of the server loses a mark, its event is published once more, so the commit does not wait for the disk.
CREATE FUNCTION mark_published(subjects uuid[], ids bigint[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '200ms' AS $$
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
COMMENT ON FUNCTION mark_published(uuid[], bigint[]) IS 'Removes published events; returns how many. Raises 55P03 if another transaction has locked them.';

CREATE FUNCTION mark_published_of(subject uuid, ids bigint[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '200ms' AS $$
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
  'mark_published() for one subject, which is all that one call publishes. Raises 55P03 if another transaction has locked them.';

CREATE FUNCTION set_event_aside(subject uuid, of_event bigint, why text) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH poison AS (DELETE FROM outbox WHERE subject_id = subject AND id = of_event RETURNING subject_id, id, type, payload)
  INSERT INTO outbox_poison (subject_id, id, type, payload, error) SELECT subject_id, id, type, payload, why FROM poison
  RETURNING id
$$;
COMMENT ON FUNCTION set_event_aside(uuid, bigint, text) IS 'Moves an event that the bus refuses, or that cannot be built, to outbox_poison; returns its id, no row if it is not there.';

CREATE FUNCTION republish_events(since timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  queued integer;
BEGIN
  INSERT INTO outbox (subject_id, id)
  SELECT session_id, id FROM session_events WHERE occurred_at >= since
  UNION ALL
  SELECT session_id, id FROM session_assignment_events WHERE occurred_at >= since
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS queued = ROW_COUNT;
  PERFORM renew_feed();
  RETURN queued;
END
$$;
COMMENT ON FUNCTION republish_events(timestamptz) IS
  'Puts every transition since then back into the outbox, as the same events, after the bus lost its contents; returns how many. Consumers are idempotent; pushes older than an hour are made again.';
REVOKE EXECUTE ON FUNCTION republish_events(timestamptz) FROM PUBLIC;
