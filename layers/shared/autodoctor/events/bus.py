"""The EventBridge bus: PutEvents, whose answer says of each entry whether it was taken."""

import json
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Final

from autodoctor.aws import AwsConnection, endpoint
from autodoctor.events.model import SOURCE, Event, detail
from autodoctor.settings import required

MOST_ENTRIES: Final = 10
"""As many as PutEvents takes at once."""


class BusRefused(OSError):
    """The bus took none of the entries."""

    def __init__(self, status: int) -> None:
        super().__init__(f"PutEvents answered {status}")
        self.status = status


@cache
def _connection() -> AwsConnection:
    return AwsConnection("events", endpoint("EVENTBRIDGE", "events"))


def put_events(events: Sequence[Event], *, timeout_seconds: float) -> list[str | None]:
    """Put events on the bus.

    Args:
        events: at most ten.
        timeout_seconds: how long to wait for the network.

    Returns:
        For each event None where the bus has it, else the bus's error code: an answer of 200 may refuse entries.

    Raises:
        OSError: the bus did not answer, or refused the call as a whole.
    """
    bus = required("EVENT_BUS_NAME")
    entries = [
        {"Source": SOURCE, "DetailType": event.type, "Detail": detail(event), "EventBusName": bus} for event in events
    ]
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AWSEvents.PutEvents"}
    body = json.dumps({"Entries": entries}).encode()
    answer = _connection().send("POST", "/", body, headers, timeout_seconds=timeout_seconds)
    if answer.status != HTTPStatus.OK:
        raise BusRefused(answer.status)
    try:
        results = [entry.get("ErrorCode") for entry in json.loads(answer.body)["Entries"]]
    except (ValueError, KeyError, AttributeError) as garbled:
        raise BusRefused(answer.status) from garbled
    if len(results) != len(entries):
        raise BusRefused(answer.status)
    return results
