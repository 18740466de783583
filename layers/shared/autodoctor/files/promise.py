"""POST /api/intakes/attachments and /api/sessions/{sessionId}/attachments: a file is promised, then uploaded to S3."""

from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

from pydantic import Field, StringConstraints

from autodoctor.db import Database, Row
from autodoctor.domain.lifecycle import TERMINAL
from autodoctor.errors import (
    CustomerErased,
    MechanicNotActive,
    Problem,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    SessionNotOpen,
)
from autodoctor.files.bucket import upload_deadline, upload_form
from autodoctor.ids import new_id
from autodoctor.web.schemas import Name, RequestBody, ResponseModel, Utc

MOST_BYTES: Final = 20 * 1024 * 1024
EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "application/pdf": "pdf"}


class AttachmentRequest(RequestBody):
    """The file that is going to be uploaded.

    Attributes:
        sha256: of its bytes, in hexadecimal.
    """

    name: Name
    content_type: Literal["image/jpeg", "image/png", "image/webp", "application/pdf"]
    bytes: Annotated[int, Field(ge=1, le=MOST_BYTES)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$")]


class Upload(ResponseModel):
    """A form: POST to `url`, as multipart/form-data, these fields and then the file as the field `file`."""

    url: str
    fields: dict[str, str]


class AttachmentPromised(ResponseModel):
    """The attachment, and how to upload its file until `expires_at`."""

    attachment_id: UUID
    upload: Upload
    expires_at: Utc


# For a session `party` is the caller's part in it; for an intake, the customer of an account that was not erased.
_CUSTOMER: Final[LiteralString] = """
SELECT 'customer'::text AS role, NULL::uuid AS mechanic_id, NULL::uuid AS session_id
 WHERE NOT EXISTS (SELECT FROM customers c WHERE c.user_id = %(user_id)s AND c.erased_at IS NOT NULL)
"""
_PARTY: Final[LiteralString] = """
SELECT CASE WHEN m.id IS NULL THEN 'customer' ELSE 'mechanic' END AS role, m.id AS mechanic_id, s.id AS session_id
  FROM sessions s
  JOIN customers c ON c.id = s.customer_id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id AND m.user_id = %(user_id)s
 WHERE s.id = %(session_id)s AND s.status IN ('pending', 'waiting', 'live') AND may_come(s, %(user_id)s)
"""

_BEFORE: Final[LiteralString] = """
WITH party AS MATERIALIZED (
"""
_PROMISE: Final[LiteralString] = """
)
INSERT INTO attachments (id, user_id, role, mechanic_id, session_id, object_key, content_type, bytes, expires_at, name,
                         sha256)
SELECT %(id)s, %(user_id)s, party.role, party.mechanic_id, party.session_id, %(object_key)s, %(content_type)s,
       %(bytes)s, %(expires_at)s, %(name)s, %(sha256)s
  FROM party WHERE count_against('uploads', %(user_id)s)
ON CONFLICT (id) DO NOTHING
RETURNING id
"""

_PROMISED: Final[LiteralString] = "SELECT FROM attachments WHERE id = %(id)s"

_SESSION: Final[LiteralString] = """
SELECT s.status, NOT may_come(s, %(user_id)s) AS suspended
  FROM sessions s
 WHERE s.id = %(session_id)s AND role_of(s, %(user_id)s) IS NOT NULL
"""


def promise_for_intake(database: Database, user_id: UUID, file: AttachmentRequest) -> AttachmentPromised:
    """Promise a file that the customer's next intake will name.

    Args:
        user_id: the customer's `sub`.
        file: its name, type, length and checksum, which the upload must match.

    Raises:
        TooManyRequests: the user has promised too many files of late.
        CustomerErased: the customer's data was erased.
    """
    promised = _promise(database, _CUSTOMER, _parameters(user_id, file))
    if promised is None:
        raise CustomerErased
    return promised


def promise_for_session(
    database: Database, user_id: UUID, session_id: UUID, file: AttachmentRequest
) -> AttachmentPromised:
    """Promise a file that this party will send in the room of a session.

    Arguments and errors as for `promise_for_intake`, and:

    Raises:
        SessionNotFound: not a party of such a session.
        SessionNotOpen: scheduled, and not due yet.
        SessionEnded: it is over.
        MechanicNotActive: its mechanic, who is suspended, and it is not live.
        SessionBusy: its state changed meanwhile.
    """
    parameters = {**_parameters(user_id, file), "session_id": session_id}
    promised = _promise(database, _PARTY, parameters)
    if promised is None:
        raise _refusal(database, parameters)
    return promised


def _parameters(user_id: UUID, file: AttachmentRequest) -> Row:
    attachment_id = new_id()
    return {
        "id": attachment_id,
        "user_id": user_id,
        "object_key": f"uploads/{attachment_id}.{EXTENSIONS[file.content_type]}",
        "content_type": file.content_type,
        "bytes": file.bytes,
        "name": file.name,
        "sha256": bytes.fromhex(file.sha256),
        "expires_at": upload_deadline(),
    }


def _promise(database: Database, party: LiteralString, parameters: Row) -> AttachmentPromised | None:
    """Promise it to the party that the statement finds; None where it finds none.

    Raises:
        TooManyRequests: the user has promised too many files of late.
    """
    promised = database.one(_BEFORE + party + _PROMISE, parameters)
    if promised is None and database.one(_PROMISED, parameters) is None:  # not by this call before its connection died
        return None
    url, fields = upload_form(
        parameters["object_key"],
        parameters["content_type"],
        parameters["bytes"],
        parameters["sha256"],
        parameters["expires_at"],
    )
    upload = Upload(url=url, fields=fields)
    return AttachmentPromised(attachment_id=parameters["id"], upload=upload, expires_at=parameters["expires_at"])


def _refusal(database: Database, parameters: Row) -> Problem:
    found = database.one(_SESSION, parameters)
    if found is None:
        return SessionNotFound()
    if found["status"] in TERMINAL:
        return SessionEnded(found["status"])
    if found["status"] == "scheduled":
        return SessionNotOpen(found["status"])
    return MechanicNotActive() if found["suspended"] else SessionBusy()
