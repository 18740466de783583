-- Reconciling: our copy of Stripe's statement, beside which the ledger is laid, and what each comparison found.

CREATE FUNCTION statement_subject(key text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN key ~ '^(refund|dispute):' THEN split_part(key, ':', 1) || ':' || split_part(key, ':', 2)
    WHEN key ~ '^correction:.+:[0-9]+$' THEN regexp_replace(key, '^correction:(.+):[0-9]+$', '\1')
    ELSE key END
$$;
COMMENT ON FUNCTION statement_subject(text) IS
  'What a row of the ledger is about, by its key, so that several rows answer for one object of Stripe''s: the parts of a refund, a dispute and its end, and correction:SUBJECT:NUMBER for whatever it corrects.';
CREATE INDEX ledger_transfer_by_statement_subject ON ledger_transfer (statement_subject(key))
  WHERE debit_account = 'stripe' OR credit_account = 'stripe';

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

CREATE TABLE stripe_statement (
  account     text PRIMARY KEY DEFAULT 'platform' CHECK (account = 'platform'),
  whole_until timestamptz
);
COMMENT ON TABLE stripe_statement IS 'How far the copy goes; one row.';
COMMENT ON COLUMN stripe_statement.account IS 'Whose statement: the platform''s.';
COMMENT ON COLUMN stripe_statement.whole_until IS
  'From the account''s beginning until then no movement is missing in stripe_movements; null: it has to be listed from the beginning.';

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

GRANT SELECT,
      INSERT (id, type, flow, source, subject, claimed, amount, fee, currency, livemode, happened_at, charge_id,
              payment_intent_id, transfer_id, destination, checkout_id, intake_id, refund_id, payout_id)
  ON stripe_movements TO autodoctor_app;
GRANT SELECT, INSERT (whole_until), UPDATE (whole_until) ON stripe_statement TO autodoctor_app;
GRANT SELECT, INSERT (started_at, since, finished, found, report) ON reconcile_runs TO autodoctor_app;
GRANT EXECUTE ON FUNCTION statement_subject(text) TO autodoctor_app;
