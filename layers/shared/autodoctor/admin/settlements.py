"""POST /api/admin/sessions/{sessionId}/decide: where the money of a session goes whose evidence came late."""

from typing import Final, Literal, LiteralString
from uuid import UUID

from autodoctor.admin.changes import audited
from autodoctor.db import Database
from autodoctor.errors import Conflict, SessionNotFound
from autodoctor.web.schemas import Reason, RequestBody, ResponseModel, Utc

type DecidedOutcome = Literal["pay", "refund"]


class DecideRequest(RequestBody):
    """The decision, and the reason for whoever asks later; without personal data.

    Attributes:
        outcome: pay: the mechanic is paid as for a completed session; refund: the customer has everything back.
    """

    outcome: DecidedOutcome
    note: Reason


class DecidedSettlement(ResponseModel):
    """The decision that stands.

    Attributes:
        session_status: how the session ended; it stays so.
        demanded: how it would have ended with all the evidence there is.
    """

    session_id: UUID
    session_status: str
    demanded: str
    outcome: DecidedOutcome
    note: str
    held_at: Utc
    decided_at: Utc


class SettlementNotHeld(Conflict):
    """Nothing waits for a decision: it is settled as it ended, or will be, or was decided otherwise."""

    slug, title = "settlement-not-held", "Not held"

    def __init__(self, outcome: str | None) -> None:
        detail = "Nobody has to decide about this session's money." if outcome is None else f"It is decided: {outcome}."
        super().__init__(detail, outcome=outcome or "none")


_DECIDE: Final[LiteralString] = """
UPDATE settlement_holds SET outcome = %(outcome)s, note = %(note)s, decided_at = clock_timestamp(),
       decided_by = %(actor_id)s, change_id = %(change_id)s
 WHERE session_id = %(session_id)s AND outcome IS NULL
"""
_STANDS: Final[LiteralString] = """
SELECT s.id AS session_id, s.status AS session_status, h.demanded, h.outcome, h.note, h.held_at, h.decided_at
  FROM sessions s LEFT JOIN settlement_holds h ON h.session_id = s.id WHERE s.id = %(session_id)s
"""


def decide_settlement(
    database: Database, admin_id: UUID, session_id: UUID, request: DecideRequest
) -> DecidedSettlement:
    """Decide once where a held session's money goes; the next sweep settles it so. The same decision again stands.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        session_id: the session.
        request: the decision.

    Raises:
        SessionNotFound: there is none with this id.
        SettlementNotHeld: its money is not held, or it was decided otherwise.
    """
    values = {**audited(admin_id), "session_id": session_id, "outcome": request.outcome, "note": request.note}
    database.execute(_DECIDE, values)  # no row where nothing is held, or it is decided
    stands = database.one(_STANDS, values)
    if stands is None:
        raise SessionNotFound
    if stands["outcome"] != request.outcome:
        raise SettlementNotHeld(stands["outcome"])
    return DecidedSettlement(**stands)
