"""A worker killed at any point on its way to Stripe: the next one ends with one transfer, or one refund."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from autodoctor.payments.stripe.lease import Sent
from support.invariants.sessions import violations
from support.money.payout_env import PayoutEnv
from support.wait import wait_until

WORKER: Final = Path(__file__).parents[2] / "support" / "money" / "sending_worker.py"
DAY: Final = 24 * 3600

# Where it dies: the method of the call that waits, whether that acts first, and so what is at Stripe by then.
BETWEEN_INTENT_AND_CALL: Final = ("GET", "timeout", 0)
BEFORE_STRIPE_ACTS: Final = ("POST", "timeout", 0)
BETWEEN_CALL_AND_MARK: Final = ("POST", "timeout_after", 1)


def killed(payout_env: PayoutEnv, point: tuple[str, str, int], path: str, sweep: Callable[[], Sent]) -> None:
    """Kill a worker with SIGKILL in a call to Stripe, which ends without an answer after it."""
    method, mode, made = point
    fault = payout_env.control.fail(mode=mode, method=method, path=path, times=None)
    environment = {**os.environ, **payout_env.control.environment(), "DATABASE_URL": payout_env.world.urls.app_url}
    with subprocess.Popen([sys.executable, str(WORKER)], env=environment, stdout=subprocess.DEVNULL) as worker:
        wait_until(lambda: fault.waiting > 0 or worker.poll() is not None)
        assert worker.poll() is None, "it ended before it could be killed"
        worker.kill()
    states = payout_env.world.owner.execute("SELECT state FROM payouts UNION ALL SELECT state FROM refunds").fetchall()
    assert [each["state"] for each in states] == ["sending"]
    assert len(payout_env.transfers() + payout_env.refunded()) == made
    assert sweep() == Sent()  # its lease is not over
    payout_env.control.clear_faults()
    fault.let_go()
    wait_until(lambda: fault.waiting == 0)


@pytest.mark.parametrize("later", [0, 2 * DAY])
@pytest.mark.parametrize("point", [BETWEEN_INTENT_AND_CALL, BEFORE_STRIPE_ACTS, BETWEEN_CALL_AND_MARK])
def test_a_payout_whose_worker_is_killed(payout_env: PayoutEnv, point: tuple[str, str, int], later: int) -> None:
    mechanic = payout_env.world.mechanic()
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    path = "/v1/transfers" if point[0] == "POST" else "/v1/payment_intents/*"
    killed(payout_env, point, path, payout_env.payouts)
    payout_env.later(later)
    assert payout_env.payouts() == Sent(sent=1)
    assert (len(payout_env.transfers()), payout_env.payout()["state"]) == (1, "sent")
    assert payout_env.agrees()
    assert violations(payout_env.world.owner) == []


@pytest.mark.parametrize("later", [0, 2 * DAY])
@pytest.mark.parametrize("point", [BETWEEN_INTENT_AND_CALL, BEFORE_STRIPE_ACTS, BETWEEN_CALL_AND_MARK])
def test_a_refund_whose_worker_is_killed(payout_env: PayoutEnv, point: tuple[str, str, int], later: int) -> None:
    payout_env.cancelled()
    killed(payout_env, point, "/v1/refunds", payout_env.refunds)
    payout_env.later(later)
    assert payout_env.refunds() == Sent(sent=1)
    assert (payout_env.refunded(), payout_env.refund()["state"]) == ([2999], "sent")
    assert payout_env.agrees()
    assert violations(payout_env.world.owner) == []
