"""Fixtures of the tests of money: a database with people in it."""

from collections.abc import Iterator

import pytest

from integration.actors import Stage
from localcloud.postgres import Database
from payments.counter import Counter, opened_counter


@pytest.fixture
def stage(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Give the test an empty database of its own, and use cases the one setting they read."""
    monkeypatch.setenv("SESSION_BASE_URL", "https://sessions.example")
    stage = Stage(database)
    yield stage
    stage.close()


@pytest.fixture
def counter(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    """Give the test a stand-in for Stripe, and the function that takes its webhooks."""
    with opened_counter(stage, monkeypatch) as counter:
        yield counter
