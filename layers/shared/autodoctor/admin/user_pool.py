"""The stack's user pool: the group that lets a user in where mechanics are."""

import os
from typing import Final
from uuid import UUID

from autodoctor.aws.boto import call
from autodoctor.aws.errors import ServiceRefused
from autodoctor.errors import Unprocessable

MECHANICS: Final = "mechanics"


def add_to_mechanics(user_id: UUID) -> None:
    """Put a user into the group `mechanics`; one who is in it stays so.

    Where tokens come from an issuer of the operator's own there is no pool, and the operator gives the groups.

    Args:
        user_id: the user's `sub`, which Cognito takes as a user name.

    Raises:
        AwsError: Cognito refused, or did not answer.
        Unprocessable: the pool has no such user.
    """
    pool = os.environ.get("USER_POOL_ID")
    if not pool:
        return
    try:
        call("cognito-idp", "admin_add_user_to_group", UserPoolId=pool, Username=str(user_id), GroupName=MECHANICS)
    except ServiceRefused as refused:
        if refused.code != "UserNotFoundException":
            raise
        raise Unprocessable(("/userId", "nobody with this id has signed up")) from refused
