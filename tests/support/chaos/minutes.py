"""More minutes in a chaos run: asked for, agreed to, paid by credits or by card, and used or not."""

import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from support.chaos.chaos_env import ChaosEnv
from support.chaos.stand_in import RemoteRefused
from support.world import Mechanic

USED: Final = 0.75
_AT_THE_PAGE: Final = {"pay": 75, "abandon": 10, "later": 10, "later refused": 5}
_RUNNING: Final[LiteralString] = """
SELECT starts_after FROM session_extensions WHERE id = %s AND status = 'running'
"""


@dataclass
class Talk:
    """A talk under way: who is in it, and the chance of what they do."""

    env: ChaosEnv
    session_id: UUID
    customer: UUID
    mechanic: Mechanic
    chance: random.Random

    def extend(self, pay_with: str) -> str | None:
        """Ask for fifteen minutes, and use them, or not.

        Returns:
            Stripe's id of the payment, where they were paid for by card.
        """
        asked = self._asked(pay_with)
        if asked is None:
            return None
        status, _ = self.env.pool.call(
            "checkout",
            "POST /api/sessions/{sessionId}/extend/{extensionId}/answer",
            self.mechanic.user_id,
            "mechanics",
            body={"agrees": True},
            path={"sessionId": str(self.session_id), "extensionId": asked},
        )
        intent = self._paid(asked) if status == 200 and pay_with == "card" else None
        running = self.env.by_hand(_RUNNING, asked)
        if running and self.chance.random() < USED:
            self.env.let_talk_last(self.session_id, running[0]["starts_after"] * 60 + 120)
        return intent

    def _ask(self, pay_with: str) -> dict[str, str]:
        _, answer = self.env.pool.call(
            "checkout",
            "POST /api/sessions/{sessionId}/extend",
            self.customer,
            "customers",
            body={"pack": "m15", "payWith": pay_with},
            path={"sessionId": str(self.session_id)},
        )
        return answer

    def _asked(self, pay_with: str) -> str | None:
        """The extension's id; None where it cannot be had, such as with too few credits."""
        return self._ask(pay_with).get("extensionId")

    def _paid(self, extension_id: str) -> str | None:
        """Pay on Stripe's page, or leave it, and wait until we know; None where it was not paid."""
        page = str(self._ask("card").get("checkoutUrl") or "").rpartition("/")[2]
        choice = self.chance.choices(list(_AT_THE_PAGE), list(_AT_THE_PAGE.values()))[0]
        if not page or choice == "abandon":
            return None
        with suppress(RemoteRefused):  # a page that the sweep has closed
            self.env.stripe.ask("pay", session_id=page, choice="pay_later" if choice.startswith("later") else "pay")
            if choice.startswith("later"):
                self.env.stripe.ask("bank_answers", session_id=page, paid=choice == "later")
        seen = self.env.paid_for(UUID(extension_id))
        return seen["intent"] if seen["status"] in ("paid", "unfulfillable") else None
