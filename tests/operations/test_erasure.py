"""Personal data on request: the copy has all of it, and after the erasure no row of the database has any."""

import json
from collections.abc import Iterator
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from autodoctor.contests.contests import AnswerRequest, ContestRequest, answer, contest
from autodoctor.contests.errors import ContestNotOpen
from autodoctor.db import Database
from autodoctor.errors import CustomerErased, SessionNotFound
from autodoctor.ids import new_id
from autodoctor.operations.mechanic_privacy import (
    MechanicUnsettled,
    NoSuchMechanic,
    erase_mechanic,
    export_mechanic,
)
from autodoctor.operations.privacy import CustomerBusy, NoSuchCustomer, erase_customer, export_customer
from autodoctor.payments.settlement import settle
from autodoctor.quotes.quotes import AmountRequest, EscalationRequest, escalate, give_amount
from autodoctor.sessions.accept import decline
from autodoctor.sessions.active import session_detail
from autodoctor.sessions.end import Ender, end_session, explain_end
from autodoctor.sessions.notes import NotesRequest, save_notes
from localcloud.cli import app
from support.files.attachment_rows import attachment
from support.money import purchases
from support.world import Mechanic, World

PERSONAL = {
    "name": "Zerline Quodlibet",
    "email": "zerline@quodlibet.example",
    "phone": "+49 555 0199",
    "concern": "The gearbox howls like a wolverine",
}
VIN = "1HGCM82633A004352"
SIGNED, NOTES = "Z. Quodlibet (signed)", "Told Zerline to change the oil"
SAID, ANSWERED = "I am at 12 Wolverine Lane", "Then I know where it is, Zerline"
FILE, ANSWER = "quodlibet licence plate.png", "quodlibet gearbox.png"
SECRETS = (*PERSONAL.values(), VIN, SIGNED, NOTES, SAID, ANSWERED, FILE, ANSWER, "Zerline")


@pytest.fixture
def owner(world: World) -> Iterator[Database]:
    """The database as its owner."""
    database = Database(lambda: world.urls.owner_url)
    yield database
    database.close()


_SAY: LiteralString = "SELECT outcome FROM post_message(%s, %s, %s, %s, %s)"


def completed(world: World, customer: UUID, mechanic: Mechanic | None = None) -> UUID:
    """A completed session of the customer's, paid with credits, with words in every place that takes some."""
    mechanic = mechanic or world.mechanic()
    created = purchases.buy(
        world,
        customer,
        **PERSONAL,
        vehicle={"year": 2019, "make": "Volvo", "model": "V60", "vin": VIN},
        waiver={"signedName": SIGNED},
    )
    attachment(world, customer, session=created.session_id, place=1, name=FILE)
    world.accept(mechanic, created)
    for party, words, name in ((customer, SAID, FILE), (mechanic, ANSWERED, ANSWER)):
        user = party.user_id if isinstance(party, Mechanic) else party
        shown = attachment(world, party, session=created.session_id, name=name)
        assert world.app.one(_SAY, (created.session_id, user, new_id(), words, shown)) == {"outcome": "posted"}
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
    with pytest.raises(CustomerBusy, match=f"the active session {created.session_id}; end it first"):
        erase_customer(owner, customer, "ada")
    end_session(world.app, Ender(customer, actor="customer"), created.session_id)
    erase_customer(owner, customer, "ada")


