"""POST /api/realtime/ticket: a ticket opens one WebSocket connection, within a minute.

The URL of a WebSocket lands in access logs, so it carries a ticket and not the token.
"""

import hashlib
import secrets
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.settings import required
from autodoctor.web.schemas import ResponseModel

TICKET_SECONDS: Final = 60
_TICKET_BYTES: Final = 32

_ISSUE: Final[LiteralString] = """
INSERT INTO realtime_tickets (ticket_hash, user_id, groups, expires_at)
SELECT %(ticket_hash)s, %(user_id)s, %(groups)s, clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE count_against('tickets', %(user_id)s)
"""


class Ticket(ResponseModel):
    """A ticket and the address to open with it.

    Attributes:
        ticket: goes into the query string of `url`.
        url: of the WebSocket API.
        expires_in: seconds for which the ticket can be used.
    """

    ticket: str
    url: str
    expires_in: int = TICKET_SECONDS


def issue_ticket(database: Database, user_id: UUID, groups: frozenset[str]) -> Ticket:
    """Give out a ticket.

    Args:
        user_id: the user who will connect.
        groups: of the caller's token; they decide which messages the connection gets.

    Raises:
        TooManyRequests: the user has asked for too many of late.
    """
    ticket = secrets.token_urlsafe(_TICKET_BYTES)
    parameters = {
        "ticket_hash": ticket_hash(ticket),
        "user_id": user_id,
        "groups": sorted(groups),
        "seconds": TICKET_SECONDS,
    }
    database.execute(_ISSUE, parameters)
    return Ticket(ticket=ticket, url=required("WEBSOCKET_URL"))


def ticket_hash(ticket: str) -> bytes:
    """The hash that is stored in place of a ticket."""
    return hashlib.sha256(ticket.encode()).digest()
