-- Payments by card, and money that goes back to customers without our doing.

-- Purchases by card: the pages at Stripe where they are paid, and the inbox of Stripe's events.

CREATE TABLE checkouts (
  id                        uuid PRIMARY KEY,
  kind                      text NOT NULL CHECK (kind IN ('intake', 'pack', 'extension')),
  user_id                   uuid NOT NULL,
  intake_id                 uuid UNIQUE REFERENCES intakes (id),
  pack_code                 text REFERENCES credit_packs (code),
  credits                   integer CHECK (credits > 0),
  title                     text NOT NULL,
  amount_cents              integer NOT NULL CHECK (amount_cents > 0),
  currency                  text NOT NULL CHECK (currency = 'usd'),
  request_hash              bytea,
  signed_name               text CHECK (length(signed_name) BETWEEN 1 AND 200),
  waiver_version            text,
  created_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at                timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1 hour',
  idempotency_key           text NOT NULL UNIQUE,
  stripe_session_id         text UNIQUE,
  stripe_payment_intent_id  text UNIQUE,
  url                       text,
  status                    text NOT NULL DEFAULT 'open',
  checked_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
  fee_due_at                timestamptz,
  fee_booked_at             timestamptz,
  refunds_due_at            timestamptz,
  email                     text,
  reckons_tax               boolean NOT NULL DEFAULT switch_setting('stripe_tax'),
  asks_tax_id               boolean NOT NULL DEFAULT switch_setting('stripe_tax_ids'),
  makes_invoice             boolean NOT NULL DEFAULT switch_setting('stripe_invoices'),
  tax_cents                 integer CHECK (tax_cents BETWEEN 0 AND amount_cents),
  processing_since          timestamptz,
  late_since                timestamptz,
  late_answer               text CHECK (late_answer IN ('start', 'give_back')),
  CONSTRAINT checkouts_buy_one_thing CHECK (CASE kind
    WHEN 'intake' THEN num_nonnulls(intake_id, request_hash) = 2 AND num_nonnulls(pack_code, credits) = 0
    WHEN 'extension' THEN intake_id IS NOT NULL
                          AND num_nonnulls(request_hash, pack_code, credits, signed_name, waiver_version) = 0
    WHEN 'pack' THEN num_nonnulls(pack_code, credits) = 2
                     AND num_nonnulls(intake_id, request_hash, signed_name, waiver_version) = 0 END),
  CONSTRAINT checkouts_signature_is_complete CHECK ((signed_name IS NULL) = (waiver_version IS NULL)),
  CONSTRAINT checkouts_answers_were_asked CHECK (late_answer IS NULL OR late_since IS NOT NULL),
  CONSTRAINT checkouts_status_known CHECK (status IN ('open', 'processing', 'paid', 'failed', 'expired', 'unfulfillable')),
  CONSTRAINT checkouts_paid_at_stripe CHECK (status NOT IN ('processing', 'paid', 'unfulfillable') OR stripe_session_id IS NOT NULL)
);
CREATE UNIQUE INDEX checkouts_one_intake_at_once ON checkouts (user_id)
  WHERE kind = 'intake' AND status IN ('open', 'processing');
CREATE UNIQUE INDEX checkouts_one_offer_of_a_pack ON checkouts (user_id, pack_code) WHERE kind = 'pack' AND status = 'open';
CREATE INDEX checkouts_packs ON checkouts (user_id) WHERE kind = 'pack' AND status = 'paid';
CREATE INDEX checkouts_given_back ON checkouts (user_id) WHERE late_answer = 'give_back';
CREATE INDEX checkouts_minutes ON checkouts (user_id) WHERE kind = 'extension' AND status IN ('paid', 'unfulfillable');
CREATE INDEX checkouts_unfinished ON checkouts (checked_at) WHERE status IN ('open', 'processing');
CREATE INDEX checkouts_fee_due ON checkouts (coalesce(fee_due_at, created_at))
  WHERE fee_booked_at IS NULL AND status IN ('paid', 'unfulfillable');
CREATE INDEX checkouts_refunds_due ON checkouts (refunds_due_at) WHERE refunds_due_at IS NOT NULL;
COMMENT ON TABLE checkouts IS
  'One page at Stripe where an intake or a pack of credits is paid; stored before Stripe is asked to create it.';
