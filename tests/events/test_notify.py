"""One event, told once: whatever is delivered twice, out of order, refused, or dies half-way."""

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from autodoctor.db import Parameters, Row
from autodoctor.events.model import detail
from autodoctor.ids import new_id
from autodoctor.notifications.kinds import Kind
from autodoctor.notifications.mail import Mail
from autodoctor.notifications.notify import CLAIM_SECONDS, BeingSent, notify
from autodoctor.notifications.recipients import NobodyConcerned
from autodoctor.notifications.sender import CONNECT_SECONDS, READ_SECONDS, NotSent, SesSender
from autodoctor.sessions.presence import release
from events.post_office import PostOffice, environment, payout, post_office
from localcloud.database.postgres import Database
from localcloud.stack.template import read_stack

ROOT = Path(__file__).parents[2]


@pytest.fixture
def office(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostOffice]:
    with post_office(database, monkeypatch) as office:
        yield office


@pytest.fixture
def customer() -> UUID:
    return new_id()


def test_a_whole_consultation_is_told_to_the_customer(office: PostOffice, customer: UUID) -> None:
    session_id = office.completed(office.mechanic(), customer, notes="Pads worn")
    # in time: each mail before what supersedes it
    for event in office.events(session_id):
        office.tell(event)
    assert office.noted() == ["request_received", "mechanic_assigned", "session_completed"]
    assert office.states()[-1] == ("session_completed", "sent", None)
    assert office.ses.recipients == ["cora@example.com"]
    (mail,) = (each["Content"]["Simple"] for each in office.ses.asked)
    assert mail["Subject"]["Data"] == "Your session with Mia: a summary"
    assert "Pads worn" in mail["Body"]["Text"]["Data"]
    assert "60 min 0 s" in mail["Body"]["Html"]["Data"]


def test_each_step_is_mailed_as_it_happens(office: PostOffice, customer: UUID) -> None:
    mechanic = office.mechanic()
    created = office.queued(customer)
    office.tell(office.event(created.session_id, "session.created"))
    office.accept(mechanic, created)
    office.tell(office.event(created.session_id, "session.waiting"))
    office.end(customer, created.session_id)
    office.tell(office.event(created.session_id, "session.ended"))
    assert office.ses.kinds == ["request_received", "mechanic_assigned", "session_cancelled"]
    assert "Nothing" not in office.ses.asked[2]["Content"]["Simple"]["Subject"]["Data"]
    assert "nobody joined" in office.ses.asked[2]["Content"]["Simple"]["Body"]["Text"]["Data"]


def test_an_event_delivered_three_times_and_shuffled_is_told_once(office: PostOffice, customer: UUID) -> None:
    session_id = office.completed(office.mechanic(), customer)
    deliveries = office.events(session_id) * 3
    random.Random(3).shuffle(deliveries)
    for event in deliveries:
        office.tell(event)
    assert sorted(office.noted()) == sorted(["request_received", "mechanic_assigned", "session_completed"])
    assert office.ses.kinds == ["session_completed"]
    assert len(office.deliveries()) == 3


def test_a_mail_about_something_superseded_is_not_sent_but_the_entry_is_kept(
    office: PostOffice, customer: UUID
) -> None:
    session_id = office.completed(office.mechanic(), customer)
    for kind in ("session.created", "session.waiting"):
        office.tell(office.event(session_id, kind))
    assert office.ses.asked == []
    assert office.states() == [
        ("request_received", "suppressed", "superseded"),
        ("mechanic_assigned", "suppressed", "superseded"),
    ]
    assert office.noted() == ["request_received", "mechanic_assigned"]


def test_a_mechanic_who_gave_it_back_is_superseded_by_the_next_one(office: PostOffice, customer: UUID) -> None:
    first, second = office.mechanic(), office.mechanic()
    created = office.waiting(first, customer)
    stale = office.event(created.session_id, "session.waiting")
    release(office.app, first.user_id, created.session_id)
    office.accept_current(second, created.session_id)
    fresh = office.event(created.session_id, "session.waiting")
    office.tell(fresh)
    office.tell(stale)
    assert stale.event_id != fresh.event_id
    assert office.states() == [
        ("mechanic_assigned", "sent", None),
        ("mechanic_assigned", "suppressed", "superseded"),
    ]


