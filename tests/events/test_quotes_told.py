"""Who is told of a quote: the workshop that it is asked of, the customer who decides, the mechanic who earned."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from autodoctor.events.model import PayoutEvent, QuoteEvent
from autodoctor.ids import new_id
from autodoctor.notifications.inbox import notifications
from autodoctor.notifications.sender import NotSent
from autodoctor.web.schemas import now
from events.post_office import PostOffice, post_office
from localcloud.database.postgres import Database
from payments.quoting import Case, live_case


@pytest.fixture
def office(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostOffice]:
    with post_office(database, monkeypatch) as office:
        yield office


@pytest.fixture
def case(office: PostOffice) -> Case:
    """Give a live session whose mechanic and workshop can be written to."""
    case = live_case(office)
    office.address(case.mechanic, "mia@example.com")
    office.address(case.foreman, "foreman@example.com")
    return case


def told(office: PostOffice, quote_id: UUID) -> list[str]:
    """Deliver the events of a quote in order, each twice; the types."""
    events = [each for each in office.events(quote_id) if isinstance(each, QuoteEvent)]
    for event in events:
        for _ in range(2):
            office.tell(event)
    return [event.type for event in events]


def test_each_step_is_told_to_whoever_it_concerns_once(office: PostOffice, case: Case) -> None:
    asked = case.escalate(note="Discs")
    told(office, asked.quote_id)
    case.give(asked, 48_000)
    told(office, asked.quote_id)
    case.approve(asked)
    assert told(office, asked.quote_id) == ["quote.requested", "quote.given", "quote.approved"]
    assert office.ses.recipients == ["foreman@example.com", "cora@example.com", "mia@example.com"]
    assert office.ses.kinds == ["quote_requested", "quote_given", "quote_approved"]
    (shown,) = notifications(office.app, case.customer).notifications
    assert (shown.session_id, shown.title) == (case.session_id, "Quote received")
    assert "$480.00" in shown.text
    kept = str(office.one("SELECT string_agg(data::text, ' ') FROM notifications"))
    assert not any(word in kept for word in ("Wheelhouse", "Mia", "Volvo", "Discs"))


def test_all_of_the_workshop_are_asked_but_not_the_customer(office: PostOffice, case: Case) -> None:
    colleague, away = office.mechanic(case.workshop_id), office.mechanic(case.workshop_id)
    office.mechanic(case.workshop_id, case.customer)
    office.owner.execute("UPDATE mechanics SET status = 'suspended' WHERE id = %s", [away.id])
    told(office, case.escalate().quote_id)
    told_to = [row["user_id"] for row in office.owner.execute("SELECT user_id FROM notifications").fetchall()]
    assert sorted(told_to) == sorted([case.foreman.user_id, colleague.user_id])


def test_one_who_cannot_be_told_keeps_nobody_else_from_it(office: PostOffice, case: Case) -> None:
    office.address(office.mechanic(case.workshop_id), "colleague@example.com")
    asked = case.escalate()
    (event,) = office.events(asked.quote_id)
    office.ses.script = ["throttle"]
    with pytest.raises(NotSent):
        office.tell(event)
    office.tell(event)
    assert len(office.ses.recipients) == 3
    assert sorted(set(office.ses.recipients)) == ["colleague@example.com", "foreman@example.com"]


def test_an_amount_that_changed_or_was_decided_on_is_not_mailed_any_more(office: PostOffice, case: Case) -> None:
    asked = case.escalate()
    case.give(asked, 48_000)
    case.give(asked, 45_000)
    case.decline(asked)
    told(office, asked.quote_id)
    assert {error for _, _, error in office.states()} == {"superseded"}
    assert office.ses.asked == []


def test_a_payout_says_what_it_is_for_also_while_the_session_lasts(office: PostOffice, case: Case) -> None:
    asked = case.escalate()
    case.give(asked, 48_000)
    case.approve(asked)
    payout_id = office.one("SELECT id FROM payouts")
    told_of = PayoutEvent(
        type="payout.sent", event_id=new_id(), sequence=1, occurred_at=now(), payout_id=payout_id,
        session_id=case.session_id, mechanic_id=case.mechanic.id, amount_cents=2_400, currency="usd",
    )  # fmt: skip
    office.tell(told_of)
    (mail,) = (each["Content"]["Simple"] for each in office.ses.asked)
    assert "$24.00 for the quote of a session that you escalated" in mail["Body"]["Text"]["Data"].replace("\n", " ")


def test_after_an_erasure_nothing_is_said_of_the_car(office: PostOffice, case: Case) -> None:
    asked = case.escalate()
    case.give(asked, 48_000)
    case.approve(asked)
    office.owner.execute("UPDATE intakes SET vehicle = '{}'")
    office.owner.execute("UPDATE customers SET erased_at = now(), user_id = %s", [new_id()])
    told(office, asked.quote_id)
    assert office.ses.asked == []
