"""The people of the local cloud: fixed, so that an id copied yesterday means the same person today."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import psycopg

type Group = Literal["customers", "mechanics", "admins"]

WORKSHOP_ID = UUID("30000000-0000-4000-8000-000000000001")
WORKSHOP_NAME = "Wheelhouse Garage"


@dataclass(frozen=True)
class Person:
    """A person with a token. `key` is the name on the command line, `sub` the user's id in the token."""

    key: str
    name: str
    sub: UUID
    group: Group
    row_id: UUID | None = None
    workshop_id: UUID | None = None


ROSTER = (
    Person("customer1", "Cora Castillo", UUID("c0000000-0000-4000-8000-000000000001"), "customers"),
    Person("customer2", "Cyrus Chen", UUID("c0000000-0000-4000-8000-000000000002"), "customers"),
    Person("customer3", "Clara Costa", UUID("c0000000-0000-4000-8000-000000000003"), "customers"),
    Person(
        "mechanic1",
        "Mia Moreno",
        UUID("e0000000-0000-4000-8000-000000000001"),
        "mechanics",
        row_id=UUID("20000000-0000-4000-8000-000000000001"),
    ),
    Person(
        "mechanic2",
        "Max Meyer",
        UUID("e0000000-0000-4000-8000-000000000002"),
        "mechanics",
        row_id=UUID("20000000-0000-4000-8000-000000000002"),
    ),
    Person(
        "workshopMechanic",
        "Walt Weber",
        UUID("e0000000-0000-4000-8000-000000000003"),
        "mechanics",
        row_id=UUID("20000000-0000-4000-8000-000000000003"),
        workshop_id=WORKSHOP_ID,
    ),
    Person("admin", "Ada Adler", UUID("a0000000-0000-4000-8000-000000000001"), "admins"),
)


def seed(owner_url: str) -> None:
    """Add the people who are missing from the database; existing ones stay unchanged."""
    with psycopg.connect(owner_url) as connection:
        connection.execute(
            "INSERT INTO workshops (id, name) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING",
            [WORKSHOP_ID, WORKSHOP_NAME],
        )
        for person in ROSTER:
            if person.group == "customers":
                _seed_customer(connection, person)
            elif person.group == "mechanics":
                _seed_mechanic(connection, person)


def _seed_customer(connection: psycopg.Connection, person: Person) -> None:
    connection.execute(
        "INSERT INTO customers (user_id, name, email) VALUES (%s, %s, %s) ON CONFLICT (user_id) DO NOTHING",
        [person.sub, person.name, _address(person)],
    )


def _address(person: Person) -> str:
    return f"{person.name.split()[0].lower()}@example.com"


def _seed_mechanic(connection: psycopg.Connection, person: Person) -> None:
    connection.execute(
        # available until further notice, so that a request for one of them is offered at once
        "INSERT INTO mechanics (id, user_id, name, email, workshop_id, available_until) "
        "VALUES (%s, %s, %s, %s, %s, 'infinity') ON CONFLICT DO NOTHING",
        [person.row_id, person.sub, person.name, _address(person), person.workshop_id],
    )
