-- People, plans and credit packs, and the requests of customers.

-- People: workshops, mechanics, customers, and their referrals.

CREATE TABLE workshops (
  id          uuid PRIMARY KEY DEFAULT new_id(),
  name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  created_at  timestamptz NOT NULL DEFAULT now(),
  change_id   uuid,
  changed_by  uuid
);
COMMENT ON TABLE workshops IS 'A business that employs mechanics; only its mechanics see its own requests.';
COMMENT ON COLUMN workshops.name IS 'As shown to customers.';
COMMENT ON COLUMN workshops.created_at IS 'When it joined.';
COMMENT ON COLUMN workshops.change_id IS 'The id in admin_changes of the last change by an admin.';
COMMENT ON COLUMN workshops.changed_by IS 'The sub of the admin who made it; a change without one, such as the owner''s, leaves no row there.';
GRANT SELECT, INSERT (id, name, change_id, changed_by), UPDATE (name, change_id, changed_by) ON workshops TO autodoctor_app;

-- VOLATILE, so that it sees the codes that its own statement has already given out.
CREATE FUNCTION new_referral_code() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  code text;
BEGIN
  LOOP
    -- the last seven bytes of a UUIDv4 are random, without bits of its version
    SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', get_byte(r.bytes, n) % 32 + 1, 1), '') INTO code
      FROM (SELECT substring(uuid_send(gen_random_uuid()) FROM 10) || substring(uuid_send(gen_random_uuid()) FROM 16)) AS r (bytes),
           generate_series(0, 7) AS n;
    EXIT WHEN NOT EXISTS (SELECT FROM mechanics m WHERE m.referral_code = code);
  END LOOP;
  RETURN code;
END
$$;
COMMENT ON FUNCTION new_referral_code() IS 'A referral code that no mechanic has.';

CREATE TABLE mechanics (
  id                 uuid PRIMARY KEY DEFAULT new_id(),
  user_id            uuid NOT NULL UNIQUE,
  name               text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  email              text,
  workshop_id        uuid REFERENCES workshops (id),
  status             text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  suspended_at       timestamptz,
  suspension_reason  text CHECK (length(suspension_reason) BETWEEN 1 AND 500),
  available_until    timestamptz,
  referral_code      text NOT NULL DEFAULT new_referral_code(),
  created_at         timestamptz NOT NULL DEFAULT now(),
  change_id          uuid,
  changed_by         uuid,
  erased_at          timestamptz,
  CONSTRAINT mechanics_only_suspended_ones_have_a_reason
    CHECK (status = 'suspended' OR num_nonnulls(suspended_at, suspension_reason) = 0),
  CONSTRAINT mechanics_referral_code_once UNIQUE (referral_code),
  CONSTRAINT mechanics_referral_code_is_one CHECK (referral_code ~ '^[0-9A-HJKMNP-TV-Z]{8}$')
);
CREATE INDEX mechanics_by_workshop ON mechanics (workshop_id) WHERE workshop_id IS NOT NULL;
CREATE INDEX mechanics_by_lease ON mechanics (available_until) WHERE available_until IS NOT NULL;
COMMENT ON TABLE mechanics IS 'The mechanics. Sessions refer to mechanics.id, never to the user of the token.';
COMMENT ON COLUMN mechanics.user_id IS 'The sub of the token this mechanic signs in with.';
COMMENT ON COLUMN mechanics.name IS 'As shown to customers.';
COMMENT ON COLUMN mechanics.email IS 'The address for mails about payouts; personal data; null: none are sent.';
COMMENT ON COLUMN mechanics.workshop_id IS 'The workshop that employs the mechanic; null for an independent one.';
COMMENT ON COLUMN mechanics.status IS 'A suspended mechanic may not fetch the queue or accept, and is offered nothing.';
COMMENT ON COLUMN mechanics.suspended_at IS 'Since when they are suspended; null also where that was not recorded.';
COMMENT ON COLUMN mechanics.suspension_reason IS 'The admin''s words about a suspension that is in force, for the mechanic; personal data.';
COMMENT ON COLUMN mechanics.available_until IS
  'The lease: requests are offered to this mechanic until then, and afterwards while a feed that was open by then stays open; infinity until the mechanic says otherwise; null: not available.';
