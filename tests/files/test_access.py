"""Who may read a file: every kind of caller, for every way in which a file belongs to a session."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from autodoctor.sessions.presence import release
from support.account import Account, Caller
from support.files.attachment_rows import attachment
from support.world import Mechanic


@dataclass(frozen=True)
class People:
    """The people around one session, and the session."""

    account: Account
    customer: UUID
    mechanic: Mechanic
    session: UUID


def unused(people: People) -> UUID:
    """Uploaded by the customer, named by no intake."""
    return attachment(people.account.world, people.customer)


def first_picture(people: People) -> UUID:
    return attachment(people.account.world, people.customer, session=people.session, place=1)


def second_picture(people: People) -> UUID:
    first_picture(people)
    return attachment(people.account.world, people.customer, session=people.session, place=2)


def in_room(people: People) -> UUID:
    """Sent by the customer in the room."""
    return attachment(people.account.world, people.customer, session=people.session)


def of_mechanic(people: People) -> UUID:
    """Sent by the mechanic in the room."""
    return attachment(people.account.world, people.mechanic, session=people.session)


def queued(account: Account, customer: UUID, _mechanic: Mechanic) -> UUID:
    return account.world.queued(customer).session_id


def unsigned(account: Account, customer: UUID, _mechanic: Mechanic) -> UUID:
    return account.world.pending(customer).session_id


def offered(account: Account, customer: UUID, mechanic: Mechanic) -> UUID:
    return account.world.queued(customer, preferredMechanicId=mechanic.id).session_id


def workshops_own(account: Account, customer: UUID, _mechanic: Mechanic) -> UUID:
    """A request that only another workshop's mechanics see."""
    workshop = account.world.workshop()
    account.world.mechanic(workshop)
    return account.world.queued(customer, workshopId=workshop).session_id


def accepted(account: Account, customer: UUID, mechanic: Mechanic) -> UUID:
    return account.world.waiting(mechanic, customer).session_id


def live(account: Account, customer: UUID, mechanic: Mechanic) -> UUID:
    return account.world.live(mechanic, customer).session_id


def over(account: Account, customer: UUID, mechanic: Mechanic) -> UUID:
    session = live(account, customer, mechanic)
    account.world.end(customer, session)
    return session


def given_back(account: Account, customer: UUID, mechanic: Mechanic) -> UUID:
    """Accepted and given back by the mechanic, then taken by another."""
    session = account.world.waiting(mechanic, customer).session_id
    release(account.world.app, mechanic.user_id, session)
    account.world.accept_current(account.world.mechanic(), session)
    return session


CALLERS: Final[dict[str, Callable[[People], Caller]]] = {
    "customer": lambda people: people.account.customer(people.customer),
    "other customer": lambda people: people.account.customer(),
    "mechanic": lambda people: people.account.mechanic(people.mechanic),
    "other mechanic": lambda people: people.account.mechanic(),
    "suspended mechanic": lambda people: people.account.mechanic(suspended(people.account)),
    "unknown mechanic": lambda people: people.account.caller("mechanics"),
    "admin": lambda people: people.account.admin(),
    "nobody's group": lambda people: people.account.caller("visitors", people.customer),
}


def suspended(account: Account) -> Mechanic:
    mechanic = account.world.mechanic()
    account.sql("UPDATE mechanics SET status = 'suspended' WHERE id = %s", mechanic.id)
    return mechanic


OWN: Final = {"customer"}
PARTIES: Final = {"customer", "mechanic", "admin"}
WHOEVER_SEES_THE_REQUEST: Final = PARTIES | {"other mechanic"}
CASES: Final = {
    "not used": (queued, unused, OWN),
    "unsigned, first picture": (unsigned, first_picture, OWN | {"admin"}),
    "queued, first picture": (queued, first_picture, WHOEVER_SEES_THE_REQUEST),
    "queued, second picture": (queued, second_picture, OWN | {"admin"}),
    "queued, in the room": (queued, in_room, OWN | {"admin"}),
    "offered, first picture": (offered, first_picture, PARTIES),
    "of a workshop, first picture": (workshops_own, first_picture, OWN | {"admin"}),
    "live, first picture": (live, first_picture, PARTIES),
    "live, second picture": (live, second_picture, PARTIES),
    "live, in the room": (live, in_room, PARTIES),
    "live, of the mechanic": (live, of_mechanic, PARTIES),
    "over, in the room": (over, in_room, PARTIES),
    "over, of the mechanic": (over, of_mechanic, PARTIES),
    "given back, first picture": (given_back, first_picture, OWN | {"admin"}),
    "given back, in the room": (given_back, in_room, OWN | {"admin"}),
    "given back, of the mechanic who did": (given_back, of_mechanic, PARTIES),
}


@pytest.mark.parametrize("case", CASES)
def test_who_may_read_a_file(account: Account, case: str) -> None:
    walk, made, readers = CASES[case]
    customer, mechanic = new_id(), account.world.mechanic()
    people = People(account, customer, mechanic, walk(account, customer, mechanic))
    file = made(people)
    answers = {name: caller(people).send("GET", f"/api/attachments/{file}") for name, caller in CALLERS.items()}
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses == {**dict.fromkeys(CALLERS, 404), **dict.fromkeys(readers, 200), "nobody's group": 403}
    for name in readers:
        assert answers[name].json()["attachmentId"] == str(file)


@pytest.mark.parametrize(("walk", "status"), [(accepted, 404), (live, 201)])
def test_a_suspended_mechanic_sends_files_only_where_it_is_live(
    account: Account, walk: Callable[[Account, UUID, Mechanic], UUID], status: int
) -> None:
    """As with words. One that is not live is given back with the suspension."""
    mechanic, customer = account.world.mechanic(), new_id()
    session = walk(account, customer, mechanic)
    account.sql("UPDATE mechanics SET status = 'suspended' WHERE id = %s", mechanic.id)
    body = {"name": "x", "contentType": "image/png", "bytes": 1, "sha256": "0" * 64}
    answer = account.mechanic(mechanic).send("POST", f"/api/sessions/{session}/attachments", body)
    assert answer.status_code == status


def test_an_id_that_is_none_is_not_found(account: Account) -> None:
    assert account.customer().send("GET", "/api/attachments/picture").status_code == 404
