"""What one consultation does to the account, counted from the account's own log."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString, Self

import psycopg
from psycopg import sql
from pydantic import BaseModel, ConfigDict

from bench.measure.processes import family_seconds, parent
from localcloud.host.logline import LogLine

FILE: Final = Path(__file__).with_name("consultation.json")
"""The count that README.md's table is made of."""
CONSOLE: Final = "ConsoleFunction"
SIGN_SECONDS: Final = 40
"""How often a session's page says that its reader is there (functions/console/static/js/pages/session.js)."""
MINUTES: Final = 15
"""As long as a consultation is taken to be."""
CALM_LOOKS: Final = 7
"""How often each page looks at its session in these minutes, though the feed says what changes."""

_TABLES: Final[LiteralString] = """
SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname = 'public'
"""
_BATCH: Final = re.compile(r" -> \w+ (\d+) messages?$")


@dataclass(frozen=True)
class Stored:
    """What a database server has, and has done.

    Attributes:
        rows: of every table.
        milliseconds: of the processor, of all processes of the server.
    """

    rows: int
    milliseconds: float

    @classmethod
    def of(cls, connection: psycopg.Connection[dict[str, Any]]) -> Self:
        """Look at the server of a connection."""
        names = [row["name"] for row in connection.execute(_TABLES)]
        counts = [sql.SQL("(SELECT count(*) FROM {})").format(sql.Identifier(name)) for name in names]
        row = connection.execute(sql.SQL("SELECT {} AS rows").format(sql.SQL(" + ").join(counts))).fetchone()
        assert row is not None
        return cls(int(row["rows"]), family_seconds(parent(connection.info.backend_pid)) * 1000)


class Consultation(BaseModel):
    """A free consultation by chat, both consoles open: asked, accepted, one message each, notes, ended.

    Attributes:
        calls: of the API.
        files: answers of the console's function, whose visitors had none of them.
        invocations: of the other functions, by name.
        milliseconds: of these together, when warm.
        events: put on the bus.
        queue_messages: delivered to consumers.
        pushes: messages to open connections.
        mails: sent.
        log_lines: that functions wrote, but for metrics.
        metric_lines: the metrics, of which CloudWatch takes each from a line.
        logged_bytes: of both.
        rows: that it leaves in the database.
        database_milliseconds: of the database's processor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int
    files: int
    invocations: dict[str, int]
    milliseconds: int
    events: int
    queue_messages: int
    pushes: int
    mails: int
    log_lines: int
    metric_lines: int
    logged_bytes: int
    rows: int
    database_milliseconds: int

    @classmethod
    def counted(cls, lines: Iterable[LogLine], before: Stored, after: Stored) -> Self:
        """Count what an account logged of one consultation, and what its database had before and after it."""
        lines = [line for line in lines if line.kind != "request" or "/console/" not in line.text]
        of_kind = Counter(line.kind for line in lines)
        ran = [line for line in lines if line.kind == "invoke"]
        functions = Counter(line.text.split()[0] for line in ran)
        ours = [line for line in lines if line.logged_bytes and not line.text.startswith(CONSOLE)]
        batches = [_BATCH.search(line.text) for line in lines if line.kind == "queue"]
        return cls(
            calls=sum(" /api/" in line.text for line in lines if line.kind == "request"),
            files=functions.pop(CONSOLE, 0),
            invocations=dict(sorted(functions.items())),
            milliseconds=round(sum(line.milliseconds or 0 for line in ran if not line.text.startswith(CONSOLE))),
            events=of_kind["bus"],
            queue_messages=sum(int(batch[1]) for batch in batches if batch),
            pushes=sum(line.text.startswith("POST ") for line in lines if line.kind == "socket"),
            mails=of_kind["mail"],
            log_lines=sum(line.kind == "log" for line in ours),
            metric_lines=sum(line.kind == "metric" for line in ours),
            logged_bytes=sum(line.logged_bytes for line in ours),
            rows=after.rows - before.rows,
            database_milliseconds=round(after.milliseconds - before.milliseconds),
        )

    @classmethod
    def stated(cls) -> Self:
        """The count that README.md's table is made of."""
        return cls.model_validate_json(FILE.read_text(encoding="utf-8"))

    def state(self) -> None:
        """Make it the count that README.md's table is made of."""
        FILE.write_text(json.dumps(self.model_dump(), indent=2) + "\n", encoding="utf-8")

    @property
    def invoked(self) -> int:
        """Invocations, without those of the console's files."""
        return sum(self.invocations.values())

    @property
    def signs(self) -> int:
        """What both pages send in a consultation of MINUTES to say that their readers are there; each is answered."""
        return 2 * MINUTES * 60 // SIGN_SECONDS
