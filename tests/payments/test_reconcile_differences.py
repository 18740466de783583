"""Reconciling: each thing that can be wrong is named as what it is, alone; what Stripe proves is booked, once.

All of it happens to one set of books, one thing after the other: what a repair cannot book stays, and is found again.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from autodoctor.db import Database
from autodoctor.integrity.verify import verify
from autodoctor.payments.reconcile import Difference
from autodoctor.payments.reconcile.repair import Repairs, repair
from integration.actors import Stage
from localcloud.database.postgres import PostgresServer
from payments import wrongs
from payments.auditor import Auditor, kinds
from payments.counter import opened_counter
from payments.wrongs import Wrong


@pytest.fixture(scope="module")
def auditor(postgres_server: PostgresServer, template_database: str) -> Iterator[Auditor]:
    """Give these tests books of their own."""
    with (
        postgres_server.temporary_database("reconcile", template_database) as database,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setenv("SESSION_BASE_URL", "https://sessions.example")
        stage = Stage(database)
        with opened_counter(stage, patched) as counter:
            auditor = Auditor.of(counter)
            counter.stripe.add_funds(100_000)
            yield auditor
        stage.close()


BOOKED: dict[Wrong, dict[str, int]] = {
    wrongs.a_charge_lost: {"charge_unbooked": 1},
    wrongs.a_pack_lost: {"charge_unbooked": 1},
    wrongs.a_charge_of_another_amount: {"charge_differs": 1},
    wrongs.a_refund_nobody_heard_of: {"refund_unbooked": 1},
    wrongs.a_refund_lost: {"refund_unbooked": 1, "held_remains": 1},
    wrongs.money_held_though_it_was_paid_back: {"refund_differs": 1, "negative_balance": 1},
    wrongs.a_refund_that_came_back: {"refund_failed": 1},
    wrongs.a_transfer_lost: {"transfer_unbooked": 1, "payable_differs": 1},
    wrongs.a_transfer_not_noted: {"transfer_unbooked": 1},
    wrongs.two_transfers_for_one_payout: {"transfer_duplicate": 1},
    wrongs.a_reversal_nobody_heard_of: {"reversal_unbooked": 1},
    wrongs.a_reversal_lost: {"reversal_unbooked": 1, "payable_differs": 1},
    wrongs.a_dispute_nobody_heard_of: {"dispute_unbooked": 1, "fee_unbooked": 1},
    wrongs.a_dispute_that_was_won: {"dispute_won_unbooked": 1},
    wrongs.a_dispute_that_was_lost: {"dispute_lost_unbooked": 1},
    wrongs.a_fee_not_booked: {"fee_unbooked": 1},
    wrongs.a_fee_of_another_amount: {"fee_differs": 1},
}
"""What --repair puts right."""
LEFT: dict[Wrong, dict[str, int]] = {
    wrongs.a_charge_of_no_checkout: {"charge_unknown": 1, "fee_unbooked": 1},
    wrongs.a_payment_nobody_heard_of: {"charge_unfulfilled": 1, "fee_unbooked": 1},
    wrongs.a_charge_that_stripe_does_not_have: {"charge_missing": 1},
    wrongs.two_charges_for_one_checkout: {"charge_duplicate": 1, "fee_unbooked": 1},
    wrongs.a_refund_that_stripe_does_not_have: {"refund_missing": 1},
    wrongs.a_transfer_of_no_payout: {"transfer_unknown": 1},
    wrongs.a_transfer_that_stripe_does_not_have: {"transfer_missing": 1},
    wrongs.a_transfer_that_only_its_payout_has: {"transfer_missing": 1},
    wrongs.a_fee_that_stripe_does_not_have: {"fee_missing": 1},
    wrongs.a_settlement_that_pays_too_much: {"settlement_differs": 2},
    wrongs.money_held_after_settlement: {"held_remains": 1},
    wrongs.a_payable_below_zero: {"negative_balance": 1, "settlement_differs": 1, "held_remains": 1},
}
"""What a person has to decide."""


def new_differences(auditor: Auditor, before: tuple[Difference, ...]) -> list[Difference]:
    """What is different now and was not then."""
    return [each for each in auditor.compared().differences if each not in before]


def ill_booked(auditor: Auditor) -> set[str]:
    """What verify finds wrong with rows of the ledger: their shape, their origin, and whose they are."""
    return {slug for slug in verify(auditor.counter.stage.owner).tallies if slug.startswith("ledger_")}


@pytest.mark.parametrize("wrong", BOOKED, ids=lambda wrong: wrong.__name__)
def test_what_stripe_proves_is_named_and_booked_once(auditor: Auditor, wrong: Wrong) -> None:
    before, ill_before = auditor.compared().differences, ill_booked(auditor)
    wrong(auditor)
    found = new_differences(auditor, before)
    assert kinds(found) == BOOKED[wrong], found
    app = auditor.counter.stage.app
    done = repair(app, auditor.client, found)
    assert (len(done.keys) >= 1 or wrong is wrongs.a_dispute_that_was_lost, done.left) == (True, ())
    assert new_differences(auditor, before) == []
    assert ill_booked(auditor) <= ill_before
    rows = auditor.counter.one("SELECT count(*) FROM ledger_transfer")
    assert repair(app, auditor.client, found).keys == ()
    assert auditor.counter.one("SELECT count(*) FROM ledger_transfer") == rows
    auditor.hear()  # whoever hears of it later finds it done
    auditor.send()
    assert new_differences(auditor, before) == []


@pytest.mark.parametrize("wrong", LEFT, ids=lambda wrong: wrong.__name__)
def test_what_a_person_has_to_decide_is_named_and_stays(auditor: Auditor, wrong: Wrong) -> None:
    before = auditor.compared().differences
    wrong(auditor)
    found = new_differences(auditor, before)
    assert kinds(found) == LEFT[wrong], found
    fees = [each for each in found if each.repairable]
    repair(auditor.counter.stage.app, auditor.client, found)
    assert new_differences(auditor, before) == [each for each in found if each not in fees]


def test_two_repairs_at_once_book_once(auditor: Auditor) -> None:
    before = auditor.compared().differences
    for wrong in (
        wrongs.a_fee_not_booked,
        wrongs.a_charge_of_another_amount,
        wrongs.a_refund_nobody_heard_of,
        wrongs.two_transfers_for_one_payout,
    ):
        wrong(auditor)
    found = new_differences(auditor, before)
    together, databases = Barrier(2), [Database(lambda: auditor.counter.stage.urls.app_url) for _ in range(2)]

    def book(database: Database) -> Repairs:
        """One operator's repair."""
        together.wait()
        return repair(database, auditor.client, found)

    with ThreadPoolExecutor(2) as operators:
        done = list(operators.map(book, databases))
    for database in databases:
        database.close()
    assert [each.left for each in done] == [(), ()]
    assert new_differences(auditor, before) == []
