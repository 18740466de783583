"""Ways to corrupt the money of a database, check by check: settlements, payouts, refunds, ledger, inbox.

As in corruptions.py.
"""

from typing import Final

_A_DAY_AGO: Final = "clock_timestamp() - interval '1 day'"
_KINDS: Final = ("pack_sale", "credit_issue", "charge", "refund", "transfer", "reversal", "earning", "dispute_lost")
"""Flows one of whose rows is booked a second time, under a key of nothing."""

RECEIPTS: Final[dict[str, list[tuple[str, ...]]]] = {
    "receipt_missing": [
        ("DELETE FROM receipt_lines WHERE receipt_id = (SELECT id FROM receipts WHERE kind = 'receipt' LIMIT 1)",),
        ("DELETE FROM receipt_lines WHERE receipt_id = (SELECT id FROM receipts WHERE kind = 'credit_note' LIMIT 1)",),
    ],
    "receipt_differs": [
        ("UPDATE receipts SET amount = amount + 1 WHERE intake_id = '{completed by card}'",),
        ("UPDATE receipts SET user_id = new_id() WHERE intake_id = '{completed by card}'",),
        ("UPDATE receipts SET corrects_id = NULL WHERE kind = 'credit_note'",),
        ("UPDATE receipt_lines SET amount = amount + 1",),
    ],
    "receipt_numbers": [
        ("UPDATE receipts SET sequence = sequence + 1 WHERE sequence > 3",),
        ("UPDATE receipt_numbers SET last = last - 1",),
    ],
}

