-- Web Push: the browsers that asked to be called while their page is closed, and what was sent to each.

CREATE TABLE push_subscriptions (
  id          uuid PRIMARY KEY DEFAULT new_id(),
  user_id     uuid NOT NULL,
  endpoint    text NOT NULL UNIQUE CHECK (length(endpoint) BETWEEN 1 AND 2000),
  public_key  bytea NOT NULL CHECK (length(public_key) = 65),
  secret      bytea NOT NULL CHECK (length(secret) = 16),
  made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  called_at   timestamptz
);
CREATE INDEX push_subscriptions_by_user ON push_subscriptions (user_id, made_at);
COMMENT ON TABLE push_subscriptions IS
  'The browsers that are called by Web Push, each for the user who last asked for it there.';
COMMENT ON COLUMN push_subscriptions.user_id IS 'The sub of the token that asked for it.';
COMMENT ON COLUMN push_subscriptions.endpoint IS
  'Where its push service takes messages for it: an address that the user gave us, so only hosts of PushHosts are ever called.';
COMMENT ON COLUMN push_subscriptions.public_key IS 'The browser''s key (p256dh): an uncompressed point of P-256.';
COMMENT ON COLUMN push_subscriptions.secret IS 'What the browser shares with us alone (auth), so that its push service reads nothing.';
COMMENT ON COLUMN push_subscriptions.made_at IS 'When it was last asked for.';
COMMENT ON COLUMN push_subscriptions.called_at IS 'When its push service last took a message; null: never.';
GRANT SELECT,
      INSERT (user_id, endpoint, public_key, secret),
      UPDATE (user_id, public_key, secret, made_at, called_at),
      DELETE
  ON push_subscriptions TO autodoctor_app;

CREATE FUNCTION push_subscriptions_per_user() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'push_subscriptions_per_user'), 5)
$$;
COMMENT ON FUNCTION push_subscriptions_per_user() IS
  'How many browsers of one user are called; one more takes the place of the oldest: the settings table, then 5.';

-- Whoever subscribes has used up some of a limit just before, whose row keeps a second one of the same user waiting.
CREATE FUNCTION push_subscriptions_are_few() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM push_subscriptions p
   WHERE p.user_id = NEW.user_id
     AND p.id NOT IN (SELECT n.id FROM push_subscriptions n WHERE n.user_id = NEW.user_id
                       ORDER BY n.made_at DESC, n.id DESC LIMIT push_subscriptions_per_user());
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION push_subscriptions_are_few() IS 'Forgets the oldest browsers of a user who has more than push_subscriptions_per_user().';
CREATE TRIGGER push_subscriptions_are_few AFTER INSERT OR UPDATE OF user_id ON push_subscriptions
  FOR EACH ROW EXECUTE FUNCTION push_subscriptions_are_few();

CREATE TABLE push_deliveries (
  subscription_id  uuid NOT NULL REFERENCES push_subscriptions (id) ON DELETE CASCADE,
  event_id         uuid NOT NULL,
  topic            uuid NOT NULL,
  kind             text NOT NULL,
  sent_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  withdrawn_at     timestamptz,
  PRIMARY KEY (event_id, subscription_id)
);
CREATE INDEX push_deliveries_shown ON push_deliveries (topic) WHERE withdrawn_at IS NULL;
CREATE INDEX push_deliveries_by_subscription ON push_deliveries (subscription_id, sent_at);
COMMENT ON TABLE push_deliveries IS
  'What push services took in the last day: a second delivery of the event sends nothing, and what is gone is withdrawn where it is shown.';
COMMENT ON COLUMN push_deliveries.event_id IS 'The event that it tells of.';
COMMENT ON COLUMN push_deliveries.topic IS 'What it is about, an assignment or a session: a newer message of the same topic takes its place.';
COMMENT ON COLUMN push_deliveries.kind IS 'As in notification_preferences.';
COMMENT ON COLUMN push_deliveries.sent_at IS 'When the push service had taken it.';
COMMENT ON COLUMN push_deliveries.withdrawn_at IS 'When the push service had taken its withdrawal; null: it may be shown.';
GRANT SELECT,
      INSERT (subscription_id, event_id, topic, kind),
      UPDATE (withdrawn_at),
      DELETE
  ON push_deliveries TO autodoctor_app;

