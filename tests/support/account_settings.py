"""The settings of the running account that tests may change, through the fixture `account_settings`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class AccountSettings:
    """The differences of a file's account from the usual one.

    Attributes:
        port: of the API; 0: any free one.
        longest_redelivery_seconds: how long at most a message waits on which its function failed.
        roster: whether the roster's people are there, and a second together is billable.
        evidence: what counts as having been together; `claimed` where two joins by curl are to complete a session.
        relayed: whether a relay publishes what calls leave in the outbox.
        parameters: of the template.
        chime_client: the client of Chime's by which the console calls, instead of its own.
    """

    port: int = 0
    longest_redelivery_seconds: float = 5.0
    roster: bool = False
    evidence: Literal["witnessed", "claimed"] = "claimed"
    relayed: bool = True
    parameters: Mapping[str, str] = field(default_factory=dict)
    chime_client: Path | None = None


USUAL = AccountSettings()
