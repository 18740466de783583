"""multipart/form-data (RFC 7578) as it comes: a delimiter is found wherever the network has cut it.

aiohttp's own reader pushes back what it read too far (`unread_data`, which it deprecates) where the first bytes of a
part come in fewer bytes than a delimiter has.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import Message
from email.parser import HeaderParser
from typing import Final

_MOST_HEAD_BYTES: Final = 8 * 1024


class Malformed(ValueError):
    """The body is not well-formed multipart/form-data."""


class Multipart:
    """The parts of one body, each read or left before the next.

    Args:
        content_type: of the request.
        more: returns the next bytes of the body, and none at its end.

    Raises:
        Malformed: as every method, where the body or its type is not of the format.
    """

    def __init__(self, content_type: str, more: Callable[[], Awaitable[bytes]]) -> None:
        boundary = _header("Content-Type", content_type).get_boundary()
        if not boundary:
            raise Malformed
        self._delimiter = b"\r\n--" + boundary.encode()
        self._more = more
        self._buffer = bytearray(b"\r\n")  # before the first delimiter nothing has to be, not even the end of a line
        self._inside = True

    async def next(self) -> str | None:
        """Pass over what is left of a part; returns the name of the next one, None after the last."""
        async for _ in self.pieces():
            pass
        line = await self._take(2)
        if line == b"--":
            return None
        if line != b"\r\n":
            raise Malformed
        self._buffer[:0] = line  # a part without headers has nothing between this and the end of its head
        head = (await self._head()).decode(errors="replace").lstrip("\r\n")
        name = HeaderParser().parsestr(head).get_param("name", header="Content-Disposition")
        if not isinstance(name, str):
            raise Malformed
        self._inside = True
        return name

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes of the part, in pieces of any size."""
        while self._inside:
            at = self._buffer.find(self._delimiter)
            safe = at if at >= 0 else len(self._buffer) - len(self._delimiter) + 1
            if safe > 0:
                yield await self._take(safe)
            if at >= 0:
                await self._take(len(self._delimiter))
                self._inside = False
            else:
                await self._read()

    async def _head(self) -> bytes:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MOST_HEAD_BYTES:
                raise Malformed
            await self._read()
        return (await self._take(end + 4))[:end]

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._read()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _read(self) -> None:
        came = await self._more()
        if not came:
            raise Malformed
        self._buffer += came


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message
