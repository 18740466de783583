"""Bus, rules and queues lose nothing: retries, dead letters, time to finish, and alarms that call an operator."""

import re
from collections.abc import Iterator
from typing import Any

from support.emulator.consumers import HEARD, UNSEEN, WRITTEN, consumers
from support.template.alarms import watched, watches

type Document = dict[str, Any]

FOURTEEN_DAYS = 14 * 24 * 3600
STACK = {"Ref": "AWS::StackName"}


def redriven(queues: Document) -> dict[str, str]:
    """Return the dead-letter queue of each queue that has one."""
    return {
        name: queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for name, queue in queues.items()
        if "RedrivePolicy" in queue
    }


BY_CHIME = "MeetingsQueue"
"""Chime itself fills it: each meeting names it."""


def consumed(sources: Document) -> list[tuple[str, str]]:
    """Return each consumer with a queue that it reads."""
    return [(each["FunctionName"]["Ref"], each["EventSourceArn"]["Fn::GetAtt"][0]) for each in sources.values()]


def targets(rules: Document) -> Iterator[tuple[str, Document]]:
    """Yield every target with the name of its rule."""
    for name, rule in rules.items():
        yield from ((name, target) for target in rule["Targets"])


def test_every_target_of_a_rule_is_retried_and_has_a_dead_letter_queue(rules: Document, queues: Document) -> None:
    assert rules
    for name, target in targets(rules):
        assert target["RetryPolicy"]["MaximumRetryAttempts"] >= 10, name
        assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] >= 3600, name
        # EventBridge takes a standard queue only.
        assert "FifoQueue" not in queues[target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]], name


def test_a_rule_fills_a_queue_that_a_function_empties(rules: Document, sources: Document) -> None:
    filled = [target["Arn"]["Fn::GetAtt"][0] for _, target in targets(rules)]
    assert sorted([*filled, BY_CHIME]) == sorted(queue for _, queue in consumed(sources))


def test_every_queue_with_a_consumer_sets_aside_what_fails_again_and_again(queues: Document, sources: Document) -> None:
    dead_letters = redriven(queues)
    assert {queue for _, queue in consumed(sources)} == set(dead_letters)
    shared = [queue for queue, letters in dead_letters.items() if list(dead_letters.values()).count(letters) > 1]
    # SQS sends each message back to the queue it came from, so one function's queues may share.
    assert {function for function, queue in consumed(sources) if queue in shared} <= {"MediaFunction"}
    for name, letters in dead_letters.items():
        assert queues[name]["RedrivePolicy"]["maxReceiveCount"] >= 5
        assert queues[name].get("FifoQueue") == queues[letters].get("FifoQueue")


