-- The schema as pg_dump shows it, for reading; what makes it are the files of layers/shared/autodoctor/sql.
-- Written by `uv run python -m localcloud.database.expected_schema`.

CREATE SCHEMA public;

COMMENT ON SCHEMA public IS 'standard public schema';

CREATE TYPE public.room_party AS (
	status text,
	role text,
	mechanic_id uuid,
	customer_user uuid,
	mechanic_user uuid
);

COMMENT ON TYPE public.room_party IS 'A party of a session: its role, and the users of both sides.';

CREATE FUNCTION public.absence_limit() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('absence_seconds', 600)
$$;

COMMENT ON FUNCTION public.absence_limit() IS 'How long a mechanic who accepted may stay away before the session is queued again.';

CREATE FUNCTION public.accept_assignment(by_user uuid, of_assignment uuid) RETURNS TABLE(assignment_id uuid, session_id uuid, session_status text, unpublished json)
    LANGUAGE plpgsql ROWS 1
    AS $$
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

COMMENT ON FUNCTION public.accept_assignment(by_user uuid, of_assignment uuid) IS 'Gives the session of an assignment to the mechanic of this user, and returns its unpublished events; no row if the mechanic does not see it, or it is no longer available.';

CREATE FUNCTION public.account_currency(account text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  SELECT CASE
    WHEN account IN ('stripe', 'stripe_fees', 'disputed', 'platform_revenue', 'credit_sales', 'free_sessions') THEN 'usd'
    WHEN account IN ('credits_issued', 'credits_spent') THEN 'credit'
    WHEN split_part(account, ':', 2) !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN NULL
    WHEN account ~ '^(customer|session):[^:]*:credits$' THEN 'credit'
    WHEN account ~ '^(session:[^:]*:held|mechanic:[^:]*:payable|(mechanic|customer):[^:]*:receivable)$' THEN 'usd'
  END
$_$;

COMMENT ON FUNCTION public.account_currency(account text) IS 'usd or credit; null: not an account of ours. payments/ledger/accounts.py lists the same accounts.';

CREATE FUNCTION public.address_hash(address text) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT sha256(convert_to(lower(address COLLATE "C"), 'UTF8'))
$$;

COMMENT ON FUNCTION public.address_hash(address text) IS 'SHA-256 of the address in lower case, the key of the suppression list.';

CREATE FUNCTION public.answer_extension(of_session uuid, of_extension uuid, by_user uuid, agrees boolean) RETURNS TABLE(outcome text, session_status text, unpublished json)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.answer_extension(of_session uuid, of_extension uuid, by_user uuid, agrees boolean) IS 'The mechanic agrees to an extension, or declines it: one by credits begins at once, one by card waits for its payment. Returns answered, repeated (the same again), or why not; no row if the session is not this mechanic''s.';

CREATE FUNCTION public.are_minute_packs(packs jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  SELECT CASE jsonb_typeof(packs) WHEN 'array' THEN coalesce((
           SELECT bool_and(coalesce((p ->> 'code') ~ '^[a-z][a-z0-9_-]{0,39}$'
                                    AND (p ->> 'minutes')::integer BETWEEN 1 AND 1440
                                    AND (p ->> 'price_cents')::integer BETWEEN 50 AND 99999999
                                    AND (p ->> 'credits')::integer BETWEEN 0 AND 10000, false))
                  AND count(*) = count(DISTINCT p ->> 'code')
             FROM jsonb_array_elements(packs) AS p), true) ELSE false END
$_$;

COMMENT ON FUNCTION public.are_minute_packs(packs jsonb) IS 'Whether this is what plans.minute_packs may hold: a list of packs, each with a code of its own.';

CREATE FUNCTION public.ask_extension(of_session uuid, by_user uuid, wanted_pack text, paid_with text) RETURNS TABLE(outcome text, extension_id uuid, session_status text, withdrawn bigint, unpublished json)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.ask_extension(of_session uuid, by_user uuid, wanted_pack text, paid_with text) IS 'A customer asks for a pack of minutes, in place of what they asked for before; asked: it stands, also if it did before. Otherwise why not; no row if the session is not this customer''s.';

CREATE FUNCTION public.assignment_may_move(source text, target text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT (source, target) IN (
    ('pending_waiver', 'queued'), ('pending_waiver', 'offered'),
    ('queued', 'offered'), ('queued', 'accepted'),
    ('offered', 'accepted'), ('offered', 'declined'),
    ('accepted', 'completed'))
    OR (source IN ('pending_waiver', 'queued', 'offered', 'accepted') AND target IN ('cancelled', 'expired'))
$$;

COMMENT ON FUNCTION public.assignment_may_move(source text, target text) IS 'Whether an assignment may go from one status to the other; autodoctor.domain.lifecycle says the same.';

CREATE FUNCTION public.assignment_opened() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO session_assignment_events (session_id, assignment_id, from_status, to_status, actor)
  VALUES (NEW.session_id, NEW.id, NEW.status, NEW.status, 'system:workshop-unavailable');
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.assignment_opened() IS 'Audits that a workshop''s queued request became general.';

CREATE FUNCTION public.assignments_consistent() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM check_session(NEW.session_id);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.assignments_consistent() IS 'At commit: check_session() for the session whose assignment was written.';

CREATE FUNCTION public.assignments_guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  at timestamptz := clock_timestamp();
  source text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('pending_waiver', 'queued', 'offered') THEN
      RAISE EXCEPTION 'an assignment starts pending_waiver, queued or offered, not %', NEW.status USING ERRCODE = 'AD001';
    END IF;
    IF NEW.attempt = 1 THEN
      NEW.precedence := queue_precedence(NEW.session_id);
    END IF;
  ELSE
    source := OLD.status;
    PERFORM check_assignment_move(OLD, NEW, at);
  END IF;
  IF NEW.status IS DISTINCT FROM source THEN
    IF NEW.status IN ('queued', 'offered') THEN
      NEW.queued_at := coalesce(NEW.queued_at, greatest(at, NEW.available_at)); -- a scheduled customer waits from the lead time on
      IF NEW.workshop_id IS NOT NULL THEN
        -- a workshop's request becomes general once none of its mechanics can take it
        NEW.workshop_id := reachable_workshop(NEW.workshop_id, NEW.declined_by, NEW.session_id);
      END IF;
    ELSIF NEW.status = 'declined' OR is_terminal(NEW.status) THEN
      NEW.ended_at := at;
    END IF;
    INSERT INTO session_assignment_events
      (session_id, occurred_at, assignment_id, from_status, to_status, actor, actor_id)
    VALUES (NEW.session_id, at, NEW.id, source, NEW.status, coalesce(NEW.actor, 'db:' || session_user), NEW.actor_id);
  END IF;
  NEW.actor := NULL;
  NEW.actor_id := NULL;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.assignments_guard() IS 'Refuses what check_assignment_move() refuses, sets times, opens a request that nobody could take, writes the audit row.';

CREATE TABLE public.attachments (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    mechanic_id uuid,
    session_id uuid,
    place smallint,
    object_key text NOT NULL,
    content_type text NOT NULL,
    bytes integer NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    state text DEFAULT 'promised'::text NOT NULL,
    state_since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    removed_at timestamp with time zone,
    name text NOT NULL,
    sha256 bytea,
    CONSTRAINT attachments_bytes_check CHECK (((bytes >= 1) AND (bytes <= 20971520))),
    CONSTRAINT attachments_content_type_check CHECK ((content_type = ANY (ARRAY['image/jpeg'::text, 'image/png'::text, 'image/webp'::text, 'application/pdf'::text]))),
    CONSTRAINT attachments_gone_says_nothing CHECK (((state <> 'gone'::text) OR ((name = '[gone]'::text) AND (sha256 IS NULL)))),
    CONSTRAINT attachments_mechanic_has_a_session CHECK (((role = 'customer'::text) OR (session_id IS NOT NULL))),
    CONSTRAINT attachments_mechanic_is_named CHECK (((role = 'mechanic'::text) = (mechanic_id IS NOT NULL))),
    CONSTRAINT attachments_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT attachments_object_key_check CHECK ((object_key ~ '^uploads/[0-9a-f-]{36}\.[a-z]{3,4}$'::text)),
    CONSTRAINT attachments_place_check CHECK (((place >= 1) AND (place <= 4))),
    CONSTRAINT attachments_place_is_in_an_intake CHECK (((place IS NULL) OR ((role = 'customer'::text) AND (session_id IS NOT NULL)))),
    CONSTRAINT attachments_removed_if_unwanted CHECK (((removed_at IS NULL) OR (state = ANY (ARRAY['refused'::text, 'gone'::text])))),
    CONSTRAINT attachments_role_check CHECK ((role = ANY (ARRAY['customer'::text, 'mechanic'::text]))),
    CONSTRAINT attachments_sha256_check CHECK ((length(sha256) = 32)),
    CONSTRAINT attachments_state_check CHECK ((state = ANY (ARRAY['promised'::text, 'scanning'::text, 'clean'::text, 'refused'::text, 'gone'::text])))
);

COMMENT ON TABLE public.attachments IS 'The facts about a file that a party of a session sent or promised. The file itself is in the bucket, and its words here go when it goes.';

COMMENT ON COLUMN public.attachments.id IS 'Chosen by the function before the first attempt: by it, a retry after a lost connection recognises its own work.';

COMMENT ON COLUMN public.attachments.user_id IS 'The sub of the user who sent it.';

COMMENT ON COLUMN public.attachments.role IS 'As which party.';

COMMENT ON COLUMN public.attachments.mechanic_id IS 'The mechanic who sent it; null for a customer''s.';

COMMENT ON COLUMN public.attachments.session_id IS 'The session (and intake) that it belongs to; null until an intake names it.';

COMMENT ON COLUMN public.attachments.place IS 'Its place among the files of the intake; null for one that was sent in the room.';

COMMENT ON COLUMN public.attachments.object_key IS 'Its key in the bucket, which says nothing of its name.';

COMMENT ON COLUMN public.attachments.content_type IS 'As the upload must state it, and as it is served.';

COMMENT ON COLUMN public.attachments.bytes IS 'Its exact length.';

COMMENT ON COLUMN public.attachments.created_at IS 'When it was promised.';

COMMENT ON COLUMN public.attachments.expires_at IS 'When the form of the upload expires.';

COMMENT ON COLUMN public.attachments.state IS 'promised: may be uploaded; scanning: is there, not checked; clean: may be read; refused: something is in it, or it cannot be checked; gone: never came, too old, or erased.';

COMMENT ON COLUMN public.attachments.state_since IS 'When it came into this state.';

COMMENT ON COLUMN public.attachments.removed_at IS 'When the file of a refused or gone one was deleted from the bucket.';

COMMENT ON COLUMN public.attachments.name IS 'Personal data: the name that the user gave it; [gone] once it is gone.';

COMMENT ON COLUMN public.attachments.sha256 IS 'Of its bytes, which the upload must match; null once it is gone.';

CREATE FUNCTION public.attachable(a public.attachments, customer_user uuid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT a.user_id = customer_user AND a.role = 'customer' AND a.state NOT IN ('refused', 'gone')
         AND NOT EXISTS (SELECT FROM sessions s WHERE s.id = a.session_id)
$$;

COMMENT ON FUNCTION public.attachable(a public.attachments, customer_user uuid) IS 'Whether this customer''s intake may name the attachment: it is theirs, and no session has it.';

CREATE FUNCTION public.attachment_is_old(a public.attachments) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT CASE WHEN a.session_id IS NULL THEN a.created_at < now() - interval '1 day'
              ELSE a.created_at < now() - files_kept_for()
                   AND coalesce((SELECT coalesce(s.ended_at, 'infinity') < now() - files_kept_for()
                                   FROM sessions s WHERE s.id = a.session_id), true) END
$$;

COMMENT ON FUNCTION public.attachment_is_old(a public.attachments) IS 'Whether a file is to go: its session ended files_kept_for() ago; its intake never became a session and it is that old; or it is a day old and no intake named it.';

CREATE FUNCTION public.attachment_may_move(was text, becomes text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT CASE was WHEN 'promised' THEN becomes IN ('scanning', 'clean', 'refused', 'gone')
                  WHEN 'scanning' THEN becomes IN ('clean', 'refused', 'gone')
                  WHEN 'clean'    THEN becomes IN ('refused', 'gone')
                  WHEN 'refused'  THEN becomes = 'gone'
                  ELSE false END
$$;

COMMENT ON FUNCTION public.attachment_may_move(was text, becomes text) IS 'Whether an attachment in one state may come into another. The verdict may overtake the news that the file came; a later scan may still refuse it.';

CREATE FUNCTION public.attachments_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF NEW.state <> OLD.state THEN
    IF NOT attachment_may_move(OLD.state, NEW.state) THEN
      RAISE EXCEPTION 'attachment %: % may not become %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'AD001';
    END IF;
    NEW.state_since := clock_timestamp();
    IF NEW.state = 'gone' THEN
      NEW.name := '[gone]';
      NEW.sha256 := NULL;
    END IF;
  END IF;
  IF (NEW.id, NEW.user_id, NEW.role, NEW.mechanic_id, NEW.object_key, NEW.content_type, NEW.bytes, NEW.created_at, NEW.expires_at)
     IS DISTINCT FROM
     (OLD.id, OLD.user_id, OLD.role, OLD.mechanic_id, OLD.object_key, OLD.content_type, OLD.bytes, OLD.created_at, OLD.expires_at)
     OR (NEW.state <> 'gone' AND (NEW.name, NEW.sha256) IS DISTINCT FROM (OLD.name, OLD.sha256))
     -- an intake that never became a session (its page was not paid) may be asked anew, with the same files
     OR (NEW.session_id IS DISTINCT FROM OLD.session_id
         AND (NEW.session_id IS NULL OR EXISTS (SELECT FROM sessions s WHERE s.id = OLD.session_id))) THEN
    RAISE EXCEPTION 'attachment %: what it is and where it belongs is fixed', OLD.id USING ERRCODE = 'AD004';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.attachments_guard() IS 'Lets an attachment come into its states in order, stamps them, and keeps everything else as it was.';

CREATE FUNCTION public.audit_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  of_the_change text[] := '{change_id,changed_by}';
  is_now jsonb := to_jsonb(NEW) - of_the_change;
  was jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) - of_the_change ELSE '{}' END;
  named boolean := NEW.change_id IS NOT NULL AND NEW.changed_by IS NOT NULL;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    named := named AND NEW.change_id IS DISTINCT FROM OLD.change_id;
  END IF;
  IF NOT named AND session_user <> 'autodoctor_app' THEN
    RETURN NULL; -- the owner's own
  END IF;
  INSERT INTO admin_changes (id, actor_id, actor, kind, subject, changed, before, after)
  SELECT CASE WHEN named THEN NEW.change_id ELSE new_id() END, CASE WHEN named THEN NEW.changed_by END,
         CASE WHEN NOT named THEN 'db:' || session_user END, TG_ARGV[0] || CASE TG_OP WHEN 'UPDATE' THEN '.changed' ELSE '.added' END,
         is_now ->> TG_ARGV[1], d.changed, d.before, d.after
    FROM changed_columns(was, is_now, TG_ARGV[2]::text[]) AS d
   WHERE d.changed IS NOT NULL;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.audit_change() IS 'Writes the row of admin_changes: for a change with a change_id and a changed_by, and for one of the application''s role that names nobody. Arguments: the kind of the row, the key column, the columns of personal data.';

CREATE FUNCTION public.audit_grant() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF TG_WHEN = 'BEFORE' THEN
    NEW.change_id := new_id();
    RETURN NEW;
  END IF;
  -- only now it is sure that the row was inserted: a key that was used before grants nothing
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  VALUES (NEW.change_id, NEW.actor_id, 'credits.granted', NEW.credit_account, '{credits}', '{}',
          jsonb_build_object('credits', NEW.amount, 'key', NEW.key));
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.audit_grant() IS 'Writes the row of admin_changes for a grant of credits, once it was inserted; before, gives it the id of that row.';

CREATE FUNCTION public.availability_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  was boolean := OLD.status = 'active' AND is_available(OLD.id, OLD.available_until);
  is_now boolean := NEW.status = 'active' AND is_available(NEW.id, NEW.available_until);
BEGIN
  IF was <> is_now THEN
    PERFORM emit_event('mechanic.availability_changed',
                       jsonb_build_object('mechanicId', NEW.id, 'available', is_now), NEW.id);
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.availability_changed() IS 'Emits an event when a mechanic or an operator turns availability on or off. A longer lease emits none, nor does a lease that lapses by itself.';

CREATE TABLE public.sessions (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    current_assignment_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    scheduled_for timestamp with time zone,
    released_at timestamp with time zone,
    customer_present boolean DEFAULT false NOT NULL,
    mechanic_present boolean DEFAULT false NOT NULL,
    customer_claims boolean DEFAULT false NOT NULL,
    mechanic_claims boolean DEFAULT false NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    mechanic_id uuid,
    accepted_at timestamp with time zone,
    customer_joined_at timestamp with time zone,
    mechanic_joined_at timestamp with time zone,
    started_at timestamp with time zone,
    parted_at timestamp with time zone,
    ended_at timestamp with time zone,
    end_reason text,
    absent text,
    ended_by text,
    together_seconds numeric(12,6),
    min_billable_seconds integer,
    min_messages_each integer,
    late_minutes integer,
    actor text,
    actor_id uuid,
    change_data jsonb,
    CONSTRAINT sessions_absent_known CHECK ((absent = ANY (ARRAY['customer'::text, 'mechanic'::text, 'both'::text]))),
    CONSTRAINT sessions_actor_is_consumed CHECK ((num_nonnulls(actor, actor_id, change_data) = 0)),
    CONSTRAINT sessions_completed_iff_long_enough CHECK (((status <> ALL (ARRAY['completed'::text, 'cancelled'::text, 'expired'::text])) OR ((status = 'completed'::text) = ((started_at IS NOT NULL) AND (together_seconds >= (min_billable_seconds)::numeric))))),
    CONSTRAINT sessions_end_is_complete CHECK (((status = ANY (ARRAY['completed'::text, 'cancelled'::text, 'expired'::text])) = ((ended_at IS NOT NULL) AND (end_reason IS NOT NULL) AND (ended_by IS NOT NULL) AND (min_billable_seconds IS NOT NULL) AND (min_messages_each IS NOT NULL) AND (late_minutes IS NOT NULL)))),
    CONSTRAINT sessions_ended_by_known CHECK ((ended_by = ANY (ARRAY['customer'::text, 'mechanic'::text, 'admin'::text, 'system'::text]))),
    CONSTRAINT sessions_mechanic_fits_status CHECK (
CASE status
    WHEN 'scheduled'::text THEN (mechanic_id IS NULL)
    WHEN 'pending'::text THEN (mechanic_id IS NULL)
    WHEN 'waiting'::text THEN (mechanic_id IS NOT NULL)
    WHEN 'live'::text THEN (mechanic_id IS NOT NULL)
    WHEN 'completed'::text THEN (mechanic_id IS NOT NULL)
    ELSE true
END),
    CONSTRAINT sessions_reason_fits_history CHECK (
CASE end_reason
    WHEN 'too_short'::text THEN (started_at IS NOT NULL)
    WHEN 'no_talk'::text THEN (started_at IS NOT NULL)
    WHEN 'no_show'::text THEN ((started_at IS NULL) AND (mechanic_id IS NOT NULL) AND (absent IS NOT NULL))
    WHEN 'withdrawn'::text THEN (started_at IS NULL)
    WHEN 'expired'::text THEN (started_at IS NULL)
    ELSE true
END),
    CONSTRAINT sessions_reason_fits_status CHECK (
CASE status
    WHEN 'completed'::text THEN (end_reason = 'billable'::text)
    WHEN 'cancelled'::text THEN (end_reason = ANY (ARRAY['too_short'::text, 'no_talk'::text, 'no_show'::text, 'withdrawn'::text]))
    WHEN 'expired'::text THEN (end_reason = 'expired'::text)
    ELSE (end_reason IS NULL)
END),
    CONSTRAINT sessions_scheduled_has_a_time CHECK (((status <> 'scheduled'::text) OR (scheduled_for IS NOT NULL))),
    CONSTRAINT sessions_start_is_proven CHECK ((((status <> 'live'::text) OR (started_at IS NOT NULL)) AND ((started_at IS NULL) OR ((customer_joined_at IS NOT NULL) AND (mechanic_joined_at IS NOT NULL))) AND ((started_at IS NULL) OR (status = ANY (ARRAY['live'::text, 'completed'::text, 'cancelled'::text]))))),
    CONSTRAINT sessions_status_known CHECK ((status = ANY (ARRAY['scheduled'::text, 'pending'::text, 'waiting'::text, 'live'::text, 'completed'::text, 'cancelled'::text, 'expired'::text]))),
    CONSTRAINT sessions_times_in_order CHECK ((ended_at >= started_at)),
    CONSTRAINT sessions_together_once_over CHECK ((((together_seconds IS NOT NULL) = ((started_at IS NOT NULL) AND (ended_at IS NOT NULL))) AND ((together_seconds >= (0)::numeric) AND (together_seconds <= EXTRACT(epoch FROM (ended_at - started_at))))))
);

COMMENT ON TABLE public.sessions IS 'One consultation of a customer with a mechanic. Every change of state is an UPDATE of this row, which is therefore the lock. Triggers keep the assignment, the participants and the audit trail in step.';

COMMENT ON COLUMN public.sessions.id IS 'The same as the id of its intake.';

COMMENT ON COLUMN public.sessions.current_assignment_id IS 'The one current assignment, or the last one of an ended session.';

COMMENT ON COLUMN public.sessions.created_at IS 'When the intake committed.';

COMMENT ON COLUMN public.sessions.scheduled_for IS 'When the consultation is wanted; null for now.';

COMMENT ON COLUMN public.sessions.released_at IS 'When a scheduled session came due; its age counts from here.';

COMMENT ON COLUMN public.sessions.customer_present IS 'Whether the customer is there: by a claim, a live socket in the room, or the medium.';

COMMENT ON COLUMN public.sessions.mechanic_present IS 'Whether the mechanic is there, likewise.';

COMMENT ON COLUMN public.sessions.customer_claims IS 'Whether the customer is there by a join that names no connection, and has not left since.';

COMMENT ON COLUMN public.sessions.mechanic_claims IS 'The same of the mechanic.';

COMMENT ON COLUMN public.sessions.status IS 'scheduled, pending, waiting, live, completed, cancelled or expired; moves only as session_may_move() says.';

COMMENT ON COLUMN public.sessions.mechanic_id IS 'The mechanic who accepted; null before, and again after a release.';

COMMENT ON COLUMN public.sessions.accepted_at IS 'When the present mechanic accepted.';

COMMENT ON COLUMN public.sessions.customer_joined_at IS 'First join of the customer.';

COMMENT ON COLUMN public.sessions.mechanic_joined_at IS 'First join of the present mechanic.';

COMMENT ON COLUMN public.sessions.started_at IS 'First instant at which both were present.';

COMMENT ON COLUMN public.sessions.parted_at IS 'Last instant at which both were present; null while both are.';

COMMENT ON COLUMN public.sessions.ended_at IS 'The end: the last instant both were present, or the plan''s maximum; the instant of the request if it never started.';

COMMENT ON COLUMN public.sessions.end_reason IS 'billable, too_short, no_talk, no_show, withdrawn or expired.';

COMMENT ON COLUMN public.sessions.absent IS 'The party that was not there while the other waited, if the reason is no_show: customer, mechanic or both.';

COMMENT ON COLUMN public.sessions.ended_by IS 'customer, mechanic, admin (an operator too) or system.';

COMMENT ON COLUMN public.sessions.together_seconds IS 'How long they were together, as far as the evidence counts: the sum of its stretches; null if it never started.';

COMMENT ON COLUMN public.sessions.min_billable_seconds IS 'The threshold that was in force when the session ended.';

COMMENT ON COLUMN public.sessions.min_messages_each IS 'The setting that was in force when the session ended.';

COMMENT ON COLUMN public.sessions.late_minutes IS 'The same.';

COMMENT ON COLUMN public.sessions.actor IS 'Write-only. Who makes this change: customer, mechanic, admin, system:JOB or operator:NAME. The guard moves it to the audit row and leaves null; a statement that sets none is recorded as db:ROLE.';

COMMENT ON COLUMN public.sessions.actor_id IS 'Write-only: the user''s id (sub), if a user acts.';

COMMENT ON COLUMN public.sessions.change_data IS 'Write-only: facts of the change that belong in its audit row.';

CREATE FUNCTION public.begin_extension(of_extension uuid, session public.sessions) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.begin_extension(of_extension uuid, session public.sessions) IS 'Adds the minutes of an extension that is paid for to its talk. The caller has locked the session.';

CREATE FUNCTION public.bind_room(by_connection text, of_session uuid, after integer, most integer) RETURNS TABLE(messages jsonb, customer_read integer, mechanic_read integer, latest integer, customer_present boolean, mechanic_present boolean, came boolean)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
  by_user uuid := (SELECT c.user_id FROM realtime_connections c
                    WHERE c.connection_id = by_connection AND c.expires_at > clock_timestamp());
  was record;
  entered record;
BEGIN
  IF (party_of(of_session, by_user)).role IS NULL THEN
    RETURN;
  END IF;
  PERFORM count_against('room_entries', by_user);
  SELECT s.customer_present, s.mechanic_present INTO was FROM sessions s WHERE s.id = of_session;
  SELECT * INTO entered FROM enter_room(of_session, by_user, by_connection);
  IF entered.bound IS NOT TRUE THEN
    RETURN;
  END IF;
  customer_present := entered.customer_present;
  mechanic_present := entered.mechanic_present;
  came := (was.customer_present, was.mechanic_present) <> (entered.customer_present, entered.mechanic_present);
  -- What is being written has committed then, and who writes next sees the connection: nothing falls in between.
  PERFORM FROM rooms r WHERE r.session_id = of_session FOR SHARE;
  SELECT r.customer_read, r.mechanic_read, r.latest INTO STRICT customer_read, mechanic_read, latest FROM rooms r
   WHERE r.session_id = of_session;
  messages := messages_between(of_session, after, NULL, most);
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION public.bind_room(by_connection text, of_session uuid, after integer, most integer) IS 'Binds a live connection to the room of a session of its user (enter_room()), and returns the messages after a number, or the last ones, with who is there, and whether that has changed; no row if the user is no party.';

CREATE FUNCTION public.blank_room(of_session uuid) RETURNS integer
    LANGUAGE sql
    AS $$
  WITH blanked AS (UPDATE session_messages SET text = ''
                    WHERE session_id = of_session AND (role <> 'system' OR note = 'operator') AND text <> '' RETURNING 1)
  SELECT count(*)::integer FROM blanked
$$;

COMMENT ON FUNCTION public.blank_room(of_session uuid) IS 'Empties the words of both parties and of operators in a room, for ever; returns of how many messages. What the system itself said names nobody and stays.';

CREATE FUNCTION public.bring_due_sessions(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT s.id FROM sessions s
     WHERE s.ended_at IS NULL AND s.status = 'scheduled' AND s.scheduled_for <= now() + lead_time()
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED),
    $sweep$ UPDATE sessions s SET status = 'pending', actor = 'system:expire-orphans'
             WHERE s.id = $1 AND s.status = 'scheduled' $sweep$);
END
$_$;

COMMENT ON FUNCTION public.bring_due_sessions(batch integer) IS 'Makes up to batch scheduled sessions pending, lead_time() ahead of their time; returns how many.';

CREATE FUNCTION public.calculate_session_health_score(since timestamp with time zone DEFAULT (date_trunc('hour'::text, now(), 'UTC'::text) - '23:00:00'::interval), until timestamp with time zone DEFAULT now()) RETURNS TABLE(period_start timestamp with time zone, created bigint, ended bigint, completed bigint, cancelled bigint, expired bigint, accepted bigint, no_shows bigint, wrongly_marked bigint, unsettled bigint, average_seconds integer, completion_percent numeric, no_show_percent numeric, score numeric, status text)
    LANGUAGE sql STABLE
    AS $$
  WITH hour AS (
    SELECT generate_series(date_trunc('hour', since, 'UTC'), until - interval '1 microsecond', interval '1 hour') AS at
  ), begun AS (
    SELECT date_trunc('hour', e.occurred_at, 'UTC') AS at, count(*) AS created
      FROM session_events e
     WHERE e.from_status IS NULL AND e.occurred_at >= since AND e.occurred_at < until
     GROUP BY 1
  ), wrong AS (
    SELECT date_trunc('hour', w.decided_at, 'UTC') AS at, count(*) AS wrongly_marked
      FROM wrongly_marked_between(since, until) AS w GROUP BY 1
  ), outcome AS (
    SELECT date_trunc('hour', x.decided_at, 'UTC') AS at, count(*) AS ended,
           count(*) FILTER (WHERE x.status = 'completed') AS completed,
           count(*) FILTER (WHERE x.status = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE x.status = 'expired') AS expired,
           count(*) FILTER (WHERE x.mechanic_id IS NOT NULL) AS accepted,
           count(*) FILTER (WHERE x.end_reason = 'no_show') AS no_shows,
           avg(x.together_seconds) FILTER (WHERE x.status = 'completed') AS average_seconds,
           count(*) FILTER (WHERE x.status = 'completed' AND x.at_stake
             AND x.decided_at < now() - (SELECT health_setting('settlement_seconds_max')) * interval '1 second'
             AND NOT EXISTS (SELECT FROM settlements t WHERE t.session_id = x.session_id OFFSET 0)) AS unsettled
      FROM sessions_ended_between(since, until) AS x GROUP BY 1
  ), counted AS (
    SELECT h.at, coalesce(b.created, 0) AS created, coalesce(o.ended, 0) AS ended, coalesce(o.completed, 0) AS completed,
           coalesce(o.cancelled, 0) AS cancelled, coalesce(o.expired, 0) AS expired, coalesce(o.accepted, 0) AS accepted,
           coalesce(o.no_shows, 0) AS no_shows, coalesce(w.wrongly_marked, 0) AS wrongly_marked,
           coalesce(o.unsettled, 0) AS unsettled, o.average_seconds::integer AS average_seconds,
           percentage(o.completed, o.ended) AS completion, percentage(o.no_shows, o.accepted) AS no_show
      FROM hour h LEFT JOIN begun b USING (at) LEFT JOIN outcome o USING (at) LEFT JOIN wrong w USING (at)
  )
  SELECT c.at, c.created, c.ended, c.completed, c.cancelled, c.expired, c.accepted, c.no_shows, c.wrongly_marked,
         c.unsettled, c.average_seconds, c.completion, c.no_show, p.points, health_status(p.points)
    FROM counted c
         CROSS JOIN LATERAL (SELECT health_score(c.completion, c.no_show, c.wrongly_marked + c.unsettled, c.ended)) AS p (points)
   ORDER BY c.at
$$;

COMMENT ON FUNCTION public.calculate_session_health_score(since timestamp with time zone, until timestamp with time zone) IS 'One row for each hour (UTC), by default of the last 24 hours: the sessions that began, the outcomes of those whose end was decided then, and health_score(), counting as alerts the sessions wrongly marked or not settled. accepted: ended with a mechanic.';

CREATE FUNCTION public.changed_columns(was jsonb, is_now jsonb, personal text[], OUT changed text[], OUT before jsonb, OUT after jsonb) RETURNS record
    LANGUAGE sql IMMUTABLE
    AS $$
  SELECT array_agg(key ORDER BY key),
         coalesce(jsonb_object_agg(key, w.value) FILTER (WHERE w.value IS NOT NULL AND key <> ALL (personal)), '{}'),
         coalesce(jsonb_object_agg(key, n.value) FILTER (WHERE n.value IS NOT NULL AND key <> ALL (personal)), '{}')
    FROM jsonb_each(was) AS w (key, value) FULL JOIN jsonb_each(is_now) AS n (key, value) USING (key)
   WHERE w.value IS DISTINCT FROM n.value
$$;

COMMENT ON FUNCTION public.changed_columns(was jsonb, is_now jsonb, personal text[], OUT changed text[], OUT before jsonb, OUT after jsonb) IS 'The columns of a row that differ, with their values before and after, except values of personal data; before a new row, {}.';

CREATE FUNCTION public.new_id() RETURNS uuid
    LANGUAGE sql PARALLEL SAFE
    AS $$ SELECT uuidv7() $$;

COMMENT ON FUNCTION public.new_id() IS 'A UUIDv7: ordered by time, so that index pages stay warm.';

CREATE TABLE public.session_assignments (
    id uuid DEFAULT public.new_id() NOT NULL,
    session_id uuid NOT NULL,
    attempt integer DEFAULT 1 NOT NULL,
    urgent boolean DEFAULT false NOT NULL,
    precedence smallint DEFAULT 2 NOT NULL,
    available_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    workshop_id uuid,
    declined_by uuid[],
    queued_at timestamp with time zone,
    status text NOT NULL,
    mechanic_id uuid,
    offer_expires_at timestamp with time zone,
    ended_at timestamp with time zone,
    decline_reason text,
    actor text,
    actor_id uuid,
    CONSTRAINT session_assignments_accepted_by_somebody CHECK (((status <> ALL (ARRAY['accepted'::text, 'completed'::text])) OR (mechanic_id IS NOT NULL))),
    CONSTRAINT session_assignments_actor_is_consumed CHECK ((num_nonnulls(actor, actor_id) = 0)),
    CONSTRAINT session_assignments_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT session_assignments_decline_reason_check CHECK (((length(decline_reason) >= 1) AND (length(decline_reason) <= 500))),
    CONSTRAINT session_assignments_end_is_stamped CHECK (((status = ANY (ARRAY['declined'::text, 'completed'::text, 'cancelled'::text, 'expired'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT session_assignments_offer_is_complete CHECK (((status <> ALL (ARRAY['offered'::text, 'declined'::text])) OR ((mechanic_id IS NOT NULL) AND (offer_expires_at IS NOT NULL)))),
    CONSTRAINT session_assignments_precedence_check CHECK (((precedence >= '-1'::integer) AND (precedence <= 2))),
    CONSTRAINT session_assignments_queued_has_a_time CHECK (((status <> ALL (ARRAY['queued'::text, 'offered'::text, 'accepted'::text, 'declined'::text, 'completed'::text])) OR (queued_at IS NOT NULL))),
    CONSTRAINT session_assignments_queued_is_unassigned CHECK (((status <> ALL (ARRAY['pending_waiver'::text, 'queued'::text])) OR ((mechanic_id IS NULL) AND (offer_expires_at IS NULL)))),
    CONSTRAINT session_assignments_reason_of_a_decline CHECK (((decline_reason IS NULL) OR (status = 'declined'::text))),
    CONSTRAINT session_assignments_status_known CHECK ((status = ANY (ARRAY['pending_waiver'::text, 'queued'::text, 'offered'::text, 'accepted'::text, 'declined'::text, 'completed'::text, 'cancelled'::text, 'expired'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='10000');

COMMENT ON TABLE public.session_assignments IS 'One attempt to give a session to a mechanic; a session has a history of them and one current one.';

COMMENT ON COLUMN public.session_assignments.attempt IS '1 for the first, one more after each decline, lapsed offer or release.';

COMMENT ON COLUMN public.session_assignments.urgent IS 'Whether the customer calls it urgent.';

COMMENT ON COLUMN public.session_assignments.precedence IS 'The queue lists lower ones first, see queue_precedence(), and before them -1: a mechanic left the customer waiting; set when the assignment is made, by trigger.';

COMMENT ON COLUMN public.session_assignments.available_at IS 'Not shown before this instant (a scheduled session''s lead time).';

COMMENT ON COLUMN public.session_assignments.workshop_id IS 'Only this workshop''s mechanics see it; null: every mechanic.';

COMMENT ON COLUMN public.session_assignments.declined_by IS 'Mechanics who declined this session before or gave it back, or whom its customer had replaced; they do not see it again; null: nobody.';

COMMENT ON COLUMN public.session_assignments.queued_at IS 'When the customer began to wait; inherited by the next assignment.';

COMMENT ON COLUMN public.session_assignments.status IS 'pending_waiver, queued, offered, accepted, declined, completed, cancelled or expired; moves only as assignment_may_move() says.';

COMMENT ON COLUMN public.session_assignments.mechanic_id IS 'The mechanic to whom it is offered, or who accepted.';

COMMENT ON COLUMN public.session_assignments.offer_expires_at IS 'The end of the reservation for mechanic_id; set on every assignment that was an offer.';

COMMENT ON COLUMN public.session_assignments.ended_at IS 'When it stopped being open.';

COMMENT ON COLUMN public.session_assignments.decline_reason IS 'Why the mechanic declined, in their words; personal data, so not in the audit trail.';

COMMENT ON COLUMN public.session_assignments.actor IS 'Write-only, as in sessions.';

COMMENT ON COLUMN public.session_assignments.actor_id IS 'Write-only, as in sessions.';

CREATE FUNCTION public.check_assignment_move(was public.session_assignments, row_now public.session_assignments, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF row_now.id <> was.id OR row_now.session_id <> was.session_id OR row_now.attempt <> was.attempt THEN
    RAISE EXCEPTION 'the identity of assignment % is fixed', was.id USING ERRCODE = 'AD004';
  ELSIF row_now.status = was.status THEN
    IF row_now.mechanic_id IS DISTINCT FROM was.mechanic_id THEN
      RAISE EXCEPTION 'the mechanic of assignment % changes only with its status', was.id USING ERRCODE = 'AD004';
    ELSIF row_now.decline_reason <> coalesce(was.decline_reason, '') THEN
      RAISE EXCEPTION 'the reason of assignment % is said as it is declined, or erased', was.id USING ERRCODE = 'AD004';
    END IF;
  ELSIF NOT assignment_may_move(was.status, row_now.status) THEN
    RAISE EXCEPTION 'assignment % cannot go from % to %', was.id, was.status, row_now.status USING ERRCODE = 'AD001';
  ELSIF was.status IN ('offered', 'accepted') AND row_now.mechanic_id IS DISTINCT FROM was.mechanic_id THEN
    RAISE EXCEPTION 'assignment % belongs to another mechanic', was.id USING ERRCODE = 'AD002';
  ELSIF was.status = 'offered' AND row_now.status IN ('accepted', 'declined') AND was.offer_expires_at <= at THEN
    RAISE EXCEPTION 'the offer of assignment % has lapsed', was.id USING ERRCODE = 'AD002';
  ELSIF row_now.status = 'offered' AND NOT EXISTS (
      SELECT FROM mechanics m WHERE m.id = row_now.mechanic_id AND m.status = 'active') THEN
    RAISE EXCEPTION 'assignment % cannot be offered to a mechanic who is not active', was.id USING ERRCODE = 'AD002';
  ELSIF row_now.status = 'accepted' AND row_now.mechanic_id = ANY (was.declined_by) THEN
    RAISE EXCEPTION 'assignment % was declined by this mechanic', was.id USING ERRCODE = 'AD002';
  END IF;
END
$$;

COMMENT ON FUNCTION public.check_assignment_move(was public.session_assignments, row_now public.session_assignments, at timestamp with time zone) IS 'Refuses moves that do not exist, other mechanics'' offers, lapsed offers, and a mechanic who declined before.';

CREATE FUNCTION public.escalation_bp() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'escalation_bp'), 500)
$$;

COMMENT ON FUNCTION public.escalation_bp() IS 'The part of an approved quote for the mechanic who escalated the session, in basis points: the settings table, then 500.';

CREATE TABLE public.quotes (
    id uuid DEFAULT public.new_id() NOT NULL,
    session_id uuid NOT NULL,
    mechanic_id uuid NOT NULL,
    workshop_id uuid NOT NULL,
    escalation_bp integer DEFAULT public.escalation_bp() NOT NULL,
    note text,
    currency text DEFAULT 'usd'::text NOT NULL,
    requested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    status text DEFAULT 'requested'::text NOT NULL,
    amount_cents integer,
    description text,
    given_by_id uuid,
    given_at timestamp with time zone,
    decided_at timestamp with time zone,
    actor text,
    actor_id uuid,
    approved_session_id uuid GENERATED ALWAYS AS (
CASE status
    WHEN 'approved'::text THEN session_id
    ELSE NULL::uuid
END) STORED,
    CONSTRAINT quotes_actor_is_consumed CHECK ((num_nonnulls(actor, actor_id) = 0)),
    CONSTRAINT quotes_amount_cents_check CHECK (((amount_cents >= 1) AND (amount_cents <= 10000000))),
    CONSTRAINT quotes_currency_check CHECK ((currency = 'usd'::text)),
    CONSTRAINT quotes_described_with_an_amount CHECK (((description IS NULL) OR (amount_cents IS NOT NULL))),
    CONSTRAINT quotes_description_check CHECK (((length(description) >= 1) AND (length(description) <= 2000))),
    CONSTRAINT quotes_end_is_stamped CHECK (((status = ANY (ARRAY['approved'::text, 'declined'::text, 'superseded'::text])) = (decided_at IS NOT NULL))),
    CONSTRAINT quotes_escalation_bp_check CHECK (((escalation_bp >= 0) AND (escalation_bp <= 10000))),
    CONSTRAINT quotes_given_with_an_amount CHECK (((num_nonnulls(amount_cents, given_by_id, given_at) = ANY (ARRAY[0, 3])) AND
CASE status
    WHEN 'requested'::text THEN (amount_cents IS NULL)
    WHEN 'given'::text THEN (amount_cents IS NOT NULL)
    WHEN 'approved'::text THEN (amount_cents IS NOT NULL)
    ELSE true
END)),
    CONSTRAINT quotes_note_check CHECK (((length(note) >= 1) AND (length(note) <= 2000))),
    CONSTRAINT quotes_status_known CHECK ((status = ANY (ARRAY['requested'::text, 'given'::text, 'approved'::text, 'declined'::text, 'superseded'::text])))
);

COMMENT ON TABLE public.quotes IS 'A workshop''s offer of a repair and its price, after a mechanic escalated a session to it: one for each session and workshop. The repair and its payment are outside this system.';

COMMENT ON COLUMN public.quotes.mechanic_id IS 'The session''s mechanic, who escalated it.';

COMMENT ON COLUMN public.quotes.escalation_bp IS 'The mechanic''s part of the amount once it is approved, in basis points: the setting at the escalation.';

COMMENT ON COLUMN public.quotes.note IS 'The mechanic''s note to the workshop; may hold personal data.';

COMMENT ON COLUMN public.quotes.currency IS 'ISO 4217, lower case, as Stripe writes it.';

COMMENT ON COLUMN public.quotes.requested_at IS 'When it was escalated.';

COMMENT ON COLUMN public.quotes.status IS 'requested: the workshop has not answered; given: it has an amount, which may still change; approved or declined: by the customer; superseded: the customer approved another workshop''s.';

COMMENT ON COLUMN public.quotes.amount_cents IS 'Cents of the currency.';

COMMENT ON COLUMN public.quotes.description IS 'The repair that the amount is for, in the workshop''s words; may hold personal data.';

COMMENT ON COLUMN public.quotes.given_by_id IS 'The mechanic of the workshop who gave the present amount.';

COMMENT ON COLUMN public.quotes.given_at IS 'When the present amount was given.';

COMMENT ON COLUMN public.quotes.decided_at IS 'When it was approved, declined or superseded.';

COMMENT ON COLUMN public.quotes.actor IS 'Write-only, as in sessions.';

COMMENT ON COLUMN public.quotes.actor_id IS 'Write-only, as in sessions.';

COMMENT ON COLUMN public.quotes.approved_session_id IS 'Its session, once it is approved: a session has one approved quote at most, and only its escalation is paid.';

CREATE FUNCTION public.check_escalation(asked public.quotes) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  -- the session's row is the lock between escalation and approval; each query below sees what was committed meanwhile
  PERFORM FROM sessions s WHERE s.id = asked.session_id FOR NO KEY UPDATE;
  IF asked.status <> 'requested' THEN
    RAISE EXCEPTION 'a quote starts requested, not %', asked.status USING ERRCODE = 'AD001';
  ELSIF NOT EXISTS (SELECT FROM sessions s WHERE s.id = asked.session_id AND s.mechanic_id = asked.mechanic_id
                       AND s.status IN ('live', 'completed')) THEN
    RAISE EXCEPTION 'session % cannot be escalated by mechanic %', asked.session_id, asked.mechanic_id USING ERRCODE = 'AD001';
  ELSIF EXISTS (SELECT FROM quotes q WHERE q.approved_session_id = asked.session_id) THEN
    RAISE EXCEPTION 'session % has an approved quote', asked.session_id USING ERRCODE = 'AD001';
  END IF;
END
$$;

COMMENT ON FUNCTION public.check_escalation(asked public.quotes) IS 'Refuses an escalation if the session is neither live nor completed, if another than its mechanic escalates, or if a quote was approved.';

CREATE FUNCTION public.check_plan_uses(customer uuid, plan text, allowed integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF (SELECT count(*) FROM intakes i JOIN sessions s ON s.id = i.id
       WHERE i.customer_id = customer AND i.plan_code = plan AND s.status NOT IN ('cancelled', 'expired')) >= allowed THEN
    RAISE EXCEPTION 'plan % was used % times', plan, allowed USING ERRCODE = 'AD006';
  END IF;
  RETURN true;
END
$$;

COMMENT ON FUNCTION public.check_plan_uses(customer uuid, plan text, allowed integer) IS 'True if the customer may have another session of this plan, else raises AD006; null allows any number. The caller has locked the customer''s row, so that no two intakes count at once.';

CREATE FUNCTION public.check_quote_move(was public.quotes, row_now public.quotes) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF (row_now.id, row_now.session_id, row_now.mechanic_id, row_now.workshop_id, row_now.escalation_bp, row_now.note,
      row_now.currency, row_now.requested_at)
     IS DISTINCT FROM (was.id, was.session_id, was.mechanic_id, was.workshop_id, was.escalation_bp, was.note,
                       was.currency, was.requested_at) THEN
    RAISE EXCEPTION 'the request of quote % is fixed', was.id USING ERRCODE = 'AD004';
  ELSIF NOT quote_may_move(was.status, row_now.status) THEN
    RAISE EXCEPTION 'quote % cannot go from % to %', was.id, was.status, row_now.status USING ERRCODE = 'AD001';
  ELSIF row_now.status <> 'given'
    AND (row_now.amount_cents, row_now.description, row_now.given_by_id, row_now.given_at)
        IS DISTINCT FROM (was.amount_cents, was.description, was.given_by_id, was.given_at) THEN
    RAISE EXCEPTION 'the amount of quote % cannot change with the decision', was.id USING ERRCODE = 'AD004';
  ELSIF row_now.status = 'given' AND NOT EXISTS (
      SELECT FROM mechanics m WHERE m.id = row_now.given_by_id AND m.workshop_id = was.workshop_id) THEN
    RAISE EXCEPTION 'quote % belongs to another workshop', was.id USING ERRCODE = 'AD002';
  END IF;
END
$$;

COMMENT ON FUNCTION public.check_quote_move(was public.quotes, row_now public.quotes) IS 'Refuses moves that do not exist, amounts that change with the decision, and amounts from other workshops.';

CREATE FUNCTION public.check_session(checked uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  s record;
BEGIN
  SELECT x.status, x.mechanic_id, a.session_id AS assigned_session, a.status AS assignment, a.mechanic_id AS assigned_to,
         (SELECT count(*) FROM session_assignments o WHERE o.session_id = x.id AND o.ended_at IS NULL) AS open_assignments,
         x.mechanic_id IS NULL OR EXISTS (
           SELECT FROM session_participants p WHERE p.session_id = x.id AND p.role = 'mechanic'
              AND p.mechanic_id = x.mechanic_id AND p.until IS NULL) AS takes_part
    INTO s
    FROM sessions x LEFT JOIN session_assignments a ON a.id = x.current_assignment_id
   WHERE x.id = checked;
  IF s.assigned_session IS DISTINCT FROM checked THEN
    RAISE EXCEPTION 'session % has no assignment of its own', checked USING ERRCODE = 'AD005';
  ELSIF s.open_assignments <> (s.status IN ('scheduled', 'pending', 'waiting', 'live'))::integer THEN
    RAISE EXCEPTION 'session % is % and has % open assignments', checked, s.status, s.open_assignments USING ERRCODE = 'AD005';
  ELSIF NOT (CASE s.status
      WHEN 'scheduled' THEN s.assignment IN ('pending_waiver', 'queued', 'offered')
      WHEN 'pending' THEN s.assignment IN ('pending_waiver', 'queued', 'offered')
      WHEN 'waiting' THEN s.assignment = 'accepted'
      WHEN 'live' THEN s.assignment = 'accepted'
      ELSE s.assignment = s.status END) THEN
    RAISE EXCEPTION 'session % is % and its assignment %', checked, s.status, s.assignment USING ERRCODE = 'AD005';
  ELSIF s.mechanic_id IS NOT NULL AND (s.assigned_to IS DISTINCT FROM s.mechanic_id OR NOT s.takes_part) THEN
    RAISE EXCEPTION 'session % and its assignment name different mechanics', checked USING ERRCODE = 'AD005';
  END IF;
END
$$;

COMMENT ON FUNCTION public.check_session(checked uuid) IS 'Raises AD005 if a session and its assignments do not agree.';

CREATE FUNCTION public.checkout_may_move(source text, target text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  -- Stripe may report in any order, and the payment of a page that we gave up counts all the same
  SELECT CASE source
    WHEN 'open' THEN target IN ('processing', 'paid', 'failed', 'expired', 'unfulfillable')
    WHEN 'processing' THEN target IN ('paid', 'failed', 'unfulfillable')
    WHEN 'failed' THEN target IN ('processing', 'paid', 'unfulfillable')
    WHEN 'expired' THEN target IN ('processing', 'paid', 'failed', 'unfulfillable')
    ELSE false END
$$;

COMMENT ON FUNCTION public.checkout_may_move(source text, target text) IS 'Whether a checkout may go from one status to another; a paid one stays paid.';

CREATE FUNCTION public.checkouts_know_the_address() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  SELECT c.email INTO NEW.email
    FROM customers c JOIN confirmed_addresses a ON a.user_id = c.user_id AND a.address_hash = address_hash(c.email)
   WHERE c.user_id = NEW.user_id AND c.erased_at IS NULL;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.checkouts_know_the_address() IS 'Notes the address for Stripe, which writes to it: only one that is shown to be the customer''s. Fixed here, as Stripe refuses a key that comes with another request.';

CREATE FUNCTION public.claim_by_hand(was public.sessions, INOUT row_now public.sessions, at timestamp with time zone) RETURNS public.sessions
    LANGUAGE plpgsql
    AS $$
DECLARE
  of_mechanic uuid := coalesce(row_now.mechanic_id, was.mechanic_id);
  here record;
BEGIN
  row_now.customer_claims := row_now.customer_present;
  row_now.mechanic_claims := row_now.mechanic_present;
  FOR here IN VALUES ('customer', NULL::uuid, was.customer_present, row_now.customer_present),
                     ('mechanic', of_mechanic, was.mechanic_present, row_now.mechanic_present) LOOP
    IF here.column4 AND NOT here.column3 THEN
      PERFORM open_presence(was.id, here.column1, here.column2, 'claim', NULL, at);
    ELSIF here.column3 AND NOT here.column4 THEN
      PERFORM leave_medium(was.id, here.column1, at);
      PERFORM close_presence(was.id, here.column1, '{room,claim}', NULL, at);
    END IF;
  END LOOP;
END
$$;

COMMENT ON FUNCTION public.claim_by_hand(was public.sessions, INOUT row_now public.sessions, at timestamp with time zone) IS 'Presence that is typed by hand is a claim like any other.';

CREATE SEQUENCE public.event_sequence
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.outbox (
    subject_id uuid NOT NULL,
    id bigint DEFAULT nextval('public.event_sequence'::regclass) NOT NULL,
    type text,
    payload jsonb,
    attempts smallint,
    error text,
    CONSTRAINT outbox_type_with_payload CHECK (((type IS NULL) = (payload IS NULL)))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_insert_threshold='-1', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='20000');

COMMENT ON TABLE public.outbox IS 'Unpublished events. The content of a transition is in its audit row.';

COMMENT ON COLUMN public.outbox.subject_id IS 'The subject of the event, usually a session; order is kept within it.';

COMMENT ON COLUMN public.outbox.id IS 'The sequence of events; for a transition, the id of its audit row.';

COMMENT ON COLUMN public.outbox.type IS 'The bus''s detail-type; null for a transition.';

COMMENT ON COLUMN public.outbox.payload IS 'The facts; null for a transition.';

COMMENT ON COLUMN public.outbox.attempts IS 'How often the bus refused this entry while it took others; null: never.';

COMMENT ON COLUMN public.outbox.error IS 'The bus''s error code of the last refusal.';

CREATE TABLE public.session_assignment_events (
    session_id uuid NOT NULL,
    id bigint DEFAULT nextval('public.event_sequence'::regclass) NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    assignment_id uuid NOT NULL,
    actor_id uuid,
    actor text DEFAULT ('db:'::text || (SESSION_USER)::text) NOT NULL,
    from_status text,
    to_status text NOT NULL,
    data jsonb
);

COMMENT ON TABLE public.session_assignment_events IS 'The audit trail of assignments, written by triggers only.';

COMMENT ON COLUMN public.session_assignment_events.id IS 'Order of writing.';

COMMENT ON COLUMN public.session_assignment_events.occurred_at IS 'When, by the database''s clock.';

COMMENT ON COLUMN public.session_assignment_events.actor_id IS 'The user''s id (sub), if a user acted.';

COMMENT ON COLUMN public.session_assignment_events.actor IS 'Who acted, as in sessions.actor.';

COMMENT ON COLUMN public.session_assignment_events.from_status IS 'Null for the creation.';

COMMENT ON COLUMN public.session_assignment_events.data IS 'What an import or a repair says of it; no person''s words, as nothing erases them here.';

CREATE TABLE public.session_events (
    session_id uuid NOT NULL,
    id bigint DEFAULT nextval('public.event_sequence'::regclass) NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_id uuid,
    actor text DEFAULT ('db:'::text || (SESSION_USER)::text) NOT NULL,
    from_status text,
    to_status text NOT NULL,
    data jsonb
);

COMMENT ON TABLE public.session_events IS 'The audit trail of sessions. Only triggers write it: the application role cannot insert, and nobody can change or delete rows.';

COMMENT ON COLUMN public.session_events.id IS 'Order of writing.';

COMMENT ON COLUMN public.session_events.occurred_at IS 'When, by the database''s clock, after the session''s row was locked.';

COMMENT ON COLUMN public.session_events.actor_id IS 'The user''s id (sub), if a user acted.';

COMMENT ON COLUMN public.session_events.actor IS 'Who acted, as in sessions.actor.';

COMMENT ON COLUMN public.session_events.from_status IS 'Null for the creation.';

COMMENT ON COLUMN public.session_events.to_status IS 'The status that the session got.';

COMMENT ON COLUMN public.session_events.data IS 'Further facts; no person''s words, as nothing erases them here.';

CREATE VIEW public.outbox_events AS
 SELECT o.subject_id,
    o.id,
    o.type,
    o.payload,
    o.attempts,
    COALESCE(t.occurred_at, ((o.payload ->> 'occurredAt'::text))::timestamp with time zone) AS occurred_at,
    t.actor,
    t.data,
    t.from_status AS previous_status,
    t.to_status AS status,
    t.assignment_id,
    t.workshop_id,
    t.urgent,
    s.customer_id,
        CASE
            WHEN (t.assignment_id IS NOT NULL) THEN
            CASE
                WHEN (t.to_status <> ALL (ARRAY['pending_waiver'::text, 'queued'::text])) THEN t.mechanic_id
                ELSE NULL::uuid
            END
            WHEN ((t.to_status = 'waiting'::text) OR (t.from_status = ANY (ARRAY['waiting'::text, 'live'::text]))) THEN ( SELECT a.mechanic_id
               FROM (public.session_assignment_events y
                 JOIN public.session_assignments a ON ((a.id = y.assignment_id)))
              WHERE ((y.session_id = o.subject_id) AND (y.to_status = 'accepted'::text) AND
                    CASE t.to_status
                        WHEN 'waiting'::text THEN (y.id > o.id)
                        ELSE (y.id < o.id)
                    END)
              ORDER BY (abs((y.id - o.id)))
             LIMIT 1)
            ELSE NULL::uuid
        END AS mechanic_id,
    (( SELECT count(*) AS count
           FROM public.session_events y
          WHERE ((y.session_id = o.subject_id) AND (y.id <= o.id))) + ( SELECT count(*) AS count
           FROM public.session_assignment_events y
          WHERE ((y.session_id = o.subject_id) AND (y.id <= o.id)))) AS session_seq
   FROM ((public.outbox o
     LEFT JOIN LATERAL ( SELECT e.occurred_at,
            e.actor,
            e.data,
            e.from_status,
            e.to_status,
            NULL::uuid AS assignment_id,
            NULL::uuid AS workshop_id,
            NULL::boolean AS urgent,
            NULL::uuid AS mechanic_id
           FROM public.session_events e
          WHERE ((e.session_id = o.subject_id) AND (e.id = o.id))
        UNION ALL
         SELECT x.occurred_at,
            x.actor,
            x.data,
            x.from_status,
            x.to_status,
            x.assignment_id,
            a.workshop_id,
            a.urgent,
            a.mechanic_id
           FROM (public.session_assignment_events x
             JOIN public.session_assignments a ON ((a.id = x.assignment_id)))
          WHERE ((x.session_id = o.subject_id) AND (x.id = o.id))) t ON (true))
     LEFT JOIN public.sessions s ON ((s.id = o.subject_id)));

COMMENT ON VIEW public.outbox_events IS 'Unpublished events with all their facts; the same however late they are read.';

CREATE FUNCTION public.claim_events(after uuid, subjects integer, grace interval, each integer DEFAULT 50) RETURNS SETOF public.outbox_events
    LANGUAGE plpgsql
    AS $$
BEGIN
  RETURN QUERY
    WITH head AS MATERIALIZED (
      -- A lock on the oldest event of a subject locks them all, so two relays never share a subject.
      SELECT o.subject_id FROM outbox o
       WHERE o.subject_id > after
         AND NOT EXISTS (SELECT FROM outbox p WHERE p.subject_id = o.subject_id AND p.id < o.id)
         AND (SELECT v.occurred_at FROM outbox_events v WHERE v.subject_id = o.subject_id AND v.id = o.id)
             <= clock_timestamp() - grace
       ORDER BY o.subject_id LIMIT subjects
         FOR UPDATE OF o SKIP LOCKED)
    SELECT v.* FROM head CROSS JOIN LATERAL (
             SELECT e.* FROM outbox_events e WHERE e.subject_id = head.subject_id ORDER BY e.id LIMIT each) AS v
     ORDER BY v.subject_id, v.id;
END
$$;

COMMENT ON FUNCTION public.claim_events(after uuid, subjects integer, grace interval, each integer) IS 'Locks up to the given number of subjects after the given one whose oldest event is older than the grace, and returns the first events of each, up to the given number, in order. The lock lasts as long as the transaction.';

CREATE FUNCTION public.evidence_grace() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('evidence_grace_seconds', 90)
$$;

COMMENT ON FUNCTION public.evidence_grace() IS 'How long the money of an ended session waits for late evidence.';

CREATE TABLE public.settlements_due (
    session_id uuid NOT NULL,
    ended_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    retry_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');

COMMENT ON TABLE public.settlements_due IS 'Ended sessions with money or credits at stake that are not settled yet.';

COMMENT ON COLUMN public.settlements_due.ended_at IS 'The time of the transaction that ended it.';

COMMENT ON COLUMN public.settlements_due.retry_at IS 'The sweep skips it until the grace after this is over.';

CREATE FUNCTION public.claim_missed_settlements(batch integer DEFAULT 100, grace interval DEFAULT public.evidence_grace()) RETURNS SETOF public.settlements_due
    LANGUAGE plpgsql
    AS $$
BEGIN
  RETURN QUERY
    WITH missed AS MATERIALIZED (
      SELECT d.session_id FROM settlements_due d WHERE d.retry_at <= clock_timestamp() - grace
         AND NOT EXISTS (SELECT FROM settlement_holds h WHERE h.session_id = d.session_id AND h.outcome IS NULL)
       ORDER BY d.retry_at LIMIT batch
         FOR UPDATE SKIP LOCKED)
    UPDATE settlements_due d SET retry_at = clock_timestamp() FROM missed
     WHERE d.session_id = missed.session_id RETURNING d.*;
END
$$;

COMMENT ON FUNCTION public.claim_missed_settlements(batch integer, grace interval) IS 'Up to batch sessions that ended longer ago than the grace, are not settled and wait for no decision of a person. Each is returned again only after another grace, so that one that cannot be settled does not hold up the others.';

CREATE FUNCTION public.claims_of(session public.sessions, of_role text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
  SELECT CASE of_role WHEN 'customer' THEN session.customer_claims ELSE session.mechanic_claims END
$$;

COMMENT ON FUNCTION public.claims_of(session public.sessions, of_role text) IS 'Whether a party is there by its own word alone.';

CREATE FUNCTION public.close_presence(of_session uuid, of_role text, sources text[], by_witness text, at timestamp with time zone) RETURNS void
    LANGUAGE sql
    AS $$
  UPDATE session_presence SET until = greatest(since, least(at, clock_timestamp())), closed_at = clock_timestamp()
   WHERE session_id = of_session AND role = of_role AND until IS NULL AND replaced_at IS NULL AND source = ANY (sources)
     AND (by_witness IS NULL OR witness = by_witness)
$$;

COMMENT ON FUNCTION public.close_presence(of_session uuid, of_role text, sources text[], by_witness text, at timestamp with time zone) IS 'Ends the stretches of a party that last, of these sources, by this witness or by all; at the given instant, if it is past.';

CREATE FUNCTION public.switch_setting(name text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT s.value = 'on' FROM settings s WHERE s.key = name), false)
$$;

COMMENT ON FUNCTION public.switch_setting(name text) IS 'Whether something is switched on in the settings table; off without a row.';

CREATE TABLE public.checkouts (
    id uuid NOT NULL,
    kind text NOT NULL,
    user_id uuid NOT NULL,
    intake_id uuid,
    pack_code text,
    credits integer,
    title text NOT NULL,
    amount_cents integer NOT NULL,
    currency text NOT NULL,
    request_hash bytea,
    signed_name text,
    waiver_version text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone DEFAULT (clock_timestamp() + '01:00:00'::interval) NOT NULL,
    idempotency_key text NOT NULL,
    stripe_session_id text,
    stripe_payment_intent_id text,
    url text,
    status text DEFAULT 'open'::text NOT NULL,
    checked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    fee_due_at timestamp with time zone,
    fee_booked_at timestamp with time zone,
    refunds_due_at timestamp with time zone,
    email text,
    reckons_tax boolean DEFAULT public.switch_setting('stripe_tax'::text) NOT NULL,
    asks_tax_id boolean DEFAULT public.switch_setting('stripe_tax_ids'::text) NOT NULL,
    makes_invoice boolean DEFAULT public.switch_setting('stripe_invoices'::text) NOT NULL,
    tax_cents integer,
    processing_since timestamp with time zone,
    late_since timestamp with time zone,
    late_answer text,
    CONSTRAINT checkouts_amount_cents_check CHECK ((amount_cents > 0)),
    CONSTRAINT checkouts_answers_were_asked CHECK (((late_answer IS NULL) OR (late_since IS NOT NULL))),
    CONSTRAINT checkouts_buy_one_thing CHECK (
CASE kind
    WHEN 'intake'::text THEN ((num_nonnulls(intake_id, request_hash) = 2) AND (num_nonnulls(pack_code, credits) = 0))
    WHEN 'extension'::text THEN ((intake_id IS NOT NULL) AND (num_nonnulls(request_hash, pack_code, credits, signed_name, waiver_version) = 0))
    WHEN 'pack'::text THEN ((num_nonnulls(pack_code, credits) = 2) AND (num_nonnulls(intake_id, request_hash, signed_name, waiver_version) = 0))
    ELSE NULL::boolean
END),
    CONSTRAINT checkouts_check CHECK (((tax_cents >= 0) AND (tax_cents <= amount_cents))),
    CONSTRAINT checkouts_credits_check CHECK ((credits > 0)),
    CONSTRAINT checkouts_currency_check CHECK ((currency = 'usd'::text)),
    CONSTRAINT checkouts_kind_check CHECK ((kind = ANY (ARRAY['intake'::text, 'pack'::text, 'extension'::text]))),
    CONSTRAINT checkouts_late_answer_check CHECK ((late_answer = ANY (ARRAY['start'::text, 'give_back'::text]))),
    CONSTRAINT checkouts_paid_at_stripe CHECK (((status <> ALL (ARRAY['processing'::text, 'paid'::text, 'unfulfillable'::text])) OR (stripe_session_id IS NOT NULL))),
    CONSTRAINT checkouts_signature_is_complete CHECK (((signed_name IS NULL) = (waiver_version IS NULL))),
    CONSTRAINT checkouts_signed_name_check CHECK (((length(signed_name) >= 1) AND (length(signed_name) <= 200))),
    CONSTRAINT checkouts_status_known CHECK ((status = ANY (ARRAY['open'::text, 'processing'::text, 'paid'::text, 'failed'::text, 'expired'::text, 'unfulfillable'::text])))
);

COMMENT ON TABLE public.checkouts IS 'One page at Stripe where an intake or a pack of credits is paid; stored before Stripe is asked to create it.';

COMMENT ON COLUMN public.checkouts.kind IS 'The purchase: intake, pack, or extension (minutes for a talk, whose intake is intake_id).';

COMMENT ON COLUMN public.checkouts.user_id IS 'The sub of the customer''s token.';

COMMENT ON COLUMN public.checkouts.pack_code IS 'The pack, if the purchase is one.';

COMMENT ON COLUMN public.checkouts.credits IS 'The credits of the pack when it was offered.';

COMMENT ON COLUMN public.checkouts.title IS 'The name of the purchase on the page.';

COMMENT ON COLUMN public.checkouts.amount_cents IS 'The price that Stripe charges, in cents of the currency.';

COMMENT ON COLUMN public.checkouts.currency IS 'ISO 4217, lower case, as Stripe writes it.';

COMMENT ON COLUMN public.checkouts.request_hash IS 'The hash of the intake''s request, by which a repetition is recognised.';

COMMENT ON COLUMN public.checkouts.signed_name IS 'The signature of the waiver, if it was signed with the intake, at created_at; personal data.';

COMMENT ON COLUMN public.checkouts.waiver_version IS 'The version of the signed text.';

COMMENT ON COLUMN public.checkouts.created_at IS 'When it was stored.';

COMMENT ON COLUMN public.checkouts.expires_at IS 'When the page can no longer be paid; part of the request to Stripe, so fixed here.';

COMMENT ON COLUMN public.checkouts.idempotency_key IS 'The key of the call that creates the page; replaced only after Stripe answered with an error, which it would repeat for the same key.';

COMMENT ON COLUMN public.checkouts.stripe_session_id IS 'Stripe''s id of the page; null: Stripe has not answered yet.';

COMMENT ON COLUMN public.checkouts.stripe_payment_intent_id IS 'Stripe''s id of the payment; transfers draw on its charge.';

COMMENT ON COLUMN public.checkouts.url IS 'The address of the page.';

COMMENT ON COLUMN public.checkouts.status IS 'open: can be paid; processing: paid, but not yet confirmed by the bank; paid: paid and fulfilled; failed: the bank refused, or Stripe never created the page; expired; unfulfillable: paid, but cannot be fulfilled, see refunds.';

COMMENT ON COLUMN public.checkouts.checked_at IS 'When it was created, or when the sweep last asked Stripe about it.';

COMMENT ON COLUMN public.checkouts.fee_due_at IS 'When Stripe is next asked for its fee; null: as soon as it is paid.';

COMMENT ON COLUMN public.checkouts.fee_booked_at IS 'When Stripe''s fee was booked.';

COMMENT ON COLUMN public.checkouts.refunds_due_at IS 'When Stripe is next asked for the refunds of its payment; null: we know all that Stripe has reported.';

COMMENT ON COLUMN public.checkouts.email IS 'The customer''s address, if it was confirmed when the row was made: Stripe fills it in, and sends its receipt there; personal data.';

COMMENT ON COLUMN public.checkouts.reckons_tax IS 'Whether Stripe Tax reckons the tax within the price (the setting stripe_tax then).';

COMMENT ON COLUMN public.checkouts.asks_tax_id IS 'Whether the page asks businesses for their tax id (stripe_tax_ids).';

COMMENT ON COLUMN public.checkouts.makes_invoice IS 'Whether Stripe makes an invoice of the payment (stripe_invoices).';

COMMENT ON COLUMN public.checkouts.tax_cents IS 'The tax within the price, as Stripe reckoned it; null: not yet paid, or without Stripe Tax.';

COMMENT ON COLUMN public.checkouts.processing_since IS 'When we learned that its customer had paid, and the bank not yet confirmed it.';

COMMENT ON COLUMN public.checkouts.late_since IS 'When the money came, if that was so late that the customer is asked whether the session shall start now; it is processing until then.';

COMMENT ON COLUMN public.checkouts.late_answer IS 'What the customer said: start, or give_back.';

CREATE FUNCTION public.comes_late(paid public.checkouts) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  -- whoever has a session, or goes to pay for another one, is there: nobody has to be asked
  SELECT paid.kind = 'intake'
     AND clock_timestamp() > least(paid.processing_since, paid.expires_at) + seconds_setting('late_payment_seconds', 3600)
     AND NOT EXISTS (SELECT FROM intakes i WHERE i.id = paid.intake_id AND i.scheduled_for > clock_timestamp())
     AND NOT EXISTS (SELECT FROM intakes i JOIN sessions s ON s.customer_id = i.customer_id
                      WHERE i.id = paid.intake_id AND s.ended_at IS NULL)
     AND NOT EXISTS (SELECT FROM checkouts o
                      WHERE o.user_id = paid.user_id AND o.id <> paid.id AND o.kind = 'intake' AND o.status IN ('open', 'processing'))
$$;

COMMENT ON FUNCTION public.comes_late(paid public.checkouts) IS 'Whether its money comes so late that the customer may be gone: an hour (late_payment_seconds) after they paid, or after the page closed.';

CREATE FUNCTION public.conclude_session(session public.sessions, by_actor text, by_id uuid) RETURNS public.sessions
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.conclude_session(session public.sessions, by_actor text, by_id uuid) IS 'Ends an active session with the verdict; returns its row afterwards. The caller has locked the row.';

CREATE FUNCTION public.contest_holds_stand() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF EXISTS (SELECT FROM payouts p JOIN contests c ON c.session_id = p.session_id
              WHERE p.id = NEW.payout_id AND c.outcome IS NULL) THEN
    RAISE EXCEPTION 'the contest that holds payout % is not decided', NEW.payout_id USING ERRCODE = 'AD004';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.contest_holds_stand() IS 'Refuses to release what an undecided contest holds, whoever asks.';

CREATE FUNCTION public.contest_time() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT make_interval(hours => number_setting('contest_hours', 72))
$$;

COMMENT ON FUNCTION public.contest_time() IS 'For how long after its settlement a session can be contested: the settings table (contest_hours), then 72 hours.';

CREATE FUNCTION public.contestable_until(of_session uuid) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
  SELECT st.decided_at + contest_time() FROM settlements st
   WHERE st.session_id = of_session AND EXISTS (SELECT FROM contested_prices(of_session))
$$;

COMMENT ON FUNCTION public.contestable_until(of_session uuid) IS 'Until when a session can be contested: contest_time() after its settlement. Null where it is not settled, or nothing was paid for it, or everything goes back.';

CREATE FUNCTION public.contested_prices(of_session uuid) RETURNS TABLE(intake_id uuid, funding text, price_cents integer, credits integer, gone_cents bigint)
    LANGUAGE sql STABLE
    AS $$
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

COMMENT ON FUNCTION public.contested_prices(of_session uuid) IS 'What was paid for a session and kept: its own price, and that of each extension that was used; with what of a card payment went back already.';

CREATE FUNCTION public.contests_follow() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.contests_follow() IS 'Holds what is not sent of a contested session''s money, divides and releases it as decided, audits the decision and has both told.';

CREATE FUNCTION public.contests_guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.contests_guard() IS 'Lets a session be contested while it can be, answered once and decided once, within what was paid; of a contest that is decided only words may be emptied.';

CREATE FUNCTION public.count_against(limited text, by_user uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER COST 10000
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  at timestamptz := clock_timestamp();
  each interval;
  latest timestamptz; -- full_at is never later
BEGIN
  SELECT l.seconds * 1000000::bigint / l.most * interval '1 microsecond', at + make_interval(secs => l.seconds)
    INTO each, latest FROM limits l WHERE l.name = limited;
  IF NOT FOUND THEN
    RETURN true;
  END IF;
  INSERT INTO limit_counters AS c (user_id, limit_name, full_at) VALUES (by_user, limited, at + each)
  ON CONFLICT (user_id, limit_name) DO UPDATE SET full_at = greatest(c.full_at, at) + each
   WHERE c.full_at + each <= latest;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'user % has used up the limit %', by_user, limited
      USING ERRCODE = 'AD007', CONSTRAINT = limited,
            DETAIL = coalesce((SELECT ceil(extract(epoch FROM c.full_at + each - latest))::integer FROM limit_counters c
                                WHERE c.user_id = by_user AND c.limit_name = limited), 1);
  END IF;
  RETURN true;
END
$$;

COMMENT ON FUNCTION public.count_against(limited text, by_user uuid) IS 'Counts one use by this user against a limit; true, or raises AD007 with the limit as its constraint and the seconds to wait as its detail. What is rolled back was not counted: call it in the statement that it limits, where that is about to act, before it locks anything else.';

CREATE FUNCTION public.count_missed_offers() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  missed integer;
BEGIN
  IF NEW.status IN ('accepted', 'declined') THEN
    DELETE FROM missed_offers WHERE mechanic_id = NEW.mechanic_id;
    RETURN NULL;
  ELSIF NEW.status <> 'expired' OR OLD.offer_expires_at > clock_timestamp() OR NOT is_missed(OLD) THEN
    RETURN NULL;
  END IF;
  INSERT INTO missed_offers AS x (mechanic_id, in_a_row, missed_at) VALUES (OLD.mechanic_id, 1, OLD.offer_expires_at)
  ON CONFLICT (mechanic_id) DO UPDATE SET in_a_row = x.in_a_row + 1, missed_at = excluded.missed_at
  RETURNING in_a_row INTO STRICT missed;
  IF missed >= missed_offers_most() THEN
    UPDATE mechanics m SET available_until = NULL
     WHERE m.id = (SELECT l.id FROM mechanics l WHERE l.id = OLD.mechanic_id AND l.status = 'active'
                      AND is_available(l.id, l.available_until)
                      FOR NO KEY UPDATE SKIP LOCKED);
    IF FOUND THEN
      DELETE FROM missed_offers WHERE mechanic_id = OLD.mechanic_id;
      PERFORM emit_event('mechanic.set_away', jsonb_build_object(
                           'mechanicId', OLD.mechanic_id, 'sessionId', OLD.session_id, 'missed', missed),
                         OLD.mechanic_id);
    END IF;
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.count_missed_offers() IS 'Counts the offers that a mechanic lets lapse one after the other; after missed_offers_most() of them the mechanic is set away, and told.';

CREATE FUNCTION public.credit_balance_follows() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF NEW.debit_account LIKE 'customer:%' THEN
    UPDATE credit_balances SET balance = balance - NEW.amount WHERE user_id = split_part(NEW.debit_account, ':', 2)::uuid;
    IF NOT FOUND THEN -- no row means no credits: the constraint refuses, as it does when there are too few
      INSERT INTO credit_balances (user_id, balance) VALUES (split_part(NEW.debit_account, ':', 2)::uuid, -NEW.amount);
    END IF;
    IF NEW.kind = 'credit_hold' AND EXISTS (
         SELECT FROM credit_balances b WHERE b.user_id = split_part(NEW.debit_account, ':', 2)::uuid
            AND b.balance < frozen_credits(b.user_id)) THEN
      RAISE EXCEPTION 'the credits that are left are of a pack whose payment is disputed'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_balances_not_negative';
    END IF;
  END IF;
  IF NEW.credit_account LIKE 'customer:%' THEN
    INSERT INTO credit_balances AS b (user_id, balance)
    VALUES (split_part(NEW.credit_account, ':', 2)::uuid, NEW.amount)
    ON CONFLICT (user_id) DO UPDATE SET balance = b.balance + excluded.balance;
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.credit_balance_follows() IS 'Keeps credit_balances equal to the ledger; a constraint refuses to overdraw a customer''s credits, or to spend those of a pack whose payment is disputed.';

CREATE FUNCTION public.current_waiver_version() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT (waiver_versions())[cardinality(waiver_versions())]
$$;

COMMENT ON FUNCTION public.current_waiver_version() IS 'The version that is signed when the request names none.';

CREATE FUNCTION public.customer_gave_up(session public.sessions) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
  RETURN coalesce(
    session.end_reason = 'withdrawn'
    OR session.end_reason = 'no_show' AND session.absent IN ('customer', 'both')
    OR session.end_reason IN ('too_short', 'no_talk') AND session.ended_by = 'customer'
       AND NOT (EXISTS (SELECT FROM session_presence p WHERE p.session_id = session.id AND p.role = 'customer'
                           AND p.replaced_at IS NULL AND (p.until > session.ended_at) IS NOT FALSE)
                AND NOT EXISTS (SELECT FROM session_presence p WHERE p.session_id = session.id AND p.role = 'mechanic'
                                   AND p.replaced_at IS NULL AND (p.until > session.ended_at) IS NOT FALSE))
       AND NOT (session.end_reason = 'no_talk' AND EXISTS (
                  SELECT FROM rooms r WHERE r.session_id = session.id AND r.customer_written > 0 AND r.mechanic_written = 0)),
    false);
END
$$;

COMMENT ON FUNCTION public.customer_gave_up(session public.sessions) IS 'Whether it is the customer because of whom a session gave its price back: they withdrew, did not come, or ended a talk that was too short or none, though the mechanic had not left before, nor left them without an answer.';

CREATE FUNCTION public.days_setting(name text, otherwise integer) RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT make_interval(days => coalesce((SELECT s.value::integer FROM settings s WHERE s.key = name), otherwise))
$$;

COMMENT ON FUNCTION public.days_setting(name text, otherwise integer) IS 'A duration from the settings table, where it is in days.';

CREATE FUNCTION public.deserted_since(session public.sessions) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
  SELECT CASE WHEN session.status = 'waiting' AND NOT session.mechanic_present THEN greatest(
    session.accepted_at, session.scheduled_for,
    (SELECT max(p.until) FROM session_presence p
      WHERE p.session_id = session.id AND p.mechanic_id = session.mechanic_id AND p.since >= session.accepted_at
        AND p.replaced_at IS NULL)) END
$$;

COMMENT ON FUNCTION public.deserted_since(session public.sessions) IS 'Since when a waiting session has been without its mechanic: the accept, the time it is wanted for, or when they were last there. Null: the mechanic is there, or nobody waits.';

CREATE FUNCTION public.destination_changes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  -- the first account of a mechanic changes nothing: there was none to lead money away from
  IF OLD.stripe_account_id IS NOT NULL OR OLD.destination_changed_at IS NOT NULL OR OLD.former_account_ids <> '{}' THEN
    NEW.destination_changed_at := clock_timestamp();
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.destination_changes() IS 'Notes when a mechanic''s account is changed, by whomever.';

CREATE FUNCTION public.destination_hold() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT make_interval(hours => coalesce((SELECT s.value::integer FROM settings s WHERE s.key = 'destination_hold_hours'), 24))
$$;

COMMENT ON FUNCTION public.destination_hold() IS 'How long a mechanic''s payouts wait after their account was changed: the settings table (destination_hold_hours), then 24 hours.';

CREATE FUNCTION public.destination_holds_payouts() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.destination_holds_payouts() IS 'Holds what a mechanic is owed, and audits where it would go from now on.';

CREATE FUNCTION public.destination_is_new(mechanic uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT EXISTS (SELECT FROM mechanic_accounts a
                  WHERE a.mechanic_id = mechanic AND a.destination_changed_at > now() - destination_hold())
$$;

COMMENT ON FUNCTION public.destination_is_new(mechanic uuid) IS 'Whether the mechanic''s account was changed less than destination_hold() ago.';

CREATE FUNCTION public.dispute_evidence_audited() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  SELECT NEW.change_id, NEW.changed_by, 'dispute_evidence.' || CASE WHEN NEW.sends AND NOT OLD.sends THEN 'sent' ELSE 'changed' END,
         NEW.dispute_id, coalesce(c.changed, '{sends}'), '{}', '{}'
    FROM changed_columns(OLD.texts, NEW.texts, '{}') AS c;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.dispute_evidence_audited() IS 'Records an admin''s edit or sending in admin_changes: which fields, without their words.';

CREATE FUNCTION public.dispute_evidence_forgets() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  of_customer uuid[] := ARRAY(
    SELECT e.id FROM checkouts c JOIN dispute_evidence e ON e.checkout_id = c.id WHERE c.user_id = NEW.user_id);
BEGIN
  DELETE FROM dispute_documents WHERE evidence_id = ANY (of_customer);
  -- what is not sent is made anew, of what is left, and staged in place of what Stripe has
  UPDATE dispute_evidence
     SET texts = '{}', gaps = '{erased}',
         prepared_at = CASE WHEN state IN ('sent', 'closed') THEN prepared_at END,
         sends = sends AND (state = 'sent' OR asked_at IS NOT NULL),
         sent_by = CASE WHEN state = 'sent' OR asked_at IS NOT NULL THEN sent_by END,
         lease_id = CASE state WHEN 'sending' THEN new_id() ELSE lease_id END,
         next_attempt_at = CASE WHEN state IN ('staged', 'failed') THEN clock_timestamp() ELSE next_attempt_at END,
         attempts = CASE WHEN state IN ('staged', 'failed') THEN 0 ELSE attempts END,
         state = CASE WHEN state IN ('staged', 'failed') THEN 'due' ELSE state END
   WHERE id = ANY (of_customer);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.dispute_evidence_forgets() IS 'Empties the evidence of a customer whose data is erased, and has what is left of it staged anew.';

CREATE FUNCTION public.dispute_evidence_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  by_admin boolean := NEW.change_id IS DISTINCT FROM OLD.change_id AND num_nonnulls(NEW.change_id, NEW.changed_by) = 2;
  -- the application's role empties what is over; an erasure's trigger, with the owner's rights, what is not
  emptied boolean := NEW.texts = '{}' AND OLD.texts <> '{}'
                     AND (OLD.state IN ('sent', 'closed') OR current_user <> 'autodoctor_app');
BEGIN
  IF (NEW.dispute_id, NEW.checkout_id) <> (OLD.dispute_id, OLD.checkout_id) OR NEW.version < OLD.version
     OR OLD.state IN ('sent', 'closed') AND (NEW.state, NEW.version, NEW.sends) <> (OLD.state, OLD.version, OLD.sends) THEN
    RAISE EXCEPTION 'the evidence of dispute % is fixed', OLD.dispute_id USING ERRCODE = 'AD004';
  ELSIF NEW.texts <> OLD.texts AND NOT emptied AND (NEW.version = OLD.version OR OLD.prepared_at IS NOT NULL AND NOT by_admin) THEN
    RAISE EXCEPTION 'the evidence of dispute % is what was prepared, or an admin wrote', OLD.dispute_id USING ERRCODE = 'AD004';
  ELSIF OLD.sends AND NOT NEW.sends AND NEW.prepared_at IS NOT NULL THEN
    RAISE EXCEPTION 'the evidence of dispute % is to be sent', OLD.dispute_id USING ERRCODE = 'AD004';
  ELSIF NEW.sends AND NOT OLD.sends AND NOT (
          OLD.prepared_at IS NOT NULL
          AND CASE WHEN NEW.sent_by IS NULL THEN goes_by_itself(OLD) ELSE by_admin AND NEW.sent_by = NEW.changed_by END) THEN
    RAISE EXCEPTION 'nobody said that the evidence of dispute % is to be sent', OLD.dispute_id USING ERRCODE = 'AD004';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.dispute_evidence_guard() IS 'Keeps evidence to what was prepared or an admin wrote, and sends it only once somebody, or the setting, said so.';

CREATE FUNCTION public.dispute_is_behind(status text, withdrawn bigint, reinstated bigint, booked text, booked_cents bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  -- not by dispute_is_lost(): an index has this function, and indexes are built without a search path
  SELECT (status IN ('lost', 'prevented') AND withdrawn > reinstated) <> (booked IN ('held', 'split'))
         OR booked IN ('held', 'split') AND booked_cents <> withdrawn - reinstated
$$;

COMMENT ON FUNCTION public.dispute_is_behind(status text, withdrawn bigint, reinstated bigint, booked text, booked_cents bigint) IS 'Whether the ledger does not have what Stripe keeps for a dispute: not at all, though it does no longer, or another amount.';

CREATE FUNCTION public.dispute_is_lost(status text, withdrawn bigint, reinstated bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT status IN ('lost', 'prevented') AND withdrawn > reinstated
$$;

COMMENT ON FUNCTION public.dispute_is_lost(status text, withdrawn bigint, reinstated bigint) IS 'Whether Stripe keeps what it took for a dispute: it was lost, or prevented by giving in.';

CREATE FUNCTION public.divided_contest(of_session uuid, back_cents bigint, back_credits integer) RETURNS TABLE(intake_id uuid, cents bigint, credits integer)
    LANGUAGE sql STABLE
    AS $$
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

COMMENT ON FUNCTION public.divided_contest(of_session uuid, back_cents bigint, back_credits integer) IS 'Divides what goes back after a contest among what was paid: first over what went back already, the rest in proportion to what is left of each price.';

CREATE FUNCTION public.emit_event(event_type text, facts jsonb, subject uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
  INSERT INTO outbox (subject_id, type, payload)
  VALUES (subject, event_type, facts || jsonb_build_object('occurredAt', clock_timestamp()))
$$;

COMMENT ON FUNCTION public.emit_event(event_type text, facts jsonb, subject uuid) IS 'Puts an event into the outbox that is not a transition: its detail-type, its facts, and its subject, within which order is kept.';

CREATE FUNCTION public.end_abandoned_sessions(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
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
$_$;

COMMENT ON FUNCTION public.end_abandoned_sessions(batch integer) IS 'Ends up to batch live sessions whose parties have not been together for parting_limit(), whose minutes and the grace after them are over, or that are past their plan''s longest duration; returns how many.';

CREATE FUNCTION public.end_presence_of_mechanic(session public.sessions, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM leave_medium(session.id, 'mechanic', at);
  PERFORM close_presence(session.id, 'mechanic', '{room,claim}', NULL, at);
  UPDATE realtime_connections c SET room = NULL
    FROM mechanics m WHERE m.id = session.mechanic_id AND c.user_id = m.user_id AND c.room = session.id;
END
$$;

COMMENT ON FUNCTION public.end_presence_of_mechanic(session public.sessions, at timestamp with time zone) IS 'A mechanic who gives a session back leaves its room, whatever says that they are there.';

CREATE FUNCTION public.ended_by_operator(of_session uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT coalesce((SELECT split_part(e.actor, ':', 1) IN ('admin', 'operator') FROM session_events e
                    WHERE e.session_id = of_session AND e.to_status IN ('completed', 'cancelled')
                    ORDER BY e.id LIMIT 1), false)
$$;

COMMENT ON FUNCTION public.ended_by_operator(of_session uuid) IS 'Whether neither a party nor a sweep, but an operator ended the session.';

CREATE FUNCTION public.enter_call(of_session uuid, by_user uuid) RETURNS TABLE(outcome text, session_status text, attempt integer, number integer, meeting jsonb, participant_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.enter_call(of_session uuid, by_user uuid) IS 'The running meeting of a session for one of its parties, by its number among those of the accepted assignment; without a meeting it is still to be made. The outcome is open, or why not: over, not_open, no_video, suspended. No row if the user is no party.';

CREATE FUNCTION public.enter_room(of_session uuid, by_user uuid, by_connection text) RETURNS TABLE(session_id uuid, session_status text, started_at timestamp with time zone, role text, customer_present boolean, mechanic_present boolean, bound boolean, unpublished json)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
  session sessions;
  before text;
  at timestamptz;
BEGIN
  IF EXISTS (SELECT FROM realtime_connections c
              WHERE c.connection_id = by_connection AND c.user_id = by_user AND c.room <> of_session)
     AND EXISTS (SELECT FROM sessions s WHERE s.id = of_session AND may_come(s, by_user)) THEN -- else it stays where it is
    PERFORM leave_room(by_connection);
  END IF;
  SELECT * INTO session FROM sessions s
   WHERE s.id = of_session AND may_come(s, by_user) FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  role := role_of(session, by_user);
  before := session.status;
  UPDATE realtime_connections c SET room = of_session, heard_at = clock_timestamp()
   WHERE c.connection_id = by_connection AND c.user_id = by_user AND c.expires_at > clock_timestamp();
  bound := FOUND;
  IF bound AND session.status IN ('pending', 'waiting', 'live') THEN
    at := clock_timestamp(); -- after the wait for the lock
    PERFORM open_presence(session.id, role, CASE role WHEN 'mechanic' THEN session.mechanic_id END, 'room',
                          by_connection, at);
    PERFORM close_presence(session.id, role, '{claim}', NULL, at); -- a witness in its place
    session := set_presence(session, role, by_user, false, at);
  END IF;
  session_id := session.id;
  session_status := session.status;
  started_at := session.started_at;
  customer_present := session.customer_present AND session.ended_at IS NULL;
  mechanic_present := session.mechanic_present AND session.ended_at IS NULL;
  unpublished := CASE WHEN session.status = before THEN '[]' ELSE unpublished_events(of_session) END;
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION public.enter_room(of_session uuid, by_user uuid, by_connection text) IS 'Binds a live connection of a party to the room of its session: while the session is open this is evidence that the party is there, and the session is live as soon as both are. Returns the session with its unpublished events, bound false if the connection is not live or not this user''s; no row if the user is no party, or suspended and it is not live.';

CREATE TABLE public.erasures (
    user_id uuid NOT NULL,
    role text DEFAULT 'customer'::text NOT NULL,
    erased_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    erased_by text NOT NULL,
    sessions integer NOT NULL,
    CONSTRAINT erasures_role_check CHECK ((role = ANY (ARRAY['customer'::text, 'mechanic'::text])))
);

COMMENT ON TABLE public.erasures IS 'Proof that a person''s data was erased on request; never changed.';

COMMENT ON COLUMN public.erasures.user_id IS 'The sub of the person''s token.';

COMMENT ON COLUMN public.erasures.role IS 'As what: one who was both a customer and a mechanic is erased as each.';

COMMENT ON COLUMN public.erasures.erased_at IS 'When the data was erased.';

COMMENT ON COLUMN public.erasures.erased_by IS 'The database role, and the operator for whom it acted.';

COMMENT ON COLUMN public.erasures.sessions IS 'The number of sessions that lost their words and names.';

CREATE FUNCTION public.erase_customer(customer_user uuid, operator text) RETURNS public.erasures
    LANGUAGE plpgsql
    AS $$
DECLARE
  done erasures;
  erased uuid;
  touched integer;
BEGIN
  IF NOT is_named_anywhere(customer_user) THEN
    RETURN NULL;
  END IF;
  -- who never began an intake gets a row, so that none begins meanwhile or afterwards
  INSERT INTO customers (user_id, name, email) VALUES (customer_user, '[erased]', '[erased]') ON CONFLICT DO NOTHING;
  SELECT id INTO STRICT erased FROM customers WHERE user_id = customer_user FOR NO KEY UPDATE;
  IF EXISTS (SELECT FROM sessions WHERE customer_id = erased AND ended_at IS NULL)
     OR EXISTS (SELECT FROM checkouts WHERE user_id = customer_user AND status IN ('open', 'processing')) THEN
    RAISE EXCEPTION 'customer % has an active session or an open payment', customer_user USING ERRCODE = 'AD010';
  END IF;

  UPDATE customers SET name = '[erased]', email = '[erased]', phone = NULL, erased_at = coalesce(erased_at, clock_timestamp())
   WHERE id = erased;
  UPDATE intakes SET customer_name = '[erased]', vehicle = '{}', concern = '[erased]' WHERE customer_id = erased;
  GET DIAGNOSTICS touched = ROW_COUNT;
  UPDATE session_notes SET text = '' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE session_assignments SET decline_reason = NULL FROM sessions s
   WHERE s.id = session_id AND s.customer_id = erased AND decline_reason IS NOT NULL;
  UPDATE end_explanations SET text = '[erased]' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE contests SET words = '', answer = CASE WHEN answer IS NOT NULL THEN '' END
    FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  PERFORM blank_room(s.id) FROM sessions s WHERE s.customer_id = erased;
  UPDATE waivers SET signed_name = '[erased]' FROM sessions s WHERE s.id = session_id AND s.customer_id = erased;
  UPDATE checkouts SET signed_name = '[erased]' WHERE user_id = customer_user AND signed_name IS NOT NULL;
  UPDATE checkouts SET email = NULL WHERE user_id = customer_user AND email IS NOT NULL;
  -- of both parties: a mechanic's picture shows the customer's car; the sweep deletes the files
  UPDATE attachments SET state = 'gone'
   WHERE state <> 'gone'
     AND (user_id = customer_user OR session_id IN (SELECT i.id FROM intakes i WHERE i.customer_id = erased));
  DELETE FROM confirmed_addresses WHERE user_id = customer_user;
  DELETE FROM address_confirmations WHERE user_id = customer_user;
  DELETE FROM idempotency_keys WHERE user_id = customer_user;
  PERFORM forget_user(customer_user);
  INSERT INTO erasures (user_id, erased_by, sessions)
  VALUES (customer_user, session_user || ':' || operator, touched) ON CONFLICT DO NOTHING;
  SELECT * INTO STRICT done FROM erasures WHERE user_id = customer_user AND role = 'customer'; -- the first stands
  RETURN done;
END
$$;

COMMENT ON FUNCTION public.erase_customer(customer_user uuid, operator text) IS 'Removes a customer''s personal data from every row, for ever, and returns the proof. A second time removes what came since and returns the first proof; null if no row names the user. Raises AD010 while a session is active or a payment is open. For the owner.';

CREATE FUNCTION public.erase_mechanic(mechanic_user uuid, operator text) RETURNS public.erasures
    LANGUAGE plpgsql
    AS $$
DECLARE
  done erasures;
  erased uuid;
  touched integer;
BEGIN
  SELECT id INTO erased FROM mechanics WHERE user_id = mechanic_user FOR NO KEY UPDATE;
  IF erased IS NULL THEN
    RETURN NULL;
  END IF;
  IF EXISTS (SELECT FROM sessions WHERE mechanic_id = erased AND ended_at IS NULL)
     OR EXISTS (SELECT FROM settlements_due d JOIN sessions s ON s.id = d.session_id WHERE s.mechanic_id = erased)
     OR EXISTS (SELECT FROM payouts WHERE mechanic_id = erased AND state IN ('due', 'held', 'sending', 'failed')) THEN
    RAISE EXCEPTION 'mechanic % has a session or is still owed something', mechanic_user USING ERRCODE = 'AD010';
  END IF;

  UPDATE mechanics SET name = '[erased]', email = NULL, status = 'suspended', suspension_reason = NULL,
                       available_until = NULL, erased_at = clock_timestamp()
   WHERE id = erased AND erased_at IS NULL;
  SELECT count(*) INTO touched FROM session_participants WHERE mechanic_id = erased;
  -- the notes stay: they are the customer's record, about a car
  UPDATE session_messages SET text = ''
   WHERE session_id IN (SELECT p.session_id FROM session_participants p WHERE p.mechanic_id = erased)
     AND mechanic_id = erased AND text <> '';
  UPDATE contests SET answer = '' FROM sessions s
   WHERE s.id = session_id AND s.mechanic_id = erased AND answer <> '';
  UPDATE quotes SET note = CASE WHEN mechanic_id <> erased THEN note END,
                    description = CASE WHEN given_by_id <> erased THEN description END
   WHERE mechanic_id = erased AND note IS NOT NULL OR given_by_id = erased AND description IS NOT NULL;
  UPDATE session_assignments SET decline_reason = NULL WHERE mechanic_id = erased AND decline_reason IS NOT NULL;
  UPDATE attachments SET state = 'gone' WHERE user_id = mechanic_user AND role = 'mechanic' AND state <> 'gone';
  UPDATE legacy_rows SET content = '{}' WHERE user_id = mechanic_user OR row_key = erased::text;
  PERFORM forget_user(mechanic_user);
  INSERT INTO erasures (user_id, role, erased_by, sessions)
  VALUES (mechanic_user, 'mechanic', session_user || ':' || operator, touched) ON CONFLICT DO NOTHING;
  SELECT * INTO STRICT done FROM erasures WHERE user_id = mechanic_user AND role = 'mechanic'; -- the first stands
  RETURN done;
END
$$;

COMMENT ON FUNCTION public.erase_mechanic(mechanic_user uuid, operator text) IS 'Removes a mechanic''s personal data from every row, for ever, and suspends the mechanic for good; returns the proof. A second time removes what came since and returns the first proof; null if there is no such mechanic. Raises AD010 while a session is active or money is owed. For the owner.';

CREATE FUNCTION public.erased_mechanics_stay() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'the data of mechanic % was erased', OLD.id USING ERRCODE = 'AD011';
END
$$;

COMMENT ON FUNCTION public.erased_mechanics_stay() IS 'Refuses every change of a mechanic whose data was erased.';

CREATE FUNCTION public.escalation_needs_release(session uuid, cents bigint) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
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

COMMENT ON FUNCTION public.escalation_needs_release(session uuid, cents bigint) IS 'Whether an admin has to release the share of a session''s approved quote. Not if it is below escalation_auto_release_cents (the settings table, else 2500), the customer paid for the session and has nothing of it back, and in 30 days no other was earned for this customer, by this mechanic from that workshop or mechanic, or by these two the other way round.';

CREATE FUNCTION public.estimated_wait(place bigint, free bigint, share double precision, per_second double precision, usual_wait double precision, longest interval) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT
    AS $$
  SELECT ceil(least(place / (per_second * share), ceil(place / greatest(free, 1)::numeric)::float8 * usual_wait,
                    extract(epoch FROM longest)))::integer
$$;

COMMENT ON FUNCTION public.estimated_wait(place bigint, free bigint, share double precision, per_second double precision, usual_wait double precision, longest interval) IS 'Seconds until the customer at this place is accepted, never less at a later place. The lesser of two estimates: place / pace, and the usual wait times the rounds in which the free mechanics take one customer each. The first is Little''s law (L = lambda W: J. D. C. Little, Operations Research 9, 1961), with the share of all accepts that the mechanics who would be shown the request make as its pace; the second counts because without a queue the pace says how often customers come, not how long they wait. At most the longest wait, after which the session expires; null without a pace.';

CREATE FUNCTION public.evidence_class() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT value FROM settings WHERE key = 'evidence'), 'witnessed')
$$;

COMMENT ON FUNCTION public.evidence_class() IS 'What counts as having been together in a session that is asked for now: witnessed, or claimed, for operators who bring a medium of their own and send no evidence. The settings table, then witnessed.';

CREATE FUNCTION public.evidence_fits(texts jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT jsonb_typeof(texts) = 'object'
     AND NOT EXISTS (
       SELECT FROM jsonb_each(texts) AS t (field, words)
        WHERE jsonb_typeof(t.words) <> 'string' OR length(t.words #>> '{}') NOT BETWEEN 1 AND 20000
           OR t.field NOT IN ('access_activity_log', 'customer_email_address', 'customer_name', 'product_description',
                              'refund_policy_disclosure', 'refund_refusal_explanation', 'service_date', 'uncategorized_text'))
     AND (SELECT coalesce(sum(length(t.words)), 0) <= 150000 FROM jsonb_each_text(texts) AS t (field, words))
$$;

COMMENT ON FUNCTION public.evidence_fits(texts jsonb) IS 'Whether Stripe takes these texts: its names of the fields that we fill, and its limits.';

CREATE FUNCTION public.expire_lapsed_offers(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT a.id FROM session_assignments a JOIN sessions s ON s.id = a.session_id
     WHERE a.status = 'offered' AND a.offer_expires_at <= now()
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE OF s SKIP LOCKED),
    $sweep$ UPDATE session_assignments a SET status = 'expired', actor = 'system:expire-orphans'
             WHERE a.id = $1 AND a.status = 'offered' AND a.offer_expires_at <= now() $sweep$);
END
$_$;

COMMENT ON FUNCTION public.expire_lapsed_offers(batch integer) IS 'Ends up to batch offers past their deadline, which queues their sessions for the others; returns how many.';

CREATE FUNCTION public.expire_orphaned_sessions(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT s.id FROM sessions s
     WHERE s.ended_at IS NULL AND orphaned_since(s) < now() - orphan_age()
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED),
    $sweep$ UPDATE sessions s SET status = 'expired', actor = 'system:expire-orphans'
             WHERE s.id = $1 AND orphaned_since(s) < now() - orphan_age() $sweep$);
END
$_$;

COMMENT ON FUNCTION public.expire_orphaned_sessions(batch integer) IS 'Expires up to batch sessions that were pending or waiting for longer than orphan_age(); returns how many. Safe to call by hand and concurrently.';

CREATE FUNCTION public.extension_checkout(of_session uuid, of_extension uuid, by_user uuid, checkout uuid) RETURNS SETOF public.checkouts
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.extension_checkout(of_session uuid, of_extension uuid, by_user uuid, checkout uuid) IS 'The checkout of an extension that its mechanic agreed to, made with the given id if there is none; no row if it is not to be paid for.';

CREATE FUNCTION public.extension_intake(of_extension uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO intakes (id, customer_id, plan_code, funding, session_type, price_cents, currency, credits,
                       mechanic_share_bp, max_minutes, customer_name, vehicle, concern, urgent, evidence)
  SELECT x.id, i.customer_id, i.plan_code, x.pay_with, i.session_type, x.price_cents, x.currency, x.credits,
         i.mechanic_share_bp, x.minutes, '', '{}', '', false, i.evidence
    FROM session_extensions x JOIN intakes i ON i.id = x.session_id WHERE x.id = of_extension AND x.intake_id IS NULL;
  UPDATE session_extensions SET intake_id = id WHERE id = of_extension AND intake_id IS NULL;
END
$$;

COMMENT ON FUNCTION public.extension_intake(of_extension uuid) IS 'Makes the intake of an extension that is to be paid for, once.';

CREATE FUNCTION public.extension_is_over() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  UPDATE session_extensions SET status = 'lapsed' WHERE session_id = NEW.id AND status IN ('asked', 'agreed');
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.extension_is_over() IS 'What was not paid for when the talk ended is not wanted any more.';

CREATE FUNCTION public.extension_paid(of_extension uuid) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.extension_paid(of_extension uuid) IS 'Adds the minutes of an extension whose checkout is paid to its talk, and returns the session; null if the talk is over, or nobody wants them any more: then the payment goes back.';

CREATE FUNCTION public.extension_was_used(of_extension uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT s.ended_at >= s.started_at + make_interval(mins => x.starts_after, secs => s.min_billable_seconds)
    FROM session_extensions x JOIN sessions s ON s.id = x.session_id
   WHERE x.id = of_extension AND x.status = 'running' AND s.ended_at IS NOT NULL
$$;

COMMENT ON FUNCTION public.extension_was_used(of_extension uuid) IS 'Whether the talk went on into the minutes of an extension, for at least as long as it takes to be billable. Null where the talk is not over, or the extension never ran.';

CREATE FUNCTION public.feed_id() RETURNS uuid
    LANGUAGE sql STABLE
    AS $$
  SELECT encode(substring(sha256(convert_to(
           h.database_id || ' ' || (SELECT timeline_id FROM pg_control_checkpoint()), 'UTF8')) FOR 16), 'hex')::uuid
    FROM feed_head h
$$;

COMMENT ON FUNCTION public.feed_id() IS 'The id of the feed''s history, within which numbers can be compared: another one in another database, on another timeline of the server''s, and after renew_feed().';

CREATE FUNCTION public.files_kept_for() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT days_setting('retain_files_days', 90)
$$;

COMMENT ON FUNCTION public.files_kept_for() IS 'How long the files of a session are kept after its end.';

CREATE FUNCTION public.finish_session(of_session uuid, by_user uuid, any_session boolean, by_actor text, notes text) RETURNS TABLE(session_id uuid, status text, reason text, started_at timestamp with time zone, ended_at timestamp with time zone, duration_seconds integer, ended_by text, already_ended boolean, unpublished json)
    LANGUAGE plpgsql ROWS 1
    AS $$
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

COMMENT ON FUNCTION public.finish_session(of_session uuid, by_user uuid, any_session boolean, by_actor text, notes text) IS 'Ends a session with the verdict, for one of its parties or for a user who may end any session. Returns its outcome with its unpublished events; the same outcome with already_ended if it is over; no row if it is not this user''s. Raises 55P03 if another transaction has locked it.';

CREATE FUNCTION public.first_picture(session uuid) RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT f.picture_id FROM first_pictures(ARRAY[session]) AS f
$$;

COMMENT ON FUNCTION public.first_picture(session uuid) IS 'The first picture of one intake; null: there is none.';

CREATE FUNCTION public.first_pictures(sessions uuid[]) RETURNS TABLE(session_id uuid, picture_id uuid)
    LANGUAGE sql STABLE ROWS 20 PARALLEL SAFE
    AS $$
  SELECT DISTINCT ON (a.session_id) a.session_id, a.id FROM attachments a
   WHERE a.session_id = ANY (sessions) AND a.place IS NOT NULL AND a.content_type LIKE 'image/%'
     AND a.state NOT IN ('refused', 'gone')
   ORDER BY a.session_id, a.place
$$;

COMMENT ON FUNCTION public.first_pictures(sessions uuid[]) IS 'The first picture of the intake of each of these sessions that has one: mechanics see it with the request.';

CREATE FUNCTION public.first_reply_time() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('first_reply_seconds', 180)
$$;

COMMENT ON FUNCTION public.first_reply_time() IS 'How long a mechanic who accepted may leave a customer in the room without a word.';

CREATE FUNCTION public.follow_end(was public.sessions, INOUT row_now public.sessions, at timestamp with time zone) RETURNS public.sessions
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.follow_end(was public.sessions, INOUT row_now public.sessions, at timestamp with time zone) IS 'The row of a session that ends, with what follows from the verdict: its status if none was given, the times, the reason and the absent party. Claims end with it.';

CREATE FUNCTION public.follow_move(was public.sessions, INOUT row_now public.sessions, at timestamp with time zone) RETURNS public.sessions
    LANGUAGE plpgsql
    AS $$
DECLARE
  seen record;
BEGIN
  IF row_now.status = was.status THEN
    row_now := follow_end(was, row_now, at);
  ELSIF row_now.status = 'pending' AND was.status = 'scheduled' THEN
    row_now.released_at := coalesce(row_now.released_at, at);
  ELSIF row_now.status = 'waiting' THEN
    row_now.accepted_at := at;
    row_now.mechanic_present := false;
    row_now.mechanic_claims := false;
    row_now.mechanic_joined_at := NULL;
    IF EXISTS (SELECT FROM mechanics m JOIN customers c ON c.user_id = m.user_id
               WHERE m.id = row_now.mechanic_id AND c.id = row_now.customer_id) THEN
      RAISE EXCEPTION 'mechanic and customer of a session are the same user' USING ERRCODE = 'AD003';
    END IF;
  ELSIF row_now.status = 'pending' THEN
    PERFORM end_presence_of_mechanic(was, at);
    row_now.mechanic_id := NULL;
    row_now.mechanic_present := false;
    row_now.mechanic_claims := false;
    row_now.mechanic_joined_at := NULL;
    row_now.accepted_at := NULL;
    row_now.parted_at := NULL;
  ELSIF row_now.status = 'live' THEN
    seen := presence_of(was, at, 'infinity');
    row_now.started_at := lower(seen.customer * seen.mechanic);
    IF row_now.started_at IS NULL THEN
      RAISE EXCEPTION 'no evidence that both were present in session %', was.id USING ERRCODE = 'AD001';
    END IF;
    -- Imported evidence has left no trace in the row.
    row_now.customer_joined_at := coalesce(row_now.customer_joined_at, row_now.started_at);
    row_now.mechanic_joined_at := coalesce(row_now.mechanic_joined_at, row_now.started_at);
  ELSE
    row_now := follow_end(was, row_now, at);
  END IF;
END
$$;

COMMENT ON FUNCTION public.follow_move(was public.sessions, INOUT row_now public.sessions, at timestamp with time zone) IS 'The row with the times, the reason and the absent party that follow from its new status.';

CREATE FUNCTION public.forget_connection(gone text, at timestamp with time zone DEFAULT clock_timestamp()) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  was_in uuid;
  of_user uuid := (SELECT c.user_id FROM realtime_connections c WHERE c.connection_id = gone);
BEGIN
  LOOP -- the room before the row: whoever enters one locks them in this order
    was_in := coalesce(leave_room(gone, at), was_in);
    DELETE FROM realtime_connections c WHERE c.connection_id = gone AND c.room IS NULL;
    EXIT WHEN FOUND OR NOT EXISTS (SELECT FROM realtime_connections c WHERE c.connection_id = gone);
  END LOOP;
  PERFORM note_loss(was_in, of_user);
  RETURN was_in;
END
$$;

COMMENT ON FUNCTION public.forget_connection(gone text, at timestamp with time zone) IS 'Removes a connection that has ended; its user leaves the room it was bound to. Returns that session; null if it was bound to none.';

CREATE FUNCTION public.forget_idempotency_keys(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
  changed integer;
BEGIN
  WITH old AS MATERIALIZED (
    SELECT user_id, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
     LIMIT batch
       FOR UPDATE SKIP LOCKED)
  DELETE FROM idempotency_keys k USING old WHERE k.user_id = old.user_id AND k.key = old.key;
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;

COMMENT ON FUNCTION public.forget_idempotency_keys(batch integer) IS 'Deletes up to batch Idempotency-Keys older than 24 hours; returns how many.';

CREATE FUNCTION public.forget_late_uploads(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
  changed integer;
BEGIN
  -- an upload that began in time may end, and be heard of, a while later
  WITH late AS MATERIALIZED (
    SELECT id FROM attachments WHERE state = 'promised' AND expires_at < now() - interval '15 minutes'
     ORDER BY expires_at LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE attachments a SET state = 'gone' FROM late WHERE a.id = late.id AND a.state = 'promised';
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;

COMMENT ON FUNCTION public.forget_late_uploads(batch integer) IS 'Ends up to batch promises whose upload did not come; returns how many.';

CREATE FUNCTION public.forget_limit_counters(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  changed integer;
BEGIN
  WITH old AS MATERIALIZED (
    SELECT user_id, limit_name FROM limit_counters WHERE full_at <= now() LIMIT batch
       FOR UPDATE SKIP LOCKED)
  DELETE FROM limit_counters c USING old WHERE c.user_id = old.user_id AND c.limit_name = old.limit_name;
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;

COMMENT ON FUNCTION public.forget_limit_counters(batch integer) IS 'Deletes up to batch counters of limits that are wholly free again; returns how many.';

CREATE FUNCTION public.forget_old_files(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
  changed integer;
BEGIN
  -- each half by its own index, so that a run does not walk through all the files that are kept
  WITH found AS MATERIALIZED (
    (SELECT a.id FROM attachments a
      WHERE a.session_id IS NULL AND a.state <> 'gone' AND a.created_at < now() - interval '1 day'
      ORDER BY a.created_at LIMIT batch)
    UNION ALL
    (SELECT a.id FROM attachments a
      WHERE a.state <> 'gone' AND a.created_at < now() - files_kept_for() AND attachment_is_old(a)
      ORDER BY a.created_at LIMIT batch)
  ), old AS MATERIALIZED (
    SELECT a.id FROM attachments a WHERE a.id IN (SELECT found.id FROM found LIMIT batch)
       FOR NO KEY UPDATE SKIP LOCKED)
  UPDATE attachments a SET state = 'gone' FROM old
   WHERE a.id = old.id AND a.state <> 'gone' AND attachment_is_old(a);
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;

COMMENT ON FUNCTION public.forget_old_files(batch integer) IS 'Ends up to batch files that are past files_kept_for(), or that no intake has named for a day; returns how many.';

CREATE FUNCTION public.forget_old_messages(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  room uuid;
  changed integer := 0;
BEGIN
  FOR room IN SELECT r.session_id FROM rooms r WHERE r.session_id IN (SELECT rooms_to_empty(batch)) AND r.kept
                 FOR NO KEY UPDATE SKIP LOCKED
  LOOP
    PERFORM blank_room(room);
    UPDATE rooms SET kept = false WHERE session_id = room;
    changed := changed + 1;
  END LOOP;
  RETURN changed;
END
$$;

COMMENT ON FUNCTION public.forget_old_messages(batch integer) IS 'Empties the words of both parties in up to batch rooms that are past messages_kept_for(); returns how many.';

CREATE FUNCTION public.forget_user(of_user uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  UPDATE mail_deliveries SET address_hash = NULL WHERE user_id = of_user AND address_hash IS NOT NULL;
  DELETE FROM notifications WHERE user_id = of_user;
  DELETE FROM notification_preferences WHERE user_id = of_user;
  DELETE FROM notification_locales WHERE user_id = of_user;
  DELETE FROM push_subscriptions WHERE user_id = of_user;
  DELETE FROM realtime_tickets WHERE user_id = of_user;
  DELETE FROM realtime_connections WHERE user_id = of_user;
END
$$;

COMMENT ON FUNCTION public.forget_user(of_user uuid) IS 'Forgets what any user leaves, in whichever part: where and how they are told, and of what. For the owner.';

CREATE FUNCTION public.frozen_credits(of_user uuid) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  SELECT coalesce(sum(c.credits), 0)::bigint FROM checkouts c
   WHERE c.user_id = of_user AND c.kind = 'pack' AND c.status = 'paid'
     AND EXISTS (SELECT FROM stripe_disputes d WHERE d.payment_intent_id = c.stripe_payment_intent_id
                    AND d.status IN ('needs_response', 'under_review'))
$$;

COMMENT ON FUNCTION public.frozen_credits(of_user uuid) IS 'The credits of a customer''s packs whose payment is disputed now: so many of what is left cannot be spent, and what is missing of them has been.';

CREATE TABLE public.stripe_jobs (
    id uuid DEFAULT public.new_id() NOT NULL,
    job text NOT NULL,
    state text DEFAULT 'due'::text NOT NULL,
    waits_for text,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT clock_timestamp(),
    lease_id uuid,
    idempotency_key text,
    keyed_at timestamp with time zone,
    asked_at timestamp with time zone,
    asked_cents bigint,
    last_error text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT stripe_jobs_are_of_a_kind CHECK (false) NO INHERIT,
    CONSTRAINT stripe_jobs_asks_for_an_amount CHECK ((asked_cents > 0)),
    CONSTRAINT stripe_jobs_asks_under_a_key CHECK (
CASE job
    WHEN 'evidence'::text THEN (asked_cents IS NULL)
    ELSE ((idempotency_key IS NULL) = (asked_cents IS NULL))
END),
    CONSTRAINT stripe_jobs_attempts_not_negative CHECK ((attempts >= 0)),
    CONSTRAINT stripe_jobs_sending_has_a_lease CHECK (((state <> 'sending'::text) OR (lease_id IS NOT NULL))),
    CONSTRAINT stripe_jobs_waits_for_known CHECK ((waits_for = ANY (ARRAY['onboarding'::text, 'balance'::text, 'dispute'::text, 'payment'::text, 'retry'::text, 'release'::text, 'time'::text])))
);

COMMENT ON TABLE public.stripe_jobs IS 'The jobs for Stripe: every payout, refund and reversal, and the evidence of every dispute. It has no rows of its own, but shows those of its four tables.';

COMMENT ON COLUMN public.stripe_jobs.job IS 'payout, refund, reversal or evidence: the table that holds the row.';

COMMENT ON COLUMN public.stripe_jobs.state IS 'due: to be sent; held: not before a dispute is over, or every hold of a payout is released; sending: an attempt holds the lease, or its outcome is not known; failed: given up, see last_error. Each table has its own final states.';

COMMENT ON COLUMN public.stripe_jobs.waits_for IS 'The reason for waiting. onboarding: of the mechanic; balance: ours is too low; dispute: of its payment; payment: the payment is not known; retry: a passing error, see last_error; release: of every hold in payout_holds; time: payout_hold() after it was earned.';

COMMENT ON COLUMN public.stripe_jobs.attempts IS 'The number of attempts; waiting for an onboarding or a dispute does not count.';

COMMENT ON COLUMN public.stripe_jobs.next_attempt_at IS 'The earliest instant of the next attempt; while sending, the end of the lease, after which the next attempt looks up what this one did.';

COMMENT ON COLUMN public.stripe_jobs.lease_id IS 'The lease of the attempt under way: an attempt changes nothing once its lease has been replaced.';

COMMENT ON COLUMN public.stripe_jobs.idempotency_key IS 'The key of the call to Stripe, stored before the call; null: no call is outstanding.';

COMMENT ON COLUMN public.stripe_jobs.keyed_at IS 'When the idempotency key was made: Stripe forgets keys after a day.';

COMMENT ON COLUMN public.stripe_jobs.asked_at IS 'When Stripe was first asked to act; null: never, so there is nothing to look up.';

COMMENT ON COLUMN public.stripe_jobs.asked_cents IS 'The amount requested under the key: the job''s, less what others had sent, refunded or reversed before.';

COMMENT ON COLUMN public.stripe_jobs.last_error IS 'The reason why the last attempt did not succeed.';

COMMENT ON COLUMN public.stripe_jobs.created_at IS 'When it became owed.';

CREATE TABLE public.dispute_evidence (
    NOT NULL id,
    job text DEFAULT 'evidence'::text NOT NULL,
    dispute_id text NOT NULL,
    checkout_id uuid NOT NULL,
    due_by timestamp with time zone,
    prepared_at timestamp with time zone,
    texts jsonb DEFAULT '{}'::jsonb NOT NULL,
    gaps text[] DEFAULT '{}'::text[] NOT NULL,
    proves boolean DEFAULT false NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    staged_version integer,
    staged_at timestamp with time zone,
    sends boolean DEFAULT false NOT NULL,
    sent_by uuid,
    sent_at timestamp with time zone,
    submission_count integer DEFAULT 0 NOT NULL,
    closed_because text,
    change_id uuid,
    changed_by uuid,
    CONSTRAINT dispute_evidence_closed_because_check CHECK ((closed_because = ANY (ARRAY['over'::text, 'no_answer'::text, 'elsewhere'::text]))),
    CONSTRAINT dispute_evidence_closed_for_a_reason CHECK (((state = 'closed'::text) = (closed_because IS NOT NULL))),
    CONSTRAINT dispute_evidence_fits CHECK (public.evidence_fits(texts)),
    CONSTRAINT dispute_evidence_job CHECK ((job = 'evidence'::text)),
    CONSTRAINT dispute_evidence_sent_by_whom CHECK ((sends OR (sent_by IS NULL))),
    CONSTRAINT dispute_evidence_sent_whole CHECK (((state <> 'sent'::text) OR (sends AND (sent_at IS NOT NULL)))),
    CONSTRAINT dispute_evidence_staged_as_it_is CHECK (((state <> 'staged'::text) OR ((staged_version = version) AND (prepared_at IS NOT NULL)))),
    CONSTRAINT dispute_evidence_state_known CHECK ((state = ANY (ARRAY['due'::text, 'sending'::text, 'staged'::text, 'sent'::text, 'failed'::text, 'closed'::text]))),
    CONSTRAINT dispute_evidence_submission_count_check CHECK ((submission_count >= 0)),
    CONSTRAINT dispute_evidence_version_check CHECK ((version >= 0))
)
INHERITS (public.stripe_jobs);

COMMENT ON TABLE public.dispute_evidence IS 'What we answer to each dispute of a payment of ours, and its progress.';

COMMENT ON COLUMN public.dispute_evidence.state IS 'As in stripe_jobs (due: to be staged, or sent if sends); staged: Stripe has this version, nobody has sent it; final states are sent: the bank has it; closed: nothing can be sent any more.';

COMMENT ON COLUMN public.dispute_evidence.checkout_id IS 'The disputed payment.';

COMMENT ON COLUMN public.dispute_evidence.due_by IS 'Until when the bank takes evidence, as Stripe said last.';

COMMENT ON COLUMN public.dispute_evidence.prepared_at IS 'When it was made of the record; null: not yet, or the customer''s data was erased since.';

COMMENT ON COLUMN public.dispute_evidence.texts IS 'Stripe''s text fields; personal data. Empty once the customer''s data was erased, or the dispute has been over for retain_files_days.';

COMMENT ON COLUMN public.dispute_evidence.gaps IS 'What the record does not have, by name; the page has a sentence for each.';

COMMENT ON COLUMN public.dispute_evidence.proves IS 'Whether the record shows that what was paid for was given: only then it may be sent without an admin.';

COMMENT ON COLUMN public.dispute_evidence.version IS 'Counts what was prepared and edited.';

COMMENT ON COLUMN public.dispute_evidence.staged_version IS 'The version that Stripe has.';

COMMENT ON COLUMN public.dispute_evidence.staged_at IS 'When Stripe last took a version.';

COMMENT ON COLUMN public.dispute_evidence.sends IS 'Whether it is to be sent to the bank: an admin said so, or the setting send_dispute_evidence.';

COMMENT ON COLUMN public.dispute_evidence.sent_by IS 'The sub of the admin''s token; null: nobody yet, or the setting.';

COMMENT ON COLUMN public.dispute_evidence.sent_at IS 'When we learned that the bank has it.';

COMMENT ON COLUMN public.dispute_evidence.submission_count IS 'How often the bank got evidence, as Stripe said last.';

COMMENT ON COLUMN public.dispute_evidence.closed_because IS 'over: it was decided first; no_answer: the bank takes none; elsewhere: somebody answered in Stripe''s dashboard.';

COMMENT ON COLUMN public.dispute_evidence.change_id IS 'The id in admin_changes of the last change by an admin.';

COMMENT ON COLUMN public.dispute_evidence.changed_by IS 'The sub of the admin who made it.';

CREATE FUNCTION public.goes_by_itself(e public.dispute_evidence) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT switch_setting('send_dispute_evidence') AND e.proves AND (e.due_by - interval '1 day' <= clock_timestamp()) IS TRUE
$$;

COMMENT ON FUNCTION public.goes_by_itself(e public.dispute_evidence) IS 'Whether evidence is sent without an admin now: the setting send_dispute_evidence is on, the record proves the service, and less than a day is left.';

CREATE FUNCTION public.guard_checkout() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF NOT checkout_may_move(OLD.status, NEW.status) THEN
    RAISE EXCEPTION 'checkout % cannot go from % to %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.guard_checkout() IS 'Refuses moves that checkout_may_move() does not allow.';

CREATE FUNCTION public.health_limits_passed() RETURNS TABLE(alert text, severity text, mechanic_id uuid, percent numeric, passed integer, sessions bigint)
    LANGUAGE sql STABLE
    AS $$
  WITH everything AS (
    SELECT count(*) AS ended, count(*) FILTER (WHERE x.status = 'completed') AS completed,
           count(*) FILTER (WHERE x.mechanic_id IS NOT NULL) AS accepted,
           count(*) FILTER (WHERE x.end_reason = 'no_show') AS no_shows
      FROM sessions_ended_between(now() - interval '24 hours', 'infinity') AS x
  ), measured AS (
    SELECT 'completion_low' AS alert, NULL::uuid AS mechanic_id, percentage(e.completed, e.ended) AS percent, e.ended AS sessions,
           health_setting('completion_percent_min') AS low, NULL::integer AS high FROM everything e
    UNION ALL
    SELECT 'no_show_high', NULL, percentage(e.no_shows, e.accepted), e.accepted, NULL, health_setting('no_show_percent_max')
      FROM everything e
    UNION ALL
    SELECT v.alert, m.mechanic_id, v.percent, m.sessions, v.low, v.high
      FROM mechanic_health(now() - interval '24 hours', 'infinity') AS m
           CROSS JOIN LATERAL (VALUES
             ('mechanic_completion_low', m.completion_percent, health_setting('mechanic_completion_percent_min'), NULL::integer),
             ('mechanic_no_show_high', m.no_show_percent, NULL, health_setting('mechanic_no_show_percent_max'))
           ) AS v (alert, percent, low, high)
  )
  SELECT m.alert, CASE WHEN m.mechanic_id IS NULL THEN 'critical' ELSE 'warning' END, m.mechanic_id, m.percent,
         coalesce(m.low, m.high), m.sessions
    FROM measured m
   WHERE m.sessions >= coalesce(health_setting('sample_min'), 1) AND (m.percent < m.low OR m.percent > m.high)
$$;

COMMENT ON FUNCTION public.health_limits_passed() IS 'The percentages of the last 24 hours that are beyond a limit of the settings table: critical for all sessions, a warning for one mechanic''s.';

CREATE FUNCTION public.health_score(completion numeric, no_show numeric, alerts bigint, sessions bigint) RETURNS numeric
    LANGUAGE sql STABLE
    AS $$
  SELECT CASE WHEN sessions > 0 THEN 100
    - least(40, greatest(0, health_setting('completion_percent_min') - completion))
    - least(30, greatest(0, no_show - health_setting('no_show_percent_max')))
    - least(30, round(100.0 * alerts / sessions, 1)) END
$$;

COMMENT ON FUNCTION public.health_score(completion numeric, no_show numeric, alerts bigint, sessions bigint) IS '0 to 100: 100, less a point for each per cent of completion below health_completion_percent_min (40 at most), less a point for each per cent of no-shows above health_no_show_percent_max (30 at most), less a point for each per cent of the sessions that have an alert (30 at most). Null if there is no session; a null percentage costs no points.';

CREATE FUNCTION public.health_setting(name text) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT s.value::integer FROM settings s WHERE s.key = 'health_' || name
$$;

COMMENT ON FUNCTION public.health_setting(name text) IS 'A limit of the settings table by its name without health_; null: not checked.';

CREATE FUNCTION public.health_status(score numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT CASE WHEN score IS NULL THEN 'no_data' WHEN score >= 95 THEN 'excellent' WHEN score >= 85 THEN 'good'
              WHEN score >= 70 THEN 'fair' WHEN score >= 50 THEN 'poor' ELSE 'critical' END
$$;

COMMENT ON FUNCTION public.health_status(score numeric) IS 'The word for a score: excellent from 95, good from 85, fair from 70, poor from 50, else critical; no_data without one.';

CREATE FUNCTION public.hear(of_session uuid, of_meeting text, of_attendee text, of_role text, of_mechanic uuid, of_kind text, stated timestamp with time zone, earliest timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.hear(of_session uuid, of_meeting text, of_attendee text, of_role text, of_mechanic uuid, of_kind text, stated timestamp with time zone, earliest timestamp with time zone) IS 'Takes in what a medium says, once, and what follows from it; false if it is known, or too much.';

CREATE FUNCTION public.hear_brought(of_session uuid, of_role text, of_kind text, stated timestamp with time zone) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.hear_brought(of_session uuid, of_role text, of_kind text, stated timestamp with time zone) IS 'Takes in what a medium that an operator brings says of a party. Returns the session; null where that is known already, or no mechanic has accepted.';

CREATE FUNCTION public.hear_meeting(of_meeting text, of_participant uuid, of_attendee text, of_kind text, stated timestamp with time zone) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.hear_meeting(of_meeting text, of_participant uuid, of_attendee text, of_kind text, stated timestamp with time zone) IS 'Takes in what the medium says of a meeting of ours. Returns its session; null where that is known already, or the meeting or the participant is not.';

CREATE FUNCTION public.hold_disputed_credits(of_user uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.hold_disputed_credits(of_user uuid) IS 'Holds the payouts of sessions that a customer paid for with credits of packs whose payment is disputed, or was lost: the newest sessions, as many as credits are missing. Releases them when a dispute was won. One that was lost is an admin''s to release: the customer owes for it, and may be the mechanic.';

CREATE FUNCTION public.hold_payout(payout uuid, why text, words text DEFAULT NULL::text, admin uuid DEFAULT NULL::uuid) RETURNS void
    LANGUAGE sql
    AS $$
  INSERT INTO payout_holds AS h (payout_id, reason, note, held_by) VALUES (payout, why, words, admin)
  ON CONFLICT (payout_id, reason) DO UPDATE
     SET note = excluded.note, held_by = excluded.held_by, held_at = clock_timestamp(), released_by = NULL, released_at = NULL
   WHERE h.released_at IS NOT NULL
$$;

COMMENT ON FUNCTION public.hold_payout(payout uuid, why text, words text, admin uuid) IS 'Holds a payout for a reason, again if that hold was released; one that is being sent is held if that fails.';

CREATE FUNCTION public.hold_share_of(session uuid) RETURNS void
    LANGUAGE sql
    AS $$
  SELECT hold_payout(p.id, 'escalation') FROM payouts p
   WHERE p.session_id = session AND p.kind = 'escalation' AND p.state IN ('due', 'held', 'sending', 'failed')
$$;

COMMENT ON FUNCTION public.hold_share_of(session uuid) IS 'Holds the share of a session''s quote, if it is not sent, as the price goes back: also one that was released before that was known.';

CREATE FUNCTION public.is_available(mechanic uuid, lease timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT coalesce(lease > now(), false) OR kept_by_feed(mechanic, lease)
$$;

COMMENT ON FUNCTION public.is_available(mechanic uuid, lease timestamp with time zone) IS 'Whether the lease has not lapsed, or an open feed keeps it.';

CREATE FUNCTION public.is_bounded(of_session uuid, of_role text, of_mechanic uuid, of_kind text) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT count(*) < CASE of_kind WHEN 'joined' THEN 400 ELSE 600 END
    FROM media_events e
   WHERE e.session_id = of_session AND e.role = of_role AND e.mechanic_id IS NOT DISTINCT FROM of_mechanic
     AND (e.kind = 'joined') = (of_kind = 'joined')
$$;

COMMENT ON FUNCTION public.is_bounded(of_session uuid, of_role text, of_mechanic uuid, of_kind text) IS 'Whether the inbox takes another such event: 1,000 of one party in a session, and of those more that they went.';

CREATE FUNCTION public.is_held(payout uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT EXISTS (SELECT FROM payout_holds h WHERE h.payout_id = payout AND h.released_at IS NULL)
      OR destination_is_new((SELECT p.mechanic_id FROM payouts p WHERE p.id = payout))
$$;

COMMENT ON FUNCTION public.is_held(payout uuid) IS 'Whether the payout has an open hold, or its destination is new.';

CREATE FUNCTION public.is_missed(offer public.session_assignments) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = offer.mechanic_id AND b.ended_at IS NULL)
     AND NOT EXISTS (SELECT FROM paused_mechanics p WHERE p.mechanic_id = offer.mechanic_id)
     AND EXISTS (SELECT FROM mechanics m WHERE m.id = offer.mechanic_id AND is_available(m.id, m.available_until))
     AND NOT EXISTS (
           SELECT FROM missed_offers x JOIN session_assignment_events e ON e.occurred_at < x.missed_at
            WHERE x.mechanic_id = offer.mechanic_id AND e.session_id = offer.session_id AND e.assignment_id = offer.id
              AND e.to_status = 'offered')
$$;

COMMENT ON FUNCTION public.is_missed(offer public.session_assignments) IS 'Whether its mechanic lets a lapsed offer lapse: available and not paused, without a session, and not while they let another one lapse that stood already.';

CREATE FUNCTION public.is_named_anywhere(of_user uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $_$
DECLARE
  place regclass;
  found_one boolean;
BEGIN
  FOR place IN SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'mechanics'
                  AND a.attname = 'user_id' AND NOT a.attisdropped LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE user_id = $1)', place) INTO found_one USING of_user;
    IF found_one THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END
$_$;

COMMENT ON FUNCTION public.is_named_anywhere(of_user uuid) IS 'Whether any row names this user, who perhaps never began an intake; the row of a mechanic does not count. For the owner.';

CREATE FUNCTION public.is_ordered_by_time(id uuid) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT substring(id::text FROM 15 FOR 1) = '7'
$$;

COMMENT ON FUNCTION public.is_ordered_by_time(id uuid) IS 'Whether an id is a UUIDv7, as ours are; that of a session which import-legacy moved may be of any version.';

CREATE FUNCTION public.is_terminal(status text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT status IN ('completed', 'cancelled', 'expired')
$$;

COMMENT ON FUNCTION public.is_terminal(status text) IS 'Whether a session with this status is over; autodoctor.domain.lifecycle says the same. Constraints and indexes below spell it out, so that the planner sees it.';

CREATE FUNCTION public.is_witnessed(session public.sessions, of_role text, by_user uuid) RETURNS boolean
    LANGUAGE sql
    AS $$
  SELECT EXISTS (SELECT FROM realtime_connections c
                  WHERE c.user_id = by_user AND c.room = session.id AND c.expires_at > clock_timestamp())
      OR EXISTS (SELECT FROM session_presence p
                  WHERE p.session_id = session.id AND p.role = of_role AND p.source = 'medium' AND p.until IS NULL AND p.replaced_at IS NULL
                    AND p.mechanic_id IS NOT DISTINCT FROM CASE of_role WHEN 'mechanic' THEN session.mechanic_id END)
$$;

COMMENT ON FUNCTION public.is_witnessed(session public.sessions, of_role text, by_user uuid) IS 'Whether a live socket in the room, or the medium, says now that this party is there.';

CREATE FUNCTION public.judge(session public.sessions, present timestamp with time zone, by_system boolean DEFAULT false, known timestamp with time zone DEFAULT 'infinity'::timestamp with time zone, sure boolean DEFAULT false, called boolean DEFAULT false, OUT status text, OUT reason text, OUT started_at timestamp with time zone, OUT ended_at timestamp with time zone, OUT together_seconds numeric, OUT absent text) RETURNS record
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.judge(session public.sessions, present timestamp with time zone, by_system boolean, known timestamp with time zone, sure boolean, called boolean, OUT status text, OUT reason text, OUT started_at timestamp with time zone, OUT ended_at timestamp with time zone, OUT together_seconds numeric, OUT absent text) IS 'The outcome of a session that is ended at the given present, by a sweep or not, from what was known at the given instant, or of that only what is sure, or as if they had been in a call whenever both were there: withdrawn or a no-show if it never started; otherwise completed if both were together for long enough, as far as the evidence of its class counts, from the recorded or derived start to the last instant both were present, but no longer than its plan allows. The caller has locked the session''s row, and then its room.';

CREATE FUNCTION public.judge_again(session public.sessions, decided_at timestamp with time zone, known timestamp with time zone, sure boolean DEFAULT false, called boolean DEFAULT false, OUT status text, OUT reason text, OUT started_at timestamp with time zone, OUT together_seconds numeric) RETURNS record
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.judge_again(session public.sessions, decided_at timestamp with time zone, known timestamp with time zone, sure boolean, called boolean, OUT status text, OUT reason text, OUT started_at timestamp with time zone, OUT together_seconds numeric) IS 'The outcome of an ended session that its evidence alone demands, with the limits that were in force: decided at the first instant, from what was known at the second, or of that only what is sure, or as if they had been in a call whenever both were there.';

CREATE FUNCTION public.keep_fold(of_session uuid, of_meeting text, of_attendee text) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.keep_fold(of_session uuid, of_meeting text, of_attendee text) IS 'Makes the evidence of an attendee say what medium_fold() says; what was recorded otherwise stays, replaced. The caller has locked the session''s row.';

CREATE FUNCTION public.keep_newest_reconcile_runs() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  DELETE FROM reconcile_runs WHERE id IN (SELECT id FROM reconcile_runs ORDER BY id DESC OFFSET 400 LIMIT 100);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.keep_newest_reconcile_runs() IS 'Deletes all but the newest 400 reconcile_runs.';

CREATE FUNCTION public.keep_newest_verify_runs() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  DELETE FROM verify_runs WHERE id IN (SELECT id FROM verify_runs ORDER BY id DESC OFFSET 500 LIMIT 100);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.keep_newest_verify_runs() IS 'Deletes all but the newest 500 verify_runs.';

CREATE FUNCTION public.kept_by_feed(mechanic uuid, lease timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT EXISTS (SELECT FROM realtime_connections c
                  WHERE c.mechanic_id = mechanic AND c.connected_at <= lease AND c.expires_at > now())
$$;

COMMENT ON FUNCTION public.kept_by_feed(mechanic uuid, lease timestamp with time zone) IS 'Whether an open feed that was open during the lease keeps it. A row past its expires_at does not count, so that a stale row keeps no lease for ever.';

CREATE FUNCTION public.late_answer_time() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT make_interval(hours => number_setting('late_answer_hours', 24))
$$;

COMMENT ON FUNCTION public.late_answer_time() IS 'How long a customer whose payment came late may take to say what shall become of it.';

CREATE FUNCTION public.late_minutes() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'late_minutes'), 10)
$$;

COMMENT ON FUNCTION public.late_minutes() IS 'Minutes that one party waits for the other before it is a no-show: the settings table, then 10.';

CREATE FUNCTION public.lead_time() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('lead_seconds', 900)
$$;

COMMENT ON FUNCTION public.lead_time() IS 'How long before its time a scheduled session is shown to mechanics.';

CREATE FUNCTION public.lease_follows_feed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    -- both feeds are open for a moment: whichever closes first, the other one keeps the lease
    UPDATE mechanics m SET available_until = NEW.connected_at
     WHERE m.id = NEW.mechanic_id AND m.available_until < NEW.connected_at AND kept_by_feed(m.id, m.available_until);
  ELSE
    UPDATE mechanics m SET available_until = least(OLD.expires_at, clock_timestamp()) + interval '60 seconds'
     WHERE m.id = OLD.mechanic_id AND m.available_until >= OLD.connected_at
       AND m.available_until < least(OLD.expires_at, clock_timestamp()) + interval '60 seconds';
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.lease_follows_feed() IS 'A lease that a closing feed kept, or that was about to lapse, lasts 60 seconds more; a lease that an open feed keeps passes to the next feed. A feed alone makes nobody available.';

CREATE FUNCTION public.leave_medium(of_session uuid, of_role text, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.leave_medium(of_session uuid, of_role text, at timestamp with time zone) IS 'Ends the medium''s evidence of a mechanic who says that they leave, or gives the session back, as if the medium had said so.';

CREATE FUNCTION public.leave_room(by_connection text, at timestamp with time zone DEFAULT clock_timestamp()) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  bound record;
  session sessions;
  party text;
BEGIN
  LOOP
    SELECT c.room, c.user_id INTO bound FROM realtime_connections c WHERE c.connection_id = by_connection;
    IF NOT FOUND OR bound.room IS NULL THEN
      RETURN NULL;
    END IF;
    SELECT * INTO STRICT session FROM sessions s WHERE s.id = bound.room FOR NO KEY UPDATE;
    UPDATE realtime_connections c SET room = NULL WHERE c.connection_id = by_connection AND c.room = session.id;
    EXIT WHEN FOUND; -- else it was bound to another room meanwhile
  END LOOP;
  party := role_of(session, bound.user_id);
  IF party IS NOT NULL THEN -- a mechanic who gave the session back has left already
    PERFORM close_presence(session.id, party, '{room}', by_connection, at);
    PERFORM set_presence(session, party, bound.user_id, claims_of(session, party), least(at, clock_timestamp()));
  END IF;
  RETURN session.id;
END
$$;

COMMENT ON FUNCTION public.leave_room(by_connection text, at timestamp with time zone) IS 'Unbinds a connection from its room and ends the presence it stood for, at the given instant if it is past. Returns the session; null if it was bound to none.';

CREATE FUNCTION public.legacy_rows_forget() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  UPDATE legacy_rows r SET content = '{}' FROM legacy_rows_of(NEW.user_id) o
   WHERE r.table_name = o.table_name AND r.row_key = o.row_key AND r.content <> '{}';
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.legacy_rows_forget() IS 'Empties the archived rows of a customer whose data is erased, each time that it is.';

CREATE TABLE public.legacy_rows (
    table_name text NOT NULL,
    row_key text NOT NULL,
    import_id uuid NOT NULL,
    became text NOT NULL,
    note text,
    session_id uuid,
    user_id uuid,
    archived_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    content jsonb NOT NULL,
    CONSTRAINT legacy_rows_became_check CHECK ((became = ANY (ARRAY['moved'::text, 'part'::text, 'kept'::text, 'refused'::text]))),
    CONSTRAINT legacy_rows_refused_says_why CHECK (((became <> 'refused'::text) OR (note IS NOT NULL)))
);

COMMENT ON TABLE public.legacy_rows IS 'The archive: every row of the old system, unchanged, and what became of it.';

COMMENT ON COLUMN public.legacy_rows.table_name IS 'The old table.';

COMMENT ON COLUMN public.legacy_rows.row_key IS 'The old row''s id, or a digest of a row that has none.';

COMMENT ON COLUMN public.legacy_rows.import_id IS 'The run that archived it.';

COMMENT ON COLUMN public.legacy_rows.became IS 'moved: became a session or a person; part: belongs to a session that moved; kept: only kept here; refused: could not be moved, every run tries it again.';

COMMENT ON COLUMN public.legacy_rows.note IS 'For a refused row, the reason; for others, anything noticed.';

COMMENT ON COLUMN public.legacy_rows.session_id IS 'The session it became or belongs to.';

COMMENT ON COLUMN public.legacy_rows.user_id IS 'The user (sub) of its customer, so that it can be erased with the customer.';

COMMENT ON COLUMN public.legacy_rows.archived_at IS 'When it was archived.';

COMMENT ON COLUMN public.legacy_rows.content IS 'The row, column by column; personal data. Empty once its customer was erased.';

CREATE FUNCTION public.legacy_rows_of(customer_user uuid) RETURNS SETOF public.legacy_rows
    LANGUAGE sql STABLE
    AS $_$
  SELECT r.* FROM legacy_rows r WHERE r.user_id = customer_user
  UNION
  SELECT r.* FROM customers c JOIN intakes i ON i.customer_id = c.id JOIN legacy_rows r ON r.session_id = i.id
   WHERE c.user_id = customer_user
  UNION -- what names a consultation that became no session of its own
  SELECT r.* FROM legacy_rows t JOIN legacy_rows r ON r.session_id = CASE
           WHEN t.row_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN t.row_key::uuid END
   WHERE t.user_id = customer_user AND t.became IN ('part', 'refused')
     AND t.table_name IN ('sessions', 'diagnostic_sessions', 'session_requests')
     AND NOT EXISTS (SELECT FROM intakes i WHERE i.id = r.session_id)
$_$;

COMMENT ON FUNCTION public.legacy_rows_of(customer_user uuid) IS 'The archived rows of a customer: those that name the customer, and those of the customer''s sessions, moved or not.';

CREATE FUNCTION public.legacy_rows_stay_forgotten() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF EXISTS (SELECT FROM erasures e WHERE e.user_id = NEW.user_id)
     OR EXISTS (SELECT FROM intakes i JOIN customers c ON c.id = i.customer_id
                 WHERE i.id = NEW.session_id AND c.erased_at IS NOT NULL)
     OR EXISTS (SELECT FROM legacy_rows t JOIN customers c ON c.user_id = t.user_id
                 WHERE t.table_name IN ('sessions', 'diagnostic_sessions', 'session_requests')
                   AND t.row_key = NEW.session_id::text AND t.became IN ('part', 'refused')
                   AND c.erased_at IS NOT NULL AND NOT EXISTS (SELECT FROM intakes i WHERE i.id = NEW.session_id)) THEN
    NEW.content := '{}';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.legacy_rows_stay_forgotten() IS 'Archives only that there was such a row where its user was erased before: legacy_rows_of(), asked by row.';

CREATE FUNCTION public.legacy_rows_to_forget() RETURNS TABLE(user_id uuid, table_name text, rows bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
  SELECT c.user_id, r.table_name, count(*) FROM customers c CROSS JOIN LATERAL legacy_rows_of(c.user_id) r
   WHERE c.erased_at IS NOT NULL AND r.content <> '{}' GROUP BY 1, 2
$$;

COMMENT ON FUNCTION public.legacy_rows_to_forget() IS 'How many archived rows of customers whose data was erased still have content, by customer and table; for verify, whose role may not read the archive.';

CREATE FUNCTION public.lose_room(silent text, at timestamp with time zone) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  was_in uuid := leave_room(silent, at);
BEGIN
  PERFORM note_loss(was_in, c.user_id) FROM realtime_connections c WHERE c.connection_id = silent;
  RETURN was_in;
END
$$;

COMMENT ON FUNCTION public.lose_room(silent text, at timestamp with time zone) IS 'Unbinds a connection that says nothing any more from its room, as leave_room(), and says there that it is lost. Returns the session; null if it was bound to none.';

CREATE FUNCTION public.mailbox_hash(address text) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT address_hash(regexp_replace(address, '\+[^@]*@', '@'))
$$;

COMMENT ON FUNCTION public.mailbox_hash(address text) IS 'address_hash() of the mailbox behind an address: without the part after a plus sign, which its owner chooses freely.';

CREATE FUNCTION public.mark_published(subjects uuid[], ids bigint[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
DECLARE
  marked integer;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  DELETE FROM outbox o USING unnest(subjects, ids) AS d (subject_id, id)
   WHERE o.subject_id = d.subject_id AND o.id = d.id;
  GET DIAGNOSTICS marked = ROW_COUNT;
  RETURN marked;
END
$$;

COMMENT ON FUNCTION public.mark_published(subjects uuid[], ids bigint[]) IS 'Removes published events; returns how many. Raises 55P03 if another transaction has locked them.';

CREATE FUNCTION public.mark_published_of(subject uuid, ids bigint[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
DECLARE
  marked integer;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  DELETE FROM outbox o WHERE o.subject_id = subject AND o.id = ANY (ids);
  GET DIAGNOSTICS marked = ROW_COUNT;
  RETURN marked;
END
$$;

COMMENT ON FUNCTION public.mark_published_of(subject uuid, ids bigint[]) IS 'mark_published() for one subject, which is all that one call publishes. Raises 55P03 if another transaction has locked them.';

CREATE FUNCTION public.mark_read(of_session uuid, by_user uuid, up_to integer) RETURNS TABLE(customer_read integer, mechanic_read integer, connections text[])
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
  party room_party := party_of(of_session, by_user);
BEGIN
  IF party.role IS NULL THEN
    RETURN;
  END IF;
  PERFORM set_config('synchronous_commit', 'off', true); -- a mark that a crash of the server loses is made again
  UPDATE rooms r
     SET customer_read = CASE party.role WHEN 'customer' THEN least(up_to, r.latest) ELSE r.customer_read END,
         mechanic_read = CASE party.role WHEN 'mechanic' THEN least(up_to, r.latest) ELSE r.mechanic_read END
   WHERE r.session_id = of_session
     AND least(up_to, r.latest) > CASE party.role WHEN 'customer' THEN r.customer_read ELSE r.mechanic_read END
  RETURNING r.customer_read, r.mechanic_read INTO customer_read, mechanic_read;
  IF FOUND THEN
    connections := room_connections(of_session, party);
  ELSE
    SELECT r.customer_read, r.mechanic_read INTO STRICT customer_read, mechanic_read FROM rooms r
     WHERE r.session_id = of_session;
  END IF;
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION public.mark_read(of_session uuid, by_user uuid, up_to integer) IS 'Records how far a party has read; a mark only grows, and not beyond the last message. Returns both marks, with the connections to tell where one has moved.';

CREATE FUNCTION public.may_attach(of_session uuid, by_user uuid, attachment uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
  RETURN EXISTS (SELECT FROM attachments a WHERE a.id = attachment AND a.session_id = of_session AND a.user_id = by_user
                    AND a.state NOT IN ('refused', 'gone'));
END
$$;

COMMENT ON FUNCTION public.may_attach(of_session uuid, by_user uuid, attachment uuid) IS 'Whether a party may name this attachment in a message: it is their own, of this session, and there or still to come.';

CREATE FUNCTION public.may_be_offered(mechanic uuid, workshop uuid, shown_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT EXISTS (
    SELECT FROM mechanics m
     WHERE m.id = mechanic AND m.status = 'active' AND (workshop IS NULL OR m.workshop_id = workshop)
       AND (shown_at > clock_timestamp() -- a mechanic who is away or busy now may be free by then
            OR is_available(m.id, m.available_until)
               AND NOT EXISTS (SELECT FROM paused_mechanics p WHERE p.mechanic_id = m.id)
               AND NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = m.id AND b.ended_at IS NULL)))
$$;

COMMENT ON FUNCTION public.may_be_offered(mechanic uuid, workshop uuid, shown_at timestamp with time zone) IS 'Whether a request for this mechanic, of this workshop or general and shown from then on, is offered to them; otherwise it goes straight to the queue.';

CREATE FUNCTION public.may_come(session public.sessions, by_user uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT CASE role_of(session, by_user)
           WHEN 'customer' THEN true
           WHEN 'mechanic' THEN session.status <> 'waiting'
                OR EXISTS (SELECT FROM mechanics m WHERE m.id = session.mechanic_id AND m.status = 'active')
           ELSE false END
$$;

COMMENT ON FUNCTION public.may_come(session public.sessions, by_user uuid) IS 'Whether a user is a party of a session who may be there: a suspended mechanic only once it is live.';

CREATE FUNCTION public.may_leave(payout uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT NOT is_held(payout)
     AND EXISTS (SELECT FROM payouts p WHERE p.id = payout AND p.created_at + payout_hold() <= clock_timestamp())
$$;

COMMENT ON FUNCTION public.may_leave(payout uuid) IS 'Whether a payout may be sent: nothing holds it, and payout_hold() is over.';

CREATE FUNCTION public.measure(ranges tstzmultirange) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT coalesce(sum(extract(epoch FROM upper(r) - lower(r))), 0) FROM unnest(ranges) AS r
$$;

COMMENT ON FUNCTION public.measure(ranges tstzmultirange) IS 'How many seconds the ranges last in all.';

CREATE FUNCTION public.mechanic_health(since timestamp with time zone, until timestamp with time zone) RETURNS TABLE(mechanic_id uuid, sessions bigint, completed bigint, too_short bigint, no_shows bigint, given_back bigint, completion_percent numeric, no_show_percent numeric)
    LANGUAGE sql STABLE
    AS $$
  WITH part AS (
    SELECT x.mechanic_id, x.end_reason, x.end_reason = 'no_show' AND x.absent <> 'customer' AS missed, false AS gave_back
      FROM sessions_ended_between(since, until) AS x
     WHERE x.mechanic_id IS NOT NULL AND (x.end_reason = 'withdrawn' OR x.end_reason = 'no_show' AND x.absent = 'customer') IS NOT TRUE
    UNION ALL
    -- the sweep takes a session from a mechanic who does not come, so most of their no-shows do not end a session
    SELECT p.mechanic_id, NULL, e.actor LIKE 'system:%', e.actor NOT LIKE ALL ('{system:%,operator:mechanic-suspended}')
      FROM session_participants p
           CROSS JOIN LATERAL (SELECT v.actor FROM session_events v
                                WHERE v.session_id = p.session_id AND v.from_status = 'waiting' AND v.to_status = 'pending'
                                  AND v.occurred_at <= p.until ORDER BY v.id DESC LIMIT 1) AS e
     WHERE p.until >= mechanic_health.since AND p.until < mechanic_health.until AND p.mechanic_id IS NOT NULL
  )
  SELECT c.*, percentage(c.completed, c.sessions), percentage(c.no_shows, c.sessions)
    FROM (SELECT part.mechanic_id, count(*) FILTER (WHERE NOT part.gave_back) AS sessions,
                 count(*) FILTER (WHERE part.end_reason = 'billable') AS completed,
                 count(*) FILTER (WHERE part.end_reason = 'too_short') AS too_short,
                 count(*) FILTER (WHERE part.missed) AS no_shows, count(*) FILTER (WHERE part.gave_back) AS given_back
            FROM part GROUP BY part.mechanic_id) AS c
$$;

COMMENT ON FUNCTION public.mechanic_health(since timestamp with time zone, until timestamp with time zone) IS 'Each mechanic''s sessions that ended in this time, or were taken from them because they did not come (also a no-show). Sessions that only the customer missed are not counted; those that the mechanic released are counted separately.';

CREATE FUNCTION public.mechanic_owes(mechanic uuid, of_intake uuid) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  SELECT coalesce(sum(CASE WHEN t.debit_account = a.account THEN t.amount ELSE -t.amount END), 0)::bigint
    FROM (SELECT 'mechanic:' || mechanic || ':receivable' AS account) AS a
    JOIN ledger_transfer t ON t.debit_account = a.account OR t.credit_account = a.account
   WHERE t.intake_id = of_intake
     AND (t.debit_account LIKE 'mechanic:%:receivable' OR t.credit_account LIKE 'mechanic:%:receivable')
$$;

COMMENT ON FUNCTION public.mechanic_owes(mechanic uuid, of_intake uuid) IS 'Cents of a session, or of an extension, that a mechanic was sent and has to give back.';

CREATE FUNCTION public.mechanics_hold_payouts() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.mechanics_hold_payouts() IS 'Holds what a mechanic is owed for as long as they are suspended.';

CREATE FUNCTION public.mechanics_requeue() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  held record;
BEGIN
  FOR held IN
    SELECT a.id, a.session_id, a.status, a.mechanic_id, a.declined_by, a.workshop_id
      FROM session_assignments a JOIN sessions s ON s.id = a.session_id
     WHERE (a.status = 'offered' AND a.mechanic_id = NEW.id)
        OR (a.status = 'accepted' AND a.mechanic_id = NEW.id AND s.status = 'waiting' AND NEW.status = 'suspended')
        OR (a.status IN ('queued', 'offered') AND a.workshop_id = OLD.workshop_id)
     ORDER BY s.id
       FOR NO KEY UPDATE OF s -- sessions first, as everywhere
  LOOP
    IF held.status = 'accepted' THEN
      UPDATE sessions SET status = 'pending', actor = 'operator:mechanic-suspended'
       WHERE id = held.session_id AND status = 'waiting' AND mechanic_id = NEW.id;
    ELSIF held.mechanic_id = NEW.id AND (NEW.status = 'suspended' OR held.workshop_id IS NOT NULL) THEN
      UPDATE session_assignments
         SET status = 'expired',
             actor = CASE NEW.status WHEN 'suspended' THEN 'operator:mechanic-suspended' ELSE 'system:mechanic-left' END
       WHERE id = held.id AND status = 'offered';
    ELSIF held.status = 'queued'
       AND reachable_workshop(held.workshop_id, held.declined_by, held.session_id) IS NULL THEN
      UPDATE session_assignments SET workshop_id = NULL, actor = 'system:workshop-unavailable'
       WHERE id = held.id AND status = 'queued';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.mechanics_requeue() IS 'Runs when a mechanic is suspended or leaves a workshop.';

CREATE FUNCTION public.medium_changed(session public.sessions, of_role text, of_kind text, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.medium_changed(session public.sessions, of_role text, of_kind text, at timestamp with time zone) IS 'Makes the session''s row say who is there after the medium''s evidence of a party has changed, and its start where they met earlier than was known. The caller has locked the row.';

CREATE FUNCTION public.medium_fold(of_session uuid, of_meeting text, of_attendee text) RETURNS TABLE(since timestamp with time zone, until timestamp with time zone)
    LANGUAGE sql STABLE ROWS 5
    AS $$
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

COMMENT ON FUNCTION public.medium_fold(of_session uuid, of_meeting text, of_attendee text) IS 'When an attendee was there, by all that the medium has said, in whatever order it came: a second joined, and a left without a joined, is nothing.';

CREATE FUNCTION public.medium_is_silent(session public.sessions) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM session_meetings m JOIN session_assignments a ON a.session_id = m.session_id AND a.attempt = m.attempt
     WHERE a.id = session.current_assignment_id AND num_nonnulls(m.opened_at, m.customer_at, m.mechanic_at) = 3
       AND NOT EXISTS (SELECT FROM media_events e WHERE e.session_id = session.id AND e.meeting = m.meeting_id));
END
$$;

COMMENT ON FUNCTION public.medium_is_silent(session public.sessions) IS 'Whether both parties were let into a meeting of which the medium has said nothing, not even that it is over: what it said is lost.';

CREATE FUNCTION public.meeting_is_over(of_meeting text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
  UPDATE session_meetings SET over_at = clock_timestamp() WHERE meeting_id = of_meeting AND over_at IS NULL
$$;

COMMENT ON FUNCTION public.meeting_is_over(of_meeting text) IS 'Records that a meeting is over, as the medium says, or as it was deleted.';

CREATE FUNCTION public.meeting_made(of_session uuid, of_attempt integer, of_number integer, made jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.meeting_made(of_session uuid, of_attempt integer, of_number integer, made jsonb) IS 'Keeps the meeting that the medium has made, and says so in the room; returns the one that is kept, which is the first.';

CREATE FUNCTION public.meetings_to_close(of_session uuid, batch integer DEFAULT 100) RETURNS TABLE(session_id uuid, attempt integer, number integer, meeting_id text)
    LANGUAGE sql STABLE ROWS 10
    AS $$
  SELECT m.session_id, m.attempt, m.number, m.meeting_id
    FROM session_meetings m JOIN sessions s ON s.id = m.session_id JOIN session_assignments a ON a.id = s.current_assignment_id
   WHERE m.over_at IS NULL AND (of_session IS NULL OR m.session_id = of_session)
     AND (s.ended_at IS NOT NULL OR a.attempt <> m.attempt)
     AND (m.meeting_id IS NOT NULL OR m.asked_at < now() - interval '1 minute') -- it may be on its way
   ORDER BY m.asked_at LIMIT batch
$$;

COMMENT ON FUNCTION public.meetings_to_close(of_session uuid, batch integer) IS 'Ghosts: meetings of sessions that are over, or that their mechanic gave back; of one session, or of all.';

CREATE FUNCTION public.message_attachment(attachment uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('attachmentId', a.id, 'name', a.name, 'contentType', a.content_type,
                                    'bytes', a.bytes, 'state', a.state)
            FROM attachments a WHERE a.id = attachment);
END
$$;

COMMENT ON FUNCTION public.message_attachment(attachment uuid) IS 'What a message shows of its attachment; only called where it has one.';

CREATE FUNCTION public.messages_between(of_session uuid, after integer, before integer, most integer) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
  RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
             'seq', m.seq, 'role', m.role, 'kind', m.kind, 'text', m.text, 'at', m.at, 'clientId', m.client_id,
             'note', m.note,
             'attachment', CASE WHEN m.attachment_id IS NOT NULL THEN message_attachment(m.attachment_id) END)
             ORDER BY m.seq), '[]')
      FROM ((SELECT * FROM session_messages x WHERE after IS NOT NULL AND x.session_id = of_session AND x.seq > after
                AND x.seq < coalesce(before, 2147483647) ORDER BY x.seq LIMIT most)
            UNION ALL
            (SELECT * FROM session_messages x WHERE after IS NULL AND x.session_id = of_session
                AND x.seq < coalesce(before, 2147483647) ORDER BY x.seq DESC LIMIT most)) AS m);
END
$$;

COMMENT ON FUNCTION public.messages_between(of_session uuid, after integer, before integer, most integer) IS 'Messages of a room as clients get them, in order: the first ones after a number, or else the last ones, or the last ones before a number.';

CREATE FUNCTION public.messages_kept_for() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT days_setting('retain_messages_days', 365)
$$;

COMMENT ON FUNCTION public.messages_kept_for() IS 'How long the words of a session''s messages are kept after its end.';

CREATE FUNCTION public.min_billable_seconds() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $_$
  SELECT coalesce(
    (SELECT value::integer FROM settings WHERE key = 'min_billable_seconds'),
    -- not current_setting(): anybody may SET a name with a dot, a role even for all of its connections. What is no
    -- count of seconds counts as not set: otherwise nobody could end a session
    (SELECT substring(c.item FROM '^app\.min_billable_seconds=([0-9]{1,6})$')::integer
       FROM pg_catalog.pg_db_role_setting r, unnest(r.setconfig) AS c (item)
      WHERE r.setdatabase = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
        AND r.setrole = 0 AND c.item LIKE 'app.min_billable_seconds=%'),
    60)
$_$;

COMMENT ON FUNCTION public.min_billable_seconds() IS 'Seconds a session must have lasted to be completed: the settings table, then what ALTER DATABASE ... SET app.min_billable_seconds stored, then 60. A connection cannot change it.';

CREATE FUNCTION public.min_messages_each() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'min_messages_each'), 1)
$$;

COMMENT ON FUNCTION public.min_messages_each() IS 'Messages that each party must have written for their time in the room to count: the settings table, then 1.';

CREATE FUNCTION public.minutes_given_up(of_user uuid) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  SELECT count(*) FROM checkouts c JOIN session_extensions x ON x.intake_id = c.intake_id JOIN sessions s ON s.id = x.session_id
   WHERE c.user_id = of_user AND c.kind = 'extension' AND c.status IN ('paid', 'unfulfillable')
     AND CASE WHEN s.ended_at IS NULL THEN NOT (
                     x.status = 'running'
                     AND s.started_at + make_interval(mins => x.starts_after, secs => min_billable_seconds()) <= clock_timestamp())
              ELSE s.ended_by = 'customer' AND s.ended_at > now() - interval '24 hours' AND NOT (
                     x.status = 'running' AND s.status = 'completed'
                     AND s.started_at + make_interval(mins => x.starts_after, secs => s.min_billable_seconds) <= s.ended_at) END
$$;

COMMENT ON FUNCTION public.minutes_given_up(of_user uuid) IS 'How many extensions a customer paid by card in 24 hours and did not use, because they ended the talk before or wanted another pack; those of a talk that is live, as long as they are not used.';

CREATE FUNCTION public.minutes_grace() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('minutes_grace_seconds', 60)
$$;

COMMENT ON FUNCTION public.minutes_grace() IS 'How long a talk goes on once its minutes are over: the settings table (minutes_grace_seconds), then 60 seconds.';

CREATE FUNCTION public.missed_offers_most() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'missed_offers_most'), 3)
$$;

COMMENT ON FUNCTION public.missed_offers_most() IS 'How many offers in a row a mechanic may let lapse before they are set away: the settings table, then 3.';

CREATE FUNCTION public.needs_first_reply(session public.sessions) RETURNS boolean
    LANGUAGE sql
    AS $$
  SELECT i.evidence = 'witnessed' AND coalesce(reply_due_at(session) <= clock_timestamp(), false)
    FROM intakes i WHERE i.id = session.id
$$;

COMMENT ON FUNCTION public.needs_first_reply(session public.sessions) IS 'Whether the mechanic of a session with witnesses is overdue: from then on their own word is no coming, so that it cannot keep the customer from another mechanic.';

CREATE FUNCTION public.netting_consents_guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF OLD.withdrawn_at IS NOT NULL OR to_jsonb(NEW) - 'withdrawn_at' <> to_jsonb(OLD) - 'withdrawn_at' THEN
    RAISE EXCEPTION 'netting consent % is fixed', OLD.id USING ERRCODE = 'AD004';
  END IF;
  NEW.withdrawn_at := clock_timestamp();
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.netting_consents_guard() IS 'Lets a consent be withdrawn, once and now, and nothing else.';

CREATE FUNCTION public.netting_is_agreed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.netting_is_agreed() IS 'Refuses to net without a consent in force, or more than is owed of the session.';

CREATE FUNCTION public.new_referral_code() RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
  code text;
BEGIN
  LOOP
    -- the last seven bytes of a UUIDv4 are random, without bits of its version
    SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', get_byte(r.bytes, n) % 32 + 1, 1), '') INTO code
      FROM (SELECT substring(uuid_send(gen_random_uuid()) FROM 10) || substring(uuid_send(gen_random_uuid()) FROM 16)) AS r (bytes),
           generate_series(0, 7) AS n;
    EXIT WHEN NOT EXISTS (SELECT FROM mechanics m WHERE m.referral_code = code);
  END LOOP;
  RETURN code;
END
$$;

COMMENT ON FUNCTION public.new_referral_code() IS 'A referral code that no mechanic has.';

CREATE FUNCTION public.note_loss(of_session uuid, of_user uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM write_note(s.id, role_of(s, of_user) || '_lost') FROM sessions s
    WHERE s.id = of_session AND s.ended_at IS NULL
      AND NOT CASE role_of(s, of_user) WHEN 'customer' THEN s.customer_present WHEN 'mechanic' THEN s.mechanic_present END;
END
$$;

COMMENT ON FUNCTION public.note_loss(of_session uuid, of_user uuid) IS 'Says in the room of an open session that the connection of a user is lost who is not there any more by any other.';

CREATE FUNCTION public.note_words(what text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT CASE what
    WHEN 'accepted'          THEN 'A mechanic has accepted the request.'
    WHEN 'released'          THEN 'The mechanic gave the request back. It is in the queue again, at its old place.'
    WHEN 'replaced'          THEN 'The customer asked for another mechanic. The request is at the head of the queue.'
    WHEN 'reply_late'        THEN 'The mechanic has not written yet. The customer may wait, or ask for another mechanic.'
    WHEN 'mechanic_absent'   THEN 'The mechanic did not come. The request is in the queue again, at its old place.'
    WHEN 'taken_back'        THEN 'The mechanic cannot take the request any more. It is in the queue again, at its old place.'
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
    WHEN 'decided_pay'       THEN 'We looked at this consultation again: it counts, and its price stays paid.'
    WHEN 'decided_refund'    THEN 'We looked at this consultation again: it does not count, and what was paid for it goes back.'
    WHEN 'expired'           THEN 'The request has expired: no mechanic could take it in time.'
  END
$$;

COMMENT ON FUNCTION public.note_words(what text) IS 'The words of a system message by its code; null for a code that there is not.';

CREATE FUNCTION public.notes_about_the_same(what text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT CASE
    WHEN what IN ('customer_joined', 'customer_left', 'customer_lost')
      THEN '{customer_joined,customer_left,customer_lost}'::text[]
    WHEN what IN ('mechanic_joined', 'mechanic_left', 'mechanic_lost') -- each accept brings another one
      THEN '{accepted,mechanic_joined,mechanic_left,mechanic_lost}'::text[]
    WHEN what IN ('call_began', 'call_ended') THEN '{call_began,call_ended}'::text[]
    WHEN what LIKE 'extension%'
      THEN '{extension_asked,extension_agreed,extension_declined,extension_lapsed,extension_began}'::text[]
  END
$$;

COMMENT ON FUNCTION public.notes_about_the_same(what text) IS 'Of a note that says how something stands (who is there, a call, more minutes): all the notes that say so. Null for what happens, which is said each time.';

CREATE FUNCTION public.notes_confirmed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  PERFORM tell_notes(NEW);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.notes_confirmed() IS 'Has the customer told of notes that are confirmed.';

CREATE FUNCTION public.notes_shown(ended_at timestamp with time zone, confirmed_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT ended_at IS NOT NULL AND (confirmed_at IS NOT NULL OR ended_at <= now() - summary_wait())
$$;

COMMENT ON FUNCTION public.notes_shown(ended_at timestamp with time zone, confirmed_at timestamp with time zone) IS 'Whether the customer reads the notes: the session is over, and they are confirmed or the summary no longer waits for that.';

CREATE FUNCTION public.notes_since(of_session uuid, since timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
  RETURN (
    SELECT coalesce(jsonb_agg(messages_between(of_session, m.seq - 1, m.seq + 1, 1) -> 0 ORDER BY m.seq), '[]')
      FROM (SELECT x.seq FROM session_messages x
             WHERE x.session_id = of_session AND x.role = 'system' AND x.at BETWEEN since AND since + interval '5 seconds'
             ORDER BY x.seq DESC LIMIT 10) AS m);
END
$$;

COMMENT ON FUNCTION public.notes_since(of_session uuid, since timestamp with time zone) IS 'What the system has said in a room at an instant, or up to five seconds later: the last ten, as clients get them.';

CREATE FUNCTION public.notes_time() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('notes_seconds', 86400)
$$;

COMMENT ON FUNCTION public.notes_time() IS 'How long after the end the notes may be completed.';

CREATE FUNCTION public.number_setting(name text, otherwise integer) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT s.value::integer FROM settings s WHERE s.key = name), otherwise)
$$;

COMMENT ON FUNCTION public.number_setting(name text, otherwise integer) IS 'A number from the settings table.';

CREATE FUNCTION public.offer_time() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('offer_seconds', 120)
$$;

COMMENT ON FUNCTION public.offer_time() IS 'How long a request is reserved for the mechanic to whom it is offered.';

CREATE FUNCTION public.only_words_are_blanked() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF NEW.text <> '' OR to_jsonb(NEW) - 'text' <> to_jsonb(OLD) - 'text' THEN
    RAISE EXCEPTION 'message % of session % is fixed', OLD.seq, OLD.session_id USING ERRCODE = 'AD004';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.only_words_are_blanked() IS 'Refuses every change of a message but emptying its words.';

CREATE FUNCTION public.open_next_assignment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  cause record;
  refused uuid[] := NEW.declined_by;
  next_id uuid := new_id();
BEGIN
  IF NOT EXISTS (SELECT FROM sessions s WHERE s.id = NEW.session_id AND s.status IN ('pending', 'scheduled')) THEN
    RETURN NULL; -- it ended with its session
  END IF;
  SELECT e.actor, e.actor_id INTO STRICT cause FROM session_assignment_events e
   WHERE e.session_id = NEW.session_id ORDER BY e.id DESC LIMIT 1;
  IF NEW.status = 'declined' OR (OLD.status = 'accepted' AND cause.actor IN ('mechanic', 'customer')) THEN
    refused := refused || NEW.mechanic_id;
  END IF;
  INSERT INTO session_assignments
    (id, session_id, attempt, status, workshop_id, urgent, precedence, available_at, queued_at, declined_by, actor,
     actor_id)
  VALUES
    (next_id, NEW.session_id, NEW.attempt + 1,
     CASE WHEN NEW.queued_at IS NULL THEN 'pending_waiver' ELSE 'queued' END,
     NEW.workshop_id, NEW.urgent, CASE WHEN OLD.status = 'accepted' AND cause.actor = 'customer' THEN -1 ELSE NEW.precedence END,
     NEW.available_at, NEW.queued_at, refused, cause.actor, cause.actor_id);
  UPDATE sessions SET current_assignment_id = next_id WHERE id = NEW.session_id AND current_assignment_id = NEW.id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'assignment % is not the current one of its session', NEW.id USING ERRCODE = 'AD005';
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.open_next_assignment() IS 'Queues a session for the others with the old queued_at, after a decline, a lapsed offer or a release; at the head of the queue where the customer asked for another mechanic.';

CREATE FUNCTION public.open_presence(of_session uuid, of_role text, of_mechanic uuid, by_source text, by_witness text, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
  last record;
BEGIN
  SELECT p.id, p.until INTO last FROM session_presence p
   WHERE p.session_id = of_session AND p.role = of_role AND p.mechanic_id IS NOT DISTINCT FROM of_mechanic
     AND p.source = by_source AND p.witness IS NOT DISTINCT FROM by_witness AND p.replaced_at IS NULL
     AND (of_role = 'customer' OR p.since >= (SELECT s.accepted_at FROM sessions s WHERE s.id = of_session))
   ORDER BY p.id DESC LIMIT 1;
  IF NOT FOUND OR last.until <= clock_timestamp() - interval '1 second' THEN
    INSERT INTO session_presence (session_id, since, mechanic_id, role, source, witness)
    SELECT of_session, at, of_mechanic, of_role, by_source, by_witness
     WHERE takes_evidence(of_session, of_role, of_mechanic, by_source);
  ELSIF last.until IS NOT NULL THEN -- a flap
    UPDATE session_presence SET until = NULL, closed_at = NULL WHERE session_id = of_session AND id = last.id;
  END IF;
END
$$;

COMMENT ON FUNCTION public.open_presence(of_session uuid, of_role text, of_mechanic uuid, by_source text, by_witness text, at timestamp with time zone) IS 'Begins a stretch of presence, unless it lasts already; one that ended less than a second ago goes on, unless the mechanic has taken the session anew; nothing beyond what takes_evidence() allows. The caller has locked the session''s row.';

CREATE FUNCTION public.open_room() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO rooms (session_id, kept) VALUES (NEW.id, NEW.ended_at IS NULL);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.open_room() IS 'Makes the room of a new session; nobody will write into that of one which is over.';

CREATE FUNCTION public.open_to(workshop uuid, declined_by uuid[], to_mechanic uuid, of_workshop uuid) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT (workshop IS NULL OR workshop = of_workshop) AND to_mechanic = ANY (declined_by) IS NOT TRUE
$$;

COMMENT ON FUNCTION public.open_to(workshop uuid, declined_by uuid[], to_mechanic uuid, of_workshop uuid) IS 'Whether a queued request, of this workshop or general, is for this mechanic of that workshop, who has neither declined it nor given it back.';

CREATE FUNCTION public.open_unreachable_requests(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  opened integer;
BEGIN
  -- A suspension and an intake that commit at the same moment do not see each other.
  WITH hidden AS MATERIALIZED (
    SELECT a.id FROM session_assignments a JOIN sessions s ON s.id = a.session_id
     WHERE a.status = 'queued' AND a.workshop_id IS NOT NULL
       AND reachable_workshop(a.workshop_id, a.declined_by, a.session_id) IS NULL
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE OF s SKIP LOCKED)
  UPDATE session_assignments a SET workshop_id = NULL, actor = 'system:workshop-unavailable'
    FROM hidden WHERE a.id = hidden.id AND a.status = 'queued';
  GET DIAGNOSTICS opened = ROW_COUNT;
  RETURN opened;
END
$$;

COMMENT ON FUNCTION public.open_unreachable_requests(batch integer) IS 'Makes up to batch queued requests general that no mechanic of their workshop can take; returns how many.';

CREATE FUNCTION public.operator_offers(of_session uuid, by_admin uuid, change uuid, to_mechanic uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  mechanic mechanics;
  session sessions;
  request session_assignments;
BEGIN
  -- the mechanic's row before the session's, as a suspension does
  SELECT * INTO mechanic FROM mechanics m WHERE m.id = to_mechanic FOR SHARE;
  SELECT * INTO session FROM sessions s WHERE s.id = of_session FOR NO KEY UPDATE;
  SELECT * INTO request FROM session_assignments a WHERE a.id = session.current_assignment_id;
  IF session.id IS NULL THEN
    RETURN 'unknown';
  ELSIF mechanic.id IS NULL THEN
    RETURN 'no_mechanic';
  ELSIF request.status = 'offered' AND request.mechanic_id = mechanic.id THEN
    RETURN 'offered';
  ELSIF session.status <> 'pending' OR request.status <> 'queued' OR request.available_at > clock_timestamp() THEN
    RETURN 'not_queued';
  ELSIF mechanic.status <> 'active' THEN
    RETURN 'suspended';
  ELSIF request.workshop_id IS NOT NULL AND request.workshop_id IS DISTINCT FROM mechanic.workshop_id THEN
    RETURN 'other_workshop';
  ELSIF mechanic.id = ANY (request.declined_by) THEN
    RETURN 'declined';
  ELSIF EXISTS (SELECT FROM customers c WHERE c.id = session.customer_id AND c.user_id = mechanic.user_id) THEN
    RETURN 'own_session';
  ELSIF EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = mechanic.id AND b.ended_at IS NULL) THEN
    RETURN 'busy';
  END IF;
  UPDATE session_assignments
     SET status = 'offered', mechanic_id = mechanic.id, offer_expires_at = clock_timestamp() + offer_time(),
         actor = 'admin', actor_id = by_admin
   WHERE id = request.id;
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  VALUES (change, by_admin, 'session.offered', of_session::text, '{mechanic_id}', '{}',
          jsonb_build_object('mechanic_id', mechanic.id));
  RETURN 'offered';
END
$$;

COMMENT ON FUNCTION public.operator_offers(of_session uuid, by_admin uuid, change uuid, to_mechanic uuid) IS 'Offers a queued request to a mechanic by name, who may be away, for offer_time(), audited: offered, or why not. Arguments: session, the admin''s sub, the id of the change, the mechanic.';

CREATE FUNCTION public.operator_writes(of_session uuid, by_admin uuid, change uuid, words text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  number integer;
  over text;
BEGIN
  PERFORM FROM rooms r WHERE r.session_id = of_session FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 'unknown';
  ELSIF EXISTS (SELECT FROM admin_changes c WHERE c.id = change) THEN
    RETURN 'written'; -- by this very call, on a connection that was lost
  END IF;
  SELECT s.status INTO over FROM sessions s WHERE s.id = of_session AND s.ended_at IS NOT NULL;
  IF FOUND THEN
    RETURN over;
  END IF;
  UPDATE rooms SET latest = latest + 1 WHERE session_id = of_session RETURNING latest INTO STRICT number;
  INSERT INTO session_messages (session_id, seq, role, kind, note, text)
  VALUES (of_session, number, 'system', 'system', 'operator', words);
  PERFORM emit_event('message.posted',
                     jsonb_build_object('sessionId', of_session, 'seq', number, 'role', 'system', 'kind', 'system'),
                     of_session);
  INSERT INTO admin_changes (id, actor_id, kind, subject, changed, before, after)
  VALUES (change, by_admin, 'session.messaged', of_session::text, '{message}', '{}', jsonb_build_object('seq', number));
  RETURN 'written';
END
$$;

COMMENT ON FUNCTION public.operator_writes(of_session uuid, by_admin uuid, change uuid, words text) IS 'Writes an operator''s words into the room of an open session, audited without the words: written, unknown, or how the session ended. Arguments: session, the admin''s sub, the id of the change, the words.';

CREATE FUNCTION public.orphan_age() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('orphan_seconds', 7200)
$$;

COMMENT ON FUNCTION public.orphan_age() IS 'How long a session may be pending or waiting before it expires.';

CREATE FUNCTION public.orphaned_since(session public.sessions) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    AS $$
  SELECT CASE session.status WHEN 'waiting' THEN session.accepted_at
                             WHEN 'pending' THEN coalesce(session.released_at, session.created_at) END
$$;

COMMENT ON FUNCTION public.orphaned_since(session public.sessions) IS 'Since when a session has been waiting for somebody: a pending one since it was asked for or came due, a waiting one since the accept. Null: it waits for nobody.';

CREATE TABLE public.session_participants (
    session_id uuid NOT NULL,
    role text NOT NULL,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    customer_id uuid,
    mechanic_id uuid,
    until timestamp with time zone,
    CONSTRAINT session_participants_fits_role CHECK ((((role = 'customer'::text) = (customer_id IS NOT NULL)) AND ((role = 'mechanic'::text) = (mechanic_id IS NOT NULL)))),
    CONSTRAINT session_participants_role_check CHECK ((role = ANY (ARRAY['customer'::text, 'mechanic'::text])))
);

COMMENT ON TABLE public.session_participants IS 'The people of a session, and from when to when; a mechanic who released it has an until.';

COMMENT ON COLUMN public.session_participants.role IS 'customer or mechanic.';

COMMENT ON COLUMN public.session_participants.since IS 'The start of the participation.';

COMMENT ON COLUMN public.session_participants.until IS 'The end of the participation; null while it lasts.';

CREATE FUNCTION public.participant_id(participant public.session_participants) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT md5('participant:' || participant.session_id || ':'
             || coalesce(participant.customer_id, participant.mechanic_id))::uuid
$$;

COMMENT ON FUNCTION public.participant_id(participant public.session_participants) IS 'By which the medium knows a participant of a session: nobody outside can tell from it who that is.';

CREATE FUNCTION public.participants_consistent() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM check_session(OLD.session_id);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.participants_consistent() IS 'At commit: check_session() for the session whose participant was changed or removed.';

CREATE FUNCTION public.parting_limit() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('parting_seconds', 600)
$$;

COMMENT ON FUNCTION public.parting_limit() IS 'How long the parties of a live session may be apart before it is ended.';

CREATE FUNCTION public.party_of(of_session uuid, by_user uuid) RETURNS public.room_party
    LANGUAGE plpgsql
    AS $$
DECLARE
  party room_party;
BEGIN
  SELECT s.status, CASE c.user_id WHEN by_user THEN 'customer' ELSE 'mechanic' END, s.mechanic_id, c.user_id, m.user_id
    INTO party
    FROM sessions s JOIN customers c ON c.id = s.customer_id LEFT JOIN mechanics m ON m.id = s.mechanic_id
   WHERE s.id = of_session AND by_user IN (c.user_id, m.user_id);
  RETURN party;
END
$$;

COMMENT ON FUNCTION public.party_of(of_session uuid, by_user uuid) IS 'Which party of a session a user is now, with a snapshot of its own; null for everybody else, also for a mechanic who gave it back.';

CREATE FUNCTION public.payment_grace() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('payment_grace_seconds', 300)
$$;

COMMENT ON FUNCTION public.payment_grace() IS 'How long a talk goes on once its minutes are over while more are being paid for by card: the settings table (payment_grace_seconds), then 5 minutes.';

CREATE FUNCTION public.payout_hold() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT make_interval(hours => number_setting('payout_hold_hours', 24))
$$;

COMMENT ON FUNCTION public.payout_hold() IS 'How long what a mechanic has earned stays here, so that its customer can contest it: the settings table (payout_hold_hours), then 24 hours.';

CREATE FUNCTION public.payout_holds_audited() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.payout_holds_audited() IS 'Records in admin_changes who held or released a payout: an admin, or the application''s role in a statement that names none.';

CREATE FUNCTION public.payout_holds_follow() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.payout_holds_follow() IS 'Holds the payout, or has it sent once nothing holds it any more.';

CREATE FUNCTION public.payouts_begin_held() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.payouts_begin_held() IS 'Holds a payout that is new, or of which something is to be sent again, for what is known already; refuses the share of a quote for a session that is not completed.';

CREATE FUNCTION public.payouts_wait() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.payouts_wait() IS 'Keeps a payout with an open hold from becoming due, and any other from being attempted before payout_hold() is over.';

CREATE TABLE public.intakes (
    id uuid DEFAULT public.new_id() NOT NULL,
    customer_id uuid NOT NULL,
    plan_code text NOT NULL,
    funding text NOT NULL,
    session_type text NOT NULL,
    price_cents integer NOT NULL,
    currency text NOT NULL,
    credits integer NOT NULL,
    mechanic_share_bp integer NOT NULL,
    included_minutes integer,
    max_minutes integer NOT NULL,
    mechanic_fixed_pay_cents integer DEFAULT 0 NOT NULL,
    uses_per_customer integer,
    referrer_id uuid,
    referral_bp integer,
    customer_name text NOT NULL,
    vehicle jsonb NOT NULL,
    concern text NOT NULL,
    urgent boolean NOT NULL,
    preferred_mechanic_id uuid,
    workshop_id uuid,
    scheduled_for timestamp with time zone,
    evidence text DEFAULT public.evidence_class() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT intakes_credits_check CHECK ((credits >= 0)),
    CONSTRAINT intakes_evidence_check CHECK ((evidence = ANY (ARRAY['witnessed'::text, 'claimed'::text]))),
    CONSTRAINT intakes_free_costs_nothing CHECK (((funding <> 'free'::text) OR (price_cents = 0))),
    CONSTRAINT intakes_funding_check CHECK ((funding = ANY (ARRAY['free'::text, 'credit'::text, 'card'::text]))),
    CONSTRAINT intakes_include_what_may_be CHECK (((included_minutes >= 1) AND (included_minutes <= max_minutes))),
    CONSTRAINT intakes_max_minutes_check CHECK ((max_minutes > 0)),
    CONSTRAINT intakes_mechanic_fixed_pay_cents_check CHECK ((mechanic_fixed_pay_cents >= 0)),
    CONSTRAINT intakes_mechanic_share_bp_check CHECK (((mechanic_share_bp >= 0) AND (mechanic_share_bp <= 10000))),
    CONSTRAINT intakes_price_cents_check CHECK ((price_cents >= 0)),
    CONSTRAINT intakes_referral_bp_check CHECK (((referral_bp >= 0) AND (referral_bp <= 10000))),
    CONSTRAINT intakes_referral_is_complete CHECK (((referrer_id IS NULL) = (referral_bp IS NULL))),
    CONSTRAINT intakes_session_type_check CHECK ((session_type = ANY (ARRAY['chat'::text, 'video'::text, 'diagnostic'::text])))
);

COMMENT ON TABLE public.intakes IS 'The request of a customer and its price, never changed afterwards. Its session has the same id, so an intake yields one session at most.';

COMMENT ON COLUMN public.intakes.id IS 'Chosen by the function before the first attempt: by it, a retry after a lost connection recognises its own work.';

COMMENT ON COLUMN public.intakes.funding IS 'free, credit or card.';

COMMENT ON COLUMN public.intakes.price_cents IS 'The plan''s price at that moment, in cents; likewise currency, credits, share and minutes.';

COMMENT ON COLUMN public.intakes.included_minutes IS 'The plan''s at that moment: after that many minutes the talk ends, unless it is extended. Null: only max_minutes ends it, as of intakes from before this was kept.';

COMMENT ON COLUMN public.intakes.mechanic_fixed_pay_cents IS 'The plan''s at that moment.';

COMMENT ON COLUMN public.intakes.uses_per_customer IS 'The plan''s limit when this intake was checked against it; null: no limit.';

COMMENT ON COLUMN public.intakes.referrer_id IS 'The customer''s at that moment.';

COMMENT ON COLUMN public.intakes.referral_bp IS 'The referrer''s part of the price, in basis points: the setting at that moment.';

COMMENT ON COLUMN public.intakes.vehicle IS 'year, make, model, vin, odometerKm as sent.';

COMMENT ON COLUMN public.intakes.concern IS 'The problem in the customer''s words; personal data.';

COMMENT ON COLUMN public.intakes.urgent IS 'Whether the customer calls it urgent; queue_precedence() says what follows.';

COMMENT ON COLUMN public.intakes.scheduled_for IS 'When the consultation is wanted (UTC); null for now.';

COMMENT ON COLUMN public.intakes.evidence IS 'What counts as having been together: the setting at that moment.';

CREATE FUNCTION public.pays_mechanic(asked public.intakes) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT CASE asked.funding WHEN 'free' THEN asked.mechanic_fixed_pay_cents
                            ELSE share_of(asked.price_cents, asked.mechanic_share_bp)::integer END
$$;

COMMENT ON FUNCTION public.pays_mechanic(asked public.intakes) IS 'What the session, once completed, pays the mechanic who held it, in cents of its currency.';

CREATE FUNCTION public.pending_events(subject uuid) RETURNS SETOF public.outbox_events
    LANGUAGE plpgsql STABLE ROWS 10
    AS $$
BEGIN
  RETURN QUERY SELECT v.* FROM outbox_events v WHERE v.subject_id = subject ORDER BY v.id LIMIT 10;
END
$$;

COMMENT ON FUNCTION public.pending_events(subject uuid) IS 'The oldest unpublished events of a subject: as many as the bus takes at once.';

CREATE FUNCTION public.percentage(part bigint, whole bigint) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT round(100.0 * part / nullif(whole, 0), 1)
$$;

COMMENT ON FUNCTION public.percentage(part bigint, whole bigint) IS 'Per cent with one decimal; null if the whole is zero.';

CREATE FUNCTION public.post_message(of_session uuid, by_user uuid, client uuid, words text, attachment uuid) RETURNS TABLE(outcome text, session_status text, role text, seq integer, at timestamp with time zone, attached jsonb, written jsonb, subject_id uuid, event_id bigint, connections text[], other_is_there boolean)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
  party room_party := party_of(of_session, by_user);
BEGIN
  IF party.role IS NULL THEN
    RETURN; -- a stranger waits for nobody
  END IF;
  PERFORM count_against('messages', by_user);
  -- From here on nobody else writes, and who closes the room has to wait: look again.
  PERFORM FROM rooms r WHERE r.session_id = of_session FOR NO KEY UPDATE;
  party := party_of(of_session, by_user);
  IF party.role IS NULL THEN
    RETURN;
  END IF;
  session_status := party.status;
  role := party.role;
  SELECT 'repeated', m.seq, m.at INTO outcome, seq, at FROM session_messages m
   WHERE m.session_id = of_session AND m.client_id = client AND m.role = party.role;
  IF outcome IS NULL THEN
    outcome := CASE WHEN is_terminal(party.status) THEN 'ended' WHEN party.status = 'scheduled' THEN 'not_open'
                    WHEN attachment IS NOT NULL AND NOT may_attach(of_session, by_user, attachment) THEN 'no_attachment'
                    ELSE 'posted' END;
  END IF;
  IF outcome = 'posted' THEN
    UPDATE rooms r SET latest = r.latest + 1,
                       customer_written = r.customer_written + (party.role = 'customer')::integer,
                       mechanic_written = r.mechanic_written + (party.role = 'mechanic')::integer
     WHERE r.session_id = of_session RETURNING r.latest INTO STRICT seq;
    INSERT INTO session_messages (session_id, seq, client_id, mechanic_id, attachment_id, role, kind, text)
    VALUES (of_session, seq, client, CASE party.role WHEN 'mechanic' THEN party.mechanic_id END, attachment, party.role,
            CASE WHEN attachment IS NULL THEN 'text' ELSE 'file' END, words)
    RETURNING session_messages.at INTO at;
    subject_id := room_subject(of_session);
    INSERT INTO outbox (subject_id, type, payload)
    VALUES (subject_id, 'message.posted', jsonb_build_object(
              'sessionId', of_session, 'seq', seq, 'role', role, 'occurredAt', at,
              'kind', CASE WHEN attachment IS NULL THEN 'text' ELSE 'file' END))
    RETURNING outbox.id INTO event_id;
  END IF;
  IF seq IS NOT NULL THEN
    connections := room_connections(of_session, party);
    other_is_there := EXISTS (SELECT FROM realtime_connections c
                               WHERE c.connection_id = connections[1] AND c.user_id <> by_user);
    IF outcome = 'repeated' THEN
      written := messages_between(of_session, seq - 1, seq + 1, 1) -> 0;
    ELSIF attachment IS NOT NULL THEN
      attached := message_attachment(attachment);
    END IF;
  END IF;
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION public.post_message(of_session uuid, by_user uuid, client uuid, words text, attachment uuid) IS 'Writes a message of a party into a room, with its event. The outcome is posted or repeated (the same client id again: the message as it was written, whatever is said now), each with its number, the connections to tell, those of the other side first, and whether there are any of these; or ended, not_open or no_attachment, with nothing written.';

CREATE FUNCTION public.presence_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  -- open_presence() has looked that it is less than one, a moment ago
  reopened boolean := OLD.until IS NOT NULL AND NEW.until IS NULL AND OLD.until > clock_timestamp() - interval '2 seconds';
BEGIN
  IF (NEW.session_id, NEW.id, NEW.since, NEW.recorded_at, NEW.mechanic_id, NEW.role, NEW.source, NEW.witness)
     IS DISTINCT FROM (OLD.session_id, OLD.id, OLD.since, OLD.recorded_at, OLD.mechanic_id, OLD.role, OLD.source, OLD.witness)
     OR OLD.replaced_at IS NOT NULL
     OR NOT (CASE WHEN NEW.replaced_at IS NULL THEN OLD.until IS NULL AND NEW.until IS NOT NULL OR reopened
                 ELSE NEW.source = 'medium' AND (NEW.until, NEW.closed_at) IS NOT DISTINCT FROM (OLD.until, OLD.closed_at) END) THEN
    RAISE EXCEPTION 'evidence is closed once, reopened within a second at most, and the medium''s replaced' USING ERRCODE = 'AD004';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.presence_guard() IS 'Allows these changes of a stretch of presence: its closing, its reopening within a second or so, and that one of the medium is replaced.';

CREATE FUNCTION public.presence_of(session public.sessions, present timestamp with time zone, known timestamp with time zone, sure boolean DEFAULT false, OUT customer tstzmultirange, OUT mechanic tstzmultirange, OUT customer_medium tstzmultirange, OUT mechanic_medium tstzmultirange, OUT mutual tstzmultirange, OUT rooms tstzmultirange) RETURNS record
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.presence_of(session public.sessions, present timestamp with time zone, known timestamp with time zone, sure boolean, OUT customer tstzmultirange, OUT mechanic tstzmultirange, OUT customer_medium tstzmultirange, OUT mechanic_medium tstzmultirange, OUT mutual tstzmultirange, OUT rooms tstzmultirange) IS 'When each party was there until the given present, as it was known at the given instant: by any source, in the medium, and both by mutual windows and in the room. Where pages reported at all, only what one of them heard of the medium is sure: an event that says that somebody left may have been lost.';

CREATE FUNCTION public.price_goes_back() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.price_goes_back() IS 'Holds the share of a session''s quote from when its price goes back.';

CREATE FUNCTION public.price_went_back(session uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
  RETURN EXISTS (SELECT FROM checkouts p JOIN losses l ON l.payment_intent_id = p.stripe_payment_intent_id
                  WHERE p.intake_id = session AND l.effective)
      OR EXISTS (SELECT FROM contests c WHERE c.session_id = session AND c.outcome <> 'keep')
      OR EXISTS (SELECT FROM settlements s WHERE s.session_id = session AND s.outcome IN ('refund', 'return'));
END
$$;

COMMENT ON FUNCTION public.price_went_back(session uuid) IS 'Whether of what was paid for a session something went back, or has to: a refund, a lost dispute, a contest decided for the customer, or late evidence.';

CREATE FUNCTION public.prune_realtime(batch integer DEFAULT 5000) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
  pruned bigint;
  changed integer;
BEGIN
  DELETE FROM realtime_tickets WHERE expires_at < now();
  WITH old AS (SELECT seq FROM feed WHERE created_at < now() - interval '1 hour' ORDER BY seq LIMIT batch),
       gone AS (DELETE FROM feed f USING old WHERE f.seq = old.seq RETURNING f.seq)
  SELECT max(seq), count(*) INTO pruned, changed FROM gone;
  IF changed > 0 THEN
    UPDATE feed_head SET pruned_through = greatest(pruned_through, pruned);
    IF NOT FOUND THEN
      RAISE EXCEPTION 'feed_head has lost its row';
    END IF;
  END IF;
  RETURN changed;
END
$$;

COMMENT ON FUNCTION public.prune_realtime(batch integer) IS 'Deletes expired tickets and up to batch feed messages older than an hour; returns how many messages. Safe to run concurrently.';

CREATE FUNCTION public.push_subscriptions_are_few() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  DELETE FROM push_subscriptions p
   WHERE p.user_id = NEW.user_id
     AND p.id NOT IN (SELECT n.id FROM push_subscriptions n WHERE n.user_id = NEW.user_id
                       ORDER BY n.made_at DESC, n.id DESC LIMIT push_subscriptions_per_user());
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.push_subscriptions_are_few() IS 'Forgets the oldest browsers of a user who has more than push_subscriptions_per_user().';

CREATE FUNCTION public.push_subscriptions_per_user() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'push_subscriptions_per_user'), 5)
$$;

COMMENT ON FUNCTION public.push_subscriptions_per_user() IS 'How many browsers of one user are called; one more takes the place of the oldest: the settings table, then 5.';

CREATE FUNCTION public.queue_positions(user_ids uuid[] DEFAULT NULL::uuid[]) RETURNS TABLE(user_id uuid, session_id uuid, place integer, mechanics_available integer, estimated_wait_seconds integer)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
  wanted uuid[];
  last_precedence smallint := 2;
  last_queued_at timestamptz := 'infinity';
  last_id uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
BEGIN
  IF user_ids IS NOT NULL THEN -- later customers do not matter to them
    wanted := ARRAY(SELECT s.id FROM customers c JOIN sessions s ON s.customer_id = c.id AND s.ended_at IS NULL
                     WHERE c.user_id = ANY (user_ids));
    SELECT a.precedence, a.queued_at, a.id INTO last_precedence, last_queued_at, last_id
      FROM session_assignments a
     WHERE a.session_id = ANY (wanted) AND a.ended_at IS NULL
       AND a.status IN ('queued', 'offered') AND a.available_at <= now()
     ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT 1;
    IF NOT FOUND THEN
      RETURN;
    END IF;
  END IF;
  RETURN QUERY
  WITH listed AS MATERIALIZED (
    SELECT row_number() OVER in_order AS n, a.session_id AS id, a.available_at, a.workshop_id, a.declined_by,
           a.mechanic_id AS offered_to,
           -- a lapsed offer is about to be queued again
           CASE WHEN a.status = 'offered' AND a.offer_expires_at <= now() THEN 'queued' ELSE a.status END AS status
      FROM (SELECT * FROM session_assignments q
             WHERE q.status IN ('queued', 'offered') AND q.available_at <= now()
               AND (q.precedence, q.queued_at, q.id) <= (last_precedence, last_queued_at, last_id)
             ORDER BY q.precedence, q.queued_at, q.id LIMIT 1000) AS a
    WINDOW in_order AS (ORDER BY a.precedence, a.queued_at, a.id)
  ), duty AS MATERIALIZED (
    SELECT m.id, m.workshop_id,
           NOT EXISTS (SELECT FROM sessions b WHERE b.mechanic_id = m.id AND b.ended_at IS NULL) AS free,
           (SELECT o.id FROM sessions o
             WHERE o.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = m.user_id)
               AND o.ended_at IS NULL) AS own_session_id
      FROM mechanics_on_duty m
  ), personal AS (
    -- requests by which a mechanic's list differs from that of the others of the workshop
    SELECT x.mechanic_id, array_agg(x.n ORDER BY x.n) AS numbers
      FROM (SELECT l.offered_to AS mechanic_id, l.n FROM listed l WHERE l.status = 'offered'
            UNION SELECT unnest(l.declined_by), l.n FROM listed l WHERE l.status = 'queued'
            UNION SELECT d.id, l.n FROM duty d JOIN listed l ON l.id = d.own_session_id AND l.status = 'queued') AS x
     GROUP BY x.mechanic_id
  ), list AS MATERIALIZED (
    -- mechanics with the same list count once, by any of them
    SELECT row_number() OVER () AS id, d.workshop_id, (array_agg(d.id))[1] AS mechanic_id,
           (array_agg(d.own_session_id))[1] AS own_session_id,
           count(*) AS mechanics, count(*) FILTER (WHERE d.free) AS free
      FROM duty d LEFT JOIN personal p ON p.mechanic_id = d.id
     GROUP BY d.workshop_id, p.numbers
  ), shown AS (
    SELECT l.n, list.mechanics, list.free, row_number() OVER (PARTITION BY list.id ORDER BY l.n) AS place
      FROM list JOIN listed l
        ON visible_as(l.status, l.available_at, l.workshop_id, l.declined_by, l.offered_to,
                      list.mechanic_id, list.workshop_id, now())
       AND l.id IS DISTINCT FROM list.own_session_id
  ), placed AS (
    SELECT shown.n, min(shown.place) AS place, sum(shown.mechanics)::bigint AS mechanics, sum(shown.free)::bigint AS free
      FROM shown GROUP BY shown.n
  ), unseen AS (
    -- if nobody on duty would be shown it: the place in the list of a mechanic of its workshop, or of no workshop
    SELECT l.n, 1 + count(*) FILTER (WHERE l.status = 'queued' AND l.workshop_id IS NULL)
                      OVER (ORDER BY l.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                  + CASE WHEN l.workshop_id IS NULL THEN 0
                         ELSE count(*) FILTER (WHERE l.status = 'queued')
                      OVER (PARTITION BY l.workshop_id ORDER BY l.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                    END AS place
      FROM listed l
  ), place AS (
    SELECT l.id, coalesce(placed.place, unseen.place) AS place, coalesce(placed.free, 0) AS free,
           coalesce(placed.mechanics / nullif((SELECT count(*) FROM duty), 0)::float8, 1) AS share
      FROM listed l JOIN unseen USING (n) LEFT JOIN placed USING (n)
  ), who AS (
    -- no join: its plan might walk the history
    SELECT place.*, (SELECT c.user_id FROM customers c
                      WHERE c.id = (SELECT s.customer_id FROM sessions s WHERE s.id = place.id)) AS customer
      FROM place WHERE wanted IS NULL OR place.id = ANY (wanted)
  )
  SELECT who.customer, who.id, who.place::integer, who.free::integer,
         estimated_wait(who.place, who.free, who.share, pace.per_second, pace.usual_wait, orphan_age())
    FROM who CROSS JOIN (SELECT * FROM recent_pace()) AS pace
   ORDER BY who.place, who.id;
END
$$;

COMMENT ON FUNCTION public.queue_positions(user_ids uuid[]) IS 'The queue positions sent to customers among the first 1,000 of the queue (these users, or all): the best place of the request in the lists of the mechanics on duty who would be shown it, 1 being next; how many of those mechanics have no session; and the estimate. Before its lead time a scheduled session has no place.';

CREATE FUNCTION public.queue_precedence(session uuid) RETURNS smallint
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
  asked record;
BEGIN
  SELECT i.urgent, i.funding, i.customer_id INTO asked FROM intakes i WHERE i.id = session;
  RETURN CASE
    WHEN asked.urgent IS NOT TRUE THEN 2
    WHEN asked.funding <> 'free' THEN 0
    WHEN EXISTS (SELECT FROM intakes i WHERE i.customer_id = asked.customer_id AND i.id <> session AND i.urgent
                    AND i.created_at > now() - interval '24 hours') THEN 2
    WHEN EXISTS (SELECT FROM intakes i JOIN sessions s ON s.id = i.id
                  WHERE i.customer_id = asked.customer_id AND s.status = 'completed') THEN 1
    ELSE 2 END;
END
$$;

COMMENT ON FUNCTION public.queue_precedence(session uuid) IS 'The place of a session''s request in the queue before waiting time counts: 0: urgent, and paid by card or credits; 1: urgent and free, of a customer who has had a completed session, and no other urgent request for 24 hours; 2: every other.';

CREATE FUNCTION public.quote_may_move(source text, target text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT CASE source
    WHEN 'requested' THEN target IN ('given', 'declined', 'superseded')
    WHEN 'given' THEN target IN ('given', 'approved', 'declined', 'superseded')
    ELSE false END
$$;

COMMENT ON FUNCTION public.quote_may_move(source text, target text) IS 'Whether a quote may go from one status to another; a decision is final.';

CREATE FUNCTION public.quotes_forget() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  UPDATE quotes q SET note = NULL, description = NULL
    FROM intakes i WHERE i.customer_id = NEW.id AND q.session_id = i.id AND num_nonnulls(q.note, q.description) > 0;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.quotes_forget() IS 'Removes the words from the quotes of a customer whose data is erased.';

CREATE FUNCTION public.quotes_guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  at timestamptz := clock_timestamp();
  source text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM FROM customers c JOIN intakes i ON i.customer_id = c.id WHERE i.id = NEW.session_id FOR SHARE OF c; -- see below
    PERFORM check_escalation(NEW);
  ELSIF (NEW.note IS DISTINCT FROM OLD.note OR NEW.description IS DISTINCT FROM OLD.description)
    AND (NEW.note IS NULL OR NEW.note = OLD.note) AND (NEW.description IS NULL OR NEW.description = OLD.description)
    -- the generated column has no value yet
    AND to_jsonb(NEW) - '{note,description,approved_session_id}'::text[]
        = to_jsonb(OLD) - '{note,description,approved_session_id}'::text[] THEN
    RETURN NEW; -- only possible personal data was erased: nothing happened to the quote
  ELSE
    source := OLD.status;
    IF NEW.status = 'given' THEN
      NEW.given_at := at;
    ELSIF NEW.status <> source THEN
      NEW.decided_at := at;
    END IF;
    PERFORM check_quote_move(OLD, NEW);
  END IF;
  IF num_nonnulls(NEW.note, NEW.description) > 0 AND EXISTS (
       SELECT FROM intakes i JOIN customers c ON c.id = i.customer_id WHERE i.id = NEW.session_id AND c.erased_at IS NOT NULL) THEN
    NEW.note := NULL; -- what is said of a customer whose data was erased is not kept
    NEW.description := NULL;
  END IF;
  INSERT INTO quote_events (quote_id, occurred_at, actor, actor_id, from_status, to_status, amount_cents)
  VALUES (NEW.id, at, coalesce(NEW.actor, 'db:' || session_user), NEW.actor_id, source, NEW.status, NEW.amount_cents);
  PERFORM emit_event('quote.' || NEW.status, jsonb_build_object(
    'quoteId', NEW.id, 'sessionId', NEW.session_id, 'workshopId', NEW.workshop_id, 'mechanicId', NEW.mechanic_id,
    'customerId', (SELECT s.customer_id FROM sessions s WHERE s.id = NEW.session_id),
    'amountCents', NEW.amount_cents, 'currency', NEW.currency), NEW.id);
  NEW.actor := NULL;
  NEW.actor_id := NULL;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.quotes_guard() IS 'Refuses what the checks refuse, keeps no words about a customer whose data was erased, sets times, writes the audit row and the event.';

CREATE FUNCTION public.reachable_workshop(wanted uuid, refused uuid[], session uuid) RETURNS uuid
    LANGUAGE sql STABLE
    AS $$
  SELECT m.workshop_id FROM mechanics m
   WHERE m.workshop_id = wanted AND m.status = 'active' AND open_to(wanted, refused, m.id, m.workshop_id)
     AND m.user_id IS DISTINCT FROM (
       SELECT c.user_id FROM sessions s JOIN customers c ON c.id = s.customer_id WHERE s.id = session)
   LIMIT 1
$$;

COMMENT ON FUNCTION public.reachable_workshop(wanted uuid, refused uuid[], session uuid) IS 'The workshop, or null if none of its mechanics can take the session: each is suspended, declined it before, or is its customer.';

CREATE FUNCTION public.read_room(of_session uuid, by_user uuid, any_session boolean, after integer, before integer, most integer) RETURNS TABLE(messages jsonb, customer_read integer, mechanic_read integer, latest integer)
    LANGUAGE plpgsql STABLE ROWS 1
    AS $$
#variable_conflict use_column
BEGIN
  IF NOT any_session AND (party_of(of_session, by_user)).role IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT messages_between(of_session, after, before, most), r.customer_read, r.mechanic_read, r.latest
                 FROM rooms r WHERE r.session_id = of_session;
END
$$;

COMMENT ON FUNCTION public.read_room(of_session uuid, by_user uuid, any_session boolean, after integer, before integer, most integer) IS 'A part of a room, for its parties or for a user who may read any.';

CREATE TABLE public.ledger_transfer (
    id uuid DEFAULT public.new_id() NOT NULL,
    key text NOT NULL,
    debit_account text NOT NULL,
    credit_account text NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    kind text NOT NULL,
    intake_id uuid,
    actor_id uuid,
    reason text,
    change_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT ledger_transfer_amount_check CHECK ((amount > 0)),
    CONSTRAINT ledger_transfer_grant_is_audited CHECK (((kind = 'credit_grant'::text) = (change_id IS NOT NULL))),
    CONSTRAINT ledger_transfer_grant_is_explained CHECK (((kind <> 'credit_grant'::text) OR (num_nonnulls(actor_id, reason) = 2))),
    CONSTRAINT ledger_transfer_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255))),
    CONSTRAINT ledger_transfer_kind_known CHECK ((kind = ANY (ARRAY['charge'::text, 'fee'::text, 'refund'::text, 'pack_sale'::text, 'pack_refund'::text, 'credit_issue'::text, 'credit_grant'::text, 'credit_hold'::text, 'credit_spend'::text, 'credit_return'::text, 'credit_withdrawal'::text, 'earning'::text, 'platform_share'::text, 'fixed_pay'::text, 'referral'::text, 'escalation'::text, 'transfer'::text, 'netting'::text, 'reversal'::text, 'contest'::text, 'dispute'::text, 'dispute_won'::text, 'dispute_lost'::text, 'receivable'::text, 'correction'::text]))),
    CONSTRAINT ledger_transfer_moves_something CHECK ((debit_account <> credit_account)),
    CONSTRAINT ledger_transfer_netting_is_one_mechanics CHECK (((kind <> 'netting'::text) OR ((intake_id IS NOT NULL) AND (debit_account ~ '^mechanic:[^:]+:payable$'::text) AND (credit_account = regexp_replace(debit_account, ':payable$'::text, ':receivable'::text)) AND (key ~ (('^payout:[0-9a-f-]{36}:netting:'::text || intake_id) || '$'::text))))),
    CONSTRAINT ledger_transfer_one_currency CHECK ((((public.account_currency(debit_account) = currency) AND (public.account_currency(credit_account) = currency)) IS TRUE)),
    CONSTRAINT ledger_transfer_reason_check CHECK (((length(reason) >= 1) AND (length(reason) <= 500)))
);

COMMENT ON TABLE public.ledger_transfer IS 'The ledger: each row moves one amount from one account to another. Rows are never changed, a correction is a new row.';

COMMENT ON COLUMN public.ledger_transfer.key IS 'Names the booking; a second one with the same key is refused.';

COMMENT ON COLUMN public.ledger_transfer.debit_account IS 'The account that the amount comes from, by its name in payments/ledger/accounts.py.';

COMMENT ON COLUMN public.ledger_transfer.credit_account IS 'The account that the amount goes to.';

COMMENT ON COLUMN public.ledger_transfer.amount IS 'Cents of usd, or whole credits.';

COMMENT ON COLUMN public.ledger_transfer.currency IS 'usd or credit; that of both accounts.';

COMMENT ON COLUMN public.ledger_transfer.kind IS 'Its flow in payments/ledger/accounts.py.';

COMMENT ON COLUMN public.ledger_transfer.intake_id IS 'The intake that it concerns; its session has the same id, but money may come for an intake that never becomes a session.';

COMMENT ON COLUMN public.ledger_transfer.actor_id IS 'The user (sub) who had it booked, if a user did.';

COMMENT ON COLUMN public.ledger_transfer.reason IS 'The reason of a booking by hand, in the operator''s words.';

COMMENT ON COLUMN public.ledger_transfer.change_id IS 'For a grant of credits, its row in admin_changes, which its trigger writes.';

COMMENT ON COLUMN public.ledger_transfer.created_at IS 'When, by the database''s clock.';

CREATE FUNCTION public.receipt_checkout(t public.ledger_transfer) RETURNS public.checkouts
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
  subject text := statement_subject(t.key);
  paid checkouts;
BEGIN
  IF subject LIKE 'refund:%' THEN
    SELECT c.* INTO paid FROM stripe_refunds r JOIN checkouts c ON c.stripe_payment_intent_id = r.payment_intent_id
     WHERE r.id = split_part(subject, ':', 2);
  ELSIF subject LIKE 'dispute:%' THEN
    SELECT c.* INTO paid FROM stripe_disputes d JOIN checkouts c ON c.stripe_payment_intent_id = d.payment_intent_id
     WHERE d.id = split_part(subject, ':', 2);
  ELSIF subject LIKE 'pack:%' THEN
    SELECT c.* INTO paid FROM checkouts c WHERE c.id::text = split_part(subject, ':', 2);
  ELSE
    SELECT c.* INTO paid FROM checkouts c WHERE c.intake_id = t.intake_id;
  END IF;
  RETURN paid;
END
$$;

COMMENT ON FUNCTION public.receipt_checkout(t public.ledger_transfer) IS 'The payment by card that a row of the ledger with a receipt_part() in money is about.';

CREATE TABLE public.receipts (
    id uuid DEFAULT public.new_id() NOT NULL,
    year integer NOT NULL,
    sequence integer NOT NULL,
    number text GENERATED ALWAYS AS ((((year)::text || '-'::text) || lpad((sequence)::text, GREATEST(6, length((sequence)::text)), '0'::text))) STORED,
    kind text NOT NULL,
    cause text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL,
    checkout_id uuid,
    intake_id uuid,
    corrects_id uuid,
    title text NOT NULL,
    amount bigint NOT NULL,
    tax bigint DEFAULT 0 NOT NULL,
    currency text NOT NULL,
    issued_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT receipts_amount_check CHECK ((amount > 0)),
    CONSTRAINT receipts_cause_of_its_kind CHECK (
CASE kind
    WHEN 'receipt'::text THEN (cause = ANY (ARRAY['session'::text, 'credits'::text]))
    WHEN 'credit_note'::text THEN (cause = ANY (ARRAY['refund'::text, 'dispute'::text, 'credits_returned'::text, 'correction'::text]))
    ELSE (cause = ANY (ARRAY['refund_failed'::text, 'dispute_won'::text, 'correction'::text]))
END),
    CONSTRAINT receipts_correct_another CHECK (((kind = 'receipt'::text) = (corrects_id IS NULL))),
    CONSTRAINT receipts_currency_check CHECK ((currency = ANY (ARRAY['usd'::text, 'credit'::text]))),
    CONSTRAINT receipts_kind_check CHECK ((kind = ANY (ARRAY['receipt'::text, 'credit_note'::text, 'correction'::text]))),
    CONSTRAINT receipts_sequence_check CHECK ((sequence > 0)),
    CONSTRAINT receipts_tax_is_within CHECK (((tax >= 0) AND (tax <= amount)))
);

COMMENT ON TABLE public.receipts IS 'What customers have paid and what went back to them, as documents with numbers; written by the ledger''s trigger, never changed. No personal data: the name is looked up when one is shown, and erased with the customer.';

COMMENT ON COLUMN public.receipts.year IS 'The year of its number, in UTC.';

COMMENT ON COLUMN public.receipts.sequence IS '1, 2, 3 and so on within the year, without gaps, over all kinds.';

COMMENT ON COLUMN public.receipts.number IS 'The number as it is printed.';

COMMENT ON COLUMN public.receipts.kind IS 'receipt: the customer paid; credit_note: money or credits went back; correction: of a credit note, whose money did not reach the customer in the end.';

COMMENT ON COLUMN public.receipts.cause IS 'What for: session, credits (a pack); of a credit note refund, dispute, credits_returned; of a correction refund_failed, dispute_won. correction: reconcile found that Stripe moved another amount.';

COMMENT ON COLUMN public.receipts.subject IS 'receipt_subject() of its rows in the ledger.';

COMMENT ON COLUMN public.receipts.user_id IS 'The sub of the customer''s token.';

COMMENT ON COLUMN public.receipts.checkout_id IS 'The payment by card; null for credits that were spent.';

COMMENT ON COLUMN public.receipts.intake_id IS 'The intake that was paid; null for a pack of credits.';

COMMENT ON COLUMN public.receipts.corrects_id IS 'The receipt that a credit note or a correction is of.';

COMMENT ON COLUMN public.receipts.title IS 'The name of what was bought, as it was then.';

COMMENT ON COLUMN public.receipts.amount IS 'Cents of usd, or credits: the sum of its lines.';

COMMENT ON COLUMN public.receipts.tax IS 'The tax within the amount, as Stripe Tax reckoned it; of a credit note in proportion.';

COMMENT ON COLUMN public.receipts.currency IS 'usd or credit.';

COMMENT ON COLUMN public.receipts.issued_at IS 'When, by the database''s clock.';

CREATE FUNCTION public.receipt_of(t public.ledger_transfer) RETURNS public.receipts
    LANGUAGE plpgsql STABLE
    AS $$
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
     WHERE NOT upwards AND r.subject = 'session:' || t.intake_id || ':credit_hold';
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

COMMENT ON FUNCTION public.receipt_of(t public.ledger_transfer) IS 'The document of a row of the ledger, without number, amount and tax.';

CREATE FUNCTION public.receipt_part(t public.ledger_transfer) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  SELECT CASE
    WHEN t.kind IN ('charge', 'pack_sale', 'credit_hold') THEN t.amount
    WHEN t.kind = 'credit_return' OR t.kind = 'contest' AND t.currency = 'credit' THEN -t.amount
    WHEN t.currency <> 'usd' THEN NULL
    -- a refund, also one that failed in the end; and what reconcile found to be otherwise than it was booked
    WHEN statement_subject(t.key) ~ '^(refund:|session:[^:]*:charge$|pack:[^:]*:sale$)'
      THEN CASE 'stripe' WHEN t.debit_account THEN t.amount WHEN t.credit_account THEN -t.amount END
    -- a lost dispute, also one that was won after it was lost; one that is open is not decided
    WHEN t.key ~ '^dispute:[^:]+:lost(:|$)'
      THEN CASE 'disputed' WHEN t.debit_account THEN t.amount WHEN t.credit_account THEN -t.amount END
  END
$_$;

COMMENT ON FUNCTION public.receipt_part(t public.ledger_transfer) IS 'The customer''s part in a row of the ledger, in cents or credits: positive for what they paid, negative for what went back to them, null for what moves between others.';

CREATE FUNCTION public.receipt_subject(t public.ledger_transfer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT CASE WHEN t.kind = 'correction' AND t.key LIKE 'correction:%' THEN t.key ELSE statement_subject(t.key) END
$$;

COMMENT ON FUNCTION public.receipt_subject(t public.ledger_transfer) IS 'What a document is about: all rows of one subject that are booked together, and go the same way, are one document.';

CREATE FUNCTION public.receipts_follow() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  made receipts;
  booked uuid[];
BEGIN
  IF EXISTS (SELECT FROM receipt_lines l WHERE l.ledger_id = NEW.id) THEN
    RETURN NULL; -- in the document of a row that was booked with it
  END IF;
  made := receipt_of(NEW);
  IF made.user_id IS NULL OR made.title IS NULL OR made.kind <> 'receipt' AND made.corrects_id IS NULL THEN
    RETURN NULL; -- of a payment that is not ours: verify says so (receipt_missing)
  END IF;
  SELECT array_agg(t.id), sum(abs(receipt_part(t))) INTO booked, made.amount FROM ledger_transfer t
   WHERE CASE WHEN NEW.debit_account IN ('stripe', 'disputed') OR NEW.credit_account IN ('stripe', 'disputed')
              THEN statement_subject(t.key) = statement_subject(NEW.key) AND receipt_subject(t) = made.subject
                   AND (t.debit_account = 'stripe' OR t.credit_account = 'stripe'
                        OR t.debit_account = 'disputed' OR t.credit_account = 'disputed')
              ELSE t.id = NEW.id END
     AND sign(receipt_part(t)) = sign(receipt_part(NEW))
     AND NOT EXISTS (SELECT FROM receipt_lines l WHERE l.ledger_id = t.id);
  made.tax := tax_within(made);
  made.year := extract(year FROM clock_timestamp() AT TIME ZONE 'UTC');
  INSERT INTO receipt_numbers AS n (year, last) VALUES (made.year, 1)
  ON CONFLICT (year) DO UPDATE SET last = n.last + 1 RETURNING n.last INTO made.sequence;
  INSERT INTO receipts (year, sequence, kind, cause, subject, user_id, checkout_id, intake_id, corrects_id, title,
                        amount, tax, currency)
  VALUES (made.year, made.sequence, made.kind, made.cause, made.subject, made.user_id, made.checkout_id,
          made.intake_id, made.corrects_id, made.title, made.amount, made.tax, made.currency)
  RETURNING * INTO made;
  INSERT INTO receipt_lines (ledger_id, receipt_id, amount)
  SELECT t.id, made.id, abs(receipt_part(t)) FROM ledger_transfer t WHERE t.id = ANY (booked);
  IF made.checkout_id IS NOT NULL THEN -- the session's own events tell of credits
    PERFORM emit_event('receipt.issued', jsonb_build_object(
      'receiptId', made.id, 'number', made.number, 'kind', made.kind, 'cause', made.cause,
      'checkoutId', made.checkout_id, 'intakeId', made.intake_id, 'amountCents', made.amount,
      'currency', made.currency), coalesce(made.intake_id, made.checkout_id));
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.receipts_follow() IS 'Writes, at the end of the transaction, the document of the rows that were booked in it, and has its customer told.';

CREATE FUNCTION public.recent_pace(OUT per_second double precision, OUT usual_wait double precision) RETURNS record
    LANGUAGE sql STABLE
    AS $$
  WITH newest AS (
    SELECT s.accepted_at, s.current_assignment_id
      FROM (SELECT * FROM sessions
             WHERE id BETWEEN (lpad(to_hex(floor(extract(epoch FROM now() - interval '6 hours') * 1000)::bigint), 12, '0')
                               || repeat('0', 20))::uuid
                          AND (lpad(to_hex(floor(extract(epoch FROM now() + interval '1 hour') * 1000)::bigint), 12, '0')
                               || repeat('f', 20))::uuid -- imported ids may be of any kind
             ORDER BY id DESC LIMIT 1000) AS s
     WHERE s.accepted_at > now() - interval '6 hours'
     LIMIT 20
  ), accepted AS MATERIALIZED (
    SELECT n.accepted_at, greatest(n.accepted_at - (
             SELECT a.queued_at FROM session_assignments a WHERE a.id = n.current_assignment_id), interval '0') AS waited
      FROM newest n
  )
  SELECT count(*) / nullif(extract(epoch FROM now() - min(accepted_at)), 0),
         percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM waited))
    FROM accepted HAVING count(*) >= 3
$$;

COMMENT ON FUNCTION public.recent_pace(OUT per_second double precision, OUT usual_wait double precision) IS 'For the 20 newest sessions that were accepted in the last 6 hours: accepts per second until now, and the median seconds from queue to accept; null for fewer than 3.';

CREATE FUNCTION public.record_join(of_session uuid, by_user uuid, by_connection text) RETURNS TABLE(session_id uuid, session_status text, started_at timestamp with time zone, bound boolean, unpublished json)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.record_join(of_session uuid, by_user uuid, by_connection text) IS 'Records that a party of an open session is there: by a connection of theirs, as enter_room() does, or by their own word, which counts nothing where a witness says it already, or where a mechanic''s first reply is overdue. Returns the session with its unpublished events; no row if the user is no party who may come, or the session is not open.';

CREATE FUNCTION public.record_leave(of_session uuid, by_user uuid, by_connection text) RETURNS TABLE(session_id uuid, session_status text, started_at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.record_leave(of_session uuid, by_user uuid, by_connection text) IS 'Takes back the presence that a connection of the party stands for, or all of it. Returns the session; no row if the user is no party. After the end it changes nothing.';

CREATE FUNCTION public.referral_bp() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'referral_bp'), 200)
$$;

COMMENT ON FUNCTION public.referral_bp() IS 'The part of a session''s price for the mechanic who referred its customer, in basis points: the settings table, then 200.';

CREATE FUNCTION public.referral_stands() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.referrer_id IS NOT NULL THEN
    RAISE EXCEPTION 'the referrer of customer % is fixed', OLD.id USING ERRCODE = 'AD004';
  ELSIF EXISTS (SELECT FROM mechanics m WHERE m.id = NEW.referrer_id AND m.user_id = NEW.user_id) THEN
    RAISE EXCEPTION 'customer and referrer are the same user' USING ERRCODE = 'AD003';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.referral_stands() IS 'Keeps a customer''s first referral, and refuses a referral of oneself.';

CREATE FUNCTION public.refund_ends_contest() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  UPDATE payout_holds h SET released_at = clock_timestamp()
    FROM payouts p
   WHERE p.intake_id = NEW.intake_id AND h.payout_id = p.id AND h.reason = 'contest' AND h.released_at IS NULL;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.refund_ends_contest() IS 'Has the rest of a payout sent once the contest''s refund of its price is booked.';

CREATE FUNCTION public.refund_reopens_contest() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  PERFORM hold_payout(p.id, 'contest') FROM payouts p
    WHERE p.intake_id = NEW.intake_id AND p.kind IN ('session', 'extension') AND p.state IN ('due', 'held', 'sending', 'failed');
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.refund_reopens_contest() IS 'Holds a payout again where the contest''s refund of its price did not reach the customer in the end: the customer is to have it all the same.';

CREATE FUNCTION public.refunds_tell() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  PERFORM tell_refund_failed(NEW, CASE OLD.state WHEN 'sending' THEN 'given_up' ELSE 'bank_refused' END);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.refunds_tell() IS 'Has the customer told of a refund that failed, however it did.';

CREATE FUNCTION public.release_absent_mechanics(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
BEGIN
  RETURN sweep_each(ARRAY(
    SELECT s.id FROM sessions s
     WHERE s.ended_at IS NULL AND s.status = 'waiting' AND s.accepted_at <= now() - absence_limit()
       AND deserted_since(s) <= now() - absence_limit()
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED),
    $sweep$ UPDATE sessions s SET status = 'pending', actor = 'system:expire-orphans'
             WHERE s.id = $1 AND deserted_since(s) <= now() - absence_limit() $sweep$);
END
$_$;

COMMENT ON FUNCTION public.release_absent_mechanics(batch integer) IS 'Queues up to batch sessions again whose mechanic has not been there for absence_limit() since the accept (or the scheduled time, or their last leaving); returns how many.';

CREATE FUNCTION public.release_destination_holds(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.release_destination_holds(batch integer) IS 'Has up to batch payouts sent whose destination is no longer new; returns how many holds it released.';

CREATE FUNCTION public.release_pause() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('release_pause_seconds', 900)
$$;

COMMENT ON FUNCTION public.release_pause() IS 'How long a mechanic who gave back too many sessions accepts none.';

CREATE FUNCTION public.releases_per_hour() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'releases_per_hour'), 3)
$$;

COMMENT ON FUNCTION public.releases_per_hour() IS 'How many sessions a mechanic may accept and not keep within an hour before a pause follows: the settings table, then 3.';

CREATE FUNCTION public.renew_feed() RETURNS void
    LANGUAGE sql
    AS $$
  UPDATE feed_head SET database_id = gen_random_uuid()
$$;

COMMENT ON FUNCTION public.renew_feed() IS 'Begins another history of the feed, so that every client that reconnects fetches everything anew; for the owner, after a backup was put in place. republish_events() does it too.';

CREATE FUNCTION public.renew_mechanic_account(mechanic uuid) RETURNS boolean
    LANGUAGE sql
    AS $$
  WITH given_up AS (
    UPDATE mechanic_accounts
       SET former_account_ids = array_append(former_account_ids, stripe_account_id), stripe_account_id = NULL,
           transfers_enabled = false, payouts_enabled = false, details_submitted = false,
           stripe_as_of = NULL, bank_as_of = NULL, doubtful = false, closed = false,
           idempotency_key = 'account:' || mechanic_id || ':' || new_id(), keyed_at = clock_timestamp(), asked = false,
           updated_at = clock_timestamp()
     WHERE mechanic_id = mechanic AND stripe_account_id IS NOT NULL RETURNING mechanic_id
  ), owed AS (
    UPDATE payouts SET state = 'due', waits_for = 'onboarding', attempts = 0, next_attempt_at = clock_timestamp()
     WHERE mechanic_id = (SELECT g.mechanic_id FROM given_up g)
       AND (state = 'failed' OR state = 'due' AND coalesce(waits_for, 'retry') IN ('onboarding', 'retry'))
  )
  SELECT EXISTS (SELECT FROM given_up)
$$;

COMMENT ON FUNCTION public.renew_mechanic_account(mechanic uuid) IS 'When Stripe rejected or closed a mechanic''s account, for operators and for the mechanic''s own onboarding: the mechanic goes through onboarding again, and unsent payouts go to the new account, failed ones too; false if there is no account.';

CREATE FUNCTION public.replace_mechanic(of_session uuid, by_user uuid) RETURNS TABLE(session_id uuid, session_status text, replaced boolean, due_at timestamp with time zone, unpublished json)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
  session sessions;
BEGIN
  SELECT s.* INTO session FROM sessions s JOIN customers c ON c.id = s.customer_id
   WHERE s.id = of_session AND c.user_id = by_user
     FOR NO KEY UPDATE OF s;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM FROM rooms r WHERE r.session_id = of_session FOR NO KEY UPDATE; -- after a message that is being written
  session_id := session.id;
  session_status := session.status;
  due_at := CASE WHEN session.customer_present THEN reply_due_at(session) END; -- who is not there waits for nobody
  replaced := coalesce(due_at <= clock_timestamp(), false);
  IF replaced THEN
    UPDATE sessions s SET status = 'pending', actor = 'customer', actor_id = by_user WHERE s.id = of_session
    RETURNING s.status INTO STRICT session_status;
    unpublished := unpublished_events(of_session);
  ELSIF session.status = 'pending' THEN
    -- the same request again, until another mechanic accepts
    replaced := coalesce((SELECT e.actor = 'customer' FROM session_events e
                           WHERE e.session_id = of_session AND e.from_status = 'waiting' AND e.to_status = 'pending'
                           ORDER BY e.id DESC LIMIT 1), false);
    unpublished := '[]';
  END IF;
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION public.replace_mechanic(of_session uuid, by_user uuid) IS 'Queues a customer''s session again whose mechanic''s first reply is overdue, so that this mechanic does not see it any more. Returns its state, whether it was replaced now or before, and when that may be asked for; no row if the session is not this customer''s.';

CREATE FUNCTION public.reply_due_at(session public.sessions) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF session.status <> 'waiting' OR session.mechanic_present OR session.customer_joined_at IS NULL
     OR EXISTS (SELECT FROM rooms r WHERE r.session_id = session.id AND r.mechanic_written > 0) THEN
    RETURN NULL;
  END IF;
  RETURN greatest(session.accepted_at, session.scheduled_for, session.customer_joined_at, (
           SELECT max(p.until) FROM session_presence p
            WHERE p.session_id = session.id AND p.role = 'mechanic' AND p.mechanic_id = session.mechanic_id
              AND p.until >= session.accepted_at AND p.replaced_at IS NULL)) + first_reply_time();
END
$$;

COMMENT ON FUNCTION public.reply_due_at(session public.sessions) IS 'Until when the mechanic of a waiting session has to write or come: first_reply_time() after the accept, the scheduled time, the customer''s first join, or the last instant the mechanic was there, whichever is last. Null where nobody waits for that: another status, the mechanic is there or has written, or the customer never joined.';

CREATE FUNCTION public.report_heard(of_session uuid, by_user uuid, since timestamp with time zone, until timestamp with time zone, by_clock timestamp with time zone, packets integer) RETURNS TABLE(outcome text, session_status text, recorded boolean)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.report_heard(of_session uuid, by_user uuid, since timestamp with time zone, until timestamp with time zone, by_clock timestamp with time zone, packets integer) IS 'Records that the page of a party got packets from the other for a while, by its own clock, which said by_clock when it was sent: within the meeting and the last minute. One without packets lasts no time: it says that the page would have reported some. It counts only where the other page says the same. The outcome is open, over or not_open; no row if the user is no party.';

CREATE FUNCTION public.republish_events(since timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
  queued integer;
BEGIN
  INSERT INTO outbox (subject_id, id)
  SELECT session_id, id FROM session_events WHERE occurred_at >= since
  UNION ALL
  SELECT session_id, id FROM session_assignment_events WHERE occurred_at >= since
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS queued = ROW_COUNT;
  PERFORM renew_feed();
  RETURN queued;
END
$$;

COMMENT ON FUNCTION public.republish_events(since timestamp with time zone) IS 'Puts every transition since then back into the outbox, as the same events, after the bus lost its contents; returns how many. Consumers are idempotent; pushes older than an hour are made again.';

CREATE FUNCTION public.requeue_poison() RETURNS integer
    LANGUAGE sql
    AS $$
  WITH again AS (DELETE FROM outbox_poison RETURNING subject_id, id, type, payload),
       queued AS (INSERT INTO outbox (subject_id, id, type, payload) SELECT * FROM again RETURNING 1)
  SELECT count(*)::integer FROM queued
$$;

COMMENT ON FUNCTION public.requeue_poison() IS 'Puts every event that was set aside back into the outbox, once the cause is fixed; returns how many.';

CREATE FUNCTION public.retry_stripe_job(failed uuid) RETURNS boolean
    LANGUAGE sql
    AS $$
  WITH again AS (
    UPDATE stripe_jobs SET state = 'due', attempts = 0, next_attempt_at = clock_timestamp()
     WHERE id = failed AND state = 'failed' RETURNING id)
  SELECT EXISTS (SELECT FROM again)
$$;

COMMENT ON FUNCTION public.retry_stripe_job(failed uuid) IS 'Makes a failed payout, refund, reversal or evidence due again, for operators; false if none with this id has failed.';

CREATE FUNCTION public.return_netted(mechanic uuid, of_session uuid, cents bigint) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
  INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents) VALUES (of_session, mechanic, 'returned', cents)
$$;

COMMENT ON FUNCTION public.return_netted(mechanic uuid, of_session uuid, cents bigint) IS 'Owes a mechanic again what was netted for a debt of a session that was none in the end, as a payout.';

CREATE FUNCTION public.return_reversed(of_payout uuid, most bigint DEFAULT NULL::bigint) RETURNS boolean
    LANGUAGE sql
    AS $$
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

COMMENT ON FUNCTION public.return_reversed(of_payout uuid, most bigint) IS 'Owes a mechanic what was taken back of a payout and is theirs, at most so many cents, as another payout; for operators too. False if nothing is.';

CREATE FUNCTION public.returnable(mechanic uuid, of_intake uuid) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  SELECT coalesce(sum(CASE t.kind WHEN 'netting' THEN t.amount ELSE -t.amount END), 0)::bigint FROM ledger_transfer t
   WHERE t.intake_id = of_intake
     AND (t.kind = 'netting' AND t.debit_account = 'mechanic:' || mechanic || ':payable'
          OR t.kind = 'correction' AND t.credit_account = 'mechanic:' || mechanic || ':payable' AND t.key LIKE '%:undone:netting')
$$;

COMMENT ON FUNCTION public.returnable(mechanic uuid, of_intake uuid) IS 'Cents that were netted for what a mechanic owed of a session, or of an extension, and were not given back.';

CREATE FUNCTION public.returned_was_here() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.returned_was_here() IS 'Refuses to return more than was netted for a session, or taken back of its payouts.';

CREATE FUNCTION public.revenue_impact(since timestamp with time zone, until timestamp with time zone) RETURNS TABLE(end_reason text, sessions bigint, card_cents bigint, platform_cents bigint, credits bigint, refunded_cents bigint, refunds_waiting_cents bigint, refunds_failed_cents bigint)
    LANGUAGE sql STABLE
    AS $$
  SELECT x.end_reason, count(*),
         coalesce(sum(x.price_cents) FILTER (WHERE x.funding = 'card'), 0)::bigint,
         coalesce(sum(x.price_cents - share_of(x.price_cents, x.mechanic_share_bp)) FILTER (WHERE x.funding = 'card'), 0)::bigint,
         coalesce(sum(x.credits) FILTER (WHERE x.funding = 'credit'), 0)::bigint,
         coalesce(sum(r.amount_cents) FILTER (WHERE r.state IN ('sent', 'returned')), 0)::bigint,
         coalesce(sum(r.amount_cents) FILTER (WHERE r.state IN ('due', 'held', 'sending')), 0)::bigint,
         coalesce(sum(r.amount_cents) FILTER (WHERE r.state = 'failed'), 0)::bigint
    FROM sessions_ended_between(since, until) AS x
    LEFT JOIN LATERAL (SELECT * FROM refunds f WHERE f.intake_id = x.session_id AND f.kind = 'session' LIMIT 1) AS r ON true
   WHERE x.status IN ('cancelled', 'expired')
   GROUP BY x.end_reason
  UNION ALL
  -- the ledger's ids are in the order of time (UUIDv7)
  SELECT s.end_reason, count(DISTINCT s.id), 0, 0, 0, sum(l.amount)::bigint, 0, 0
    FROM ledger_transfer l CROSS JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = l.intake_id LIMIT 1) AS s
   WHERE l.id >= (lpad(to_hex(floor(extract(epoch FROM since - interval '1 minute') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
     AND l.created_at >= since AND l.created_at < until AND s.status = 'completed'
     AND l.kind IN ('refund', 'receivable', 'dispute_lost') AND l.credit_account IN ('stripe', 'disputed')
   GROUP BY s.end_reason
$$;

COMMENT ON FUNCTION public.revenue_impact(since timestamp with time zone, until timestamp with time zone) IS 'The cost of sessions that were cancelled or expired in this time, by reason: their card prices in cents, the part that would have been the platform''s, the credits that go back, and the progress of their refunds. billable: the amounts refunded by hand or lost in disputes in this time for completed sessions.';

CREATE FUNCTION public.role_of(session public.sessions, by_user uuid) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  SELECT CASE WHEN session.customer_id = (SELECT c.id FROM customers c WHERE c.user_id = by_user) THEN 'customer'
              WHEN session.mechanic_id = (SELECT m.id FROM mechanics m WHERE m.user_id = by_user) THEN 'mechanic' END
$$;

COMMENT ON FUNCTION public.role_of(session public.sessions, by_user uuid) IS 'Which party of a session a user is; null: none.';

CREATE FUNCTION public.room_audience(of_session uuid, wanted integer, noted timestamp with time zone) RETURNS TABLE(messages jsonb, customer_present boolean, mechanic_present boolean, connections text[], unpublished json)
    LANGUAGE sql STABLE ROWS 1
    AS $$
  SELECT CASE WHEN wanted IS NULL THEN notes_since(of_session, coalesce(noted, clock_timestamp() - interval '5 seconds'))
              ELSE messages_between(of_session, wanted - 1, wanted + 1, 1) END,
         s.customer_present AND s.ended_at IS NULL, s.mechanic_present AND s.ended_at IS NULL,
         room_connections(of_session, (s.status, NULL, s.mechanic_id, c.user_id, m.user_id)::room_party),
         CASE WHEN wanted IS NULL AND noted IS NULL THEN unpublished_events(of_session) END
    FROM sessions s JOIN customers c ON c.id = s.customer_id LEFT JOIN mechanics m ON m.id = s.mechanic_id
   WHERE s.id = of_session
$$;

COMMENT ON FUNCTION public.room_audience(of_session uuid, wanted integer, noted timestamp with time zone) IS 'The open connections of a room, who is there, and what to tell them: one message by its number, or what the system said at an instant, or else what it said just now, with the session''s unpublished events.';

CREATE FUNCTION public.room_changes_hands() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  UPDATE rooms SET mechanic_read = 0, mechanic_written = 0
   WHERE session_id = NEW.id AND (mechanic_read > 0 OR mechanic_written > 0);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.room_changes_hands() IS 'The counters of the mechanic''s side begin again when the mechanic goes.';

CREATE FUNCTION public.room_connections(of_session uuid, party public.room_party) RETURNS text[]
    LANGUAGE plpgsql
    AS $$
BEGIN
  RETURN ARRAY(SELECT c.connection_id FROM realtime_connections c
                WHERE c.room = of_session AND c.expires_at > now()
                  AND c.user_id IN (party.customer_user, party.mechanic_user)
                ORDER BY (c.user_id = party.customer_user) = (party.role = 'customer'), c.connection_id);
END
$$;

COMMENT ON FUNCTION public.room_connections(of_session uuid, party public.room_party) IS 'The open connections of a room, those of the other side first.';

CREATE FUNCTION public.room_hears_moves() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  by_whom text;
BEGIN
  IF NEW.customer_present AND NOT OLD.customer_present THEN
    PERFORM write_note(NEW.id, 'customer_joined');
  END IF;
  IF NEW.mechanic_present AND NOT OLD.mechanic_present THEN
    PERFORM write_note(NEW.id, 'mechanic_joined');
  END IF;
  IF NEW.status <> OLD.status AND NOT (OLD.status = 'scheduled' AND NEW.status = 'pending') THEN
    SELECT split_part(e.actor, ':', 1) INTO STRICT by_whom FROM session_events e
     WHERE e.session_id = NEW.id ORDER BY e.id DESC LIMIT 1;
    PERFORM write_note(NEW.id, CASE NEW.status
      WHEN 'waiting' THEN 'accepted'
      WHEN 'live'    THEN 'started'
      WHEN 'expired' THEN 'expired'
      WHEN 'pending' THEN CASE by_whom WHEN 'mechanic' THEN 'released' WHEN 'customer' THEN 'replaced' WHEN 'system' THEN 'mechanic_absent'
                                   ELSE 'taken_back' END
      ELSE 'ended_by_' || CASE WHEN by_whom IN ('customer', 'mechanic', 'system') THEN by_whom ELSE 'admin' END END);
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.room_hears_moves() IS 'Says in the room of a session that it has moved, or that a party has come.';

CREATE FUNCTION public.room_note(of_session uuid, what text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  number integer := write_note(of_session, what);
BEGIN
  IF number IS NOT NULL THEN
    PERFORM emit_event('message.posted',
                       jsonb_build_object('sessionId', of_session, 'seq', number, 'role', 'system', 'kind', 'system'),
                       of_session);
  END IF;
  RETURN number;
END
$$;

COMMENT ON FUNCTION public.room_note(of_session uuid, what text) IS 'Writes a system message into a room, as write_note(), with its event message.posted.';

CREATE FUNCTION public.room_subject(of_session uuid) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT md5('room:' || of_session)::uuid
$$;

COMMENT ON FUNCTION public.room_subject(of_session uuid) IS 'The subject of the events of what the parties write: not the session, so that a talkative room holds up no transition in the outbox.';

CREATE FUNCTION public.rooms_to_empty(batch integer) RETURNS SETOF uuid
    LANGUAGE sql STABLE
    AS $$
  -- not joined: from the few such rooms to their sessions, never the other way round
  (SELECT r.session_id FROM rooms r
    WHERE r.kept AND NOT is_ordered_by_time(r.session_id)
      AND (SELECT s.ended_at FROM sessions s WHERE s.id = r.session_id) < now() - messages_kept_for()
    ORDER BY r.session_id LIMIT batch)
  UNION ALL
  -- of the rooms with ids of ours only those made so long ago: they are below the first id of that time
  (SELECT r.session_id FROM rooms r JOIN sessions s ON s.id = r.session_id
    WHERE r.kept AND is_ordered_by_time(r.session_id) AND s.ended_at < now() - messages_kept_for()
      AND r.session_id < (lpad(to_hex((extract(epoch FROM now() - messages_kept_for()) * 1000)::bigint), 12, '0')
                          || repeat('0', 20))::uuid
    ORDER BY r.session_id LIMIT batch)
  LIMIT batch
$$;

COMMENT ON FUNCTION public.rooms_to_empty(batch integer) IS 'Up to batch rooms whose session ended messages_kept_for() ago and whose words are still kept: moved ones, then the oldest of ours.';

CREATE FUNCTION public.rows_are_kept() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused: its rows are kept', TG_OP, TG_TABLE_NAME USING ERRCODE = 'AD004';
END
$$;

COMMENT ON FUNCTION public.rows_are_kept() IS 'Refuses the statement it is a trigger of.';

CREATE FUNCTION public.save_notes(of_session uuid, by_user uuid, words text, as_version integer, confirms boolean) RETURNS TABLE(session_id uuid, saved boolean, open boolean, version integer, saved_at timestamp with time zone, confirmed_at timestamp with time zone, closes_at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.save_notes(of_session uuid, by_user uuid, words text, as_version integer, confirms boolean) IS 'Saves the notes of a session''s mechanic, unless newer ones are stored (null as version: these are the newest), until notes_time() after the end. Returns what is stored then, whether these words are, and whether it was in time; no row if the session is not this mechanic''s, or the mechanic''s data was erased.';

CREATE FUNCTION public.seconds_setting(name text, otherwise integer) RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT make_interval(secs => coalesce((SELECT s.value::integer FROM settings s WHERE s.key = name), otherwise))
$$;

COMMENT ON FUNCTION public.seconds_setting(name text, otherwise integer) IS 'A duration from the settings table, where it is in seconds.';

CREATE FUNCTION public.session_extensions_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.session_extensions_guard() IS 'Keeps what was asked for, and refuses moves that do not exist.';

CREATE FUNCTION public.session_health_dashboard() RETURNS TABLE(section text, metric text, value numeric, unit text, status text)
    LANGUAGE sql STABLE
    AS $$
  WITH hours AS MATERIALIZED (SELECT * FROM calculate_session_health_score()), day AS (
    SELECT sum(h.ended)::bigint AS ended, sum(h.completed)::bigint AS completed, sum(h.accepted)::bigint AS accepted,
           sum(h.no_shows)::bigint AS no_shows, sum(h.created)::bigint AS created,
           sum(h.wrongly_marked + h.unsettled)::bigint AS broken FROM hours h
  ), alert AS MATERIALIZED (SELECT r.alert, r.severity, r.session_id FROM sessions_needing_review r
  ), active AS (SELECT s.status, count(*) AS n FROM sessions s WHERE s.ended_at IS NULL GROUP BY s.status
  ), total AS (
    SELECT percentage(d.completed, d.ended) AS completion, percentage(d.no_shows, d.accepted) AS no_show,
           d.broken + (SELECT count(*) FROM alert a WHERE a.alert IN ('stuck_live', 'waiting_too_long')) AS alerts,
           d.ended + (SELECT coalesce(sum(a.n), 0)::bigint FROM active a) AS sessions, d.* FROM day d
  ), points AS (SELECT health_score(t.completion, t.no_show, t.alerts, t.sessions) AS score FROM total t)
  SELECT 'score', 'score', p.score, 'points', health_status(p.score) FROM points p
  UNION ALL
  SELECT 'metric', m.* FROM total t CROSS JOIN LATERAL (VALUES
    ('created', t.created::numeric, 'sessions', NULL), ('ended', t.ended::numeric, 'sessions', NULL),
    ('completion', t.completion, 'per cent', CASE WHEN t.completion < health_setting('completion_percent_min') THEN 'low' ELSE 'ok' END),
    ('no_show', t.no_show, 'per cent', CASE WHEN t.no_show > health_setting('no_show_percent_max') THEN 'high' ELSE 'ok' END)
  ) AS m (metric, value, unit, status)
  UNION ALL SELECT 'alert', a.alert, count(*)::numeric, 'sessions', min(a.severity) FROM alert a GROUP BY a.alert -- critical before warning
  UNION ALL SELECT 'active', a.status, a.n::numeric, 'sessions', NULL FROM active a
  UNION ALL
  SELECT 'revenue', r.end_reason, r.card_cents::numeric, 'cents', NULL FROM revenue_impact(now() - interval '24 hours', now()) AS r
$$;

COMMENT ON FUNCTION public.session_health_dashboard() IS 'The last 24 hours, for readers in psql; GET /api/admin/session-health has more.';

CREATE FUNCTION public.session_may_move(source text, target text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT (source, target) IN (
    ('scheduled', 'pending'), ('scheduled', 'cancelled'), ('scheduled', 'expired'),
    ('pending', 'waiting'), ('pending', 'cancelled'), ('pending', 'expired'),
    ('waiting', 'live'), ('waiting', 'pending'), ('waiting', 'cancelled'), ('waiting', 'expired'),
    ('live', 'completed'), ('live', 'cancelled'))
$$;

COMMENT ON FUNCTION public.session_may_move(source text, target text) IS 'Whether a session may go from one status to the other; autodoctor.domain.lifecycle says the same.';

CREATE FUNCTION public.session_minutes(session public.sessions, OUT included integer, OUT extended integer, OUT ends_at timestamp with time zone, OUT grace_ends_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.session_minutes(session public.sessions, OUT included integer, OUT extended integer, OUT ends_at timestamp with time zone, OUT grace_ends_at timestamp with time zone) IS 'The minutes of a session that were included, and those that were paid for in addition; when they are over, and when the grace after them is, which is longer while a card payment for more is under way. Never past its plan''s longest duration; no instants before it has started, or where no minutes were agreed.';

CREATE FUNCTION public.sessions_consistent() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM check_session(NEW.id);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.sessions_consistent() IS 'At commit: check_session() for the session that was written.';

CREATE FUNCTION public.sessions_ended_between(since timestamp with time zone, until timestamp with time zone) RETURNS TABLE(session_id uuid, decided_at timestamp with time zone, status text, end_reason text, absent text, mechanic_id uuid, started_at timestamp with time zone, ended_at timestamp with time zone, together_seconds numeric, created_at timestamp with time zone, funding text, plan_code text, session_type text, price_cents integer, credits integer, mechanic_share_bp integer, max_minutes integer, at_stake boolean)
    LANGUAGE sql STABLE
    AS $$
  SELECT s.id, e.occurred_at, s.status, s.end_reason, s.absent, s.mechanic_id, s.started_at, s.ended_at,
         s.together_seconds, s.created_at, i.funding, i.plan_code, i.session_type, i.price_cents, i.credits,
         i.mechanic_share_bp, i.max_minutes, i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0
    FROM session_events e
         CROSS JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = e.session_id LIMIT 1) AS s
         CROSS JOIN LATERAL (SELECT * FROM intakes r WHERE r.id = e.session_id LIMIT 1) AS i
   WHERE is_terminal(e.to_status) AND is_terminal(e.from_status) IS NOT TRUE
     AND e.occurred_at >= since AND e.occurred_at < until
$$;

COMMENT ON FUNCTION public.sessions_ended_between(since timestamp with time zone, until timestamp with time zone) IS 'Sessions whose end was decided from since on and before until; at_stake: there is something to settle.';

CREATE FUNCTION public.sessions_follow() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  cause record;
  target text := CASE NEW.status WHEN 'waiting' THEN 'accepted' WHEN 'pending' THEN 'expired' ELSE NEW.status END;
BEGIN
  IF OLD.status = 'scheduled' AND NEW.status = 'pending' THEN
    -- A session brought forward by hand is shown at once; on time this changes nothing.
    UPDATE session_assignments SET available_at = clock_timestamp(), queued_at = least(queued_at, clock_timestamp())
     WHERE id = NEW.current_assignment_id AND available_at > clock_timestamp();
    RETURN NULL;
  END IF;
  SELECT e.actor, e.actor_id INTO STRICT cause FROM session_events e
   WHERE e.session_id = NEW.id ORDER BY e.id DESC LIMIT 1;
  UPDATE session_assignments a
     SET status = target, mechanic_id = CASE target WHEN 'accepted' THEN NEW.mechanic_id ELSE a.mechanic_id END,
         actor = cause.actor, actor_id = cause.actor_id
   WHERE a.id = NEW.current_assignment_id AND assignment_may_move(a.status, target);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'assignment % cannot follow its session to %', NEW.current_assignment_id, NEW.status
      USING ERRCODE = CASE target WHEN 'accepted' THEN 'AD002' ELSE 'AD005' END;
  END IF;
  IF NEW.status = 'waiting' THEN
    INSERT INTO session_participants (session_id, role, since, mechanic_id)
    VALUES (NEW.id, 'mechanic', NEW.accepted_at, NEW.mechanic_id);
  ELSIF NEW.status = 'pending' THEN
    UPDATE session_participants SET until = clock_timestamp()
     WHERE session_id = NEW.id AND role = 'mechanic' AND until IS NULL;
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.sessions_follow() IS 'Moves the current assignment and the participants with the session, whoever moved it.';

CREATE FUNCTION public.sessions_guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  -- A BEFORE ROW trigger runs once the row is locked, so this instant is after any wait for the lock.
  at timestamptz := clock_timestamp();
  source text;
  comes_or_goes boolean;
BEGIN
  NEW.actor := coalesce(NEW.actor, 'db:' || session_user);
  IF TG_OP = 'INSERT' THEN
    IF NEW.status NOT IN ('pending', 'scheduled') OR NEW.customer_present OR NEW.mechanic_present
       OR NEW.customer_claims OR NEW.mechanic_claims THEN
      RAISE EXCEPTION 'a session starts pending or scheduled, with nobody present' USING ERRCODE = 'AD001';
    END IF;
  ELSE
    source := OLD.status;
    IF NEW.id <> OLD.id OR NEW.customer_id <> OLD.customer_id THEN
      RAISE EXCEPTION 'the id and the customer of session % are fixed', OLD.id USING ERRCODE = 'AD004';
    ELSIF NEW.status <> source AND NOT session_may_move(source, NEW.status) THEN
      RAISE EXCEPTION 'session % cannot go from % to %', OLD.id, source, NEW.status USING ERRCODE = 'AD001';
    ELSIF NEW.started_at > at THEN
      RAISE EXCEPTION 'session % cannot have started in the future', OLD.id USING ERRCODE = 'AD004';
    ELSIF NEW.mechanic_id IS DISTINCT FROM OLD.mechanic_id AND source NOT IN ('pending', 'waiting') THEN
      RAISE EXCEPTION 'the mechanic of session % is fixed', OLD.id USING ERRCODE = 'AD004';
    ELSIF is_terminal(source)
       AND (NEW.started_at, NEW.ended_at, NEW.end_reason, NEW.absent, NEW.ended_by, NEW.together_seconds,
            NEW.min_billable_seconds, NEW.min_messages_each, NEW.late_minutes)
           IS DISTINCT FROM (OLD.started_at, OLD.ended_at, OLD.end_reason, OLD.absent, OLD.ended_by, OLD.together_seconds,
                             OLD.min_billable_seconds, OLD.min_messages_each, OLD.late_minutes) THEN
      RAISE EXCEPTION 'the outcome of session % is fixed', OLD.id USING ERRCODE = 'AD004';
    END IF;
    comes_or_goes := (NEW.customer_present, NEW.mechanic_present) <> (OLD.customer_present, OLD.mechanic_present);
    IF comes_or_goes AND (NEW.status <> source OR is_terminal(source)) THEN
      RAISE EXCEPTION 'presence in session % cannot change with its status or after its end', OLD.id USING ERRCODE = 'AD001';
    END IF;
    IF NEW.status <> source OR OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL THEN
      NEW := follow_move(OLD, NEW, at);
      comes_or_goes := NEW.mechanic_present <> OLD.mechanic_present; -- with a release, or a new mechanic
    END IF;
    IF comes_or_goes THEN
      NEW := track_presence(OLD, NEW, at);
    END IF;
  END IF;
  IF NEW.status IS DISTINCT FROM source THEN
    INSERT INTO session_events (session_id, occurred_at, from_status, to_status, actor, actor_id, data)
    VALUES (NEW.id, at, source, NEW.status, NEW.actor, NEW.actor_id,
            nullif((coalesce(NEW.change_data, '{}') - 'at') || jsonb_strip_nulls(jsonb_build_object(
              'reason', NEW.end_reason, 'absent', NEW.absent, 'endedBy', NEW.ended_by)), '{}'));
  END IF;
  NEW.actor := NULL;
  NEW.actor_id := NULL;
  NEW.change_data := NULL;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.sessions_guard() IS 'Refuses moves that do not exist, fills in the consequences of a move, writes the audit row.';

CREATE FUNCTION public.set_event_aside(subject uuid, of_event bigint, why text) RETURNS SETOF bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
  WITH poison AS (DELETE FROM outbox WHERE subject_id = subject AND id = of_event RETURNING subject_id, id, type, payload)
  INSERT INTO outbox_poison (subject_id, id, type, payload, error) SELECT subject_id, id, type, payload, why FROM poison
  RETURNING id
$$;

COMMENT ON FUNCTION public.set_event_aside(subject uuid, of_event bigint, why text) IS 'Moves an event that the bus refuses, or that cannot be built, to outbox_poison; returns its id, no row if it is not there.';

CREATE FUNCTION public.set_presence(session public.sessions, of_role text, by_user uuid, claims boolean, at timestamp with time zone) RETURNS public.sessions
    LANGUAGE plpgsql
    AS $$
DECLARE
  here boolean := claims OR is_witnessed(session, of_role, by_user);
  row_now sessions := session;
BEGIN
  IF session.status IN ('pending', 'waiting', 'live')
     AND (here, claims) <> (CASE of_role WHEN 'customer' THEN session.customer_present ELSE session.mechanic_present END,
                            CASE of_role WHEN 'customer' THEN session.customer_claims ELSE session.mechanic_claims END) THEN
    UPDATE sessions s
       SET customer_present = CASE of_role WHEN 'customer' THEN here ELSE s.customer_present END,
           mechanic_present = CASE of_role WHEN 'mechanic' THEN here ELSE s.mechanic_present END,
           customer_claims = CASE of_role WHEN 'customer' THEN claims ELSE s.customer_claims END,
           mechanic_claims = CASE of_role WHEN 'mechanic' THEN claims ELSE s.mechanic_claims END,
           actor = of_role, actor_id = by_user, change_data = jsonb_build_object('at', at)
     WHERE s.id = session.id
    RETURNING s.* INTO STRICT row_now;
  END IF;
  RETURN row_now;
END
$$;

COMMENT ON FUNCTION public.set_presence(session public.sessions, of_role text, by_user uuid, claims boolean, at timestamp with time zone) IS 'Makes the session''s row say whether a party is there since the given instant: by a claim, or as is_witnessed() says. The session is live as soon as both are. The caller has locked the row.';

CREATE FUNCTION public.settlement_gate(of_session uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.settlement_gate(of_session uuid) IS 'Whether an ended session may be settled: open, as it ended; early: evidence_grace() is not over; held: its evidence demands another outcome by now, is not sure, or may have been lost, and nobody has decided; pay or refund: somebody has.';

CREATE FUNCTION public.settlement_hold_is_decided() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.settlement_hold_is_decided() IS 'Lets a decision be made once, audits it, and says it in the room.';

CREATE FUNCTION public.settlement_is_due() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO settlements_due (session_id)
  SELECT i.id FROM intakes i
   WHERE i.id = NEW.id AND (i.funding <> 'free' OR i.mechanic_fixed_pay_cents > 0
                            OR EXISTS (SELECT FROM quotes q WHERE q.approved_session_id = NEW.id)
                            OR EXISTS (SELECT FROM session_extensions x WHERE x.session_id = NEW.id AND x.status = 'running'));
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.settlement_is_due() IS 'Records that a session with money or credits at stake has ended.';

CREATE FUNCTION public.share_of(amount bigint, part bigint, of bigint DEFAULT 10000) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT amount * part / of
         + (2 * (amount * part % of) > of OR 2 * (amount * part % of) = of AND amount * part / of % 2 = 1)::integer
$$;

COMMENT ON FUNCTION public.share_of(amount bigint, part bigint, of bigint) IS 'A fraction of an amount, in basis points unless another denominator is given; rounded half to even, as in autodoctor.domain.money.';

CREATE FUNCTION public.sockets_per_user() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT value::integer FROM settings WHERE key = 'sockets_per_user'), 5)
$$;

COMMENT ON FUNCTION public.sockets_per_user() IS 'How many WebSocket connections a user may have; another one closes the oldest: the settings table, then 5.';

CREATE FUNCTION public.statement_subject(key text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  SELECT CASE
    WHEN key ~ '^(refund|dispute):' THEN split_part(key, ':', 1) || ':' || split_part(key, ':', 2)
    WHEN key ~ '^correction:.+:[0-9]+$' THEN regexp_replace(key, '^correction:(.+):[0-9]+$', '\1')
    ELSE key END
$_$;

COMMENT ON FUNCTION public.statement_subject(key text) IS 'The subject of a row of the ledger, from its key. Several rows may have the same object of Stripe''s as their subject: the parts of a refund, a dispute and its end, and corrections of them (correction:SUBJECT:NUMBER).';

CREATE FUNCTION public.stripe_page(place text, id text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
  SELECT 'https://dashboard.stripe.com/'
         || CASE WHEN (SELECT max(c.stripe_session_id) FROM checkouts c) LIKE 'cs\_live\_%' THEN '' ELSE 'test/' END
         || place || '/' || id
$$;

COMMENT ON FUNCTION public.stripe_page(place text, id text) IS 'Where Stripe''s dashboard shows an object; null for none. All our objects are of one mode, which the ids of payment pages say.';

CREATE FUNCTION public.summary_is_due() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  IF NEW.status = 'completed' THEN
    INSERT INTO session_summaries (session_id, due_at) VALUES (NEW.id, clock_timestamp() + summary_wait());
  END IF;
  PERFORM tell_notes(n) FROM session_notes n
    WHERE n.session_id = NEW.id AND n.mechanic_id = NEW.mechanic_id AND n.confirmed_at IS NOT NULL;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.summary_is_due() IS 'Records that the customer of a completed session is owed a summary; notes that were confirmed before the end are told at once.';

CREATE FUNCTION public.summary_wait() RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT seconds_setting('summary_seconds', 900)
$$;

COMMENT ON FUNCTION public.summary_wait() IS 'How long after the end a summary waits for the mechanic to confirm the notes.';

CREATE FUNCTION public.suspension_follows_status() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF NEW.status <> 'suspended' THEN
    NEW.suspended_at := NULL;
    NEW.suspension_reason := NULL;
  ELSIF OLD.status <> 'suspended' THEN
    NEW.suspended_at := clock_timestamp();
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.suspension_follows_status() IS 'Dates a suspension, and forgets its reason with its end.';

CREATE FUNCTION public.suspension_is_told() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  PERFORM emit_event('mechanic.suspended', jsonb_build_object('mechanicId', NEW.id), NEW.id);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.suspension_is_told() IS 'Emits an event when a mechanic is suspended, but for one who is erased.';

CREATE FUNCTION public.sweep_each(ids uuid[], change text) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
  one uuid;
  changed integer := 0;
  moved integer;
BEGIN
  FOREACH one IN ARRAY coalesce(ids, '{}') LOOP
    BEGIN
      EXECUTE change USING one;
      GET DIAGNOSTICS moved = ROW_COUNT;
      SET CONSTRAINTS ALL IMMEDIATE; -- what would be refused at commit is refused here
      SET CONSTRAINTS ALL DEFERRED;
      changed := changed + moved;
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'a sweep left % behind: % %', one, SQLSTATE, SQLERRM; -- alerts and verify find it
    END;
  END LOOP;
  RETURN changed;
END
$$;

COMMENT ON FUNCTION public.sweep_each(ids uuid[], change text) IS 'Runs a statement, whose $1 is an id, for each id by itself: one that fails is left behind with a warning and keeps no other from being swept. Returns how many rows changed.';

CREATE FUNCTION public.takes_evidence(of_session uuid, of_role text, of_mechanic uuid, by_source text) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  SELECT count(*) < 1000 FROM session_presence p
   WHERE p.session_id = of_session AND p.role = of_role AND p.mechanic_id IS NOT DISTINCT FROM of_mechanic
     AND p.source = by_source
$$;

COMMENT ON FUNCTION public.takes_evidence(of_session uuid, of_role text, of_mechanic uuid, by_source text) IS 'Whether a session takes another stretch of this party by this source: at most 1,000, so that no witness uses up what another one needs.';

CREATE FUNCTION public.tax_within(made public.receipts) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  SELECT CASE WHEN made.currency = 'credit' THEN 0
    WHEN made.kind = 'receipt' THEN least(made.amount, coalesce((SELECT c.tax_cents FROM checkouts c WHERE c.id = made.checkout_id), 0))
    ELSE coalesce((SELECT least(made.amount, round(r.tax::numeric * made.amount / r.amount)) FROM receipts r
                    WHERE r.id = made.corrects_id), 0)::bigint END
$$;

COMMENT ON FUNCTION public.tax_within(made public.receipts) IS 'The tax within a document''s amount: as Stripe reckoned it for the payment, else in proportion.';

CREATE FUNCTION public.tell_due_summaries(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.tell_due_summaries(batch integer) IS 'Writes the events of up to batch summaries that have waited long enough for their notes; returns how many.';

CREATE FUNCTION public.tell_late_replies(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  session sessions;
  told integer := 0;
BEGIN
  FOR session IN
    SELECT s.* FROM sessions s
     WHERE s.ended_at IS NULL AND s.status = 'waiting' AND s.customer_present AND reply_due_at(s) <= now()
       AND NOT EXISTS (SELECT FROM late_replies l WHERE l.assignment_id = s.current_assignment_id)
     ORDER BY s.customer_id LIMIT batch
       FOR NO KEY UPDATE SKIP LOCKED
  LOOP
    INSERT INTO late_replies (assignment_id) VALUES (session.current_assignment_id) ON CONFLICT DO NOTHING;
    IF FOUND THEN
      PERFORM room_note(session.id, 'reply_late');
      PERFORM emit_event('reply.late', jsonb_build_object(
                'sessionId', session.id, 'assignmentId', session.current_assignment_id,
                'customerId', session.customer_id, 'mechanicId', session.mechanic_id), session.id);
      told := told + 1;
    END IF;
  END LOOP;
  RETURN told;
END
$$;

COMMENT ON FUNCTION public.tell_late_replies(batch integer) IS 'Tells up to batch customers who are in the room that their mechanic''s first reply is overdue, each once; returns how many.';

CREATE FUNCTION public.tell_minutes(batch integer DEFAULT 500) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.tell_minutes(batch integer) IS 'Says in up to batch rooms that five minutes, or one, are left at most, each once; returns in how many.';

CREATE TABLE public.session_notes (
    session_id uuid NOT NULL,
    mechanic_id uuid NOT NULL,
    version integer NOT NULL,
    saved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    confirmed_at timestamp with time zone,
    text text NOT NULL,
    CONSTRAINT session_notes_text_check CHECK ((length(text) <= 4000)),
    CONSTRAINT session_notes_version_check CHECK ((version > 0))
);

COMMENT ON TABLE public.session_notes IS 'The notes of each mechanic who held a session; those of its present or last mechanic are the session''s. Only save_notes() writes them.';

COMMENT ON COLUMN public.session_notes.version IS 'Chosen by the writer, who counts: words with an older version do not replace these.';

COMMENT ON COLUMN public.session_notes.saved_at IS 'When these words were saved.';

COMMENT ON COLUMN public.session_notes.confirmed_at IS 'When the mechanic first said that the notes are complete.';

COMMENT ON COLUMN public.session_notes.text IS 'Personal data, as typed.';

CREATE FUNCTION public.tell_notes(notes public.session_notes) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION public.tell_notes(notes public.session_notes) IS 'Has the customer of a session that is over told of confirmed notes: with the summary if that still waits, else by themselves.';

CREATE FUNCTION public.tell_of(event_type text, of_session uuid) RETURNS void
    LANGUAGE sql
    AS $$
  SELECT emit_event(event_type, jsonb_build_object(
           'sessionId', s.id, 'customerId', s.customer_id, 'mechanicId', s.mechanic_id), s.id)
    FROM sessions s WHERE s.id = of_session
$$;

COMMENT ON FUNCTION public.tell_of(event_type text, of_session uuid) IS 'Writes an event about a session''s summary or notes.';

CREATE TABLE public.refunds (
    NOT NULL id,
    job text DEFAULT 'refund'::text NOT NULL,
    intake_id uuid NOT NULL,
    kind text NOT NULL,
    amount_cents bigint NOT NULL,
    currency text DEFAULT 'usd'::text NOT NULL,
    stripe_refund_id text,
    sent_at timestamp with time zone,
    settled_outcome text GENERATED ALWAYS AS (
CASE kind
    WHEN 'session'::text THEN 'refund'::text
    ELSE NULL::text
END) STORED,
    contested_intake_id uuid GENERATED ALWAYS AS (
CASE kind
    WHEN 'contest'::text THEN intake_id
    ELSE NULL::uuid
END) STORED,
    extension_id uuid GENERATED ALWAYS AS (
CASE kind
    WHEN 'extension'::text THEN intake_id
    ELSE NULL::uuid
END) STORED,
    extension_outcome text GENERATED ALWAYS AS (
CASE kind
    WHEN 'extension'::text THEN 'refund'::text
    ELSE NULL::text
END) STORED,
    CONSTRAINT refunds_amount_cents_check CHECK ((amount_cents > 0)),
    CONSTRAINT refunds_currency_check CHECK ((currency = 'usd'::text)),
    CONSTRAINT refunds_job CHECK ((job = 'refund'::text)),
    CONSTRAINT refunds_kind_check CHECK ((kind = ANY (ARRAY['session'::text, 'contest'::text, 'unfulfillable'::text, 'extension'::text]))),
    CONSTRAINT refunds_sent_has_an_id CHECK (((state <> 'sent'::text) OR (stripe_refund_id IS NOT NULL))),
    CONSTRAINT refunds_state_known CHECK ((state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text, 'sent'::text, 'returned'::text, 'failed'::text])))
)
INHERITS (public.stripe_jobs);

COMMENT ON TABLE public.refunds IS 'The money that goes back to customers'' cards, and its progress.';

COMMENT ON COLUMN public.refunds.state IS 'As in stripe_jobs; final states are sent: Stripe has it, or had already refunded it; returned: by the customer''s bank, after a lost dispute.';

COMMENT ON COLUMN public.refunds.intake_id IS 'The intake that was paid; a session, or an extension, has its intake''s id.';

COMMENT ON COLUMN public.refunds.kind IS 'session: it was cancelled or expired; contest: an admin decided that all or part of what was paid goes back; extension: its minutes were not used; unfulfillable: the payment never became a session, or minutes of one.';

COMMENT ON COLUMN public.refunds.amount_cents IS 'Cents of the currency.';

COMMENT ON COLUMN public.refunds.currency IS 'ISO 4217, lower case, as Stripe writes it.';

COMMENT ON COLUMN public.refunds.stripe_refund_id IS 'Stripe''s id of our refund, or of the last of the others'' if they had refunded all of it before us.';

COMMENT ON COLUMN public.refunds.sent_at IS 'When we learned that it was refunded.';

COMMENT ON COLUMN public.refunds.settled_outcome IS 'The settlement that its session must have; null: another table says so, or there is no session.';

COMMENT ON COLUMN public.refunds.contested_intake_id IS 'For a contest''s refund, the intake whose part of the decision is its amount.';

COMMENT ON COLUMN public.refunds.extension_id IS 'For an extension''s refund, the extension.';

COMMENT ON COLUMN public.refunds.extension_outcome IS 'The settlement that its extension must have.';

CREATE FUNCTION public.tell_refund_failed(failed public.refunds, why text) RETURNS void
    LANGUAGE sql
    AS $$
  SELECT emit_event('payment.refund_failed', jsonb_build_object(
           'checkoutId', c.id, 'intakeId', c.intake_id, 'customerId', i.customer_id, 'amountCents', failed.amount_cents,
           'currency', failed.currency, 'reason', why), c.intake_id)
    FROM checkouts c JOIN intakes i ON i.id = c.intake_id WHERE c.intake_id = failed.intake_id
$$;

COMMENT ON FUNCTION public.tell_refund_failed(failed public.refunds, why text) IS 'Has the customer told, who was told that it goes back in full: bank_refused or given_up.';

CREATE FUNCTION public.tell_typing(by_connection text, of_session uuid) RETURNS TABLE(role text, connections text[])
    LANGUAGE plpgsql SECURITY DEFINER ROWS 1
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
  at timestamptz;
  by_user uuid;
  is_news boolean;
  party room_party;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  -- two devices that type at once are one person; no lock of rows, which others take in another order
  PERFORM pg_advisory_xact_lock(hashtextextended('typing:' || of_session || c.user_id, 0))
    FROM realtime_connections c WHERE c.connection_id = by_connection;
  at := clock_timestamp();
  UPDATE realtime_connections c
     SET heard_at = at,
         typing_at = CASE WHEN c.room = of_session
                           AND NOT EXISTS (SELECT FROM realtime_connections o
                                            WHERE o.user_id = c.user_id AND o.room = of_session
                                              AND o.typing_at > at - interval '3 seconds')
                          THEN at ELSE c.typing_at END
   WHERE c.connection_id = by_connection AND c.room IS NOT NULL AND c.expires_at > at
  RETURNING c.user_id, c.typing_at = at INTO by_user, is_news;
  IF is_news IS NOT TRUE THEN
    RETURN;
  END IF;
  party := party_of(of_session, by_user);
  IF party.role IS NULL OR party.status NOT IN ('pending', 'waiting', 'live') THEN
    RETURN;
  END IF;
  role := party.role;
  connections := ARRAY(SELECT c.connection_id FROM realtime_connections c
                        WHERE c.room = of_session AND c.expires_at > now() AND c.user_id <> by_user
                          AND c.user_id IN (party.customer_user, party.mechanic_user));
  RETURN NEXT;
END
$$;

COMMENT ON FUNCTION public.tell_typing(by_connection text, of_session uuid) IS 'The role of a party that is typing, and the connections of the other side; no row if it was told in the last three seconds, the connection is in another room, or the session is not open.';

CREATE FUNCTION public.track_presence(was public.sessions, INOUT row_now public.sessions, at timestamp with time zone) RETURNS public.sessions
    LANGUAGE plpgsql
    AS $$
DECLARE
  since timestamptz := least(at, (row_now.change_data ->> 'at')::timestamptz); -- the witness's instant
  seen record;
BEGIN
  IF row_now.change_data ->> 'at' IS NULL THEN
    row_now := claim_by_hand(was, row_now, at);
  END IF;
  IF row_now.customer_present AND NOT was.customer_present THEN
    row_now.customer_joined_at := coalesce(row_now.customer_joined_at, since);
  END IF;
  IF row_now.mechanic_present AND NOT was.mechanic_present THEN
    row_now.mechanic_joined_at := coalesce(row_now.mechanic_joined_at, since);
  END IF;
  IF row_now.customer_present AND row_now.mechanic_present THEN
    row_now.parted_at := NULL;
    IF row_now.status = 'waiting' THEN
      seen := presence_of(row_now, 'infinity', 'infinity');
      row_now.status := 'live';
      row_now.started_at := coalesce(row_now.started_at, lower(seen.customer * seen.mechanic), since);
    END IF;
  ELSIF was.customer_present AND was.mechanic_present AND row_now.status = was.status THEN
    row_now.parted_at := greatest(since, was.started_at);
  END IF;
END
$$;

COMMENT ON FUNCTION public.track_presence(was public.sessions, INOUT row_now public.sessions, at timestamp with time zone) IS 'The row with the join times, start and parting time that follow from the presence.';

CREATE FUNCTION public.transition_to_outbox() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
  INSERT INTO outbox (subject_id, id) VALUES (NEW.session_id, NEW.id);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.transition_to_outbox() IS 'Puts an event into the outbox for every audit row of a transition.';

CREATE FUNCTION public.unheard_meetings() RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  SELECT count(*) FROM session_meetings m
   WHERE m.over_at IS NULL AND m.opened_at < now() - interval '2 minutes'
     AND EXISTS (SELECT FROM session_presence p
                  WHERE p.session_id = m.session_id AND p.source = 'mutual' AND p.witness = m.meeting_id)
     AND NOT EXISTS (SELECT FROM media_events e WHERE e.session_id = m.session_id AND e.meeting = m.meeting_id)
$$;

COMMENT ON FUNCTION public.unheard_meetings() IS 'Running meetings in which the pages hear each other, and of which the medium says nothing: its events have stopped.';

CREATE FUNCTION public.unpublished_events(subject uuid) RETURNS json
    LANGUAGE plpgsql
    AS $$
BEGIN
  RETURN (SELECT coalesce(json_agg(v), '[]')
            FROM (SELECT o.* FROM outbox_events o WHERE o.subject_id = subject ORDER BY o.id LIMIT 10) AS v);
END
$$;

COMMENT ON FUNCTION public.unpublished_events(subject uuid) IS 'The result of pending_events() as JSON, with what the calling statement has written so far.';

CREATE FUNCTION public.visible_as(status text, available_at timestamp with time zone, workshop uuid, declined_by uuid[], offered_to uuid, to_mechanic uuid, of_workshop uuid, at timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT available_at <= at
         AND CASE status WHEN 'queued' THEN open_to(workshop, declined_by, to_mechanic, of_workshop)
                         WHEN 'offered' THEN offered_to = to_mechanic
                         ELSE false END
$$;

COMMENT ON FUNCTION public.visible_as(status text, available_at timestamp with time zone, workshop uuid, declined_by uuid[], offered_to uuid, to_mechanic uuid, of_workshop uuid, at timestamp with time zone) IS 'Whether a request with this status at that instant was shown to this mechanic of that workshop. The caller excludes the mechanic''s own requests.';

CREATE FUNCTION public.visible_before(a public.session_assignments, status_then text, at timestamp with time zone, to_mechanic uuid, of_workshop uuid) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT visible_as(status_then, a.available_at, a.workshop_id, a.declined_by, a.mechanic_id, to_mechanic, of_workshop, at)
$$;

COMMENT ON FUNCTION public.visible_before(a public.session_assignments, status_then text, at timestamp with time zone, to_mechanic uuid, of_workshop uuid) IS 'Whether the request was shown to this mechanic until it left that status.';

CREATE FUNCTION public.visible_ever(a public.session_assignments, to_mechanic uuid, of_workshop uuid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT a.queued_at IS NOT NULL
         AND visible_as(CASE WHEN a.offer_expires_at IS NULL THEN 'queued' ELSE 'offered' END, a.available_at, a.workshop_id,
                        a.declined_by, a.mechanic_id, to_mechanic, of_workshop, coalesce(a.ended_at, now()))
$$;

COMMENT ON FUNCTION public.visible_ever(a public.session_assignments, to_mechanic uuid, of_workshop uuid) IS 'Whether the request is or was ever shown to this mechanic of that workshop.';

CREATE FUNCTION public.visible_now(a public.session_assignments, to_mechanic uuid, of_workshop uuid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT visible_as(a.status, a.available_at, a.workshop_id, a.declined_by, a.mechanic_id, to_mechanic, of_workshop, now())
         AND (a.status <> 'offered' OR a.offer_expires_at > now())
$$;

COMMENT ON FUNCTION public.visible_now(a public.session_assignments, to_mechanic uuid, of_workshop uuid) IS 'Whether the queue shows the request to this mechanic of that workshop. An offer past its deadline is shown to nobody.';

CREATE FUNCTION public.waiver_versions() RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  SELECT coalesce((SELECT string_to_array(value, ' ') FROM settings WHERE key = 'waiver_versions'), '{1.0}')
$$;

COMMENT ON FUNCTION public.waiver_versions() IS 'The versions of the waiver that may be signed; the last one is current.';

CREATE FUNCTION public.who_was_absent(session public.sessions, seen record, present timestamp with time zone, late interval, by_system boolean) RETURNS text
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.who_was_absent(session public.sessions, seen record, present timestamp with time zone, late interval, by_system boolean) IS 'The party that was not there while the other waited for too long; of a session that a sweep ends, the one that did not come. Null: nobody was kept waiting.';

CREATE FUNCTION public.withdrawn_payments(of_user uuid) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
  RETURN (SELECT count(*) FROM customers c JOIN sessions s ON s.customer_id = c.id JOIN intakes i ON i.id = s.id
           WHERE c.user_id = of_user AND i.funding = 'card' AND s.ended_at > now() - interval '24 hours'
             AND customer_gave_up(s))
       + (SELECT count(*) FROM checkouts b JOIN refunds r ON r.intake_id = b.intake_id AND r.kind = 'unfulfillable'
           WHERE b.user_id = of_user AND b.kind = 'intake' AND b.status = 'unfulfillable'
             AND (b.late_since IS NULL OR b.late_answer = 'give_back') AND r.created_at > now() - interval '24 hours')
       + minutes_given_up(of_user);
END
$$;

COMMENT ON FUNCTION public.withdrawn_payments(of_user uuid) IS 'How many payments by card a customer gave up in 24 hours: requests that customer_gave_up(), that could not begin as the customer had another session when they paid, or were given back when the money came late, and minutes not used: each is refunded, and Stripe keeps its fee. With withdrawn_payments_per_day of them (the settings table, else 3) they cannot pay by card.';

CREATE FUNCTION public.words_of(of_session uuid, of_role text) RETURNS integer
    LANGUAGE plpgsql
    AS $$
BEGIN
  RETURN coalesce((SELECT CASE of_role WHEN 'customer' THEN r.customer_written ELSE r.mechanic_written END
                     FROM rooms r WHERE r.session_id = of_session), 0);
END
$$;

COMMENT ON FUNCTION public.words_of(of_session uuid, of_role text) IS 'How many messages a party has written; of the mechanics only the present one.';

CREATE FUNCTION public.write_note(of_session uuid, what text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
  words text := note_words(what);
  about text[] := notes_about_the_same(what);
  of_late text[];
  number integer;
BEGIN
  IF words IS NULL THEN
    RAISE EXCEPTION 'a room has no note %', what USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM FROM rooms WHERE session_id = of_session FOR NO KEY UPDATE;
  IF about IS NOT NULL THEN
    SELECT array_agg(m.note ORDER BY m.seq DESC) INTO of_late FROM session_messages m
     WHERE m.session_id = of_session AND m.role = 'system' AND m.note = ANY (about)
       AND m.at > clock_timestamp() - interval '60 seconds';
    IF of_late[1] = what OR cardinality(of_late) >= 10 THEN -- a connection that comes and goes fills no room
      RETURN NULL;
    END IF;
  END IF;
  UPDATE rooms SET latest = latest + 1 WHERE session_id = of_session RETURNING latest INTO STRICT number;
  INSERT INTO session_messages (session_id, seq, role, kind, note, text)
  VALUES (of_session, number, 'system', 'system', what, words);
  RETURN number;
END
$$;

COMMENT ON FUNCTION public.write_note(of_session uuid, what text) IS 'Writes a system message into a room, by its code (note_words()), for callers whose session has an event of its own, or who tell the room themselves; returns its number. How something stands is said only where the last 60 seconds have not said so, and ten times a minute at most: else null. Locks the room, so a caller that locks the session too does that first.';

CREATE FUNCTION public.wrongly_marked_between(since timestamp with time zone, until timestamp with time zone) RETURNS TABLE(session_id uuid, decided_at timestamp with time zone, status text, end_reason text, expected text)
    LANGUAGE sql STABLE
    AS $$
  SELECT x.session_id, x.decided_at, x.status, x.end_reason,
         CASE WHEN x.status = 'expired' AND judged.started_at IS NULL THEN 'expired' ELSE judged.status END
    FROM sessions_ended_between(since, until) AS x
         CROSS JOIN LATERAL (SELECT * FROM sessions r WHERE r.id = x.session_id LIMIT 1) AS s
         CROSS JOIN LATERAL judge_again(s, x.decided_at, x.decided_at) AS judged
   WHERE x.status <> CASE WHEN x.status = 'expired' AND judged.started_at IS NULL THEN 'expired' ELSE judged.status END
      OR judged.started_at IS NOT NULL AND x.end_reason IN ('no_show', 'withdrawn')
$$;

COMMENT ON FUNCTION public.wrongly_marked_between(since timestamp with time zone, until timestamp with time zone) IS 'Sessions that ended in this time whose evidence of presence contradicts their outcome: completed ones that were too short, cancelled or expired ones that were long enough, no-shows whose parties met.';

CREATE TABLE public.address_confirmations (
    user_id uuid NOT NULL,
    address_hash bytea NOT NULL,
    token_hash bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT address_confirmations_address_hash_check CHECK ((length(address_hash) = 32))
);

COMMENT ON TABLE public.address_confirmations IS 'The last confirmation that was mailed to each address of a user.';

COMMENT ON COLUMN public.address_confirmations.address_hash IS 'The address that it confirms.';

COMMENT ON COLUMN public.address_confirmations.token_hash IS 'SHA-256 of the token in its link, so that a reader of this table cannot use it.';

COMMENT ON COLUMN public.address_confirmations.expires_at IS 'The end of its validity.';

CREATE TABLE public.admin_changes (
    id uuid NOT NULL,
    actor_id uuid,
    actor text,
    kind text NOT NULL,
    subject text NOT NULL,
    changed text[] NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT admin_changes_actor_check CHECK ((actor ~~ 'db:%'::text)),
    CONSTRAINT admin_changes_changed_check CHECK ((changed <> '{}'::text[])),
    CONSTRAINT admin_changes_kind_known CHECK ((kind ~ '^((mechanic|workshop|plan|credit_pack)\.(added|changed)|mechanic\.destination_changed|credits\.granted|payout\.(held|released)|(settlement|contest)\.decided|session\.(messaged|offered)|dispute_evidence\.(changed|sent)|dead_letter_queue\.redriven)$'::text)),
    CONSTRAINT admin_changes_somebody_did_it CHECK ((num_nonnulls(actor_id, actor) = 1)),
    CONSTRAINT admin_changes_tell_nothing_of_people CHECK (((kind !~~ 'mechanic.%'::text) OR (NOT ((before ?| '{name,email,suspension_reason}'::text[]) OR (after ?| '{name,email,suspension_reason}'::text[])))))
);

COMMENT ON TABLE public.admin_changes IS 'Every change that an admin made, never changed afterwards; one that changed nothing has no row.';

COMMENT ON COLUMN public.admin_changes.id IS 'Chosen by the function before the first attempt: by it, a retry after a lost connection recognises its own work.';

COMMENT ON COLUMN public.admin_changes.actor_id IS 'The sub of the admin''s token; null: the statement named nobody.';

COMMENT ON COLUMN public.admin_changes.actor IS 'db:ROLE, the role whose statement named nobody.';

COMMENT ON COLUMN public.admin_changes.kind IS 'The kind of change, such as plan.changed. A dead_letter_queue.redriven is written before its messages are sent.';

COMMENT ON COLUMN public.admin_changes.subject IS 'The id of the changed row, or its code if that is its key.';

COMMENT ON COLUMN public.admin_changes.changed IS 'The columns that changed, including those with personal data.';

COMMENT ON COLUMN public.admin_changes.before IS 'Their values before, without personal data; empty for a new row. For a dead_letter_queue, how many messages it held.';

COMMENT ON COLUMN public.admin_changes.after IS 'Their values afterwards, without personal data.';

COMMENT ON COLUMN public.admin_changes.at IS 'When, by the database''s clock.';

CREATE TABLE public.admin_lookups (
    id uuid NOT NULL,
    actor_id uuid NOT NULL,
    kind text NOT NULL,
    found uuid[] NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT admin_lookups_found_check CHECK ((cardinality(found) <= 100)),
    CONSTRAINT admin_lookups_kind_check CHECK ((kind = ANY (ARRAY['name'::text, 'email'::text, 'phone'::text, 'payment'::text, 'receipt'::text, 'id'::text, 'contact'::text])))
);

COMMENT ON TABLE public.admin_lookups IS 'Every time an admin searched for people''s sessions, or saw how to reach a customer; never changed afterwards. What was searched for is not kept.';

COMMENT ON COLUMN public.admin_lookups.id IS 'Chosen by the function before the first attempt.';

COMMENT ON COLUMN public.admin_lookups.actor_id IS 'The sub of the admin''s token.';

COMMENT ON COLUMN public.admin_lookups.kind IS 'By what was searched; contact: phone and e-mail of one session''s customer were shown.';

COMMENT ON COLUMN public.admin_lookups.found IS 'The sessions of the page that was shown.';

COMMENT ON COLUMN public.admin_lookups.at IS 'When, by the database''s clock.';

CREATE TABLE public.health_alerts (
    id uuid DEFAULT public.new_id() NOT NULL,
    alert text NOT NULL,
    subject text NOT NULL,
    severity text NOT NULL,
    since timestamp with time zone NOT NULL,
    facts jsonb NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    cleared_at timestamp with time zone,
    opened_notified_at timestamp with time zone,
    cleared_notified_at timestamp with time zone,
    claimed_until timestamp with time zone,
    CONSTRAINT health_alerts_cleared_before_notified CHECK (((cleared_notified_at IS NULL) OR (cleared_at IS NOT NULL))),
    CONSTRAINT health_alerts_opening_notified_first CHECK (((cleared_notified_at IS NULL) OR (opened_notified_at IS NOT NULL))),
    CONSTRAINT health_alerts_severity_check CHECK ((severity = ANY (ARRAY['warning'::text, 'critical'::text])))
);

COMMENT ON TABLE public.health_alerts IS 'Every alert that the monitor saw, and its notifications. Stored before anybody is notified, so that none is lost.';

COMMENT ON COLUMN public.health_alerts.alert IS 'As in sessions_needing_review and health_limits_passed().';

COMMENT ON COLUMN public.health_alerts.subject IS 'The session''s or mechanic''s id, or all.';

COMMENT ON COLUMN public.health_alerts.severity IS 'The present severity, warning or critical; a change is not notified.';

COMMENT ON COLUMN public.health_alerts.since IS 'When the condition began; for limits, when it was first seen.';

COMMENT ON COLUMN public.health_alerts.facts IS 'Further facts, no personal data.';

COMMENT ON COLUMN public.health_alerts.opened_at IS 'When the monitor first saw it.';

COMMENT ON COLUMN public.health_alerts.cleared_at IS 'When the monitor no longer saw it; if it comes back, it gets another row.';

COMMENT ON COLUMN public.health_alerts.opened_notified_at IS 'When the topic took the message that it opened.';

COMMENT ON COLUMN public.health_alerts.cleared_notified_at IS 'When the topic took the message that it cleared.';

COMMENT ON COLUMN public.health_alerts.claimed_until IS 'Until then one run is sending its notification; if that run dies, the next one takes over.';

CREATE TABLE public.settlements (
    session_id uuid NOT NULL,
    outcome text NOT NULL,
    decided_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    facts jsonb NOT NULL,
    CONSTRAINT settlements_outcome_check CHECK ((outcome = ANY (ARRAY['pay'::text, 'refund'::text, 'return'::text, 'nothing'::text])))
);

COMMENT ON TABLE public.settlements IS 'The one decision about an ended session''s money, never changed: a payout needs pay and a refund needs refund, so only one of them can start.';

COMMENT ON COLUMN public.settlements.outcome IS 'pay: it was completed, and somebody earns; refund: the payment by card goes back; return: the credits go back; nothing: there is nothing to move.';

COMMENT ON COLUMN public.settlements.decided_at IS 'When it was decided.';

COMMENT ON COLUMN public.settlements.facts IS 'The basis of the decision, and the amounts.';

CREATE VIEW public.alert_completed_without_settlement AS
 WITH missed AS (
         SELECT d.session_id,
            d.ended_at AS since
           FROM public.settlements_due d
          WHERE (( SELECT s.status
                   FROM public.sessions s
                  WHERE (s.id = d.session_id)) = 'completed'::text)
        UNION
         SELECT x.session_id,
            x.decided_at
           FROM public.sessions_ended_between((now() - '24:00:00'::interval), 'infinity'::timestamp with time zone) x(session_id, decided_at, status, end_reason, absent, mechanic_id, started_at, ended_at, together_seconds, created_at, funding, plan_code, session_type, price_cents, credits, mechanic_share_bp, max_minutes, at_stake)
          WHERE ((x.status = 'completed'::text) AND x.at_stake AND (NOT (EXISTS ( SELECT
                   FROM public.settlements t
                  WHERE (t.session_id = x.session_id)
                 OFFSET 0))) AND (NOT (EXISTS ( SELECT
                   FROM public.settlements_due d
                  WHERE (d.session_id = x.session_id)))))
        UNION
         SELECT (h.subject)::uuid AS subject,
            h.since
           FROM public.health_alerts h
          WHERE ((h.alert = 'completed_without_settlement'::text) AND (h.cleared_at IS NULL) AND (NOT (EXISTS ( SELECT
                   FROM public.settlements t
                  WHERE (t.session_id = (h.subject)::uuid)))) AND (NOT (EXISTS ( SELECT
                   FROM public.settlements_due d
                  WHERE (d.session_id = (h.subject)::uuid)))))
        )
 SELECT m.session_id,
        CASE
            WHEN (m.since < (now() - (((4 * ( SELECT public.health_setting('settlement_seconds_max'::text) AS health_setting)))::double precision * '00:00:01'::interval))) THEN 'critical'::text
            ELSE 'warning'::text
        END AS severity,
    m.since,
    i.funding,
    i.price_cents,
    i.credits
   FROM (missed m
     CROSS JOIN LATERAL ( SELECT r.id,
            r.customer_id,
            r.plan_code,
            r.funding,
            r.session_type,
            r.price_cents,
            r.currency,
            r.credits,
            r.mechanic_share_bp,
            r.included_minutes,
            r.max_minutes,
            r.mechanic_fixed_pay_cents,
            r.uses_per_customer,
            r.referrer_id,
            r.referral_bp,
            r.customer_name,
            r.vehicle,
            r.concern,
            r.urgent,
            r.preferred_mechanic_id,
            r.workshop_id,
            r.scheduled_for,
            r.evidence,
            r.created_at
           FROM public.intakes r
          WHERE (r.id = m.session_id)
         LIMIT 1) i)
  WHERE (m.since < (now() - ((( SELECT public.health_setting('settlement_seconds_max'::text) AS health_setting))::double precision * '00:00:01'::interval)));

COMMENT ON VIEW public.alert_completed_without_settlement IS 'Sessions that completed with something to settle longer ago than health_settlement_seconds_max and are not settled; of those not even recorded as due, the ones of the last 24 hours and those alerted then. Critical from 4 times that limit on.';

CREATE TABLE public.payout_holds (
    payout_id uuid NOT NULL,
    reason text NOT NULL,
    note text,
    held_by uuid,
    held_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    released_by uuid,
    released_at timestamp with time zone,
    CONSTRAINT payout_holds_note_check CHECK (((length(note) >= 1) AND (length(note) <= 500))),
    CONSTRAINT payout_holds_reason_known CHECK ((reason = ANY (ARRAY['operator'::text, 'suspended'::text, 'escalation'::text, 'disputed_credits'::text, 'destination'::text, 'contest'::text]))),
    CONSTRAINT payout_holds_released_once CHECK (((released_by IS NULL) OR (released_at IS NOT NULL)))
);

COMMENT ON TABLE public.payout_holds IS 'The reasons for which payouts are not sent yet. A payout may have several, each once; it is sent when all are released.';

COMMENT ON COLUMN public.payout_holds.reason IS 'operator: an admin''s decision, see note; suspended: its mechanic is suspended; escalation: a share of an approved quote that an admin has to look at; disputed_credits: credits that paid for its session come from a pack whose payment is disputed, or was lost; destination: the mechanic''s account was changed less than destination_hold() ago; contest: the customer contested its session.';

COMMENT ON COLUMN public.payout_holds.note IS 'The admin''s words.';

COMMENT ON COLUMN public.payout_holds.held_by IS 'The sub of the admin''s token; null: the system.';

COMMENT ON COLUMN public.payout_holds.held_at IS 'When it was held, or held again after a release.';

COMMENT ON COLUMN public.payout_holds.released_by IS 'The sub of the admin''s token; null: nobody yet, or the system.';

COMMENT ON COLUMN public.payout_holds.released_at IS 'When it was released; null: it holds the payout.';

CREATE TABLE public.payouts (
    NOT NULL id,
    job text DEFAULT 'payout'::text NOT NULL,
    session_id uuid NOT NULL,
    mechanic_id uuid NOT NULL,
    kind text NOT NULL,
    extension_id uuid,
    amount_cents bigint NOT NULL,
    withheld_cents bigint DEFAULT 0 NOT NULL,
    netted_cents bigint DEFAULT 0 NOT NULL,
    sent_cents bigint DEFAULT 0 NOT NULL,
    reversed_cents bigint DEFAULT 0 NOT NULL,
    currency text DEFAULT 'usd'::text NOT NULL,
    stripe_transfer_id text,
    sent_at timestamp with time zone,
    intake_id uuid GENERATED ALWAYS AS (COALESCE(extension_id, session_id)) STORED,
    settled_outcome text GENERATED ALWAYS AS (
CASE
    WHEN (kind = ANY (ARRAY['session'::text, 'referral'::text])) THEN 'pay'::text
    ELSE NULL::text
END) STORED,
    extension_outcome text GENERATED ALWAYS AS (
CASE kind
    WHEN 'extension'::text THEN 'pay'::text
    ELSE NULL::text
END) STORED,
    approved_session_id uuid GENERATED ALWAYS AS (
CASE kind
    WHEN 'escalation'::text THEN session_id
    ELSE NULL::uuid
END) STORED,
    CONSTRAINT payouts_amount_cents_check CHECK ((amount_cents > 0)),
    CONSTRAINT payouts_cancelled_has_nothing_left CHECK (((state <> 'cancelled'::text) OR ((withheld_cents + netted_cents) = amount_cents))),
    CONSTRAINT payouts_currency_check CHECK ((currency = 'usd'::text)),
    CONSTRAINT payouts_extension_names_it CHECK (((kind = 'extension'::text) = (extension_id IS NOT NULL))),
    CONSTRAINT payouts_goes_where_it_can CHECK ((((withheld_cents >= 0) AND (withheld_cents <= amount_cents)) AND ((netted_cents >= 0) AND (netted_cents <= amount_cents)) AND (sent_cents >= 0) AND ((reversed_cents >= 0) AND (reversed_cents <= sent_cents)) AND (((withheld_cents + netted_cents) + sent_cents) <= (amount_cents + reversed_cents)))),
    CONSTRAINT payouts_job CHECK ((job = 'payout'::text)),
    CONSTRAINT payouts_kind_known CHECK ((kind = ANY (ARRAY['session'::text, 'extension'::text, 'referral'::text, 'escalation'::text, 'returned'::text]))),
    CONSTRAINT payouts_sent_has_a_transfer CHECK (((state <> ALL (ARRAY['sent'::text, 'reversed'::text])) OR (stripe_transfer_id IS NOT NULL))),
    CONSTRAINT payouts_state_known CHECK ((state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text, 'sent'::text, 'failed'::text, 'reversed'::text, 'cancelled'::text])))
)
INHERITS (public.stripe_jobs);

COMMENT ON TABLE public.payouts IS 'The money owed to mechanics, and its progress.';

COMMENT ON COLUMN public.payouts.state IS 'As in stripe_jobs; final states are sent; reversed: sent, and all or some of it reversed at Stripe, as booked in the ledger; cancelled: never sent, because the customer got it back or it was netted.';

COMMENT ON COLUMN public.payouts.kind IS 'Earned by holding the session (session), by minutes that were added to it (extension), by referring its customer (referral), by escalating it to the workshop whose quote was approved (escalation); or owed again (returned): it was netted for a debt of the session that was none in the end, or it was sent and taken back.';

COMMENT ON COLUMN public.payouts.extension_id IS 'The extension whose minutes earned it; its session is session_id. Null for every other kind.';

COMMENT ON COLUMN public.payouts.amount_cents IS 'The amount earned, in cents of the currency.';

COMMENT ON COLUMN public.payouts.withheld_cents IS 'The part that went back to the customer, not sent or kept after a reversal; and what was taken back and is owed as another payout.';

COMMENT ON COLUMN public.payouts.netted_cents IS 'The part that paid off what the mechanic owed of other sessions, before it was sent.';

COMMENT ON COLUMN public.payouts.sent_cents IS 'The transfer at Stripe: the amount earned less the parts withheld and netted by then.';

COMMENT ON COLUMN public.payouts.reversed_cents IS 'The part of the transfer that was reversed at Stripe.';

COMMENT ON COLUMN public.payouts.currency IS 'ISO 4217, lower case, as Stripe writes it.';

COMMENT ON COLUMN public.payouts.sent_at IS 'When we learned that it was sent.';

COMMENT ON COLUMN public.payouts.intake_id IS 'The intake whose payment it is a part of: the extension''s, else the session''s.';

COMMENT ON COLUMN public.payouts.settled_outcome IS 'The settlement that its session must have; null: any.';

COMMENT ON COLUMN public.payouts.extension_outcome IS 'The settlement that its extension must have.';

COMMENT ON COLUMN public.payouts.approved_session_id IS 'For an escalation, the session that must have an approved quote.';

CREATE VIEW public.alert_money AS
 SELECT 'escalations_to_release'::text AS alert,
    (p.mechanic_id)::text AS subject,
    'warning'::text AS severity,
    min(h.held_at) AS since,
    jsonb_build_object('payouts', count(*), 'cents', sum(p.amount_cents)) AS facts
   FROM (public.payouts p
     JOIN public.payout_holds h ON (((h.payout_id = p.id) AND (h.reason = 'escalation'::text) AND (h.released_at IS NULL))))
  WHERE (p.state = 'held'::text)
  GROUP BY p.mechanic_id
UNION ALL
 SELECT 'mechanic_escalations_high'::text AS alert,
    (p.mechanic_id)::text AS subject,
    'critical'::text AS severity,
    min(p.created_at) AS since,
    jsonb_build_object('payouts', count(*), 'cents', sum(p.amount_cents), 'limit', public.health_setting('mechanic_escalations_max'::text)) AS facts
   FROM public.payouts p
  WHERE ((p.kind = 'escalation'::text) AND (p.created_at > (now() - '24:00:00'::interval)))
  GROUP BY p.mechanic_id
 HAVING (count(*) > public.health_setting('mechanic_escalations_max'::text))
UNION ALL
 SELECT 'customer_withdrawals_high'::text AS alert,
    (g.customer_id)::text AS subject,
    'warning'::text AS severity,
    min(g.at) AS since,
    jsonb_build_object('payments', count(*), 'limit', public.number_setting('withdrawn_payments_per_day'::text, 3)) AS facts
   FROM ( SELECT s.customer_id,
            s.ended_at AS at
           FROM (public.sessions_ended_between((now() - '24:00:00'::interval), 'infinity'::timestamp with time zone) x(session_id, decided_at, status, end_reason, absent, mechanic_id, started_at, ended_at, together_seconds, created_at, funding, plan_code, session_type, price_cents, credits, mechanic_share_bp, max_minutes, at_stake)
             JOIN public.sessions s ON ((s.id = x.session_id)))
          WHERE ((x.funding = 'card'::text) AND public.customer_gave_up(s.*))
        UNION ALL
         SELECT i.customer_id,
            r.created_at
           FROM ((public.refunds r
             JOIN public.checkouts k ON ((k.intake_id = r.intake_id)))
             JOIN public.intakes i ON ((i.id = r.intake_id)))
          WHERE ((r.kind = ANY (ARRAY['extension'::text, 'unfulfillable'::text])) AND (r.created_at > (now() - '24:00:00'::interval)) AND ((k.kind = 'extension'::text) OR (k.late_since IS NULL) OR (k.late_answer = 'give_back'::text)))) g
  GROUP BY g.customer_id
 HAVING (count(*) >= public.number_setting('withdrawn_payments_per_day'::text, 3))
UNION ALL
 SELECT 'money_waits_for_balance'::text AS alert,
    'all'::text AS subject,
        CASE
            WHEN (min(j.created_at) < (now() - '1 day'::interval)) THEN 'critical'::text
            ELSE 'warning'::text
        END AS severity,
    min(j.created_at) AS since,
    jsonb_build_object('payouts', count(*) FILTER (WHERE (j.job = 'payout'::text)), 'refunds', count(*) FILTER (WHERE (j.job = 'refund'::text))) AS facts
   FROM public.stripe_jobs j
  WHERE ((j.state = 'due'::text) AND (j.waits_for = 'balance'::text))
 HAVING (count(*) > 0);

COMMENT ON VIEW public.alert_money IS 'Mechanics whose shares of quotes wait for an admin''s release, and those who earned more of them in 24 hours than health_mechanic_escalations_max: subject is the mechanic''s id. Customers who got back so many payments by card in 24 hours, of requests that they gave up or that could not begin, minutes that were not used and money that came late, as withdrawn_payments_per_day allows: subject is the customer''s id. Payouts and refunds that wait for our balance at Stripe: subject is all, critical from one day on; top it up.';

CREATE VIEW public.alert_stuck_live AS
 SELECT s.id AS session_id,
        CASE
            WHEN (o.at < (now() - (((6 * ( SELECT public.health_setting('overdue_seconds_max'::text) AS health_setting)))::double precision * '00:00:01'::interval))) THEN 'critical'::text
            ELSE 'warning'::text
        END AS severity,
    o.at AS since,
    s.started_at,
    s.parted_at,
    i.max_minutes
   FROM ((public.sessions s
     CROSS JOIN LATERAL ( SELECT r.id,
            r.customer_id,
            r.plan_code,
            r.funding,
            r.session_type,
            r.price_cents,
            r.currency,
            r.credits,
            r.mechanic_share_bp,
            r.included_minutes,
            r.max_minutes,
            r.mechanic_fixed_pay_cents,
            r.uses_per_customer,
            r.referrer_id,
            r.referral_bp,
            r.customer_name,
            r.vehicle,
            r.concern,
            r.urgent,
            r.preferred_mechanic_id,
            r.workshop_id,
            r.scheduled_for,
            r.evidence,
            r.created_at
           FROM public.intakes r
          WHERE (r.id = s.id)
         LIMIT 1) i)
     CROSS JOIN LATERAL ( SELECT LEAST((s.parted_at + public.parting_limit()), (public.session_minutes(s.*)).grace_ends_at, (s.started_at + make_interval(mins => i.max_minutes))) AS at) o)
  WHERE ((s.ended_at IS NULL) AND (s.status = 'live'::text) AND (o.at < (now() - ((( SELECT public.health_setting('overdue_seconds_max'::text) AS health_setting))::double precision * '00:00:01'::interval))));

COMMENT ON VIEW public.alert_stuck_live IS 'Live sessions that the sweep should have ended (parting_limit() after the parties left, after their minutes and the grace, or at the plan''s longest duration) longer ago than health_overdue_seconds_max; since is when it should have. Critical from 6 times that limit on.';

CREATE VIEW public.alert_waiting_too_long AS
 SELECT session_id,
        CASE
            WHEN (queued_at < (now() - (((3 * ( SELECT public.health_setting('waiting_seconds_max'::text) AS health_setting)))::double precision * '00:00:01'::interval))) THEN 'critical'::text
            ELSE 'warning'::text
        END AS severity,
    queued_at AS since,
    status AS assignment_status,
    urgent,
    workshop_id
   FROM public.session_assignments a
  WHERE ((status = ANY (ARRAY['queued'::text, 'offered'::text])) AND (available_at <= now()) AND (queued_at < (now() - ((( SELECT public.health_setting('waiting_seconds_max'::text) AS health_setting))::double precision * '00:00:01'::interval))));

COMMENT ON VIEW public.alert_waiting_too_long IS 'Sessions queued or offered for longer than health_waiting_seconds_max; since is when the customer began to wait. Critical from 3 times that limit on.';

CREATE VIEW public.alert_wrongly_marked AS
 SELECT w.session_id,
    'critical'::text AS severity,
    w.decided_at AS since,
    w.status,
    w.end_reason,
    w.expected
   FROM public.wrongly_marked_between((now() - '24:00:00'::interval), 'infinity'::timestamp with time zone) w(session_id, decided_at, status, end_reason, expected)
UNION
 SELECT w.session_id,
    'critical'::text AS severity,
    w.decided_at AS since,
    w.status,
    w.end_reason,
    w.expected
   FROM (public.health_alerts h
     CROSS JOIN LATERAL public.wrongly_marked_between(h.since, (h.since + '00:00:00.000001'::interval)) w(session_id, decided_at, status, end_reason, expected))
  WHERE ((h.alert = 'wrongly_marked'::text) AND (h.cleared_at IS NULL) AND (h.subject = (w.session_id)::text));

COMMENT ON VIEW public.alert_wrongly_marked IS 'Sessions whose evidence contradicts their outcome: ended in the last 24 hours, or alerted earlier and not repaired since. Always critical: money follows the outcome.';

CREATE TABLE public.confirmed_addresses (
    user_id uuid NOT NULL,
    address_hash bytea NOT NULL,
    confirmed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT confirmed_addresses_address_hash_check CHECK ((length(address_hash) = 32))
);

COMMENT ON TABLE public.confirmed_addresses IS 'Addresses that a user has shown to be theirs: their sign-in verified them, or they followed the link of a confirmation. Customers get mails at no others.';

COMMENT ON COLUMN public.confirmed_addresses.address_hash IS 'The result of address_hash(); the address itself is with the user.';

COMMENT ON COLUMN public.confirmed_addresses.confirmed_at IS 'When that was first known.';

CREATE TABLE public.contest_parts (
    intake_id uuid NOT NULL,
    session_id uuid NOT NULL,
    cents bigint,
    credits integer,
    settled_outcome text GENERATED ALWAYS AS ('pay'::text) STORED NOT NULL,
    own_session_id uuid GENERATED ALWAYS AS (
CASE
    WHEN (intake_id = session_id) THEN session_id
    ELSE NULL::uuid
END) STORED,
    extension_id uuid GENERATED ALWAYS AS (
CASE
    WHEN (intake_id <> session_id) THEN intake_id
    ELSE NULL::uuid
END) STORED,
    CONSTRAINT contest_parts_cents_check CHECK ((cents > 0)),
    CONSTRAINT contest_parts_credits_check CHECK ((credits > 0)),
    CONSTRAINT contest_parts_in_one_unit CHECK ((num_nonnulls(cents, credits) = 1))
);

COMMENT ON TABLE public.contest_parts IS 'What goes back of each price of a contested session that was decided: of its own, and of each extension that was used.';

COMMENT ON COLUMN public.contest_parts.intake_id IS 'The intake that was paid: the session''s, or an extension''s.';

COMMENT ON COLUMN public.contest_parts.session_id IS 'The contested session.';

COMMENT ON COLUMN public.contest_parts.cents IS 'Of a payment by card, in cents of usd.';

COMMENT ON COLUMN public.contest_parts.credits IS 'Of what was paid with credits, in credits.';

COMMENT ON COLUMN public.contest_parts.settled_outcome IS 'The settlement that each has: nothing else can be contested.';

COMMENT ON COLUMN public.contest_parts.own_session_id IS 'The session, where it is the part of its own price.';

COMMENT ON COLUMN public.contest_parts.extension_id IS 'The extension, where it is the part of one.';

CREATE TABLE public.contests (
    session_id uuid NOT NULL,
    reason text NOT NULL,
    words text NOT NULL,
    contested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    answer text,
    answered_at timestamp with time zone,
    outcome text,
    refund_cents bigint,
    refund_credits integer,
    note text,
    decided_at timestamp with time zone,
    decided_by uuid,
    change_id uuid,
    CONSTRAINT contests_answer_check CHECK ((length(answer) <= 2000)),
    CONSTRAINT contests_answered_whole CHECK (((answer IS NULL) = (answered_at IS NULL))),
    CONSTRAINT contests_decided_whole CHECK ((num_nonnulls(outcome, note, decided_at, decided_by, change_id) = ANY (ARRAY[0, 5]))),
    CONSTRAINT contests_give_back_as_decided CHECK (((num_nonnulls(refund_cents, refund_credits) > 0) = ((outcome IS NOT NULL) AND (outcome <> 'keep'::text)))),
    CONSTRAINT contests_note_check CHECK (((length(note) >= 1) AND (length(note) <= 500))),
    CONSTRAINT contests_outcome_check CHECK ((outcome = ANY (ARRAY['keep'::text, 'part'::text, 'all'::text]))),
    CONSTRAINT contests_reason_check CHECK ((reason = ANY (ARRAY['not_helped'::text, 'wrong_advice'::text, 'cut_short'::text, 'behaviour'::text, 'other'::text]))),
    CONSTRAINT contests_refund_cents_check CHECK ((refund_cents > 0)),
    CONSTRAINT contests_refund_credits_check CHECK ((refund_credits > 0)),
    CONSTRAINT contests_words_check CHECK ((length(words) <= 2000))
);

COMMENT ON TABLE public.contests IS 'Paid sessions that their customers contest, with the minutes that were added to them. What is not sent of their money waits for an admin''s decision.';

COMMENT ON COLUMN public.contests.reason IS 'What was wrong, as the customer chose it.';

COMMENT ON COLUMN public.contests.words IS 'The customer''s words; personal data, empty once they were erased.';

COMMENT ON COLUMN public.contests.contested_at IS 'When it was contested.';

COMMENT ON COLUMN public.contests.answer IS 'The mechanic''s words, once; personal data, empty once they were erased.';

COMMENT ON COLUMN public.contests.answered_at IS 'When the mechanic answered.';

COMMENT ON COLUMN public.contests.outcome IS 'keep: it stays as it was settled; part: some of what was paid goes back; all: all of it; null: nobody has decided.';

COMMENT ON COLUMN public.contests.refund_cents IS 'What the customer shall have back of payments by card, in cents of usd; what went back before counts.';

COMMENT ON COLUMN public.contests.refund_credits IS 'The same of what was paid with credits, in credits.';

COMMENT ON COLUMN public.contests.note IS 'The admin''s words, which both parties read, without personal data.';

COMMENT ON COLUMN public.contests.decided_at IS 'When it was decided.';

COMMENT ON COLUMN public.contests.decided_by IS 'The sub of the admin''s token.';

COMMENT ON COLUMN public.contests.change_id IS 'The id of the decision in admin_changes.';

CREATE TABLE public.credit_balances (
    user_id uuid NOT NULL,
    balance bigint NOT NULL,
    CONSTRAINT credit_balances_not_negative CHECK ((balance >= 0))
);

COMMENT ON TABLE public.credit_balances IS 'The balance of each customer''s credit account: the sum of its ledger rows, kept by their trigger. The lock on the row keeps two intakes from spending the same credit.';

COMMENT ON COLUMN public.credit_balances.user_id IS 'The sub of the customer''s token, as in the account''s name: credits may come before the first intake.';

COMMENT ON COLUMN public.credit_balances.balance IS 'Credits that can be spent.';

CREATE TABLE public.credit_packs (
    code text NOT NULL,
    name text NOT NULL,
    credits integer NOT NULL,
    price_cents integer NOT NULL,
    currency text DEFAULT 'usd'::text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    change_id uuid,
    changed_by uuid,
    CONSTRAINT credit_packs_credits_check CHECK ((credits > 0)),
    CONSTRAINT credit_packs_currency_check CHECK ((currency = 'usd'::text)),
    CONSTRAINT credit_packs_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT credit_packs_price_cents_check CHECK ((price_cents > 0))
);

COMMENT ON TABLE public.credit_packs IS 'Credits that a customer can buy at once.';

COMMENT ON COLUMN public.credit_packs.code IS 'As sent by clients.';

COMMENT ON COLUMN public.credit_packs.name IS 'As shown to customers.';

COMMENT ON COLUMN public.credit_packs.credits IS 'The number of credits.';

COMMENT ON COLUMN public.credit_packs.price_cents IS 'Price of the pack in cents of the currency.';

COMMENT ON COLUMN public.credit_packs.currency IS 'ISO 4217, lower case, as Stripe writes it.';

COMMENT ON COLUMN public.credit_packs.active IS 'Whether it is shown and sold.';

COMMENT ON COLUMN public.credit_packs.change_id IS 'The id in admin_changes of the last change by an admin.';

COMMENT ON COLUMN public.credit_packs.changed_by IS 'The sub of the admin who made it; a change without one, such as the owner''s, leaves no row there.';

CREATE TABLE public.customers (
    id uuid DEFAULT public.new_id() NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    phone text,
    referrer_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    erased_at timestamp with time zone
);

COMMENT ON TABLE public.customers IS 'The customers. Created by the first intake, kept up to date by the next ones; or by the erasure of a user who never began one.';

COMMENT ON COLUMN public.customers.user_id IS 'The sub of the token this customer signs in with.';

COMMENT ON COLUMN public.customers.name IS 'Personal data, as last given at intake.';

COMMENT ON COLUMN public.customers.email IS 'Personal data, as last given at intake.';

COMMENT ON COLUMN public.customers.phone IS 'Personal data, as last given at intake.';

COMMENT ON COLUMN public.customers.referrer_id IS 'The mechanic whose referral code they gave first, at whichever intake; never changed afterwards.';

COMMENT ON COLUMN public.customers.created_at IS 'When the first intake was made.';

COMMENT ON COLUMN public.customers.erased_at IS 'Set when the personal data was erased on request; such a customer cannot start a session.';

CREATE TABLE public.dispute_documents (
    evidence_id uuid NOT NULL,
    field text NOT NULL,
    content bytea NOT NULL,
    stripe_file_id text,
    CONSTRAINT dispute_documents_content_check CHECK (((octet_length(content) >= 1) AND (octet_length(content) <= 1100000))),
    CONSTRAINT dispute_documents_field_check CHECK ((field = ANY (ARRAY['receipt'::text, 'customer_communication'::text, 'customer_signature'::text, 'service_documentation'::text])))
);

COMMENT ON TABLE public.dispute_documents IS 'The documents of an evidence, as Stripe gets them and an admin reads them; deleted with its texts.';

COMMENT ON COLUMN public.dispute_documents.field IS 'Stripe''s name of its place.';

COMMENT ON COLUMN public.dispute_documents.content IS 'Personal data: a PDF.';

COMMENT ON COLUMN public.dispute_documents.stripe_file_id IS 'Stripe''s id of the upload; null: not uploaded yet.';

CREATE TABLE public.end_explanations (
    session_id uuid NOT NULL,
    said_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_id uuid,
    text text NOT NULL,
    CONSTRAINT end_explanations_text_check CHECK (((length(text) >= 1) AND (length(text) <= 500)))
);

COMMENT ON TABLE public.end_explanations IS 'What operators who ended a session say of it to both parties.';

COMMENT ON COLUMN public.end_explanations.said_at IS 'When it was said; the first words stand.';

COMMENT ON COLUMN public.end_explanations.actor_id IS 'The sub of the admin''s token; null for an operator at the database.';

COMMENT ON COLUMN public.end_explanations.text IS 'Personal data, as typed.';

CREATE TABLE public.extension_settlements (
    extension_id uuid NOT NULL,
    outcome text NOT NULL,
    decided_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    facts jsonb NOT NULL,
    CONSTRAINT extension_settlements_outcome_check CHECK ((outcome = ANY (ARRAY['pay'::text, 'refund'::text, 'return'::text])))
);

COMMENT ON TABLE public.extension_settlements IS 'The one decision about the money of each extension that ran, made with its session''s, and never changed.';

COMMENT ON COLUMN public.extension_settlements.outcome IS 'pay: the talk was completed and went on into its minutes; refund: what was paid by card goes back; return: the credits do.';

COMMENT ON COLUMN public.extension_settlements.decided_at IS 'When it was decided.';

COMMENT ON COLUMN public.extension_settlements.facts IS 'The basis of the decision, and the amounts.';

CREATE TABLE public.feed (
    seq bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    session_id uuid NOT NULL,
    assignment_id uuid,
    session_seq integer NOT NULL,
    status text NOT NULL,
    previous_status text,
    reason text,
    mechanic_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sent_at timestamp with time zone,
    CONSTRAINT feed_assignment_named CHECK (((type = 'session_updated'::text) = (assignment_id IS NULL))),
    CONSTRAINT feed_type_check CHECK ((type = ANY (ARRAY['new_assignment'::text, 'assignment_accepted'::text, 'assignment_cancelled'::text, 'assignment_expired'::text, 'session_updated'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000');

COMMENT ON TABLE public.feed IS 'The messages pushed in the last hour, so that a client that was away gets those it missed. Names and words are looked up when a message is sent.';

COMMENT ON COLUMN public.feed.seq IS 'Assigned at broadcast, in ascending order.';

COMMENT ON COLUMN public.feed.event_id IS 'The event that it reports.';

COMMENT ON COLUMN public.feed.type IS 'The type that the client receives.';

COMMENT ON COLUMN public.feed.session_id IS 'Its session.';

COMMENT ON COLUMN public.feed.assignment_id IS 'Its assignment, for mechanics.';

COMMENT ON COLUMN public.feed.session_seq IS 'The event''s place within its session; an older event that arrives later is not pushed.';

COMMENT ON COLUMN public.feed.status IS 'The state that the event reports.';

COMMENT ON COLUMN public.feed.previous_status IS 'The state before, which decides who could see the assignment.';

COMMENT ON COLUMN public.feed.reason IS 'The reason of an end.';

COMMENT ON COLUMN public.feed.mechanic_id IS 'The mechanic who was a party of the session at that moment.';

COMMENT ON COLUMN public.feed.created_at IS 'When it was recorded.';

COMMENT ON COLUMN public.feed.sent_at IS 'When it had been sent to everybody connected; null: the broadcast failed and its redelivery sends it again.';

CREATE TABLE public.feed_head (
    single boolean DEFAULT true NOT NULL,
    database_id uuid DEFAULT gen_random_uuid() NOT NULL,
    seq bigint NOT NULL,
    pruned_through bigint NOT NULL,
    CONSTRAINT feed_head_single_check CHECK (single)
);

COMMENT ON TABLE public.feed_head IS 'One row. Its lock hands out the feed''s numbers one broadcast at a time, so that they are committed in order.';

COMMENT ON COLUMN public.feed_head.single IS 'There is one row.';

COMMENT ON COLUMN public.feed_head.database_id IS 'Tells the feed of this database from that of another one; see feed_id().';

COMMENT ON COLUMN public.feed_head.seq IS 'The last number assigned.';

COMMENT ON COLUMN public.feed_head.pruned_through IS 'Messages up to this one are deleted; a client that missed one of them fetches everything again.';

CREATE TABLE public.idempotency_keys (
    user_id uuid NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    intake_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)))
);

COMMENT ON TABLE public.idempotency_keys IS 'Successful intakes by Idempotency-Key, kept 24 hours.';

COMMENT ON COLUMN public.idempotency_keys.user_id IS 'Keys are per customer: the sub of the token.';

COMMENT ON COLUMN public.idempotency_keys.key IS 'As sent in the header.';

COMMENT ON COLUMN public.idempotency_keys.request_hash IS 'SHA-256 of the canonical request; the same key with another body is refused.';

COMMENT ON COLUMN public.idempotency_keys.intake_id IS 'The intake that it created; the first answer is read again from the audit trail.';

COMMENT ON COLUMN public.idempotency_keys.created_at IS 'The start of the 24 hours.';

CREATE TABLE public.late_replies (
    assignment_id uuid NOT NULL,
    told_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.late_replies IS 'Accepted assignments whose customer was told that the first reply is overdue: once each.';

COMMENT ON COLUMN public.late_replies.told_at IS 'When the event was written.';

CREATE TABLE public.legacy_imports (
    id uuid DEFAULT public.new_id() NOT NULL,
    source text NOT NULL,
    actor text NOT NULL,
    began_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    progress_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    written bigint DEFAULT 0 NOT NULL,
    finished_at timestamp with time zone,
    report jsonb,
    CONSTRAINT legacy_imports_finished_says_what CHECK (((finished_at IS NULL) = (report IS NULL))),
    CONSTRAINT legacy_imports_written_check CHECK ((written >= 0))
);

COMMENT ON TABLE public.legacy_imports IS 'Runs of import-legacy that wrote; one without an end was interrupted, and the next run continues it.';

COMMENT ON COLUMN public.legacy_imports.source IS 'Host, database and schema of the old rows; never a password.';

COMMENT ON COLUMN public.legacy_imports.actor IS 'operator:NAME.';

COMMENT ON COLUMN public.legacy_imports.began_at IS 'When it began.';

COMMENT ON COLUMN public.legacy_imports.progress_at IS 'When its last batch was committed.';

COMMENT ON COLUMN public.legacy_imports.written IS 'The number of old rows that it archived, counted in the same transactions.';

COMMENT ON COLUMN public.legacy_imports.finished_at IS 'When it was done; null: it was interrupted.';

COMMENT ON COLUMN public.legacy_imports.report IS 'Its final report: counts, and the first few ids of each kind.';

CREATE UNLOGGED TABLE public.limit_counters (
    user_id uuid NOT NULL,
    limit_name text NOT NULL,
    full_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.limit_counters IS 'What is used up of the limits: one row for each user and limit, whatever was done how often, and none once the whole limit is free again. Only count_against() writes it.';

COMMENT ON COLUMN public.limit_counters.limit_name IS 'As in limits.';

COMMENT ON COLUMN public.limit_counters.full_at IS 'When the whole limit is free again; each use moves it by seconds / most.';

CREATE TABLE public.limits (
    name text NOT NULL,
    most integer NOT NULL,
    seconds integer NOT NULL,
    CONSTRAINT limits_most_check CHECK ((most > 0)),
    CONSTRAINT limits_seconds_check CHECK (((seconds >= 1) AND (seconds <= 31536000)))
);

COMMENT ON TABLE public.limits IS 'How often one user may do something. Operators may change a limit without a deployment; one without a row is not checked.';

COMMENT ON COLUMN public.limits.name IS 'What is counted, as in the statements that count it; README.md lists all.';

COMMENT ON COLUMN public.limits.most IS 'So many at once.';

COMMENT ON COLUMN public.limits.seconds IS 'The time in which as many more become possible again, evenly, one after the other.';

CREATE TABLE public.stripe_disputes (
    id text NOT NULL,
    payment_intent_id text NOT NULL,
    amount_cents bigint NOT NULL,
    currency text DEFAULT 'usd'::text NOT NULL,
    status text NOT NULL,
    withdrawn_cents bigint DEFAULT 0 NOT NULL,
    reinstated_cents bigint DEFAULT 0 NOT NULL,
    booked text DEFAULT 'nothing'::text NOT NULL,
    lost_cents bigint DEFAULT 0 NOT NULL,
    part bigint DEFAULT 0 NOT NULL,
    bookings integer DEFAULT 0 NOT NULL,
    fees_due_at timestamp with time zone DEFAULT clock_timestamp(),
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT stripe_disputes_amount_cents_check CHECK ((amount_cents >= 0)),
    CONSTRAINT stripe_disputes_booked_known CHECK ((booked = ANY (ARRAY['nothing'::text, 'held'::text, 'split'::text, 'reversed'::text]))),
    CONSTRAINT stripe_disputes_bookings_check CHECK ((bookings >= 0)),
    CONSTRAINT stripe_disputes_currency_check CHECK (((length(currency) >= 1) AND (length(currency) <= 16))),
    CONSTRAINT stripe_disputes_id_check CHECK (((length(id) >= 1) AND (length(id) <= 255))),
    CONSTRAINT stripe_disputes_lost_cents_check CHECK ((lost_cents >= 0)),
    CONSTRAINT stripe_disputes_part_check CHECK ((part >= 0)),
    CONSTRAINT stripe_disputes_payment_intent_id_check CHECK (((length(payment_intent_id) >= 1) AND (length(payment_intent_id) <= 255))),
    CONSTRAINT stripe_disputes_reinstated_cents_check CHECK ((reinstated_cents >= 0)),
    CONSTRAINT stripe_disputes_status_check CHECK (((length(status) >= 1) AND (length(status) <= 64))),
    CONSTRAINT stripe_disputes_withdrawn_cents_check CHECK ((withdrawn_cents >= 0))
);

COMMENT ON TABLE public.stripe_disputes IS 'Every dispute that Stripe reported.';

COMMENT ON COLUMN public.stripe_disputes.id IS 'Stripe''s.';

COMMENT ON COLUMN public.stripe_disputes.payment_intent_id IS 'As in stripe_refunds.';

COMMENT ON COLUMN public.stripe_disputes.amount_cents IS 'The disputed amount, in the smallest unit of its currency. It moves nothing: what counts is what Stripe takes and gives back.';

COMMENT ON COLUMN public.stripe_disputes.currency IS 'ISO 4217, lower case: that of the customer''s bank.';

COMMENT ON COLUMN public.stripe_disputes.status IS 'Stripe''s status, the furthest reported: an earlier one that arrives late changes nothing.';

COMMENT ON COLUMN public.stripe_disputes.withdrawn_cents IS 'The amount that Stripe took out of our balance for it, in cents of usd, without its fee.';

COMMENT ON COLUMN public.stripe_disputes.reinstated_cents IS 'The part of it that came back.';

COMMENT ON COLUMN public.stripe_disputes.booked IS 'As in stripe_refunds, for the lost amount; an amount that is only withdrawn is in the account disputed.';

COMMENT ON COLUMN public.stripe_disputes.lost_cents IS 'The amount booked as lost.';

COMMENT ON COLUMN public.stripe_disputes.part IS 'As in stripe_refunds.';

COMMENT ON COLUMN public.stripe_disputes.bookings IS 'As in stripe_refunds.';

COMMENT ON COLUMN public.stripe_disputes.fees_due_at IS 'When Stripe is next asked for its fees; null: those of all its movements are booked.';

COMMENT ON COLUMN public.stripe_disputes.created_at IS 'When it was first reported.';

COMMENT ON COLUMN public.stripe_disputes.updated_at IS 'When something new was last reported about it.';

CREATE TABLE public.stripe_refunds (
    id text NOT NULL,
    payment_intent_id text NOT NULL,
    amount_cents bigint NOT NULL,
    pending boolean DEFAULT false NOT NULL,
    failed boolean DEFAULT false NOT NULL,
    booked text DEFAULT 'nothing'::text NOT NULL,
    part bigint DEFAULT 0 NOT NULL,
    bookings integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT stripe_refunds_amount_cents_check CHECK ((amount_cents > 0)),
    CONSTRAINT stripe_refunds_booked_known CHECK ((booked = ANY (ARRAY['nothing'::text, 'held'::text, 'split'::text, 'reversed'::text]))),
    CONSTRAINT stripe_refunds_bookings_check CHECK ((bookings >= 0)),
    CONSTRAINT stripe_refunds_id_check CHECK (((length(id) >= 1) AND (length(id) <= 255))),
    CONSTRAINT stripe_refunds_part_check CHECK ((part >= 0)),
    CONSTRAINT stripe_refunds_payment_intent_id_check CHECK (((length(payment_intent_id) >= 1) AND (length(payment_intent_id) <= 255)))
);

COMMENT ON TABLE public.stripe_refunds IS 'Every refund that Stripe reported, ours and those made by hand.';

COMMENT ON COLUMN public.stripe_refunds.id IS 'Stripe''s.';

COMMENT ON COLUMN public.stripe_refunds.payment_intent_id IS 'The payment; it may not be ours, or not be known yet.';

COMMENT ON COLUMN public.stripe_refunds.amount_cents IS 'Cents of usd.';

COMMENT ON COLUMN public.stripe_refunds.pending IS 'Whether Stripe has not moved the money yet, as when our balance is short. It is booked all the same, and in no balance transaction.';

COMMENT ON COLUMN public.stripe_refunds.failed IS 'Whether the customer''s bank refused it, or it was cancelled, so that the money came back. Final.';

COMMENT ON COLUMN public.stripe_refunds.booked IS 'How it is booked in the ledger. nothing: not at all; held: taken from the held money; split: the platform and the mechanic bear their parts, or the sale of the pack bears it; reversed: the split was booked back.';

COMMENT ON COLUMN public.stripe_refunds.part IS 'Once split: the mechanic''s part in cents, or the number of the pack''s credits.';

COMMENT ON COLUMN public.stripe_refunds.bookings IS 'How often it was booked. A booking after a reversal, when the facts of the payment had changed, has its number in its keys.';

COMMENT ON COLUMN public.stripe_refunds.created_at IS 'When it was first reported.';

CREATE VIEW public.losses AS
 SELECT 'refund'::text AS kind,
    stripe_refunds.id,
    (('refund:'::text || stripe_refunds.id) ||
        CASE
            WHEN (stripe_refunds.bookings > 1) THEN (':'::text || stripe_refunds.bookings)
            ELSE ''::text
        END) AS base,
    stripe_refunds.payment_intent_id,
    stripe_refunds.amount_cents AS cents,
    stripe_refunds.amount_cents AS booked_cents,
    (NOT stripe_refunds.failed) AS effective,
    stripe_refunds.booked,
    stripe_refunds.part,
    stripe_refunds.bookings,
    (stripe_refunds.failed = (stripe_refunds.booked = ANY (ARRAY['held'::text, 'split'::text]))) AS behind,
    stripe_refunds.created_at
   FROM public.stripe_refunds
UNION ALL
 SELECT 'dispute'::text AS kind,
    stripe_disputes.id,
    ((('dispute:'::text || stripe_disputes.id) || ':lost'::text) ||
        CASE
            WHEN (stripe_disputes.bookings > 1) THEN (':'::text || stripe_disputes.bookings)
            ELSE ''::text
        END) AS base,
    stripe_disputes.payment_intent_id,
    GREATEST((stripe_disputes.withdrawn_cents - stripe_disputes.reinstated_cents), (0)::bigint) AS cents,
    stripe_disputes.lost_cents AS booked_cents,
    public.dispute_is_lost(stripe_disputes.status, stripe_disputes.withdrawn_cents, stripe_disputes.reinstated_cents) AS effective,
    stripe_disputes.booked,
    stripe_disputes.part,
    stripe_disputes.bookings,
    public.dispute_is_behind(stripe_disputes.status, stripe_disputes.withdrawn_cents, stripe_disputes.reinstated_cents, stripe_disputes.booked, stripe_disputes.lost_cents) AS behind,
    stripe_disputes.created_at
   FROM public.stripe_disputes;

COMMENT ON VIEW public.losses IS 'Payments that went back to customers. effective: the refund did not fail, or Stripe keeps what it took for the dispute. base: the beginning of the keys of its bookings. behind: the ledger does not show it as it is.';

CREATE TABLE public.mail_deliveries (
    event_id uuid NOT NULL,
    user_id uuid NOT NULL,
    claim_id uuid NOT NULL,
    claimed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    address_hash bytea,
    message_id text,
    error text,
    settled_at timestamp with time zone,
    CONSTRAINT mail_deliveries_address_hash_check CHECK ((length(address_hash) = 32)),
    CONSTRAINT mail_deliveries_sent_has_a_message CHECK (((state <> 'sent'::text) OR (message_id IS NOT NULL))),
    CONSTRAINT mail_deliveries_settled_has_a_time CHECK (((state = 'claimed'::text) = (settled_at IS NULL))),
    CONSTRAINT mail_deliveries_state_known CHECK ((state = ANY (ARRAY['claimed'::text, 'sent'::text, 'failed'::text, 'suppressed'::text, 'unknown'::text]))),
    CONSTRAINT mail_deliveries_why_not CHECK (((state <> ALL (ARRAY['failed'::text, 'suppressed'::text, 'unknown'::text])) OR (error IS NOT NULL)))
);

COMMENT ON TABLE public.mail_deliveries IS 'One row per mail, committed before SES is asked to send it, so that no attempt sends it again.';

COMMENT ON COLUMN public.mail_deliveries.user_id IS 'The recipient: the sub of the token, never an address.';

COMMENT ON COLUMN public.mail_deliveries.claim_id IS 'The attempt that claimed it last; only this attempt may record the outcome.';

COMMENT ON COLUMN public.mail_deliveries.claimed_at IS 'When it was last claimed.';

COMMENT ON COLUMN public.mail_deliveries.kind IS 'As in notifications.';

COMMENT ON COLUMN public.mail_deliveries.state IS 'claimed: SES is being asked; sent: SES took it; failed: SES certainly did not take it, so it may be claimed again; suppressed: not to be sent (see error); unknown: SES may have taken it, so it is never sent again.';

COMMENT ON COLUMN public.mail_deliveries.address_hash IS 'mailbox_hash() of the recipient of a confirmation, to count those; null for every other mail.';

COMMENT ON COLUMN public.mail_deliveries.message_id IS 'SES''s id of the message, which its events carry.';

COMMENT ON COLUMN public.mail_deliveries.error IS 'For failed and unknown, the type of the error; for suppressed: preference, superseded, erased, no_address, unusable_address, unconfirmed, bounce, complaint or too_many.';

COMMENT ON COLUMN public.mail_deliveries.settled_at IS 'When its outcome was recorded.';

CREATE TABLE public.mail_suppressions (
    address_hash bytea NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL,
    feedback jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT mail_suppressions_address_hash_check CHECK ((length(address_hash) = 32)),
    CONSTRAINT mail_suppressions_reason_check CHECK ((reason = ANY (ARRAY['bounce'::text, 'complaint'::text])))
);

COMMENT ON TABLE public.mail_suppressions IS 'Addresses that get no more mail. To lift one, an operator deletes the row of address_hash(''...'').';

COMMENT ON COLUMN public.mail_suppressions.address_hash IS 'The result of address_hash(); the address itself is not kept, so that none is left when a customer is erased.';

COMMENT ON COLUMN public.mail_suppressions.reason IS 'bounce: no such mailbox; complaint: the reader reported spam.';

COMMENT ON COLUMN public.mail_suppressions.at IS 'When it happened, by SES''s clock.';

COMMENT ON COLUMN public.mail_suppressions.feedback IS 'The report of SES: ids of feedback and message, type and subtype.';

COMMENT ON COLUMN public.mail_suppressions.created_at IS 'When it was entered.';

CREATE TABLE public.mechanic_accounts (
    mechanic_id uuid NOT NULL,
    idempotency_key text NOT NULL,
    keyed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    asked boolean DEFAULT false NOT NULL,
    stripe_account_id text,
    former_account_ids text[] DEFAULT '{}'::text[] NOT NULL,
    transfers_enabled boolean DEFAULT false NOT NULL,
    payouts_enabled boolean DEFAULT false NOT NULL,
    details_submitted boolean DEFAULT false NOT NULL,
    stripe_as_of timestamp with time zone,
    bank_as_of timestamp with time zone,
    doubtful boolean DEFAULT false NOT NULL,
    closed boolean DEFAULT false NOT NULL,
    destination_changed_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT mechanic_accounts_state_of_an_account CHECK (((stripe_account_id IS NOT NULL) OR (NOT (transfers_enabled OR payouts_enabled OR details_submitted))))
);

COMMENT ON TABLE public.mechanic_accounts IS 'The connected account of a mechanic who began onboarding, and its last state reported by Stripe.';

COMMENT ON COLUMN public.mechanic_accounts.idempotency_key IS 'The key of the call that creates the account, stored before the call.';

COMMENT ON COLUMN public.mechanic_accounts.keyed_at IS 'When that key was made: Stripe forgets keys after a day.';

COMMENT ON COLUMN public.mechanic_accounts.asked IS 'Whether Stripe may have been asked to create it; if so, it is looked up before Stripe is asked again.';

COMMENT ON COLUMN public.mechanic_accounts.stripe_account_id IS 'Null until Stripe''s answer to the creation is known.';

COMMENT ON COLUMN public.mechanic_accounts.former_account_ids IS 'Accounts that an operator gave up; onboarding leads the mechanic to a new one.';

COMMENT ON COLUMN public.mechanic_accounts.transfers_enabled IS 'Whether we can send it money (capability transfers).';

COMMENT ON COLUMN public.mechanic_accounts.payouts_enabled IS 'Whether Stripe passes money on to the mechanic''s bank.';

COMMENT ON COLUMN public.mechanic_accounts.details_submitted IS 'Whether the mechanic went through onboarding.';

COMMENT ON COLUMN public.mechanic_accounts.stripe_as_of IS 'The instant of this state, by Stripe''s clock in whole seconds; null: Stripe has not reported it.';

COMMENT ON COLUMN public.mechanic_accounts.bank_as_of IS 'When their bank last took or refused a payout of the account, by Stripe''s clock; null: Stripe has not reported it.';

COMMENT ON COLUMN public.mechanic_accounts.doubtful IS 'Whether events in unknown order contradicted each other: the account is then retrieved the next time it is needed.';

COMMENT ON COLUMN public.mechanic_accounts.closed IS 'Whether Stripe says that the account is closed, or no longer connected to us: the mechanic''s next onboarding makes a new one.';

COMMENT ON COLUMN public.mechanic_accounts.destination_changed_at IS 'When their money was last led to another account, or away from one, by whomever; set by trigger. Their payouts wait for destination_hold() after that.';

COMMENT ON COLUMN public.mechanic_accounts.updated_at IS 'When Stripe last reported on it.';

CREATE TABLE public.mechanics (
    id uuid DEFAULT public.new_id() NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    email text,
    workshop_id uuid,
    status text DEFAULT 'active'::text NOT NULL,
    suspended_at timestamp with time zone,
    suspension_reason text,
    available_until timestamp with time zone,
    referral_code text DEFAULT public.new_referral_code() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    change_id uuid,
    changed_by uuid,
    erased_at timestamp with time zone,
    CONSTRAINT mechanics_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT mechanics_only_suspended_ones_have_a_reason CHECK (((status = 'suspended'::text) OR (num_nonnulls(suspended_at, suspension_reason) = 0))),
    CONSTRAINT mechanics_referral_code_is_one CHECK ((referral_code ~ '^[0-9A-HJKMNP-TV-Z]{8}$'::text)),
    CONSTRAINT mechanics_status_check CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text]))),
    CONSTRAINT mechanics_suspension_reason_check CHECK (((length(suspension_reason) >= 1) AND (length(suspension_reason) <= 500)))
);

COMMENT ON TABLE public.mechanics IS 'The mechanics. Sessions refer to mechanics.id, never to the user of the token.';

COMMENT ON COLUMN public.mechanics.user_id IS 'The sub of the token this mechanic signs in with.';

COMMENT ON COLUMN public.mechanics.name IS 'As shown to customers.';

COMMENT ON COLUMN public.mechanics.email IS 'The address for mails about payouts; personal data; null: none are sent.';

COMMENT ON COLUMN public.mechanics.workshop_id IS 'The workshop that employs the mechanic; null for an independent one.';

COMMENT ON COLUMN public.mechanics.status IS 'A suspended mechanic may not fetch the queue or accept, and is offered nothing.';

COMMENT ON COLUMN public.mechanics.suspended_at IS 'Since when they are suspended; null also where that was not recorded.';

COMMENT ON COLUMN public.mechanics.suspension_reason IS 'The admin''s words about a suspension that is in force, for the mechanic; personal data.';

COMMENT ON COLUMN public.mechanics.available_until IS 'The lease: requests are offered to this mechanic until then, and afterwards while a feed that was open by then stays open; infinity until the mechanic says otherwise; null: not available.';

COMMENT ON COLUMN public.mechanics.referral_code IS 'The code that the mechanic gives to customers: 8 random characters of Crockford''s base 32, which has no I, L, O or U. It identifies the referrer and grants nothing.';

COMMENT ON COLUMN public.mechanics.created_at IS 'When the mechanic joined.';

COMMENT ON COLUMN public.mechanics.change_id IS 'The id in admin_changes of the last change by an admin.';

COMMENT ON COLUMN public.mechanics.changed_by IS 'The sub of the admin who made it; a change without one, such as the owner''s, leaves no row there.';

COMMENT ON COLUMN public.mechanics.erased_at IS 'Set when the personal data was erased on request; nothing of such a mechanic changes any more.';

CREATE TABLE public.realtime_connections (
    connection_id text NOT NULL,
    user_id uuid NOT NULL,
    groups text[] NOT NULL,
    mechanic_id uuid,
    workshop_id uuid,
    since bigint NOT NULL,
    ready boolean DEFAULT false NOT NULL,
    connected_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    room uuid,
    seen_at timestamp with time zone,
    heard_at timestamp with time zone,
    typing_at timestamp with time zone,
    queue_position jsonb
);

COMMENT ON TABLE public.realtime_connections IS 'Open WebSocket connections.';

COMMENT ON COLUMN public.realtime_connections.connection_id IS 'API Gateway''s id of it.';

COMMENT ON COLUMN public.realtime_connections.user_id IS 'The sub of its user''s token.';

COMMENT ON COLUMN public.realtime_connections.groups IS 'The groups of the token behind the ticket; they decide which messages it receives.';

COMMENT ON COLUMN public.realtime_connections.mechanic_id IS 'The user''s row in mechanics, if in that group.';

COMMENT ON COLUMN public.realtime_connections.workshop_id IS 'The mechanic''s workshop when the connection was opened; mechanics.workshop_id decides what is shown.';

COMMENT ON COLUMN public.realtime_connections.since IS 'The feed''s seq after which this connection receives messages.';

COMMENT ON COLUMN public.realtime_connections.ready IS 'False until the missed messages were sent: API Gateway takes no message before the handshake is over.';

COMMENT ON COLUMN public.realtime_connections.connected_at IS 'When it was opened.';

COMMENT ON COLUMN public.realtime_connections.expires_at IS 'API Gateway closes it by then; a row past it counts as closed.';

COMMENT ON COLUMN public.realtime_connections.room IS 'The session whose room it is bound to, by enter_room(): while the session is open, this is evidence that its user is there; it gets what is said in it.';

COMMENT ON COLUMN public.realtime_connections.seen_at IS 'When it was last active, as API Gateway said when the sweep last asked; null: not asked yet.';

COMMENT ON COLUMN public.realtime_connections.heard_at IS 'When its client last said something while it was in a room: what is pushed to it also counts as activity for API Gateway. Null: never.';

COMMENT ON COLUMN public.realtime_connections.typing_at IS 'When it last said that its user is typing; the other side hears of it once in three seconds.';

COMMENT ON COLUMN public.realtime_connections.queue_position IS 'The last queue position sent to a waiting customer: place, mechanics, estimate.';

CREATE VIEW public.mechanics_on_duty AS
 SELECT m.id,
    m.user_id,
    m.workshop_id
   FROM public.mechanics m
  WHERE ((m.status = 'active'::text) AND (m.available_until > now()))
UNION
 SELECT m.id,
    m.user_id,
    m.workshop_id
   FROM (public.realtime_connections c
     JOIN public.mechanics m ON ((m.id = c.mechanic_id)))
  WHERE ((m.status = 'active'::text) AND (c.connected_at <= m.available_until) AND (c.expires_at > now()));

COMMENT ON VIEW public.mechanics_on_duty IS 'Active mechanics for whom is_available() holds, busy or not.';

CREATE TABLE public.media_events (
    session_id uuid NOT NULL,
    stated_at timestamp with time zone NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    mechanic_id uuid,
    role text,
    kind text NOT NULL,
    meeting text NOT NULL,
    attendee text NOT NULL,
    CONSTRAINT media_events_happened CHECK ((occurred_at <= received_at)),
    CONSTRAINT media_events_kind_check CHECK ((kind = ANY (ARRAY['joined'::text, 'left'::text, 'dropped'::text, 'deleted'::text, 'ended'::text]))),
    CONSTRAINT media_events_of_somebody CHECK ((((kind = 'ended'::text) = (attendee = ''::text)) AND ((kind = 'ended'::text) = (role IS NULL)) AND ((mechanic_id IS NOT NULL) = (NOT (role IS DISTINCT FROM 'mechanic'::text))))),
    CONSTRAINT media_events_role_check CHECK ((role = ANY (ARRAY['customer'::text, 'mechanic'::text])))
);

COMMENT ON TABLE public.media_events IS 'The inbox of the medium: what it says of who came and went. The key is what an event says, so however often and over however many ways it comes, it is one.';

COMMENT ON COLUMN public.media_events.stated_at IS 'When it happened, by the medium''s clock.';

COMMENT ON COLUMN public.media_events.occurred_at IS 'The same, within the life of the meeting and before we heard of it: what counts.';

COMMENT ON COLUMN public.media_events.received_at IS 'When we first heard of it.';

COMMENT ON COLUMN public.media_events.mechanic_id IS 'The mechanic, if the role is mechanic.';

COMMENT ON COLUMN public.media_events.role IS 'The party; null for the end of the whole meeting.';

COMMENT ON COLUMN public.media_events.kind IS 'joined, left, dropped, deleted (the attendee), or ended (the meeting).';

COMMENT ON COLUMN public.media_events.meeting IS 'The medium''s id of it; brought, for a medium that an operator brings.';

COMMENT ON COLUMN public.media_events.attendee IS 'The medium''s id of the attendee; empty for the end of the whole meeting.';

CREATE VIEW public.metric_completion AS
 SELECT period_start,
    ended,
    completed,
    completion_percent,
    (completion_percent < (public.health_setting('completion_percent_min'::text))::numeric) AS below_limit
   FROM public.calculate_session_health_score() h(period_start, created, ended, completed, cancelled, expired, accepted, no_shows, wrongly_marked, unsettled, average_seconds, completion_percent, no_show_percent, score, status);

COMMENT ON VIEW public.metric_completion IS 'The percentage of completed sessions among those that ended in each hour.';

CREATE VIEW public.metric_duration AS
 SELECT date_trunc('hour'::text, x.decided_at, 'UTC'::text) AS period_start,
    count(*) AS completed,
    (avg(d.seconds))::integer AS average_seconds,
    percentile_disc((0.5)::double precision) WITHIN GROUP (ORDER BY d.seconds) AS median_seconds,
    percentile_disc((0.9)::double precision) WITHIN GROUP (ORDER BY d.seconds) AS p90_seconds,
    max(d.seconds) AS longest_seconds
   FROM (public.sessions_ended_between((date_trunc('hour'::text, now(), 'UTC'::text) - '23:00:00'::interval), 'infinity'::timestamp with time zone) x(session_id, decided_at, status, end_reason, absent, mechanic_id, started_at, ended_at, together_seconds, created_at, funding, plan_code, session_type, price_cents, credits, mechanic_share_bp, max_minutes, at_stake)
     CROSS JOIN LATERAL ( SELECT (floor(x.together_seconds))::integer AS floor) d(seconds))
  WHERE (x.status = 'completed'::text)
  GROUP BY (date_trunc('hour'::text, x.decided_at, 'UTC'::text));

COMMENT ON VIEW public.metric_duration IS 'The duration of the sessions completed in each hour; no row for an hour without any.';

CREATE VIEW public.metric_no_show AS
 SELECT period_start,
    accepted,
    no_shows,
    no_show_percent,
    (no_show_percent > (public.health_setting('no_show_percent_max'::text))::numeric) AS above_limit
   FROM public.calculate_session_health_score() h(period_start, created, ended, completed, cancelled, expired, accepted, no_shows, wrongly_marked, unsettled, average_seconds, completion_percent, no_show_percent, score, status);

COMMENT ON VIEW public.metric_no_show IS 'The percentage that never started among the sessions with a mechanic that ended in each hour.';

CREATE TABLE public.minute_words (
    session_id uuid NOT NULL,
    minutes integer NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    told_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT minute_words_minutes_check CHECK ((minutes = ANY (ARRAY[5, 1])))
);

COMMENT ON TABLE public.minute_words IS 'What the system said of the minutes that are left in a talk: once for each instant at which they would be over.';

COMMENT ON COLUMN public.minute_words.minutes IS 'How many were left, at most.';

COMMENT ON COLUMN public.minute_words.ends_at IS 'When the minutes would be over: another instant once the talk was extended.';

COMMENT ON COLUMN public.minute_words.told_at IS 'When it was said.';

CREATE TABLE public.missed_offers (
    mechanic_id uuid NOT NULL,
    in_a_row integer NOT NULL,
    missed_at timestamp with time zone NOT NULL,
    CONSTRAINT missed_offers_in_a_row_check CHECK ((in_a_row > 0))
);

COMMENT ON TABLE public.missed_offers IS 'Mechanics who let their last offers lapse; accepting any request, or declining an offer, begins anew. Written by trigger only.';

COMMENT ON COLUMN public.missed_offers.in_a_row IS 'How many, one after the other; several that stood at once are one.';

COMMENT ON COLUMN public.missed_offers.missed_at IS 'When the last of them lapsed.';

CREATE TABLE public.netting_consents (
    id uuid DEFAULT public.new_id() NOT NULL,
    mechanic_id uuid NOT NULL,
    version integer NOT NULL,
    words text NOT NULL,
    agreed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    withdrawn_at timestamp with time zone,
    CONSTRAINT netting_consents_check CHECK ((withdrawn_at >= agreed_at)),
    CONSTRAINT netting_consents_version_check CHECK ((version > 0)),
    CONSTRAINT netting_consents_words_check CHECK (((length(words) >= 1) AND (length(words) <= 2000)))
);

COMMENT ON TABLE public.netting_consents IS 'Mechanics'' consents that what they owe is withheld from their payouts. One can be withdrawn, for what comes after; none is changed otherwise.';

COMMENT ON COLUMN public.netting_consents.version IS 'The version of the words.';

COMMENT ON COLUMN public.netting_consents.words IS 'The words that the mechanic agreed to.';

COMMENT ON COLUMN public.netting_consents.agreed_at IS 'When, by the database''s clock.';

COMMENT ON COLUMN public.netting_consents.withdrawn_at IS 'When it was withdrawn; null: it is in force.';

CREATE TABLE public.notification_locales (
    user_id uuid NOT NULL,
    locale text NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT notification_locales_locale_check CHECK ((locale ~ '^[a-z]{2}$'::text))
);

COMMENT ON TABLE public.notification_locales IS 'The language of a user''s mails and notifications; English without a row.';

COMMENT ON COLUMN public.notification_locales.locale IS 'A folder of autodoctor/notifications/locales.';

COMMENT ON COLUMN public.notification_locales.updated_at IS 'When it was last set.';

CREATE TABLE public.notification_preferences (
    user_id uuid NOT NULL,
    kind text NOT NULL,
    email boolean NOT NULL,
    in_app boolean NOT NULL,
    push boolean NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.notification_preferences IS 'The channels that a user chose for each kind; a kind without a row is sent through all that it has.';

COMMENT ON COLUMN public.notification_preferences.kind IS 'One of the kinds in autodoctor.notifications.kinds.';

COMMENT ON COLUMN public.notification_preferences.email IS 'Whether by e-mail.';

COMMENT ON COLUMN public.notification_preferences.in_app IS 'Whether in the application.';

COMMENT ON COLUMN public.notification_preferences.push IS 'Whether by Web Push, to the browsers that asked for it.';

COMMENT ON COLUMN public.notification_preferences.updated_at IS 'When it was last set.';

CREATE TABLE public.notifications (
    id uuid DEFAULT public.new_id() NOT NULL,
    user_id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL,
    session_id uuid,
    checkout_id uuid,
    data jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    read_at timestamp with time zone,
    CONSTRAINT notifications_tell_of_one_thing CHECK ((num_nonnulls(session_id, checkout_id) =
CASE kind
    WHEN 'suspended'::text THEN 0
    ELSE 1
END))
);

COMMENT ON TABLE public.notifications IS 'The notifications shown in the application; the text is made from kind and data when it is read.';

COMMENT ON COLUMN public.notifications.user_id IS 'The sub of the user''s token.';

COMMENT ON COLUMN public.notifications.event_id IS 'The event that it reports; a second delivery of the event adds nothing.';

COMMENT ON COLUMN public.notifications.kind IS 'One of the kinds in autodoctor.notifications.kinds.';

COMMENT ON COLUMN public.notifications.session_id IS 'The session that it concerns; null for a payment without a session, and for what concerns the reader alone.';

COMMENT ON COLUMN public.notifications.checkout_id IS 'The payment that it concerns; null for a session, and for what concerns the reader alone.';

COMMENT ON COLUMN public.notifications.data IS 'Ids and facts as they were then, no names.';

COMMENT ON COLUMN public.notifications.created_at IS 'When the event happened, not when it was reported: events may arrive out of order.';

COMMENT ON COLUMN public.notifications.read_at IS 'When the user first marked it as read; null: unread.';

CREATE TABLE public.outbox_poison (
    subject_id uuid NOT NULL,
    id bigint NOT NULL,
    type text,
    payload jsonb,
    error text NOT NULL,
    set_aside_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.outbox_poison IS 'Events set aside because the bus refuses them, or they cannot be built; requeue_poison() tries them again.';

COMMENT ON COLUMN public.outbox_poison.subject_id IS 'As in outbox.';

COMMENT ON COLUMN public.outbox_poison.id IS 'As in outbox.';

COMMENT ON COLUMN public.outbox_poison.type IS 'As in outbox.';

COMMENT ON COLUMN public.outbox_poison.payload IS 'As in outbox.';

COMMENT ON COLUMN public.outbox_poison.error IS 'The reason for setting it aside.';

COMMENT ON COLUMN public.outbox_poison.set_aside_at IS 'When it was set aside.';

CREATE VIEW public.paused_mechanics AS
 SELECT mechanic_id,
    max(until) AS since,
    (max(until) + public.release_pause()) AS until,
    max(releases) AS releases
   FROM ( SELECT p.mechanic_id,
            p.until,
            count(*) OVER (PARTITION BY p.mechanic_id ORDER BY p.until RANGE BETWEEN '01:00:00'::interval PRECEDING AND CURRENT ROW) AS releases
           FROM public.session_participants p
          WHERE ((p.until > ((now() - '01:00:00'::interval) - public.release_pause())) AND (p.role = 'mechanic'::text))) g
  WHERE ((releases >= public.releases_per_hour()) AND (until > (now() - public.release_pause())))
  GROUP BY mechanic_id;

COMMENT ON VIEW public.paused_mechanics IS 'Mechanics who may not accept for now: they gave back releases_per_hour() sessions within an hour, or did not come to them.';

COMMENT ON COLUMN public.paused_mechanics.since IS 'When they gave the last one back.';

COMMENT ON COLUMN public.paused_mechanics.until IS 'When they may accept again.';

COMMENT ON COLUMN public.paused_mechanics.releases IS 'How many they gave back within the hour.';

CREATE TABLE public.payout_reversals (
    NOT NULL id,
    job text DEFAULT 'reversal'::text NOT NULL,
    payout_id uuid NOT NULL,
    dispute_id text NOT NULL,
    booking integer NOT NULL,
    amount_cents bigint NOT NULL,
    stripe_reversal_id text,
    done_at timestamp with time zone,
    CONSTRAINT payout_reversals_amount_cents_check CHECK ((amount_cents > 0)),
    CONSTRAINT payout_reversals_booking_check CHECK ((booking > 0)),
    CONSTRAINT payout_reversals_job CHECK ((job = 'reversal'::text)),
    CONSTRAINT payout_reversals_state_known CHECK ((state = ANY (ARRAY['due'::text, 'sending'::text, 'done'::text, 'failed'::text, 'cancelled'::text])))
)
INHERITS (public.stripe_jobs);

COMMENT ON TABLE public.payout_reversals IS 'Amounts to be taken back from payouts that were sent, after a lost dispute; if that fails, the amount stays a receivable.';

COMMENT ON COLUMN public.payout_reversals.state IS 'As in stripe_jobs (failed: the mechanic owes it); final states are done: it was taken back, by us or by hand; cancelled: the dispute was won after all, its loss was booked anew, or nothing is owed any more.';

COMMENT ON COLUMN public.payout_reversals.dispute_id IS 'The lost dispute.';

COMMENT ON COLUMN public.payout_reversals.booking IS 'Which booking of the loss it is for, by stripe_disputes.bookings: when more is lost later, it is booked anew, with a reversal of its own.';

COMMENT ON COLUMN public.payout_reversals.amount_cents IS 'What of the mechanic''s part we did not have when it was booked, in cents of usd; no more is taken than is owed by then.';

COMMENT ON COLUMN public.payout_reversals.stripe_reversal_id IS 'Stripe''s id of our reversal; null if it was taken back by hand.';

COMMENT ON COLUMN public.payout_reversals.done_at IS 'When we learned that it was taken back.';

CREATE TABLE public.plans (
    code text NOT NULL,
    name text NOT NULL,
    session_types text[] NOT NULL,
    price_cents integer NOT NULL,
    currency text DEFAULT 'usd'::text NOT NULL,
    credits integer NOT NULL,
    included_minutes integer NOT NULL,
    max_minutes integer DEFAULT 180 NOT NULL,
    mechanic_share_bp integer NOT NULL,
    mechanic_fixed_pay_cents integer DEFAULT 0 NOT NULL,
    uses_per_customer integer,
    minute_packs jsonb DEFAULT '[]'::jsonb NOT NULL,
    change_id uuid,
    changed_by uuid,
    CONSTRAINT plans_check CHECK ((max_minutes >= included_minutes)),
    CONSTRAINT plans_credits_check CHECK ((credits >= 0)),
    CONSTRAINT plans_currency_check CHECK ((currency = 'usd'::text)),
    CONSTRAINT plans_free_costs_nothing CHECK (((code <> 'free'::text) OR ((price_cents = 0) AND (credits = 0)))),
    CONSTRAINT plans_included_minutes_check CHECK ((included_minutes > 0)),
    CONSTRAINT plans_mechanic_fixed_pay_cents_check CHECK ((mechanic_fixed_pay_cents >= 0)),
    CONSTRAINT plans_mechanic_share_bp_check CHECK (((mechanic_share_bp >= 0) AND (mechanic_share_bp <= 10000))),
    CONSTRAINT plans_minute_packs_check CHECK (public.are_minute_packs(minute_packs)),
    CONSTRAINT plans_price_cents_check CHECK ((price_cents >= 0)),
    CONSTRAINT plans_session_types_check CHECK (((session_types <@ ARRAY['chat'::text, 'video'::text, 'diagnostic'::text]) AND (session_types <> '{}'::text[]))),
    CONSTRAINT plans_uses_per_customer_check CHECK ((uses_per_customer > 0))
);

COMMENT ON TABLE public.plans IS 'The plans that a customer can choose.';

COMMENT ON COLUMN public.plans.code IS 'As sent by clients.';

COMMENT ON COLUMN public.plans.name IS 'As shown to customers.';

COMMENT ON COLUMN public.plans.session_types IS 'The kinds of session this plan allows.';

COMMENT ON COLUMN public.plans.price_cents IS 'Price in cents of the currency; only a price of 0 can be taken with payWith free.';

COMMENT ON COLUMN public.plans.currency IS 'ISO 4217, lower case, as Stripe writes it.';

COMMENT ON COLUMN public.plans.credits IS 'Price in credits.';

COMMENT ON COLUMN public.plans.included_minutes IS 'Minutes the price covers.';

COMMENT ON COLUMN public.plans.max_minutes IS 'A live session is ended at its start plus this many minutes.';

COMMENT ON COLUMN public.plans.mechanic_share_bp IS 'The mechanic''s share of the price in basis points (1/100 of a per cent).';

COMMENT ON COLUMN public.plans.mechanic_fixed_pay_cents IS 'The mechanic''s pay for a completed session that was taken with payWith free.';

COMMENT ON COLUMN public.plans.uses_per_customer IS 'How many sessions of this plan a customer may have, without cancelled and expired ones; null: no limit.';

COMMENT ON COLUMN public.plans.minute_packs IS 'By what a talk of this plan can be extended: a list of {code, minutes, price_cents, credits}; credits of 0: by card only.';

COMMENT ON COLUMN public.plans.change_id IS 'The id in admin_changes of the last change by an admin.';

COMMENT ON COLUMN public.plans.changed_by IS 'The sub of the admin who made it; a change without one, such as the owner''s, leaves no row there.';

CREATE TABLE public.push_deliveries (
    subscription_id uuid NOT NULL,
    event_id uuid NOT NULL,
    topic uuid NOT NULL,
    kind text NOT NULL,
    sent_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    withdrawn_at timestamp with time zone
);

COMMENT ON TABLE public.push_deliveries IS 'What push services took in the last day: a second delivery of the event sends nothing, and what is gone is withdrawn where it is shown.';

COMMENT ON COLUMN public.push_deliveries.event_id IS 'The event that it tells of.';

COMMENT ON COLUMN public.push_deliveries.topic IS 'What it is about, an assignment or a session: a newer message of the same topic takes its place.';

COMMENT ON COLUMN public.push_deliveries.kind IS 'As in notification_preferences.';

COMMENT ON COLUMN public.push_deliveries.sent_at IS 'When the push service had taken it.';

COMMENT ON COLUMN public.push_deliveries.withdrawn_at IS 'When the push service had taken its withdrawal; null: it may be shown.';

CREATE TABLE public.push_subscriptions (
    id uuid DEFAULT public.new_id() NOT NULL,
    user_id uuid NOT NULL,
    endpoint text NOT NULL,
    public_key bytea NOT NULL,
    secret bytea NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    called_at timestamp with time zone,
    CONSTRAINT push_subscriptions_endpoint_check CHECK (((length(endpoint) >= 1) AND (length(endpoint) <= 2000))),
    CONSTRAINT push_subscriptions_public_key_check CHECK ((length(public_key) = 65)),
    CONSTRAINT push_subscriptions_secret_check CHECK ((length(secret) = 16))
);

COMMENT ON TABLE public.push_subscriptions IS 'The browsers that are called by Web Push, each for the user who last asked for it there.';

COMMENT ON COLUMN public.push_subscriptions.user_id IS 'The sub of the token that asked for it.';

COMMENT ON COLUMN public.push_subscriptions.endpoint IS 'Where its push service takes messages for it: an address that the user gave us, so only hosts of PushHosts are ever called.';

COMMENT ON COLUMN public.push_subscriptions.public_key IS 'The browser''s key (p256dh): an uncompressed point of P-256.';

COMMENT ON COLUMN public.push_subscriptions.secret IS 'What the browser shares with us alone (auth), so that its push service reads nothing.';

COMMENT ON COLUMN public.push_subscriptions.made_at IS 'When it was last asked for.';

COMMENT ON COLUMN public.push_subscriptions.called_at IS 'When its push service last took a message; null: never.';

CREATE TABLE public.quote_events (
    quote_id uuid NOT NULL,
    id bigint DEFAULT nextval('public.event_sequence'::regclass) NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    actor_id uuid,
    from_status text,
    to_status text NOT NULL,
    amount_cents integer
);

COMMENT ON TABLE public.quote_events IS 'The audit trail of quotes, written only by their trigger; without a foreign key, because that trigger runs before the row exists.';

COMMENT ON COLUMN public.quote_events.id IS 'Order of writing.';

COMMENT ON COLUMN public.quote_events.occurred_at IS 'When, by the database''s clock.';

COMMENT ON COLUMN public.quote_events.actor IS 'Who acted, as in sessions.actor.';

COMMENT ON COLUMN public.quote_events.actor_id IS 'The user''s id (sub), if a user acted.';

COMMENT ON COLUMN public.quote_events.from_status IS 'Null for the creation; given to given: the amount or its description changed.';

COMMENT ON COLUMN public.quote_events.to_status IS 'The new status.';

COMMENT ON COLUMN public.quote_events.amount_cents IS 'The new amount.';

CREATE TABLE public.realtime_tickets (
    ticket_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    groups text[] NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.realtime_tickets IS 'Unused tickets: each opens one connection, once, within a minute.';

COMMENT ON COLUMN public.realtime_tickets.ticket_hash IS 'SHA-256 of the ticket, so that a reader of this table cannot use it.';

COMMENT ON COLUMN public.realtime_tickets.user_id IS 'The sub of the token that requested it.';

COMMENT ON COLUMN public.realtime_tickets.groups IS 'The groups of that token.';

COMMENT ON COLUMN public.realtime_tickets.expires_at IS 'The end of its validity.';

CREATE TABLE public.receipt_lines (
    ledger_id uuid NOT NULL,
    receipt_id uuid NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT receipt_lines_amount_check CHECK ((amount > 0))
);

COMMENT ON TABLE public.receipt_lines IS 'The rows of the ledger that a document is made of; each is in one document.';

COMMENT ON COLUMN public.receipt_lines.ledger_id IS 'The row of the ledger.';

COMMENT ON COLUMN public.receipt_lines.amount IS 'Its receipt_part(), without its sign.';

CREATE TABLE public.receipt_numbers (
    year integer NOT NULL,
    last integer NOT NULL,
    CONSTRAINT receipt_numbers_last_check CHECK ((last > 0))
)
WITH (fillfactor='10', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');

COMMENT ON TABLE public.receipt_numbers IS 'The last number of each year, taken by the transaction that writes the document: it is rolled back with it, so there are no gaps.';

COMMENT ON COLUMN public.receipt_numbers.year IS 'The year, in UTC.';

COMMENT ON COLUMN public.receipt_numbers.last IS 'The last number that was given.';

CREATE VIEW public.receivables AS
 SELECT intake_id AS session_id,
    min(created_at) AS since,
    (sum(
        CASE
            WHEN (debit_account ~~ 'mechanic:%:receivable'::text) THEN amount
            ELSE (- amount)
        END))::bigint AS cents
   FROM public.ledger_transfer
  WHERE (((debit_account ~~ 'mechanic:%:receivable'::text) OR (credit_account ~~ 'mechanic:%:receivable'::text)) AND (intake_id IS NOT NULL))
  GROUP BY intake_id
 HAVING (sum(
        CASE
            WHEN (debit_account ~~ 'mechanic:%:receivable'::text) THEN amount
            ELSE (- amount)
        END) > (0)::numeric);

COMMENT ON VIEW public.receivables IS 'Sessions for which the mechanic owes money: it was sent to them, has gone back to the customer since, and was not recovered.';

COMMENT ON COLUMN public.receivables.session_id IS 'The session.';

COMMENT ON COLUMN public.receivables.since IS 'When the debt began.';

COMMENT ON COLUMN public.receivables.cents IS 'The amount owed, in cents of usd.';

CREATE TABLE public.reconcile_runs (
    id uuid DEFAULT public.new_id() NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    since timestamp with time zone,
    finished boolean NOT NULL,
    found integer NOT NULL,
    report jsonb NOT NULL,
    CONSTRAINT reconcile_runs_found_check CHECK ((found >= 0))
);

COMMENT ON TABLE public.reconcile_runs IS 'Results of comparing the ledger with Stripe; the newest 400 are kept.';

COMMENT ON COLUMN public.reconcile_runs.started_at IS 'When it began; later bookings were left to the next run.';

COMMENT ON COLUMN public.reconcile_runs.finished_at IS 'When it ended.';

COMMENT ON COLUMN public.reconcile_runs.since IS 'The start of the comparison; null: everything was compared.';

COMMENT ON COLUMN public.reconcile_runs.finished IS 'Whether all was compared; false: its time ran out, and the next run goes on where it stopped.';

COMMENT ON COLUMN public.reconcile_runs.found IS 'The number of differences.';

COMMENT ON COLUMN public.reconcile_runs.report IS 'Counts, sums, and the first 500 differences; ids and cents only.';

CREATE TABLE public.repairs (
    id uuid DEFAULT public.new_id() NOT NULL,
    run_id uuid NOT NULL,
    finding text NOT NULL,
    subject text NOT NULL,
    previous jsonb NOT NULL,
    now jsonb NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT repairs_reason_check CHECK (((length(reason) >= 1) AND (length(reason) <= 500)))
);

COMMENT ON TABLE public.repairs IS 'Every change that repair made, never changed afterwards; only the owner can repair.';

COMMENT ON COLUMN public.repairs.run_id IS 'Shared by all changes of one run.';

COMMENT ON COLUMN public.repairs.finding IS 'The check of verify that found it.';

COMMENT ON COLUMN public.repairs.subject IS 'The id of the changed session or assignment.';

COMMENT ON COLUMN public.repairs.previous IS 'Its status and the changed values before the repair.';

COMMENT ON COLUMN public.repairs.now IS 'The same values after the repair.';

COMMENT ON COLUMN public.repairs.reason IS 'Why this is the only correct repair.';

COMMENT ON COLUMN public.repairs.actor IS 'operator:NAME.';

COMMENT ON COLUMN public.repairs.at IS 'When, by the database''s clock.';

CREATE TABLE public.rooms (
    session_id uuid NOT NULL,
    latest integer DEFAULT 0 NOT NULL,
    customer_read integer DEFAULT 0 NOT NULL,
    mechanic_read integer DEFAULT 0 NOT NULL,
    customer_written integer DEFAULT 0 NOT NULL,
    mechanic_written integer DEFAULT 0 NOT NULL,
    kept boolean DEFAULT true NOT NULL,
    CONSTRAINT rooms_read_what_there_is CHECK ((((customer_read >= 0) AND (customer_read <= latest)) AND ((mechanic_read >= 0) AND (mechanic_read <= latest)))),
    CONSTRAINT rooms_written_is_a_part CHECK (((customer_written >= 0) AND (mechanic_written >= 0) AND ((customer_written + mechanic_written) <= latest)))
)
WITH (fillfactor='70');

COMMENT ON TABLE public.rooms IS 'The room of each session, made with it: the numbers of its messages, and how far each party is.';

COMMENT ON COLUMN public.rooms.latest IS 'The number of the last message; 0: none.';

COMMENT ON COLUMN public.rooms.customer_read IS 'The customer has seen the messages up to this one; only grows.';

COMMENT ON COLUMN public.rooms.mechanic_read IS 'The present mechanic has seen the messages up to this one; begins again with another mechanic.';

COMMENT ON COLUMN public.rooms.customer_written IS 'How many messages the customer has written.';

COMMENT ON COLUMN public.rooms.mechanic_written IS 'How many messages the present mechanic has written since the accept.';

COMMENT ON COLUMN public.rooms.kept IS 'Whether its words are kept: until forget_old_messages() has emptied them; never, where the session was over before it had a room.';

CREATE TABLE public.schedule_runs (
    name text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    failed boolean DEFAULT false NOT NULL
);

COMMENT ON TABLE public.schedule_runs IS 'The last run of each scheduled function, recorded by the run itself.';

COMMENT ON COLUMN public.schedule_runs.name IS 'The name of the schedule, without the stack''s.';

COMMENT ON COLUMN public.schedule_runs.started_at IS 'When the last run began.';

COMMENT ON COLUMN public.schedule_runs.finished_at IS 'When it finished; null while it runs, and for a run that was cut short.';

COMMENT ON COLUMN public.schedule_runs.failed IS 'Whether it raised.';

CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT schema_migrations_checksum_check CHECK ((checksum ~ '^[0-9a-f]{64}$'::text))
);

COMMENT ON TABLE public.schema_migrations IS 'The applied files of autodoctor/sql, each written by the transaction that applied it.';

COMMENT ON COLUMN public.schema_migrations.name IS 'The name of the file, without its ending.';

COMMENT ON COLUMN public.schema_migrations.checksum IS 'SHA-256 of its text; an applied file never changes.';

COMMENT ON COLUMN public.schema_migrations.applied_at IS 'When it was applied.';

CREATE TABLE public.session_extensions (
    id uuid DEFAULT public.new_id() NOT NULL,
    session_id uuid NOT NULL,
    pack text NOT NULL,
    minutes integer NOT NULL,
    price_cents integer NOT NULL,
    currency text DEFAULT 'usd'::text NOT NULL,
    credits integer NOT NULL,
    pay_with text NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    status text DEFAULT 'asked'::text NOT NULL,
    answered_at timestamp with time zone,
    intake_id uuid,
    began_at timestamp with time zone,
    starts_after integer,
    CONSTRAINT session_extensions_agreed_first CHECK (((status <> ALL (ARRAY['agreed'::text, 'declined'::text, 'running'::text])) OR (answered_at IS NOT NULL))),
    CONSTRAINT session_extensions_cost_something CHECK (((pay_with <> 'credit'::text) OR (credits > 0))),
    CONSTRAINT session_extensions_credits_check CHECK ((credits >= 0)),
    CONSTRAINT session_extensions_currency_check CHECK ((currency = 'usd'::text)),
    CONSTRAINT session_extensions_intake_of_its_own CHECK ((intake_id = id)),
    CONSTRAINT session_extensions_minutes_check CHECK ((minutes > 0)),
    CONSTRAINT session_extensions_pay_with_check CHECK ((pay_with = ANY (ARRAY['credit'::text, 'card'::text]))),
    CONSTRAINT session_extensions_price_cents_check CHECK ((price_cents > 0)),
    CONSTRAINT session_extensions_run_when_paid CHECK (
CASE status
    WHEN 'running'::text THEN (num_nonnulls(intake_id, began_at, starts_after) = 3)
    ELSE (num_nonnulls(began_at, starts_after) = 0)
END),
    CONSTRAINT session_extensions_starts_after_check CHECK ((starts_after > 0)),
    CONSTRAINT session_extensions_status_check CHECK ((status = ANY (ARRAY['asked'::text, 'agreed'::text, 'declined'::text, 'lapsed'::text, 'running'::text])))
);

COMMENT ON TABLE public.session_extensions IS 'Minutes that a customer wants in addition, in a talk that is live: asked for, agreed by the mechanic, paid for, and then part of the clock. Only the functions below write it.';

COMMENT ON COLUMN public.session_extensions.id IS 'Also the id of its intake, once it is to be paid for.';

COMMENT ON COLUMN public.session_extensions.pack IS 'The code of the pack in its plan.';

COMMENT ON COLUMN public.session_extensions.minutes IS 'The pack''s at that moment.';

COMMENT ON COLUMN public.session_extensions.price_cents IS 'The pack''s at that moment, in cents of the currency.';

COMMENT ON COLUMN public.session_extensions.currency IS 'ISO 4217, lower case, as Stripe writes it.';

COMMENT ON COLUMN public.session_extensions.credits IS 'The pack''s at that moment: what it costs where it is paid by credits.';

COMMENT ON COLUMN public.session_extensions.pay_with IS 'credit or card.';

COMMENT ON COLUMN public.session_extensions.asked_at IS 'When the customer asked for it.';

COMMENT ON COLUMN public.session_extensions.status IS 'asked: the mechanic has not answered; agreed: to be paid for by card; declined; lapsed: the customer asked for another one, could not pay, or the talk ended before; running: paid for, and part of the talk''s minutes.';

COMMENT ON COLUMN public.session_extensions.answered_at IS 'When the mechanic agreed or declined.';

COMMENT ON COLUMN public.session_extensions.intake_id IS 'Its intake, of the same id, to which payment, settlement and refund belong; null: nothing was to be paid yet.';

COMMENT ON COLUMN public.session_extensions.began_at IS 'When it was paid for.';

COMMENT ON COLUMN public.session_extensions.starts_after IS 'After how many minutes of the talk its own begin: those that were included, and those of earlier extensions.';

CREATE TABLE public.session_meetings (
    session_id uuid NOT NULL,
    attempt integer NOT NULL,
    number integer NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    opened_at timestamp with time zone,
    over_at timestamp with time zone,
    customer_at timestamp with time zone,
    mechanic_at timestamp with time zone,
    meeting_id text,
    meeting jsonb,
    CONSTRAINT session_meetings_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT session_meetings_number_check CHECK ((number > 0)),
    CONSTRAINT session_meetings_opened_whole CHECK ((num_nonnulls(opened_at, meeting_id, meeting) = ANY (ARRAY[0, 3])))
);

COMMENT ON TABLE public.session_meetings IS 'The meetings of the medium: the only list of them that there is. A row comes before its meeting, so that none is ever forgotten.';

COMMENT ON COLUMN public.session_meetings.attempt IS 'Of the assignment whose mechanic it is with.';

COMMENT ON COLUMN public.session_meetings.number IS '1, and one more for each that follows one that the medium ended by itself.';

COMMENT ON COLUMN public.session_meetings.asked_at IS 'When it was first asked for.';

COMMENT ON COLUMN public.session_meetings.opened_at IS 'When the medium had made it.';

COMMENT ON COLUMN public.session_meetings.over_at IS 'When we knew that it is over: the medium said so, or it was deleted.';

COMMENT ON COLUMN public.session_meetings.customer_at IS 'When the customer first asked to be let in.';

COMMENT ON COLUMN public.session_meetings.mechanic_at IS 'When the mechanic first asked to be let in.';

COMMENT ON COLUMN public.session_meetings.meeting_id IS 'The medium''s id of it.';

COMMENT ON COLUMN public.session_meetings.meeting IS 'What a page needs to join it, beside a place of its own.';

CREATE TABLE public.session_messages (
    session_id uuid NOT NULL,
    seq integer NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    client_id uuid,
    mechanic_id uuid,
    attachment_id uuid,
    role text NOT NULL,
    kind text NOT NULL,
    note text,
    text text,
    CONSTRAINT session_messages_fits_kind CHECK ((((kind = 'file'::text) = (attachment_id IS NOT NULL)) AND ((kind = 'file'::text) OR (text IS NOT NULL)))),
    CONSTRAINT session_messages_fits_role CHECK ((((role = 'mechanic'::text) = (mechanic_id IS NOT NULL)) AND ((role = 'system'::text) = (kind = 'system'::text)) AND ((role = 'system'::text) = (note IS NOT NULL)) AND ((role = 'system'::text) = (client_id IS NULL)))),
    CONSTRAINT session_messages_kind_check CHECK ((kind = ANY (ARRAY['text'::text, 'file'::text, 'system'::text]))),
    CONSTRAINT session_messages_role_check CHECK ((role = ANY (ARRAY['customer'::text, 'mechanic'::text, 'system'::text]))),
    CONSTRAINT session_messages_seq_check CHECK ((seq > 0)),
    CONSTRAINT session_messages_text_is_short CHECK ((length(text) <= 4000))
);

COMMENT ON TABLE public.session_messages IS 'The messages of the rooms, append-only: an erasure blanks the words, nothing else ever changes.';

COMMENT ON COLUMN public.session_messages.seq IS '1, 2, 3 and so on within the session, without gaps, in the order of the commits.';

COMMENT ON COLUMN public.session_messages.at IS 'When it was written, by the database''s clock.';

COMMENT ON COLUMN public.session_messages.client_id IS 'The writer''s id of it: the same id again is the same message.';

COMMENT ON COLUMN public.session_messages.mechanic_id IS 'The mechanic who wrote it.';

COMMENT ON COLUMN public.session_messages.role IS 'Who wrote it: customer, mechanic or system.';

COMMENT ON COLUMN public.session_messages.kind IS 'text, file (with an attachment) or system.';

COMMENT ON COLUMN public.session_messages.note IS 'What a system message says, as room_note() was called: pages may say it in their own words.';

COMMENT ON COLUMN public.session_messages.text IS 'Personal data: the words; empty once they were erased, null for a file without words.';

CREATE TABLE public.session_presence (
    session_id uuid NOT NULL,
    id bigint DEFAULT nextval('public.event_sequence'::regclass) NOT NULL,
    since timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    mechanic_id uuid,
    role text NOT NULL,
    source text NOT NULL,
    witness text,
    until timestamp with time zone,
    closed_at timestamp with time zone,
    replaced_at timestamp with time zone,
    CONSTRAINT session_presence_closing_is_complete CHECK (((until IS NULL) = (closed_at IS NULL))),
    CONSTRAINT session_presence_fits_role CHECK (((role = 'mechanic'::text) = (mechanic_id IS NOT NULL))),
    CONSTRAINT session_presence_fits_source CHECK (((source = 'claim'::text) = (witness IS NULL))),
    CONSTRAINT session_presence_in_order CHECK ((until >= since)),
    CONSTRAINT session_presence_role_check CHECK ((role = ANY (ARRAY['customer'::text, 'mechanic'::text]))),
    CONSTRAINT session_presence_source_check CHECK ((source = ANY (ARRAY['room'::text, 'medium'::text, 'mutual'::text, 'claim'::text])))
);

COMMENT ON TABLE public.session_presence IS 'The evidence: from when to when a party was there, and who says so. Written by functions only; a row changes when it is closed, reopened within a second, or replaced.';

COMMENT ON COLUMN public.session_presence.id IS 'Order of writing, among the audit rows too.';

COMMENT ON COLUMN public.session_presence.since IS 'The start, by the witness''s clock, within what we know.';

COMMENT ON COLUMN public.session_presence.recorded_at IS 'When we learned of it.';

COMMENT ON COLUMN public.session_presence.mechanic_id IS 'The mechanic, if the role is mechanic.';

COMMENT ON COLUMN public.session_presence.role IS 'The party: customer or mechanic.';

COMMENT ON COLUMN public.session_presence.source IS 'room: a live socket bound to the room; medium: who carries sound and picture; mutual: packets that each received from the other; claim: the party''s own word.';

COMMENT ON COLUMN public.session_presence.witness IS 'The connection or attendee; null for a claim.';

COMMENT ON COLUMN public.session_presence.until IS 'The end; null while it lasts.';

COMMENT ON COLUMN public.session_presence.closed_at IS 'When we learned of the end.';

COMMENT ON COLUMN public.session_presence.replaced_at IS 'When we learned that it was otherwise, as the medium''s events came out of order; null: it counts.';

CREATE TABLE public.session_summaries (
    session_id uuid NOT NULL,
    due_at timestamp with time zone NOT NULL,
    told_at timestamp with time zone,
    told_version integer
);

COMMENT ON TABLE public.session_summaries IS 'Ended sessions whose customer is told of the outcome with the notes, or of notes afterwards.';

COMMENT ON COLUMN public.session_summaries.due_at IS 'When the summary goes out although nobody has confirmed the notes.';

COMMENT ON COLUMN public.session_summaries.told_at IS 'When its event was written; null: the summary waits.';

COMMENT ON COLUMN public.session_summaries.told_version IS 'The version of the notes at the last event; null: there were none.';

CREATE VIEW public.sessions_needing_review AS
 SELECT 'wrongly_marked'::text AS alert,
    a.severity,
    a.session_id,
    a.since,
    jsonb_build_object('status', a.status, 'reason', a.end_reason, 'expected', a.expected) AS facts
   FROM public.alert_wrongly_marked a
UNION ALL
 SELECT 'stuck_live'::text AS alert,
    a.severity,
    a.session_id,
    a.since,
    jsonb_build_object('startedAt', a.started_at, 'partedAt', a.parted_at, 'maxMinutes', a.max_minutes) AS facts
   FROM public.alert_stuck_live a
UNION ALL
 SELECT 'completed_without_settlement'::text AS alert,
    a.severity,
    a.session_id,
    a.since,
    jsonb_build_object('funding', a.funding, 'priceCents', a.price_cents, 'credits', a.credits) AS facts
   FROM public.alert_completed_without_settlement a
UNION ALL
 SELECT 'waiting_too_long'::text AS alert,
    a.severity,
    a.session_id,
    a.since,
    jsonb_build_object('assignmentStatus', a.assignment_status, 'urgent', a.urgent) AS facts
   FROM public.alert_waiting_too_long a;

COMMENT ON VIEW public.sessions_needing_review IS 'The sessions of the four alert views; one with two alerts appears twice.';

CREATE TABLE public.settings (
    key text NOT NULL,
    value text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT settings_counts_are_small CHECK (((key <> ALL (ARRAY['min_messages_each'::text, 'late_minutes'::text])) OR (value ~ '^[0-9]{1,4}$'::text))),
    CONSTRAINT settings_evidence_is_a_class CHECK (((key <> 'evidence'::text) OR (value = ANY (ARRAY['witnessed'::text, 'claimed'::text])))),
    CONSTRAINT settings_health_thresholds_are_numbers CHECK (((key !~~ 'health\_%'::text) OR (value ~ '^[0-9]{1,6}$'::text))),
    CONSTRAINT settings_holds_are_hours CHECK (((key !~~ '%\_hours'::text) OR (value ~ '^[0-9]{1,4}$'::text))),
    CONSTRAINT settings_issuer_is_a_few_lines CHECK (((key <> 'receipt_issuer'::text) OR ((length(value) >= 1) AND (length(value) <= 500)))),
    CONSTRAINT settings_limits_are_counts CHECK (((key <> ALL (ARRAY['sockets_per_user'::text, 'push_subscriptions_per_user'::text, 'releases_per_hour'::text, 'missed_offers_most'::text])) OR (value ~ '^[1-9][0-9]{0,5}$'::text))),
    CONSTRAINT settings_money_limits_are_numbers CHECK (((key <> ALL (ARRAY['escalation_auto_release_cents'::text, 'withdrawn_payments_per_day'::text])) OR (value ~ '^[0-9]{1,9}$'::text))),
    CONSTRAINT settings_retention_is_days CHECK (((key !~~ '%\_days'::text) OR (value ~ '^[1-9][0-9]{0,3}$'::text))),
    CONSTRAINT settings_shares_are_basis_points CHECK (((key <> ALL (ARRAY['referral_bp'::text, 'escalation_bp'::text])) OR (value ~ '^([0-9]{1,4}|10000)$'::text))),
    CONSTRAINT settings_switches_are_on_or_off CHECK (((key <> ALL (ARRAY['stripe_tax'::text, 'stripe_tax_ids'::text, 'stripe_invoices'::text, 'send_dispute_evidence'::text])) OR (value = ANY (ARRAY['on'::text, 'off'::text])))),
    CONSTRAINT settings_time_limits_are_seconds CHECK (((key !~~ '%\_seconds'::text) OR (value ~ '^[0-9]{1,6}$'::text))),
    CONSTRAINT settings_waiver_versions_are_words CHECK (((key <> 'waiver_versions'::text) OR (value ~ '^[^ ]+( [^ ]+)*$'::text)))
);

COMMENT ON TABLE public.settings IS 'Values that operators may change without a deployment.';

COMMENT ON COLUMN public.settings.key IS 'The name of the setting; SPEC.md has a table of all, with their meaning and default.';

COMMENT ON COLUMN public.settings.value IS 'The value as text.';

COMMENT ON COLUMN public.settings.updated_at IS 'When it was last set.';

CREATE TABLE public.settlement_holds (
    session_id uuid NOT NULL,
    held_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    demanded text NOT NULL,
    facts jsonb NOT NULL,
    outcome text,
    note text,
    decided_at timestamp with time zone,
    decided_by uuid,
    change_id uuid,
    CONSTRAINT settlement_holds_decided_whole CHECK ((num_nonnulls(outcome, note, decided_at, decided_by, change_id) = ANY (ARRAY[0, 5]))),
    CONSTRAINT settlement_holds_demanded_check CHECK ((demanded = ANY (ARRAY['completed'::text, 'cancelled'::text]))),
    CONSTRAINT settlement_holds_note_check CHECK (((length(note) >= 1) AND (length(note) <= 500))),
    CONSTRAINT settlement_holds_outcome_check CHECK ((outcome = ANY (ARRAY['pay'::text, 'refund'::text])))
);

COMMENT ON TABLE public.settlement_holds IS 'Ended sessions whose evidence, with what came after the verdict, demands another outcome, or may have been lost. The outcome stays; what happens to the money an admin decides.';

COMMENT ON COLUMN public.settlement_holds.held_at IS 'When it was judged again.';

COMMENT ON COLUMN public.settlement_holds.demanded IS 'The status that all the evidence demands, that is sure, or that a call would demand of which the medium is silent.';

COMMENT ON COLUMN public.settlement_holds.facts IS 'Status, reason and seconds together, as they stand and as they are demanded, and because of what: late evidence, unsure, or a silent medium.';

COMMENT ON COLUMN public.settlement_holds.outcome IS 'pay: the mechanic is paid; refund: the customer has everything back; null: nobody has decided.';

COMMENT ON COLUMN public.settlement_holds.note IS 'The admin''s words, without personal data.';

COMMENT ON COLUMN public.settlement_holds.decided_at IS 'When it was decided.';

COMMENT ON COLUMN public.settlement_holds.decided_by IS 'The sub of the admin''s token.';

COMMENT ON COLUMN public.settlement_holds.change_id IS 'The id of the decision in admin_changes.';

CREATE TABLE public.stripe_events (
    id text NOT NULL,
    endpoint text NOT NULL,
    type text NOT NULL,
    account text,
    object_id text,
    livemode boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    handled_at timestamp with time zone,
    outcome text,
    CONSTRAINT stripe_events_endpoint_check CHECK ((endpoint = ANY (ARRAY['platform'::text, 'connect'::text]))),
    CONSTRAINT stripe_events_handled_with_an_outcome CHECK (((handled_at IS NULL) = (outcome IS NULL))),
    CONSTRAINT stripe_events_id_check CHECK (((length(id) >= 1) AND (length(id) <= 255)))
);

COMMENT ON TABLE public.stripe_events IS 'The inbox: every event that Stripe signed, once. A row commits together with the effects of its event; ids and facts only, no personal data.';

COMMENT ON COLUMN public.stripe_events.id IS 'Stripe''s.';

COMMENT ON COLUMN public.stripe_events.endpoint IS 'The endpoint that received it: platform, or connect for events of connected accounts.';

COMMENT ON COLUMN public.stripe_events.type IS 'As Stripe names it.';

COMMENT ON COLUMN public.stripe_events.account IS 'The connected account that it concerns; null: our own.';

COMMENT ON COLUMN public.stripe_events.object_id IS 'Stripe''s id of the object that it concerns.';

COMMENT ON COLUMN public.stripe_events.livemode IS 'Whether it concerns real money.';

COMMENT ON COLUMN public.stripe_events.created_at IS 'When it happened, by Stripe''s clock.';

COMMENT ON COLUMN public.stripe_events.received_at IS 'When it was first received.';

COMMENT ON COLUMN public.stripe_events.handled_at IS 'When it was handled.';

COMMENT ON COLUMN public.stripe_events.outcome IS 'The effect, as named in the answer to Stripe.';

CREATE TABLE public.stripe_movements (
    id text NOT NULL,
    type text NOT NULL,
    flow text,
    source text,
    subject text,
    claimed boolean DEFAULT false NOT NULL,
    amount bigint NOT NULL,
    fee bigint NOT NULL,
    currency text NOT NULL,
    livemode boolean,
    happened_at timestamp with time zone NOT NULL,
    charge_id text,
    payment_intent_id text,
    transfer_id text,
    destination text,
    checkout_id uuid,
    intake_id uuid,
    refund_id uuid,
    payout_id uuid,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT stripe_movements_check CHECK (((subject IS NULL) = (flow IS NULL))),
    CONSTRAINT stripe_movements_flow_check CHECK ((flow = ANY (ARRAY['charge'::text, 'refund'::text, 'transfer'::text, 'reversal'::text, 'dispute'::text])))
);

COMMENT ON TABLE public.stripe_movements IS 'Our copy of Stripe''s balance transactions, which never change: every movement of the account''s money, ours or not. Ids and cents only.';

COMMENT ON COLUMN public.stripe_movements.type IS 'As Stripe names it.';

COMMENT ON COLUMN public.stripe_movements.flow IS 'The kind of object that moved the money; null: one that our books do not have, such as a payout to the bank.';

COMMENT ON COLUMN public.stripe_movements.source IS 'Stripe''s id of that object.';

COMMENT ON COLUMN public.stripe_movements.subject IS 'The result of statement_subject() for the keys that would book it.';

COMMENT ON COLUMN public.stripe_movements.claimed IS 'Whether the object has our metadata. Refunds and disputes of our charges count as ours without it.';

COMMENT ON COLUMN public.stripe_movements.amount IS 'The amount that came in (above 0) or went out, in cents, without fees.';

COMMENT ON COLUMN public.stripe_movements.fee IS 'Stripe''s fee, in cents.';

COMMENT ON COLUMN public.stripe_movements.currency IS 'ISO 4217, lower case, as Stripe writes it.';

COMMENT ON COLUMN public.stripe_movements.livemode IS 'Whether the object concerns real money; null: it does not say.';

COMMENT ON COLUMN public.stripe_movements.happened_at IS 'By Stripe''s clock.';

COMMENT ON COLUMN public.stripe_movements.destination IS 'For a transfer, the connected account.';

COMMENT ON COLUMN public.stripe_movements.seen_at IS 'When it was copied.';

CREATE TABLE public.stripe_statement (
    account text DEFAULT 'platform'::text NOT NULL,
    whole_until timestamp with time zone,
    CONSTRAINT stripe_statement_account_check CHECK ((account = 'platform'::text))
);

COMMENT ON TABLE public.stripe_statement IS 'The progress of the copy; one row.';

COMMENT ON COLUMN public.stripe_statement.account IS 'The platform''s account.';

COMMENT ON COLUMN public.stripe_statement.whole_until IS 'stripe_movements lacks no movement from the account''s beginning until then; null: list from the beginning.';

CREATE TABLE public.verify_runs (
    id uuid DEFAULT public.new_id() NOT NULL,
    walk_id uuid NOT NULL,
    began_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    stopped_in text,
    stopped_at uuid,
    findings integer NOT NULL,
    report jsonb NOT NULL,
    CONSTRAINT verify_runs_findings_check CHECK ((findings >= 0)),
    CONSTRAINT verify_runs_stopped_somewhere CHECK (((stopped_in IS NULL) = (stopped_at IS NULL)))
);

COMMENT ON TABLE public.verify_runs IS 'Results of the scheduled runs of verify; the newest 500 are kept.';

COMMENT ON COLUMN public.verify_runs.walk_id IS 'Shared by the runs that together check everything: the id of the first.';

COMMENT ON COLUMN public.verify_runs.began_at IS 'When it began.';

COMMENT ON COLUMN public.verify_runs.finished_at IS 'When it ended.';

COMMENT ON COLUMN public.verify_runs.stopped_in IS 'The table it was checking when its time ran out; null: the walk is complete.';

COMMENT ON COLUMN public.verify_runs.stopped_at IS 'The last key that it checked; the next run goes on from there.';

COMMENT ON COLUMN public.verify_runs.findings IS 'The number of findings in this walk so far.';

COMMENT ON COLUMN public.verify_runs.report IS 'The findings in this walk so far, by section: counts by kind, and the first few. Ids only.';

CREATE TABLE public.waivers (
    session_id uuid NOT NULL,
    signed_name text NOT NULL,
    version text NOT NULL,
    signed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT waivers_signed_name_check CHECK (((length(signed_name) >= 1) AND (length(signed_name) <= 200)))
);

COMMENT ON TABLE public.waivers IS 'The signatures. No mechanic sees a session without one; the first one counts.';

COMMENT ON COLUMN public.waivers.signed_name IS 'Personal data, as typed.';

COMMENT ON COLUMN public.waivers.version IS 'The version of the text, one of the setting waiver_versions.';

COMMENT ON COLUMN public.waivers.signed_at IS 'When it was signed; before the session was created, if it was signed with an intake paid by card.';

CREATE TABLE public.workshops (
    id uuid DEFAULT public.new_id() NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    change_id uuid,
    changed_by uuid,
    CONSTRAINT workshops_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)))
);

COMMENT ON TABLE public.workshops IS 'A business that employs mechanics; only its mechanics see its own requests.';

COMMENT ON COLUMN public.workshops.name IS 'As shown to customers.';

COMMENT ON COLUMN public.workshops.created_at IS 'When it joined.';

COMMENT ON COLUMN public.workshops.change_id IS 'The id in admin_changes of the last change by an admin.';

COMMENT ON COLUMN public.workshops.changed_by IS 'The sub of the admin who made it; a change without one, such as the owner''s, leaves no row there.';

ALTER TABLE ONLY public.dispute_evidence ALTER COLUMN id SET DEFAULT public.new_id();

ALTER TABLE ONLY public.dispute_evidence ALTER COLUMN state SET DEFAULT 'due'::text;

ALTER TABLE ONLY public.dispute_evidence ALTER COLUMN attempts SET DEFAULT 0;

ALTER TABLE ONLY public.dispute_evidence ALTER COLUMN next_attempt_at SET DEFAULT clock_timestamp();

ALTER TABLE ONLY public.dispute_evidence ALTER COLUMN created_at SET DEFAULT clock_timestamp();

ALTER TABLE ONLY public.payout_reversals ALTER COLUMN id SET DEFAULT public.new_id();

ALTER TABLE ONLY public.payout_reversals ALTER COLUMN state SET DEFAULT 'due'::text;

ALTER TABLE ONLY public.payout_reversals ALTER COLUMN attempts SET DEFAULT 0;

ALTER TABLE ONLY public.payout_reversals ALTER COLUMN next_attempt_at SET DEFAULT clock_timestamp();

ALTER TABLE ONLY public.payout_reversals ALTER COLUMN created_at SET DEFAULT clock_timestamp();

ALTER TABLE ONLY public.payouts ALTER COLUMN id SET DEFAULT public.new_id();

ALTER TABLE ONLY public.payouts ALTER COLUMN state SET DEFAULT 'due'::text;

ALTER TABLE ONLY public.payouts ALTER COLUMN attempts SET DEFAULT 0;

ALTER TABLE ONLY public.payouts ALTER COLUMN next_attempt_at SET DEFAULT clock_timestamp();

ALTER TABLE ONLY public.payouts ALTER COLUMN created_at SET DEFAULT clock_timestamp();

ALTER TABLE ONLY public.refunds ALTER COLUMN id SET DEFAULT public.new_id();

ALTER TABLE ONLY public.refunds ALTER COLUMN state SET DEFAULT 'due'::text;

ALTER TABLE ONLY public.refunds ALTER COLUMN attempts SET DEFAULT 0;

ALTER TABLE ONLY public.refunds ALTER COLUMN next_attempt_at SET DEFAULT clock_timestamp();

ALTER TABLE ONLY public.refunds ALTER COLUMN created_at SET DEFAULT clock_timestamp();

ALTER TABLE ONLY public.address_confirmations
    ADD CONSTRAINT address_confirmations_pkey PRIMARY KEY (user_id, address_hash);

ALTER TABLE ONLY public.address_confirmations
    ADD CONSTRAINT address_confirmations_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.admin_changes
    ADD CONSTRAINT admin_changes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.admin_lookups
    ADD CONSTRAINT admin_lookups_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_object_key_key UNIQUE (object_key);

ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_idempotency_key_key UNIQUE (idempotency_key);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_intake_id_key UNIQUE (intake_id);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_stripe_payment_intent_id_key UNIQUE (stripe_payment_intent_id);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_stripe_session_id_key UNIQUE (stripe_session_id);

ALTER TABLE ONLY public.confirmed_addresses
    ADD CONSTRAINT confirmed_addresses_pkey PRIMARY KEY (user_id, address_hash);

ALTER TABLE ONLY public.contest_parts
    ADD CONSTRAINT contest_parts_pkey PRIMARY KEY (intake_id);

ALTER TABLE ONLY public.contest_parts
    ADD CONSTRAINT contest_parts_refund UNIQUE (intake_id, cents);

ALTER TABLE ONLY public.contests
    ADD CONSTRAINT contests_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.credit_balances
    ADD CONSTRAINT credit_balances_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.credit_packs
    ADD CONSTRAINT credit_packs_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY public.dispute_documents
    ADD CONSTRAINT dispute_documents_pkey PRIMARY KEY (evidence_id, field);

ALTER TABLE ONLY public.dispute_documents
    ADD CONSTRAINT dispute_documents_stripe_file_id_key UNIQUE (stripe_file_id);

ALTER TABLE ONLY public.dispute_evidence
    ADD CONSTRAINT dispute_evidence_dispute_id_key UNIQUE (dispute_id);

ALTER TABLE ONLY public.dispute_evidence
    ADD CONSTRAINT dispute_evidence_idempotency_key_key UNIQUE (idempotency_key);

ALTER TABLE ONLY public.dispute_evidence
    ADD CONSTRAINT dispute_evidence_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.end_explanations
    ADD CONSTRAINT end_explanations_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (user_id, role);

ALTER TABLE ONLY public.extension_settlements
    ADD CONSTRAINT extension_settlements_outcome UNIQUE (extension_id, outcome);

ALTER TABLE ONLY public.extension_settlements
    ADD CONSTRAINT extension_settlements_pkey PRIMARY KEY (extension_id);

ALTER TABLE ONLY public.feed_head
    ADD CONSTRAINT feed_head_pkey PRIMARY KEY (single);

ALTER TABLE ONLY public.feed
    ADD CONSTRAINT feed_once_per_event UNIQUE (event_id, type);

ALTER TABLE ONLY public.feed
    ADD CONSTRAINT feed_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY public.health_alerts
    ADD CONSTRAINT health_alerts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (user_id, key);

ALTER TABLE ONLY public.intakes
    ADD CONSTRAINT intakes_by_customer UNIQUE (customer_id, id);

ALTER TABLE ONLY public.intakes
    ADD CONSTRAINT intakes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.late_replies
    ADD CONSTRAINT late_replies_pkey PRIMARY KEY (assignment_id);

ALTER TABLE ONLY public.ledger_transfer
    ADD CONSTRAINT ledger_transfer_key_key UNIQUE (key);

ALTER TABLE ONLY public.ledger_transfer
    ADD CONSTRAINT ledger_transfer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.legacy_imports
    ADD CONSTRAINT legacy_imports_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.legacy_rows
    ADD CONSTRAINT legacy_rows_pkey PRIMARY KEY (table_name, row_key);

ALTER TABLE ONLY public.limit_counters
    ADD CONSTRAINT limit_counters_pkey PRIMARY KEY (user_id, limit_name);

ALTER TABLE ONLY public.limits
    ADD CONSTRAINT limits_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.mail_deliveries
    ADD CONSTRAINT mail_deliveries_pkey PRIMARY KEY (event_id, user_id);

ALTER TABLE ONLY public.mail_suppressions
    ADD CONSTRAINT mail_suppressions_pkey PRIMARY KEY (address_hash);

ALTER TABLE ONLY public.mechanic_accounts
    ADD CONSTRAINT mechanic_accounts_idempotency_key_key UNIQUE (idempotency_key);

ALTER TABLE ONLY public.mechanic_accounts
    ADD CONSTRAINT mechanic_accounts_pkey PRIMARY KEY (mechanic_id);

ALTER TABLE ONLY public.mechanic_accounts
    ADD CONSTRAINT mechanic_accounts_stripe_account_id_key UNIQUE (stripe_account_id);

ALTER TABLE ONLY public.mechanics
    ADD CONSTRAINT mechanics_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.mechanics
    ADD CONSTRAINT mechanics_referral_code_once UNIQUE (referral_code);

ALTER TABLE ONLY public.mechanics
    ADD CONSTRAINT mechanics_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY public.media_events
    ADD CONSTRAINT media_events_pkey PRIMARY KEY (session_id, meeting, attendee, kind, stated_at);

ALTER TABLE ONLY public.minute_words
    ADD CONSTRAINT minute_words_pkey PRIMARY KEY (session_id, minutes, ends_at);

ALTER TABLE ONLY public.missed_offers
    ADD CONSTRAINT missed_offers_pkey PRIMARY KEY (mechanic_id);

ALTER TABLE ONLY public.netting_consents
    ADD CONSTRAINT netting_consents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.notification_locales
    ADD CONSTRAINT notification_locales_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.notification_preferences
    ADD CONSTRAINT notification_preferences_pkey PRIMARY KEY (user_id, kind);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_once_per_event UNIQUE (event_id, user_id);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (subject_id, id);

ALTER TABLE ONLY public.outbox_poison
    ADD CONSTRAINT outbox_poison_pkey PRIMARY KEY (subject_id, id);

ALTER TABLE ONLY public.payout_holds
    ADD CONSTRAINT payout_holds_pkey PRIMARY KEY (payout_id, reason);

ALTER TABLE ONLY public.payout_reversals
    ADD CONSTRAINT payout_reversals_idempotency_key_key UNIQUE (idempotency_key);

ALTER TABLE ONLY public.payout_reversals
    ADD CONSTRAINT payout_reversals_once UNIQUE (payout_id, dispute_id, booking);

ALTER TABLE ONLY public.payout_reversals
    ADD CONSTRAINT payout_reversals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.payout_reversals
    ADD CONSTRAINT payout_reversals_stripe_reversal_id_key UNIQUE (stripe_reversal_id);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_extension_id_key UNIQUE (extension_id);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_idempotency_key_key UNIQUE (idempotency_key);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_stripe_transfer_id_key UNIQUE (stripe_transfer_id);

ALTER TABLE ONLY public.plans
    ADD CONSTRAINT plans_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.push_deliveries
    ADD CONSTRAINT push_deliveries_pkey PRIMARY KEY (event_id, subscription_id);

ALTER TABLE ONLY public.push_subscriptions
    ADD CONSTRAINT push_subscriptions_endpoint_key UNIQUE (endpoint);

ALTER TABLE ONLY public.push_subscriptions
    ADD CONSTRAINT push_subscriptions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quote_events
    ADD CONSTRAINT quote_events_pkey PRIMARY KEY (quote_id, id);

ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_once_a_workshop UNIQUE (session_id, workshop_id);

ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_one_approved UNIQUE (approved_session_id);

ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.realtime_connections
    ADD CONSTRAINT realtime_connections_pkey PRIMARY KEY (connection_id);

ALTER TABLE ONLY public.realtime_tickets
    ADD CONSTRAINT realtime_tickets_pkey PRIMARY KEY (ticket_hash);

ALTER TABLE ONLY public.receipt_lines
    ADD CONSTRAINT receipt_lines_pkey PRIMARY KEY (ledger_id);

ALTER TABLE ONLY public.receipt_numbers
    ADD CONSTRAINT receipt_numbers_pkey PRIMARY KEY (year);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_numbered_once UNIQUE (year, sequence);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reconcile_runs
    ADD CONSTRAINT reconcile_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_idempotency_key_key UNIQUE (idempotency_key);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_once UNIQUE (intake_id, kind);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_stripe_refund_id_key UNIQUE (stripe_refund_id);

ALTER TABLE ONLY public.repairs
    ADD CONSTRAINT repairs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rooms
    ADD CONSTRAINT rooms_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.schedule_runs
    ADD CONSTRAINT schedule_runs_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.session_assignment_events
    ADD CONSTRAINT session_assignment_events_pkey PRIMARY KEY (session_id, id);

ALTER TABLE ONLY public.session_assignments
    ADD CONSTRAINT session_assignments_attempt UNIQUE (session_id, attempt);

ALTER TABLE ONLY public.session_assignments
    ADD CONSTRAINT session_assignments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.session_events
    ADD CONSTRAINT session_events_pkey PRIMARY KEY (session_id, id);

ALTER TABLE ONLY public.session_extensions
    ADD CONSTRAINT session_extensions_intake_id_key UNIQUE (intake_id);

ALTER TABLE ONLY public.session_extensions
    ADD CONSTRAINT session_extensions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.session_meetings
    ADD CONSTRAINT session_meetings_meeting_id_key UNIQUE (meeting_id);

ALTER TABLE ONLY public.session_meetings
    ADD CONSTRAINT session_meetings_pkey PRIMARY KEY (session_id, attempt, number);

ALTER TABLE ONLY public.session_messages
    ADD CONSTRAINT session_messages_pkey PRIMARY KEY (session_id, seq);

ALTER TABLE ONLY public.session_notes
    ADD CONSTRAINT session_notes_pkey PRIMARY KEY (session_id, mechanic_id);

ALTER TABLE ONLY public.session_participants
    ADD CONSTRAINT session_participants_pkey PRIMARY KEY (session_id, role, since);

ALTER TABLE ONLY public.session_presence
    ADD CONSTRAINT session_presence_pkey PRIMARY KEY (session_id, id);

ALTER TABLE ONLY public.session_summaries
    ADD CONSTRAINT session_summaries_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.settlement_holds
    ADD CONSTRAINT settlement_holds_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.settlements_due
    ADD CONSTRAINT settlements_due_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.settlements
    ADD CONSTRAINT settlements_outcome UNIQUE (session_id, outcome);

ALTER TABLE ONLY public.settlements
    ADD CONSTRAINT settlements_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.stripe_disputes
    ADD CONSTRAINT stripe_disputes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.stripe_events
    ADD CONSTRAINT stripe_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.stripe_movements
    ADD CONSTRAINT stripe_movements_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.stripe_refunds
    ADD CONSTRAINT stripe_refunds_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.stripe_statement
    ADD CONSTRAINT stripe_statement_pkey PRIMARY KEY (account);

ALTER TABLE ONLY public.verify_runs
    ADD CONSTRAINT verify_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.waivers
    ADD CONSTRAINT waivers_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.workshops
    ADD CONSTRAINT workshops_pkey PRIMARY KEY (id);

CREATE INDEX admin_changes_by_nobody ON public.admin_changes USING btree (id) WHERE (actor IS NOT NULL);

CREATE INDEX admin_changes_by_subject ON public.admin_changes USING btree (subject, at, id);

CREATE INDEX admin_lookups_by_session ON public.admin_lookups USING gin (found);

CREATE INDEX attachments_awaited ON public.attachments USING btree (expires_at) WHERE (state = ANY (ARRAY['promised'::text, 'scanning'::text]));

CREATE INDEX attachments_by_session ON public.attachments USING btree (session_id, place) WHERE (session_id IS NOT NULL);

CREATE INDEX attachments_by_user ON public.attachments USING btree (user_id);

CREATE INDEX attachments_kept ON public.attachments USING btree (created_at) WHERE (state <> 'gone'::text);

CREATE INDEX attachments_to_remove ON public.attachments USING btree (state_since) WHERE ((removed_at IS NULL) AND (state = ANY (ARRAY['refused'::text, 'gone'::text])));

CREATE INDEX attachments_unused ON public.attachments USING btree (created_at) WHERE ((session_id IS NULL) AND (state <> 'gone'::text));

CREATE INDEX checkouts_fee_due ON public.checkouts USING btree (COALESCE(fee_due_at, created_at)) WHERE ((fee_booked_at IS NULL) AND (status = ANY (ARRAY['paid'::text, 'unfulfillable'::text])));

CREATE INDEX checkouts_given_back ON public.checkouts USING btree (user_id) WHERE (late_answer = 'give_back'::text);

CREATE INDEX checkouts_minutes ON public.checkouts USING btree (user_id) WHERE ((kind = 'extension'::text) AND (status = ANY (ARRAY['paid'::text, 'unfulfillable'::text])));

CREATE UNIQUE INDEX checkouts_one_intake_at_once ON public.checkouts USING btree (user_id) WHERE ((kind = 'intake'::text) AND (status = ANY (ARRAY['open'::text, 'processing'::text])));

CREATE UNIQUE INDEX checkouts_one_offer_of_a_pack ON public.checkouts USING btree (user_id, pack_code) WHERE ((kind = 'pack'::text) AND (status = 'open'::text));

CREATE INDEX checkouts_packs ON public.checkouts USING btree (user_id) WHERE ((kind = 'pack'::text) AND (status = 'paid'::text));

CREATE INDEX checkouts_refunds_due ON public.checkouts USING btree (refunds_due_at) WHERE (refunds_due_at IS NOT NULL);

CREATE INDEX checkouts_unfinished ON public.checkouts USING btree (checked_at) WHERE (status = ANY (ARRAY['open'::text, 'processing'::text]));

CREATE INDEX contest_parts_by_session ON public.contest_parts USING btree (session_id);

CREATE INDEX contests_undecided ON public.contests USING btree (contested_at) WHERE (outcome IS NULL);

CREATE INDEX customers_by_email ON public.customers USING btree (lower(email) text_pattern_ops);

CREATE INDEX customers_by_phone ON public.customers USING btree (reverse(regexp_replace(phone, '\D'::text, ''::text, 'g'::text)) text_pattern_ops) WHERE (phone IS NOT NULL);

CREATE INDEX customers_by_referrer ON public.customers USING btree (referrer_id) WHERE (referrer_id IS NOT NULL);

CREATE INDEX dispute_evidence_by_checkout ON public.dispute_evidence USING btree (checkout_id);

CREATE INDEX dispute_evidence_open ON public.dispute_evidence USING btree (next_attempt_at) WHERE (state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text]));

CREATE INDEX dispute_evidence_undecided ON public.dispute_evidence USING btree (created_at, id) WHERE (state = ANY (ARRAY['due'::text, 'sending'::text, 'staged'::text, 'failed'::text]));

CREATE INDEX dispute_evidence_unsent ON public.dispute_evidence USING btree (state) WHERE (state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text, 'failed'::text]));

CREATE INDEX feed_by_session ON public.feed USING btree (session_id, session_seq);

CREATE UNIQUE INDEX health_alerts_open ON public.health_alerts USING btree (alert, subject) WHERE (cleared_at IS NULL);

CREATE INDEX health_alerts_unnotified ON public.health_alerts USING btree (id) WHERE ((opened_notified_at IS NULL) OR ((cleared_at IS NOT NULL) AND (cleared_notified_at IS NULL)));

CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (created_at);

CREATE INDEX intakes_by_name ON public.intakes USING gin (to_tsvector('simple'::regconfig, customer_name));

CREATE INDEX ledger_transfer_by_credit ON public.ledger_transfer USING btree (credit_account, id);

CREATE INDEX ledger_transfer_by_debit ON public.ledger_transfer USING btree (debit_account, id);

CREATE INDEX ledger_transfer_by_intake ON public.ledger_transfer USING btree (intake_id) WHERE (intake_id IS NOT NULL);

CREATE INDEX ledger_transfer_by_statement_subject ON public.ledger_transfer USING btree (public.statement_subject(key)) WHERE ((debit_account = 'stripe'::text) OR (credit_account = 'stripe'::text) OR (debit_account = 'disputed'::text) OR (credit_account = 'disputed'::text));

CREATE INDEX ledger_transfer_netting ON public.ledger_transfer USING btree (split_part(key, ':'::text, 2)) WHERE (kind = 'netting'::text);

CREATE INDEX ledger_transfer_owed ON public.ledger_transfer USING btree (intake_id) WHERE ((debit_account ~~ 'mechanic:%:receivable'::text) OR (credit_account ~~ 'mechanic:%:receivable'::text));

CREATE INDEX legacy_rows_by_session ON public.legacy_rows USING btree (session_id) WHERE (session_id IS NOT NULL);

CREATE INDEX legacy_rows_by_user ON public.legacy_rows USING btree (user_id) WHERE (user_id IS NOT NULL);

CREATE INDEX mail_deliveries_recent ON public.mail_deliveries USING brin (claimed_at);

CREATE INDEX mail_deliveries_to_address ON public.mail_deliveries USING btree (address_hash, claimed_at) WHERE (address_hash IS NOT NULL);

CREATE INDEX mail_deliveries_unknown ON public.mail_deliveries USING btree (claimed_at) WHERE (state = 'unknown'::text);

CREATE INDEX mechanics_by_lease ON public.mechanics USING btree (available_until) WHERE (available_until IS NOT NULL);

CREATE INDEX mechanics_by_workshop ON public.mechanics USING btree (workshop_id) WHERE (workshop_id IS NOT NULL);

CREATE INDEX netting_consents_by_mechanic ON public.netting_consents USING btree (mechanic_id, id);

CREATE UNIQUE INDEX netting_consents_one_in_force ON public.netting_consents USING btree (mechanic_id) WHERE (withdrawn_at IS NULL);

CREATE INDEX notifications_by_user ON public.notifications USING btree (user_id, created_at, id);

CREATE INDEX notifications_unread ON public.notifications USING btree (user_id) WHERE (read_at IS NULL);

CREATE INDEX payout_holds_escalations ON public.payout_holds USING btree (held_at) WHERE ((released_at IS NULL) AND (reason = 'escalation'::text));

CREATE INDEX payout_holds_open ON public.payout_holds USING btree (payout_id) WHERE (released_at IS NULL);

CREATE INDEX payout_reversals_by_dispute ON public.payout_reversals USING btree (dispute_id);

CREATE INDEX payout_reversals_open ON public.payout_reversals USING btree (next_attempt_at) WHERE (state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text]));

CREATE INDEX payout_reversals_unsent ON public.payout_reversals USING btree (state) WHERE (state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text, 'failed'::text]));

CREATE INDEX payouts_by_intake ON public.payouts USING btree (intake_id);

CREATE INDEX payouts_by_mechanic ON public.payouts USING btree (mechanic_id, id);

CREATE INDEX payouts_escalations ON public.payouts USING btree (created_at) WHERE (kind = 'escalation'::text);

CREATE UNIQUE INDEX payouts_once ON public.payouts USING btree (session_id, kind, extension_id) NULLS NOT DISTINCT WHERE (kind <> 'returned'::text);

CREATE INDEX payouts_open ON public.payouts USING btree (next_attempt_at) WHERE (state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text]));

CREATE INDEX payouts_reversed ON public.payouts USING btree (session_id) WHERE (state = 'reversed'::text);

CREATE INDEX payouts_unsent ON public.payouts USING btree (state) WHERE (state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text, 'failed'::text]));

CREATE INDEX push_deliveries_by_subscription ON public.push_deliveries USING btree (subscription_id, sent_at);

CREATE INDEX push_deliveries_shown ON public.push_deliveries USING btree (topic) WHERE (withdrawn_at IS NULL);

CREATE INDEX push_subscriptions_by_user ON public.push_subscriptions USING btree (user_id, made_at);

CREATE INDEX quotes_by_mechanic ON public.quotes USING btree (mechanic_id, id);

CREATE INDEX quotes_by_workshop ON public.quotes USING btree (workshop_id, id);

CREATE INDEX realtime_connections_by_mechanic ON public.realtime_connections USING btree (mechanic_id) WHERE (mechanic_id IS NOT NULL);

CREATE INDEX realtime_connections_by_room ON public.realtime_connections USING btree (room) WHERE (room IS NOT NULL);

CREATE INDEX realtime_connections_by_user ON public.realtime_connections USING btree (user_id);

CREATE INDEX receipt_lines_by_receipt ON public.receipt_lines USING btree (receipt_id);

CREATE INDEX receipts_by_checkout ON public.receipts USING btree (checkout_id) WHERE (checkout_id IS NOT NULL);

CREATE INDEX receipts_by_subject ON public.receipts USING btree (subject);

CREATE INDEX receipts_by_user ON public.receipts USING btree (user_id, id);

CREATE INDEX receipts_correcting ON public.receipts USING btree (corrects_id, id) WHERE (corrects_id IS NOT NULL);

CREATE INDEX refunds_given_up ON public.refunds USING btree (created_at) WHERE (kind = ANY (ARRAY['extension'::text, 'unfulfillable'::text]));

CREATE INDEX refunds_open ON public.refunds USING btree (next_attempt_at) WHERE (state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text]));

CREATE INDEX refunds_unsent ON public.refunds USING btree (state) WHERE (state = ANY (ARRAY['due'::text, 'held'::text, 'sending'::text, 'failed'::text]));

CREATE INDEX repairs_by_subject ON public.repairs USING btree (subject, id);

CREATE INDEX rooms_kept ON public.rooms USING btree (session_id) WHERE kept;

CREATE INDEX rooms_kept_moved ON public.rooms USING btree (session_id) WHERE (kept AND (NOT public.is_ordered_by_time(session_id)));

CREATE INDEX session_assignment_events_answers ON public.session_assignment_events USING btree (occurred_at, session_id) WHERE ((from_status = 'offered'::text) AND (to_status = ANY (ARRAY['accepted'::text, 'declined'::text, 'expired'::text])));

CREATE INDEX session_assignments_queue ON public.session_assignments USING btree (precedence, queued_at, id) WHERE (status = ANY (ARRAY['queued'::text, 'offered'::text]));

CREATE INDEX session_events_begun ON public.session_events USING btree (occurred_at, session_id) WHERE (from_status IS NULL);

CREATE INDEX session_events_ended ON public.session_events USING btree (occurred_at, session_id) WHERE ((to_status = ANY (ARRAY['completed'::text, 'cancelled'::text, 'expired'::text])) AND ((from_status = ANY (ARRAY['completed'::text, 'cancelled'::text, 'expired'::text])) IS NOT TRUE));

CREATE INDEX session_extensions_by_session ON public.session_extensions USING btree (session_id, id);

CREATE UNIQUE INDEX session_extensions_one_open ON public.session_extensions USING btree (session_id) WHERE (status = ANY (ARRAY['asked'::text, 'agreed'::text]));

CREATE INDEX session_meetings_running ON public.session_meetings USING btree (asked_at) WHERE (over_at IS NULL);

CREATE INDEX session_messages_notes ON public.session_messages USING btree (session_id, seq) WHERE (role = 'system'::text);

CREATE UNIQUE INDEX session_messages_once ON public.session_messages USING btree (session_id, client_id, role) WHERE (client_id IS NOT NULL);

CREATE INDEX session_participants_by_mechanic ON public.session_participants USING btree (mechanic_id, session_id) WHERE (mechanic_id IS NOT NULL);

CREATE INDEX session_participants_given_back ON public.session_participants USING btree (until) WHERE (until IS NOT NULL);

CREATE UNIQUE INDEX session_presence_open ON public.session_presence USING btree (session_id, role, source, COALESCE(witness, ''::text)) WHERE ((until IS NULL) AND (replaced_at IS NULL));

CREATE INDEX session_summaries_due ON public.session_summaries USING btree (due_at) WHERE (told_at IS NULL);

CREATE INDEX settlement_holds_undecided ON public.settlement_holds USING btree (held_at) WHERE (outcome IS NULL);

CREATE INDEX stripe_disputes_by_payment ON public.stripe_disputes USING btree (payment_intent_id);

CREATE INDEX stripe_disputes_fees_due ON public.stripe_disputes USING btree (fees_due_at) WHERE (fees_due_at IS NOT NULL);

CREATE INDEX stripe_disputes_to_answer ON public.stripe_disputes USING btree (id) WHERE (status = ANY (ARRAY['needs_response'::text, 'warning_needs_response'::text]));

CREATE INDEX stripe_disputes_unbooked ON public.stripe_disputes USING btree (payment_intent_id) WHERE public.dispute_is_behind(status, withdrawn_cents, reinstated_cents, booked, lost_cents);

CREATE INDEX stripe_events_by_object ON public.stripe_events USING btree (object_id, created_at) WHERE (object_id IS NOT NULL);

CREATE INDEX stripe_events_unhandled ON public.stripe_events USING btree (id) WHERE (handled_at IS NULL);

CREATE INDEX stripe_movements_by_charge ON public.stripe_movements USING btree (charge_id) WHERE (charge_id IS NOT NULL);

CREATE INDEX stripe_movements_by_source ON public.stripe_movements USING btree (source) WHERE (source IS NOT NULL);

CREATE INDEX stripe_movements_by_subject ON public.stripe_movements USING btree (subject) WHERE (subject IS NOT NULL);

CREATE INDEX stripe_movements_in_order ON public.stripe_movements USING btree (happened_at, id);

CREATE INDEX stripe_refunds_by_payment ON public.stripe_refunds USING btree (payment_intent_id);

CREATE INDEX stripe_refunds_unbooked ON public.stripe_refunds USING btree (payment_intent_id) WHERE (((NOT failed) AND (booked = 'nothing'::text)) OR (failed AND (booked = ANY (ARRAY['held'::text, 'split'::text]))));

CREATE UNIQUE INDEX uq_active_session_per_customer ON public.sessions USING btree (customer_id) WHERE (ended_at IS NULL);

CREATE UNIQUE INDEX uq_busy_session_per_mechanic ON public.sessions USING btree (mechanic_id) WHERE ((ended_at IS NULL) AND (mechanic_id IS NOT NULL));

CREATE UNIQUE INDEX uq_open_assignment_per_session ON public.session_assignments USING btree (session_id) WHERE (ended_at IS NULL);

CREATE TRIGGER admin_changes_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.admin_changes FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER admin_lookups_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.admin_lookups FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER assignment_opened AFTER UPDATE OF workshop_id ON public.session_assignments FOR EACH ROW WHEN (((old.status = 'queued'::text) AND (new.status = 'queued'::text) AND (old.workshop_id IS NOT NULL) AND (new.workshop_id IS NULL))) EXECUTE FUNCTION public.assignment_opened();

CREATE CONSTRAINT TRIGGER assignments_consistent AFTER INSERT OR UPDATE OF status, mechanic_id ON public.session_assignments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION public.assignments_consistent();

CREATE TRIGGER assignments_guard BEFORE INSERT OR UPDATE ON public.session_assignments FOR EACH ROW EXECUTE FUNCTION public.assignments_guard();

CREATE TRIGGER attachments_are_kept BEFORE DELETE OR TRUNCATE ON public.attachments FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER attachments_guard BEFORE UPDATE ON public.attachments FOR EACH ROW EXECUTE FUNCTION public.attachments_guard();

CREATE TRIGGER audit_grant AFTER INSERT ON public.ledger_transfer FOR EACH ROW WHEN ((new.kind = 'credit_grant'::text)) EXECUTE FUNCTION public.audit_grant();

CREATE TRIGGER audit_grant_begins BEFORE INSERT ON public.ledger_transfer FOR EACH ROW WHEN ((new.kind = 'credit_grant'::text)) EXECUTE FUNCTION public.audit_grant();

CREATE TRIGGER availability_changed AFTER UPDATE OF available_until, status ON public.mechanics FOR EACH ROW WHEN (((old.available_until IS DISTINCT FROM new.available_until) OR (old.status IS DISTINCT FROM new.status))) EXECUTE FUNCTION public.availability_changed();

CREATE TRIGGER checkouts_know_the_address BEFORE INSERT ON public.checkouts FOR EACH ROW EXECUTE FUNCTION public.checkouts_know_the_address();

CREATE TRIGGER contest_holds_stand BEFORE UPDATE OF released_at ON public.payout_holds FOR EACH ROW WHEN (((new.reason = 'contest'::text) AND (new.released_at IS NOT NULL))) EXECUTE FUNCTION public.contest_holds_stand();

CREATE TRIGGER contest_parts_are_kept BEFORE DELETE OR UPDATE OR TRUNCATE ON public.contest_parts FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER contests_are_kept BEFORE DELETE OR TRUNCATE ON public.contests FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER contests_follow AFTER INSERT OR UPDATE ON public.contests FOR EACH ROW EXECUTE FUNCTION public.contests_follow();

CREATE TRIGGER contests_guard BEFORE INSERT OR UPDATE ON public.contests FOR EACH ROW EXECUTE FUNCTION public.contests_guard();

CREATE TRIGGER credit_balance_follows AFTER INSERT ON public.ledger_transfer FOR EACH ROW WHEN ((new.currency = 'credit'::text)) EXECUTE FUNCTION public.credit_balance_follows();

CREATE TRIGGER credit_balances_are_kept BEFORE TRUNCATE ON public.credit_balances FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER credit_balances_follow_the_ledger BEFORE INSERT OR DELETE OR UPDATE ON public.credit_balances FOR EACH STATEMENT WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER credit_packs_audited AFTER INSERT ON public.credit_packs FOR EACH ROW EXECUTE FUNCTION public.audit_change('credit_pack', 'code', '{}');

CREATE TRIGGER credit_packs_audited_again AFTER UPDATE ON public.credit_packs FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.audit_change('credit_pack', 'code', '{}');

CREATE TRIGGER destination_changes BEFORE UPDATE OF stripe_account_id ON public.mechanic_accounts FOR EACH ROW WHEN ((old.stripe_account_id IS DISTINCT FROM new.stripe_account_id)) EXECUTE FUNCTION public.destination_changes();

CREATE TRIGGER destination_holds_payouts AFTER UPDATE OF stripe_account_id ON public.mechanic_accounts FOR EACH ROW WHEN ((old.destination_changed_at IS DISTINCT FROM new.destination_changed_at)) EXECUTE FUNCTION public.destination_holds_payouts();

CREATE TRIGGER dispute_evidence_audited AFTER UPDATE OF change_id ON public.dispute_evidence FOR EACH ROW WHEN (((new.change_id IS DISTINCT FROM old.change_id) AND (new.changed_by IS NOT NULL))) EXECUTE FUNCTION public.dispute_evidence_audited();

CREATE TRIGGER dispute_evidence_forgets AFTER UPDATE OF erased_at ON public.customers FOR EACH ROW WHEN (((old.erased_at IS NULL) AND (new.erased_at IS NOT NULL))) EXECUTE FUNCTION public.dispute_evidence_forgets();

CREATE TRIGGER dispute_evidence_guard BEFORE UPDATE ON public.dispute_evidence FOR EACH ROW EXECUTE FUNCTION public.dispute_evidence_guard();

CREATE TRIGGER dispute_evidence_is_kept BEFORE DELETE OR TRUNCATE ON public.dispute_evidence FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER erased_mechanics_stay BEFORE UPDATE ON public.mechanics FOR EACH ROW WHEN (((old.erased_at IS NOT NULL) AND (old.* IS DISTINCT FROM new.*))) EXECUTE FUNCTION public.erased_mechanics_stay();

CREATE TRIGGER erasures_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.erasures FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER extension_is_over AFTER UPDATE ON public.sessions FOR EACH ROW WHEN (((old.ended_at IS NULL) AND (new.ended_at IS NOT NULL))) EXECUTE FUNCTION public.extension_is_over();

CREATE TRIGGER extension_settlements_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.extension_settlements FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER guard_checkout BEFORE UPDATE OF status ON public.checkouts FOR EACH ROW WHEN ((old.status <> new.status)) EXECUTE FUNCTION public.guard_checkout();

CREATE TRIGGER keep_newest_reconcile_runs AFTER INSERT ON public.reconcile_runs FOR EACH STATEMENT EXECUTE FUNCTION public.keep_newest_reconcile_runs();

CREATE TRIGGER keep_newest_verify_runs AFTER INSERT ON public.verify_runs FOR EACH STATEMENT EXECUTE FUNCTION public.keep_newest_verify_runs();

CREATE TRIGGER lease_outlasts_feed AFTER DELETE ON public.realtime_connections FOR EACH ROW WHEN (((old.mechanic_id IS NOT NULL) AND (old.expires_at > (clock_timestamp() - '00:01:00'::interval)))) EXECUTE FUNCTION public.lease_follows_feed();

CREATE TRIGGER lease_taken_over AFTER INSERT ON public.realtime_connections FOR EACH ROW WHEN ((new.mechanic_id IS NOT NULL)) EXECUTE FUNCTION public.lease_follows_feed();

CREATE TRIGGER ledger_transfer_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_transfer FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER legacy_rows_forget AFTER UPDATE OF erased_at ON public.customers FOR EACH ROW WHEN ((new.erased_at IS NOT NULL)) EXECUTE FUNCTION public.legacy_rows_forget();

CREATE TRIGGER legacy_rows_stay_forgotten BEFORE INSERT OR UPDATE OF content ON public.legacy_rows FOR EACH ROW WHEN ((new.content <> '{}'::jsonb)) EXECUTE FUNCTION public.legacy_rows_stay_forgotten();

CREATE TRIGGER mechanics_audited AFTER INSERT ON public.mechanics FOR EACH ROW EXECUTE FUNCTION public.audit_change('mechanic', 'id', '{name,email,suspension_reason}');

CREATE TRIGGER mechanics_audited_again AFTER UPDATE OF user_id, name, email, workshop_id, status, suspension_reason, change_id ON public.mechanics FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.audit_change('mechanic', 'id', '{name,email,suspension_reason}');

CREATE TRIGGER mechanics_hold_payouts AFTER UPDATE OF status ON public.mechanics FOR EACH ROW WHEN ((old.status <> new.status)) EXECUTE FUNCTION public.mechanics_hold_payouts();

CREATE TRIGGER mechanics_requeue AFTER UPDATE OF status, workshop_id ON public.mechanics FOR EACH ROW WHEN ((((old.status = 'active'::text) AND (new.status = 'suspended'::text)) OR (old.workshop_id IS DISTINCT FROM new.workshop_id))) EXECUTE FUNCTION public.mechanics_requeue();

CREATE TRIGGER media_events_are_kept BEFORE DELETE OR UPDATE OR TRUNCATE ON public.media_events FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER netting_consents_are_kept BEFORE DELETE OR TRUNCATE ON public.netting_consents FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER netting_consents_guard BEFORE UPDATE ON public.netting_consents FOR EACH ROW EXECUTE FUNCTION public.netting_consents_guard();

CREATE TRIGGER netting_is_agreed BEFORE INSERT ON public.ledger_transfer FOR EACH ROW WHEN ((new.kind = 'netting'::text)) EXECUTE FUNCTION public.netting_is_agreed();

CREATE TRIGGER notes_confirmed AFTER INSERT ON public.session_notes FOR EACH ROW WHEN ((new.confirmed_at IS NOT NULL)) EXECUTE FUNCTION public.notes_confirmed();

CREATE TRIGGER notes_confirmed_later AFTER UPDATE OF confirmed_at ON public.session_notes FOR EACH ROW WHEN (((old.confirmed_at IS NULL) AND (new.confirmed_at IS NOT NULL))) EXECUTE FUNCTION public.notes_confirmed();

CREATE TRIGGER offers_are_counted AFTER UPDATE OF status ON public.session_assignments FOR EACH ROW WHEN (((old.status <> new.status) AND ((old.status = 'offered'::text) OR (new.status = 'accepted'::text)))) EXECUTE FUNCTION public.count_missed_offers();

CREATE TRIGGER open_next_assignment AFTER UPDATE ON public.session_assignments FOR EACH ROW WHEN (((old.status <> new.status) AND (new.status = ANY (ARRAY['declined'::text, 'expired'::text])))) EXECUTE FUNCTION public.open_next_assignment();

CREATE CONSTRAINT TRIGGER participants_consistent AFTER DELETE OR UPDATE ON public.session_participants DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION public.participants_consistent();

CREATE TRIGGER payout_holds_audited AFTER INSERT ON public.payout_holds FOR EACH ROW WHEN (((new.held_by IS NOT NULL) OR (CURRENT_USER = 'autodoctor_app'::name))) EXECUTE FUNCTION public.payout_holds_audited();

CREATE TRIGGER payout_holds_audited_again AFTER UPDATE ON public.payout_holds FOR EACH ROW WHEN ((((old.released_at IS DISTINCT FROM new.released_at) OR (old.released_by IS DISTINCT FROM new.released_by)) AND ((
        CASE
            WHEN (new.released_at IS NULL) THEN new.held_by
            ELSE new.released_by
        END IS NOT NULL) OR (CURRENT_USER = 'autodoctor_app'::name)))) EXECUTE FUNCTION public.payout_holds_audited();

CREATE TRIGGER payout_holds_follow AFTER INSERT OR UPDATE OF released_at ON public.payout_holds FOR EACH ROW EXECUTE FUNCTION public.payout_holds_follow();

CREATE TRIGGER payouts_begin_anew_held AFTER UPDATE OF state ON public.payouts FOR EACH ROW WHEN (((old.state = 'cancelled'::text) AND (new.state = ANY (ARRAY['due'::text, 'held'::text])))) EXECUTE FUNCTION public.payouts_begin_held();

CREATE TRIGGER payouts_begin_held AFTER INSERT ON public.payouts FOR EACH ROW EXECUTE FUNCTION public.payouts_begin_held();

CREATE TRIGGER payouts_wait BEFORE INSERT OR UPDATE OF state, next_attempt_at ON public.payouts FOR EACH ROW WHEN ((new.state = ANY (ARRAY['due'::text, 'held'::text]))) EXECUTE FUNCTION public.payouts_wait();

CREATE TRIGGER plans_audited AFTER INSERT ON public.plans FOR EACH ROW EXECUTE FUNCTION public.audit_change('plan', 'code', '{}');

CREATE TRIGGER plans_audited_again AFTER UPDATE ON public.plans FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.audit_change('plan', 'code', '{}');

CREATE TRIGGER presence_guard BEFORE UPDATE ON public.session_presence FOR EACH ROW EXECUTE FUNCTION public.presence_guard();

CREATE TRIGGER price_goes_back AFTER INSERT ON public.settlements FOR EACH ROW WHEN ((new.outcome = ANY (ARRAY['refund'::text, 'return'::text]))) EXECUTE FUNCTION public.price_goes_back();

CREATE TRIGGER price_goes_back AFTER INSERT ON public.stripe_disputes FOR EACH ROW WHEN (public.dispute_is_lost(new.status, new.withdrawn_cents, new.reinstated_cents)) EXECUTE FUNCTION public.price_goes_back();

CREATE TRIGGER price_goes_back AFTER INSERT ON public.stripe_refunds FOR EACH ROW WHEN ((NOT new.failed)) EXECUTE FUNCTION public.price_goes_back();

CREATE TRIGGER price_goes_back_later AFTER UPDATE ON public.stripe_disputes FOR EACH ROW WHEN ((public.dispute_is_lost(new.status, new.withdrawn_cents, new.reinstated_cents) AND (NOT public.dispute_is_lost(old.status, old.withdrawn_cents, old.reinstated_cents)))) EXECUTE FUNCTION public.price_goes_back();

CREATE TRIGGER push_subscriptions_are_few AFTER INSERT OR UPDATE OF user_id ON public.push_subscriptions FOR EACH ROW EXECUTE FUNCTION public.push_subscriptions_are_few();

CREATE TRIGGER quote_events_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.quote_events FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER quotes_are_kept BEFORE DELETE OR TRUNCATE ON public.quotes FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER quotes_forget AFTER UPDATE OF erased_at ON public.customers FOR EACH ROW WHEN (((old.erased_at IS NULL) AND (new.erased_at IS NOT NULL))) EXECUTE FUNCTION public.quotes_forget();

CREATE TRIGGER quotes_guard BEFORE INSERT OR UPDATE ON public.quotes FOR EACH ROW EXECUTE FUNCTION public.quotes_guard();

CREATE TRIGGER receipt_lines_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.receipt_lines FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER receipts_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.receipts FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE CONSTRAINT TRIGGER receipts_follow AFTER INSERT ON public.ledger_transfer DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((public.receipt_part(new.*) IS NOT NULL)) EXECUTE FUNCTION public.receipts_follow();

CREATE TRIGGER referral_is_anothers BEFORE INSERT ON public.customers FOR EACH ROW WHEN ((new.referrer_id IS NOT NULL)) EXECUTE FUNCTION public.referral_stands();

CREATE TRIGGER referral_stands BEFORE UPDATE OF referrer_id, user_id ON public.customers FOR EACH ROW WHEN ((old.referrer_id IS DISTINCT FROM new.referrer_id)) EXECUTE FUNCTION public.referral_stands();

CREATE TRIGGER refund_ends_contest AFTER UPDATE OF state ON public.refunds FOR EACH ROW WHEN (((new.kind = 'contest'::text) AND (new.state = ANY (ARRAY['sent'::text, 'returned'::text])) AND (old.state <> ALL (ARRAY['sent'::text, 'returned'::text])))) EXECUTE FUNCTION public.refund_ends_contest();

CREATE TRIGGER refund_reopens_contest AFTER UPDATE OF state ON public.refunds FOR EACH ROW WHEN (((new.kind = 'contest'::text) AND (old.state = ANY (ARRAY['sent'::text, 'returned'::text])) AND (new.state <> ALL (ARRAY['sent'::text, 'returned'::text])))) EXECUTE FUNCTION public.refund_reopens_contest();

CREATE TRIGGER refunds_tell AFTER UPDATE OF state ON public.refunds FOR EACH ROW WHEN (((old.state <> 'failed'::text) AND (new.state = 'failed'::text))) EXECUTE FUNCTION public.refunds_tell();

CREATE TRIGGER repairs_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.repairs FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER returned_was_here BEFORE INSERT ON public.payouts FOR EACH ROW WHEN ((new.kind = 'returned'::text)) EXECUTE FUNCTION public.returned_was_here();

CREATE TRIGGER session_assignment_events_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.session_assignment_events FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER session_assignment_events_to_outbox AFTER INSERT ON public.session_assignment_events FOR EACH ROW EXECUTE FUNCTION public.transition_to_outbox();

CREATE TRIGGER session_assignments_are_kept BEFORE DELETE OR TRUNCATE ON public.session_assignments FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER session_events_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.session_events FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER session_events_to_outbox AFTER INSERT ON public.session_events FOR EACH ROW EXECUTE FUNCTION public.transition_to_outbox();

CREATE TRIGGER session_extensions_are_kept BEFORE DELETE OR TRUNCATE ON public.session_extensions FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER session_extensions_guard BEFORE UPDATE ON public.session_extensions FOR EACH ROW EXECUTE FUNCTION public.session_extensions_guard();

CREATE TRIGGER session_meetings_are_kept BEFORE DELETE OR TRUNCATE ON public.session_meetings FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER session_messages_are_fixed BEFORE UPDATE ON public.session_messages FOR EACH ROW EXECUTE FUNCTION public.only_words_are_blanked();

CREATE TRIGGER session_messages_are_kept BEFORE DELETE OR TRUNCATE ON public.session_messages FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER session_presence_is_kept BEFORE DELETE OR TRUNCATE ON public.session_presence FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER sessions_are_kept BEFORE DELETE OR TRUNCATE ON public.sessions FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE CONSTRAINT TRIGGER sessions_consistent AFTER INSERT OR UPDATE OF status, mechanic_id, current_assignment_id ON public.sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.sessions_consistent();

CREATE TRIGGER sessions_follow AFTER UPDATE ON public.sessions FOR EACH ROW WHEN (((old.status <> new.status) AND (new.status <> 'live'::text))) EXECUTE FUNCTION public.sessions_follow();

CREATE TRIGGER sessions_guard BEFORE INSERT OR UPDATE ON public.sessions FOR EACH ROW EXECUTE FUNCTION public.sessions_guard();

CREATE TRIGGER sessions_have_a_room AFTER INSERT ON public.sessions FOR EACH ROW EXECUTE FUNCTION public.open_room();

CREATE TRIGGER sessions_room_changes_hands AFTER UPDATE ON public.sessions FOR EACH ROW WHEN (((old.mechanic_id IS NOT NULL) AND (old.mechanic_id IS DISTINCT FROM new.mechanic_id))) EXECUTE FUNCTION public.room_changes_hands();

CREATE TRIGGER sessions_say_so AFTER UPDATE ON public.sessions FOR EACH ROW WHEN (((old.status <> new.status) OR (old.customer_present <> new.customer_present) OR (old.mechanic_present <> new.mechanic_present))) EXECUTE FUNCTION public.room_hears_moves();

CREATE TRIGGER settlement_hold_is_decided BEFORE UPDATE ON public.settlement_holds FOR EACH ROW EXECUTE FUNCTION public.settlement_hold_is_decided();

CREATE TRIGGER settlement_holds_are_kept BEFORE DELETE OR TRUNCATE ON public.settlement_holds FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER settlement_is_due AFTER UPDATE ON public.sessions FOR EACH ROW WHEN (((old.ended_at IS NULL) AND (new.ended_at IS NOT NULL))) EXECUTE FUNCTION public.settlement_is_due();

CREATE TRIGGER settlements_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.settlements FOR EACH STATEMENT EXECUTE FUNCTION public.rows_are_kept();

CREATE TRIGGER summary_is_due AFTER UPDATE ON public.sessions FOR EACH ROW WHEN (((old.ended_at IS NULL) AND (new.ended_at IS NOT NULL))) EXECUTE FUNCTION public.summary_is_due();

CREATE TRIGGER suspension_follows_status BEFORE UPDATE OF status ON public.mechanics FOR EACH ROW WHEN ((old.status IS DISTINCT FROM new.status)) EXECUTE FUNCTION public.suspension_follows_status();

CREATE TRIGGER suspension_is_told AFTER UPDATE OF status ON public.mechanics FOR EACH ROW WHEN (((old.status = 'active'::text) AND (new.status = 'suspended'::text) AND (new.erased_at IS NULL))) EXECUTE FUNCTION public.suspension_is_told();

CREATE TRIGGER workshops_audited AFTER INSERT ON public.workshops FOR EACH ROW EXECUTE FUNCTION public.audit_change('workshop', 'id', '{}');

CREATE TRIGGER workshops_audited_again AFTER UPDATE OF name, change_id ON public.workshops FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.audit_change('workshop', 'id', '{}');

ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.intakes(id);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_intake_id_fkey FOREIGN KEY (intake_id) REFERENCES public.intakes(id);

ALTER TABLE ONLY public.checkouts
    ADD CONSTRAINT checkouts_pack_code_fkey FOREIGN KEY (pack_code) REFERENCES public.credit_packs(code);

ALTER TABLE ONLY public.contest_parts
    ADD CONSTRAINT contest_parts_intake_id_fkey FOREIGN KEY (intake_id) REFERENCES public.intakes(id);

ALTER TABLE ONLY public.contest_parts
    ADD CONSTRAINT contest_parts_of_a_paying_session FOREIGN KEY (own_session_id, settled_outcome) REFERENCES public.settlements(session_id, outcome);

ALTER TABLE ONLY public.contest_parts
    ADD CONSTRAINT contest_parts_of_a_used_extension FOREIGN KEY (extension_id, settled_outcome) REFERENCES public.extension_settlements(extension_id, outcome);

ALTER TABLE ONLY public.contest_parts
    ADD CONSTRAINT contest_parts_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.contests(session_id);

ALTER TABLE ONLY public.contests
    ADD CONSTRAINT contests_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.settlements(session_id);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_referrer_id_fkey FOREIGN KEY (referrer_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.dispute_documents
    ADD CONSTRAINT dispute_documents_evidence_id_fkey FOREIGN KEY (evidence_id) REFERENCES public.dispute_evidence(id);

ALTER TABLE ONLY public.dispute_evidence
    ADD CONSTRAINT dispute_evidence_checkout_id_fkey FOREIGN KEY (checkout_id) REFERENCES public.checkouts(id);

ALTER TABLE ONLY public.dispute_evidence
    ADD CONSTRAINT dispute_evidence_dispute_id_fkey FOREIGN KEY (dispute_id) REFERENCES public.stripe_disputes(id);

ALTER TABLE ONLY public.end_explanations
    ADD CONSTRAINT end_explanations_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.extension_settlements
    ADD CONSTRAINT extension_settlements_extension_id_fkey FOREIGN KEY (extension_id) REFERENCES public.session_extensions(id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_intake_id_fkey FOREIGN KEY (intake_id) REFERENCES public.intakes(id);

ALTER TABLE ONLY public.intakes
    ADD CONSTRAINT intakes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.intakes
    ADD CONSTRAINT intakes_plan_code_fkey FOREIGN KEY (plan_code) REFERENCES public.plans(code);

ALTER TABLE ONLY public.intakes
    ADD CONSTRAINT intakes_preferred_mechanic_id_fkey FOREIGN KEY (preferred_mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.intakes
    ADD CONSTRAINT intakes_referrer_id_fkey FOREIGN KEY (referrer_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.intakes
    ADD CONSTRAINT intakes_workshop_id_fkey FOREIGN KEY (workshop_id) REFERENCES public.workshops(id);

ALTER TABLE ONLY public.late_replies
    ADD CONSTRAINT late_replies_assignment_id_fkey FOREIGN KEY (assignment_id) REFERENCES public.session_assignments(id);

ALTER TABLE ONLY public.ledger_transfer
    ADD CONSTRAINT ledger_transfer_change_id_fkey FOREIGN KEY (change_id) REFERENCES public.admin_changes(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.ledger_transfer
    ADD CONSTRAINT ledger_transfer_intake_id_fkey FOREIGN KEY (intake_id) REFERENCES public.intakes(id);

ALTER TABLE ONLY public.legacy_rows
    ADD CONSTRAINT legacy_rows_import_id_fkey FOREIGN KEY (import_id) REFERENCES public.legacy_imports(id);

ALTER TABLE ONLY public.mechanic_accounts
    ADD CONSTRAINT mechanic_accounts_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.mechanics
    ADD CONSTRAINT mechanics_workshop_id_fkey FOREIGN KEY (workshop_id) REFERENCES public.workshops(id);

ALTER TABLE ONLY public.media_events
    ADD CONSTRAINT media_events_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.media_events
    ADD CONSTRAINT media_events_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.minute_words
    ADD CONSTRAINT minute_words_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.missed_offers
    ADD CONSTRAINT missed_offers_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.netting_consents
    ADD CONSTRAINT netting_consents_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_checkout_id_fkey FOREIGN KEY (checkout_id) REFERENCES public.checkouts(id);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT notifications_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.payout_holds
    ADD CONSTRAINT payout_holds_payout_id_fkey FOREIGN KEY (payout_id) REFERENCES public.payouts(id);

ALTER TABLE ONLY public.payout_reversals
    ADD CONSTRAINT payout_reversals_dispute_id_fkey FOREIGN KEY (dispute_id) REFERENCES public.stripe_disputes(id);

ALTER TABLE ONLY public.payout_reversals
    ADD CONSTRAINT payout_reversals_payout_id_fkey FOREIGN KEY (payout_id) REFERENCES public.payouts(id);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_extension_id_fkey FOREIGN KEY (extension_id) REFERENCES public.session_extensions(id);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_of_a_paying_session FOREIGN KEY (session_id, settled_outcome) REFERENCES public.settlements(session_id, outcome);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_of_a_used_extension FOREIGN KEY (extension_id, extension_outcome) REFERENCES public.extension_settlements(extension_id, outcome);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_of_an_approved_quote FOREIGN KEY (approved_session_id) REFERENCES public.quotes(approved_session_id);

ALTER TABLE ONLY public.payouts
    ADD CONSTRAINT payouts_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.push_deliveries
    ADD CONSTRAINT push_deliveries_subscription_id_fkey FOREIGN KEY (subscription_id) REFERENCES public.push_subscriptions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_given_by_id_fkey FOREIGN KEY (given_by_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_workshop_id_fkey FOREIGN KEY (workshop_id) REFERENCES public.workshops(id);

ALTER TABLE ONLY public.realtime_connections
    ADD CONSTRAINT realtime_connections_room_fkey FOREIGN KEY (room) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.receipt_lines
    ADD CONSTRAINT receipt_lines_ledger_id_fkey FOREIGN KEY (ledger_id) REFERENCES public.ledger_transfer(id);

ALTER TABLE ONLY public.receipt_lines
    ADD CONSTRAINT receipt_lines_receipt_id_fkey FOREIGN KEY (receipt_id) REFERENCES public.receipts(id);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_checkout_id_fkey FOREIGN KEY (checkout_id) REFERENCES public.checkouts(id);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_corrects_id_fkey FOREIGN KEY (corrects_id) REFERENCES public.receipts(id);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_intake_id_fkey FOREIGN KEY (intake_id) REFERENCES public.intakes(id);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_as_a_contest_was_decided FOREIGN KEY (contested_intake_id, amount_cents) REFERENCES public.contest_parts(intake_id, cents);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_as_it_was_settled FOREIGN KEY (intake_id, settled_outcome) REFERENCES public.settlements(session_id, outcome);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_intake_id_fkey FOREIGN KEY (intake_id) REFERENCES public.intakes(id);

ALTER TABLE ONLY public.refunds
    ADD CONSTRAINT refunds_of_an_unused_extension FOREIGN KEY (extension_id, extension_outcome) REFERENCES public.extension_settlements(extension_id, outcome);

ALTER TABLE ONLY public.rooms
    ADD CONSTRAINT rooms_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.session_assignments
    ADD CONSTRAINT session_assignments_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.session_assignments
    ADD CONSTRAINT session_assignments_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.session_assignments
    ADD CONSTRAINT session_assignments_workshop_id_fkey FOREIGN KEY (workshop_id) REFERENCES public.workshops(id);

ALTER TABLE ONLY public.session_extensions
    ADD CONSTRAINT session_extensions_intake_id_fkey FOREIGN KEY (intake_id) REFERENCES public.intakes(id);

ALTER TABLE ONLY public.session_extensions
    ADD CONSTRAINT session_extensions_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.session_meetings
    ADD CONSTRAINT session_meetings_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.session_notes
    ADD CONSTRAINT session_notes_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.session_notes
    ADD CONSTRAINT session_notes_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.session_participants
    ADD CONSTRAINT session_participants_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.session_participants
    ADD CONSTRAINT session_participants_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.session_participants
    ADD CONSTRAINT session_participants_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.session_presence
    ADD CONSTRAINT session_presence_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.session_presence
    ADD CONSTRAINT session_presence_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.session_summaries
    ADD CONSTRAINT session_summaries_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_current_assignment_exists FOREIGN KEY (current_assignment_id) REFERENCES public.session_assignments(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_intake_of_the_customer FOREIGN KEY (customer_id, id) REFERENCES public.intakes(customer_id, id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_mechanic_id_fkey FOREIGN KEY (mechanic_id) REFERENCES public.mechanics(id);

ALTER TABLE ONLY public.settlement_holds
    ADD CONSTRAINT settlement_holds_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.settlements
    ADD CONSTRAINT settlements_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

ALTER TABLE ONLY public.waivers
    ADD CONSTRAINT waivers_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.sessions(id);

GRANT USAGE ON SCHEMA public TO autodoctor_app;

GRANT SELECT ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(role) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(mechanic_id) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(session_id),UPDATE(session_id) ON TABLE public.attachments TO autodoctor_app;

GRANT UPDATE(place) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(object_key) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(content_type) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(bytes) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(expires_at) ON TABLE public.attachments TO autodoctor_app;

GRANT UPDATE(state) ON TABLE public.attachments TO autodoctor_app;

GRANT UPDATE(removed_at) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(name) ON TABLE public.attachments TO autodoctor_app;

GRANT INSERT(sha256) ON TABLE public.attachments TO autodoctor_app;

GRANT SELECT ON TABLE public.sessions TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.sessions TO autodoctor_app;

GRANT INSERT(customer_id) ON TABLE public.sessions TO autodoctor_app;

GRANT INSERT(current_assignment_id) ON TABLE public.sessions TO autodoctor_app;

GRANT INSERT(scheduled_for) ON TABLE public.sessions TO autodoctor_app;

GRANT INSERT(status),UPDATE(status) ON TABLE public.sessions TO autodoctor_app;

GRANT UPDATE(mechanic_id) ON TABLE public.sessions TO autodoctor_app;

GRANT UPDATE(ended_at) ON TABLE public.sessions TO autodoctor_app;

GRANT UPDATE(end_reason) ON TABLE public.sessions TO autodoctor_app;

GRANT UPDATE(absent) ON TABLE public.sessions TO autodoctor_app;

GRANT INSERT(actor),UPDATE(actor) ON TABLE public.sessions TO autodoctor_app;

GRANT INSERT(actor_id),UPDATE(actor_id) ON TABLE public.sessions TO autodoctor_app;

GRANT UPDATE(change_data) ON TABLE public.sessions TO autodoctor_app;

REVOKE ALL ON FUNCTION public.begin_extension(of_extension uuid, session public.sessions) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.blank_room(of_session uuid) FROM PUBLIC;

GRANT SELECT ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(session_id) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(attempt) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(urgent) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(available_at) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(workshop_id) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(status),UPDATE(status) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(mechanic_id),UPDATE(mechanic_id) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(offer_expires_at),UPDATE(offer_expires_at) ON TABLE public.session_assignments TO autodoctor_app;

GRANT UPDATE(decline_reason) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(actor),UPDATE(actor) ON TABLE public.session_assignments TO autodoctor_app;

GRANT INSERT(actor_id),UPDATE(actor_id) ON TABLE public.session_assignments TO autodoctor_app;

GRANT SELECT ON TABLE public.quotes TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.quotes TO autodoctor_app;

GRANT INSERT(session_id) ON TABLE public.quotes TO autodoctor_app;

GRANT INSERT(mechanic_id) ON TABLE public.quotes TO autodoctor_app;

GRANT INSERT(workshop_id) ON TABLE public.quotes TO autodoctor_app;

GRANT INSERT(note) ON TABLE public.quotes TO autodoctor_app;

GRANT UPDATE(status) ON TABLE public.quotes TO autodoctor_app;

GRANT UPDATE(amount_cents) ON TABLE public.quotes TO autodoctor_app;

GRANT UPDATE(description) ON TABLE public.quotes TO autodoctor_app;

GRANT UPDATE(given_by_id) ON TABLE public.quotes TO autodoctor_app;

GRANT INSERT(actor),UPDATE(actor) ON TABLE public.quotes TO autodoctor_app;

GRANT INSERT(actor_id),UPDATE(actor_id) ON TABLE public.quotes TO autodoctor_app;

GRANT SELECT ON TABLE public.outbox TO autodoctor_app;

GRANT UPDATE(attempts) ON TABLE public.outbox TO autodoctor_app;

GRANT UPDATE(error) ON TABLE public.outbox TO autodoctor_app;

GRANT SELECT ON TABLE public.session_assignment_events TO autodoctor_app;

GRANT SELECT ON TABLE public.session_events TO autodoctor_app;

GRANT SELECT ON TABLE public.outbox_events TO autodoctor_app;

GRANT SELECT,DELETE ON TABLE public.settlements_due TO autodoctor_app;

GRANT UPDATE(retry_at) ON TABLE public.settlements_due TO autodoctor_app;

GRANT SELECT ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(intake_id) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(pack_code) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(credits) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(title) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(amount_cents) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(currency) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(request_hash) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(signed_name) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(waiver_version) ON TABLE public.checkouts TO autodoctor_app;

GRANT INSERT(idempotency_key),UPDATE(idempotency_key) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(stripe_session_id) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(stripe_payment_intent_id) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(url) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(status) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(checked_at) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(fee_due_at) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(fee_booked_at) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(refunds_due_at) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(tax_cents) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(processing_since) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(late_since) ON TABLE public.checkouts TO autodoctor_app;

GRANT UPDATE(late_answer) ON TABLE public.checkouts TO autodoctor_app;

REVOKE ALL ON FUNCTION public.count_against(limited text, by_user uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.count_against(limited text, by_user uuid) TO autodoctor_app;

REVOKE ALL ON FUNCTION public.emit_event(event_type text, facts jsonb, subject uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.emit_event(event_type text, facts jsonb, subject uuid) TO autodoctor_app;

REVOKE ALL ON FUNCTION public.erase_customer(customer_user uuid, operator text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.erase_mechanic(mechanic_user uuid, operator text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.extension_intake(of_extension uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.forget_user(of_user uuid) FROM PUBLIC;

GRANT SELECT ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(state) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(waits_for) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(attempts) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(next_attempt_at) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(lease_id) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(idempotency_key) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(keyed_at) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(asked_at) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(asked_cents) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT UPDATE(last_error) ON TABLE public.stripe_jobs TO autodoctor_app;

GRANT SELECT ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(state) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(waits_for) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(attempts) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(next_attempt_at) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(idempotency_key) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(keyed_at) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(last_error) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT INSERT(dispute_id) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT INSERT(checkout_id) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(due_by) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(prepared_at) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(texts) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(gaps) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(proves) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(version) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(staged_version) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(staged_at) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(sends) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(sent_by) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(sent_at) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(submission_count) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(closed_because) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(change_id) ON TABLE public.dispute_evidence TO autodoctor_app;

GRANT UPDATE(changed_by) ON TABLE public.dispute_evidence TO autodoctor_app;

REVOKE ALL ON FUNCTION public.hear(of_session uuid, of_meeting text, of_attendee text, of_role text, of_mechanic uuid, of_kind text, stated timestamp with time zone, earliest timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.hold_share_of(session uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.is_named_anywhere(of_user uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.keep_fold(of_session uuid, of_meeting text, of_attendee text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.leave_medium(of_session uuid, of_role text, at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.medium_changed(session public.sessions, of_role text, of_kind text, at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.medium_is_silent(session public.sessions) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.note_loss(of_session uuid, of_user uuid) FROM PUBLIC;

GRANT SELECT ON TABLE public.session_participants TO autodoctor_app;

GRANT INSERT(session_id) ON TABLE public.session_participants TO autodoctor_app;

GRANT INSERT(role) ON TABLE public.session_participants TO autodoctor_app;

GRANT INSERT(customer_id) ON TABLE public.session_participants TO autodoctor_app;

GRANT SELECT,INSERT ON TABLE public.intakes TO autodoctor_app;

GRANT SELECT ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT INSERT(key) ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT INSERT(debit_account) ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT INSERT(credit_account) ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT INSERT(amount) ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT INSERT(currency) ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT INSERT(intake_id) ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT INSERT(actor_id) ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT INSERT(reason) ON TABLE public.ledger_transfer TO autodoctor_app;

GRANT SELECT ON TABLE public.receipts TO autodoctor_app;

REVOKE ALL ON FUNCTION public.renew_feed() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.republish_events(since timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.requeue_poison() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.room_note(of_session uuid, what text) FROM PUBLIC;

GRANT SELECT ON TABLE public.session_notes TO autodoctor_app;

REVOKE ALL ON FUNCTION public.tell_notes(notes public.session_notes) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.tell_of(event_type text, of_session uuid) FROM PUBLIC;

GRANT SELECT ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(state) ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(waits_for) ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(attempts) ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(next_attempt_at) ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(idempotency_key) ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(keyed_at) ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(asked_cents) ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(last_error) ON TABLE public.refunds TO autodoctor_app;

GRANT INSERT(intake_id) ON TABLE public.refunds TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.refunds TO autodoctor_app;

GRANT INSERT(amount_cents) ON TABLE public.refunds TO autodoctor_app;

GRANT INSERT(currency) ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(stripe_refund_id) ON TABLE public.refunds TO autodoctor_app;

GRANT UPDATE(sent_at) ON TABLE public.refunds TO autodoctor_app;

REVOKE ALL ON FUNCTION public.write_note(of_session uuid, what text) FROM PUBLIC;

GRANT SELECT ON TABLE public.address_confirmations TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.address_confirmations TO autodoctor_app;

GRANT INSERT(address_hash) ON TABLE public.address_confirmations TO autodoctor_app;

GRANT INSERT(token_hash),UPDATE(token_hash) ON TABLE public.address_confirmations TO autodoctor_app;

GRANT INSERT(expires_at),UPDATE(expires_at) ON TABLE public.address_confirmations TO autodoctor_app;

GRANT SELECT ON TABLE public.admin_changes TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.admin_changes TO autodoctor_app;

GRANT INSERT(actor_id) ON TABLE public.admin_changes TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.admin_changes TO autodoctor_app;

GRANT INSERT(subject) ON TABLE public.admin_changes TO autodoctor_app;

GRANT INSERT(changed) ON TABLE public.admin_changes TO autodoctor_app;

GRANT INSERT(before) ON TABLE public.admin_changes TO autodoctor_app;

GRANT INSERT(after) ON TABLE public.admin_changes TO autodoctor_app;

GRANT SELECT ON TABLE public.admin_lookups TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.admin_lookups TO autodoctor_app;

GRANT INSERT(actor_id) ON TABLE public.admin_lookups TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.admin_lookups TO autodoctor_app;

GRANT INSERT(found) ON TABLE public.admin_lookups TO autodoctor_app;

GRANT SELECT ON TABLE public.health_alerts TO autodoctor_app;

GRANT INSERT(alert) ON TABLE public.health_alerts TO autodoctor_app;

GRANT INSERT(subject) ON TABLE public.health_alerts TO autodoctor_app;

GRANT INSERT(severity),UPDATE(severity) ON TABLE public.health_alerts TO autodoctor_app;

GRANT INSERT(since) ON TABLE public.health_alerts TO autodoctor_app;

GRANT INSERT(facts),UPDATE(facts) ON TABLE public.health_alerts TO autodoctor_app;

GRANT UPDATE(cleared_at) ON TABLE public.health_alerts TO autodoctor_app;

GRANT UPDATE(opened_notified_at) ON TABLE public.health_alerts TO autodoctor_app;

GRANT UPDATE(cleared_notified_at) ON TABLE public.health_alerts TO autodoctor_app;

GRANT UPDATE(claimed_until) ON TABLE public.health_alerts TO autodoctor_app;

GRANT SELECT ON TABLE public.settlements TO autodoctor_app;

GRANT INSERT(session_id) ON TABLE public.settlements TO autodoctor_app;

GRANT INSERT(outcome) ON TABLE public.settlements TO autodoctor_app;

GRANT INSERT(facts) ON TABLE public.settlements TO autodoctor_app;

GRANT SELECT ON TABLE public.alert_completed_without_settlement TO autodoctor_app;

GRANT SELECT ON TABLE public.payout_holds TO autodoctor_app;

GRANT INSERT(payout_id) ON TABLE public.payout_holds TO autodoctor_app;

GRANT INSERT(reason) ON TABLE public.payout_holds TO autodoctor_app;

GRANT INSERT(note),UPDATE(note) ON TABLE public.payout_holds TO autodoctor_app;

GRANT INSERT(held_by),UPDATE(held_by) ON TABLE public.payout_holds TO autodoctor_app;

GRANT UPDATE(held_at) ON TABLE public.payout_holds TO autodoctor_app;

GRANT UPDATE(released_by) ON TABLE public.payout_holds TO autodoctor_app;

GRANT UPDATE(released_at) ON TABLE public.payout_holds TO autodoctor_app;

GRANT SELECT ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(state) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(waits_for) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(attempts) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(next_attempt_at) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(last_error) ON TABLE public.payouts TO autodoctor_app;

GRANT INSERT(session_id) ON TABLE public.payouts TO autodoctor_app;

GRANT INSERT(mechanic_id) ON TABLE public.payouts TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.payouts TO autodoctor_app;

GRANT INSERT(extension_id) ON TABLE public.payouts TO autodoctor_app;

GRANT INSERT(amount_cents) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(withheld_cents) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(netted_cents) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(sent_cents) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(reversed_cents) ON TABLE public.payouts TO autodoctor_app;

GRANT INSERT(currency) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(stripe_transfer_id) ON TABLE public.payouts TO autodoctor_app;

GRANT UPDATE(sent_at) ON TABLE public.payouts TO autodoctor_app;

GRANT SELECT ON TABLE public.alert_money TO autodoctor_app;

GRANT SELECT ON TABLE public.alert_stuck_live TO autodoctor_app;

GRANT SELECT ON TABLE public.alert_waiting_too_long TO autodoctor_app;

GRANT SELECT ON TABLE public.alert_wrongly_marked TO autodoctor_app;

GRANT SELECT ON TABLE public.confirmed_addresses TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.confirmed_addresses TO autodoctor_app;

GRANT INSERT(address_hash) ON TABLE public.confirmed_addresses TO autodoctor_app;

GRANT SELECT ON TABLE public.contest_parts TO autodoctor_app;

GRANT SELECT ON TABLE public.contests TO autodoctor_app;

GRANT INSERT(session_id) ON TABLE public.contests TO autodoctor_app;

GRANT INSERT(reason) ON TABLE public.contests TO autodoctor_app;

GRANT INSERT(words) ON TABLE public.contests TO autodoctor_app;

GRANT UPDATE(answer) ON TABLE public.contests TO autodoctor_app;

GRANT UPDATE(outcome) ON TABLE public.contests TO autodoctor_app;

GRANT UPDATE(refund_cents) ON TABLE public.contests TO autodoctor_app;

GRANT UPDATE(refund_credits) ON TABLE public.contests TO autodoctor_app;

GRANT UPDATE(note) ON TABLE public.contests TO autodoctor_app;

GRANT UPDATE(decided_by) ON TABLE public.contests TO autodoctor_app;

GRANT UPDATE(change_id) ON TABLE public.contests TO autodoctor_app;

GRANT SELECT ON TABLE public.credit_balances TO autodoctor_app;

GRANT SELECT ON TABLE public.credit_packs TO autodoctor_app;

GRANT INSERT(code) ON TABLE public.credit_packs TO autodoctor_app;

GRANT INSERT(name),UPDATE(name) ON TABLE public.credit_packs TO autodoctor_app;

GRANT INSERT(credits),UPDATE(credits) ON TABLE public.credit_packs TO autodoctor_app;

GRANT INSERT(price_cents),UPDATE(price_cents) ON TABLE public.credit_packs TO autodoctor_app;

GRANT INSERT(active),UPDATE(active) ON TABLE public.credit_packs TO autodoctor_app;

GRANT INSERT(change_id),UPDATE(change_id) ON TABLE public.credit_packs TO autodoctor_app;

GRANT INSERT(changed_by),UPDATE(changed_by) ON TABLE public.credit_packs TO autodoctor_app;

GRANT SELECT ON TABLE public.customers TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.customers TO autodoctor_app;

GRANT INSERT(name),UPDATE(name) ON TABLE public.customers TO autodoctor_app;

GRANT INSERT(email),UPDATE(email) ON TABLE public.customers TO autodoctor_app;

GRANT INSERT(phone),UPDATE(phone) ON TABLE public.customers TO autodoctor_app;

GRANT INSERT(referrer_id),UPDATE(referrer_id) ON TABLE public.customers TO autodoctor_app;

GRANT SELECT,DELETE ON TABLE public.dispute_documents TO autodoctor_app;

GRANT INSERT(evidence_id) ON TABLE public.dispute_documents TO autodoctor_app;

GRANT INSERT(field) ON TABLE public.dispute_documents TO autodoctor_app;

GRANT INSERT(content) ON TABLE public.dispute_documents TO autodoctor_app;

GRANT UPDATE(stripe_file_id) ON TABLE public.dispute_documents TO autodoctor_app;

GRANT SELECT ON TABLE public.end_explanations TO autodoctor_app;

GRANT INSERT(session_id) ON TABLE public.end_explanations TO autodoctor_app;

GRANT INSERT(actor_id) ON TABLE public.end_explanations TO autodoctor_app;

GRANT INSERT(text) ON TABLE public.end_explanations TO autodoctor_app;

GRANT SELECT ON TABLE public.extension_settlements TO autodoctor_app;

GRANT INSERT(extension_id) ON TABLE public.extension_settlements TO autodoctor_app;

GRANT INSERT(outcome) ON TABLE public.extension_settlements TO autodoctor_app;

GRANT INSERT(facts) ON TABLE public.extension_settlements TO autodoctor_app;

GRANT SELECT,INSERT,DELETE ON TABLE public.feed TO autodoctor_app;

GRANT UPDATE(sent_at) ON TABLE public.feed TO autodoctor_app;

GRANT SELECT ON TABLE public.feed_head TO autodoctor_app;

GRANT UPDATE(seq) ON TABLE public.feed_head TO autodoctor_app;

GRANT UPDATE(pruned_through) ON TABLE public.feed_head TO autodoctor_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_keys TO autodoctor_app;

GRANT SELECT ON TABLE public.late_replies TO autodoctor_app;

GRANT SELECT ON TABLE public.limits TO autodoctor_app;

GRANT SELECT ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT INSERT(payment_intent_id) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT INSERT(amount_cents) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT INSERT(currency) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT INSERT(status),UPDATE(status) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT INSERT(withdrawn_cents),UPDATE(withdrawn_cents) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT INSERT(reinstated_cents),UPDATE(reinstated_cents) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT UPDATE(booked) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT UPDATE(lost_cents) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT UPDATE(part) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT UPDATE(bookings) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT UPDATE(fees_due_at) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT UPDATE(updated_at) ON TABLE public.stripe_disputes TO autodoctor_app;

GRANT SELECT ON TABLE public.stripe_refunds TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.stripe_refunds TO autodoctor_app;

GRANT INSERT(payment_intent_id) ON TABLE public.stripe_refunds TO autodoctor_app;

GRANT INSERT(amount_cents) ON TABLE public.stripe_refunds TO autodoctor_app;

GRANT INSERT(pending),UPDATE(pending) ON TABLE public.stripe_refunds TO autodoctor_app;

GRANT INSERT(failed),UPDATE(failed) ON TABLE public.stripe_refunds TO autodoctor_app;

GRANT UPDATE(booked) ON TABLE public.stripe_refunds TO autodoctor_app;

GRANT UPDATE(part) ON TABLE public.stripe_refunds TO autodoctor_app;

GRANT UPDATE(bookings) ON TABLE public.stripe_refunds TO autodoctor_app;

GRANT SELECT ON TABLE public.losses TO autodoctor_app;

GRANT SELECT ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT INSERT(event_id) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT INSERT(claim_id),UPDATE(claim_id) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT UPDATE(claimed_at) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT INSERT(state),UPDATE(state) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT INSERT(address_hash),UPDATE(address_hash) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT UPDATE(message_id) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT INSERT(error),UPDATE(error) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT INSERT(settled_at),UPDATE(settled_at) ON TABLE public.mail_deliveries TO autodoctor_app;

GRANT SELECT ON TABLE public.mail_suppressions TO autodoctor_app;

GRANT INSERT(address_hash) ON TABLE public.mail_suppressions TO autodoctor_app;

GRANT INSERT(reason) ON TABLE public.mail_suppressions TO autodoctor_app;

GRANT INSERT(at) ON TABLE public.mail_suppressions TO autodoctor_app;

GRANT INSERT(feedback) ON TABLE public.mail_suppressions TO autodoctor_app;

GRANT SELECT ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT INSERT(mechanic_id) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT INSERT(idempotency_key),UPDATE(idempotency_key) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(keyed_at) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(asked) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(stripe_account_id) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(former_account_ids) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(transfers_enabled) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(payouts_enabled) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(details_submitted) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(stripe_as_of) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(bank_as_of) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(doubtful) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(closed) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT UPDATE(updated_at) ON TABLE public.mechanic_accounts TO autodoctor_app;

GRANT SELECT ON TABLE public.mechanics TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.mechanics TO autodoctor_app;

GRANT INSERT(name),UPDATE(name) ON TABLE public.mechanics TO autodoctor_app;

GRANT INSERT(email),UPDATE(email) ON TABLE public.mechanics TO autodoctor_app;

GRANT INSERT(workshop_id),UPDATE(workshop_id) ON TABLE public.mechanics TO autodoctor_app;

GRANT UPDATE(status) ON TABLE public.mechanics TO autodoctor_app;

GRANT UPDATE(suspension_reason) ON TABLE public.mechanics TO autodoctor_app;

GRANT UPDATE(available_until) ON TABLE public.mechanics TO autodoctor_app;

GRANT INSERT(change_id),UPDATE(change_id) ON TABLE public.mechanics TO autodoctor_app;

GRANT INSERT(changed_by),UPDATE(changed_by) ON TABLE public.mechanics TO autodoctor_app;

GRANT SELECT,INSERT,DELETE ON TABLE public.realtime_connections TO autodoctor_app;

GRANT UPDATE(ready) ON TABLE public.realtime_connections TO autodoctor_app;

GRANT UPDATE(seen_at) ON TABLE public.realtime_connections TO autodoctor_app;

GRANT UPDATE(heard_at) ON TABLE public.realtime_connections TO autodoctor_app;

GRANT UPDATE(queue_position) ON TABLE public.realtime_connections TO autodoctor_app;

GRANT SELECT ON TABLE public.mechanics_on_duty TO autodoctor_app;

GRANT SELECT ON TABLE public.media_events TO autodoctor_app;

GRANT SELECT ON TABLE public.metric_completion TO autodoctor_app;

GRANT SELECT ON TABLE public.metric_duration TO autodoctor_app;

GRANT SELECT ON TABLE public.metric_no_show TO autodoctor_app;

GRANT SELECT ON TABLE public.minute_words TO autodoctor_app;

GRANT SELECT ON TABLE public.missed_offers TO autodoctor_app;

GRANT SELECT ON TABLE public.netting_consents TO autodoctor_app;

GRANT INSERT(mechanic_id) ON TABLE public.netting_consents TO autodoctor_app;

GRANT INSERT(version) ON TABLE public.netting_consents TO autodoctor_app;

GRANT INSERT(words) ON TABLE public.netting_consents TO autodoctor_app;

GRANT UPDATE(withdrawn_at) ON TABLE public.netting_consents TO autodoctor_app;

GRANT SELECT ON TABLE public.notification_locales TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.notification_locales TO autodoctor_app;

GRANT INSERT(locale),UPDATE(locale) ON TABLE public.notification_locales TO autodoctor_app;

GRANT UPDATE(updated_at) ON TABLE public.notification_locales TO autodoctor_app;

GRANT SELECT ON TABLE public.notification_preferences TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.notification_preferences TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.notification_preferences TO autodoctor_app;

GRANT INSERT(email),UPDATE(email) ON TABLE public.notification_preferences TO autodoctor_app;

GRANT INSERT(in_app),UPDATE(in_app) ON TABLE public.notification_preferences TO autodoctor_app;

GRANT INSERT(push),UPDATE(push) ON TABLE public.notification_preferences TO autodoctor_app;

GRANT UPDATE(updated_at) ON TABLE public.notification_preferences TO autodoctor_app;

GRANT SELECT ON TABLE public.notifications TO autodoctor_app;

GRANT INSERT(user_id) ON TABLE public.notifications TO autodoctor_app;

GRANT INSERT(event_id) ON TABLE public.notifications TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.notifications TO autodoctor_app;

GRANT INSERT(session_id) ON TABLE public.notifications TO autodoctor_app;

GRANT INSERT(checkout_id) ON TABLE public.notifications TO autodoctor_app;

GRANT INSERT(data) ON TABLE public.notifications TO autodoctor_app;

GRANT INSERT(created_at) ON TABLE public.notifications TO autodoctor_app;

GRANT UPDATE(read_at) ON TABLE public.notifications TO autodoctor_app;

GRANT SELECT ON TABLE public.outbox_poison TO autodoctor_app;

GRANT SELECT ON TABLE public.paused_mechanics TO autodoctor_app;

GRANT SELECT ON TABLE public.payout_reversals TO autodoctor_app;

GRANT UPDATE(state) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT UPDATE(waits_for) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT UPDATE(attempts) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT UPDATE(next_attempt_at) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT UPDATE(last_error) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT INSERT(payout_id) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT INSERT(dispute_id) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT INSERT(booking) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT INSERT(amount_cents) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT UPDATE(stripe_reversal_id) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT UPDATE(done_at) ON TABLE public.payout_reversals TO autodoctor_app;

GRANT SELECT ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(code) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(name),UPDATE(name) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(session_types) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(price_cents),UPDATE(price_cents) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(credits),UPDATE(credits) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(included_minutes),UPDATE(included_minutes) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(max_minutes),UPDATE(max_minutes) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(mechanic_share_bp),UPDATE(mechanic_share_bp) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(mechanic_fixed_pay_cents),UPDATE(mechanic_fixed_pay_cents) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(uses_per_customer),UPDATE(uses_per_customer) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(minute_packs),UPDATE(minute_packs) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(change_id),UPDATE(change_id) ON TABLE public.plans TO autodoctor_app;

GRANT INSERT(changed_by),UPDATE(changed_by) ON TABLE public.plans TO autodoctor_app;

GRANT SELECT,DELETE ON TABLE public.push_deliveries TO autodoctor_app;

GRANT INSERT(subscription_id) ON TABLE public.push_deliveries TO autodoctor_app;

GRANT INSERT(event_id) ON TABLE public.push_deliveries TO autodoctor_app;

GRANT INSERT(topic) ON TABLE public.push_deliveries TO autodoctor_app;

GRANT INSERT(kind) ON TABLE public.push_deliveries TO autodoctor_app;

GRANT UPDATE(withdrawn_at) ON TABLE public.push_deliveries TO autodoctor_app;

GRANT SELECT,DELETE ON TABLE public.push_subscriptions TO autodoctor_app;

GRANT INSERT(user_id),UPDATE(user_id) ON TABLE public.push_subscriptions TO autodoctor_app;

GRANT INSERT(endpoint) ON TABLE public.push_subscriptions TO autodoctor_app;

GRANT INSERT(public_key),UPDATE(public_key) ON TABLE public.push_subscriptions TO autodoctor_app;

GRANT INSERT(secret),UPDATE(secret) ON TABLE public.push_subscriptions TO autodoctor_app;

GRANT UPDATE(made_at) ON TABLE public.push_subscriptions TO autodoctor_app;

GRANT UPDATE(called_at) ON TABLE public.push_subscriptions TO autodoctor_app;

GRANT SELECT ON TABLE public.quote_events TO autodoctor_app;

GRANT SELECT,INSERT,DELETE ON TABLE public.realtime_tickets TO autodoctor_app;

GRANT SELECT ON TABLE public.receipt_lines TO autodoctor_app;

GRANT SELECT ON TABLE public.receipt_numbers TO autodoctor_app;

GRANT SELECT ON TABLE public.receivables TO autodoctor_app;

GRANT SELECT ON TABLE public.reconcile_runs TO autodoctor_app;

GRANT INSERT(started_at) ON TABLE public.reconcile_runs TO autodoctor_app;

GRANT INSERT(since) ON TABLE public.reconcile_runs TO autodoctor_app;

GRANT INSERT(finished) ON TABLE public.reconcile_runs TO autodoctor_app;

GRANT INSERT(found) ON TABLE public.reconcile_runs TO autodoctor_app;

GRANT INSERT(report) ON TABLE public.reconcile_runs TO autodoctor_app;

GRANT SELECT ON TABLE public.repairs TO autodoctor_app;

GRANT SELECT ON TABLE public.rooms TO autodoctor_app;

GRANT SELECT,INSERT ON TABLE public.schedule_runs TO autodoctor_app;

GRANT UPDATE(started_at) ON TABLE public.schedule_runs TO autodoctor_app;

GRANT UPDATE(finished_at) ON TABLE public.schedule_runs TO autodoctor_app;

GRANT UPDATE(failed) ON TABLE public.schedule_runs TO autodoctor_app;

GRANT SELECT ON TABLE public.schema_migrations TO autodoctor_app;

GRANT SELECT ON TABLE public.session_extensions TO autodoctor_app;

GRANT SELECT ON TABLE public.session_meetings TO autodoctor_app;

GRANT SELECT ON TABLE public.session_messages TO autodoctor_app;

GRANT SELECT ON TABLE public.session_presence TO autodoctor_app;

GRANT SELECT ON TABLE public.session_summaries TO autodoctor_app;

GRANT SELECT ON TABLE public.sessions_needing_review TO autodoctor_app;

GRANT SELECT ON TABLE public.settings TO autodoctor_app;

GRANT SELECT ON TABLE public.settlement_holds TO autodoctor_app;

GRANT UPDATE(outcome) ON TABLE public.settlement_holds TO autodoctor_app;

GRANT UPDATE(note) ON TABLE public.settlement_holds TO autodoctor_app;

GRANT UPDATE(decided_at) ON TABLE public.settlement_holds TO autodoctor_app;

GRANT UPDATE(decided_by) ON TABLE public.settlement_holds TO autodoctor_app;

GRANT UPDATE(change_id) ON TABLE public.settlement_holds TO autodoctor_app;

GRANT SELECT ON TABLE public.stripe_events TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.stripe_events TO autodoctor_app;

GRANT INSERT(endpoint) ON TABLE public.stripe_events TO autodoctor_app;

GRANT INSERT(type) ON TABLE public.stripe_events TO autodoctor_app;

GRANT INSERT(account) ON TABLE public.stripe_events TO autodoctor_app;

GRANT INSERT(object_id) ON TABLE public.stripe_events TO autodoctor_app;

GRANT INSERT(livemode) ON TABLE public.stripe_events TO autodoctor_app;

GRANT INSERT(created_at) ON TABLE public.stripe_events TO autodoctor_app;

GRANT UPDATE(handled_at) ON TABLE public.stripe_events TO autodoctor_app;

GRANT UPDATE(outcome) ON TABLE public.stripe_events TO autodoctor_app;

GRANT SELECT ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(type) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(flow) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(source) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(subject) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(claimed) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(amount) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(fee) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(currency) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(livemode) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(happened_at) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(charge_id) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(payment_intent_id) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(transfer_id) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(destination) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(checkout_id) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(intake_id) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(refund_id) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT INSERT(payout_id) ON TABLE public.stripe_movements TO autodoctor_app;

GRANT SELECT ON TABLE public.stripe_statement TO autodoctor_app;

GRANT INSERT(whole_until),UPDATE(whole_until) ON TABLE public.stripe_statement TO autodoctor_app;

GRANT SELECT ON TABLE public.verify_runs TO autodoctor_app;

GRANT INSERT(walk_id) ON TABLE public.verify_runs TO autodoctor_app;

GRANT INSERT(began_at) ON TABLE public.verify_runs TO autodoctor_app;

GRANT INSERT(stopped_in) ON TABLE public.verify_runs TO autodoctor_app;

GRANT INSERT(stopped_at) ON TABLE public.verify_runs TO autodoctor_app;

GRANT INSERT(findings) ON TABLE public.verify_runs TO autodoctor_app;

GRANT INSERT(report) ON TABLE public.verify_runs TO autodoctor_app;

GRANT SELECT ON TABLE public.waivers TO autodoctor_app;

GRANT INSERT(session_id) ON TABLE public.waivers TO autodoctor_app;

GRANT INSERT(signed_name) ON TABLE public.waivers TO autodoctor_app;

GRANT INSERT(version) ON TABLE public.waivers TO autodoctor_app;

GRANT INSERT(signed_at) ON TABLE public.waivers TO autodoctor_app;

GRANT SELECT ON TABLE public.workshops TO autodoctor_app;

GRANT INSERT(id) ON TABLE public.workshops TO autodoctor_app;

GRANT INSERT(name),UPDATE(name) ON TABLE public.workshops TO autodoctor_app;

GRANT INSERT(change_id),UPDATE(change_id) ON TABLE public.workshops TO autodoctor_app;

GRANT INSERT(changed_by),UPDATE(changed_by) ON TABLE public.workshops TO autodoctor_app;
