"""A mechanic's statements against the ledger, added up here in another way than the statements are."""

from autodoctor.documents.statements import Statement, statement, statements_of
from autodoctor.payments.ledger import accounts
from support.money.purchases import balance
from support.world import Mechanic, World


def adds_up(world: World, mechanic: Mechanic) -> list[Statement]:
    """Every month follows on the one before, the years say the same, and the last balance is the ledger's."""
    listed = statements_of(world.app, mechanic.user_id)
    months = [statement(world.app, mechanic.user_id, each.month) for each in listed.statements[::-1]]
    for periods in (months, [statement(world.app, mechanic.user_id, year) for year in listed.years[::-1]]):
        payable = owed = 0
        for each in periods:
            assert (each.opening.payable_cents, each.opening.owed_cents) == (payable, owed)
            payable += sum(line.payable_cents for line in each.lines)
            owed += sum(line.owed_cents for line in each.lines)
            assert (each.closing.payable_cents, each.closing.owed_cents) == (payable, owed)
            assert sum(total.payable_cents for total in each.totals) == sum(line.payable_cents for line in each.lines)
            assert sum(total.lines for total in each.totals) == len(each.lines)
        assert payable == balance(world, accounts.mechanic_payable(mechanic.id))
        assert owed == -balance(world, accounts.mechanic_receivable(mechanic.id))
    assert [each.closing for each in months] == [each.closing for each in listed.statements[::-1]]
    return months
