"""What can be wrong with an attachment."""

from uuid import UUID

from autodoctor.errors import Conflict, NotFound, Problem


class AttachmentNotFound(NotFound):
    """No such attachment, or not one that the caller may see: both look the same."""

    def __init__(self) -> None:
        super().__init__("There is no such attachment.")


class AttachmentNotReady(Conflict):
    """The file is not there yet, or not checked yet."""

    slug, title = "attachment-not-ready", "Attachment not ready"

    def __init__(self, attachment_id: UUID, state: str) -> None:
        what = "has not been uploaded yet" if state == "promised" else "is being checked"
        super().__init__(
            f"This file {what}.",
            headers={"Retry-After": "1"},
            attachmentId=str(attachment_id),
            attachmentState=state,
        )


class AttachmentGone(Problem):
    """The file was refused by the check, never came, is too old, or was erased."""

    status, slug, title = 410, "attachment-gone", "Attachment gone"

    def __init__(self, attachment_id: UUID, state: str) -> None:
        what = (
            "was refused: it could harm whoever opens it, or could not be checked" if state == "refused" else "is gone"
        )
        super().__init__(f"This file {what}.", attachmentId=str(attachment_id), attachmentState=state)
