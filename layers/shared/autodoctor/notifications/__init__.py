"""Notifications: which event notifies whom, the texts by language, and sending each at most once."""
