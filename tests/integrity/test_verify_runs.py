"""The scheduled runs: their records, their reports, and how several together check everything."""

from collections.abc import Iterator, Mapping
from itertools import count

import pytest

from autodoctor.integrity.checks.base import Section
from autodoctor.integrity.report import VerifyReport
from autodoctor.integrity.runs import MARGIN_SECONDS, OpenFindings, newest_runs, run
from localcloud.database.postgres import PostgresServer
from support.integrity.sample_data import SampleData
from support.world import World


@pytest.fixture
def world(postgres_server: PostgresServer, sample_data: SampleData) -> Iterator[World]:
    """Give a copy of the sample data."""
    sample_data.renew()
    with postgres_server.temporary_database("to_watch", template="sample_data") as copy:
        world = World(copy)
        yield world
        world.close()


class Topic:
    """Remembers what it was sent."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    def publish(self, subject: str, _message: str, _attributes: Mapping[str, str]) -> None:
        self.subjects.append(subject)


def look(world: World, topic: Topic, seconds: float = 60.0) -> OpenFindings:
    """One run with so many seconds to spare, of which each look at the clock takes one."""
    clock = count()
    return run(world.app, world.urls.app_url, lambda: MARGIN_SECONDS + seconds - next(clock) / 10, topic.publish)


def looked_at(report: VerifyReport) -> set[Section]:
    """The sections that a report says anything of."""
    return {each.section for each in report.sections if each.findings is not None}


def shift_joins(world: World, hours: int) -> None:
    """Let completed sessions say another time of the first join than their evidence; -hours takes it back."""
    with world.without_triggers() as superuser:
        superuser.execute(
            "UPDATE sessions SET customer_joined_at = customer_joined_at + make_interval(hours => %s)"
            " WHERE status = 'completed'",
            [hours],
        )


def test_a_finding_is_kept_and_told_once_when_it_comes_and_once_when_it_goes(world: World) -> None:
    topic = Topic()
    assert look(world, topic) == OpenFindings(complete=True, findings={})
    world.owner.execute("ALTER TABLE sessions DISABLE TRIGGER sessions_follow")
    shift_joins(world, -1)
    found = look(world, topic)
    assert (found.findings["schema_changed"], found.findings["first_joins_differ"] > 5) == (1, True)
    assert found.by_section[Section.SCHEMA] == 1
    assert look(world, topic) == found
    assert len(topic.subjects) == 1
    shift_joins(world, 1)
    world.owner.execute("ALTER TABLE sessions ENABLE TRIGGER sessions_follow")
    assert look(world, topic).findings == {}
    assert [subject.split(":")[1].strip() for subject in topic.subjects][1:] == ["nothing is wrong any more"]
    kept = newest_runs(world.app).runs
    assert [each.report.findings > 0 for each in kept] == [False, True, True, False]
    assert {each.report.complete for each in kept} == {True}
    (joins,) = [each for each in kept[1].report.sections if each.section is Section.EVIDENCE]
    assert len(joins.found[0].samples) == 5


def test_runs_that_are_short_of_time_go_on_where_the_one_before_stopped(world: World) -> None:
    topic = Topic()
    whole = look(world, topic)
    looks: list[OpenFindings] = []
    for _ in range(20):
        looks.append(look(world, topic, seconds=0.25))
        if looks[-1].complete:
            break
    runs = newest_runs(world.app).runs[: len(looks)]
    assert 1 < len(looks) < 20
    assert len({each.walk_id for each in runs}) == 1
    assert [each.report.complete for each in runs] == [True, *[False] * (len(runs) - 1)]
    assert Section.LEDGER not in looked_at(runs[-1].report)
    assert looked_at(runs[0].report) == set(Section)
    assert runs[0].report.examined == newest_runs(world.app).runs[-1].report.examined
    assert whole.findings == looks[-1].findings == {}
    assert look(world, topic, seconds=0.25).complete is False  # the next walk begins


def test_a_finding_stands_until_a_whole_walk_does_not_find_it(world: World) -> None:
    topic = Topic()
    shift_joins(world, -1)
    found = look(world, topic).findings
    shift_joins(world, 1)
    parts: list[OpenFindings] = []
    while not parts or not parts[-1].complete:
        parts.append(look(world, topic, seconds=0.25))
    assert len(parts) > 1
    assert [part.findings for part in parts[:-1]] == [found] * (len(parts) - 1)
    assert parts[-1].findings == {}
    assert len(topic.subjects) == 2


def test_runs_are_bounded(world: World) -> None:
    world.owner.execute(
        "INSERT INTO verify_runs (walk_id, began_at, findings, report)"
        " SELECT new_id(), now(), 0, '{}' FROM generate_series(1, 500)"
    )
    world.owner.execute(
        "INSERT INTO verify_runs (walk_id, began_at, findings, report) VALUES (new_id(), now(), 0, '{}')"
    )
    assert world.one("SELECT count(*) FROM verify_runs") == 500
