"""A setting that is another one for as long as a process lives: a child restores it, even when that process is killed.

The child has a pipe from its parent, and a session of its own, so that no Ctrl-C reaches it.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

import psycopg

_WRITE = "INSERT INTO settings (key, value) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


@contextlib.contextmanager
def borrowed_setting(owner_url: str, name: str, value: str) -> Iterator[None]:
    """Set a setting, and restore it at the end.

    Raises:
        psycopg.OperationalError: the database went before it was restored.
    """
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        assert child.stdin
        assert child.stdout
        print(json.dumps([owner_url, name, value]), file=child.stdin, flush=True)
        try:
            if not child.stdout.readline():
                raise psycopg.OperationalError("the setting could not be changed")
            yield
        finally:
            child.stdin.close()
            child.wait()
    if child.returncode:
        raise psycopg.OperationalError("the setting could not be restored")


def main() -> int:
    """Change the setting that the first line names, and restore it once the parent's end of the pipe is closed."""
    owner_url, name, value = json.loads(sys.stdin.readline())
    try:
        with psycopg.connect(owner_url, autocommit=True) as connection:
            before = connection.execute("SELECT value FROM settings WHERE key = %s", [name]).fetchone()
            connection.execute(_WRITE, [name, value])
            print("changed", flush=True)
            sys.stdin.read()
            if before:
                connection.execute(_WRITE, [name, before[0]])
            else:
                connection.execute("DELETE FROM settings WHERE key = %s", [name])
    except psycopg.OperationalError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
