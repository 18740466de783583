-- Notifications by e-mail and in the application.
--
-- These tables hold no addresses and no names: the address is looked up when a mail is sent, the suppression list has
-- only the SHA-256 of addresses, and texts are made when they are read.

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
  -- a payment that never became a session, or that was for credits, is identified by its checkout
  CONSTRAINT notifications_tell_of_one_thing CHECK (
    num_nonnulls(session_id, checkout_id) = CASE kind WHEN 'suspended' THEN 0 ELSE 1 END)
);
CREATE INDEX notifications_by_user ON notifications (user_id, created_at, id);
CREATE INDEX notifications_unread ON notifications (user_id) WHERE read_at IS NULL;
COMMENT ON TABLE notifications IS 'The notifications shown in the application; the text is made from kind and data when it is read.';
COMMENT ON COLUMN notifications.user_id IS 'The sub of the user''s token.';
COMMENT ON COLUMN notifications.event_id IS 'The event that it reports; a second delivery of the event adds nothing.';
COMMENT ON COLUMN notifications.kind IS 'One of the kinds in autodoctor.notifications.kinds.';
COMMENT ON COLUMN notifications.session_id IS 'The session that it concerns; null for a payment without a session, and for what concerns the reader alone.';
COMMENT ON COLUMN notifications.checkout_id IS 'The payment that it concerns; null for a session, and for what concerns the reader alone.';
COMMENT ON COLUMN notifications.data IS 'Ids and facts as they were then, no names.';
COMMENT ON COLUMN notifications.created_at IS 'When the event happened, not when it was reported: events may arrive out of order.';
COMMENT ON COLUMN notifications.read_at IS 'When the user first marked it as read; null: unread.';
GRANT SELECT,
      INSERT (user_id, event_id, kind, session_id, checkout_id, data, created_at),
      UPDATE (read_at)
  ON notifications TO autodoctor_app;

