"""MiniStack as a process, with IAM enforced, and boto3's clients of it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from localcloud.host import ports
from support.template.deployed_template import REGION, ROOT

START_SECONDS = 180.0
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class MiniStack:
    """A running MiniStack.

    Attributes:
        origin: its address.
        log: the file that it and the functions write to.
        clients: boto3's, by service.
    """

    origin: str
    log: Path
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:  # noqa: ANN401 (boto3's)
        """A client as the account's root, one for each service."""
        if service not in self.clients:
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
            config = Config(read_timeout=900, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
            self.clients[service] = boto3.client(service, endpoint_url=self.origin, config=config, **keys)
        return self.clients[service]


@contextmanager
def ministack(folder: Path) -> Iterator[MiniStack]:
    """Run MiniStack on a free port, its files below `folder`; all its processes end with it."""
    port = ports.scattered_port()
    scratch = folder / "tmp"
    scratch.mkdir()
    settings = {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_WARM_TTL_SECONDS": "900",
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(scratch),
    }
    log = folder / "ministack.log"
    # A group of its own: its functions are processes that may outlive it.
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", ".ci/ministack"],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = MiniStack(f"http://127.0.0.1:{port}", log)
    try:
        _wait(running, process)
        yield running
    finally:
        for client in running.clients.values():
            client.close()
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _wait(running: MiniStack, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, running.log.read_text(errors="replace")[-2000:]
        try:
            if httpx.get(f"{running.origin}/_ministack/health", trust_env=False).status_code < 500:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(running.log.read_text(errors="replace")[-2000:])
