"""Calls over HTTP: stacks under load, and whole consultations."""
