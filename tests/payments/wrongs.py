"""What can be wrong with books: each is done to healthy ones, at Stripe or in ours, and named after it."""

from collections.abc import Callable
from typing import LiteralString

from autodoctor.ids import new_id
from payments.auditor import Auditor
from payments.purse import pay_by_card
from stripe_standin.till import order

type Wrong = Callable[[Auditor], None]


def forget(auditor: Auditor, where: LiteralString, *values: object) -> None:
    """Lose rows of the ledger, as only a superuser can."""
    with auditor.counter.stage.without_triggers() as books:
        assert books.execute(b"DELETE FROM ledger_transfer WHERE " + where.encode(), values).rowcount == 1


def falsify(auditor: Auditor, where: LiteralString, *values: object) -> None:
    """Make an amount of the ledger a cent more, as only a superuser can."""
    with auditor.counter.stage.without_triggers() as books:
        statement = b"UPDATE ledger_transfer SET amount = amount + 1 WHERE " + where.encode()
        assert books.execute(statement, values).rowcount == 1


def newest(auditor: Auditor, kind: str) -> str:
    """Stripe's id of the newest object of a kind."""
    return str(auditor.counter.stripe.objects(kind)[-1]["id"])


def sent(auditor: Auditor) -> str:
    """The transfer of a payout that was sent."""
    auditor.earned(auditor.mechanic())
    auditor.send()
    return newest(auditor, "transfer")


def disputed(auditor: Auditor) -> str:
    """The dispute of a payment that was sent, all of which is booked."""
    _, charge = auditor.earned(auditor.mechanic())
    auditor.send()
    dispute: str = auditor.counter.stripe.open_dispute(charge)["id"]
    auditor.hear()
    auditor.fees_booked()
    return dispute


def a_charge_lost(auditor: Auditor) -> None:
    _, created, _ = auditor.paid()
    auditor.fees_booked()
    forget(auditor, "key = %s", f"session:{created.session_id}:charge")


def a_pack_lost(auditor: Auditor) -> None:
    auditor.counter.stripe.pay(auditor.pack(new_id()))
    auditor.hear()
    auditor.fees_booked()
    forget(auditor, "kind = 'pack_sale'")


def a_charge_of_no_checkout(auditor: Auditor) -> None:
    """As after a restored backup: Stripe's metadata names rows that are gone."""
    metadata = {"checkoutId": str(new_id()), "intakeId": str(new_id()), "kind": "intake"}
    page = auditor.client.v1.checkout.sessions.create(params=order(999, payment_intent_data={"metadata": metadata}))
    auditor.counter.stripe.pay(page.id)


def a_payment_nobody_heard_of(auditor: Auditor) -> None:
    page = auditor.opened(new_id())
    auditor.counter.stripe.pay(page)
    auditor.told |= {event["id"] for event in auditor.counter.stripe.events()}


def a_charge_of_another_amount(auditor: Auditor) -> None:
    _, created, _ = auditor.paid()
    auditor.fees_booked()
    falsify(auditor, "key = %s", f"session:{created.session_id}:charge")


def a_charge_that_stripe_does_not_have(auditor: Auditor) -> None:
    pay_by_card(auditor.counter.stage, new_id())


def two_charges_for_one_checkout(auditor: Auditor) -> None:
    _, created, _ = auditor.paid()
    query = "SELECT id::text AS id FROM checkouts WHERE intake_id = %s"
    checkout = auditor.counter.one(query, created.session_id)
    metadata = {"checkoutId": checkout, "intakeId": str(created.session_id), "kind": "intake"}
    page = auditor.client.v1.checkout.sessions.create(params=order(999, payment_intent_data={"metadata": metadata}))
    auditor.counter.stripe.pay(page.id)
    auditor.fees_booked()


def a_refund_nobody_heard_of(auditor: Auditor) -> None:
    _, charge = auditor.earned(auditor.mechanic())
    auditor.send()
    auditor.counter.stripe.refund(charge, 300)


def a_refund_lost(auditor: Auditor) -> None:
    auditor.cancelled()
    auditor.send()
    forget(auditor, "key = %s", f"refund:{newest(auditor, 'refund')}")


def a_refund_that_came_back(auditor: Auditor) -> None:
    _, charge = auditor.earned(auditor.mechanic())
    auditor.send()
    refund = auditor.counter.stripe.refund(charge, 300)["id"]
    auditor.hear()
    auditor.counter.stripe.fail_refund(refund)


def a_refund_that_stripe_does_not_have(auditor: Auditor) -> None:
    created, _ = auditor.cancelled()
    auditor.fees_booked()
    auditor.counter.stage.owner.execute(
        "UPDATE refunds SET state = 'sent', sent_at = clock_timestamp(), stripe_refund_id = 're_' || id,"
        "       next_attempt_at = NULL WHERE intake_id = %s",
        [created.session_id],
    )
    auditor.counter.stage.owner.execute(
        "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)"
        " SELECT 'refund:re_' || id, 'session:' || intake_id || ':held', 'stripe', amount_cents, 'usd', 'refund',"
        "        intake_id FROM refunds WHERE intake_id = %s",
        [created.session_id],
    )


def a_transfer_lost(auditor: Auditor) -> None:
    transfer = sent(auditor)
    query = "SELECT id FROM payouts WHERE stripe_transfer_id = %s"
    forget(auditor, "key = %s", f"payout:{auditor.counter.one(query, transfer)}:transfer")


