"""Sending refunds to Stripe: each customer gets their payment back once, whoever else refunds some of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from autodoctor.payments.outgoing.refunds import sweep_refunds
from autodoctor.payments.stripe.lease import BACK_OFF, Sent, unsent
from support.invariants.sessions import violations
from support.money.payout_env import PayoutEnv

DAY = 24 * 3600
PRICE = 2999


def paid_back_once(payout_env: PayoutEnv, parts: list[int] | None = None) -> None:
    """Look at every book there is."""
    owed = payout_env.refund()
    assert payout_env.refunded() == (parts or [PRICE])
    assert (owed["state"], owed["waits_for"]) == ("sent", None)
    assert owed["stripe_refund_id"] in [each["id"] for each in payout_env.control.objects("refund")]
    assert payout_env.held(owed["intake_id"]) == 0
    assert payout_env.agrees()
    assert violations(payout_env.world.owner) == []


def test_a_cancelled_session_is_paid_back(payout_env: PayoutEnv) -> None:
    payout_env.cancelled()
    assert payout_env.refunds() == Sent(sent=1)
    paid_back_once(payout_env)
    assert payout_env.refunds() == Sent()


@pytest.mark.parametrize("mode", ["timeout", "timeout_after", "cut", "cut_after", "unavailable", "rate_limit"])
@pytest.mark.parametrize("later", [0, 2 * DAY])
def test_a_call_without_an_answer_is_looked_up_and_not_repeated(payout_env: PayoutEnv, mode: str, later: int) -> None:
    payout_env.cancelled()
    with payout_env.hanging(mode, "/v1/refunds"):
        assert payout_env.refunds() == Sent(waiting=1)
        assert payout_env.refund()["state"] == "sending"
    payout_env.later(later)
    assert payout_env.refunds() == Sent(sent=1)
    paid_back_once(payout_env)


@pytest.mark.parametrize("mode", ["error", "error_after"])
def test_an_answer_of_500_is_repeated_under_its_key_until_stripe_forgets_it(payout_env: PayoutEnv, mode: str) -> None:
    payout_env.cancelled()
    payout_env.control.fail(mode=mode, method="POST", path="/v1/refunds")
    assert payout_env.refunds() == Sent(waiting=1)
    if mode == "error":
        payout_env.later(3600)
        assert payout_env.refunds() == Sent(waiting=1)
        payout_env.later(DAY)
    payout_env.later()
    assert payout_env.refunds() == Sent(sent=1)
    paid_back_once(payout_env)


def test_what_was_paid_back_by_hand_is_not_paid_back_again(payout_env: PayoutEnv) -> None:
    created = payout_env.cancelled()
    payout_env.control.refund(payout_env.intent(created), 1000)
    assert payout_env.refunds() == Sent(sent=1)
    paid_back_once(payout_env, [1000, 1999])


def test_all_paid_back_by_hand_is_as_good(payout_env: PayoutEnv) -> None:
    created = payout_env.cancelled()
    payout_env.control.refund(payout_env.intent(created))
    assert payout_env.refunds() == Sent(sent=1)
    paid_back_once(payout_env)


def test_paid_back_by_hand_between_our_look_and_our_call(payout_env: PayoutEnv) -> None:
    """Stripe refuses what is more than the rest, or more than nothing."""
    created = payout_env.cancelled()
    payout_env.control.fail(mode="cut", method="POST", path="/v1/refunds")
    assert payout_env.refunds() == Sent(waiting=1)
    payout_env.control.refund(payout_env.intent(created), 1000)
    payout_env.later()
    assert payout_env.refunds() == Sent(waiting=1)  # the key is for the full amount
    assert payout_env.refund()["asked_cents"] is None
    payout_env.later()
    assert payout_env.refunds() == Sent(sent=1)
    paid_back_once(payout_env, [1000, 1999])


def test_while_it_is_disputed_it_waits_and_is_sent_once_won(payout_env: PayoutEnv) -> None:
    created = payout_env.cancelled()
    dispute = payout_env.control.open_dispute(payout_env.intent(created))
    for _sweep in range(len(BACK_OFF) + 2):
        assert payout_env.refunds() == Sent(waiting=1)
        payout_env.later()
    assert payout_env.refund()["waits_for"] == "dispute"
    assert unsent(payout_env.world.app).disputed == 1
    payout_env.control.close_dispute(dispute["id"], won=True)
    assert payout_env.refunds() == Sent(sent=1)
    paid_back_once(payout_env)


def test_a_lost_dispute_has_returned_it(payout_env: PayoutEnv) -> None:
    created = payout_env.cancelled()
    dispute = payout_env.control.open_dispute(payout_env.intent(created))
    payout_env.control.close_dispute(dispute["id"], won=False)
    assert payout_env.refunds() == Sent(sent=1)
    assert (payout_env.refund()["state"], payout_env.refunded()) == ("returned", [])
    assert payout_env.refunds() == Sent()


def test_a_payment_that_is_not_known_fails_in_the_end_and_can_be_retried(payout_env: PayoutEnv) -> None:
    created = payout_env.cancelled()
    intent = payout_env.intent(created)
    payout_env.world.owner.execute("UPDATE checkouts SET stripe_payment_intent_id = NULL")
    for _attempt in BACK_OFF[1:]:
        assert payout_env.refunds() == Sent(waiting=1)
        payout_env.later()
    assert payout_env.refund()["waits_for"] == "payment"
    assert payout_env.refunds() == Sent(failed=1)
    assert unsent(payout_env.world.app).failed == 1
    payout_env.world.owner.execute("UPDATE checkouts SET stripe_payment_intent_id = %s", [intent])
    assert payout_env.world.one("SELECT retry_stripe_job(%s)", payout_env.refund()["id"])
    assert payout_env.refunds() == Sent(sent=1)
    paid_back_once(payout_env)


def test_sweeps_at_once_pay_back_once(payout_env: PayoutEnv) -> None:
    for _session in range(5):
        payout_env.cancelled("quick")

    def sweep(_number: int) -> Sent:
        with payout_env.world.elsewhere() as own:
            return sweep_refunds(own, payout_env.client, lambda: 60.0)

    with ThreadPoolExecutor(4) as pool:
        assert sum(each.sent for each in pool.map(sweep, range(4))) == 5
    assert payout_env.refunded() == [999] * 5
    assert payout_env.agrees()
