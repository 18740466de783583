"""Random people pay in random ways for random sessions; their events come three times, late and shuffled.

After every step invariants 1 to 10 hold, and once everything has been delivered every credit is either with its
customer or was spent on a completed session.
"""

import json
import random
from uuid import UUID  # noqa: TC003 - annotates an attribute

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from autodoctor.contests.contests import ContestRequest, contest
from autodoctor.contests.decide import DecideContestRequest, decide_contest
from autodoctor.contests.errors import ContestNotOpen
from autodoctor.errors import ActiveSessionExists, InsufficientCredits, Problem, Unprocessable
from autodoctor.events.model import Event, SessionEvent, detail, event_of, parse_event
from autodoctor.events.outbox import mark_of, pending
from autodoctor.extensions.errors import ExtensionNotPaid, ExtensionNotPossible
from autodoctor.ids import new_id
from autodoctor.intake.create import SessionCreated  # noqa: TC001 - annotates an attribute
from autodoctor.payments.ledger import accounts
from autodoctor.payments.settlement import settle, sweep
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.expiry import sweep as expire
from support.invariants.sessions import violations
from support.money.extensions import extended, paid_by_card
from support.money.purchases import balance, buy, give, pay_by_card, rows, spendable
from support.world import Mechanic, World

CUSTOMERS = st.integers(0, 3)
MECHANICS = st.integers(0, 2)
PICK = st.integers(0, 9)
OUTCOMES = st.sampled_from(["keep", "part", "all", ""])
FUNDINGS = st.sampled_from(["free", "credit", "card"])
PAID = st.sampled_from(["quick", "standard", "diagnostic"])
BILLABLE_SECONDS = 60
# An extension is an intake of its own, and used if the talk went on into it.
CREDITS_OF = """
SELECT coalesce(sum(i.credits) FILTER (WHERE s.ended_at IS NULL), 0)::integer AS held,
       coalesce(sum(i.credits) FILTER (WHERE s.status = 'completed' AND (
         x.id IS NULL
         OR s.ended_at >= s.started_at + make_interval(mins => x.starts_after, secs => s.min_billable_seconds))),
       0)::integer AS spent
  FROM intakes i LEFT JOIN session_extensions x ON x.id = i.id
  JOIN sessions s ON s.id = coalesce(x.session_id, i.id) JOIN customers c ON c.id = s.customer_id
 WHERE c.user_id = %s AND i.funding = 'credit'
"""


