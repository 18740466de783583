"""Faults in the books: each is planted in healthy ones, at Stripe or in ours, and named after its kind."""

from collections.abc import Callable
from typing import LiteralString

from autodoctor.ids import new_id
from autodoctor.payments.ledger.netting_consents import NettingRequest, agree
from support.money.purchases import pay_by_card
from support.money.reconcile_env import ReconcileEnv
from support.money.stripe_shop import order

type Wrong = Callable[[ReconcileEnv], None]


def forget(reconcile_env: ReconcileEnv, where: LiteralString, *values: object) -> None:
    """Lose rows of the ledger, as only a superuser can."""
    with reconcile_env.checkout_env.world.without_triggers() as books:
        assert books.execute(b"DELETE FROM ledger_transfer WHERE " + where.encode(), values).rowcount == 1


def falsify(reconcile_env: ReconcileEnv, where: LiteralString, *values: object) -> None:
    """Make an amount of the ledger a cent more, as only a superuser can."""
    with reconcile_env.checkout_env.world.without_triggers() as books:
        statement = b"UPDATE ledger_transfer SET amount = amount + 1 WHERE " + where.encode()
        assert books.execute(statement, values).rowcount == 1


def newest(reconcile_env: ReconcileEnv, kind: str) -> str:
    """Stripe's id of the newest object of a kind."""
    return str(reconcile_env.checkout_env.stripe.objects(kind)[-1]["id"])


def sent(reconcile_env: ReconcileEnv) -> str:
    """The transfer of a payout that was sent."""
    reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.send()
    return newest(reconcile_env, "transfer")


def disputed(reconcile_env: ReconcileEnv) -> str:
    """The dispute of a payment that was sent, all of which is booked."""
    _, charge = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.send()
    dispute: str = reconcile_env.checkout_env.stripe.open_dispute(charge)["id"]
    reconcile_env.hear()
    reconcile_env.fees_booked()
    return dispute


def a_charge_lost(reconcile_env: ReconcileEnv) -> None:
    _, created, _ = reconcile_env.paid()
    reconcile_env.fees_booked()
    forget(reconcile_env, "key = %s", f"session:{created.session_id}:charge")


