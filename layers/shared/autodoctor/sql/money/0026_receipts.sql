-- Receipts of what customers paid, credit notes of what went back, and their numbers.
--
-- They follow the ledger: a constraint trigger at the end of each transaction writes one document for the rows of each
-- thing that happened, whoever booked them. So nothing is booked that no document says, and the row of the counter, by
-- which the numbers of a year have no gaps, is the last lock of every transaction and held for its commit only.

CREATE FUNCTION receipt_part(t ledger_transfer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN t.kind IN ('charge', 'pack_sale', 'credit_hold') THEN t.amount
    WHEN t.kind = 'credit_return' OR t.kind = 'contest' AND t.currency = 'credit' THEN -t.amount
    WHEN t.currency <> 'usd' THEN NULL
    -- a refund, also one that failed in the end; and what reconcile found to be otherwise than it was booked
    WHEN statement_subject(t.key) ~ '^(refund:|session:[^:]*:charge$|pack:[^:]*:sale$)'
      THEN CASE 'stripe' WHEN t.debit_account THEN t.amount WHEN t.credit_account THEN -t.amount END
    -- a lost dispute, also one that was won after it was lost; one that is open is not decided
    WHEN t.key ~ '^dispute:[^:]+:lost(:|$)'
      THEN CASE 'disputed' WHEN t.debit_account THEN t.amount WHEN t.credit_account THEN -t.amount END
  END
$$;
COMMENT ON FUNCTION receipt_part(ledger_transfer) IS
  'The customer''s part in a row of the ledger, in cents or credits: positive for what they paid, negative for what went back to them, null for what moves between others.';

CREATE FUNCTION receipt_subject(t ledger_transfer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN t.kind = 'correction' AND t.key LIKE 'correction:%' THEN t.key ELSE statement_subject(t.key) END
$$;
COMMENT ON FUNCTION receipt_subject(ledger_transfer) IS
  'What a document is about: all rows of one subject that are booked together, and go the same way, are one document.';

CREATE TABLE receipt_numbers (
  year  integer PRIMARY KEY,
  last  integer NOT NULL CHECK (last > 0)
);
ALTER TABLE receipt_numbers SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
COMMENT ON TABLE receipt_numbers IS
  'The last number of each year, taken by the transaction that writes the document: it is rolled back with it, so there are no gaps.';
COMMENT ON COLUMN receipt_numbers.year IS 'The year, in UTC.';
COMMENT ON COLUMN receipt_numbers.last IS 'The last number that was given.';
GRANT SELECT ON receipt_numbers TO autodoctor_app;

CREATE TABLE receipts (
  id           uuid PRIMARY KEY DEFAULT new_id(),
  year         integer NOT NULL,
  sequence     integer NOT NULL CHECK (sequence > 0),
  number       text GENERATED ALWAYS AS (
                 year::text || '-' || lpad(sequence::text, greatest(6, length(sequence::text)), '0')) STORED,
  kind         text NOT NULL CHECK (kind IN ('receipt', 'credit_note', 'correction')),
  cause        text NOT NULL,
  subject      text NOT NULL,
  user_id      uuid NOT NULL,
  checkout_id  uuid REFERENCES checkouts (id),
  intake_id    uuid REFERENCES intakes (id),
  corrects_id  uuid REFERENCES receipts (id),
  title        text NOT NULL,
  amount       bigint NOT NULL CHECK (amount > 0),
  tax          bigint NOT NULL DEFAULT 0,
  currency     text NOT NULL CHECK (currency IN ('usd', 'credit')),
  issued_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT receipts_numbered_once UNIQUE (year, sequence),
  CONSTRAINT receipts_tax_is_within CHECK (tax BETWEEN 0 AND amount),
  CONSTRAINT receipts_correct_another CHECK ((kind = 'receipt') = (corrects_id IS NULL)),
  CONSTRAINT receipts_cause_of_its_kind CHECK (CASE kind
    WHEN 'receipt' THEN cause IN ('session', 'credits')
    WHEN 'credit_note' THEN cause IN ('refund', 'dispute', 'credits_returned', 'correction')
    ELSE cause IN ('refund_failed', 'dispute_won', 'correction') END)
);
CREATE INDEX receipts_by_user ON receipts (user_id, id);
CREATE INDEX receipts_by_subject ON receipts (subject);
CREATE INDEX receipts_by_checkout ON receipts (checkout_id) WHERE checkout_id IS NOT NULL;
CREATE INDEX receipts_correcting ON receipts (corrects_id, id) WHERE corrects_id IS NOT NULL;
COMMENT ON TABLE receipts IS
  'What customers have paid and what went back to them, as documents with numbers; written by the ledger''s trigger, never changed. No personal data: the name is looked up when one is shown, and erased with the customer.';
COMMENT ON COLUMN receipts.year IS 'The year of its number, in UTC.';
COMMENT ON COLUMN receipts.sequence IS '1, 2, 3 and so on within the year, without gaps, over all kinds.';
COMMENT ON COLUMN receipts.number IS 'The number as it is printed.';
COMMENT ON COLUMN receipts.kind IS
  'receipt: the customer paid; credit_note: money or credits went back; correction: of a credit note, whose money did not reach the customer in the end.';
COMMENT ON COLUMN receipts.cause IS
  'What for: session, credits (a pack); of a credit note refund, dispute, credits_returned; of a correction refund_failed, dispute_won. correction: reconcile found that Stripe moved another amount.';
COMMENT ON COLUMN receipts.subject IS 'receipt_subject() of its rows in the ledger.';
COMMENT ON COLUMN receipts.user_id IS 'The sub of the customer''s token.';
COMMENT ON COLUMN receipts.checkout_id IS 'The payment by card; null for credits that were spent.';
COMMENT ON COLUMN receipts.intake_id IS 'The intake that was paid; null for a pack of credits.';
COMMENT ON COLUMN receipts.corrects_id IS 'The receipt that a credit note or a correction is of.';
COMMENT ON COLUMN receipts.title IS 'The name of what was bought, as it was then.';
COMMENT ON COLUMN receipts.amount IS 'Cents of usd, or credits: the sum of its lines.';
COMMENT ON COLUMN receipts.tax IS 'The tax within the amount, as Stripe Tax reckoned it; of a credit note in proportion.';
COMMENT ON COLUMN receipts.currency IS 'usd or credit.';
COMMENT ON COLUMN receipts.issued_at IS 'When, by the database''s clock.';
CREATE TRIGGER receipts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON receipts
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON receipts TO autodoctor_app;

CREATE TABLE receipt_lines (
  ledger_id   uuid PRIMARY KEY REFERENCES ledger_transfer (id),
  receipt_id  uuid NOT NULL REFERENCES receipts (id),
  amount      bigint NOT NULL CHECK (amount > 0)
);
CREATE INDEX receipt_lines_by_receipt ON receipt_lines (receipt_id);
COMMENT ON TABLE receipt_lines IS 'The rows of the ledger that a document is made of; each is in one document.';
COMMENT ON COLUMN receipt_lines.ledger_id IS 'The row of the ledger.';
COMMENT ON COLUMN receipt_lines.amount IS 'Its receipt_part(), without its sign.';
CREATE TRIGGER receipt_lines_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt_lines
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON receipt_lines TO autodoctor_app;

CREATE FUNCTION receipt_checkout(t ledger_transfer) RETURNS checkouts LANGUAGE plpgsql STABLE AS $$
DECLARE
  subject text := statement_subject(t.key);
  paid checkouts;
BEGIN
  IF subject LIKE 'refund:%' THEN
    SELECT c.* INTO paid FROM stripe_refunds r JOIN checkouts c ON c.stripe_payment_intent_id = r.payment_intent_id
     WHERE r.id = split_part(subject, ':', 2);
  ELSIF subject LIKE 'dispute:%' THEN
    SELECT c.* INTO paid FROM stripe_disputes d JOIN checkouts c ON c.stripe_payment_intent_id = d.payment_intent_id
     WHERE d.id = split_part(subject, ':', 2);
  ELSIF subject LIKE 'pack:%' THEN
    SELECT c.* INTO paid FROM checkouts c WHERE c.id::text = split_part(subject, ':', 2);
  ELSE
    SELECT c.* INTO paid FROM checkouts c WHERE c.intake_id = t.intake_id;
  END IF;
  RETURN paid;
END
$$;
COMMENT ON FUNCTION receipt_checkout(ledger_transfer) IS 'The payment by card that a row of the ledger with a receipt_part() in money is about.';

CREATE FUNCTION receipt_of(t ledger_transfer) RETURNS receipts LANGUAGE plpgsql STABLE AS $$
DECLARE
  made receipts;
  paid checkouts;
  upwards boolean := receipt_part(t) > 0;
  reason text;
BEGIN
  made.subject := receipt_subject(t);
  made.currency := t.currency;
  made.intake_id := t.intake_id;
  made.kind := CASE WHEN t.kind IN ('charge', 'pack_sale', 'credit_hold') THEN 'receipt'
                    WHEN upwards THEN 'correction' ELSE 'credit_note' END;
  IF t.currency = 'credit' THEN
    made.user_id := split_part(CASE WHEN upwards THEN t.debit_account ELSE t.credit_account END, ':', 2)::uuid;
    SELECT p.name || coalesce(': ' || x.minutes || ' more minutes', '') INTO made.title
      FROM intakes i JOIN plans p ON p.code = i.plan_code LEFT JOIN session_extensions x ON x.id = i.id WHERE i.id = t.intake_id;
    made.cause := CASE WHEN upwards THEN 'session' ELSE 'credits_returned' END;
    SELECT r.id INTO made.corrects_id FROM receipts r
     WHERE NOT upwards AND r.subject = 'session:' || t.intake_id || ':credit_hold';
  ELSE
    paid := receipt_checkout(t);
    made.checkout_id := paid.id;
    made.user_id := paid.user_id;
    made.title := paid.title;
    IF paid.id IS NULL AND t.kind = 'charge' THEN -- paid without a page of ours
      SELECT c.user_id, p.name INTO made.user_id, made.title
        FROM intakes i JOIN customers c ON c.id = i.customer_id JOIN plans p ON p.code = i.plan_code WHERE i.id = t.intake_id;
    END IF;
    reason := CASE split_part(made.subject, ':', 1) WHEN 'refund' THEN 'refund' WHEN 'dispute' THEN 'dispute' END;
    made.cause := CASE made.kind WHEN 'receipt' THEN CASE paid.kind WHEN 'pack' THEN 'credits' ELSE 'session' END
                    WHEN 'credit_note' THEN coalesce(reason, 'correction')
                    ELSE CASE reason WHEN 'refund' THEN 'refund_failed' WHEN 'dispute' THEN 'dispute_won'
                                     ELSE 'correction' END END;
    IF made.kind <> 'receipt' THEN
      SELECT r.id INTO made.corrects_id FROM receipts r
       WHERE r.checkout_id = paid.id AND r.kind = 'receipt' ORDER BY r.id LIMIT 1;
    END IF;
  END IF;
  RETURN made;
END
$$;
COMMENT ON FUNCTION receipt_of(ledger_transfer) IS 'The document of a row of the ledger, without number, amount and tax.';

CREATE FUNCTION tax_within(made receipts) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN made.currency = 'credit' THEN 0
    WHEN made.kind = 'receipt' THEN least(made.amount, coalesce((SELECT c.tax_cents FROM checkouts c WHERE c.id = made.checkout_id), 0))
    ELSE coalesce((SELECT least(made.amount, round(r.tax::numeric * made.amount / r.amount)) FROM receipts r
                    WHERE r.id = made.corrects_id), 0)::bigint END
$$;
COMMENT ON FUNCTION tax_within(receipts) IS 'The tax within a document''s amount: as Stripe reckoned it for the payment, else in proportion.';

CREATE FUNCTION receipts_follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  made receipts;
  booked uuid[];
BEGIN
  IF EXISTS (SELECT FROM receipt_lines l WHERE l.ledger_id = NEW.id) THEN
    RETURN NULL; -- in the document of a row that was booked with it
  END IF;
  made := receipt_of(NEW);
  IF made.user_id IS NULL OR made.title IS NULL OR made.kind <> 'receipt' AND made.corrects_id IS NULL THEN
    RETURN NULL; -- of a payment that is not ours: verify says so (receipt_missing)
  END IF;
  SELECT array_agg(t.id), sum(abs(receipt_part(t))) INTO booked, made.amount FROM ledger_transfer t
   WHERE CASE WHEN NEW.debit_account IN ('stripe', 'disputed') OR NEW.credit_account IN ('stripe', 'disputed')
              THEN statement_subject(t.key) = statement_subject(NEW.key) AND receipt_subject(t) = made.subject
                   AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe'
                        OR t.debit_account = 'disputed' OR t.credit_account = 'disputed')
              ELSE t.id = NEW.id END
     AND sign(receipt_part(t)) = sign(receipt_part(NEW))
     AND NOT EXISTS (SELECT FROM receipt_lines l WHERE l.ledger_id = t.id);
  made.tax := tax_within(made);
  made.year := extract(year FROM clock_timestamp() AT TIME ZONE 'UTC');
  INSERT INTO receipt_numbers AS n (year, last) VALUES (made.year, 1)
  ON CONFLICT (year) DO UPDATE SET last = n.last + 1 RETURNING n.last INTO made.sequence;
  INSERT INTO receipts (year, sequence, kind, cause, subject, user_id, checkout_id, intake_id, corrects_id, title,
                        amount, tax, currency)
  VALUES (made.year, made.sequence, made.kind, made.cause, made.subject, made.user_id, made.checkout_id,
          made.intake_id, made.corrects_id, made.title, made.amount, made.tax, made.currency)
  RETURNING * INTO made;
  INSERT INTO receipt_lines (ledger_id, receipt_id, amount)
  SELECT t.id, made.id, abs(receipt_part(t)) FROM ledger_transfer t WHERE t.id = ANY (booked);
  IF made.checkout_id IS NOT NULL THEN -- the session's own events tell of credits
    PERFORM emit_event('receipt.issued', jsonb_build_object(
      'receiptId', made.id, 'number', made.number, 'kind', made.kind, 'cause', made.cause,
      'checkoutId', made.checkout_id, 'intakeId', made.intake_id, 'amountCents', made.amount,
      'currency', made.currency), coalesce(made.intake_id, made.checkout_id));
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION receipts_follow() IS
  'Writes, at the end of the transaction, the document of the rows that were booked in it, and has its customer told.';
CREATE CONSTRAINT TRIGGER receipts_follow AFTER INSERT ON ledger_transfer
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (receipt_part(NEW) IS NOT NULL) EXECUTE FUNCTION receipts_follow();
