"""Customers and mechanics, each of whom plays random sessions, whatever happens to the functions."""

import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from autodoctor.ids import new_id
from localcloud.commands.samples import INTAKE_WITH_WAIVER
from support.chaos.chaos_env import MIN_BILLABLE_SECONDS, Abandoned, ChaosEnv
from support.chaos.contests import contest
from support.chaos.minutes import Talk
from support.chaos.stand_in import RemoteRefused
from support.world import Mechanic

SOLD_AS: Final = {"free": "chat", "quick": "chat", "standard": "video", "diagnostic": "diagnostic"}
FUNDINGS: Final = {"card": 5, "credit": 3, "free": 2}
ENDINGS: Final = {"completed": 55, "withdrawn": 15, "no_show": 10, "too_short": 10, "expired": 10}
AT_THE_PAGE: Final = {"pay": 70, "fail first": 8, "later": 8, "later refused": 4, "abandon": 5, "overtaken": 5}
# What becomes of a payment afterwards, of sessions and of packs.
AFTERWARDS: Final = {
    "nothing": 88,
    "refunded by hand": 3,
    "partly refunded by hand": 3,
    "dispute won": 2,
    "dispute lost": 2,
    "dispute": 2,
}
REFERRED: Final = 0.25
ESCALATED: Final = 0.1
EXTENDED: Final = 0.25
CONTESTED: Final = 0.2
CUSTOMERS_EACH: Final = 5
_PAUSE: Final = 0.2
_PATIENCE_SECONDS: Final = 300.0
"""The longest that a customer is refused an intake because of their last one."""
_SPENDABLE: Final = "SELECT balance - frozen_credits(user_id) AS credits FROM credit_balances WHERE user_id = %s"
MOST_CREDITS: Final = 5
"""What the dearest plan costs."""

_COME_AGAIN: Final = frozenset({"payment-processing", "active-session-exists"})


class Unexpected(Exception):
    """Somebody was answered what they should not be."""


@dataclass
class Script:
    """One session as it is to be; `number` names it in the seed's chance."""

    number: int
    funding: str
    plan: str
    ending: str
    page: str
    afterwards: str


def script(seed: int, number: int) -> Script:
    """The so-manieth session of a seed."""
    chance = random.Random(f"{seed} session {number}")
    funding = _choose(chance, FUNDINGS)
    plan = "free" if funding == "free" else chance.choice(("quick", "standard", "diagnostic"))
    ending, page, afterwards = (_choose(chance, each) for each in (ENDINGS, AT_THE_PAGE, AFTERWARDS))
    return Script(number, funding, plan, ending, page, afterwards)


def _choose(chance: random.Random, weights: dict[str, int]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]


