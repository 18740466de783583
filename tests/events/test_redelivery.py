"""What a consumer could not do comes again within seconds, whichever consumer it is."""

import math

import pytest

from autodoctor.events.redelivery import LONGEST_SECONDS, come_again, wait_seconds
from support.account import Account
from support.account_settings import AccountSettings
from support.events.dead_letter_queues import DeadLetterQueues
from support.events.sqs_records import NO_QUEUE, sqs_record
from support.wait import wait_until

CONSUMED = (
    *("DeliverQueue", "FeedQueue", "MailFeedbackQueue", "MediaQueue", "MediumQueue", "MeetingsQueue", "NotifyQueue"),
    *("PushQueue", "ScansQueue", "SettleQueue"),
)


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    """As on AWS, where nothing but the consumer shortens a visibility time-out."""
    return AccountSettings(longest_redelivery_seconds=math.inf)


@pytest.fixture(scope="module")
def account(account: Account) -> Account:
    """With a message in each queue that its consumer cannot read."""
    queues = DeadLetterQueues(account.cloud.api_url)
    for name in CONSUMED:
        queues.put(name, "not JSON")
    return account


@pytest.mark.parametrize("queue", CONSUMED)
def test_what_failed_is_tried_again_and_again(account: Account, queue: str) -> None:
    def tries() -> int:
        polled = [line.text.partition(" ->")[0] for line in [*account.lines] if line.kind == "queue"]
        return polled.count(queue) + polled.count(f"{queue}.fifo")

    wait_until(lambda: tries() >= 3)


def test_each_wait_is_twice_as_long_up_to_half_a_minute() -> None:
    assert [wait_seconds(received) for received in range(1, 7)] == [2, 4, 8, 16, 25, 25]
    assert wait_seconds(1_000) == LONGEST_SECONDS


def test_a_queue_that_does_not_answer_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in NO_QUEUE.items():
        monkeypatch.setenv(name, value)
    come_again([sqs_record({}, "1")])
    assert "messages come again late" in caplog.text
