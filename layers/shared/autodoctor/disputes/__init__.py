"""Evidence of disputes: made of the session's own record, staged at Stripe, read by an admin, and sent to the bank."""
