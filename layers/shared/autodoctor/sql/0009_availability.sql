-- A mechanic's availability is a lease; what a waiting customer is told follows from it.

ALTER TABLE mechanics ADD COLUMN available_until timestamptz;
UPDATE mechanics SET available_until = 'infinity' WHERE available;
ALTER TABLE mechanics DROP COLUMN available;
CREATE INDEX mechanics_by_lease ON mechanics (available_until) WHERE available_until IS NOT NULL;
COMMENT ON COLUMN mechanics.available_until IS
  'The lease: until then requests for this mechanic are offered, and for as long after it as a feed stays open that was open by then; infinity until the mechanic says otherwise; null: not available.';

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

CREATE OR REPLACE FUNCTION may_be_offered(mechanic uuid, workshop uuid, shown_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM mechanics m
     WHERE m.id = mechanic AND m.status = 'active' AND (workshop IS NULL OR m.workshop_id = workshop)
       AND (shown_at > clock_timestamp() -- who is away or busy now may be there and free by then
            OR is_available(m.id, m.available_until)
               AND NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = m.id AND b.ended_at IS NULL)))
$$;

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

-- How long a customer waits, from the last accepts. Sessions are read backwards by id, which is in the order of
-- time (UUIDv7): no index of accept times, which every accept would have to write.
CREATE FUNCTION recent_pace(OUT per_second double precision, OUT usual_wait double precision)
LANGUAGE sql STABLE AS $$
  WITH newest AS (
    SELECT s.accepted_at, s.current_assignment_id
      FROM (SELECT * FROM sessions
             WHERE id BETWEEN (lpad(to_hex(floor(extract(epoch FROM now() - interval '6 hours') * 1000)::bigint), 12, '0')
                               || repeat('0', 20))::uuid
                          AND (lpad(to_hex(floor(extract(epoch FROM now() + interval '1 hour') * 1000)::bigint), 12, '0')
                               || repeat('f', 20))::uuid -- ids that were moved in may be of any kind
             ORDER BY id DESC LIMIT 1000) AS s
     WHERE s.accepted_at > now() - interval '6 hours'
     LIMIT 20
  ), accepted AS MATERIALIZED (
    SELECT n.accepted_at, greatest(n.accepted_at - (
             SELECT a.queued_at FROM session_assignments a WHERE a.id = n.current_assignment_id), interval '0') AS waited
      FROM newest n
  )
  SELECT count(*) / nullif(extract(epoch FROM now() - min(accepted_at)), 0),
         percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM waited))
    FROM accepted HAVING count(*) >= 3
$$;
COMMENT ON FUNCTION recent_pace() IS
  'Of the 20 newest sessions that were accepted in the last 6 hours: accepts per second until now, and the median seconds from queue to accept; null of fewer than 3.';

CREATE FUNCTION estimated_wait(place bigint, free bigint, share double precision, per_second double precision,
                               usual_wait double precision) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT ceil(least(place / (per_second * share), ceil(place / greatest(free, 1)::numeric)::float8 * usual_wait, 7200))::integer
$$;
COMMENT ON FUNCTION estimated_wait(bigint, bigint, double precision, double precision, double precision) IS
  'Seconds until the customer at this place is accepted, never less at a later place: the lesser of place / pace (Little''s law, L = lambda W: J. D. C. Little, Operations Research 9, 1961; the pace is the part of all accepts that the mechanics who would be shown the request make) and the usual wait for each round in which the free mechanics take one customer each (without a queue the pace says how often customers come, not how long they wait). At most 2 hours, when the session expires; null without a pace.';

CREATE FUNCTION waiting_places(user_ids uuid[] DEFAULT NULL)
RETURNS TABLE (user_id uuid, session_id uuid, place integer, mechanics_available integer, estimated_wait_seconds integer)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  wanted uuid[];
  last_calm boolean := true;
  last_queued_at timestamptz := 'infinity';
  last_id uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
