"""The account of a running `autodoctor dev`, for `autodoctor redrive` and `autodoctor smoke`."""

from typing import Any, Final

import boto3

from autodoctor.operations.dead_letters import Account, patient_config
from autodoctor.operations.smoke import Deployment
from localcloud.compute.environment import service_endpoints
from localcloud.stack.cloudformation import REGION

BUS: Final = "autodoctor-local"
"""As template.yaml names it: after the stack."""


def local_account(api_url: str) -> Account:
    """Open the local account of a running server."""
    sqs, events, functions = _clients(api_url)
    urls = sqs.list_queues().get("QueueUrls", [])
    return Account(sqs, events, functions, {_logical_id(url): url for url in urls})


def local_deployment(api_url: str, realtime_url: str) -> Deployment:
    """Open a running server as a deployed stack; alarms are AWS's, so it has none."""
    _, events, functions = _clients(api_url)
    return Deployment(
        api_url=api_url,
        feed_url=realtime_url,
        bus=BUS,
        migrate_function="MigrateFunction",
        account=local_account(api_url),
        events=events,
        functions=functions,
        ringing=list,
    )


def _clients(api_url: str) -> tuple[Any, Any, Any]:
    endpoints = service_endpoints(api_url)
    given = {"region_name": REGION, "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return (
        boto3.client("sqs", endpoint_url=endpoints["AWS_ENDPOINT_URL_SQS"], **given),
        boto3.client("events", endpoint_url=endpoints["AWS_ENDPOINT_URL_EVENTBRIDGE"], **given),
        boto3.client("lambda", endpoint_url=endpoints["AWS_ENDPOINT_URL_LAMBDA"], config=patient_config(), **given),
    )


def _logical_id(url: str) -> str:
    return url.rpartition("/")[2].removesuffix(".fifo")
