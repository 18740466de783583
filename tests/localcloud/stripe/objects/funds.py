"""The platform's own money, added to its balance: a top-up, as from the dashboard."""

from localcloud.stripe.http.errors import Json
from localcloud.stripe.objects.balance import Movement, move
from localcloud.stripe.state.state import State


def add_funds(state: State, amount: int, currency: str) -> Json:
    """Add cents, which are available at once."""
    made = state.create("tu_", "topup", {"amount": amount, "currency": currency, "status": "succeeded"})
    booked = move(state, Movement("topup", amount, currency, made["id"], int(state.now())))
    made["balance_transaction"] = booked["id"]
    return state.save(made)
