-- The room of a session: where its parties talk. Its messages are append-only and have no gaps.
--
-- The row of `rooms` hands out the numbers and is the only lock of a message: it is never taken before the session's
-- row, and a message takes no other. What closes a room (the end, a release) writes a note into it, so it waits for
-- the messages before it, and the messages after it see it.

CREATE TABLE rooms (
  session_id        uuid PRIMARY KEY REFERENCES sessions (id),
  latest            integer NOT NULL DEFAULT 0,
  customer_read     integer NOT NULL DEFAULT 0,
  mechanic_read     integer NOT NULL DEFAULT 0,
  customer_written  integer NOT NULL DEFAULT 0,
  mechanic_written  integer NOT NULL DEFAULT 0,
  kept              boolean NOT NULL DEFAULT true,
  CONSTRAINT rooms_read_what_there_is CHECK (
    customer_read BETWEEN 0 AND latest AND mechanic_read BETWEEN 0 AND latest),
  CONSTRAINT rooms_written_is_a_part CHECK (
    customer_written >= 0 AND mechanic_written >= 0 AND customer_written + mechanic_written <= latest)
) WITH (fillfactor = 70); -- every message updates its row, on its own page
COMMENT ON TABLE rooms IS 'The room of each session, made with it: the numbers of its messages, and how far each party is.';
COMMENT ON COLUMN rooms.latest IS 'The number of the last message; 0: none.';
COMMENT ON COLUMN rooms.customer_read IS 'The customer has seen the messages up to this one; only grows.';
COMMENT ON COLUMN rooms.mechanic_read IS 'The present mechanic has seen the messages up to this one; begins again with another mechanic.';
COMMENT ON COLUMN rooms.customer_written IS 'How many messages the customer has written.';
COMMENT ON COLUMN rooms.mechanic_written IS 'How many messages the present mechanic has written since the accept.';
COMMENT ON COLUMN rooms.kept IS 'Whether its words are kept: until forget_old_messages() has emptied them.';
-- Ids grow with time, so the oldest come first; no message changes the column.
CREATE INDEX rooms_kept ON rooms (session_id) WHERE kept;
GRANT SELECT ON rooms TO autodoctor_app;

-- No foreign keys: only functions below write it, with the room's row locked, and no session is ever deleted.
CREATE TABLE session_messages (
  session_id     uuid NOT NULL,
  seq            integer NOT NULL CHECK (seq > 0),
  at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  client_id      uuid,
  mechanic_id    uuid,
  attachment_id  uuid,
  role           text NOT NULL CHECK (role IN ('customer', 'mechanic', 'system')),
  kind           text NOT NULL CHECK (kind IN ('text', 'file', 'system')),
  note           text,
  text           text,
  PRIMARY KEY (session_id, seq),
  CONSTRAINT session_messages_fits_role CHECK (
    (role = 'mechanic') = (mechanic_id IS NOT NULL)
    AND (role = 'system') = (kind = 'system') AND (role = 'system') = (note IS NOT NULL)
    AND (role = 'system') = (client_id IS NULL)),
  CONSTRAINT session_messages_fits_kind CHECK (
    (kind = 'file') = (attachment_id IS NOT NULL) AND (kind = 'file' OR text IS NOT NULL)),
  CONSTRAINT session_messages_text_is_short CHECK (length(text) <= 4000)
);
CREATE UNIQUE INDEX session_messages_once ON session_messages (session_id, client_id, role) WHERE client_id IS NOT NULL;
CREATE INDEX session_messages_notes ON session_messages (session_id, seq) WHERE role = 'system';
COMMENT ON TABLE session_messages IS 'The messages of the rooms, append-only: an erasure blanks the words, nothing else ever changes.';
COMMENT ON COLUMN session_messages.seq IS '1, 2, 3 and so on within the session, without gaps, in the order of the commits.';
COMMENT ON COLUMN session_messages.at IS 'When it was written, by the database''s clock.';
COMMENT ON COLUMN session_messages.client_id IS 'The writer''s id of it: the same id again is the same message.';
COMMENT ON COLUMN session_messages.mechanic_id IS 'The mechanic who wrote it.';
COMMENT ON COLUMN session_messages.role IS 'Who wrote it: customer, mechanic or system.';
COMMENT ON COLUMN session_messages.kind IS 'text, file (with an attachment) or system.';
COMMENT ON COLUMN session_messages.note IS 'What a system message says, as room_note() was called: pages may say it in their own words.';
COMMENT ON COLUMN session_messages.text IS 'Personal data: the words; empty once they were erased, null for a file without words.';
GRANT SELECT ON session_messages TO autodoctor_app;

