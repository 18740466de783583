"""Paying and giving up in a loop: each turn costs the platform Stripe's fee, so there is a limit, and an alert."""

from uuid import UUID

import pytest

from autodoctor.errors import WithdrawnTooOften
from autodoctor.ids import new_id
from autodoctor.monitoring.monitor import observe
from autodoctor.payments.settlement import settle
from autodoctor.sessions.presence import join, leave
from support.money.checkout_env import SIGNED, CheckoutEnv
from support.money.extensions import INCLUDED_SECONDS, ask, extended_by_card
from support.money.purchases import rows
from support.money.refund_env import RefundEnv
from support.world import Mechanic

ALERT = "SELECT subject, facts->>'payments' FROM health_alerts WHERE alert = 'customer_withdrawals_high'"


def pay_and_give_up(checkout_env: CheckoutEnv, customer: UUID) -> None:
    """Pay a request by card, and withdraw it from the queue."""
    checkout_env.stripe.pay(checkout_env.page(checkout_env.ask(customer, None, **SIGNED)))
    checkout_env.tell("checkout.session.completed")
    checkout_env.world.end(customer, checkout_env.session().session_id)


def test_the_fourth_in_a_day_is_refused_and_an_alert_names_the_customer(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    for _ in range(3):
        pay_and_give_up(checkout_env, customer)
    with pytest.raises(WithdrawnTooOften) as refused:
        checkout_env.ask(customer)
    assert refused.value.extras == {"withdrawn": 3}
    checkout_env.ask(new_id())  # nobody else is
    observe(checkout_env.world.app)
    row = checkout_env.one("SELECT id FROM customers WHERE user_id = %s", customer)
    assert rows(checkout_env.world, ALERT) == [(str(row), "3")]
    checkout_env.world.let_time_pass(24 * 3600)
    assert checkout_env.ask(customer).checkout_url


def test_what_the_platform_let_expire_does_not_count(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    for _ in range(4):
        checkout_env.stripe.pay(checkout_env.page(checkout_env.ask(customer, None, **SIGNED)))
        checkout_env.tell("checkout.session.completed")
        checkout_env.world.let_time_pass(3 * 3600)
        assert checkout_env.one("SELECT expire_orphaned_sessions()") == 1
    assert checkout_env.ask(customer).checkout_url


def pay_the_old_page(checkout_env: CheckoutEnv, customer: UUID) -> None:
    """Pay a page while a free session is open, so that the payment goes back; then end that session."""
    page = checkout_env.page(checkout_env.ask(customer, None, **SIGNED))
    free = checkout_env.world.queued(customer)
    checkout_env.stripe.pay(page)
    assert checkout_env.tell("checkout.session.completed").json["outcome"] == "unfulfillable"
    checkout_env.world.end(customer, free.session_id)


def test_paying_while_another_session_is_open_counts(checkout_env: CheckoutEnv) -> None:
    customer = new_id()
    for _ in range(3):
        pay_the_old_page(checkout_env, customer)
    with pytest.raises(WithdrawnTooOften):
        checkout_env.ask(customer)
    observe(checkout_env.world.app)
    assert [payments for _, payments in rows(checkout_env.world, ALERT)] == ["3"]
    checkout_env.world.let_time_pass(24 * 3600)
    assert checkout_env.ask(customer).checkout_url


def met(checkout_env: CheckoutEnv, customer: UUID, mechanic: Mechanic) -> tuple[UUID, str]:
    """A paid talk in which both are, and the mechanic's socket."""
    world = checkout_env.world
    checkout_env.stripe.pay(checkout_env.page(checkout_env.ask(customer, None, **SIGNED)))
    checkout_env.tell("checkout.session.completed")
    session = checkout_env.session()
    world.accept(mechanic, session)
    return session.session_id, world.meet(session.session_id, customer, mechanic)[1]


def test_a_talk_that_its_customer_ends_at_once_counts(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    customer, world = new_id(), checkout_env.world
    for _ in range(3):
        session_id, _ = met(checkout_env, customer, mechanic)
        assert world.end(customer, session_id).reason == "too_short"
    with pytest.raises(WithdrawnTooOften):
        checkout_env.ask(customer)
    observe(world.app)
    assert [payments for _, payments in rows(world, ALERT)] == ["3"]


def test_a_talk_that_the_mechanic_ended_or_left_does_not_count(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    customer, world = new_id(), checkout_env.world
    session_id, _ = met(checkout_env, customer, mechanic)
    world.end(mechanic.user_id, session_id)
    session_id, socket = met(checkout_env, customer, mechanic)
    leave(world.app, mechanic.user_id, session_id, socket)
    world.let_time_pass(30)
    assert world.end(customer, session_id).reason == "too_short"
    assert world.one("SELECT withdrawn_payments(%s)", customer) == 0


def test_a_mechanic_who_never_answers_is_not_the_customers_fault(checkout_env: CheckoutEnv, mechanic: Mechanic) -> None:
    customer, world = new_id(), checkout_env.world
    checkout_env.stripe.pay(checkout_env.page(checkout_env.ask(customer, None, **SIGNED)))
    checkout_env.tell("checkout.session.completed")
    session = checkout_env.session()
    world.accept(mechanic, session)
    world.come(customer, session.session_id)
    join(world.app, mechanic.user_id, session.session_id, world.socket(mechanic.user_id))
    world.let_time_pass(90)
    assert world.end(customer, session.session_id).reason == "no_talk"
    assert world.one("SELECT withdrawn_payments(%s)", customer) == 0


def test_the_limit_is_a_setting(checkout_env: CheckoutEnv) -> None:
    checkout_env.world.owner.execute("INSERT INTO settings (key, value) VALUES ('withdrawn_payments_per_day', '1')")
    customer = new_id()
    pay_and_give_up(checkout_env, customer)
    with pytest.raises(WithdrawnTooOften):
        checkout_env.ask(customer)


@pytest.fixture
def talk(refund_env: RefundEnv) -> UUID:
    """A talk that is live, paid by card."""
    session_id, world = refund_env.buy(), refund_env.checkout_env.world
    world.accept(refund_env.mechanic, refund_env.checkout_env.session())
    world.meet(session_id, refund_env.customer(session_id), refund_env.mechanic)
    return session_id


def test_minutes_that_are_paid_and_not_used_count_while_the_talk_goes_on_and_once_it_is_over(
    refund_env: RefundEnv, talk: UUID
) -> None:
    world, customer = refund_env.checkout_env.world, refund_env.customer(talk)
    world.owner.execute("UPDATE settings SET value = '3' WHERE key = 'withdrawn_payments_per_day'")
    for _ in range(3):
        extended_by_card(refund_env, talk)
    with pytest.raises(WithdrawnTooOften) as refused:
        ask(world, customer, talk, pay_with="card")
    assert refused.value.extras == {"withdrawn": 3}
    world.let_time_pass(90)
    assert world.end(customer, talk).ended_by == "customer"
    assert settle(world.app, talk)
    with pytest.raises(WithdrawnTooOften):
        refund_env.checkout_env.ask(customer)
    observe(world.app)
    assert rows(world, ALERT) == [(str(world.one("SELECT customer_id FROM sessions")), "3")]
    world.let_time_pass(24 * 3600)
    assert refund_env.checkout_env.ask(customer).checkout_url


def test_minutes_that_are_used_or_that_the_mechanic_ended_do_not_count(refund_env: RefundEnv, talk: UUID) -> None:
    world, customer = refund_env.checkout_env.world, refund_env.customer(talk)
    world.owner.execute("UPDATE settings SET value = '1' WHERE key = 'withdrawn_payments_per_day'")
    extended_by_card(refund_env, talk)
    world.let_time_pass(INCLUDED_SECONDS + 61)
    extended_by_card(refund_env, talk)
    world.end(refund_env.mechanic.user_id, talk)
    assert settle(world.app, talk)
    assert refund_env.checkout_env.ask(customer).checkout_url
