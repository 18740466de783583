"""POST /api/intakes/attachments and /api/sessions/{sessionId}/attachments: a file is promised, then uploaded to S3."""

from typing import Annotated, Final, Literal, LiteralString
from uuid import UUID

from pydantic import Field, StringConstraints

from autodoctor.db import Database, Row
from autodoctor.domain.lifecycle import TERMINAL
from autodoctor.errors import (
    CustomerErased,
    MechanicNotActive,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    SessionNotOpen,
)
from autodoctor.files.bucket import upload_deadline, upload_form
from autodoctor.files.errors import TooManyUploads
from autodoctor.ids import new_id
from autodoctor.web.schemas import Name, RequestBody, ResponseModel, Utc

MOST_BYTES: Final = 20 * 1024 * 1024
MOST_A_DAY: Final = 100
MOST_AT_ONCE: Final = 10
"""As many slots as the column allows."""
ATTEMPTS: Final = 3
"""Another request of the same user may take the slot that this one saw free."""
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
  LEFT JOIN mechanics m ON m.id = s.mechanic_id AND m.user_id = %(user_id)s AND m.status = 'active'
 WHERE s.id = %(session_id)s AND s.status IN ('pending', 'waiting', 'live')
   AND (c.user_id = %(user_id)s OR m.id IS NOT NULL)
"""

_BEFORE: Final[LiteralString] = """
WITH party AS MATERIALIZED (
"""
_PROMISE: Final[LiteralString] = """
)
INSERT INTO attachments (id, user_id, role, mechanic_id, session_id, object_key, content_type, bytes, expires_at, slot,
                         name, sha256)
SELECT %(id)s, %(user_id)s, party.role, party.mechanic_id, party.session_id, %(object_key)s, %(content_type)s,
       %(bytes)s, %(expires_at)s, free.slot, %(name)s, %(sha256)s
  FROM party
  JOIN LATERAL (SELECT n AS slot FROM generate_series(1, %(most_at_once)s) AS n
                 WHERE NOT EXISTS (SELECT FROM attachments p WHERE p.user_id = %(user_id)s AND p.slot = n)
                 ORDER BY n LIMIT 1) AS free ON true
 WHERE (SELECT count(*) FROM attachments d
         WHERE d.user_id = %(user_id)s AND d.created_at > now() - interval '1 day') < %(most_a_day)s
ON CONFLICT DO NOTHING
RETURNING id
"""

_WHY_NOT: Final[LiteralString] = """
SELECT EXISTS (SELECT FROM attachments a WHERE a.id = %(id)s) AS promised_before,
       (SELECT count(*) FROM attachments p WHERE p.user_id = %(user_id)s AND p.slot IS NOT NULL) >= %(most_at_once)s
         OR (SELECT count(*) FROM attachments d
              WHERE d.user_id = %(user_id)s AND d.created_at > now() - interval '1 day') >= %(most_a_day)s AS too_many,
       EXISTS (SELECT FROM customers c WHERE c.user_id = %(user_id)s AND c.erased_at IS NOT NULL) AS erased
"""

_SESSION: Final[LiteralString] = """
SELECT s.status, m.user_id IS NOT DISTINCT FROM %(user_id)s AND m.status <> 'active' AS suspended
  FROM sessions s
  JOIN customers c ON c.id = s.customer_id
  LEFT JOIN mechanics m ON m.id = s.mechanic_id
 WHERE s.id = %(session_id)s AND (c.user_id = %(user_id)s OR m.user_id = %(user_id)s)
"""


def promise_for_intake(database: Database, user_id: UUID, file: AttachmentRequest) -> AttachmentPromised:
    """Promise a file that the customer's next intake will name.

    Args:
        user_id: the customer's `sub`.
        file: its name, type, length and checksum, which the upload must match.

    Raises:
        TooManyUploads: ten promises are open, or a hundred were made within a day.
        CustomerErased: the customer's data was erased.
        SessionBusy: other requests of this user took each slot that was free.
    """
    return _promise(database, _CUSTOMER, _parameters(user_id, file))


def promise_for_session(
    database: Database, user_id: UUID, session_id: UUID, file: AttachmentRequest
) -> AttachmentPromised:
    """Promise a file that this party will send in the room of a session.

    Arguments and errors as for `promise_for_intake`, and:

    Raises:
        SessionNotFound: not a party of such a session.
        SessionNotOpen: scheduled, and not due yet.
        SessionEnded: it is over.
        MechanicNotActive: its mechanic, who is suspended.
    """
    return _promise(database, _PARTY, {**_parameters(user_id, file), "session_id": session_id})


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
        "most_at_once": MOST_AT_ONCE,
        "most_a_day": MOST_A_DAY,
    }


def _promise(database: Database, party: LiteralString, parameters: Row) -> AttachmentPromised:
    """Promise it to the party that the statement finds.

    Raises:
        Problem: whatever `promise_for_session` raises.
    """
    for _ in range(ATTEMPTS):
        if database.one(_BEFORE + party + _PROMISE, parameters) is None:
            why = database.all(_WHY_NOT, parameters)[0]
            if not why["promised_before"]:  # by this call, before it lost its connection
                _refuse(database, parameters, why)
                continue
        url, fields = upload_form(
            parameters["object_key"],
            parameters["content_type"],
            parameters["bytes"],
            parameters["sha256"],
            parameters["expires_at"],
        )
        upload = Upload(url=url, fields=fields)
        return AttachmentPromised(attachment_id=parameters["id"], upload=upload, expires_at=parameters["expires_at"])
    raise SessionBusy


def _refuse(database: Database, parameters: Row, why: Row) -> None:
    """Say why nothing was promised; return where that may be over by now."""
    if "session_id" in parameters:
        found = database.one(_SESSION, parameters)
        if found is None:
            raise SessionNotFound
        if found["status"] in TERMINAL:
            raise SessionEnded(found["status"])
        if found["status"] == "scheduled":
            raise SessionNotOpen(found["status"])
        if found["suspended"]:
            raise MechanicNotActive
    elif why["erased"]:
        raise CustomerErased
    if why["too_many"]:
        raise TooManyUploads
