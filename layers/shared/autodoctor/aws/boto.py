"""boto3 for calls on which no customer waits: it is loaded at the first call, and its errors become ours."""

from functools import cache
from typing import Any, Final

from autodoctor.aws.errors import ServiceRefused, ServiceUnreachable

CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
ATTEMPTS: Final = 2
"""So that a call is over, whatever happens, well within the 29 seconds of a function behind API Gateway."""


def call(service: str, operation: str, **parameters: object) -> dict[str, Any]:
    """Make one call.

    Args:
        service: boto3's name of the service, such as `sqs`.
        operation: boto3's name of the method, such as `send_message`.
        parameters: as boto3 takes them.

    Raises:
        ServiceRefused: the service answered with an error.
        ServiceUnreachable: it did not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (100 ms that most calls need not pay)

    try:
        answer: dict[str, Any] = getattr(_client(service), operation)(**parameters)
    except ClientError as refused:
        status = int(refused.response["ResponseMetadata"]["HTTPStatusCode"])
        raise ServiceRefused(service, refused.operation_name, status, refused.response["Error"]["Code"]) from refused
    except BotoCoreError as failure:
        raise ServiceUnreachable(service) from failure
    return answer


@cache
def _client(service: str) -> Any:  # noqa: ANN401 (boto3's clients have no types)
    import boto3  # noqa: PLC0415 (as above)
    from botocore.config import Config  # noqa: PLC0415

    retries = {"total_max_attempts": ATTEMPTS}
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
    return boto3.client(service, config=config)
