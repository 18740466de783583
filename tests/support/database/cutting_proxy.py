"""A TCP proxy before PostgreSQL that can lose the answer to a commit: done at the server, unknown to the client."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_READY_FOR_QUERY = b"Z"
_IDLE = b"I"  # ReadyForQuery outside a transaction: what was sent is committed or rolled back
_HEADER_BYTES = 5


class CuttingProxy:
    """Forwards connections to one server.

    Attributes:
        url: like the server's, but through the proxy.
        cuts: how many answers were lost so far.
    """

    def __init__(self, server_url: str) -> None:
        target = urlsplit(server_url)
        assert target.hostname
        assert target.port
        self._server = (target.hostname, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        own_address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        # Without encryption every byte of the server is a message that we can read.
        self.url = server_url.replace(f"{target.hostname}:{target.port}", own_address) + (
            "?sslmode=disable&gssencmode=disable"
        )
        self.cuts = 0
        self._armed = False
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_next_commit(self) -> None:
        """Lose the server's next answer that ends a transaction, and the connection with it."""
        self._armed = True

    def close(self) -> None:
        """Stop listening and end all connections."""
        _hang_up(self._listener, *self._sockets)
        for one in (self._listener, *self._sockets):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
            threading.Thread(target=_forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        """Forward whole answers (up to ReadyForQuery), unless this is the one to lose."""
        stream = server.makefile("rb")
        answer = b""
        try:
            while header := stream.read(_HEADER_BYTES):
                body = stream.read(int.from_bytes(header[1:]) - 4)
                answer += header + body
                authenticating = header[:1] == b"R"
                if header[:1] == _READY_FOR_QUERY and body == _IDLE and self._armed:
                    self._armed = False
                    self.cuts += 1
                    answer = b""
                    break
                if header[:1] == _READY_FOR_QUERY or authenticating:
                    client.sendall(answer)
                    answer = b""
            client.sendall(answer)
        except OSError:  # either end is gone
            pass
        finally:
            stream.close()
            _hang_up(server, client)


def _forward(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:  # either end is gone
        pass
    _hang_up(source, target)


def _hang_up(*sockets: socket.socket) -> None:
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:  # already down
            continue


@contextmanager
def cutting_proxy(server_url: str) -> Iterator[CuttingProxy]:
    """Run a proxy before the server of this URL."""
    proxy = CuttingProxy(server_url)
    try:
        yield proxy
    finally:
        proxy.close()