@pytest.mark.parametrize(
    ("funding", "price", "said"),
    [
        ("free", 0, "nothing was charged"),
        ("card", 2999, "$29.99 is refunded in full"),
        ("credit", 2999, "Your credits (3) are back"),
    ],
)
def test_a_cancellation_says_what_becomes_of_the_money(
    office: PostOffice, customer: UUID, funding: str, price: int, said: str
) -> None:
    created = office.queued(customer)
    office.owner.execute("UPDATE intakes SET funding = %s, price_cents = %s, credits = 3", [funding, price])
    office.end(customer, created.session_id)
    office.tell(office.event(created.session_id, "session.ended"))
    body = office.ses.asked[0]["Content"]["Simple"]["Body"]
    assert said in body["Text"]["Data"]
    assert said in body["Html"]["Data"]
    assert "withdrawn before a mechanic accepted" in body["Text"]["Data"]


def test_an_expired_session_is_a_cancellation(office: PostOffice, customer: UUID) -> None:
    created = office.queued(customer)
    office.owner.execute("UPDATE sessions SET status = 'expired' WHERE id = %s", [created.session_id])
    office.tell(office.event(created.session_id, "session.expired"))
    assert office.ses.kinds == ["session_cancelled"]
    assert "expired before" in office.ses.asked[0]["Content"]["Simple"]["Body"]["Text"]["Data"]


def test_payouts_are_told_to_the_mechanic(office: PostOffice, customer: UUID) -> None:
    mechanic = office.mechanic()
    office.address(mechanic)
    session_id = office.completed(mechanic, customer)
    failed = payout("payout.failed", mechanic, session_id, reason="account_closed")
    office.tell(failed)
    office.tell(payout("payout.sent", mechanic, session_id, payout_id=failed.payout_id))
    assert office.ses.recipients == ["mia@example.com"] * 2
    assert office.ses.kinds == ["payout_failed", "payout_sent"]
    assert "$20.99" in office.ses.asked[1]["Content"]["Simple"]["Subject"]["Data"]


def test_a_failure_told_after_its_payout_was_sent_is_superseded(office: PostOffice, customer: UUID) -> None:
    mechanic = office.mechanic()
    office.address(mechanic)
    session_id = office.completed(mechanic, customer)
    sent = payout("payout.sent", mechanic, session_id)
    office.tell(sent)
    earlier = sent.occurred_at - timedelta(minutes=5)
    office.tell(payout("payout.failed", mechanic, session_id, payout_id=sent.payout_id, occurred_at=earlier))
    assert office.states()[-1] == ("payout_failed", "suppressed", "superseded")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE mechanics SET email = NULL", "no_address"),
        ("UPDATE mechanics SET email = 'a@example.com,b@example.com'", "unusable_address"),
        ("UPDATE mechanics SET email = E'a@example.com\\r\\nBcc: b@example.com'", "unusable_address"),
        ("UPDATE mechanics SET email = 'Mia <mia@example.com>'", "unusable_address"),
    ],
)
def test_without_a_usable_address_there_is_the_entry_only(
    office: PostOffice, customer: UUID, change: str, reason: str
) -> None:
    mechanic = office.mechanic()
    session_id = office.completed(mechanic, customer)
    office.owner.execute(change.encode())
    office.tell(payout("payout.sent", mechanic, session_id))
    assert office.states() == [("payout_sent", "suppressed", reason)]
    assert office.noted() == ["payout_sent"]


def test_an_erased_customer_is_told_nothing(office: PostOffice, customer: UUID) -> None:
    created = office.queued(customer)
    office.owner.execute("UPDATE customers SET erased_at = now()")
    office.tell(office.event(created.session_id, "session.created"))
    assert (office.noted(), office.states()) == ([], [("request_received", "suppressed", "erased")])


@pytest.mark.parametrize("in_app", [True, False])
@pytest.mark.parametrize("email", [True, False])
def test_who_does_not_want_it_is_not_told(office: PostOffice, customer: UUID, *, email: bool, in_app: bool) -> None:
    created = office.queued(customer)
    office.owner.execute(
        "INSERT INTO notification_preferences (user_id, kind, email, in_app) VALUES (%s, 'request_received', %s, %s)",
        [customer, email, in_app],
    )
    office.tell(office.event(created.session_id, "session.created"))
    assert office.noted() == ["request_received"] * in_app
    assert office.ses.kinds == ["request_received"] * email
    if not email:
        assert office.states() == [("request_received", "suppressed", "preference")]


