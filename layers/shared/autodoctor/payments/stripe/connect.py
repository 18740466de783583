"""Connected accounts of mechanics: created once, led through onboarding, and what Stripe lets them do."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from pydantic import BaseModel

from autodoctor.db import Database, Row
from autodoctor.errors import MechanicNotActive, PaymentsUnavailable
from autodoctor.observability import logger
from autodoctor.payments.stripe.calls import OutcomeUnknown, StripeRefused, call_stripe
from autodoctor.payments.stripe.fields import StripeId
from autodoctor.settings import session_base_url
from autodoctor.web.schemas import ResponseModel, Utc

if TYPE_CHECKING:
    from collections.abc import Callable

    import stripe

KEY_HOURS: Final = 23
"""For how long we rely on an idempotency key: Stripe keeps it for at least a day."""
_CLOCKS_APART: Final = timedelta(minutes=15)

_GONE: Final = frozenset({"account_invalid", "resource_missing"})
"""Stripe's codes for an account that it does not know, or does not let us use any more."""

type OnboardingStatus = Literal["not_started", "pending", "restricted", "complete", "closed"]


class _Account(BaseModel):
    id: StripeId
    capabilities: dict[str, str] = {}
    payouts_enabled: bool = False
    details_submitted: bool = False


class OnboardingLink(ResponseModel):
    """Stripe's page where the mechanic enters their details; good for one visit until `expires_at`."""

    url: str
    expires_at: Utc


class Onboarding(ResponseModel):
    """How far a mechanic's onboarding is.

    Attributes:
        status: not_started; pending: Stripe still needs details; restricted: Stripe has all details, but takes no money
            for the mechanic; complete: money can be sent to them; closed: the account was closed or disconnected, and
            another onboarding makes a new one.
        payouts_enabled: whether Stripe passes the money on to their bank.
    """

    status: OnboardingStatus
    payouts_enabled: bool


_BEGIN: Final[LiteralString] = """
INSERT INTO mechanic_accounts (mechanic_id, idempotency_key)
SELECT m.id, 'account:' || m.id || ':' || new_id() FROM mechanics m
 WHERE m.user_id = %(user_id)s AND count_against('onboarding_links', %(user_id)s)
ON CONFLICT (mechanic_id) DO NOTHING
"""

_ACCOUNT: Final[LiteralString] = """
SELECT m.id AS mechanic_id, a.idempotency_key, a.keyed_at, a.asked, a.stripe_account_id,
       a.keyed_at < clock_timestamp() - make_interval(hours => %(key_hours)s) AS key_is_old,
       coalesce(a.transfers_enabled, false) AS transfers_enabled, coalesce(a.payouts_enabled, false) AS payouts_enabled,
       coalesce(a.details_submitted, false) AS details_submitted, coalesce(a.doubtful, false) AS doubtful,
       coalesce(a.closed, false) AS closed,
       coalesce(a.former_account_ids, '{}') AS former_account_ids
  FROM mechanics m LEFT JOIN mechanic_accounts a ON a.mechanic_id = m.id
 WHERE m.user_id = %(user_id)s
"""

# Comparing the old key lets two concurrent callers go on with the one key that was stored.
_NEW_KEY: Final[LiteralString] = """
UPDATE mechanic_accounts SET idempotency_key = 'account:' || mechanic_id || ':' || new_id(),
                             keyed_at = clock_timestamp(), asked = false
 WHERE mechanic_id = %(mechanic_id)s AND idempotency_key = %(idempotency_key)s AND stripe_account_id IS NULL
"""

_ASK: Final[LiteralString] = """
UPDATE mechanic_accounts SET asked = true
 WHERE mechanic_id = %(mechanic_id)s AND idempotency_key = %(idempotency_key)s AND stripe_account_id IS NULL
"""

_MADE: Final[LiteralString] = """
UPDATE mechanic_accounts SET stripe_account_id = %(account_id)s, updated_at = clock_timestamp()
 WHERE mechanic_id = %(mechanic_id)s AND stripe_account_id IS NULL
"""

