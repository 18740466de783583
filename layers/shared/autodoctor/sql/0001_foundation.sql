-- The foundation of the schema: the application's role, ids, settings, and the list of applied files.
--
-- Every table appears once, in its final shape, with its comments, indexes and grants; every function once. The
-- files are applied in the order of their names (autodoctor.migrations). Everybody may execute functions, except
-- where it is revoked.

-- The role the functions log in as. A deployment gives it LOGIN and a password; the owner keeps the schema.
DO $role$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'autodoctor_app') THEN
    CREATE ROLE autodoctor_app NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL; -- another database of the same cluster created it at the same moment
END
$role$;
-- Time-outs are set on the role: a SET by the client would pin the connection of RDS Proxy.
ALTER ROLE autodoctor_app SET statement_timeout = '5s';
ALTER ROLE autodoctor_app SET lock_timeout = '2s';
ALTER ROLE autodoctor_app SET idle_in_transaction_session_timeout = '10s';
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- A temporary table pins the connection of RDS Proxy, and it would come before our tables in a search path.
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
CREATE FUNCTION is_ordered_by_time(id uuid) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT substring(id::text FROM 15 FOR 1) = '7'
$$;
COMMENT ON FUNCTION is_ordered_by_time(uuid) IS
  'Whether an id is a UUIDv7, as ours are; that of a session which import-legacy moved may be of any version.';

CREATE TABLE schema_migrations (
  name        text PRIMARY KEY,
  checksum    text NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
  applied_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE schema_migrations IS 'The applied files of autodoctor/sql, each written by the transaction that applied it.';
COMMENT ON COLUMN schema_migrations.name IS 'The name of the file, without its ending.';
COMMENT ON COLUMN schema_migrations.checksum IS 'SHA-256 of its text; an applied file never changes.';
COMMENT ON COLUMN schema_migrations.applied_at IS 'When it was applied.';
GRANT SELECT ON schema_migrations TO autodoctor_app;

CREATE TABLE settings (
  key         text PRIMARY KEY,
  value       text NOT NULL,
  updated_at  timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT settings_counts_are_small
    CHECK (key NOT IN ('min_messages_each', 'late_minutes') OR value ~ '^[0-9]{1,4}$'),
  CONSTRAINT settings_evidence_is_a_class
    CHECK (key <> 'evidence' OR value IN ('witnessed', 'claimed')),
  CONSTRAINT settings_waiver_versions_are_words
    CHECK (key <> 'waiver_versions' OR value ~ '^[^ ]+( [^ ]+)*$'),
  CONSTRAINT settings_shares_are_basis_points
    CHECK (key NOT IN ('referral_bp', 'escalation_bp') OR value ~ '^([0-9]{1,4}|10000)$'),
  CONSTRAINT settings_time_limits_are_seconds
    CHECK (key NOT LIKE '%\_seconds' OR value ~ '^[0-9]{1,6}$'),
  CONSTRAINT settings_retention_is_days
    CHECK (key NOT LIKE '%\_days' OR value ~ '^[1-9][0-9]{0,3}$'),
  CONSTRAINT settings_money_limits_are_numbers
    CHECK (key NOT IN ('escalation_auto_release_cents', 'withdrawn_payments_per_day') OR value ~ '^[0-9]{1,9}$'),
  CONSTRAINT settings_holds_are_hours
    CHECK (key NOT LIKE '%\_hours' OR value ~ '^[0-9]{1,4}$'),
  CONSTRAINT settings_limits_are_counts
    CHECK (key NOT IN ('sockets_per_user', 'push_subscriptions_per_user', 'releases_per_hour', 'missed_offers_most')
           OR value ~ '^[1-9][0-9]{0,5}$'),
  CONSTRAINT settings_switches_are_on_or_off
    CHECK (key NOT IN ('stripe_tax', 'stripe_tax_ids', 'stripe_invoices', 'send_dispute_evidence') OR value IN ('on', 'off')),
  CONSTRAINT settings_issuer_is_a_few_lines
    CHECK (key <> 'receipt_issuer' OR length(value) BETWEEN 1 AND 500),
  CONSTRAINT settings_health_thresholds_are_numbers
    CHECK (key NOT LIKE 'health\_%' OR value ~ '^[0-9]{1,6}$')
);
COMMENT ON TABLE settings IS 'Values that operators may change without a deployment.';
COMMENT ON COLUMN settings.key IS 'The name of the setting; SPEC.md has a table of all, with their meaning and default.';
COMMENT ON COLUMN settings.value IS 'The value as text.';
COMMENT ON COLUMN settings.updated_at IS 'When it was last set.';
GRANT SELECT ON settings TO autodoctor_app;
INSERT INTO settings (key, value) VALUES
  ('waiver_versions', '1.0'),
  ('health_completion_percent_min', '70'), ('health_mechanic_completion_percent_min', '60'),
  ('health_no_show_percent_max', '15'), ('health_mechanic_no_show_percent_max', '20'), ('health_sample_min', '10'),
  ('health_waiting_seconds_max', '600'), ('health_overdue_seconds_max', '300'), ('health_settlement_seconds_max', '900'),
  ('health_mechanic_escalations_max', '3');

CREATE FUNCTION min_billable_seconds() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce(
    (SELECT value::integer FROM settings WHERE key = 'min_billable_seconds'),
    -- not current_setting(): anybody may SET a name with a dot, a role even for all of its connections. What is no
    -- count of seconds counts as not set: otherwise nobody could end a session
    (SELECT substring(c.item FROM '^app\.min_billable_seconds=([0-9]{1,6})$')::integer
       FROM pg_catalog.pg_db_role_setting r, unnest(r.setconfig) AS c (item)
      WHERE r.setdatabase = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
        AND r.setrole = 0 AND c.item LIKE 'app.min_billable_seconds=%'),
    60)
$$;
COMMENT ON FUNCTION min_billable_seconds() IS
  'Seconds a session must have lasted to be completed: the settings table, then what ALTER DATABASE ... SET app.min_billable_seconds stored, then 60. A connection cannot change it.';

CREATE FUNCTION evidence_class() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT value FROM settings WHERE key = 'evidence'), 'witnessed')
$$;
COMMENT ON FUNCTION evidence_class() IS
  'What counts as having been together in a session that is asked for now: witnessed, or claimed, for operators who bring a medium of their own and send no evidence. The settings table, then witnessed.';
