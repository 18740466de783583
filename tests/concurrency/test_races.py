"""Two callers make conflicting requests at the same instant: real connections, a barrier, exactly one effect.

The loser of a contest gets a typed 409; a repeated request gets the same answer as the first.
Twenty rounds of each race run by default, a thousand with `pytest -m races`.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from autodoctor.db import Database
from autodoctor.errors import (
    ActiveSessionExists,
    AssignmentUnavailable,
    MechanicNotActive,
    Problem,
    SessionEnded,
    SessionNotReleasable,
)
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated, start_intake
from autodoctor.intake.waiver import WaiverRequest, WaiverSigned, sign_waiver
from autodoctor.sessions.accept import Accepted, Declined, accept, decline
from autodoctor.sessions.end import Ended, Ender, end_session
from autodoctor.sessions.expiry import Swept, sweep
from autodoctor.sessions.presence import PresenceRecorded, Released, join, leave, release
from support.invariants.sessions import violations
from support.world import World, intake_request

type Move = Callable[[Database], object]

_HEAD_START_SECONDS = 0.002


class Arena:
    """Two rivals, each a thread with a connection of its own, and the people they act for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.mechanics = (world.mechanic(), world.mechanic())
        # who lets so many lapse would be set away
        world.owner.execute("INSERT INTO settings (key, value) VALUES ('missed_offers_most', '999999')")
        self._lanes = tuple((ThreadPoolExecutor(1), Database(lambda: world.urls.app_url)) for _ in range(2))
        self._barrier = threading.Barrier(2)

    def race(self, *moves: Move) -> tuple[object, object]:
        """Run both moves at once; a Problem counts as an answer, any other exception ends the test."""
        head_start = random.uniform(-_HEAD_START_SECONDS, _HEAD_START_SECONDS)
        delays = (max(head_start, 0.0), max(-head_start, 0.0))
        running = [
            thread.submit(self._run, move, database, delay)
            for (thread, database), move, delay in zip(self._lanes, moves, delays, strict=True)
        ]
        first, second = (future.result(timeout=30) for future in running)
        return first, second

    def _run(self, move: Move, database: Database, delay: float) -> object:
        self._barrier.wait(timeout=30)
        time.sleep(delay)
        try:
            return move(database)
        except Problem as problem:
            return problem

    def end(self, session_id: UUID) -> Ended:
        """Clear the field for the next round."""
        return end_session(self.world.app, Ender(any_session=True, actor="system:test"), session_id)

    def close(self) -> None:
        for thread, database in self._lanes:
            thread.shutdown()
            database.close()


def kinds(*answers: object) -> tuple[type, ...]:
    """The types of the answers, so that a table of what may happen can be compared."""
    return tuple(type(answer) for answer in answers)


# --- the races: each runs one round, judges it and says how it went ---------------------------------


def accept_accept(arena: Arena) -> str:
    created = arena.world.queued()
    answers = arena.race(
        *(lambda db, user=mechanic.user_id: accept(db, user, created.assignment_id) for mechanic in arena.mechanics)
    )
    assert sorted(kind.__name__ for kind in kinds(*answers)) == ["Accepted", "AssignmentUnavailable"]
    arena.end(created.session_id)
    return f"won by {kinds(*answers).index(Accepted)}"


def accept_accept_by_one_mechanic(arena: Arena) -> str:
    """Two requests, one mechanic: a second session is refused."""
    mechanic, created = arena.mechanics[0], (arena.world.queued(), arena.world.queued())
    answers = arena.race(*(lambda db, c=one: accept(db, mechanic.user_id, c.assignment_id) for one in created))
    assert sorted(kind.__name__ for kind in kinds(*answers)) == ["Accepted", "MechanicBusy"]
    for one in created:
        arena.end(one.session_id)
    return f"won by {kinds(*answers).index(Accepted)}"


def accept_twice(arena: Arena) -> str:
    """The same mechanic's two clicks on one request."""
    mechanic, created = arena.mechanics[0], arena.world.queued()
    first, second = arena.race(*(lambda db: accept(db, mechanic.user_id, created.assignment_id),) * 2)
    assert isinstance(first, Accepted)
    assert first == second
    arena.end(created.session_id)
    return "the same answer"


def accept_withdraw(arena: Arena) -> str:
    customer, mechanic = new_id(), arena.mechanics[0]
    created = arena.world.queued(customer)
    accepted, ended = arena.race(
        lambda db: accept(db, mechanic.user_id, created.assignment_id),
        lambda db: end_session(db, Ender(customer), created.session_id),
    )
    assert isinstance(ended, Ended)
    assert (type(accepted), ended.reason) in {(Accepted, "withdrawn"), (AssignmentUnavailable, "withdrawn")}
    return ended.reason


