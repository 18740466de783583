"""Sample data: sessions in every state, by every path to it, made by the real use cases."""

import random
import time
from collections.abc import Callable  # noqa: TC003 - annotates local variables
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg import sql

from autodoctor.contests.contests import ContestRequest, contest
from autodoctor.contests.decide import DecideContestRequest, decide_contest
from autodoctor.db import Database
from autodoctor.ids import new_id
from autodoctor.operations.privacy import erase_customer
from autodoctor.payments.ledger.netting_consents import NettingRequest, agree
from autodoctor.payments.settlement import settle
from autodoctor.quotes import quotes
from autodoctor.quotes.quotes import AmountRequest, ApprovalRequest, EscalationRequest
from autodoctor.room.messages import MessageRequest, mark, post
from autodoctor.sessions.accept import decline
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.presence import join, leave, release
from support.files.attachment_rows import attachment
from support.integrity.telling import tell_all
from support.integrity.wandering import wander
from support.money.disputed import sweep as stage
from support.money.extensions import extended, talked_untold
from support.money.purchases import buy, complete, give
from support.money.refund_env import RefundEnv
from support.world import Mechanic, World

_HEARD: Final = "SELECT report_heard(%s, %s, now() - interval '15 s', now(), now(), 700)"
_SAID: Final = "SELECT hear_brought(%s, %s, %s, now() - make_interval(secs => %s))"
_SHOW: Final = "SELECT outcome FROM post_message(%s, %s, %s, 'Look', %s)"


