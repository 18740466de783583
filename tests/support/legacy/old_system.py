"""A database of the old system, as broken as real ones: drifted enums, missing columns, rows that disagree."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

SCHEMA: Final = """
CREATE SCHEMA {schema};
SET LOCAL search_path = {schema}, public;
CREATE TYPE session_request_status AS ENUM ('pending', 'accepted', 'cancelled', 'unattended');
CREATE TABLE profiles (id uuid PRIMARY KEY, full_name text, email text, phone text, role text);
CREATE TABLE organizations (id uuid PRIMARY KEY, name text, organization_type text);
CREATE TABLE mechanics (id uuid PRIMARY KEY, user_id uuid, name text, status text, workshop_id uuid,
                        stripe_account_id text, created_at timestamptz DEFAULT now());
CREATE TABLE intakes (id uuid PRIMARY KEY, customer_user_id uuid, name text, email text, phone text, year text,
                      make text, model text, vin text, concern text, urgent boolean,
                      created_at timestamptz DEFAULT now());
CREATE TABLE waiver_signatures (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid, intake_id uuid,
                                full_name text NOT NULL, signed_at timestamptz, waiver_version text, is_valid boolean);
CREATE TABLE sessions (id uuid PRIMARY KEY, type text, status text, plan text, intake_id uuid, customer_user_id uuid,
                       mechanic_id uuid, scheduled_start timestamptz, started_at timestamptz, ended_at timestamptz,
                       duration_minutes integer, stripe_session_id text, metadata jsonb, created_at timestamptz,
                       updated_at timestamptz);
CREATE TABLE session_assignments (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), session_id uuid, mechanic_id uuid,
                                  status text, accepted_at timestamptz, created_at timestamptz, metadata jsonb);
CREATE TABLE session_participants (session_id uuid, user_id uuid, role text, joined_at timestamptz,
                                   left_at timestamptz);
-- no metadata, no preferred_mechanic_id, no updated_at: migrations that never ran
CREATE TABLE session_requests (id uuid PRIMARY KEY, created_at timestamptz, customer_id uuid, mechanic_id uuid,
                               session_type text, plan_code text, status session_request_status, customer_name text,
                               customer_email text, notes text, accepted_at timestamptz, parent_session_id uuid);
CREATE TABLE diagnostic_sessions (id uuid PRIMARY KEY, customer_id uuid, mechanic_id uuid, workshop_id uuid,
                                  session_type text, status text, base_price numeric(10, 2), payment_status text,
                                  started_at timestamp, ended_at timestamp, duration_minutes integer,
                                  created_at timestamp, metadata jsonb);
CREATE TABLE mechanic_earnings (id bigserial PRIMARY KEY, session_id uuid, mechanic_id uuid, amount_cents integer,
                                status text, created_at timestamptz DEFAULT now());
