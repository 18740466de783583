-- The call: the meetings of the medium, what it says of who was there, and what each page hears of the other.

CREATE FUNCTION participant_id(participant session_participants) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT md5('participant:' || participant.session_id || ':'
             || coalesce(participant.customer_id, participant.mechanic_id))::uuid
$$;
COMMENT ON FUNCTION participant_id(session_participants) IS
  'By which the medium knows a participant of a session: nobody outside can tell from it who that is.';

CREATE TABLE session_meetings (
  session_id  uuid NOT NULL REFERENCES sessions (id),
  attempt     integer NOT NULL CHECK (attempt > 0),
  number      integer NOT NULL CHECK (number > 0),
  asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  opened_at   timestamptz,
  over_at     timestamptz,
  customer_at timestamptz,
  mechanic_at timestamptz,
  meeting_id  text UNIQUE,
  meeting     jsonb,
  PRIMARY KEY (session_id, attempt, number),
  CONSTRAINT session_meetings_opened_whole CHECK (num_nonnulls(opened_at, meeting_id, meeting) IN (0, 3))
);
CREATE INDEX session_meetings_running ON session_meetings (asked_at) WHERE over_at IS NULL;
COMMENT ON TABLE session_meetings IS
  'The meetings of the medium: the only list of them that there is. A row comes before its meeting, so that none is ever forgotten.';
COMMENT ON COLUMN session_meetings.attempt IS 'Of the assignment whose mechanic it is with.';
COMMENT ON COLUMN session_meetings.number IS '1, and one more for each that follows one that the medium ended by itself.';
COMMENT ON COLUMN session_meetings.asked_at IS 'When it was first asked for.';
COMMENT ON COLUMN session_meetings.opened_at IS 'When the medium had made it.';
COMMENT ON COLUMN session_meetings.over_at IS 'When we knew that it is over: the medium said so, or it was deleted.';
COMMENT ON COLUMN session_meetings.customer_at IS 'When the customer first asked to be let in.';
COMMENT ON COLUMN session_meetings.mechanic_at IS 'When the mechanic first asked to be let in.';
COMMENT ON COLUMN session_meetings.meeting_id IS 'The medium''s id of it.';
COMMENT ON COLUMN session_meetings.meeting IS 'What a page needs to join it, beside a place of its own.';
CREATE TRIGGER session_meetings_are_kept BEFORE DELETE OR TRUNCATE ON session_meetings
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON session_meetings TO autodoctor_app;

CREATE TABLE media_events (
  session_id   uuid NOT NULL REFERENCES sessions (id),
  stated_at    timestamptz NOT NULL,
  occurred_at  timestamptz NOT NULL,
  received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  mechanic_id  uuid REFERENCES mechanics (id),
  role         text CHECK (role IN ('customer', 'mechanic')),
  kind         text NOT NULL CHECK (kind IN ('joined', 'left', 'dropped', 'deleted', 'ended')),
  meeting      text NOT NULL,
  attendee     text NOT NULL,
  PRIMARY KEY (session_id, meeting, attendee, kind, stated_at),
  CONSTRAINT media_events_of_somebody CHECK (
    (kind = 'ended') = (attendee = '') AND (kind = 'ended') = (role IS NULL) AND (mechanic_id IS NOT NULL) = (role IS NOT DISTINCT FROM 'mechanic')),
  CONSTRAINT media_events_happened CHECK (occurred_at <= received_at)
);
COMMENT ON TABLE media_events IS
  'The inbox of the medium: what it says of who came and went. The key is what an event says, so however often and over however many ways it comes, it is one.';
COMMENT ON COLUMN media_events.stated_at IS 'When it happened, by the medium''s clock.';
COMMENT ON COLUMN media_events.occurred_at IS 'The same, within the life of the meeting and before we heard of it: what counts.';
COMMENT ON COLUMN media_events.received_at IS 'When we first heard of it.';
COMMENT ON COLUMN media_events.mechanic_id IS 'The mechanic, if the role is mechanic.';
COMMENT ON COLUMN media_events.role IS 'The party; null for the end of the whole meeting.';
COMMENT ON COLUMN media_events.kind IS 'joined, left, dropped, deleted (the attendee), or ended (the meeting).';
COMMENT ON COLUMN media_events.meeting IS 'The medium''s id of it; brought, for a medium that an operator brings.';
COMMENT ON COLUMN media_events.attendee IS 'The medium''s id of the attendee; empty for the end of the whole meeting.';
CREATE TRIGGER media_events_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON media_events
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON media_events TO autodoctor_app;

