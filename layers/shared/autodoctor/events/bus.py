"""The EventBridge bus: PutEvents, whose answer says for each entry whether it was accepted."""

import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Final

from autodoctor.aws.client import AwsConnection, endpoint
from autodoctor.aws.errors import ServiceRefused, ServiceUnreachable
from autodoctor.events.model import SOURCE, Event, detail
from autodoctor.settings import required

MOST_ENTRIES: Final = 10
"""The limit of one PutEvents call."""
CHECKED_SECONDS: Final = 60.0
"""How often we check that the bus exists: PutEvents accepts events for a missing one, and drops them."""


class _Bus:
    """The bus of this deployment."""

    def __init__(self) -> None:
        self._name = required("EVENT_BUS_NAME")
        self._connection = AwsConnection("events", endpoint("EVENTBRIDGE", "events"))
        self._exists_until = 0.0

    def put(self, events: Sequence[Event], deadline: float) -> list[str | None]:
        if time.monotonic() > self._exists_until:
            self._call("DescribeEventBus", {"Name": self._name}, deadline)
            self._exists_until = time.monotonic() + CHECKED_SECONDS
        entries = [
            {"Source": SOURCE, "DetailType": event.type, "Detail": detail(event), "EventBusName": self._name}
            for event in events
        ]
        answer = self._call("PutEvents", {"Entries": entries}, deadline)
        try:
            results = [entry.get("ErrorCode") for entry in json.loads(answer)["Entries"]]
        except (ValueError, KeyError, AttributeError) as unreadable:
            raise self._unreadable() from unreadable
        if len(results) != len(entries):
            raise self._unreadable()
        return results

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._connection.close()

    def _call(self, action: str, parameters: Mapping[str, object], deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ServiceUnreachable(self._connection.service)
        return self._connection.call(f"AWSEvents.{action}", parameters, version="1.1", timeout_seconds=left)

    def _unreadable(self) -> ServiceRefused:
        return ServiceRefused(self._connection.service, "PutEvents", HTTPStatus.OK, "UnreadableAnswer")


@cache
def _bus() -> _Bus:
    return _Bus()


def put_events(events: Sequence[Event], *, timeout_seconds: float) -> list[str | None]:
    """Put events on the bus.

    Args:
        events: at most ten.
        timeout_seconds: how long all of it may take.

    Returns:
        For each event None where the bus has it, else the bus's error code: an answer of 200 may refuse entries.

    Raises:
        ServiceRefused: the bus does not exist, or refused the call as a whole.
        ServiceUnreachable: it did not answer in time.
    """
    return _bus().put(events, time.monotonic() + timeout_seconds)
