-- What operators do for people: the import from the old system, and erasure.

-- The import from the old system: its rows unchanged, what became of each, and the progress of imports.
--
-- Only the owner uses these tables (`autodoctor import-legacy`); no function reads them.

CREATE TABLE legacy_imports (
  id           uuid PRIMARY KEY DEFAULT new_id(),
  source       text NOT NULL,
  actor        text NOT NULL,
  began_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  progress_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  written      bigint NOT NULL DEFAULT 0 CHECK (written >= 0),
  finished_at  timestamptz,
  report       jsonb,
  CONSTRAINT legacy_imports_finished_says_what CHECK ((finished_at IS NULL) = (report IS NULL))
);
COMMENT ON TABLE legacy_imports IS 'Runs of import-legacy that wrote; one without an end was interrupted, and the next run continues it.';
COMMENT ON COLUMN legacy_imports.source IS 'Host, database and schema of the old rows; never a password.';
COMMENT ON COLUMN legacy_imports.actor IS 'operator:NAME.';
COMMENT ON COLUMN legacy_imports.began_at IS 'When it began.';
COMMENT ON COLUMN legacy_imports.progress_at IS 'When its last batch was committed.';
COMMENT ON COLUMN legacy_imports.written IS 'The number of old rows that it archived, counted in the same transactions.';
COMMENT ON COLUMN legacy_imports.finished_at IS 'When it was done; null: it was interrupted.';
COMMENT ON COLUMN legacy_imports.report IS 'Its final report: counts, and the first few ids of each kind.';

CREATE TABLE legacy_rows (
  table_name  text NOT NULL,
  row_key     text NOT NULL,
  import_id   uuid NOT NULL REFERENCES legacy_imports (id),
  became      text NOT NULL CHECK (became IN ('moved', 'part', 'kept', 'refused')),
  note        text,
  session_id  uuid,
  user_id     uuid,
  archived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  content     jsonb NOT NULL,
  PRIMARY KEY (table_name, row_key),
  CONSTRAINT legacy_rows_refused_says_why CHECK (became <> 'refused' OR note IS NOT NULL)
);
CREATE INDEX legacy_rows_by_session ON legacy_rows (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX legacy_rows_by_user ON legacy_rows (user_id) WHERE user_id IS NOT NULL;
COMMENT ON TABLE legacy_rows IS 'The archive: every row of the old system, unchanged, and what became of it.';
COMMENT ON COLUMN legacy_rows.table_name IS 'The old table.';
COMMENT ON COLUMN legacy_rows.row_key IS 'The old row''s id, or a digest of a row that has none.';
COMMENT ON COLUMN legacy_rows.import_id IS 'The run that archived it.';
COMMENT ON COLUMN legacy_rows.became IS 'moved: became a session or a person; part: belongs to a session that moved; kept: only kept here; refused: could not be moved, every run tries it again.';
COMMENT ON COLUMN legacy_rows.note IS 'For a refused row, the reason; for others, anything noticed.';
COMMENT ON COLUMN legacy_rows.session_id IS 'The session it became or belongs to.';
COMMENT ON COLUMN legacy_rows.user_id IS 'The user (sub) of its customer, so that it can be erased with the customer.';
COMMENT ON COLUMN legacy_rows.archived_at IS 'When it was archived.';
COMMENT ON COLUMN legacy_rows.content IS 'The row, column by column; personal data. Empty once its customer was erased.';

CREATE FUNCTION legacy_rows_of(customer_user uuid) RETURNS SETOF legacy_rows LANGUAGE sql STABLE AS $$
  SELECT r.* FROM legacy_rows r WHERE r.user_id = customer_user
  UNION
  SELECT r.* FROM customers c JOIN intakes i ON i.customer_id = c.id JOIN legacy_rows r ON r.session_id = i.id
   WHERE c.user_id = customer_user
  UNION -- what names a consultation that became no session of its own
  SELECT r.* FROM legacy_rows t JOIN legacy_rows r ON r.session_id = CASE
           WHEN t.row_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN t.row_key::uuid END
   WHERE t.user_id = customer_user AND t.became IN ('part', 'refused')
     AND t.table_name IN ('sessions', 'diagnostic_sessions', 'session_requests')
     AND NOT EXISTS (SELECT FROM intakes i WHERE i.id = r.session_id)
$$;
COMMENT ON FUNCTION legacy_rows_of(uuid) IS
  'The archived rows of a customer: those that name the customer, and those of the customer''s sessions, moved or not.';

CREATE FUNCTION legacy_rows_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE legacy_rows r SET content = '{}' FROM legacy_rows_of(NEW.user_id) o
   WHERE r.table_name = o.table_name AND r.row_key = o.row_key AND r.content <> '{}';
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION legacy_rows_forget() IS
  'Empties the archived rows of a customer whose data is erased, each time that it is.';
CREATE TRIGGER legacy_rows_forget AFTER UPDATE OF erased_at ON customers FOR EACH ROW
  WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION legacy_rows_forget();

CREATE FUNCTION legacy_rows_stay_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM erasures e WHERE e.user_id = NEW.user_id)
     OR EXISTS (SELECT FROM intakes i JOIN customers c ON c.id = i.customer_id
                 WHERE i.id = NEW.session_id AND c.erased_at IS NOT NULL)
     OR EXISTS (SELECT FROM legacy_rows t JOIN customers c ON c.user_id = t.user_id
                 WHERE t.table_name IN ('sessions', 'diagnostic_sessions', 'session_requests')
                   AND t.row_key = NEW.session_id::text AND t.became IN ('part', 'refused')
                   AND c.erased_at IS NOT NULL AND NOT EXISTS (SELECT FROM intakes i WHERE i.id = NEW.session_id)) THEN
    NEW.content := '{}';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION legacy_rows_stay_forgotten() IS
  'Archives only that there was such a row where its user was erased before: legacy_rows_of(), asked by row.';
