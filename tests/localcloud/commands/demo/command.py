"""`autodoctor demo`: one consultation over HTTP, from intake to its end, and its timeline."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import httpx
import psycopg

from autodoctor.operations.console import Console, one_line
from localcloud.commands.demo.money import Till
from localcloud.commands.demo.people import Caller, DemoStopped, callers, idle
from localcloud.commands.demo.talk import TALK_SECONDS, evidence, talk
from localcloud.commands.dev import announced, cloud
from localcloud.commands.samples import INTAKE
from localcloud.commands.system import Options, prepared
from localcloud.database.borrowed_setting import borrowed_setting
from localcloud.host.datadir import DataDir, RunningServer
from localcloud.host.supervise import signals_raise

EPHEMERAL_MINIMUM_SECONDS = 2
_MINIMUM = "min_billable_seconds"
_GRACE = "evidence_grace_seconds"
_HOLD = "payout_hold_hours"


type Pay = Literal["free", "card", "credit"]
type Outcome = Literal["completed", "cancelled"]


@dataclass(frozen=True)
class Story:
    """The course of the demo.

    Attributes:
        pay: how the session is paid.
        outcome: completed: they talk; cancelled: the customer cancels before anybody has accepted.
        minimum_seconds: the setting min_billable_seconds during the demo. None leaves a running server's as it is, and
            means EPHEMERAL_MINIMUM_SECONDS on a system of our own, so that nobody has to wait.
        video: whether they hold a call instead of writing.
    """

    pay: Pay = "free"
    outcome: Outcome = "completed"
    minimum_seconds: int | None = None
    video: bool = False


def run_demo(data_dir: DataDir, say: Callable[[str], None], story: Story, *, own: bool) -> None:
    """Run one consultation on the running server, or on a new system when none runs or `own` is set.

    Raises DemoStopped, and the errors of `system.prepared`.
    """
    with contextlib.ExitStack() as stack:
        server = None if own else data_dir.running_server()
        minimum_seconds = story.minimum_seconds
        if server is None:
            server = stack.enter_context(_own_server(say))
            minimum_seconds = EPHEMERAL_MINIMUM_SECONDS if minimum_seconds is None else minimum_seconds
        if minimum_seconds is not None:
            stack.enter_context(_setting(server.owner_url, _MINIMUM, minimum_seconds))
            say(f"Setting {_MINIMUM} is {minimum_seconds} during this demo, so that it need not last a minute.")
        elif story.outcome == "completed":
            _warn(server.owner_url, story.pay, say)
        if story.pay != "free":
            stack.enter_context(_setting(server.owner_url, _GRACE, 0))
            say(f"Setting {_GRACE} is 0 during this demo, so that settlement need not wait for late evidence.")
            stack.enter_context(_setting(server.owner_url, _HOLD, 0))
            say(f"Setting {_HOLD} is 0 during this demo, so that the payout need not wait for a contest.")
        people = stack.enter_context(callers(server, say))
        till = None if story.pay == "free" else Till(server, story.pay, say)
        try:
            session = _consultation(people, story, till, say)
            _report(session, say)
            if till is not None:
                till.settled(session["sessionId"])
        except httpx.TransportError as error:
            raise DemoStopped(f"the server at {server.api_url} did not answer: {error}") from error


@contextlib.contextmanager
def _own_server(say: Callable[[str], None]) -> Iterator[RunningServer]:
    say("No server is running: starting a temporary system ...")
    quiet = Console(None)
    with (
        signals_raise(),
        prepared(Options(ephemeral=True), quiet) as system,
        cloud(system, quiet) as running,
    ):
        yield announced(system, running)


@contextlib.contextmanager
def _setting(owner_url: str, name: str, value: int) -> Iterator[None]:
    """Set a setting, and restore it at the end. Raises DemoStopped when the database ends first."""
    with (
        _gone_named(f"setting {name} may have stayed at {value}"),
        borrowed_setting(owner_url, name, str(value)),
    ):
        yield


def _warn(owner_url: str, pay: Pay, say: Callable[[str], None]) -> None:
    """Print a warning when the talk will be too short to count. Raises DemoStopped when the database has ended."""
    with _gone_named("no session was requested"), psycopg.connect(owner_url, autocommit=True) as connection:
        row = connection.execute("SELECT min_billable_seconds()").fetchone()
    minimum = row[0] if row else 0
    if minimum > TALK_SECONDS:
        back = "" if pay == "free" else ", and the payment is refunded"
        say(f"A talk counts here after {minimum} s, and this one lasts {TALK_SECONDS}: it ends cancelled{back}.")
        say(f"`--billable-after {EPHEMERAL_MINIMUM_SECONDS}` lowers that during the demo, and it is completed.")


@contextlib.contextmanager
def _gone_named(consequence: str) -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise DemoStopped(f"the database has gone; {consequence}: {one_line(error)}") from error


def _consultation(people: list[Caller], story: Story, till: Till | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Walk one session from intake to its end and return it as the API shows it then."""
    customer = idle(people, "customers")
    mechanic = idle(people, "mechanics")
    name = customer.person.name
    say(f"{name} has a problem with a car; {mechanic.person.name} is a mechanic.")
    body = {**INTAKE, "name": name}
    if till is None:
        session_id = customer.call("POST", "/api/intake/start", body)["sessionId"]
    else:
        till.onboard(mechanic)
        session_id = till.intake(customer, body)
    signed = customer.call("POST", "/api/waiver/submit", {"sessionId": session_id, "signedName": name})
    session = f"/api/sessions/{session_id}"
    if story.outcome == "cancelled":
        say(f"  ... {name} changes their mind ...")
        customer.call("POST", f"{session}/end")
    else:
        mechanic.call("GET", "/api/mechanic/queue")
        mechanic.call("POST", f"/api/mechanic/assignments/{signed['assignmentId']}/accept")
        talk(customer, mechanic, session, say, video=story.video)
    return customer.call("GET", session)


def _report(session: dict[str, Any], say: Callable[[str], None]) -> None:
    """Print the timeline and the outcome."""
    begin = datetime.fromisoformat(session["createdAt"])
    say("\n  seconds  event                      by")
    for event in session["timeline"]:
        offset = (datetime.fromisoformat(event["at"]) - begin).total_seconds()
        say(f"  {offset:7.3f}  {event['event']:<25}  {event['actor']}")
    for line in evidence(session):
        say(line)
    together = session["durationSeconds"]
    say(
        f"\nOutcome: {session['status']} ({session['reason']})"
        + (f", {together} s together." if together is not None else ".")
    )
    if session["reason"] == "too_short":
        say("A talk has to last longer to count. `autodoctor demo --billable-after 2` lowers that setting during")
        say("the demo; `autodoctor demo --ephemeral` uses a temporary system.")
