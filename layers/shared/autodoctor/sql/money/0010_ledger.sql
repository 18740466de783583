-- The ledger, settlements, and quotes (an approval pays the mechanic who escalated).

-- The ledger: every movement of money and credits is one row, for ever. A settlement decides once about the money of an
-- ended session, and is owed from then on.
--
-- payments/ledger/accounts.py has the chart of accounts and the bookings of each flow.

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
  'usd or credit; null: not an account of ours. payments/ledger/accounts.py lists the same accounts.';

CREATE FUNCTION statement_subject(key text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN key ~ '^(refund|dispute):' THEN split_part(key, ':', 1) || ':' || split_part(key, ':', 2)
    WHEN key ~ '^correction:.+:[0-9]+$' THEN regexp_replace(key, '^correction:(.+):[0-9]+$', '\1')
    ELSE key END
$$;
COMMENT ON FUNCTION statement_subject(text) IS
  'The subject of a row of the ledger, from its key. Several rows may have the same object of Stripe''s as their subject: the parts of a refund, a dispute and its end, and corrections of them (correction:SUBJECT:NUMBER).';

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
  change_id       uuid,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT ledger_transfer_moves_something CHECK (debit_account <> credit_account),
  CONSTRAINT ledger_transfer_one_currency CHECK (
    (account_currency(debit_account) = currency AND account_currency(credit_account) = currency) IS TRUE),
  CONSTRAINT ledger_transfer_kind_known CHECK (kind IN (
    'charge', 'fee', 'refund', 'pack_sale', 'pack_refund',
    'credit_issue', 'credit_grant', 'credit_hold', 'credit_spend', 'credit_return', 'credit_withdrawal',
    'earning', 'platform_share', 'fixed_pay', 'referral', 'escalation',
    'transfer', 'netting', 'reversal', 'contest', 'dispute', 'dispute_won', 'dispute_lost', 'receivable', 'correction')),
  CONSTRAINT ledger_transfer_grant_is_explained CHECK (kind <> 'credit_grant' OR num_nonnulls(actor_id, reason) = 2),
  CONSTRAINT ledger_transfer_grant_is_audited CHECK ((kind = 'credit_grant') = (change_id IS NOT NULL)),
  CONSTRAINT ledger_transfer_netting_is_one_mechanics CHECK (
    kind <> 'netting' OR intake_id IS NOT NULL AND debit_account ~ '^mechanic:[^:]+:payable$'
      AND credit_account = regexp_replace(debit_account, ':payable$', ':receivable')
      AND key ~ ('^payout:[0-9a-f-]{36}:netting:' || intake_id || '$'))
);
CREATE INDEX ledger_transfer_by_debit ON ledger_transfer (debit_account, id);
CREATE INDEX ledger_transfer_by_credit ON ledger_transfer (credit_account, id);
CREATE INDEX ledger_transfer_by_intake ON ledger_transfer (intake_id) WHERE intake_id IS NOT NULL;
CREATE INDEX ledger_transfer_by_statement_subject ON ledger_transfer (statement_subject(key))
  WHERE debit_account = 'stripe' OR credit_account = 'stripe' OR debit_account = 'disputed' OR credit_account = 'disputed';
CREATE INDEX ledger_transfer_owed ON ledger_transfer (intake_id)
  WHERE debit_account LIKE 'mechanic:%:receivable' OR credit_account LIKE 'mechanic:%:receivable';
CREATE INDEX ledger_transfer_netting ON ledger_transfer (split_part(key, ':', 2)) WHERE kind = 'netting';
COMMENT ON TABLE ledger_transfer IS
  'The ledger: each row moves one amount from one account to another. Rows are never changed, a correction is a new row.';
