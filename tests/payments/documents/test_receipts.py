"""Receipts and credit notes: one for whatever a customer paid or got back, numbered without gaps, never changed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from autodoctor.db import Database, Refused
from autodoctor.documents.receipts import ReceiptEntry, receipt, receipts_of
from autodoctor.errors import ReceiptNotFound
from autodoctor.ids import new_id
from autodoctor.intake.funded import start_funded_intake
from autodoctor.operations.privacy import erase_customer, export_customer
from autodoctor.payments.settlement import settle
from support.integrity.findings import findings
from support.invariants.sessions import violations
from support.money.checkout_env import SIGNED, CheckoutEnv
from support.money.purchases import buy, give
from support.money.refund_env import PRICE, RefundEnv
from support.world import World, intake_request

BOOK = """
INSERT INTO ledger_transfer (key, debit_account, credit_account, amount, currency, kind, intake_id)
VALUES ('session:' || %(id)s::uuid || ':charge', 'stripe', 'session:' || %(id)s::uuid || ':held',
        999, 'usd', 'charge', %(id)s)
"""


def documents(world: World, user_id: UUID) -> list[ReceiptEntry]:
    """A customer's documents, the oldest first."""
    return receipts_of(world.app, user_id).receipts[::-1]


def said(world: World, user_id: UUID) -> list[tuple[str, str, int | None, int | None]]:
    """What they say: kind, cause, cents, credits."""
    return [(each.kind, each.cause, each.amount_cents, each.credits) for each in documents(world, user_id)]


def right(world: World) -> None:
    assert violations(world.owner) == []