CREATE TRIGGER session_messages_are_kept BEFORE DELETE OR TRUNCATE ON session_messages
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
CREATE FUNCTION only_words_are_blanked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.text <> '' OR to_jsonb(NEW) - 'text' <> to_jsonb(OLD) - 'text' THEN
    RAISE EXCEPTION 'message % of session % is fixed', OLD.seq, OLD.session_id USING ERRCODE = 'AD004';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION only_words_are_blanked() IS 'Refuses every change of a message but emptying its words.';
CREATE TRIGGER session_messages_are_fixed BEFORE UPDATE ON session_messages
  FOR EACH ROW EXECUTE FUNCTION only_words_are_blanked();

CREATE FUNCTION blank_room(of_session uuid) RETURNS integer LANGUAGE sql AS $$
  WITH blanked AS (UPDATE session_messages SET text = ''
                    WHERE session_id = of_session AND role <> 'system' AND text <> '' RETURNING 1)
  SELECT count(*)::integer FROM blanked
$$;
COMMENT ON FUNCTION blank_room(uuid) IS
  'Empties the words of both parties in a room, for ever; returns of how many messages. What the system said names nobody and stays.';
REVOKE EXECUTE ON FUNCTION blank_room(uuid) FROM PUBLIC;

CREATE FUNCTION open_room() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO rooms (session_id) VALUES (NEW.id);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION open_room() IS 'Makes the room of a new session.';
CREATE TRIGGER sessions_have_a_room AFTER INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION open_room();

-- Who gave the session back has written and read for themselves alone.
CREATE FUNCTION room_changes_hands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE rooms SET mechanic_read = 0, mechanic_written = 0
   WHERE session_id = NEW.id AND (mechanic_read > 0 OR mechanic_written > 0);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION room_changes_hands() IS 'The counters of the mechanic''s side begin again with another mechanic, or with none.';
-- Not OF mechanic_id: a release sets it in the guard, and names only the status.
CREATE TRIGGER sessions_room_changes_hands AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.mechanic_id IS DISTINCT FROM NEW.mechanic_id) EXECUTE FUNCTION room_changes_hands();