def test_a_mail_is_written_in_the_language_its_reader_chose(office: PostOffice, customer: UUID) -> None:
    created = office.queued(customer)
    office.owner.execute("INSERT INTO notification_locales (user_id, locale) VALUES (%s, 'es')", [customer])
    office.tell(office.event(created.session_id, "session.created"))
    assert office.ses.asked[0]["Content"]["Simple"]["Subject"]["Data"] == "Hemos recibido su solicitud"


def test_a_suppressed_address_gets_nothing_in_whatever_case(office: PostOffice, customer: UUID) -> None:
    office.owner.execute(
        "INSERT INTO mail_suppressions (address_hash, reason, at, feedback)"
        " VALUES (address_hash('Cora@Example.COM'), 'complaint', now(), '{}')"
    )
    created = office.queued(customer)
    office.tell(office.event(created.session_id, "session.created"))
    assert office.states() == [("request_received", "suppressed", "complaint")]
    assert office.noted() == ["request_received"]


@pytest.mark.parametrize(
    ("conduct", "error"), [("throttle", "TooManyRequestsException"), ("reject", "MessageRejected")]
)
def test_what_ses_surely_did_not_take_is_tried_again(
    office: PostOffice, customer: UUID, conduct: str, error: str
) -> None:
    office.ses.script[:] = [conduct, conduct]  # type: ignore[list-item]
    event = office.event(office.queued(customer).session_id, "session.created")
    for _ in range(2):
        with pytest.raises(NotSent):
            office.tell(event)
        assert office.states() == [("request_received", "failed", error)]
    for _ in range(2):
        office.tell(event)
    assert office.states() == [("request_received", "sent", None)]
    assert len(office.ses.asked) == 3
    assert office.noted() == ["request_received"]


