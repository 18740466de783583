"""Shared by tests of money: granted credits, a paid card session without Stripe, and balances."""

from typing import Any, LiteralString
from uuid import UUID

from autodoctor.db import Database
from autodoctor.ids import new_id
from autodoctor.intake.create import Funding, SessionCreated, start_intake
from autodoctor.intake.funded import start_funded_intake
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import Account, TransferKind
from autodoctor.payments.ledger.credits import CreditsGranted, GrantRequest, grant_credits
from autodoctor.payments.ledger.transfers import Transfer, book
from support.world import Mechanic, World, intake_request

SIGNED: dict[str, object] = {"waiver": {"signedName": "Cora Castillo"}}
CARD = Funding("p.price_cents > 0", "this plan is free")
SOLD_AS = {"free": "chat", "quick": "chat", "standard": "video", "diagnostic": "diagnostic"}


def give(world: World, customer: UUID, amount: int, key: str | None = None) -> CreditsGranted:
    """Grant credits."""
    return grant_on(world.app, customer, amount, key or str(new_id()))


def grant_on(app: Database, customer: UUID, amount: int, key: str) -> CreditsGranted:
    """Grant credits on this connection."""
    grant = {"customerId": str(customer), "credits": amount, "reason": "A gift", "key": key}
    return grant_credits(app, new_id(), GrantRequest.model_validate(grant))


def buy(world: World, customer: UUID, plan: str = "quick", key: str | None = None, **fields: object) -> SessionCreated:
    """A signed intake paid with credits."""
    return buy_on(world.app, customer, plan, key, **fields)


def buy_on(app: Database, customer: UUID, plan: str, key: str | None = None, **fields: object) -> SessionCreated:
    """The same on this connection."""
    request = intake_request(plan=plan, payWith="credit", sessionType=SOLD_AS[plan], **{**SIGNED, **fields})
    created = start_funded_intake(app, customer, request, key)
    assert isinstance(created, SessionCreated)
    return created


def take_free(world: World, customer: UUID, key: str | None = None) -> SessionCreated:
    """An unsigned free intake, through the use case that knows every way to pay."""
    created = start_funded_intake(world.app, customer, intake_request(), key)
    assert isinstance(created, SessionCreated)
    return created


def pay_by_card(world: World, customer: UUID, plan: str = "quick") -> SessionCreated:
    """A signed session whose price Stripe holds, as the webhook will leave it."""
    created = ask_by_card(world, customer, plan)
    charge(world, created.session_id)
    return created


def ask_by_card(world: World, customer: UUID, plan: str) -> SessionCreated:
    """A signed session of a card payment that is not booked yet."""
    request = intake_request(plan=plan, payWith="card", sessionType=SOLD_AS[plan], **SIGNED)
    return start_intake(world.app, customer, request, funding=CARD)


def charge(world: World, session_id: UUID) -> None:
    """Book the price of a session, as the webhook does."""
    price: int = world.one("SELECT price_cents FROM intakes WHERE id = %s", session_id)
    held = accounts.session_held(session_id)
    row = Transfer(TransferKind.CHARGE, f"session:{session_id}:charge", accounts.STRIPE, held, price, session_id)
    world.app.transaction(lambda connection: book(connection, [row]))


def complete(world: World, created: SessionCreated, customer: UUID, mechanic: Mechanic) -> None:
    """Walk a queued session to its completion, 90 seconds long."""
    world.accept(mechanic, created)
    world.meet(created.session_id, customer, mechanic)
    world.let_time_pass(90)
    assert world.end(customer, created.session_id).status == "completed"


def balance(world: World, account: Account) -> int:
    """An account's credits less its debits."""
    total: int = world.one(
        "SELECT coalesce(sum(CASE WHEN credit_account = %s THEN amount ELSE -amount END), 0)::bigint"
        "  FROM ledger_transfer WHERE %s IN (debit_account, credit_account)",
        account,
        account,
    )
    return total


def spendable(world: World, customer: UUID) -> int:
    """The customer's balance."""
    found: int | None = world.one("SELECT balance FROM credit_balances WHERE user_id = %s", customer)
    return found or 0


def rows(world: World, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of an owner's query, as tuples."""
    return [tuple(row.values()) for row in world.owner.execute(query, parameters)]
