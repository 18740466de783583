"""The endpoints of the API: for each its operation and its parameters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from localcloud.stripe.objects import (
    balance,
    checkout,
    connect,
    customers,
    disputes,
    evidence,
    files,
    payments,
    payouts,
    refunds,
    transfers,
)
from localcloud.stripe.state import happenings
from localcloud.stripe.state.state import Operation

_ID: Final = "([A-Za-z0-9_]+)"


@dataclass(frozen=True)
class Route:
    """One endpoint; `params` names a typed dictionary of the SDK."""

    method: str
    path: str
    params: str
    operation: Operation

    @property
    def pattern(self) -> re.Pattern[str]:
        """The pattern of its paths."""
        return re.compile(re.escape(self.path).replace(re.escape("{id}"), _ID))


def _named(stem: str, verb: str, folder: str = "") -> str:
    """Name a typed dictionary as the SDK does: `_transfer_create_params.TransferCreateParams`."""
    name = "".join(part.capitalize() for part in f"{stem}_{verb}".split("_"))
    return f"{folder}_{stem}_{verb}_params.{name}Params"


def _route(method: str, path: str, stem: str, verb: str, operation: Operation) -> Route:
    return Route(method, f"/v1/{path}", _named(stem, verb), operation)


def _checkout(method: str, path: str, stem: str, verb: str, operation: Operation) -> Route:
    return Route(method, f"/v1/checkout/sessions{path}", _named(stem, verb, "checkout."), operation)


ROUTES: Final[Sequence[Route]] = (
    _checkout("POST", "", "session", "create", checkout.create_session),
    _checkout("GET", "", "session", "list", checkout.list_sessions),
    _checkout("GET", "/{id}", "session", "retrieve", checkout.retrieve_session),
    _checkout("POST", "/{id}/expire", "session", "expire", checkout.expire_session),
    _checkout("GET", "/{id}/line_items", "session_line_item", "list", checkout.list_line_items),
    _route("GET", "payment_intents", "payment_intent", "list", payments.list_intents),
    _route("GET", "payment_intents/{id}", "payment_intent", "retrieve", payments.retrieve_intent),
    _route("GET", "charges", "charge", "list", payments.list_charges),
    _route("GET", "charges/{id}", "charge", "retrieve", payments.retrieve_charge),
    _route("POST", "refunds", "refund", "create", refunds.create_refund),
    _route("GET", "refunds", "refund", "list", refunds.list_refunds),
    _route("GET", "refunds/{id}", "refund", "retrieve", refunds.retrieve_refund),
    _route("POST", "refunds/{id}", "refund", "update", refunds.update_refund),
    _route("POST", "accounts", "account", "create", connect.create_account),
    _route("GET", "accounts", "account", "list", connect.list_accounts),
    _route("GET", "accounts/{id}", "account", "retrieve", connect.retrieve_account),
    _route("GET", "account", "account", "retrieve", connect.retrieve_account),
    _route("POST", "accounts/{id}", "account", "update", connect.update_account),
    _route("POST", "account_links", "account_link", "create", connect.create_account_link),
    _route("POST", "transfers", "transfer", "create", transfers.create_transfer),
    _route("GET", "transfers", "transfer", "list", transfers.list_transfers),
    _route("GET", "transfers/{id}", "transfer", "retrieve", transfers.retrieve_transfer),
    _route("POST", "transfers/{id}", "transfer", "update", transfers.update_transfer),
    _route("POST", "transfers/{id}/reversals", "transfer_reversal", "create", transfers.create_reversal),
    _route("GET", "transfers/{id}/reversals", "transfer_reversal", "list", transfers.list_reversals),
    _route("GET", "transfers/{id}/reversals/{id}", "transfer_reversal", "retrieve", transfers.retrieve_reversal),
    _route("GET", "balance", "balance", "retrieve", balance.retrieve_balance),
    _route("GET", "balance_transactions", "balance_transaction", "list", balance.list_transactions),
    _route("GET", "balance_transactions/{id}", "balance_transaction", "retrieve", balance.retrieve_transaction),
    _route("GET", "disputes", "dispute", "list", disputes.list_disputes),
    _route("GET", "disputes/{id}", "dispute", "retrieve", disputes.retrieve_dispute),
    _route("POST", "disputes/{id}", "dispute", "update", evidence.update_dispute),
    _route("POST", "disputes/{id}/close", "dispute", "close", disputes.give_in),
    _route("POST", "files", "file", "create", files.create_file),
    _route("GET", "files", "file", "list", files.list_files),
    _route("GET", "files/{id}", "file", "retrieve", files.retrieve_file),
    _route("GET", "events", "event", "list", happenings.list_events),
    _route("GET", "events/{id}", "event", "retrieve", happenings.retrieve_event),
    _route("POST", "payouts", "payout", "create", payouts.create_payout),
    _route("GET", "payouts", "payout", "list", payouts.list_payouts),
    _route("GET", "payouts/{id}", "payout", "retrieve", payouts.retrieve_payout),
    _route("POST", "customers", "customer", "create", customers.create_customer),
    _route("GET", "customers", "customer", "list", customers.list_customers),
    _route("GET", "customers/{id}", "customer", "retrieve", customers.retrieve_customer),
)
_COMPILED: Final = tuple((route, route.pattern) for route in ROUTES)


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """Return the route of a request and the ids in its path."""
    for route, pattern in _COMPILED:
        if route.method == method and (match := pattern.fullmatch(path)):
            return route, match.groups()
    return None
