"""A stand-in for each test, with a client and endpoints for its webhooks."""

from collections.abc import Iterator

import pytest

from localcloud.stripe.http.service import running_stripe
from stripe_standin.till import Mailbox, Till, client_of, mailbox


@pytest.fixture
def box() -> Iterator[Mailbox]:
    """Run endpoints for webhooks."""
    with mailbox() as found:
        yield found


@pytest.fixture
def till(box: Mailbox) -> Iterator[Till]:
    """Run a stand-in with empty books."""
    with running_stripe(webhooks_to=box.url) as control:
        control.set_retries(first=0.05, longest=0.1)
        yield Till(control, client_of(control))
