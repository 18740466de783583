-- The realtime feed, and the availability of mechanics, which an open feed keeps.

-- Tickets, connections and the feed of their messages.

CREATE TABLE realtime_tickets (
  ticket_hash  bytea PRIMARY KEY,
  user_id      uuid NOT NULL,
  groups       text[] NOT NULL,
  expires_at   timestamptz NOT NULL
);
COMMENT ON TABLE realtime_tickets IS 'Unused tickets: each opens one connection, once, within a minute.';
COMMENT ON COLUMN realtime_tickets.ticket_hash IS 'SHA-256 of the ticket, so that a reader of this table cannot use it.';
COMMENT ON COLUMN realtime_tickets.user_id IS 'The sub of the token that requested it.';
COMMENT ON COLUMN realtime_tickets.groups IS 'The groups of that token.';
COMMENT ON COLUMN realtime_tickets.expires_at IS 'The end of its validity.';
GRANT SELECT, INSERT, DELETE ON realtime_tickets TO autodoctor_app;

CREATE TABLE realtime_connections (
  connection_id   text PRIMARY KEY,
  user_id         uuid NOT NULL,
  groups          text[] NOT NULL,
  mechanic_id     uuid,
  workshop_id     uuid,
  since           bigint NOT NULL,
  ready           boolean NOT NULL DEFAULT false,
  connected_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at      timestamptz NOT NULL,
  room            uuid REFERENCES sessions (id),
  seen_at         timestamptz,
  heard_at        timestamptz,
  typing_at       timestamptz,
  queue_position  jsonb
);
CREATE INDEX realtime_connections_by_user ON realtime_connections (user_id);
CREATE INDEX realtime_connections_by_mechanic ON realtime_connections (mechanic_id) WHERE mechanic_id IS NOT NULL;
CREATE INDEX realtime_connections_by_room ON realtime_connections (room) WHERE room IS NOT NULL;
COMMENT ON TABLE realtime_connections IS 'Open WebSocket connections.';
COMMENT ON COLUMN realtime_connections.connection_id IS 'API Gateway''s id of it.';
COMMENT ON COLUMN realtime_connections.user_id IS 'The sub of its user''s token.';
COMMENT ON COLUMN realtime_connections.groups IS 'The groups of the token behind the ticket; they decide which messages it receives.';
COMMENT ON COLUMN realtime_connections.mechanic_id IS 'The user''s row in mechanics, if in that group.';
COMMENT ON COLUMN realtime_connections.workshop_id IS 'The mechanic''s workshop when the connection was opened; mechanics.workshop_id decides what is shown.';
COMMENT ON COLUMN realtime_connections.since IS 'The feed''s seq after which this connection receives messages.';
COMMENT ON COLUMN realtime_connections.ready IS 'False until the missed messages were sent: API Gateway takes no message before the handshake is over.';
COMMENT ON COLUMN realtime_connections.connected_at IS 'When it was opened.';
COMMENT ON COLUMN realtime_connections.expires_at IS 'API Gateway closes it by then; a row past it counts as closed.';
COMMENT ON COLUMN realtime_connections.room IS 'The session whose room it is bound to, by enter_room(): while the session is open, this is evidence that its user is there; it gets what is said in it.';
COMMENT ON COLUMN realtime_connections.heard_at IS 'When its client last said something while it was in a room: what is pushed to it also counts as activity for API Gateway. Null: never.';
COMMENT ON COLUMN realtime_connections.seen_at IS 'When it was last active, as API Gateway said when the sweep last asked; null: not asked yet.';
COMMENT ON COLUMN realtime_connections.typing_at IS 'When it last said that its user is typing; the other side hears of it once in three seconds.';
COMMENT ON COLUMN realtime_connections.queue_position IS 'The last queue position sent to a waiting customer: place, mechanics, estimate.';
GRANT SELECT, INSERT, UPDATE (seen_at, heard_at, ready, queue_position), DELETE ON realtime_connections TO autodoctor_app;

