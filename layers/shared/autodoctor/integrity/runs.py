"""The scheduled runs of verify: each checks the present, and continues through the history while time allows.

If one run cannot check the whole database, several do, each continuing where the one before stopped; together they are
a walk. The open findings are those of the last complete walk and those of the current one so far, so that a finding is
not forgotten while the walk is elsewhere.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from autodoctor.db import Database
from autodoctor.deadline import SecondsLeft
from autodoctor.ids import new_id
from autodoctor.integrity.checks.base import Section
from autodoctor.integrity.report import VerifyReport
from autodoctor.integrity.verify import ALL_CHECKS, Place, reader, verify
from autodoctor.plural import counted
from autodoctor.web.paging import fitting, page_size
from autodoctor.web.schemas import ResponseModel, Utc

MARGIN_SECONDS: Final = 20.0
"""Left for keeping and telling what was found."""

_LAST: Final[LiteralString] = "SELECT walk_id, stopped_in, report FROM verify_runs ORDER BY id DESC LIMIT 1"
_WHOLE: Final[LiteralString] = "SELECT report FROM verify_runs WHERE stopped_in IS NULL ORDER BY id DESC LIMIT 1"
_KEEP: Final[LiteralString] = """
INSERT INTO verify_runs (walk_id, began_at, stopped_in, stopped_at, findings, report)
VALUES (%(walk_id)s, %(began_at)s, %(stopped_in)s, %(stopped_at)s, %(findings)s, %(report)s)
"""
_NEWEST: Final[LiteralString] = """
SELECT id AS run_id, walk_id, finished_at, report FROM verify_runs ORDER BY id DESC LIMIT %(limit)s
"""

type Publish = Callable[[str, str, Mapping[str, str]], None]
"""Sends a subject, a text and attributes to the topic."""


class VerifyRun(ResponseModel):
    """One run: of which walk, when it ended, and what was found of that walk by then."""

    run_id: UUID
    walk_id: UUID
    finished_at: Utc
    report: VerifyReport


class VerifyRuns(ResponseModel):
    """The newest runs of verify, the newest first."""

    runs: list[VerifyRun]


class OpenFindings(ResponseModel):
    """The findings that are open after a run, by check, and whether the walk is whole."""

    complete: bool
    findings: dict[str, int]

    @property
    def by_section(self) -> dict[Section, int]:
        """How many findings each section has, also those that have none."""
        return {
            section: sum(self.findings.get(check.slug, 0) for check in ALL_CHECKS if check.section is section)
            for section in Section
        }


def run(database: Database, url: str, seconds_left: SecondsLeft, publish: Publish) -> OpenFindings:
    """Run verify from where the last run stopped, keep what was found, and publish it where it has changed.

    Args:
        database: where runs are kept.
        url: of the database to look at, or of a replica.
        publish: called before the run is kept, so that a run that dies in between is published twice rather than never.

    Raises:
        AwsError: the topic took no message; nothing was kept, and the next run looks at the same again.
    """
    last, whole = database.one(_LAST, {}), database.one(_WHOLE, {})
    before = VerifyReport.model_validate(last["report"]) if last else None
    goes_on = before is not None and before.stopped_in is not None
    with reader(url, "autodoctor") as connection:
        outcome = verify(connection, start=_place(before), seconds_left=lambda: seconds_left() - MARGIN_SECONDS)
    report = VerifyReport.of(outcome, before if goes_on else None)
    whole_report = VerifyReport.model_validate(whole["report"]) if whole else None
    open_findings = _open_findings(report, whole_report)
    was = _open_findings(before, whole_report) if before else OpenFindings(complete=True, findings={})
    if open_findings.findings.keys() != was.findings.keys():
        publish(*_message(open_findings))
    values = {
        "walk_id": last["walk_id"] if last and goes_on else new_id(),
        "began_at": report.began_at,
        "stopped_in": report.stopped_in,
        "stopped_at": report.stopped_at,
        "findings": report.findings,
        "report": Jsonb(report.model_dump(mode="json", by_alias=True)),
    }
    database.execute(_KEEP, values)
    return open_findings


def newest_runs(database: Database, limit: str | None = None) -> VerifyRuns:
    """What the last runs found.

    Args:
        limit: how many at most, 1 to 100; 20 where absent. Fewer where they found so much that they would not fit.

    Raises:
        Unprocessable: limit is none of these.
    """
    rows = database.all(_NEWEST, {"limit": page_size(limit)})
    return VerifyRuns(runs=fitting(VerifyRun(**row) for row in rows))


def _place(before: VerifyReport | None) -> Place | None:
    if before is None or before.stopped_in is None or before.stopped_at is None:
        return None
    return Place(before.stopped_in, before.stopped_at)


def _open_findings(report: VerifyReport, whole: VerifyReport | None) -> OpenFindings:
    """What a report and, until its walk is whole, the last whole one say together."""
    counts = _counts(report)
    if not report.complete and whole is not None:
        for slug, count in _counts(whole).items():
            counts[slug] = max(counts.get(slug, 0), count)
    return OpenFindings(complete=report.complete, findings=counts)


def _counts(report: VerifyReport) -> dict[str, int]:
    return {found.check: found.count for section in report.sections for found in section.found}


def _message(open_findings: OpenFindings) -> tuple[str, str, dict[str, str]]:
    """Subject, text and attributes; the text is JSON that a person can read."""
    total = sum(open_findings.findings.values())
    change = "opened" if total else "cleared"
    subject = f"AutoDoctor verify: {counted(total, 'finding') if total else 'nothing is wrong any more'}"
    says = {check.slug: check.says for check in ALL_CHECKS}
    found = [
        {"check": slug, "says": says.get(slug), "count": count}
        for slug, count in sorted(open_findings.findings.items())
    ]
    body = {"news": change, "alert": "verify", "count": total, "findings": found}
    return subject, json.dumps(body, indent=1), {"news": change, "alert": "verify", "severity": "critical"}