def accept_expire(arena: Arena) -> str:
    """A session of more than 2 hours is accepted while the sweep comes for it: once accepted it waits afresh."""
    created = arena.world.queued()
    arena.world.one(
        "UPDATE sessions SET created_at = created_at - interval '3 hours' WHERE id = %s RETURNING 1", created.session_id
    )
    accepted, swept = arena.race(
        lambda db: accept(db, arena.mechanics[0].user_id, created.assignment_id),
        lambda db: db.one("SELECT expire_orphaned_sessions() AS expired", ()),
    )
    status = arena.world.status(created.session_id)
    assert (type(accepted), swept, status) in [
        (Accepted, {"expired": 0}, "waiting"),
        (AssignmentUnavailable, {"expired": 1}, "expired"),
    ]
    arena.end(created.session_id)
    return f"{type(accepted).__name__}, {status}"


def end_end(arena: Arena) -> str:
    customer, mechanic = new_id(), arena.mechanics[0]
    created = arena.world.live(mechanic, customer)
    answers = arena.race(
        lambda db: end_session(db, Ender(customer), created.session_id),
        lambda db: end_session(db, Ender(mechanic.user_id), created.session_id, "brakes"),
    )
    late = [answer.already_ended for answer in answers if isinstance(answer, Ended)]
    assert sorted(late) == [False, True]
    assert len({answer.model_copy(update={"already_ended": True}) for answer in answers}) == 1  # type: ignore[attr-defined]  # Ended, as just asserted
    return f"won by {late.index(False)}"


def intake_intake(arena: Arena) -> str:
    customer = new_id()
    answers = arena.race(*(lambda db: start_intake(db, customer, intake_request()),) * 2)
    won = kinds(*answers).index(SessionCreated)
    created, refused = answers[won], answers[1 - won]
    assert isinstance(created, SessionCreated)
    assert isinstance(refused, ActiveSessionExists)
    assert refused.extras["activeSession"] == {"sessionId": str(created.session_id), "status": "pending"}
    arena.end(created.session_id)
    return f"won by {won}"


def intake_with_one_key(arena: Arena) -> str:
    customer = new_id()
    first, second = arena.race(*(lambda db: start_intake(db, customer, intake_request(), "one key"),) * 2)
    assert isinstance(first, SessionCreated)
    assert first == second
    arena.end(first.session_id)
    return "the same answer"


def intake_with_one_key_and_two_bodies(arena: Arena) -> str:
    customer = new_id()
    answers = arena.race(
        *(
            lambda db, concern=concern: start_intake(db, customer, intake_request(concern=concern), "one key")
            for concern in ("squeals", "smokes")
        )
    )
    assert sorted(kind.__name__ for kind in kinds(*answers)) == ["IdempotencyKeyReused", "SessionCreated"]
    won = kinds(*answers).index(SessionCreated)
    arena.end(answers[won].session_id)  # type: ignore[attr-defined]  # SessionCreated, as just asserted
    return f"won by {won}"


def accept_lapse(arena: Arena) -> str:
    """The offer ends within these milliseconds; the sweep and the mechanic both come for it."""
    mechanic = arena.mechanics[0]
    created = arena.world.queued(preferredMechanicId=mechanic.id)
    arena.world.one(
        "UPDATE session_assignments SET offer_expires_at = clock_timestamp() + make_interval(secs => %s) "
        "WHERE id = %s RETURNING 1",
        random.uniform(0.0, 0.006),
        created.assignment_id,
    )
    accepted, swept = arena.race(
        lambda db: accept(db, mechanic.user_id, created.assignment_id), lambda db: sweep(db, lambda: 60.0)
    )
    assert isinstance(swept, Swept)
    assert (type(accepted), swept.lapsed_offers) in {
        (Accepted, 0),
        (AssignmentUnavailable, 1),
        (AssignmentUnavailable, 0),  # the sweep came a moment too early
    }
    arena.end(created.session_id)
    return f"{type(accepted).__name__}, {swept.lapsed_offers} swept"


def accept_decline(arena: Arena) -> str:
    """One mechanic, two tabs."""
    mechanic = arena.mechanics[0]
    created = arena.world.queued(preferredMechanicId=mechanic.id)
    answers = arena.race(
        lambda db: accept(db, mechanic.user_id, created.assignment_id),
        lambda db: decline(db, mechanic.user_id, created.assignment_id),
    )
    assert kinds(*answers) in {(Accepted, AssignmentUnavailable), (AssignmentUnavailable, Declined)}
    arena.end(created.session_id)
    return kinds(*answers)[0].__name__


def join_join(arena: Arena) -> str:
    customer, mechanic = new_id(), arena.mechanics[0]
    created = arena.world.waiting(mechanic, customer)
    answers = arena.race(*(lambda db, u=user: join(db, u, created.session_id) for user in (customer, mechanic.user_id)))
    joined = [(answer.session_status, answer.started_at) for answer in answers if isinstance(answer, PresenceRecorded)]
    assert len(joined) == len(answers)
    assert ("waiting", None) in joined
    [started_at] = [at for status, at in joined if status == "live"]
    assert arena.end(created.session_id).started_at == started_at
    return f"first was {joined.index(('waiting', None))}"


