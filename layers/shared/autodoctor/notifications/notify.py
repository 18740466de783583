"""Notifies the people whom an event concerns: an in-app entry each, and at most one mail each.

A mail is claimed, and the claim committed, before SES is called. If SES certainly did not accept it, the claim is
released and the queue retries. If the outcome is unknown (no answer, a killed process), the mail is counted and never
sent again. A mail is sent only while its content is still true, and only to an address that is shown to be the
reader's: in place of the first one to any other goes a confirmation, which has none of the sender's words, and of which
one mailbox gets few, whoever asks. The in-app entry is kept in any case.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, LiteralString, Protocol
from uuid import UUID

from psycopg.types.json import Jsonb

from autodoctor.db import Database
from autodoctor.events.model import (
    AwayEvent,
    ContestEvent,
    Event,
    NotesEvent,
    PaymentEvent,
    PayoutEvent,
    QuoteEvent,
    ReceiptEvent,
    ReplyEvent,
    SessionEvent,
    SuspensionEvent,
)
from autodoctor.ids import new_id
from autodoctor.notifications.confirmation import CONFIRM_DAYS, confirm_url, new_token, token_hash
from autodoctor.notifications.kinds import Facts, Kind, kind_for_mechanic, kind_of, to_keep
from autodoctor.notifications.mail import Mail, render
from autodoctor.notifications.mailable import UNCONFIRMED
from autodoctor.notifications.recipients import (
    Recipient,
    buyer_of,
    contestants_of,
    customer_of,
    holder_of,
    mechanic_of,
    parties_of,
    payer_of,
    suspended_of,
)
from autodoctor.notifications.sender import MaybeSent, NotSent
from autodoctor.observability import count, logger
from autodoctor.settings import session_base_url

CLAIM_SECONDS: Final = 30
"""A claim older than this has lapsed: a call of SES takes 7 seconds at most."""

MOST_AN_HOUR: Final = 1
"""The limit of confirmations to one mailbox, whoever enters its address."""

MOST_A_DAY: Final = 3
"""The same for a day."""

_ASKS: Final = Kind.REQUEST_RECEIVED
"""In place of this mail an unconfirmed address gets the confirmation."""

type _Event = (
    SessionEvent
    | AwayEvent
    | SuspensionEvent
    | PayoutEvent
    | PaymentEvent
    | ReceiptEvent
    | QuoteEvent
    | ReplyEvent
    | NotesEvent
    | ContestEvent
)

# The in-app entry and the claim on the mail. A fresh claim of another run gives no row; an old one counts as unknown.
# Concurrent claims do not see each other, so the limit of confirmations may be exceeded by as many as run at once.
_NOTE_AND_CLAIM: Final[LiteralString] = """
WITH entry AS (
  INSERT INTO notifications (user_id, event_id, kind, session_id, checkout_id, data, created_at)
  SELECT %(user_id)s, %(event_id)s, %(kind)s, %(session_id)s, %(checkout_id)s, %(data)s, %(occurred_at)s
   WHERE %(in_app)s
  ON CONFLICT DO NOTHING
), had AS (
  SELECT count(*) AS a_day, count(*) FILTER (WHERE claimed_at > now() - interval '1 hour') AS an_hour
    FROM mail_deliveries
   WHERE address_hash = mailbox_hash(%(counted)s)
     AND address_hash IS NOT NULL AND state <> 'failed' AND claimed_at > now() - interval '1 day'
), verdict AS (
  SELECT coalesce(%(no_mail)s::text, CASE WHEN %(counted)s::text IS NOT NULL
                                     AND (an_hour >= %(most_an_hour)s OR a_day >= %(most_a_day)s)
                                    THEN 'too_many' END) AS no_mail
    FROM had
), asked AS (
  INSERT INTO address_confirmations (user_id, address_hash, token_hash, expires_at)
  SELECT %(user_id)s, address_hash(%(counted)s), %(token_hash)s, now() + make_interval(days => %(confirm_days)s)
    FROM verdict WHERE no_mail IS NULL AND %(token_hash)s::bytea IS NOT NULL
  ON CONFLICT (user_id, address_hash) DO UPDATE SET token_hash = excluded.token_hash, expires_at = excluded.expires_at
)
INSERT INTO mail_deliveries AS d (event_id, user_id, claim_id, kind, state, error, address_hash, settled_at)
SELECT %(event_id)s, %(user_id)s, %(claim_id)s, %(mail_kind)s,
       CASE WHEN no_mail IS NULL THEN 'claimed' ELSE 'suppressed' END, no_mail,
       CASE WHEN no_mail IS NULL THEN mailbox_hash(%(counted)s) END,
       CASE WHEN no_mail IS NOT NULL THEN clock_timestamp() END
  FROM verdict
