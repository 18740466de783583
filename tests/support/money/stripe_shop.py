"""A business with an account at the stand-in: common steps of its tests, with Stripe's own SDK over HTTP."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import stripe
from stripe.params.checkout import SessionCreateParams

from localcloud.stripe.pages.control import StripeControl

PRICE = 2999
FEE = 117  # 2.9 % and 30 cents


class _ImpatientClient(stripe.RequestsClient):
    """Gives up a POST after 2 seconds; a GET has the time that it needs on a machine that does much else."""

    def request(self, method: str, *more: Any, **named: Any) -> Any:  # noqa: ANN401 - the SDK's
        self._timeout = 2.0 if method == "post" else 60.0
        return super().request(method, *more, **named)


def client_of(
    control: StripeControl, *, retries: int = 2, timeout: float = 60.0, impatient: bool = False
) -> stripe.StripeClient:
    """Return a client as our functions make one; an impatient one soon gives up a POST that hangs."""
    return stripe.StripeClient(
        control.api_key,
        base_addresses={"api": control.url, "files": control.url},
        max_network_retries=retries,
        http_client=_ImpatientClient() if impatient else stripe.RequestsClient(timeout=timeout),
    )


def order(cents: int = PRICE, **more: object) -> SessionCreateParams:
    """Return what a Checkout Session is asked for with."""
    return {
        "mode": "payment",
        "success_url": "http://shop.test/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://shop.test/back",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {"currency": "usd", "unit_amount": cents, "product_data": {"name": "Standard"}},
            }
        ],
        "metadata": {"intakeId": "intake-1"},
        "payment_intent_data": {"metadata": {"intakeId": "intake-1"}},
        **more,  # type: ignore[typeddict-item] # tests send wrong ones too
    }


@dataclass
class StripeShop:
    """A stand-in, a client of it, and what one does with both."""

    control: StripeControl
    client: stripe.StripeClient

    def session(self, cents: int = PRICE, **more: object) -> stripe.checkout.Session:
        """Open a Checkout Session."""
        return self.client.v1.checkout.sessions.create(params=order(cents, **more))

    def paid(self, cents: int = PRICE) -> stripe.Charge:
        """Sell something, and return the charge."""
        session = self.session(cents)
        self.control.pay(session.id)
        return self.charge_of(session.id)

    def charge_of(self, session_id: str) -> stripe.Charge:
        """Return the charge of a session, found as our code finds it."""
        session = self.client.v1.checkout.sessions.retrieve(session_id)
        assert isinstance(session.payment_intent, str)
        intent = self.client.v1.payment_intents.retrieve(session.payment_intent)
        assert isinstance(intent.latest_charge, str)
        return self.client.v1.charges.retrieve(intent.latest_charge)

    def mechanic(self, *, onboarded: bool = True) -> stripe.Account:
        """Make a connected account."""
        account = self.client.v1.accounts.create(
            params={"type": "express", "country": "US", "capabilities": {"transfers": {"requested": True}}}
        )
        if onboarded:
            self.control.onboard(account.id)
        return account

    def kinds(self) -> list[str]:
        """Return the types of all events, the oldest first."""
        return [event["type"] for event in self.control.events()]


@dataclass
class WebhookReceiver:
    """Somebody's webhook endpoints: keeps what comes, and answers what it is told."""

    url: str = ""
    status: int = 200
    got: list[tuple[str, bytes, str]] = field(default_factory=list)

    def kinds(self, path: str = "/platform") -> list[str]:
        """Return the types of what came to a path."""
        return [kind for where, kind in self._read() if where == path]

    def _read(self) -> Iterator[tuple[str, str]]:
        for path, body, _signature in list(self.got):
            yield path, json.loads(body)["type"]


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """Run endpoints for webhooks on a free port."""
    receiver = WebhookReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((self.path, body, self.headers["Stripe-Signature"]))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
