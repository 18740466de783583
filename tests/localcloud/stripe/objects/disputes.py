"""Disputes: opened by a control, closed by one or by conceding over the API. Until then Stripe holds the money."""

from dataclasses import dataclass
from typing import Final, Literal

from localcloud.stripe.http.errors import ApiError, Json
from localcloud.stripe.http.lists import listed
from localcloud.stripe.objects.balance import DISPUTE_FEE_CENTS, Movement, move
from localcloud.stripe.state.state import Call, Criteria, State

_ANSWER_WITHIN_SECONDS: Final = 7 * 24 * 3600
OPEN: Final = ("needs_response", "under_review")
LOST: Final = ("lost", "prevented")

type DisputeEnd = Literal["won", "lost", "prevented"]


@dataclass(frozen=True)
class Claim:
    """What a customer's bank claims.

    Attributes:
        amount: in its currency's smallest unit; None for the unrefunded rest of the charge.
        currency: None for the charge's.
        taken: cents of the charge's currency that Stripe takes for it; None for the same as `amount`.
    """

    reason: str = "fraudulent"
    amount: int | None = None
    currency: str | None = None
    taken: int | None = None


def open_dispute(state: State, charge_id: str, claim: Claim = Claim()) -> Json:
    """Let the customer's bank take back a charge, or a part of it, or more. Raises ApiError."""
    charge = state.require("charge", charge_id)
    rest = charge["amount"] - charge["amount_refunded"] - charge.get("_lost", 0)
    amount = rest if claim.amount is None else claim.amount
    if charge["status"] != "succeeded" or charge.get("_disputed_now") or amount <= 0:
        raise ApiError(f"Charge {charge_id} cannot be disputed: it is not paid, refunded, or is disputed.")
    dispute = state.create(
        "du_",
        "dispute",
        {
            "amount": amount,
            "balance_transactions": [],
            "charge": charge_id,
            "currency": claim.currency or charge["currency"],
            "evidence": {},
            "evidence_details": {
                "due_by": int(state.now()) + _ANSWER_WITHIN_SECONDS,
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            "is_charge_refundable": False,
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "payment_method_details": {"card": {"brand": "visa", "case_type": "chargeback"}, "type": "card"},
            "reason": claim.reason,
            "status": "needs_response",
            "_charged_in": charge["currency"],
        },
    )
    _take(state, dispute, amount if claim.taken is None else claim.taken, DISPUTE_FEE_CENTS)
    charge.update(disputed=True, dispute=dispute["id"], _disputed_now=True)
    state.save(charge)
    state.emit("charge.dispute.created", dispute)
    state.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def moved(dispute: Json) -> int:
    """Return the cents that Stripe has taken for a dispute and not given back, without its fee."""
    return -sum(int(each["amount"]) for each in dispute["balance_transactions"])


def take_more(state: State, dispute_id: str, cents: int) -> Json:
    """Let Stripe take more for a dispute, open or closed, as for an exchange rate. Raises ApiError."""
    dispute = state.require("dispute", dispute_id)
    _take(state, dispute, cents, 0)
    _count_lost(state, dispute)
    state.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def reinstate(state: State, dispute_id: str, cents: int) -> Json:
    """Let Stripe give back a part of what it took for a dispute, open or closed. Raises ApiError."""
    dispute = state.require("dispute", dispute_id)
    _give(state, dispute, cents)
    _count_lost(state, dispute)
    state.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


def close_dispute(state: State, dispute_id: str, status: DisputeEnd, reinstated: int | None = None) -> Json:
    """Let the bank decide. When we win, all that was taken comes back, or so many cents; the fee does not."""
    dispute = state.require("dispute", dispute_id)
    if dispute["status"] not in OPEN:
        raise ApiError(f"Dispute {dispute_id} is already closed: {dispute['status']}.")
    previous = {"status": dispute["status"]}
    dispute["status"] = status
    if back := (moved(dispute) if status == "won" else 0) if reinstated is None else reinstated:
        _give(state, dispute, back)
        dispute["is_charge_refundable"] = status == "won"
        state.emit("charge.dispute.funds_reinstated", dispute)
    charge = state.require("charge", dispute["charge"])
    charge["_disputed_now"] = False
    state.save(charge)
    state.save(dispute)
    _count_lost(state, dispute)
    state.emit("charge.dispute.closed", dispute, previous=previous)
    return dispute


def _take(state: State, dispute: Json, cents: int, fee: int) -> None:
    taken = Movement("adjustment", -cents, dispute["_charged_in"], dispute["id"], int(state.now()), fee, "dispute")
    dispute["balance_transactions"] = [*dispute["balance_transactions"], move(state, taken)]
    state.save(dispute)


def _give(state: State, dispute: Json, cents: int) -> None:
    back = Movement("adjustment", cents, dispute["_charged_in"], dispute["id"], int(state.now()), 0, "dispute_reversal")
    dispute["balance_transactions"] = [*dispute["balance_transactions"], move(state, back)]
    state.save(dispute)


def _count_lost(state: State, dispute: Json) -> None:
    """Note how much of the charge cannot be refunded any more, as its customer has it by a dispute."""
    charge = state.require("charge", dispute["charge"])
    lost = [each for each in list_of(state, charge) if each["status"] in LOST]
    charge["_lost"] = min(charge["amount"], sum(moved(each) for each in lost))
    state.save(charge)


def list_of(state: State, charge: Json) -> list[Json]:
    """Return the disputes of a charge."""
    return state.matching("dispute", Criteria({"charge": charge["id"]}))


def give_in(state: State, call: Call) -> Json:
    """`POST /v1/disputes/{id}/close`: the dispute is lost."""
    return close_dispute(state, call.ids[0], "lost")


def retrieve_dispute(state: State, call: Call) -> Json:
    """`GET /v1/disputes/{id}`."""
    return state.require("dispute", call.ids[0])


def list_disputes(state: State, call: Call) -> Json:
    """`GET /v1/disputes`."""
    return listed(state, call, "dispute", ("charge", "payment_intent"))
