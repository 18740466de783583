"""AWS's JSON protocol: the action in `X-Amz-Target`, parameters and answer as JSON, errors by type.

A request must carry a signature of version 4, by any key.
"""

import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from localcloud.services.causes import noted

type Parameters = Mapping[str, object]
type Action = Callable[[Parameters], Awaitable[Mapping[str, object]]]

_LARGEST_BODY_BYTES = 8 * 1024 * 1024  # a message of 1 MiB, as JSON
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/\s]+/\d{8}/[a-z0-9-]+/(?P<service>[a-z-]+)/aws4_request, ?"
    r"SignedHeaders=[a-z0-9;-]+, ?Signature=[0-9a-f]{64}"
)


class AwsError(Exception):
    """An error answer of the service; `query_code` is its older name, which some SDKs show."""

    def __init__(self, code: str, message: str, *, status: int = 400, query_code: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.query_code = query_code


@dataclass(frozen=True)
class Protocol:
    """The protocol of one service.

    Attributes:
        signing_name: the service name in the signature's scope.
        target_prefix: the prefix of the action in `X-Amz-Target`.
        version: of the JSON protocol, `1.0` or `1.1`.
        namespace: the prefix of an error's type.
    """

    signing_name: str
    target_prefix: str
    version: str
    namespace: str = ""


class JsonService:
    """Answers HTTP requests with a service's actions, by name."""

    def __init__(self, protocol: Protocol, actions: Mapping[str, Action]) -> None:
        self._protocol = protocol
        self._actions = actions

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        noted(request.headers)
        try:
            check_signature(request, self._protocol.signing_name)
            action = self._action(request.headers.get("X-Amz-Target", ""))
            answer = await action(_parameters(await read_body(request)))
        except AwsError as error:
            return self._refusal(error)
        return self._response(200, answer)

    def _action(self, target: str) -> Action:
        prefix, _, name = target.rpartition(".")
        if prefix != self._protocol.target_prefix or name not in self._actions:
            raise AwsError("UnknownOperationException", f"The operation {name or target!r} is not known here.")
        return self._actions[name]

    def _refusal(self, error: AwsError) -> web.Response:
        answer = {"__type": self._protocol.namespace + error.code, "message": str(error)}
        response = self._response(error.status, answer)
        if error.query_code:
            response.headers["x-amzn-query-error"] = f"{error.query_code};Sender"
        return response

    def _response(self, status: int, answer: Mapping[str, object]) -> web.Response:
        return web.Response(
            status=status,
            body=json.dumps(answer).encode(),
            headers={
                "content-type": f"application/x-amz-json-{self._protocol.version}",
                "x-amzn-requestid": str(uuid.uuid4()),
            },
        )


def check_signature(request: web.BaseRequest, service: str) -> None:
    """Raise AwsError unless the request looks signed for the service."""
    header = request.headers.get("Authorization", "")
    if not header:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token", status=403)
    match = _SIGNATURE.fullmatch(header)
    if match is None:
        raise AwsError("IncompleteSignatureException", "Authorization header is not a signature of version 4.")
    if match["service"] != service:
        reason = f"Credential should be scoped to correct service: '{service}'."
        raise AwsError("InvalidSignatureException", reason, status=403)


async def read_body(request: web.BaseRequest) -> bytes:
    """Read a request's body, beyond the 1 MiB of `request.read`. Raises AwsError."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_BODY_BYTES:
            raise AwsError("RequestEntityTooLarge", "The request is too large.", status=413)
    return bytes(body)


def _parameters(body: bytes) -> Parameters:
    try:
        parsed = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", "The request is not JSON.") from error
    if not isinstance(parsed, dict):
        raise AwsError("SerializationException", "The request is not a JSON object.")
    return parsed


def text(parameters: Parameters, name: str, default: str | None = None) -> str:
    """Return a string parameter. Raises AwsError when it is of another type, or missing with no default."""
    value = parameters.get(name, default)
    if value is None:
        raise AwsError("MissingParameter", f"The request must contain the parameter {name}.")
    if not isinstance(value, str):
        raise AwsError("SerializationException", f"{name} is not a string.")
    return value


def number(parameters: Parameters, name: str, least: int, most: int) -> int | None:
    """Return a whole number within bounds, None when it is missing. Raises AwsError."""
    value = parameters.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        reason = f"Value {value} for parameter {name} is invalid. Reason: Must be between {least} and {most}."
        raise AwsError("InvalidParameterValue", reason)
    return value


def objects(parameters: Parameters, name: str) -> list[Parameters]:
    """Return a list of objects, empty when it is missing. Raises AwsError."""
    value = parameters.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise AwsError("SerializationException", f"{name} is not a list of objects.")
    return value
