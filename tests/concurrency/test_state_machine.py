"""Random people do random things in random order, and invariants 1 to 8 are proved again after every step.

Nothing here predicts an outcome: the checker (support/invariants) knows the forbidden states, and a use case may only
answer or raise a typed Problem. The schema may also refuse statements typed by hand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from psycopg import sql

from autodoctor.db import Row
from autodoctor.domain.lifecycle import AssignmentStatus, SessionStatus
from autodoctor.errors import MechanicBusy, Problem, SessionBusy, TooManyRequests
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated, start_intake
from autodoctor.sessions import active, presence
from autodoctor.sessions.accept import accept, decline
from autodoctor.sessions.end import Ended, Ender, end_session
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.first_reply import replace_mechanic
from autodoctor.sessions.notes import NotesRequest, save_notes
from autodoctor.sessions.queue import fetch_queue
from support.invariants.sessions import violations
from support.world import World, intake_request

CUSTOMERS = st.integers(0, 3)
MECHANICS = st.integers(0, 4)
ANYBODY = st.integers(0, 8)
# Around every threshold there is: 60 s billable, 120 s offer, 10 min no-show and abandoned, 15 min lead,
# 2 h orphans, 3 h longest session, 24 h idempotency keys, and a day that passes them all.
LAPSES = st.sampled_from([0.5, 30, 59.9, 60, 61, 119, 121, 599, 601, 7_100, 7_201, 10_801, 86_401])


@dataclass(frozen=True)
class Wish:
    """The request of an intake, except the mechanic."""

    signed: bool
    to_workshop: bool
    urgent: bool
    in_minutes: int | None


KEYS = st.sampled_from([None, None, "once", "again"])
WISHES = st.builds(Wish, in_minutes=st.sampled_from([None, None, 1, 16, 120]))


class Consultations(RuleBasedStateMachine):
    """Four customers (the last one is also a mechanic), five mechanics (two of a workshop), an admin, a stranger."""

    sessions = Bundle("sessions")

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @initialize(target=sessions)
    def meet(self) -> SessionCreated:
        """Everybody comes; one session waits for its waiver, one is queued, one is live, one is offered."""
        self.world.clear()
        self.world.one("DELETE FROM settings WHERE key = 'min_billable_seconds' RETURNING 1")
        self.world.lift_limits()
        self.workshop = self.world.workshop()
        self.customers = [new_id() for _ in range(4)]
        self.mechanics = [
            self.world.mechanic(),
            self.world.mechanic(),
            self.world.mechanic(user_id=self.customers[3]),
            self.world.mechanic(self.workshop),
            self.world.mechanic(self.workshop),
        ]
        self.stranger = new_id()
        return multiple(  # type: ignore[return-value]  # hypothesis's way to return several
            self.world.pending(self.customers[0]),
            self.world.queued(self.customers[1]),
            self.world.live(self.mechanics[0], self.customers[2]),
            self.world.queued(self.customers[3], preferredMechanicId=self.mechanics[1].id),
        )

    @invariant()
    def nothing_is_violated(self) -> None:
        assert violations(self.world.owner) == []

    # --- asking -----------------------------------------------------------------------------------

    @rule(target=sessions, customer=CUSTOMERS, wish=WISHES, preferred=st.none() | MECHANICS, key=KEYS)
    def ask(self, customer: int, wish: Wish, preferred: int | None, key: str | None) -> SessionCreated:
        request = intake_request(
            waiver={"signedName": "Cora"} if wish.signed else None,
            preferredMechanicId=None if preferred is None else self.mechanics[preferred].id,
            workshopId=self.workshop if wish.to_workshop else None,
            urgent=wish.urgent,
            scheduledFor=wish.in_minutes and datetime.now(UTC) + timedelta(minutes=wish.in_minutes),
        )
        created = self.attempt(lambda: start_intake(self.world.app, self.customers[customer], request, key))
        return multiple() if created is None else created  # type: ignore[return-value]  # hypothesis's way to say none

    @rule(target=sessions, customer=CUSTOMERS)
    def ask_plainly(self, customer: int) -> SessionCreated:
        created = self.attempt(lambda: self.world.queued(self.customers[customer]))
        return multiple() if created is None else created  # type: ignore[return-value]

    @rule(session=sessions, customer=CUSTOMERS)
    def sign(self, session: SessionCreated, customer: int) -> None:
        self.attempt(lambda: self.world.sign(self.customers[customer], session.session_id))

    @rule(session=sessions)
    def sign_as_the_customer(self, session: SessionCreated) -> None:
        self.attempt(lambda: self.world.sign(self.parties(session)["customer"], session.session_id))

    # --- taking -----------------------------------------------------------------------------------

    @rule(mechanic=MECHANICS)
    def accept_what_the_queue_shows(self, mechanic: int) -> None:
        """Every request shown can be accepted, unless the mechanic is busy, or gave back too many."""
        person = self.mechanics[mechanic]
        shown = self.attempt(lambda: fetch_queue(self.world.app, person.user_id))
        if shown is None or not shown.assignments:
            return
        busy = active.mechanic_active_session(self.world.app, person.user_id).session is not None
        paused = self.world.one("SELECT count(*) FROM paused_mechanics WHERE mechanic_id = %s", person.id) == 1
        try:
            accept(self.world.app, person.user_id, shown.assignments[0].assignment_id)
        except MechanicBusy:
            assert busy
        except TooManyRequests:
            assert paused
        else:
            assert not busy
            assert not paused
            event("accepted from the queue")

    @rule(session=sessions, mechanic=MECHANICS, first=st.booleans())
    def accept_blindly(self, session: SessionCreated, mechanic: int, *, first: bool) -> None:
        person, assignment = self.mechanics[mechanic], self.assignment(session, first=first)
        taken = self.attempt(lambda: accept(self.world.app, person.user_id, assignment))
        if taken is not None:
            assert self.attempt(lambda: accept(self.world.app, person.user_id, assignment)) == taken

    @rule(session=sessions)
    def accept_and_release(self, session: SessionCreated) -> None:
        self.accept_blindly(session=session, mechanic=1, first=False)
        self.release_as_the_mechanic(session=session)

    @rule(session=sessions)
    def decline_as_the_mechanic(self, session: SessionCreated) -> None:
        self.decline(session=session, mechanic=self.offered_to(session), first=False)

    @rule(session=sessions, mechanic=MECHANICS, first=st.booleans())
    def decline(self, session: SessionCreated, mechanic: int, *, first: bool) -> None:
        person, assignment = self.mechanics[mechanic], self.assignment(session, first=first)
        if self.attempt(lambda: decline(self.world.app, person.user_id, assignment, "busy")) is not None:
            event("declined")

    @rule(session=sessions, mechanic=MECHANICS)
    def release(self, session: SessionCreated, mechanic: int) -> None:
        self.attempt(lambda: presence.release(self.world.app, self.mechanics[mechanic].user_id, session.session_id))

    @rule(session=sessions)
    def release_as_the_mechanic(self, session: SessionCreated) -> None:
        self.as_party(session, "mechanic", lambda user: presence.release(self.world.app, user, session.session_id))

    @rule(session=sessions)
    def replace_as_the_customer(self, session: SessionCreated) -> None:
        self.as_party(session, "customer", lambda user: replace_mechanic(self.world.app, user, session.session_id))

    @rule(session=sessions)
    def write_notes(self, session: SessionCreated) -> None:
        notes = NotesRequest(text="brakes", version=1, confirmed=True)
        self.as_party(session, "mechanic", lambda user: save_notes(self.world.app, user, session.session_id, notes))

    # --- meeting ----------------------------------------------------------------------------------

    @rule(session=sessions, role=st.sampled_from(["customer", "mechanic"]))
    def join(self, session: SessionCreated, role: str) -> None:
        self.as_party(session, role, lambda user: presence.join(self.world.app, user, session.session_id, "socket"))

    @rule(session=sessions)
    def join_both(self, session: SessionCreated) -> None:
        for role in ("mechanic", "customer"):
            self.join(session=session, role=role)
        if self.world.status(session.session_id) == SessionStatus.LIVE:
            event("live")

    @rule(session=sessions, role=st.sampled_from(["customer", "mechanic"]))
    def leave(self, session: SessionCreated, role: str) -> None:
        self.as_party(session, role, lambda user: presence.leave(self.world.app, user, session.session_id))

    @rule(session=sessions, user=ANYBODY)
    def come_or_go_as_anybody(self, session: SessionCreated, user: int) -> None:
        self.attempt(lambda: presence.join(self.world.app, self.anybody(user), session.session_id))
        self.attempt(lambda: presence.leave(self.world.app, self.anybody(user), session.session_id))

    # --- ending -----------------------------------------------------------------------------------

    @rule(session=sessions, role=st.sampled_from(["customer", "mechanic"]))
    def end(self, session: SessionCreated, role: str) -> None:
        self.as_party(session, role, lambda user: self.ended(Ender(user), session))

    @rule(session=sessions, user=ANYBODY)
    def end_as_anybody(self, session: SessionCreated, user: int) -> None:
        self.attempt(lambda: self.ended(Ender(self.anybody(user)), session))

    @rule(session=sessions, operator=st.booleans())
    def end_from_above(self, session: SessionCreated, *, operator: bool) -> None:
        ender = Ender(any_session=True, actor="operator:ops") if operator else Ender(self.stranger, any_session=True)
        self.ended(ender, session)

    # --- what happens by itself, and what operators do ----------------------------------------------

    @rule(seconds=LAPSES, then_sweep=st.booleans())
    def time_passes(self, seconds: float, *, then_sweep: bool) -> None:
        self.world.let_time_pass(seconds)
        if then_sweep:
            self.sweep(by_hand=False)

    @rule(by_hand=st.booleans())
    def sweep(self, *, by_hand: bool) -> None:
        if by_hand:
            self.world.one("SELECT expire_orphaned_sessions()")
        else:
            swept = sweep(self.world.app, lambda: 60.0)
            for name, number in swept.model_dump().items():
                if number:
                    event(f"swept {name}")

    @rule(mechanic=MECHANICS, change=st.sampled_from(["status", "available_until", "workshop_id"]))
    def change_a_mechanic(self, mechanic: int, change: str) -> None:
        new_value = {
            "status": "CASE status WHEN 'active' THEN 'suspended' ELSE 'active' END",
            "available_until": "CASE WHEN available_until IS NULL THEN timestamptz 'infinity' END",
            "workshop_id": "CASE WHEN workshop_id IS NULL THEN (SELECT id FROM workshops LIMIT 1) END",
        }[change]
        self.world.owner.execute(
            sql.SQL("UPDATE mechanics SET {} = " + new_value + " WHERE id = %s").format(sql.Identifier(change)),
            [self.mechanics[mechanic].id],
        )
        offered = self.world.one(
            "SELECT count(*) FROM session_assignments a JOIN mechanics m ON m.id = a.mechanic_id "
            "WHERE a.status = 'offered' AND m.status = 'suspended'"
        )
        assert offered == 0, "a suspended mechanic holds an offer"

    @rule(seconds=st.sampled_from(["0", "1", "60", "600"]))
    def change_the_threshold(self, seconds: str) -> None:
        self.world.one(
            "INSERT INTO settings (key, value) VALUES ('min_billable_seconds', %s) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING 1",
            seconds,
        )

    @rule(session=sessions, status=st.sampled_from(SessionStatus), mechanic=st.none() | MECHANICS)
    def type_a_session_status(self, session: SessionCreated, status: str, mechanic: int | None) -> None:
        change = "status = %s" if mechanic is None else "status = %s, mechanic_id = %s"
        values = [status, *([] if mechanic is None else [self.mechanics[mechanic].id]), session.session_id]
        self.type_by_hand(f"UPDATE sessions SET {change} WHERE id = %s", values)

    @rule(session=sessions, status=st.sampled_from(AssignmentStatus), mechanic=st.none() | MECHANICS)
    def type_an_assignment_status(self, session: SessionCreated, status: str, mechanic: int | None) -> None:
        change = "status = %s, mechanic_id = %s, offer_expires_at = now() + interval '2 minutes'"
        values = [status, None if mechanic is None else self.mechanics[mechanic].id, session.session_id]
        where = "id = (SELECT current_assignment_id FROM sessions WHERE id = %s)"
        if status in {AssignmentStatus.OFFERED, AssignmentStatus.ACCEPTED}:
            self.type_by_hand(f"UPDATE session_assignments SET {change} WHERE {where}", values)
        else:
            self.type_by_hand(f"UPDATE session_assignments SET status = %s WHERE {where}", [status, values[-1]])

    @rule(session=sessions, who=st.sampled_from(["customer", "mechanic"]), here=st.booleans())
    def type_presence(self, session: SessionCreated, who: str, *, here: bool) -> None:
        self.type_by_hand(f"UPDATE sessions SET {who}_present = %s WHERE id = %s", [here, session.session_id])

    # --- looking ----------------------------------------------------------------------------------

    @rule(session=sessions, user=ANYBODY)
    def look(self, session: SessionCreated, user: int) -> None:
        app, person = self.world.app, self.anybody(user)
        active.customer_active_session(app, person)
        active.mechanic_active_session(app, person)
        active.history(app, "customer", person)
        active.history(app, "mechanic", person)
        self.attempt(lambda: active.session_detail(app, person, session.session_id))
        self.attempt(lambda: fetch_queue(app, person))

    # --- how --------------------------------------------------------------------------------------

    def attempt[T](self, use_case: Callable[[], T]) -> T | None:
        """The answer of the use case; None if it raises a Problem of 4xx."""
        try:
            return use_case()
        except Problem as problem:
            kind, status = type(problem), problem.status
        assert 400 <= status < 500
        assert kind is not SessionBusy, "nobody else is there"
        event(f"refused: {kind.__name__}")
        return None

    def as_party(self, session: SessionCreated, role: str, use_case: Callable[[UUID], object]) -> None:
        user = self.parties(session).get(role)
        if user is not None:
            self.attempt(lambda: use_case(user))

    def ended(self, ender: Ender, session: SessionCreated) -> Ended:
        """The outcome, which is the same for whoever asks next."""
        outcome = end_session(self.world.app, ender, session.session_id, "brakes")
        again = end_session(self.world.app, Ender(any_session=True, actor="system:test"), session.session_id)
        assert again == outcome.model_copy(update={"already_ended": True})
        event(f"ended: {outcome.reason}")
        return outcome

    def type_by_hand(self, statement: str, values: Sequence[object]) -> None:
        """Run it as the owner; the schema may refuse it by a constraint or by a rule of class AD."""
        try:
            self.world.owner.execute(sql.SQL(statement), values)
        except psycopg.IntegrityError:
            event("typed: refused by a constraint")
        except psycopg.DatabaseError as refused:
            if not (refused.sqlstate or "").startswith("AD"):
                raise
            event(f"typed: refused as {refused.sqlstate}")
        else:
            event("typed: done")

    def anybody(self, index: int) -> UUID:
        people = [*self.customers, *(mechanic.user_id for mechanic in self.mechanics)]
        return people[index] if index < len(people) else self.stranger

    def assignment(self, session: SessionCreated, *, first: bool) -> UUID:
        if first:
            return session.assignment_id
        current: UUID = self.world.one("SELECT current_assignment_id FROM sessions WHERE id = %s", session.session_id)
        return current

    def offered_to(self, session: SessionCreated) -> int:
        """The mechanic whom it is offered to, else the first."""
        holder = self.world.one(
            "SELECT a.mechanic_id FROM session_assignments a JOIN sessions s ON s.current_assignment_id = a.id "
            "WHERE s.id = %s AND a.status = 'offered'",
            session.session_id,
        )
        return next((index for index, mechanic in enumerate(self.mechanics) if mechanic.id == holder), 0)

    def parties(self, session: SessionCreated) -> Row:
        """The users of the session, by role."""
        parties = self.world.owner.execute(
            "SELECT c.user_id AS customer, m.user_id AS mechanic FROM sessions s "
            "JOIN customers c ON c.id = s.customer_id LEFT JOIN mechanics m ON m.id = s.mechanic_id WHERE s.id = %s",
            [session.session_id],
        ).fetchone()
        assert parties is not None
        return parties


def explore(world: World, examples: int, steps: int, *, same_every_time: bool) -> None:
    run_state_machine_as_test(
        lambda: Consultations(world),  # type: ignore[arg-type]  # it is called, and nothing else
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=same_every_time,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_sequence_of_operations_breaks_an_invariant(world: World) -> None:
    explore(world, examples=100, steps=50, same_every_time=True)


@pytest.mark.slow
def test_no_long_sequence_of_operations_breaks_an_invariant(world: World) -> None:
    explore(world, examples=150, steps=80, same_every_time=False)
