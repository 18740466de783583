-- Moving in from the old system: its rows as they were, what became of each, and how far an import came.
--
-- What is written here is for the owner alone (`autodoctor import-legacy`); no function reads it.

CREATE TABLE legacy_imports (
  id           uuid PRIMARY KEY DEFAULT new_id(),
  source       text NOT NULL,
  actor        text NOT NULL,
  began_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  progress_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  written      bigint NOT NULL DEFAULT 0 CHECK (written >= 0),
  finished_at  timestamptz,
  report       jsonb,
  CONSTRAINT legacy_imports_finished_says_what CHECK ((finished_at IS NULL) = (report IS NULL))
);
COMMENT ON TABLE legacy_imports IS 'Runs of import-legacy that wrote; one without an end was interrupted, and the next one goes on.';
COMMENT ON COLUMN legacy_imports.source IS 'Host, database and schema the rows came from; never a password.';
COMMENT ON COLUMN legacy_imports.actor IS 'operator: and the name.';
COMMENT ON COLUMN legacy_imports.began_at IS 'When it began.';
COMMENT ON COLUMN legacy_imports.progress_at IS 'When its last batch was committed.';
COMMENT ON COLUMN legacy_imports.written IS 'How many old rows it archived, counted in the transactions that did.';
COMMENT ON COLUMN legacy_imports.finished_at IS 'When it was done; null: it was interrupted.';
COMMENT ON COLUMN legacy_imports.report IS 'What it said at the end: counts, and the first few ids of each kind.';

CREATE TABLE legacy_rows (
  table_name  text NOT NULL,
  row_key     text NOT NULL,
  import_id   uuid NOT NULL REFERENCES legacy_imports (id),
  became      text NOT NULL CHECK (became IN ('moved', 'part', 'kept', 'refused')),
  note        text,
  session_id  uuid,
  user_id     uuid,
  archived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  content     jsonb NOT NULL,
  PRIMARY KEY (table_name, row_key),
  CONSTRAINT legacy_rows_refused_says_why CHECK (became <> 'refused' OR note IS NOT NULL)
);
CREATE INDEX legacy_rows_by_session ON legacy_rows (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX legacy_rows_by_user ON legacy_rows (user_id) WHERE user_id IS NOT NULL;
COMMENT ON TABLE legacy_rows IS 'The archive: every row of the old system word for word, and what became of it.';
COMMENT ON COLUMN legacy_rows.table_name IS 'The old table.';
COMMENT ON COLUMN legacy_rows.row_key IS 'The old row''s id, or a digest of a row that has none.';
COMMENT ON COLUMN legacy_rows.import_id IS 'The run that archived it.';
COMMENT ON COLUMN legacy_rows.became IS 'moved: a session of its own, or a person; part: told of a session that moved; kept: only kept here; refused: could not be moved, and is tried again by every run.';
COMMENT ON COLUMN legacy_rows.note IS 'Why, where it was refused; what was noticed, elsewhere.';
COMMENT ON COLUMN legacy_rows.session_id IS 'The session it became or belongs to.';
COMMENT ON COLUMN legacy_rows.user_id IS 'The customer''s user (sub) it tells of, so that it can be erased with them.';
COMMENT ON COLUMN legacy_rows.archived_at IS 'When.';
COMMENT ON COLUMN legacy_rows.content IS 'The row, column by column; personal data. Empty once its customer was erased.';

CREATE FUNCTION legacy_rows_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE legacy_rows SET content = '{}'
   WHERE user_id = NEW.user_id
      OR session_id IN (SELECT i.id FROM intakes i WHERE i.customer_id = NEW.id)
      OR session_id IN (SELECT t.row_key::uuid FROM legacy_rows t -- a request's own, where it is part of a session
                         WHERE t.user_id = NEW.user_id AND t.became = 'part' AND t.session_id::text <> t.row_key
                           AND t.row_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$');
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION legacy_rows_forget() IS 'Empties the archived rows of a customer whose data is erased.';
CREATE TRIGGER legacy_rows_forget AFTER UPDATE OF erased_at ON customers FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION legacy_rows_forget();
