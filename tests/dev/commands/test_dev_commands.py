"""The commands of `autodoctor` around one running server: their output and their effects."""

import fcntl
import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from localcloud.commands.banner import BEGIN, COLUMNS, banner
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from localcloud.database.postgres import Database
from localcloud.host.datadir import DEFAULT, DataDir
from localcloud.identity.roster import ROSTER
from support.cloud.dev_process import AUTODOCTOR, Dev, discard, eventually, run, running_dev
from support.files.uploads import FOR_INTAKE, File, Promised

STRANGER = "c0000000-0000-4000-8000-0000000000ff"
PEOPLE = ["customer1", "customer2", "customer3", "mechanic1", "mechanic2", "workshopMechanic", "admin"]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One server for all tests of this file; each test ends what it began."""
    data_dir = tmp_path_factory.mktemp("dev") / "data"
    with running_dev(data_dir) as server:
        yield server
    discard(data_dir)


def command(dev: Dev, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(*arguments, "--data-dir", str(dev.data_dir))


def mails(dev: Dev) -> list[object]:
    found: list[object] = dev.call("admin", "GET", "/_dev/mail.json").json()["mails"]
    return found


def minimum(dev: Dev) -> int | None:
    with psycopg.connect(dev.ready["databaseUrl"]) as connection:
        row = connection.execute("SELECT min_billable_seconds()").fetchone()
    return row[0] if row else None


def test_the_ready_line_names_everything_and_its_tokens_are_good(dev: Dev) -> None:
    assert list(dev.ready) == ["apiUrl", "realtimeUrl", "stripeUrl", "databaseUrl", "tokens"]
    assert list(dev.ready["tokens"]) == PEOPLE == [person.key for person in ROSTER]
    for person in ROSTER:
        route = {"customers": "/api/customer/sessions", "mechanics": "/api/mechanic/queue"}.get(person.group)
        path = route or f"/api/sessions/{STRANGER}"
        assert dev.call(person.key, "GET", path).status_code == (200 if route else 404)
    with psycopg.connect(dev.ready["databaseUrl"]) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("autodoctor_owner",)


def test_the_banner_walks_one_consultation_when_copied(dev: Dev) -> None:
    server = DataDir(dev.data_dir).running_server()
    assert server
    lines = banner(server, dev.data_dir).splitlines()
    begin = next(number for number, line in enumerate(lines) if line.strip().startswith(BEGIN))
    shell = "\n".join(lines[begin:])
    done = subprocess.run(["sh", "-euc", shell], capture_output=True, text=True, check=True)
    session = json.loads(done.stdout.splitlines()[-1])
    assert (session["status"], session["reason"]) == ("cancelled", "too_short")


def test_the_banner_fits_a_terminal_of_80_columns(dev: Dev) -> None:
    server = DataDir(dev.data_dir).running_server()
    assert server
    wide = [line for line in banner(server, DEFAULT).splitlines() if len(line) > COLUMNS]
    assert [line.split()[0] for line in wide] in ([], ["database"])  # a URL with a password of its own


def test_demo_leaves_the_settings_of_a_running_server_alone(dev: Dev) -> None:
    done = command(dev, "demo")
    assert "A talk counts here after 60 s, and this one lasts 3: it ends cancelled." in done.stdout
    assert "Outcome: cancelled (too_short)" in done.stdout
    assert "--billable-after" in done.stdout


def test_demo_changes_the_setting_only_when_told_and_only_for_its_length(dev: Dev) -> None:
    done = command(dev, "demo", "--billable-after", "2")
    assert "Setting min_billable_seconds is 2 during this demo" in done.stdout
    assert "Outcome: completed (billable)" in done.stdout
    assert minimum(dev) == 60


def test_demo_buys_a_session_by_card_and_sends_the_mechanic_their_part(dev: Dev) -> None:
    done = command(dev, "demo", "--pay", "card", "--billable-after", "2")
    assert done.returncode == 0, done.stderr
    said = [line.split() for line in done.stdout.splitlines()]
    assert "the demo presses Pay for Cora Castillo" in done.stdout
    assert ["stripe", "->", "session's", "held", "29.99", "usd", "charge"] in said
    assert ["Mia", "Moreno's", "payable", "->", "stripe", "20.99", "usd", "transfer"] in said
    assert ["sum", "of", "all", "0.00", "usd"] in said


@pytest.mark.slow
def test_demo_gives_back_the_credits_of_what_is_cancelled_each_time(dev: Dev) -> None:
    for paid_by_card in (True, False):
        done = command(dev, "demo", "--pay", "credit", "--outcome", "cancelled")
        assert done.returncode == 0, done.stderr
        assert ("presses Pay" in done.stdout) is paid_by_card, "the second time there are credits"
        assert "Settled: the credits were returned to the customer." in done.stdout
        assert ["sum", "of", "all", "0", "credits"] in [line.split() for line in done.stdout.splitlines()]


def test_token_signs_for_anybody(dev: Dev) -> None:
    printed = command(dev, "token", "--group", "customers", "--sub", STRANGER)
    dev.ready["tokens"]["stranger"] = printed.stdout.strip()
    answer = dev.call("stranger", "GET", "/api/customer/active-session")
    del dev.ready["tokens"]["stranger"]
    assert (answer.status_code, answer.json()) == (200, {"session": None})


def test_invoke_runs_a_function_beside_the_server(dev: Dev) -> None:
    done = command(dev, "invoke", "MigrateFunction")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is not None


def test_an_operator_ends_a_session(dev: Dev) -> None:
    session = dev.call("customer3", "POST", "/api/intake/start", INTAKE_WITH_WAIVER).json()["sessionId"]
    first, second = command(dev, "end", session), command(dev, "end", session)
    assert json.loads(first.stdout)["reason"] == "withdrawn"
    assert json.loads(second.stdout)["alreadyEnded"] is True
    timeline = dev.call("customer3", "GET", f"/api/sessions/{session}").json()["timeline"]
    assert timeline[-1]["actor"] == "operator"


def test_a_second_server_on_the_folder_is_told_who_holds_it(dev: Dev) -> None:
    second = command(dev, "dev")
    assert second.returncode == 1
    assert f"in use by process {dev.process.pid} (" in second.stderr
    assert f"try: kill {dev.process.pid}" in second.stderr


def test_reset_empties_and_seeds_under_the_running_server(dev: Dev) -> None:
    asked = {**INTAKE_WITH_WAIVER, "email": "reset@example.com"}
    assert dev.call("customer2", "POST", "/api/intake/start", asked).status_code == 201
    assert eventually(lambda: "reset@example.com" in str(mails(dev)), within=150)  # or by the relay, a minute later
    promised = dev.call("customer2", "POST", FOR_INTAKE, File().promise).json()["upload"]
    assert Promised("", promised["url"], promised["fields"]).post(File().content).status_code == 204
    assert any((dev.data_dir / "files").rglob("uploads*"))
    assert command(dev, "dev", "reset").returncode == 0
    assert mails(dev) == []
    assert not (dev.data_dir / "files").exists()
    assert dev.call("customer2", "GET", "/api/customer/sessions").json()["sessions"] == []
    assert dev.call("mechanic1", "GET", "/api/mechanic/queue").json()["assignments"] == []
    assert "nothing is wrong" in command(dev, "verify").stdout


def test_a_database_of_the_users_own_is_used_and_never_reset(database: Database, tmp_path: Path) -> None:
    urls = ("--database-url", database.owner_url, "--app-database-url", database.app_url)
    with running_dev(tmp_path / "data", *urls) as dev:
        assert dev.ready["databaseUrl"] == database.owner_url
        assert dev.call("customer1", "POST", "/api/intake/start", INTAKE_WITH_WAIVER).status_code == 201
        refused = command(dev, "dev", "reset")
    assert "your own database" in refused.stderr
    with psycopg.connect(database.owner_url) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify"], "nothing is wrong"),
        (["repair"], "nothing was changed; --apply does it"),
        (["reconcile"], "differences: none"),
        (["redrive"], "SettleDeadLetterQueue"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_operators_command_works_on_the_running_server(dev: Dev, arguments: list[str], said: str) -> None:
    done = command(dev, *arguments)
    assert (done.returncode, said in done.stdout) == (0, True), done.stdout + done.stderr


def test_without_a_server_token_says_what_to_do(tmp_path: Path) -> None:
    refused = run("token", "--group", "admins", "--sub", STRANGER, "--data-dir", str(tmp_path / "none"))
    assert refused.returncode == 1
    assert f"start one with `autodoctor dev --data-dir {tmp_path}/none`" in refused.stderr


def without_a_network() -> None:
    """Move this process into a network of its own, with nothing in it but the loopback."""
    os.unshare(os.CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        set_flags, up_and_running = 0x8914, 0x1 | 0x40
        fcntl.ioctl(control, set_flags, struct.pack("16sh14x", b"lo", up_and_running))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take a process's network away")
def test_demo_runs_to_completion_without_a_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [*AUTODOCTOR, "demo", "--data-dir", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=without_a_network,
    )
    assert "Outcome: completed (billable)" in done.stdout, done.stderr
