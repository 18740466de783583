"""At rest: every session's money is where its outcome requires, once, and the ledger equals Stripe's books.

Stripe's state is read from the stand-in's own objects, by Stripe's ids and by ours in its metadata; the expected state
is computed from sessions and prices, not from our rows of payouts and refunds.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, LiteralString
from uuid import UUID

import stripe

from autodoctor.db import Row
from autodoctor.payments.reconcile import reconcile
from support.chaos.chaos_env import ChaosEnv
from support.invariants.sessions import violations

ESCALATION_BP: Final = 500
# An extension is an intake of its own: it was completed if its talk was, and went on into its minutes.
_INTAKES: Final[LiteralString] = """
SELECT i.id, i.funding, i.price_cents, i.credits, i.mechanic_share_bp, i.mechanic_fixed_pay_cents, i.referral_bp,
       x.id IS NOT NULL AS is_extension, s.mechanic_id, i.referrer_id, coalesce(c.status, 'none') AS checkout,
       CASE WHEN x.id IS NULL OR x.status <> 'running' AND i.funding = 'credit' THEN s.status
            WHEN x.status = 'running' AND s.status = 'completed' AND s.ended_at >= s.started_at
                   + make_interval(mins => x.starts_after, secs => s.min_billable_seconds) THEN 'completed'
            WHEN s.ended_at IS NOT NULL THEN 'cancelled' END AS status,
       c.stripe_payment_intent_id AS intent, coalesce(x.session_id, i.id) AS session_id,
       d.cents AS back_cents, d.credits AS back_credits,
       (SELECT q.amount_cents FROM quotes q WHERE q.session_id = i.id AND q.status = 'approved') AS quote_cents,
       (SELECT jsonb_object_agg(p.kind, p.id) FROM payouts p WHERE p.intake_id = i.id) AS payouts
  FROM intakes i LEFT JOIN session_extensions x ON x.id = i.id
  LEFT JOIN sessions s ON s.id = coalesce(x.session_id, i.id)
  LEFT JOIN checkouts c ON c.intake_id = i.id LEFT JOIN contest_parts d ON d.intake_id = i.id
"""
_CONTESTS: Final[LiteralString] = "SELECT session_id, outcome, refund_cents, refund_credits FROM contests"
_EVIDENCE: Final[LiteralString] = """
SELECT dispute_id, state, sends, texts, staged_version IS NOT DISTINCT FROM version AS is_staged FROM dispute_evidence
"""
_ACCOUNTS: Final[LiteralString] = """
SELECT account, currency, sum(amount)::bigint AS balance
  FROM (SELECT credit_account AS account, currency, amount FROM ledger_transfer
        UNION ALL SELECT debit_account, currency, -amount FROM ledger_transfer) AS side
 GROUP BY account, currency
"""
# What came to or left Stripe, by what the key says it stands for.
_FLOWS: Final[LiteralString] = """
SELECT CASE split_part(key, ':', 1) WHEN 'session' THEN 'charges' WHEN 'pack' THEN 'charges'
            WHEN 'refund' THEN 'refunds' WHEN 'payout' THEN 'transfers' WHEN 'reversal' THEN 'reversals'
            WHEN 'fee' THEN 'fees' WHEN 'dispute' THEN 'disputes' ELSE key END AS flow,
       abs(sum(CASE WHEN debit_account = 'stripe' THEN amount ELSE -amount END))::bigint AS cents
  FROM ledger_transfer WHERE 'stripe' IN (debit_account, credit_account) GROUP BY flow
"""
_CREDITS: Final[LiteralString] = """
SELECT (SELECT coalesce(sum(refund_credits), 0)::bigint FROM contests) AS contested,
       (SELECT coalesce(sum(credits), 0)::bigint FROM checkouts WHERE kind = 'pack' AND status = 'paid') AS bought,
       (SELECT coalesce(sum(amount), 0)::bigint FROM ledger_transfer WHERE kind = 'credit_withdrawal') AS withdrawn
