"""Cognito's PostConfirmation trigger: adds each newly confirmed user to the group `customers`"""

from typing import Any

import boto3

GROUP = "customers"
SIGNED_UP = "PostConfirmation_ConfirmSignUp"  # the other source of this trigger is a forgotten password

cognito = boto3.client("cognito-idp")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Add the user to the group and return the event, as Cognito requires.

    Adding a user twice changes nothing, so a repeated trigger is harmless.

    Raises:
        botocore.exceptions.ClientError: Cognito refused; the confirmation then fails visibly.
    """
    if event["triggerSource"] == SIGNED_UP:
        cognito.admin_add_user_to_group(UserPoolId=event["userPoolId"], Username=event["userName"], GroupName=GROUP)
    return event
