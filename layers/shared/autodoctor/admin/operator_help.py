"""POST /api/admin/sessions/{sessionId}/message and /offer: what an operator does for somebody who waits."""

from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

from pydantic import Field, StringConstraints

from autodoctor.db import Database
from autodoctor.errors import Conflict, SessionEnded, SessionNotFound, Unprocessable
from autodoctor.ids import new_id
from autodoctor.web.schemas import VISIBLE, RequestBody, ResponseModel

_WRITE: Final[LiteralString] = (
    "SELECT operator_writes(%(session_id)s, %(admin_id)s, %(change_id)s, %(text)s) AS outcome"
)
_OFFER: Final[LiteralString] = (
    "SELECT operator_offers(%(session_id)s, %(admin_id)s, %(change_id)s, %(mechanic_id)s) AS outcome"
)

_WHY_NOT: Final = {
    "not_queued": "This request is not waiting in the queue.",
    "suspended": "This mechanic is suspended.",
    "other_workshop": "This request is for the mechanics of a workshop, and this one is not of it.",
    "declined": "This mechanic has declined this request.",
    "own_session": "This mechanic is the customer.",
    "busy": "This mechanic has a session.",
}


class OperatorMessageRequest(RequestBody):
    """Words for both parties, in the room of the session."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), VISIBLE]


class OperatorMessage(ResponseModel):
    """It stands in the room."""

    session_id: UUID


class OfferRequest(RequestBody):
    """To whom the request is offered, by their own id."""

    mechanic_id: Annotated[UUID, Field(strict=False)]


class OperatorOffer(ResponseModel):
    """The request is reserved for this mechanic, as if the customer had asked for them."""

    session_id: UUID
    mechanic_id: UUID
    assignment_status: Literal["offered"] = "offered"


class NotOffered(Conflict):
    """The request cannot be offered to this mechanic."""

    slug, title = "not-offered", "Not offered"

    def __init__(self, reason: str) -> None:
        super().__init__(_WHY_NOT[reason], reason=reason)


def write(database: Database, admin_id: UUID, session_id: UUID, request: OperatorMessageRequest) -> OperatorMessage:
    """Write into the room of a session that is not over, as the operator; audited without the words.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        session_id: the session.
        request: the words.

    Raises:
        SessionEnded: it is over.
        SessionNotFound: there is none with this id.
    """
    values = {"session_id": session_id, "admin_id": admin_id, "change_id": new_id(), "text": request.text}
    outcome: str = database.only(_WRITE, values)["outcome"]
    if outcome == "unknown":
        raise SessionNotFound
    if outcome != "written":
        raise SessionEnded(outcome)
    return OperatorMessage(session_id=session_id)


def offer(database: Database, admin_id: UUID, session_id: UUID, request: OfferRequest) -> OperatorOffer:
    """Offer a request that waits in the queue to one mechanic, who may be away; the same again changes nothing.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        session_id: the session.
        request: the mechanic.

    Raises:
        NotOffered: it does not wait, or this mechanic cannot take it.
        SessionNotFound: there is none with this id.
        Unprocessable: there is no such mechanic.
    """
    mechanic_id = request.mechanic_id
    values = {"session_id": session_id, "admin_id": admin_id, "change_id": new_id(), "mechanic_id": mechanic_id}
    outcome: str = database.only(_OFFER, values)["outcome"]
    if outcome == "unknown":
        raise SessionNotFound
    if outcome == "no_mechanic":
        raise Unprocessable(("/mechanicId", "there is no such mechanic"))
    if outcome != "offered":
        raise NotOffered(outcome)
    return OperatorOffer(session_id=session_id, mechanic_id=mechanic_id)
