"""Calls that pay nobody: one that nobody answers, and one in which one person is both sides."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from autodoctor.ids import new_id
from autodoctor.media.ghosts import close_meetings
from autodoctor.payments.settlement import settle
from autodoctor.sessions.expiry import sweep
from support.meetings.call_case import CallCase
from support.meetings.medium import JOINED, LEFT, Medium
from support.money.purchases import buy, give, spendable
from support.world import World


@pytest.fixture
def paid(case: CallCase, world: World) -> CallCase:
    """A video session that was paid with credits, and accepted."""
    give(world, customer := new_id(), 10)
    created, mechanic = buy(world, customer, "standard"), world.mechanic()
    world.accept(mechanic, created)
    return replace(case, mechanic=mechanic, customer=customer, session_id=created.session_id)


def is_given_back(case: CallCase, reason: str) -> None:
    """The customer ends it; it is cancelled, the credits are theirs again, and nobody is owed anything."""
    ended = case.world.end(case.customer, case.session_id)
    assert (ended.status, ended.reason) == ("cancelled", reason)
    assert close_meetings(case.world.app, case.way_out, lambda: 100.0, case.session_id) == 1
    assert case.chime.meetings == {}
    case.world.let_time_pass(100)
    assert settle(case.world.app, case.session_id)
    assert case.world.one("SELECT outcome FROM settlements") == "return"
    assert case.world.one("SELECT count(*) FROM payouts") == 0
    assert spendable(case.world, case.customer) == 10


@pytest.mark.parametrize(("caller", "absent"), [("customer", "mechanic"), ("mechanic", "customer")])
def test_a_call_that_the_other_never_answers_is_the_others_no_show(paid: CallCase, caller: str, absent: str) -> None:
    medium = Medium(paid)
    medium.says(caller, JOINED, 0)
    paid.world.let_time_pass(601)
    assert paid.world.status(paid.session_id) == "waiting"
    is_given_back(paid, "no_show")
    assert paid.world.one("SELECT absent FROM sessions WHERE id = %s", paid.session_id) == absent


def test_the_sweep_takes_a_call_that_nobody_answers_from_its_mechanic(case: CallCase) -> None:
    medium = Medium(case)
    medium.says("customer", JOINED, 0)
    case.world.let_time_pass(601)
    assert sweep(case.world.app, lambda: 60.0).released == 1
    assert case.world.status(case.session_id) == "pending"
    assert case.sweep() == 1
    assert case.chime.meetings == {}


def two_devices(case: CallCase, medium: Medium, role: str) -> None:
    """One party is in the meeting by two devices, which hear each other, for long enough."""
    for _ in range(2):
        medium.attendees[role] = str(uuid4())
        assert medium.says(role, JOINED, 0) == case.session_id


def one_device_after_another(case: CallCase, medium: Medium, role: str) -> None:
    """The two devices of one party are there one after the other."""
    medium.says(role, JOINED, 0)
    medium.says(role, LEFT, 90)
    medium.attendees[role] = str(uuid4())
    assert medium.says(role, JOINED, 90) == case.session_id


@pytest.mark.parametrize("come", [two_devices, one_device_after_another])
@pytest.mark.parametrize("role", ["customer", "mechanic"])
def test_two_devices_of_one_account_are_one_party(
    paid: CallCase, come: Callable[[CallCase, Medium, str], None], role: str
) -> None:
    medium = Medium(paid)
    paid.world.let_time_pass(200)
    come(paid, medium, role)
    assert paid.world.status(paid.session_id) == "waiting"
    is_given_back(paid, "withdrawn")
