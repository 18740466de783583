"""Listeners of ours, and how they end without leaving a connection behind."""

import asyncio
from typing import Final

_TURNS_OF_AN_ACCEPT: Final = 3


async def stop_listening(listener: asyncio.Server) -> None:
    """Take no more connections, after those that were taken have reached whoever serves them.

    A connection that is accepted in the same turn of the loop in which its server closes is left open: CPython makes
    its transport in the next turn, and a server that is closed refuses that (3.13, `Server._attach`).
    """
    loop = asyncio.get_running_loop()
    for each in listener.sockets:
        loop.remove_reader(each.fileno())
    for _ in range(_TURNS_OF_AN_ACCEPT):
        await asyncio.sleep(0)
    listener.close()
