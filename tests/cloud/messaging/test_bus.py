"""The bus takes, matches and delivers as EventBridge does, also under injected faults."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from localcloud.messaging.bus_faults import Mode
from localcloud.messaging.event_bus import BusEvent
from localcloud.stack.cloudformation import TemplateError
from localcloud.stack.template import read_stack
from support.events.bus_app import BUS, RunningBusApp, open_bus_app
from support.wait import wait_until


@pytest.fixture
def bus_app(tmp_path: Path) -> Iterator[RunningBusApp]:
    with open_bus_app(tmp_path) as bus_app:
        yield bus_app


def test_delivers_the_envelope_to_the_queue_of_each_rule_that_matches(bus_app: RunningBusApp) -> None:
    answer = bus_app.put("first", plain=True)
    assert answer["FailedEntryCount"] == 0
    wait_until(lambda: len(bus_app.noted()) == 2)
    bodies = {
        record["eventSourceARN"].rpartition(":")[2]: json.loads(record["body"])
        for entry in bus_app.noted()
        for record in entry["records"]
    }
    envelope = bodies["OrderedQueue.fifo"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(envelope.pop("time"))).total_seconds() < 30
    assert envelope == {
        "version": "0",
        "id": answer["Entries"][0]["EventId"],
        "detail-type": "order.made",
        "source": "shop",
        "account": "123456789012",
        "region": "eu-central-1",
        "resources": [],
        "detail": {"name": "first", "plain": True},
    }
    assert bodies["PlainQueue"] == {"name": "first", "plain": True}  # its rule has an InputPath


def test_answers_for_each_entry(bus_app: RunningBusApp) -> None:
    good = {"Source": "shop", "DetailType": "order.made", "Detail": '{"name": 1}', "EventBusName": BUS}
    entries = [
        good,
        {**good, "Detail": "{"},
        {**good, "Detail": "[]"},
        {**good, "Source": "aws.ses"},
        {key: value for key, value in good.items() if key != "DetailType"},
    ]
    answer = bus_app.events.put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 4
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == [
        None,
        "MalformedDetail",
        "MalformedDetail",
        "NotAuthorizedForSourceException",
        "InvalidArgument",
    ]
    wait_until(lambda: bus_app.names() == [1])


def test_loses_what_is_put_on_a_bus_that_is_not_there_without_a_word(bus_app: RunningBusApp) -> None:
    assert bus_app.put("lost", bus="no-such-bus")["FailedEntryCount"] == 0
    [line] = [line for line in bus_app.lines if line.kind == "bus"]
    assert "no bus no-such-bus, lost" in line.text
    with pytest.raises(bus_app.events.exceptions.ResourceNotFoundException):
        bus_app.events.describe_event_bus(Name="no-such-bus")
    assert bus_app.events.describe_event_bus(Name=BUS)["Arn"].endswith(f":event-bus/{BUS}")


def test_takes_ten_entries_and_a_megabyte_at_most(bus_app: RunningBusApp) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        bus_app.put(*range(11))
    with pytest.raises(ClientError, match="over the limit"):
        bus_app.put("large", text="x" * 1_048_576)


def test_gives_events_of_services_to_rules_of_the_default_bus(bus_app: RunningBusApp) -> None:
    bounced = BusEvent("aws.ses", "Email Bounced", {"mail": "id"})
    bus_app.cloud.put_events([bounced, BusEvent("aws.ses", "Email Opened", {})])
    [body] = bus_app.bodies("UnreadQueue", WaitTimeSeconds=20)
    assert json.loads(body)["detail"] == {"mail": "id"}


def test_tries_again_and_gives_up_to_the_dead_letters_of_the_rule(bus_app: RunningBusApp) -> None:
    bus_app.faults.undeliverable = frozenset({"OrderedQueue.fifo"})
    bus_app.put("stuck")
    [letter] = bus_app.receive("BusDeadLetterQueue", WaitTimeSeconds=20)
    said = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert said["RULE_ARN"].endswith(f":rule/{BUS}/OrderedRule")
    assert said["TARGET_ARN"].endswith(":OrderedQueue.fifo")
    assert (said["ERROR_CODE"], said["RETRY_ATTEMPTS"]) == ("THROTTLING", "1")
    assert said["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert json.loads(letter["Body"])["detail"] == {"name": "stuck"}
    assert "AWSTraceHeader" not in letter["Attributes"]


def test_hands_on_the_trace_of_an_entry_also_to_dead_letters(bus_app: RunningBusApp) -> None:
    header = f"Root=1-5759e988-{'b' * 24};Parent={'5' * 16};Sampled=1"
    bus_app.faults.undeliverable = frozenset({"OrderedQueue.fifo"})
    bus_app.events.put_events(
        Entries=[
            {"Source": "shop", "DetailType": "order.made", "Detail": "{}", "EventBusName": BUS, "TraceHeader": header}
        ]
    )
    [letter] = bus_app.receive("BusDeadLetterQueue", WaitTimeSeconds=20)
    assert letter["Attributes"]["AWSTraceHeader"] == header
    assert header not in letter["Body"]


def test_delivers_late_what_failed_for_a_moment(bus_app: RunningBusApp) -> None:
    bus_app.faults.undeliverable = frozenset({"OrderedQueue.fifo"})
    bus_app.put("late")
    bus_app.faults.undeliverable = frozenset()
    wait_until(lambda: bus_app.names() == ["late"])


@pytest.mark.parametrize(
    ("mode", "error", "taken"),
    [
        ("refuses", ClientError, False),
        ("hangs", ReadTimeoutError, False),
        ("cuts", ConnectionClosedError, False),
        ("cuts_after_taking", ConnectionClosedError, True),
    ],
)
def test_can_be_broken(bus_app: RunningBusApp, mode: Mode, error: type[Exception], taken: bool) -> None:  # noqa: FBT001 - a column of the table
    bus_app.faults.mode = mode
    with pytest.raises(error):
        bus_app.put_in_vain("during", give_up_seconds=1 if mode == "hangs" else 60)
    bus_app.faults.mode = "works"
    bus_app.put("after")
    wait_until(lambda: "after" in bus_app.names())
    assert ("during" in bus_app.names()) == taken


def test_can_refuse_single_entries(bus_app: RunningBusApp) -> None:
    bus_app.faults.refuse_entry = lambda entry: '"odd"' in str(entry["Detail"])
    answer = bus_app.put("even", "odd")
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][1]["ErrorCode"] == "InternalFailure"
    wait_until(lambda: bus_app.names() == ["even"])


def test_can_deliver_everything_three_times_and_shuffled(bus_app: RunningBusApp) -> None:
    bus_app.faults.copies = 3
    bus_app.faults.spread_seconds = 0.5
    bus_app.put(*range(10))
    wait_until(lambda: len(bus_app.names()) == 30)
    assert sorted(bus_app.names(), key=str) == sorted([*range(10)] * 3, key=str)
    assert bus_app.names() != sorted(bus_app.names(), key=str)


def test_an_event_does_not_wait_for_the_next_poll(bus_app: RunningBusApp) -> None:
    """Each is put just after the last was delivered: a poller that looked once a second would let each wait for it."""

    def takes_half_a_second(number: int) -> bool:
        began = time.monotonic()
        bus_app.put(number)
        wait_until(lambda: number in bus_app.names())
        return time.monotonic() - began > 0.5

    assert not all(map(takes_half_a_second, range(40))), "one in forty is quick however busy the machine"


RULE = """
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Line: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}
  Function: {Type: AWS::Serverless::Function, Properties: {CodeUri: x/, Handler: a.b, Runtime: python3.13, Events: %s}}
  Rule: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [a]}, Targets: [%s]}}
  Redriven: {Type: AWS::SQS::Queue, Properties: %s}
