-- What users are told by e-mail and in the application.
--
-- No address stands in these tables: who is written to is looked up when a mail is sent, and the suppression list
-- knows addresses by their SHA-256 only. Nor does a name: texts are made when they are read.

CREATE TABLE notifications (
  id           uuid PRIMARY KEY DEFAULT new_id(),
  user_id      uuid NOT NULL,
  event_id     uuid NOT NULL,
  kind         text NOT NULL,
  session_id   uuid REFERENCES sessions (id),
  checkout_id  uuid REFERENCES checkouts (id),
  data         jsonb NOT NULL,
  created_at   timestamptz NOT NULL,
  read_at      timestamptz,
  CONSTRAINT notifications_once_per_event UNIQUE (event_id, user_id),
  -- a payment that never became a session, or that was for credits, is known by its checkout
  CONSTRAINT notifications_tell_of_one_thing CHECK (num_nonnulls(session_id, checkout_id) = 1)
);
CREATE INDEX notifications_by_user ON notifications (user_id, created_at, id);
CREATE INDEX notifications_unread ON notifications (user_id) WHERE read_at IS NULL;
COMMENT ON TABLE notifications IS 'What a user is told in the application; the text is made from kind and data when it is read.';
COMMENT ON COLUMN notifications.user_id IS 'The sub of the user''s token.';
COMMENT ON COLUMN notifications.event_id IS 'What it tells of; a second delivery of the event adds nothing.';
COMMENT ON COLUMN notifications.kind IS 'As autodoctor.notifications.kinds lists them.';
COMMENT ON COLUMN notifications.session_id IS 'The session it tells of; null where it tells of a payment that became none.';
COMMENT ON COLUMN notifications.checkout_id IS 'The payment it tells of; null where it tells of a session.';
COMMENT ON COLUMN notifications.data IS 'Ids and facts as they were then, no names.';
COMMENT ON COLUMN notifications.created_at IS 'When it happened, not when it was told: events may arrive out of order.';
COMMENT ON COLUMN notifications.read_at IS 'When the user first marked it as read; null: unread.';
GRANT SELECT,
      INSERT (user_id, event_id, kind, session_id, checkout_id, data, created_at),
      UPDATE (read_at)
  ON notifications TO autodoctor_app;

