"""Stripe's API over HTTP: forms, errors, idempotency, lists."""
