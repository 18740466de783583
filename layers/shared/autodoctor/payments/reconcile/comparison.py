"""Runs one comparison of the ledger with Stripe, from the first movement to the report."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.reconcile import books, compare, internal
from autodoctor.payments.reconcile.books import Booking, Pair, Span
from autodoctor.payments.reconcile.report import ComparedTotals, Difference, Report
from autodoctor.payments.reconcile.statement import (
    BEGINNING,
    MARGIN_SECONDS,
    OVERLAP,
    come_since,
    copy_statement,
    forget_extent,
)
from autodoctor.payments.reconcile.stripe_api import balance_of, closed_disputes

if TYPE_CHECKING:
    import stripe

GRACE: Final = timedelta(hours=1)
"""Younger differences are not reported: a webhook or sweep may be on its way."""
FEE_GRACE: Final = timedelta(days=1)
"""The same for Stripe's fees, which are booked when there is time."""
_TRIES: Final = 3
_MOST: Final = 10_000
"""The most differences that are reported; with more of them the books are another system's."""


class TooManyDifferences(Exception):
    """The key belongs to another account, or the database to another system: a list would say nothing."""

    def __init__(self) -> None:
        super().__init__(f"more than {_MOST} differences: these are not the books of this Stripe account")


class _TimeOver(Exception):
    """The run has to stop; the next one compares the rest."""


@dataclass
class _Findings:
    """The findings so far. A difference is found with each movement of its subject, and kept once."""

    livemode: bool
    listed: datetime
    began: datetime
    movements: int = 0
    bookings: int = 0
    settlements: int = 0
    in_flight: int = 0
    pending: int = 0
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("statement", "ours", "fees", "others"), 0))
    ledger: int = 0
    disputed: int = 0
    found: dict[tuple[str, str, str], Difference] = field(default_factory=dict)

    def add(self, differences: Iterable[Difference]) -> None:
        for each in differences:
            self.found[each.kind, each.subject, each.why] = each
        if len(self.found) > _MOST:
            raise TooManyDifferences

    def take_pair(self, pair: Pair) -> None:
        self.movements += 1
        self.in_flight += compare.is_in_flight(pair)
        if pair.currency == compare.CURRENCY:
            self.sums["statement"] += pair.amount - pair.fee
            if pair.ours:
                self.sums["ours"] += pair.amount
                self.sums["fees"] += pair.fee
            else:
                self.sums["others"] += pair.amount - pair.fee
        self.add(compare.differences(pair, livemode=self.livemode))

    def take_booking(self, booking: Booking) -> None:
        self.bookings += 1
        self.pending += booking.refund == "pending" and not booking.stated
        self.ledger += booking.came
        found = compare.alone(booking)
        if found is not None:
            self.add([found])

    def take_disputes(self, open_ones: list[Row], closed: frozenset[str]) -> None:
        self.disputed += sum(row["amount"] for row in open_ones)
        named = {subject for _, subject, _ in self.found}  # what Stripe's statement lacks or has was said already
        ended = [compare.ended(row["subject"], row["amount"], closed) for row in open_ones]
        self.add(each for each in ended if each is not None and each.subject not in named)

    def report(self, as_of: datetime, since: datetime | None, balance: int | None, *, finished: bool) -> Report:
        return Report(
            as_of=as_of,
            since=since,
            finished=finished,
            movements=self.movements,
            bookings=self.bookings,
            settlements=self.settlements,
            in_flight=self.in_flight,
            pending=self.pending,
            totals=ComparedTotals(stripe_balance=balance, ledger=self.ledger, disputed=self.disputed, **self.sums),
            differences=tuple(self.found.values()),
        )