BEGIN
  IF user_ids IS NOT NULL THEN -- who comes after them does not matter to them
    wanted := ARRAY(SELECT s.id FROM customers c JOIN sessions s ON s.customer_id = c.id AND s.ended_at IS NULL
                     WHERE c.user_id = ANY (user_ids));
    SELECT NOT a.urgent, a.queued_at, a.id INTO last_calm, last_queued_at, last_id
      FROM session_assignments a
     WHERE a.session_id = ANY (wanted) AND a.ended_at IS NULL
       AND a.status IN ('queued', 'offered') AND a.available_at <= now()
     ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT 1;
    IF NOT FOUND THEN
      RETURN;
    END IF;
  END IF;
  RETURN QUERY
  WITH listed AS MATERIALIZED (
    SELECT row_number() OVER in_order AS n, a.session_id AS id, a.workshop_id, a.declined_by,
           -- a lapsed offer is about to be queued again
           CASE WHEN a.status = 'offered' AND a.offer_expires_at > now() THEN a.mechanic_id END AS reserved_for
      FROM (SELECT * FROM session_assignments q
             WHERE q.status IN ('queued', 'offered') AND q.available_at <= now()
               AND ((NOT q.urgent), q.queued_at, q.id) <= (last_calm, last_queued_at, last_id)
             ORDER BY (NOT q.urgent), q.queued_at, q.id LIMIT 1000) AS a
    WINDOW in_order AS (ORDER BY (NOT a.urgent), a.queued_at, a.id)
  ), duty AS MATERIALIZED (
    SELECT m.id, m.workshop_id,
           NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = m.id AND b.ended_at IS NULL) AS free,
           (SELECT o.id FROM sessions o
             WHERE o.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = m.user_id)
               AND o.ended_at IS NULL) AS own_session_id
      FROM mechanics_on_duty m
  ), personal AS (
    -- where a mechanic's list differs from that of the others of the workshop
    SELECT x.mechanic_id, array_agg(x.n ORDER BY x.n) AS numbers
      FROM (SELECT l.reserved_for AS mechanic_id, l.n FROM listed l WHERE l.reserved_for IS NOT NULL
            UNION SELECT unnest(l.declined_by), l.n FROM listed l WHERE l.reserved_for IS NULL
            UNION SELECT d.id, l.n FROM duty d JOIN listed l ON l.id = d.own_session_id AND l.reserved_for IS NULL) AS x
     GROUP BY x.mechanic_id
  ), list AS MATERIALIZED (
    -- mechanics whose lists are the same count once
    SELECT row_number() OVER () AS id, d.workshop_id, p.numbers, count(*) AS mechanics,
           count(*) FILTER (WHERE d.free) AS free
      FROM duty d LEFT JOIN personal p ON p.mechanic_id = d.id
     GROUP BY d.workshop_id, p.numbers
  ), shown AS (
    SELECT l.n, list.mechanics, list.free, row_number() OVER (PARTITION BY list.id ORDER BY l.n) AS place
      FROM list JOIN listed l
        ON CASE WHEN l.reserved_for IS NULL
                THEN (l.workshop_id IS NULL OR l.workshop_id = list.workshop_id) AND l.n = ANY (list.numbers) IS NOT TRUE
                ELSE l.n = ANY (list.numbers) END
  ), placed AS (
    SELECT shown.n, min(shown.place) AS place, sum(shown.mechanics)::bigint AS mechanics, sum(shown.free)::bigint AS free
      FROM shown GROUP BY shown.n
  ), unseen AS (
    -- while nobody on duty would be shown it: the place in the list of a mechanic of its workshop, or of none
    SELECT l.n, 1 + count(*) FILTER (WHERE l.reserved_for IS NULL AND l.workshop_id IS NULL)
                      OVER (ORDER BY l.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                  + CASE WHEN l.workshop_id IS NULL THEN 0
                         ELSE count(*) FILTER (WHERE l.reserved_for IS NULL)
                      OVER (PARTITION BY l.workshop_id ORDER BY l.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                    END AS place
      FROM listed l
  ), place AS (
    SELECT l.id, coalesce(placed.place, unseen.place) AS place, coalesce(placed.free, 0) AS free,
           coalesce(placed.mechanics / nullif((SELECT count(*) FROM duty), 0)::float8, 1) AS share
      FROM listed l JOIN unseen USING (n) LEFT JOIN placed USING (n)
  ), who AS (
    -- no join: its plan might walk the history
    SELECT place.*, (SELECT c.user_id FROM customers c
                      WHERE c.id = (SELECT s.customer_id FROM sessions s WHERE s.id = place.id)) AS customer
      FROM place WHERE wanted IS NULL OR place.id = ANY (wanted)
  )
  SELECT who.customer, who.id, who.place::integer, who.free::integer,
         estimated_wait(who.place, who.free, who.share, pace.per_second, pace.usual_wait)
    FROM who CROSS JOIN (SELECT * FROM recent_pace()) AS pace
   ORDER BY who.place, who.id;
END
$$;
COMMENT ON FUNCTION waiting_places(uuid[]) IS
  'What the customers among the first 1,000 of the queue are told (these users, or all): the best place that the request has in the list of a mechanic on duty who would be shown it, 1 being next; how many of those mechanics have no session; and the estimate. Before a scheduled session''s lead time there is no place.';

GRANT SELECT ON mechanics_on_duty TO autodoctor_app;
GRANT UPDATE (available_until) ON mechanics TO autodoctor_app;
