-- What a party does in a room: one statement and one commit each. Whoever gets no row is no party of the session.

CREATE FUNCTION room_subject(of_session uuid) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT md5('room:' || of_session)::uuid
$$;
COMMENT ON FUNCTION room_subject(uuid) IS
  'The subject of the events of what the parties write: not the session, so that a talkative room holds up no transition in the outbox.';

-- plpgsql: the table of attachments comes later.
CREATE FUNCTION may_attach(of_session uuid, by_user uuid, attachment uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM attachments a WHERE a.id = attachment AND a.session_id = of_session AND a.user_id = by_user
                    AND a.state NOT IN ('refused', 'gone'));
END
$$;
COMMENT ON FUNCTION may_attach(uuid, uuid, uuid) IS
  'Whether a party may name this attachment in a message: it is their own, of this session, and there or still to come.';

CREATE FUNCTION message_attachment(attachment uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('attachmentId', a.id, 'name', a.name, 'contentType', a.content_type,
                                    'bytes', a.bytes, 'state', a.state)
            FROM attachments a WHERE a.id = attachment);
END
$$;
COMMENT ON FUNCTION message_attachment(uuid) IS 'What a message shows of its attachment; only called where it has one.';

CREATE TYPE room_party AS (status text, role text, mechanic_id uuid, customer_user uuid, mechanic_user uuid);
COMMENT ON TYPE room_party IS 'A party of a session: its role, and the users of both sides.';

CREATE FUNCTION party_of(of_session uuid, by_user uuid) RETURNS room_party LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  party room_party;
BEGIN
  SELECT s.status, CASE c.user_id WHEN by_user THEN 'customer' ELSE 'mechanic' END, s.mechanic_id, c.user_id, m.user_id
    INTO party
    FROM sessions s JOIN customers c ON c.id = s.customer_id LEFT JOIN mechanics m ON m.id = s.mechanic_id
   WHERE s.id = of_session AND by_user IN (c.user_id, m.user_id);
  RETURN party;
END
$$;
COMMENT ON FUNCTION party_of(uuid, uuid) IS
  'Which party of a session a user is now, with a snapshot of its own; null for everybody else, also for a mechanic who gave it back.';

CREATE FUNCTION room_connections(of_session uuid, party room_party) RETURNS text[] LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN ARRAY(SELECT c.connection_id FROM realtime_connections c
                WHERE c.room = of_session AND c.expires_at > now()
                  AND c.user_id IN (party.customer_user, party.mechanic_user)
                ORDER BY (c.user_id = party.customer_user) = (party.role = 'customer'), c.connection_id);
END
$$;
COMMENT ON FUNCTION room_connections(uuid, room_party) IS
  'The open connections of a room, those of the other side first.';

CREATE FUNCTION post_message(of_session uuid, by_user uuid, client uuid, words text, attachment uuid)
RETURNS TABLE (outcome text, session_status text, role text, seq integer, at timestamptz, attached jsonb,
               written jsonb, subject_id uuid, event_id bigint, connections text[], other_is_there boolean)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  party room_party := party_of(of_session, by_user);
BEGIN
  IF party.role IS NULL THEN
    RETURN; -- a stranger waits for nobody
  END IF;
  PERFORM count_against('messages', by_user);
  -- From here on nobody else writes, and who closes the room has to wait: look again.
  PERFORM FROM rooms r WHERE r.session_id = of_session FOR NO KEY UPDATE;
  party := party_of(of_session, by_user);
  IF party.role IS NULL THEN
    RETURN;
  END IF;
  session_status := party.status;
  role := party.role;
  SELECT 'repeated', m.seq, m.at INTO outcome, seq, at FROM session_messages m
   WHERE m.session_id = of_session AND m.client_id = client AND m.role = party.role;
  IF outcome IS NULL THEN
    outcome := CASE WHEN is_terminal(party.status) THEN 'ended' WHEN party.status = 'scheduled' THEN 'not_open'
                    WHEN attachment IS NOT NULL AND NOT may_attach(of_session, by_user, attachment) THEN 'no_attachment'
                    ELSE 'posted' END;
  END IF;
  IF outcome = 'posted' THEN
    UPDATE rooms r SET latest = r.latest + 1,
                       customer_written = r.customer_written + (party.role = 'customer')::integer,
                       mechanic_written = r.mechanic_written + (party.role = 'mechanic')::integer
     WHERE r.session_id = of_session RETURNING r.latest INTO STRICT seq;
    INSERT INTO session_messages (session_id, seq, client_id, mechanic_id, attachment_id, role, kind, text)
    VALUES (of_session, seq, client, CASE party.role WHEN 'mechanic' THEN party.mechanic_id END, attachment, party.role,
            CASE WHEN attachment IS NULL THEN 'text' ELSE 'file' END, words)
    RETURNING session_messages.at INTO at;
    subject_id := room_subject(of_session);
    INSERT INTO outbox (subject_id, type, payload)
    VALUES (subject_id, 'message.posted', jsonb_build_object(
              'sessionId', of_session, 'seq', seq, 'role', role, 'occurredAt', at,
              'kind', CASE WHEN attachment IS NULL THEN 'text' ELSE 'file' END))
    RETURNING outbox.id INTO event_id;
  END IF;
  IF seq IS NOT NULL THEN
    connections := room_connections(of_session, party);
    other_is_there := EXISTS (SELECT FROM realtime_connections c
                               WHERE c.connection_id = connections[1] AND c.user_id <> by_user);
    IF outcome = 'repeated' THEN
      written := messages_between(of_session, seq - 1, seq + 1, 1) -> 0;
    ELSIF attachment IS NOT NULL THEN
      attached := message_attachment(attachment);
    END IF;
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION post_message(uuid, uuid, uuid, text, uuid) IS
  'Writes a message of a party into a room, with its event. The outcome is posted or repeated (the same client id again: the message as it was written, whatever is said now), each with its number, the connections to tell, those of the other side first, and whether there are any of these; or ended, not_open or no_attachment, with nothing written.';

