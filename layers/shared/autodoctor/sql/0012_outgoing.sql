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
              payouts_enabled, details_submitted, stripe_as_of, doubtful, closed, updated_at)
  ON mechanic_accounts TO autodoctor_app;

-- One leased table: payouts, refunds and payout_reversals inherit its columns and constraints and hold its rows, so a
-- statement on stripe_jobs (claim, reschedule, give up, retry) acts on all three. Inherited, not joined: a job's state
-- and the cents that it guards are in one row, under one lock, with constraints between them.
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
  CONSTRAINT stripe_jobs_asks_under_a_key CHECK ((idempotency_key IS NULL) = (asked_cents IS NULL))
);
COMMENT ON TABLE stripe_jobs IS
  'The jobs for Stripe: every payout, refund and reversal. It has no rows of its own, but shows those of its three tables.';
COMMENT ON COLUMN stripe_jobs.job IS 'payout, refund or reversal: the table that holds the row.';
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
  'Makes a failed payout, refund or reversal due again, for operators; false if none with this id has failed.';

-- amount_cents was earned; the other columns say where it is. amount_cents - withheld_cents - sent_cents + reversed_cents
-- is still with us; its sum over all payouts of a mechanic is the mechanic's payable.
CREATE TABLE payouts (
  job                  text NOT NULL DEFAULT 'payout' CONSTRAINT payouts_job CHECK (job = 'payout'),
  session_id           uuid NOT NULL REFERENCES sessions (id),
  mechanic_id          uuid NOT NULL REFERENCES mechanics (id),
  kind                 text NOT NULL CHECK (kind IN ('session', 'referral', 'escalation')),
  amount_cents         bigint NOT NULL CHECK (amount_cents > 0),
  withheld_cents       bigint NOT NULL DEFAULT 0,
  sent_cents           bigint NOT NULL DEFAULT 0,
  reversed_cents       bigint NOT NULL DEFAULT 0,
  currency             text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  stripe_transfer_id   text UNIQUE,
  sent_at              timestamptz,
  settled_outcome      text GENERATED ALWAYS AS (CASE WHEN kind <> 'escalation' THEN 'pay' END) STORED,
  approved_session_id  uuid GENERATED ALWAYS AS (CASE kind WHEN 'escalation' THEN session_id END) STORED,
  PRIMARY KEY (id),
  UNIQUE (idempotency_key),
  CONSTRAINT payouts_once UNIQUE (session_id, kind),
  CONSTRAINT payouts_state_known CHECK (state IN ('due', 'held', 'sending', 'sent', 'failed', 'reversed', 'cancelled')),
  CONSTRAINT payouts_sent_has_a_transfer CHECK (state NOT IN ('sent', 'reversed') OR stripe_transfer_id IS NOT NULL),
  CONSTRAINT payouts_goes_where_it_can CHECK (
    withheld_cents BETWEEN 0 AND amount_cents AND sent_cents >= 0 AND reversed_cents BETWEEN 0 AND sent_cents
    AND withheld_cents + sent_cents <= amount_cents + reversed_cents),
  CONSTRAINT payouts_cancelled_is_withheld CHECK (state <> 'cancelled' OR withheld_cents = amount_cents),
  CONSTRAINT payouts_of_a_paying_session FOREIGN KEY (session_id, settled_outcome) REFERENCES settlements (session_id, outcome),
  CONSTRAINT payouts_of_an_approved_quote FOREIGN KEY (approved_session_id) REFERENCES quotes (approved_session_id)
) INHERITS (stripe_jobs);
CREATE INDEX payouts_by_mechanic ON payouts (mechanic_id, id);
-- With it unsent payouts are counted without reading the history.
CREATE INDEX payouts_unsent ON payouts (state) WHERE state IN ('due', 'held', 'sending', 'failed');
CREATE INDEX payouts_escalations ON payouts (created_at) WHERE kind = 'escalation';
CREATE INDEX payouts_open ON payouts (next_attempt_at) WHERE state IN ('due', 'held', 'sending');
COMMENT ON TABLE payouts IS 'The money owed to mechanics, and its progress.';
COMMENT ON COLUMN payouts.kind IS 'Earned by holding the session (session), by referring its customer (referral), or by escalating it to the workshop whose quote was approved (escalation).';
COMMENT ON COLUMN payouts.amount_cents IS 'The amount earned, in cents of the currency.';
COMMENT ON COLUMN payouts.withheld_cents IS 'The part that went back to the customer: not sent, or kept after a reversal.';
COMMENT ON COLUMN payouts.sent_cents IS 'The transfer at Stripe: the amount earned less the part withheld by then.';
COMMENT ON COLUMN payouts.reversed_cents IS 'The part of the transfer that was reversed at Stripe.';
COMMENT ON COLUMN payouts.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN payouts.state IS
  'As in stripe_jobs; final states are sent; reversed: sent, and all or some of it reversed at Stripe, as booked in the ledger; cancelled: never sent, because the customer got all of it back.';
