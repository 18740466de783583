-- Stripe does not tell of an account in order: the older of two events changes nothing, and where two of one second
-- contradict each other, Stripe is asked.

ALTER TABLE mechanic_accounts
  ADD COLUMN told_at timestamptz,
  ADD COLUMN doubtful boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN mechanic_accounts.told_at IS
  'When, by Stripe''s clock in whole seconds, the account stood as is noted here; null: Stripe has not said.';
COMMENT ON COLUMN mechanic_accounts.doubtful IS
  'Whether what Stripe told contradicts itself in a way that its order does not settle: Stripe is asked when it is next looked at.';

CREATE OR REPLACE FUNCTION renew_mechanic_account(mechanic uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH given_up AS (
    UPDATE mechanic_accounts
       SET former_account_ids = array_append(former_account_ids, stripe_account_id), stripe_account_id = NULL,
           transfers_enabled = false, payouts_enabled = false, details_submitted = false,
           told_at = NULL, doubtful = false,
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

GRANT UPDATE (told_at, doubtful) ON mechanic_accounts TO autodoctor_app;