CREATE FUNCTION mark_read(of_session uuid, by_user uuid, up_to integer)
RETURNS TABLE (customer_read integer, mechanic_read integer, connections text[])
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  party room_party := party_of(of_session, by_user);
BEGIN
  IF party.role IS NULL THEN
    RETURN;
  END IF;
  PERFORM set_config('synchronous_commit', 'off', true); -- a mark that a crash of the server loses is made again
  UPDATE rooms r
     SET customer_read = CASE party.role WHEN 'customer' THEN least(up_to, r.latest) ELSE r.customer_read END,
         mechanic_read = CASE party.role WHEN 'mechanic' THEN least(up_to, r.latest) ELSE r.mechanic_read END
   WHERE r.session_id = of_session
     AND least(up_to, r.latest) > CASE party.role WHEN 'customer' THEN r.customer_read ELSE r.mechanic_read END
  RETURNING r.customer_read, r.mechanic_read INTO customer_read, mechanic_read;
  IF FOUND THEN
    connections := room_connections(of_session, party);
  ELSE
    SELECT r.customer_read, r.mechanic_read INTO STRICT customer_read, mechanic_read FROM rooms r
     WHERE r.session_id = of_session;
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION mark_read(uuid, uuid, integer) IS
  'Records how far a party has read; a mark only grows, and not beyond the last message. Returns both marks, with the connections to tell where one has moved.';

CREATE FUNCTION messages_between(of_session uuid, after integer, before integer, most integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
             'seq', m.seq, 'role', m.role, 'kind', m.kind, 'text', m.text, 'at', m.at, 'clientId', m.client_id,
             'note', m.note,
             'attachment', CASE WHEN m.attachment_id IS NOT NULL THEN message_attachment(m.attachment_id) END)
             ORDER BY m.seq), '[]')
      FROM ((SELECT * FROM session_messages x WHERE after IS NOT NULL AND x.session_id = of_session AND x.seq > after
                AND x.seq < coalesce(before, 2147483647) ORDER BY x.seq LIMIT most)
            UNION ALL
            (SELECT * FROM session_messages x WHERE after IS NULL AND x.session_id = of_session
                AND x.seq < coalesce(before, 2147483647) ORDER BY x.seq DESC LIMIT most)) AS m);
END
$$;
COMMENT ON FUNCTION messages_between(uuid, integer, integer, integer) IS
  'Messages of a room as clients get them, in order: the first ones after a number, or else the last ones, or the last ones before a number.';

CREATE FUNCTION read_room(of_session uuid, by_user uuid, any_session boolean, after integer, before integer, most integer)
RETURNS TABLE (messages jsonb, customer_read integer, mechanic_read integer, latest integer)
LANGUAGE plpgsql ROWS 1 STABLE AS $$
#variable_conflict use_column
BEGIN
  IF NOT any_session AND (party_of(of_session, by_user)).role IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT messages_between(of_session, after, before, most), r.customer_read, r.mechanic_read, r.latest
                 FROM rooms r WHERE r.session_id = of_session;
END
$$;
COMMENT ON FUNCTION read_room(uuid, uuid, boolean, integer, integer, integer) IS
  'A part of a room, for its parties or for a user who may read any.';

-- By socket: a connection is bound to a room, and from then on hears what is said there.

CREATE FUNCTION bind_room(by_connection text, of_session uuid, after integer, most integer)
RETURNS TABLE (messages jsonb, customer_read integer, mechanic_read integer, latest integer, customer_present boolean,
               mechanic_present boolean, came boolean)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  by_user uuid := (SELECT c.user_id FROM realtime_connections c
                    WHERE c.connection_id = by_connection AND c.expires_at > clock_timestamp());
  was record;
  entered record;
