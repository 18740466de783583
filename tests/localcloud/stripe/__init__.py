"""Stripe on this machine: API v1, Checkout, Connect and signed webhooks, as far as this system uses them.

Start reading at `service.py`. A request goes through `api` (key, faults, idempotency) to one operation of `routes`;
operations change the `State`, whose file outlives the process; `control` has the actions of tests and people.
"""
