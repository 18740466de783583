"""House rules of every function: its alarms, its log group, its code, and the destination of its failures."""

import re
from pathlib import Path
from typing import Any

from support.template.alarms import watched, watches

type Document = dict[str, Any]

RESERVED = "ReservedConcurrentExecutions"
UNRESERVED_AT_LEAST = 100  # AWS refuses to reserve more than the limit less this
# Events whose sender does not wait for the answer; what fails there must end in a queue.
ASYNCHRONOUS = {"Schedule", "ScheduleV2", "EventBridgeRule", "CloudWatchEvent", "S3", "SNS"}


def test_every_function_has_an_alarm_on_errors_and_throttles(functions: Document, alarms: Document) -> None:
    expected = [{"FunctionName": {"Ref": name}} for name in functions]
    for metric in ("Errors", "Throttles"):
        assert sorted(watched(alarms, "AWS/Lambda", metric), key=str) == sorted(expected, key=str)
    for name, alarm in alarms.items():
        if name.endswith("FailuresAlarm"):
            returned, *others = alarm["Metrics"]
            assert returned["Id"] == "failures", name
            assert returned["Expression"] == " + ".join(f"FILL({each['Id']}, 0)" for each in others), name
            assert not any(each.get("ReturnData", True) for each in others), name


def references(value: Any) -> list[str]:  # noqa: ANN401 - a dimension's value is a name or an intrinsic
    """Return the resource that a dimension names, if it names one by an intrinsic function."""
    if not isinstance(value, dict) or "Fn::Sub" in value or value == {"Ref": "AWS::StackName"}:
        return []
    return [value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]]


def test_every_alarm_tells_somebody(alarms: Document) -> None:
    assert [name for name, alarm in alarms.items() if alarm.get("AlarmActions") != [{"Ref": "AlarmTopic"}]] == []


def test_an_alarm_exists_when_what_it_watches_exists(transformed: Document, alarms: Document) -> None:
    for watch in watches(alarms):
        for value in watch.dimensions.values():
            for watched_name in references(value):
                condition = transformed[watch.alarm].get("Condition")
                assert condition == transformed[watched_name].get("Condition"), watch.alarm


def test_every_function_writes_to_a_log_group_that_has_its_name(
    template: Document, functions: Document, transformed: Document
) -> None:
    named = set()
    for name, function in functions.items():
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        assert group == f"{name.removesuffix('Function')}LogGroup"
        assert group in transformed, f"{name} is not in the loop"
        words = re.findall("[A-Z][a-z]+", name.removesuffix("Function"))
        pattern = transformed[group]["Properties"]["LogGroupName"]["Fn::Sub"]
        if isinstance(pattern, list):  # of the loop: a pattern and the part that it looks up
            named.add(name.removesuffix("Function"))
            pattern = pattern[0].replace("${Suffix}", str(pattern[1]["Suffix"]))
        assert pattern == f"/aws/lambda/${{AWS::StackName}}-{'-'.join(words).lower()}"
    assert named == set(template["Mappings"]["LogGroups"])


def test_every_log_group_forgets(transformed: Document) -> None:
    groups = [each["Properties"] for each in transformed.values() if each["Type"] == "AWS::Logs::LogGroup"]
    assert groups
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups)


def test_what_fails_asynchronously_ends_in_an_encrypted_queue(resources: Document, transformed: Document) -> None:
    asynchronous = 0
    for name, function in resources.items():
        for event_name, event in function["Properties"].get("Events", {}).items():
            if event["Type"] not in ASYNCHRONOUS:
                continue
            asynchronous += 1
            failed = transformed[f"{name}EventInvokeConfig"]["Properties"]["DestinationConfig"]["OnFailure"]
            undelivered = transformed[f"{name}{event_name}"]["Properties"]["Target"]["DeadLetterConfig"]["Arn"]
            for target in (failed["Destination"], undelivered):
                queue = target["Fn::GetAtt"][0]
                assert transformed[queue]["Properties"]["SqsManagedSseEnabled"] is True
    assert asynchronous == 10


def test_a_scheduled_run_that_failed_is_tried_again_before_it_is_a_dead_letter(transformed: Document) -> None:
    """Lambda does so a minute later, and only while the event is not too old: what was away for seconds is back."""
    configs = [each["Properties"] for each in transformed.values() if each["Type"] == "AWS::Lambda::EventInvokeConfig"]
    assert configs
    for config in configs:
        assert config["MaximumRetryAttempts"] >= 1
        assert config["MaximumEventAgeInSeconds"] >= 3 * 60


