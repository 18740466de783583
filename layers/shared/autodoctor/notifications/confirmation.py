"""POST /api/notifications/confirm-address: an address is shown to be a user's by the link that was mailed to it."""

import hashlib
import secrets
from typing import Final, Literal, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.errors import NotFound
from autodoctor.web.schemas import RequestBody, ResponseModel

CONFIRM_DAYS: Final = 7
"""How long a link is good."""
_TOKEN_BYTES: Final = 32
_PATH: Final = "/settings/confirm"

# The link is for the user who entered the address: nobody else can have mails about somebody's sessions sent to it.
_CONFIRM: Final[LiteralString] = """
WITH known AS (
  SELECT user_id, address_hash FROM address_confirmations
   WHERE token_hash = %(token_hash)s AND user_id = %(user_id)s AND expires_at > now()
), confirmed AS (
  INSERT INTO confirmed_addresses (user_id, address_hash) SELECT user_id, address_hash FROM known
  ON CONFLICT DO NOTHING
)
SELECT FROM known
"""


class ConfirmationRequest(RequestBody):
    """The token of the link."""

    token: str


class AddressConfirmed(ResponseModel):
    """Mails are sent to the address from now on."""

    confirmed: Literal[True] = True


class ConfirmationNotFound(NotFound):
    """No such confirmation, one of another user, or one that is too old: all look the same."""

    def __init__(self) -> None:
        super().__init__("This link is not good any more, or it is for another account.")


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """The hash that is stored in place of a token."""
    return hashlib.sha256(token.encode()).digest()


def confirm_url(base_url: str, token: str) -> str:
    """The link of a confirmation; a person follows it and says yes there, as mail scanners follow links too."""
    return f"{base_url}{_PATH}?token={token}"


def confirm_address(database: Database, user_id: UUID, request: ConfirmationRequest) -> AddressConfirmed:
    """Confirm the address that a confirmation was mailed to; again is the same answer.

    Args:
        user_id: the `sub` of the user who entered it.
        request: the token of the link.

    Raises:
        ConfirmationNotFound: there is no such confirmation for this user, or it is too old.
    """
    parameters = {"token_hash": token_hash(request.token), "user_id": user_id}
    if database.one(_CONFIRM, parameters) is None:
        raise ConfirmationNotFound
    return AddressConfirmed()
