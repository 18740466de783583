-- The verdict on a session, and the moves that callers make in one trip to the database.

-- The verdict on a session, from its evidence alone, and the end that follows from it.
--
-- judge() decides, once: an UPDATE that gives a session an end and no status asks for it, and every other end is held to
-- it (follow_end). autodoctor.domain.ending is the same rule in Python, with which verify and the tests check the verdicts.

CREATE FUNCTION measure(ranges tstzmultirange) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(sum(extract(epoch FROM upper(r) - lower(r))), 0) FROM unnest(ranges) AS r
$$;
COMMENT ON FUNCTION measure(tstzmultirange) IS 'How many seconds the ranges last in all.';

-- VOLATILE, so that its query takes a snapshot of its own: it sees rows that were committed while the caller waited
-- for the session's lock, although the caller's statement began before.
CREATE FUNCTION presence_of(session sessions, present timestamptz, known timestamptz, sure boolean DEFAULT false,
                            OUT customer tstzmultirange, OUT mechanic tstzmultirange,
                            OUT customer_medium tstzmultirange, OUT mechanic_medium tstzmultirange,
                            OUT mutual tstzmultirange, OUT rooms tstzmultirange)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  heard tstzmultirange;
BEGIN
  SELECT coalesce(range_agg(p.span) FILTER (WHERE p.role = 'customer'), '{}'),
         coalesce(range_agg(p.span) FILTER (WHERE p.role = 'mechanic'), '{}'),
         coalesce(range_agg(p.span) FILTER (WHERE p.role = 'customer' AND p.source = 'medium'), '{}'),
         coalesce(range_agg(p.span) FILTER (WHERE p.role = 'mechanic' AND p.source = 'medium'), '{}'),
         coalesce(range_agg(p.span) FILTER (WHERE p.role = 'customer' AND p.source = 'mutual')
                  * range_agg(p.span) FILTER (WHERE p.role = 'mechanic' AND p.source = 'mutual'), '{}'),
         coalesce(range_agg(p.span) FILTER (WHERE p.role = 'customer' AND p.source = 'room')
                  * range_agg(p.span) FILTER (WHERE p.role = 'mechanic' AND p.source = 'room'), '{}'),
         range_agg(p.span) FILTER (WHERE p.source = 'mutual')
    INTO customer, mechanic, customer_medium, mechanic_medium, mutual, rooms, heard
    FROM (SELECT x.role, x.source, tstzrange(x.since, greatest(x.since, least(
                   present, CASE WHEN x.closed_at <= known THEN x.until END))) AS span
            FROM session_presence x
           WHERE x.session_id = session.id AND x.since < present AND x.recorded_at <= known
             AND (x.replaced_at IS NULL OR x.replaced_at > known)
             AND (x.role = 'customer' -- of the mechanics only the present one, since they accepted
                  OR x.mechanic_id = session.mechanic_id AND (x.since >= session.accepted_at) IS NOT FALSE)) AS p;
  IF sure AND heard IS NOT NULL THEN
    customer_medium := customer_medium * heard;
    mechanic_medium := mechanic_medium * heard;
  END IF;
END
$$;
COMMENT ON FUNCTION presence_of(sessions, timestamptz, timestamptz, boolean) IS
  'When each party was there until the given present, as it was known at the given instant: by any source, in the medium, and both by mutual windows and in the room. Where pages reported at all, only what one of them heard of the medium is sure: an event that says that somebody left may have been lost.';

CREATE FUNCTION words_of(of_session uuid, of_role text) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN coalesce((SELECT CASE of_role WHEN 'customer' THEN r.customer_written ELSE r.mechanic_written END
                     FROM rooms r WHERE r.session_id = of_session), 0);
END
$$;
COMMENT ON FUNCTION words_of(uuid, text) IS 'How many messages a party has written; of the mechanics only the present one.';