CREATE TABLE feed (
  seq              bigint PRIMARY KEY,
  event_id         uuid NOT NULL,
  type             text NOT NULL CHECK (type IN
    ('new_assignment', 'assignment_accepted', 'assignment_cancelled', 'assignment_expired', 'session_updated')),
  session_id       uuid NOT NULL,
  assignment_id    uuid,
  session_seq      integer NOT NULL,
  status           text NOT NULL,
  previous_status  text,
  reason           text,
  mechanic_id      uuid,
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  sent_at          timestamptz,
  CONSTRAINT feed_once_per_event UNIQUE (event_id, type),
  CONSTRAINT feed_assignment_named CHECK ((type = 'session_updated') = (assignment_id IS NULL))
);
ALTER TABLE feed SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX feed_by_session ON feed (session_id, session_seq);
COMMENT ON TABLE feed IS 'The messages pushed in the last hour, so that a client that was away gets those it missed. Names and words are looked up when a message is sent.';
COMMENT ON COLUMN feed.seq IS 'Assigned at broadcast, in ascending order.';
COMMENT ON COLUMN feed.event_id IS 'The event that it reports.';
COMMENT ON COLUMN feed.type IS 'The type that the client receives.';
COMMENT ON COLUMN feed.session_id IS 'Its session.';
COMMENT ON COLUMN feed.assignment_id IS 'Its assignment, for mechanics.';
COMMENT ON COLUMN feed.session_seq IS 'The event''s place within its session; an older event that arrives later is not pushed.';
COMMENT ON COLUMN feed.status IS 'The state that the event reports.';
COMMENT ON COLUMN feed.previous_status IS 'The state before, which decides who could see the assignment.';
COMMENT ON COLUMN feed.reason IS 'The reason of an end.';
COMMENT ON COLUMN feed.mechanic_id IS 'The mechanic who was a party of the session at that moment.';
COMMENT ON COLUMN feed.created_at IS 'When it was recorded.';
COMMENT ON COLUMN feed.sent_at IS 'When it had been sent to everybody connected; null: the broadcast failed and its redelivery sends it again.';
GRANT SELECT, INSERT, UPDATE (sent_at), DELETE ON feed TO autodoctor_app;

CREATE TABLE feed_head (
  single          boolean PRIMARY KEY DEFAULT true CHECK (single),
  database_id     uuid NOT NULL DEFAULT gen_random_uuid(),
  seq             bigint NOT NULL,
  pruned_through  bigint NOT NULL
);
COMMENT ON TABLE feed_head IS 'One row. Its lock hands out the feed''s numbers one broadcast at a time, so that they are committed in order.';
COMMENT ON COLUMN feed_head.single IS 'There is one row.';
COMMENT ON COLUMN feed_head.database_id IS 'Tells the feed of this database from that of another one; see feed_id().';
COMMENT ON COLUMN feed_head.seq IS 'The last number assigned.';
COMMENT ON COLUMN feed_head.pruned_through IS 'Messages up to this one are deleted; a client that missed one of them fetches everything again.';
GRANT SELECT, UPDATE (seq, pruned_through) ON feed_head TO autodoctor_app;
INSERT INTO feed_head (seq, pruned_through) VALUES (0, 0);

-- A backup brings the numbers of yesterday back, and would give them out again. A restore to a point in time begins a
-- new timeline, and so does a standby that takes over and may lack the last transactions.
CREATE FUNCTION feed_id() RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT encode(substring(sha256(convert_to(
           h.database_id || ' ' || (SELECT timeline_id FROM pg_control_checkpoint()), 'UTF8')) FOR 16), 'hex')::uuid
    FROM feed_head h
$$;
COMMENT ON FUNCTION feed_id() IS
  'The id of the feed''s history, within which numbers can be compared: another one in another database, on another timeline of the server''s, and after renew_feed().';

CREATE FUNCTION renew_feed() RETURNS void LANGUAGE sql AS $$
  UPDATE feed_head SET database_id = gen_random_uuid()
$$;
COMMENT ON FUNCTION renew_feed() IS
  'Begins another history of the feed, so that every client that reconnects fetches everything anew; for the owner, after a backup was put in place. republish_events() does it too.';
REVOKE EXECUTE ON FUNCTION renew_feed() FROM PUBLIC;

CREATE FUNCTION prune_realtime(batch integer DEFAULT 5000) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  pruned bigint;
  changed integer;
