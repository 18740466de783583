"""The WebSocket APIs that the local cloud reads from a template, and their addresses."""

from pathlib import Path

import pytest

from localcloud.stack.cloudformation import TemplateError
from localcloud.stack.sockets import SocketApi, localized
from localcloud.stack.template import read_stack

REPOSITORY = Path(__file__).parents[3]
PROBE = REPOSITORY / "tests" / "support" / "stacks" / "socket" / "template.yaml"
API = SocketApi("Feed", "live", "FeedStage", {}, ("action",))
HOST = "Feed.execute-api.eu-central-1.amazonaws.com"


def test_reads_the_api_that_deploys() -> None:
    [api] = read_stack(REPOSITORY / "template.yaml", {}).sockets
    assert (api.logical_id, api.stage, api.selection) == ("WebSocketApi", "live", ("action",))
    assert {key: route.function for key, route in api.routes.items()} == {
        **dict.fromkeys(("$connect", "$disconnect", "$default"), "SocketFunction"),
        **dict.fromkeys(("room", "typing"), "RoomSocketFunction"),
    }


@pytest.mark.parametrize(
    ("value", "local"),
    [
        (f"wss://{HOST}/live", "ws://127.0.0.1:80/_ws/Feed/live"),
        (f"https://{HOST}/live", "http://127.0.0.1:80/_ws/Feed/live"),
        (f"https://{HOST}/FeedStage", "http://127.0.0.1:80/_ws/Feed/live"),
        (f"https://{HOST}/live/@connections", "http://127.0.0.1:80/_ws/Feed/live/@connections"),
        (f"wss://Other{HOST}/live", f"wss://Other{HOST}/live"),
        ("https://example.com/live", "https://example.com/live"),
    ],
)
def test_puts_addresses_of_the_api_on_this_machine(value: str, local: str) -> None:
    assert localized(value, [API], "http://127.0.0.1:80") == local


@pytest.mark.parametrize(
    ("there", "instead", "complaint"),
    [
        ("$request.body.action", "$request.header.action", "ProbeApi: route selection"),
        ("IntegrationType: AWS_PROXY", "IntegrationType: HTTP_PROXY", "Integration: only AWS_PROXY"),
        ("integrations/${ProbeIntegration}", "integrations/Nothing", "Route: no integration 'Nothing'"),
        ("functions/${ProbeFunction.Arn}/", "functions/arn:aws:lambda:x:1:function:Gone/", "no function Gone"),
    ],
)
def test_says_what_it_cannot_serve(tmp_path: Path, there: str, instead: str, complaint: str) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(PROBE.read_text().replace(there, instead))
    with pytest.raises(TemplateError, match=complaint):
        read_stack(template, {})
