-- Visibility of requests, and their places in the queue.

-- visible_as() is the one rule; the functions after it apply it to the present, to the time before a move, and to all
-- time. PostgreSQL inlines these functions, so that they use indexes.
CREATE FUNCTION open_to(workshop uuid, declined_by uuid[], to_mechanic uuid, of_workshop uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (workshop IS NULL OR workshop = of_workshop) AND to_mechanic = ANY (declined_by) IS NOT TRUE
$$;
COMMENT ON FUNCTION open_to(uuid, uuid[], uuid, uuid) IS
  'Whether a queued request, of this workshop or general, is for this mechanic of that workshop, who has neither declined it nor given it back.';

CREATE FUNCTION visible_as(status text, available_at timestamptz, workshop uuid, declined_by uuid[], offered_to uuid,
                           to_mechanic uuid, of_workshop uuid, at timestamptz) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT available_at <= at
         AND CASE status WHEN 'queued' THEN open_to(workshop, declined_by, to_mechanic, of_workshop)
                         WHEN 'offered' THEN offered_to = to_mechanic
                         ELSE false END
$$;
COMMENT ON FUNCTION visible_as(text, timestamptz, uuid, uuid[], uuid, uuid, uuid, timestamptz) IS
  'Whether a request with this status at that instant was shown to this mechanic of that workshop. The caller excludes the mechanic''s own requests.';

CREATE FUNCTION visible_now(a session_assignments, to_mechanic uuid, of_workshop uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT visible_as(a.status, a.available_at, a.workshop_id, a.declined_by, a.mechanic_id, to_mechanic, of_workshop, now())
         AND (a.status <> 'offered' OR a.offer_expires_at > now())
$$;
COMMENT ON FUNCTION visible_now(session_assignments, uuid, uuid) IS
  'Whether the queue shows the request to this mechanic of that workshop. An offer past its deadline is shown to nobody.';

CREATE FUNCTION visible_before(a session_assignments, status_then text, at timestamptz, to_mechanic uuid, of_workshop uuid)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT visible_as(status_then, a.available_at, a.workshop_id, a.declined_by, a.mechanic_id, to_mechanic, of_workshop, at)
$$;
COMMENT ON FUNCTION visible_before(session_assignments, text, timestamptz, uuid, uuid) IS
  'Whether the request was shown to this mechanic until it left that status.';

CREATE FUNCTION visible_ever(a session_assignments, to_mechanic uuid, of_workshop uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT a.queued_at IS NOT NULL
         AND visible_as(CASE WHEN a.offer_expires_at IS NULL THEN 'queued' ELSE 'offered' END, a.available_at, a.workshop_id,
                        a.declined_by, a.mechanic_id, to_mechanic, of_workshop, coalesce(a.ended_at, now()))
$$;
COMMENT ON FUNCTION visible_ever(session_assignments, uuid, uuid) IS
  'Whether the request is or was ever shown to this mechanic of that workshop.';

CREATE FUNCTION reachable_workshop(wanted uuid, refused uuid[], session uuid) RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT m.workshop_id FROM mechanics m
   WHERE m.workshop_id = wanted AND m.status = 'active' AND open_to(wanted, refused, m.id, m.workshop_id)
     AND m.user_id IS DISTINCT FROM (
       SELECT c.user_id FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE s.id = session)
   LIMIT 1
$$;
COMMENT ON FUNCTION reachable_workshop(uuid, uuid[], uuid) IS
  'The workshop, or null if none of its mechanics can take the session: each is suspended, declined it before, or is its customer.';

-- Being urgent costs nothing to say. So it counts where it is paid for, or where an account is known and does not say it
-- all the time: a fresh account that pays nothing displaces nobody.
CREATE FUNCTION queue_precedence(session uuid) RETURNS smallint LANGUAGE plpgsql STABLE AS $$
DECLARE
  asked record;
BEGIN
  SELECT i.urgent, i.funding, i.customer_id INTO asked FROM intakes i WHERE i.id = session;
  RETURN CASE
    WHEN asked.urgent IS NOT TRUE THEN 2
    WHEN asked.funding <> 'free' THEN 0
    WHEN EXISTS (SELECT FROM intakes i WHERE i.customer_id = asked.customer_id AND i.id <> session AND i.urgent
                    AND i.created_at > now() - interval '24 hours') THEN 2
    WHEN EXISTS (SELECT FROM intakes i JOIN sessions s ON s.id = i.id
                  WHERE i.customer_id = asked.customer_id AND s.status = 'completed') THEN 1
    ELSE 2 END;
END
$$;
COMMENT ON FUNCTION queue_precedence(uuid) IS
  'The place of a session''s request in the queue before waiting time counts: 0: urgent, and paid by card or credits; 1: urgent and free, of a customer who has had a completed session, and no other urgent request for 24 hours; 2: every other.';

-- A customer is told each time that a mechanic is waiting for them.
CREATE FUNCTION release_pause() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('release_pause_seconds', 900)
$$;
COMMENT ON FUNCTION release_pause() IS 'How long a mechanic who gave back too many sessions accepts none.';
CREATE FUNCTION releases_per_hour() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'releases_per_hour'), 3)
$$;
COMMENT ON FUNCTION releases_per_hour() IS
  'How many sessions a mechanic may accept and not keep within an hour before a pause follows: the settings table, then 3.';

CREATE VIEW paused_mechanics AS
  SELECT g.mechanic_id, max(g.until) AS since, max(g.until) + release_pause() AS until, max(g.releases) AS releases
    FROM (SELECT p.mechanic_id, p.until,
                 count(*) OVER (PARTITION BY p.mechanic_id ORDER BY p.until
                                RANGE BETWEEN interval '1 hour' PRECEDING AND CURRENT ROW) AS releases
            FROM session_participants p
           WHERE p.until > now() - interval '1 hour' - release_pause() AND p.role = 'mechanic') AS g
   WHERE g.releases >= releases_per_hour() AND g.until > now() - release_pause()
   GROUP BY g.mechanic_id;
COMMENT ON VIEW paused_mechanics IS
  'Mechanics who may not accept for now: they gave back releases_per_hour() sessions within an hour, or did not come to them.';
COMMENT ON COLUMN paused_mechanics.since IS 'When they gave the last one back.';
COMMENT ON COLUMN paused_mechanics.until IS 'When they may accept again.';
COMMENT ON COLUMN paused_mechanics.releases IS 'How many they gave back within the hour.';
GRANT SELECT ON paused_mechanics TO autodoctor_app;

CREATE FUNCTION may_be_offered(mechanic uuid, workshop uuid, shown_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM mechanics m
     WHERE m.id = mechanic AND m.status = 'active' AND (workshop IS NULL OR m.workshop_id = workshop)
       AND (shown_at > clock_timestamp() -- a mechanic who is away or busy now may be free by then
            OR is_available(m.id, m.available_until)
               AND NOT EXISTS (SELECT FROM paused_mechanics p WHERE p.mechanic_id = m.id)
               AND NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = m.id AND b.ended_at IS NULL)))
