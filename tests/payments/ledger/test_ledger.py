"""The ledger: the rows it accepts, that nobody changes them, and that balances are their sums."""

from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from autodoctor.ids import new_id
from autodoctor.payments.ledger import accounts
from autodoctor.payments.ledger.accounts import Account, TransferKind
from autodoctor.payments.ledger.transfers import Transfer, book
from support.money.purchases import balance, buy, give, rows, spendable
from support.world import World

SOMEBODY = UUID("01a1fd8f-0000-7000-8000-000000000002")
USD = (
    accounts.STRIPE,
    accounts.DISPUTED,
    accounts.STRIPE_FEES,
    accounts.PLATFORM_REVENUE,
    accounts.CREDIT_SALES,
    accounts.FREE_SESSIONS,
    accounts.session_held(SOMEBODY),
    accounts.mechanic_payable(SOMEBODY),
    accounts.mechanic_receivable(SOMEBODY),
    accounts.customer_receivable(SOMEBODY),
)
CREDIT = (
    accounts.CREDITS_ISSUED,
    accounts.CREDITS_SPENT,
    accounts.customer_credits(SOMEBODY),
    accounts.session_credits(SOMEBODY),
)
INSERT: LiteralString = (
    "INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind)"
    " VALUES (%s, %s, %s, %s, %s, 'correction')"
)


@pytest.mark.parametrize("account", USD + CREDIT)
def test_the_database_knows_every_account(world: World, account: Account) -> None:
    assert world.one("SELECT account_currency(%s)", account) == ("usd" if account in USD else "credit")


@pytest.mark.parametrize(
    "account",
    [
        *("", "Stripe", "stripe ", "customer", "customer::credits", "customer:1:credits", "session:held"),
        *(f"customer:{SOMEBODY}:held", f"mechanic:{SOMEBODY}:credits", f"session:{SOMEBODY}:held:x", f"x:{SOMEBODY}"),
        *(f"session:{SOMEBODY}:held\nx", f"session:{str(SOMEBODY).upper()}:held", f"workshop:{SOMEBODY}:payable"),
    ],
)
def test_what_is_no_account_has_no_currency(world: World, account: str) -> None:
    assert world.one("SELECT account_currency(%s)", account) is None


def test_the_database_knows_the_same_kinds_as_python(world: World) -> None:
    constraint = world.one(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ledger_transfer_kind_known'"
    )
    assert set(constraint.split("'")[1::2]) == set(TransferKind)


@pytest.mark.parametrize(
    ("debit", "credit", "amount", "currency"),
    [
        ("stripe", "platform_revenue", 0, "usd"),
        ("stripe", "platform_revenue", -1, "usd"),
        ("stripe", "stripe", 1, "usd"),
        ("stripe", "platform_revenue", 1, "credit"),
        ("stripe", "platform_revenue", 1, "eur"),
        ("credits_issued", "platform_revenue", 1, "usd"),
        ("credits_issued", "platform_revenue", 1, "credit"),
        ("stripe", "nowhere", 1, "usd"),
        ("nowhere", "elsewhere", 1, "usd"),
    ],
)
def test_a_row_moves_a_positive_amount_between_two_accounts_of_its_currency(
    world: World, debit: str, credit: str, amount: int, currency: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        world.owner.execute(INSERT, ["k", debit, credit, amount, currency])


def test_the_same_is_not_booked_twice(world: World) -> None:
    charge = Transfer(TransferKind.CHARGE, "session:x:charge", accounts.STRIPE, accounts.PLATFORM_REVENUE, 999)
    world.app.transaction(lambda connection: book(connection, [charge]))
    with pytest.raises(psycopg.errors.UniqueViolation):
        world.app.transaction(lambda connection: book(connection, [charge]))
    assert balance(world, accounts.PLATFORM_REVENUE) == 999 == -balance(world, accounts.STRIPE)


def test_what_is_nothing_is_not_booked(world: World) -> None:
    nothing = Transfer(TransferKind.FEE, "fee:x", accounts.STRIPE_FEES, accounts.STRIPE, 0)
    world.app.transaction(lambda connection: book(connection, [nothing]))
    assert world.one("SELECT count(*) FROM ledger_transfer") == 0


@pytest.mark.parametrize("table", ["ledger_transfer", "credit_balances", "settlements"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_owners_careless_hand_is_refused(world: World, table: str, statement: str) -> None:
    give(world, SOMEBODY, 5)
    column = {"ledger_transfer": "amount", "credit_balances": "balance", "settlements": "decided_at"}[table]
    names = [sql.Identifier(name) for name in (table, column, column)]
    with pytest.raises(psycopg.DatabaseError) as refused:
        world.owner.execute(sql.SQL(statement).format(*names))
    assert refused.value.sqlstate == "AD004"
    assert (spendable(world, SOMEBODY), balance(world, accounts.customer_credits(SOMEBODY))) == (5, 5)


def test_a_balance_is_not_typed_in(world: World) -> None:
    with pytest.raises(psycopg.DatabaseError) as refused:
        world.owner.execute("INSERT INTO credit_balances (user_id, balance) VALUES (%s, 100)", [SOMEBODY])
    assert refused.value.sqlstate == "AD004"


@pytest.mark.parametrize("given", [0, 4])
def test_nobody_can_book_a_customer_below_zero_not_even_by_hand(world: World, given: int) -> None:
    if given:
        give(world, SOMEBODY, given)
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        world.owner.execute(INSERT, ["k", accounts.customer_credits(SOMEBODY), "credits_issued", given + 1, "credit"])
    assert refused.value.diag.constraint_name == "credit_balances_not_negative"
    assert spendable(world, SOMEBODY) == given


def test_every_balance_is_the_sum_of_its_rows(world: World) -> None:
    customers = [new_id() for _ in range(3)]
    for number, customer in enumerate(customers, start=1):
        give(world, customer, 5 * number)
        buy(world, customer, "standard")
    assert [spendable(world, customer) for customer in customers] == [2, 7, 12]
    for customer in customers:
        assert balance(world, accounts.customer_credits(customer)) == spendable(world, customer)
    assert rows(world, "SELECT kind, count(*) FROM ledger_transfer GROUP BY kind ORDER BY kind") == [
        ("credit_grant", 3),
        ("credit_hold", 3),
    ]
