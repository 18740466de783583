"""Sending payouts: each is one transfer to the mechanic's connected account, found again by its `transfer_group`."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from autodoctor.db import Database, Row
from autodoctor.deadline import SecondsLeft
from autodoctor.payments.ledger.accounts import STRIPE, TransferKind, mechanic_payable
from autodoctor.payments.ledger.transfers import Transfer, book
from autodoctor.payments.losses.disputes import LOST, OPEN, disputes_of, has_unbooked, note_dispute
from autodoctor.payments.losses.losses import book_losses_of, lock_payment, lock_payment_of
from autodoctor.payments.outgoing.netting import close_netted, net
from autodoctor.payments.stripe import lease
from autodoctor.payments.stripe.calls import OutcomeUnknown, StripeRefused, call_stripe
from autodoctor.payments.stripe.connect import takes_transfers
from autodoctor.payments.stripe.lease import AttemptOutcome, JobKind, NotYet, Sent

if TYPE_CHECKING:
    import stripe
    from stripe.params import TransferCreateParams

_CANNOT_TAKE: Final = frozenset({"insufficient_capabilities_for_transfer", "account_invalid", "resource_missing"})

_READ: Final[LiteralString] = """
SELECT p.session_id, p.intake_id, p.mechanic_id, p.kind, p.currency,
       p.amount_cents - p.withheld_cents - p.netted_cents AS amount_cents,
       a.stripe_account_id, coalesce(a.transfers_enabled, false) AS transfers_enabled,
       i.funding = 'card' AND p.kind NOT IN ('escalation', 'returned') AS by_card, NOT may_leave(p.id) AS stays,
       ch.stripe_payment_intent_id
  FROM payouts p
  JOIN intakes i ON i.id = p.intake_id
  LEFT JOIN checkouts ch ON ch.intake_id = p.intake_id
  LEFT JOIN mechanic_accounts a ON a.mechanic_id = p.mechanic_id
 WHERE p.id = %(id)s
"""

_SENT: Final[LiteralString] = """
UPDATE payouts SET state = 'sent', stripe_transfer_id = %(transfer_id)s, sent_at = clock_timestamp(),
                   sent_cents = %(amount_cents)s,
                   next_attempt_at = NULL, waits_for = NULL, last_error = NULL
 WHERE id = %(id)s AND state NOT IN ('sent', 'reversed')
"""

_RELEASE: Final[LiteralString] = "SELECT release_destination_holds()"

_SENT_AS: Final[LiteralString] = "SELECT stripe_transfer_id FROM payouts WHERE id = %(id)s"

_EMIT: Final[LiteralString] = "SELECT emit_event(%(type)s, %(facts)s, %(id)s)"


class PaidTwice(Exception):
    """Stripe has two transfers for one payout: the books and the mechanic's account differ."""

    def __init__(self, payout_id: UUID) -> None:
        super().__init__(f"payout {payout_id} was sent as two transfers")


def sweep_payouts(database: Database, client: "stripe.StripeClient", seconds_left: SecondsLeft) -> Sent:
    """Send the payouts that are due, until none is left or time runs short.

    Args:
        client: of Stripe.

    Raises:
        PaidTwice: never, unless somebody sent money by hand under our transfer_group.
    """
    database.one(_RELEASE, ())
    return lease.sweep_jobs(database, client, seconds_left, _PAYOUT)


def _attempt(database: Database, client: "stripe.StripeClient", payout: Row) -> AttemptOutcome | NotYet:
    try:
        transfer_id = _found(client, payout) if payout["asked_before"] else None
        if transfer_id is None:
            if given_up := lease.after_the_last(payout):
                return given_up
            disputes = _disputes(client, payout)
            if _has_unbooked(database, payout, disputes):
                return _shrink(database, payout)
            if obstacle := _obstacle(database, client, payout, disputes):
                after = timedelta(minutes=1) if obstacle == "release" else None  # should it be released meanwhile
                return NotYet(obstacle, uncounted=obstacle != "payment", after=after)
            left = net(database, payout)
            if left == 0:
                return "netted" if close_netted(database, payout) else "lost_lease"
            payout = {**payout, "amount_cents": left}
            transfer_id = _transfer(database, client, payout, disputes)
    except StripeRefused as refused:
        return _refused(database, client, payout, refused)
    return database.transaction(partial(note_sent, payout=payout, transfer_id=transfer_id))


def _found(client: "stripe.StripeClient", payout: Row) -> str | None:
    """The transfer that an earlier attempt made.

    Raises:
        OutcomeUnknown: Stripe does not say, or refuses to (a key that was replaced). That keeps the payout `sending`: a
            refund booked now must not reduce a payout that may already have gone out.
    """
    try:
        listed = call_stripe(lambda: client.v1.transfers.list(params={"transfer_group": str(payout["id"]), "limit": 2}))
    except StripeRefused as refused:
        raise OutcomeUnknown(refused.reason) from refused
    match listed.data:
        case []:
            return None
        case [transfer]:
            return transfer.id
        case _:
            raise PaidTwice(payout["id"])


def _disputes(client: "stripe.StripeClient", payout: Row) -> "list[stripe.Dispute]":
    known = payout["by_card"] and payout["stripe_payment_intent_id"] is not None
    return disputes_of(client, payout["stripe_payment_intent_id"]) if known else []


