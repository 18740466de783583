"""`autodoctor demo --pay card|credit`: the payment, the payout or refund, and their rows in the ledger."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from urllib.parse import urlsplit

import boto3
import httpx
import psycopg
from psycopg.rows import dict_row

from localcloud.commands.demo.people import Caller, DemoStopped
from localcloud.host.datadir import RunningServer
from localcloud.stack.cloudformation import REGION
from localcloud.stripe.http.service import PREFIX as STRIPE
from localcloud.stripe.objects.payments import AVAILABLE_AFTER_SECONDS
from localcloud.stripe.pages.control_api import PREFIX as CONTROL

PLAN: Final = {"plan": "standard", "sessionType": "video"}
PACK: Final = "five"
SENDS: Final = "PayoutsFunction"
_WITHIN_SECONDS: Final = 180.0
"""An event that a busy machine did not publish at once comes with the relay within a minute; Stripe retries, too."""
_PAUSE: Final = 0.3
_CENTS: Final = 100

_ANYBODY: Final = {"region_name": REGION, "aws_access_key_id": "demo", "aws_secret_access_key": "demo"}
_SENTENCES: Final = {
    ("pay", True): "the price was split, and the mechanic's share was sent to their Stripe account.",
    ("pay", False): "the price was split; the mechanic's share is sent as soon as possible.",
    ("refund", True): "the price was refunded to the card.",
    ("refund", False): "the price is refunded to the card as soon as Stripe accepts it.",
    ("return", False): "the credits were returned to the customer.",
}

_BALANCE: Final[LiteralString] = """
SELECT coalesce((SELECT balance FROM credit_balances WHERE user_id = %(user_id)s), 0) AS balance,
       (SELECT credits FROM plans WHERE code = %(plan)s) AS price
"""
_OWED: Final[LiteralString] = """
SELECT (SELECT outcome FROM settlements WHERE session_id = %(session_id)s) AS outcome,
       (SELECT jsonb_agg(DISTINCT owed.state || coalesce(' (waits for ' || owed.waits_for || ')', '')) FROM (
          SELECT state, waits_for FROM payouts WHERE session_id = %(session_id)s
          UNION ALL SELECT state, waits_for FROM refunds WHERE intake_id = %(session_id)s) AS owed) AS states
"""
# Rows of a pack are found by its key: they belong to no session.
_ROWS: Final[LiteralString] = """
SELECT debit_account, credit_account, amount, currency, kind FROM ledger_transfer
 WHERE intake_id = %(session_id)s OR key = ANY (%(pack_keys)s) ORDER BY id
