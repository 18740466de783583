"""Settlement: the effect of each outcome with each funding, once, whoever asks and however often."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from autodoctor.db import Database
from autodoctor.ids import new_id
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.earnings import earnings
from autodoctor.payments.settlement import SessionNotOver, decide, settle, sweep
from support.database.cutting_proxy import cutting_proxy
from support.invariants.sessions import violations
from support.money.purchases import balance, buy, complete, give, pay_by_card, rows, spendable
from support.world import Mechanic, World

CUSTOMER = new_id()
OWED = "SELECT mechanic_id, kind, amount_cents, currency, state FROM payouts"
TO_REFUND = "SELECT intake_id, kind, amount_cents, currency, state FROM refunds"
OUTCOMES = "SELECT session_id, outcome FROM settlements"


def cancelled(world: World, session_id: UUID) -> UUID:
    assert world.end(CUSTOMER, session_id).status == "cancelled"
    return session_id


def test_a_completed_card_session_is_divided_and_owed(world: World, mechanic: Mechanic) -> None:
    created = pay_by_card(world, CUSTOMER, "standard")
    complete(world, created, CUSTOMER, mechanic)
    assert settle(world.app, created.session_id)
    assert rows(world, OUTCOMES) == [(created.session_id, "pay")]
    assert rows(world, OWED) == [(mechanic.id, "session", 2099, "usd", "due")]
    assert rows(world, TO_REFUND) == []
    assert balance(world, accounts.session_held(created.session_id)) == 0
    assert balance(world, accounts.mechanic_payable(mechanic.id)) == 2099
    assert balance(world, accounts.PLATFORM_REVENUE) == 900
    assert balance(world, accounts.STRIPE) == -2999
    assert violations(world.owner) == []


def test_a_completed_credit_session_pays_the_share_of_the_plans_price(world: World, mechanic: Mechanic) -> None:
    give(world, CUSTOMER, 5)
    created = buy(world, CUSTOMER, "diagnostic")
    complete(world, created, CUSTOMER, mechanic)
    assert settle(world.app, created.session_id)
    assert rows(world, OWED) == [(mechanic.id, "session", 3499, "usd", "due")]
    assert (spendable(world, CUSTOMER), balance(world, accounts.CREDITS_SPENT)) == (0, 5)
    assert balance(world, accounts.session_credits(created.session_id)) == 0
    assert balance(world, accounts.CREDIT_SALES) == -4999
    assert violations(world.owner) == []


@pytest.mark.parametrize("fixed_pay", [0, 250])
def test_a_completed_free_session_pays_what_its_plan_said_at_intake(
    world: World, mechanic: Mechanic, fixed_pay: int
) -> None:
    world.owner.execute("UPDATE plans SET mechanic_fixed_pay_cents = %s WHERE code = 'free'", [fixed_pay])
    created = world.queued(CUSTOMER)
    world.owner.execute("UPDATE plans SET mechanic_fixed_pay_cents = 9 WHERE code = 'free'")
    complete(world, created, CUSTOMER, mechanic)
    assert settle(world.app, created.session_id)
    assert rows(world, OWED) == ([(mechanic.id, "session", 250, "usd", "due")] if fixed_pay else [])
    assert rows(world, OUTCOMES) == [(created.session_id, "pay" if fixed_pay else "nothing")]
    assert balance(world, accounts.FREE_SESSIONS) == -fixed_pay
    assert violations(world.owner) == []


def test_a_cancelled_card_session_is_to_be_refunded_in_full(world: World) -> None:
    session_id = cancelled(world, pay_by_card(world, CUSTOMER, "standard").session_id)
    assert settle(world.app, session_id)
    assert rows(world, TO_REFUND) == [(session_id, "session", 2999, "usd", "due")]
    assert rows(world, OWED) == []
    assert balance(world, accounts.session_held(session_id)) == 2999  # until Stripe has paid it back
    assert violations(world.owner) == []


def test_a_cancelled_credit_session_gives_the_credits_back(world: World) -> None:
    give(world, CUSTOMER, 3)
    session_id = cancelled(world, buy(world, CUSTOMER, "standard").session_id)
    assert spendable(world, CUSTOMER) == 0
    assert settle(world.app, session_id)
    assert spendable(world, CUSTOMER) == 3
    assert rows(world, OUTCOMES) == [(session_id, "return")]
    assert violations(world.owner) == []


def test_an_expired_one_likewise(world: World) -> None:
    give(world, CUSTOMER, 1)
    created = buy(world, CUSTOMER)
    world.let_time_pass(7_201)
    assert world.one("SELECT expire_orphaned_sessions()") == 1
    assert settle(world.app, created.session_id)
    assert spendable(world, CUSTOMER) == 1


def test_a_cancelled_free_session_moves_nothing(world: World) -> None:
    session_id = cancelled(world, world.queued(CUSTOMER).session_id)
    assert settle(world.app, session_id)
    assert rows(world, OUTCOMES) == [(session_id, "nothing")]
    assert world.one("SELECT count(*) FROM ledger_transfer") == 0


def test_a_share_of_nothing_is_no_row(world: World, mechanic: Mechanic) -> None:
    world.owner.execute("UPDATE plans SET mechanic_share_bp = 0 WHERE code = 'quick'")
    created = pay_by_card(world, CUSTOMER)
    complete(world, created, CUSTOMER, mechanic)
    settle(world.app, created.session_id)
    assert rows(world, OWED) == []
    assert balance(world, accounts.PLATFORM_REVENUE) == 999
    assert violations(world.owner) == []


def test_what_is_not_over_is_not_settled(world: World) -> None:
    created = world.queued(CUSTOMER)
    for session_id in (created.session_id, new_id()):
        with pytest.raises(SessionNotOver):
            settle(world.app, session_id)
    assert rows(world, OUTCOMES) == []


def test_an_unknown_funding_is_an_error_and_not_nothing() -> None:
    with pytest.raises(ValueError, match="barter"):
        decide({"id": 1, "status": "completed", "funding": "barter"})


# --- once -----------------------------------------------------------------------------------------


def test_a_second_time_nothing_happens(world: World, mechanic: Mechanic) -> None:
    give(world, CUSTOMER, 1)
    created = buy(world, CUSTOMER)
    complete(world, created, CUSTOMER, mechanic)
    assert [settle(world.app, created.session_id) for _ in range(3)] == [True, False, False]
    assert violations(world.owner) == []


def test_many_at_once_settle_once(world: World) -> None:
    give(world, CUSTOMER, 3)
    session_id = cancelled(world, buy(world, CUSTOMER, "standard").session_id)
    start = threading.Barrier(6)

    def one(_number: int) -> bool:
        with world.elsewhere() as app:
            start.wait()
            return settle(app, session_id)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(one, range(6))) == 1
    assert spendable(world, CUSTOMER) == 3
    assert violations(world.owner) == []


def test_a_settlement_that_committed_unseen_is_not_booked_again(world: World) -> None:
    give(world, CUSTOMER, 1)
    session_id = cancelled(world, buy(world, CUSTOMER).session_id)
    with cutting_proxy(world.urls.app_url) as proxy:
        warm = Database(lambda: proxy.url)
        warm.one("SELECT 1", ())
        proxy.lose_next_commit()
        assert settle(warm, session_id) is False
        warm.close()
    assert proxy.cuts == 1
    assert spendable(world, CUSTOMER) == 1


PAYOUT = (
    "INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents, currency)"
    " VALUES (%(session)s, %(mechanic)s, 'session', 1, 'usd')"
)
REFUND = "INSERT INTO refunds (intake_id, kind, amount_cents, currency) VALUES (%(session)s, 'session', 1, 'usd')"


@pytest.mark.parametrize("settled", [False, True])
def test_a_payout_of_what_does_not_pay_cannot_be_written(world: World, mechanic: Mechanic, *, settled: bool) -> None:
    session_id = cancelled(world, pay_by_card(world, CUSTOMER).session_id)
    if settled:
        settle(world.app, session_id)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        world.owner.execute(PAYOUT, {"session": session_id, "mechanic": mechanic.id})


@pytest.mark.parametrize("settled", [False, True])
def test_a_refund_of_what_pays_cannot_be_written(world: World, mechanic: Mechanic, *, settled: bool) -> None:
    created = pay_by_card(world, CUSTOMER)
    complete(world, created, CUSTOMER, mechanic)
    if settled:
        settle(world.app, created.session_id)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        world.owner.execute(REFUND, {"session": created.session_id})


# --- the sweep ------------------------------------------------------------------------------------


def forever() -> float:
    return 60.0


def test_the_sweep_settles_what_no_event_did_and_leaves_the_young_to_theirs(world: World) -> None:
    customers = [new_id() for _ in range(3)]
    for customer in customers:
        give(world, customer, 1)
        world.end(customer, buy(world, customer).session_id)
    world.owner.execute("UPDATE settings SET value = '90' WHERE key = 'evidence_grace_seconds'")
    world.let_time_pass(80)
    assert sweep(world.app, forever).settled == 0
    world.let_time_pass(11)
    assert sweep(world.app, forever).settled == 3
    assert [spendable(world, customer) for customer in customers] == [1, 1, 1]
    assert sweep(world.app, forever).settled == 0
    assert violations(world.owner) == []


def test_one_that_cannot_be_settled_does_not_hold_up_the_others(world: World) -> None:
    customers = [new_id() for _ in range(3)]
    sessions = []
    for customer in customers:
        give(world, customer, 1)
        sessions.append(buy(world, customer).session_id)
        world.end(customer, sessions[-1])
    with world.without_triggers() as superuser:
        superuser.execute(
            "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
            " VALUES (%s, 'stripe', 'stripe_fees', 1, 'usd', 'correction')",
            [f"session:{sessions[0]}:credit_return"],
        )
    with pytest.raises(ExceptionGroup) as failed:
        sweep(world.app, forever, grace_seconds=0)
    assert isinstance(failed.value.exceptions[0], psycopg.errors.UniqueViolation)
    assert [spendable(world, customer) for customer in customers] == [0, 1, 1]
    assert rows(world, "SELECT session_id FROM settlements_due") == [(sessions[0],)]
    assert sweep(world.app, forever, grace_seconds=60).settled == 0  # it has had its turn, for a while


def test_each_has_its_turn_before_one_has_it_again(world: World) -> None:
    for customer in (new_id(), new_id(), new_id()):
        give(world, customer, 1)
        world.end(customer, buy(world, customer).session_id)
    claimed = [world.one("SELECT session_id FROM claim_missed_settlements(1, '0')") for _ in range(4)]
    assert len(set(claimed[:3])) == 3
    assert claimed[3] == claimed[0]


def test_the_sweep_stops_before_its_time_is_over(world: World) -> None:
    give(world, CUSTOMER, 1)
    cancelled(world, buy(world, CUSTOMER).session_id)
    assert sweep(world.app, lambda: 4.0, grace_seconds=0).settled == 0


def test_what_has_nothing_at_stake_is_not_waited_for(world: World) -> None:
    cancelled(world, world.queued(CUSTOMER).session_id)
    assert world.one("SELECT count(*) FROM settlements_due") == 0


# --- earnings -------------------------------------------------------------------------------------


def test_a_mechanic_sees_what_is_pending_paid_and_failed(world: World, mechanic: Mechanic) -> None:
    states = ["due", "sent", "failed"]
    for plan in ("quick", "standard", "diagnostic"):
        created = pay_by_card(world, CUSTOMER, plan)
        complete(world, created, CUSTOMER, mechanic)
        settle(world.app, created.session_id)
        world.owner.execute(
            "UPDATE payouts SET state = %s, stripe_transfer_id = session_id::text WHERE session_id = %s",
            [states.pop(0), created.session_id],
        )
    page = earnings(world.app, mechanic.user_id, "2")
    assert [(each.kind, each.amount_cents, each.status) for each in page.earnings] == [
        ("session", 3499, "failed"),
        ("session", 2099, "paid"),
    ]
    rest = earnings(world.app, mechanic.user_id, "2", page.next_cursor)
    assert [(each.amount_cents, each.status) for each in rest.earnings] == [(699, "pending")]
    totals: dict[str, Any] = {"pending_cents": 699, "paid_cents": 2099, "failed_cents": 3499, "reversed_cents": 0}
    totals |= {"session_cents": 699 + 2099 + 3499, "referral_cents": 0, "escalation_cents": 0, "returned_cents": 0}
    assert page.totals.model_dump() == rest.totals.model_dump() == totals
    nothing = earnings(world.app, world.mechanic().user_id)
    assert (nothing.earnings, nothing.totals.pending_cents, nothing.next_cursor) == ([], 0, None)
