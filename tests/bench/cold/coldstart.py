"""Rows: from the start of a process to its first answer, its first connection to the database included.

Each start is a new process under AWS's runtime client, run by the local cloud's own worker. All kinds take turns
within a round, so that whatever slows the machine slows them all; the first round, which warms the disk's cache,
is thrown away. What an accept publishes after its commit is counted apart: its rows are those of a copy of the
handler that publishes nothing, and one row shows what the first publishing adds.
"""

import asyncio
import dataclasses
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from bench.events.bus import Bus, bench_bus
from bench.http.calls import ROOT, Api
from bench.http.server import BenchServer, bench_server
from bench.http.stacks import without_publishing
from bench.http.walks import Walks
from bench.measure import machine
from bench.measure.judge import Row, Target, noise
from localcloud.compute.environment import Databases, Launch, launch_of
from localcloud.compute.runtime_api import Invocation
from localcloud.compute.workers import Outcome, Worker
from localcloud.stack.template import FunctionSpec, LayerSpec, read_stack
from support.lambda_event import claims, event

ROUNDS: Final = 11
COLD: Final = Path(__file__).parent
QUEUE, ACCEPT = "GET /api/mechanic/queue", "POST /api/mechanic/assignments/{assignmentId}/accept"
PUBLISHING: Final = "publishing accept"
FLOOR, PEER = Target(2.0), Target(0.5)


class _FirstAnswer:
    """Gives a worker one event and keeps its answer."""

    def __init__(self, payload: bytes) -> None:
        self.answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._payload = payload

    def ready(self, worker: Worker) -> None:
        if not self.answer.done():
            worker.give(Invocation(str(uuid4()), worker.spec.logical_id, self._payload, "bench"))

    def done(self, _worker: Worker, _invocation: Invocation, outcome: Outcome) -> None:
        self.answer.set_result(outcome)

    def ended(self, worker: Worker) -> None:
        if not self.answer.done():
            self.answer.set_exception(RuntimeError(f"it ended: {worker.init_failure}"))

    def printed(self, worker: Worker, line: str) -> None:
        """What it prints is of no interest here."""