def test_nothing_is_said_of_an_erased_customer_any_more(world: World, owner: Database) -> None:
    customer, mechanic, workshop = new_id(), world.mechanic(), world.workshop()
    purchases.give(world, customer, 10)
    contested, session = (completed(world, customer, mechanic) for _ in range(2))
    for each in (contested, session):
        settle(world.app, each)
    contest(world.app, customer, contested, ContestRequest(reason="other", text=SAID))
    erase_customer(owner, customer, "ada")
    with pytest.raises(ContestNotOpen) as refused:
        contest(world.app, customer, session, ContestRequest(reason="other", text=SAID))
    assert refused.value.extras == {"contestState": "erased"}
    with pytest.raises(ContestNotOpen):
        answer(world.app, mechanic.user_id, contested, AnswerRequest(text=ANSWERED))
    question = EscalationRequest.model_validate({"workshopId": workshop, "note": ANSWERED})
    asked = escalate(world.app, mechanic.user_id, session, question)
    given = AmountRequest.model_validate({"amountCents": 100, "description": ANSWERED})
    assert give_amount(world.app, world.mechanic(workshop).user_id, asked.quote_id, given).description is None
    assert {name: word for name, rows in everything(world).items() for word in SECRETS if word in rows} == {}


def test_an_operators_late_words_on_an_end_are_not_kept_after_the_erasure(world: World, owner: Database) -> None:
    customer, operator = new_id(), Ender(new_id(), any_session=True)
    session = world.waiting(world.mechanic(), customer).session_id
    end_session(world.app, operator, session)
    erase_customer(owner, customer, "ada")
    explain_end(world.app, operator, session, SAID)
    assert SAID not in everything(world)["end_explanations"]


def test_nobody_is_not_erased(owner: Database) -> None:
    with pytest.raises(NoSuchCustomer):
        erase_customer(owner, new_id(), "ada")
    with pytest.raises(NoSuchCustomer):
        export_customer(owner, new_id())


_CALLED: LiteralString = """
INSERT INTO push_subscriptions (user_id, endpoint, public_key, secret)
VALUES (%(user)s, 'https://push.example/zerline', decode(repeat('04', 65), 'hex'), decode(repeat('04', 16), 'hex'))
"""
_BOUGHT: LiteralString = """
WITH spoken AS (INSERT INTO notification_locales (user_id, locale) VALUES (%(user)s, 'es'))
INSERT INTO checkouts (id, kind, user_id, pack_code, credits, title, amount_cents, currency, idempotency_key, status)
VALUES (new_id(), 'pack', %(user)s, 'five', 5, '5 credits', 4499, 'usd', 'pack:1', %(status)s)
"""
ENDPOINT = "https://push.example/zerline"


def test_who_never_began_an_intake_is_copied_and_erased_all_the_same(world: World, owner: Database) -> None:
    customer = new_id()
    world.owner.execute(_CALLED, {"user": customer})
    world.owner.execute(_BOUGHT, {"user": customer, "status": "expired"})
    world.owner.execute("UPDATE checkouts SET email = %s", [PERSONAL["email"]])  # as their address is confirmed
    attachment(world, customer, name=FILE)
    document = export_customer(owner, customer)
    text = json.dumps(document)
    assert [word for word in (ENDPOINT, PERSONAL["email"], FILE, "5 credits") if word not in text] == []
    assert (document["customer"], document["locale"], document["sessions"]) == (None, "es", [])
    assert erase_customer(owner, customer, "ada").sessions == 0
    after = everything(world)
    gone = (ENDPOINT, PERSONAL["email"], FILE)
    assert {name: word for name, rows in after.items() for word in gone if word in rows} == {}
    assert str(customer) not in after["notification_locales"] + after["push_subscriptions"]
    with pytest.raises(CustomerErased):
        world.pending(customer)


def test_a_second_erasure_erases_what_came_since_and_shows_the_first_proof(world: World, owner: Database) -> None:
    customer = new_id()
    world.end(customer, world.pending(customer).session_id)
    proof = erase_customer(owner, customer, "ada")
    world.owner.execute(_CALLED, {"user": customer})
    assert erase_customer(owner, customer, "bob") == proof
    assert ENDPOINT not in everything(world)["push_subscriptions"]


def test_an_open_page_of_one_who_never_began_an_intake_has_to_close_first(world: World, owner: Database) -> None:
    customer = new_id()
    world.owner.execute(_BOUGHT, {"user": customer, "status": "open"})
    with pytest.raises(CustomerBusy, match="an open payment; end it first"):
        erase_customer(owner, customer, "ada")


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


