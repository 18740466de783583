-- Plans and packs, and the ledger: every movement of money and credits is one row, for ever.
--
-- autodoctor/payments/accounts.py has the chart of accounts and what each flow books. One more of our errors
-- (0003 lists the others): AD006, a plan was used as often as a customer may.

ALTER TABLE plans
  ADD COLUMN mechanic_fixed_pay_cents integer NOT NULL DEFAULT 0 CHECK (mechanic_fixed_pay_cents >= 0),
  ADD COLUMN uses_per_customer integer CHECK (uses_per_customer > 0);
COMMENT ON COLUMN plans.mechanic_fixed_pay_cents IS 'What the mechanic of a completed session gets that was paid with free.';
COMMENT ON COLUMN plans.uses_per_customer IS 'How many sessions of this plan a customer may have, cancelled and expired ones not counted; null: no limit.';

ALTER TABLE intakes
  ADD COLUMN mechanic_fixed_pay_cents integer NOT NULL DEFAULT 0 CHECK (mechanic_fixed_pay_cents >= 0),
  ADD COLUMN uses_per_customer integer;
COMMENT ON COLUMN intakes.mechanic_fixed_pay_cents IS 'The plan''s at that moment.';
COMMENT ON COLUMN intakes.uses_per_customer IS 'The plan''s limit that this intake was held against; null: none.';

CREATE TABLE credit_packs (
  code         text PRIMARY KEY,
  name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  credits      integer NOT NULL CHECK (credits > 0),
  price_cents  integer NOT NULL CHECK (price_cents > 0),
  currency     text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  active       boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE credit_packs IS 'Credits that a customer can buy at once.';
COMMENT ON COLUMN credit_packs.code IS 'As sent by clients.';
COMMENT ON COLUMN credit_packs.name IS 'As shown to customers.';
COMMENT ON COLUMN credit_packs.credits IS 'How many credits.';
COMMENT ON COLUMN credit_packs.price_cents IS 'Price of the pack in cents of the currency.';
COMMENT ON COLUMN credit_packs.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN credit_packs.active IS 'Whether it is shown and sold.';
INSERT INTO credit_packs (code, name, credits, price_cents) VALUES
  ('five', '5 credits', 5, 4499), ('ten', '10 credits', 10, 8499), ('twenty', '20 credits', 20, 15999);

-- VOLATILE, so that its query takes a snapshot of its own, after the customer's row was locked.
CREATE FUNCTION check_plan_uses(customer uuid, plan text, allowed integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF (SELECT count(*) FROM intakes i JOIN sessions s ON s.id = i.id
       WHERE i.customer_id = customer AND i.plan_code = plan AND s.status NOT IN ('cancelled', 'expired')) >= allowed THEN
    RAISE EXCEPTION 'plan % was used % times', plan, allowed USING ERRCODE = 'AD006';
  END IF;
  RETURN true;
END
$$;
COMMENT ON FUNCTION check_plan_uses(uuid, text, integer) IS
  'True where the customer may have another session of this plan, else raises AD006; null allows any number. The caller holds the customer''s row, so that no two intakes count at once.';

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
  'usd or credit; null: no account of ours. autodoctor/payments/accounts.py lists the same accounts.';

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
COMMENT ON TABLE ledger_transfer IS
  'The ledger: each row moves one amount from one account to another. Rows are never changed, a correction is a new row.';
COMMENT ON COLUMN ledger_transfer.key IS 'What the row stands for; a second booking of the same is refused.';
COMMENT ON COLUMN ledger_transfer.debit_account IS 'Where the amount comes from, as payments/accounts.py names accounts.';
COMMENT ON COLUMN ledger_transfer.credit_account IS 'Where it goes.';
COMMENT ON COLUMN ledger_transfer.amount IS 'Cents of usd, or whole credits.';
COMMENT ON COLUMN ledger_transfer.currency IS 'usd or credit; that of both accounts.';
COMMENT ON COLUMN ledger_transfer.kind IS 'Which flow of payments/accounts.py it belongs to.';
COMMENT ON COLUMN ledger_transfer.intake_id IS 'What it is about; a session has its intake''s id, and money may come for an intake that never becomes one.';
COMMENT ON COLUMN ledger_transfer.actor_id IS 'The user (sub) who had it booked, where a user did.';
COMMENT ON COLUMN ledger_transfer.reason IS 'Why, in the words of whoever had it booked by hand.';
COMMENT ON COLUMN ledger_transfer.created_at IS 'When, by the database''s clock.';
CREATE TRIGGER ledger_transfer_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfer
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

CREATE TABLE credit_balances (
  user_id  uuid PRIMARY KEY,
  balance  bigint NOT NULL,
  CONSTRAINT credit_balances_not_negative CHECK (balance >= 0)
);
COMMENT ON TABLE credit_balances IS
  'What each customer''s credit account holds: the sum of its ledger rows, kept by their trigger; the row''s lock is what keeps two intakes from spending the same credit.';
COMMENT ON COLUMN credit_balances.user_id IS 'The sub of the customer''s token, as in the account''s name: credits may come before the first intake.';
COMMENT ON COLUMN credit_balances.balance IS 'Credits that can be spent.';

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
CREATE TRIGGER credit_balances_follow_the_ledger BEFORE INSERT OR UPDATE OR DELETE ON credit_balances
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION rows_are_kept();
CREATE TRIGGER credit_balances_are_kept BEFORE TRUNCATE ON credit_balances
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

GRANT SELECT ON credit_packs, credit_balances TO autodoctor_app;
GRANT SELECT, INSERT (key, debit_account, credit_account, amount, currency, kind, intake_id, actor_id, reason)
  ON ledger_transfer TO autodoctor_app;
GRANT EXECUTE ON FUNCTION check_plan_uses(uuid, text, integer), account_currency(text) TO autodoctor_app;
