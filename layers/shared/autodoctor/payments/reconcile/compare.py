"""The rules: what a movement of Stripe's and our books say of one subject, and what differs. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from autodoctor.payments.reconcile.books import Booking, Pair
from autodoctor.payments.reconcile.report import Difference
from autodoctor.payments.reconcile.statement import Flow

CURRENCY: Final = "usd"


def differences(pair: Pair, *, livemode: bool) -> Iterator[Difference]:
    """What differs about one movement; nothing where it is not ours, not compared, or still on its way.

    Args:
        pair: the movement, and our books.
        livemode: whether our key moves real money.
    """
    if not pair.ours or not pair.wanted or pair.flow is None:
        return
    if pair.livemode is not None and pair.livemode is not livemode:
        yield _said(pair, "other_mode", f"it is {'live' if pair.livemode else 'a test'}, and our key is not")
    elif pair.currency != CURRENCY:
        yield _said(pair, "other_currency", f"it is in {pair.currency}: by hand")
    else:
        if not pair.in_flight and (found := _RULES[pair.flow](pair)) is not None:
            yield found
        yield from _fee(pair)


def is_in_flight(pair: Pair) -> bool:
    """Whether something differs that may still be on its way."""
    moved = bool(pair.in_flight) and (pair.at_stripe or 0) != (pair.booked or 0)
    return pair.ours and pair.wanted and (moved or (pair.fee_in_flight and _fee_due(pair)))


def alone(booking: Booking) -> Difference | None:
    """A row of the ledger that Stripe has nothing for."""
    if booking.stated or not booking.settled or not booking.wanted:
        return None
    flow = {"pack": "charge", "session": "charge", "payout": "transfer"}.get(
        (head := booking.subject.partition(":")[0]), head
    )
    return Difference(
        kind=f"{flow}_missing", subject=booking.subject, booked=booking.came, why="Stripe has nothing of it"
    )


def ended(subject: str, disputed: int, lost: frozenset[str]) -> Difference | None:
    """A dispute that Stripe says is lost, though the ledger has it among those that last.

    Args:
        subject: the dispute's, in the ledger.
        disputed: cents that the ledger still has as disputed.
        lost: Stripe's ids of disputes that are lost.
    """
    dispute_id = subject.partition(":")[2]
    if dispute_id not in lost:
        return None
    return Difference(
        kind="dispute_lost_unbooked",
        subject=subject,
        booked=disputed,
        stripe_id=dispute_id,
        why="it is lost, and booked as open",
        repairable=True,
    )


def _charge(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.booked is None:
        return _unbooked_charge(pair)
    if pair.sources > 1:
        return _said(pair, "charge_duplicate", f"{pair.sources} payments for one checkout: pay one back by hand")
    return _said(pair, "charge_differs", "the amounts differ", repairable=True)


def _unbooked_charge(pair: Pair) -> Difference | None:
    match pair.checkout_status:
        case None:
            return _said(pair, "charge_unknown", "it names a checkout that we do not have")
        case "paid":
            return _said(pair, "charge_unbooked", "its checkout is paid, and nothing is booked", repairable=True)
        case "unfulfillable" if pair.checkout_kind == "pack":
            if (pair.at_stripe or 0) + (pair.gone_back or 0) == 0:
                return None
            return _said(pair, "charge_unfulfillable", "it was paid for what could not be given: pay it back by hand")
        case "unfulfillable":
            return _said(pair, "charge_unbooked", "it is owed back, and nothing is booked", repairable=True)
        case status:
            return _said(pair, "charge_unfulfilled", f"its checkout is {status}: the sweep of checkouts fulfils it")


def _refund(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.checkout_kind == "pack" and pair.checkout_status == "unfulfillable":
        return None  # what came was booked nowhere either, and is told of until all of it went back
    if pair.booked is None:
        return _said(pair, "refund_unbooked", "paid back, and nothing is booked", repairable=True)
    if pair.at_stripe == 0:
        return _said(pair, "refund_failed", "it came back from the customer's bank", repairable=True)
    return _said(pair, "refund_differs", "the amounts differ", repairable=True)


def _transfer(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.payout_state is None:
        return _said(pair, "transfer_unknown", "no payout of ours asked for it")
    if pair.sources > 1:
        why = f"{pair.sources} transfers for one payout"
        return _said(pair, "transfer_duplicate", why, repairable=pair.booked is not None)
    if pair.booked is None:
        why = f"its payout is {pair.payout_state}, and nothing is booked"
        return _said(pair, "transfer_unbooked", why, repairable=True)
    return _said(pair, "transfer_differs", "the amounts differ", repairable=True)


def _reversal(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.booked is None:
        return _said(pair, "reversal_unbooked", "taken back, and nothing is booked", repairable=True)
    return _said(pair, "reversal_differs", "the amounts differ", repairable=True)


def _dispute(pair: Pair) -> Difference | None:
    if (pair.booked or 0) == (pair.at_stripe or 0):
        return None
    if pair.checkout_kind == "pack" and pair.checkout_status == "unfulfillable":
        return None
    if pair.booked is None:
        return _said(pair, "dispute_unbooked", "taken out, and nothing is booked", repairable=True)
    if pair.at_stripe == 0:
        return _said(pair, "dispute_won_unbooked", "given back, and still booked as disputed", repairable=True)
    return _said(pair, "dispute_differs", "the amounts differ", repairable=True)


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
    if pair.fee_in_flight or not _fee_due(pair):
        return
    kind = "fee_unbooked" if pair.fee_booked is None else "fee_differs"
    why = f"of {pair.subject}"
    yield Difference(
        kind=kind,
        subject=f"fee:{pair.id}",
        at_stripe=-pair.fee,
        booked=pair.fee_booked,
        stripe_id=pair.id,
        why=why,
        repairable=True,
    )


def _said(pair: Pair, kind: str, why: str, *, repairable: bool = False) -> Difference:
    return Difference(
        kind=kind,
        subject=pair.subject or pair.id,
        at_stripe=pair.at_stripe,
        booked=pair.booked,
        stripe_id=pair.source,
        why=why,
        repairable=repairable,
    )