COMMENT ON COLUMN mechanics.referral_code IS
  'The code that the mechanic gives to customers: 8 random characters of Crockford''s base 32, which has no I, L, O or U. It identifies the referrer and grants nothing.';
COMMENT ON COLUMN mechanics.created_at IS 'When the mechanic joined.';
COMMENT ON COLUMN mechanics.change_id IS 'The id in admin_changes of the last change by an admin.';
COMMENT ON COLUMN mechanics.changed_by IS 'The sub of the admin who made it; a change without one, such as the owner''s, leaves no row there.';
COMMENT ON COLUMN mechanics.erased_at IS 'Set when the personal data was erased on request; nothing of such a mechanic changes any more.';
GRANT SELECT,
      INSERT (user_id, name, email, workshop_id, change_id, changed_by),
      UPDATE (name, email, workshop_id, status, suspension_reason, available_until, change_id, changed_by)
  ON mechanics TO autodoctor_app;

CREATE FUNCTION suspension_follows_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status <> 'suspended' THEN
    NEW.suspended_at := NULL;
    NEW.suspension_reason := NULL;
  ELSIF OLD.status <> 'suspended' THEN
    NEW.suspended_at := clock_timestamp();
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION suspension_follows_status() IS 'Dates a suspension, and forgets its reason with its end.';
CREATE TRIGGER suspension_follows_status BEFORE UPDATE OF status ON mechanics
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION suspension_follows_status();

