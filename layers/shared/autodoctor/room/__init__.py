"""The room of a session: what its parties say, how far they have read, and how each hears of it at once."""