def join_end(arena: Arena) -> str:
    """The second party comes as the first one gives up."""
    customer, mechanic = new_id(), arena.mechanics[0]
    created = arena.world.waiting(mechanic, customer)
    join(arena.world.app, customer, created.session_id)
    joined, ended = arena.race(
        lambda db: join(db, mechanic.user_id, created.session_id),
        lambda db: end_session(db, Ender(customer), created.session_id),
    )
    assert isinstance(ended, Ended)
    assert (type(joined), ended.reason) in {(PresenceRecorded, "too_short"), (SessionEnded, "withdrawn")}
    return ended.reason


def leave_end(arena: Arena) -> str:
    customer, mechanic = new_id(), arena.mechanics[0]
    created = arena.world.live(mechanic, customer)
    left, ended = arena.race(
        lambda db: leave(db, customer, created.session_id),
        lambda db: end_session(db, Ender(mechanic.user_id), created.session_id),
    )
    assert isinstance(left, PresenceRecorded)
    assert isinstance(ended, Ended)
    assert left.session_status in {"live", "cancelled"}
    return left.session_status


def release_join(arena: Arena) -> str:
    """The mechanic, already there, gives the session back as the customer comes; another mechanic each time."""
    customer, mechanic = new_id(), arena.world.mechanic()
    created = arena.world.waiting(mechanic, customer)
    join(arena.world.app, mechanic.user_id, created.session_id)
    released, joined = arena.race(
        lambda db: release(db, mechanic.user_id, created.session_id),
        lambda db: join(db, customer, created.session_id),
    )
    assert isinstance(joined, PresenceRecorded)
    assert (type(released), joined.session_status) in {(Released, "pending"), (SessionNotReleasable, "live")}
    arena.end(created.session_id)
    return joined.session_status


def sign_sign(arena: Arena) -> str:
    customer = new_id()
    created = arena.world.pending(customer)
    body = WaiverRequest.model_validate({"sessionId": created.session_id, "signedName": "Cora"})
    first, second = arena.race(*(lambda db: sign_waiver(db, customer, body),) * 2)
    assert isinstance(first, WaiverSigned)
    assert first == second
    arena.end(created.session_id)
    return "the same answer"


def accept_suspend(arena: Arena) -> str:
    """A mechanic is suspended while accepting an offer; either way the request is in the queue for the others."""
    mechanic = arena.world.mechanic()
    created = arena.world.queued(preferredMechanicId=mechanic.id)
    accepted, _ = arena.race(
        lambda db: accept(db, mechanic.user_id, created.assignment_id),
        lambda _: arena.world.one("UPDATE mechanics SET status = 'suspended' WHERE id = %s RETURNING 1", mechanic.id),
    )
    assert type(accepted) in {Accepted, AssignmentUnavailable, MechanicNotActive}
    assert arena.world.status(created.session_id) == "pending"
    arena.end(created.session_id)
    return type(accepted).__name__


def sweep_sweep(arena: Arena) -> str:
    """Two sweeps find the same orphan and the same lapsed offer."""
    orphan, offer = arena.world.pending(), arena.world.queued(preferredMechanicId=arena.mechanics[0].id)
    arena.world.one(
        "UPDATE sessions SET created_at = created_at - interval '3 hours' WHERE id = %s RETURNING 1", orphan.session_id
    )
    arena.world.one(
        "UPDATE session_assignments SET offer_expires_at = now() WHERE id = %s RETURNING 1", offer.assignment_id
    )
    swept = arena.race(*(lambda db: sweep(db, lambda: 60.0),) * 2)
    found = [(one.orphans, one.lapsed_offers) for one in swept if isinstance(one, Swept)]
    assert [sum(column) for column in zip(*found, strict=True)] == [1, 1]
    arena.end(offer.session_id)
    return str(found)


RACES = (
    accept_accept,
    accept_accept_by_one_mechanic,
    accept_twice,
    accept_withdraw,
    accept_expire,
    end_end,
    intake_intake,
    intake_with_one_key,
    intake_with_one_key_and_two_bodies,
    accept_lapse,
    accept_decline,
    join_join,
    join_end,
    leave_end,
    release_join,
    sign_sign,
    accept_suspend,
    sweep_sweep,
)


@pytest.fixture
def arena(world: World) -> Iterator[Arena]:
    arena = Arena(world)
    yield arena
    arena.close()


def run(arena: Arena, race: Callable[[Arena], str], rounds: int) -> Counter[str]:
    """How often each outcome came up; fails at the first round that went wrong."""
    outcomes = Counter(race(arena) for _ in range(rounds))
    assert violations(arena.world.owner) == []
    return outcomes


@pytest.mark.parametrize("race", RACES)
def test_a_race_has_exactly_one_effect(arena: Arena, race: Callable[[Arena], str]) -> None:
    run(arena, race, rounds=20)


@pytest.mark.races
@pytest.mark.parametrize("race", RACES)
def test_a_race_has_exactly_one_effect_a_thousand_times(arena: Arena, race: Callable[[Arena], str]) -> None:
    outcomes = run(arena, race, rounds=1_000)
    print(race.__name__, dict(outcomes))
    assert len(outcomes) > 1 or "the same answer" in outcomes, "the rivals never met: one of them always wins"
