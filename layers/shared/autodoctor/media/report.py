"""POST /api/sessions/{sessionId}/call/report: a page says that it got packets from the other; both have to say so."""

from datetime import timedelta
from typing import Annotated, Final, LiteralString
from uuid import UUID

from pydantic import Field

from autodoctor.db import Database
from autodoctor.errors import SessionNotFound, SessionNotOpen, Unprocessable
from autodoctor.media.errors import CallOver
from autodoctor.web.schemas import RequestBody, ResponseModel, Utc

LONGEST: Final = timedelta(seconds=16)
"""Of a window: 15 seconds, and one for what a timer of the page is late."""

_REPORT: Final[LiteralString] = """
SELECT * FROM report_heard(%(session_id)s, %(user_id)s, %(since)s, %(until)s, %(now)s, %(packets)s)
"""


class HeardRequest(RequestBody):
    """A window in which packets of the other party kept coming, by the page's clock.

    Attributes:
        since: the first second in which some came.
        until: the last one; at most 16 seconds after it: windows are of 15, and timers are late.
        now: the page's clock as it sends this.
        packets: how many came; none says that the page listens, and hears nothing.
    """

    since: Annotated[Utc, Field(alias="from")]
    until: Utc
    now: Utc
    packets: Annotated[int, Field(ge=0, le=1_000_000)]


class Heard(ResponseModel):
    """Whether it was recorded as time: not without a packet, not again, and not of more than a minute ago."""

    session_id: UUID
    recorded: bool


def report(database: Database, user_id: UUID, session_id: UUID, window: HeardRequest) -> Heard:
    """Record what a party's page heard of the other.

    It is evidence only as far as the other page says the same of this party.

    Args:
        user_id: `sub` of the customer or the mechanic.

    Raises:
        SessionNotFound: not a party of such a session.
        SessionNotOpen: there is no call.
        CallOver: the session is over.
        TooManyRequests: the page reports far more often than every 15 seconds.
        Unprocessable: the window ends before it begins, in the future, or is too long.
    """
    if not window.since < window.until <= window.now:
        raise Unprocessable(("/until", "must be after from, and not after now"))
    if window.until - window.since > LONGEST:
        raise Unprocessable(("/until", "must be at most 16 seconds after from"))
    found = database.one(_REPORT, {**window.model_dump(), "session_id": session_id, "user_id": user_id})
    if found is None:
        raise SessionNotFound
    if found["outcome"] == "over":
        raise CallOver(found["session_status"])
    if found["outcome"] == "not_open":
        raise SessionNotOpen(found["session_status"])
    return Heard(session_id=session_id, recorded=found["recorded"])
