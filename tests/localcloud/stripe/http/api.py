"""One request to the API: key, faults, parameters, idempotency, operation, answer."""

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from localcloud.host.logline import Log, LogLine, session_named
from localcloud.stripe.http import forms, multipart_form, params, routes
from localcloud.stripe.http.errors import ApiError, Json
from localcloud.stripe.http.faults import Fault, Faults
from localcloud.stripe.http.idempotency import Attempt, Keys, Stored, attempt
from localcloud.stripe.http.lists import expanded
from localcloud.stripe.http.routes import Route
from localcloud.stripe.state.state import API_VERSION, Call, State

_LARGEST_BODY_BYTES: Final = 6 * 1024 * 1024
"""Above the largest file that any purpose takes, so that it is the file that is refused."""
_BROKEN: Final = "An unknown error occurred"
_TEST_KEY: Final = "sk_test_"
_WAIT_CHECK_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Incoming:
    """A parsed request."""

    request_id: str
    method: str
    path: str
    query: str
    body: bytes
    content_type: str
    authorization: str
    account: str
    key: str

    @property
    def given(self) -> Json:
        """Its parameters. Raises ApiError."""
        if self.method != "POST":
            return forms.decode(self.query)
        if self.content_type.startswith(multipart_form.MULTIPART):
            return multipart_form.decode(self.content_type, self.body)
        return forms.decode(self.body.decode(errors="replace"))


@dataclass(frozen=True)
class Outgoing:
    """An answer, and whether it repeats an earlier one."""

    stored: Stored
    replayed: bool = False


class HangUp(Exception):
    """The connection ends without an answer."""


