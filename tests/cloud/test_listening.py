"""A listener that ends while somebody connects leaves nothing open."""

import asyncio
import gc
import socket
import warnings

from localcloud.host.listening import stop_listening
from localcloud.host.ports import LOOPBACK


async def ended_while_somebody_connects() -> bool:
    """Whether the connection reached its protocol, when the listener ended in the turn in which it was accepted."""
    made = asyncio.Event()

    class Served(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.set()
            transport.close()

    loop = asyncio.get_running_loop()
    listener = await loop.create_server(Served, LOOPBACK, 0)
    connecting = listener.sockets[0].getsockname()
    ended: list[asyncio.Task[None]] = []
    with socket.create_connection(connecting):
        # After the turn that accepts, and before the one that serves.
        loop.call_soon(lambda: ended.append(loop.create_task(stop_listening(listener))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.gather(*ended)
        await asyncio.sleep(0.01)
    return made.is_set()


def test_a_connection_of_the_last_moment_is_served_or_closed() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        served = [asyncio.run(ended_while_somebody_connects()) for _ in range(20)]
        gc.collect()
    assert [str(each.message) for each in seen if issubclass(each.category, ResourceWarning)] == []
    assert any(served)