CREATE FUNCTION min_messages_each() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'min_messages_each'), 1)
$$;
COMMENT ON FUNCTION min_messages_each() IS 'Messages that each party must have written for their time in the room to count: the settings table, then 1.';
CREATE FUNCTION late_minutes() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'late_minutes'), 10)
$$;
COMMENT ON FUNCTION late_minutes() IS 'Minutes that one party waits for the other before it is a no-show: the settings table, then 10.';

CREATE FUNCTION waiver_versions() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT string_to_array(value, ' ') FROM settings WHERE key = 'waiver_versions'), '{1.0}')
$$;
COMMENT ON FUNCTION waiver_versions() IS 'The versions of the waiver that may be signed; the last one is current.';
CREATE FUNCTION current_waiver_version() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT (waiver_versions())[cardinality(waiver_versions())]
$$;
COMMENT ON FUNCTION current_waiver_version() IS 'The version that is signed when the request names none.';

CREATE FUNCTION referral_bp() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'referral_bp'), 200)
$$;
COMMENT ON FUNCTION referral_bp() IS
  'The part of a session''s price for the mechanic who referred its customer, in basis points: the settings table, then 200.';
CREATE FUNCTION escalation_bp() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'escalation_bp'), 500)
$$;
COMMENT ON FUNCTION escalation_bp() IS
  'The part of an approved quote for the mechanic who escalated the session, in basis points: the settings table, then 500.';

CREATE FUNCTION number_setting(name text, otherwise integer) RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT s.value::integer FROM settings s WHERE s.key = name), otherwise)
$$;
COMMENT ON FUNCTION number_setting(text, integer) IS 'A number from the settings table.';