# Events of one second that contradict each other have no order. An answer of Stripe's is newer than every event that
# was handled before the call, whatever the clocks say, and it is certain unless another event was handled meanwhile.
_STATE: Final[LiteralString] = """
UPDATE mechanic_accounts
   SET doubtful = CASE WHEN %(called_at)s::timestamptz IS NOT NULL THEN updated_at >= %(called_at)s
                       ELSE coalesce(stripe_as_of = %(stripe_as_of)s, false) AND (doubtful OR closed
                            OR (transfers_enabled, payouts_enabled, details_submitted)
                               <> (%(transfers)s, %(payouts)s, %(details)s)) END,
       transfers_enabled = %(transfers)s, payouts_enabled = %(payouts)s, details_submitted = %(details)s,
       closed = false, stripe_as_of = greatest(stripe_as_of, %(stripe_as_of)s), updated_at = clock_timestamp()
 WHERE stripe_account_id = %(account_id)s
   AND (stripe_as_of IS NULL OR stripe_as_of <= %(stripe_as_of)s OR updated_at < %(called_at)s) RETURNING mechanic_id
"""
# `payout.failed` also leaves payouts off and transfers on, and an `account.updated` sent just before it may arrive
# after it.
_DOUBT: Final[LiteralString] = """
UPDATE mechanic_accounts SET doubtful = true
 WHERE stripe_account_id = %(account_id)s AND transfers_enabled AND NOT payouts_enabled
   AND (transfers_enabled, details_submitted) <> (%(transfers)s, %(details)s)
"""
# An answer of Stripe's, which has no time, is newer than every event that was handled before.
_CLOSED: Final[LiteralString] = """
UPDATE mechanic_accounts
   SET closed = true, transfers_enabled = false, payouts_enabled = false, doubtful = false,
       stripe_as_of = greatest(stripe_as_of, coalesce(%(happened_at)s, date_trunc('second', clock_timestamp()))),
       updated_at = clock_timestamp()
 WHERE stripe_account_id = %(account_id)s
   AND CASE WHEN %(happened_at)s::timestamptz IS NULL THEN NOT closed
            WHEN closed THEN stripe_as_of < %(happened_at)s
            ELSE coalesce(stripe_as_of <= %(happened_at)s, true) END
"""
# Nothing is lost by it: what waits for onboarding goes to the new account.
_RENEW: Final[LiteralString] = "SELECT renew_mechanic_account(%(mechanic_id)s)"
_OURS: Final[LiteralString] = "SELECT FROM mechanic_accounts WHERE stripe_account_id = %(account_id)s"
_NOW: Final[LiteralString] = "SELECT clock_timestamp() AS now"

_SEND_WHAT_WAITED: Final[LiteralString] = """
UPDATE payouts SET next_attempt_at = clock_timestamp()
 WHERE mechanic_id = %(mechanic_id)s AND state = 'due' AND waits_for = 'onboarding'
"""


def onboarding(database: Database, client: "Callable[[], stripe.StripeClient]", user_id: UUID) -> Onboarding:
    """How far a mechanic's onboarding is, by what Stripe last reported.

    Args:
        client: makes one of Stripe, used where events have contradicted each other.
        user_id: the mechanic's `sub`.

    Raises:
        MechanicNotActive: no such mechanic; a suspended one may still be paid what they earned.
    """
    account = _account(database, user_id)
    if account["doubtful"]:
        try:
            takes_transfers(database, client(), account["stripe_account_id"])
        except (StripeRefused, OutcomeUnknown) as failure:  # shows what was reported last; the next call looks again
            logger.warning("a doubtful account was not looked up", extra={"reason": failure.reason})
        account = _account(database, user_id)
    return Onboarding(status=_status(account), payouts_enabled=account["payouts_enabled"])


