"""Ends our listeners without leaving a connection behind."""

import asyncio
from typing import Final

_TURNS_OF_AN_ACCEPT: Final = 3


async def stop_listening(listener: asyncio.Server) -> None:
    """Stop accepting connections, once those already accepted have reached their server.

    A connection accepted in the same turn of the loop in which its server closes would stay open: CPython makes its
    transport in the next turn, and a closed server refuses that (3.13, `Server._attach`).
    """
    loop = asyncio.get_running_loop()
    for each in listener.sockets:
        loop.remove_reader(each.fileno())
    for _ in range(_TURNS_OF_AN_ACCEPT):
        await asyncio.sleep(0)
    listener.close()