CREATE FUNCTION switch_setting(name text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT s.value = 'on' FROM settings s WHERE s.key = name), false)
$$;
COMMENT ON FUNCTION switch_setting(text) IS 'Whether something is switched on in the settings table; off without a row.';

-- Time limits: a row of the settings table, else the default, which is defined only here.
CREATE FUNCTION seconds_setting(name text, otherwise integer) RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT make_interval(secs => coalesce((SELECT s.value::integer FROM settings s WHERE s.key = name), otherwise))
$$;
COMMENT ON FUNCTION seconds_setting(text, integer) IS 'A duration from the settings table, where it is in seconds.';
CREATE FUNCTION lead_time() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('lead_seconds', 900)
$$;
COMMENT ON FUNCTION lead_time() IS 'How long before its time a scheduled session is shown to mechanics.';
CREATE FUNCTION offer_time() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('offer_seconds', 120)
$$;
COMMENT ON FUNCTION offer_time() IS 'How long a request is reserved for the mechanic to whom it is offered.';
CREATE FUNCTION orphan_age() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('orphan_seconds', 7200)
$$;
COMMENT ON FUNCTION orphan_age() IS 'How long a session may be pending or waiting before it expires.';
CREATE FUNCTION absence_limit() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('absence_seconds', 600)
$$;
COMMENT ON FUNCTION absence_limit() IS 'How long a mechanic who accepted may stay away before the session is queued again.';
CREATE FUNCTION parting_limit() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('parting_seconds', 600)
$$;
COMMENT ON FUNCTION parting_limit() IS 'How long the parties of a live session may be apart before it is ended.';

CREATE FUNCTION days_setting(name text, otherwise integer) RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT make_interval(days => coalesce((SELECT s.value::integer FROM settings s WHERE s.key = name), otherwise))
$$;
COMMENT ON FUNCTION days_setting(text, integer) IS 'A duration from the settings table, where it is in days.';
CREATE FUNCTION files_kept_for() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT days_setting('retain_files_days', 90)
$$;
COMMENT ON FUNCTION files_kept_for() IS 'How long the files of a session are kept after its end.';
CREATE FUNCTION messages_kept_for() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT days_setting('retain_messages_days', 365)
$$;
COMMENT ON FUNCTION messages_kept_for() IS 'How long the words of a session''s messages are kept after its end.';

-- Limits for one user, each a row; count_against() is called by the statement that it limits (autodoctor.limits).

CREATE TABLE limits (
  name     text PRIMARY KEY,
  most     integer NOT NULL CHECK (most > 0),
  seconds  integer NOT NULL CHECK (seconds BETWEEN 1 AND 31536000)
);
COMMENT ON TABLE limits IS
  'How often one user may do something. Operators may change a limit without a deployment; one without a row is not checked.';
COMMENT ON COLUMN limits.name IS 'What is counted, as in the statements that count it; README.md lists all.';
COMMENT ON COLUMN limits.most IS 'So many at once.';
COMMENT ON COLUMN limits.seconds IS 'The time in which as many more become possible again, evenly, one after the other.';
GRANT SELECT ON limits TO autodoctor_app;
INSERT INTO limits (name, most, seconds) VALUES
  ('intakes', 10, 3600), ('pack_checkouts', 10, 3600), ('tickets', 60, 600), ('availability', 60, 3600),
  ('onboarding_links', 20, 3600), ('quote_amounts', 30, 3600), ('messages', 60, 60), ('room_entries', 60, 60),
  ('uploads', 60, 86400), ('escalations', 10, 86400), ('push_subscriptions', 20, 3600), ('push_tests', 10, 600),
  ('extensions', 10, 3600), ('calls', 60, 3600), ('call_reports', 120, 600), ('netting_consents', 20, 86400);

-- After a crash everybody begins afresh.
CREATE UNLOGGED TABLE limit_counters (
  user_id     uuid NOT NULL,
  limit_name  text NOT NULL,
  full_at     timestamptz NOT NULL,
  PRIMARY KEY (user_id, limit_name)
);
COMMENT ON TABLE limit_counters IS
  'What is used up of the limits: one row for each user and limit, whatever was done how often, and none once the whole limit is free again. Only count_against() writes it.';
