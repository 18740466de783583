"""The HTTP API of EventBridge: PutEvents, and lookups for publishers and operators."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from localcloud.messaging.bus_faults import BusFaults
from localcloud.messaging.event_bus import BusEvent, EventBus
from localcloud.services.aws_api import Action, AwsError, JsonService, Parameters, Protocol, objects, text
from localcloud.services.causes import TRACE_HEADER
from localcloud.stack.cloudformation import ACCOUNT, REGION
from localcloud.stack.events import DEFAULT_BUS

_MOST_ENTRIES = 10
_LARGEST_REQUEST_BYTES = 1_048_576
_TIME_BYTES = 14
_HANG_CHECK_SECONDS = 0.02

type _Entry = tuple[BusEvent | None, dict[str, object]]


def events_service(bus: EventBus) -> JsonService:
    """Serve these buses."""
    api = _EventsApi(bus)
    actions: dict[str, Action] = {
        "DescribeEventBus": api.describe_event_bus,
        "ListTargetsByRule": api.list_targets_by_rule,
        "PutEvents": api.put_events,
    }
    return _Faulty(JsonService(Protocol("events", "AWSEvents", "1.1"), actions), bus.faults)


class _Faulty(JsonService):
    """The service with the faults that tests switch on."""

    def __init__(self, service: JsonService, faults: BusFaults) -> None:
        self._service = service
        self._faults = faults

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        while self._faults.mode == "hangs":  # noqa: ASYNC110 - the fault is switched from another thread
            await asyncio.sleep(_HANG_CHECK_SECONDS)
        if request.transport is None or request.transport.is_closing():
            return web.Response()  # the caller has given up; its events count as never sent
        mode = self._faults.mode
        if mode == "refuses":
            body = json.dumps({"__type": "InternalException", "message": "This is a fault of the test."}).encode()
            return web.Response(status=500, body=body, content_type="application/x-amz-json-1.1")
        answer = await self._service.handle(request) if mode != "cuts" else web.Response()
        if mode in ("cuts", "cuts_after_taking") and request.transport is not None:
            request.transport.abort()
        return answer


class _EventsApi:
    """One method per action, with the action's name."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    async def put_events(self, parameters: Parameters) -> Mapping[str, object]:
        entries = objects(parameters, "Entries")
        if not 1 <= len(entries) <= _MOST_ENTRIES:
            bound = "greater than or equal to 1" if not entries else f"less than or equal to {_MOST_ENTRIES}"
            reason = f"1 validation error detected: 'entries' failed to satisfy constraint: length {bound}"
            raise AwsError("ValidationException", reason)
        if sum(map(_size, entries)) > _LARGEST_REQUEST_BYTES:
            raise AwsError("ValidationException", "Total size of the entries in the request is over the limit.")
        read = [self._read(entry) for entry in entries]
        taken = iter(self._bus.put([event for event, _ in read if event]))
        results = [{"EventId": next(taken)} if event else refusal for event, refusal in read]
        return {"FailedEntryCount": sum(event is None for event, _ in read), "Entries": results}

    def _read(self, entry: Parameters) -> _Entry:
        if self._bus.faults.refuse_entry(dict(entry)):
            return _refused("InternalFailure", "This is a fault of the test.")
        for name in ("Source", "DetailType", "Detail"):
            if not isinstance(entry.get(name), str) or not entry[name]:
                return _refused(
                    "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
                )
        source = text(entry, "Source")
        if source.startswith("aws."):
            return _refused("NotAuthorizedForSourceException", "Not authorized for the source.")
        detail = _parsed(text(entry, "Detail"))
        if detail is None:
            return _refused("MalformedDetail", "Detail is malformed.")
        given, resources = entry.get("Time"), entry.get("Resources")
        event = BusEvent(
            source=source,
            detail_type=text(entry, "DetailType"),
            detail=detail,
            bus=text(entry, "EventBusName", DEFAULT_BUS).rpartition("/")[2],
            time=datetime.fromtimestamp(given, UTC) if isinstance(given, (int, float)) else None,
            resources=tuple(map(str, resources)) if isinstance(resources, list) else (),
            trace_header=text(entry, "TraceHeader", "") or TRACE_HEADER.get(),
        )
        return event, {}

    async def describe_event_bus(self, parameters: Parameters) -> Mapping[str, object]:
        name = text(parameters, "Name", DEFAULT_BUS).rpartition("/")[2]
        if name not in self._bus.stack.buses:
            raise AwsError("ResourceNotFoundException", f"Event bus {name} does not exist.")
        return {"Name": name, "Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"}

    async def list_targets_by_rule(self, parameters: Parameters) -> Mapping[str, object]:
        name, bus = text(parameters, "Rule"), text(parameters, "EventBusName", DEFAULT_BUS).rpartition("/")[2]
        for rule in self._bus.stack.rules:
            if (rule.name, rule.bus) == (name, bus):
                return {
                    "Targets": [
                        {"Id": target.target_id, "Arn": target.arn}
                        | ({"SqsParameters": {"MessageGroupId": target.group}} if target.group else {})
                        for target in rule.targets
                    ]
                }
        raise AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {bus}.")


def _refused(code: str, message: str) -> _Entry:
    return None, {"ErrorCode": code, "ErrorMessage": message}


def _parsed(detail: str) -> dict[str, object] | None:
    try:
        parsed = json.loads(detail)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _size(entry: Parameters) -> int:
    """The size of an entry as EventBridge counts it, in bytes."""
    resources = entry.get("Resources")
    texts = [entry.get("Source"), entry.get("DetailType"), entry.get("Detail")]
    texts += resources if isinstance(resources, list) else []
    return sum(len(str(part).encode()) for part in texts if part) + (_TIME_BYTES if "Time" in entry else 0)
