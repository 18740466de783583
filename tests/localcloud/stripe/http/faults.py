"""The faults of Stripe that a test can switch on. None outlives the process."""

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

type Mode = Literal[
    "error", "error_after", "unavailable", "rate_limit", "timeout", "timeout_after", "cut", "cut_after", "slow"
]


@dataclass
class Fault:
    """A fault that strikes some calls of the API.

    Attributes:
        mode: `error` answers 500 without acting, `error_after` acts first; the idempotency key keeps this answer.
            `unavailable` (503) and `rate_limit` (429) do nothing, and the key keeps no answer. `timeout` does nothing
            for `seconds` and hangs up, `timeout_after` acts first; `cut` and `cut_after` hang up at once. `slow`
            answers as usual, `seconds` late.
        method: of the matching calls; `*` for any.
        path: of the matching calls, like `/v1/transfers` or `/v1/refunds*`.
        times: how often it strikes; None: without end.
        every: it can strike every nth matching call: 5 means the fifth, the tenth, ...
        odds: the probability that it then strikes.
        seconds: how long it waits at most: `let_go` ends it earlier.
        seen: how many matching calls it has counted.
        struck: how many of them it has struck.
        waiting: how many calls it makes wait now. A call that waits has its idempotency key.
    """

    mode: Mode
    method: str = "*"
    path: str = "*"
    times: int | None = 1
    every: int = 1
    odds: float = 1.0
    seconds: float = 30.0
    seen: int = 0
    struck: int = 0
    waiting: int = 0
    over: bool = False

    def let_go(self) -> None:
        """End the waiting of every call that it has struck, from any thread; none waits from now on."""
        self.over = True

    def strikes(self, method: str, path: str, chance: random.Random) -> bool:
        """Count a call, and return whether the fault strikes it."""
        if self.method not in ("*", method) or not fnmatchcase(path, self.path):
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        self.seen += 1
        if self.seen % self.every or chance.random() >= self.odds:
            return False
        self.struck += 1
        return True


@dataclass
class WebhookFaults:
    """How webhooks misbehave. Each field may be changed at any time, and applies to later events.

    Attributes:
        copies: how often each event is delivered.
        delay_seconds: how late each delivery is.
        spread_seconds: each delivery is later still by a random time up to this, so that their order changes.
        drop: types (or patterns like `charge.*`) that are never delivered; the API still lists them.
        drop_odds: the probability that any other event is never delivered.
        held: nothing is delivered until `control.release` or until this is false again.
    """

    copies: int = 1
    delay_seconds: float = 0.0
    spread_seconds: float = 0.0
    drop: tuple[str, ...] = ()
    drop_odds: float = 0.0
    held: bool = False


@dataclass
class Faults:
    """All faults of one stand-in; the same `seed` repeats the same chances."""

    calls: list[Fault] = field(default_factory=list)
    webhooks: WebhookFaults = field(default_factory=WebhookFaults)
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def choose(self, method: str, path: str) -> Fault | None:
        """Return the first fault that strikes a call."""
        return next((each for each in list(self.calls) if each.strikes(method, path, self.chance)), None)

    def due_times(self, kind: str, now: float) -> list[float]:
        """Return the delivery times of an event's copies; none when it is dropped."""
        hooks = self.webhooks
        if any(fnmatchcase(kind, pattern) for pattern in hooks.drop) or self.chance.random() < hooks.drop_odds:
            return []
        return [
            now + hooks.delay_seconds + self.chance.random() * hooks.spread_seconds for _copy in range(hooks.copies)
        ]