COMMENT ON COLUMN ledger_transfer.key IS 'Names the booking; a second one with the same key is refused.';
COMMENT ON COLUMN ledger_transfer.debit_account IS 'The account that the amount comes from, by its name in payments/ledger/accounts.py.';
COMMENT ON COLUMN ledger_transfer.credit_account IS 'The account that the amount goes to.';
COMMENT ON COLUMN ledger_transfer.amount IS 'Cents of usd, or whole credits.';
COMMENT ON COLUMN ledger_transfer.currency IS 'usd or credit; that of both accounts.';
COMMENT ON COLUMN ledger_transfer.kind IS 'Its flow in payments/ledger/accounts.py.';
COMMENT ON COLUMN ledger_transfer.intake_id IS 'The intake that it concerns; its session has the same id, but money may come for an intake that never becomes a session.';
COMMENT ON COLUMN ledger_transfer.actor_id IS 'The user (sub) who had it booked, if a user did.';
COMMENT ON COLUMN ledger_transfer.reason IS 'The reason of a booking by hand, in the operator''s words.';
COMMENT ON COLUMN ledger_transfer.change_id IS 'For a grant of credits, its row in admin_changes, which its trigger writes.';
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
  'The balance of each customer''s credit account: the sum of its ledger rows, kept by their trigger. The lock on the row keeps two intakes from spending the same credit.';
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
    IF NOT FOUND THEN -- no row means no credits: the constraint refuses, as it does when there are too few
      INSERT INTO credit_balances (user_id, balance) VALUES (split_part(NEW.debit_account, ':', 2)::uuid, -NEW.amount);
    END IF;
    IF NEW.kind = 'credit_hold' AND EXISTS (
         SELECT FROM credit_balances b WHERE b.user_id = split_part(NEW.debit_account, ':', 2)::uuid
            AND b.balance < frozen_credits(b.user_id)) THEN
      RAISE EXCEPTION 'the credits that are left are of a pack whose payment is disputed'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_balances_not_negative';
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
COMMENT ON FUNCTION credit_balance_follows() IS 'Keeps credit_balances equal to the ledger; a constraint refuses to overdraw a customer''s credits, or to spend those of a pack whose payment is disputed.';
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
  'Sessions for which the mechanic owes money: it was sent to them, has gone back to the customer since, and was not recovered.';
COMMENT ON COLUMN receivables.session_id IS 'The session.';
COMMENT ON COLUMN receivables.since IS 'When the debt began.';
COMMENT ON COLUMN receivables.cents IS 'The amount owed, in cents of usd.';
GRANT SELECT ON receivables TO autodoctor_app;

CREATE TABLE settlements (
  session_id  uuid PRIMARY KEY REFERENCES sessions (id),
  outcome     text NOT NULL CHECK (outcome IN ('pay', 'refund', 'return', 'nothing')),
  decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  facts       jsonb NOT NULL,
  CONSTRAINT settlements_outcome UNIQUE (session_id, outcome) -- so that payouts and refunds can refer to the decision
);
COMMENT ON TABLE settlements IS
  'The one decision about an ended session''s money, never changed: a payout needs pay and a refund needs refund, so only one of them can start.';
COMMENT ON COLUMN settlements.outcome IS
  'pay: it was completed, and somebody earns; refund: the payment by card goes back; return: the credits go back; nothing: there is nothing to move.';
COMMENT ON COLUMN settlements.decided_at IS 'When it was decided.';
COMMENT ON COLUMN settlements.facts IS 'The basis of the decision, and the amounts.';
CREATE TRIGGER settlements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlements
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT, INSERT (session_id, outcome, facts) ON settlements TO autodoctor_app;