ON CONFLICT (event_id, user_id) DO UPDATE SET
  claim_id = excluded.claim_id,
  claimed_at = clock_timestamp(),
  state = CASE d.state WHEN 'failed' THEN excluded.state ELSE 'unknown' END,
  error = CASE d.state WHEN 'failed' THEN excluded.error ELSE 'Died' END,
  address_hash = CASE d.state WHEN 'failed' THEN excluded.address_hash ELSE d.address_hash END,
  settled_at = CASE d.state WHEN 'failed' THEN excluded.settled_at ELSE clock_timestamp() END
 WHERE d.claim_id <> excluded.claim_id
   AND (d.state = 'failed'
        OR d.state = 'claimed' AND d.claimed_at < clock_timestamp() - make_interval(secs => %(claim_seconds)s))
RETURNING d.state
"""
_STATE: Final[LiteralString] = """
SELECT state, claim_id = %(claim_id)s AS own FROM mail_deliveries
 WHERE event_id = %(event_id)s AND user_id = %(user_id)s
"""
_SETTLE: Final[LiteralString] = """
UPDATE mail_deliveries
   SET state = %(state)s, message_id = %(message_id)s, error = %(error)s, settled_at = clock_timestamp()
 WHERE event_id = %(event_id)s AND user_id = %(user_id)s AND claim_id = %(claim_id)s
