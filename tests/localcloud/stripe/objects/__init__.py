"""Stripe's objects: payments, refunds, transfers, accounts, disputes."""
