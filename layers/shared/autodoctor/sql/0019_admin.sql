-- What admins change, and who changed it: every change is a row, for ever, written by a trigger of what was changed.

CREATE TABLE admin_changes (
  id        uuid PRIMARY KEY,
  actor_id  uuid NOT NULL,
  kind      text NOT NULL,
  subject   text NOT NULL,
  changed   text[] NOT NULL CHECK (changed <> '{}'),
  before    jsonb NOT NULL,
  after     jsonb NOT NULL,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT admin_changes_kind_known CHECK (
    kind ~ '^((mechanic|workshop|plan|credit_pack)\.(added|changed)|dead_letter_queue\.redriven)$'),
  CONSTRAINT admin_changes_tell_nothing_of_people CHECK (
    kind NOT LIKE 'mechanic.%' OR NOT (before ?| '{name,email}' OR after ?| '{name,email}'))
);
CREATE INDEX admin_changes_by_subject ON admin_changes (subject, id);
COMMENT ON TABLE admin_changes IS 'Every change that an admin made, never changed afterwards; one that changed nothing has no row.';
COMMENT ON COLUMN admin_changes.id IS 'Chosen by the function before the first attempt: a retry after a lost connection recognises its own work by it.';
COMMENT ON COLUMN admin_changes.actor_id IS 'The sub of the admin''s token.';
COMMENT ON COLUMN admin_changes.kind IS
  'What was added or changed, e.g. plan.changed. A dead_letter_queue.redriven is written before its letters are sent.';
COMMENT ON COLUMN admin_changes.subject IS 'Its id, or its code where that is its key.';
COMMENT ON COLUMN admin_changes.changed IS 'The columns that are not what they were; also those that are personal data.';
COMMENT ON COLUMN admin_changes.before IS
  'What they were, without personal data; empty where it was added. Of a dead_letter_queue, how many letters it held.';
COMMENT ON COLUMN admin_changes.after IS 'What they are, without personal data.';
COMMENT ON COLUMN admin_changes.at IS 'When, by the database''s clock.';
CREATE TRIGGER admin_changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON admin_changes
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT, INSERT (id, actor_id, kind, subject, changed, before, after) ON admin_changes TO autodoctor_app;

CREATE FUNCTION changed_columns(was jsonb, is_now jsonb, personal text[], OUT changed text[], OUT before jsonb, OUT after jsonb)
LANGUAGE sql IMMUTABLE AS $$
  SELECT array_agg(key ORDER BY key),
         coalesce(jsonb_object_agg(key, w.value) FILTER (WHERE w.value IS NOT NULL AND key <> ALL (personal)), '{}'),
         coalesce(jsonb_object_agg(key, n.value) FILTER (WHERE n.value IS NOT NULL AND key <> ALL (personal)), '{}')
    FROM jsonb_each(was) AS w (key, value) FULL JOIN jsonb_each(is_now) AS n (key, value) USING (key)
   WHERE w.value IS DISTINCT FROM n.value
$$;
COMMENT ON FUNCTION changed_columns(jsonb, jsonb, text[]) IS
  'Which columns of a row differ, and what they were and are, leaving out the values of those that are personal data; a new row was {}.';

-- AFTER, so that an INSERT that finds its key taken (ON CONFLICT DO NOTHING) leaves nothing.
CREATE FUNCTION audit_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  of_the_change text[] := '{change_id,changed_by}';
  is_now jsonb := to_jsonb(NEW) - of_the_change;
  was jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) - of_the_change ELSE '{}' END;
BEGIN
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  SELECT NEW.change_id, NEW.changed_by, TG_ARGV[0] || CASE TG_OP WHEN 'UPDATE' THEN '.changed' ELSE '.added' END,
         is_now ->> TG_ARGV[1], d.changed, d.before, d.after
    FROM changed_columns(was, is_now, TG_ARGV[2]::text[]) AS d
   WHERE d.changed IS NOT NULL;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION audit_change() IS
  'Writes the row of admin_changes for a change that names itself and an admin: what it is a change of, which column is the key, which are personal data.';
CREATE TRIGGER workshops_audited AFTER INSERT ON workshops FOR EACH ROW
  WHEN (NEW.change_id IS NOT NULL) EXECUTE FUNCTION audit_change('workshop', 'id', '{}');
CREATE TRIGGER workshops_audited_again AFTER UPDATE OF change_id ON workshops FOR EACH ROW
  WHEN (OLD.change_id IS DISTINCT FROM NEW.change_id) EXECUTE FUNCTION audit_change('workshop', 'id', '{}');
CREATE TRIGGER mechanics_audited AFTER INSERT ON mechanics FOR EACH ROW
  WHEN (NEW.change_id IS NOT NULL) EXECUTE FUNCTION audit_change('mechanic', 'id', '{name,email}');
CREATE TRIGGER mechanics_audited_again AFTER UPDATE OF change_id ON mechanics FOR EACH ROW
  WHEN (OLD.change_id IS DISTINCT FROM NEW.change_id) EXECUTE FUNCTION audit_change('mechanic', 'id', '{name,email}');
CREATE TRIGGER plans_audited AFTER INSERT ON plans FOR EACH ROW
  WHEN (NEW.change_id IS NOT NULL) EXECUTE FUNCTION audit_change('plan', 'code', '{}');
CREATE TRIGGER plans_audited_again AFTER UPDATE OF change_id ON plans FOR EACH ROW
  WHEN (OLD.change_id IS DISTINCT FROM NEW.change_id) EXECUTE FUNCTION audit_change('plan', 'code', '{}');
CREATE TRIGGER credit_packs_audited AFTER INSERT ON credit_packs FOR EACH ROW
  WHEN (NEW.change_id IS NOT NULL) EXECUTE FUNCTION audit_change('credit_pack', 'code', '{}');
CREATE TRIGGER credit_packs_audited_again AFTER UPDATE OF change_id ON credit_packs FOR EACH ROW
  WHEN (OLD.change_id IS DISTINCT FROM NEW.change_id) EXECUTE FUNCTION audit_change('credit_pack', 'code', '{}');
