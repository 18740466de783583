"""Files to upload, and their way to the bucket and back over real HTTP."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from localcloud.storage.scanning import EICAR
from support.account import Account, Caller, document
from support.wait import wait_until

PNG: Final = b"\x89PNG\r\n\x1a\n" + b"a brake disc, worn"
HARMFUL: Final = b"%PDF-1.7\n" + EICAR
FOR_INTAKE: Final = "/api/intakes/attachments"


@dataclass(frozen=True)
class File:
    """A file on somebody's phone."""

    content: bytes = PNG
    content_type: str = "image/png"
    name: str = "Cora's brake disc.png"

    @property
    def promise(self) -> dict[str, Any]:
        """The body of the request that promises it."""
        return {
            "name": self.name,
            "contentType": self.content_type,
            "bytes": len(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
        }


@dataclass(frozen=True)
class Promised:
    """The answer to a promise."""

    attachment_id: str
    url: str
    fields: dict[str, str] = field(repr=False)

    def post(self, content: bytes, without: str = "", **other: str) -> httpx.Response:
        """Upload some bytes with the form but for one field; `other` fields win."""
        fields = {name: value for name, value in {**self.fields, **other}.items() if name != without}
        return httpx.post(self.url, data=fields, files={"file": ("blob", content)}, trust_env=False, timeout=30)


def promised(caller: Caller, file: File = File(), path: str = FOR_INTAKE) -> Promised:
    """Promise a file."""
    answer = caller.post(path, file.promise, 201)
    return Promised(answer["attachmentId"], answer["upload"]["url"], answer["upload"]["fields"])


def uploaded(caller: Caller, file: File = File(), path: str = FOR_INTAKE) -> str:
    """Promise a file and upload it; returns the attachment's id."""
    promise = promised(caller, file, path)
    answer = promise.post(file.content)
    assert answer.status_code == 204, answer.text
    return promise.attachment_id


def state(account: Account, attachment_id: str) -> str:
    """The state of an attachment."""
    found: str = account.world.one("SELECT state FROM attachments WHERE id = %s", attachment_id)
    return found


def checked(account: Account, attachment_id: str) -> str:
    """Wait until the scan's verdict was heard; returns the state."""
    wait_until(lambda: state(account, attachment_id) not in ("promised", "scanning"))
    return state(account, attachment_id)


def read(caller: Caller, attachment_id: str) -> dict[str, Any]:
    """The answer with the URL."""
    return document(caller.send("GET", f"/api/attachments/{attachment_id}"), 200)


def fetched(url: str) -> httpx.Response:
    """What the URL gives."""
    return httpx.get(url, trust_env=False, timeout=30)
