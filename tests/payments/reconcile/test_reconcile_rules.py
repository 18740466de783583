"""The rules of the comparison, on plain values: Stripe's statement, our bookings, and the name of each difference."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from autodoctor.payments.reconcile.books import Booking, Pair
from autodoctor.payments.reconcile.compare import alone, differences, is_in_flight
from autodoctor.payments.reconcile.internal import settlement_differences
from autodoctor.payments.reconcile.statement import movement

ID = "01a1fd3f-7762-71d7-aaba-3e48681ee5d0"
PAYOUT = "01a1fd3f-7762-71d7-aaba-3e48681ee5d1"
CHARGE = Pair(
    id="txn_1",
    type="charge",
    flow="charge",
    source="ch_1",
    subject=f"session:{ID}:charge",
    amount=999,
    fee=59,
    currency="usd",
    livemode=False,
    happened_at=datetime(2026, 11, 21, tzinfo=UTC),
    payment_intent_id="pi_1",
    charge_id=None,
    transfer_id=None,
    payout_id=None,
    intake_id=UUID(ID),
    checkout_id=UUID(ID),
    at_stripe=999,
    sources=1,
    gone_back=None,
    booked=999,
    fee_booked=-59,
    checkout_status="paid",
    checkout_kind="intake",
    payout_state=None,
    ours=True,
    in_flight=False,
    fee_in_flight=False,
    wanted=True,
)
REFUND = replace(CHARGE, flow="refund", subject="refund:re_1", at_stripe=-999, booked=-999, fee=0, fee_booked=None)
TRANSFER = replace(REFUND, flow="transfer", subject=f"payout:{ID}:transfer", payout_state="sent")
REVERSAL = replace(REFUND, flow="reversal", subject="reversal:trr_1", at_stripe=100, booked=100)
DISPUTE = replace(REFUND, flow="dispute", subject="dispute:du_1")
UNFULFILLABLE_PACK: dict[str, Any] = {"checkout_status": "unfulfillable", "checkout_kind": "pack", "booked": None}


@pytest.mark.parametrize(
    ("pair", "kinds"),
    [
        (CHARGE, []),
        (replace(CHARGE, booked=998), ["charge_differs"]),
        (replace(CHARGE, booked=None), ["charge_unbooked"]),
        (replace(CHARGE, booked=None, checkout_status=None), ["charge_unknown"]),
        (replace(CHARGE, booked=None, checkout_status="open"), ["charge_unfulfilled"]),
        (replace(CHARGE, booked=None, checkout_status="unfulfillable"), ["charge_unbooked"]),
        (replace(CHARGE, **UNFULFILLABLE_PACK), ["charge_unfulfillable"]),
        (replace(CHARGE, **UNFULFILLABLE_PACK, gone_back=-500), ["charge_unfulfillable"]),
        (replace(CHARGE, **UNFULFILLABLE_PACK, gone_back=-999), []),
        (replace(CHARGE, at_stripe=1998, sources=2), ["charge_duplicate"]),
        (replace(CHARGE, at_stripe=1998, sources=2, booked=1998), []),  # it was booked, and so looked at
        (replace(CHARGE, fee_booked=None), ["fee_unbooked"]),
        (replace(CHARGE, fee_booked=-58), ["fee_differs"]),
        (replace(CHARGE, fee=-15, fee_booked=15), []),  # one that Stripe gave back
        (replace(CHARGE, currency="eur"), ["other_currency"]),
        (replace(CHARGE, livemode=True, booked=None), ["other_mode"]),
        (replace(CHARGE, ours=False, booked=None), []),
        (replace(CHARGE, wanted=False, booked=None), []),
        (replace(CHARGE, flow=None, subject=None), []),
        (replace(CHARGE, booked=None, in_flight=True), []),
        (replace(CHARGE, fee_booked=None, fee_in_flight=True), []),
        (REFUND, []),
        (replace(REFUND, booked=None), ["refund_unbooked"]),
        (replace(REFUND, booked=-998), ["refund_differs"]),
        (replace(REFUND, at_stripe=0), ["refund_failed"]),
        (replace(REFUND, at_stripe=0, booked=None), []),
        (replace(REFUND, **UNFULFILLABLE_PACK), []),
        (TRANSFER, []),
        (replace(TRANSFER, booked=None), ["transfer_unbooked"]),
        (replace(TRANSFER, booked=None, payout_state=None), ["transfer_unknown"]),
        (replace(TRANSFER, booked=-998), ["transfer_differs"]),
        (replace(TRANSFER, at_stripe=-1998, sources=2), ["transfer_duplicate"]),
        (replace(TRANSFER, at_stripe=-1998, sources=2, booked=None), ["transfer_duplicate"]),
        (REVERSAL, []),
        (replace(REVERSAL, booked=None), ["reversal_unbooked"]),
        (replace(REVERSAL, booked=99), ["reversal_differs"]),
        (DISPUTE, []),
        (replace(DISPUTE, booked=None), ["dispute_unbooked"]),
        (replace(DISPUTE, booked=-998), ["dispute_differs"]),
        (replace(DISPUTE, at_stripe=0), ["dispute_won_unbooked"]),
        (replace(DISPUTE, **UNFULFILLABLE_PACK), []),
    ],
)
def test_what_a_movement_and_the_books_differ_in(pair: Pair, kinds: list[str]) -> None:
    assert [each.kind for each in differences(pair, livemode=False)] == kinds


@pytest.mark.parametrize(
    ("pair", "flying"),
    [
        (replace(CHARGE, in_flight=True), False),
        (replace(CHARGE, in_flight=True, booked=None), True),
        (replace(CHARGE, fee_in_flight=True, fee_booked=None), True),
        (replace(CHARGE, in_flight=True, booked=None, ours=False), False),
    ],
)
def test_what_may_still_be_on_its_way_is_counted(pair: Pair, *, flying: bool) -> None:
    assert is_in_flight(pair) is flying


@pytest.mark.parametrize(
    ("key", "subject", "kind"),
    [
        (f"session:{ID}:charge", f"session:{ID}:charge", "charge_missing"),
        (f"pack:{ID}:sale", f"pack:{ID}:sale", "charge_missing"),
        (f"payout:{ID}:transfer", f"payout:{ID}:transfer", "transfer_missing"),
        ("refund:re_1:platform", "refund:re_1", "refund_missing"),
        ("reversal:trr_1", "reversal:trr_1", "reversal_missing"),
        ("dispute:du_1:won", "dispute:du_1", "dispute_missing"),
        ("fee:txn_1", "fee:txn_1", "fee_missing"),
        ("correction:by hand", "correction:by hand", "correction_missing"),
    ],
)
def test_a_row_that_stripe_has_nothing_for(key: str, subject: str, kind: str) -> None:
    row = Booking(key, "charge", subject, 999, stated=False, settled=True, wanted=True)
    found = alone(row)
    assert found is not None
    assert (found.kind, found.subject, found.booked, found.repairable) == (kind, subject, 999, False)
    for other in (replace(row, stated=True), replace(row, settled=False), replace(row, wanted=False)):
        assert alone(other) is None


def told(source: object, kind: str = "charge", amount: int = 999, fee: int = 59) -> dict[str, Any]:
    """A balance transaction as Stripe lists it."""
    about = {"id": "txn_1", "object": "balance_transaction", "type": kind, "currency": "usd", "created": 1_795_219_200}
    return {**about, "amount": amount, "fee": fee, "source": source}


OF_INTAKE = {"checkoutId": ID, "intakeId": ID, "kind": "intake"}
OF_PACK = {"checkoutId": ID, "kind": "pack"}


@pytest.mark.parametrize(
    ("source", "flow", "subject", "claimed"),
    [
        ({"id": "ch_1", "object": "charge", "metadata": OF_INTAKE}, "charge", f"session:{ID}:charge", True),
        ({"id": "py_1", "object": "charge", "metadata": OF_PACK}, "charge", f"pack:{ID}:sale", True),
        ({"id": "ch_1", "object": "charge", "metadata": {"order": "7"}}, "charge", "charge:ch_1", False),
        ({"id": "ch_1", "object": "charge", "metadata": {"checkoutId": "7"}}, "charge", "charge:ch_1", False),
        ({"id": "re_1", "object": "refund", "metadata": {"refundId": ID}}, "refund", "refund:re_1", True),
        ({"id": "re_1", "object": "refund", "metadata": None}, "refund", "refund:re_1", False),
        (
            {"id": "tr_1", "object": "transfer", "transfer_group": PAYOUT, "metadata": {"payoutId": PAYOUT}},
            *("transfer", f"payout:{PAYOUT}:transfer", True),
        ),
        (
            {"id": "tr_1", "object": "transfer", "transfer_group": PAYOUT, "metadata": {}},
            *("transfer", f"payout:{PAYOUT}:transfer", False),
        ),
        ({"id": "tr_1", "object": "transfer", "transfer_group": "group_7"}, "transfer", "transfer:tr_1", False),
        ({"id": "trr_1", "object": "transfer_reversal", "transfer": "tr_1"}, "reversal", "reversal:trr_1", False),
        ({"id": "du_1", "object": "dispute", "charge": {"id": "ch_1"}}, "dispute", "dispute:du_1", False),
        ({"id": "po_1", "object": "payout", "metadata": {"payoutId": PAYOUT}}, None, None, False),
        ("po_1", None, None, False),
        (None, None, None, False),
    ],
)
def test_what_a_balance_transaction_is_about(
    source: object, flow: str | None, subject: str | None, *, claimed: bool
) -> None:
    found = movement(told(source))
    assert (found.flow, found.subject, found.claimed) == (flow, subject, claimed)


def test_a_movement_carries_no_personal_data() -> None:
    person = {
        "billing_details": {"email": "cora@example.com", "name": "Cora Castillo"},
        "receipt_email": "c@example.com",
    }
    found = movement(told({"id": "ch_1", "object": "charge", "metadata": OF_INTAKE, "description": "Cora", **person}))
    assert "cora" not in found.model_dump_json().lower()
    assert "example" not in found.model_dump_json()


SETTLED = {
    "session_id": ID,
    "outcome": "pay",
    "decides": "pay",
    "over": True,
    "held": 0,
    "credits_held": 0,
    "earns": 699,
    "earned": 699,
    "booked_earned": 699,
    "refers": 20,
    "referred": 20,
    "goes_back": 0,
    "owed_back": 0,
}


@pytest.mark.parametrize(
    ("changed", "kinds"),
    [
        ({}, []),
        ({"outcome": "refund"}, ["settlement_differs"]),
        ({"earned": 700}, ["settlement_differs"]),
        ({"earned": 0}, ["settlement_differs"]),
        ({"referred": 0}, ["settlement_differs"]),
        ({"owed_back": 999}, ["settlement_differs"]),
        ({"booked_earned": 0}, ["settlement_differs"]),
        ({"held": 1}, ["held_remains"]),
        ({"credits_held": 3}, ["held_remains"]),
        ({"held": 1, "over": False}, []),
        ({"held": -1}, ["negative_balance"]),
        ({"credits_held": -1}, ["negative_balance"]),
    ],
)
def test_what_a_settlement_did_otherwise(changed: dict[str, object], kinds: list[str]) -> None:
    assert [each.kind for each in settlement_differences({**SETTLED, **changed})] == kinds
