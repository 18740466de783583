"""One of moto's services, in a thread of its own.

The first request loads moto, so that a start does not wait for it.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from localcloud.stack.cloudformation import REGION

if TYPE_CHECKING:
    from werkzeug.test import Client


class MotoService:
    """One of moto's services; moto recognises its requests by their signature."""

    def __init__(self, name: str, furnish: Callable[["Client", dict[str, str]], None]) -> None:
        """`furnish` makes the initial resources, with a client and the headers of a request."""
        self._signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential=local/20000101/{REGION}/{name}/aws4_request"}
        self._furnish = furnish
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer to one request."""
        kept = {name: value for name, value in headers.items() if name.lower() != "host"}
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, method, path, kept, body)

    async def load(self) -> None:
        """Load moto, so that a first request is not late."""
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._client)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        response = self._client.open(path, method=method, headers=headers, data=body)
        return response.status_code, response.get_data()

    @cached_property
    def _client(self) -> "Client":
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 (takes a second, which only a first request waits)
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.test import Client  # noqa: PLC0415

        client = Client(DomainDispatcherApplication(create_backend_app))
        self._furnish(client, self._signed)
        return client