CREATE FUNCTION who_was_absent(session sessions, seen record, present timestamptz, late interval, by_system boolean)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  since tstzmultirange := tstzmultirange(tstzrange(
    least(present, greatest(session.accepted_at, session.scheduled_for)), present));
  least_time numeric := greatest(extract(epoch FROM late), 0.000001);
  customer_waited boolean := measure((seen.customer - seen.mechanic) * since) >= least_time;
  mechanic_waited boolean := measure((seen.mechanic - seen.customer) * since) >= least_time;
BEGIN
  IF by_system AND NOT (customer_waited OR mechanic_waited) THEN -- a sweep is nobody's change of mind
    customer_waited := NOT isempty(seen.customer);
    mechanic_waited := NOT isempty(seen.mechanic);
    IF NOT (customer_waited OR mechanic_waited) THEN
      RETURN 'both';
    END IF;
  END IF;
  RETURN CASE WHEN customer_waited AND mechanic_waited THEN 'both' WHEN customer_waited THEN 'mechanic'
              WHEN mechanic_waited THEN 'customer' END;
END
$$;
COMMENT ON FUNCTION who_was_absent(sessions, record, timestamptz, interval, boolean) IS
  'The party that was not there while the other waited for too long; of a session that a sweep ends, the one that did not come. Null: nobody was kept waiting.';

