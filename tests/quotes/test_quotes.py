"""Escalation and quotes: who may do what when, earnings from an approval, and repeated or late requests."""

from uuid import UUID

import pytest

from autodoctor.errors import MechanicNotActive, SessionNotFound, Unprocessable
from autodoctor.events.model import QuoteEvent, event_of, json_schemas
from autodoctor.events.outbox import pending
from autodoctor.ids import new_id
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.earnings import earnings
from autodoctor.payments.settlement import settle
from autodoctor.quotes import quotes
from autodoctor.quotes.errors import (
    OwnQuote,
    QuoteApproved,
    QuoteChanged,
    QuoteDecided,
    QuoteNotFound,
    QuoteNotGiven,
    SessionNotEscalatable,
)
from autodoctor.quotes.quotes import AmountRequest, ApprovalRequest, EscalationRequest
from autodoctor.quotes.views import mechanic_quotes, quote, session_quotes
from support.invariants.sessions import violations
from support.money.purchases import balance, complete, rows
from support.money.quote_case import OWED, QuoteCase, live_quote_case
from support.world import World


@pytest.fixture
def case(world: World) -> QuoteCase:
    """Give a live session that its mechanic may escalate."""
    return live_quote_case(world)


# --- the way of a quote ---------------------------------------------------------------------------------


def test_an_approved_quote_pays_who_escalated(case: QuoteCase) -> None:
    asked = case.escalate(note="Brake discs are gone")
    assert (asked.status, asked.note, asked.amount_cents) == ("requested", "Brake discs are gone", None)
    assert (asked.vehicle_summary, asked.concern) == ("2019 Volvo V60", "Squeals when braking")
    given = case.give(asked, 48_000, "Discs and pads, both axles")
    assert (given.status, given.amount_cents, given.description) == ("given", 48_000, "Discs and pads, both axles")
    approved = case.approve(asked, seen=48_000)
    assert (approved.status, approved.amount_cents) == ("approved", 48_000)
    assert rows(case.world, OWED) == []  # not before the session is completed
    case.complete()
    assert rows(case.world, OWED) == [(case.session_id, case.mechanic.id, "escalation", 2400, "held")]
    assert balance(case.world, accounts.mechanic_payable(case.mechanic.id)) == 2400
    assert balance(case.world, accounts.PLATFORM_REVENUE) == -2400
    (earning,) = earnings(case.world.app, case.mechanic.user_id).earnings
    assert (earning.kind, earning.amount_cents, earning.session_id) == ("escalation", 2400, case.session_id)
    assert earnings(case.world.app, case.mechanic.user_id).totals.escalation_cents == 2400
    assert violations(case.world.owner) == []


def test_its_timeline_says_who_did_what_and_the_bus_hears_it(case: QuoteCase) -> None:
    asked = case.escalate(note="Brake discs are gone")
    case.give(asked, 48_000)
    case.give(asked, 45_000, "Without the pads")
    case.approve(asked)
    steps = [(step.status, step.actor, step.amount_cents) for step in case.approve(asked).timeline]
    assert steps == [
        ("requested", "mechanic", None),
        ("given", "mechanic", 48_000),
        ("given", "mechanic", 45_000),
        ("approved", "customer", 45_000),
    ]
    audited = rows(case.world, "SELECT actor_id FROM quote_events ORDER BY id")
    assert [who for (who,) in audited] == [
        case.mechanic.user_id, case.foreman.user_id, case.foreman.user_id, case.customer
    ]  # fmt: skip
    assert case.events(asked) == ["quote.requested", "quote.given", "quote.given", "quote.approved"]
    told = [event_of(row) for row in pending(case.world.app, asked.quote_id)][-1]
    assert isinstance(told, QuoteEvent)
    assert (told.session_id, told.workshop_id, told.mechanic_id) == (
        case.session_id, case.workshop_id, case.mechanic.id
    )  # fmt: skip
    assert told.customer_id == case.world.one("SELECT id FROM customers")
    text = told.model_dump_json()
    assert not any(word in text for word in ("Brake", "pads", "Cora"))


