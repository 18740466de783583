-- The mechanic's notes, saved while they are typed, and the summary that the customer gets with them.

CREATE FUNCTION summary_wait() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('summary_seconds', 900)
$$;
COMMENT ON FUNCTION summary_wait() IS 'How long after the end a summary waits for the mechanic to confirm the notes.';
CREATE FUNCTION notes_time() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('notes_seconds', 86400)
$$;
COMMENT ON FUNCTION notes_time() IS 'How long after the end the notes may be completed.';

-- Not columns of sessions: saving would lock the session, and run its guard, every few seconds.
CREATE TABLE session_notes (
  session_id    uuid NOT NULL REFERENCES sessions (id),
  mechanic_id   uuid NOT NULL REFERENCES mechanics (id),
  version       integer NOT NULL CHECK (version > 0),
  saved_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  confirmed_at  timestamptz,
  text          text NOT NULL CHECK (length(text) <= 4000),
  PRIMARY KEY (session_id, mechanic_id)
);
COMMENT ON TABLE session_notes IS 'The notes of each mechanic who held a session; those of its present or last mechanic are the session''s. Only save_notes() writes them.';
COMMENT ON COLUMN session_notes.version IS 'Chosen by the writer, who counts: words with an older version do not replace these.';
COMMENT ON COLUMN session_notes.saved_at IS 'When these words were saved.';
COMMENT ON COLUMN session_notes.confirmed_at IS 'When the mechanic first said that the notes are complete.';
COMMENT ON COLUMN session_notes.text IS 'Personal data, as typed.';
GRANT SELECT ON session_notes TO autodoctor_app;

CREATE TABLE session_summaries (
  session_id    uuid PRIMARY KEY REFERENCES sessions (id),
  due_at        timestamptz NOT NULL,
  told_at       timestamptz,
  told_version  integer
);
CREATE INDEX session_summaries_due ON session_summaries (due_at) WHERE told_at IS NULL;
COMMENT ON TABLE session_summaries IS 'Ended sessions whose customer is told of the outcome with the notes, or of notes afterwards.';
COMMENT ON COLUMN session_summaries.due_at IS 'When the summary goes out although nobody has confirmed the notes.';
COMMENT ON COLUMN session_summaries.told_at IS 'When its event was written; null: the summary waits.';
COMMENT ON COLUMN session_summaries.told_version IS 'The version of the notes at the last event; null: there were none.';
GRANT SELECT ON session_summaries TO autodoctor_app;

