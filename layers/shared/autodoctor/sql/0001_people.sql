-- Who takes part (customers, mechanics, workshops), what can be bought (plans), and how the service is set.

-- The role the functions log in as. A deployment gives it LOGIN and a password; the owner keeps the schema.
DO $role$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'autodoctor_app') THEN
    CREATE ROLE autodoctor_app NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL; -- another database of the same cluster created it at this very moment
END
$role$;
-- Time-outs stand on the role: a SET by the client would pin the connection of RDS Proxy.
ALTER ROLE autodoctor_app SET statement_timeout = '5s';
ALTER ROLE autodoctor_app SET lock_timeout = '2s';
ALTER ROLE autodoctor_app SET idle_in_transaction_session_timeout = '10s';
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- A temporary table pins the connection of RDS Proxy, and it would stand before ours in a search path.
DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$;
GRANT USAGE ON SCHEMA public TO autodoctor_app;

-- UUIDv7 (RFC 9562): PostgreSQL 18 has it, older ones get the same layout from core functions.
DO $new_id$
BEGIN
  IF current_setting('server_version_num')::integer >= 180000 THEN
    EXECUTE 'CREATE FUNCTION new_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $f$ SELECT uuidv7() $f$';
  ELSE
    EXECUTE $create$
      CREATE FUNCTION new_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $f$
        SELECT encode(
          set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                    PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6),
            52, 1), 53, 1),
          'hex')::uuid
      $f$
    $create$;
  END IF;
END
$new_id$;
COMMENT ON FUNCTION new_id() IS 'A UUIDv7: ordered by time, so that index pages stay warm.';

CREATE TABLE settings (
  key         text PRIMARY KEY,
  value       text NOT NULL,
  updated_at  timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT settings_min_billable_seconds_is_a_count
    CHECK (key <> 'min_billable_seconds' OR value ~ '^[0-9]{1,6}$'),
  CONSTRAINT settings_waiver_versions_are_words
    CHECK (key <> 'waiver_versions' OR value ~ '^[^ ]+( [^ ]+)*$')
);
COMMENT ON TABLE settings IS 'What operators may change without a deployment.';
COMMENT ON COLUMN settings.key IS 'min_billable_seconds: whole seconds; waiver_versions: accepted versions, separated by spaces, the last one is current.';
COMMENT ON COLUMN settings.value IS 'The value as text.';
COMMENT ON COLUMN settings.updated_at IS 'When it was last set.';
INSERT INTO settings (key, value) VALUES ('waiver_versions', '1.0');

CREATE FUNCTION min_billable_seconds() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce(
    (SELECT value::integer FROM settings WHERE key = 'min_billable_seconds'),
    -- what is no count of seconds there counts as not set: nobody could end a session otherwise
    substring(current_setting('app.min_billable_seconds', true) FROM '^[0-9]{1,6}$')::integer,
    60)
$$;
COMMENT ON FUNCTION min_billable_seconds() IS
  'Seconds a session must have lasted to be completed: the settings table, then app.min_billable_seconds, then 60.';

CREATE FUNCTION waiver_versions() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT string_to_array(value, ' ') FROM settings WHERE key = 'waiver_versions'), '{1.0}')
$$;
COMMENT ON FUNCTION waiver_versions() IS 'The versions of the waiver that may be signed; the last one is current.';
CREATE FUNCTION current_waiver_version() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT (waiver_versions())[cardinality(waiver_versions())]
$$;
COMMENT ON FUNCTION current_waiver_version() IS 'The version a signature without a version is for.';

