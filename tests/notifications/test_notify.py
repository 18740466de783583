"""One notification per event: delivered twice, out of order, refused, or interrupted half-way."""

import json
import os
import random
import re
import socket
import subprocess
import sys
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
from localcloud.stack.template import read_stack
from support.events.mail_env import MailEnv, environment, payout
from support.events.sqs_records import sqs_record

ROOT = Path(__file__).parents[2]


def test_a_whole_consultation_is_told_to_the_customer(mail_env: MailEnv, customer: UUID) -> None:
    session_id = mail_env.completed(mail_env.mechanic(), customer, notes="Pads worn")
    # in time: each mail before what supersedes it
    for event in mail_env.events(session_id):
        mail_env.tell(event)
    assert mail_env.noted() == ["request_received", "mechanic_assigned", "session_completed"]
    assert mail_env.states()[-1] == ("session_completed", "sent", None)
    assert mail_env.ses.recipients == ["cora@example.com"]
    (mail,) = (each["Content"]["Simple"] for each in mail_env.ses.asked)
    assert mail["Subject"]["Data"] == "Your session with Mia: a summary"
    assert "Pads worn" in mail["Body"]["Text"]["Data"]
    assert re.search(r"60 min \d s", mail["Body"]["Html"]["Data"])


def test_each_step_is_mailed_as_it_happens(mail_env: MailEnv, customer: UUID) -> None:
    mechanic = mail_env.mechanic()
    created = mail_env.queued(customer)
    mail_env.tell(mail_env.event(created.session_id, "session.created"))
    mail_env.accept(mechanic, created)
    mail_env.tell(mail_env.event(created.session_id, "session.waiting"))
    mail_env.end(customer, created.session_id)
    mail_env.tell(mail_env.event(created.session_id, "session.ended"))
    assert mail_env.ses.kinds == ["request_received", "mechanic_assigned", "session_cancelled"]
    assert "Nothing" not in mail_env.ses.asked[2]["Content"]["Simple"]["Subject"]["Data"]
    assert "withdrawn before the session started" in mail_env.ses.asked[2]["Content"]["Simple"]["Body"]["Text"]["Data"]


def test_an_event_delivered_three_times_and_shuffled_is_told_once(mail_env: MailEnv, customer: UUID) -> None:
    session_id = mail_env.completed(mail_env.mechanic(), customer)
    deliveries = mail_env.events(session_id) * 3
    random.Random(3).shuffle(deliveries)
    for event in deliveries:
        mail_env.tell(event)
    assert sorted(mail_env.noted()) == sorted(["request_received", "mechanic_assigned", "session_completed"])
    assert mail_env.ses.kinds == ["session_completed"]
    assert len(mail_env.deliveries()) == 3


def test_a_mail_about_something_superseded_is_not_sent_but_the_entry_is_kept(mail_env: MailEnv, customer: UUID) -> None:
    session_id = mail_env.completed(mail_env.mechanic(), customer)
    for kind in ("session.created", "session.waiting"):
        mail_env.tell(mail_env.event(session_id, kind))
    assert mail_env.ses.asked == []
    assert mail_env.states() == [
        ("request_received", "suppressed", "superseded"),
        ("mechanic_assigned", "suppressed", "superseded"),
    ]
    assert mail_env.noted() == ["request_received", "mechanic_assigned"]


def test_a_mechanic_who_gave_it_back_is_superseded_by_the_next_one(mail_env: MailEnv, customer: UUID) -> None:
    first, second = mail_env.mechanic(), mail_env.mechanic()
    created = mail_env.waiting(first, customer)
    stale = mail_env.event(created.session_id, "session.waiting")
    release(mail_env.app, first.user_id, created.session_id)
    mail_env.accept_current(second, created.session_id)
    fresh = mail_env.event(created.session_id, "session.waiting")
    mail_env.tell(fresh)
    mail_env.tell(stale)
    assert stale.event_id != fresh.event_id
    assert mail_env.states() == [
        ("mechanic_assigned", "sent", None),
        ("mechanic_assigned", "suppressed", "superseded"),
    ]