COMMENT ON COLUMN payouts.sent_at IS 'When we learned that it was sent.';
COMMENT ON COLUMN payouts.settled_outcome IS 'The settlement that its session must have; null: any.';
COMMENT ON COLUMN payouts.approved_session_id IS 'For an escalation, the session that must have an approved quote.';
GRANT SELECT,
      INSERT (session_id, mechanic_id, kind, amount_cents, currency),
      UPDATE (withheld_cents, sent_cents, reversed_cents, state, waits_for, attempts, next_attempt_at,
              stripe_transfer_id, sent_at, last_error)
  ON payouts TO autodoctor_app;

CREATE TABLE refunds (
  job               text NOT NULL DEFAULT 'refund' CONSTRAINT refunds_job CHECK (job = 'refund'),
  intake_id         uuid NOT NULL REFERENCES intakes (id),
  kind              text NOT NULL CHECK (kind IN ('session', 'contest', 'unfulfillable')),
  amount_cents      bigint NOT NULL CHECK (amount_cents > 0),
  currency          text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  stripe_refund_id  text UNIQUE,
  sent_at           timestamptz,
  settled_outcome   text GENERATED ALWAYS AS (CASE kind WHEN 'session' THEN 'refund' WHEN 'contest' THEN 'pay' END) STORED,
  PRIMARY KEY (id),
  UNIQUE (idempotency_key),
  CONSTRAINT refunds_once UNIQUE (intake_id, kind),
  CONSTRAINT refunds_state_known CHECK (state IN ('due', 'held', 'sending', 'sent', 'returned', 'failed')),
  CONSTRAINT refunds_sent_has_an_id CHECK (state <> 'sent' OR stripe_refund_id IS NOT NULL),
  CONSTRAINT refunds_as_it_was_settled FOREIGN KEY (intake_id, settled_outcome) REFERENCES settlements (session_id, outcome)
) INHERITS (stripe_jobs);
CREATE INDEX refunds_unsent ON refunds (state) WHERE state IN ('due', 'held', 'sending', 'failed');
CREATE INDEX refunds_open ON refunds (next_attempt_at) WHERE state IN ('due', 'held', 'sending');
COMMENT ON TABLE refunds IS 'The money that goes back to customers'' cards, and its progress.';
COMMENT ON COLUMN refunds.intake_id IS 'The intake that was paid; a session has its intake''s id.';
COMMENT ON COLUMN refunds.kind IS 'session: it was cancelled or expired; contest: an admin decided that all or part of the price goes back; unfulfillable: the payment never became a session.';
COMMENT ON COLUMN refunds.amount_cents IS 'Cents of the currency.';
COMMENT ON COLUMN refunds.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN refunds.state IS
  'As in stripe_jobs; final states are sent: Stripe has it, or had already refunded it; returned: by the customer''s bank, after a lost dispute.';
