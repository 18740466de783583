-- What goes back of a payment though we did not ask for it: refunds by hand, disputes; and what Stripe charges.
--
-- The facts are Stripe's, told in any order and more than once; what of them stands in the ledger is beside them, so that
-- whoever learns something new (a webhook, a sweep, a settlement) books the difference. Who does holds the payment's row
-- of checkouts first, then that of the payout.

CREATE TABLE stripe_refunds (
  id                 text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
  payment_intent_id  text NOT NULL CHECK (length(payment_intent_id) BETWEEN 1 AND 255),
  amount_cents       bigint NOT NULL CHECK (amount_cents > 0),
  failed             boolean NOT NULL DEFAULT false,
  booked             text NOT NULL DEFAULT 'nothing',
  part               bigint NOT NULL DEFAULT 0 CHECK (part >= 0),
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT stripe_refunds_booked_known CHECK (booked IN ('nothing', 'held', 'parted', 'undone'))
);
CREATE INDEX stripe_refunds_by_payment ON stripe_refunds (payment_intent_id);
CREATE INDEX stripe_refunds_unbooked ON stripe_refunds (payment_intent_id)
  WHERE (NOT failed AND booked = 'nothing') OR (failed AND booked IN ('held', 'parted'));
COMMENT ON TABLE stripe_refunds IS 'Every refund that Stripe told of, ours and those made by hand.';
COMMENT ON COLUMN stripe_refunds.id IS 'Stripe''s.';
COMMENT ON COLUMN stripe_refunds.payment_intent_id IS 'Of which payment; it may be none of ours, or one that we have not heard of yet.';
COMMENT ON COLUMN stripe_refunds.amount_cents IS 'Cents of usd.';
COMMENT ON COLUMN stripe_refunds.failed IS 'Whether the customer''s bank did not take it, or it was cancelled: the money came back. Final.';
COMMENT ON COLUMN stripe_refunds.booked IS
  'What of it the ledger has. nothing; held: it came out of what was held; parted: the platform and the mechanic bear their parts, or the pack''s sale does; undone: that was booked back.';
COMMENT ON COLUMN stripe_refunds.part IS 'Once parted: the mechanic''s part in cents, or how many of the pack''s credits it is for.';
COMMENT ON COLUMN stripe_refunds.created_at IS 'When we heard of it.';

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
  CONSTRAINT stripe_disputes_booked_known CHECK (booked IN ('nothing', 'held', 'parted', 'undone'))
);
CREATE INDEX stripe_disputes_by_payment ON stripe_disputes (payment_intent_id);
CREATE INDEX stripe_disputes_unbooked ON stripe_disputes (payment_intent_id)
  WHERE (status = 'lost' AND booked = 'nothing') OR (status <> 'lost' AND booked IN ('held', 'parted'));
CREATE INDEX stripe_disputes_fees_due ON stripe_disputes (fees_due_at) WHERE fees_due_at IS NOT NULL;
COMMENT ON TABLE stripe_disputes IS 'Every dispute that Stripe told of.';
COMMENT ON COLUMN stripe_disputes.id IS 'Stripe''s.';
COMMENT ON COLUMN stripe_disputes.payment_intent_id IS 'As in stripe_refunds.';
COMMENT ON COLUMN stripe_disputes.amount_cents IS 'What is disputed, in cents of usd.';
COMMENT ON COLUMN stripe_disputes.status IS 'Stripe''s, as far as it ever was: late news of an earlier one changes nothing.';
COMMENT ON COLUMN stripe_disputes.withdrawn_cents IS 'What Stripe took out of our balance for it, its fee apart.';
COMMENT ON COLUMN stripe_disputes.reinstated_cents IS 'What of that came back.';
COMMENT ON COLUMN stripe_disputes.booked IS 'As in stripe_refunds, of what was lost; what is only withdrawn is in the account disputed.';
COMMENT ON COLUMN stripe_disputes.lost_cents IS 'What was booked as lost.';
COMMENT ON COLUMN stripe_disputes.part IS 'As in stripe_refunds.';
COMMENT ON COLUMN stripe_disputes.fees_due_at IS 'When Stripe is asked for its fees next; null: they are booked, as far as it moved money.';
COMMENT ON COLUMN stripe_disputes.created_at IS 'When we heard of it.';
COMMENT ON COLUMN stripe_disputes.updated_at IS 'When we last heard something new of it.';

CREATE VIEW losses AS
  SELECT 'refund' AS kind, id, payment_intent_id, amount_cents AS cents, NOT failed AS stands, booked, part, created_at
    FROM stripe_refunds
  UNION ALL
  SELECT 'dispute', id, payment_intent_id,
         CASE WHEN booked IN ('held', 'parted') THEN lost_cents ELSE greatest(withdrawn_cents - reinstated_cents, 0) END,
         status = 'lost' AND withdrawn_cents > reinstated_cents, booked, part, created_at
    FROM stripe_disputes;
