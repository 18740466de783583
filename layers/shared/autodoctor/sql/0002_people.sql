-- Who takes part: workshops, mechanics, customers, and who referred whom.

CREATE TABLE workshops (
  id          uuid PRIMARY KEY DEFAULT new_id(),
  name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  created_at  timestamptz NOT NULL DEFAULT now(),
  change_id   uuid,
  changed_by  uuid
);
COMMENT ON TABLE workshops IS 'A business that employs mechanics; its own requests are seen by its mechanics only.';
COMMENT ON COLUMN workshops.name IS 'As shown to customers.';
COMMENT ON COLUMN workshops.created_at IS 'When it joined.';
COMMENT ON COLUMN workshops.change_id IS 'Of the last change by an admin, in admin_changes.';
COMMENT ON COLUMN workshops.changed_by IS 'The sub of the admin who made it; a change that names none, such as the owner''s, leaves no row there.';
GRANT SELECT, INSERT (id, name, change_id, changed_by), UPDATE (name, change_id, changed_by) ON workshops TO autodoctor_app;

-- VOLATILE, so that it sees the codes that its own statement has given out already.
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
  id               uuid PRIMARY KEY DEFAULT new_id(),
  user_id          uuid NOT NULL UNIQUE,
  name             text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  email            text,
  workshop_id      uuid REFERENCES workshops (id),
  status           text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  available_until  timestamptz,
  referral_code    text NOT NULL DEFAULT new_referral_code(),
  created_at       timestamptz NOT NULL DEFAULT now(),
  change_id        uuid,
  changed_by       uuid,
  CONSTRAINT mechanics_referral_code_once UNIQUE (referral_code),
  CONSTRAINT mechanics_referral_code_is_one CHECK (referral_code ~ '^[0-9A-HJKMNP-TV-Z]{8}$')
);
CREATE INDEX mechanics_by_workshop ON mechanics (workshop_id) WHERE workshop_id IS NOT NULL;
CREATE INDEX mechanics_by_lease ON mechanics (available_until) WHERE available_until IS NOT NULL;
COMMENT ON TABLE mechanics IS 'Who answers. Sessions refer to mechanics.id, never to the user of the token.';
COMMENT ON COLUMN mechanics.user_id IS 'The sub of the token this mechanic signs in with.';
COMMENT ON COLUMN mechanics.name IS 'As shown to customers.';
COMMENT ON COLUMN mechanics.email IS 'Where mails about payouts go; personal data; null: nowhere.';
COMMENT ON COLUMN mechanics.workshop_id IS 'The workshop that employs the mechanic; null for an independent one.';
COMMENT ON COLUMN mechanics.status IS 'suspended: may not fetch the queue, accept, or be offered anything.';
COMMENT ON COLUMN mechanics.available_until IS
  'The lease: until then requests for this mechanic are offered, and for as long after it as a feed stays open that was open by then; infinity until the mechanic says otherwise; null: not available.';
COMMENT ON COLUMN mechanics.referral_code IS
  'What the mechanic gives to customers: 8 random characters of Crockford''s base 32, which has no I, L, O or U. It says who referred, and opens nothing.';
COMMENT ON COLUMN mechanics.created_at IS 'When the mechanic joined.';
COMMENT ON COLUMN mechanics.change_id IS 'Of the last change by an admin, in admin_changes.';
COMMENT ON COLUMN mechanics.changed_by IS 'The sub of the admin who made it; a change that names none, such as the owner''s, leaves no row there.';
GRANT SELECT,
      INSERT (user_id, name, email, workshop_id, change_id, changed_by),
      UPDATE (name, email, workshop_id, status, available_until, change_id, changed_by)
  ON mechanics TO autodoctor_app;

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
COMMENT ON TABLE customers IS 'Who asks. Created by the first intake, kept up to date by the next ones.';
COMMENT ON COLUMN customers.user_id IS 'The sub of the token this customer signs in with.';
COMMENT ON COLUMN customers.name IS 'Personal data, as last given at intake.';
COMMENT ON COLUMN customers.email IS 'Personal data, as last given at intake.';
COMMENT ON COLUMN customers.phone IS 'Personal data, as last given at intake.';
COMMENT ON COLUMN customers.referrer_id IS 'The mechanic whose referral code they gave first, at whichever intake; never changed afterwards.';
COMMENT ON COLUMN customers.created_at IS 'First intake.';
COMMENT ON COLUMN customers.erased_at IS 'Set when the personal data was erased on request; such a customer cannot start a session.';
GRANT SELECT,
      INSERT (user_id, name, email, phone, referrer_id),
      UPDATE (name, email, phone, referrer_id)
  ON customers TO autodoctor_app;

CREATE FUNCTION referral_stands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.referrer_id IS NOT NULL THEN
    RAISE EXCEPTION 'who referred customer % is fixed', OLD.id USING ERRCODE = 'AD004';
  ELSIF EXISTS (SELECT FROM mechanics m WHERE m.id = NEW.referrer_id AND m.user_id = NEW.user_id) THEN
    RAISE EXCEPTION 'nobody refers themselves' USING ERRCODE = 'AD003';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION referral_stands() IS 'Keeps a customer''s first referral, and refuses one of oneself.';
CREATE TRIGGER referral_is_anothers BEFORE INSERT ON customers FOR EACH ROW
  WHEN (NEW.referrer_id IS NOT NULL) EXECUTE FUNCTION referral_stands();
CREATE TRIGGER referral_stands BEFORE UPDATE OF referrer_id, user_id ON customers FOR EACH ROW
  WHEN (OLD.referrer_id IS DISTINCT FROM NEW.referrer_id) EXECUTE FUNCTION referral_stands();
