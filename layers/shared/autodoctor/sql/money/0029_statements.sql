-- Netting: what a mechanic owes is withheld from their next payouts, if they agreed to that; and given back where the
-- debt turns out to be none.

CREATE TABLE netting_consents (
  id            uuid PRIMARY KEY DEFAULT new_id(),
  mechanic_id   uuid NOT NULL REFERENCES mechanics (id),
  version       integer NOT NULL CHECK (version > 0),
  words         text NOT NULL CHECK (length(words) BETWEEN 1 AND 2000),
  agreed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  withdrawn_at  timestamptz CHECK (withdrawn_at >= agreed_at)
);
CREATE UNIQUE INDEX netting_consents_one_in_force ON netting_consents (mechanic_id) WHERE withdrawn_at IS NULL;
CREATE INDEX netting_consents_by_mechanic ON netting_consents (mechanic_id, id);
COMMENT ON TABLE netting_consents IS
  'Mechanics'' consents that what they owe is withheld from their payouts. One can be withdrawn, for what comes after; none is changed otherwise.';
COMMENT ON COLUMN netting_consents.version IS 'The version of the words.';
COMMENT ON COLUMN netting_consents.words IS 'The words that the mechanic agreed to.';
COMMENT ON COLUMN netting_consents.agreed_at IS 'When, by the database''s clock.';
COMMENT ON COLUMN netting_consents.withdrawn_at IS 'When it was withdrawn; null: it is in force.';
CREATE TRIGGER netting_consents_are_kept BEFORE DELETE OR TRUNCATE ON netting_consents
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT, INSERT (mechanic_id, version, words), UPDATE (withdrawn_at) ON netting_consents TO autodoctor_app;

CREATE FUNCTION netting_consents_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF OLD.withdrawn_at IS NOT NULL OR to_jsonb(NEW) - 'withdrawn_at' <> to_jsonb(OLD) - 'withdrawn_at' THEN
    RAISE EXCEPTION 'netting consent % is fixed', OLD.id USING ERRCODE = 'AD004';
  END IF;
  NEW.withdrawn_at := clock_timestamp();
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION netting_consents_guard() IS 'Lets a consent be withdrawn, once and now, and nothing else.';
CREATE TRIGGER netting_consents_guard BEFORE UPDATE ON netting_consents
  FOR EACH ROW EXECUTE FUNCTION netting_consents_guard();

CREATE FUNCTION mechanic_owes(mechanic uuid, of_intake uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(CASE WHEN t.debit_account = a.account THEN t.amount ELSE -t.amount END), 0)::bigint
    FROM (SELECT 'mechanic:' || mechanic || ':receivable' AS account) AS a
    JOIN ledger_transfer t ON t.debit_account = a.account OR t.credit_account = a.account
   WHERE t.intake_id = of_intake
     AND (t.debit_account LIKE 'mechanic:%:receivable' OR t.credit_account LIKE 'mechanic:%:receivable')
$$;
COMMENT ON FUNCTION mechanic_owes(uuid, uuid) IS
  'Cents of a session, or of an extension, that a mechanic was sent and has to give back.';

CREATE FUNCTION returnable(mechanic uuid, of_intake uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(CASE t.kind WHEN 'netting' THEN t.amount ELSE -t.amount END), 0)::bigint FROM ledger_transfer t
   WHERE t.intake_id = of_intake
     AND (t.kind = 'netting' AND t.debit_account = 'mechanic:' || mechanic || ':payable'
          OR t.kind = 'correction' AND t.credit_account = 'mechanic:' || mechanic || ':payable' AND t.key LIKE '%:undone:netting')
$$;
COMMENT ON FUNCTION returnable(uuid, uuid) IS
  'Cents that were netted for what a mechanic owed of a session, or of an extension, and were not given back.';

CREATE FUNCTION netting_is_agreed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  mechanic uuid := split_part(NEW.debit_account, ':', 2)::uuid;
BEGIN
  -- the row's lock makes a withdrawal, or another netting of this mechanic, come before or after, never beside
  PERFORM FROM netting_consents c WHERE c.mechanic_id = mechanic AND c.withdrawn_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'mechanic % has not agreed to netting', mechanic USING ERRCODE = 'check_violation';
  ELSIF mechanic_owes(mechanic, NEW.intake_id) < NEW.amount THEN
    RAISE EXCEPTION 'mechanic % does not owe % cents of session %', mechanic, NEW.amount, NEW.intake_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION netting_is_agreed() IS 'Refuses to net without a consent in force, or more than is owed of the session.';
CREATE TRIGGER netting_is_agreed BEFORE INSERT ON ledger_transfer FOR EACH ROW
  WHEN (NEW.kind = 'netting') EXECUTE FUNCTION netting_is_agreed();

CREATE FUNCTION return_netted(mechanic uuid, of_session uuid, cents bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents) VALUES (of_session, mechanic, 'returned', cents)
$$;
COMMENT ON FUNCTION return_netted(uuid, uuid, bigint) IS
  'Owes a mechanic again what was netted for a debt of a session that was none in the end, as a payout.';

CREATE FUNCTION return_reversed(of_payout uuid, most bigint DEFAULT NULL) RETURNS boolean LANGUAGE sql AS $$
  WITH back AS (
    UPDATE payouts p SET withheld_cents = p.withheld_cents + i.cents
      FROM (SELECT o.id, least(o.amount_cents - o.withheld_cents - o.netted_cents - o.sent_cents + o.reversed_cents, most) AS cents
              FROM payouts o WHERE o.id = of_payout FOR NO KEY UPDATE) AS i
     WHERE p.id = i.id AND p.state = 'reversed' AND i.cents > 0 RETURNING p.session_id, p.mechanic_id, i.cents
  ), again AS (
    INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents)
    SELECT b.session_id, b.mechanic_id, 'returned', b.cents FROM back b RETURNING id
  )
  SELECT EXISTS (SELECT FROM again)
$$;
COMMENT ON FUNCTION return_reversed(uuid, bigint) IS
  'Owes a mechanic what was taken back of a payout and is theirs, at most so many cents, as another payout; for operators too. False if nothing is.';

CREATE FUNCTION returned_was_here() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  left_of_it bigint;
BEGIN
  SELECT coalesce(sum(t.amount), 0) - coalesce((SELECT sum(p.amount_cents) FROM payouts p
                                                 WHERE p.session_id = NEW.session_id AND p.mechanic_id = NEW.mechanic_id
                                                   AND p.kind = 'returned'), 0) INTO left_of_it
    FROM (SELECT NEW.session_id AS id UNION SELECT x.id FROM session_extensions x WHERE x.session_id = NEW.session_id) AS i
    JOIN ledger_transfer t ON t.intake_id = i.id
   WHERE t.kind = 'netting' AND t.debit_account = 'mechanic:' || NEW.mechanic_id || ':payable'
      OR t.kind = 'reversal' AND t.credit_account = 'mechanic:' || NEW.mechanic_id || ':payable';
  IF left_of_it < NEW.amount_cents THEN
    RAISE EXCEPTION 'less than % cents of session % were netted or taken back', NEW.amount_cents, NEW.session_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION returned_was_here() IS 'Refuses to return more than was netted for a session, or taken back of its payouts.';
CREATE TRIGGER returned_was_here BEFORE INSERT ON payouts FOR EACH ROW
  WHEN (NEW.kind = 'returned') EXECUTE FUNCTION returned_was_here();