CREATE TRIGGER legacy_rows_stay_forgotten BEFORE INSERT OR UPDATE OF content ON legacy_rows FOR EACH ROW
  WHEN (NEW.content <> '{}') EXECUTE FUNCTION legacy_rows_stay_forgotten();

CREATE FUNCTION legacy_rows_to_forget() RETURNS TABLE (user_id uuid, table_name text, rows bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.user_id, r.table_name, count(*) FROM customers c CROSS JOIN LATERAL legacy_rows_of(c.user_id) r
   WHERE c.erased_at IS NOT NULL AND r.content <> '{}' GROUP BY 1, 2
$$;
COMMENT ON FUNCTION legacy_rows_to_forget() IS
  'How many archived rows of customers whose data was erased still have content, by customer and table; for verify, whose role may not read the archive.';

-- Personal data on request: it is copied for the customer, or removed from every row that has it.
--
-- The history stays: states, times, amounts, the audit trail and the ledger. None of it names a person. The sub of the
-- token stays as the only link between those rows, and the operator of the sign-in forgets whose it was.

CREATE TABLE erasures (
  user_id    uuid NOT NULL,
  role       text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'mechanic')),
  erased_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  erased_by  text NOT NULL,
  sessions   integer NOT NULL,
  PRIMARY KEY (user_id, role)
);
COMMENT ON TABLE erasures IS 'Proof that a person''s data was erased on request; never changed.';
COMMENT ON COLUMN erasures.user_id IS 'The sub of the person''s token.';
COMMENT ON COLUMN erasures.role IS 'As what: one who was both a customer and a mechanic is erased as each.';
COMMENT ON COLUMN erasures.erased_at IS 'When the data was erased.';
COMMENT ON COLUMN erasures.erased_by IS 'The database role, and the operator for whom it acted.';
COMMENT ON COLUMN erasures.sessions IS 'The number of sessions that lost their words and names.';
CREATE TRIGGER erasures_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON erasures
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