def test_every_schedule_retries_and_has_a_dead_letter_queue(transformed: Document) -> None:
    schedules = [each for each in transformed.values() if each["Type"] == "AWS::Scheduler::Schedule"]
    assert schedules
    for schedule in schedules:
        target = schedule["Properties"]["Target"]
        assert target["RetryPolicy"]["MaximumRetryAttempts"] >= 1
        assert target["DeadLetterConfig"]["Arn"]


def test_the_duration_alarm_rings_before_the_time_out(functions: Document, alarms: Document) -> None:
    durations = [alarm for alarm in alarms.values() if alarm.get("MetricName") == "Duration"]
    assert durations
    for alarm in durations:
        timeout = functions[alarm["Dimensions"][0]["Value"]["Ref"]]["Timeout"]
        assert 0.5 * timeout < alarm["Threshold"] / 1000 < timeout


def test_a_folder_is_a_function_and_a_function_is_a_folder(resources: Document, root: Path) -> None:
    folders = {f"functions/{folder.parent.name}/" for folder in (root / "functions").glob("*/app.py")}
    functions = {n: r for n, r in resources.items() if r["Type"] == "AWS::Serverless::Function"}
    assert {function["Properties"]["CodeUri"] for function in functions.values()} == folders
    for name, function in functions.items():
        words = function["Properties"]["CodeUri"].split("/")[1].split("_")
        assert name == "".join(word.capitalize() for word in words) + "Function"


def test_every_function_runs_the_one_handler_of_its_folder(functions: Document, template: Document) -> None:
    assert {function["Handler"] for function in functions.values()} == {"app.handler"}
    assert {function["Runtime"] for function in functions.values()} == {"python3.13"}
    assert template["Globals"]["Function"]["Handler"] == "app.handler"


def test_only_the_migration_is_given_the_owner_of_the_database(functions: Document) -> None:
    secrets = {
        name: function["Environment"]["Variables"]["DATABASE_SECRET_ARN"] for name, function in functions.items()
    }
    made = {"Fn::GetAtt": ["DatabaseCluster", "MasterUserSecret.SecretArn"]}
    assert secrets.pop("MigrateFunction") == {"Fn::If": ["MakesDatabase", made, {"Ref": "MigrationSecretArn"}]}
    assert set(map(str, secrets.values())) == {
        str({"Fn::If": ["MakesDatabase", {"Ref": "AppSecret"}, {"Ref": "AppSecretArn"}]})
    }
    told = {name for name, function in functions.items() if "APP_SECRET_ARN" in function["Environment"]["Variables"]}
    assert told == {"MigrateFunction"}


def test_the_sweep_never_runs_twice_at_once(functions: Document) -> None:
    assert functions["ExpireOrphansFunction"]["ReservedConcurrentExecutions"]["Fn::If"][1] == 1


def test_capacity_is_reserved_only_where_the_account_has_some_and_the_parameter_says_how_much(
    functions: Document, template: Document
) -> None:
    reserved = {name: each["ReservedConcurrentExecutions"] for name, each in functions.items() if RESERVED in each}
    assert all(each["Fn::If"][::2] == ["ReservesConcurrency", {"Ref": "AWS::NoValue"}] for each in reserved.values())
    in_all = sum(each["Fn::If"][1] for each in reserved.values())
    said = " ".join(template["Parameters"]["ReserveConcurrency"]["Description"].split())
    assert f"({in_all} in all). An account whose limit is below {in_all + UNRESERVED_AT_LEAST}" in said


def test_a_schedule_that_does_not_run_raises_an_alarm(transformed: Document, alarms: Document) -> None:
    silent = [alarm for alarm in alarms.values() if alarm.get("MetricName") == "Invocations"]
    seen = {alarm["Dimensions"][0]["Value"]["Ref"] for alarm in silent}
    scheduled = [each["Properties"] for each in transformed.values() if each["Type"] == "AWS::Scheduler::Schedule"]
    # These run for other reasons too; what their sweeps miss has alarms of its own.
    run = {each["Target"]["Arn"]["Fn::GetAtt"][0] for each in scheduled}
    assert seen == run - {"CheckoutFunction", "SettleFunction", "ScansFunction", "MediaFunction"}
    assert all(alarm["TreatMissingData"] == "breaching" for alarm in silent)


def test_every_function_that_reads_the_database_can_read_its_secret(functions: Document) -> None:
    extension = {"Fn::If": ["HasSecretsExtension", {"Ref": "SecretsExtensionLayerArn"}, {"Ref": "AWS::NoValue"}]}
    for name, function in functions.items():
        assert (extension in function.get("Layers", [])) is ("VpcConfig" in function), name