MONEY: Final[dict[str, list[tuple[str, ...]]]] = {
    **RECEIPTS,
    "late_payment_kept": [
        (
            (
                "UPDATE checkouts SET status = 'processing', late_since = clock_timestamp() - interval '26 hours'"
                " WHERE intake_id = '{completed by card}'"
            ),
        ),
    ],
    "extension_minutes": [
        ("UPDATE session_extensions SET starts_after = 31 WHERE session_id = '{extended}'",),
        (
            (
                "DELETE FROM ledger_transfer"
                " WHERE key IN (SELECT 'session:' || id || ':credit_hold' FROM session_extensions)"
            ),
        ),
        ("UPDATE session_extensions SET price_cents = 1 WHERE session_id = '{extended}'",),
        (
            (
                "UPDATE session_extensions SET status = 'agreed', began_at = NULL, starts_after = NULL"
                " WHERE id = (SELECT min(id::text)::uuid FROM session_extensions WHERE session_id = '{extended}')"
            ),
        ),
    ],
    "extension_settled": [
        ("DELETE FROM extension_settlements WHERE outcome = 'pay'",),
        ("UPDATE extension_settlements SET outcome = 'return'",),
        ("UPDATE payouts SET amount_cents = amount_cents + 1 WHERE kind = 'extension'",),
        (
            (
                "INSERT INTO refunds (intake_id, kind, amount_cents)"
                " SELECT id, 'extension', price_cents FROM session_extensions WHERE session_id = '{extended}'"
            ),
        ),
        (
            (
                "DELETE FROM ledger_transfer WHERE kind = 'credit_return'"
                " AND intake_id IN (SELECT id FROM session_extensions)"
            ),
        ),
    ],
    "settlement_missing": [("DELETE FROM settlements_due WHERE session_id = '{just ended}'",)],
    "settlement_late": [(f"UPDATE settlements_due SET ended_at = {_A_DAY_AGO}",)],
    "due_wrongly": [
        ("INSERT INTO settlements_due (session_id) VALUES ('{completed by card}')",),
        ("INSERT INTO settlements_due (session_id) VALUES ('{live}')",),
    ],
    "settled_otherwise": [
        ("UPDATE settlements SET outcome = 'refund' WHERE session_id = '{completed by card}'",),
        ("INSERT INTO settlements (session_id, outcome, facts) VALUES ('{bought}', 'pay', '{{}}')",),
    ],
    "payout_differs": [
        ("DELETE FROM payouts WHERE session_id = '{completed by card}'",),
        ("UPDATE payouts SET amount_cents = amount_cents + 1 WHERE session_id = '{completed by card}'",),
        ("UPDATE payouts SET mechanic_id = new_id() WHERE session_id = '{completed by card}'",),
        (
            "DROP INDEX payouts_once",
            (
                "INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents)"
                " SELECT session_id, mechanic_id, kind, 1 FROM payouts WHERE session_id = '{completed by card}'"
            ),
        ),
    ],
    "referral_differs": [
        ("DELETE FROM payouts WHERE session_id = '{completed by credits, referred}' AND kind = 'referral'",),
    ],
    "escalation_differs": [
        ("UPDATE payouts SET amount_cents = 1 WHERE session_id = '{escalated}' AND kind = 'escalation'",),
    ],
    "refund_differs": [
        ("DELETE FROM refunds WHERE intake_id = '{cancelled by card}'",),
        ("UPDATE refunds SET amount_cents = 1 WHERE intake_id = '{cancelled by card}'",),
    ],
    "paid_and_refunded": [
        ("INSERT INTO refunds (intake_id, kind, amount_cents) VALUES ('{completed by card}', 'unfulfillable', 999)",),
    ],
    "contest_differs": [
        ("DELETE FROM refunds WHERE kind = 'contest'",),
        ("UPDATE refunds SET amount_cents = amount_cents - 1 WHERE kind = 'contest'",),
        ("DELETE FROM ledger_transfer WHERE kind = 'contest' AND currency = 'credit'",),
        ("UPDATE ledger_transfer SET amount = amount + 1 WHERE kind = 'contest' AND key LIKE '%:platform'",),
        ("DELETE FROM refunds WHERE kind = 'contest' AND intake_id <> '{contested with minutes}'",),
        ("DELETE FROM ledger_transfer WHERE key = 'contest:{contested by credits}:mechanic'",),
    ],
    "contest_divided": [
        ("UPDATE contests SET outcome = 'keep', refund_cents = NULL WHERE session_id = '{contested by card}'",),
        ("UPDATE contests SET outcome = 'all' WHERE session_id = '{contested with minutes}'",),
        ("UPDATE contests SET outcome = 'part' WHERE session_id = '{contested by credits}'",),
        ("DELETE FROM contest_parts WHERE credits IS NOT NULL",),
        ("DELETE FROM contest_parts WHERE intake_id = '{contested with minutes}'",),
        (
            (
                "UPDATE contest_parts SET cents = cents + CASE intake_id WHEN session_id THEN 300 ELSE -300 END"
                " WHERE session_id = '{contested with minutes}'"
            ),
        ),
        ("UPDATE contest_parts SET intake_id = '{kept}' WHERE intake_id = '{contested by card}'",),
    ],
    "contest_unheld": [
        ("UPDATE payout_holds SET released_at = now() WHERE reason = 'contest'",),
        ("UPDATE contests SET outcome = NULL WHERE session_id = '{kept}'",),
    ],
    "contest_waits": [("UPDATE contests SET contested_at = now() - interval '8 days' WHERE outcome IS NULL",)],
    "credits_differ": [
        ("DELETE FROM ledger_transfer WHERE intake_id = '{cancelled by credits}' AND kind = 'credit_return'",),
        ("DELETE FROM ledger_transfer WHERE intake_id = '{just ended}' AND kind = 'credit_hold'",),
    ],
    "held_differs": [
        (
            (
                "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)"
                " VALUES ('x', 'session:{bought}:held', 'stripe', 5000, 'usd', 'refund', '{bought}')"
            ),
        ),
    ],
    "shares_differ": [
        (
            (
                "DELETE FROM ledger_transfer"
                " WHERE kind = 'platform_share' AND intake_id = '{completed by credits, referred}'"
            ),
        ),
        (
            (
                "UPDATE ledger_transfer SET amount = amount + 1"
                " WHERE kind = 'earning' AND intake_id = '{completed by card}'"
            ),
        ),
    ],
    "money_given_up": [
        ("UPDATE payouts SET state = 'failed' WHERE session_id = '{completed by card, not sent}'",),
        ("UPDATE payouts SET withheld_cents = withheld_cents - 1 WHERE state = 'reversed'",),
    ],
    "money_stranded": [
        (
            (
                f"UPDATE payouts SET state = 'sending', next_attempt_at = {_A_DAY_AGO}"
                " WHERE session_id = '{completed by card, not sent}'"
            ),
        ),
        (f"UPDATE payouts SET next_attempt_at = {_A_DAY_AGO} WHERE state = 'due'",),
        (f"UPDATE payouts SET next_attempt_at = {_A_DAY_AGO} WHERE state = 'held'",),
        ("UPDATE payouts SET next_attempt_at = NULL WHERE state = 'due'",),
        (f"UPDATE refunds SET state = 'due', next_attempt_at = {_A_DAY_AGO}",),
        (f"UPDATE refunds SET state = 'held', next_attempt_at = {_A_DAY_AGO}",),
        (f"UPDATE payout_reversals SET state = 'due', next_attempt_at = {_A_DAY_AGO}",),
    ],
    "hold_overlooked": [
        ("INSERT INTO payout_holds (payout_id, reason) SELECT id, 'operator' FROM payouts WHERE state = 'due'",),
        (
            (
                "UPDATE payouts SET state = 'held', waits_for = 'release', next_attempt_at = NULL"
                " WHERE session_id = '{completed by card, not sent}'"
            ),
        ),
        (
            (
                "UPDATE mechanics SET status = 'suspended' WHERE id = (SELECT mechanic_id FROM payouts"
                " WHERE session_id = '{completed by card, not sent}')"
            ),
        ),
    ],
    "evidence_not_staged": [
        (f"UPDATE stripe_disputes SET created_at = {_A_DAY_AGO}", "DELETE FROM dispute_evidence"),
        (f"UPDATE stripe_disputes SET created_at = {_A_DAY_AGO}", "UPDATE dispute_evidence SET state = 'failed'"),
    ],
    "evidence_not_sent": [("UPDATE dispute_evidence SET due_by = clock_timestamp()",)],
    "evidence_sent_twice": [("UPDATE dispute_evidence SET submission_count = 2",)],
    "evidence_keeps_erased": [("UPDATE customers SET erased_at = clock_timestamp()",)],
    "disputed_remains": [
        (
            f"UPDATE stripe_disputes SET updated_at = {_A_DAY_AGO}",
            "DELETE FROM ledger_transfer WHERE key LIKE 'dispute:%:lost%' AND credit_account = 'disputed'",
        ),
    ],
    "loss_unbooked": [
        (f"UPDATE stripe_refunds SET booked = 'nothing', created_at = {_A_DAY_AGO} WHERE amount_cents = 300",),
    ],
    # --- ledger
    "ledger_row": [
        ("UPDATE ledger_transfer SET amount = -1 WHERE kind = 'platform_share'",),
        ("UPDATE ledger_transfer SET credit_account = debit_account WHERE kind = 'platform_share'",),
        ("UPDATE ledger_transfer SET credit_account = 'eve' WHERE kind = 'platform_share'",),
        ("UPDATE ledger_transfer SET credit_account = 'credits_spent' WHERE kind = 'platform_share'",),
    ],
    "ledger_whose": [
        ("UPDATE ledger_transfer SET intake_id = '{queued}' WHERE kind = 'earning'",),
        ("UPDATE ledger_transfer SET credit_account = 'mechanic:{queued}:payable' WHERE kind = 'earning'",),
    ],
    "credits_unlike_ledger": [("UPDATE credit_balances SET balance = balance + 1",)],
    "credits_unknown": [("DELETE FROM credit_balances",)],
    "payable_differs": [
        ("DELETE FROM ledger_transfer WHERE kind = 'earning' AND intake_id = '{completed by card, not sent}'",),
    ],
    "sent_unlike_ledger": [
        ("DELETE FROM ledger_transfer WHERE kind = 'transfer'",),
        ("UPDATE payouts SET stripe_transfer_id = NULL WHERE state = 'sent'",),
        ("UPDATE payouts SET sent_at = NULL WHERE state = 'sent'",),
    ],
    "netting_differs": [
        ("UPDATE payouts SET netted_cents = netted_cents - 1 WHERE netted_cents > 0",),
        ("DELETE FROM ledger_transfer WHERE kind = 'netting'",),
        ("UPDATE payouts SET amount_cents = amount_cents + 1 WHERE kind = 'returned'",),
        ("DELETE FROM payouts WHERE kind = 'returned'",),
    ],
    "netting_not_agreed": [
        ("DELETE FROM netting_consents",),
        ("UPDATE netting_consents SET withdrawn_at = agreed_at",),
        ("UPDATE ledger_transfer SET amount = amount + 1 WHERE kind = 'netting'",),
    ],
    "refunded_unlike_ledger": [
        (
            "DELETE FROM ledger_transfer WHERE kind = 'refund' AND intake_id = '{cancelled by card}'",
            (
                "DELETE FROM stripe_refunds WHERE id = (SELECT stripe_refund_id FROM refunds"
                " WHERE intake_id = '{cancelled by card}')"
            ),
        ),
        ("UPDATE refunds SET stripe_refund_id = NULL WHERE state = 'sent'",),
        ("UPDATE refunds SET sent_at = NULL WHERE state = 'sent'",),
        ("UPDATE stripe_refunds SET amount_cents = amount_cents - 1",),
    ],
    "loss_unlike_ledger": [
        ("DELETE FROM ledger_transfer WHERE kind = 'refund' AND intake_id = '{cancelled by card}'",),
        ("DELETE FROM ledger_transfer WHERE key LIKE 'refund:%:platform'",),
        ("DELETE FROM ledger_transfer WHERE key LIKE 'dispute:%:lost%' AND credit_account = 'disputed'",),
        ("UPDATE stripe_disputes SET booked = 'nothing' WHERE booked = 'split'",),
    ],
    "reversed_unlike_ledger": [
        ("DELETE FROM ledger_transfer WHERE key LIKE 'reversal:%'",),
        ("UPDATE payouts SET reversed_cents = 0 WHERE reversed_cents > 0",),
        ("UPDATE payout_reversals SET done_at = NULL WHERE state = 'done'",),
        ("UPDATE payout_reversals SET booking = booking + 1",),
    ],
    "ledger_origin": [
        (
            (
                "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
                " VALUES ('pack:00000000-0000-4000-8000-000000000000:sale', 'stripe', 'credit_sales', 99999, 'usd',"
                " 'pack_sale')"
            ),
        ),
        *(
            (
                (
                    "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind,"
                    " intake_id) SELECT key || ':2', debit_account, credit_account, amount, currency, kind, intake_id"
                    f" FROM ledger_transfer WHERE kind = '{kind}' LIMIT 1"
                ),
            )
            for kind in _KINDS
        ),
        ("DELETE FROM checkouts WHERE kind = 'pack'",),
        ("DELETE FROM stripe_refunds",),
        ("DELETE FROM stripe_disputes",),
        ("DELETE FROM payouts WHERE session_id = '{completed by card}'",),
        ("DELETE FROM settlements WHERE session_id = '{completed by card}'",),
        ("UPDATE ledger_transfer SET kind = 'fee' WHERE kind = 'transfer'",),
    ],
    "ledger_flow": [
        *(
            (
                (
                    "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
                    f" SELECT 'refund:' || r.id || '{part}', 'credits_issued', 'customer:' || b.user_id || ':credits',"
                    f" 1000, 'credit', '{kind}' FROM stripe_refunds r, credit_balances b LIMIT 1"
                ),
            )
            for part, kind in (
                (":repaid:00000000-0000-4000-8000-000000000000:credits", "credit_withdrawal"),
                (":9:credits:undone", "correction"),
            )
        ),
        (
            (
                "UPDATE ledger_transfer SET debit_account = credit_account, credit_account = debit_account"
                " WHERE kind = 'earning'"
            ),
        ),
    ],
    "credits_unlike_loss": [
        *(
            (
                (
                    "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
                    f" SELECT key, {accounts}, 1, '{currency}', '{kind}'"
                    " FROM (SELECT 'refund:' || split_part(key, ':', 2)"
                    f" || ':repaid:00000000-0000-4000-8000-000000000000{part}' AS key,"
                    " split_part(debit_account, ':', 2) AS owner FROM ledger_transfer"
                    " WHERE key ~ '^refund:' AND debit_account ~ '^customer:.*:receivable$' LIMIT 1) AS loss,"
                    " (SELECT user_id AS other FROM credit_balances WHERE balance > 0 LIMIT 1) AS victim"
                ),
            )
            for accounts, currency, kind, part in (
                ("'customer:' || other || ':credits', 'credits_issued'", "credit", "credit_withdrawal", ":credits"),
                ("'customer:' || owner || ':credits', 'credits_issued'", "credit", "credit_withdrawal", ":credits"),
                ("'credit_sales', 'customer:' || other || ':receivable'", "usd", "receivable", ""),
            )
        ),
        (
            (
                "UPDATE ledger_transfer SET amount = amount + 50 WHERE key ~ '^refund:[^:]*:receivable$'"
                " AND debit_account ~ '^customer:'"
            ),
        ),
        (
            (
                "UPDATE ledger_transfer SET amount = amount + 50 WHERE key ~ '^refund:[^:]*:repaid:'"
                " AND credit_account ~ '^customer:'"
            ),
        ),
        (
            (
                "UPDATE stripe_refunds SET booked = 'reversed' WHERE id IN (SELECT split_part(key, ':', 2)"
                " FROM ledger_transfer WHERE key ~ '^refund:' AND debit_account ~ '^customer:.*:receivable$')"
            ),
        ),
    ],
    # --- inbox
    "charge_differs": [
        ("DELETE FROM ledger_transfer WHERE kind = 'charge' AND intake_id = '{bought}'",),
        (
            (
                "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)"
                " VALUES ('x', 'stripe', 'session:{bought}:held', 999, 'usd', 'charge', '{bought}')"
            ),
        ),
    ],
    "payment_without_effect": [
        ("DELETE FROM ledger_transfer WHERE kind = 'pack_sale'",),
        ("DELETE FROM sessions WHERE id = '{bought}'",),
    ],
    "effect_twice": [
        ("UPDATE checkouts SET stripe_payment_intent_id = 'pi_1' WHERE status = 'paid'",),
        ("UPDATE checkouts SET status = 'expired' WHERE intake_id = '{bought}'",),
    ],
    "event_unhandled": [("UPDATE stripe_events SET handled_at = NULL, outcome = NULL",)],
}