-- What the system says. Pages may have other words for these codes; SQL and Python have only these.
CREATE FUNCTION note_words(what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE what
    WHEN 'accepted'          THEN 'A mechanic has accepted the request.'
    WHEN 'released'          THEN 'The mechanic gave the request back. It is in the queue again, at its old place.'
    WHEN 'replaced'          THEN 'The customer asked for another mechanic. The request is at the head of the queue.'
    WHEN 'reply_late'        THEN 'The mechanic has not written yet. The customer may wait, or ask for another mechanic.'
    WHEN 'mechanic_absent'   THEN 'The mechanic did not come. The request is in the queue again, at its old place.'
    WHEN 'customer_joined'   THEN 'The customer is here.'
    WHEN 'mechanic_joined'   THEN 'The mechanic is here.'
    WHEN 'customer_left'     THEN 'The customer has left.'
    WHEN 'mechanic_left'     THEN 'The mechanic has left.'
    WHEN 'customer_lost'     THEN 'The customer''s connection was lost.'
    WHEN 'mechanic_lost'     THEN 'The mechanic''s connection was lost.'
    WHEN 'started'           THEN 'Both are here. The consultation has begun.'
    WHEN 'call_began'        THEN 'The call has begun.'
    WHEN 'call_ended'        THEN 'The call is over.'
    WHEN 'ended_by_customer' THEN 'The customer ended the consultation.'
    WHEN 'ended_by_mechanic' THEN 'The mechanic ended the consultation.'
    WHEN 'ended_by_admin'    THEN 'An operator ended the consultation.'
    WHEN 'ended_by_system'   THEN 'The consultation was ended, as one side was away for too long or its time was over.'
    WHEN 'expired'           THEN 'The request has expired: no mechanic could take it in time.'
  END
$$;
COMMENT ON FUNCTION note_words(text) IS 'The words of a system message by its code; null for a code that there is not.';

CREATE FUNCTION write_note(of_session uuid, what text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  words text := note_words(what);
  number integer;
BEGIN
  IF words IS NULL THEN
    RAISE EXCEPTION 'a room has no note %', what USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM FROM rooms WHERE session_id = of_session FOR NO KEY UPDATE;
  IF EXISTS (SELECT FROM session_messages m
              WHERE m.session_id = of_session AND m.role = 'system' AND m.note = what
                AND m.at > clock_timestamp() - interval '60 seconds') THEN
    RETURN NULL;
  END IF;
  UPDATE rooms SET latest = latest + 1 WHERE session_id = of_session RETURNING latest INTO STRICT number;
  INSERT INTO session_messages (session_id, seq, role, kind, note, text)
  VALUES (of_session, number, 'system', 'system', what, words);
  RETURN number;
END
$$;
COMMENT ON FUNCTION write_note(uuid, text) IS
  'Writes a system message into a room, by its code (note_words()), for callers whose session has an event of its own, or who tell the room themselves; returns its number, or null where the room had the same note within the last 60 seconds. Locks the room, so a caller that locks the session too does that first.';
REVOKE EXECUTE ON FUNCTION write_note(uuid, text) FROM PUBLIC;

CREATE FUNCTION room_note(of_session uuid, what text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  number integer := write_note(of_session, what);
BEGIN
  IF number IS NOT NULL THEN
    PERFORM emit_event('message.posted',
                       jsonb_build_object('sessionId', of_session, 'seq', number, 'role', 'system', 'kind', 'system'),
                       of_session);
  END IF;
  RETURN number;
END
$$;
COMMENT ON FUNCTION room_note(uuid, text) IS
  'Writes a system message into a room, as write_note(), with its event message.posted.';
REVOKE EXECUTE ON FUNCTION room_note(uuid, text) FROM PUBLIC;

-- What happens to a session is said in its room, whoever makes it happen. Who has left is said by record_leave() and
-- forget_connection(), which know whether it was meant.
CREATE FUNCTION room_hears_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  by_whom text;
BEGIN
  IF NEW.customer_present AND NOT OLD.customer_present THEN
    PERFORM write_note(NEW.id, 'customer_joined');
  END IF;
  IF NEW.mechanic_present AND NOT OLD.mechanic_present THEN
    PERFORM write_note(NEW.id, 'mechanic_joined');
  END IF;
  IF NEW.status <> OLD.status AND NOT (OLD.status = 'scheduled' AND NEW.status = 'pending') THEN
    SELECT split_part(e.actor, ':', 1) INTO STRICT by_whom FROM session_events e
     WHERE e.session_id = NEW.id ORDER BY e.id DESC LIMIT 1;
    PERFORM write_note(NEW.id, CASE NEW.status
      WHEN 'waiting' THEN 'accepted'
      WHEN 'live'    THEN 'started'
      WHEN 'expired' THEN 'expired'
      WHEN 'pending' THEN CASE by_whom WHEN 'mechanic' THEN 'released' WHEN 'customer' THEN 'replaced' ELSE 'mechanic_absent' END
      ELSE 'ended_by_' || CASE WHEN by_whom IN ('customer', 'mechanic', 'system') THEN by_whom ELSE 'admin' END END);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION room_hears_moves() IS 'Says in the room of a session that it has moved, or that a party has come.';
CREATE TRIGGER sessions_say_so AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.status <> NEW.status OR OLD.customer_present <> NEW.customer_present OR OLD.mechanic_present <> NEW.mechanic_present)
  EXECUTE FUNCTION room_hears_moves();

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
               subject_id uuid, event_id bigint, connections text[])
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
    attached := CASE WHEN attachment IS NOT NULL THEN message_attachment(attachment) END;
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION post_message(uuid, uuid, uuid, text, uuid) IS
  'Writes a message of a party into a room, with its event. The outcome is posted or repeated (the same client id again: the message as it was), each with its number and the connections to tell; or ended, not_open or no_attachment, with nothing written.';

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
  by_user uuid;
  party room_party;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE realtime_connections c SET typing_at = clock_timestamp(), heard_at = clock_timestamp()
   WHERE c.connection_id = by_connection AND c.room = of_session AND c.expires_at > clock_timestamp()
     AND NOT EXISTS (SELECT FROM realtime_connections o
                      WHERE o.user_id = c.user_id AND o.room = of_session
                        AND o.typing_at > clock_timestamp() - interval '3 seconds')
  RETURNING c.user_id INTO by_user;
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
