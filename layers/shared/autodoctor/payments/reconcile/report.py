"""The result of a comparison, as plain values."""

from typing import Any, Final
from uuid import UUID

from pydantic import Field

from autodoctor.web.schemas import ResponseModel, Utc

SERIOUS: Final = frozenset(
    {
        "charge_duplicate",
        "charge_unknown",
        "negative_balance",
        "other_mode",
        "settlement_differs",
        "transfer_duplicate",
        "transfer_missing",
        "transfer_unknown",
    }
)
"""Money that somebody may have got wrongly, or books that contradict themselves: a person has to look at once."""


class Difference(ResponseModel):
    """One contradiction between the books and Stripe, or within the books.

    Attributes:
        kind: which flow and what is wrong with it, such as `charge_missing` or `negative_balance`.
        subject: the ledger key that books it, shortened to one object of Stripe's; or the row that is wrong.
        at_stripe: cents that came in at Stripe (negative: went out), without fees; None if Stripe has nothing about it.
        booked: the same in our books; None if nothing is booked.
        stripe_id: Stripe's id of the object, or of the balance transaction for a fee.
        why: the reason as a sentence, with ids and cents only.
        repairable: whether `--repair` can book it: Stripe proves that it happened, and it is clear whose money it is.
    """

    kind: str
    subject: str
    at_stripe: int | None = None
    booked: int | None = None
    stripe_id: str | None = None
    why: str = ""
    repairable: bool = False

    @property
    def serious(self) -> bool:
        """Whether a person has to look at once."""
        return self.kind in SERIOUS


class ComparedTotals(ResponseModel):
    """Sums of everything that was compared, in cents of US dollars.

    Attributes:
        stripe_balance: our balance at Stripe, available and pending; None if it was not retrieved.
        statement: the sum of its movements, which should be the same.
        ours: those of them that our metadata or books claim, without fees.
        fees: what Stripe charged for ours.
        others: all other movements: payouts to the bank, top-ups, other business of the account.
        ledger: our balance at Stripe by the ledger (its account `stripe`).
        disputed: what open disputes have taken out of it, by the ledger.
    """

    stripe_balance: int | None = None
    statement: int = 0
    ours: int = 0
    fees: int = 0
    others: int = 0
    ledger: int = 0
    disputed: int = 0


class Report(ResponseModel):
    """The result of one comparison.

    Attributes:
        as_of: when it began, by the database's clock.
        since: nothing older was compared.
        finished: whether everything was compared; if not, time ran out, and the next run continues.
        movements: how many of Stripe's movements were compared.
        bookings: how many rows of the ledger's account `stripe` were looked for at Stripe.
        settlements: how many sessions' decisions were worked out again.
        in_flight: how many differ but are younger than the grace: left to the next run.
        pending: how many refunds are booked whose money Stripe has not moved yet.
        totals: sums.
        differences: all differences, those between ledger and Stripe first.
        repaired: the keys of the rows that were booked.
    """

    as_of: Utc
    since: Utc | None = None
    finished: bool = True
    movements: int = 0
    bookings: int = 0
    settlements: int = 0
    in_flight: int = 0
    pending: int = 0
    totals: ComparedTotals = Field(default_factory=ComparedTotals)
    differences: tuple[Difference, ...] = ()
    repaired: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many differences there are of each kind, by name."""
        kinds = sorted(each.kind for each in self.differences)
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}


class StoredRun(ResponseModel):
    """An earlier comparison, as an admin reads it."""

    run_id: UUID
    started_at: Utc
    finished_at: Utc
    since: Utc | None
    finished: bool
    found: int
    report: dict[str, Any]
