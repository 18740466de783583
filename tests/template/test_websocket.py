"""The WebSocket API: who may connect, who may invoke its functions, and what is never logged."""

from typing import Any

import pytest

type Document = dict[str, Any]


@pytest.fixture(scope="session")
def stage(transformed: Document) -> Document:
    """Return the stage that clients connect to."""
    properties: Document = transformed["WebSocketStage"]["Properties"]
    return properties


def test_every_route_leads_to_the_function_that_knows_connections_or_rooms(transformed: Document) -> None:
    routes = [each["Properties"] for each in transformed.values() if each["Type"] == "AWS::ApiGatewayV2::Route"]
    assert {route["RouteKey"]: route["Target"]["Fn::Sub"] for route in routes} == {
        **dict.fromkeys(("$connect", "$disconnect", "$default"), "integrations/${SocketIntegration}"),
        **dict.fromkeys(("room", "typing"), "integrations/${RoomSocketIntegration}"),
    }
    for name in ("Socket", "RoomSocket"):
        uri = transformed[f"{name}Integration"]["Properties"]["IntegrationUri"]["Fn::Sub"]
        assert uri.endswith(f"/functions/${{{name}Function.Arn}}/invocations")


def test_a_connection_is_let_in_by_its_ticket_and_not_by_the_gateway(transformed: Document) -> None:
    # On purpose: the handler redeems the one-use ticket, so a token never stands in a URL.
    assert transformed["SocketConnectRoute"]["Properties"]["AuthorizationType"] == "NONE"


@pytest.mark.parametrize("function", ["SocketFunction", "RoomSocketFunction"])
def test_only_this_api_invokes_the_function(transformed: Document, function: str) -> None:
    permissions = [
        each["Properties"]
        for each in transformed.values()
        if each["Type"] == "AWS::Lambda::Permission" and each["Properties"]["FunctionName"] == {"Ref": function}
    ]
    (permission,) = permissions
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${WebSocketApi}/${WebSocketStage}/*")


def test_connections_are_throttled(stage: Document) -> None:
    settings = stage["DefaultRouteSettings"]
    assert settings["ThrottlingRateLimit"] == {"Ref": "ThrottlingRate"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "ThrottlingBurst"}


def test_a_ticket_never_stands_in_a_log(stage: Document) -> None:
    assert stage["DefaultRouteSettings"]["DataTraceEnabled"] is False
    condition, settings, otherwise = stage["AccessLogSettings"]["Fn::If"]
    assert (condition, otherwise) == ("LogWebSocket", {"Ref": "AWS::NoValue"})
    line = settings["Format"]
    for wanted in ("routeKey", "connectionId", "status", "eventType", "requestId"):
        assert f"$context.{wanted}" in line
    for personal in ("sourceIp", "userAgent", "query", "path", "identity", "ticket"):
        assert personal not in line


def test_clients_and_the_broadcast_mean_the_same_stage(functions: Document, template: Document) -> None:
    address = "${WebSocketApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${WebSocketStage}"
    variables = {name: each["Environment"]["Variables"] for name, each in functions.items()}
    of_clients = {"Fn::If": ["HasFeedDomain", {"Fn::Sub": "wss://${FeedDomainName}"}, {"Fn::Sub": f"wss://{address}"}]}
    assert variables["RealtimeFunction"]["WEBSOCKET_URL"] == of_clients
    assert of_clients in variables["ConsoleFunction"]["CONSOLE_CONNECTS_TO"]["Fn::Join"][1]
    assert variables["BroadcastFunction"]["WEBSOCKET_ENDPOINT"] == {"Fn::Sub": f"https://{address}"}
    assert template["Outputs"]["WebSocketUrl"]["Value"] == of_clients


def test_a_gateway_that_cannot_invoke_raises_an_alarm(alarms: Document) -> None:
    assert any(
        (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/ApiGateway", "ExecutionError")
        and {"Name": "ApiId", "Value": {"Ref": "WebSocketApi"}} in alarm["Dimensions"]
        for alarm in alarms.values()
    )
