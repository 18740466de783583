"""Calls the functions of functions.py like a client that tries again when nobody answers."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

HOST: Final = Path(__file__).with_name("functions.py")
PATIENCE_SECONDS: Final = 90.0
_AGAIN: Final = frozenset({"payments-unavailable", "session-busy"})

type Document = dict[str, Any]


class FunctionFailed(Exception):
    """A function answered what it never should, or nobody answered for too long."""


class Pool:
    """Running functions.

    Attributes:
        url: where Stripe's webhooks go (`/stripe/platform` and `/stripe/connect` below it).
        dropped: how many calls ended without an answer.
        answers: how often each status was answered to clients.
    """

    def __init__(self, port: int, lifeline: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.dropped = 0
        self.kills = Counter[str]()
        self.answers = Counter[str]()
        self._port = port
        self._lifeline = lifeline
        self._heard = threading.Semaphore(0)

    def kill_every(self, seconds: float) -> None:
        """Have a process killed every so many seconds on average from now on, 0 for never. Raises FunctionFailed."""
        os.write(self._lifeline, f"{seconds}\n".encode())
        if not self._heard.acquire(timeout=PATIENCE_SECONDS):
            raise FunctionFailed("nobody takes the rate of kills")

    def told(self, line: str) -> None:
        """Take what the processes' parent says: why one had to be replaced, or that it has heard of a new rate."""
        if line.strip() == "heard":
            self._heard.release()
        else:
            self.kills[line.strip()] += 1

    def invoke(self, name: str, event: Mapping[str, Any], die_before: int | None = None) -> Document | None:
        """Invoke once; None where the process was killed, by chance or before that step. Raises FunctionFailed."""
        status, document = self.post(name, json.dumps(event), {}, die_before)
        if status not in (0, 200):
            raise FunctionFailed(f"{name}: {document}")
        return document

    def post(
        self, path: str, body: str, headers: Mapping[str, str], die_before: int | None = None
    ) -> tuple[int, Document | None]:
        """Send one request; status 0 where nobody answered."""
        told = {**headers, **({} if die_before is None else {"X-Die-Before": str(die_before)})}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", f"/{path}", body.encode(), told)
            answer = connection.getresponse()
            document: Document = json.loads(answer.read())
        except (http.client.HTTPException, ConnectionError):
            self.dropped += 1
            return 0, None
        finally:
            connection.close()
        return answer.status, document

    def call(  # noqa: PLR0913 (each part of a request)
        self,
        name: str,
        route: str,
        user_id: UUID,
        group: str,
        *,
        body: Document | None = None,
        path: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        die_before: int | None = None,
    ) -> tuple[int, Document]:
        """Call a route as somebody, and again while nobody answers or we are asked to come again.

        Raises FunctionFailed, also for an answer of 500.
        """
        caller = {"sub": str(user_id), "token_use": "access", "cognito:groups": f"[{group}]"}
        event = {
            "version": "2.0",
            "routeKey": route,
            "requestContext": {"requestId": "chaos", "routeKey": route, "authorizer": {"jwt": {"claims": caller}}},
            "headers": dict(headers or {}),
            "isBase64Encoded": False,
            "body": json.dumps(body or {}),
            "pathParameters": dict(path or {}),
        }
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            answer = self.invoke(name, event, die_before)
            die_before = None  # once is enough
            if answer is None:
                continue
            status, document = answer["statusCode"], json.loads(answer["body"])
            slug = str(document.get("type", "")).rpartition("/")[2]
            self.answers[f"{status} {slug}".strip()] += 1
            if status >= 500 and slug not in _AGAIN:
                raise FunctionFailed(f"{route}: {status} {document}")
            if slug not in _AGAIN:
                return status, document
            time.sleep(0.1)
        raise FunctionFailed(f"{route}: no answer in {PATIENCE_SECONDS} s")


@contextmanager
def running_functions(environment: Mapping[str, str], processes: int, seed: object, log: Path) -> Iterator[Pool]:
    """Run so many processes; what they log goes to a file."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener, log.open("ab") as errors:
        ends, lifeline = os.pipe()
        command = [sys.executable, str(HOST), *map(str, (listener.fileno(), ends, processes, seed))]
        host = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            pass_fds=(listener.fileno(), ends),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        os.close(ends)
        pool = Pool(listener.getsockname()[1], lifeline)
        assert host.stdout is not None
        if not host.stdout.readline():
            os.close(lifeline)
            host.stdout.close()
            raise FunctionFailed(f"the functions do not start: {host.wait()}, {log.read_text()[-1000:]}")
        counting = threading.Thread(target=_count, args=(host.stdout, pool), daemon=True)
        counting.start()
        try:
            yield pool
        finally:
            os.close(lifeline)
            host.wait()
            counting.join()
            host.stdout.close()


def _count(lines: Any, pool: Pool) -> None:  # noqa: ANN401 (a text stream)
    for line in lines:
        pool.told(line)
