"""Random events while payouts and refunds are being sent: at rest each was sent once, and all books agree."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from autodoctor.payments.stripe.lease import Sent
from support.invariants.sessions import violations
from support.money.payout_env import PayoutEnv
from support.world import Mechanic

HOUR = 3600
MODES = ("error", "error_after", "unavailable", "rate_limit", "cut", "cut_after")
PATHS = ("/v1/transfers", "/v1/refunds", "/v1/payment_intents*", "/v1/accounts*", "/v1/disputes", "*")


class Chaos(RuleBasedStateMachine):
    """Sessions end, mechanics come and go at Stripe, calls fail, hours pass, people refund by hand."""

    payout_env: PayoutEnv

    @initialize()
    def begin(self) -> None:
        """Two mechanics: one who can be paid, and one who did not go through onboarding yet."""
        self.payout_env.world.clear()
        self.payout_env.control.clear_faults()
        self.before = self.books()
        self.mechanics = [self.payout_env.world.mechanic() for _ in range(2)]
        self.accounts: dict[int, str] = {0: self.payout_env.onboarded(self.mechanics[0])}
        self.intents: list[str] = []

    def books(self) -> tuple[int, int, int]:
        """The stand-in's amounts: charged, transferred, refunded."""
        charges = sum(each["amount"] for each in self.payout_env.control.objects("charge"))
        return charges, sum(self.payout_env.transfers()), sum(self.payout_env.refunded())

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep what is broken from what is no part of the test."""
        faults = self.payout_env.control.faults
        broken, faults.calls = faults.calls, []
        yield
        faults.calls = broken

    @rule(who=st.integers(0, 1), plan=st.sampled_from(["quick", "standard"]))
    def earn(self, who: int, plan: str) -> None:
        """A session is completed."""
        with self.working():
            self.payout_env.earned(self.mechanics[who], plan)

    @rule(plan=st.sampled_from(["quick", "standard"]))
    def cancel(self, plan: str) -> None:
        """A session is cancelled."""
        with self.working():
            self.intents.append(self.payout_env.intent(self.payout_env.cancelled(plan)))

    @rule(cents=st.integers(1, 999), data=st.data())
    def refund_by_hand(self, cents: int, data: Any) -> None:  # noqa: ANN401
        """Somebody pays back a part in the dashboard, once, of what is not paid back yet."""
        refunded = {each["payment_intent"] for each in self.payout_env.control.objects("refund")}
        if open_ones := [each for each in self.intents if each not in refunded]:
            self.payout_env.control.refund(data.draw(st.sampled_from(open_ones)), cents)

    @rule(who=st.integers(0, 1), told=st.booleans())
    def onboard(self, who: int, *, told: bool) -> None:
        """A mechanic goes through onboarding, or a restriction is lifted."""
        with self.working():
            self.accounts[who] = self.payout_env.onboarded(self.mechanics[who])
        if told:
            self.payout_env.tell(self.accounts[who])

    @rule()
    def restrict(self) -> None:
        """Stripe takes no more money for a mechanic."""
        self.payout_env.control.restrict(self.accounts[0])

    @rule(mode=st.sampled_from(MODES), path=st.sampled_from(PATHS), times=st.integers(1, 3))
    def break_something(self, mode: str, path: str, times: int) -> None:
        """The next calls fail."""
        self.payout_env.control.fail(mode=mode, method="*", path=path, times=times)

    @rule(hours=st.sampled_from([0, 1, 22, 23, 25, 60]))
    def sweep(self, hours: int) -> None:
        """Time passes, and both are swept."""
        self.payout_env.later(hours * HOUR)
        self.payout_env.refunds()
        self.payout_env.payouts()

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        """By Stripe's own books."""
        if not hasattr(self, "mechanics"):
            return
        groups = [each["transfer_group"] for each in self.payout_env.control.objects("transfer")]
        assert len(groups) == len(set(groups))
        assert self.payout_env.control.imbalances() == []

    def teardown(self) -> None:
        """Everything works again, everybody is onboarded: what is left is sent."""
        if not hasattr(self, "mechanics"):
            return
        self.payout_env.control.clear_faults()
        for mechanic in self.mechanics:
            self.come_back(mechanic)
        for _round in range(3):
            self.payout_env.later(25 * HOUR)
            self.payout_env.refunds()
            self.payout_env.payouts()
        states = self.payout_env.world.owner.execute(
            "SELECT DISTINCT state FROM (SELECT state FROM payouts UNION ALL SELECT state FROM refunds) AS all_of_them"
        ).fetchall()
        assert {each["state"] for each in states} <= {"sent"}
        assert (self.payout_env.refunds(), self.payout_env.payouts()) == (Sent(), Sent())
        charged, transferred, refunded = (now - was for now, was in zip(self.books(), self.before, strict=True))
        assert self.payout_env.at_stripe() == charged - transferred - refunded
        assert violations(self.payout_env.world.owner) == []

    def come_back(self, mechanic: Mechanic) -> None:
        """Give a mechanic an account that works, and give what was given up another chance."""
        self.payout_env.onboarded(mechanic)
        self.payout_env.world.owner.execute("SELECT retry_stripe_job(id) FROM stripe_jobs WHERE job <> 'reversal'")


def test_whatever_happens_each_is_sent_once(payout_env: PayoutEnv) -> None:
    """Random walks; the marked suite of the lead's runs more of them."""
    machine = type("Chaos", (Chaos,), {"payout_env": payout_env})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=12, stateful_step_count=12, suppress_health_check=list(HealthCheck)),
    )
