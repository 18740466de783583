"""The checker of invariants 9 and 10: it finds every lie about money that is planted past all guards."""

import pytest
from psycopg import sql

from autodoctor.ids import new_id
from autodoctor.payments.settlement import settle
from support.invariants.sessions import violations
from support.money.purchases import buy, complete, give, pay_by_card
from support.world import World

# One completed credit session (paid), one cancelled card session (refund), one credit session returned.
LIES = [
    ("never settled", 9, "DELETE FROM payouts; DELETE FROM settlements WHERE session_id = %(paid)s"),
    ("settled as something else", 9, "UPDATE settlements SET outcome = 'return' WHERE session_id = %(paid)s"),
    ("due and settled", 9, "INSERT INTO settlements_due (session_id) VALUES (%(paid)s)"),
    ("no payout", 9, "DELETE FROM payouts WHERE session_id = %(paid)s"),
    ("a payout of one cent too much", 9, "UPDATE payouts SET amount_cents = amount_cents + 1"),
    ("a payout to somebody else", 9, "UPDATE payouts SET mechanic_id = %(stranger)s"),
    ("a payout of what was cancelled", 9, """
        INSERT INTO payouts (session_id, mechanic_id, kind, amount_cents)
        VALUES (%(refunded)s, %(stranger)s, 'session', 5)"""),
    ("no refund", 9, "DELETE FROM refunds"),
    ("both a refund and a payout", 9, """
        INSERT INTO refunds (intake_id, kind, amount_cents) VALUES (%(paid)s, 'session', 5)"""),
    ("credits taken twice", 9, """
        INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
        SELECT key || ':again', debit_account, credit_account, amount, currency, kind, intake_id
          FROM ledger_transfer WHERE kind = 'credit_hold'"""),
    ("credits never returned", 9, "DELETE FROM ledger_transfer WHERE kind = 'credit_return'"),
    ("credits returned and spent", 9, """
        UPDATE ledger_transfer SET intake_id = %(paid)s WHERE kind = 'credit_return'"""),
    ("a balance that nobody booked", 10, "UPDATE credit_balances SET balance = balance + 1"),
    ("a balance that is gone", 10, "DELETE FROM credit_balances"),
    ("a row that was changed", 10, "UPDATE ledger_transfer SET amount = amount + 1 WHERE kind = 'credit_grant'"),
    ("a row that moves nothing", 10, "UPDATE ledger_transfer SET credit_account = debit_account WHERE kind = 'charge'"),
    ("two currencies", 10, "UPDATE ledger_transfer SET currency = 'credit' WHERE kind = 'charge'"),
    ("more paid out of a session than it had", 10, "DELETE FROM ledger_transfer WHERE kind = 'credit_hold'"),
    ("an earning that was not booked", 10, "DELETE FROM ledger_transfer WHERE kind = 'earning'"),
]  # fmt: skip


@pytest.mark.parametrize(("lie", "broken", "statements"), LIES, ids=[lie for lie, _, _ in LIES])
def test_a_planted_lie_about_money_is_found(world: World, lie: str, broken: int, statements: str) -> None:
    customers = [new_id() for _ in range(3)]
    paid, returned = [(give(world, customer, 4), buy(world, customer, "standard"))[1] for customer in customers[:2]]
    refunded = pay_by_card(world, customers[2])
    complete(world, paid, customers[0], world.mechanic())
    for customer, created in zip(customers[1:], (returned, refunded), strict=True):
        world.end(customer, created.session_id)
    for created in (paid, returned, refunded):
        settle(world.app, created.session_id)
    cast = {"paid": paid.session_id, "refunded": refunded.session_id, "stranger": world.mechanic().id}
    assert violations(world.owner) == []
    with world.without_triggers() as superuser:
        for table, constraint in (
            ("ledger_transfer", "ledger_transfer_moves_something"),
            ("ledger_transfer", "ledger_transfer_one_currency"),
        ):
            drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
            superuser.execute(drop.format(sql.Identifier(table), sql.Identifier(constraint)))
        for statement in statements.split(";"):
            superuser.execute(sql.SQL(statement), cast)
    found = violations(world.owner)
    assert broken in {int(sentence.split()[1].rstrip(":")) for sentence in found}, f"{lie}: {found}"
