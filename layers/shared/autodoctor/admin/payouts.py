"""GET /api/admin/payouts, POST /api/admin/payouts/{payoutId}/hold and /release: what mechanics are owed, and holds."""

from collections.abc import Mapping
from typing import Final, Literal, LiteralString, get_args
from uuid import UUID

from autodoctor.db import Database, Row
from autodoctor.errors import Conflict, NotFound, Unprocessable
from autodoctor.ids import LAST
from autodoctor.web.paging import id_of, page_size
from autodoctor.web.schemas import Reason, RequestBody, ResponseModel, Utc

type PayoutState = Literal["due", "held", "sending", "sent", "failed", "reversed", "cancelled"]
type HoldReason = Literal["operator", "suspended", "escalation", "disputed_credits", "destination", "contest"]

STATES: Final[tuple[str, ...]] = get_args(PayoutState.__value__)

_HOLDABLE: Final = ("due", "held", "sending", "failed")

_SHOWN: Final[LiteralString] = """
SELECT p.id AS payout_id, p.session_id, p.mechanic_id, p.kind, p.amount_cents, p.withheld_cents, p.netted_cents,
       p.currency, p.state, p.waits_for, p.last_error, p.created_at, p.created_at + payout_hold() AS leaves_at,
       p.sent_at,
       p.stripe_transfer_id, stripe_page('connect/transfers', p.stripe_transfer_id) AS stripe_url,
       coalesce((SELECT jsonb_agg(jsonb_build_object('reason', h.reason, 'note', h.note, 'heldBy', h.held_by,
                                                     'heldAt', h.held_at) ORDER BY h.held_at, h.reason)
                   FROM payout_holds h WHERE h.payout_id = p.id AND h.released_at IS NULL), '[]') AS holds
  FROM payouts p
"""
_PAGE: Final[LiteralString] = (
    _SHOWN
    + """
 WHERE p.id < %(before)s AND (%(state)s::text IS NULL OR p.state = %(state)s)
   AND (%(mechanic_id)s::uuid IS NULL OR p.mechanic_id = %(mechanic_id)s)
 ORDER BY p.id DESC LIMIT %(limit)s + 1
"""
)
_OF_SESSION: Final[LiteralString] = _SHOWN + " WHERE p.session_id = %(session_id)s ORDER BY p.id"
_ONE: Final[LiteralString] = _SHOWN + " WHERE p.id = %(payout_id)s"

_HOLD: Final[LiteralString] = """
SELECT hold_payout(p.id, 'operator', %(reason)s, %(admin_id)s) FROM payouts p
 WHERE p.id = %(payout_id)s AND p.state = ANY (%(holdable)s)
"""
_RELEASE: Final[LiteralString] = """
UPDATE payout_holds SET released_by = %(admin_id)s, released_at = clock_timestamp()
 WHERE payout_id = %(payout_id)s AND released_at IS NULL
   AND NOT (reason = 'contest' AND EXISTS (SELECT FROM payouts p JOIN contests c ON c.session_id = p.session_id
                                            WHERE p.id = payout_id AND c.outcome IS NULL))
"""


class HoldRequest(RequestBody):
    """The reason, for whoever looks at the payout later."""

    reason: Reason


class PayoutHold(ResponseModel):
    """An open hold.

    Attributes:
        note: the admin's words, where an admin held it.
        held_by: the admin's `sub`; null: the system.
    """

    reason: HoldReason
    note: str | None
    held_by: UUID | None
    held_at: Utc


