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
COMMENT ON COLUMN rooms.kept IS 'Whether its words are kept: until forget_old_messages() has emptied them; never, where the session was over before it had a room.';
-- Our ids grow with time, so the oldest come first; of the others few had words. No message changes the column.
CREATE INDEX rooms_kept ON rooms (session_id) WHERE kept;
CREATE INDEX rooms_kept_moved ON rooms (session_id) WHERE kept AND NOT is_ordered_by_time(session_id);
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
                    WHERE session_id = of_session AND (role <> 'system' OR note = 'operator') AND text <> '' RETURNING 1)
  SELECT count(*)::integer FROM blanked
$$;
COMMENT ON FUNCTION blank_room(uuid) IS
  'Empties the words of both parties and of operators in a room, for ever; returns of how many messages. What the system itself said names nobody and stays.';
REVOKE EXECUTE ON FUNCTION blank_room(uuid) FROM PUBLIC;

CREATE FUNCTION open_room() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO rooms (session_id, kept) VALUES (NEW.id, NEW.ended_at IS NULL);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION open_room() IS 'Makes the room of a new session; nobody will write into that of one which is over.';
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
COMMENT ON FUNCTION room_changes_hands() IS 'The counters of the mechanic''s side begin again when the mechanic goes.';
-- Not OF mechanic_id: a release sets it in the guard, and names only the status. Whoever accepts next finds them at 0.
CREATE TRIGGER sessions_room_changes_hands AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.mechanic_id IS NOT NULL AND OLD.mechanic_id IS DISTINCT FROM NEW.mechanic_id)
  EXECUTE FUNCTION room_changes_hands();

-- What the system says. Pages may have other words for these codes; SQL and Python have only these.
CREATE FUNCTION note_words(what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE what
    WHEN 'accepted'          THEN 'A mechanic has accepted the request.'
    WHEN 'released'          THEN 'The mechanic gave the request back. It is in the queue again, at its old place.'
    WHEN 'replaced'          THEN 'The customer asked for another mechanic. The request is at the head of the queue.'
    WHEN 'reply_late'        THEN 'The mechanic has not written yet. The customer may wait, or ask for another mechanic.'
    WHEN 'mechanic_absent'   THEN 'The mechanic did not come. The request is in the queue again, at its old place.'
    WHEN 'taken_back'        THEN 'The mechanic cannot take the request any more. It is in the queue again, at its old place.'
    WHEN 'customer_joined'   THEN 'The customer is here.'
    WHEN 'mechanic_joined'   THEN 'The mechanic is here.'
    WHEN 'customer_left'     THEN 'The customer has left.'
    WHEN 'mechanic_left'     THEN 'The mechanic has left.'
    WHEN 'customer_lost'     THEN 'The customer''s connection was lost.'
    WHEN 'mechanic_lost'     THEN 'The mechanic''s connection was lost.'
    WHEN 'started'           THEN 'Both are here. The consultation has begun.'
    WHEN 'call_began'        THEN 'The call has begun.'
    WHEN 'call_ended'        THEN 'The call is over.'
    WHEN 'minutes_5'         THEN 'Less than five minutes are left.'
    WHEN 'minutes_1'         THEN 'Less than a minute is left. A minute after that the consultation ends by itself.'
    WHEN 'extension_asked'    THEN 'The customer asks for more minutes. The mechanic may agree or decline.'
    WHEN 'extension_agreed'   THEN 'The mechanic agrees to more minutes. They are added once they are paid for.'
    WHEN 'extension_declined' THEN 'The mechanic has no more minutes to give.'
    WHEN 'extension_lapsed'   THEN 'No minutes were added: they could not be paid for.'
    WHEN 'extension_began'    THEN 'Minutes were added: the consultation goes on.'
    WHEN 'ended_by_customer' THEN 'The customer ended the consultation.'
    WHEN 'ended_by_mechanic' THEN 'The mechanic ended the consultation.'
    WHEN 'ended_by_admin'    THEN 'An operator ended the consultation.'
    WHEN 'ended_by_system'   THEN 'The consultation was ended, as one side was away for too long or its time was over.'
    WHEN 'decided_pay'       THEN 'We looked at this consultation again: it counts, and its price stays paid.'
    WHEN 'decided_refund'    THEN 'We looked at this consultation again: it does not count, and what was paid for it goes back.'
    WHEN 'expired'           THEN 'The request has expired: no mechanic could take it in time.'
  END
$$;
COMMENT ON FUNCTION note_words(text) IS 'The words of a system message by its code; null for a code that there is not.';

-- Who reads the last one of these takes it for true, so a room must not end with one that is true no more.
CREATE FUNCTION notes_about_the_same(what text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN what IN ('customer_joined', 'customer_left', 'customer_lost')
      THEN '{customer_joined,customer_left,customer_lost}'::text[]
    WHEN what IN ('mechanic_joined', 'mechanic_left', 'mechanic_lost') -- each accept brings another one
      THEN '{accepted,mechanic_joined,mechanic_left,mechanic_lost}'::text[]
    WHEN what IN ('call_began', 'call_ended') THEN '{call_began,call_ended}'::text[]
    WHEN what LIKE 'extension%'
      THEN '{extension_asked,extension_agreed,extension_declined,extension_lapsed,extension_began}'::text[]
  END
$$;
COMMENT ON FUNCTION notes_about_the_same(text) IS
  'Of a note that says how something stands (who is there, a call, more minutes): all the notes that say so. Null for what happens, which is said each time.';

CREATE FUNCTION write_note(of_session uuid, what text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  words text := note_words(what);
  about text[] := notes_about_the_same(what);
  of_late text[];
  number integer;
BEGIN
  IF words IS NULL THEN
    RAISE EXCEPTION 'a room has no note %', what USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM FROM rooms WHERE session_id = of_session FOR NO KEY UPDATE;
  IF about IS NOT NULL THEN
    SELECT array_agg(m.note ORDER BY m.seq DESC) INTO of_late FROM session_messages m
     WHERE m.session_id = of_session AND m.role = 'system' AND m.note = ANY (about)
       AND m.at > clock_timestamp() - interval '60 seconds';
    IF of_late[1] = what OR cardinality(of_late) >= 10 THEN -- a connection that comes and goes fills no room
      RETURN NULL;
    END IF;
  END IF;
  UPDATE rooms SET latest = latest + 1 WHERE session_id = of_session RETURNING latest INTO STRICT number;
  INSERT INTO session_messages (session_id, seq, role, kind, note, text)
  VALUES (of_session, number, 'system', 'system', what, words);
  RETURN number;
END
$$;
COMMENT ON FUNCTION write_note(uuid, text) IS
  'Writes a system message into a room, by its code (note_words()), for callers whose session has an event of its own, or who tell the room themselves; returns its number. How something stands is said only where the last 60 seconds have not said so, and ten times a minute at most: else null. Locks the room, so a caller that locks the session too does that first.';
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
      WHEN 'pending' THEN CASE by_whom WHEN 'mechanic' THEN 'released' WHEN 'customer' THEN 'replaced' WHEN 'system' THEN 'mechanic_absent'
                                   ELSE 'taken_back' END
      ELSE 'ended_by_' || CASE WHEN by_whom IN ('customer', 'mechanic', 'system') THEN by_whom ELSE 'admin' END END);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION room_hears_moves() IS 'Says in the room of a session that it has moved, or that a party has come.';
CREATE TRIGGER sessions_say_so AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.status <> NEW.status OR OLD.customer_present <> NEW.customer_present OR OLD.mechanic_present <> NEW.mechanic_present)
  EXECUTE FUNCTION room_hears_moves();