"""


@pytest.mark.parametrize(
    ("events", "target", "queue", "complaint"),
    [
        ("{}", "{Id: a, Arn: 'arn:aws:sns:x:1:topic'}", "{}", "only queues are targets"),
        ("{}", "{Id: a, Arn: !GetAtt Queue.Arn, InputTransformer: {}}", "{}", "InputTransformer"),
        ("{}", "{Id: a, Arn: !GetAtt Queue.Arn, DeadLetterConfig: {Arn: !GetAtt Line.Arn}}", "{}", "standard queue"),
        ("{}", "", "{RedrivePolicy: {deadLetterTargetArn: !GetAtt Line.Arn, maxReceiveCount: 1}}", "of its kind"),
        ("{}", "", "{FifoQueue: true, QueueName: plain}", "ends in .fifo"),
        ("{E: {Type: EventBridgeRule, Properties: {Pattern: {source: [a]}}}}", "", "{}", "a queue stands between"),
        ("{E: {Type: SQS, Properties: {Queue: !Ref Queue}}}", "", "{}", "not the ARN of a queue"),
        ("{E: {Type: SQS, Properties: {Queue: !GetAtt Line.Arn, BatchSize: 11}}}", "", "{}", "batches of 10"),
    ],
)
def test_refuses_a_template_that_does_not_deploy(
    tmp_path: Path, events: str, target: str, queue: str, complaint: str
) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(RULE % (events, target, queue))
    with pytest.raises(TemplateError, match=complaint):
        read_stack(template, {})
