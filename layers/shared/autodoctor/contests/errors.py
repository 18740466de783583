"""The errors of contests."""

from collections.abc import Mapping
from typing import Final

from autodoctor.errors import Conflict, NotFound

WHY_CLOSED: Final[Mapping[str, str]] = {
    "not_settled": "It is not settled yet; this takes a few minutes after its end.",
    "nothing_paid": "Nothing was paid for it.",
    "given_back": "What was paid for it goes back already.",
    "over": "The time in which it could be contested is over.",
    "erased": "The customer's data was erased, and nothing is added to it.",
}


class ContestNotFound(NotFound):
    """The session is not contested."""

    def __init__(self) -> None:
        super().__init__("This session is not contested.")


class ContestNotOpen(Conflict):
    """The session cannot be contested: not yet, not any more, or there is nothing to contest."""

    slug, title = "contest-not-open", "Contest not open"

    def __init__(self, why: str) -> None:
        super().__init__(f"This session cannot be contested. {WHY_CLOSED[why]}", contestState=why)


class ContestExists(Conflict):
    """The session is contested already, with other words."""

    slug, title = "contest-exists", "Contested already"

    def __init__(self) -> None:
        super().__init__("You contested this session already; your first words stand.")


class ContestAnswered(Conflict):
    """The mechanic has answered already, with other words."""

    slug, title = "contest-answered", "Answered already"

    def __init__(self) -> None:
        super().__init__("You answered already; your first words stand.")


class ContestDecided(Conflict):
    """The contest was decided, or decided otherwise."""

    slug, title = "contest-decided", "Contest decided"

    def __init__(self, outcome: str) -> None:
        super().__init__(f"This contest is decided: {outcome}.", contestOutcome=outcome)
