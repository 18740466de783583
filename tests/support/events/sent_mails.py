"""The mails of a running account, as its page shows them."""

import time
from collections.abc import Callable
from typing import Any

from support.account import Account

PATIENCE_SECONDS = 60.0


def eventually[T](look: Callable[[], T], what: Callable[[T], bool]) -> T:
    """The value once it is as expected, or the last one seen."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


def mails_to(account: Account, address: str) -> list[dict[str, Any]]:
    """The mails that SES took for this address, oldest first."""
    mails = account.http.get("/_dev/mail.json").json()["mails"]
    return [mail for mail in mails if mail["to"] == [address]][::-1]


def kinds_to(account: Account, address: str, count: int) -> list[str]:
    found = eventually(lambda: mails_to(account, address), lambda mails: len(mails) >= count)
    return [mail["kind"] for mail in found]
