-- Attachments: pictures and documents that a party sends. The files are in the bucket; these are the facts about them.
--
-- A promise comes first: its row, and a form that S3 takes for this key, type, length and checksum only. S3 then says
-- that the file came, GuardDuty what is in it; until it says that it is clean, nobody gets it.

CREATE FUNCTION attachment_may_move(was text, becomes text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE was WHEN 'promised' THEN becomes IN ('scanning', 'clean', 'refused', 'gone')
                  WHEN 'scanning' THEN becomes IN ('clean', 'refused', 'gone')
                  WHEN 'clean'    THEN becomes IN ('refused', 'gone')
                  WHEN 'refused'  THEN becomes = 'gone'
                  ELSE false END
$$;
COMMENT ON FUNCTION attachment_may_move(text, text) IS
  'Whether an attachment in one state may come into another. The verdict may overtake the news that the file came; a later scan may still refuse it.';

CREATE TABLE attachments (
  id            uuid PRIMARY KEY,
  user_id       uuid NOT NULL,
  role          text NOT NULL CHECK (role IN ('customer', 'mechanic')),
  mechanic_id   uuid REFERENCES mechanics (id),
  session_id    uuid REFERENCES intakes (id),
  place         smallint CHECK (place BETWEEN 1 AND 4),
  object_key    text NOT NULL UNIQUE CHECK (object_key ~ '^uploads/[0-9a-f-]{36}\.[a-z]{3,4}$'),
  content_type  text NOT NULL CHECK (content_type IN ('image/jpeg', 'image/png', 'image/webp', 'application/pdf')),
  bytes         integer NOT NULL CHECK (bytes BETWEEN 1 AND 20971520),
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at    timestamptz NOT NULL,
  state         text NOT NULL DEFAULT 'promised' CHECK (state IN ('promised', 'scanning', 'clean', 'refused', 'gone')),
  state_since   timestamptz NOT NULL DEFAULT clock_timestamp(),
  removed_at    timestamptz,
  name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  sha256        bytea CHECK (length(sha256) = 32),
  CONSTRAINT attachments_mechanic_is_named CHECK ((role = 'mechanic') = (mechanic_id IS NOT NULL)),
  CONSTRAINT attachments_mechanic_has_a_session CHECK (role = 'customer' OR session_id IS NOT NULL),
  CONSTRAINT attachments_place_is_in_an_intake CHECK (place IS NULL OR (role = 'customer' AND session_id IS NOT NULL)),
  CONSTRAINT attachments_removed_if_unwanted CHECK (removed_at IS NULL OR state IN ('refused', 'gone')),
  CONSTRAINT attachments_gone_says_nothing CHECK (state <> 'gone' OR (name = '[gone]' AND sha256 IS NULL))
);
CREATE INDEX attachments_by_user ON attachments (user_id);
CREATE INDEX attachments_by_session ON attachments (session_id, place) WHERE session_id IS NOT NULL;
CREATE INDEX attachments_awaited ON attachments (expires_at) WHERE state IN ('promised', 'scanning');
CREATE INDEX attachments_kept ON attachments (created_at) WHERE state <> 'gone';
CREATE INDEX attachments_unused ON attachments (created_at) WHERE session_id IS NULL AND state <> 'gone';
CREATE INDEX attachments_to_remove ON attachments (state_since) WHERE removed_at IS NULL AND state IN ('refused', 'gone');
COMMENT ON TABLE attachments IS 'The facts about a file that a party of a session sent or promised. The file itself is in the bucket, and its words here go when it goes.';
COMMENT ON COLUMN attachments.id IS 'Chosen by the function before the first attempt: by it, a retry after a lost connection recognises its own work.';
COMMENT ON COLUMN attachments.user_id IS 'The sub of the user who sent it.';
COMMENT ON COLUMN attachments.role IS 'As which party.';
COMMENT ON COLUMN attachments.mechanic_id IS 'The mechanic who sent it; null for a customer''s.';
COMMENT ON COLUMN attachments.session_id IS 'The session (and intake) that it belongs to; null until an intake names it.';
COMMENT ON COLUMN attachments.place IS 'Its place among the files of the intake; null for one that was sent in the room.';
COMMENT ON COLUMN attachments.object_key IS 'Its key in the bucket, which says nothing of its name.';
COMMENT ON COLUMN attachments.content_type IS 'As the upload must state it, and as it is served.';
COMMENT ON COLUMN attachments.bytes IS 'Its exact length.';
COMMENT ON COLUMN attachments.created_at IS 'When it was promised.';
COMMENT ON COLUMN attachments.expires_at IS 'When the form of the upload expires.';
COMMENT ON COLUMN attachments.state IS 'promised: may be uploaded; scanning: is there, not checked; clean: may be read; refused: something is in it, or it cannot be checked; gone: never came, too old, or erased.';
COMMENT ON COLUMN attachments.state_since IS 'When it came into this state.';
COMMENT ON COLUMN attachments.removed_at IS 'When the file of a refused or gone one was deleted from the bucket.';
COMMENT ON COLUMN attachments.name IS 'Personal data: the name that the user gave it; [gone] once it is gone.';
COMMENT ON COLUMN attachments.sha256 IS 'Of its bytes, which the upload must match; null once it is gone.';
CREATE TRIGGER attachments_are_kept BEFORE DELETE OR TRUNCATE ON attachments
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT,
      INSERT (id, user_id, role, mechanic_id, session_id, object_key, content_type, bytes, expires_at, name, sha256),
      UPDATE (session_id, place, state, removed_at)
  ON attachments TO autodoctor_app;

CREATE FUNCTION attachments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> OLD.state THEN
    IF NOT attachment_may_move(OLD.state, NEW.state) THEN
      RAISE EXCEPTION 'attachment %: % may not become %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'AD001';
    END IF;
    NEW.state_since := clock_timestamp();
    IF NEW.state = 'gone' THEN
      NEW.name := '[gone]';
      NEW.sha256 := NULL;
    END IF;
  END IF;
  IF (NEW.id, NEW.user_id, NEW.role, NEW.mechanic_id, NEW.object_key, NEW.content_type, NEW.bytes, NEW.created_at, NEW.expires_at)
     IS DISTINCT FROM
     (OLD.id, OLD.user_id, OLD.role, OLD.mechanic_id, OLD.object_key, OLD.content_type, OLD.bytes, OLD.created_at, OLD.expires_at)
     OR (NEW.state <> 'gone' AND (NEW.name, NEW.sha256) IS DISTINCT FROM (OLD.name, OLD.sha256))
     -- an intake that never became a session (its page was not paid) may be asked anew, with the same files
     OR (NEW.session_id IS DISTINCT FROM OLD.session_id
         AND (NEW.session_id IS NULL OR EXISTS (SELECT FROM sessions s WHERE s.id = OLD.session_id))) THEN
    RAISE EXCEPTION 'attachment %: what it is and where it belongs is fixed', OLD.id USING ERRCODE = 'AD004';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION attachments_guard() IS 'Lets an attachment come into its states in order, stamps them, and keeps everything else as it was.';
CREATE TRIGGER attachments_guard BEFORE UPDATE ON attachments FOR EACH ROW EXECUTE FUNCTION attachments_guard();

CREATE FUNCTION attachable(a attachments, customer_user uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT a.user_id = customer_user AND a.role = 'customer' AND a.state NOT IN ('refused', 'gone')
         AND NOT EXISTS (SELECT FROM sessions s WHERE s.id = a.session_id)
$$;
COMMENT ON FUNCTION attachable(attachments, uuid) IS
  'Whether this customer''s intake may name the attachment: it is theirs, and no session has it.';

CREATE FUNCTION first_pictures(sessions uuid[]) RETURNS TABLE (session_id uuid, picture_id uuid)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20 AS $$
  SELECT DISTINCT ON (a.session_id) a.session_id, a.id FROM attachments a
   WHERE a.session_id = ANY (sessions) AND a.place IS NOT NULL AND a.content_type LIKE 'image/%'
     AND a.state NOT IN ('refused', 'gone')
   ORDER BY a.session_id, a.place
$$;
COMMENT ON FUNCTION first_pictures(uuid[]) IS
  'The first picture of the intake of each of these sessions that has one: mechanics see it with the request.';
CREATE FUNCTION first_picture(session uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT f.picture_id FROM first_pictures(ARRAY[session]) AS f
$$;
COMMENT ON FUNCTION first_picture(uuid) IS 'The first picture of one intake; null: there is none.';

CREATE FUNCTION attachment_is_old(a attachments) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN a.session_id IS NULL THEN a.created_at < now() - interval '1 day'
              ELSE a.created_at < now() - files_kept_for()
                   AND coalesce((SELECT coalesce(s.ended_at, 'infinity') < now() - files_kept_for()
                                   FROM sessions s WHERE s.id = a.session_id), true) END
$$;
COMMENT ON FUNCTION attachment_is_old(attachments) IS
  'Whether a file is to go: its session ended files_kept_for() ago; its intake never became a session and it is that old; or it is a day old and no intake named it.';

-- Sweeps. Each takes a bounded batch, skips rows that others have locked, and can be called from psql.

CREATE FUNCTION forget_late_uploads(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  changed integer;
BEGIN
  -- an upload that began in time may end, and be heard of, a while later
  WITH late AS MATERIALIZED (
    SELECT id FROM attachments WHERE state = 'promised' AND expires_at < now() - interval '15 minutes'
     ORDER BY expires_at LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE attachments a SET state = 'gone' FROM late WHERE a.id = late.id AND a.state = 'promised';
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;
COMMENT ON FUNCTION forget_late_uploads(integer) IS 'Ends up to batch promises whose upload did not come; returns how many.';

CREATE FUNCTION forget_old_files(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  changed integer;
BEGIN
  -- each half by its own index, so that a run does not walk through all the files that are kept
  WITH found AS MATERIALIZED (
    (SELECT a.id FROM attachments a
      WHERE a.session_id IS NULL AND a.state <> 'gone' AND a.created_at < now() - interval '1 day'
      ORDER BY a.created_at LIMIT batch)
    UNION ALL
    (SELECT a.id FROM attachments a
      WHERE a.state <> 'gone' AND a.created_at < now() - files_kept_for() AND attachment_is_old(a)
      ORDER BY a.created_at LIMIT batch)
  ), old AS MATERIALIZED (
    SELECT a.id FROM attachments a WHERE a.id IN (SELECT found.id FROM found LIMIT batch)
       FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE attachments a SET state = 'gone' FROM old
   WHERE a.id = old.id AND a.state <> 'gone' AND attachment_is_old(a);
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;
COMMENT ON FUNCTION forget_old_files(integer) IS
  'Ends up to batch files that are past files_kept_for(), or that no intake has named for a day; returns how many.';

CREATE FUNCTION rooms_to_empty(batch integer) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
  -- not joined: from the few such rooms to their sessions, never the other way round
  (SELECT r.session_id FROM rooms r
    WHERE r.kept AND NOT is_ordered_by_time(r.session_id)
      AND (SELECT s.ended_at FROM sessions s WHERE s.id = r.session_id) < now() - messages_kept_for()
    ORDER BY r.session_id LIMIT batch)
  UNION ALL
  -- of the rooms with ids of ours only those made so long ago: they are below the first id of that time
  (SELECT r.session_id FROM rooms r JOIN sessions s ON s.id = r.session_id
    WHERE r.kept AND is_ordered_by_time(r.session_id) AND s.ended_at < now() - messages_kept_for()
      AND r.session_id < (lpad(to_hex((extract(epoch FROM now() - messages_kept_for()) * 1000)::bigint), 12, '0')
                          || repeat('0', 20))::uuid
    ORDER BY r.session_id LIMIT batch)
  LIMIT batch
$$;
COMMENT ON FUNCTION rooms_to_empty(integer) IS
  'Up to batch rooms whose session ended messages_kept_for() ago and whose words are still kept: moved ones, then the oldest of ours.';

CREATE FUNCTION forget_old_messages(batch integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  room uuid;
  changed integer := 0;
BEGIN
  FOR room IN SELECT r.session_id FROM rooms r WHERE r.session_id IN (SELECT rooms_to_empty(batch)) AND r.kept
                 FOR NO KEY UPDATE SKIP LOCKED
  LOOP
    PERFORM blank_room(room);
    UPDATE rooms SET kept = false WHERE session_id = room;
    changed := changed + 1;
  END LOOP;
  RETURN changed;
END
$$;
COMMENT ON FUNCTION forget_old_messages(integer) IS
  'Empties the words of both parties in up to batch rooms that are past messages_kept_for(); returns how many.';
