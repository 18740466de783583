"""Fixtures of the tests of money: a database with people in it."""

from collections.abc import Iterator

import pytest

from integration.actors import Stage
from localcloud.stripe.http.service import running_stripe
from payments.counter import Counter, opened_counter
from payments.desk import Desk
from payments.office import Office
from stripe_standin.till import client_of


@pytest.fixture
def counter(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    """Give the test a stand-in for Stripe, and the function that takes its webhooks."""
    with opened_counter(stage, monkeypatch) as counter:
        yield counter


@pytest.fixture
def office(stage: Stage) -> Iterator[Office]:
    """Give the test what sends money: a stand-in with empty books, and a client that asks once."""
    with running_stripe() as control:
        yield Office(stage, control, client_of(control, retries=0))


@pytest.fixture
def desk(counter: Counter) -> Desk:
    """Give the test a counter, and everything that happens behind it."""
    return Desk(counter)
