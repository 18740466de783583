-- Operators' tasks: admin changes, verify, reconcile and repair, the import, and erasure.

-- Changes by admins: each is one row, for ever, written by a trigger of the changed table.

CREATE TABLE admin_changes (
  id        uuid PRIMARY KEY,
  actor_id  uuid,
  actor     text CHECK (actor LIKE 'db:%'),
  kind      text NOT NULL,
  subject   text NOT NULL,
  changed   text[] NOT NULL CHECK (changed <> '{}'),
  before    jsonb NOT NULL,
  after     jsonb NOT NULL,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT admin_changes_kind_known CHECK (
    kind ~ '^((mechanic|workshop|plan|credit_pack)\.(added|changed)|mechanic\.destination_changed|credits\.granted|payout\.(held|released)|(settlement|contest)\.decided|dead_letter_queue\.redriven)$'),
  CONSTRAINT admin_changes_somebody_did_it CHECK (num_nonnulls(actor_id, actor) = 1),
  CONSTRAINT admin_changes_tell_nothing_of_people CHECK (
    kind NOT LIKE 'mechanic.%' OR NOT (before ?| '{name,email}' OR after ?| '{name,email}'))
);
CREATE INDEX admin_changes_by_subject ON admin_changes (subject, id);
CREATE INDEX admin_changes_by_nobody ON admin_changes (id) WHERE actor IS NOT NULL;
COMMENT ON TABLE admin_changes IS 'Every change that an admin made, never changed afterwards; one that changed nothing has no row.';
COMMENT ON COLUMN admin_changes.id IS 'Chosen by the function before the first attempt: by it, a retry after a lost connection recognises its own work.';
COMMENT ON COLUMN admin_changes.actor_id IS 'The sub of the admin''s token; null: the statement named nobody.';
COMMENT ON COLUMN admin_changes.actor IS 'db:ROLE, the role whose statement named nobody.';
COMMENT ON COLUMN admin_changes.kind IS
  'The kind of change, such as plan.changed. A dead_letter_queue.redriven is written before its messages are sent.';
COMMENT ON COLUMN admin_changes.subject IS 'The id of the changed row, or its code if that is its key.';
COMMENT ON COLUMN admin_changes.changed IS 'The columns that changed, including those with personal data.';
COMMENT ON COLUMN admin_changes.before IS
  'Their values before, without personal data; empty for a new row. For a dead_letter_queue, how many messages it held.';
COMMENT ON COLUMN admin_changes.after IS 'Their values afterwards, without personal data.';
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
  'The columns of a row that differ, with their values before and after, except values of personal data; before a new row, {}.';

-- AFTER, so that an INSERT that finds its key taken (ON CONFLICT DO NOTHING) leaves nothing.
CREATE FUNCTION audit_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  of_the_change text[] := '{change_id,changed_by}';
  is_now jsonb := to_jsonb(NEW) - of_the_change;
  was jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) - of_the_change ELSE '{}' END;
  named boolean := NEW.change_id IS NOT NULL AND NEW.changed_by IS NOT NULL;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    named := named AND NEW.change_id IS DISTINCT FROM OLD.change_id;
  END IF;
  IF NOT named AND session_user <> 'autodoctor_app' THEN
    RETURN NULL; -- the owner's own
  END IF;
  INSERT INTO admin_changes (id, actor_id, actor, kind, subject, changed, before, after)
  SELECT CASE WHEN named THEN NEW.change_id ELSE new_id() END, CASE WHEN named THEN NEW.changed_by END,
         CASE WHEN NOT named THEN 'db:' || session_user END, TG_ARGV[0] || CASE TG_OP WHEN 'UPDATE' THEN '.changed' ELSE '.added' END,
         is_now ->> TG_ARGV[1], d.changed, d.before, d.after
    FROM changed_columns(was, is_now, TG_ARGV[2]::text[]) AS d
   WHERE d.changed IS NOT NULL;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION audit_change() IS
  'Writes the row of admin_changes: for a change with a change_id and a changed_by, and for one of the application''s role that names nobody. Arguments: the kind of the row, the key column, the columns of personal data.';
