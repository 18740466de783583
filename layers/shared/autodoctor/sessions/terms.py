"""What was agreed for a session: its price, what the price covers, and from when on it counts."""

from typing import Final, LiteralString

from autodoctor.web.schemas import ResponseModel


class SessionTerms(ResponseModel):
    """The terms of a session, so that its parties can be told what ending it now means.

    Attributes:
        price_cents: as of the intake; nothing beyond it is ever taken.
        credits: what it costs where it is paid by credits.
        included_minutes: what the price covers, as agreed.
        max_minutes: after which it is ended.
        has_video: whether its parties may call each other, whatever it was asked for as.
        min_billable_seconds: together for less, nothing is charged: the session's own once it ended, until then the
            setting.
    """

    price_cents: int
    currency: str
    credits: int
    included_minutes: int
    max_minutes: int
    has_video: bool
    min_billable_seconds: int


TERMS: Final[LiteralString] = """
(SELECT jsonb_build_object('priceCents', i.price_cents, 'currency', i.currency, 'credits', i.credits,
                           'includedMinutes', coalesce(i.included_minutes, least(p.included_minutes, i.max_minutes)),
                           'maxMinutes', i.max_minutes,
                           'hasVideo', p.session_types && '{video,diagnostic}',
                           'minBillableSeconds', coalesce(s.min_billable_seconds, min_billable_seconds()))
   FROM plans p WHERE p.code = i.plan_code)
"""
"""The terms of session `s`, asked for by intake `i`."""
