"""A stand-in for each test, with a client and endpoints for its webhooks."""

from collections.abc import Iterator

import pytest

from localcloud.stripe.http.service import running_stripe
from support.money.stripe_shop import StripeShop, WebhookReceiver, client_of, webhook_receiver


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """Run endpoints for webhooks."""
    with webhook_receiver() as found:
        yield found


@pytest.fixture
def stripe_shop(receiver: WebhookReceiver) -> Iterator[StripeShop]:
    """Run a stand-in with empty books."""
    with running_stripe(webhooks_to=receiver.url) as control:
        control.set_retries(first=0.05, longest=0.1)
        yield StripeShop(control, client_of(control))
