-- Minutes that count: a talk has the minutes that were paid for, a grace, and then the sweep ends it by the verdict.
--
-- They count from the start, the first instant at which both were there, and go on whatever follows: one clock that both
-- parties can read. An intake keeps them, like its price. One from before has none, and is ended at its plan's maximum.

ALTER TABLE intakes ADD COLUMN included_minutes integer;
ALTER TABLE intakes ADD CONSTRAINT intakes_include_what_may_be CHECK (included_minutes BETWEEN 1 AND max_minutes);
COMMENT ON COLUMN intakes.included_minutes IS
  'The plan''s at that moment: after that many minutes the talk ends, unless it is extended. Null: only max_minutes ends it, as of intakes from before this was kept.';

CREATE FUNCTION minutes_grace() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('minutes_grace_seconds', 60)
$$;
COMMENT ON FUNCTION minutes_grace() IS 'How long a talk goes on once its minutes are over: the settings table (minutes_grace_seconds), then 60 seconds.';

CREATE FUNCTION payment_grace() RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT seconds_setting('payment_grace_seconds', 300)
$$;
COMMENT ON FUNCTION payment_grace() IS
  'How long a talk goes on once its minutes are over while more are being paid for by card: the settings table (payment_grace_seconds), then 5 minutes.';

-- More minutes for a talk that is live. What a customer pays for them is an intake of its own, with the extension's id
-- and no session: so each has its payment, its settlement and its refund, by the code that all payments have.

CREATE FUNCTION are_minute_packs(packs jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(packs) WHEN 'array' THEN coalesce((
           SELECT bool_and(coalesce((p ->> 'code') ~ '^[a-z][a-z0-9_-]{0,39}$'
                                    AND (p ->> 'minutes')::integer BETWEEN 1 AND 1440
                                    AND (p ->> 'price_cents')::integer BETWEEN 50 AND 99999999
                                    AND (p ->> 'credits')::integer BETWEEN 0 AND 10000, false))
                  AND count(*) = count(DISTINCT p ->> 'code')
             FROM jsonb_array_elements(packs) AS p), true) ELSE false END
$$;
COMMENT ON FUNCTION are_minute_packs(jsonb) IS 'Whether this is what plans.minute_packs may hold: a list of packs, each with a code of its own.';

ALTER TABLE plans ADD COLUMN minute_packs jsonb NOT NULL DEFAULT '[]' CHECK (are_minute_packs(minute_packs));
COMMENT ON COLUMN plans.minute_packs IS
  'By what a talk of this plan can be extended: a list of {code, minutes, price_cents, credits}; credits of 0: by card only.';
GRANT INSERT (minute_packs), UPDATE (minute_packs) ON plans TO autodoctor_app;
UPDATE plans p SET minute_packs = sold.packs
  FROM (VALUES
    ('quick', '[{"code": "m15", "minutes": 15, "price_cents": 599, "credits": 1}]'::jsonb),
    ('standard', '[{"code": "m15", "minutes": 15, "price_cents": 999, "credits": 1}, {"code": "m30", "minutes": 30, "price_cents": 1899, "credits": 2}]'),
    ('diagnostic', '[{"code": "m15", "minutes": 15, "price_cents": 1299, "credits": 2}, {"code": "m30", "minutes": 30, "price_cents": 2399, "credits": 3}]')
  ) AS sold (code, packs) WHERE p.code = sold.code;

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

-- plpgsql, so that each call has a snapshot of its own: the caller may have waited for the session's lock.
CREATE FUNCTION session_minutes(session sessions, OUT included integer, OUT extended integer, OUT ends_at timestamptz,
                                OUT grace_ends_at timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  longest timestamptz;
  is_being_paid boolean;
BEGIN
  SELECT i.included_minutes, session.started_at + make_interval(mins => i.max_minutes) INTO included, longest
    FROM intakes i WHERE i.id = session.id;
  SELECT coalesce(sum(x.minutes) FILTER (WHERE x.status = 'running'), 0),
         coalesce(bool_or(x.status = 'agreed' AND EXISTS (
           SELECT FROM checkouts c WHERE c.intake_id = x.id AND c.status IN ('open', 'processing'))), false)
    INTO extended, is_being_paid
    FROM session_extensions x WHERE x.session_id = session.id;
  IF included IS NOT NULL THEN
    ends_at := least(session.started_at + make_interval(mins => included + extended), longest);
    grace_ends_at := least(ends_at + CASE WHEN is_being_paid THEN greatest(minutes_grace(), payment_grace()) ELSE minutes_grace() END,
                           longest);
  END IF;
END
$$;
COMMENT ON FUNCTION session_minutes(sessions) IS
  'The minutes of a session that were included, and those that were paid for in addition; when they are over, and when the grace after them is, which is longer while a card payment for more is under way. Never past its plan''s longest duration; no instants before it has started, or where no minutes were agreed.';

CREATE OR REPLACE FUNCTION end_abandoned_sessions(batch integer DEFAULT 500) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT s.id FROM sessions s JOIN intakes i ON i.id = s.id
     WHERE s.ended_at IS NULL AND s.status = 'live'
       AND (s.parted_at <= now() - parting_limit()
            OR s.started_at <= now() - make_interval(mins => i.max_minutes)
            OR (session_minutes(s)).grace_ends_at <= now())
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE OF s SKIP LOCKED),
    $sweep$ SELECT conclude_session(s, 'system:expire-orphans', NULL) FROM sessions s JOIN intakes i ON i.id = s.id
             WHERE s.id = $1 AND s.status = 'live'
               AND (s.parted_at <= now() - parting_limit()
                    OR s.started_at <= now() - make_interval(mins => i.max_minutes)
                    OR (session_minutes(s)).grace_ends_at <= now()) $sweep$);
