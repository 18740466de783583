-- Telling customers of a payment that became no session, and when a waiver was signed that waited for the money.

-- A payment that never became a session, or that was for credits, is known by its checkout.
ALTER TABLE notifications ALTER COLUMN session_id DROP NOT NULL,
  ADD COLUMN checkout_id uuid REFERENCES checkouts (id),
  ADD CONSTRAINT notifications_tell_of_one_thing CHECK (num_nonnulls(session_id, checkout_id) = 1);
COMMENT ON COLUMN notifications.session_id IS 'The session it tells of; null where it tells of a payment that became none.';
COMMENT ON COLUMN notifications.checkout_id IS 'The payment it tells of; null where it tells of a session.';
COMMENT ON COLUMN mail_deliveries.address_hash IS
  'Where it goes, as address_hash() makes it, for counting; null: it does not count (payouts, payments that are paid back, what is suppressed, mails before 0015).';

-- The row is stored by the statement of the intake, so its creation is the signature's instant.
COMMENT ON COLUMN checkouts.signed_name IS 'The waiver, where it was signed with the intake, at created_at; personal data.';
COMMENT ON COLUMN waivers.signed_at IS 'When; of a session paid by card and signed with its intake, that is before the session was created.';

GRANT INSERT (checkout_id) ON notifications TO autodoctor_app;
GRANT INSERT (signed_at) ON waivers TO autodoctor_app;
