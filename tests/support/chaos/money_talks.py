"""Talks that a MoneyDriver extends and contests, each call of which may be given a step at which to die."""

import random
from collections.abc import Mapping
from typing import Any, Final, LiteralString
from uuid import UUID

from support.chaos.money_driver import MoneyDriver
from support.chaos.pool import Document
from support.world import Mechanic

PACK: Final = "m15"
_EXTENSION: Final[LiteralString] = """
SELECT x.id, x.pay_with, x.status FROM session_extensions x
 WHERE x.session_id = %s AND x.status IN ('asked', 'agreed')
"""
_ENOUGH: Final[LiteralString] = """
SELECT max(starts_after) AS minutes FROM session_extensions WHERE session_id = %s AND status = 'running'
"""
_OVER: Final[LiteralString] = """
SELECT s.id, m.user_id AS mechanic_user FROM sessions s JOIN customers c ON c.id = s.customer_id
  JOIN mechanics m ON m.id = s.mechanic_id JOIN settlements t ON t.session_id = s.id AND t.outcome = 'pay'
 WHERE c.user_id = %s ORDER BY s.ended_at
"""


def ask_for_more(money: MoneyDriver, customer: UUID, pay_with: str, die_before: int | None = None) -> int | None:
    """Ask for fifteen minutes, or for the page where they are paid once the mechanic has agreed.

    Returns:
        The status of the answer; None for whom no talk is live.
    """
    session = money.session_of(customer)
    if session is None:
        return None
    status, answer = _call(
        money,
        "checkout",
        "POST /api/sessions/{sessionId}/extend",
        (customer, "customers"),
        {"sessionId": session["id"]},
        {"pack": PACK, "payWith": pay_with},
        die_before,
    )
    if answer.get("checkoutUrl"):
        money.opened(answer)
    return status


def answer(money: MoneyDriver, customer: UUID, *, agrees: bool = True, die_before: int | None = None) -> None:
    """Have the mechanic answer what the customer asked for, if that was anything."""
    session = money.session_of(customer)
    asked = money.env.by_hand(_EXTENSION, session["id"]) if session else []
    if session is None or not asked:
        return
    status, answered = _call(
        money,
        "checkout",
        "POST /api/sessions/{sessionId}/extend/{extensionId}/answer",
        (session["mechanic_user"], "mechanics"),
        {"sessionId": session["id"], "extensionId": asked[0]["id"]},
        {"agrees": agrees},
        die_before,
    )
    assert status in (200, 402, 409), answered  # the credits are gone, or it was answered otherwise


def talk_on(money: MoneyDriver, customer: UUID) -> None:
    """Let the talk go on into the last minutes that were paid for."""
    session = money.session_of(customer)
    if session is not None and (minutes := money.env.by_hand(_ENOUGH, session["id"])[0]["minutes"]) is not None:
        money.env.let_talk_last(session["id"], minutes * 60 + 120)


def whole_talk(  # noqa: PLR0913 (each part of a talk)
    money: MoneyDriver, customer: UUID, mechanic: Mechanic, *, way: str, pay_with: str, used: bool
) -> None:
    """A talk that was extended, where both are free for one, and that went on into what was added or did not.

    Each is paid in one of the ways of an intake or of an extension.
    """
    if "credit" in (way, pay_with):
        money.have_credits(customer)
    if money.ask(customer, "standard", way, None) == 202:
        money.at_page(money.pages[-1], "pay")
        money.tell(100, random.Random(1), None)
    money.begin_talk(customer, mechanic)
    ask_for_more(money, customer, pay_with)
    answer(money, customer)
    if pay_with == "card" and ask_for_more(money, customer, "card") == 200:
        money.at_page(money.pages[-1], "pay")
        money.tell(100, random.Random(1), None)
    if used:
        talk_on(money, customer)


def settled(money: MoneyDriver, customer: UUID) -> list[dict[str, Any]]:
    """The customer's sessions that were settled as ones that pay, with their mechanics' users; the last one last."""
    return money.env.by_hand(_OVER, customer)


def contest(money: MoneyDriver, customer: UUID, session_id: UUID, die_before: int | None = None) -> int:
    """Contest a session; the status of the answer."""
    status, _ = _call(
        money,
        "quotes",
        "POST /api/sessions/{sessionId}/contest",
        (customer, "customers"),
        {"sessionId": session_id},
        {"reason": "not_helped", "text": "It squeals as before."},
        die_before,
    )
    return status


def answer_contest(money: MoneyDriver, mechanic_user: UUID, session_id: UUID, die_before: int | None = None) -> int:
    """Have the mechanic say something to it; the status of the answer."""
    status, _ = _call(
        money,
        "quotes",
        "POST /api/sessions/{sessionId}/contest/answer",
        (mechanic_user, "mechanics"),
        {"sessionId": session_id},
        {"text": "We found the cause."},
        die_before,
    )
    return status


def _call(  # noqa: PLR0913, PLR0917 (each part of a request)
    money: MoneyDriver,
    name: str,
    route: str,
    caller: tuple[UUID, str],
    path: Mapping[str, UUID],
    body: Document,
    die_before: int | None,
) -> tuple[int, Document]:
    named = {key: str(value) for key, value in path.items()}
    return money.env.pool.call(name, route, *caller, body=body, path=named, die_before=die_before)