BEGIN
  IF (party_of(of_session, by_user)).role IS NULL THEN
    RETURN;
  END IF;
  PERFORM count_against('room_entries', by_user);
  SELECT s.customer_present, s.mechanic_present INTO was FROM sessions s WHERE s.id = of_session;
  SELECT * INTO entered FROM enter_room(of_session, by_user, by_connection);
  IF entered.bound IS NOT TRUE THEN
    RETURN;
  END IF;
  customer_present := entered.customer_present;
  mechanic_present := entered.mechanic_present;
  came := (was.customer_present, was.mechanic_present) <> (entered.customer_present, entered.mechanic_present);
  -- What is being written has committed then, and who writes next sees the connection: nothing falls in between.
  PERFORM FROM rooms r WHERE r.session_id = of_session FOR SHARE;
  SELECT r.customer_read, r.mechanic_read, r.latest INTO STRICT customer_read, mechanic_read, latest FROM rooms r
   WHERE r.session_id = of_session;
  messages := messages_between(of_session, after, NULL, most);
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION bind_room(text, uuid, integer, integer) IS
  'Binds a live connection to the room of a session of its user (enter_room()), and returns the messages after a number, or the last ones, with who is there, and whether that has changed; no row if the user is no party.';

CREATE FUNCTION tell_typing(by_connection text, of_session uuid) RETURNS TABLE (role text, connections text[])
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  at timestamptz;
  by_user uuid;
  is_news boolean;
  party room_party;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  -- two devices that type at once are one person; no lock of rows, which others take in another order
  PERFORM pg_advisory_xact_lock(hashtextextended('typing:' || of_session || c.user_id, 0))
    FROM realtime_connections c WHERE c.connection_id = by_connection;
  at := clock_timestamp();
  UPDATE realtime_connections c
     SET heard_at = at,
         typing_at = CASE WHEN c.room = of_session
                           AND NOT EXISTS (SELECT FROM realtime_connections o
                                            WHERE o.user_id = c.user_id AND o.room = of_session
                                              AND o.typing_at > at - interval '3 seconds')
                          THEN at ELSE c.typing_at END
   WHERE c.connection_id = by_connection AND c.room IS NOT NULL AND c.expires_at > at
  RETURNING c.user_id, c.typing_at = at INTO by_user, is_news;
  IF is_news IS NOT TRUE THEN
    RETURN;
  END IF;
  party := party_of(of_session, by_user);
  IF party.role IS NULL OR party.status NOT IN ('pending', 'waiting', 'live') THEN
    RETURN;
  END IF;
  role := party.role;
  connections := ARRAY(SELECT c.connection_id FROM realtime_connections c
                        WHERE c.room = of_session AND c.expires_at > now() AND c.user_id <> by_user
                          AND c.user_id IN (party.customer_user, party.mechanic_user));
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION tell_typing(text, uuid) IS
  'The role of a party that is typing, and the connections of the other side; no row if it was told in the last three seconds, the connection is in another room, or the session is not open.';

CREATE FUNCTION notes_since(of_session uuid, since timestamptz) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (
    SELECT coalesce(jsonb_agg(messages_between(of_session, m.seq - 1, m.seq + 1, 1) -> 0 ORDER BY m.seq), '[]')
      FROM (SELECT x.seq FROM session_messages x
             WHERE x.session_id = of_session AND x.role = 'system' AND x.at BETWEEN since AND since + interval '5 seconds'
             ORDER BY x.seq DESC LIMIT 10) AS m);
END
$$;
COMMENT ON FUNCTION notes_since(uuid, timestamptz) IS
  'What the system has said in a room at an instant, or up to five seconds later: the last ten, as clients get them.';

CREATE FUNCTION room_audience(of_session uuid, wanted integer, noted timestamptz)
RETURNS TABLE (messages jsonb, customer_present boolean, mechanic_present boolean, connections text[], unpublished json)
LANGUAGE sql STABLE ROWS 1 AS $$
  SELECT CASE WHEN wanted IS NULL THEN notes_since(of_session, coalesce(noted, clock_timestamp() - interval '5 seconds'))
              ELSE messages_between(of_session, wanted - 1, wanted + 1, 1) END,
         s.customer_present AND s.ended_at IS NULL, s.mechanic_present AND s.ended_at IS NULL,
         room_connections(of_session, (s.status, NULL, s.mechanic_id, c.user_id, m.user_id)::room_party),
         CASE WHEN wanted IS NULL AND noted IS NULL THEN unpublished_events(of_session) END
    FROM sessions s JOIN customers c ON c.id = s.customer_id LEFT JOIN mechanics m ON m.id = s.mechanic_id
   WHERE s.id = of_session
$$;
COMMENT ON FUNCTION room_audience(uuid, integer, timestamptz) IS
  'The open connections of a room, who is there, and what to tell them: one message by its number, or what the system said at an instant, or else what it said just now, with the session''s unpublished events.';
