"""The stand-in's state: objects, clock, events. Every operation gets it, inside a transaction."""

import copy
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from localcloud.stripe.http.errors import Json, missing_object
from localcloud.stripe.state.store import Store

API_VERSION: Final = "2026-10-28.endive"
_TIMES: Final = frozenset(
    {"arrival_date", "available_on", "canceled_at", "created", "due_by", "expires_at", "paid_at", "submitted_at"}
)
_CALLERS_OWN: Final = "metadata"
_ACCOUNT_BYTES: Final = 8
_ID_BYTES: Final = 12

type Listener = Callable[[Json, str | None], None]
"""Called with each new event, and with its connected account if any."""


@dataclass(frozen=True)
class Call:
    """One request to an operation: its parameters, the ids in its path, and the account it acts for."""

    params: Json
    ids: tuple[str, ...] = ()
    account: str = ""
    request_id: str | None = None
    idempotency_key: str | None = None


type Operation = Callable[[State, Call], Json]


@dataclass(frozen=True)
class Criteria:
    """The filter of a list: objects with these values, created within these bounds."""

    equal: Mapping[str, object] = field(default_factory=dict)
    created: int | Mapping[str, int] | None = None


class State:
    """Objects by id, on a clock that a test can move."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.public_url = ""  # set by each process, as the port may change
        self.listeners: list[Listener] = []
        self.request: tuple[str | None, str | None] = (None, None)
        with store.transaction():
            self.api_key: str = self._secret("api_key", "sk_test_")
            self.platform: str = self._secret("platform", "acct_", _ACCOUNT_BYTES)
            self._offset: float = store.setting("offset", 0.0)

    def _secret(self, name: str, prefix: str, size: int = 24) -> str:
        """Return a secret, which the first start chose."""
        found = self.store.setting(name, "")
        if not found:
            found = prefix + secrets.token_hex(size)
            self.store.settle(name, found)
        return found

    def now(self) -> float:
        """The stand-in's clock, in seconds since the epoch."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Let everything in the books become so many seconds older, as callers see it."""
        self._offset += seconds
        self.store.settle("offset", self._offset)

    def inward(self, moment: int) -> int:
        """Turn a caller's time into one of our clock."""
        return moment + int(self._offset)

    def shown(self, value: Json) -> Json:
        """Return an object as a caller sees it: no private keys, times on the caller's clock."""
        shown = _shown(value, int(self._offset), self.now())
        assert isinstance(shown, dict)
        return shown

    def new_id(self, prefix: str) -> str:
        """Make up an id."""
        return prefix + secrets.token_hex(_ACCOUNT_BYTES if prefix == "acct_" else _ID_BYTES)

    def create(self, prefix: str, kind: str, body: Json, account: str | None = None) -> Json:
        """Store a new object, of the platform unless an account is given."""
        made = {"id": self.new_id(prefix), "object": kind, "created": int(self.now()), "livemode": False, **body}
        self.store.insert(made, account or self.platform)
        return made

    def save(self, body: Json) -> Json:
        """Store a changed object."""
        self.store.update(body)
        return body

    def find(self, kind: str, object_id: str, account: str | None = None) -> Json | None:
        """Return an object of that kind and owner (None: the platform), or None."""
        found = self.store.get(object_id)
        if found is None or found[0] != (account or self.platform) or found[1]["object"] != kind:
            return None
        return found[1]

    def require(self, kind: str, object_id: str, param: str = "id", account: str | None = None) -> Json:
        """Return an object. Raises ApiError."""
        found = self.find(kind, object_id, account)
        if found is None:
            raise missing_object(kind.rpartition(".")[2], object_id, param)
        return found

    def matching(self, kind: str, criteria: Criteria, account: str | None = None) -> list[Json]:
        """Return all objects that match, the newest first."""
        return self.store.select(kind, account or self.platform, self.conditions(criteria))

    def conditions(self, criteria: Criteria) -> dict[str, object]:
        """Return SQL conditions and their values; field names come from the SDK, not from the caller."""
        where: dict[str, object] = {
            f"json_extract(body, '$.{name}') = ?": value for name, value in criteria.equal.items() if value is not None
        }
        bounds = {"eq": criteria.created} if isinstance(criteria.created, int) else criteria.created or {}
        for name, moment in bounds.items():
            where[f"created {_COMPARISONS[name]} ?"] = self.inward(moment)
        return where

    def emit(self, kind: str, about: Json, *, account: str | None = None, previous: Json | None = None) -> Json:
        """Record an event and have it delivered; `account` is its connected account."""
        request_id, key = self.request
        data: Json = {"object": copy.deepcopy(about)}
        if previous is not None:
            data["previous_attributes"] = previous
        body: Json = {
            "api_version": API_VERSION,
            "data": data,
            "pending_webhooks": 0,
            "request": {"id": request_id, "idempotency_key": key},
            "type": kind,
        }
        event = self.create("evt_", "event", {"account": account, **body} if account else body, account)
        for listener in self.listeners:
            listener(event, account)
        return event


_COMPARISONS: Final = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _shown(value: object, offset: int, now: float) -> object:
    if isinstance(value, list):
        return [_shown(item, offset, now) for item in value]
    if not isinstance(value, dict):
        return value
    found: Json = {}
    for key, item in value.items():
        if key in _TIMES and isinstance(item, int):
            found[key] = item - offset
        elif not key.startswith("_"):
            found[key] = item if key == _CALLERS_OWN else _shown(item, offset, now)
    if value.get("object") == "balance_transaction":
        found["status"] = "available" if value["available_on"] <= now else "pending"
    found.update(value.get("_told", {}))  # what our balance lost, in another currency
    return found
