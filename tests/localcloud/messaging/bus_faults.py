"""What tests can break about the bus; out of the box nothing is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

type Mode = Literal["works", "refuses", "hangs", "cuts", "cuts_after_taking"]


@dataclass
class BusFaults:
    """How the bus misbehaves. Each field may be changed at any time, from any thread.

    Attributes:
        mode: `refuses` answers PutEvents with 500, `hangs` answers when the fault is over, `cuts` closes the
            connection, `cuts_after_taking` does so when the events are already on the bus.
        refuse_entry: which entries of PutEvents are refused in an answer of 200; an entry is as the caller sent it.
        copies: how often each event is delivered to each target.
        spread_seconds: deliveries come that much late, each at random: shuffled.
        undeliverable: names of queues that refuse what rules deliver, as when they are throttled.
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
