"""Bus, queues and event source mappings of one stack, and their HTTP APIs below `/_aws`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from localcloud.compute.asynchronous import Asynchronous
from localcloud.compute.lambda_api import lambda_handler
from localcloud.compute.pools import FunctionPool
from localcloud.gateway.http_api import Gateway
from localcloud.host.logline import Log, LogLine
from localcloud.messaging.bus_faults import BusFaults
from localcloud.messaging.event_bus import EventBus
from localcloud.messaging.event_sources import EventSources
from localcloud.messaging.events_api import events_service
from localcloud.messaging.message_file import MessageFile
from localcloud.messaging.queues import Queues
from localcloud.messaging.sqs_api import sqs_service
from localcloud.stack.events import EventStack


class Messaging:
    """Carries events from one function to another. Belongs to the event loop's thread."""

    def __init__(
        self,
        stack: EventStack,
        data_dir: Path,
        pools: Mapping[str, FunctionPool],
        longest_redelivery_seconds: float,
        log: Log,
    ) -> None:
        """`longest_redelivery_seconds` bounds how long a message stays hidden after its function failed on it."""
        self.faults = BusFaults()
        self._file = MessageFile(data_dir)
        self._log = log
        self._pools = pools
        self.queues = Queues(self._file, stack.queues, log)
        self.bus = EventBus(stack, self._file, self.queues, self.faults, log)
        self._asynchronous = Asynchronous(pools, self.queues, log)
        self._sources = EventSources(stack.sources, self.queues, pools, longest_redelivery_seconds, log)
        self._delivering: asyncio.Task[None] | None = None

    def queue_name(self, queue: str) -> str:
        """Return the name of a queue given by name or logical id; any other text is returned unchanged."""
        return next((spec.name for spec in self.queues.specs.values() if queue == spec.logical_id), queue)

    def mount(self, gateway: Gateway, api_url: str) -> None:
        """Serve the APIs of EventBridge, Lambda and SQS on the gateway's port."""
        gateway.mount("/_aws/events", events_service(self.bus).handle)
        gateway.mount("/_aws/lambda", lambda_handler(self._pools, self._asynchronous))
        gateway.mount("/_aws/sqs", sqs_service(self.queues, f"{api_url}/_aws/sqs").handle)

    def start(self) -> None:
        """Retry deliveries left over, and feed functions from queues."""
        self._delivering = asyncio.create_task(self.bus.keep_delivering())
        self._delivering.add_done_callback(self._report)
        self._sources.start()

    async def stop(self) -> None:
        """Stop both; the functions' pools must still be running."""
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)
        await self._asynchronous.stop()
        await self._sources.stop()
        self._file.close()

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._log(LogLine("cloud", f"delivering has stopped: {error}"))
