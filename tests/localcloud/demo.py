"""`autodoctor demo`: one consultation over HTTP, from intake to its end, and what the server made of it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import psycopg

from localcloud.console import Console, Refusal, one_line
from localcloud.datadir import DataDir, RunningServer
from localcloud.dev import announced, cloud
from localcloud.roster import ROSTER, Person
from localcloud.samples import INTAKE
from localcloud.supervise import signals_raise
from localcloud.system import Options, prepared

TALK_SECONDS = 3
EPHEMERAL_MINIMUM_SECONDS = 2
_MINIMUM = "min_billable_seconds"


class DemoStopped(Refusal):
    """The server did not answer as the demo needs it to."""


@dataclass(frozen=True)
class Caller:
    """Somebody of the roster with an HTTP connection to the API; says what it does."""

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


def run_demo(data_dir: DataDir, say: Callable[[str], None], *, own: bool, minimum_seconds: int | None) -> None:
    """Run one consultation on the running server, or on a system of its own when none runs or `own` is set.

    `minimum_seconds` is the setting min_billable_seconds for the length of the demo. A running server's stays
    as it is unless that is given; a system of our own gets EPHEMERAL_MINIMUM_SECONDS, so that nobody has to
    wait. Raises DemoStopped, and what `system.prepared` raises.
    """
    with contextlib.ExitStack() as stack:
        server = None if own else data_dir.running_server()
        if server is None:
            server = stack.enter_context(_own_server(say))
            minimum_seconds = EPHEMERAL_MINIMUM_SECONDS if minimum_seconds is None else minimum_seconds
        if minimum_seconds is not None:
            stack.enter_context(_minimum(server.owner_url, minimum_seconds))
            say(f"Setting {_MINIMUM} is {minimum_seconds} for this demo, so that it need not last a minute.")
        clients = stack.enter_context(_clients(server, say))
        try:
            session = _consultation(clients, say)
        except httpx.TransportError as error:
            raise DemoStopped(f"the server at {server.api_url} did not answer: {error}") from error
        _report(session, say)


@contextlib.contextmanager
def _own_server(say: Callable[[str], None]) -> Iterator[RunningServer]:
    say("No running server: starting a system of its own, which leaves nothing behind ...")
    quiet = Console(None)
    with (
        signals_raise(),
        prepared(Options(ephemeral=True), quiet) as system,
        cloud(system, quiet) as running,
    ):
        yield announced(system, running)


@contextlib.contextmanager
def _minimum(owner_url: str, seconds: int) -> Iterator[None]:
    """Set the minimum, and put back what was there. Raises DemoStopped where the database goes before."""
    with (
        _gone_named(f"setting {_MINIMUM} may have stayed at {seconds}"),
        psycopg.connect(owner_url, autocommit=True) as connection,
    ):
        before = connection.execute("SELECT value FROM settings WHERE key = %s", [_MINIMUM]).fetchone()
        connection.execute(
            "INSERT INTO settings (key, value) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [_MINIMUM, str(seconds)],
        )
        try:
            yield
        finally:
            if before:
                connection.execute("UPDATE settings SET value = %s WHERE key = %s", [before[0], _MINIMUM])
            else:
                connection.execute("DELETE FROM settings WHERE key = %s", [_MINIMUM])


@contextlib.contextmanager
def _gone_named(consequence: str) -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise DemoStopped(f"the database has gone; {consequence}: {one_line(error)}") from error


@contextlib.contextmanager
def _clients(server: RunningServer, say: Callable[[str], None]) -> Iterator[list[Caller]]:
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


def _consultation(callers: list[Caller], say: Callable[[str], None]) -> dict[str, Any]:
    """Walk one session from intake to its end and return what the API then tells of it."""
    customer = _idle(callers, "customers")
    mechanic = _idle(callers, "mechanics")
    say(f"{customer.person.name} has a problem with a car; {mechanic.person.name} is a mechanic.")
    name = customer.person.name
    intake = customer.call("POST", "/api/intake/start", {**INTAKE, "name": name})
    session = f"/api/sessions/{intake['sessionId']}"
    customer.call("POST", "/api/waiver/submit", {"sessionId": intake["sessionId"], "signedName": name})
    mechanic.call("GET", "/api/mechanic/queue")
    mechanic.call("POST", f"/api/mechanic/assignments/{intake['assignmentId']}/accept")
    customer.call("POST", f"{session}/join")
    mechanic.call("POST", f"{session}/join")
    say(f"  ... they talk for {TALK_SECONDS} s ...")
    time.sleep(TALK_SECONDS)
    mechanic.call("POST", f"{session}/end", {"mechanicNotes": "New brake pads, soon."})
    return customer.call("GET", session)


def _idle(callers: list[Caller], group: str) -> Caller:
    role = group.removesuffix("s")
    for caller in callers:
        if caller.person.group == group and caller.person.workshop_id is None:
            active = caller.http.get(f"/api/{role}/active-session")
            if active.is_success and active.json()["session"] is None:
                return caller
    raise DemoStopped(f"every one of the {group} is in a session; end one, or `autodoctor demo --ephemeral`")


def _report(session: dict[str, Any], say: Callable[[str], None]) -> None:
    """Print the timeline and the outcome."""
    begin = datetime.fromisoformat(session["createdAt"])
    say("\n  seconds  event                      by")
    for event in session["timeline"]:
        offset = (datetime.fromisoformat(event["at"]) - begin).total_seconds()
        say(f"  {offset:7.3f}  {event['event']:<25}  {event['actor']}")
    say(f"\nOutcome: {session['status']} ({session['reason']}), {session['durationSeconds']} s together.")
    if session["reason"] == "too_short":
        say("A talk has to last longer to count. `autodoctor demo --billable-after 2` lowers that setting for")
        say("the length of the demo; `autodoctor demo --ephemeral` uses a system of its own.")
