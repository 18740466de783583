"""Judging: what a row of the bench says, and whether the machine was quiet enough for a timing to mean anything.

Pure: numbers in, verdicts out.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MAX_SPREAD: Final = 0.25
"""Largest relative interquartile range of a floor's rounds that still counts as quiet."""
MAX_DRIFT: Final = 0.15
"""Largest distance from 1 of the floor's odd rounds against its even ones (the A-A comparison)."""
MAX_BUSY: Final = 0.25
"""Largest share of the processors that others may use while we do nothing."""


class Verdict(StrEnum):
    """What became of a row."""

    MET = "met"
    MISSED = "MISSED"
    REFUSED = "refused"
    SHOWN = "shown"


@dataclass(frozen=True)
class Target:
    """A bound on a row's ratio, or on its measured value where `on_ratio` is false."""

    bound: float
    at_least: bool = False
    on_ratio: bool = True

    def met_by(self, value: float) -> bool:
        """Whether `value` keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.bound:.2f}x" if self.on_ratio else f"{sign} {self.bound:g}"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: what was measured.
        unit: of both values.
        measured: ours; None where nothing could be measured.
        reference: the floor's or the peer's.
        reference_name: who that is.
        target: None where the row only informs.
        gated: whether a miss fails the run.
        cause: why it was missed, or a remark.
        refused: why it says nothing: the machine was too noisy, or the run too small.
        samples: every round, for the JSON file.
    """

    name: str
    unit: str
    measured: float | None
    reference: float | None = None
    reference_name: str = ""
    target: Target | None = None
    gated: bool = False
    cause: str = ""
    refused: str = ""
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Measured over reference."""
        if self.measured is None or not self.reference:
            return None
        return self.measured / self.reference

    @property
    def verdict(self) -> Verdict:
        """Met, missed, refused, or merely shown."""
        if self.refused:
            return Verdict.REFUSED
        if self.target is None:
            return Verdict.SHOWN
        value = self.ratio if self.target.on_ratio else self.measured
        return Verdict.MET if value is not None and self.target.met_by(value) else Verdict.MISSED

    @property
    def fails_the_run(self) -> bool:
        """Whether this row alone makes the exit status 1."""
        return self.gated and self.verdict is Verdict.MISSED


def spread(samples: Sequence[float]) -> float:
    """The interquartile range over the median; 0 for fewer than four samples."""
    if len(samples) < 4:
        return 0.0
    low, middle, high = statistics.quantiles(samples, n=4)
    return (high - low) / middle


def drift(samples: Sequence[float]) -> float:
    """How far the medians of the odd and the even rounds of one and the same thing are apart, relative to the mean."""
    if len(samples) < 2:
        return 0.0
    odd, even = statistics.median(samples[::2]), statistics.median(samples[1::2])
    return abs(odd - even) / statistics.mean((odd, even))


def noise(floor: Sequence[float], busy: float) -> str:
    """Why the timings of a run mean nothing; empty when the machine was quiet.

    Args:
        floor: the floor's rounds, in the order they ran, interleaved with what they are the floor of.
        busy: the share of the processors that others used just before, 0 to 1.
    """
    if busy > MAX_BUSY:
        return f"noisy: others used {busy:.0%} of the processors"
    if (apart := drift(floor)) > MAX_DRIFT:
        return f"noisy: the floor differs from itself by {apart:.0%}"
    if (wide := spread(floor)) > MAX_SPREAD:
        return f"noisy: the floor's rounds spread over {wide:.0%}"
    return ""


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` (0 to 1) of all are no larger than."""
    return sorted(samples)[max(0, math.ceil(share * len(samples)) - 1)]
