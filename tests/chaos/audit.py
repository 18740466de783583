"""At rest: every session's money is where its outcome says, once, and the ledger is what Stripe's books are.

What Stripe has is read from the stand-in's own objects, by Stripe's ids and by ours in its metadata; what should be
there is worked out from sessions and prices, not from our rows of payouts and refunds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, LiteralString

from autodoctor.db import Row
from chaos.world import World
from integration.invariants import violations

_INTAKES: Final[LiteralString] = """
SELECT i.id, i.funding, i.price_cents, i.credits, i.mechanic_share_bp, i.mechanic_fixed_pay_cents,
       s.status, s.mechanic_id, a.stripe_account_id, p.id AS payout_id,
       c.status AS checkout, c.stripe_payment_intent_id AS intent
  FROM intakes i
  LEFT JOIN sessions s ON s.id = i.id
  LEFT JOIN mechanic_accounts a ON a.mechanic_id = s.mechanic_id
  LEFT JOIN checkouts c ON c.intake_id = i.id
  LEFT JOIN payouts p ON p.session_id = i.id AND p.kind = 'session'
"""
_ACCOUNTS: Final[LiteralString] = """
SELECT account, currency, sum(amount)::bigint AS balance
  FROM (SELECT credit_account AS account, currency, amount FROM ledger_transfer
        UNION ALL SELECT debit_account, currency, -amount FROM ledger_transfer) AS side
 GROUP BY account, currency
"""
_EVENTS: Final[LiteralString] = """
SELECT id, type, handled_at IS NOT NULL AS handled FROM stripe_events
"""


class Audit:
    """What is found; `coverage` counts how every session ended and was paid for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.coverage = Counter[str]()
        objects = world.stripe.objects
        self._charges = [each for each in objects("charge") if each["status"] == "succeeded"]
        self._refunds = [each for each in objects("refund") if each["status"] == "succeeded"]
        self._transfers = objects("transfer")
        self._reversals = objects("transfer_reversal")
        self._ledger = {(row["account"], row["currency"]): row["balance"] for row in world.by_hand(_ACCOUNTS)}

    def findings(self) -> list[str]:
        """Say everything that is wrong; nothing ever should be."""
        return [
            *violations(self._world.stage.owner),
            *self._world.stripe.ask("imbalances"),
            *self._sessions(),
            *self._books(),
            *self._credits(),
            *self._events(),
        ]

    def _sessions(self) -> Iterator[str]:
        """Each session by itself: paid once or returned once, never both."""
        transfers, refunds = defaultdict[str, list[Any]](list), defaultdict[str, list[Any]](list)
        for each in self._transfers:
            transfers[each["transfer_group"]].append(each)
        for each in self._refunds:
            refunds[each["payment_intent"]].append(each)
        charges = Counter(each["payment_intent"] for each in self._charges)
        for intake in self._world.by_hand(_INTAKES):
            self.coverage[f"{intake['funding']} {intake['status'] or intake['checkout']}"] += 1
            came = charges[intake["intent"]] if intake["intent"] else 0
            sent = [(each["amount"], each["destination"]) for each in transfers.pop(str(intake["payout_id"]), [])]
            back = [each["amount"] for each in refunds.pop(intake["intent"], [])] if intake["intent"] else []
            was = (came, sent, back)
            if was != (should := _should_be(intake)):
                yield f"intake {intake['id']}: charges, transfers, refunds are {was}, not {should}: {intake}"
        yield from (f"transfers of nobody's payout: {each}" for each in transfers.values())
        yield from (f"refunds of nobody's intake: {each}" for each in refunds.values())

    def _books(self) -> Iterator[str]:
        """The ledger's accounts against Stripe's objects, gross."""
        charged, refunded = _total(self._charges), _total(self._refunds)
        transferred, reversed_ = _total(self._transfers), _total(self._reversals)
        fees = -self._ledger.get(("stripe_fees", "usd"), 0)
        yield from _unequal("stripe", -self._balance("stripe"), charged - refunded - transferred + reversed_ - fees)
        for kinds, total in (
            (("charge", "pack_sale"), charged),
            (("refund", "pack_refund"), refunded),
            (("transfer",), transferred),
            (("reversal",), reversed_),
        ):
            yield from _unequal("+".join(kinds), self._booked(kinds), total)
        for (account, currency), balance in self._ledger.items():
            if account.endswith((":held", ":credits")) and account.startswith("session:") and balance:
                yield f"{account} still has {balance} {currency}"
            if account.endswith(":payable") and balance:
                yield f"{account} still has {balance}"
        sums = Counter[str]()
        for (_account, currency), balance in self._ledger.items():
            sums[currency] += balance
        yield from (f"{currency} sums to {balance}" for currency, balance in sums.items() if balance)

    def _credits(self) -> Iterator[str]:
        """Nobody is below zero, and every credit is with its customer or was spent on a completed session."""
        below = [each for each, balance in self._ledger.items() if each[1] == "credit" and balance < 0]
        yield from (f"{each} is below zero" for each in below if each[0] != "credits_issued")
        (spent,) = self._world.by_hand(
            "SELECT coalesce(sum(i.credits), 0)::bigint AS credits FROM sessions s JOIN intakes i ON i.id = s.id"
            " WHERE s.status = 'completed' AND i.funding = 'credit'"
        )
        yield from _unequal("credits spent", self._ledger.get(("credits_spent", "credit"), 0), spent["credits"])
        (bought,) = self._world.by_hand(
            "SELECT coalesce(sum(credits), 0)::bigint AS credits FROM checkouts WHERE kind = 'pack' AND status = 'paid'"
        )
        yield from _unequal("credits", -self._ledger.get(("credits_issued", "credit"), 0), bought["credits"])

    def _events(self) -> Iterator[str]:
        """Whatever was told took effect in the same transaction that recorded it."""
        for row in self._world.by_hand(_EVENTS):
            self.coverage[row["type"]] += 1
            if not row["handled"]:
                yield f"event {row['id']} ({row['type']}) was recorded and never handled"

    def _balance(self, account: str) -> int:
        return self._ledger.get((account, "usd"), 0)

    def _booked(self, kinds: tuple[str, ...]) -> int:
        query: LiteralString = (
            "SELECT coalesce(sum(amount), 0)::bigint AS cents FROM ledger_transfer WHERE kind = ANY (%s)"
        )
        cents: int = self._world.by_hand(query, list(kinds))[0]["cents"]
        return cents


def _should_be(intake: Row) -> tuple[int, list[tuple[int, str]], list[int]]:
    """How many charges, which transfers (cents, account) and which refunds (cents) an intake's outcome means."""
    paid = intake["funding"] == "card" and intake["checkout"] in ("paid", "unfulfillable")
    if intake["status"] == "completed":
        earned = intake["mechanic_fixed_pay_cents"]
        if intake["funding"] != "free":
            share = Decimal(intake["price_cents"] * intake["mechanic_share_bp"]) / 10_000
            earned = int(share.quantize(Decimal(1), ROUND_HALF_EVEN))
        return int(paid), [(earned, intake["stripe_account_id"])] if earned else [], []
    return int(paid), [], [intake["price_cents"]] if paid else []


def _total(objects: list[dict[str, Any]]) -> int:
    return sum(int(each["amount"]) for each in objects)


def _unequal(what: str, ours: int, theirs: int) -> Iterator[str]:
    if ours != theirs:
        yield f"{what}: {ours} in the ledger, {theirs} at Stripe"
