"""The whole account on one machine: functions, HTTP API, token issuer and schedules of one template."""

import asyncio
import contextlib
import dataclasses
import json
import math
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.compute.debug_ports import behind, debug_ports
from localcloud.compute.environment import Databases, Launch, launch_of
from localcloud.compute.pools import FunctionPool, Throttled
from localcloud.compute.reload import reload_on_change
from localcloud.compute.starting import Forks
from localcloud.gateway.http_api import Gateway
from localcloud.gateway.open_sockets import OpenSockets
from localcloud.gateway.socket_connection import Lifetime
from localcloud.gateway.websocket_api import WebSocketApis, with_local_addresses
from localcloud.host.logline import Log, LogLine
from localcloud.identity.issuer import PATH as ISSUER_PATH
from localcloud.identity.issuer import Issuer
from localcloud.identity.sign_in import AUTHORIZE, REVOKE, TOKEN, SignIn
from localcloud.identity.user_pool import PREFIX as USER_POOL_PREFIX
from localcloud.identity.user_pool import UserPool
from localcloud.media.chime import ENDPOINT, Chime
from localcloud.media.faults import MeetingFaults
from localcloud.media.meetings_api import PREFIX as CHIME_PREFIX
from localcloud.media.meetings_page import JSON_PATH as MEETINGS_JSON_PATH
from localcloud.media.meetings_page import PATH as MEETINGS_PATH
from localcloud.media.meetings_page import MeetingsPage
from localcloud.messaging.event_bus import BusEvent
from localcloud.messaging.messages import Depth
from localcloud.messaging.messaging import Messaging
from localcloud.messaging.schedules import Schedules
from localcloud.services.invocation import InvokeResult, UnknownFunction
from localcloud.services.launches import STRIPE_SECRET, with_keys
from localcloud.services.mail import PREFIX as MAIL_PREFIX
from localcloud.services.mail import MailService
from localcloud.services.pages import components
from localcloud.services.pages.dev import PATH as DEV_PATH
from localcloud.services.pages.dev import DevPage
from localcloud.services.pages.mail import JSON_PATH, PATH, MailPage
from localcloud.services.pages.rooms import PATH as ROOMS_PATH
from localcloud.services.pages.rooms import RoomPage
from localcloud.services.push_service import PREFIX as PUSH_PREFIX
from localcloud.services.push_service import PushService
from localcloud.services.topics import JSON_PATH as ALERTS_JSON_PATH
from localcloud.services.topics import PATH as ALERTS_PATH
from localcloud.services.topics import PREFIX as TOPICS_PREFIX
from localcloud.services.topics import TopicService
from localcloud.services.traces import Replayable, Traces
from localcloud.stack.sockets import PREFIX
from localcloud.stack.template import FunctionSpec, Stack, read_stack
from localcloud.storage.s3_service import PREFIX as S3_PREFIX
from localcloud.storage.s3_service import S3Service
from localcloud.storage.scanning import Scanner
from localcloud.stripe.http.service import PREFIX as STRIPE_PREFIX
from localcloud.stripe.http.service import StripeService
from localcloud.stripe.pages.control import StripeControl

_DEFAULT_CLIENT = "autodoctor-local"


@dataclass(frozen=True)
class CloudSettings:
    """The settings of a cloud. `overrides` are template parameters; `port` 0 takes any free one.

    `max_processes` bounds the processes of one function on this machine; events beyond it wait.
    A process unused for `idle_seconds` ends. `retry_delay_seconds` is the pause before an asynchronous
    event's first retry (60 s on AWS); it doubles. Without `event_sources` queues are not read: for a second process
    on a data folder, whose server reads them. `longest_redelivery_seconds` bounds how long a message stays hidden
    after its function failed on it, so that nobody has to wait for the queue's visibility time-out. `sockets_url`,
    also for a second process, is the HTTP origin of the cloud that holds the WebSocket connections. By `chime_client`,
    what layers/chime/Makefile makes, the console calls instead of by `local.js`.
    """

    template: Path
    data_dir: Path
    app_database_url: str
    owner_database_url: str
    port: int
    log: Log
    host: str = "127.0.0.1"
    reload: bool = True
    schedules: bool = True
    event_sources: bool = True
    overrides: Mapping[str, str] = field(default_factory=dict)
    max_processes: int = 10
    idle_seconds: float = 300.0
    retry_delay_seconds: float = 60.0
    longest_redelivery_seconds: float = math.inf
    sockets: Lifetime = field(default_factory=Lifetime)
    sockets_url: str = ""
    chime_client: Path | None = None


