"""Refunds and disputes under random actions of people, banks, Stripe and the network: at rest all books agree.

Sessions and packs are bought, held, cancelled; payments are refunded by hand, refunds come back, disputes are opened,
won and lost, transfers are reversed; events come late, shuffled and three times; calls fail before and after they
took effect.
"""

import random
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import session_held
from autodoctor.payments.ledger.netting_consents import NettingRequest, agree
from autodoctor.payments.losses.losses import sweep_losses
from autodoctor.payments.settlement import settle
from localcloud.stripe.http.errors import ApiError
from support.invariants.sessions import violations
from support.money.checkout_env import open_checkout
from support.money.purchases import complete, rows
from support.money.refund_env import RefundEnv
from support.money.statement_sums import adds_up
from support.world import World

HOUR = 3600
MODES = ("error", "error_after", "unavailable", "cut", "cut_after")
PATHS = ("/v1/transfers*", "/v1/refunds", "/v1/disputes*", "*")
PICK = st.integers(0, 99)


class Storm(RuleBasedStateMachine):
    """One mechanic, customers of whom each buys once, and events on their way."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.world = world
        self.monkeypatch = monkeypatch
        self.stack = ExitStack()

    @initialize(charge_alone=st.booleans(), netted=st.booleans())
    def begin(self, *, charge_alone: bool, netted: bool) -> None:
        self.world.clear()
        checkout_env = self.stack.enter_context(open_checkout(self.world, self.monkeypatch))
        unasked = {"refund.created", "refund.updated"} if charge_alone else ()
        self.refund_env = RefundEnv(checkout_env, retries=0, unasked=frozenset(unasked))
        self.stripe = checkout_env.stripe
        self.bag: list[dict[str, Any]] = []
        self.active: list[UUID] = []
        self.refund_env.onboard()
        self.stripe.add_funds(1_000_000)
        agree(self.world.app, self.refund_env.mechanic.user_id, NettingRequest(agreed=netted))
        self.buy()
        self.complete(self.active[0])

    # --- what people do -----------------------------------------------------------------------------

    @rule()
    def buy(self) -> None:
        """A session is bought, and the webhook comes at once: the rest of the walk is about what comes later."""
        with self.working():
            opened = self.refund_env.checkout_env.ask(new_id(), None, waiver={"signedName": "Cora Castillo"})
        paid = self.stripe.pay(self.refund_env.checkout_env.page(opened))
        (event,) = [
            each
            for each in self.stripe.events("checkout.session.completed")
            if each["data"]["object"]["id"] == paid["id"]
        ]
        self.refund_env.delivered.add(event["id"])
        assert self.refund_env.deliver(event).json["outcome"] == "fulfilled"
        self.active.append(opened.intake_id)

    @rule(pick=PICK)
    def hold(self, pick: int) -> None:
        if self.active:
            self.complete(self.active[pick % len(self.active)])

    def complete(self, session_id: UUID) -> None:
        self.active.remove(session_id)
        customer = self.refund_env.customer(session_id)
        complete(self.world, self.refund_env.checkout_env.session_of(session_id), customer, self.refund_env.mechanic)
        settle(self.world.app, session_id)

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        if self.active:
            self.refund_env.cancel(self.active.pop(pick % len(self.active)))

    @rule()
    def buy_a_pack(self) -> None:
        with self.working():
            self.refund_env.pack(new_id())

    # --- what goes back -----------------------------------------------------------------------------

    def of(self, kind: str, pick: int) -> str | None:
        found = self.stripe.objects(kind)
        return str(found[pick % len(found)]["id"]) if found else None

    @rule(pick=PICK, cents=st.sampled_from([1, 333, 500, 998, None]))
    def refund_by_hand(self, pick: int, cents: int | None) -> None:
        self.attempt(lambda: self.stripe.refund(str(self.of("charge", pick)), cents))

    @rule(pick=PICK)
    def have_a_refund_come_back(self, pick: int) -> None:
        if refund := self.of("refund", pick):
            self.attempt(lambda: self.stripe.fail_refund(refund))

    @rule(pick=PICK)
    def dispute(self, pick: int) -> None:
        self.attempt(lambda: self.stripe.open_dispute(str(self.of("charge", pick))))

    @rule(pick=PICK, won=st.booleans())
    def decide(self, pick: int, *, won: bool) -> None:
        if dispute := self.of("dispute", pick):
            self.attempt(lambda: self.stripe.close_dispute(dispute, won=won))

    @rule(pick=PICK, cents=st.sampled_from([1, 400, None]))
    def take_a_transfer_back_by_hand(self, pick: int, cents: int | None) -> None:
        if transfer := self.of("transfer", pick):
            self.attempt(lambda: self.stripe.reverse(transfer, cents))

    def attempt(self, act: Any) -> None:  # noqa: ANN401 (a control of the stand-in)
        """What Stripe refuses did not happen."""
        try:
            act()
        except ApiError:
            return

    # --- what machines do ---------------------------------------------------------------------------

    @rule(mode=st.sampled_from(MODES), path=st.sampled_from(PATHS), times=st.integers(1, 2))
    def break_something(self, mode: str, path: str, times: int) -> None:
        self.stripe.fail(mode=mode, method="*", path=path, times=times)

    @rule(shuffle=st.randoms(use_true_random=False), most=st.integers(1, 12))
    def tell(self, shuffle: random.Random, most: int) -> None:
        new = [
            each
            for each in self.stripe.events()
            if each["id"] not in self.refund_env.delivered and self.refund_env.wants(each)
        ]
        self.refund_env.delivered |= {each["id"] for each in new}
        self.bag += new * 3
        shuffle.shuffle(self.bag)
        for event in self.bag[:most]:
            if self.refund_env.deliver(event).status != 200:  # Stripe says it again
                self.bag.append(event)
        del self.bag[:most]

    @rule(hours=st.sampled_from([0, 1, 25]))
    def sweep(self, hours: int) -> None:
        self.refund_env.later(hours * HOUR)
        self.refund_env.lookups()
        self.refund_env.refunds()
        self.refund_env.payouts()
        self.refund_env.reversals()
        sweep_losses(self.world.app, lambda: 60.0)

    def working(self) -> ExitStack:
        """Keep what is broken from what is no part of the test."""
        stack = ExitStack()
        faults = self.stripe.faults
        broken, faults.calls = faults.calls, []
        stack.callback(lambda: setattr(faults, "calls", broken))
        return stack

    # --- the books ----------------------------------------------------------------------------------

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        if not hasattr(self, "refund_env"):
            return
        assert self.stripe.imbalances() == []
        groups = [each["transfer_group"] for each in self.stripe.objects("transfer")]
        assert len(groups) == len(set(groups))
        assert violations(self.world.owner) == []

    def teardown(self) -> None:
        with self.stack:
            if hasattr(self, "refund_env"):
                self.calm_down()

    def calm_down(self) -> None:
        self.stripe.faults.calls.clear()
        for dispute in self.stripe.objects("dispute"):
            if dispute["status"] == "needs_response":
                self.stripe.close_dispute(dispute["id"], won=len(self.bag) % 2 == 0)
        for _round in range(4):
            self.tell(random.Random(4), 10_000)
            self.world.owner.execute("SELECT retry_stripe_job(id) FROM stripe_jobs WHERE job <> 'reversal'")
            self.sweep(25)
        assert self.bag == []
        self.world.owner.execute("UPDATE checkouts SET fee_due_at = NULL")
        self.world.owner.execute("UPDATE stripe_disputes SET fees_due_at = created_at WHERE fees_due_at IS NOT NULL")
        self.refund_env.balanced()
        self.nobody_is_short()
        adds_up(self.world, self.refund_env.mechanic)

    def nobody_is_short(self) -> None:
        unsent = "SELECT state FROM payouts WHERE state NOT IN ('sent', 'reversed', 'cancelled')"
        assert rows(self.world, unsent) == []
        assert rows(self.world, "SELECT state FROM refunds WHERE state NOT IN ('sent', 'returned')") == []
        both = "SELECT FROM payouts p JOIN refunds r ON r.intake_id = p.session_id"
        assert rows(self.world, both) == []
        assert rows(self.world, "SELECT FROM losses WHERE effective <> (booked IN ('held', 'split'))") == []
        for (session_id,) in rows(self.world, "SELECT session_id FROM settlements"):
            assert self.refund_env.has(session_held(session_id)) == 0
        payable, receivable = self.refund_env.of_mechanic()
        assert (payable >= 0, receivable >= 0) == (True, True)


def play(world: World, monkeypatch: pytest.MonkeyPatch, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: Storm(world, monkeypatch),  # type: ignore[arg-type]  # it is called, and nothing else
        settings=settings(max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck)),
    )


def test_whatever_goes_back_is_booked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    play(world, monkeypatch, 4, 20)


@pytest.mark.slow
def test_whatever_goes_back_is_booked_for_a_long_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    play(world, monkeypatch, 25, 40)
