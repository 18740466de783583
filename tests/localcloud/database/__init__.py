"""The embedded PostgreSQL, or one of the user's own."""
