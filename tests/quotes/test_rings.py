"""Rings of mechanics, customers and workshops: what a quote earns is small, paid for and rare, or an admin looks."""

from typing import LiteralString

import pytest

from autodoctor.admin.payouts import release
from autodoctor.contests.contests import ContestRequest, contest
from autodoctor.contests.decide import DecideContestRequest, decide_contest
from autodoctor.errors import TooManyRequests
from autodoctor.ids import new_id
from autodoctor.monitoring.monitor import observe
from autodoctor.payments.settlement import settle
from autodoctor.quotes import quotes
from autodoctor.quotes.quotes import EscalationRequest
from support.integrity.findings import findings
from support.money.purchases import complete, pay_by_card, rows
from support.money.ring import Ring
from support.world import World


@pytest.fixture
def ring(world: World) -> Ring:
    """Give a ring."""
    return Ring(world)


def test_a_free_session_of_no_length_draws_nothing(ring: Ring) -> None:
    """5,000 dollars each, three times in seconds: what it was before anything was owed only for completed sessions."""
    for _ in range(3):
        live = ring.world.live(ring.mechanic, ring.customer)
        ring.quoted(live.session_id, 10_000_000)
        ring.world.end(ring.customer, live.session_id)
        settle(ring.world.app, live.session_id)
    assert ring.states() == []
    assert ring.world.one("SELECT count(*) FROM ledger_transfer") == 0
    assert findings(ring.world) == {}


@pytest.mark.parametrize(
    ("paid", "cents", "state"),
    [
        ("card", 49_970, "due"),
        ("card", 50_000, "held"),
        ("credit", 49_970, "due"),
        ("gift", 1_000, "held"),
        ("free", 1_000, "held"),
    ],
)
def test_only_what_is_small_and_paid_for_needs_nobody(ring: Ring, paid: str, cents: int, state: str) -> None:
    """A share of 24.98 or 24.99 dollars does; one of 25 does not."""
    ring.held_session(paid, cents)
    assert ring.states() == [state]
    assert not {"escalation_differs", "hold_overlooked", "due_wrongly"} & set(findings(ring.world))


def test_of_a_session_whose_price_goes_back_after_a_contest_an_admin_looks(ring: Ring) -> None:
    created = pay_by_card(ring.world, ring.customer)
    complete(ring.world, created, ring.customer, ring.mechanic)
    settle(ring.world.app, created.session_id)
    contest(ring.world.app, ring.customer, created.session_id, ContestRequest(reason="other", text="Not a word."))
    decision = DecideContestRequest(outcome="all", note="We read the transcript.")
    decide_contest(ring.world.app, new_id(), created.session_id, decision)
    ring.quoted(created.session_id, 1_000)
    assert ring.states() == ["held"]


PAID = (
    "INSERT INTO checkouts (id, kind, user_id, intake_id, title, amount_cents, currency, request_hash,"
    " idempotency_key, stripe_session_id, stripe_payment_intent_id, status)"
    " VALUES (new_id(), 'intake', %s, %s, 'x', 999, 'usd', '\\x00', 'k', 'cs_1', 'pi_1', 'paid')"
)
DISPUTE = "INSERT INTO stripe_disputes (id, payment_intent_id, amount_cents, status, withdrawn_cents)"


@pytest.mark.parametrize(
    "facts",
    [
        ("INSERT INTO stripe_refunds (id, payment_intent_id, amount_cents) VALUES ('re', 'pi_1', 9)",),
        (f"{DISPUTE} VALUES ('du', 'pi_1', 9, 'lost', 9)",),
        (
            f"{DISPUTE} VALUES ('du', 'pi_1', 9, 'needs_response', 9)",
            "UPDATE stripe_disputes SET status = 'lost'",
        ),
    ],
    ids=["refund", "lost", "lost later"],
)
def test_a_share_is_held_when_the_price_goes_back_later(ring: Ring, facts: tuple[LiteralString, ...]) -> None:
    session_id = ring.held_session("card", 40_000)
    ring.world.owner.execute(PAID, [ring.customer, session_id])
    assert ring.states() == ["due"]
    for fact in facts:
        ring.world.owner.execute(fact)
    assert ring.states() == ["held"]
    release(ring.world.app, new_id(), ring.world.one("SELECT id FROM payouts WHERE kind = 'escalation'"))
    ring.world.owner.execute("UPDATE stripe_disputes SET updated_at = now()")
    assert ring.states() == ["due"], "an admin knew"


