"""The whole product behind HTTP, in variants: with events, without, with consumers.

Each variant is template.yaml as it stands, on a database of its own, run by the local cloud. What it changes it
changes in a copy: its environment, or the handlers without what they do after the commit.
"""

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from autodoctor.ids import new_id
from autodoctor.migrations import migrate
from bench.http.calls import ROOT
from bench.http.server import BenchServer
from localcloud.database.postgres import Database
from localcloud.host.logline import LogLine
from localcloud.services.cloud import CloudSettings, RunningCloud, running_cloud

_GLOBALS: Final = "        POWERTOOLS_SERVICE_NAME: !Ref AWS::StackName\n"
_AFTER: Final = re.compile(r",\s*after=(publish\b|teller\.\w+)")
WITHOUT_OUTBOX: Final[tuple[LiteralString, ...]] = (
    "DROP TRIGGER session_events_to_outbox ON session_events",
    "DROP TRIGGER session_assignment_events_to_outbox ON session_assignment_events",
    # What a call brings along is looked for in the outbox, which a product without events would not have.
    "CREATE OR REPLACE FUNCTION unpublished_events(subject uuid) RETURNS json LANGUAGE sql AS $$ SELECT '[]'::json $$",
)
_MECHANIC: Final[LiteralString] = """
INSERT INTO mechanics (user_id, name, available_until) VALUES (%s, 'Mia Moreno', 'infinity')
"""
PROCESSES: Final = 2
QUIET_SECONDS: Final = 0.3


@dataclass(frozen=True)
class Variant:
    """What differs from the product as it stands.

    Attributes:
        environment: more variables for every function.
        events: whether transitions write to the outbox and calls publish.
    """

    environment: Mapping[str, str]
    events: bool = True


@dataclass
class Activity:
    """When something last happened in a deployment, by `time.monotonic()`."""

    last: float = field(default_factory=time.monotonic)

    def __call__(self, _line: LogLine) -> None:
        """Take note of a line of the log."""
        self.last = time.monotonic()


@dataclass(frozen=True)
class Deployed:
    """A variant that runs."""

    cloud: RunningCloud
    database: Database
    owner: psycopg.Connection[tuple[object, ...]]
    activity: Activity

    def rest(self) -> None:
        """Wait until nothing happens any more: until consumers have done what was left to them."""
        while (left := self.activity.last + QUIET_SECONDS - time.monotonic()) > 0:
            time.sleep(left)

    def customer(self) -> tuple[UUID, str]:
        """A new customer and their token."""
        return self._token("customers")

    def mechanic(self) -> tuple[UUID, str]:
        """A new mechanic, available, and their token."""
        sub, token = self._token("mechanics")
        self.owner.execute(_MECHANIC, [sub])
        return sub, token

    def _token(self, group: str) -> tuple[UUID, str]:
        sub = new_id()
        return sub, self.cloud.issuer.token(str(sub), [group])


@contextmanager
def deployed(server: BenchServer, name: str, variant: Variant, folder: Path) -> Iterator[Deployed]:
    """Run a variant for as long as the block lasts.

    Args:
        server: gets a database of this name.
        name: of the variant.
        variant: what is different.
        folder: an empty one, for its files.
    """
    database = server.server.create_database(name)
    migrate(database.owner_url)
    activity = Activity()
    with ExitStack() as stack:
        owner = stack.enter_context(psycopg.connect(database.superuser_url, autocommit=True))
        owner.execute("UPDATE limits SET most = 1000000")  # eight clients ask as thousands would
        if not variant.events:
            for statement in WITHOUT_OUTBOX:
                owner.execute(statement)
        settings = CloudSettings(
            template=_template(variant, folder),
            data_dir=folder / "data",
            app_database_url=database.app_url,
            owner_database_url=database.owner_url,
            port=0,
            log=activity,
            reload=False,
            schedules=False,
            overrides={"ThrottlingRate": "100000", "ThrottlingBurst": "100000"},
            max_processes=PROCESSES,
        )
        yield Deployed(stack.enter_context(running_cloud(settings)), database, owner, activity)


def _template(variant: Variant, folder: Path) -> Path:
    """The template of a variant, with links to the code or a changed copy of it beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "layers").symlink_to(ROOT / "layers")
    if variant.events:
        (folder / "functions").symlink_to(ROOT / "functions")
    else:
        without_publishing(folder / "functions")
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    if text.count(_GLOBALS) != 1:
        raise RuntimeError("template.yaml has no single place for the variables of all functions")
    lines = "".join(f'        {name}: "{value}"\n' for name, value in variant.environment.items())
    template = folder / "template.yaml"
    template.write_text(text.replace(_GLOBALS, _GLOBALS + lines), encoding="utf-8")
    return template


def without_publishing(folder: Path) -> None:
    """Copy the functions, without what they do after the commit."""
    shutil.copytree(ROOT / "functions", folder, ignore=shutil.ignore_patterns("__pycache__"))
    taken = 0
    for file in folder.glob("*/app.py"):
        text, count = _AFTER.subn("", file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
        taken += count
    if not taken:
        raise RuntimeError("no handler publishes after its commit")
