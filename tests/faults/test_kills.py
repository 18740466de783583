"""Killing any process of the local cloud at any time only delays what it does."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from localcloud.commands.samples import INTAKE_WITH_WAIVER
from localcloud.database.postgres import PostgresServer, PostgresSettings
from support.account import Caller
from support.cloud.dev_process import Dev, discard, run, running_dev
from support.events.feed_client import FeedClient
from support.events.pipeline import Backlog, Pipeline, kill_workers, sent_mails, untold
from support.invariants.sessions import violations
from support.world import World

FUNCTIONS = ("intake", "accept", "presence", "end_session", "relay", "broadcast", "notify", "socket")
AGAIN_SECONDS = 60.0


def insist(method: str, url: str, headers: Mapping[str, str], body: Any, expected: int) -> dict[str, Any]:  # noqa: ANN401
    """Make a call as a client does who tries again for as long as the server fails; every call of ours may be."""
    deadline = time.monotonic() + AGAIN_SECONDS
    while True:
        with suppress(httpx.TransportError):
            response = httpx.request(method, url, json=body, headers=dict(headers), timeout=15, trust_env=False)
            if response.status_code == expected:
                document: dict[str, Any] = response.json()
                return document
            again = response.status_code >= 500 or response.status_code in {404, 409, 429}
            assert again, f"{url}: {response.status_code} {response.text}"
        assert time.monotonic() < deadline, f"{url} never answered {expected}"
        time.sleep(0.1)


@dataclass
class Consultation:
    """One session of a customer and a mechanic, a step at a time; headers are theirs."""

    api_url: str
    customer: Mapping[str, str]
    mechanic: Mapping[str, str]
    address: str
    session_id: str = ""
    assignment_id: str = ""
    done: list[str] = field(default_factory=list)

    STEPS = ("ask", "accept", "customer joins", "mechanic joins", "end")

    def step(self) -> bool:
        """Take the next step; False when there is none."""
        if len(self.done) == len(self.STEPS):
            return False
        step = self.STEPS[len(self.done)]
        getattr(self, step.replace(" ", "_"))()
        self.done.append(step)
        return True

    def ask(self) -> None:
        """A request, recognised when it is sent again."""
        headers = {**self.customer, "Idempotency-Key": self.address}
        body = {**INTAKE_WITH_WAIVER, "email": self.address}
        answer = insist("POST", f"{self.api_url}/api/intake/start", headers, body, 201)
        self.session_id, self.assignment_id = answer["sessionId"], answer["assignmentId"]

    def accept(self) -> None:
        """The mechanic takes it."""
        url = f"{self.api_url}/api/mechanic/assignments/{self.assignment_id}/accept"
        insist("POST", url, self.mechanic, None, 200)

    def customer_joins(self) -> None:
        """The customer comes."""
        insist("POST", f"{self.api_url}/api/sessions/{self.session_id}/join", self.customer, None, 200)

    def mechanic_joins(self) -> None:
        """The mechanic comes, and it is live."""
        insist("POST", f"{self.api_url}/api/sessions/{self.session_id}/join", self.mechanic, None, 200)

    def end(self) -> None:
        """The customer ends it."""
        insist("POST", f"{self.api_url}/api/sessions/{self.session_id}/end", self.customer, None, 200)


def headers_of(caller: Caller) -> dict[str, str]:
    """The headers of somebody's calls."""
    assert caller.authorization
    return {"Authorization": caller.authorization}


def all_done_once(world: World, mails: list[dict[str, Any]], sessions: int) -> None:
    """Every transition took effect, none twice, and no invariant is broken."""
    assert world.one("SELECT count(*) FROM sessions WHERE status = 'cancelled'") == sessions
    assert untold(world) == []
    assert violations(world.owner) == []
    assert world.one("SELECT count(*) FROM outbox_poison") == 0
    times = Counter((mail["to"][0], mail["kind"]) for mail in mails)
    assert set(times.values()) <= {1}, "a mail twice"
    sent = world.one("SELECT count(*) FROM mail_deliveries WHERE state = 'sent'")
    unknown = world.one("SELECT count(*) FROM mail_deliveries WHERE state = 'unknown'")
    assert sent <= len(mails) <= sent + unknown


