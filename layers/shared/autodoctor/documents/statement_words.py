"""What the lines of a mechanic's statement say: the words of each kind of ledger row, and why money is held."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

type LineGroup = Literal[
    "session",
    "free_session",
    "referral",
    "escalation",
    "returned",
    "payout",
    "taken_back",
    "debt",
    "correction",
]
type WaitReason = Literal[
    "operator",
    "suspended",
    "escalation",
    "disputed_credits",
    "destination",
    "contest",
    "late_evidence",
    "time",
    "onboarding",
    "balance",
    "dispute",
    "payment",
    "retry",
    "due",
    "sending",
    "failed",
    "taken_back",
]

GROUPS: Final[Mapping[LineGroup, str]] = {
    "session": "Sessions",
    "free_session": "Free sessions",
    "referral": "Referrals",
    "escalation": "Approved quotes",
    "returned": "Went back to customers",
    "payout": "Payouts to your account at Stripe",
    "taken_back": "Payouts that were taken back",
    "debt": "What you have to give back",
    "correction": "Corrections",
}
"""The groups in the order in which a statement sums them up."""

EARNED: Final[frozenset[LineGroup]] = frozenset({"session", "free_session", "referral", "escalation"})
"""The groups of what was earned."""


@dataclass(frozen=True, slots=True)
class KindWords:
    """What a kind of ledger row says to the mechanic.

    Attributes:
        group: what it is summed up with.
        payable: it changes what the mechanic is owed.
        debt: it changes what the mechanic owes, alone or too.
    """

    group: LineGroup
    payable: str
    debt: str = ""


KINDS: Final[Mapping[str, KindWords]] = {
    "earning": KindWords("session", "Session"),
    "fixed_pay": KindWords("free_session", "Free session"),
    "referral": KindWords("referral", "Referral"),
    "escalation": KindWords("escalation", "Approved quote"),
    "transfer": KindWords("payout", "Payout"),
    "netting": KindWords("debt", "Withheld from a payout for what you had to give back"),
    "reversal": KindWords("taken_back", "Payout taken back"),
    "refund": KindWords("returned", "Refund to the customer, your part"),
    "dispute_lost": KindWords("returned", "Lost dispute, your part"),
    "contest": KindWords("returned", "Decided contest, your part", "Decided contest, your part of what was paid out"),
    "receivable": KindWords("debt", "Debt", "Went back to the customer after it was paid out, your part"),
    "correction": KindWords("correction", "Correction", "Correction of what you have to give back"),
}
"""The kinds of rows that may touch a mechanic's accounts (payments/ledger/accounts.py)."""

PAID_OFF: Final = "Paid off what you had to give back"
"""A row between the mechanic's two accounts."""

NOT_MECHANICS: Final = frozenset(
    {
        *("charge", "fee", "pack_sale", "pack_refund", "platform_share", "dispute", "dispute_won"),
        *("credit_issue", "credit_grant", "credit_hold", "credit_spend", "credit_return", "credit_withdrawal"),
    }
)
"""The kinds that move money or credits between others."""

WAITS: Final[Mapping[WaitReason, str]] = {
    "operator": "An administrator looks into it, and releases it.",
    "suspended": "Your account is suspended; it is sent once you are active again.",
    "escalation": "An administrator releases shares of quotes.",
    "disputed_credits": "The customer's bank disputes the payment for the credits that were used.",
    "destination": "Your account at Stripe was changed; for your safety nothing is sent to the new one at first.",
    "contest": "The customer contests the session; an administrator decides.",
    "late_evidence": "What became known after the session's end is looked at; an administrator decides.",
    "time": "It stays for a while after it was earned, as the customer may contest the session.",
    "onboarding": "Stripe cannot take money for you yet: finish your set-up there.",
    "balance": "Customers' payments have not arrived at Stripe yet.",
    "dispute": "The customer's bank disputes the payment; it is sent unless the bank takes the money.",
    "payment": "The customer's payment is not known yet.",
    "retry": "Sending it did not succeed; it is tried again by itself.",
    "due": "It is sent with the next payouts.",
    "sending": "It is on its way.",
    "failed": "It could not be sent; we look into it.",
    "taken_back": "It was sent and taken back; we look into it.",
}


def group_of(kind: str) -> LineGroup:
    """What a kind is summed up with; one without words, which no release has, is a correction."""
    return KINDS[kind].group if kind in KINDS else "correction"


def words_of(kind: str, payable_cents: int, owed_cents: int) -> str:
    """What a row says.

    Args:
        kind: of the ledger.
        payable_cents: what it changes of what the mechanic is owed.
        owed_cents: what it changes of what the mechanic owes.
    """
    said = KINDS.get(kind, KINDS["correction"])
    if payable_cents and owed_cents:
        return said.payable if kind == "netting" else PAID_OFF
    return said.payable if payable_cents else said.debt or said.payable


@dataclass(frozen=True, slots=True)
class UnsentPayout:
    """The state of a payout of which something is still here.

    Attributes:
        holds: the reasons of its open holds.
        destination_until: until when the mechanic's account counts as new; None: it does not.
        leaves_at: before this it is not sent.
        next_attempt_at: when it is tried again.
    """

    state: str
    waits_for: str | None
    holds: tuple[WaitReason, ...]
    destination_until: datetime | None
    leaves_at: datetime
    next_attempt_at: datetime | None


def why(unsent: UnsentPayout, now: datetime) -> list[tuple[WaitReason, datetime | None]]:
    """The reasons why a payout is not sent, each with the instant until which it holds, where that is known.

    Args:
        unsent: what is known of it.
        now: the present, by the database's clock.
    """
    final: dict[str, WaitReason] = {"failed": "failed", "sent": "taken_back", "reversed": "taken_back"}
    if unsent.state in final:
        return [(final[unsent.state], None)]
    known: list[tuple[WaitReason, datetime | None]] = [
        (each, unsent.destination_until if each == "destination" else None) for each in unsent.holds
    ]
    if unsent.destination_until is not None and "destination" not in unsent.holds:
        known.append(("destination", unsent.destination_until))
    if unsent.leaves_at > now:
        known.append(("time", unsent.leaves_at))
    waiting: dict[str, tuple[WaitReason, datetime | None]] = {
        "onboarding": ("onboarding", None),
        "balance": ("balance", unsent.next_attempt_at),
        "dispute": ("dispute", None),
        "payment": ("payment", unsent.next_attempt_at),
        "retry": ("retry", unsent.next_attempt_at),
    }
    if unsent.waits_for in waiting:
        known.append(waiting[unsent.waits_for])
    if known:
        return known
    return [("sending" if unsent.state == "sending" else "due", None)]
