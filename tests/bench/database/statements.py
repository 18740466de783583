"""Rows: how many statements and commits each call takes, and how many follow its commit.

What follows fetches the events that the call wrote, unless it brought them along, and marks them once the bus has them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from autodoctor.ids import new_id
from bench.http.walks import Consultation, Walks
from bench.measure.judge import Row, Target
from bench.measure.meter import Meter, Traffic

ROUNDS: Final = 5
# Fetch what is to be published, mark it as published.
FOLLOWING: Final = 2

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
        Call("message", walks.live, lambda c: api.say(c.customer, "customers", c.session_id), 1),
        Call("end (withdrawn)", walks.queued, lambda c: api.end(c.customer, "customers", c.session_id), 1),
        Call("end (completed)", walks.talked, walks.end, 1),
        Call("leave", walks.live, lambda c: api.presence("leave", c.mechanic, "mechanics", c.session_id), None),
        Call("release", walks.waiting, lambda c: api.presence("release", c.mechanic, "mechanics", c.session_id), None),
        Call("decline", walks.offered, lambda c: api.decline(c.mechanic, c.assignment_id), None),
    ]


def rows(walks: Walks, meter: Meter) -> Iterator[Row]:
    """One row of statements per call, one for the commits of all, and two for what follows the commits."""
    during: dict[str, list[Traffic]] = {}
    after: dict[str, list[Traffic]] = {}
    made = calls(walks)
    for each in made:
        with meter.logging():
            readings = [_measured(walks, meter, each) for _ in range(ROUNDS)]
        during[each.name], after[each.name] = ([reading[part] for reading in readings] for part in (0, 1))
    for each in made:
        yield _statements_row(each, [reading.statements for reading in during[each.name]])
    yield _commits_row(during)
    yield _following_row("statements", {name: [each.statements for each in taken] for name, taken in after.items()})
    yield _following_row("commits", {name: [each.commits for each in taken] for name, taken in after.items()})


def _statements_row(each: Call, counted: list[float]) -> Row:
    return Row(
        name=f"statements: {each.name}",
        unit="",
        measured=max(counted),
        target=None if each.at_most is None else Target(each.at_most, on_ratio=False),
        gated=True,
        cause="" if each.at_most is None or max(counted) <= each.at_most else "more statements than promised",
        samples={"statements": counted},
    )


def _commits_row(during: dict[str, list[Traffic]]) -> Row:
    commits: dict[str, list[float]] = {name: [each.commits for each in taken] for name, taken in during.items()}
    worst = max(commits, key=lambda name: max(commits[name]))
    fewest = min(min(counts) for counts in commits.values())
    return Row(
        name=f"commits: the most of any call above ({worst})",
        unit="",
        measured=max(commits[worst]) if fewest == 1 else 0,
        target=Target(1, on_ratio=False),
        gated=True,
        cause="more than one commit",
        samples=commits,
    )


def _following_row(what: str, after: dict[str, list[float]]) -> Row:
    worst = max(after, key=lambda name: max(after[name]))
    return Row(
        name=f"{what} after the commit of a call, to publish: the most of any ({worst})",
        unit="",
        measured=max(after[worst]),
        target=Target(FOLLOWING, on_ratio=False),
        gated=True,
        cause="more than a fetch and a mark",
        samples=after,
    )


def _measured(walks: Walks, meter: Meter, each: Call) -> tuple[Traffic, Traffic]:
    """The traffic of the call itself, and of what follows its commit."""
    started = each.prepare()
    with walks.api.unpublished():
        call, following = meter.traffic(lambda: each.make(started), walks.api.publish)
    return call, following
