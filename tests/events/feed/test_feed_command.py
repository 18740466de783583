"""`autodoctor feed` in one terminal, events from another, the server killed in between."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from localcloud.identity.roster import ROSTER
from support.cloud.dev_process import AUTODOCTOR, Dev, discard, run, running_dev

WAIT_SECONDS = 100.0


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the tests here one data folder, whose server may be another after a kill."""
    folder = tmp_path_factory.mktemp("feed") / "data"
    yield folder
    discard(folder)


@pytest.fixture(scope="module")
def dev(data_dir: Path) -> Iterator[Dev]:
    """One server for the tests that do not kill it."""
    with running_dev(data_dir) as server:
        yield server


@dataclass
class Watched:
    """A running `autodoctor feed`; its lines of both streams, as they come."""

    process: subprocess.Popen[str]
    lines: "queue.Queue[str]"

    def line_with(self, *words: str) -> str:
        """Return the next line that has all of these words."""
        passed: list[str] = []
        while True:
            try:
                line = self.lines.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                raise AssertionError(f"no line with {words} in {passed}") from None
            if all(word in line for word in words):
                return line
            passed.append(line)

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(WAIT_SECONDS)


@contextlib.contextmanager
def watching(data_dir: Path, *arguments: str) -> Iterator[Watched]:
    """Run the command until the block ends; it is connected before it begins."""
    with subprocess.Popen(
        [*AUTODOCTOR, "feed", "--data-dir", str(data_dir), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        lines: queue.Queue[str] = queue.Queue()
        stdout = process.stdout
        assert stdout
        reader = threading.Thread(target=_pass_on, args=(stdout, lines), daemon=True)
        reader.start()
        watched = Watched(process, lines)
        try:
            watched.line_with("connected as")
            yield watched
        finally:
            process.kill()
            process.wait()
            reader.join()


def _pass_on(stream: Iterable[str], lines: "queue.Queue[str]") -> None:
    for line in stream:
        lines.put(line)


def request(dev: Dev, person: str) -> dict[str, str]:
    answer = dev.call(person, "POST", "/api/intake/start", INTAKE_WITH_WAIVER)
    assert answer.status_code == 201, answer.text
    started: dict[str, str] = answer.json()
    return started


def listening(*feeds: Watched) -> None:
    """Wait until the server has answered them: what happens from then on is pushed, not only found in the queue."""
    for feed in feeds:
        feed.line_with("connectionId")


def accept_and_end(dev: Dev, started: dict[str, str]) -> None:
    for path in (f"mechanic/assignments/{started['assignmentId']}/accept", f"sessions/{started['sessionId']}/end"):
        assert dev.call("mechanic1", "POST", f"/api/{path}").status_code == 200


def test_shows_each_change_as_it_happens_until_interrupted(dev: Dev) -> None:
    with watching(dev.data_dir) as mechanic, watching(dev.data_dir, "--as", "customer1", "--json") as customer:
        listening(mechanic, customer)
        started = request(dev, "customer1")
        line = mechanic.line_with("new_assignment", started["assignmentId"])
        assert f"sessionId={started['sessionId']}" in line
        assert "urgent=false" in line
        assert line.split()[1].isdecimal()
        accept_and_end(dev, started)
        mechanic.line_with("assignment_accepted", started["assignmentId"])
        message = json.loads(customer.line_with('"waiting"', "session_updated"))
        assert {"at", "type", "seq", "payload"} == set(message)
        assert message["payload"]["sessionId"] == started["sessionId"]
        customer.line_with("session_updated", "withdrawn")
        assert mechanic.interrupt() == customer.interrupt() == 0


def test_replays_what_came_after_a_number_and_says_when_it_cannot(dev: Dev) -> None:
    started = request(dev, "customer2")
    with watching(dev.data_dir, "--since", "0") as feed:
        feed.line_with("new_assignment", started["assignmentId"])
    with watching(dev.data_dir, "--since", "999999", "--as", "mechanic2") as feed:
        feed.line_with("resync")
        feed.line_with("the queue holds")
        feed.line_with("queue", started["assignmentId"], "queuedAt=")
    accept_and_end(dev, started)


def test_is_for_anybody_by_id(dev: Dev) -> None:
    [person] = [person for person in ROSTER if person.key == "customer3"]
    with watching(dev.data_dir, "--sub", str(person.sub), "--group", "customers") as feed:
        listening(feed)
        started = request(dev, "customer3")
        feed.line_with("session_updated", started["sessionId"])
    accept_and_end(dev, started)


def test_a_reset_under_the_running_server_does_not_leave_it_deaf(dev: Dev) -> None:
    with watching(dev.data_dir) as mechanic, watching(dev.data_dir, "--as", "customer1") as customer:
        assert run("dev", "reset", "--data-dir", str(dev.data_dir)).returncode == 0
        for feed in (mechanic, customer):
            feed.line_with("lost:")
            feed.line_with("connected again")
        listening(mechanic, customer)
        started = request(dev, "customer1")
        mechanic.line_with("new_assignment", started["assignmentId"])
        accept_and_end(dev, started)
        customer.line_with("session_updated", "withdrawn")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--as", "nobody"], "nobody of that name"),
        (["--sub", str(ROSTER[0].sub)], "--sub goes with --group"),
        (["--group", "mechanics"], "--group goes with --sub"),
    ],
)
def test_says_what_is_wrong_with_a_user(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    done = run("feed", "--data-dir", str(tmp_path / "data"), *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_without_a_server_it_says_how_to_start_one(tmp_path: Path) -> None:
    done = run("feed", "--data-dir", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "start one with `autodoctor dev" in done.stderr


def test_goes_on_after_the_server_was_killed_and_misses_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    data_dir = tmp_path_factory.mktemp("feed") / "data"
    with contextlib.ExitStack() as feeds:
        with running_dev(data_dir) as dev:
            feed = feeds.enter_context(watching(data_dir))
            listening(feed)
            first = request(dev, "customer1")
            feed.line_with("new_assignment", first["assignmentId"])
            family = dev.family()
            dev.process.kill()
            assert dev.leaves_nothing(family)
        feed.line_with("lost:")
        with running_dev(data_dir) as again:
            second = request(again, "customer2")
            feed.line_with("new_assignment", second["assignmentId"])
            assert feed.interrupt() == 0
    discard(data_dir)
