"""AUTODOCTOR_DEBUG: an editor attaches to a function's port, and a breakpoint stops a real call."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from localcloud.compute.debug_ports import VARIABLE, BadDebugPorts, debug_ports
from localcloud.host.ports import LOOPBACK, scattered_port
from support.account import Account

HANDLER = Path(__file__).parents[3] / "functions" / "plans" / "app.py"
PORT = scattered_port()


@pytest.fixture(scope="module", autouse=True)
def port_of_plans() -> Iterator[None]:
    if find_spec("debugpy") is None:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, f"PlansFunction:{PORT}")
        yield


class Editor:
    """The half of the Debug Adapter Protocol that an editor speaks."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), timeout=30)
        self._file = self._socket.makefile("rwb")
        self._seq = 0

    def ask(self, command: str, **arguments: object) -> None:
        self._seq += 1
        body = json.dumps({"seq": self._seq, "type": "request", "command": command, "arguments": arguments}).encode()
        self._file.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._file.flush()

    def until(self, name: str) -> dict[str, Any]:
        """The next event or answer of this name."""
        while True:
            length = int(self._file.readline().split(b":")[1])
            self._file.readline()
            message: dict[str, Any] = json.loads(self._file.read(length))
            if name in (message.get("event"), message.get("command")):
                return message

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("debugpy") is None, reason="uv run --with debugpy pytest -m slow tests/dev")
def test_a_breakpoint_of_an_editor_stops_a_call(account: Account) -> None:
    anybody = account.caller("visitors")
    assert anybody.send("GET", "/api/plans").status_code == 200
    line = next(n for n, text in enumerate(HANDLER.read_text().splitlines(), 1) if "return" in text)
    editor = Editor(PORT)
    editor.ask("initialize", adapterID="test", pathFormat="path")
    editor.until("initialize")
    editor.ask("attach", justMyCode=False)
    editor.until("initialized")
    editor.ask("setBreakpoints", source={"path": str(HANDLER)}, breakpoints=[{"line": line}])
    assert editor.until("setBreakpoints")["body"]["breakpoints"][0]["verified"]
    editor.ask("configurationDone")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(anybody.send, "GET", "/api/plans")
        stopped = editor.until("stopped")["body"]
        assert stopped["reason"] == "breakpoint"
        assert not answer.done()
        editor.ask("continue", threadId=stopped["threadId"])
        assert answer.result().status_code == 200
    editor.close()


@pytest.mark.parametrize(
    "text", ["PlansFunction", "PlansFunction:http", "PlansFunction:80", "Nobody:5678", "A:5678,B:5678"]
)
def test_what_cannot_be_debugged_is_said(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(BadDebugPorts, match=VARIABLE):
        debug_ports(["PlansFunction", "A", "B"])
