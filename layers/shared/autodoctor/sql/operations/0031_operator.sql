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

-- A hand for who waits: an operator writes into the room, or offers the request to a mechanic by name.

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