COMMENT ON COLUMN refunds.stripe_refund_id IS 'Stripe''s id of our refund, or of the last of the others'' if they had refunded all of it before us.';
COMMENT ON COLUMN refunds.sent_at IS 'When we learned that it was refunded.';
COMMENT ON COLUMN refunds.settled_outcome IS 'The settlement that its session must have; null: there is no session.';
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
  amount_cents        bigint NOT NULL CHECK (amount_cents > 0),
  stripe_reversal_id  text UNIQUE,
  done_at             timestamptz,
  PRIMARY KEY (id),
  UNIQUE (idempotency_key),
  CONSTRAINT payout_reversals_once UNIQUE (payout_id, dispute_id),
  CONSTRAINT payout_reversals_state_known CHECK (state IN ('due', 'sending', 'done', 'failed', 'cancelled'))
) INHERITS (stripe_jobs);
CREATE INDEX payout_reversals_unsent ON payout_reversals (state) WHERE state IN ('due', 'held', 'sending', 'failed');
CREATE INDEX payout_reversals_open ON payout_reversals (next_attempt_at) WHERE state IN ('due', 'held', 'sending');
CREATE INDEX payout_reversals_by_dispute ON payout_reversals (dispute_id);
COMMENT ON TABLE payout_reversals IS 'Amounts to be taken back from payouts that were sent, after a lost dispute; if that fails, the amount stays a receivable.';
COMMENT ON COLUMN payout_reversals.dispute_id IS 'The lost dispute.';
COMMENT ON COLUMN payout_reversals.amount_cents IS 'The mechanic''s part of the loss, in cents of usd.';
COMMENT ON COLUMN payout_reversals.state IS
  'As in stripe_jobs (failed: the mechanic owes it); final states are done: it was taken back, by us or by hand; cancelled: the dispute was won after all.';
COMMENT ON COLUMN payout_reversals.stripe_reversal_id IS 'Stripe''s id of our reversal; null if it was taken back by hand.';
COMMENT ON COLUMN payout_reversals.done_at IS 'When we learned that it was taken back.';
GRANT SELECT,
      INSERT (payout_id, dispute_id, amount_cents),
      UPDATE (amount_cents, state, waits_for, attempts, next_attempt_at, stripe_reversal_id, last_error, done_at)
  ON payout_reversals TO autodoctor_app;

