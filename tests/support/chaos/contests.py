"""Contests in a chaos run: a customer contests a settled session, and an admin decides, now or at the end."""

import random
import time
from typing import Any, Final, LiteralString
from uuid import UUID

from autodoctor.ids import new_id
from support.chaos.chaos_env import Abandoned, ChaosEnv

WAIT_SECONDS: Final = 20.0
OUTCOMES: Final = {"keep": 2, "part": 5, "all": 3}
_SETTLED: Final[LiteralString] = "SELECT outcome FROM settlements WHERE session_id = %s"
_PRICES: Final[LiteralString] = """
SELECT (sum(price_cents) FILTER (WHERE funding = 'card'))::integer AS "refundCents",
       (sum(credits) FILTER (WHERE funding = 'credit'))::integer AS "refundCredits"
  FROM contested_prices(%s)
"""
# A payout that is being sent has the decision wait for it, which at rest nobody else would end.
_OPEN: Final[LiteralString] = """
SELECT c.session_id FROM contests c WHERE c.outcome IS NULL AND NOT EXISTS (
  SELECT FROM payouts p WHERE p.session_id = c.session_id AND p.state = 'sending')
"""


def contest(env: ChaosEnv, session_id: UUID, customer: UUID, chance: random.Random, decided_now: float = 0.6) -> None:
    """Contest a session once it is settled, and decide at once with that chance."""
    give_up = time.monotonic() + WAIT_SECONDS
    while not env.by_hand(_SETTLED, session_id):
        if env.trouble:
            raise Abandoned
        if time.monotonic() > give_up:
            return
        time.sleep(0.1)
    status, _ = env.pool.call(
        "quotes",
        "POST /api/sessions/{sessionId}/contest",
        customer,
        "customers",
        body={"reason": "other", "text": "It squeals as before."},
        path={"sessionId": str(session_id)},
    )
    if status == 201 and chance.random() < decided_now:
        decide(env, session_id, chance)


def decide(env: ChaosEnv, session_id: UUID, chance: random.Random, die_before: int | None = None) -> None:
    """Decide about a contested session: anything between nothing and all of what was paid."""
    whole = paid_for(env, session_id)
    outcome = chance.choices(list(OUTCOMES), list(OUTCOMES.values()))[0]
    part = {unit: back for unit, amount in whole.items() if (back := chance.randint(0, amount))}
    if outcome == "part" and part in ({}, whole):
        outcome = "all" if part else "keep"
    decide_as(env, session_id, {"outcome": outcome, **(part if outcome == "part" else {})}, die_before)


def decide_as(env: ChaosEnv, session_id: UUID, decision: dict[str, Any], die_before: int | None = None) -> None:
    """Decide so; the process may die before a step, and the admin then comes again."""
    body = {**decision, "note": "Read."}
    status, answer = env.pool.call(
        "admin",
        "POST /api/admin/sessions/{sessionId}/contest/decide",
        new_id(),
        "admins",
        body=body,
        path={"sessionId": str(session_id)},
        die_before=die_before,
    )
    assert status == 200, (body, answer)


def paid_for(env: ChaosEnv, session_id: UUID) -> dict[str, int]:
    """What a contest of a session is about, in the units of a decision: what was paid and used."""
    (paid,) = env.by_hand(_PRICES, session_id)
    return {unit: amount for unit, amount in paid.items() if amount}


def is_open(env: ChaosEnv, session_id: UUID) -> bool:
    """Whether a decision of it can be made now."""
    return any(row["session_id"] == session_id for row in env.by_hand(_OPEN))


def decide_all(env: ChaosEnv, chance: random.Random) -> None:
    """Decide about what is left, except where a payout is being sent at this moment."""
    for row in env.by_hand(_OPEN):
        decide(env, row["session_id"], chance)
