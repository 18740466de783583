"""The routes of notifications: only one's own, newest first, in the chosen language, marked as read once."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from autodoctor.ids import new_id
from autodoctor.notifications.kinds import PUSHED, CallKind, Kind
from localcloud.database.postgres import Database
from support.events.mail_env import MailEnv, open_mail_env, payout
from support.http.lambda_event import Answer, call, claims, event, loaded

LIST = "GET /api/notifications"
READ = "POST /api/notifications/{notificationId}/read"
READ_ALL = "POST /api/notifications/read-all"
CHOSEN = "GET /api/notifications/preferences"
CHOOSE = "PUT /api/notifications/preferences"


class Inbox:
    """NotificationsFunction on the test's database, and people who ask it."""

    def __init__(self, mail_env: MailEnv) -> None:
        self.mail_env = mail_env
        self._handler = loaded("notifications").handler

    def ask(self, user_id: UUID, route: str, body: object = None, group: str = "customers", **parts: Any) -> Answer:  # noqa: ANN401
        caller = claims(f"[{group}]", sub=str(user_id))
        return call(self._handler, event(route, body, caller=caller, **parts))

    def page(self, user_id: UUID, **query: str) -> dict[str, Any]:
        answer = self.ask(user_id, LIST, query=query)
        assert answer.status == 200, answer.text
        return answer.json

    def notify(self, customer: UUID) -> UUID:
        """Send everything that a completed session notifies its customer of; returns its id."""
        session_id = self.mail_env.completed(self.mail_env.mechanic(), customer)
        for each in self.mail_env.events(session_id):
            self.mail_env.tell(each)
        return session_id


@pytest.fixture
def inbox(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    with open_mail_env(database, monkeypatch) as mail_env:
        yield Inbox(mail_env)


def test_newest_first_with_words_made_from_facts(inbox: Inbox, customer: UUID) -> None:
    session_id = inbox.notify(customer)
    page = inbox.page(customer)
    found = [
        (each["kind"], each["title"], re.sub(r"60 min \d s", "an hour", each["text"])) for each in page["notifications"]
    ]
    assert found == [
        ("session_completed", "Session completed", "Your chat with Mia took an hour."),
        (
            "mechanic_assigned",
            "Mechanic assigned",
            "Mia accepted your request and is connecting. You can write already.",
        ),
        ("request_received", "Request received", "We have your request for a chat."),
    ]
    assert {each["sessionId"] for each in page["notifications"]} == {str(session_id)}
    assert {each["readAt"] for each in page["notifications"]} == {None}
    assert (page["unreadCount"], page["nextCursor"]) == (3, None)
    assert set(page["notifications"][0]) == {
        *("notificationId", "kind", "sessionId", "intakeId", "title", "text", "createdAt", "readAt")
    }


def test_the_order_is_that_of_what_happened_not_of_its_arrival(inbox: Inbox, customer: UUID) -> None:
    session_id = inbox.mail_env.completed(inbox.mail_env.mechanic(), customer)
    for each in reversed(inbox.mail_env.events(session_id)):
        inbox.mail_env.tell(each)
    kinds = [each["kind"] for each in inbox.page(customer)["notifications"]]
    assert kinds == ["session_completed", "mechanic_assigned", "request_received"]


def test_who_was_told_nothing_has_an_empty_page(inbox: Inbox, customer: UUID) -> None:
    assert inbox.page(customer) == {"notifications": [], "unreadCount": 0, "nextCursor": None}


def test_pages_follow_each_other_without_gap_or_repeat(inbox: Inbox, customer: UUID) -> None:
    inbox.notify(customer)
    inbox.notify(customer)
    seen, cursor = [], None
    while True:
        page = inbox.page(customer, limit="2", **({"cursor": cursor} if cursor else {}))
        seen += [each["notificationId"] for each in page["notifications"]]
        assert page["unreadCount"] == 6
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 6
    assert seen == [each["notificationId"] for each in inbox.page(customer)["notifications"]]


def test_reading_one_leaves_the_others_unread_and_again_changes_nothing(inbox: Inbox, customer: UUID) -> None:
    inbox.notify(customer)
    first = inbox.page(customer)["notifications"][0]["notificationId"]
    path = {"notificationId": first}
    once, again = (inbox.ask(customer, READ, path=path) for _ in range(2))
    assert (once.status, once.json) == (again.status, again.json)
    assert once.json["notificationId"] == first
    page = inbox.page(customer)
    assert page["unreadCount"] == 2
    assert page["notifications"][0]["readAt"] == once.json["readAt"]
    unread = inbox.page(customer, unread="true")["notifications"]
    assert first not in [each["notificationId"] for each in unread]
    assert len(unread) == 2


def test_reading_all_says_how_many(inbox: Inbox, customer: UUID) -> None:
    inbox.notify(customer)
    assert inbox.ask(customer, READ_ALL).json == {"marked": 3}
    assert inbox.ask(customer, READ_ALL).json == {"marked": 0}
    assert inbox.page(customer)["unreadCount"] == 0
    assert inbox.page(customer, unread="true")["notifications"] == []


def test_somebody_else_sees_reads_and_counts_nothing_of_it(inbox: Inbox, customer: UUID) -> None:
    inbox.notify(customer)
    (first, *_) = inbox.page(customer)["notifications"]
    for group in ("customers", "mechanics", "admins"):
        stranger = new_id()
        path = {"notificationId": first["notificationId"]}
        refused = inbox.ask(stranger, READ, path=path, group=group)
        assert (refused.status, refused.slug) == (404, "not-found")
        assert inbox.ask(stranger, READ_ALL, group=group).json == {"marked": 0}
        assert inbox.ask(stranger, LIST, group=group).json["notifications"] == []
    assert inbox.page(customer)["unreadCount"] == 3


@pytest.mark.parametrize("notification_id", ["nonsense", "01a1fd8f-0000-7000-8000-000000000001"])
def test_one_that_does_not_exist_is_not_found(inbox: Inbox, customer: UUID, notification_id: str) -> None:
    assert inbox.ask(customer, READ, path={"notificationId": notification_id}).status == 404


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"limit": "0"}, "/limit"),
        ({"limit": "101"}, "/limit"),
        ({"cursor": "nonsense"}, "/cursor"),
        ({"cursor": "WyJ4Il0="}, "/cursor"),
        ({"unread": "yes"}, "/unread"),
    ],
)
def test_a_bad_query_is_refused(inbox: Inbox, customer: UUID, query: dict[str, str], pointer: str) -> None:
    answer = inbox.ask(customer, LIST, query=query)
    assert (answer.status, answer.pointers) == (422, [pointer])


