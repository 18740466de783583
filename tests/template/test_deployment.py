"""A deployment comes up, in the right order and also the first time, or is refused before it makes anything."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from localcloud.identity.sign_in import ACCESS_SECONDS, GRACE_SECONDS, REFRESH_SECONDS
from localcloud.stack.cloudformation import Resolver, load

type Document = dict[str, Any]

BROUGHT = {"DatabaseHost": "db.example", "AppSecretArn": "arn:app", "MigrationSecretArn": "arn:owner"}
MADE = {"MakeDatabase": "yes", "VpcId": "vpc-1", "VpcSubnetIds": "subnet-1,subnet-2"}
EXTENSION = {"SecretsExtensionLayerArn": "arn:aws:lambda:eu-central-1:1:layer:extension:1"}
# README: the longest name of a stack. Functions and schedules carry it in their names of at most 64 characters.
LONGEST_STACK = 24
LONGEST_NAME = 64
RANDOM_PART = len("-123456789012")
LAMBDAS = {"TRACE": "TRACE", "DEBUG": "DEBUG", "INFO": "INFO", "WARN": "INFO", "ERROR": "INFO", "FATAL": "INFO"}
"""Each level that Lambda knows, and the one by which it then filters."""


def refusals(root: Path, given: Mapping[str, str]) -> list[str]:
    """Return what the template's Rules say against these parameters."""
    document = load(root / "template.yaml")
    rules: Any = document["Rules"]
    resolver = Resolver(document, given)
    return [
        assertion["AssertDescription"]
        for rule in rules.values()
        if resolver.resolve(rule.get("RuleCondition", True))
        for assertion in rule["Assertions"]
        if not resolver.resolve(assertion["Assert"])
    ]


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        (BROUGHT, []),
        (MADE, []),
        ({**BROUGHT, "VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}, []),
        ({**BROUGHT, "SecretsExtensionLayerArn": ""}, ["SecretsExtensionLayerArn"]),
        ({**BROUGHT, "DatabaseHost": ""}, ["DatabaseHost"]),
        ({**BROUGHT, "AppSecretArn": ""}, ["AppSecretArn and MigrationSecretArn"]),
        ({**BROUGHT, "VpcSubnetIds": "subnet-1"}, ["VpcSecurityGroupIds"]),
        ({**MADE, "VpcId": ""}, ["VpcId"]),
        ({**MADE, "VpcSubnetIds": ""}, ["VpcSubnetIds"]),
        ({**MADE, "DatabasePort": "5433"}, ["DatabasePort 5432"]),
        ({**BROUGHT, "JwtIssuer": "https://issuer.example"}, ["JwtAudience"]),
        ({**BROUGHT, "DomainName": "app.example.com"}, ["CertificateArn"]),
        ({**BROUGHT, "FeedDomainName": "feed.example.com"}, ["CertificateArn"]),
        ({**BROUGHT, "FeedDomainName": "feed.example.com", "CertificateArn": "arn:certificate"}, []),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused_at_once(
    root: Path, given: dict[str, str], needed: list[str]
) -> None:
    said = refusals(root, {**EXTENSION, **given})
    assert len(said) == len(needed)
    assert all(part in sentence for part, sentence in zip(needed, said, strict=True))


def test_rules_are_made_of_what_cloudformation_lets_stand_in_them(template: Document) -> None:
    """Others pass every linter, and CloudFormation refuses the whole template for them."""
    known = {"And", "Contains", "EachMemberEquals", "EachMemberIn", "Equals", "If", "Not", "Or", "RefAll", "ValueOf"}
    used = set(re.findall(r'"Fn::(\w+)"', json.dumps(template["Rules"])))
    assert used
    assert used <= known | {"ValueOfAll"}


def test_the_schema_is_made_before_anything_uses_it(resources: Document, transformed: Document) -> None:
    waiting = {name for name, each in resources.items() if "Schema" in each.get("DependsOn", [])}
    using = {name for name, each in resources.items() if "VpcConfig" in each["Properties"]}
    assert waiting - {"DatabaseProxyTargets"} == using - {"MigrateFunction"}
    # CloudFormation waits for the proxy to log in, as a role that only the schema makes.
    assert transformed["DatabaseProxyTargets"]["DependsOn"] == ["DatabaseInstance", "Schema"]


def test_the_schema_is_brought_up_to_date_when_its_files_change(transformed: Document) -> None:
    schema = transformed["Schema"]["Properties"]
    assert schema["ServiceToken"] == {"Fn::GetAtt": ["MigrateFunction", "Arn"]}
    layer = schema["Release"]["Ref"]  # its logical id holds a hash of the layer, which holds the files
    assert transformed[layer]["Type"] == "AWS::Lambda::LayerVersion"
    assert re.fullmatch("SharedLayer[0-9a-f]{10}", layer)
    assert schema["Instance"] == {"Fn::If": ["MakesDatabase", {"Ref": "DatabaseInstance"}, ""]}
    assert schema["ServiceTimeout"] > transformed["MigrateFunction"]["Properties"]["Timeout"]


def test_a_first_deployment_that_fails_leaves_nothing_behind(transformed: Document) -> None:
    kept = {name: each["DeletionPolicy"] for name, each in transformed.items() if "DeletionPolicy" in each}
    layers = {name for name, each in transformed.items() if each["Type"] == "AWS::Lambda::LayerVersion"}
    assert len(layers) == 4
    retained = {name for name, policy in kept.items() if policy == "RetainExceptOnCreate"}
    assert retained == layers | {"UserPool", "FilesBucket"}
    assert "Retain" not in kept.values()
    cluster, pool = transformed["DatabaseCluster"]["Properties"], transformed["UserPool"]["Properties"]
    assert cluster["DeletionProtection"] == {"Fn::If": ["ProtectsData", True, False]}
    assert pool["DeletionProtection"] == {"Fn::If": ["ProtectsData", "ACTIVE", "INACTIVE"]}


def test_data_is_protected_unless_somebody_says_otherwise(template: Document) -> None:
    assert template["Parameters"]["ProtectData"]["Default"] == "yes"


def test_the_level_that_lambda_filters_by_is_the_one_of_the_parameter(functions: Document, template: Document) -> None:
    for name, function in functions.items():
        logging = {key: value for key, value in function["LoggingConfig"].items() if key != "LogGroup"}
        # A line with metrics has no level, which Lambda takes for INFO: with WARN it would drop them.
        level = {"Fn::If": ["LogsDetails", {"Ref": "LogLevel"}, "INFO"]}
        assert logging == {"LogFormat": "JSON", "ApplicationLogLevel": level, "SystemLogLevel": "WARN"}, name
        variables = function["Environment"]["Variables"]
        assert variables["APPLICATION_LOG_LEVEL"] == {"Ref": "LogLevel"}, name
        assert "POWERTOOLS_LOG_LEVEL" not in variables, name
    assert template["Parameters"]["LogLevel"]["AllowedValues"] == list(LAMBDAS)


@pytest.mark.parametrize(("level", "lambdas"), LAMBDAS.items())
def test_lambda_never_drops_a_line_with_metrics(root: Path, level: str, lambdas: str) -> None:
    resolver = Resolver(load(root / "template.yaml"), {"LogLevel": level})
    assert resolver.resolve({"Fn::If": ["LogsDetails", {"Ref": "LogLevel"}, "INFO"]}) == lambdas


def test_routes_are_not_billed_as_metrics(transformed: Document) -> None:
    stages = [each["Properties"] for each in transformed.values() if each["Type"] == "AWS::ApiGatewayV2::Stage"]
    assert len(stages) == 2
    assert not any(stage["DefaultRouteSettings"]["DetailedMetricsEnabled"] for stage in stages)


def test_users_are_found_whatever_the_case_of_their_address_and_get_their_mails(transformed: Document) -> None:
    pool = transformed["UserPool"]["Properties"]
    assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
    assert pool["UserPoolTier"] == {"Ref": "UserPoolPlan"}
    assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("OPTIONAL", ["SOFTWARE_TOKEN_MFA"])
    condition, ours, cognitos = pool["EmailConfiguration"]["Fn::If"]
    assert (condition, cognitos) == ("CognitoMails", {"Ref": "AWS::NoValue"})
    assert (ours["EmailSendingAccount"], ours["From"]) == ("DEVELOPER", {"Ref": "MailFrom"})


@pytest.mark.parametrize(("sender", "ours"), [("notifications@example.com", False), ("a@workshop.example", True)])
def test_the_pool_sends_as_mail_from_once_that_is_set(root: Path, sender: str, ours: bool) -> None:  # noqa: FBT001
    assert Resolver(load(root / "template.yaml"), {"MailFrom": sender}).condition("CognitoMails") is ours


def test_a_callers_wait_for_a_connection_ends_before_its_time_out(transformed: Document, functions: Document) -> None:
    pool = transformed["DatabaseProxyTargets"]["Properties"]["ConnectionPoolConfigurationInfo"]
    assert pool["ConnectionBorrowTimeout"] < min(each["Timeout"] for each in functions.values() if "VpcConfig" in each)
    assert pool["MaxConnectionsPercent"] < 100


def test_a_domain_leads_to_the_api_and_another_to_the_feed(transformed: Document) -> None:
    mappings = {
        each["Properties"]["DomainName"]["Ref"]: (each["Properties"]["ApiId"], each["Properties"]["Stage"])
        for each in transformed.values()
        if each["Type"] == "AWS::ApiGatewayV2::ApiMapping"
    }
    assert mappings == {
        "ApiDomain": ({"Ref": "Api"}, {"Ref": "ApiApiGatewayDefaultStage"}),
        "FeedDomain": ({"Ref": "WebSocketApi"}, {"Ref": "WebSocketStage"}),
    }


def test_users_come_back_from_signing_in_to_the_domain(root: Path) -> None:
    document = load(root / "template.yaml")
    resources: Any = document["Resources"]
    urls = resources["UserPoolClient"]["Properties"]["CallbackURLs"]
    given = {"DomainName": "app.example.com", "ConsoleUrl": "https://api.example"}
    assert Resolver(document, given).resolve(urls) == ["https://app.example.com/console/index.html"]
    assert Resolver(document, {**given, "DomainName": ""}).resolve(urls) == ["https://api.example/console/index.html"]


def test_a_topic_takes_messages_of_those_who_have_some(transformed: Document) -> None:
    policies = [each["Properties"] for each in transformed.values() if each["Type"] == "AWS::SNS::TopicPolicy"]
    allowed = {}
    for policy in policies:
        (topic,) = policy["Topics"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert (statement["Action"], statement["Resource"]) == ("sns:Publish", topic)
        allowed[topic["Ref"]] = statement["Principal"]
    roles = {"Fn::GetAtt": ["WatchRole", "Arn"]}
    assert allowed == {"AlarmTopic": {"Service": "cloudwatch.amazonaws.com"}, "AlertTopic": {"AWS": roles}}


def test_names_that_hold_the_stacks_are_short_enough(root: Path, functions: Document, transformed: Document) -> None:
    """Where a function's name is cut, the rule that denies its code the network no longer fits it."""
    assert f"at most {LONGEST_STACK} characters" in (root / "README.md").read_text(encoding="utf-8")
    assert all(LONGEST_STACK + 1 + len(name) + RANDOM_PART <= LONGEST_NAME for name in functions)
    schedules = [each["Properties"]["Name"] for each in transformed.values() if each["Type"].endswith("::Schedule")]
    assert schedules
    assert all(
        len(name["Fn::Sub"].replace("${AWS::StackName}", "x" * LONGEST_STACK)) <= LONGEST_NAME for name in schedules
    )


def test_a_sign_in_lasts_as_long_as_the_local_one(resources: Document) -> None:
    client = resources["UserPoolClient"]["Properties"]
    units = {"minutes": 60, "hours": 3600}
    told = {
        kind: client[f"{kind}Validity"] * units[client["TokenValidityUnits"][kind]]
        for kind in ("AccessToken", "IdToken", "RefreshToken")
    }
    assert told == {"AccessToken": ACCESS_SECONDS, "IdToken": ACCESS_SECONDS, "RefreshToken": REFRESH_SECONDS}
    assert client["RefreshTokenRotation"] == {"Feature": "ENABLED", "RetryGracePeriodSeconds": GRACE_SECONDS}
    assert "ALLOW_REFRESH_TOKEN_AUTH" not in client["ExplicitAuthFlows"]  # Cognito refuses to rotate with it
