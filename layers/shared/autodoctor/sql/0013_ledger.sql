-- The ledger: every movement of money and credits is one row, for ever; and what an ended session's money does, decided
-- once and owed from then on.
--
-- payments/ledger/accounts.py has the chart of accounts and what each flow books.

CREATE FUNCTION account_currency(account text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN account IN ('stripe', 'stripe_fees', 'disputed', 'platform_revenue', 'credit_sales', 'free_sessions') THEN 'usd'
    WHEN account IN ('credits_issued', 'credits_spent') THEN 'credit'
    WHEN split_part(account, ':', 2) !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN NULL
    WHEN account ~ '^(customer|session):[^:]*:credits$' THEN 'credit'
    WHEN account ~ '^(session:[^:]*:held|mechanic:[^:]*:payable|(mechanic|customer):[^:]*:receivable)$' THEN 'usd'
  END
$$;
COMMENT ON FUNCTION account_currency(text) IS
  'usd or credit; null: no account of ours. payments/ledger/accounts.py lists the same accounts.';

CREATE FUNCTION statement_subject(key text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN key ~ '^(refund|dispute):' THEN split_part(key, ':', 1) || ':' || split_part(key, ':', 2)
    WHEN key ~ '^correction:.+:[0-9]+$' THEN regexp_replace(key, '^correction:(.+):[0-9]+$', '\1')
    ELSE key END
$$;
COMMENT ON FUNCTION statement_subject(text) IS
  'What a row of the ledger is about, by its key, so that several rows answer for one object of Stripe''s: the parts of a refund, a dispute and its end, and correction:SUBJECT:NUMBER for whatever it corrects.';

CREATE TABLE ledger_transfer (
  id              uuid PRIMARY KEY DEFAULT new_id(),
  key             text NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 255),
  debit_account   text NOT NULL,
  credit_account  text NOT NULL,
  amount          bigint NOT NULL CHECK (amount > 0),
  currency        text NOT NULL,
  kind            text NOT NULL,
  intake_id       uuid REFERENCES intakes (id),
  actor_id        uuid,
  reason          text CHECK (length(reason) BETWEEN 1 AND 500),
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT ledger_transfer_moves_something CHECK (debit_account <> credit_account),
  CONSTRAINT ledger_transfer_one_currency CHECK (
    (account_currency(debit_account) = currency AND account_currency(credit_account) = currency) IS TRUE),
  CONSTRAINT ledger_transfer_kind_known CHECK (kind IN (
    'charge', 'fee', 'refund', 'pack_sale', 'pack_refund',
    'credit_issue', 'credit_grant', 'credit_hold', 'credit_spend', 'credit_return', 'credit_withdrawal',
    'earning', 'platform_share', 'fixed_pay', 'referral', 'escalation',
    'transfer', 'reversal', 'dispute', 'dispute_won', 'dispute_lost', 'receivable', 'correction')),
  CONSTRAINT ledger_transfer_grant_is_explained CHECK (kind <> 'credit_grant' OR num_nonnulls(actor_id, reason) = 2)
);
CREATE INDEX ledger_transfer_by_debit ON ledger_transfer (debit_account, id);
CREATE INDEX ledger_transfer_by_credit ON ledger_transfer (credit_account, id);
CREATE INDEX ledger_transfer_by_intake ON ledger_transfer (intake_id) WHERE intake_id IS NOT NULL;
CREATE INDEX ledger_transfer_by_statement_subject ON ledger_transfer (statement_subject(key))
  WHERE debit_account = 'stripe' OR credit_account = 'stripe';
CREATE INDEX ledger_transfer_owed ON ledger_transfer (intake_id)
  WHERE debit_account LIKE 'mechanic:%:receivable' OR credit_account LIKE 'mechanic:%:receivable';
COMMENT ON TABLE ledger_transfer IS
  'The ledger: each row moves one amount from one account to another. Rows are never changed, a correction is a new row.';
COMMENT ON COLUMN ledger_transfer.key IS 'What the row stands for; a second booking of the same is refused.';
COMMENT ON COLUMN ledger_transfer.debit_account IS 'Where the amount comes from, as payments/ledger/accounts.py names accounts.';
COMMENT ON COLUMN ledger_transfer.credit_account IS 'Where it goes.';
COMMENT ON COLUMN ledger_transfer.amount IS 'Cents of usd, or whole credits.';
COMMENT ON COLUMN ledger_transfer.currency IS 'usd or credit; that of both accounts.';
COMMENT ON COLUMN ledger_transfer.kind IS 'Which flow of payments/ledger/accounts.py it belongs to.';
COMMENT ON COLUMN ledger_transfer.intake_id IS 'What it is about; a session has its intake''s id, and money may come for an intake that never becomes one.';
COMMENT ON COLUMN ledger_transfer.actor_id IS 'The user (sub) who had it booked, where a user did.';
COMMENT ON COLUMN ledger_transfer.reason IS 'Why, in the words of whoever had it booked by hand.';
COMMENT ON COLUMN ledger_transfer.created_at IS 'When, by the database''s clock.';
CREATE TRIGGER ledger_transfer_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfer
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT,
      INSERT (key, debit_account, credit_account, amount, currency, kind, intake_id, actor_id, reason)
  ON ledger_transfer TO autodoctor_app;

CREATE TABLE credit_balances (
  user_id  uuid PRIMARY KEY,
  balance  bigint NOT NULL,
  CONSTRAINT credit_balances_not_negative CHECK (balance >= 0)
);
COMMENT ON TABLE credit_balances IS
  'What each customer''s credit account holds: the sum of its ledger rows, kept by their trigger; the row''s lock is what keeps two intakes from spending the same credit.';
COMMENT ON COLUMN credit_balances.user_id IS 'The sub of the customer''s token, as in the account''s name: credits may come before the first intake.';
COMMENT ON COLUMN credit_balances.balance IS 'Credits that can be spent.';
CREATE TRIGGER credit_balances_follow_the_ledger BEFORE INSERT OR UPDATE OR DELETE ON credit_balances
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER credit_balances_are_kept BEFORE TRUNCATE ON credit_balances
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON credit_balances TO autodoctor_app;

CREATE FUNCTION credit_balance_follows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.debit_account LIKE 'customer:%' THEN
    UPDATE credit_balances SET balance = balance - NEW.amount WHERE user_id = split_part(NEW.debit_account, ':', 2)::uuid;
    IF NOT FOUND THEN -- who has no row has nothing: the constraint says so, as it does to who has too little
      INSERT INTO credit_balances (user_id, balance) VALUES (split_part(NEW.debit_account, ':', 2)::uuid, -NEW.amount);
    END IF;
  END IF;
  IF NEW.credit_account LIKE 'customer:%' THEN
    INSERT INTO credit_balances AS b (user_id, balance)
    VALUES (split_part(NEW.credit_account, ':', 2)::uuid, NEW.amount)
    ON CONFLICT (user_id) DO UPDATE SET balance = b.balance + excluded.balance;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit_balance_follows() IS 'Keeps credit_balances equal to the ledger; refuses by constraint what would overdraw a customer''s credits.';
CREATE TRIGGER credit_balance_follows AFTER INSERT ON ledger_transfer
  FOR EACH ROW WHEN (NEW.currency = 'credit') EXECUTE FUNCTION credit_balance_follows();

CREATE VIEW receivables AS
  SELECT intake_id AS session_id, min(created_at) AS since,
         sum(CASE WHEN debit_account LIKE 'mechanic:%:receivable' THEN amount ELSE -amount END)::bigint AS cents
    FROM ledger_transfer
   WHERE (debit_account LIKE 'mechanic:%:receivable' OR credit_account LIKE 'mechanic:%:receivable')
     AND intake_id IS NOT NULL
   GROUP BY intake_id
  HAVING sum(CASE WHEN debit_account LIKE 'mechanic:%:receivable' THEN amount ELSE -amount END) > 0;
COMMENT ON VIEW receivables IS
  'Sessions of which the mechanic was sent what went back to the customer since, and has not given it back.';
COMMENT ON COLUMN receivables.session_id IS 'Which.';
COMMENT ON COLUMN receivables.since IS 'Since when.';
COMMENT ON COLUMN receivables.cents IS 'What is owed, in cents of usd.';
GRANT SELECT ON receivables TO autodoctor_app;

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
GRANT SELECT, INSERT (session_id, outcome, facts) ON settlements TO autodoctor_app;

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
GRANT SELECT, UPDATE (retry_at), DELETE ON settlements_due TO autodoctor_app;

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