END
$$;
COMMENT ON FUNCTION end_abandoned_sessions(integer) IS
  'Ends up to batch live sessions whose parties have not been together for parting_limit(), whose minutes and the grace after them are over, or that are past their plan''s longest duration; returns how many.';

CREATE OR REPLACE VIEW alert_stuck_live AS
  SELECT s.id AS session_id,
         CASE WHEN o.at < now() - 6 * health_setting('overdue_seconds_max') * interval '1 second'
              THEN 'critical' ELSE 'warning' END AS severity,
         o.at AS since, s.started_at, s.parted_at, i.max_minutes
    FROM sessions s CROSS JOIN LATERAL (SELECT * FROM intakes r WHERE r.id = s.id LIMIT 1) AS i
         CROSS JOIN LATERAL (SELECT least(s.parted_at + parting_limit(), (session_minutes(s)).grace_ends_at,
                                          s.started_at + make_interval(mins => i.max_minutes)) AS at) AS o
   WHERE s.ended_at IS NULL AND s.status = 'live'
     AND o.at < now() - health_setting('overdue_seconds_max') * interval '1 second';
COMMENT ON VIEW alert_stuck_live IS
  'Live sessions that the sweep should have ended (parting_limit() after the parties left, after their minutes and the grace, or at the plan''s longest duration) longer ago than health_overdue_seconds_max; since is when it should have. Critical from 6 times that limit on.';

-- What the system says.

