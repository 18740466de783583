"""Stripe itself: the client, calls and how they can end, leases of jobs, signatures, connected accounts."""
