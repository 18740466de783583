"""Rows: how many statements and commits each call takes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from autodoctor.ids import new_id
from bench.judge import Row, Target
from bench.meter import Meter, Traffic
from bench.walks import Consultation, Walks

ROUNDS: Final = 5

type Prepare = Callable[[], Consultation]
type Make = Callable[[Consultation], object]


@dataclass(frozen=True)
class Call:
    """A call, the state it starts from, and how many statements it may take; None where nothing is promised."""

    name: str
    prepare: Prepare
    make: Make
    at_most: int | None


def calls(walks: Walks) -> list[Call]:
    """Every call of the first walk."""
    api = walks.api

    def join(c: Consultation, user: UUID, group: str) -> object:
        return api.presence("join", user, group, c.session_id)

    signed = {"waiver": {"signedName": "Cora Castillo"}}
    return [
        Call("queue", walks.queued, lambda c: api.queue(c.mechanic), 1),
        Call("accept", walks.queued, lambda c: api.accept(c.mechanic, c.assignment_id), 1),
        Call("active session (customer)", walks.waiting, lambda c: api.active(c.customer, "customer"), 1),
        Call("active session (mechanic)", walks.waiting, lambda c: api.active(c.mechanic, "mechanic"), 1),
        Call("free intake", walks.queued, lambda _: api.intake(new_id()), 2),
        Call("free intake, signed", walks.queued, lambda _: api.intake(new_id(), **signed), 2),
        Call("waiver", walks.unsigned, lambda c: api.sign(c.customer, c.session_id), 2),
        Call("join (customer)", walks.waiting, lambda c: join(c, c.customer, "customers"), 2),
        Call(
            "join (mechanic: live)",
            walks.half_joined,
            lambda c: join(c, c.mechanic, "mechanics"),
            2,
        ),
        Call("end (withdrawn)", walks.queued, lambda c: api.end(c.customer, "customers", c.session_id), 2),
        Call("end (live)", walks.live, lambda c: api.end(c.mechanic, "mechanics", c.session_id), 2),
        Call("leave", walks.live, lambda c: api.presence("leave", c.mechanic, "mechanics", c.session_id), None),
        Call("release", walks.waiting, lambda c: api.presence("release", c.mechanic, "mechanics", c.session_id), None),
        Call("decline", walks.offered, lambda c: api.decline(c.mechanic, c.assignment_id), None),
    ]


def rows(walks: Walks, meter: Meter) -> Iterator[Row]:
    """One row of statements per call, and one for the commits of all."""
    most_commits: dict[str, list[float]] = {}
    for each in calls(walks):
        with meter.logging():
            readings = [_measured(meter, each) for _ in range(ROUNDS)]
        most_commits[each.name] = [reading.commits for reading in readings]
        counted: list[float] = [reading.statements for reading in readings]
        yield Row(
            name=f"statements: {each.name}",
            unit="",
            measured=max(counted),
            target=None if each.at_most is None else Target(each.at_most, on_ratio=False),
            gated=True,
            cause="" if each.at_most is None or max(counted) <= each.at_most else "more statements than promised",
            samples={"statements": counted},
        )
    worst = max(most_commits, key=lambda name: max(most_commits[name]))
    fewest = min(min(counts) for counts in most_commits.values())
    yield Row(
        name=f"commits: the most of any call above ({worst})",
        unit="",
        measured=max(most_commits[worst]) if fewest == 1 else 0,
        target=Target(1, on_ratio=False),
        gated=True,
        cause="more than one commit",
        samples=most_commits,
    )


def _measured(meter: Meter, each: Call) -> Traffic:
    started = each.prepare()
    return meter.traffic(lambda: each.make(started))
