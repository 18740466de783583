"""Clients that others' generators make of openapi.json: a minimal intake compiles, runs, and comes back typed.

Slow, and from the network: `uv run pytest -n 0 -m slow tests/web/test_generated_clients.py`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from localcloud.commands.samples import INTAKE
from support.account import Account

ROOT: Final = Path(__file__).parents[2]
OPENAPI: Final = ROOT / "functions" / "docs" / "openapi.json"
PYTHON: Final = "openapi-python-client==0.29.1"
TYPESCRIPT: Final = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3")

IN_PYTHON: Final = """
import json, os
from intake_client import AuthenticatedClient
from intake_client.api.intake import start_intake
from intake_client.models import ActiveSessionExistsProblem, IntakeRequest, SessionCreated

client = AuthenticatedClient(base_url=os.environ["API"], token=os.environ["TOKEN"])
body = IntakeRequest.from_dict(json.loads(os.environ["INTAKE"]))
made = start_intake.sync(client=client, body=body)
assert isinstance(made, SessionCreated), made
again = start_intake.sync(client=client, body=body)
assert isinstance(again, ActiveSessionExistsProblem), again
print(made.session_id)
"""
IN_TYPESCRIPT: Final = """
import createClient from "openapi-fetch";
import type { paths } from "./api";

const headers = { Authorization: `Bearer ${process.env.TOKEN}` };
const client = createClient<paths>({ baseUrl: process.env.API, headers });
const body = %s as const;
const made = await client.POST("/api/intake/start", { body });
if (!made.data || !("sessionId" in made.data)) throw new Error(JSON.stringify(made.error));
const again = await client.POST("/api/intake/start", { body });
if (again.data || !again.error || !("type" in again.error)) throw new Error("not refused");
console.log(made.data.sessionId, again.error.type);
"""

pytestmark = pytest.mark.slow


def run(*command: str, folder: Path, **variables: str) -> str:
    """Run a program and return what it printed."""
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def reaches_packages() -> bool:
    """Whether npm is here and gets packages from somewhere."""
    npm = shutil.which("npm")
    if npm is None:
        return False
    try:
        looked = subprocess.run([npm, "view", TYPESCRIPT[0], "version"], capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return False
    return looked.returncode == 0


def asked(account: Account) -> dict[str, str]:
    """Where and as whom the clients ask."""
    customer = account.customer()
    token = (customer.authorization or "").removeprefix("Bearer ")
    return {"API": account.cloud.api_url, "TOKEN": token, "INTAKE": json.dumps(INTAKE)}


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not here")
def test_a_python_client_starts_a_session(account: Account, tmp_path: Path) -> None:
    tool = ("uv", "tool", "run", "--python", "3.13", "--with", "ruff", "--from", PYTHON, "openapi-python-client")
    made = ("generate", "--path", str(OPENAPI), "--output-path", str(tmp_path / "intake_client"), "--meta", "none")
    run(*tool, *made, folder=ROOT)
    printed = run(sys.executable, "-c", IN_PYTHON, folder=tmp_path, PYTHONPATH=str(tmp_path), **asked(account))
    assert account.world.status(UUID(printed.strip())) == "pending"


def test_a_typescript_client_starts_a_session(account: Account, tmp_path: Path) -> None:
    if not reaches_packages():
        pytest.skip("npm is not here, or its packages are out of reach")
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}', encoding="utf-8")
    (tmp_path / "intake.ts").write_text(IN_TYPESCRIPT % json.dumps(INTAKE), encoding="utf-8")
    run("npm", "install", "--silent", "--no-audit", "--no-fund", *TYPESCRIPT, "@types/node@20", folder=tmp_path)
    run("npx", "openapi-typescript", str(OPENAPI), "-o", "api.d.ts", folder=tmp_path)
    strict = ("--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler")
    run("npx", "tsc", *strict, "intake.ts", folder=tmp_path)
    session, problem = run("node", "intake.js", folder=tmp_path, **asked(account)).split()
    assert account.world.status(UUID(session)) == "pending"
    assert problem == "/problems/active-session-exists"
