"""Columns that say when something happened."""

from typing import Final

HAPPENED: Final = (
    ("intakes", "created_at"),
    ("waivers", "signed_at"),
    *(("sessions", each) for each in ("released_at", "accepted_at", "started_at", "parted_at", "ended_at")),
    *(("sessions", each) for each in ("customer_joined_at", "mechanic_joined_at")),
    *(("session_assignments", each) for each in ("queued_at", "available_at", "ended_at")),
    *(("session_participants", each) for each in ("since", "until")),
    ("session_events", "occurred_at"),
    ("session_assignment_events", "occurred_at"),
    *(("session_presence", each) for each in ("since", "until", "recorded_at", "closed_at")),
    ("settlements", "decided_at"),
    *(("payouts", each) for each in ("created_at", "keyed_at", "asked_at", "sent_at")),
    *(("payout_reversals", each) for each in ("created_at", "keyed_at", "asked_at", "done_at")),
    *(("refunds", each) for each in ("created_at", "keyed_at", "asked_at", "sent_at")),
    *(("quotes", each) for each in ("requested_at", "given_at", "decided_at")),
    ("quote_events", "occurred_at"),
    *(("checkouts", each) for each in ("created_at", "checked_at", "fee_booked_at")),
    ("stripe_refunds", "created_at"),
    *(("stripe_disputes", each) for each in ("created_at", "updated_at")),
    ("ledger_transfer", "created_at"),
    ("mechanics", "created_at"),
    *(("mechanic_accounts", each) for each in ("keyed_at", "updated_at")),
)
"""Columns that say when something happened, of all that verify looks at: none of them lies in the future."""
