"""Shared by tests of evidence: a session that was talked in, its dispute, and the sweep."""

from typing import Any
from uuid import UUID

from autodoctor.db import Row
from autodoctor.disputes.staging import sweep_evidence
from autodoctor.payments.stripe.lease import Sent
from support.money.refund_env import RefundEnv
from support.world import World


def sweep(env: RefundEnv) -> Sent:
    return sweep_evidence(env.checkout_env.world.app, env.client, lambda: 60.0)


def evidence(env: RefundEnv) -> Row:
    (row,) = env.checkout_env.world.owner.execute("SELECT * FROM dispute_evidence").fetchall()
    return row


def at_stripe(env: RefundEnv) -> dict[str, Any]:
    (dispute,) = env.checkout_env.stripe.objects("dispute")
    return dispute


def held(env: RefundEnv, words: str = "Which pads?") -> UUID:
    """A session that was paid for, talked in, completed and settled."""
    world, session_id = env.checkout_env.world, env.buy()
    customer = env.customer(session_id)
    world.accept(env.mechanic, env.checkout_env.session())
    world.meet(session_id, customer, env.mechanic)
    world.say(customer, session_id, words)
    world.let_time_pass(90)
    assert world.end(customer, session_id).status == "completed"
    return session_id


def settings(world: World, key: str, value: str) -> None:
    world.owner.execute("INSERT INTO settings (key, value) VALUES (%s, %s)", [key, value])