COMMENT ON VIEW losses IS
  'What of payments is gone: refunds that stand, and disputes that are lost. Where stands and booked do not fit, the ledger is behind.';

-- Whose fee is booked and whose not, beside what it is a fee of.
ALTER TABLE checkouts
  ADD COLUMN fee_due_at    timestamptz,
  ADD COLUMN fee_booked_at timestamptz;
CREATE INDEX checkouts_fee_due ON checkouts (coalesce(fee_due_at, created_at))
  WHERE fee_booked_at IS NULL AND status IN ('paid', 'unfulfillable');
COMMENT ON COLUMN checkouts.fee_due_at IS 'When Stripe is asked next for its fee; null: as soon as it is paid.';
COMMENT ON COLUMN checkouts.fee_booked_at IS 'When Stripe''s fee was booked.';

-- Of a payout: amount_cents is what was earned, the rest is where it is. What is still with us is
-- amount_cents - withheld_cents - sent_cents + reversed_cents, and over all payouts of a mechanic that is their payable.
ALTER TABLE payouts
  ADD COLUMN withheld_cents bigint NOT NULL DEFAULT 0,
  ADD COLUMN sent_cents     bigint NOT NULL DEFAULT 0,
  ADD COLUMN reversed_cents bigint NOT NULL DEFAULT 0,
  DROP CONSTRAINT payouts_state_known,
  ADD CONSTRAINT payouts_state_known CHECK (state IN ('due', 'held', 'sending', 'sent', 'failed', 'reversed', 'cancelled'));
UPDATE payouts SET sent_cents = amount_cents WHERE state IN ('sent', 'reversed');
UPDATE payouts p SET reversed_cents = (
    SELECT coalesce(sum(t.amount), 0) FROM ledger_transfer t
     WHERE t.intake_id = p.session_id AND t.kind = 'reversal' AND t.credit_account = 'mechanic:' || p.mechanic_id || ':payable')
 WHERE state = 'reversed';
ALTER TABLE payouts
  ADD CONSTRAINT payouts_goes_where_it_can CHECK (
    withheld_cents BETWEEN 0 AND amount_cents AND sent_cents >= 0 AND reversed_cents BETWEEN 0 AND sent_cents
    AND withheld_cents + sent_cents <= amount_cents + reversed_cents),
  ADD CONSTRAINT payouts_cancelled_is_withheld CHECK (state <> 'cancelled' OR withheld_cents = amount_cents);
COMMENT ON COLUMN payouts.amount_cents IS 'What was earned, in cents of the currency.';
COMMENT ON COLUMN payouts.withheld_cents IS 'What of it went back to the customer: not sent, or kept of what was taken back.';
COMMENT ON COLUMN payouts.sent_cents IS 'The transfer at Stripe: what was earned less what was withheld by then.';
COMMENT ON COLUMN payouts.reversed_cents IS 'What of the transfer was taken back at Stripe.';
COMMENT ON COLUMN payouts.state IS
  'due: to be sent; held: not before a dispute is over; sending: Stripe is being asked; sent; failed: given up, see last_error; reversed: sent, and all or some of it taken back at Stripe, which the ledger has; cancelled: never sent, the customer got all of it back.';
DROP INDEX payouts_open;
DROP INDEX refunds_open;
CREATE INDEX payouts_open ON payouts (next_attempt_at) WHERE state IN ('due', 'held', 'sending');
CREATE INDEX refunds_open ON refunds (next_attempt_at) WHERE state IN ('due', 'held', 'sending');

CREATE TABLE payout_reversals (
  id                  uuid PRIMARY KEY DEFAULT new_id(),
  payout_id           uuid NOT NULL REFERENCES payouts (id),
  dispute_id          text NOT NULL REFERENCES stripe_disputes (id),
  amount_cents        bigint NOT NULL CHECK (amount_cents > 0),
  state               text NOT NULL DEFAULT 'due',
  attempts            integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  next_attempt_at     timestamptz DEFAULT clock_timestamp(),
  idempotency_key     text UNIQUE,
  keyed_at            timestamptz,
  asked_cents         bigint CHECK (asked_cents > 0),
  lease_id            uuid,
  stripe_reversal_id  text UNIQUE,
  last_error          text,
  created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  done_at             timestamptz,
  CONSTRAINT payout_reversals_once UNIQUE (payout_id, dispute_id),
  CONSTRAINT payout_reversals_state_known CHECK (state IN ('due', 'sending', 'done', 'impossible', 'cancelled')),
  CONSTRAINT payout_reversals_sending_has_a_lease CHECK (state <> 'sending' OR lease_id IS NOT NULL),
  CONSTRAINT payout_reversals_asks_under_a_key CHECK ((idempotency_key IS NULL) = (asked_cents IS NULL))
);
CREATE INDEX payout_reversals_open ON payout_reversals (next_attempt_at) WHERE state IN ('due', 'sending');
CREATE INDEX payout_reversals_by_dispute ON payout_reversals (dispute_id);
COMMENT ON TABLE payout_reversals IS 'What is to be taken back of payouts that were sent, since a dispute was lost; what cannot be stays a receivable.';
COMMENT ON COLUMN payout_reversals.dispute_id IS 'Which was lost.';
COMMENT ON COLUMN payout_reversals.amount_cents IS 'The mechanic''s part of what was lost, in cents of usd.';
COMMENT ON COLUMN payout_reversals.state IS
  'due: to be asked for; sending: Stripe is being asked; done: it was taken back, by us or by hand; impossible: given up, see last_error, and the mechanic owes it; cancelled: the dispute was won after all.';
