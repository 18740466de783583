"""Fixtures of the tests of the health part: a database with people in it, and one that remembers a past."""

from collections.abc import Iterator

import pytest

from health.past import Past
from integration.actors import Stage
from localcloud.postgres import Database


@pytest.fixture
def stage(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Give the test an empty database of its own, and use cases the settings they read."""
    monkeypatch.setenv("SESSION_BASE_URL", "https://sessions.example")
    stage = Stage(database)
    yield stage
    stage.close()


@pytest.fixture
def past(stage: Stage) -> Past:
    """Give the test a hand that writes ended sessions into the past."""
    return Past(stage)
