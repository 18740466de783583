"""Fixtures of the faults: one running account a file, mended after each test."""

from collections.abc import Iterator

import pytest

from localcloud.database.postgres import PostgresServer
from support.events.pipeline import Pipeline, running_pipeline
from support.events.scripted_sockets import Sockets, scripted_sockets
from support.faults.wire import Wire


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest,
    postgres_server: PostgresServer,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pipeline]:
    """Run the functions of template.yaml on a database of this file's own."""
    name = request.module.__name__.rpartition(".")[2]
    with running_pipeline(postgres_server, template_database, name, tmp_path_factory.mktemp(name)) as running:
        yield running


@pytest.fixture
def pipeline(running: Pipeline) -> Iterator[Pipeline]:
    """The account, in order when the test begins."""
    yield running
    running.repair()
    running.forgive()


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Sockets, Wire]]:
    """Connections at the end of a wire."""
    with scripted_sockets(monkeypatch) as both:
        yield both