-- By the catalogue, so that no table is forgotten here; to be a mechanic makes nobody a customer.
CREATE FUNCTION is_named_anywhere(of_user uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  place regclass;
  found_one boolean;
BEGIN
  FOR place IN SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'mechanics'
                  AND a.attname = 'user_id' AND NOT a.attisdropped LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE user_id = $1)', place) INTO found_one USING of_user;
    IF found_one THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END
$$;
COMMENT ON FUNCTION is_named_anywhere(uuid) IS
  'Whether any row names this user, who perhaps never began an intake; the row of a mechanic does not count. For the owner.';
REVOKE EXECUTE ON FUNCTION is_named_anywhere(uuid) FROM PUBLIC;

CREATE FUNCTION forget_user(of_user uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE mail_deliveries SET address_hash = NULL WHERE user_id = of_user AND address_hash IS NOT NULL;
  DELETE FROM notifications WHERE user_id = of_user;
  DELETE FROM notification_preferences WHERE user_id = of_user;
  DELETE FROM notification_locales WHERE user_id = of_user;
  DELETE FROM push_subscriptions WHERE user_id = of_user;
  DELETE FROM realtime_tickets WHERE user_id = of_user;
  DELETE FROM realtime_connections WHERE user_id = of_user;
END
$$;
COMMENT ON FUNCTION forget_user(uuid) IS 'Forgets what any user leaves, in whichever part: where and how they are told, and of what. For the owner.';
REVOKE EXECUTE ON FUNCTION forget_user(uuid) FROM PUBLIC;

CREATE FUNCTION erase_customer(customer_user uuid, operator text) RETURNS erasures LANGUAGE plpgsql AS $$
DECLARE
  done erasures;
  erased uuid;
  touched integer;
BEGIN
  IF NOT is_named_anywhere(customer_user) THEN
    RETURN NULL;
  END IF;
  -- who never began an intake gets a row, so that none begins meanwhile or afterwards
  INSERT INTO customers (user_id, name, email) VALUES (customer_user, '[erased]', '[erased]') ON CONFLICT DO NOTHING;
  SELECT id INTO STRICT erased FROM customers WHERE user_id = customer_user FOR NO KEY UPDATE;
  IF EXISTS (SELECT FROM sessions WHERE customer_id = erased AND ended_at IS NULL)
     OR EXISTS (SELECT FROM checkouts WHERE user_id = customer_user AND status IN ('open', 'processing')) THEN
    RAISE EXCEPTION 'customer % has an active session or an open payment', customer_user USING ERRCODE = 'AD010';
  END IF;

  UPDATE customers SET name = '[erased]', email = '[erased]', phone = NULL, erased_at = coalesce(erased_at, clock_timestamp())
   WHERE id = erased;
  UPDATE intakes SET customer_name = '[erased]', vehicle = '{}', concern = '[erased]' WHERE customer_id = erased;
  GET DIAGNOSTICS touched = ROW_COUNT;
  UPDATE session_notes SET text = '' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE session_assignments SET decline_reason = NULL FROM sessions s
   WHERE s.id = session_id AND s.customer_id = erased AND decline_reason IS NOT NULL;
  UPDATE end_explanations SET text = '[erased]' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE contests SET words = '', answer = CASE WHEN answer IS NOT NULL THEN '' END
    FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  PERFORM blank_room(s.id) FROM sessions s WHERE s.customer_id = erased;
  UPDATE waivers SET signed_name = '[erased]' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE checkouts SET signed_name = '[erased]' WHERE user_id = customer_user AND signed_name IS NOT NULL;
  UPDATE checkouts SET email = NULL WHERE user_id = customer_user AND email IS NOT NULL;
  -- of both parties: a mechanic's picture shows the customer's car; the sweep deletes the files
  UPDATE attachments SET state = 'gone'
   WHERE state <> 'gone'
     AND (user_id = customer_user OR session_id IN (SELECT i.id FROM intakes i WHERE i.customer_id = erased));
  DELETE FROM confirmed_addresses WHERE user_id = customer_user;
  DELETE FROM address_confirmations WHERE user_id = customer_user;
  DELETE FROM idempotency_keys WHERE user_id = customer_user;
  PERFORM forget_user(customer_user);
  INSERT INTO erasures (user_id, erased_by, sessions)
  VALUES (customer_user, session_user || ':' || operator, touched) ON CONFLICT DO NOTHING;
  SELECT * INTO STRICT done FROM erasures WHERE user_id = customer_user AND role = 'customer'; -- the first stands
  RETURN done;
END
$$;
COMMENT ON FUNCTION erase_customer(uuid, text) IS
  'Removes a customer''s personal data from every row, for ever, and returns the proof. A second time removes what came since and returns the first proof; null if no row names the user. Raises AD010 while a session is active or a payment is open. For the owner.';
REVOKE EXECUTE ON FUNCTION erase_customer(uuid, text) FROM PUBLIC;

CREATE FUNCTION erase_mechanic(mechanic_user uuid, operator text) RETURNS erasures LANGUAGE plpgsql AS $$
DECLARE
  done erasures;
  erased uuid;
  touched integer;
BEGIN
  SELECT id INTO erased FROM mechanics WHERE user_id = mechanic_user FOR NO KEY UPDATE;
  IF erased IS NULL THEN
    RETURN NULL;
  END IF;
  IF EXISTS (SELECT FROM sessions WHERE mechanic_id = erased AND ended_at IS NULL)
     OR EXISTS (SELECT FROM settlements_due d JOIN sessions s ON s.id = d.session_id WHERE s.mechanic_id = erased)
     OR EXISTS (SELECT FROM payouts WHERE mechanic_id = erased AND state IN ('due', 'held', 'sending', 'failed')) THEN
    RAISE EXCEPTION 'mechanic % has a session or is still owed something', mechanic_user USING ERRCODE = 'AD010';
  END IF;

  UPDATE mechanics SET name = '[erased]', email = NULL, status = 'suspended', suspension_reason = NULL,
                       available_until = NULL, erased_at = clock_timestamp()
   WHERE id = erased AND erased_at IS NULL;
  SELECT count(*) INTO touched FROM session_participants WHERE mechanic_id = erased;
  -- the notes stay: they are the customer's record, about a car
  UPDATE session_messages SET text = ''
   WHERE session_id IN (SELECT p.session_id FROM session_participants p WHERE p.mechanic_id = erased)
     AND mechanic_id = erased AND text <> '';
  UPDATE contests SET answer = '' FROM sessions s
   WHERE s.id = session_id AND s.mechanic_id = erased AND answer <> '';
  UPDATE quotes SET note = CASE WHEN mechanic_id <> erased THEN note END,
                    description = CASE WHEN given_by_id <> erased THEN description END
   WHERE mechanic_id = erased AND note IS NOT NULL OR given_by_id = erased AND description IS NOT NULL;
  UPDATE session_assignments SET decline_reason = NULL WHERE mechanic_id = erased AND decline_reason IS NOT NULL;
  UPDATE attachments SET state = 'gone' WHERE user_id = mechanic_user AND role = 'mechanic' AND state <> 'gone';
  UPDATE legacy_rows SET content = '{}' WHERE user_id = mechanic_user OR row_key = erased::text;
  PERFORM forget_user(mechanic_user);
  INSERT INTO erasures (user_id, role, erased_by, sessions)
  VALUES (mechanic_user, 'mechanic', session_user || ':' || operator, touched) ON CONFLICT DO NOTHING;
  SELECT * INTO STRICT done FROM erasures WHERE user_id = mechanic_user AND role = 'mechanic'; -- the first stands
  RETURN done;
END
$$;
COMMENT ON FUNCTION erase_mechanic(uuid, text) IS
  'Removes a mechanic''s personal data from every row, for ever, and suspends the mechanic for good; returns the proof. A second time removes what came since and returns the first proof; null if there is no such mechanic. Raises AD010 while a session is active or money is owed. For the owner.';
REVOKE EXECUTE ON FUNCTION erase_mechanic(uuid, text) FROM PUBLIC;
