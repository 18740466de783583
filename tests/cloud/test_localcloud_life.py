"""A cloud reloads changed code, survives a restart, and leaves nothing behind however it ends."""

import asyncio
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from localcloud.compute.environment import Databases, Launch, MissingPackage, launch_of
from localcloud.compute.pools import FunctionPool
from localcloud.host.logline import LogLine
from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud
from localcloud.services.traces import Traces
from localcloud.stack.template import read_stack
from support.cloud.engine import ENGINE_TEMPLATE, wait_until_printed

PATIENCE_SECONDS = 60.0
PARENT = """
import sys, time
from pathlib import Path
from localcloud.services.cloud import CloudSettings, running_cloud

template, data_dir = map(Path, sys.argv[1:])
log = lambda line: print(line.text, flush=True)
settings = CloudSettings(template, data_dir, "", "", 0, log, reload=False, schedules=False)
with running_cloud(settings) as cloud:
    for function in ("ProbeFunction", "OwnerFunction"):
        print("pid", cloud.invoke(function, {"do": "nothing"}).payload["pid"], flush=True)
    cloud.invoke("ProbeFunction", {"do": "sleep", "seconds": 60})
"""


def settings(folder: Path, *, template: Path = ENGINE_TEMPLATE, port: int = 0, reload: bool = False) -> CloudSettings:
    return CloudSettings(template, folder / "data", "", "", port, lambda _line: None, reload=reload, schedules=False)


