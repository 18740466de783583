"""`autodoctor room` in two terminals, the server killed in between, and escapes that reach no terminal."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import pytest

from autodoctor.ids import new_id
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.cloud.dev_process import AUTODOCTOR, Dev, discard, running_dev

WAIT_SECONDS = 100.0


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a data folder for a server and its successor."""
    folder = tmp_path_factory.mktemp("room") / "data"
    yield folder
    discard(folder)


class Terminal:
    """A running `autodoctor room`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: Queue[str] = Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def type(self, text: str) -> None:
        """Type a line."""
        assert self.process.stdin
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def shows(self, words: str) -> str:
        """The next line with these words."""
        passed = []
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            if not self.lines.empty():
                line = self.lines.get()
                if words in line:
                    return line
                passed.append(line)
            time.sleep(0.02)
        raise AssertionError(f"no line with {words!r} in {passed}")


@contextmanager
def terminal(data_dir: Path, session: str, person: str, *options: str) -> Iterator[Terminal]:
    """Run the command until the block ends."""
    with subprocess.Popen(
        [*AUTODOCTOR, "room", session, "--as", person, "--data-dir", str(data_dir), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        opened = Terminal(process)
        try:
            yield opened
        finally:
            process.kill()
            process.wait()
            opened.reader.join()


def accepted(dev: Dev) -> str:
    """A session that mechanic1 has accepted from customer1."""
    started = dev.call("customer1", "POST", "/api/intake/start", INTAKE_WITH_WAIVER).json()
    assert dev.call("mechanic1", "POST", f"/api/mechanic/assignments/{started['assignmentId']}/accept").is_success
    return str(started["sessionId"])


def test_two_terminals_talk_and_lose_nothing_where_the_server_is_killed(data_dir: Path) -> None:
    with running_dev(data_dir) as dev:
        session = accepted(dev)
        with terminal(data_dir, session, "customer1") as driver, terminal(data_dir, session, "mechanic1") as helper:
            for each in (driver, helper):
                each.shows("here: customer and mechanic")
            driver.type("It squeals.")
            assert helper.shows("It squeals.").endswith("customer: It squeals.")
            evil = {"clientId": str(new_id()), "text": "red \x1b[31m\x07\nsecond line"}
            assert dev.call("customer1", "POST", f"/api/sessions/{session}/messages", evil).status_code == 201
            assert r"red \x1b[31m\x07" in helper.shows("red")
            dev.process.kill()
            dev.process.wait()
            helper.shows("lost:")
            driver.type("Are you there?")
            with running_dev(data_dir) as again:
                helper.shows("customer: Are you there?")
                helper.type("Yes.")
                driver.shows("mechanic: Yes.")
                texts = [
                    each["text"]
                    for each in again.call("customer1", "GET", f"/api/sessions/{session}/messages").json()["messages"]
                    if each["role"] != "system"
                ]
                assert [text for text in texts if "red" not in text] == ["It squeals.", "Are you there?", "Yes."]
                again.call("customer1", "POST", f"/api/sessions/{session}/end")


def test_who_is_told_to_stop_has_left(data_dir: Path) -> None:
    with running_dev(data_dir) as dev:
        session = accepted(dev)
        with terminal(data_dir, session, "customer1") as driver:
            driver.shows("here: customer")
            driver.process.send_signal(signal.SIGINT)
            assert driver.process.wait(WAIT_SECONDS) == 0
        shown = dev.call("mechanic1", "GET", f"/api/sessions/{session}/messages").json()
        assert shown["messages"][-1]["text"] == "The customer has left."
        dev.call("customer1", "POST", f"/api/sessions/{session}/end")


def test_without_a_terminal_it_says_stays_and_leaves(data_dir: Path) -> None:
    with running_dev(data_dir) as dev:
        session = accepted(dev)
        with terminal(data_dir, session, "customer1", "--say", "Hello", "--say", "It squeals", "--stay", "0") as driver:
            assert driver.process.wait(WAIT_SECONDS) == 0
        with terminal(data_dir, session, "mechanic2") as stranger:
            assert stranger.process.wait(WAIT_SECONDS) == 1
            stranger.shows("the room cannot be entered: There is no such session.")
        shown = dev.call("mechanic1", "GET", f"/api/sessions/{session}/messages").json()
        assert [each["text"] for each in shown["messages"] if each["role"] == "customer"] == ["Hello", "It squeals"]
        texts = [each["text"] for each in shown["messages"]]
        assert texts.index("The customer is here.") < texts.index("Hello"), "who talks is there"
        assert texts[-1] == "The customer has left.", "an end that was meant is no lost connection"
        dev.call("customer1", "POST", f"/api/sessions/{session}/end")
        with terminal(data_dir, session, "customer1", "--say", "Too late") as late:
            assert late.process.wait(WAIT_SECONDS) == 1
            late.shows("the server refused with 409: This session is over")
