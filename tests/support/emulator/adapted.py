"""The transformed template as MiniStack 1.5.33 can deploy it. Each function is one of its gaps, none is ours."""

import json
from collections.abc import Iterator
from typing import Any, Final

type Document = dict[str, Any]

UNKNOWN: Final = ("AWS::GuardDuty::MalwareProtectionPlan",)
"""Resource types that it refuses, and whose absence stops nothing here."""
WITHOUT_RESOURCE: Final = frozenset(
    {"events:DescribeEventBus", "ses:SendEmail", "sqs:StartMessageMoveTask", "sqs:ListMessageMoveTasks"}
)
"""Actions for which it knows no resource, so that it denies every policy with one; AWS has one for each."""
SERVICES: Final = ("EVENTBRIDGE", "LAMBDA", "SESV2", "SNS", "SQS", "S3", "COGNITO_IDENTITY_PROVIDER")


def adapted(template: Document, origin: str) -> Document:
    """Return a copy that MiniStack deploys; `origin` is its address."""
    document = _leading_to(origin, template)
    resources = document["Resources"]
    for name in [name for name, each in resources.items() if _is_unknown(each)]:
        del resources[name]
    # It ignores this body; routes.py makes the routes from it.
    api = resources["Api"]["Properties"]
    for key in ("Body", "FailOnWarnings"):
        api.pop(key)
    api |= {"Name": "api", "ProtocolType": "HTTP"}
    for statement in list(_statements(resources)):
        _widen(statement)
    # Each schedule would be a cold start of seconds a minute here; the test invokes their functions itself.
    for resource in resources.values():
        if resource["Type"] == "AWS::Scheduler::Schedule":
            resource["Properties"]["State"] = "DISABLED"
    # It has no SRP for boto3 to speak, so the test signs in with a password.
    resources["UserPoolClient"]["Properties"]["ExplicitAuthFlows"].append("ALLOW_ADMIN_USER_PASSWORD_AUTH")
    return document


def _is_unknown(resource: Document) -> bool:
    """A type that it refuses, or an alarm on an expression of metrics."""
    return resource["Type"] in UNKNOWN or (
        resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    )


def _leading_to(origin: str, template: Document) -> Document:
    """It serves every API below its own address, and tells functions only the general variable of its address."""
    live = "${WebSocketApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${WebSocketStage}"
    here = f"{origin}/_aws/execute-api/${{WebSocketApi}}/${{WebSocketStage}}"
    text = json.dumps(template)
    text = text.replace(f"wss://{live}", here.replace("http://", "ws://")).replace(f"https://{live}", here)
    document: Document = json.loads(text)
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            variables = resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
            variables |= {f"AWS_ENDPOINT_URL_{service}": origin for service in SERVICES}
    return document


def _statements(resources: Document) -> Iterator[Document]:
    for resource in resources.values():
        if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::Policy"):
            properties = resource["Properties"]
            documents = [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
            documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            for each in documents:
                yield from each["Statement"]


def _widen(statement: Document) -> None:
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    if WITHOUT_RESOURCE & set(actions) and statement["Effect"] == "Allow":
        given = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in given
        statement["Resource"] = "*"
