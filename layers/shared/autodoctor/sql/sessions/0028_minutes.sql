-- More minutes for a talk that is live; session_minutes() is the clock.
--
-- What a customer pays for them is an intake of its own, with the extension's id and no session: so each has its payment,
-- its settlement and its refund, by the code that all payments have.

CREATE TABLE session_extensions (
  id            uuid PRIMARY KEY DEFAULT new_id(),
  session_id    uuid NOT NULL REFERENCES sessions (id),
  pack          text NOT NULL,
  minutes       integer NOT NULL CHECK (minutes > 0),
  price_cents   integer NOT NULL CHECK (price_cents > 0),
  currency      text NOT NULL DEFAULT 'usd' CHECK (currency = 'usd'),
  credits       integer NOT NULL CHECK (credits >= 0),
  pay_with      text NOT NULL CHECK (pay_with IN ('credit', 'card')),
  asked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  status        text NOT NULL DEFAULT 'asked' CHECK (status IN ('asked', 'agreed', 'declined', 'lapsed', 'running')),
  answered_at   timestamptz,
  intake_id     uuid UNIQUE REFERENCES intakes (id),
  began_at      timestamptz,
  starts_after  integer CHECK (starts_after > 0),
  CONSTRAINT session_extensions_cost_something CHECK (pay_with <> 'credit' OR credits > 0),
  CONSTRAINT session_extensions_intake_of_its_own CHECK (intake_id = id),
  CONSTRAINT session_extensions_agreed_first CHECK (status NOT IN ('agreed', 'declined', 'running') OR answered_at IS NOT NULL),
  CONSTRAINT session_extensions_run_when_paid CHECK (
    CASE status WHEN 'running' THEN num_nonnulls(intake_id, began_at, starts_after) = 3
                ELSE num_nonnulls(began_at, starts_after) = 0 END)
);
CREATE UNIQUE INDEX session_extensions_one_open ON session_extensions (session_id) WHERE status IN ('asked', 'agreed');
CREATE INDEX session_extensions_by_session ON session_extensions (session_id, id);
COMMENT ON TABLE session_extensions IS
  'Minutes that a customer wants in addition, in a talk that is live: asked for, agreed by the mechanic, paid for, and then part of the clock. Only the functions below write it.';
COMMENT ON COLUMN session_extensions.id IS 'Also the id of its intake, once it is to be paid for.';
COMMENT ON COLUMN session_extensions.pack IS 'The code of the pack in its plan.';
COMMENT ON COLUMN session_extensions.minutes IS 'The pack''s at that moment.';
COMMENT ON COLUMN session_extensions.price_cents IS 'The pack''s at that moment, in cents of the currency.';
COMMENT ON COLUMN session_extensions.currency IS 'ISO 4217, lower case, as Stripe writes it.';
COMMENT ON COLUMN session_extensions.credits IS 'The pack''s at that moment: what it costs where it is paid by credits.';
COMMENT ON COLUMN session_extensions.pay_with IS 'credit or card.';
COMMENT ON COLUMN session_extensions.asked_at IS 'When the customer asked for it.';
COMMENT ON COLUMN session_extensions.status IS
  'asked: the mechanic has not answered; agreed: to be paid for by card; declined; lapsed: the customer asked for another one, could not pay, or the talk ended before; running: paid for, and part of the talk''s minutes.';
COMMENT ON COLUMN session_extensions.answered_at IS 'When the mechanic agreed or declined.';
COMMENT ON COLUMN session_extensions.intake_id IS 'Its intake, of the same id, to which payment, settlement and refund belong; null: nothing was to be paid yet.';
COMMENT ON COLUMN session_extensions.began_at IS 'When it was paid for.';
COMMENT ON COLUMN session_extensions.starts_after IS 'After how many minutes of the talk its own begin: those that were included, and those of earlier extensions.';
CREATE TRIGGER session_extensions_are_kept BEFORE DELETE OR TRUNCATE ON session_extensions
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON session_extensions TO autodoctor_app;

