"""Holds what two analysers find in the deployed template against the reasons why it stands; see `findings`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

REASONS = {
    "checkov": {
        "CKV_AWS_18": "AttachmentsFunction signs and logs each access; S3's own log needs another bucket",
        "CKV_AWS_21": "what is deleted, because it is too old or was erased, must be gone",
        "CKV_AWS_26": "CloudWatch may not publish to a topic under aws/sns, and alarms carry no personal data",
        "CKV_AWS_27": "SqsManagedSseEnabled is set on every queue, which this check does not know",
        "CKV_AWS_95": "the WebSocket API's access log needs a role of the account (ApiGatewayLogRole); functions log",
        "CKV_AWS_111": "Lambda itself checks these for *; the functions' own code is denied them in the same policy",
        "CKV_AWS_115": "a limit on one function is capacity taken from all others; those that need one reserve it",
        "CKV_AWS_116": "what runs asynchronously leaves its failures by OnFailure, which this check does not know",
        "CKV_AWS_117": "four functions reach neither database nor network of ours, and start faster outside the VPC",
        "CKV_AWS_118": "Performance Insights is on; enhanced monitoring adds a role and a bill",
        "CKV_AWS_149": "aws/secretsmanager encrypts it; a key of our own costs a dollar a month and a policy",
        "CKV_AWS_158": "CloudWatch encrypts every log group; no line holds a secret or personal data",
        "CKV_AWS_162": "an IAM token for each connection would pin the proxy's pool to it; the proxy knows one secret",
        "CKV_AWS_173": "no variable holds a secret: they are names, addresses and ARNs",
    },
    "cloudformation-validate": {
        "I3011": "what holds no data may go with its resource; pool, bucket, layers and database say otherwise",
        "I3013": "four days are enough where a sweep does the same (settle, scans) and where late means useless (feed)",
        "I4010": "a block of metadata about the architecture, which README and DECISIONS.md describe",
        "I9001": "true of any create-only property; names are made of the stack's",
        "I9003": "no region is fixed",
        "I9040": "CloudFormation tags every resource with the stack's name, which is all that is looked for",
        "W1030": "empty defaults stand where Rules and Conditions keep them out",
        "W2509": "the ARN of a secret is no secret",
        "W7001": "the loop over functions has looked the mapping up before",
    },
}


def found_by_checkov(file: Path) -> Iterator[tuple[str, str]]:
    """Yield rule and resource of what checkov found."""
    report = json.loads(file.read_text(encoding="utf-8"))
    for each in (report[0] if isinstance(report, list) else report)["results"]["failed_checks"]:
        yield each["check_id"], each["resource"]


def found_by_validate(file: Path) -> Iterator[tuple[str, str]]:
    """Yield rule and message of what cloudformation-validate finds, with subnets given."""
    import cloudformation_validate as validator  # noqa: PLC0415 (of an environment of its own)

    given = {"VpcSubnetIds": "subnet-11111111,subnet-22222222", "VpcSecurityGroupIds": "sg-11111111"}
    config = validator.ValidateConfig(parameter_overrides={**given, "VpcId": "vpc-11111111"})
    report = validator.CompositeEngine().validate_template(validator.TemplateContent(file.read_bytes()), config)
    for each in report.diagnostics:
        yield each.rule_id, f"{each.entity.logical_id if each.entity else ''}: {each.message}"


def main() -> int:
    """Compare; print what has no reason and what reason is not needed."""
    tool, file = sys.argv[1], Path(sys.argv[2])
    found = list((found_by_checkov if tool == "checkov" else found_by_validate)(file))
    reasons = REASONS[tool]
    without = [f"{tool}: {rule} {where}" for rule, where in found if rule not in reasons]
    unneeded = [f"{tool}: nothing has {rule} any more" for rule in reasons.keys() - {rule for rule, _ in found}]
    rules = len({rule for rule, _ in found})
    said = f"{tool}: {len(found)} findings of {rules} rules, {len(without)} without a reason"
    sys.stdout.write("\n".join([said, *without, *unneeded, ""]))
    return 1 if without or unneeded else 0


sys.exit(main())
