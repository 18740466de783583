"""`autodoctor import-legacy` as an operator runs it: tables, JSON, exit status, restart after a kill, many rows."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from localcloud.cli import app
from support.cloud.dev_process import AUTODOCTOR
from support.legacy.import_env import ImportEnv
from support.legacy.old_system import OldSystem, broken
from support.world import World

# The command, and then how much memory it ever held, in KB (what getrusage says may be its parent's).
MEASURED = """
import pathlib, sys
from localcloud.cli import main
try:
    main()
finally:
    status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    print(status["VmHWM"].split()[0], file=sys.stderr)
"""


def command(world: World, *arguments: str) -> Result:
    """Run the command on the database of the test."""
    return CliRunner().invoke(app, ["import-legacy", "--database-url", world.urls.owner_url, *arguments])


def test_the_tables_say_what_would_become_of_what(import_env: ImportEnv, old: OldSystem, world: World) -> None:
    broken(old)
    dry = command(world)
    assert dry.exit_code == 1, dry.output
    lines = [" ".join(line.split()) for line in dry.output.splitlines()]
    total = world.one("SELECT count(*) FROM legacy.sessions")
    assert f"sessions {total} 0 {total - 4} 0 0 4" in lines
    assert "diagnostic_sessions in_progress live 1" in lines
    assert "sessions unattended expired, expired 1" in lines
    assert any(line.startswith("unknown_status 1 a state without a meaning") for line in lines)
    assert lines[-1] == "nothing was written; --apply does it"
    applied = command(world, "--apply", "--map-status", "half_done=completed", "--json")
    report = json.loads(applied.output)
    assert (applied.exit_code, report["applied"]) == (1, True)
    assert {each["kind"] for each in report["refused"]} == {"customer_missing", "own_session"}
    import_env.is_sound()
    assert world.one("SELECT report ->> 'source' FROM legacy_imports") == report["source"]
    assert "password" not in report["source"]


def test_what_cannot_be_done_is_said_in_a_line(world: World, old: OldSystem, tmp_path: Path) -> None:
    del old
    for arguments, says in (
        (("--schema", "nowhere"), "schema nowhere holds none of the old tables"),
        (("--schema", "public"), "schema public holds none of the old tables"),
        (("--from", world.urls.owner_url), "schema public holds none of the old tables"),
        (("--map-status", "half_done=nonsense"), "'nonsense' is not a valid Meaning"),
        (("--from", f"postgresql://nobody@127.0.0.1:1/{tmp_path.name}"), "a database cannot be reached"),
    ):
        refused = command(world, *arguments)
        assert refused.exit_code == 2, refused.output
        assert says in refused.output
        assert len(refused.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "kills"),
    [(700, (300,)), pytest.param(3000, (20, 1200, 4000, 9000), marks=pytest.mark.slow)],
)
def test_killed_anywhere_it_goes_on_when_started_again(
    import_env: ImportEnv, old: OldSystem, world: World, number: int, kills: tuple[int, ...]
) -> None:
    broken(old)
    old.add_many(number)
    for archived in kills:
        running = start(world, "--apply")
        wait_for(world, archived)
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    assert world.one("SELECT count(*) FROM legacy_imports WHERE finished_at IS NULL") == 1
    some = world.one("SELECT count(*) FROM legacy_rows")
    report = import_env.run(batch=500)
    assert world.one("SELECT count(*) FROM legacy_rows") > some
    moved = {each.table: each.before + each.moved for each in report.tables}
    assert moved["sessions"] == world.one("SELECT count(*) FROM legacy.sessions") - 4
    assert moved["sessions"] == world.one("""
SELECT count(*) FROM sessions JOIN legacy_rows r ON r.session_id = sessions.id
 WHERE r.table_name = 'sessions' AND r.became = 'moved'""")
    assert sum(each.before for each in report.tables) > 0
    import_env.is_sound()


@pytest.mark.slow
def test_twenty_thousand_take_no_more_memory_than_two_thousand(
    old: OldSystem, world: World, import_env: ImportEnv
) -> None:
    old.add_many(2000)
    few = peak_megabytes(world)
    old.add_many(18_000)
    began = time.monotonic()
    many = peak_megabytes(world)
    print(f"{few:.0f} MB for 2,000, {many:.0f} MB for 18,000 more in {time.monotonic() - began:.0f} s")
    assert many - few < 20
    assert world.one("SELECT count(*) FROM sessions") == 20_000
    import_env.verifies()


def start(world: World, *arguments: str) -> subprocess.Popen[Any]:
    """Start the command as a process of its own."""
    options = ["import-legacy", "--json", "--database-url", world.urls.owner_url, *arguments]
    return subprocess.Popen([*AUTODOCTOR, *options], stdout=subprocess.DEVNULL)


def wait_for(world: World, rows: float) -> None:
    """Wait until so many rows were archived."""
    deadline = time.monotonic() + 60
    while (world.one("SELECT max(written) FROM legacy_imports") or 0) < rows:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def peak_megabytes(world: World) -> float:
    """Run the command and say how much memory it took."""
    options = ["import-legacy", "--apply", "--json", "--database-url", world.urls.owner_url]
    done = subprocess.run([sys.executable, "-c", MEASURED, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split()[-1]) / 1024


@pytest.mark.usefixtures("import_env")
def test_a_source_that_cannot_be_reached_is_not_called_an_interruption(world: World) -> None:
    failed = command(world, "--from", "postgresql://nobody@127.0.0.1:1/nothing")
    assert failed.exit_code == 2
    assert "a database cannot be reached: " in failed.stderr
    assert "interrupted" not in failed.stderr
