"""Whoever types somebody else's address cannot have us flood it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from autodoctor.notifications.notify import MOST_A_DAY, MOST_AN_HOUR
from autodoctor.notifications.sender import NotSent
from events.post_office import PostOffice, payout, post_office
from localcloud.database.postgres import Database

VICTIM = "victim@example.org"


@pytest.fixture
def office(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostOffice]:
    with post_office(database, monkeypatch) as office:
        yield office


def ask(office: PostOffice, user_id: UUID, address: str = VICTIM) -> str | None:
    """Ask for a session and take it back, and return why there was no mail about the end; None: there was one."""
    created = office.queued(user_id, email=address)
    office.end(user_id, created.session_id)
    office.tell(office.event(created.session_id, "session.ended"))
    reason: str | None = office.deliveries()[-1]["error"]
    return reason


def had(office: PostOffice, count: int, ago: LiteralString, user_id: UUID, address: str = VICTIM) -> None:
    """Have that many mails sent that long ago."""
    office.owner.execute(
        "INSERT INTO mail_deliveries (event_id, user_id, claim_id, claimed_at, kind, state, message_id, address_hash,"
        " settled_at) SELECT new_id(), %s, new_id(), now() - %s::interval, 'session_cancelled', 'sent', 'm',"
        " address_hash(%s), now() FROM generate_series(1, %s)",
        [user_id, ago, address, count],
    )


def test_a_loop_of_requests_is_a_few_mails(office: PostOffice, capsys: pytest.CaptureFixture[str]) -> None:
    customer, loops = new_id(), MOST_AN_HOUR + 3
    reasons = [ask(office, customer) for _ in range(loops)]
    assert reasons == [None] * MOST_AN_HOUR + ["too_many"] * 3
    assert office.ses.recipients == [VICTIM] * MOST_AN_HOUR
    assert office.noted() == ["session_cancelled"] * loops
    assert capsys.readouterr().out.count('"MailSuppressed":[1.0]') == 3
    assert [row["address_hash"] for row in office.deliveries()[-3:]] == [None] * 3


def test_other_users_do_not_help_nor_does_the_case(office: PostOffice) -> None:
    had(office, MOST_AN_HOUR, "1 minute", new_id())
    assert ask(office, new_id(), VICTIM.upper()) == "too_many"
    assert ask(office, new_id(), "cora@example.com") is None


def test_nor_do_other_addresses(office: PostOffice) -> None:
    customer = new_id()
    for number in range(MOST_AN_HOUR):
        had(office, 1, "1 minute", customer, f"victim{number}@example.org")
    assert ask(office, customer) == "too_many"
    assert ask(office, new_id()) is None


@pytest.mark.parametrize(
    ("count", "ago", "reason"),
    [
        (MOST_AN_HOUR - 1, "59 minutes", None),
        (MOST_AN_HOUR, "59 minutes", "too_many"),
        (MOST_AN_HOUR, "61 minutes", None),
        (MOST_A_DAY - 1, "23 hours", None),
        (MOST_A_DAY, "23 hours", "too_many"),
        (MOST_A_DAY, "25 hours", None),
    ],
)
def test_an_hour_and_a_day_end(office: PostOffice, count: int, ago: LiteralString, reason: str | None) -> None:
    had(office, count, ago, new_id())
    assert ask(office, new_id()) == reason


def test_what_was_not_sent_does_not_count(office: PostOffice) -> None:
    customer = new_id()
    had(office, MOST_AN_HOUR - 1, "1 minute", customer)
    office.ses.script[:] = ["throttle"]
    with pytest.raises(NotSent):
        ask(office, customer)
    assert ask(office, customer) is None


def test_a_mail_that_is_tried_again_is_counted_then(office: PostOffice) -> None:
    customer = new_id()
    created = office.queued(customer, email=VICTIM)
    event = office.event(created.session_id, "session.created")
    office.ses.script[:] = ["throttle"]
    with pytest.raises(NotSent):
        office.tell(event)
    had(office, MOST_AN_HOUR, "1 minute", customer)
    for _ in range(2):
        office.tell(event)
    assert office.states()[-1] == ("request_received", "suppressed", "too_many")
    assert office.noted() == ["request_received"]


def test_payouts_are_told_however_many_and_do_not_count(office: PostOffice) -> None:
    mechanic, customer = office.mechanic(), new_id()
    office.address(mechanic, VICTIM)
    session_id = office.completed(mechanic, customer, email="cora@example.com")
    for _ in range(MOST_AN_HOUR + 2):
        office.tell(payout("payout.sent", mechanic, session_id))
    assert office.ses.recipients == [VICTIM] * (MOST_AN_HOUR + 2)
    assert ask(office, new_id()) is None


def test_as_many_as_notify_at_once_may_go_beyond_and_no_more(office: PostOffice, database: Database) -> None:
    """Claims of the same instant do not see each other; later ones do."""
    workers, customers = 4, [new_id() for _ in range(MOST_AN_HOUR + 10)]
    events = []
    for customer in customers:
        created = office.queued(customer, email=VICTIM)
        events.append(office.event(created.session_id, "session.created"))
    desks = [PostOffice(database, office.ses) for _ in range(workers)]

    def work(number: int) -> None:
        for event in events[number::workers]:
            desks[number].tell(event)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    for desk in desks:
        desk.close()
    assert MOST_AN_HOUR <= len(office.ses.asked) < MOST_AN_HOUR + workers
