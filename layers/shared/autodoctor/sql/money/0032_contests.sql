-- Contests: a customer says that a session was not worth its price, its mechanic may answer, an admin decides once.

CREATE FUNCTION contest_time() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT make_interval(hours => number_setting('contest_hours', 72))
$$;
COMMENT ON FUNCTION contest_time() IS
  'For how long after its settlement a session can be contested: the settings table (contest_hours), then 72 hours.';

CREATE TABLE contests (
  session_id      uuid PRIMARY KEY REFERENCES settlements (session_id),
  reason          text NOT NULL CHECK (reason IN ('not_helped', 'wrong_advice', 'cut_short', 'behaviour', 'other')),
  words           text NOT NULL CHECK (length(words) <= 2000),
  contested_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  answer          text CHECK (length(answer) <= 2000),
  answered_at     timestamptz,
  outcome         text CHECK (outcome IN ('keep', 'part', 'all')),
  refund_cents    bigint CHECK (refund_cents > 0),
  refund_credits  integer CHECK (refund_credits > 0),
  note            text CHECK (length(note) BETWEEN 1 AND 500),
  decided_at      timestamptz,
  decided_by      uuid,
  change_id       uuid,
  CONSTRAINT contests_answered_whole CHECK ((answer IS NULL) = (answered_at IS NULL)),
  CONSTRAINT contests_decided_whole CHECK (num_nonnulls(outcome, note, decided_at, decided_by, change_id) IN (0, 5)),
  CONSTRAINT contests_give_back_as_decided CHECK (
    (num_nonnulls(refund_cents, refund_credits) > 0) = (outcome IS NOT NULL AND outcome <> 'keep'))
);
CREATE INDEX contests_undecided ON contests (contested_at) WHERE outcome IS NULL;
COMMENT ON TABLE contests IS
  'Paid sessions that their customers contest, with the minutes that were added to them. What is not sent of their money waits for an admin''s decision.';
COMMENT ON COLUMN contests.reason IS 'What was wrong, as the customer chose it.';
COMMENT ON COLUMN contests.words IS 'The customer''s words; personal data, empty once they were erased.';
COMMENT ON COLUMN contests.contested_at IS 'When it was contested.';
COMMENT ON COLUMN contests.answer IS 'The mechanic''s words, once; personal data, empty once they were erased.';
COMMENT ON COLUMN contests.answered_at IS 'When the mechanic answered.';
COMMENT ON COLUMN contests.outcome IS
  'keep: it stays as it was settled; part: some of what was paid goes back; all: all of it; null: nobody has decided.';
COMMENT ON COLUMN contests.refund_cents IS
  'What the customer shall have back of payments by card, in cents of usd; what went back before counts.';
COMMENT ON COLUMN contests.refund_credits IS 'The same of what was paid with credits, in credits.';
COMMENT ON COLUMN contests.note IS 'The admin''s words, which both parties read, without personal data.';
COMMENT ON COLUMN contests.decided_at IS 'When it was decided.';
COMMENT ON COLUMN contests.decided_by IS 'The sub of the admin''s token.';
COMMENT ON COLUMN contests.change_id IS 'The id of the decision in admin_changes.';
CREATE TRIGGER contests_are_kept BEFORE DELETE OR TRUNCATE ON contests
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT,
      INSERT (session_id, reason, words),
      UPDATE (answer, outcome, refund_cents, refund_credits, note, decided_by, change_id)
  ON contests TO autodoctor_app;

-- Nobody has a right to write it: the decision's trigger divides what goes back.
CREATE TABLE contest_parts (
  intake_id        uuid PRIMARY KEY REFERENCES intakes (id),
  session_id       uuid NOT NULL REFERENCES contests (session_id),
  cents            bigint CHECK (cents > 0),
  credits          integer CHECK (credits > 0),
  settled_outcome  text NOT NULL GENERATED ALWAYS AS ('pay') STORED,
  own_session_id   uuid GENERATED ALWAYS AS (CASE WHEN intake_id = session_id THEN session_id END) STORED,
  extension_id     uuid GENERATED ALWAYS AS (CASE WHEN intake_id <> session_id THEN intake_id END) STORED,
  CONSTRAINT contest_parts_in_one_unit CHECK (num_nonnulls(cents, credits) = 1),
  CONSTRAINT contest_parts_refund UNIQUE (intake_id, cents), -- so that the refund has the decided amount
  CONSTRAINT contest_parts_of_a_paying_session
    FOREIGN KEY (own_session_id, settled_outcome) REFERENCES settlements (session_id, outcome),
  CONSTRAINT contest_parts_of_a_used_extension
    FOREIGN KEY (extension_id, settled_outcome) REFERENCES extension_settlements (extension_id, outcome)
);
CREATE INDEX contest_parts_by_session ON contest_parts (session_id);
COMMENT ON TABLE contest_parts IS
  'What goes back of each price of a contested session that was decided: of its own, and of each extension that was used.';
