"""The life of `autodoctor dev`: it leaves nothing behind, however it ends, and comes back with its data."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from localcloud.database.binaries import home_for, server_account
from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.host import ports
from support.cloud.dev_process import (
    AUTODOCTOR,
    GONE_SECONDS,
    Dev,
    NotReady,
    descendants,
    discard,
    ended,
    eventually,
    run,
    running_dev,
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server, below pytest's own, which nobody but its owner may enter."""
    yield tmp_path / "data"
    discard(tmp_path / "data")


@pytest.fixture(autouse=True)
def hang_up() -> Iterator[None]:
    """Let SIGHUP mean what it means, also where the tests run under `nohup`: what they start inherits it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def start_session(dev: Dev) -> str:
    """Let customer1 ask for a mechanic, which also starts a function's process; return the session's id."""
    response = dev.call("customer1", "POST", "/api/intake/start", INTAKE_WITH_WAIVER)
    assert response.status_code == 201, response.text
    return str(response.json()["sessionId"])


def active_session(dev: Dev) -> str:
    return str(dev.call("customer1", "GET", "/api/customer/active-session").json()["session"]["sessionId"])


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGINT, signal.SIGHUP))],
    ids=lambda one: one.name,
)
def test_nothing_is_left_after(number: signal.Signals, data_dir: Path) -> None:
    with running_dev(data_dir) as dev:
        start_session(dev)
        family = dev.family()
        assert len(family) > 3
        dev.process.send_signal(number)
        assert dev.leaves_nothing(family)
        assert dev.process.wait() == 0
        assert dev.process.stdout
        assert dev.process.stdout.read() == "", "more than one line on stdout"


def test_a_killed_server_leaves_nothing_and_comes_back_with_its_session(data_dir: Path) -> None:
    with running_dev(data_dir) as dev:
        session = start_session(dev)
        family = dev.family()
        dev.process.kill()
        assert dev.leaves_nothing(family)
    with running_dev(data_dir) as again:
        assert active_session(again) == session


def test_nothing_is_left_after_the_terminal_was_closed(data_dir: Path) -> None:
    screen, terminal = os.openpty()
    with (
        os.fdopen(screen, errors="replace") as shown,
        subprocess.Popen(
            [*AUTODOCTOR, "dev", "--data-dir", str(data_dir), "--port", str(ports.scattered_port())],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one thread here
        ) as process,
    ):
        os.close(terminal)
        try:
            assert any("AutoDoctor is ready" in line for line in shown)
            family = {process.pid} | descendants(process.pid)
            shown.close()
            assert eventually(lambda: all(map(ended, family)))
            assert process.wait() == 0
        finally:
            process.kill()


@pytest.mark.slow
def test_nothing_is_left_after_the_whole_process_group_was_killed(data_dir: Path) -> None:
    with running_dev(data_dir, preexec=os.setsid) as dev:
        start_session(dev)
        family = dev.family()
        os.killpg(dev.process.pid, signal.SIGKILL)
        assert dev.leaves_nothing(family)


@pytest.mark.skipif(shutil.which("uv") is None, reason="kills `uv run`, and uv is not on the PATH")
def test_nothing_is_left_after_uv_run_was_killed(data_dir: Path) -> None:
    project = Path(__file__).parents[3]
    command = ("uv", "run", "--no-sync", "--project", str(project), "autodoctor")
    with running_dev(data_dir, command=command) as dev:
        family = dev.family()
        assert len(family) > 3
        dev.process.kill()
        assert dev.leaves_nothing(family)


def test_an_ephemeral_server_that_is_killed_leaves_no_files(tmp_path: Path, data_dir: Path) -> None:
    home = tmp_path / "tmp"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(home))
        with running_dev(data_dir, "--ephemeral") as dev:
            assert not data_dir.exists()
            (folder,) = home.iterdir()
            database = home_for(folder / "postgres", server_account())
            dev.process.kill()
            assert eventually(lambda: not folder.exists() and not database.exists())


def test_when_postgresql_dies_the_reason_is_shown(data_dir: Path) -> None:
    with running_dev(data_dir) as dev:
        server = next(pid for pid in dev.family() if Path(f"/proc/{pid}/cmdline").read_text().split("\0")[1] == "-D")
        os.kill(server, signal.SIGKILL)
        assert dev.process.wait(GONE_SECONDS) == 1
    report = data_dir.with_suffix(".stderr").read_text()
    assert "keeping PostgreSQL running" in report
    assert f"try: autodoctor dev --data-dir {data_dir} again" in report


def test_a_start_that_fails_shows_step_log_and_a_way_out(data_dir: Path) -> None:
    assert run("dev", "reset", "--data-dir", str(data_dir)).returncode == 0
    database = home_for((data_dir / "postgres").resolve(), server_account())
    (database / "pgdata" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(NotReady) as failed, running_dev(data_dir):
        pass
    report = str(failed.value)
    assert report.startswith("exit code 1:")
    assert "autodoctor failed at: PostgreSQL on port" in report
    assert "pg_control" in report
    assert "try: look into" in report
    assert run("dev", "reset", "--data-dir", str(data_dir)).returncode == 0


def test_data_from_before_the_first_release_is_kept_until_its_owner_resets_it(data_dir: Path) -> None:
    data_dir.mkdir(parents=True)
    server = PostgresServer(PostgresSettings(data_dir / "postgres", ports.scattered_port()), lambda _sentence: None)
    server.start()
    old = "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('0027')"
    with psycopg.connect(server.database().owner_url, autocommit=True) as owner:
        owner.execute(old)
    server.stop()
    for _ in range(2):  # the second start finds it as the first one did
        refused = run("dev", "--data-dir", str(data_dir))
        assert refused.returncode == 1
        assert "autodoctor failed at: schema" in refused.stderr
        assert "from before the first release (revision 0027)" in refused.stderr
        assert f"try: autodoctor dev reset --data-dir {data_dir}" in refused.stderr
    assert run("dev", "reset", "--data-dir", str(data_dir)).returncode == 0


def test_a_taken_port_names_its_holder(data_dir: Path) -> None:
    port = ports.scattered_port()
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], stderr=subprocess.DEVNULL
    ) as holder:
        assert eventually(lambda: not ports.is_free(port))
        refused = run("dev", "--data-dir", str(data_dir), "--port", str(port))
        holder.kill()
    assert refused.returncode == 1
    assert f"port {port} is taken by process {holder.pid} ({sys.executable} -m http.server" in refused.stderr
    assert f"try: autodoctor dev --data-dir {data_dir} --port" in refused.stderr