CREATE TRIGGER workshops_audited AFTER INSERT ON workshops FOR EACH ROW EXECUTE FUNCTION audit_change('workshop', 'id', '{}');
CREATE TRIGGER workshops_audited_again AFTER UPDATE OF name, change_id ON workshops FOR EACH ROW
  WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION audit_change('workshop', 'id', '{}');
CREATE TRIGGER mechanics_audited AFTER INSERT ON mechanics FOR EACH ROW EXECUTE FUNCTION audit_change('mechanic', 'id', '{name,email}');
CREATE TRIGGER mechanics_audited_again AFTER UPDATE OF user_id, name, email, workshop_id, status, change_id ON mechanics FOR EACH ROW
  WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION audit_change('mechanic', 'id', '{name,email}');
CREATE TRIGGER plans_audited AFTER INSERT ON plans FOR EACH ROW EXECUTE FUNCTION audit_change('plan', 'code', '{}');
CREATE TRIGGER plans_audited_again AFTER UPDATE ON plans FOR EACH ROW
  WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION audit_change('plan', 'code', '{}');
CREATE TRIGGER credit_packs_audited AFTER INSERT ON credit_packs FOR EACH ROW EXECUTE FUNCTION audit_change('credit_pack', 'code', '{}');
CREATE TRIGGER credit_packs_audited_again AFTER UPDATE ON credit_packs FOR EACH ROW
  WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION audit_change('credit_pack', 'code', '{}');

