"""Shared by tests of notifications: a scripted SES, and a test's own events handed to `notify`."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from uuid import UUID

import pytest

from autodoctor.db import Row
from autodoctor.events.model import Event, PayoutEvent, SessionEvent, event_of
from autodoctor.ids import new_id
from autodoctor.notifications import sender
from autodoctor.notifications.notify import notify
from autodoctor.sessions.end import Ender, end_session
from autodoctor.sessions.notes import NotesRequest, save_notes
from autodoctor.web.schemas import now
from localcloud.database.postgres import Database
from support.http.scripted_server import ScriptedServer
from support.world import Mechanic, World

type Conduct = Literal["take", "throttle", "reject", "fail", "hang", "drop"]

FROM = "AutoDoctor <service@example.com>"
_REFUSALS = {
    "throttle": (429, "TooManyRequestsException"),
    "reject": (400, "MessageRejected"),
    "fail": (500, "InternalServiceErrorException"),
}


class ScriptedSes:
    """SES's SendEmail as its API reference says it answers: `script` is what it does next, then it takes everything.

    `asked` are the requests that arrived whole, whatever came of them.
    """

    def __init__(self, *script: Conduct) -> None:
        self.script = list(script)
        self.asked: list[dict[str, Any]] = []
        self.asking = threading.Event()
        self._release = threading.Event()
        self._server = ScriptedServer(self._answer)
        self.url = self._server.url

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.asked.append(json.loads(body))
        conduct = self.script.pop(0) if self.script else "take"
        self.asking.set()
        if conduct == "hang":
            self._release.wait()
        if conduct in ("hang", "drop"):
            request.close_connection = True
            return
        status, error = _REFUSALS.get(conduct, (200, ""))
        answer = {"message": "no"} if error else {"MessageId": f"message-{len(self.asked)}"}
        document = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(document)))
        request.send_header("Content-Type", "application/json")
        if error:
            request.send_header("x-amzn-ErrorType", error)
        request.end_headers()
        request.wfile.write(document)

    @property
    def recipients(self) -> list[str]:
        return [address for each in self.asked for address in each["Destination"]["ToAddresses"]]

    @property
    def kinds(self) -> list[str]:
        return [tag["Value"] for each in self.asked for tag in each["EmailTags"] if tag["Name"] == "kind"]

    @contextmanager
    def serving(self) -> Iterator["ScriptedSes"]:
        """Answer for the length of a `with` block."""
        with self._server.serving(self._release.set):
            yield self


def environment(ses_url: str) -> dict[str, str]:
    """The environment of a NotifyFunction, except the database."""
    return {
        "AWS_ENDPOINT_URL_SESV2": ses_url,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "MAIL_FROM": FROM,
        "MAIL_CONFIGURATION_SET": "mail",
        "SESSION_BASE_URL": "https://sessions.example",
    }


class MailEnv(World):
    """A world whose events go to `notify`, which mails through the real SES client to a scripted SES."""

    verifies_addresses = True

    def __init__(self, database: Database, ses: ScriptedSes) -> None:
        super().__init__(database)
        self.ses = ses

    def events(self, session_id: UUID) -> list[Event]:
        """Every event of the session so far, oldest first; none was published."""
        rows = self.owner.execute("SELECT * FROM outbox_events WHERE subject_id = %s ORDER BY id", [session_id])
        return [event_of(row) for row in rows]

    def event(self, session_id: UUID, event_type: str) -> SessionEvent:
        """The session's last event of this type."""
        found = [each for each in self.events(session_id) if each.type == event_type]
        assert isinstance(found[-1], SessionEvent)
        return found[-1]

    def tell(self, event: Event) -> None:
        """Have it told as NotifyFunction would."""
        notify(self.app, sender.SesSender(), event)

    def address(self, mechanic: Mechanic, email: str | None = "mia@example.com") -> None:
        """Give a mechanic an address."""
        self.owner.execute("UPDATE mechanics SET email = %s WHERE id = %s", [email, mechanic.id])

    def deliveries(self) -> list[Row]:
        """Every mail there is a row of, oldest claim first."""
        return self.owner.execute("SELECT * FROM mail_deliveries ORDER BY claimed_at").fetchall()

    def states(self) -> list[tuple[str, str, str | None]]:
        """Kind, state and error of each mail."""
        return [(row["kind"], row["state"], row["error"]) for row in self.deliveries()]

    def noted(self) -> list[str]:
        """The kinds of all notifications in the application, in the order they were noted."""
        return [row["kind"] for row in self.owner.execute("SELECT kind FROM notifications ORDER BY id")]

    def completed(self, mechanic: Mechanic, customer: UUID, notes: str | None = None, **fields: object) -> UUID:
        """A session that lasted an hour, and whose notes are confirmed."""
        created = self.live(mechanic, customer, **fields)
        self.let_time_pass(3600)
        ended = end_session(self.app, Ender(mechanic.user_id), created.session_id)
        assert ended.status == "completed"
        words = NotesRequest(text=notes or "", version=1, confirmed=True)
        save_notes(self.app, mechanic.user_id, created.session_id, words)
        return created.session_id


def payout(
    kind: Literal["payout.sent", "payout.failed"], mechanic: Mechanic, session_id: UUID, **facts: object
) -> PayoutEvent:
    """An event of the money part."""
    given: Mapping[str, object] = {
        "event_id": new_id(),
        "sequence": 1,
        "occurred_at": now(),
        "payout_id": new_id(),
        "session_id": session_id,
        "mechanic_id": mechanic.id,
        "amount_cents": 2099,
        "currency": "usd",
        **facts,
    }
    return PayoutEvent.model_validate({"type": kind, **given})


@contextmanager
def open_mail_env(database: Database, monkeypatch: pytest.MonkeyPatch, *script: Conduct) -> Iterator[MailEnv]:
    """Open one for the length of a `with` block."""
    with ScriptedSes(*script).serving() as ses:
        for name, value in environment(ses.url).items():
            monkeypatch.setenv(name, value)
        sender._client.cache_clear()  # noqa: SLF001 (an execution environment of the test's own)
        mail_env = MailEnv(database, ses)
        yield mail_env
        mail_env.close()
        sender._client.cache_clear()  # noqa: SLF001