CREATE FUNCTION address_hash(address text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT sha256(convert_to(lower(address COLLATE "C"), 'UTF8'))
$$;
COMMENT ON FUNCTION address_hash(text) IS 'SHA-256 of the address in lower case, the key of the suppression list.';

CREATE FUNCTION mailbox_hash(address text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT address_hash(regexp_replace(address, '\+[^@]*@', '@'))
$$;
COMMENT ON FUNCTION mailbox_hash(text) IS
  'address_hash() of the mailbox behind an address: without the part after a plus sign, which its owner chooses freely.';

CREATE TABLE confirmed_addresses (
  user_id       uuid NOT NULL,
  address_hash  bytea NOT NULL CHECK (length(address_hash) = 32),
  confirmed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (user_id, address_hash)
);
COMMENT ON TABLE confirmed_addresses IS
  'Addresses that a user has shown to be theirs: their sign-in verified them, or they followed the link of a confirmation. Customers get mails at no others.';
COMMENT ON COLUMN confirmed_addresses.address_hash IS 'The result of address_hash(); the address itself is with the user.';
COMMENT ON COLUMN confirmed_addresses.confirmed_at IS 'When that was first known.';
GRANT SELECT, INSERT (user_id, address_hash) ON confirmed_addresses TO autodoctor_app;

CREATE TABLE address_confirmations (
  user_id       uuid NOT NULL,
  address_hash  bytea NOT NULL CHECK (length(address_hash) = 32),
  token_hash    bytea NOT NULL UNIQUE,
  expires_at    timestamptz NOT NULL,
  PRIMARY KEY (user_id, address_hash)
);
COMMENT ON TABLE address_confirmations IS 'The last confirmation that was mailed to each address of a user.';
COMMENT ON COLUMN address_confirmations.address_hash IS 'The address that it confirms.';
COMMENT ON COLUMN address_confirmations.token_hash IS 'SHA-256 of the token in its link, so that a reader of this table cannot use it.';
COMMENT ON COLUMN address_confirmations.expires_at IS 'The end of its validity.';
GRANT SELECT,
      INSERT (user_id, address_hash, token_hash, expires_at),
      UPDATE (token_hash, expires_at)
  ON address_confirmations TO autodoctor_app;

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
CREATE INDEX mail_deliveries_recent ON mail_deliveries USING brin (claimed_at);
CREATE INDEX mail_deliveries_to_address ON mail_deliveries (address_hash, claimed_at) WHERE address_hash IS NOT NULL;
COMMENT ON TABLE mail_deliveries IS 'One row per mail, committed before SES is asked to send it, so that no attempt sends it again.';
COMMENT ON COLUMN mail_deliveries.user_id IS 'The recipient: the sub of the token, never an address.';
COMMENT ON COLUMN mail_deliveries.claim_id IS 'The attempt that claimed it last; only this attempt may record the outcome.';
COMMENT ON COLUMN mail_deliveries.claimed_at IS 'When it was last claimed.';
COMMENT ON COLUMN mail_deliveries.kind IS 'As in notifications.';
COMMENT ON COLUMN mail_deliveries.state IS
  'claimed: SES is being asked; sent: SES took it; failed: SES certainly did not take it, so it may be claimed again; suppressed: not to be sent (see error); unknown: SES may have taken it, so it is never sent again.';
COMMENT ON COLUMN mail_deliveries.address_hash IS
  'mailbox_hash() of the recipient of a confirmation, to count those; null for every other mail.';
COMMENT ON COLUMN mail_deliveries.message_id IS 'SES''s id of the message, which its events carry.';
COMMENT ON COLUMN mail_deliveries.error IS
  'For failed and unknown, the type of the error; for suppressed: preference, superseded, erased, no_address, unusable_address, unconfirmed, bounce, complaint or too_many.';
COMMENT ON COLUMN mail_deliveries.settled_at IS 'When its outcome was recorded.';
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
  'Addresses that get no more mail. To lift one, an operator deletes the row of address_hash(''...'').';
COMMENT ON COLUMN mail_suppressions.address_hash IS 'The result of address_hash(); the address itself is not kept, so that none is left when a customer is erased.';
COMMENT ON COLUMN mail_suppressions.reason IS 'bounce: no such mailbox; complaint: the reader reported spam.';
COMMENT ON COLUMN mail_suppressions.at IS 'When it happened, by SES''s clock.';
COMMENT ON COLUMN mail_suppressions.feedback IS 'The report of SES: ids of feedback and message, type and subtype.';
COMMENT ON COLUMN mail_suppressions.created_at IS 'When it was entered.';
GRANT SELECT, INSERT (address_hash, reason, at, feedback) ON mail_suppressions TO autodoctor_app;

CREATE TABLE notification_preferences (
  user_id     uuid NOT NULL,
  kind        text NOT NULL,
  email       boolean NOT NULL,
  in_app      boolean NOT NULL,
  push        boolean NOT NULL,
  updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (user_id, kind)
);
COMMENT ON TABLE notification_preferences IS 'The channels that a user chose for each kind; a kind without a row is sent through all that it has.';
COMMENT ON COLUMN notification_preferences.kind IS 'One of the kinds in autodoctor.notifications.kinds.';
COMMENT ON COLUMN notification_preferences.email IS 'Whether by e-mail.';
COMMENT ON COLUMN notification_preferences.in_app IS 'Whether in the application.';
COMMENT ON COLUMN notification_preferences.push IS 'Whether by Web Push, to the browsers that asked for it.';
COMMENT ON COLUMN notification_preferences.updated_at IS 'When it was last set.';
GRANT SELECT,
      INSERT (user_id, kind, email, in_app, push),
      UPDATE (email, in_app, push, updated_at)
  ON notification_preferences TO autodoctor_app;

CREATE TABLE notification_locales (
  user_id     uuid PRIMARY KEY,
  locale      text NOT NULL CHECK (locale ~ '^[a-z]{2}$'),
  updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE notification_locales IS 'The language of a user''s mails and notifications; English without a row.';
COMMENT ON COLUMN notification_locales.locale IS 'A folder of autodoctor/notifications/locales.';
COMMENT ON COLUMN notification_locales.updated_at IS 'When it was last set.';
GRANT SELECT, INSERT (user_id, locale), UPDATE (locale, updated_at) ON notification_locales TO autodoctor_app;

-- Without the reason: it is personal data, and is looked up when the mechanic is told.
CREATE FUNCTION suspension_is_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM emit_event('mechanic.suspended', jsonb_build_object('mechanicId', NEW.id), NEW.id);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION suspension_is_told() IS 'Emits an event when a mechanic is suspended, but for one who is erased.';
CREATE TRIGGER suspension_is_told AFTER UPDATE OF status ON mechanics
  FOR EACH ROW WHEN (OLD.status = 'active' AND NEW.status = 'suspended' AND NEW.erased_at IS NULL)
  EXECUTE FUNCTION suspension_is_told();
