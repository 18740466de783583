"""The template is read as CloudFormation and SAM read it, or refused with the place of the error."""

from pathlib import Path

import pytest

from localcloud.stack.cloudformation import QUEUES_URL, Resolver, TemplateError, Value, load
from localcloud.stack.http_api import Throttle
from localcloud.stack.template import AsyncPolicy, Stack, read_stack

HEADER = """
Parameters:
  Name: {Type: String, Default: x}
  Secret: {Type: String}
  Zones: {Type: CommaDelimitedList, Default: "a, b"}
Conditions:
  IsX: !Equals [!Ref Name, x]
  IsNotX: !Not [!Condition IsX]
  Both: !And [!Condition IsX, !Condition IsNotX]
  Either: !Or [!Condition IsX, !Condition IsNotX]
Mappings:
  Sizes: {x: {memory: 512}}
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Line: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}
  Named: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${Name}-named"}}
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: !Sub "${Name}-bus"}}
  Topic: {Type: AWS::SNS::Topic}
"""

FUNCTION = """
  AFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: a/, Handler: app.handler, Runtime: python3.13%s}
"""


def resolver(tmp_path: Path, **overrides: str) -> Resolver:
    template = tmp_path / "template.yaml"
    template.write_text(HEADER)
    return Resolver(load(template), overrides)


def parsed(tmp_path: Path, expression: str) -> Value:
    file = tmp_path / "value.yaml"
    file.write_text(f"Resources: {{}}\nValue: {expression}\n")
    return load(file)["Value"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("!Ref Name", "x"),
        ("!Ref Secret", "local-Secret"),
        ("!Ref Zones", ["a", "b"]),
        ("!Ref Queue", f"{QUEUES_URL}123456789012/Queue"),
        ("!Ref Line", f"{QUEUES_URL}123456789012/Line.fifo"),
        ("!Ref Bus", "x-bus"),
        ("!Ref Topic", "arn:aws:sns:eu-central-1:123456789012:Topic"),
        ("!Ref AWS::Partition", "aws"),
        ("!GetAtt Queue.Arn", "arn:aws:sqs:eu-central-1:123456789012:Queue"),
        ("!GetAtt Named.Arn", "arn:aws:sqs:eu-central-1:123456789012:x-named"),
        ("!GetAtt Bus.Arn", "arn:aws:events:eu-central-1:123456789012:event-bus/x-bus"),
        ("!GetAtt Line.QueueName", "Line.fifo"),
        ("!GetAtt Topic.TopicName", "Topic.TopicName"),
        ('!Sub "${Name}-${!literal}-${Queue.QueueName}"', "x-${literal}-Queue"),
        ('!Sub ["${own}-${Name}", {own: !Ref Topic}]', "arn:aws:sns:eu-central-1:123456789012:Topic-x"),
        ('!Join ["-", [a, !Ref Name]]', "a-x"),
        ("!Select [1, !Ref Zones]", "b"),
        ('!Split [":", "a:b"]', ["a", "b"]),
        ("!FindInMap [Sizes, !Ref Name, memory]", 512),
        ("!If [IsX, yes, no]", True),
        ("!If [IsNotX, 1, 2]", 2),
        ("!If [Both, 1, 2]", 2),
        ("!If [Either, 1, 2]", 1),
        ("{a: !If [IsX, !Ref AWS::NoValue, 1], b: 2}", {"b": 2}),
        ("[!If [IsX, !Ref AWS::NoValue, 1], 2]", [2]),
    ],
)
def test_works_intrinsics_out(tmp_path: Path, expression: str, value: Value) -> None:
    assert resolver(tmp_path).resolve(parsed(tmp_path, expression)) == value


