-- How money leaves: the mechanics' accounts at Stripe, and the way of a payout or refund there.

CREATE TABLE mechanic_accounts (
  mechanic_id        uuid PRIMARY KEY REFERENCES mechanics (id),
  idempotency_key    text NOT NULL UNIQUE,
  keyed_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
  asked              boolean NOT NULL DEFAULT false,
  stripe_account_id  text UNIQUE,
  transfers_enabled  boolean NOT NULL DEFAULT false,
  payouts_enabled    boolean NOT NULL DEFAULT false,
  details_submitted  boolean NOT NULL DEFAULT false,
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT mechanic_accounts_standing_of_an_account
    CHECK (stripe_account_id IS NOT NULL OR NOT (transfers_enabled OR payouts_enabled OR details_submitted))
);
COMMENT ON TABLE mechanic_accounts IS 'The connected account of a mechanic who began onboarding, and what Stripe last said of it.';
COMMENT ON COLUMN mechanic_accounts.idempotency_key IS 'Of the call that creates the account, stored before it.';
COMMENT ON COLUMN mechanic_accounts.keyed_at IS 'When that key was made: Stripe forgets keys after a day.';
COMMENT ON COLUMN mechanic_accounts.asked IS 'Whether Stripe may have been asked to create it: then it is looked for before it is asked again.';
COMMENT ON COLUMN mechanic_accounts.stripe_account_id IS 'Null until Stripe''s answer to the creation is known.';
COMMENT ON COLUMN mechanic_accounts.transfers_enabled IS 'Whether we can send it money (capability transfers).';
COMMENT ON COLUMN mechanic_accounts.payouts_enabled IS 'Whether Stripe passes it on to the mechanic''s bank.';
COMMENT ON COLUMN mechanic_accounts.details_submitted IS 'Whether the mechanic went through onboarding.';
COMMENT ON COLUMN mechanic_accounts.updated_at IS 'When Stripe was last heard about it.';

ALTER TABLE payouts
  ADD COLUMN waits_for  text,
  ADD COLUMN lease_id   uuid,
  ADD COLUMN asked_at   timestamptz,
  ADD COLUMN keyed_at   timestamptz,
  ADD COLUMN sent_at    timestamptz,
  ADD CONSTRAINT payouts_waits_for_known CHECK (waits_for IN ('onboarding', 'balance', 'dispute', 'payment', 'retry')),
  ADD CONSTRAINT payouts_sending_has_a_lease CHECK (state <> 'sending' OR lease_id IS NOT NULL);
COMMENT ON COLUMN payouts.next_attempt_at IS 'Not before; while it is sending: when whoever holds the lease is surely gone, and the next one asks Stripe what became of it.';
COMMENT ON COLUMN payouts.waits_for IS
  'Why it is not sent yet. onboarding: of the mechanic; balance: ours is short; dispute: of its payment; payment: which one it was is not known; retry: something that may pass, see last_error.';
COMMENT ON COLUMN payouts.lease_id IS 'Of the attempt under way: whoever was overtaken by another one changes nothing any more.';
COMMENT ON COLUMN payouts.asked_at IS 'When an attempt first began; from then on Stripe is asked for the transfer before it is sent.';
COMMENT ON COLUMN payouts.keyed_at IS 'When the idempotency key was made: Stripe forgets keys after a day.';
COMMENT ON COLUMN payouts.sent_at IS 'When it was found to be sent.';

ALTER TABLE refunds
  ADD COLUMN waits_for    text,
  ADD COLUMN lease_id     uuid,
  ADD COLUMN keyed_at     timestamptz,
  ADD COLUMN asked_cents  bigint CHECK (asked_cents > 0),
  ADD COLUMN sent_at      timestamptz,
  DROP CONSTRAINT refunds_state_known,
  DROP CONSTRAINT refunds_sending_has_a_key,
  ADD CONSTRAINT refunds_state_known CHECK (state IN ('due', 'held', 'sending', 'sent', 'returned', 'failed')),
  ADD CONSTRAINT refunds_waits_for_known CHECK (waits_for IN ('dispute', 'payment', 'retry')),
  ADD CONSTRAINT refunds_sending_has_a_lease CHECK (state <> 'sending' OR lease_id IS NOT NULL),
  ADD CONSTRAINT refunds_asks_under_a_key CHECK ((idempotency_key IS NULL) = (asked_cents IS NULL));
COMMENT ON COLUMN refunds.state IS
  'due: to be sent; held: not before a dispute is over; sending: Stripe is being asked; sent: Stripe has it, or had paid it back already; returned: by the customer''s bank, after a dispute that was lost; failed: given up, see last_error.';
COMMENT ON COLUMN refunds.stripe_refund_id IS 'Where others had paid back all of it before us: the last of theirs.';
COMMENT ON COLUMN refunds.next_attempt_at IS 'As in payouts.';
COMMENT ON COLUMN refunds.waits_for IS 'Why it is not sent yet, as in payouts.';
COMMENT ON COLUMN refunds.lease_id IS 'As in payouts.';
COMMENT ON COLUMN refunds.keyed_at IS 'As in payouts.';
COMMENT ON COLUMN refunds.asked_cents IS 'What is asked for under the key: the amount, less what was paid back by hand before.';
COMMENT ON COLUMN refunds.sent_at IS 'When it was found to be paid back.';

-- So that what is not sent is counted without a look at the history.
CREATE INDEX payouts_unsent ON payouts (state) WHERE state IN ('due', 'held', 'sending', 'failed');
CREATE INDEX refunds_unsent ON refunds (state) WHERE state IN ('due', 'held', 'sending', 'failed');

CREATE FUNCTION retry_payout(payout uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH again AS (
    UPDATE payouts SET state = 'due', attempts = 0, next_attempt_at = clock_timestamp()
     WHERE id = payout AND state = 'failed' RETURNING id)
  SELECT EXISTS (SELECT FROM again)
$$;
COMMENT ON FUNCTION retry_payout(uuid) IS 'Has a failed payout sent after all, for operators; false where it has not failed.';
CREATE FUNCTION retry_refund(refund uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH again AS (
    UPDATE refunds SET state = 'due', attempts = 0, next_attempt_at = clock_timestamp()
     WHERE id = refund AND state = 'failed' RETURNING id)
  SELECT EXISTS (SELECT FROM again)
$$;
COMMENT ON FUNCTION retry_refund(uuid) IS 'Has a failed refund sent after all, for operators; false where it has not failed.';

GRANT SELECT, INSERT (mechanic_id, idempotency_key),
      UPDATE (idempotency_key, keyed_at, asked, stripe_account_id, transfers_enabled, payouts_enabled, details_submitted,
              updated_at)
  ON mechanic_accounts TO autodoctor_app;
GRANT UPDATE (state, attempts, next_attempt_at, idempotency_key, keyed_at, stripe_transfer_id, last_error, waits_for,
              lease_id, asked_at, sent_at)
  ON payouts TO autodoctor_app;
GRANT UPDATE (state, attempts, next_attempt_at, idempotency_key, keyed_at, asked_cents, stripe_refund_id, last_error,
              waits_for, lease_id, sent_at)
  ON refunds TO autodoctor_app;
GRANT EXECUTE ON FUNCTION retry_payout(uuid), retry_refund(uuid) TO autodoctor_app;
