"""Fixtures of the tests of the import: a new database with an old one in a schema beside it."""

from collections.abc import Iterator

import pytest

from support.legacy.import_env import ImportEnv
from support.legacy.old_system import OldSystem
from support.world import World


@pytest.fixture
def old(world: World) -> Iterator[OldSystem]:
    """Give the test an old system without rows, in the schema legacy of the same database."""
    old = OldSystem.built(world.urls.superuser_url)
    old.connection.execute("GRANT USAGE ON SCHEMA legacy TO autodoctor_owner")
    old.connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA legacy TO autodoctor_owner")
    yield old
    old.close()


@pytest.fixture
def import_env(world: World, old: OldSystem) -> ImportEnv:
    """Give the test what imports that."""
    return ImportEnv(world, old)
