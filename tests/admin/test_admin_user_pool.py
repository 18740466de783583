"""Adding a mechanic puts the user into the pool's group; a failure stores nothing, and asking again mends it."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import boto3
import pytest
from moto import mock_aws

from autodoctor.admin.mechanics import MechanicExists, NewMechanic, add_mechanic
from autodoctor.aws.errors import ServiceRefused
from autodoctor.errors import Unprocessable
from autodoctor.ids import new_id
from support.world import World


@pytest.fixture
def cognito(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a Cognito that moto plays."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield boto3.client("cognito-idp")


@pytest.fixture
def pool(cognito: Any, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ANN401 (boto3 makes its clients at run time)
    """Give a pool whose users sign in with their addresses, as in template.yaml, and its group."""
    made: str = cognito.create_user_pool(PoolName="users", UsernameAttributes=["email"])["UserPool"]["Id"]
    cognito.create_group(UserPoolId=made, GroupName="mechanics")
    monkeypatch.setenv("USER_POOL_ID", made)
    return made


def signed_up(cognito: Any, pool: str) -> UUID:  # noqa: ANN401 (as above)
    user = cognito.admin_create_user(UserPoolId=pool, Username=f"{new_id()}@example.com")["User"]
    return UUID(next(each["Value"] for each in user["Attributes"] if each["Name"] == "sub"))


def groups(cognito: Any, pool: str, user: UUID) -> list[str]:  # noqa: ANN401 (as above)
    found = cognito.admin_list_groups_for_user(UserPoolId=pool, Username=str(user))["Groups"]
    return [group["GroupName"] for group in found]


def add(world: World, user: UUID) -> UUID:
    return add_mechanic(world.app, new_id(), NewMechanic.model_validate({"userId": user, "name": "Mia"})).mechanic_id


def known(world: World, user: UUID) -> bool:
    return bool(world.one("SELECT count(*) FROM mechanics WHERE user_id = %s", user))


def test_the_user_gets_the_group_and_the_row(world: World, cognito: Any, pool: str) -> None:  # noqa: ANN401 (as above)
    user = signed_up(cognito, pool)
    add(world, user)
    assert groups(cognito, pool, user) == ["mechanics"]
    assert known(world, user)


def test_somebody_unknown_to_the_pool_is_refused_by_name(world: World, pool: str) -> None:
    user = new_id()
    with pytest.raises(Unprocessable) as refused:
        add(world, user)
    assert refused.value.extras["errors"] == [{"pointer": "/userId", "detail": "nobody with this id has signed up"}]
    assert pool
    assert not known(world, user)


def test_a_refusal_stores_nothing_and_asking_again_gives_both(
    world: World,
    cognito: Any,  # noqa: ANN401 (as above)
    pool: str,
) -> None:
    user = signed_up(cognito, pool)
    cognito.delete_group(UserPoolId=pool, GroupName="mechanics")
    with pytest.raises(ServiceRefused, match="ResourceNotFoundException"):
        add(world, user)
    assert not known(world, user)
    cognito.create_group(UserPoolId=pool, GroupName="mechanics")
    add(world, user)
    assert (groups(cognito, pool, user), known(world, user)) == (["mechanics"], True)


def test_a_mechanic_of_before_gets_the_group_when_added_again(
    world: World,
    cognito: Any,  # noqa: ANN401 (as above)
    pool: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = signed_up(cognito, pool)
    with monkeypatch.context() as without:
        without.setenv("USER_POOL_ID", "")
        add(world, user)
    assert groups(cognito, pool, user) == []
    with pytest.raises(MechanicExists):
        add(world, user)
    assert groups(cognito, pool, user) == ["mechanics"]
