"""Stripe on this machine: API v1, Checkout, Connect and signed webhooks, as far as this system uses them.

`service.py` is the way in. A request goes through `api` (key, faults, idempotency) to one operation of `routes`;
operations change the `State`, whose file outlives the process; `control` is what a test or a person can do to it.
"""
