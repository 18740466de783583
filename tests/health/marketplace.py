"""A marketplace with one session in every state and on every way through them, made by the real use cases."""

import functools
import random
import time
from collections.abc import Callable  # noqa: TC003 - annotates local variables
from datetime import UTC, datetime, timedelta
from uuid import UUID

from psycopg import sql

from autodoctor.db import Database
from autodoctor.ids import new_id
from autodoctor.operations.privacy import erase_customer
from autodoctor.payments.ledger.settlement import settle
from autodoctor.quotes import quotes
from autodoctor.quotes.quotes import AmountRequest, ApprovalRequest, EscalationRequest
from autodoctor.sessions.accept import decline
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.presence import join, leave, release
from integration.actors import Mechanic, Stage
from integration.market import attempt
from payments.desk import Desk
from payments.purse import buy, complete, give


class Marketplace:
    """People who went through everything.

    Attributes:
        stage: the database.
        sessions: by what became of them.
        filled_at: when what is active in it was, by time.monotonic().
    """

    def __init__(self, stage: Stage, desk: Desk, next_week: str) -> None:
        self.stage, self.desk, self.next_week = stage, desk, next_week
        self.sessions: dict[str, UUID] = {}
        self.filled_at = time.monotonic()
        self.mechanic = desk.mechanic

    def fill(self) -> None:
        """Ended sessions first: what is active has to be recent."""
        self.stage.owner.execute("UPDATE plans SET mechanic_fixed_pay_cents = 250 WHERE code = 'free'")
        self._expired()
        self._given_back()
        self._ended()
        self._paid()
        self._disputed()
        self._escalated()
        self._settle_all()
        self.wander(25, seed=1)
        self._active()
        self.stage.owner.execute("DELETE FROM outbox")  # the bus has them
        with self.stage.without_triggers() as superuser:  # a long run must not outlast them
            superuser.execute(
                "UPDATE session_assignments SET offer_expires_at = now() + interval '1 hour' WHERE status = 'offered'"
            )
            for table in ("payouts", "refunds", "payout_reversals"):  # the sweeps come every minute
                superuser.execute(
                    sql.SQL("UPDATE {} SET next_attempt_at = now() WHERE next_attempt_at < now()").format(
                        sql.Identifier(table)
                    )
                )

        self.filled_at = time.monotonic()

    def renew(self) -> None:
        """Move all of it up to now, and leave nobody connected, so that it may be copied.

        In a long run its active sessions would else be stuck: a mechanic has ten minutes to come.
        """
        passed = time.monotonic() - self.filled_at
        self.stage.let_time_pass(-passed)
        self.filled_at += passed
        self.stage.close()

    # --- ended --------------------------------------------------------------------------------------

    def _expired(self) -> None:
        self.sessions["expired unsigned"] = self.stage.pending().session_id
        self.sessions["expired queued"] = self.stage.queued(urgent=True).session_id
        late = self.stage.mechanic()
        customer = new_id()
        self.sessions["expired waiting"] = self.stage.waiting(late, customer).session_id
        join(self.stage.app, late.user_id, self.sessions["expired waiting"])
        self.stage.let_time_pass(7300)
        sweep(self.stage.app, lambda: 60.0)

    def _given_back(self) -> None:
        first, second, customer = self.stage.mechanic(), self.stage.mechanic(), new_id()
        created = self.stage.queued(customer, preferredMechanicId=first.id)
        decline(self.stage.app, first.user_id, created.assignment_id)
        self.stage.accept_current(second, created.session_id)
        join(self.stage.app, second.user_id, created.session_id)
        release(self.stage.app, second.user_id, created.session_id)
        self.stage.accept_current(second, created.session_id)
        self._consult(customer, second, created.session_id, 75)
        self.sessions["declined, released, completed"] = created.session_id
        lapsed = self.stage.queued(customer, preferredMechanicId=first.id)
        self.stage.let_time_pass(130)
        sweep(self.stage.app, lambda: 60.0)
        self.stage.accept_current(second, lapsed.session_id)
        self.stage.let_time_pass(700)
        sweep(self.stage.app, lambda: 60.0)  # the mechanic never came
        self.sessions["withdrawn after a lapsed offer"] = lapsed.session_id
        self.stage.end(customer, lapsed.session_id)

    def _ended(self) -> None:
        mechanic, customer = self.stage.mechanic(), new_id()
        for name, seconds in (("too short", 20), ("completed", 60), ("long", 3000)):
            created = self.stage.waiting(mechanic, customer)
            self._consult(customer, mechanic, created.session_id, seconds)
            self.sessions[name] = created.session_id
        for name, who in (("no show of both", ()), ("no show of the customer", (mechanic.user_id,))):
            created = self.stage.waiting(mechanic, customer)
            for user in who:
                join(self.stage.app, user, created.session_id)
            self.stage.end(customer, created.session_id)
            self.sessions[name] = created.session_id
        created = self.stage.live(mechanic, customer)
        self.stage.let_time_pass(100)
        leave(self.stage.app, customer, created.session_id)
        self.stage.let_time_pass(50)
        join(self.stage.app, customer, created.session_id)
        leave(self.stage.app, mechanic.user_id, created.session_id)
        self.stage.let_time_pass(700)
        sweep(self.stage.app, lambda: 60.0)
        self.sessions["abandoned"] = created.session_id
        created = self.stage.live(mechanic, customer)
        self.stage.let_time_pass(200 * 60)
        sweep(self.stage.app, lambda: 60.0)
        self.sessions["past its maximum"] = created.session_id
        soon = self.stage.queued(customer, scheduledFor=(datetime.now(UTC) + timedelta(minutes=5)).isoformat())
        self.stage.accept_current(mechanic, soon.session_id)
        self._consult(customer, mechanic, soon.session_id, 90)
        self.sessions["scheduled, completed"] = soon.session_id
        created = self.stage.queued(customer)
        end_session(self.stage.app, Ender(any_session=True, actor="operator:test"), created.session_id)
        self.sessions["ended by an operator"] = created.session_id
        created = self.stage.queued(customer)
        self.stage.owner.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [created.session_id])
        self.sessions["ended by hand"] = created.session_id
        created = self.stage.queued(customer, scheduledFor=self.next_week)
        self.stage.end(customer, created.session_id)
        self.sessions["withdrawn before its time"] = created.session_id
        owner = Database(lambda: self.stage.urls.owner_url)
        erase_customer(owner, customer, "test")
        owner.close()

    def _paid(self) -> None:
        mechanic, customer = self.stage.mechanic(), new_id()
        give(self.stage, customer, 9)
        code = self.stage.one("SELECT referral_code FROM mechanics WHERE id = %s", self.stage.mechanic().id)
        created = buy(self.stage, customer, "standard", referralCode=code)
        complete(self.stage, created, customer, mechanic)
        self.sessions["completed by credits, referred"] = created.session_id
        created = buy(self.stage, customer, "quick")
        self.stage.end(customer, created.session_id)
        self.sessions["cancelled by credits"] = created.session_id
        self.desk.onboard()
        self.sessions["completed by card"] = self.desk.earned()
        self.sessions["cancelled by card"] = self.desk.cancelled()
        self.desk.pack(new_id())
        self.desk.payouts()
        self.desk.refunds()
        self.desk.tell()
        self.sessions["completed by card, not sent"] = self.desk.earned()

    def _disputed(self) -> None:
        for name, won in (("dispute won", True), ("dispute lost", False)):
            self.sessions[name] = self.desk.earned()
            self.desk.payouts()
            self.desk.tell()
            self.desk.decide(self.desk.dispute(self.sessions[name]), won=won)
        self.desk.reversals()
        self.desk.tell()
        self.desk.fees()
        self.sessions["refunded by hand"] = self.desk.earned()
        self.desk.refund(self.sessions["refunded by hand"], 300)
        self.sessions["disputed"] = self.desk.earned()
        self.desk.dispute(self.sessions["disputed"])

    def _escalated(self) -> None:
        workshop = self.stage.workshop()
        foreman, mechanic, customer = self.stage.mechanic(workshop), self.stage.mechanic(), new_id()
        created = self.stage.live(mechanic, customer)
        asked = EscalationRequest.model_validate({"workshopId": workshop})
        made = quotes.escalate(self.stage.app, mechanic.user_id, created.session_id, asked)
        amount = AmountRequest.model_validate({"amountCents": 50_000})
        quotes.give_amount(self.stage.app, foreman.user_id, made.quote_id, amount)
        self.stage.let_time_pass(90)
        self.stage.end(customer, created.session_id)
        approval = ApprovalRequest.model_validate({"amountCents": 50_000})
        quotes.approve(self.stage.app, customer, made.quote_id, approval)
        self.sessions["escalated"] = created.session_id

    def _settle_all(self) -> None:
        due = self.stage.owner.execute("SELECT session_id FROM settlements_due").fetchall()
        for row in due:
            settle(self.stage.app, row["session_id"])

    def wander(self, count: int, seed: int) -> None:
        """So many more customers, with whom anything may happen; each session is ended and settled."""
        chance = random.Random(seed)
        mechanics = [self.stage.mechanic() for _ in range(3)]
        for _ in range(count):
            customer = new_id()
            give(self.stage, customer, 5)
            created = attempt(functools.partial(self._asked, customer, chance, mechanics))
            if created is not None:
                for _ in range(chance.randint(1, 12)):
                    self._something(customer, created, mechanics, chance)
                if self.stage.one("SELECT ended_at FROM sessions WHERE id = %s", created) is None:
                    self.stage.end(customer, created)
        self._settle_all()

    def _asked(self, customer: UUID, chance: random.Random, mechanics: list[Mechanic]) -> UUID:
        wishes: list[dict[str, object]] = [{}, {"urgent": True}, {"preferredMechanicId": chance.choice(mechanics).id}]
        wish = chance.choice(wishes)
        match chance.choice(["free", "credit", "card", "unsigned", "scheduled"]):
            case "free":
                return self.stage.queued(customer, **wish).session_id
            case "credit":
                return buy(self.stage, customer, chance.choice(["quick", "standard"]), None, **wish).session_id
            case "card":
                return self.desk.buy(customer)
            case "unsigned":
                return self.stage.pending(customer, **wish).session_id
            case _:
                soon = datetime.now(UTC) + timedelta(minutes=chance.randint(1, 60))
                return self.stage.queued(customer, scheduledFor=soon, **wish).session_id

    def _something(self, customer: UUID, session_id: UUID, mechanics: list[Mechanic], chance: random.Random) -> None:
        mechanic, app = chance.choice(mechanics), self.stage.app
        current = "SELECT current_assignment_id FROM sessions WHERE id = %s"
        ways: list[Callable[[], object]] = [
            lambda: self.stage.accept_current(mechanic, session_id),
            lambda: self.stage.accept_current(mechanic, session_id),
            lambda: decline(app, mechanic.user_id, self.stage.one(current, session_id)),
            lambda: join(app, customer, session_id),
            *([functools.partial(join, app, one.user_id, session_id) for one in mechanics] * 2),
            lambda: leave(app, chance.choice([customer, mechanic.user_id]), session_id),
            lambda: release(app, mechanic.user_id, session_id),
            lambda: self.stage.sign(customer, session_id),
            lambda: self.stage.let_time_pass(chance.choice([1, 30, 60, 150, 700])),
            lambda: sweep(app, lambda: 60.0),
            lambda: self.stage.end(chance.choice([customer, mechanic.user_id]), session_id),
        ]
        weights = [4, 4, 1, 4, *[3] * (2 * len(mechanics)), 1, 1, 3, 4, 1, 1]
        attempt(chance.choices(ways, weights)[0])

    # --- active -------------------------------------------------------------------------------------

    def _active(self) -> None:
        workshop = self.stage.workshop()
        employed = self.stage.mechanic(workshop)
        ways: dict[str, Callable[[], UUID]] = {
            "unsigned": lambda: self.stage.pending().session_id,
            "queued": lambda: self.stage.queued().session_id,
            "urgent": lambda: self.stage.queued(urgent=True).session_id,
            "of a workshop": lambda: self.stage.queued(workshopId=workshop).session_id,
            "offered": lambda: self.stage.queued(preferredMechanicId=employed.id).session_id,
            "scheduled": lambda: self.stage.queued(scheduledFor=self.next_week).session_id,
            "waiting": lambda: self.stage.waiting(self.stage.mechanic()).session_id,
            "live": lambda: self.stage.live(self.stage.mechanic(), new_id()).session_id,
            "bought": self.desk.buy,
            "parted": self._parted,
            "just ended": self._just_ended,
        }
        for name, way in ways.items():
            self.sessions[name] = way()
        self.desk.counter.ask(new_id())  # a page that nobody paid

    def _parted(self) -> UUID:
        mechanic, customer = self.stage.mechanic(), new_id()
        created = self.stage.live(mechanic, customer)
        leave(self.stage.app, customer, created.session_id)
        return created.session_id

    def _just_ended(self) -> UUID:
        """Its money is due and not settled yet."""
        customer = new_id()
        give(self.stage, customer, 1)
        created = buy(self.stage, customer, "quick")
        self.stage.end(customer, created.session_id)
        return created.session_id

    def _consult(self, customer: UUID, mechanic: Mechanic, session_id: UUID, seconds: int) -> None:
        both = [customer, mechanic.user_id]
        random.Random(seconds).shuffle(both)
        for user in both:
            join(self.stage.app, user, session_id)
        self.stage.let_time_pass(seconds)
        self.stage.end(both[0], session_id)