def test_prefers_an_override(tmp_path: Path) -> None:
    assert resolver(tmp_path, Name="y").resolve(parsed(tmp_path, "!If [IsX, 1, !Ref Name]")) == "y"


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("!Ref Nobody", "Ref Nobody: no such"),
        ("!GetAtt Nobody.Arn", "Nobody"),
        ("!If [Unknown, 1, 2]", "condition Unknown"),
        ('!ImportValue "x"', "Fn::ImportValue is not supported"),
        ("!FindInMap [Sizes, y, memory]", "Sizes.y.memory"),
    ],
)
def test_says_what_it_cannot_work_out(tmp_path: Path, expression: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        resolver(tmp_path).resolve(parsed(tmp_path, expression))


def test_refuses_an_override_of_an_unknown_parameter(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no parameter Nme"):
        resolver(tmp_path, Nme="typo")


@pytest.mark.parametrize("content", ["", "just text", "Resources: []", "a: ["])
def test_refuses_what_is_no_template(tmp_path: Path, content: str) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(content)
    with pytest.raises(TemplateError, match=r"template\.yaml"):
        load(template)


LOOP = """
Resources:
  Fn::ForEach::Queues:
    - Name
    - %s
    - ${Name}Queue:
        Type: AWS::SQS::Queue
        Properties: {QueueName: !Sub "${AWS::StackName}-${Name}"}
      ${Name}Policy:
        Type: AWS::SQS::QueuePolicy
        Properties: {Queues: [{Ref: !Sub "${Name}Queue"}], Arn: !GetAtt [!Sub "${Name}Queue", Arn], Name: !Ref Name}
"""


def written(tmp_path: Path, text: str) -> dict[str, Value]:
    template = tmp_path / "template.yaml"
    template.write_text(text)
    resources = load(template)["Resources"]
    assert isinstance(resources, dict)
    return resources


def test_writes_loops_out(tmp_path: Path) -> None:
    resources = written(tmp_path, LOOP % "[Feed, Settle]")
    assert list(resources) == ["FeedQueue", "FeedPolicy", "SettleQueue", "SettlePolicy"]
    assert resources["FeedQueue"] == {
        "Type": "AWS::SQS::Queue",
        "Properties": {"QueueName": {"Fn::Sub": "${AWS::StackName}-Feed"}},
    }
    assert resources["SettlePolicy"] == {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {
            "Queues": [{"Ref": "SettleQueue"}],
            "Arn": {"Fn::GetAtt": ["SettleQueue", "Arn"]},
            "Name": "Settle",
        },
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (LOOP % "!Ref Names", "Fn::ForEach::Queues: expected a list"),
        (LOOP % "[!Ref Name]", "expected a scalar"),
        (LOOP % "[Feed, Feed]", "Fn::ForEach::Queues: one name twice"),
        ((LOOP % "[Feed]").replace("${Name}Policy", "Policy") + "  Policy: {}", "there is a Policy already"),
        ((LOOP % "[Feed]").replace('!Sub "${AWS', '"${AWS'), "only a Ref"),
        ((LOOP % "[Feed]").replace("    - Name\n", ""), "expected an identifier, a list of values"),
        ((LOOP % "[Feed]").replace("Type: AWS::SQS::Queue\n", "Fn::ForEach::More: []\n"), "a loop inside a loop"),
    ],
)
def test_refuses_a_loop_that_it_cannot_write_out(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        written(tmp_path, text)


def stack(tmp_path: Path, text: str, **overrides: str) -> Stack:
    template = tmp_path / "template.yaml"
    template.write_text(text)
    return read_stack(template, overrides)


def test_merges_globals_into_functions(tmp_path: Path) -> None:
    text = (
        """
Globals:
  Function: {Timeout: 7, Environment: {Variables: {A: 1, B: 2, FLAG: true}}}
Resources:
"""
        + FUNCTION % ", MemorySize: 256, Environment: {Variables: {B: 3}}"
    )
    function = stack(tmp_path, text).functions["AFunction"]
    assert (function.timeout_seconds, function.memory_mb) == (7.0, 256)
    assert function.environment == {"A": "1", "B": "3", "FLAG": "true"}
    assert function.code == tmp_path / "a"


def test_knows_which_parameter_a_variable_comes_from(tmp_path: Path) -> None:
    variables = 'Environment: {Variables: {A: !If [IsX, !Ref Secret, ""], B: !Sub "${Name}", C: c}}'
    function = stack(tmp_path, HEADER + FUNCTION % f", {variables}").functions["AFunction"]
    assert function.references == {"A": {"Secret"}, "B": {"Name"}, "C": frozenset()}


def test_leaves_out_what_a_condition_takes_out(tmp_path: Path) -> None:
    text = HEADER + FUNCTION % "" + "    Condition: IsNotX\n"
    assert stack(tmp_path, text).functions == {}
    assert list(stack(tmp_path, text, Name="y").functions) == ["AFunction"]


@pytest.mark.parametrize("missing", ["CodeUri", "Handler", "Runtime"])
def test_names_what_a_function_lacks(tmp_path: Path, missing: str) -> None:
    text = ("Resources:\n" + FUNCTION % "").replace(missing, f"Not{missing}")
    with pytest.raises(TemplateError, match=f"AFunction: no {missing}"):
        stack(tmp_path, text)


API = """
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Jwt
        Authorizers: {Jwt: {JwtConfiguration: {issuer: i, audience: [a, b]}}}
      DefaultRouteSettings: {ThrottlingRateLimit: 10, ThrottlingBurstLimit: 20}
      RouteSettings: {"GET /b": {ThrottlingRateLimit: 1}}
  AFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: a/
      Handler: app.handler
      Runtime: python3.13
      Events:
        A: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /a, Method: post}}
        B: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /b, Method: GET, Auth: {Authorizer: NONE}}}
        Rest: {Type: HttpApi, Properties: {ApiId: !Ref Api}}
"""


def test_reads_routes_with_their_authorizers_and_limits(tmp_path: Path) -> None:
    found = stack(tmp_path, API)
    by_key = {route.key: route for route in found.routes}
    assert {key: route.authorizer for key, route in by_key.items()} == {
        "POST /a": "Jwt",
        "GET /b": None,
        "$default": "Jwt",
    }
    assert by_key["POST /a"].throttle == Throttle(10, 20)
    assert by_key["GET /b"].throttle == Throttle(1, 20)
    assert found.authorizers["Jwt"].audience == ("a", "b")
    assert found.cors is None


def test_supports_jwt_authorizers_only(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="authorizer Jwt"):
        stack(tmp_path, API.replace("JwtConfiguration", "FunctionArn"))


SCHEDULED = """
Resources:
  AFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: a/
      Handler: app.handler
      Runtime: python3.13
      EventInvokeConfig: {MaximumRetryAttempts: 0, DestinationConfig: {OnFailure: {Destination: q}}}
      Events:
        Old: {Type: Schedule, Properties: {Schedule: rate(1 minute), Input: "{}"}}
        New:
          Type: ScheduleV2
          Properties:
            Name: hourly
            ScheduleExpression: rate(1 hour)
            RetryPolicy: {MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 60}
        Off: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 hour), State: DISABLED}}
        OffToo: {Type: Schedule, Properties: {Schedule: rate(1 hour), Enabled: false}}
"""


def test_reads_schedules_that_are_switched_on(tmp_path: Path) -> None:
    found = stack(tmp_path, SCHEDULED)
    old, new = found.schedules
    assert (old.name, old.source, old.input) == ("AFunctionOld", "aws.events", "{}")
    assert (old.expression, new.expression) == ("rate(1 minute)", "rate(1 hour)")
    assert (new.name, new.source, new.failures) == ("hourly", "aws.scheduler", AsyncPolicy(2, 60, None))
    assert found.functions["AFunction"].failures == AsyncPolicy(0, None, "q")


LAYERED = (
    """
Resources:
  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer/}}
"""
    + FUNCTION % ', Layers: [!Ref Shared, "arn:aws:lambda:eu-central-1:1:layer:Extension:1"]'
)


def test_finds_a_source_layer_with_its_requirements(tmp_path: Path) -> None:
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer" / "requirements.txt").touch()
    [layer] = stack(tmp_path, LAYERED).functions["AFunction"].layers
    assert (layer.packages, layer.requirements) == (tmp_path / "layer", tmp_path / "layer" / "requirements.txt")


def test_finds_the_packages_of_a_built_layer(tmp_path: Path) -> None:
    (tmp_path / "layer" / "python").mkdir(parents=True)
    [layer] = stack(tmp_path, LAYERED).functions["AFunction"].layers
    assert (layer.packages, layer.requirements) == (tmp_path / "layer" / "python", None)


def test_a_layer_that_only_a_deployment_names_has_no_files(tmp_path: Path) -> None:
    text = HEADER.replace("{Type: String}", '{Type: String, AllowedPattern: "^arn:.+:layer:.+$"}')
    function = FUNCTION % ", Layers: [!Ref Shared, !Ref Secret]"
    shared = "  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer/}}\n"
    (tmp_path / "layer" / "python").mkdir(parents=True)
    [layer] = stack(tmp_path, text + shared + function).functions["AFunction"].layers
    assert layer.logical_id == "Shared"


def test_names_a_layer_that_is_not_in_the_template(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="AFunction: layer Other"):
        stack(tmp_path, "Resources:\n" + FUNCTION % ", Layers: [Other]")