CREATE FUNCTION address_hash(address text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT sha256(convert_to(lower(address COLLATE "C"), 'UTF8'))
$$;
COMMENT ON FUNCTION address_hash(text) IS 'SHA-256 of the address in lower case, by which the suppression list knows it.';

CREATE TABLE mail_deliveries (
  event_id      uuid NOT NULL,
  user_id       uuid NOT NULL,
  claim_id      uuid NOT NULL,
  claimed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind          text NOT NULL,
  state         text NOT NULL,
  address_hash  bytea CHECK (length(address_hash) = 32),
  message_id    text,
  error         text,
  settled_at    timestamptz,
  PRIMARY KEY (event_id, user_id),
  CONSTRAINT mail_deliveries_state_known CHECK (state IN ('claimed', 'sent', 'failed', 'suppressed', 'unknown')),
  CONSTRAINT mail_deliveries_sent_has_a_message CHECK (state <> 'sent' OR message_id IS NOT NULL),
  CONSTRAINT mail_deliveries_settled_has_a_time CHECK ((state = 'claimed') = (settled_at IS NULL)),
  CONSTRAINT mail_deliveries_why_not CHECK (state NOT IN ('failed', 'suppressed', 'unknown') OR error IS NOT NULL)
);
CREATE INDEX mail_deliveries_unknown ON mail_deliveries (claimed_at) WHERE state = 'unknown';
CREATE INDEX mail_deliveries_to_address ON mail_deliveries (address_hash, claimed_at) WHERE address_hash IS NOT NULL;
CREATE INDEX mail_deliveries_to_user ON mail_deliveries (user_id, claimed_at) WHERE address_hash IS NOT NULL;
COMMENT ON TABLE mail_deliveries IS 'One row per mail, committed before SES is asked to send it: whoever finds one does not send another.';
COMMENT ON COLUMN mail_deliveries.user_id IS 'To whom: the sub of the token, never an address.';
COMMENT ON COLUMN mail_deliveries.claim_id IS 'Who claimed it last: one attempt to handle the event, which alone may say how it ended.';
COMMENT ON COLUMN mail_deliveries.claimed_at IS 'When it was last claimed.';
COMMENT ON COLUMN mail_deliveries.kind IS 'As in notifications.';
COMMENT ON COLUMN mail_deliveries.state IS
  'claimed: SES is being asked; sent: SES took it; failed: SES surely did not, so it may be claimed again; suppressed: not to be sent (see error); unknown: SES may or may not have taken it, never sent again.';
COMMENT ON COLUMN mail_deliveries.address_hash IS
  'Where it goes, as address_hash() makes it, for counting; null: it does not count (payouts, payments that are paid back, what is suppressed).';
COMMENT ON COLUMN mail_deliveries.message_id IS 'SES''s id of the message, by which its events name it.';
COMMENT ON COLUMN mail_deliveries.error IS
  'failed, unknown: the type of the error. suppressed: preference, superseded, erased, no_address, unusable_address, bounce, complaint or too_many.';
COMMENT ON COLUMN mail_deliveries.settled_at IS 'When it stopped being claimed.';
GRANT SELECT,
      INSERT (event_id, user_id, claim_id, kind, state, address_hash, error, settled_at),
      UPDATE (claim_id, claimed_at, state, address_hash, message_id, error, settled_at)
  ON mail_deliveries TO autodoctor_app;

CREATE TABLE mail_suppressions (
  address_hash  bytea PRIMARY KEY CHECK (length(address_hash) = 32),
  reason        text NOT NULL CHECK (reason IN ('bounce', 'complaint')),
  at            timestamptz NOT NULL,
  feedback      jsonb NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mail_suppressions IS
  'Addresses that are not written to again. An operator who knows better deletes the row of address_hash(''...'').';
COMMENT ON COLUMN mail_suppressions.address_hash IS 'As address_hash() makes it; the address itself is not kept, so that erasing a customer leaves nothing of it.';
COMMENT ON COLUMN mail_suppressions.reason IS 'bounce: no such mailbox; complaint: the reader called it spam.';
COMMENT ON COLUMN mail_suppressions.at IS 'When, by SES.';
COMMENT ON COLUMN mail_suppressions.feedback IS 'What SES said: the ids of feedback and message, the type and subtype.';
COMMENT ON COLUMN mail_suppressions.created_at IS 'When it was entered.';
GRANT SELECT, INSERT (address_hash, reason, at, feedback) ON mail_suppressions TO autodoctor_app;

CREATE TABLE notification_preferences (
  user_id     uuid NOT NULL,
  kind        text NOT NULL,
  email       boolean NOT NULL,
  in_app      boolean NOT NULL,
  updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (user_id, kind)
);
COMMENT ON TABLE notification_preferences IS 'What a user wants to be told and how; what has no row is told both ways.';
COMMENT ON COLUMN notification_preferences.kind IS 'As in notifications.';
COMMENT ON COLUMN notification_preferences.email IS 'By e-mail.';
COMMENT ON COLUMN notification_preferences.in_app IS 'In the application.';
COMMENT ON COLUMN notification_preferences.updated_at IS 'When it was last set.';
GRANT SELECT,
      INSERT (user_id, kind, email, in_app),
      UPDATE (email, in_app, updated_at)
  ON notification_preferences TO autodoctor_app;

CREATE TABLE notification_locales (
  user_id     uuid PRIMARY KEY,
  locale      text NOT NULL CHECK (locale ~ '^[a-z]{2}$'),
  updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE notification_locales IS 'The language a user is written to in; English without a row.';
COMMENT ON COLUMN notification_locales.locale IS 'A folder of autodoctor/notifications/locales.';
COMMENT ON COLUMN notification_locales.updated_at IS 'When it was last set.';
GRANT SELECT, INSERT (user_id, locale), UPDATE (locale, updated_at) ON notification_locales TO autodoctor_app;
