"""Minutes that are paid by card, in another tab, while the talk goes on."""

from uuid import UUID

import pytest

from autodoctor.errors import PaymentProcessing
from autodoctor.events.model import PaymentEvent, event_of
from autodoctor.extensions.extend import ExtensionState
from autodoctor.monitoring.session_search import Query, search
from autodoctor.notifications.kinds import Kind
from autodoctor.notifications.recipients import payer_of
from autodoctor.payments.settlement import settle
from autodoctor.sessions.active import session_detail
from autodoctor.sessions.expiry import sweep
from autodoctor.sessions.minutes import SessionMinutes
from support.money.extensions import answer, ask
from support.money.reconcile_env import ReconcileEnv
from support.money.refund_env import SHARE, RefundEnv

MORE, THEIRS = 599, 419
"""What fifteen more minutes of a quick chat cost, and the mechanic's part."""
HALF_AN_HOUR = 30 * 60


@pytest.fixture
def talk(refund_env: RefundEnv) -> UUID:
    """A talk that is live, paid by card."""
    refund_env.onboard()
    session_id, world = refund_env.buy(), refund_env.checkout_env.world
    world.accept(refund_env.mechanic, refund_env.checkout_env.session())
    world.meet(session_id, refund_env.customer(session_id), refund_env.mechanic)
    return session_id


def agreed(env: RefundEnv, session_id: UUID) -> ExtensionState:
    """Minutes to which the mechanic has agreed, with the page where they are paid."""
    world, customer = env.checkout_env.world, env.customer(session_id)
    assert answer(world, env.mechanic, ask(world, customer, session_id, pay_with="card")).status == "agreed"
    return ask(world, customer, session_id, pay_with="card")


def page_of(env: RefundEnv, extension: ExtensionState) -> str:
    page: str = env.checkout_env.one(
        "SELECT stripe_session_id FROM checkouts WHERE intake_id = %s", extension.extension_id
    )
    return page


def paid(env: RefundEnv, session_id: UUID) -> UUID:
    """Minutes that were paid for; their extension."""
    extension = agreed(env, session_id)
    env.checkout_env.stripe.pay(page_of(env, extension))
    env.tell()
    return extension.extension_id


def minutes(env: RefundEnv, session_id: UUID) -> SessionMinutes:
    return session_detail(env.checkout_env.world.app, env.customer(session_id), session_id).minutes


def ended(env: RefundEnv, session_id: UUID) -> list[str]:
    """End the talk and settle it: how its extensions were settled."""
    env.checkout_env.world.end(env.customer(session_id), session_id)
    assert settle(env.checkout_env.world.app, session_id)
    return [str(each.settled) for each in minutes(env, session_id).extensions]


def payouts(env: RefundEnv) -> list[tuple[str, int]]:
    rows = env.checkout_env.world.owner.execute("SELECT kind, sent_cents FROM payouts ORDER BY id").fetchall()
    return [(row["kind"], row["sent_cents"]) for row in rows]


def test_they_are_added_when_stripe_has_the_payment(refund_env: RefundEnv, talk: UUID) -> None:
    extension = agreed(refund_env, talk)
    assert extension.checkout_url is not None
    assert agreed_again(refund_env, talk) == extension
    assert minutes(refund_env, talk).extended == 0
    refund_env.checkout_env.stripe.pay(page_of(refund_env, extension))
    assert refund_env.tell()[-1] == "fulfilled"
    shown = minutes(refund_env, talk)
    assert (shown.extended, [each.status for each in shown.extensions]) == (15, ["running"])
    receipt = refund_env.checkout_env.world.owner.execute(
        "SELECT title, amount, cause FROM receipts WHERE intake_id = %s", [extension.extension_id]
    ).fetchone()
    assert receipt == {"title": "Quick chat: 15 more minutes", "amount": MORE, "cause": "session"}
    refund_env.balanced()


def agreed_again(env: RefundEnv, session_id: UUID) -> ExtensionState:
    return ask(env.checkout_env.world, env.customer(session_id), session_id, pay_with="card")


def test_the_grace_lasts_while_they_are_being_paid_for_but_not_for_ever(refund_env: RefundEnv, talk: UUID) -> None:
    world = refund_env.checkout_env.world
    agreed(refund_env, talk)
    world.let_time_pass(HALF_AN_HOUR + 61)
    assert sweep(world.app, lambda: 60.0).ended == 0
    world.let_time_pass(5 * 60 - 60)
    assert sweep(world.app, lambda: 60.0).ended == 1


