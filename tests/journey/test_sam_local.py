"""`sam local invoke` without Docker: the SAM CLI says how it would start each function, and so it is started here."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from localcloud.commands.sam import container_environment, gateway_event
from localcloud.commands.samples import INTAKE
from localcloud.compute.environment import Databases, Launch, launch_of
from localcloud.database.postgres import Database
from localcloud.host.datadir import RunningServer
from localcloud.stack.template import read_stack
from support.template.artefact import imported_files

pytestmark = pytest.mark.artefact

ROOT = Path(__file__).parents[2]
STRIPE = {"STRIPE_SECRETS": '{"apiKey": "sk_test_1", "webhookSecrets": []}'}
INVOKE = """
import json, sys
from aws_lambda_powertools.utilities.typing import LambdaContext
import app

class Context(LambdaContext):
    _function_name = _invoked_function_arn = _aws_request_id = "local"
    _memory_limit_in_mb = 1024
    def get_remaining_time_in_millis(self):
        return 10_000

answer = app.handler(json.load(sys.stdin), Context())
print("ANSWER", json.dumps(answer))
"""


MADE_BY_BUILDING = {"BytecodeLayer", "ChimeLayer"}
"""Layers whose source has nothing that a function imports or serves."""


@dataclass(frozen=True)
class SamLocal:
    """The functions as the SAM CLI would start them: layers, folder, handler and environment, by logical id."""

    functions: Mapping[str, Any]
    folder: Path

    def launch(self, name: str) -> Launch:
        """Return the start of a function in exactly the environment that the SAM CLI gives it."""
        usual = launch_of(read_stack(ROOT / "template.yaml", {}).functions[name], Databases("", ""), self.folder)
        kept = {each: usual.environment[each] for each in ("PATH", "PYTHONPATH")}
        return replace(usual, environment={**self.functions[name]["environment"], **kept})

    def invoke(self, name: str, event: object) -> Any:  # noqa: ANN401 (any JSON)
        """Give one event to a function, in a process of its own."""
        launch = self.launch(name)
        interpreter, *switches = launch.command[: launch.command.index("-P") + 1]
        done = subprocess.run(
            [interpreter, *switches, "-c", INVOKE],
            cwd=launch.folder,
            env=dict(launch.environment),
            input=json.dumps(event),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (answer,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
        return json.loads(answer.removeprefix("ANSWER "))


@pytest.fixture
def sam_local(database: Database, tmp_path: Path) -> SamLocal:
    """Ask the SAM CLI's own code, with the file that `autodoctor sam-env` prints."""
    server = RunningServer(1, "http://127.0.0.1:8787", database.owner_url, database.app_url, True, {})  # noqa: FBT003
    file = tmp_path / "env.json"
    file.write_text(json.dumps(container_environment(server, STRIPE, host="127.0.0.1")), encoding="utf-8")
    script = "tests/support/template/sam_cli_functions.py"
    command = ["bash", ".ci/sam", "python", script, "template.yaml", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return SamLocal(json.loads(done.stdout), tmp_path / "packages")


def test_every_function_starts_with_what_the_sam_cli_gives_it_and_answers_an_event_of_ours(sam_local: SamLocal) -> None:
    stack = read_stack(ROOT / "template.yaml", {})
    assert set(sam_local.functions) == set(stack.functions)
    for name, function in sam_local.functions.items():
        # Any other layer would have to be fetched from AWS, with an account's keys.
        layers = [layer for layer in function["layers"] if layer not in MADE_BY_BUILDING]
        assert layers == [layer.logical_id for layer in stack.functions[name].layers], name
        imported_files(sam_local.launch(name))  # fails where a setting is missing: handlers check theirs at start
    body = json.dumps({**INTAKE, "waiver": {"signedName": INTAKE["name"]}}).encode()
    made = sam_local.invoke("IntakeFunction", gateway_event("POST /api/intake/start", "customer1", body))
    assert made["statusCode"] == 201, made
    session = json.loads(made["body"])["sessionId"]
    event = gateway_event(f"GET /api/sessions/{session}", "customer1", b"")
    assert json.loads(sam_local.invoke("ActiveSessionFunction", event)["body"])["status"] == "pending"
    assert sam_local.invoke("PlansFunction", gateway_event("GET /api/plans", None, b""))["statusCode"] == 200
