"""The faults of the bus that tests can switch on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

type Mode = Literal["works", "refuses", "hangs", "cuts", "cuts_after_taking"]


@dataclass
class BusFaults:
    """How the bus misbehaves. Each field may be changed at any time, from any thread.

    Attributes:
        mode: `refuses` answers PutEvents with 500, `hangs` answers when the fault is over, `cuts` closes the
            connection, `cuts_after_taking` closes it once the events are on the bus.
        refuse_entry: whether an entry of PutEvents, as the caller sent it, is refused within an answer of 200.
        copies: how often each event is delivered to each target.
        spread_seconds: each delivery is late by a random time up to this, so that their order changes.
        undeliverable: names of queues that refuse deliveries of rules, as if they were throttled.
    """

    mode: Mode = "works"
    refuse_entry: Callable[[dict[str, object]], bool] = field(default=lambda _entry: False)
    copies: int = 1
    spread_seconds: float = 0.0
    undeliverable: frozenset[str] = frozenset()

    @property
    def scatters(self) -> bool:
        """Whether deliveries are repeated or late."""
        return self.copies != 1 or self.spread_seconds > 0
