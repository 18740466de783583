"""Reads the form of a POST to a bucket: fields first, then the file, which goes to disk as it comes."""

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from localcloud.host.private_file import private
from localcloud.storage.errors import S3Error, invalid_argument
from localcloud.storage.multipart import Malformed, Multipart

_MOST_FIELD_BYTES: Final = 20 * 1024
MOST_FILE_BYTES: Final = 64 * 1024 * 1024
"""Beyond this nothing more is read; S3 itself takes 5 GB."""


@dataclass(frozen=True)
class Arrived:
    """A file that has arrived; `etag` is its MD5, `sha256` in base64."""

    size: int
    etag: str
    sha256: str


class Form:
    """The form of one request."""

    def __init__(self, request: web.BaseRequest) -> None:
        if not request.content_type.startswith("multipart/form-data"):
            reason = "At least one of the pre-conditions you specified did not hold"
            condition = "Bucket POST must be of the enclosure-type multipart/form-data"
            raise S3Error(412, "PreconditionFailed", reason, {"Condition": condition})
        try:
            self._parts = Multipart(request.headers["Content-Type"], request.content.readany)
        except Malformed as error:
            raise _malformed() from error

    async def fields(self) -> dict[str, str]:
        """The fields before the file, by name as sent; what comes after the file is ignored. Raises S3Error."""
        found: dict[str, str] = {}
        size = 0
        while (name := await self._next()) is not None:
            if name == "file":
                return found
            value = bytearray()
            size += len(name)
            async for piece in self._pieces():
                value += piece
                size += len(piece)
                if size > _MOST_FIELD_BYTES:
                    reason = "Your POST request fields preceding the upload file were too large."
                    raise S3Error(400, "MaxPostPreDataLengthExceededError", reason)
            found[name] = value.decode(errors="replace")
        raise invalid_argument("POST requires exactly one file upload per request.", "file", "0")

    async def file(self, place: Path) -> Arrived:
        """Write the file, at which `fields()` has stopped, to `place`."""
        md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
        with open(place, "wb", opener=private) as target:  # noqa: ASYNC230 (as little as it takes is written at once)
            async for piece in self._pieces():
                size += len(piece)
                md5.update(piece)
                sha256.update(piece)
                target.write(piece)
                if size > MOST_FILE_BYTES:
                    break
        return Arrived(size, md5.hexdigest(), base64.b64encode(sha256.digest()).decode())

    async def _next(self) -> str | None:
        try:
            return await self._parts.next()
        except Malformed as error:
            raise _malformed() from error

    async def _pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._parts.pieces():
                yield piece
        except Malformed as error:
            raise _malformed() from error


def _malformed() -> S3Error:
    return S3Error(400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
