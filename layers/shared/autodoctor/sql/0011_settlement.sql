-- What an ended session's money does: decided once, owed from then on, sent by the next part.

CREATE TABLE settlements (
  session_id  uuid PRIMARY KEY REFERENCES sessions (id),
  outcome     text NOT NULL CHECK (outcome IN ('pay', 'refund', 'return', 'nothing')),
  decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  facts       jsonb NOT NULL,
  CONSTRAINT settlements_outcome UNIQUE (session_id, outcome) -- so that what is owed can name what was decided
);
COMMENT ON TABLE settlements IS
  'The one decision about an ended session''s money, never changed: a payout needs pay and a refund needs refund, so both can never start.';
COMMENT ON COLUMN settlements.outcome IS
  'pay: it was completed, and somebody earns; refund: the card is paid back; return: the credits are; nothing: there is nothing to move.';
COMMENT ON COLUMN settlements.decided_at IS 'When.';
COMMENT ON COLUMN settlements.facts IS 'What it was decided from, and the amounts.';
CREATE TRIGGER settlements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlements
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

CREATE TABLE payouts (
  id                  uuid PRIMARY KEY DEFAULT new_id(),
  session_id          uuid NOT NULL REFERENCES sessions (id),
  mechanic_id         uuid NOT NULL REFERENCES mechanics (id),
  kind                text NOT NULL CHECK (kind IN ('session', 'referral', 'escalation')),
  amount_cents        bigint NOT NULL CHECK (amount_cents > 0),
  currency            text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  state               text NOT NULL DEFAULT 'due',
  attempts            integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  next_attempt_at     timestamptz DEFAULT clock_timestamp(),
  idempotency_key     text UNIQUE,
  stripe_transfer_id  text UNIQUE,
  last_error          text,
  created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  settled_outcome     text GENERATED ALWAYS AS (CASE WHEN kind <> 'escalation' THEN 'pay' END) STORED,
  CONSTRAINT payouts_once UNIQUE (session_id, kind),
  CONSTRAINT payouts_state_known CHECK (state IN ('due', 'held', 'sending', 'sent', 'failed', 'reversed')),
  CONSTRAINT payouts_sent_has_a_transfer CHECK (state NOT IN ('sent', 'reversed') OR stripe_transfer_id IS NOT NULL),
  CONSTRAINT payouts_sending_has_a_key CHECK (state <> 'sending' OR idempotency_key IS NOT NULL),
  CONSTRAINT payouts_of_a_paying_session FOREIGN KEY (session_id, settled_outcome) REFERENCES settlements (session_id, outcome)
);
CREATE INDEX payouts_by_mechanic ON payouts (mechanic_id, id);
CREATE INDEX payouts_open ON payouts (next_attempt_at) WHERE state IN ('due', 'sending');
COMMENT ON TABLE payouts IS 'What a mechanic is owed, and how far its way to them is.';
COMMENT ON COLUMN payouts.kind IS 'session: held it; referral: referred its customer; escalation: escalated it to the workshop whose quote was approved.';
COMMENT ON COLUMN payouts.amount_cents IS 'Cents of the currency.';
COMMENT ON COLUMN payouts.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN payouts.state IS
  'due: to be sent; held: not before a dispute is over; sending: Stripe is being asked; sent; failed: given up, see last_error; reversed: sent and taken back.';
COMMENT ON COLUMN payouts.attempts IS 'How often sending was tried.';
COMMENT ON COLUMN payouts.next_attempt_at IS 'Not before.';
COMMENT ON COLUMN payouts.idempotency_key IS 'Of the call to Stripe, stored before it; null: never called.';
COMMENT ON COLUMN payouts.last_error IS 'Why it was not sent the last time.';
COMMENT ON COLUMN payouts.created_at IS 'When it was earned.';
COMMENT ON COLUMN payouts.settled_outcome IS 'What its session''s settlement must be; null: whatever it is.';