def hunt(pipeline: Pipeline, rounds: int, seed: int) -> None:
    """Consultations side by side, each step followed by the death of somebody's process."""
    dice, account = random.Random(seed), pipeline.account
    killed: Counter[str] = Counter()
    witness = account.customer()
    consultations = [
        Consultation(
            account.cloud.api_url,
            headers_of(
                account.caller(
                    "customers", witness.user_id if number == 0 else None, email=f"{seed}-{number}@example.com"
                )
            ),
            headers_of(account.mechanic()),
            f"{seed}-{number}@example.com",
        )
        for number in range(rounds)
    ]
    with FeedClient.of(witness) as feed:
        at_work = list(consultations)
        while at_work:
            one = dice.choice(at_work)
            if not one.step():
                at_work.remove(one)
            victim = dice.choice(FUNCTIONS)
            killed[victim] += pipeline.kill(victim)
            if dice.random() < 0.1:
                # nobody waits for it: it may be killed at work
                pipeline.account.cloud.invoke("RelayFunction", {})
        pipeline.backlog.work_off()
        feed.wait_for(lambda frame: frame.type == "session_updated" and frame.payload["status"] == "cancelled")
        told = [frame.payload["status"] for frame in feed.of_type("session_updated")]
        seqs = {(frame.seq, frame.text) for frame in feed.received}
    assert told[-1] == "cancelled"
    assert len({seq for seq, _ in seqs}) == len(seqs), "what is sent again is the same"
    assert sum(killed.values()) >= rounds
    mails = [mail for mail in pipeline.mails() if mail["to"][0].startswith(f"{seed}-")]
    all_done_once(pipeline.world, mails, rounds)


def test_killing_any_function_s_process_at_any_time_only_delays(pipeline: Pipeline) -> None:
    hunt(pipeline, rounds=4, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_killing_many_processes_for_long_only_delays(pipeline: Pipeline, seed: int) -> None:
    pipeline.world.clear()
    pipeline.world.owner.execute("DELETE FROM mail_deliveries")
    hunt(pipeline, rounds=40, seed=seed)


# --- the whole server ---------------------------------------------------------------------------------------------


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    discard(tmp_path / "data")


def world_of(dev: Dev) -> World:
    """The database of a running server."""
    settings = PostgresSettings(dev.data_dir / "postgres", urlsplit(dev.ready["databaseUrl"]).port or 0)
    return World(PostgresServer(settings, print).database())


def tokens(dev: Dev, name: str) -> dict[str, str]:
    """The headers of the calls of a person of the roster."""
    return {"Authorization": f"Bearer {dev.ready['tokens'][name]}"}


def crash(data_dir: Path, crashes: int, consultations: int, seed: int) -> None:
    """Consultations one after the other on servers that are killed in the middle of them."""
    dice = random.Random(seed)
    plan = [(number, step) for number in range(consultations) for step in range(len(Consultation.STEPS))]
    fatal = set(dice.sample(range(1, len(plan)), crashes))
    one: Consultation | None = None
    at = 0
    while at < len(plan):
        with running_dev(data_dir) as dev:
            while at < len(plan):
                number, step = plan[at]
                if one is None or step == 0:
                    one = Consultation("", {}, {}, f"{seed}-{number}@example.com")
                one.api_url = dev.ready["apiUrl"]
                one.customer = tokens(dev, f"customer{1 + number % 3}")
                one.mechanic = tokens(dev, f"mechanic{1 + number % 2}")
                one.step()
                at += 1
                kill_workers(dev.process.pid, dice.choice(FUNCTIONS))
                if at in fatal:
                    os.kill(dev.process.pid, signal.SIGKILL)
                    dev.process.wait()
                    break
    with running_dev(data_dir) as dev:
        settled(dev, data_dir, consultations)


def settled(dev: Dev, data_dir: Path, consultations: int) -> None:
    """Let a server finish; what it has given up is sent again with the command an operator has."""
    world = world_of(dev)
    backlog = Backlog(
        world, data_dir, dev.ready["apiUrl"], lambda: run("invoke", "RelayFunction", "--data-dir", str(data_dir))
    )
    backlog.work_off()
    listed = run("redrive", "--data-dir", str(data_dir))
    assert listed.returncode == 0, listed.stderr
    assert all(line.split()[1] == "0" for line in listed.stdout.splitlines())
    with httpx.Client(base_url=dev.ready["apiUrl"], trust_env=False) as http:
        all_done_once(world, sent_mails(http), consultations)
    world.close()


def test_killing_the_whole_server_only_delays(data_dir: Path) -> None:
    crash(data_dir, crashes=1, consultations=1, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2])
def test_killing_the_whole_server_again_and_again_only_delays(data_dir: Path, seed: int) -> None:
    crash(data_dir, crashes=5, consultations=4, seed=seed)
