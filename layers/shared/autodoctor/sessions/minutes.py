"""The minutes of a session: how many there are, and when they are over."""

from typing import Final, Literal, LiteralString
from uuid import UUID

from autodoctor.web.schemas import ResponseModel, Utc


class MinutePack(ResponseModel):
    """Minutes by which a talk can be extended; `credits` of 0: by card only."""

    code: str
    minutes: int
    price_cents: int
    credits: int


class ExtensionTerms(ResponseModel):
    """What an extension adds and costs, and how far it is.

    Attributes:
        extension_id: one for each time that a customer asks.
        minutes: how many it adds, once it is running.
        credits: what it costs where it is paid by credits.
        status: asked: the mechanic has to answer; agreed: it has to be paid by card; running: its minutes are added;
            declined; lapsed: the customer asked for another one, could not pay, or the talk ended before.
    """

    extension_id: UUID
    pack: str
    minutes: int
    price_cents: int
    currency: str
    credits: int
    pay_with: Literal["credit", "card"]
    status: Literal["asked", "agreed", "declined", "lapsed", "running"]


class SessionExtension(ExtensionTerms):
    """Minutes that were asked for in addition."""

    settled: Literal["pay", "refund", "return"] | None


class SessionMinutes(ResponseModel):
    """The clock that both parties see.

    Attributes:
        included: minutes that the price covers, as agreed; null where only the longest duration ends it.
        extended: minutes that were paid for in addition.
        ends_at: when they are over; null before both were there.
        grace_ends_at: from when on the session is ended, by the verdict.
        packs: by what it could be extended now; none but in a talk that is live.
        extensions: what was asked for, the oldest first; `settled` says where its money goes.
    """

    included: int | None
    extended: int
    ends_at: Utc | None
    grace_ends_at: Utc | None
    packs: list[MinutePack]
    extensions: list[SessionExtension]


MINUTES: Final[LiteralString] = """
(SELECT jsonb_build_object(
          'included', m.included, 'extended', m.extended, 'endsAt', m.ends_at, 'graceEndsAt', m.grace_ends_at,
          'packs', (SELECT coalesce(jsonb_agg(p ORDER BY (p ->> 'minutes')::integer), '[]')
                      FROM plans l, jsonb_array_elements(l.minute_packs) AS p
                     WHERE l.code = i.plan_code AND s.status = 'live' AND m.included IS NOT NULL
                       AND m.included + m.extended + (p ->> 'minutes')::integer <= i.max_minutes),
          'extensions', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                                  'extensionId', x.id, 'pack', x.pack, 'minutes', x.minutes,
                                  'priceCents', x.price_cents, 'currency', x.currency, 'credits', x.credits,
                                  'payWith', x.pay_with, 'status', x.status, 'settled', e.outcome) ORDER BY x.id), '[]')
                           FROM session_extensions x LEFT JOIN extension_settlements e ON e.extension_id = x.id
                          WHERE x.session_id = s.id))
   FROM session_minutes(s) AS m)
"""
"""The minutes of session `s`, asked for by intake `i`."""
