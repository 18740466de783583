-- Personal data on request: what a customer is sent a copy of, and what is taken out of every row that has it.
--
-- What stays is what happened: states, times, amounts, the audit trail and the ledger. None of it names a person; the
-- sub of the token stays as the only thread between those rows, and whoever runs the sign-in forgets whose it was.

CREATE TABLE erasures (
  user_id    uuid PRIMARY KEY,
  erased_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  erased_by  text NOT NULL,
  sessions   integer NOT NULL
);
COMMENT ON TABLE erasures IS 'Proof that a customer''s personal data was erased on request; never changed.';
COMMENT ON COLUMN erasures.user_id IS 'The sub of the customer''s token.';
COMMENT ON COLUMN erasures.erased_at IS 'When.';
COMMENT ON COLUMN erasures.erased_by IS 'The database role, and the operator it acted for.';
COMMENT ON COLUMN erasures.sessions IS 'How many sessions it took the words and names from.';
CREATE TRIGGER erasures_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON erasures
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

CREATE FUNCTION erase_customer(customer_user uuid, operator text) RETURNS erasures LANGUAGE plpgsql AS $$
DECLARE
  done erasures;
  erased uuid;
  touched integer;
BEGIN
  SELECT id INTO erased FROM customers WHERE user_id = customer_user FOR NO KEY UPDATE; -- no intake begins meanwhile
  IF erased IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT * INTO done FROM erasures WHERE user_id = customer_user;
  IF FOUND THEN
    RETURN done;
  END IF;
  IF EXISTS (SELECT FROM sessions WHERE customer_id = erased AND ended_at IS NULL)
     OR EXISTS (SELECT FROM checkouts WHERE user_id = customer_user AND status IN ('open', 'processing')) THEN
    RAISE EXCEPTION 'customer % has an active session or an open payment', customer_user USING ERRCODE = 'AD010';
  END IF;

  UPDATE customers SET name = '[erased]', email = '[erased]', phone = NULL, erased_at = clock_timestamp() WHERE id = erased;
  UPDATE intakes SET customer_name = '[erased]', vehicle = '{}', concern = '[erased]' WHERE customer_id = erased;
  GET DIAGNOSTICS touched = ROW_COUNT;
  UPDATE sessions SET mechanic_notes = NULL WHERE customer_id = erased AND mechanic_notes IS NOT NULL;
  UPDATE waivers SET signed_name = '[erased]' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE checkouts SET signed_name = '[erased]' WHERE user_id = customer_user AND signed_name IS NOT NULL;
  UPDATE mail_deliveries SET address_hash = NULL WHERE user_id = customer_user AND address_hash IS NOT NULL;
  DELETE FROM notifications WHERE user_id = customer_user;
  DELETE FROM notification_preferences WHERE user_id = customer_user;
  DELETE FROM notification_locales WHERE user_id = customer_user;
  DELETE FROM idempotency_keys WHERE user_id = customer_user;
  DELETE FROM realtime_tickets WHERE user_id = customer_user;
  DELETE FROM realtime_connections WHERE user_id = customer_user;
  INSERT INTO erasures (user_id, erased_by, sessions)
  VALUES (customer_user, session_user || ':' || operator, touched) RETURNING * INTO done;
  RETURN done;
END
$$;
COMMENT ON FUNCTION erase_customer(uuid, text) IS
  'Takes a customer''s personal data out of every row, for ever, and returns the proof; null where there is no such customer, the first proof where it was done before. Raises AD010 while a session is active or a payment is open. For the owner.';
REVOKE EXECUTE ON FUNCTION erase_customer(uuid, text) FROM PUBLIC;
