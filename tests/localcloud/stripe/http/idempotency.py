"""Idempotency keys as Stripe keeps them: per account, for a day, with the answer, even a 500."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from localcloud.stripe.http.errors import ApiError, Json, invalid
from localcloud.stripe.state.state import State

_KEPT_SECONDS: Final = 24 * 3600
_LONGEST: Final = 255
_KIND: Final = "idempotency_error"


@dataclass(frozen=True)
class Attempt:
    """A request under a key; `fingerprint` covers everything that must be equal in a repeated request."""

    account: str
    key: str
    path: str
    fingerprint: str


@dataclass(frozen=True)
class Stored:
    """The first answer to a key."""

    status: int
    body: str
    request_id: str


def attempt(account: str, key: str, path: str, params: Json) -> Attempt:
    """Describe a request under a key. Raises ApiError for a key that is too long."""
    if len(key) > _LONGEST:
        raise invalid(f"Idempotency keys can be at most {_LONGEST} characters long.")
    text = json.dumps([path, params], sort_keys=True, default=str)
    return Attempt(account, key, path, hashlib.sha256(text.encode()).hexdigest())


class Keys:
    """The keys of all accounts. Those in use are known to this process only: a kill leaves nothing half done."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._at_work: set[tuple[str, str]] = set()

    def begin(self, attempt: Attempt) -> Stored | None:
        """Return the answer that a key has, or take the key until `end`. Raises ApiError."""
        held = (attempt.account, attempt.key)
        if held in self._at_work:
            message = (
                "There is currently another in-progress request using this Idempotent Key (that probably means you "
                "submitted twice, and the other request is still going through): "
                f"{attempt.key}. Please try again later."
            )
            raise ApiError(message, status=409, kind=_KIND, code="idempotency_key_in_use", began=False)
        if stored := self._stored(attempt):
            return stored
        self._at_work.add(held)
        return None

    def end(self, attempt: Attempt) -> None:
        """Give a key back."""
        self._at_work.discard((attempt.account, attempt.key))

    def keep(self, attempt: Attempt, answer: Stored) -> None:
        """Keep an answer, in the caller's transaction."""
        self._state.store.write(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(attempt.account, attempt.key, attempt.path, attempt.fingerprint),
            *(answer.request_id, answer.status, answer.body, self._state.now()),
        )

    def prune(self) -> None:
        """Forget keys that are older than a day."""
        self._state.store.write("DELETE FROM idempotency WHERE stored_at < ?", self._state.now() - _KEPT_SECONDS)

    def _stored(self, attempt: Attempt) -> Stored | None:
        row = self._state.store.one(
            "SELECT * FROM idempotency WHERE account = ? AND key = ? AND stored_at >= ?",
            *(attempt.account, attempt.key, self._state.now() - _KEPT_SECONDS),
        )
        if row is None:
            return None
        if row["path"] != attempt.path:
            message = (
                "Keys for idempotent requests can only be used for the same endpoint they were first used for "
                f"('{attempt.path}' vs '{row['path']}'). Try using a key other than '{attempt.key}' "
                "if you meant to execute a different request."
            )
            raise ApiError(message, kind=_KIND, began=False)
        if row["fingerprint"] != attempt.fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{attempt.key}' if you meant to execute a different request."
            )
            raise ApiError(message, kind=_KIND, began=False)
        return Stored(row["status"], row["body"], row["request_id"])
