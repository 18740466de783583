-- Operators' tasks: admin changes, and the results of verify, reconcile and repair.

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
    kind ~ '^((mechanic|workshop|plan|credit_pack)\.(added|changed)|mechanic\.destination_changed|credits\.granted|payout\.(held|released)|(settlement|contest)\.decided|session\.(messaged|offered)|dispute_evidence\.(changed|sent)|dead_letter_queue\.redriven)$'),
  CONSTRAINT admin_changes_somebody_did_it CHECK (num_nonnulls(actor_id, actor) = 1),
  CONSTRAINT admin_changes_tell_nothing_of_people CHECK (
    kind NOT LIKE 'mechanic.%' OR NOT (before ?| '{name,email,suspension_reason}' OR after ?| '{name,email,suspension_reason}'))
);
CREATE INDEX admin_changes_by_subject ON admin_changes (subject, at, id);
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
-- That a suspension has a reason, and not which: an erasure reaches mechanics, and no row of the audit.
CREATE TRIGGER mechanics_audited AFTER INSERT ON mechanics
  FOR EACH ROW EXECUTE FUNCTION audit_change('mechanic', 'id', '{name,email,suspension_reason}');
CREATE TRIGGER mechanics_audited_again AFTER UPDATE OF user_id, name, email, workshop_id, status, suspension_reason, change_id ON mechanics
  FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION audit_change('mechanic', 'id', '{name,email,suspension_reason}');
CREATE TRIGGER plans_audited AFTER INSERT ON plans FOR EACH ROW EXECUTE FUNCTION audit_change('plan', 'code', '{}');
CREATE TRIGGER plans_audited_again AFTER UPDATE ON plans FOR EACH ROW
  WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION audit_change('plan', 'code', '{}');
CREATE TRIGGER credit_packs_audited AFTER INSERT ON credit_packs FOR EACH ROW EXECUTE FUNCTION audit_change('credit_pack', 'code', '{}');
CREATE TRIGGER credit_packs_audited_again AFTER UPDATE ON credit_packs FOR EACH ROW
  WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION audit_change('credit_pack', 'code', '{}');

-- A grant of credits is money given away: its row in the ledger refers to the change, whoever inserts it.
ALTER TABLE ledger_transfer ADD FOREIGN KEY (change_id) REFERENCES admin_changes (id) DEFERRABLE INITIALLY DEFERRED;

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
