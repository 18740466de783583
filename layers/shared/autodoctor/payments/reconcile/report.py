"""What a comparison found, as plain values."""

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
"""Money that may be with the wrong person, or books that contradict themselves: a person has to look at once."""


class Difference(ResponseModel):
    """One thing that the books say otherwise than Stripe, or than they say elsewhere.

    Attributes:
        kind: which flow and what is wrong with it, such as `charge_missing` or `negative_balance`.
        subject: the key of the ledger that would book it, shortened to one object of Stripe's; or what row it is.
        at_stripe: cents that came to us there (below 0: that went), fees apart; None where Stripe has nothing to say.
        booked: the same in our books; None: nothing is booked.
        stripe_id: Stripe's id of the object or, of a fee, of the balance transaction.
        why: in a sentence; ids and cents only.
        repairable: whether --repair can book it, because Stripe proves that it happened and it is clear whose it is.
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


class Totals(ResponseModel):
    """Sums in cents of US dollars, of everything that was compared.

    Attributes:
        stripe_balance: what Stripe says it keeps for us, available and pending; None: not asked.
        statement: the same as the sum of its movements.
        ours: of these, what our metadata or books claim, fees apart.
        fees: that Stripe took of ours.
        others: what else moved: payouts to the bank, top-ups, other business of the account.
        ledger: what the rows of account `stripe` say it keeps for us.
        disputed: what the ledger says is taken out while disputes last.
    """

    stripe_balance: int | None = None
    statement: int = 0
    ours: int = 0
    fees: int = 0
    others: int = 0
    ledger: int = 0
    disputed: int = 0


class Report(ResponseModel):
    """What one comparison found.

    Attributes:
        as_of: when it began, by the database's clock.
        since: what is older was not compared.
        finished: whether all was compared; else its time was over, and the next run goes on.
        movements: of Stripe's that were compared.
        bookings: rows of the ledger's account `stripe` that were looked for there.
        settlements: sessions whose decision was worked out again.
        in_flight: younger than the grace and not yet equal: left to the next run.
        totals: sums.
        differences: all of them, those of the ledger with Stripe first.
        repaired: keys of the rows that were booked.
    """

    as_of: Utc
    since: Utc | None = None
    finished: bool = True
    movements: int = 0
    bookings: int = 0
    settlements: int = 0
    in_flight: int = 0
    totals: Totals = Field(default_factory=Totals)
    differences: tuple[Difference, ...] = ()
    repaired: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many differences there are of each kind, by name."""
        kinds = sorted(each.kind for each in self.differences)
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}


class StoredRun(ResponseModel):
    """A comparison of some time, as an admin reads it."""

    run_id: UUID
    started_at: Utc
    finished_at: Utc
    since: Utc | None
    finished: bool
    found: int
    report: dict[str, Any]