def a_transfer_not_noted(auditor: Auditor) -> None:
    """As after a restored backup: the payout is due, and was sent."""
    created, charge = auditor.earned(auditor.mechanic())
    auditor.fees_booked()
    payout = auditor.counter.stage.owner.execute(
        "SELECT p.id::text AS id, p.amount_cents, a.stripe_account_id FROM payouts p"
        "  JOIN mechanic_accounts a ON a.mechanic_id = p.mechanic_id WHERE p.session_id = %s",
        [created.session_id],
    ).fetchone()
    assert payout is not None
    auditor.client.v1.transfers.create(
        params={
            "amount": payout["amount_cents"],
            "currency": "usd",
            "destination": payout["stripe_account_id"],
            "transfer_group": payout["id"],
            "source_transaction": charge,
        }
    )


def two_transfers_for_one_payout(auditor: Auditor) -> None:
    first = auditor.client.v1.transfers.retrieve(sent(auditor))
    auditor.client.v1.transfers.create(
        params={
            "amount": first.amount,
            "currency": "usd",
            "destination": str(first.destination),
            "transfer_group": first.transfer_group or "",
            "metadata": {"payoutId": first.transfer_group or ""},
        }
    )


def a_transfer_of_no_payout(auditor: Auditor) -> None:
    auditor.client.v1.transfers.create(
        params={
            "amount": 100,
            "currency": "usd",
            "destination": auditor.office.account(auditor.mechanic())["stripe_account_id"],
        }
    )


def a_transfer_that_stripe_does_not_have(auditor: Auditor) -> None:
    created, _ = auditor.earned(auditor.mechanic())
    auditor.fees_booked()
    owner = auditor.counter.stage.owner
    owner.execute(
        "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)"
        " SELECT 'payout:' || id || ':transfer', 'mechanic:' || mechanic_id || ':payable', 'stripe', amount_cents,"
        "        'usd', 'transfer', session_id FROM payouts WHERE session_id = %s",
        [created.session_id],
    )
    owner.execute(
        "UPDATE payouts SET state = 'sent', sent_at = clock_timestamp(), sent_cents = amount_cents,"
        "       stripe_transfer_id = 'tr_' || id, next_attempt_at = NULL WHERE session_id = %s",
        [created.session_id],
    )


def a_transfer_that_only_its_payout_has(auditor: Auditor) -> None:
    created, _ = auditor.earned(auditor.mechanic())
    auditor.fees_booked()
    auditor.counter.stage.owner.execute(
        "UPDATE payouts SET state = 'sent', sent_at = clock_timestamp(), stripe_transfer_id = 'tr_' || id,"
        "       next_attempt_at = NULL WHERE session_id = %s",
        [created.session_id],
    )


def a_reversal_nobody_heard_of(auditor: Auditor) -> None:
    auditor.counter.stripe.reverse(sent(auditor), 100)


def a_reversal_lost(auditor: Auditor) -> None:
    auditor.counter.stripe.reverse(sent(auditor), 100)
    auditor.hear()
    forget(auditor, "key = %s", f"reversal:{newest(auditor, 'transfer_reversal')}")


def a_dispute_nobody_heard_of(auditor: Auditor) -> None:
    _, charge = auditor.earned(auditor.mechanic())
    auditor.send()
    auditor.counter.stripe.open_dispute(charge)


def a_dispute_that_was_won(auditor: Auditor) -> None:
    auditor.counter.stripe.close_dispute(disputed(auditor), won=True)


def a_dispute_that_was_lost(auditor: Auditor) -> None:
    auditor.counter.stripe.close_dispute(disputed(auditor), won=False)


def a_fee_not_booked(auditor: Auditor) -> None:
    auditor.paid()


def a_fee_of_another_amount(auditor: Auditor) -> None:
    _, created, _ = auditor.paid()
    auditor.fees_booked()
    falsify(auditor, "kind = 'fee' AND intake_id = %s", created.session_id)


def a_fee_that_stripe_does_not_have(auditor: Auditor) -> None:
    auditor.counter.stage.owner.execute(
        "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
        " VALUES ('fee:txn_0', 'stripe_fees', 'stripe', 30, 'usd', 'fee')"
    )


def a_settlement_that_pays_too_much(auditor: Auditor) -> None:
    created, _ = auditor.earned(auditor.mechanic())
    auditor.fees_booked()
    with auditor.counter.stage.without_triggers() as books:
        books.execute(
            "UPDATE intakes SET mechanic_share_bp = mechanic_share_bp - 1000 WHERE id = %s", [created.session_id]
        )


def money_held_after_settlement(auditor: Auditor) -> None:
    created, _ = auditor.earned(auditor.mechanic())
    auditor.fees_booked()
    forget(auditor, "key = %s", f"session:{created.session_id}:platform_share")


def money_held_though_it_was_paid_back(auditor: Auditor) -> None:
    """Of a payment whose customer had another session by then."""
    customer = new_id()
    page = auditor.opened(customer)
    auditor.counter.stage.queued(customer)
    auditor.counter.stripe.pay(page)
    auditor.hear()
    auditor.send()
    falsify(auditor, "key = %s", f"refund:{newest(auditor, 'refund')}")


def a_payable_below_zero(auditor: Auditor) -> None:
    sent(auditor)
    forget(auditor, "id = (SELECT max(id::text)::uuid FROM ledger_transfer WHERE kind = 'earning')")