def test_every_kind_of_event_has_a_schema() -> None:
    schemas = dict(json_schemas())
    for status in ("requested", "given", "approved", "declined", "superseded"):
        assert {"quoteId", "amountCents"} <= set(schemas[f"quote.{status}"]["properties"])


@pytest.mark.parametrize("approved_first", [True, False])
def test_a_session_that_is_not_completed_earns_nobody_a_share(case: QuoteCase, *, approved_first: bool) -> None:
    asked = case.escalate()
    case.give(asked, 1_000)
    if approved_first:
        case.approve(asked)
    case.world.end(case.customer, case.session_id)
    assert case.world.status(case.session_id) == "cancelled"
    settle(case.world.app, case.session_id)
    case.approve(asked)
    assert (rows(case.world, OWED), balance(case.world, accounts.PLATFORM_REVENUE)) == ([], 0)
    assert violations(case.world.owner) == []


@pytest.mark.parametrize("when", ["live", "completed", "settled"])
def test_it_is_owed_once_whenever_it_was_approved(case: QuoteCase, when: str) -> None:
    asked = case.escalate()
    case.give(asked, 1_000)
    if when == "live":
        case.approve(asked)
    case.world.let_time_pass(90)
    case.world.end(case.customer, case.session_id)
    if when == "completed":
        case.approve(asked)
    settle(case.world.app, case.session_id)
    case.approve(asked)
    settle(case.world.app, case.session_id)
    assert rows(case.world, OWED) == [(case.session_id, case.mechanic.id, "escalation", 50, "held")]
    assert violations(case.world.owner) == []


@pytest.mark.parametrize(
    ("cents", "bp", "earned"),
    [
        (12_350, 500, 618),
        (12_330, 500, 616),
        (10, 500, 0),
        (30, 500, 2),
        (1, 500, 0),
        (9_999, 0, 0),
        (100, 10_000, 100),
    ],
)
def test_the_share_is_rounded_half_to_even_and_nothing_is_no_row(
    case: QuoteCase, cents: int, bp: int, earned: int
) -> None:
    case.world.owner.execute("INSERT INTO settings (key, value) VALUES ('escalation_bp', %s)", [str(bp)])
    asked = case.escalate()
    case.world.owner.execute("UPDATE settings SET value = '7' WHERE key = 'escalation_bp'")  # too late for this one
    case.give(asked, cents)
    case.approve(asked)
    case.complete()
    assert [amount for _, _, _, amount, _ in rows(case.world, OWED)] == [earned] * bool(earned)
    assert balance(case.world, accounts.mechanic_payable(case.mechanic.id)) == earned
    assert violations(case.world.owner) == []


# --- again, and too late --------------------------------------------------------------------------------


def test_each_step_again_gives_the_same(case: QuoteCase) -> None:
    asked = case.escalate(note="First")
    assert case.escalate(note="Second") == asked
    assert case.give(asked, 100) == case.give(asked, 100)
    approved = case.approve(asked)
    assert case.approve(asked) == case.approve(asked, seen=100) == approved
    assert case.give(asked, 100) == approved
    assert case.escalate() == approved
    assert len(case.events(asked)) == 3
    assert violations(case.world.owner) == []


def test_an_amount_that_was_approved_cannot_change(case: QuoteCase) -> None:
    asked = case.escalate()
    case.give(asked, 100)
    case.approve(asked)
    for cents, text in ((101, None), (100, "More")):
        with pytest.raises(QuoteDecided) as refused:
            case.give(asked, cents, text)
        assert refused.value.extras == {"quoteStatus": "approved"}
    with pytest.raises(QuoteDecided):
        case.decline(asked)
    with pytest.raises(QuoteChanged):
        case.approve(asked, seen=101)


