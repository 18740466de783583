"""More minutes: asked for by the customer, agreed by the mechanic, paid, and settled one by one."""

from uuid import UUID

import pytest

from autodoctor.errors import MechanicNotActive, SessionEnded, Unprocessable
from autodoctor.extensions.errors import (
    ExtensionAnswered,
    ExtensionNotFound,
    ExtensionNotPaid,
    ExtensionNotPossible,
)
from autodoctor.extensions.extend import ExtensionAnswer, answer_extension
from autodoctor.ids import new_id
from autodoctor.payments.settlement import settle
from autodoctor.sessions.active import session_detail
from support.money.extensions import answer, ask, extended
from support.money.purchases import buy, give
from support.world import Mechanic, World

HALF_AN_HOUR = 30 * 60
"""The seeded plan `quick` has thirty minutes, and a pack of fifteen more for a credit or $5.99."""


@pytest.fixture
def talk(world: World, mechanic: Mechanic, customer: UUID) -> UUID:
    """A talk that is live, paid with one of six credits."""
    give(world, customer, 6)
    created = buy(world, customer, "quick")
    world.accept(mechanic, created)
    world.meet(created.session_id, customer, mechanic)
    return created.session_id


def balance(world: World, customer: UUID) -> int:
    left: int = world.one("SELECT balance FROM credit_balances WHERE user_id = %s", customer)
    return left


def settled(world: World, customer: UUID, session_id: UUID) -> list[str]:
    """How the extensions were settled, after the time for late evidence."""
    world.end(customer, session_id)
    world.let_time_pass(91)
    settle(world.app, session_id)
    return [str(each.settled) for each in session_detail(world.app, customer, session_id).minutes.extensions]


def test_credits_are_taken_and_minutes_added_when_the_mechanic_agrees(
    world: World, mechanic: Mechanic, customer: UUID, talk: UUID
) -> None:
    before = session_detail(world.app, customer, talk).minutes
    asked = ask(world, customer, talk)
    assert (asked.status, asked.minutes, balance(world, customer)) == ("asked", 15, 5)
    assert ask(world, customer, talk) == asked
    agreed = answer(world, mechanic, asked)
    assert (agreed.status, balance(world, customer)) == ("running", 4)
    assert answer(world, mechanic, asked) == agreed
    after = session_detail(world.app, mechanic.user_id, talk).minutes
    assert (before.included, after.included, after.extended) == (30, 30, 15)
    assert before.ends_at is not None
    assert after.ends_at is not None
    assert (after.ends_at - before.ends_at).total_seconds() == 900
    assert [each.status for each in after.extensions] == ["running"]
    notes = world.owner.execute("SELECT note FROM session_messages WHERE note LIKE 'ext%' ORDER BY seq").fetchall()
    assert [each["note"] for each in notes] == ["extension_asked", "extension_began"]


def test_each_extension_is_settled_by_itself_and_an_unused_one_goes_back(
    world: World, mechanic: Mechanic, customer: UUID, talk: UUID
) -> None:
    used, unused = (extended(world, customer, mechanic, talk) for _ in range(2))
    world.let_time_pass(HALF_AN_HOUR + 61)
    assert settled(world, customer, talk) == ["pay", "return"]
    assert balance(world, customer) == 4  # six, less the session and one extension
    rows = world.owner.execute("SELECT kind, amount_cents, extension_id FROM payouts ORDER BY id").fetchall()
    paid = [(row["kind"], row["amount_cents"], row["extension_id"]) for row in rows]
    assert paid == [("session", 699, None), ("extension", 419, used)]
    returned = world.owner.execute("SELECT intake_id FROM ledger_transfer WHERE kind = 'credit_return'").fetchall()
    assert [row["intake_id"] for row in returned] == [unused]


def test_a_few_seconds_of_an_extension_are_no_use_of_it(
    world: World, mechanic: Mechanic, customer: UUID, talk: UUID
) -> None:
    extended(world, customer, mechanic, talk)
    world.let_time_pass(HALF_AN_HOUR + 55)
    assert settled(world, customer, talk) == ["return"]