COMMENT ON COLUMN checkouts.kind IS 'The purchase: intake, pack, or extension (minutes for a talk, whose intake is intake_id).';
COMMENT ON COLUMN checkouts.user_id IS 'The sub of the customer''s token.';
COMMENT ON COLUMN checkouts.pack_code IS 'The pack, if the purchase is one.';
COMMENT ON COLUMN checkouts.credits IS 'The credits of the pack when it was offered.';
COMMENT ON COLUMN checkouts.title IS 'The name of the purchase on the page.';
COMMENT ON COLUMN checkouts.amount_cents IS 'The price that Stripe charges, in cents of the currency.';
COMMENT ON COLUMN checkouts.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN checkouts.request_hash IS 'The hash of the intake''s request, by which a repetition is recognised.';
-- The statement of the intake stores the row, so the instant of its creation is that of the signature.
COMMENT ON COLUMN checkouts.signed_name IS 'The signature of the waiver, if it was signed with the intake, at created_at; personal data.';
COMMENT ON COLUMN checkouts.waiver_version IS 'The version of the signed text.';
COMMENT ON COLUMN checkouts.created_at IS 'When it was stored.';
COMMENT ON COLUMN checkouts.expires_at IS 'When the page can no longer be paid; part of the request to Stripe, so fixed here.';
COMMENT ON COLUMN checkouts.idempotency_key IS
  'The key of the call that creates the page; replaced only after Stripe answered with an error, which it would repeat for the same key.';
COMMENT ON COLUMN checkouts.stripe_session_id IS 'Stripe''s id of the page; null: Stripe has not answered yet.';
COMMENT ON COLUMN checkouts.stripe_payment_intent_id IS 'Stripe''s id of the payment; transfers draw on its charge.';
COMMENT ON COLUMN checkouts.url IS 'The address of the page.';
COMMENT ON COLUMN checkouts.status IS
  'open: can be paid; processing: paid, but not yet confirmed by the bank; paid: paid and fulfilled; failed: the bank refused, or Stripe never created the page; expired; unfulfillable: paid, but cannot be fulfilled, see refunds.';
COMMENT ON COLUMN checkouts.checked_at IS 'When it was created, or when the sweep last asked Stripe about it.';
COMMENT ON COLUMN checkouts.fee_due_at IS 'When Stripe is next asked for its fee; null: as soon as it is paid.';
COMMENT ON COLUMN checkouts.fee_booked_at IS 'When Stripe''s fee was booked.';
COMMENT ON COLUMN checkouts.refunds_due_at IS
  'When Stripe is next asked for the refunds of its payment; null: we know all that Stripe has reported.';
COMMENT ON COLUMN checkouts.email IS
  'The customer''s address, if it was confirmed when the row was made: Stripe fills it in, and sends its receipt there; personal data.';
COMMENT ON COLUMN checkouts.reckons_tax IS 'Whether Stripe Tax reckons the tax within the price (the setting stripe_tax then).';
COMMENT ON COLUMN checkouts.asks_tax_id IS 'Whether the page asks businesses for their tax id (stripe_tax_ids).';
COMMENT ON COLUMN checkouts.makes_invoice IS 'Whether Stripe makes an invoice of the payment (stripe_invoices).';
COMMENT ON COLUMN checkouts.tax_cents IS 'The tax within the price, as Stripe reckoned it; null: not yet paid, or without Stripe Tax.';
COMMENT ON COLUMN checkouts.processing_since IS 'When we learned that its customer had paid, and the bank not yet confirmed it.';
COMMENT ON COLUMN checkouts.late_since IS
  'When the money came, if that was so late that the customer is asked whether the session shall start now; it is processing until then.';
COMMENT ON COLUMN checkouts.late_answer IS 'What the customer said: start, or give_back.';
GRANT SELECT,
      INSERT (id, kind, user_id, intake_id, pack_code, credits, title, amount_cents, currency, request_hash,
              signed_name, waiver_version, idempotency_key),
      UPDATE (idempotency_key, stripe_session_id, stripe_payment_intent_id, url, status, checked_at, fee_due_at,
              fee_booked_at, refunds_due_at, tax_cents, processing_since, late_since, late_answer)
  ON checkouts TO autodoctor_app;

