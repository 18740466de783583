"""A customer contests a session, its mechanic answers, an admin decides, and the money follows to the cent."""

from uuid import UUID

import psycopg
import pytest

from autodoctor.admin.payouts import payouts, release
from autodoctor.contests.cases import cases, session_case
from autodoctor.contests.contests import AnswerRequest, ContestRequest, answer, contest, session_contest
from autodoctor.contests.decide import DecideContestRequest, decide_contest
from autodoctor.contests.errors import (
    ContestAnswered,
    ContestDecided,
    ContestExists,
    ContestNotFound,
    ContestNotOpen,
)
from autodoctor.errors import SessionNotFound, Unprocessable
from autodoctor.ids import new_id
from autodoctor.integrity.report import VerifyReport
from autodoctor.integrity.verify import reader, verify
from autodoctor.monitoring.session_lookup import SearchRequest, find_sessions
from autodoctor.payments.ledger import accounts
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.lease import Sent, unsent
from support.money.purchases import balance, buy, complete, give, rows, spendable
from support.money.refund_env import PRICE, SHARE, RefundEnv
from support.world import Mechanic, World

WHY = ContestRequest(reason="not_helped", text="It squeals as before.")
HALF = PRICE // 2
HALF_SHARE = 349
"""Of the mechanic: 7,000 basis points of the half, half to even."""


def decide(world: World, session_id: UUID, outcome: str, **amount: int) -> None:
    request = DecideContestRequest.model_validate({"outcome": outcome, "note": "We read the transcript.", **amount})
    decided = decide_contest(world.app, new_id(), session_id, request)
    assert decided.contest is not None
    assert decided.contest.outcome == outcome


def found(world: World) -> set[str]:
    """What verify finds, but that nobody was told: no consumer works off the events here, and time is let pass."""
    with reader(world.urls.owner_url, "test") as connection:
        report = VerifyReport.of(verify(connection))
    return {each.check for section in report.sections for each in section.found} - {"not_told"}


def contested(refund_env: RefundEnv) -> UUID:
    """A session by card that is over, settled and contested."""
    session_id = refund_env.earned()
    contest(refund_env.checkout_env.world.app, refund_env.customer(session_id), session_id, WHY)
    return session_id


# --- how long it stays --------------------------------------------------------------------------------