@dataclass
class Lane:
    """A mechanic and a few customers of theirs."""

    env: ChaosEnv
    mechanic: Mechanic
    chance: random.Random
    customers: list[UUID] = field(default_factory=lambda: [new_id() for _ in range(CUSTOMERS_EACH)])
    payments: list[str] = field(default_factory=list)

    def play(self, told: Script) -> None:
        """Play one session to its end; what is left then is up to the sweeps."""
        customer = self.chance.choice(self.customers)
        if told.funding == "card":
            created = self._by_card(customer, told)
        else:
            if told.funding == "credit":
                self._have_credits(customer)
            created = self._created(self._intake(customer, told.plan, told.funding))
        if created is not None:
            self._consult(customer, created, told.ending)
        while self.payments:
            self._regret(self.payments.pop(), told.afterwards)

    def _intake(self, customer: UUID, plan: str, pay_with: str) -> dict[str, Any]:
        body = {**INTAKE_WITH_WAIVER, "plan": plan, "payWith": pay_with, "sessionType": SOLD_AS[plan]}
        if self.chance.random() < REFERRED:
            body["referralCode"] = self.chance.choice(self.env.codes)
        key = {"idempotency-key": str(new_id())}
        patient_until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            status, answer = self.env.pool.call(
                "intake", "POST /api/intake/start", customer, "customers", body=body, headers=key
            )
            if status in (201, 202):
                return answer
            slug = str(answer["type"]).rpartition("/")[2]
            if slug == "insufficient-credits":
                self._have_credits(customer)
            elif slug not in _COME_AGAIN or time.monotonic() > patient_until:
                raise Unexpected(f"intake: {status} {answer}")
            if self.env.trouble:
                raise Abandoned
            time.sleep(_PAUSE)

    def _created(self, answer: dict[str, Any]) -> tuple[UUID, UUID]:
        return UUID(answer["sessionId"]), UUID(answer["assignmentId"])

    def _by_card(self, customer: UUID, told: Script) -> tuple[UUID, UUID] | None:
        """The session that was bought; None where it was not, or cannot be had any more."""
        opened = self._intake(customer, told.plan, "card")
        page, intake_id = str(opened["checkoutUrl"]).rpartition("/")[2], UUID(opened["intakeId"])
        match told.page:
            case "abandon":
                return None
            case "overtaken":
                other = self._created(self._intake(customer, "free", "free"))
                with suppress(RemoteRefused):  # the sweep closes pages beside which there is a session
                    self._pay(page)
                self._consult(customer, other, told.ending)
                return self._bought(intake_id)  # unless the news of it came first
            case "later" | "later refused":
                self._pay(page, "pay_later")
                time.sleep(self.chance.random())
                self.env.stripe.ask("bank_answers", session_id=page, paid=told.page == "later")
            case _:
                if told.page == "fail first":
                    self._pay(page, "fail")
                self._pay(page)
        return self._bought(intake_id)

    def _bought(self, intake_id: UUID) -> tuple[UUID, UUID] | None:
        seen = self.env.paid_for(intake_id)
        if seen["status"] in ("paid", "unfulfillable"):
            self.payments.append(seen["intent"])
        return (intake_id, seen["current_assignment_id"]) if seen["status"] == "paid" else None

    def _pay(self, page: str, choice: str = "pay") -> None:
        self.env.stripe.ask("pay", session_id=page, choice=choice)

    def _have_credits(self, customer: UUID) -> None:
        """Buy a pack where too few for any plan can be spent: the bank may be asking about what paid for the others."""
        found = self.env.by_hand(_SPENDABLE, customer)
        if found and found[0]["credits"] >= MOST_CREDITS:
            return
        body = {"pack": self.chance.choice(("five", "ten", "twenty"))}
        status, offered = self.env.pool.call(
            "checkout", "POST /api/customer/credits/checkout", customer, "customers", body=body
        )
        if status != 202:
            raise Unexpected(f"pack: {status} {offered}")
        with suppress(RemoteRefused):  # the page of a pack that was paid, whose news is on its way
            self._pay(str(offered["checkoutUrl"]).rpartition("/")[2])
        self.payments.append(self.env.paid_for(UUID(offered["checkoutId"]))["intent"])

    def _regret(self, intent: str, afterwards: str) -> None:
        """Refund a payment by hand, or have the customer's bank take it back; Stripe may refuse either by now."""
        ask = self.env.stripe.ask
        with suppress(RemoteRefused):
            match afterwards.split():
                case ["refunded", *_]:
                    ask("refund", charge=intent)
                case ["partly", *_]:
                    ask("refund", charge=intent, amount=self.chance.randint(1, 900))
                case ["dispute", *decided]:
                    dispute = ask("open_dispute", charge=intent)["id"]
                    if decided:
                        time.sleep(self.chance.random())
                        ask("close_dispute", dispute=dispute, won=decided == ["won"])

    def _consult(self, customer: UUID, created: tuple[UUID, UUID], ending: str) -> None:
        session_id, assignment_id = created
        if ending == "expired":
            self.env.outlive(session_id)
            return
        if ending != "withdrawn":
            path = {"assignmentId": str(assignment_id)}
            self._do("accept", "POST /api/mechanic/assignments/{assignmentId}/accept", self.mechanic.user_id, path)
        path = {"sessionId": str(session_id)}
        if ending in ("completed", "too_short"):
            for who in (customer, self.mechanic.user_id):
                self._do("presence", "POST /api/sessions/{sessionId}/join", who, path)
        if ending == "completed":
            time.sleep(MIN_BILLABLE_SECONDS + 0.05)
            while self.chance.random() < EXTENDED:
                self._extend(customer, session_id)
        ender = customer if ending == "withdrawn" else self.chance.choice((customer, self.mechanic.user_id))
        for _ in range(self.chance.choice((1, 1, 2))):
            self._do("end_session", "POST /api/sessions/{sessionId}/end", ender, path)
        if ending == "completed" and self.chance.random() < ESCALATED:
            self._escalate(customer, session_id)
        if ending == "completed" and self.chance.random() < CONTESTED:
            contest(self.env, session_id, customer, self.chance)

    def _extend(self, customer: UUID, session_id: UUID) -> None:
        """Minutes more, whatever paid for the session."""
        pay_with = self.chance.choice(("card", "credit"))
        if pay_with == "credit":
            self._have_credits(customer)
        intent = Talk(self.env, session_id, customer, self.mechanic, self.chance).extend(pay_with)
        if intent is not None:
            self.payments.append(intent)

    def _escalate(self, customer: UUID, session_id: UUID) -> None:
        """The car needs a workshop, whose quote the customer approves, perhaps twice."""
        quote_id = self.env.quoted(session_id, self.mechanic, self.chance.randint(1, 40_000))
        for _ in range(self.chance.choice((1, 1, 2))):
            self.env.approve(quote_id, customer)

    def _do(self, name: str, route: str, who: UUID, path: dict[str, str]) -> None:
        group = "mechanics" if who == self.mechanic.user_id else "customers"
        status, answer = self.env.pool.call(name, route, who, group, path=path)
        if status != 200:
            raise Unexpected(f"{route}: {status} {answer}")
