"""Two servers that start at the same moment: one port each, and none that only root may have."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from autodoctor.operations.console import Console
from localcloud.commands import system
from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.host import ports
from support.cloud.dev_process import discard


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    discard(tmp_path / "data")


def test_a_database_takes_the_next_port_where_another_one_was_faster(data_dir: Path) -> None:
    wanted = ports.scattered_port()
    settings = PostgresSettings(data_dir / "postgres", wanted, durable=False)
    server = PostgresServer(settings, lambda _: None)
    with socket.create_server((ports.LOOPBACK, wanted)):  # since the port was chosen
        started = system._started(server, settings, Console(None))  # noqa: SLF001 (no command is between the two)
    try:
        assert f":{wanted}/" not in started.database().owner_url
        assert started.running
    finally:
        started.stop()
        server.stop()


def test_a_port_for_root_alone_has_its_database_above() -> None:
    wanted = 81
    if not ports.is_free(wanted):
        pytest.skip("port 81 is taken, or not ours to take")
    assert system._choose_ports(wanted, Console(None))[1] >= ports.FIRST_FREE_FOR_ALL  # noqa: SLF001
