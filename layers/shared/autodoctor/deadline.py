"""How long a run may still take."""

from collections.abc import Callable

type SecondsLeft = Callable[[], float]
"""Says how many seconds the run still has. A sweep asks between two pieces of work, and stops before it is cut off."""