@pytest.mark.parametrize(
    ("funding", "price", "said"),
    [
        ("free", 0, "nothing was charged"),
        ("card", 2999, "$29.99 is refunded in full"),
        ("credit", 2999, "Your credits (3) are back in your account."),
    ],
)
def test_a_cancellation_says_what_becomes_of_the_money(
    mail_env: MailEnv, customer: UUID, funding: str, price: int, said: str
) -> None:
    created = mail_env.queued(customer)
    mail_env.owner.execute("UPDATE intakes SET funding = %s, price_cents = %s, credits = 3", [funding, price])
    mail_env.end(customer, created.session_id)
    mail_env.tell(mail_env.event(created.session_id, "session.ended"))
    body = mail_env.ses.asked[0]["Content"]["Simple"]["Body"]
    assert said in body["Text"]["Data"]
    assert said in body["Html"]["Data"]
    assert "withdrawn before the session started" in body["Text"]["Data"]


def test_an_expired_session_is_a_cancellation(mail_env: MailEnv, customer: UUID) -> None:
    created = mail_env.queued(customer)
    mail_env.owner.execute("UPDATE sessions SET status = 'expired' WHERE id = %s", [created.session_id])
    mail_env.tell(mail_env.event(created.session_id, "session.expired"))
    assert mail_env.ses.kinds == ["session_cancelled"]
    assert "expired before" in mail_env.ses.asked[0]["Content"]["Simple"]["Body"]["Text"]["Data"]


def test_payouts_are_told_to_the_mechanic(mail_env: MailEnv, customer: UUID) -> None:
    mechanic = mail_env.mechanic()
    mail_env.address(mechanic)
    session_id = mail_env.completed(mechanic, customer)
    failed = payout("payout.failed", mechanic, session_id, reason="account_closed")
    mail_env.tell(failed)
    mail_env.tell(payout("payout.sent", mechanic, session_id, payout_id=failed.payout_id))
    assert mail_env.ses.recipients == ["mia@example.com"] * 2
    assert mail_env.ses.kinds == ["payout_failed", "payout_sent"]
    assert "$20.99" in mail_env.ses.asked[1]["Content"]["Simple"]["Subject"]["Data"]


def test_a_failure_told_after_its_payout_was_sent_is_superseded(mail_env: MailEnv, customer: UUID) -> None:
    mechanic = mail_env.mechanic()
    mail_env.address(mechanic)
    session_id = mail_env.completed(mechanic, customer)
    sent = payout("payout.sent", mechanic, session_id)
    mail_env.tell(sent)
    earlier = sent.occurred_at - timedelta(minutes=5)
    mail_env.tell(payout("payout.failed", mechanic, session_id, payout_id=sent.payout_id, occurred_at=earlier))
    assert mail_env.states()[-1] == ("payout_failed", "suppressed", "superseded")


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
    mail_env: MailEnv, customer: UUID, change: str, reason: str
) -> None:
    mechanic = mail_env.mechanic()
    session_id = mail_env.completed(mechanic, customer)
    mail_env.owner.execute(change.encode())
    mail_env.tell(payout("payout.sent", mechanic, session_id))
    assert mail_env.states() == [("payout_sent", "suppressed", reason)]
    assert mail_env.noted() == ["payout_sent"]


def test_an_erased_customer_is_told_nothing(mail_env: MailEnv, customer: UUID) -> None:
    created = mail_env.queued(customer)
    mail_env.owner.execute("UPDATE customers SET erased_at = now()")
    mail_env.tell(mail_env.event(created.session_id, "session.created"))
    assert (mail_env.noted(), mail_env.states()) == ([], [("request_received", "suppressed", "erased")])


@pytest.mark.parametrize("in_app", [True, False])
@pytest.mark.parametrize("email", [True, False])
def test_who_does_not_want_it_is_not_told(mail_env: MailEnv, customer: UUID, *, email: bool, in_app: bool) -> None:
    created = mail_env.queued(customer)
    mail_env.owner.execute(
        "INSERT INTO notification_preferences (user_id, kind, email, in_app, push)"
        " VALUES (%s, 'request_received', %s, %s, true)",
        [customer, email, in_app],
    )
    mail_env.tell(mail_env.event(created.session_id, "session.created"))
    assert mail_env.noted() == ["request_received"] * in_app
    assert mail_env.ses.kinds == ["request_received"] * email
    if not email:
        assert mail_env.states() == [("request_received", "suppressed", "preference")]


