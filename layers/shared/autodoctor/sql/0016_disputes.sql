-- What customers get back without our doing: refunds made in Stripe's dashboard, and disputes.
--
-- The facts are Stripe's, reported in any order and more than once. Each row also says how it is booked, so that whoever
-- learns something new (a webhook, a sweep, a settlement) books the difference, and locks the payment's row of checkouts
-- first, then that of the payout.

CREATE TABLE stripe_refunds (
  id                 text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
  payment_intent_id  text NOT NULL CHECK (length(payment_intent_id) BETWEEN 1 AND 255),
  amount_cents       bigint NOT NULL CHECK (amount_cents > 0),
  failed             boolean NOT NULL DEFAULT false,
  booked             text NOT NULL DEFAULT 'nothing',
  part               bigint NOT NULL DEFAULT 0 CHECK (part >= 0),
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT stripe_refunds_booked_known CHECK (booked IN ('nothing', 'held', 'split', 'reversed'))
);
CREATE INDEX stripe_refunds_by_payment ON stripe_refunds (payment_intent_id);
CREATE INDEX stripe_refunds_unbooked ON stripe_refunds (payment_intent_id)
  WHERE (NOT failed AND booked = 'nothing') OR (failed AND booked IN ('held', 'split'));
COMMENT ON TABLE stripe_refunds IS 'Every refund that Stripe reported, ours and those made by hand.';
COMMENT ON COLUMN stripe_refunds.id IS 'Stripe''s.';
COMMENT ON COLUMN stripe_refunds.payment_intent_id IS 'Of which payment; it may not be ours, or not be known yet.';
COMMENT ON COLUMN stripe_refunds.amount_cents IS 'Cents of usd.';
COMMENT ON COLUMN stripe_refunds.failed IS 'Whether the customer''s bank refused it, or it was cancelled: the money came back. Final.';
COMMENT ON COLUMN stripe_refunds.booked IS
  'How the ledger has it. nothing: not at all; held: it came out of what was held; split: the platform and the mechanic bear their parts, or the pack''s sale does; reversed: that was booked back.';
COMMENT ON COLUMN stripe_refunds.part IS 'Once split: the mechanic''s part in cents, or how many of the pack''s credits it is for.';
COMMENT ON COLUMN stripe_refunds.created_at IS 'When it was first reported.';
GRANT SELECT,
      INSERT (id, payment_intent_id, amount_cents, failed),
      UPDATE (failed, booked, part)
  ON stripe_refunds TO autodoctor_app;

CREATE TABLE stripe_disputes (
  id                 text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
  payment_intent_id  text NOT NULL CHECK (length(payment_intent_id) BETWEEN 1 AND 255),
  amount_cents       bigint NOT NULL CHECK (amount_cents >= 0),
  status             text NOT NULL CHECK (length(status) BETWEEN 1 AND 64),
  withdrawn_cents    bigint NOT NULL DEFAULT 0 CHECK (withdrawn_cents >= 0),
  reinstated_cents   bigint NOT NULL DEFAULT 0 CHECK (reinstated_cents >= 0),
  booked             text NOT NULL DEFAULT 'nothing',
  lost_cents         bigint NOT NULL DEFAULT 0 CHECK (lost_cents >= 0),
  part               bigint NOT NULL DEFAULT 0 CHECK (part >= 0),
  fees_due_at        timestamptz DEFAULT clock_timestamp(),
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT stripe_disputes_booked_known CHECK (booked IN ('nothing', 'held', 'split', 'reversed'))
);
CREATE INDEX stripe_disputes_by_payment ON stripe_disputes (payment_intent_id);
CREATE INDEX stripe_disputes_unbooked ON stripe_disputes (payment_intent_id)
  WHERE (status = 'lost' AND booked = 'nothing') OR (status <> 'lost' AND booked IN ('held', 'split'));
CREATE INDEX stripe_disputes_fees_due ON stripe_disputes (fees_due_at) WHERE fees_due_at IS NOT NULL;
COMMENT ON TABLE stripe_disputes IS 'Every dispute that Stripe reported.';
COMMENT ON COLUMN stripe_disputes.id IS 'Stripe''s.';
COMMENT ON COLUMN stripe_disputes.payment_intent_id IS 'As in stripe_refunds.';
COMMENT ON COLUMN stripe_disputes.amount_cents IS 'What is disputed, in cents of usd.';
COMMENT ON COLUMN stripe_disputes.status IS 'Stripe''s, the furthest that was reported: an earlier one that comes late changes nothing.';
COMMENT ON COLUMN stripe_disputes.withdrawn_cents IS 'What Stripe took out of our balance for it, without its fee.';
COMMENT ON COLUMN stripe_disputes.reinstated_cents IS 'What of that came back.';
COMMENT ON COLUMN stripe_disputes.booked IS 'As in stripe_refunds, of what was lost; what is only withdrawn is in the account disputed.';
COMMENT ON COLUMN stripe_disputes.lost_cents IS 'What was booked as lost.';
COMMENT ON COLUMN stripe_disputes.part IS 'As in stripe_refunds.';
COMMENT ON COLUMN stripe_disputes.fees_due_at IS 'When Stripe is asked for its fees next; null: they are booked, as far as it moved money.';
COMMENT ON COLUMN stripe_disputes.created_at IS 'When it was first reported.';
COMMENT ON COLUMN stripe_disputes.updated_at IS 'When something new of it was last reported.';
GRANT SELECT,
      INSERT (id, payment_intent_id, amount_cents, status, withdrawn_cents, reinstated_cents),
      UPDATE (status, withdrawn_cents, reinstated_cents, booked, lost_cents, part, fees_due_at, updated_at)
  ON stripe_disputes TO autodoctor_app;

CREATE VIEW losses AS
  SELECT 'refund' AS kind, id, payment_intent_id, amount_cents AS cents, NOT failed AS effective, booked, part, created_at
    FROM stripe_refunds
  UNION ALL
  SELECT 'dispute', id, payment_intent_id,
         CASE WHEN booked IN ('held', 'split') THEN lost_cents ELSE greatest(withdrawn_cents - reinstated_cents, 0) END,
         status = 'lost' AND withdrawn_cents > reinstated_cents, booked, part, created_at
    FROM stripe_disputes;
COMMENT ON VIEW losses IS
  'What customers got back of their payments. effective: the refund did not fail, the dispute is lost. Where effective and booked do not agree, the ledger is behind.';
GRANT SELECT ON losses TO autodoctor_app;