CREATE TABLE chat_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), session_id uuid, content text);
CREATE TABLE vehicles_unrelated (id integer, colour text);
"""


@dataclass
class OldSystem:
    """Writes rows into one schema of the old kind.

    Attributes:
        ids: of everything that was given a name.
        now: when the story is told.
    """

    connection: psycopg.Connection[Any]
    schema: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    ids: dict[str, UUID] = field(default_factory=dict)

    @classmethod
    def built(cls, url: str, schema: str = "legacy") -> "OldSystem":
        """Make the schema, without rows."""
        connection = psycopg.connect(url, autocommit=True)
        with connection.transaction():
            for statement in SCHEMA.format(schema=schema).split(";\n"):
                if statement.strip():
                    connection.execute(statement.encode())
        return cls(connection, schema)

    def close(self) -> None:
        self.connection.close()

    def ago(self, **parts: float) -> datetime:
        """An instant in the past of the story."""
        return self.now - timedelta(**parts)

    def insert(self, table: str, **cells: Any) -> UUID:  # noqa: ANN401 (whatever the column takes)
        """One row; an id is made where the table has one and none is given. Returns it."""
        if table not in {"session_participants", "mechanic_earnings"}:
            cells.setdefault("id", uuid4())
        values = [Jsonb(value) if isinstance(value, dict) else value for value in cells.values()]
        self.connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(self.schema, table),
                sql.SQL(", ").join(map(sql.Identifier, cells)),
                sql.SQL(", ").join([sql.Placeholder()] * len(cells)),
            ),
            values,
        )
        made: UUID = cells.get("id", UUID(int=0))
        return made

    def customer(self, name: str = "Cora Castillo") -> UUID:
        return self.insert("profiles", full_name=name, email="cora@example.com", role="customer")

    def mechanic(self, *, status: str = "approved", workshop_id: UUID | None = None) -> tuple[UUID, UUID]:
        """A mechanic; the id, and the user's."""
        user_id = self.insert("profiles", full_name="Max Moto", email="max@example.com", role="mechanic")
        made = self.insert("mechanics", user_id=user_id, name="Max Moto", status=status, workshop_id=workshop_id)
        return made, user_id

    def session(self, name: str, at: datetime, status: str, *, signed: bool = True, **cells: Any) -> UUID:  # noqa: ANN401
        """A session with its intake and, unless told otherwise, a signed waiver."""
        customer = cells.pop("customer", None) or self.customer()
        intake = self.insert(
            "intakes", customer_user_id=customer, name="Cora Castillo", email="cora@example.com", year="2019",
            make="Volvo", model="V60", concern="Squeals when braking", urgent=False, created_at=at,
        )  # fmt: skip
        if signed:
            self.insert("waiver_signatures", user_id=customer, intake_id=intake, full_name="Cora Castillo",
                        signed_at=at + timedelta(seconds=20), waiver_version="1.0", is_valid=True)  # fmt: skip
        facts = {"type": "video", "plan": "standard", "metadata": {}} | cells
        self.ids[name] = self.insert(
            "sessions", intake_id=intake, customer_user_id=customer, status=status, created_at=at, **facts
        )
        self.ids[f"{name} customer"] = customer
        return self.ids[name]

    def assignment(self, name: str, status: str, mechanic_id: UUID | None = None, **cells: Any) -> UUID:  # noqa: ANN401
        """An assignment of a named session."""
        return self.insert(
            "session_assignments", session_id=self.ids[name], status=status, mechanic_id=mechanic_id, **cells
        )

    def presence(self, name: str, role: str, joined: datetime, left: datetime | None = None) -> None:
        """Somebody was there."""
        self.insert(
            "session_participants",
            session_id=self.ids[name],
            user_id=uuid4(),
            role=role,
            joined_at=joined,
            left_at=left,
        )

    def diagnostic(self, name: str, at: datetime, status: str, mechanic_id: UUID | None, **cells: Any) -> UUID:  # noqa: ANN401
        """A row of diagnostic_sessions, whose times have no zone."""
        customer = cells.pop("customer", None) or self.customer()
        plain = {
            key: value.replace(tzinfo=None) if isinstance(value, datetime) else value for key, value in cells.items()
        }
        self.ids[f"{name} customer"] = customer
        self.ids[name] = self.insert(
            "diagnostic_sessions", customer_id=customer, mechanic_id=mechanic_id, status=status,
            created_at=at.replace(tzinfo=None), **({"session_type": "diagnostic"} | plain),
        )  # fmt: skip
        return self.ids[name]

    def request(self, name: str, at: datetime, status: str, **cells: Any) -> UUID:  # noqa: ANN401
        """A row of session_requests."""
        customer = cells.pop("customer", None) or self.customer()
        facts = {"session_type": "chat", "plan_code": "free", "customer_name": "Cora Castillo"} | cells
        self.ids[f"{name} customer"] = customer
        self.ids[name] = self.insert("session_requests", customer_id=customer, status=status, created_at=at, **facts)
        return self.ids[name]

    def add_many(self, number: int) -> None:
        """So many sessions of the past, half of them held, with everything that belongs to them."""
        mechanic, _ = self.mechanic()
        facts = {"number": number, "mechanic": mechanic, "now": self.now}
        with self.connection.transaction():
            self.connection.execute(sql.SQL("SET LOCAL search_path = {}, public").format(sql.Identifier(self.schema)))
            for statement in _MANY:
                self.connection.execute(statement, facts)