def test_a_payment_has_a_receipt_and_its_refund_a_credit_note(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id = refund_env.cancelled()
    refund_env.refunds()
    customer = refund_env.customer(session_id)
    paid, back = documents(world, customer)
    assert (paid.kind, paid.cause, paid.amount_cents, paid.session_id) == ("receipt", "session", PRICE, session_id)
    assert (back.kind, back.cause, back.amount_cents, back.corrects) == ("credit_note", "refund", PRICE, paid.number)
    assert [each.number.partition("-")[2] for each in (paid, back)] == ["000001", "000002"]
    shown = receipt(world.app, customer, back.receipt_id)
    assert [line.text for line in shown.lines] == [f"Refund: {paid.title}"]
    assert [other.number for other in shown.related] == [paid.number]
    right(world)


def test_the_parts_of_a_loss_are_one_credit_note(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id = refund_env.earned()
    refund_env.refund(session_id, 300)  # borne by platform and mechanic, in two rows of the ledger
    assert said(world, refund_env.customer(session_id))[1:] == [("credit_note", "refund", 300, None)]
    assert world.one("SELECT count(*) FROM receipt_lines WHERE amount < 300") == 2
    right(world)


def test_a_refund_that_does_not_arrive_is_corrected(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id = refund_env.buy()
    made = refund_env.refund(session_id, 300)
    refund_env.checkout_env.stripe.fail_refund(made)
    refund_env.tell()
    assert said(world, refund_env.customer(session_id))[1:] == [
        ("credit_note", "refund", 300, None),
        ("correction", "refund_failed", 300, None),
    ]
    right(world)


@pytest.mark.parametrize("won", [True, False])
def test_what_a_bank_takes_back_for_good_is_on_a_credit_note(refund_env: RefundEnv, *, won: bool) -> None:
    world = refund_env.checkout_env.world
    session_id = refund_env.earned()
    refund_env.decide(refund_env.dispute(session_id), won=won)
    lost = [] if won else [("credit_note", "dispute", PRICE, None)]
    assert said(world, refund_env.customer(session_id))[1:] == lost
    right(world)


def test_a_pack_has_a_receipt_in_money_and_what_its_credits_buy_one_in_credits(refund_env: RefundEnv) -> None:
    world, customer = refund_env.checkout_env.world, new_id()
    refund_env.pack(customer)
    session_id = buy(world, customer, "quick").session_id
    world.end(customer, session_id)
    settle(world.app, session_id)
    price = world.one("SELECT price_cents FROM credit_packs WHERE code = 'five'")
    assert said(world, customer) == [
        ("receipt", "credits", price, None),
        ("receipt", "session", None, 1),
        ("credit_note", "credits_returned", None, 1),
    ]
    assert receipt(world.app, customer, documents(world, customer)[0].receipt_id).lines[0].text == "5 credits"
    right(world)


def test_credits_that_were_given_have_no_receipt(world: World) -> None:
    customer = new_id()
    give(world, customer, 3)
    assert documents(world, customer) == []


def test_another_customers_receipt_does_not_exist(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    (mine,) = documents(world, refund_env.customer(refund_env.buy()))
    with pytest.raises(ReceiptNotFound):
        receipt(world.app, new_id(), mine.receipt_id)
    assert receipt(world.app, new_id(), mine.receipt_id, any_customer=True).number == mine.number


def test_documents_are_written_by_the_ledger_alone_and_never_changed(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    refund_env.buy()
    for statement in ("UPDATE receipts SET amount = 1", "DELETE FROM receipts", "DELETE FROM receipt_lines"):
        with pytest.raises(psycopg.Error):
            world.owner.execute(statement)  # one of these
    with pytest.raises((psycopg.errors.InsufficientPrivilege, Refused)):
        world.app.execute("UPDATE receipt_numbers SET last = 7", ())


def test_an_erasure_leaves_numbers_and_amounts_and_no_name(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id = refund_env.cancelled()
    customer = refund_env.customer(session_id)
    before = documents(world, customer)
    assert receipt(world.app, customer, before[0].receipt_id).customer_name
    owner = Database(lambda: world.urls.owner_url)
    assert [each["number"] for each in export_customer(owner, customer)["receipts"]] == [before[0].number]
    erase_customer(owner, customer, "test")
    owner.close()
    assert documents(world, customer) == before
    shown = receipt(world.app, customer, before[0].receipt_id)
    assert shown.customer_name is None
    assert world.one("SELECT email FROM checkouts") is None


# --- numbers --------------------------------------------------------------------------------------


def intakes(checkout_env: CheckoutEnv, count: int) -> list[UUID]:
    """Intakes by card that nobody has paid."""
    return [checkout_env.ask(new_id(), None, **SIGNED).intake_id for _ in range(count)]


def test_numbers_have_no_gaps_however_many_pay_at_once_and_give_up(checkout_env: CheckoutEnv) -> None:
    world = checkout_env.world
    ready = threading.Barrier(6)

    def pay(place: int, intake_id: UUID) -> None:
        with psycopg.connect(world.urls.app_url) as connection:
            connection.execute("SELECT 1")
            ready.wait()
            connection.execute(BOOK, {"id": intake_id})
            if place % 3 == 0:
                connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # it has taken its number
                connection.rollback()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(pay, range(6), intakes(checkout_env, 6)))
    found = world.owner.execute("SELECT sequence FROM receipts ORDER BY sequence").fetchall()
    assert [row["sequence"] for row in found] == [1, 2, 3, 4]
    assert world.one("SELECT last FROM receipt_numbers") == 4


def test_who_has_booked_and_dawdles_keeps_nobody_from_a_number(checkout_env: CheckoutEnv) -> None:
    """The number is taken by the commit, and so is the lock."""
    world = checkout_env.world
    slow, quick = intakes(checkout_env, 2)
    with psycopg.connect(world.urls.app_url) as dawdling:
        dawdling.execute(BOOK, {"id": slow})
        world.app.execute(BOOK, {"id": quick})
        assert world.one("SELECT intake_id FROM receipts") == quick
    assert world.one("SELECT count(*) FROM receipts") == 2


# --- tax, and where Stripe writes to ----------------------------------------------------------------


def page_at_stripe(checkout_env: CheckoutEnv) -> dict[str, Any]:
    found: dict[str, Any] = checkout_env.stripe.objects("checkout.session")[-1]
    return found


def test_stripe_tax_is_off_until_it_is_switched_on(refund_env: RefundEnv) -> None:
    refund_env.buy()
    page = page_at_stripe(refund_env.checkout_env)
    assert not page["automatic_tax"]["enabled"]
    assert not page["invoice_creation"]["enabled"]
    assert not page["tax_id_collection"]["enabled"]
    assert refund_env.checkout_env.one("SELECT tax FROM receipts") == 0


def test_tax_is_within_the_price_and_goes_back_in_proportion(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    world.owner.execute(
        "INSERT INTO settings (key, value)"
        " VALUES ('stripe_tax', 'on'), ('stripe_tax_ids', 'on'), ('stripe_invoices', 'on')"
    )
    session_id = refund_env.buy()
    page = page_at_stripe(refund_env.checkout_env)
    assert page["invoice_creation"]["enabled"]
    assert page["tax_id_collection"]["enabled"]
    refund_env.refund(session_id, 333)
    paid, back = documents(world, refund_env.customer(session_id))
    assert (paid.amount_cents, paid.tax_cents) == (PRICE, 91)
    assert (back.amount_cents, back.tax_cents) == (333, 30)
    right(world)


@pytest.mark.parametrize("confirmed", [True, False])
def test_stripe_writes_only_to_a_confirmed_address(checkout_env: CheckoutEnv, *, confirmed: bool) -> None:
    customer = new_id()
    if confirmed:
        checkout_env.ask(customer)
    else:
        request = intake_request(plan="quick", payWith="card", sessionType="chat")
        start_funded_intake(checkout_env.world.app, customer, request, None)
    page = page_at_stripe(checkout_env)
    address = "cora@example.com" if confirmed else None
    assert page["customer_email"] == address


def test_everything_verifies(refund_env: RefundEnv) -> None:
    world = refund_env.checkout_env.world
    session_id = refund_env.earned()
    refund_env.refund(session_id, 300)
    assert findings(world) == {}