COMMENT ON COLUMN contest_parts.intake_id IS 'The intake that was paid: the session''s, or an extension''s.';
COMMENT ON COLUMN contest_parts.session_id IS 'The contested session.';
COMMENT ON COLUMN contest_parts.cents IS 'Of a payment by card, in cents of usd.';
COMMENT ON COLUMN contest_parts.credits IS 'Of what was paid with credits, in credits.';
COMMENT ON COLUMN contest_parts.settled_outcome IS 'The settlement that each has: nothing else can be contested.';
COMMENT ON COLUMN contest_parts.own_session_id IS 'The session, where it is the part of its own price.';
COMMENT ON COLUMN contest_parts.extension_id IS 'The extension, where it is the part of one.';
CREATE TRIGGER contest_parts_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON contest_parts
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON contest_parts TO autodoctor_app;

ALTER TABLE refunds ADD CONSTRAINT refunds_as_a_contest_was_decided
  FOREIGN KEY (contested_intake_id, amount_cents) REFERENCES contest_parts (intake_id, cents);

CREATE FUNCTION contested_prices(of_session uuid)
RETURNS TABLE (intake_id uuid, funding text, price_cents integer, credits integer, gone_cents bigint) LANGUAGE sql STABLE AS $$
  SELECT i.id, i.funding, i.price_cents, i.credits,
         least(i.price_cents, coalesce((
           SELECT sum(l.cents) FROM checkouts c JOIN losses l ON l.payment_intent_id = c.stripe_payment_intent_id
            WHERE c.intake_id = i.id AND l.effective), 0))::bigint
    FROM (SELECT st.session_id AS id FROM settlements st WHERE st.session_id = of_session AND st.outcome = 'pay'
          UNION ALL
          SELECT e.extension_id FROM session_extensions x JOIN extension_settlements e ON e.extension_id = x.id
           WHERE x.session_id = of_session AND e.outcome = 'pay') AS settled
    JOIN intakes i ON i.id = settled.id
   WHERE i.funding IN ('card', 'credit') AND i.price_cents > 0
$$;
COMMENT ON FUNCTION contested_prices(uuid) IS
  'What was paid for a session and kept: its own price, and that of each extension that was used; with what of a card payment went back already.';

