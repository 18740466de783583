"""A new user of the pool becomes a customer; a user who only set a new password changes no group."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from support.http.lambda_event import loaded


@pytest.fixture
def cognito(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of a Cognito that moto plays."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield boto3.client("cognito-idp")


@pytest.fixture
def pool(cognito: Any) -> str:  # noqa: ANN401 - boto3 makes its clients at run time
    """Return a user pool with the group and with one user who has just signed up."""
    made: str = cognito.create_user_pool(PoolName="users")["UserPool"]["Id"]
    cognito.create_group(UserPoolId=made, GroupName="customers")
    cognito.admin_create_user(UserPoolId=made, Username="driver")
    return made


@pytest.fixture
def app(pool: str) -> ModuleType:
    """Return the handler's module, loaded as Lambda does: once the environment is there."""
    assert pool
    return loaded("post_confirmation")


def trigger(pool: str, source: str) -> dict[str, Any]:
    """Return the event that Cognito sends."""
    return {"triggerSource": source, "userPoolId": pool, "userName": "driver", "request": {}, "response": {}}


def groups(cognito: Any, pool: str) -> list[str]:  # noqa: ANN401 - as above
    """Return the groups of the user."""
    found = cognito.admin_list_groups_for_user(UserPoolId=pool, Username="driver")["Groups"]
    return [group["GroupName"] for group in found]


def test_a_confirmed_sign_up_joins_the_customers_and_the_event_goes_back(
    app: ModuleType,
    cognito: Any,  # noqa: ANN401 - as above
    pool: str,
) -> None:
    event = trigger(pool, "PostConfirmation_ConfirmSignUp")
    assert app.handler(event, None) == event
    app.handler(event, None)
    assert groups(cognito, pool) == ["customers"]


def test_a_new_password_changes_no_group(
    app: ModuleType,
    cognito: Any,  # noqa: ANN401 - as above
    pool: str,
) -> None:
    app.handler(trigger(pool, "PostConfirmation_ConfirmForgotPassword"), None)
    assert groups(cognito, pool) == []