"""


@dataclass
class Payment:
    """Stripe's amounts of one PaymentIntent, in cents."""

    came: int = 0
    by_us: list[int] = field(default_factory=list)
    by_hand: int = 0
    lost: int = 0
    disputed: bool = False

    @property
    def touched(self) -> bool:
        """Whether anybody but us had a hand in it."""
        return bool(self.by_hand) or self.disputed

    @property
    def gone(self) -> int:
        """The amount that went back to the customer."""
        return sum(self.by_us) + self.by_hand + self.lost


class Audit:
    """The findings; `coverage` counts the ends of sessions and their payments."""

    def __init__(self, env: ChaosEnv) -> None:
        self._world = env
        self.coverage = Counter[str]()
        self._spent = 0
        self._by_us = defaultdict[UUID, list[tuple[Payment, Row]]](list)
        self._transfers = env.stripe.objects("transfer")
        self._payments = _payments(env)
        self._accounts = {
            row["mechanic_id"]: row["stripe_account_id"] for row in env.by_hand("SELECT * FROM mechanic_accounts")
        }
        self._ledger = {(row["account"], row["currency"]): row["balance"] for row in env.by_hand(_ACCOUNTS)}

    def findings(self) -> list[str]:
        """Say everything that is wrong; nothing ever should be."""
        return [
            *violations(self._world.world.owner),
            *self._world.stripe.ask("imbalances"),
            *self._sessions(),
            *self._contests(),
            *self._evidence(),
            *self._books(),
            *self._ends(),
            *self._credits(),
            *self._events(),
            *self._reconciled(),
        ]

    def _sessions(self) -> Iterator[str]:
        """Each session by itself: paid once or returned once, never both."""
        by_payout = defaultdict[str, list[Row]](list)
        for each in self._transfers:
            by_payout[each["transfer_group"]].append(each)
        for intake in self._world.by_hand(_INTAKES):
            kind = "extension " if intake["is_extension"] else ""
            self.coverage[f"{kind}{intake['funding']} {intake['status'] or intake['checkout']}"] += 1
            self._spent += intake["credits"] * (intake["funding"] == "credit" and intake["status"] == "completed")
            self.coverage.update(f"sent as {kind}" for kind in intake["payouts"] or {})
            payouts: dict[str, str] = intake["payouts"] or {}
            sent = {kind: by_payout.pop(payout_id, []) for kind, payout_id in payouts.items()}
            payment = self._payments.get(intake["intent"] or "", Payment())
            self._by_us[intake["session_id"]].append((payment, intake))
            yield from self._judged(intake, payment, {kind: made for kind, made in sent.items() if made})
        yield from (f"transfers of nobody's payout: {each}" for each in by_payout.values())

    def _judged(self, intake: Row, payment: Payment, sent: dict[str, list[Row]]) -> Iterator[str]:
        who, owed = f"intake {intake['id']} ({intake['funding']} {intake['status']})", self._owed(intake)
        paid = intake["price_cents"] if intake["checkout"] in ("paid", "unfulfillable") else 0
        completed = intake["status"] == "completed"
        if payment.came != paid:
            yield f"{who}: {payment.came} came, {paid} was paid"
        if not completed and payment.gone != paid:
            yield f"{who}: {payment} went back, not {paid}"
        part = (intake["back_cents"] or 0) if completed else payment.came
        if (completed and sum(payment.by_us) > part) or (not payment.touched and sum(payment.by_us) != part):
            yield f"{who}: we refunded {payment.by_us}, to go back are {part}"
        if len(payment.by_us) > 1 or payment.gone > payment.came:
            yield f"{who}: {payment}"
        made = {kind: [(each["amount"], each["destination"]) for each in all_] for kind, all_ in sent.items()}
        if not payment.touched and made not in (owed, self._reduced(intake, owed)):
            yield f"{who}: sent {made}, not {owed}"
        if payment.touched:
            self.coverage[f"{intake['funding']} {intake['status'] or intake['checkout']} and then touched"] += 1
            for kind, each in made.items():
                if kind not in owed or len(each) > 1 or each[0][0] > owed[kind][0][0]:
                    yield f"{who}: sent {made}, of {owed}"

    def _owed(self, intake: Row) -> dict[str, list[tuple[int, str]]]:
        """The transfers (cents, account) that a session's outcome requires, by the payout's kind."""
        if intake["status"] != "completed":
            return {}
        earned = intake["mechanic_fixed_pay_cents"]
        if intake["funding"] != "free":
            earned = _share(intake["price_cents"], intake["mechanic_share_bp"])
        mechanic = self._accounts[intake["mechanic_id"]]
        owed = {"extension" if intake["is_extension"] else "session": [(earned, mechanic)]}
        if intake["referrer_id"] is not None and intake["funding"] != "free":
            referral = min(_share(intake["price_cents"], intake["referral_bp"]), intake["price_cents"] - earned)
            owed["referral"] = [(referral, self._accounts[intake["referrer_id"]])]
        if intake["quote_cents"] is not None and (fee := _share(intake["quote_cents"], ESCALATION_BP)):
            owed["escalation"] = [(fee, mechanic)]
        return owed

    def _reduced(self, intake: Row, owed: dict[str, list[tuple[int, str]]]) -> dict[str, list[tuple[int, str]]]:
        """The same where a contest took the mechanic's part back before it was sent; else that part is a debt."""
        back = intake["back_cents"] or 0
        if intake["back_credits"]:
            back = _part(intake["price_cents"], intake["back_credits"], intake["credits"])
        made: dict[str, list[tuple[int, str]]] = {}
        for kind, ((cents, account), *_) in owed.items():
            own = kind in ("session", "extension") and back > 0
            left = cents - _part(cents, back, intake["price_cents"]) if own else cents
            made |= {kind: [(left, account)]} if left else {}
        return made

    def _contests(self) -> Iterator[str]:
        """What we gave back of a contested session, over all its payments, is what was decided."""
        for contest in self._world.by_hand(_CONTESTS):
            self.coverage[f"contested: {contest['outcome']}"] += 1
            paid = [each for each in self._by_us[contest["session_id"]] if each[1]["status"] == "completed"]
            back = sum(sum(payment.by_us) for payment, _ in paid)
            credits_ = sum(intake["back_credits"] or 0 for _, intake in paid)
            if credits_ != (contest["refund_credits"] or 0):
                yield f"contest of {contest['session_id']}: {credits_} credits back, decided {contest}"
            if not any(payment.touched for payment, _ in paid) and back != (contest["refund_cents"] or 0):
                yield f"contest of {contest['session_id']}: {back} cents back, decided {contest}"

    def _evidence(self) -> Iterator[str]:
        """What is staged of a dispute is at Stripe, word for word, and nobody has sent it."""
        theirs = {each["id"]: each for each in self._world.stripe.objects("dispute")}
        for row in self._world.by_hand(_EVIDENCE):
            self.coverage[f"evidence {row['state']}{', staged' if row['is_staged'] else ''}"] += 1
            dispute = theirs[row["dispute_id"]]
            texts = {field: dispute["evidence"].get(field) for field in row["texts"]}
            if row["is_staged"] and texts != row["texts"]:
                yield f"evidence of {row['dispute_id']}: {texts} at Stripe, {row['texts']} is ours"
            if dispute["evidence_details"]["submission_count"] or row["sends"]:
                yield f"evidence of {row['dispute_id']} was sent"

    def _books(self) -> Iterator[str]:
        """The ledger's movements at Stripe against Stripe's own, and what is there in the end."""
        books = self._world.stripe.ask("books")
        flows = Counter({row["flow"]: row["cents"] for row in self._world.by_hand(_FLOWS)})
        theirs = {name: books[name][1] for name in ("charges", "refunds", "transfers", "reversals")}
        theirs |= {"fees": books["charge_fees"] + books["dispute_fees"], "disputes": books["disputes_lost"][1]}
        for flow in {*flows, *theirs}:
            yield from _unequal(flow, flows[flow], theirs.get(flow, 0))
        (home,) = [kept for account, kept in books["balances"].items() if account not in self._world.accounts]
        yield from _unequal("balance", -self._ledger.get(("stripe", "usd"), 0), sum(home.get("usd", (0, 0))))

    def _ends(self) -> Iterator[str]:
        """Nothing is on its way any more, and everything sums to zero."""
        for (account, currency), balance in self._ledger.items():
            if balance and (account.startswith("session:") or account.endswith(":payable") or account == "disputed"):
                yield f"{account} still has {balance} {currency}"
        sums = Counter[str]()
        for (_account, currency), balance in self._ledger.items():
            sums[currency] += balance
        yield from (f"{currency} sums to {balance}" for currency, balance in sums.items() if balance)

    def _credits(self) -> Iterator[str]:
        """Nobody is below zero; each credit is with its customer, withdrawn, or spent on what was held and kept."""
        below = [each for each, balance in self._ledger.items() if each[1] == "credit" and balance < 0]
        yield from (f"{each} is below zero" for each in below if each[0] != "credits_issued")
        (row,) = self._world.by_hand(_CREDITS)
        spent = self._ledger.get(("credits_spent", "credit"), 0)
        yield from _unequal("credits spent", spent, self._spent - row["contested"])
        issued = -self._ledger.get(("credits_issued", "credit"), 0)
        yield from _unequal("credits issued", issued, row["bought"] - row["withdrawn"])

    def _events(self) -> Iterator[str]:
        """Every reported event took effect in the same transaction that recorded it."""
        for row in self._world.by_hand("SELECT type, handled_at IS NOT NULL AS handled FROM stripe_events"):
            self.coverage[row["type"]] += 1
            if not row["handled"]:
                yield f"an event {row['type']} was recorded and never handled"

    def _reconciled(self) -> Iterator[str]:
        """The findings of `autodoctor reconcile`."""
        environment = self._world.stripe.ask("environment")
        client = stripe.StripeClient(
            json.loads(environment["STRIPE_SECRETS"])["apiKey"],
            base_addresses={"api": environment["STRIPE_API_BASE"]},
            max_network_retries=2,
        )
        report = reconcile(self._world.world.app, client, grace=timedelta(), fee_grace=timedelta())
        if not report.finished or (self._payments and report.movements == 0):
            yield f"reconcile compared {report.movements} movements, to the end: {report.finished}"
        yield from (f"reconcile: {each}" for each in report.differences)


