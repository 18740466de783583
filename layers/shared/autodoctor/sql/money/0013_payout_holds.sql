-- Why a payout waits: holds, and the triggers that keep it from leaving.

-- A payout with an open hold is not sent, whatever else happens to it. Triggers keep its state: so a path that makes
-- payouts due again (a won dispute, a new account, an operator's retry) cannot overlook a hold.
CREATE TABLE payout_holds (
  payout_id    uuid NOT NULL REFERENCES payouts (id),
  reason       text NOT NULL,
  note         text CHECK (length(note) BETWEEN 1 AND 500),
  held_by      uuid,
  held_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  released_by  uuid,
  released_at  timestamptz,
  PRIMARY KEY (payout_id, reason),
  CONSTRAINT payout_holds_reason_known CHECK (reason IN ('operator', 'suspended', 'escalation', 'disputed_credits', 'destination', 'contest')),
  CONSTRAINT payout_holds_released_once CHECK (released_by IS NULL OR released_at IS NOT NULL)
);
CREATE INDEX payout_holds_open ON payout_holds (payout_id) WHERE released_at IS NULL;
CREATE INDEX payout_holds_escalations ON payout_holds (held_at) WHERE released_at IS NULL AND reason = 'escalation';
COMMENT ON TABLE payout_holds IS 'The reasons for which payouts are not sent yet. A payout may have several, each once; it is sent when all are released.';
COMMENT ON COLUMN payout_holds.reason IS
  'operator: an admin''s decision, see note; suspended: its mechanic is suspended; escalation: a share of an approved quote that an admin has to look at; disputed_credits: credits that paid for its session come from a pack whose payment is disputed, or was lost; destination: the mechanic''s account was changed less than destination_hold() ago; contest: the customer contested its session.';
COMMENT ON COLUMN payout_holds.note IS 'The admin''s words.';
COMMENT ON COLUMN payout_holds.held_by IS 'The sub of the admin''s token; null: the system.';
COMMENT ON COLUMN payout_holds.held_at IS 'When it was held, or held again after a release.';
COMMENT ON COLUMN payout_holds.released_by IS 'The sub of the admin''s token; null: nobody yet, or the system.';
COMMENT ON COLUMN payout_holds.released_at IS 'When it was released; null: it holds the payout.';
GRANT SELECT,
      INSERT (payout_id, reason, note, held_by),
      UPDATE (note, held_by, held_at, released_by, released_at)
  ON payout_holds TO autodoctor_app;

CREATE FUNCTION destination_hold() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT make_interval(hours => coalesce((SELECT s.value::integer FROM settings s WHERE s.key = 'destination_hold_hours'), 24))
$$;
COMMENT ON FUNCTION destination_hold() IS
  'How long a mechanic''s payouts wait after their account was changed: the settings table (destination_hold_hours), then 24 hours.';

CREATE FUNCTION destination_is_new(mechanic uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM mechanic_accounts a
                  WHERE a.mechanic_id = mechanic AND a.destination_changed_at > now() - destination_hold())
$$;
COMMENT ON FUNCTION destination_is_new(uuid) IS 'Whether the mechanic''s account was changed less than destination_hold() ago.';

-- The time is asked too, and no writer has a right to it: a hold that somebody releases early changes nothing.
CREATE FUNCTION is_held(payout uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM payout_holds h WHERE h.payout_id = payout AND h.released_at IS NULL)
      OR destination_is_new((SELECT p.mechanic_id FROM payouts p WHERE p.id = payout))
$$;
COMMENT ON FUNCTION is_held(uuid) IS 'Whether the payout has an open hold, or its destination is new.';

CREATE FUNCTION payout_hold() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT make_interval(hours => number_setting('payout_hold_hours', 24))
$$;
COMMENT ON FUNCTION payout_hold() IS
  'How long what a mechanic has earned stays here, so that its customer can contest it: the settings table (payout_hold_hours), then 24 hours.';

-- No writer has a right to created_at.
CREATE FUNCTION may_leave(payout uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT NOT is_held(payout)
     AND EXISTS (SELECT FROM payouts p WHERE p.id = payout AND p.created_at + payout_hold() <= clock_timestamp())
$$;
COMMENT ON FUNCTION may_leave(uuid) IS 'Whether a payout may be sent: nothing holds it, and payout_hold() is over.';

CREATE FUNCTION hold_payout(payout uuid, why text, words text DEFAULT NULL, admin uuid DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO payout_holds AS h (payout_id, reason, note, held_by) VALUES (payout, why, words, admin)
  ON CONFLICT (payout_id, reason) DO UPDATE
     SET note = excluded.note, held_by = excluded.held_by, held_at = clock_timestamp(), released_by = NULL, released_at = NULL
   WHERE h.released_at IS NOT NULL
$$;
COMMENT ON FUNCTION hold_payout(uuid, text, text, uuid) IS 'Holds a payout for a reason, again if that hold was released; one that is being sent is held if that fails.';

CREATE FUNCTION payouts_wait() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF is_held(NEW.id) THEN
    NEW.state := 'held';
    NEW.waits_for := 'release';
    NEW.next_attempt_at := NULL;
  ELSIF NEW.next_attempt_at < NEW.created_at + payout_hold() THEN
    NEW.next_attempt_at := NEW.created_at + payout_hold();
    NEW.waits_for := CASE NEW.state WHEN 'due' THEN 'time' ELSE NEW.waits_for END;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION payouts_wait() IS 'Keeps a payout with an open hold from becoming due, and any other from being attempted before payout_hold() is over.';
CREATE TRIGGER payouts_wait BEFORE INSERT OR UPDATE OF state, next_attempt_at ON payouts FOR EACH ROW
  WHEN (NEW.state IN ('due', 'held')) EXECUTE FUNCTION payouts_wait();

CREATE FUNCTION payout_holds_follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.released_at IS NULL THEN
    UPDATE payouts SET state = 'held' WHERE id = NEW.payout_id AND state IN ('due', 'held');
  ELSIF NOT is_held(NEW.payout_id) THEN
    UPDATE payouts SET state = 'due', waits_for = NULL, attempts = 0, next_attempt_at = clock_timestamp()
     WHERE id = NEW.payout_id AND state = 'held' AND waits_for = 'release';
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION payout_holds_follow() IS 'Holds the payout, or has it sent once nothing holds it any more.';
CREATE TRIGGER payout_holds_follow AFTER INSERT OR UPDATE OF released_at ON payout_holds
  FOR EACH ROW EXECUTE FUNCTION payout_holds_follow();

CREATE FUNCTION payout_holds_audited() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  admin uuid := CASE WHEN NEW.released_at IS NULL THEN NEW.held_by ELSE NEW.released_by END;
BEGIN
  INSERT INTO admin_changes (id, actor_id, actor, kind, subject, changed, before, after)
  VALUES (new_id(), admin, CASE WHEN admin IS NULL THEN 'db:' || session_user END,
          CASE WHEN NEW.released_at IS NULL THEN 'payout.held' ELSE 'payout.released' END,
          NEW.payout_id::text, '{held}', jsonb_build_object('held', NEW.released_at IS NOT NULL),
          jsonb_build_object('held', NEW.released_at IS NULL, 'reason', NEW.reason));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION payout_holds_audited() IS
  'Records in admin_changes who held or released a payout: an admin, or the application''s role in a statement that names none.';
-- The system's own holds and releases are made by functions with the owner's rights, so current_user tells them apart.
CREATE TRIGGER payout_holds_audited AFTER INSERT ON payout_holds FOR EACH ROW
  WHEN (NEW.held_by IS NOT NULL OR current_user = 'autodoctor_app') EXECUTE FUNCTION payout_holds_audited();
CREATE TRIGGER payout_holds_audited_again AFTER UPDATE ON payout_holds FOR EACH ROW
  WHEN ((OLD.released_at, OLD.released_by) IS DISTINCT FROM (NEW.released_at, NEW.released_by)
        AND (CASE WHEN NEW.released_at IS NULL THEN NEW.held_by ELSE NEW.released_by END IS NOT NULL
             OR current_user = 'autodoctor_app'))
  EXECUTE FUNCTION payout_holds_audited();

-- In plpgsql, as contests come later.
CREATE FUNCTION price_went_back(session uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM checkouts p JOIN losses l ON l.payment_intent_id = p.stripe_payment_intent_id
                  WHERE p.intake_id = session AND l.effective)
      OR EXISTS (SELECT FROM contests c WHERE c.session_id = session AND c.outcome <> 'keep')
      OR EXISTS (SELECT FROM settlements s WHERE s.session_id = session AND s.outcome IN ('refund', 'return'));
END
$$;
COMMENT ON FUNCTION price_went_back(uuid) IS
  'Whether of what was paid for a session something went back, or has to: a refund, a lost dispute, a contest decided for the customer, or late evidence.';

CREATE FUNCTION escalation_needs_release(session uuid, cents bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT price_went_back(session) OR NOT EXISTS (
    SELECT FROM quotes q JOIN intakes i ON i.id = q.session_id JOIN customers c ON c.id = i.customer_id
     WHERE q.approved_session_id = session AND cents < number_setting('escalation_auto_release_cents', 2500)
       -- the customer paid for it: with a card, or with credits that were bought
       AND CASE i.funding
             WHEN 'card' THEN true
             WHEN 'credit' THEN NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.kind = 'credit_grant'
                                               AND t.credit_account = 'customer:' || c.user_id || ':credits')
             ELSE false END
       AND NOT EXISTS (
         SELECT FROM payouts p JOIN quotes o ON o.approved_session_id = p.session_id JOIN intakes oi ON oi.id = p.session_id
          WHERE p.kind = 'escalation' AND p.created_at > now() - interval '30 days' AND p.session_id <> session
            AND (oi.customer_id = i.customer_id
                 OR o.mechanic_id = q.mechanic_id AND (o.workshop_id = q.workshop_id OR o.given_by_id = q.given_by_id)
                 OR o.mechanic_id = q.given_by_id AND o.given_by_id = q.mechanic_id)))
$$;
COMMENT ON FUNCTION escalation_needs_release(uuid, bigint) IS
  'Whether an admin has to release the share of a session''s approved quote. Not if it is below escalation_auto_release_cents (the settings table, else 2500), the customer paid for the session and has nothing of it back, and in 30 days no other was earned for this customer, by this mechanic from that workshop or mechanic, or by these two the other way round.';

CREATE FUNCTION hold_share_of(session uuid) RETURNS void LANGUAGE sql AS $$
  SELECT hold_payout(p.id, 'escalation') FROM payouts p
   WHERE p.session_id = session AND p.kind = 'escalation' AND p.state IN ('due', 'held', 'sending', 'failed')
$$;
COMMENT ON FUNCTION hold_share_of(uuid) IS
  'Holds the share of a session''s quote, if it is not sent, as the price goes back: also one that was released before that was known.';
REVOKE EXECUTE ON FUNCTION hold_share_of(uuid) FROM PUBLIC;

CREATE FUNCTION price_goes_back() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_TABLE_NAME = 'settlements' THEN
    PERFORM hold_share_of(NEW.session_id);
    RETURN NULL;
  END IF;
  -- what a contest gives back has held the share when it was decided
  PERFORM hold_share_of(p.intake_id) FROM checkouts p
    WHERE p.stripe_payment_intent_id = NEW.payment_intent_id AND p.kind = 'intake'
      AND NOT EXISTS (SELECT FROM contests c WHERE c.session_id = p.intake_id AND c.outcome <> 'keep');
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION price_goes_back() IS 'Holds the share of a session''s quote from when its price goes back.';
CREATE TRIGGER price_goes_back AFTER INSERT ON settlements FOR EACH ROW
  WHEN (NEW.outcome IN ('refund', 'return')) EXECUTE FUNCTION price_goes_back();
CREATE TRIGGER price_goes_back AFTER INSERT ON stripe_refunds FOR EACH ROW
  WHEN (NOT NEW.failed) EXECUTE FUNCTION price_goes_back();
CREATE TRIGGER price_goes_back AFTER INSERT ON stripe_disputes FOR EACH ROW
  WHEN (dispute_is_lost(NEW.status, NEW.withdrawn_cents, NEW.reinstated_cents)) EXECUTE FUNCTION price_goes_back();
CREATE TRIGGER price_goes_back_later AFTER UPDATE ON stripe_disputes FOR EACH ROW
  WHEN (dispute_is_lost(NEW.status, NEW.withdrawn_cents, NEW.reinstated_cents)
        AND NOT dispute_is_lost(OLD.status, OLD.withdrawn_cents, OLD.reinstated_cents))
  EXECUTE FUNCTION price_goes_back();

CREATE FUNCTION hold_disputed_credits(of_user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  missing bigint; -- credits of disputed or lost packs that have been spent
BEGIN
  IF NOT EXISTS (SELECT FROM checkouts c JOIN stripe_disputes d ON d.payment_intent_id = c.stripe_payment_intent_id
                  WHERE c.user_id = of_user AND c.kind = 'pack' AND c.status = 'paid') THEN
    RETURN;
  END IF;
  PERFORM FROM credit_balances b WHERE b.user_id = of_user FOR UPDATE; -- nobody spends meanwhile
  missing := greatest(frozen_credits(of_user) - coalesce((SELECT b.balance FROM credit_balances b WHERE b.user_id = of_user), 0), 0)
    + coalesce((
      SELECT sum(l.part - coalesce((SELECT sum(t.amount) FROM ledger_transfer t
                                     WHERE t.debit_account = 'customer:' || of_user || ':credits' AND t.kind = 'credit_withdrawal'
                                       AND (t.key = l.base || ':credits' OR starts_with(t.key, l.base || ':repaid:'))), 0))
        FROM checkouts c JOIN losses l ON l.payment_intent_id = c.stripe_payment_intent_id
       WHERE c.user_id = of_user AND c.kind = 'pack' AND l.kind = 'dispute' AND l.booked = 'split'), 0);
  WITH spent AS MATERIALIZED (
    -- the newest first; what has come back was not spent
    SELECT i.id, coalesce(sum(i.credits) OVER (ORDER BY i.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
                   < missing AS doubtful
      FROM customers c JOIN intakes i ON i.customer_id = c.id
      LEFT JOIN session_extensions x ON x.intake_id = i.id
      LEFT JOIN extension_settlements e ON e.extension_id = x.id
      JOIN sessions s ON s.id = coalesce(x.session_id, i.id)
     WHERE c.user_id = of_user AND i.funding = 'credit' AND (s.ended_at IS NULL OR s.status = 'completed')
       AND e.outcome IS DISTINCT FROM 'return'
       AND NOT EXISTS (SELECT FROM contest_parts k WHERE k.intake_id = i.id AND k.credits = i.credits)
  ), released AS (
    UPDATE payout_holds h SET released_at = clock_timestamp()
      FROM spent JOIN payouts p ON p.intake_id = spent.id
     WHERE NOT spent.doubtful AND h.payout_id = p.id AND h.reason = 'disputed_credits' AND h.released_at IS NULL
  )
  INSERT INTO payout_holds AS h (payout_id, reason)
  SELECT p.id, 'disputed_credits' FROM spent JOIN payouts p ON p.intake_id = spent.id
   WHERE spent.doubtful AND p.state IN ('due', 'held', 'sending', 'failed')
  ON CONFLICT (payout_id, reason) DO UPDATE SET held_at = clock_timestamp(), released_at = NULL
   WHERE h.released_at IS NOT NULL AND h.released_by IS NULL; -- an admin's release stands
END
$$;
COMMENT ON FUNCTION hold_disputed_credits(uuid) IS
  'Holds the payouts of sessions that a customer paid for with credits of packs whose payment is disputed, or was lost: the newest sessions, as many as credits are missing. Releases them when a dispute was won. One that was lost is an admin''s to release: the customer owes for it, and may be the mechanic.';

CREATE FUNCTION payouts_begin_held() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  -- the row's lock makes a suspension that is under way, or another escalation, come before or after, never beside
  PERFORM FROM mechanics m WHERE m.id = NEW.mechanic_id FOR NO KEY UPDATE;
  IF EXISTS (SELECT FROM mechanics m WHERE m.id = NEW.mechanic_id AND m.status = 'suspended') THEN
    PERFORM hold_payout(NEW.id, 'suspended');
  END IF;
  IF destination_is_new(NEW.mechanic_id) THEN
    PERFORM hold_payout(NEW.id, 'destination');
  END IF;
  IF NEW.kind = 'escalation' AND NOT EXISTS (
       SELECT FROM sessions s WHERE s.id = NEW.session_id AND s.status = 'completed') THEN
    RAISE EXCEPTION 'session % was not completed: its quote earns nobody a share', NEW.session_id USING ERRCODE = 'check_violation';
  ELSIF NEW.kind = 'escalation' AND escalation_needs_release(NEW.session_id, NEW.amount_cents) THEN
    PERFORM hold_payout(NEW.id, 'escalation');
  END IF;
  -- a contest refers to this row: one that is under way comes before or after, never beside
  PERFORM FROM settlements s WHERE s.session_id = NEW.session_id FOR UPDATE;
  IF EXISTS (SELECT FROM contests c WHERE c.session_id = NEW.session_id AND c.outcome IS NULL) THEN
    PERFORM hold_payout(NEW.id, 'contest');
  END IF;
  PERFORM hold_disputed_credits(c.user_id) FROM intakes i JOIN customers c ON c.id = i.customer_id
    WHERE i.id = NEW.intake_id AND i.funding = 'credit';
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION payouts_begin_held() IS
  'Holds a payout that is new, or of which something is to be sent again, for what is known already; refuses the share of a quote for a session that is not completed.';
CREATE TRIGGER payouts_begin_held AFTER INSERT ON payouts FOR EACH ROW EXECUTE FUNCTION payouts_begin_held();
-- Nobody holds a payout while nothing of it is left to send.
CREATE TRIGGER payouts_begin_anew_held AFTER UPDATE OF state ON payouts FOR EACH ROW
  WHEN (OLD.state = 'cancelled' AND NEW.state IN ('due', 'held')) EXECUTE FUNCTION payouts_begin_held();

CREATE FUNCTION mechanics_hold_payouts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.status = 'suspended' THEN
    PERFORM hold_payout(p.id, 'suspended') FROM payouts p
     WHERE p.mechanic_id = NEW.id AND p.state IN ('due', 'held', 'sending', 'failed');
  ELSE
    UPDATE payout_holds h SET released_at = clock_timestamp()
      FROM payouts p
     WHERE p.mechanic_id = NEW.id AND h.payout_id = p.id AND h.reason = 'suspended' AND h.released_at IS NULL;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION mechanics_hold_payouts() IS 'Holds what a mechanic is owed for as long as they are suspended.';
CREATE TRIGGER mechanics_hold_payouts AFTER UPDATE OF status ON mechanics FOR EACH ROW
  WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION mechanics_hold_payouts();

CREATE FUNCTION destination_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  -- the first account of a mechanic changes nothing: there was none to lead money away from
  IF OLD.stripe_account_id IS NOT NULL OR OLD.destination_changed_at IS NOT NULL OR OLD.former_account_ids <> '{}' THEN
    NEW.destination_changed_at := clock_timestamp();
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION destination_changes() IS 'Notes when a mechanic''s account is changed, by whomever.';
CREATE TRIGGER destination_changes BEFORE UPDATE OF stripe_account_id ON mechanic_accounts FOR EACH ROW
  WHEN (OLD.stripe_account_id IS DISTINCT FROM NEW.stripe_account_id) EXECUTE FUNCTION destination_changes();

CREATE FUNCTION destination_holds_payouts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM hold_payout(p.id, 'destination') FROM payouts p
   WHERE p.mechanic_id = NEW.mechanic_id AND p.state IN ('due', 'held', 'sending', 'failed');
  INSERT INTO admin_changes (id, actor, kind, subject, changed, before, after)
  VALUES (new_id(), 'db:' || session_user, 'mechanic.destination_changed', NEW.mechanic_id::text, '{stripe_account_id}',
          jsonb_strip_nulls(jsonb_build_object('stripe_account_id', OLD.stripe_account_id)),
          jsonb_strip_nulls(jsonb_build_object('stripe_account_id', NEW.stripe_account_id)));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION destination_holds_payouts() IS 'Holds what a mechanic is owed, and audits where it would go from now on.';
CREATE TRIGGER destination_holds_payouts AFTER UPDATE OF stripe_account_id ON mechanic_accounts FOR EACH ROW
  WHEN (OLD.destination_changed_at IS DISTINCT FROM NEW.destination_changed_at)
  EXECUTE FUNCTION destination_holds_payouts();

CREATE FUNCTION release_destination_holds(batch integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  released integer;
BEGIN
  WITH over AS MATERIALIZED (
    SELECT h.payout_id FROM payout_holds h JOIN payouts p ON p.id = h.payout_id
     WHERE h.reason = 'destination' AND h.released_at IS NULL AND NOT destination_is_new(p.mechanic_id)
     LIMIT batch
       FOR NO KEY UPDATE OF h SKIP LOCKED)
  UPDATE payout_holds h SET released_at = clock_timestamp() FROM over
   WHERE h.payout_id = over.payout_id AND h.reason = 'destination' AND h.released_at IS NULL;
  GET DIAGNOSTICS released = ROW_COUNT;
  -- those whose hold somebody released before its time
  UPDATE payouts p SET state = 'due', waits_for = NULL, attempts = 0, next_attempt_at = clock_timestamp()
   WHERE p.id IN (SELECT x.id FROM payouts x WHERE x.state = 'held' AND x.waits_for = 'release'
                     AND NOT EXISTS (SELECT FROM payout_holds h WHERE h.payout_id = x.id AND h.released_at IS NULL)
                     AND NOT destination_is_new(x.mechanic_id)
                   LIMIT batch FOR NO KEY UPDATE SKIP LOCKED);
  RETURN released;
END
$$;
COMMENT ON FUNCTION release_destination_holds(integer) IS
  'Has up to batch payouts sent whose destination is no longer new; returns how many holds it released.';
