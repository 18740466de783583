"""Fixtures of the tests of moving in: a new database with an old one in a schema beside it."""

from collections.abc import Iterator

import pytest

from integration.actors import Stage
from legacy.moving import Moving
from legacy.old_system import OldSystem


@pytest.fixture
def old(stage: Stage) -> Iterator[OldSystem]:
    """Give the test an old system without rows, in the schema legacy of the same database."""
    old = OldSystem.built(stage.urls.superuser_url)
    old.connection.execute("GRANT USAGE ON SCHEMA legacy TO autodoctor_owner")
    old.connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA legacy TO autodoctor_owner")
    yield old
    old.close()


@pytest.fixture
def moving(stage: Stage, old: OldSystem) -> Moving:
    """Give the test somebody who moves that in."""
    return Moving(stage, old)
