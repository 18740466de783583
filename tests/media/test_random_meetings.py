"""Random meetings whose events are lost, doubled and late: nobody pays for time in which no packets went both ways.

The rules are those of autodoctor.domain, which verify and other tests hold equal to the schema's.
"""

import math
import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pytest

from autodoctor.domain.ending import Evidence, Limits, Party, Stretch, heard_only, verdict
from autodoctor.domain.medium import Said, fold
from support.sessions.verdicts import NOON, after_noon

LIMITS: Final = Limits(timedelta(seconds=60), timedelta(minutes=180))
PARTIES: Final[tuple[Party, Party]] = ("customer", "mechanic")
WINDOW: Final = 15.0

type Span = tuple[float, float]


@dataclass(frozen=True)
class Arrived:
    """An event as we have it: when it happened by the medium, and when it came, in seconds after noon."""

    party: Party
    at: float
    came: bool
    received: float


def there(chance: random.Random, end: float) -> list[Span]:
    """When a party's page was in the meeting."""
    instants = sorted(chance.uniform(0, end) for _ in range(chance.choice([1, 1, 1, 2, 3, 4, 5])))
    instants += [end] if len(instants) % 2 else []
    return [(since, until) for since, until in zip(instants[::2], instants[1::2], strict=True) if until - since > 1]


def overlap(one: list[Span], other: list[Span]) -> list[Span]:
    """When packets went both ways: what the media server counted."""
    return [(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) < min(b, d)]


def events(chance: random.Random, party: Party, spans: list[Span], end: float) -> list[Arrived]:
    """What arrives of what the medium says: one in ten is lost, one in ten comes twice, all up to a minute late."""
    arrived = []
    for since, until in spans:
        silent = chance.random() < 0.3  # a page that vanished is noticed after 10 to 15 s
        left = until + (chance.uniform(10, 15) if silent and until < end else 0.0)
        for at, came in ((since, True), (left, False)):
            late = (chance.choice([0.1, 1.0, chance.uniform(0, 60)]) for _ in range(1 + (chance.random() < 0.1)))
            if chance.random() >= 0.1:
                arrived += [Arrived(party, at, came, at + each) for each in late]
    return arrived


def windows(party: Party, heard: list[Span], own: list[Span]) -> list[Stretch]:
    """What a page reports of what it heard, in whole seconds; the window in which it vanishes is lost."""
    reported = [Stretch(party, "mutual", after_noon(since), after_noon(since)) for since, _ in own[:1]]  # as it joins
    for since, until in heard:
        at = float(math.ceil(since))
        while at + 1 <= until:
            last = min(at + WINDOW, math.floor(until))
            if any(a <= since and last + 1 <= b for a, b in own):
                reported.append(Stretch(party, "mutual", after_noon(at), after_noon(last)))
            at = last + 1 if last == math.floor(until) else last
    return reported


def outcome(chance: random.Random) -> tuple[str, float]:
    """What becomes of a random meeting, and for how long packets went both ways."""
    end = chance.uniform(30, 400)
    pages = {party: there(chance, end) for party in PARTIES}
    both = overlap(pages["customer"], pages["mechanic"])
    true = sum(until - since for since, until in both)
    arrived = [each for party in PARTIES for each in events(chance, party, pages[party], end)]
    mutual = [each for party in PARTIES for each in windows(party, both, pages[party])]

    def judged(known: float, *, sure: bool) -> str:
        medium = [
            Stretch(party, "medium", since, until)
            for party in PARTIES
            for since, until in fold(
                Said(after_noon(each.at), each.came)
                for each in arrived
                if each.party == party and each.received <= known
            )
        ]
        seen = (*medium, *mutual)
        evidence = Evidence(NOON, None, heard_only(seen, after_noon(end)) if sure else seen, (0, 0))
        return str(verdict(evidence, after_noon(end), LIMITS).status)

    stands, later = judged(end, sure=False), judged(end + 90, sure=False)
    if stands != later or (stands == "completed" and judged(end + 90, sure=True) != "completed"):
        return "held", true
    return stands, true


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_nobody_pays_for_time_in_which_no_packets_went_both_ways(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(13)
    found = [outcome(chance) for _ in range(count)]
    long = {
        status: sum(true >= 60 for each, true in found if each == status) for status in Counter(s for s, _ in found)
    }
    total = Counter(status for status, _ in found)
    with capsys.disabled():
        print(f"\n{count} meetings: {dict(total)}; of these with 60 s of packets: {long}")
        print(f"held: {total['held'] / count:.1%}")
    assert [true for status, true in found if status == "completed" and true < 60] == []
    assert long["completed"] > count / 10
