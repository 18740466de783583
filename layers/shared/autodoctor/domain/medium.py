"""When an attendee was in a meeting, from all that the medium has said, as the schema's `medium_fold()` gives it.

Written independently, instant by instant, for verify and the tests (SPEC.md#evidence).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that the medium said of an attendee, or of their whole meeting.

    Attributes:
        at: when it happened, within what we know.
        came: whether they came; else they went.
        is_end: whether the meeting ended with it.
    """

    at: datetime
    came: bool
    is_end: bool = False


def fold(said: Iterable[Said]) -> list[tuple[datetime, datetime | None]]:
    """The stretches of an attendee, oldest first; the last one is open while they are there.

    Args:
        said: in any order.
    """
    said = list(said)
    ends = [each.at for each in said if each.is_end]
    moves: defaultdict[datetime, set[bool]] = defaultdict(set)
    for each in said:
        if not each.came or not ends or each.at < min(ends):
            moves[each.at].add(each.came)
    stretches: list[tuple[datetime, datetime | None]] = []
    since: datetime | None = None
    for at in sorted(moves):
        if moves[at] == {True} and since is None:
            since = at
        elif moves[at] == {False} and since is not None:
            stretches.append((since, at))
            since = None
    return stretches if since is None else [*stretches, (since, None)]
