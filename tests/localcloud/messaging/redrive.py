"""The dead letters of a running `autodoctor dev`, for `autodoctor redrive`."""

import boto3

from autodoctor.operations.dead_letters import Account, patient_config
from localcloud.compute.environment import service_endpoints
from localcloud.stack.cloudformation import REGION


def local_account(api_url: str) -> Account:
    """Open the local account of a running server."""
    endpoints = service_endpoints(api_url)
    given = {"region_name": REGION, "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    sqs = boto3.client("sqs", endpoint_url=endpoints["AWS_ENDPOINT_URL_SQS"], **given)
    events = boto3.client("events", endpoint_url=endpoints["AWS_ENDPOINT_URL_EVENTBRIDGE"], **given)
    functions = boto3.client(
        "lambda", endpoint_url=endpoints["AWS_ENDPOINT_URL_LAMBDA"], config=patient_config(), **given
    )
    urls = sqs.list_queues().get("QueueUrls", [])
    return Account(sqs, events, functions, {_logical_id(url): url for url in urls})


def _logical_id(url: str) -> str:
    return url.rpartition("/")[2].removesuffix(".fifo")
