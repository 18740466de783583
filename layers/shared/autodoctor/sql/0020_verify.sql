-- What verify found, and what repair changed.

CREATE TABLE verify_runs (
  id           uuid PRIMARY KEY DEFAULT new_id(),
  walk_id      uuid NOT NULL,
  began_at     timestamptz NOT NULL,
  finished_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  stopped_in   text,
  stopped_at   uuid,
  findings     integer NOT NULL CHECK (findings >= 0),
  report       jsonb NOT NULL,
  CONSTRAINT verify_runs_stopped_somewhere CHECK ((stopped_in IS NULL) = (stopped_at IS NULL))
);
COMMENT ON TABLE verify_runs IS 'What each scheduled run of verify found; the newest 500 are kept.';
COMMENT ON COLUMN verify_runs.walk_id IS 'The same for the runs that together look at everything: the first one''s id.';
COMMENT ON COLUMN verify_runs.began_at IS 'When it began.';
COMMENT ON COLUMN verify_runs.finished_at IS 'When it ended.';
COMMENT ON COLUMN verify_runs.stopped_in IS 'Which table it was looking at when its time was over; null: all of the walk was looked at.';
COMMENT ON COLUMN verify_runs.stopped_at IS 'The last key it had looked at; the next run goes on there.';
COMMENT ON COLUMN verify_runs.findings IS 'How many things are wrong, of this walk so far.';
COMMENT ON COLUMN verify_runs.report IS 'By section: how many, of which kind, and the first few; of this walk so far. Ids only.';

CREATE FUNCTION keep_newest_verify_runs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM verify_runs WHERE id IN (SELECT id FROM verify_runs ORDER BY id DESC OFFSET 500 LIMIT 100);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION keep_newest_verify_runs() IS 'Bounds verify_runs.';
CREATE TRIGGER keep_newest_verify_runs AFTER INSERT ON verify_runs
  FOR EACH STATEMENT EXECUTE FUNCTION keep_newest_verify_runs();

CREATE TABLE repairs (
  id        uuid PRIMARY KEY DEFAULT new_id(),
  run_id    uuid NOT NULL,
  finding   text NOT NULL,
  subject   text NOT NULL,
  previous  jsonb NOT NULL,
  now       jsonb NOT NULL,
  reason    text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  actor     text NOT NULL,
  at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX repairs_by_subject ON repairs (subject, id);
COMMENT ON TABLE repairs IS 'Every change that repair made, never changed afterwards; the owner alone can.';
COMMENT ON COLUMN repairs.run_id IS 'The same for all that one run changed.';
COMMENT ON COLUMN repairs.finding IS 'Which check of verify had found it.';
COMMENT ON COLUMN repairs.subject IS 'The id of what was changed: a session or an assignment.';
COMMENT ON COLUMN repairs.previous IS 'What it was: its status, and what else was changed.';
COMMENT ON COLUMN repairs.now IS 'What it is.';
COMMENT ON COLUMN repairs.reason IS 'Why that is the one right answer.';
COMMENT ON COLUMN repairs.actor IS 'operator: and the name.';
COMMENT ON COLUMN repairs.at IS 'When, by the database''s clock.';
CREATE TRIGGER repairs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON repairs
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

-- So that verify finds an event without its effect without a walk through all that Stripe ever said.
CREATE INDEX stripe_events_unhandled ON stripe_events (id) WHERE handled_at IS NULL;

GRANT SELECT ON alembic_version, repairs TO autodoctor_app;
GRANT SELECT, INSERT (walk_id, began_at, stopped_in, stopped_at, findings, report) ON verify_runs TO autodoctor_app;