CREATE TABLE workshops (
  id          uuid PRIMARY KEY DEFAULT new_id(),
  name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE workshops IS 'A business that employs mechanics; its own requests are seen by its mechanics only.';
COMMENT ON COLUMN workshops.name IS 'As shown to customers.';
COMMENT ON COLUMN workshops.created_at IS 'When it joined.';

CREATE TABLE mechanics (
  id           uuid PRIMARY KEY DEFAULT new_id(),
  user_id      uuid NOT NULL UNIQUE,
  name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  workshop_id  uuid REFERENCES workshops (id),
  status       text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  available    boolean NOT NULL DEFAULT true,
  created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX mechanics_by_workshop ON mechanics (workshop_id) WHERE workshop_id IS NOT NULL;
COMMENT ON TABLE mechanics IS 'Who answers. Sessions refer to mechanics.id, never to the user of the token.';
COMMENT ON COLUMN mechanics.user_id IS 'The sub of the token this mechanic signs in with.';
COMMENT ON COLUMN mechanics.name IS 'As shown to customers.';
COMMENT ON COLUMN mechanics.workshop_id IS 'The workshop that employs the mechanic; null for an independent one.';
COMMENT ON COLUMN mechanics.status IS 'suspended: may not fetch the queue, accept, or be offered anything.';
COMMENT ON COLUMN mechanics.available IS 'Whether requests for this mechanic are offered, or go straight to the queue.';
COMMENT ON COLUMN mechanics.created_at IS 'When the mechanic joined.';

CREATE TABLE customers (
  id          uuid PRIMARY KEY DEFAULT new_id(),
  user_id     uuid NOT NULL UNIQUE,
  name        text NOT NULL,
  email       text NOT NULL,
  phone       text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  erased_at   timestamptz
);
COMMENT ON TABLE customers IS 'Who asks. Created by the first intake, kept up to date by the next ones.';
COMMENT ON COLUMN customers.user_id IS 'The sub of the token this customer signs in with.';
COMMENT ON COLUMN customers.name IS 'Personal data, as last given at intake.';
COMMENT ON COLUMN customers.email IS 'Personal data, as last given at intake.';
COMMENT ON COLUMN customers.phone IS 'Personal data, as last given at intake.';
COMMENT ON COLUMN customers.created_at IS 'First intake.';
COMMENT ON COLUMN customers.erased_at IS 'Set when the personal data was erased on request; such a customer cannot start a session.';

CREATE TABLE plans (
  code               text PRIMARY KEY,
  name               text NOT NULL,
  session_types      text[] NOT NULL CHECK (session_types <@ ARRAY['chat', 'video', 'diagnostic'] AND session_types <> '{}'),
  price_cents        integer NOT NULL CHECK (price_cents >= 0),
  currency           text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  credits            integer NOT NULL CHECK (credits >= 0),
  included_minutes   integer NOT NULL CHECK (included_minutes > 0),
  max_minutes        integer NOT NULL DEFAULT 180 CHECK (max_minutes >= included_minutes),
  mechanic_share_bp  integer NOT NULL CHECK (mechanic_share_bp BETWEEN 0 AND 10000)
);
COMMENT ON TABLE plans IS 'What a customer can choose.';
COMMENT ON COLUMN plans.code IS 'As sent by clients.';
COMMENT ON COLUMN plans.name IS 'As shown to customers.';
COMMENT ON COLUMN plans.session_types IS 'The kinds of session this plan allows.';
COMMENT ON COLUMN plans.price_cents IS 'Price in cents of the currency; only a price of 0 can be taken with payWith free.';
COMMENT ON COLUMN plans.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN plans.credits IS 'Price in credits.';
COMMENT ON COLUMN plans.included_minutes IS 'Minutes the price covers.';
COMMENT ON COLUMN plans.max_minutes IS 'A live session is ended at its start plus this many minutes.';
COMMENT ON COLUMN plans.mechanic_share_bp IS 'The mechanic''s share of the price in basis points (1/100 of a per cent).';
INSERT INTO plans (code, name, session_types, price_cents, credits, included_minutes, mechanic_share_bp) VALUES
  ('free',       'Free consultation', '{chat,video,diagnostic}',    0, 0,  5,    0),
  ('quick',      'Quick chat',        '{chat}',                   999, 1, 30, 7000),
  ('standard',   'Video consultation','{video}',                 2999, 3, 45, 7000),
  ('diagnostic', 'Diagnostic',        '{diagnostic}',            4999, 5, 60, 7000);

CREATE TABLE intakes (
  id                     uuid PRIMARY KEY DEFAULT new_id(),
  customer_id            uuid NOT NULL REFERENCES customers (id),
  plan_code              text NOT NULL REFERENCES plans (code),
  funding                text NOT NULL CHECK (funding IN ('free', 'credit', 'card')),
  session_type           text NOT NULL CHECK (session_type IN ('chat', 'video', 'diagnostic')),
  price_cents            integer NOT NULL CHECK (price_cents >= 0),
  currency               text NOT NULL,
  credits                integer NOT NULL CHECK (credits >= 0),
  mechanic_share_bp      integer NOT NULL CHECK (mechanic_share_bp BETWEEN 0 AND 10000),
  max_minutes            integer NOT NULL CHECK (max_minutes > 0),
  customer_name          text NOT NULL,
  vehicle                jsonb NOT NULL,
  concern                text NOT NULL,
  urgent                 boolean NOT NULL,
  preferred_mechanic_id  uuid REFERENCES mechanics (id),
  workshop_id            uuid REFERENCES workshops (id),
  scheduled_for          timestamptz,
  created_at             timestamptz NOT NULL DEFAULT now(),
  -- found by customer, and the key by which a session names its intake together with its customer
  CONSTRAINT intakes_by_customer UNIQUE (customer_id, id),
  CONSTRAINT intakes_free_costs_nothing CHECK (funding <> 'free' OR price_cents = 0)
);
COMMENT ON TABLE intakes IS
  'What the customer asked for and at which price, never changed afterwards. Its session has the same id, so an intake yields one session at most.';
COMMENT ON COLUMN intakes.id IS 'Chosen by the function before the first attempt: a retry after a lost connection recognises its own work by it.';
COMMENT ON COLUMN intakes.funding IS 'free, credit or card.';
COMMENT ON COLUMN intakes.price_cents IS 'The plan''s price at that moment, in cents; likewise currency, credits, share and minutes.';
COMMENT ON COLUMN intakes.vehicle IS 'year, make, model, vin, odometerKm as sent.';
COMMENT ON COLUMN intakes.concern IS 'The problem in the customer''s words; personal data.';
COMMENT ON COLUMN intakes.urgent IS 'Urgent requests are listed before all others.';
COMMENT ON COLUMN intakes.scheduled_for IS 'When the consultation is wanted (UTC); null for now.';

GRANT SELECT ON settings, workshops, mechanics, plans TO autodoctor_app;
GRANT SELECT, INSERT (user_id, name, email, phone), UPDATE (name, email, phone) ON customers TO autodoctor_app;
GRANT SELECT, INSERT ON intakes TO autodoctor_app;
