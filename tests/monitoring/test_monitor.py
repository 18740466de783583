"""The monitor notifies once when an alert opens and once when it clears, whichever run dies in between."""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from autodoctor.db import Database
from autodoctor.ids import new_id
from autodoctor.monitoring.alerts import latest
from autodoctor.monitoring.dashboard import session_health
from autodoctor.monitoring.monitor import CLAIM_SECONDS, measurements, notify, observe
from support.sessions.past_sessions import PastSessions, free, no_show
from support.world import World


@dataclass
class Inbox:
    """A topic's subscriber."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    down: bool = False

    def publish(self, subject: str, message: str, attributes: Mapping[str, str]) -> None:
        if self.down:
            raise ConnectionError("the topic is down")
        assert subject.isascii()
        assert len(subject) <= 100
        body = json.loads(message)
        assert attributes == {name: body[name] for name in ("news", "alert", "severity")}
        self.messages.append(body)

    @property
    def notified(self) -> list[tuple[str, str, str]]:
        """News, alert and subject of everything that was told."""
        return [(body["news"], body["alert"], each["subject"]) for body in self.messages for each in body["alerts"]]


def run(world: World, inbox: Inbox, database: Database | None = None) -> int:
    observe(database or world.app)
    return notify(database or world.app, inbox.publish, lambda: 60.0)


def waits(world: World) -> UUID:
    """A customer who has waited too long."""
    created = world.queued()
    world.let_time_pass(700)
    return created.session_id


def test_an_alert_is_told_once_and_its_end_once(world: World) -> None:
    inbox, session_id = Inbox(), waits(world)
    assert [run(world, inbox) for _ in range(3)] == [1, 0, 0]
    assert inbox.notified == [("opened", "waiting_too_long", str(session_id))]
    world.accept_current(world.mechanic(), session_id)
    assert [run(world, inbox) for _ in range(3)] == [1, 0, 0]
    assert inbox.notified[1:] == [("cleared", "waiting_too_long", str(session_id))]
    opened, cleared = (body["alerts"][0] for body in inbox.messages)
    assert opened["alertId"] == cleared["alertId"]
    assert (opened["clearedAt"], cleared["facts"]["assignmentStatus"]) == (None, "queued")


def test_an_alert_that_comes_back_is_another_one(world: World) -> None:
    inbox, session_id = Inbox(), waits(world)
    run(world, inbox)
    mechanic = world.mechanic()
    world.accept_current(mechanic, session_id)
    run(world, inbox)
    world.owner.execute("UPDATE sessions SET status = 'pending' WHERE id = %s", [session_id])
    run(world, inbox)
    assert [change for change, _, _ in inbox.notified] == ["opened", "cleared", "opened"]
    assert len({each["alertId"] for body in inbox.messages for each in body["alerts"]}) == 2


def test_alerts_of_one_kind_share_a_message(world: World) -> None:
    inbox = Inbox()
    for _ in range(3):
        world.queued()
    world.let_time_pass(700)
    assert run(world, inbox) == 3
    assert [(body["alert"], body["count"]) for body in inbox.messages] == [("waiting_too_long", 3)]


def test_what_gets_worse_is_not_told_again_but_shown(world: World) -> None:
    inbox = Inbox()
    waits(world)
    run(world, inbox)
    world.let_time_pass(2000)
    assert run(world, inbox) == 0
    assert [each.severity for each in latest(world.app)] == ["critical"]


def test_a_limit_is_told_with_its_percentage(world: World, past_sessions: PastSessions) -> None:
    inbox = Inbox()
    past_sessions.sessions(10, datetime.now(UTC) - timedelta(hours=1), no_show())
    run(world, inbox)
    assert sorted(inbox.notified) == [("opened", "completion_low", "all"), ("opened", "no_show_high", "all")]
    facts = {body["alert"]: body["alerts"][0]["facts"] for body in inbox.messages}
    assert facts["no_show_high"] == {"percent": 100.0, "limit": 15, "sessions": 10}


def test_a_wrong_mark_that_grows_old_is_not_over(world: World, past_sessions: PastSessions) -> None:
    inbox = Inbox()
    past_sessions.session(datetime.now(UTC) - timedelta(hours=1), free(evidence=False))
    run(world, inbox)
    with world.without_triggers() as connection:
        for statement in (
            "UPDATE session_events SET occurred_at = occurred_at - interval '3 days'",
            "UPDATE health_alerts SET since = since - interval '3 days'",
        ):
            connection.execute(statement)
    assert run(world, inbox) == 0
    assert [change for change, _, _ in inbox.notified] == ["opened"]


# --- who dies ---------------------------------------------------------------------------------------


def test_what_was_stored_by_a_run_that_died_is_told_by_the_next(world: World) -> None:
    inbox, session_id = Inbox(), waits(world)
    assert observe(world.app).opened == 1  # and dies
    world.accept_current(world.mechanic(), session_id)  # and it is over before anybody was told
    assert run(world, inbox) == 2
    assert [change for change, _, _ in inbox.notified] == ["opened", "cleared"]


def test_a_topic_that_is_down_is_told_later(world: World) -> None:
    inbox = Inbox(down=True)
    waits(world)
    with pytest.raises(ConnectionError):
        run(world, inbox)
    inbox.down = False
    assert run(world, inbox) == 0  # claimed by the run that failed
    world.owner.execute("UPDATE health_alerts SET claimed_until = clock_timestamp()")
    assert run(world, inbox) == 1


DIES = """
import os, signal, sys
from autodoctor.db import Database
from autodoctor.monitoring.monitor import notify, observe

