"""Least privilege: the permissions of each role, spelled out, and none wider than AWS forces on us."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

type Document = dict[str, Any]

EVERYTHING = {
    # AWS offers no resource for these.
    "xray:PutTraceSegments": "traces belong to no resource",
    "xray:PutTelemetryRecords": "traces belong to no resource",
    "chime:CreateMeeting": "a meeting that there is not yet",
    # Lambda checks these for `*` when it attaches a function to a VPC; the functions' own code is denied.
    "ec2:CreateNetworkInterface": "checked by Lambda for *",
    "ec2:DeleteNetworkInterface": "checked by Lambda for *",
    "ec2:DescribeNetworkInterfaces": "Describe has no resource",
    "ec2:DescribeSubnets": "Describe has no resource",
    "ec2:AssignPrivateIpAddresses": "checked by Lambda for *",
    "ec2:UnassignPrivateIpAddresses": "checked by Lambda for *",
}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
CONSUMED = (
    *("FeedQueue", "NotifyQueue", "PushQueue", "SettleQueue", "MailFeedbackQueue", "ScansQueue", "DeliverQueue"),
    *("MediaQueue", "MediumQueue", "MeetingsQueue"),
)
CONSUME = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
PUSHING = {"execute-api:ManageConnections"}
PUBLISHING = {"events:DescribeEventBus", "events:PutEvents"}
PUBLISHERS = {
    "IntakeFunction",
    "WaiverFunction",
    "AcceptFunction",
    "PresenceFunction",
    "EndSessionFunction",
    "ExpireOrphansFunction",
    "AvailabilityFunction",
    "AdminFunction",
    "RelayFunction",
    "StripeWebhookFunction",
    "CheckoutFunction",
    "QuotesFunction",
    "RoomFunction",
    "RoomSocketFunction",
    "SocketFunction",
    "CallFunction",
    "MediaFunction",
}
# Roles of functions that may do the same; every other function has a role of its own.
SHARED_ROLES = {
    "DatabaseRole": {
        *(
            "ActiveSessionFunction",
            "AnalyticsFunction",
            "CreditsFunction",
            "DocumentsFunction",
            "EarningsFunction",
            "HealthFunction",
        ),
        *("NotificationsFunction", "PlansFunction", "QueueFetchFunction", "RealtimeFunction"),
    },
    "PublisherRole": {
        *("AcceptFunction", "AvailabilityFunction", "EndSessionFunction", "QuotesFunction", "WaiverFunction"),
    },
    "RoomRole": {"PresenceFunction", "RoomFunction", "RoomSocketFunction"},
    "StaticRole": {"ConsoleFunction", "DocsFunction", "RetiredFunction"},
    "StripeCallerRole": {"PayoutsFunction", "ReconcileFunction"},
    "WatchRole": {"MonitorFunction", "VerifyFunction"},
}
# Of Stripe's secret.
READERS = {
    *("IntakeFunction", "StripeWebhookFunction", "CheckoutFunction", "ConnectFunction", "PayoutsFunction"),
    "ReconcileFunction",
}
# Of the secret of Web Push.
CALLERS = {"PushFunction", "SubscriptionsFunction"}
# Beyond its own log and its own secret.
OWN_GRANTS = {
    **dict.fromkeys(PUBLISHERS, PUBLISHING),
    "ExpireOrphansFunction": PUBLISHING | {"sqs:SendMessage", "execute-api:ManageConnections"},
    "RelayFunction": PUBLISHING | {"sqs:SendMessage"},
    "CheckoutFunction": PUBLISHING | {"sqs:SendMessage"},
    "SocketFunction": PUBLISHING | PUSHING | {"sqs:SendMessage"},
    **dict.fromkeys(("PresenceFunction", "RoomFunction", "RoomSocketFunction"), PUBLISHING | PUSHING),
    "DeliverFunction": CONSUME | PUSHING,
    "BroadcastFunction": CONSUME | PUSHING,
    "NotifyFunction": {*CONSUME, "ses:SendEmail"},
    "PushFunction": CONSUME,
    "MailFeedbackFunction": CONSUME,
    "AttachmentsFunction": {"s3:PutObject", "s3:GetObject"},
    "ScansFunction": CONSUME | {"sqs:SendMessage", "s3:DeleteObject"},
    "CallFunction": PUBLISHING | {"chime:CreateMeeting", "chime:CreateAttendee"},
    "MediaFunction": {
        *(CONSUME | PUBLISHING | PUSHING),
        *("sqs:SendMessage", "chime:CreateMeeting", "chime:DeleteMeeting"),
    },
    "SettleFunction": CONSUME | {"sqs:SendMessage"},
    "PayoutsFunction": {"sqs:SendMessage"},
    "ReconcileFunction": {"sqs:SendMessage"},
    "MonitorFunction": {"sqs:SendMessage", "sns:Publish"},
    "VerifyFunction": {"sqs:SendMessage", "sns:Publish"},
    "DeadLettersFunction": {
        *(CONSUME | {"sqs:SendMessage", "lambda:InvokeFunction"}),
        *("sqs:ListDeadLetterSourceQueues", "sqs:StartMessageMoveTask", "sqs:ListMessageMoveTasks"),
    },
}


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
    found: dict[str, list[Any]] = {}
    for statement in statements(transformed[role]):
        for action in as_list(statement["Action"]):
            found.setdefault(action, []).extend(as_list(statement["Resource"]))
    return found


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


def by_role(functions: Document) -> dict[str, set[str]]:
    """Return the functions that have each role."""
    found: dict[str, set[str]] = {}
    for name, function in functions.items():
        found.setdefault(function["Role"]["Fn::GetAtt"][0], set()).add(name)
    return found


def test_functions_share_a_role_only_where_stated(functions: Document) -> None:
    shared = {role: names for role, names in by_role(functions).items() if len(names) > 1}
    assert shared == SHARED_ROLES


def test_only_lambda_may_take_the_role_of_a_function(functions: Document, transformed: Document) -> None:
    for role in by_role(functions):
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


def test_a_role_writes_the_logs_of_its_functions_only(functions: Document, transformed: Document) -> None:
    for role, names in by_role(functions).items():
        groups = {functions[name]["LoggingConfig"]["LogGroup"]["Ref"] for name in names}
        grants = granted(transformed, role)
        for action in LOGS:
            assert sorted(map(str, grants[action])) == [str({"Fn::GetAtt": [group, "Arn"]}) for group in sorted(groups)]


def test_a_function_may_do_what_is_stated_and_reads_only_its_own_secret(
    functions: Document, transformed: Document
) -> None:
    for name, function in functions.items():
        grants = granted(transformed, function["Role"]["Fn::GetAtt"][0])
        assert set(grants) >= LOGS, name
        if "VpcConfig" in function:
            own = function["Environment"]["Variables"]["DATABASE_SECRET_ARN"]
            more = [{"Ref": "StripeSecretArn"}] if name in READERS else []
            more += [{"Ref": "VapidSecret"}] if name in CALLERS else []
            if "APP_SECRET_ARN" in function["Environment"]["Variables"]:  # it gives the role that password
                more.append(function["Environment"]["Variables"]["APP_SECRET_ARN"])
            assert grants.pop("secretsmanager:GetSecretValue") == [own, *more], name
        assert set(grants) - LOGS == OWN_GRANTS.get(name, set()), name


def allowed(functions: Document, transformed: Document, action: str) -> dict[str, list[Any]]:
    """Return on what each function may take an action, by function."""
    roles = {name: granted(transformed, function["Role"]["Fn::GetAtt"][0]) for name, function in functions.items()}
    return {name: grants[action] for name, grants in roles.items() if action in grants}


def test_only_what_changes_sessions_or_relays_puts_events_and_on_our_bus_only(
    functions: Document, transformed: Document
) -> None:
    may = allowed(functions, transformed, "events:PutEvents")
    assert set(may) == PUBLISHERS
    assert all(resources == [{"Fn::GetAtt": ["EventBus", "Arn"]}] for resources in may.values())
    told = {name for name, each in functions.items() if "EVENT_BUS_NAME" in each["Environment"]["Variables"]}
    assert told == PUBLISHERS


def test_only_what_reads_the_secret_of_stripe_is_told_which_it_is(functions: Document) -> None:
    told = {name for name, each in functions.items() if "STRIPE_SECRET_ARN" in each["Environment"]["Variables"]}
    assert told == READERS


def test_only_what_calls_browsers_is_told_the_secret_of_web_push(functions: Document) -> None:
    told = {name for name, each in functions.items() if "VAPID_SECRET_ARN" in each["Environment"]["Variables"]}
    assert told == CALLERS


def test_only_the_feed_and_the_room_write_to_connections_and_only_of_our_stage(
    functions: Document, transformed: Document
) -> None:
    may = allowed(functions, transformed, "execute-api:ManageConnections")
    assert set(may) == {
        *("BroadcastFunction", "DeliverFunction", "ExpireOrphansFunction", "PresenceFunction", "RoomFunction"),
        "RoomSocketFunction",
        "SocketFunction",
        "MediaFunction",
    }
    for resource in chain(*may.values()):
        assert "${WebSocketApi}/${WebSocketStage}/" in resource["Fn::Sub"]
        assert resource["Fn::Sub"].endswith("/@connections/*")


def test_only_notify_sends_mail_and_only_as_our_identity(functions: Document, transformed: Document) -> None:
    may = allowed(functions, transformed, "ses:SendEmail")
    assert set(may) == {"NotifyFunction"}
    text = json.dumps(may["NotifyFunction"])
    assert "*" not in text
    assert "configuration-set/${MailConfigurationSet}" in text
    assert "identity/${MailFrom}" in text


def test_who_may_send_to_a_queue(functions: Document, transformed: Document) -> None:
    sweep = [{"Fn::GetAtt": ["SweepDeadLetterQueue", "Arn"]}]
    assert allowed(functions, transformed, "sqs:SendMessage") == {
        "ExpireOrphansFunction": sweep,
        "RelayFunction": sweep,
        "CheckoutFunction": sweep,
        "SettleFunction": sweep,
        "PayoutsFunction": sweep,
        "ReconcileFunction": sweep,
        "MonitorFunction": sweep,
        "VerifyFunction": sweep,
        "ScansFunction": sweep,
        "MediaFunction": sweep,
        "SocketFunction": [{"Fn::GetAtt": ["FeedQueue", "Arn"]}],
        "DeadLettersFunction": [{"Fn::GetAtt": [name, "Arn"]} for name in CONSUMED],
    }


def test_a_consumer_reads_its_own_queue_and_no_other(
    functions: Document, transformed: Document, sources: Document
) -> None:
    own: dict[str, list[Any]] = {}
    for each in sources.values():
        own.setdefault(each["FunctionName"]["Ref"], []).append(each["EventSourceArn"])
    for action in CONSUME:
        may = allowed(functions, transformed, action)
        del may["DeadLettersFunction"]
        assert {name: sorted(map(str, arns)) for name, arns in may.items()} == {
            name: sorted(map(str, arns)) for name, arns in own.items()
        }


def test_admins_reach_every_dead_letter_queue_and_no_other(functions: Document, transformed: Document) -> None:
    letters = [
        {"Fn::GetAtt": [name, "Arn"]}
        for name, resource in transformed.items()
        if resource["Type"] == "AWS::SQS::Queue" and "DeadLetter" in name
    ]
    for action in (*(CONSUME - {"sqs:ChangeMessageVisibility"}), "sqs:ListDeadLetterSourceQueues"):
        found = allowed(functions, transformed, action)["DeadLettersFunction"]
        assert sorted(map(str, found)) == sorted(map(str, letters))
    told = functions["DeadLettersFunction"]["Environment"]["Variables"]["DEAD_LETTER_QUEUES"]["Fn::Sub"]
    assert json.loads(told) == {name: f"${{{name}.Arn}}" for name in (each["Fn::GetAtt"][0] for each in letters)}


def test_letters_go_back_to_every_function_that_leaves_some(functions: Document, transformed: Document) -> None:
    leave = [
        {"Fn::GetAtt": [each["Properties"]["FunctionName"]["Ref"], "Arn"]}
        for each in transformed.values()
        if each["Type"] == "AWS::Lambda::EventInvokeConfig"
    ]
    (found,) = allowed(functions, transformed, "lambda:InvokeFunction").values()
    assert sorted(map(str, found)) == sorted(map(str, leave))


def test_a_queue_takes_events_of_its_rules_only(transformed: Document, rules: Document) -> None:
    senders: dict[str, set[str]] = {}
    for name, rule in rules.items():
        for target in rule["Targets"]:
            for arn in (target["Arn"], target["DeadLetterConfig"]["Arn"]):
                senders.setdefault(arn["Fn::GetAtt"][0], set()).add(name)
    policies = [each["Properties"] for each in transformed.values() if each["Type"] == "AWS::SQS::QueuePolicy"]
    found = {}
    for policy in policies:
        (queue,) = policy["Queues"]
        if queue == {"Ref": "MeetingsQueue"}:
            continue
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert statement["Action"] == "sqs:SendMessage"
        assert statement["Resource"] == {"Fn::GetAtt": [queue["Ref"], "Arn"]}
        assert set(statement["Condition"]) == {"ArnEquals"}
        arns = as_list(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        found[queue["Ref"]] = {arn["Fn::GetAtt"][0] for arn in arns}
    assert found == senders


def test_the_queue_of_the_meetings_takes_messages_of_chime_from_this_account_only(transformed: Document) -> None:
    (statement,) = transformed["MeetingsQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "chime.amazonaws.com"}
    assert statement["Resource"] == {"Fn::GetAtt": ["MeetingsQueue", "Arn"]}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_meetings_are_those_of_this_account(functions: Document, transformed: Document) -> None:
    meetings = [{"Fn::Sub": "arn:${AWS::Partition}:chime::${AWS::AccountId}:meeting/*"}]
    assert allowed(functions, transformed, "chime:CreateAttendee") == {"CallFunction": meetings}
    assert allowed(functions, transformed, "chime:DeleteMeeting") == {"MediaFunction": meetings}


def test_users_are_added_to_groups_of_this_pool_only(functions: Document, transformed: Document) -> None:
    adding = {
        name: each
        for name, each in transformed.items()
        if each["Type"] == "AWS::IAM::Policy" and "cognito-idp" in json.dumps(each)
    }
    assert set(adding) == {"AdminGroupPolicy", "PostConfirmationGroupPolicy"}
    for policy in adding.values():
        assert policy["Condition"] == "UseCognito"
        (statement,) = statements(policy)
        assert statement["Action"] == "cognito-idp:AdminAddUserToGroup"
        assert statement["Resource"] == {"Fn::GetAtt": ["UserPool", "Arn"]}
    told = {name for name, each in functions.items() if "USER_POOL_ID" in each["Environment"]["Variables"]}
    assert told == {"AdminFunction"}
