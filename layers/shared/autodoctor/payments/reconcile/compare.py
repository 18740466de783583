"""The rules: what differs between Stripe and our books on one subject. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from autodoctor.payments.reconcile.books import Booking, Pair
from autodoctor.payments.reconcile.report import Difference
from autodoctor.payments.reconcile.statement import Flow

CURRENCY: Final = "usd"


def differences(pair: Pair, *, livemode: bool) -> Iterator[Difference]:
    """The differences of one movement; none if it is not ours, not compared, or may still be on its way.

    Args:
        pair: the movement, and what our books have.
        livemode: whether our key moves real money.
    """
    if not pair.ours or not pair.wanted or pair.flow is None:
        return
    if pair.livemode is not None and pair.livemode is not livemode:
        yield _difference(pair, "other_mode", f"it is {'live' if pair.livemode else 'a test'}, and our key is not")
    elif pair.currency != CURRENCY:
        yield _difference(pair, "other_currency", f"it is in {pair.currency}: correct it by hand")
    else:
        if not pair.in_flight and (found := _RULES[pair.flow](pair)) is not None:
            yield found
        yield from _fee(pair)


def is_in_flight(pair: Pair) -> bool:
    """Whether it differs, but so recently that the other side may be on its way."""
    moved = bool(pair.in_flight) and (pair.at_stripe or 0) != (pair.booked or 0)
    return pair.ours and pair.wanted and (moved or (pair.fee_in_flight and _fee_due(pair)))


def alone(booking: Booking) -> Difference | None:
    """The difference where Stripe has nothing about a row of the ledger."""
    if booking.stated or booking.refund or not booking.settled or not booking.wanted:
        return None
    flow = {"pack": "charge", "session": "charge", "payout": "transfer"}.get(
        (head := booking.subject.partition(":")[0]), head
    )
    return Difference(
        kind=f"{flow}_missing", subject=booking.subject, booked=booking.came, why="Stripe has nothing about it"
    )


def ended(subject: str, disputed: int, closed: frozenset[str]) -> Difference | None:
    """The difference where a dispute is over at Stripe, but not in the ledger.

    Args:
        subject: of the dispute, in the ledger.
        disputed: cents that the ledger still shows as disputed; negative if Stripe gave back more than it took.
        closed: Stripe's ids of the disputes that are over.
    """
    dispute_id = subject.partition(":")[2]
    if dispute_id not in closed:
        return None
    return Difference(
        kind="dispute_end_unbooked",
        subject=subject,
        booked=disputed,
        stripe_id=dispute_id,
        why="it is over, but money is still booked as disputed",
        repairable=True,
    )


def _charge(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.booked is None:
        return _unbooked_charge(pair) if pair.checkout_status != "late" else None  # its customer is being asked
    if pair.sources > 1:
        return _difference(pair, "charge_duplicate", f"{pair.sources} payments for one checkout: pay one back by hand")
    return _difference(pair, "charge_differs", "the amounts differ", repairable=True)


def _unbooked_charge(pair: Pair) -> Difference | None:
    match pair.checkout_status:
        case None:
            return _difference(pair, "charge_unknown", "it names a checkout that we do not have")
        case "paid":
            return _difference(pair, "charge_unbooked", "its checkout is paid, but nothing is booked", repairable=True)
        case "unfulfillable" if pair.checkout_kind == "pack":
            if (pair.at_stripe or 0) + (pair.gone_back or 0) == 0:
                return None
            return _difference(
                pair, "charge_unfulfillable", "it paid for something that could not be given: pay it back by hand"
            )
        case "unfulfillable":
            return _difference(pair, "charge_unbooked", "it is owed back, but nothing is booked", repairable=True)
        case status:
            return _difference(
                pair, "charge_unfulfilled", f"its checkout is {status}: the sweep of checkouts fulfils it"
            )


def _refund(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.checkout_kind == "pack" and pair.checkout_status == "unfulfillable":
        return None  # the charge was not booked either; it is reported until all of it is paid back
    if pair.booked is None:
        return _difference(pair, "refund_unbooked", "it was paid back, but nothing is booked", repairable=True)
    if pair.at_stripe == 0:
        return _difference(pair, "refund_failed", "the customer's bank sent it back", repairable=True)
    return _difference(pair, "refund_differs", "the amounts differ", repairable=True)


def _transfer(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.payout_state is None:
        return _difference(pair, "transfer_unknown", "no payout of ours asked for it")
    if pair.sources > 1:
        why = f"{pair.sources} transfers for one payout"
        return _difference(pair, "transfer_duplicate", why, repairable=pair.booked is not None)
    if pair.booked is None:
        why = f"its payout is {pair.payout_state}, but nothing is booked"
        return _difference(pair, "transfer_unbooked", why, repairable=True)
    return _difference(pair, "transfer_differs", "the amounts differ", repairable=True)


def _reversal(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.booked is None:
        return _difference(pair, "reversal_unbooked", "it was taken back, but nothing is booked", repairable=True)
    return _difference(pair, "reversal_differs", "the amounts differ", repairable=True)


def _dispute(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.checkout_kind == "pack" and pair.checkout_status == "unfulfillable":
        return None
    if pair.booked is None:
        return _difference(pair, "dispute_unbooked", "it was taken out, but nothing is booked", repairable=True)
    if pair.at_stripe == 0:
        return _difference(
            pair, "dispute_won_unbooked", "it was given back, but is still booked as disputed", repairable=True
        )
    return _difference(pair, "dispute_differs", "the amounts differ", repairable=True)


_RULES: Final[Mapping[Flow, Callable[[Pair], Difference | None]]] = {
    "charge": _charge,
    "refund": _refund,
    "transfer": _transfer,
    "reversal": _reversal,
    "dispute": _dispute,
}


def _fee_due(pair: Pair) -> bool:
    return (pair.fee_booked or 0) != -pair.fee


def _fee(pair: Pair) -> Iterator[Difference]:
    if pair.fee_in_flight or pair.checkout_status == "late" or not _fee_due(pair):
        return
    kind = "fee_unbooked" if pair.fee_booked is None else "fee_differs"
    why = f"the fee of {pair.subject}"
    yield Difference(
        kind=kind,
        subject=f"fee:{pair.id}",
        at_stripe=-pair.fee,
        booked=pair.fee_booked,
        stripe_id=pair.id,
        why=why,
        repairable=True,
    )


def _difference(pair: Pair, kind: str, why: str, *, repairable: bool = False) -> Difference:
    return Difference(
        kind=kind,
        subject=pair.subject or pair.id,
        at_stripe=pair.at_stripe,
        booked=pair.booked,
        stripe_id=pair.source,
        why=why,
        repairable=repairable,
    )
