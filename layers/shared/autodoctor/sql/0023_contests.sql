-- Contests: a customer says that a session was not worth its price, its mechanic may answer, an admin decides once.

CREATE FUNCTION contest_time() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT make_interval(hours => number_setting('contest_hours', 72))
$$;
COMMENT ON FUNCTION contest_time() IS
  'For how long after its settlement a session can be contested: the settings table (contest_hours), then 72 hours.';

CREATE TABLE contests (
  session_id           uuid PRIMARY KEY,
  settled_outcome      text NOT NULL GENERATED ALWAYS AS ('pay') STORED,
  reason               text NOT NULL CHECK (reason IN ('not_helped', 'wrong_advice', 'cut_short', 'behaviour', 'other')),
  words                text NOT NULL CHECK (length(words) <= 2000),
  contested_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  answer               text CHECK (length(answer) <= 2000),
  answered_at          timestamptz,
  outcome              text CHECK (outcome IN ('keep', 'part', 'all')),
  refund_cents         bigint CHECK (refund_cents > 0),
  refund_credits       integer CHECK (refund_credits > 0),
  note                 text CHECK (length(note) BETWEEN 1 AND 500),
  decided_at           timestamptz,
  decided_by           uuid,
  change_id            uuid,
  refunded_session_id  uuid UNIQUE GENERATED ALWAYS AS (CASE WHEN refund_cents IS NOT NULL THEN session_id END) STORED,
  CONSTRAINT contests_of_a_paying_session FOREIGN KEY (session_id, settled_outcome) REFERENCES settlements (session_id, outcome),
  CONSTRAINT contests_refund UNIQUE (refunded_session_id, refund_cents), -- so that the refund has the decided amount
  CONSTRAINT contests_answered_whole CHECK ((answer IS NULL) = (answered_at IS NULL)),
  CONSTRAINT contests_decided_whole CHECK (num_nonnulls(outcome, note, decided_at, decided_by, change_id) IN (0, 5)),
  CONSTRAINT contests_give_back_as_decided CHECK (
    num_nonnulls(refund_cents, refund_credits) = CASE WHEN outcome IN ('part', 'all') THEN 1 ELSE 0 END)
);
CREATE INDEX contests_undecided ON contests (contested_at) WHERE outcome IS NULL;
COMMENT ON TABLE contests IS
  'Paid sessions that their customers contest. What is not sent of their money waits for an admin''s decision.';
COMMENT ON COLUMN contests.settled_outcome IS 'The settlement that its session must have: there is nothing to contest in any other.';
COMMENT ON COLUMN contests.reason IS 'What was wrong, as the customer chose it.';
COMMENT ON COLUMN contests.words IS 'The customer''s words; personal data, empty once they were erased.';
COMMENT ON COLUMN contests.contested_at IS 'When it was contested.';
COMMENT ON COLUMN contests.answer IS 'The mechanic''s words, once; personal data, empty once they were erased.';
COMMENT ON COLUMN contests.answered_at IS 'When the mechanic answered.';
COMMENT ON COLUMN contests.outcome IS
  'keep: it stays as it was settled; part: some of the price goes back; all: all of it; null: nobody has decided.';
COMMENT ON COLUMN contests.refund_cents IS
  'What the customer shall have back of a card payment, in cents of usd; what went back before counts.';
COMMENT ON COLUMN contests.refund_credits IS 'The same of a session that was paid with credits, in credits.';
COMMENT ON COLUMN contests.note IS 'The admin''s words, which both parties read, without personal data.';
COMMENT ON COLUMN contests.decided_at IS 'When it was decided.';
COMMENT ON COLUMN contests.decided_by IS 'The sub of the admin''s token.';
COMMENT ON COLUMN contests.change_id IS 'The id of the decision in admin_changes.';
COMMENT ON COLUMN contests.refunded_session_id IS 'Its session, where cents go back to a card.';
CREATE TRIGGER contests_are_kept BEFORE DELETE OR TRUNCATE ON contests
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT,
      INSERT (session_id, reason, words),
      UPDATE (answer, outcome, refund_cents, refund_credits, note, decided_by, change_id)
  ON contests TO autodoctor_app;

ALTER TABLE refunds ADD COLUMN contested_session_id uuid GENERATED ALWAYS AS (CASE kind WHEN 'contest' THEN intake_id END) STORED;
ALTER TABLE refunds ADD CONSTRAINT refunds_as_a_contest_was_decided
  FOREIGN KEY (contested_session_id, amount_cents) REFERENCES contests (refunded_session_id, refund_cents);
COMMENT ON COLUMN refunds.contested_session_id IS 'For a contest''s refund, the session whose decision has its amount.';

