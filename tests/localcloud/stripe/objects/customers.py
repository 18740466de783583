"""Customers, as far as Checkout needs them."""

from localcloud.stripe.http.errors import Json
from localcloud.stripe.http.lists import listed
from localcloud.stripe.objects.metadata import merged
from localcloud.stripe.state.state import Call, State


def create_customer(state: State, call: Call) -> Json:
    """`POST /v1/customers`."""
    params = call.params
    made = state.create(
        "cus_",
        "customer",
        {
            "address": None,
            "balance": 0,
            "currency": None,
            "delinquent": False,
            "description": params.get("description"),
            "email": params.get("email"),
            "metadata": merged({}, params.get("metadata")),
            "name": params.get("name"),
            "phone": params.get("phone"),
        },
    )
    state.emit("customer.created", made)
    return made


def retrieve_customer(state: State, call: Call) -> Json:
    """`GET /v1/customers/{id}`."""
    return state.require("customer", call.ids[0])


def list_customers(state: State, call: Call) -> Json:
    """`GET /v1/customers`."""
    return listed(state, call, "customer", ("email",))