# --- mechanics -----------------------------------------------------------------------------------------


def test_a_mechanics_copy_has_what_they_said_and_sent_and_not_what_customers_did(world: World, owner: Database) -> None:
    customer, mechanic = new_id(), world.mechanic()
    purchases.give(world, customer, 5)
    session = completed(world, customer, mechanic)
    document = export_mechanic(owner, mechanic.user_id)
    text = json.dumps(document, ensure_ascii=False)
    assert [word for word in (ANSWERED, ANSWER, NOTES) if word not in text] == []
    assert [word for word in (SAID, FILE, *PERSONAL.values()) if word in text] == []
    assert [each["sessionId"] for each in document["sessions"]] == [str(session)]


def test_a_mechanic_is_erased_and_the_customers_record_stays(world: World, owner: Database) -> None:
    customer, mechanic = new_id(), world.mechanic()
    world.owner.execute(
        "UPDATE mechanics SET name = 'Quirin Zapf', email = 'quirin@zapf.example' WHERE id = %s", [mechanic.id]
    )
    purchases.give(world, customer, 5)
    completed(world, customer, mechanic)
    world.owner.execute("DELETE FROM settlements_due")
    world.owner.execute(
        "UPDATE mechanics SET status = 'suspended', suspension_reason = 'Quirin came late' WHERE id = %s", [mechanic.id]
    )
    proof = erase_mechanic(owner, mechanic.user_id, "ada")
    after = everything(world)
    gone = ("Quirin", "quirin@zapf.example", ANSWERED, ANSWER)
    assert {name: word for name, rows in after.items() for word in gone if word in rows} == {}
    text = json.dumps(export_customer(owner, customer), ensure_ascii=False)
    assert [word for word in (SAID, FILE, NOTES) if word not in text] == []
    assert world.one("SELECT status FROM mechanics WHERE id = %s", mechanic.id) == "suspended"
    assert (proof.sessions, proof.erased_by) == (1, "autodoctor_owner:ada")
    assert erase_mechanic(owner, mechanic.user_id, "bob") == proof


@pytest.mark.parametrize("whose", ["customer", "mechanic"])
def test_why_a_mechanic_declined_is_in_their_copy_until_either_is_erased(
    world: World, owner: Database, whose: str
) -> None:
    customer, mechanic = new_id(), world.mechanic()
    offered = world.queued(customer, preferredMechanicId=str(mechanic.id))
    decline(world.app, mechanic.user_id, offered.assignment_id, why := "Too far from Zapf Street")
    world.end(customer, offered.session_id)
    (said,) = export_mechanic(owner, mechanic.user_id)["declines"]
    assert (said["sessionId"], said["reason"]) == (str(offered.session_id), why)
    assert [name for name, rows in everything(world).items() if why in rows] == ["session_assignments"]
    if whose == "customer":
        erase_customer(owner, customer, "ada")
    else:
        erase_mechanic(owner, mechanic.user_id, "ada")
    assert [name for name, rows in everything(world).items() if why in rows] == []


def test_a_mechanics_words_on_quotes_are_theirs_and_go_with_them(world: World, owner: Database) -> None:
    customer, mechanic, workshop = new_id(), world.mechanic(), world.workshop()
    giver, note, description = world.mechanic(workshop), "Call me, Quirin", "Ask for Gus Zapf"
    purchases.give(world, customer, 5)
    session = completed(world, customer, mechanic)
    world.owner.execute("DELETE FROM settlements_due")
    request = EscalationRequest.model_validate({"workshopId": workshop, "note": note})
    asked = escalate(world.app, mechanic.user_id, session, request)
    amount = AmountRequest.model_validate({"amountCents": 100, "description": description})
    give_amount(world.app, giver.user_id, asked.quote_id, amount)
    steps = everything(world)["quote_events"]
    for who, own, other in ((giver, description, note), (mechanic, note, description)):
        copy = json.dumps(export_mechanic(owner, who.user_id))
        assert (own in copy, other in copy) == (True, False)
    erase_mechanic(owner, giver.user_id, "ada")
    assert world.one("SELECT ARRAY[note, description] FROM quotes") == [note, None]
    erase_mechanic(owner, mechanic.user_id, "ada")
    assert world.one("SELECT ARRAY[note, description] FROM quotes") == [None, None]
    assert everything(world)["quote_events"] == steps


