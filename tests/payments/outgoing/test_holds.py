"""Holds: a payout with one is not sent, whatever else happens to it, and is sent once all of them are released."""

from uuid import UUID

import pytest

from autodoctor.admin.mechanics import MechanicPatch, change_mechanic
from autodoctor.admin.payouts import HoldRequest, PayoutOver, hold, payouts, release
from autodoctor.errors import MechanicNotActive
from autodoctor.ids import new_id
from autodoctor.payments.ledger.earnings import earnings
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.lease import Sent, unsent
from autodoctor.sessions.presence import join
from support.invariants.sessions import violations
from support.money.payout_env import PayoutEnv
from support.money.purchases import rows
from support.world import Mechanic, World

WHY = HoldRequest(reason="Who is this mechanic?")
RETRY = "SELECT retry_stripe_job(id) FROM payouts"
CHANGES = "SELECT kind, after->>'reason' FROM admin_changes WHERE kind LIKE 'payout.%%' ORDER BY id"


def put(world: World, mechanic: Mechanic, status: str) -> None:
    """Suspend a mechanic, or make them active again."""
    change_mechanic(world.app, new_id(), mechanic.id, MechanicPatch.model_validate({"status": status}))


def payout_id(payout_env: PayoutEnv) -> UUID:
    """The one payout's id."""
    found: UUID = payout_env.payout()["id"]
    return found


