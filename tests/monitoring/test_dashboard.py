"""GET /api/admin/session-health: every number, and its list, against rows put into the database by hand."""

from datetime import UTC, datetime, timedelta
from unittest.mock import ANY
from urllib.parse import parse_qsl

import pytest

from autodoctor.admin.mechanics import mechanics
from autodoctor.errors import Unprocessable
from autodoctor.ids import new_id
from autodoctor.monitoring.dashboard import SessionHealth, session_health
from autodoctor.monitoring.session_search import FoundSessions, Query, search
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import TransferKind
from autodoctor.payments.ledger.transfers import Transfer, book
from autodoctor.payments.settlement import settle
from autodoctor.payments.stripe.lease import unsent
from autodoctor.sessions.accept import decline
from support.money.purchases import complete, pay_by_card
from support.sessions.past_sessions import NOON, PastSessions, Story, free, no_show, withdrawn
from support.world import World


def listed(world: World, route: str) -> FoundSessions:
    """The list that an answer names."""
    names = {"from": "since", "to": "until"}
    query = {names.get(name, name): value for name, value in parse_qsl(route.partition("?")[2])}
    return search(world.app, Query(**query, limit="100"))


def tiles(page: SessionHealth) -> dict[str, tuple[float | None, str]]:
    return {tile.name: (tile.value, tile.status) for tile in page.metrics}


def test_a_day_of_the_past_is_counted_exactly(world: World, past_sessions: PastSessions) -> None:
    past_sessions.sessions(6, NOON, free())
    past_sessions.sessions(2, NOON, Story("too_short", parted=100))  # by card, 2999 each
    past_sessions.session(NOON, no_show(plan="quick", session_type="chat", funding="credit"))  # 1 credit
    past_sessions.session(NOON, withdrawn())
    page = session_health(world.app, "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z")
    assert tiles(page) == {
        "completion_percent": (60.0, "low"),
        "no_show_percent": (11.1, "ok"),  # 1 of 9 with a mechanic
        "created": (10, "none"),
        "ended": (10, "none"),
        "completed": (6, "none"),
        "cancelled": (4, "none"),
        "expired": (0, "none"),
        "no_shows": (1, "none"),
        "average_seconds": (600, "none"),
    }
    assert (page.score.value, page.score.status, page.score.sessions) == (90.0, "good", 10)
    lost = page.revenue_impact
    assert (lost.sessions, lost.card_cents, lost.credits, lost.platform_cents) == (4, 8997, 1, 2700)  # 3 x 900
    assert {row.end_reason: (row.sessions, row.card_cents) for row in lost.by_reason} == {
        "no_show": (1, 0),
        "too_short": (2, 5998),
        "withdrawn": (1, 2999),
    }
    assert [(hour.period_start.hour, hour.ended) for hour in page.hourly if hour.ended] == [(12, 10)]
    assert len(page.hourly) == 24


def test_every_number_leads_to_a_list_of_as_many(world: World, past_sessions: PastSessions) -> None:
    now = datetime.now(UTC)
    past_sessions.sessions(3, now - timedelta(hours=2), free())
    past_sessions.sessions(2, now - timedelta(hours=2), no_show())
    past_sessions.session(now - timedelta(hours=2), free(evidence=False))
    past_sessions.session(now - timedelta(hours=2))  # by card, and nobody settled it
    world.queued()
    world.let_time_pass(700)
    world.pending()
    world.waiting(world.mechanic())
    world.live(world.mechanic(), new_id())
    page = session_health(world.app)
    for tile in page.metrics:
        if tile.unit == "sessions" and tile.list:
            assert len(listed(world, tile.list).sessions) == tile.value, tile.name
    for count in page.status_distribution:
        assert len(listed(world, count.list).sessions) == count.count, count.status
    for lost in page.revenue_impact.by_reason:
        assert len(listed(world, lost.list).sessions) == lost.sessions
    assert {each.alert: each.count for each in page.alerts.sessions} == {
        "wrongly_marked": 1,
        "completed_without_settlement": 1,
        "waiting_too_long": 1,
    }
    for alert in page.alerts.sessions:
        found = listed(world, alert.list).sessions
        assert [each.session_id for each in found] == alert.session_ids
    assert (page.alerts.critical, page.alerts.warning) == (2, 1)
    # 2 no-shows of 7: 28.6; 3 of 7 + 4 active with an alert: 27.3; completed are 5 of 7
    assert page.score.value == pytest.approx(100 - 13.6 - 27.3)


