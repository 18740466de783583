"""One database for each file, with as many rows in every list as the parameter says."""

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from localcloud.database.postgres import PostgresServer
from support.database.crowd import Crowd, fill

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=[10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def crowd(request: pytest.FixtureRequest, postgres_server: PostgresServer, template_database: str) -> Iterator[Crowd]:
    """Ten thousand rows of each kind take eight seconds to make, a hundred thousand eighty."""
    with (
        postgres_server.temporary_database(f"crowd_{next(_numbers)}", template_database) as urls,
        psycopg.connect(urls.superuser_url, autocommit=True) as superuser,
    ):
        fill(superuser, request.param)
        yield Crowd(urls, request.param)
