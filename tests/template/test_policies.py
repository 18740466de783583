"""Least privilege: what each role may do, spelled out, and nothing wider than AWS forces on us."""

from collections.abc import Iterator
from typing import Any

type Document = dict[str, Any]

EVERYTHING = {
    # AWS offers no resource for these.
    "xray:PutTraceSegments": "traces belong to no resource",
    "xray:PutTelemetryRecords": "traces belong to no resource",
    # Lambda checks these for `*` when it attaches a function to a VPC; the functions' own code is denied.
    "ec2:CreateNetworkInterface": "checked by Lambda for *",
    "ec2:DeleteNetworkInterface": "checked by Lambda for *",
    "ec2:DescribeNetworkInterfaces": "Describe has no resource",
    "ec2:DescribeSubnets": "Describe has no resource",
    "ec2:AssignPrivateIpAddresses": "checked by Lambda for *",
    "ec2:UnassignPrivateIpAddresses": "checked by Lambda for *",
}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}


def as_list(value: Any) -> list[Any]:  # noqa: ANN401 - IAM takes a value or a list of them
    """Return IAM's "one or several" as a list."""
    return value if isinstance(value, list) else [value]


def statements(resource: Document) -> Iterator[Document]:
    """Yield every statement of a role or policy."""
    properties = resource["Properties"]
    documents = [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
    documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    for document in documents:
        yield from document["Statement"]


def granted(transformed: Document, role: str) -> dict[str, list[Any]]:
    """Return the actions a role is granted by its own policies, each with its resources."""
    return {
        action: as_list(statement["Resource"])
        for statement in statements(transformed[role])
        for action in as_list(statement["Action"])
    }


def test_no_action_is_a_wildcard_and_resources_only_where_aws_leaves_no_choice(transformed: Document) -> None:
    seen = set()
    for name, resource in transformed.items():
        if not resource["Type"].startswith("AWS::IAM::"):
            continue
        for statement in statements(resource):
            actions = as_list(statement["Action"])
            assert not any("*" in action for action in actions), name
            if "*" in as_list(statement["Resource"]):
                assert set(actions) <= set(EVERYTHING), name
                seen |= set(actions)
    assert seen == set(EVERYTHING)


def test_functions_cannot_use_the_network_permissions_lambda_needs(transformed: Document) -> None:
    allow, deny = statements(transformed["NetworkPolicy"])
    assert (allow["Effect"], deny["Effect"]) == ("Allow", "Deny")
    assert allow["Action"] == deny["Action"]
    assert "lambda:SourceFunctionArn" in deny["Condition"]["ArnLike"]


def test_every_function_has_a_role_of_its_own_that_only_lambda_may_take(
    functions: Document, transformed: Document
) -> None:
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert len(set(roles)) == len(functions)
    for role in roles:
        (trust,) = transformed[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_no_policy_of_aws_is_attached(transformed: Document) -> None:
    ours = (
        {"Ref": "TracingPolicy"},
        {"Fn::If": ["InVpc", {"Ref": "NetworkPolicy"}, {"Ref": "AWS::NoValue"}]},
    )
    for resource in transformed.values():
        if resource["Type"] == "AWS::IAM::Role":
            assert all(arn in ours for arn in resource["Properties"].get("ManagedPolicyArns", []))


def test_a_function_writes_only_its_own_log_and_reads_only_its_own_secret(
    functions: Document, transformed: Document
) -> None:
    for name, function in functions.items():
        grants = granted(transformed, function["Role"]["Fn::GetAtt"][0])
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        for action in LOGS:
            assert grants.pop(action) == [{"Fn::GetAtt": [group, "Arn"]}], name
        if "VpcConfig" in function:
            own = function["Environment"]["Variables"]["DATABASE_SECRET_ARN"]
            assert grants.pop("secretsmanager:GetSecretValue") == [own], name
        if name == "ExpireOrphansFunction":
            assert grants.pop("sqs:SendMessage") == [{"Fn::GetAtt": ["SweepDeadLetterQueue", "Arn"]}]
        assert grants == {}, name


def test_new_users_are_added_to_groups_of_this_pool_only(transformed: Document) -> None:
    (statement,) = statements(transformed["PostConfirmationGroupPolicy"])
    assert statement["Action"] == "cognito-idp:AdminAddUserToGroup"
    assert statement["Resource"] == {"Fn::GetAtt": ["UserPool", "Arn"]}