class SampleData:
    """People who went through everything.

    Attributes:
        world: the database.
        sessions: by what became of them.
        filled_at: when what is active in it was, by time.monotonic().
    """

    def __init__(self, world: World, refund_env: RefundEnv, next_week: str) -> None:
        self.world, self.refund_env, self.next_week = world, refund_env, next_week
        self.sessions: dict[str, UUID] = {}
        self.filled_at = time.monotonic()
        self.mechanic = refund_env.mechanic

    def fill(self) -> None:
        """Ended sessions first: what is active has to be recent."""
        self.world.owner.execute("UPDATE plans SET mechanic_fixed_pay_cents = 250 WHERE code = 'free'")
        self._expired()
        self._given_back()
        self._ended()
        self._paid()
        self._disputed()
        self._netted()
        self._escalated()
        self._contested()
        self._settle_all()
        wander(self.world, self.refund_env, 25, seed=1)
        self._settle_all()
        self._suspended()
        self.world.let_time_pass(1000)  # verify gives a consumer a quarter of an hour
        self._active()
        tell_all(self.world)
        self.world.owner.execute("DELETE FROM address_confirmations")  # the tokens of copies would be alike
        self.world.owner.execute("DELETE FROM realtime_connections")  # a copy has none of its own
        with self.world.without_triggers() as superuser:  # a long run must not outlast them
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
        self.world.let_time_pass(-passed)
        self.filled_at += passed
        self.world.close()

    def _suspended(self) -> None:
        self.world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [self.world.mechanic().id])

    # --- ended --------------------------------------------------------------------------------------

    def _expired(self) -> None:
        self.sessions["expired unsigned"] = self.world.pending().session_id
        self.sessions["expired queued"] = self.world.queued(urgent=True).session_id
        late = self.world.mechanic()
        customer = new_id()
        self.sessions["expired waiting"] = self.world.waiting(late, customer).session_id
        join(self.world.app, late.user_id, self.sessions["expired waiting"])
        self.world.let_time_pass(7300)
        sweep(self.world.app, lambda: 60.0)

    def _given_back(self) -> None:
        first, second, customer = self.world.mechanic(), self.world.mechanic(), new_id()
        created = self.world.queued(customer, preferredMechanicId=first.id)
        decline(self.world.app, first.user_id, created.assignment_id)
        self.world.accept_current(second, created.session_id)
        join(self.world.app, second.user_id, created.session_id)
        release(self.world.app, second.user_id, created.session_id)
        third = self.world.mechanic()
        self.world.accept_current(third, created.session_id)
        self._consult(customer, third, created.session_id, 75)
        self.sessions["declined, released, completed"] = created.session_id
        lapsed = self.world.queued(customer, preferredMechanicId=first.id)
        self.world.let_time_pass(130)
        sweep(self.world.app, lambda: 60.0)
        self.world.accept_current(second, lapsed.session_id)
        self.world.let_time_pass(700)
        sweep(self.world.app, lambda: 60.0)  # the mechanic never came
        self.sessions["withdrawn after a lapsed offer"] = lapsed.session_id
        self.world.end(customer, lapsed.session_id)

    def _ended(self) -> None:
        mechanic, customer = self.world.mechanic(), new_id()
        for name, seconds in (("too short", 20), ("completed", 60), ("long", 3000)):
            created = self.world.waiting(mechanic, customer)
            self._consult(customer, mechanic, created.session_id, seconds)
            self.sessions[name] = created.session_id
        for name, who in (
            ("no show of both", (mechanic.user_id, customer)),
            ("no show of the customer", (mechanic.user_id,)),
        ):
            created = self.world.waiting(mechanic, customer)
            for user in who:
                join(self.world.app, user, created.session_id)
                self.world.let_time_pass(600)
                leave(self.world.app, user, created.session_id)
            self.world.end(customer, created.session_id)
            self.sessions[name] = created.session_id
        created = self.world.live(mechanic, customer)
        self.world.let_time_pass(100)
        leave(self.world.app, customer, created.session_id)
        self.world.let_time_pass(50)
        join(self.world.app, customer, created.session_id)
        leave(self.world.app, mechanic.user_id, created.session_id)
        self.world.let_time_pass(700)
        sweep(self.world.app, lambda: 60.0)
        self.sessions["abandoned"] = created.session_id
        created = self.world.live(mechanic, customer)
        self.world.let_time_pass(200 * 60)
        sweep(self.world.app, lambda: 60.0)
        self.sessions["past its maximum"] = created.session_id
        soon = self.world.queued(customer, scheduledFor=(datetime.now(UTC) + timedelta(minutes=5)).isoformat())
        self.world.accept_current(mechanic, soon.session_id)
        self._consult(customer, mechanic, soon.session_id, 90)
        self.sessions["scheduled, completed"] = soon.session_id
        for name in ("ended by an operator", "taken by an operator"):
            created = self.world.queued(customer)
            if name == "taken by an operator":
                self.world.accept(mechanic, created)
            end_session(self.world.app, Ender(any_session=True, actor="operator:test"), created.session_id)
            self.sessions[name] = created.session_id
        created = self.world.queued(customer)
        self.world.owner.execute("UPDATE sessions SET status = 'cancelled' WHERE id = %s", [created.session_id])
        self.sessions["ended by hand"] = created.session_id
        created = self.world.queued(customer, scheduledFor=self.next_week)
        self.world.end(customer, created.session_id)
        self.sessions["withdrawn before its time"] = created.session_id
        owner = Database(lambda: self.world.urls.owner_url)
        erase_customer(owner, customer, "test")
        owner.close()

    def _paid(self) -> None:
        mechanic, customer = self.world.mechanic(), new_id()
        give(self.world, customer, 9)
        code = self.world.one("SELECT referral_code FROM mechanics WHERE id = %s", self.world.mechanic().id)
        created = buy(self.world, customer, "standard", referralCode=code)
        complete(self.world, created, customer, mechanic)
        self.sessions["completed by credits, referred"] = created.session_id
        created = buy(self.world, customer, "quick")
        self.world.end(customer, created.session_id)
        self.sessions["cancelled by credits"] = created.session_id
        self._extended()
        self.refund_env.onboard()
        self.sessions["completed by card"] = self.refund_env.earned()
        self.sessions["cancelled by card"] = self.refund_env.cancelled()
        self.refund_env.pack(new_id())
        self._pack_paid_back()
        self.refund_env.payouts()
        self.refund_env.refunds()
        self.refund_env.tell()
        self.sessions["completed by card, not sent"] = self.refund_env.earned()

    def _pack_paid_back(self) -> None:
        """A pack of five of which three were used and one was held: that one was taken when it came back."""
        mechanic, customer = self.world.mechanic(), new_id()
        intent = self.refund_env.pack(customer)
        complete(self.world, buy(self.world, customer, "standard"), customer, mechanic)
        held = buy(self.world, customer, "quick")
        self.refund_env.checkout_env.stripe.refund(intent)
        self.refund_env.tell()
        self.refund_env.cancel(held.session_id)

    def _extended(self) -> None:
        """By credits, twice: one that is used, and one that goes back."""
        mechanic, customer = self.world.mechanic(), new_id()
        give(self.world, customer, 4)
        created = buy(self.world, customer, "quick")
        self.world.accept(mechanic, created)
        self.world.meet(created.session_id, customer, mechanic)
        for _ in range(2):
            extended(self.world, customer, mechanic, created.session_id)
        self.world.let_time_pass(32 * 60)
        self.world.end(customer, created.session_id)
        settle(self.world.app, created.session_id)
        self.sessions["extended"] = created.session_id

    def _disputed(self) -> None:
        for name, won in (("dispute won", True), ("dispute lost", False)):
            self.sessions[name] = self.refund_env.earned()
            self.refund_env.payouts()
            self.refund_env.tell()
            self.refund_env.decide(self.refund_env.dispute(self.sessions[name]), won=won)
        self.refund_env.reversals()
        self.refund_env.tell()
        self.refund_env.fees()
        self.sessions["refunded by hand"] = self.refund_env.earned()
        self.refund_env.refund(self.sessions["refunded by hand"], 300)
        self.sessions["disputed"] = self.refund_env.earned()
        self.refund_env.dispute(self.sessions["disputed"])
        stage(self.refund_env)

    def _netted(self) -> None:
        """A debt that is netted, and one that was none in the end: the refund failed."""
        self.refund_env.checkout_env.stripe.add_funds(100_000)
        for name, fails in (("netted for", False), ("returned", True)):
            self.sessions[name] = self.refund_env.earned()
            self.refund_env.payouts()
            made = self.refund_env.refund(self.sessions[name], 300)
            agree(self.world.app, self.mechanic.user_id, NettingRequest(agreed=True))
            self.sessions[f"{name}, paying"] = self.refund_env.earned()
            self.refund_env.payouts()
            agree(self.world.app, self.mechanic.user_id, NettingRequest(agreed=False))
            if fails:
                self.refund_env.checkout_env.stripe.fail_refund(made)
                self.refund_env.tell()

    def _escalated(self) -> None:
        workshop = self.world.workshop()
        foreman, mechanic, customer = self.world.mechanic(workshop), self.world.mechanic(), new_id()
        created = self.world.live(mechanic, customer)
        asked = EscalationRequest.model_validate({"workshopId": workshop})
        made = quotes.escalate(self.world.app, mechanic.user_id, created.session_id, asked)
        amount = AmountRequest.model_validate({"amountCents": 50_000})
        quotes.give_amount(self.world.app, foreman.user_id, made.quote_id, amount)
        self.world.let_time_pass(90)
        self.world.end(customer, created.session_id)
        approval = ApprovalRequest.model_validate({"amountCents": 50_000})
        quotes.approve(self.world.app, customer, made.quote_id, approval)
        self.sessions["escalated"] = created.session_id

    def _contested(self) -> None:
        """Kept, given back in part by card, also with minutes that were added, in whole by credits, and undecided."""
        customer = new_id()
        give(self.world, customer, 3)
        created = buy(self.world, customer, "standard")
        complete(self.world, created, customer, self.mechanic)
        settle(self.world.app, created.session_id)
        self.sessions["contested by credits"] = created.session_id
        for name in ("kept", "contested by card", "contested"):
            self.sessions[name] = self.refund_env.earned()
        self.sessions["contested with minutes"], _ = talked_untold(self.refund_env, "card")
        for name, decision in (
            ("contested by credits", {"outcome": "all"}),
            ("kept", {"outcome": "keep"}),
            ("contested by card", {"outcome": "part", "refundCents": 500}),
            ("contested with minutes", {"outcome": "part", "refundCents": 1400}),
            ("contested", None),
        ):
            session_id = self.sessions[name]
            why = ContestRequest(reason="other", text="It squeals as before.")
            contest(self.world.app, self.refund_env.customer(session_id), session_id, why)
            if decision:
                decided = DecideContestRequest.model_validate({**decision, "note": "Read."})
                decide_contest(self.world.app, new_id(), session_id, decided)
        self.refund_env.refunds()
        self.refund_env.tell()

    def _settle_all(self) -> None:
        due = self.world.owner.execute("SELECT session_id FROM settlements_due").fetchall()
        for row in due:
            settle(self.world.app, row["session_id"])

    # --- active -------------------------------------------------------------------------------------

    def _active(self) -> None:
        workshop = self.world.workshop()
        employed = self.world.mechanic(workshop)
        ways: dict[str, Callable[[], UUID]] = {
            "unsigned": lambda: self.world.pending().session_id,
            "queued": lambda: self.world.queued().session_id,
            "urgent": lambda: self.world.queued(urgent=True).session_id,
            "of a workshop": lambda: self.world.queued(workshopId=workshop).session_id,
            "offered": lambda: self.world.queued(preferredMechanicId=employed.id).session_id,
            "scheduled": lambda: self.world.queued(scheduledFor=self.next_week).session_id,
            "waiting": lambda: self.world.waiting(self.world.mechanic()).session_id,
            "live": lambda: self.world.live(self.world.mechanic(), new_id()).session_id,
            "bought": self.refund_env.buy,
            "parted": self._parted,
            "just ended": self._just_ended,
        }
        for name, way in ways.items():
            self.sessions[name] = way()
        self.refund_env.checkout_env.ask(new_id())  # a page that nobody paid
        self._files()
        self.sessions["talked"] = self._talk()
        self.sessions["called"] = self._call()

    def _talk(self) -> UUID:
        """Words of a customer and of two mechanics, the first of whom gave the session back."""
        first, second, customer = self.world.mechanic(), self.world.mechanic(), new_id()
        session = self.world.waiting(first, customer).session_id
        for user in (customer, first.user_id):
            self._say(user, session)
        release(self.world.app, first.user_id, session)
        self.world.accept_current(second, session)
        for user in (customer, second.user_id, second.user_id):
            self._say(user, session)
        mark(self.world.app, customer, session, 2)
        self.world.end(customer, session)
        return session

    def _call(self) -> UUID:
        """Both in the medium, which says so in the wrong order; each page heard the other."""
        mechanic, customer = self.world.mechanic(), new_id()
        session = self.world.waiting(mechanic, customer).session_id
        self.world.app.one("SELECT outcome FROM enter_call(%s, %s)", (session, customer))
        meeting = f'{{"MeetingId": "{session}"}}'
        self.world.app.one("SELECT meeting_made(%s, 1, 1, %s)", (session, meeting))
        self.world.let_time_pass(20)
        for user in (customer, mechanic.user_id):
            self.world.app.one(_HEARD, (session, user))
        for role, kind, ago in (
            *(("customer", "joined", 20), ("mechanic", "left", 5), ("mechanic", "joined", 15)),
            ("mechanic", "left", 10),
        ):
            self.world.app.one(_SAID, (session, role, kind, ago))
        return session

    def _say(self, user: UUID, session: UUID) -> None:
        request = MessageRequest.model_validate({"clientId": new_id(), "text": "It squeals when I brake."})
        post(self.world.app, user, session, request)

    def _files(self) -> None:
        """Files in each state, and two that messages show."""
        mechanic, customer = self.world.mechanic(), new_id()
        session = self.world.live(mechanic, customer).session_id
        self.sessions["with files"] = session
        for place, state in enumerate(("clean", "scanning", "refused"), start=1):
            attachment(self.world, customer, session=session, place=place, state=state)
        for party in (customer, mechanic):
            user = party.user_id if isinstance(party, Mechanic) else party
            shown = attachment(self.world, party, session=session)
            self.world.app.one(_SHOW, (session, user, new_id(), shown))
        attachment(self.world, customer, session=session, state="promised")
        attachment(self.world, customer)

    def _parted(self) -> UUID:
        mechanic, customer = self.world.mechanic(), new_id()
        created = self.world.live(mechanic, customer)
        leave(self.world.app, customer, created.session_id)
        return created.session_id

    def _just_ended(self) -> UUID:
        """Its money is due and not settled yet."""
        customer = new_id()
        give(self.world, customer, 1)
        created = buy(self.world, customer, "quick")
        self.world.end(customer, created.session_id)
        return created.session_id

    def _consult(self, customer: UUID, mechanic: Mechanic, session_id: UUID, seconds: int) -> None:
        both = [customer, mechanic.user_id]
        random.Random(seconds).shuffle(both)
        for user in both:
            self.world.come(user, session_id)
        self.world.let_time_pass(seconds)
        self.world.end(both[0], session_id)
