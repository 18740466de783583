"""Rows: from the start of a process to its first answer, its first connection to the database included.

Each start is a new process under AWS's runtime client, run by the local cloud's own worker, and every kind is what
`sam build` makes of it: ours with the bytecode that it ships, the floor and the peer as pip's wheels come, without
any. Nothing is written beside what is read, as on Lambda, so that no start leaves bytecode to the next. All kinds take
turns within a round, so that whatever slows the machine slows them all; the first round, which warms the disk's
cache, is thrown away. The verdict is that of processor time, which others disturb least. What a call publishes after
its commit is counted apart: the rows are those of copies of the handlers that publish nothing, and one row shows what
the first publishing adds.
"""

import asyncio
import dataclasses
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from autodoctor.ids import new_id
from bench.events.bus import Bus, bench_bus
from bench.http.calls import INTAKE, Api
from bench.http.server import BenchServer, bench_server
from bench.http.stacks import without_publishing
from bench.http.walks import Walks
from bench.measure import machine
from bench.measure.judge import Row, Target, noise
from localcloud.compute.environment import Databases, Launch, launch_of
from localcloud.compute.runtime_api import Invocation
from localcloud.compute.workers import Outcome, Worker
from localcloud.stack.template import FunctionSpec, LayerSpec, read_stack
from support.http.lambda_event import claims, event
from support.template.artefact import built

ROUNDS: Final = 11
COLD: Final = Path(__file__).parent
OURS: Final = {
    "queue": "QueueFetchFunction",
    "accept": "AcceptFunction",
    "intake": "IntakeFunction",
    "join": "PresenceFunction",
    "end": "EndSessionFunction",
    "message": "RoomFunction",
}
FOLDERS: Final = {
    "queue": "queue_fetch",
    "accept": "accept",
    "intake": "intake",
    "join": "presence",
    "end": "end_session",
    "message": "room",
}
BARE, BYTECODE, PEER = "bare psycopg", "bare psycopg with bytecode", "FastAPI + Mangum + SQLAlchemy"
PUBLISHING: Final = "accept that publishes"
TARGETS: Final = {BARE: Target(1.3), BYTECODE: None, PEER: Target(0.35)}


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
        """Start a process, let it answer `request` and end it; raises where the answer is no success."""
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
        if json.loads(outcome.payload).get("statusCode") not in (200, 201):
            raise RuntimeError(f"{self.spec.code}: {outcome}")
        return taken


def rows() -> Iterator[Row]:
    """Cold starts of ours against the floor, with bytecode and without, and against the peer."""
    with bench_server(durable=True) as server, bench_bus() as bus, tempfile.TemporaryDirectory() as folder:
        walks = Walks(server, Api(server.database.app_url))
        walks.fill_queue(20)
        requests, starters = _requests(walks), _starters(server, bus, Path(folder))
        busy = machine.busy()
        samples: dict[str, list[Taken]] = {name: [] for name in starters}
        for number in range(ROUNDS + 1):
            for name, starter in starters.items():
                request, published = requests[name](), bus.taken()
                taken = starter.start(request)
                if name == PUBLISHING and bus.taken() == published:
                    raise RuntimeError("the first accept of a process did not publish in its time")
                if number:
                    samples[name].append(taken)
    refused = noise([taken.processor for taken in samples[BARE]], 0.0)
    for ours in OURS:
        for other, target in TARGETS.items():
            yield _row(ours, samples, other, target, refused)
        yield _clock_row(ours, samples, noise([taken.wall for taken in samples[BARE]], busy))
    yield _publishing_row(samples, refused)


def _row(ours: str, samples: dict[str, list[Taken]], other: str, target: Target | None, refused: str) -> Row:
    used = {name: [taken.processor for taken in samples[name]] for name in (ours, other)}
    return Row(
        name=f"cold start: {ours}, processor time",
        unit="ms",
        measured=statistics.median(used[ours]),
        reference=statistics.median(used[other]),
        reference_name=other,
        target=target,
        refused=refused,
        cause="importing pydantic, powertools and the layer",
        samples=used,
    )


def _clock_row(ours: str, samples: dict[str, list[Taken]], refused: str) -> Row:
    walls = {name: [taken.wall for taken in samples[name]] for name in (ours, BARE)}
    return Row(
        name=f"cold start: {ours}, on the clock",
        unit="ms",
        measured=statistics.median(walls[ours]),
        reference=statistics.median(walls[BARE]),
        reference_name=BARE,
        refused=refused,
        samples=walls,
    )