COMMENT ON COLUMN payout_reversals.attempts IS 'As in payouts.';
COMMENT ON COLUMN payout_reversals.next_attempt_at IS 'As in payouts.';
COMMENT ON COLUMN payout_reversals.idempotency_key IS 'Of the call to Stripe, stored before it; null: no call counts.';
COMMENT ON COLUMN payout_reversals.keyed_at IS 'As in payouts.';
COMMENT ON COLUMN payout_reversals.asked_cents IS 'What is asked for under the key: the amount, or what was left of the transfer.';
COMMENT ON COLUMN payout_reversals.lease_id IS 'As in payouts.';
COMMENT ON COLUMN payout_reversals.stripe_reversal_id IS 'Ours; null where it was taken back by hand.';
COMMENT ON COLUMN payout_reversals.last_error IS 'Why it was not taken back the last time.';
COMMENT ON COLUMN payout_reversals.created_at IS 'When the dispute was lost.';
COMMENT ON COLUMN payout_reversals.done_at IS 'When it was found to be taken back.';

CREATE FUNCTION retry_reversal(reversal uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH again AS (
    UPDATE payout_reversals SET state = 'due', attempts = 0, next_attempt_at = clock_timestamp()
     WHERE id = reversal AND state = 'impossible' RETURNING id)
  SELECT EXISTS (SELECT FROM again)
$$;
COMMENT ON FUNCTION retry_reversal(uuid) IS 'Has a reversal that was impossible tried again, for operators; false where it was not.';

-- A mechanic whose account Stripe rejected, or who lost it, begins anew.
ALTER TABLE mechanic_accounts ADD COLUMN former_account_ids text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN mechanic_accounts.former_account_ids IS 'Accounts that an operator gave up: the mechanic is led to a new one.';
CREATE FUNCTION renew_mechanic_account(mechanic uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH given_up AS (
    UPDATE mechanic_accounts
       SET former_account_ids = array_append(former_account_ids, stripe_account_id), stripe_account_id = NULL,
           transfers_enabled = false, payouts_enabled = false, details_submitted = false,
           idempotency_key = 'account:' || mechanic_id || ':' || new_id(), keyed_at = clock_timestamp(), asked = false,
           updated_at = clock_timestamp()
     WHERE mechanic_id = mechanic AND stripe_account_id IS NOT NULL RETURNING mechanic_id
  ), owed AS (
    UPDATE payouts SET state = 'due', waits_for = 'onboarding', attempts = 0, next_attempt_at = clock_timestamp()
     WHERE mechanic_id = (SELECT g.mechanic_id FROM given_up g)
       AND (state = 'failed' OR state = 'due' AND coalesce(waits_for, 'retry') IN ('onboarding', 'retry'))
  )
  SELECT EXISTS (SELECT FROM given_up)
$$;
COMMENT ON FUNCTION renew_mechanic_account(uuid) IS
  'For operators, where Stripe rejected a mechanic''s account or it is gone: the mechanic goes through onboarding anew, and what they are owed is sent to the new account, failed payouts too; false where there is no account.';

GRANT SELECT, INSERT (id, payment_intent_id, amount_cents, failed), UPDATE (failed, booked, part) ON stripe_refunds TO autodoctor_app;
GRANT SELECT, INSERT (id, payment_intent_id, amount_cents, status, withdrawn_cents, reinstated_cents),
      UPDATE (status, withdrawn_cents, reinstated_cents, booked, lost_cents, part, fees_due_at, updated_at)
  ON stripe_disputes TO autodoctor_app;
GRANT SELECT ON losses TO autodoctor_app;
GRANT UPDATE (fee_due_at, fee_booked_at) ON checkouts TO autodoctor_app;
GRANT UPDATE (withheld_cents, sent_cents, reversed_cents) ON payouts TO autodoctor_app;
GRANT SELECT, INSERT (payout_id, dispute_id, amount_cents),
      UPDATE (state, attempts, next_attempt_at, idempotency_key, keyed_at, asked_cents, lease_id, stripe_reversal_id,
              last_error, done_at)
  ON payout_reversals TO autodoctor_app;
GRANT UPDATE (former_account_ids) ON mechanic_accounts TO autodoctor_app;
GRANT EXECUTE ON FUNCTION retry_reversal(uuid), renew_mechanic_account(uuid) TO autodoctor_app;
