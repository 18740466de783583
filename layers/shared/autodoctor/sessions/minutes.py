"""The minutes of a session: how many there are, and when they are over."""

from typing import Final, LiteralString

from autodoctor.web.schemas import ResponseModel, Utc


class SessionMinutes(ResponseModel):
    """The clock that both parties see.

    Attributes:
        included: minutes that the price covers, as agreed; null where only the longest duration ends it.
        ends_at: when they are over; null before both were there.
        grace_ends_at: from when on the session is ended, by the verdict.
    """

    included: int | None
    ends_at: Utc | None
    grace_ends_at: Utc | None


MINUTES: Final[LiteralString] = """
(SELECT jsonb_build_object('included', m.included, 'endsAt', m.ends_at, 'graceEndsAt', m.grace_ends_at)
   FROM session_minutes(s) AS m)
"""
"""The minutes of session `s`."""
