"""The values of a text in an answer, where its model leaves them open so that one can be added within a version.

Clients show a value that they do not know as it is. The tests treat these lists as complete.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from autodoctor.domain.lifecycle import TERMINAL, AssignmentStatus, EndReason, SessionStatus

KEY: Final = "x-extensible-enum"

_NOT_LIVE: Final = (SessionStatus.SCHEDULED, SessionStatus.PENDING, SessionStatus.WAITING)
_UNDONE: Final = (SessionStatus.CANCELLED, SessionStatus.EXPIRED)
_CHOICES: Final[Mapping[str, Iterable[str]]] = {
    "sessionStatus": SessionStatus,
    "SessionEnded.sessionStatus": [status for status in SessionStatus if status in TERMINAL],
    "SessionNotOpen.sessionStatus": (SessionStatus.SCHEDULED, SessionStatus.PENDING),
    "SessionNotReleasable.sessionStatus": (SessionStatus.SCHEDULED, SessionStatus.PENDING, SessionStatus.LIVE),
    "SessionNotEscalatable.sessionStatus": (*_NOT_LIVE, *_UNDONE),
    "QuoteDecided.quoteStatus": ("approved", "declined", "superseded"),
    "contestState": ("not_settled", "nothing_paid", "given_back", "over", "erased"),
    "NotOffered.reason": ("not_queued", "suspended", "other_workshop", "declined", "own_session", "busy"),
    "extensionRefusal": ("not_live", "no_minutes", "too_long"),
    "extensionStatus": ("asked", "agreed", "declined", "lapsed", "running"),
    "contestOutcome": ("keep", "part", "all"),
    "assignmentStatus": AssignmentStatus,
    **dict.fromkeys(("SessionSummary.status", "PastSession.status", "SessionDetail.status"), SessionStatus),
    **dict.fromkeys(("PastSession.reason", "SessionDetail.reason", "Ended.reason"), EndReason),
    **dict.fromkeys(("Ended.status", "SessionUpdated.status", "SessionEvent.status"), SessionStatus),
    **dict.fromkeys(("SessionUpdated.reason", "SessionEvent.reason"), EndReason),
    "SessionEvent.previousStatus": SessionStatus,
    **dict.fromkeys(("QueuedAssignment.status", "AssignmentGone.status"), AssignmentStatus),
    **dict.fromkeys(("AssignmentEvent.status", "AssignmentEvent.previousStatus"), AssignmentStatus),
}
"""By the name in JSON, or by model and name."""


def add_choices(model: str, properties: Mapping[str, dict[str, Any]]) -> None:
    """Write the possible values into the properties of a model."""
    for name, schema in properties.items():
        choices = _CHOICES.get(f"{model}.{name}", _CHOICES.get(name))
        if choices is not None and "const" not in schema:
            schema[KEY] = [str(each) for each in choices]
