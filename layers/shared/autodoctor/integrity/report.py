"""What verify found, section by section, as JSON for `--json`, the stored runs and the admin's page; ids only."""

from collections.abc import Collection
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import Field

from autodoctor.domain.invariants import INVARIANTS
from autodoctor.integrity.checks import files, now, schema
from autodoctor.integrity.checks.base import Check, Finding, Section
from autodoctor.integrity.verify import ALL_CHECKS, MADE_BY, SAMPLES, Outcome
from autodoctor.web.schemas import ResponseModel, Utc

MOST_LATE: Final = 100
_WHICH_INVARIANT: Final = "The invariant that is broken; null where it is none of them. " + " ".join(
    f"{number}: {sentence}" for number, sentence in INVARIANTS.items()
)


class Sample(ResponseModel):
    """One thing that is wrong: the id (or name) of what, and in which way."""

    subject: str
    detail: str


class CheckFound(ResponseModel):
    """A kind of thing that is wrong.

    Attributes:
        check: its slug.
        says: what is not as it should be.
        repairable: whether `autodoctor repair` has the one right answer.
        count: how often.
        samples: the first few.
    """

    check: str
    says: str
    invariant: Annotated[int | None, Field(description=_WHICH_INVARIANT)]
    repairable: bool
    count: int
    samples: list[Sample]


class SectionReport(ResponseModel):
    """A line of the report.

    Attributes:
        section: which.
        invariants: those that its checks prove, by number; `CheckFound.invariant` says what each number means.
        checks: how many checks there are.
        findings: how many things they found; null if nothing was found but some checks have not run, or could not.
        found: of which kind.
    """

    section: Section
    invariants: list[int]
    checks: int
    findings: int | None
    found: list[CheckFound]


class LateEvidence(ResponseModel):
    """A session of which evidence became known after its verdict, and how many stretches of it."""

    session_id: UUID
    stretches: int


class VerifyReport(ResponseModel):
    """What a run found, with what the runs before it found of the same walk.

    Attributes:
        began_at: by the database's clock.
        seconds: how long this run took.
        complete: whether everything was looked at by now.
        stopped_in: which table it was in when its time was over.
        stopped_at: the last key it looked at there.
        examined: the number of sessions, checkouts, ledger rows, payouts, customers with credits, mechanics checked.
        recent: sessions created in the last 24 hours: all, completed, cancelled or expired, active.
        accepted: how often this run found what a person has accepted; not counted as findings.
        late_evidence: the first sessions of this run of which evidence became known after the verdict, which is judged
            by what was known; nothing is wrong with that.
        unreadable: what of the schema is missing or another's, so that not everything could be looked at.
        findings: how many things are wrong.
    """

    began_at: Utc
    seconds: float
    complete: bool
    stopped_in: str | None
    stopped_at: UUID | None
    examined: dict[str, int]
    recent: dict[str, int]
    accepted: int = 0
    late_evidence: list[LateEvidence] = []  # noqa: RUF012 (pydantic copies it)
    unreadable: str | None = None
    findings: int
    sections: list[SectionReport]

    @classmethod
    def of(cls, outcome: Outcome, before: Self | None = None) -> Self:
        """Report an outcome.

        Args:
            outcome: of this run.
            before: of the run that it went on from, whose findings in what was looked at then still count.
        """
        earlier = {found.check: found for section in before.sections for found in section.found} if before else {}
        examined = dict(before.examined) if before else {}
        made_before = {check.slug for walk in examined for check in MADE_BY.get(walk, ())}
        sections = [_section(section, outcome, earlier, made_before | outcome.looked_at) for section in Section]
        for name, count in outcome.examined.items():
            examined[name] = examined.get(name, 0) + count
        place = outcome.stopped_at
        return cls(
            began_at=outcome.began_at,
            seconds=round(outcome.seconds, 3),
            complete=place is None and outcome.unreadable is None,
            stopped_in=place.walk if place else None,
            stopped_at=place.after if place else None,
            examined=examined,
            recent=outcome.recent,
            accepted=outcome.left_out,
            late_evidence=[
                LateEvidence(session_id=UUID(late), stretches=n) for late, n in outcome.late_evidence[:MOST_LATE]
            ],
            unreadable=outcome.unreadable,
            findings=sum(section.findings or 0 for section in sections),
            sections=sections,
        )


_OF_NOW: Final = frozenset(check.slug for check in (*schema.CHECKS, *now.CHECKS, *files.NOW))
"""Looked at as a whole by every run: what was wrong an hour ago is not carried on."""


def _section(
    section: Section, outcome: Outcome, earlier: dict[str, CheckFound], made: Collection[str]
) -> SectionReport:
    checks = [check for check in ALL_CHECKS if check.section is section]
    found = [one for check in checks if (one := _found(check, outcome, earlier)) is not None]
    is_known = bool(found) or all(check.slug in made for check in checks)
    return SectionReport(
        section=section,
        invariants=sorted({check.invariant for check in checks if check.invariant is not None}),
        checks=len(checks),
        findings=sum(one.count for one in found) if is_known else None,
        found=found,
    )


def _sample(finding: Finding) -> Sample:
    return Sample(subject=finding.subject, detail=finding.detail)


def _found(check: Check, outcome: Outcome, earlier: dict[str, CheckFound]) -> CheckFound | None:
    tally = outcome.tallies.get(check.slug)
    before = None if check.slug in _OF_NOW else earlier.get(check.slug)
    samples = [*(before.samples if before else []), *(_sample(each) for each in (tally.samples if tally else []))]
    count = (before.count if before else 0) + (tally.count if tally else 0)
    if count == 0:
        return None
    return CheckFound(
        check=check.slug,
        says=check.says,
        invariant=check.invariant,
        repairable=check.repairable,
        count=count,
        samples=samples[:SAMPLES],
    )
