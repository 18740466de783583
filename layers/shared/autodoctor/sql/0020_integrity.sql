-- What reconcile, verify and repair found and changed: Stripe's statement beside the ledger, runs, and repairs.

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
  'Our copy of Stripe''s balance transactions, which never change: each movement of the account''s money, ours or not. Ids and cents only.';
COMMENT ON COLUMN stripe_movements.type IS 'As Stripe names it.';
COMMENT ON COLUMN stripe_movements.flow IS 'Which kind of object moved the money; null: one that our books do not know, such as a payout to the bank.';
COMMENT ON COLUMN stripe_movements.source IS 'Stripe''s id of that object.';
COMMENT ON COLUMN stripe_movements.subject IS 'What statement_subject() makes of the keys that would book it.';
COMMENT ON COLUMN stripe_movements.claimed IS 'Whether the object has our metadata. Refunds and disputes of a charge of ours count as ours without.';
COMMENT ON COLUMN stripe_movements.amount IS 'What came (above 0) or went, in cents, fees apart.';
COMMENT ON COLUMN stripe_movements.fee IS 'What Stripe kept of it, in cents.';
COMMENT ON COLUMN stripe_movements.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN stripe_movements.livemode IS 'Whether the object is about real money; null: it does not say.';
COMMENT ON COLUMN stripe_movements.happened_at IS 'By Stripe''s clock.';
COMMENT ON COLUMN stripe_movements.destination IS 'Of a transfer: the connected account.';
COMMENT ON COLUMN stripe_movements.seen_at IS 'When it was copied.';
GRANT SELECT,
      INSERT (id, type, flow, source, subject, claimed, amount, fee, currency, livemode, happened_at, charge_id,
              payment_intent_id, transfer_id, destination, checkout_id, intake_id, refund_id, payout_id)
  ON stripe_movements TO autodoctor_app;

CREATE TABLE stripe_statement (
  account     text PRIMARY KEY DEFAULT 'platform' CHECK (account = 'platform'),
  whole_until timestamptz
);
COMMENT ON TABLE stripe_statement IS 'How far the copy goes; one row.';
COMMENT ON COLUMN stripe_statement.account IS 'Whose statement: the platform''s.';
COMMENT ON COLUMN stripe_statement.whole_until IS
  'From the account''s beginning until then no movement is missing in stripe_movements; null: it has to be listed from the beginning.';
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
COMMENT ON TABLE reconcile_runs IS 'What each comparison of the ledger with Stripe found; the newest 400 are kept.';
COMMENT ON COLUMN reconcile_runs.started_at IS 'When it began: what was booked later was left to the next one.';
COMMENT ON COLUMN reconcile_runs.finished_at IS 'When it ended.';
COMMENT ON COLUMN reconcile_runs.since IS 'What is older was not compared; null: everything was.';
COMMENT ON COLUMN reconcile_runs.finished IS 'Whether all was compared; false: its time was over, and the next one goes on where it stopped.';
COMMENT ON COLUMN reconcile_runs.found IS 'How many differences there were.';
COMMENT ON COLUMN reconcile_runs.report IS 'Counts, sums, and the first 500 differences; ids and cents only.';
GRANT SELECT, INSERT (started_at, since, finished, found, report) ON reconcile_runs TO autodoctor_app;

CREATE FUNCTION keep_newest_reconcile_runs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM reconcile_runs WHERE id IN (SELECT id FROM reconcile_runs ORDER BY id DESC OFFSET 400 LIMIT 100);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION keep_newest_reconcile_runs() IS 'Bounds reconcile_runs.';
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
COMMENT ON TABLE verify_runs IS 'What each scheduled run of verify found; the newest 500 are kept.';
COMMENT ON COLUMN verify_runs.walk_id IS 'The same for the runs that together look at everything: the first one''s id.';
COMMENT ON COLUMN verify_runs.began_at IS 'When it began.';
COMMENT ON COLUMN verify_runs.finished_at IS 'When it ended.';
COMMENT ON COLUMN verify_runs.stopped_in IS 'Which table it was looking at when its time was over; null: all of the walk was looked at.';
COMMENT ON COLUMN verify_runs.stopped_at IS 'The last key it had looked at; the next run goes on there.';
COMMENT ON COLUMN verify_runs.findings IS 'How many things are wrong, of this walk so far.';
COMMENT ON COLUMN verify_runs.report IS 'By section: how many, of which kind, and the first few; of this walk so far. Ids only.';
GRANT SELECT, INSERT (walk_id, began_at, stopped_in, stopped_at, findings, report) ON verify_runs TO autodoctor_app;

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
GRANT SELECT ON repairs TO autodoctor_app;
