"""Refunds on their way to Stripe: each customer gets back what they paid, once, whoever else pays back some of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from autodoctor.payments.outgoing.lease import BACK_OFF, Sent, waiting
from autodoctor.payments.outgoing.refunds import sweep_refunds
from integration.invariants import violations
from payments.office import Office

DAY = 24 * 3600
PRICE = 2999


def paid_back_once(office: Office, parts: list[int] | None = None) -> None:
    """Look at every book there is."""
    owed = office.refund()
    assert office.refunded() == (parts or [PRICE])
    assert (owed["state"], owed["waits_for"]) == ("sent", None)
    assert owed["stripe_refund_id"] in [each["id"] for each in office.control.objects("refund")]
    assert office.held(owed["intake_id"]) == 0
    assert office.agrees()
    assert violations(office.stage.owner) == []


def test_a_cancelled_session_is_paid_back(office: Office) -> None:
    office.cancelled()
    assert office.refunds() == Sent(sent=1)
    paid_back_once(office)
    assert office.refunds() == Sent()


@pytest.mark.parametrize("mode", ["timeout", "timeout_after", "cut", "cut_after", "unavailable", "rate_limit"])
@pytest.mark.parametrize("later", [0, 2 * DAY])
def test_a_call_without_an_answer_is_looked_up_and_not_repeated(office: Office, mode: str, later: int) -> None:
    office.cancelled()
    with office.hanging(mode, "/v1/refunds"):
        assert office.refunds() == Sent(waiting=1)
        assert office.refund()["state"] == "sending"
    office.later(later)
    assert office.refunds() == Sent(sent=1)
    paid_back_once(office)


@pytest.mark.parametrize("mode", ["error", "error_after"])
def test_an_answer_of_500_is_repeated_under_its_key_until_stripe_forgets_it(office: Office, mode: str) -> None:
    office.cancelled()
    office.control.fail(mode=mode, method="POST", path="/v1/refunds")
    assert office.refunds() == Sent(waiting=1)
    if mode == "error":
        office.later(3600)
        assert office.refunds() == Sent(waiting=1)
        office.later(DAY)
    office.later()
    assert office.refunds() == Sent(sent=1)
    paid_back_once(office)


def test_what_was_paid_back_by_hand_is_not_paid_back_again(office: Office) -> None:
    created = office.cancelled()
    office.control.refund(office.intent(created), 1000)
    assert office.refunds() == Sent(sent=1)
    paid_back_once(office, [1000, 1999])


def test_all_paid_back_by_hand_is_as_good(office: Office) -> None:
    created = office.cancelled()
    office.control.refund(office.intent(created))
    assert office.refunds() == Sent(sent=1)
    paid_back_once(office)


def test_paid_back_by_hand_between_our_look_and_our_call(office: Office) -> None:
    """Stripe refuses what is more than the rest, or more than nothing."""
    created = office.cancelled()
    office.control.fail(mode="cut", method="POST", path="/v1/refunds")
    assert office.refunds() == Sent(waiting=1)
    office.control.refund(office.intent(created), 1000)
    office.later()
    assert office.refunds() == Sent(waiting=1)  # the key is for the full amount
    assert office.refund()["asked_cents"] is None
    office.later()
    assert office.refunds() == Sent(sent=1)
    paid_back_once(office, [1000, 1999])


def test_while_it_is_disputed_it_waits_and_is_sent_once_won(office: Office) -> None:
    created = office.cancelled()
    dispute = office.control.open_dispute(office.intent(created))
    for _sweep in range(len(BACK_OFF) + 2):
        assert office.refunds() == Sent(waiting=1)
        office.later()
    assert office.refund()["waits_for"] == "dispute"
    assert waiting(office.stage.app).disputed == 1
    office.control.close_dispute(dispute["id"], won=True)
    assert office.refunds() == Sent(sent=1)
    paid_back_once(office)


def test_a_lost_dispute_has_returned_it(office: Office) -> None:
    created = office.cancelled()
    dispute = office.control.open_dispute(office.intent(created))
    office.control.close_dispute(dispute["id"], won=False)
    assert office.refunds() == Sent(sent=1)
    assert (office.refund()["state"], office.refunded()) == ("returned", [])
    assert office.refunds() == Sent()


def test_a_payment_that_is_not_known_fails_in_the_end_and_can_be_retried(office: Office) -> None:
    created = office.cancelled()
    intent = office.intent(created)
    office.stage.owner.execute("UPDATE checkouts SET stripe_payment_intent_id = NULL")
    for _attempt in BACK_OFF[1:]:
        assert office.refunds() == Sent(waiting=1)
        office.later()
    assert office.refund()["waits_for"] == "payment"
    assert office.refunds() == Sent(failed=1)
    assert waiting(office.stage.app).failed == 1
    office.stage.owner.execute("UPDATE checkouts SET stripe_payment_intent_id = %s", [intent])
    assert office.stage.one("SELECT retry_refund(%s)", office.refund()["id"])
    assert office.refunds() == Sent(sent=1)
    paid_back_once(office)


def test_sweeps_at_once_pay_back_once(office: Office) -> None:
    for _session in range(5):
        office.cancelled("quick")

    def sweep(_number: int) -> Sent:
        with office.stage.elsewhere() as own:
            return sweep_refunds(own, office.client, lambda: 60.0)

    with ThreadPoolExecutor(4) as pool:
        assert sum(each.sent for each in pool.map(sweep, range(4))) == 5
    assert office.refunded() == [999] * 5
    assert office.agrees()
