"""SES's reports of bounces and complaints, shaped as its developer guide documents them."""

from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.database.postgres import Database
from support.events.sqs_records import NO_QUEUE, sqs_record
from support.http.lambda_event import Context, loaded
from support.world import World

ADDRESS = "Cora@Example.com"
MAIL = {
    "timestamp": "2026-11-21T05:00:00.000Z",
    "source": "service@example.com",
    "sourceArn": "arn:aws:ses:eu-central-1:123456789012:identity/service@example.com",
    "sendingAccountId": "123456789012",
    "messageId": "message-1",
    "destination": [ADDRESS],
    "headersTruncated": False,
    "headers": [{"name": "To", "value": ADDRESS}],
    "commonHeaders": {"from": ["service@example.com"], "to": [ADDRESS], "subject": "Your session"},
    "tags": {"ses:configuration-set": ["mail"], "kind": ["session_completed"]},
}


def envelope(detail_type: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "12a18625-3e2d-4a43-a4ec-a0d4d4b6e7ff",
        "detail-type": detail_type,
        "source": "aws.ses",
        "account": "123456789012",
        "time": "2026-11-21T05:00:05Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:ses:eu-central-1:123456789012:configuration-set/mail"],
        "detail": {**detail, "mail": MAIL},
    }


def bounce(kind: str, subtype: str = "General", *addresses: str) -> dict[str, Any]:
    recipients = [
        {"emailAddress": address, "action": "failed", "status": "5.1.1", "diagnosticCode": "smtp; 550 unknown"}
        for address in addresses or (ADDRESS,)
    ]
    facts = {
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": recipients,
        "timestamp": "2026-11-21T05:00:02.669Z",
        "feedbackId": "feedback-1",
        "reportingMTA": "dsn; mta.example.com",
    }
    return envelope("Email Bounced", {"eventType": "Bounce", "bounce": facts})


def complaint(**facts: object) -> dict[str, Any]:
    given = {
        "complainedRecipients": [{"emailAddress": ADDRESS}],
        "timestamp": "2026-11-21T05:00:02.669Z",
        "feedbackId": "feedback-2",
        "complaintSubType": None,
        **facts,
    }
    return envelope("Email Complaint Received", {"eventType": "Complaint", "complaint": given})


class Feedback:
    """MailFeedbackFunction on the test's database."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._handler = loaded("mail_feedback").handler

    def take(self, *envelopes: object) -> list[str]:
        """Hand over one batch; returns the positions of those that are to come again."""
        records = [sqs_record(each, str(number)) for number, each in enumerate(envelopes)]
        answer = self._handler({"Records": records}, Context())
        return [failed["itemIdentifier"] for failed in answer["batchItemFailures"]]

    def suppressed(self) -> list[tuple[str, dict[str, Any]]]:
        rows = self.world.owner.execute("SELECT reason, feedback FROM mail_suppressions ORDER BY reason")
        return [(row["reason"], row["feedback"]) for row in rows]

    def is_suppressed(self, address: str) -> bool:
        query = "SELECT count(*) FROM mail_suppressions WHERE address_hash = address_hash(%s)"
        return bool(self.world.one(query, address))


@pytest.fixture
def feedback(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feedback]:
    for name, value in {**NO_QUEUE, "DATABASE_URL": database.app_url}.items():
        monkeypatch.setenv(name, value)
    world = World(database)
    yield Feedback(world)
    world.close()


def test_a_permanent_bounce_suppresses_the_address_in_every_case_of_letters(feedback: Feedback) -> None:
    assert feedback.take(bounce("Permanent")) == []
    facts = {"messageId": "message-1", "feedbackId": "feedback-1", "type": "Permanent", "subtype": "General"}
    assert feedback.suppressed() == [("bounce", facts)]
    assert feedback.is_suppressed("cora@example.com")
    assert feedback.is_suppressed("CORA@EXAMPLE.COM")
    assert not feedback.is_suppressed("mia@example.com")


@pytest.mark.parametrize("kind", ["Transient", "Undetermined"])
def test_a_bounce_that_may_pass_suppresses_nothing(feedback: Feedback, kind: str) -> None:
    assert feedback.take(bounce(kind, "MailboxFull")) == []
    assert feedback.suppressed() == []


def test_a_complaint_suppresses_whatever_the_provider_calls_it(feedback: Feedback) -> None:
    assert feedback.take(complaint(complaintFeedbackType="abuse", userAgent="AnyCompany")) == []
    (entry,) = feedback.suppressed()
    assert (entry[0], entry[1]["type"]) == ("complaint", "abuse")


def test_a_complaint_without_a_type_counts_too(feedback: Feedback) -> None:
    assert feedback.take(complaint()) == []
    assert feedback.is_suppressed(ADDRESS)


def test_what_is_reported_again_changes_nothing(feedback: Feedback) -> None:
    report = bounce("Permanent")
    assert feedback.take(report, report) == []
    before = feedback.world.owner.execute("SELECT * FROM mail_suppressions").fetchall()
    assert feedback.take(report, complaint()) == []
    assert feedback.world.owner.execute("SELECT * FROM mail_suppressions").fetchall() == before


def test_every_recipient_of_a_bounce_is_suppressed(feedback: Feedback) -> None:
    assert feedback.take(bounce("Permanent", "NoEmail", "a@example.com", "b@example.com", "A@example.com")) == []
    assert feedback.is_suppressed("a@example.com")
    assert feedback.is_suppressed("b@example.com")
    assert len(feedback.suppressed()) == 2


def test_what_is_not_as_documented_comes_again_and_holds_up_nothing(feedback: Feedback) -> None:
    broken = bounce("Permanent")
    del broken["detail"]["bounce"]["bouncedRecipients"]
    assert feedback.take(broken, complaint()) == ["0"]
    assert [reason for reason, _ in feedback.suppressed()] == ["complaint"]


def test_neither_table_nor_log_holds_the_address(
    feedback: Feedback, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    broken = bounce("Permanent")
    broken["detail"]["bounce"]["bouncedRecipients"] = ADDRESS
    feedback.take(bounce("Permanent"), complaint(), broken)
    kept = feedback.world.one("SELECT string_agg(s::text, ' ') FROM mail_suppressions s")
    printed = capsys.readouterr()
    for text in (kept, printed.out, printed.err, caplog.text):
        assert "cora" not in text.lower()
