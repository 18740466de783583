"""Rows: from a commit to the frame at a mechanic's WebSocket, and one event to a thousand of them.

Through the whole product as the local cloud runs it: handler, bus, queue, broadcast, WebSocket API. The clients are
in a process of their own; all clocks are this machine's.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, LiteralString

import httpx

from bench.events.audience import Audience, BareServer, mechanics
from bench.http.server import bench_server
from bench.http.stacks import Deployed, Variant, deployed
from bench.measure import machine
from bench.measure.judge import Row, noise, percentile
from localcloud.commands.samples import INTAKE_WITH_WAIVER

FEW: Final = {1: 40, 100: 12}
"""How many requests are made, by how many mechanics are connected."""
MANY: Final = 1_000
FAN_OUTS: Final = 4

_QUEUED_AT: Final[LiteralString] = """
SELECT occurred_at FROM session_assignment_events WHERE session_id = %s AND to_status = 'queued'
"""


@dataclass(frozen=True)
class Delivery:
    """When a request was committed and answered, and when each mechanic knew of it; seconds since the epoch."""

    committed: float
    answered: float
    frames: list[float]


class Customers:
    """Makes requests over HTTP."""

    def __init__(self, deployed: Deployed, http: httpx.Client) -> None:
        self._deployed = deployed
        self._http = http

    def request(self, audience: Audience) -> Delivery:
        """A new customer's signed request, seen by everybody."""
        headers = self._headers("customer")
        response = self._http.post("/api/intake/start", json=INTAKE_WITH_WAIVER, headers=headers)
        answered = time.time()
        session_id = response.raise_for_status().json()["sessionId"]
        frames = audience.frames(session_id)
        row = self._deployed.owner.execute(_QUEUED_AT, [session_id]).fetchone()
        assert row is not None
        assert isinstance(row[0], datetime)
        self._deployed.rest()
        return Delivery(row[0].timestamp(), answered, [frame.at for frame in frames])

    def round_trip(self) -> float:
        """Milliseconds of an answer that takes a function but no database."""
        headers = self._headers("customer")
        began = time.perf_counter()
        self._http.post("/api/requests", headers=headers)
        return (time.perf_counter() - began) * 1000

    def feed_url(self) -> str:
        """Where the feed is."""
        response = self._http.post("/api/realtime/ticket", headers=self._headers("mechanic"))
        return str(response.raise_for_status().json()["url"])

    def _headers(self, role: str) -> dict[str, str]:
        _, token = self._deployed.customer() if role == "customer" else self._deployed.mechanic()
        return {"Authorization": f"Bearer {token}"}


def rows() -> Iterator[Row]:
    """Latencies with few mechanics connected, then the fan-out to many."""
    with (
        bench_server(durable=True) as server,
        tempfile.TemporaryDirectory() as folder,
        deployed(server, "feed", Variant({}), Path(folder) / "feed") as product,
        httpx.Client(base_url=product.cloud.api_url, timeout=60, trust_env=False) as http,
    ):
        customers = Customers(product, http)
        url = customers.feed_url()
        for connected, requests in FEW.items():
            yield from _latency(product, customers, url, connected, requests)
        yield from _fan_out(product, customers, url)


def _latency(product: Deployed, customers: Customers, url: str, connected: int, requests: int) -> Iterator[Row]:
    deliveries: list[Delivery] = []
    floor: list[float] = []
    with mechanics(product, url, connected) as audience:
        customers.request(audience)
        customers.round_trip()
        busy = machine.busy()
        for _ in range(requests):
            floor.append(statistics.median(customers.round_trip() for _ in range(5)))
            deliveries.append(customers.request(audience))
    refused = noise(floor, busy)
    for since in ("committed", "answered"):
        taken = [(frame - getattr(each, since)) * 1000 for each in deliveries for frame in each.frames]
        for share in (0.5, 0.99):
            yield Row(
                name=f"{since} to frame, p{share * 100:.0f}, {connected} mechanics connected",
                unit="ms",
                measured=percentile(taken, share),
                reference=percentile(floor, share),
                reference_name="HTTP round trip without database",
                refused=refused,
                cause=f"{len(taken)} frames",
                samples={"frames": taken, "floor": floor},
            )


def _fan_out(product: Deployed, customers: Customers, url: str) -> Iterator[Row]:
    first: dict[str, list[float]] = {"ours": [], "floor": []}
    last: dict[str, list[float]] = {"ours": [], "floor": []}
    with (
        closing(BareServer()) as bare,
        mechanics(product, url, MANY) as audience,
        closing(Audience([bare.url] * MANY)) as crowd,
    ):
        busy = machine.busy()
        for number in range(FAN_OUTS + 1):
            delivery = customers.request(audience)
            text = json.dumps({"payload": {"sessionId": str(number)}, "concern": "x" * 200})
            written = time.time()
            bare.write(text)
            heard = [frame.at for frame in crowd.frames(str(number))]
            if number:
                for name, since, frames in (("ours", delivery.answered, delivery.frames), ("floor", written, heard)):
                    first[name].append((min(frames) - since) * 1000)
                    last[name].append((max(frames) - since) * 1000)
    refused = noise(last["floor"], busy)
    for which, taken in (("first", first), ("last", last)):
        yield Row(
            name=f"one event to {MANY:,} connections: answered to {which} frame",
            unit="ms",
            measured=statistics.median(taken["ours"]),
            reference=statistics.median(taken["floor"]),
            reference_name="one process that writes to all",
            refused=refused,
            cause="each frame is a signed HTTP request to @connections, 16 at once",
            samples=taken,
        )
    rates = {
        name: [MANY / (end - begin) * 1000 for begin, end in zip(first[name], last[name], strict=True)] for name in last
    }
    yield Row(
        name=f"one event to {MANY:,} connections: frames a second",
        unit="/s",
        measured=statistics.median(rates["ours"]),
        reference=statistics.median(rates["floor"]),
        reference_name="one process that writes to all",
        refused=refused,
        samples=rates,
    )
