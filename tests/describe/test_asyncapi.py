"""The AsyncAPI document describes the events on the bus and the messages of the feed, and nothing else."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest

from autodoctor.describe.feed_messages import MESSAGES, ROOM_MESSAGES
from autodoctor.errors import SessionNotFound
from autodoctor.events.feed import broadcast, queue_position
from autodoctor.events.feed import messages as feed
from autodoctor.events.model import json_schemas
from autodoctor.ids import new_id
from autodoctor.room import frames as room
from autodoctor.room.messages import Message, ReadMarks
from autodoctor.web.schemas import now
from support.http.openapi_conformance import closed

type Document = Mapping[str, Any]

SESSION, ASSIGNMENT = new_id(), new_id()
VEHICLE = {"year": 2015, "make": "Toyota", "model": "Corolla"}
ROW: dict[str, Any] = {
    "seq": 7,
    "session_id": SESSION,
    "assignment_id": ASSIGNMENT,
    "status": "completed",
    "reason": None,
    "customer_name": "Cora",
    "vehicle": VEHICLE,
    "concern": "It squeals.",
    "picture_id": SESSION,
    "urgent": False,
    "scheduled_for": None,
}
PLACE = {"session_id": SESSION, "place": 1, "mechanics_available": 2, "estimated_wait_seconds": None}


def errors(asyncapi: Document, message: str, sent: object, *, strictly: bool) -> list[str]:
    """The schema errors of a message of this name."""
    schemas = asyncapi["components"]["schemas"]
    payload = asyncapi["components"]["messages"][message]["payload"]
    if strictly:
        schemas, payload = closed(schemas), closed(payload)
    validator = jsonschema_rs.Draft202012Validator(
        {**payload, "components": {"schemas": schemas}}, validate_formats=True
    )
    return [f"{each.instance_path}: {each.message}" for each in validator.iter_errors(sent)]


def frames() -> Iterator[bytes]:
    """One of each message that the feed's own code makes, without a database."""
    gone = set(feed._GONE.values())  # noqa: SLF001 (what it may send is known nowhere else)
    for kind in ("new_assignment", "session_updated", *sorted(gone)):
        yield feed.frame({**ROW, "type": kind})
    yield feed.envelope("waiting_updated", 8, queue_position._payload(PLACE))  # noqa: SLF001 (as above)
    yield feed.envelope("connected", 9, {"connectionId": "JKJaXmPLvHcESHA=", "feed": SESSION})
    yield feed.envelope(broadcast.RESYNC, 9, {"feed": SESSION})
    yield broadcast._SUPERSEDED  # noqa: SLF001 (as above)


def test_every_message_of_the_feed_is_described_and_no_other() -> None:
    assert {json.loads(frame)["type"] for frame in frames()} == set(MESSAGES)


@pytest.mark.parametrize("frame", list(frames()), ids=lambda frame: str(json.loads(frame)["type"]))
def test_what_the_feed_sends_is_what_the_document_says(asyncapi: Document, frame: bytes) -> None:
    sent = json.loads(frame)
    assert errors(asyncapi, sent["type"], sent, strictly=True) == []
    assert errors(asyncapi, "session_updated", {"type": "session_updated"}, strictly=False)


def room_frames() -> Iterator[bytes]:
    """One of each message that a room's connections get."""
    said = {"seq": 1, "role": "customer", "kind": "file", "text": None, "at": now(), "client_id": SESSION}
    attachment = {"attachment_id": SESSION, "name": "a.png", "content_type": "image/png", "bytes": 7, "state": "clean"}
    message = Message.model_validate({**said, "attachment": attachment})
    there = {"customer_present": True, "mechanic_present": False}
    row = {"messages": [message.model_dump()], "latest": 1, "customer_read": 0, "mechanic_read": 1, **there}
    yield from room.entered(SESSION, row)
    yield room.frame(room.MessagePushed(session_id=SESSION, message=message))
    yield room.frame(room.ReadPushed(session_id=SESSION, read=ReadMarks(customer=0, mechanic=1)))
    yield room.frame(room.TypingPushed(session_id=SESSION, role="mechanic"))
    yield room.frame(room.PresentPushed(session_id=SESSION, present=room.presence(there)))
    yield room.refusal("room", None, SessionNotFound())


def test_every_message_of_a_room_is_described_and_no_other() -> None:
    assert {json.loads(frame)["type"] for frame in room_frames()} == set(ROOM_MESSAGES)


@pytest.mark.parametrize("frame", list(room_frames()), ids=lambda frame: str(json.loads(frame)["type"]))
def test_what_a_room_sends_is_what_the_document_says(asyncapi: Document, frame: bytes) -> None:
    sent = json.loads(frame)
    assert errors(asyncapi, sent["type"], sent, strictly=True) == []


def test_every_event_of_the_bus_is_described(asyncapi: Document) -> None:
    names = [asyncapi["components"]["messages"][each]["name"] for each in asyncapi["channels"]["bus"]["messages"]]
    assert names == [name for name, _ in json_schemas()]


def test_every_example_is_what_its_schema_allows(asyncapi: Document) -> None:
    for name, message in asyncapi["components"]["messages"].items():
        for example in message["examples"]:
            assert errors(asyncapi, name, example["payload"], strictly=False) == [], name


def test_every_operation_names_messages_of_its_channel(asyncapi: Document) -> None:
    used = set()
    for operation in asyncapi["operations"].values():
        channel = operation["channel"]["$ref"].rpartition("/")[2]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"#/channels/{channel}/messages/")
            used.add((channel, message["$ref"].rpartition("/")[2]))
    assert used == {(name, each) for name, channel in asyncapi["channels"].items() for each in channel["messages"]}


def test_no_event_carries_personal_data(asyncapi: Document) -> None:
    personal = {"name", "customerName", "email", "phone", "vehicle", "concern", "signedName"}
    for message in asyncapi["channels"]["bus"]["messages"]:
        detail = asyncapi["components"]["schemas"][f"{message[0].upper()}{message[1:]}Detail"]
        assert not personal & set(detail["properties"]), message
