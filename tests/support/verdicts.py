"""Cases of the verdict, for Python and the schema: the policy as a table, and random evidence."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from hypothesis import strategies as st

from autodoctor.domain.ending import Absent, Evidence, Presence, Verdict, verdict

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
MINIMUM = timedelta(seconds=60)
MAXIMUM = timedelta(minutes=180)

type What = tuple[Literal["customer", "mechanic"], Literal["joined", "left"], float]


def after_noon(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def presence(*events: What) -> tuple[Presence, ...]:
    return tuple(Presence(role, kind, after_noon(seconds)) for role, kind, seconds in events)


def came(*, customer: float | None = None, mechanic: float | None = None) -> tuple[What, ...]:
    joins: list[What] = []
    if customer is not None:
        joins.append(("customer", "joined", customer))
    if mechanic is not None:
        joins.append(("mechanic", "joined", mechanic))
    return tuple(sorted(joins, key=lambda event: event[2]))


@dataclass(frozen=True)
class Case:
    """One row of the policy; instants are seconds after noon, `now` is when somebody asks."""

    policy: str
    now: float
    events: tuple[What, ...]
    outcome: str
    start: float | None = None
    end: float = 0
    recorded_start: float | None = None
    accepted: bool = True
    absent: Absent | None = None


BOTH = came(customer=0, mechanic=0)
POLICY = [
    Case("exactly 60 s is billable", 60, BOTH, "completed billable", 0, 60, 0),
    Case("59.999 s is too short", 59.999, BOTH, "cancelled too_short", 0, 59.999, 0),
    Case("longer than the minimum is billable", 600, BOTH, "completed billable", 0, 600, 0),
    Case("ended in the instant of its start is too short", 0, BOTH, "cancelled too_short", 0, 0, 0),
    Case(
        "a start that nobody recorded is derived: the later of the two joins",
        now=100,
        events=came(customer=10, mechanic=40),
        outcome="completed billable",
        start=40,
        end=100,
    ),
    Case(
        "the derived start does not ask who joined first",
        now=100,
        events=came(mechanic=10, customer=40),
        outcome="completed billable",
        start=40,
        end=100,
    ),
    Case(
        "a derived start can be too late",
        now=99.999,
        events=came(customer=0, mechanic=40),
        outcome="cancelled too_short",
        start=40,
        end=99.999,
    ),
    Case(
        "a join that was left again is no presence",
        now=500,
        events=(("customer", "joined", 0), ("customer", "left", 5), ("mechanic", "joined", 10)),
        outcome="cancelled no_show",
        end=500,
        absent=Absent.BOTH,
    ),
    Case(
        "leave and rejoin: the start stands, the end is now",
        now=200,
        events=(*BOTH, ("customer", "left", 30), ("customer", "joined", 90)),
        outcome="completed billable",
        start=0,
        end=200,
        recorded_start=0,
    ),
    Case(
        "leave and rejoin before the other came: the start is when both were there",
        now=200,
        events=(
            ("customer", "joined", 0),
            ("customer", "left", 10),
            ("mechanic", "joined", 20),
            ("customer", "joined", 50),
        ),
        outcome="completed billable",
        start=50,
        end=200,
    ),
    Case(
        "one left: the end is the last instant at which both were present",
        now=3600,
        events=(*BOTH, ("mechanic", "left", 61)),
        outcome="completed billable",
        start=0,
        end=61,
        recorded_start=0,
    ),
    Case(
        "last together long ago, however late somebody asks: too short stays too short",
        now=90_000,
        events=(*BOTH, ("customer", "left", 59)),
        outcome="cancelled too_short",
        start=0,
        end=59,
        recorded_start=0,
    ),
    Case(
        "who leaves second moves nothing",
        now=3600,
        events=(*BOTH, ("customer", "left", 70), ("mechanic", "left", 900)),
        outcome="completed billable",
        start=0,
        end=70,
        recorded_start=0,
    ),
    Case(
        "they met twice: the end is where the second meeting ended",
        now=3600,
        events=(*BOTH, ("customer", "left", 20), ("customer", "joined", 100), ("mechanic", "left", 130)),
        outcome="completed billable",
        start=0,
        end=130,
        recorded_start=0,
    ),
    Case(
        "past max_minutes the end is start + max_minutes",
        now=90_000,
        events=BOTH,
        outcome="completed billable",
        start=0,
        end=10_800,
        recorded_start=0,
    ),
    Case(
        "parted after max_minutes: the same",
        now=90_000,
        events=(*BOTH, ("mechanic", "left", 10_900)),
        outcome="completed billable",
        start=0,
        end=10_800,
        recorded_start=0,
    ),
    Case(
        "a recorded start counts, also one backdated to before the joins",
        now=100,
        events=came(customer=50, mechanic=50),
        outcome="completed billable",
        start=0,
        end=100,
        recorded_start=0,
    ),
    Case(
        "a recorded start later than the last meeting lasted no time at all",
        now=900,
        events=(*BOTH, ("mechanic", "left", 100)),
        outcome="cancelled too_short",
        start=500,
        end=500,
        recorded_start=500,
    ),
    Case("nobody came", 700, (), "cancelled no_show", end=700, absent=Absent.BOTH),
    Case(
        "only the customer came",
        700,
        came(customer=3),
        "cancelled no_show",
        end=700,
        absent=Absent.MECHANIC,
    ),
    Case(
        "only the mechanic came",
        700,
        came(mechanic=3),
        "cancelled no_show",
        end=700,
        absent=Absent.CUSTOMER,
    ),
    Case("nobody had accepted", 700, (), "cancelled withdrawn", end=700, accepted=False),
    Case(
        "nobody had accepted, and the customer sat there alone",
        700,
        came(customer=3),
        "cancelled withdrawn",
        end=700,
        accepted=False,
    ),
]


_instants = st.integers(0, 40_000).map(lambda tenths: NOON + timedelta(seconds=tenths / 2))
_roles: st.SearchStrategy[Literal["customer", "mechanic"]] = st.sampled_from(["customer", "mechanic"])
_kinds: st.SearchStrategy[Literal["joined", "left"]] = st.sampled_from(["joined", "left"])


@st.composite
def judgements(draw: st.DrawFn) -> tuple[Evidence, datetime, timedelta, timedelta, Verdict]:
    """Any history in order of time, any thresholds, and a now after all of it."""
    events = draw(st.lists(st.builds(Presence, _roles, _kinds, _instants), max_size=12))
    recorded = draw(st.none() | _instants)
    evidence = Evidence(
        accepted=draw(st.booleans()),
        started_at=recorded,
        presence=tuple(sorted(events, key=lambda event: event.at)),
    )
    past = [event.at for event in events] + ([recorded] if recorded else [])
    now = max([NOON, *past]) + timedelta(seconds=draw(st.integers(0, 20_000)))
    minimum = timedelta(seconds=draw(st.integers(0, 600)))
    maximum = timedelta(minutes=draw(st.integers(1, 180)))
    return evidence, now, minimum, maximum, verdict(evidence, now, minimum, maximum)
