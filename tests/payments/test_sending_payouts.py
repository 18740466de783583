"""Payouts on their way to Stripe: each reaches the mechanic once, whatever fails on the way and however late."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import mechanic_payable, mechanic_receivable
from autodoctor.payments.ledger.settlement import settle
from autodoctor.payments.losses.dashboard_refunds import refund_told
from autodoctor.payments.outgoing.lease import BACK_OFF, Sent, waiting
from autodoctor.payments.outgoing.payouts import PaidTwice, sweep_payouts
from autodoctor.payments.stripe.connect import onboarding
from integration.actors import Mechanic, Stage
from integration.invariants import violations
from payments.office import Office
from payments.purse import balance, buy, complete, give, rows

DAY = 24 * 3600
SHARE = 2099
EVENTS = "SELECT type, payload->>'reason' FROM outbox WHERE type LIKE 'payout.%%' ORDER BY id"


@pytest.fixture
def mechanic(stage: Stage) -> Mechanic:
    """Give a mechanic."""
    return stage.mechanic()


def sweep_elsewhere(office: Office) -> Sent:
    """Sweep over a connection of its own."""
    with office.stage.elsewhere() as own:
        return sweep_payouts(own, office.client, lambda: 60.0)


def paid_once(office: Office, mechanic: Mechanic) -> None:
    """Look at every book there is."""
    (transfer,) = office.control.objects("transfer")
    owed = office.payout()
    assert (owed["state"], owed["stripe_transfer_id"], owed["waits_for"]) == ("sent", transfer["id"], None)
    assert (transfer["amount"], transfer["transfer_group"]) == (SHARE, str(owed["id"]))
    assert balance(office.stage, mechanic_payable(mechanic.id)) == 0
    assert office.agrees()
    assert rows(office.stage, EVENTS) == [("payout.sent", None)]
    assert violations(office.stage.owner) == []


def test_a_card_session_pays_from_its_own_charge_at_once(office: Office, mechanic: Mechanic) -> None:
    """Though none of the customer's money is available yet."""
    account_id = office.onboarded(mechanic)
    office.earned(mechanic)
    assert office.payouts() == Sent(sent=1)
    paid_once(office, mechanic)
    (transfer,), (charge,) = office.control.objects("transfer"), office.control.objects("charge")
    assert (transfer["source_transaction"], transfer["destination"]) == (charge["id"], account_id)
    assert office.payouts() == Sent()


def test_a_credit_session_draws_on_the_balance_and_waits_while_it_is_short(office: Office, mechanic: Mechanic) -> None:
    office.onboarded(mechanic)
    customer = new_id()
    give(office.stage, customer, 3)
    created = buy(office.stage, customer, "standard")
    complete(office.stage, created, customer, mechanic)
    assert settle(office.stage.app, created.session_id)
    assert office.payouts() == Sent(waiting=1)
    owed = office.payout()
    assert (owed["state"], owed["waits_for"], owed["attempts"]) == ("due", "balance", 1)
    assert "balance_insufficient" in str(owed["last_error"])
    assert office.payouts() == Sent()  # not before its time
    office.control.add_funds(5000)
    office.later()
    assert office.payouts() == Sent(sent=1)
    assert (office.transfers(), office.payout()["state"]) == ([SHARE], "sent")
    assert violations(office.stage.owner) == []


@pytest.mark.parametrize("mode", ["timeout", "timeout_after", "cut", "cut_after", "unavailable", "rate_limit"])
@pytest.mark.parametrize("later", [0, 2 * DAY])
def test_a_call_without_an_answer_is_looked_up_and_not_repeated(
    office: Office, mechanic: Mechanic, mode: str, later: int
) -> None:
    office.onboarded(mechanic)
    office.earned(mechanic)
    with office.hanging(mode, "/v1/transfers"):
        assert office.payouts() == Sent(waiting=1)
        assert (office.payout()["state"], office.payout()["waits_for"]) == ("sending", "retry")
        assert office.payouts() == Sent()
    office.later(later)
    assert office.payouts() == Sent(sent=1)
    paid_once(office, mechanic)


