"""The old system's tables, columns and states; one of its databases may lack any of them but the ids."""

from enum import StrEnum
from typing import Final

CONSULTATIONS: Final = ("sessions", "diagnostic_sessions", "session_requests")
"""Tables whose rows are consultations. Where an id stands in two of them, the earlier one has it."""
WORKSHOPS: Final = ("organizations", "workshops")
MECHANICS: Final = "mechanics"
PROFILES: Final = "profiles"
USERS: Final = ("auth", "users")
"""Read for names only and never archived: it holds password hashes."""
WAIVERS: Final = ("waiver_signatures", "waivers", "session_waivers")
ASSIGNMENTS: Final = "session_assignments"
PARTICIPANTS: Final = "session_participants"
EVENTS: Final = "session_events"
INTAKES: Final = "intakes"
PAYOUTS: Final = ("mechanic_earnings", "mechanic_payouts", "session_payouts", "payouts")
"""Where it recorded what it paid to mechanics."""
ARCHIVED: Final = (
    *CONSULTATIONS,
    ASSIGNMENTS,
    PARTICIPANTS,
    EVENTS,
    INTAKES,
    *WAIVERS,
    *PAYOUTS,
    MECHANICS,
    *WORKSHOPS,
    PROFILES,
)
"""Kept word for word; so is every other table with a column of SESSION."""

SESSION: Final = ("session_id", "diagnostic_session_id", "session_request_id", "parent_session_id")
CUSTOMER: Final = ("customer_user_id", "customer_id", "user_id")
MECHANIC: Final = ("mechanic_id", "assigned_mechanic_id", "mechanic_user_id")
WORKSHOP: Final = ("workshop_id", "preferred_workshop_id", "organization_id")
TYPE: Final = ("type", "session_type")
PLAN: Final = ("plan", "plan_code", "plan_type")
CREATED: Final = ("created_at", "requested_at", "inserted_at")
ACCEPTED: Final = ("accepted_at", "assigned_at", "matched_at")
SCHEDULED: Final = ("scheduled_for", "scheduled_start", "scheduled_at")
STARTED: Final = ("started_at", "start_time", "actual_start")
ENDED: Final = ("ended_at", "completed_at", "cancelled_at", "end_time", "actual_end")
UPDATED: Final = ("updated_at", "expired_at")
NAME: Final = ("name", "full_name", "customer_name", "display_name")
EMAIL: Final = ("email", "customer_email")
PHONE: Final = ("phone", "customer_phone", "phone_number")
CONCERN: Final = ("concern", "notes", "description", "issue_description", "problem_description")
URGENT: Final = ("urgent", "is_urgent")
CENTS: Final = ("price_cents", "amount_cents", "total_cents")
MONEY: Final = ("base_price", "total_price", "price", "amount")
"""Amounts in dollars."""
PAYMENT: Final = ("stripe_payment_intent_id", "payment_intent_id", "stripe_session_id", "stripe_checkout_session_id")


class Meaning(StrEnum):
    """What an old state says."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    WAITING = "waiting"
    LIVE = "live"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


OVER: Final = frozenset({Meaning.COMPLETED, Meaning.CANCELLED, Meaning.EXPIRED})

STATES: Final[dict[Meaning, tuple[str, ...]]] = {
    Meaning.SCHEDULED: ("scheduled", "booked", "reserved"),
    Meaning.PENDING: (
        "pending",
        "requested",
        "new",
        "open",
        "queued",
        "offered",
        "unassigned",
        "pending_waiver",
        "paid",
    ),
    Meaning.WAITING: ("waiting", "accepted", "assigned", "matched", "confirmed", "ready"),
    Meaning.LIVE: ("live", "in_progress", "active", "started", "ongoing", "connected"),
    Meaning.COMPLETED: ("completed", "complete", "ended", "finished", "done", "closed"),
    Meaning.CANCELLED: ("cancelled", "canceled", "declined", "rejected", "refunded", "no_show", "failed", "withdrawn"),
    Meaning.EXPIRED: ("expired", "unattended", "timeout", "timed_out", "abandoned", "stale"),
}
"""Everything that its code wrote or its enums knew, at one time or another; --map-status adds to it."""

PLANS: Final[dict[str, str]] = {
    "trial": "free",
    "trial-free": "free",
    "chat10": "quick",
    "chat": "quick",
    "video15": "standard",
    "video": "standard",
    "diagnostic60": "diagnostic",
}
"""Old plan codes where ours differ."""
FREE: Final = "free"

MECHANIC_AT_WORK: Final = frozenset({"approved", "active", "available", "verified"})
"""States of a mechanic who may take sessions; every other one becomes suspended."""
PAID: Final = frozenset({"paid", "completed", "succeeded", "captured"})
PAID_OUT: Final = frozenset({"paid", "sent", "transferred", "completed"})


def known_states(added: dict[str, str]) -> dict[str, Meaning]:
    """The meaning of each old state, including the operator's additions.

    Args:
        added: old state -> one of the meanings.

    Raises:
        ValueError: something is mapped to no meaning.
    """
    known = {state: meaning for meaning, states in STATES.items() for state in states}
    return known | {old.strip().lower(): Meaning(meaning) for old, meaning in added.items()}
