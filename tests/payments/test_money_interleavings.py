"""Every interleaving of two callers that want the same money, statement by statement, and the books after each."""

from collections.abc import Callable
from uuid import UUID

import pytest

from autodoctor.contests.contests import ContestRequest, contest
from autodoctor.errors import ActiveSessionExists, Problem
from autodoctor.ids import new_id
from autodoctor.payments.settlement import settle, sweep
from autodoctor.quotes.quotes import (
    AmountRequest,
    ApprovalRequest,
    EscalationRequest,
    approve,
    escalate,
    give_amount,
)
from autodoctor.sessions.end import Ender, end_session
from support.concurrency.stepper import Operation, Stepper
from support.invariants.sessions import violations
from support.money.purchases import buy_on, complete, give, grant_on, pay_by_card, spendable
from support.world import World

type Conflict = tuple[Operation, Operation, Callable[[list[object]], None]]


def intake(customer: UUID) -> Operation:
    return Operation(lambda app: buy_on(app, customer, "standard"))


def settlement(session_id: UUID) -> Operation:
    return Operation(lambda app: settle(app, session_id))


def missed() -> Operation:
    return Operation(lambda app: sweep(app, lambda: 60.0, grace_seconds=0).settled)


def two_intakes(world: World, customer: UUID) -> Conflict:
    """Three credits, and two who want three."""
    give(world, customer, 3)

    def one_has_them(outcomes: list[object]) -> None:
        assert sum(isinstance(outcome, ActiveSessionExists) for outcome in outcomes) == 1
        assert spendable(world, customer) == 0

    return intake(customer), intake(customer), one_has_them


def intake_and_grant(world: World, customer: UUID) -> Conflict:
    give(world, customer, 2)

    def what_is_left_fits(outcomes: list[object]) -> None:
        assert spendable(world, customer) == (3 if isinstance(outcomes[0], Problem) else 0)

    return intake(customer), Operation(lambda app: grant_on(app, customer, 1, str(new_id()))), what_is_left_fits


def the_same_grant(world: World, customer: UUID) -> Conflict:
    def counts_once(outcomes: list[object]) -> None:
        assert outcomes[0] == outcomes[1]
        assert spendable(world, customer) == 4
        query = "SELECT count(*) FROM admin_changes WHERE kind = 'credits.granted' AND subject = %s"
        assert world.one(query, f"customer:{customer}:credits") == 1

    grant = Operation(lambda app: grant_on(app, customer, 4, f"grant {customer}"))
    return grant, grant, counts_once


def cancelled(world: World, customer: UUID) -> UUID:
    give(world, customer, 3)
    session_id = buy_on(world.app, customer, "standard").session_id
    world.end(customer, session_id)
    return session_id


def return_and_intake(world: World, customer: UUID) -> Conflict:
    """The next intake may come before the credits are back, or after: never are there six, or none."""
    session_id = cancelled(world, customer)

    def held_or_back(outcomes: list[object]) -> None:
        assert outcomes[0] is True
        assert spendable(world, customer) == (3 if isinstance(outcomes[1], Problem) else 0)

    return settlement(session_id), intake(customer), held_or_back


def one_settled(outcomes: list[object]) -> None:
    assert sum(outcome for outcome in outcomes if isinstance(outcome, int)) == 1


def two_returns(world: World, customer: UUID) -> Conflict:
    session_id = cancelled(world, customer)
    return settlement(session_id), settlement(session_id), one_settled


def return_and_sweep(world: World, customer: UUID) -> Conflict:
    return settlement(cancelled(world, customer)), missed(), one_settled


def two_sweeps(world: World, customer: UUID) -> Conflict:
    cancelled(world, customer)
    return missed(), missed(), one_settled


def two_earnings(world: World, customer: UUID) -> Conflict:
    created = pay_by_card(world, customer)
    complete(world, created, customer, world.mechanic())
    return settlement(created.session_id), settlement(created.session_id), one_settled


def end_and_intake(world: World, customer: UUID) -> Conflict:
    """Six credits: the second session may be started as the first one ends."""
    give(world, customer, 6)
    session_id = buy_on(world.app, customer, "standard").session_id

    def each_session_holds_its_own(outcomes: list[object]) -> None:
        assert spendable(world, customer) == (3 if isinstance(outcomes[1], Problem) else 0)

    end = Operation(lambda app: end_session(app, Ender(customer), session_id))
    return end, intake(customer), each_session_holds_its_own


def contest_and_quote(world: World, customer: UUID) -> Conflict:
    """A quote is approved as its session is contested: the share of it is held like the rest of the money."""
    give(world, customer, 3)
    mechanic, workshop = world.mechanic(), world.workshop()
    created = buy_on(world.app, customer, "standard")
    complete(world, created, customer, mechanic)
    settle(world.app, created.session_id)
    asked = EscalationRequest.model_validate({"workshopId": workshop})
    quote = escalate(world.app, mechanic.user_id, created.session_id, asked)
    amount = AmountRequest.model_validate({"amountCents": 5000})
    give_amount(world.app, world.mechanic(workshop).user_id, quote.quote_id, amount)

    def both_are_held(_outcomes: list[object]) -> None:
        query = (
            "SELECT count(*) FROM payout_holds h JOIN payouts p ON p.id = h.payout_id"
            " WHERE p.session_id = %s AND h.reason = 'contest'"
        )
        assert world.one(query, created.session_id) == 2

    why = ContestRequest(reason="other", text="It squeals as before.")
    contests = Operation(lambda app: contest(app, customer, created.session_id, why), "INSERT INTO contests")
    approves = Operation(lambda app: approve(app, customer, quote.quote_id, ApprovalRequest()), "INSERT INTO payouts")
    return contests, approves, both_are_held


@pytest.mark.parametrize(
    "conflict",
    [
        *(two_intakes, intake_and_grant, the_same_grant, return_and_intake, end_and_intake),
        *(two_returns, contest_and_quote),
        # hundreds each
        *(pytest.param(each, marks=pytest.mark.slow) for each in (return_and_sweep, two_sweeps, two_earnings)),
    ],
)
def test_every_interleaving_closes_the_books(world: World, conflict: Callable[[World, UUID], Conflict]) -> None:
    after: list[Callable[[list[object]], None]] = []

    def again() -> list[Operation]:
        one, other, check = conflict(world, new_id())
        after.append(check)
        return [one, other]

    with Stepper(world.urls) as stepper:
        for run in stepper.every_interleaving(again):
            outcomes = list(run.outcomes)
            assert not [each for each in outcomes if isinstance(each, Exception) and not isinstance(each, Problem)], run
            after[-1](outcomes)
            assert violations(world.owner) == [], run
    assert len(after) >= 2
