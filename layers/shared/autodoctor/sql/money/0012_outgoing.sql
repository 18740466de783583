-- Outgoing money: the mechanics' accounts at Stripe, and the jobs for Stripe: payouts, refunds, and reversals of payouts.

CREATE TABLE mechanic_accounts (
  mechanic_id         uuid PRIMARY KEY REFERENCES mechanics (id),
  idempotency_key     text NOT NULL UNIQUE,
  keyed_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  asked               boolean NOT NULL DEFAULT false,
  stripe_account_id   text UNIQUE,
  former_account_ids  text[] NOT NULL DEFAULT '{}',
  transfers_enabled   boolean NOT NULL DEFAULT false,
  payouts_enabled     boolean NOT NULL DEFAULT false,
  details_submitted   boolean NOT NULL DEFAULT false,
  stripe_as_of        timestamptz,
  bank_as_of          timestamptz,
  doubtful            boolean NOT NULL DEFAULT false,
  closed              boolean NOT NULL DEFAULT false,
  destination_changed_at  timestamptz,
  updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT mechanic_accounts_state_of_an_account
    CHECK (stripe_account_id IS NOT NULL OR NOT (transfers_enabled OR payouts_enabled OR details_submitted))
);
COMMENT ON TABLE mechanic_accounts IS 'The connected account of a mechanic who began onboarding, and its last state reported by Stripe.';
COMMENT ON COLUMN mechanic_accounts.idempotency_key IS 'The key of the call that creates the account, stored before the call.';
COMMENT ON COLUMN mechanic_accounts.keyed_at IS 'When that key was made: Stripe forgets keys after a day.';
COMMENT ON COLUMN mechanic_accounts.asked IS 'Whether Stripe may have been asked to create it; if so, it is looked up before Stripe is asked again.';
COMMENT ON COLUMN mechanic_accounts.stripe_account_id IS 'Null until Stripe''s answer to the creation is known.';
COMMENT ON COLUMN mechanic_accounts.former_account_ids IS 'Accounts that an operator gave up; onboarding leads the mechanic to a new one.';
COMMENT ON COLUMN mechanic_accounts.transfers_enabled IS 'Whether we can send it money (capability transfers).';
COMMENT ON COLUMN mechanic_accounts.payouts_enabled IS 'Whether Stripe passes money on to the mechanic''s bank.';
COMMENT ON COLUMN mechanic_accounts.details_submitted IS 'Whether the mechanic went through onboarding.';
COMMENT ON COLUMN mechanic_accounts.stripe_as_of IS
  'The instant of this state, by Stripe''s clock in whole seconds; null: Stripe has not reported it.';
COMMENT ON COLUMN mechanic_accounts.bank_as_of IS
  'When their bank last took or refused a payout of the account, by Stripe''s clock; null: Stripe has not reported it.';
COMMENT ON COLUMN mechanic_accounts.doubtful IS
  'Whether events in unknown order contradicted each other: the account is then retrieved the next time it is needed.';
COMMENT ON COLUMN mechanic_accounts.closed IS
  'Whether Stripe says that the account is closed, or no longer connected to us: the mechanic''s next onboarding makes a new one.';
COMMENT ON COLUMN mechanic_accounts.destination_changed_at IS
  'When their money was last led to another account, or away from one, by whomever; set by trigger. Their payouts wait for destination_hold() after that.';
COMMENT ON COLUMN mechanic_accounts.updated_at IS 'When Stripe last reported on it.';
GRANT SELECT,
      INSERT (mechanic_id, idempotency_key),
      UPDATE (idempotency_key, keyed_at, asked, stripe_account_id, former_account_ids, transfers_enabled,
              payouts_enabled, details_submitted, stripe_as_of, bank_as_of, doubtful, closed, updated_at)
  ON mechanic_accounts TO autodoctor_app;