def publish(subject, message, attributes):
    if sys.argv[2] == "after":
        print(message, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

database = Database(lambda: sys.argv[1])
observe(database)
notify(database, publish, lambda: 60.0)
"""


@pytest.mark.parametrize(("killed", "tellings"), [("before", 1), ("after", 2)])
def test_a_run_that_is_killed_around_the_publishing_loses_nothing(world: World, killed: str, tellings: int) -> None:
    """Before it is published it is told once, after it once more, under the same id."""
    inbox = Inbox()
    waits(world)
    command = [sys.executable, "-c", DIES, world.urls.app_url, killed]
    dead = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert dead.returncode == -9
    if dead.stdout:
        inbox.messages.append(json.loads(dead.stdout))
    assert run(world, inbox) == 0
    seconds = world.one("SELECT extract(epoch FROM claimed_until - clock_timestamp()) FROM health_alerts")
    assert 0 < seconds <= CLAIM_SECONDS
    world.owner.execute("UPDATE health_alerts SET claimed_until = clock_timestamp()")
    assert [run(world, inbox), run(world, inbox)] == [1, 0]
    assert len(inbox.notified) == tellings
    assert len({each["alertId"] for body in inbox.messages for each in body["alerts"]}) == 1


def test_runs_at_the_same_time_tell_once(world: World) -> None:
    inbox, barrier = Inbox(), threading.Barrier(4)
    for _ in range(5):
        world.queued()
    world.let_time_pass(700)

    def one() -> int:
        with world.elsewhere() as database:
            barrier.wait(timeout=30)
            return run(world, inbox, database)

    with ThreadPoolExecutor(4) as threads:
        assert sum(each.result() for each in [threads.submit(one) for _ in range(4)]) == 5
    assert len(inbox.notified) == len(set(inbox.notified)) == 5


def test_who_was_too_slow_marks_nothing(world: World) -> None:
    """Another run has claimed the alert since, and tells of it."""
    waits(world)
    observe(world.app)
    inbox = Inbox()

    def slow(*_: object) -> None:
        world.owner.execute("UPDATE health_alerts SET claimed_until = clock_timestamp()")

    ticks = iter((60.0, 0.0))
    assert notify(world.app, slow, lambda: next(ticks)) == 0
    assert run(world, inbox) == 1


# --- metrics ----------------------------------------------------------------------------------------


def test_the_metrics_are_the_page_in_numbers(world: World) -> None:
    assert "HealthScore" not in measurements(session_health(world.app))
    waits(world)
    world.live(world.mechanic(), new_id())
    found = measurements(session_health(world.app))
    assert found["OldestWaitingSeconds"] >= 700
    assert {
        name: found[name] for name in ("SessionsWaiting", "SessionsLive", "AlertsWarning", "MechanicsAvailable")
    } == {
        "SessionsWaiting": 1,
        "SessionsLive": 1,
        "AlertsWarning": 1,
        "MechanicsAvailable": 0,
    }
    assert found["HealthScore"] == 70.0  # one of two has an alert