def a_pack_lost(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.checkout_env.stripe.pay(reconcile_env.pack(new_id()))
    reconcile_env.hear()
    reconcile_env.fees_booked()
    forget(reconcile_env, "kind = 'pack_sale'")


def a_charge_of_no_checkout(reconcile_env: ReconcileEnv) -> None:
    """As after a restored backup: Stripe's metadata names rows that are gone."""
    metadata = {"checkoutId": str(new_id()), "intakeId": str(new_id()), "kind": "intake"}
    page = reconcile_env.client.v1.checkout.sessions.create(
        params=order(999, payment_intent_data={"metadata": metadata})
    )
    reconcile_env.checkout_env.stripe.pay(page.id)


def a_payment_nobody_heard_of(reconcile_env: ReconcileEnv) -> None:
    page = reconcile_env.opened(new_id())
    reconcile_env.checkout_env.stripe.pay(page)
    reconcile_env.delivered |= {event["id"] for event in reconcile_env.checkout_env.stripe.events()}


def a_charge_of_another_amount(reconcile_env: ReconcileEnv) -> None:
    _, created, _ = reconcile_env.paid()
    reconcile_env.fees_booked()
    falsify(reconcile_env, "key = %s", f"session:{created.session_id}:charge")


def a_charge_that_stripe_does_not_have(reconcile_env: ReconcileEnv) -> None:
    pay_by_card(reconcile_env.checkout_env.world, new_id())


def two_charges_for_one_checkout(reconcile_env: ReconcileEnv) -> None:
    _, created, _ = reconcile_env.paid()
    query = "SELECT id::text AS id FROM checkouts WHERE intake_id = %s"
    checkout = reconcile_env.checkout_env.one(query, created.session_id)
    metadata = {"checkoutId": checkout, "intakeId": str(created.session_id), "kind": "intake"}
    page = reconcile_env.client.v1.checkout.sessions.create(
        params=order(999, payment_intent_data={"metadata": metadata})
    )
    reconcile_env.checkout_env.stripe.pay(page.id)
    reconcile_env.fees_booked()


def a_refund_nobody_heard_of(reconcile_env: ReconcileEnv) -> None:
    _, charge = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.send()
    reconcile_env.checkout_env.stripe.refund(charge, 300)


def a_refund_lost(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.cancelled()
    reconcile_env.send()
    forget(reconcile_env, "key = %s", f"refund:{newest(reconcile_env, 'refund')}")


def a_refund_that_came_back(reconcile_env: ReconcileEnv) -> None:
    _, charge = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.send()
    refund = reconcile_env.checkout_env.stripe.refund(charge, 300)["id"]
    reconcile_env.hear()
    reconcile_env.checkout_env.stripe.fail_refund(refund)


def a_refund_that_stripe_does_not_have(reconcile_env: ReconcileEnv) -> None:
    created, _ = reconcile_env.cancelled()
    reconcile_env.fees_booked()
    reconcile_env.checkout_env.world.owner.execute(
        "UPDATE refunds SET state = 'sent', sent_at = clock_timestamp(), stripe_refund_id = 're_' || id,"
        "       next_attempt_at = NULL WHERE intake_id = %s",
        [created.session_id],
    )
    reconcile_env.checkout_env.world.owner.execute(
        "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)"
        " SELECT 'refund:re_' || id, 'session:' || intake_id || ':held', 'stripe', amount_cents, 'usd', 'refund',"
        "        intake_id FROM refunds WHERE intake_id = %s",
        [created.session_id],
    )


def a_transfer_lost(reconcile_env: ReconcileEnv) -> None:
    transfer = sent(reconcile_env)
    query = "SELECT id FROM payouts WHERE stripe_transfer_id = %s"
    forget(reconcile_env, "key = %s", f"payout:{reconcile_env.checkout_env.one(query, transfer)}:transfer")


def a_transfer_not_noted(reconcile_env: ReconcileEnv) -> None:
    """As after a restored backup: the payout is due, and was sent."""
    created, charge = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.fees_booked()
    payout = reconcile_env.checkout_env.world.owner.execute(
        "SELECT p.id::text AS id, p.amount_cents, a.stripe_account_id FROM payouts p"
        "  JOIN mechanic_accounts a ON a.mechanic_id = p.mechanic_id WHERE p.session_id = %s",
        [created.session_id],
    ).fetchone()
    assert payout is not None
    reconcile_env.client.v1.transfers.create(
        params={
            "amount": payout["amount_cents"],
            "currency": "usd",
            "destination": payout["stripe_account_id"],
            "transfer_group": payout["id"],
            "source_transaction": charge,
        }
    )


def two_transfers_for_one_payout(reconcile_env: ReconcileEnv) -> None:
    first = reconcile_env.client.v1.transfers.retrieve(sent(reconcile_env))
    reconcile_env.client.v1.transfers.create(
        params={
            "amount": first.amount,
            "currency": "usd",
            "destination": str(first.destination),
            "transfer_group": first.transfer_group or "",
            "metadata": {"payoutId": first.transfer_group or ""},
        }
    )


def a_netting_lost(reconcile_env: ReconcileEnv) -> None:
    mechanic = reconcile_env.mechanic()
    created, _ = reconcile_env.earned(mechanic)
    reconcile_env.send()
    reconcile_env.checkout_env.stripe.refund(reconcile_env.payout_env.intent(created), 300)
    reconcile_env.hear()
    agree(reconcile_env.checkout_env.world.app, mechanic.user_id, NettingRequest(agreed=True))
    reconcile_env.earned(mechanic)
    reconcile_env.send()
    forget(reconcile_env, "kind = 'netting'")


def a_transfer_of_no_payout(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.client.v1.transfers.create(
        params={
            "amount": 100,
            "currency": "usd",
            "destination": reconcile_env.payout_env.account(reconcile_env.mechanic())["stripe_account_id"],
        }
    )


def a_transfer_that_stripe_does_not_have(reconcile_env: ReconcileEnv) -> None:
    created, _ = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.fees_booked()
    owner = reconcile_env.checkout_env.world.owner
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


def a_transfer_that_only_its_payout_has(reconcile_env: ReconcileEnv) -> None:
    created, _ = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.fees_booked()
    reconcile_env.checkout_env.world.owner.execute(
        "UPDATE payouts SET state = 'sent', sent_at = clock_timestamp(), stripe_transfer_id = 'tr_' || id,"
        "       next_attempt_at = NULL WHERE session_id = %s",
        [created.session_id],
    )


def a_reversal_nobody_heard_of(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.checkout_env.stripe.reverse(sent(reconcile_env), 100)


def a_reversal_lost(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.checkout_env.stripe.reverse(sent(reconcile_env), 100)
    reconcile_env.hear()
    forget(reconcile_env, "key = %s", f"reversal:{newest(reconcile_env, 'transfer_reversal')}")


def a_dispute_nobody_heard_of(reconcile_env: ReconcileEnv) -> None:
    _, charge = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.send()
    reconcile_env.checkout_env.stripe.open_dispute(charge)


def a_dispute_that_was_won(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.checkout_env.stripe.close_dispute(disputed(reconcile_env), won=True)


def a_dispute_that_was_lost(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.checkout_env.stripe.close_dispute(disputed(reconcile_env), won=False)


def a_fee_not_booked(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.paid()


def a_fee_of_another_amount(reconcile_env: ReconcileEnv) -> None:
    _, created, _ = reconcile_env.paid()
    reconcile_env.fees_booked()
    falsify(reconcile_env, "kind = 'fee' AND intake_id = %s", created.session_id)


def a_fee_that_stripe_does_not_have(reconcile_env: ReconcileEnv) -> None:
    reconcile_env.checkout_env.world.owner.execute(
        "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
        " VALUES ('fee:txn_0', 'stripe_fees', 'stripe', 30, 'usd', 'fee')"
    )


def a_settlement_that_pays_too_much(reconcile_env: ReconcileEnv) -> None:
    created, _ = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.fees_booked()
    with reconcile_env.checkout_env.world.without_triggers() as books:
        books.execute(
            "UPDATE intakes SET mechanic_share_bp = mechanic_share_bp - 1000 WHERE id = %s", [created.session_id]
        )


def money_held_after_settlement(reconcile_env: ReconcileEnv) -> None:
    created, _ = reconcile_env.earned(reconcile_env.mechanic())
    reconcile_env.fees_booked()
    forget(reconcile_env, "key = %s", f"session:{created.session_id}:platform_share")


def money_held_though_it_was_paid_back(reconcile_env: ReconcileEnv) -> None:
    """For a payment whose customer had another session by then."""
    customer = new_id()
    page = reconcile_env.opened(customer)
    reconcile_env.checkout_env.world.queued(customer)
    reconcile_env.checkout_env.stripe.pay(page)
    reconcile_env.hear()
    reconcile_env.send()
    falsify(reconcile_env, "key = %s", f"refund:{newest(reconcile_env, 'refund')}")


def a_payable_below_zero(reconcile_env: ReconcileEnv) -> None:
    sent(reconcile_env)
    forget(reconcile_env, "id = (SELECT max(id::text)::uuid FROM ledger_transfer WHERE kind = 'earning')")
