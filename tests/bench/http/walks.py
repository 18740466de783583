"""One consultation after the other, brought to the state that a call needs."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from autodoctor.ids import new_id
from bench.http.calls import Api
from bench.http.server import BenchServer


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
        """A session that its customer joined."""
        made = self.waiting()
        self.api.presence("join", made.customer, "customers", made.session_id)
        return made

    def live(self) -> Consultation:
        """A session that both have joined."""
        made = self.half_joined()
        self.api.presence("join", made.mechanic, "mechanics", made.session_id)
        return made

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