-- A grant of credits is money given away: its row in the ledger refers to the change, whoever inserts it.
ALTER TABLE ledger_transfer ADD COLUMN change_id uuid REFERENCES admin_changes (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ledger_transfer ADD CONSTRAINT ledger_transfer_grant_is_audited
  CHECK ((kind = 'credit_grant') = (change_id IS NOT NULL));
COMMENT ON COLUMN ledger_transfer.change_id IS 'For a grant of credits, its row in admin_changes, which its trigger writes.';

CREATE FUNCTION audit_grant() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_WHEN = 'BEFORE' THEN
    NEW.change_id := new_id();
    RETURN NEW;
  END IF;
  -- only now it is sure that the row was inserted: a key that was used before grants nothing
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  VALUES (NEW.change_id, NEW.actor_id, 'credits.granted', NEW.credit_account, '{credits}', '{}',
          jsonb_build_object('credits', NEW.amount, 'key', NEW.key));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION audit_grant() IS 'Writes the row of admin_changes for a grant of credits, once it was inserted; before, gives it the id of that row.';
CREATE TRIGGER audit_grant_begins BEFORE INSERT ON ledger_transfer FOR EACH ROW
  WHEN (NEW.kind = 'credit_grant') EXECUTE FUNCTION audit_grant();
CREATE TRIGGER audit_grant AFTER INSERT ON ledger_transfer FOR EACH ROW
  WHEN (NEW.kind = 'credit_grant') EXECUTE FUNCTION audit_grant();

-- Results of reconcile, verify and repair: Stripe's statement, to compare with the ledger, runs, and repairs.

CREATE TABLE stripe_movements (
  id                 text PRIMARY KEY,
  type               text NOT NULL,
  flow               text CHECK (flow IN ('charge', 'refund', 'transfer', 'reversal', 'dispute')),
  source             text,
  subject            text CHECK ((subject IS NULL) = (flow IS NULL)),
  claimed            boolean NOT NULL DEFAULT false,
  amount             bigint NOT NULL,
  fee                bigint NOT NULL,
  currency           text NOT NULL,
  livemode           boolean,
  happened_at        timestamptz NOT NULL,
  charge_id          text,
  payment_intent_id  text,
  transfer_id        text,
  destination        text,
  checkout_id        uuid,
  intake_id          uuid,
  refund_id          uuid,
  payout_id          uuid,
  seen_at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX stripe_movements_in_order ON stripe_movements (happened_at, id);
CREATE INDEX stripe_movements_by_subject ON stripe_movements (subject) WHERE subject IS NOT NULL;
CREATE INDEX stripe_movements_by_source ON stripe_movements (source) WHERE source IS NOT NULL;
CREATE INDEX stripe_movements_by_charge ON stripe_movements (charge_id) WHERE charge_id IS NOT NULL;
COMMENT ON TABLE stripe_movements IS
  'Our copy of Stripe''s balance transactions, which never change: every movement of the account''s money, ours or not. Ids and cents only.';
COMMENT ON COLUMN stripe_movements.type IS 'As Stripe names it.';
COMMENT ON COLUMN stripe_movements.flow IS 'The kind of object that moved the money; null: one that our books do not have, such as a payout to the bank.';
COMMENT ON COLUMN stripe_movements.source IS 'Stripe''s id of that object.';
COMMENT ON COLUMN stripe_movements.subject IS 'The result of statement_subject() for the keys that would book it.';
COMMENT ON COLUMN stripe_movements.claimed IS 'Whether the object has our metadata. Refunds and disputes of our charges count as ours without it.';
COMMENT ON COLUMN stripe_movements.amount IS 'The amount that came in (above 0) or went out, in cents, without fees.';
COMMENT ON COLUMN stripe_movements.fee IS 'Stripe''s fee, in cents.';
COMMENT ON COLUMN stripe_movements.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN stripe_movements.livemode IS 'Whether the object concerns real money; null: it does not say.';
COMMENT ON COLUMN stripe_movements.happened_at IS 'By Stripe''s clock.';
COMMENT ON COLUMN stripe_movements.destination IS 'For a transfer, the connected account.';
COMMENT ON COLUMN stripe_movements.seen_at IS 'When it was copied.';
GRANT SELECT,
      INSERT (id, type, flow, source, subject, claimed, amount, fee, currency, livemode, happened_at, charge_id,
              payment_intent_id, transfer_id, destination, checkout_id, intake_id, refund_id, payout_id)
  ON stripe_movements TO autodoctor_app;

CREATE TABLE stripe_statement (
  account     text PRIMARY KEY DEFAULT 'platform' CHECK (account = 'platform'),
  whole_until timestamptz
);
COMMENT ON TABLE stripe_statement IS 'The progress of the copy; one row.';
COMMENT ON COLUMN stripe_statement.account IS 'The platform''s account.';
COMMENT ON COLUMN stripe_statement.whole_until IS
  'stripe_movements lacks no movement from the account''s beginning until then; null: list from the beginning.';
GRANT SELECT, INSERT (whole_until), UPDATE (whole_until) ON stripe_statement TO autodoctor_app;

CREATE TABLE reconcile_runs (
  id           uuid PRIMARY KEY DEFAULT new_id(),
  started_at   timestamptz NOT NULL,
  finished_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  since        timestamptz,
  finished     boolean NOT NULL,
  found        integer NOT NULL CHECK (found >= 0),
  report       jsonb NOT NULL
);
COMMENT ON TABLE reconcile_runs IS 'Results of comparing the ledger with Stripe; the newest 400 are kept.';
COMMENT ON COLUMN reconcile_runs.started_at IS 'When it began; later bookings were left to the next run.';
COMMENT ON COLUMN reconcile_runs.finished_at IS 'When it ended.';
COMMENT ON COLUMN reconcile_runs.since IS 'The start of the comparison; null: everything was compared.';
COMMENT ON COLUMN reconcile_runs.finished IS 'Whether all was compared; false: its time ran out, and the next run goes on where it stopped.';
COMMENT ON COLUMN reconcile_runs.found IS 'The number of differences.';
COMMENT ON COLUMN reconcile_runs.report IS 'Counts, sums, and the first 500 differences; ids and cents only.';
GRANT SELECT, INSERT (started_at, since, finished, found, report) ON reconcile_runs TO autodoctor_app;

CREATE FUNCTION keep_newest_reconcile_runs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM reconcile_runs WHERE id IN (SELECT id FROM reconcile_runs ORDER BY id DESC OFFSET 400 LIMIT 100);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION keep_newest_reconcile_runs() IS 'Deletes all but the newest 400 reconcile_runs.';
CREATE TRIGGER keep_newest_reconcile_runs AFTER INSERT ON reconcile_runs
  FOR EACH STATEMENT EXECUTE FUNCTION keep_newest_reconcile_runs();

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
COMMENT ON TABLE verify_runs IS 'Results of the scheduled runs of verify; the newest 500 are kept.';
COMMENT ON COLUMN verify_runs.walk_id IS 'Shared by the runs that together check everything: the id of the first.';
COMMENT ON COLUMN verify_runs.began_at IS 'When it began.';
COMMENT ON COLUMN verify_runs.finished_at IS 'When it ended.';
COMMENT ON COLUMN verify_runs.stopped_in IS 'The table it was checking when its time ran out; null: the walk is complete.';
COMMENT ON COLUMN verify_runs.stopped_at IS 'The last key that it checked; the next run goes on from there.';
COMMENT ON COLUMN verify_runs.findings IS 'The number of findings in this walk so far.';
COMMENT ON COLUMN verify_runs.report IS 'The findings in this walk so far, by section: counts by kind, and the first few. Ids only.';
GRANT SELECT, INSERT (walk_id, began_at, stopped_in, stopped_at, findings, report) ON verify_runs TO autodoctor_app;

CREATE FUNCTION keep_newest_verify_runs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM verify_runs WHERE id IN (SELECT id FROM verify_runs ORDER BY id DESC OFFSET 500 LIMIT 100);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION keep_newest_verify_runs() IS 'Deletes all but the newest 500 verify_runs.';
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
COMMENT ON TABLE repairs IS 'Every change that repair made, never changed afterwards; only the owner can repair.';
COMMENT ON COLUMN repairs.run_id IS 'Shared by all changes of one run.';
COMMENT ON COLUMN repairs.finding IS 'The check of verify that found it.';
COMMENT ON COLUMN repairs.subject IS 'The id of the changed session or assignment.';
COMMENT ON COLUMN repairs.previous IS 'Its status and the changed values before the repair.';
COMMENT ON COLUMN repairs.now IS 'The same values after the repair.';
COMMENT ON COLUMN repairs.reason IS 'Why this is the only correct repair.';
COMMENT ON COLUMN repairs.actor IS 'operator:NAME.';
COMMENT ON COLUMN repairs.at IS 'When, by the database''s clock.';
CREATE TRIGGER repairs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON repairs
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON repairs TO autodoctor_app;

-- The import from the old system: its rows unchanged, what became of each, and the progress of imports.
--
-- Only the owner uses these tables (`autodoctor import-legacy`); no function reads them.

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
COMMENT ON TABLE legacy_imports IS 'Runs of import-legacy that wrote; one without an end was interrupted, and the next run continues it.';
COMMENT ON COLUMN legacy_imports.source IS 'Host, database and schema of the old rows; never a password.';
COMMENT ON COLUMN legacy_imports.actor IS 'operator:NAME.';
COMMENT ON COLUMN legacy_imports.began_at IS 'When it began.';
COMMENT ON COLUMN legacy_imports.progress_at IS 'When its last batch was committed.';
COMMENT ON COLUMN legacy_imports.written IS 'The number of old rows that it archived, counted in the same transactions.';
COMMENT ON COLUMN legacy_imports.finished_at IS 'When it was done; null: it was interrupted.';
COMMENT ON COLUMN legacy_imports.report IS 'Its final report: counts, and the first few ids of each kind.';

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
COMMENT ON TABLE legacy_rows IS 'The archive: every row of the old system, unchanged, and what became of it.';
COMMENT ON COLUMN legacy_rows.table_name IS 'The old table.';
COMMENT ON COLUMN legacy_rows.row_key IS 'The old row''s id, or a digest of a row that has none.';
COMMENT ON COLUMN legacy_rows.import_id IS 'The run that archived it.';
COMMENT ON COLUMN legacy_rows.became IS 'moved: became a session or a person; part: belongs to a session that moved; kept: only kept here; refused: could not be moved, every run tries it again.';
COMMENT ON COLUMN legacy_rows.note IS 'For a refused row, the reason; for others, anything noticed.';
COMMENT ON COLUMN legacy_rows.session_id IS 'The session it became or belongs to.';
COMMENT ON COLUMN legacy_rows.user_id IS 'The user (sub) of its customer, so that it can be erased with the customer.';
COMMENT ON COLUMN legacy_rows.archived_at IS 'When it was archived.';
COMMENT ON COLUMN legacy_rows.content IS 'The row, column by column; personal data. Empty once its customer was erased.';

CREATE FUNCTION legacy_rows_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE legacy_rows SET content = '{}'
   WHERE user_id = NEW.user_id
      OR session_id IN (SELECT i.id FROM intakes i WHERE i.customer_id = NEW.id)
      OR session_id IN (SELECT t.row_key::uuid FROM legacy_rows t -- a request's own, if it is part of a session
                         WHERE t.user_id = NEW.user_id AND t.became = 'part' AND t.session_id::text <> t.row_key
                           AND t.row_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$');
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION legacy_rows_forget() IS 'Empties the archived rows of a customer whose data is erased.';
CREATE TRIGGER legacy_rows_forget AFTER UPDATE OF erased_at ON customers FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION legacy_rows_forget();

-- Personal data on request: it is copied for the customer, or removed from every row that has it.
--
-- The history stays: states, times, amounts, the audit trail and the ledger. None of it names a person. The sub of the
-- token stays as the only link between those rows, and the operator of the sign-in forgets whose it was.

CREATE TABLE erasures (
  user_id    uuid NOT NULL,
  role       text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'mechanic')),
  erased_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  erased_by  text NOT NULL,
  sessions   integer NOT NULL,
  PRIMARY KEY (user_id, role)
);
COMMENT ON TABLE erasures IS 'Proof that a person''s data was erased on request; never changed.';
COMMENT ON COLUMN erasures.user_id IS 'The sub of the person''s token.';
COMMENT ON COLUMN erasures.role IS 'As what: one who was both a customer and a mechanic is erased as each.';
COMMENT ON COLUMN erasures.erased_at IS 'When the data was erased.';
COMMENT ON COLUMN erasures.erased_by IS 'The database role, and the operator for whom it acted.';
COMMENT ON COLUMN erasures.sessions IS 'The number of sessions that lost their words and names.';
CREATE TRIGGER erasures_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON erasures
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

CREATE FUNCTION erase_customer(customer_user uuid, operator text) RETURNS erasures LANGUAGE plpgsql AS $$
DECLARE
  done erasures;
  erased uuid;
  touched integer;
BEGIN
  SELECT id INTO erased FROM customers WHERE user_id = customer_user FOR NO KEY UPDATE; -- no intake begins meanwhile
  IF erased IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT * INTO done FROM erasures WHERE user_id = customer_user AND role = 'customer';
  IF FOUND THEN
    RETURN done;
  END IF;
  IF EXISTS (SELECT FROM sessions WHERE customer_id = erased AND ended_at IS NULL)
     OR EXISTS (SELECT FROM checkouts WHERE user_id = customer_user AND status IN ('open', 'processing')) THEN
    RAISE EXCEPTION 'customer % has an active session or an open payment', customer_user USING ERRCODE = 'AD010';
  END IF;

  UPDATE customers SET name = '[erased]', email = '[erased]', phone = NULL, erased_at = clock_timestamp() WHERE id = erased;
  UPDATE intakes SET customer_name = '[erased]', vehicle = '{}', concern = '[erased]' WHERE customer_id = erased;
  GET DIAGNOSTICS touched = ROW_COUNT;
  UPDATE session_notes SET text = '' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE end_explanations SET text = '[erased]' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE contests SET words = '', answer = CASE WHEN answer IS NOT NULL THEN '' END
    FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  PERFORM blank_room(s.id) FROM sessions s WHERE s.customer_id = erased;
  UPDATE waivers SET signed_name = '[erased]' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE checkouts SET signed_name = '[erased]' WHERE user_id = customer_user AND signed_name IS NOT NULL;
  UPDATE checkouts SET email = NULL WHERE user_id = customer_user AND email IS NOT NULL;
  -- of both parties: a mechanic's picture shows the customer's car; the sweep deletes the files
  UPDATE attachments SET state = 'gone'
   WHERE state <> 'gone'
     AND (user_id = customer_user OR session_id IN (SELECT i.id FROM intakes i WHERE i.customer_id = erased));
  UPDATE mail_deliveries SET address_hash = NULL WHERE user_id = customer_user AND address_hash IS NOT NULL;
  DELETE FROM confirmed_addresses WHERE user_id = customer_user;
  DELETE FROM address_confirmations WHERE user_id = customer_user;
  DELETE FROM notifications WHERE user_id = customer_user;
  DELETE FROM notification_preferences WHERE user_id = customer_user;
  DELETE FROM notification_locales WHERE user_id = customer_user;
  DELETE FROM push_subscriptions WHERE user_id = customer_user;
  DELETE FROM idempotency_keys WHERE user_id = customer_user;
  DELETE FROM realtime_tickets WHERE user_id = customer_user;
  DELETE FROM realtime_connections WHERE user_id = customer_user;
  INSERT INTO erasures (user_id, erased_by, sessions)
  VALUES (customer_user, session_user || ':' || operator, touched) RETURNING * INTO done;
  RETURN done;
END
$$;
COMMENT ON FUNCTION erase_customer(uuid, text) IS
  'Removes a customer''s personal data from every row, for ever, and returns the proof; the first proof if it was done before, null if there is no such customer. Raises AD010 while a session is active or a payment is open. For the owner.';
REVOKE EXECUTE ON FUNCTION erase_customer(uuid, text) FROM PUBLIC;

CREATE FUNCTION erase_mechanic(mechanic_user uuid, operator text) RETURNS erasures LANGUAGE plpgsql AS $$
DECLARE
  done erasures;
  erased uuid;
  touched integer;
BEGIN
  SELECT id INTO erased FROM mechanics WHERE user_id = mechanic_user FOR NO KEY UPDATE;
  IF erased IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT * INTO done FROM erasures WHERE user_id = mechanic_user AND role = 'mechanic';
  IF FOUND THEN
    RETURN done;
  END IF;
  IF EXISTS (SELECT FROM sessions WHERE mechanic_id = erased AND ended_at IS NULL)
     OR EXISTS (SELECT FROM settlements_due d JOIN sessions s ON s.id = d.session_id WHERE s.mechanic_id = erased)
     OR EXISTS (SELECT FROM payouts WHERE mechanic_id = erased AND state IN ('due', 'held', 'sending')) THEN
    RAISE EXCEPTION 'mechanic % has a session or is still owed something', mechanic_user USING ERRCODE = 'AD010';
  END IF;

  UPDATE mechanics SET name = '[erased]', email = NULL, status = 'suspended', available_until = NULL WHERE id = erased;
  SELECT count(*) INTO touched FROM session_participants WHERE mechanic_id = erased;
  -- the notes stay: they are the customer's record, about a car
  UPDATE session_messages SET text = ''
   WHERE session_id IN (SELECT p.session_id FROM session_participants p WHERE p.mechanic_id = erased)
     AND mechanic_id = erased AND text <> '';
  UPDATE contests SET answer = '' FROM sessions s
   WHERE s.id = session_id AND s.mechanic_id = erased AND answer <> '';
  UPDATE attachments SET state = 'gone' WHERE user_id = mechanic_user AND role = 'mechanic' AND state <> 'gone';
  UPDATE legacy_rows SET content = '{}' WHERE user_id = mechanic_user OR row_key = erased::text;
  UPDATE mail_deliveries SET address_hash = NULL WHERE user_id = mechanic_user AND address_hash IS NOT NULL;
  DELETE FROM notifications WHERE user_id = mechanic_user;
  DELETE FROM notification_preferences WHERE user_id = mechanic_user;
  DELETE FROM notification_locales WHERE user_id = mechanic_user;
  DELETE FROM push_subscriptions WHERE user_id = mechanic_user;
  DELETE FROM realtime_tickets WHERE user_id = mechanic_user;
  DELETE FROM realtime_connections WHERE user_id = mechanic_user;
  INSERT INTO erasures (user_id, role, erased_by, sessions)
  VALUES (mechanic_user, 'mechanic', session_user || ':' || operator, touched) RETURNING * INTO done;
  RETURN done;
END
$$;
COMMENT ON FUNCTION erase_mechanic(uuid, text) IS
  'Removes a mechanic''s personal data from every row, for ever, and suspends the mechanic; returns the proof, the first one if it was done before, null if there is no such mechanic. Raises AD010 while a session is active or money is owed. For the owner.';
REVOKE EXECUTE ON FUNCTION erase_mechanic(uuid, text) FROM PUBLIC;