RETURNING state
"""


class Sender(Protocol):
    """Sends mails; `sender.SesSender` says how that may fail."""

    def send(self, address: str, mail: Mail, kind: str) -> str:
        """Send one mail and return its id."""


class BeingSent(Exception):
    """Another delivery claimed this mail a moment ago; the queue retries later."""


class ClaimLost(Exception):
    """The outcome of a mail could not be recorded: its claim is gone."""


def notify(database: Database, sender: Sender, event: Event) -> None:
    """Notify the people whom the event concerns; once, however often and in whatever order it is delivered.

    Raises:
        NotSent: the mail was surely not sent: deliver the event again.
        BeingSent: another delivery is sending it: deliver the event again, later.
        NobodyConcerned: the database does not know what the event is about.
    """
    if isinstance(event, SessionEvent) and (for_mechanic := kind_for_mechanic(event)) is not None:
        _notify_one(database, sender, for_mechanic, event, holder_of(database, for_mechanic, event))
    kind = kind_of(event)
    if kind is None:
        return
    if isinstance(event, AwayEvent | SuspensionEvent):
        told = holder_of(database, kind, event) if isinstance(event, AwayEvent) else suspended_of(database, event)
        _notify_one(database, sender, kind, event, told)
    elif isinstance(event, PayoutEvent):
        _notify_one(database, sender, kind, event, mechanic_of(database, kind, event))
    elif isinstance(event, PaymentEvent):
        _notify_one(database, sender, kind, event, payer_of(database, kind, event))
    elif isinstance(event, ReceiptEvent):
        _notify_one(database, sender, kind, event, buyer_of(database, kind, event))
    elif isinstance(event, QuoteEvent):
        _notify_all(database, sender, kind, event, parties_of(database, kind, event))
    elif isinstance(event, ContestEvent):
        _notify_all(database, sender, kind, event, contestants_of(database, kind, event))
    elif isinstance(event, SessionEvent | ReplyEvent | NotesEvent):
        _notify_one(database, sender, kind, event, customer_of(database, kind, event))


def _notify_all(database: Database, sender: Sender, kind: Kind, event: _Event, recipients: list[Recipient]) -> None:
    """Notify each; a failure does not keep the others waiting, and has the event delivered again."""
    failed: NotSent | BeingSent | None = None
    for recipient in recipients:
        try:
            _notify_one(database, sender, kind, event, recipient)
        except (NotSent, BeingSent) as failure:
            failed = failure
    if failed is not None:
        raise failed


def _notify_one(database: Database, sender: Sender, kind: Kind, event: _Event, recipient: Recipient) -> None:
    # Rendered before it is claimed: a failing template must not leave a claim behind.
    token = new_token() if recipient.no_mail == UNCONFIRMED and kind is _ASKS else None
    mail_kind, facts = kind, recipient.facts
    if token is not None:
        mail_kind, facts = Kind.CONFIRM_ADDRESS, Facts(confirm_url=confirm_url(session_base_url(), token))
    mail = (
        None if recipient.no_mail and token is None else render(mail_kind, recipient.locale, facts, session_base_url())
    )
    claim_id = new_id()
    state = _note_and_claim(database, kind, event, recipient, claim_id, token=token)
    if state == "claimed" and mail is not None:
        send = partial(sender.send, recipient.address, mail, mail_kind)
        claim: dict[str, object] = {"event_id": event.event_id, "user_id": recipient.user_id, "claim_id": claim_id}
        _send(database, mail_kind, claim, send)
    elif state is not None:
        _count(f"Mail{state.capitalize()}", mail_kind)


def _note_and_claim(  # noqa: PLR0913 (what a mail is, to whom, and by which attempt)
    database: Database, kind: Kind, event: _Event, recipient: Recipient, claim_id: UUID, *, token: str | None
) -> str | None:
    """The state into which this delivery put the mail; None if it was settled before.

    Args:
        token: of the confirmation that is mailed in place of the mail itself.
    """
    key = {"event_id": event.event_id, "user_id": recipient.user_id, "claim_id": claim_id}
    row = database.one(
        _NOTE_AND_CLAIM,
        {
            **key,
            "kind": kind,
            "mail_kind": kind if token is None else Kind.CONFIRM_ADDRESS,
            "session_id": None
            if isinstance(event, PaymentEvent | ReceiptEvent | SuspensionEvent)
            else event.session_id,
            "checkout_id": event.checkout_id if isinstance(event, PaymentEvent | ReceiptEvent) else None,
            "data": Jsonb(to_keep(kind, recipient.facts)),
            "occurred_at": event.occurred_at,
            "in_app": recipient.wants_in_app,
            "no_mail": None if token else recipient.no_mail,
            "counted": recipient.address if token else None,
            "token_hash": None if token is None else token_hash(token),
            "confirm_days": CONFIRM_DAYS,
            "most_an_hour": MOST_AN_HOUR,
            "most_a_day": MOST_A_DAY,
            "claim_seconds": CLAIM_SECONDS,
        },
    ) or database.one(_STATE, key)
    if row is None:
        raise ClaimLost
    if row.get("own", True):  # our own claim, even if the answer to the first attempt was lost with its connection
        return str(row["state"])
    if row["state"] == "claimed":
        raise BeingSent
    return None


def _send(database: Database, kind: Kind, claim: dict[str, object], send: Callable[[], str]) -> None:
    try:
        message_id = send()
    except NotSent as refused:
        _settle(database, {**claim, "state": "failed", "message_id": None, "error": refused.error})
        _count("MailRefused", kind)
        raise
    except MaybeSent as lost:
        _settle(database, {**claim, "state": "unknown", "message_id": None, "error": lost.error})
        _count("MailUnknown", kind)
        return
    _settle(database, {**claim, "state": "sent", "message_id": message_id, "error": None})
    _count("MailSent", kind)


def _settle(database: Database, outcome: dict[str, object]) -> None:
    if database.one(_SETTLE, outcome) is None:
        raise ClaimLost


def _count(metric: str, kind: Kind) -> None:
    logger.info("mail", extra={"outcome": metric, "kind": kind})
    count(metric)