def test_a_held_payout_is_sent_only_once_it_is_released(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    admin, app = new_id(), payout_env.world.app
    held = hold(app, admin, payout_id(payout_env), WHY)
    assert (held.state, held.waits_for, [each.note for each in held.holds]) == ("held", "release", [WHY.reason])
    assert hold(app, new_id(), held.payout_id, HoldRequest(reason="again")) == held
    payout_env.later()
    assert payout_env.payouts() == Sent()
    assert unsent(app).held == 1
    assert earnings(app, mechanic.user_id).earnings[0].status == "held"
    assert payouts(app, {"state": "held", "mechanicId": str(mechanic.id)}).payouts == [held]
    assert release(app, admin, held.payout_id).holds == []
    assert payout_env.payouts() == Sent(sent=1)
    assert rows(payout_env.world, CHANGES) == [("payout.held", "operator"), ("payout.released", "operator")]
    with pytest.raises(PayoutOver):
        hold(app, admin, held.payout_id, WHY)
    assert violations(payout_env.world.owner) == []


@pytest.mark.parametrize(
    "revives",
    [
        "UPDATE payouts SET state = 'due', next_attempt_at = clock_timestamp()",
        "UPDATE payouts SET next_attempt_at = clock_timestamp()",
        "SELECT renew_mechanic_account(mechanic_id) FROM payouts",
        RETRY,
    ],
)
def test_nothing_else_makes_a_held_payout_due(payout_env: PayoutEnv, mechanic: Mechanic, revives: str) -> None:
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    if revives == RETRY:
        payout_env.world.owner.execute("UPDATE payouts SET state = 'failed', next_attempt_at = NULL")
    hold(payout_env.world.app, new_id(), payout_id(payout_env), WHY)
    payout_env.world.owner.execute(revives)
    assert payout_env.payout()["waits_for"] == "release"
    assert payout_env.payouts() == Sent()


def test_a_hold_stops_an_attempt_that_asks_just_now(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    """It was claimed before the hold: what it may have sent is looked up, and no transfer follows."""
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    payout_env.world.owner.execute(
        "UPDATE payouts SET state = 'sending', lease_id = new_id(), asked_at = clock_timestamp(),"
        "                   next_attempt_at = clock_timestamp()"
    )
    held = hold(payout_env.world.app, new_id(), payout_id(payout_env), WHY)
    assert held.state == "sending"
    assert payout_env.payouts() == Sent(waiting=1)
    assert (payout_env.transfers(), payout_env.payout()["waits_for"]) == ([], "release")
    assert release(payout_env.world.app, new_id(), held.payout_id).state == "due"
    assert payout_env.payouts() == Sent(sent=1)


def test_a_suspension_holds_what_is_owed_until_it_ends(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    put(payout_env.world, mechanic, "suspended")
    payout_env.later()
    assert payout_env.payouts() == Sent()
    assert [each.reason for each in payouts(payout_env.world.app, {}).payouts[0].holds] == ["suspended"]
    assert violations(payout_env.world.owner) == []
    put(payout_env.world, mechanic, "active")
    assert payout_env.payouts() == Sent(sent=1)


def test_what_a_suspended_mechanic_still_earns_is_held(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.onboarded(mechanic)
    customer = new_id()
    world, live = payout_env.world, payout_env.paid(customer)
    world.accept(mechanic, live)
    world.meet(live.session_id, customer, mechanic)
    put(world, mechanic, "suspended")
    world.let_time_pass(90)
    assert world.end(customer, live.session_id).status == "completed"
    assert settle(world.app, live.session_id)
    assert payout_env.payouts() == Sent()
    assert payout_env.payout()["waits_for"] == "release"


def test_a_suspension_gives_a_waiting_session_back(world: World, mechanic: Mechanic) -> None:
    waiting = world.waiting(mechanic)
    world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [mechanic.id])
    assert world.status(waiting.session_id) == "pending"
    assert world.one("SELECT count(*) FROM session_assignments WHERE status = 'queued'") == 1
    assert violations(world.owner) == []


def test_a_suspended_mechanic_joins_no_session_that_waits(world: World, mechanic: Mechanic) -> None:
    """As when the suspension and an accept were committed at the same moment."""
    waiting = world.waiting(mechanic)
    world.owner.execute("ALTER TABLE mechanics DISABLE TRIGGER mechanics_requeue")
    put(world, mechanic, "suspended")
    with pytest.raises(MechanicNotActive):
        join(world.app, mechanic.user_id, waiting.session_id)
    assert world.status(waiting.session_id) == "waiting"


def test_a_suspended_mechanic_comes_back_to_a_live_session(world: World, mechanic: Mechanic) -> None:
    live = world.live(mechanic, new_id())
    put(world, mechanic, "suspended")
    assert join(world.app, mechanic.user_id, live.session_id).session_status == "live"


DIVERT = "UPDATE mechanic_accounts SET stripe_account_id = 'acct_evil'"


def test_another_destination_holds_what_is_owed_for_a_day(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    """A stolen password diverts no payout: its change is audited, and the hold asks a time that nobody can write."""
    world = payout_env.world
    payout_env.onboarded(mechanic)
    payout_env.earned(mechanic)
    world.app.execute(DIVERT, ())
    assert rows(world, "SELECT kind, actor FROM admin_changes") == [
        ("mechanic.destination_changed", "db:autodoctor_app")
    ]
    for meddling in (
        "UPDATE payout_holds SET released_at = now()",
        "UPDATE payouts SET state = 'due', waits_for = NULL, next_attempt_at = now()",
    ):
        world.app.execute(meddling, ())
        assert payout_env.payouts() == Sent()
        assert payout_env.payout()["state"] == "held"
    payout_env.earned(mechanic)  # what is earned meanwhile waits too
    assert payout_env.payouts() == Sent()
    assert world.one("SELECT count(*) FROM payouts WHERE state = 'held'") == 2
    world.owner.execute("UPDATE mechanic_accounts SET destination_changed_at = now() - interval '25 hours'")
    assert world.one("SELECT release_destination_holds()") == 1
    assert world.one("SELECT count(*) FROM payouts WHERE state = 'due'") == 2
    assert violations(world.owner) == []


def test_two_steps_to_another_destination_are_a_change_too(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    world = payout_env.world
    payout_env.onboarded(mechanic)
    world.app.execute(
        "UPDATE mechanic_accounts SET stripe_account_id = NULL, transfers_enabled = false, payouts_enabled = false,"
        " details_submitted = false",
        (),
    )
    world.owner.execute("UPDATE mechanic_accounts SET destination_changed_at = now() - interval '25 hours'")
    world.app.execute(DIVERT, ())
    assert world.one("SELECT destination_is_new(%s)", mechanic.id) is True
    assert world.one("SELECT count(*) FROM admin_changes") == 2


def test_a_mechanic_s_first_account_holds_nothing(payout_env: PayoutEnv, mechanic: Mechanic) -> None:
    payout_env.earned(mechanic)
    payout_env.onboarded(mechanic)
    payout_env.later()
    assert payout_env.payouts() == Sent(sent=1)