-- Written in the transaction that ends a session, removed in the one that settles it: as short as the backlog. So even
-- if an event is lost, its session is found without a search through the history.
CREATE TABLE settlements_due (
  session_id  uuid PRIMARY KEY,
  ended_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  retry_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE settlements_due SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE settlements_due IS 'Ended sessions with money or credits at stake that are not settled yet.';
COMMENT ON COLUMN settlements_due.ended_at IS 'The time of the transaction that ended it.';
COMMENT ON COLUMN settlements_due.retry_at IS 'The sweep skips it until the grace after this is over.';
GRANT SELECT, UPDATE (retry_at), DELETE ON settlements_due TO autodoctor_app;

CREATE FUNCTION settlement_is_due() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO settlements_due (session_id)
  SELECT i.id FROM intakes i
   WHERE i.id = NEW.id AND (i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0
                            OR EXISTS (SELECT FROM quotes q WHERE q.approved_session_id = NEW.id)
                            OR EXISTS (SELECT FROM session_extensions x WHERE x.session_id = NEW.id AND x.status = 'running'));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION settlement_is_due() IS 'Records that a session with money or credits at stake has ended.';
CREATE TRIGGER settlement_is_due AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION settlement_is_due();

CREATE FUNCTION claim_missed_settlements(batch integer DEFAULT 100, grace interval DEFAULT evidence_grace())
RETURNS SETOF settlements_due LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY
    WITH missed AS MATERIALIZED (
      SELECT d.session_id FROM settlements_due d WHERE d.retry_at <= clock_timestamp() - grace
         AND NOT EXISTS (SELECT FROM settlement_holds h WHERE h.session_id = d.session_id AND h.outcome IS NULL)
       ORDER BY d.retry_at LIMIT batch
         FOR UPDATE SKIP LOCKED)
    UPDATE settlements_due d SET retry_at = clock_timestamp() FROM missed
     WHERE d.session_id = missed.session_id RETURNING d.*;
END
$$;
COMMENT ON FUNCTION claim_missed_settlements(integer, interval) IS
  'Up to batch sessions that ended longer ago than the grace, are not settled and wait for no decision of a person. Each is returned again only after another grace, so that one that cannot be settled does not hold up the others.';

-- Quotes of workshops for sessions that were escalated to them.

CREATE TABLE quotes (
  id                   uuid PRIMARY KEY DEFAULT new_id(),
  session_id           uuid NOT NULL REFERENCES sessions (id),
  mechanic_id          uuid NOT NULL REFERENCES mechanics (id),
  workshop_id          uuid NOT NULL REFERENCES workshops (id),
  escalation_bp        integer NOT NULL DEFAULT escalation_bp() CHECK (escalation_bp BETWEEN 0 AND 10000),
  note                 text CHECK (length(note) BETWEEN 1 AND 2000),
  currency             text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  requested_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  status               text NOT NULL DEFAULT 'requested',
  amount_cents         integer CHECK (amount_cents BETWEEN 1 AND 10000000),
  description          text CHECK (length(description) BETWEEN 1 AND 2000),
  given_by_id          uuid REFERENCES mechanics (id),
  given_at             timestamptz,
  decided_at           timestamptz,
  actor                text,
  actor_id             uuid,
  approved_session_id  uuid GENERATED ALWAYS AS (CASE status WHEN 'approved' THEN session_id END) STORED,
  CONSTRAINT quotes_once_a_workshop UNIQUE (session_id, workshop_id),
  CONSTRAINT quotes_one_approved UNIQUE (approved_session_id),
  CONSTRAINT quotes_status_known CHECK (status IN ('requested', 'given', 'approved', 'declined', 'superseded')),
  CONSTRAINT quotes_given_with_an_amount CHECK (
    num_nonnulls(amount_cents, given_by_id, given_at) IN (0, 3)
    AND CASE status WHEN 'requested' THEN amount_cents IS NULL
                    WHEN 'given' THEN amount_cents IS NOT NULL
                    WHEN 'approved' THEN amount_cents IS NOT NULL
                    ELSE true END),
  CONSTRAINT quotes_described_with_an_amount CHECK (description IS NULL OR amount_cents IS NOT NULL),
  CONSTRAINT quotes_end_is_stamped CHECK ((status IN ('approved', 'declined', 'superseded')) = (decided_at IS NOT NULL)),
  CONSTRAINT quotes_actor_is_consumed CHECK (num_nonnulls(actor, actor_id) = 0)
);
CREATE INDEX quotes_by_workshop ON quotes (workshop_id, id);
CREATE INDEX quotes_by_mechanic ON quotes (mechanic_id, id);
COMMENT ON TABLE quotes IS
  'A workshop''s offer of a repair and its price, after a mechanic escalated a session to it: one for each session and workshop. The repair and its payment are outside this system.';
COMMENT ON COLUMN quotes.mechanic_id IS 'The session''s mechanic, who escalated it.';
COMMENT ON COLUMN quotes.escalation_bp IS 'The mechanic''s part of the amount once it is approved, in basis points: the setting at the escalation.';
COMMENT ON COLUMN quotes.note IS 'The mechanic''s note to the workshop; may hold personal data.';
COMMENT ON COLUMN quotes.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN quotes.requested_at IS 'When it was escalated.';
COMMENT ON COLUMN quotes.status IS
  'requested: the workshop has not answered; given: it has an amount, which may still change; approved or declined: by the customer; superseded: the customer approved another workshop''s.';
COMMENT ON COLUMN quotes.amount_cents IS 'Cents of the currency.';
COMMENT ON COLUMN quotes.description IS 'The repair that the amount is for, in the workshop''s words; may hold personal data.';
COMMENT ON COLUMN quotes.given_by_id IS 'The mechanic of the workshop who gave the present amount.';
COMMENT ON COLUMN quotes.given_at IS 'When the present amount was given.';
COMMENT ON COLUMN quotes.decided_at IS 'When it was approved, declined or superseded.';
COMMENT ON COLUMN quotes.actor IS 'Write-only, as in sessions.';
COMMENT ON COLUMN quotes.actor_id IS 'Write-only, as in sessions.';
COMMENT ON COLUMN quotes.approved_session_id IS 'Its session, once it is approved: a session has one approved quote at most, and only its escalation is paid.';
CREATE TRIGGER quotes_are_kept BEFORE DELETE OR TRUNCATE ON quotes
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT,
      INSERT (id, session_id, mechanic_id, workshop_id, note, actor, actor_id),
      UPDATE (status, amount_cents, description, given_by_id, actor, actor_id)
  ON quotes TO autodoctor_app;

CREATE TABLE quote_events (
  quote_id      uuid NOT NULL,
  id            bigint NOT NULL DEFAULT nextval('event_sequence'),
  occurred_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor         text NOT NULL,
  actor_id      uuid,
  from_status   text,
  to_status     text NOT NULL,
  amount_cents  integer,
  PRIMARY KEY (quote_id, id)
);
COMMENT ON TABLE quote_events IS 'The audit trail of quotes, written only by their trigger; without a foreign key, because that trigger runs before the row exists.';
COMMENT ON COLUMN quote_events.id IS 'Order of writing.';
COMMENT ON COLUMN quote_events.occurred_at IS 'When, by the database''s clock.';
COMMENT ON COLUMN quote_events.actor IS 'Who acted, as in sessions.actor.';
COMMENT ON COLUMN quote_events.actor_id IS 'The user''s id (sub), if a user acted.';
COMMENT ON COLUMN quote_events.from_status IS 'Null for the creation; given to given: the amount or its description changed.';
COMMENT ON COLUMN quote_events.to_status IS 'The new status.';
COMMENT ON COLUMN quote_events.amount_cents IS 'The new amount.';
CREATE TRIGGER quote_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON quote_events
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON quote_events TO autodoctor_app;

CREATE FUNCTION quote_may_move(source text, target text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE source
    WHEN 'requested' THEN target IN ('given', 'declined', 'superseded')
    WHEN 'given' THEN target IN ('given', 'approved', 'declined', 'superseded')
    ELSE false END
$$;
COMMENT ON FUNCTION quote_may_move(text, text) IS 'Whether a quote may go from one status to another; a decision is final.';

CREATE FUNCTION check_escalation(asked quotes) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  -- the session's row is the lock between escalation and approval; each query below sees what was committed meanwhile
  PERFORM FROM sessions s WHERE s.id = asked.session_id FOR NO KEY UPDATE;
  IF asked.status <> 'requested' THEN
    RAISE EXCEPTION 'a quote starts requested, not %', asked.status USING ERRCODE = 'AD001';
  ELSIF NOT EXISTS (SELECT FROM sessions s WHERE s.id = asked.session_id AND s.mechanic_id = asked.mechanic_id
                       AND s.status IN ('live', 'completed')) THEN
    RAISE EXCEPTION 'session % cannot be escalated by mechanic %', asked.session_id, asked.mechanic_id USING ERRCODE = 'AD001';
  ELSIF EXISTS (SELECT FROM quotes q WHERE q.approved_session_id = asked.session_id) THEN
    RAISE EXCEPTION 'session % has an approved quote', asked.session_id USING ERRCODE = 'AD001';
  END IF;
END
$$;
COMMENT ON FUNCTION check_escalation(quotes) IS 'Refuses an escalation if the session is neither live nor completed, if another than its mechanic escalates, or if a quote was approved.';

CREATE FUNCTION check_quote_move(was quotes, row_now quotes) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF (row_now.id, row_now.session_id, row_now.mechanic_id, row_now.workshop_id, row_now.escalation_bp, row_now.note,
      row_now.currency, row_now.requested_at)
     IS DISTINCT FROM (was.id, was.session_id, was.mechanic_id, was.workshop_id, was.escalation_bp, was.note,
                       was.currency, was.requested_at) THEN
    RAISE EXCEPTION 'the request of quote % is fixed', was.id USING ERRCODE = 'AD004';
  ELSIF NOT quote_may_move(was.status, row_now.status) THEN
    RAISE EXCEPTION 'quote % cannot go from % to %', was.id, was.status, row_now.status USING ERRCODE = 'AD001';
  ELSIF row_now.status <> 'given'
    AND (row_now.amount_cents, row_now.description, row_now.given_by_id, row_now.given_at)
        IS DISTINCT FROM (was.amount_cents, was.description, was.given_by_id, was.given_at) THEN
    RAISE EXCEPTION 'the amount of quote % cannot change with the decision', was.id USING ERRCODE = 'AD004';
  ELSIF row_now.status = 'given' AND NOT EXISTS (
      SELECT FROM mechanics m WHERE m.id = row_now.given_by_id AND m.workshop_id = was.workshop_id) THEN
    RAISE EXCEPTION 'quote % belongs to another workshop', was.id USING ERRCODE = 'AD002';
  END IF;
END
$$;
COMMENT ON FUNCTION check_quote_move(quotes, quotes) IS 'Refuses moves that do not exist, amounts that change with the decision, and amounts from other workshops.';

CREATE FUNCTION quotes_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := clock_timestamp();
  source text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM FROM customers c JOIN intakes i ON i.customer_id = c.id WHERE i.id = NEW.session_id FOR SHARE OF c; -- see below
    PERFORM check_escalation(NEW);
  ELSIF (NEW.note IS DISTINCT FROM OLD.note OR NEW.description IS DISTINCT FROM OLD.description)
    AND (NEW.note IS NULL OR NEW.note = OLD.note) AND (NEW.description IS NULL OR NEW.description = OLD.description)
    -- the generated column has no value yet
    AND to_jsonb(NEW) - '{note,description,approved_session_id}'::text[]
        = to_jsonb(OLD) - '{note,description,approved_session_id}'::text[] THEN
    RETURN NEW; -- only possible personal data was erased: nothing happened to the quote
  ELSE
    source := OLD.status;
    IF NEW.status = 'given' THEN
      NEW.given_at := at;
    ELSIF NEW.status <> source THEN
      NEW.decided_at := at;
    END IF;
    PERFORM check_quote_move(OLD, NEW);
  END IF;
  IF num_nonnulls(NEW.note, NEW.description) > 0 AND EXISTS (
       SELECT FROM intakes i JOIN customers c ON c.id = i.customer_id WHERE i.id = NEW.session_id AND c.erased_at IS NOT NULL) THEN
    NEW.note := NULL; -- what is said of a customer whose data was erased is not kept
    NEW.description := NULL;
  END IF;
  INSERT INTO quote_events (quote_id, occurred_at, actor, actor_id, from_status, to_status, amount_cents)
  VALUES (NEW.id, at, coalesce(NEW.actor, 'db:' || session_user), NEW.actor_id, source, NEW.status, NEW.amount_cents);
  PERFORM emit_event('quote.' || NEW.status, jsonb_build_object(
    'quoteId', NEW.id, 'sessionId', NEW.session_id, 'workshopId', NEW.workshop_id, 'mechanicId', NEW.mechanic_id,
    'customerId', (SELECT s.customer_id FROM sessions s WHERE s.id = NEW.session_id),
    'amountCents', NEW.amount_cents, 'currency', NEW.currency), NEW.id);
  NEW.actor := NULL;
  NEW.actor_id := NULL;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION quotes_guard() IS 'Refuses what the checks refuse, keeps no words about a customer whose data was erased, sets times, writes the audit row and the event.';
CREATE TRIGGER quotes_guard BEFORE INSERT OR UPDATE ON quotes FOR EACH ROW EXECUTE FUNCTION quotes_guard();

CREATE FUNCTION quotes_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE quotes q SET note = NULL, description = NULL
    FROM intakes i WHERE i.customer_id = NEW.id AND q.session_id = i.id AND num_nonnulls(q.note, q.description) > 0;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION quotes_forget() IS 'Removes the words from the quotes of a customer whose data is erased.';
CREATE TRIGGER quotes_forget AFTER UPDATE OF erased_at ON customers FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION quotes_forget();
