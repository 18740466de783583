"""Stripe itself: the client, calls and how they can end, webhooks, connected accounts."""
