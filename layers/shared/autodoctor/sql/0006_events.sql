-- The outbox: one row per transition, written in its transaction, deleted once the bus has it.
--
-- What happened stands in the audit rows, which are never changed; an outbox row only says "not yet published".
-- So it is small, the hot table stays as short as the backlog, and a duplicate is built from the same facts.

-- One order for both audit tables, so that a session's transitions can be told apart by it: the session's row is
-- locked while a number is drawn, so within a session the order of numbers is the order of commits.
CREATE SEQUENCE event_sequence;
SELECT setval('event_sequence', greatest(
  (SELECT coalesce(max(id), 0) FROM session_events), (SELECT coalesce(max(id), 0) FROM session_assignment_events)) + 1);
ALTER TABLE session_events ALTER COLUMN id DROP IDENTITY, ALTER COLUMN id SET DEFAULT nextval('event_sequence');
ALTER TABLE session_assignment_events ALTER COLUMN id DROP IDENTITY, ALTER COLUMN id SET DEFAULT nextval('event_sequence');

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
-- Rows live for milliseconds: a vacuum after so many keeps the table as small as the backlog.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
                        autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0,
                        autovacuum_analyze_threshold = 20000);
COMMENT ON TABLE outbox IS 'Events that the bus does not have yet. A row of a transition has no content of its own: that is its audit row''s.';
COMMENT ON COLUMN outbox.subject_id IS 'What the event is about, usually a session; order is kept within it.';
COMMENT ON COLUMN outbox.id IS 'The sequence of events; of a transition the id of its audit row.';
COMMENT ON COLUMN outbox.type IS 'The bus''s detail-type, where the event is no transition.';
COMMENT ON COLUMN outbox.payload IS 'The facts, where the event is no transition.';
COMMENT ON COLUMN outbox.attempts IS 'How often the bus refused this entry while it took others; null: never.';
COMMENT ON COLUMN outbox.error IS 'Why, the last time: the bus''s error code.';

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
COMMENT ON COLUMN outbox_poison.error IS 'Why it was set aside.';
COMMENT ON COLUMN outbox_poison.set_aside_at IS 'When.';

CREATE FUNCTION requeue_poison() RETURNS integer LANGUAGE sql AS $$
  WITH again AS (DELETE FROM outbox_poison RETURNING subject_id, id, type, payload),
       queued AS (INSERT INTO outbox (subject_id, id, type, payload) SELECT * FROM again RETURNING 1)
  SELECT count(*)::integer FROM queued
$$;
COMMENT ON FUNCTION requeue_poison() IS 'Puts every event that was set aside back into the outbox, after its cause was mended; returns how many.';

CREATE FUNCTION transition_to_outbox() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (subject_id, id) VALUES (NEW.session_id, NEW.id);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION transition_to_outbox() IS 'Every audit row of a transition is an event to be published.';
CREATE TRIGGER session_events_to_outbox AFTER INSERT ON session_events
  FOR EACH ROW WHEN (NEW.type = 'transition') EXECUTE FUNCTION transition_to_outbox();
CREATE TRIGGER session_assignment_events_to_outbox AFTER INSERT ON session_assignment_events
  FOR EACH ROW EXECUTE FUNCTION transition_to_outbox();

-- No transition, but mechanics see it now who did not before.
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
  'Has an event published that is no transition: its detail-type, its facts, and the row it is about, within which order is kept.';

GRANT SELECT, DELETE, UPDATE (attempts, error) ON outbox TO autodoctor_app;
GRANT SELECT, INSERT ON outbox_poison TO autodoctor_app;
REVOKE EXECUTE ON FUNCTION requeue_poison() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION emit_event(text, jsonb, uuid) TO autodoctor_app;