def test_a_mail_is_written_in_the_language_its_reader_chose(mail_env: MailEnv, customer: UUID) -> None:
    created = mail_env.queued(customer)
    mail_env.owner.execute("INSERT INTO notification_locales (user_id, locale) VALUES (%s, 'es')", [customer])
    mail_env.tell(mail_env.event(created.session_id, "session.created"))
    assert mail_env.ses.asked[0]["Content"]["Simple"]["Subject"]["Data"] == "Hemos recibido su solicitud"


def test_a_suppressed_address_gets_nothing_in_whatever_case(mail_env: MailEnv, customer: UUID) -> None:
    mail_env.owner.execute(
        "INSERT INTO mail_suppressions (address_hash, reason, at, feedback)"
        " VALUES (address_hash('Cora@Example.COM'), 'complaint', now(), '{}')"
    )
    created = mail_env.queued(customer)
    mail_env.tell(mail_env.event(created.session_id, "session.created"))
    assert mail_env.states() == [("request_received", "suppressed", "complaint")]
    assert mail_env.noted() == ["request_received"]


@pytest.mark.parametrize(
    ("conduct", "error"), [("throttle", "TooManyRequestsException"), ("reject", "MessageRejected")]
)
def test_what_ses_surely_did_not_take_is_tried_again(
    mail_env: MailEnv, customer: UUID, conduct: str, error: str
) -> None:
    mail_env.ses.script[:] = [conduct, conduct]  # type: ignore[list-item]
    event = mail_env.event(mail_env.queued(customer).session_id, "session.created")
    for _ in range(2):
        with pytest.raises(NotSent):
            mail_env.tell(event)
        assert mail_env.states() == [("request_received", "failed", error)]
    for _ in range(2):
        mail_env.tell(event)
    assert mail_env.states() == [("request_received", "sent", None)]
    assert len(mail_env.ses.asked) == 3
    assert mail_env.noted() == ["request_received"]


