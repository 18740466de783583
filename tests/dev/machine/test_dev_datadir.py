"""The data folder: its lock, and the permissions of its files."""

import dataclasses
import os
import stat
from pathlib import Path

import pytest

from localcloud.host.datadir import DataDir, FolderForeign, FolderHeld, RunningServer

SERVER = RunningServer(os.getpid(), "http://127.0.0.1:1", "postgresql://o", "postgresql://a", embedded=True, tokens={})


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


def test_only_one_holds_it(data_dir: DataDir) -> None:
    assert data_dir.holder() is None
    with data_dir.hold():
        assert data_dir.holder() == os.getpid()
        with pytest.raises(FolderHeld, match=f"process {os.getpid()} "), data_dir.hold():
            pass
    assert data_dir.holder() is None


def test_a_server_is_known_while_it_holds_the_folder(data_dir: DataDir) -> None:
    with data_dir.hold():
        assert data_dir.running_server() is None
        data_dir.announce(SERVER)
        assert data_dir.running_server() == SERVER
    assert data_dir.running_server() is None


def test_what_a_killed_server_announced_is_not_believed(data_dir: DataDir) -> None:
    data_dir.announce(dataclasses.replace(SERVER, pid=1))
    with data_dir.hold():
        assert data_dir.running_server() is None


def test_secrets_are_for_the_owner_only(data_dir: DataDir) -> None:
    file = data_dir.write_private("tokens/customer1", "secret")
    assert file.read_text() == "secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_folder_of_the_user_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o750)
    DataDir(tmp_path / "mine")
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o750


def test_a_folder_with_files_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    with pytest.raises(FolderForeign, match="not ours"):
        DataDir(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
