"""Stripe's statement: its list of balance transactions, copied row by row into `stripe_movements`.

Every movement of the account's money is one balance transaction, which never changes afterwards and names the object
that moved it. So one list, read a hundred at a time with those objects expanded, has all charges, refunds, transfers,
reversals, disputes, fees and whatever else the account does; and what was copied need not be read again.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from autodoctor.db import Database
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.stripe.calls import call_stripe

if TYPE_CHECKING:
    import stripe

type Flow = Literal["charge", "refund", "transfer", "reversal", "dispute"]

PAGE: Final = 100
BEGINNING: Final = datetime(2011, 1, 1, tzinfo=UTC)
"""The year in which Stripe began: no account has older movements."""
OVERLAP: Final = timedelta(days=1)
"""How far back every run lists again: something may appear late in Stripe's lists."""
MOST_PAGES: Final = 20
"""For one period; a period with more pages is listed in shorter ones, so that no finished work is lost."""
SHORTEST: Final = timedelta(seconds=2)
MARGIN_SECONDS: Final = 120.0
"""One call takes at most about 100 seconds, its retries included (stripe/client.py)."""

_FLOWS: Final[dict[str, Flow]] = {
    "charge": "charge",
    "refund": "refund",
    "transfer": "transfer",
    "transfer_reversal": "reversal",
    "dispute": "dispute",
}
# A payment whose metadata somebody removed is recognised by its PaymentIntent.
_COPY: Final[LiteralString] = """
INSERT INTO stripe_movements (id, type, flow, source, subject, claimed, amount, fee, currency, livemode, happened_at,
                              charge_id, payment_intent_id, transfer_id, destination, checkout_id, intake_id,
                              refund_id, payout_id)
SELECT listed.id, listed.type, listed.flow, listed.source, coalesce(known.subject, listed.subject),
       listed.claimed OR known.subject IS NOT NULL, listed.amount, listed.fee, listed.currency, listed.livemode,
       listed.happened_at, listed.charge_id, listed.payment_intent_id, listed.transfer_id, listed.destination,
       listed.checkout_id, listed.intake_id, listed.refund_id, listed.payout_id
  FROM jsonb_to_recordset(%(page)s) AS listed (
  id text, type text, flow text, source text, subject text, claimed boolean, amount bigint, fee bigint, currency text,
  livemode boolean, happened_at timestamptz, charge_id text, payment_intent_id text, transfer_id text,
  destination text, checkout_id uuid, intake_id uuid, refund_id uuid, payout_id uuid)
  LEFT JOIN LATERAL (
    SELECT CASE c.kind WHEN 'pack' THEN 'pack:' || c.id || ':sale'
                       ELSE 'session:' || c.intake_id || ':charge' END AS subject
      FROM checkouts c
     WHERE listed.flow = 'charge' AND NOT listed.claimed AND c.stripe_payment_intent_id = listed.payment_intent_id
  ) AS known ON true
ON CONFLICT (id) DO NOTHING
"""
_WHOLE_UNTIL: Final[LiteralString] = "SELECT whole_until FROM stripe_statement"
_WHOLE_NOW: Final[LiteralString] = """
INSERT INTO stripe_statement (whole_until) VALUES (%(until)s)
ON CONFLICT (account) DO UPDATE SET whole_until = excluded.whole_until
"""
_COPIED_SINCE: Final[LiteralString] = """
SELECT coalesce(sum(amount - fee), 0)::bigint AS cents FROM stripe_movements
 WHERE happened_at >= %(listed)s::timestamptz - interval '1 minute' AND seen_at > %(compared)s AND currency = 'usd'
"""


class Movement(BaseModel):
    """The part of a balance transaction and of its object that the comparison needs: no personal data."""

    model_config = ConfigDict(frozen=True)

    id: str
    type: str
    flow: Flow | None = None
    source: str | None = None
    subject: str | None = None
    claimed: bool = False
    amount: int
    fee: int
    currency: str
    livemode: bool | None = None
    happened_at: datetime
    charge_id: str | None = None
    payment_intent_id: str | None = None
    transfer_id: str | None = None
    destination: str | None = None
    checkout_id: UUID | None = None
    intake_id: UUID | None = None
    refund_id: UUID | None = None
    payout_id: UUID | None = None


def whole_until(database: Database) -> datetime | None:
    """Until when the copy has every movement of the account; None if it has to be listed from the beginning."""
    row = database.one(_WHOLE_UNTIL, ())
    return None if row is None else row["whole_until"]


def forget_extent(database: Database) -> None:
    """Have the next run list the statement from the beginning again."""
    database.execute(_WHOLE_NOW, {"until": None})


def come_since(database: Database, listed: datetime, compared: datetime) -> int:
    """Cents that moved while a run was at work, less Stripe's fees; the two clocks may differ by a minute.

    Args:
        database: where the copy is.
        listed: when the run began to list the statement; it should have listed everything from before.
        compared: when it began to compare; it did not compare what was copied afterwards.
    """
    row = database.one(_COPIED_SINCE, {"listed": listed, "compared": compared})
    cents: int = 0 if row is None else row["cents"]
    return cents


