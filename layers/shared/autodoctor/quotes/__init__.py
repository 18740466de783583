"""Quotes: repairs that a workshop offers after a session."""
