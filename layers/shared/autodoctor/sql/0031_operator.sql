-- What operators do beside changing things: finding sessions by people, and seeing how to reach them.

-- Prefixes of any word of a name; addresses by their beginning, telephone numbers by their last digits.
CREATE INDEX intakes_by_name ON intakes USING gin (to_tsvector('simple', customer_name));
CREATE INDEX customers_by_email ON customers (lower(email) text_pattern_ops);
CREATE INDEX customers_by_phone ON customers (reverse(regexp_replace(phone, '\D', '', 'g')) text_pattern_ops) WHERE phone IS NOT NULL;

CREATE TABLE admin_lookups (
  id        uuid PRIMARY KEY,
  actor_id  uuid NOT NULL,
  kind      text NOT NULL CHECK (kind IN ('name', 'email', 'phone', 'payment', 'receipt', 'id', 'contact')),
  found     uuid[] NOT NULL CHECK (cardinality(found) <= 100),
  at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX admin_lookups_by_session ON admin_lookups USING gin (found);
COMMENT ON TABLE admin_lookups IS
  'Every time an admin searched for people''s sessions, or saw how to reach a customer; never changed afterwards. What was searched for is not kept.';
COMMENT ON COLUMN admin_lookups.id IS 'Chosen by the function before the first attempt.';
COMMENT ON COLUMN admin_lookups.actor_id IS 'The sub of the admin''s token.';
COMMENT ON COLUMN admin_lookups.kind IS 'By what was searched; contact: phone and e-mail of one session''s customer were shown.';
COMMENT ON COLUMN admin_lookups.found IS 'The sessions of the page that was shown.';
COMMENT ON COLUMN admin_lookups.at IS 'When, by the database''s clock.';
CREATE TRIGGER admin_lookups_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON admin_lookups
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT, INSERT (id, actor_id, kind, found) ON admin_lookups TO autodoctor_app;

CREATE FUNCTION stripe_page(place text, id text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT 'https://dashboard.stripe.com/'
         || CASE WHEN (SELECT max(c.stripe_session_id) FROM checkouts c) LIKE 'cs\_live\_%' THEN '' ELSE 'test/' END
         || place || '/' || id
$$;
COMMENT ON FUNCTION stripe_page(text, text) IS
  'Where Stripe''s dashboard shows an object; null for none. All our objects are of one mode, which the ids of payment pages say.';

-- Why a mechanic is suspended: the admin's words, which the mechanic reads.

ALTER TABLE mechanics ADD COLUMN suspended_at timestamptz;
ALTER TABLE mechanics ADD COLUMN suspension_reason text CHECK (length(suspension_reason) BETWEEN 1 AND 500);
ALTER TABLE mechanics ADD CONSTRAINT mechanics_only_suspended_ones_have_a_reason
  CHECK (status = 'suspended' OR num_nonnulls(suspended_at, suspension_reason) = 0);
COMMENT ON COLUMN mechanics.suspended_at IS 'Since when they are suspended; null also where that was not recorded.';
COMMENT ON COLUMN mechanics.suspension_reason IS 'The admin''s words about a suspension that is in force, for the mechanic; personal data.';
GRANT UPDATE (suspension_reason) ON mechanics TO autodoctor_app;

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

-- The audit says that there was a reason, and not which: an erasure reaches mechanics, and no row of the audit.
DROP TRIGGER mechanics_audited ON mechanics;
DROP TRIGGER mechanics_audited_again ON mechanics;
CREATE TRIGGER mechanics_audited AFTER INSERT ON mechanics
  FOR EACH ROW EXECUTE FUNCTION audit_change('mechanic', 'id', '{name,email,suspension_reason}');
CREATE TRIGGER mechanics_audited_again AFTER UPDATE OF user_id, name, email, workshop_id, status, suspension_reason, change_id ON mechanics
  FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION audit_change('mechanic', 'id', '{name,email,suspension_reason}');
ALTER TABLE admin_changes DROP CONSTRAINT admin_changes_tell_nothing_of_people;
ALTER TABLE admin_changes ADD CONSTRAINT admin_changes_tell_nothing_of_people CHECK (
  kind NOT LIKE 'mechanic.%' OR NOT (before ?| '{name,email,suspension_reason}' OR after ?| '{name,email,suspension_reason}'));

CREATE OR REPLACE FUNCTION erase_mechanic(mechanic_user uuid, operator text) RETURNS erasures LANGUAGE plpgsql AS $$
DECLARE
  done erasures;
  erased uuid;
  touched integer;
BEGIN
  SELECT id INTO erased FROM mechanics WHERE user_id = mechanic_user FOR NO KEY UPDATE;
  IF erased IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT * INTO done FROM erasures WHERE user_id = mechanic_user AND role = 'mechanic';
  IF FOUND THEN
    RETURN done;
  END IF;
  IF EXISTS (SELECT FROM sessions WHERE mechanic_id = erased AND ended_at IS NULL)
     OR EXISTS (SELECT FROM settlements_due d JOIN sessions s ON s.id = d.session_id WHERE s.mechanic_id = erased)
     OR EXISTS (SELECT FROM payouts WHERE mechanic_id = erased AND state IN ('due', 'held', 'sending')) THEN
    RAISE EXCEPTION 'mechanic % has a session or is still owed something', mechanic_user USING ERRCODE = 'AD010';
  END IF;

  UPDATE mechanics SET name = '[erased]', email = NULL, status = 'suspended', suspension_reason = NULL, available_until = NULL WHERE id = erased;
  SELECT count(*) INTO touched FROM session_participants WHERE mechanic_id = erased;
  -- the notes stay: they are the customer's record, about a car
  UPDATE session_messages SET text = ''
   WHERE session_id IN (SELECT p.session_id FROM session_participants p WHERE p.mechanic_id = erased)
     AND mechanic_id = erased AND text <> '';
  UPDATE contests SET answer = '' FROM sessions s
   WHERE s.id = session_id AND s.mechanic_id = erased AND answer <> '';
  UPDATE attachments SET state = 'gone' WHERE user_id = mechanic_user AND role = 'mechanic' AND state <> 'gone';
  UPDATE legacy_rows SET content = '{}' WHERE user_id = mechanic_user OR row_key = erased::text;
  UPDATE mail_deliveries SET address_hash = NULL WHERE user_id = mechanic_user AND address_hash IS NOT NULL;
  DELETE FROM notifications WHERE user_id = mechanic_user;
  DELETE FROM notification_preferences WHERE user_id = mechanic_user;
  DELETE FROM notification_locales WHERE user_id = mechanic_user;
  DELETE FROM push_subscriptions WHERE user_id = mechanic_user;
  DELETE FROM realtime_tickets WHERE user_id = mechanic_user;
  DELETE FROM realtime_connections WHERE user_id = mechanic_user;
  INSERT INTO erasures (user_id, role, erased_by, sessions)
  VALUES (mechanic_user, 'mechanic', session_user || ':' || operator, touched) RETURNING * INTO done;
  RETURN done;
END
$$;

-- A hand for who waits: an operator writes into the room, or offers the request to a mechanic by name.

ALTER TABLE admin_changes DROP CONSTRAINT admin_changes_kind_known;
ALTER TABLE admin_changes ADD CONSTRAINT admin_changes_kind_known CHECK (
  kind ~ '^((mechanic|workshop|plan|credit_pack)\.(added|changed)|mechanic\.destination_changed|credits\.granted|payout\.(held|released)|(settlement|contest)\.decided|session\.(messaged|offered)|dispute_evidence\.(changed|sent)|dead_letter_queue\.redriven)$');

CREATE OR REPLACE FUNCTION blank_room(of_session uuid) RETURNS integer LANGUAGE sql AS $$
  WITH blanked AS (UPDATE session_messages SET text = ''
                    WHERE session_id = of_session AND (role <> 'system' OR note = 'operator') AND text <> '' RETURNING 1)
  SELECT count(*)::integer FROM blanked
$$;
COMMENT ON FUNCTION blank_room(uuid) IS
  'Empties the words of both parties and of operators in a room, for ever; returns of how many messages. What the system itself said names nobody and stays.';

CREATE FUNCTION operator_writes(of_session uuid, by_admin uuid, change uuid, words text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  number integer;
  over text;
BEGIN
  PERFORM FROM rooms r WHERE r.session_id = of_session FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 'unknown';
  ELSIF EXISTS (SELECT FROM admin_changes c WHERE c.id = change) THEN
    RETURN 'written'; -- by this very call, on a connection that was lost
  END IF;
  SELECT s.status INTO over FROM sessions s WHERE s.id = of_session AND s.ended_at IS NOT NULL;
  IF FOUND THEN
    RETURN over;
  END IF;
  UPDATE rooms SET latest = latest + 1 WHERE session_id = of_session RETURNING latest INTO STRICT number;
  INSERT INTO session_messages (session_id, seq, role, kind, note, text)
  VALUES (of_session, number, 'system', 'system', 'operator', words);
  PERFORM emit_event('message.posted',
                     jsonb_build_object('sessionId', of_session, 'seq', number, 'role', 'system', 'kind', 'system'),
                     of_session);
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  VALUES (change, by_admin, 'session.messaged', of_session::text, '{message}', '{}', jsonb_build_object('seq', number));
  RETURN 'written';
END
$$;
COMMENT ON FUNCTION operator_writes(uuid, uuid, uuid, text) IS
  'Writes an operator''s words into the room of an open session, audited without the words: written, unknown, or how the session ended. Arguments: session, the admin''s sub, the id of the change, the words.';

CREATE FUNCTION operator_offers(of_session uuid, by_admin uuid, change uuid, to_mechanic uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  mechanic mechanics;
  session sessions;
  request session_assignments;
BEGIN
  -- the mechanic's row before the session's, as a suspension does
  SELECT * INTO mechanic FROM mechanics m WHERE m.id = to_mechanic FOR SHARE;
  SELECT * INTO session FROM sessions s WHERE s.id = of_session FOR NO KEY UPDATE;
  SELECT * INTO request FROM session_assignments a WHERE a.id = session.current_assignment_id;
  IF session.id IS NULL THEN
    RETURN 'unknown';
  ELSIF mechanic.id IS NULL THEN
    RETURN 'no_mechanic';
  ELSIF request.status = 'offered' AND request.mechanic_id = mechanic.id THEN
    RETURN 'offered';
  ELSIF session.status <> 'pending' OR request.status <> 'queued' OR request.available_at > clock_timestamp() THEN
    RETURN 'not_queued';
  ELSIF mechanic.status <> 'active' THEN
    RETURN 'suspended';
  ELSIF request.workshop_id IS NOT NULL AND request.workshop_id IS DISTINCT FROM mechanic.workshop_id THEN
    RETURN 'other_workshop';
  ELSIF mechanic.id = ANY (request.declined_by) THEN
    RETURN 'declined';
  ELSIF EXISTS (SELECT FROM customers c WHERE c.id = session.customer_id AND c.user_id = mechanic.user_id) THEN
    RETURN 'own_session';
  ELSIF EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = mechanic.id AND b.ended_at IS NULL) THEN
    RETURN 'busy';
  END IF;
  UPDATE session_assignments
     SET status = 'offered', mechanic_id = mechanic.id, offer_expires_at = clock_timestamp() + offer_time(),
         actor = 'admin', actor_id = by_admin
   WHERE id = request.id;
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  VALUES (change, by_admin, 'session.offered', of_session::text, '{mechanic_id}', '{}',
          jsonb_build_object('mechanic_id', mechanic.id));
  RETURN 'offered';
END
$$;
COMMENT ON FUNCTION operator_offers(uuid, uuid, uuid, uuid) IS
  'Offers a queued request to a mechanic by name, who may be away, for offer_time(), audited: offered, or why not. Arguments: session, the admin''s sub, the id of the change, the mechanic.';
