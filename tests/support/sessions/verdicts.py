"""Cases of the verdict, for Python and the schema: the policy as a table, and random evidence."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import strategies as st

from autodoctor.domain.ending import Absent, Evidence, EvidenceClass, Limits, Party, Source, Stretch, Verdict, verdict

NOON: Final = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
LIMITS: Final = Limits(minimum=timedelta(seconds=60), maximum=timedelta(minutes=180))

type What = tuple[Party, Source, float, float | None]
"""Who was there, who says so, since and until when, in seconds after noon; None: still."""


def after_noon(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def stretches(*seen: What) -> tuple[Stretch, ...]:
    return tuple(
        Stretch(role, source, after_noon(since), None if until is None else after_noon(until))
        for role, source, since, until in seen
    )


def both(since: float, until: float | None = None, source: Source = "room") -> tuple[What, ...]:
    return ("customer", source, since, until), ("mechanic", source, since, until)


@dataclass(frozen=True)
class Case:
    """One row of the policy; instants are seconds after noon, `now` is when somebody asks."""

    policy: str
    now: float
    seen: tuple[What, ...]
    outcome: str
    start: float | None = None
    end: float = 0
    together: float | None = None
    words: tuple[int, int] = (1, 1)
    kind: EvidenceClass = "witnessed"
    recorded_start: float | None = None
    accepted: float | None = 0
    wanted: float | None = None
    absent: Absent | None = None
    by_system: bool = False

    @property
    def evidence(self) -> Evidence:
        return Evidence(
            accepted_at=None if self.accepted is None else after_noon(self.accepted),
            started_at=None if self.recorded_start is None else after_noon(self.recorded_start),
            stretches=stretches(*self.seen),
            words=self.words,
            kind=self.kind,
            wanted_at=None if self.wanted is None else after_noon(self.wanted),
        )


_COMPLETED = "completed billable"
_SHORT = "cancelled too_short"
_SILENT = "cancelled no_talk"
_NO_SHOW = "cancelled no_show"
_WITHDRAWN = "cancelled withdrawn"

POLICY = [
    Case("exactly 60 s is billable", 60, both(0), _COMPLETED, 0, 60, 60),
    Case("59.999 s is too short", 59.999, both(0), _SHORT, 0, 59.999, 59.999),
    Case("longer than the minimum is billable", 600, both(0), _COMPLETED, 0, 600, 600),
    Case(
        "the start is the later of the two",
        100,
        (("customer", "room", 10, None), ("mechanic", "room", 40, None)),
        _COMPLETED,
        40,
        100,
        60,
    ),
    Case(
        "away in between does not count",
        600,
        (("customer", "room", 0, None), ("mechanic", "room", 0, 2), ("mechanic", "room", 62, 65)),
        _SHORT,
        0,
        65,
        5,
    ),
    Case(
        "two stretches add up",
        600,
        (("customer", "room", 0, None), ("mechanic", "room", 0, 30), ("mechanic", "room", 100, 130)),
        _COMPLETED,
        0,
        130,
        60,
    ),
    Case(
        "two devices of one party are one presence",
        600,
        (
            ("customer", "room", 0, 40),
            ("customer", "room", 20, 70),
            ("mechanic", "room", 0, None),
            ("mechanic", "room", 0, 50),
        ),
        _COMPLETED,
        0,
        70,
        70,
    ),
    Case(
        "however late somebody asks: the end is the last instant of both",
        90_000,
        (("customer", "room", 0, 59), ("mechanic", "room", 0, 900)),
        _SHORT,
        0,
        59,
        59,
    ),
    Case("past max_minutes nothing counts", 90_000, both(0), _COMPLETED, 0, 10_800, 10_800),
    Case("joins alone are no talk", 600, both(0, source="claim"), _SILENT, 0, 600, 0, words=(0, 0)),
    Case("joins alone are no talk, whatever was written", 600, both(0, source="claim"), _SHORT, 0, 600, 0),
    Case("the mechanic wrote nothing", 600, both(0), _SILENT, 0, 600, 0, words=(3, 0)),
    Case("the customer wrote nothing", 600, both(0), _SILENT, 0, 600, 0, words=(0, 3)),
    Case("nobody wrote, and not for long", 59, both(0), _SHORT, 0, 59, 0, words=(0, 0)),
    Case(
        "under claimed the word of both is enough",
        60,
        both(0, source="claim"),
        _COMPLETED,
        0,
        60,
        60,
        (0, 0),
        "claimed",
    ),
    Case(
        "under claimed any source is presence",
        60,
        (("customer", "claim", 0, None), ("mechanic", "room", 0, None)),
        _COMPLETED,
        0,
        60,
        60,
        (0, 0),
        "claimed",
    ),
    Case(
        "a claim of one and a socket of the other count nothing",
        600,
        (("customer", "claim", 0, None), ("mechanic", "room", 0, None)),
        _SHORT,
        0,
        600,
        0,
    ),
    Case("the medium needs no words", 60, both(0, source="medium"), _COMPLETED, 0, 60, 60, words=(0, 0)),
    Case("mutual windows need no words", 60, both(0, 60, "mutual"), _COMPLETED, 0, 60, 60, words=(0, 0)),
    Case(
        "a mutual window of one page is nothing",
        600,
        (*both(0), ("customer", "mutual", 0, 60)),
        _SILENT,
        0,
        600,
        0,
        (0, 0),
    ),
    Case(
        "medium, mutual and room count each second once",
        600,
        (*both(0, 30, "medium"), *both(15, 45, "mutual"), *both(0, 60)),
        _COMPLETED,
        0,
        60,
        60,
    ),
    Case(
        "the room where nobody wrote adds nothing to the medium",
        600,
        (*both(0, 30, "medium"), *both(30, 600)),
        _SHORT,
        0,
        600,
        30,
        words=(0, 0),
    ),
    Case(
        "sound of one side, and not a word of the other",
        600,
        (*both(0), ("customer", "medium", 0, None)),
        _SILENT,
        0,
        600,
        0,
        words=(0, 0),
    ),
    Case(
        "a recorded start counts, also one from before the evidence",
        100,
        both(50),
        _SHORT,
        0,
        100,
        50,
        recorded_start=0,
    ),
    Case("a recorded start later than all meetings", 900, both(0, 100), _SHORT, 500, 500, 0, recorded_start=500),
    Case("nobody came, and the customer thinks better of it", 700, (), _WITHDRAWN, end=700),
    Case("only the customer came, for 599 s", 599, both(0)[:1], _WITHDRAWN, end=599),
    Case("only the customer came, for 600 s", 600, both(0)[:1], _NO_SHOW, end=600, absent=Absent.MECHANIC),
    Case("only the mechanic came, for 600 s", 600, both(0)[1:], _NO_SHOW, end=600, absent=Absent.CUSTOMER),
    Case(
        "each waited for the other in vain",
        2000,
        (("customer", "room", 0, 700), ("mechanic", "room", 800, 1500)),
        _NO_SHOW,
        end=2000,
        absent=Absent.BOTH,
    ),
    Case("who waits before the accept waits for nobody", 1100, both(0)[:1], _WITHDRAWN, end=1100, accepted=600),
    Case("nor does who comes early", 1100, both(0)[:1], _WITHDRAWN, end=1100, wanted=600),
    Case("a sweep is no change of mind", 100, both(0)[:1], _NO_SHOW, end=100, absent=Absent.MECHANIC, by_system=True),
    Case("a sweep where nobody came", 100, (), _NO_SHOW, end=100, absent=Absent.BOTH, by_system=True),
    Case("nobody had accepted", 700, (), _WITHDRAWN, end=700, accepted=None),
    Case("nobody had accepted, and the customer sat there alone", 700, both(0)[:1], _WITHDRAWN, end=700, accepted=None),
]


_instants = st.integers(0, 4000).map(lambda halves: NOON + timedelta(seconds=halves / 2))
_parties: st.SearchStrategy[Party] = st.sampled_from(["customer", "mechanic"])
_sources: st.SearchStrategy[Source] = st.sampled_from(["room", "medium", "mutual", "claim"])


@st.composite
def _any_stretch(draw: st.DrawFn) -> Stretch:
    since, lasted = draw(_instants), draw(st.none() | st.integers(0, 1000))
    until = None if lasted is None else since + timedelta(seconds=lasted / 2)
    return Stretch(draw(_parties), draw(_sources), since, until)


@dataclass(frozen=True)
class Judgement:
    """Any evidence, any limits, and a now after the beginning of all of it."""

    evidence: Evidence
    now: datetime
    limits: Limits
    by_system: bool

    @property
    def verdict(self) -> Verdict:
        return verdict(self.evidence, self.now, self.limits, by_system=self.by_system)


@st.composite
def judgements(draw: st.DrawFn) -> Judgement:
    """Any history, any limits, and a now after all of it has begun."""
    seen = draw(st.lists(_any_stretch(), max_size=12))
    recorded = draw(st.none() | _instants)
    accepted = draw(st.none() | _instants)
    if accepted is not None:  # a mechanic is there only after the accept
        seen = [each for each in seen if each.role == "customer" or each.since >= accepted]
    wanted = draw(st.none() | _instants)
    evidence = Evidence(
        accepted,
        recorded,
        tuple(seen),
        draw(st.tuples(*[st.integers(0, 2)] * 2)),
        draw(st.sampled_from(["witnessed", "claimed"])),
        wanted,
    )
    past = [each.since for each in seen] + [each for each in (recorded, accepted, wanted) if each]
    limits = Limits(
        timedelta(seconds=draw(st.integers(0, 600))),
        timedelta(minutes=draw(st.integers(1, 40))),
        draw(st.integers(0, 2)),
        timedelta(minutes=draw(st.integers(0, 12))),
    )
    now = max([NOON, *past]) + timedelta(seconds=draw(st.integers(0, 2_000)))
    return Judgement(evidence, now, limits, draw(st.booleans()))