class Cloud:
    """One running stack. Start and stop it on one event loop."""

    def __init__(self, settings: CloudSettings) -> None:
        self._traces = Traces(settings.log)
        settings = dataclasses.replace(settings, log=self._traces.take)
        self._settings = settings
        self._tasks: list[asyncio.Task[None]] = []
        self._pools: dict[str, FunctionPool] = {}
        self._forks = Forks()
        self._gateway: Gateway | None = None
        self._schedules: Schedules | None = None
        self._messaging: Messaging | None = None
        self._sockets: WebSocketApis | None = None
        self._mail: MailService | None = None
        self._topics: TopicService | None = None
        self._storage: S3Service | None = None
        self._stripe: StripeService | None = None
        self._chime: Chime | None = None
        self._push: PushService | None = None
        self.api_url = ""
        self.issuer: Issuer
        self.stack: Stack

    async def start(self) -> None:
        """Read the template and serve it.

        Raises TemplateError, MissingPackage, BadExpression, issuer.KeyUnusable, or OSError when the port is taken.
        """
        settings = self._settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.stack = read_stack(settings.template, settings.overrides)
        self._gateway = Gateway(self._pools, settings.log)
        port = await self._gateway.listen(settings.host, settings.port)
        self.api_url = f"http://{settings.host}:{port}"
        self.stack = with_local_addresses(self.stack, settings.sockets_url or self.api_url)
        self._stripe = StripeService(settings.data_dir, settings.sockets_url or self.api_url, settings.log)
        self._gateway.mount(STRIPE_PREFIX, self._stripe.serve)
        self._push = PushService(settings.data_dir, settings.sockets_url or self.api_url, settings.log)
        self._gateway.mount(PUSH_PREFIX, self._push.serve)
        self._pools.update(self._function_pools(self._stripe.control.environment(), self._push))
        self._messaging = Messaging(
            self.stack.events, settings.data_dir, self._pools, settings.longest_redelivery_seconds, settings.log
        )
        self._messaging.mount(self._gateway, self.api_url)
        self._mail = self._mail_service(self._gateway, self._messaging)
        self._topics = self._topic_service(self._gateway)
        self._storage = S3Service(settings.data_dir, self.stack.storage, self._messaging.bus.put, settings.log)
        self._gateway.mount(S3_PREFIX, self._storage.serve)
        self._chime = self._chime_service(self._gateway, self._messaging)
        self._schedules = Schedules(
            self.stack.schedules, self._pools, self._messaging.queues, settings.retry_delay_seconds, settings.log
        )
        self._sockets = WebSocketApis(
            self.stack.sockets, self._pools, OpenSockets(settings.data_dir), settings.sockets, settings.log
        )
        self._gateway.mount(PREFIX, self._sockets.serve)
        names = [schedule.name for schedule in self.stack.schedules]
        page = DevPage(self._traces, self.api_url, names, self._schedules.fire, self._replay)
        self._gateway.mount(DEV_PATH, page.serve)
        self._gateway.mount(components.PATH, components.serve)
        self._open(self._gateway)
        if settings.event_sources:
            self._messaging.start()
            self._stripe.start()
            self._storage.scanner.start()
            self._chime.start()
        self._sockets.start()
        if settings.schedules:
            self._schedules.start()
        self._in_background("reaping", self._reap())
        self._in_background("loading SES", self._mail.warm())
        if any(STRIPE_SECRET in each.environment for each in self.stack.functions.values()):
            self._in_background("loading Stripe", self._stripe.warm())
        if settings.reload:
            self._in_background("reloading", reload_on_change(self._pools, settings.template, settings.log))

    def _function_pools(self, stripe: Mapping[str, str], push: PushService) -> dict[str, FunctionPool]:
        """The pools of all functions. Their environment contains our port, so we must be listening already."""
        settings = self._settings
        databases = Databases(settings.app_database_url, settings.owner_database_url)
        packages = settings.data_dir.resolve() / "packages"
        addresses = {item.issuer: self.api_url + ISSUER_PATH for item in self.stack.authorizers.values()}
        meetings = {ENDPOINT: (settings.sockets_url or self.api_url) + CHIME_PREFIX}
        ports = debug_ports(self.stack.functions)

        def pool(name: str, spec: FunctionSpec) -> FunctionPool:
            launch = (
                launch_of(spec, databases, packages, self.api_url).with_addresses(addresses).with_services(meetings)
            )
            spec, launch = behind(
                ports.get(name), spec, with_keys(spec, launch, stripe, push, settings.chime_client), packages
            )
            processes = 1 if name in ports else settings.max_processes
            return FunctionPool(spec, launch, processes, self._traces, self._forks)

        return {name: pool(name, spec) for name, spec in self.stack.functions.items()}

    def _mail_service(self, gateway: Gateway, messaging: Messaging) -> MailService:
        mail = MailService(self._settings.data_dir, self.stack, messaging.bus.put, self._settings.log)
        gateway.mount(MAIL_PREFIX, mail.serve)
        for path in (PATH, JSON_PATH):
            gateway.mount(path, MailPage(mail.store).serve)
        gateway.mount(ROOMS_PATH, RoomPage(self._settings.app_database_url).serve)
        return mail

    def _topic_service(self, gateway: Gateway) -> TopicService:
        topics = TopicService(self._settings.data_dir, self.stack, self._settings.log)
        gateway.mount(TOPICS_PREFIX, topics.serve)
        for path in (ALERTS_PATH, ALERTS_JSON_PATH):
            gateway.mount(path, topics.page)
        return topics

    def _chime_service(self, gateway: Gateway, messaging: Messaging) -> Chime:
        chime = Chime(messaging, self.api_url, self._settings.log)
        gateway.mount(CHIME_PREFIX, chime.serve)
        for path in (MEETINGS_PATH, MEETINGS_JSON_PATH):
            gateway.mount(path, MeetingsPage(chime, self.api_url).serve)
        return chime

    def _open(self, gateway: Gateway) -> None:
        """Serve the stack; the issuer's URL, which tokens and authorizers carry, holds the port."""
        audiences = [name for item in self.stack.authorizers.values() for name in item.audience]
        self.issuer = Issuer(self._settings.data_dir, self.api_url, audiences[0] if audiences else _DEFAULT_CLIENT)
        local = {
            name: dataclasses.replace(item, issuer=self.issuer.url) for name, item in self.stack.authorizers.items()
        }
        self.stack = dataclasses.replace(self.stack, authorizers=local)
        pool = UserPool(self._settings.data_dir)
        gateway.mount(USER_POOL_PREFIX, pool.serve)
        sign_in = SignIn(self.issuer, pool, self.api_url)
        gateway.mount(AUTHORIZE, sign_in.authorize)
        gateway.mount(TOKEN, sign_in.token)
        gateway.mount(REVOKE, sign_in.revoke)
        gateway.open(self.stack, self.issuer.key_set(), self.issuer.documents())

    async def stop(self) -> None:
        """Stop serving and end every process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for before in (self._schedules, self._sockets, self._chime):
            if before is not None:
                await before.stop()
        if self._gateway is not None:
            await self._gateway.close()
        if self._storage is not None:
            await self._storage.scanner.stop()
        for mail in (self._mail, self._topics):
            if mail is not None:
                mail.close()
        for after in (self._stripe, self._messaging):
            if after is not None:
                await after.stop()
        await asyncio.gather(*(pool.stop() for pool in self._pools.values()))
        await self._forks.close()

    async def invoke(self, function: str, payload: object) -> InvokeResult:
        """Run a function, named by logical id, on an event and wait for it. Raises UnknownFunction."""
        if function not in self._pools:
            raise UnknownFunction(function, sorted(self._pools))
        try:
            outcome = await self._pools[function].invoke(json.dumps(payload).encode())
        except Throttled as throttled:
            return InvokeResult(429, {"Reason": str(throttled)}, (), "TooManyRequestsException")
        return InvokeResult(200, json.loads(outcome.payload), outcome.log, outcome.error)

    async def _replay(self, request_id: str) -> bool:
        """Invoke a function again with an earlier payload; False when that is no longer kept."""
        found = self._traces.invocation(request_id)
        if found is not None:
            self._in_background("a replay", self._again(found))
        return found is not None

    async def _again(self, found: Replayable) -> None:
        await self._pools[found.function].invoke(found.payload)

    @property
    def messaging(self) -> Messaging:
        """Bus and queues of a cloud that has been started."""
        assert self._messaging is not None
        return self._messaging

    @property
    def scanner(self) -> Scanner:
        """The malware scan, of a cloud that has been started."""
        assert self._storage is not None
        return self._storage.scanner

    @property
    def meeting_faults(self) -> MeetingFaults:
        """What may go wrong with the events of meetings, of a cloud that has been started."""
        assert self._chime is not None
        return self._chime.faults

    @property
    def push(self) -> PushService:
        """The push service, of a cloud that has been started."""
        assert self._push is not None
        return self._push

    @property
    def stripe(self) -> StripeControl:
        """The controls of Stripe, of a cloud that has been started."""
        assert self._stripe is not None
        return self._stripe.control

    def launch(self, function: str) -> Launch:
        """How a function's processes are started. Raises UnknownFunction."""
        if function not in self._pools:
            raise UnknownFunction(function, sorted(self._pools))
        return self._pools[function].launch

    def _in_background(self, name: str, work: Coroutine[None, None, None]) -> None:
        def report(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()):
                self._settings.log(LogLine("cloud", f"{name} has stopped: {error}"))

        task = asyncio.create_task(work)
        task.add_done_callback(report)
        self._tasks.append(task)

    async def _reap(self) -> None:
        idle = self._settings.idle_seconds
        while True:
            await asyncio.sleep(idle / 10)
            for pool in self._pools.values():
                pool.reap(idle)