COMMENT ON COLUMN limit_counters.limit_name IS 'As in limits.';
COMMENT ON COLUMN limit_counters.full_at IS 'When the whole limit is free again; each use moves it by seconds / most.';

-- The cost has the planner ask it last, when all other conditions hold.
CREATE FUNCTION count_against(limited text, by_user uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER COST 10000 SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := clock_timestamp();
  each interval;
  latest timestamptz; -- full_at is never later
BEGIN
  SELECT l.seconds * 1000000::bigint / l.most * interval '1 microsecond', at + make_interval(secs => l.seconds)
    INTO each, latest FROM limits l WHERE l.name = limited;
  IF NOT FOUND THEN
    RETURN true;
  END IF;
  INSERT INTO limit_counters AS c (user_id, limit_name, full_at) VALUES (by_user, limited, at + each)
  ON CONFLICT (user_id, limit_name) DO UPDATE SET full_at = greatest(c.full_at, at) + each
   WHERE c.full_at + each <= latest;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'user % has used up the limit %', by_user, limited
      USING ERRCODE = 'AD007', CONSTRAINT = limited,
            DETAIL = coalesce((SELECT ceil(extract(epoch FROM c.full_at + each - latest))::integer FROM limit_counters c
                                WHERE c.user_id = by_user AND c.limit_name = limited), 1);
  END IF;
  RETURN true;
END
$$;
COMMENT ON FUNCTION count_against(text, uuid) IS
  'Counts one use by this user against a limit; true, or raises AD007 with the limit as its constraint and the seconds to wait as its detail. What is rolled back was not counted: call it in the statement that it limits, where that is about to act, before it locks anything else.';
REVOKE EXECUTE ON FUNCTION count_against(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_against(text, uuid) TO autodoctor_app;

CREATE FUNCTION sockets_per_user() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'sockets_per_user'), 5)
$$;
COMMENT ON FUNCTION sockets_per_user() IS
  'How many WebSocket connections a user may have; another one closes the oldest: the settings table, then 5.';

CREATE FUNCTION forget_limit_counters(batch integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  changed integer;
BEGIN
  WITH old AS MATERIALIZED (
    SELECT user_id, limit_name FROM limit_counters WHERE full_at <= now() LIMIT batch
       FOR UPDATE SKIP LOCKED)
  DELETE FROM limit_counters c USING old WHERE c.user_id = old.user_id AND c.limit_name = old.limit_name;
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;
COMMENT ON FUNCTION forget_limit_counters(integer) IS 'Deletes up to batch counters of limits that are wholly free again; returns how many.';

CREATE FUNCTION evidence_grace() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('evidence_grace_seconds', 90)
$$;
COMMENT ON FUNCTION evidence_grace() IS 'How long the money of an ended session waits for late evidence.';

CREATE FUNCTION share_of(amount bigint, part bigint, of bigint DEFAULT 10000) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT amount * part / of
         + (2 * (amount * part % of) > of OR 2 * (amount * part % of) = of AND amount * part / of % 2 = 1)::integer
$$;
COMMENT ON FUNCTION share_of(bigint, bigint, bigint) IS
  'A fraction of an amount, in basis points unless another denominator is given; rounded half to even, as in autodoctor.domain.money.';

CREATE FUNCTION health_setting(name text) RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT s.value::integer FROM settings s WHERE s.key = 'health_' || name
$$;
COMMENT ON FUNCTION health_setting(text) IS 'A limit of the settings table by its name without health_; null: not checked.';

-- Audit trails are append-only and no session is deleted, not even by a mistake of the owner.
CREATE FUNCTION rows_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused: its rows are kept', TG_OP, TG_TABLE_NAME USING ERRCODE = 'AD004';
END
$$;
COMMENT ON FUNCTION rows_are_kept() IS 'Refuses the statement it is a trigger of.';