-- Meetings.

CREATE FUNCTION enter_call(of_session uuid, by_user uuid)
RETURNS TABLE (outcome text, session_status text, attempt integer, number integer, meeting jsonb, participant_id uuid)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  party room_party := party_of(of_session, by_user);
BEGIN
  IF party.role IS NULL THEN
    RETURN;
  END IF;
  session_status := party.status;
  SELECT CASE WHEN is_terminal(party.status) THEN 'over'
              WHEN party.status NOT IN ('waiting', 'live') THEN 'not_open'
              WHEN NOT p.session_types && '{video,diagnostic}' THEN 'no_video'
              WHEN NOT may_come(s, by_user) THEN 'suspended'
              ELSE 'open' END, a.attempt, participant_id(t)
    INTO STRICT outcome, attempt, participant_id
    FROM sessions s JOIN intakes i ON i.id = s.id JOIN plans p ON p.code = i.plan_code
         JOIN session_assignments a ON a.id = s.current_assignment_id
         LEFT JOIN session_participants t ON t.session_id = s.id AND t.role = party.role AND t.until IS NULL
   WHERE s.id = of_session;
  IF outcome = 'open' THEN
    PERFORM count_against('calls', by_user);
    INSERT INTO session_meetings (session_id, attempt, number)
    SELECT of_session, enter_call.attempt, 1 + count(*) FROM session_meetings m
     WHERE m.session_id = of_session AND m.attempt = enter_call.attempt
    HAVING bool_and(m.over_at IS NOT NULL) IS NOT FALSE
    ON CONFLICT DO NOTHING;
    SELECT m.number, m.meeting INTO STRICT number, meeting FROM session_meetings m
     WHERE m.session_id = of_session AND m.attempt = enter_call.attempt ORDER BY m.number DESC LIMIT 1;
    UPDATE session_meetings m
       SET customer_at = CASE party.role WHEN 'customer' THEN clock_timestamp() ELSE m.customer_at END,
           mechanic_at = CASE party.role WHEN 'mechanic' THEN clock_timestamp() ELSE m.mechanic_at END
     WHERE m.session_id = of_session AND m.attempt = enter_call.attempt AND m.number = enter_call.number
       AND CASE party.role WHEN 'customer' THEN m.customer_at ELSE m.mechanic_at END IS NULL;
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION enter_call(uuid, uuid) IS
  'The running meeting of a session for one of its parties, by its number among those of the accepted assignment; without a meeting it is still to be made. The outcome is open, or why not: over, not_open, no_video, suspended. No row if the user is no party.';