@dataclass(frozen=True)
class Taken:
    """Milliseconds of one start: on the clock, and of processor time."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Starter:
    """One kind of function, ready to be started."""

    spec: FunctionSpec
    launch: Launch

    def start(self, request: dict[str, Any]) -> Taken:
        """Start a process, let it answer `request` and end it; raises where the answer is not a 200."""
        before = _children()
        wall = asyncio.run(self._start(json.dumps(request).encode()))
        return Taken(wall, _children() - before)

    async def _start(self, payload: bytes) -> float:
        owner = _FirstAnswer(payload)
        worker = Worker(self.spec, self.launch, owner)
        began = time.perf_counter()
        running = asyncio.create_task(worker.run())
        outcome = await owner.answer
        taken = (time.perf_counter() - began) * 1000
        worker.kill()
        await running
        if json.loads(outcome.payload).get("statusCode") != 200:
            raise RuntimeError(f"{self.spec.code}: {outcome}")
        return taken


def rows() -> Iterator[Row]:
    """Cold starts of queue_fetch and accept against the floor and the peer."""
    with bench_server(durable=True) as server, bench_bus() as bus, tempfile.TemporaryDirectory() as folder:
        walks = Walks(server, Api(server.database.app_url))
        walks.fill_queue(20)
        starters = _starters(server, bus, Path(folder))
        busy = machine.busy()
        samples: dict[str, list[Taken]] = {name: [] for name in starters}
        for number in range(ROUNDS + 1):
            for name, starter in starters.items():
                request, published = _request(walks, name), bus.taken()
                taken = starter.start(request)
                if name == PUBLISHING and bus.taken() == published:
                    raise RuntimeError("the first accept of a process did not publish in its time")
                if number:
                    samples[name].append(taken)
    refused = noise([taken.wall for taken in samples["bare"]], busy)
    for ours in ("queue_fetch", "accept"):
        for other, target in (("bare", FLOOR), (f"usual {ours}", PEER)):
            yield _row(ours, samples, other, target, refused)
            yield _processor_row(ours, samples, other)
    yield _publishing_row(samples, refused)


def _row(ours: str, samples: dict[str, list[Taken]], other: str, target: Target, refused: str) -> Row:
    walls = {name: [taken.wall for taken in samples[name]] for name in (ours, other)}
    return Row(
        name=f"cold start: {ours}",
        unit="ms",
        measured=statistics.median(walls[ours]),
        reference=statistics.median(walls[other]),
        reference_name=_named(other),
        target=target,
        refused=refused,
        cause="importing pydantic, powertools and the layer",
        samples=walls,
    )


def _processor_row(ours: str, samples: dict[str, list[Taken]], other: str) -> Row:
    used = {name: [taken.processor for taken in samples[name]] for name in (ours, other)}
    return Row(
        name=f"cold start: {ours}, processor time",
        unit="ms",
        measured=statistics.median(used[ours]),
        reference=statistics.median(used[other]),
        reference_name=_named(other),
        cause="depends less on what else the machine does",
        samples=used,
    )


def _publishing_row(samples: dict[str, list[Taken]], refused: str) -> Row:
    with_it, without = samples[PUBLISHING], samples["accept"]
    extra = statistics.median(each.processor for each in with_it) - statistics.median(
        each.processor for each in without
    )
    return Row(
        name="cold start: accept, with its first publishing",
        unit="ms",
        measured=statistics.median(each.wall for each in with_it),
        reference=statistics.median(each.wall for each in without),
        reference_name="without",
        refused=refused,
        cause=f"importing what publishes and opening a connection: {extra:.0f} ms of processor time, once a process",
        samples={"with": [each.wall for each in with_it], "without": [each.wall for each in without]},
    )


def _named(other: str) -> str:
    return {"bare": "bare psycopg"}.get(other, "FastAPI + Mangum + SQLAlchemy")


def _children() -> float:
    """Milliseconds of processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def _starters(server: BenchServer, bus: Bus, folder: Path) -> dict[str, Starter]:
    stack = read_stack(ROOT / "template.yaml", {})
    queue, accept = stack.functions["QueueFetchFunction"], stack.functions["AcceptFunction"]
    without_publishing(folder / "functions")
    usual = _replaced(queue, "usual")
    databases = Databases(server.database.app_url, server.database.owner_url)
    specs = {
        "bare": _replaced(queue, "bare"),
        "queue_fetch": queue,
        "usual queue_fetch": usual,
        "accept": dataclasses.replace(accept, code=folder / "functions" / accept.code.name),
        PUBLISHING: accept,
        "usual accept": usual,
    }
    launches = {name: launch_of(spec, databases, folder / "packages") for name, spec in specs.items()}
    return {
        name: Starter(spec, dataclasses.replace(launch, environment={**launch.environment, **bus.environment}))
        for (name, spec), launch in zip(specs.items(), launches.values(), strict=True)
    }


def _replaced(spec: FunctionSpec, folder: str) -> FunctionSpec:
    """The same function with other code and, in place of the shared layer, what that code needs."""
    code = COLD / folder
    return dataclasses.replace(spec, code=code, layers=(LayerSpec(folder, code, code / "requirements.txt"),))


def _request(walks: Walks, name: str) -> dict[str, Any]:
    if not name.endswith("accept"):
        return _event(QUEUE, walks.mechanic(), "/api/mechanic/queue")
    made = walks.queued()
    path = f"/api/mechanic/assignments/{made.assignment_id}/accept"
    return _event(ACCEPT, made.mechanic, path, {"assignmentId": made.assignment_id})


def _event(route: str, mechanic: UUID, path: str, parameters: dict[str, str] | None = None) -> dict[str, Any]:
    """An event with what the peer's adapter reads besides: path, query and the client's address."""
    built = event(route, caller=claims("[mechanics]", sub=str(mechanic)), path=parameters)
    method = route.partition(" ")[0]
    built["requestContext"]["http"] = {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"}
    return built | {"rawPath": path, "rawQueryString": ""}