CREATE FUNCTION late_answer_time() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT make_interval(hours => number_setting('late_answer_hours', 24))
$$;
COMMENT ON FUNCTION late_answer_time() IS 'How long a customer whose payment came late may take to say what shall become of it.';

CREATE FUNCTION comes_late(paid checkouts) RETURNS boolean LANGUAGE sql STABLE AS $$
  -- whoever has a session, or goes to pay for another one, is there: nobody has to be asked
  SELECT paid.kind = 'intake'
     AND clock_timestamp() > least(paid.processing_since, paid.expires_at) + seconds_setting('late_payment_seconds', 3600)
     AND NOT EXISTS (SELECT FROM intakes i WHERE i.id = paid.intake_id AND i.scheduled_for > clock_timestamp())
     AND NOT EXISTS (SELECT FROM intakes i JOIN sessions s ON s.customer_id = i.customer_id
                      WHERE i.id = paid.intake_id AND s.ended_at IS NULL)
     AND NOT EXISTS (SELECT FROM checkouts o
                      WHERE o.user_id = paid.user_id AND o.id <> paid.id AND o.kind = 'intake' AND o.status IN ('open', 'processing'))
$$;
COMMENT ON FUNCTION comes_late(checkouts) IS
  'Whether its money comes so late that the customer may be gone: an hour (late_payment_seconds) after they paid, or after the page closed.';

-- In plpgsql, as rooms come later. A talk ends when one of its parties leaves: a mechanic who is there after that was left.
CREATE FUNCTION customer_gave_up(session sessions) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce(
    session.end_reason = 'withdrawn'
    OR session.end_reason = 'no_show' AND session.absent IN ('customer', 'both')
    OR session.end_reason IN ('too_short', 'no_talk') AND session.ended_by = 'customer'
       AND NOT (EXISTS (SELECT FROM session_presence p WHERE p.session_id = session.id AND p.role = 'customer'
                           AND p.replaced_at IS NULL AND (p.until > session.ended_at) IS NOT FALSE)
                AND NOT EXISTS (SELECT FROM session_presence p WHERE p.session_id = session.id AND p.role = 'mechanic'
                                   AND p.replaced_at IS NULL AND (p.until > session.ended_at) IS NOT FALSE))
       AND NOT (session.end_reason = 'no_talk' AND EXISTS (
                  SELECT FROM rooms r WHERE r.session_id = session.id AND r.customer_written > 0 AND r.mechanic_written = 0)),
    false);
END
$$;
COMMENT ON FUNCTION customer_gave_up(sessions) IS
  'Whether it is the customer because of whom a session gave its price back: they withdrew, did not come, or ended a talk that was too short or none, though the mechanic had not left before, nor left them without an answer.';

-- In plpgsql, as minutes and refunds come later.
CREATE FUNCTION withdrawn_payments(of_user uuid) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT count(*) FROM customers c JOIN sessions s ON s.customer_id = c.id JOIN intakes i ON i.id = s.id
           WHERE c.user_id = of_user AND i.funding = 'card' AND s.ended_at > now() - interval '24 hours'
             AND customer_gave_up(s))
       + (SELECT count(*) FROM checkouts b JOIN refunds r ON r.intake_id = b.intake_id AND r.kind = 'unfulfillable'
           WHERE b.user_id = of_user AND b.kind = 'intake' AND b.status = 'unfulfillable'
             AND (b.late_since IS NULL OR b.late_answer = 'give_back') AND r.created_at > now() - interval '24 hours')
       + minutes_given_up(of_user);
END
$$;
COMMENT ON FUNCTION withdrawn_payments(uuid) IS
  'How many payments by card a customer gave up in 24 hours: requests that customer_gave_up(), that could not begin as the customer had another session when they paid, or were given back when the money came late, and minutes not used: each is refunded, and Stripe keeps its fee. With withdrawn_payments_per_day of them (the settings table, else 3) they cannot pay by card.';

CREATE FUNCTION checkouts_know_the_address() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  SELECT c.email INTO NEW.email
    FROM customers c JOIN confirmed_addresses a ON a.user_id = c.user_id AND a.address_hash = address_hash(c.email)
   WHERE c.user_id = NEW.user_id AND c.erased_at IS NULL;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION checkouts_know_the_address() IS
  'Notes the address for Stripe, which writes to it: only one that is shown to be the customer''s. Fixed here, as Stripe refuses a key that comes with another request.';