def test_a_contest_for_the_customer_holds_a_share_that_was_released(ring: Ring) -> None:
    session_id = ring.held_session("card", 50_000)
    release(ring.world.app, new_id(), ring.world.one("SELECT id FROM payouts WHERE kind = 'escalation'"))
    contest(ring.world.app, ring.customer, session_id, ContestRequest(reason="other", text="Not a word."))
    decision = DecideContestRequest(outcome="all", note="We read the transcript.")
    decide_contest(ring.world.app, new_id(), session_id, decision)
    assert ring.states() == ["held"]
    assert ring.world.one("SELECT count(*) FROM payout_holds WHERE reason = 'escalation' AND released_at IS NULL") == 1
    with ring.world.without_triggers() as connection:
        connection.execute("DELETE FROM payout_holds WHERE reason = 'escalation'")
    assert "hold_overlooked" in findings(ring.world)


def test_the_second_in_thirty_days_waits(ring: Ring) -> None:
    ring.held_session("card", 1_000)
    ring.held_session("card", 1_000, new_id())  # the same two mechanics, another customer
    ring.mechanic, ring.foreman = ring.world.mechanic(), ring.mechanic
    ring.world.owner.execute("UPDATE mechanics SET workshop_id = %s WHERE id = %s", [ring.workshop, ring.foreman.id])
    ring.held_session("card", 1_000)  # the same customer
    assert ring.states() == ["due", "held", "held"]
    ring.world.owner.execute("UPDATE payouts SET created_at = created_at - interval '31 days'")
    ring.held_session("card", 1_000)
    assert ring.states()[-1] == "due"


def test_the_other_way_round_is_the_same_pair(ring: Ring) -> None:
    ring.held_session("card", 1_000)
    theirs = ring.world.workshop()
    ring.world.owner.execute("UPDATE mechanics SET workshop_id = %s WHERE id = %s", [theirs, ring.mechanic.id])
    ring.mechanic, ring.foreman, ring.workshop, ring.customer = ring.foreman, ring.mechanic, theirs, new_id()
    ring.held_session("card", 1_000)
    assert ring.states() == ["due", "held"]


def test_a_payment_that_went_back_pays_for_nothing(ring: Ring) -> None:
    session_id = ring.held_session("card", 1_000)
    query = "SELECT escalation_needs_release(%s, 50)"
    ring.world.owner.execute("UPDATE payouts SET created_at = created_at - interval '31 days'")
    assert ring.world.one(query, session_id) is False
    ring.world.owner.execute(PAID, [ring.customer, session_id])
    ring.world.owner.execute(
        "INSERT INTO stripe_refunds (id, payment_intent_id, amount_cents) VALUES ('re', 'pi_1', 9)"
    )
    assert ring.world.one(query, session_id) is True


def test_a_mechanic_escalates_so_often_a_day(ring: Ring) -> None:
    ring.world.owner.execute("UPDATE limits SET most = 1 WHERE name = 'escalations'")
    session_id = ring.held_session("free", 1_000)
    asked = EscalationRequest.model_validate({"workshopId": ring.workshop})
    assert quotes.escalate(ring.world.app, ring.mechanic.user_id, session_id, asked).status == "approved"
    other = ring.world.live(ring.mechanic, ring.customer)
    with pytest.raises(TooManyRequests):
        quotes.escalate(ring.world.app, ring.mechanic.user_id, other.session_id, asked)


def test_an_alert_names_the_mechanic(ring: Ring) -> None:
    ring.world.owner.execute("UPDATE settings SET value = '1' WHERE key = 'health_mechanic_escalations_max'")
    for _ in range(2):
        ring.held_session("free", 1_000)
    assert observe(ring.world.app).opened >= 2
    query = "SELECT alert, subject, facts->>'cents' FROM health_alerts WHERE alert LIKE '%%escalation%%'"
    alerts = rows(ring.world, query)
    assert sorted(alerts) == [
        ("escalations_to_release", str(ring.mechanic.id), "100"),
        ("mechanic_escalations_high", str(ring.mechanic.id), "100"),
    ]