-- One leased table: payouts, refunds, payout_reversals and dispute_evidence inherit its columns and constraints and hold
-- its rows, so a statement on stripe_jobs (claim, reschedule, give up, retry) acts on all four. Inherited, not joined: a
-- job's state and the cents that it guards are in one row, under one lock, with constraints between them.
CREATE TABLE stripe_jobs (
  id               uuid NOT NULL DEFAULT new_id(),
  job              text NOT NULL,
  state            text NOT NULL DEFAULT 'due',
  waits_for        text,
  attempts         integer NOT NULL DEFAULT 0,
  next_attempt_at  timestamptz DEFAULT clock_timestamp(),
  lease_id         uuid,
  idempotency_key  text,
  keyed_at         timestamptz,
  asked_at         timestamptz,
  asked_cents      bigint,
  last_error       text,
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT stripe_jobs_are_of_a_kind CHECK (false) NO INHERIT,
  CONSTRAINT stripe_jobs_waits_for_known CHECK (waits_for IN ('onboarding', 'balance', 'dispute', 'payment', 'retry', 'release', 'time')),
  CONSTRAINT stripe_jobs_attempts_not_negative CHECK (attempts >= 0),
  CONSTRAINT stripe_jobs_sending_has_a_lease CHECK (state <> 'sending' OR lease_id IS NOT NULL),
  CONSTRAINT stripe_jobs_asks_for_an_amount CHECK (asked_cents > 0),
  CONSTRAINT stripe_jobs_asks_under_a_key
    CHECK (CASE job WHEN 'evidence' THEN asked_cents IS NULL ELSE (idempotency_key IS NULL) = (asked_cents IS NULL) END)
);
COMMENT ON TABLE stripe_jobs IS
  'The jobs for Stripe: every payout, refund and reversal, and the evidence of every dispute. It has no rows of its own, but shows those of its four tables.';
COMMENT ON COLUMN stripe_jobs.job IS 'payout, refund, reversal or evidence: the table that holds the row.';
COMMENT ON COLUMN stripe_jobs.state IS
  'due: to be sent; held: not before a dispute is over, or every hold of a payout is released; sending: an attempt holds the lease, or its outcome is not known; failed: given up, see last_error. Each table has its own final states.';
COMMENT ON COLUMN stripe_jobs.waits_for IS
  'The reason for waiting. onboarding: of the mechanic; balance: ours is too low; dispute: of its payment; payment: the payment is not known; retry: a passing error, see last_error; release: of every hold in payout_holds; time: payout_hold() after it was earned.';
COMMENT ON COLUMN stripe_jobs.attempts IS 'The number of attempts; waiting for an onboarding or a dispute does not count.';
COMMENT ON COLUMN stripe_jobs.next_attempt_at IS
  'The earliest instant of the next attempt; while sending, the end of the lease, after which the next attempt looks up what this one did.';
COMMENT ON COLUMN stripe_jobs.lease_id IS 'The lease of the attempt under way: an attempt changes nothing once its lease has been replaced.';
COMMENT ON COLUMN stripe_jobs.idempotency_key IS 'The key of the call to Stripe, stored before the call; null: no call is outstanding.';
COMMENT ON COLUMN stripe_jobs.keyed_at IS 'When the idempotency key was made: Stripe forgets keys after a day.';
COMMENT ON COLUMN stripe_jobs.asked_at IS 'When Stripe was first asked to act; null: never, so there is nothing to look up.';
COMMENT ON COLUMN stripe_jobs.asked_cents IS 'The amount requested under the key: the job''s, less what others had sent, refunded or reversed before.';
COMMENT ON COLUMN stripe_jobs.last_error IS 'The reason why the last attempt did not succeed.';
COMMENT ON COLUMN stripe_jobs.created_at IS 'When it became owed.';
GRANT SELECT,
      UPDATE (state, waits_for, attempts, next_attempt_at, lease_id, idempotency_key, keyed_at, asked_at, asked_cents,
              last_error)
  ON stripe_jobs TO autodoctor_app;

