-- How many mails an address and a user get: whoever types somebody else's address must not be able to flood it.

ALTER TABLE mail_deliveries ADD COLUMN address_hash bytea CHECK (length(address_hash) = 32);
COMMENT ON COLUMN mail_deliveries.address_hash IS
  'Where it goes, as address_hash() makes it, for counting; null: it does not count (payouts, what is suppressed, mails before 0015).';
COMMENT ON COLUMN mail_deliveries.error IS
  'failed, unknown: the type of the error. suppressed: preference, superseded, erased, no_address, unusable_address, bounce, complaint or too_many.';

CREATE INDEX mail_deliveries_to_address ON mail_deliveries (address_hash, claimed_at) WHERE address_hash IS NOT NULL;
CREATE INDEX mail_deliveries_to_user ON mail_deliveries (user_id, claimed_at) WHERE address_hash IS NOT NULL;

GRANT INSERT (address_hash), UPDATE (address_hash) ON mail_deliveries TO autodoctor_app;
