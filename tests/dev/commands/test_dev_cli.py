"""`autodoctor` answers an impossible request with one sentence and no traceback."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from autodoctor.operations.console import Console
from localcloud.cli import app
from localcloud.host.datadir import DataDir, RunningServer
from localcloud.identity.issuer import Issuer, KeyUnusable
from localcloud.identity.roster import ROSTER

SESSION = "c0000000-0000-4000-8000-0000000000ff"
NOBODY_LISTENS = "127.0.0.1:1"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def refused(*arguments: str) -> str:
    """Run a command that cannot work and return the one line that it says."""
    result = run(*arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    return line


@pytest.mark.parametrize("content", [None, "", "{", "\xff"], ids=["missing", "empty", "cut off", "not UTF-8"])
def test_invoke_needs_an_event_it_can_read(tmp_path: Path, content: str | None) -> None:
    event = tmp_path / "event.json"
    if content is not None:
        event.write_text(content, encoding="latin-1")
    said = refused("invoke", "MigrateFunction", str(event), "--data-dir", str(tmp_path / "data"))
    assert said.startswith(f"{event} cannot be read: No such file" if content is None else f"{event} is not JSON: ")


def test_invoke_refuses_a_folder_as_event(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in refused("invoke", "MigrateFunction", str(tmp_path))


@pytest.mark.parametrize("hours", ["nan", "inf", "-inf", "1e300"])
def test_a_token_has_an_end(hours: str) -> None:
    result = run("token", "--sub", SESSION, "--group", "admins", "--hours", hours)
    assert result.exit_code == 2
    assert "--hours" in result.stderr


def test_the_demo_takes_a_minimum_that_the_schema_takes() -> None:
    result = run("demo", "--billable-after", "1000000")
    assert result.exit_code == 2
    assert "--billable-after" in result.stderr


@pytest.mark.parametrize(
    ("url", "reason"), [("garbage", 'missing "="'), (f"postgresql://{NOBODY_LISTENS}/x", "refused")]
)
def test_end_says_what_is_wrong_with_the_database(tmp_path: Path, url: str, reason: str) -> None:
    said = refused("end", SESSION, "--database-url", url, "--data-dir", str(tmp_path))
    assert said.startswith(f"{SESSION}: ")
    assert reason in said


@pytest.mark.parametrize(
    "command", [["dev"], ["dev", "reset"], ["demo"], ["end", SESSION], ["token", "--sub", SESSION, "--group", "admins"]]
)
@pytest.mark.parametrize("inside", ["", "folder"], ids=["file", "in a file"])
def test_a_file_is_no_data_folder(tmp_path: Path, command: list[str], inside: str) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / inside
    assert refused(*command, "--data-dir", str(folder)) == (
        f"{folder} cannot be the data folder: Not a directory; name another with --data-dir"
    )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc, where nobody can make a folder")
def test_a_folder_that_cannot_be_made_is_no_data_folder() -> None:
    assert "cannot be the data folder" in refused("dev", "--data-dir", "/proc/autodoctor")


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--outcome", "cancelled"], "did not answer"), (["--billable-after", "2"], "the database has gone")],
    ids=["API", "database"],
)
def test_the_demo_says_that_the_server_has_gone(tmp_path: Path, options: list[str], said: str) -> None:
    data_dir = DataDir(tmp_path)
    with data_dir.hold():
        pid = data_dir.holder()
        assert pid
        url = f"postgresql://{NOBODY_LISTENS}/x"
        tokens = {person.key: "token" for person in ROSTER}
        data_dir.announce(RunningServer(pid, f"http://{NOBODY_LISTENS}", url, url, embedded=True, tokens=tokens))
        result = run("demo", "--data-dir", str(tmp_path), *options)
    assert isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert said in result.stderr


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_of_the_issuer_is_named(tmp_path: Path, content: str) -> None:
    key = tmp_path / "issuer-key.pem"
    key.write_text(content)
    with pytest.raises(KeyUnusable, match=f"{key} holds no RSA key; remove it"), Console(None).step("s", "a hint"):
        Issuer(tmp_path, "http://x", "client")


def test_bench_says_how_to_get_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)  # as if it were not installed
    assert "uv run --group bench autodoctor bench" in refused("bench", "--counts")
    helped = run("bench", "--help")
    assert helped.exit_code == 0
    assert "uv run --group bench autodoctor bench --help" in helped.stdout