CREATE TABLE refunds (
  id                uuid PRIMARY KEY DEFAULT new_id(),
  intake_id         uuid NOT NULL REFERENCES intakes (id),
  kind              text NOT NULL CHECK (kind IN ('session', 'unfulfillable')),
  amount_cents      bigint NOT NULL CHECK (amount_cents > 0),
  currency          text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  state             text NOT NULL DEFAULT 'due',
  attempts          integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  next_attempt_at   timestamptz DEFAULT clock_timestamp(),
  idempotency_key   text UNIQUE,
  stripe_refund_id  text UNIQUE,
  last_error        text,
  created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  settled_outcome   text GENERATED ALWAYS AS (CASE kind WHEN 'session' THEN 'refund' END) STORED,
  CONSTRAINT refunds_once UNIQUE (intake_id, kind),
  CONSTRAINT refunds_state_known CHECK (state IN ('due', 'held', 'sending', 'sent', 'failed')),
  CONSTRAINT refunds_sent_has_an_id CHECK (state <> 'sent' OR stripe_refund_id IS NOT NULL),
  CONSTRAINT refunds_sending_has_a_key CHECK (state <> 'sending' OR idempotency_key IS NOT NULL),
  CONSTRAINT refunds_of_a_refunded_session FOREIGN KEY (intake_id, settled_outcome) REFERENCES settlements (session_id, outcome)
);
CREATE INDEX refunds_open ON refunds (next_attempt_at) WHERE state IN ('due', 'sending');
COMMENT ON TABLE refunds IS 'What a customer gets back on their card, and how far its way is.';
COMMENT ON COLUMN refunds.intake_id IS 'What was paid for; a session has its intake''s id.';
COMMENT ON COLUMN refunds.kind IS 'session: it was cancelled or expired; unfulfillable: the payment never became a session.';
COMMENT ON COLUMN refunds.amount_cents IS 'Cents of the currency.';
COMMENT ON COLUMN refunds.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN refunds.state IS
  'due: to be sent; held: not before a dispute is over; sending: Stripe is being asked; sent: Stripe has it, or had paid it back already; failed: given up, see last_error.';
COMMENT ON COLUMN refunds.attempts IS 'How often sending was tried.';
COMMENT ON COLUMN refunds.next_attempt_at IS 'Not before.';
COMMENT ON COLUMN refunds.idempotency_key IS 'Of the call to Stripe, stored before it; null: never called.';
COMMENT ON COLUMN refunds.last_error IS 'Why it was not sent the last time.';
COMMENT ON COLUMN refunds.created_at IS 'Since when it is owed.';
COMMENT ON COLUMN refunds.settled_outcome IS 'What its session''s settlement must be; null: there is no session.';

-- Written in the transaction that ends a session, removed in the one that settles it: as short as the backlog, so that
-- whatever became of the event, no search through history is needed to find what was missed.
CREATE TABLE settlements_due (
  session_id  uuid PRIMARY KEY,
  ended_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  retry_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE settlements_due SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE settlements_due IS 'Ended sessions with money or credits at stake that are not settled yet.';
COMMENT ON COLUMN settlements_due.ended_at IS 'When the transaction ran that ended it.';
COMMENT ON COLUMN settlements_due.retry_at IS 'The sweep leaves it alone until a while after this.';

CREATE FUNCTION settlement_is_due() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO settlements_due (session_id)
  SELECT i.id FROM intakes i WHERE i.id = NEW.id AND (i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION settlement_is_due() IS 'Notes that a session with something at stake has ended.';
CREATE TRIGGER settlement_is_due AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION settlement_is_due();

CREATE FUNCTION claim_missed_settlements(batch integer DEFAULT 100, grace interval DEFAULT '10 minutes')
RETURNS SETOF uuid LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY
    WITH missed AS MATERIALIZED (
      SELECT d.session_id FROM settlements_due d WHERE d.retry_at <= clock_timestamp() - grace
       ORDER BY d.retry_at LIMIT batch
         FOR UPDATE SKIP LOCKED)
    UPDATE settlements_due d SET retry_at = clock_timestamp() FROM missed
     WHERE d.session_id = missed.session_id RETURNING d.session_id;
END
$$;
COMMENT ON FUNCTION claim_missed_settlements(integer, interval) IS
  'Up to batch sessions that ended longer ago than the grace and are not settled; each is given out again only after another grace, so that one that cannot be settled does not hold up the others.';

GRANT SELECT, INSERT (session_id, outcome, facts) ON settlements TO autodoctor_app;
GRANT SELECT, INSERT (session_id, mechanic_id, kind, amount_cents, currency) ON payouts TO autodoctor_app;
GRANT SELECT, INSERT (intake_id, kind, amount_cents, currency) ON refunds TO autodoctor_app;
GRANT SELECT, DELETE, UPDATE (retry_at) ON settlements_due TO autodoctor_app;
GRANT EXECUTE ON FUNCTION claim_missed_settlements(integer, interval) TO autodoctor_app;
