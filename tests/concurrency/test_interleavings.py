"""Every interleaving of two conflicting use cases on two real connections, and the invariants after each."""

from itertools import combinations_with_replacement
from typing import Final

import pytest

from autodoctor.errors import ActiveSessionExists, Problem
from autodoctor.sessions.end import Ended
from autodoctor.sessions.expiry import Swept
from support.concurrency.conflicts import OPERATIONS, play
from support.concurrency.stepper import Run
from support.invariants.sessions import violations
from support.world import World

type Conflict = tuple[str, str, str]

# The six of the specification where all of them have a claim, then the other contests worth every commit.
SIX: Final = ("accept", "withdraw", "expire", "end", "join", "decline")
OBLIGATORY: Final[list[Conflict]] = [
    *(("offered", *pair) for pair in combinations_with_replacement(SIX, 2)),
    *(
        ("waiting", *pair)
        for pair in combinations_with_replacement(("withdraw", "expire", "end", "join as mechanic"), 2)
    ),
    *(("waiting", "release", other) for other in ("withdraw", "expire", "end", "join as mechanic", "release")),
    *(
        ("waiting", "replace", other)
        for other in ("withdraw", "expire", "end", "join", "join as mechanic", "release", "replace")
    ),
    *(("queued", "accept", other) for other in ("accept by another", "accept", "withdraw", "expire")),
    *(("lapsed", "lapse", other) for other in ("accept", "decline", "withdraw", "lapse")),
    *(("unsigned", "sign", other) for other in ("sign", "withdraw", "expire")),
    *(("live", "end", other) for other in ("withdraw", "leave", "join")),
    ("scheduled", "accept", "come due"),
    ("scheduled", "accept's writes", "accept's writes"),
    *(("offered", "suspend", other) for other in ("accept", "decline", "withdraw", "expire")),
    ("nobody", "intake", "intake"),
    ("queued", "intake", "withdraw"),
]
# Who asks for what has happened already gets the same answer; a second intake is another wish.
SAME_WISH: Final = [
    ("scheduled", "accept", "come due"),
    *(conflict for conflict in OBLIGATORY if conflict[1] == conflict[2] != "intake"),
]
# Whatever can be asked of a session in a state, against whatever else can.
EVERYTHING: Final[dict[str, tuple[str, ...]]] = {
    "unsigned": ("withdraw", "end", "expire", "join", "leave", "sign", "intake"),
    "queued": ("accept", "accept by another", "withdraw", "end", "expire", "join", "decline", "intake", "suspend"),
    "offered": (*SIX, "accept by another", "leave", "lapse", "intake", "suspend"),
    "lapsed": (*SIX, "lapse", "accept by another", "suspend"),
    "waiting": (*SIX, "accept by another", "join as mechanic", "leave", "release", "replace", "intake", "suspend"),
    "live": ("accept", "withdraw", "end", "expire", "join", "join as mechanic", "leave", "release", "intake"),
    "scheduled": ("accept", "accept by another", "withdraw", "end", "expire", "join", "come due", "intake"),
}


def interleave(world: World, conflict: Conflict, *, begin_is_a_step: bool = False) -> list[Run]:
    """Run every schedule of a conflict and check each; returns them all."""
    state, *wishes = conflict
    runs = []
    for run in play(world, state, [OPERATIONS[wish] for wish in wishes], begin_is_a_step=begin_is_a_step):
        check(world, run)
        runs.append(run)
    return runs


def succeeded(outcome: object) -> bool:
    return not isinstance(outcome, Exception)


def happened_once(one: object, other: object) -> bool:
    """Whether two askers for the same were told of one effect."""
    if isinstance(one, Ended) and isinstance(other, Ended):
        return one.already_ended != other.already_ended and one.status == other.status
    if isinstance(one, Swept) and isinstance(other, Swept):
        counts = [*one.model_dump().values(), *other.model_dump().values()]
        return sorted(counts)[-2:] == [0, 1]
    if isinstance(one, Exception) or isinstance(other, Exception):
        return isinstance(one, ActiveSessionExists) != isinstance(other, ActiveSessionExists)
    return bool(one == other)


def check(world: World, run: Run) -> None:
    """Success or a typed problem, never a deadlock or another error, and nothing wrong in the database."""
    assert all(succeeded(outcome) or isinstance(outcome, Problem) for outcome in run.outcomes), run
    assert violations(world.owner) == [], run


@pytest.mark.parametrize("conflict", OBLIGATORY, ids="-".join)
def test_every_interleaving_keeps_the_invariants(world: World, conflict: Conflict) -> None:
    runs = interleave(world, conflict)
    # One after the other, in both orders, and at least one step of one between two of the other.
    assert len(runs) > 2
    for run in runs:
        who_succeeds = all if conflict in SAME_WISH else any
        assert who_succeeds(succeeded(outcome) for outcome in run.outcomes), run
        assert conflict[1] != conflict[2] or happened_once(*run.outcomes), run


@pytest.mark.races
@pytest.mark.parametrize("conflict", OBLIGATORY, ids="-".join)
def test_a_begin_of_its_own_makes_no_difference(world: World, conflict: Conflict) -> None:
    interleave(world, conflict, begin_is_a_step=True)


@pytest.mark.races
@pytest.mark.parametrize(
    "conflict",
    [(state, *pair) for state, names in EVERYTHING.items() for pair in combinations_with_replacement(names, 2)],
    ids="-".join,
)
def test_whatever_can_be_asked_at_once_keeps_the_invariants(world: World, conflict: Conflict) -> None:
    interleave(world, conflict)
