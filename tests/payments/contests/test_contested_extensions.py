"""A contest is about the whole consultation: its own price, and the minutes that were added to it and used."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from autodoctor.contests.cases import cases, session_case
from autodoctor.contests.contests import contest
from autodoctor.contests.errors import ContestNotOpen
from autodoctor.documents.receipts import receipts_of
from autodoctor.errors import Unprocessable
from autodoctor.ids import new_id
from autodoctor.payments.ledger.credits import credits_of
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.lease import Sent
from payments.contests.test_contests import WHY, decide, found
from support.money.extensions import INCLUDED_SECONDS, extended_by_card, talked
from support.money.purchases import rows, spendable
from support.money.refund_env import PRICE, SHARE, RefundEnv
from support.world import World

MORE, MORE_SHARE = 599, 419
"""Of the pack of fifteen minutes: its price, and the mechanic's part."""


def contested(env: RefundEnv, *ways: str) -> list[UUID]:
    """A session by card that was extended in these ways, and is contested."""
    session_id, *extensions = talked(env, *ways)
    contest(env.checkout_env.world.app, env.customer(session_id), session_id, WHY)
    return [session_id, *extensions]


def parts(world: World) -> Sequence[tuple[object, ...]]:
    return rows(world, "SELECT intake_id, cents, credits FROM contest_parts ORDER BY intake_id")


def at_stripe(env: RefundEnv) -> list[int]:
    """What each payment of the session got back."""
    return [each["amount_refunded"] for each in env.checkout_env.stripe.objects("charge")]