def test_dead_letters_wait_for_fourteen_days_behind_an_alarm(queues: Document, alarms: Document) -> None:
    letters = set(queues) - set(redriven(queues))
    assert all(queues[name]["MessageRetentionPeriod"] == FOURTEEN_DAYS for name in letters)
    seen = watched(alarms, "AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert sorted(each["QueueName"]["Fn::GetAtt"][0] for each in seen) == sorted(letters)
    for name in ("ConsumersDeadLetterAlarm", "SettleDeadLetterAlarm", "UndeliveredAlarm"):
        assert (alarms[name]["Threshold"], alarms[name]["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    of_letters = {each.alarm for each in watches(alarms) if each.metric == "ApproximateNumberOfMessagesVisible"}
    assert of_letters == {"ConsumersDeadLetterAlarm", "SettleDeadLetterAlarm", "UndeliveredAlarm"}


def test_an_expression_combines_every_metric_of_its_alarm_and_no_more_than_cloudwatch_takes(alarms: Document) -> None:
    combined = {name: alarm["Metrics"] for name, alarm in alarms.items() if "Metrics" in alarm}
    assert {"RulesFailedAlarm", "ConsumersBehindAlarm", "ConsumersDeadLetterAlarm", "UndeliveredAlarm"} <= set(combined)
    for name, (expression, *metrics) in combined.items():
        assert 2 <= len(metrics) <= 10, name  # PutMetricAlarm takes ten
        ids = [each["Id"] for each in metrics]
        assert all(each["ReturnData"] is False for each in metrics), name
        # One that is silent must not hide the others: where a metric has no value, the expression would have none.
        assert sorted(re.findall(r"FILL\((\w+), 0\)", expression["Expression"])) == sorted(ids), name


def test_a_consumer_that_falls_behind_raises_an_alarm(queues: Document, alarms: Document) -> None:
    seen = watched(alarms, "AWS/SQS", "ApproximateAgeOfOldestMessage")
    assert sorted(each["QueueName"]["Fn::GetAtt"][0] for each in seen) == sorted(redriven(queues))


def test_every_queue_is_encrypted(queues: Document) -> None:
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())


def test_a_message_stays_hidden_for_six_times_as_long_as_its_consumer_may_run(
    queues: Document, functions: Document, sources: Document
) -> None:
    for function, queue in consumed(sources):
        assert queues[queue]["VisibilityTimeout"] >= 6 * functions[function]["Timeout"], queue


def test_every_consumer_answers_for_each_message_of_its_batch(sources: Document) -> None:
    assert sources
    for name, source in sources.items():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
        assert source["BatchSize"] == 10, name


def test_no_consumer_takes_every_connection_of_the_database(queues: Document, sources: Document) -> None:
    for source in sources.values():
        queue = source["EventSourceArn"]["Fn::GetAtt"][0]
        # A FIFO queue with one message group has one reader anyway.
        assert "FifoQueue" in queues[queue] or source["ScalingConfig"]["MaximumConcurrency"] <= 10


def test_the_feed_is_one_strict_sequence(rules: Document, queues: Document) -> None:
    (target,) = rules["FeedRule"]["Targets"]
    assert target["SqsParameters"] == {"MessageGroupId": "feed"}
    assert queues["FeedQueue"]["FifoQueue"] is True
    assert queues["FeedQueue"]["ContentBasedDeduplication"] is True


def test_rules_see_our_own_events_and_those_of_the_mail_service(rules: Document) -> None:
    assert rules["FeedRule"]["EventPattern"] == {
        "source": ["autodoctor"],
        "detail-type": [{"prefix": "session."}, {"prefix": "assignment."}, {"prefix": "mechanic."}],
    }
    of_money = {"payout.sent", "payout.failed", "receipt.issued"}
    of_money |= {"payment.unfulfillable", "payment.failed", "payment.late", "payment.refund_failed"}
    of_quotes = {"quote.requested", "quote.given", "quote.approved"}
    of_notes = {"reply.late", "mechanic.set_away", "mechanic.suspended", "summary.ready", "notes.added"}
    of_sessions = {f"session.{each}" for each in ("created", "pending", "waiting", "ended", "expired")}
    of_contests = {"contest.opened", "contest.decided"}
    told = {*of_sessions, *of_money, *of_quotes, *of_notes, *of_contests}
    assert rules["NotifyRule"]["EventPattern"]["source"] == ["autodoctor"]
    assert set(rules["NotifyRule"]["EventPattern"]["detail-type"]) == told
    requests = ("queued", "offered", "opened", "accepted", "declined", "cancelled", "expired")
    calls = {*(f"assignment.{each}" for each in requests), "session.pending", "session.waiting"}
    assert rules["PushRule"]["EventPattern"]["source"] == ["autodoctor"]
    assert set(rules["PushRule"]["EventPattern"]["detail-type"]) == {*calls, "message.posted", "quote.given"}
    assert rules["PushRule"]["EventPattern"]["detail"] == {
        "role": ["customer", "mechanic", {"exists": False}],
        "heard": [False, {"exists": False}],
    }
    assert rules["SettleRule"]["EventPattern"] == {
        "source": ["autodoctor"],
        "detail-type": ["session.ended", "session.expired"],
    }
    for name in ("FeedRule", "NotifyRule", "PushRule", "SettleRule"):
        assert rules[name]["EventBusName"] == {"Ref": "EventBus"}
    assert "EventBusName" not in rules["MailFeedbackRule"]  # SES reports to the default bus only
    assert rules["MailFeedbackRule"]["EventPattern"]["source"] == ["aws.ses"]


def test_a_rule_that_cannot_deliver_raises_an_alarm(rules: Document, alarms: Document) -> None:
    expected = []
    for rule in rules.values():
        bus = {"EventBusName": rule["EventBusName"]} if "EventBusName" in rule else {}
        expected.append({**bus, "RuleName": rule["Name"]})
    assert sorted(watched(alarms, "AWS/Events", "FailedInvocations"), key=str) == sorted(expected, key=str)


def test_our_own_metrics_raise_alarms_as_powertools_names_them(alarms: Document, template: Document) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    for metric in ("OutboxAge", "OutboxDepth", "PoisonEvents", "PublishFailed", "SettlementsMissed"):
        seen = watched(alarms, variables["POWERTOOLS_METRICS_NAMESPACE"], metric)
        assert seen == [{"service": variables["POWERTOOLS_SERVICE_NAME"]}], metric


def test_a_stack_watches_its_own_metrics_only(alarms: Document, template: Document, resources: Document) -> None:
    assert template["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == STACK
    ours = [each for each in watches(alarms) if each.namespace == "AutoDoctor"]
    assert len(ours) > 10
    assert all(each.dimensions == {"service": STACK} for each in ours)
    widgets = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert set(re.findall(r'"service", "([^"]*)"', widgets)) == {"${AWS::StackName}"}


def test_a_stack_hears_of_the_bounces_of_its_own_mails_only(rules: Document) -> None:
    (tag,) = rules["MailFeedbackRule"]["EventPattern"]["detail"]["mail"]["tags"]["ses:configuration-set"]
    assert tag == {"Ref": "MailConfigurationSet"}


def test_the_walk_on_another_aws_asks_what_each_consumer_has_done(resources: Document) -> None:
    assert consumers(resources) == WRITTEN.keys() | HEARD.keys() | UNSEEN.keys()


def test_bounces_and_mails_to_be_sent_wait_as_long_as_dead_letters(queues: Document) -> None:
    assert all(queues[name]["MessageRetentionPeriod"] == FOURTEEN_DAYS for name in ("NotifyQueue", "MailFeedbackQueue"))


def test_bounces_and_complaints_reach_the_default_bus(transformed: Document) -> None:
    destination = transformed["MailEventDestination"]["Properties"]
    assert destination["ConfigurationSetName"] == {"Ref": "MailConfigurationSet"}
    assert destination["EventDestination"]["MatchingEventTypes"] == ["bounce", "complaint"]
    arn = destination["EventDestination"]["EventBridgeDestination"]["EventBusArn"]["Fn::Sub"]
    assert arn.endswith(":event-bus/default")