def test_a_payout_leaves_after_the_hold(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    world.owner.execute("DELETE FROM settings WHERE key = 'payout_hold_hours'")
    refund_env.onboard()
    refund_env.earned()
    payout = refund_env.payout()
    assert (payout["state"], payout["waits_for"]) == ("due", "time")
    refund_env.later()
    assert refund_env.payouts() == Sent()
    assert unsent(world.app).age_seconds == 0
    (shown,) = payouts(world.app, {}).payouts
    assert (shown.leaves_at - shown.created_at).total_seconds() == 24 * 3600
    world.owner.execute("UPDATE settings SET value = '0' WHERE key = 'payout_hold_hours'")
    world.owner.execute("INSERT INTO settings VALUES ('payout_hold_hours', '0') ON CONFLICT DO NOTHING")
    refund_env.later()
    assert refund_env.payouts() == Sent(sent=1)


def test_nothing_lets_a_payout_leave_before(refund_env: RefundEnv) -> None:
    """Not even a claim that was made when the hold was shorter."""
    world = refund_env.checkout_env.world
    refund_env.onboard()
    refund_env.earned()
    world.owner.execute("UPDATE settings SET value = '24' WHERE key = 'payout_hold_hours'")
    assert refund_env.payouts() == Sent(waiting=1)
    assert (refund_env.payout()["state"], refund_env.payout()["waits_for"]) == ("due", "time")
    assert refund_env.sent() == []


# --- the parties ----------------------------------------------------------------------------------------


def test_a_session_is_contested_once_and_answered_once(refund_env: RefundEnv) -> None:
    app, session_id = refund_env.checkout_env.world.app, refund_env.earned()
    customer, mechanic = refund_env.customer(session_id), refund_env.mechanic.user_id
    assert session_contest(app, customer, session_id).open_until is not None
    with pytest.raises(ContestNotFound):
        answer(app, mechanic, session_id, AnswerRequest(text="I did."))
    first = contest(app, customer, session_id, WHY)
    assert first.contest is not None
    assert (first.open_until, first.contest.text, first.contest.outcome) == (None, WHY.text, None)
    assert contest(app, customer, session_id, WHY) == first
    with pytest.raises(ContestExists):
        contest(app, customer, session_id, ContestRequest(reason="other", text="And another thing."))
    answered = answer(app, mechanic, session_id, AnswerRequest(text="I did."))
    assert answered.contest is not None
    assert answered.contest.answer == "I did."
    assert answer(app, mechanic, session_id, AnswerRequest(text="I did.")) == answered
    with pytest.raises(ContestAnswered):
        answer(app, mechanic, session_id, AnswerRequest(text="I really did."))
    for stranger in (new_id(), mechanic):
        with pytest.raises(SessionNotFound):
            contest(app, stranger, session_id, WHY)
    with pytest.raises(SessionNotFound):
        answer(app, customer, session_id, AnswerRequest(text="I am not the mechanic."))
    assert rows(refund_env.checkout_env.world, "SELECT type FROM outbox WHERE type LIKE 'contest.%%' ORDER BY id") == [
        ("contest.opened",),
        ("contest.answered",),
    ]


def test_what_cannot_be_contested_says_why(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world

    def refused(customer: UUID, session_id: UUID) -> object:
        with pytest.raises(ContestNotOpen) as caught:
            contest(world.app, customer, session_id, WHY)
        assert session_contest(world.app, customer, session_id).open_until is None
        return caught.value.extras["contestState"]

    bought = refund_env.buy()
    assert refused(refund_env.customer(bought), bought) == "not_settled"
    refund_env.cancel(bought)
    assert refused(refund_env.customer(bought), bought) == "given_back"
    free = world.live(world.mechanic(), customer := new_id()).session_id
    assert refused(customer, free) == "nothing_paid"
    late = refund_env.earned()
    with world.without_triggers() as superuser:
        superuser.execute("UPDATE settlements SET decided_at = decided_at - interval '73 hours'")
    assert refused(refund_env.customer(late), late) == "over"


def test_what_a_contest_holds_is_released_by_its_decision_alone(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.onboard()
    session_id = contested(refund_env)
    payout = refund_env.payout()
    assert (payout["state"], payout["waits_for"]) == ("held", "release")
    assert [each.reason for each in release(world.app, new_id(), payout["id"]).holds] == ["contest"]
    with pytest.raises(psycopg.Error, match="is not decided"):
        world.owner.execute("UPDATE payout_holds SET released_at = now()")
    refund_env.later()
    assert refund_env.payouts() == Sent()
    assert found(world) == set()
    decide(world, session_id, "keep")
    assert refund_env.payouts() == Sent(sent=1)
    assert (refund_env.sent(), found(world)) == ([SHARE], set())
    refund_env.balanced()


# --- the money --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "amount", "back", "kept"),
    [("part", {"refundCents": HALF}, HALF, SHARE - HALF_SHARE), ("all", {}, PRICE, 0)],
)
def test_what_goes_back_is_taken_from_what_was_not_sent(
    refund_env: RefundEnv, outcome: str, amount: dict[str, int], back: int, kept: int
) -> None:
    world = refund_env.checkout_env.world
    refund_env.onboard()
    session_id = contested(refund_env)
    decide(world, session_id, outcome, **amount)
    refund_env.later()
    assert refund_env.payouts() == Sent()  # the refund comes first
    assert refund_env.refunds() == Sent(sent=1)
    assert found(world) == set()
    refund_env.payouts()
    assert refund_env.sent() == ([kept] if kept else [])
    assert [each["amount"] for each in refund_env.checkout_env.stripe.objects("refund")] == [back]
    assert refund_env.of_mechanic() == (0, 0)
    assert found(world) == set()
    refund_env.balanced()


def test_what_was_sent_is_owed(refund_env: RefundEnv) -> None:
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    world = refund_env.checkout_env.world
    contest(world.app, refund_env.customer(session_id), session_id, WHY)
    decide(world, session_id, "part", refundCents=HALF)
    assert refund_env.refunds() == Sent(sent=1)
    assert refund_env.of_mechanic() == (0, HALF_SHARE)
    assert found(world) == set()
    refund_env.balanced()


def test_what_went_back_by_hand_counts(refund_env: RefundEnv) -> None:
    session_id = contested(refund_env)
    refund_env.refund(session_id, 300)
    decide(refund_env.checkout_env.world, session_id, "part", refundCents=HALF)
    assert refund_env.refunds() == Sent(sent=1)
    assert sum(each["amount"] for each in refund_env.checkout_env.stripe.objects("refund")) == HALF
    refund_env.balanced()


def test_a_refund_that_the_bank_refuses_leaves_the_rest_to_an_admin(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.onboard()
    session_id = contested(refund_env)
    decide(world, session_id, "part", refundCents=HALF)
    refund_env.refunds()
    refund_env.checkout_env.stripe.fail_refund(refund_env.refund_row()["stripe_refund_id"])
    refund_env.tell()
    assert refund_env.refund_row()["state"] == "failed"
    assert release(world.app, new_id(), refund_env.payout()["id"]).holds == []
    refund_env.later()
    assert refund_env.payouts() == Sent(sent=1)
    assert refund_env.sent() == [SHARE]
    refund_env.balanced()


@pytest.mark.parametrize(("outcome", "amount"), [("part", {"refundCents": HALF}), ("all", {})])
def test_what_a_refused_refund_was_to_give_back_is_not_sent_to_the_mechanic(
    refund_env: RefundEnv, outcome: str, amount: dict[str, int]
) -> None:
    world = refund_env.checkout_env.world
    refund_env.onboard()
    decide(world, contested(refund_env), outcome, **amount)
    refund_env.refunds()
    refund_env.checkout_env.stripe.fail_refund(refund_env.refund_row()["stripe_refund_id"])
    refund_env.tell()
    refund_env.later()
    assert refund_env.payouts() == Sent()
    assert [each.reason for each in payouts(world.app, {}).payouts[0].holds] == ["contest"]
    assert found(world) == {"money_given_up"}
    world.owner.execute("SELECT retry_stripe_job(id) FROM refunds")  # to another card
    assert refund_env.refunds() == Sent(sent=1)
    assert refund_env.payouts() == Sent(sent=int(outcome == "part"))
    assert refund_env.sent() == ([SHARE - HALF_SHARE] if outcome == "part" else [])
    assert found(world) == set()
    refund_env.balanced()


def test_a_payout_of_which_nothing_was_left_is_held_once_there_is_something_again(refund_env: RefundEnv) -> None:
    world, session_id = refund_env.checkout_env.world, refund_env.earned()
    refund_env.onboard()
    refund_id = refund_env.refund(session_id)
    contest(world.app, refund_env.customer(session_id), session_id, WHY)
    assert (refund_env.payout()["state"], found(world)) == ("cancelled", set())
    refund_env.checkout_env.stripe.fail_refund(refund_id)
    refund_env.tell()
    refund_env.later()
    assert refund_env.payouts() == Sent()
    assert [each.reason for each in payouts(world.app, {}).payouts[0].holds] == ["contest"]
    decide(world, session_id, "keep")
    assert refund_env.payouts() == Sent(sent=1)


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize(("outcome", "back", "cents"), [("part", 1, 1000), ("all", 3, 2999)])
def test_credits_go_back_at_once(refund_env: RefundEnv, outcome: str, back: int, cents: int, *, sent: bool) -> None:
    world, customer = refund_env.checkout_env.world, new_id()
    mechanic, earned = refund_env.mechanic, 2099
    refund_env.onboard()
    refund_env.checkout_env.stripe.add_funds(10_000)
    give(world, customer, 3)
    session_id = sold(world, customer, mechanic)
    if sent:
        assert refund_env.payouts() == Sent(sent=1)
    contest(world.app, customer, session_id, WHY)
    decide(world, session_id, outcome, **({"refundCredits": back} if outcome == "part" else {}))
    assert spendable(world, customer) == back
    share = 700 if outcome == "part" else earned
    assert refund_env.of_mechanic() == ((0, share) if sent else (earned - share, 0))
    assert balance(world, accounts.CREDIT_SALES) == cents - 2999
    if not sent:
        refund_env.payouts()
        assert refund_env.sent() == ([earned - share] if share < earned else [])
    assert found(world) == set()
    refund_env.balanced()


def sold(world: World, customer: UUID, mechanic: Mechanic) -> UUID:
    """A session that was paid with credits, completed and settled."""
    created = buy(world, customer, "standard")
    complete(world, created, customer, mechanic)
    assert settle(world.app, created.session_id)
    return created.session_id


def test_a_decision_is_made_once_and_within_the_price(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id = contested(refund_env)
    for outcome, amount in (
        ("part", {}),
        ("part", {"refundCents": PRICE}),
        ("part", {"refundCredits": 1}),
        ("all", {"refundCents": 1}),
    ):
        with pytest.raises(Unprocessable):
            decide(world, session_id, outcome, **amount)
    with pytest.raises(SessionNotFound):
        decide(world, new_id(), "keep")
    with pytest.raises(ContestNotFound):
        decide(world, refund_env.earned(), "keep")
    decide(world, session_id, "part", refundCents=HALF)
    decide(world, session_id, "part", refundCents=HALF)
    with pytest.raises(ContestDecided):
        decide(world, session_id, "part", refundCents=HALF - 1)
    with pytest.raises(ContestDecided):
        answer(world.app, refund_env.mechanic.user_id, session_id, AnswerRequest(text="I did."))
    assert rows(world, "SELECT after FROM admin_changes WHERE kind = 'contest.decided'") == [
        ({"outcome": "part", "refundCents": HALF},)
    ]


def test_no_refund_but_the_decided_one_exists(refund_env: RefundEnv) -> None:
    values = (contested(refund_env),)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        refund_env.checkout_env.world.app.execute(
            "INSERT INTO refunds (intake_id, kind, amount_cents) VALUES (%s, 'contest', 1)", values
        )


def test_what_waits_is_listed_for_admins_oldest_first(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    first, second = contested(refund_env), contested(refund_env)
    page = cases(world.app, {"limit": "1"})
    assert page.next_cursor is not None
    assert [each.session_id for each in page.cases] == [first]
    rest = cases(world.app, {"cursor": page.next_cursor})
    assert ([(each.session_id, each.kind, each.cents) for each in rest.cases], rest.next_cursor) == (
        [(second, "contest", PRICE)],
        None,
    )
    case = session_case(world.app, new_id(), first)
    assert ([each.kind for each in case.payouts], case.settled, case.refunds) == (["session"], "pay", [])
    decide(world, first, "all")
    assert [each.session_id for each in cases(world.app, {}).cases] == [second]
    assert [(each.kind, each.state) for each in session_case(world.app, new_id(), first).refunds] == [
        ("contest", "due")
    ]


def test_an_admin_sees_a_payment_its_dispute_and_its_transfer_and_finds_the_session_by_each(
    refund_env: RefundEnv,
) -> None:
    world = refund_env.checkout_env.world
    refund_env.onboard()
    session_id = refund_env.earned()
    assert refund_env.payouts() == Sent(sent=1)
    refund_env.earned()  # somebody else's
    payment_id = world.one("SELECT stripe_payment_intent_id FROM checkouts WHERE intake_id = %s", session_id)
    world.owner.execute(
        "INSERT INTO stripe_disputes (id, payment_intent_id, amount_cents, status) VALUES ('dp_1', %s, 999, 'won')",
        [payment_id],
    )
    case = session_case(world.app, new_id(), session_id)
    assert case.payment is not None
    assert case.payment.stripe_url == f"https://dashboard.stripe.com/test/payments/{payment_id}"
    (dispute,), (payout,) = case.disputes, case.payouts
    assert (dispute.status, dispute.taken_cents) == ("won", 0)
    assert payout.stripe_url == f"https://dashboard.stripe.com/test/connect/transfers/{payout.stripe_transfer_id}"
    for text in (payment_id, case.payment.stripe_session_id, "dp_1", payout.stripe_transfer_id):
        found_by = find_sessions(world.app, new_id(), SearchRequest.model_validate({"text": text}))
        assert ([each.session_id for each in found_by.sessions], found_by.sought_by) == ([session_id], "payment")
