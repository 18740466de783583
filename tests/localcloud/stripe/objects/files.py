"""Files: uploaded as `multipart/form-data` at files.stripe.com, within the limits of their purpose."""

import hashlib
from dataclasses import dataclass
from typing import Final

from localcloud.stripe.http.errors import Json, invalid
from localcloud.stripe.http.lists import listed
from localcloud.stripe.state.state import Call, State

_LARGEST_BYTES: Final = {"dispute_evidence": 5_000_000}
"""By the purposes that we know (docs.stripe.com/file-upload)."""
_BEGINNINGS: Final = {b"%PDF-": "pdf", b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg"}


@dataclass(frozen=True)
class Upload:
    """A file as it came in a form; its text is its digest, which is what an idempotency key compares."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def create_file(state: State, call: Call) -> Json:
    """`POST /v1/files`."""
    upload, purpose = call.params["file"], call.params["purpose"]
    if not isinstance(upload, Upload):
        raise invalid("Invalid file: must be sent as multipart/form-data with a filename", "file")
    if purpose not in _LARGEST_BYTES:
        raise invalid(f"This stand-in takes files for {', '.join(_LARGEST_BYTES)} only, not for {purpose}.", "purpose")
    if len(upload.content) > _LARGEST_BYTES[purpose]:
        raise invalid(f"File for {purpose} may not be larger than {_LARGEST_BYTES[purpose]} bytes.", "file")
    kind = next((kind for start, kind in _BEGINNINGS.items() if upload.content.startswith(start)), None)
    if kind is None:
        raise invalid("File must be one of the following types: PDF, JPG, PNG.", "file")
    made = state.create(
        "file_",
        "file",
        {
            "expires_at": None,
            "filename": upload.name,
            "purpose": purpose,
            "size": len(upload.content),
            "title": None,
            "type": kind,
            "_sha256": str(upload),
        },
    )
    state.store.write("INSERT INTO content VALUES (?, ?)", made["id"], upload.content)
    return made


def content_of(state: State, file_id: str) -> bytes:
    """What was uploaded. Raises ApiError."""
    state.require("file", file_id)
    row = state.store.one("SELECT bytes FROM content WHERE id = ?", file_id)
    assert row is not None
    return bytes(row["bytes"])


def retrieve_file(state: State, call: Call) -> Json:
    """`GET /v1/files/{id}`."""
    return state.require("file", call.ids[0])


def list_files(state: State, call: Call) -> Json:
    """`GET /v1/files`."""
    return listed(state, call, "file", ("purpose",))
