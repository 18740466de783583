"""A worker that is killed at any point of its way to Stripe: the next one ends with one transfer, or one refund."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from autodoctor.payments.stripe.lease import Sent
from support.invariants.sessions import violations
from support.money.payout_env import PayoutEnv

WORKER: Final = Path(__file__).parents[2] / "support" / "money" / "sending_worker.py"
STALL: Final = 4.0
DAY: Final = 24 * 3600

type Seen = Callable[[PayoutEnv], bool]


def claimed(payout_env: PayoutEnv) -> bool:
    states = payout_env.world.owner.execute("SELECT state FROM payouts UNION ALL SELECT state FROM refunds").fetchall()
    return [each["state"] for each in states] == ["sending"]


def acted(payout_env: PayoutEnv) -> bool:
    return bool(payout_env.transfers() or payout_env.refunded())


def kill_when(payout_env: PayoutEnv, seen: Seen) -> None:
    """Start a worker, and kill it with SIGKILL once something is seen."""
    environment = {**os.environ, **payout_env.control.environment(), "DATABASE_URL": payout_env.world.urls.app_url}
    with subprocess.Popen([sys.executable, str(WORKER)], env=environment, stdout=subprocess.DEVNULL) as worker:
        give_up = time.monotonic() + 30
        while not seen(payout_env):
            assert worker.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < give_up
            time.sleep(0.02)
        time.sleep(0.2)  # so that it is in the call that hangs
        worker.kill()


# Where it dies: what hangs, and what is seen by then.
BETWEEN_INTENT_AND_CALL: Final = ("GET", "timeout", claimed)
BEFORE_STRIPE_ACTS: Final = ("POST", "timeout", claimed)
BETWEEN_CALL_AND_MARK: Final = ("POST", "timeout_after", acted)


@pytest.mark.parametrize("later", [0, 2 * DAY])
@pytest.mark.parametrize("point", [BETWEEN_INTENT_AND_CALL, BEFORE_STRIPE_ACTS, BETWEEN_CALL_AND_MARK])
def test_a_payout_whose_worker_is_killed(payout_env: PayoutEnv, point: tuple[str, str, Seen], later: int) -> None:
    method, mode, seen = point
    mechanic = payout_env.world.mechanic()
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    path = "/v1/transfers" if method == "POST" else "/v1/payment_intents/*"
    payout_env.control.fail(mode=mode, method=method, path=path, seconds=STALL)
    kill_when(payout_env, seen)
    assert payout_env.payouts() == Sent()  # its lease is not over
    settles(payout_env, later, payout_env.payouts)
    assert (len(payout_env.transfers()), payout_env.payout()["state"]) == (1, "sent")
    assert payout_env.agrees()
    assert violations(payout_env.world.owner) == []


@pytest.mark.parametrize("later", [0, 2 * DAY])
@pytest.mark.parametrize("point", [BETWEEN_INTENT_AND_CALL, BEFORE_STRIPE_ACTS, BETWEEN_CALL_AND_MARK])
def test_a_refund_whose_worker_is_killed(payout_env: PayoutEnv, point: tuple[str, str, Seen], later: int) -> None:
    method, mode, seen = point
    payout_env.cancelled()
    payout_env.control.fail(mode=mode, method=method, path="/v1/refunds", seconds=STALL)
    kill_when(payout_env, seen)
    assert payout_env.refunds() == Sent()
    settles(payout_env, later, payout_env.refunds)
    assert (payout_env.refunded(), payout_env.refund()["state"]) == ([2999], "sent")
    assert payout_env.agrees()
    assert violations(payout_env.world.owner) == []


def settles(payout_env: PayoutEnv, later: int, sweep: Callable[[], Sent]) -> None:
    """Sweep until it is sent: a call of the killed worker may hold its key for as long as it hangs."""
    give_up = time.monotonic() + 15 * STALL
    payout_env.later(later)
    while (swept := sweep()) != Sent(sent=1):
        assert swept == Sent(waiting=1)
        assert time.monotonic() < give_up
        time.sleep(1)
        payout_env.later()