def test_a_mechanic_reads_of_payouts(inbox: Inbox, customer: UUID) -> None:
    mechanic = inbox.mail_env.mechanic()
    session_id = inbox.mail_env.completed(mechanic, customer)
    inbox.mail_env.tell(payout("payout.sent", mechanic, session_id))
    (entry,) = inbox.page(mechanic.user_id)["notifications"]
    assert (entry["title"], entry["text"]) == ("Payout sent", "$20.99 is on its way to your account.")


def test_by_default_everything_is_told_in_every_way_it_has_in_english(inbox: Inbox, customer: UUID) -> None:
    written = [{"kind": kind, "email": True, "inApp": True, "push": True if kind in PUSHED else None} for kind in Kind]
    called = [{"kind": kind, "email": None, "inApp": None, "push": True} for kind in CallKind]
    assert inbox.ask(customer, CHOSEN).json == {"locale": "en", "preferences": [*written, *called]}


def test_a_way_that_is_not_named_stays(inbox: Inbox, customer: UUID) -> None:
    inbox.ask(customer, CHOOSE, {"preferences": [{"kind": "quote_given", "push": False}]})
    inbox.ask(customer, CHOOSE, {"preferences": [{"kind": "quote_given", "email": False}]})
    chosen = {each["kind"]: each for each in inbox.ask(customer, CHOSEN).json["preferences"]}
    assert chosen["quote_given"] == {"kind": "quote_given", "email": False, "inApp": True, "push": False}


def test_what_is_chosen_stays_and_what_is_not_named_too(inbox: Inbox, customer: UUID) -> None:
    quiet = {"kind": "request_received", "email": False, "inApp": True, "push": None}
    silent = {"kind": "session_completed", "email": False, "inApp": False, "push": None}
    first = inbox.ask(customer, CHOOSE, {"locale": "es", "preferences": [quiet]}).json
    assert first == inbox.ask(customer, CHOSEN).json
    second = inbox.ask(customer, CHOOSE, {"preferences": [silent]}).json
    assert second == inbox.ask(customer, CHOSEN).json
    assert second["locale"] == "es"
    chosen = {each["kind"]: each for each in second["preferences"]}
    assert (chosen["request_received"], chosen["session_completed"]) == (quiet, silent)
    assert chosen["payout_sent"] == {"kind": "payout_sent", "email": True, "inApp": True, "push": None}
    again = inbox.ask(customer, CHOOSE, {"preferences": [{**silent, "email": True}]}).json
    assert {each["kind"]: each for each in again["preferences"]}["session_completed"]["email"] is True
    assert inbox.ask(new_id(), CHOSEN).json["locale"] == "en"


def test_the_language_chosen_is_that_of_the_entries(inbox: Inbox, customer: UUID) -> None:
    inbox.notify(customer)
    inbox.ask(customer, CHOOSE, {"locale": "es"})
    assert inbox.page(customer)["notifications"][2]["title"] == "Solicitud recibida"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"locale": "xx"}, "/locale"),
        ({"locale": "../en"}, "/locale"),
        ({"preferences": [{"kind": "weather", "email": True, "inApp": True}]}, "/preferences/0/kind"),
        ({"preferences": [{"kind": "payout_sent", "email": "yes", "inApp": True}]}, "/preferences/0/email"),
        ({"preferences": [{"kind": "payout_sent", "push": True}]}, "/preferences/0"),
        ({"preferences": [{"kind": "message_waiting", "email": False}]}, "/preferences/0"),
        ({"preferences": [{"kind": "payout_sent", "email": True, "inApp": True}] * 2}, ""),
    ],
)
def test_what_cannot_be_chosen_is_refused(inbox: Inbox, customer: UUID, body: object, pointer: str) -> None:
    answer = inbox.ask(customer, CHOOSE, body)
    assert (answer.status, answer.pointers) == (422, [pointer])
    assert inbox.ask(customer, CHOSEN).json["locale"] == "en"