CREATE FUNCTION meeting_made(of_session uuid, of_attempt integer, of_number integer, made jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  kept jsonb;
BEGIN
  UPDATE session_meetings m SET opened_at = clock_timestamp(), meeting_id = made ->> 'MeetingId', meeting = made
   WHERE m.session_id = of_session AND m.attempt = of_attempt AND m.number = of_number AND m.meeting_id IS NULL;
  IF FOUND THEN
    PERFORM room_note(s.id, 'call_began') FROM sessions s WHERE s.id = of_session AND s.ended_at IS NULL;
    RETURN made;
  END IF;
  SELECT m.meeting INTO kept FROM session_meetings m
   WHERE m.session_id = of_session AND m.attempt = of_attempt AND m.number = of_number;
  RETURN kept;
END
$$;
COMMENT ON FUNCTION meeting_made(uuid, integer, integer, jsonb) IS
  'Keeps the meeting that the medium has made, and says so in the room; returns the one that is kept, which is the first.';

CREATE FUNCTION meeting_is_over(of_meeting text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE session_meetings SET over_at = clock_timestamp() WHERE meeting_id = of_meeting AND over_at IS NULL
$$;
COMMENT ON FUNCTION meeting_is_over(text) IS 'Records that a meeting is over, as the medium says, or as it was deleted.';

CREATE FUNCTION meetings_to_close(of_session uuid, batch integer DEFAULT 100)
RETURNS TABLE (session_id uuid, attempt integer, number integer, meeting_id text) LANGUAGE sql STABLE ROWS 10 AS $$
  SELECT m.session_id, m.attempt, m.number, m.meeting_id
    FROM session_meetings m JOIN sessions s ON s.id = m.session_id JOIN session_assignments a ON a.id = s.current_assignment_id
   WHERE m.over_at IS NULL AND (of_session IS NULL OR m.session_id = of_session)
     AND (s.ended_at IS NOT NULL OR a.attempt <> m.attempt)
     AND (m.meeting_id IS NOT NULL OR m.asked_at < now() - interval '1 minute') -- it may be on its way
   ORDER BY m.asked_at LIMIT batch
$$;
COMMENT ON FUNCTION meetings_to_close(uuid, integer) IS
  'Ghosts: meetings of sessions that are over, or that their mechanic gave back; of one session, or of all.';

CREATE FUNCTION unheard_meetings() RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT count(*) FROM session_meetings m
   WHERE m.over_at IS NULL AND m.opened_at < now() - interval '2 minutes'
     AND EXISTS (SELECT FROM session_presence p
                  WHERE p.session_id = m.session_id AND p.source = 'mutual' AND p.witness = m.meeting_id)
     AND NOT EXISTS (SELECT FROM media_events e WHERE e.session_id = m.session_id AND e.meeting = m.meeting_id)
$$;
COMMENT ON FUNCTION unheard_meetings() IS
  'Running meetings in which the pages hear each other, and of which the medium says nothing: its events have stopped.';

-- What the medium says.

CREATE FUNCTION medium_fold(of_session uuid, of_meeting text, of_attendee text)
RETURNS TABLE (since timestamptz, until timestamptz) LANGUAGE sql STABLE ROWS 5 AS $$
  WITH said AS (
    SELECT e.occurred_at AS at, e.kind, min(e.occurred_at) FILTER (WHERE e.kind = 'ended') OVER () AS ended_at
      FROM media_events e
     WHERE e.session_id = of_session AND e.meeting = of_meeting AND e.attendee IN (of_attendee, '')
  ), instants AS (
    SELECT s.at, bool_or(s.kind = 'joined') AS came, bool_or(s.kind <> 'joined') AS went
      FROM said s WHERE s.kind <> 'joined' OR s.at < coalesce(s.ended_at, 'infinity') GROUP BY s.at
  ), moves AS ( -- who comes and goes at one instant is afterwards as before
    SELECT i.at, i.came, lag(i.came, 1, false) OVER (ORDER BY i.at) AS here FROM instants i WHERE i.came <> i.went
  ), changes AS (
    SELECT m.at, m.came, lead(m.at) OVER (ORDER BY m.at) AS next FROM moves m WHERE m.came <> m.here
  )
  SELECT c.at, c.next FROM changes c WHERE c.came
$$;
COMMENT ON FUNCTION medium_fold(uuid, text, text) IS
  'When an attendee was there, by all that the medium has said, in whatever order it came: a second joined, and a left without a joined, is nothing.';

CREATE FUNCTION keep_fold(of_session uuid, of_meeting text, of_attendee text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  by_witness text := of_meeting || '/' || of_attendee;
  wanted tstzrange[] := ARRAY(SELECT tstzrange(f.since, f.until) FROM medium_fold(of_session, of_meeting, of_attendee) AS f);
  of_party record;
BEGIN
  UPDATE session_presence p SET until = upper(w), closed_at = clock_timestamp() FROM unnest(wanted) AS w
   WHERE p.session_id = of_session AND p.source = 'medium' AND p.witness = by_witness AND p.replaced_at IS NULL
     AND p.until IS NULL AND p.since = lower(w) AND NOT upper_inf(w);
  UPDATE session_presence p SET replaced_at = clock_timestamp()
   WHERE p.session_id = of_session AND p.source = 'medium' AND p.witness = by_witness AND p.replaced_at IS NULL
     AND tstzrange(p.since, p.until) <> ALL (wanted);
  SELECT e.role, e.mechanic_id INTO STRICT of_party FROM media_events e
   WHERE e.session_id = of_session AND e.meeting = of_meeting AND e.attendee = of_attendee LIMIT 1;
  INSERT INTO session_presence (session_id, since, mechanic_id, role, source, witness, until, closed_at)
  SELECT of_session, lower(w), of_party.mechanic_id, of_party.role, 'medium', by_witness, upper(w),
         CASE WHEN NOT upper_inf(w) THEN clock_timestamp() END
    FROM unnest(wanted) AS w
   WHERE NOT EXISTS (SELECT FROM session_presence p
                      WHERE p.session_id = of_session AND p.source = 'medium' AND p.witness = by_witness
                        AND p.replaced_at IS NULL AND tstzrange(p.since, p.until) = w);
END
$$;
COMMENT ON FUNCTION keep_fold(uuid, text, text) IS
  'Makes the evidence of an attendee say what medium_fold() says; what was recorded otherwise stays, replaced. The caller has locked the session''s row.';
REVOKE EXECUTE ON FUNCTION keep_fold(uuid, text, text) FROM PUBLIC;

CREATE FUNCTION is_bounded(of_session uuid, of_role text, of_mechanic uuid, of_kind text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT count(*) < CASE of_kind WHEN 'joined' THEN 400 ELSE 600 END
    FROM media_events e
   WHERE e.session_id = of_session AND e.role = of_role AND e.mechanic_id IS NOT DISTINCT FROM of_mechanic
     AND (e.kind = 'joined') = (of_kind = 'joined')
$$;
COMMENT ON FUNCTION is_bounded(uuid, text, uuid, text) IS
  'Whether the inbox takes another such event: 1,000 of one party in a session, and of those more that they went.';

CREATE FUNCTION medium_changed(session sessions, of_role text, of_kind text, at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  was_here boolean := CASE of_role WHEN 'customer' THEN session.customer_present ELSE session.mechanic_present END;
  row_now sessions;
  seen record;
  of_user uuid := CASE of_role WHEN 'customer' THEN (SELECT c.user_id FROM customers c WHERE c.id = session.customer_id)
                               ELSE (SELECT m.user_id FROM mechanics m WHERE m.id = session.mechanic_id) END;
BEGIN
  IF session.ended_at IS NOT NULL THEN
    RETURN; -- late evidence
  END IF;
  IF of_kind = 'joined' AND is_witnessed(session, of_role, of_user) THEN -- a witness in the place of a claim
    PERFORM close_presence(session.id, of_role, '{claim}', NULL, clock_timestamp());
    row_now := set_presence(session, of_role, of_user, false, at);
  ELSE
    row_now := set_presence(session, of_role, of_user, claims_of(session, of_role), at);
  END IF;
  IF row_now.status = 'live' THEN
    seen := presence_of(row_now, 'infinity', 'infinity');
    UPDATE sessions s SET started_at = lower(seen.customer * seen.mechanic), actor = 'system:medium'
     WHERE s.id = session.id AND lower(seen.customer * seen.mechanic) < s.started_at;
  END IF;
  IF was_here AND NOT (CASE of_role WHEN 'customer' THEN row_now.customer_present ELSE row_now.mechanic_present END) THEN
    PERFORM write_note(session.id, of_role || CASE of_kind WHEN 'dropped' THEN '_lost' ELSE '_left' END);
  END IF;
END
$$;
COMMENT ON FUNCTION medium_changed(sessions, text, text, timestamptz) IS
  'Makes the session''s row say who is there after the medium''s evidence of a party has changed, and its start where they met earlier than was known. The caller has locked the row.';
REVOKE EXECUTE ON FUNCTION medium_changed(sessions, text, text, timestamptz) FROM PUBLIC;

CREATE FUNCTION hear(of_session uuid, of_meeting text, of_attendee text, of_role text, of_mechanic uuid, of_kind text,
                     stated timestamptz, earliest timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  session sessions;
  at timestamptz;
  each record;
BEGIN
  SELECT * INTO STRICT session FROM sessions s WHERE s.id = of_session FOR NO KEY UPDATE;
  at := least(greatest(stated, earliest), clock_timestamp());
  INSERT INTO media_events (session_id, stated_at, occurred_at, mechanic_id, role, kind, meeting, attendee)
  SELECT of_session, stated, at, of_mechanic, of_role, of_kind, of_meeting, of_attendee
   WHERE of_role IS NULL OR is_bounded(of_session, of_role, of_mechanic, of_kind)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  FOR each IN SELECT DISTINCT e.attendee, e.role, e.mechanic_id FROM media_events e
               WHERE e.session_id = of_session AND e.meeting = of_meeting AND e.role IS NOT NULL
                 AND of_attendee IN (e.attendee, '')
  LOOP
    PERFORM keep_fold(of_session, of_meeting, each.attendee);
    SELECT * INTO STRICT session FROM sessions s WHERE s.id = of_session;
    IF each.mechanic_id IS NOT DISTINCT FROM (CASE each.role WHEN 'mechanic' THEN session.mechanic_id END) THEN
      PERFORM medium_changed(session, each.role, of_kind, at);
    END IF;
  END LOOP;
  RETURN true;
END
$$;
COMMENT ON FUNCTION hear(uuid, text, text, text, uuid, text, timestamptz, timestamptz) IS
  'Takes in what a medium says, once, and what follows from it; false if it is known, or too much.';
REVOKE EXECUTE ON FUNCTION hear(uuid, text, text, text, uuid, text, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION hear_meeting(of_meeting text, of_participant uuid, of_attendee text, of_kind text, stated timestamptz)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  meeting session_meetings;
  party session_participants;
BEGIN
  SELECT * INTO meeting FROM session_meetings m WHERE m.meeting_id = of_meeting;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF of_kind <> 'ended' THEN
    SELECT * INTO party FROM session_participants t
     WHERE t.session_id = meeting.session_id AND participant_id(t) = of_participant LIMIT 1;
    IF NOT FOUND THEN
      RETURN NULL;
    END IF;
  END IF;
  PERFORM FROM sessions s WHERE s.id = meeting.session_id FOR NO KEY UPDATE; -- before the meeting's row
  IF of_kind = 'ended' THEN
    PERFORM meeting_is_over(of_meeting);
  END IF;
  RETURN CASE WHEN hear(meeting.session_id, of_meeting, CASE of_kind WHEN 'ended' THEN '' ELSE of_attendee END, party.role,
                        party.mechanic_id, of_kind, stated, meeting.asked_at) THEN meeting.session_id END;
END
$$;
COMMENT ON FUNCTION hear_meeting(text, uuid, text, text, timestamptz) IS
  'Takes in what the medium says of a meeting of ours. Returns its session; null where that is known already, or the meeting or the participant is not.';

CREATE FUNCTION hear_brought(of_session uuid, of_role text, of_kind text, stated timestamptz)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  session sessions;
  of_mechanic uuid;
BEGIN
  SELECT * INTO session FROM sessions s WHERE s.id = of_session FOR NO KEY UPDATE;
  of_mechanic := CASE of_role WHEN 'mechanic' THEN session.mechanic_id END;
  IF session.id IS NULL OR session.accepted_at IS NULL OR of_role = 'mechanic' AND of_mechanic IS NULL THEN
    RETURN NULL; -- before the accept nobody can be there with anybody
  END IF;
  RETURN CASE WHEN hear(of_session, 'brought', of_role || coalesce('/' || of_mechanic, ''), of_role, of_mechanic, of_kind,
                        stated, session.accepted_at) THEN of_session END;
END
$$;
COMMENT ON FUNCTION hear_brought(uuid, text, text, timestamptz) IS
  'Takes in what a medium that an operator brings says of a party. Returns the session; null where that is known already, or no mechanic has accepted.';

CREATE FUNCTION leave_medium(of_session uuid, of_role text, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO media_events (session_id, stated_at, occurred_at, mechanic_id, role, kind, meeting, attendee)
  SELECT DISTINCT e.session_id, at, at, e.mechanic_id, e.role, 'left', e.meeting, e.attendee
    FROM session_presence p
    JOIN media_events e ON e.session_id = p.session_id AND e.meeting || '/' || e.attendee = p.witness
   WHERE p.session_id = of_session AND p.role = of_role AND p.source = 'medium' AND p.until IS NULL
     AND p.replaced_at IS NULL
  ON CONFLICT DO NOTHING;
  PERFORM close_presence(of_session, of_role, '{medium,mutual}', NULL, at);
END
$$;
COMMENT ON FUNCTION leave_medium(uuid, text, timestamptz) IS
  'Ends the medium''s evidence of a mechanic who says that they leave, or gives the session back, as if the medium had said so.';
REVOKE EXECUTE ON FUNCTION leave_medium(uuid, text, timestamptz) FROM PUBLIC;

-- What each page hears of the other.

CREATE FUNCTION report_heard(of_session uuid, by_user uuid, since timestamptz, until timestamptz, by_clock timestamptz,
                             packets integer)
RETURNS TABLE (outcome text, session_status text, recorded boolean)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  session sessions;
  of_role text;
  of_meeting record;
  of_mechanic uuid;
  received timestamptz := clock_timestamp();
  longest_ago interval := '1 hour'; -- so that no page's clock leads out of the calendar
BEGIN
  IF (party_of(of_session, by_user)).status IN ('waiting', 'live') THEN
    PERFORM count_against('call_reports', by_user); -- before it waits for the session
  END IF;
  SELECT * INTO session FROM sessions s
   WHERE s.id = of_session AND role_of(s, by_user) IS NOT NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  of_role := role_of(session, by_user);
  of_mechanic := CASE of_role WHEN 'mechanic' THEN session.mechanic_id END;
  session_status := session.status;
  SELECT m.meeting_id, m.opened_at INTO of_meeting
    FROM session_meetings m JOIN session_assignments a ON a.id = session.current_assignment_id AND a.attempt = m.attempt
   WHERE m.session_id = of_session AND m.opened_at IS NOT NULL ORDER BY m.number DESC LIMIT 1;
  outcome := CASE WHEN session.ended_at IS NOT NULL THEN 'over'
                  WHEN session.status NOT IN ('waiting', 'live') OR of_meeting.meeting_id IS NULL THEN 'not_open'
                  ELSE 'open' END;
  until := received - least(by_clock - until, longest_ago);
  since := greatest(received - least(by_clock - since, longest_ago), of_meeting.opened_at, session.accepted_at,
                    clock_timestamp() - interval '1 minute');
  until := CASE WHEN packets > 0 THEN least(until, clock_timestamp()) ELSE since END;
  INSERT INTO session_presence (session_id, since, mechanic_id, role, source, witness, until, closed_at)
  SELECT of_session, since, of_mechanic, of_role, 'mutual', of_meeting.meeting_id, until, clock_timestamp()
   WHERE outcome = 'open' AND (since < until OR packets = 0) AND takes_evidence(of_session, of_role, of_mechanic, 'mutual')
     AND NOT EXISTS (SELECT FROM session_presence p
                      WHERE p.session_id = of_session AND p.role = of_role AND p.source = 'mutual'
                        AND p.mechanic_id IS NOT DISTINCT FROM of_mechanic
                        AND (p.since <= since AND p.until >= until OR packets = 0));
  recorded := FOUND AND packets > 0;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION report_heard(uuid, uuid, timestamptz, timestamptz, timestamptz, integer) IS
  'Records that the page of a party got packets from the other for a while, by its own clock, which said by_clock when it was sent: within the meeting and the last minute. One without packets lasts no time: it says that the page would have reported some. It counts only where the other page says the same. The outcome is open, over or not_open; no row if the user is no party.';