CREATE FUNCTION judge(session sessions, present timestamptz, by_system boolean DEFAULT false,
                      known timestamptz DEFAULT 'infinity', sure boolean DEFAULT false, called boolean DEFAULT false,
                      OUT status text, OUT reason text, OUT started_at timestamptz, OUT ended_at timestamptz,
                      OUT together_seconds numeric, OUT absent text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  seen record;
  terms record;
  met tstzmultirange;
  counted tstzmultirange;
  span tstzmultirange;
  customer_words integer;
  mechanic_words integer;
BEGIN
  status := 'cancelled';
  ended_at := present;
  reason := 'withdrawn';
  IF session.mechanic_id IS NULL THEN
    RETURN;
  END IF;
  SELECT make_interval(mins => i.max_minutes) AS longest, i.evidence,
         coalesce(session.min_billable_seconds, min_billable_seconds()) AS least_seconds,
         coalesce(session.min_messages_each, min_messages_each()) AS messages_each,
         make_interval(mins => coalesce(session.late_minutes, late_minutes())) AS late
    INTO STRICT terms FROM intakes i WHERE i.id = session.id;
  seen := presence_of(session, present, known, sure);
  met := seen.customer * seen.mechanic;
  started_at := coalesce(session.started_at, lower(met));
  IF started_at IS NULL THEN
    absent := who_was_absent(session, seen, present, terms.late, by_system);
    reason := CASE WHEN absent IS NULL THEN 'withdrawn' ELSE 'no_show' END;
    RETURN;
  END IF;
  ended_at := least(greatest(upper(met), started_at), started_at + terms.longest);
  span := tstzmultirange(tstzrange(started_at, ended_at));
  customer_words := words_of(session.id, 'customer');
  mechanic_words := words_of(session.id, 'mechanic');
  counted := CASE WHEN called OR terms.evidence = 'claimed' THEN met
                  ELSE seen.customer_medium * seen.mechanic_medium + seen.mutual
                       + CASE WHEN least(customer_words, mechanic_words) >= terms.messages_each THEN seen.rooms ELSE '{}' END END;
  together_seconds := measure(counted * span);
  IF together_seconds >= terms.least_seconds THEN
    status := 'completed';
    reason := 'billable';
  ELSIF measure(met * span) >= terms.least_seconds
        AND NOT ((customer_words > 0 OR NOT isempty((seen.customer_medium + seen.mutual) * span))
                 AND (mechanic_words > 0 OR NOT isempty((seen.mechanic_medium + seen.mutual) * span))) THEN
    reason := 'no_talk';
  ELSE
    reason := 'too_short';
  END IF;
END
$$;
COMMENT ON FUNCTION judge(sessions, timestamptz, boolean, timestamptz, boolean, boolean) IS
  'The outcome of a session that is ended at the given present, by a sweep or not, from what was known at the given instant, or of that only what is sure, or as if they had been in a call whenever both were there: withdrawn or a no-show if it never started; otherwise completed if both were together for long enough, as far as the evidence of its class counts, from the recorded or derived start to the last instant both were present, but no longer than its plan allows. The caller has locked the session''s row, and then its room.';

CREATE FUNCTION judge_again(session sessions, decided_at timestamptz, known timestamptz, sure boolean DEFAULT false,
                            called boolean DEFAULT false,
                            OUT status text, OUT reason text, OUT started_at timestamptz, OUT together_seconds numeric)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  again record;
BEGIN
  session.started_at := NULL; -- it follows from the evidence
  again := judge(session, decided_at, session.ended_by = 'system', known, sure, called);
  status := again.status;
  reason := again.reason;
  started_at := again.started_at;
  together_seconds := again.together_seconds;
END
$$;
COMMENT ON FUNCTION judge_again(sessions, timestamptz, timestamptz, boolean, boolean) IS
  'The outcome of an ended session that its evidence alone demands, with the limits that were in force: decided at the first instant, from what was known at the second, or of that only what is sure, or as if they had been in a call whenever both were there.';

-- This completes a hand-typed UPDATE, or one of the table's constraints refuses it.
CREATE FUNCTION follow_end(was sessions, INOUT row_now sessions, at timestamptz) LANGUAGE plpgsql AS $$
DECLARE
  verdict record;
BEGIN
  row_now.started_at := was.started_at;
  row_now.together_seconds := NULL;
  row_now.min_billable_seconds := min_billable_seconds();
  row_now.min_messages_each := min_messages_each();
  row_now.late_minutes := late_minutes();
  row_now.ended_by := CASE split_part(row_now.actor, ':', 1) WHEN 'customer' THEN 'customer' WHEN 'mechanic' THEN 'mechanic'
                           WHEN 'system' THEN 'system' ELSE 'admin' END;
  IF row_now.status = 'expired' THEN
    row_now.ended_at := least(row_now.ended_at, at);
    row_now.end_reason := coalesce(row_now.end_reason, 'expired');
  ELSE
    PERFORM FROM rooms r WHERE r.session_id = was.id FOR NO KEY UPDATE; -- after the messages that are being written
    verdict := judge(was, at, row_now.ended_by = 'system');
    IF verdict.started_at IS DISTINCT FROM was.started_at THEN
      RAISE EXCEPTION 'by its evidence session % has started, but it was never live', was.id USING ERRCODE = 'AD001';
    END IF;
    IF row_now.status = was.status THEN -- only an end was given
      row_now.status := verdict.status;
    END IF;
    row_now.ended_at := CASE WHEN was.started_at IS NULL THEN least(row_now.ended_at, verdict.ended_at) ELSE verdict.ended_at END;
    row_now.end_reason := coalesce(row_now.end_reason, verdict.reason);
    row_now.absent := coalesce(row_now.absent, verdict.absent);
    row_now.together_seconds := verdict.together_seconds;
  END IF;
  PERFORM close_presence(was.id, role, '{claim}', NULL, at) FROM unnest('{customer,mechanic}'::text[]) AS role;
END
$$;
COMMENT ON FUNCTION follow_end(sessions, sessions, timestamptz) IS
  'The row of a session that ends, with what follows from the verdict: its status if none was given, the times, the reason and the absent party. Claims end with it.';

CREATE FUNCTION conclude_session(session sessions, by_actor text, by_id uuid) RETURNS sessions
LANGUAGE plpgsql AS $$
DECLARE
  seen record;
  concluded sessions;
BEGIN
  IF session.status = 'waiting' THEN
    seen := presence_of(session, clock_timestamp(), 'infinity');
    IF NOT isempty(seen.customer * seen.mechanic) THEN -- imported evidence
      UPDATE sessions SET status = 'live', actor = by_actor, actor_id = by_id, change_data = '{"derived": true}'
       WHERE id = session.id;
    END IF;
  END IF;
  UPDATE sessions
     SET ended_at = clock_timestamp(), actor = by_actor, actor_id = by_id
   WHERE id = session.id
  RETURNING * INTO STRICT concluded;
  RETURN concluded;
END
$$;
COMMENT ON FUNCTION conclude_session(sessions, text, uuid) IS
  'Ends an active session with the verdict; returns its row afterwards. The caller has locked the row.';

CREATE FUNCTION finish_session(of_session uuid, by_user uuid, any_session boolean, by_actor text, notes text)
RETURNS TABLE (session_id uuid, status text, reason text, started_at timestamptz, ended_at timestamptz,
               duration_seconds integer, ended_by text, already_ended boolean, unpublished json)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  as_customer uuid := (SELECT id FROM customers WHERE user_id = by_user);
  as_mechanic uuid := (SELECT id FROM mechanics WHERE user_id = by_user);
BEGIN
  SELECT * INTO session FROM sessions s
   WHERE s.id = of_session AND (any_session OR s.customer_id = as_customer OR s.mechanic_id = as_mechanic)
     FOR NO KEY UPDATE NOWAIT; -- nothing waits here while holding a connection
  IF NOT FOUND THEN
    RETURN;
  END IF;
  already_ended := session.ended_at IS NOT NULL;
  IF notes <> '' AND session.mechanic_id = as_mechanic
     -- whoever ended it first: words that were saved since are newer
     AND NOT (already_ended AND EXISTS (SELECT FROM session_notes n WHERE n.session_id = of_session
                                           AND n.mechanic_id = as_mechanic AND n.text <> '')) THEN
    PERFORM save_notes(of_session, by_user, notes, NULL, false);
  END IF;
  IF NOT already_ended THEN
    session := conclude_session(session,
      CASE WHEN by_user IS NULL THEN by_actor WHEN session.customer_id = as_customer THEN 'customer'
           WHEN session.mechanic_id = as_mechanic THEN 'mechanic' ELSE 'admin' END, by_user);
    unpublished := unpublished_events(of_session);
  END IF;
  RETURN QUERY SELECT session.id, session.status, session.end_reason, session.started_at, session.ended_at,
                      floor(session.together_seconds)::integer, session.ended_by, already_ended, unpublished;
END
$$;
COMMENT ON FUNCTION finish_session(uuid, uuid, boolean, text, text) IS
  'Ends a session with the verdict, for one of its parties or for a user who may end any session. Returns its outcome with its unpublished events; the same outcome with already_ended if it is over; no row if it is not this user''s. Raises 55P03 if another transaction has locked it.';

-- The moves that callers make in one trip to the database, with their events.

CREATE FUNCTION accept_assignment(by_user uuid, of_assignment uuid)
RETURNS TABLE (assignment_id uuid, session_id uuid, session_status text, unpublished json)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
BEGIN
  -- The session's row is the lock; its trigger moves the assignment too, checking it again with a fresh snapshot.
  -- The mechanic's is locked before it, as a suspension does: one that comes meanwhile finds this session, or ends this.
  -- Not of a busy one: a socket that leaves the room of their session locks that before the mechanic.
  WITH m AS MATERIALIZED (
    SELECT id, workshop_id FROM mechanics AS free
     WHERE user_id = by_user AND status = 'active'
       AND NOT EXISTS (SELECT FROM sessions o WHERE o.mechanic_id = free.id AND o.ended_at IS NULL)
       FOR SHARE
  )
  UPDATE sessions s
     SET status = 'waiting', mechanic_id = m.id, actor = 'mechanic', actor_id = by_user
    FROM m, session_assignments a
   WHERE a.id = of_assignment AND s.id = a.session_id AND s.current_assignment_id = a.id AND s.status = 'pending'
     AND visible_now(a, m.id, m.workshop_id)
     AND NOT EXISTS (SELECT FROM paused_mechanics p WHERE p.mechanic_id = m.id)
  RETURNING a.id, s.id, s.status INTO assignment_id, session_id, session_status;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  unpublished := unpublished_events(session_id);
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION accept_assignment(uuid, uuid) IS
  'Gives the session of an assignment to the mechanic of this user, and returns its unpublished events; no row if the mechanic does not see it, or it is no longer available.';

-- Joining and ending return the events too: one trip to the database less, and cached plans.
CREATE FUNCTION record_join(of_session uuid, by_user uuid, by_connection text)
RETURNS TABLE (session_id uuid, session_status text, started_at timestamptz, bound boolean, unpublished json)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  role text;
  before text;
  at timestamptz;
BEGIN
  IF by_connection IS NOT NULL THEN
    RETURN QUERY SELECT e.session_id, e.session_status, e.started_at, e.bound, e.unpublished
                   FROM sessions s, enter_room(s.id, by_user, by_connection) AS e
                  WHERE s.id = of_session AND s.status IN ('pending', 'waiting', 'live')
                    AND e.session_status IN ('pending', 'waiting', 'live');
    RETURN;
  END IF;
  SELECT * INTO session FROM sessions s
   WHERE s.id = of_session AND s.status IN ('pending', 'waiting', 'live') AND may_come(s, by_user)
     FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  role := role_of(session, by_user);
  before := session.status;
  -- A claim replaces no witness, and is no first reply.
  IF NOT is_witnessed(session, role, by_user) AND NOT (role = 'mechanic' AND needs_first_reply(session)) THEN
    at := clock_timestamp();
    PERFORM open_presence(session.id, role, CASE role WHEN 'mechanic' THEN session.mechanic_id END, 'claim', NULL, at);
    session := set_presence(session, role, by_user, true, at);
  END IF;
  session_id := session.id;
  session_status := session.status;
  started_at := session.started_at;
  bound := false;
  unpublished := CASE WHEN session.status = before THEN '[]' ELSE unpublished_events(of_session) END;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION record_join(uuid, uuid, text) IS
  'Records that a party of an open session is there: by a connection of theirs, as enter_room() does, or by their own word, which counts nothing where a witness says it already, or where a mechanic''s first reply is overdue. Returns the session with its unpublished events; no row if the user is no party who may come, or the session is not open.';

CREATE FUNCTION record_leave(of_session uuid, by_user uuid, by_connection text)
RETURNS TABLE (session_id uuid, session_status text, started_at timestamptz)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  role text;
  at timestamptz;
  was_there boolean;
BEGIN
  SELECT * INTO session FROM sessions s
   WHERE s.id = of_session AND role_of(s, by_user) IS NOT NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  role := role_of(session, by_user);
  IF session.ended_at IS NULL THEN
    at := clock_timestamp();
    was_there := CASE role WHEN 'customer' THEN session.customer_present ELSE session.mechanic_present END;
    PERFORM leave_room(c.connection_id, at) FROM realtime_connections c
      WHERE c.user_id = by_user AND c.room = of_session AND (by_connection IS NULL OR c.connection_id = by_connection);
    IF by_connection IS NULL THEN
      -- what the medium saw of a customer is not theirs to take back
      IF role = 'mechanic' THEN
        PERFORM leave_medium(of_session, role, at);
      END IF;
      PERFORM close_presence(of_session, role, '{claim}', NULL, at);
      SELECT * INTO STRICT session FROM sessions s WHERE s.id = of_session;
      session := set_presence(session, role, by_user, false, at);
    END IF;
    SELECT * INTO STRICT session FROM sessions s WHERE s.id = of_session;
    IF was_there AND NOT (CASE role WHEN 'customer' THEN session.customer_present ELSE session.mechanic_present END) THEN
      PERFORM write_note(of_session, role || '_left');
    END IF;
  END IF;
  RETURN QUERY SELECT session.id, session.status, session.started_at;
END
$$;
COMMENT ON FUNCTION record_leave(uuid, uuid, text) IS
  'Takes back the presence that a connection of the party stands for, or all of it. Returns the session; no row if the user is no party. After the end it changes nothing.';
