"""One event, told once: noted in the application, and mailed at most once.

The claim on a mail is committed before SES is asked. What SES surely did not take frees the claim, and the queue
tries again; what nobody knows (no answer, or a process that died in between) is never sent again, but counted.
A mail is sent only while what it says is still true, and not to an address that has had many; the entry in the
application is kept in any case.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, LiteralString, Protocol
from uuid import UUID

from psycopg.types.json import Jsonb

from autodoctor.db import Database
from autodoctor.events.model import Event, PaymentEvent, PayoutEvent, QuoteEvent, SessionEvent
from autodoctor.ids import new_id
from autodoctor.notifications.kinds import Kind, kind_of, to_keep
from autodoctor.notifications.mail import Mail, render
from autodoctor.notifications.recipients import Recipient, customer_of, mechanic_of, parties_of, payer_of
from autodoctor.notifications.sender import MaybeSent, NotSent
from autodoctor.observability import MetricUnit, logger, metrics
from autodoctor.settings import session_base_url

CLAIM_SECONDS: Final = 30
"""A claim older than this is nobody's any more: SES is asked for 7 seconds at most."""

MOST_AN_HOUR: Final = 10
"""Mails to one address, or for one user: three whole consultations, which are three mails each, and one more."""

MOST_A_DAY: Final = 30
"""Likewise: ten whole consultations. Customers type addresses, and nobody has asked the owner of one."""

_UNLIMITED: Final = frozenset({Kind.PAYOUT_SENT, Kind.PAYOUT_FAILED, Kind.PAYMENT_UNFULFILLABLE})
"""Caused by our paying, to an address that an admin entered; or paid for each time, and about money we had."""

type _Told = SessionEvent | PayoutEvent | PaymentEvent | QuoteEvent

# One statement: the note, and the claim on the mail. Another's fresh claim gives no row; another's old one is unknown.
# Claims of the same instant do not see each other: as many as notify at once may go beyond the limit.
_NOTE_AND_CLAIM: Final[LiteralString] = """
WITH noted AS (
  INSERT INTO notifications (user_id, event_id, kind, session_id, checkout_id, data, created_at)
  SELECT %(user_id)s, %(event_id)s, %(kind)s, %(session_id)s, %(checkout_id)s, %(data)s, %(occurred_at)s
   WHERE %(in_app)s
  ON CONFLICT DO NOTHING
), had AS (
  SELECT count(*) AS a_day, count(*) FILTER (WHERE claimed_at > now() - interval '1 hour') AS an_hour
    FROM mail_deliveries
   WHERE (address_hash = address_hash(%(counted)s) OR user_id = %(user_id)s)
     AND address_hash IS NOT NULL AND state <> 'failed' AND claimed_at > now() - interval '1 day'
), verdict AS (
  SELECT coalesce(%(no_mail)s::text, CASE WHEN %(counted)s::text IS NOT NULL
                                     AND (an_hour >= %(most_an_hour)s OR a_day >= %(most_a_day)s)
                                    THEN 'too_many' END) AS no_mail
    FROM had
)
INSERT INTO mail_deliveries AS d (event_id, user_id, claim_id, kind, state, error, address_hash, settled_at)
SELECT %(event_id)s, %(user_id)s, %(claim_id)s, %(kind)s,
       CASE WHEN no_mail IS NULL THEN 'claimed' ELSE 'suppressed' END, no_mail,
       CASE WHEN no_mail IS NULL THEN address_hash(%(counted)s) END,
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
    """What can send a mail; `sender.SesSender` says how it may fail."""

    def send(self, address: str, mail: Mail, kind: str) -> str:
        """Send one mail and return its id."""


class BeingSent(Exception):
    """Somebody claimed this mail an instant ago; the queue asks again later how that ended."""


class ClaimLost(Exception):
    """How a mail ended could not be noted: its claim is gone."""


def notify(database: Database, sender: Sender, event: Event) -> None:
    """Tell whoever the event concerns; once, however often it is delivered and in whatever order.

    Raises:
        NotSent: the mail was surely not sent: deliver the event again.
        BeingSent: another delivery is sending it: deliver the event again, later.
        NobodyConcerned: the database does not know what the event is about.
    """
    kind = kind_of(event)
    if kind is None:
        return
    if isinstance(event, PayoutEvent):
        _tell(database, sender, kind, event, mechanic_of(database, kind, event))
    elif isinstance(event, PaymentEvent):
        _tell(database, sender, kind, event, payer_of(database, kind, event))
    elif isinstance(event, QuoteEvent):
        _tell_all(database, sender, kind, event, parties_of(database, kind, event))
    elif isinstance(event, SessionEvent):
        _tell(database, sender, kind, event, customer_of(database, kind, event))


def _tell_all(database: Database, sender: Sender, kind: Kind, event: _Told, recipients: list[Recipient]) -> None:
    """Tell each; one who could not be told keeps nobody else from it, and has the event delivered again."""
    failed: NotSent | BeingSent | None = None
    for recipient in recipients:
        try:
            _tell(database, sender, kind, event, recipient)
        except (NotSent, BeingSent) as failure:
            failed = failure
    if failed is not None:
        raise failed


def _tell(database: Database, sender: Sender, kind: Kind, event: _Told, recipient: Recipient) -> None:
    # Written before it is claimed: a template that fails must not leave a claim behind.
    mail = None if recipient.no_mail else render(kind, recipient.locale, recipient.facts, session_base_url())
    claim_id = new_id()
    state = _note_and_claim(database, kind, event, recipient, claim_id)
    if state == "claimed" and mail is not None:
        send = partial(sender.send, recipient.address, mail, kind)
        _send(database, kind, {"event_id": event.event_id, "user_id": recipient.user_id, "claim_id": claim_id}, send)
    elif state is not None:
        _count(f"Mail{state.capitalize()}", kind)


def _note_and_claim(database: Database, kind: Kind, event: _Told, recipient: Recipient, claim_id: UUID) -> str | None:
    """The state that this delivery of the event put the mail into; None where it was settled before."""
    key = {"event_id": event.event_id, "user_id": recipient.user_id, "claim_id": claim_id}
    row = database.one(
        _NOTE_AND_CLAIM,
        {
            **key,
            "kind": kind,
            "session_id": None if isinstance(event, PaymentEvent) else event.session_id,
            "checkout_id": event.checkout_id if isinstance(event, PaymentEvent) else None,
            "data": Jsonb(to_keep(kind, recipient.facts)),
            "occurred_at": event.occurred_at,
            "in_app": recipient.wants_in_app,
            "no_mail": recipient.no_mail,
            "counted": None if recipient.no_mail or kind in _UNLIMITED else recipient.address,
            "most_an_hour": MOST_AN_HOUR,
            "most_a_day": MOST_A_DAY,
            "claim_seconds": CLAIM_SECONDS,
        },
    ) or database.one(_STATE, key)
    if row is None:
        raise ClaimLost
    if row.get("own", True):  # ours, also where the answer to the first attempt was lost with its connection
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
    metrics.add_metric(name=metric, unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()