def test_an_erased_mechanic_answers_no_contest_and_what_came_since_goes_with_a_second_erasure(
    world: World, owner: Database
) -> None:
    customer, mechanic = new_id(), world.mechanic()
    purchases.give(world, customer, 5)
    session = completed(world, customer, mechanic)
    settle(world.app, session)
    contest(world.app, customer, session, ContestRequest(reason="other", text=SAID))
    with world.without_triggers() as connection:
        connection.execute("DELETE FROM payouts")
    proof = erase_mechanic(owner, mechanic.user_id, "ada")
    with pytest.raises(SessionNotFound):
        answer(world.app, mechanic.user_id, session, AnswerRequest(text=ANSWERED))
    world.owner.execute(_CALLED, {"user": mechanic.user_id})
    assert erase_mechanic(owner, mechanic.user_id, "bob") == proof
    assert ENDPOINT not in everything(world)["push_subscriptions"]


def test_a_mechanic_whose_payout_failed_is_owed_it(world: World, owner: Database) -> None:
    customer, mechanic = new_id(), world.mechanic()
    purchases.give(world, customer, 5)
    settle(world.app, completed(world, customer, mechanic))
    world.owner.execute("UPDATE payouts SET state = 'failed', next_attempt_at = NULL")
    with pytest.raises(MechanicUnsettled):
        erase_mechanic(owner, mechanic.user_id, "ada")


def test_who_was_both_is_erased_as_each(world: World, owner: Database) -> None:
    user = new_id()
    world.mechanic(user_id=user)
    world.end(user, world.pending(user).session_id)
    assert erase_customer(owner, user, "ada").user_id == erase_mechanic(owner, user, "ada").user_id == user
    assert world.one("SELECT count(*) FROM erasures") == 2


def test_a_mechanic_with_a_session_or_money_to_come_is_not_erased_yet(world: World, owner: Database) -> None:
    mechanic, customer = world.mechanic(), new_id()
    session = world.live(mechanic, customer).session_id
    with pytest.raises(MechanicUnsettled):
        erase_mechanic(owner, mechanic.user_id, "ada")
    world.end(customer, session)
    world.owner.execute("DELETE FROM settlements_due")
    assert erase_mechanic(owner, mechanic.user_id, "ada").sessions == 1
    purchases.give(world, customer, 5)
    paid = world.mechanic()
    completed(world, customer, paid)
    with pytest.raises(MechanicUnsettled):
        erase_mechanic(owner, paid.user_id, "ada")


def test_no_mechanic_is_not_erased(owner: Database, world: World) -> None:
    with pytest.raises(NoSuchMechanic):
        erase_mechanic(owner, new_id(), "ada")
    with pytest.raises(NoSuchMechanic):
        export_mechanic(owner, new_id())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.app.one("SELECT erase_mechanic(%s, 'me')", [new_id()])


def test_the_mechanics_command_writes_the_copy_and_the_proof(world: World) -> None:
    mechanic = world.mechanic()
    url = ["--database-url", world.urls.owner_url]
    copy = CliRunner().invoke(app, ["mechanic", "export", str(mechanic.user_id), *url])
    assert json.loads(copy.stdout)["mechanic"]["name"] == "Mia"
    proof = CliRunner().invoke(app, ["mechanic", "erase", str(mechanic.user_id), "--yes", *url])
    assert json.loads(proof.stdout)["userId"] == str(mechanic.user_id)
    unknown = CliRunner().invoke(app, ["mechanic", "export", str(new_id()), *url])
    assert (unknown.exit_code, "there is no mechanic" in unknown.stderr) == (1, True)
