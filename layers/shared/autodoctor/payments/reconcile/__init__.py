"""Reconciling: compares the ledger with Stripe, and with itself.

    from autodoctor.payments.reconcile import reconcile

    report = reconcile(database, client, livemode=False, since=None, grace=timedelta(), fee_grace=timedelta())
    assert report.differences == ()

`client` is a `stripe.StripeClient`, and only reads. Differences younger than `grace` (an hour by default) or, for fees,
`fee_grace` (a day) are left to the next run; while nothing moves, both may be 0. `report.finished` is false if time ran
out. `Difference` has kind, subject, at_stripe, booked, why; `repair(database, client, report.differences)` of repair.py
books what Stripe proves, by new rows of the ledger only, and returns their keys.

statement.py copies Stripe's balance transactions, books.py reads our rows beside them, compare.py has the rules (pure),
internal.py checks our books alone, comparison.py runs it all, repair.py books, runs.py stores what was found.
"""

from autodoctor.payments.reconcile.comparison import FEE_GRACE, GRACE, TooManyDifferences, reconcile
from autodoctor.payments.reconcile.report import ComparedTotals, Difference, Report

__all__ = ["FEE_GRACE", "GRACE", "ComparedTotals", "Difference", "Report", "TooManyDifferences", "reconcile"]