def _has_unbooked(database: Database, payout: Row, disputes: "list[stripe.Dispute]") -> bool:
    """Whether the customer got money back that the books do not have yet: the payout shrinks by it before it goes."""
    intent = payout["stripe_payment_intent_id"]
    if intent is None:
        return False

    def note(connection: psycopg.Connection[Row]) -> bool:
        lock_payment(connection, intent)
        for each in disputes:
            note_dispute(connection, each.to_dict())
        return has_unbooked(connection, intent)

    return database.transaction(note)


def _shrink(database: Database, payout: Row) -> AttemptOutcome:
    """Book what the customer got back, as nothing was sent yet; the next attempt sends what is left."""

    def shrink(connection: psycopg.Connection[Row]) -> AttemptOutcome:
        lock_payment_of(connection, payout["intake_id"])
        outcome = lease.reschedule(connection, payout, NotYet(None, uncounted=True, after=timedelta(minutes=1)))
        if outcome != "lost_lease":
            book_losses_of(connection, payout["intake_id"])
        return outcome

    return database.transaction(shrink)


def _obstacle(
    database: Database, client: "stripe.StripeClient", payout: Row, disputes: "list[stripe.Dispute]"
) -> str | None:
    """The reason why the payout cannot be sent yet; None if it can."""
    if payout["stays"]:
        return "release"
    account_id = payout["stripe_account_id"]
    if account_id is None:
        return "onboarding"
    if not payout["transfers_enabled"] and not takes_transfers(database, client, account_id):
        return "onboarding"
    if payout["by_card"] and payout["stripe_payment_intent_id"] is None:
        return "payment"
    return "dispute" if any(each.status in OPEN for each in disputes) else None


def _transfer(database: Database, client: "stripe.StripeClient", payout: Row, disputes: "list[stripe.Dispute]") -> str:
    params: TransferCreateParams = {
        "amount": payout["amount_cents"],
        "currency": payout["currency"],
        "destination": payout["stripe_account_id"],
        "transfer_group": str(payout["id"]),
        "metadata": {"payoutId": str(payout["id"]), "sessionId": str(payout["session_id"])},
    }
    if payout["by_card"] and all(each.status not in LOST for each in disputes):
        # Without it the transfer would have to wait until the customer's money is available, days later.
        intent = call_stripe(lambda: client.v1.payment_intents.retrieve(payout["stripe_payment_intent_id"]))
        params["source_transaction"] = str(intent.latest_charge)
    key = lease.intend(database, payout, payout["amount_cents"])["idempotency_key"]
    options: stripe.RequestOptions = {"idempotency_key": key}
    return call_stripe(lambda: client.v1.transfers.create(params=params, options=options)).id


def _refused(database: Database, client: "stripe.StripeClient", payout: Row, refused: StripeRefused) -> NotYet:
    """Nothing moved: wait for what is missing, or try again later."""
    if refused.code in lease.BALANCE_SHORT:
        return lease.until_there_is_money(refused)
    if refused.code in _CANNOT_TAKE and payout["stripe_account_id"] is not None:
        try:
            if not takes_transfers(database, client, payout["stripe_account_id"]):
                return NotYet("onboarding", refused.reason, uncounted=True)
        except (StripeRefused, OutcomeUnknown):  # an attempt like any other
            return NotYet("retry", refused.reason)
    return NotYet("retry", refused.reason)


def note_sent(connection: psycopg.Connection[Row], payout: Row, transfer_id: str) -> AttemptOutcome:
    """Note that Stripe has a payout's transfer, and book it, once.

    Args:
        connection: in a transaction of its own.
        payout: id, session_id, intake_id, mechanic_id, kind and currency of its row; amount_cents is the transfer's.
        transfer_id: Stripe's.

    Raises:
        PaidTwice: it was sent as another transfer.
    """
    lock_payment_of(connection, payout["intake_id"])
    values = {**payout, "transfer_id": transfer_id}
    if connection.execute(_SENT, values).rowcount == 0:
        stored = connection.execute(_SENT_AS, values).fetchone()
        if stored is None or stored["stripe_transfer_id"] != transfer_id:
            raise PaidTwice(payout["id"])
        return "lost_lease"
    payable = mechanic_payable(payout["mechanic_id"])
    key = f"payout:{payout['id']}:transfer"
    book(
        connection,
        [Transfer(TransferKind.TRANSFER, key, payable, STRIPE, payout["amount_cents"], payout["intake_id"])],
    )
    book_losses_of(connection, payout["intake_id"])  # what the customer got back while it was on its way
    _emit(connection, "payout.sent", payout)
    return "sent"


def _give_up(connection: psycopg.Connection[Row], payout: Row, reason: str) -> AttemptOutcome:
    lock_payment_of(connection, payout["intake_id"])
    outcome = lease.give_up(connection, payout, reason)
    if outcome == "failed":
        book_losses_of(connection, payout["intake_id"])
        _emit(connection, "payout.failed", payout, reason)
    return outcome


def _emit(connection: psycopg.Connection[Row], event_type: str, payout: Row, reason: str | None = None) -> None:
    facts = {
        "payoutId": str(payout["id"]),
        "sessionId": str(payout["session_id"]),
        "mechanicId": str(payout["mechanic_id"]),
        "amountCents": payout["amount_cents"],
        "currency": payout["currency"],
        "reason": reason,
    }
    connection.execute(_EMIT, {"type": event_type, "facts": Jsonb(facts), "id": payout["id"]})


_PAYOUT: Final = JobKind("payout", _READ, _attempt, _give_up)
