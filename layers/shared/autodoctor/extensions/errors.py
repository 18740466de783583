"""The errors of extensions."""

from collections.abc import Mapping
from typing import Final

from autodoctor.errors import Conflict, NotFound, Problem

WHY_NOT: Final[Mapping[str, str]] = {
    "not_live": "Only a talk that is going on can be extended.",
    "no_minutes": "This talk has no minutes that could run out.",
    "too_long": "It would be longer than a talk of its plan may be.",
}


class ExtensionNotFound(NotFound):
    """The session has no such extension."""

    def __init__(self) -> None:
        super().__init__("There is no such extension of this session.")


class ExtensionNotPossible(Conflict):
    """The session cannot be extended: it is not live, or would be too long."""

    slug, title = "extension-not-possible", "Extension not possible"

    def __init__(self, why: str) -> None:
        super().__init__(WHY_NOT[why], extensionRefusal=why)


class ExtensionAnswered(Conflict):
    """The mechanic has answered otherwise, or the customer does not want it any more."""

    slug, title = "extension-answered", "Extension answered"

    def __init__(self, status: str) -> None:
        super().__init__(f"This extension is {status} already.", extensionStatus=status)


class ExtensionNotPaid(Problem):
    """The customer has too few credits for the extension."""

    status, slug, title = 402, "extension-not-paid", "Extension not paid"

    def __init__(self) -> None:
        super().__init__("There are too few credits for these minutes.")
