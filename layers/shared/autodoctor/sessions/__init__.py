"""The life of a session: one module per use case, each with its SQL beside it."""
