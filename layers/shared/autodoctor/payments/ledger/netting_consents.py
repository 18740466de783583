"""POST /api/mechanic/netting: may what a mechanic owes be withheld from their next payouts?"""

from typing import Final, LiteralString
from uuid import UUID

import psycopg
from pydantic import Field

from autodoctor.db import Database, Row
from autodoctor.errors import MechanicNotActive, Unprocessable
from autodoctor.web.schemas import RequestBody, ResponseModel, Utc

VERSION: Final = 1
WORDS: Final = (
    "If a customer gets money back for a session after I was paid for it, my part of it may be kept from my next "
    "payouts, whatever they are for, until it is paid back. My statements show each amount. If the customer does not "
    "get the money after all, I am paid it again. I can withdraw this at any time, for payouts that were not sent yet."
)
"""The words that are agreed to; other words get another version."""

_NOW: Final[LiteralString] = """
SELECT c.agreed_at, c.version AS agreed_version,
       greatest((SELECT sum(CASE WHEN t.debit_account = a.account THEN t.amount ELSE -t.amount END)
                   FROM ledger_transfer t
                  WHERE t.debit_account = a.account OR t.credit_account = a.account), 0)::bigint AS owed_cents
  FROM mechanics m
  CROSS JOIN LATERAL (SELECT 'mechanic:' || m.id || ':receivable' AS account) AS a
  LEFT JOIN netting_consents c ON c.mechanic_id = m.id AND c.withdrawn_at IS NULL
 WHERE m.user_id = %(user_id)s
"""
_WITHDRAW: Final[LiteralString] = """
UPDATE netting_consents c SET withdrawn_at = clock_timestamp() FROM mechanics m
 WHERE m.user_id = %(user_id)s AND c.mechanic_id = m.id AND c.withdrawn_at IS NULL
   AND c.version IS DISTINCT FROM %(version)s::integer
"""
_AGREE: Final[LiteralString] = """
INSERT INTO netting_consents (mechanic_id, version, words)
SELECT m.id, %(version)s, %(words)s FROM mechanics m
 WHERE m.user_id = %(user_id)s
   AND NOT EXISTS (SELECT FROM netting_consents c WHERE c.mechanic_id = m.id AND c.withdrawn_at IS NULL)
   AND count_against('netting_consents', %(user_id)s)
ON CONFLICT (mechanic_id) WHERE withdrawn_at IS NULL DO NOTHING
"""


class NettingRequest(RequestBody):
    """Whether the mechanic agrees, and to which version of the words."""

    agreed: bool
    version: int = Field(default=VERSION, ge=1, le=32767)


class Netting(ResponseModel):
    """The mechanic's consent.

    Attributes:
        agreed_at: when it was given; null: it is not in force.
        agreed_version: the version of the words then.
        version: of the words now.
        words: what is agreed to.
        owed_cents: what the mechanic has to give back now.
    """

    agreed: bool
    agreed_at: Utc | None
    agreed_version: int | None
    version: int
    words: str
    owed_cents: int


def netting_of(database: Database, user_id: UUID) -> Netting | None:
    """What a mechanic owes and agreed to, suspended or not; None for somebody who is not a mechanic.

    Args:
        user_id: the mechanic's `sub`.
    """
    row = database.one(_NOW, {"user_id": user_id})
    return None if row is None else Netting(agreed=row["agreed_at"] is not None, version=VERSION, words=WORDS, **row)


def agree(database: Database, user_id: UUID, wish: NettingRequest) -> Netting:
    """Give the consent, or withdraw it for what was not sent yet; doing so again changes nothing.

    Args:
        user_id: the mechanic's `sub`.
        wish: whether, and to which words.

    Raises:
        MechanicNotActive: no such mechanic.
        TooManyRequests: it was given too often of late.
        Unprocessable: the words are others by now.
    """
    if wish.agreed and wish.version != VERSION:
        raise Unprocessable(("/version", f"must be {VERSION}: the words have changed"))

    def store(connection: psycopg.Connection[Row]) -> None:
        kept = VERSION if wish.agreed else None
        connection.execute(_WITHDRAW, {"user_id": user_id, "version": kept})
        if wish.agreed:
            connection.execute(_AGREE, {"user_id": user_id, "version": VERSION, "words": WORDS})

    database.transaction(store)
    found = netting_of(database, user_id)
    if found is None:
        raise MechanicNotActive
    return found