CREATE OR REPLACE FUNCTION note_words(what text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE what
    WHEN 'accepted'          THEN 'A mechanic has accepted the request.'
    WHEN 'released'          THEN 'The mechanic gave the request back. It is in the queue again, at its old place.'
    WHEN 'replaced'          THEN 'The customer asked for another mechanic. The request is at the head of the queue.'
    WHEN 'reply_late'        THEN 'The mechanic has not written yet. The customer may wait, or ask for another mechanic.'
    WHEN 'mechanic_absent'   THEN 'The mechanic did not come. The request is in the queue again, at its old place.'
    WHEN 'customer_joined'   THEN 'The customer is here.'
    WHEN 'mechanic_joined'   THEN 'The mechanic is here.'
    WHEN 'customer_left'     THEN 'The customer has left.'
    WHEN 'mechanic_left'     THEN 'The mechanic has left.'
    WHEN 'customer_lost'     THEN 'The customer''s connection was lost.'
    WHEN 'mechanic_lost'     THEN 'The mechanic''s connection was lost.'
    WHEN 'started'           THEN 'Both are here. The consultation has begun.'
    WHEN 'call_began'        THEN 'The call has begun.'
    WHEN 'call_ended'        THEN 'The call is over.'
    WHEN 'minutes_5'         THEN 'Less than five minutes are left.'
    WHEN 'minutes_1'         THEN 'Less than a minute is left. A minute after that the consultation ends by itself.'
    WHEN 'extension_asked'    THEN 'The customer asks for more minutes. The mechanic may agree or decline.'
    WHEN 'extension_agreed'   THEN 'The mechanic agrees to more minutes. They are added once they are paid for.'
    WHEN 'extension_declined' THEN 'The mechanic has no more minutes to give.'
    WHEN 'extension_lapsed'   THEN 'No minutes were added: they could not be paid for.'
    WHEN 'extension_began'    THEN 'Minutes were added: the consultation goes on.'
    WHEN 'ended_by_customer' THEN 'The customer ended the consultation.'
    WHEN 'ended_by_mechanic' THEN 'The mechanic ended the consultation.'
    WHEN 'ended_by_admin'    THEN 'An operator ended the consultation.'
    WHEN 'ended_by_system'   THEN 'The consultation was ended, as one side was away for too long or its time was over.'
    WHEN 'expired'           THEN 'The request has expired: no mechanic could take it in time.'
  END
$$;

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

-- Asking for more minutes, agreeing, and paying. Each locks the session, so the end comes before or after.

CREATE FUNCTION ask_extension(of_session uuid, by_user uuid, wanted_pack text, paid_with text)
RETURNS TABLE (outcome text, extension_id uuid, session_status text, unpublished json)
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
  outcome := CASE
    WHEN session.status <> 'live' THEN 'not_live'
    WHEN offered.minutes IS NULL THEN 'unknown_pack'
    WHEN paid_with = 'credit' AND offered.credits = 0 THEN 'by_card_only'
    WHEN clock.included IS NULL THEN 'no_minutes'
    WHEN clock.included + clock.extended + offered.minutes > agreed.max_minutes THEN 'too_long'
    WHEN EXISTS (SELECT FROM checkouts c WHERE c.intake_id = open_one.id AND c.status = 'processing') THEN 'processing'
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

ALTER TABLE checkouts DROP CONSTRAINT checkouts_kind_check;
ALTER TABLE checkouts ADD CONSTRAINT checkouts_kind_check CHECK (kind IN ('intake', 'pack', 'extension'));
ALTER TABLE checkouts DROP CONSTRAINT checkouts_buy_one_thing;
ALTER TABLE checkouts ADD CONSTRAINT checkouts_buy_one_thing CHECK (CASE kind
  WHEN 'intake' THEN num_nonnulls(intake_id, request_hash) = 2 AND num_nonnulls(pack_code, credits) = 0
  WHEN 'extension' THEN intake_id IS NOT NULL
                        AND num_nonnulls(request_hash, pack_code, credits, signed_name, waiver_version) = 0
  WHEN 'pack' THEN num_nonnulls(pack_code, credits) = 2
                   AND num_nonnulls(intake_id, request_hash, signed_name, waiver_version) = 0 END);
COMMENT ON COLUMN checkouts.kind IS 'The purchase: intake, pack, or extension (minutes for a talk, whose intake is intake_id).';

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

ALTER TABLE payouts ADD COLUMN extension_id uuid UNIQUE REFERENCES session_extensions (id);
ALTER TABLE payouts DROP CONSTRAINT payouts_kind_check;
ALTER TABLE payouts ADD CONSTRAINT payouts_kind_check CHECK (kind IN ('session', 'referral', 'escalation', 'extension'));
ALTER TABLE payouts ADD CONSTRAINT payouts_extension_names_it CHECK ((kind = 'extension') = (extension_id IS NOT NULL));
ALTER TABLE payouts DROP CONSTRAINT payouts_once;
CREATE UNIQUE INDEX payouts_once ON payouts (session_id, kind) WHERE extension_id IS NULL;
ALTER TABLE payouts ADD COLUMN intake_id uuid GENERATED ALWAYS AS (coalesce(extension_id, session_id)) STORED;
CREATE INDEX payouts_by_intake ON payouts (intake_id);
COMMENT ON COLUMN payouts.intake_id IS 'The intake whose payment it is a part of: the extension''s, else the session''s.';
ALTER TABLE payouts DROP COLUMN settled_outcome;
ALTER TABLE payouts ADD COLUMN settled_outcome text GENERATED ALWAYS AS (CASE WHEN kind IN ('session', 'referral') THEN 'pay' END) STORED;
ALTER TABLE payouts ADD COLUMN extension_outcome text GENERATED ALWAYS AS (CASE kind WHEN 'extension' THEN 'pay' END) STORED;
ALTER TABLE payouts ADD CONSTRAINT payouts_of_a_paying_session
  FOREIGN KEY (session_id, settled_outcome) REFERENCES settlements (session_id, outcome);
ALTER TABLE payouts ADD CONSTRAINT payouts_of_a_used_extension
  FOREIGN KEY (extension_id, extension_outcome) REFERENCES extension_settlements (extension_id, outcome);
COMMENT ON COLUMN payouts.kind IS
  'Earned by holding the session (session), by minutes that were added to it (extension), by referring its customer (referral), or by escalating it to the workshop whose quote was approved (escalation).';
COMMENT ON COLUMN payouts.extension_id IS 'The extension whose minutes earned it; its session is session_id. Null for every other kind.';
COMMENT ON COLUMN payouts.settled_outcome IS 'The settlement that its session must have; null: any.';
COMMENT ON COLUMN payouts.extension_outcome IS 'The settlement that its extension must have.';
GRANT INSERT (extension_id) ON payouts TO autodoctor_app;

ALTER TABLE refunds DROP CONSTRAINT refunds_kind_check;
ALTER TABLE refunds ADD CONSTRAINT refunds_kind_check CHECK (kind IN ('session', 'contest', 'unfulfillable', 'extension'));
ALTER TABLE refunds ADD COLUMN extension_id uuid GENERATED ALWAYS AS (CASE kind WHEN 'extension' THEN intake_id END) STORED;
ALTER TABLE refunds ADD COLUMN extension_outcome text GENERATED ALWAYS AS (CASE kind WHEN 'extension' THEN 'refund' END) STORED;
ALTER TABLE refunds ADD CONSTRAINT refunds_of_an_unused_extension
  FOREIGN KEY (extension_id, extension_outcome) REFERENCES extension_settlements (extension_id, outcome);
COMMENT ON COLUMN refunds.intake_id IS 'The intake that was paid; a session, or an extension, has its intake''s id.';
COMMENT ON COLUMN refunds.kind IS
  'session: it was cancelled or expired; contest: an admin decided that all or part of the price goes back; extension: its minutes were not used; unfulfillable: the payment never became a session, or minutes of one.';
COMMENT ON COLUMN refunds.extension_id IS 'For an extension''s refund, the extension.';
COMMENT ON COLUMN refunds.extension_outcome IS 'The settlement that its extension must have.';

CREATE OR REPLACE FUNCTION settlement_is_due() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO settlements_due (session_id)
  SELECT i.id FROM intakes i
   WHERE i.id = NEW.id AND (i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0
                            OR EXISTS (SELECT FROM quotes q WHERE q.approved_session_id = NEW.id)
                            OR EXISTS (SELECT FROM session_extensions x WHERE x.session_id = NEW.id AND x.status = 'running'));
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION hold_disputed_credits(of_user uuid) RETURNS void
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
       AND NOT EXISTS (SELECT FROM contests k WHERE k.session_id = i.id AND k.outcome = 'all')
  ), released AS (
    UPDATE payout_holds h SET released_at = clock_timestamp()
      FROM spent JOIN payouts p ON p.intake_id = spent.id
     WHERE NOT spent.doubtful AND h.payout_id = p.id AND h.reason = 'disputed_credits' AND h.released_at IS NULL
  )
  INSERT INTO payout_holds (payout_id, reason)
  SELECT p.id, 'disputed_credits' FROM spent JOIN payouts p ON p.intake_id = spent.id
   WHERE spent.doubtful AND p.state IN ('due', 'held', 'sending', 'failed')
  ON CONFLICT (payout_id, reason) DO NOTHING; -- an admin's release stands