def test_a_part_goes_back_of_each_price_in_proportion(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.onboard()
    session_id, by_card, by_credit = contested(refund_env, "card", "credit")
    (case,) = cases(world.app, {}).cases
    assert case.cents == PRICE + MORE + MORE
    decide(world, session_id, "part", refundCents=799, refundCredits=1)
    assert parts(world) == [(session_id, 499, None), (by_card, 300, None), (by_credit, None, 1)]
    refund_env.later()
    assert refund_env.payouts() == Sent()  # the one by credits has nothing left, the others wait for the refunds
    assert refund_env.refunds() == Sent(sent=2)
    assert (at_stripe(refund_env), found(world)) == ([499, 300], set())
    refund_env.payouts()
    assert sorted(refund_env.sent()) == [MORE_SHARE - 210, SHARE - 349]
    assert found(world) == set()
    refund_env.balanced()


def test_all_goes_back_of_each(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id, *_ = contested(refund_env, "card", "credit")
    customer = refund_env.customer(session_id)
    before = spendable(world, customer)
    decide(world, session_id, "all")
    assert refund_env.refunds() == Sent(sent=2)
    assert (at_stripe(refund_env), spendable(world, customer)) == ([PRICE, MORE], before + 1)
    assert {each["state"] for each in world.owner.execute("SELECT state FROM payouts").fetchall()} == {"cancelled"}
    shown = receipts_of(world.app, customer).receipts
    for unit in ("amount_cents", "credits"):
        amounts = [(each.kind == "credit_note", getattr(each, unit) or 0) for each in shown]
        assert sum(amount for is_note, amount in amounts if is_note) == sum(
            amount for is_note, amount in amounts if not is_note
        )
    newest = credits_of(world.app, customer).history[0]
    assert (newest.movement, newest.credits, newest.session_id) == ("returned", 1, session_id)
    assert found(world) == set()
    refund_env.balanced()


def test_what_went_back_of_one_by_hand_counts(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id, extension = contested(refund_env, "card")
    refund_env.refund(extension)
    decide(world, session_id, "part", refundCents=799)
    assert parts(world) == [(session_id, 200, None), (extension, MORE, None)]
    refund_env.refunds()
    assert (at_stripe(refund_env), found(world)) == ([200, MORE], set())
    refund_env.balanced()


def test_what_was_sent_of_each_is_owed(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.onboard()
    session_id, extension = talked(refund_env, "card")
    assert refund_env.payouts() == Sent(sent=2)
    contest(world.app, refund_env.customer(session_id), session_id, WHY)
    decide(world, session_id, "part", refundCents=799)
    assert refund_env.refunds() == Sent(sent=2)
    assert refund_env.of_mechanic() == (0, 349 + 210)
    assert {each["intake_id"] for each in world.owner.execute("SELECT intake_id FROM refunds").fetchall()} == {
        session_id,
        extension,
    }
    assert found(world) == set()
    refund_env.balanced()


def test_minutes_that_were_not_used_are_no_part_of_it(refund_env: RefundEnv) -> None:
    world, session_id = refund_env.checkout_env.world, refund_env.buy()
    customer = refund_env.customer(session_id)
    world.accept(refund_env.mechanic, refund_env.checkout_env.session())
    world.meet(session_id, customer, refund_env.mechanic)
    extended_by_card(refund_env, session_id)
    world.let_time_pass(90)
    world.end(customer, session_id)
    settle(world.app, session_id)
    contest(world.app, customer, session_id, WHY)
    decide(world, session_id, "all")
    assert parts(world) == [(session_id, PRICE, None)]
    assert refund_env.refunds() == Sent(sent=2)
    assert (at_stripe(refund_env), found(world)) == ([PRICE, MORE], set())


@pytest.mark.parametrize("is_extended", [False, True])
def test_a_free_session_is_contested_for_its_minutes(refund_env: RefundEnv, *, is_extended: bool) -> None:
    world, customer, mechanic = refund_env.checkout_env.world, new_id(), refund_env.mechanic
    world.owner.execute(
        "UPDATE plans SET mechanic_share_bp = 7000,"
        """ minute_packs = '[{"code": "m15", "minutes": 15, "price_cents": 599, "credits": 1}]' WHERE code = 'free'"""
    )
    session_id = world.live(mechanic, customer).session_id
    if is_extended:
        extended_by_card(refund_env, session_id)
    world.let_time_pass(INCLUDED_SECONDS)
    world.end(customer, session_id)
    settle(world.app, session_id)
    world.owner.execute("DELETE FROM outbox")
    if not is_extended:
        with pytest.raises(ContestNotOpen):
            contest(world.app, customer, session_id, WHY)
        return
    contest(world.app, customer, session_id, WHY)
    decide(world, session_id, "all")
    refund_env.refunds()
    assert (at_stripe(refund_env), found(world)) == ([MORE], set())


def test_a_decision_is_within_what_was_paid_in_each_unit(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id, *_ = contested(refund_env, "card", "credit")
    for amount in (
        {},
        {"refundCents": PRICE + MORE + 1},
        {"refundCredits": 2},
        {"refundCents": PRICE + MORE, "refundCredits": 1},
    ):
        with pytest.raises(Unprocessable):
            decide(world, session_id, "part", **amount)
    decide(world, session_id, "part", refundCents=PRICE + MORE)  # all by card, and nothing by credits
    assert [each[1] for each in parts(world)] == [PRICE, MORE]


def test_an_admin_sees_each_amount(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id, by_card, by_credit = contested(refund_env, "card", "credit")
    case = session_case(world.app, new_id(), session_id)
    assert (case.contestable_cents, case.contestable_credits) == (PRICE + MORE, 1)
    decide(world, session_id, "part", refundCents=799)
    refund_env.refunds()
    case = session_case(world.app, new_id(), session_id)
    assert (case.refund_cents, case.refunded_cents) == (499, 499)
    assert [
        (each.extension_id, each.funding, each.settled, each.refund_cents, each.refunded_cents)
        for each in case.extensions
    ] == [(by_card, "card", "pay", 300, 300), (by_credit, "credit", "pay", None, 0)]
    assert [each.payment is None for each in case.extensions] == [False, True]
    assert [(each.kind, each.extension_id) for each in case.refunds] == [("contest", None), ("contest", by_card)]
    assert {each.kind for each in case.payouts} == {"session", "extension"}


def test_nobody_but_the_decision_writes_a_part(refund_env: RefundEnv) -> None:
    app = refund_env.checkout_env.world.app
    assert app.one("SELECT has_table_privilege('contest_parts', 'INSERT, UPDATE, DELETE') AS may", {}) == {"may": False}