CREATE FUNCTION contestable_until(of_session uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT st.decided_at + contest_time() FROM settlements st
   WHERE st.session_id = of_session AND EXISTS (SELECT FROM contested_prices(of_session))
$$;
COMMENT ON FUNCTION contestable_until(uuid) IS
  'Until when a session can be contested: contest_time() after its settlement. Null where it is not settled, or nothing was paid for it, or everything goes back.';

-- Rounded down where parts add up, so that no part is above its price and all of them are the sum.
CREATE FUNCTION divided_contest(of_session uuid, back_cents bigint, back_credits integer)
RETURNS TABLE (intake_id uuid, cents bigint, credits integer) LANGUAGE sql STABLE AS $$
  WITH paid AS (
    SELECT p.intake_id, p.funding,
           CASE p.funding WHEN 'card' THEN back_cents ELSE back_credits END AS back,
           CASE p.funding WHEN 'card' THEN p.gone_cents ELSE 0 END AS gone,
           CASE p.funding WHEN 'card' THEN p.price_cents - p.gone_cents ELSE p.credits END AS kept
      FROM contested_prices(of_session) AS p
  ), added AS (
    SELECT p.intake_id, p.funding, p.back, sum(p.gone) OVER upto AS gone_upto, sum(p.kept) OVER upto AS kept_upto,
           sum(p.gone) OVER unit AS gone, sum(p.kept) OVER unit AS kept
      FROM paid p WINDOW unit AS (PARTITION BY p.funding), upto AS (unit ORDER BY p.intake_id)
  ), share AS (
    SELECT a.intake_id, a.funding,
           coalesce(div(least(a.back, a.gone) * a.gone_upto, nullif(a.gone, 0)), 0)
           + coalesce(div(greatest(a.back - a.gone, 0) * a.kept_upto, nullif(a.kept, 0)), 0) AS upto
      FROM added a WHERE a.back IS NOT NULL
  ), part AS (
    SELECT s.intake_id, s.funding,
           s.upto - lag(s.upto, 1, 0::numeric) OVER (PARTITION BY s.funding ORDER BY s.intake_id) AS amount
      FROM share s
  )
  SELECT p.intake_id, CASE p.funding WHEN 'card' THEN p.amount END::bigint,
         CASE p.funding WHEN 'credit' THEN p.amount END::integer
    FROM part p WHERE p.amount > 0
$$;
COMMENT ON FUNCTION divided_contest(uuid, bigint, integer) IS
  'Divides what goes back after a contest among what was paid: first over what went back already, the rest in proportion to what is left of each price.';

CREATE FUNCTION contests_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  words_only text[] := '{words,answer}';
  paid_cents bigint;
  paid_credits bigint;
  is_whole boolean;
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
    SELECT coalesce(sum(p.price_cents) FILTER (WHERE p.funding = 'card'), 0),
           coalesce(sum(p.credits) FILTER (WHERE p.funding = 'credit'), 0) INTO paid_cents, paid_credits
      FROM contested_prices(NEW.session_id) AS p;
    is_whole := (coalesce(NEW.refund_cents, 0), coalesce(NEW.refund_credits, 0)) = (paid_cents, paid_credits);
    IF NEW.refund_cents > paid_cents OR NEW.refund_credits > paid_credits OR is_whole <> (NEW.outcome = 'all') THEN
      RAISE EXCEPTION 'session % is given back in another amount than %', NEW.session_id, NEW.outcome
        USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION contests_guard() IS
  'Lets a session be contested while it can be, answered once and decided once, within what was paid; of a contest that is decided only words may be emptied.';
CREATE TRIGGER contests_guard BEFORE INSERT OR UPDATE ON contests FOR EACH ROW EXECUTE FUNCTION contests_guard();

CREATE FUNCTION contests_follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  step text := CASE WHEN TG_OP = 'INSERT' THEN 'opened' WHEN NEW.outcome IS NOT NULL THEN 'decided' ELSE 'answered' END;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM hold_payout(p.id, 'contest') FROM payouts p
     WHERE p.session_id = NEW.session_id AND p.state IN ('due', 'held', 'sending', 'failed');
  ELSIF OLD.outcome IS NULL AND NEW.outcome IS NOT NULL THEN
    INSERT INTO contest_parts (intake_id, session_id, cents, credits)
    SELECT d.intake_id, NEW.session_id, d.cents, d.credits
      FROM divided_contest(NEW.session_id, NEW.refund_cents, NEW.refund_credits) AS d;
    IF NEW.outcome <> 'keep' THEN
      PERFORM hold_share_of(NEW.session_id);
    END IF;
    -- the mechanic's part waits until the refund is booked, so that it is taken from what is not sent
    UPDATE payout_holds h SET released_at = clock_timestamp()
      FROM payouts p
     WHERE p.session_id = NEW.session_id AND h.payout_id = p.id AND h.reason = 'contest' AND h.released_at IS NULL
       AND NOT (p.kind IN ('session', 'extension')
                AND EXISTS (SELECT FROM contest_parts d WHERE d.intake_id = p.intake_id AND d.cents IS NOT NULL));
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
  'Holds what is not sent of a contested session''s money, divides and releases it as decided, audits the decision and has both told.';
CREATE TRIGGER contests_follow AFTER INSERT OR UPDATE ON contests FOR EACH ROW EXECUTE FUNCTION contests_follow();

CREATE FUNCTION refund_ends_contest() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE payout_holds h SET released_at = clock_timestamp()
    FROM payouts p
   WHERE p.intake_id = NEW.intake_id AND h.payout_id = p.id AND h.reason = 'contest' AND h.released_at IS NULL;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION refund_ends_contest() IS 'Has the rest of a payout sent once the contest''s refund of its price is booked.';
CREATE TRIGGER refund_ends_contest AFTER UPDATE OF state ON refunds FOR EACH ROW
  WHEN (NEW.kind = 'contest' AND NEW.state IN ('sent', 'returned') AND OLD.state NOT IN ('sent', 'returned'))
  EXECUTE FUNCTION refund_ends_contest();

CREATE FUNCTION refund_reopens_contest() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM hold_payout(p.id, 'contest') FROM payouts p
    WHERE p.intake_id = NEW.intake_id AND p.kind IN ('session', 'extension') AND p.state IN ('due', 'held', 'sending', 'failed');
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION refund_reopens_contest() IS
  'Holds a payout again where the contest''s refund of its price did not reach the customer in the end: the customer is to have it all the same.';
CREATE TRIGGER refund_reopens_contest AFTER UPDATE OF state ON refunds FOR EACH ROW
  WHEN (NEW.kind = 'contest' AND OLD.state IN ('sent', 'returned') AND NEW.state NOT IN ('sent', 'returned'))
  EXECUTE FUNCTION refund_reopens_contest();

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
