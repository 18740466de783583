"""What `autodoctor verify` claims to find: sections, checks, and the sentence about one thing that is wrong."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Section(StrEnum):
    """A line of the report."""

    SCHEMA = "schema"
    SESSIONS = "sessions"
    TRANSITIONS = "transitions"
    OUTCOMES = "outcomes"
    EVIDENCE = "evidence"
    TIMESTAMPS = "timestamps"
    MONEY = "money"
    LEDGER = "ledger"
    INBOX = "inbox"
    RECEIPTS = "receipts"
    ROOMS = "rooms"
    FILES = "files"
    METADATA = "metadata"
    ACTIVITY = "activity"
    QUEUE = "queue"
    OUTBOX = "outbox"
    NOTIFICATIONS = "notifications"


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        check: what was checked.
        subject: the id (or name) of what it is wrong with: usually a session.
        detail: what is wrong with it, without personal data.
    """

    check: "Check"
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of thing that can be wrong.

    Attributes:
        slug: its name in the report, in the audit of repairs and in metrics.
        section: where it is reported.
        says: what is not as it should be.
        invariant: the one of SPEC.md#invariants that it proves, by its number; None for what no invariant says.
        repairable: whether it has one right answer, which `autodoctor repair` gives.
    """

    slug: str
    section: Section
    says: str
    invariant: int | None = None
    repairable: bool = False

    def of(self, subject: object, detail: str) -> Finding:
        """A finding of this kind."""
        return Finding(self, str(subject), detail)