class AdminPayout(ResponseModel):
    """A payout as admins see it.

    Attributes:
        withheld_cents: the part that went back to the customer.
        netted_cents: the part that paid off what the mechanic owed.
        waits_for: what a payout that is not sent waits for, such as `release` of its holds, the mechanic's
            `onboarding`, or `time`: until `leaves_at`.
        leaves_at: before this it is not sent, so that its customer can contest it.
        stripe_url: the transfer in Stripe's dashboard.
        holds: what holds it; a payout that is being sent is held only if that fails.
    """

    payout_id: UUID
    session_id: UUID
    mechanic_id: UUID
    kind: Literal["session", "extension", "referral", "escalation", "returned"]
    amount_cents: int
    withheld_cents: int
    netted_cents: int
    currency: str
    state: PayoutState
    waits_for: str | None
    last_error: str | None
    holds: list[PayoutHold]
    created_at: Utc
    leaves_at: Utc
    sent_at: Utc | None
    stripe_transfer_id: str | None
    stripe_url: str | None


class AdminPayouts(ResponseModel):
    """One page, newest first."""

    payouts: list[AdminPayout]
    next_cursor: str | None


class PayoutNotFound(NotFound):
    """No such payout."""

    def __init__(self) -> None:
        super().__init__("There is no such payout.")


class PayoutOver(Conflict):
    """The payout was sent, or will never be."""

    slug, title = "payout-over", "Payout over"

    def __init__(self, state: str) -> None:
        super().__init__(f"This payout is {state}: there is nothing to hold.", payoutState=state)


def payouts(database: Database, query: Mapping[str, str]) -> AdminPayouts:
    """A page of payouts.

    Args:
        database: as the application role.
        query: of the URL: limit (1 to 100; 20 if absent), cursor, state and mechanicId.

    Raises:
        Unprocessable: one of them is invalid.
    """
    size = page_size(query.get("limit"))
    state = query.get("state")
    if state is not None and state not in STATES:
        raise Unprocessable(("/state", f"must be one of {', '.join(STATES)}"))
    parameters = {
        "before": id_of(query.get("cursor"), LAST),
        "state": state,
        "mechanic_id": _mechanic(query.get("mechanicId")),
        "limit": size,
    }
    rows = database.all(_PAGE, parameters)
    return AdminPayouts(
        payouts=[AdminPayout.model_validate(row) for row in rows[:size]],
        next_cursor=str(rows[size - 1]["payout_id"]) if len(rows) > size else None,
    )


def of_session(database: Database, session_id: UUID) -> list[AdminPayout]:
    """The payouts of a session, oldest first."""
    return [AdminPayout.model_validate(row) for row in database.all(_OF_SESSION, {"session_id": session_id})]


def hold(database: Database, admin_id: UUID, payout_id: UUID, request: HoldRequest) -> AdminPayout:
    """Hold a payout until an admin releases it; one that is held by an admin already keeps the first reason.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        payout_id: the payout.
        request: the reason.

    Raises:
        PayoutNotFound: there is none with this id.
        PayoutOver: it was sent, or its customer has all of it back.
    """
    values = {"payout_id": payout_id, "admin_id": admin_id, "reason": request.reason, "holdable": list(_HOLDABLE)}
    held = database.all(_HOLD, values)
    payout = _one(database, values)
    if not held and payout.state not in _HOLDABLE:
        raise PayoutOver(payout.state)
    return payout


def release(database: Database, admin_id: UUID, payout_id: UUID) -> AdminPayout:
    """Release whatever holds a payout, so that it is sent; without a hold nothing changes.

    A contest that is not decided goes on holding it, and the time after which it may leave does not change.

    Args:
        database: as the application role.
        admin_id: the admin's `sub`.
        payout_id: the payout.

    Raises:
        PayoutNotFound: there is none with this id.
    """
    values = {"payout_id": payout_id, "admin_id": admin_id}
    database.execute(_RELEASE, values)  # no row where nothing holds it, or it was released before
    return _one(database, values)


def _one(database: Database, values: Row) -> AdminPayout:
    row = database.one(_ONE, values)
    if row is None:
        raise PayoutNotFound
    return AdminPayout.model_validate(row)


def _mechanic(mechanic_id: str | None) -> UUID | None:
    try:
        return None if mechanic_id is None else UUID(mechanic_id)
    except ValueError:
        raise Unprocessable(("/mechanicId", "must be a UUID")) from None