_MANY: Final = (
    """
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT n, gen_random_uuid() AS id, gen_random_uuid() AS customer, gen_random_uuid() AS intake,
       %(now)s::timestamptz - make_interval(days => 1, mins => n) AS at FROM generate_series(1, %(number)s) AS n""",
    "INSERT INTO profiles (id, full_name, email) SELECT customer, 'Cora Castillo', 'cora@example.com' FROM made",
    """
INSERT INTO intakes (id, customer_user_id, name, make, model, concern, created_at)
SELECT intake, customer, 'Cora Castillo', 'Volvo', 'V60', repeat('Squeals when braking. ', 20), at FROM made""",
    """
INSERT INTO waiver_signatures (user_id, intake_id, full_name, signed_at)
SELECT customer, intake, 'Cora Castillo', at FROM made WHERE n %% 5 <> 0""",
    """
INSERT INTO sessions (id, type, status, plan, intake_id, customer_user_id, mechanic_id, started_at, ended_at,
                      created_at)
SELECT id, 'video', CASE n %% 2 WHEN 0 THEN 'completed' ELSE 'cancelled' END, 'standard', intake, customer,
       CASE n %% 2 WHEN 0 THEN %(mechanic)s::uuid END, CASE n %% 2 WHEN 0 THEN at + interval '5 minutes' END,
       at + interval '20 minutes', at FROM made""",
    """
INSERT INTO session_assignments (session_id, status, mechanic_id, accepted_at, created_at)
SELECT id, CASE n %% 2 WHEN 0 THEN 'accepted' ELSE 'queued' END, CASE n %% 2 WHEN 0 THEN %(mechanic)s::uuid END,
       CASE n %% 2 WHEN 0 THEN at + interval '3 minutes' END, at FROM made WHERE n %% 7 <> 0""",
    "CREATE INDEX IF NOT EXISTS assignments_by_session ON session_assignments (session_id)",
)


def broken(old: OldSystem) -> None:
    """Every kind of row that went wrong there, and some that did not, by name."""
    workshop = old.insert("organizations", name="Wheelhouse", organization_type="workshop")
    mechanic, mechanic_user = old.mechanic(workshop_id=workshop)
    old.ids |= {"mechanic": mechanic, "mechanic user": mechanic_user, "workshop": workshop}
    old.ids["suspended"], _ = old.mechanic(status="rejected")
    _history(old, mechanic, mechanic_user)
    _contradictions(old, mechanic)
    _still_going(old, workshop)
    _diagnostics(old, mechanic)
    _requests(old, mechanic)
    _unmovable(old)


def _history(old: OldSystem, mechanic: UUID, mechanic_user: UUID) -> None:
    at = old.ago(days=30)
    began, ended = at + timedelta(minutes=5), at + timedelta(minutes=25)
    old.session(
        "held", at, "completed", mechanic_id=mechanic, started_at=began, ended_at=ended, stripe_session_id="cs_1"
    )
    old.assignment("held", "completed", mechanic, accepted_at=at + timedelta(minutes=2), created_at=at)
    for _ in range(2):
        old.insert(
            "mechanic_earnings", session_id=old.ids["held"], mechanic_id=mechanic, amount_cents=2099, status="paid"
        )
    old.insert("chat_messages", session_id=old.ids["held"], content="It squeals")
    # the assignment stayed accepted when the session ended; the mechanic is named by user
    old.session("stuck", at, "completed", mechanic_id=mechanic_user, started_at=began, ended_at=ended)
    old.assignment("stuck", "accepted", mechanic, accepted_at=at + timedelta(minutes=1), created_at=at)
    old.session("withdrawn", at, "cancelled", ended_at=at + timedelta(minutes=3), signed=False)
    old.session("lapsed", at, "unattended")
    old.assignment("lapsed", "queued", created_at=at)
    old.session("former", at, "completed", mechanic_id=uuid4(), started_at=began, ended_at=ended, plan="gold")


def _contradictions(old: OldSystem, mechanic: UUID) -> None:
    at = old.ago(days=20)
    old.session("hung up", at, "cancelled", mechanic_id=mechanic, ended_at=at + timedelta(minutes=20))
    old.assignment("hung up", "accepted", mechanic, accepted_at=at + timedelta(minutes=1), created_at=at)
    old.presence("hung up", "customer", at + timedelta(minutes=2), at + timedelta(minutes=18))
    old.presence("hung up", "mechanic", at + timedelta(minutes=3), at + timedelta(minutes=19))
    old.session("boasted", at, "completed", mechanic_id=mechanic, ended_at=at + timedelta(minutes=9), signed=False)
    old.assignment("boasted", "accepted", mechanic, accepted_at=at + timedelta(minutes=1), created_at=at)
    old.session("brief", at, "completed", mechanic_id=mechanic, started_at=at, ended_at=at + timedelta(seconds=40))


