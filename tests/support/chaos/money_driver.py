"""Moves money step by step; each call of a function may be given a step at which to die."""

import itertools
import random
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, LiteralString
from uuid import UUID

from autodoctor.db import Row
from autodoctor.ids import new_id
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from localcloud.stripe.state.webhooks import EVENTS
from support.chaos.background import look_up, told_ends
from support.chaos.chaos_env import ChaosEnv
from support.chaos.people import SOLD_AS
from support.chaos.pool import Document
from support.chaos.stand_in import RemoteRefused
from support.world import Mechanic

WANTED = tuple(itertools.chain.from_iterable(EVENTS.values()))
_SESSION: Final[LiteralString] = """
SELECT s.id, s.status, s.current_assignment_id, m.user_id AS mechanic_user
  FROM sessions s JOIN customers c ON c.id = s.customer_id LEFT JOIN mechanics m ON m.id = s.mechanic_id
 WHERE c.user_id = %s AND s.ended_at IS NULL
"""
_BUSY: Final[LiteralString] = "SELECT id FROM sessions WHERE mechanic_id = %s AND ended_at IS NULL"


@dataclass
class MoneyDriver:
    """A few customers and mechanics, pages that are open, and events on their way.

    `die_before` is everywhere the step before which the function's process dies; whoever called it then comes again.
    """

    env: ChaosEnv
    customers: list[UUID] = field(default_factory=lambda: [new_id() for _ in range(3)])
    mechanics: list[Mechanic] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    seen: int = 0

    def open(self) -> None:
        """Two mechanics, of whom one went through onboarding; Stripe's events wait until they are asked for."""
        self.env.stripe.ask("disturb", held=True)
        self.env.stripe.ask("available_after", seconds=0)
        self.mechanics = [self.env.new_mechanic() for _ in range(2)]
        self.env.stripe.ask("onboard", account=self.env.accounts[-1])
        self.seen = max((number for number, _, _ in self.env.stripe.events_after(0)), default=0)
        self.env.by_hand("UPDATE settings SET value = '0' WHERE key = 'min_billable_seconds'")

    # --- customers ----------------------------------------------------------------------------------

    def ask(self, customer: UUID, plan: str, pay_with: str, die_before: int | None, code: str | None = None) -> int:
        """An intake; the status of its answer."""
        body = {**INTAKE_WITH_WAIVER, "plan": plan, "payWith": pay_with, "sessionType": SOLD_AS[plan]}
        if code is not None:
            body["referralCode"] = code
        key = {"idempotency-key": str(new_id())}
        status, answer = self.env.pool.call(
            "intake",
            "POST /api/intake/start",
            customer,
            "customers",
            body=body,
            headers=key,
            die_before=die_before,
        )
        if status == 202:
            self.opened(answer)
        return status

    def whole(self, customer: UUID, mechanic: Mechanic, way: str, ending: str, *, settled: bool = True) -> None:
        """A session from intake to its end, or to its settlement, without a mishap: what it owes is to be sent."""
        if way == "credit":
            self.have_credits(customer)
        if self.ask(customer, "standard", way, None) == 202:
            self.at_page(self.pages[-1], "pay")
            self.tell(100, random.Random(1), None)
        self.go_on(customer, mechanic, ending, None)
        if settled:
            self.settle(random.Random(1), None)

    def have_credits(self, customer: UUID) -> None:
        """Ten more."""
        self.buy_credits(customer, None)
        self.at_page(self.pages[-1], "pay")
        self.tell(100, random.Random(1), None)

    def buy_credits(self, customer: UUID, die_before: int | None) -> None:
        """Open the page of a pack."""
        status, answer = self.env.pool.call(
            "checkout",
            "POST /api/customer/credits/checkout",
            customer,
            "customers",
            body={"pack": "ten"},
            die_before=die_before,
        )
        assert status == 202, answer
        self.opened(answer)

    def opened(self, answer: Document) -> None:
        """Remember the page that an answer leads to."""
        page = str(answer["checkoutUrl"]).rpartition("/")[2]
        if page not in self.pages:
            self.pages.append(page)

    def at_page(self, page: str, choice: str) -> None:
        """A person's actions on a page, and the bank's answers to earlier choices."""
        with suppress(RemoteRefused):
            if choice.startswith("bank"):
                self.env.stripe.ask("bank_answers", session_id=page, paid=choice == "bank pays")
            else:
                self.env.stripe.ask("pay", session_id=page, choice=choice)

    def go_on(self, customer: UUID, mechanic: Mechanic, ending: str, die_before: int | None) -> None:
        """Bring the customer's session to an end, if they have one; the process dies in the last call."""
        session = self.session_of(customer)
        if session is None:
            return
        mechanic_user = session["mechanic_user"] or mechanic.user_id
        path = {"sessionId": str(session["id"])}
        if ending == "expired":
            self.env.outlive(session["id"])
            self.sweep("expire_orphans", die_before)
            return
        if ending != "withdrawn" and session["status"] == "pending":
            if self._is_busy(mechanic):
                return
            self._accept(session, mechanic)
        if ending == "completed":
            self._meet(path, customer, mechanic_user)
        self._do("end_session", "POST /api/sessions/{sessionId}/end", customer, path, die_before)

    def begin_talk(self, customer: UUID, mechanic: Mechanic) -> None:
        """Have the customer's session go live with a mechanic, if they have one, and the mechanic has none."""
        session = self.session_of(customer)
        if session is not None and session["status"] == "pending" and not self._is_busy(mechanic):
            self._accept(session, mechanic)
            self._meet({"sessionId": str(session["id"])}, customer, mechanic.user_id)

    def session_of(self, customer: UUID) -> Row | None:
        """The customer's active session, with its mechanic's user."""
        found = self.env.by_hand(_SESSION, customer)
        return found[0] if found else None

    def _is_busy(self, mechanic: Mechanic) -> bool:
        return bool(
            self.env.by_hand("SELECT id FROM sessions WHERE mechanic_id = %s AND ended_at IS NULL", mechanic.id)
        )

    def _accept(self, session: Row, mechanic: Mechanic) -> None:
        path = {"assignmentId": str(session["current_assignment_id"])}
        self._do("accept", "POST /api/mechanic/assignments/{assignmentId}/accept", mechanic.user_id, path)

    def _meet(self, path: dict[str, str], *both: UUID) -> None:
        for who in both:
            self._do("presence", "POST /api/sessions/{sessionId}/join", who, path)

    def _do(self, name: str, route: str, who: UUID, path: dict[str, str], die_before: int | None = None) -> None:
        group = "customers" if who in self.customers else "mechanics"
        status, answer = self.env.pool.call(name, route, who, group, path=path, die_before=die_before)
        assert status == 200, (route, answer)

    # --- events and schedules -----------------------------------------------------------------------

    def tell(self, most: int, shuffle: random.Random, die_before: int | None) -> None:
        """Deliver some of Stripe's events, each of which comes twice, in any order; what fails comes again."""
        for number, event_id, kind in self.env.stripe.events_after(self.seen):
            self.seen = number
            if any(fnmatchcase(kind, wanted) for wanted in WANTED):
                self.events += [event_id] * 2
        shuffle.shuffle(self.events)
        batch, self.events = self.events[:most], self.events[most:]
        for event_id in batch:
            if not self._delivered(event_id, die_before):
                self.events.append(event_id)
            die_before = None

    def _delivered(self, event_id: str, die_before: int | None) -> bool:
        signed = self.env.stripe.ask("signed", event_id=event_id)
        endpoint = "connect" if '"account": "acct_' in signed["payload"] else "platform"
        headers = {"Stripe-Signature": signed["signature"]}
        status, _answer = self.env.pool.post(f"stripe/{endpoint}", signed["payload"], headers, die_before)
        return status == 200

    def settle(self, shuffle: random.Random, die_before: int | None) -> None:
        """Hand over the ends of sessions, each twice and some again later."""
        self.records += list(told_ends(self.env)) * 2
        shuffle.shuffle(self.records)
        batch, self.records = self.records[:10], self.records[10:]
        answer = self.env.pool.invoke("settle", {"Records": batch}, die_before) if batch else None
        failed = batch if answer is None else [each for each in batch if _failed(answer, each)]
        self.records += failed

    def sweep(self, name: str, die_before: int | None) -> None:
        """Run a schedule's function after some time."""
        self.env.let_time_pass()
        self.env.let_leases_end()  # no other process runs
        if name == "checkout":
            look_up(self.env, die_before)
        else:
            self.env.pool.invoke(name, {}, die_before)

    # --- Stripe -------------------------------------------------------------------------------------

    def take_back(self, page: str, how: str) -> None:
        """A refund by hand or a dispute of what was paid on a page, where Stripe lets it."""
        paid = self.env.by_hand("SELECT stripe_payment_intent_id FROM checkouts WHERE stripe_session_id = %s", page)
        intent = paid[0]["stripe_payment_intent_id"] if paid else None
        if intent is None:
            return
        with suppress(RemoteRefused):
            match how:
                case "refund":
                    self.env.stripe.ask("refund", charge=intent)
                case "refund a part":
                    self.env.stripe.ask("refund", charge=intent, amount=333)
                case _:
                    dispute = self.env.stripe.ask("open_dispute", charge=intent)["id"]
                    if how != "dispute":
                        self.env.stripe.ask("close_dispute", dispute=dispute, won=how == "dispute won")


def _failed(answer: Document, record: dict[str, Any]) -> bool:
    return {"itemIdentifier": record["messageId"]} in answer["batchItemFailures"]
