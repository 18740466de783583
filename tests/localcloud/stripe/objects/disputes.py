"""Disputes: opened by a control, closed by one or by conceding over the API. Until then Stripe holds the money."""

from typing import Final

from localcloud.stripe.http.errors import ApiError, Json
from localcloud.stripe.http.lists import listed
from localcloud.stripe.objects.balance import DISPUTE_FEE_CENTS, Movement, move
from localcloud.stripe.objects.metadata import merged
from localcloud.stripe.state.state import Call, State

_ANSWER_WITHIN_SECONDS: Final = 7 * 24 * 3600
_OPEN: Final = ("needs_response", "under_review")


def open_dispute(state: State, charge_id: str, reason: str = "fraudulent") -> Json:
    """Let the customer's bank take back the unrefunded rest of a charge. Raises ApiError."""
    charge = state.require("charge", charge_id)
    amount = charge["amount"] - charge["amount_refunded"]
    if charge["status"] != "succeeded" or charge["disputed"] or amount == 0:
        raise ApiError(f"Charge {charge_id} cannot be disputed: it is not paid, refunded, or was disputed before.")
    dispute = state.create(
        "du_",
        "dispute",
        {
            "amount": amount,
            "balance_transactions": [],
            "charge": charge_id,
            "currency": charge["currency"],
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
            "reason": reason,
            "status": "needs_response",
        },
    )
    taken = Movement(
        "adjustment", -amount, charge["currency"], dispute["id"], int(state.now()), DISPUTE_FEE_CENTS, "dispute"
    )
    dispute["balance_transactions"] = [move(state, taken)]
    state.save(dispute)
    charge.update(disputed=True, dispute=dispute["id"], _unrefundable=True)
    state.save(charge)
    state.emit("charge.dispute.created", dispute)
    state.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(state: State, dispute_id: str, *, won: bool) -> Json:
    """Let the bank decide. When we win, the amount comes back, the fee does not. Raises ApiError."""
    dispute = state.require("dispute", dispute_id)
    if dispute["status"] not in _OPEN:
        raise ApiError(f"Dispute {dispute_id} is already closed: {dispute['status']}.")
    previous = {"status": dispute["status"]}
    dispute["status"] = "won" if won else "lost"
    if won:
        back = Movement(
            "adjustment", dispute["amount"], dispute["currency"], dispute_id, int(state.now()), 0, "dispute_reversal"
        )
        dispute["balance_transactions"] = [*dispute["balance_transactions"], move(state, back)]
        charge = state.require("charge", dispute["charge"])
        charge["_unrefundable"] = False
        state.save(charge)
        dispute["is_charge_refundable"] = True
        state.emit("charge.dispute.funds_reinstated", dispute)
    state.save(dispute)
    state.emit("charge.dispute.closed", dispute, previous=previous)
    return dispute


def give_in(state: State, call: Call) -> Json:
    """`POST /v1/disputes/{id}/close`: the dispute is lost."""
    return close_dispute(state, call.ids[0], won=False)


def retrieve_dispute(state: State, call: Call) -> Json:
    """`GET /v1/disputes/{id}`."""
    return state.require("dispute", call.ids[0])


def list_disputes(state: State, call: Call) -> Json:
    """`GET /v1/disputes`."""
    return listed(state, call, "dispute", ("charge", "payment_intent"))


def update_dispute(state: State, call: Call) -> Json:
    """`POST /v1/disputes/{id}`: evidence puts it under review."""
    dispute = state.require("dispute", call.ids[0])
    dispute["metadata"] = merged(dispute["metadata"], call.params.get("metadata"))
    if evidence := call.params.get("evidence"):
        dispute["evidence"] = {**dispute["evidence"], **evidence}
        dispute["evidence_details"]["has_evidence"] = True
        if dispute["status"] == "needs_response" and call.params.get("submit", True):
            dispute["status"] = "under_review"
            dispute["evidence_details"]["submission_count"] += 1
    state.save(dispute)
    state.emit("charge.dispute.updated", dispute)
    return dispute
