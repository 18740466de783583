"""A demo's setting is restored whatever becomes of the demo."""

import subprocess
import sys

import pytest

from localcloud.database.borrowed_setting import borrowed_setting
from support.wait import wait_until
from support.world import World

NAME = "min_billable_seconds"
KILLED = f"""
import sys
from localcloud.database.borrowed_setting import borrowed_setting
with borrowed_setting(sys.argv[1], "{NAME}", "2"):
    print("changed", flush=True)
    sys.stdin.read()
"""


def present(world: World) -> str | None:
    found: str | None = world.one("SELECT (SELECT value FROM settings WHERE key = %s)", NAME)
    return found


@pytest.mark.parametrize("before", [None, "45"])
def test_a_setting_is_restored_at_the_end_also_after_a_failure(world: World, before: str | None) -> None:
    if before:
        world.owner.execute("INSERT INTO settings (key, value) VALUES (%s, %s)", [NAME, before])
    with borrowed_setting(world.urls.owner_url, NAME, "2"):
        assert present(world) == "2"
    assert present(world) == before
    with pytest.raises(RuntimeError), borrowed_setting(world.urls.owner_url, NAME, "2"):
        raise RuntimeError
    assert present(world) == before


def test_it_is_restored_when_the_process_is_killed(world: World) -> None:
    command = [sys.executable, "-c", KILLED, world.urls.owner_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline()
        assert present(world) == "2"
        process.kill()
    wait_until(lambda: present(world) is None)