def test_of_a_session_that_is_cancelled_everything_goes_back(
    world: World, mechanic: Mechanic, customer: UUID, talk: UUID
) -> None:
    extended(world, customer, mechanic, talk)
    assert settled(world, customer, talk) == ["return"]
    assert balance(world, customer) == 6


def test_a_free_session_that_was_extended_is_settled_too(world: World, mechanic: Mechanic, customer: UUID) -> None:
    give(world, customer, 1)
    world.owner.execute(
        "UPDATE plans SET mechanic_share_bp = 7000,"
        """ minute_packs = '[{"code": "m15", "minutes": 15, "price_cents": 599, "credits": 1}]' WHERE code = 'free'"""
    )
    session_id = world.live(mechanic, customer).session_id
    extended(world, customer, mechanic, session_id)
    world.let_time_pass(5 * 60 + 61)
    assert settled(world, customer, session_id) == ["pay"]
    assert world.one("SELECT outcome FROM settlements") == "nothing"


def test_a_mechanic_may_decline_and_another_pack_may_be_asked_for(
    world: World, mechanic: Mechanic, customer: UUID, talk: UUID
) -> None:
    asked = ask(world, customer, talk)
    assert answer(world, mechanic, asked, agrees=False).status == "declined"
    with pytest.raises(ExtensionAnswered):
        answer(world, mechanic, asked)
    first, second = ask(world, customer, talk, pay_with="card"), ask(world, customer, talk)
    assert first.extension_id != second.extension_id
    with pytest.raises(ExtensionAnswered):
        answer(world, mechanic, first)
    assert balance(world, customer) == 5


def test_a_suspended_mechanic_sells_no_more_minutes_and_may_decline(
    world: World, mechanic: Mechanic, customer: UUID, talk: UUID
) -> None:
    asked = ask(world, customer, talk)
    world.owner.execute("UPDATE mechanics SET status = 'suspended'")
    with pytest.raises(MechanicNotActive):
        answer(world, mechanic, asked)
    assert balance(world, customer) == 5
    assert answer(world, mechanic, asked, agrees=False).status == "declined"


def test_who_has_spent_the_credits_since_gets_no_minutes(
    world: World, mechanic: Mechanic, customer: UUID, talk: UUID
) -> None:
    asked = ask(world, customer, talk)
    world.owner.execute(
        "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
        " VALUES ('spent', %s, 'credits_issued', 5, 'credit', 'credit_withdrawal')",
        [f"customer:{customer}:credits"],
    )
    with pytest.raises(ExtensionNotPaid):
        answer(world, mechanic, asked)
    with pytest.raises(ExtensionNotPaid):
        ask(world, customer, talk)
    shown = session_detail(world.app, customer, talk).minutes
    assert (shown.extended, [each.status for each in shown.extensions]) == (0, ["lapsed"])


def test_what_cannot_be_extended_is_refused(world: World, mechanic: Mechanic, customer: UUID, talk: UUID) -> None:
    with pytest.raises(Unprocessable):
        ask(world, customer, talk, "m16")
    with pytest.raises(ExtensionNotFound):
        answer_extension(world.app, mechanic.user_id, talk, new_id(), ExtensionAnswer(agrees=True))
    world.owner.execute("UPDATE intakes SET max_minutes = 44 WHERE id = %s", [talk])
    with pytest.raises(ExtensionNotPossible):
        ask(world, customer, talk)
    assert session_detail(world.app, customer, talk).minutes.packs == []
    world.end(customer, talk)
    with pytest.raises(SessionEnded):
        ask(world, customer, talk)


def test_what_nobody_answered_lapses_with_the_end(world: World, mechanic: Mechanic, customer: UUID, talk: UUID) -> None:
    asked = ask(world, customer, talk)
    world.end(customer, talk)
    with pytest.raises(SessionEnded):
        answer(world, mechanic, asked)
    assert world.one("SELECT status FROM session_extensions") == "lapsed"