def start_onboarding(database: Database, client: "stripe.StripeClient", user_id: UUID) -> OnboardingLink:
    """A link to Stripe's pages; the first one creates the account, once, and so does the first after it was closed.

    Args:
        client: of Stripe.
        user_id: the mechanic's `sub`.

    Raises:
        MechanicNotActive: no such mechanic.
        PaymentsUnavailable: Stripe does not answer, or refuses; asking again goes on from there.
        TooManyRequests: the mechanic has asked for too many links of late.
    """
    database.execute(_BEGIN, {"user_id": user_id})  # no row if it began before, or if there is no such mechanic
    account = _account(database, user_id)
    try:
        if account["closed"]:
            link = _anew(database, client, user_id)
        else:
            link = _link_of(database, client, user_id, account["stripe_account_id"])
    except (StripeRefused, OutcomeUnknown) as failure:
        raise PaymentsUnavailable from failure
    return OnboardingLink(url=link.url, expires_at=datetime.fromtimestamp(link.expires_at, UTC))


def account_updated(
    connection: psycopg.Connection[Row],
    account: dict[str, Any],
    stripe_as_of: datetime,
    called_at: datetime | None = None,
) -> Literal["account_updated", "outdated", "not_ours"]:
    """Store what Stripe says of a connected account, and have the payouts sent that waited for it.

    Stripe does not promise to deliver events in order (docs.stripe.com/webhooks, "Event ordering"). A wrong state moves
    no money: a payout that is refused, or that waits for onboarding, looks the account up.

    Args:
        connection: in the transaction of the caller.
        account: Stripe's Account object.
        stripe_as_of: of when this state is, by Stripe's clock in whole seconds.
        called_at: when Stripe was called, by the database's clock; None for the account of an event.

    Returns:
        `outdated` where something newer is stored; `not_ours` where no mechanic has the account.

    Raises:
        pydantic.ValidationError: it is not an account.
    """
    reported = _Account.model_validate(account)
    state = {
        "account_id": reported.id,
        "stripe_as_of": stripe_as_of,
        "called_at": called_at,
        "transfers": reported.capabilities.get("transfers") == "active",
        "payouts": reported.payouts_enabled,
        "details": reported.details_submitted,
    }
    row = connection.execute(_STATE, state).fetchone()
    if row is not None and state["transfers"]:
        connection.execute(_SEND_WHAT_WAITED, row)
    if row is not None:
        return "account_updated"
    connection.execute(_DOUBT, state)
    return "not_ours" if connection.execute(_OURS, state).fetchone() is None else "outdated"


def account_closed(connection: psycopg.Connection[Row], account_id: str, happened_at: datetime | None = None) -> bool:
    """Store that an account is closed, or no longer connected to us: nothing is sent to it from now on.

    Args:
        connection: in the transaction of the caller.
        account_id: Stripe's.
        happened_at: by Stripe's clock; None where Stripe has answered so just now.

    Returns:
        Whether that is news; not where something newer is stored.
    """
    values = {"account_id": account_id, "happened_at": happened_at}
    return connection.execute(_CLOSED, values).rowcount == 1


def takes_transfers(database: Database, client: "stripe.StripeClient", account_id: str) -> bool:
    """Whether an account can take money, as Stripe says now; a closed one is stored as such, and takes none.

    Raises:
        StripeRefused: Stripe refused for another reason.
        OutcomeUnknown: Stripe did not answer.
    """
    try:
        return look_up_account(database, client, account_id)
    except StripeRefused as refused:
        if refused.code not in _GONE:
            raise
    database.transaction(lambda connection: account_closed(connection, account_id))
    return False


def look_up_account(database: Database, client: "stripe.StripeClient", account_id: str) -> bool:
    """Retrieve an account from Stripe, and store its state.

    Returns:
        Whether it can take transfers.

    Raises:
        StripeRefused: Stripe does not know it, or it is no longer connected to us.
        OutcomeUnknown: Stripe did not answer.
    """
    (clock,) = database.all(_NOW, {})
    now: datetime = clock["now"]
    found: Any = call_stripe(lambda: client.v1.accounts.retrieve(account_id))
    stripe_as_of = now.replace(microsecond=0)
    database.transaction(lambda connection: account_updated(connection, found.to_dict(), stripe_as_of, now))
    return bool(found.capabilities and found.capabilities.transfers == "active")