CREATE FUNCTION session_extensions_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  steps text[] := '{status,answered_at,intake_id,began_at,starts_after}';
BEGIN
  IF to_jsonb(NEW) - steps <> to_jsonb(OLD) - steps OR OLD.intake_id <> NEW.intake_id
     OR NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
          ('asked', 'agreed'), ('asked', 'declined'), ('asked', 'lapsed'), ('asked', 'running'),
          ('agreed', 'running'), ('agreed', 'lapsed')) THEN
    RAISE EXCEPTION 'extension % cannot become %', OLD.id, NEW.status USING ERRCODE = 'AD001';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION session_extensions_guard() IS 'Keeps what was asked for, and refuses moves that do not exist.';
CREATE TRIGGER session_extensions_guard BEFORE UPDATE ON session_extensions
  FOR EACH ROW EXECUTE FUNCTION session_extensions_guard();

CREATE TABLE minute_words (
  session_id  uuid NOT NULL REFERENCES sessions (id),
  minutes     integer NOT NULL CHECK (minutes IN (5, 1)),
  ends_at     timestamptz NOT NULL,
  told_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (session_id, minutes, ends_at)
);
COMMENT ON TABLE minute_words IS 'What the system said of the minutes that are left in a talk: once for each instant at which they would be over.';
COMMENT ON COLUMN minute_words.minutes IS 'How many were left, at most.';
COMMENT ON COLUMN minute_words.ends_at IS 'When the minutes would be over: another instant once the talk was extended.';
COMMENT ON COLUMN minute_words.told_at IS 'When it was said.';
GRANT SELECT ON minute_words TO autodoctor_app;

CREATE FUNCTION tell_minutes(batch integer DEFAULT 500) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  due record;
  told integer := 0;
BEGIN
  FOR due IN
    SELECT s.id, w.minutes, m.ends_at
      FROM sessions s CROSS JOIN LATERAL session_minutes(s) AS m
           CROSS JOIN LATERAL (SELECT CASE WHEN m.ends_at <= now() + interval '1 minute' THEN 1 ELSE 5 END AS minutes) AS w
     WHERE s.ended_at IS NULL AND s.status = 'live'
       AND m.ends_at > now() AND m.ends_at <= now() + interval '5 minutes'
       AND m.ends_at > s.started_at + make_interval(mins => w.minutes) -- at the start nobody needs to be told
       AND NOT EXISTS (SELECT FROM minute_words t
                        WHERE t.session_id = s.id AND t.minutes = w.minutes AND t.ends_at = m.ends_at)
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE OF s SKIP LOCKED
  LOOP
    INSERT INTO minute_words (session_id, minutes, ends_at) VALUES (due.id, due.minutes, due.ends_at)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
      PERFORM room_note(due.id, 'minutes_' || due.minutes);
      told := told + 1;
    END IF;
  END LOOP;
  RETURN told;
END
$$;
COMMENT ON FUNCTION tell_minutes(integer) IS
  'Says in up to batch rooms that five minutes, or one, are left at most, each once; returns in how many.';

