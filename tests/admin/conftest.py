"""Fixtures of the tests of the admin routes: a running account."""

from collections.abc import Iterator

import pytest

from localcloud.database.postgres import PostgresServer
from support.account import Account, running_account


@pytest.fixture(scope="session")
def account(
    postgres_server: PostgresServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    """Run the functions of template.yaml, once for all these tests, on a database that only they use."""
    folder = tmp_path_factory.mktemp("account")
    with (
        postgres_server.temporary_database("admin", template_database) as database,
        running_account(database, folder) as account,
    ):
        yield account
