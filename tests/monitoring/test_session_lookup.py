"""POST /api/admin/sessions/search, /contact: every form of text leads to its sessions, and every look is kept."""

from uuid import UUID

import pytest

from autodoctor.errors import SessionNotFound, Unprocessable
from autodoctor.ids import new_id
from autodoctor.monitoring.session_lookup import SearchRequest, Sought, customer_contact, find_sessions, sought
from support.world import World

ADMIN = new_id()


def found(world: World, text: str, **page: object) -> list[UUID]:
    request = SearchRequest.model_validate({"text": text, **page})
    return [each.session_id for each in find_sessions(world.app, ADMIN, request).sessions]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Nora New", Sought("name", "Nora:* & New:*")),
        ("o'brien", Sought("name", "o:* & brien:*")),
        ("Zoë & (x | !y):*", Sought("name", "Zoë:* & x:* & y:*")),
        ("nora@", Sought("email", "nora@")),
        ("+1 (555) 010-9999", Sought("phone", "550109999")),
        ("9999", Sought("phone", "9999")),
        ("pi_3abc", Sought("payment", "pi_3abc")),
        ("tr_1x", Sought("payment", "tr_1x")),
        ("2026-000123", Sought("receipt", "2026-000123")),
        ("019A0000-0000-7000-8000-000000000000", Sought("id", "019a0000-0000-7000-8000-000000000000")),
    ],
)
def test_the_form_of_a_text_says_what_it_is(text: str, meant: Sought) -> None:
    assert sought(text) == meant


@pytest.mark.parametrize("text", ["N", "555", "-", "'"])
def test_too_little_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable):
        sought(text)


def test_people_are_found_by_what_they_gave(world: World) -> None:
    customer = new_id()
    nora = world.queued(
        customer, name="Nora O'Brien-New", email="Nora.New_1@example.com", phone="+49 (30) 123-45678"
    ).session_id
    world.queued(name="Zed Other", email="nora.newx1@example.com")
    for text in (
        "nor",
        "new",
        "brien nora",
        "NORA.new_1@ex",
        "012345678",
        "5678",
        "030 123 45678",
        str(nora),
        str(customer),
    ):
        assert found(world, text) == [nora], text
    assert found(world, "nora zed") == []


def test_a_mechanic_leads_to_their_sessions(world: World) -> None:
    mechanic = world.mechanic()
    session = world.waiting(mechanic).session_id
    for text in ("mia", str(mechanic.id), str(mechanic.user_id)):
        assert found(world, text) == [session]


def test_pages_follow_each_other_and_each_look_is_kept(world: World) -> None:
    sessions = [world.queued(name="Cora Castillo").session_id for _ in range(3)]
    page = find_sessions(world.app, ADMIN, SearchRequest(text="cora", limit=2))
    assert [each.session_id for each in page.sessions] == [sessions[2], sessions[1]]
    assert found(world, "cora", limit=2, cursor=page.next_cursor) == [sessions[0]]
    kept = world.owner.execute("SELECT actor_id, kind, found FROM admin_lookups ORDER BY at").fetchall()
    assert [(row["actor_id"], row["kind"], row["found"]) for row in kept] == [
        (ADMIN, "name", [sessions[2], sessions[1]]),
        (ADMIN, "name", [sessions[0]]),
    ]


def test_how_to_reach_a_customer_is_shown_and_kept(world: World) -> None:
    session = world.queued(name="Nora New", email="nora@example.com", phone="+49 30 12345678").session_id
    contact = customer_contact(world.app, ADMIN, session)
    assert (contact.name, contact.email, contact.phone) == ("Nora New", "nora@example.com", "+49 30 12345678")
    assert world.one("SELECT found FROM admin_lookups WHERE kind = 'contact'") == [session]
    with pytest.raises(SessionNotFound):
        customer_contact(world.app, ADMIN, new_id())
    assert world.one("SELECT count(*) FROM admin_lookups") == 1
