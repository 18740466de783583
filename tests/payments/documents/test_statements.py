"""Statements: what a mechanic earned, was sent and owes, from the ledger and to the cent."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autodoctor.documents.statement_words import GROUPS, KINDS, NOT_MECHANICS, WAITS, UnsentPayout, WaitReason, why
from autodoctor.documents.statements import period_of, statement, statements_of
from autodoctor.errors import StatementNotFound
from autodoctor.ids import new_id
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import TransferKind
from support.money.refund_env import SHARE, RefundEnv
from support.money.statement_sums import adds_up
from support.world import World

BOOK = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, created_at)
VALUES (%s, %s, %s, %s, 'usd', %s, %s)
"""
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER, BEFORE = NOW + timedelta(hours=1), NOW - timedelta(hours=1)


def test_every_kind_of_the_ledger_has_words_or_is_not_a_mechanics() -> None:
    """A kind that is new stands in neither: give it words, and a group, unless no mechanic's account is in its flow."""
    assert {*KINDS, *NOT_MECHANICS} == {kind.value for kind in TransferKind}
    assert not KINDS.keys() & NOT_MECHANICS
    assert {each.group for each in KINDS.values()} == GROUPS.keys()


def test_statements_of_random_histories_are_the_ledger_to_the_cent(world: World) -> None:
    """Also where rows lie on a month's first and last instant."""
    mechanic, other = world.mechanic(), world.mechanic()
    dice = random.Random(29)
    edges = [datetime(2025, month, 1, tzinfo=UTC) for month in range(1, 13)]
    for number in range(300):
        mine = dice.choice([mechanic, mechanic, other])
        ends = [accounts.mechanic_payable(mine.id), accounts.mechanic_receivable(mine.id), accounts.STRIPE]
        debit, credit = dice.sample(ends, 2)
        within = timedelta(days=dice.randrange(28), seconds=dice.randrange(86400))
        at = dice.choice(edges) + dice.choice([timedelta(0), timedelta(microseconds=-1), within])
        kind = dice.choice(sorted(KINDS.keys() - {"transfer", "netting"}))
        world.owner.execute(BOOK, [f"random:{number}", debit, credit, dice.randrange(1, 10**6), kind, at])
    months = adds_up(world, mechanic)
    assert len(months) >= 12
    assert {line.booked_at.strftime("%Y-%m") for each in months for line in each.lines} == {m.period for m in months}


def test_a_month_says_what_was_earned_sent_and_has_to_be_given_back(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.onboard()
    session_id = refund_env.earned()
    refund_env.payouts()
    refund_env.refund(session_id, 300)
    lines = [line for each in adds_up(world, refund_env.mechanic) for line in each.lines]
    assert [(each.kind, each.payable_cents, each.owed_cents) for each in lines] == [
        ("session", SHARE, 0),
        ("payout", -SHARE, 0),
        ("debt", 0, 210),
    ]
    assert {each.session_id for each in lines} == {session_id}
    assert lines[0].text.startswith("Session: Quick chat, session of ")
    assert lines[2].text.startswith("Went back to the customer after it was paid out, your part: Quick chat")
    assert [each.transfer_id for each in lines] == [None, refund_env.payout()["stripe_transfer_id"], None]


def test_what_is_not_sent_has_its_reasons_and_is_all_of_the_balance(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    world.owner.execute("DELETE FROM settings WHERE key = 'payout_hold_hours'")
    refund_env.earned()
    month = statements_of(world.app, refund_env.mechanic.user_id).statements[0].month
    (waiting,) = (found := statement(world.app, refund_env.mechanic.user_id, month)).waiting
    assert waiting.amount_cents == found.closing.payable_cents == SHARE
    assert [(each.reason, each.until) for each in waiting.reasons] == [
        ("time", world.one("SELECT created_at + interval '24 hours' FROM payouts"))
    ]
    world.owner.execute("UPDATE mechanics SET status = 'suspended'")
    (waiting,) = statement(world.app, refund_env.mechanic.user_id, month).waiting
    assert [each.reason for each in waiting.reasons] == ["suspended", "time"]


def test_money_that_is_not_decided_about_waits_too(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id = refund_env.earned()
    with world.without_triggers() as connection:
        connection.execute(
            "INSERT INTO settlement_holds (session_id, demanded, facts) VALUES (%s, 'cancelled', '{}')", [session_id]
        )
    month = statements_of(world.app, refund_env.mechanic.user_id).statements[0].month
    waiting = statement(world.app, refund_env.mechanic.user_id, month).waiting[-1]
    assert (waiting.session_id, waiting.amount_cents) == (session_id, None)
    assert waiting.reasons[0].text == WAITS["late_evidence"]


@pytest.mark.parametrize(
    ("unsent", "expected"),
    [
        ({}, [("due", None)]),
        ({"leaves_at": LATER}, [("time", LATER)]),
        ({"holds": ("operator",), "leaves_at": LATER}, [("operator", None), ("time", LATER)]),
        ({"holds": ("destination",), "destination_until": LATER}, [("destination", LATER)]),
        ({"destination_until": LATER}, [("destination", LATER)]),
        ({"waits_for": "onboarding"}, [("onboarding", None)]),
        ({"waits_for": "balance", "next_attempt_at": LATER}, [("balance", LATER)]),
        ({"waits_for": "release", "state": "held", "holds": ("contest",)}, [("contest", None)]),
        ({"state": "sending"}, [("sending", None)]),
        ({"state": "failed", "holds": ("operator",)}, [("failed", None)]),
        ({"state": "reversed"}, [("taken_back", None)]),
    ],
)
def test_why_a_payout_is_not_sent(unsent: dict[str, Any], expected: list[tuple[WaitReason, datetime | None]]) -> None:
    usual = UnsentPayout("due", None, (), destination_until=None, leaves_at=BEFORE, next_attempt_at=None)
    assert why(replace(usual, **unsent), NOW) == expected


def test_a_month_or_a_year_in_utc(world: World) -> None:
    mechanic = world.mechanic()
    december = period_of("2026-12")
    assert (december.starts_at, december.ends_at) == (
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )
    assert period_of("2026").ends_at == december.ends_at
    for name in ("2026-13", "2026-1", "26-01", "2026-00", "1999-01", "2026-01-01", "2026-11\n", "x"):
        with pytest.raises(StatementNotFound):
            period_of(name)
    with pytest.raises(StatementNotFound):
        statement(world.app, mechanic.user_id, "2099-01")
    with pytest.raises(StatementNotFound):
        statement(world.app, new_id(), "2025-01")
    assert statement(world.app, mechanic.user_id, "2025-01").lines == []
    assert statements_of(world.app, new_id()).statements == []
