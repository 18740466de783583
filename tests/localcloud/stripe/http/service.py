"""The whole stand-in: its file, API, pages, control and webhooks."""

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Final

from aiohttp import web

from localcloud.host.listening import stop_listening
from localcloud.host.logline import Log, LogLine
from localcloud.stripe.http import params
from localcloud.stripe.http.api import Api
from localcloud.stripe.http.faults import Faults
from localcloud.stripe.pages import control_api
from localcloud.stripe.pages.control import StripeControl
from localcloud.stripe.pages.control_api import ControlApi
from localcloud.stripe.pages.dashboard import Dashboard
from localcloud.stripe.pages.html import notice
from localcloud.stripe.pages.pages import ONBOARDING, PAY, CheckoutPage, OnboardingPage
from localcloud.stripe.state.state import State
from localcloud.stripe.state.store import Store
from localcloud.stripe.state.webhooks import NAMES, Webhooks

PREFIX: Final = "/_stripe"
_API: Final = "/v1"
_CLOSE_SECONDS: Final = 0.1
_WARM_AFTER_SECONDS: Final = 5.0


class StripeService:
    """Stripe, below `PREFIX` of a server at `gateway_url`. Make, start and stop it on one event loop."""

    def __init__(self, folder: Path, gateway_url: str, log: Log) -> None:
        self._store = Store(folder)
        state = State(self._store)
        state.public_url = gateway_url + PREFIX
        faults = Faults()
        self._webhooks = Webhooks(state, faults, gateway_url, log)
        self.control = StripeControl(state, faults, self._webhooks, asyncio.get_running_loop())
        self._api = Api(state, faults, log)
        self._checkout = CheckoutPage(state)
        self._onboarding = OnboardingPage(state)
        self._dashboard = Dashboard(self.control)
        self._control_api = ControlApi(self.control)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request below `PREFIX`."""
        path = request.raw_path.partition("?")[0].removeprefix(PREFIX)
        if path.startswith(_API + "/"):
            return await self._api.serve(request, path)
        if path.startswith(PAY):
            return await self._checkout.serve(request, path.removeprefix(PAY))
        if path.startswith(ONBOARDING):
            return await self._onboarding.serve(request, path.removeprefix(ONBOARDING))
        if path.startswith(control_api.PREFIX):
            return await self._control_api.serve(request, path.removeprefix(control_api.PREFIX))
        if path in ("", "/"):
            return await self._dashboard.serve(request)
        return notice("Not found", "There is no such page.", 404)

    def start(self) -> None:
        """Deliver webhooks, those left by an earlier process first."""
        self._webhooks.start()

    async def warm(self) -> None:
        """Load the SDK's types after a while, so that neither the start nor the first request waits for them."""
        await asyncio.sleep(_WARM_AFTER_SECONDS)
        await asyncio.to_thread(params.load, "_charge_list_params.ChargeListParams")

    async def stop(self) -> None:
        """Stop delivering and close the file."""
        await self._webhooks.stop()
        self._store.close()


class _Server:
    """A stand-in on a port of its own."""

    def __init__(self, folder: Path, port: int, webhooks_to: str, log: Log) -> None:
        self._folder = folder
        self._port = port
        self._webhooks_to = webhooks_to
        self._log = log
        self.service: StripeService

    async def start(self) -> None:
        """Listen, then serve."""
        self._server = web.Server(self._serve, access_log=None)
        self._listener = await asyncio.get_running_loop().create_server(self._server, "127.0.0.1", self._port)
        port = int(self._listener.sockets[0].getsockname()[1])
        self.service = StripeService(self._folder, f"http://127.0.0.1:{port}", self._log)
        if self._webhooks_to:
            for name in NAMES:
                self.service.control.configure_endpoint(name, f"{self._webhooks_to}/{name}")
        self.service.start()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self.service.serve(request)

    async def stop(self) -> None:
        """Stop listening and delivering."""
        await stop_listening(self._listener)
        await self._server.shutdown(_CLOSE_SECONDS)
        await self.service.stop()
        # `shutdown` cancels a request that a fault makes wait, but does not see it end.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@contextlib.contextmanager
def running_stripe(
    folder: Path | None = None, *, port: int = 0, webhooks_to: str = "", log: Log | None = None
) -> Iterator[StripeControl]:
    """Run a stand-in without the rest of the cloud, in a thread, for the length of a `with` block.

    Its books are in `folder`; without one they are temporary. Webhooks go to `{webhooks_to}/platform` and
    `{webhooks_to}/connect`; without `webhooks_to` they fail, and `signed` returns what they would contain.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stripe", daemon=True)
    thread.start()

    def wait[T](work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="autodoctor-stripe-")))
        server = _Server(place, port, webhooks_to, log or _silent)
        try:
            wait(server.start())
            yield server.service.control
        finally:
            wait(server.stop())
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def _silent(_line: LogLine) -> None:
    """Say nothing."""