@pytest.mark.parametrize("mode", ["error", "error_after"])
def test_an_answer_of_500_is_repeated_under_its_key_until_stripe_forgets_it(
    office: Office, mechanic: Mechanic, mode: str
) -> None:
    office.onboarded(mechanic)
    office.earned(mechanic)
    office.control.fail(mode=mode, method="POST", path="/v1/transfers")
    assert office.payouts() == Sent(waiting=1)
    if mode == "error":
        key = office.payout()["idempotency_key"]
        for _attempt in range(3):
            office.later(3600)
            assert office.payouts() == Sent(waiting=1)
        assert office.payout()["idempotency_key"] == key
        office.later(DAY)
    office.later()
    assert office.payouts() == Sent(sent=1)
    paid_once(office, mechanic)


def test_while_stripe_does_not_answer_the_lookup_nothing_is_sent(office: Office, mechanic: Mechanic) -> None:
    office.onboarded(mechanic)
    office.earned(mechanic)
    office.control.fail(mode="cut_after", method="POST", path="/v1/transfers")
    office.control.fail(mode="unavailable", method="GET", path="/v1/transfers", times=2)
    for _sweep in range(3):
        assert office.payouts() == Sent(waiting=1)
        assert office.transfers() == [SHARE]
        office.later(DAY)
    assert office.payouts() == Sent(sent=1)
    paid_once(office, mechanic)


def test_what_may_have_been_sent_is_on_its_way_also_while_our_key_is_refused(
    office: Office, mechanic: Mechanic
) -> None:
    """Else a refund by hand would be withheld from what the mechanic has."""
    office.onboarded(mechanic)
    created = office.earned(mechanic)
    office.control.fail(mode="cut_after", method="POST", path="/v1/transfers", times=3)
    assert office.payouts() == Sent(waiting=1)
    office.control.clear_faults()
    office.later()
    replaced = stripe.StripeClient("sk_test_replaced", base_addresses={"api": office.control.url})
    assert sweep_payouts(office.stage.app, replaced, lambda: 60.0) == Sent(waiting=1)
    assert office.payout()["state"] == "sending"
    back = office.control.refund(office.intent(created))
    office.stage.app.transaction(lambda connection: refund_told(connection, back))
    office.later()
    assert office.payouts() == Sent(sent=1)
    owed = office.payout()
    assert (owed["state"], owed["sent_cents"], owed["withheld_cents"]) == ("sent", SHARE, 0)
    assert balance(office.stage, mechanic_receivable(mechanic.id)) == -SHARE
    assert office.agrees()
    assert violations(office.stage.owner) == []


def test_who_has_no_account_is_waited_for(office: Office, mechanic: Mechanic) -> None:
    office.earned(mechanic)
    for _sweep in range(len(BACK_OFF) + 3):
        assert office.payouts() == Sent(waiting=1)
        office.later()
    owed = office.payout()
    assert (owed["state"], owed["waits_for"], owed["attempts"]) == ("due", "onboarding", 0)
    assert (waiting(office.stage.app).onboarding, waiting(office.stage.app).age_seconds) == (1, 0)
    office.onboarded(mechanic)
    assert office.payouts() == Sent(sent=1)
    paid_once(office, mechanic)


def test_the_webhook_that_lifts_a_restriction_has_the_payout_sent(office: Office, mechanic: Mechanic) -> None:
    account_id = office.onboarded(mechanic)
    office.earned(mechanic)
    office.earned(mechanic)
    office.pay_first()
    office.control.restrict(account_id)
    assert office.payouts() == Sent(waiting=1)  # our books said that it could take money
    assert onboarding(office.stage.app, office.call, mechanic.user_id).status == "restricted"
    office.control.onboard(account_id)
    assert office.payouts() == Sent()
    office.tell(account_id)
    assert office.payouts() == Sent(sent=1)
    assert office.transfers() == [SHARE, SHARE]
    assert office.agrees()


def test_an_account_that_is_gone_fails_the_payout_in_the_end(office: Office, mechanic: Mechanic) -> None:
    office.onboarded(mechanic)
    office.earned(mechanic)
    gone = "UPDATE mechanic_accounts SET stripe_account_id = 'acct_gone', transfers_enabled = true"
    office.stage.owner.execute(gone)
    for _attempt in BACK_OFF[1:]:
        assert office.payouts() == Sent(waiting=1)
        office.later()
    assert office.payouts() == Sent(failed=1)
    assert "resource_missing" in str(office.payout()["last_error"])
    ((kind, reason),) = rows(office.stage, EVENTS)
    assert (kind, "resource_missing" in reason) == ("payout.failed", True)
    assert waiting(office.stage.app).failed == 1
    office.later()
    assert (office.payouts(), office.transfers()) == (Sent(), [])
    assert balance(office.stage, mechanic_payable(mechanic.id)) == SHARE
    assert violations(office.stage.owner) == []