def test_an_ses_that_cannot_be_reached_has_not_sent_anything(
    office: PostOffice, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = office.event(office.queued(customer).session_id, "session.created")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:1")
        with pytest.raises(NotSent):
            office.tell(event)
    assert office.states() == [("request_received", "failed", "EndpointConnectionError")]


@pytest.mark.parametrize("conduct", ["fail", "drop"])
def test_what_nobody_knows_is_counted_and_never_sent_again(
    office: PostOffice, customer: UUID, conduct: str, capsys: pytest.CaptureFixture[str]
) -> None:
    office.ses.script[:] = [conduct]  # type: ignore[list-item]
    event = office.event(office.queued(customer).session_id, "session.created")
    for _ in range(3):
        office.tell(event)
    ((kind, state, error),) = office.states()
    assert (kind, state) == ("request_received", "unknown")
    assert error in {"InternalServiceErrorException", "ConnectionClosedError"}
    assert len(office.ses.asked) == 1
    assert capsys.readouterr().out.count('"MailUnknown":[1.0]') == 1


def test_an_answer_that_does_not_come_is_unknown(
    office: PostOffice, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodoctor.notifications.sender.READ_SECONDS", 0.2)
    office.ses.script[:] = ["hang"]
    event = office.event(office.queued(customer).session_id, "session.created")
    for _ in range(2):
        office.tell(event)
    assert office.states() == [("request_received", "unknown", "ReadTimeoutError")]
    assert len(office.ses.asked) == 1


def test_a_process_killed_between_claim_and_mark_leaves_it_unknown(office: PostOffice, customer: UUID) -> None:
    """The real handler, killed while SES has its request."""
    office.ses.script[:] = ["hang"]
    event = office.event(office.queued(customer).session_id, "session.created")
    envelope = {"detail-type": event.type, "source": "autodoctor", "detail": json.loads(detail(event))}
    batch = {"Records": [{"messageId": "1", "body": json.dumps(envelope)}]}
    program = "import app, json, sys, unit.lambda_event as u; app.handler(json.load(sys.stdin), u.Context())"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT / "functions" / "notify",
        env={
            **os.environ,
            **environment(office.ses.url),
            "DATABASE_URL": office.urls.app_url,
            "PYTHONPATH": str(ROOT / "tests"),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(batch).encode())
        process.stdin.close()
        asking = office.ses.asking.wait(60)
        process.kill()
    assert asking
    assert office.states() == [("request_received", "claimed", None)]
    with pytest.raises(BeingSent):
        office.tell(event)  # it may still be on its way
    office.owner.execute("UPDATE mail_deliveries SET claimed_at = claimed_at - interval '31 seconds'")
    for _ in range(2):
        office.tell(event)
    assert office.states() == [("request_received", "unknown", "Died")]
    assert len(office.ses.asked) == 1
    assert office.noted() == ["request_received"]


def test_two_deliveries_at_once_send_one_mail(office: PostOffice, customer: UUID) -> None:
    """The second comes while the first waits for SES."""
    event = office.event(office.queued(customer).session_id, "session.created")
    second = PostOffice(office.urls, office.ses)

    class Overtaken(SesSender):
        def send(self, address: str, mail: Mail, kind: str) -> str:
            with pytest.raises(BeingSent):
                second.tell(event)
            return super().send(address, mail, kind)

    notify(office.app, Overtaken(), event)
    second.close()
    assert office.states() == [("request_received", "sent", None)]
    assert len(office.ses.asked) == 1


def test_a_claim_whose_answer_was_lost_with_its_connection_is_recognised(office: PostOffice, customer: UUID) -> None:
    """Committed unseen: the statement runs again on a new connection and finds its own claim."""
    event = office.event(office.queued(customer).session_id, "session.created")
    execute = psycopg.Connection.execute
    lost: list[str] = []

    def commit_unseen(self: psycopg.Connection[Row], query: LiteralString, parameters: Parameters) -> object:
        cursor = execute(self, query, parameters)
        if "INSERT INTO mail_deliveries" in query and not lost:
            lost.append(query)
            with socket.socket(fileno=os.dup(self.fileno())) as network:
                network.shutdown(socket.SHUT_RDWR)
            execute(self, "SELECT 1")  # raises: the answer to the claim is lost
        return cursor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", commit_unseen)
        office.tell(event)
    assert lost
    assert office.states() == [("request_received", "sent", None)]
    assert len(office.ses.asked) == 1


def test_a_claim_outlives_ses_and_the_queue_s_patience_outlives_the_claim() -> None:
    """Else a mail on its way would count as lost, or a lost one be asked for until its dead-letter queue."""
    stack = read_stack(ROOT / "template.yaml", {})
    a_mail = CONNECT_SECONDS + READ_SECONDS
    (source,) = (source for source in stack.events.sources if source.function == "NotifyFunction")
    queue = stack.events.queues[source.queue]
    assert a_mail < CLAIM_SECONDS < queue.visibility_seconds
    assert source.batch_size * a_mail < stack.functions["NotifyFunction"].timeout_seconds


def test_an_event_about_nothing_we_know_is_not_swallowed(office: PostOffice, customer: UUID) -> None:
    mechanic = office.mechanic()
    session_id = office.completed(mechanic, customer)
    with pytest.raises(NobodyConcerned):
        office.tell(payout("payout.sent", mechanic, new_id()))
    unknown = office.event(session_id, "session.created").model_copy(update={"session_id": new_id()})
    with pytest.raises(NobodyConcerned):
        office.tell(unknown)


def test_events_of_assignments_tell_nobody(office: PostOffice, customer: UUID) -> None:
    session_id = office.queued(customer).session_id
    for event in office.events(session_id):
        if event.type.startswith("assignment."):
            office.tell(event)
    assert (office.noted(), office.deliveries()) == ([], [])


def test_nothing_personal_is_kept_with_an_entry(office: PostOffice, customer: UUID) -> None:
    mechanic = office.mechanic()
    session_id = office.completed(mechanic, customer, notes="Pads worn")
    for event in office.events(session_id):
        office.tell(event)
    office.tell(payout("payout.sent", mechanic, session_id))
    kept = " ".join(row["data"] for row in office.owner.execute("SELECT data::text AS data FROM notifications"))
    assert not [word for word in ("Cora", "Mia", "cora@", "Squeals", "Volvo", "Pads") if word in kept]
    assert set(Kind) >= set(office.noted())