def test_what_operators_need_first(world: World) -> None:
    first, second = world.queued(), world.queued(urgent=True)
    free_one, busy = world.mechanic(), world.mechanic()
    world.mechanic(available_until=None)  # away
    world.waiting(busy)
    for answer in ("declined", "lapsed"):
        created = world.queued(preferredMechanicId=str(free_one.id))
        if answer == "declined":
            decline(world.app, free_one.user_id, created.assignment_id)
        else:
            world.owner.execute(
                "UPDATE session_assignments SET offer_expires_at = now() WHERE id = %s", [created.assignment_id]
            )
            assert world.one("SELECT expire_lapsed_offers()") == 1
    world.queued(preferredMechanicId=str(free_one.id))
    world.queued(scheduledFor=datetime.now(UTC) + timedelta(days=2))
    now = session_health(world.app).now
    assert now.oldest_waiting is not None
    assert (now.oldest_waiting.session_id, now.oldest_waiting.customer_name) == (first.session_id, "Cora Castillo")
    assert second.session_id != first.session_id
    assert (now.waiting, now.offered, now.accepted, now.live, now.scheduled) == (4, 1, 1, 0, 1)
    assert (now.mechanics_available, now.mechanics_in_session) == (1, 1)
    for standing, one in (("available", free_one), ("in_session", busy)):
        assert [each.mechanic_id for each in mechanics(world.app, {"standing": standing}).mechanics] == [one.id]
    assert (now.offers.accepted, now.offers.declined, now.offers.lapsed) == (0, 1, 1)
    for offer, count in (("accepted", 0), ("declined", 1), ("lapsed", 1)):
        assert len(search(world.app, Query(offer=offer)).sessions) == count
    world.let_time_pass(16 * 60)
    assert session_health(world.app).now.offers.declined == 0


def test_a_session_in_the_list_was_created_when_its_own_page_says(world: World) -> None:
    created = world.queued()
    world.owner.execute("UPDATE intakes SET created_at = created_at - interval '5 minutes'")
    (found,) = search(world.app, Query(status="queued")).sessions
    at = world.one("SELECT created_at FROM sessions WHERE id = %s", created.session_id)
    assert (found.created_at, found.session_id) == (at, created.session_id)


def test_money_that_is_stuck_is_counted_and_listed(world: World) -> None:
    customer, other = new_id(), new_id()
    done, withdrawn_one = pay_by_card(world, customer), pay_by_card(world, other)
    complete(world, done, customer, world.mechanic())
    world.end(other, withdrawn_one.session_id)

    def stuck() -> dict[str, tuple[int, int | None]]:
        found = session_health(world.app).money_stuck
        for each in found:
            assert len(listed(world, each.list).sessions) == each.count
        return {each.kind: (each.count, each.cents) for each in found if each.count}

    assert stuck() == {"settlements_waiting": (2, None)}
    for created in (done, withdrawn_one):
        settle(world.app, created.session_id)
    assert stuck() == {"payouts_waiting": (1, 699), "refunds_waiting": (1, 999)}
    world.owner.execute("UPDATE payouts SET state = 'failed'")
    assert stuck() == {"payouts_failed": (1, 699), "refunds_waiting": (1, 999)}
    world.owner.execute("UPDATE refunds SET state = 'returned', sent_at = now(), next_attempt_at = NULL")
    world.owner.execute(
        "UPDATE payouts SET state = 'sent', sent_cents = amount_cents, sent_at = now(), stripe_transfer_id = 'tr_1',"
        "                   next_attempt_at = NULL"
    )
    owed = accounts.mechanic_receivable(world.one("SELECT mechanic_id FROM payouts"))
    transfers = [
        Transfer(TransferKind.RECEIVABLE, "refund:re_1:receivable", owed, accounts.STRIPE, 500, done.session_id)
    ]
    world.app.transaction(lambda connection: book(connection, transfers))
    assert stuck() == {"receivables": (1, 500)}
    world.owner.execute(
        "WITH lost AS (INSERT INTO stripe_disputes (id, payment_intent_id, amount_cents, status)"
        "              VALUES ('dp_1', 'pi_1', 500, 'lost') RETURNING id)"
        "INSERT INTO payout_reversals (payout_id, dispute_id, booking, amount_cents, state)"
        " SELECT p.id, lost.id, 1, 500, 'failed' FROM payouts p, lost"
    )
    assert stuck() == {"reversals_failed": (1, 500), "receivables": (1, 500)}
    assert unsent(world.app).failed == 1
    back = Transfer(TransferKind.RECEIVABLE, "reversal:trr_1:owed", accounts.STRIPE, owed, 500, done.session_id)
    world.app.transaction(lambda connection: book(connection, [back]))
    assert stuck() == {"reversals_failed": (1, 500)}


