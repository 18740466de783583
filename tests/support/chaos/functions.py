"""The functions as several equal processes, any of which may be killed with SIGKILL at any moment.

`python functions.py LISTENER LIFELINE PROCESSES SEED` loads every handler once and then forks: a child that was killed
is replaced in milliseconds, so that a run can afford thousands of kills. All children wait on one listening socket;
each takes one request at a time, as in Lambda: `POST /NAME` with the event as JSON, or Stripe's webhooks to
`/stripe/platform` and `/stripe/connect`. Each line of the lifeline sets the average seconds between two kills, 0 for
none; its end ends everything. Stdout gets `ready`, then a line for every kill; stderr gets the logs of the functions.

A header X-Die-Before: N makes the process kill itself before its N-th step from now, counted from 0: a statement, the
end of a transaction, a call of Stripe's, the answer.
"""

import base64
import importlib.util
import json
import mmap
import os
import random
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import psycopg
import stripe
from aws_lambda_powertools.utilities.typing import LambdaContext

FUNCTIONS: Final = Path(__file__).parents[3] / "functions"
NAMES: Final = (
    *("accept", "checkout", "connect", "end_session", "expire_orphans", "intake", "payouts", "presence", "settle"),
    *("admin", "quotes", "stripe_webhook", "waiver"),
)
WEBHOOKS: Final = {
    "/stripe/platform": "POST /api/stripe/webhook",
    "/stripe/connect": "POST /api/stripe/connect-webhook",
}
INVOCATION_SECONDS: Final = 60.0
LOOK_AFTER_SECONDS: Final = 0.02
READY: Final = b"ready\n"
HEARD: Final = b"heard\n"
"""From here on no process is killed that the rate before would have killed."""

type Handler = Callable[[Mapping[str, Any], LambdaContext], Any]


class Context(LambdaContext):
    """The context of an invocation that has so much time from now."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._function_name = "function"
        self._function_version = "$LATEST"
        self._invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
        self._memory_limit_in_mb = 256
        self._aws_request_id = "chaos"

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override] # a static method that says 0
        """The milliseconds left."""
        return int((self._until - time.monotonic()) * 1000)


def load(name: str) -> Handler:
    """The handler of a function, as Lambda would import it."""
    spec = importlib.util.spec_from_file_location(f"function_{name}", FUNCTIONS / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler


class Steps:
    """Counts what this process does to the world, and dies before the step that it is told."""

    left: int | None = None

    @classmethod
    def take(cls) -> None:
        """Before a step."""
        if cls.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if cls.left is not None:
            cls.left -= 1

    @classmethod
    def count(cls) -> None:
        """Have every connection and every client of Stripe's take steps from now on."""
        execute, transaction = psycopg.Connection.execute, psycopg.Connection.transaction
        request = stripe.RequestsClient.request_with_retries

        def executed(self: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            cls.take()
            return execute(self, *arguments, **options)

        @contextmanager
        def in_transaction(self: Any, *arguments: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401
            with transaction(self, *arguments, **options) as opened:
                yield opened
                cls.take()

        def requested(self: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            cls.take()
            return request(self, *arguments, **options)

        psycopg.Connection.execute = executed  # type: ignore[method-assign]
        psycopg.Connection.transaction = in_transaction  # type: ignore[method-assign]
        stripe.RequestsClient.request_with_retries = requested  # type: ignore[method-assign]


class Invocation(BaseHTTPRequestHandler):
    """One request, one answer."""

    handlers: Mapping[str, Handler]

    def do_POST(self) -> None:
        """Invoke a function, or hand a webhook to its route."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        die_before = self.headers.get("X-Die-Before")
        Steps.left = None if die_before is None else int(die_before)
        name, event = self._event(body)
        try:
            answer = self.handlers[name](event, Context(INVOCATION_SECONDS))
            status = answer["statusCode"] if self.path in WEBHOOKS else 200
        except Exception as failure:  # noqa: BLE001 (what Lambda reports of a failed invocation)
            status, answer = 502, {"errorType": type(failure).__name__, "errorMessage": str(failure)}
        Steps.take()
        Steps.left = None
        text = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _event(self, body: bytes) -> tuple[str, dict[str, Any]]:
        if self.path not in WEBHOOKS:
            return self.path.removeprefix("/"), json.loads(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        route = WEBHOOKS[self.path]
        return "stripe_webhook", {
            "version": "2.0",
            "routeKey": route,
            "requestContext": {"requestId": "chaos", "routeKey": route},
            "headers": headers,
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }


def serve(listener: socket.socket, lifeline: int, busy: mmap.mmap, place: int) -> None:
    """Take requests one after the other until the parent has gone."""
    doors: list[socket.socket | int] = [listener, lifeline]
    while lifeline not in select.select(doors, [], [])[0]:
        try:
            connection, address = listener.accept()
        except BlockingIOError:  # another child was faster
            continue
        busy[place] = 1
        with connection:
            connection.setblocking(True)  # noqa: FBT003 (its name)
            Invocation(connection, address, None)  # type: ignore[arg-type] # no server behind it
        busy[place] = 0


class WorkerGroup:
    """The parent of the children, which kills one now and then and replaces whoever is gone."""

    def __init__(self, listener: socket.socket, lifeline: int, processes: int, chance: random.Random) -> None:
        self._listener = listener
        self._lifeline = lifeline
        self._chance = chance
        self._every = 0.0
        self._kills = os.dup(1)
        os.dup2(2, 1)  # what functions log
        self._alive_read, self._alive_write = os.pipe()  # its end tells the children that the parent has gone
        self._busy = mmap.mmap(-1, processes)
        self._places = {self._fork(place): place for place in range(processes)}
        os.write(self._kills, READY)

    def _fork(self, place: int) -> int:
        self._busy[place] = 0
        child = os.fork()
        if child == 0:
            os.close(self._alive_write)
            serve(self._listener, self._alive_read, self._busy, place)
            os._exit(0)
        return child

    def run(self) -> None:
        """Kill and replace until the lifeline ends."""
        while True:
            pause = self._chance.expovariate(1 / self._every) if self._every else None
            if self._told_within(pause):
                told = os.read(self._lifeline, 100)
                if not told:
                    return
                self._every = float(told.split()[-1])
                os.write(self._kills, HEARD)
            else:
                self._kill()

    def _told_within(self, pause: float | None) -> bool:
        """Whether there is news on the lifeline before so many seconds are over; meanwhile the dead are replaced."""
        until = None if pause is None else time.monotonic() + pause
        while until is None or time.monotonic() < until:
            left = LOOK_AFTER_SECONDS if until is None else min(LOOK_AFTER_SECONDS, max(0.0, until - time.monotonic()))
            if select.select((self._lifeline,), (), (), left)[0]:
                return True
            while (gone := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                self._replace(gone, b"itself\n")
        return False

    def _replace(self, gone: int, why: bytes) -> None:
        place = self._places.pop(gone)
        self._places[self._fork(place)] = place
        os.write(self._kills, why)

    def _kill(self) -> None:
        """Kill a child, one that is at work where there is any."""
        at_work = [child for child, place in self._places.items() if self._busy[place]]
        child = self._chance.choice(at_work or list(self._places))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self._replace(child, b"busy\n" if at_work else b"idle\n")


def main() -> None:
    """Load, fork and stay."""
    listener, lifeline, processes = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    listener.setblocking(False)  # noqa: FBT003 (its name)
    Invocation.handlers = {name: load(name) for name in NAMES}
    Steps.count()
    WorkerGroup(listener, lifeline, processes, random.Random(sys.argv[4])).run()


if __name__ == "__main__":
    main()
