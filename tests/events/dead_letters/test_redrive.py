"""`autodoctor redrive` lists dead letters without personal data and sends them again from any queue."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from localcloud.cli import app
from localcloud.compute.environment import service_endpoints
from localcloud.host.datadir import DataDir, RunningServer
from localcloud.messaging.redrive import local_account
from support.cloud.engine import due_soon
from support.events.bus_app import RunningBusApp, open_bus_app
from support.wait import wait_until

type Redrive = Callable[..., Result]

SECRET = "Mrs. Miller"  # noqa: S105 - what must not be shown


@pytest.fixture
def bus_app(tmp_path: Path) -> Iterator[RunningBusApp]:
    with open_bus_app(tmp_path) as bus_app:
        yield bus_app


@pytest.fixture
def redrive(bus_app: RunningBusApp, tmp_path: Path) -> Iterator[Redrive]:
    """Give the command, for a data folder that names the shop's server."""
    data_dir = DataDir(tmp_path / "server")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["redrive", *arguments, "--data-dir", str(data_dir.folder)])

    with data_dir.hold():
        data_dir.announce(RunningServer(os.getpid(), bus_app.api_url, "", "", embedded=False, tokens={}))
        yield run


def test_sends_what_a_consumer_failed_on_back_to_its_queue(bus_app: RunningBusApp, redrive: Redrive) -> None:
    bus_app.tell_functions(names=["bad"])
    bus_app.put("bad", customer=SECRET, eventId="0193-event")
    wait_until(lambda: bus_app.depth("OrderedDeadLetterQueue.fifo") == 1)
    listed = redrive("OrderedDeadLetterQueue", "--list").stdout
    assert "type=order.made" in listed
    assert "eventId=0193-event" in listed
    assert "target=OrderedQueue.fifo (its consumer failed" in listed
    assert SECRET not in listed
    bus_app.tell_functions()
    assert redrive("OrderedDeadLetterQueue").stdout == "OrderedDeadLetterQueue: 1 sent again\n"
    wait_until(lambda: bus_app.names() == ["bad", "bad", "bad"])
    assert bus_app.noted()[-1]["records"][0]["attributes"]["ApproximateReceiveCount"] == "1"
    assert bus_app.depth("OrderedDeadLetterQueue.fifo") == 0


def test_sends_what_a_rule_could_not_deliver_to_its_target(bus_app: RunningBusApp, redrive: Redrive) -> None:
    bus_app.faults.undeliverable = frozenset({"OrderedQueue.fifo"})
    bus_app.put("stuck", customer=SECRET)
    wait_until(lambda: bus_app.depth("BusDeadLetterQueue") == 1)
    bus_app.faults.undeliverable = frozenset()
    listed = redrive("BusDeadLetterQueue", "--list").stdout
    assert "rule " in listed
    assert "(THROTTLING)" in listed
    assert SECRET not in listed
    assert redrive("BusDeadLetterQueue").exit_code == 0
    wait_until(lambda: bus_app.names() == ["stuck"])
    assert bus_app.depth("BusDeadLetterQueue") == 0


def test_invokes_again_the_function_that_a_schedule_gave_up_on(tmp_path: Path) -> None:
    def start(due: datetime) -> AbstractContextManager[RunningBusApp]:
        folder = tmp_path / due.strftime("%H%M%S")
        folder.mkdir()
        (folder / "failures.json").write_text("{}")
        return open_bus_app(folder, FiringTime=due.strftime("%Y-%m-%dT%H:%M:%S"))

    with due_soon(start) as bus_app:
        wait_until(lambda: bus_app.depth("SweepDeadLetterQueue") == 1)
        account = local_account(bus_app.api_url)
        queue = account.dead_letter_queue("SweepDeadLetterQueue")
        [letter] = account.messages(queue)
        assert (letter.origin, letter.error) == ("function", "RetriesExhausted RuntimeError")
        outcome = account.redrive(queue)
        assert outcome.sent == 0
        assert "failed again" in outcome.kept[0]
        assert bus_app.depth("SweepDeadLetterQueue") == 1
        bus_app.tell_functions()
        assert account.redrive(queue).sent == 1
        assert bus_app.noted() == [{"event": {"sweep": 1}}]
        assert bus_app.depth("SweepDeadLetterQueue") == 0


def test_lists_every_dead_letter_queue_with_depth_and_oldest_letter(bus_app: RunningBusApp, redrive: Redrive) -> None:
    bus_app.send("BusDeadLetterQueue", "who knows")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    lines = {line.split()[0]: line.split()[1:] for line in redrive().stdout.splitlines()}
    assert set(lines) == {
        "BusDeadLetterQueue",
        "OrderedDeadLetterQueue",
        "PlainDeadLetterQueue",
        "SweepDeadLetterQueue",
    }
    assert lines["BusDeadLetterQueue"][:3] == ["1", "oldest", today]
    assert lines["PlainDeadLetterQueue"] == ["0"]
    assert bus_app.depth("BusDeadLetterQueue") == 1  # looking leaves it there


def test_keeps_and_names_what_has_nowhere_to_go(bus_app: RunningBusApp, redrive: Redrive) -> None:
    sent = bus_app.send("BusDeadLetterQueue", "who knows")
    outcome = redrive("BusDeadLetterQueue")
    assert outcome.exit_code == 1
    assert f"stays: {sent['MessageId']}: nobody knows where it was meant to go" in outcome.stderr
    assert bus_app.depth("BusDeadLetterQueue") == 1


STACK = """<ListStackResourcesResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
<ListStackResourcesResult><StackResourceSummaries>%s</StackResourceSummaries></ListStackResourcesResult>
</ListStackResourcesResponse>"""
RESOURCE = """<member><LogicalResourceId>%s</LogicalResourceId><PhysicalResourceId>%s</PhysicalResourceId>
<ResourceType>%s</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus>
<LastUpdatedTimestamp>2026-11-21T00:00:00Z</LastUpdatedTimestamp></member>"""


@contextmanager
def cloudformation(resources: dict[str, str]) -> Iterator[str]:
    """Serve ListStackResources for queues, by logical id, and a function that is none; give its URL."""
    members = [RESOURCE % (name, url, "AWS::SQS::Queue") for name, url in resources.items()]
    answer = STACK % "".join([*members, RESOURCE % ("OtherFunction", "other", "AWS::Lambda::Function")])

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_knows_the_queues_of_a_stack_on_aws_by_their_names_in_the_template(
    bus_app: RunningBusApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus_app.tell_functions(**{"raise": True})
    bus_app.send("PlainQueue", '{"name": "bad"}')
    wait_until(lambda: bus_app.depth("PlainDeadLetterQueue") == 1)
    bus_app.tell_functions()
    for name, value in service_endpoints(bus_app.api_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    with cloudformation({"Letters": bus_app.url("PlainDeadLetterQueue"), "Work": bus_app.url("PlainQueue")}) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", url)
        outcome = CliRunner().invoke(app, ["redrive", "Letters", "--stack", "shop", "--region", "eu-central-1"])
    assert outcome.stdout == "Letters: 1 sent again\n"
    wait_until(lambda: bus_app.names() == ["bad", "bad"])


def test_says_what_cannot_be(tmp_path: Path, redrive: Redrive) -> None:
    outcome = redrive("OrderedQueue")
    assert outcome.exit_code == 1
    assert "OrderedQueue is no dead-letter queue; there are BusDeadLetterQueue" in outcome.stderr
    elsewhere = CliRunner().invoke(app, ["redrive", "--data-dir", str(tmp_path / "nowhere")])
    assert elsewhere.exit_code == 1
    assert "no server runs" in elsewhere.stderr