CREATE FUNCTION pays_mechanic(asked intakes) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE asked.funding WHEN 'free' THEN asked.mechanic_fixed_pay_cents
                            ELSE share_of(asked.price_cents, asked.mechanic_share_bp)::integer END
$$;
COMMENT ON FUNCTION pays_mechanic(intakes) IS
  'What the session, once completed, pays the mechanic who held it, in cents of its currency.';

-- Who is asked by name again and again and does not answer keeps customers waiting two minutes each time.
CREATE TABLE missed_offers (
  mechanic_id  uuid PRIMARY KEY REFERENCES mechanics (id),
  in_a_row     integer NOT NULL CHECK (in_a_row > 0),
  missed_at    timestamptz NOT NULL
);
COMMENT ON TABLE missed_offers IS
  'Mechanics who let their last offers lapse; accepting any request, or declining an offer, begins anew. Written by trigger only.';
COMMENT ON COLUMN missed_offers.in_a_row IS 'How many, one after the other; several that stood at once are one.';
COMMENT ON COLUMN missed_offers.missed_at IS 'When the last of them lapsed.';
GRANT SELECT ON missed_offers TO autodoctor_app;

CREATE FUNCTION missed_offers_most() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'missed_offers_most'), 3)
$$;
COMMENT ON FUNCTION missed_offers_most() IS
  'How many offers in a row a mechanic may let lapse before they are set away: the settings table, then 3.';

-- Whoever names a mechanic pays nothing for it, so only a mechanic who could have answered is blamed.
CREATE FUNCTION is_missed(offer session_assignments) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = offer.mechanic_id AND b.ended_at IS NULL)
     AND NOT EXISTS (SELECT FROM paused_mechanics p WHERE p.mechanic_id = offer.mechanic_id)
     AND EXISTS (SELECT FROM mechanics m WHERE m.id = offer.mechanic_id AND is_available(m.id, m.available_until))
     AND NOT EXISTS (
           SELECT FROM missed_offers x JOIN session_assignment_events e ON e.occurred_at < x.missed_at
            WHERE x.mechanic_id = offer.mechanic_id AND e.session_id = offer.session_id AND e.assignment_id = offer.id
              AND e.to_status = 'offered')
$$;
COMMENT ON FUNCTION is_missed(session_assignments) IS
  'Whether its mechanic lets a lapsed offer lapse: available and not paused, without a session, and not while they let another one lapse that stood already.';

-- The mechanic's row is not waited for: a suspension locks it first, and sessions then.
CREATE FUNCTION count_missed_offers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  missed integer;
BEGIN
  IF NEW.status IN ('accepted', 'declined') THEN
    DELETE FROM missed_offers WHERE mechanic_id = NEW.mechanic_id;
    RETURN NULL;
  ELSIF NEW.status <> 'expired' OR OLD.offer_expires_at > clock_timestamp() OR NOT is_missed(OLD) THEN
    RETURN NULL;
  END IF;
  INSERT INTO missed_offers AS x (mechanic_id, in_a_row, missed_at) VALUES (OLD.mechanic_id, 1, OLD.offer_expires_at)
  ON CONFLICT (mechanic_id) DO UPDATE SET in_a_row = x.in_a_row + 1, missed_at = excluded.missed_at
  RETURNING in_a_row INTO STRICT missed;
  IF missed >= missed_offers_most() THEN
    UPDATE mechanics m SET available_until = NULL
     WHERE m.id = (SELECT l.id FROM mechanics l WHERE l.id = OLD.mechanic_id AND l.status = 'active'
                      AND is_available(l.id, l.available_until)
                      FOR NO KEY UPDATE SKIP LOCKED);
    IF FOUND THEN
      DELETE FROM missed_offers WHERE mechanic_id = OLD.mechanic_id;
      PERFORM emit_event('mechanic.set_away', jsonb_build_object(
                           'mechanicId', OLD.mechanic_id, 'sessionId', OLD.session_id, 'missed', missed),
                         OLD.mechanic_id);
    END IF;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION count_missed_offers() IS
  'Counts the offers that a mechanic lets lapse one after the other; after missed_offers_most() of them the mechanic is set away, and told.';
CREATE TRIGGER offers_are_counted AFTER UPDATE OF status ON session_assignments FOR EACH ROW
  WHEN (OLD.status <> NEW.status AND (OLD.status = 'offered' OR NEW.status = 'accepted')) EXECUTE FUNCTION count_missed_offers();