def test_an_operator_has_a_failed_payout_sent_after_all(office: Office, mechanic: Mechanic) -> None:
    account_id = office.onboarded(mechanic)
    office.earned(mechanic)
    office.stage.owner.execute("UPDATE mechanic_accounts SET stripe_account_id = 'acct_gone', transfers_enabled = true")
    for _attempt in BACK_OFF:
        office.payouts()
        office.later()
    office.stage.owner.execute("UPDATE mechanic_accounts SET stripe_account_id = %s", [account_id])
    failed = office.payout()["id"]
    assert office.stage.one("SELECT retry_payout(%s)", failed)
    assert office.payouts() == Sent(sent=1)
    assert not office.stage.one("SELECT retry_payout(%s)", failed)
    assert office.transfers() == [SHARE]


def test_what_was_never_answered_is_given_up_only_after_a_last_look(office: Office, mechanic: Mechanic) -> None:
    office.onboarded(mechanic)
    office.earned(mechanic)
    fault = office.control.fail(mode="unavailable", method="POST", path="/v1/transfers", times=None)
    for _attempt in BACK_OFF:
        assert office.payouts() == Sent(waiting=1)
        office.later()
    assert fault.struck == len(BACK_OFF)
    assert office.payouts() == Sent(failed=1)
    assert (fault.struck, office.payout()["last_error"]) == (len(BACK_OFF), "APIError (503)")


def test_a_disputed_payment_is_not_paid_out_before_it_is_won(office: Office, mechanic: Mechanic) -> None:
    office.onboarded(mechanic)
    created = office.earned(mechanic)
    dispute = office.control.open_dispute(office.intent(created))
    assert office.payouts() == Sent(waiting=1)
    assert (office.payout()["waits_for"], office.transfers()) == ("dispute", [])
    office.control.close_dispute(dispute["id"], won=True)
    office.later()
    assert office.payouts() == Sent(sent=1)


def test_sweeps_at_once_send_each_payout_once(office: Office, mechanic: Mechanic) -> None:
    office.onboarded(mechanic)
    for _session in range(6):
        office.earned(mechanic, "quick")

    with ThreadPoolExecutor(4) as pool:
        swept = list(pool.map(sweep_elsewhere, [office] * 4))
    assert sum(each.sent for each in swept) == 6
    assert office.transfers() == [699] * 6
    assert office.agrees()
    assert violations(office.stage.owner) == []


def test_who_was_overtaken_finds_the_transfer_of_the_other(office: Office, mechanic: Mechanic) -> None:
    """A sweep whose lease ran out while it was away, and the one that took over, end with one transfer."""
    office.onboarded(mechanic)
    office.earned(mechanic)
    fault = office.control.fail(mode="slow", method="POST", path="/v1/transfers", seconds=1.5)
    with ThreadPoolExecutor(1) as pool:
        away = pool.submit(sweep_elsewhere, office)
        while not fault.struck and not away.done():
            time.sleep(0.01)
        time.sleep(0.3)  # from when it is chosen until the key is held
        office.later()  # its lease is over
        assert office.payouts() == Sent(waiting=1)  # the key is at work for the first
        assert away.result() == Sent(sent=1)
    paid_once(office, mechanic)


def test_two_transfers_for_one_payout_are_never_taken_for_one(office: Office, mechanic: Mechanic) -> None:
    account_id = office.onboarded(mechanic)
    office.earned(mechanic)
    office.control.fail(mode="cut_after", method="POST", path="/v1/transfers")
    office.payouts()
    office.control.add_funds(5000)
    group = str(office.payout()["id"])
    office.client.v1.transfers.create(
        params={"amount": 1, "currency": "usd", "destination": account_id, "transfer_group": group}
    )
    office.later()
    with pytest.raises(PaidTwice):
        office.payouts()


def test_no_row_is_claimed_without_time_for_its_calls(office: Office, mechanic: Mechanic) -> None:
    office.onboarded(mechanic)
    office.earned(mechanic)
    assert sweep_payouts(office.stage.app, office.client, lambda: 30.0) == Sent()
    assert office.payout()["state"] == "due"