def test_what_is_paid_after_the_end_goes_back(refund_env: RefundEnv, talk: UUID) -> None:
    extension = agreed(refund_env, talk)
    refund_env.checkout_env.world.let_time_pass(90)
    assert ended(refund_env, talk) == ["None"]
    refund_env.checkout_env.stripe.pay(page_of(refund_env, extension))
    assert "unfulfillable" in refund_env.tell()
    assert refund_env.refunds().sent == 1
    refund_env.tell()
    refund_env.payouts()
    assert payouts(refund_env) == [("session", SHARE)]
    refund_env.balanced()
    assert ReconcileEnv.of(refund_env.checkout_env).compared().differences == ()


def test_the_payer_reads_that_it_was_for_minutes_and_an_admin_finds_the_session(
    refund_env: RefundEnv, talk: UUID
) -> None:
    extension = agreed(refund_env, talk)
    world = refund_env.checkout_env.world
    world.let_time_pass(90)
    assert ended(refund_env, talk) == ["None"]
    refund_env.checkout_env.stripe.pay(page_of(refund_env, extension))
    refund_env.tell()
    row = world.owner.execute("SELECT * FROM outbox_events WHERE type = 'payment.unfulfillable'").fetchone()
    assert row is not None
    event = event_of(row)
    assert isinstance(event, PaymentEvent)
    assert payer_of(world.app, Kind.PAYMENT_UNFULFILLABLE, event).facts.bought == "extension"
    found = search(world.app, Query(money="refunds_waiting")).sessions
    assert {(each.session_id, each.customer_name) for each in found} == {(talk, "Cora Castillo")}


def test_nothing_else_may_be_asked_for_while_the_bank_takes_its_time(refund_env: RefundEnv, talk: UUID) -> None:
    extension = agreed(refund_env, talk)
    refund_env.checkout_env.stripe.pay(page_of(refund_env, extension), "pay_later")
    refund_env.tell()
    with pytest.raises(PaymentProcessing):
        agreed_again(refund_env, talk)
    with pytest.raises(PaymentProcessing):
        ask(refund_env.checkout_env.world, refund_env.customer(talk), talk)


def test_the_used_one_is_paid_out_and_the_other_goes_back_to_the_card(refund_env: RefundEnv, talk: UUID) -> None:
    used, unused = paid(refund_env, talk), paid(refund_env, talk)
    refund_env.checkout_env.world.let_time_pass(HALF_AN_HOUR + 61)
    assert ended(refund_env, talk) == ["pay", "refund"]
    assert refund_env.payouts().sent == 2
    assert refund_env.refunds().sent == 1
    refund_env.tell()
    assert payouts(refund_env) == [("session", SHARE), ("extension", THEIRS)]
    rows = refund_env.checkout_env.world.owner.execute("SELECT intake_id, kind, amount_cents, state FROM refunds")
    assert rows.fetchall() == [{"intake_id": unused, "kind": "extension", "amount_cents": MORE, "state": "sent"}]
    assert refund_env.checkout_env.one("SELECT count(*) FROM refunds WHERE intake_id = %s", used) == 0
    refund_env.balanced()


def test_paying_one_back_by_hand_leaves_the_others_alone(refund_env: RefundEnv, talk: UUID) -> None:
    extension = paid(refund_env, talk)
    refund_env.checkout_env.world.let_time_pass(HALF_AN_HOUR + 61)
    ended(refund_env, talk)
    refund_env.refund(extension)
    refund_env.payouts()
    refund_env.tell()
    assert payouts(refund_env) == [("session", SHARE), ("extension", 0)]
    states = refund_env.checkout_env.world.owner.execute("SELECT state FROM payouts ORDER BY id").fetchall()
    assert [row["state"] for row in states] == ["sent", "cancelled"]
    refund_env.balanced()


def test_a_lost_dispute_of_one_takes_back_its_own_payout(refund_env: RefundEnv, talk: UUID) -> None:
    extension = paid(refund_env, talk)
    refund_env.checkout_env.world.let_time_pass(HALF_AN_HOUR + 61)
    ended(refund_env, talk)
    refund_env.payouts()
    refund_env.tell()
    refund_env.decide(refund_env.dispute(extension), won=False)
    assert refund_env.reversals().sent == 1
    refund_env.tell()
    taken = refund_env.checkout_env.world.owner.execute("SELECT kind, reversed_cents FROM payouts ORDER BY id")
    assert [(row["kind"], row["reversed_cents"]) for row in taken] == [("session", 0), ("extension", THEIRS)]
    refund_env.balanced()