CREATE TRIGGER checkouts_know_the_address BEFORE INSERT ON checkouts
  FOR EACH ROW EXECUTE FUNCTION checkouts_know_the_address();

CREATE FUNCTION checkout_may_move(source text, target text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  -- Stripe may report in any order, and the payment of a page that we gave up counts all the same
  SELECT CASE source
    WHEN 'open' THEN target IN ('processing', 'paid', 'failed', 'expired', 'unfulfillable')
    WHEN 'processing' THEN target IN ('paid', 'failed', 'unfulfillable')
    WHEN 'failed' THEN target IN ('processing', 'paid', 'unfulfillable')
    WHEN 'expired' THEN target IN ('processing', 'paid', 'failed', 'unfulfillable')
    ELSE false END
$$;
COMMENT ON FUNCTION checkout_may_move(text, text) IS 'Whether a checkout may go from one status to another; a paid one stays paid.';

CREATE FUNCTION guard_checkout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT checkout_may_move(OLD.status, NEW.status) THEN
    RAISE EXCEPTION 'checkout % cannot go from % to %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION guard_checkout() IS 'Refuses moves that checkout_may_move() does not allow.';
CREATE TRIGGER guard_checkout BEFORE UPDATE OF status ON checkouts FOR EACH ROW
  WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION guard_checkout();

CREATE TABLE stripe_events (
  id           text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
  endpoint     text NOT NULL CHECK (endpoint IN ('platform', 'connect')),
  type         text NOT NULL,
  account      text,
  object_id    text,
  livemode     boolean NOT NULL,
  created_at   timestamptz NOT NULL,
  received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  handled_at   timestamptz,
  outcome      text,
  CONSTRAINT stripe_events_handled_with_an_outcome CHECK ((handled_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX stripe_events_by_object ON stripe_events (object_id, created_at) WHERE object_id IS NOT NULL;
-- With it verify finds events that had no effect without reading all of them.
CREATE INDEX stripe_events_unhandled ON stripe_events (id) WHERE handled_at IS NULL;
COMMENT ON TABLE stripe_events IS
  'The inbox: every event that Stripe signed, once. A row commits together with the effects of its event; ids and facts only, no personal data.';
COMMENT ON COLUMN stripe_events.id IS 'Stripe''s.';
COMMENT ON COLUMN stripe_events.endpoint IS 'The endpoint that received it: platform, or connect for events of connected accounts.';
COMMENT ON COLUMN stripe_events.type IS 'As Stripe names it.';
COMMENT ON COLUMN stripe_events.account IS 'The connected account that it concerns; null: our own.';
COMMENT ON COLUMN stripe_events.object_id IS 'Stripe''s id of the object that it concerns.';
COMMENT ON COLUMN stripe_events.livemode IS 'Whether it concerns real money.';
COMMENT ON COLUMN stripe_events.created_at IS 'When it happened, by Stripe''s clock.';
COMMENT ON COLUMN stripe_events.received_at IS 'When it was first received.';
COMMENT ON COLUMN stripe_events.handled_at IS 'When it was handled.';
COMMENT ON COLUMN stripe_events.outcome IS 'The effect, as named in the answer to Stripe.';
GRANT SELECT,
      INSERT (id, endpoint, type, account, object_id, livemode, created_at),
      UPDATE (handled_at, outcome)
  ON stripe_events TO autodoctor_app;

-- Money that goes back to customers without our doing: refunds made in Stripe's dashboard, and disputes.
--
-- The facts are Stripe's, reported in any order and more than once. Each row also says how it is booked. Whatever learns
-- something new (a webhook, a sweep, a settlement) locks the payment's row of checkouts, then that of the payout, and
-- books the difference.

CREATE TABLE stripe_refunds (
  id                 text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
  payment_intent_id  text NOT NULL CHECK (length(payment_intent_id) BETWEEN 1 AND 255),
  amount_cents       bigint NOT NULL CHECK (amount_cents > 0),
  pending            boolean NOT NULL DEFAULT false,
  failed             boolean NOT NULL DEFAULT false,
  booked             text NOT NULL DEFAULT 'nothing',
  part               bigint NOT NULL DEFAULT 0 CHECK (part >= 0),
  bookings           integer NOT NULL DEFAULT 0 CHECK (bookings >= 0),
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT stripe_refunds_booked_known CHECK (booked IN ('nothing', 'held', 'split', 'reversed'))
);
CREATE INDEX stripe_refunds_by_payment ON stripe_refunds (payment_intent_id);
CREATE INDEX stripe_refunds_unbooked ON stripe_refunds (payment_intent_id)
  WHERE (NOT failed AND booked = 'nothing') OR (failed AND booked IN ('held', 'split'));
COMMENT ON TABLE stripe_refunds IS 'Every refund that Stripe reported, ours and those made by hand.';
COMMENT ON COLUMN stripe_refunds.id IS 'Stripe''s.';
COMMENT ON COLUMN stripe_refunds.payment_intent_id IS 'The payment; it may not be ours, or not be known yet.';
COMMENT ON COLUMN stripe_refunds.amount_cents IS 'Cents of usd.';
COMMENT ON COLUMN stripe_refunds.pending IS
  'Whether Stripe has not moved the money yet, as when our balance is short. It is booked all the same, and in no balance transaction.';
COMMENT ON COLUMN stripe_refunds.failed IS 'Whether the customer''s bank refused it, or it was cancelled, so that the money came back. Final.';
COMMENT ON COLUMN stripe_refunds.booked IS
  'How it is booked in the ledger. nothing: not at all; held: taken from the held money; split: the platform and the mechanic bear their parts, or the sale of the pack bears it; reversed: the split was booked back.';
COMMENT ON COLUMN stripe_refunds.part IS 'Once split: the mechanic''s part in cents, or the number of the pack''s credits.';
COMMENT ON COLUMN stripe_refunds.bookings IS
  'How often it was booked. A booking after a reversal, when the facts of the payment had changed, has its number in its keys.';
COMMENT ON COLUMN stripe_refunds.created_at IS 'When it was first reported.';
GRANT SELECT,
      INSERT (id, payment_intent_id, amount_cents, pending, failed),
      UPDATE (pending, failed, booked, part, bookings)
  ON stripe_refunds TO autodoctor_app;

CREATE FUNCTION dispute_is_lost(status text, withdrawn bigint, reinstated bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT status IN ('lost', 'prevented') AND withdrawn > reinstated
$$;
COMMENT ON FUNCTION dispute_is_lost(text, bigint, bigint) IS
  'Whether Stripe keeps what it took for a dispute: it was lost, or prevented by giving in.';

CREATE FUNCTION dispute_is_behind(status text, withdrawn bigint, reinstated bigint, booked text, booked_cents bigint)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  -- not by dispute_is_lost(): an index has this function, and indexes are built without a search path
  SELECT (status IN ('lost', 'prevented') AND withdrawn > reinstated) <> (booked IN ('held', 'split'))
         OR booked IN ('held', 'split') AND booked_cents <> withdrawn - reinstated
$$;
COMMENT ON FUNCTION dispute_is_behind(text, bigint, bigint, text, bigint) IS
  'Whether the ledger does not have what Stripe keeps for a dispute: not at all, though it does no longer, or another amount.';

CREATE TABLE stripe_disputes (
  id                 text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
  payment_intent_id  text NOT NULL CHECK (length(payment_intent_id) BETWEEN 1 AND 255),
  amount_cents       bigint NOT NULL CHECK (amount_cents >= 0),
  currency           text NOT NULL DEFAULT 'usd' CHECK (length(currency) BETWEEN 1 AND 16),
  status             text NOT NULL CHECK (length(status) BETWEEN 1 AND 64),
  withdrawn_cents    bigint NOT NULL DEFAULT 0 CHECK (withdrawn_cents >= 0),
  reinstated_cents   bigint NOT NULL DEFAULT 0 CHECK (reinstated_cents >= 0),
  booked             text NOT NULL DEFAULT 'nothing',
  lost_cents         bigint NOT NULL DEFAULT 0 CHECK (lost_cents >= 0),
  part               bigint NOT NULL DEFAULT 0 CHECK (part >= 0),
  bookings           integer NOT NULL DEFAULT 0 CHECK (bookings >= 0),
  fees_due_at        timestamptz DEFAULT clock_timestamp(),
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT stripe_disputes_booked_known CHECK (booked IN ('nothing', 'held', 'split', 'reversed'))
);
CREATE INDEX stripe_disputes_by_payment ON stripe_disputes (payment_intent_id);
CREATE INDEX stripe_disputes_unbooked ON stripe_disputes (payment_intent_id)
  WHERE dispute_is_behind(status, withdrawn_cents, reinstated_cents, booked, lost_cents);
CREATE INDEX stripe_disputes_fees_due ON stripe_disputes (fees_due_at) WHERE fees_due_at IS NOT NULL;
COMMENT ON TABLE stripe_disputes IS 'Every dispute that Stripe reported.';
COMMENT ON COLUMN stripe_disputes.id IS 'Stripe''s.';
COMMENT ON COLUMN stripe_disputes.payment_intent_id IS 'As in stripe_refunds.';
COMMENT ON COLUMN stripe_disputes.amount_cents IS
  'The disputed amount, in the smallest unit of its currency. It moves nothing: what counts is what Stripe takes and gives back.';
COMMENT ON COLUMN stripe_disputes.currency IS 'ISO 4217, lower case: that of the customer''s bank.';
COMMENT ON COLUMN stripe_disputes.status IS 'Stripe''s status, the furthest reported: an earlier one that arrives late changes nothing.';
COMMENT ON COLUMN stripe_disputes.withdrawn_cents IS 'The amount that Stripe took out of our balance for it, in cents of usd, without its fee.';
COMMENT ON COLUMN stripe_disputes.reinstated_cents IS 'The part of it that came back.';
COMMENT ON COLUMN stripe_disputes.booked IS 'As in stripe_refunds, for the lost amount; an amount that is only withdrawn is in the account disputed.';
COMMENT ON COLUMN stripe_disputes.lost_cents IS 'The amount booked as lost.';
COMMENT ON COLUMN stripe_disputes.part IS 'As in stripe_refunds.';
COMMENT ON COLUMN stripe_disputes.bookings IS 'As in stripe_refunds.';
COMMENT ON COLUMN stripe_disputes.fees_due_at IS 'When Stripe is next asked for its fees; null: those of all its movements are booked.';
COMMENT ON COLUMN stripe_disputes.created_at IS 'When it was first reported.';
COMMENT ON COLUMN stripe_disputes.updated_at IS 'When something new was last reported about it.';
GRANT SELECT,
      INSERT (id, payment_intent_id, amount_cents, currency, status, withdrawn_cents, reinstated_cents),
      UPDATE (status, withdrawn_cents, reinstated_cents, booked, lost_cents, part, bookings, fees_due_at,
              updated_at)
  ON stripe_disputes TO autodoctor_app;

CREATE VIEW losses AS
  SELECT 'refund' AS kind, id, 'refund:' || id || CASE WHEN bookings > 1 THEN ':' || bookings ELSE '' END AS base,
         payment_intent_id, amount_cents AS cents, amount_cents AS booked_cents, NOT failed AS effective, booked, part, bookings,
         failed = (booked IN ('held', 'split')) AS behind, created_at
    FROM stripe_refunds
  UNION ALL
  SELECT 'dispute', id, 'dispute:' || id || ':lost' || CASE WHEN bookings > 1 THEN ':' || bookings ELSE '' END,
         payment_intent_id, greatest(withdrawn_cents - reinstated_cents, 0), lost_cents,
         dispute_is_lost(status, withdrawn_cents, reinstated_cents), booked, part, bookings,
         dispute_is_behind(status, withdrawn_cents, reinstated_cents, booked, lost_cents), created_at
    FROM stripe_disputes;
COMMENT ON VIEW losses IS
  'Payments that went back to customers. effective: the refund did not fail, or Stripe keeps what it took for the dispute. base: the beginning of the keys of its bookings. behind: the ledger does not show it as it is.';
GRANT SELECT ON losses TO autodoctor_app;

CREATE FUNCTION frozen_credits(of_user uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(c.credits), 0)::bigint FROM checkouts c
   WHERE c.user_id = of_user AND c.kind = 'pack' AND c.status = 'paid'
     AND EXISTS (SELECT FROM stripe_disputes d WHERE d.payment_intent_id = c.stripe_payment_intent_id
                    AND d.status IN ('needs_response', 'under_review'))
$$;
COMMENT ON FUNCTION frozen_credits(uuid) IS
  'The credits of a customer''s packs whose payment is disputed now: so many of what is left cannot be spent, and what is missing of them has been.';