class RunningCloud:
    """A cloud in a thread of its own, for callers without an event loop."""

    def __init__(self, cloud: Cloud, loop: asyncio.AbstractEventLoop) -> None:
        self._cloud = cloud
        self._loop = loop
        self.api_url = cloud.api_url
        self.issuer = cloud.issuer
        self.stack = cloud.stack
        self.bus_faults = cloud.messaging.faults
        self.meeting_faults = cloud.meeting_faults
        self.stripe = cloud.stripe
        self.scanner = cloud.scanner
        self.push = cloud.push

    @property
    def realtime_url(self) -> str:
        """The address of the stack's WebSocket API; empty when it has none."""
        paths = [api.path for api in self.stack.sockets]
        return self.api_url.replace("http://", "ws://") + paths[0] if paths else ""

    def put_events(self, events: Sequence[BusEvent]) -> list[str]:
        """Put events on a bus as an AWS service can: with any `source`. Returns their ids."""

        async def put() -> list[str]:
            return self._cloud.messaging.bus.put(events)

        return asyncio.run_coroutine_threadsafe(put(), self._loop).result()

    def launch(self, function: str) -> Launch:
        """How a function's processes are started. Raises UnknownFunction."""
        return self._cloud.launch(function)

    def depth(self, queue: str) -> Depth:
        """Count the messages of a queue, by name or logical id. Raises NoSuchQueue."""

        async def count() -> Depth:
            return self._cloud.messaging.queues.depth(self._cloud.messaging.queue_name(queue))

        return asyncio.run_coroutine_threadsafe(count(), self._loop).result()

    def invoke(self, function: str, payload: object) -> InvokeResult:
        """Run a function on an event and wait for it. Raises UnknownFunction."""
        return asyncio.run_coroutine_threadsafe(self._cloud.invoke(function, payload), self._loop).result()


@contextlib.contextmanager
def running_cloud(settings: CloudSettings) -> Iterator[RunningCloud]:
    """Run a cloud in a thread for the length of a `with` block. Raises the errors of `Cloud.start`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="localcloud", daemon=True)
    thread.start()

    def wait[T](work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    cloud = Cloud(settings)
    try:
        wait(cloud.start())
        yield RunningCloud(cloud, loop)
    finally:
        wait(cloud.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
