-- Late evidence: settlement waits for it and judges again; where it demands another outcome, a person decides. So does
-- a person where the pages, which report what they hear, did not hear for long enough what the medium says, and where
-- both called and the medium has said nothing at all of their meeting.

CREATE TABLE settlement_holds (
  session_id  uuid PRIMARY KEY REFERENCES sessions (id),
  held_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  demanded    text NOT NULL CHECK (demanded IN ('completed', 'cancelled')),
  facts       jsonb NOT NULL,
  outcome     text CHECK (outcome IN ('pay', 'refund')),
  note        text CHECK (length(note) BETWEEN 1 AND 500),
  decided_at  timestamptz,
  decided_by  uuid,
  change_id   uuid,
  CONSTRAINT settlement_holds_decided_whole CHECK (num_nonnulls(outcome, note, decided_at, decided_by, change_id) IN (0, 5))
);
CREATE INDEX settlement_holds_undecided ON settlement_holds (held_at) WHERE outcome IS NULL;
COMMENT ON TABLE settlement_holds IS
  'Ended sessions whose evidence, with what came after the verdict, demands another outcome, or may have been lost. The outcome stays; what happens to the money an admin decides.';
COMMENT ON COLUMN settlement_holds.held_at IS 'When it was judged again.';
COMMENT ON COLUMN settlement_holds.demanded IS 'The status that all the evidence demands, that is sure, or that a call would demand of which the medium is silent.';
COMMENT ON COLUMN settlement_holds.facts IS 'Status, reason and seconds together, as they stand and as they are demanded, and because of what: late evidence, unsure, or a silent medium.';
COMMENT ON COLUMN settlement_holds.outcome IS 'pay: the mechanic is paid; refund: the customer has everything back; null: nobody has decided.';
COMMENT ON COLUMN settlement_holds.note IS 'The admin''s words, without personal data.';
COMMENT ON COLUMN settlement_holds.decided_at IS 'When it was decided.';
COMMENT ON COLUMN settlement_holds.decided_by IS 'The sub of the admin''s token.';
COMMENT ON COLUMN settlement_holds.change_id IS 'The id of the decision in admin_changes.';
GRANT SELECT, UPDATE (outcome, note, decided_at, decided_by, change_id) ON settlement_holds TO autodoctor_app;

CREATE FUNCTION settlement_hold_is_decided() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF OLD.outcome IS NOT NULL THEN
    RAISE EXCEPTION 'the money of session % is decided', OLD.session_id USING ERRCODE = 'AD004';
  END IF;
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  VALUES (NEW.change_id, NEW.decided_by, 'settlement.decided', NEW.session_id::text, '{outcome}', OLD.facts,
          jsonb_build_object('outcome', NEW.outcome));
  PERFORM room_note(NEW.session_id, 'decided_' || NEW.outcome);
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION settlement_hold_is_decided() IS 'Lets a decision be made once, audits it, and says it in the room.';
CREATE TRIGGER settlement_hold_is_decided BEFORE UPDATE ON settlement_holds
  FOR EACH ROW EXECUTE FUNCTION settlement_hold_is_decided();
CREATE TRIGGER settlement_holds_are_kept BEFORE DELETE OR TRUNCATE ON settlement_holds
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

CREATE FUNCTION medium_is_silent(session sessions) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM session_meetings m JOIN session_assignments a ON a.session_id = m.session_id AND a.attempt = m.attempt
     WHERE a.id = session.current_assignment_id AND num_nonnulls(m.opened_at, m.customer_at, m.mechanic_at) = 3
       AND NOT EXISTS (SELECT FROM media_events e WHERE e.session_id = session.id AND e.meeting = m.meeting_id));
END
$$;
COMMENT ON FUNCTION medium_is_silent(sessions) IS
  'Whether both parties were let into a meeting of which the medium has said nothing, not even that it is over: what it said is lost.';
REVOKE EXECUTE ON FUNCTION medium_is_silent(sessions) FROM PUBLIC;

CREATE FUNCTION settlement_gate(of_session uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  session sessions;
  decided timestamptz;
  again record;
  because text := 'late';
  hold settlement_holds;
BEGIN
  SELECT * INTO hold FROM settlement_holds h WHERE h.session_id = of_session;
  IF FOUND THEN
    RETURN coalesce(hold.outcome, 'held');
  END IF;
  SELECT * INTO STRICT session FROM sessions s WHERE s.id = of_session;
  IF session.status = 'expired' OR session.mechanic_id IS NULL THEN
    RETURN 'open'; -- nobody can have been there with anybody
  END IF;
  SELECT max(e.occurred_at) INTO decided FROM session_events e
   WHERE e.session_id = of_session AND is_terminal(e.to_status) AND is_terminal(e.from_status) IS NOT TRUE;
  IF decided > clock_timestamp() - evidence_grace() THEN
    RETURN 'early';
  END IF;
  again := judge_again(session, decided, 'infinity');
  IF again.status <> session.status THEN
    NULL;
  ELSIF again.status = 'completed' THEN
    because := 'unsure';
    again := judge_again(session, decided, 'infinity', sure => true);
  ELSIF medium_is_silent(session) THEN
    because := 'silent';
    again := judge_again(session, decided, 'infinity', called => true);
  END IF;
  IF again.status = session.status THEN
    RETURN 'open';
  END IF;
  INSERT INTO settlement_holds (session_id, demanded, facts)
  VALUES (of_session, again.status, jsonb_build_object(
    'because', because, 'status', session.status, 'reason', session.end_reason, 'togetherSeconds', session.together_seconds,
    'demandedReason', again.reason, 'demandedTogetherSeconds', again.together_seconds))
  ON CONFLICT DO NOTHING;
  RETURN 'held';
END
$$;
COMMENT ON FUNCTION settlement_gate(uuid) IS
  'Whether an ended session may be settled: open, as it ended; early: evidence_grace() is not over; held: its evidence demands another outcome by now, is not sure, or may have been lost, and nobody has decided; pay or refund: somebody has.';
