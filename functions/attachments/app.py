"""POST /api/intakes/attachments, /api/sessions/{sessionId}/attachments; GET /api/attachments/{attachmentId}"""

from autodoctor.db import database
from autodoctor.errors import (
    CustomerErased,
    MechanicNotActive,
    SessionBusy,
    SessionEnded,
    SessionNotFound,
    SessionNotOpen,
    TooManyRequests,
)
from autodoctor.files.access import Readable, read_attachment
from autodoctor.files.errors import AttachmentGone, AttachmentNotFound, AttachmentNotReady
from autodoctor.files.promise import AttachmentPromised, AttachmentRequest, promise_for_intake, promise_for_session
from autodoctor.settings import required
from autodoctor.web.http import Request, Router

required("FILES_BUCKET")  # a deployment without a bucket fails here, not at the first file
router = Router()
db = database()


@router.route(
    "POST /api/intakes/attachments",
    groups=["customers"],
    body=AttachmentRequest,
    raises=[CustomerErased, TooManyRequests],
    status=201,
    metric="FilesPromised",
)
def for_intake(request: Request) -> AttachmentPromised:
    return promise_for_intake(db, request.caller.user_id, request.json(AttachmentRequest))


@router.route(
    "POST /api/sessions/{sessionId}/attachments",
    groups=["customers", "mechanics"],
    body=AttachmentRequest,
    raises=[MechanicNotActive, SessionBusy, SessionEnded, SessionNotFound, SessionNotOpen, TooManyRequests],
    status=201,
    metric="FilesPromised",
)
def for_session(request: Request) -> AttachmentPromised:
    session_id = request.id("sessionId", SessionNotFound)
    return promise_for_session(db, request.caller.user_id, session_id, request.json(AttachmentRequest))


@router.route(
    "GET /api/attachments/{attachmentId}",
    groups=["customers", "mechanics", "admins"],
    raises=[AttachmentGone, AttachmentNotFound, AttachmentNotReady],
)
def read(request: Request) -> Readable:
    attachment_id = request.id("attachmentId", AttachmentNotFound)
    return read_attachment(db, request.caller.user_id, attachment_id, any_session=request.caller.is_admin)


handler = router.handler()