def _account(database: Database, user_id: UUID) -> Row:
    account = database.one(_ACCOUNT, {"user_id": user_id, "key_hours": KEY_HOURS})
    if account is None:
        raise MechanicNotActive
    return account


def _status(account: Row) -> OnboardingStatus:
    if account["stripe_account_id"] is None:
        return "not_started"
    if account["closed"]:
        return "closed"
    if account["transfers_enabled"]:
        return "complete"
    return "restricted" if account["details_submitted"] else "pending"


def _link_of(
    database: Database, client: "stripe.StripeClient", user_id: UUID, account_id: str | None
) -> "stripe.AccountLink":
    """A link for the account, or for a new one if there is none, or if it turns out to be closed."""
    try:
        return _link(client, account_id or _created(database, client, user_id))
    except StripeRefused as refused:
        if account_id is None or refused.code not in _GONE or takes_transfers(database, client, account_id):
            raise
        if not _account(database, user_id)["closed"]:
            raise
    return _anew(database, client, user_id)


def _anew(database: Database, client: "stripe.StripeClient", user_id: UUID) -> "stripe.AccountLink":
    """Give up the closed account, create another one, and link to that."""
    database.one(_RENEW, _account(database, user_id))
    return _link(client, _account(database, user_id)["stripe_account_id"] or _created(database, client, user_id))


def _created(database: Database, client: "stripe.StripeClient", user_id: UUID) -> str:
    """Create the account, or find the one that an unanswered call created."""
    account = _account(database, user_id)
    account_id = _found(client, account) if account["asked"] else None
    if account_id is None and account["key_is_old"]:
        database.execute(_NEW_KEY, account)  # no row if another call did so; its key is read then
        account = _account(database, user_id)
    if account_id is None and account["stripe_account_id"] is None:
        database.execute(_ASK, account)  # no row if another call has the account by now: the key gives it to both
        account_id = _create(database, client, account)
    if account_id is not None:
        database.execute(_MADE, {**account, "account_id": account_id})  # no row if another call stored it
    stored: str = _account(database, user_id)["stripe_account_id"]
    return stored


def _create(database: Database, client: "stripe.StripeClient", account: Row) -> str:
    try:
        created = call_stripe(
            lambda: client.v1.accounts.create(
                params={
                    "type": "express",
                    "capabilities": {"transfers": {"requested": True}},
                    "metadata": {"mechanicId": str(account["mechanic_id"])},
                },
                options={"idempotency_key": account["idempotency_key"]},
            )
        )
    except StripeRefused:
        database.execute(_NEW_KEY, account)  # Stripe would repeat the refusal for a day
        raise
    return created.id


def _found(client: "stripe.StripeClient", account: Row) -> str | None:
    """The account that Stripe created for this mechanic by a call whose answer was lost."""
    since = int((account["keyed_at"] - _CLOCKS_APART).timestamp())
    listed = call_stripe(lambda: client.v1.accounts.list(params={"created": {"gte": since}, "limit": 100}))
    for each in call_stripe(lambda: list(listed.auto_paging_iter())):
        if each.id in account["former_account_ids"]:
            continue
        if each.metadata is not None and each.metadata.to_dict().get("mechanicId") == str(account["mechanic_id"]):
            return each.id
    return None


def _link(client: "stripe.StripeClient", account_id: str) -> "stripe.AccountLink":
    base = session_base_url()
    return call_stripe(
        lambda: client.v1.account_links.create(
            params={
                "account": account_id,
                "type": "account_onboarding",
                "return_url": f"{base}/mechanic/onboarding/done",
                "refresh_url": f"{base}/mechanic/onboarding/again",
            }
        )
    )