CREATE FUNCTION retry_stripe_job(failed uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH again AS (
    UPDATE stripe_jobs SET state = 'due', attempts = 0, next_attempt_at = clock_timestamp()
     WHERE id = failed AND state = 'failed' RETURNING id)
  SELECT EXISTS (SELECT FROM again)
$$;
COMMENT ON FUNCTION retry_stripe_job(uuid) IS
  'Makes a failed payout, refund, reversal or evidence due again, for operators; false if none with this id has failed.';

-- amount_cents was earned; the other columns say where it is. amount_cents - withheld_cents - netted_cents - sent_cents +
-- reversed_cents is still with us; its sum over all payouts of a mechanic is the mechanic's payable.
CREATE TABLE payouts (
  job                  text NOT NULL DEFAULT 'payout' CONSTRAINT payouts_job CHECK (job = 'payout'),
  session_id           uuid NOT NULL REFERENCES sessions (id),
  mechanic_id          uuid NOT NULL REFERENCES mechanics (id),
  kind                 text NOT NULL,
  extension_id         uuid UNIQUE,
  amount_cents         bigint NOT NULL CHECK (amount_cents > 0),
  withheld_cents       bigint NOT NULL DEFAULT 0,
  netted_cents         bigint NOT NULL DEFAULT 0,
  sent_cents           bigint NOT NULL DEFAULT 0,
  reversed_cents       bigint NOT NULL DEFAULT 0,
  currency             text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  stripe_transfer_id   text UNIQUE,
  sent_at              timestamptz,
  intake_id            uuid GENERATED ALWAYS AS (coalesce(extension_id, session_id)) STORED,
  settled_outcome      text GENERATED ALWAYS AS (CASE WHEN kind IN ('session', 'referral') THEN 'pay' END) STORED,
  extension_outcome    text GENERATED ALWAYS AS (CASE kind WHEN 'extension' THEN 'pay' END) STORED,
  approved_session_id  uuid GENERATED ALWAYS AS (CASE kind WHEN 'escalation' THEN session_id END) STORED,
  PRIMARY KEY (id),
  UNIQUE (idempotency_key),
  CONSTRAINT payouts_kind_known CHECK (kind IN ('session', 'extension', 'referral', 'escalation', 'returned')),
  CONSTRAINT payouts_extension_names_it CHECK ((kind = 'extension') = (extension_id IS NOT NULL)),
  CONSTRAINT payouts_state_known CHECK (state IN ('due', 'held', 'sending', 'sent', 'failed', 'reversed', 'cancelled')),
  CONSTRAINT payouts_sent_has_a_transfer CHECK (state NOT IN ('sent', 'reversed') OR stripe_transfer_id IS NOT NULL),
  CONSTRAINT payouts_goes_where_it_can CHECK (
    withheld_cents BETWEEN 0 AND amount_cents AND netted_cents BETWEEN 0 AND amount_cents AND sent_cents >= 0
    AND reversed_cents BETWEEN 0 AND sent_cents
    AND withheld_cents + netted_cents + sent_cents <= amount_cents + reversed_cents),
  CONSTRAINT payouts_cancelled_has_nothing_left CHECK (state <> 'cancelled' OR withheld_cents + netted_cents = amount_cents),
  CONSTRAINT payouts_of_a_paying_session FOREIGN KEY (session_id, settled_outcome) REFERENCES settlements (session_id, outcome),
  CONSTRAINT payouts_of_an_approved_quote FOREIGN KEY (approved_session_id) REFERENCES quotes (approved_session_id)
) INHERITS (stripe_jobs);
CREATE UNIQUE INDEX payouts_once ON payouts (session_id, kind, extension_id) NULLS NOT DISTINCT WHERE kind <> 'returned';
CREATE INDEX payouts_by_mechanic ON payouts (mechanic_id, id);
CREATE INDEX payouts_by_intake ON payouts (intake_id);
-- With it unsent payouts are counted without reading the history.
CREATE INDEX payouts_unsent ON payouts (state) WHERE state IN ('due', 'held', 'sending', 'failed');
CREATE INDEX payouts_reversed ON payouts (session_id) WHERE state = 'reversed';
CREATE INDEX payouts_escalations ON payouts (created_at) WHERE kind = 'escalation';
CREATE INDEX payouts_open ON payouts (next_attempt_at) WHERE state IN ('due', 'held', 'sending');
COMMENT ON TABLE payouts IS 'The money owed to mechanics, and its progress.';
COMMENT ON COLUMN payouts.kind IS
  'Earned by holding the session (session), by minutes that were added to it (extension), by referring its customer (referral), by escalating it to the workshop whose quote was approved (escalation); or owed again (returned): it was netted for a debt of the session that was none in the end, or it was sent and taken back.';
COMMENT ON COLUMN payouts.extension_id IS 'The extension whose minutes earned it; its session is session_id. Null for every other kind.';
COMMENT ON COLUMN payouts.amount_cents IS 'The amount earned, in cents of the currency.';
COMMENT ON COLUMN payouts.withheld_cents IS 'The part that went back to the customer, not sent or kept after a reversal; and what was taken back and is owed as another payout.';
COMMENT ON COLUMN payouts.netted_cents IS 'The part that paid off what the mechanic owed of other sessions, before it was sent.';
COMMENT ON COLUMN payouts.sent_cents IS 'The transfer at Stripe: the amount earned less the parts withheld and netted by then.';
COMMENT ON COLUMN payouts.reversed_cents IS 'The part of the transfer that was reversed at Stripe.';
COMMENT ON COLUMN payouts.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN payouts.state IS
  'As in stripe_jobs; final states are sent; reversed: sent, and all or some of it reversed at Stripe, as booked in the ledger; cancelled: never sent, because the customer got it back or it was netted.';
COMMENT ON COLUMN payouts.sent_at IS 'When we learned that it was sent.';
COMMENT ON COLUMN payouts.intake_id IS 'The intake whose payment it is a part of: the extension''s, else the session''s.';
COMMENT ON COLUMN payouts.settled_outcome IS 'The settlement that its session must have; null: any.';
COMMENT ON COLUMN payouts.extension_outcome IS 'The settlement that its extension must have.';
COMMENT ON COLUMN payouts.approved_session_id IS 'For an escalation, the session that must have an approved quote.';
GRANT SELECT,
      INSERT (session_id, mechanic_id, kind, extension_id, amount_cents, currency),
      UPDATE (withheld_cents, netted_cents, sent_cents, reversed_cents, state, waits_for, attempts, next_attempt_at,
              stripe_transfer_id, sent_at, last_error)
  ON payouts TO autodoctor_app;

CREATE TABLE refunds (
  job                   text NOT NULL DEFAULT 'refund' CONSTRAINT refunds_job CHECK (job = 'refund'),
  intake_id             uuid NOT NULL REFERENCES intakes (id),
  kind                  text NOT NULL CHECK (kind IN ('session', 'contest', 'unfulfillable', 'extension')),
  amount_cents          bigint NOT NULL CHECK (amount_cents > 0),
  currency              text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  stripe_refund_id      text UNIQUE,
  sent_at               timestamptz,
  settled_outcome       text GENERATED ALWAYS AS (CASE kind WHEN 'session' THEN 'refund' END) STORED,
  contested_intake_id   uuid GENERATED ALWAYS AS (CASE kind WHEN 'contest' THEN intake_id END) STORED,
  extension_id          uuid GENERATED ALWAYS AS (CASE kind WHEN 'extension' THEN intake_id END) STORED,
  extension_outcome     text GENERATED ALWAYS AS (CASE kind WHEN 'extension' THEN 'refund' END) STORED,
  PRIMARY KEY (id),
  UNIQUE (idempotency_key),
  CONSTRAINT refunds_once UNIQUE (intake_id, kind),
  CONSTRAINT refunds_state_known CHECK (state IN ('due', 'held', 'sending', 'sent', 'returned', 'failed')),
  CONSTRAINT refunds_sent_has_an_id CHECK (state <> 'sent' OR stripe_refund_id IS NOT NULL),
  CONSTRAINT refunds_as_it_was_settled FOREIGN KEY (intake_id, settled_outcome) REFERENCES settlements (session_id, outcome)
) INHERITS (stripe_jobs);
CREATE INDEX refunds_unsent ON refunds (state) WHERE state IN ('due', 'held', 'sending', 'failed');
CREATE INDEX refunds_given_up ON refunds (created_at) WHERE kind IN ('extension', 'unfulfillable');
CREATE INDEX refunds_open ON refunds (next_attempt_at) WHERE state IN ('due', 'held', 'sending');
COMMENT ON TABLE refunds IS 'The money that goes back to customers'' cards, and its progress.';
COMMENT ON COLUMN refunds.intake_id IS 'The intake that was paid; a session, or an extension, has its intake''s id.';
COMMENT ON COLUMN refunds.kind IS
  'session: it was cancelled or expired; contest: an admin decided that all or part of what was paid goes back; extension: its minutes were not used; unfulfillable: the payment never became a session, or minutes of one.';
COMMENT ON COLUMN refunds.amount_cents IS 'Cents of the currency.';
COMMENT ON COLUMN refunds.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN refunds.state IS
  'As in stripe_jobs; final states are sent: Stripe has it, or had already refunded it; returned: by the customer''s bank, after a lost dispute.';
COMMENT ON COLUMN refunds.stripe_refund_id IS 'Stripe''s id of our refund, or of the last of the others'' if they had refunded all of it before us.';
COMMENT ON COLUMN refunds.sent_at IS 'When we learned that it was refunded.';
COMMENT ON COLUMN refunds.settled_outcome IS 'The settlement that its session must have; null: another table says so, or there is no session.';
COMMENT ON COLUMN refunds.contested_intake_id IS 'For a contest''s refund, the intake whose part of the decision is its amount.';
COMMENT ON COLUMN refunds.extension_id IS 'For an extension''s refund, the extension.';
COMMENT ON COLUMN refunds.extension_outcome IS 'The settlement that its extension must have.';
GRANT SELECT,
      INSERT (intake_id, kind, amount_cents, currency),
      UPDATE (state, waits_for, attempts, next_attempt_at, idempotency_key, keyed_at, asked_cents, stripe_refund_id,
              sent_at, last_error)
  ON refunds TO autodoctor_app;

CREATE FUNCTION tell_refund_failed(failed refunds, why text) RETURNS void LANGUAGE sql AS $$
  SELECT emit_event('payment.refund_failed', jsonb_build_object(
           'checkoutId', c.id, 'intakeId', c.intake_id, 'customerId', i.customer_id, 'amountCents', failed.amount_cents,
           'currency', failed.currency, 'reason', why), c.intake_id)
    FROM checkouts c JOIN intakes i ON i.id = c.intake_id WHERE c.intake_id = failed.intake_id
$$;
COMMENT ON FUNCTION tell_refund_failed(refunds, text) IS 'Has the customer told, who was told that it goes back in full: bank_refused or given_up.';

CREATE FUNCTION refunds_tell() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM tell_refund_failed(NEW, CASE OLD.state WHEN 'sending' THEN 'given_up' ELSE 'bank_refused' END);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION refunds_tell() IS 'Has the customer told of a refund that failed, however it did.';
CREATE TRIGGER refunds_tell AFTER UPDATE OF state ON refunds FOR EACH ROW
  WHEN (OLD.state <> 'failed' AND NEW.state = 'failed') EXECUTE FUNCTION refunds_tell();

CREATE TABLE payout_reversals (
  job                 text NOT NULL DEFAULT 'reversal' CONSTRAINT payout_reversals_job CHECK (job = 'reversal'),
  payout_id           uuid NOT NULL REFERENCES payouts (id),
  dispute_id          text NOT NULL REFERENCES stripe_disputes (id),
  booking             integer NOT NULL CHECK (booking > 0),
  amount_cents        bigint NOT NULL CHECK (amount_cents > 0),
  stripe_reversal_id  text UNIQUE,
  done_at             timestamptz,
  PRIMARY KEY (id),
  UNIQUE (idempotency_key),
  CONSTRAINT payout_reversals_once UNIQUE (payout_id, dispute_id, booking),
  CONSTRAINT payout_reversals_state_known CHECK (state IN ('due', 'sending', 'done', 'failed', 'cancelled'))
) INHERITS (stripe_jobs);
CREATE INDEX payout_reversals_unsent ON payout_reversals (state) WHERE state IN ('due', 'held', 'sending', 'failed');
CREATE INDEX payout_reversals_open ON payout_reversals (next_attempt_at) WHERE state IN ('due', 'held', 'sending');
CREATE INDEX payout_reversals_by_dispute ON payout_reversals (dispute_id);
COMMENT ON TABLE payout_reversals IS 'Amounts to be taken back from payouts that were sent, after a lost dispute; if that fails, the amount stays a receivable.';
COMMENT ON COLUMN payout_reversals.dispute_id IS 'The lost dispute.';
COMMENT ON COLUMN payout_reversals.booking IS
  'Which booking of the loss it is for, by stripe_disputes.bookings: when more is lost later, it is booked anew, with a reversal of its own.';
COMMENT ON COLUMN payout_reversals.amount_cents IS 'What of the mechanic''s part we did not have when it was booked, in cents of usd; no more is taken than is owed by then.';
COMMENT ON COLUMN payout_reversals.state IS
  'As in stripe_jobs (failed: the mechanic owes it); final states are done: it was taken back, by us or by hand; cancelled: the dispute was won after all, its loss was booked anew, or nothing is owed any more.';
COMMENT ON COLUMN payout_reversals.stripe_reversal_id IS 'Stripe''s id of our reversal; null if it was taken back by hand.';
COMMENT ON COLUMN payout_reversals.done_at IS 'When we learned that it was taken back.';
GRANT SELECT,
      INSERT (payout_id, dispute_id, booking, amount_cents),
      UPDATE (state, waits_for, attempts, next_attempt_at, stripe_reversal_id, last_error, done_at)
  ON payout_reversals TO autodoctor_app;

CREATE FUNCTION renew_mechanic_account(mechanic uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH given_up AS (
    UPDATE mechanic_accounts
       SET former_account_ids = array_append(former_account_ids, stripe_account_id), stripe_account_id = NULL,
           transfers_enabled = false, payouts_enabled = false, details_submitted = false,
           stripe_as_of = NULL, bank_as_of = NULL, doubtful = false, closed = false,
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
  'When Stripe rejected or closed a mechanic''s account, for operators and for the mechanic''s own onboarding: the mechanic goes through onboarding again, and unsent payouts go to the new account, failed ones too; false if there is no account.';