def reconcile(  # noqa: PLR0913 (each bounds the comparison in its own way)
    database: Database,
    client: "stripe.StripeClient",
    *,
    livemode: bool = False,
    since: datetime | None = None,
    grace: timedelta = GRACE,
    fee_grace: timedelta = FEE_GRACE,
    seconds_left: SecondsLeft = lambda: float("inf"),
) -> Report:
    """Compare the ledger with Stripe and with itself.

    Only reads Stripe. Writes nothing of ours but the copy of its statement.

    Args:
        database: ours.
        client: of Stripe, with a long time-out: a page of a hundred movements with their objects may take seconds.
        livemode: whether the database is of real money.
        since: compare only subjects on which something happened since then; None for all.
        grace: younger differences are left to the next run.
        fee_grace: the same for Stripe's fees.

    Raises:
        StripeRefused: Stripe refused.
        OutcomeUnknown: Stripe did not answer; what was copied is kept.
        TooManyDifferences: these are not the books of that account.
    """
    as_of = books.present(database)
    if balance_of(client).livemode is not livemode:
        why = "the key is of the other mode than the books"
        return Report(as_of=as_of, since=since, differences=(Difference(kind="other_mode", subject="key", why=why),))
    run = _Run(
        database, client, Span(since or BEGINNING, as_of - grace, as_of - fee_grace), since, seconds_left, livemode
    )
    findings, finished = run.compare()
    balance = None
    if finished and since is None:
        balance, agrees = run.balance(findings)
        if not agrees:  # something appeared late in Stripe's lists, so the copy lacks it: once more, from the beginning
            forget_extent(database)
            findings, finished = run.compare()
            balance, agrees = run.balance(findings) if finished else (balance, True)
        if not agrees:
            why = f"our balance at Stripe is {balance} cents, its movements add up to {findings.sums['statement']}"
            findings.add([Difference(kind="balance_differs", subject="balance", why=why)])
    return findings.report(as_of, since, balance, finished=finished)


@dataclass(frozen=True)
class _Run:
    """The parameters of one comparison, and its steps."""

    database: Database
    client: "stripe.StripeClient"
    span: Span
    since: datetime | None
    seconds_left: SecondsLeft
    livemode: bool

    def copy(self) -> bool:
        """Bring the copy up to date; whether there was time for all of it."""
        return copy_statement(self.database, self.client, books.present(self.database), self.since, self.seconds_left)

    def compare(self) -> tuple[_Findings, bool]:
        """Compare page by page; the findings, and whether there was time for everything."""
        listed = books.present(self.database)
        copied = self.copy()
        findings = _Findings(self.livemode, listed, books.present(self.database))
        try:
            self._with_stripe(findings)
            if copied:  # otherwise Stripe may have movements that the copy does not have yet
                self._without_stripe(findings)
            self._by_ourselves(findings)
        except _TimeOver:
            return findings, False
        return findings, copied

    def balance(self, findings: _Findings) -> tuple[int, bool]:
        """Our balance at Stripe, and whether its movements add up to it, including those that came in meanwhile."""
        for _ in range(_TRIES):
            balance = balance_of(self.client)
            late = come_since(self.database, findings.listed, findings.began)
            if findings.sums["statement"] + late in (balance.cents, balance.cents + balance.reserved):
                return balance.cents, True
            if not self.copy():
                return balance.cents, True
        return balance.cents, False

    def _with_stripe(self, findings: _Findings) -> None:
        start = BEGINNING if self.since is None else self.since - OVERLAP
        for page in self._in_time(books.pairs(self.database, self.span, start)):
            for pair in page:
                findings.take_pair(pair)
        for open_ones in self._in_time(books.open_disputes(self.database)):
            findings.take_disputes(open_ones, closed_disputes(self.client, open_ones))

    def _without_stripe(self, findings: _Findings) -> None:
        for rows in self._in_time(books.bookings(self.database, self.span)):
            for booking in rows:
                findings.take_booking(booking)
        for differences in self._in_time(internal.sent_nowhere(self.database, self.span)):
            findings.add(differences)

    def _by_ourselves(self, findings: _Findings) -> None:
        everything = self.since is None
        for count, differences in self._in_time(internal.settlements(self.database, self.span, everything=everything)):
            findings.settlements += count
            findings.add(differences)
        for differences in self._in_time(internal.unfulfilled(self.database, self.span)):
            findings.add(differences)
        for differences in self._in_time(internal.mechanics(self.database)):
            findings.add(differences)

    def _in_time[T](self, pages: Iterable[T]) -> Iterator[T]:
        for page in pages:
            yield page
            if self.seconds_left() < MARGIN_SECONDS:
                raise _TimeOver
