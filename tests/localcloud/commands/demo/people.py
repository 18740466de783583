"""The people in a demo, each with an HTTP connection."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from autodoctor.operations.console import Refusal
from localcloud.host.datadir import RunningServer
from localcloud.identity.roster import ROSTER, Person


class DemoStopped(Refusal):
    """The server's answer does not let the demo go on."""


@dataclass(frozen=True)
class Caller:
    """One person of the roster with an HTTP connection to the API; prints its calls."""

    person: Person
    http: httpx.Client
    say: Callable[[str], None]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make one call and return its answer. Raises DemoStopped unless it succeeded."""
        started = time.monotonic()
        response = self.http.request(method, path, json=body)
        milliseconds = (time.monotonic() - started) * 1000
        self.say(f"  {self.person.name:<14} {method:<4} {path:<75} {response.status_code} {milliseconds:6.0f} ms")
        if response.is_error:
            raise DemoStopped(f"{method} {path} answered {response.status_code}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    def get(self, path: str) -> dict[str, Any]:
        """Make a GET call without printing it, for polling. Raises DemoStopped unless it succeeded."""
        response = self.http.get(path)
        if response.is_error:
            raise DemoStopped(f"GET {path} answered {response.status_code}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer


@contextlib.contextmanager
def callers(server: RunningServer, say: Callable[[str], None]) -> Iterator[list[Caller]]:
    """Everybody of the roster."""
    with contextlib.ExitStack() as stack:
        yield [
            Caller(
                person,
                stack.enter_context(
                    httpx.Client(
                        base_url=server.api_url,
                        headers={"Authorization": f"Bearer {server.tokens[person.key]}"},
                        timeout=30,
                        trust_env=False,
                    )
                ),
                say,
            )
            for person in ROSTER
        ]


def idle(callers: list[Caller], group: str) -> Caller:
    """The first person of a group who is in no session. Raises DemoStopped."""
    role = group.removesuffix("s")
    for caller in callers:
        if caller.person.group == group and caller.person.workshop_id is None:
            active = caller.http.get(f"/api/{role}/active-session")
            if active.is_success and active.json()["session"] is None:
                return caller
    raise DemoStopped(f"every one of the {group} is in a session; end one, or `autodoctor demo --ephemeral`")
