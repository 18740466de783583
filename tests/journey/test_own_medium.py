"""The README's function behind LiveKit's webhook: what it puts on the bus counts as the medium's word."""

import base64
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from support.account import Account
from support.account_settings import AccountSettings
from support.wait import wait_until

README = Path(__file__).parents[2] / "README.md"

type Handler = Callable[[dict[str, Any], None], dict[str, Any]]


class ReceiverOfLiveKit:
    """`WebhookReceiver` of livekit-api 1.2, but for the signature: LiveKit's JSON, under its fields' names."""

    def __init__(self, _verifier: object) -> None:
        pass

    @staticmethod
    def receive(body: str, _token: str) -> SimpleNamespace:
        said = json.loads(body)
        return SimpleNamespace(
            event=said["event"],
            room=SimpleNamespace(name=said["room"]["name"]),
            participant=SimpleNamespace(identity=said["participant"]["identity"]),
            created_at=int(said["createdAt"]),  # protobuf's JSON writes an int64 as a text; seconds
        )


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    return AccountSettings(evidence="witnessed")


@pytest.fixture
def handler(account: Account, monkeypatch: pytest.MonkeyPatch) -> Handler:
    """Give the example of the README, as somebody would deploy it."""
    api = ModuleType("livekit.api")
    api.__dict__.update(WebhookReceiver=ReceiverOfLiveKit, TokenVerifier=lambda *_: None)
    package = ModuleType("livekit")
    package.__dict__["api"] = api
    monkeypatch.setitem(sys.modules, "livekit", package)
    environment = {
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "secret",
        "BUS": account.cloud.stack.functions["CallFunction"].environment["EVENT_BUS_NAME"],
        "AWS_ENDPOINT_URL_EVENTBRIDGE": f"{account.cloud.api_url}/_aws/events",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (example,) = re.findall(
        r"```python\n(import base64\n.*?livekit.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    made: dict[str, Any] = {}
    exec(compile(example, str(README), "exec"), made)  # noqa: S102 (the documentation is the subject)
    found: Handler = made["handler"]
    return found


def webhook(event: str, session_id: UUID, role: str, at: datetime) -> dict[str, Any]:
    """A request of LiveKit's, as API Gateway gives it: its content type is one that passes in base64."""
    said = {
        "event": event,
        "room": {"sid": "RM_1", "name": str(session_id)},
        "participant": {"sid": "PA_1", "identity": role, "state": "ACTIVE"},
        "id": "EV_1",
        "createdAt": str(int(at.timestamp())),
    }
    body = base64.b64encode(json.dumps(said).encode()).decode()
    return {"headers": {"authorization": "signed"}, "body": body, "isBase64Encoded": True}


def test_the_readmes_function_for_livekit_is_heard(account: Account, handler: Handler) -> None:
    mechanic = account.world.mechanic()
    session_id = account.world.waiting(mechanic).session_id
    accepted = datetime.now(UTC) - timedelta(seconds=60)
    account.world.let_time_pass(90)
    for role in ("customer", "mechanic"):
        assert handler(webhook("participant_joined", session_id, role, accepted), None) == {"statusCode": 200}
        assert handler(webhook("track_published", session_id, role, accepted), None) == {"statusCode": 200}
        left = accepted + timedelta(seconds=50)
        assert handler(webhook("participant_left", session_id, role, left), None) == {"statusCode": 200}

    def lasted() -> dict[tuple[str, str], float]:
        intervals = account.admin().get(f"/api/sessions/{session_id}")["evidence"]["intervals"]
        instants = datetime.fromisoformat
        return {
            (each["role"], each["source"]): (instants(each["until"]) - instants(each["from"])).total_seconds()
            for each in intervals
            if each["until"]
        }

    wait_until(lambda: lasted() == {("customer", "medium"): 50, ("mechanic", "medium"): 50})
