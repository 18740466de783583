"""Notifications: which event tells whom what, the words in each language, and each sent once at most."""
