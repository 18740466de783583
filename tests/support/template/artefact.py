"""The built artefact at work: its functions behind the local gateway, on a database that it migrated itself."""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from localcloud.compute.environment import Launch
from localcloud.database.postgres import Database, PostgresServer
from localcloud.host.logline import LogLine
from localcloud.identity.roster import ROSTER, Person, seed
from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud

ROOT = Path(__file__).parents[3]
BUILD = ROOT / ".aws-sam" / "build"
ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}

# Prints the file of every module that importing the handler brought in; those without one are built in.
IMPORTS = """
import sys
before = set(sys.modules)
import app
files = {getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}
print("\\n".join(sorted(filter(None, files))))
"""

# Prints the name of every file that importing the handler compiled.
COMPILES = """
import sys
compiled = []
sys.addaudithook(lambda event, given: event == "compile" and compiled.append(given[1]))
import app
print("\\n".join(sorted(name for name in map(str, compiled) if name.endswith(".py"))))
"""


def built() -> Path:
    """Have `sam build` build for this machine's processor where the source is newer; the template that it writes."""
    template = BUILD / "template.yaml"
    if not template.exists() or template.stat().st_mtime < _newest_source():
        architecture = ARCHITECTURES[platform.machine()]
        command = ["bash", ".ci/sam", "build", "--build-dir", str(BUILD)]
        override = ["--parameter-overrides", f"Architecture={architecture}"]
        subprocess.run([*command, *override], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    return template


def _newest_source() -> float:
    sources = [ROOT / "template.yaml", *(ROOT / "functions").rglob("*"), *(ROOT / "layers").rglob("*")]
    return max(each.stat().st_mtime for each in sources if "__pycache__" not in each.parts and each.is_file())


@dataclass(frozen=True)
class Artefact:
    """A running artefact, what it logs, and its callers by key of the roster."""

    cloud: RunningCloud
    lines: list[LogLine]
    callers: dict[str, httpx.Client]

    def call(self, person: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make one call as somebody of the roster; the answer must be a success."""
        response = self.callers[person].request(method, path, json=body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}\n{self.log()}"
        answer: dict[str, Any] = response.json()
        return answer

    def log(self) -> str:
        """Return what the functions and the gateway logged, for a failing test to show."""
        return "\n".join(map(str, self.lines))


@contextmanager
def running_artefact(template: Path, server: PostgresServer, database: Database, data_dir: Path) -> Iterator[Artefact]:
    """Serve a built template on an empty database: the artefact's own MigrateFunction makes the schema."""
    lines: list[LogLine] = []
    settings = CloudSettings(
        template=template,
        data_dir=data_dir,
        app_database_url=database.app_url,
        owner_database_url=database.owner_url,
        port=0,
        log=lines.append,
        reload=False,
        schedules=False,
        max_processes=1,
    )
    with running_cloud(settings) as cloud, ExitStack() as clients:
        migrated = cloud.invoke("MigrateFunction", {})
        assert migrated.error is None, migrated
        server.let_app_log_in()
        seed(database.owner_url)
        callers = {person.key: clients.enter_context(_client(cloud, person)) for person in ROSTER}
        yield Artefact(cloud, lines, callers)


def set_minimum(database: Database, seconds: int) -> None:
    """Let a talk count from so many seconds on."""
    with psycopg.connect(database.owner_url) as connection:
        connection.execute(
            "INSERT INTO settings (key, value) VALUES ('min_billable_seconds', %s), ('evidence', 'claimed')"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [str(seconds)],
        )


def imported_files(launch: Launch) -> list[Path]:
    """Import a function's handler as its worker would, in a process of its own, and return the files it took."""
    return _printed(launch, IMPORTS)


def compiled_files(launch: Launch) -> list[Path]:
    """Import it likewise, and return the files that had to be compiled."""
    return _printed(launch, COMPILES)


def _printed(launch: Launch, script: str) -> list[Path]:
    interpreter, *switches = launch.command[: launch.command.index("-P") + 1]
    done = subprocess.run(
        [interpreter, *switches, "-c", script],
        cwd=launch.folder,
        env=dict(launch.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line).resolve() for line in done.stdout.splitlines()]


def _client(cloud: RunningCloud, person: Person) -> httpx.Client:
    token = cloud.issuer.token(str(person.sub), [person.group])
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=cloud.api_url, headers=headers, timeout=30, trust_env=False)