def test_an_amount_is_not_approved_before_it_is_named_nor_another_than_the_one_seen(case: QuoteCase) -> None:
    asked = case.escalate()
    with pytest.raises(QuoteNotGiven):
        case.approve(asked)
    case.give(asked, 100)
    case.give(asked, 120)
    with pytest.raises(QuoteChanged) as refused:
        case.approve(asked, seen=100)
    assert refused.value.extras == {"amountCents": 120}
    assert rows(case.world, OWED) == []


@pytest.mark.parametrize("cents", [None, 100])
def test_a_quote_can_be_declined_with_or_without_an_amount_and_stays_so(case: QuoteCase, cents: int | None) -> None:
    asked = case.escalate()
    if cents is not None:
        case.give(asked, cents)
    declined = case.decline(asked)
    assert (declined.status, case.decline(asked)) == ("declined", declined)
    with pytest.raises(QuoteDecided):
        case.approve(asked)
    with pytest.raises(QuoteDecided):
        case.give(asked, 90)
    assert case.escalate() == declined
    assert rows(case.world, OWED) == []


# --- several workshops ----------------------------------------------------------------------------------


def test_of_several_workshops_one_is_approved_and_the_others_are_told(case: QuoteCase) -> None:
    other = case.world.workshop()
    first, second = case.escalate(), case.escalate(other)
    assert first.quote_id != second.quote_id
    case.give(first, 5_000)
    case.approve(first)
    assert (case.status(first), case.status(second)) == ("approved", "superseded")
    assert case.events(second) == ["quote.requested", "quote.superseded"]
    with pytest.raises(QuoteDecided):
        case.approve(second)
    with pytest.raises(QuoteApproved) as refused:
        case.escalate(case.world.workshop())
    assert refused.value.extras == {"quoteId": str(first.quote_id)}
    case.complete()
    assert len(rows(case.world, OWED)) == 1


def test_after_a_declined_quote_another_workshop_may_be_asked(case: QuoteCase) -> None:
    case.decline(case.escalate())
    assert case.escalate(case.world.workshop()).status == "requested"


# --- who, and when --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["waiting", "cancelled", "completed"])
def test_what_is_live_or_completed_can_be_escalated(world: World, case: QuoteCase, state: str) -> None:
    customer, mechanic = new_id(), world.mechanic()
    created = world.waiting(mechanic, customer) if state != "completed" else world.queued(customer)
    if state == "cancelled":
        world.end(customer, created.session_id)
    elif state == "completed":
        complete(world, created, customer, mechanic)
    asked = EscalationRequest.model_validate({"workshopId": case.workshop_id})
    if state == "completed":
        assert quotes.escalate(world.app, mechanic.user_id, created.session_id, asked).status == "requested"
        return
    with pytest.raises(SessionNotEscalatable) as refused:
        quotes.escalate(world.app, mechanic.user_id, created.session_id, asked)
    assert refused.value.extras == {"sessionStatus": state}


def test_only_its_mechanic_escalates_a_session_and_to_a_workshop_that_there_is(case: QuoteCase) -> None:
    asked = EscalationRequest.model_validate({"workshopId": case.workshop_id})
    for stranger in (case.foreman, case.world.mechanic()):
        with pytest.raises(SessionNotFound):
            quotes.escalate(case.world.app, stranger.user_id, case.session_id, asked)
    for nobody in (case.customer, new_id()):
        with pytest.raises(MechanicNotActive):
            quotes.escalate(case.world.app, nobody, case.session_id, asked)
    with pytest.raises(Unprocessable) as refused:
        case.escalate(new_id())
    assert refused.value.extras["errors"] == [{"pointer": "/workshopId", "detail": "is not a workshop"}]
    case.world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [case.mechanic.id])
    with pytest.raises(MechanicNotActive):
        case.escalate()
    assert rows(case.world, "SELECT FROM quotes") == []


