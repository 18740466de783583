"""One consultation after the other, brought to the state that a call needs."""

import time
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

from autodoctor.ids import new_id
from bench.http.calls import Api
from bench.http.server import BenchServer

MINIMUM_SECONDS: Final = 1
"""How long both have to be together here for a session to be completed; by the product's default a minute."""
_SHORT: Final[LiteralString] = """
INSERT INTO settings (key, value) VALUES ('min_billable_seconds', %s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
_CONNECTION: Final[LiteralString] = """
INSERT INTO realtime_connections (connection_id, user_id, groups, mechanic_id, since, ready, expires_at)
SELECT %(connection_id)s, %(sub)s, CASE WHEN m.id IS NULL THEN '{customers}'::text[] ELSE '{mechanics}' END, m.id, 0,
       true, clock_timestamp() + interval '2 hours'
  FROM (SELECT) AS one LEFT JOIN mechanics m ON m.user_id = %(sub)s
"""


@dataclass(frozen=True)
class Consultation:
    """A session and its people: `customer` and `mechanic` are subs of tokens."""

    customer: UUID
    mechanic: UUID
    session_id: str
    assignment_id: str


class Walks:
    """Makes people and consultations in one database, through the handlers."""

    def __init__(self, server: BenchServer, api: Api) -> None:
        self._server = server
        self.api = api
        server.superuser.execute(_SHORT, [str(MINIMUM_SECONDS)])

    def mechanic(self) -> UUID:
        """The sub of a new, independent mechanic, who is available."""
        sub = new_id()
        self._server.superuser.execute(
            "INSERT INTO mechanics (user_id, name, available_until) VALUES (%s, 'Mia Moreno', 'infinity')", [sub]
        )
        return sub

    def unsigned(self) -> Consultation:
        """A session whose waiver is not signed."""
        return self.start()

    def queued(self) -> Consultation:
        """A session in the queue."""
        return self.start(waiver={"signedName": "Cora Castillo"})

    def offered(self) -> Consultation:
        """A session that is offered to its mechanic."""
        mechanic = self.mechanic()
        row = self._server.value("SELECT id FROM mechanics WHERE user_id = %s", mechanic)
        return self.start(mechanic, waiver={"signedName": "Cora Castillo"}, preferredMechanicId=str(row))

    def waiting(self) -> Consultation:
        """A session that its mechanic accepted."""
        made = self.queued()
        self.api.accept(made.mechanic, made.assignment_id)
        return made

    def half_joined(self) -> Consultation:
        """A session whose customer is in its room."""
        made = self.waiting()
        self.api.enter(self.connected(made.customer), made.session_id)
        return made

    def live(self) -> Consultation:
        """A session whose room both are in."""
        made = self.half_joined()
        self.api.enter(self.connected(made.mechanic), made.session_id)
        return made

    def talked(self) -> Consultation:
        """A live session that is completed when it ends: each side has written, and enough time has passed."""
        made = self.live()
        self.say_each(made)
        time.sleep(MINIMUM_SECONDS)
        return made

    def say_each(self, made: Consultation) -> None:
        """A word of the customer, and one of the mechanic."""
        self.api.say(made.customer, "customers", made.session_id)
        self.api.say(made.mechanic, "mechanics", made.session_id, "Since when?")

    def connected(self, sub: UUID) -> str:
        """The id of a new live connection of a customer or a mechanic."""
        connection_id = str(new_id())
        self._server.superuser.execute(_CONNECTION, {"connection_id": connection_id, "sub": sub})
        return connection_id

    def end(self, made: Consultation) -> None:
        """The mechanic ends a session that is completed then.

        Raises:
            RuntimeError: the verdict is another.
        """
        ended = self.api.end(made.mechanic, "mechanics", made.session_id)
        if ended["status"] != "completed":
            raise RuntimeError(f"session {made.session_id} ended as {ended['status']}: {ended['reason']}")

    def waiting_in_queue(self) -> int:
        """How many sessions wait in the queue."""
        count: int = self._server.value("SELECT count(*) FROM session_assignments WHERE status = 'queued'")
        return count

    def fill_queue(self, size: int) -> None:
        """Add sessions until `size` wait."""
        for _ in range(size - self.waiting_in_queue()):
            self.queued()

    def start(self, mechanic: UUID | None = None, **fields: Any) -> Consultation:  # noqa: ANN401 (JSON)
        """A session, and a mechanic for it, new where none is given; `fields` go to the intake."""
        customer = new_id()
        created = self.api.intake(customer, **fields)
        return Consultation(customer, mechanic or self.mechanic(), created["sessionId"], created["assignmentId"])