def test_what_was_paid_back_of_completed_sessions_is_revenue_lost(world: World) -> None:
    """By hand, at Stripe: the platform's part, and the mechanic's, who was not paid yet."""
    customer, mechanic = new_id(), world.mechanic()
    created = pay_by_card(world, customer)
    complete(world, created, customer, mechanic)
    settle(world.app, created.session_id)
    parts = [(accounts.PLATFORM_REVENUE, 300), (accounts.mechanic_payable(mechanic.id), 699)]
    booked = [
        Transfer(TransferKind.REFUND, f"refund:re_1:{n}", account, accounts.STRIPE, cents, created.session_id)
        for n, (account, cents) in enumerate(parts)
    ]
    world.app.transaction(lambda connection: book(connection, booked))
    (lost,) = session_health(world.app).revenue_impact.by_reason
    assert (lost.end_reason, lost.sessions, lost.card_cents, lost.refunded_cents) == ("billable", 1, 0, 999)


def test_an_empty_database_has_a_page_without_a_score(world: World) -> None:
    page = session_health(world.app)
    assert (page.score.value, page.score.status, page.now.oldest_waiting) == (None, "no_data", None)
    assert (page.alerts.critical, page.alerts.sessions, page.revenue_impact.by_reason) == (0, [], [])
    assert {run.state for run in page.schedules} == {"never"}
    assert set(page.model_dump(by_alias=True)) >= {"asOf", "from", "to", "moneyStuck", "statusDistribution", "hourly"}


@pytest.mark.parametrize(
    ("since", "until", "pointer"),
    [
        ("yesterday", None, "/from"),
        ("2026-11-02T00:00:00", None, "/from"),
        (None, "2026-13-02T00:00:00Z", "/to"),
        ("2026-11-02T00:00:00Z", "2026-11-02T00:00:00Z", "/from"),
        ("2026-11-03T00:00:00Z", "2026-11-02T00:00:00Z", "/from"),
        ("2026-10-01T00:00:00Z", "2026-11-02T00:00:00Z", "/from"),  # 32 days
        ("0001-01-01T00:00:00+14:00", None, "/from"),
        (None, "9999-12-31T23:59:59-14:00", "/to"),
    ],
)
def test_a_time_that_is_none_or_too_long_is_refused(
    world: World, since: str | None, until: str | None, pointer: str
) -> None:
    for refused in (
        lambda: session_health(world.app, since, until),
        lambda: search(world.app, Query(since=since, until=until)),
    ):
        with pytest.raises(Unprocessable) as problem:
            refused()
        assert problem.value.body()["errors"] == [{"pointer": pointer, "detail": ANY}]


def test_an_offset_is_as_good_as_utc(world: World) -> None:
    page = session_health(world.app, "2026-11-02T01:00:00+01:00", "2026-11-02T06:45:00+05:45")
    assert page.model_dump(mode="json", by_alias=True)["from"] == "2026-11-02T00:00:00Z"


# --- the list ---------------------------------------------------------------------------------------


def test_pages_follow_each_other_without_gaps(world: World, past_sessions: PastSessions) -> None:
    past_sessions.sessions(5, NOON, free())
    bounds = {"since": "2026-11-02T00:00:00Z", "until": "2026-11-03T00:00:00Z", "limit": "2"}
    found = []
    cursor = None
    while True:
        page = search(world.app, Query(**bounds, status="completed", cursor=cursor))
        found += [each.at for each in page.sessions]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 5


def test_the_longest_waiting_come_first(world: World) -> None:
    made = [world.queued().session_id for _ in range(3)]
    first = search(world.app, Query(status="queued", limit="2"))
    rest = search(world.app, Query(status="queued", limit="2", cursor=first.next_cursor))
    assert [each.session_id for each in (*first.sessions, *rest.sessions)] == made
    assert rest.next_cursor is None


@pytest.mark.parametrize(
    "query",
    [
        Query(status="asleep"),
        Query(alert="'"),
        Query(reason="because"),
        Query(offer="taken"),
        Query(money="all"),
        Query(status="live", alert="stuck_live"),
        Query(limit="0"),
        Query(cursor="x"),
        Query(cursor="WyIyMDI2Il0="),
    ],
)
def test_what_no_list_understands_is_refused(world: World, query: Query) -> None:
    with pytest.raises(Unprocessable):
        search(world.app, query)
