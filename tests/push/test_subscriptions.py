"""The routes of the browsers that call a user."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from autodoctor.db import Database as Connection
from autodoctor.db import database as layer_database
from autodoctor.ids import new_id
from autodoctor.operations.mechanic_privacy import erase_mechanic, export_mechanic
from autodoctor.push.vapid import vapid
from localcloud.database.postgres import Database
from support.http.lambda_event import Answer, call, claims, event, loaded
from support.push_env import Keys, PushEnv

LIST = "GET /api/push/subscriptions"
SUBSCRIBE = "POST /api/push/subscriptions"
END = "POST /api/push/subscriptions/{subscriptionId}/end"
TRY = "POST /api/push/test"


class Routes:
    """SubscriptionsFunction, and people who ask it."""

    def __init__(self) -> None:
        self._module = loaded("subscriptions")

    def ask(self, user_id: UUID, route: str, body: object = None, **parts: Any) -> Answer:  # noqa: ANN401
        return call(self._module.handler, event(route, body, caller=claims("[mechanics]", sub=str(user_id)), **parts))

    def close(self) -> None:
        self._module.sender.close()


@pytest.fixture
def routes(push_env: PushEnv, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Routes]:
    assert push_env.subscriptions() == []
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    layer_database.cache_clear()
    routes = Routes()
    yield routes
    routes.close()
    layer_database().close()
    layer_database.cache_clear()


def test_a_browser_that_asks_is_listed_called_and_ended(push_env: PushEnv, routes: Routes) -> None:
    user_id, keys = new_id(), Keys()
    endpoint = push_env.service.register(routes.ask(user_id, LIST).json["publicKey"])
    asked = routes.ask(user_id, SUBSCRIBE, keys.subscription(endpoint))
    assert asked.status == 201
    assert routes.ask(user_id, SUBSCRIBE, keys.subscription(endpoint)).json == asked.json
    (listed,) = routes.ask(user_id, LIST).json["subscriptions"]
    assert (listed["subscriptionId"], listed["service"], listed["calledAt"]) == (
        asked.json["subscriptionId"],
        "127.0.0.1",
        None,
    )
    assert routes.ask(user_id, TRY).json == {"sent": 1, "gone": 0, "failed": 0}
    (held,) = push_env.service.held(endpoint)
    assert b"Calls work here" in keys.opened(held.body)
    assert routes.ask(user_id, LIST).json["subscriptions"][0]["calledAt"] is not None
    ended = routes.ask(user_id, END, path={"subscriptionId": listed["subscriptionId"]})
    assert ended.json == {"subscriptionId": listed["subscriptionId"], "ended": True}
    assert routes.ask(user_id, TRY).json == {"sent": 0, "gone": 0, "failed": 0}


def test_a_trial_forgets_browsers_that_are_gone_and_says_what_failed(push_env: PushEnv, routes: Routes) -> None:
    user_id = new_id()
    gone = push_env.browser(user_id)
    push_env.service.switches.ended.add(gone.name)
    assert routes.ask(user_id, TRY).json == {"sent": 0, "gone": 1, "failed": 0}
    push_env.browser(user_id)
    push_env.service.switches.answers = [403]
    assert routes.ask(user_id, TRY).json == {"sent": 0, "gone": 0, "failed": 1}


def test_another_s_browser_cannot_be_ended(push_env: PushEnv, routes: Routes) -> None:
    browser = push_env.browser(new_id())
    answer = routes.ask(new_id(), END, path={"subscriptionId": str(browser.subscription_id)})
    assert (answer.status, len(push_env.subscriptions())) == (404, 1)


def test_a_browser_calls_the_last_user_who_asked_in_it(push_env: PushEnv, routes: Routes) -> None:
    keys, endpoint = Keys(), push_env.service.register(vapid().public_key)
    first, second = new_id(), new_id()
    for each in (first, second):
        routes.ask(each, SUBSCRIBE, keys.subscription(endpoint))
    assert [row["user_id"] for row in push_env.subscriptions()] == [second]


def test_one_browser_too_many_takes_the_place_of_the_oldest(push_env: PushEnv) -> None:
    user_id = new_id()
    browsers = [push_env.browser(user_id) for _ in range(6)]
    assert [row["id"] for row in push_env.subscriptions()] == [each.subscription_id for each in browsers[1:]]
    push_env.owner.execute("INSERT INTO settings (key, value) VALUES ('push_subscriptions_per_user', '1')")
    last = push_env.browser(user_id)
    assert [row["id"] for row in push_env.subscriptions()] == [last.subscription_id]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"endpoint": "https://169.254.169.254/latest/meta-data"}, "/endpoint"),
        ({"endpoint": "http://fcm.googleapis.com/a"}, "/endpoint"),
        ({"keys": {"p256dh": "BA", "auth": "A" * 22}}, "/keys/p256dh"),
        ({"keys": {"p256dh": "B" + "A" * 86, "auth": "A" * 22}}, "/keys/p256dh"),
        ({"keys": {**Keys().subscription("")["keys"], "auth": "AA"}}, "/keys/auth"),
    ],
)
def test_what_is_no_subscription_is_refused(
    push_env: PushEnv, routes: Routes, changes: dict[str, object], pointer: str
) -> None:
    asked = {**Keys().subscription("https://fcm.googleapis.com/fcm/send/a"), **changes}
    answer = routes.ask(new_id(), SUBSCRIBE, asked)
    assert (answer.status, answer.pointers, push_env.subscriptions()) == (422, [pointer], [])


def test_a_mechanic_s_browsers_are_exported_and_erased(push_env: PushEnv) -> None:
    mechanic = push_env.mechanic()
    browser = push_env.browser(mechanic.user_id)
    with closing(Connection(lambda: push_env.urls.owner_url)) as owner:
        (exported,) = export_mechanic(owner, mechanic.user_id)["calledBrowsers"]
        assert exported["endpoint"] == browser.endpoint
        erase_mechanic(owner, mechanic.user_id, "ada")
    assert push_env.subscriptions() == []
