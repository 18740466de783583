"""How documents on paper write amounts and dates; in English, whatever the reader's language."""

from datetime import datetime
from typing import Final

_CENTS: Final = 100
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def money(cents: int) -> str:
    """Cents of usd: -$1,234.50."""
    whole, rest = divmod(abs(cents), _CENTS)
    return f"{'-' if cents < 0 else ''}${whole:,}.{rest:02}"


def amount(cents: int | None, credits_: int | None) -> str:
    """Money, or credits where there is none."""
    if cents is not None:
        return money(cents)
    return f"{credits_ or 0} credit{'' if credits_ == 1 else 's'}"


def instant(at: datetime) -> str:
    """The minute of an instant in UTC: 30 November 2026, 14:05 UTC."""
    return f"{day(at)}, {at:%H:%M} UTC"


def day(at: datetime) -> str:
    """The date of an instant in UTC: 30 November 2026."""
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"
