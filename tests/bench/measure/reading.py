"""The pages that several rounds of one operation touched."""

import statistics
from dataclasses import dataclass

from bench.measure.meter import Buffers


@dataclass(frozen=True)
class Reading:
    """What one operation touched, with `ended` sessions behind it."""

    ended: int
    rounds: list[Buffers]

    @property
    def pages(self) -> float:
        """The median of all rounds."""
        return statistics.median(each.total for each in self.rounds)

    @property
    def indexes(self) -> int:
        """How many indexes the median round touched."""
        return len(self._median_round.index)

    @property
    def searches(self) -> int:
        """How often the median round searched an index."""
        return sum(self._median_round.searches.values())

    @property
    def _median_round(self) -> Buffers:
        return sorted(self.rounds, key=lambda each: each.total)[len(self.rounds) // 2]