class Api:
    """Answers a Stripe SDK's requests."""

    def __init__(self, state: State, faults: Faults, log: Log) -> None:
        self._state = state
        self._faults = faults
        self._keys = Keys(state)
        self._log = log
        self._typed: set[str] = set()

    async def serve(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one request; `path` begins with `/v1`."""
        incoming = await _read(request, path, self._state.new_id("req_"))
        headers = {"Request-Id": incoming.request_id, "Stripe-Version": API_VERSION, "Cache-Control": "no-store"}
        if incoming.account:
            headers["Stripe-Account"] = incoming.account
        if incoming.key:
            headers["Idempotency-Key"] = incoming.key
        try:
            outgoing = await self._answer(incoming)
        except ApiError as error:
            outgoing = Outgoing(_refusal(incoming, error))
        except HangUp:
            self._log(LogLine("stripe", f"{incoming.method} {path}", "hung up", None, incoming.request_id))
            if request.transport is not None:  # None when the caller has disconnected
                request.transport.abort()
            return web.Response(status=500)
        if outgoing.replayed:
            headers |= {"Idempotent-Replayed": "true", "Original-Request": outgoing.stored.request_id}
        status = outgoing.stored.status
        if status >= 500:
            headers["Stripe-Should-Retry"] = "false" if incoming.key and status == 500 else "true"
        about = session_named(body := outgoing.stored.body.encode())
        self._log(LogLine("stripe", f"{incoming.method} {path}", str(status), None, incoming.request_id, session=about))
        return web.Response(status=status, body=body, headers=headers, content_type="application/json")

    async def _answer(self, incoming: Incoming) -> Outgoing:
        account = self._authenticated(incoming)
        found = routes.find(incoming.method, incoming.path)
        if found is None:
            message = f"Unrecognized request URL ({incoming.method}: {incoming.path})."
            raise ApiError(f"{message} Please see https://stripe.com/docs", status=404, began=False)
        fault = self._faults.choose(incoming.method, incoming.path)
        if fault is not None:
            _refuse(fault)
        route, ids = found
        given = incoming.given
        typed = await self._checked(route, given)
        call = Call(typed, ids, account, incoming.request_id, incoming.key or None)
        if incoming.method == "GET" or not incoming.key:
            return Outgoing(await self._under(fault, lambda: self._perform(route, call, None, fault)))
        return await self._once(route, call, given, fault, incoming)

    async def _once(self, route: Route, call: Call, given: Json, fault: Fault | None, incoming: Incoming) -> Outgoing:
        """Perform a request under its key, or repeat the key's first answer."""
        tried = attempt(call.account, incoming.key, incoming.path, given)
        if earlier := self._keys.begin(tried):
            return Outgoing(earlier, replayed=True)
        try:
            return Outgoing(await self._under(fault, lambda: self._perform(route, call, tried, fault)))
        finally:
            self._keys.end(tried)

    async def _under(self, fault: Fault | None, perform: Callable[[], Stored]) -> Stored:
        """Wait before or after the operation, as the fault says. Raises HangUp."""
        if fault is None:
            return perform()
        if fault.mode in ("timeout", "slow"):
            await _wait(fault)
        if fault.mode in ("timeout", "cut"):
            raise HangUp
        stored = perform()
        if fault.mode == "timeout_after":
            await _wait(fault)
        if fault.mode in ("timeout_after", "cut_after"):
            raise HangUp
        return stored

    def _perform(self, route: Route, call: Call, tried: Attempt | None, fault: Fault | None) -> Stored:
        """Act and keep the answer, in one transaction. Raises ApiError for a request refused before it began."""
        assert call.request_id is not None
        with self._state.store.lock:
            self._state.request = (call.request_id, call.idempotency_key)
            try:
                with self._state.store.transaction():
                    stored = _broken(call) if fault and fault.mode == "error" else self._act(route, call)
                    if fault and fault.mode == "error_after":
                        stored = _broken(call)
                    self._keep(tried, stored)
            except ApiError as error:
                if not error.began:
                    raise
                stored = Stored(error.status, _text(error.body(call.request_id)), call.request_id)
                with self._state.store.transaction():
                    self._keep(tried, stored)
            finally:
                self._state.request = (None, None)
        return stored

    def _act(self, route: Route, call: Call) -> Stored:
        body = expanded(self._state, route.operation(self._state, call), call.params.get("expand", ()))
        assert call.request_id is not None
        return Stored(200, _text(self._state.shown(body)), call.request_id)

    def _keep(self, tried: Attempt | None, stored: Stored) -> None:
        if tried is not None:
            self._keys.prune()
            self._keys.keep(tried, stored)

    async def _checked(self, route: Route, given: Json) -> Json:
        """Check parameters; the first of each kind in a thread, since that loads the SDK."""
        if route.params in self._typed:
            return params.checked(route.params, given)
        typed = await asyncio.to_thread(params.checked, route.params, given)
        self._typed.add(route.params)
        return typed

    def _authenticated(self, incoming: Incoming) -> str:
        """Return the account that a request is for. Raises ApiError."""
        key = _key_of(incoming.authorization)
        if not key:
            message = (
                "You did not provide an API key. You need to provide your API key in the Authorization header, using "
                "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
            )
            raise ApiError(message, status=401, began=False)
        if key != self._state.api_key:
            shown = f"{key[: len(_TEST_KEY)]}{'*' * 8}{key[-4:]}"
            raise ApiError(f"Invalid API Key provided: {shown}", status=401, began=False)
        if incoming.account in ("", self._state.platform):
            return self._state.platform
        if self._state.find("account", incoming.account) is None:
            message = f"The provided key does not have access to account '{incoming.account}'"
            raise ApiError(message, status=403, code="account_invalid", began=False)
        return incoming.account


async def _read(request: web.BaseRequest, path: str, request_id: str) -> Incoming:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk[: _LARGEST_BODY_BYTES + 1 - len(body)]
    return Incoming(
        request_id=request_id,
        method=request.method,
        path=path,
        query=request.raw_path.partition("?")[2],
        body=bytes(body),
        content_type=request.headers.get("Content-Type", ""),
        authorization=request.headers.get("Authorization", ""),
        account=request.headers.get("Stripe-Account", ""),
        key=request.headers.get("Idempotency-Key", ""),
    )


def _key_of(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _refuse(fault: Fault) -> None:
    """Raise the errors of Stripe's front end: no operation begins, no key is kept."""
    if fault.mode == "rate_limit":
        message = "Request rate limit exceeded. You can learn more about rate limits in the documentation."
        raise ApiError(message, status=429, code="rate_limit", began=False)
    if fault.mode == "unavailable":
        raise ApiError("The service is unavailable.", status=503, kind="api_error", began=False)


async def _wait(fault: Fault) -> None:
    """Wait as long as the fault says."""
    until = time.monotonic() + fault.seconds
    fault.waiting += 1
    try:
        while not fault.over and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110 - let go from any thread
            await asyncio.sleep(min(left, _WAIT_CHECK_SECONDS))
    finally:
        fault.waiting -= 1


def _broken(call: Call) -> Stored:
    assert call.request_id is not None
    return Stored(500, _text(ApiError(_BROKEN, kind="api_error").body(call.request_id)), call.request_id)


def _refusal(incoming: Incoming, error: ApiError) -> Stored:
    return Stored(error.status, _text(error.body(incoming.request_id)), incoming.request_id)


def _text(body: Json) -> str:
    return json.dumps(body, indent=2)
