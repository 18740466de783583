"""HTTP/1.1 over one kept connection, one request after the other, for small answers of AWS's services.

`http.client` reads headers with the parser of e-mails: half of what a request costs the processor (DECISIONS.md#d62).
The rules: RFC 9112, sections 6 and 7 (where a message ends) and 9.3 (whether its connection is kept).
"""

import re
import select
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import urlsplit

_PIECE: Final = 65536
MOST_HEAD: Final = 65536
"""Bytes of an answer's head, or of one line between chunks."""
MOST_BODY: Final = 64 * 1024 * 1024
_INFORMATIONAL: Final = range(100, 200)
_LINE_BREAK: Final = re.compile(r"[\r\n]")
_WITHOUT_BODY: Final = frozenset({204, 304})


class ProtocolError(OSError):
    """The answer is not HTTP, or it ended in the middle."""


class Closed(ConnectionError):
    """The other end closed the connection before it sent anything."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer: its status and body."""

    status: int
    body: bytes


class HttpConnection:
    """A connection to one server, opened at first use.

    Args:
        base: `http://host:port` or `https://host`; a path is ignored. Every scheme but `http` uses TLS.
    """

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self._host = parts.hostname or ""
        self._tls = parts.scheme != "http"
        usual = 443 if self._tls else 80
        self._port = parts.port or usual
        named = f"[{self._host}]" if ":" in self._host else self._host
        self.host = named if self._port == usual else f"{named}:{self._port}"
        self._socket: socket.socket | None = None
        self._received = b""
        self._answering = False

    @property
    def kept(self) -> bool:
        """Whether a connection is open, as far as we know."""
        return self._socket is not None

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, *, timeout_seconds: float
    ) -> HttpResponse:
        """Make one request. The connection is closed on any failure.

        Args:
            method: HTTP method.
            target: path, percent-encoded.
            headers: with `Host`; the length is added.
            body: the bytes to send.
            timeout_seconds: for each wait for the network.

        Raises:
            Closed: nothing came back; a kept connection may have been closed before the request came.
            OSError: the server cannot be reached, did not answer in time, or not in HTTP.
            ValueError: a line break in the request line or a header.
        """
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if _LINE_BREAK.search("".join(lines)):
            raise ValueError("a line break in a request's head")  # without the line: one of them holds a secret
        request = "\r\n".join((*lines, f"Content-Length: {len(body)}", "", "")).encode() + body
        try:
            connection = self._opened(timeout_seconds)
            connection.sendall(request)
            self._received, self._answering = b"", False
            return self._answer()
        except BaseException:
            self.close()  # the rest of this answer must not be read as the next one's
            raise

    def _opened(self, timeout_seconds: float) -> socket.socket:
        if self._socket is not None and _is_readable(self._socket):
            self.close()  # the other end closed it, perhaps while Lambda had frozen us, or sent something unasked
        if self._socket is None:
            plain = socket.create_connection((self._host, self._port), timeout_seconds)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._socket = _tls().wrap_socket(plain, server_hostname=self._host) if self._tls else plain
            except BaseException:
                plain.close()
                raise
        self._socket.settimeout(timeout_seconds)
        return self._socket

    def _answer(self) -> HttpResponse:
        status, fields = self._head()
        while status in _INFORMATIONAL:
            status, fields = self._head()
        closes = "close" in fields.get("connection", "").lower()
        if status in _WITHOUT_BODY:
            body = b""
        elif "transfer-encoding" in fields:
            if fields["transfer-encoding"].lower() != "chunked":
                raise ProtocolError(f"transfer-encoding {fields['transfer-encoding'][:40]}")
            body = self._chunks()
        elif "content-length" in fields:
            body = self._exactly(_number(fields["content-length"], 10))
        else:
            body, closes = self._rest(), True
        if closes or self._received:  # more than was asked for: nothing after it can be trusted
            self.close()
        return HttpResponse(status, body)

    def _head(self) -> tuple[int, dict[str, str]]:
        """The status and the header fields; of several with one name the last counts."""
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isascii() or not rest[:3].isdigit():
            raise ProtocolError("not HTTP")
        fields = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise ProtocolError("a header without a name")
            fields[name.lower()] = value.strip(" \t")
        if version == "HTTP/1.0":
            fields.setdefault("connection", "close")
        return int(rest[:3]), fields

    def _chunks(self) -> bytes:
        pieces, length = [], 0
        while size := _number(self._until(b"\r\n").partition(b";")[0].decode("latin-1"), 16):
            length += size
            if length > MOST_BODY:
                raise ProtocolError("a body without end")
            pieces.append(self._exactly(size))
            if self._until(b"\r\n"):
                raise ProtocolError("a chunk is longer than it says")
        while self._until(b"\r\n"):
            continue  # trailer fields, which nobody asked for
        return b"".join(pieces)

    def _until(self, mark: bytes) -> bytes:
        while (end := self._received.find(mark)) < 0:
            if len(self._received) > MOST_HEAD:
                raise ProtocolError("a head without end")
            self._more()
        found, self._received = self._received[:end], self._received[end + len(mark) :]
        return found

    def _exactly(self, length: int) -> bytes:
        if length > MOST_BODY:
            raise ProtocolError("a body without end")
        pieces, left = [self._received], length - len(self._received)
        while left > 0:
            self._received = b""
            self._more()
            pieces.append(self._received)
            left -= len(self._received)
        whole = b"".join(pieces)
        self._received = whole[length:]
        return whole[:length]

    def _rest(self) -> bytes:
        """Everything until the other end closes."""
        pieces, length = [self._received], len(self._received)
        self._received = b""
        while piece := self._piece():
            pieces.append(piece)
            length += len(piece)
            if length > MOST_BODY:
                raise ProtocolError("a body without end")
        return b"".join(pieces)

    def _more(self) -> None:
        piece = self._piece()
        if not piece:
            raise (
                ProtocolError("closed in the middle of an answer")
                if self._answering
                else Closed("closed without an answer")
            )
        self._answering = True
        self._received += piece

    def _piece(self) -> bytes:
        if self._socket is None:
            raise Closed("closed by us")
        return self._socket.recv(_PIECE)


def _is_readable(connection: socket.socket) -> bool:
    readable = select.poll()
    readable.register(connection, select.POLLIN)
    return bool(readable.poll(0))


def _number(digits: str, base: int) -> int:
    digits = digits.strip(" \t")
    if not digits or not digits.isascii() or not digits.isalnum():
        raise ProtocolError("not a length")
    try:
        return int(digits, base)
    except ValueError:
        raise ProtocolError("not a length") from None


@cache
def _tls() -> ssl.SSLContext:
    """Certificates are checked, against the authorities of the system; reading those takes a while, so once."""
    return ssl.create_default_context()
