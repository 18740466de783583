"""A smoke test of a deployment: it answers, refuses and delivers. It changes nothing that a user could see.

Each check is a function that returns what it found, raises `Wrong` where that is wrong, or `Skipped` where it cannot be
made. What is written on the way: a ticket of a minute, a connection that closes, and an event that no rule takes.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import boto3

from autodoctor.operations.console import Refusal
from autodoctor.operations.dead_letters import Account, patient_config, stack_account

_SECONDS: Final = 30.0
_CONNECTED_SECONDS: Final = 30.0
_OUTPUTS: Final = ("ApiUrl", "WebSocketUrl", "EventBusName", "MigrateFunctionName")

type State = Literal["ok", "wrong", "skipped"]


@dataclass(frozen=True)
class Deployment:
    """What is tested.

    Attributes:
        api_url: of API and console.
        feed_url: of the WebSocket API.
        bus: its event bus, by name.
        migrate_function: by name.
        account: its queues.
        events: boto3's client of EventBridge.
        functions: boto3's client of Lambda.
        ringing: the names of its alarms that ring.
    """

    api_url: str
    feed_url: str
    bus: str
    migrate_function: str
    account: Account
    events: Any
    functions: Any
    ringing: Callable[[], list[str]]


@dataclass(frozen=True)
class SmokeOutcome:
    """The outcome of one check: its name, how it ended, and what was found."""

    check: str
    state: State
    found: str


class Wrong(Exception):
    """A check found something else than it should; the message says what."""


class Skipped(Exception):
    """A check cannot be made; the message says what it needs."""


class OutputMissing(Refusal):
    """The stack is not one of template.yaml."""

    def __init__(self, stack: str, name: str) -> None:
        super().__init__(f"the stack {stack} has no output {name}; is it one of template.yaml?")


def stack_deployment(stack: str, region: str | None) -> Deployment:
    """Open a CloudFormation stack with the credentials of the environment. Raises OutputMissing."""
    session = boto3.Session(region_name=region)
    [described] = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    for name in _OUTPUTS:
        if name not in outputs:
            raise OutputMissing(stack, name)
    alarms = session.client("cloudwatch").get_paginator("describe_alarms")

    def ringing() -> list[str]:
        pages = alarms.paginate(AlarmNamePrefix=f"{stack}-", StateValue="ALARM")
        return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]

    api_url, feed_url, bus, migrate_function = (outputs[name] for name in _OUTPUTS)
    functions = session.client("lambda", config=patient_config())
    account = stack_account(stack, region)
    return Deployment(api_url, feed_url, bus, migrate_function, account, session.client("events"), functions, ringing)


def smoke(deployment: Deployment, token: str | None) -> Iterator[SmokeOutcome]:
    """Make every check, one after the other, also after one that went wrong.

    Args:
        deployment: what is tested.
        token: an access token of any user; an admin's shows the schedules too.
    """
    checks: Mapping[str, Callable[[], str]] = {
        "answers": lambda: _answers(deployment),
        "refuses": lambda: _refuses(deployment),
        "schema": lambda: _schema(deployment),
        "bus": lambda: _bus(deployment),
        "dead letters": lambda: _dead_letters(deployment),
        "alarms": lambda: _alarms(deployment),
        "schedules": lambda: _schedules(deployment, token),
        "delivers": lambda: _delivers(deployment, token),
    }
    for name, check in checks.items():
        try:
            yield SmokeOutcome(name, "ok", check())
        except Skipped as skipped:
            yield SmokeOutcome(name, "skipped", str(skipped))
        except Wrong as wrong:
            yield SmokeOutcome(name, "wrong", str(wrong))
        except Exception as failure:  # noqa: BLE001 (the other checks are still to be made; this one has failed)
            yield SmokeOutcome(name, "wrong", f"{type(failure).__name__}: {failure}")


def _answers(deployment: Deployment) -> str:
    described = _json(deployment, "/api/openapi.json")
    plans = _json(deployment, "/api/plans")  # asks the database, as the functions' role
    page = _status(deployment, "GET", "/console/index.html")
    if page != 200:  # noqa: PLR2004 (HTTP)
        raise Wrong(f"the console answers {page}")
    return f"{len(described['paths'])} paths, {len(plans['plans'])} plans, the console"


def _refuses(deployment: Deployment) -> str:
    expected = {
        "no token": (_status(deployment, "GET", "/api/notifications"), (401,)),
        "a forged token": (_status(deployment, "GET", "/api/notifications", {"Authorization": "Bearer x.y.z"}), (401,)),
        "an unsigned webhook": (_status(deployment, "POST", "/api/stripe/webhook"), (400,)),
        "a feed without a ticket": (_handshake(deployment.feed_url), (401, 403)),
    }
    for what, (status, right) in expected.items():
        if status not in right:
            raise Wrong(f"{what}: {status}, not {right[0]}")
    return ", ".join(expected)


def _schema(deployment: Deployment) -> str:
    payload = json.dumps({"check": True}).encode()
    answer = deployment.functions.invoke(FunctionName=deployment.migrate_function, Payload=payload)
    document = json.load(answer["Payload"])
    if "FunctionError" in answer:
        raise Wrong(f"{deployment.migrate_function} failed: {document.get('errorType', answer['FunctionError'])}")
    if document["pending"]:
        raise Wrong(f"not applied: {', '.join(document['pending'])}")
    return "up to date"


def _bus(deployment: Deployment) -> str:
    deployment.events.describe_event_bus(Name=deployment.bus)  # an event for a bus that is gone is accepted too
    entry = {"EventBusName": deployment.bus, "Source": "autodoctor.smoke", "DetailType": "smoke", "Detail": "{}"}
    answer = deployment.events.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise Wrong(f"refused an event: {answer['Entries'][0].get('ErrorCode')}")
    return f"{deployment.bus} takes events"


def _dead_letters(deployment: Deployment) -> str:
    queues = deployment.account.dead_letter_queues()
    if full := [f"{queue.name} {queue.depth}" for queue in queues if queue.depth]:
        raise Wrong(", ".join(full))
    return f"none in {len(queues)} queues"


def _alarms(deployment: Deployment) -> str:
    if ringing := deployment.ringing():
        raise Wrong(", ".join(ringing))
    return "none rings"


def _schedules(deployment: Deployment, token: str | None) -> str:
    if token is None:
        raise Skipped("give --token, an admin's access token")
    try:
        found = _json(deployment, "/api/admin/session-health", token)["schedules"]
    except urllib.error.HTTPError as refused:
        if refused.code == 403:  # noqa: PLR2004 (HTTP)
            raise Skipped("the token is no admin's") from None
        raise
    if ill := [f"{each['name']} {each['state']}" for each in found if each["state"] in ("overdue", "failed")]:
        raise Wrong(", ".join(ill))
    never = sum(each["state"] == "never" for each in found)
    return f"{len(found) - never} ran" + (f", {never} have not been due yet" if never else "")


def _delivers(deployment: Deployment, token: str | None) -> str:
    """Open the feed and ask who we are: the answer comes by queue, function and connection."""
    from websockets.sync.client import connect

    if token is None:
        raise Skipped("give --token, an access token of any user")
    ticket = _json(deployment, "/api/realtime/ticket", token, method="POST")
    if ticket["url"] != deployment.feed_url:
        raise Wrong(f"tickets are for {ticket['url']}, and the feed is at {deployment.feed_url}")
    with connect(f"{ticket['url']}?ticket={ticket['ticket']}", open_timeout=_SECONDS, proxy=None) as feed:
        feed.send(json.dumps({"action": "identify"}))
        while True:
            message = json.loads(feed.recv(timeout=_CONNECTED_SECONDS))
            if message.get("type") == "connected":
                return "ticket, feed, queue, answer"


def _json(deployment: Deployment, path: str, token: str | None = None, *, method: str = "GET") -> Any:  # noqa: ANN401
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with _open(deployment, method, path, headers) as answer:
        return json.load(answer)


def _status(deployment: Deployment, method: str, path: str, headers: Mapping[str, str] | None = None) -> int:
    try:
        with _open(deployment, method, path, headers or {}) as answer:
            status: int = answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    return status


def _open(deployment: Deployment, method: str, path: str, headers: Mapping[str, str]) -> Any:  # noqa: ANN401
    body = b"" if method == "POST" else None
    request = urllib.request.Request(deployment.api_url + path, body, dict(headers), method=method)  # noqa: S310
    return urllib.request.urlopen(request, timeout=_SECONDS)  # noqa: S310 (a URL of the stack's outputs)


def _handshake(feed_url: str) -> int:
    """Return the status that answers an attempt to open the feed."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    try:
        with connect(feed_url, open_timeout=_SECONDS, proxy=None):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code