def test_only_the_workshop_quotes_and_nobody_for_their_own_car(case: QuoteCase) -> None:
    asked, given = case.escalate(), AmountRequest.model_validate({"amountCents": 100})

    def attempt(who: UUID) -> None:
        quotes.give_amount(case.world.app, who, asked.quote_id, given)

    for stranger in (case.mechanic, case.world.mechanic(), case.world.mechanic(case.world.workshop())):
        with pytest.raises(QuoteNotFound):
            attempt(stranger.user_id)
    case.world.mechanic(case.workshop_id, case.customer)
    with pytest.raises(OwnQuote):
        attempt(case.customer)
    case.world.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [case.foreman.id])
    with pytest.raises(MechanicNotActive):
        attempt(case.foreman.user_id)
    assert case.status(asked) == "requested"


def test_nobody_names_the_amount_of_what_they_escalated(case: QuoteCase) -> None:
    case.world.owner.execute(
        "UPDATE mechanics SET workshop_id = %s WHERE id = %s", [case.workshop_id, case.mechanic.id]
    )
    asked, given = case.escalate(), AmountRequest.model_validate({"amountCents": 100})
    with pytest.raises(OwnQuote):
        quotes.give_amount(case.world.app, case.mechanic.user_id, asked.quote_id, given)
    assert case.status(asked) == "requested"
    case.give(asked, 100)  # a colleague does


def test_only_the_customer_decides(case: QuoteCase) -> None:
    asked = case.escalate()
    case.give(asked, 100)
    for stranger in (case.mechanic.user_id, case.foreman.user_id, new_id()):
        with pytest.raises(QuoteNotFound):
            quotes.approve(case.world.app, stranger, asked.quote_id, ApprovalRequest())
        with pytest.raises(QuoteNotFound):
            quotes.decline(case.world.app, stranger, asked.quote_id)
    assert case.status(asked) == "given"


def test_its_parties_and_nobody_else_see_it(case: QuoteCase) -> None:
    asked, app = case.escalate(), case.world.app
    for party in (case.customer, case.mechanic.user_id, case.foreman.user_id):
        assert quote(app, party, asked.quote_id) == asked
    assert quote(app, new_id(), asked.quote_id, any_quote=True) == asked
    for stranger in (new_id(), case.world.mechanic().user_id):
        with pytest.raises(QuoteNotFound):
            quote(app, stranger, asked.quote_id)
        with pytest.raises(SessionNotFound):
            session_quotes(app, stranger, case.session_id)
    for party in (case.customer, case.mechanic.user_id):
        assert session_quotes(app, party, case.session_id).quotes == [asked]
    with pytest.raises(SessionNotFound):  # a workshop sees its own quote, not what others were asked
        session_quotes(app, case.foreman.user_id, case.session_id)


def test_a_mechanic_sees_what_their_workshop_was_asked_and_what_they_asked(case: QuoteCase) -> None:
    app, other = case.world.app, case.world.workshop()
    first, second = case.escalate(), case.escalate(other)
    mine = mechanic_quotes(app, case.mechanic.user_id, limit="1")
    assert ([each.quote_id for each in mine.quotes], mine.next_cursor) == ([second.quote_id], str(second.quote_id))
    rest = mechanic_quotes(app, case.mechanic.user_id, limit="1", cursor=mine.next_cursor)
    assert ([each.quote_id for each in rest.quotes], rest.next_cursor) == ([first.quote_id], None)
    assert [each.quote_id for each in mechanic_quotes(app, case.foreman.user_id).quotes] == [first.quote_id]
    assert mechanic_quotes(app, case.foreman.user_id, status="given").quotes == []
    assert mechanic_quotes(app, case.world.mechanic().user_id).quotes == []
    for wrong in ({"status": "lost"}, {"limit": "0"}, {"cursor": "x"}):
        with pytest.raises(Unprocessable):
            mechanic_quotes(app, case.foreman.user_id, **wrong)
    with pytest.raises(MechanicNotActive):
        mechanic_quotes(app, new_id())
