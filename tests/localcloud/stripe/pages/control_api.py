"""`POST /_stripe/_control/{method}`: the methods of `StripeControl` for tests in another process. JSON in and out."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Final

from aiohttp import web

from localcloud.stripe.http.errors import ApiError
from localcloud.stripe.objects.checkout import NotOpen
from localcloud.stripe.pages import html
from localcloud.stripe.pages.control import NotQuiet, SignedEvent, StripeControl

PREFIX: Final = "/_control/"
_NAMES: Final = (
    "add_funds",
    "advance",
    "arrive",
    "available_after",
    "available_in",
    "bank_answers",
    "books",
    "clear_faults",
    "close_account",
    "close_dispute",
    "configure_endpoint",
    "disturb",
    "emit",
    "environment",
    "events",
    "fail",
    "fail_payout",
    "fail_refund",
    "imbalances",
    "objects",
    "onboard",
    "open_dispute",
    "pay",
    "pay_out",
    "pending_webhooks",
    "quiet",
    "refund",
    "refunds_need_balance",
    "refunds_stay_pending",
    "reinstate",
    "release",
    "resend",
    "restrict",
    "retire_secrets",
    "reverse",
    "rotate_secret",
    "secrets",
    "set_retries",
    "settle_refund",
    "signed",
    "take_more",
)


class ControlApi:
    """Calls a method of the control by name; the keys of the JSON object are its arguments."""

    def __init__(self, control: StripeControl) -> None:
        self._methods = _methods(control)

    async def serve(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        """Answer one request."""
        if request.method != "POST" or html.from_another_site(request):
            return _answer(405, {"error": "POST, and not from another site"})
        if name not in self._methods:
            return _answer(404, {"error": f"no control {name}; there are {', '.join(self._methods)}"})
        try:
            arguments = json.loads(await request.read() or b"{}")
            result = await asyncio.to_thread(self._methods[name], **arguments)
        except ApiError as refused:
            return _answer(refused.status, refused.body(""))
        except (NotOpen, NotQuiet, TypeError, ValueError) as wrong:
            return _answer(400, {"error": f"{type(wrong).__name__}: {wrong}"})
        return _answer(200, result)


def _methods(control: StripeControl) -> Mapping[str, Callable[..., object]]:
    return {name: getattr(control, name) for name in _NAMES}


def _answer(status: int, body: object) -> web.Response:
    return web.Response(status=status, text=json.dumps(body, default=_plain), content_type="application/json")


def _plain(value: object) -> object:
    if isinstance(value, SignedEvent):
        return {"payload": value.payload.decode(), "signature": value.signature}
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(type(value).__name__)
