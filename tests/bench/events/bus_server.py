"""A bus that takes every event at once: PutEvents and DescribeEventBus as AWS answers them, with nothing behind it.

A thread a connection, which costs the processor less than an event loop: in production all of this is AWS's.

Run as a script (`python -I -S bus_server.py`, standard library only). Prints its port; GET tells how many entries
it has taken; ends at the end of its standard input, so with whoever started it.
"""

import itertools
import json
import socket
import sys
import threading

_LENGTH = b"content-length:"


class Bus:
    """What was taken, over all connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0
        self._ids = itertools.count(1)

    def accept(self, listening: socket.socket) -> None:
        """Serve every connection that comes."""
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection, which come one after the other."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        with connection:
            while piece := connection.recv(65536):
                received += piece
                while (end := received.find(b"\r\n\r\n")) >= 0:
                    head = received[:end].lower()
                    at = head.find(_LENGTH)
                    length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
                    if len(received) < end + 4 + length:
                        break
                    body, received = received[end + 4 : end + 4 + length], received[end + 4 + length :]
                    connection.sendall(self._answer(body))

    def _answer(self, body: bytes) -> bytes:
        request = json.loads(body) if body else {}
        answer: dict[str, object] = {"taken": self._taken}
        if "Entries" in request:
            count = len(request["Entries"])
            with self._lock:
                self._taken += count
            entries = [{"EventId": f"00000000-0000-4000-8000-{next(self._ids):012x}"} for _ in range(count)]
            answer = {"FailedEntryCount": 0, "Entries": entries}
        elif "Name" in request:
            name = request["Name"]
            answer = {"Name": name, "Arn": f"arn:aws:events:eu-west-1:123456789012:event-bus/{name}"}
        text = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(text)}\r\n\r\n"
        return head.encode() + text


def main() -> None:
    """Serve until standard input ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=Bus().accept, args=[listening], daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
