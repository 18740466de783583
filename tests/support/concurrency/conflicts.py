"""Sessions in each state, with everybody who could act on them and the actions."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated, start_intake
from autodoctor.intake.waiver import WaiverRequest, sign_waiver
from autodoctor.sessions.accept import accept, decline
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.first_reply import replace_mechanic
from autodoctor.sessions.presence import join, leave, release
from autodoctor.web.schemas import now
from support.concurrency.stepper import Operation, Run, Stepper
from support.world import World, intake_request

SWEEP_SECONDS: Final = 100.0


class Scenario:
    """One session in an otherwise empty database, and its people.

    Attributes:
        customer: whose session it is, as `sub`.
        mechanic: who has it, was offered it, or could take it.
        other: another mechanic.
        session: as created.
    """

    session: SessionCreated

    def __init__(self, world: World, state: str) -> None:
        self.world = world
        world.clear()
        self.customer = new_id()
        self.mechanic, self.other = world.mechanic(), world.mechanic()
        STATES[state](self)

    @property
    def session_id(self) -> UUID:
        return self.session.session_id

    @property
    def assignment_id(self) -> UUID:
        return self.session.assignment_id


type Wish = Callable[[Scenario], Operation]


def _unsigned(scenario: Scenario) -> None:
    scenario.session = scenario.world.pending(scenario.customer)


def _queued(scenario: Scenario) -> None:
    scenario.session = scenario.world.queued(scenario.customer)


def _offered(scenario: Scenario) -> None:
    scenario.session = scenario.world.queued(scenario.customer, preferredMechanicId=scenario.mechanic.id)


def _lapsed(scenario: Scenario) -> None:
    _offered(scenario)
    scenario.world.owner.execute("UPDATE session_assignments SET offer_expires_at = now() - interval '1 second'")


def _waiting(scenario: Scenario) -> None:
    """The customer is there already, so the mechanic's join is the start."""
    scenario.session = scenario.world.waiting(scenario.mechanic, scenario.customer)
    join(scenario.world.app, scenario.customer, scenario.session_id)


def _live(scenario: Scenario) -> None:
    scenario.session = scenario.world.live(scenario.mechanic, scenario.customer)
    scenario.world.let_time_pass(61)


def _scheduled(scenario: Scenario) -> None:
    """Due soon enough to be shown already."""
    scenario.session = scenario.world.queued(scenario.customer, scheduledFor=now() + timedelta(minutes=10))


STATES: Final[dict[str, Callable[[Scenario], None]]] = {
    "nobody": lambda _scenario: None,
    "unsigned": _unsigned,
    "queued": _queued,
    "offered": _offered,
    "lapsed": _lapsed,
    "waiting": _waiting,
    "live": _live,
    "scheduled": _scheduled,
}


def _sweep(watch: str) -> Wish:
    """The whole sweep, of which only the statement with `watch` is a step."""
    return lambda _scenario: Operation(lambda app: sweep(app, lambda: SWEEP_SECONDS), watch)


def _expires(scenario: Scenario) -> Operation:
    """The session and its accept get older than any orphan may; nothing else gets older."""
    scenario.world.owner.execute(
        "UPDATE sessions"
        " SET created_at = created_at - interval '3 hours', accepted_at = accepted_at - interval '3 hours'"
    )
    return _sweep("expire_orphaned_sessions")(scenario)


def _ends(scenario: Scenario) -> Operation:
    """By the mechanic who has it, where one has it; else by an admin."""
    has_it = scenario.world.one("SELECT mechanic_id IS NOT NULL FROM sessions")
    ender = Ender(scenario.mechanic.user_id) if has_it else Ender(new_id(), any_session=True)
    return Operation(lambda app: end_session(app, ender, scenario.session_id))


def _replaces(scenario: Scenario) -> Operation:
    """The customer is there, and has no patience."""
    scenario.world.owner.execute(
        "INSERT INTO settings (key, value) VALUES ('first_reply_seconds', '0') ON CONFLICT DO NOTHING"
    )
    join(scenario.world.app, scenario.customer, scenario.session_id)
    return Operation(lambda app: replace_mechanic(app, scenario.customer, scenario.session_id))


def _signs(scenario: Scenario) -> Operation:
    waiver = WaiverRequest.model_validate({"sessionId": scenario.session_id, "signedName": "Cora Castillo"})
    return Operation(lambda app: sign_waiver(app, scenario.customer, waiver))


def _suspends(scenario: Scenario) -> Operation:
    """An operator suspends the mechanic; the application role may not, outside of this test."""
    scenario.world.owner.execute("GRANT UPDATE (status) ON mechanics TO autodoctor_app")
    statement: LiteralString = "UPDATE mechanics SET status = 'suspended' WHERE id = %s RETURNING id"
    return Operation(lambda app: app.one(statement, (scenario.mechanic.id,)))


def _asks(scenario: Scenario) -> Operation:
    """The customer asks again, signed at once, without a key."""
    intake = intake_request(waiver={"signedName": "Cora Castillo"})
    return Operation(lambda app: start_intake(app, scenario.customer, intake))


OPERATIONS: Final[dict[str, Wish]] = {
    "accept": lambda s: Operation(lambda app: accept(app, s.mechanic.user_id, s.assignment_id)),
    # A mechanic's reads of a scheduled session in between are not steps here: 1,300 interleavings become a few.
    "accept's writes": lambda s: Operation(
        lambda app: accept(app, s.mechanic.user_id, s.assignment_id), "UPDATE sessions"
    ),
    "accept by another": lambda s: Operation(lambda app: accept(app, s.other.user_id, s.assignment_id)),
    "withdraw": lambda s: Operation(lambda app: end_session(app, Ender(s.customer), s.session_id)),
    "expire": _expires,
    "end": _ends,
    "join": lambda s: Operation(lambda app: join(app, s.customer, s.session_id)),
    "join as mechanic": lambda s: Operation(lambda app: join(app, s.mechanic.user_id, s.session_id)),
    "decline": lambda s: Operation(lambda app: decline(app, s.mechanic.user_id, s.assignment_id)),
    "leave": lambda s: Operation(lambda app: leave(app, s.customer, s.session_id)),
    "release": lambda s: Operation(lambda app: release(app, s.mechanic.user_id, s.session_id)),
    "replace": _replaces,
    "sign": _signs,
    "lapse": _sweep("expire_lapsed_offers"),
    "come due": _sweep("bring_due_sessions"),
    "intake": _asks,
    "suspend": _suspends,
}
"""An action, given the scenario in which it is played."""


def play(world: World, state: str, wishes: Sequence[Wish], *, begin_is_a_step: bool = False) -> Iterator[Run]:
    """Run every interleaving of two wishes, each on a fresh session in this state.

    The database may be looked at after each run; the next one clears it.
    """

    def prepare() -> list[Operation]:
        scenario = Scenario(world, state)
        return [wish(scenario) for wish in wishes]

    with Stepper(world.urls, begin_is_a_step=begin_is_a_step) as stepper:
        yield from stepper.every_interleaving(prepare)