def _payments(env: ChaosEnv) -> dict[str, Payment]:
    """Stripe's state, by PaymentIntent."""
    found = defaultdict[str, Payment](Payment)
    for each in env.stripe.objects("charge"):
        if each["status"] == "succeeded":
            found[each["payment_intent"]].came += each["amount"]
    for each in env.stripe.objects("refund"):
        if each["status"] == "succeeded":
            payment = found[each["payment_intent"]]
            if "refundId" in each["metadata"]:
                payment.by_us.append(each["amount"])
            else:
                payment.by_hand += each["amount"]
    for each in env.stripe.objects("dispute"):
        payment = found[each["payment_intent"]]
        payment.disputed = True
        payment.lost += each["amount"] if each["status"] == "lost" else 0
    return found


def _share(cents: int, basis_points: int) -> int:
    """Half to even, worked out in another way than domain.money does."""
    return _part(cents, basis_points, 10_000)


def _part(cents: int, part: int, of: int) -> int:
    return int((Decimal(cents * part) / of).quantize(Decimal(1), ROUND_HALF_EVEN))


def _unequal(what: str, ours: Any, theirs: Any) -> Iterator[str]:  # noqa: ANN401 (cents or credits)
    if ours != theirs:
        yield f"{what}: {ours} in the ledger, {theirs} at Stripe"