CREATE FUNCTION erased_mechanics_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the data of mechanic % was erased', OLD.id USING ERRCODE = 'AD011';
END
$$;
COMMENT ON FUNCTION erased_mechanics_stay() IS 'Refuses every change of a mechanic whose data was erased.';
CREATE TRIGGER erased_mechanics_stay BEFORE UPDATE ON mechanics
  FOR EACH ROW WHEN (OLD.erased_at IS NOT NULL AND OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION erased_mechanics_stay();

CREATE TABLE customers (
  id           uuid PRIMARY KEY DEFAULT new_id(),
  user_id      uuid NOT NULL UNIQUE,
  name         text NOT NULL,
  email        text NOT NULL,
  phone        text,
  referrer_id  uuid REFERENCES mechanics (id),
  created_at   timestamptz NOT NULL DEFAULT now(),
  erased_at    timestamptz
);
CREATE INDEX customers_by_referrer ON customers (referrer_id) WHERE referrer_id IS NOT NULL;
COMMENT ON TABLE customers IS 'The customers. Created by the first intake, kept up to date by the next ones; or by the erasure of a user who never began one.';
COMMENT ON COLUMN customers.user_id IS 'The sub of the token this customer signs in with.';
COMMENT ON COLUMN customers.name IS 'Personal data, as last given at intake.';
COMMENT ON COLUMN customers.email IS 'Personal data, as last given at intake.';
COMMENT ON COLUMN customers.phone IS 'Personal data, as last given at intake.';
COMMENT ON COLUMN customers.referrer_id IS 'The mechanic whose referral code they gave first, at whichever intake; never changed afterwards.';
COMMENT ON COLUMN customers.created_at IS 'When the first intake was made.';
COMMENT ON COLUMN customers.erased_at IS 'Set when the personal data was erased on request; such a customer cannot start a session.';
GRANT SELECT,
      INSERT (user_id, name, email, phone, referrer_id),
      UPDATE (name, email, phone, referrer_id)
  ON customers TO autodoctor_app;

CREATE FUNCTION referral_stands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.referrer_id IS NOT NULL THEN
    RAISE EXCEPTION 'the referrer of customer % is fixed', OLD.id USING ERRCODE = 'AD004';
  ELSIF EXISTS (SELECT FROM mechanics m WHERE m.id = NEW.referrer_id AND m.user_id = NEW.user_id) THEN
    RAISE EXCEPTION 'customer and referrer are the same user' USING ERRCODE = 'AD003';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION referral_stands() IS 'Keeps a customer''s first referral, and refuses a referral of oneself.';
CREATE TRIGGER referral_is_anothers BEFORE INSERT ON customers FOR EACH ROW
  WHEN (NEW.referrer_id IS NOT NULL) EXECUTE FUNCTION referral_stands();
CREATE TRIGGER referral_stands BEFORE UPDATE OF referrer_id, user_id ON customers FOR EACH ROW
  WHEN (OLD.referrer_id IS DISTINCT FROM NEW.referrer_id) EXECUTE FUNCTION referral_stands();

-- Plans, credit packs and intakes.

CREATE FUNCTION are_minute_packs(packs jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(packs) WHEN 'array' THEN coalesce((
           SELECT bool_and(coalesce((p ->> 'code') ~ '^[a-z][a-z0-9_-]{0,39}$'
                                    AND (p ->> 'minutes')::integer BETWEEN 1 AND 1440
                                    AND (p ->> 'price_cents')::integer BETWEEN 50 AND 99999999
                                    AND (p ->> 'credits')::integer BETWEEN 0 AND 10000, false))
                  AND count(*) = count(DISTINCT p ->> 'code')
             FROM jsonb_array_elements(packs) AS p), true) ELSE false END
$$;
COMMENT ON FUNCTION are_minute_packs(jsonb) IS 'Whether this is what plans.minute_packs may hold: a list of packs, each with a code of its own.';

CREATE TABLE plans (
  code                      text PRIMARY KEY,
  name                      text NOT NULL,
  session_types             text[] NOT NULL CHECK (session_types <@ ARRAY['chat', 'video', 'diagnostic'] AND session_types <> '{}'),
  price_cents               integer NOT NULL CHECK (price_cents >= 0),
  currency                  text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  credits                   integer NOT NULL CHECK (credits >= 0),
  included_minutes          integer NOT NULL CHECK (included_minutes > 0),
  max_minutes               integer NOT NULL DEFAULT 180 CHECK (max_minutes >= included_minutes),
  mechanic_share_bp         integer NOT NULL CHECK (mechanic_share_bp BETWEEN 0 AND 10000),
  mechanic_fixed_pay_cents  integer NOT NULL DEFAULT 0 CHECK (mechanic_fixed_pay_cents >= 0),
  uses_per_customer         integer CHECK (uses_per_customer > 0),
  minute_packs              jsonb NOT NULL DEFAULT '[]' CHECK (are_minute_packs(minute_packs)),
  change_id                 uuid,
  changed_by                uuid,
  -- the free plan stays free, whatever an admin changes
  CONSTRAINT plans_free_costs_nothing CHECK (code <> 'free' OR (price_cents = 0 AND credits = 0))
);
COMMENT ON TABLE plans IS 'The plans that a customer can choose.';
COMMENT ON COLUMN plans.code IS 'As sent by clients.';
COMMENT ON COLUMN plans.name IS 'As shown to customers.';
COMMENT ON COLUMN plans.session_types IS 'The kinds of session this plan allows.';
COMMENT ON COLUMN plans.price_cents IS 'Price in cents of the currency; only a price of 0 can be taken with payWith free.';
COMMENT ON COLUMN plans.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN plans.credits IS 'Price in credits.';
COMMENT ON COLUMN plans.included_minutes IS 'Minutes the price covers.';
COMMENT ON COLUMN plans.max_minutes IS 'A live session is ended at its start plus this many minutes.';
COMMENT ON COLUMN plans.mechanic_share_bp IS 'The mechanic''s share of the price in basis points (1/100 of a per cent).';
COMMENT ON COLUMN plans.mechanic_fixed_pay_cents IS 'The mechanic''s pay for a completed session that was taken with payWith free.';
COMMENT ON COLUMN plans.uses_per_customer IS 'How many sessions of this plan a customer may have, without cancelled and expired ones; null: no limit.';
COMMENT ON COLUMN plans.minute_packs IS
  'By what a talk of this plan can be extended: a list of {code, minutes, price_cents, credits}; credits of 0: by card only.';
COMMENT ON COLUMN plans.change_id IS 'The id in admin_changes of the last change by an admin.';
COMMENT ON COLUMN plans.changed_by IS 'The sub of the admin who made it; a change without one, such as the owner''s, leaves no row there.';
GRANT SELECT,
      INSERT (code, name, session_types, price_cents, credits, included_minutes, max_minutes, mechanic_share_bp,
              mechanic_fixed_pay_cents, uses_per_customer, minute_packs, change_id, changed_by),
      UPDATE (name, price_cents, credits, included_minutes, max_minutes, mechanic_share_bp, mechanic_fixed_pay_cents,
              uses_per_customer, minute_packs, change_id, changed_by)
  ON plans TO autodoctor_app;
INSERT INTO plans (code, name, session_types, price_cents, credits, included_minutes, mechanic_share_bp, minute_packs) VALUES
  ('free',       'Free consultation', '{chat,video,diagnostic}',    0, 0,  5,    0, '[]'),
  ('quick',      'Quick chat',        '{chat}',                   999, 1, 30, 7000,
   '[{"code": "m15", "minutes": 15, "price_cents": 599, "credits": 1}]'),
  ('standard',   'Video consultation','{video}',                 2999, 3, 45, 7000,
   '[{"code": "m15", "minutes": 15, "price_cents": 999, "credits": 1}, {"code": "m30", "minutes": 30, "price_cents": 1899, "credits": 2}]'),
  ('diagnostic', 'Diagnostic',        '{diagnostic}',            4999, 5, 60, 7000,
   '[{"code": "m15", "minutes": 15, "price_cents": 1299, "credits": 2}, {"code": "m30", "minutes": 30, "price_cents": 2399, "credits": 3}]');

CREATE TABLE credit_packs (
  code         text PRIMARY KEY,
  name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  credits      integer NOT NULL CHECK (credits > 0),
  price_cents  integer NOT NULL CHECK (price_cents > 0),
  currency     text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  active       boolean NOT NULL DEFAULT true,
  change_id    uuid,
  changed_by   uuid
);
COMMENT ON TABLE credit_packs IS 'Credits that a customer can buy at once.';
COMMENT ON COLUMN credit_packs.code IS 'As sent by clients.';
COMMENT ON COLUMN credit_packs.name IS 'As shown to customers.';
COMMENT ON COLUMN credit_packs.credits IS 'The number of credits.';
COMMENT ON COLUMN credit_packs.price_cents IS 'Price of the pack in cents of the currency.';
COMMENT ON COLUMN credit_packs.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN credit_packs.active IS 'Whether it is shown and sold.';
COMMENT ON COLUMN credit_packs.change_id IS 'The id in admin_changes of the last change by an admin.';
COMMENT ON COLUMN credit_packs.changed_by IS 'The sub of the admin who made it; a change without one, such as the owner''s, leaves no row there.';
GRANT SELECT,
      INSERT (code, name, credits, price_cents, active, change_id, changed_by),
      UPDATE (name, credits, price_cents, active, change_id, changed_by)
  ON credit_packs TO autodoctor_app;
INSERT INTO credit_packs (code, name, credits, price_cents) VALUES
  ('five', '5 credits', 5, 4499), ('ten', '10 credits', 10, 8499), ('twenty', '20 credits', 20, 15999);

CREATE TABLE intakes (
  id                        uuid PRIMARY KEY DEFAULT new_id(),
  customer_id               uuid NOT NULL REFERENCES customers (id),
  plan_code                 text NOT NULL REFERENCES plans (code),
  funding                   text NOT NULL CHECK (funding IN ('free', 'credit', 'card')),
  session_type              text NOT NULL CHECK (session_type IN ('chat', 'video', 'diagnostic')),
  price_cents               integer NOT NULL CHECK (price_cents >= 0),
  currency                  text NOT NULL,
  credits                   integer NOT NULL CHECK (credits >= 0),
  mechanic_share_bp         integer NOT NULL CHECK (mechanic_share_bp BETWEEN 0 AND 10000),
  included_minutes          integer,
  max_minutes               integer NOT NULL CHECK (max_minutes > 0),
  mechanic_fixed_pay_cents  integer NOT NULL DEFAULT 0 CHECK (mechanic_fixed_pay_cents >= 0),
  uses_per_customer         integer,
  referrer_id               uuid REFERENCES mechanics (id),
  referral_bp               integer CHECK (referral_bp BETWEEN 0 AND 10000),
  customer_name             text NOT NULL,
  vehicle                   jsonb NOT NULL,
  concern                   text NOT NULL,
  urgent                    boolean NOT NULL,
  preferred_mechanic_id     uuid REFERENCES mechanics (id),
  workshop_id               uuid REFERENCES workshops (id),
  scheduled_for             timestamptz,
  evidence                  text NOT NULL DEFAULT evidence_class() CHECK (evidence IN ('witnessed', 'claimed')),
  created_at                timestamptz NOT NULL DEFAULT now(),
  -- finds intakes by customer; a session refers to its intake and its customer by this key
  CONSTRAINT intakes_by_customer UNIQUE (customer_id, id),
  CONSTRAINT intakes_include_what_may_be CHECK (included_minutes BETWEEN 1 AND max_minutes),
  CONSTRAINT intakes_free_costs_nothing CHECK (funding <> 'free' OR price_cents = 0),
  CONSTRAINT intakes_referral_is_complete CHECK ((referrer_id IS NULL) = (referral_bp IS NULL))
);
COMMENT ON TABLE intakes IS
  'The request of a customer and its price, never changed afterwards. Its session has the same id, so an intake yields one session at most.';
COMMENT ON COLUMN intakes.id IS 'Chosen by the function before the first attempt: by it, a retry after a lost connection recognises its own work.';
COMMENT ON COLUMN intakes.funding IS 'free, credit or card.';
COMMENT ON COLUMN intakes.price_cents IS 'The plan''s price at that moment, in cents; likewise currency, credits, share and minutes.';
COMMENT ON COLUMN intakes.included_minutes IS
  'The plan''s at that moment: after that many minutes the talk ends, unless it is extended. Null: only max_minutes ends it, as of intakes from before this was kept.';
COMMENT ON COLUMN intakes.mechanic_fixed_pay_cents IS 'The plan''s at that moment.';
COMMENT ON COLUMN intakes.uses_per_customer IS 'The plan''s limit when this intake was checked against it; null: no limit.';
COMMENT ON COLUMN intakes.referrer_id IS 'The customer''s at that moment.';
COMMENT ON COLUMN intakes.referral_bp IS 'The referrer''s part of the price, in basis points: the setting at that moment.';
COMMENT ON COLUMN intakes.vehicle IS 'year, make, model, vin, odometerKm as sent.';
COMMENT ON COLUMN intakes.concern IS 'The problem in the customer''s words; personal data.';
COMMENT ON COLUMN intakes.urgent IS 'Whether the customer calls it urgent; queue_precedence() says what follows.';
COMMENT ON COLUMN intakes.evidence IS 'What counts as having been together: the setting at that moment.';
COMMENT ON COLUMN intakes.scheduled_for IS 'When the consultation is wanted (UTC); null for now.';
GRANT SELECT, INSERT ON intakes TO autodoctor_app;

-- VOLATILE, so that its query takes a snapshot of its own, after the customer's row was locked.
CREATE FUNCTION check_plan_uses(customer uuid, plan text, allowed integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF (SELECT count(*) FROM intakes i JOIN sessions s ON s.id = i.id
       WHERE i.customer_id = customer AND i.plan_code = plan AND s.status NOT IN ('cancelled', 'expired')) >= allowed THEN
    RAISE EXCEPTION 'plan % was used % times', plan, allowed USING ERRCODE = 'AD006';
  END IF;
  RETURN true;
END
$$;
COMMENT ON FUNCTION check_plan_uses(uuid, text, integer) IS
  'True if the customer may have another session of this plan, else raises AD006; null allows any number. The caller has locked the customer''s row, so that no two intakes count at once.';

CREATE TABLE idempotency_keys (
  user_id       uuid NOT NULL,
  key           text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  request_hash  bytea NOT NULL,
  intake_id     uuid NOT NULL REFERENCES intakes (id),
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
COMMENT ON TABLE idempotency_keys IS 'Successful intakes by Idempotency-Key, kept 24 hours.';
COMMENT ON COLUMN idempotency_keys.user_id IS 'Keys are per customer: the sub of the token.';
COMMENT ON COLUMN idempotency_keys.key IS 'As sent in the header.';
COMMENT ON COLUMN idempotency_keys.request_hash IS 'SHA-256 of the canonical request; the same key with another body is refused.';
COMMENT ON COLUMN idempotency_keys.intake_id IS 'The intake that it created; the first answer is read again from the audit trail.';
COMMENT ON COLUMN idempotency_keys.created_at IS 'The start of the 24 hours.';
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO autodoctor_app;
