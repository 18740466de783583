"""What a medium says of who came and went: Chime by two ways, or one that an operator brings, on our own bus.

Chime's events: docs.aws.amazon.com/chime-sdk/latest/dg, "Using EventBridge with the Amazon Chime SDK"; the queue that a
meeting names gets the same. They are delivered by best effort, repeated, and in any order; what each says is its key.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

from pydantic import BaseModel, Field, field_validator

from autodoctor.db import Database
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.web.schemas import Utc

KINDS: Final = {
    "chime:AttendeeJoined": "joined",
    "chime:AttendeeLeft": "left",
    "chime:AttendeeDropped": "dropped",
    "chime:AttendeeDeleted": "deleted",
    "chime:MeetingEnded": "ended",
}
"""What counts; the others (of video, of one who may join, of a second device) say nothing of who is there."""

_MEETING: Final[LiteralString] = """
SELECT hear_meeting(%(meeting_id)s, %(external_user_id)s, %(attendee_id)s, %(kind)s, %(at)s) AS session_id
"""
_BROUGHT: Final[LiteralString] = "SELECT hear_brought(%(session_id)s, %(role)s, %(kind)s, %(at)s) AS session_id"


class _Said(BaseModel):
    """The detail of Chime's event."""

    event_type: str = Field(validation_alias="eventType")
    at: datetime = Field(validation_alias="timestamp")
    meeting_id: str = Field(validation_alias="meetingId")
    attendee_id: str | None = Field(None, validation_alias="attendeeId")
    external_user_id: UUID | None = Field(None, validation_alias="externalUserId")

    @field_validator("at", mode="before")
    @classmethod
    def _of_milliseconds(cls, value: object) -> object:
        return datetime.fromtimestamp(value / 1000, UTC) if isinstance(value, int | float) else value


class BroughtPresence(BaseModel):
    """The detail of `medium.presence`, by which an operator's own medium says who is there."""

    session_id: UUID = Field(validation_alias="sessionId")
    role: Literal["customer", "mechanic"]
    kind: Literal["joined", "left"]
    at: Utc


def hear_chime(database: Database, detail: Mapping[str, Any]) -> UUID | None:
    """Take in one event of Chime's; a repeated one, and one of a meeting that is not ours, changes nothing.

    Returns:
        The session whose evidence has changed.

    Raises:
        pydantic.ValidationError: it is not shaped as documented.
    """
    if detail.get("eventType") not in KINDS:
        return None
    said = _Said.model_validate(detail)
    return _taken(database, _MEETING, {**said.model_dump(), "kind": KINDS[said.event_type]}, said.at)


def hear_presence(database: Database, detail: Mapping[str, Any]) -> UUID | None:
    """Take in one event of an operator's own medium; as `hear_chime`."""
    said = BroughtPresence.model_validate(detail)
    return _taken(database, _BROUGHT, said.model_dump(), said.at)


def _taken(database: Database, statement: LiteralString, parameters: Mapping[str, object], at: datetime) -> UUID | None:
    found = database.one(statement, parameters)
    session_id: UUID | None = found["session_id"] if found else None
    late = max(0.0, (datetime.now(UTC) - at).total_seconds())
    logger.info(
        "medium said", extra={"kind": parameters["kind"], "new": session_id is not None, "late": round(late, 1)}
    )
    metrics.add_metric(name="MediaEvents", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="MediaEventSeconds", unit=MetricUnit.Seconds, value=late)
    metrics.flush_metrics()
    return session_id
