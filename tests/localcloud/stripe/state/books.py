"""Totals of the books, to compare with a ledger, and a check that they add up."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from localcloud.stripe.http.errors import Json
from localcloud.stripe.objects.balance import DISPUTE_FEE_CENTS, charge_fee, totals
from localcloud.stripe.objects.disputes import moved
from localcloud.stripe.state.state import State

_DISPUTES: Final = {"won": "disputes_won", "lost": "disputes_lost", "prevented": "disputes_lost"}

type Sum = tuple[int, int]
"""A count, and a sum in cents."""


@dataclass(frozen=True)
class Books:
    """Counts and cents of all objects, without failed or refused ones unless stated.

    Attributes:
        charges: that succeeded, gross.
        refunds: that did not fail.
        transfers: gross, also those that were reversed.
        reversals: of transfers.
        disputes_open: taken back by the customer's bank, undecided.
        disputes_lost: taken back for good.
        disputes_won: taken back and returned.
        topups: the platform's own money.
        payouts: of connected accounts that did not fail.
        charge_fees: in cents.
        dispute_fees: in cents.
        balances: available and pending cents by account and currency; the platform's id is among them.
    """

    charges: Sum
    refunds: Sum
    transfers: Sum
    reversals: Sum
    disputes_open: Sum
    disputes_lost: Sum
    disputes_won: Sum
    topups: Sum
    payouts: Sum
    charge_fees: int
    dispute_fees: int
    balances: dict[str, dict[str, Sum]]


def books(state: State) -> Books:
    """Return the totals of the books."""
    found = _Objects(state)
    disputes = {name: _moved(each for each in found.disputes if _name(each) == name) for name in _names()}
    return Books(
        charges=_sum(found.charges),
        refunds=_sum(found.refunds),
        transfers=_sum(found.transfers),
        reversals=_sum(found.reversals),
        disputes_open=disputes["disputes_open"],
        disputes_lost=disputes["disputes_lost"],
        disputes_won=disputes["disputes_won"],
        topups=_sum(found.topups),
        payouts=_sum(each for _account, each in found.payouts),
        charge_fees=sum(charge_fee(each["amount"]) for each in found.charges),
        dispute_fees=DISPUTE_FEE_CENTS * len(found.disputes),
        balances={account: totals(state, account) for account in found.accounts},
    )


def imbalances(state: State) -> list[str]:
    """Return a line for every balance that does not add up; there should never be one."""
    found = _Objects(state)
    expected, booked = found.expected(), found.booked()
    wrong = [
        f"{account}: {booked[account, currency]} {currency} booked, {expected[account, currency]} expected"
        for account, currency in sorted({*expected, *booked})
        if booked[account, currency] != expected[account, currency]
    ]
    refunded = Counter[str]()
    for each in found.refunds:
        refunded[each["charge"]] += each["amount"]
    for each in state.store.everything("refund"):
        refunded[each["charge"]] += each["amount"] if each["status"] == "pending" else 0
    wrong += [f"{each['id']}: refunds" for each in found.charges if refunded[each["id"]] != each["amount_refunded"]]
    reversed_ = Counter[str]()
    for each in found.reversals:
        reversed_[each["transfer"]] += each["amount"]
    return wrong + [f"{each['id']}: reversals" for each in found.transfers if _unequal(each, reversed_)]


def _unequal(transfer: Json, reversals: Counter[str]) -> bool:
    taken_back: int = transfer["amount_reversed"]
    return reversals[transfer["id"]] != taken_back or taken_back > int(transfer["amount"])


class _Objects:
    """Everything that moved money."""

    def __init__(self, state: State) -> None:
        everything = state.store.everything
        self._state = state
        self.charges = [each for each in everything("charge") if each["status"] == "succeeded"]
        self.refunds = [each for each in everything("refund") if each["status"] == "succeeded"]
        self.transfers = everything("transfer")
        self.reversals = everything("transfer_reversal")
        self.disputes = everything("dispute")
        self.topups = everything("topup")
        owners = {row["id"]: row["account"] for row in state.store.rows("SELECT id, account FROM object")}
        self.payouts = [(owners[each["id"]], each) for each in everything("payout") if each["status"] != "failed"]
        self.accounts = [state.platform, *(each["id"] for each in everything("account"))]

    def expected(self) -> Counter[tuple[str, str]]:
        """Return each account's balance as the objects imply it."""
        found = Counter[tuple[str, str]]()
        home = self._state.platform
        for each in self.charges:
            found[home, each["currency"]] += each["amount"] - charge_fee(each["amount"])
        for each in self.refunds:
            found[home, each["currency"]] -= each["amount"]
        for each in self.disputes:
            found[home, each["_charged_in"]] -= moved(each) + DISPUTE_FEE_CENTS
        for each in self.topups:
            found[home, each["currency"]] += each["amount"]
        destination = {each["id"]: each["destination"] for each in self.transfers}
        for each in self.transfers:
            found[home, each["currency"]] -= each["amount"]
            found[each["destination"], each["currency"]] += each["amount"]
        for each in self.reversals:
            found[home, each["currency"]] += each["amount"]
            found[destination[each["transfer"]], each["currency"]] -= each["amount"]
        for account, each in self.payouts:
            found[account, each["currency"]] -= each["amount"]
        return found

    def booked(self) -> Counter[tuple[str, str]]:
        """Return each account's balance as the sum of its movements."""
        rows = self._state.store.rows("SELECT account, currency, sum(net) AS net FROM movement GROUP BY 1, 2")
        return Counter({(row["account"], row["currency"]): row["net"] for row in rows})


def _sum(objects: Iterable[Json]) -> Sum:
    amounts = [each["amount"] for each in objects]
    return len(amounts), sum(amounts)


def _moved(disputes: Iterable[Json]) -> Sum:
    taken = [moved(each) for each in disputes]
    return len(taken), sum(taken)


def _names() -> tuple[str, ...]:
    return tuple(dict.fromkeys(("disputes_open", *_DISPUTES.values())))


def _name(dispute: Json) -> str:
    return _DISPUTES.get(dispute["status"], "disputes_open")