def _publishing_row(samples: dict[str, list[Taken]], refused: str) -> Row:
    used = {name: [taken.processor for taken in samples[name]] for name in (PUBLISHING, "accept")}
    return Row(
        name="cold start: accept with its first publishing, processor time",
        unit="ms",
        measured=statistics.median(used[PUBLISHING]),
        reference=statistics.median(used["accept"]),
        reference_name="without",
        refused=refused,
        cause="importing what publishes and opening a connection, once a process",
        samples=used,
    )


def _children() -> float:
    """Milliseconds of processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def _starters(server: BenchServer, bus: Bus, folder: Path) -> dict[str, Starter]:
    functions = read_stack(built(), {}).functions
    without_publishing(folder / "functions")
    packages = folder / "packages"
    databases = Databases(server.database.app_url, server.database.owner_url)
    bare, peer = (_replaced(functions[OURS["queue"]], name) for name in ("bare", "usual"))
    specs = {BARE: bare, BYTECODE: bare, PEER: peer, PUBLISHING: functions[OURS["accept"]]}
    for name, function in OURS.items():
        spec = functions[function]
        specs[name] = dataclasses.replace(spec, code=folder / "functions" / FOLDERS[name])
    launches = {name: launch_of(spec, databases, packages) for name, spec in specs.items()}
    for name in (BARE, PEER):
        launches[name] = _without_bytecode(launches[name], folder / "wheels")
    return {
        name: Starter(spec, dataclasses.replace(launch, environment={**launch.environment, **bus.environment}))
        for (name, spec), launch in zip(specs.items(), launches.values(), strict=True)
    }


def _replaced(spec: FunctionSpec, folder: str) -> FunctionSpec:
    """The same function with other code and, in place of the shared layer, what that code needs."""
    code = COLD / folder
    return dataclasses.replace(spec, code=code, layers=(LayerSpec(folder, code, code / "requirements.txt"),))


def _without_bytecode(launch: Launch, folder: Path) -> Launch:
    """The same packages as their wheels come, but for those of AWS's image, which end the path and have bytecode."""
    *brought, image = launch.environment["PYTHONPATH"].split(os.pathsep)
    copies = []
    for each in dict.fromkeys(brought):
        copy = folder / Path(each).name
        shutil.copytree(each, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        copies.append(str(copy))
    path = os.pathsep.join([*copies, image])
    environment = {**launch.environment, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return dataclasses.replace(launch, folder=Path(copies[0]), environment=environment)


def _requests(walks: Walks) -> dict[str, Callable[[], dict[str, Any]]]:
    """For every kind, what makes the request of its next start."""

    def queue() -> dict[str, Any]:
        return _event("GET /api/mechanic/queue", "mechanics", walks.mechanic())

    def accept() -> dict[str, Any]:
        made = walks.queued()
        route = "POST /api/mechanic/assignments/{assignmentId}/accept"
        return _event(route, "mechanics", made.mechanic, assignmentId=made.assignment_id)

    def intake() -> dict[str, Any]:
        return _event("POST /api/intake/start", "customers", new_id(), body=INTAKE)

    def join() -> dict[str, Any]:
        made = walks.waiting()
        return _event("POST /api/sessions/{sessionId}/join", "customers", made.customer, sessionId=made.session_id)

    def end() -> dict[str, Any]:
        made = walks.talked()
        return _event("POST /api/sessions/{sessionId}/end", "customers", made.customer, sessionId=made.session_id)

    def message() -> dict[str, Any]:
        made, body = walks.live(), {"clientId": str(new_id()), "text": "It squeals when I brake."}
        route = "POST /api/sessions/{sessionId}/messages"
        return _event(route, "customers", made.customer, body, sessionId=made.session_id)

    ours = {"queue": queue, "accept": accept, "intake": intake, "join": join, "end": end, "message": message}
    return {**ours, BARE: queue, BYTECODE: queue, PEER: accept, PUBLISHING: accept}


def _event(route: str, group: str, sub: UUID, body: object = None, **parameters: str) -> dict[str, Any]:
    """An event with what the peer's adapter reads besides: path, query and the client's address."""
    built_event = event(route, body, caller=claims(f"[{group}]", sub=str(sub)), path=parameters or None)
    method, _, path = route.partition(" ")
    path = path.format(**parameters)
    context = {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"}
    built_event["requestContext"]["http"] = context
    return built_event | {"rawPath": path, "rawQueryString": ""}
