"""Paying and giving up in a loop: each turn costs the platform Stripe's fee, so there is a limit, and an alert."""

from uuid import UUID

import pytest

from autodoctor.errors import WithdrawnTooOften
from autodoctor.ids import new_id
from autodoctor.monitoring.monitor import observe
from support.money.checkout_env import SIGNED, CheckoutEnv
from support.money.purchases import rows

ALERT = "SELECT subject, facts->>'sessions' FROM health_alerts WHERE alert = 'customer_withdrawals_high'"


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


def test_the_limit_is_a_setting(checkout_env: CheckoutEnv) -> None:
    checkout_env.world.owner.execute("INSERT INTO settings (key, value) VALUES ('withdrawn_payments_per_day', '1')")
    customer = new_id()
    pay_and_give_up(checkout_env, customer)
    with pytest.raises(WithdrawnTooOften):
        checkout_env.ask(customer)
