"""What verify found, section by section, as JSON for `--json`, the stored runs and the admin's page; ids only."""

from typing import Final, Self
from uuid import UUID

from autodoctor.health import checks_now, checks_schema
from autodoctor.health.checks import Check, Finding, Section
from autodoctor.health.verify import ALL_CHECKS, SAMPLES, Outcome
from autodoctor.wire import Answer, Utc


class Sample(Answer):
    """One thing that is wrong: the id (or name) of what, and in which way."""

    subject: str
    detail: str


class CheckFound(Answer):
    """A kind of thing that is wrong.

    Attributes:
        check: its slug.
        says: what is not as it should be.
        invariant: the number in section 5 of the design, if it is one of those.
        repairable: whether `autodoctor repair` has the one right answer.
        count: how often.
        samples: the first few.
    """

    check: str
    says: str
    invariant: int | None
    repairable: bool
    count: int
    samples: list[Sample]


class SectionReport(Answer):
    """A line of the report: how many checks there are, which invariants they prove, what they found."""

    section: Section
    invariants: list[int]
    checks: int
    findings: int
    found: list[CheckFound]


class VerifyReport(Answer):
    """What a run found, with what the runs before it found of the same walk.

    Attributes:
        began_at: by the database's clock.
        seconds: how long this run took.
        complete: whether everything was looked at by now.
        stopped_in: which table it was in when its time was over.
        stopped_at: the last key it looked at there.
        examined: how many sessions, checkouts, ledger rows, payouts, customers and mechanics were looked at.
        recent: sessions created in the last 24 hours: all, completed, cancelled or expired, active.
        accepted: how often this run found what a person has accepted; not counted as findings.
        unreadable: what of the schema is missing, so that only the schema could be looked at.
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
        sections = [_section(section, outcome, earlier) for section in Section]
        examined = dict(before.examined) if before else {}
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
            unreadable=outcome.unreadable,
            findings=sum(section.findings for section in sections),
            sections=sections,
        )


_OF_NOW: Final = frozenset(check.slug for check in (*checks_schema.CHECKS, *checks_now.CHECKS))
"""Looked at as a whole by every run: what was wrong an hour ago is not carried on."""


def _section(section: Section, outcome: Outcome, earlier: dict[str, CheckFound]) -> SectionReport:
    checks = [check for check in ALL_CHECKS if check.section is section]
    found = [one for check in checks if (one := _found(check, outcome, earlier)) is not None]
    return SectionReport(
        section=section,
        invariants=sorted({check.invariant for check in checks if check.invariant is not None}),
        checks=len(checks),
        findings=sum(one.count for one in found),
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