def test_an_ses_that_cannot_be_reached_has_not_sent_anything(
    mail_env: MailEnv, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = mail_env.event(mail_env.queued(customer).session_id, "session.created")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:1")
        with pytest.raises(NotSent):
            mail_env.tell(event)
    assert mail_env.states() == [("request_received", "failed", "EndpointConnectionError")]


@pytest.mark.parametrize("conduct", ["fail", "drop"])
def test_what_nobody_knows_is_counted_and_never_sent_again(
    mail_env: MailEnv, customer: UUID, conduct: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mail_env.ses.script[:] = [conduct]  # type: ignore[list-item]
    event = mail_env.event(mail_env.queued(customer).session_id, "session.created")
    for _ in range(3):
        mail_env.tell(event)
    ((kind, state, error),) = mail_env.states()
    assert (kind, state) == ("request_received", "unknown")
    assert error in {"InternalServiceErrorException", "ConnectionClosedError"}
    assert len(mail_env.ses.asked) == 1
    assert capsys.readouterr().out.count('"MailUnknown":[1.0]') == 1


def test_an_answer_that_does_not_come_is_unknown(
    mail_env: MailEnv, customer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodoctor.notifications.sender.READ_SECONDS", 0.2)
    mail_env.ses.script[:] = ["hang"]
    event = mail_env.event(mail_env.queued(customer).session_id, "session.created")
    for _ in range(2):
        mail_env.tell(event)
    assert mail_env.states() == [("request_received", "unknown", "ReadTimeoutError")]
    assert len(mail_env.ses.asked) == 1


def test_a_process_killed_between_claim_and_mark_leaves_it_unknown(mail_env: MailEnv, customer: UUID) -> None:
    """The real handler, killed while SES has its request."""
    mail_env.ses.script[:] = ["hang"]
    event = mail_env.event(mail_env.queued(customer).session_id, "session.created")
    envelope = {"detail-type": event.type, "source": "autodoctor", "detail": json.loads(detail(event))}
    batch = {"Records": [sqs_record(envelope, "1")]}
    program = "import app, json, sys, support.http.lambda_event as u; app.handler(json.load(sys.stdin), u.Context())"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT / "functions" / "notify",
        env={
            **os.environ,
            **environment(mail_env.ses.url),
            "DATABASE_URL": mail_env.urls.app_url,
            "PYTHONPATH": str(ROOT / "tests"),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(batch).encode())
        process.stdin.close()
        asking = mail_env.ses.asking.wait(60)
        process.kill()
    assert asking
    assert mail_env.states() == [("request_received", "claimed", None)]
    with pytest.raises(BeingSent):
        mail_env.tell(event)  # it may still be on its way
    mail_env.owner.execute("UPDATE mail_deliveries SET claimed_at = claimed_at - interval '31 seconds'")
    for _ in range(2):
        mail_env.tell(event)
    assert mail_env.states() == [("request_received", "unknown", "Died")]
    assert len(mail_env.ses.asked) == 1
    assert mail_env.noted() == ["request_received"]


def test_two_deliveries_at_once_send_one_mail(mail_env: MailEnv, customer: UUID) -> None:
    """The second comes while the first waits for SES."""
    event = mail_env.event(mail_env.queued(customer).session_id, "session.created")
    second = MailEnv(mail_env.urls, mail_env.ses)

    class Overtaken(SesSender):
        def send(self, address: str, mail: Mail, kind: str) -> str:
            with pytest.raises(BeingSent):
                second.tell(event)
            return super().send(address, mail, kind)

    notify(mail_env.app, Overtaken(), event)
    second.close()
    assert mail_env.states() == [("request_received", "sent", None)]
    assert len(mail_env.ses.asked) == 1


def test_a_claim_whose_answer_was_lost_with_its_connection_is_recognised(mail_env: MailEnv, customer: UUID) -> None:
    """Committed unseen: the statement runs again on a new connection and finds its own claim."""
    event = mail_env.event(mail_env.queued(customer).session_id, "session.created")
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
        mail_env.tell(event)
    assert lost
    assert mail_env.states() == [("request_received", "sent", None)]
    assert len(mail_env.ses.asked) == 1


def test_a_claim_outlives_ses_and_the_queue_s_patience_outlives_the_claim() -> None:
    """Else a mail on its way would count as lost, or a lost one be asked for until its dead-letter queue."""
    stack = read_stack(ROOT / "template.yaml", {})
    a_mail = CONNECT_SECONDS + READ_SECONDS
    (source,) = (source for source in stack.events.sources if source.function == "NotifyFunction")
    queue = stack.events.queues[source.queue]
    assert a_mail < CLAIM_SECONDS < queue.visibility_seconds
    assert source.batch_size * a_mail < stack.functions["NotifyFunction"].timeout_seconds


def test_an_event_about_nothing_we_know_is_not_swallowed(mail_env: MailEnv, customer: UUID) -> None:
    mechanic = mail_env.mechanic()
    session_id = mail_env.completed(mechanic, customer)
    with pytest.raises(NobodyConcerned):
        mail_env.tell(payout("payout.sent", mechanic, new_id()))
    unknown = mail_env.event(session_id, "session.created").model_copy(update={"session_id": new_id()})
    with pytest.raises(NobodyConcerned):
        mail_env.tell(unknown)


def test_events_of_assignments_tell_nobody(mail_env: MailEnv, customer: UUID) -> None:
    session_id = mail_env.queued(customer).session_id
    for event in mail_env.events(session_id):
        if event.type.startswith("assignment."):
            mail_env.tell(event)
    assert (mail_env.noted(), mail_env.deliveries()) == ([], [])


def test_nothing_personal_is_kept_with_an_entry(mail_env: MailEnv, customer: UUID) -> None:
    mechanic = mail_env.mechanic()
    session_id = mail_env.completed(mechanic, customer, notes="Pads worn")
    for event in mail_env.events(session_id):
        mail_env.tell(event)
    mail_env.tell(payout("payout.sent", mechanic, session_id))
    kept = " ".join(row["data"] for row in mail_env.owner.execute("SELECT data::text AS data FROM notifications"))
    assert not [word for word in ("Cora", "Mia", "cora@", "Squeals", "Volvo", "Pads") if word in kept]
    assert set(Kind) >= set(mail_env.noted())
