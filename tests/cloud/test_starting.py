"""A function's process sees the same, forked or started as a program; a lost fork server is replaced."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localcloud.compute import starting
from localcloud.compute.environment import Databases, launch_of
from localcloud.compute.pools import FunctionPool
from localcloud.compute.starting import Forks, Programs, Starter
from localcloud.host.logline import Log, LogLine
from localcloud.services.traces import Traces
from localcloud.stack.template import read_stack
from support.cloud.engine import ENGINE_TEMPLATE

pytestmark = pytest.mark.skipif(not starting.CAN_FORK, reason="processes are forked on Linux only")
ITS_OWN = {"AWS_LAMBDA_RUNTIME_API", "_X_AMZN_TRACE_ID"}


def nothing_is_logged(_line: LogLine) -> None:
    """Log nothing."""


@asynccontextmanager
async def pool(
    packages: Path, starter: Starter, function: str = "ProbeFunction", log: Log = nothing_is_logged
) -> AsyncIterator[FunctionPool]:
    """The processes of one function of the engine's stack, which may take its time."""
    spec = replace(read_stack(ENGINE_TEMPLATE, {}).functions[function], timeout_seconds=60)
    pool = FunctionPool(spec, launch_of(spec, Databases("", ""), packages), 4, Traces(log), starter)
    yield pool
    await pool.stop()


async def told(pool: FunctionPool, do: str = "nothing", **order: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((await pool.invoke(json.dumps({"do": do, **order}).encode())).payload)
    return answer


def state_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent_of(pid: int) -> int:
    return int(state_of(pid)[1])


def runs(pid: int) -> bool:
    """Whether a process is there; not one that only waits for whoever adopted it to take note of its end."""
    try:
        return state_of(pid)[0] != "Z"
    except OSError:
        return False


async def seen_both_ways(packages: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    forks = Forks()
    async with pool(packages, forks) as forked, pool(packages, Programs()) as program:
        seen = await told(forked, "look"), await told(program, "look")
    await forks.close()
    return seen


def test_a_forked_process_sees_what_a_program_sees(tmp_path: Path) -> None:
    forked, program = asyncio.run(seen_both_ways(tmp_path))
    assert forked["path"] == program["path"]
    names = (set(forked["environment"]) | set(program["environment"])) - ITS_OWN
    differing = {name for name in names if forked["environment"].get(name) != program["environment"].get(name)}
    assert differing == set()
    ours = {"autodoctor", "localcloud", "common", "probe"}
    more = {name.partition(".")[0] for name in set(forked["modules"]) - set(program["modules"])}
    assert "pydantic" in more
    assert not more & ours


async def after_the_fork_server_was_killed(packages: Path) -> tuple[str | None, dict[str, Any], bool]:
    """How the event ends during which it is killed, what the next one says, and whether the old process is gone."""
    forks, begun = Forks(), asyncio.Event()

    def log(line: LogLine) -> None:
        if "asleep" in line.text:
            begun.set()

    async with pool(packages, forks, log=log) as forked:
        pid = (await told(forked))["pid"]
        running = asyncio.create_task(forked.invoke(b'{"do": "sleep", "seconds": 60}'))
        await begun.wait()
        os.kill(parent_of(pid), signal.SIGKILL)
        interrupted = (await running).error
        after = await told(forked)
    await forks.close()
    return interrupted, after, runs(pid)


def test_a_killed_fork_server_is_replaced(tmp_path: Path) -> None:
    interrupted, after, lives = asyncio.run(after_the_fork_server_was_killed(tmp_path))
    assert interrupted == "Runtime.ExitError"
    assert after["calls"] == 1
    assert not lives


async def sharing(packages: Path) -> tuple[set[int], list[bool]]:
    """The parents of two functions' processes, and which of all these processes outlive the pools."""
    forks = Forks()
    async with pool(packages, forks) as one, pool(packages, forks, "OwnerFunction") as other:
        pids = [(await told(each))["pid"] for each in (one, other)]
        parents = {parent_of(pid) for pid in pids}
    await forks.close()
    return parents, [runs(pid) for pid in (*pids, *parents)]


def test_functions_with_the_same_packages_share_one_that_ends_with_them(tmp_path: Path) -> None:
    parents, outliving = asyncio.run(sharing(tmp_path))
    assert len(parents) == 1
    assert outliving == [False, False, False]
