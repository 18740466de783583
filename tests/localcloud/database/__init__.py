"""The embedded PostgreSQL, or the user's own."""