@pytest.fixture
def own_stack(tmp_path: Path) -> Path:
    """Copy the engine's stack to where a test may change it; return its template."""
    folder = tmp_path / "stack"
    shutil.copytree(ENGINE_TEMPLATE.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / ENGINE_TEMPLATE.name


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another Python that runs a cloud, and end it at last."""
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(ENGINE_TEMPLATE), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def probe(cloud: RunningCloud) -> dict[str, Any]:
    return cast("dict[str, Any]", cloud.invoke("ProbeFunction", {"do": "nothing"}).payload)


def wait_for_greeting(cloud: RunningCloud, greeting: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (seen := probe(cloud))["greeting"] != greeting:
        assert time.monotonic() < deadline, "the change was not noticed"
        time.sleep(0.05)
    return seen


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(") ")[2].startswith("Z"))


def test_runs_changed_code_of_a_layer_in_new_processes(tmp_path: Path, own_stack: Path) -> None:
    layer = own_stack.parent / "layers" / "common" / "common" / "__init__.py"
    with running_cloud(settings(tmp_path, template=own_stack, reload=True)) as cloud:
        before = probe(cloud)
        layer.write_text('GREETING = "good evening"\n')
        after = wait_for_greeting(cloud, "good evening")
    assert after["pid"] != before["pid"]


def test_finishes_the_event_at_hand_before_it_reloads(tmp_path: Path, own_stack: Path) -> None:
    layer = own_stack.parent / "layers" / "common" / "common" / "__init__.py"
    slow = {"do": "sleep", "seconds": 0.6, "text": "at work"}
    lines = list[LogLine]()
    reloading = dataclasses.replace(settings(tmp_path, template=own_stack, reload=True), log=lines.append)
    with running_cloud(reloading) as cloud:
        before = probe(cloud)
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(cloud.invoke, "ProbeFunction", slow)
            wait_until_printed(lines, "at work")
            layer.write_text('GREETING = "good evening"\n')
        answer = cast("dict[str, Any]", running.result().payload)
        assert (answer["pid"], answer["greeting"]) == (before["pid"], "hello")
        assert wait_for_greeting(cloud, "good evening")["pid"] != before["pid"]


def _address(cloud: RunningCloud) -> tuple[str, int]:
    host, _, port = cloud.api_url.removeprefix("http://").partition(":")
    return host, int(port)


def test_ends_processes_that_nobody_uses(tmp_path: Path) -> None:
    with running_cloud(dataclasses.replace(settings(tmp_path), idle_seconds=0.3)) as cloud:
        pid = probe(cloud)["pid"]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while alive(pid):
            assert time.monotonic() < deadline, "it idles on"
            time.sleep(0.05)
        assert probe(cloud)["calls"] == 1


def test_ends_every_process_when_it_stops(tmp_path: Path) -> None:
    with running_cloud(settings(tmp_path)) as cloud:
        pid = probe(cloud)["pid"]
        address = _address(cloud)
        assert alive(pid)
    assert not alive(pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def stopped_while_events_wait(packages: Path) -> tuple[list[str | None], int]:
    """How the events of a pool end that stops before it starts another process for them; how many processes it has."""
    spec = read_stack(ENGINE_TEMPLATE, {}).functions["ProbeFunction"]
    pool = FunctionPool(spec, launch_of(spec, Databases("", ""), packages), 4, Traces(lambda _line: None))
    await pool.invoke(b'{"do": "nothing"}')
    slow = b'{"do": "sleep", "seconds": 20}'
    events = [asyncio.create_task(pool.invoke(slow)) for _ in range(3)]
    # One has the process; two wait 20 ms whether it gets free. That is over while its end is awaited.
    await asyncio.sleep(0.018)
    await pool.stop()
    return [each.error for each in await asyncio.gather(*events)], pool.refresh()


def test_starts_no_process_any_more_once_it_stops(tmp_path: Path) -> None:
    assert asyncio.run(stopped_while_events_wait(tmp_path)) == (["Runtime.ExitError"] * 3, 0)


async def asked_and_died(folder: Path, times: int) -> Counter[str | None]:
    """How events end whose process asks for them and is gone before it could have heard."""
    spec = dataclasses.replace(read_stack(ENGINE_TEMPLATE, {}).functions["ProbeFunction"], timeout_seconds=5)
    request = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: localhost\r\n\r\n"
    address = "/dev/tcp/${AWS_LAMBDA_RUNTIME_API/:/\\/}"
    script = f"eval 'exec 3<>'{address}; printf '{request}' >&3; kill -KILL $$"
    launch = Launch(("bash", "-c", script), folder, {"PATH": os.environ["PATH"]})
    pool = FunctionPool(spec, launch, 4, Traces(lambda _line: None))
    outcomes = [(await pool.invoke(b"{}")).error for _ in range(times)]
    await pool.stop()
    return Counter(outcomes)


def test_gives_no_event_to_a_process_that_is_gone(tmp_path: Path) -> None:
    assert asyncio.run(asked_and_died(tmp_path, 500)) == {"Runtime.ExitError": 500}


def test_leaves_no_process_behind_when_it_is_killed(parent: subprocess.Popen[str]) -> None:
    assert parent.stdout is not None
    pids = []
    for line in parent.stdout:
        if line.startswith("pid"):
            pids.append(int(line.split()[1]))
        if "asleep" in line:  # one of the processes, over its event
            break
    assert [alive(pid) for pid in pids] == [True, True]
    parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, "processes outlive their parent"
        time.sleep(0.05)


def test_takes_the_tokens_of_an_earlier_run(tmp_path: Path) -> None:
    with running_cloud(settings(tmp_path)) as cloud:
        token = cloud.issuer.token("u", [])
        port = _address(cloud)[1]
    with running_cloud(settings(tmp_path, port=port)) as cloud:
        answer = httpx.post(f"{cloud.api_url}/private/x", headers={"Authorization": token})
    assert answer.status_code == 200
    assert (tmp_path / "data" / "issuer-key.pem").stat().st_mode & 0o077 == 0


def test_says_when_the_port_is_taken(tmp_path: Path) -> None:
    with running_cloud(settings(tmp_path)) as cloud:
        again = settings(tmp_path, port=_address(cloud)[1])
        with pytest.raises(OSError, match="in use"), running_cloud(again):
            pass


def test_says_which_package_of_a_layer_is_missing(tmp_path: Path, own_stack: Path) -> None:
    requirements = own_stack.parent / "layers" / "common" / "requirements.txt"
    requirements.write_text("no-such-package-anywhere==1.0  # gone\n")
    with (
        pytest.raises(MissingPackage, match="no-such-package-anywhere"),
        running_cloud(settings(tmp_path, template=own_stack)),
    ):
        pass


def test_runs_a_built_layer_without_anything_of_ours(tmp_path: Path, own_stack: Path) -> None:
    layer = own_stack.parent / "layers" / "common"
    (layer / "requirements.txt").unlink()
    (layer / "python").mkdir()
    (layer / "common").rename(layer / "python" / "common")
    with running_cloud(settings(tmp_path, template=own_stack)) as cloud:
        path = cast("dict[str, Any]", cloud.invoke("ProbeFunction", {"do": "look"}).payload)["path"]
    assert path[:2] == [str(own_stack.parent / "functions" / "probe"), str(layer / "python")]
    assert not any("site-packages" in entry for entry in path)
