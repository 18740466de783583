"""Quotes under stress: concurrent callers, lost connections, hand-typed statements, and the checker's findings."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from autodoctor.db import Database
from autodoctor.errors import Problem
from autodoctor.quotes.views import quote
from support.database.cutting_proxy import cutting_proxy
from support.invariants.sessions import violations
from support.money.purchases import rows
from support.money.quote_case import OWED, QuoteCase, live_quote_case
from support.world import World

PAY_AGAIN = (
    "INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents) "
    "SELECT session_id, mechanic_id, 'escalation', 1 FROM quotes"
)


@pytest.fixture
def case(world: World) -> QuoteCase:
    """Give a live session that its mechanic may escalate."""
    return live_quote_case(world)


def at_once(case: QuoteCase, *calls: Callable[[Database], object]) -> list[str]:
    """The calls, each on a connection of its own, begun together: the class of each answer."""
    barrier = threading.Barrier(len(calls))

    def attempt(call: Callable[[Database], object]) -> str:
        with case.world.elsewhere() as app:
            try:
                barrier.wait()
                return type(call(app)).__name__
            except Problem as problem:
                return type(problem).__name__

    with ThreadPoolExecutor(len(calls)) as pool:
        return sorted(pool.map(attempt, calls))


# --- at once --------------------------------------------------------------------------------------------


def test_two_approve_at_once_and_it_is_paid_once(case: QuoteCase) -> None:
    asked = case.escalate()
    case.give(asked, 10_000)
    assert at_once(case, *[lambda app: case.approve(asked, app=app)] * 4) == ["Quote"] * 4
    case.complete()
    assert [amount for _, _, _, amount, _ in rows(case.world, OWED)] == [500]
    assert violations(case.world.owner) == []


def test_two_quotes_of_a_session_approved_at_once_and_one_is(case: QuoteCase) -> None:
    other = case.world.workshop()
    first, second = case.escalate(), case.escalate(other)
    case.give(first, 10_000)
    case.foreman = case.world.mechanic(other)
    case.give(second, 20_000)
    answers = at_once(case, lambda app: case.approve(first, app=app), lambda app: case.approve(second, app=app))
    assert answers == ["Quote", "QuoteDecided"]
    case.complete()
    assert len(rows(case.world, OWED)) == 1
    assert sorted([case.status(first), case.status(second)]) == ["approved", "superseded"]
    assert violations(case.world.owner) == []


def test_two_escalate_at_once_and_there_is_one(case: QuoteCase) -> None:
    assert at_once(case, *[lambda app: case.escalate(app=app)] * 4) == ["Quote"] * 4
    assert len(rows(case.world, "SELECT FROM quote_events")) == 1


@pytest.mark.parametrize("turn", range(2))
def test_approval_and_a_new_amount_at_once_agree_on_what_was_approved(case: QuoteCase, turn: int) -> None:
    asked = case.escalate()
    case.give(asked, 10_000)
    calls = [lambda app: case.approve(asked, seen=10_000, app=app), lambda app: case.give(asked, 20_000, app=app)]
    answers = at_once(case, *(calls if turn % 2 else reversed(calls)))
    if case.status(asked) == "approved":
        assert answers == ["Quote", "QuoteDecided"]
        case.complete()
        assert [amount for _, _, _, amount, _ in rows(case.world, OWED)] == [500]
    else:
        assert answers == ["Quote", "QuoteChanged"]
        assert rows(case.world, OWED) == []


@pytest.mark.parametrize("turn", range(2))
def test_approval_and_another_escalation_at_once_leave_nothing_open(case: QuoteCase, turn: int) -> None:
    asked, other = case.escalate(), case.world.workshop()
    case.give(asked, 10_000)
    calls = [lambda app: case.approve(asked, app=app), lambda app: case.escalate(other, app=app)]
    at_once(case, *(calls if turn % 2 else reversed(calls)))
    assert rows(case.world, "SELECT FROM quotes WHERE status IN ('requested', 'given')") == []


@pytest.mark.parametrize("step", ["escalate", "give", "approve", "decline"])
def test_an_unseen_commit_is_recognised(case: QuoteCase, step: str) -> None:
    with cutting_proxy(case.world.urls.app_url) as proxy:
        app = Database(lambda: proxy.url)
        app.one("SELECT 1", ())
        asked = None if step == "escalate" else case.escalate()
        if asked and step != "give":
            case.give(asked, 10_000)
        proxy.lose_next_commit()
        steps: dict[str, Callable[[], Any]] = {
            "escalate": lambda: case.escalate(app=app),
            "give": lambda: asked and case.give(asked, 10_000, app=app),
            "approve": lambda: asked and case.approve(asked, app=app),
            "decline": lambda: asked and case.decline(asked, app=app),
        }
        steps[step]()
        app.close()
    assert proxy.cuts == 1
    case.complete()
    assert len(rows(case.world, OWED)) == (step == "approve")
    assert violations(case.world.owner) == []


# --- what the schema refuses, whoever writes ------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("UPDATE quotes SET amount_cents = 1", "AD001"),
        ("UPDATE quotes SET status = 'given'", "AD001"),
        ("UPDATE quotes SET status = 'declined'", "AD001"),
        ("UPDATE quotes SET description = 'Something else'", "AD001"),
        ("UPDATE quotes SET escalation_bp = 10000", "AD004"),
        ("UPDATE quotes SET mechanic_id = given_by_id", "AD004"),
        ("UPDATE quotes SET note = 'Something else'", "AD004"),
        ("DELETE FROM quotes", "AD004"),
        ("TRUNCATE quotes CASCADE", "AD004"),
        ("UPDATE quote_events SET actor = 'eve'", "AD004"),
        (PAY_AGAIN, "23505"),
    ],
)  # fmt: skip
def test_what_was_approved_stands(case: QuoteCase, statement: Any, state: str) -> None:  # noqa: ANN401 (typed by hand)
    asked = case.escalate(note="Look at this")
    case.give(asked, 10_000, "Discs")
    case.approve(asked)
    case.complete()
    with pytest.raises(psycopg.Error) as refused:
        case.world.owner.execute(statement)
    assert refused.value.sqlstate == state


def test_an_escalation_is_owed_for_an_approved_quote_only(case: QuoteCase) -> None:
    case.give(case.escalate(), 10_000)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        case.world.owner.execute(
            "INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents) VALUES (%s, %s, 'escalation', 500)",
            [case.session_id, case.mechanic.id],
        )


def test_an_escalation_is_owed_for_a_completed_session_only(case: QuoteCase) -> None:
    asked = case.escalate()
    case.give(asked, 10_000)
    case.approve(asked)
    with pytest.raises(psycopg.errors.CheckViolation):
        case.world.owner.execute(
            "INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents) VALUES (%s, %s, 'escalation', 500)",
            [case.session_id, case.mechanic.id],
        )


def test_what_the_approval_changes_by_hand_is_the_status_only(case: QuoteCase) -> None:
    case.give(case.escalate(), 10_000)
    with pytest.raises(psycopg.Error) as refused:
        case.world.owner.execute("UPDATE quotes SET status = 'approved', amount_cents = 1")
    assert refused.value.sqlstate == "AD004"
    with pytest.raises(psycopg.Error) as refused:
        case.world.owner.execute("UPDATE quotes SET given_by_id = mechanic_id")
    assert refused.value.sqlstate == "AD002"


def test_a_customer_who_is_erased_leaves_no_words_and_the_amounts(case: QuoteCase) -> None:
    asked = case.escalate(note="Cora says it rattles")
    case.give(asked, 10_000, "For Cora")
    case.approve(asked)
    case.world.owner.execute("UPDATE customers SET erased_at = now()")
    found = quote(case.world.app, case.mechanic.user_id, asked.quote_id)
    assert (found.note, found.description, found.amount_cents, found.status) == (None, None, 10_000, "approved")
    assert len(found.timeline) == 3


# --- what the checker would find ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forged", "sentence"),
    [
        ("UPDATE quotes SET amount_cents = 20000", "earned 1000, is owed 500"),
        ("UPDATE quotes SET status = 'given', decided_at = NULL", "and has 0 approved quotes"),
        ("UPDATE payouts SET amount_cents = 501", "is owed 501 and booked 500"),
        ("DELETE FROM payouts", "is owed 0 and booked 500"),
        ("UPDATE intakes SET referral_bp = 1, referrer_id = (SELECT mechanic_id FROM quotes)", "its customer by"),
    ],
)  # fmt: skip
def test_the_checker_finds_what_was_forged(case: QuoteCase, forged: Any, sentence: str) -> None:  # noqa: ANN401
    asked = case.escalate()
    case.give(asked, 10_000)
    case.approve(asked)
    case.complete()
    assert violations(case.world.owner) == []
    with case.world.without_triggers() as connection:
        connection.execute(forged)
    found = violations(case.world.owner)
    assert any(sentence in each for each in found)