class MoneyMachine(RuleBasedStateMachine):
    """Four customers, three mechanics, and a bag of events on their way to the settlement."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @initialize(fixed_pay=st.sampled_from([0, 250]))
    def open(self, fixed_pay: int) -> None:
        self.world.clear()
        self.world.lift_limits()
        self.world.owner.execute("UPDATE plans SET mechanic_fixed_pay_cents = %s WHERE code = 'free'", [fixed_pay])
        self.customers = [new_id() for _ in range(4)]
        self.mechanics: list[Mechanic] = [self.world.mechanic() for _ in range(3)]
        self.given = dict.fromkeys(self.customers, 0)
        self.returned = dict.fromkeys(self.customers, 0)
        self.open_sessions: dict[UUID, SessionCreated] = {}
        self.talked: set[UUID] = set()
        self.bag: list[Event] = []
        for customer, funding in enumerate(("free", "credit", "credit", "card")):
            self.be_given_credits(customer, 7)
            self.ask(customer, funding, "standard")

    @invariant()
    def nothing_is_violated(self) -> None:
        assert violations(self.world.owner) == []

    # --- people -----------------------------------------------------------------------------------

    @rule(customer=CUSTOMERS, amount=st.integers(1, 6))
    def be_given_credits(self, customer: int, amount: int) -> None:
        give(self.world, self.customers[customer], amount)
        self.given[self.customers[customer]] += amount

    @rule(customer=CUSTOMERS, funding=FUNDINGS, plan=PAID)
    def ask(self, customer: int, funding: str, plan: str) -> None:
        user_id = self.customers[customer]
        had = spendable(self.world, user_id)
        ways = {
            "free": lambda: self.world.queued(user_id),
            "credit": lambda: buy(self.world, user_id, plan),
            "card": lambda: pay_by_card(self.world, user_id, plan),
        }
        try:
            self.open_sessions[user_id] = ways[funding]()
        except InsufficientCredits:
            assert funding == "credit"
            assert self.price(plan) > had == spendable(self.world, user_id)
        except ActiveSessionExists:
            assert spendable(self.world, user_id) == had
        else:
            assert spendable(self.world, user_id) == had - (self.price(plan) if funding == "credit" else 0)

    def price(self, plan: str) -> int:
        credits_: int = self.world.one("SELECT credits FROM plans WHERE code = %s", plan)
        return credits_

    @rule(customer=CUSTOMERS, mechanic=MECHANICS, seconds=st.sampled_from([0, 10, 59, 60, 61, 500]))
    def consult(self, customer: int, mechanic: int, seconds: int) -> None:
        """A mechanic takes the customer's session, both come, and stay for so long."""
        created, held = self.open_sessions.get(self.customers[customer]), self.mechanics[mechanic]
        if created is None:
            return
        try:
            self.world.accept_current(held, created.session_id)
        except Problem:  # the mechanic has another, somebody has this one, or it is over
            return
        self.world.meet(created.session_id, self.customers[customer], held)
        self.world.let_time_pass(seconds)
        if seconds >= BILLABLE_SECONDS:
            self.talked.add(created.session_id)

    @rule(customer=CUSTOMERS, pay_with=st.sampled_from(["credit", "card"]), used=st.booleans())
    def extend(self, customer: int, pay_with: str, *, used: bool) -> None:
        """The customer of a talk under way pays for more minutes, and they talk on into them, or not."""
        user_id = self.customers[customer]
        created = self.open_sessions.get(user_id)
        live = created and self.world.one(
            "SELECT m.id FROM sessions s JOIN mechanics m ON m.id = s.mechanic_id"
            " WHERE s.id = %s AND s.status = 'live'",
            created.session_id,
        )
        if not live:
            return
        assert created is not None
        (mechanic,) = [each for each in self.mechanics if each.id == live]
        ways = {"credit": extended, "card": paid_by_card}
        try:
            extension_id = ways[pay_with](self.world, user_id, mechanic, created.session_id)
        except (ExtensionNotPaid, ExtensionNotPossible, Unprocessable):  # too few credits, too long, or a free plan
            return
        if used:
            begins = self.world.one("SELECT starts_after FROM session_extensions WHERE id = %s", extension_id)
            self.world.let_time_pass(60 * begins + BILLABLE_SECONDS)
        event(f"extension {pay_with}{' used' if used else ''}")

    @rule(customer=CUSTOMERS)
    def end(self, customer: int) -> None:
        created = self.open_sessions.pop(self.customers[customer], None)
        if created is not None:
            ended = end_session(self.world.app, Ender(self.customers[customer]), created.session_id)
            assert created.session_id not in self.talked or ended.status == "completed"

    @rule(customer=CUSTOMERS, funding=FUNDINGS, plan=PAID, mechanic=MECHANICS, seconds=st.sampled_from([59, 61]))
    def come_and_go(self, customer: int, funding: str, plan: str, mechanic: int, seconds: int) -> None:
        """A whole session, where nothing is in its way."""
        self.end(customer)
        self.ask(customer, funding, plan)
        self.consult(customer, mechanic, seconds)
        self.end(customer)

    @rule(pick=PICK, outcome=OUTCOMES)
    def contest(self, pick: int, outcome: str) -> None:
        """The customer of a settled session contests it, and an admin decides, unless they leave it."""
        settled = rows(
            self.world,
            "SELECT st.session_id, c.user_id, p.cents, p.credits FROM settlements st"
            "  JOIN intakes i ON i.id = st.session_id JOIN customers c ON c.id = i.customer_id"
            " CROSS JOIN LATERAL ("
            "   SELECT (sum(price_cents) FILTER (WHERE funding = 'card'))::integer AS cents,"
            "          (sum(credits) FILTER (WHERE funding = 'credit'))::integer AS credits"
            "     FROM contested_prices(st.session_id)) AS p"
            " WHERE num_nonnulls(p.cents, p.credits) > 0"
            "   AND NOT EXISTS (SELECT FROM contests k WHERE k.session_id = i.id AND k.outcome IS NOT NULL)"
            " ORDER BY st.session_id",
        )
        if not settled:
            return
        session_id, customer, cents, credits_ = settled[pick % len(settled)]
        try:
            contest(self.world.app, customer, session_id, ContestRequest(reason="other", text="It squeals."))
        except ContestNotOpen:  # days have passed
            return
        halves = {"refundCents": (cents or 0) // 2, "refundCredits": (credits_ or 0) // 2}
        if not outcome or (outcome == "part" and not any(halves.values())):
            return
        amount = {unit: half for unit, half in halves.items() if half} if outcome == "part" else {}
        request = DecideContestRequest.model_validate({"outcome": outcome, "note": "Read.", **amount})
        decide_contest(self.world.app, new_id(), session_id, request)
        if outcome != "keep":
            self.returned[customer] += amount.get("refundCredits", 0) if outcome == "part" else credits_ or 0
        units = " and ".join(unit for unit, paid in (("card", cents), ("credit", credits_)) if paid)
        event(f"contest {units} {outcome}")

    @rule(customer=CUSTOMERS, funding=FUNDINGS, pay_with=st.sampled_from(["credit", "card"]), outcome=OUTCOMES)
    def regret(self, customer: int, funding: str, pay_with: str, outcome: str) -> None:
        """A talk that is extended, used to the end, settled and contested, where nothing is in its way."""
        self.end(customer)
        self.be_given_credits(customer, 6)
        self.ask(customer, funding, "standard")
        for mechanic in range(len(self.mechanics)):
            self.consult(customer, mechanic, 0)
        self.extend(customer, pay_with, used=True)
        self.end(customer)
        sweep(self.world.app, lambda: 60.0, 0)
        self.contest(-1, outcome)

    @rule(seconds=st.sampled_from([601, 7_201, 11_000]))
    def go_away(self, seconds: int) -> None:
        self.world.let_time_pass(seconds)
        expire(self.world.app, lambda: 60.0)

    # --- events -----------------------------------------------------------------------------------

    @rule()
    def publish(self) -> None:
        """The outbox goes on the bus, each event three times, which may be late for any of them."""
        for (subject,) in rows(self.world, "SELECT DISTINCT subject_id FROM outbox"):
            while waiting := pending(self.world.app, subject):
                for made in map(event_of, waiting):
                    assert parse_event({"detail-type": made.type, "detail": json.loads(detail(made))}) == made
                    self.bag += [made] * 3
                mark_of(self.world.app, subject, waiting)

    @precondition(lambda self: self.bag)
    @rule(shuffle=st.randoms(use_true_random=False), most=st.integers(1, 40))
    def deliver(self, shuffle: random.Random, most: int) -> None:
        shuffle.shuffle(self.bag)
        for told in self.bag[:most]:
            if isinstance(told, SessionEvent) and told.type in {"session.ended", "session.expired"}:
                settle(self.world.app, told.session_id)
        del self.bag[:most]

    @rule()
    def look_for_what_was_missed(self) -> None:
        sweep(self.world.app, lambda: 60.0)

    # --- the books --------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "bag"):
            return
        self.publish()
        self.deliver_all()
        assert violations(self.world.owner) == []
        assert rows(self.world, "SELECT session_id FROM settlements_due") == []
        for (outcome,) in rows(self.world, "SELECT DISTINCT outcome || ' ' || (facts ->> 'funding') FROM settlements"):
            event(outcome)
        all_spent = 0
        for customer, given in self.given.items():
            held, spent = rows(self.world, CREDITS_OF, customer)[0]
            all_spent += spent
            assert spendable(self.world, customer) == given - held - spent + self.returned[customer]
        assert balance(self.world, accounts.CREDITS_SPENT) == all_spent - sum(self.returned.values())
        assert balance(self.world, accounts.CREDITS_ISSUED) == -sum(self.given.values())

    def deliver_all(self) -> None:
        self.deliver(random.Random(4), len(self.bag) + 1)


def play(world: World, examples: int) -> None:
    run_state_machine_as_test(
        lambda: MoneyMachine(world),  # type: ignore[arg-type]  # it is called, and nothing else
        settings=settings(max_examples=examples, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow]),
    )


def test_money_always_adds_up(world: World) -> None:
    play(world, 40)


@pytest.mark.slow
def test_money_adds_up_for_a_long_time(world: World) -> None:
    play(world, 500)
