"""Reconciling: each kind of difference gets its own name, and no other; those that Stripe proves are booked once.

All differences are planted in one set of books, one after the other: those that a repair cannot book are found again.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from autodoctor.db import Database
from autodoctor.integrity.verify import verify
from autodoctor.payments.reconcile import Difference
from autodoctor.payments.reconcile.repair import Repairs, repair
from localcloud.database.postgres import PostgresServer
from support.money import discrepancies
from support.money.checkout_env import open_checkout
from support.money.discrepancies import Wrong
from support.money.reconcile_env import ReconcileEnv, kinds
from support.world import World


@pytest.fixture(scope="module")
def reconcile_env(postgres_server: PostgresServer, template_database: str) -> Iterator[ReconcileEnv]:
    """Give these tests books of their own."""
    with (
        postgres_server.temporary_database("reconcile", template_database) as database,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setenv("SESSION_BASE_URL", "https://sessions.example")
        world = World(database)
        with open_checkout(world, patched) as checkout_env:
            reconcile_env = ReconcileEnv.of(checkout_env)
            checkout_env.stripe.add_funds(100_000)
            yield reconcile_env
        world.close()


BOOKED: dict[Wrong, dict[str, int]] = {
    discrepancies.a_charge_lost: {"charge_unbooked": 1},
    discrepancies.a_pack_lost: {"charge_unbooked": 1},
    discrepancies.a_charge_of_another_amount: {"charge_differs": 1},
    discrepancies.a_refund_nobody_heard_of: {"refund_unbooked": 1},
    discrepancies.a_refund_lost: {"refund_unbooked": 1, "held_remains": 1},
    discrepancies.money_held_though_it_was_paid_back: {"refund_differs": 1, "negative_balance": 1},
    discrepancies.a_refund_that_came_back: {"refund_failed": 1},
    discrepancies.a_transfer_lost: {"transfer_unbooked": 1, "payable_differs": 1},
    discrepancies.a_transfer_not_noted: {"transfer_unbooked": 1},
    discrepancies.two_transfers_for_one_payout: {"transfer_duplicate": 1},
    discrepancies.a_reversal_nobody_heard_of: {"reversal_unbooked": 1},
    discrepancies.a_reversal_lost: {"reversal_unbooked": 1, "payable_differs": 1},
    discrepancies.a_dispute_nobody_heard_of: {"dispute_unbooked": 1, "fee_unbooked": 1},
    discrepancies.a_dispute_that_was_won: {"dispute_won_unbooked": 1},
    discrepancies.a_dispute_that_was_lost: {"dispute_end_unbooked": 1},
    discrepancies.a_fee_not_booked: {"fee_unbooked": 1},
    discrepancies.a_fee_of_another_amount: {"fee_differs": 1},
}
"""The differences that --repair books."""
LEFT: dict[Wrong, dict[str, int]] = {
    discrepancies.a_charge_of_no_checkout: {"charge_unknown": 1, "fee_unbooked": 1},
    discrepancies.a_payment_nobody_heard_of: {"charge_unfulfilled": 1, "fee_unbooked": 1},
    discrepancies.a_charge_that_stripe_does_not_have: {"charge_missing": 1},
    discrepancies.two_charges_for_one_checkout: {"charge_duplicate": 1, "fee_unbooked": 1},
    discrepancies.a_refund_that_stripe_does_not_have: {"refund_missing": 1},
    discrepancies.a_netting_lost: {"payable_differs": 1},
    discrepancies.a_transfer_of_no_payout: {"transfer_unknown": 1},
    discrepancies.a_transfer_that_stripe_does_not_have: {"transfer_missing": 1},
    discrepancies.a_transfer_that_only_its_payout_has: {"transfer_missing": 1},
    discrepancies.a_fee_that_stripe_does_not_have: {"fee_missing": 1},
    discrepancies.a_settlement_that_pays_too_much: {"settlement_differs": 2},
    discrepancies.money_held_after_settlement: {"held_remains": 1},
    discrepancies.a_payable_below_zero: {"negative_balance": 1, "settlement_differs": 1, "held_remains": 1},
}
"""The differences that a person has to decide."""


def new_differences(reconcile_env: ReconcileEnv, before: tuple[Difference, ...]) -> list[Difference]:
    """The differences that are new since then."""
    return [each for each in reconcile_env.compared().differences if each not in before]


def ill_booked(reconcile_env: ReconcileEnv) -> set[str]:
    """The findings of verify about rows of the ledger: their shape, their origin, and their owners."""
    return {slug for slug in verify(reconcile_env.checkout_env.world.owner).tallies if slug.startswith("ledger_")}


@pytest.mark.parametrize("wrong", BOOKED, ids=lambda wrong: wrong.__name__)
def test_what_stripe_proves_is_named_and_booked_once(reconcile_env: ReconcileEnv, wrong: Wrong) -> None:
    before, ill_before = reconcile_env.compared().differences, ill_booked(reconcile_env)
    wrong(reconcile_env)
    found = new_differences(reconcile_env, before)
    assert kinds(found) == BOOKED[wrong], found
    app = reconcile_env.checkout_env.world.app
    done = repair(app, reconcile_env.client, found)
    assert (len(done.keys) >= 1 or wrong is discrepancies.a_dispute_that_was_lost, done.left) == (True, ())
    assert new_differences(reconcile_env, before) == []
    assert ill_booked(reconcile_env) <= ill_before
    rows = reconcile_env.checkout_env.one("SELECT count(*) FROM ledger_transfer")
    assert repair(app, reconcile_env.client, found).keys == ()
    assert reconcile_env.checkout_env.one("SELECT count(*) FROM ledger_transfer") == rows
    reconcile_env.hear()  # whoever hears of it later finds it done
    reconcile_env.send()
    assert new_differences(reconcile_env, before) == []


@pytest.mark.parametrize("wrong", LEFT, ids=lambda wrong: wrong.__name__)
def test_what_a_person_has_to_decide_is_named_and_stays(reconcile_env: ReconcileEnv, wrong: Wrong) -> None:
    before = reconcile_env.compared().differences
    wrong(reconcile_env)
    found = new_differences(reconcile_env, before)
    assert kinds(found) == LEFT[wrong], found
    fees = [each for each in found if each.repairable]
    repair(reconcile_env.checkout_env.world.app, reconcile_env.client, found)
    assert new_differences(reconcile_env, before) == [each for each in found if each not in fees]


def test_two_repairs_at_once_book_once(reconcile_env: ReconcileEnv) -> None:
    before = reconcile_env.compared().differences
    for wrong in (
        discrepancies.a_fee_not_booked,
        discrepancies.a_charge_of_another_amount,
        discrepancies.a_refund_nobody_heard_of,
        discrepancies.two_transfers_for_one_payout,
    ):
        wrong(reconcile_env)
    found = new_differences(reconcile_env, before)
    together, databases = (
        Barrier(2),
        [Database(lambda: reconcile_env.checkout_env.world.urls.app_url) for _ in range(2)],
    )

    def book(database: Database) -> Repairs:
        """One operator's repair."""
        together.wait()
        return repair(database, reconcile_env.client, found)

    with ThreadPoolExecutor(2) as operators:
        done = list(operators.map(book, databases))
    for database in databases:
        database.close()
    assert [each.left for each in done] == [(), ()]
    assert new_differences(reconcile_env, before) == []
