"""`autodoctor smoke` on a running account: all is well, and each thing that is not is found by its own check."""

from dataclasses import replace

import psycopg
import pytest

from autodoctor.operations.smoke import Deployment, SmokeOutcome, smoke
from localcloud.messaging.redrive import local_deployment
from support.account import Account


@pytest.fixture(scope="module")
def deployment(account: Account) -> Deployment:
    return local_deployment(account.cloud.api_url, account.cloud.realtime_url)


def outcomes(deployment: Deployment, token: str | None) -> dict[str, SmokeOutcome]:
    return {each.check: each for each in smoke(deployment, token)}


def token(account: Account, group: str) -> str:
    return str(account.caller(group).authorization).removeprefix("Bearer ")


def test_a_deployment_that_works_passes(account: Account, deployment: Deployment) -> None:
    found = outcomes(deployment, token(account, "admins"))
    assert {name: each.state for name, each in found.items() if each.state != "ok"} == {}, found
    assert found["delivers"].found == "ticket, feed, queue, answer"


def test_without_a_token_only_what_needs_one_is_left_out(deployment: Deployment) -> None:
    found = outcomes(deployment, None)
    assert {name for name, each in found.items() if each.state == "skipped"} == {"schedules", "delivers"}
    assert not [each for each in found.values() if each.state == "wrong"]


def test_a_customers_token_opens_the_feed_and_not_the_schedules(account: Account, deployment: Deployment) -> None:
    found = outcomes(deployment, token(account, "customers"))
    assert (found["delivers"].state, found["schedules"].state) == ("ok", "skipped")


def test_a_schema_that_is_behind_is_found_and_left_alone(account: Account, deployment: Deployment) -> None:
    with psycopg.connect(account.world.urls.owner_url, autocommit=True) as owner:
        text = "SELECT name, checksum FROM schema_migrations ORDER BY name DESC LIMIT 1"
        name, checksum = owner.execute(text).fetchall()[0]
        owner.execute("DELETE FROM schema_migrations WHERE name = %s", [name])
        try:
            found = outcomes(deployment, None)["schema"]
            assert (found.state, found.found) == ("wrong", f"not applied: {name}")
            assert not owner.execute("SELECT 1 FROM schema_migrations WHERE name = %s", [name]).fetchone()
        finally:
            owner.execute("INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)", [name, checksum])


def test_a_schedule_that_fails_is_named(account: Account, deployment: Deployment) -> None:
    with psycopg.connect(account.world.urls.owner_url, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO schedule_runs (name, started_at, finished_at, failed) VALUES ('verify', now(), now(), true)"
            " ON CONFLICT (name) DO UPDATE SET started_at = now(), finished_at = now(), failed = true"
        )
        try:
            found = outcomes(deployment, token(account, "admins"))["schedules"]
        finally:
            owner.execute("DELETE FROM schedule_runs WHERE name = 'verify'")
    assert (found.state, found.found) == ("wrong", "verify failed")


def test_a_dead_letter_and_an_alarm_and_a_bus_that_is_gone_are_wrong(deployment: Deployment) -> None:
    found = outcomes(replace(deployment, ringing=lambda: ["autodoctor-RelaySilentAlarm"], bus="gone"), None)
    assert (found["alarms"].state, found["alarms"].found) == ("wrong", "autodoctor-RelaySilentAlarm")
    assert found["bus"].state == "wrong"


def test_a_deployment_that_is_not_there_is_wrong_all_over(deployment: Deployment) -> None:
    found = outcomes(replace(deployment, api_url="http://127.0.0.1:1", feed_url="ws://127.0.0.1:1"), None)
    assert (found["answers"].state, found["refuses"].state) == ("wrong", "wrong")
