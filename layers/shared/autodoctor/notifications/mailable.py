"""Who may be sent a mail, and why others are not."""

import re
from typing import Final

from autodoctor.db import Row

# Addresses that SES accepts without quoting or punycode, and nothing that could be read as two addresses.
_USABLE: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")

UNCONFIRMED: Final = "unconfirmed"
"""Why a customer gets no mail whose address nobody has shown to be theirs: anybody can type any address."""


def why_no_mail(row: Row) -> str | None:
    """The first reason that holds why somebody gets no mail, None where they get one.

    Args:
        row: a person whom an event concerns, with address and wishes.
    """
    blocked = row["blocked"]
    reasons = (
        (row["erased"], "erased"),
        (not row["wants_mail"], "preference"),
        (not row["email"], "no_address"),
        (row["email"] and not _USABLE.fullmatch(row["email"]), "unusable_address"),
        (blocked is not None, str(blocked)),
        (not row["confirmed"], UNCONFIRMED),
        (row["superseded"], "superseded"),
    )
    return next((reason for holds, reason in reasons if holds), None)
