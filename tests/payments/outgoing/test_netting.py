"""Netting: what a mechanic owes is withheld from their payouts, if they agreed, and given back if it was no debt."""

from uuid import UUID

import psycopg
import pytest

from autodoctor.errors import MechanicNotActive, TooManyRequests
from autodoctor.ids import new_id
from autodoctor.payments.ledger.accounts import mechanic_payable, mechanic_receivable
from autodoctor.payments.ledger.earnings import earnings
from autodoctor.payments.ledger.netting_consents import WORDS, NettingRequest, agree
from support.http.lambda_event import call, claims, event, loaded
from support.integrity.findings import findings
from support.money.purchases import rows
from support.money.refund_env import SHARE, RefundEnv
from support.money.statement_sums import adds_up
from support.world import World

BACK, PART = 300, 210  # what a customer gets back, and the mechanic's part of it
BOOK = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
SELECT 'payout:' || p.id || ':netting:' || %(debt)s::uuid, %(debit)s, %(credit)s, %(cents)s, 'usd', 'netting', %(debt)s
  FROM payouts p LIMIT 1
"""


def consent(refund_env: RefundEnv, *, agreed: bool = True) -> None:
    agree(refund_env.checkout_env.world.app, refund_env.mechanic.user_id, NettingRequest(agreed=agreed))


def owing(refund_env: RefundEnv, back: int | None = BACK) -> tuple[UUID, str]:
    """A session that was paid out, and whose customer got money back since; with Stripe's id of the refund."""
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    return session_id, refund_env.refund(session_id, back)


def settled_books(refund_env: RefundEnv) -> None:
    refund_env.balanced()
    adds_up(refund_env.checkout_env.world, refund_env.mechanic)
    assert findings(refund_env.checkout_env.world) == {}


@pytest.mark.parametrize("when", ["never", "withdrawn"])
def test_without_a_consent_in_force_nothing_is_withheld(refund_env: RefundEnv, when: str) -> None:
    owing(refund_env)
    if when == "withdrawn":
        consent(refund_env)
        consent(refund_env, agreed=False)
    refund_env.earned()
    refund_env.payouts()
    assert refund_env.sent() == [SHARE, SHARE]
    assert refund_env.of_mechanic() == (0, PART)


def test_what_is_owed_is_withheld_from_the_next_payout(refund_env: RefundEnv) -> None:
    debt, _ = owing(refund_env)
    consent(refund_env)
    earned = refund_env.earned()
    assert refund_env.payouts().sent == 1
    assert refund_env.sent() == [SHARE, SHARE - PART]
    assert refund_env.of_mechanic() == (0, 0)
    lines = [line for month in adds_up(refund_env.checkout_env.world, refund_env.mechanic) for line in month.lines]
    (withheld,) = [line for line in lines if line.text.startswith("Withheld from a payout")]
    assert (withheld.session_id, withheld.payable_cents, withheld.owed_cents) == (debt, -PART, -PART)
    shown = earnings(refund_env.checkout_env.world.app, refund_env.mechanic.user_id)
    assert [(each.session_id, each.status, each.netted_cents) for each in shown.earnings] == [
        (earned, "paid", PART),
        (debt, "paid", 0),
    ]
    refund_env.earned()
    refund_env.payouts()
    assert refund_env.sent() == [SHARE, SHARE - PART, SHARE]
    settled_books(refund_env)


def test_a_payout_of_which_nothing_is_left_is_not_sent(refund_env: RefundEnv) -> None:
    owing(refund_env, None)
    consent(refund_env)
    refund_env.earned()
    assert refund_env.payouts().netted == 1
    assert refund_env.sent() == [SHARE]
    assert refund_env.of_mechanic() == (0, 0)
    shown = earnings(refund_env.checkout_env.world.app, refund_env.mechanic.user_id)
    assert shown.earnings[0].status == "netted"
    assert shown.totals.paid_cents == shown.totals.session_cents == 2 * SHARE
    settled_books(refund_env)


def test_a_debt_that_is_none_in_the_end_is_paid_again(refund_env: RefundEnv) -> None:
    _, refund = owing(refund_env)
    refund_env.checkout_env.stripe.add_funds(5000)  # what is returned is no part of a charge
    consent(refund_env)
    refund_env.earned()
    refund_env.payouts()
    refund_env.checkout_env.stripe.fail_refund(refund)
    refund_env.tell()
    assert refund_env.of_mechanic() == (PART, 0)
    refund_env.payouts()
    assert refund_env.sent() == [SHARE, SHARE - PART, PART]
    assert refund_env.of_mechanic() == (0, 0)
    settled_books(refund_env)


def test_what_is_netted_of_a_payout_stays_so_while_stripe_refuses_it(refund_env: RefundEnv) -> None:
    owing(refund_env)
    consent(refund_env)
    refund_env.earned()
    refund_env.checkout_env.stripe.fail(mode="rate_limit", method="POST", path="/v1/transfers", times=1)
    refund_env.payouts()
    assert refund_env.of_mechanic() == (SHARE - PART, 0)
    refund_env.later()
    refund_env.payouts()
    assert refund_env.sent() == [SHARE, SHARE - PART]
    settled_books(refund_env)


