"""Bounces and complaints that SES reports: both stop further mail to that address.

SES publishes them to the account's default bus, best effort and possibly twice. The detail's schema is the "SES events
schema reference" of the developer guide.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, LiteralString

from psycopg.types.json import Jsonb
from pydantic import AliasPath, AwareDatetime, BaseModel, Field

from autodoctor.db import Database
from autodoctor.observability import count, logger

_SUPPRESS: Final[LiteralString] = """
WITH entered AS (
  INSERT INTO mail_suppressions (address_hash, reason, at, feedback)
  SELECT DISTINCT address_hash(address), %(reason)s, %(at)s::timestamptz, %(feedback)s::jsonb
    FROM unnest(%(addresses)s::text[]) AS address
  ON CONFLICT (address_hash) DO NOTHING
  RETURNING 1
)
SELECT count(*) AS entered FROM entered
"""


class _Address(BaseModel):
    email: str = Field(alias="emailAddress")


class _Bounce(BaseModel):
    """`detail.bounce`; `Permanent` is a hard bounce, `Transient` and `Undetermined` are not."""

    type: str = Field(alias="bounceType")
    subtype: str | None = Field(None, alias="bounceSubType")
    recipients: list[_Address] = Field(alias="bouncedRecipients")
    at: AwareDatetime = Field(alias="timestamp")
    feedback_id: str = Field(alias="feedbackId")


class _Complaint(BaseModel):
    """`detail.complaint`; the type is the mail provider's and often absent."""

    type: str | None = Field(None, alias="complaintFeedbackType")
    subtype: str | None = Field(None, alias="complaintSubType")
    recipients: list[_Address] = Field(alias="complainedRecipients")
    at: AwareDatetime = Field(alias="timestamp")
    feedback_id: str = Field(alias="feedbackId")


class _Detail(BaseModel):
    kind: str = Field(alias="eventType")
    message_id: str = Field(validation_alias=AliasPath("mail", "messageId"))
    bounce: _Bounce | None = None
    complaint: _Complaint | None = None


def take_feedback(database: Database, envelope: Mapping[str, Any]) -> None:
    """Act on one event of SES; a second delivery changes nothing.

    Args:
        envelope: as EventBridge delivers it, detail-type `Email Bounced` or `Email Complaint Received`.

    Raises:
        pydantic.ValidationError: it is not shaped as documented.
    """
    detail = _Detail.model_validate(envelope["detail"])
    if detail.complaint is not None:
        _suppress(database, "complaint", detail.message_id, detail.complaint)
    elif detail.bounce is not None and detail.bounce.type == "Permanent":
        _suppress(database, "bounce", detail.message_id, detail.bounce)
    else:
        logger.info("mail feedback ignored", extra={"eventType": detail.kind})


def _suppress(
    database: Database, reason: Literal["bounce", "complaint"], message_id: str, said: _Bounce | _Complaint
) -> None:
    facts = {"messageId": message_id, "feedbackId": said.feedback_id, "type": said.type, "subtype": said.subtype}
    addresses = [recipient.email for recipient in said.recipients]
    parameters = {"reason": reason, "at": said.at, "feedback": Jsonb(facts), "addresses": addresses}
    row = database.one(_SUPPRESS, parameters)
    logger.info("mail feedback", extra={"reason": reason, "entered": row["entered"] if row else 0})
    count(f"Mail{reason.capitalize()}", len(addresses))