def _still_going(old: OldSystem, workshop: UUID) -> None:
    busy, _ = old.mechanic(workshop_id=workshop)
    idle, _ = old.mechanic()
    old.ids |= {"busy": busy, "idle": idle}
    old.session("queued", old.ago(minutes=30), "pending")  # without an assignment: nobody ever saw it
    old.session("unsigned", old.ago(minutes=30), "pending", signed=False)
    old.session("forgotten", old.ago(days=3), "pending")
    old.session("deserted", old.ago(minutes=50), "waiting", mechanic_id=idle)
    old.assignment("deserted", "accepted", idle, accepted_at=old.ago(minutes=40), created_at=old.ago(minutes=50))
    old.session("accepted", old.ago(minutes=9), "waiting", mechanic_id=idle, stripe_session_id="cs_2",
                metadata={"price_cents": 2999})  # fmt: skip
    old.assignment("accepted", "accepted", idle, accepted_at=old.ago(minutes=4), created_at=old.ago(minutes=9))
    old.session("talking", old.ago(minutes=20), "live", mechanic_id=busy, started_at=old.ago(minutes=12))
    old.assignment("talking", "accepted", busy, accepted_at=old.ago(minutes=15), created_at=old.ago(minutes=20))
    # the same mechanic took a second one, the same customer asked twice
    old.session("second", old.ago(minutes=8), "waiting", mechanic_id=busy)
    old.assignment("second", "accepted", busy, accepted_at=old.ago(minutes=3), created_at=old.ago(minutes=8))
    twice = old.customer()
    old.session("twice older", old.ago(minutes=60), "pending", customer=twice)
    old.session("twice newer", old.ago(minutes=10), "pending", customer=twice)
    old.session("left running", old.ago(hours=9), "live", mechanic_id=busy, started_at=old.ago(hours=8))
    old.session("tomorrow", old.ago(hours=5), "scheduled", scheduled_start=old.now + timedelta(days=1))
    old.session("due", old.ago(hours=5), "scheduled", scheduled_start=old.now + timedelta(minutes=5))
    old.session("missed", old.ago(days=5), "scheduled", scheduled_start=old.ago(days=4))


def _diagnostics(old: OldSystem, mechanic: UUID) -> None:
    at = old.ago(days=10)
    old.diagnostic("old diagnostic", at, "completed", mechanic, started_at=at + timedelta(minutes=4),
                   ended_at=at + timedelta(minutes=44), base_price="49.99", payment_status="paid")  # fmt: skip
    old.diagnostic("diagnostic", old.ago(minutes=40), "in_progress", mechanic, started_at=old.ago(minutes=30))
    same = old.diagnostic("same", at, "cancelled", None)
    old.insert(
        "sessions", id=same, status="cancelled", customer_user_id=old.ids["same customer"], created_at=at, type="chat"
    )
    clash = old.diagnostic("clash", at, "cancelled", None)
    old.insert("sessions", id=clash, status="cancelled", customer_user_id=old.customer(), created_at=at, type="chat")


def _requests(old: OldSystem, mechanic: UUID) -> None:
    old.request("asked", old.ago(minutes=15), "pending")
    old.request("ignored", old.ago(days=2), "unattended")
    # accepted, and its session never heard of it: no link, no mechanic, no assignment
    old.session("unlinked", old.ago(days=1), "waiting", type="chat", plan="free")
    old.request("its request", old.ago(days=1, minutes=-2), "accepted", customer=old.ids["unlinked customer"],
                mechanic_id=mechanic, accepted_at=old.ago(days=1, minutes=-5))  # fmt: skip
    old.request("linked", old.ago(days=30), "accepted", parent_session_id=old.ids["held"])


def _unmovable(old: OldSystem) -> None:
    old.session("odd", old.ago(days=3), "half_done")
    old.session("nobody's", old.ago(days=3), "completed", customer=uuid4())
    old.insert("sessions", status="cancelled", created_at=old.ago(days=2), type="chat")
    own, own_user = old.mechanic()
    old.session("own", old.ago(days=3), "completed", customer=own_user, mechanic_id=own)
    old.insert("session_assignments", session_id=uuid4(), status="accepted", created_at=old.ago(days=3))