$$;
COMMENT ON FUNCTION may_be_offered(uuid, uuid, timestamptz) IS
  'Whether a request for this mechanic, of this workshop or general and shown from then on, is offered to them; otherwise it goes straight to the queue.';

-- A suspended mechanic's offers and waiting session go back to the queue, and requests that only they could have taken
-- become general.
CREATE FUNCTION mechanics_requeue() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  held record;
BEGIN
  FOR held IN
    SELECT a.id, a.session_id, a.status, a.mechanic_id, a.declined_by, a.workshop_id
      FROM session_assignments a JOIN sessions s ON s.id = a.session_id
     WHERE (a.status = 'offered' AND a.mechanic_id = NEW.id)
        OR (a.status = 'accepted' AND a.mechanic_id = NEW.id AND s.status = 'waiting' AND NEW.status = 'suspended')
        OR (a.status IN ('queued', 'offered') AND a.workshop_id = OLD.workshop_id)
     ORDER BY s.id
       FOR NO KEY UPDATE OF s -- sessions first, as everywhere
  LOOP
    IF held.status = 'accepted' THEN
      UPDATE sessions SET status = 'pending', actor = 'operator:mechanic-suspended'
       WHERE id = held.session_id AND status = 'waiting' AND mechanic_id = NEW.id;
    ELSIF held.mechanic_id = NEW.id AND (NEW.status = 'suspended' OR held.workshop_id IS NOT NULL) THEN
      UPDATE session_assignments
         SET status = 'expired',
             actor = CASE NEW.status WHEN 'suspended' THEN 'operator:mechanic-suspended' ELSE 'system:mechanic-left' END
       WHERE id = held.id AND status = 'offered';
    ELSIF held.status = 'queued'
       AND reachable_workshop(held.workshop_id, held.declined_by, held.session_id) IS NULL THEN
      UPDATE session_assignments SET workshop_id = NULL, actor = 'system:workshop-unavailable'
       WHERE id = held.id AND status = 'queued';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION mechanics_requeue() IS 'Runs when a mechanic is suspended or leaves a workshop.';
