"""Connect: accounts of mechanics, and the links that lead them through onboarding."""

from typing import Final, Literal

from localcloud.stripe.http.errors import ApiError, Json, invalid, missing_object
from localcloud.stripe.http.lists import listed
from localcloud.stripe.objects.metadata import merged
from localcloud.stripe.state.state import Call, State

_LINK_SECONDS: Final = 300
_DUE: Final = ("external_account", "individual.id_number", "tos_acceptance.date")
_FIELDS: Final = ("business_profile", "business_type", "company", "email", "individual", "settings")

type Standing = Literal["new", "onboarded", "restricted"]


def create_account(state: State, call: Call) -> Json:
    """`POST /v1/accounts`: nothing works on it before its onboarding."""
    params = call.params
    if params.get("type") and params.get("controller"):
        raise invalid("You may not provide the `type` parameter and `controller` parameters.", "type")
    made = state.create(
        "acct_",
        "account",
        {
            "business_profile": params.get("business_profile"),
            "business_type": params.get("business_type"),
            "capabilities": {},
            "charges_enabled": False,
            "controller": params.get("controller") or {"is_controller": True, "type": "application"},
            "country": params.get("country", "US"),
            "default_currency": params.get("default_currency", "usd"),
            "details_submitted": False,
            "email": params.get("email"),
            "external_accounts": {"object": "list", "data": [], "has_more": False, "total_count": 0, "url": ""},
            "metadata": merged({}, params.get("metadata")),
            "payouts_enabled": False,
            "requirements": _requirements("new"),
            "settings": params.get("settings", {}),
            "tos_acceptance": {},
            "type": params.get("type", "none"),
            "_standing": "new",
        },
    )
    _request(made, params)
    state.save(made)
    _tell(state, made)
    return made


def update_account(state: State, call: Call) -> Json:
    """`POST /v1/accounts/{id}`."""
    account, params = _account(state, call.ids[0]), call.params
    account.update({name: params[name] for name in _FIELDS if name in params})
    account["metadata"] = merged(account["metadata"], params.get("metadata"))
    _request(account, params)
    state.save(account)
    _tell(state, account)
    return account


def retrieve_account(state: State, call: Call) -> Json:
    """`GET /v1/accounts/{id}`, and `GET /v1/account` for the caller's own."""
    account_id = call.ids[0] if call.ids else call.account
    if account_id == state.platform:
        return {"id": state.platform, "object": "account", "charges_enabled": True, "payouts_enabled": True} | {
            "country": "US",
            "default_currency": "usd",
            "details_submitted": True,
            "type": "standard",
        }
    return _account(state, account_id)


def list_accounts(state: State, call: Call) -> Json:
    """`GET /v1/accounts`."""
    return listed(state, call, "account", ())


def require_destination(state: State, account_id: str) -> Json:
    """Return a transfer's destination, which must be able to receive it. Raises ApiError."""
    account = state.find("account", account_id)
    if account is None or account.get("_closed"):
        raise missing_object("destination", account_id, "destination")
    if account["capabilities"].get("transfers") != "active":
        message = (
            "Your destination account needs to have at least one of the following capabilities enabled: "
            "transfers, crypto_transfers, legacy_payments"
        )
        raise ApiError(message, code="insufficient_capabilities_for_transfer")
    return account


def put_standing(state: State, account_id: str, standing: Standing) -> Json:
    """Finish an account's onboarding, or restrict it, as Stripe's checks would. Raises ApiError."""
    account = _account(state, account_id)
    good = standing == "onboarded"
    account.update(
        _standing=standing,
        charges_enabled=good,
        payouts_enabled=good,
        details_submitted=account["details_submitted"] or good,
        requirements=_requirements(standing),
        capabilities=dict.fromkeys(account["capabilities"], "active" if good else "inactive"),
    )
    state.save(account)
    _tell(state, account)
    return account


def close_account(state: State, account_id: str) -> None:
    """Let an account's owner close it, or disconnect it from the platform: we no longer see it. Raises ApiError."""
    account = _account(state, account_id)
    account["_closed"] = True
    state.save(account)
    application = {"id": "ca_" + state.platform[5:], "object": "application", "name": "The platform"}
    state.emit("account.application.deauthorized", application, account=account_id)


def create_account_link(state: State, call: Call) -> Json:
    """`POST /v1/account_links`: an address that works once, within five minutes."""
    params = call.params
    account = _account(state, params["account"], "account")
    for name in ("refresh_url", "return_url"):
        if not params.get(name):
            raise invalid(f"Missing required param: {name}.", name, "parameter_missing")
    token = state.new_id("")
    expires_at = int(state.now()) + _LINK_SECONDS
    link = state.create(
        "alink_",
        "account_link",
        {
            "id": f"alink_{token}",
            "expires_at": expires_at,
            "url": f"{state.public_url}/onboarding/alink_{token}",
            "_account": account["id"],
            "_refresh_url": params["refresh_url"],
            "_return_url": params["return_url"],
            "_used": False,
        },
    )
    return {name: link[name] for name in ("object", "created", "expires_at", "url")}


def _account(state: State, account_id: str, param: str = "id") -> Json:
    found = state.find("account", account_id)
    if found is not None and found.get("_closed"):
        found = None
    if found is None and param == "id":
        message = (
            f"The provided key '{state.api_key[:11]}...' does not have access to account '{account_id}' "
            "(or that account does not exist). Application access may have been revoked."
        )
        raise ApiError(message, status=403, code="account_invalid")
    if found is None:
        raise missing_object("account", account_id, param)
    return found


def _request(account: Json, params: Json) -> None:
    """Add the requested capabilities; on an onboarded account they are active at once."""
    status = "active" if account["_standing"] == "onboarded" else "inactive"
    for name, wish in params.get("capabilities", {}).items():
        if wish and wish.get("requested"):
            account["capabilities"].setdefault(name, status)


def _requirements(standing: Standing) -> Json:
    due = [] if standing == "onboarded" else list(_DUE)
    reason = {"new": "requirements.past_due", "restricted": "rejected.other", "onboarded": None}[standing]
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": due,
        "disabled_reason": reason,
        "errors": [],
        "eventually_due": due,
        "past_due": due,
        "pending_verification": [],
    }


def _tell(state: State, account: Json) -> None:
    state.emit("account.updated", account, account=account["id"])


class LinkOver(Exception):
    """An onboarding link is too old or was used; `refresh_url` gives its owner another."""

    def __init__(self, refresh_url: str) -> None:
        super().__init__("the account link is over")
        self.refresh_url = refresh_url


def open_link(state: State, link_id: str) -> Json:
    """Return a link that still works. Raises LinkOver, and ApiError when there is no such link."""
    link = state.require("account_link", link_id)
    if link["_used"] or link["expires_at"] <= state.now():
        raise LinkOver(link["_refresh_url"])
    return link


def follow(state: State, link_id: str, *, finish: bool) -> str:
    """Finish onboarding, or leave it unfinished, and return the address that Stripe redirects to.

    Raises LinkOver and ApiError.
    """
    link = open_link(state, link_id)
    link["_used"] = True
    state.save(link)
    if finish:
        put_standing(state, link["_account"], "onboarded")
    return str(link["_return_url"])
