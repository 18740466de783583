"""A bus that takes every event at once: PutEvents and DescribeEventBus as AWS answers them, with nothing behind it.

Run as a script (`python -I -S bus_server.py`, standard library only). Prints its port; GET tells how many entries
it has taken; ends at the end of its standard input, so with whoever started it.
"""

import asyncio
import json
import sys
import uuid

_LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One client, whose requests come one after the other."""

    taken = 0

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where the answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._received) < end + 4 + length:
                return
            body, self._received = self._received[end + 4 : end + 4 + length], self._received[end + 4 + length :]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        request = json.loads(body) if body else {}
        answer: dict[str, object] = {"taken": Connection.taken}
        if "Entries" in request:
            count = len(request["Entries"])
            Connection.taken += count
            answer = {"FailedEntryCount": 0, "Entries": [{"EventId": str(uuid.uuid4())} for _ in range(count)]}
        elif "Name" in request:
            name = request["Name"]
            answer = {"Name": name, "Arn": f"arn:aws:events:eu-west-1:123456789012:event-bus/{name}"}
        text = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(text)}\r\n\r\n"
        self._transport.write(head.encode() + text)


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
