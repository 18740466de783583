"""Personal data on request: the copy has all of it, and after the erasure no row of the database has any."""

import json
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from autodoctor.db import Database
from autodoctor.errors import CustomerErased
from autodoctor.ids import new_id
from autodoctor.operations.privacy import CustomerBusy, NoSuchCustomer, erase_customer, export_customer
from autodoctor.sessions.active import session_detail
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.notes import NotesRequest, save_notes
from localcloud.cli import app
from support.money import purchases
from support.world import World

PERSONAL = {
    "name": "Zerline Quodlibet",
    "email": "zerline@quodlibet.example",
    "phone": "+49 555 0199",
    "concern": "The gearbox howls like a wolverine",
}
VIN = "1HGCM82633A004352"
SIGNED, NOTES = "Z. Quodlibet (signed)", "Told Zerline to change the oil"
SECRETS = (*PERSONAL.values(), VIN, SIGNED, NOTES, "Zerline")


@pytest.fixture
def owner(world: World) -> Iterator[Database]:
    """The database as its owner."""
    database = Database(lambda: world.urls.owner_url)
    yield database
    database.close()


def completed(world: World, customer: UUID) -> UUID:
    """A completed session of the customer's, paid with credits, with words in every place that takes some."""
    mechanic = world.mechanic()
    created = purchases.buy(
        world,
        customer,
        **PERSONAL,
        vehicle={"year": 2019, "make": "Volvo", "model": "V60", "vin": VIN},
        waiver={"signedName": SIGNED},
    )
    purchases.complete(world, created, customer, mechanic)
    save_notes(world.app, mechanic.user_id, created.session_id, NotesRequest(text=NOTES, version=1, confirmed=True))
    return created.session_id


def everything(world: World) -> dict[str, str]:
    """Every row of every table of ours, as text, by table."""
    tables = [
        row["name"]
        for row in world.owner.execute("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
    ]
    text = {}
    for name in tables:
        query = sql.SQL("SELECT coalesce(string_agg(t::text, E'\\n'), '') AS rows FROM {} AS t").format(
            sql.Identifier(name)
        )
        row = world.owner.execute(query).fetchone()
        assert row is not None
        text[name] = row["rows"]
    return text


def test_the_copy_has_every_word_the_customer_gave(world: World, owner: Database) -> None:
    customer = new_id()
    purchases.give(world, customer, 5)
    session = completed(world, customer)
    document = export_customer(owner, customer)
    text = json.dumps(document, ensure_ascii=False)
    assert [word for word in SECRETS if word not in text] == []
    assert document["sessions"][0]["session"]["id"] == str(session)
    assert {row["kind"] for row in document["ledger"]} == {"credit_grant", "credit_hold"}


def test_after_the_erasure_no_row_anywhere_has_any_of_it(world: World, owner: Database) -> None:
    customer = new_id()
    purchases.give(world, customer, 5)
    completed(world, customer)
    before = everything(world)
    assert any(word in rows for rows in before.values() for word in SECRETS)
    proof = erase_customer(owner, customer, "ada")
    after = everything(world)
    assert {name: word for name, rows in after.items() for word in SECRETS if word in rows} == {}
    kept = ("ledger_transfer", "credit_balances", "session_events", "session_assignment_events", "settlements_due")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert (proof.sessions, proof.erased_by) == (1, "autodoctor_owner:ada")
    assert erase_customer(owner, customer, "bob") == proof


def test_another_customer_is_untouched(world: World, owner: Database) -> None:
    erased, other = new_id(), new_id()
    for customer in (erased, other):
        purchases.give(world, customer, 5)
        completed(world, customer)
    before = export_customer(owner, other)
    erase_customer(owner, erased, "ada")
    assert export_customer(owner, other) == before


def test_an_erased_customer_starts_no_session_but_the_record_stays(world: World, owner: Database) -> None:
    customer = new_id()
    purchases.give(world, customer, 5)
    session = completed(world, customer)
    erase_customer(owner, customer, "ada")
    with pytest.raises(CustomerErased):
        world.pending(customer)
    detail = session_detail(world.app, new_id(), session, any_session=True)
    assert (detail.status, detail.concern, detail.vehicle, detail.mechanic_notes) == ("completed", "[erased]", {}, None)


def test_an_active_session_or_an_open_payment_has_to_end_first(world: World, owner: Database) -> None:
    customer = new_id()
    created = world.pending(customer)
    with pytest.raises(CustomerBusy):
        erase_customer(owner, customer, "ada")
    end_session(world.app, Ender(customer, actor="customer"), created.session_id)
    erase_customer(owner, customer, "ada")


def test_nobody_is_not_erased(owner: Database) -> None:
    with pytest.raises(NoSuchCustomer):
        erase_customer(owner, new_id(), "ada")
    with pytest.raises(NoSuchCustomer):
        export_customer(owner, new_id())


def test_the_application_role_can_erase_nobody(world: World) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.app.one("SELECT erase_customer(%s, 'me')", [new_id()])


def test_the_command_writes_the_copy_and_the_proof_and_says_whom_it_does_not_know(world: World) -> None:
    customer = new_id()
    purchases.give(world, customer, 5)
    completed(world, customer)
    url = ["--database-url", world.urls.owner_url]
    copy = CliRunner().invoke(app, ["customer", "export", str(customer), *url])
    assert PERSONAL["email"] in copy.stdout
    proof = CliRunner().invoke(app, ["customer", "erase", str(customer), "--yes", *url])
    assert json.loads(proof.stdout)["userId"] == str(customer)
    unknown = CliRunner().invoke(app, ["customer", "erase", str(new_id()), "--yes", *url])
    assert (unknown.exit_code, "there is no customer" in unknown.stderr) == (1, True)
