-- Evidence of disputes: what the record says of a disputed payment, staged at Stripe, read by an admin, sent to the bank once.

CREATE FUNCTION evidence_fits(texts jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT jsonb_typeof(texts) = 'object'
     AND NOT EXISTS (
       SELECT FROM jsonb_each(texts) AS t (field, words)
        WHERE jsonb_typeof(t.words) <> 'string' OR length(t.words #>> '{}') NOT BETWEEN 1 AND 20000
           OR t.field NOT IN ('access_activity_log', 'customer_email_address', 'customer_name', 'product_description',
                              'refund_policy_disclosure', 'refund_refusal_explanation', 'service_date', 'uncategorized_text'))
     AND (SELECT coalesce(sum(length(t.words)), 0) <= 150000 FROM jsonb_each_text(texts) AS t (field, words))
$$;
COMMENT ON FUNCTION evidence_fits(jsonb) IS 'Whether Stripe takes these texts: its names of the fields that we fill, and its limits.';

CREATE TABLE dispute_evidence (
  job               text NOT NULL DEFAULT 'evidence' CONSTRAINT dispute_evidence_job CHECK (job = 'evidence'),
  dispute_id        text NOT NULL UNIQUE REFERENCES stripe_disputes (id),
  checkout_id       uuid NOT NULL REFERENCES checkouts (id),
  due_by            timestamptz,
  prepared_at       timestamptz,
  texts             jsonb NOT NULL DEFAULT '{}' CONSTRAINT dispute_evidence_fits CHECK (evidence_fits(texts)),
  gaps              text[] NOT NULL DEFAULT '{}',
  proves            boolean NOT NULL DEFAULT false,
  version           integer NOT NULL DEFAULT 0 CHECK (version >= 0),
  staged_version    integer,
  staged_at         timestamptz,
  sends             boolean NOT NULL DEFAULT false,
  sent_by           uuid,
  sent_at           timestamptz,
  submission_count  integer NOT NULL DEFAULT 0 CHECK (submission_count >= 0),
  closed_because    text CHECK (closed_because IN ('over', 'no_answer', 'elsewhere')),
  change_id         uuid,
  changed_by        uuid,
  PRIMARY KEY (id),
  UNIQUE (idempotency_key),
  CONSTRAINT dispute_evidence_state_known CHECK (state IN ('due', 'sending', 'staged', 'sent', 'failed', 'closed')),
  CONSTRAINT dispute_evidence_staged_as_it_is CHECK (state <> 'staged' OR staged_version = version AND prepared_at IS NOT NULL),
  CONSTRAINT dispute_evidence_sent_whole CHECK (state <> 'sent' OR sends AND sent_at IS NOT NULL),
  CONSTRAINT dispute_evidence_closed_for_a_reason CHECK ((state = 'closed') = (closed_because IS NOT NULL)),
  CONSTRAINT dispute_evidence_sent_by_whom CHECK (sends OR sent_by IS NULL)
) INHERITS (stripe_jobs);
CREATE INDEX dispute_evidence_unsent ON dispute_evidence (state) WHERE state IN ('due', 'held', 'sending', 'failed');
CREATE INDEX dispute_evidence_open ON dispute_evidence (next_attempt_at) WHERE state IN ('due', 'held', 'sending');
CREATE INDEX dispute_evidence_by_checkout ON dispute_evidence (checkout_id);
CREATE INDEX dispute_evidence_undecided ON dispute_evidence (created_at, id) WHERE state IN ('due', 'sending', 'staged', 'failed');
CREATE INDEX stripe_disputes_to_answer ON stripe_disputes (id) WHERE status IN ('needs_response', 'warning_needs_response');
COMMENT ON TABLE dispute_evidence IS 'What we answer to each dispute of a payment of ours, and its progress.';
COMMENT ON COLUMN dispute_evidence.state IS
  'As in stripe_jobs (due: to be staged, or sent if sends); staged: Stripe has this version, nobody has sent it; final states are sent: the bank has it; closed: nothing can be sent any more.';
COMMENT ON COLUMN dispute_evidence.checkout_id IS 'The disputed payment.';
COMMENT ON COLUMN dispute_evidence.due_by IS 'Until when the bank takes evidence, as Stripe said last.';
COMMENT ON COLUMN dispute_evidence.prepared_at IS 'When it was made of the record; null: not yet, or the customer''s data was erased since.';
COMMENT ON COLUMN dispute_evidence.texts IS
  'Stripe''s text fields; personal data. Empty once the customer''s data was erased, or the dispute has been over for retain_files_days.';
COMMENT ON COLUMN dispute_evidence.gaps IS 'What the record does not have, by name; the page has a sentence for each.';
COMMENT ON COLUMN dispute_evidence.proves IS 'Whether the record shows that what was paid for was given: only then it may be sent without an admin.';
COMMENT ON COLUMN dispute_evidence.version IS 'Counts what was prepared and edited.';
COMMENT ON COLUMN dispute_evidence.staged_version IS 'The version that Stripe has.';
COMMENT ON COLUMN dispute_evidence.staged_at IS 'When Stripe last took a version.';
COMMENT ON COLUMN dispute_evidence.sends IS 'Whether it is to be sent to the bank: an admin said so, or the setting send_dispute_evidence.';
COMMENT ON COLUMN dispute_evidence.sent_by IS 'The sub of the admin''s token; null: nobody yet, or the setting.';
COMMENT ON COLUMN dispute_evidence.sent_at IS 'When we learned that the bank has it.';
COMMENT ON COLUMN dispute_evidence.submission_count IS 'How often the bank got evidence, as Stripe said last.';
COMMENT ON COLUMN dispute_evidence.closed_because IS
  'over: it was decided first; no_answer: the bank takes none; elsewhere: somebody answered in Stripe''s dashboard.';
COMMENT ON COLUMN dispute_evidence.change_id IS 'The id in admin_changes of the last change by an admin.';
COMMENT ON COLUMN dispute_evidence.changed_by IS 'The sub of the admin who made it.';
GRANT SELECT,
      INSERT (dispute_id, checkout_id),
      UPDATE (due_by, prepared_at, texts, gaps, proves, version, staged_version, staged_at, sends, sent_by, sent_at,
              submission_count, closed_because, change_id, changed_by, state, waits_for, attempts, next_attempt_at,
              idempotency_key, keyed_at, last_error)
  ON dispute_evidence TO autodoctor_app;
CREATE TRIGGER dispute_evidence_is_kept BEFORE DELETE OR TRUNCATE ON dispute_evidence
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

-- Four of them at most, so together they stay below the 4.5 MB that Stripe takes.
CREATE TABLE dispute_documents (
  evidence_id     uuid NOT NULL REFERENCES dispute_evidence (id),
  field           text NOT NULL CHECK (field IN ('receipt', 'customer_communication', 'customer_signature', 'service_documentation')),
  content         bytea NOT NULL CHECK (octet_length(content) BETWEEN 1 AND 1100000),
  stripe_file_id  text UNIQUE,
  PRIMARY KEY (evidence_id, field)
);
COMMENT ON TABLE dispute_documents IS 'The documents of an evidence, as Stripe gets them and an admin reads them; deleted with its texts.';
COMMENT ON COLUMN dispute_documents.field IS 'Stripe''s name of its place.';
COMMENT ON COLUMN dispute_documents.content IS 'Personal data: a PDF.';
COMMENT ON COLUMN dispute_documents.stripe_file_id IS 'Stripe''s id of the upload; null: not uploaded yet.';
GRANT SELECT, INSERT (evidence_id, field, content), UPDATE (stripe_file_id), DELETE ON dispute_documents TO autodoctor_app;

CREATE FUNCTION goes_by_itself(e dispute_evidence) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT switch_setting('send_dispute_evidence') AND e.proves AND (e.due_by - interval '1 day' <= clock_timestamp()) IS TRUE
$$;
COMMENT ON FUNCTION goes_by_itself(dispute_evidence) IS
  'Whether evidence is sent without an admin now: the setting send_dispute_evidence is on, the record proves the service, and less than a day is left.';

CREATE FUNCTION dispute_evidence_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  by_admin boolean := NEW.change_id IS DISTINCT FROM OLD.change_id AND num_nonnulls(NEW.change_id, NEW.changed_by) = 2;
  -- the application's role empties what is over; an erasure's trigger, with the owner's rights, what is not
  emptied boolean := NEW.texts = '{}' AND OLD.texts <> '{}'
                     AND (OLD.state IN ('sent', 'closed') OR current_user <> 'autodoctor_app');
BEGIN
  IF (NEW.dispute_id, NEW.checkout_id) <> (OLD.dispute_id, OLD.checkout_id) OR NEW.version < OLD.version
     OR OLD.state IN ('sent', 'closed') AND (NEW.state, NEW.version, NEW.sends) <> (OLD.state, OLD.version, OLD.sends) THEN
    RAISE EXCEPTION 'the evidence of dispute % is fixed', OLD.dispute_id USING ERRCODE = 'AD004';
  ELSIF NEW.texts <> OLD.texts AND NOT emptied AND (NEW.version = OLD.version OR OLD.prepared_at IS NOT NULL AND NOT by_admin) THEN
    RAISE EXCEPTION 'the evidence of dispute % is what was prepared, or an admin wrote', OLD.dispute_id USING ERRCODE = 'AD004';
  ELSIF OLD.sends AND NOT NEW.sends AND NEW.prepared_at IS NOT NULL THEN
    RAISE EXCEPTION 'the evidence of dispute % is to be sent', OLD.dispute_id USING ERRCODE = 'AD004';
  ELSIF NEW.sends AND NOT OLD.sends AND NOT (
          OLD.prepared_at IS NOT NULL
          AND CASE WHEN NEW.sent_by IS NULL THEN goes_by_itself(OLD) ELSE by_admin AND NEW.sent_by = NEW.changed_by END) THEN
    RAISE EXCEPTION 'nobody said that the evidence of dispute % is to be sent', OLD.dispute_id USING ERRCODE = 'AD004';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION dispute_evidence_guard() IS
  'Keeps evidence to what was prepared or an admin wrote, and sends it only once somebody, or the setting, said so.';
CREATE TRIGGER dispute_evidence_guard BEFORE UPDATE ON dispute_evidence
  FOR EACH ROW EXECUTE FUNCTION dispute_evidence_guard();

CREATE FUNCTION dispute_evidence_audited() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  SELECT NEW.change_id, NEW.changed_by, 'dispute_evidence.' || CASE WHEN NEW.sends AND NOT OLD.sends THEN 'sent' ELSE 'changed' END,
         NEW.dispute_id, coalesce(c.changed, '{sends}'), '{}', '{}'
    FROM changed_columns(OLD.texts, NEW.texts, '{}') AS c;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION dispute_evidence_audited() IS 'Records an admin''s edit or sending in admin_changes: which fields, without their words.';
CREATE TRIGGER dispute_evidence_audited AFTER UPDATE OF change_id ON dispute_evidence FOR EACH ROW
  WHEN (NEW.change_id IS DISTINCT FROM OLD.change_id AND NEW.changed_by IS NOT NULL) EXECUTE FUNCTION dispute_evidence_audited();

CREATE FUNCTION dispute_evidence_forgets() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  of_customer uuid[] := ARRAY(
    SELECT e.id FROM checkouts c JOIN dispute_evidence e ON e.checkout_id = c.id WHERE c.user_id = NEW.user_id);
BEGIN
  DELETE FROM dispute_documents WHERE evidence_id = ANY (of_customer);
  -- what is not sent is made anew, of what is left, and staged in place of what Stripe has
  UPDATE dispute_evidence
     SET texts = '{}', gaps = '{erased}',
         prepared_at = CASE WHEN state IN ('sent', 'closed') THEN prepared_at END,
         sends = sends AND (state = 'sent' OR asked_at IS NOT NULL),
         sent_by = CASE WHEN state = 'sent' OR asked_at IS NOT NULL THEN sent_by END,
         lease_id = CASE state WHEN 'sending' THEN new_id() ELSE lease_id END,
         next_attempt_at = CASE WHEN state IN ('staged', 'failed') THEN clock_timestamp() ELSE next_attempt_at END,
         attempts = CASE WHEN state IN ('staged', 'failed') THEN 0 ELSE attempts END,
         state = CASE WHEN state IN ('staged', 'failed') THEN 'due' ELSE state END
   WHERE id = ANY (of_customer);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION dispute_evidence_forgets() IS 'Empties the evidence of a customer whose data is erased, and has what is left of it staged anew.';
CREATE TRIGGER dispute_evidence_forgets AFTER UPDATE OF erased_at ON customers FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION dispute_evidence_forgets();