def test_a_payout_that_stripe_was_asked_for_keeps_its_amount(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    debt = refund_env.earned()
    refund_env.payouts()
    consent(refund_env)
    refund_env.earned()
    refund_env.checkout_env.stripe.fail(mode="unavailable", method="POST", path="/v1/transfers", times=1)
    refund_env.payouts()
    refund_env.refund(debt, BACK)
    refund_env.later()
    refund_env.payouts()
    assert refund_env.sent() == [SHARE, SHARE]
    assert refund_env.of_mechanic() == (0, PART)
    settled_books(refund_env)


def test_what_a_reversal_takes_back_is_not_netted_too(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    lost = refund_env.earned()
    refund_env.payouts()
    consent(refund_env)
    refund_env.decide(refund_env.dispute(lost), won=False)
    assert refund_env.of_mechanic() == (0, SHARE)
    refund_env.earned()
    refund_env.payouts()  # the reversal is due
    assert refund_env.sent() == [SHARE, SHARE]
    refund_env.checkout_env.world.owner.execute("UPDATE payout_reversals SET state = 'failed', next_attempt_at = NULL")
    refund_env.earned()
    assert refund_env.payouts().netted == 1
    refund_env.checkout_env.world.owner.execute("SELECT retry_stripe_job(id) FROM payout_reversals")
    assert refund_env.reversals().netted == 1
    assert refund_env.of_mechanic() == (0, 0)
    assert rows(refund_env.checkout_env.world, "SELECT state FROM payout_reversals") == [("cancelled",)]
    settled_books(refund_env)


@pytest.mark.parametrize(("agreed", "cents"), [(False, 1), (True, PART + 1)])
def test_nobody_nets_without_a_consent_or_more_than_is_owed(refund_env: RefundEnv, *, agreed: bool, cents: int) -> None:
    debt, _ = owing(refund_env)
    consent(refund_env, agreed=agreed)
    mechanic_id = refund_env.mechanic.id
    accounts = {"debit": mechanic_payable(mechanic_id), "credit": mechanic_receivable(mechanic_id)}
    with pytest.raises(psycopg.errors.CheckViolation):
        refund_env.checkout_env.world.owner.execute(BOOK, {**accounts, "debt": debt, "cents": cents})


def test_nobody_is_returned_what_was_not_netted(refund_env: RefundEnv) -> None:
    session_id = refund_env.earned()
    with pytest.raises(psycopg.errors.CheckViolation):
        refund_env.checkout_env.world.owner.execute(
            "INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents) VALUES (%s, %s, 'returned', 1)",
            [session_id, refund_env.mechanic.id],
        )


def test_a_session_earns_once(refund_env: RefundEnv) -> None:
    session_id = refund_env.earned()
    with pytest.raises(psycopg.errors.UniqueViolation):
        refund_env.checkout_env.world.owner.execute(
            "INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents) VALUES (%s, %s, 'session', 1)",
            [session_id, refund_env.mechanic.id],
        )


# --- the consent ----------------------------------------------------------------------------------


def test_a_consent_is_recorded_with_its_words_and_withdrawn_once(world: World) -> None:
    mechanic = world.mechanic()
    for agreed in (True, True, False, False, True):
        assert agree(world.app, mechanic.user_id, NettingRequest(agreed=agreed)).agreed is agreed
    kept = rows(world, "SELECT version, words, withdrawn_at IS NULL FROM netting_consents ORDER BY id")
    assert kept == [(1, WORDS, False), (1, WORDS, True)]
    for change in ("words = 'x'", "agreed_at = now()", "withdrawn_at = NULL"):
        with pytest.raises(psycopg.Error):
            world.owner.execute(f"UPDATE netting_consents SET {change} WHERE withdrawn_at IS NOT NULL")
    with pytest.raises(psycopg.Error):
        world.owner.execute("DELETE FROM netting_consents")
    with pytest.raises(MechanicNotActive):
        agree(world.app, new_id(), NettingRequest(agreed=True))


def test_nobody_agrees_without_end(world: World) -> None:
    mechanic = world.mechanic()
    world.owner.execute("UPDATE limits SET most = 1 WHERE name = 'netting_consents'")
    agree(world.app, mechanic.user_id, NettingRequest(agreed=True))
    agree(world.app, mechanic.user_id, NettingRequest(agreed=False))
    with pytest.raises(TooManyRequests):
        agree(world.app, mechanic.user_id, NettingRequest(agreed=True))


def test_a_mechanic_agrees_over_http(refund_env: RefundEnv) -> None:
    owing(refund_env)
    handler = loaded("earnings").handler
    caller = claims("[mechanics]", sub=str(refund_env.mechanic.user_id))
    before = call(handler, event("GET /api/mechanic/earnings", caller=caller)).json["netting"]
    assert (before["agreed"], before["owedCents"], before["version"]) == (False, PART, 1)
    stale = call(handler, event("POST /api/mechanic/netting", {"agreed": True, "version": 2}, caller=caller))
    assert stale.pointers == ["/version"]
    answer = call(handler, event("POST /api/mechanic/netting", {"agreed": True, "version": 1}, caller=caller))
    assert answer.json["agreedAt"]