CREATE FUNCTION renew_mechanic_account(mechanic uuid) RETURNS boolean LANGUAGE sql AS $$
  WITH given_up AS (
    UPDATE mechanic_accounts
       SET former_account_ids = array_append(former_account_ids, stripe_account_id), stripe_account_id = NULL,
           transfers_enabled = false, payouts_enabled = false, details_submitted = false,
           stripe_as_of = NULL, doubtful = false, closed = false,
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

-- A payout with an open hold is not sent, whatever else happens to it. Triggers keep its state: so a path that makes
-- payouts due again (a won dispute, a new account, an operator's retry) cannot overlook a hold.
CREATE TABLE payout_holds (
  payout_id    uuid NOT NULL REFERENCES payouts (id),
  reason       text NOT NULL,
  note         text CHECK (length(note) BETWEEN 1 AND 500),
  held_by      uuid,
  held_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  released_by  uuid,
  released_at  timestamptz,
  PRIMARY KEY (payout_id, reason),
  CONSTRAINT payout_holds_reason_known CHECK (reason IN ('operator', 'suspended', 'escalation', 'disputed_credits', 'destination', 'contest')),
  CONSTRAINT payout_holds_released_once CHECK (released_by IS NULL OR released_at IS NOT NULL)
);
CREATE INDEX payout_holds_open ON payout_holds (payout_id) WHERE released_at IS NULL;
COMMENT ON TABLE payout_holds IS 'The reasons for which payouts are not sent yet. A payout may have several, each once; it is sent when all are released.';
COMMENT ON COLUMN payout_holds.reason IS
  'operator: an admin''s decision, see note; suspended: its mechanic is suspended; escalation: a share of an approved quote that an admin has to look at; disputed_credits: credits that paid for its session come from a pack whose payment is disputed, or was lost; destination: the mechanic''s account was changed less than destination_hold() ago; contest: the customer contested its session.';
COMMENT ON COLUMN payout_holds.note IS 'The admin''s words.';
COMMENT ON COLUMN payout_holds.held_by IS 'The sub of the admin''s token; null: the system.';
COMMENT ON COLUMN payout_holds.held_at IS 'When it was held, or held again after a release.';
COMMENT ON COLUMN payout_holds.released_by IS 'The sub of the admin''s token; null: nobody yet, or the system.';
COMMENT ON COLUMN payout_holds.released_at IS 'When it was released; null: it holds the payout.';
GRANT SELECT,
      INSERT (payout_id, reason, note, held_by),
      UPDATE (note, held_by, held_at, released_by, released_at)
  ON payout_holds TO autodoctor_app;

CREATE FUNCTION destination_hold() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT make_interval(hours => coalesce((SELECT s.value::integer FROM settings s WHERE s.key = 'destination_hold_hours'), 24))
$$;
COMMENT ON FUNCTION destination_hold() IS
  'How long a mechanic''s payouts wait after their account was changed: the settings table (destination_hold_hours), then 24 hours.';

CREATE FUNCTION destination_is_new(mechanic uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM mechanic_accounts a
                  WHERE a.mechanic_id = mechanic AND a.destination_changed_at > now() - destination_hold())
$$;
COMMENT ON FUNCTION destination_is_new(uuid) IS 'Whether the mechanic''s account was changed less than destination_hold() ago.';

-- The time is asked too, and no writer has a right to it: a hold that somebody releases early changes nothing.
CREATE FUNCTION is_held(payout uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM payout_holds h WHERE h.payout_id = payout AND h.released_at IS NULL)
      OR destination_is_new((SELECT p.mechanic_id FROM payouts p WHERE p.id = payout))
$$;
COMMENT ON FUNCTION is_held(uuid) IS 'Whether the payout has an open hold, or its destination is new.';

CREATE FUNCTION payout_hold() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT make_interval(hours => number_setting('payout_hold_hours', 24))
$$;
COMMENT ON FUNCTION payout_hold() IS
  'How long what a mechanic has earned stays here, so that its customer can contest it: the settings table (payout_hold_hours), then 24 hours.';

-- No writer has a right to created_at.
CREATE FUNCTION may_leave(payout uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT NOT is_held(payout)
     AND EXISTS (SELECT FROM payouts p WHERE p.id = payout AND p.created_at + payout_hold() <= clock_timestamp())
$$;
COMMENT ON FUNCTION may_leave(uuid) IS 'Whether a payout may be sent: nothing holds it, and payout_hold() is over.';

CREATE FUNCTION hold_payout(payout uuid, why text, words text DEFAULT NULL, admin uuid DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO payout_holds AS h (payout_id, reason, note, held_by) VALUES (payout, why, words, admin)
  ON CONFLICT (payout_id, reason) DO UPDATE
     SET note = excluded.note, held_by = excluded.held_by, held_at = clock_timestamp(), released_by = NULL, released_at = NULL
   WHERE h.released_at IS NOT NULL
$$;
COMMENT ON FUNCTION hold_payout(uuid, text, text, uuid) IS 'Holds a payout for a reason, again if that hold was released; one that is being sent is held if that fails.';

CREATE FUNCTION payouts_wait() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF is_held(NEW.id) THEN
    NEW.state := 'held';
    NEW.waits_for := 'release';
    NEW.next_attempt_at := NULL;
  ELSIF NEW.next_attempt_at < NEW.created_at + payout_hold() THEN
    NEW.next_attempt_at := NEW.created_at + payout_hold();
    NEW.waits_for := CASE NEW.state WHEN 'due' THEN 'time' ELSE NEW.waits_for END;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION payouts_wait() IS 'Keeps a payout with an open hold from becoming due, and any other from being attempted before payout_hold() is over.';
CREATE TRIGGER payouts_wait BEFORE INSERT OR UPDATE OF state, next_attempt_at ON payouts FOR EACH ROW
  WHEN (NEW.state IN ('due', 'held')) EXECUTE FUNCTION payouts_wait();

CREATE FUNCTION payout_holds_follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.released_at IS NULL THEN
    UPDATE payouts SET state = 'held' WHERE id = NEW.payout_id AND state IN ('due', 'held');
  ELSIF NOT is_held(NEW.payout_id) THEN
    UPDATE payouts SET state = 'due', waits_for = NULL, attempts = 0, next_attempt_at = clock_timestamp()
     WHERE id = NEW.payout_id AND state = 'held' AND waits_for = 'release';
  END IF;
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  SELECT new_id(), admin, CASE WHEN NEW.released_at IS NULL THEN 'payout.held' ELSE 'payout.released' END,
         NEW.payout_id::text, '{held}', jsonb_build_object('held', NEW.released_at IS NOT NULL),
         jsonb_build_object('held', NEW.released_at IS NULL, 'reason', NEW.reason)
    FROM (SELECT CASE WHEN NEW.released_at IS NULL THEN NEW.held_by ELSE NEW.released_by END AS admin) AS who
   WHERE admin IS NOT NULL;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION payout_holds_follow() IS 'Holds the payout, or has it sent once nothing holds it any more; records an admin''s decision in admin_changes.';
CREATE TRIGGER payout_holds_follow AFTER INSERT OR UPDATE OF released_at ON payout_holds
  FOR EACH ROW EXECUTE FUNCTION payout_holds_follow();

CREATE FUNCTION escalation_needs_release(session uuid, cents bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT NOT EXISTS (
    SELECT FROM quotes q JOIN intakes i ON i.id = q.session_id JOIN customers c ON c.id = i.customer_id
     WHERE q.approved_session_id = session AND cents < number_setting('escalation_auto_release_cents', 2500)
       -- the customer paid for it: with a card, and still has not got it back, or with credits that were bought
       AND CASE i.funding
             WHEN 'card' THEN NOT EXISTS (SELECT FROM checkouts p JOIN losses l ON l.payment_intent_id = p.stripe_payment_intent_id
                                           WHERE p.intake_id = session AND l.effective)
             WHEN 'credit' THEN NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.kind = 'credit_grant'
                                               AND t.credit_account = 'customer:' || c.user_id || ':credits')
             ELSE false END
       AND NOT EXISTS (
         SELECT FROM payouts p JOIN quotes o ON o.approved_session_id = p.session_id JOIN intakes oi ON oi.id = p.session_id
          WHERE p.kind = 'escalation' AND p.created_at > now() - interval '30 days' AND p.session_id <> session
            AND (oi.customer_id = i.customer_id
                 OR o.mechanic_id = q.mechanic_id AND (o.workshop_id = q.workshop_id OR o.given_by_id = q.given_by_id)
                 OR o.mechanic_id = q.given_by_id AND o.given_by_id = q.mechanic_id)))
$$;
COMMENT ON FUNCTION escalation_needs_release(uuid, bigint) IS
  'Whether an admin has to release the share of a session''s approved quote. Not if it is below escalation_auto_release_cents (the settings table, else 2500), the customer paid for the session, and in 30 days no other was earned for this customer, by this mechanic from that workshop or mechanic, or by these two the other way round.';

CREATE FUNCTION hold_disputed_credits(of_user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  missing bigint; -- credits of disputed or lost packs that have been spent
BEGIN
  IF NOT EXISTS (SELECT FROM checkouts c JOIN stripe_disputes d ON d.payment_intent_id = c.stripe_payment_intent_id
                  WHERE c.user_id = of_user AND c.kind = 'pack' AND c.status = 'paid') THEN
    RETURN;
  END IF;
  PERFORM FROM credit_balances b WHERE b.user_id = of_user FOR UPDATE; -- nobody spends meanwhile
  missing := greatest(frozen_credits(of_user) - coalesce((SELECT b.balance FROM credit_balances b WHERE b.user_id = of_user), 0), 0)
    + coalesce((
      SELECT sum(l.part - coalesce((SELECT sum(t.amount) FROM ledger_transfer t
                                     WHERE t.debit_account = 'customer:' || of_user || ':credits' AND t.kind = 'credit_withdrawal'
                                       AND (t.key = l.base || ':credits' OR starts_with(t.key, l.base || ':repaid:'))), 0))
        FROM checkouts c JOIN losses l ON l.payment_intent_id = c.stripe_payment_intent_id
       WHERE c.user_id = of_user AND c.kind = 'pack' AND l.kind = 'dispute' AND l.booked = 'split'), 0);
  WITH spent AS MATERIALIZED (
    -- the newest first; what has come back was not spent
    SELECT i.id, coalesce(sum(i.credits) OVER (ORDER BY i.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
                   < missing AS doubtful
      FROM customers c JOIN intakes i ON i.customer_id = c.id JOIN sessions s ON s.id = i.id
     WHERE c.user_id = of_user AND i.funding = 'credit' AND (s.ended_at IS NULL OR s.status = 'completed')
       AND NOT EXISTS (SELECT FROM contests k WHERE k.session_id = i.id AND k.outcome = 'all')
  ), released AS (
    UPDATE payout_holds h SET released_at = clock_timestamp()
      FROM spent JOIN payouts p ON p.session_id = spent.id
     WHERE NOT spent.doubtful AND h.payout_id = p.id AND h.reason = 'disputed_credits' AND h.released_at IS NULL
  )
  INSERT INTO payout_holds (payout_id, reason)
  SELECT p.id, 'disputed_credits' FROM spent JOIN payouts p ON p.session_id = spent.id
   WHERE spent.doubtful AND p.state IN ('due', 'held', 'sending', 'failed')
  ON CONFLICT (payout_id, reason) DO NOTHING; -- an admin's release stands
END
$$;
COMMENT ON FUNCTION hold_disputed_credits(uuid) IS
  'Holds the payouts of sessions that a customer paid for with credits of packs whose payment is disputed, or was lost: the newest sessions, as many as credits are missing. Releases them when a dispute was won. One that was lost is an admin''s to release: the customer owes for it, and may be the mechanic.';

CREATE FUNCTION payouts_begin_held() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  -- the row's lock makes a suspension that is under way, or another escalation, come before or after, never beside
  PERFORM FROM mechanics m WHERE m.id = NEW.mechanic_id FOR NO KEY UPDATE;
  IF EXISTS (SELECT FROM mechanics m WHERE m.id = NEW.mechanic_id AND m.status = 'suspended') THEN
    PERFORM hold_payout(NEW.id, 'suspended');
  END IF;
  IF destination_is_new(NEW.mechanic_id) THEN
    PERFORM hold_payout(NEW.id, 'destination');
  END IF;
  IF NEW.kind = 'escalation' AND NOT EXISTS (
       SELECT FROM sessions s WHERE s.id = NEW.session_id AND s.status = 'completed') THEN
    RAISE EXCEPTION 'session % was not completed: its quote earns nobody a share', NEW.session_id USING ERRCODE = 'check_violation';
  ELSIF NEW.kind = 'escalation' AND escalation_needs_release(NEW.session_id, NEW.amount_cents) THEN
    PERFORM hold_payout(NEW.id, 'escalation');
  END IF;
  IF EXISTS (SELECT FROM contests c WHERE c.session_id = NEW.session_id AND c.outcome IS NULL) THEN
    PERFORM hold_payout(NEW.id, 'contest');
  END IF;
  PERFORM hold_disputed_credits(c.user_id) FROM intakes i JOIN customers c ON c.id = i.customer_id
    WHERE i.id = NEW.session_id AND i.funding = 'credit';
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION payouts_begin_held() IS 'Holds a new payout for what is known already; refuses the share of a quote for a session that is not completed.';
CREATE TRIGGER payouts_begin_held AFTER INSERT ON payouts FOR EACH ROW EXECUTE FUNCTION payouts_begin_held();

CREATE FUNCTION mechanics_hold_payouts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.status = 'suspended' THEN
    PERFORM hold_payout(p.id, 'suspended') FROM payouts p
     WHERE p.mechanic_id = NEW.id AND p.state IN ('due', 'held', 'sending', 'failed');
  ELSE
    UPDATE payout_holds h SET released_at = clock_timestamp()
      FROM payouts p
     WHERE p.mechanic_id = NEW.id AND h.payout_id = p.id AND h.reason = 'suspended' AND h.released_at IS NULL;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION mechanics_hold_payouts() IS 'Holds what a mechanic is owed for as long as they are suspended.';
CREATE TRIGGER mechanics_hold_payouts AFTER UPDATE OF status ON mechanics FOR EACH ROW
  WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION mechanics_hold_payouts();

CREATE FUNCTION destination_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  -- the first account of a mechanic changes nothing: there was none to lead money away from
  IF OLD.stripe_account_id IS NOT NULL OR OLD.destination_changed_at IS NOT NULL OR OLD.former_account_ids <> '{}' THEN
    NEW.destination_changed_at := clock_timestamp();
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION destination_changes() IS 'Notes when a mechanic''s account is changed, by whomever.';
CREATE TRIGGER destination_changes BEFORE UPDATE OF stripe_account_id ON mechanic_accounts FOR EACH ROW
  WHEN (OLD.stripe_account_id IS DISTINCT FROM NEW.stripe_account_id) EXECUTE FUNCTION destination_changes();

CREATE FUNCTION destination_holds_payouts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM hold_payout(p.id, 'destination') FROM payouts p
   WHERE p.mechanic_id = NEW.mechanic_id AND p.state IN ('due', 'held', 'sending', 'failed');
  INSERT INTO admin_changes (id, actor, kind, subject, changed, before, after)
  VALUES (new_id(), 'db:' || session_user, 'mechanic.destination_changed', NEW.mechanic_id::text, '{stripe_account_id}',
          jsonb_strip_nulls(jsonb_build_object('stripe_account_id', OLD.stripe_account_id)),
          jsonb_strip_nulls(jsonb_build_object('stripe_account_id', NEW.stripe_account_id)));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION destination_holds_payouts() IS 'Holds what a mechanic is owed, and audits where it would go from now on.';
CREATE TRIGGER destination_holds_payouts AFTER UPDATE OF stripe_account_id ON mechanic_accounts FOR EACH ROW
  WHEN (OLD.destination_changed_at IS DISTINCT FROM NEW.destination_changed_at)
  EXECUTE FUNCTION destination_holds_payouts();

CREATE FUNCTION release_destination_holds(batch integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  released integer;
BEGIN
  WITH over AS MATERIALIZED (
    SELECT h.payout_id FROM payout_holds h JOIN payouts p ON p.id = h.payout_id
     WHERE h.reason = 'destination' AND h.released_at IS NULL AND NOT destination_is_new(p.mechanic_id)
     LIMIT batch
       FOR NO KEY UPDATE OF h SKIP LOCKED)
  UPDATE payout_holds h SET released_at = clock_timestamp() FROM over
   WHERE h.payout_id = over.payout_id AND h.reason = 'destination' AND h.released_at IS NULL;
  GET DIAGNOSTICS released = ROW_COUNT;
  -- those whose hold somebody released before its time
  UPDATE payouts p SET state = 'due', waits_for = NULL, attempts = 0, next_attempt_at = clock_timestamp()
   WHERE p.id IN (SELECT x.id FROM payouts x WHERE x.state = 'held' AND x.waits_for = 'release' AND NOT is_held(x.id)
                   LIMIT batch FOR NO KEY UPDATE SKIP LOCKED);
  RETURN released;
END
$$;
COMMENT ON FUNCTION release_destination_holds(integer) IS
  'Has up to batch payouts sent whose destination is no longer new; returns how many holds it released.';
