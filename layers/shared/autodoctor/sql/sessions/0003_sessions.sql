-- Sessions, their assignments, participants, waivers, and the audit trail.

CREATE FUNCTION is_terminal(status text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT status IN ('completed', 'cancelled', 'expired')
$$;
COMMENT ON FUNCTION is_terminal(text) IS
  'Whether a session with this status is over; autodoctor.domain.lifecycle says the same. Constraints and indexes below spell it out, so that the planner sees it.';

-- Columns that a transition changes come last: WAL holds the part that differs from the old row, cut from both ends.
CREATE TABLE sessions (
  id                     uuid PRIMARY KEY,
  customer_id            uuid NOT NULL REFERENCES customers (id),
  current_assignment_id  uuid NOT NULL,
  created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  scheduled_for          timestamptz,
  released_at            timestamptz,
  customer_present       boolean NOT NULL DEFAULT false,
  mechanic_present       boolean NOT NULL DEFAULT false,
  customer_claims        boolean NOT NULL DEFAULT false,
  mechanic_claims        boolean NOT NULL DEFAULT false,
  status                 text NOT NULL DEFAULT 'pending',
  mechanic_id            uuid REFERENCES mechanics (id),
  accepted_at            timestamptz,
  customer_joined_at     timestamptz,
  mechanic_joined_at     timestamptz,
  started_at             timestamptz,
  parted_at              timestamptz,
  ended_at               timestamptz,
  end_reason             text,
  absent                 text,
  ended_by               text,
  together_seconds       numeric(12, 6),
  min_billable_seconds   integer,
  min_messages_each      integer,
  late_minutes           integer,
  actor                  text,
  actor_id               uuid,
  change_data            jsonb,

  CONSTRAINT sessions_intake_of_the_customer FOREIGN KEY (customer_id, id) REFERENCES intakes (customer_id, id),
  CONSTRAINT sessions_status_known CHECK (status IN
    ('scheduled', 'pending', 'waiting', 'live', 'completed', 'cancelled', 'expired')),
  CONSTRAINT sessions_end_is_complete CHECK (
    (status IN ('completed', 'cancelled', 'expired'))
    = (ended_at IS NOT NULL AND end_reason IS NOT NULL AND ended_by IS NOT NULL AND min_billable_seconds IS NOT NULL
       AND min_messages_each IS NOT NULL AND late_minutes IS NOT NULL)),
  CONSTRAINT sessions_reason_fits_status CHECK (CASE status
    WHEN 'completed' THEN end_reason = 'billable'
    WHEN 'cancelled' THEN end_reason IN ('too_short', 'no_talk', 'no_show', 'withdrawn')
    WHEN 'expired'   THEN end_reason = 'expired'
    ELSE end_reason IS NULL END),
  CONSTRAINT sessions_completed_iff_long_enough CHECK (
    status NOT IN ('completed', 'cancelled', 'expired')
    OR (status = 'completed')
       = (started_at IS NOT NULL AND together_seconds >= min_billable_seconds)),
  CONSTRAINT sessions_together_once_over CHECK (
    (together_seconds IS NOT NULL) = (started_at IS NOT NULL AND ended_at IS NOT NULL)
    AND together_seconds BETWEEN 0 AND extract(epoch FROM ended_at - started_at)),
  CONSTRAINT sessions_reason_fits_history CHECK (CASE end_reason
    WHEN 'too_short' THEN started_at IS NOT NULL
    WHEN 'no_talk'   THEN started_at IS NOT NULL
    WHEN 'no_show'   THEN started_at IS NULL AND mechanic_id IS NOT NULL AND absent IS NOT NULL
    WHEN 'withdrawn' THEN started_at IS NULL
    WHEN 'expired'   THEN started_at IS NULL
    ELSE true END),
  CONSTRAINT sessions_mechanic_fits_status CHECK (CASE status
    WHEN 'scheduled' THEN mechanic_id IS NULL
    WHEN 'pending'   THEN mechanic_id IS NULL
    WHEN 'waiting'   THEN mechanic_id IS NOT NULL
    WHEN 'live'      THEN mechanic_id IS NOT NULL
    WHEN 'completed' THEN mechanic_id IS NOT NULL
    ELSE true END),
  CONSTRAINT sessions_start_is_proven CHECK (
    (status <> 'live' OR started_at IS NOT NULL)
    AND (started_at IS NULL OR (customer_joined_at IS NOT NULL AND mechanic_joined_at IS NOT NULL))
    AND (started_at IS NULL OR status IN ('live', 'completed', 'cancelled'))),
  CONSTRAINT sessions_times_in_order CHECK (ended_at >= started_at),
  CONSTRAINT sessions_scheduled_has_a_time CHECK (status <> 'scheduled' OR scheduled_for IS NOT NULL),
  CONSTRAINT sessions_ended_by_known CHECK (ended_by IN ('customer', 'mechanic', 'admin', 'system')),
  CONSTRAINT sessions_absent_known CHECK (absent IN ('customer', 'mechanic', 'both')),
  CONSTRAINT sessions_actor_is_consumed CHECK (num_nonnulls(actor, actor_id, change_data) = 0)
);
-- One active session per customer, one session at a time per mechanic (SPEC.md#invariant-1, SPEC.md#invariant-8).
-- Not by status: a session is active while ended_at is null, and a predicate that a transition does not touch
-- lets waiting -> live be a HOT update.
CREATE UNIQUE INDEX uq_active_session_per_customer ON sessions (customer_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX uq_busy_session_per_mechanic ON sessions (mechanic_id)
  WHERE ended_at IS NULL AND mechanic_id IS NOT NULL;
-- Histories are found through intakes and session_participants, whose rows do not change with every transition.
COMMENT ON TABLE sessions IS
  'One consultation of a customer with a mechanic. Every change of state is an UPDATE of this row, which is therefore the lock. Triggers keep the assignment, the participants and the audit trail in step.';
COMMENT ON COLUMN sessions.id IS 'The same as the id of its intake.';
COMMENT ON COLUMN sessions.current_assignment_id IS 'The one current assignment, or the last one of an ended session.';
COMMENT ON COLUMN sessions.created_at IS 'When the intake committed.';
COMMENT ON COLUMN sessions.scheduled_for IS 'When the consultation is wanted; null for now.';
COMMENT ON COLUMN sessions.released_at IS 'When a scheduled session came due; its age counts from here.';
COMMENT ON COLUMN sessions.customer_present IS 'Whether the customer is there: by a claim, a live socket in the room, or the medium.';
COMMENT ON COLUMN sessions.mechanic_present IS 'Whether the mechanic is there, likewise.';
COMMENT ON COLUMN sessions.customer_claims IS 'Whether the customer is there by a join that names no connection, and has not left since.';
COMMENT ON COLUMN sessions.mechanic_claims IS 'The same of the mechanic.';
COMMENT ON COLUMN sessions.status IS 'scheduled, pending, waiting, live, completed, cancelled or expired; moves only as session_may_move() says.';
COMMENT ON COLUMN sessions.mechanic_id IS 'The mechanic who accepted; null before, and again after a release.';
COMMENT ON COLUMN sessions.accepted_at IS 'When the present mechanic accepted.';
COMMENT ON COLUMN sessions.customer_joined_at IS 'First join of the customer.';
COMMENT ON COLUMN sessions.mechanic_joined_at IS 'First join of the present mechanic.';
COMMENT ON COLUMN sessions.started_at IS 'First instant at which both were present.';
COMMENT ON COLUMN sessions.parted_at IS 'Last instant at which both were present; null while both are.';
COMMENT ON COLUMN sessions.ended_at IS 'The end: the last instant both were present, or the plan''s maximum; the instant of the request if it never started.';
COMMENT ON COLUMN sessions.end_reason IS 'billable, too_short, no_talk, no_show, withdrawn or expired.';
COMMENT ON COLUMN sessions.absent IS 'The party that was not there while the other waited, if the reason is no_show: customer, mechanic or both.';
COMMENT ON COLUMN sessions.ended_by IS 'customer, mechanic, admin (an operator too) or system.';
COMMENT ON COLUMN sessions.together_seconds IS 'How long they were together, as far as the evidence counts: the sum of its stretches; null if it never started.';
COMMENT ON COLUMN sessions.min_billable_seconds IS 'The threshold that was in force when the session ended.';
COMMENT ON COLUMN sessions.min_messages_each IS 'The setting that was in force when the session ended.';
COMMENT ON COLUMN sessions.late_minutes IS 'The same.';
COMMENT ON COLUMN sessions.actor IS 'Write-only. Who makes this change: customer, mechanic, admin, system:JOB or operator:NAME. The guard moves it to the audit row and leaves null; a statement that sets none is recorded as db:ROLE.';
COMMENT ON COLUMN sessions.actor_id IS 'Write-only: the user''s id (sub), if a user acts.';
COMMENT ON COLUMN sessions.change_data IS 'Write-only: facts of the change that belong in its audit row.';
CREATE TRIGGER sessions_are_kept BEFORE DELETE OR TRUNCATE ON sessions
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT,
      INSERT (id, customer_id, current_assignment_id, scheduled_for, status, actor, actor_id),
      UPDATE (status, mechanic_id, ended_at, end_reason, absent, actor, actor_id, change_data)
  ON sessions TO autodoctor_app;

CREATE TABLE session_assignments (
  id                uuid PRIMARY KEY DEFAULT new_id(),
  session_id        uuid NOT NULL REFERENCES sessions (id),
  attempt           integer NOT NULL DEFAULT 1 CHECK (attempt > 0),
  urgent            boolean NOT NULL DEFAULT false,
  precedence        smallint NOT NULL DEFAULT 2 CHECK (precedence BETWEEN -1 AND 2),
  available_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  workshop_id       uuid REFERENCES workshops (id),
  declined_by       uuid[],
  queued_at         timestamptz,
  status            text NOT NULL,
  mechanic_id       uuid REFERENCES mechanics (id),
  offer_expires_at  timestamptz,
  ended_at          timestamptz,
  decline_reason    text CHECK (length(decline_reason) BETWEEN 1 AND 500),
  actor             text,
  actor_id          uuid,

  CONSTRAINT session_assignments_attempt UNIQUE (session_id, attempt),
  CONSTRAINT session_assignments_status_known CHECK (status IN
    ('pending_waiver', 'queued', 'offered', 'accepted', 'declined', 'completed', 'cancelled', 'expired')),
  CONSTRAINT session_assignments_queued_is_unassigned CHECK (
    status NOT IN ('pending_waiver', 'queued') OR (mechanic_id IS NULL AND offer_expires_at IS NULL)),
  CONSTRAINT session_assignments_queued_has_a_time CHECK (
    status NOT IN ('queued', 'offered', 'accepted', 'declined', 'completed') OR queued_at IS NOT NULL),
  CONSTRAINT session_assignments_offer_is_complete CHECK (
    status NOT IN ('offered', 'declined') OR (mechanic_id IS NOT NULL AND offer_expires_at IS NOT NULL)),
  CONSTRAINT session_assignments_accepted_by_somebody CHECK (
    status NOT IN ('accepted', 'completed') OR mechanic_id IS NOT NULL),
  CONSTRAINT session_assignments_end_is_stamped CHECK (
    (status IN ('declined', 'completed', 'cancelled', 'expired')) = (ended_at IS NOT NULL)),
  CONSTRAINT session_assignments_reason_of_a_decline CHECK (decline_reason IS NULL OR status = 'declined'),
  CONSTRAINT session_assignments_actor_is_consumed CHECK (num_nonnulls(actor, actor_id) = 0)
);
-- An assignment that left the queue stays in its index until a vacuum: run one after this many, not after a fifth of the table.
ALTER TABLE session_assignments SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
-- One open assignment per session (SPEC.md#invariant-2). Not by status, or the planner would take this index for the
-- queue's, read every open assignment and sort.
CREATE UNIQUE INDEX uq_open_assignment_per_session ON session_assignments (session_id)
  WHERE ended_at IS NULL;
-- The queue, in the order it is shown.
CREATE INDEX session_assignments_queue ON session_assignments (precedence, queued_at, id)
  WHERE status IN ('queued', 'offered');
ALTER TABLE sessions ADD CONSTRAINT sessions_current_assignment_exists
  FOREIGN KEY (current_assignment_id) REFERENCES session_assignments (id) DEFERRABLE INITIALLY DEFERRED;
COMMENT ON TABLE session_assignments IS 'One attempt to give a session to a mechanic; a session has a history of them and one current one.';
COMMENT ON COLUMN session_assignments.attempt IS '1 for the first, one more after each decline, lapsed offer or release.';
COMMENT ON COLUMN session_assignments.urgent IS 'Whether the customer calls it urgent.';
COMMENT ON COLUMN session_assignments.precedence IS 'The queue lists lower ones first, see queue_precedence(), and before them -1: a mechanic left the customer waiting; set when the assignment is made, by trigger.';
COMMENT ON COLUMN session_assignments.available_at IS 'Not shown before this instant (a scheduled session''s lead time).';
COMMENT ON COLUMN session_assignments.workshop_id IS 'Only this workshop''s mechanics see it; null: every mechanic.';
COMMENT ON COLUMN session_assignments.declined_by IS 'Mechanics who declined this session before or gave it back, or whom its customer had replaced; they do not see it again; null: nobody.';
COMMENT ON COLUMN session_assignments.queued_at IS 'When the customer began to wait; inherited by the next assignment.';
COMMENT ON COLUMN session_assignments.status IS 'pending_waiver, queued, offered, accepted, declined, completed, cancelled or expired; moves only as assignment_may_move() says.';
COMMENT ON COLUMN session_assignments.mechanic_id IS 'The mechanic to whom it is offered, or who accepted.';
COMMENT ON COLUMN session_assignments.offer_expires_at IS 'The end of the reservation for mechanic_id; set on every assignment that was an offer.';
COMMENT ON COLUMN session_assignments.ended_at IS 'When it stopped being open.';
COMMENT ON COLUMN session_assignments.decline_reason IS 'Why the mechanic declined, in their words; personal data, so not in the audit trail.';
COMMENT ON COLUMN session_assignments.actor IS 'Write-only, as in sessions.';
COMMENT ON COLUMN session_assignments.actor_id IS 'Write-only, as in sessions.';
CREATE TRIGGER session_assignments_are_kept BEFORE DELETE OR TRUNCATE ON session_assignments
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT,
      INSERT (id, session_id, attempt, urgent, available_at, workshop_id, status, mechanic_id, offer_expires_at,
              actor, actor_id),
      UPDATE (status, mechanic_id, offer_expires_at, decline_reason, actor, actor_id)
  ON session_assignments TO autodoctor_app;

CREATE TABLE session_participants (
  session_id   uuid NOT NULL REFERENCES sessions (id),
  role         text NOT NULL CHECK (role IN ('customer', 'mechanic')),
  since        timestamptz NOT NULL DEFAULT clock_timestamp(),
  customer_id  uuid REFERENCES customers (id),
  mechanic_id  uuid REFERENCES mechanics (id),
  until        timestamptz,
  PRIMARY KEY (session_id, role, since),
  CONSTRAINT session_participants_fits_role CHECK (
    (role = 'customer') = (customer_id IS NOT NULL) AND (role = 'mechanic') = (mechanic_id IS NOT NULL))
);
CREATE INDEX session_participants_by_mechanic ON session_participants (mechanic_id, session_id) WHERE mechanic_id IS NOT NULL;
CREATE INDEX session_participants_given_back ON session_participants (until) WHERE until IS NOT NULL;
COMMENT ON TABLE session_participants IS 'The people of a session, and from when to when; a mechanic who released it has an until.';
COMMENT ON COLUMN session_participants.role IS 'customer or mechanic.';
COMMENT ON COLUMN session_participants.since IS 'The start of the participation.';
COMMENT ON COLUMN session_participants.until IS 'The end of the participation; null while it lasts.';
GRANT SELECT, INSERT (session_id, role, customer_id) ON session_participants TO autodoctor_app;

CREATE TABLE waivers (
  session_id   uuid PRIMARY KEY REFERENCES sessions (id),
  signed_name  text NOT NULL CHECK (length(signed_name) BETWEEN 1 AND 200),
  version      text NOT NULL,
  signed_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE waivers IS 'The signatures. No mechanic sees a session without one; the first one counts.';
COMMENT ON COLUMN waivers.signed_name IS 'Personal data, as typed.';
COMMENT ON COLUMN waivers.version IS 'The version of the text, one of the setting waiver_versions.';
COMMENT ON COLUMN waivers.signed_at IS 'When it was signed; before the session was created, if it was signed with an intake paid by card.';
GRANT SELECT, INSERT (session_id, signed_name, version, signed_at) ON waivers TO autodoctor_app;

-- One sequence for both audit tables orders all transitions of a session: the session's row is locked while a
-- number is drawn, so within a session the order of numbers is the order of commits.
CREATE SEQUENCE event_sequence;

-- The audit tables have no foreign keys: only triggers on the rows that they describe write them,
-- some before such a row is inserted, and no session is ever deleted.
CREATE TABLE session_events (
  session_id   uuid NOT NULL,
  id           bigint NOT NULL DEFAULT nextval('event_sequence'),
  occurred_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor_id     uuid,
  actor        text NOT NULL DEFAULT 'db:' || session_user,
  from_status  text,
  to_status    text NOT NULL,
  data         jsonb,
  PRIMARY KEY (session_id, id)
);
CREATE INDEX session_events_begun ON session_events (occurred_at, session_id) WHERE from_status IS NULL;
CREATE INDEX session_events_ended ON session_events (occurred_at, session_id)
  WHERE to_status IN ('completed', 'cancelled', 'expired')
    AND (from_status IN ('completed', 'cancelled', 'expired')) IS NOT TRUE; -- a correction is not a second end
COMMENT ON TABLE session_events IS
  'The audit trail of sessions. Only triggers write it: the application role cannot insert, and nobody can change or delete rows.';
COMMENT ON COLUMN session_events.id IS 'Order of writing.';
COMMENT ON COLUMN session_events.occurred_at IS 'When, by the database''s clock, after the session''s row was locked.';
COMMENT ON COLUMN session_events.actor_id IS 'The user''s id (sub), if a user acted.';
COMMENT ON COLUMN session_events.actor IS 'Who acted, as in sessions.actor.';
COMMENT ON COLUMN session_events.from_status IS 'Null for the creation.';
COMMENT ON COLUMN session_events.to_status IS 'The status that the session got.';
COMMENT ON COLUMN session_events.data IS 'Further facts; no person''s words, as nothing erases them here.';
CREATE TRIGGER session_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON session_events
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON session_events TO autodoctor_app;

-- What witnesses saw, and what parties claim: intervals, so that the time both were there is arithmetic.
CREATE TABLE session_presence (
  session_id   uuid NOT NULL REFERENCES sessions (id),
  id           bigint NOT NULL DEFAULT nextval('event_sequence'),
  since        timestamptz NOT NULL,
  recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  mechanic_id  uuid REFERENCES mechanics (id),
  role         text NOT NULL CHECK (role IN ('customer', 'mechanic')),
  source       text NOT NULL CHECK (source IN ('room', 'medium', 'mutual', 'claim')),
  witness      text,
  until        timestamptz,
  closed_at    timestamptz,
  replaced_at  timestamptz,
  PRIMARY KEY (session_id, id),
  CONSTRAINT session_presence_fits_role CHECK ((role = 'mechanic') = (mechanic_id IS NOT NULL)),
  CONSTRAINT session_presence_fits_source CHECK ((source = 'claim') = (witness IS NULL)),
  CONSTRAINT session_presence_in_order CHECK (until >= since),
  CONSTRAINT session_presence_closing_is_complete CHECK ((until IS NULL) = (closed_at IS NULL))
);
CREATE UNIQUE INDEX session_presence_open ON session_presence (session_id, role, source, coalesce(witness, ''))
  WHERE until IS NULL AND replaced_at IS NULL;
COMMENT ON TABLE session_presence IS
  'The evidence: from when to when a party was there, and who says so. Written by functions only; a row changes when it is closed, reopened within a second, or replaced.';
COMMENT ON COLUMN session_presence.id IS 'Order of writing, among the audit rows too.';
COMMENT ON COLUMN session_presence.since IS 'The start, by the witness''s clock, within what we know.';
COMMENT ON COLUMN session_presence.recorded_at IS 'When we learned of it.';
COMMENT ON COLUMN session_presence.mechanic_id IS 'The mechanic, if the role is mechanic.';
COMMENT ON COLUMN session_presence.role IS 'The party: customer or mechanic.';
COMMENT ON COLUMN session_presence.source IS
  'room: a live socket bound to the room; medium: who carries sound and picture; mutual: packets that each received from the other; claim: the party''s own word.';
COMMENT ON COLUMN session_presence.witness IS 'The connection or attendee; null for a claim.';
COMMENT ON COLUMN session_presence.until IS 'The end; null while it lasts.';
COMMENT ON COLUMN session_presence.closed_at IS 'When we learned of the end.';
COMMENT ON COLUMN session_presence.replaced_at IS 'When we learned that it was otherwise, as the medium''s events came out of order; null: it counts.';
GRANT SELECT ON session_presence TO autodoctor_app;

CREATE FUNCTION presence_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION presence_guard() IS 'Allows these changes of a stretch of presence: its closing, its reopening within a second or so, and that one of the medium is replaced.';
CREATE TRIGGER presence_guard BEFORE UPDATE ON session_presence FOR EACH ROW EXECUTE FUNCTION presence_guard();
CREATE TRIGGER session_presence_is_kept BEFORE DELETE OR TRUNCATE ON session_presence
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();

CREATE FUNCTION takes_evidence(of_session uuid, of_role text, of_mechanic uuid, by_source text) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT count(*) < 1000 FROM session_presence p
   WHERE p.session_id = of_session AND p.role = of_role AND p.mechanic_id IS NOT DISTINCT FROM of_mechanic
     AND p.source = by_source
$$;
COMMENT ON FUNCTION takes_evidence(uuid, text, uuid, text) IS
  'Whether a session takes another stretch of this party by this source: at most 1,000, so that no witness uses up what another one needs.';

CREATE FUNCTION open_presence(of_session uuid, of_role text, of_mechanic uuid, by_source text, by_witness text,
                              at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION open_presence(uuid, text, uuid, text, text, timestamptz) IS
  'Begins a stretch of presence, unless it lasts already; one that ended less than a second ago goes on, unless the mechanic has taken the session anew; nothing beyond what takes_evidence() allows. The caller has locked the session''s row.';

CREATE FUNCTION close_presence(of_session uuid, of_role text, sources text[], by_witness text, at timestamptz)
RETURNS void LANGUAGE sql AS $$
  UPDATE session_presence SET until = greatest(since, least(at, clock_timestamp())), closed_at = clock_timestamp()
   WHERE session_id = of_session AND role = of_role AND until IS NULL AND replaced_at IS NULL AND source = ANY (sources)
     AND (by_witness IS NULL OR witness = by_witness)
$$;
COMMENT ON FUNCTION close_presence(uuid, text, text[], text, timestamptz) IS
  'Ends the stretches of a party that last, of these sources, by this witness or by all; at the given instant, if it is past.';

CREATE TABLE session_assignment_events (
  session_id     uuid NOT NULL,
  id             bigint NOT NULL DEFAULT nextval('event_sequence'),
  occurred_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  assignment_id  uuid NOT NULL,
  actor_id       uuid,
  actor          text NOT NULL DEFAULT 'db:' || session_user,
  from_status    text,
  to_status      text NOT NULL,
  data           jsonb,
  PRIMARY KEY (session_id, id)
);
-- The index stays small: most requests are taken from the queue, not offered.
CREATE INDEX session_assignment_events_answers ON session_assignment_events (occurred_at, session_id)
  WHERE from_status = 'offered' AND to_status IN ('accepted', 'declined', 'expired');
COMMENT ON TABLE session_assignment_events IS 'The audit trail of assignments, written by triggers only.';
COMMENT ON COLUMN session_assignment_events.id IS 'Order of writing.';
COMMENT ON COLUMN session_assignment_events.occurred_at IS 'When, by the database''s clock.';
COMMENT ON COLUMN session_assignment_events.actor_id IS 'The user''s id (sub), if a user acted.';
COMMENT ON COLUMN session_assignment_events.actor IS 'Who acted, as in sessions.actor.';
COMMENT ON COLUMN session_assignment_events.from_status IS 'Null for the creation.';
COMMENT ON COLUMN session_assignment_events.data IS 'What an import or a repair says of it; no person''s words, as nothing erases them here.';
CREATE TRIGGER session_assignment_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON session_assignment_events
  FOR EACH STATEMENT EXECUTE FUNCTION rows_are_kept();
GRANT SELECT ON session_assignment_events TO autodoctor_app;