CREATE FUNCTION notes_shown(ended_at timestamptz, confirmed_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT ended_at IS NOT NULL AND (confirmed_at IS NOT NULL OR ended_at <= now() - summary_wait())
$$;
COMMENT ON FUNCTION notes_shown(timestamptz, timestamptz) IS
  'Whether the customer reads the notes: the session is over, and they are confirmed or the summary no longer waits for that.';

CREATE TABLE end_explanations (
  session_id  uuid PRIMARY KEY REFERENCES sessions (id),
  said_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor_id    uuid,
  text        text NOT NULL CHECK (length(text) BETWEEN 1 AND 500)
);
COMMENT ON TABLE end_explanations IS 'What operators who ended a session say of it to both parties.';
COMMENT ON COLUMN end_explanations.said_at IS 'When it was said; the first words stand.';
COMMENT ON COLUMN end_explanations.actor_id IS 'The sub of the admin''s token; null for an operator at the database.';
COMMENT ON COLUMN end_explanations.text IS 'Personal data, as typed.';
GRANT SELECT, INSERT (session_id, actor_id, text) ON end_explanations TO autodoctor_app;

CREATE FUNCTION ended_by_operator(of_session uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT coalesce((SELECT split_part(e.actor, ':', 1) IN ('admin', 'operator') FROM session_events e
                    WHERE e.session_id = of_session AND e.to_status IN ('completed', 'cancelled')
                    ORDER BY e.id LIMIT 1), false)
$$;
COMMENT ON FUNCTION ended_by_operator(uuid) IS 'Whether neither a party nor a sweep, but an operator ended the session.';

CREATE FUNCTION save_notes(of_session uuid, by_user uuid, words text, as_version integer, confirms boolean)
RETURNS TABLE (session_id uuid, saved boolean, open boolean, version integer, saved_at timestamptz,
               confirmed_at timestamptz, closes_at timestamptz)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  author uuid;
BEGIN
  SELECT s.id, m.id, s.ended_at + notes_time(),
         c.erased_at IS NULL AND (s.ended_at + notes_time() > clock_timestamp()) IS NOT FALSE
    INTO session_id, author, closes_at, open
    FROM sessions s JOIN mechanics m ON m.id = s.mechanic_id JOIN customers c ON c.id = s.customer_id
   WHERE s.id = of_session AND m.user_id = by_user AND m.erased_at IS NULL;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  saved := false;
  IF open THEN
    INSERT INTO session_notes AS n (session_id, mechanic_id, version, confirmed_at, text)
    VALUES (of_session, author, coalesce(as_version, 1), CASE WHEN confirms THEN clock_timestamp() END, words)
    ON CONFLICT (session_id, mechanic_id) DO UPDATE
       SET version = coalesce(as_version, n.version + 1),
           saved_at = CASE WHEN as_version = n.version THEN n.saved_at ELSE clock_timestamp() END,
           confirmed_at = coalesce(n.confirmed_at, excluded.confirmed_at),
           text = excluded.text
     WHERE as_version IS NULL OR as_version > n.version OR as_version = n.version AND words = n.text
    RETURNING n.version, n.saved_at, n.confirmed_at INTO version, saved_at, confirmed_at;
    saved := FOUND;
  END IF;
  IF NOT saved THEN
    SELECT n.version, n.saved_at, n.confirmed_at INTO version, saved_at, confirmed_at
      FROM session_notes n WHERE n.session_id = of_session AND n.mechanic_id = author;
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION save_notes(uuid, uuid, text, integer, boolean) IS
  'Saves the notes of a session''s mechanic, unless newer ones are stored (null as version: these are the newest), until notes_time() after the end. Returns what is stored then, whether these words are, and whether it was in time; no row if the session is not this mechanic''s, or the mechanic''s data was erased.';

CREATE FUNCTION tell_of(event_type text, of_session uuid) RETURNS void LANGUAGE sql AS $$
  SELECT emit_event(event_type, jsonb_build_object(
           'sessionId', s.id, 'customerId', s.customer_id, 'mechanicId', s.mechanic_id), s.id)
    FROM sessions s WHERE s.id = of_session
$$;
COMMENT ON FUNCTION tell_of(text, uuid) IS 'Writes an event about a session''s summary or notes.';
REVOKE EXECUTE ON FUNCTION tell_of(text, uuid) FROM PUBLIC;

CREATE FUNCTION tell_notes(notes session_notes) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM sessions s WHERE s.id = notes.session_id AND s.mechanic_id = notes.mechanic_id
                                          AND s.ended_at IS NOT NULL) THEN
    RETURN;
  END IF;
  UPDATE session_summaries SET told_at = clock_timestamp(), told_version = notes.version
   WHERE session_id = notes.session_id AND told_at IS NULL;
  IF FOUND THEN
    PERFORM tell_of('summary.ready', notes.session_id);
  ELSIF notes.text <> '' THEN
    -- the summary went out without these words, or there was none, because the session was not completed
    INSERT INTO session_summaries AS t (session_id, due_at, told_at, told_version)
    VALUES (notes.session_id, clock_timestamp(), clock_timestamp(), notes.version)
    ON CONFLICT (session_id) DO UPDATE SET told_version = notes.version
     WHERE t.told_version IS DISTINCT FROM notes.version;
    IF FOUND THEN
      PERFORM tell_of('notes.added', notes.session_id);
    END IF;
  END IF;
END
$$;
COMMENT ON FUNCTION tell_notes(session_notes) IS
  'Has the customer of a session that is over told of confirmed notes: with the summary if that still waits, else by themselves.';
REVOKE EXECUTE ON FUNCTION tell_notes(session_notes) FROM PUBLIC;

CREATE FUNCTION notes_confirmed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM tell_notes(NEW);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION notes_confirmed() IS 'Has the customer told of notes that are confirmed.';
CREATE TRIGGER notes_confirmed AFTER INSERT ON session_notes FOR EACH ROW
  WHEN (NEW.confirmed_at IS NOT NULL) EXECUTE FUNCTION notes_confirmed();
CREATE TRIGGER notes_confirmed_later AFTER UPDATE OF confirmed_at ON session_notes FOR EACH ROW
  WHEN (OLD.confirmed_at IS NULL AND NEW.confirmed_at IS NOT NULL) EXECUTE FUNCTION notes_confirmed();

CREATE FUNCTION summary_is_due() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.status = 'completed' THEN
    INSERT INTO session_summaries (session_id, due_at) VALUES (NEW.id, clock_timestamp() + summary_wait());
  END IF;
  PERFORM tell_notes(n) FROM session_notes n
    WHERE n.session_id = NEW.id AND n.mechanic_id = NEW.mechanic_id AND n.confirmed_at IS NOT NULL;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION summary_is_due() IS
  'Records that the customer of a completed session is owed a summary; notes that were confirmed before the end are told at once.';
CREATE TRIGGER summary_is_due AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION summary_is_due();

CREATE FUNCTION tell_due_summaries(batch integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  waited uuid;
  told integer := 0;
BEGIN
  FOR waited IN
    WITH due AS MATERIALIZED (
      SELECT t.session_id, n.version
        FROM session_summaries t JOIN sessions s ON s.id = t.session_id
        LEFT JOIN session_notes n ON n.session_id = s.id AND n.mechanic_id = s.mechanic_id
       WHERE t.told_at IS NULL
         AND (t.due_at <= now() OR n.confirmed_at IS NOT NULL) -- confirmed while the session was being ended
       ORDER BY t.due_at LIMIT batch
         FOR UPDATE OF t SKIP LOCKED)
    UPDATE session_summaries t SET told_at = clock_timestamp(), told_version = due.version
      FROM due WHERE t.session_id = due.session_id AND t.told_at IS NULL
    RETURNING t.session_id
  LOOP
    PERFORM tell_of('summary.ready', waited);
    told := told + 1;
  END LOOP;
  RETURN told;
END
$$;
COMMENT ON FUNCTION tell_due_summaries(integer) IS
  'Writes the events of up to batch summaries that have waited long enough for their notes; returns how many.';