CREATE TRIGGER mechanics_requeue AFTER UPDATE OF status, workshop_id ON mechanics
  FOR EACH ROW WHEN ((OLD.status = 'active' AND NEW.status = 'suspended') OR OLD.workshop_id IS DISTINCT FROM NEW.workshop_id)
  EXECUTE FUNCTION mechanics_requeue();

-- The estimated wait, from the last accepts. Sessions are read backwards by id, which is in the order of time
-- (UUIDv7), because every accept would have to write an index of accept times.
CREATE FUNCTION recent_pace(OUT per_second double precision, OUT usual_wait double precision)
LANGUAGE sql STABLE AS $$
  WITH newest AS (
    SELECT s.accepted_at, s.current_assignment_id
      FROM (SELECT * FROM sessions
             WHERE id BETWEEN (lpad(to_hex(floor(extract(epoch FROM now() - interval '6 hours') * 1000)::bigint), 12, '0')
                               || repeat('0', 20))::uuid
                          AND (lpad(to_hex(floor(extract(epoch FROM now() + interval '1 hour') * 1000)::bigint), 12, '0')
                               || repeat('f', 20))::uuid -- imported ids may be of any kind
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
  'For the 20 newest sessions that were accepted in the last 6 hours: accepts per second until now, and the median seconds from queue to accept; null for fewer than 3.';

CREATE FUNCTION estimated_wait(place bigint, free bigint, share double precision, per_second double precision,
                               usual_wait double precision, longest interval) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT ceil(least(place / (per_second * share), ceil(place / greatest(free, 1)::numeric)::float8 * usual_wait,
                    extract(epoch FROM longest)))::integer
$$;
COMMENT ON FUNCTION estimated_wait(bigint, bigint, double precision, double precision, double precision, interval) IS
  'Seconds until the customer at this place is accepted, never less at a later place. The lesser of two estimates: place / pace, and the usual wait times the rounds in which the free mechanics take one customer each. The first is Little''s law (L = lambda W: J. D. C. Little, Operations Research 9, 1961), with the share of all accepts that the mechanics who would be shown the request make as its pace; the second counts because without a queue the pace says how often customers come, not how long they wait. At most the longest wait, after which the session expires; null without a pace.';

CREATE FUNCTION queue_positions(user_ids uuid[] DEFAULT NULL)
RETURNS TABLE (user_id uuid, session_id uuid, place integer, mechanics_available integer, estimated_wait_seconds integer)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  wanted uuid[];
  last_precedence smallint := 2;
  last_queued_at timestamptz := 'infinity';
  last_id uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
BEGIN
  IF user_ids IS NOT NULL THEN -- later customers do not matter to them
    wanted := ARRAY(SELECT s.id FROM customers c JOIN sessions s ON s.customer_id = c.id AND s.ended_at IS NULL
                     WHERE c.user_id = ANY (user_ids));
    SELECT a.precedence, a.queued_at, a.id INTO last_precedence, last_queued_at, last_id
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
    SELECT row_number() OVER in_order AS n, a.session_id AS id, a.available_at, a.workshop_id, a.declined_by,
           a.mechanic_id AS offered_to,
           -- a lapsed offer is about to be queued again
           CASE WHEN a.status = 'offered' AND a.offer_expires_at <= now() THEN 'queued' ELSE a.status END AS status
      FROM (SELECT * FROM session_assignments q
             WHERE q.status IN ('queued', 'offered') AND q.available_at <= now()
               AND (q.precedence, q.queued_at, q.id) <= (last_precedence, last_queued_at, last_id)
             ORDER BY q.precedence, q.queued_at, q.id LIMIT 1000) AS a
    WINDOW in_order AS (ORDER BY a.precedence, a.queued_at, a.id)
  ), duty AS MATERIALIZED (
    SELECT m.id, m.workshop_id,
           NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = m.id AND b.ended_at IS NULL) AS free,
           (SELECT o.id FROM sessions o
             WHERE o.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = m.user_id)
               AND o.ended_at IS NULL) AS own_session_id
      FROM mechanics_on_duty m
  ), personal AS (
    -- requests by which a mechanic's list differs from that of the others of the workshop
    SELECT x.mechanic_id, array_agg(x.n ORDER BY x.n) AS numbers
      FROM (SELECT l.offered_to AS mechanic_id, l.n FROM listed l WHERE l.status = 'offered'
            UNION SELECT unnest(l.declined_by), l.n FROM listed l WHERE l.status = 'queued'
            UNION SELECT d.id, l.n FROM duty d JOIN listed l ON l.id = d.own_session_id AND l.status = 'queued') AS x
     GROUP BY x.mechanic_id
  ), list AS MATERIALIZED (
    -- mechanics with the same list count once, by any of them
    SELECT row_number() OVER () AS id, d.workshop_id, (array_agg(d.id))[1] AS mechanic_id,
           (array_agg(d.own_session_id))[1] AS own_session_id,
           count(*) AS mechanics, count(*) FILTER (WHERE d.free) AS free
      FROM duty d LEFT JOIN personal p ON p.mechanic_id = d.id
     GROUP BY d.workshop_id, p.numbers
  ), shown AS (
    SELECT l.n, list.mechanics, list.free, row_number() OVER (PARTITION BY list.id ORDER BY l.n) AS place
      FROM list JOIN listed l
        ON visible_as(l.status, l.available_at, l.workshop_id, l.declined_by, l.offered_to,
                      list.mechanic_id, list.workshop_id, now())
       AND l.id IS DISTINCT FROM list.own_session_id
  ), placed AS (
    SELECT shown.n, min(shown.place) AS place, sum(shown.mechanics)::bigint AS mechanics, sum(shown.free)::bigint AS free
      FROM shown GROUP BY shown.n
  ), unseen AS (
    -- if nobody on duty would be shown it: the place in the list of a mechanic of its workshop, or of no workshop
    SELECT l.n, 1 + count(*) FILTER (WHERE l.status = 'queued' AND l.workshop_id IS NULL)
                      OVER (ORDER BY l.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                  + CASE WHEN l.workshop_id IS NULL THEN 0
                         ELSE count(*) FILTER (WHERE l.status = 'queued')
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
         estimated_wait(who.place, who.free, who.share, pace.per_second, pace.usual_wait, orphan_age())
    FROM who CROSS JOIN (SELECT * FROM recent_pace()) AS pace
   ORDER BY who.place, who.id;
END
$$;
COMMENT ON FUNCTION queue_positions(uuid[]) IS
  'The queue positions sent to customers among the first 1,000 of the queue (these users, or all): the best place of the request in the lists of the mechanics on duty who would be shown it, 1 being next; how many of those mechanics have no session; and the estimate. Before its lead time a scheduled session has no place.';
