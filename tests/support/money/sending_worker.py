"""A worker that a test can kill: sends the due payouts and refunds once, as the function would."""

import os

from autodoctor.db import Database
from autodoctor.payments.outgoing.payouts import sweep_payouts
from autodoctor.payments.outgoing.refunds import sweep_refunds
from autodoctor.payments.stripe.client import stripe_client


def main() -> None:
    """Sweep both."""
    database = Database(lambda: os.environ["DATABASE_URL"])
    sweep_refunds(database, stripe_client(), lambda: 60.0)
    sweep_payouts(database, stripe_client(), lambda: 60.0)


if __name__ == "__main__":
    main()
