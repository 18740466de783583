"""Sample data for the tests of verify and repair: a database with a session in every state."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from localcloud.database.postgres import PostgresServer
from support.integrity.sample_data import SampleData
from support.money.checkout_env import open_checkout
from support.money.refund_env import RefundEnv
from support.world import World


@pytest.fixture(scope="session")
def sample_data(postgres_server: PostgresServer, template_database: str) -> Iterator[SampleData]:
    """Give sample data that tests only look at, or copy: nothing of theirs is connected to it."""
    with postgres_server.temporary_database("sample_data", template_database) as database:
        world = World(database)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SESSION_BASE_URL", "https://sessions.example")
            with open_checkout(world, patch) as checkout_env:
                sample_data = SampleData(
                    world, RefundEnv(checkout_env), (datetime.now(UTC) + timedelta(days=7)).isoformat()
                )
                sample_data.fill()
        world.close()
        yield sample_data
        world.close()
