"""A worker that is killed at any point of its way to Stripe: the next one ends with one transfer, or one refund."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from autodoctor.payments.outgoing.lease import Sent
from integration.invariants import violations
from payments.office import Office

WORKER: Final = Path(__file__).with_name("sending_worker.py")
STALL: Final = 4.0
DAY: Final = 24 * 3600

type Seen = Callable[[Office], bool]


def claimed(office: Office) -> bool:
    states = office.stage.owner.execute("SELECT state FROM payouts UNION ALL SELECT state FROM refunds").fetchall()
    return [each["state"] for each in states] == ["sending"]


def acted(office: Office) -> bool:
    return bool(office.transfers() or office.refunded())


def kill_when(office: Office, seen: Seen) -> None:
    """Start a worker, and kill it with SIGKILL once something is seen."""
    environment = {**os.environ, **office.control.environment(), "DATABASE_URL": office.stage.urls.app_url}
    with subprocess.Popen([sys.executable, str(WORKER)], env=environment, stdout=subprocess.DEVNULL) as worker:
        give_up = time.monotonic() + 30
        while not seen(office):
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
def test_a_payout_whose_worker_is_killed(office: Office, point: tuple[str, str, Seen], later: int) -> None:
    method, mode, seen = point
    mechanic = office.stage.mechanic()
    office.onboarded(mechanic)
    office.earned(mechanic)
    path = "/v1/transfers" if method == "POST" else "/v1/payment_intents/*"
    office.control.fail(mode=mode, method=method, path=path, seconds=STALL)
    kill_when(office, seen)
    assert office.payouts() == Sent()  # its lease is not over
    settles(office, later, office.payouts)
    assert (len(office.transfers()), office.payout()["state"]) == (1, "sent")
    assert office.agrees()
    assert violations(office.stage.owner) == []


@pytest.mark.parametrize("later", [0, 2 * DAY])
@pytest.mark.parametrize("point", [BETWEEN_INTENT_AND_CALL, BEFORE_STRIPE_ACTS, BETWEEN_CALL_AND_MARK])
def test_a_refund_whose_worker_is_killed(office: Office, point: tuple[str, str, Seen], later: int) -> None:
    method, mode, seen = point
    office.cancelled()
    office.control.fail(mode=mode, method=method, path="/v1/refunds", seconds=STALL)
    kill_when(office, seen)
    assert office.refunds() == Sent()
    settles(office, later, office.refunds)
    assert (office.refunded(), office.refund()["state"]) == ([2999], "sent")
    assert office.agrees()
    assert violations(office.stage.owner) == []


def settles(office: Office, later: int, sweep: Callable[[], Sent]) -> None:
    """Sweep until it is sent: a call of the killed worker may hold its key for as long as it hangs."""
    give_up = time.monotonic() + 2 * STALL
    office.later(later)
    while (swept := sweep()) != Sent(sent=1):
        assert swept == Sent(waiting=1)
        assert time.monotonic() < give_up
        time.sleep(1)
        office.later()