END
$$;

CREATE OR REPLACE FUNCTION payouts_begin_held() RETURNS trigger
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
  IF EXISTS (SELECT FROM contests c WHERE c.session_id = NEW.session_id AND c.outcome IS NULL) THEN
    PERFORM hold_payout(NEW.id, 'contest');
  END IF;
  PERFORM hold_disputed_credits(c.user_id) FROM intakes i JOIN customers c ON c.id = i.customer_id
    WHERE i.id = NEW.intake_id AND i.funding = 'credit';
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION receipt_of(t ledger_transfer) RETURNS receipts LANGUAGE plpgsql STABLE AS $$
DECLARE
  made receipts;
  paid checkouts;
  upwards boolean := receipt_part(t) > 0;
  reason text;
BEGIN
  made.subject := receipt_subject(t);
  made.currency := t.currency;
  made.intake_id := t.intake_id;
  made.kind := CASE WHEN t.kind IN ('charge', 'pack_sale', 'credit_hold') THEN 'receipt'
                    WHEN upwards THEN 'correction' ELSE 'credit_note' END;
  IF t.currency = 'credit' THEN
    made.user_id := split_part(CASE WHEN upwards THEN t.debit_account ELSE t.credit_account END, ':', 2)::uuid;
    SELECT p.name || coalesce(': ' || x.minutes || ' more minutes', '') INTO made.title
      FROM intakes i JOIN plans p ON p.code = i.plan_code LEFT JOIN session_extensions x ON x.id = i.id WHERE i.id = t.intake_id;
    made.cause := CASE WHEN upwards THEN 'session' ELSE 'credits_returned' END;
    SELECT r.id INTO made.corrects_id FROM receipts r
     WHERE NOT upwards AND r.subject = regexp_replace(made.subject, ':credit_return$', ':credit_hold');
  ELSE
    paid := receipt_checkout(t);
    made.checkout_id := paid.id;
    made.user_id := paid.user_id;
    made.title := paid.title;
    IF paid.id IS NULL AND t.kind = 'charge' THEN -- paid without a page of ours
      SELECT c.user_id, p.name INTO made.user_id, made.title
        FROM intakes i JOIN customers c ON c.id = i.customer_id JOIN plans p ON p.code = i.plan_code WHERE i.id = t.intake_id;
    END IF;
    reason := CASE split_part(made.subject, ':', 1) WHEN 'refund' THEN 'refund' WHEN 'dispute' THEN 'dispute' END;
    made.cause := CASE made.kind WHEN 'receipt' THEN CASE paid.kind WHEN 'pack' THEN 'credits' ELSE 'session' END
                    WHEN 'credit_note' THEN coalesce(reason, 'correction')
                    ELSE CASE reason WHEN 'refund' THEN 'refund_failed' WHEN 'dispute' THEN 'dispute_won'
                                     ELSE 'correction' END END;
    IF made.kind <> 'receipt' THEN
      SELECT r.id INTO made.corrects_id FROM receipts r
       WHERE r.checkout_id = paid.id AND r.kind = 'receipt' ORDER BY r.id LIMIT 1;
    END IF;
  END IF;
  RETURN made;
END
$$;
