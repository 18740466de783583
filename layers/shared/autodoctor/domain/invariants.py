"""The invariants, in the words of SPEC.md#invariants (a test compares them)."""

from collections.abc import Mapping
from typing import Final

INVARIANTS: Final[Mapping[int, str]] = {
    1: "A customer has at most one active session.",
    2: "A session has exactly one open assignment while it is active, and at least one assignment ever.",
    3: "A finished session has no open assignment, and its last assignment has the same outcome.",
    4: "Sessions and assignments change their status only along the moves that exist.",
    5: "A session names a mechanic exactly when its current assignment was accepted by that mechanic, who takes "
    "part in it and is not its customer.",
    6: "A finished session is completed exactly when it started and both were together for the minimum billable "
    "seconds.",
    7: "Every transition wrote its audit row (from, to, who, when) in the same transaction.",
    8: "A mechanic has at most one waiting or live session.",
    9: "A completed session pays its mechanic exactly once; a cancelled or expired one is refunded, or its credits are "
    "returned, exactly once; a payout and a refund are never both started, but for what a contest gives back.",
    10: "Every ledger row moves one positive amount from one account to another, no row is ever changed, and the "
    "accounts agree with Stripe.",
    11: "A Stripe event takes effect at most once.",
    12: "Every committed transition is published at least once, in order within its session.",
}
"""By the number that checks and reports name."""
