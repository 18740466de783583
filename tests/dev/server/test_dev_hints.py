"""The hints of a failed start name the folder that it was asked to use."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.host import ports
from support.cloud.dev_process import discard, run


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder with a space, which the shell would take for two."""
    yield tmp_path / "my data"
    discard(tmp_path / "my data")


def test_a_database_that_does_not_start_is_to_be_reset_where_it_is(data_dir: Path) -> None:
    pgdata = PostgresServer(PostgresSettings(data_dir / "postgres", ports.DEFAULT_PORT), print).home / "pgdata"
    pgdata.mkdir(parents=True)
    (pgdata / "PG_VERSION").write_text("14\n")
    failed = run("dev", "--data-dir", str(data_dir), "--port", str(ports.scattered_port()))
    assert failed.returncode == 1
    assert f"autodoctor dev reset --data-dir '{data_dir}'" in failed.stderr


def test_a_taken_port_is_to_be_replaced_for_the_same_folder(data_dir: Path) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as taken:
        failed = run("dev", "--data-dir", str(data_dir), "--port", str(taken.getsockname()[1]))
    assert failed.returncode == 1
    assert f"try: autodoctor dev --data-dir '{data_dir}' --port " in failed.stderr
