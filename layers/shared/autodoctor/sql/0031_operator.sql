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
