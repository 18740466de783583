"""Invented facts for every kind, so that a translator can see each mail (`autodoctor mail preview`)."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from autodoctor.notifications.kinds import Facts, Kind, TranscriptLine

_COMMON: Final[dict[str, object]] = {
    "name": "Cora Castillo",
    "mechanic": "Mia Moreno",
    "session_type": "video",
    "session_url": "https://sessions.example.com/video/01980000-0000-7000-8000-000000000001",
}
_ENDED: Final[dict[str, object]] = {
    "started_at": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    "ended_at": datetime(2026, 3, 1, 9, 53, 10, tzinfo=UTC),
    "duration_seconds": 1390,
    "funding": "card",
    "price_cents": 2999,
    "currency": "usd",
    "credits": 3,
}
_PAYOUT: Final[dict[str, object]] = {
    "name": "Mia Moreno",
    "earned_for": "session",
    "payout_id": UUID("01980000-0000-7000-8000-000000000002"),
    "amount_cents": 2099,
    "currency": "usd",
    "session_type": "video",
    "ended_at": datetime(2026, 3, 1, 9, 53, 10, tzinfo=UTC),
}
_QUOTE: Final[dict[str, object]] = {
    "quote_id": UUID("01980000-0000-7000-8000-000000000003"),
    "workshop": "Wheelhouse <Sons & Daughters>",
    "vehicle": "2019 Volvo V60",
    "amount_cents": 48_000,
    "currency": "usd",
}
_PAYMENT: Final[dict[str, object]] = {"bought": "session", "amount_cents": 2999, "currency": "usd"}
_RECEIPT: Final[dict[str, object]] = {
    **_PAYMENT,
    "receipt_id": UUID("01980000-0000-7000-8000-000000000004"),
    "number": "2026-000123",
    "bought_title": "Standard <video>",
    "tax_cents": 273,
    "receipt_url": "https://sessions.example.com/receipts/01980000-0000-7000-8000-000000000004",
}
_OWN: Final[dict[Kind, dict[str, object]]] = {
    Kind.CONFIRM_ADDRESS: {
        "name": None,
        "confirm_url": "https://sessions.example.com/settings/confirm?token=abcdefgh",
    },
    Kind.REQUEST_RECEIVED: {
        "needs_waiver": False,
        "concern": "Squeals when braking <below 30 km/h> & smells burnt",
        "vehicle": "2019 Volvo V60",
        "scheduled_for": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    },
    Kind.MECHANIC_ASSIGNED: {},
    Kind.FIRST_REPLY_LATE: {},
    Kind.BACK_IN_QUEUE: {"released_by": "system"},
    Kind.SET_AWAY: {"name": "Mia Moreno", "missed": 3},
    Kind.SUSPENDED: {
        "name": "Mia Moreno",
        "explanation": "Three customers waited for you <today>.",
        "suspended_at": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    },
    Kind.SESSION_TAKEN_BACK: {"name": "Mia Moreno", "taken_by": "system"},
    Kind.SESSION_COMPLETED: {
        **_ENDED,
        "notes": "Front pads worn to 2 mm. Replace pads and check the discs.",
        "transcript": (
            TranscriptLine(
                at=datetime(2026, 3, 1, 9, 31, tzinfo=UTC), mechanic=None, text="It squeals <below 30> & smells."
            ),
            TranscriptLine(
                at=datetime(2026, 3, 1, 9, 32, tzinfo=UTC), mechanic="Mia Moreno", text="Show me the front wheel."
            ),
            TranscriptLine(at=datetime(2026, 3, 1, 9, 33, tzinfo=UTC), mechanic=None, text=None),
        ),
        "transcript_cut": True,
    },
    Kind.SESSION_CLOSED: {"name": "Mia Moreno", "explanation": "The customer asked us to stop <this> talk."},
    Kind.NOTES_ADDED: {**_ENDED, "notes": "Front pads worn to 2 mm. Replace pads and check the discs."},
    Kind.SESSION_CANCELLED: {
        **_ENDED,
        "reason": "no_show",
        "absent": "mechanic",
        "by_operator": True,
        "explanation": "Sorry for <that>.",
    },
    Kind.PAYOUT_SENT: _PAYOUT,
    Kind.PAYOUT_FAILED: _PAYOUT,
    Kind.PAYMENT_RECEIVED: _RECEIPT,
    Kind.CREDITS_BOUGHT: {**_RECEIPT, "bought": "credits", "bought_title": "Five credits", "credits": 5},
    Kind.REFUND_SENT: _RECEIPT,
    Kind.PAYMENT_UNFULFILLABLE: {**_PAYMENT, "reason": "active_session", "refunded": True},
    Kind.PAYMENT_FAILED: {**_PAYMENT, "reason": "refused"},
    Kind.PAYMENT_LATE: {
        **_PAYMENT,
        "intake_id": UUID("01980000-0000-7000-8000-000000000005"),
        "answer_url": "https://sessions.example.com/intakes/01980000-0000-7000-8000-000000000005",
    },
    Kind.REFUND_FAILED: {**_PAYMENT, "reason": "bank_refused"},
    Kind.QUOTE_REQUESTED: _QUOTE,
    Kind.QUOTE_GIVEN: _QUOTE,
    Kind.QUOTE_APPROVED: _QUOTE,
    Kind.CONTEST_OPENED: {"name": "Mia Moreno", "ended_at": datetime(2026, 3, 1, 9, 53, 10, tzinfo=UTC)},
    Kind.CONTEST_DECIDED: {
        "decided": "part",
        "reader": "customer",
        "amount_cents": 1500,
        "currency": "usd",
        "explanation": "The talk was cut <short>.",
    },
}


def sample(kind: Kind) -> Facts:
    """Invented facts for one kind."""
    return Facts.model_validate({**_COMMON, **_OWN[kind]})