BEGIN
  DELETE FROM realtime_tickets WHERE expires_at < now();
  WITH old AS (SELECT seq FROM feed WHERE created_at < now() - interval '1 hour' ORDER BY seq LIMIT batch),
       gone AS (DELETE FROM feed f USING old WHERE f.seq = old.seq RETURNING f.seq)
  SELECT max(seq), count(*) INTO pruned, changed FROM gone;
  IF changed > 0 THEN
    UPDATE feed_head SET pruned_through = greatest(pruned_through, pruned);
    IF NOT FOUND THEN
      RAISE EXCEPTION 'feed_head has lost its row';
    END IF;
  END IF;
  RETURN changed;
END
$$;
COMMENT ON FUNCTION prune_realtime(integer) IS
  'Deletes expired tickets and up to batch feed messages older than an hour; returns how many messages. Safe to run concurrently.';

-- A mechanic's availability is a lease, which an open feed keeps.

CREATE FUNCTION kept_by_feed(mechanic uuid, lease timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM realtime_connections c
                  WHERE c.mechanic_id = mechanic AND c.connected_at <= lease AND c.expires_at > now())
$$;
COMMENT ON FUNCTION kept_by_feed(uuid, timestamptz) IS
  'Whether an open feed that was open during the lease keeps it. A row past its expires_at does not count, so that a stale row keeps no lease for ever.';

