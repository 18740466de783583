"""Fixtures of the tests of the health part: a database with people in it, and one that remembers a past."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from health.marketplace import Marketplace
from health.past import Past
from integration.actors import Stage
from localcloud.database.postgres import PostgresServer
from payments.counter import opened_counter
from payments.desk import Desk


@pytest.fixture
def past(stage: Stage) -> Past:
    """Give the test a hand that writes ended sessions into the past."""
    return Past(stage)


@pytest.fixture(scope="session")
def market(postgres_server: PostgresServer, template_database: str) -> Iterator[Marketplace]:
    """Give a marketplace that tests only look at, or copy: nothing of theirs is connected to it."""
    with postgres_server.temporary_database("marketplace", template_database) as database:
        stage = Stage(database)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SESSION_BASE_URL", "https://sessions.example")
            with opened_counter(stage, patch) as counter:
                market = Marketplace(stage, Desk(counter), (datetime.now(UTC) + timedelta(days=7)).isoformat())
                market.fill()
        stage.close()
        yield market
        stage.close()
