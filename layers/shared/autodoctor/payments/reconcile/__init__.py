"""Reconciling: the ledger beside what Stripe says, and beside itself.

    from autodoctor.payments.reconcile import reconcile

    report = reconcile(database, client, livemode=False, since=None, grace=timedelta(), fee_grace=timedelta())
    assert report.differences == ()

`client` is a `stripe.StripeClient`; it is only read. `grace` (an hour out of the box) and `fee_grace` (a day) leave
what is younger to the next run: at quiet give nothing of both. `report.finished` is false where it ran out of time.
`Difference` has kind, subject, at_stripe, booked, why; `repair(database, client, report.differences)` of repair.py
books what Stripe proves, by new rows of the ledger only, and returns their keys.

statement.py copies Stripe's balance transactions, books.py lays ours beside them, compare.py has the rules (pure),
internal.py looks at our books alone, comparison.py is the whole, repair.py books, runs.py keeps what was found.
"""

from autodoctor.payments.reconcile.comparison import FEE_GRACE, GRACE, TooManyDifferences, reconcile
from autodoctor.payments.reconcile.report import Difference, Report, Totals

__all__ = ["FEE_GRACE", "GRACE", "Difference", "Report", "TooManyDifferences", "Totals", "reconcile"]
