-- A mechanic's availability is a lease, which an open feed keeps.

CREATE FUNCTION kept_by_feed(mechanic uuid, lease timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM realtime_connections c
                  WHERE c.mechanic_id = mechanic AND c.connected_at <= lease AND c.expires_at > now())
$$;
COMMENT ON FUNCTION kept_by_feed(uuid, timestamptz) IS
  'Whether an open feed keeps this lease: one that was open while the lease was on. A row past its expires_at is no feed, so that one left behind keeps nothing for ever.';

CREATE FUNCTION is_available(mechanic uuid, lease timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT coalesce(lease > now(), false) OR kept_by_feed(mechanic, lease)
$$;
COMMENT ON FUNCTION is_available(uuid, timestamptz) IS 'Whether a lease has not lapsed, or an open feed keeps it.';

CREATE VIEW mechanics_on_duty AS
  SELECT m.id, m.user_id, m.workshop_id FROM mechanics m WHERE m.status = 'active' AND m.available_until > now()
  UNION -- not OR: each half has an index
  SELECT m.id, m.user_id, m.workshop_id
    FROM realtime_connections c JOIN mechanics m ON m.id = c.mechanic_id
   WHERE m.status = 'active' AND c.connected_at <= m.available_until AND c.expires_at > now();
COMMENT ON VIEW mechanics_on_duty IS 'Active mechanics for whom is_available() holds, busy or not.';
GRANT SELECT ON mechanics_on_duty TO autodoctor_app;

-- A page that is loaded again closes its feed and opens another one: the lease bridges the gap.
CREATE FUNCTION lease_follows_feed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    -- the new feed takes over from one that is open: whichever closes first, the other one keeps the lease
    UPDATE mechanics m SET available_until = NEW.connected_at
     WHERE m.id = NEW.mechanic_id AND m.available_until < NEW.connected_at AND kept_by_feed(m.id, m.available_until);
  ELSE
    UPDATE mechanics m SET available_until = least(OLD.expires_at, clock_timestamp()) + interval '60 seconds'
     WHERE m.id = OLD.mechanic_id AND m.available_until >= OLD.connected_at
       AND m.available_until < least(OLD.expires_at, clock_timestamp()) + interval '60 seconds';
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION lease_follows_feed() IS
  'A lease that a closing feed kept, or that was about to lapse, lasts 60 seconds more; one that an open feed keeps is handed to the next feed. A feed alone makes nobody available.';
CREATE TRIGGER lease_taken_over AFTER INSERT ON realtime_connections FOR EACH ROW
  WHEN (NEW.mechanic_id IS NOT NULL) EXECUTE FUNCTION lease_follows_feed();
-- Not for rows left behind long ago: that would lock mechanics for nothing.
CREATE TRIGGER lease_outlasts_feed AFTER DELETE ON realtime_connections FOR EACH ROW
  WHEN (OLD.mechanic_id IS NOT NULL AND OLD.expires_at > clock_timestamp() - interval '60 seconds')
  EXECUTE FUNCTION lease_follows_feed();

CREATE FUNCTION availability_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  was boolean := OLD.status = 'active' AND is_available(OLD.id, OLD.available_until);
  is_now boolean := NEW.status = 'active' AND is_available(NEW.id, NEW.available_until);
BEGIN
  IF was <> is_now THEN
    PERFORM emit_event('mechanic.availability_changed',
                       jsonb_build_object('mechanicId', NEW.id, 'available', is_now), NEW.id);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION availability_changed() IS
  'An event where a mechanic became available or stopped being so, by their own word or an operator''s; a longer lease changes nothing, and one that lapses by itself sends nothing.';
CREATE TRIGGER availability_changed AFTER UPDATE OF available_until, status ON mechanics
  FOR EACH ROW WHEN ((OLD.available_until, OLD.status) IS DISTINCT FROM (NEW.available_until, NEW.status))
  EXECUTE FUNCTION availability_changed();
