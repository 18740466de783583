"""What may go wrong on the way of a meeting's events: they are sent with best effort, and may come out of order."""

from dataclasses import asdict, dataclass, field
from typing import Final, Literal, get_args

type Way = Literal["bus", "queue"]
WAYS: Final[tuple[Way, ...]] = ("bus", "queue")
MOST_COPIES: Final = 10
MOST_SECONDS: Final = 600.0
type Order = Literal["kept", "mixed"]


@dataclass(frozen=True)
class WayFaults:
    """How one way misbehaves.

    Attributes:
        lost: the share of events that never arrive, 0 to 1.
        copies: how often an event arrives.
        delay_seconds: how late it arrives.
        order: `mixed` has each copy come after a random part of the delay, so that events overtake each other.
    """

    lost: float = 0.0
    copies: int = 1
    delay_seconds: float = 0.0
    order: Order = "kept"

    def __post_init__(self) -> None:
        within = 0 <= self.lost <= 1 and 1 <= self.copies <= MOST_COPIES and 0 <= self.delay_seconds <= MOST_SECONDS
        if not within or self.order not in get_args(Order.__value__):
            reason = f"lost 0 to 1, copies 1 to {MOST_COPIES}, delay 0 to {MOST_SECONDS:.0f} s, order kept or mixed"
            raise ValueError(f"{asdict(self)}: {reason}")


@dataclass
class MeetingFaults:
    """The faults of both ways; each may be replaced at any time, from any thread."""

    bus: WayFaults = field(default_factory=WayFaults)
    queue: WayFaults = field(default_factory=WayFaults)

    def of(self, way: Way) -> WayFaults:
        """The faults of one way."""
        return self.bus if way == "bus" else self.queue

    def change(self, way: Way, faults: WayFaults) -> None:
        """Replace a way's faults."""
        if way == "bus":
            self.bus = faults
        else:
            self.queue = faults