def copy_statement(
    database: Database,
    client: "stripe.StripeClient",
    as_of: datetime,
    since: datetime | None,
    seconds_left: SecondsLeft,
) -> bool:
    """Copy what is new, from the end of the copy, or from `since` if given.

    Periods are listed one after the other, and one counts only once it is complete, so a run that has to stop loses
    nothing.

    Args:
        database: where the copy is.
        client: of Stripe, which is only read.
        as_of: the present; what happens while the list is read is copied by the next run.
        since: list from a day before it, whatever the copy has; None to list from a day before the copy's end.

    Returns:
        Whether it reached the end.

    Raises:
        StripeRefused: Stripe refused, for example because the key may not read balance transactions.
        OutcomeUnknown: Stripe did not answer.
    """
    whole = whole_until(database)
    start = (since or whole or BEGINNING) - OVERLAP
    counts = since is None or (whole is not None and start <= whole)
    width = OVERLAP * 2 if whole is not None or since is not None else timedelta(days=1)
    while True:
        end = start + width
        last = end >= as_of
        most = MOST_PAGES if width > SHORTEST else None
        pages = _copy_period(database, client, (start, None if last else end), most, seconds_left)
        if pages is None:
            return False
        if most is not None and pages > most:
            width = max(width / 8, SHORTEST)
            continue
        if counts and (whole is None or end > whole):
            database.execute(_WHOLE_NOW, {"until": min(end, as_of)})
        if last:
            return True
        start, width = end, width * 8 if pages <= 1 else width


def _copy_period(
    database: Database,
    client: "stripe.StripeClient",
    period: tuple[datetime, datetime | None],
    most: int | None,
    seconds_left: SecondsLeft,
) -> int | None:
    """Copy the movements of a period, newest first.

    Returns:
        The number of pages; `most` + 1 if there are more than `most`; None if time ran short.
    """
    pages = 0
    for page in _pages(client, *period):
        database.execute(_COPY, {"page": Jsonb([each.model_dump(mode="json") for each in page])})
        pages += 1
        if seconds_left() < MARGIN_SECONDS:
            return None
        if most is not None and pages > most:
            break
    return pages


def _pages(client: "stripe.StripeClient", start: datetime, end: datetime | None) -> Iterator[list[Movement]]:
    created: dict[str, int] = {"gte": int(start.timestamp())}
    if end is not None:
        created["lt"] = int(end.timestamp())
    after: dict[str, str] = {}
    while True:
        params: Any = {"created": created, "limit": PAGE, "expand": ["data.source"], **after}
        listed = call_stripe(lambda params=params: client.v1.balance_transactions.list(params=params))  # type: ignore[misc]
        if listed.data:
            yield [movement(each.to_dict()) for each in listed.data]
        if not listed.has_more:
            return
        after = {"starting_after": listed.data[-1].id}


def movement(transaction: dict[str, Any]) -> Movement:
    """The movement of a balance transaction, whose source is an object, or only its id if the key may not see it."""
    source: Any = transaction.get("source")
    about: dict[str, Any] = source if isinstance(source, dict) else {"id": source}
    flow = _FLOWS.get(about.get("object", ""))
    metadata: dict[str, str] = about.get("metadata") or {}
    facts: dict[str, Any] = {
        "charge_id": _id(about.get("charge")),
        "payment_intent_id": _id(about.get("payment_intent")),
        "transfer_id": _id(about.get("transfer")) if flow == "reversal" else None,
        "destination": _id(about.get("destination")) if flow == "transfer" else None,
        "checkout_id": _uuid(metadata.get("checkoutId")),
        "intake_id": _uuid(metadata.get("intakeId")),
        "refund_id": _uuid(metadata.get("refundId")),
        "payout_id": _uuid(metadata.get("payoutId")) or _uuid(about.get("transfer_group")),
    }
    claim = {"charge": "checkout_id", "refund": "refund_id"}.get(flow or "")
    claimed = _uuid(metadata.get("payoutId")) is not None if flow == "transfer" else facts.get(claim or "") is not None
    return Movement(
        id=transaction["id"],
        type=transaction["type"],
        flow=flow,
        source=about["id"],
        subject=None if flow is None else _subject(flow, about["id"], metadata, facts, claimed=claimed),
        claimed=claimed,
        amount=transaction["amount"],
        fee=transaction["fee"],
        currency=transaction["currency"],
        livemode=about.get("livemode"),
        happened_at=datetime.fromtimestamp(transaction["created"], UTC),
        **facts,
    )


def _subject(flow: Flow, source: str, metadata: dict[str, str], facts: dict[str, Any], *, claimed: bool) -> str:
    """The ledger key that books it (accounts.py), as `statement_subject()` shortens it."""
    if flow == "charge" and claimed and metadata.get("kind") == "pack":
        return f"pack:{facts['checkout_id']}:sale"
    if flow == "charge" and claimed and facts["intake_id"] is not None:
        return f"session:{facts['intake_id']}:charge"
    if flow == "transfer" and facts["payout_id"] is not None:
        return f"payout:{facts['payout_id']}:transfer"
    return f"{flow}:{source}"


def _id(value: object) -> str | None:
    """The id, of a value that is an object or an id."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else None


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