CREATE FUNCTION is_available(mechanic uuid, lease timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT coalesce(lease > now(), false) OR kept_by_feed(mechanic, lease)
$$;
COMMENT ON FUNCTION is_available(uuid, timestamptz) IS 'Whether the lease has not lapsed, or an open feed keeps it.';

CREATE VIEW mechanics_on_duty AS
  SELECT m.id, m.user_id, m.workshop_id FROM mechanics m WHERE m.status = 'active' AND m.available_until > now()
  UNION -- not OR: each half has an index
  SELECT m.id, m.user_id, m.workshop_id
    FROM realtime_connections c JOIN mechanics m ON m.id = c.mechanic_id
   WHERE m.status = 'active' AND c.connected_at <= m.available_until AND c.expires_at > now();
COMMENT ON VIEW mechanics_on_duty IS 'Active mechanics for whom is_available() holds, busy or not.';
GRANT SELECT ON mechanics_on_duty TO autodoctor_app;

-- Reloading a page closes its feed and opens another one: the lease bridges the gap.
CREATE FUNCTION lease_follows_feed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    -- both feeds are open for a moment: whichever closes first, the other one keeps the lease
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
  'A lease that a closing feed kept, or that was about to lapse, lasts 60 seconds more; a lease that an open feed keeps passes to the next feed. A feed alone makes nobody available.';
CREATE TRIGGER lease_taken_over AFTER INSERT ON realtime_connections FOR EACH ROW
  WHEN (NEW.mechanic_id IS NOT NULL) EXECUTE FUNCTION lease_follows_feed();
-- Not for stale rows: that would lock mechanics for nothing.
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
  'Emits an event when a mechanic or an operator turns availability on or off. A longer lease emits none, nor does a lease that lapses by itself.';
CREATE TRIGGER availability_changed AFTER UPDATE OF available_until, status ON mechanics
  FOR EACH ROW WHEN ((OLD.available_until, OLD.status) IS DISTINCT FROM (NEW.available_until, NEW.status))
  EXECUTE FUNCTION availability_changed();

-- The room as a witness. Lock order: the session's row, then its connections. What the session's row says of presence is
-- right even where evidence is bounded: it comes from claims, live sockets and the medium, not from the stretches.

CREATE FUNCTION end_presence_of_mechanic(session sessions, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM leave_medium(session.id, 'mechanic', at);
  PERFORM close_presence(session.id, 'mechanic', '{room,claim}', NULL, at);
  UPDATE realtime_connections c SET room = NULL
    FROM mechanics m WHERE m.id = session.mechanic_id AND c.user_id = m.user_id AND c.room = session.id;
END
$$;
COMMENT ON FUNCTION end_presence_of_mechanic(sessions, timestamptz) IS
  'A mechanic who gives a session back leaves its room, whatever says that they are there.';

CREATE FUNCTION role_of(session sessions, by_user uuid) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN session.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = by_user) THEN 'customer'
              WHEN session.mechanic_id = (SELECT m.id FROM mechanics m WHERE m.user_id = by_user) THEN 'mechanic' END
$$;
COMMENT ON FUNCTION role_of(sessions, uuid) IS 'Which party of a session a user is; null: none.';

CREATE FUNCTION may_come(session sessions, by_user uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT CASE role_of(session, by_user)
           WHEN 'customer' THEN true
           WHEN 'mechanic' THEN session.status <> 'waiting'
                OR EXISTS (SELECT FROM mechanics m WHERE m.id = session.mechanic_id AND m.status = 'active')
           ELSE false END
$$;
COMMENT ON FUNCTION may_come(sessions, uuid) IS 'Whether a user is a party of a session who may be there: a suspended mechanic only once it is live.';

CREATE FUNCTION is_witnessed(session sessions, of_role text, by_user uuid) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT EXISTS (SELECT FROM realtime_connections c
                  WHERE c.user_id = by_user AND c.room = session.id AND c.expires_at > clock_timestamp())
      OR EXISTS (SELECT FROM session_presence p
                  WHERE p.session_id = session.id AND p.role = of_role AND p.source = 'medium' AND p.until IS NULL AND p.replaced_at IS NULL
                    AND p.mechanic_id IS NOT DISTINCT FROM CASE of_role WHEN 'mechanic' THEN session.mechanic_id END)
$$;
COMMENT ON FUNCTION is_witnessed(sessions, text, uuid) IS
  'Whether a live socket in the room, or the medium, says now that this party is there.';

CREATE FUNCTION set_presence(session sessions, of_role text, by_user uuid, claims boolean, at timestamptz) RETURNS sessions
LANGUAGE plpgsql AS $$
DECLARE
  here boolean := claims OR is_witnessed(session, of_role, by_user);
  row_now sessions := session;
BEGIN
  IF session.status IN ('pending', 'waiting', 'live')
     AND (here, claims) <> (CASE of_role WHEN 'customer' THEN session.customer_present ELSE session.mechanic_present END,
                            CASE of_role WHEN 'customer' THEN session.customer_claims ELSE session.mechanic_claims END) THEN
    UPDATE sessions s
       SET customer_present = CASE of_role WHEN 'customer' THEN here ELSE s.customer_present END,
           mechanic_present = CASE of_role WHEN 'mechanic' THEN here ELSE s.mechanic_present END,
           customer_claims = CASE of_role WHEN 'customer' THEN claims ELSE s.customer_claims END,
           mechanic_claims = CASE of_role WHEN 'mechanic' THEN claims ELSE s.mechanic_claims END,
           actor = of_role, actor_id = by_user, change_data = jsonb_build_object('at', at)
     WHERE s.id = session.id
    RETURNING s.* INTO STRICT row_now;
  END IF;
  RETURN row_now;
END
$$;
COMMENT ON FUNCTION set_presence(sessions, text, uuid, boolean, timestamptz) IS
  'Makes the session''s row say whether a party is there since the given instant: by a claim, or as is_witnessed() says. The session is live as soon as both are. The caller has locked the row.';

CREATE FUNCTION claims_of(session sessions, of_role text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE of_role WHEN 'customer' THEN session.customer_claims ELSE session.mechanic_claims END
$$;
COMMENT ON FUNCTION claims_of(sessions, text) IS 'Whether a party is there by its own word alone.';

CREATE FUNCTION leave_room(by_connection text, at timestamptz DEFAULT clock_timestamp()) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  bound record;
  session sessions;
  party text;
BEGIN
  LOOP
    SELECT c.room, c.user_id INTO bound FROM realtime_connections c WHERE c.connection_id = by_connection;
    IF NOT FOUND OR bound.room IS NULL THEN
      RETURN NULL;
    END IF;
    SELECT * INTO STRICT session FROM sessions s WHERE s.id = bound.room FOR NO KEY UPDATE;
    UPDATE realtime_connections c SET room = NULL WHERE c.connection_id = by_connection AND c.room = session.id;
    EXIT WHEN FOUND; -- else it was bound to another room meanwhile
  END LOOP;
  party := role_of(session, bound.user_id);
  IF party IS NOT NULL THEN -- a mechanic who gave the session back has left already
    PERFORM close_presence(session.id, party, '{room}', by_connection, at);
    PERFORM set_presence(session, party, bound.user_id, claims_of(session, party), least(at, clock_timestamp()));
  END IF;
  RETURN session.id;
END
$$;
COMMENT ON FUNCTION leave_room(text, timestamptz) IS
  'Unbinds a connection from its room and ends the presence it stood for, at the given instant if it is past. Returns the session; null if it was bound to none.';

CREATE FUNCTION note_loss(of_session uuid, of_user uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM write_note(s.id, role_of(s, of_user) || '_lost') FROM sessions s
    WHERE s.id = of_session AND s.ended_at IS NULL
      AND NOT CASE role_of(s, of_user) WHEN 'customer' THEN s.customer_present WHEN 'mechanic' THEN s.mechanic_present END;
END
$$;
COMMENT ON FUNCTION note_loss(uuid, uuid) IS
  'Says in the room of an open session that the connection of a user is lost who is not there any more by any other.';
REVOKE EXECUTE ON FUNCTION note_loss(uuid, uuid) FROM PUBLIC;

CREATE FUNCTION lose_room(silent text, at timestamptz) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  was_in uuid := leave_room(silent, at);
BEGIN
  PERFORM note_loss(was_in, c.user_id) FROM realtime_connections c WHERE c.connection_id = silent;
  RETURN was_in;
END
$$;
COMMENT ON FUNCTION lose_room(text, timestamptz) IS
  'Unbinds a connection that says nothing any more from its room, as leave_room(), and says there that it is lost. Returns the session; null if it was bound to none.';

CREATE FUNCTION forget_connection(gone text, at timestamptz DEFAULT clock_timestamp()) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  was_in uuid;
  of_user uuid := (SELECT c.user_id FROM realtime_connections c WHERE c.connection_id = gone);
BEGIN
  LOOP -- the room before the row: whoever enters one locks them in this order
    was_in := coalesce(leave_room(gone, at), was_in);
    DELETE FROM realtime_connections c WHERE c.connection_id = gone AND c.room IS NULL;
    EXIT WHEN FOUND OR NOT EXISTS (SELECT FROM realtime_connections c WHERE c.connection_id = gone);
  END LOOP;
  PERFORM note_loss(was_in, of_user);
  RETURN was_in;
END
$$;
COMMENT ON FUNCTION forget_connection(text, timestamptz) IS 'Removes a connection that has ended; its user leaves the room it was bound to. Returns that session; null if it was bound to none.';

CREATE FUNCTION enter_room(of_session uuid, by_user uuid, by_connection text)
RETURNS TABLE (session_id uuid, session_status text, started_at timestamptz, role text, customer_present boolean,
               mechanic_present boolean, bound boolean, unpublished json)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  before text;
  at timestamptz;
BEGIN
  IF EXISTS (SELECT FROM realtime_connections c
              WHERE c.connection_id = by_connection AND c.user_id = by_user AND c.room <> of_session)
     AND EXISTS (SELECT FROM sessions s WHERE s.id = of_session AND may_come(s, by_user)) THEN -- else it stays where it is
    PERFORM leave_room(by_connection);
  END IF;
  SELECT * INTO session FROM sessions s
   WHERE s.id = of_session AND may_come(s, by_user) FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  role := role_of(session, by_user);
  before := session.status;
  UPDATE realtime_connections c SET room = of_session, heard_at = clock_timestamp()
   WHERE c.connection_id = by_connection AND c.user_id = by_user AND c.expires_at > clock_timestamp();
  bound := FOUND;
  IF bound AND session.status IN ('pending', 'waiting', 'live') THEN
    at := clock_timestamp(); -- after the wait for the lock
    PERFORM open_presence(session.id, role, CASE role WHEN 'mechanic' THEN session.mechanic_id END, 'room',
                          by_connection, at);
    PERFORM close_presence(session.id, role, '{claim}', NULL, at); -- a witness in its place
    session := set_presence(session, role, by_user, false, at);
  END IF;
  session_id := session.id;
  session_status := session.status;
  started_at := session.started_at;
  customer_present := session.customer_present AND session.ended_at IS NULL;
  mechanic_present := session.mechanic_present AND session.ended_at IS NULL;
  unpublished := CASE WHEN session.status = before THEN '[]' ELSE unpublished_events(of_session) END;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION enter_room(uuid, uuid, text) IS
  'Binds a live connection of a party to the room of its session: while the session is open this is evidence that the party is there, and the session is live as soon as both are. Returns the session with its unpublished events, bound false if the connection is not live or not this user''s; no row if the user is no party, or suspended and it is not live.';
