"""GET /api/attachments/{attachmentId}: the one place that says who may read a file, and when."""

from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.files.bucket import READ_SECONDS, read_url
from autodoctor.files.errors import AttachmentGone, AttachmentNotFound, AttachmentNotReady
from autodoctor.web.schemas import ResponseModel

# Who sent it; the parties of its session, the present or last mechanic that is; an admin, once it is in a session; and
# whoever the queue shows the request to, its first picture.
_READABLE: Final[LiteralString] = """
SELECT a.id AS attachment_id, a.state, a.name, a.content_type, a.bytes, a.object_key
  FROM attachments a
  LEFT JOIN sessions s ON s.id = a.session_id
  LEFT JOIN customers c ON c.id = s.customer_id
  LEFT JOIN mechanics m ON m.user_id = %(user_id)s
 WHERE a.id = %(attachment_id)s
   AND (a.user_id = %(user_id)s
        OR c.user_id = %(user_id)s
        OR s.mechanic_id = m.id
        OR (%(any_session)s AND s.id IS NOT NULL)
        OR (m.status = 'active' AND a.id = first_picture(s.id)
            AND (SELECT visible_now(t, m.id, m.workshop_id) FROM session_assignments t
                  WHERE t.id = s.current_assignment_id)))
"""


class Readable(ResponseModel):
    """A file that was checked, and a URL that is good for a minute."""

    attachment_id: UUID
    name: str
    content_type: str
    bytes: int
    url: str
    expires_in: int = READ_SECONDS


def read_attachment(database: Database, user_id: UUID, attachment_id: UUID, *, any_session: bool = False) -> Readable:
    """Give a file to somebody who may read it.

    Args:
        user_id: the reader's `sub`.
        any_session: whether those of every session may be read, as admins may.

    Raises:
        AttachmentNotFound: there is none, or the reader may not see it.
        AttachmentNotReady: it is not there yet, or not checked.
        AttachmentGone: it was refused, never came, is too old or was erased.
    """
    parameters = {"user_id": user_id, "attachment_id": attachment_id, "any_session": any_session}
    found = database.one(_READABLE, parameters)
    if found is None:
        raise AttachmentNotFound
    if found["state"] in ("refused", "gone"):
        raise AttachmentGone(attachment_id, found["state"])
    if found["state"] != "clean":
        raise AttachmentNotReady(attachment_id, found["state"])
    return Readable(**found, url=read_url(found["object_key"], found["content_type"]))