"""
_NAMES: Final[LiteralString] = """
SELECT id::text AS id, name FROM mechanics UNION ALL SELECT user_id::text, name FROM customers WHERE name IS NOT NULL
"""


@dataclass
class Till:
    """The money of one demo.

    Attributes:
        server: where everything is.
        way: card or credit.
        pack: the checkout that bought credits, if any.
    """

    server: RunningServer
    way: str
    say: Callable[[str], None]
    pack: str | None = None

    # --- before -------------------------------------------------------------------------------------

    def onboard(self, mechanic: Caller) -> None:
        """Lead the mechanic through Stripe's onboarding if they have not finished it: payouts need it."""
        if mechanic.call("GET", "/api/mechanic/onboarding")["status"] == "complete":
            return
        link = mechanic.call("POST", "/api/mechanic/onboarding")["url"]
        self._press(link, "finish", f"Stripe's onboarding page: the demo presses Finish for {mechanic.person.name}")
        self._until(lambda: mechanic.get("/api/mechanic/onboarding")["status"] == "complete", "the account")

    def intake(self, customer: Caller, body: dict[str, Any]) -> str:
        """Buy a session, and return its id."""
        if self.way == "credit":
            self._have_credits(customer)
            created: str = customer.call("POST", "/api/intake/start", {**body, **PLAN, "payWith": "credit"})[
                "sessionId"
            ]
            return created
        asked = customer.call("POST", "/api/intake/start", {**body, **PLAN, "payWith": "card"})
        self._pay(customer, asked["checkoutUrl"])
        status = f"/api/intakes/{asked['intakeId']}"
        self._until(lambda: customer.get(status)["sessionId"] is not None, "the webhook that creates the session")
        bought: str = customer.call("GET", status)["sessionId"]
        return bought

    def _have_credits(self, customer: Caller) -> None:
        """Buy a pack by card where there are too few credits."""
        has = self._row(_BALANCE, user_id=customer.person.sub, plan=PLAN["plan"])
        if has["balance"] >= has["price"]:
            self.say(f"{customer.person.name} has {has['balance']} credits; the session costs {has['price']}.")
            return
        offered = customer.call("POST", "/api/customer/credits/checkout", {"pack": PACK})
        self.pack = offered["checkoutId"]
        # The payout of a session paid with credits comes out of the available balance, not out of a charge.
        self.say("  (money of a card is available two days later; the demo has the stand-in make this one so at once)")
        self._control("available_after", seconds=0)
        try:
            self._pay(customer, offered["checkoutUrl"])
        finally:
            self._control("available_after", seconds=AVAILABLE_AFTER_SECONDS)
        credits_ = "/api/customer/credits"
        self._until(lambda: customer.get(credits_)["balance"] >= has["price"], "the webhook that brings the credits")
        self.say(f"{customer.person.name} has {customer.get(credits_)['balance']} credits.")

    def _pay(self, customer: Caller, url: str) -> None:
        self._press(url, "pay", f"Stripe's checkout page: the demo presses Pay for {customer.person.name}")

    # --- after --------------------------------------------------------------------------------------

    def settled(self, session_id: str) -> None:
        """Wait until the money of the outcome has been sent, and print the ledger."""
        self.say("\n  ... settlement comes with the event of the end; payouts and refunds are sent by a schedule,")
        self.say(f"  which the demo does not wait for: it invokes {SENDS} ...")
        self._until(lambda: self._row(_OWED, session_id=session_id)["outcome"] is not None, "the settlement")
        sent = self._until_sent(session_id)
        outcome = self._row(_OWED, session_id=session_id)["outcome"]
        self.say(f"Settled: {_SENTENCES[outcome, sent]}")
        for line in self._ledger(session_id):
            self.say(line)

    def _until_sent(self, session_id: str) -> bool:
        """Have it sent; print a line and return False when it has to wait."""
        deadline = time.monotonic() + _WITHIN_SECONDS
        while True:
            states = self._row(_OWED, session_id=session_id)["states"] or []
            if set(states) <= {"sent", "returned"}:
                return bool(states)
            if time.monotonic() > deadline or any("balance" in state for state in states):
                self.say(f"  the money owed is {', '.join(states)}")
                return False
            self._invoke(SENDS)
            time.sleep(_PAUSE)

    def _ledger(self, session_id: str) -> list[str]:
        """The rows of this demo as a table, and their sums."""
        keys = [f"pack:{self.pack}:sale", f"pack:{self.pack}:credits"] if self.pack else []
        names = {row["id"]: row["name"] for row in self._rows(_NAMES)}
        return table(self._rows(_ROWS, session_id=session_id, pack_keys=keys), names)

    # --- by hand ------------------------------------------------------------------------------------

    def _press(self, url: str, action: str, sentence: str) -> None:
        """Press a button on one of Stripe's pages, as a person would."""
        with httpx.Client(timeout=30, trust_env=False) as browser:
            answer = browser.post(url, data={"action": action})
        self.say(f"  {sentence}: {urlsplit(url).path} {answer.status_code}")
        if answer.is_error:
            raise DemoStopped(f"POST {url} answered {answer.status_code}")

    def _control(self, name: str, **arguments: object) -> None:
        with httpx.Client(timeout=30, trust_env=False) as hand:
            hand.post(f"{self.server.api_url}{STRIPE}{CONTROL}{name}", json=arguments).raise_for_status()

    def _invoke(self, function: str) -> None:
        """As an operator would, without the schedule's minute."""
        client = boto3.client("lambda", endpoint_url=f"{self.server.api_url}/_aws/lambda", **_ANYBODY)
        answer = client.invoke(FunctionName=function, Payload=b"{}")
        if "FunctionError" in answer:
            raise DemoStopped(f"{function} failed: {answer['Payload'].read().decode()}")

    def _until(self, seen: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _WITHIN_SECONDS
        while not seen():
            if time.monotonic() > deadline:
                raise DemoStopped(f"{what} did not happen within {_WITHIN_SECONDS:.0f} s; `autodoctor dev` shows why")
            time.sleep(_PAUSE)

    def _row(self, query: LiteralString, **values: object) -> dict[str, Any]:
        (row,) = self._rows(query, **values)
        return row

    def _rows(self, query: LiteralString, **values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.server.owner_url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()


def table(rows: list[dict[str, Any]], names: Mapping[str, str]) -> list[str]:
    """Ledger rows as lines of text (from, to, amount, kind), and each account's sum.

    Args:
        rows: debit_account, credit_account, amount, currency and kind.
        names: of mechanics and customers, by their id.
    """
    shown = [
        (_named(row["debit_account"], names), _named(row["credit_account"], names), _amount(row), row["kind"])
        for row in rows
    ]
    left, right, wide = (max((len(row[column]) for row in shown), default=0) for column in range(3))
    lines = [f"\n  {'from account':<{left}}    {'to account':<{right}}  {'amount':>{wide}}  kind"]
    lines += [f"  {debit:<{left}} -> {credit:<{right}}  {much:>{wide}}  {kind}" for debit, credit, much, kind in shown]
    return [*lines, *_sums(rows, names)]


def _sums(rows: list[dict[str, Any]], names: Mapping[str, str]) -> list[str]:
    """Each account's sum, and the sum of all, which is zero."""
    sums = Counter[tuple[str, str]]()
    for row in rows:
        sums[row["currency"], _named(row["debit_account"], names)] -= row["amount"]
        sums[row["currency"], _named(row["credit_account"], names)] += row["amount"]
    lines = []
    for currency in sorted({row["currency"] for row in rows}, reverse=True):
        balances = {
            account: _money(sums[other, account], currency) for other, account in sorted(sums) if other == currency
        }
        balances["sum of all"] = _money(sum(much for (other, _), much in sums.items() if other == currency), currency)
        left, wide = (max(map(len, column)) for column in (balances, balances.values()))
        lines += ["", *(f"  {account:<{left}}  {balance:>{wide}}" for account, balance in balances.items())]
    return lines


def _named(account: str, names: Mapping[str, str]) -> str:
    """An account with its owner's name."""
    owner, _, rest = account.partition(":")
    if not rest:
        return account
    whose, _, what = rest.partition(":")
    return f"{owner}'s {what}" if owner == "session" else f"{names.get(whose, whose)}'s {what}"


def _amount(row: dict[str, Any]) -> str:
    return _money(row["amount"], row["currency"])


def _money(amount: int, currency: str) -> str:
    return f"{amount / _CENTS:,.2f} usd" if currency == "usd" else f"{amount} credits"
