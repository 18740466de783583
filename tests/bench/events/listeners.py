"""Many WebSocket clients in one process, which record when each frame arrives.

`python -m bench.events.listeners` reads a JSON list of URLs from the first line of standard input, and prints
`connected` once all are. For every further line it prints the frames since, as JSON: [client, seconds since the epoch,
text] each.
"""

import asyncio
import json
import sys
import time

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

AT_ONCE = 8
OPEN_SECONDS = 60.0


async def main() -> None:
    """Connect, listen, report, until standard input ends."""
    loop = asyncio.get_running_loop()
    urls: list[str] = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    received: list[tuple[int, float, str]] = []
    gate = asyncio.Semaphore(AT_ONCE)

    async def opened(url: str) -> ClientConnection:
        async with gate:
            return await connect(url, compression=None, proxy=None, ping_interval=None, open_timeout=OPEN_SECONDS)

    async def listen(number: int, client: ClientConnection) -> None:
        try:
            async for frame in client:
                received.append((number, time.time(), str(frame)))  # noqa: PERF401 (each at once)
        except ConnectionClosed:
            return

    clients = await asyncio.gather(*(opened(url) for url in urls))
    tasks = [asyncio.create_task(listen(number, client)) for number, client in enumerate(clients)]
    print("connected", flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(received), flush=True)
        received.clear()
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
