"""A push service on this machine, below `PREFIX`: RFC 8030 and 8292 as browsers' push services hold to them.

It takes what is sealed, and cannot open it. A browser here cannot subscribe to it by itself, so pages and tests ask for
an endpoint by `POST /_push/subscriptions`; what came for one is listed by GET at the endpoint.
"""

import base64
import json
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from uuid import UUID

import jwt
from aiohttp import web
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from localcloud.host.json_lines import JsonLines
from localcloud.host.logline import Log, LogLine
from localcloud.host.private_file import private

PREFIX: Final = "/_push"
SECRET: Final = "VAPID_SECRET_ARN"  # noqa: S105 - the name of a variable
_HOSTS: Final = "PUSH_HOSTS"
_SUBSCRIPTIONS: Final = f"{PREFIX}/subscriptions"
_FILE: Final = "push-subscriptions.jsonl"
_SEED: Final = "push-seed"
_MOST_BYTES: Final = 4096
_MOST_TOPIC: Final = 32
_MOST_SECONDS: Final = 24 * 3600


@dataclass(frozen=True)
class Registration:
    """A browser that subscribed: the id in its endpoint, and the only key whose messages it takes."""

    id: str
    key: str


@dataclass(frozen=True)
class HeldMessage:
    """A message as it came, sealed: `topic` is what a newer one replaces it by."""

    topic: str
    ttl_seconds: int
    urgency: str
    body: bytes


@dataclass
class Switches:
    """What goes wrong, for tests: answers to give in place of the next ones, and subscriptions that have ended."""

    answers: list[int] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)


class PushService:
    """The push service; `url` is the origin at which it answers."""

    def __init__(self, data_dir: Path, url: str, log: Log) -> None:
        self.switches = Switches()
        self.taken: list[tuple[str, HeldMessage]] = []
        self._url = url
        self._log = log
        self._folder = data_dir
        self._store = JsonLines(data_dir / _FILE, Registration)
        self._known = {each.id: each for each in self._store.all()}
        self._held: dict[str, dict[str, HeldMessage]] = {}

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """What a function that sends gets: this machine's key, and this push service beside the real ones."""
        return {
            "VAPID_SECRETS": json.dumps({"seed": self._seed()}),
            _HOSTS: f"{variables.get(_HOSTS, '')} {self._url}".strip(),
        }

    def held(self, endpoint: str) -> list[HeldMessage]:
        """What waits for a browser, the oldest first."""
        return list(self._held.get(endpoint.rpartition("/")[2], {}).values())

    def register(self, key: str) -> str:
        """Give out an endpoint for a browser that takes the messages of this key (`applicationServerKey`)."""
        registration = Registration(secrets.token_urlsafe(16), key)
        self._store.add(registration)
        self._known[registration.id] = registration
        return f"{self._url}{_SUBSCRIPTIONS}/{registration.id}"

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request below `PREFIX`."""
        if request.path == _SUBSCRIPTIONS and request.method == "POST":
            asked = json.loads(await request.read())
            return web.json_response({"endpoint": self.register(asked["applicationServerKey"])}, status=201)
        name = request.path.removeprefix(f"{_SUBSCRIPTIONS}/")
        if request.method == "GET":
            return web.json_response([_shown(each) for each in self.held(name)])
        status = self._take(name, request.headers, await request.read())
        self._log(LogLine("push", f"the push service answered {status}", session=_about(request.headers)))
        return web.Response(status=status, headers={"Location": f"{self._url}{PREFIX}/messages/{secrets.token_hex(8)}"})

    def _take(self, name: str, headers: Mapping[str, str], body: bytes) -> int:
        if self.switches.answers:
            return self.switches.answers.pop(0)
        registration = self._known.get(name)
        if registration is None:
            return HTTPStatus.NOT_FOUND
        if name in self.switches.ended:
            return HTTPStatus.GONE
        refused = _refused(headers, body) or self._distrusted(headers.get("Authorization", ""), registration)
        if refused:
            return refused
        topic = headers.get("Topic", secrets.token_hex(8))
        message = HeldMessage(topic, int(headers["TTL"]), headers.get("Urgency", "normal"), body)
        held = self._held.setdefault(name, {})
        held.pop(topic, None)
        held[topic] = message
        self.taken.append((name, message))
        return HTTPStatus.CREATED

    def _distrusted(self, authorization: str, registration: Registration) -> int:
        """The status for a sender who is not the one that the browser subscribed to; 0 for the right one."""
        scheme, _, rest = authorization.partition(" ")
        said = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        if scheme != "vapid" or said.keys() != {"t", "k"}:
            return HTTPStatus.UNAUTHORIZED
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _decoded(said["k"]))
            claims = jwt.decode(said["t"], key, algorithms=["ES256"], audience=self._url)
        except (jwt.InvalidTokenError, ValueError, UnsupportedAlgorithm):
            return HTTPStatus.FORBIDDEN
        fair = claims.get("exp", 0) <= time.time() + _MOST_SECONDS and "sub" in claims
        return 0 if fair and said["k"] == registration.key else HTTPStatus.FORBIDDEN

    def _seed(self) -> str:
        file = self._folder / _SEED
        if not file.exists():
            with open(file, "w", encoding="utf-8", opener=private) as text:
                text.write(secrets.token_hex(32))
        return file.read_text(encoding="utf-8")


def _refused(headers: Mapping[str, str], body: bytes) -> int:
    """The status for a message that is not as RFC 8030 and 8188 have it; 0 for a good one."""
    if not headers.get("TTL", "").isdigit() or headers.get("Content-Encoding") != "aes128gcm":
        return HTTPStatus.BAD_REQUEST
    if len(headers.get("Topic", "")) > _MOST_TOPIC:
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if len(body) > _MOST_BYTES else 0


def _shown(message: HeldMessage) -> dict[str, object]:
    return {
        "topic": message.topic,
        "ttl": message.ttl_seconds,
        "urgency": message.urgency,
        "body": base64.b64encode(message.body).decode(),
    }


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _about(headers: Mapping[str, str]) -> str:
    """What a message is about: its topic is the id of a session, or of a request in the queue."""
    with suppress(ValueError):
        return str(UUID(headers.get("Topic", "")))
    return ""