-- Minutes that are paid and wait to be used count too: all of a talk's may be given up at once, with its end.
CREATE FUNCTION minutes_given_up(of_user uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT count(*) FROM checkouts c JOIN session_extensions x ON x.intake_id = c.intake_id JOIN sessions s ON s.id = x.session_id
   WHERE c.user_id = of_user AND c.kind = 'extension' AND c.status IN ('paid', 'unfulfillable')
     AND CASE WHEN s.ended_at IS NULL THEN NOT (
                     x.status = 'running'
                     AND s.started_at + make_interval(mins => x.starts_after, secs => min_billable_seconds()) <= clock_timestamp())
              ELSE s.ended_by = 'customer' AND s.ended_at > now() - interval '24 hours' AND NOT (
                     x.status = 'running' AND s.status = 'completed'
                     AND s.started_at + make_interval(mins => x.starts_after, secs => s.min_billable_seconds) <= s.ended_at) END
$$;
COMMENT ON FUNCTION minutes_given_up(uuid) IS
  'How many extensions a customer paid by card in 24 hours and did not use, because they ended the talk before or wanted another pack; those of a talk that is live, as long as they are not used.';

-- Asking for more minutes, agreeing, and paying. Each locks the session, so the end comes before or after.

CREATE FUNCTION ask_extension(of_session uuid, by_user uuid, wanted_pack text, paid_with text)
RETURNS TABLE (outcome text, extension_id uuid, session_status text, withdrawn bigint, unpublished json)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  open_one session_extensions;
  offered record;
  clock record;
  agreed intakes;
BEGIN
  SELECT s.* INTO session FROM sessions s JOIN customers c ON c.id = s.customer_id
   WHERE s.id = of_session AND c.user_id = by_user FOR NO KEY UPDATE OF s;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  session_status := session.status;
  SELECT * INTO open_one FROM session_extensions x
   WHERE x.session_id = of_session AND x.status IN ('asked', 'agreed') FOR NO KEY UPDATE;
  IF session.status = 'live' AND open_one.pack = wanted_pack AND open_one.pay_with = paid_with
     AND NOT EXISTS (SELECT FROM checkouts c WHERE c.intake_id = open_one.id AND c.status IN ('failed', 'expired', 'unfulfillable')) THEN
    outcome := 'asked';
    extension_id := open_one.id;
    unpublished := '[]';
    RETURN NEXT;
    RETURN;
  END IF;
  SELECT * INTO STRICT agreed FROM intakes i WHERE i.id = of_session;
  SELECT (p ->> 'minutes')::integer AS minutes, (p ->> 'price_cents')::integer AS price_cents, (p ->> 'credits')::integer AS credits
    INTO offered FROM plans l, jsonb_array_elements(l.minute_packs) AS p
   WHERE l.code = agreed.plan_code AND p ->> 'code' = wanted_pack;
  clock := session_minutes(session);
  withdrawn := withdrawn_payments(by_user);
  outcome := CASE
    WHEN session.status <> 'live' THEN 'not_live'
    WHEN offered.minutes IS NULL THEN 'unknown_pack'
    WHEN paid_with = 'credit' AND offered.credits = 0 THEN 'by_card_only'
    WHEN clock.included IS NULL THEN 'no_minutes'
    WHEN clock.included + clock.extended + offered.minutes > agreed.max_minutes THEN 'too_long'
    WHEN EXISTS (SELECT FROM checkouts c WHERE c.intake_id = open_one.id AND c.status = 'processing') THEN 'processing'
    WHEN paid_with = 'card' AND withdrawn >= number_setting('withdrawn_payments_per_day', 3) THEN 'withdrawn'
    WHEN paid_with = 'credit' AND offered.credits > coalesce((
           SELECT b.balance - frozen_credits(b.user_id) FROM credit_balances b WHERE b.user_id = by_user), 0) THEN 'too_few_credits'
    ELSE 'asked' END;
  IF outcome = 'asked' THEN
    PERFORM count_against('extensions', by_user);
    UPDATE session_extensions SET status = 'lapsed' WHERE id = open_one.id;
    INSERT INTO session_extensions AS x (session_id, pack, minutes, price_cents, credits, pay_with)
    VALUES (of_session, wanted_pack, offered.minutes, offered.price_cents, offered.credits, paid_with)
    RETURNING x.id INTO extension_id;
    PERFORM room_note(of_session, 'extension_asked');
    unpublished := unpublished_events(of_session);
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION ask_extension(uuid, uuid, text, text) IS
  'A customer asks for a pack of minutes, in place of what they asked for before; asked: it stands, also if it did before. Otherwise why not; no row if the session is not this customer''s.';

CREATE FUNCTION extension_intake(of_extension uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO intakes (id, customer_id, plan_code, funding, session_type, price_cents, currency, credits,
                       mechanic_share_bp, max_minutes, customer_name, vehicle, concern, urgent, evidence)
  SELECT x.id, i.customer_id, i.plan_code, x.pay_with, i.session_type, x.price_cents, x.currency, x.credits,
         i.mechanic_share_bp, x.minutes, '', '{}', '', false, i.evidence
    FROM session_extensions x JOIN intakes i ON i.id = x.session_id WHERE x.id = of_extension AND x.intake_id IS NULL;
  UPDATE session_extensions SET intake_id = id WHERE id = of_extension AND intake_id IS NULL;
END
$$;
COMMENT ON FUNCTION extension_intake(uuid) IS 'Makes the intake of an extension that is to be paid for, once.';
REVOKE EXECUTE ON FUNCTION extension_intake(uuid) FROM PUBLIC;

CREATE FUNCTION begin_extension(of_extension uuid, session sessions) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  clock record := session_minutes(session);
BEGIN
  UPDATE session_extensions
     SET status = 'running', answered_at = coalesce(answered_at, clock_timestamp()), began_at = clock_timestamp(),
         starts_after = clock.included + clock.extended
   WHERE id = of_extension;
  PERFORM room_note(session.id, 'extension_began');
END
$$;
COMMENT ON FUNCTION begin_extension(uuid, sessions) IS 'Adds the minutes of an extension that is paid for to its talk. The caller has locked the session.';
REVOKE EXECUTE ON FUNCTION begin_extension(uuid, sessions) FROM PUBLIC;

CREATE FUNCTION answer_extension(of_session uuid, of_extension uuid, by_user uuid, agrees boolean)
RETURNS TABLE (outcome text, session_status text, unpublished json)
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  asked session_extensions;
  refused text;
BEGIN
  SELECT s.* INTO session FROM sessions s JOIN mechanics m ON m.id = s.mechanic_id
   WHERE s.id = of_session AND m.user_id = by_user FOR NO KEY UPDATE OF s;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  SELECT * INTO asked FROM session_extensions x WHERE x.id = of_extension AND x.session_id = of_session FOR NO KEY UPDATE;
  session_status := session.status;
  outcome := CASE
    WHEN agrees AND NOT EXISTS (SELECT FROM mechanics m WHERE m.user_id = by_user AND m.status = 'active') THEN 'suspended'
    WHEN asked.id IS NULL THEN 'unknown'
    WHEN asked.status = 'asked' AND session.status = 'live' THEN 'answered'
    WHEN asked.status = CASE WHEN agrees THEN 'agreed' ELSE 'declined' END OR agrees AND asked.status = 'running' THEN 'repeated'
    WHEN session.status <> 'live' THEN 'not_live'
    ELSE 'otherwise' END;
  IF outcome = 'answered' AND NOT agrees THEN
    UPDATE session_extensions SET status = 'declined', answered_at = clock_timestamp() WHERE id = of_extension;
    PERFORM room_note(of_session, 'extension_declined');
  ELSIF outcome = 'answered' AND asked.pay_with = 'card' THEN
    UPDATE session_extensions SET status = 'agreed', answered_at = clock_timestamp() WHERE id = of_extension;
    PERFORM room_note(of_session, 'extension_agreed');
  ELSIF outcome = 'answered' THEN
    BEGIN
      PERFORM extension_intake(of_extension);
      INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
      SELECT 'session:' || x.id || ':credit_hold', 'customer:' || c.user_id || ':credits', 'session:' || x.id || ':credits',
             x.credits, 'credit', 'credit_hold', x.id
        FROM session_extensions x JOIN customers c ON c.id = session.customer_id WHERE x.id = of_extension;
      PERFORM begin_extension(of_extension, session);
    EXCEPTION WHEN check_violation THEN
      GET STACKED DIAGNOSTICS refused = CONSTRAINT_NAME;
      IF refused <> 'credit_balances_not_negative' THEN
        RAISE;
      END IF;
      outcome := 'too_few_credits'; -- they were spent since the customer asked
      UPDATE session_extensions SET status = 'lapsed' WHERE id = of_extension;
      PERFORM room_note(of_session, 'extension_lapsed');
    END;
  END IF;
  unpublished := unpublished_events(of_session);
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION answer_extension(uuid, uuid, uuid, boolean) IS
  'The mechanic agrees to an extension, or declines it: one by credits begins at once, one by card waits for its payment. Returns answered, repeated (the same again), or why not; no row if the session is not this mechanic''s.';

-- By card: a page at Stripe of its own, in another tab, while the talk goes on.

CREATE FUNCTION extension_checkout(of_session uuid, of_extension uuid, by_user uuid, checkout uuid) RETURNS SETOF checkouts
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM sessions s JOIN customers c ON c.id = s.customer_id
    WHERE s.id = of_session AND c.user_id = by_user AND s.status = 'live' FOR NO KEY UPDATE OF s;
  IF FOUND AND EXISTS (SELECT FROM session_extensions x
                        WHERE x.id = of_extension AND x.session_id = of_session AND x.status = 'agreed') THEN
    PERFORM extension_intake(of_extension);
    INSERT INTO checkouts (id, kind, user_id, intake_id, title, amount_cents, currency, idempotency_key)
    SELECT checkout, 'extension', by_user, x.id, p.name || ': ' || x.minutes || ' more minutes', x.price_cents, x.currency,
           'checkout:' || checkout
      FROM session_extensions x JOIN intakes i ON i.id = x.id JOIN plans p ON p.code = i.plan_code
     WHERE x.id = of_extension
    ON CONFLICT (intake_id) DO NOTHING;
  END IF;
  RETURN QUERY SELECT c.* FROM checkouts c WHERE c.intake_id = of_extension AND c.user_id = by_user;
END
$$;
COMMENT ON FUNCTION extension_checkout(uuid, uuid, uuid, uuid) IS
  'The checkout of an extension that its mechanic agreed to, made with the given id if there is none; no row if it is not to be paid for.';

CREATE FUNCTION extension_paid(of_extension uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  session sessions;
BEGIN
  SELECT s.* INTO session FROM sessions s JOIN session_extensions x ON x.session_id = s.id
   WHERE x.id = of_extension FOR NO KEY UPDATE OF s;
  IF session.status = 'live'
     AND EXISTS (SELECT FROM session_extensions x WHERE x.id = of_extension AND x.status = 'agreed')
     AND EXISTS (SELECT FROM checkouts c WHERE c.intake_id = of_extension AND c.status = 'paid') THEN
    PERFORM begin_extension(of_extension, session);
    RETURN session.id;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION extension_paid(uuid) IS
  'Adds the minutes of an extension whose checkout is paid to its talk, and returns the session; null if the talk is over, or nobody wants them any more: then the payment goes back.';

CREATE FUNCTION extension_is_over() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE session_extensions SET status = 'lapsed' WHERE session_id = NEW.id AND status IN ('asked', 'agreed');
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION extension_is_over() IS 'What was not paid for when the talk ended is not wanted any more.';
CREATE TRIGGER extension_is_over AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION extension_is_over();

-- Its money: one settlement for each extension, so that what goes back of one leaves the others alone.

CREATE FUNCTION extension_was_used(of_extension uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT s.ended_at >= s.started_at + make_interval(mins => x.starts_after, secs => s.min_billable_seconds)
    FROM session_extensions x JOIN sessions s ON s.id = x.session_id
   WHERE x.id = of_extension AND x.status = 'running' AND s.ended_at IS NOT NULL
$$;
COMMENT ON FUNCTION extension_was_used(uuid) IS
  'Whether the talk went on into the minutes of an extension, for at least as long as it takes to be billable. Null where the talk is not over, or the extension never ran.';

CREATE TABLE extension_settlements (
  extension_id  uuid PRIMARY KEY REFERENCES session_extensions (id),
  outcome       text NOT NULL CHECK (outcome IN ('pay', 'refund', 'return')),
  decided_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  facts         jsonb NOT NULL,
  CONSTRAINT extension_settlements_outcome UNIQUE (extension_id, outcome) -- so that payouts and refunds can refer to it
);
COMMENT ON TABLE extension_settlements IS 'The one decision about the money of each extension that ran, made with its session''s, and never changed.';
COMMENT ON COLUMN extension_settlements.outcome IS
  'pay: the talk was completed and went on into its minutes; refund: what was paid by card goes back; return: the credits do.';
COMMENT ON COLUMN extension_settlements.decided_at IS 'When it was decided.';
COMMENT ON COLUMN extension_settlements.facts IS 'The basis of the decision, and the amounts.';
CREATE TRIGGER extension_settlements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON extension_settlements
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT, INSERT (extension_id, outcome, facts) ON extension_settlements TO autodoctor_app;

ALTER TABLE payouts ADD FOREIGN KEY (extension_id) REFERENCES session_extensions (id);
ALTER TABLE payouts ADD CONSTRAINT payouts_of_a_used_extension
  FOREIGN KEY (extension_id, extension_outcome) REFERENCES extension_settlements (extension_id, outcome);
ALTER TABLE refunds ADD CONSTRAINT refunds_of_an_unused_extension
  FOREIGN KEY (extension_id, extension_outcome) REFERENCES extension_settlements (extension_id, outcome);
