-- Where Stripe says how much of a charge went back and not by which refunds, they are looked up; and what mechanics owe
-- of what went back is shown to operators.

ALTER TABLE checkouts ADD COLUMN refunds_due_at timestamptz;
CREATE INDEX checkouts_refunds_due ON checkouts (refunds_due_at) WHERE refunds_due_at IS NOT NULL;
COMMENT ON COLUMN checkouts.refunds_due_at IS
  'When Stripe is asked next which refunds its payment has; null: as far as Stripe told, we know them all.';

GRANT UPDATE (refunds_due_at) ON checkouts TO autodoctor_app;

CREATE INDEX ledger_transfer_owed ON ledger_transfer (intake_id)
  WHERE debit_account LIKE 'mechanic:%:receivable' OR credit_account LIKE 'mechanic:%:receivable';
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
CREATE INDEX payout_reversals_impossible ON payout_reversals (created_at) WHERE state = 'impossible';

GRANT SELECT ON receivables TO autodoctor_app;
