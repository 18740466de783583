"""The customers' side of payments: intakes by card, and webhooks through the function's own handler."""

import base64
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import pytest

from autodoctor.db import database
from autodoctor.intake.card import CheckoutOpened
from autodoctor.intake.create import SessionCreated
from autodoctor.intake.funded import start_funded_intake
from autodoctor.payments.checkout.sweep import SweptCheckouts, sweep_checkouts
from localcloud.stripe.http.service import running_stripe
from localcloud.stripe.pages.control import SignedEvent, StripeControl
from localcloud.stripe.state.webhooks import signature
from support.http.lambda_event import Answer, Handler, call, event, loaded
from support.world import World, intake_request

ROUTES = {"platform": "POST /api/stripe/webhook", "connect": "POST /api/stripe/connect-webhook"}
SIGNED: dict[str, object] = {"waiver": {"signedName": "Cora Castillo"}}


@dataclass
class CheckoutEnv:
    """The customers' side of payments.

    Attributes:
        world: the database.
        stripe: the stand-in.
        handler: of the function stripe_webhook.
    """

    world: World
    stripe: StripeControl
    handler: Handler

    def ask(self, customer: UUID, key: str | None = None, **fields: object) -> CheckoutOpened:
        """An intake of plan quick, paid by card."""
        request = intake_request(**{"plan": "quick", "payWith": "card", "sessionType": "chat", **fields})
        opened = start_funded_intake(self.world.app, customer, request, key, verified_email=request.email)
        assert isinstance(opened, CheckoutOpened)
        return opened

    def page(self, opened: CheckoutOpened) -> str:
        """Stripe's id of the page of an intake."""
        found: str = self.one("SELECT stripe_session_id FROM checkouts WHERE intake_id = %s", opened.intake_id)
        return found

    def status(self, intake_id: UUID) -> str:
        """The status of an intake's checkout."""
        found: str = self.one("SELECT status FROM checkouts WHERE intake_id = %s", intake_id)
        return found

    def session(self) -> SessionCreated:
        """The newest session, as an intake that is not paid by card answers it."""
        newest: UUID = self.world.one("SELECT id FROM sessions ORDER BY id DESC LIMIT 1")
        return self.session_of(newest)

    def session_of(self, session_id: UUID) -> SessionCreated:
        """A session, as an intake that is not paid by card answers it."""
        row = self.world.owner.execute(
            "SELECT s.id AS session_id, s.current_assignment_id AS assignment_id, s.status AS session_status,"
            "       a.status AS assignment_status, 'wait' AS next, NULL AS preferred_mechanic"
            "  FROM sessions s JOIN session_assignments a ON a.id = s.current_assignment_id WHERE s.id = %s",
            [session_id],
        ).fetchone()
        return SessionCreated.model_validate(row)

    def one(self, query: LiteralString, *parameters: object) -> Any:  # noqa: ANN401 (whatever the column has)
        """The first column of the first row of the owner's query."""
        return self.world.one(query, *parameters)

    def last(self, kind: str) -> str:
        """The id of Stripe's newest event of a type."""
        return str(self.stripe.events(kind)[-1]["id"])

    def tell(self, kind: str) -> Answer:
        """Deliver the newest event of a type, as Stripe would now."""
        return self.deliver(self.stripe.signed(self.last(kind)))

    def deliver(self, signed: SignedEvent, endpoint: str = "platform", *, encoded: bool = False) -> Answer:
        """Hand a delivery to the webhook's handler."""
        body = base64.b64encode(signed.payload) if encoded else signed.payload
        headers = {"stripe-signature": signed.signature}
        return call(self.handler, event(ROUTES[endpoint], raw=body.decode(), base64=encoded, headers=headers))

    def sign(self, payload: bytes, endpoint: str = "platform", seconds: int = 0) -> SignedEvent:
        """Sign any body with the endpoint's secret, so many seconds from now."""
        secrets = self.stripe.secrets("connect" if endpoint == "connect" else "platform")
        return SignedEvent(payload, signature(payload.decode(), secrets, int(time.time()) + seconds))

    def sweep(self) -> SweptCheckouts:
        """Look up everything that is unfinished."""
        return sweep_checkouts(self.world.app, lambda: 60.0, lambda _subject: None, grace_seconds=0)


def environment(stripe: StripeControl, url: str) -> Mapping[str, str]:
    """The variables of the functions that talk with Stripe."""
    return {
        **stripe.environment(),
        "DATABASE_URL": url,
        "EVENT_BUS_NAME": "test",
        "AWS_REGION": "test",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:1",  # nobody listens: the relay publishes later
    }


@contextmanager
def open_checkout(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[CheckoutEnv]:
    """Run a stand-in whose webhooks are delivered by hand, and load the webhook's function against it."""
    with running_stripe() as stripe:
        stripe.disturb(held=True)
        for name, value in environment(stripe, world.urls.app_url).items():
            monkeypatch.setenv(name, value)
        connected = database()
        yield CheckoutEnv(world, stripe, loaded("stripe_webhook").handler)
        connected.close()  # also where several tests have shared it, of which each has emptied the cache
        database.cache_clear()
