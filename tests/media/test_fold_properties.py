"""The fold is one in Python and in the schema; repeating and reordering change nothing, losing never pays."""

from datetime import timedelta
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autodoctor.domain.ending import Evidence, Limits, Party, Stretch, heard_only, verdict
from autodoctor.domain.medium import Said, fold
from support.meetings.call_case import CallCase
from support.sessions.verdicts import NOON, after_noon
from support.world import World

LIMITS: Final = Limits(timedelta(seconds=60), timedelta(minutes=180))
NOW: Final = after_noon(300)

UNHEARD: Final = (-9.0, -8.0)
"""A page that reports at all, and at another time heard nothing."""

type Told = tuple[float, str]
"""An instant, in seconds after noon, and what was said of it."""

TOLD: Final = st.lists(
    st.tuples(st.integers(0, 20).map(float), st.sampled_from(["joined", "left", "dropped", "ended"])),
    max_size=8,
    unique=True,
)


def said(told: list[Told]) -> list[Said]:
    return [Said(after_noon(at), kind == "joined", kind == "ended") for at, kind in told]


@given(TOLD, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(told: list[Told], random: Random) -> None:
    again = [*told, *told]
    random.shuffle(again)
    assert fold(said(again)) == fold(said(told))


@given(st.lists(TOLD, min_size=1, max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_schema_folds_alike(world: World, many: list[list[Told]]) -> None:
    with world.owner.transaction(force_rollback=True), world.without_triggers() as superuser:
        for number, told in enumerate(many):
            for at, kind in told:
                superuser.execute(
                    "INSERT INTO media_events (session_id, stated_at, occurred_at, received_at, role, kind, meeting,"
                    " attendee) SELECT '00000000-0000-0000-0000-000000000001', %(at)s, %(at)s, 'infinity',"
                    " CASE %(kind)s WHEN 'ended' THEN NULL ELSE 'customer' END, %(kind)s, %(meeting)s,"
                    " CASE %(kind)s WHEN 'ended' THEN '' ELSE 'a' END",
                    {"at": after_noon(at), "kind": kind, "meeting": str(number)},
                )
            rows = superuser.execute(
                "SELECT since, until FROM medium_fold('00000000-0000-0000-0000-000000000001', %s, 'a') ORDER BY since",
                [str(number)],
            )
            assert [(row["since"], row["until"]) for row in rows] == fold(said(told))
        superuser.execute("TRUNCATE media_events")


# --- losing -----------------------------------------------------------------------------------------


@st.composite
def meetings(draw: st.DrawFn) -> tuple[dict[Party, list[Told]], list[tuple[float, float]]]:
    """What happened: each party's comings and goings, and the time for which packets went both ways."""
    moves: dict[Party, list[Told]] = {}
    there: dict[Party, list[tuple[float, float]]] = {}
    parties: tuple[Party, Party] = ("customer", "mechanic")
    for party in parties:
        # from 1 on: 0 is up to a millisecond before the meeting was asked for, which bounds it
        instants = sorted(draw(st.lists(st.integers(1, 200), min_size=2, max_size=6, unique=True)))
        pairs = list(zip(instants[::2], instants[1::2], strict=False))
        there[party] = [(float(since), float(until)) for since, until in pairs]
        moves[party] = [each for since, until in there[party] for each in ((since, "joined"), (until, "left"))]
    overlap = [
        (max(a, c), min(b, d)) for a, b in there["customer"] for c, d in there["mechanic"] if max(a, c) < min(b, d)
    ]
    return moves, overlap


def counted(moves: dict[Party, list[Told]], windows: list[tuple[float, float]]) -> timedelta:
    """How much is sure: what pays without a person."""
    stretches = [
        Stretch(party, "medium", since, until) for party, told in moves.items() for since, until in fold(said(told))
    ]
    heard = [Stretch("mechanic", "mutual", after_noon(since), after_noon(until)) for since, until in windows]
    heard.append(Stretch("mechanic", "mutual", after_noon(UNHEARD[0]), after_noon(UNHEARD[1])))
    sure = heard_only((*stretches, *heard), NOW)
    judged = verdict(Evidence(NOON, NOON, sure), NOW, LIMITS)
    assert judged.together is not None
    return judged.together


@given(meetings(), st.data())
def test_losing_events_never_raises_what_is_sure(
    meeting: tuple[dict[Party, list[Told]], list[tuple[float, float]]], data: st.DataObject
) -> None:
    moves, overlap = meeting
    whole = counted(moves, overlap)
    assert whole == sum((timedelta(seconds=until - since) for since, until in overlap), timedelta())
    kept = {
        party: [each for each in told if data.draw(st.booleans(), label=f"{party} {each} arrives")]
        for party, told in moves.items()
    }
    assert counted(kept, overlap) <= whole


HEAR: Final = """
SELECT hear_meeting(m.meeting_id, %(participant)s, %(role)s, %(kind)s, %(at)s) FROM session_meetings m
 WHERE m.session_id = %(session)s
"""
WINDOWS: Final = """
INSERT INTO session_presence (session_id, role, mechanic_id, source, witness, since, recorded_at, until, closed_at)
SELECT %(session)s, 'mechanic', %(mechanic)s, 'mutual', 'page', w.since, w.since, w.until, w.until
  FROM unnest(%(since)s::timestamptz[], %(until)s::timestamptz[]) AS w (since, until)
"""
JUDGED: Final = "SELECT (judge_again(s, %s, 'infinity', true)).together_seconds FROM sessions s WHERE s.id = %s"


@pytest.fixture
def past(case: CallCase) -> CallCase:
    """A session whose meeting was opened five minutes ago."""
    case.press()
    case.world.let_time_pass(300)
    return case


@given(meetings(), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_schema_counts_of_what_arrives_what_the_domain_counts_and_never_more_than_of_all(
    past: CallCase, meeting: tuple[dict[Party, list[Told]], list[tuple[float, float]]], data: st.DataObject
) -> None:
    """Events of a real meeting are lost, repeated, late and out of order; it is judged again after each."""
    owner, asked = past.world.owner, past.asked_at()
    moves, overlap = meeting
    sent = [(party, each) for party, told in moves.items() for each in told]
    arriving = data.draw(st.lists(st.sampled_from(sent), max_size=2 * len(sent)), label="what arrives, in its order")
    with owner.transaction(force_rollback=True):
        since, until = ([asked + timedelta(seconds=span[end]) for span in [*overlap, UNHEARD]] for end in (0, 1))
        session = {"session": past.session_id, "mechanic": past.mechanic.id}
        owner.execute(WINDOWS, {**session, "since": since, "until": until})
        arrived: dict[Party, list[Told]] = {"customer": [], "mechanic": []}
        for party, (at, kind) in arriving:
            arrived[party].append((at, kind))
            event = {"role": party, "kind": kind, "at": asked + timedelta(seconds=at), "session": past.session_id}
            owner.execute(HEAR, {**event, "participant": past.participant(party)})
            judged = past.world.one(JUDGED, asked + timedelta(seconds=300), past.session_id)
            counts = counted(arrived, overlap)
            assert timedelta(seconds=float(judged or 0)) == counts
            assert counts <= counted(moves, overlap)


@given(meetings())
def test_the_windows_of_one_page_raise_nothing(
    meeting: tuple[dict[Party, list[Told]], list[tuple[float, float]]],
) -> None:
    moves, overlap = meeting
    assert counted(moves, [(0.0, 250.0)]) == counted(moves, overlap)
    nobody: dict[Party, list[Told]] = {"customer": [], "mechanic": []}
    assert counted(nobody, [(0.0, 250.0)]) == timedelta()


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 16)), max_size=12))
def test_windows_count_where_both_pages_say_so(windows: list[tuple[int, int]]) -> None:
    def spans(role: Party) -> tuple[Stretch, ...]:
        return tuple(Stretch(role, "mutual", after_noon(at), after_noon(at + lasted)) for at, lasted in windows)

    def together(stretches: tuple[Stretch, ...]) -> timedelta | None:
        return verdict(Evidence(NOON, NOON, stretches), NOW, LIMITS).together

    both = together(spans("customer") + spans("mechanic"))
    seconds = {second for at, lasted in windows for second in range(at, at + lasted)}
    assert both == timedelta(seconds=len(seconds))
    assert together(spans("customer")) == timedelta()