CREATE FUNCTION contestable_until(of_session uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT st.decided_at + contest_time() FROM settlements st JOIN intakes i ON i.id = st.session_id
   WHERE st.session_id = of_session AND st.outcome = 'pay' AND i.funding IN ('card', 'credit') AND i.price_cents > 0
$$;
COMMENT ON FUNCTION contestable_until(uuid) IS
  'Until when a session can be contested: contest_time() after its settlement. Null where it is not settled, or nothing was paid for it, or everything goes back.';

CREATE FUNCTION contests_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  words_only text[] := '{words,answer,refunded_session_id,settled_outcome}';
  bought intakes;
  paid integer;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF (contestable_until(NEW.session_id) > clock_timestamp()) IS NOT TRUE THEN
      RAISE EXCEPTION 'session % cannot be contested', NEW.session_id USING ERRCODE = 'AD001';
    END IF;
    RETURN NEW;
  ELSIF NEW.words IN ('', OLD.words) AND coalesce(NEW.answer, '') IN ('', coalesce(OLD.answer, ''))
        AND to_jsonb(NEW) - words_only = to_jsonb(OLD) - words_only
        AND (NEW.answer IS NULL) = (OLD.answer IS NULL) THEN
    RETURN NEW; -- only words were erased
  ELSIF OLD.outcome IS NOT NULL OR NEW.words <> OLD.words OR OLD.answer IS NOT NULL AND NEW.answer <> OLD.answer THEN
    RAISE EXCEPTION 'the contest of session % is fixed', OLD.session_id USING ERRCODE = 'AD004';
  END IF;
  NEW.answered_at := CASE WHEN NEW.answer IS NOT NULL THEN coalesce(OLD.answered_at, clock_timestamp()) END;
  IF NEW.outcome IS NOT NULL THEN
    NEW.decided_at := clock_timestamp();
    SELECT * INTO STRICT bought FROM intakes i WHERE i.id = NEW.session_id;
    paid := CASE bought.funding WHEN 'card' THEN bought.price_cents ELSE bought.credits END;
    IF NEW.outcome <> 'keep' AND (
         coalesce(NEW.refund_cents, NEW.refund_credits) > paid
         OR (coalesce(NEW.refund_cents, NEW.refund_credits) = paid) <> (NEW.outcome = 'all')
         OR (NEW.refund_cents IS NOT NULL) <> (bought.funding = 'card')) THEN
      RAISE EXCEPTION 'session % is given back in another amount than %', NEW.session_id, NEW.outcome
        USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION contests_guard() IS
  'Lets a session be contested while it can be, answered once and decided once, within its price; of a contest that is decided only words may be emptied.';
CREATE TRIGGER contests_guard BEFORE INSERT OR UPDATE ON contests FOR EACH ROW EXECUTE FUNCTION contests_guard();

CREATE FUNCTION contest_holds(of_session uuid, but_of text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  UPDATE payout_holds h SET released_at = clock_timestamp()
    FROM payouts p
   WHERE p.session_id = of_session AND p.kind IS DISTINCT FROM but_of
     AND h.payout_id = p.id AND h.reason = 'contest' AND h.released_at IS NULL
$$;
COMMENT ON FUNCTION contest_holds(uuid, text) IS 'Releases what a contest holds of a session''s payouts, but for those of one kind.';

CREATE FUNCTION contests_follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  step text := CASE WHEN TG_OP = 'INSERT' THEN 'opened' WHEN NEW.outcome IS NOT NULL THEN 'decided' ELSE 'answered' END;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM hold_payout(p.id, 'contest') FROM payouts p
     WHERE p.session_id = NEW.session_id AND p.state IN ('due', 'held', 'sending', 'failed');
  ELSIF OLD.outcome IS NULL AND NEW.outcome IS NOT NULL THEN
    -- the mechanic's part waits until the refund is booked, so that it is taken from what is not sent
    PERFORM contest_holds(NEW.session_id, CASE WHEN NEW.refund_cents IS NOT NULL THEN 'session' END);
    INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
    VALUES (NEW.change_id, NEW.decided_by, 'contest.decided', NEW.session_id::text, '{outcome}', '{}',
            jsonb_strip_nulls(jsonb_build_object('outcome', NEW.outcome, 'refundCents', NEW.refund_cents,
                                                 'refundCredits', NEW.refund_credits)));
  ELSIF (OLD.answered_at IS NULL) = (NEW.answered_at IS NULL) THEN
    RETURN NULL; -- only words were erased
  END IF;
  PERFORM emit_event('contest.' || step, jsonb_build_object(
            'sessionId', s.id, 'customerId', s.customer_id, 'mechanicId', s.mechanic_id, 'reason', NEW.reason,
            'outcome', NEW.outcome, 'refundCents', NEW.refund_cents, 'refundCredits', NEW.refund_credits), s.id)
    FROM sessions s WHERE s.id = NEW.session_id;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION contests_follow() IS
  'Holds what is not sent of a contested session''s money, releases it as decided, audits the decision and has both told.';
CREATE TRIGGER contests_follow AFTER INSERT OR UPDATE ON contests FOR EACH ROW EXECUTE FUNCTION contests_follow();

CREATE FUNCTION refund_ends_contest() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM contest_holds(NEW.intake_id);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION refund_ends_contest() IS 'Has the rest of a payout sent once the contest''s refund is booked.';
CREATE TRIGGER refund_ends_contest AFTER UPDATE OF state ON refunds FOR EACH ROW
  WHEN (NEW.kind = 'contest' AND NEW.state IN ('sent', 'returned') AND OLD.state NOT IN ('sent', 'returned'))
  EXECUTE FUNCTION refund_ends_contest();

CREATE FUNCTION contest_holds_stand() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM payouts p JOIN contests c ON c.session_id = p.session_id
              WHERE p.id = NEW.payout_id AND c.outcome IS NULL) THEN
    RAISE EXCEPTION 'the contest that holds payout % is not decided', NEW.payout_id USING ERRCODE = 'AD004';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION contest_holds_stand() IS 'Refuses to release what an undecided contest holds, whoever asks.';
CREATE TRIGGER contest_holds_stand BEFORE UPDATE OF released_at ON payout_holds FOR EACH ROW
  WHEN (NEW.reason = 'contest' AND NEW.released_at IS NOT NULL) EXECUTE FUNCTION contest_holds_stand();
